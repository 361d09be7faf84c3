//! A store in memory: keeps every origin's changesets in order, and checks what the protocol promises about them.

use std::collections::BTreeMap;

use trellis_replication::protocol::{ApplyResult, ReadLogError, ReadStateError, StateResult};
use trellis_replication::types::{
    Chunk, ContentHash, DbVersion, EncodedChangeset, Heads, Progress, ProgressBySite, SiteId,
    StateChunk, TransferId,
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
    /// Of origins, the last versions that the log does not serve any more.
    pub trimmed: Heads,
    /// States that are being read.
    reading: BTreeMap<SiteId, (TransferId, Vec<StateChunk>)>,
    /// What has come of another's state.
    arriving: Vec<StateChunk>,
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
        if self.trimmed.get(&origin).is_some_and(|trimmed| after.version < *trimmed) {
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

    /// What is known of a site: its last version and another one.
    pub fn past(&self, site: SiteId, version: DbVersion) -> Vec<(DbVersion, ContentHash)> {
        let log = self.logs.get(&site).map(Vec::as_slice).unwrap_or_default();
        let head = DbVersion(log.len() as u64);
        let content = |version: DbVersion| {
            let place = usize::try_from(version.0).unwrap().checked_sub(1)?;
            Some(ContentHash::of(log.get(place)?.iter().map(|chunk| &chunk.body[..])))
        };
        let known = |version| (version, content(version).unwrap_or_default());
        [head, version].map(known).to_vec()
    }

    /// Whether a peer knows another transaction of this site than is here.
    #[allow(dead_code, reason = "used by one test of two")]
    pub fn contradicts(&self, own: SiteId, known: &[(DbVersion, ContentHash)]) -> bool {
        let differs = |(version, there): &(DbVersion, ContentHash)| {
            let here = self.past(own, *version);
            here.iter().any(|(it, here)| it == version && here.contradicts(*there))
        };
        known.iter().any(differs)
    }

    /// Trims the log of all that is there.
    #[allow(dead_code, reason = "used by one test of two")]
    pub fn trim(&mut self) {
        self.trimmed = self.heads();
    }

    /// Forgets the states that are being read.
    #[allow(dead_code, reason = "used by one test of two")]
    pub fn forget_states(&mut self) {
        self.reading.clear();
    }

    /// Reads a part of the state: all there is when its first chunk is read.
    pub fn read_state(
        &mut self,
        (reader, transfer): (SiteId, TransferId),
        chunks: u32,
        max_bytes: usize,
    ) -> Result<Vec<StateChunk>, ReadStateError> {
        let known = self.reading.get(&reader).is_some_and(|(id, _)| *id == transfer);
        if !known && chunks > 0 {
            return Err(ReadStateError::Gone);
        }
        if !known {
            self.reading.insert(reader, (transfer, self.state()));
        }
        let mut bytes = 0;
        let rest = self.reading[&reader].1.iter().skip(chunks as usize);
        let fits = |chunk: &&StateChunk| {
            let first = bytes == 0;
            bytes += chunk.body.len() + 1;
            first || bytes <= max_bytes
        };
        Ok(rest.take_while(fits).cloned().collect())
    }

    /// All changesets as chunks of a state, behind one with the heads that the log does not serve.
    fn state(&self) -> Vec<StateChunk> {
        let head =
            self.heads().into_iter().map(|(site, head)| record(site, head, Chunk::WHOLE, b""));
        let changes = self.logs.values().flatten().flatten();
        let changes = changes.map(|it| record(it.site, it.version, it.chunk, &it.body));
        let bodies: Vec<_> = [head.flatten().collect()].into_iter().chain(changes).collect();
        let last = bodies.len() - 1;
        let chunk = |(place, body): (usize, Vec<u8>)| StateChunk {
            chunk: Chunk { index: u32::try_from(place).unwrap(), is_last: place == last },
            body: body.into(),
        };
        bodies.into_iter().enumerate().map(chunk).collect()
    }

    /// Takes in chunks of a state.
    pub fn apply_state(&mut self, chunks: &[StateChunk]) -> StateResult {
        for chunk in chunks {
            if chunk.chunk.index == 0 {
                self.arriving.clear();
            }
            if chunk.chunk.index as usize != self.arriving.len() {
                return StateResult::Gap;
            }
            self.arriving.push(chunk.clone());
        }
        if !self.arriving.last().is_some_and(|last| last.chunk.is_last) {
            return StateResult::Staged;
        }
        let arrived = std::mem::take(&mut self.arriving);
        for record in arrived[0].body.chunks(RECORD_HEAD) {
            let (site, version, ..) = read_record(record);
            if version.0 > self.logs.get(&site).map_or(0, |log| log.len() as u64) {
                self.trimmed.insert(site, version);
                self.staged.remove(&site);
            }
        }
        let bodies = || arrived[1..].iter().map(|chunk| read_record(&chunk.body));
        if self.refuses_poison && bodies().any(|(.., body)| body.starts_with(b"poison")) {
            return StateResult::Rejected("poison".to_owned());
        }
        let schemas = bodies().filter_map(|(.., body)| body.strip_prefix(b"schema:"));
        let schemas = schemas.map(|schema| std::str::from_utf8(schema).unwrap().parse().unwrap());
        // A state has the schema that it needs.
        let needed = bodies().map(|(.., body)| needed_schema(body));
        self.schema = schemas.chain(needed).chain([self.schema]).max().unwrap();
        for (site, version, chunk, body) in bodies() {
            let change = EncodedChangeset { site, version, chunk, body: body.to_vec().into() };
            let applied = self.apply(&change);
            assert!(!matches!(applied, ApplyResult::Gap), "a state has a gap");
        }
        StateResult::Adopted(self.progress())
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

/// Bytes of a record before its body.
const RECORD_HEAD: usize = 29;

/// A changeset as it lies in a state.
fn record(site: SiteId, version: DbVersion, chunk: Chunk, body: &[u8]) -> Vec<u8> {
    let head = site.0.into_iter().chain(version.0.to_be_bytes());
    let head = head.chain(chunk.index.to_be_bytes()).chain([u8::from(chunk.is_last)]);
    head.chain(body.iter().copied()).collect()
}

fn read_record(record: &[u8]) -> (SiteId, DbVersion, Chunk, &[u8]) {
    let site = SiteId(record[..16].try_into().unwrap());
    let version = DbVersion(u64::from_be_bytes(record[16..24].try_into().unwrap()));
    let index = u32::from_be_bytes(record[24..28].try_into().unwrap());
    (site, version, Chunk { index, is_last: record[28] == 1 }, &record[RECORD_HEAD..])
}
