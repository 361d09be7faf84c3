//! `COMMENT ON`.

use super::constraint::{find_column, undefined_constraint};
use super::edit::{Edit, undefined_relation};
use crate::error::{SqlError, SqlState};
use crate::parse::utility::CommentTarget;
use crate::schema::definition::CommentDefinition;
use crate::schema::lookup::Relation;
use crate::schema::row::{ObjectId, ObjectKind};

impl Edit<'_> {
    /// `COMMENT ON target IS text`.
    pub(super) fn comment(
        &mut self,
        target: &CommentTarget,
        text: Option<String>,
    ) -> Result<(), SqlError> {
        let id = match target {
            CommentTarget::Object(kind, name) => self.find_object(*kind, name)?,
            CommentTarget::Routine(routine) => self.routine(routine)?.id,
            CommentTarget::Column(table, column) => match self.relation(table)? {
                Some(Relation::Table(table)) => find_column(table, column)?.id,
                Some(_) => return Err(SqlError::unsupported("COMMENT ON a column of a view")),
                None => return Err(undefined_relation(table)),
            },
            CommentTarget::Constraint(name, table) => {
                let table = self.table(table)?;
                let uniques = table.uniques.iter().map(|it| (it.id, &it.name));
                let checks = table.checks.iter().map(|it| (it.id, &it.name));
                let foreign = table.foreign_keys.iter().map(|it| (it.id, &it.name));
                let mut all = uniques.chain(checks).chain(foreign);
                let found = all.find(|(_, it)| *it == name).map(|(id, _)| id);
                let missing = || {
                    let error = undefined_constraint(&table.name, name);
                    let message = error.message.replace(" of relation ", " for table ");
                    SqlError { message, ..error }
                };
                found.ok_or_else(missing)?
            }
            CommentTarget::Database(name) if *name == self.statement.database => {
                return Err(SqlError::unsupported("COMMENT ON DATABASE"));
            }
            CommentTarget::Database(name) => {
                let message = format!("database \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message));
            }
        };
        self.set_comment(id, text.filter(|text| !text.is_empty()));
        Ok(())
    }

    /// Sets or removes an object's comment. It is one row for the life of the object, so that concurrent comments merge.
    pub(super) fn set_comment(&mut self, on: ObjectId, text: Option<String>) {
        let id = ObjectId::derive(ObjectKind::Comment, on, "", 0);
        if self.catalog.rows.contains_key(&id) {
            let Some(mut row) = self.catalog.rows.get(&id).cloned() else { return };
            row.dropped = text.is_none();
            self.put(row);
            let text = text.unwrap_or_default();
            self.redefine(id, |definition: &mut CommentDefinition| definition.text = text);
        } else if let Some(text) = text {
            let definition = CommentDefinition { text, ..CommentDefinition::default() };
            self.create(ObjectKind::Comment, on, "", &definition);
        }
    }
}
