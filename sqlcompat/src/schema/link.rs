//! Rows of `trellis_schema` to a [`Catalog`]: names claimed, OIDs dealt, references resolved.
//!
//! The result depends on the set of rows alone, so nodes with the same rows have the same catalog, whatever merged into
//! them. What cannot stand is settled by a fixed rule, never by an error:
//!
//! 1. Two live objects that claim one name (made on two nodes at once): the smaller id keeps it, the other is called
//!    `name_xxxxxxxx`, with the first eight hex digits of its id.
//! 2. An object whose parent or referenced object is gone is gone with it; a constraint, index or generated column that names
//!    a dropped column likewise, in a text too.
//! 3. A second PRIMARY KEY counts as UNIQUE.
//! 4. What cannot be carried out by the other objects as they are is left out and reported ([`super::Unusable`]).
//! 5. OIDs are 16384 plus 30 bits of a hash of the id; a collision moves the larger id on to the next free number.

mod functions;
mod roles;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{
    Catalog, CheckConstraint, Column, ColumnDefault, ColumnGeneration, CompositeType, DomainType,
    EnumType, ForeignKey, ForeignKeyAction, Index, IndexKey, MatchType, Namespace, RangeUserType,
    Sequence, Table, TableKind, UniqueConstraint, UserType, Using, View,
};
use super::definition::{
    self, Action, ColumnDefinition, ColumnNames, CommentDefinition, ConstraintDefinition,
    ConstraintType, IndexDefinition, KeyDefinition, SequenceDefinition, TableDefinition,
    TypeDefinition, TypeReference, ViewDefinition,
};
use super::physical::{self, HIDDEN_KEY};
use super::row::{ObjectId, ObjectKind, SchemaRow};
use super::seen::Seen;
use super::stored_text::{Qualify, StoredText};
use super::usable::Unusable;
use crate::builtin::quote_identifier;
use crate::oid::Oid;
pub(super) use texts::present_text;

/// OID of the schema `public`.
pub const PUBLIC_NAMESPACE: Oid = Oid(2200);

/// OID of the schema that holds a session's temporary objects.
pub const TEMPORARY_NAMESPACE: Oid = Oid(16383);

/// Id of the schema `public`, which exists without a row until it is dropped.
#[must_use]
pub(super) fn public_id() -> ObjectId {
    ObjectId::derive(ObjectKind::Namespace, ObjectId(0), "public", 0)
}

/// Id of the schema of temporary objects; it has no row.
#[must_use]
pub(super) fn temporary_id() -> ObjectId {
    ObjectId::derive(ObjectKind::Namespace, ObjectId(0), "pg_temp", 0)
}

impl Catalog {
    /// Links rows to a catalog, without these objects.
    pub(super) fn link(
        rows: &BTreeMap<ObjectId, SchemaRow>,
        without: &BTreeMap<ObjectId, Unusable>,
    ) -> Self {
        let mut linker = Linker::new(rows, without);
        linker.namespaces();
        linker.types();
        linker.relation_names();
        linker.domain_texts();
        linker.tables();
        linker.generated_columns();
        linker.constraints();
        linker.indexes();
        linker.marked_indexes();
        linker.sequences();
        linker.views();
        linker.functions();
        linker.comments();
        linker.roles();
        linker.catalog
    }

    /// This catalog with a session's temporary objects.
    #[must_use]
    pub fn with_temporary(&self, rows: impl IntoIterator<Item = SchemaRow>) -> Self {
        Self::from_rows(self.rows.values().cloned().chain(rows))
    }
}

/// The state of one linking.
struct Linker<'a> {
    rows: &'a BTreeMap<ObjectId, SchemaRow>,
    /// Objects that are left out.
    without: &'a BTreeMap<ObjectId, Unusable>,
    catalog: Catalog,
    used_oids: BTreeSet<u32>,
    /// OIDs of schemas.
    namespaces: BTreeMap<ObjectId, Oid>,
    /// OIDs of user types.
    types: BTreeMap<ObjectId, Oid>,
    /// Claimed names of relations: namespace and name.
    names: BTreeMap<ObjectId, (Oid, String)>,
    /// OIDs of tables.
    tables: BTreeMap<ObjectId, Oid>,
    /// Table and attribute number of live columns.
    columns: BTreeMap<ObjectId, (Oid, i16)>,
    /// OIDs of everything a comment may be on.
    oids: BTreeMap<ObjectId, Oid>,
    /// What tables say of their indexes, which are linked later.
    marks: Vec<Marks>,
}

/// The indexes that a table is clustered and told apart by, as its definition has them.
struct Marks {
    table: Oid,
    clustered_on: Option<i64>,
    replica_identity: Option<String>,
}

impl<'a> Linker<'a> {
    fn new(
        rows: &'a BTreeMap<ObjectId, SchemaRow>,
        without: &'a BTreeMap<ObjectId, Unusable>,
    ) -> Self {
        Self {
            rows,
            without,
            catalog: Catalog::default(),
            used_oids: BTreeSet::new(),
            namespaces: BTreeMap::new(),
            types: BTreeMap::new(),
            names: BTreeMap::new(),
            tables: BTreeMap::new(),
            columns: BTreeMap::new(),
            oids: BTreeMap::new(),
            marks: Vec::new(),
        }
    }

    /// Live rows of a kind, in id order.
    fn live(&self, kind: ObjectKind) -> impl Iterator<Item = &'a SchemaRow> + use<'a> {
        let without = self.without;
        let live = move |row: &&SchemaRow| !row.dropped && !without.contains_key(&row.id);
        self.rows.values().filter(move |row| row.kind == kind).filter(live)
    }

    /// Deals an OID; deterministic because callers come in id order (rule 4).
    fn deal_oid(&mut self, id: ObjectId, role: &str) -> Oid {
        let mut number = Oid::FIRST_USER + id.oid_base(role);
        while !self.used_oids.insert(number) {
            number = number.checked_add(1).unwrap_or(Oid::FIRST_USER);
        }
        Oid(number)
    }

    /// Deals the main OID of an object.
    fn deal_main_oid(&mut self, id: ObjectId) -> Oid {
        let oid = self.deal_oid(id, "");
        self.oids.insert(id, oid);
        oid
    }

    fn namespaces(&mut self) {
        let public = public_id();
        if self.rows.get(&public).is_none_or(|row| !row.dropped) {
            self.add_namespace(public, PUBLIC_NAMESPACE, "public".to_owned());
        }
        let temporary = temporary_id();
        if self.rows.values().any(|row| row.parent == temporary) {
            self.add_namespace(temporary, TEMPORARY_NAMESPACE, "pg_temp".to_owned());
        }
        for row in self.live(ObjectKind::Namespace).filter(|row| row.id != public) {
            let taken = self.catalog.namespaces.contains_key(&row.name);
            let name = if taken { fallback_name(row) } else { row.name.clone() };
            let oid = self.deal_main_oid(row.id);
            self.add_namespace(row.id, oid, name);
        }
    }

    fn add_namespace(&mut self, id: ObjectId, oid: Oid, name: String) {
        self.namespaces.insert(id, oid);
        self.oids.insert(id, oid);
        self.catalog.namespaces.insert(name.clone(), Namespace { id, oid, name });
    }

    fn types(&mut self) {
        let mut definitions = Vec::new();
        let mut taken = BTreeSet::new();
        let live: Vec<_> = self.live(ObjectKind::Type).collect();
        for row in &live {
            if self.namespaces.contains_key(&row.parent) {
                let oid = self.deal_main_oid(row.id);
                self.types.insert(row.id, oid);
            }
        }
        for row in live {
            let (Some(&oid), Some(&namespace)) =
                (self.types.get(&row.id), self.namespaces.get(&row.parent))
            else {
                continue;
            };
            let free = taken.insert((namespace, row.name.clone()));
            let name = if free { row.name.clone() } else { fallback_name(row) };
            let definition: TypeDefinition = definition::read(&row.definition);
            let user_type = self.user_type(row, &definition, (oid, namespace, name));
            if let (UserType::Range(range), Some(written)) = (&user_type, &definition.range) {
                let name = written.multirange.clone();
                let free = taken.insert((namespace, name.clone()));
                let name = if free { name } else { format!("{}_multi", fallback_name(row)) };
                let multirange = RangeUserType {
                    oid: range.multirange,
                    array_oid: self.deal_oid(row.id, "multirange array"),
                    name,
                    ..range.clone()
                };
                self.catalog.types.insert(multirange.oid, UserType::Range(multirange));
            }
            self.catalog.types.insert(oid, user_type);
            definitions.push((oid, definition));
        }
        self.parts_of_types(definitions);
    }

    /// Gives composite types their fields, and domains their base types, when all types are there.
    fn parts_of_types(&mut self, definitions: Vec<(Oid, TypeDefinition)>) {
        for (oid, definition) in definitions {
            let known =
                |reference: &TypeReference| self.resolve_type(reference).unwrap_or((Oid::TEXT, -1));
            let fields = definition.fields.unwrap_or_default().into_iter();
            let fields = fields.map(|(name, reference)| {
                let (oid, typmod) = known(&reference);
                (name, oid, typmod)
            });
            let fields = fields.collect();
            let base = definition.base.as_ref().map(known);
            let subtype = definition.range.as_ref().map(|range| known(&range.subtype).0);
            let found = self.catalog.types.get_mut(&oid);
            let mut multirange = None;
            match (found, base, subtype) {
                (Some(UserType::Composite(composite)), _, _) => composite.fields = fields,
                (Some(UserType::Domain(domain)), Some((oid, typmod)), _) => {
                    (domain.base_type, domain.typmod) = (oid, typmod);
                }
                (Some(UserType::Range(range)), _, Some(subtype)) => {
                    range.subtype = subtype;
                    multirange = Some((range.multirange, subtype));
                }
                _ => {}
            }
            let over = multirange.map(|(oid, subtype)| (self.catalog.types.get_mut(&oid), subtype));
            if let Some((Some(UserType::Range(over)), subtype)) = over {
                over.subtype = subtype;
            }
        }
    }

    /// A type by its OID, schema and name; what it is made of comes afterwards, for it may be linked later.
    fn user_type(
        &mut self,
        row: &SchemaRow,
        definition: &TypeDefinition,
        (oid, namespace, name): (Oid, Oid, String),
    ) -> UserType {
        let array_oid = self.deal_oid(row.id, "array");
        if definition.fields.is_some() {
            return UserType::Composite(CompositeType {
                id: row.id,
                oid,
                array_oid,
                relation_oid: self.deal_oid(row.id, "relation"),
                namespace,
                name,
                fields: Vec::new(),
            });
        }
        if let Some(range) = &definition.range {
            return UserType::Range(RangeUserType {
                id: row.id,
                oid,
                array_oid,
                namespace,
                name,
                range: oid,
                multirange: self.deal_oid(row.id, "multirange"),
                subtype: Oid::TEXT,
                collation: range.collation.clone(),
                subtype_diff: range.subtype_diff.clone(),
            });
        }
        if definition.base.is_none() {
            let oid_of = |label: &String| self.deal_oid(row.id, &format!("label {label}"));
            let oids: Vec<_> = definition.labels.iter().map(oid_of).collect();
            let labels = oids.into_iter().zip(definition.labels.iter().cloned()).collect();
            return UserType::Enum(EnumType {
                id: row.id,
                oid,
                array_oid,
                namespace,
                name,
                labels,
                renamed: definition.renamed.clone(),
            });
        }
        let checks = definition.checks.iter().map(|(name, expression)| CheckConstraint {
            id: row.id,
            oid: self.deal_oid(row.id, &format!("check {name}")),
            name: name.clone(),
            expression: expression.clone(),
            validated: true,
            no_inherit: false,
        });
        let checks = checks.collect();
        UserType::Domain(DomainType {
            id: row.id,
            oid,
            array_oid,
            namespace,
            name,
            base_type: Oid::TEXT,
            typmod: -1,
            not_null: definition.not_null,
            default: definition.default.clone(),
            checks,
        })
    }

    /// The OID and modifier that a reference stands for; `None` if the type is gone.
    fn resolve_type(&self, reference: &TypeReference) -> Option<(Oid, i32)> {
        let typmod = reference.typmod.unwrap_or(-1);
        let Some(user) = reference.user else { return Some((Oid(reference.oid), typmod)) };
        let mut oid = *self.types.get(&ObjectId(user))?;
        if let (true, Some(UserType::Range(range))) =
            (reference.multirange, self.catalog.types.get(&oid))
        {
            oid = range.multirange;
        }
        if !reference.array {
            return Some((oid, typmod));
        }
        // A domain's array may be asked for while domains are being linked, before its own turn.
        self.catalog.types.get(&oid).map(|user_type| (user_type.array_oid(), typmod))
    }

    /// Lets relations claim their names, tables first (rule 1).
    fn relation_names(&mut self) {
        let mut claims: Vec<(&SchemaRow, Oid)> = Vec::new();
        for kind in [ObjectKind::Table, ObjectKind::View, ObjectKind::Sequence] {
            for row in self.live(kind) {
                if let Some(&namespace) = self.namespaces.get(&row.parent) {
                    claims.push((row, namespace));
                }
            }
        }
        for row in self.live(ObjectKind::Index).chain(self.live(ObjectKind::Constraint)) {
            let Some(table) = self.rows.get(&row.parent).filter(|table| !table.dropped) else {
                continue;
            };
            let named = row.kind == ObjectKind::Index || {
                let definition: ConstraintDefinition = definition::read(&row.definition);
                matches!(
                    definition.constraint_type,
                    ConstraintType::Primary | ConstraintType::Unique
                )
            };
            if let (true, Some(&namespace)) = (named, self.namespaces.get(&table.parent)) {
                claims.push((row, namespace));
            }
        }
        claims.sort_by_key(|(row, _)| row.id);
        let mut taken = BTreeSet::new();
        for (row, namespace) in claims {
            let free = taken.insert((namespace, row.name.clone()));
            let name = if free { row.name.clone() } else { fallback_name(row) };
            self.names.insert(row.id, (namespace, name));
        }
    }

    /// Physical name of a relation of this schema and name.
    fn physical_name(&self, namespace: Oid, name: &str) -> String {
        let schema = self.catalog.namespaces.values().find(|it| it.oid == namespace);
        let schema = schema.filter(|it| !matches!(it.oid, PUBLIC_NAMESPACE | TEMPORARY_NAMESPACE));
        physical::relation_name(schema.map(|it| it.name.as_str()), name)
    }

    fn tables(&mut self) {
        let mut columns: BTreeMap<ObjectId, Vec<&SchemaRow>> = BTreeMap::new();
        for row in self.rows.values().filter(|row| row.kind == ObjectKind::Column) {
            columns.entry(row.parent).or_default().push(row);
        }
        for row in self.live(ObjectKind::Table) {
            let Some((namespace, name)) = self.names.get(&row.id).cloned() else { continue };
            let oid = self.deal_main_oid(row.id);
            self.tables.insert(row.id, oid);
            let columns = columns.remove(&row.id).unwrap_or_default();
            let table = self.table(row, oid, namespace, name, columns);
            self.catalog.relation_names.insert((namespace, table.name.clone()), oid);
            self.catalog.tables.insert(oid, table);
        }
    }

    fn table(
        &mut self,
        row: &SchemaRow,
        oid: Oid,
        namespace: Oid,
        name: String,
        columns: Vec<&SchemaRow>,
    ) -> Table {
        let definition: TableDefinition = definition::read(&row.definition);
        let kind = if namespace == TEMPORARY_NAMESPACE {
            TableKind::Temporary
        } else {
            TableKind::Replicated
        };
        let TableDefinition { clustered_on, replica_identity, .. } = &definition;
        if clustered_on.is_some() || replica_identity.is_some() {
            let (clustered_on, replica_identity) = (*clustered_on, replica_identity.clone());
            self.marks.push(Marks { table: oid, clustered_on, replica_identity });
        }
        let columns = self.table_columns(oid, columns);
        let key = self.key_columns(definition.key, &columns);
        Table {
            id: row.id,
            oid,
            row_type_oid: self.deal_oid(row.id, "row type"),
            row_array_oid: self.deal_oid(row.id, "row array"),
            namespace,
            physical_name: self.physical_name(namespace, &name),
            name,
            kind,
            columns,
            uniques: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            hidden_key: key.is_empty().then(|| HIDDEN_KEY.to_owned()),
            key,
            on_commit: definition.on_commit,
            options: definition.options,
            clustered_on: None,
            replica_identity: ("d", None),
        }
    }

    /// Attribute numbers of the physical key; empty if it is hidden.
    ///
    /// A key lives as long as its table, also when the row of its constraint was dropped.
    fn key_columns(&self, key: Option<i64>, columns: &[Column]) -> Vec<i16> {
        let Some(row) = key.and_then(|id| self.rows.get(&ObjectId(id))) else { return Vec::new() };
        let definition: ConstraintDefinition = definition::read(&row.definition);
        let attnum = |id: &i64| columns.iter().find(|it| it.id.0 == *id).map(|it| it.attnum);
        definition.columns.iter().map(attnum).collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    fn table_columns(&mut self, table: Oid, rows: Vec<&SchemaRow>) -> Vec<Column> {
        let mut ranked: Vec<_> = rows
            .into_iter()
            .map(|row| (definition::read::<ColumnDefinition>(&row.definition), row))
            .collect();
        ranked.sort_by_key(|(definition, row)| (definition.ordinal, row.id));
        let mut holders: BTreeMap<&str, ObjectId> = BTreeMap::new();
        let without = self.without;
        let is_gone = |row: &SchemaRow| row.dropped || without.contains_key(&row.id);
        for (_, row) in ranked.iter().filter(|(_, row)| !is_gone(row)) {
            let holder = holders.entry(&row.name).or_insert(row.id);
            *holder = row.id.min(*holder);
        }
        let mut columns = Vec::with_capacity(ranked.len());
        for (index, (definition, row)) in ranked.iter().enumerate() {
            let Ok(attnum) = i16::try_from(index + 1) else { break };
            let resolved = self.resolve_type(&definition.data_type);
            let (false, Some((type_oid, typmod))) = (is_gone(row), resolved) else { continue };
            let holds = holders.get(row.name.as_str()) == Some(&row.id);
            let name = if holds { row.name.clone() } else { fallback_name(row) };
            self.columns.insert(row.id, (table, attnum));
            columns.push(self.column(row.id, attnum, name, type_oid, typmod, definition));
        }
        columns
    }

    fn column(
        &mut self,
        id: ObjectId,
        attnum: i16,
        name: String,
        type_oid: Oid,
        typmod: i32,
        definition: &ColumnDefinition,
    ) -> Column {
        let sequence = definition
            .sequence
            .map(ObjectId)
            .filter(|id| self.names.contains_key(id))
            .map(|id| self.sequence_oid(id));
        let generation = match (&definition.generated, definition.identity_always, sequence) {
            (Some(expression), _, _) => ColumnGeneration::Stored(expression.clone()),
            (None, Some(true), Some(sequence)) => ColumnGeneration::IdentityAlways(sequence),
            (None, Some(false), Some(sequence)) => ColumnGeneration::IdentityByDefault(sequence),
            (None, _, _) => ColumnGeneration::Plain,
        };
        let drawn = match (&generation, definition.sequence.map(ObjectId)) {
            (ColumnGeneration::Plain, Some(id)) => self.names.get(&id).map(|(namespace, name)| {
                let schema = self.catalog.namespaces.values().find(|it| it.oid == *namespace);
                nextval(schema.map(|it| it.name.as_str()), name)
            }),
            _ => None,
        };
        let default = definition.default.as_deref().map(|text| self.named(text)).or(drawn);
        Column {
            id,
            attnum,
            physical_name: physical::column_name(&name),
            name,
            type_oid,
            typmod,
            collation: definition.collation.clone(),
            not_null: definition.not_null || generation_is_identity(&generation),
            default: default.map(|expression| ColumnDefault { expression }),
            generation,
            missing: definition.missing.as_ref().map(|value| value.to_sqlite_literal()),
            using: definition
                .using
                .clone()
                .map(|text| Using { text, names: definition.names.clone() }),
        }
    }

    /// The OID of a sequence, dealt on first use.
    fn sequence_oid(&mut self, id: ObjectId) -> Oid {
        match self.oids.get(&id) {
            Some(oid) => *oid,
            None => self.deal_main_oid(id),
        }
    }

    /// Attribute numbers of columns of `table`; `None` if one of them is gone (rule 2).
    fn attnums(&self, table: Oid, ids: &[i64]) -> Option<Vec<i16>> {
        ids.iter()
            .map(|id| self.columns.get(&ObjectId(*id)).filter(|(of, _)| *of == table))
            .map(|found| found.map(|(_, attnum)| *attnum))
            .collect()
    }

    fn constraints(&mut self) {
        for row in self.live(ObjectKind::Constraint) {
            let Some(&table) = self.tables.get(&row.parent) else { continue };
            let definition: ConstraintDefinition = definition::read(&row.definition);
            let Some(columns) = self.attnums(table, &definition.columns) else { continue };
            match definition.constraint_type {
                ConstraintType::Check => self.check(row, table, definition),
                ConstraintType::Primary | ConstraintType::Unique => {
                    self.unique(row, table, columns, &definition);
                }
                ConstraintType::Foreign => self.foreign_key(row, table, columns, &definition),
            }
        }
    }

    fn check(&mut self, row: &SchemaRow, table: Oid, definition: ConstraintDefinition) {
        let Some(expression) = definition.expression else { return };
        let Some(expression) = self.present_text(table, &expression, &definition.names) else {
            return;
        };
        let oid = self.deal_main_oid(row.id);
        let check = CheckConstraint {
            id: row.id,
            oid,
            name: row.name.clone(),
            expression,
            validated: !definition.not_valid,
            no_inherit: definition.no_inherit,
        };
        if let Some(table) = self.catalog.tables.get_mut(&table) {
            table.checks.push(check);
        }
    }

    fn unique(
        &mut self,
        row: &SchemaRow,
        table_oid: Oid,
        columns: Vec<i16>,
        definition: &ConstraintDefinition,
    ) {
        let Some((namespace, name)) = self.names.get(&row.id).cloned() else { return };
        let Some(include) = self.attnums(table_oid, &definition.include) else { return };
        let oid = self.deal_main_oid(row.id);
        let index_oid = self.deal_oid(row.id, "index");
        let Some(table) = self.catalog.tables.get_mut(&table_oid) else { return };
        let has_primary = table.uniques.iter().any(|unique| unique.primary);
        let primary = definition.constraint_type == ConstraintType::Primary && !has_primary;
        if primary {
            let keys = table.columns.iter_mut().filter(|column| columns.contains(&column.attnum));
            keys.for_each(|column| column.not_null = true);
        }
        table.uniques.push(UniqueConstraint {
            id: row.id,
            oid,
            index_oid,
            name: name.clone(),
            columns,
            include,
            primary,
            nulls_not_distinct: definition.nulls_not_distinct,
            deferrable: (definition.deferrable, definition.deferred),
        });
        self.catalog.relation_names.insert((namespace, name), index_oid);
        self.catalog.index_tables.insert(index_oid, table_oid);
    }

    fn foreign_key(
        &mut self,
        row: &SchemaRow,
        table: Oid,
        columns: Vec<i16>,
        definition: &ConstraintDefinition,
    ) {
        let references = definition.references.and_then(|id| self.tables.get(&ObjectId(id)));
        let Some(&references) = references else { return };
        let referenced_columns = self.attnums(references, &definition.referenced_columns);
        let Some(referenced_columns) = referenced_columns else { return };
        let oid = self.deal_main_oid(row.id);
        let foreign_key = ForeignKey {
            id: row.id,
            oid,
            name: row.name.clone(),
            columns,
            references,
            referenced_columns,
            on_delete: action(definition.on_delete),
            on_update: action(definition.on_update),
            match_type: if definition.match_full { MatchType::Full } else { MatchType::Simple },
            deferrable: (definition.deferrable, definition.deferred),
            validated: !definition.not_valid,
        };
        if let Some(table) = self.catalog.tables.get_mut(&table) {
            table.foreign_keys.push(foreign_key);
        }
    }

    fn indexes(&mut self) {
        for row in self.live(ObjectKind::Index) {
            let Some(&table_oid) = self.tables.get(&row.parent) else { continue };
            let Some((namespace, name)) = self.names.get(&row.id).cloned() else { continue };
            let definition: IndexDefinition = definition::read(&row.definition);
            let names = &definition.names;
            let keys = definition.keys.into_iter();
            let keys = keys.map(|key| self.index_key(table_oid, key, names));
            let keys: Option<Vec<_>> = keys.collect();
            let include = self.attnums(table_oid, &definition.include);
            let predicate = definition.predicate.as_deref();
            let predicate = predicate.map(|text| self.present_text(table_oid, text, names));
            let (Some(keys), Some(include)) = (keys, include) else { continue };
            let predicate = match predicate {
                Some(None) => continue,
                Some(present) => present,
                None => None,
            };
            let oid = self.deal_main_oid(row.id);
            let index = Index {
                id: row.id,
                oid,
                name: name.clone(),
                unique: definition.unique,
                method: definition.method,
                keys,
                include,
                predicate,
                nulls_not_distinct: definition.nulls_not_distinct,
                options: definition.options,
            };
            let Some(table) = self.catalog.tables.get_mut(&table_oid) else { continue };
            table.indexes.push(index);
            self.catalog.relation_names.insert((namespace, name), oid);
            self.catalog.index_tables.insert(oid, table_oid);
        }
    }

    /// Finds the indexes that tables are clustered and told apart by.
    fn marked_indexes(&mut self) {
        for Marks { table, clustered_on, replica_identity } in std::mem::take(&mut self.marks) {
            let Some(table) = self.catalog.tables.get_mut(&table) else { continue };
            table.clustered_on = clustered_on.and_then(|id| table.index_by_id(id));
            table.replica_identity = match replica_identity.as_deref() {
                None => ("d", None),
                Some("full") => ("f", None),
                Some("nothing") => ("n", None),
                Some(id) => match id.parse().ok().and_then(|id| table.index_by_id(id)) {
                    Some(oid) => ("i", Some(oid)),
                    None => ("n", None),
                },
            };
        }
    }

    fn index_key(&self, table: Oid, key: KeyDefinition, names: &ColumnNames) -> Option<IndexKey> {
        let attnum = match key.column {
            None => 0,
            Some(id) => *self.attnums(table, &[id])?.first()?,
        };
        let expression = match &key.expression {
            None => None,
            Some(text) => Some(self.present_text(table, text, names)?),
        };
        Some(IndexKey {
            attnum,
            expression,
            descending: key.descending,
            nulls_first: key.nulls_first,
            operator_class: key.operator_class,
            collation: key.collation,
        })
    }

    fn sequences(&mut self) {
        for row in self.live(ObjectKind::Sequence) {
            let Some((namespace, name)) = self.names.get(&row.id).cloned() else { continue };
            let definition: SequenceDefinition = definition::read(&row.definition);
            let oid = self.sequence_oid(row.id);
            let owner = definition.owned_by.map(ObjectId);
            self.catalog.relation_names.insert((namespace, name.clone()), oid);
            self.catalog.sequences.insert(
                oid,
                Sequence {
                    id: row.id,
                    oid,
                    namespace,
                    name,
                    type_oid: Oid(definition.data_type),
                    start: definition.start,
                    increment: definition.increment,
                    min_value: definition.min_value,
                    max_value: definition.max_value,
                    cache: definition.cache,
                    cycle: definition.cycle,
                    owned_by: owner.and_then(|id| self.columns.get(&id).copied()),
                    internal: definition.internal,
                },
            );
        }
    }

    fn views(&mut self) {
        let mut texts = Vec::new();
        for row in self.live(ObjectKind::View) {
            let Some((namespace, name)) = self.names.get(&row.id).cloned() else { continue };
            let definition: ViewDefinition = definition::read(&row.definition);
            let defaults = (1i16..).zip(&definition.columns);
            let defaults = defaults
                .filter_map(|(attnum, it)| Some((attnum, self.named(it.default.as_deref()?))));
            let defaults = defaults.collect();
            let columns = definition.columns.into_iter().map(|column| {
                let (oid, typmod) = self.resolve_type(&column.data_type)?;
                Some((column.name, oid, typmod))
            });
            let Some(columns) = columns.collect() else { continue };
            let oid = self.deal_main_oid(row.id);
            let physical_name = self.physical_name(namespace, &name);
            let view = View {
                id: row.id,
                oid,
                row_type_oid: self.deal_oid(row.id, "row type"),
                namespace,
                name: name.clone(),
                stored: StoredText::default(),
                query: String::new(),
                seen: Seen::new(),
                columns,
                materialized_in: definition.materialized.then_some(physical_name),
                generation: definition.generation,
                depends_on: definition.depends_on.into_iter().map(ObjectId).collect(),
                options: definition.options,
                defaults,
            };
            self.catalog.views.insert(oid, view);
            self.catalog.relation_names.insert((namespace, name), oid);
            texts.push((oid, definition.query, definition.names, definition.seen));
        }
        for (oid, text, names, seen) in texts {
            let stored = self.stored_text(text, names);
            let query = stored.in_names_of(&self.catalog, Qualify::Always);
            let seen = self.seen(seen);
            if let Some(view) = self.catalog.views.get_mut(&oid) {
                (view.stored, view.query, view.seen) = (stored, query, seen);
            }
        }
    }

    fn comments(&mut self) {
        for row in self.live(ObjectKind::Comment) {
            let target = match self.columns.get(&row.parent) {
                Some(&(table, attnum)) => (table, attnum),
                None => match self.oids.get(&row.parent) {
                    Some(&oid) => (oid, 0),
                    None => continue,
                },
            };
            let definition: CommentDefinition = definition::read(&row.definition);
            self.catalog.comments.insert(target, definition.text);
        }
    }
}

/// The call that draws from a sequence, as PostgreSQL writes a serial column's default.
pub(super) fn nextval(schema: Option<&str>, name: &str) -> String {
    let name = quote_identifier(name);
    let name = match schema {
        None | Some("public" | "pg_temp") => name,
        Some(schema) => format!("{}.{name}", quote_identifier(schema)),
    };
    format!("nextval({}::regclass)", physical::quote_literal(&name))
}

/// The name of an object whose own name is taken.
fn fallback_name(row: &SchemaRow) -> String {
    let digits = format!("{:016x}", row.id.0);
    format!("{}_{}", row.name, digits.get(..8).unwrap_or_default())
}

fn generation_is_identity(generation: &ColumnGeneration) -> bool {
    match generation {
        ColumnGeneration::IdentityAlways(_) | ColumnGeneration::IdentityByDefault(_) => true,
        ColumnGeneration::Plain | ColumnGeneration::Stored(_) => false,
    }
}

fn action(action: Option<Action>) -> ForeignKeyAction {
    match action {
        None => ForeignKeyAction::NoAction,
        Some(Action::Restrict) => ForeignKeyAction::Restrict,
        Some(Action::Cascade) => ForeignKeyAction::Cascade,
        Some(Action::SetNull) => ForeignKeyAction::SetNull,
        Some(Action::SetDefault) => ForeignKeyAction::SetDefault,
    }
}
