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
//! # Bounds
//! [`TRANSACTION_BYTES_MAX`] and [`TRANSACTION_CHANGESETS_MAX`]: as much is applied before others get the lease.

use std::sync::{Arc, PoisonError};

use rusqlite::Connection;

use super::applied::{AppliedTransaction, ImpactWriter, implied_op};
use super::capture::{Capture, Mode};
use super::connection::{Pending, StoreConnection};
use super::core::Core;
use super::error::{Result, StoreError};
use super::log;
use super::merge::{MergeError, TableMerger};
use super::options::SchemaHook;
use super::registry::{Entry, Registry, Table};
use super::trim::{self, FLOOR_TABLE_ID};
use crate::crdt::bytes::DecodeError;
use crate::crdt::{IncomingCell, IncomingRow};
use crate::types::{ColumnId, DbVersion, EncodedChangeset, Position, TableId, ValueRef};
use crate::wire::{ChangesetReader, RowView, TableView};

/// Bytes of changesets after which a SQLite transaction ends.
const TRANSACTION_BYTES_MAX: usize = 1 << 20;

/// Changesets after which a SQLite transaction ends.
const TRANSACTION_CHANGESETS_MAX: usize = 256;

/// What became of a changeset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// It is applied and durable.
    Applied,
    /// It had been applied before.
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
    /// It is malformed, or the schema hook refused it: offering it again helps only if the reason goes away.
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
        for outcome in
            outcomes.iter_mut().take(unsure).filter(|outcome| **outcome == ApplyOutcome::Applied)
        {
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
    applier.sqlite().prepare_cached("SAVEPOINT changeset")?.execute([])?;
    let applied = apply_changes(core, applier, changeset, Position(position.0 + 1));
    let refusal = match applied {
        Ok(applied) => {
            applier.sqlite().prepare_cached("RELEASE changeset")?.execute([])?;
            applier.remote.push(applied);
            return Ok(ApplyOutcome::Applied);
        }
        Err(refusal) => refusal,
    };
    // If SQLite has given up the whole transaction, there is no savepoint to go back to, and the batch fails.
    applier.sqlite().execute_batch("ROLLBACK TO changeset; RELEASE changeset")?;
    let outcome = match refusal {
        Refusal::Outcome(outcome) => outcome,
        Refusal::Store(error) => ApplyOutcome::Failed { reason: error.to_string() },
    };
    let EncodedChangeset { site, version, .. } = changeset;
    tracing::warn!(%site, version = version.0, ?outcome, "changeset is not applied");
    Ok(outcome)
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

fn apply_changes(
    core: &Core,
    applier: &mut StoreConnection,
    changeset: &EncodedChangeset,
    position: Position,
) -> Result<AppliedTransaction, Refusal> {
    let mut reader = ChangesetReader::new(&changeset.body)?;
    let origin = ordinal_of(applier, changeset)?;
    let mut impact = ImpactWriter::default();
    let (mut schema_moved, mut floors_moved) = (false, false);
    let source = Source { origin, changeset };
    while let Some(view) = reader.next_table()? {
        let mut registry = Arc::clone(&applier.capture().state().registry);
        let is_system =
            matches!(registry.entry(view.table), Some(Entry::Live(table)) if table.system);
        if schema_moved && !is_system {
            call_schema_hook(core, applier)?;
            schema_moved = false;
            registry = Arc::clone(&applier.capture().state().registry);
        }
        let changed = apply_table(
            (applier.sqlite(), applier.capture()),
            &registry,
            &source,
            &mut reader,
            &view,
            &mut impact,
        )?;
        schema_moved |= is_system && changed;
        floors_moved |= view.table == FLOOR_TABLE_ID && changed;
    }
    if schema_moved {
        call_schema_hook(core, applier)?;
    }
    if floors_moved {
        trim::adopt_floors(applier)?;
    }
    let applied = AppliedTransaction {
        position,
        origin: changeset.site,
        version: changeset.version,
        committed_at_us: reader.committed_at_us,
        encoded: changeset.clone(),
        tag: 0,
        messages: reader.messages,
        impact: impact.finish(),
    };
    log::append(applier.sqlite(), origin, &applied)?;
    Ok(applied)
}

/// The origin's ordinal, given to it now if it is new here.
fn ordinal_of(applier: &StoreConnection, changeset: &EncodedChangeset) -> Result<u32> {
    let mut state = applier.capture().state();
    if let Some(ordinal) = state.registry.ordinal(changeset.site) {
        return Ok(ordinal);
    }
    let mut registry = state.registry.as_ref().clone();
    drop(state);
    let ordinal = registry.add_site(applier.sqlite(), changeset.site)?;
    state = applier.capture().state();
    state.set_registry(Arc::new(registry));
    Ok(ordinal)
}

fn schema_hook(core: &Core) -> Option<Arc<dyn SchemaHook>> {
    core.schema_hook.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn call_schema_hook(core: &Core, applier: &mut StoreConnection) -> Result<(), Refusal> {
    match schema_hook(core) {
        None => Ok(()),
        Some(hook) => hook
            .system_rows_changed(applier)
            .map_err(|reason| Refusal::Outcome(ApplyOutcome::Rejected { reason })),
    }
}

/// Whose changes are applied.
struct Source<'a> {
    origin: u32,
    changeset: &'a EncodedChangeset,
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
    source: &Source<'_>,
    reader: &mut ChangesetReader<'_>,
    view: &TableView,
    impact: &mut ImpactWriter,
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
    let mut merger = TableMerger::new(sqlite, capture, registry, table)?;
    let (mut values, mut cells) = (Vec::new(), Vec::new());
    let mut changed = false;
    while let Some(row) = reader.next_row(view, &mut values)? {
        live_cells(&row, &values, &targets, &mut cells);
        let incoming = IncomingRow {
            origin: source.origin,
            site: source.changeset.site,
            version: source.changeset.version.0,
            causal_length: row.shape.causal_length,
            sentinel: row.shape.sentinel.then_some(row.first_seq),
            birth: row.shape.sentinel,
            cells: &cells,
        };
        let op = merger.merge(row.pk, &incoming)?;
        impact.push(implied_op(row.shape), op);
        changed |= op.is_some();
    }
    merger.finish()?;
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

/// Brings back hidden rows whose conflicts have ended. See [`super::Store::resolve_conflicts`].
pub(super) fn resolve_conflicts(core: &Core, applier: &mut StoreConnection) -> Result<()> {
    applier.begin_mode(core.lease.acquire_uncancelled(), Mode::Suspended)?;
    let registry = core.registry();
    let resolved = registry.tables().iter().try_for_each(|table| {
        TableMerger::new(applier.sqlite(), applier.capture(), &registry, table)?.finish()
    });
    if let Err(error) = resolved {
        applier.rollback();
        return Err(error);
    }
    let pending = applier.commit()?;
    pending.map_or(Ok(()), Pending::wait)
}
