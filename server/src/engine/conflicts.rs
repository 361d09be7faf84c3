//! `trellis.conflicts`: rows that violate a constraint, which only merging brings about.
//!
//! | kind | what is listed |
//! |---|---|
//! | `unique` | a row that is kept out of sight, with its values; `other_key` is the visible row's |
//! | `foreign key` | a row that refers to one that is not there; `other_key` is that one's |
//! | `check`, `not null` | a row that the condition excludes |
//! | `schema` | an object that the rest of the schema leaves no meaning; `row` says what it is and why, `key` is NULL |
//!
//! The list is a function of the tables and clocks, so nodes with the same transactions list the same. `since` names the
//! last transaction that wrote the row, as `site:version`.
//!
//! # Bounds
//! Reading it reads every table with a constraint other than its key. At most [`ROWS_MAX`] rows are listed, of which
//! hidden ones are read [`PAGE_ROWS`] at a time.

use rusqlite::{Connection, params_from_iter};
use trellis_replication::crdt::{pack, unpack};
use trellis_replication::store::{Conflict, StoreConnection};
use trellis_replication::types::{DbVersion, SiteId, TableId, Value};
use trellis_sqlcompat::schema::{
    Catalog, Table, Unusable, ViolationQuery, key_columns, unique_sets, violation_queries,
};
use trellis_sqlcompat::{Datum, Oid};

use super::database::Database;
use crate::feed::key_object;

/// Rows that are listed.
const ROWS_MAX: usize = 10_000;

/// Hidden rows that are read at once.
const PAGE_ROWS: usize = 256;

/// A row of the relation.
pub(super) struct ConflictRow {
    pub(super) table_name: String,
    pub(super) kind: &'static str,
    pub(super) constraint: Option<String>,
    pub(super) key: Option<String>,
    pub(super) other_key: Option<String>,
    pub(super) since: Option<(DbVersion, SiteId)>,
    /// The values of a row that is out of sight.
    pub(super) row: Option<String>,
}

impl ConflictRow {
    /// The value of a column of the relation.
    pub(super) fn value(&self, column: &str) -> Datum {
        let text = |text: &Option<String>| text.clone().map_or(Datum::Null, Datum::Text);
        match column {
            "table_name" => Datum::Text(self.table_name.clone()),
            "kind" => Datum::Text(self.kind.to_owned()),
            "constraint_name" => text(&self.constraint),
            "key" => text(&self.key),
            "other_key" => text(&self.other_key),
            "since" => self.since.map_or(Datum::Null, |(version, site)| {
                Datum::Text(format!("{site}:{}", version.0))
            }),
            "row" => text(&self.row),
            _ => Datum::Null,
        }
    }
}

/// All conflicts, by table, kind, constraint and key.
pub(super) fn list(database: &Database) -> anyhow::Result<Vec<ConflictRow>> {
    let schema = database.schema();
    let connection = database.store.connect()?;
    let sqlite = connection.sqlite();
    // One state of the tables, and of the rows that are not in them.
    sqlite.execute_batch("BEGIN")?;
    let mut rows = Vec::new();
    rows.extend(schema.catalog.unusable.values().map(|it| unusable(&schema.catalog, it)));
    for table in schema.catalog.tables.values() {
        let of_table = Lister { database, catalog: &schema.catalog, sqlite, table };
        of_table.all_hidden(&connection, &mut rows)?;
        for query in violation_queries(&schema.catalog, table) {
            of_table.violations(&query, &mut rows)?;
        }
    }
    rows.sort_by(|left, right| {
        let rank = |it: &ConflictRow| {
            (it.table_name.clone(), it.kind, it.constraint.clone(), it.key.clone())
        };
        rank(left).cmp(&rank(right))
    });
    Ok(rows)
}

/// An object that cannot be carried out.
fn unusable(catalog: &Catalog, unusable: &Unusable) -> ConflictRow {
    let table = catalog.tables.values().find(|table| table.id == unusable.table);
    let reason = serde_json::json!({
        "kind": unusable.kind.as_str(),
        "reason": unusable.reason.message,
    });
    ConflictRow {
        table_name: table.map(|table| display_name(catalog, table)).unwrap_or_default(),
        kind: "schema",
        constraint: Some(unusable.name.clone()),
        key: None,
        other_key: None,
        since: None,
        row: Some(reason.to_string()),
    }
}

/// A table's name, with its schema unless that is `public`.
fn display_name(catalog: &Catalog, table: &Table) -> String {
    match catalog.namespace_name(table.namespace) {
        "public" => table.name.clone(),
        schema => format!("{schema}.{}", table.name),
    }
}

/// Lists the conflicts of one table.
struct Lister<'a> {
    database: &'a Database,
    catalog: &'a Catalog,
    sqlite: &'a Connection,
    table: &'a Table,
}

impl Lister<'_> {
    fn id(&self) -> TableId {
        TableId(self.table.id.0.cast_unsigned())
    }

    fn name(&self) -> String {
        display_name(self.catalog, self.table)
    }

    fn object(&self, columns: &[(String, Oid)], values: &[Value]) -> String {
        serde_json::Value::Object(key_object(columns, values, self.catalog)).to_string()
    }

    /// The rows that are out of sight.
    fn all_hidden(
        &self,
        connection: &StoreConnection,
        rows: &mut Vec<ConflictRow>,
    ) -> anyhow::Result<()> {
        let mut last = Vec::new();
        while rows.len() < ROWS_MAX {
            let room = PAGE_ROWS.min(ROWS_MAX - rows.len());
            let page = connection.conflicts(self.id(), &last, room)?;
            let Some(end) = page.last() else { break };
            last.clone_from(&end.pk);
            for conflict in &page {
                rows.push(self.hidden(conflict)?);
            }
        }
        Ok(())
    }

    /// A row that is out of sight, with the visible row that keeps it there.
    fn hidden(&self, conflict: &Conflict) -> anyhow::Result<ConflictRow> {
        let key = unpack(&conflict.pk)?;
        let columns = key_columns(self.table);
        let mut blocker = None;
        for set in unique_sets(self.table) {
            let values: Vec<_> =
                set.columns.iter().map(|id| self.cell(conflict, &key, *id)).collect();
            let found = self.rows(&set.sql, &values, columns.len(), 1)?;
            if let Some(other) = found.into_iter().next() {
                blocker = Some((set.constraint, self.object(&columns, &other)));
                break;
            }
        }
        let (constraint, other_key) = blocker.unzip();
        let cells: Vec<_> = self
            .table
            .columns
            .iter()
            .map(|it| (it.name.clone(), it.type_oid, self.cell(conflict, &key, it.store_id())))
            .collect();
        let names: Vec<_> = cells.iter().map(|(name, oid, _)| (name.clone(), *oid)).collect();
        let values: Vec<_> = cells.into_iter().map(|(_, _, value)| value).collect();
        Ok(ConflictRow {
            table_name: self.name(),
            kind: "unique",
            constraint,
            key: Some(self.object(&columns, &key)),
            other_key,
            since: conflict.since,
            row: Some(self.object(&names, &values)),
        })
    }

    /// The value of a column of a hidden row, which may be one of its key.
    fn cell(&self, conflict: &Conflict, key: &[Value], id: u32) -> Value {
        if let Some((_, value)) = conflict.cells.iter().find(|(column, _)| column.0 == id) {
            return value.clone();
        }
        let store_id = |attnum: &i16| self.table.column(*attnum).map(|it| it.store_id());
        let place = self.table.key.iter().position(|attnum| store_id(attnum) == Some(id));
        place.and_then(|place| key.get(place).cloned()).unwrap_or(Value::Null)
    }

    fn violations(
        &self,
        query: &ViolationQuery,
        rows: &mut Vec<ConflictRow>,
    ) -> anyhow::Result<()> {
        let columns = key_columns(self.table);
        let width = columns.len() + query.other.len();
        let room = ROWS_MAX.saturating_sub(rows.len());
        for values in self.rows(&query.sql, &[], width, room)? {
            let (key, other) = values.split_at(columns.len());
            let pk = pack(key.iter().map(Value::as_ref));
            rows.push(ConflictRow {
                table_name: self.name(),
                kind: query.kind,
                constraint: Some(query.constraint.clone()),
                key: Some(self.object(&columns, key)),
                other_key: (!other.is_empty()).then(|| self.object(&query.other, other)),
                since: self.database.store.last_writer(self.id(), &pk)?,
                row: None,
            });
        }
        Ok(())
    }

    /// The first rows of a query.
    fn rows(
        &self,
        sql: &str,
        parameters: &[Value],
        width: usize,
        max: usize,
    ) -> anyhow::Result<Vec<Vec<Value>>> {
        let mut statement = self.sqlite.prepare(sql)?;
        let bound = parameters.iter().map(|value| match value {
            Value::Null => rusqlite::types::Value::Null,
            Value::Integer(integer) => (*integer).into(),
            Value::Real(real) => (*real).into(),
            Value::Text(text) => text.clone().into(),
            Value::Blob(blob) => blob.clone().into(),
        });
        let mut rows = statement.query(params_from_iter(bound))?;
        let mut found = Vec::new();
        while found.len() < max
            && let Some(row) = rows.next()?
        {
            let value = |place| {
                Ok(match row.get::<_, rusqlite::types::Value>(place)? {
                    rusqlite::types::Value::Null => Value::Null,
                    rusqlite::types::Value::Integer(integer) => Value::Integer(integer),
                    rusqlite::types::Value::Real(real) => Value::Real(real),
                    rusqlite::types::Value::Text(text) => Value::Text(text),
                    rusqlite::types::Value::Blob(blob) => Value::Blob(blob),
                })
            };
            found.push((0..width).map(value).collect::<rusqlite::Result<_>>()?);
        }
        Ok(found)
    }
}
