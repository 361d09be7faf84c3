//! Queries: WITH, set operations, VALUES, and the ORDER BY, LIMIT and locking around them.

use sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr, SetOperator, SetQuantifier};

use super::binder::Binder;
use super::resolve::{
    require_equality, require_ordering, select_common_type, select_common_typmod,
};
use super::scope::{CallRules, CteEntry, Scope};
use super::search_cycle::{Added, Decorated, decorated};
use super::select::unparenthesized;
use super::tree::{
    At, Body, Cte, Expr, OutputColumn, Query, SetKind, SetOperation, SortBy, SortKey, Source,
};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Most `INTERSECT ALL` and `EXCEPT ALL` in a chain, each of which becomes one more subquery; more is refused with 54001.
const NUMBERED_OPERATIONS_MAX: usize = 50;

impl Binder<'_> {
    /// Binds a query. Outputs that nothing has typed stay unknown; [`Binder::settle_unknown`] makes them text.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
    pub(crate) fn query(&mut self, query: &ast::Query) -> Result<Query, SqlError> {
        self.nested_query(|binder| binder.query_at_depth(query))
    }

    fn query_at_depth(&mut self, query: &ast::Query) -> Result<Query, SqlError> {
        let clauses = Clauses::of(query, self)?;
        let outer_ctes = self.ctes.len();
        let ctes = match clauses.with {
            Some(with) => self.with(with)?,
            None => Vec::new(),
        };
        let order_by = order_keys(clauses.order_by)?;
        let mut bound = self.body(clauses.body, order_by)?;
        bound.ctes = ctes;
        self.limits(&mut bound, &clauses)?;
        self.ctes.truncate(outer_ctes);
        if !clauses.locks.is_empty() {
            self.locks(&clauses.locks, &bound)?;
        }
        let bound = self.ties_of_windows(bound);
        Ok(self.volatile_after_sort(bound))
    }

    /// `FOR UPDATE` and its kin: the statement takes the write lease, which locks every row.
    fn locks(&mut self, locks: &[&ast::LockClause], bound: &Query) -> Result<(), SqlError> {
        let grouped = match &bound.body {
            Body::Select(select) if select.grouped => Some("GROUP BY clause"),
            Body::Select(select) if select.distinct != super::tree::Distinct::No => {
                Some("DISTINCT clause")
            }
            Body::Select(_) | Body::Values(_) => None,
            Body::SetOperation(_) => Some("UNION/INTERSECT/EXCEPT"),
        };
        if let (Some(clause), Some(lock)) = (grouped, locks.first()) {
            let strength = match lock.lock_type {
                ast::LockType::Share => "FOR SHARE",
                ast::LockType::Update => "FOR UPDATE",
            };
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{strength} is not allowed with {clause}"),
            ));
        }
        for lock in locks {
            let ast::LockClause { lock_type: _, of, nonblock } = lock;
            if let Some(of) = of {
                self.require_locked(of, bound)?;
            }
            self.refuse_locked_view(of.as_ref(), bound)?;
            // One lease locks all rows. Who has it finds none locked by others, so there are none to skip.
            if matches!(nonblock, Some(ast::NonBlock::Nowait)) {
                return Err(SqlError::unsupported("NOWAIT"));
            }
        }
        self.row_locks = true;
        Ok(())
    }

    /// Refuses to lock the rows of a materialized view.
    fn refuse_locked_view(
        &self,
        of: Option<&ast::ObjectName>,
        bound: &Query,
    ) -> Result<(), SqlError> {
        let of = of.map(|of| self.qualified(of)).transpose()?.map(|(_, name)| name);
        let Body::Select(select) = &bound.body else { return Ok(()) };
        for relation in select.relations().into_iter().map(|it| self.relations.get(it)) {
            let Source::Table(_, oid) = &relation.source else { continue };
            let Some(view) = self.cx.catalog.views.get(oid) else { continue };
            if of.as_ref().is_none_or(|of| *of == relation.alias) {
                let name = &view.name;
                let message = format!("cannot lock rows in materialized view \"{name}\"");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
        }
        Ok(())
    }

    /// Requires the relation of `FOR UPDATE OF` to be in `FROM`.
    fn require_locked(&self, of: &ast::ObjectName, bound: &Query) -> Result<(), SqlError> {
        let (_, name) = self.qualified(of)?;
        let relations = match &bound.body {
            Body::Select(select) => select.relations(),
            Body::Values(_) | Body::SetOperation(_) => Vec::new(),
        };
        if relations.iter().any(|it| self.relations.get(*it).alias == name) {
            return Ok(());
        }
        let message = format!("relation \"{name}\" in FOR UPDATE clause not found in FROM clause");
        Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(self.start_of(of).position()))
    }

    pub(super) fn body(
        &mut self,
        body: &SetExpr,
        order_by: &[ast::OrderByExpr],
    ) -> Result<Query, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, order_by),
            SetExpr::Query(query) => self.nested(|binder| binder.query(query)),
            SetExpr::Values(values) => {
                let bound = self.values(values)?;
                self.output_order(bound, order_by)
            }
            SetExpr::SetOperation { .. } => {
                let bound = self.set_operations(body)?;
                self.output_order(bound, order_by)
            }
            SetExpr::Table(table) => Err(SqlError::unsupported(format!("TABLE {table}"))),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "a data-modifying statement must be in WITH or by itself",
                ))
            }
        }
    }

    /// `ORDER BY` that may name output columns only.
    fn output_order(
        &mut self,
        mut query: Query,
        keys: &[ast::OrderByExpr],
    ) -> Result<Query, SqlError> {
        for key in keys {
            let ast::OrderByExpr { expr, options, with_fill } = key;
            if with_fill.is_some() {
                return Err(SqlError::unsupported("WITH FILL"));
            }
            let at = self.expr_start(expr);
            let index = match unparenthesized(expr) {
                ast::Expr::Identifier(ident) => {
                    let name = Self::name(ident);
                    query.columns.iter().position(|column| column.name == name)
                }
                _ => self.ordinal(expr, query.columns.len(), "ORDER BY")?,
            };
            let Some(index) = index else {
                return Err(invalid_output_order(expr, at));
            };
            if query.columns[index].type_oid == Oid::UNKNOWN {
                self.coerce_output(&mut query, index, Oid::TEXT, -1, CastContext::Implicit)?;
            }
            require_ordering(self.types, query.columns[index].type_oid)
                .map_err(|error| error.at(at.position()))?;
            let (descending, nulls_first) = Self::sort_direction(options)?;
            query.order_by.push(SortKey { by: SortBy::Output(index), descending, nulls_first });
        }
        Ok(query)
    }

    /// `VALUES`: the common type of each column.
    pub(crate) fn values(&mut self, values: &ast::Values) -> Result<Query, SqlError> {
        let ast::Values { explicit_row: _, value_keyword: _, rows } = values;
        let mut bound: Vec<Vec<Expr>> = Vec::with_capacity(rows.len());
        self.scopes.push(Scope::default());
        let rules = CallRules {
            no_aggregates: Some("VALUES"),
            no_windows: Some("VALUES"),
            no_sets: Some("VALUES"),
            ..CallRules::default()
        };
        self.scope().calls = rules;
        let result = rows.iter().try_for_each(|row| {
            let exprs =
                row.content.iter().map(|expr| self.expr(expr)).collect::<Result<Vec<_>, _>>()?;
            if bound.first().is_some_and(|first| first.len() != exprs.len()) {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "VALUES lists must all be the same length",
                )
                .at(row.content.first().and_then(|it| self.expr_start(it).position())));
            }
            bound.push(exprs);
            Ok(())
        });
        self.scopes.pop();
        result?;
        let width = bound.first().map_or(0, Vec::len);
        let mut columns = Vec::with_capacity(width);
        for index in 0..width {
            let taken: Vec<Expr> = bound
                .iter_mut()
                .map(|row| std::mem::replace(&mut row[index], Expr::null()))
                .collect();
            let all_unknown = taken.iter().all(Expr::is_unknown);
            let (exprs, type_oid, typmod) =
                if all_unknown { (taken, Oid::UNKNOWN, -1) } else { self.unify(taken, "VALUES")? };
            for (row, expr) in bound.iter_mut().zip(exprs) {
                row[index] = expr;
            }
            columns.push(OutputColumn {
                name: format!("column{}", index + 1),
                type_oid,
                typmod,
                origin: None,
                not_null: false,
            });
        }
        Ok(plain_query(Body::Values(bound), columns))
    }

    /// A chain of set operations, which is as deep to the left as it is long and is therefore bound from its first part on.
    fn set_operations(&mut self, chain: &SetExpr) -> Result<Query, SqlError> {
        let mut operations = Vec::new();
        let mut first = chain;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
            operations.push((set_kind(*op)?, is_all(*set_quantifier)?, &**right));
            first = left;
        }
        let numbered =
            operations.iter().filter(|((kind, _), all, _)| *all && *kind != SetKind::Union);
        if numbered.count() > NUMBERED_OPERATIONS_MAX {
            return Err(SqlError::too_complex());
        }
        let mut bound = self.nested(|binder| binder.body(first, &[]))?;
        for ((kind, name), all, right) in operations.into_iter().rev() {
            let right_at = self.start_of(right);
            let bound_right = self.nested(|binder| binder.body(right, &[]))?;
            bound = self.combine(kind, name, all, bound, bound_right, right_at)?;
        }
        Ok(bound)
    }

    /// Brings two queries to common column types.
    pub(crate) fn combine(
        &mut self,
        kind: SetKind,
        name: &str,
        all: bool,
        mut left: Query,
        mut right: Query,
        right_at: At,
    ) -> Result<Query, SqlError> {
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("each {name} query must have the same number of columns"),
            )
            .at(right_at.position()));
        }
        let mut columns = Vec::with_capacity(left.columns.len());
        for index in 0..left.columns.len() {
            let one = (left.columns[index].type_oid, left.columns[index].typmod);
            let other = (right.columns[index].type_oid, right.columns[index].typmod);
            let place = output_place(&right, index).unwrap_or(right_at);
            let common = select_common_type(self.types, &[one.0, other.0], name)
                .map_err(|error| error.at(place.position()))?;
            let typmod = select_common_typmod(common, &[one, other]);
            for query in [&mut left, &mut right] {
                if query.columns[index].type_oid != common {
                    self.coerce_output(query, index, common, -1, CastContext::Implicit)?;
                }
            }
            if !(all && kind == SetKind::Union) {
                require_equality(self.types, common)?;
            }
            columns.push(OutputColumn {
                name: left.columns[index].name.clone(),
                type_oid: common,
                typmod,
                origin: None,
                not_null: left.columns[index].not_null && right.columns[index].not_null,
            });
        }
        let operation = SetOperation { kind, all, left, right };
        Ok(plain_query(Body::SetOperation(Box::new(operation)), columns))
    }

    fn limits(&mut self, query: &mut Query, clauses: &Clauses<'_>) -> Result<(), SqlError> {
        if let Some(limit) = clauses.limit {
            query.limit = self.row_count(limit, "LIMIT")?;
        }
        if let Some(offset) = clauses.offset {
            query.offset = self.row_count(offset, "OFFSET")?;
        }
        if let Some(ast::Fetch { with_ties, percent, quantity }) = clauses.fetch {
            if *percent {
                return Err(SqlError::unsupported("FETCH FIRST … PERCENT"));
            }
            query.limit = match quantity {
                Some(quantity) => self.row_count(quantity, "LIMIT")?,
                None => Some(Expr::int4(1)),
            };
            query.with_ties = *with_ties;
            if *with_ties && query.order_by.is_empty() {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "WITH TIES cannot be specified without ORDER BY clause",
                ));
            }
        }
        Ok(())
    }

    /// The count of a `LIMIT` or `OFFSET`: int8, without columns. `LIMIT ALL` and NULL are none.
    fn row_count(
        &mut self,
        expr: &ast::Expr,
        clause: &'static str,
    ) -> Result<Option<Expr>, SqlError> {
        self.scopes.push(Scope::default());
        let rules = CallRules {
            no_aggregates: Some(clause),
            no_windows: Some(clause),
            no_sets: Some(clause),
            ..CallRules::default()
        };
        self.scope().calls = rules;
        let bound = self.expr(expr);
        self.scopes.pop();
        let bound = bound?;
        let at = bound.at;
        if matches!(bound.node, super::tree::Node::Literal(crate::datum::Datum::Null)) {
            return Ok(None);
        }
        let found = self.types.format(bound.type_oid);
        let count =
            self.coerce(bound, Oid::INT8, -1, CastContext::Assignment).map_err(|error| {
                if error.state == SqlState::DATATYPE_MISMATCH {
                    SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!("argument of {clause} must be type bigint, not type {found}"),
                    )
                    .at(at.position())
                } else {
                    error
                }
            })?;
        if let super::tree::Node::Literal(crate::datum::Datum::Integer(value)) = count.node
            && value < 0
        {
            let state = if clause == "LIMIT" {
                SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
            } else {
                SqlState::INVALID_ROW_COUNT_IN_OFFSET_CLAUSE
            };
            return Err(SqlError::new(state, format!("{clause} must not be negative")));
        }
        Ok(Some(count))
    }

    /// `WITH` of queries.
    ///
    /// # Errors
    /// 42712 for a name twice, 0A000 for a data-modifying statement, which only a statement's own WITH may have.
    pub(crate) fn with(&mut self, with: &ast::With) -> Result<Vec<Cte>, SqlError> {
        let ast::With { with_token: _, recursive, cte_tables } = with;
        self.require_different_names(cte_tables)?;
        decorated(cte_tables)
            .into_iter()
            .map(|it| match modification_in(&it.cte.query) {
                None => self.common_table(&it, *recursive),
                Some(_) => {
                    let cte = it.cte;
                    let message = "WITH clause containing a data-modifying statement must be at \
                                   the top level";
                    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                        .at(self.span_start(cte.alias.name.span).position()))
                }
            })
            .collect()
    }

    /// 42712 for a name that comes twice in a WITH.
    pub(crate) fn require_different_names(&self, ctes: &[ast::Cte]) -> Result<(), SqlError> {
        for (index, cte) in ctes.iter().enumerate() {
            let name = Self::name(&cte.alias.name);
            if ctes[..index].iter().any(|it| Self::name(&it.alias.name) == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message)
                    .at(self.span_start(cte.alias.name.span).position()));
            }
        }
        Ok(())
    }

    /// One query of a WITH, which is in sight from here on.
    pub(crate) fn common_table(
        &mut self,
        decorated: &Decorated<'_>,
        recursive: bool,
    ) -> Result<Cte, SqlError> {
        let ast::Cte { alias, query, from, materialized, closing_paren_token: _ } = decorated.cte;
        if from.is_some() {
            return Err(SqlError::unsupported("FROM in WITH"));
        }
        let name = Self::name(&alias.name);
        let at = self.span_start(alias.name.span);
        let sql_name = format!("w{}", self.fresh());
        let column_names: Vec<String> =
            alias.columns.iter().map(|column| Self::name(&column.name)).collect();
        let (bound, used) = if recursive {
            self.recursive_cte((&name, at), &sql_name, decorated, &column_names)?
        } else {
            (self.plain_cte(query, &column_names, (&name, at))?, None)
        };
        if used.is_none() && !decorated.is_plain() {
            let message = "WITH query is not recursive";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()));
        }
        let mut columns = bound.columns.clone();
        columns.truncate(columns.len() - used.as_ref().map_or(0, Added::hidden));
        let records = self.records_of(&bound);
        self.ctes.push(CteEntry {
            name,
            sql_name: sql_name.clone(),
            columns,
            records,
            uses: (0, At(0)),
            barred: None,
            hidden: 0,
            has_rows: true,
        });
        let materialized =
            materialized.as_ref().map(|it| matches!(it, ast::CteAsMaterialized::Materialized));
        Ok(Cte { sql_name, query: bound, recursive: used.is_some(), materialized })
    }

    pub(super) fn plain_cte(
        &mut self,
        query: &ast::Query,
        names: &[String],
        name: (&str, At),
    ) -> Result<Query, SqlError> {
        let mut bound = self.subquery(query)?;
        rename(&mut bound.columns, names, name)?;
        Ok(bound)
    }
}

/// The clauses of a query and of those it is in parentheses within: `(SELECT … LIMIT 1) ORDER BY a` is one query.
pub(super) struct Clauses<'e> {
    /// `WITH`.
    pub(super) with: Option<&'e ast::With>,
    /// What yields the rows.
    pub(super) body: &'e SetExpr,
    /// `ORDER BY`.
    pub(super) order_by: Option<&'e ast::OrderBy>,
    /// `LIMIT`.
    pub(super) limit: Option<&'e ast::Expr>,
    /// `OFFSET`.
    pub(super) offset: Option<&'e ast::Expr>,
    /// `FETCH`.
    pub(super) fetch: Option<&'e ast::Fetch>,
    /// `FOR UPDATE` and its kin.
    pub(super) locks: Vec<&'e ast::LockClause>,
}

impl<'e> Clauses<'e> {
    /// Gathers the clauses.
    ///
    /// # Errors
    /// 42601 for a clause that is there twice, 0A000 for those of other dialects.
    pub(super) fn of(query: &'e ast::Query, binder: &Binder<'_>) -> Result<Self, SqlError> {
        let mut found = Self {
            with: None,
            body: &query.body,
            order_by: None,
            limit: None,
            offset: None,
            fetch: None,
            locks: Vec::new(),
        };
        found.add(query, binder)?;
        while let SetExpr::Query(inner) = found.body {
            found.body = &inner.body;
            found.add(inner, binder)?;
        }
        Ok(found)
    }

    /// The keys of `ORDER BY`.
    ///
    /// # Errors
    /// 0A000 for forms of other dialects.
    pub(super) fn keys(&self) -> Result<&'e [ast::OrderByExpr], SqlError> {
        order_keys(self.order_by)
    }

    fn add(&mut self, query: &'e ast::Query, binder: &Binder<'_>) -> Result<(), SqlError> {
        let ast::Query {
            with,
            body: _,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let foreign = for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        if foreign {
            return Err(SqlError::unsupported("this clause of a query"));
        }
        let (limit, offset) = limit_and_offset(limit_clause.as_ref())?;
        let start = |expr: Option<&ast::Expr>| expr.map_or(At(0), |it| binder.expr_start(it));
        let count = fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
        let first_key = |order_by: &ast::OrderBy| match &order_by.kind {
            OrderByKind::Expressions(keys) => start(keys.first().map(|key| &key.expr)),
            OrderByKind::All(_) => At(0),
        };
        // Both spell the same clause; the inner query's comes last here and stands first in the text.
        let (outer_limit, outer_fetch) = (self.limit, self.fetch);
        if (outer_limit.is_some() || outer_fetch.is_some()) && (limit.is_some() || fetch.is_some())
            || limit.is_some() && fetch.is_some()
        {
            return Err(multiple("LIMIT", start(outer_limit.or(limit).or(count))));
        }
        if self.with.is_some() && with.is_some() {
            return Err(multiple("WITH", At(0)));
        }
        if let (Some(outer), Some(_)) = (self.order_by, order_by) {
            return Err(multiple("ORDER BY", first_key(outer)));
        }
        if self.offset.is_some() && offset.is_some() {
            return Err(multiple("OFFSET", start(self.offset)));
        }
        self.with = self.with.or(with.as_ref());
        self.order_by = self.order_by.or(order_by.as_ref());
        self.limit = self.limit.or(limit);
        self.fetch = self.fetch.or(fetch.as_ref());
        self.offset = self.offset.or(offset);
        self.locks.extend(locks);
        Ok(())
    }
}

/// The counts of `LIMIT` and `OFFSET`.
pub(super) fn limit_and_offset(
    clause: Option<&LimitClause>,
) -> Result<(Option<&ast::Expr>, Option<&ast::Expr>), SqlError> {
    match clause {
        None => Ok((None, None)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            if !limit_by.is_empty() {
                return Err(SqlError::unsupported("LIMIT BY"));
            }
            Ok((limit.as_ref(), offset.as_ref().map(|offset| &offset.value)))
        }
        Some(LimitClause::OffsetCommaLimit { offset: _, limit: _ }) => {
            let message = "LIMIT #,# syntax is not supported";
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .with_hint("Use separate LIMIT and OFFSET clauses."))
        }
    }
}

fn multiple(clause: &str, at: At) -> SqlError {
    let message = format!("multiple {clause} clauses not allowed");
    SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position())
}

/// The kind of a set operation, and its name for errors.
fn set_kind(op: SetOperator) -> Result<(SetKind, &'static str), SqlError> {
    match op {
        SetOperator::Union => Ok((SetKind::Union, "UNION")),
        SetOperator::Intersect => Ok((SetKind::Intersect, "INTERSECT")),
        SetOperator::Except => Ok((SetKind::Except, "EXCEPT")),
        SetOperator::Minus => Err(SqlError::unsupported("MINUS")),
    }
}

fn is_all(quantifier: SetQuantifier) -> Result<bool, SqlError> {
    match quantifier {
        SetQuantifier::All => Ok(true),
        SetQuantifier::Distinct | SetQuantifier::None => Ok(false),
        SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
            Err(SqlError::unsupported("set operations BY NAME"))
        }
    }
}

/// Where an output of a query stands.
fn output_place(query: &Query, index: usize) -> Option<At> {
    let item = match &query.body {
        Body::Select(select) => select.items.get(index),
        Body::Values(rows) => rows.first()?.get(index),
        Body::SetOperation(_) => None,
    };
    item.map(|item| item.at).filter(|at| at.0 > 0)
}

/// A query of nothing but its body.
pub(crate) fn plain_query(body: Body, columns: Vec<OutputColumn>) -> Query {
    Query {
        ctes: Vec::new(),
        body,
        columns,
        order_by: Vec::new(),
        limit: None,
        offset: None,
        with_ties: false,
        lateral: false,
    }
}

/// The data-modifying statement that a query in sqlparser's tree is.
pub(crate) fn modification_in(query: &ast::Query) -> Option<&ast::Statement> {
    match &*query.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => Some(statement),
        _ => None,
    }
}

/// Gives the columns of a CTE the names that its WITH has for them.
///
/// # Errors
/// 42P10 for more names than columns.
pub(crate) fn rename(
    columns: &mut [OutputColumn],
    names: &[String],
    (cte, at): (&str, At),
) -> Result<(), SqlError> {
    if names.len() > columns.len() {
        return Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!(
                "WITH query \"{cte}\" has {} columns available but {} columns specified",
                columns.len(),
                names.len()
            ),
        )
        .at(at.position()));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name.clone_from(name);
    }
    Ok(())
}

pub(super) fn order_keys(order_by: Option<&ast::OrderBy>) -> Result<&[ast::OrderByExpr], SqlError> {
    match order_by {
        None => Ok(&[]),
        Some(ast::OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None }) => Ok(keys),
        Some(_) => Err(SqlError::unsupported("this form of ORDER BY")),
    }
}

fn invalid_output_order(expr: &ast::Expr, at: At) -> SqlError {
    if let ast::Expr::Identifier(ident) = expr {
        return SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{}\" does not exist", Binder::name(ident)),
        )
        .at(at.position());
    }
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
        .with_detail("Only result column names can be used, not expressions or functions.")
        .with_hint(
            "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
        )
        .at(at.position())
}
