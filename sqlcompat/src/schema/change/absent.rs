//! `DROP` of what cannot be there, because Trellis has nothing of its kind.

use super::edit::{Edit, undefined_relation};
use crate::bind::resolve::Types;
use crate::builtin;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::AbsentObject;

/// Kinds of which PostgreSQL has some itself, which are the only ones here.
const SUPPLIED: [(&str, &[&str]); 5] = [
    ("language", &["internal", "c", "sql", "plpgsql"]),
    ("access method", &["heap", "btree", "hash", "gin", "gist", "spgist", "brin"]),
    ("collation", &["default", "C", "POSIX", "ucs_basic"]),
    ("tablespace", &["pg_default", "pg_global"]),
    ("text search configuration", &["simple", "english"]),
];

impl Edit<'_> {
    /// `DROP` of such objects.
    pub(super) fn drop_absent(
        &mut self,
        objects: &[AbsentObject],
        if_exists: bool,
    ) -> Result<(), SqlError> {
        for object in objects {
            if self.skips_absent(object, if_exists)? {
                continue;
            }
            self.refuse_supplied(object)?;
            let (error, notice) = self.absent_messages(object)?;
            if !if_exists {
                return Err(SqlError::new(object.state, error));
            }
            self.plain_notice(format!("{notice}, skipping"), None);
        }
        Ok(())
    }

    /// Whether what an object would belong to is not there: an error, or a notice that says so.
    fn skips_absent(&mut self, object: &AbsentObject, if_exists: bool) -> Result<bool, SqlError> {
        let holder = object.relation.as_ref().unwrap_or(&object.name);
        let unknown = |edit: &Self, schema: &&String| {
            edit.catalog.namespace(schema).is_none()
                && !matches!(schema.as_str(), "pg_catalog" | "information_schema")
        };
        let mut missing = None;
        if let Some(schema) = holder.schema.as_ref().filter(|schema| unknown(self, schema)) {
            let message = format!("schema \"{schema}\" does not exist");
            missing = Some(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
        }
        if let (None, Some(relation)) = (&missing, &object.relation)
            && self.relation(relation)?.is_none()
        {
            missing = Some(undefined_relation(relation));
        }
        for type_name in &object.types {
            if missing.is_none() {
                let resolved = type_name.resolve(&self.catalog, &self.statement.search_path);
                missing = resolved.err().map(|error| SqlError { position: None, ..error });
            }
        }
        match missing {
            None => Ok(false),
            Some(error) if if_exists => {
                self.plain_notice(format!("{}, skipping", error.message), None);
                Ok(true)
            }
            Some(error) => Err(error),
        }
    }

    /// Types of an object's arguments.
    fn absent_types(&self, object: &AbsentObject) -> Result<Vec<Oid>, SqlError> {
        let resolve = |it: &crate::parse::utility::TypeName| {
            it.resolve(&self.catalog, &self.statement.search_path).map(|(oid, _)| oid)
        };
        object.types.iter().map(resolve).collect()
    }

    /// Refuses to drop what PostgreSQL has itself.
    fn refuse_supplied(&self, object: &AbsentObject) -> Result<(), SqlError> {
        let name = object.name.name.as_str();
        let supplied =
            SUPPLIED.iter().any(|(noun, names)| *noun == object.noun && names.contains(&name));
        let types = self.absent_types(object)?;
        let routine = matches!(object.noun, "function" | "routine" | "aggregate");
        let function = routine
            && object.name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
            && builtin::functions_by_name(name).iter().any(|row| row.arguments == types.as_slice());
        if supplied || function {
            let shown = object.notice.strip_suffix(" does not exist").unwrap_or(&object.notice);
            let shown = shown.replace(['"'], "");
            let message =
                format!("cannot drop {shown} because it is required by the database system");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        let own = match object.noun {
            "role" => name == self.statement.user,
            "database" => name == self.statement.database,
            _ => false,
        };
        if !own {
            return Ok(());
        }
        if object.noun == "database" {
            let message = "cannot drop the currently open database";
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
        }
        let message = "current user cannot be dropped";
        Err(SqlError::new(SqlState::OBJECT_IN_USE, message))
    }

    /// What is said if an object must be there, and if it need not be.
    fn absent_messages(&self, object: &AbsentObject) -> Result<(String, String), SqlError> {
        let types = self.absent_types(object)?;
        let names = Types::new(&self.catalog, &self.statement.search_path);
        let shown: Vec<_> = types.iter().map(|oid| names.format(*oid)).collect();
        Ok(match (object.noun, shown.as_slice()) {
            ("cast", [from, to]) => {
                let message = format!("cast from type {from} to type {to} does not exist");
                (message, object.notice.clone())
            }
            ("operator", [right]) => {
                let message = format!("operator does not exist: {} {right}", object.name.name);
                (message, object.notice.clone())
            }
            ("operator", [left, right]) => {
                let message =
                    format!("operator does not exist: {left} {} {right}", object.name.name);
                (message, object.notice.clone())
            }
            ("function" | "procedure" | "routine" | "aggregate", [_, ..]) => {
                let name = object.name.display();
                let noun = if object.noun == "routine" { "function" } else { object.noun };
                let message = format!("{noun} {name}({}) does not exist", shown.join(", "));
                (message, object.notice.clone())
            }
            _ => (object.error.clone(), object.notice.clone()),
        })
    }
}
