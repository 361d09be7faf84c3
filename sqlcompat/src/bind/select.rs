//! `SELECT`: target list, WHERE, GROUP BY, HAVING, windows, DISTINCT and ORDER BY of one level.

use sqlparser::ast::{self, GroupByExpr, SelectItem, SelectItemQualifiedWildcardKind};

use super::binder::Binder;
use super::layers::Outer;
use super::output_name::output_name;
use super::query::plain_query;
use super::resolve::{require_equality, require_ordering};
use super::scope::{CallRules, Scope, ScopeColumn};
use super::tree::{
    At, Body, Distinct, Expr, FromItem, Node, OutputColumn, Query, RelationId, Select, SortBy,
    SortKey, Source,
};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse;

/// The expressions grouped by and, of several grouping sets, the indexes into them.
pub(super) type Grouping = (Vec<Expr>, Option<Vec<Vec<usize>>>);

/// Most columns of a target list, as in PostgreSQL; more is refused with 54011.
const COLUMNS_MAX: usize = 1664;

/// What makes a select more than one: its grouping sets and its set-returning functions.
struct SetsOf {
    /// Indexes into the grouping expressions, per set.
    grouping: Option<Vec<Vec<usize>>>,
    /// The set-returning functions of the select list, as one relation.
    returning: Option<RelationId>,
}

/// The target list while it is bound.
#[derive(Default)]
pub(super) struct Targets {
    items: Vec<Expr>,
    names: Vec<String>,
    /// The items that have a query inside, as written, with their indexes: no two queries are the same tree once bound.
    queries: Vec<(ast::Expr, usize)>,
}

impl Targets {
    fn add(&mut self, name: String, item: Expr, written: &ast::Expr) {
        if item.any(&mut |it| it.query().is_some()) {
            self.queries.push((unparenthesized(written).clone(), self.items.len()));
        }
        self.names.push(name);
        self.items.push(item);
    }
}

impl Binder<'_> {
    /// Binds a `SELECT` with the `ORDER BY` around it.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
    pub(crate) fn select(
        &mut self,
        select: &ast::Select,
        order_by: &[ast::OrderByExpr],
    ) -> Result<Query, SqlError> {
        self.scopes.push(Scope::default());
        let result = self.select_in_scope(select, order_by);
        self.scopes.pop();
        result
    }

    fn select_in_scope(
        &mut self,
        select: &ast::Select,
        order_by: &[ast::OrderByExpr],
    ) -> Result<Query, SqlError> {
        let parts = SelectParts::of(select, self)?;
        self.scope().calls.no_aggregates = Some("FROM clause of their own query level");
        let from = self.bind_from(parts.from)?;
        self.scope().calls.no_aggregates = None;
        self.named_windows(parts.windows)?;
        let mut targets = self.targets(parts.projection)?;
        let filter = self.clause(parts.filter, "WHERE")?;
        let having = self.having(parts.having)?;
        let order_by = self.order_by(order_by, &mut targets)?;
        let (group_by, sets) = self.group_by(parts.group_by, &mut targets)?;
        let distinct = self.distinct(parts.distinct, &mut targets, &order_by)?;
        let calls = self.scope().calls;
        let grouped =
            calls.met_aggregate || !group_by.is_empty() || sets.is_some() || having.is_some();
        let sets = SetsOf { grouping: sets, returning: self.scope().set_returning.take() };
        let columns = self.output_columns_of(&targets);
        let select =
            Select { distinct, items: targets.items, from, filter, grouped, group_by, having };
        let query = Query { order_by, ..plain_query(Body::Select(Box::new(select)), columns) };
        self.with_sets(query, sets, calls.met_window)
    }

    /// Joins the set-returning functions of the select list, and makes what grouping sets stand for.
    fn with_sets(
        &mut self,
        mut query: Query,
        sets: SetsOf,
        windows: bool,
    ) -> Result<Query, SqlError> {
        let Body::Select(select) = &mut query.body else { return Ok(query) };
        let outer = sets.returning.map(Outer::Sets);
        if windows && outer.is_none() && matches!(select.distinct, Distinct::On(_)) {
            // The rows are numbered to find the first ones, which no window function may be inside of.
            let shown = select.items.len();
            let mut inner = (**select).clone();
            let clauses = self.take_outer_clauses(&mut inner, &mut query);
            query.body = Body::Select(Box::new(inner));
            let inner = self.with_sets(query, sets, windows)?;
            return Ok(self.around_outputs(inner, clauses, shown));
        }
        let in_group = outer.filter(|outer| select.group_by.iter().any(|key| outer.is_in(key)));
        let by_row = |key: &SortKey, outer: Outer| match &key.by {
            SortBy::Output(index) => !outer.is_in(&select.items[*index]),
            SortBy::Expr(expr) => !outer.is_in(expr),
        };
        let apart = outer.filter(|outer| {
            let sorted = !query.order_by.is_empty() && select.distinct != Distinct::Rows;
            let sorted = sorted && query.order_by.iter().all(|key| by_row(key, *outer));
            in_group.is_none() && (select.grouped || windows || sorted)
        });
        if let Some(id) = sets.returning.filter(|_| apart.is_none()) {
            select.from.push(FromItem::Relation(id));
        }
        if select.grouped {
            let arguments = apart.map(|outer| self.set_arguments(outer)).unwrap_or_default();
            let Body::Select(select) = &mut query.body else { return Ok(query) };
            self.check_grouping(select, &query.order_by, &arguments)?;
        }
        let grouping = sets.grouping;
        let grouped = |binder: &mut Self, mut query: Query| match &grouping {
            None => {
                super::grouping::settle(&mut query);
                Ok(query)
            }
            Some(sets) => binder.grouping_sets(query, sets),
        };
        let finish = |binder: &mut Self, query: Query| {
            if binder.needs_group_layer(&query, grouping.is_some()) {
                binder.with_group_layer(query, grouped)
            } else {
                grouped(binder, query)
            }
        };
        match apart {
            None => finish(self, query),
            Some(outer) => self.layered(query, outer, finish),
        }
    }

    /// The arguments of the set-returning functions of a select list.
    fn set_arguments(&self, outer: Outer) -> Vec<Expr> {
        let Outer::Sets(id) = outer else { return Vec::new() };
        let Source::Function(source) = &self.relations.get(id).source else { return Vec::new() };
        source.calls.iter().flat_map(|(call, _)| call.children().into_iter().cloned()).collect()
    }

    fn output_columns_of(&self, targets: &Targets) -> Vec<OutputColumn> {
        let columns = targets.items.iter().zip(&targets.names);
        columns.map(|(item, name)| self.output_column(item, name.clone())).collect()
    }

    /// What a client is told of an output expression.
    pub(crate) fn output_column(&self, item: &Expr, name: String) -> OutputColumn {
        let (origin, not_null) = match &item.node {
            Node::Column(relation, index) => {
                let column = &self.relations.get(*relation).columns[usize::from(*index)];
                (column.origin, column.not_null)
            }
            _ => (None, false),
        };
        OutputColumn { name, type_oid: item.type_oid, typmod: item.typmod, origin, not_null }
    }

    /// A condition in which neither aggregates nor window functions may stand.
    pub(crate) fn clause(
        &mut self,
        expr: Option<&ast::Expr>,
        clause: &'static str,
    ) -> Result<Option<Expr>, SqlError> {
        self.condition(expr, clause, clause)
    }

    /// As [`Self::clause`], where errors about calls name the clause otherwise than those about its type.
    ///
    /// # Errors
    /// As [`Self::clause`].
    pub(crate) fn condition(
        &mut self,
        expr: Option<&ast::Expr>,
        calls: &'static str,
        clause: &'static str,
    ) -> Result<Option<Expr>, SqlError> {
        let Some(expr) = expr else { return Ok(None) };
        let rules = CallRules {
            no_aggregates: Some(calls),
            no_windows: Some(calls),
            no_sets: Some(calls),
            ..CallRules::default()
        };
        let outer = std::mem::replace(&mut self.scope().calls, rules);
        let bound = self.expr(expr);
        self.scope().calls = outer;
        let bound = bound?;
        let at = if bound.at.0 == 0 { self.expr_start(expr) } else { bound.at };
        self.boolean(bound.at(at), clause).map(Some)
    }

    fn having(&mut self, expr: Option<&ast::Expr>) -> Result<Option<Expr>, SqlError> {
        let Some(expr) = expr else { return Ok(None) };
        let calls = &mut self.scope().calls;
        let outer = (calls.no_windows.replace("HAVING"), calls.no_sets.replace("HAVING"));
        let bound = self.expr(expr);
        let calls = &mut self.scope().calls;
        (calls.no_windows, calls.no_sets) = outer;
        self.boolean(bound?, "HAVING").map(Some)
    }

    fn named_windows(
        &mut self,
        definitions: &[ast::NamedWindowDefinition],
    ) -> Result<(), SqlError> {
        for ast::NamedWindowDefinition(ident, definition) in definitions {
            let name = Self::name(ident);
            if self.scope().windows.iter().any(|(it, _)| *it == name) {
                return Err(SqlError::new(
                    SqlState::WINDOWING_ERROR,
                    format!("window \"{name}\" is already defined"),
                )
                .at(self.span_start(ident.span).position()));
            }
            let ast::NamedWindowExpr::WindowSpec(spec) = definition else {
                return Err(SqlError::unsupported("a window that is another by name"));
            };
            let window = self.window_spec(spec)?;
            self.scope().windows.push((name, window));
        }
        Ok(())
    }

    /// Binds a target list; also of RETURNING.
    ///
    /// # Errors
    /// What binding the items reports.
    pub(crate) fn target_list(
        &mut self,
        projection: &[SelectItem],
    ) -> Result<(Vec<Expr>, Vec<OutputColumn>), SqlError> {
        let targets = self.targets(projection)?;
        let columns = self.output_columns_of(&targets);
        Ok((targets.items, columns))
    }

    fn targets(&mut self, projection: &[SelectItem]) -> Result<Targets, SqlError> {
        let mut targets = Targets::default();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(ast::Expr::Identifier(mark))
                    if mark.value == parse::rewrite::NO_ITEMS => {}
                SelectItem::UnnamedExpr(ast::Expr::Function(call)) if is_expansion(call) => {
                    let row = match &call.args {
                        ast::FunctionArguments::List(list) => list.args.first(),
                        _ => None,
                    };
                    if let Some(ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(row))) = row {
                        let row = self.expr(row)?;
                        self.expand_row(row, &mut targets)?;
                    }
                }
                SelectItem::UnnamedExpr(expr) => {
                    let bound = self.expr(expr)?;
                    targets.add(output_name(expr), self.placed(bound, expr), expr);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let bound = self.expr(expr)?;
                    targets.add(Self::name(alias), self.placed(bound, expr), expr);
                }
                SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    let at = self.span_start(options.wildcard_token.0.span);
                    self.expand_all(&mut targets, at)?;
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    plain_wildcard(options)?;
                    self.expand_qualified(kind, &mut targets)?;
                }
                SelectItem::ExprWithAliases { .. } => {
                    return Err(SqlError::unsupported("several aliases of one column"));
                }
            }
        }
        if targets.items.len() > COLUMNS_MAX {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("target lists can have at most {COLUMNS_MAX} entries"),
            ));
        }
        Ok(targets)
    }

    /// An expression with a place for errors, where it has none yet and may need one.
    fn placed(&self, bound: Expr, expr: &ast::Expr) -> Expr {
        if bound.at.0 == 0 && bound.is_unknown() {
            let at = self.expr_start(expr);
            return bound.at(at);
        }
        bound
    }

    fn expand_all(&mut self, targets: &mut Targets, at: At) -> Result<(), SqlError> {
        let scope = &self.scopes[self.scopes.len() - 1];
        if scope.relations.is_empty() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "SELECT * with no tables specified is not valid",
            )
            .at(at.position()));
        }
        for column in &scope.columns {
            targets.names.push(self.scope_column_name(column).to_owned());
            targets.items.push(self.scope_column(column, at));
        }
        Ok(())
    }

    fn expand_qualified(
        &mut self,
        kind: &SelectItemQualifiedWildcardKind,
        targets: &mut Targets,
    ) -> Result<(), SqlError> {
        let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
            return Err(SqlError::unsupported("this form of *"));
        };
        let at = self.start_of(name);
        let (schema, table) = self.qualified(name)?;
        let relation = self
            .find_relation(schema.as_deref(), &table, at)?
            .ok_or_else(|| self.missing_relation(schema.as_deref(), &table, at))?;
        let columns = &self.relations.get(relation).columns;
        for (index, column) in (0u16..).zip(columns).filter(|(_, column)| column.is_listed()) {
            targets.names.push(column.name.clone());
            targets.items.push(self.column(relation, index, at));
        }
        Ok(())
    }

    /// `(row).*`: the fields of a composite value.
    fn expand_row(&mut self, row: Expr, targets: &mut Targets) -> Result<(), SqlError> {
        let at = row.at;
        if let Node::WholeRow(relation) = row.node {
            let columns = self.relations.get(relation).columns.clone();
            for (index, column) in (0u16..).zip(columns).filter(|(_, column)| column.is_listed()) {
                targets.names.push(column.name);
                targets.items.push(self.column(relation, index, at));
            }
            return Ok(());
        }
        if let Node::Row(fields) = row.node {
            for (number, field) in (1..).zip(fields) {
                targets.names.push(format!("f{number}"));
                targets.items.push(field);
            }
            return Ok(());
        }
        let declared = self.row_type_columns(row.type_oid);
        let Some(fields) = declared.or_else(|| self.record_fields(&row)) else {
            let found = self.types.format(row.type_oid);
            let message = format!("type {found} is not composite");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(at.position()));
        };
        for (index, (name, type_oid, typmod)) in (0u16..).zip(fields) {
            let node = Node::Field(Box::new(row.clone()), index);
            targets.names.push(name);
            targets.items.push(Expr { node, type_oid, typmod, at });
        }
        Ok(())
    }

    /// `ORDER BY` of a `SELECT`: an ordinal, an output name, or an expression over the input.
    fn order_by(
        &mut self,
        keys: &[ast::OrderByExpr],
        targets: &mut Targets,
    ) -> Result<Vec<SortKey>, SqlError> {
        let mut bound = Vec::with_capacity(keys.len());
        for key in keys {
            let ast::OrderByExpr { expr, options, with_fill } = key;
            if with_fill.is_some() {
                return Err(SqlError::unsupported("WITH FILL"));
            }
            let at = self.expr_start(expr);
            let by = match self.output_reference(expr, targets, "ORDER BY")? {
                Some(index) => SortBy::Output(index),
                None => {
                    let expr = self.expr(expr)?;
                    match targets.items.iter().position(|item| *item == expr) {
                        Some(index) => SortBy::Output(index),
                        None => SortBy::Expr(expr),
                    }
                }
            };
            let by = self.sortable(by, targets, at)?;
            let (descending, nulls_first) = Self::sort_direction(options)?;
            bound.push(SortKey { by, descending, nulls_first });
        }
        Ok(bound)
    }

    /// Settles what is ordered by as text if it has no type, and requires an order of it.
    fn sortable(&mut self, by: SortBy, targets: &mut Targets, at: At) -> Result<SortBy, SqlError> {
        let (by, type_oid) = match by {
            SortBy::Output(index) => {
                self.settle_item(&mut targets.items[index])?;
                (SortBy::Output(index), targets.items[index].type_oid)
            }
            SortBy::Expr(mut expr) => {
                self.settle_item(&mut expr)?;
                let type_oid = expr.type_oid;
                (SortBy::Expr(expr), type_oid)
            }
        };
        require_ordering(self.types, type_oid).map_err(|error| error.at(at.position()))?;
        Ok(by)
    }

    fn settle_item(&mut self, item: &mut Expr) -> Result<(), SqlError> {
        if item.is_unknown() {
            let untyped = std::mem::replace(item, Expr::null());
            *item = self.implicit(untyped, Oid::TEXT)?;
        }
        Ok(())
    }

    /// The output column that a key of `ORDER BY` or `DISTINCT ON` means by ordinal or by name.
    fn output_reference(
        &mut self,
        expr: &ast::Expr,
        targets: &Targets,
        clause: &str,
    ) -> Result<Option<usize>, SqlError> {
        match unparenthesized(expr) {
            ast::Expr::Identifier(ident) => {
                let name = Self::name(ident);
                let at = self.span_start(ident.span);
                named_target(targets, &name, clause, at)
            }
            _ => self.ordinal(expr, targets.items.len(), clause),
        }
    }

    /// The output column that an integer literal means.
    pub(crate) fn ordinal(
        &self,
        expr: &ast::Expr,
        count: usize,
        clause: &str,
    ) -> Result<Option<usize>, SqlError> {
        let (value, sign) = match unparenthesized(expr) {
            ast::Expr::Value(value) => (value, ""),
            ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => match &**expr {
                ast::Expr::Value(value) => (value, "-"),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let at = self.span_start(value.span);
        let at = if sign.is_empty() { at } else { at.before() };
        let ast::Value::Number(text, _) = &value.value else {
            if matches!(value.value, ast::Value::Placeholder(_)) {
                return Ok(None);
            }
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("non-integer constant in {clause}"),
            )
            .at(at.position()));
        };
        let number: Option<i64> = format!("{sign}{text}").parse().ok();
        let Some(number) = number else {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("non-integer constant in {clause}"),
            )
            .at(at.position()));
        };
        let index = usize::try_from(number - 1).ok().filter(|index| *index < count);
        if index.is_some() {
            return Ok(index);
        }
        Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            format!("{clause} position {number} is not in select list"),
        )
        .at(at.position()))
    }

    /// `GROUP BY`: input columns, then output names and ordinals; and the grouping sets, if there are any.
    fn group_by(
        &mut self,
        group_by: &GroupByExpr,
        targets: &mut Targets,
    ) -> Result<Grouping, SqlError> {
        let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported("this modifier of GROUP BY"));
        }
        let rules = CallRules {
            no_aggregates: Some("GROUP BY"),
            no_windows: Some("GROUP BY"),
            ..self.scope().calls
        };
        let outer = std::mem::replace(&mut self.scope().calls, rules);
        let result = self.grouping_elements(exprs, targets);
        self.scope().calls = outer;
        result
    }

    /// Binds one grouping expression and gives its index among the keys.
    pub(super) fn grouping_key(
        &mut self,
        expr: &ast::Expr,
        targets: &mut Targets,
        keys: &mut Vec<Expr>,
    ) -> Result<usize, SqlError> {
        let at = self.expr_start(expr);
        let mut key = match unparenthesized(expr) {
            ast::Expr::Identifier(ident) => {
                let name = Self::name(ident);
                let local = self.local_column(&name, at)?;
                match local {
                    Some(column) => column,
                    None => match named_target(targets, &name, "GROUP BY", at)? {
                        Some(index) => self.target_key(targets, index)?,
                        None => self.expr(expr)?,
                    },
                }
            }
            plain => {
                let ordinal = self.ordinal(expr, targets.items.len(), "GROUP BY")?;
                let same = targets.queries.iter().find(|(written, _)| written == plain);
                match ordinal.or(same.map(|(_, index)| *index)) {
                    Some(index) => self.target_key(targets, index)?,
                    None => self.expr(expr)?,
                }
            }
        };
        self.settle_item(&mut key)?;
        if let Some(call) = first_aggregate(&key) {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                "aggregate functions are not allowed in GROUP BY",
            )
            .at(call.position()));
        }
        let is_window =
            |it: &Expr| matches!(&it.node, Node::Aggregate(call) if call.over.is_some());
        let mut window = None;
        key.any(&mut |it| {
            window = window.or_else(|| is_window(it).then_some(it.at));
            window.is_some()
        });
        if let Some(call) = window {
            let message = "window functions are not allowed in GROUP BY";
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(call.position()));
        }
        require_equality(self.types, key.type_oid).map_err(|error| error.at(at.position()))?;
        Ok(keys.iter().position(|it| *it == key).unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        }))
    }

    fn target_key(&mut self, targets: &mut Targets, index: usize) -> Result<Expr, SqlError> {
        self.settle_item(&mut targets.items[index])?;
        Ok(targets.items[index].clone())
    }

    /// A column of this level, by unqualified name.
    fn local_column(&mut self, name: &str, at: At) -> Result<Option<Expr>, SqlError> {
        let scope = &self.scopes[self.scopes.len() - 1];
        let mut found: Vec<&ScopeColumn> =
            scope.columns.iter().filter(|column| self.scope_column_name(column) == name).collect();
        if found.len() > 1 {
            return Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{name}\" is ambiguous"),
            )
            .at(at.position()));
        }
        Ok(found.pop().map(|column| self.scope_column(column, at)))
    }

    fn distinct(
        &mut self,
        distinct: Option<&ast::Distinct>,
        targets: &mut Targets,
        order_by: &[SortKey],
    ) -> Result<Distinct, SqlError> {
        match distinct {
            None | Some(ast::Distinct::All) => Ok(Distinct::No),
            Some(ast::Distinct::Distinct) => {
                for item in &mut targets.items {
                    self.settle_item(item)?;
                    require_equality(self.types, item.type_oid)
                        .map_err(|error| error.at(item.at.position()))?;
                }
                if order_by.iter().any(|key| matches!(key.by, SortBy::Expr(_))) {
                    return Err(SqlError::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                    )
                    .at(order_by.iter().find_map(|key| match &key.by {
                        SortBy::Expr(expr) => expr.at.position(),
                        SortBy::Output(_) => None,
                    })));
                }
                Ok(Distinct::Rows)
            }
            Some(ast::Distinct::On(exprs)) => self.distinct_on(exprs, targets, order_by),
        }
    }

    fn distinct_on(
        &mut self,
        exprs: &[ast::Expr],
        targets: &mut Targets,
        order_by: &[SortKey],
    ) -> Result<Distinct, SqlError> {
        let mut keys = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let at = self.expr_start(expr);
            let key = match self.output_reference(expr, targets, "DISTINCT ON")? {
                Some(index) => self.target_key(targets, index)?,
                None => self.expr(expr)?,
            };
            require_equality(self.types, key.type_oid).map_err(|error| error.at(at.position()))?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let leading = order_by.iter().take(keys.len()).map(|key| match &key.by {
            SortBy::Output(index) => &targets.items[*index],
            SortBy::Expr(expr) => expr,
        });
        let matches = leading.into_iter().all(|key| keys.contains(key));
        if !matches {
            let at = exprs.first().map_or(At(0), |expr| self.expr_start(expr));
            return Err(SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            )
            .at(at.position()));
        }
        Ok(Distinct::On(keys))
    }
}

/// The clauses of a `SELECT` that PostgreSQL has.
struct SelectParts<'e> {
    distinct: Option<&'e ast::Distinct>,
    projection: &'e [SelectItem],
    from: &'e [ast::TableWithJoins],
    filter: Option<&'e ast::Expr>,
    group_by: &'e GroupByExpr,
    having: Option<&'e ast::Expr>,
    windows: &'e [ast::NamedWindowDefinition],
}

impl<'e> SelectParts<'e> {
    /// Takes a `SELECT` apart.
    ///
    /// # Errors
    /// 0A000 for clauses of other dialects.
    fn of(select: &'e ast::Select, binder: &Binder<'_>) -> Result<Self, SqlError> {
        let ast::Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if let Some(into) = into {
            let message = "SELECT ... INTO is not allowed here";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .at(into.targets.first().and_then(|it| binder.expr_start(it).position())));
        }
        let foreign = !optimizer_hints.is_empty()
            || select_modifiers.is_some()
            || top.is_some()
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || qualify.is_some()
            || value_table_mode.is_some()
            || *flavor != ast::SelectFlavor::Standard;
        if foreign {
            return Err(SqlError::unsupported("this clause of SELECT"));
        }
        Ok(Self {
            distinct: distinct.as_ref(),
            projection,
            from,
            filter: selection.as_ref(),
            group_by,
            having: having.as_ref(),
            windows: named_window,
        })
    }
}

/// Whether a call stands for `(row).*`.
fn is_expansion(call: &ast::Function) -> bool {
    match &call.name.0[..] {
        [ast::ObjectNamePart::Identifier(name)] => name.value == parse::rewrite::EXPAND,
        _ => false,
    }
}

fn plain_wildcard(options: &ast::WildcardAdditionalOptions) -> Result<(), SqlError> {
    let ast::WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    if plain { Ok(()) } else { Err(SqlError::unsupported("options of *")) }
}

/// What stands inside parentheses.
pub(crate) fn unparenthesized(expr: &ast::Expr) -> &ast::Expr {
    let mut expr = expr;
    while let ast::Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// The output column of this name; two of them must be the same expression.
fn named_target(
    targets: &Targets,
    name: &str,
    clause: &str,
    at: At,
) -> Result<Option<usize>, SqlError> {
    let mut found = (0..targets.items.len()).filter(|index| targets.names[*index] == name);
    let Some(first) = found.next() else { return Ok(None) };
    if found.any(|index| targets.items[index] != targets.items[first]) {
        return Err(SqlError::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("{clause} \"{name}\" is ambiguous"),
        )
        .at(at.position()));
    }
    Ok(Some(first))
}

/// Where the first aggregate inside stands; subqueries are not entered.
pub(crate) fn first_aggregate(expr: &Expr) -> Option<At> {
    match &expr.node {
        Node::Aggregate(aggregate) if aggregate.over.is_none() => Some(expr.at),
        _ => expr.children().into_iter().find_map(first_aggregate),
    }
}
