//! A store in memory: keeps every origin's changesets in order, and checks what the protocol promises about them.

use std::cell::Cell;
use std::collections::BTreeMap;

use trellis_replication::protocol::{ApplyResult, ReadLogError};
use trellis_replication::types::{
    Chunk, DbVersion, EncodedChangeset, Heads, Progress, ProgressBySite, SiteId,
};

/// Logs of all origins, each transaction with its chunks, and the chunks that wait for the last of theirs. A body that starts with `needs:N` is not applied before `schema` has reached N.
#[derive(Default, Debug, Clone)]
pub struct MemoryStore {
    logs: BTreeMap<SiteId, Vec<Vec<EncodedChangeset>>>,
    staged: BTreeMap<SiteId, Vec<EncodedChangeset>>,
    /// The schema this store has.
    pub schema: u64,
    /// Whether changesets that start with `poison` are refused.
    pub refuses_poison: bool,
    /// Whether the rest of a transaction is refused until it is served from its first chunk on, as of a trimmed log.
    pub refuses_rest: Cell<bool>,
}

impl MemoryStore {
    /// The last version of every origin.
    pub fn heads(&self) -> Heads {
        let held = self.logs.iter().filter(|(_, log)| !log.is_empty());
        held.map(|(&site, log)| (site, DbVersion(log.len() as u64))).collect()
    }

    /// How far each origin's changesets have come.
    pub fn progress(&self) -> ProgressBySite {
        let heads = self.heads().into_iter().map(|(site, head)| (site, Progress::from(head)));
        let mut progress: ProgressBySite = heads.collect();
        for (&site, staged) in &self.staged {
            progress.entry(site).or_default().chunks = u32::try_from(staged.len()).unwrap();
        }
        progress
    }

    /// Appends a local transaction and returns it.
    pub fn commit(&mut self, site: SiteId, body: Vec<u8>) -> EncodedChangeset {
        self.commit_chunks(site, vec![body]);
        self.logs[&site].last().unwrap()[0].clone()
    }

    /// Appends a local transaction of these chunks and returns its version.
    pub fn commit_chunks(&mut self, site: SiteId, bodies: Vec<Vec<u8>>) -> DbVersion {
        let log = self.logs.entry(site).or_default();
        let version = DbVersion(log.len() as u64 + 1);
        let last = u32::try_from(bodies.len()).unwrap() - 1;
        let chunks = (0..).zip(bodies).map(|(index, body)| {
            let chunk = Chunk { index, is_last: index == last };
            EncodedChangeset { site, version, chunk, body: body.into() }
        });
        log.push(chunks.collect());
        version
    }

    /// Applies one changeset.
    pub fn apply(&mut self, change: &EncodedChangeset) -> ApplyResult {
        let log = self.logs.entry(change.site).or_default();
        let staged = self.staged.entry(change.site).or_default();
        let (head, index) = (log.len() as u64, change.chunk.index as usize);
        let known = match change.version.0 {
            version if version <= head => log[usize::try_from(version).unwrap() - 1].get(index),
            version if version == head + 1 => staged.get(index),
            _ => return ApplyResult::Gap,
        };
        if let Some(known) = known {
            assert_eq!(known, change, "two different changesets with one number");
            return ApplyResult::AlreadyKnown;
        }
        assert!(change.version.0 > head, "a transaction has fewer chunks here");
        if index > staged.len() {
            return ApplyResult::Gap;
        }
        if needed_schema(&change.body) > self.schema {
            return ApplyResult::NeedsSchema;
        }
        if self.refuses_poison && change.body.starts_with(b"poison") {
            staged.clear();
            return ApplyResult::Rejected("poison".to_owned());
        }
        staged.push(change.clone());
        if !change.chunk.is_last {
            return ApplyResult::Staged;
        }
        log.push(std::mem::take(staged));
        ApplyResult::Applied
    }

    /// Reads a suffix of an origin's log.
    pub fn read_log(
        &self,
        origin: SiteId,
        after: Progress,
        max_bytes: usize,
    ) -> Result<Vec<EncodedChangeset>, ReadLogError> {
        if after.chunks == 0 {
            self.refuses_rest.set(false);
        } else if self.refuses_rest.get() {
            return Err(ReadLogError::Trimmed);
        }
        let log = self.logs.get(&origin).map(Vec::as_slice).unwrap_or_default();
        let mut bytes = 0;
        let suffix = log.iter().skip(usize::try_from(after.version.0).unwrap()).flatten();
        let fits = |change: &&EncodedChangeset| {
            let first = bytes == 0;
            bytes += change.body.len() + 1;
            first || bytes <= max_bytes
        };
        Ok(suffix.skip(after.chunks as usize).take_while(fits).cloned().collect())
    }

    /// Transactions of one origin, in order.
    pub fn bodies(&self, origin: SiteId) -> Vec<Vec<u8>> {
        let log = self.logs.get(&origin).map(Vec::as_slice).unwrap_or_default();
        let whole = |chunks: &Vec<EncodedChangeset>| {
            chunks.iter().flat_map(|chunk| chunk.body.iter().copied()).collect()
        };
        log.iter().map(whole).collect()
    }
}

fn needed_schema(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body.get(..12).unwrap_or(body)).unwrap_or_default();
    let number = text.strip_prefix("needs:").and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
