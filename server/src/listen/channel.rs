//! A socket, with or without TLS, the place to sleep on it, and its input buffer.
//!
//! # Bounds
//! rustls keeps at most 64 KiB of what is to be sent and of a handshake message; what is received goes to [`Channel::input`],
//! whose size the decoders bound.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::ServerConnection;

use super::tls::{self, Tls};
use crate::clock;
use crate::registry::TlsFacts;
use crate::session::{Disconnected, Sent, Wire};

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
const READ_BYTES: usize = 16 << 10;

/// What sleeping ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The socket may have bytes.
    Readable,
    /// Somebody called the waker.
    Called,
    /// The time was over.
    TimedOut,
}

/// A client's socket, not blocking, with the poll that it is registered with.
pub struct Channel {
    stream: TcpStream,
    /// Set once the client has asked for TLS.
    tls: Option<Box<ServerConnection>>,
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    called: bool,
    /// Set when the session is to end: nobody is waited for then.
    ending: Arc<AtomicBool>,
    readable: bool,
    /// The peer will send nothing more: what is left is read up to its end, for no event follows.
    read_closed: bool,
    /// The peer has ended TLS: nothing that follows counts.
    tls_ended: bool,
    chunk: Box<[u8]>,
    /// Bytes received and not yet decoded.
    pub input: BytesMut,
}

impl Channel {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(mut stream: TcpStream) -> io::Result<Self> {
        let poll = Poll::new()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, SOCKET, interest)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        // Answers are complete when they are sent; waiting to fill packets would only delay them.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            tls: None,
            poll,
            events: Events::with_capacity(4),
            waker,
            called: false,
            ending: Arc::default(),
            readable: true,
            read_closed: false,
            tls_ended: false,
            chunk: vec![0; READ_BYTES].into_boxed_slice(),
            input: BytesMut::new(),
        })
    }

    /// Wakes the thread that sleeps on this channel.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Makes sending give up as soon as `ending` is set and the waker called.
    pub fn end_with(&mut self, ending: &Arc<AtomicBool>) {
        self.ending = Arc::clone(ending);
    }

    /// Goes over to TLS: performs the handshake, until `deadline`. Bytes received already are the client's first record.
    ///
    /// # Errors
    /// [`Disconnected`] if the client does not manage, or goes away.
    pub(super) fn secure(&mut self, tls: &Tls, deadline: Instant) -> Result<(), Disconnected> {
        let connection = tls.accept().map_err(|error| {
            tracing::error!(%error, "TLS could not be begun");
            Disconnected
        })?;
        self.tls = Some(Box::new(connection));
        let early = std::mem::take(&mut self.input);
        self.take_records(&early)?;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.receive_before(deadline)?;
        }
        self.push_records()
    }

    /// Receives something before a session begins, which it must by `deadline`, whatever bytes may come until then.
    ///
    /// # Errors
    /// [`Disconnected`] if nothing comes in time, or the client goes away.
    pub(super) fn receive_before(&mut self, deadline: Instant) -> Result<(), Disconnected> {
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() || self.receive(Some(left))? == Woken::TimedOut {
            return Err(Disconnected);
        }
        Ok(())
    }

    /// What the handshake agreed on, if there was one.
    #[must_use]
    pub fn tls_facts(&self) -> Option<TlsFacts> {
        self.tls.as_ref().map(|connection| tls::facts(connection))
    }

    /// Whether the client named the protocol in the handshake.
    pub(super) fn named_protocol(&self) -> bool {
        self.tls.as_ref().is_some_and(|connection| tls::named_protocol(connection))
    }

    /// Whether what is sent and received is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Decrypts what was received and answers what TLS itself must answer.
    fn take_records(&mut self, mut received: &[u8]) -> Result<(), Disconnected> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while !received.is_empty() {
            let taken = tls.read_tls(&mut received).map_err(|_full| Disconnected)?;
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    tracing::debug!(%error, "TLS failed");
                    // The alert that tells the client why is all that can still be sent.
                    drop(tls.write_tls(&mut self.stream));
                    return Err(Disconnected);
                }
            };
            let start = self.input.len();
            self.input.resize(start + state.plaintext_bytes_to_read(), 0);
            let space = self.input.get_mut(start..).unwrap_or_default();
            tls.reader().read_exact(space).map_err(|_short| Disconnected)?;
            if taken == 0 || state.peer_has_closed() {
                self.tls_ended = true;
                break;
            }
        }
        self.push_records()
    }

    /// Sends records that wait, as far as the socket takes them.
    fn push_records(&mut self) -> Result<(), Disconnected> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Disconnected),
            }
        }
        Ok(())
    }

    /// Sends some of `bytes`: how much, or that the socket takes nothing at present.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What rustls has taken is as good as sent to the caller; only with nothing taken is there to wait.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Whether records wait to be sent.
    fn has_records(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Says goodbye in TLS, so that the client knows that nothing was cut off.
    pub fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        if self.push_records().is_err() {
            tracing::debug!("the end of the TLS connection was not told");
        }
    }

    /// Receives what has arrived, at least something, or sleeps until `timeout` (for ever if `None`).
    ///
    /// # Errors
    /// [`Disconnected`] at the end of the stream or on a broken one.
    pub fn receive(&mut self, timeout: Option<Duration>) -> Result<Woken, Disconnected> {
        loop {
            if std::mem::take(&mut self.called) {
                return Ok(Woken::Called);
            }
            if self.tls_ended {
                return Err(Disconnected);
            }
            if self.readable {
                match self.stream.read(&mut self.chunk) {
                    Ok(0) => return Err(Disconnected),
                    Ok(length) => {
                        // A short read has emptied the socket; the next arrival is an event again.
                        self.readable = self.read_closed || length == self.chunk.len();
                        self.take(length)?;
                        return Ok(Woken::Readable);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.readable = false;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Err(Disconnected),
                }
                continue;
            }
            self.push_records()?;
            if !self.sleep(timeout)? {
                return Ok(Woken::TimedOut);
            }
        }
    }

    /// Takes in the first `length` bytes of the chunk.
    fn take(&mut self, length: usize) -> Result<(), Disconnected> {
        if self.tls.is_none() {
            self.input.extend_from_slice(self.chunk.get(..length).unwrap_or_default());
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        let taken = self.take_records(chunk.get(..length).unwrap_or_default());
        self.chunk = chunk;
        taken
    }

    /// Sleeps until anything happens; `false` if nothing did in time.
    fn sleep(&mut self, timeout: Option<Duration>) -> Result<bool, Disconnected> {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(_) => return Err(Disconnected),
        }
        for event in &self.events {
            match event.token() {
                WAKE => self.called = true,
                _ => {
                    self.read_closed |= event.is_read_closed();
                    self.readable |= event.is_readable() || event.is_read_closed();
                }
            }
        }
        Ok(!self.events.is_empty())
    }

    /// Sends as much as the socket takes at once; for goodbyes that nobody needs to wait for.
    pub fn send_what_fits(&mut self, bytes: &[u8]) {
        if let Err(error) = self.write_some(bytes) {
            tracing::debug!(%error, "goodbye not sent");
        }
    }
}

impl Wire for Channel {
    fn send(&mut self, bytes: &mut BytesMut, patience: Duration) -> Result<Sent, Disconnected> {
        let mut until = None;
        while !bytes.is_empty() || self.has_records() {
            match self.write_some(bytes) {
                Ok(0) if !bytes.is_empty() => return Err(Disconnected),
                Ok(length) => bytes.advance(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.called && self.ending.load(Ordering::SeqCst) {
                        return Err(Disconnected);
                    }
                    let now = clock::now();
                    let left = until.get_or_insert(now + patience).saturating_duration_since(now);
                    if left.is_zero() {
                        return Ok(Sent::Stalled);
                    }
                    self.sleep(Some(left))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Disconnected),
            }
        }
        Ok(Sent::All)
    }
}
