//! The user's functions: a call is expanded to the body of the function, in which parameters stand for the arguments.
//!
//! ```text
//!   CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a * a'
//!   SELECT f(x) FROM t          → SELECT x * x FROM t
//!   SELECT f(random()::int)     → WITH p AS MATERIALIZED (SELECT random()::int) SELECT p.c1 * p.c1 FROM p
//! ```
//!
//! A body without FROM and the like is an expression, and takes the place of the call. Any other is a subquery: its first row for
//! a function of one value, all of them for a set in `FROM`, and in a select list `unnest(ARRAY(body))`. PostgreSQL inlines
//! functions likewise, and says the same of them when it does not.
//!
//! # Map
//! - here: what a call becomes, and the parameters that a body names.
//! - `arguments`: what each parameter stands for; `body`: the body as a query; `rows`: calls that yield rows.
//! - `check`: a body, as its function is made.
//!
//! # Invariants
//! 1. An argument is computed once however often the body reads it, unless computing it again can change nothing: a volatile one, or
//!    one that costs something, becomes a value of its own ([`Node::Let`], or a materialized CTE where the body is a query).
//! 2. Names in the body are the body's own first, then parameters; nothing of the query around the call is seen.
//!
//! # Bounds
//! [`FUNCTION_DEPTH_MAX`] calls within bodies; more are refused with 54001, a function that comes to call itself with 0A000.
//!
//! # Sources
//! PostgreSQL 15 `clauses.c` (`inline_function`), `functions.c` (`check_sql_fn_retval`), manual `xfunc-sql`.

mod arguments;
mod body;
mod check;
mod rows;

use sqlparser::ast;

use super::binder::Binder;
use super::effects::BodyStatement;
use super::query::plain_query;
use super::resolve::ResolvedFunction;
use super::tree::{At, Body, Distinct, Expr, Let, Node, OutputColumn, Query, Select};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::{self, ParsedStatement};
use crate::schema::Function;
use arguments::{Arguments, guarded, is_null_call, void_after};

pub use check::check_function;
pub(crate) use rows::TableQuery;

/// Deepest nesting of calls in bodies of functions.
const FUNCTION_DEPTH_MAX: usize = 16;

/// A function whose body is being bound.
pub(crate) struct Frame {
    /// OID of the function.
    function: Oid,
    /// Its name, which may qualify its parameters.
    name: String,
    /// Its input parameters: name, which may be empty, and value.
    parameters: Vec<(String, Expr)>,
}

impl Frame {
    /// The frame of a function whose parameters have these values.
    fn of(function: &Function, values: &[Expr]) -> Self {
        let names = function.inputs().map(|it| it.name.clone());
        let parameters = names.zip(values.iter().cloned()).collect();
        Self { function: function.oid, name: function.name.clone(), parameters }
    }

    /// The value of a parameter by its name.
    fn named(&self, name: &str) -> Option<&Expr> {
        let found = self.parameters.iter().find(|(it, _)| !it.is_empty() && it == name);
        found.map(|(_, value)| value)
    }
}

/// What the last statement of a body must yield.
#[derive(Clone, Debug)]
enum Shape {
    /// Nothing.
    Void,
    /// One column of this type.
    Value(Oid),
    /// A row of these columns, which is of the type.
    Row(Vec<(String, Oid, i32)>, Oid),
    /// Any row.
    Record,
}

impl<'a> Binder<'a> {
    /// The parameter of the function whose body is being bound, by name.
    pub(crate) fn frame_parameter(&self, name: &str, at: At) -> Option<Expr> {
        self.frames.last()?.named(name).map(|value| value.clone().at(at))
    }

    /// The parameter `$n` of the function whose body is being bound.
    ///
    /// # Errors
    /// 42P02 where it has no such. `None` outside of functions.
    pub(crate) fn numbered_parameter(&self, text: &str, at: At) -> Option<Result<Expr, SqlError>> {
        let frame = self.frames.last()?;
        let number = text.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let index = number.and_then(|number| number.checked_sub(1));
        let found = index.and_then(|index| frame.parameters.get(index));
        Some(found.map(|(_, value)| value.clone().at(at)).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {text}"))
                .at(at.position())
        }))
    }

    /// A parameter named with the function's name before it, or a field of one: `f.a`, `a.x`, `f.a.x`.
    pub(crate) fn qualified_parameter(
        &mut self,
        names: &[String],
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let Some(frame) = self.frames.last() else { return Ok(None) };
        let (value, fields) = match names {
            [function, name, rest @ ..]
                if *function == frame.name && frame.named(name).is_some() =>
            {
                (frame.named(name), rest)
            }
            [name, rest @ ..] => (frame.named(name), rest),
            [] => (None, names),
        };
        let Some(value) = value else { return Ok(None) };
        let mut value = value.clone().at(at);
        for field in fields {
            let field = ast::Expr::Identifier(ast::Ident::with_quote('"', field));
            value = self.field(value, &field)?;
        }
        Ok(Some(value))
    }

    /// A call of a user's function.
    ///
    /// # Errors
    /// What binding its body reports, and 0A000 where a query cannot stand.
    pub(crate) fn user_call(
        &mut self,
        function: &'a Function,
        resolved: &ResolvedFunction<'a>,
        arguments: Vec<Expr>,
        in_from: bool,
        at: At,
    ) -> Result<Expr, SqlError> {
        if self.frames.iter().any(|frame| frame.function == function.oid) {
            let message = format!("a call of function \"{}\" in its own body", function.name);
            return Err(SqlError::unsupported(message).at(at.position()));
        }
        if self.frames.len() >= FUNCTION_DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        if self.frames.is_empty() {
            self.called.insert(function.oid);
        }
        let shape = self.shape(resolved.result, &resolved.columns);
        let is_row = matches!(shape, Shape::Row(..) | Shape::Record);
        let in_rows_from = std::mem::take(&mut self.in_rows_from) && in_from;
        let value = if in_rows_from && function.returns_set {
            if self.types.sub_element(shape.type_oid()).is_some() {
                return Err(SqlError::unsupported("a function of sets of arrays in ROWS FROM"));
            }
            let rows = self.array_of_rows(function, &shape, arguments, at)?;
            self.call_in_from("unnest", vec![rows], at)?
        } else if in_from && (function.returns_set || is_row) {
            let table = self.table_query(function, &shape, arguments)?;
            self.table_function_query = Some(table);
            Expr::null_of(resolved.result)
        } else if function.returns_set {
            self.set_in_list(function, &shape, arguments, at)?
        } else {
            if in_from && let [(name, type_oid)] = &resolved.columns[..] {
                self.table_function_columns = vec![((*name).to_owned(), *type_oid)];
            }
            self.value_of(function, &shape, arguments)?
        };
        Ok(value.at(at))
    }

    fn shape(&self, result: Oid, columns: &[(&str, Oid)]) -> Shape {
        if result == Oid::VOID {
            return Shape::Void;
        }
        if result == Oid::RECORD {
            if columns.is_empty() {
                return Shape::Record;
            }
            let named = columns.iter().zip(1..).map(|((name, oid), number)| {
                let name =
                    if name.is_empty() { format!("column{number}") } else { (*name).to_owned() };
                (name, *oid, -1)
            });
            return Shape::Row(named.collect(), Oid::RECORD);
        }
        match self.row_type_columns(result) {
            Some(fields) => Shape::Row(fields, result),
            None => Shape::Value(result),
        }
    }

    /// A function of one value, where expressions stand.
    fn value_of(
        &mut self,
        function: &Function,
        shape: &Shape,
        arguments: Vec<Expr>,
    ) -> Result<Expr, SqlError> {
        let type_oid = shape.type_oid();
        if is_null_call(function, &arguments) {
            return Ok(Expr::null_of(type_oid));
        }
        let statements = statements(function)?;
        if statements.is_empty() {
            return Ok(Expr::null_of(type_oid));
        }
        let bare = is_bare_body(&statements);
        let mut arguments = self.arguments(function, arguments, bare);
        let bound = self.function_body(function, &mut arguments, &statements, shape)?;
        let inside = |expr: &Expr| expr.any(&mut |it| matches!(it.node, Node::Aggregate(_)));
        let windows = !arguments.values.iter().any(inside);
        let Arguments { values, given, cte } = arguments;
        match items_of(&bound).filter(|items| bare && !(windows && items.iter().any(inside))) {
            Some(items) => {
                let value = self.value_of_items(items.to_vec(), shape)?;
                let value = guarded(function, value, &values);
                Ok(given.into_iter().rev().fold(value, |body, (relation, value)| {
                    let (type_oid, typmod, at) = (body.type_oid, body.typmod, body.at);
                    let node = Node::Let(Box::new(Let { relation, value, body }));
                    Expr { node, type_oid, typmod, at }
                }))
            }
            None => {
                self.refuse_query(function)?;
                let value = self.first_row(bound, shape)?;
                let value = guarded(function, value, &values);
                let Some(cte) = cte else { return Ok(value) };
                let (type_oid, typmod) = (value.type_oid, value.typmod);
                let column = self.output_column(&value, String::new());
                let select = Box::new(Select::of(vec![value], Vec::new()));
                let query =
                    Query { ctes: vec![cte], ..plain_query(Body::Select(select), vec![column]) };
                Ok(Expr { node: Node::Subquery(Box::new(query)), type_oid, typmod, at: At(0) })
            }
        }
    }

    /// 0A000 for a query where SQLite admits none: in conditions and indexes of tables.
    fn refuse_query(&self, function: &Function) -> Result<(), SqlError> {
        if !self.queryless {
            return Ok(());
        }
        let what =
            format!("function \"{}\", whose body is a query, in an expression", function.name);
        Err(SqlError::unsupported(format!("{what} of a table")))
    }

    /// The value that the outputs of a body without FROM make.
    fn value_of_items(&mut self, items: Vec<Expr>, shape: &Shape) -> Result<Expr, SqlError> {
        Ok(match shape {
            Shape::Void => void_after(items),
            Shape::Value(_) => items.into_iter().next().unwrap_or_else(Expr::null),
            Shape::Row(_, Oid::RECORD) => {
                let columns = shape.output_columns();
                let query =
                    plain_query(Body::Select(Box::new(Select::of(items, Vec::new()))), columns);
                self.refuse_row_query()?;
                self.row_of(query, shape)?
            }
            Shape::Row(_, type_oid) => {
                let base = self.types.base(*type_oid);
                let row = Expr::new(Node::Composite(items), base);
                if base == *type_oid { row } else { self.check_domain(row, *type_oid)? }
            }
            Shape::Record => Expr::new(Node::Row(items), Oid::RECORD),
        })
    }

    fn refuse_row_query(&self) -> Result<(), SqlError> {
        if self.queryless {
            return Err(SqlError::unsupported("a function of several columns here"));
        }
        Ok(())
    }
}

impl Shape {
    fn type_oid(&self) -> Oid {
        match self {
            Self::Void => Oid::VOID,
            Self::Value(type_oid) | Self::Row(_, type_oid) => *type_oid,
            Self::Record => Oid::RECORD,
        }
    }

    /// The columns of a row.
    fn output_columns(&self) -> Vec<OutputColumn> {
        let Self::Row(columns, _) = self else { return Vec::new() };
        let columns = columns.iter().map(|(name, type_oid, typmod)| OutputColumn {
            name: name.clone(),
            type_oid: *type_oid,
            typmod: *typmod,
            origin: None,
            not_null: false,
        });
        columns.collect()
    }
}

/// The statements of a body.
fn statements(function: &Function) -> Result<Vec<ParsedStatement>, SqlError> {
    parse::split(&function.body)
}

/// Whether a body is one SELECT of nothing but expressions.
fn is_bare_body(statements: &[ParsedStatement]) -> bool {
    let [only] = statements else { return false };
    matches!(BodyStatement::of(only), Ok(BodyStatement::Query(query)) if is_bare(query))
}

/// Whether a body is nothing but expressions: a SELECT without any clause.
fn is_bare(query: &ast::Query) -> bool {
    let ast::SetExpr::Select(select) = &*query.body else { return false };
    query.with.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && matches!(&select.group_by, ast::GroupByExpr::Expressions(keys, _) if keys.is_empty())
}

/// The outputs of a query that is nothing else.
fn items_of(query: &Query) -> Option<&[Expr]> {
    let Body::Select(select) = &query.body else { return None };
    let plain = query.ctes.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && select.from.is_empty()
        && select.filter.is_none()
        && select.having.is_none()
        && !select.grouped
        && select.group_by.is_empty()
        && select.distinct == Distinct::No;
    plain.then_some(&select.items)
}
