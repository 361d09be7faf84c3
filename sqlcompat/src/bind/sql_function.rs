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

use sqlparser::ast;

use super::binder::Binder;
use super::effects::{BodyStatement, Effect};
use super::from::{output_columns, subquery_columns};
use super::query::plain_query;
use super::resolve::ResolvedFunction;
use super::tree::{
    At, Body, Cte, Distinct, Expr, FromItem, Let, Negated, Node, OutputColumn, Query, Relation,
    RelationId, Select, Source, Window,
};
use crate::builtin::CastContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::{self, ParsedStatement, StatementAst};
use crate::schema::Function;

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
    /// The value of a parameter by its name.
    fn named(&self, name: &str) -> Option<&Expr> {
        let found = self.parameters.iter().find(|(it, _)| !it.is_empty() && it == name);
        found.map(|(_, value)| value)
    }
}

/// What a function in `FROM` yields rows by.
pub(crate) struct TableQuery {
    /// The rows.
    query: Query,
    /// Names of the columns; none where the alias, or the function, names the only one.
    names: Vec<String>,
    /// One row in any case.
    one_row: bool,
    /// The columns are what a column definition list says.
    defined: bool,
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

/// The arguments of a call, and those of them that have become values of their own.
struct Arguments {
    /// What each parameter stands for.
    values: Vec<Expr>,
    /// Those that a [`Node::Let`] around the expression gives.
    given: Vec<(RelationId, Expr)>,
    /// Those that a CTE of the query gives.
    cte: Option<Cte>,
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
            let table = TableQuery { one_row: !function.returns_set, ..table };
            self.table_function_query = Some(table);
            Expr::new(Node::Literal(Datum::Null), resolved.result)
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
            return Ok(Expr::new(Node::Literal(Datum::Null), type_oid));
        }
        let statements = statements(function)?;
        if statements.is_empty() {
            return Ok(Expr::new(Node::Literal(Datum::Null), type_oid));
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
                let select = plain_select(vec![value], Vec::new());
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
                let query = plain_query(Body::Select(plain_select(items, Vec::new())), columns);
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

    /// The first row of a query as a value.
    fn first_row(&mut self, query: Query, shape: &Shape) -> Result<Expr, SqlError> {
        match shape {
            Shape::Row(..) | Shape::Record => return self.row_of(query, shape),
            Shape::Void | Shape::Value(_) => {}
        }
        let first = self.limited(query);
        let Some(column) = first.columns.first() else {
            return Ok(Expr::new(Node::Literal(Datum::Null), shape.type_oid()));
        };
        let (type_oid, typmod) = (column.type_oid, column.typmod);
        let node = Node::Subquery(Box::new(first));
        let value = Expr { node, type_oid, typmod, at: At(0) };
        Ok(if let Shape::Void = shape { void_after(vec![value]) } else { value })
    }

    /// The first row of a query of several columns, as one value.
    fn row_of(&mut self, query: Query, shape: &Shape) -> Result<Expr, SqlError> {
        let rows = self.rows_of(query, shape)?;
        let first = self.limited(rows);
        let type_oid = first.columns.first().map_or(Oid::RECORD, |it| it.type_oid);
        Ok(Expr::new(Node::Subquery(Box::new(first)), type_oid))
    }

    /// A query of several columns as one of whole rows.
    fn rows_of(&mut self, query: Query, shape: &Shape) -> Result<Query, SqlError> {
        let id = self.add_subquery(query);
        let item = match shape {
            Shape::Row(_, type_oid) if *type_oid != Oid::RECORD => {
                let fields = self.whole_row_fields(id, At(0));
                let base = self.types.base(*type_oid);
                let row = Expr::new(Node::Composite(fields), base);
                if base == *type_oid { row } else { self.check_domain(row, *type_oid)? }
            }
            Shape::Row(..) | Shape::Record | Shape::Void | Shape::Value(_) => {
                Expr::new(Node::WholeRow(id), Oid::RECORD)
            }
        };
        let column = self.output_column(&item, String::new());
        let select = plain_select(vec![item], vec![FromItem::Relation(id)]);
        Ok(plain_query(Body::Select(select), vec![column]))
    }

    /// A query's first row alone.
    fn limited(&mut self, query: Query) -> Query {
        if query.yields_one_row() {
            return query;
        }
        if query.limit.is_none() && !query.with_ties {
            return Query { limit: Some(Expr::int4(1)), ..query };
        }
        let query = self.wrapped(query, Vec::new());
        Query { limit: Some(Expr::int4(1)), ..query }
    }

    /// The same rows of another query around it, of which those are left that meet all conditions.
    fn wrapped(&mut self, query: Query, conditions: Vec<Expr>) -> Query {
        let columns = query.columns.clone();
        let id = self.add_subquery(query);
        let items = (0u16..).zip(&columns).map(|(index, _)| self.column(id, index, At(0)));
        let mut select = plain_select(items.collect(), vec![FromItem::Relation(id)]);
        select.filter = all_of(conditions);
        plain_query(Body::Select(select), columns)
    }

    /// The rows of a function, with its arguments.
    fn rows(
        &mut self,
        function: &Function,
        shape: &Shape,
        arguments: Vec<Expr>,
    ) -> Result<Query, SqlError> {
        self.refuse_query(function)?;
        let statements = statements(function)?;
        let mut arguments = self.arguments(function, arguments, false);
        let mut bound = self.function_body(function, &mut arguments, &statements, shape)?;
        if function.strict {
            let conditions = arguments.values.iter().filter(|it| !is_known(it)).cloned();
            let mut conditions: Vec<Expr> =
                conditions.map(|it| is_null(it, Negated::Yes)).collect();
            if is_null_call(function, &arguments.values) {
                conditions = vec![Expr::boolean(false)];
            }
            if !conditions.is_empty() {
                bound = self.wrapped(bound, conditions);
            }
        }
        if let Some(cte) = arguments.cte {
            bound.ctes.insert(0, cte);
        }
        Ok(bound)
    }

    /// A function in `FROM` that yields rows.
    fn table_query(
        &mut self,
        function: &Function,
        shape: &Shape,
        arguments: Vec<Expr>,
    ) -> Result<TableQuery, SqlError> {
        let query = self.rows(function, shape, arguments)?;
        let names = match shape {
            Shape::Row(columns, _) => columns.iter().map(|(name, ..)| name.clone()).collect(),
            Shape::Void | Shape::Value(_) => {
                let mut named = function.out_columns().filter(|(name, _)| !name.is_empty());
                named.next().map(|(name, _)| vec![name.to_owned()]).unwrap_or_default()
            }
            Shape::Record => Vec::new(),
        };
        let defined = matches!(shape, Shape::Record);
        Ok(TableQuery { query, names, one_row: false, defined })
    }

    /// A set in a select list: the elements of an array of its rows.
    fn set_in_list(
        &mut self,
        function: &Function,
        shape: &Shape,
        arguments: Vec<Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let rows = self.array_of_rows(function, shape, arguments, at)?;
        let is_array = |it: &Oid| self.types.sub_element(*it).is_some();
        let array = Some(shape.type_oid()).filter(is_array);
        let element = self.call_named("unnest", vec![rows], at)?;
        // An array is inside of a row, for arrays of arrays would come apart altogether.
        Ok(match array {
            Some(type_oid) => Expr::new(Node::Field(Box::new(element), 0), type_oid),
            None => element,
        })
    }

    /// The rows of a set as an array.
    fn array_of_rows(
        &mut self,
        function: &Function,
        shape: &Shape,
        arguments: Vec<Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let query = self.rows(function, shape, arguments)?;
        let query = match shape {
            Shape::Row(..) | Shape::Record => self.rows_of(query, shape)?,
            Shape::Value(type_oid) if self.types.sub_element(*type_oid).is_some() => {
                self.rows_of(query, shape)?
            }
            Shape::Void | Shape::Value(_) => query,
        };
        let element = query.columns.first().map_or(Oid::TEXT, |it| it.type_oid);
        let array = match element {
            Oid::RECORD => Some(Oid::RECORD_ARRAY),
            element => self.types.array_of(element),
        };
        let Some(array) = array else {
            let name = self.types.format(element);
            let what = format!("a function of sets of {name} in a select list");
            return Err(SqlError::unsupported(what).at(at.position()));
        };
        Ok(Expr::new(Node::ArrayQuery(Box::new(query)), array))
    }

    /// Decides how each argument is read (invariant 1).
    fn arguments(&mut self, function: &Function, arguments: Vec<Expr>, bare: bool) -> Arguments {
        let uses = uses_of(function);
        let mut kept = Arguments { values: arguments, given: Vec::new(), cte: None };
        let mut apart = Vec::new();
        for (index, value) in kept.values.iter().enumerate() {
            let uses = uses.get(index).copied().unwrap_or(usize::MAX);
            let uses = uses.saturating_add(usize::from(function.strict));
            if self.is_apart(value, uses, bare) {
                apart.push(index);
            }
        }
        if apart.is_empty() {
            return kept;
        }
        if bare {
            for index in apart {
                let value = kept.values[index].clone();
                let id = self.add_given("c1", value.type_oid, value.typmod);
                kept.values[index] = self.column(id, 0, value.at);
                kept.given.push((id, value));
            }
            return kept;
        }
        let named = |index: &usize| self.output_column(&kept.values[*index], String::new());
        let columns: Vec<OutputColumn> = apart.iter().map(named).collect();
        let items = apart.iter().map(|index| kept.values[*index].clone()).collect();
        let query = plain_query(Body::Select(plain_select(items, Vec::new())), columns.clone());
        let sql_name = format!("p{}", self.fresh());
        for (column, index) in (0u16..).zip(apart) {
            kept.values[index] = self.read_of_cte(&sql_name, &columns, column);
        }
        kept.cte = Some(Cte { sql_name, query, recursive: false, materialized: Some(true) });
        kept
    }

    /// Whether an argument is computed apart from the body.
    fn is_apart(&self, value: &Expr, uses: usize, bare: bool) -> bool {
        let aggregated = value.any(&mut |it| matches!(it.node, Node::Aggregate(_)));
        if is_known(value) || aggregated {
            return false;
        }
        if self.queryless {
            return false;
        }
        if bare && matches!(value.node, Node::Column(..) | Node::WholeRow(_)) {
            return false;
        }
        let plain = matches!(value.node, Node::Column(..));
        match (value.is_volatile(&self.relations), bare) {
            (true, _) => uses != 1 || !bare,
            (false, true) => uses > 1,
            (false, false) => !plain,
        }
    }

    /// A column of the only row of a CTE, as a value.
    fn read_of_cte(&mut self, sql_name: &str, columns: &[OutputColumn], index: u16) -> Expr {
        let id = self.relation_of_cte(sql_name, columns);
        let item = self.column(id, index, At(0));
        let (type_oid, typmod) = (item.type_oid, item.typmod);
        let column = self.output_column(&item, String::new());
        let select = plain_select(vec![item], vec![FromItem::Relation(id)]);
        let query = plain_query(Body::Select(select), vec![column]);
        let query = Query { limit: Some(Expr::int4(1)), ..query };
        Expr { node: Node::Subquery(Box::new(query)), type_oid, typmod, at: At(0) }
    }

    /// Binds the body of a function, and makes its columns those that the function returns.
    fn function_body(
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
        let outer = self.enter_function(function, &arguments.values);
        // What the view around sees, and is said to read, is none of the function's.
        let (within, noted) = (self.within.take(), self.noted.take());
        let bound = self.in_other_text(|binder| binder.statements(function, &bodies, shape));
        (self.within, self.noted) = (within, noted);
        self.leave_function(outer);
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
    fn statements(
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
        let select = plain_select(items.collect(), vec![FromItem::Relation(id)]);
        plain_query(Body::Select(select), columns.to_vec())
    }

    fn relation_of_cte(&mut self, sql_name: &str, columns: &[OutputColumn]) -> RelationId {
        let qualifier = self.fresh_qualifier();
        self.relations.add(Relation {
            alias: String::new(),
            qualifier,
            columns: output_columns(columns),
            source: Source::Cte(sql_name.to_owned()),
            optional: false,
        })
    }

    fn enter_function(&mut self, function: &Function, values: &[Expr]) -> Outside {
        let names = function.inputs().map(|it| it.name.clone());
        let parameters = names.zip(values.iter().cloned()).collect();
        self.frames.push(Frame { function: function.oid, name: function.name.clone(), parameters });
        Outside { scopes: std::mem::take(&mut self.scopes), ctes: std::mem::take(&mut self.ctes) }
    }

    fn leave_function(&mut self, outside: Outside) {
        self.frames.pop();
        self.scopes = outside.scopes;
        self.ctes = outside.ctes;
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

    fn fit_row(
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
        let select = plain_select(items, vec![FromItem::Relation(id)]);
        plain_query(Body::Select(select), shown)
    }

    /// 42P13: a body does not return what it should, for its last statement returns nothing.
    fn no_result(&self, type_oid: Oid) -> SqlError {
        let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
        self.mismatch(type_oid, detail.to_owned())
    }

    fn mismatch(&self, type_oid: Oid, detail: String) -> SqlError {
        let name = self.types.format(type_oid);
        let message = format!("return type mismatch in function declared to return {name}");
        SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).with_detail(detail)
    }

    /// Adds the rows of a function in `FROM` as a relation.
    ///
    /// # Errors
    /// 42601 for a record without a column definition list, and for a list where none may be.
    pub(crate) fn add_table_query(
        &mut self,
        local: &str,
        table: TableQuery,
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
        at: At,
    ) -> Result<RelationId, SqlError> {
        let TableQuery { mut query, mut names, one_row, defined } = table;
        let mut alias = alias.cloned();
        if defined {
            let fields = self.defined_columns(alias.as_ref(), at)?;
            query = self.fit_row(query, &fields, Oid::RECORD)?;
            names = fields.into_iter().map(|(name, ..)| name).collect();
            for column in alias.iter_mut().flat_map(|alias| &mut alias.columns) {
                column.data_type = None;
            }
        }
        if names.is_empty() {
            let own = alias.as_ref().map(|alias| Self::name(&alias.name));
            names.push(own.unwrap_or_else(|| local.to_owned()));
        }
        for (column, name) in query.columns.iter_mut().zip(names) {
            column.name = name;
            column.origin = None;
            column.not_null = false;
        }
        if one_row {
            query = self.limited(query);
        }
        if ordinality {
            query = self.numbered(query)?;
        }
        let lateral = self.reads_scope(&query);
        query.lateral = lateral && !one_row;
        let columns = subquery_columns(&query.columns, lateral || one_row);
        let source =
            if one_row { Source::OnlyRow(Box::new(query)) } else { Source::Query(Box::new(query)) };
        let relation = Relation {
            alias: local.to_owned(),
            qualifier: String::new(),
            columns,
            source,
            optional: false,
        };
        self.add_relation(relation, alias.as_ref(), at)
    }

    /// Whether a query reads relations of the innermost scope.
    fn reads_scope(&mut self, query: &Query) -> bool {
        let own: Vec<RelationId> = self.scope().relations.iter().map(|it| it.id).collect();
        let mut found = false;
        query.visit_all(&self.relations, &mut |expr| {
            if let Node::Column(id, _) | Node::WholeRow(id) = &expr.node {
                found |= own.contains(id);
            }
        });
        found
    }

    /// The rows of a query with their numbers as one more column.
    fn numbered(&mut self, mut query: Query) -> Result<Query, SqlError> {
        if !query.order_by.is_empty() && query.limit.is_none() {
            // SQLite forgets the order of a subquery that counts nothing.
            let all = Expr::new(Node::Literal(Datum::Integer(i64::MAX)), Oid::INT8);
            query.limit = Some(all);
        }
        let mut query = self.wrapped(query, Vec::new());
        let number = super::window::row_number(Window::default()).ok_or_else(no_row_number)?;
        query.columns.push(self.output_column(&number, "ordinality".to_owned()));
        if let Body::Select(select) = &mut query.body {
            select.items.push(number);
        }
        Ok(query)
    }
}

/// What was in sight around a call.
struct Outside {
    scopes: Vec<super::scope::Scope>,
    ctes: Vec<super::scope::CteEntry>,
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

/// Checks the body of a function as it is made: all of its statements, and what the last one returns.
///
/// # Errors
/// What binding the body reports, with positions in it; 42P13 for what the function cannot return; 0A000 for statements that
/// Trellis cannot expand.
pub fn check_function(
    function: &Function,
    cx: &super::context::BindContext<'_>,
) -> Result<(), SqlError> {
    let statements = statements(function)?;
    let polymorphic = function.arguments.iter().any(|it| super::resolve::is_polymorphic(*it));
    let is_void = function.result == Oid::VOID;
    let Some((last, before)) = statements.split_last() else {
        if is_void || polymorphic {
            return Ok(());
        }
        return Err(Binder::new(cx, "").no_result(function.result));
    };
    if let (StatementAst::Utility(_), false) = (&last.ast, is_void) {
        return Err(Binder::new(cx, "").no_result(function.result));
    }
    let cx = super::context::BindContext { parameters: super::Parameters::None, ..*cx };
    for statement in before {
        check_statement(function, statement, &cx, None)?;
    }
    check_statement(function, last, &cx, Some(()))
}

/// Checks one statement of a body; the last one also for what it returns.
fn check_statement(
    function: &Function,
    statement: &ParsedStatement,
    cx: &super::context::BindContext<'_>,
    last: Option<()>,
) -> Result<(), SqlError> {
    let place = |error| parse::split::shift(error, statement.offset_chars);
    let body = BodyStatement::of(statement).map_err(place)?;
    if function.arguments.iter().any(|it| super::resolve::is_polymorphic(*it)) {
        return Ok(());
    }
    let mut binder = Binder::new(cx, &statement.text);
    binder.admits_effects = true;
    let values: Vec<Expr> = function
        .inputs()
        .map(|it| {
            let id = binder.add_given("c1", it.type_oid, -1);
            binder.column(id, 0, At(0))
        })
        .collect();
    let columns: Vec<(&str, Oid)> = function.out_columns().collect();
    let columns = if function.result == Oid::RECORD { columns } else { Vec::new() };
    let shape = match last {
        Some(()) => binder.shape(function.result, &columns),
        None => Shape::Void,
    };
    let outer = binder.enter_function(function, &values);
    let bound = binder.statements(function, &[body], &shape);
    binder.leave_function(outer);
    let bound = bound.map_err(place)?;
    if binder.effects.is_empty() {
        return binder.lowered(|lowering| lowering.query(&bound)).map(drop);
    }
    super::effects::plan(binder, &bound).map(drop)
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

/// A query without columns and rows of a body that returns nothing.
fn nothing() -> Query {
    plain_query(Body::Select(plain_select(Vec::new(), Vec::new())), Vec::new())
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

/// How often the body reads each parameter, at most: a name counts wherever it stands.
fn uses_of(function: &Function) -> Vec<usize> {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::{Token, Tokenizer};
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, &function.body).tokenize().unwrap_or_default();
    let parameters = (1..).zip(function.inputs());
    let uses = parameters.map(|(number, parameter): (usize, _)| {
        let placeholder = format!("${number}");
        let reads = |token: &&Token| match token {
            Token::Placeholder(text) => *text == placeholder,
            Token::Word(word) => word.value.eq_ignore_ascii_case(&parameter.name),
            _ => false,
        };
        tokens.iter().filter(reads).count()
    });
    uses.collect()
}

/// Whether a value is there without being computed: a literal or a parameter of the statement.
fn is_known(value: &Expr) -> bool {
    match &value.node {
        Node::Literal(_) | Node::Parameter(_) => true,
        Node::Relabel(inner) => is_known(inner),
        _ => false,
    }
}

/// Whether a call is NULL for an argument that is a NULL literal.
fn is_null_call(function: &Function, arguments: &[Expr]) -> bool {
    let is_null = |it: &Expr| matches!(it.node, Node::Literal(Datum::Null));
    function.strict && arguments.iter().any(is_null)
}

fn is_null(value: Expr, negated: Negated) -> Expr {
    Expr::new(Node::IsNull(Box::new(value), negated), Oid::BOOL)
}

/// The value of a strict function: NULL for NULL arguments.
fn guarded(function: &Function, value: Expr, arguments: &[Expr]) -> Expr {
    if !function.strict {
        return value;
    }
    let literal = |it: &&Expr| !matches!(it.node, Node::Literal(_));
    let open = arguments.iter().filter(literal).filter(|it| !is_strict_in(&value, it));
    let mut tests: Vec<Expr> = open.map(|it| is_null(it.clone(), Negated::No)).collect();
    let test = match tests.len() {
        0 => return value,
        1 => tests.remove(0),
        _ => Expr::new(Node::Or(tests), Oid::BOOL),
    };
    let (type_oid, typmod) = (value.type_oid, value.typmod);
    let null = Expr { typmod, ..Expr::new(Node::Literal(Datum::Null), type_oid) };
    let node = Node::Case(vec![(test, null)], Some(Box::new(value)));
    Expr { node, type_oid, typmod, at: At(0) }
}

/// Whether a value is NULL wherever an argument is, by the functions on the way to it.
fn is_strict_in(value: &Expr, argument: &Expr) -> bool {
    if value == argument {
        return true;
    }
    match &value.node {
        Node::Call(call) if call.row.strict => {
            call.arguments.iter().any(|it| is_strict_in(it, argument))
        }
        Node::Relabel(it) | Node::Input(it) | Node::Output(it) | Node::ArrayCast(it) => {
            is_strict_in(it, argument)
        }
        _ => false,
    }
}

/// NULL, when these have been computed.
fn void_after(items: Vec<Expr>) -> Expr {
    let null = || Expr::new(Node::Literal(Datum::Null), Oid::VOID);
    let tests = items.into_iter().map(|item| (is_null(item, Negated::No), null()));
    let cases: Vec<(Expr, Expr)> = tests.collect();
    if cases.is_empty() {
        return null();
    }
    Expr::new(Node::Case(cases, None), Oid::VOID)
}

fn all_of(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(Expr::new(Node::And(conditions), Oid::BOOL)),
    }
}

/// A SELECT of nothing but its outputs and FROM.
fn plain_select(items: Vec<Expr>, from: Vec<FromItem>) -> Box<Select> {
    Box::new(Select {
        distinct: Distinct::No,
        items,
        from,
        filter: None,
        grouped: false,
        group_by: Vec::new(),
        having: None,
    })
}

fn no_row_number() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "row_number is no function")
}

fn is_cast_error(error: &SqlError) -> bool {
    matches!(error.state, SqlState::DATATYPE_MISMATCH | SqlState::CANNOT_COERCE)
}
