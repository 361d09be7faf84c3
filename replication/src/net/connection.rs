//! The tasks of one connection: two writing lanes, the streams being read, the datagrams being read.
//!
//! Each task moves bytes between quinn and the reactor and decides nothing. Reading waits when the reactor's queue is
//! full, so the peer is held back by QUIC's own windows; writing reports what it has handed to QUIC, which is how the
//! core knows how far a peer keeps up.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use quinn::{Connection, ConnectionError, RecvStream, VarInt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::protocol::{CloseReason, Input, LANE_WINDOW_FRAMES, Lane, LinkId, split_frame};

use super::endpoint::UNI_STREAMS_MAX;
use super::reactor::Event;

/// Code with which a node that leaves the cluster closes its connections.
pub(super) const LEAVING: u32 = 100;

/// Frames written with one call.
const WRITE_FRAMES: usize = 64;
/// Bytes read with one call.
const READ_BYTES: usize = 64 << 10;

/// The reactor's hold on a connection.
pub(super) struct ConnectionHandle {
    /// The connection, for datagrams, round-trip time and closing.
    pub(super) connection: Connection,
    live: mpsc::Sender<Bytes>,
    repair: mpsc::Sender<Bytes>,
}

impl ConnectionHandle {
    /// Starts the tasks of a connection.
    pub(super) fn start(
        connection: Connection,
        id: LinkId,
        events: &mpsc::Sender<Event>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (live, live_frames) = mpsc::channel(LANE_WINDOW_FRAMES);
        let (repair, repair_frames) = mpsc::channel(LANE_WINDOW_FRAMES);
        let writer =
            |lane, frames| write_lane(connection.clone(), id, lane, frames, events.clone());
        tasks.spawn(writer(Lane::Live, live_frames));
        tasks.spawn(writer(Lane::Repair, repair_frames));
        tasks.spawn(read_connection(connection.clone(), id, events.clone()));
        Self { connection, live, repair }
    }

    /// Bytes of UDP payload sent and received.
    pub(super) fn udp_bytes(&self) -> (u64, u64) {
        let stats = self.connection.stats();
        (stats.udp_tx.bytes, stats.udp_rx.bytes)
    }

    /// Hands a frame to its lane. The core never has more than [`LANE_WINDOW_FRAMES`] under way, so there is room,
    /// unless the connection has ended.
    pub(super) fn write(&self, lane: Lane, frame: Bytes) {
        let sender = match lane {
            Lane::Live => &self.live,
            Lane::Repair => &self.repair,
        };
        if sender.try_send(frame).is_err() {
            tracing::trace!(?lane, "frame for a connection that has ended");
        }
    }
}

/// Writes a lane's frames until the connection or the reactor ends.
async fn write_lane(
    connection: Connection,
    id: LinkId,
    lane: Lane,
    mut frames: mpsc::Receiver<Bytes>,
    events: mpsc::Sender<Event>,
) {
    let mut batch: Vec<Bytes> = Vec::with_capacity(WRITE_FRAMES);
    let mut stream = None;
    while frames.recv_many(&mut batch, WRITE_FRAMES).await > 0 {
        let out = match &mut stream {
            Some(out) => out,
            None => {
                let Ok(opened) = connection.open_uni().await else {
                    return;
                };
                let priority = if lane == Lane::Live { 1 } else { 0 };
                if opened.set_priority(priority).is_err() {
                    return;
                }
                stream.insert(opened)
            }
        };
        let (count, bytes) = (batch.len(), batch.iter().map(Bytes::len).sum());
        if out.write_all_chunks(&mut batch).await.is_err() {
            return;
        }
        batch.clear();
        let sent = Input::Sent { link: id, lane, frames: count, bytes };
        if events.send(Event::Input(sent)).await.is_err() {
            return;
        }
    }
}

/// Reads everything that arrives on a connection until it ends, and reports its end.
async fn read_connection(connection: Connection, id: LinkId, events: mpsc::Sender<Event>) {
    let mut streams = JoinSet::new();
    loop {
        let flow = tokio::select! {
            stream = connection.accept_uni() => accept_stream(&mut streams, stream, id, &events),
            datagram = connection.read_datagram() => pass_datagram(datagram, id, &events).await,
            Some(ended) = streams.join_next() => pass_end(&connection, &ended),
        };
        if flow.is_break() {
            break;
        }
    }
    let leaving = matches!(
        connection.close_reason(),
        Some(ConnectionError::ApplicationClosed(close))
            if close.error_code == VarInt::from_u32(LEAVING)
    );
    // The reactor may be gone: then nobody needs to know.
    drop(events.send(Event::Input(Input::Closed { link: id, leaving })).await);
}

fn accept_stream(
    streams: &mut JoinSet<StreamEnd>,
    stream: Result<RecvStream, ConnectionError>,
    id: LinkId,
    events: &mpsc::Sender<Event>,
) -> ControlFlow<()> {
    let Ok(stream) = stream else {
        return ControlFlow::Break(());
    };
    if streams.len() < usize::from(UNI_STREAMS_MAX) {
        streams.spawn(read_stream(stream, id, events.clone()));
    }
    ControlFlow::Continue(())
}

async fn pass_datagram(
    datagram: Result<Bytes, ConnectionError>,
    id: LinkId,
    events: &mpsc::Sender<Event>,
) -> ControlFlow<()> {
    let Ok(bytes) = datagram else {
        return ControlFlow::Break(());
    };
    match events.send(Event::Input(Input::Datagram { link: id, bytes })).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_reactor_gone) => ControlFlow::Break(()),
    }
}

/// A lane that ends leaves a connection that is of no use.
fn pass_end(
    connection: &Connection,
    ended: &Result<StreamEnd, tokio::task::JoinError>,
) -> ControlFlow<()> {
    let reason = CloseReason::Invalid;
    if matches!(ended, Ok(StreamEnd::Invalid)) {
        tracing::debug!(peer = %connection.remote_address(), "peer announced too large a frame");
    }
    connection.close(VarInt::from_u32(reason.code()), reason.text().as_bytes());
    ControlFlow::Break(())
}

/// How a stream ended.
enum StreamEnd {
    /// The peer ended it, or the connection ended.
    Finished,
    /// A frame is too large to be one.
    Invalid,
}

/// Reads one lane's frames.
async fn read_stream(mut stream: RecvStream, id: LinkId, events: mpsc::Sender<Event>) -> StreamEnd {
    let mut buffer = BytesMut::new();
    while let Ok(Some(chunk)) = stream.read_chunk(READ_BYTES, true).await {
        buffer.extend_from_slice(&chunk.bytes);
        loop {
            match split_frame(&mut buffer) {
                Ok(Some(bytes)) => {
                    let frame = Input::Frame { link: id, bytes };
                    if events.send(Event::Input(frame)).await.is_err() {
                        return StreamEnd::Finished;
                    }
                }
                Ok(None) => break,
                Err(_too_long) => return StreamEnd::Invalid,
            }
        }
    }
    StreamEnd::Finished
}
