//! What `VACUUM` and its kin are about: names looked up, and the SQLite statements that there are to run.

use super::ast::ObjectName;
use super::maintenance::{Maintenance, MaintenanceCommand};
use crate::bind::BindContext;
use crate::builtin;
use crate::error::{SqlError, SqlState};
use crate::plan::{MaintenanceStatement, SessionStatement, Step};
use crate::schema::{Relation, Table};

/// Plans a command.
pub(super) fn plan(ast: &Maintenance, cx: &BindContext<'_>) -> Result<SessionStatement, SqlError> {
    let mut warnings = Vec::new();
    for (name, columns) in &ast.targets {
        let found = relation(name, cx)?;
        match &ast.command {
            MaintenanceCommand::Vacuum => vacuumed(&found, "vacuum", columns, &mut warnings)?,
            MaintenanceCommand::Analyze => vacuumed(&found, "analyze", columns, &mut warnings)?,
            MaintenanceCommand::ReindexIndex => is_index(&found, name)?,
            MaintenanceCommand::ReindexTable => has_indexes(&found, name)?,
            MaintenanceCommand::Cluster => clustered(&found, name)?,
            MaintenanceCommand::ReindexSchema(_)
            | MaintenanceCommand::ReindexDatabase(_)
            | MaintenanceCommand::Checkpoint => {}
        }
    }
    let (tag, step) = match &ast.command {
        MaintenanceCommand::Vacuum => ("VACUUM", None),
        MaintenanceCommand::Analyze => ("ANALYZE", Some("ANALYZE")),
        MaintenanceCommand::ReindexIndex | MaintenanceCommand::ReindexTable => {
            ("REINDEX", Some("REINDEX"))
        }
        MaintenanceCommand::ReindexSchema(name) => {
            if cx.catalog.namespace(name).is_none() && !is_system_schema(name) {
                let message = format!("schema \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
            }
            ("REINDEX", Some("REINDEX"))
        }
        MaintenanceCommand::ReindexDatabase(name) => {
            if name != cx.database {
                let message = "can only reindex the currently open database";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            ("REINDEX", Some("REINDEX"))
        }
        MaintenanceCommand::Cluster => ("CLUSTER", None),
        MaintenanceCommand::Checkpoint => ("CHECKPOINT", None),
    };
    let steps = step.iter().map(|sql| Step { sql: (*sql).to_owned() }).collect();
    let alone = ast.alone;
    let statement = MaintenanceStatement { tag, steps, alone, warnings };
    Ok(SessionStatement::Maintenance(statement))
}

fn is_system_schema(name: &str) -> bool {
    matches!(name, "pg_catalog" | "information_schema")
}

/// What a name stands for.
enum Found<'a> {
    User(Relation<'a>),
    System,
}

fn relation<'a>(name: &ObjectName, cx: &BindContext<'a>) -> Result<Found<'a>, SqlError> {
    super::plan::relation(name, cx).map(Found::User).or_else(|error| {
        let schema = name.schema.as_deref().unwrap_or("pg_catalog");
        builtin::relation(schema, &name.name).map(|_| Found::System).ok_or(error)
    })
}

/// `VACUUM` and `ANALYZE` skip what is no table, with a warning.
fn vacuumed(
    found: &Found<'_>,
    verb: &str,
    columns: &[String],
    warnings: &mut Vec<String>,
) -> Result<(), SqlError> {
    let skipped = match found {
        Found::System => return Ok(()),
        Found::User(Relation::Table(table)) => return check_columns(table, columns),
        Found::User(Relation::View(view)) if view.materialized_in.is_some() => return Ok(()),
        Found::User(Relation::View(view)) => view.name.as_str(),
        Found::User(Relation::Sequence(sequence)) => sequence.name.as_str(),
        Found::User(Relation::Index(table, oid)) => index_name(table, *oid),
    };
    let rest = "non-tables or special system tables";
    warnings.push(format!("skipping \"{skipped}\" --- cannot {verb} {rest}"));
    Ok(())
}

fn index_name(table: &Table, oid: crate::oid::Oid) -> &str {
    let unique = table.uniques.iter().find(|it| it.index_oid == oid).map(|it| it.name.as_str());
    unique.or(table.index(oid).map(|it| it.name.as_str())).unwrap_or_default()
}

fn check_columns(table: &Table, columns: &[String]) -> Result<(), SqlError> {
    for (place, name) in columns.iter().enumerate() {
        if table.column_by_name(name).is_none() {
            let message =
                format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        }
        if columns.iter().take(place).any(|it| it == name) {
            let message =
                format!("column \"{name}\" of relation \"{}\" appears more than once", table.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
    }
    Ok(())
}

fn is_index(found: &Found<'_>, name: &ObjectName) -> Result<(), SqlError> {
    match found {
        Found::System | Found::User(Relation::Index(..)) => Ok(()),
        Found::User(Relation::Table(_) | Relation::View(_) | Relation::Sequence(_)) => {
            let message = format!("\"{}\" is not an index", name.name);
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
    }
}

fn has_indexes(found: &Found<'_>, name: &ObjectName) -> Result<(), SqlError> {
    match found {
        Found::System | Found::User(Relation::Table(_)) => Ok(()),
        Found::User(Relation::View(view)) if view.materialized_in.is_some() => Ok(()),
        Found::User(Relation::View(_) | Relation::Sequence(_) | Relation::Index(..)) => {
            let message = format!("\"{}\" is not a table or materialized view", name.name);
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
    }
}

/// `CLUSTER` without an index wants a table that remembers one.
fn clustered(found: &Found<'_>, name: &ObjectName) -> Result<(), SqlError> {
    match found {
        Found::User(Relation::Table(table)) if table.clustered_on.is_none() => {
            let message =
                format!("there is no previously clustered index for table \"{}\"", table.name);
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
        Found::User(Relation::View(view)) if view.materialized_in.is_some() => {
            let message =
                format!("there is no previously clustered index for table \"{}\"", view.name);
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
        Found::System | Found::User(Relation::Table(_)) => Ok(()),
        Found::User(Relation::View(_) | Relation::Sequence(_) | Relation::Index(..)) => {
            let message = format!("\"{}\" is not a table or materialized view", name.name);
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
    }
}
