//! Applies transactions of other sites.
//!
//! A batch is applied in a few SQLite transactions, each changeset in a savepoint of its own: it is applied whole or
//! leaves nothing. Between the SQLite transactions the lease goes round, so that local writers are not held up for long.
//!
//! Each changeset: known already? next of its origin? then table by table, system tables first; when their rows are merged
//! the schema hook brings the tables up to them, before the rows of those tables are looked at. A changeset that names a
//! table or column not known here is kept out until the schema that it needs has come; one for a table or column that was
//! dropped here is applied as far as it still means something.
//!
//! A chunk is staged, in the same way (`chunks.rs`). The last one of its transaction brings all of them together: they are
//! read and merged one by one, in one savepoint, so the transaction is applied whole like any other. One that is malformed
//! takes those that were staged before it along: the whole transaction is fetched anew.
//!
//! # Bounds
//! One chunk is decoded at a time. [`TRANSACTION_BYTES_MAX`] and [`TRANSACTION_CHANGESETS_MAX`]: as much is applied before others get the lease.

use std::sync::{Arc, PoisonError};

use rusqlite::Connection;

use super::applied::{AppliedTransaction, Content, Impact, ImpactWriter, implied_op};
use super::capture::{Capture, Mode};
use super::chunks::Transaction;
use super::conflict::resolve_due;
use super::connection::{Pending, StoreConnection};
use super::core::Core;
use super::error::{Result, StoreError};
use super::fresh::Gathering;
use super::log;
use super::merge::{MergeError, TableMerger};
use super::messages::message_bytes;
use super::options::SchemaHook;
use super::registry::{Entry, Registry, Table};
use super::resolved::{Notes, Resolved};
use super::roster::ROSTER_TABLE_ID;
use crate::crdt::bytes::DecodeError;
use crate::crdt::{IncomingCell, IncomingRow};
use crate::types::{
    ColumnId, DbVersion, EncodedChangeset, Message, Position, Progress, SiteId, TableId, ValueRef,
};
use crate::wire::{ChangesetReader, RowView, TableView, v1};

/// Bytes of changesets after which a SQLite transaction ends.
const TRANSACTION_BYTES_MAX: usize = 1 << 20;

/// Changesets after which a SQLite transaction ends.
const TRANSACTION_CHANGESETS_MAX: usize = 256;

/// What became of a changeset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// It is applied and durable.
    Applied,
    /// It is a chunk, kept until the last one of its transaction has come.
    Staged,
    /// It had been applied, or staged, before.
    AlreadyKnown,
    /// Earlier ones of its origin are missing; the last that is here is `head`.
    Gap {
        /// The origin's last version here.
        head: DbVersion,
    },
    /// It names a table or column that is not known here: offer it again when more of the schema has come.
    NeedsSchema {
        /// The table.
        table: TableId,
        /// The column, if the table is known.
        column: Option<ColumnId>,
    },
    /// It is malformed, or the schema hook refused it: offering it again helps only if the reason goes away. If it is a
    /// chunk, nothing is staged of its transaction any more.
    Rejected {
        /// Why.
        reason: String,
    },
    /// This node could not apply it for a reason of its own, such as a full disk: offer it again.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Why a changeset is not applied.
enum Refusal {
    Outcome(ApplyOutcome),
    Store(StoreError),
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
        Self::Outcome(ApplyOutcome::Rejected { reason: error.to_string() })
    }
}

impl From<MergeError> for Refusal {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Malformed(reason) => Self::Outcome(ApplyOutcome::Rejected { reason }),
            MergeError::Store(error) => Self::Store(error),
        }
    }
}

/// See [`super::Store::apply`].
pub(super) fn apply(
    core: &Core,
    applier: &mut StoreConnection,
    batch: &[EncodedChangeset],
) -> Vec<ApplyOutcome> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut pending: Option<Pending> = None;
    let mut unsure = 0;
    while let Some(rest) = batch.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
        match apply_transaction(core, applier, rest) {
            Ok((applied, commit)) => {
                outcomes.extend(applied);
                pending = commit.or(pending);
            }
            Err(error) => {
                applier.rollback();
                let failed = ApplyOutcome::Failed { reason: error.to_string() };
                outcomes.resize(batch.len(), failed);
                break;
            }
        }
        unsure = outcomes.len();
    }
    if let Some(Err(error)) = pending.map(Pending::wait) {
        let done = |outcome: &&mut ApplyOutcome| {
            matches!(outcome, ApplyOutcome::Applied | ApplyOutcome::Staged)
        };
        for outcome in outcomes.iter_mut().take(unsure).filter(done) {
            *outcome = ApplyOutcome::Failed { reason: error.to_string() };
        }
    }
    outcomes
}

/// Applies the first changesets of `batch` in one SQLite transaction.
fn apply_transaction(
    core: &Core,
    applier: &mut StoreConnection,
    batch: &[EncodedChangeset],
) -> Result<(Vec<ApplyOutcome>, Option<Pending>)> {
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    if let Some(hook) = schema_hook(core) {
        hook.before_apply(applier.sqlite()).map_err(StoreError::Damaged)?;
    }
    let mut outcomes = Vec::new();
    let mut bytes = 0;
    for changeset in batch {
        if bytes >= TRANSACTION_BYTES_MAX || outcomes.len() >= TRANSACTION_CHANGESETS_MAX {
            break;
        }
        bytes += changeset.body.len();
        outcomes.push(apply_one(core, applier, changeset)?);
    }
    let pending = applier.commit()?;
    Ok((outcomes, pending))
}

/// Applies a changeset, or nothing of it.
fn apply_one(
    core: &Core,
    applier: &mut StoreConnection,
    changeset: &EncodedChangeset,
) -> Result<ApplyOutcome> {
    let (head, position) = present_state(core, applier, changeset);
    if changeset.version <= head {
        return Ok(ApplyOutcome::AlreadyKnown);
    }
    if changeset.version != head.next() {
        return Ok(ApplyOutcome::Gap { head });
    }
    let registry = Arc::clone(&applier.capture().state().registry);
    let limit = core.expelled.limit(applier.sqlite(), &registry, changeset.site)?;
    if let Some(limit) = limit.filter(|limit| changeset.version > *limit) {
        let reason = format!("the site was expelled at its version {}", limit.0);
        return Ok(ApplyOutcome::Rejected { reason });
    }
    applier.sqlite().prepare_cached("SAVEPOINT changeset")?.execute([])?;
    let staged = applier.staged.get(&changeset.site).copied();
    let refusal = match apply_or_stage(core, applier, changeset, position) {
        Ok(outcome) => {
            applier.sqlite().prepare_cached("RELEASE changeset")?.execute([])?;
            return Ok(outcome);
        }
        Err(refusal) => refusal,
    };
    // If SQLite has given up the whole transaction, there is no savepoint to go back to, and the batch fails.
    applier.sqlite().execute_batch("ROLLBACK TO changeset; RELEASE changeset")?;
    match staged {
        Some(staged) => applier.staged.insert(changeset.site, staged),
        None => applier.staged.remove(&changeset.site),
    };
    let outcome = match refusal {
        Refusal::Outcome(outcome) => outcome,
        Refusal::Store(error) => ApplyOutcome::Failed { reason: error.to_string() },
    };
    if matches!(outcome, ApplyOutcome::AlreadyKnown | ApplyOutcome::Gap { .. }) {
        return Ok(outcome);
    }
    let EncodedChangeset { site, version, .. } = changeset;
    tracing::warn!(%site, version = version.0, ?outcome, "changeset is not applied");
    if matches!(outcome, ApplyOutcome::Rejected { .. }) {
        discard_staged(core, applier, *site, head)?;
    }
    Ok(outcome)
}

/// Gives up what is staged of the origin's next transaction, if anything is.
fn discard_staged(
    core: &Core,
    applier: &mut StoreConnection,
    site: SiteId,
    head: DbVersion,
) -> Result<()> {
    let is_staged =
        applier.staged.contains_key(&site) || core.committed().log.staged.contains_key(&site);
    let origin = applier.capture().state().registry.ordinal(site).filter(|_| is_staged);
    if let Some(origin) = origin {
        Transaction { origin, version: head.next() }.discard(applier.sqlite())?;
        applier.staged.insert(site, head.into());
    }
    Ok(())
}

/// The origin's head and the last position, counting what the present transaction has applied.
fn present_state(
    core: &Core,
    applier: &StoreConnection,
    changeset: &EncodedChangeset,
) -> (DbVersion, Position) {
    let committed = core.committed();
    let head = committed.log.heads.get(&changeset.site).copied().unwrap_or_default();
    let here = applier.remote.iter().rev().find(|applied| applied.origin == changeset.site);
    let position = applier.remote.last().map_or(committed.log.position, |applied| applied.position);
    (here.map_or(head, |applied| applied.version), position)
}

/// Applies a transaction, or stages a chunk that is not the last of its own.
fn apply_or_stage(
    core: &Core,
    applier: &mut StoreConnection,
    changeset: &EncodedChangeset,
    before: Position,
) -> Result<ApplyOutcome, Refusal> {
    let EncodedChangeset { site, version, chunk, body } = changeset;
    let stored = Transaction { origin: ordinal_of(applier, *site)?, version: *version };
    if chunk.is_whole() {
        // Chunks of another copy are of no use.
        discard_staged(core, applier, *site, DbVersion(version.0 - 1))?;
    } else {
        stage(applier, changeset, stored)?;
    }
    if !chunk.is_last {
        applier.staged.insert(*site, Progress::with(*version, *chunk));
        return Ok(ApplyOutcome::Staged);
    }
    let mut merging = Merging::new(core, applier, (stored, *site));
    let content = if chunk.is_whole() {
        Content::Whole { impact: merging.changeset(body)?, body: body.clone() }
    } else {
        merging.chunks(chunk.index + 1)?
    };
    let (committed_at_us, messages, resolved) = merging.finish()?;
    let applied = AppliedTransaction {
        position: Position(before.0 + 1),
        origin: *site,
        version: *version,
        committed_at_us,
        content,
        resolved,
        tag: 0,
        messages,
    };
    log::append(applier.sqlite(), stored.origin, &applied)?;
    if *site == core.site {
        core.identity().fetched(applier.sqlite(), *version)?;
    }
    applier.staged.remove(site);
    applier.remote.push(applied);
    Ok(ApplyOutcome::Applied)
}

/// Writes a chunk beside those that came before it.
fn stage(
    applier: &StoreConnection,
    changeset: &EncodedChangeset,
    stored: Transaction,
) -> Result<(), Refusal> {
    let EncodedChangeset { version, chunk, body, .. } = changeset;
    let sqlite = applier.sqlite();
    let reader = ChangesetReader::new(body)?;
    let committed_at_us = reader.committed_at_us;
    let same_copy = stored.committed_at_us(sqlite)?.is_none_or(|it| it == committed_at_us);
    if !same_copy && chunk.index == 0 {
        // The rest of the present copy is not to be had any more.
        stored.discard(sqlite)?;
    }
    let staged = stored.count(sqlite)?;
    if chunk.index < staged {
        return Err(Refusal::Outcome(ApplyOutcome::AlreadyKnown));
    }
    if chunk.index > staged {
        return Err(Refusal::Outcome(ApplyOutcome::Gap { head: DbVersion(version.0 - 1) }));
    }
    if !same_copy && chunk.index > 0 {
        return Err(DecodeError::Invalid("chunk: it is of another copy").into());
    }
    if chunk.index >= v1::CHUNKS_MAX {
        return Err(DecodeError::Bounds("chunks").into());
    }
    reader.skip_all()?;
    Ok(stored.put(sqlite, chunk.index, committed_at_us, body)?)
}

/// A transaction being merged, changeset by changeset.
struct Merging<'a> {
    core: &'a Core,
    applier: &'a mut StoreConnection,
    stored: Transaction,
    site: SiteId,
    /// Rows of system tables changed, and the schema hook has not been called since.
    schema_moved: bool,
    committed_at_us: u64,
    messages: Vec<Message>,
    message_bytes: usize,
}

impl<'a> Merging<'a> {
    fn new(
        core: &'a Core,
        applier: &'a mut StoreConnection,
        (stored, site): (Transaction, SiteId),
    ) -> Self {
        applier.notes = Notes::default();
        Self {
            core,
            applier,
            stored,
            site,
            schema_moved: false,
            committed_at_us: 0,
            messages: Vec::new(),
            message_bytes: 0,
        }
    }

    /// Merges all chunks of the transaction.
    fn chunks(&mut self, count: u32) -> Result<Content, Refusal> {
        let lost = || StoreError::Damaged("a staged chunk is missing".into());
        for chunk in 0..count {
            let body = self.stored.body(self.applier.sqlite(), chunk)?.ok_or_else(lost)?;
            let impact = self.changeset(&body)?;
            self.stored.put_impact(self.applier.sqlite(), chunk, &impact)?;
        }
        Ok(Content::Chunked { chunks: count })
    }

    /// Merges one changeset.
    fn changeset(&mut self, body: &[u8]) -> Result<Impact, Refusal> {
        let mut reader = ChangesetReader::new(body)?;
        self.committed_at_us = reader.committed_at_us;
        self.take_messages(std::mem::take(&mut reader.messages))?;
        let mut impact = ImpactWriter::default();
        let source =
            Source { origin: self.stored.origin, site: self.site, version: self.stored.version };
        while let Some(view) = reader.next_table()? {
            let mut registry = Arc::clone(&self.applier.capture().state().registry);
            let is_system =
                matches!(registry.entry(view.table), Some(Entry::Live(table)) if table.system);
            if self.schema_moved && !is_system {
                self.call_schema_hook()?;
                registry = Arc::clone(&self.applier.capture().state().registry);
            }
            let mut notes = std::mem::take(&mut self.applier.notes);
            let changed = apply_table(
                (self.applier.sqlite(), self.applier.capture()),
                &registry,
                &source,
                &mut reader,
                &view,
                (&mut impact, &mut notes),
            )?;
            self.applier.notes = notes;
            self.schema_moved |= is_system && changed;
            if view.table == ROSTER_TABLE_ID {
                self.core.expelled.touch();
            }
        }
        Ok(impact.finish())
    }

    fn take_messages(&mut self, messages: Vec<Message>) -> Result<(), DecodeError> {
        self.message_bytes += messages.iter().map(message_bytes).sum::<usize>();
        self.messages.extend(messages);
        if self.messages.len() > v1::MESSAGES_MAX || self.message_bytes > v1::MESSAGES_BYTES_MAX {
            return Err(DecodeError::Bounds("messages"));
        }
        Ok(())
    }

    /// Ends the transaction; returns when it was committed, its messages, and which rows it hid and showed.
    fn finish(mut self) -> Result<(u64, Vec<Message>, Resolved), Refusal> {
        if self.schema_moved {
            self.call_schema_hook()?;
        }
        let mut notes = std::mem::take(&mut self.applier.notes);
        resolve_due(self.applier, &mut notes)?;
        Ok((self.committed_at_us, self.messages, notes.finish()))
    }

    fn call_schema_hook(&mut self) -> Result<(), Refusal> {
        self.schema_moved = false;
        let Some(hook) = schema_hook(self.core) else { return Ok(()) };
        hook.system_rows_changed(self.applier)
            .map_err(|reason| Refusal::Outcome(ApplyOutcome::Rejected { reason }))
    }
}

/// The origin's ordinal, given to it now if it is new here.
pub(super) fn ordinal_of(applier: &StoreConnection, site: SiteId) -> Result<u32> {
    let mut state = applier.capture().state();
    if let Some(ordinal) = state.registry.ordinal(site) {
        return Ok(ordinal);
    }
    let mut registry = state.registry.as_ref().clone();
    drop(state);
    let ordinal = registry.add_site(applier.sqlite(), site)?;
    state = applier.capture().state();
    state.set_registry(Arc::new(registry));
    Ok(ordinal)
}

pub(super) fn schema_hook(core: &Core) -> Option<Arc<dyn SchemaHook>> {
    core.schema_hook.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whose changes are applied.
struct Source {
    origin: u32,
    site: SiteId,
    version: DbVersion,
}

/// What a column of the changeset is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// A column, by ordinal.
    Cell(u32),
    Dropped,
}

/// Merges the rows of one table; returns whether any changed something.
fn apply_table(
    (sqlite, capture): (&Connection, &Capture),
    registry: &Registry,
    source: &Source,
    reader: &mut ChangesetReader<'_>,
    view: &TableView,
    (impact, notes): (&mut ImpactWriter, &mut Notes),
) -> Result<bool, Refusal> {
    let table = match registry.entry(view.table) {
        Some(Entry::Live(table)) => table,
        Some(Entry::Dropped) => return skip_table(reader, view, impact),
        None => {
            let outcome = ApplyOutcome::NeedsSchema { table: view.table, column: None };
            return Err(Refusal::Outcome(outcome));
        }
    };
    let targets =
        view.columns.iter().map(|column| target(table, *column)).collect::<Result<Vec<_>, _>>()?;
    let merger = TableMerger::new(sqlite, capture, registry, table)?;
    let mut merger = merger.with_turns(notes.take(table.id));
    let (mut values, mut cells) = (Vec::new(), Vec::new());
    let mut gathering = Gathering::new(&mut merger, impact);
    while let Some(row) = reader.next_row(view, &mut values)? {
        live_cells(&row, &values, &targets, &mut cells);
        let incoming = IncomingRow {
            origin: source.origin,
            site: source.site,
            version: source.version.0,
            causal_length: row.shape.causal_length,
            sentinel: row.shape.sentinel.then_some(row.first_seq),
            birth: row.shape.sentinel,
            cells: &cells,
        };
        gathering.merge(row.pk, &incoming, &cells, implied_op(row.shape))?;
    }
    gathering.write()?;
    let changed = gathering.changed;
    notes.put(table.id, merger.finish()?);
    Ok(changed)
}

fn skip_table(
    reader: &mut ChangesetReader<'_>,
    view: &TableView,
    impact: &mut ImpactWriter,
) -> Result<bool, Refusal> {
    let mut values = Vec::new();
    while let Some(row) = reader.next_row(view, &mut values)? {
        impact.push(implied_op(row.shape), None);
    }
    Ok(false)
}

fn target(table: &Table, column: ColumnId) -> Result<Target, Refusal> {
    let Some(ordinal) = table.ordinals.get(&column) else {
        let outcome = ApplyOutcome::NeedsSchema { table: table.id, column: Some(column) };
        return Err(Refusal::Outcome(outcome));
    };
    if table.cell(*ordinal).is_some() {
        Ok(Target::Cell(*ordinal))
    } else if table.key.iter().any(|key| key.id == column) {
        Err(Refusal::Outcome(ApplyOutcome::Rejected { reason: "a key column as a cell".into() }))
    } else {
        Ok(Target::Dropped)
    }
}

/// Puts the row's cells, without those of dropped columns, into `cells`.
fn live_cells<'v>(
    row: &RowView<'_, '_>,
    values: &[ValueRef<'v>],
    targets: &[Target],
    cells: &mut Vec<IncomingCell<'v>>,
) {
    cells.clear();
    let found = row.shape.cells.iter().zip(values).zip(row.first_cell_seq()..);
    cells.extend(found.filter_map(|(((index, col_version), value), seq)| {
        match targets.get(*index as usize) {
            Some(Target::Cell(column)) => Some(IncomingCell {
                column: *column,
                col_version: *col_version,
                seq,
                value: *value,
            }),
            Some(Target::Dropped) | None => None,
        }
    }));
}
