//! Every bound of the protocol in one place: what it limits, its unit, and what happens there.

use super::Span;

/// Longest `host:port` (bytes). Longer ones are refused where they are configured or decoded.
pub(super) const ADDRESS_BYTES_MAX: usize = 255;

/// Members a node remembers, dead ones included. Further ones are not learnt.
pub(super) const MEMBERS_MAX: usize = 8_192;

/// Largest SWIM packet and datagram (bytes): fits QUIC's smallest packet.
pub(super) const DATAGRAM_BYTES_MAX: usize = 1_100;

/// Largest frame on a lane (bytes). A connection that announces a larger one is closed.
pub const FRAME_BYTES_MAX: usize = LIVE_BODY_BYTES_MAX + 1_024;

/// Largest changeset that is broadcast (bytes). Larger ones are announced by their head and pulled.
pub const LIVE_BODY_BYTES_MAX: usize = 256 << 10;

/// Largest changeset that travels at all (bytes): one chunk of a transaction. A pull that brings a larger one is given up.
pub const CHANGESET_BYTES_MAX: usize = crate::wire::v1::BODY_BYTES_MAX;

/// Bytes of one frame of a pull's answer.
pub(super) const PULL_FRAME_BYTES: usize = 64 << 10;

/// Entries of one `Heads` or `Members` frame; longer lists take several frames.
pub(super) const LIST_ENTRIES_MAX: usize = 1_000;

/// Versions of one `Past` frame.
pub(super) const PAST_ENTRIES_MAX: usize = 16;

/// Origins that a node keeps heads of. Changes of further ones are refused, and counted as invalid input.
pub(super) const ORIGINS_MAX: usize = 65_536;

/// Bytes of a lane that the shell holds and has not written yet. Further frames wait in the lane's queue.
pub(super) const LANE_WINDOW_BYTES: usize = 256 << 10;

/// Frames of a lane that the shell holds and has not written yet: small ones fill this before the bytes.
pub const LANE_WINDOW_FRAMES: usize = 1_024;

/// Bytes that wait in the live lane of one peer. Beyond it the peer is *lagging*: broadcast copies for it are shed and
/// it is sent heads only, until its queue has drained.
pub(super) const LIVE_QUEUE_BYTES_MAX: usize = 512 << 10;

/// Bytes that wait in the repair lane of one peer. Beyond it no further pull of that peer is read from the log.
pub(super) const REPAIR_QUEUE_BYTES_MAX: usize = 4 << 20;

/// Frames that wait in one lane. A peer that lets more pile up does not read, and its connection is closed.
pub(super) const LANE_FRAMES_MAX: usize = 65_536;

/// Bytes of changesets that wait to be applied, over all origins. Beyond it broadcast copies are not kept and no pull
/// is started; both are repaired by pulls once there is room.
pub(super) const STAGED_BYTES_MAX: usize = 32 << 20;

/// Bytes of changesets of one origin that wait to be applied, so that one origin cannot take all the room.
pub(super) const ORIGIN_STAGED_BYTES_MAX: usize = 12 << 20;

/// What a waiting changeset is counted as beyond its bytes, so that empty ones are bounded too.
pub(super) const STAGED_OVERHEAD_BYTES: usize = 128;

/// Bytes, and changesets, of one batch that the store is given. One changeset may be larger than the bytes. It also bounds
/// how much of one origin's chunks is staged before other origins get their turn.
pub(super) const APPLY_BATCH_BYTES: usize = 2 << 20;
/// See [`APPLY_BATCH_BYTES`].
pub(super) const APPLY_BATCH_CHANGESETS: usize = 2_048;

/// Pulls a node has under way: in all, and from one peer. Further needs wait.
pub(super) const PULLS_MAX: usize = 8;
/// See [`PULLS_MAX`].
pub(super) const PULLS_PER_PEER_MAX: usize = 4;

/// Bytes one pull asks for; then the next one is sent.
pub(super) const PULL_BYTES: usize = 2 << 20;

/// Pulls of peers that wait to be served. Further ones are answered `Busy`.
pub(super) const SERVE_QUEUE_MAX: usize = 256;

/// Reads of the log under way at once for peers.
pub(super) const SERVE_READS_MAX: usize = 2;

/// Delegations that wait for an acknowledgement, and the bytes they hold. Beyond it the oldest are forgotten, and what
/// their delegates miss is repaired by digests.
pub(super) const DELEGATIONS_MAX: usize = 4_096;
/// See [`DELEGATIONS_MAX`].
pub(super) const DELEGATION_BYTES_MAX: usize = 8 << 20;

/// How many members of a part are tried as its delegate.
pub(super) const DELEGATION_ATTEMPTS_MAX: usize = 3;

/// Broadcasts remembered as forwarded, so that a second copy is not forwarded again.
pub(super) const FORWARDED_MAX: usize = 4_096;

/// Datagrams that wait for a connection being made. Beyond it the oldest is dropped.
pub(super) const DIAL_PENDING_DATAGRAMS_MAX: usize = 4;

/// Connections that have not said `Hello`. Further ones are closed.
pub(super) const GREETING_LINKS_MAX: usize = 256;

/// A connection that has not said `Hello` by then is closed.
pub(super) const HELLO_TIMEOUT: Span = Span::from_ms(5_000);

/// Two connections of one pair that were opened within this time are a simultaneous open, resolved by site id; an
/// older one has failed without this side's notice and gives way to the newer.
pub(super) const SIMULTANEOUS_OPEN: Span = Span::from_ms(3_000);

/// How long an acknowledgement waits for others to go with it.
pub(super) const ACK_DELAY: Span = Span::from_ms(10);

/// Shortest time a delegate has to acknowledge, and the time for one that must be dialled first.
pub(super) const DELEGATE_TIMEOUT_MIN: Span = Span::from_ms(150);
/// See [`DELEGATE_TIMEOUT_MIN`].
pub(super) const DELEGATE_TIMEOUT_DIAL: Span = Span::from_ms(600);

/// How long a changed head waits before it is announced, so that several go together.
pub(super) const DIGEST_DELAY: Span = Span::from_ms(100);

/// How often each changed head is announced, each time to other peers.
pub(super) const DIGEST_ROUNDS: u8 = 2;

/// Peers that a digest goes to, and that a head goes to whose changeset was too large to broadcast.
pub(super) const DIGEST_FANOUT: usize = 1;
/// See [`DIGEST_FANOUT`].
pub(super) const DIGEST_FANOUT_URGENT: usize = 8;

/// How long a version may be missing before it is pulled, since broadcast usually brings it sooner: at least the first,
/// and twice the longest round trip up to the second.
pub(super) const PULL_GRACE_MIN: Span = Span::from_ms(60);
/// See [`PULL_GRACE_MIN`].
pub(super) const PULL_GRACE_MAX: Span = Span::from_ms(500);

/// How often needs are looked at while there are any.
pub(super) const PULL_INTERVAL: Span = Span::from_ms(20);

/// A pull without progress for this long is given up and tried with another peer.
pub(super) const PULL_STALL: Span = Span::from_ms(4_000);

/// How long a peer is not asked for an origin that it could not serve: at first, doubling up to the second.
pub(super) const PULL_PENALTY_MIN: Span = Span::from_ms(200);
/// See [`PULL_PENALTY_MIN`].
pub(super) const PULL_PENALTY_MAX: Span = Span::from_ms(10_000);

/// How long a node waits after a state that it did not get before it asks for one again: at first, doubling up to the second.
pub(super) const STATE_RETRY_MIN: Span = Span::from_ms(200);
/// See [`STATE_RETRY_MIN`].
pub(super) const STATE_RETRY_MAX: Span = Span::from_ms(10_000);

/// How long a peer whose state is being fetched may be away before another one is asked, from the start.
pub(super) const STATE_PATIENCE: Span = Span::from_ms(15_000);

/// How long a changeset that waits for a schema waits before it is offered again, besides at every schema change: at first,
/// doubling up to [`REJECTED_RETRY_MAX`].
pub(super) const SCHEMA_RETRY: Span = Span::from_ms(500);

/// How long a rejected changeset waits before it is fetched and offered again: at first, doubling up to the second.
pub(super) const REJECTED_RETRY_MIN: Span = Span::from_ms(200);
/// See [`REJECTED_RETRY_MIN`].
pub(super) const REJECTED_RETRY_MAX: Span = Span::from_ms(60_000);

/// How often full heads are sent to one peer at most, when fingerprints differ.
pub(super) const HEADS_INTERVAL: Span = Span::from_ms(1_000);

/// How often connections, contacts and persistence are looked at.
pub(super) const UPKEEP_INTERVAL: Span = Span::from_ms(1_000);

/// How long to wait before dialling the same address again: at first, doubling up to the second.
pub(super) const REDIAL_MIN: Span = Span::from_ms(500);
/// See [`REDIAL_MIN`].
pub(super) const REDIAL_MAX: Span = Span::from_ms(5_000);

/// A suspect heard from within this time is not declared dead: its datagrams are lost, it is not.
pub(super) const SUSPECT_VETO: Span = Span::from_ms(2_500);
