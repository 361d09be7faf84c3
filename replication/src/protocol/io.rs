//! What goes into the protocol core and what comes out: the whole of its contact with the world.

use bytes::Bytes;

use crate::types::{
    ContentHash, DbVersion, EncodedChangeset, Progress, ProgressBySite, SiteId, StateChunk,
    TransferId,
};

use super::{
    Address, ApplyResult, Incarnation, Lane, NodeIdentity, ReadLogError, ReadStateError, Span,
    StateResult,
};

/// A connection, numbered by the shell; numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// An attempt to connect, numbered by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// A read of the log, numbered by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection is up; `dial` is the attempt that made it, if this side did.
    Connected {
        /// The connection.
        link: LinkId,
        /// The attempt.
        dial: Option<DialId>,
    },
    /// An attempt to connect has failed.
    DialFailed {
        /// The attempt.
        dial: DialId,
    },
    /// A connection has ended, for whatever reason other than [`Output::Close`].
    Closed {
        /// The connection.
        link: LinkId,
        /// The peer has closed it to leave the cluster.
        leaving: bool,
    },
    /// A frame has arrived, without its length.
    Frame {
        /// The connection.
        link: LinkId,
        /// The frame.
        bytes: Bytes,
    },
    /// A datagram has arrived.
    Datagram {
        /// The connection.
        link: LinkId,
        /// The datagram.
        bytes: Bytes,
    },
    /// Frames have been written to the transport.
    Sent {
        /// The connection.
        link: LinkId,
        /// The lane.
        lane: Lane,
        /// How many.
        frames: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The round-trip time of a connection.
    RoundTrip {
        /// The connection.
        link: LinkId,
        /// The time.
        rtt: Span,
    },
    /// A local transaction is durable. They come in version order; missing ones are found through
    /// [`Input::StoreProgress`].
    Committed(EncodedChangeset),
    /// A local transaction in several chunks is durable, in its turn among the others: peers pull it.
    CommittedChunks(DbVersion),
    /// How far the store is: the answer to [`Output::ReadProgress`], or because commits could not all be handed over.
    StoreProgress(ProgressBySite),
    /// The answer to [`Output::Apply`]: one result per changeset.
    Applied(Vec<ApplyResult>),
    /// The answer to [`Output::ReadLog`].
    LogRead {
        /// The read.
        read: ReadId,
        /// What it found.
        result: Result<Vec<EncodedChangeset>, ReadLogError>,
    },
    /// The answer to [`Output::ReadState`].
    StateRead {
        /// The read.
        read: ReadId,
        /// The chunks.
        result: Result<Vec<StateChunk>, ReadStateError>,
    },
    /// The answer to [`Output::ApplyState`].
    StateApplied(StateResult),
    /// The answer to [`Output::ReadPast`]; nothing if it could not be read.
    PastRead {
        /// The connection.
        link: LinkId,
        /// Versions of the peer's site, and what tells them from others of those numbers.
        known: Vec<(DbVersion, ContentHash)>,
    },
    /// The schema of this node changed.
    SchemaChanged,
    /// An operator has removed what the store refused changesets for: offer them again now.
    RetryBlocked,
    /// The node stops: tell the others.
    Leave,
}

/// Something to be done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Connect to an address; answered by [`Input::Connected`] or [`Input::DialFailed`].
    Dial {
        /// The attempt.
        dial: DialId,
        /// Where to; a name is resolved anew each time.
        address: Address,
    },
    /// Close a connection; not answered.
    Close {
        /// The connection.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Write a frame, which includes its length; answered by [`Input::Sent`].
    Frame {
        /// The connection.
        link: LinkId,
        /// The lane.
        lane: Lane,
        /// The frame behind its length.
        bytes: Bytes,
    },
    /// Send a datagram; not answered.
    Datagram {
        /// The connection.
        link: LinkId,
        /// The datagram.
        bytes: Bytes,
    },
    /// Give changesets to the store; answered by [`Input::Applied`]. There is one at a time.
    Apply(Vec<EncodedChangeset>),
    /// Read the log; answered by [`Input::LogRead`].
    ReadLog {
        /// The read.
        read: ReadId,
        /// Whose changesets.
        origin: SiteId,
        /// After what they start.
        after: Progress,
        /// How much to read.
        max_bytes: usize,
    },
    /// Read a part of the state; answered by [`Input::StateRead`].
    ReadState {
        /// The read.
        read: ReadId,
        /// For whom, and the number of its transfer.
        reader: (SiteId, TransferId),
        /// How many chunks it has.
        chunks: u32,
        /// How much to read.
        max_bytes: usize,
    },
    /// Give chunks of a state to the store; answered by [`Input::StateApplied`]. There is one at a time.
    ApplyState(Vec<StateChunk>),
    /// Read what is known of a site's past; answered by [`Input::PastRead`].
    ReadPast {
        /// The connection whose peer asks.
        link: LinkId,
        /// The peer's site.
        site: SiteId,
        /// Its last version as it says itself.
        version: DbVersion,
    },
    /// Compare this site's past with what a peer knows of it; not answered.
    CheckPast(Vec<(DbVersion, ContentHash)>),
    /// Read how far the store is; answered by [`Input::StoreProgress`].
    ReadProgress,
    /// Keep what a restart needs.
    Persist(Persisted),
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persisted {
    /// The incarnation last used; the next start uses a larger one.
    pub incarnation: Incarnation,
    /// Members last known to be alive.
    pub members: Vec<NodeIdentity>,
}

/// Why the core closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Another connection of the pair is kept.
    Duplicate,
    /// The peer belongs to another cluster.
    ForeignCluster,
    /// The peer is this site: this node itself, or a copy of its database.
    SameSite,
    /// The peer speaks no protocol version that this node speaks.
    Version,
    /// The peer sent bytes that are not valid.
    Invalid,
    /// The peer did not say `Hello` in time, or too many have not.
    Greeting,
    /// The peer is taken for dead.
    Dead,
    /// The peer does not read what it is sent.
    Unread,
}

impl CloseReason {
    /// The code sent to the peer.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Duplicate => 1,
            Self::ForeignCluster => 2,
            Self::SameSite => 3,
            Self::Version => 4,
            Self::Invalid => 5,
            Self::Greeting => 6,
            Self::Dead => 7,
            Self::Unread => 8,
        }
    }

    /// The text sent to the peer.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Duplicate => "another connection is kept",
            Self::ForeignCluster => "another cluster",
            Self::SameSite => "same site",
            Self::Version => "no common protocol version",
            Self::Invalid => "invalid message",
            Self::Greeting => "no hello in time",
            Self::Dead => "taken for dead",
            Self::Unread => "does not read",
        }
    }
}
