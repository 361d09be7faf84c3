//! Functions of several rows or columns: in `FROM`, in a select list, and where one row is wanted.

use sqlparser::ast;

use super::super::binder::Binder;
use super::super::from::subquery_columns;
use super::super::query::plain_query;
use super::super::tree::{
    At, Body, Expr, Negated, Node, Query, Relation, RelationId, Select, Source, Window,
};
use super::super::window::row_number;
use super::arguments::{all_of, is_known, is_null, is_null_call, void_after};
use super::{Shape, statements};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::Function;

/// What a function in `FROM` yields rows by.
pub(crate) struct TableQuery {
    /// The rows.
    pub(super) query: Query,
    /// Names of the columns; none where the alias, or the function, names the only one.
    pub(super) names: Vec<String>,
    /// One row in any case.
    pub(super) one_row: bool,
    /// The columns are what a column definition list says.
    pub(super) defined: bool,
}

impl Binder<'_> {
    /// The first row of a query as a value.
    pub(super) fn first_row(&mut self, query: Query, shape: &Shape) -> Result<Expr, SqlError> {
        match shape {
            Shape::Row(..) | Shape::Record => return self.row_of(query, shape),
            Shape::Void | Shape::Value(_) => {}
        }
        let first = self.limited(query);
        let Some(column) = first.columns.first() else {
            return Ok(Expr::null_of(shape.type_oid()));
        };
        let (type_oid, typmod) = (column.type_oid, column.typmod);
        let node = Node::Subquery(Box::new(first));
        let value = Expr { node, type_oid, typmod, at: At(0) };
        Ok(if let Shape::Void = shape { void_after(vec![value]) } else { value })
    }

    /// The first row of a query of several columns, as one value.
    pub(super) fn row_of(&mut self, query: Query, shape: &Shape) -> Result<Expr, SqlError> {
        let rows = self.rows_of(query, shape)?;
        let first = self.limited(rows);
        let type_oid = first.columns.first().map_or(Oid::RECORD, |it| it.type_oid);
        Ok(Expr::new(Node::Subquery(Box::new(first)), type_oid))
    }

    /// A query of several columns as one of whole rows.
    pub(super) fn rows_of(&mut self, query: Query, shape: &Shape) -> Result<Query, SqlError> {
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
        let select = Box::new(Select::over(id, vec![item]));
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
        let mut select = Box::new(Select::over(id, items.collect()));
        select.filter = all_of(conditions);
        plain_query(Body::Select(select), columns)
    }

    /// The rows of a function, with its arguments.
    pub(super) fn rows(
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
    pub(super) fn table_query(
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
        Ok(TableQuery { query, names, one_row: !function.returns_set, defined })
    }

    /// A set in a select list: the elements of an array of its rows.
    pub(super) fn set_in_list(
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
    pub(super) fn array_of_rows(
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
        let number = row_number(Window::default()).ok_or_else(no_row_number)?;
        query.columns.push(self.output_column(&number, "ordinality".to_owned()));
        if let Body::Select(select) = &mut query.body {
            select.items.push(number);
        }
        Ok(query)
    }
}

fn no_row_number() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "row_number is no function")
}
