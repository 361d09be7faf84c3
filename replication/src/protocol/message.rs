//! The messages between nodes, version 1 of their encoding, and its strict decoder.
//!
//! Frames travel on the two ordered lanes of a connection, each behind its length ([`split_frame`](super::split_frame));
//! datagrams may be lost, doubled or reordered. The first frame of a connection is a `Hello`; until one has been
//! accepted nothing else is looked at, so cluster and sender of every later message are those of its connection.
//!
//! | kind | frame | fields |
//! |---|---|---|
//! | 1 | `Hello` | lowest and highest protocol spoken, cluster, site, incarnation, address |
//! | 2 | `Renew` | incarnation: "I hold this appearance of yours for dead, take the next" |
//! | 3 | `Heads` | (site, version)* |
//! | 4 | `Live` | origin, version, body: for the receiver alone |
//! | 5 | `Live` | the same with the range of members the receiver is to pass it on to |
//! | 6 | `Ack` | how many `Live` frames with a range have arrived on this connection |
//! | 7 | `Pull` | id, origin, version and chunks after which, bytes at most |
//! | 8 | `PullData` | id, a piece of the stream of records (version, chunk, length, body)* |
//! | 9 | `PullEnd` | id, how it ended |
//! | 10 | `PullCancel` | id |
//! | 11 | `Members` | (site, incarnation, address, SWIM incarnation, state)* |
//! | 12 | `StatePull` | id, number of the transfer, chunks after which, bytes at most; answered like a pull |
//! | 13 | `PastAsk` | version: "my last transaction is this, what do you know of me?" |
//! | 14 | `Past` | (version, content)*: of the receiver's site, as the sender has it |
//!
//! Kinds from 128 on are ignored by nodes that do not know them, so that a later version can add hints; unknown kinds
//! below are an error.

use bytes::{BufMut, Bytes, BytesMut};

use crate::types::{ContentHash, DbVersion, Progress, SiteId, TransferId};

use super::limits::{
    ADDRESS_BYTES_MAX, DATAGRAM_BYTES_MAX, FRAME_BYTES_MAX, LIST_ENTRIES_MAX, LIVE_BODY_BYTES_MAX,
    PAST_ENTRIES_MAX,
};
use super::tree::HashRange;
use super::wire::{DecodeError, Reader, put_length, put_varint, varint_len};
use super::{Address, ClusterId, Incarnation, NodeIdentity};

/// Version of the protocol that this code speaks.
pub(super) const PROTOCOL: u64 = 1;

/// What a node says first on a connection, and again when its incarnation changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// Lowest protocol version it understands.
    pub(super) protocol_min: u64,
    /// Highest protocol version it understands.
    pub(super) protocol_max: u64,
    /// Who it is.
    pub(super) identity: NodeIdentity,
}

/// A member as it is told to one that joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberRecord {
    /// Who it is.
    pub(super) identity: NodeIdentity,
    /// SWIM's own counter, raised to refute a suspicion.
    pub(super) swim_incarnation: u16,
    /// SWIM's state.
    pub(super) state: foca::State,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PullStatus {
    /// All that was asked for, or all that there was, has been sent.
    Done,
    /// The log no longer reaches back that far.
    Trimmed,
    /// Too many pulls wait here.
    Busy,
    /// The log could not be read.
    Failed,
}

/// A frame of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Hello(Hello),
    Renew {
        incarnation: Incarnation,
    },
    Heads(Vec<(SiteId, DbVersion)>),
    Live {
        origin: SiteId,
        version: DbVersion,
        range: Option<HashRange>,
        body: Bytes,
    },
    Ack {
        count: u64,
    },
    Pull {
        id: u64,
        origin: SiteId,
        after: Progress,
        max_bytes: u64,
    },
    PullData {
        id: u64,
        bytes: Bytes,
    },
    PullEnd {
        id: u64,
        status: PullStatus,
    },
    PullCancel {
        id: u64,
    },
    Members(Vec<MemberRecord>),
    StatePull {
        id: u64,
        transfer: TransferId,
        chunks: u32,
        max_bytes: u64,
    },
    PastAsk {
        version: DbVersion,
    },
    Past(Vec<(DbVersion, ContentHash)>),
    /// A hint of a later version.
    Unknown,
}

impl Frame {
    /// The frame behind its length, as it is written to a lane.
    pub(super) fn encode(&self) -> Bytes {
        let mut body = BytesMut::with_capacity(64);
        let mut tail = None;
        match self {
            Self::Hello(hello) => put_hello(&mut body, hello),
            Self::Renew { incarnation } => {
                body.put_u8(2);
                put_varint(&mut body, incarnation.0);
            }
            Self::Heads(heads) => {
                body.put_u8(3);
                put_heads(&mut body, heads);
            }
            Self::Live { origin, version, range, body: changeset } => {
                body.put_u8(if range.is_some() { 5 } else { 4 });
                body.put_slice(&origin.0);
                put_varint(&mut body, version.0);
                if let Some(range) = range {
                    body.put_u64(range.low);
                    body.put_u64(range.high);
                }
                tail = Some(changeset);
            }
            Self::Ack { count } => {
                body.put_u8(6);
                put_varint(&mut body, *count);
            }
            Self::Pull { id, origin, after, max_bytes } => {
                body.put_u8(7);
                put_varint(&mut body, *id);
                body.put_slice(&origin.0);
                put_varint(&mut body, after.version.0);
                put_varint(&mut body, u64::from(after.chunks));
                put_varint(&mut body, *max_bytes);
            }
            Self::PullData { id, bytes } => {
                body.put_u8(8);
                put_varint(&mut body, *id);
                tail = Some(bytes);
            }
            Self::PullEnd { id, status } => {
                body.put_u8(9);
                put_varint(&mut body, *id);
                body.put_u8(*status as u8);
            }
            Self::PullCancel { id } => {
                body.put_u8(10);
                put_varint(&mut body, *id);
            }
            Self::Members(members) => put_members(&mut body, members),
            Self::StatePull { id, transfer, chunks, max_bytes } => {
                body.put_u8(12);
                put_varint(&mut body, *id);
                body.put_u64(transfer.0);
                put_varint(&mut body, u64::from(*chunks));
                put_varint(&mut body, *max_bytes);
            }
            Self::PastAsk { version } => {
                body.put_u8(13);
                put_varint(&mut body, version.0);
            }
            Self::Past(known) => put_past(&mut body, known),
            Self::Unknown => body.put_u8(128),
        }
        delimited(&body, tail)
    }

    /// Decodes one frame without its length.
    pub(super) fn decode(bytes: Bytes, cluster: ClusterId) -> Result<Self, DecodeError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        let frame = match reader.u8()? {
            1 => Self::Hello(read_hello(&mut reader)?),
            2 => Self::Renew { incarnation: Incarnation(reader.varint()?) },
            3 => Self::Heads(read_heads(&mut reader)?),
            kind @ (4 | 5) => return read_live(reader, kind == 5),
            6 => Self::Ack { count: reader.varint()? },
            7 => Self::Pull {
                id: reader.varint()?,
                origin: reader.site()?,
                after: Progress { version: reader.version()?, chunks: reader.u32()? },
                max_bytes: reader.varint()?,
            },
            8 => return Ok(Self::PullData { id: reader.varint()?, bytes: reader.rest() }),
            9 => Self::PullEnd { id: reader.varint()?, status: read_status(&mut reader)? },
            10 => Self::PullCancel { id: reader.varint()? },
            11 => Self::Members(read_members(&mut reader, cluster)?),
            12 => Self::StatePull {
                id: reader.varint()?,
                transfer: TransferId(reader.u64()?),
                chunks: reader.u32()?,
                max_bytes: reader.varint()?,
            },
            13 => Self::PastAsk { version: reader.version()? },
            14 => Self::Past(read_past(&mut reader)?),
            kind if kind >= 128 => return Ok(Self::Unknown),
            kind => return Err(DecodeError::Kind(kind)),
        };
        reader.end()?;
        Ok(frame)
    }
}

fn delimited(head: &BytesMut, tail: Option<&Bytes>) -> Bytes {
    let length = head.len() + tail.map_or(0, Bytes::len);
    let mut out = BytesMut::with_capacity(varint_len(length as u64) + length);
    put_length(&mut out, length);
    out.put_slice(head);
    if let Some(tail) = tail {
        out.put_slice(tail);
    }
    out.freeze()
}

fn put_hello(out: &mut BytesMut, hello: &Hello) {
    out.put_u8(1);
    put_varint(out, hello.protocol_min);
    put_varint(out, hello.protocol_max);
    out.put_u64(hello.identity.cluster.0);
    put_identity(out, &hello.identity);
}

/// A `Hello` may be longer than this version knows: later versions append fields.
fn read_hello(reader: &mut Reader) -> Result<Hello, DecodeError> {
    let protocol_min = reader.varint()?;
    let protocol_max = reader.varint()?;
    let cluster = ClusterId(reader.u64()?);
    let identity = read_identity(reader, cluster)?;
    Ok(Hello { protocol_min, protocol_max, identity })
}

fn read_live(mut reader: Reader, ranged: bool) -> Result<Frame, DecodeError> {
    let origin = reader.site()?;
    let version = reader.version()?;
    if version.0 == 0 {
        return Err(DecodeError::Number);
    }
    let range = if ranged {
        let range = HashRange { low: reader.u64()?, high: reader.u64()? };
        if range.low > range.high {
            return Err(DecodeError::Number);
        }
        Some(range)
    } else {
        None
    };
    let body = reader.rest();
    if body.len() > LIVE_BODY_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    Ok(Frame::Live { origin, version, range, body })
}

fn read_status(reader: &mut Reader) -> Result<PullStatus, DecodeError> {
    match reader.u8()? {
        0 => Ok(PullStatus::Done),
        1 => Ok(PullStatus::Trimmed),
        2 => Ok(PullStatus::Busy),
        3 => Ok(PullStatus::Failed),
        other => Err(DecodeError::Kind(other)),
    }
}

/// Appends an identity without its cluster, which the connection knows.
pub(super) fn put_identity(out: &mut impl BufMut, identity: &NodeIdentity) {
    out.put_slice(&identity.site.0);
    put_varint(out, identity.incarnation.0);
    put_length(out, identity.address.as_str().len());
    out.put_slice(identity.address.as_str().as_bytes());
}

/// Bytes that [`put_identity`] takes.
pub(super) fn identity_len(identity: &NodeIdentity) -> usize {
    let address = identity.address.as_str().len();
    16 + varint_len(identity.incarnation.0) + varint_len(address as u64) + address
}

/// Reads an identity of the cluster.
pub(super) fn read_identity(
    reader: &mut Reader,
    cluster: ClusterId,
) -> Result<NodeIdentity, DecodeError> {
    let site = reader.site()?;
    let incarnation = Incarnation(reader.varint()?);
    let length = reader.length(ADDRESS_BYTES_MAX)?;
    let text = reader.bytes(length)?;
    let text = std::str::from_utf8(&text).map_err(|_utf8| DecodeError::Text)?;
    let address = Address::new(text).map_err(|_invalid| DecodeError::Text)?;
    Ok(NodeIdentity { site, address, incarnation, cluster })
}

fn put_heads(out: &mut BytesMut, heads: &[(SiteId, DbVersion)]) {
    put_length(out, heads.len());
    for (site, version) in heads {
        out.put_slice(&site.0);
        put_varint(out, version.0);
    }
}

fn read_heads(reader: &mut Reader) -> Result<Vec<(SiteId, DbVersion)>, DecodeError> {
    let count = reader.length(LIST_ENTRIES_MAX)?;
    (0..count).map(|_| Ok((reader.site()?, reader.version()?))).collect()
}

fn put_past(out: &mut BytesMut, known: &[(DbVersion, ContentHash)]) {
    out.put_u8(14);
    put_length(out, known.len());
    for (version, content) in known {
        put_varint(out, version.0);
        out.put_u64(content.0);
    }
}

fn read_past(reader: &mut Reader) -> Result<Vec<(DbVersion, ContentHash)>, DecodeError> {
    let count = reader.length(PAST_ENTRIES_MAX)?;
    (0..count).map(|_| Ok((reader.version()?, ContentHash(reader.u64()?)))).collect()
}

fn put_members(out: &mut BytesMut, members: &[MemberRecord]) {
    out.put_u8(11);
    put_length(out, members.len());
    for member in members {
        put_member(out, member);
    }
}

/// Appends a member.
pub(super) fn put_member(out: &mut impl BufMut, member: &MemberRecord) {
    put_identity(out, &member.identity);
    put_varint(out, u64::from(member.swim_incarnation));
    out.put_u8(match member.state {
        foca::State::Alive => 0,
        foca::State::Suspect => 1,
        foca::State::Down => 2,
    });
}

/// Reads a member of the cluster.
pub(super) fn read_member(
    reader: &mut Reader,
    cluster: ClusterId,
) -> Result<MemberRecord, DecodeError> {
    let identity = read_identity(reader, cluster)?;
    let swim_incarnation = u16::try_from(reader.varint()?).map_err(|_wide| DecodeError::Number)?;
    let state = match reader.u8()? {
        0 => foca::State::Alive,
        1 => foca::State::Suspect,
        2 => foca::State::Down,
        other => return Err(DecodeError::Kind(other)),
    };
    Ok(MemberRecord { identity, swim_incarnation, state })
}

fn read_members(reader: &mut Reader, cluster: ClusterId) -> Result<Vec<MemberRecord>, DecodeError> {
    let count = reader.length(LIST_ENTRIES_MAX)?;
    (0..count).map(|_| read_member(reader, cluster)).collect()
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Datagram {
    /// A SWIM packet between the two ends of the connection, and the sender's fingerprint of its heads.
    Swim {
        /// Sender's fingerprint of its applied heads: equal fingerprints mean that neither lacks anything.
        fingerprint: u64,
        /// Appearance of the sender.
        from: Incarnation,
        /// Appearance of the receiver that is meant.
        to: Incarnation,
        /// The packet without its two leading identities.
        packet: Bytes,
    },
    /// Heads that changed lately at the sender.
    Digest(Vec<(SiteId, DbVersion)>),
}

impl Datagram {
    /// The datagram's bytes.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(128);
        match self {
            Self::Swim { fingerprint, from, to, packet } => {
                out.put_u8(1);
                out.put_u64(*fingerprint);
                put_varint(&mut out, from.0);
                put_varint(&mut out, to.0);
                out.put_slice(packet);
            }
            Self::Digest(heads) => {
                out.put_u8(2);
                put_heads(&mut out, heads);
            }
        }
        out.freeze()
    }

    /// Decodes a datagram.
    pub(super) fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        if bytes.len() > DATAGRAM_BYTES_MAX + 64 {
            return Err(DecodeError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            1 => Ok(Self::Swim {
                fingerprint: reader.u64()?,
                from: Incarnation(reader.varint()?),
                to: Incarnation(reader.varint()?),
                packet: reader.rest(),
            }),
            2 => {
                let heads = read_heads(&mut reader)?;
                reader.end()?;
                Ok(Self::Digest(heads))
            }
            kind => Err(DecodeError::Kind(kind)),
        }
    }
}
