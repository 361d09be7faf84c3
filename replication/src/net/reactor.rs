//! The reactor: the one task that owns the protocol core, feeds it and does what it says.
//!
//! Everything else runs beside it and talks to it through one bounded queue: the tasks of the connections, attempts to
//! connect, and the store on blocking threads. The reactor itself never waits for any of them, so a slow disk or a
//! stalled peer delays no probe.
//!
//! # Bounds
//! [`EVENTS_MAX`] events wait; who has another one waits in turn. [`HANDSHAKES_MAX`] connections may be in handshake;
//! further ones are refused. An attempt to connect ends after [`CONNECT_TIMEOUT`].

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{Connection, Endpoint, Incoming, VarInt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::protocol::{
    Address, ApplyResult, CloseReason, DialId, Input, LinkId, Output, Persisted, ReadLogError,
    ReadStateError, Replica, Span, StateResult, Time,
};
use crate::types::{EncodedChangeset, ProgressBySite};

use super::connection::{ConnectionHandle, LEAVING};
use super::handle::{LocalCommit, Signals};
use super::tls::SERVER_NAME;
use super::{NetStatus, ReplicaStore, state};

/// Events that may wait for the reactor.
pub(super) const EVENTS_MAX: usize = 1_024;
/// Incoming connections that may be in handshake.
const HANDSHAKES_MAX: usize = 256;
/// How long resolving and connecting to an address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an incoming handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the status is published.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);
/// How often refused input is logged at most, in status intervals.
const REFUSED_LOG_TICKS: u32 = 40;
/// How often its progress is read from the store, in status intervals, in case a commit was not handed over.
const PROGRESS_TICKS: u32 = 20;
/// How long the end of the connections may take when the node leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the tasks beside the reactor tell it.
pub(super) enum Event {
    /// Something for the core.
    Input(Input),
    /// An attempt to connect has ended.
    Dialled(DialId, Option<Connection>),
    /// An incoming connection has ended its handshake.
    Accepted(Option<Connection>),
    /// State has been saved, or could not be.
    Saved,
}

/// The ends of the reactor's channels that others hold the other end of.
pub(super) struct Ports {
    /// Local commits.
    pub(super) commits: mpsc::Receiver<LocalCommit>,
    /// Flags set by the handles.
    pub(super) signals: Arc<Signals>,
    /// Where the status is published.
    pub(super) status: watch::Sender<Arc<NetStatus>>,
    /// Asks the reactor to leave the cluster and end; answered when it has.
    pub(super) shutdown: oneshot::Receiver<()>,
}

/// The task that owns the core.
pub(super) struct Reactor {
    endpoint: Endpoint,
    replica: Replica,
    store: Arc<dyn ReplicaStore>,
    state_path: PathBuf,
    clock: Clock,
    links: BTreeMap<LinkId, ConnectionHandle>,
    last_link: u64,
    handshakes: usize,
    events: mpsc::Sender<Event>,
    tasks: JoinSet<()>,
    saving: bool,
    to_save: Option<Persisted>,
    /// Bytes sent and received on connections that have ended.
    udp_of_closed: (u64, u64),
    refused_logged: u64,
    ticks: u32,
}

/// The clock of the core: microseconds since the network started.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Time {
        Time::default() + Span::from(self.0.elapsed())
    }

    fn instant(self, time: Time) -> Instant {
        self.0 + Duration::from_micros(time.0)
    }
}

impl Reactor {
    pub(super) fn new(
        endpoint: Endpoint,
        replica: Replica,
        store: Arc<dyn ReplicaStore>,
        state_path: PathBuf,
        clock: Clock,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            endpoint,
            replica,
            store,
            state_path,
            clock,
            links: BTreeMap::new(),
            last_link: 0,
            handshakes: 0,
            events,
            tasks: JoinSet::new(),
            saving: false,
            to_save: None,
            udp_of_closed: (0, 0),
            refused_logged: 0,
            ticks: 0,
        }
    }

    /// Runs until shut down.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>, mut ports: Ports) {
        let mut status_tick = tokio::time::interval(STATUS_INTERVAL);
        status_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = std::pin::pin!(ports.shutdown);
        self.do_outputs();
        loop {
            let due = self.replica.poll_timeout().map(|time| self.clock.instant(time));
            tokio::select! {
                _ = &mut shutdown => break,
                () = sleep_until(due) => self.replica.handle_timeout(self.clock.now()),
                Some(event) = events.recv() => self.on_event(event),
                Some(commit) = ports.commits.recv() => self.on_commit(commit),
                () = ports.signals.wake.notified() => self.on_signals(&ports.signals),
                incoming = self.endpoint.accept() => self.on_incoming(incoming),
                Some(_ended) = self.tasks.join_next() => {}
                _ = status_tick.tick() => self.on_status_tick(&ports.status),
            }
            self.do_outputs();
        }
        // Nobody listens any more: tasks that still have something to tell end at once.
        drop(events);
        self.leave().await;
    }

    fn input(&mut self, input: Input) {
        self.replica.handle(self.clock.now(), input);
    }

    fn on_commit(&mut self, commit: LocalCommit) {
        self.input(match commit {
            LocalCommit::Whole(changeset) => Input::Committed(changeset),
            LocalCommit::Chunks(version) => Input::CommittedChunks(version),
        });
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Input(Input::Closed { link, leaving }) => {
                self.forget(link);
                self.input(Input::Closed { link, leaving });
            }
            Event::Input(input) => self.input(input),
            Event::Dialled(dial, Some(connection)) => self.on_connection(connection, Some(dial)),
            Event::Dialled(dial, None) => self.input(Input::DialFailed { dial }),
            Event::Accepted(connection) => {
                self.handshakes -= 1;
                if let Some(connection) = connection {
                    self.on_connection(connection, None);
                }
            }
            Event::Saved => {
                self.saving = false;
                if let Some(state) = self.to_save.take() {
                    self.save(state);
                }
            }
        }
    }

    fn on_connection(&mut self, connection: Connection, dial: Option<DialId>) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let handle = ConnectionHandle::start(connection, link, &self.events, &mut self.tasks);
        self.links.insert(link, handle);
        self.input(Input::Connected { link, dial });
    }

    fn on_incoming(&mut self, incoming: Option<Incoming>) {
        let Some(incoming) = incoming else {
            return;
        };
        if self.handshakes >= HANDSHAKES_MAX {
            incoming.refuse();
            return;
        }
        self.handshakes += 1;
        let events = self.events.clone();
        self.tasks.spawn(async move {
            let handshake = async { incoming.await.ok() };
            let connection = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await;
            send(&events, Event::Accepted(connection.ok().flatten())).await;
        });
    }

    fn on_signals(&mut self, signals: &Signals) {
        if signals.schema_changed.swap(false, Ordering::AcqRel) {
            self.input(Input::SchemaChanged);
        }
        if signals.retry_blocked.swap(false, Ordering::AcqRel) {
            self.input(Input::RetryBlocked);
        }
        if signals.commits_shed.swap(false, Ordering::AcqRel) {
            self.read_progress();
        }
    }

    fn do_outputs(&mut self) {
        while let Some(output) = self.replica.poll_output() {
            match output {
                Output::Dial { dial, address } => self.dial(dial, address),
                Output::Close { link, reason } => self.close(link, reason),
                Output::Frame { link, lane, bytes } => {
                    if let Some(handle) = self.links.get(&link) {
                        handle.write(lane, bytes);
                    }
                }
                Output::Datagram { link, bytes } => {
                    let sent = self.links.get(&link).map(|it| it.connection.send_datagram(bytes));
                    if let Some(Err(error)) = sent {
                        tracing::debug!(%error, "datagram not sent");
                    }
                }
                Output::Apply(batch) => self.apply(batch),
                Output::ReadLog { read, origin, after, max_bytes } => {
                    let failed = || Err(ReadLogError::Failed("the store panicked".to_owned()));
                    self.on_store(
                        move |store| store.read_log(origin, after, max_bytes),
                        failed,
                        move |result| Input::LogRead { read, result },
                    );
                }
                Output::ReadState { read, reader, chunks, max_bytes } => {
                    let failed = || Err(ReadStateError::Failed("the store panicked".to_owned()));
                    self.on_store(
                        move |store| store.read_state(reader, chunks, max_bytes),
                        failed,
                        move |result| Input::StateRead { read, result },
                    );
                }
                Output::ApplyState(chunks) => {
                    let panicked = || StateResult::Failed("the store panicked".to_owned());
                    self.on_store(
                        move |store| store.apply_state(&chunks),
                        panicked,
                        Input::StateApplied,
                    );
                }
                Output::ReadPast { link, site, version } => self.on_store(
                    move |store| store.past(site, version),
                    Vec::new,
                    move |known| Input::PastRead { link, known },
                ),
                Output::CheckPast(known) => {
                    let store = Arc::clone(&self.store);
                    self.tasks.spawn_blocking(move || store.check_past(&known));
                }
                Output::ReadProgress => self.read_progress(),
                Output::Persist(state) => self.save(state),
            }
        }
    }

    fn dial(&mut self, dial: DialId, address: Address) {
        let (endpoint, events) = (self.endpoint.clone(), self.events.clone());
        self.tasks.spawn(async move {
            let attempt = tokio::time::timeout(CONNECT_TIMEOUT, connect(&endpoint, &address)).await;
            let connection = attempt.ok().flatten();
            if connection.is_none() {
                tracing::debug!(%address, "could not connect");
            }
            send(&events, Event::Dialled(dial, connection)).await;
        });
    }

    fn close(&mut self, link: LinkId, reason: CloseReason) {
        if let Some(handle) = self.forget(link) {
            let code = VarInt::from_u32(reason.code());
            handle.connection.close(code, reason.text().as_bytes());
        }
    }

    fn forget(&mut self, link: LinkId) -> Option<ConnectionHandle> {
        let handle = self.links.remove(&link)?;
        let (sent, received) = handle.udp_bytes();
        self.udp_of_closed.0 += sent;
        self.udp_of_closed.1 += received;
        Some(handle)
    }

    fn apply(&mut self, batch: Vec<EncodedChangeset>) {
        let count = batch.len();
        let panicked = move || vec![ApplyResult::Rejected("the store panicked".to_owned()); count];
        self.on_store(move |store| store.apply(&batch), panicked, Input::Applied);
    }

    fn read_progress(&mut self) {
        self.on_store(|store| store.progress(), ProgressBySite::new, Input::StoreProgress);
    }

    /// Runs a call of the store on a blocking thread, and gives the core what it returned.
    fn on_store<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&dyn ReplicaStore) -> T + Send + 'static,
        panicked: impl FnOnce() -> T + Send + 'static,
        answer: impl FnOnce(T) -> Input + Send + 'static,
    ) {
        let (store, events) = (Arc::clone(&self.store), self.events.clone());
        self.tasks.spawn_blocking(move || {
            let result = catch_unwind(AssertUnwindSafe(|| call(store.as_ref())));
            let input = answer(result.unwrap_or_else(|_payload| panicked()));
            // The reactor may be gone: then nobody needs the answer.
            drop(events.blocking_send(Event::Input(input)));
        });
    }

    /// Saves state, one after the other; of several that wait, the last.
    fn save(&mut self, state: Persisted) {
        if self.saving {
            self.to_save = Some(state);
            return;
        }
        self.saving = true;
        let (path, events) = (self.state_path.clone(), self.events.clone());
        self.tasks.spawn_blocking(move || {
            if let Err(error) = state::save(&path, &state) {
                tracing::warn!(path = %path.display(), %error, "network state could not be saved");
            }
            drop(events.blocking_send(Event::Saved));
        });
    }

    fn on_status_tick(&mut self, status: &watch::Sender<Arc<NetStatus>>) {
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(PROGRESS_TICKS) {
            self.read_progress();
        }
        let now = self.clock.now();
        let trips: Vec<(LinkId, Duration)> =
            self.links.iter().map(|(&link, handle)| (link, handle.connection.rtt())).collect();
        for (link, rtt) in trips {
            self.replica.handle(now, Input::RoundTrip { link, rtt: rtt.into() });
        }
        let udp = self.links.values().map(ConnectionHandle::udp_bytes).fold(
            self.udp_of_closed,
            |(sent, received), (more_sent, more_received)| {
                (sent + more_sent, received + more_received)
            },
        );
        let current = NetStatus {
            members: self.replica.members(),
            origins: self.replica.origins(),
            joining: self.replica.is_joining(),
            stats: self.replica.stats(),
            udp_sent_bytes: udp.0,
            udp_received_bytes: udp.1,
        };
        self.log_refused(&current);
        status.send_if_modified(|published| {
            let news = **published != current;
            if news {
                *published = Arc::new(current);
            }
            news
        });
    }

    fn log_refused(&mut self, status: &NetStatus) {
        let refused = status.stats.invalid_input + status.stats.foreign_cluster;
        if self.ticks.is_multiple_of(REFUSED_LOG_TICKS) && refused > self.refused_logged {
            let invalid = status.stats.invalid_input;
            let foreign = status.stats.foreign_cluster;
            tracing::warn!(invalid, foreign, "peers sent invalid bytes or belong elsewhere");
            self.refused_logged = refused;
        }
    }

    /// Tells the members, and ends the connections.
    async fn leave(mut self) {
        // From here on saves only queue: the last one is written when nothing else runs.
        self.saving = true;
        self.input(Input::Leave);
        self.do_outputs();
        self.endpoint.close(VarInt::from_u32(LEAVING), b"leaving");
        let ended = async {
            while self.tasks.join_next().await.is_some() {}
            self.endpoint.wait_idle().await;
        };
        if tokio::time::timeout(LEAVE_TIMEOUT, ended).await.is_err() {
            tracing::debug!("some peers did not confirm the end of their connection");
        }
        if let Some(state) = self.to_save.take() {
            let path = self.state_path.clone();
            let saved = tokio::task::spawn_blocking(move || state::save(&path, &state)).await;
            if !matches!(saved, Ok(Ok(()))) {
                tracing::warn!("network state could not be saved");
            }
        }
    }
}

async fn send(events: &mpsc::Sender<Event>, event: Event) {
    // The reactor may be gone: then nobody needs the event.
    drop(events.send(event).await);
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Resolves an address and connects to the first of its results that answers.
async fn connect(endpoint: &Endpoint, address: &Address) -> Option<Connection> {
    for resolved in tokio::net::lookup_host(address.as_str()).await.ok()? {
        let Ok(connecting) = endpoint.connect(resolved, SERVER_NAME) else {
            continue;
        };
        if let Ok(connection) = connecting.await {
            return Some(connection);
        }
    }
    None
}
