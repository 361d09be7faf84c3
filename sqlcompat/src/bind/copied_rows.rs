//! `COPY … FROM … WHERE`: the rows that come in, with their defaults, and which of them are inserted.
//!
//! ```text
//!   COPY t (a) FROM stdin WHERE a > b     ──>     INSERT INTO t (a, b) SELECT c1, c2 FROM (SELECT $1 AS c1, 7 AS c2) WHERE c1 > c2
//! ```
//!
//! Source: PostgreSQL 15 manual, `sql-copy` (WHERE); `DoCopy`.

use sqlparser::ast::Statement;

use super::binder::Binder;
use super::context::BindContext;
use super::insert::{Rows, Values};
use super::modification::{self, Change};
use super::query::plain_query;
use super::scope::{CallRules, Scope};
use super::target::Target;
use super::tree::{
    At, Body, ColumnSql, Expr, OutputColumn, Relation, RelationColumn, RelationId, Select, Source,
};
use crate::error::{SqlError, SqlState};
use crate::parse::{self, StatementAst};
use crate::plan::Plan;

/// What errors call the condition.
const CONDITIONS: &str = "COPY FROM WHERE conditions";

/// Plans the `INSERT` that a `COPY … FROM` is, of the rows that meet a condition; `place` is where that stands, in characters from 1.
///
/// # Errors
/// What binding reports; 42P10 for generated columns, 0A000 for queries in the condition.
pub fn plan_filtered_insert<'a>(
    insert: &'a str,
    condition: &'a str,
    place: u32,
    cx: &'a BindContext<'a>,
) -> Result<Plan, SqlError> {
    let statement = parse::split(insert)?.into_iter().next().map(|it| it.ast);
    let Some(StatementAst::Sql(statement)) = statement else {
        return Err(SqlError::unsupported("COPY into this relation"));
    };
    let Statement::Insert(ast) = *statement else {
        return Err(SqlError::unsupported("COPY into this relation"));
    };
    let mut binder = Binder::new(cx, insert);
    let mut bound = binder.insert(&ast)?;
    if let Change::Insert(rows, _) = &mut bound.change {
        let target = bound.target;
        let shifted = |error| parse::split::shift(error, place.saturating_sub(1));
        let filtered = binder.copied_rows(target, rows, condition).map_err(shifted)?;
        rows.source = Values::Query(Box::new(filtered));
    }
    modification::plan_bound(binder, &bound)
}

impl<'a> Binder<'a> {
    /// The query of the copied row, under the condition.
    fn copied_rows(
        &mut self,
        target: Target<'a>,
        rows: &Rows<'a>,
        condition: &'a str,
    ) -> Result<super::tree::Query, SqlError> {
        let row = self.copied_row(rows);
        let names = self.row_names(target, rows, row);
        let filter = self.copy_condition(names, condition)?;
        let indexes = (0u16..).take(rows.columns.len());
        let items = indexes.map(|index| self.column(row, index, At(0))).collect();
        let select = Select { filter: Some(filter), ..Select::over(row, items) };
        Ok(plain_query(Body::Select(Box::new(select)), Vec::new()))
    }

    /// The copied row as a relation.
    fn copied_row(&mut self, rows: &Rows<'a>) -> RelationId {
        let column = |(column, value): (&&crate::schema::Column, &Expr)| OutputColumn {
            name: column.name.clone(),
            type_oid: value.type_oid,
            typmod: value.typmod,
            origin: None,
            not_null: false,
        };
        let items = rows.only_row().to_vec();
        let columns = rows.columns.iter().zip(&items).map(column).collect();
        let select = Select::of(items, Vec::new());
        let query = plain_query(Body::Select(Box::new(select)), columns);
        self.add_subquery(query)
    }

    /// The names that the condition may use: the table's columns, which are NULL where the row has no value for them.
    fn row_names(&mut self, target: Target<'a>, rows: &Rows<'a>, row: RelationId) -> RelationId {
        let given = self.relations.get(row).clone();
        let table = target.table;
        let columns = table.columns.iter().map(|column| {
            let place = rows.columns.iter().position(|it| it.attnum == column.attnum);
            RelationColumn {
                name: column.name.clone(),
                sql: match place {
                    Some(index) => given.columns[index].sql.clone(),
                    None => ColumnSql::Constant("NULL".to_owned()),
                },
                type_oid: column.type_oid,
                typmod: column.typmod,
                origin: Some((table.oid, column.attnum)),
                not_null: false,
                system: false,
            }
        });
        let columns = columns.collect();
        self.relations.add(Relation {
            alias: table.name.clone(),
            qualifier: given.qualifier,
            columns,
            source: Source::Given,
            optional: false,
        })
    }

    fn copy_condition(&mut self, row: RelationId, text: &'a str) -> Result<Expr, SqlError> {
        let ast = parse::expression(text)?;
        let scopes = std::mem::replace(&mut self.scopes, vec![Scope::default()]);
        let names = self.names_of(row, None);
        let bound = self.add_names(names).and_then(|()| {
            self.scope().calls = CallRules {
                no_aggregates: Some(CONDITIONS),
                no_windows: Some(CONDITIONS),
                no_sets: Some(CONDITIONS),
                ..CallRules::default()
            };
            self.in_text(text, |binder| {
                let condition = binder.expr(&ast)?;
                binder.boolean(condition, "WHERE")
            })
        });
        self.scopes = scopes;
        let bound = bound?;
        if let Some(at) = first_query(&bound) {
            let message = "cannot use subquery in COPY FROM WHERE condition";
            let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
            return Err(error.at(at.position()));
        }
        self.refuse_generated(row, &bound)?;
        Ok(bound)
    }

    /// Generated columns have no value yet when the condition is asked.
    fn refuse_generated(&self, row: RelationId, condition: &Expr) -> Result<(), SqlError> {
        let mut generated = None;
        condition.visit_columns(&self.relations, &mut |relation, index| {
            let Some(index) = index.filter(|_| relation == row) else { return };
            let column = &self.relations.get(row).columns[usize::from(index)];
            let (oid, attnum) = column.origin.unwrap_or_default();
            let found = self.cx.catalog.tables.get(&oid).and_then(|table| table.column(attnum));
            if found.is_some_and(|it| !it.generation.is_written()) {
                generated.get_or_insert_with(|| column.name.clone());
            }
        });
        let Some(name) = generated else { return Ok(()) };
        let message = "generated columns are not supported in COPY FROM WHERE conditions";
        Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
            .with_detail(format!("Column \"{name}\" is a generated column.")))
    }
}

/// Where the first query inside an expression stands.
fn first_query(expr: &Expr) -> Option<At> {
    match expr.query() {
        Some(_) => Some(expr.at),
        None => expr.children().into_iter().find_map(first_query),
    }
}
