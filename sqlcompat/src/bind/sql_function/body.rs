//! The body of a function as a query, and what it must yield.

use super::super::binder::Binder;
use super::super::effects::{BodyStatement, Effect};
use super::super::from::output_columns;
use super::super::query::plain_query;
use super::super::tree::{
    At, Body, Expr, Node, OutputColumn, Query, Relation, RelationId, Select, Source,
};
use super::arguments::Arguments;
use super::{Frame, Shape, items_of};
use crate::builtin::CastContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::ParsedStatement;
use crate::schema::Function;

impl Binder<'_> {
    /// Binds the body of a function, and makes its columns those that the function returns.
    pub(super) fn function_body(
        &mut self,
        function: &Function,
        arguments: &mut Arguments,
        statements: &[ParsedStatement],
        shape: &Shape,
    ) -> Result<Query, SqlError> {
        let bodies = statements.iter().map(BodyStatement::of).collect::<Result<Vec<_>, _>>()?;
        let writes = bodies.iter().any(|it| matches!(it, BodyStatement::Modification(_)));
        if writes || self.admits_effects && bodies.len() > 1 {
            self.prepare_effects(function, arguments, writes)?;
        }
        self.frames.push(Frame::of(function, &arguments.values));
        // What the view around is said to read is none of the function's.
        let noted = self.noted.take();
        let bound = self.in_stored_text(None, |it| it.statements(function, &bodies, shape));
        self.noted = noted;
        self.frames.pop();
        bound.map_err(|error| {
            if error.context.is_some() {
                return error;
            }
            let name = &function.name;
            SqlError { position: None, ..error }
                .with_context(format!("SQL function \"{name}\" during startup"))
        })
    }

    /// Arguments of a body that has effects are computed before all of them.
    fn prepare_effects(
        &mut self,
        function: &Function,
        arguments: &mut Arguments,
        writes: bool,
    ) -> Result<(), SqlError> {
        let computed = arguments.cte.iter().filter_map(|cte| items_of(&cte.query)).flatten();
        let of_rows = |it: &Expr| {
            matches!(it.node, Node::Column(..) | Node::WholeRow(_) | Node::Aggregate(_))
        };
        if arguments.values.iter().chain(computed).any(|it| it.any(&mut |it| of_rows(it))) {
            let what = format!("a call of function \"{}\" for each of several rows", function.name);
            return Err(SqlError::unsupported(what));
        }
        let value = |it: &Expr| matches!(&it.node, Node::Literal(it) if *it != Datum::Null);
        if writes && function.strict && !arguments.values.iter().all(value) {
            let what =
                format!("a call of function \"{}\", which is STRICT and writes", function.name);
            return Err(SqlError::unsupported(format!(
                "{what}, with other arguments than literals"
            )));
        }
        if let Some(cte) = arguments.cte.take_if(|_| self.admits_effects) {
            self.effects.push(Effect::Arguments(Box::new(cte)));
        }
        Ok(())
    }

    /// The statements of a body: what the last one yields.
    pub(super) fn statements(
        &mut self,
        function: &Function,
        statements: &[BodyStatement<'_>],
        shape: &Shape,
    ) -> Result<Query, SqlError> {
        let Some((last, before)) = statements.split_last() else {
            let message = format!("the body of function \"{}\" is no query", function.name);
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
        };
        for statement in before {
            self.effect(function, statement)?;
        }
        let bound = match last {
            BodyStatement::Query(query) => self.without_effects(|binder| binder.subquery(query))?,
            BodyStatement::Modification(statement) => {
                match self.modifying_statement(function, statement)? {
                    Some((sql_name, columns)) => self.rows_of_cte(&sql_name, &columns),
                    None if matches!(shape, Shape::Void) => nothing(),
                    None => return Err(self.no_result(shape.type_oid())),
                }
            }
        };
        self.fit_result(bound, shape)
    }

    /// All rows of a CTE.
    fn rows_of_cte(&mut self, sql_name: &str, columns: &[OutputColumn]) -> Query {
        let id = self.relation_of_cte(sql_name, columns);
        let items = (0u16..).zip(columns).map(|(index, _)| self.column(id, index, At(0)));
        let select = Box::new(Select::over(id, items.collect()));
        plain_query(Body::Select(select), columns.to_vec())
    }

    pub(super) fn relation_of_cte(
        &mut self,
        sql_name: &str,
        columns: &[OutputColumn],
    ) -> RelationId {
        let qualifier = self.fresh_qualifier();
        self.relations.add(Relation {
            alias: String::new(),
            qualifier,
            columns: output_columns(columns),
            source: Source::Cte(sql_name.to_owned()),
            optional: false,
        })
    }

    /// Makes the columns of a body's last query those of the function's result.
    ///
    /// # Errors
    /// 42P13, as PostgreSQL's `check_sql_fn_retval` words it.
    fn fit_result(&mut self, mut query: Query, shape: &Shape) -> Result<Query, SqlError> {
        match shape {
            Shape::Void => Ok(query),
            Shape::Record => {
                self.settle_unknown(&mut query)?;
                Ok(query)
            }
            Shape::Value(type_oid) => {
                if query.columns.len() != 1 {
                    let detail = "Final statement must return exactly one column.";
                    return Err(self.mismatch(*type_oid, detail.to_owned()));
                }
                let found = query.columns[0].type_oid;
                let context = CastContext::Assignment;
                let fitted = self.coerce_output(&mut query, 0, *type_oid, -1, context);
                fitted.map_err(|error| {
                    if !is_cast_error(&error) {
                        return error;
                    }
                    let found = self.types.format(found);
                    self.mismatch(*type_oid, format!("Actual return type is {found}."))
                })?;
                Ok(query)
            }
            Shape::Row(columns, type_oid) => self.fit_row(query, columns, *type_oid),
        }
    }

    pub(super) fn fit_row(
        &mut self,
        mut query: Query,
        columns: &[(String, Oid, i32)],
        type_oid: Oid,
    ) -> Result<Query, SqlError> {
        if let [only] = &query.columns[..]
            && only.type_oid != Oid::RECORD
            && self.types.base(only.type_oid) == self.types.base(type_oid)
        {
            return Ok(self.fields_of_rows(query, columns));
        }
        if query.columns.len() != columns.len() {
            let few = query.columns.len() < columns.len();
            let detail = format!(
                "Final statement returns too {} columns.",
                if few { "few" } else { "many" }
            );
            return Err(self.mismatch(type_oid, detail));
        }
        for (index, (_, wanted, typmod)) in columns.iter().enumerate() {
            let found = query.columns[index].type_oid;
            let context = CastContext::Assignment;
            let fitted = self.coerce_output(&mut query, index, *wanted, *typmod, context);
            fitted.map_err(|error| {
                if !is_cast_error(&error) {
                    return error;
                }
                let (found, wanted) = (self.types.format(found), self.types.format(*wanted));
                let number = index + 1;
                let detail = format!(
                    "Final statement returns {found} instead of {wanted} at column {number}."
                );
                self.mismatch(type_oid, detail)
            })?;
        }
        for (column, (name, ..)) in query.columns.iter_mut().zip(columns) {
            column.name.clone_from(name);
            column.origin = None;
        }
        Ok(query)
    }

    /// A query of rows of a type as one of their fields.
    fn fields_of_rows(&mut self, query: Query, columns: &[(String, Oid, i32)]) -> Query {
        let id = self.add_subquery(query);
        let row = self.column(id, 0, At(0));
        let fields = (0u16..).zip(columns).map(|(index, (_, type_oid, typmod))| Expr {
            node: Node::Field(Box::new(row.clone()), index),
            type_oid: *type_oid,
            typmod: *typmod,
            at: At(0),
        });
        let items: Vec<Expr> = fields.collect();
        let named = items.iter().zip(columns);
        let shown = named.map(|(item, (name, ..))| self.output_column(item, name.clone()));
        let shown = shown.collect();
        let select = Box::new(Select::over(id, items));
        plain_query(Body::Select(select), shown)
    }

    /// 42P13: a body does not return what it should, for its last statement returns nothing.
    pub(super) fn no_result(&self, type_oid: Oid) -> SqlError {
        let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
        self.mismatch(type_oid, detail.to_owned())
    }

    fn mismatch(&self, type_oid: Oid, detail: String) -> SqlError {
        let name = self.types.format(type_oid);
        let message = format!("return type mismatch in function declared to return {name}");
        SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).with_detail(detail)
    }
}

/// A query without columns and rows of a body that returns nothing.
pub(super) fn nothing() -> Query {
    plain_query(Body::Select(Box::new(Select::of(Vec::new(), Vec::new()))), Vec::new())
}

fn is_cast_error(error: &SqlError) -> bool {
    matches!(error.state, SqlState::DATATYPE_MISMATCH | SqlState::CANNOT_COERCE)
}
