//! `pg_class`, `pg_attribute`, `pg_attrdef`, `pg_sequence`, `pg_rewrite`: tables, views and sequences with their columns.

use rusqlite::{CachedStatement, Connection, params};

use super::identifiers::columns_named;
use super::{Dependencies, DerivedOids, PG_ATTRDEF, PG_CLASS, PG_REWRITE};
use crate::catalog::names::json_array;
use crate::oid::Oid;
use crate::schema::{
    Catalog, Column, ColumnGeneration, CompositeType, Sequence, Table, TableKind, UserType, View,
};

/// A row of `pg_class`; `relfilenode` is the OID of what has storage.
const CLASS: &str = "INSERT OR IGNORE INTO pg_class(oid, relname, relnamespace, reltype, relkind, relpersistence, relam,
        relnatts, relhasindex, relchecks, relhasrules, relhastriggers, relreplident, relpages, reltuples, relfilenode,
        relfrozenxid, relminmxid,
        reloftype, relowner, reltablespace, relallvisible, reltoastrelid, relisshared, relhassubclass,
        relrowsecurity, relforcerowsecurity, relispopulated, relispartition, relrewrite, reloptions)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
        CASE WHEN ?5 NOT IN ('v', 'c') THEN ?1 ELSE 0 END, CASE WHEN ?5 IN ('r', 'm') THEN 3 ELSE 0 END, ?5 IN ('r', 'm'),
        0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, ?16)";

/// A row of `pg_attribute`, with the facts of its type.
const ATTRIBUTE: &str = "INSERT OR IGNORE INTO pg_attribute(attrelid, attname, attnum, atttypmod, attnotnull, atthasdef,
        attidentity, attgenerated, attcollation,
        atttypid, attlen, attbyval, attalign, attstorage, attndims,
        attstattarget, attcacheoff, attcompression, atthasmissing, attisdropped, attislocal, attinhcount)
    SELECT ?1, ?2, ?3, ?5, ?6, ?7, ?8, ?9,
        coalesce((SELECT c.oid FROM pg_collation c WHERE c.collname = ?10 LIMIT 1), typcollation),
        oid, typlen, typbyval, typalign, typstorage, typsubscript = 6179, -1, -1, '', 0, 0, 1, 0
    FROM pg_type WHERE oid = ?4";

/// The system columns of a relation, as any catalog table has them.
const SYSTEM_ATTRIBUTES: &str = "INSERT OR IGNORE INTO pg_attribute(attrelid, attname, attnum, atttypmod, attnotnull,
        atthasdef, attidentity, attgenerated, attcollation, atttypid, attlen, attbyval, attalign, attstorage,
        attndims, attstattarget, attcacheoff, attcompression, atthasmissing, attisdropped, attislocal, attinhcount)
    SELECT ?1, attname, attnum, atttypmod, attnotnull, atthasdef, attidentity, attgenerated, attcollation, atttypid,
        attlen, attbyval, attalign, attstorage, attndims, attstattarget, attcacheoff, attcompression, atthasmissing,
        attisdropped, attislocal, attinhcount
    FROM pg_attribute WHERE attrelid = 1259 AND attnum < 0";

/// What varies in a row of `pg_class`.
pub(super) struct ClassRow<'a> {
    pub(super) oid: Oid,
    pub(super) name: &'a str,
    pub(super) namespace: Oid,
    pub(super) row_type: Oid,
    pub(super) kind: &'a str,
    pub(super) temporary: bool,
    pub(super) access_method: u32,
    pub(super) attributes: i16,
    pub(super) has_index: bool,
    pub(super) checks: i16,
    pub(super) has_rules: bool,
    pub(super) has_triggers: bool,
    /// `relpages` and `reltuples` of a relation that was never analyzed.
    pub(super) size: (i32, i32),
    /// Storage options: `name=value`.
    pub(super) options: &'a [String],
    /// `relreplident`.
    pub(super) replica_identity: &'a str,
}

impl ClassRow<'_> {
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let options: Vec<_> = self.options.iter().map(|it| Some(it.clone())).collect();
        connection.prepare_cached(CLASS)?.execute(params![
            self.oid.0,
            self.name,
            self.namespace.0,
            self.row_type.0,
            self.kind,
            if self.temporary { "t" } else { "p" },
            self.access_method,
            self.attributes,
            self.has_index,
            self.checks,
            self.has_rules,
            self.has_triggers,
            self.replica_identity,
            self.size.0,
            self.size.1,
            (!options.is_empty()).then(|| json_array(&options))
        ])?;
        Ok(())
    }
}

/// What varies in a row of `pg_attribute`.
#[derive(Default)]
pub(super) struct AttributeRow<'a> {
    pub(super) relation: Oid,
    pub(super) name: &'a str,
    pub(super) attnum: i16,
    pub(super) type_oid: Oid,
    pub(super) typmod: i32,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    pub(super) identity: &'a str,
    pub(super) generated: &'a str,
    pub(super) collation: Option<&'a str>,
}

/// Writes `pg_attribute`.
pub(super) struct Attributes<'c> {
    plain: CachedStatement<'c>,
    system: CachedStatement<'c>,
}

impl<'c> Attributes<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            plain: connection.prepare_cached(ATTRIBUTE)?,
            system: connection.prepare_cached(SYSTEM_ATTRIBUTES)?,
        })
    }

    pub(super) fn add(&mut self, it: &AttributeRow<'_>) -> rusqlite::Result<()> {
        self.plain.execute(params![
            it.relation.0,
            it.name,
            it.attnum,
            it.type_oid.0,
            it.typmod,
            it.not_null,
            it.has_default,
            it.identity,
            it.generated,
            it.collation
        ])?;
        Ok(())
    }

    /// Adds columns that are a name and a type; `has_default` says by attribute number whether one has a default.
    fn add_fields(
        &mut self,
        relation: Oid,
        fields: &[(String, Oid, i32)],
        has_default: impl Fn(i16) -> bool,
    ) -> rusqlite::Result<()> {
        for ((name, type_oid, typmod), attnum) in fields.iter().zip(1..) {
            self.add(&AttributeRow {
                relation,
                name,
                attnum,
                type_oid: *type_oid,
                typmod: *typmod,
                has_default: has_default(attnum),
                ..Default::default()
            })?;
        }
        Ok(())
    }

    fn add_system(&mut self, relation: Oid) -> rusqlite::Result<()> {
        self.system.execute([relation.0])?;
        Ok(())
    }
}

/// Inserts tables, views and sequences.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut attributes = Attributes::new(connection)?;
    let mut defaults = DerivedOids::default();
    let mut rules = DerivedOids::default();
    for table in catalog.tables.values() {
        insert_table(connection, catalog, table)?;
        for column in &table.columns {
            insert_column(&mut attributes, table.oid, column)?;
            insert_default(connection, catalog, table, column, &mut defaults)?;
            insert_type_dependency(connection, catalog, table.oid, column)?;
        }
        attributes.add_system(table.oid)?;
    }
    for view in catalog.views.values() {
        let rule = rules.next(view.oid, 0);
        insert_view(connection, view, &mut attributes, rule)?;
        insert_view_dependencies(connection, catalog, view, rule)?;
        for (attnum, text) in &view.defaults {
            let oid = defaults.next(view.oid, *attnum);
            insert_default_row(connection, oid, (view.oid, *attnum), text)?;
            let object = (PG_ATTRDEF, oid, 0);
            Dependencies::new(connection)?.add(object, (PG_CLASS, view.oid, *attnum), "a")?;
        }
    }
    for sequence in catalog.sequences.values() {
        insert_sequence(connection, catalog, sequence, &mut attributes)?;
    }
    for user_type in catalog.types.values() {
        if let UserType::Composite(composite) = user_type {
            insert_composite(connection, composite, &mut attributes)?;
        }
    }
    Ok(())
}

/// The relation that stands for a composite type.
fn insert_composite(
    connection: &Connection,
    composite: &CompositeType,
    attributes: &mut Attributes<'_>,
) -> rusqlite::Result<()> {
    let relation = composite.relation_oid;
    ClassRow {
        oid: relation,
        name: &composite.name,
        namespace: composite.namespace,
        row_type: composite.oid,
        kind: "c",
        temporary: false,
        access_method: 0,
        attributes: i16::try_from(composite.fields.len()).unwrap_or(i16::MAX),
        has_index: false,
        checks: 0,
        has_rules: false,
        has_triggers: false,
        size: (0, 0),
        options: &[],
        replica_identity: "n",
    }
    .insert(connection)?;
    attributes.add_fields(relation, &composite.fields, |_| false)
}

fn insert_table(connection: &Connection, catalog: &Catalog, table: &Table) -> rusqlite::Result<()> {
    let is_referenced = || {
        catalog
            .tables
            .values()
            .any(|it| it.foreign_keys.iter().any(|key| key.references == table.oid))
    };
    ClassRow {
        oid: table.oid,
        name: &table.name,
        namespace: table.namespace,
        row_type: table.row_type_oid,
        kind: "r",
        temporary: table.kind == TableKind::Temporary,
        access_method: 2,
        attributes: table.columns.iter().map(|it| it.attnum).max().unwrap_or(0),
        has_index: !table.uniques.is_empty() || !table.indexes.is_empty(),
        checks: i16::try_from(table.checks.len()).unwrap_or(i16::MAX),
        has_rules: false,
        has_triggers: !table.foreign_keys.is_empty() || is_referenced(),
        size: (0, -1),
        options: &table.options,
        replica_identity: table.replica_identity.0,
    }
    .insert(connection)?;
    Dependencies::new(connection)?.in_namespace(PG_CLASS, table.oid, table.namespace)
}

fn insert_column(
    attributes: &mut Attributes<'_>,
    relation: Oid,
    column: &Column,
) -> rusqlite::Result<()> {
    let (identity, generated) = match &column.generation {
        ColumnGeneration::Plain => ("", ""),
        ColumnGeneration::IdentityAlways(_) => ("a", ""),
        ColumnGeneration::IdentityByDefault(_) => ("d", ""),
        ColumnGeneration::Stored(_) => ("", "s"),
    };
    attributes.add(&AttributeRow {
        relation,
        name: &column.name,
        attnum: column.attnum,
        type_oid: column.type_oid,
        typmod: column.typmod,
        not_null: column.not_null,
        has_default: column.default.is_some() || !generated.is_empty(),
        identity,
        generated,
        collation: column.collation.as_deref(),
    })
}

fn insert_default(
    connection: &Connection,
    catalog: &Catalog,
    table: &Table,
    column: &Column,
    oids: &mut DerivedOids,
) -> rusqlite::Result<()> {
    let (expression, generated) = match (&column.generation, &column.default) {
        (ColumnGeneration::Stored(expression), _) => (expression, true),
        (_, Some(default)) => (&default.expression, false),
        (_, None) => return Ok(()),
    };
    let oid = oids.next(table.oid, column.attnum);
    insert_default_row(connection, oid, (table.oid, column.attnum), expression)?;
    let mut depend = Dependencies::new(connection)?;
    let object = (PG_ATTRDEF, oid, 0);
    let kind = if generated { "i" } else { "a" };
    depend.add(object, (PG_CLASS, table.oid, column.attnum), kind)?;
    if generated {
        for attnum in columns_named(expression, |name| attnum_of(table, name)) {
            depend.add(object, (PG_CLASS, table.oid, attnum), "n")?;
        }
        return Ok(());
    }
    let owned = |it: &&Sequence| it.owned_by == Some((table.oid, column.attnum));
    if let Some(sequence) = catalog.sequences.values().find(owned)
        && expression.contains("nextval(")
    {
        depend.add(object, (PG_CLASS, sequence.oid, 0), "n")?;
    }
    Ok(())
}

/// A row of `pg_attrdef`.
fn insert_default_row(
    connection: &Connection,
    oid: Oid,
    (relation, attnum): (Oid, i16),
    expression: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO pg_attrdef(oid, adrelid, adnum, adbin) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![oid.0, relation.0, attnum, expression])?;
    Ok(())
}

/// Attribute number of the column called `name`.
pub(super) fn attnum_of(table: &Table, name: &str) -> Option<i16> {
    table.columns.iter().find(|it| it.name == name).map(|it| it.attnum)
}

/// A column depends on its type, if that is a user's.
fn insert_type_dependency(
    connection: &Connection,
    catalog: &Catalog,
    relation: Oid,
    column: &Column,
) -> rusqlite::Result<()> {
    let is_array_of = |it: &&UserType| it.array_oid() == column.type_oid;
    let of = if catalog.types.contains_key(&column.type_oid) {
        column.type_oid
    } else if column.type_oid.is_user()
        && let Some(element) = catalog.types.values().find(is_array_of)
    {
        element.array_oid()
    } else {
        return Ok(());
    };
    Dependencies::new(connection)?.add(
        (PG_CLASS, relation, column.attnum),
        (super::PG_TYPE, of, 0),
        "n",
    )
}

fn insert_view(
    connection: &Connection,
    view: &View,
    attributes: &mut Attributes<'_>,
    rule: Oid,
) -> rusqlite::Result<()> {
    let materialized = view.materialized_in.is_some();
    ClassRow {
        oid: view.oid,
        name: &view.name,
        namespace: view.namespace,
        row_type: view.row_type_oid,
        kind: if materialized { "m" } else { "v" },
        temporary: false,
        access_method: if materialized { 2 } else { 0 },
        attributes: i16::try_from(view.columns.len()).unwrap_or(i16::MAX),
        has_index: false,
        checks: 0,
        has_rules: true,
        has_triggers: false,
        size: (0, -1),
        options: &[],
        replica_identity: if materialized { "d" } else { "n" },
    }
    .insert(connection)?;
    if !view.options.is_empty() {
        connection
            .prepare_cached("UPDATE pg_class SET reloptions = ?2 WHERE oid = ?1")?
            .execute(params![view.oid.0, serde_json::json!(view.options).to_string()])?;
    }
    attributes.add_fields(view.oid, &view.columns, |attnum| view.defaults.contains_key(&attnum))?;
    if materialized {
        attributes.add_system(view.oid)?;
    }
    if materialized && view.generation.is_none() {
        let sql = "UPDATE pg_class SET relispopulated = 0 WHERE oid = ?1";
        connection.prepare_cached(sql)?.execute([view.oid.0])?;
    }
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO pg_rewrite(oid, rulename, ev_class, ev_type, ev_enabled, is_instead, ev_qual,
                 ev_action)
             VALUES (?1, '_RETURN', ?2, '1', 'O', 1, '<>', ?3)",
        )?
        .execute(params![rule.0, view.oid.0, view.query])?;
    let mut depend = Dependencies::new(connection)?;
    depend.in_namespace(PG_CLASS, view.oid, view.namespace)?;
    depend.add((PG_REWRITE, rule, 0), (PG_CLASS, view.oid, 0), "i")?;
    depend.add((PG_REWRITE, rule, 0), (PG_CLASS, view.oid, 0), "n")
}

/// The rule of a view depends on what its query names: on the columns that it reads of a relation, or on the whole if it reads none.
fn insert_view_dependencies(
    connection: &Connection,
    catalog: &Catalog,
    view: &View,
    rule: Oid,
) -> rusqlite::Result<()> {
    let mut depend = Dependencies::new(connection)?;
    let relations = (catalog.tables.values().map(|it| (it.id, it.oid)))
        .chain(catalog.views.values().map(|it| (it.id, it.oid)))
        .chain(catalog.sequences.values().map(|it| (it.id, it.oid)))
        .map(|(id, oid)| (id, PG_CLASS, oid));
    let types = catalog.types.values().map(|it| (it.id(), super::PG_TYPE, it.oid()));
    for (id, class, oid) in relations.chain(types) {
        if !view.depends_on.contains(&id) {
            continue;
        }
        let used = view.seen.get(&oid).map(|seen| &seen.used).filter(|used| !used.is_empty());
        let Some(used) = used else {
            depend.add((PG_REWRITE, rule, 0), (class, oid, 0), "n")?;
            continue;
        };
        for attnum in used {
            depend.add((PG_REWRITE, rule, 0), (class, oid, *attnum), "n")?;
        }
    }
    Ok(())
}

fn insert_sequence(
    connection: &Connection,
    catalog: &Catalog,
    it: &Sequence,
    attributes: &mut Attributes<'_>,
) -> rusqlite::Result<()> {
    ClassRow {
        oid: it.oid,
        name: &it.name,
        namespace: it.namespace,
        row_type: Oid(0),
        kind: "S",
        temporary: false,
        access_method: 0,
        attributes: 3,
        has_index: false,
        checks: 0,
        has_rules: false,
        has_triggers: false,
        size: (1, 1),
        options: &[],
        replica_identity: "n",
    }
    .insert(connection)?;
    for (name, attnum, type_oid) in
        [("last_value", 1, Oid::INT8), ("log_cnt", 2, Oid::INT8), ("is_called", 3, Oid::BOOL)]
    {
        attributes.add(&AttributeRow {
            relation: it.oid,
            name,
            attnum,
            type_oid,
            typmod: -1,
            not_null: true,
            ..Default::default()
        })?;
    }
    attributes.add_system(it.oid)?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO pg_sequence VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            it.oid.0,
            it.type_oid.0,
            it.start,
            it.increment,
            it.max_value,
            it.min_value,
            it.cache,
            it.cycle
        ])?;
    let mut depend = Dependencies::new(connection)?;
    depend.in_namespace(PG_CLASS, it.oid, it.namespace)?;
    let Some((table, attnum)) = it.owned_by else { return Ok(()) };
    let kind = if is_identity(catalog, table, attnum) { "i" } else { "a" };
    depend.add((PG_CLASS, it.oid, 0), (PG_CLASS, table, attnum), kind)
}

fn is_identity(catalog: &Catalog, table: Oid, attnum: i16) -> bool {
    let columns = catalog.tables.get(&table).map_or(&[][..], |it| &it.columns);
    columns.iter().any(|it| {
        it.attnum == attnum
            && matches!(
                it.generation,
                ColumnGeneration::IdentityAlways(_) | ColumnGeneration::IdentityByDefault(_)
            )
    })
}
