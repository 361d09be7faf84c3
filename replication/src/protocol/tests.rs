//! Laws of the codecs and of the tree, and decoders under arbitrary bytes.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use crate::types::{Chunk, DbVersion, EncodedChangeset, Progress, SiteId};

use super::message::{Datagram, Frame, Hello, MemberRecord, PullStatus};
use super::pull::{Pulls, pieces};
use super::tree::{HashRange, place, split};
use super::wire::{Reader, put_varint};
use super::{
    Address, ClusterId, Incarnation, Input, LinkId, NodeIdentity, Output, Replica, ReplicaConfig,
    Time, Tuning, split_frame,
};

const CLUSTER: ClusterId = ClusterId(9);

fn sites() -> impl Strategy<Value = SiteId> {
    any::<[u8; 16]>().prop_map(SiteId)
}

fn bodies() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn identities() -> impl Strategy<Value = NodeIdentity> {
    (sites(), "[a-z]{1,20}", 1..=u16::MAX, any::<u64>()).prop_map(
        |(site, host, port, incarnation)| NodeIdentity {
            site,
            address: Address::new(format!("{host}:{port}")).unwrap(),
            incarnation: Incarnation(incarnation),
            cluster: CLUSTER,
        },
    )
}

fn heads() -> impl Strategy<Value = Vec<(SiteId, DbVersion)>> {
    proptest::collection::vec((sites(), any::<u64>().prop_map(DbVersion)), 0..20)
}

fn members() -> impl Strategy<Value = MemberRecord> {
    let states =
        prop_oneof![Just(foca::State::Alive), Just(foca::State::Suspect), Just(foca::State::Down)];
    (identities(), any::<u16>(), states).prop_map(|(identity, swim_incarnation, state)| {
        MemberRecord { identity, swim_incarnation, state }
    })
}

fn ranges() -> impl Strategy<Value = HashRange> {
    (any::<u64>(), any::<u64>()).prop_map(|(a, b)| HashRange { low: a.min(b), high: a.max(b) })
}

fn frames() -> impl Strategy<Value = Frame> {
    let statuses = prop_oneof![
        Just(PullStatus::Done),
        Just(PullStatus::Trimmed),
        Just(PullStatus::Busy),
        Just(PullStatus::Failed)
    ];
    prop_oneof![
        (any::<u64>(), any::<u64>(), identities()).prop_map(
            |(protocol_min, protocol_max, identity)| {
                Frame::Hello(Hello { protocol_min, protocol_max, identity })
            }
        ),
        any::<u64>().prop_map(|it| Frame::Renew { incarnation: Incarnation(it) }),
        heads().prop_map(Frame::Heads),
        (sites(), 1..u64::MAX, proptest::option::of(ranges()), bodies()).prop_map(
            |(origin, version, range, body)| Frame::Live {
                origin,
                version: DbVersion(version),
                range,
                body
            }
        ),
        any::<u64>().prop_map(|count| Frame::Ack { count }),
        (any::<u64>(), sites(), any::<u64>(), any::<u32>(), any::<u64>()).prop_map(
            |(id, origin, version, chunks, max_bytes)| Frame::Pull {
                id,
                origin,
                after: Progress { version: DbVersion(version), chunks },
                max_bytes
            }
        ),
        (any::<u64>(), bodies()).prop_map(|(id, bytes)| Frame::PullData { id, bytes }),
        (any::<u64>(), statuses).prop_map(|(id, status)| Frame::PullEnd { id, status }),
        any::<u64>().prop_map(|id| Frame::PullCancel { id }),
        proptest::collection::vec(members(), 0..10).prop_map(Frame::Members),
    ]
}

fn decode_whole(encoded: &Bytes) -> Frame {
    let mut buffer = BytesMut::from(encoded.as_ref());
    let frame = split_frame(&mut buffer).unwrap().expect("a whole frame");
    assert!(buffer.is_empty());
    Frame::decode(frame, CLUSTER).unwrap()
}

fn replica() -> Replica {
    let identity = NodeIdentity {
        site: SiteId([1; 16]),
        address: Address::new("here:1").unwrap(),
        incarnation: Incarnation(1),
        cluster: CLUSTER,
    };
    let config = ReplicaConfig {
        identity,
        join: Vec::new(),
        known: Vec::new(),
        tuning: Tuning::default(),
        seed: 1,
    };
    Replica::new(Time(1), config, &crate::types::ProgressBySite::new())
}

fn is_closed(replica: &mut Replica) -> bool {
    std::iter::from_fn(|| replica.poll_output()).any(|it| matches!(it, Output::Close { .. }))
}

proptest! {
    /// What is encoded is decoded as it was.
    #[test]
    fn frames_round_trip(frame in frames()) {
        prop_assert_eq!(decode_whole(&frame.encode()), frame);
    }

    #[test]
    fn varints_round_trip(value in any::<u64>()) {
        let mut out = BytesMut::new();
        put_varint(&mut out, value);
        prop_assert_eq!(out.len(), super::wire::varint_len(value));
        prop_assert_eq!(Reader::new(out.freeze()).varint(), Ok(value));
    }

    #[test]
    fn digests_round_trip(heads in heads()) {
        let datagram = Datagram::Digest(heads);
        prop_assert_eq!(Datagram::decode(datagram.encode()).unwrap(), datagram);
    }

    /// Arbitrary bytes are decoded or refused; a cut-off frame is refused.
    #[test]
    fn decoders_survive_anything(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let _frame = Frame::decode(bytes.clone(), CLUSTER);
        let _datagram = Datagram::decode(bytes.clone());
        let mut buffer = BytesMut::from(bytes.as_ref());
        while let Ok(Some(_)) = split_frame(&mut buffer) {}
    }

    /// A frame with one byte changed or its end cut off is decoded or refused.
    #[test]
    fn damaged_frames_do_no_harm(
        frame in frames(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = frame.encode().to_vec();
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let cut = Bytes::copy_from_slice(&bytes[..index]);
        let mut buffer = BytesMut::from(bytes.as_slice());
        if let Ok(Some(damaged)) = split_frame(&mut buffer) {
            let _decoded = Frame::decode(damaged, CLUSTER);
        }
        let _cut = Frame::decode(cut, CLUSTER);
    }

    /// Garbage from a peer that has not said `Hello` closes its connection; from one that has, at most that.
    #[test]
    fn garbage_closes_at_most_its_connection(
        greeted in any::<bool>(),
        identity in identities(),
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let mut replica = replica();
        let link = LinkId(1);
        replica.handle(Time(2), Input::Connected { link, dial: None });
        if greeted {
            let hello = Frame::Hello(Hello { protocol_min: 1, protocol_max: 1, identity });
            let mut buffer = BytesMut::from(hello.encode().as_ref());
            let bytes = split_frame(&mut buffer).unwrap().unwrap();
            replica.handle(Time(3), Input::Frame { link, bytes });
            prop_assert!(!is_closed(&mut replica));
        }
        let bytes = Bytes::from(bytes);
        replica.handle(Time(4), Input::Datagram { link, bytes: bytes.clone() });
        let valid = Frame::decode(bytes.clone(), CLUSTER).is_ok();
        replica.handle(Time(5), Input::Frame { link, bytes });
        let closed = is_closed(&mut replica);
        prop_assert!(closed || (greeted && valid));
        replica.handle_timeout(Time(6));
    }

    /// The parts of a range are disjoint, leave out this node alone, and hold every member once.
    #[test]
    fn parts_tile_the_range(
        sites in proptest::collection::btree_set(sites(), 1..60),
        me in sites(),
        range in ranges(),
        fanout in 1_usize..12,
    ) {
        let origin = SiteId([3; 16]);
        let mine = place(me, origin);
        let mut members: Vec<(u64, SiteId)> = sites
            .into_iter()
            .filter(|&site| site != me)
            .map(|site| (place(site, origin), site))
            .filter(|&(place, _)| range.contains(place))
            .collect();
        members.sort_unstable();
        let parts = split(range, mine, &members, fanout);
        prop_assert!(parts.len() <= fanout + 1);
        let mut seen = BTreeSet::new();
        let mut last: Option<u64> = None;
        for part in &parts {
            prop_assert!(!part.members.is_empty());
            prop_assert!(range.covers(part.range) && !part.range.contains(mine));
            prop_assert!(last.is_none_or(|last| last < part.range.low));
            last = Some(part.range.high);
            for &(place, site) in &part.members {
                prop_assert!(part.range.contains(place));
                prop_assert!(seen.insert(site));
            }
        }
        prop_assert_eq!(seen.len(), members.len());
    }

    /// Records survive being cut into pieces, whatever their sizes.
    #[test]
    fn records_survive_their_pieces(
        sizes in proptest::collection::vec((0_usize..200_000, any::<bool>()), 1..6),
        again in 1_usize..5_000,
    ) {
        let origin = SiteId([4; 16]);
        let after = Progress { version: DbVersion(4), chunks: 2 };
        let mut at = after;
        let changes: Vec<EncodedChangeset> = sizes
            .iter()
            .map(|&(size, is_last)| {
                let (version, index) = at.next();
                let chunk = Chunk { index, is_last };
                at = Progress::with(version, chunk);
                EncodedChangeset { site: origin, version, chunk, body: vec![7; size].into() }
            })
            .collect();
        let mut pulls = Pulls::default();
        let id = pulls.start(Time(0), origin, after, LinkId(1), SiteId([5; 16]));
        let mut arrived = Vec::new();
        for piece in pieces(&changes) {
            for cut in piece.chunks(again) {
                arrived.extend(pulls.on_data(Time(0), LinkId(1), id, cut).unwrap());
            }
        }
        prop_assert_eq!(arrived, changes);
    }

    /// Records that do not continue what was asked for are refused.
    #[test]
    fn records_out_of_order_are_refused(
        (version, index) in (4_u64..8, 0_u32..4),
        is_last in any::<bool>(),
    ) {
        let origin = SiteId([4; 16]);
        let after = Progress { version: DbVersion(5), chunks: 2 };
        let chunk = Chunk { index, is_last };
        let change =
            EncodedChangeset { site: origin, version: DbVersion(version), chunk, body: Bytes::new() };
        let mut pulls = Pulls::default();
        let id = pulls.start(Time(0), origin, after, LinkId(1), SiteId([5; 16]));
        for piece in pieces(&[change]) {
            let arrived = pulls.on_data(Time(0), LinkId(1), id, &piece);
            prop_assert_eq!(arrived.is_ok(), (version, index) == (6, 2));
        }
    }
}
