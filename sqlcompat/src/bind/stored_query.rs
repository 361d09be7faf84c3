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
            return Ok(self.materialized(view, table));
        }
        self.stored_query(&view.name, view.oid, &view.query, &view.columns)
    }

    /// A materialized view is the rows of its last refresh.
    fn materialized(&mut self, view: &schema::View, table: &str) -> Relation {
        if view.generation.is_none() {
            self.unpopulated.get_or_insert_with(|| view.name.clone());
        }
        let columns = (1i16..).zip(&view.columns);
        let columns = columns.map(|(attnum, (name, type_oid, typmod))| RelationColumn {
            name: name.clone(),
            sql: ColumnSql::Name(schema::physical::column_name(name)),
            type_oid: *type_oid,
            typmod: *typmod,
            origin: Some((view.oid, attnum)),
            not_null: false,
            system: false,
        });
        let rows = format!(
            "(SELECT * FROM {} WHERE {} = {})",
            quote_identifier(table),
            quote_identifier(schema::physical::GENERATION),
            view.generation.unwrap_or_default()
        );
        Relation {
            alias: view.name.clone(),
            qualifier: String::new(),
            columns: columns.collect(),
            source: Source::Table(rows, view.oid),
            optional: false,
        }
    }

    /// Refuses to read a materialized view that has no rows yet.
    ///
    /// # Errors
    /// 55000.
    pub(crate) fn refuse_unpopulated(&self) -> Result<(), SqlError> {
        self.unpopulated.as_deref().map_or(Ok(()), |name| Err(unpopulated(name)))
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
        let within = self.cx.catalog.views.get(&oid);
        self.view_depth += 1;
        let bound = self.in_stored_text(within, |binder| binder.subquery(&query));
        self.view_depth -= 1;
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

/// PostgreSQL's refusal of a materialized view that has no rows yet.
pub(crate) fn unpopulated(name: &str) -> SqlError {
    let message = format!("materialized view \"{name}\" has not been populated");
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_hint("Use the REFRESH MATERIALIZED VIEW command.")
}

fn invalid_view(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INTERNAL_ERROR,
        format!("the definition of view \"{name}\" is no query"),
    )
}
