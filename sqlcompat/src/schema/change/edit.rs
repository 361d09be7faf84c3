//! The edit of one DDL statement: rows changed so far, and the catalog as they leave it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bind::BindContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::ObjectName;
use crate::schema::catalog::{Catalog, Table, UserType};
use crate::schema::definition;
use crate::schema::link::{PUBLIC_NAMESPACE, TEMPORARY_NAMESPACE, public_id, temporary_id};
use crate::schema::lookup::Relation;
use crate::schema::row::{ObjectId, ObjectKind, SchemaRow};
use crate::schema::statement::{
    RefusedKey, SchemaChange, SchemaHost, SchemaNotice, SchemaStatement, SchemaStep,
};

/// SQLSTATE of a plain notice.
const SUCCESSFUL_COMPLETION: SqlState = SqlState(*b"00000");

/// One statement's edit.
pub(super) struct Edit<'a> {
    pub(super) statement: &'a SchemaStatement,
    pub(super) host: &'a mut dyn SchemaHost,
    /// The catalog with all changes so far; [`Self::relink`] brings it up to date.
    pub(super) catalog: Catalog,
    changed: BTreeMap<ObjectId, SchemaRow>,
    pub(super) change: SchemaChange,
}

impl<'a> Edit<'a> {
    pub(super) fn new(
        statement: &'a SchemaStatement,
        catalog: &Catalog,
        host: &'a mut dyn SchemaHost,
    ) -> Self {
        Self {
            statement,
            host,
            catalog: catalog.clone(),
            changed: BTreeMap::new(),
            change: SchemaChange::default(),
        }
    }

    /// The change, with the command tag.
    pub(super) fn finish(mut self, tag: &str) -> SchemaChange {
        self.change.tag = tag.to_owned();
        for (id, row) in std::mem::take(&mut self.changed) {
            if self.is_temporary(id) {
                self.change.temporary.push(row);
            } else {
                self.change.rows.push(row);
            }
        }
        self.change
    }

    /// Whether an object lies in the temporary schema, directly or inside another.
    fn is_temporary(&self, mut id: ObjectId) -> bool {
        // Containment is at most four deep: comment, column, table, schema.
        for _ in 0..4 {
            match self.catalog.rows.get(&id) {
                Some(row) if row.parent == temporary_id() => return true,
                Some(row) => id = row.parent,
                None => return false,
            }
        }
        false
    }

    /// Brings [`Self::catalog`] up to date with the rows.
    pub(super) fn relink(&mut self) {
        self.catalog = std::mem::take(&mut self.catalog).relink();
    }

    pub(super) fn context(&self) -> BindContext<'_> {
        self.statement.bind_context(&self.catalog)
    }

    /// Upserts a row; one that stays as it is is not a change.
    pub(super) fn put(&mut self, row: SchemaRow) {
        if self.catalog.rows.get(&row.id) == Some(&row) {
            return;
        }
        self.changed.insert(row.id, row.clone());
        self.catalog.rows.insert(row.id, row);
    }

    /// The id that an object made now gets (see [`ObjectId`]).
    pub(super) fn new_id(&self, kind: ObjectKind, parent: ObjectId, name: &str) -> ObjectId {
        let mut generation = 0;
        loop {
            let id = ObjectId::derive(kind, parent, name, generation);
            if !self.catalog.rows.contains_key(&id) {
                return id;
            }
            generation += 1;
        }
    }

    /// Makes an object. The catalog is not relinked.
    pub(super) fn create<D: Serialize>(
        &mut self,
        kind: ObjectKind,
        parent: ObjectId,
        name: &str,
        definition: &D,
    ) -> ObjectId {
        self.create_identified(kind, parent, (name, name), definition)
    }

    /// Makes an object whose identity depends on more than its name. The catalog is not relinked.
    pub(super) fn create_identified<D: Serialize>(
        &mut self,
        kind: ObjectKind,
        parent: ObjectId,
        (name, identity): (&str, &str),
        definition: &D,
    ) -> ObjectId {
        let id = self.new_id(kind, parent, identity);
        let mut definition = definition::write(definition);
        if kind.is_owned()
            && let Some(owner) = self.owner_to_be()
        {
            let mut owned: definition::Ownership = definition::read(&definition);
            owned.owner = Some(owner);
            definition = definition::write(&owned);
        }
        self.put(SchemaRow { id, kind, parent, name: name.to_owned(), definition, dropped: false });
        id
    }

    /// The definition of an object.
    pub(super) fn definition<D: DeserializeOwned + Default>(&self, id: ObjectId) -> D {
        self.catalog.rows.get(&id).map(|row| definition::read(&row.definition)).unwrap_or_default()
    }

    /// Changes the definition of an object. The catalog is not relinked.
    pub(super) fn redefine<D: DeserializeOwned + Serialize + Default>(
        &mut self,
        id: ObjectId,
        change: impl FnOnce(&mut D),
    ) {
        let Some(mut row) = self.catalog.rows.get(&id).cloned() else { return };
        let mut definition = definition::read(&row.definition);
        change(&mut definition);
        row.definition = definition::write(&definition);
        self.put(row);
    }

    /// Renames or moves an object. The catalog is not relinked.
    pub(super) fn rename(&mut self, id: ObjectId, parent: Option<ObjectId>, name: &str) {
        let Some(mut row) = self.catalog.rows.get(&id).cloned() else { return };
        name.clone_into(&mut row.name);
        row.parent = parent.unwrap_or(row.parent);
        self.put(row);
    }

    /// Drops one object. The catalog is not relinked.
    pub(super) fn drop_row(&mut self, id: ObjectId) {
        if id == public_id() && !self.catalog.rows.contains_key(&id) {
            // The schema public has no row until something happens to it.
            let kind = ObjectKind::Namespace;
            let (name, definition) = ("public".to_owned(), "{}".to_owned());
            self.put(SchemaRow { id, kind, parent: ObjectId(0), name, definition, dropped: true });
            return;
        }
        let Some(mut row) = self.catalog.rows.get(&id).cloned() else { return };
        row.dropped = true;
        self.put(row);
    }

    pub(super) fn notice(&mut self, state: SqlState, message: String) {
        self.change.notices.push(SchemaNotice { state, message, detail: None });
    }

    pub(super) fn warning(&mut self, message: String) {
        self.notice(SqlState::WARNING, message);
    }

    pub(super) fn plain_notice(&mut self, message: String, detail: Option<String>) {
        let state = SUCCESSFUL_COMPLETION;
        self.change.notices.push(SchemaNotice { state, message, detail });
    }

    /// Adds a step that runs after the tables are in place.
    pub(super) fn after(&mut self, sql: String) {
        self.change.after.push(SchemaStep::Run(sql));
    }

    /// Adds a check of data on the old tables.
    pub(super) fn refuse_before(&mut self, sql: String, error: SqlError) {
        self.change.before.push(SchemaStep::RefuseIfAny { sql, error, key: None });
    }

    /// Adds a check of data on the new tables.
    pub(super) fn refuse_after(&mut self, sql: String, error: SqlError) {
        self.change.after.push(SchemaStep::RefuseIfAny { sql, error, key: None });
    }

    /// Adds a check of data on the old tables, whose query yields a key that the error is to tell.
    pub(super) fn refuse_key_before(&mut self, sql: String, error: SqlError, key: RefusedKey) {
        let key = Some(key);
        self.change.before.push(SchemaStep::RefuseIfAny { sql, error, key });
    }

    /// Adds a check of data on the new tables, whose query yields a key that the error is to tell.
    pub(super) fn refuse_key_after(&mut self, sql: String, error: SqlError, key: RefusedKey) {
        let key = Some(key);
        self.change.after.push(SchemaStep::RefuseIfAny { sql, error, key });
    }

    /// Refuses a name in another database.
    pub(super) fn check_database(&self, name: &ObjectName) -> Result<(), SqlError> {
        match &name.database {
            Some(database) if *database != self.statement.database => {
                let schema = name.schema.as_deref().unwrap_or_default();
                let message = format!(
                    "cross-database references are not implemented: \"{database}.{schema}.{}\"",
                    name.name
                );
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(name.position))
            }
            _ => Ok(()),
        }
    }

    /// Id and OID of the schema that an object of this name is made in.
    pub(super) fn target_namespace(
        &mut self,
        name: &ObjectName,
        temporary: bool,
    ) -> Result<(ObjectId, Oid), SqlError> {
        self.check_database(name)?;
        let in_temporary = name.schema.as_deref().is_some_and(|it| it.starts_with("pg_temp"));
        if temporary || in_temporary {
            if name.schema.is_some() && !in_temporary {
                let message = "cannot create temporary relation in non-temporary schema";
                let state = SqlState::INVALID_TABLE_DEFINITION;
                return Err(SqlError::new(state, message).at(name.position));
            }
            return Ok((temporary_id(), TEMPORARY_NAMESPACE));
        }
        let found = match name.schema.as_deref() {
            Some(schema @ ("pg_catalog" | "information_schema")) => {
                let message = format!("permission denied to create \"{schema}.{}\"", name.name);
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .with_detail("System catalog modifications are currently disallowed."));
            }
            Some(schema) => Some(self.namespace(schema, name.position)?),
            None => {
                let mut path = self.statement.search_path.iter();
                path.find_map(|schema| self.catalog.namespace(schema)).map(|it| (it.id, it.oid))
            }
        };
        found.ok_or_else(|| {
            let message = "no schema has been selected to create in";
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(name.position)
        })
    }

    /// Id and OID of a schema.
    pub(super) fn namespace(
        &self,
        name: &str,
        position: Option<u32>,
    ) -> Result<(ObjectId, Oid), SqlError> {
        self.catalog.namespace(name).map(|it| (it.id, it.oid)).ok_or_else(|| {
            let message = format!("schema \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(position)
        })
    }

    /// Whether a relation of this name exists in a schema.
    pub(super) fn relation_exists(&self, namespace: Oid, name: &str) -> bool {
        let composite = |it: &UserType| matches!(it, UserType::Composite(it) if it.namespace == namespace && it.name == name);
        self.catalog.relation_names.contains_key(&(namespace, name.to_owned()))
            || self.catalog.types.values().any(composite)
    }

    /// Refuses a relation name that is taken; with `if_not_exists`, says so in a notice and answers false.
    pub(super) fn claim_relation_name(
        &mut self,
        namespace: Oid,
        name: &str,
        if_not_exists: bool,
    ) -> Result<bool, SqlError> {
        if !self.relation_exists(namespace, name) {
            return Ok(true);
        }
        let message = format!("relation \"{name}\" already exists");
        if if_not_exists {
            self.notice(SqlState::DUPLICATE_TABLE, format!("{message}, skipping"));
            return Ok(false);
        }
        Err(SqlError::new(SqlState::DUPLICATE_TABLE, message))
    }

    /// Finds a relation by name.
    pub(super) fn relation(&self, name: &ObjectName) -> Result<Option<Relation<'_>>, SqlError> {
        self.check_database(name)?;
        let schema = name.schema.as_deref();
        Ok(self.catalog.relation(&self.statement.search_path, schema, &name.name))
    }

    /// Finds a table by name.
    pub(super) fn table(&self, name: &ObjectName) -> Result<&Table, SqlError> {
        match self.relation(name)? {
            Some(Relation::Table(table)) => Ok(table),
            Some(_) => {
                let message = format!("\"{}\" is not a table", name.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            None => Err(undefined_relation(name)),
        }
    }

    /// A table that is known to be there.
    pub(super) fn table_by_id(&self, id: ObjectId) -> Result<&Table, SqlError> {
        self.catalog.tables.values().find(|table| table.id == id).ok_or_else(|| {
            SqlError::new(SqlState::INTERNAL_ERROR, "table lost while it was being changed")
        })
    }

    /// The name of a relation as messages show it: qualified where the search path does not find it.
    pub(super) fn display_name(&self, namespace: Oid, name: &str) -> String {
        let path = &self.statement.search_path;
        let found = self
            .catalog
            .path_namespaces(path)
            .find(|it| self.catalog.relation_names.contains_key(&(it.oid, name.to_owned())));
        let visible = match found {
            Some(found) => found.oid == namespace,
            None => namespace == PUBLIC_NAMESPACE,
        };
        let name = crate::builtin::quote_identifier(name);
        if visible {
            return name;
        }
        let schema = crate::builtin::quote_identifier(self.catalog.namespace_name(namespace));
        format!("{schema}.{name}")
    }
}

/// 42P01 for a relation that is not there.
pub(super) fn undefined_relation(name: &ObjectName) -> SqlError {
    let message = format!("relation \"{}\" does not exist", name.display());
    SqlError::new(SqlState::UNDEFINED_TABLE, message)
}

/// 42703 for a column of a table that is not there.
pub(super) fn undefined_column(table: &str, column: &str) -> SqlError {
    let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}
