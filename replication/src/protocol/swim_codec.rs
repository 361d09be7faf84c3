//! SWIM packets as foca builds them: header, then members.
//!
//! A packet starts with sender and receiver in full. Both are known from the connection it travels on, so
//! [`super::membership`] cuts them off before sending and puts them back on receipt, which makes a probe of 30 bytes
//! out of one of 110.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use foca::{Header, Member, Message};

use crate::types::SiteId;

use super::limits::MEMBERS_MAX;
use super::message::{MemberRecord, put_identity, put_member, read_identity, read_member};
use super::wire::{DecodeError, Reader, put_varint};
use super::{ClusterId, NodeIdentity};

/// Encodes and decodes SWIM packets of one cluster.
pub(super) struct SwimCodec {
    cluster: ClusterId,
    /// Every member ever decoded, so that a peer cannot make up more than [`MEMBERS_MAX`].
    seen: BTreeSet<SiteId>,
}

/// Why a packet was refused or could not be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum SwimCodecError {
    /// The bytes are malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The packet is full; nothing was written.
    #[error("packet is full")]
    Full,
    /// Too many members; this one is not learnt.
    #[error("more than {MEMBERS_MAX} members")]
    TooManyMembers,
}

impl SwimCodec {
    pub(super) fn new(cluster: ClusterId) -> Self {
        Self { cluster, seen: BTreeSet::new() }
    }

    /// Notes a member; refuses one too many.
    pub(super) fn admit(&mut self, site: SiteId) -> Result<(), SwimCodecError> {
        if self.seen.len() >= MEMBERS_MAX && !self.seen.contains(&site) {
            return Err(SwimCodecError::TooManyMembers);
        }
        self.seen.insert(site);
        Ok(())
    }

    fn read<T>(
        &mut self,
        mut buf: impl Buf,
        decode: impl FnOnce(&mut Reader, ClusterId) -> Result<T, DecodeError>,
    ) -> Result<T, SwimCodecError> {
        let mut reader = Reader::new(Bytes::copy_from_slice(buf.chunk()));
        let before = reader.remaining();
        let value = decode(&mut reader, self.cluster)?;
        buf.advance(before - reader.remaining());
        Ok(value)
    }
}

impl foca::Codec<NodeIdentity> for SwimCodec {
    type Error = SwimCodecError;

    fn encode_header(
        &mut self,
        header: &Header<NodeIdentity>,
        buf: impl BufMut,
    ) -> Result<(), SwimCodecError> {
        let mut out = BytesMut::with_capacity(128);
        put_identity(&mut out, &header.src);
        put_identity(&mut out, &header.dst);
        put_varint(&mut out, u64::from(header.src_incarnation));
        put_message(&mut out, &header.message);
        put_whole(&out, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<NodeIdentity>, SwimCodecError> {
        self.read(buf, |reader, cluster| {
            let src = read_identity(reader, cluster)?;
            let dst = read_identity(reader, cluster)?;
            let src_incarnation = read_u16(reader)?;
            let message = read_message(reader, cluster)?;
            Ok(Header { src, src_incarnation, dst, message })
        })
    }

    fn encode_member(
        &mut self,
        member: &Member<NodeIdentity>,
        buf: impl BufMut,
    ) -> Result<(), SwimCodecError> {
        let mut out = BytesMut::with_capacity(64);
        put_member(&mut out, &record(member));
        put_whole(&out, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Member<NodeIdentity>, SwimCodecError> {
        let record = self.read(buf, read_member)?;
        self.admit(record.identity.site)?;
        Ok(Member::new(record.identity, record.swim_incarnation, record.state))
    }
}

/// A member as it is written.
pub(super) fn record(member: &Member<NodeIdentity>) -> MemberRecord {
    MemberRecord {
        identity: member.id().clone(),
        swim_incarnation: member.incarnation(),
        state: member.state(),
    }
}

fn put_whole(bytes: &[u8], mut buf: impl BufMut) -> Result<(), SwimCodecError> {
    if buf.remaining_mut() < bytes.len() {
        return Err(SwimCodecError::Full);
    }
    buf.put_slice(bytes);
    Ok(())
}

fn read_u16(reader: &mut Reader) -> Result<u16, DecodeError> {
    u16::try_from(reader.varint()?).map_err(|_wide| DecodeError::Number)
}

fn put_message(out: &mut BytesMut, message: &Message<NodeIdentity>) {
    let mut indirect = |kind: u8, other: &NodeIdentity, number: u8| {
        out.put_u8(kind);
        put_identity(out, other);
        out.put_u8(number);
    };
    match message {
        Message::Ping(number) => out.put_slice(&[1, *number]),
        Message::Ack(number) => out.put_slice(&[2, *number]),
        Message::PingReq { target, probe_number } => indirect(3, target, *probe_number),
        Message::IndirectPing { origin, probe_number } => indirect(4, origin, *probe_number),
        Message::IndirectAck { target, probe_number } => indirect(5, target, *probe_number),
        Message::ForwardedAck { origin, probe_number } => indirect(6, origin, *probe_number),
        Message::Announce => out.put_u8(7),
        Message::Feed => out.put_u8(8),
        Message::Gossip => out.put_u8(9),
        Message::Broadcast => out.put_u8(10),
        Message::TurnUndead => out.put_u8(11),
    }
}

fn read_message(
    reader: &mut Reader,
    cluster: ClusterId,
) -> Result<Message<NodeIdentity>, DecodeError> {
    let kind = reader.u8()?;
    Ok(match kind {
        1 => Message::Ping(reader.u8()?),
        2 => Message::Ack(reader.u8()?),
        3 => {
            Message::PingReq { target: read_identity(reader, cluster)?, probe_number: reader.u8()? }
        }
        4 => Message::IndirectPing {
            origin: read_identity(reader, cluster)?,
            probe_number: reader.u8()?,
        },
        5 => Message::IndirectAck {
            target: read_identity(reader, cluster)?,
            probe_number: reader.u8()?,
        },
        6 => Message::ForwardedAck {
            origin: read_identity(reader, cluster)?,
            probe_number: reader.u8()?,
        },
        7 => Message::Announce,
        8 => Message::Feed,
        9 => Message::Gossip,
        10 => Message::Broadcast,
        11 => Message::TurnUndead,
        other => return Err(DecodeError::Kind(other)),
    })
}
