//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use trellis_sqlcompat::schema::password::ScramVerifier;

use super::authentication::Authentication;
use super::connection;
use super::tls::Tls;
use crate::engine::Database;
use crate::registry::Registry;

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

/// Stack of a connection's thread. Only what is touched takes memory; deep expressions touch more.
const STACK_BYTES: usize = 8 << 20;

/// Whether clients may go without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plaintext {
    /// They may.
    Allow,
    /// They may not.
    Refuse,
}

/// What every connection needs.
pub struct Doors {
    /// TLS, if it is offered.
    pub tls: Option<Tls>,
    /// Whether clients may go without it.
    pub plaintext: Plaintext,
    /// How clients prove who they are.
    pub authentication: Authentication,
    /// What verifiers for roles without a password are made of: random numbers of this process.
    pub mock_secret: [u8; 32],
    /// The database behind the doors.
    pub database: Arc<Database>,
    /// Who is inside.
    pub registry: Arc<Registry>,
}

impl Doors {
    /// A verifier for a role that has none.
    ///
    /// Nothing that it is made of comes from a password: its salt is shown to whoever asks, and what comes from a password
    /// could be tried against it. So it is another one on each node and after each start.
    pub(super) fn mock_verifier(&self, role: &str) -> ScramVerifier {
        ScramVerifier::mock(role, &self.mock_secret)
    }
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address} for PostgreSQL clients")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the operating system says.
    #[source]
    pub source: io::Error,
}

/// A listening socket with its thread.
pub struct Listener {
    address: SocketAddr,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens on `address` (port 0: any free one) and serves what connects.
    ///
    /// # Errors
    /// [`ListenError`], for example when the port is taken.
    pub fn start(address: SocketAddr, doors: Arc<Doors>) -> Result<Self, ListenError> {
        let fail = |source| ListenError { address, source };
        let mut socket = TcpListener::bind(address).map_err(fail)?;
        let bound = socket.local_addr().map_err(fail)?;
        let poll = Poll::new().map_err(fail)?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE).map_err(fail)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(fail)?;
        let thread = std::thread::Builder::new()
            .name("accept".to_owned())
            .spawn(move || accept_all(&socket, poll, &doors))
            .map_err(fail)?;
        Ok(Self { address: bound, waker, thread: Some(thread) })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting. Sessions go on until the registry ends them.
    pub fn stop(mut self) {
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "the listener could not be stopped");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the listener's thread panicked");
        }
    }
}

/// How soon accepting is tried again when it failed, as it does while there are no descriptors left.
const RETRY: Duration = Duration::from_millis(200);

fn accept_all(socket: &TcpListener, mut poll: Poll, doors: &Arc<Doors>) {
    let mut events = Events::with_capacity(16);
    let mut retry = None;
    loop {
        if let Err(error) = poll.poll(&mut events, retry) {
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            tracing::error!(%error, "the listener failed");
            return;
        }
        if events.iter().any(|event| event.token() == WAKE) {
            return;
        }
        retry = accept_waiting(socket, doors).is_err().then_some(RETRY);
    }
}

/// Accepts all that wait; the readiness event comes once for any number of them, and not again for those that are left.
fn accept_waiting(socket: &TcpListener, doors: &Arc<Doors>) -> io::Result<()> {
    loop {
        match socket.accept() {
            Ok((stream, peer)) => hand_over(doors, stream, peer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                return Err(error);
            }
        }
    }
}

/// Gives a connection its thread, unless there are too many that have not begun their sessions.
fn hand_over(doors: &Arc<Doors>, mut stream: TcpStream, peer: SocketAddr) {
    let Ok(opening) = doors.registry.open_door() else {
        connection::turn_away(&mut stream);
        return;
    };
    let doors = Arc::clone(doors);
    let spawned = std::thread::Builder::new()
        .name(format!("session {peer}"))
        .stack_size(STACK_BYTES)
        .spawn(move || connection::serve(&doors, stream, peer, opening));
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for a connection");
    }
}
