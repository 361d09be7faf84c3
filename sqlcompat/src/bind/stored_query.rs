//! Relations that are queries: views, and sequences read as a table.

use sqlparser::ast;

use super::binder::Binder;
use super::from::output_columns;
use super::tree::{ColumnSql, Relation, RelationColumn, Source};
use crate::error::{SqlError, SqlState};
use crate::lower::quote_identifier;
use crate::oid::Oid;
use crate::parse;
use crate::schema;

/// Deepest nesting of views in views.
const VIEW_DEPTH_MAX: usize = 32;

impl Binder<'_> {
    /// A view is its query.
    pub(super) fn view(&mut self, view: &schema::View) -> Result<Relation, SqlError> {
        if let Some(table) = &view.materialized_in {
            let columns = view.columns.iter().map(|(name, type_oid, typmod)| RelationColumn {
                name: name.clone(),
                sql: ColumnSql::Name(name.clone()),
                type_oid: *type_oid,
                typmod: *typmod,
                origin: None,
                not_null: false,
                system: false,
            });
            return Ok(Relation {
                alias: view.name.clone(),
                qualifier: String::new(),
                columns: columns.collect(),
                source: Source::Table(quote_identifier(table), view.oid),
                optional: false,
            });
        }
        self.stored_query(&view.name, view.oid, &view.query, &view.columns)
    }

    /// A sequence shows its one row: the value given out last, or the first one to come.
    pub(super) fn sequence(&mut self, sequence: &schema::Sequence) -> Result<Relation, SqlError> {
        let last =
            format!("pg_catalog.pg_sequence_last_value({}::pg_catalog.regclass)", sequence.oid.0);
        let text = format!(
            "SELECT coalesce({last}, ({})::pg_catalog.int8), 0::pg_catalog.int8, {last} IS NOT NULL",
            sequence.start
        );
        let columns = [("last_value", Oid::INT8), ("log_cnt", Oid::INT8), ("is_called", Oid::BOOL)]
            .map(|(name, type_oid)| (name.to_owned(), type_oid, -1));
        self.stored_query(&sequence.name, sequence.oid, &text, &columns)
    }

    /// Binds the text of a query that stands for a relation.
    fn stored_query(
        &mut self,
        name: &str,
        oid: Oid,
        text: &str,
        columns: &[(String, Oid, i32)],
    ) -> Result<Relation, SqlError> {
        if self.view_depth >= VIEW_DEPTH_MAX {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("infinite recursion detected in rules for relation \"{name}\""),
            ));
        }
        let statement = parse::split(text)?.into_iter().next();
        let Some(parse::StatementAst::Sql(ast)) = statement.map(|it| it.ast) else {
            return Err(invalid_view(name));
        };
        let ast::Statement::Query(query) = *ast else {
            return Err(invalid_view(name));
        };
        let scopes = std::mem::take(&mut self.scopes);
        let ctes = std::mem::take(&mut self.ctes);
        self.view_depth += 1;
        let bound = self.in_other_text(|binder| binder.subquery(&query));
        self.view_depth -= 1;
        self.scopes = scopes;
        self.ctes = ctes;
        let bound = bound?;
        let mut shown = output_columns(&bound.columns);
        for ((attnum, column), (name, ..)) in (1i16..).zip(&mut shown).zip(columns) {
            column.name.clone_from(name);
            column.origin = Some((oid, attnum));
        }
        Ok(Relation {
            alias: name.to_owned(),
            qualifier: String::new(),
            columns: shown,
            source: Source::Query(Box::new(bound)),
            optional: false,
        })
    }
}

fn invalid_view(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INTERNAL_ERROR,
        format!("the definition of view \"{name}\" is no query"),
    )
}
