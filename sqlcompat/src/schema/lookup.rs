//! Finding objects in a [`Catalog`] by name or OID, as the search path has it.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{
    Catalog, Column, Index, Namespace, Sequence, Table, TableKind, UserType, View,
};
use super::definition::{self, ColumnDefinition, ViewDefinition};
use super::link::TEMPORARY_NAMESPACE;
use super::physical;
use super::row::{ObjectId, ObjectKind, SchemaRow};
use crate::oid::Oid;

/// What a relation name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Relation<'a> {
    /// A table.
    Table(&'a Table),
    /// A view or materialized view.
    View(&'a View),
    /// A sequence.
    Sequence(&'a Sequence),
    /// An index, of a constraint too; the table and the index's OID.
    Index(&'a Table, Oid),
}

/// A replicated table as the store registers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTable {
    /// The store's table id.
    pub id: u64,
    /// Name of the SQLite table, without quotes.
    pub physical_name: String,
    /// The store's column ids with SQLite column names; generated columns are not among them.
    pub columns: Vec<(u32, String)>,
    /// Ids of the key columns, in key order.
    pub key: Vec<u32>,
    /// Store ids of columns that are gone: rows from elsewhere may still name them, even if they never were here.
    pub gone: Vec<u32>,
}

impl Catalog {
    /// Whether values of a type are labels of enums or have some in them: their order changes with the labels.
    #[must_use]
    pub fn holds_enum(&self, oid: Oid) -> bool {
        // Merged types may hold each other: each is looked into once.
        let (mut seen, mut left) = (BTreeSet::new(), vec![oid]);
        while let Some(oid) = left.pop() {
            let Some((found, _)) = self.type_by_oid(oid).filter(|_| seen.insert(oid)) else {
                continue;
            };
            match found {
                UserType::Enum(_) => return true,
                UserType::Domain(domain) => left.push(domain.base_type),
                UserType::Range(_) => {}
                UserType::Composite(it) => {
                    left.extend(it.fields.iter().map(|(_, field, _)| *field));
                }
            }
        }
        false
    }

    /// A schema by name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        let name = if name.starts_with("pg_temp") { "pg_temp" } else { name };
        self.namespaces.get(name)
    }

    /// The name of a schema; empty if there is none.
    #[must_use]
    pub fn namespace_name(&self, oid: Oid) -> &str {
        self.namespaces.values().find(|it| it.oid == oid).map_or("", |it| it.name.as_str())
    }

    /// The schemas that an unqualified name is looked up in, in order: temporary objects first unless the path says
    /// otherwise; schemas that do not exist are passed over.
    pub fn path_namespaces<'a>(
        &'a self,
        search_path: &'a [String],
    ) -> impl Iterator<Item = &'a Namespace> + 'a {
        let explicit = search_path.iter().any(|name| name.starts_with("pg_temp"));
        let temporary = (!explicit).then_some("pg_temp");
        temporary
            .into_iter()
            .chain(search_path.iter().map(String::as_str))
            .filter_map(|name| self.namespace(name))
    }

    /// Finds a relation, by search path if no schema is given.
    #[must_use]
    pub fn relation(
        &self,
        search_path: &[String],
        schema: Option<&str>,
        name: &str,
    ) -> Option<Relation<'_>> {
        let find = |namespace: &Namespace| {
            self.relation_names.get(&(namespace.oid, name.to_owned())).copied()
        };
        let oid = match schema {
            Some(schema) => self.namespace(schema).and_then(find),
            None => self.path_namespaces(search_path).find_map(find),
        };
        oid.and_then(|oid| self.relation_by_oid(oid))
    }

    /// Finds a relation by OID.
    #[must_use]
    pub fn relation_by_oid(&self, oid: Oid) -> Option<Relation<'_>> {
        if let Some(table) = self.tables.get(&oid) {
            return Some(Relation::Table(table));
        }
        if let Some(view) = self.views.get(&oid) {
            return Some(Relation::View(view));
        }
        if let Some(sequence) = self.sequences.get(&oid) {
            return Some(Relation::Sequence(sequence));
        }
        let table = self.tables.get(self.index_tables.get(&oid)?)?;
        Some(Relation::Index(table, oid))
    }

    /// A table by OID.
    #[must_use]
    pub fn table(&self, oid: Oid) -> Option<&Table> {
        self.tables.get(&oid)
    }

    /// Finds a user type, by search path if no schema is given; a name with a leading underscore is not an array.
    #[must_use]
    pub fn type_by_name(
        &self,
        search_path: &[String],
        schema: Option<&str>,
        name: &str,
    ) -> Option<&UserType> {
        let find = |namespace: &Namespace| {
            self.types.values().find(|it| it.namespace() == namespace.oid && it.name() == name)
        };
        match schema {
            Some(schema) => self.namespace(schema).and_then(find),
            None => self.path_namespaces(search_path).find_map(find),
        }
    }

    /// The user type whose own or array OID this is, and whether it is the array.
    #[must_use]
    pub fn type_by_oid(&self, oid: Oid) -> Option<(&UserType, bool)> {
        if let Some(user_type) = self.types.get(&oid) {
            return Some((user_type, false));
        }
        let array = self.types.values().find(|it| it.array_oid() == oid)?;
        Some((array, true))
    }

    /// The base type of a domain, through domains over domains; any other type is its own base.
    #[must_use]
    pub fn base_type(&self, oid: Oid, typmod: i32) -> (Oid, i32) {
        let mut current = (oid, typmod);
        // Domains cannot refer to themselves, but merged rows might: the number of types bounds the walk.
        for _ in 0..=self.types.len() {
            match self.types.get(&current.0) {
                Some(UserType::Domain(domain)) => current = (domain.base_type, domain.typmod),
                Some(UserType::Enum(_) | UserType::Composite(_) | UserType::Range(_)) | None => {
                    break;
                }
            }
        }
        current
    }

    /// The replicated tables as the store registers them, in OID order.
    #[must_use]
    pub fn store_tables(&self) -> Vec<StoreTable> {
        let replicated = self.tables.values().filter(|it| it.kind == TableKind::Replicated);
        let mut tables: Vec<_> = replicated.map(Table::store_table).collect();
        tables.extend(self.views.values().filter_map(View::store_table));
        let columns = self.rows.values().filter(|row| row.kind == ObjectKind::Column);
        let mut gone: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for row in columns.filter(|row| self.is_gone(row)) {
            let table = row.parent.0.cast_unsigned();
            gone.entry(table).or_default().push(store_column_id(row.id));
        }
        for table in &mut tables {
            table.gone = gone.remove(&table.id).unwrap_or_default();
        }
        tables
    }

    /// The store's ids of replicated tables that are gone, those that never were here among them.
    #[must_use]
    pub fn gone_tables(&self) -> Vec<u64> {
        let tables = self.rows.values().filter(|row| match row.kind {
            ObjectKind::Table => true,
            ObjectKind::View => definition::read::<ViewDefinition>(&row.definition).materialized,
            _ => false,
        });
        tables.filter(|row| self.is_gone(row)).map(|row| row.id.0.cast_unsigned()).collect()
    }

    /// Whether an object is gone for good: it, what contains it or the type of it was dropped. One that is not in the catalog
    /// may only wait for the row of another that has not come yet.
    fn is_gone(&self, row: &SchemaRow) -> bool {
        let dropped = |id: ObjectId| self.rows.get(&id).is_some_and(|row| row.dropped);
        let of_type = || {
            let definition: ColumnDefinition = definition::read(&row.definition);
            definition.data_type.user.map(ObjectId)
        };
        row.dropped
            || dropped(row.parent)
            || row.kind == ObjectKind::Column && of_type().is_some_and(dropped)
    }
}

/// The store's id of the hidden key column.
const HIDDEN_KEY_COLUMN: u32 = 0;

impl Table {
    /// A column by attribute number.
    #[must_use]
    pub fn column(&self, attnum: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.attnum == attnum)
    }

    /// A column by name.
    #[must_use]
    pub fn column_by_name(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// An index that serves no constraint, by OID.
    #[must_use]
    pub fn index(&self, oid: Oid) -> Option<&Index> {
        self.indexes.iter().find(|index| index.oid == oid)
    }

    /// The OID of an index by the id of it, or of the constraint that it serves.
    pub(super) fn index_by_id(&self, id: i64) -> Option<Oid> {
        let unique = self.uniques.iter().find(|it| it.id.0 == id).map(|it| it.index_oid);
        unique.or_else(|| self.indexes.iter().find(|it| it.id.0 == id).map(|it| it.oid))
    }

    /// The column that is SQLite's rowid, if the key is one integer column. A NULL stored into it would be replaced by a
    /// fresh number rather than refused, so writers must refuse it themselves.
    #[must_use]
    pub fn integer_key(&self) -> Option<&Column> {
        let [attnum] = self.key.as_slice() else { return None };
        self.column(*attnum)
            .filter(|column| matches!(column.type_oid, Oid::INT2 | Oid::INT4 | Oid::INT8))
    }

    /// SQLite's name of the database that holds the table: `temp` or `main`.
    #[must_use]
    pub fn database(&self) -> &'static str {
        if self.namespace == TEMPORARY_NAMESPACE { "temp" } else { "main" }
    }

    fn store_table(&self) -> StoreTable {
        let stored = self.columns.iter().filter(|column| column.generation.is_written());
        let mut columns: Vec<_> =
            stored.map(|column| (column.store_id(), column.physical_name.clone())).collect();
        let mut key: Vec<_> = self
            .key
            .iter()
            .filter_map(|attnum| self.column(*attnum))
            .map(Column::store_id)
            .collect();
        if let Some(hidden) = &self.hidden_key {
            columns.insert(0, (HIDDEN_KEY_COLUMN, hidden.clone()));
            key = vec![HIDDEN_KEY_COLUMN];
        }
        StoreTable {
            id: self.id.0.cast_unsigned(),
            physical_name: self.physical_name.clone(),
            columns,
            key,
            gone: Vec::new(),
        }
    }
}

/// The store's id of a materialized view's generation column; the columns of its query follow.
const GENERATION_COLUMN: u32 = 1;

impl View {
    /// The table of a materialized view as the store registers it.
    fn store_table(&self) -> Option<StoreTable> {
        let physical_name = self.materialized_in.clone()?;
        let mut columns = vec![
            (HIDDEN_KEY_COLUMN, physical::HIDDEN_KEY.to_owned()),
            (GENERATION_COLUMN, physical::GENERATION.to_owned()),
        ];
        let names = self.columns.iter().map(|(name, ..)| physical::column_name(name));
        columns.extend((GENERATION_COLUMN + 1..).zip(names));
        Some(StoreTable {
            id: self.id.0.cast_unsigned(),
            physical_name,
            columns,
            key: vec![HIDDEN_KEY_COLUMN],
            gone: Vec::new(),
        })
    }
}

impl Column {
    /// The store's column id: the low 32 bits of the object id.
    #[must_use]
    pub fn store_id(&self) -> u32 {
        store_column_id(self.id)
    }
}

fn store_column_id(id: ObjectId) -> u32 {
    let [_, _, _, _, a, b, c, d] = id.0.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
