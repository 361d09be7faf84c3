//! Takes over the state of another node (`snapshot.rs`).
//!
//! Chunks are staged as they come, durably, a SQLite transaction each, in `trellis_state`. When the last one is here, all of
//! them are read and merged in one SQLite transaction, so nobody ever sees a part of a state. What then becomes of this
//! node's own rows is decided by what the two know of each other ([`Relation`]):
//!
//! | this node | relation | its rows |
//! |---|---|---|
//! | has all deletions that are forgotten there | joins | are merged with those of the state, like any changes |
//! | lacks some, and knows nothing that is not in the state | is replaced | are removed: what is not in the state is deleted |
//! | lacks some, and knows something that is not in the state | is stale | stay; the state is not taken over |
//!
//! A stale node cannot go on as it is: which of its rows are to live nobody can tell any more.
//!
//! The log begins anew behind the state. What this node has beyond the state's cut stays in the log, at new positions, so
//! that others still get it from here; readers of the log are told that it was trimmed.
//!
//! # Invariants
//! 1. A state is taken over whole or not at all, with its heads and floors.
//! 2. No head goes back.
//!
//! # Bounds
//! One chunk is held in memory. The file holds all of them twice until the state is taken over. Writers wait while the
//! chunks are merged.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::apply::{ordinal_of, schema_hook};
use super::capture::Mode;
use super::conflict::resolve_due;
use super::connection::{Pending, StoreConnection};
use super::core::Core;
use super::error::{Result, StoreError};
use super::log::{self, Adopted};
use super::merge::{MergeError, TableMerger};
use super::registry::{Entry, Registry, Table, quote};
use super::resolved::Notes;
use crate::crdt::bytes::DecodeError;
use crate::crdt::{IncomingCell, IncomingRow};
use crate::types::{ColumnId, DbVersion, Heads, SiteId, StateChunk, TableId};
use crate::wire::{StateHead, StateOrigin, StateReader, StateRow, StateStamp};

/// The staged chunks.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_state (chunk INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
";

/// What became of chunks of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateOutcome {
    /// They are kept until the last one has come.
    Staged,
    /// They were the last ones: the state is taken over and durable.
    Adopted,
    /// Chunks before them are missing: start over.
    Gap,
    /// This node knows transactions of others that are not in the state: try again when the other node knows them too.
    TooEarly,
    /// This node was away for so long that its own transactions cannot be merged any more.
    Stale,
    /// They are malformed, or the schema hook refused them. Nothing is staged any more.
    Rejected {
        /// Why.
        reason: String,
    },
    /// This node could not take them for a reason of its own. Nothing is staged any more.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What is staged of a state.
#[derive(Debug, Default)]
pub(super) struct Staged {
    chunks: u32,
    head: StateHead,
}

/// What this node and a state know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Joins,
    IsReplaced,
    TooEarly,
    Stale,
}

impl Relation {
    fn of(heads: &Heads, own: SiteId, head: &StateHead) -> Self {
        let known = |site: &SiteId| heads.get(site).copied().unwrap_or_default();
        if head.origins.iter().all(|origin| known(&origin.site) >= origin.forgotten) {
            return Self::Joins;
        }
        let cut = |site: &SiteId| {
            let origin = head.origins.iter().find(|origin| origin.site == *site);
            origin.map_or(DbVersion(0), |origin| origin.version)
        };
        if known(&own) > cut(&own) {
            Self::Stale
        } else if heads.iter().any(|(site, head)| *head > cut(site)) {
            Self::TooEarly
        } else {
            Self::IsReplaced
        }
    }
}

/// Why a state is not taken over.
enum Refusal {
    Outcome(StateOutcome),
    Store(StoreError),
}

impl Refusal {
    fn rejected(reason: impl Into<String>) -> Self {
        Self::Outcome(StateOutcome::Rejected { reason: reason.into() })
    }

    fn into_outcome(self) -> StateOutcome {
        match self {
            Self::Outcome(outcome) => outcome,
            Self::Store(error) => StateOutcome::Failed { reason: error.to_string() },
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::rejected(error.to_string())
    }
}

impl From<MergeError> for Refusal {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Malformed(reason) => Self::rejected(reason),
            MergeError::Store(error) => Self::Store(error),
        }
    }
}

/// See [`super::Store::apply_state`].
pub(super) fn apply(
    core: &Core,
    applier: &mut StoreConnection,
    staged: &mut Staged,
    chunks: &[StateChunk],
) -> StateOutcome {
    let done = stage(core, applier, staged, chunks).and_then(|()| {
        let is_last = chunks.last().is_some_and(|last| last.chunk.is_last);
        if is_last { adopt(core, applier, staged) } else { Ok(StateOutcome::Staged) }
    });
    let outcome = done.unwrap_or_else(|refusal| {
        applier.rollback();
        refusal.into_outcome()
    });
    match &outcome {
        StateOutcome::Staged | StateOutcome::Gap => {}
        StateOutcome::Adopted => *staged = Staged::default(),
        StateOutcome::TooEarly
        | StateOutcome::Stale
        | StateOutcome::Rejected { .. }
        | StateOutcome::Failed { .. } => {
            tracing::warn!(?outcome, "a state is not taken over");
            *staged = Staged::default();
            if let Err(error) = discard(core, applier) {
                applier.rollback();
                tracing::warn!(%error, "staged chunks stay until the next state");
            }
        }
    }
    outcome
}

/// Removes what is staged.
fn discard(core: &Core, applier: &mut StoreConnection) -> Result<()> {
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    applier.sqlite().execute("DELETE FROM trellis_state", [])?;
    applier.commit()?.map_or(Ok(()), Pending::wait)
}

/// Writes chunks beside those that came before them.
fn stage(
    core: &Core,
    applier: &mut StoreConnection,
    staged: &mut Staged,
    chunks: &[StateChunk],
) -> Result<(), Refusal> {
    let mut head = None;
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    let sqlite = applier.sqlite();
    let mut next = staged.chunks;
    for StateChunk { chunk, body } in chunks {
        if chunk.index == 0 {
            let begun = StateHead::decode(body)?;
            refuse(Relation::of(&core.committed().log.heads, core.site, &begun))?;
            head = Some(begun);
            sqlite.execute("DELETE FROM trellis_state", [])?;
        } else if chunk.index == next {
            let head = head.as_ref().unwrap_or(&staged.head);
            StateReader::new(body, head.origins.len())?.skip_all()?;
        } else {
            return Err(Refusal::Outcome(StateOutcome::Gap));
        }
        next = chunk.index + 1;
        let mut insert =
            sqlite.prepare_cached("INSERT INTO trellis_state (chunk, body) VALUES (?1, ?2)")?;
        insert.execute(params![chunk.index, &body[..]])?;
    }
    applier.commit()?.map_or(Ok(()), Pending::wait)?;
    staged.chunks = next;
    if let Some(head) = head {
        staged.head = head;
    }
    Ok(())
}

fn refuse(relation: Relation) -> Result<Relation, Refusal> {
    match relation {
        Relation::Joins | Relation::IsReplaced => Ok(relation),
        Relation::TooEarly => Err(Refusal::Outcome(StateOutcome::TooEarly)),
        Relation::Stale => Err(Refusal::Outcome(StateOutcome::Stale)),
    }
}

/// Takes over the state that is staged.
fn adopt(
    core: &Core,
    applier: &mut StoreConnection,
    staged: &Staged,
) -> Result<StateOutcome, Refusal> {
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    if let Some(hook) = schema_hook(core) {
        hook.before_apply(applier.sqlite()).map_err(StoreError::Damaged)?;
    }
    let head = &staged.head;
    let (relation, position, own) = {
        let log = &core.committed().log;
        let own = log.heads.get(&core.site).copied().unwrap_or_default();
        (Relation::of(&log.heads, core.site, head), log.position, own)
    };
    if refuse(relation)? == Relation::IsReplaced {
        clear(applier.sqlite(), &core.registry())?;
    }
    let mut origins = Vec::new();
    let mut adopted = Vec::new();
    for origin in &head.origins {
        let ordinal = ordinal_of(applier, origin.site)?;
        origins.push((ordinal, origin.site));
        let StateOrigin { site, version, forgotten, content } = *origin;
        if site == core.site && version > own {
            core.identity().fetched(applier.sqlite(), version)?;
        }
        adopted.push(Adopted { origin: ordinal, version, forgotten, content });
    }
    let mut adoption = Adoption { core, applier, origins, schema_moved: false };
    for chunk in 1..staged.chunks {
        adoption.part(chunk)?;
    }
    adoption.call_schema_hook()?;
    resolve_due(applier, &mut Notes::default())?;
    raise_floors(applier, &head.floors)?;
    log::adopt(applier.sqlite(), &adopted, position)?;
    applier.sqlite().execute("DELETE FROM trellis_state", [])?;
    let registry = Arc::clone(&applier.capture().state().registry);
    let log = log::load(applier.sqlite(), &registry)?;
    let (heads, position) = (log.heads.clone(), log.position);
    applier.adopted = Some(log);
    applier.commit()?.map_or(Ok(()), Pending::wait)?;
    core.durability.adopt(&heads, position);
    tracing::info!(?relation, chunks = staged.chunks, "the state of another node is taken over");
    Ok(StateOutcome::Adopted)
}

/// Removes all replicated rows, with all that is known of any.
fn clear(sqlite: &Connection, registry: &Registry) -> Result<()> {
    for table in registry.tables() {
        sqlite.execute(&format!("DELETE FROM {}", quote(&table.name)), [])?;
        sqlite.execute(&format!("DELETE FROM trellis_clock_{}", table.ordinal), [])?;
        if table.has_dead_table() {
            sqlite.execute(&format!("DELETE FROM trellis_dead_{}", table.ordinal), [])?;
        }
        table.no_dead.touch();
        table.no_hidden.touch();
    }
    sqlite.execute("DELETE FROM trellis_hidden", [])?;
    Ok(())
}

/// Raises floors to those of the state: what was forgotten there has no tombstone here either.
fn raise_floors(applier: &StoreConnection, floors: &[(TableId, u64)]) -> Result<()> {
    let mut registry = applier.capture().state().registry.as_ref().clone();
    let mut rose = false;
    for (table, floor) in floors {
        rose |= registry.raise_floor(applier.sqlite(), *table, *floor)?;
    }
    if rose {
        applier.capture().state().set_registry(registry.into());
    }
    Ok(())
}

/// A state that is being merged.
struct Adoption<'a> {
    core: &'a Core,
    applier: &'a mut StoreConnection,
    /// Ordinal here and site of each origin of the head.
    origins: Vec<(u32, SiteId)>,
    /// Rows of system tables were merged, and the schema hook has not been called since.
    schema_moved: bool,
}

impl Adoption<'_> {
    /// Merges a chunk.
    fn part(&mut self, chunk: u32) -> Result<(), Refusal> {
        let body: Option<Vec<u8>> = self
            .applier
            .sqlite()
            .prepare_cached("SELECT body FROM trellis_state WHERE chunk = ?1")?
            .query_row([chunk], |row| row.get(0))
            .optional()?;
        let body = body.ok_or_else(|| StoreError::Damaged("a staged chunk is missing".into()))?;
        let mut reader = StateReader::new(&body, self.origins.len())?;
        self.core.expelled.touch();
        while let Some((id, columns)) = reader.next_table()? {
            let mut registry = self.registry();
            let is_system = matches!(registry.entry(id), Some(Entry::Live(table)) if table.system);
            if !is_system {
                self.call_schema_hook()?;
                registry = self.registry();
            }
            match registry.entry(id) {
                Some(Entry::Live(table)) => {
                    self.rows(&mut reader, &registry, table, &columns)?;
                    self.schema_moved |= is_system;
                }
                Some(Entry::Dropped) => {
                    let mut row = StateRow::default();
                    while reader.next_row(columns.len(), &mut row)? {}
                }
                None => return Err(Refusal::rejected(format!("unknown table {}", id.0))),
            }
        }
        Ok(())
    }

    fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.applier.capture().state().registry)
    }

    /// Merges the rows of a table.
    fn rows(
        &self,
        reader: &mut StateReader<'_>,
        registry: &Registry,
        table: &Table,
        columns: &[ColumnId],
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::rejected(format!("a column of table {} is unknown", table.id.0));
        let ordinals = columns.iter().map(|id| table.ordinals.get(id).copied());
        let ordinals: Vec<u32> = ordinals.collect::<Option<_>>().ok_or_else(unknown)?;
        let (sqlite, capture) = (self.applier.sqlite(), self.applier.capture());
        let mut merger = TableMerger::new(sqlite, capture, registry, table)?;
        let mut row = StateRow::default();
        while reader.next_row(columns.len(), &mut row)? {
            self.row(&mut merger, table, &ordinals, &row)?;
        }
        // Nobody is told of single rows, but those that became due are to be tried in the end.
        drop(merger.finish()?);
        Ok(())
    }

    /// Merges a row, transaction by transaction: first the one that began its life, then the others that left something.
    fn row(
        &self,
        merger: &mut TableMerger<'_>,
        table: &Table,
        ordinals: &[u32],
        row: &StateRow<'_>,
    ) -> Result<(), Refusal> {
        let transaction = |stamp: &StateStamp| (stamp.origin, stamp.version);
        let began = row.sentinel.as_ref().map(transaction);
        let mut transactions: Vec<_> =
            row.cells.iter().map(|cell| transaction(&cell.stamp)).collect();
        transactions.sort_unstable();
        transactions.dedup();
        transactions.retain(|other| Some(*other) != began);
        let mut cells = Vec::new();
        for (origin, version) in began.into_iter().chain(transactions) {
            let here = |stamp: &StateStamp| transaction(stamp) == (origin, version);
            cells.clear();
            for cell in row.cells.iter().filter(|cell| here(&cell.stamp)) {
                let column = ordinals.get(cell.column as usize).copied();
                let Some(column) = column.filter(|ordinal| table.cell(*ordinal).is_some()) else {
                    continue;
                };
                let (col_version, seq) = (cell.col_version, cell.stamp.seq);
                cells.push(IncomingCell { column, col_version, seq, value: cell.value });
            }
            let Some(&(ordinal, site)) = self.origins.get(origin as usize) else { continue };
            let sentinel = row.sentinel.filter(here).map(|stamp| stamp.seq);
            let incoming = IncomingRow {
                origin: ordinal,
                site,
                version,
                causal_length: row.causal_length,
                sentinel,
                birth: sentinel.is_some(),
                cells: &cells,
            };
            merger.merge(row.pk, &incoming)?;
        }
        Ok(())
    }

    fn call_schema_hook(&mut self) -> Result<(), Refusal> {
        if !std::mem::take(&mut self.schema_moved) {
            return Ok(());
        }
        let Some(hook) = schema_hook(self.core) else { return Ok(()) };
        hook.system_rows_changed(self.applier).map_err(Refusal::rejected)
    }
}
