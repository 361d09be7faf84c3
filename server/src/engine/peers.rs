//! What each member was last known to have, and the heads that all of them are known to have.
//!
//! The network knows of the members it can reach at present; this remembers the others too, in the file's own table
//! `trellis_members`, so that a member that is away does not find the log trimmed when it is back. Who has not been heard
//! of for the **lease** does not count any more, once it is expelled (`maintenance.rs`). A site that is only known as the origin of transactions counts as a
//! member that has nothing, from when it was first seen: it may be away, and not have been told of by others.
//!
//! # Bounds
//! One entry per site that was ever seen. The file is written at most every [`SAVE_US`], so that after a crash a member
//! counts as having a little less, and as having been away a little longer, than it does.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use trellis_replication::protocol::{MemberState, MemberStatus};
use trellis_replication::types::{DbVersion, Heads, SiteId};

/// Shortest time between two writes of the table, microseconds.
const SAVE_US: u64 = 60_000_000;

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS trellis_members (
        site BLOB PRIMARY KEY NOT NULL, heard_us INTEGER NOT NULL, heads BLOB NOT NULL) STRICT, WITHOUT ROWID;";

/// Bytes of a head in the table: the site and the version.
const HEAD_BYTES: usize = 24;

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Peer {
    /// When it was last known to be alive, microseconds of the wall clock.
    heard_us: u64,
    /// What it was last known to have.
    heads: Heads,
}

impl Peer {
    fn is_silent(&self, now_us: u64, lease_us: u64) -> bool {
        now_us.saturating_sub(self.heard_us) > lease_us
    }
}

/// All other members there ever were.
#[derive(Debug, Default)]
pub(super) struct Peers {
    known: BTreeMap<SiteId, Peer>,
    saved_us: u64,
}

/// What the members were known to have at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What all of them had.
    pub(super) all: Heads,
    /// What any of them had.
    pub(super) any: Heads,
    /// Who they were, without this node.
    pub(super) members: BTreeSet<SiteId>,
}

impl Told {
    /// Whether a node with these heads has all that any member had.
    pub(super) fn is_covered_by(&self, heads: &Heads) -> bool {
        self.any.iter().all(|(site, version)| heads.get(site).is_some_and(|head| head >= version))
    }
}

impl Peers {
    /// Takes in what the network knows, the origins that this node has transactions of, and who was let in.
    pub(super) fn hear(
        &mut self,
        now_us: u64,
        own: SiteId,
        heads: &Heads,
        members: &[MemberStatus],
        admitted: &[SiteId],
    ) {
        for member in members.iter().filter(|member| member.site != own) {
            let first = Peer { heard_us: now_us, heads: Heads::new() };
            let peer = self.known.entry(member.site).or_insert(first);
            match member.state {
                MemberState::Local | MemberState::Alive | MemberState::Suspect => {
                    peer.heard_us = now_us;
                }
                MemberState::Down => {}
            }
            if member.connected {
                peer.heads.clone_from(&member.heads);
            }
        }
        for site in heads.keys().chain(admitted).filter(|site| **site != own) {
            self.known.entry(*site).or_insert(Peer { heard_us: now_us, heads: Heads::new() });
        }
    }

    /// Members that have been silent for longer than the lease, and what any member was known to have of them.
    pub(super) fn silent(&self, now_us: u64, lease_us: u64) -> BTreeMap<SiteId, DbVersion> {
        let silent = self.known.iter().filter(|(_, peer)| peer.is_silent(now_us, lease_us));
        silent
            .map(|(site, _)| {
                let told = self.known.values().filter_map(|peer| peer.heads.get(site).copied());
                (*site, told.max().unwrap_or_default())
            })
            .collect()
    }

    /// Members that have not been silent for longer than the lease.
    pub(super) fn members(&self, now_us: u64, lease_us: u64) -> BTreeSet<SiteId> {
        let members = self.known.iter().filter(|(_, peer)| !peer.is_silent(now_us, lease_us));
        members.map(|(site, _)| *site).collect()
    }

    /// What the members had, this node with its own `heads` among them, without those silent for longer than the lease.
    pub(super) fn told(&self, now_us: u64, lease_us: u64, heads: &Heads) -> Told {
        let members = self.members(now_us, lease_us);
        let mut told = Told { all: heads.clone(), any: heads.clone(), members };
        for peer in self.known.values().filter(|peer| !peer.is_silent(now_us, lease_us)) {
            told.all.retain(|site, version| {
                *version = (*version).min(peer.heads.get(site).copied().unwrap_or_default());
                version.0 > 0
            });
            for (site, version) in &peer.heads {
                let any = told.any.entry(*site).or_default();
                *any = (*any).max(*version);
            }
        }
        told
    }

    /// Creates the table, and reads it at `now_us`. The time in which this node did not run is nobody's silence: it counts
    /// from when any peer was last heard.
    pub(super) fn load(sqlite: &Connection, now_us: u64) -> rusqlite::Result<Self> {
        sqlite.execute_batch(CREATE)?;
        let mut select = sqlite.prepare("SELECT site, heard_us, heads FROM trellis_members")?;
        let rows = select.query_map([], |row| {
            let (heard_us, heads): (i64, Vec<u8>) = (row.get(1)?, row.get(2)?);
            Ok((
                SiteId(row.get(0)?),
                Peer { heard_us: heard_us.cast_unsigned(), heads: unpack(&heads) },
            ))
        })?;
        let mut known: BTreeMap<SiteId, Peer> = rows.collect::<rusqlite::Result<_>>()?;
        let stopped_us = known.values().map(|peer| peer.heard_us).max().unwrap_or(now_us);
        for peer in known.values_mut() {
            peer.heard_us = now_us.saturating_sub(stopped_us - peer.heard_us);
        }
        Ok(Self { known, saved_us: 0 })
    }

    /// Whether it is time to write the table.
    pub(super) fn is_save_due(&self, now_us: u64) -> bool {
        !self.known.is_empty() && now_us.saturating_sub(self.saved_us) >= SAVE_US
    }

    /// Writes the table. Inside a write.
    pub(super) fn save(&mut self, now_us: u64, sqlite: &Connection) -> rusqlite::Result<()> {
        let mut upsert = sqlite.prepare_cached(
            "INSERT OR REPLACE INTO trellis_members (site, heard_us, heads) VALUES (?1, ?2, ?3)",
        )?;
        for (site, peer) in &self.known {
            upsert.execute(params![site.0, peer.heard_us.cast_signed(), pack(&peer.heads)])?;
        }
        self.saved_us = now_us;
        Ok(())
    }
}

fn pack(heads: &Heads) -> Vec<u8> {
    heads
        .iter()
        .flat_map(|(site, version)| site.0.into_iter().chain(version.0.to_be_bytes()))
        .collect()
}

fn unpack(bytes: &[u8]) -> Heads {
    let head = |bytes: &[u8]| {
        let (site, version) = bytes.split_at_checked(16)?;
        let version = u64::from_be_bytes(version.try_into().ok()?);
        Some((SiteId(site.try_into().ok()?), DbVersion(version)))
    };
    bytes.chunks(HEAD_BYTES).filter_map(head).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use trellis_replication::protocol::{Address, Incarnation};

    use super::*;

    const LEASE: u64 = 1_000;

    fn site(number: u8) -> SiteId {
        SiteId([number; 16])
    }

    fn heads(versions: &[(u8, u64)]) -> Heads {
        versions.iter().map(|(number, version)| (site(*number), DbVersion(*version))).collect()
    }

    fn member(number: u8, state: MemberState, told: Option<Heads>) -> MemberStatus {
        MemberStatus {
            site: site(number),
            address: Address::new("127.0.0.1:1").unwrap(),
            state,
            incarnation: Incarnation::default(),
            connected: told.is_some(),
            rtt_us: None,
            heads: told.unwrap_or_default(),
            behind: BTreeMap::new(),
            queued_bytes: 0,
            lagging: false,
        }
    }

    #[test]
    fn a_member_that_is_away_holds_the_cut_for_its_lease() {
        let mut peers = Peers::default();
        let own = heads(&[(1, 9), (2, 5), (3, 1)]);
        let two = member(2, MemberState::Alive, Some(heads(&[(1, 9), (2, 6), (3, 1)])));
        let three = member(3, MemberState::Alive, Some(heads(&[(1, 4), (3, 1)])));
        peers.hear(0, site(1), &own, &[two.clone(), three], &[]);
        let told = peers.told(0, LEASE, &own);
        assert_eq!(told.all, heads(&[(1, 4), (3, 1)]));
        assert_eq!(told.any, heads(&[(1, 9), (2, 6), (3, 1)]));
        assert!(!told.is_covered_by(&own), "what node 2 did last is not here yet");

        let away = member(3, MemberState::Down, None);
        peers.hear(900, site(1), &own, &[two.clone(), away], &[]);
        assert_eq!(peers.told(1_000, LEASE, &own).all, heads(&[(1, 4), (3, 1)]));
        assert_eq!(peers.told(1_001, LEASE, &own).all, heads(&[(1, 9), (2, 5), (3, 1)]));

        // A site that is only an origin counts as a member that has nothing.
        let own = heads(&[(1, 9), (2, 5), (3, 1), (4, 7)]);
        peers.hear(1_500, site(1), &own, std::slice::from_ref(&two), &[]);
        assert_eq!(peers.told(1_500, LEASE, &own).all, heads(&[]));

        // So does one that was let in, which nobody has met here.
        let mut peers = Peers::default();
        let own = heads(&[(1, 9), (2, 5)]);
        peers.hear(0, site(1), &own, &[two], &[]);
        let told = peers.told(0, LEASE, &own);
        assert_eq!(told.all, heads(&[(1, 9), (2, 5)]));
        peers.hear(1, site(1), &own, &[], &[site(5)]);
        assert_eq!(peers.told(1, LEASE, &own).all, heads(&[]));
        assert!(!peers.members(1, LEASE).is_subset(&told.members), "what was told before is void");
    }

    #[test]
    fn what_is_known_survives_a_restart() {
        let sqlite = Connection::open_in_memory().unwrap();
        let mut peers = Peers::load(&sqlite, 0).unwrap();
        let own = heads(&[(1, 9)]);
        let two = member(2, MemberState::Alive, Some(heads(&[(1, 9), (2, 6)])));
        peers.hear(7, site(1), &own, &[two], &[]);
        peers.save(7, &sqlite).unwrap();
        assert_eq!(Peers::load(&sqlite, 7).unwrap().known, peers.known);
        // Time in which this node did not run is not the other's silence.
        let later = Peers::load(&sqlite, 7 + 10 * LEASE).unwrap();
        assert_eq!(later.told(7 + 11 * LEASE, LEASE, &own), peers.told(7 + LEASE, LEASE, &own));
        assert_eq!(later.told(8 + 11 * LEASE, LEASE, &own), peers.told(8 + LEASE, LEASE, &own));
    }
}
