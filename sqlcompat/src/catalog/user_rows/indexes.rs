//! `pg_index`, and the `pg_class` and `pg_attribute` rows of indexes.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::identifiers::{columns_named, expression_column_name};
use super::relations::{AttributeRow, Attributes, ClassRow, attnum_of};
use super::types::oid_list;
use super::{Dependencies, PG_CLASS, numbers};
use crate::bind::{BindContext, Parameters, ScalarScope, bind_scalar_expression};
use crate::oid::Oid;
use crate::parse;
use crate::schema::{Catalog, Column, Index, IndexKey, Table, TableKind, UniqueConstraint};
use crate::settings::FormatSettings;

/// The B-tree access method.
const BTREE: u32 = 403;

const INDEX: &str = "INSERT OR IGNORE INTO pg_index(indexrelid, indrelid, indnatts, indnkeyatts, indisunique,
        indnullsnotdistinct, indisprimary, indimmediate, indkey, indcollation, indclass, indoption, indexprs, indpred,
        indisexclusion, indisclustered, indisvalid, indcheckxmin, indisready, indislive, indisreplident)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, ?15, 1, 0, 1, 1, ?16)";

/// The default operator class of an access method (`?1`) for a type (`?2`): the type's own, that of its kind of types, or
/// that of a type to which it may be relabelled.
const DEFAULT_CLASS: &str = "SELECT oid FROM (
    SELECT oid, 0 AS rank FROM pg_opclass WHERE opcmethod = ?1 AND opcdefault AND opcintype = ?2
    UNION ALL
    SELECT o.oid, 1 FROM pg_type t JOIN pg_opclass o ON o.opcintype = CASE
            WHEN t.typtype = 'e' THEN 3500 WHEN t.typtype = 'c' THEN 2249 WHEN t.typtype = 'r' THEN 3831
            WHEN t.typtype = 'm' THEN 4537 WHEN t.typcategory = 'A' THEN 2277 END
        WHERE t.oid = ?2 AND o.opcmethod = ?1 AND o.opcdefault
    UNION ALL
    SELECT o.oid, 3 - (o.opcintype = 25) FROM pg_cast c JOIN pg_opclass o ON o.opcintype = c.casttarget
        WHERE c.castsource = ?2 AND c.castmethod = 'b' AND c.castcontext = 'i' AND o.opcmethod = ?1 AND o.opcdefault)
    ORDER BY rank LIMIT 1";

/// Finds operator classes, collations and access methods, remembering what it found.
struct Lookup<'c> {
    connection: &'c Connection,
    catalog: &'c Catalog,
    default_classes: BTreeMap<(u32, u32), u32>,
}

impl Lookup<'_> {
    fn one(&self, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<u32> {
        let found = self.connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0));
        Ok(found.optional()?.unwrap_or(0))
    }

    fn access_method(&self, name: &str) -> rusqlite::Result<u32> {
        if name == "btree" {
            return Ok(BTREE);
        }
        self.one("SELECT oid FROM pg_am WHERE amname = ?1", [name])
    }

    fn collation(&self, name: Option<&str>, type_oid: Oid) -> rusqlite::Result<Oid> {
        let named = match name {
            Some(name) => self.one("SELECT oid FROM pg_collation WHERE collname = ?1", [name])?,
            None => 0,
        };
        if named != 0 {
            return Ok(Oid(named));
        }
        self.one("SELECT typcollation FROM pg_type WHERE oid = ?1", [type_oid.0]).map(Oid)
    }

    fn operator_class(
        &mut self,
        method: u32,
        name: Option<&str>,
        type_oid: Oid,
    ) -> rusqlite::Result<Oid> {
        if let Some(name) = name {
            let sql = "SELECT oid FROM pg_opclass WHERE opcmethod = ?1 AND opcname = ?2";
            return self.one(sql, params![method, name]).map(Oid);
        }
        let base = self.one(
            "SELECT CASE typtype WHEN 'd' THEN typbasetype ELSE oid END FROM pg_type WHERE oid = ?1",
            [type_oid.0],
        )?;
        if let Some(found) = self.default_classes.get(&(method, base)) {
            return Ok(Oid(*found));
        }
        let found = self.one(DEFAULT_CLASS, params![method, base])?;
        self.default_classes.insert((method, base), found);
        Ok(Oid(found))
    }
}

/// Inserts the indexes of all tables.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut lookup = Lookup { connection, catalog, default_classes: BTreeMap::new() };
    let mut attributes = Attributes::new(connection)?;
    for table in catalog.tables.values() {
        for constraint in &table.uniques {
            insert_index(&mut lookup, &mut attributes, table, &Shape::of_constraint(constraint))?;
        }
        for index in &table.indexes {
            insert_index(&mut lookup, &mut attributes, table, &Shape::of_index(index))?;
            insert_dependencies(connection, table, index)?;
        }
    }
    Ok(())
}

/// What a constraint's index and a plain one have in common.
struct Shape<'a> {
    oid: Oid,
    name: &'a str,
    method: &'a str,
    keys: Vec<Key<'a>>,
    include: &'a [i16],
    unique: bool,
    primary: bool,
    immediate: bool,
    nulls_not_distinct: bool,
    predicate: Option<&'a str>,
    options: &'a [String],
}

/// One key of an index.
#[derive(Default)]
struct Key<'a> {
    attnum: i16,
    expression: Option<&'a str>,
    option: u8,
    operator_class: Option<&'a str>,
    collation: Option<&'a str>,
}

impl<'a> Shape<'a> {
    fn of_constraint(it: &'a UniqueConstraint) -> Self {
        Self {
            oid: it.index_oid,
            name: &it.name,
            method: "btree",
            keys: it
                .columns
                .iter()
                .map(|attnum| Key { attnum: *attnum, ..Key::default() })
                .collect(),
            include: &it.include,
            unique: true,
            primary: it.primary,
            immediate: !it.deferrable.0,
            nulls_not_distinct: it.nulls_not_distinct,
            predicate: None,
            options: &[],
        }
    }

    fn of_index(it: &'a Index) -> Self {
        Self {
            oid: it.oid,
            name: &it.name,
            method: &it.method,
            keys: it.keys.iter().map(Key::of).collect(),
            include: &it.include,
            unique: it.unique,
            primary: false,
            immediate: true,
            nulls_not_distinct: it.nulls_not_distinct,
            predicate: it.predicate.as_deref(),
            options: &it.options,
        }
    }
}

impl<'a> Key<'a> {
    fn of(it: &'a IndexKey) -> Self {
        Self {
            attnum: it.attnum,
            expression: it.expression.as_deref(),
            option: u8::from(it.descending) | u8::from(it.nulls_first) << 1,
            operator_class: it.operator_class.as_deref(),
            collation: it.collation.as_deref(),
        }
    }
}

fn insert_index(
    lookup: &mut Lookup<'_>,
    attributes: &mut Attributes<'_>,
    table: &Table,
    index: &Shape<'_>,
) -> rusqlite::Result<()> {
    let method = lookup.access_method(index.method)?;
    let count = i16::try_from(index.keys.len() + index.include.len()).unwrap_or(i16::MAX);
    ClassRow {
        oid: index.oid,
        name: index.name,
        namespace: table.namespace,
        row_type: Oid(0),
        kind: "i",
        temporary: table.kind == TableKind::Temporary,
        access_method: method,
        attributes: count,
        has_index: false,
        checks: 0,
        has_rules: false,
        has_triggers: false,
        size: (1, 0),
        options: index.options,
        replica_identity: "n",
    }
    .insert(lookup.connection)?;
    let mut classes = Vec::new();
    let mut collations = Vec::new();
    for key in &index.keys {
        let column = column_of(table, key.attnum);
        let (type_oid, _) = key_type(lookup.catalog, table, key);
        let collation = key.collation.or(column.and_then(|it| it.collation.as_deref()));
        classes.push(lookup.operator_class(method, key.operator_class, type_oid)?);
        collations.push(lookup.collation(collation, type_oid)?);
    }
    insert_attributes(lookup.catalog, attributes, table, index)?;
    if !index.include.is_empty() {
        // Included columns are not compared, and so have no collation.
        lookup.connection.execute(
            "UPDATE pg_attribute SET attcollation = 0 WHERE attrelid = ?1 AND attnum > ?2",
            params![index.oid.0, i64::try_from(index.keys.len()).unwrap_or(i64::MAX)],
        )?;
    }
    let expressions: Vec<_> = index.keys.iter().filter_map(|it| it.expression).collect();
    let attnums = index.keys.iter().map(|it| it.attnum).chain(index.include.iter().copied());
    lookup.connection.prepare_cached(INDEX)?.execute(params![
        index.oid.0,
        table.oid.0,
        count,
        i64::try_from(index.keys.len()).unwrap_or(0),
        index.unique,
        index.nulls_not_distinct,
        index.primary,
        index.immediate,
        numbers(attnums),
        oid_list(&collations),
        oid_list(&classes),
        numbers(index.keys.iter().map(|it| it.option)),
        (!expressions.is_empty()).then(|| expressions.join(", ")),
        index.predicate,
        table.clustered_on == Some(index.oid),
        table.replica_identity.1 == Some(index.oid)
    ])?;
    Ok(())
}

fn column_of(table: &Table, attnum: i16) -> Option<&Column> {
    table.columns.iter().find(|it| it.attnum == attnum)
}

/// Type and type modifier of a key. An expression that cannot be bound, for a column of it is gone, counts as text.
fn key_type(catalog: &Catalog, table: &Table, key: &Key<'_>) -> (Oid, i32) {
    if let Some(column) = column_of(table, key.attnum) {
        return (column.type_oid, column.typmod);
    }
    let unknown = (Oid::TEXT, -1);
    let Some(expression) = key.expression else { return unknown };
    let settings = FormatSettings::default();
    let search_path = [catalog.namespace_name(table.namespace).to_owned()];
    let cx = BindContext {
        catalog,
        search_path: &search_path,
        user: "",
        database: "",
        settings: &settings,
        parameters: Parameters::None,
    };
    let scope = ScalarScope::over(table);
    parse::expression(expression)
        .and_then(|tree| bind_scalar_expression(&tree, expression, scope, None, &cx))
        .map_or(unknown, |bound| (bound.type_oid, bound.typmod))
}

/// An index is a relation, and has columns: those of the table, or one named after the expression.
fn insert_attributes(
    catalog: &Catalog,
    attributes: &mut Attributes<'_>,
    table: &Table,
    index: &Shape<'_>,
) -> rusqlite::Result<()> {
    let mut names: Vec<String> = Vec::new();
    let included = index.include.iter().map(|attnum| Key { attnum: *attnum, ..Key::default() });
    let included: Vec<_> = included.collect();
    for (key, position) in index.keys.iter().chain(&included).zip(1..) {
        let column = column_of(table, key.attnum);
        let wanted = match (column, key.expression) {
            (Some(column), _) => column.name.clone(),
            (None, Some(expression)) => expression_column_name(expression),
            (None, None) => continue,
        };
        let (type_oid, typmod) = key_type(catalog, table, key);
        let name = unused_name(&names, wanted);
        attributes.add(&AttributeRow {
            relation: index.oid,
            name: &name,
            attnum: position,
            type_oid,
            typmod,
            collation: key.collation.or(column.and_then(|it| it.collation.as_deref())),
            ..AttributeRow::default()
        })?;
        names.push(name);
    }
    Ok(())
}

/// `wanted`, or `wanted1`, `wanted2`, … if it is used.
fn unused_name(used: &[String], wanted: String) -> String {
    if !used.contains(&wanted) {
        return wanted;
    }
    let numbered = (1..=used.len()).map(|number| format!("{wanted}{number}"));
    numbered.clone().find(|name| !used.contains(name)).unwrap_or(wanted)
}

/// An index depends on the columns it is over, or on the table if all of its keys are expressions; and, counted apart, on
/// those that its expressions and its predicate name.
fn insert_dependencies(
    connection: &Connection,
    table: &Table,
    index: &Index,
) -> rusqlite::Result<()> {
    let keys = index.keys.iter().map(|it| it.attnum).chain(index.include.iter().copied());
    let mut named: Vec<i16> = keys.collect();
    named.sort_unstable();
    named.dedup();
    if named.last() != Some(&0) {
        named.retain(|it| *it != 0);
    }
    let mut attnums = named;
    let expressions: Vec<&str> =
        index.keys.iter().filter_map(|it| it.expression.as_deref()).collect();
    for expression in [expressions.join(", "), index.predicate.clone().unwrap_or_default()] {
        attnums.extend(columns_named(&expression, |name| attnum_of(table, name)));
    }
    let mut depend = Dependencies::new(connection)?;
    for attnum in attnums {
        depend.add((PG_CLASS, index.oid, 0), (PG_CLASS, table.oid, attnum), "a")?;
    }
    Ok(())
}
