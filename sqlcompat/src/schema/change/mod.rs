//! DDL statements as edits of `trellis_schema` rows.
//!
//! Each statement is one `Edit`: it looks names up in the catalog, changes rows, and asks for checks of the
//! data (`before`, `after`). What the new rows mean for SQLite is the materializer's business, so that a change made here
//! and one that arrives from a peer take the same path.
//!
//! # Map
//! - `edit`: the state of an edit and its lookups; `names`: names for what has none; `expression`: binding of texts.
//! - `create_table`, `column`, `constraint`, `index`, `sequence`, `types`, `view`, `view_options`: making and changing objects.
//! - `function` with `function_parameters`: functions and procedures.
//! - `role`: roles, membership, owners.
//! - `absent`: DROP of what there is none of.
//! - `alter_table`, `alter_column`, `alter_object`, `table_property` with `storage_option`: `ALTER`; `drop`: `DROP` and dependencies; `comment`.

mod absent;
mod alter_column;
mod alter_object;
mod alter_table;
mod attributes;
mod column;
mod comment;
mod constraint;
mod create_table;
mod domain_data;
mod drop;
mod edit;
pub(super) mod expression;
mod function;
mod function_parameters;
mod index;
mod names;
mod operator_class;
mod range_type;
mod role;
mod sequence;
mod storage_option;
mod table_property;
mod types;
mod view;
mod view_options;

use super::catalog::Catalog;
use super::statement::{SchemaChange, SchemaHost, SchemaStatement};
use crate::error::{SqlError, SqlState};
use crate::parse::utility::DdlStatement;
use edit::Edit;

/// Computes what a statement changes.
pub(super) fn apply(
    statement: &SchemaStatement,
    catalog: &Catalog,
    host: &mut dyn SchemaHost,
) -> Result<SchemaChange, SqlError> {
    let mut edit = Edit::new(statement, catalog, host);
    let tag = change(&mut edit, &statement.ddl)?;
    Ok(edit.finish(&tag))
}

/// Makes a statement's changes; gives its tag.
#[expect(clippy::too_many_lines, reason = "a flat table of statements")]
fn change(edit: &mut Edit<'_>, ddl: &DdlStatement) -> Result<String, SqlError> {
    Ok(match ddl {
        DdlStatement::CreateSchema { name, owner, if_not_exists, elements } => {
            edit.create_schema(name, owner.as_deref(), *if_not_exists)?;
            edit.relink();
            for element in elements {
                change(edit, &in_schema(element, name)?)?;
                edit.relink();
            }
            "CREATE SCHEMA".to_owned()
        }
        DdlStatement::DropAbsent { tag, if_exists, objects } => {
            edit.drop_absent(objects, *if_exists)?;
            tag.clone()
        }
        DdlStatement::CreateTable(ast) => {
            edit.create_table(ast)?;
            "CREATE TABLE".to_owned()
        }
        DdlStatement::CreateTableAs(ast) => edit.create_table_as(ast)?.to_owned(),
        DdlStatement::CreateIndex(ast) => {
            edit.create_index(ast)?;
            "CREATE INDEX".to_owned()
        }
        DdlStatement::CreateView(ast) => edit.create_view(ast)?.to_owned(),
        DdlStatement::CreateSequence(ast) => {
            edit.create_sequence(ast)?;
            "CREATE SEQUENCE".to_owned()
        }
        DdlStatement::CreateEnum { name, labels } => {
            edit.create_enum(name, labels)?;
            "CREATE TYPE".to_owned()
        }
        DdlStatement::CreateComposite { name, fields } => {
            edit.create_composite(name, fields)?;
            "CREATE TYPE".to_owned()
        }
        DdlStatement::CreateRange(ast) => edit.create_range(ast)?.to_owned(),
        DdlStatement::CreateDomain(ast) => edit.create_domain(ast)?.to_owned(),
        DdlStatement::CreateExtension { name, if_not_exists } => {
            edit.create_extension(name, *if_not_exists)?;
            "CREATE EXTENSION".to_owned()
        }
        DdlStatement::CreateFunction(ast) => edit.create_function(ast)?.to_owned(),
        DdlStatement::DropRoutines { kind, routines, if_exists, cascade } => {
            edit.drop_routines(routines, *if_exists, *cascade)?;
            format!("DROP {}", kind.noun().to_uppercase())
        }
        DdlStatement::AlterRoutine(routine, change) => {
            edit.alter_routine(routine, change)?;
            format!("ALTER {}", routine.kind.noun().to_uppercase())
        }
        DdlStatement::Role(statement) => edit.role_statement(statement)?.to_owned(),
        DdlStatement::Drop { kind, names, if_exists, cascade, concurrently: _ } => {
            edit.drop_objects(*kind, names, *if_exists, *cascade)?;
            format!("DROP {}", kind.tag())
        }
        DdlStatement::AlterTable(ast) => {
            edit.alter_table(ast)?;
            format!("ALTER {}", ast.kind.tag())
        }
        DdlStatement::Cluster(ast) => {
            edit.alter_table(ast)?;
            "CLUSTER".to_owned()
        }
        DdlStatement::AlterSequence { name, if_exists, options } => {
            edit.alter_sequence(name, *if_exists, options)?;
            "ALTER SEQUENCE".to_owned()
        }
        DdlStatement::AlterType(name, change) => {
            edit.alter_type(name, change)?;
            "ALTER TYPE".to_owned()
        }
        DdlStatement::AlterDomain(name, change) => {
            edit.alter_domain(name, change)?;
            "ALTER DOMAIN".to_owned()
        }
        DdlStatement::AlterObject { kind, name, if_exists, change } => {
            edit.alter_object(*kind, name, *if_exists, change)?;
            format!("ALTER {}", kind.tag())
        }
        DdlStatement::Comment { target, text } => {
            edit.comment(target, text.clone())?;
            "COMMENT".to_owned()
        }
        DdlStatement::RefreshView { name, no_data, concurrently } => {
            edit.refresh_view(name, *no_data, *concurrently)?;
            "REFRESH MATERIALIZED VIEW".to_owned()
        }
    })
}

/// A statement inside `CREATE SCHEMA`: what it makes is made in that schema.
fn in_schema(element: &DdlStatement, schema: &str) -> Result<DdlStatement, SqlError> {
    let mut element = element.clone();
    let name = match &mut element {
        DdlStatement::CreateTable(ast) if !ast.temporary => Some(&mut ast.name),
        DdlStatement::CreateSequence(ast) if !ast.temporary => Some(&mut ast.name),
        DdlStatement::CreateView(ast) if !ast.temporary => Some(&mut ast.name),
        DdlStatement::CreateIndex(ast) => Some(&mut ast.table),
        _ => None,
    };
    if let Some(name) = name {
        let given = name.schema.get_or_insert_with(|| schema.to_owned());
        if given != schema {
            let message = format!(
                "CREATE specifies a schema ({given}) different from the one being created ({schema})"
            );
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_DEFINITION, message));
        }
    }
    Ok(element)
}

impl Edit<'_> {
    /// `CREATE SCHEMA`.
    fn create_schema(
        &mut self,
        name: &str,
        owner: Option<&str>,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let owner = owner.map(|owner| self.role_oid(owner)).transpose()?;
        if name.starts_with("pg_") {
            let message = format!("unacceptable schema name \"{name}\"");
            let detail = "The prefix \"pg_\" is reserved for system schemas.";
            return Err(SqlError::new(SqlState::RESERVED_NAME, message).with_detail(detail));
        }
        if name == "trellis" {
            let message = format!("unacceptable schema name \"{name}\"");
            let detail = "The schema \"trellis\" is the server's own.";
            return Err(SqlError::new(SqlState::RESERVED_NAME, message).with_detail(detail));
        }
        let exists = name == "information_schema" || self.catalog.namespace(name).is_some();
        let message = format!("schema \"{name}\" already exists");
        if exists && if_not_exists {
            self.notice(SqlState::DUPLICATE_SCHEMA, format!("{message}, skipping"));
            return Ok(());
        }
        if exists {
            return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
        }
        let (kind, parent) = (super::ObjectKind::Namespace, super::ObjectId(0));
        let id = self.create(kind, parent, name, &serde_json::Map::new());
        if let Some(owner) = owner {
            self.set_owner(id, owner);
        }
        Ok(())
    }

    /// `CREATE EXTENSION`: those whose functions are built in or not needed are there already.
    fn create_extension(&mut self, name: &str, if_not_exists: bool) -> Result<(), SqlError> {
        let built_in = ["plpgsql", "uuid-ossp", "pgcrypto"].contains(&name);
        if built_in && if_not_exists {
            let message = format!("extension \"{name}\" already exists, skipping");
            self.notice(SqlState::DUPLICATE_OBJECT, message);
            return Ok(());
        }
        if built_in {
            let message = format!("extension \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let message = format!("extension \"{name}\" is not available");
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
    }
}
