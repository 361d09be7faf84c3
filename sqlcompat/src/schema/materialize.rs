//! The SQLite DDL that leads from one catalog to another: for local statements, and for rows merged from peers.
//!
//! Tables, columns, constraints and indexes are matched by id, never by name, so a rename moves no data. No table is ever
//! copied: columns are added and dropped by SQLite's ALTER TABLE, constraints are edited in the stored text (SQLite manual,
//! "ALTER TABLE", section "Making Other Kinds Of Table Schema Changes"), and a column whose stored form changes is
//! added anew, filled and renamed into place. Rowids, and with them the store's bookkeeping, stay as they are.
//!
//! The order: indexes and constraints that go, tables that go, new names, columns, new tables, constraints and indexes that
//! come.
//!
//! Two kinds of step may fail because of the rows that are there. Where a statement is run they are to fail; where rows of the
//! schema are merged they must not, and [`TableStep`] says what there is to know.
//!
//! # Left out
//! A changed physical key. Statements refuse to change it; two nodes that concurrently create one table with different
//! keys would need a rebuild: the table keeps the key that it has.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Column, Table, View};
use super::change::expression;
use super::link::present_text;
use super::physical::{GENERATION, HIDDEN_KEY, quote, quote_literal};
use super::row::ObjectId;
use super::storage::storage_form;
use super::table_sql::{
    IndexSql, SchemaContext, UniqueKey, column_definition, constraint_clauses, create_table,
    index_statements, location, marked,
};
use crate::bind::resolve::Types;
use crate::error::SqlError;

/// One step from one state of the tables to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableStep {
    /// Runs a SQLite statement.
    Run(String),
    /// Fills a column of a new form; not every value may have one.
    Convert(Conversion),
    /// Makes a unique index; there may be rows that it does not allow together. After all other steps that matter to it.
    UniqueIndex(UniqueIndex),
}

/// See [`TableStep::Convert`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The table, as a statement names it.
    pub table: String,
    /// The column, as a statement names it.
    pub column: String,
    /// SQLite expression of the new value.
    pub value: String,
    /// SQLite literal of what a row holds whose value has no new form.
    pub fallback: String,
}

/// See [`TableStep::UniqueIndex`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueIndex {
    /// The table's id in the store.
    pub table: u64,
    /// The statement.
    pub sql: String,
    /// SQLite expressions that no two rows may have the same values of, unless one is NULL.
    pub keys: Vec<String>,
    /// SQLite condition of the rows that the index is about.
    pub predicate: Option<String>,
}

impl TableStep {
    /// The step as a SQLite statement, which may fail because of the rows that are there.
    #[must_use]
    pub fn sql(&self) -> String {
        match self {
            Self::Run(sql) => sql.clone(),
            Self::Convert(it) => {
                format!("UPDATE {} SET {} = {}", it.table, it.column, it.value)
            }
            Self::UniqueIndex(it) => it.sql.clone(),
        }
    }
}

/// The SQLite statements that bring the tables from `old` to `new`, in order, to run inside one transaction.
///
/// # Errors
/// 0A000 if an expression of the schema cannot be lowered; the error that its binding raises otherwise.
pub fn materialize(old: &Catalog, new: &Catalog) -> Result<Vec<TableStep>, SqlError> {
    let mut script = Script { old, new, steps: Vec::new(), edited: false };
    let old_tables = by_id(old);
    let new_tables = by_id(new);
    let disguised = disguise(new, &old_tables);
    let mut pairs = Vec::new();
    for (id, table) in &old_tables {
        match new_tables.get(id) {
            Some(renewed) => pairs.push(Pair::new(old, new, &disguised, (table, renewed))?),
            None => script.clear(table),
        }
    }
    pairs.retain(Pair::differs);
    for pair in &pairs {
        script.remove_constraints(pair);
    }
    script.flush_edits();
    for table in old_tables.iter().filter(|(id, _)| !new_tables.contains_key(id)).map(|(_, it)| it)
    {
        script.run(format!("DROP TABLE {}", location(table)));
    }
    script.rename_tables(&pairs);
    for pair in &pairs {
        script.columns(pair)?;
    }
    let added: Vec<_> = new_tables
        .iter()
        .filter(|(id, _)| !old_tables.contains_key(id))
        .map(|(_, it)| *it)
        .collect();
    for table in &added {
        script.run(create_table(new, table)?);
    }
    for pair in &pairs {
        script.add_constraints(pair);
    }
    script.flush_edits();
    for table in added {
        script.indexes(table, index_statements(new, table)?.into_values());
    }
    for pair in &pairs {
        script.add_indexes(pair);
    }
    script.materialized_views();
    Ok(script.steps)
}

/// What a column of this declared type holds in place of a value that it cannot: the same as in the store.
fn zero(declared: &str) -> &'static str {
    match declared {
        "INT" | "INTEGER" => "0",
        "REAL" => "0.0",
        "BLOB" => "x''",
        _ => "''",
    }
}

fn by_id(catalog: &Catalog) -> BTreeMap<ObjectId, &Table> {
    catalog.tables.values().map(|table| (table.id, table)).collect()
}

/// The new catalog under the old SQLite names.
///
/// SQLite's RENAME carries constraints and indexes along, so they differ only if they do under equal names.
fn disguise(new: &Catalog, old: &BTreeMap<ObjectId, &Table>) -> Catalog {
    let mut disguised = new.clone();
    for table in disguised.tables.values_mut() {
        let Some(before) = old.get(&table.id) else { continue };
        table.physical_name.clone_from(&before.physical_name);
        for column in &mut table.columns {
            if let Some(before) = before.columns.iter().find(|it| it.id == column.id) {
                column.physical_name.clone_from(&before.physical_name);
            }
        }
    }
    disguised
}

/// A table before and after.
struct Pair<'a> {
    old: &'a Table,
    new: &'a Table,
    /// Columns whose stored form changes, before and after.
    rewritten: Vec<(&'a Column, &'a Column)>,
    /// Generated columns that are computed otherwise than before.
    regenerated: Vec<ObjectId>,
    /// Constraints and indexes that go, those that stay, and those that come.
    constraints: Changes<String>,
    indexes: Changes<IndexSql>,
}

/// What goes and what comes.
struct Changes<T> {
    /// Physical names.
    gone: Vec<String>,
    /// Physical names with what they name.
    added: BTreeMap<String, T>,
}

impl<T: PartialEq> Changes<T> {
    /// Compares what has the same names; with `all`, everything goes and comes.
    fn between(
        old: &BTreeMap<String, T>,
        disguised: &BTreeMap<String, T>,
        new: BTreeMap<String, T>,
        all: bool,
    ) -> Self {
        let same = |name: &String| !all && old.get(name) == disguised.get(name);
        let gone = old.keys().filter(|name| !same(name)).cloned().collect();
        let added = new.into_iter().filter(|(name, _)| !same(name)).collect();
        Self { gone, added }
    }

    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.added.is_empty()
    }
}

impl<'a> Pair<'a> {
    fn new(
        old_catalog: &Catalog,
        new_catalog: &Catalog,
        disguised: &Catalog,
        (old, new): (&'a Table, &'a Table),
    ) -> Result<Self, SqlError> {
        let mut rewritten = Vec::new();
        for column in &new.columns {
            let Some(before) = old.columns.iter().find(|it| it.id == column.id) else { continue };
            let form = storage_form(old_catalog, before.type_oid);
            let moved = column.using.is_some()
                && (before.using != column.using || before.type_oid != column.type_oid);
            // The value of rows from before the column is SQLite's default, which only a new column can have another of.
            let refilled = before.missing != column.missing && !new.key.contains(&column.attnum);
            if form != storage_form(new_catalog, column.type_oid) || moved || refilled {
                rewritten.push((before, column));
            }
        }
        let twin = disguised.table(new.oid).unwrap_or(new);
        let same_functions = old_catalog.functions == new_catalog.functions;
        let regenerated = if same_functions {
            Vec::new()
        } else {
            regenerated((old_catalog, old), (disguised, twin))
        };
        let all = !rewritten.is_empty() || !regenerated.is_empty();
        // What the old catalog cannot lower was never made.
        let constraints = Changes::between(
            &constraint_clauses(old_catalog, old).unwrap_or_default(),
            &constraint_clauses(disguised, twin)?,
            constraint_clauses(new_catalog, new)?,
            all,
        );
        let indexes = Changes::between(
            &index_statements(old_catalog, old).unwrap_or_default(),
            &index_statements(disguised, twin)?,
            index_statements(new_catalog, new)?,
            all,
        );
        Ok(Self { old, new, rewritten, regenerated, constraints, indexes })
    }

    /// Whether there is anything to do.
    fn differs(&self) -> bool {
        self.old.physical_name != self.new.physical_name
            || self.old.columns != self.new.columns
            || !self.regenerated.is_empty()
            || !self.constraints.is_empty()
            || !self.indexes.is_empty()
    }
}

/// The generated columns that are computed otherwise than before, because a function that they call has changed.
///
/// PostgreSQL leaves the values that are stored as they are; here they follow the function, so that rows are equal on all nodes
/// whenever they came.
fn regenerated(
    (old_catalog, old): (&Catalog, &Table),
    (new_catalog, new): (&Catalog, &Table),
) -> Vec<ObjectId> {
    let definition = |catalog: &Catalog, table: &Table, id: ObjectId| {
        let column = table.columns.iter().find(|it| it.id == id)?;
        let context = SchemaContext::new(catalog, table);
        column_definition(catalog, table, column, "VIRTUAL", &context.bind()).ok()
    };
    let generated = new.columns.iter().filter(|it| !it.generation.is_written()).map(|it| it.id);
    let changed = generated.filter(|id| {
        let before = definition(old_catalog, old, *id);
        before.is_some() && before != definition(new_catalog, new, *id)
    });
    changed.collect()
}

/// Statements written so far.
struct Script<'a> {
    old: &'a Catalog,
    new: &'a Catalog,
    steps: Vec<TableStep>,
    /// The stored text of a table is being edited.
    edited: bool,
}

impl Script<'_> {
    fn run(&mut self, sql: String) {
        self.steps.push(TableStep::Run(sql));
    }

    fn indexes(&mut self, table: &Table, indexes: impl IntoIterator<Item = IndexSql>) {
        let table = table.id.0.cast_unsigned();
        self.steps.extend(indexes.into_iter().map(|IndexSql { sql, unique }| match unique {
            None => TableStep::Run(sql),
            Some(UniqueKey { keys, predicate }) => {
                TableStep::UniqueIndex(UniqueIndex { table, sql, keys, predicate })
            }
        }));
    }

    /// Edits the stored text of a table: `expression` is the new text, in terms of `sql`.
    fn edit(&mut self, table: &Table, expression: &str) {
        if !self.edited {
            self.run("PRAGMA writable_schema = ON".to_owned());
            self.edited = true;
        }
        self.run(format!(
            "UPDATE {}.sqlite_schema SET sql = {expression} WHERE type = 'table' AND name = {}",
            table.database(),
            quote_literal(&table.physical_name)
        ));
    }

    /// Ends a run of edits: this connection reads the schema anew, and a view that comes and goes moves the version by
    /// which other connections notice.
    fn flush_edits(&mut self) {
        if !std::mem::take(&mut self.edited) {
            return;
        }
        self.run("PRAGMA writable_schema = RESET".to_owned());
        self.run("CREATE VIEW main.trellis_schema_edit AS SELECT 1".to_owned());
        self.run("DROP VIEW main.trellis_schema_edit".to_owned());
    }

    /// Cuts a constraint out of the stored text.
    fn cut(&mut self, table: &Table, name: &str) {
        let (from, to) = (format!("/*+{name}*/"), format!("/*-{name}*/"));
        let (from, to, length) = (quote_literal(&from), quote_literal(&to), to.len());
        self.edit(
            table,
            &format!(
                "CASE WHEN instr(sql, {from}) > 0 THEN substr(sql, 1, instr(sql, {from}) - 1) \
                 || ltrim(substr(sql, instr(sql, {to}) + {length})) ELSE sql END"
            ),
        );
    }

    /// Takes the foreign keys off a table that is dropped, so that dropping it deletes no rows one by one.
    fn clear(&mut self, table: &Table) {
        for foreign in &table.foreign_keys {
            self.cut(table, &format!("f{}", foreign.id.0));
        }
    }

    fn remove_constraints(&mut self, pair: &Pair<'_>) {
        for name in &pair.indexes.gone {
            self.run(format!("DROP INDEX {}.{}", pair.old.database(), quote(name)));
        }
        for name in &pair.constraints.gone {
            self.cut(pair.old, name);
        }
    }

    fn add_constraints(&mut self, pair: &Pair<'_>) {
        for (name, clause) in &pair.constraints.added {
            let clause = quote_literal(&format!("{}) STRICT", marked(name, clause)));
            let ending = ") STRICT".len();
            self.edit(pair.new, &format!("substr(sql, 1, length(sql) - {ending}) || {clause}"));
        }
    }

    fn add_indexes(&mut self, pair: &Pair<'_>) {
        self.indexes(pair.new, pair.indexes.added.values().cloned());
    }

    /// Gives tables their new names; several by way of names of their own, so that two may swap.
    fn rename_tables(&mut self, pairs: &[Pair<'_>]) {
        let renamed: Vec<_> =
            pairs.iter().filter(|it| it.old.physical_name != it.new.physical_name).collect();
        if let [pair] = renamed.as_slice() {
            let name = quote(&pair.new.physical_name);
            self.run(format!("ALTER TABLE {} RENAME TO {name}", location(pair.old)));
            return;
        }
        let between = |pair: &Pair<'_>| format!("trellis_rename_{}", pair.new.id.0.cast_unsigned());
        for pair in &renamed {
            let name = quote(&between(pair));
            self.run(format!("ALTER TABLE {} RENAME TO {name}", location(pair.old)));
        }
        for pair in &renamed {
            let (database, between) = (pair.new.database(), quote(&between(pair)));
            let name = quote(&pair.new.physical_name);
            self.run(format!("ALTER TABLE {database}.{between} RENAME TO {name}"));
        }
    }

    fn columns(&mut self, pair: &Pair<'_>) -> Result<(), SqlError> {
        let table = location(pair.new);
        let kept = |column: &Column, of: &Table| {
            of.columns.iter().any(|it| it.id == column.id) && !pair.regenerated.contains(&column.id)
        };
        let mut gone: Vec<_> = pair.old.columns.iter().filter(|it| !kept(it, pair.new)).collect();
        // Generated columns go before what they are generated from.
        gone.sort_by_key(|column| column.generation.is_written());
        for column in gone {
            self.run(format!("ALTER TABLE {table} DROP COLUMN {}", quote(&column.physical_name)));
        }
        self.rewrite_columns(pair);
        let renamed: Vec<_> = pair
            .new
            .columns
            .iter()
            .filter_map(|new| {
                let old = pair.old.columns.iter().find(|old| old.id == new.id)?;
                (old.physical_name != new.physical_name).then_some((old, new))
            })
            .collect();
        let between = |column: &Column| quote(&format!("trellis_rename_{}", column.store_id()));
        if let [(old, new)] = renamed.as_slice() {
            let (from, to) = (quote(&old.physical_name), quote(&new.physical_name));
            self.run(format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}"));
        } else {
            // By way of names of their own, so that two may swap.
            for (old, new) in &renamed {
                let (from, to) = (quote(&old.physical_name), between(new));
                self.run(format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}"));
            }
            for (_, new) in &renamed {
                let (from, to) = (between(new), quote(&new.physical_name));
                self.run(format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to}"));
            }
        }
        let context = SchemaContext::new(self.new, pair.new);
        for column in pair.new.columns.iter().filter(|it| !kept(it, pair.old)) {
            // SQLite adds no STORED columns; a VIRTUAL one answers the same.
            let cx = context.bind();
            let definition = column_definition(self.new, pair.new, column, "VIRTUAL", &cx)?;
            self.run(format!("ALTER TABLE {table} ADD COLUMN {definition}"));
        }
        Ok(())
    }

    /// Moves values to a new column of the new form, under the old name.
    fn rewrite_columns(&mut self, pair: &Pair<'_>) {
        let table = location(pair.new);
        let kept = |column: &Column| pair.new.columns.iter().any(|it| it.id == column.id);
        let context = SchemaContext::new(self.new, pair.new);
        for (old, new) in &pair.rewritten {
            let expected = Some((new.type_oid, new.typmod));
            let bind =
                |text: &str| expression::bind_over(pair.old, text, expected, &context.bind());
            let form = storage_form(self.new, new.type_oid);
            let fallback = new.missing.clone().filter(|literal| !literal.starts_with('('));
            let fallback = fallback.unwrap_or_else(|| zero(form.sqlite_type).to_owned());
            let form = form.declaration();
            // USING may name columns that are gone here.
            let kept: Vec<_> = pair.old.columns.iter().filter(|it| kept(it)).cloned().collect();
            let using = new.using.as_ref().filter(|using| !using.text.is_empty());
            let using = using.and_then(|it| present_text(&kept, &it.text, &it.names));
            // Of two types that two nodes gave it at once, one may have no cast to the other that happens by itself, or none.
            let column = crate::builtin::quote_identifier(&old.name);
            let types = Types::new(self.new, &context.search_path);
            let cast = format!("{column}::{}", types.format_with_typmod(new.type_oid, new.typmod));
            let texts = using.into_iter().chain([column, cast]);
            let lowered = texts.map(|text| bind(&text)).find_map(Result::ok);
            let name = quote(&old.physical_name);
            let value = lowered.map_or_else(
                || format!("CASE WHEN {name} IS NULL THEN NULL ELSE {fallback} END"),
                |lowered| lowered.sql,
            );
            let between = quote(&format!("trellis_rewrite_{}", new.store_id()));
            let missing = new.missing.as_ref().map(|it| format!(" DEFAULT {it}"));
            let missing = missing.unwrap_or_default();
            self.run(format!("ALTER TABLE {table} ADD COLUMN {between} {form}{missing}"));
            let (table, column) = (table.clone(), between.clone());
            self.steps.push(TableStep::Convert(Conversion { table, column, value, fallback }));
            self.run(format!("ALTER TABLE {} DROP COLUMN {name}", location(pair.new)));
            self.run(format!(
                "ALTER TABLE {} RENAME COLUMN {between} TO {name}",
                location(pair.new)
            ));
        }
    }

    /// Tables of materialized views: made and dropped whole. They hold the rows of all refreshes that have not been cleared
    /// away; the view's are those of its generation.
    fn materialized_views(&mut self) {
        let physical = |catalog: &Catalog| -> BTreeMap<ObjectId, MaterializedTable> {
            let views = catalog.views.values();
            views.filter_map(|view| Some((view.id, materialized_table(catalog, view)?))).collect()
        };
        let (old, new) = (physical(self.old), physical(self.new));
        for (id, old) in &old {
            let Some(new) = new.get(id) else {
                self.run(format!("DROP TABLE main.{}", quote(&old.name)));
                continue;
            };
            if new.name != old.name {
                let (from, to) = (quote(&old.name), quote(&new.name));
                self.run(format!("ALTER TABLE main.{from} RENAME TO {to}"));
            }
            self.rename_materialized_columns(old, new);
        }
        for (_, table) in new.iter().filter(|(id, _)| !old.contains_key(id)) {
            let (key, generation) = (quote(HIDDEN_KEY), quote(GENERATION));
            let head = format!("{key} INTEGER PRIMARY KEY NOT NULL, {generation} INTEGER");
            let columns = table
                .columns
                .iter()
                .map(|(name, declaration)| format!("{} {declaration}", quote(name)));
            let all: Vec<_> = std::iter::once(head).chain(columns).collect();
            let all = all.join(", ");
            self.run(format!("CREATE TABLE main.{} ({all}) STRICT", quote(&table.name)));
        }
    }

    /// Gives the columns of a materialized view's table their new names, by way of others: they may have changed places.
    fn rename_materialized_columns(&mut self, old: &MaterializedTable, new: &MaterializedTable) {
        let pairs = old.columns.iter().zip(&new.columns).map(|((old, _), (new, _))| (old, new));
        let renamed: Vec<_> = (0u32..).zip(pairs).filter(|(_, (old, new))| old != new).collect();
        let between = |number: u32| quote(&format!("trellis_rename_{number}"));
        let table = quote(&new.name);
        for (number, (old, _)) in &renamed {
            let (from, to) = (quote(old), between(*number));
            self.run(format!("ALTER TABLE main.{table} RENAME COLUMN {from} TO {to}"));
        }
        for (number, (_, new)) in renamed {
            let (from, to) = (between(number), quote(new));
            self.run(format!("ALTER TABLE main.{table} RENAME COLUMN {from} TO {to}"));
        }
    }
}

/// The table of a materialized view in SQLite.
struct MaterializedTable {
    /// Its name.
    name: String,
    /// The columns of the query: names and types.
    columns: Vec<(String, String)>,
}

fn materialized_table(catalog: &Catalog, view: &View) -> Option<MaterializedTable> {
    let columns = view.columns.iter().map(|(column, oid, _)| {
        let declaration = storage_form(catalog, *oid).declaration();
        (super::physical::column_name(column), declaration)
    });
    Some(MaterializedTable { name: view.materialized_in.clone()?, columns: columns.collect() })
}
