//! A store in memory: keeps every origin's changesets in order, and checks what the protocol promises about them.

use std::collections::BTreeMap;

use trellis_replication::protocol::{ApplyResult, ReadLogError};
use trellis_replication::types::{DbVersion, EncodedChangeset, Heads, SiteId};

/// Logs of all origins. A body that starts with `needs:N` is not applied before `schema` has reached N.
#[derive(Default, Debug, Clone)]
pub struct MemoryStore {
    logs: BTreeMap<SiteId, Vec<EncodedChangeset>>,
    /// The schema this store has.
    pub schema: u64,
    /// Whether changesets that start with `poison` are refused.
    pub refuses_poison: bool,
}

impl MemoryStore {
    /// The last version of every origin.
    pub fn heads(&self) -> Heads {
        let held = self.logs.iter().filter(|(_, log)| !log.is_empty());
        held.map(|(&site, log)| (site, DbVersion(log.len() as u64))).collect()
    }

    /// Appends a local transaction and returns it.
    pub fn commit(&mut self, site: SiteId, body: Vec<u8>) -> EncodedChangeset {
        let log = self.logs.entry(site).or_default();
        let version = DbVersion(log.len() as u64 + 1);
        let change = EncodedChangeset { site, version, body: body.into() };
        log.push(change.clone());
        change
    }

    /// Applies one changeset.
    pub fn apply(&mut self, change: &EncodedChangeset) -> ApplyResult {
        let log = self.logs.entry(change.site).or_default();
        let head = log.len() as u64;
        if change.version.0 <= head {
            let known = &log[usize::try_from(change.version.0).unwrap() - 1];
            assert_eq!(known, change, "two different changesets with one number");
            return ApplyResult::AlreadyKnown;
        }
        if change.version.0 > head + 1 {
            return ApplyResult::Gap;
        }
        if needed_schema(&change.body) > self.schema {
            return ApplyResult::NeedsSchema;
        }
        if self.refuses_poison && change.body.starts_with(b"poison") {
            return ApplyResult::Rejected("poison".to_owned());
        }
        log.push(change.clone());
        ApplyResult::Applied
    }

    /// Reads a suffix of an origin's log.
    pub fn read_log(
        &self,
        origin: SiteId,
        after: DbVersion,
        max_bytes: usize,
    ) -> Result<Vec<EncodedChangeset>, ReadLogError> {
        let log = self.logs.get(&origin).map(Vec::as_slice).unwrap_or_default();
        let mut bytes = 0;
        let suffix = log.iter().skip(usize::try_from(after.0).unwrap());
        let fits = |change: &&EncodedChangeset| {
            let first = bytes == 0;
            bytes += change.body.len() + 1;
            first || bytes <= max_bytes
        };
        Ok(suffix.take_while(fits).cloned().collect())
    }

    /// Bodies of one origin, in order.
    pub fn bodies(&self, origin: SiteId) -> Vec<Vec<u8>> {
        let log = self.logs.get(&origin).map(Vec::as_slice).unwrap_or_default();
        log.iter().map(|change| change.body.to_vec()).collect()
    }
}

fn needed_schema(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body.get(..12).unwrap_or(body)).unwrap_or_default();
    let number = text.strip_prefix("needs:").and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
