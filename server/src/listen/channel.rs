//! A socket, the place to sleep on it, and its input buffer.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::clock;
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
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    called: bool,
    /// Set when the session is to end: nobody is waited for then.
    ending: Arc<AtomicBool>,
    readable: bool,
    /// The peer will send nothing more: what is left is read up to its end, for no event follows.
    read_closed: bool,
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
            poll,
            events: Events::with_capacity(4),
            waker,
            called: false,
            ending: Arc::default(),
            readable: true,
            read_closed: false,
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

    /// Receives what has arrived, at least something, or sleeps until `timeout` (for ever if `None`).
    ///
    /// # Errors
    /// [`Disconnected`] at the end of the stream or on a broken one.
    pub fn receive(&mut self, timeout: Option<Duration>) -> Result<Woken, Disconnected> {
        loop {
            if std::mem::take(&mut self.called) {
                return Ok(Woken::Called);
            }
            if self.readable {
                match self.stream.read(&mut self.chunk) {
                    Ok(0) => return Err(Disconnected),
                    Ok(length) => {
                        // A short read has emptied the socket; the next arrival is an event again.
                        self.readable = self.read_closed || length == self.chunk.len();
                        self.input.extend_from_slice(self.chunk.get(..length).unwrap_or_default());
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
            if !self.sleep(timeout)? {
                return Ok(Woken::TimedOut);
            }
        }
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
        if let Err(error) = self.stream.write(bytes) {
            tracing::debug!(%error, "goodbye not sent");
        }
    }
}

impl Wire for Channel {
    fn send(&mut self, bytes: &mut BytesMut, patience: Duration) -> Result<Sent, Disconnected> {
        let mut until = None;
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(Disconnected),
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
