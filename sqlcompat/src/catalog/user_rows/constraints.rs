//! `pg_constraint`: constraints of tables.

use rusqlite::{Connection, params};

use super::identifiers::columns_named;
use super::relations::attnum_of;
use super::{Dependencies, PG_CLASS, PG_CONSTRAINT, numbers};
use crate::oid::Oid;
use crate::schema::{
    Catalog, CheckConstraint, ForeignKey, ForeignKeyAction, MatchType, Table, UniqueConstraint,
};

const CONSTRAINT: &str = "INSERT OR IGNORE INTO pg_constraint(oid, conname, connamespace, contype, condeferrable,
        condeferred, conrelid, conindid, confrelid, confupdtype, confdeltype, confmatchtype, connoinherit, conkey,
        confkey, conpfeqop, conppeqop, conffeqop, conbin,
        convalidated, contypid, conparentid, conislocal, coninhcount)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, 0, 0, 1, 0)";

/// The `=` operator between two types, either of which may have to be relabelled or promoted first.
const EQUALITY: &str =
    "SELECT oid FROM pg_operator WHERE oprname = '=' AND oprleft = ?1 AND oprright = ?2";

/// What varies in a row of `pg_constraint`.
struct ConstraintRow<'a> {
    oid: Oid,
    name: &'a str,
    kind: &'a str,
    deferrable: (bool, bool),
    index: Oid,
    columns: &'a [i16],
    expression: Option<&'a str>,
    no_inherit: bool,
    validated: bool,
    foreign: Option<(&'a ForeignKey, Operators)>,
}

/// Equality operators of a foreign key's columns: referenced with referencing, referenced, referencing.
struct Operators(String, String, String);

impl ConstraintRow<'_> {
    fn insert(&self, connection: &Connection, table: &Table) -> rusqlite::Result<()> {
        let foreign = self.foreign.as_ref().map(|(key, _)| *key);
        let operators = self.foreign.as_ref().map(|(_, operators)| operators);
        let action =
            |of: fn(&ForeignKey) -> ForeignKeyAction| foreign.map_or(" ", |it| letter(of(it)));
        connection.prepare_cached(CONSTRAINT)?.execute(params![
            self.oid.0,
            self.name,
            table.namespace.0,
            self.kind,
            self.deferrable.0,
            self.deferrable.1,
            table.oid.0,
            self.index.0,
            foreign.map_or(0, |it| it.references.0),
            action(|it| it.on_update),
            action(|it| it.on_delete),
            foreign.map_or(" ", |it| match it.match_type {
                MatchType::Simple => "s",
                MatchType::Full => "f",
            }),
            self.no_inherit,
            (!self.columns.is_empty()).then(|| numbers(self.columns)),
            foreign.map(|it| numbers(&it.referenced_columns)),
            operators.map(|it| &it.0),
            operators.map(|it| &it.1),
            operators.map(|it| &it.2),
            self.expression,
            self.validated
        ])?;
        Ok(())
    }
}

fn letter(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "a",
        ForeignKeyAction::Restrict => "r",
        ForeignKeyAction::Cascade => "c",
        ForeignKeyAction::SetNull => "n",
        ForeignKeyAction::SetDefault => "d",
    }
}

/// Inserts the constraints of all tables.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    for table in catalog.tables.values() {
        table.uniques.iter().try_for_each(|it| insert_unique(connection, table, it))?;
        table.checks.iter().try_for_each(|it| insert_check(connection, table, it))?;
        table
            .foreign_keys
            .iter()
            .try_for_each(|it| insert_foreign(connection, catalog, table, it))?;
    }
    Ok(())
}

fn insert_unique(
    connection: &Connection,
    table: &Table,
    it: &UniqueConstraint,
) -> rusqlite::Result<()> {
    ConstraintRow {
        oid: it.oid,
        name: &it.name,
        kind: if it.primary { "p" } else { "u" },
        deferrable: it.deferrable,
        index: it.index_oid,
        columns: &it.columns,
        expression: None,
        no_inherit: true,
        validated: true,
        foreign: None,
    }
    .insert(connection, table)?;
    depends_on_columns(connection, table.oid, it.oid, &it.columns, "a")?;
    Dependencies::new(connection)?.add((PG_CLASS, it.index_oid, 0), (PG_CONSTRAINT, it.oid, 0), "i")
}

fn insert_check(
    connection: &Connection,
    table: &Table,
    it: &CheckConstraint,
) -> rusqlite::Result<()> {
    let columns = columns_named(&it.expression, |name| attnum_of(table, name));
    ConstraintRow {
        oid: it.oid,
        name: &it.name,
        kind: "c",
        deferrable: (false, false),
        index: Oid(0),
        columns: &columns,
        expression: Some(&it.expression),
        no_inherit: it.no_inherit,
        validated: it.validated,
        foreign: None,
    }
    .insert(connection, table)?;
    depends_on_columns(connection, table.oid, it.oid, &columns, "a")?;
    depends_on_columns(connection, table.oid, it.oid, &columns, "n")
}

fn insert_foreign(
    connection: &Connection,
    catalog: &Catalog,
    table: &Table,
    it: &ForeignKey,
) -> rusqlite::Result<()> {
    let referenced = catalog.tables.get(&it.references);
    let index = referenced.and_then(|referenced| serving_index(referenced, &it.referenced_columns));
    ConstraintRow {
        oid: it.oid,
        name: &it.name,
        kind: "f",
        deferrable: it.deferrable,
        index: index.unwrap_or_default(),
        columns: &it.columns,
        expression: None,
        no_inherit: true,
        validated: it.validated,
        foreign: Some((it, operators(connection, table, referenced, it)?)),
    }
    .insert(connection, table)?;
    depends_on_columns(connection, table.oid, it.oid, &it.columns, "a")?;
    depends_on_columns(connection, it.references, it.oid, &it.referenced_columns, "n")?;
    match index {
        Some(index) => Dependencies::new(connection)?.add(
            (PG_CONSTRAINT, it.oid, 0),
            (PG_CLASS, index, 0),
            "n",
        ),
        None => Ok(()),
    }
}

/// The index of the unique constraint over just these columns, in any order.
fn serving_index(table: &Table, columns: &[i16]) -> Option<Oid> {
    let sorted = |columns: &[i16]| {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns
    };
    let wanted = sorted(columns);
    table.uniques.iter().find(|it| sorted(&it.columns) == wanted).map(|it| it.index_oid)
}

fn operators(
    connection: &Connection,
    table: &Table,
    referenced: Option<&Table>,
    it: &ForeignKey,
) -> rusqlite::Result<Operators> {
    let type_of = |table: Option<&Table>, attnum: &i16| {
        let columns = table.map_or(&[][..], |it| &it.columns);
        columns.iter().find(|it| it.attnum == *attnum).map_or(Oid(0), |it| it.type_oid)
    };
    let mut find = connection.prepare_cached(EQUALITY)?;
    let mut equality = |left: Oid, right: Oid| -> rusqlite::Result<u32> {
        // varchar and char keys are compared as the types that they are relabelled to.
        let plain = |oid: Oid| if oid == Oid::VARCHAR { Oid::TEXT.0 } else { oid.0 };
        let mut rows = find.query([plain(left), plain(right)])?;
        rows.next()?.map_or(Ok(0), |row| row.get(0))
    };
    let (mut both, mut theirs, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for (column, key) in it.columns.iter().zip(&it.referenced_columns) {
        let (own, other) = (type_of(Some(table), column), type_of(referenced, key));
        both.push(equality(other, own)?);
        theirs.push(equality(other, other)?);
        ours.push(equality(own, own)?);
    }
    Ok(Operators(numbers(both), numbers(theirs), numbers(ours)))
}

fn depends_on_columns(
    connection: &Connection,
    relation: Oid,
    constraint: Oid,
    columns: &[i16],
    kind: &str,
) -> rusqlite::Result<()> {
    let mut depend = Dependencies::new(connection)?;
    for attnum in columns {
        depend.add((PG_CONSTRAINT, constraint, 0), (PG_CLASS, relation, *attnum), kind)?;
    }
    Ok(())
}
