//! What a violated constraint's error says of the row: found by running the failed statement once more, watched.
//!
//! SQLite says which constraint a statement violated (of a foreign key not even that) and nothing of the row. PostgreSQL
//! reports `Failing row contains (1, null)`, `Key (a)=(1) already exists.`, `Key (p)=(9) is not present in table "t".`
//!
//! After such a failure, which has undone the statement, the engine opens a savepoint, creates temporary `BEFORE` triggers on
//! the table that hand each row to the function `trellis_watch`, runs the same statement with the same parameters, and
//! rolls the savepoint back. Nothing else can have written in between, since the session holds the write lease, so the
//! statement fails at the same row, which is the last one that the triggers saw. Triggers fire for whatever way a row comes:
//! VALUES, queries, UPSERT, UPDATE, foreign key actions. Successful statements pay nothing for this.
//!
//! A foreign key is checked at the end of the statement. So the second run defers the checks, and the rows seen
//! are looked up afterwards, each foreign key of the table in turn: a new row's referenced row, an old row's referencing
//! ones. `ON DELETE RESTRICT` fails at once also then; the same look-up finds it from the last row seen.
//!
//! `nextval` gives the same values in the second run as in the first ([`SharedDraws`]); what `random()`, `clock_timestamp()`
//! and their kin are part of may be shown with another value than the one that failed.
//!
//! # Bounds
//! [`ROWS_KEPT_MAX`] rows are kept for foreign keys; [`super::host::DRAWS_MAX`] sequence values. Beyond either the error goes
//! without detail. The second run takes about as long as the first and ends with the statement's timeout.
//!
//! # Left out
//! A NULL in an integer key, which SQLite refuses before any trigger fires: the error names the column only. A foreign key that
//! a cascade into another table violates at once: the error does not name it. One that is checked at COMMIT is found
//! otherwise (`deferred.rs`).
//!
//! [`SharedDraws`]: super::host::SharedDraws

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Null, Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use trellis_replication::store::SharedConnection;
use trellis_sqlcompat::functions::SessionContext;
use trellis_sqlcompat::plan::WritePlan;
use trellis_sqlcompat::schema::{
    Catalog, ForeignKey, ForeignKeySide, Table, check_conditions, check_violation,
    foreign_key_error, index_keys, not_null_error, physical,
};
use trellis_sqlcompat::types::codec;
use trellis_sqlcompat::{Datum, DatumRef, Oid, SqlError, SqlState};

use super::session_engine::SqliteEngine;

/// Rows kept of one watched statement, for foreign keys.
pub(super) const ROWS_KEPT_MAX: usize = 10_000;

/// How much of a value `Failing row contains` shows, in bytes, as in PostgreSQL's `ExecBuildSlotValueDescription`.
const VALUE_BYTES_MAX: usize = 64;

/// Columns that one call of the watching function takes: SQLite's limit on arguments is 127.
const COLUMNS_PER_CALL: usize = 100;

/// The SQLite function that the triggers call.
const FUNCTION: &str = "trellis_watch";

/// Which of a trigger's two rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

/// A row as a trigger saw it.
struct SeenRow {
    side: Side,
    /// By position in the table.
    values: Vec<Value>,
}

#[derive(Default)]
struct Seen {
    rows: Vec<SeenRow>,
    /// Whether earlier rows are kept, or only the last ones.
    keep: bool,
    overflowed: bool,
}

/// What the triggers of a connection saw; clones share it.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

/// Where a statement failed.
struct Scene<'a> {
    connection: &'a SharedConnection,
    context: &'a SessionContext,
    catalog: &'a Catalog,
    watch: &'a Watch,
    /// The table that the statement writes, if it is one.
    target: Option<Oid>,
}

impl Watch {
    /// Makes the watching function known on a connection.
    ///
    /// # Errors
    /// What SQLite says, if it is out of memory.
    pub(super) fn register(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        let watch = self.clone();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
        sqlite.create_scalar_function(FUNCTION, -1, flags, move |cx| {
            watch.lock().take_call(cx);
            Ok(Null)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Takes in one call: 1 for a new row or 0 for an old one, the position of the first column, the values.
    fn take_call(&mut self, cx: &Context<'_>) {
        let integer = |index: usize| match cx.get_raw(index) {
            ValueRef::Integer(value) => value,
            _ => 0,
        };
        let side = if integer(0) == 1 { Side::New } else { Side::Old };
        let values = (2..cx.len()).map(|index| Value::try_from(cx.get_raw(index)));
        let values: Vec<Value> = values.map(|value| value.unwrap_or(Value::Null)).collect();
        match self.rows.last_mut() {
            Some(row) if integer(1) > 0 => row.values.extend(values),
            _ => self.take_row(SeenRow { side, values }),
        }
    }

    fn take_row(&mut self, row: SeenRow) {
        if !self.keep {
            self.rows.retain(|kept| kept.side != row.side);
        }
        if self.rows.len() < ROWS_KEPT_MAX {
            self.rows.push(row);
        } else {
            self.overflowed = true;
        }
    }
}

impl SqliteEngine {
    /// Adds to the error of a failed write what PostgreSQL says of the row, if a constraint was violated.
    pub(super) fn explain_violation(
        &mut self,
        error: SqlError,
        write: &WritePlan,
        parameters: &[Datum],
    ) -> SqlError {
        self.notices.take();
        if !self.draws.replay() {
            return error;
        }
        let (connection, context) = (self.connection.clone(), self.context.clone());
        let (catalog, watch) = (Arc::clone(&self.schema.catalog), self.watch.clone());
        let scene = Scene {
            connection: &connection,
            context: &context,
            catalog: &catalog,
            watch: &watch,
            target: write.target,
        };
        let error = with_detail(error, &scene, &mut || {
            self.run_steps(write, parameters, &mut |_row| Ok(()))
        });
        self.draws.clear();
        self.notices.take();
        error
    }
}

/// Names the column of a NULL that SQLite refused as an integer key, which it does without naming it.
fn named(error: SqlError, scene: &Scene<'_>) -> SqlError {
    let key = || {
        let table = scene.catalog.table(scene.target?)?;
        Some((table, table.integer_key()?))
    };
    match key() {
        Some((table, column))
            if error.state == SqlState::NOT_NULL_VIOLATION && error.object.table.is_none() =>
        {
            not_null_error(scene.catalog, table, &column.name)
        }
        _ => error,
    }
}

/// Adds a detail to `error`, if it is of a violated constraint; `again` runs the statement that failed.
fn with_detail(
    error: SqlError,
    scene: &Scene<'_>,
    again: &mut dyn FnMut() -> Result<u64, SqlError>,
) -> SqlError {
    let error = named(error, scene);
    let Some(table) = watched_table(&error, scene) else { return error };
    let keep = error.state == SqlState::FOREIGN_KEY_VIOLATION;
    *scene.watch.lock() = Seen { keep, ..Seen::default() };
    let found = scene.watched(table, keep, &mut || {
        let second = again();
        let seen = std::mem::take(&mut *scene.watch.lock());
        if keep {
            scene.foreign_key(table, &seen, second.is_err())
        } else {
            let same = second.err().filter(|second| second.message == error.message)?;
            let first = scene.first_violated(&same, table, &seen).unwrap_or(same);
            scene.row_detail(&first, table, &seen).map(|detail| first.with_detail(detail))
        }
    });
    match found {
        Ok(found) => found.unwrap_or(error),
        Err(problem) => {
            tracing::warn!(%problem, "a failed statement could not be watched");
            error
        }
    }
}

/// The table whose rows tell more about the error.
fn watched_table<'a>(error: &SqlError, scene: &Scene<'a>) -> Option<&'a Table> {
    let object = &error.object;
    match error.state {
        _ if error.detail.is_some() => None,
        SqlState::FOREIGN_KEY_VIOLATION if object.constraint.is_none() => {
            scene.catalog.table(scene.target?)
        }
        SqlState::UNIQUE_VIOLATION | SqlState::NOT_NULL_VIOLATION | SqlState::CHECK_VIOLATION => {
            let (schema, name) = (object.schema.as_deref()?, object.table.as_deref()?);
            scene.catalog.tables.values().find(|table| {
                table.name == name && scene.catalog.namespace_name(table.namespace) == schema
            })
        }
        _ => None,
    }
}

impl Scene<'_> {
    /// Runs `work` with the table watched, and undoes whatever it did.
    fn watched<T>(
        &self,
        table: &Table,
        defer: bool,
        work: &mut dyn FnMut() -> T,
    ) -> rusqlite::Result<T> {
        let run = |sql: &str| self.connection.with(|sqlite| sqlite.execute_batch(sql));
        let deferred: bool = self
            .connection
            .with(|sqlite| sqlite.query_row("PRAGMA defer_foreign_keys", [], |row| row.get(0)))?;
        run("SAVEPOINT trellis_watched")?;
        let result = run(&triggers(table)).and_then(|()| {
            if defer {
                run("PRAGMA defer_foreign_keys = 1")?;
            }
            Ok(work())
        });
        run("ROLLBACK TO trellis_watched; RELEASE trellis_watched")?;
        run(&format!("PRAGMA defer_foreign_keys = {}", i32::from(deferred)))?;
        result
    }

    /// The detail of an error about the last row seen.
    fn row_detail(&self, error: &SqlError, table: &Table, seen: &Seen) -> Option<String> {
        let row = seen.rows.iter().rfind(|row| row.side == Side::New)?;
        if error.state != SqlState::UNIQUE_VIOLATION {
            return Some(format!("Failing row contains ({}).", self.whole_row(table, row)?));
        }
        let constraint = error.object.constraint.as_deref()?;
        let Some(columns) = key_columns(table, constraint) else {
            return self.expression_key(table, constraint, row);
        };
        let names: Vec<String> = columns
            .iter()
            .filter_map(|attnum| table.column(*attnum))
            .map(|column| trellis_sqlcompat::builtin::quote_identifier(&column.name))
            .collect();
        let values = self.texts(table, &columns, row)?;
        Some(format!("Key ({})=({}) already exists.", names.join(", "), values.join(", ")))
    }

    /// What PostgreSQL finds wrong with the last row seen, if it is a column or a condition: NULLs in order of the columns, then
    /// CHECKs by name. SQLite looks at them in an order of its own.
    fn first_violated(&self, error: &SqlError, table: &Table, seen: &Seen) -> Option<SqlError> {
        if !matches!(error.state, SqlState::NOT_NULL_VIOLATION | SqlState::CHECK_VIOLATION) {
            return None;
        }
        let row = seen.rows.iter().rfind(|row| row.side == Side::New)?;
        let columns = table.columns.iter().zip(&row.values);
        let mut null = columns.filter(|(column, value)| column.not_null && **value == Value::Null);
        if let Some((column, _)) = null.next() {
            return Some(not_null_error(self.catalog, table, &column.name));
        }
        let violated = check_conditions(self.catalog, table).into_iter().find(|(_, condition)| {
            let condition = format!("NOT ({condition})");
            self.computed(table, row, &[condition.as_str()])
                .is_some_and(|values| values.first() == Some(&Value::Integer(1)))
        });
        violated.map(|(name, _)| check_violation(self.catalog, table, &name))
    }

    /// SQLite expressions over the columns of a row.
    fn computed(&self, table: &Table, row: &SeenRow, list: &[&str]) -> Option<Vec<Value>> {
        let columns = (1..).zip(&table.columns);
        let columns: Vec<_> = columns
            .map(|(place, it)| format!("?{place} AS {}", physical::quote(&it.physical_name)))
            .collect();
        let sql = format!("SELECT {} FROM (SELECT {})", list.join(", "), columns.join(", "));
        let values = self.connection.with(|sqlite| {
            sqlite.query_row(&sql, params_from_iter(&row.values), |found| {
                (0..list.len()).map(|place| found.get(place)).collect::<rusqlite::Result<Vec<_>>>()
            })
        });
        values.ok()
    }

    /// The detail of a unique index over expressions, which are computed once more from the row.
    fn expression_key(&self, table: &Table, index: &str, row: &SeenRow) -> Option<String> {
        let keys = index_keys(self.catalog, table, index)?;
        let list: Vec<_> = keys.iter().map(|key| key.sql.as_str()).collect();
        let values = self.computed(table, row, &list)?;
        let texts = keys.iter().zip(&values).map(|(key, value)| self.text(key.type_oid, value));
        let texts: Vec<_> = texts.collect::<Option<_>>()?;
        let labels: Vec<_> = keys.iter().map(|key| key.label.as_str()).collect();
        Some(format!("Key ({})=({}) already exists.", labels.join(", "), texts.join(", ")))
    }

    /// All values of a row as the detail shows them.
    fn whole_row(&self, table: &Table, row: &SeenRow) -> Option<String> {
        let mut texts = Vec::with_capacity(table.columns.len());
        for (column, value) in table.columns.iter().zip(&row.values) {
            let text = self.text(column.type_oid, value)?;
            let shown = text.floor_char_boundary(VALUE_BYTES_MAX.min(text.len()));
            let rest = if shown < text.len() { "..." } else { "" };
            texts.push(format!("{}{rest}", text.get(..shown)?));
        }
        Some(texts.join(", "))
    }

    /// Text forms of some columns of a row.
    fn texts(&self, table: &Table, columns: &[i16], row: &SeenRow) -> Option<Vec<String>> {
        let text = |attnum: &i16| {
            let column = table.column(*attnum)?;
            self.text(column.type_oid, value_of(table, *attnum, row)?)
        };
        columns.iter().map(text).collect()
    }

    fn text(&self, type_oid: Oid, value: &Value) -> Option<String> {
        text_of(self.context, type_oid, value)
    }

    /// The error of the first foreign key that the rows seen violate; `failed` if the second run ended at the last of them,
    /// and nothing of it stayed.
    fn foreign_key(&self, table: &Table, seen: &Seen, failed: bool) -> Option<SqlError> {
        if seen.overflowed {
            return None;
        }
        let first =
            if failed { seen.rows.iter().rposition(|row| row.side == Side::Old)? } else { 0 };
        seen.rows.get(first..)?.iter().find_map(|row| match row.side {
            Side::New => table.foreign_keys.iter().find_map(|foreign| {
                let referenced = self.catalog.table(foreign.references)?;
                self.missing(table, foreign, referenced, row)
            }),
            Side::Old => self.catalog.tables.values().find_map(|other| {
                let mut keys = other.foreign_keys.iter().filter(|it| it.references == table.oid);
                keys.find_map(|foreign| self.orphaned(table, other, foreign, row, failed))
            }),
        })
    }

    /// The error if a new row's referenced row is not there.
    fn missing(
        &self,
        table: &Table,
        foreign: &ForeignKey,
        referenced: &Table,
        row: &SeenRow,
    ) -> Option<SqlError> {
        let key = values_of(table, &foreign.columns, row)?;
        // The row may have been changed again by the same statement: only what is there at its end counts.
        let holds = key.contains(&Value::Null)
            || self.exists(referenced, &foreign.referenced_columns, &key)?
            || !self.exists(table, &foreign.columns, &key)?;
        if holds {
            return None;
        }
        let texts = self.texts(table, &foreign.columns, row)?;
        let side = ForeignKeySide::Referencing;
        Some(foreign_key_error(self.catalog, table, foreign, side, Some(&texts)))
    }

    /// The error if an old row's key is gone, or was about to go, and a row of `other` refers to it.
    fn orphaned(
        &self,
        table: &Table,
        other: &Table,
        foreign: &ForeignKey,
        row: &SeenRow,
        failed: bool,
    ) -> Option<SqlError> {
        let key = values_of(table, &foreign.referenced_columns, row)?;
        let holds = (!failed && self.exists(table, &foreign.referenced_columns, &key)?)
            || !self.exists(other, &foreign.columns, &key)?;
        if holds {
            return None;
        }
        let texts = self.texts(table, &foreign.referenced_columns, row)?;
        let side = ForeignKeySide::Referenced;
        Some(foreign_key_error(self.catalog, other, foreign, side, Some(&texts)))
    }

    /// Whether a table has a row with these values.
    fn exists(&self, table: &Table, columns: &[i16], key: &[Value]) -> Option<bool> {
        let mut sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE 1", qualified(table));
        for (number, attnum) in (1..).zip(columns) {
            let name = physical::quote(&table.column(*attnum)?.physical_name);
            let _ = write!(sql, " AND {name} IS ?{number}");
        }
        sql.push(')');
        let exists = self.connection.with(|sqlite| {
            sqlite.query_row(&sql, params_from_iter(key), |row| row.get::<_, bool>(0))
        });
        exists.ok()
    }
}

/// The text form of a stored value.
pub(super) fn text_of(context: &SessionContext, type_oid: Oid, value: &Value) -> Option<String> {
    let datum = match value {
        Value::Null => return Some("null".to_owned()),
        Value::Integer(integer) => DatumRef::Integer(*integer),
        Value::Real(real) => DatumRef::Real(*real),
        Value::Text(text) => DatumRef::Text(text),
        Value::Blob(blob) => DatumRef::Blob(blob),
    };
    context.with_types(|types| codec::to_text(type_oid, datum, types)).ok()
}

/// The triggers that show a table's rows to the watching function.
fn triggers(table: &Table) -> String {
    let target = qualified(table);
    let mut sql = String::new();
    for (event, sides) in [
        ("INSERT", &[("NEW", 1)][..]),
        ("UPDATE", &[("OLD", 0), ("NEW", 1)]),
        ("DELETE", &[("OLD", 0)]),
    ] {
        let _ = write!(
            sql,
            "CREATE TEMP TRIGGER trellis_watch_{event} BEFORE {event} ON {target} BEGIN "
        );
        for (row, side) in sides {
            for (chunk, columns) in table.columns.chunks(COLUMNS_PER_CALL).enumerate() {
                let _ = write!(sql, "SELECT {FUNCTION}({side}, {}", chunk * COLUMNS_PER_CALL);
                for column in columns {
                    let _ = write!(sql, ", {row}.{}", physical::quote(&column.physical_name));
                }
                sql.push_str("); ");
            }
        }
        sql.push_str("END; ");
    }
    sql
}

fn qualified(table: &Table) -> String {
    format!("{}.{}", table.database(), physical::quote(&table.physical_name))
}

/// The columns of a unique constraint or index, if all of its keys are columns.
fn key_columns(table: &Table, name: &str) -> Option<Vec<i16>> {
    if let Some(unique) = table.uniques.iter().find(|unique| unique.name == name) {
        return Some(unique.columns.clone());
    }
    let index = table.indexes.iter().find(|index| index.name == name)?;
    let columns: Vec<i16> = index.keys.iter().map(|key| key.attnum).collect();
    (!columns.contains(&0)).then_some(columns)
}

fn value_of<'r>(table: &Table, attnum: i16, row: &'r SeenRow) -> Option<&'r Value> {
    let position = table.columns.iter().position(|column| column.attnum == attnum)?;
    row.values.get(position)
}

fn values_of(table: &Table, columns: &[i16], row: &SeenRow) -> Option<Vec<Value>> {
    columns.iter().map(|attnum| value_of(table, *attnum, row).cloned()).collect()
}
