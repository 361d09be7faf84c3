//! `ALTER … RENAME TO | SET SCHEMA | OWNER TO`, for all kinds of object.

use super::edit::Edit;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{AlterObject, DropKind, ObjectName};
use crate::schema::definition::ViewDefinition;
use crate::schema::lookup::Relation;
use crate::schema::row::ObjectId;

impl Edit<'_> {
    /// `ALTER kind name change`.
    pub(super) fn alter_object(
        &mut self,
        kind: DropKind,
        name: &ObjectName,
        if_exists: bool,
        change: &AlterObject,
    ) -> Result<(), SqlError> {
        let id = match self.find_altered(kind, name) {
            Ok(id) => id,
            Err(error) if if_exists && error.state == SqlState::UNDEFINED_TABLE => {
                self.plain_notice(format!("{}, skipping", error.message), None);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.change_object(kind, id, change)
    }

    /// Finds what is altered: unlike DROP, ALTER says "relation" of whatever is missing.
    fn find_altered(&self, kind: DropKind, name: &ObjectName) -> Result<ObjectId, SqlError> {
        let relation = matches!(
            kind,
            DropKind::Table
                | DropKind::View
                | DropKind::MaterializedView
                | DropKind::Index
                | DropKind::Sequence
        );
        if relation && self.relation(name)?.is_none() {
            return Err(super::edit::undefined_relation(name));
        }
        self.find_object(kind, name).map_err(|error| SqlError { hint: None, ..error })
    }

    /// Applies a change that many kinds of object know.
    pub(super) fn change_object(
        &mut self,
        kind: DropKind,
        id: ObjectId,
        change: &AlterObject,
    ) -> Result<(), SqlError> {
        match change {
            AlterObject::Owner(role) => {
                let role = self.role_oid(role)?;
                for sequence in self.owned_sequences(id) {
                    self.set_owner(sequence, role);
                }
                self.set_owner(id, role);
                self.relink();
                Ok(())
            }
            AlterObject::Rename(name) => self.rename_object(kind, id, name),
            AlterObject::SetSchema(schema) => self.move_object(kind, id, schema),
        }
    }

    /// The schema that an object lies in; for an index, its table's.
    fn namespace_of(&self, id: ObjectId) -> Oid {
        let namespace = |id: ObjectId| self.catalog.namespaces.values().find(|it| it.id == id);
        let parent = self.catalog.rows.get(&id).map(|row| row.parent).unwrap_or_default();
        let found = namespace(parent).or_else(|| {
            let table = self.catalog.rows.get(&parent)?;
            namespace(table.parent)
        });
        found.map_or(Oid(0), |it| it.oid)
    }

    fn rename_object(&mut self, kind: DropKind, id: ObjectId, name: &str) -> Result<(), SqlError> {
        match kind {
            DropKind::Schema => {
                if self.catalog.namespace(name).is_some() {
                    let message = format!("schema \"{name}\" already exists");
                    return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
                }
                if !self.catalog.rows.contains_key(&id) {
                    return Err(SqlError::unsupported("renaming the schema public"));
                }
            }
            DropKind::Type | DropKind::Domain => {
                self.claim_type_name(self.namespace_of(id), name)?;
            }
            _ => {
                self.claim_relation_name(self.namespace_of(id), name, false)?;
            }
        }
        self.rename(id, None, name);
        self.relink();
        Ok(())
    }

    fn move_object(&mut self, kind: DropKind, id: ObjectId, schema: &str) -> Result<(), SqlError> {
        let (parent, oid) = self.namespace(schema, None)?;
        let name = self.catalog.rows.get(&id).map(|row| row.name.clone()).unwrap_or_default();
        if self.namespace_of(id) == oid {
            return Ok(());
        }
        match kind {
            DropKind::Type | DropKind::Domain => self.claim_type_name(oid, &name)?,
            DropKind::Index | DropKind::Schema => {
                return Err(SqlError::unsupported("SET SCHEMA of this kind of object"));
            }
            _ => {
                self.claim_relation_name(oid, &name, false)?;
            }
        }
        self.rename(id, Some(parent), &name);
        for sequence in self.owned_sequences(id) {
            let name = self.catalog.rows.get(&sequence).map(|row| row.name.clone());
            self.rename(sequence, Some(parent), &name.unwrap_or_default());
        }
        self.relink();
        Ok(())
    }

    /// The sequences that a table's columns own.
    fn owned_sequences(&self, table: ObjectId) -> Vec<ObjectId> {
        let oid = self.catalog.tables.values().find(|it| it.id == table).map(|it| it.oid);
        let sequences = self.catalog.sequences.values();
        sequences
            .filter(|it| oid.is_some() && it.owned_by.map(|(table, _)| table) == oid)
            .map(|it| it.id)
            .collect()
    }

    /// Renames an output column of a view.
    pub(super) fn rename_view_column(
        &mut self,
        name: &ObjectName,
        old: &str,
        new: &str,
    ) -> Result<(), SqlError> {
        let Some(Relation::View(view)) = self.relation(name)? else {
            return Err(super::edit::undefined_relation(name));
        };
        let id = view.id;
        let Some(at) = view.columns.iter().position(|(it, ..)| it == old) else {
            let message = format!("column \"{old}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        if view.columns.iter().any(|(it, ..)| it == new) {
            let message = format!("column \"{new}\" of relation \"{}\" already exists", view.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        self.redefine(id, |definition: &mut ViewDefinition| {
            if let Some(column) = definition.columns.get_mut(at) {
                new.clone_into(&mut column.name);
            }
        });
        Ok(())
    }
}
