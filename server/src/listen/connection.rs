//! One connection's thread: from its first byte to its last.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;
use trellis_sqlcompat::{SqlError, SqlState};

use super::accept::{Doors, Plaintext};
use super::authentication::{self, Admitted};
use super::channel::{Channel, Woken};
use super::startup::{self, Opening, StartupParameters};
use crate::clock;
use crate::engine::{CancelSwitch, SqliteEngine};
use crate::feed::Mailbox;
use crate::registry::{Activity, Membership, Opened, Reach, Refusal};
use crate::session::{Disconnected, Flow, Identity, Session, Settings};
use crate::wire::backend::{Outbox, Severity};
use crate::wire::frontend::{self, DecodeError};

/// Serves one connection until it ends.
pub(super) fn serve(doors: &Arc<Doors>, stream: TcpStream, peer: SocketAddr, opening: Opened) {
    let mut channel = match Channel::new(stream) {
        Ok(channel) => channel,
        Err(error) => {
            tracing::warn!(%error, %peer, "connection could not be set up");
            return;
        }
    };
    let deadline = clock::now() + startup::AUTHENTICATION_TIMEOUT;
    let opened = startup::open(&mut channel, doors.tls.as_ref(), deadline);
    match opened {
        Ok(Opening::Cancel { pid, secret }) => doors.registry.cancel(pid, &secret),
        Ok(Opening::Session(parameters)) => {
            let served = admit(doors, &mut channel, &parameters, peer, deadline).and_then(|role| {
                serve_session(doors, &mut channel, &parameters, &role, peer, opening)
            });
            if served.is_err() {
                tracing::debug!(%peer, "client went away");
            }
        }
        Err(Disconnected) => tracing::debug!(%peer, "connection ended before its session began"),
    }
    channel.close();
}

/// Tells a client that there is no place, without waiting for what it wants.
pub(super) fn turn_away(stream: &mut TcpStream) {
    let mut out = Outbox::default();
    out.report(Severity::Fatal, &refused(Refusal::Full));
    if let Err(error) = stream.write_all(out.bytes()) {
        tracing::debug!(%error, "refusal not sent");
    }
}

/// How other threads reach the one of this connection.
struct ConnectionReach {
    cancel: Arc<CancelSwitch>,
    waker: Arc<Waker>,
}

impl Reach for ConnectionReach {
    fn cancel(&self) {
        self.cancel.cancel();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "a session could not be woken");
        }
    }
}

/// Lets a client in, or tells it why not.
fn admit(
    doors: &Doors,
    channel: &mut Channel,
    parameters: &StartupParameters,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<Admitted, Disconnected> {
    if doors.plaintext == Plaintext::Refuse && !channel.is_secure() {
        return Err(startup::refuse(channel, &no_entry(parameters, peer)));
    }
    authentication::admit(channel, doors, parameters, peer, deadline)
}

fn serve_session(
    doors: &Arc<Doors>,
    channel: &mut Channel,
    parameters: &StartupParameters,
    admitted: &Admitted,
    peer: SocketAddr,
    opening: Opened,
) -> Result<(), Disconnected> {
    let cancel = Arc::new(CancelSwitch::new(&doors.database));
    let waker = channel.waker();
    let reach = ConnectionReach { cancel: Arc::clone(&cancel), waker: Arc::clone(&waker) };
    let activity = Activity {
        user: parameters.user.clone(),
        database: parameters.database.clone(),
        client_address: Some(peer),
        started_us: clock::now_us(),
        tls: channel.tls_facts(),
        ..Activity::default()
    };
    let membership = match doors.registry.join(Arc::new(reach), activity, key_bytes(parameters)) {
        Ok(membership) => membership,
        Err(refusal) => return Err(startup::refuse(channel, &refused(refusal))),
    };
    drop(opening);
    channel.end_with(&membership.terminate);
    let settings = match session_settings(parameters, admitted, doors.tls.is_some()) {
        Ok(settings) => Arc::new(Mutex::new(settings)),
        Err(error) => return Err(startup::refuse(channel, &error)),
    };
    let mailbox = Arc::new(Mailbox::new(Box::new(move || {
        if let Err(error) = waker.wake() {
            tracing::warn!(%error, "a listener could not be woken");
        }
    })));
    let identity = Identity {
        user: parameters.user.clone(),
        named: admitted.named,
        database: parameters.database.clone(),
        pid: membership.pid,
    };
    let engine =
        SqliteEngine::open(&doors.database, &identity, Arc::clone(&settings), mailbox, cancel);
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => return Err(startup::refuse(channel, &error)),
    };
    let mut session = Session::new(engine, identity, Arc::clone(&settings));
    startup::negotiate(session.outbox(), parameters);
    session.greet(membership.secret.as_bytes());
    converse(&mut session, channel, &membership, &settings)
}

/// Handles messages until the session ends.
fn converse(
    session: &mut Session<SqliteEngine>,
    channel: &mut Channel,
    membership: &Membership,
    settings: &Mutex<Settings>,
) -> Result<(), Disconnected> {
    let mut idle_since = clock::now();
    loop {
        match frontend::next_message(&mut channel.input) {
            Ok(Some(message)) => {
                session.set_sync_follows(frontend::sync_is_next(&channel.input));
                let flow = session.handle(clock::now_us(), message, channel)?;
                if flow == Flow::End {
                    return session.flush(channel);
                }
                idle_since = clock::now();
                continue;
            }
            Ok(None) => {}
            Err(error) => return Err(protocol_violation(session, channel, &error)),
        }
        if membership.terminate.load(Ordering::SeqCst) {
            // In place of what its last statement would have answered.
            session.outbox().truncate(0);
            let message = "terminating connection due to administrator command";
            return Err(goodbye(session, channel, SqlState::ADMIN_SHUTDOWN, message));
        }
        session.flush(channel)?;
        show_state(session, membership, settings);
        let limit = idle_limit(session, settings, idle_since);
        let timeout = [limit.map(|(left, ..)| left), session.engine().wait_interval()];
        let before = clock::now();
        let woken = channel.receive(timeout.into_iter().flatten().min())?;
        // Whatever woke it: a client that sends a byte now and then is waited for as well.
        session.wait_for_client(clock::now().saturating_duration_since(before));
        match woken {
            Woken::Readable => {}
            Woken::Called => session.deliver_notifications(),
            Woken::TimedOut => {
                if let Some((_, state, message)) =
                    idle_limit(session, settings, idle_since).filter(|(left, _, _)| left.is_zero())
                {
                    return Err(goodbye(session, channel, state, message));
                }
            }
        }
    }
}

/// How long the session may stay idle, and what ends it then.
fn idle_limit(
    session: &Session<SqliteEngine>,
    settings: &Mutex<Settings>,
    idle_since: Instant,
) -> Option<(Duration, SqlState, &'static str)> {
    let in_transaction = session.in_transaction();
    let limits = settings.lock().unwrap_or_else(PoisonError::into_inner).limits();
    let (limit, state, message) = if in_transaction {
        (
            limits.idle_in_transaction_timeout,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            "terminating connection due to idle-in-transaction timeout",
        )
    } else {
        (
            limits.idle_session_timeout,
            SqlState::IDLE_SESSION_TIMEOUT,
            "terminating connection due to idle-session timeout",
        )
    };
    let idle = clock::now().saturating_duration_since(idle_since);
    Some((limit?.saturating_sub(idle), state, message))
}

fn show_state(
    session: &Session<SqliteEngine>,
    membership: &Membership,
    settings: &Mutex<Settings>,
) {
    let state = if session.in_transaction() { "idle in transaction" } else { "idle" };
    let generation = settings.lock().unwrap_or_else(PoisonError::into_inner).generation();
    let mut activity = membership.activity.lock().unwrap_or_else(PoisonError::into_inner);
    activity.state = state;
    if activity.settings_generation != generation {
        activity.settings_generation = generation;
        let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
        activity.application_name = settings.raw("application_name").unwrap_or_default();
    }
    activity.state_changed_us = clock::now_us();
}

/// Bytes of a cancel key: protocol 3.0 has room for four, 3.2 for what PostgreSQL 18 sends.
fn key_bytes(parameters: &StartupParameters) -> usize {
    if parameters.minor >= 2 { 32 } else { 4 }
}

/// The refusal of a connection that is not encrypted, where it must be: in PostgreSQL's words, which clients act on.
fn no_entry(parameters: &StartupParameters, peer: SocketAddr) -> SqlError {
    let (host, user, database) = (peer.ip(), &parameters.user, &parameters.database);
    let message = format!(
        "no pg_hba.conf entry for host \"{host}\", user \"{user}\", database \"{database}\", no encryption"
    );
    SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
}

fn session_settings(
    parameters: &StartupParameters,
    admitted: &Admitted,
    tls: bool,
) -> Result<Settings, SqlError> {
    let mut settings = Settings::new(&parameters.user);
    settings.set_server("ssl", if tls { "on" } else { "off" });
    for (name, value) in &admitted.settings {
        // A role must be able to come in and mend what was set for it.
        if let Err(error) = settings.set_default(name, value) {
            tracing::warn!(%error, user = parameters.user, name, "a setting of a role does not hold");
        }
    }
    for (name, value) in &parameters.settings {
        settings.set_default(name, value)?;
    }
    Ok(settings)
}

fn refused(refusal: Refusal) -> SqlError {
    match refusal {
        Refusal::Full => {
            SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
        }
        Refusal::Closing => {
            SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the database system is shutting down")
        }
    }
}

fn protocol_violation(
    session: &mut Session<SqliteEngine>,
    channel: &mut Channel,
    error: &DecodeError,
) -> Disconnected {
    let state = match error {
        DecodeError::InvalidUtf8(_) => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        _ => SqlState::PROTOCOL_VIOLATION,
    };
    goodbye(session, channel, state, &error.to_string())
}

/// Ends the session with a last word.
fn goodbye(
    session: &mut Session<SqliteEngine>,
    channel: &mut Channel,
    state: SqlState,
    message: &str,
) -> Disconnected {
    let out = session.outbox();
    out.report(Severity::Fatal, &SqlError::new(state, message));
    channel.send_what_fits(out.bytes());
    Disconnected
}
