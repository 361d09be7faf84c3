//! Operators and the predicates that are made of them: IN, BETWEEN, LIKE, ANY, ALL, row comparison.
//!
//! Each resolves to rows of `pg_operator`. Where the operator is one that SQLite has natively over the same storage form,
//! the predicate keeps its shape (`IN`, `BETWEEN`), because that is what SQLite uses indexes for; otherwise it is taken
//! apart into calls.

use sqlparser::ast::{self, BinaryOperator};

use super::binder::Binder;
use super::expression::{negate, operator_name};
use super::query::plain_query;
use super::resolve::{resolve_array_operator, resolve_operator, select_common_type};
use super::tree::{
    At, Body, Call, ELEMENT, Expr, FromItem, Negated, Node, Quantified, Quantity, Query,
    RelationId, RowCompare, Select, Source,
};
use crate::builtin::{self, CastContext, FunctionRow, OperatorRow};
use crate::error::{SqlError, SqlState};
use crate::lower::is_native_comparison;
use crate::oid::Oid;

impl Binder<'_> {
    /// `left name right`.
    ///
    /// # Errors
    /// 42883 and 42725 with the operator's position.
    pub(crate) fn binary_operator(
        &mut self,
        name: &str,
        left: Expr,
        right: Expr,
        at: At,
    ) -> Result<Expr, SqlError> {
        if let (Node::Row(_), Node::Row(_)) = (&left.node, &right.node) {
            return self.compare_rows(name, left, right, at);
        }
        let name = if name == "!=" { "<>" } else { name };
        let resolved = resolve_operator(self.types, name, Some(left.type_oid), right.type_oid)
            .map_err(|error| error.at(at.position()))?;
        let left_type = resolved.left.unwrap_or(resolved.row.left);
        let arguments =
            vec![self.implicit(left, left_type)?, self.implicit(right, resolved.right)?];
        Self::operator_expr(resolved.row, arguments, resolved.result, at)
    }

    /// `name operand`.
    ///
    /// # Errors
    /// As [`Self::binary_operator`].
    pub(crate) fn prefix_operator(
        &mut self,
        name: &str,
        operand: Expr,
        at: At,
    ) -> Result<Expr, SqlError> {
        let resolved = resolve_operator(self.types, name, None, operand.type_oid)
            .map_err(|error| error.at(at.position()))?;
        let operand = self.implicit(operand, resolved.right)?;
        Self::operator_expr(resolved.row, vec![operand], resolved.result, at)
    }

    fn operator_expr(
        operator: &'static OperatorRow,
        arguments: Vec<Expr>,
        result: Oid,
        at: At,
    ) -> Result<Expr, SqlError> {
        let call = Self::call_of(operator, arguments)?;
        Ok(Expr::new(Node::Call(Box::new(call)), result).at(at))
    }

    fn call_of(operator: &'static OperatorRow, arguments: Vec<Expr>) -> Result<Call, SqlError> {
        let row = builtin::function_by_oid(operator.function)
            .ok_or_else(|| SqlError::unsupported(format!("the operator {}", operator.name)))?;
        let type_arguments = type_arguments(row, &arguments);
        Ok(Call { row, operator: Some(operator), arguments, type_arguments })
    }

    /// `(a, b) op (c, d)`.
    ///
    /// # Errors
    /// 42601 for rows of unequal length, 0A000 for an order that is not native.
    pub(crate) fn compare_rows(
        &mut self,
        name: &str,
        left: Expr,
        right: Expr,
        at: At,
    ) -> Result<Expr, SqlError> {
        let (Node::Row(left), Node::Row(right)) = (left.node, right.node) else {
            return Err(SqlError::unsupported("this row comparison"));
        };
        require_same_width(left.len(), right.len(), at)?;
        let (Some(first), Some(second)) = (left.first(), right.first()) else {
            let message = "cannot compare rows of zero length";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at.position()));
        };
        let operator = match name {
            "=" => "=",
            "<>" | "!=" => "<>",
            "<" => "<",
            "<=" => "<=",
            ">" => ">",
            ">=" => ">=",
            "~<~" | "~<=~" | "~>~" | "~>=~" => {
                let what = format!("row comparison with {name}");
                return Err(SqlError::unsupported(what).at(at.position()));
            }
            other => {
                self.binary_operator(other, first.clone(), second.clone(), at)?;
                let message = format!(
                    "could not determine interpretation of row comparison operator {other}"
                );
                let hint =
                    "Row comparison operators must be associated with btree operator families.";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .with_hint(hint)
                    .at(at.position()));
            }
        };
        let mut tests = Vec::with_capacity(left.len());
        for (left, right) in left.into_iter().zip(right) {
            tests.push(self.binary_operator(operator, left, right, at)?);
        }
        let node = match operator {
            "=" => Node::And(tests),
            "<>" => Node::Or(tests),
            _ => {
                let mut pairs = Vec::with_capacity(tests.len());
                for test in tests {
                    let Node::Call(call) = test.node else {
                        return Err(SqlError::unsupported("comparison of nested rows"));
                    };
                    if !is_native_comparison(call.row.oid) {
                        return Err(SqlError::unsupported("comparison of rows of these types"));
                    }
                    pairs.push(*call);
                }
                Node::RowCompare(RowCompare { operator, pairs })
            }
        };
        Ok(Expr::new(node, Oid::BOOL).at(at))
    }

    /// `(a, b) op (SELECT …)`: the comparison made in a query over the subquery, NULL if that has no row.
    pub(crate) fn compare_row_with_query(
        &mut self,
        name: &str,
        row: Expr,
        query: &ast::Query,
        at: At,
    ) -> Result<Expr, SqlError> {
        let Node::Row(fields) = &row.node else {
            return Err(SqlError::unsupported("this row comparison"));
        };
        let query = self.subquery(query)?;
        let (width, found) = (fields.len(), query.columns.len());
        if width != found {
            let few = if found < width { "few" } else { "many" };
            let message = format!("subquery has too {few} columns");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()));
        }
        let one_row = query.yields_one_row();
        let relation = self.add_subquery(query);
        let columns = self.whole_row_fields(relation, at);
        let other = Expr::new(Node::Row(columns), Oid::RECORD);
        let test = self.compare_rows(name, row, other, at)?;
        let column = self.output_column(&test, String::new());
        let select = Select::over(relation, vec![test]);
        let mut over = plain_query(Body::Select(Box::new(select)), vec![column]);
        if one_row {
            over.limit = Some(Expr::int4(1));
        }
        Ok(Expr::new(Node::Subquery(Box::new(over)), Oid::BOOL).at(at))
    }

    /// `operand [NOT] IN (list)`.
    pub(crate) fn in_list(
        &mut self,
        operand: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_after(operand);
        let operand = self.expr(operand)?;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(self.expr(item)?);
        }
        self.in_items(operand, items, negated, at)
    }

    /// `IN` over bound items.
    fn in_items(
        &mut self,
        operand: Expr,
        items: Vec<Expr>,
        negated: bool,
        at: At,
    ) -> Result<Expr, SqlError> {
        let types: Vec<Oid> = items
            .iter()
            .chain([&operand])
            .filter(|it| !matches!(it.node, Node::Row(_)))
            .map(|it| it.type_oid)
            .collect();
        let rows = types.len() != items.len() + 1;
        let common = if rows { None } else { select_common_type(self.types, &types, "IN").ok() };
        if let Some(common) = common {
            let resolved = resolve_operator(self.types, "=", Some(operand.type_oid), common)
                .map_err(|error| error.at(at.position()))?;
            if is_native_comparison(resolved.row.function) {
                let operand = self.implicit(operand, resolved.left.unwrap_or(common))?;
                let items = items
                    .into_iter()
                    .map(|item| self.implicit(item, resolved.right))
                    .collect::<Result<Vec<_>, _>>()?;
                let node = Node::InList(Box::new(operand), items, Negated::from(negated));
                return Ok(Expr::new(node, Oid::BOOL).at(at));
            }
        }
        self.computed_once(operand, |binder, operand| {
            let mut tests = Vec::with_capacity(items.len());
            for item in items {
                tests.push(binder.binary_operator("=", operand.clone(), item, at)?);
            }
            Ok(negate(Expr::new(Node::Or(tests), Oid::BOOL).at(at), negated))
        })
    }

    /// `operand [NOT] BETWEEN low AND high`.
    pub(crate) fn between(
        &mut self,
        operand: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_after(operand);
        let (operand, low, high) = (self.expr(operand)?, self.expr(low)?, self.expr(high)?);
        let above = self.binary_operator(">=", operand.clone(), low, at)?;
        let operand = match (&operand.node, &above.node) {
            (Node::Parameter(number), Node::Call(call)) if operand.is_unknown() => {
                Expr::new(Node::Parameter(*number), call.arguments[0].type_oid).at(operand.at)
            }
            _ => operand,
        };
        let below = self.binary_operator("<=", operand, high, at)?;
        if let (Node::Call(above), Node::Call(below)) = (&above.node, &below.node)
            && let ([operand, low], [same, high]) = (&above.arguments[..], &below.arguments[..])
            && operand == same
            && is_native_comparison(above.row.oid)
            && is_native_comparison(below.row.oid)
        {
            let parts = Box::new([operand.clone(), low.clone(), high.clone()]);
            return Ok(Expr::new(Node::Between(parts, Negated::from(negated)), Oid::BOOL).at(at));
        }
        Ok(negate(Expr::new(Node::And(vec![above, below]), Oid::BOOL).at(at), negated))
    }

    /// `LIKE`, `ILIKE` and `SIMILAR TO`.
    pub(crate) fn like(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        use ast::Expr as Ast;
        let (name, any, operand, pattern, escape, escaper) = match expr {
            Ast::Like { negated, any, expr, pattern, escape_char } => {
                let name = if *negated { "!~~" } else { "~~" };
                (name, *any, expr, pattern, escape_char, "like_escape")
            }
            Ast::ILike { negated, any, expr, pattern, escape_char } => {
                let name = if *negated { "!~~*" } else { "~~*" };
                (name, *any, expr, pattern, escape_char, "like_escape")
            }
            Ast::SimilarTo { negated, expr, pattern, escape_char } => {
                let name = if *negated { "!~" } else { "~" };
                (name, false, expr, pattern, escape_char, "similar_to_escape")
            }
            _ => return Err(SqlError::unsupported("this pattern match")),
        };
        if any {
            return self.quantified_named(operand, name, pattern, false);
        }
        let at = self.operator_after(operand);
        let (operand, mut pattern) = (self.expr(operand)?, self.expr(pattern)?);
        if escape.is_some() || escaper == "similar_to_escape" {
            let mut arguments = vec![pattern];
            if let Some(escape) = escape {
                arguments.push(self.expr(escape)?);
            }
            pattern = self.call_named(escaper, arguments, at)?;
        }
        self.binary_operator(name, operand, pattern, at)
    }

    /// `left op ANY | ALL (right)`.
    pub(crate) fn quantified(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        all: bool,
    ) -> Result<Expr, SqlError> {
        self.quantified_named(left, operator_name(op)?, right, all)
    }

    fn quantified_named(
        &mut self,
        left: &ast::Expr,
        name: &str,
        right: &ast::Expr,
        all: bool,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_after(left);
        let left = self.expr(left)?;
        let mut right = right;
        while let ast::Expr::Nested(inner) = right {
            right = inner;
        }
        if let ast::Expr::Subquery(query) = right {
            return self.quantified_query(left, name, query, all, at);
        }
        let right = self.expr(right)?;
        let is_list = match name {
            "=" => !all,
            "<>" => all,
            _ => false,
        };
        if is_list
            && let Node::Array(items) = &right.node
            && !items.is_empty()
            && items.iter().all(|item| self.types.element(item.type_oid).is_none())
        {
            return self.in_items(left, items.clone(), all, at);
        }
        self.any_of_array(left, name, right, all, at)
    }

    /// `left op ANY | ALL (array)`.
    pub(crate) fn any_of_array(
        &mut self,
        left: Expr,
        name: &str,
        right: Expr,
        all: bool,
        at: At,
    ) -> Result<Expr, SqlError> {
        let resolved = resolve_array_operator(self.types, name, left.type_oid, right.type_oid)
            .map_err(|error| error.at(at.position()))?;
        let operator = resolved.operator;
        let left = self.implicit(left, operator.left.unwrap_or(operator.row.left))?;
        let right = self.implicit(right, resolved.array)?;
        let element = Expr::new(Node::Column(ELEMENT, 0), operator.right);
        let call = Self::call_of(operator.row, vec![left, element])?;
        let node = Quantified { call, all, over: Quantity::Array(right) };
        Ok(Expr::new(Node::Quantified(Box::new(node)), Oid::BOOL).at(at))
    }

    fn quantified_query(
        &mut self,
        left: Expr,
        name: &str,
        query: &ast::Query,
        all: bool,
        at: At,
    ) -> Result<Expr, SqlError> {
        if (name, all) == ("=", false) {
            return self.in_bound_query(left, query, false, at);
        }
        if (name, all) == ("<>", true) {
            return self.in_bound_query(left, query, true, at);
        }
        let mut query = self.subquery(query)?;
        self.one_column(&query, at)?;
        let column = query.columns[0].type_oid;
        let resolved = resolve_operator(self.types, name, Some(left.type_oid), column)
            .map_err(|error| error.at(at.position()))?;
        let left = self.implicit(left, resolved.left.unwrap_or(resolved.row.left))?;
        self.coerce_output(&mut query, 0, resolved.right, -1, CastContext::Implicit)?;
        let element = Expr::new(Node::Column(ELEMENT, 0), resolved.right);
        let call = Self::call_of(resolved.row, vec![left, element])?;
        let node = Quantified { call, all, over: Quantity::Query(Box::new(query)) };
        Ok(Expr::new(Node::Quantified(Box::new(node)), Oid::BOOL).at(at))
    }

    /// `operand [NOT] IN (SELECT …)`.
    pub(crate) fn in_subquery(
        &mut self,
        operand: &ast::Expr,
        query: &ast::Query,
        negated: bool,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_after(operand);
        let operand = self.expr(operand)?;
        self.in_bound_query(operand, query, negated, at)
    }

    fn in_bound_query(
        &mut self,
        operand: Expr,
        query: &ast::Query,
        negated: bool,
        at: At,
    ) -> Result<Expr, SqlError> {
        let mut query = self.subquery(query)?;
        let operands = match operand.node {
            Node::Row(fields) => fields,
            node => vec![Expr { node, ..operand }],
        };
        if operands.len() != query.columns.len() {
            let few = query.columns.len() < operands.len();
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("subquery has too {} columns", if few { "few" } else { "many" }),
            )
            .at(at.position()));
        }
        let mut coerced = Vec::with_capacity(operands.len());
        let mut native = true;
        let mut last_row = None;
        for (index, operand) in operands.into_iter().enumerate() {
            let column = query.columns[index].type_oid;
            let resolved = resolve_operator(self.types, "=", Some(operand.type_oid), column)
                .map_err(|error| error.at(at.position()))?;
            native &= is_native_comparison(resolved.row.function);
            coerced.push(self.implicit(operand, resolved.left.unwrap_or(column))?);
            if column != resolved.right {
                self.coerce_output(&mut query, index, resolved.right, -1, CastContext::Implicit)?;
            }
            last_row = Some(resolved.row);
        }
        if native {
            let node = Node::InQuery(coerced, Box::new(query), Negated::from(negated));
            return Ok(Expr::new(node, Oid::BOOL).at(at));
        }
        let ([_], Some(row)) = (&coerced[..], last_row) else {
            return Err(SqlError::unsupported("IN over rows of these types").at(at.position()));
        };
        let element = Expr::new(Node::Column(ELEMENT, 0), query.columns[0].type_oid);
        coerced.push(element);
        let call = Self::call_of(row, coerced)?;
        let node = Quantified { call, all: false, over: Quantity::Query(Box::new(query)) };
        let any = Expr::new(Node::Quantified(Box::new(node)), Oid::BOOL).at(at);
        Ok(negate(any, negated))
    }

    /// `[NOT] EXISTS (SELECT …)`.
    pub(crate) fn exists(&mut self, query: &ast::Query, negated: bool) -> Result<Expr, SqlError> {
        let query = self.subquery(query)?;
        Ok(negate(Expr::new(Node::Exists(Box::new(query)), Oid::BOOL), negated))
    }

    /// `(SELECT …)` as a value.
    pub(crate) fn scalar_subquery(&mut self, query: &ast::Query) -> Result<Expr, SqlError> {
        let at = self.start_of(query);
        let mut bound = self.subquery(query)?;
        self.one_column(&bound, at)?;
        if !bound.yields_one_row() && self.finds_by_key(&bound) {
            bound.limit = Some(Expr::int4(1));
        }
        let (type_oid, typmod) = (bound.columns[0].type_oid, bound.columns[0].typmod);
        Ok(Expr { node: Node::Subquery(Box::new(bound)), type_oid, typmod, at })
    }

    /// Whether a query reads one table by equality with each column of its key, and so finds one row at most.
    fn finds_by_key(&self, query: &Query) -> bool {
        let Body::Select(select) = &query.body else { return false };
        let [FromItem::Relation(id)] = &select.from[..] else { return false };
        let (Source::Table(_, oid), Some(filter)) =
            (&self.relations.get(*id).source, &select.filter)
        else {
            return false;
        };
        let Some(table) = self.cx.catalog.tables.get(oid) else { return false };
        let terms = match &filter.node {
            Node::And(terms) => &terms[..],
            _ => std::slice::from_ref(filter),
        };
        let found: Vec<i16> =
            terms.iter().filter_map(|term| self.fixed_column(term, *id)).collect();
        !table.key.is_empty() && table.key.iter().all(|attnum| found.contains(attnum))
    }

    /// The column of a relation that a condition sets equal to something outside of that relation.
    fn fixed_column(&self, term: &Expr, relation: RelationId) -> Option<i16> {
        let Node::Call(call) = &term.node else { return None };
        if call.operator.is_none_or(|row| row.name != "=") {
            return None;
        }
        let [left, right] = &call.arguments[..] else { return None };
        let own = |it: &Expr| matches!(it.node, Node::Column(id, _) if id == relation);
        [(left, right), (right, left)].into_iter().find_map(|(column, value)| {
            let Node::Column(id, index) = column.node else { return None };
            let inside = value.any(&mut |it| own(it) || it.query().is_some());
            if id != relation || inside {
                return None;
            }
            self.relations.get(id).columns[usize::from(index)].origin.map(|(_, attnum)| attnum)
        })
    }

    fn one_column(&self, query: &Query, at: At) -> Result<(), SqlError> {
        if query.columns.len() == 1 {
            return Ok(());
        }
        Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column")
            .at(at.position()))
    }

    /// A query inside an expression: unknown outputs become text.
    pub(crate) fn subquery(&mut self, query: &ast::Query) -> Result<Query, SqlError> {
        let mut bound = self.nested(|binder| binder.query(query))?;
        self.settle_unknown(&mut bound)?;
        Ok(bound)
    }
}

/// Requires two rows that are compared to have as many columns.
///
/// # Errors
/// 42601.
pub(crate) fn require_same_width(left: usize, right: usize, at: At) -> Result<(), SqlError> {
    if left == right {
        return Ok(());
    }
    let message = "unequal number of entries in row expressions";
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()))
}

/// The type OIDs that a call is passed after its arguments: those of its pseudo-type arguments or, of a constructor of ranges
/// whose C function makes all types of them, that of its result.
pub(crate) fn type_arguments(row: &FunctionRow, arguments: &[Expr]) -> Vec<Oid> {
    let types = pseudo_types(row.arguments, arguments);
    let constructs = row.source.starts_with("range_constructor")
        || row.source.starts_with("multirange_constructor");
    if constructs && types.is_empty() { vec![row.result] } else { types }
}

/// The actual types of the arguments whose declared type is a pseudo-type; the last declared type stands for all further
/// arguments.
fn pseudo_types(declared: &[Oid], arguments: &[Expr]) -> Vec<Oid> {
    let is_pseudo = |oid: &Oid| builtin::type_by_oid(*oid).is_some_and(|row| row.category == b'P');
    let last = declared.last().filter(|oid| is_pseudo(oid));
    arguments
        .iter()
        .enumerate()
        .filter(|(index, _)| declared.get(*index).or(last).is_some_and(is_pseudo))
        .map(|(_, argument)| argument.type_oid)
        .collect()
}
