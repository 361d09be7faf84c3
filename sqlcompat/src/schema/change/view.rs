//! Views, materialized views and `CREATE TABLE AS`: what is made of a query.

use sqlparser::ast::Statement;

use super::column::{NewColumn, type_reference};
use super::edit::{Edit, undefined_relation};
use super::storage_option::{self, Owner};
use crate::bind::deparse::expand_stars;
use crate::bind::{LoweredQuery, bind_query, unpopulated};
use crate::builtin::quote_identifier;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{CreateTableAs, CreateView, ObjectName};
use crate::parse::{self, StatementAst};
use crate::schema::catalog::View;
use crate::schema::definition::{ViewColumn, ViewDefinition};
use crate::schema::lookup::Relation;
use crate::schema::physical::{self, GENERATION, HIDDEN_KEY, quote};
use crate::schema::row::{ObjectId, ObjectKind};
use crate::schema::seen::SeenRelation;
use crate::schema::stored_text::{NameRole, by_id};

impl Edit<'_> {
    /// Binds the text of a query whose rows are wanted now.
    ///
    /// # Errors
    /// As for [`Edit::query`]; 55000 for a materialized view that has none yet.
    fn query_for_rows(&self, text: &str, of: Option<&View>) -> Result<LoweredQuery, SqlError> {
        let query = self.query(text, of)?;
        query.unpopulated.as_deref().map_or(Ok(()), |name| Err(unpopulated(name)))?;
        Ok(query)
    }

    /// Binds the text of a query, that of a view if there is one already.
    fn query(&self, text: &str, of: Option<&View>) -> Result<LoweredQuery, SqlError> {
        let statements = parse::split(text)?;
        let [statement] = statements.as_slice() else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
        };
        let bound = match &statement.ast {
            StatementAst::Sql(sql) => match &**sql {
                Statement::Query(query) => bind_query(query, &statement.text, of, &self.context()),
                _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error in query")),
            },
            StatementAst::Utility(_) => {
                Err(SqlError::unsupported("a utility statement in place of a query"))
            }
        };
        bound.map_err(|mut error| {
            error.position = None;
            error
        })
    }

    /// The query with its stars written out, so that columns added to its tables do not change it; `None` if it has none.
    fn without_stars(&self, bound: &LoweredQuery) -> Result<Option<LoweredQuery>, SqlError> {
        let statements = parse::split(&bound.text)?;
        let [statement] = statements.as_slice() else { return Ok(None) };
        let StatementAst::Sql(sql) = &statement.ast else { return Ok(None) };
        let Statement::Query(query) = &**sql else { return Ok(None) };
        let expanded = expand_stars(query, &statement.text, &self.context())?;
        if expanded == **query {
            return Ok(None);
        }
        let again = self.query(&expanded.to_string(), None);
        Ok(again.ok().filter(|again| again.columns == bound.columns))
    }

    /// `CREATE TABLE … AS`; the answer is the command tag.
    pub(super) fn create_table_as(
        &mut self,
        ast: &CreateTableAs,
    ) -> Result<&'static str, SqlError> {
        let namespace = self.target_namespace(&ast.name, ast.temporary)?;
        let name = &ast.name.name;
        if !self.claim_relation_name(namespace.1, name, ast.if_not_exists)? {
            return Ok("CREATE TABLE AS");
        }
        let query = match ast.no_data {
            true => self.query(&ast.query, None)?,
            false => self.query_for_rows(&ast.query, None)?,
        };
        let columns = output_columns(&query, &ast.columns)?;
        let options = storage_option::set(&[], &ast.options, Owner::NewTable)?;
        let target = self.create_table_row(namespace, (name, name), ast.on_commit, options)?;
        let mut names = Vec::with_capacity(columns.len());
        for (name, data_type) in columns {
            self.check_storable(&name, data_type.0)?;
            let column = NewColumn {
                name,
                data_type,
                serial: false,
                collation: None,
                not_null: false,
                default: None,
                generated: None,
                identity: None,
            };
            self.create_column(&target, &column)?;
            names.push(quote(&physical::column_name(&column.name)));
        }
        self.relink();
        if ast.no_data {
            return Ok("CREATE TABLE AS");
        }
        let table = self.table_by_id(target.id)?;
        let into = format!("{}.{}", table.database(), quote(&table.physical_name));
        let hidden = quote(table.hidden_key.as_deref().unwrap_or_default());
        let sql = insert_query(&into, &hidden, &names, &query.sql);
        self.change.reads = query.reads;
        self.change.counted = Some(self.change.after.len());
        self.after(sql);
        Ok("SELECT")
    }

    /// `CREATE VIEW`, `CREATE MATERIALIZED VIEW`; the answer is the command tag.
    pub(super) fn create_view(&mut self, ast: &CreateView) -> Result<&'static str, SqlError> {
        let tag = if ast.materialized { "SELECT" } else { "CREATE VIEW" };
        let namespace = self.target_namespace(&ast.name, ast.temporary)?;
        let name = &ast.name.name;
        let replaced = match self.catalog.relation_names.get(&(namespace.1, name.clone())) {
            Some(oid) if ast.or_replace => Some(*oid),
            _ => None,
        };
        if replaced.is_none() && !self.claim_relation_name(namespace.1, name, ast.if_not_exists)? {
            return Ok("CREATE MATERIALIZED VIEW");
        }
        let query = if ast.materialized && !ast.no_data {
            self.query_for_rows(&ast.query, None)?
        } else {
            self.query(&ast.query, None)?
        };
        let columns = output_columns(&query, &ast.columns)?;
        let kept = match self.without_stars(&query)? {
            Some(expanded) => expanded,
            None => query.clone(),
        };
        let seen = self.seen_columns(&kept);
        let names: Vec<_> =
            kept.names.iter().filter_map(|name| by_id(&self.catalog, name)).collect();
        let mut depends_on: Vec<i64> = names.iter().map(|name| name.of).collect();
        depends_on.sort_unstable();
        depends_on.dedup();
        let options = match ast.materialized {
            true => Vec::new(),
            false => self.view_options(&ast.options, ast.check, &ast.query)?,
        };
        let definition = ViewDefinition {
            query: kept.text,
            names,
            seen,
            columns: columns
                .iter()
                .map(|(name, data_type)| ViewColumn {
                    name: name.clone(),
                    data_type: type_reference(&self.catalog, *data_type),
                    default: None,
                })
                .collect(),
            materialized: ast.materialized,
            depends_on,
            options,
            ..ViewDefinition::default()
        };
        if let Some(oid) = replaced {
            let id = self.check_replacement(oid, name, &columns)?;
            self.redefine(id, |stored: &mut ViewDefinition| {
                let mut definition = definition;
                for (new, old) in definition.columns.iter_mut().zip(&mut stored.columns) {
                    new.default = old.default.take();
                }
                *stored = definition;
            });
            return Ok(tag);
        }
        self.create(ObjectKind::View, namespace.0, name, &definition);
        self.relink();
        if !ast.materialized {
            return Ok(tag);
        }
        if ast.no_data {
            return Ok("CREATE MATERIALIZED VIEW");
        }
        self.fill_materialized(&ast.name, &query)?;
        self.change.counted = self.change.after.len().checked_sub(1);
        Ok(tag)
    }

    /// A view may be replaced by one that begins with the same columns.
    fn check_replacement(
        &self,
        oid: Oid,
        name: &str,
        columns: &[OutputColumn],
    ) -> Result<ObjectId, SqlError> {
        let Some(view) = self.catalog.views.get(&oid).filter(|it| it.materialized_in.is_none())
        else {
            let message = format!("\"{name}\" is not a view");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let invalid = |message: String| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
        if columns.len() < view.columns.len() {
            return Err(invalid("cannot drop columns from view".to_owned()));
        }
        for ((old, old_type, typmod), (new, data_type)) in view.columns.iter().zip(columns) {
            if old != new {
                let message = format!("cannot change name of view column \"{old}\" to \"{new}\"");
                return Err(invalid(message).with_hint(
                    "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
                ));
            }
            if (*old_type, *typmod) != *data_type {
                let types = crate::bind::resolve::Types::new(&self.catalog, &[]);
                let message = format!(
                    "cannot change data type of view column \"{old}\" from {} to {}",
                    types.format_with_typmod(*old_type, *typmod),
                    types.format_with_typmod(data_type.0, data_type.1)
                );
                return Err(invalid(message));
            }
        }
        Ok(view.id)
    }

    /// The columns that a query's relations have at present, and which of them it reads.
    fn seen_columns(&self, query: &LoweredQuery) -> Vec<SeenRelation> {
        let mut relations: Vec<Oid> =
            query.names.iter().filter(|it| it.role != NameRole::Type).map(|it| it.of).collect();
        relations.sort_unstable();
        relations.dedup();
        let seen = |oid: &Oid| {
            let (id, columns): (_, Vec<(i16, i64, &String)>) =
                match self.catalog.relation_by_oid(*oid)? {
                    Relation::Table(table) => {
                        let columns = table.columns.iter();
                        (table.id, columns.map(|it| (it.attnum, it.id.0, &it.name)).collect())
                    }
                    Relation::View(view) => {
                        let columns = (1i16..).zip(&view.columns);
                        let columns = columns.map(|(at, (name, ..))| (at, i64::from(at), name));
                        (view.id, columns.collect())
                    }
                    Relation::Sequence(_) | Relation::Index(..) => return None,
                };
            let used = columns.iter().filter(|(at, ..)| query.used.contains(&(*oid, *at)));
            Some(SeenRelation {
                of: id.0,
                used: used.map(|(_, id, _)| *id).collect(),
                columns: columns.into_iter().map(|(_, id, name)| (id, name.clone())).collect(),
            })
        };
        relations.iter().filter_map(seen).collect()
    }

    /// `REFRESH MATERIALIZED VIEW`.
    pub(super) fn refresh_view(
        &mut self,
        name: &ObjectName,
        no_data: bool,
        concurrently: bool,
    ) -> Result<(), SqlError> {
        let (view, table) = match self.relation(name)? {
            Some(Relation::View(view)) => match &view.materialized_in {
                Some(_) if concurrently => return Err(self.refuse_concurrent_refresh(view)),
                Some(table) => (view.clone(), table.clone()),
                None => return Err(not_materialized(name)),
            },
            Some(_) => return Err(not_materialized(name)),
            None => return Err(undefined_relation(name)),
        };
        self.after(format!("DELETE FROM main.{}", quote(&table)));
        if no_data {
            self.redefine(view.id, |definition: &mut ViewDefinition| definition.generation = None);
            return Ok(());
        }
        let query = self.query_for_rows(&view.query, Some(&view))?;
        self.fill_materialized(name, &query)
    }

    /// 55000, or 0A000 without rows: rows are told apart by a unique index, and a materialized view has none here.
    fn refuse_concurrent_refresh(&self, view: &View) -> SqlError {
        if view.generation.is_none() {
            let what = "CONCURRENTLY cannot be used when the materialized view is not populated";
            return SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, what);
        }
        let schema = quote_identifier(self.catalog.namespace_name(view.namespace));
        let name = quote_identifier(&view.name);
        let message = format!("cannot refresh materialized view \"{schema}.{name}\" concurrently");
        SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_hint(
            "Create a unique index with no WHERE clause on one or more columns of the \
             materialized view.",
        )
    }

    /// Adds the step that fills the table of a materialized view.
    fn fill_materialized(
        &mut self,
        name: &ObjectName,
        query: &LoweredQuery,
    ) -> Result<(), SqlError> {
        let Some(Relation::View(view)) = self.relation(name)? else {
            return Err(not_materialized(name));
        };
        let (id, table) = (view.id, view.materialized_in.clone().unwrap_or_default());
        let mut names = vec![quote(HIDDEN_KEY), quote(GENERATION)];
        names.extend(view.columns.iter().map(|(name, ..)| quote(&physical::column_name(name))));
        let Datum::Integer(generation) = self.host.evaluate("trellis_unique_id()")? else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "a generation is no number"));
        };
        self.redefine(id, |definition: &mut ViewDefinition| {
            definition.generation = Some(generation);
        });
        self.change.reads = query.reads.clone();
        self.after(format!(
            "INSERT INTO main.{} ({}) SELECT trellis_unique_id(), {generation}, * FROM ({})",
            quote(&table),
            names.join(", "),
            query.sql
        ));
        Ok(())
    }
}

/// `INSERT INTO table SELECT …`, with fresh hidden keys.
fn insert_query(into: &str, hidden_key: &str, names: &[String], query: &str) -> String {
    if names.is_empty() {
        return format!(
            "INSERT INTO {into} ({hidden_key}) SELECT trellis_unique_id() FROM ({query})"
        );
    }
    let columns = names.join(", ");
    format!(
        "INSERT INTO {into} ({hidden_key}, {columns}) SELECT trellis_unique_id(), * FROM ({query})"
    )
}

/// A column of a query: its name, its type and typmod.
type OutputColumn = (String, (Oid, i32));

/// Names and types of a query's columns, with the names given in the statement in place of its own.
fn output_columns(query: &LoweredQuery, names: &[String]) -> Result<Vec<OutputColumn>, SqlError> {
    if names.len() > query.columns.len() {
        let message = "too many column names were specified";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    let mut columns: Vec<OutputColumn> = Vec::with_capacity(query.columns.len());
    for (index, column) in query.columns.iter().enumerate() {
        let name = names.get(index).unwrap_or(&column.name).clone();
        if columns.iter().any(|(it, _)| *it == name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let type_oid = match column.type_oid {
            Oid::UNKNOWN => Oid::TEXT,
            other => other,
        };
        columns.push((name, (type_oid, column.typmod)));
    }
    Ok(columns)
}

fn not_materialized(name: &ObjectName) -> SqlError {
    let message = format!("\"{}\" is not a table or materialized view", name.name);
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}
