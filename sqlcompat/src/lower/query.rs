//! Queries in SQLite's SQL.
//!
//! | PostgreSQL | here |
//! |---|---|
//! | `LATERAL (SELECT …)` | `json_each` over the subquery's rows as JSON: table-valued functions may refer to their left |
//! | `DISTINCT ON` | `row_number()` over the keys, and the first of each |
//! | `INTERSECT ALL`, `EXCEPT ALL` | the plain operation over rows numbered within their equals |
//! | `VALUES`, set operations with ORDER BY | a subquery, so that names and collations can be put on its columns |
//! | a subquery or CTE with volatile outputs | a materialized CTE, so that each output is computed once a row |
//! | `SELECT` of no columns | one NULL column, which the plan does not list |

use super::expression::Lowering;
use super::literal::quote_identifier;
use crate::bind::tree::{
    Body, Cte, Distinct, Expr, FromItem, FunctionSource, Join, JoinKind, Node, OutputColumn, Query,
    RelationId, Select, SetKind, SetOperation, SortBy, SortKey, Source,
};
use crate::builtin::implementation_name;
use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::implemented;
use crate::oid::Oid;

/// Most terms of a compound `SELECT` in SQLite (`SQLITE_LIMIT_COMPOUND_SELECT`); more is refused with 54001.
pub(super) const COMPOUND_TERMS_MAX: usize = 500;

/// Most relations that SQLite joins; more is refused with 54001.
const RELATIONS_MAX: usize = 64;

/// Whether output columns need names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outputs {
    /// Read by position.
    Anonymous,
    /// Read from outside as `c1`, `c2`, ….
    Named,
}

impl Lowering<'_> {
    /// Writes a query.
    ///
    /// # Errors
    /// 0A000 for what cannot be lowered.
    pub(crate) fn query(&mut self, query: &Query) -> Result<(), SqlError> {
        let outputs = if std::mem::take(&mut self.named_outputs) {
            Outputs::Named
        } else {
            Outputs::Anonymous
        };
        self.ctes(&query.ctes)?;
        if query.with_ties {
            return self.with_ties(query);
        }
        let correlated = |count: &Expr| count.any(&mut |it| matches!(it.node, Node::Column(..)));
        if query.limit.iter().chain(&query.offset).any(correlated) {
            return self.counted(query);
        }
        match &query.body {
            Body::Select(select) => {
                if let Distinct::On(keys) = &select.distinct {
                    self.distinct_on(query, select, keys)?;
                } else {
                    self.select(select, outputs, false)?;
                    self.order_by(query, |lowering, index| {
                        lowering.push(format_args!("{}", index + 1));
                        lowering.collate(query.columns[index].type_oid);
                    })?;
                }
            }
            Body::Values(rows) => self.values(query, rows, outputs)?,
            Body::SetOperation(operation) => self.compound(query, operation, outputs)?,
        }
        self.limits(query)
    }

    /// `FETCH FIRST … WITH TIES`: the rows up to the rank of the last one that the count admits.
    fn with_ties(&mut self, query: &Query) -> Result<(), SqlError> {
        let select = match &query.body {
            Body::Select(select) if select.distinct == Distinct::No => select,
            Body::Select(_) | Body::Values(_) | Body::SetOperation(_) => {
                return self.ties_of_outputs(query);
            }
        };
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(" FROM (SELECT ");
        self.items(select, Outputs::Named, false)?;
        for (function, name) in [("rank", "r"), ("row_number", "n")] {
            self.push(format_args!(", {function}() OVER ("));
            self.order_by(query, |lowering, index| {
                // Outputs have no names inside of OVER; the items were lowered once without an error.
                let written = lowering.sort_expr(&select.items[index]);
                debug_assert!(written.is_ok(), "the item was lowered above");
            })?;
            self.push(format_args!(") AS {name}"));
        }
        self.select_tail(select)?;
        self.within_ties(query)
    }

    /// As [`Self::with_ties`], of a query whose outputs are all that it can be ordered by.
    fn ties_of_outputs(&mut self, query: &Query) -> Result<(), SqlError> {
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(" FROM (SELECT ");
        self.outputs(&query.columns, false);
        for (function, name) in [("rank", "r"), ("row_number", "n")] {
            self.push(format_args!(", {function}() OVER ("));
            for (index, key) in query.order_by.iter().enumerate() {
                let SortBy::Output(column) = key.by else {
                    return Err(SqlError::unsupported(
                        "FETCH FIRST … WITH TIES by this expression",
                    ));
                };
                self.out.push_str(if index == 0 { "ORDER BY " } else { ", " });
                self.push(format_args!("c{}", column + 1));
                self.collate(query.columns[column].type_oid);
                self.direction(key, true);
            }
            self.push(format_args!(") AS {name}"));
        }
        self.out.push_str(" FROM (");
        let keeps_order = match &query.body {
            Body::Select(select) => matches!(select.distinct, Distinct::On(_)),
            Body::Values(_) | Body::SetOperation(_) => false,
        };
        let order_by = if keeps_order { query.order_by.clone() } else { Vec::new() };
        let inner = Query {
            ctes: Vec::new(),
            order_by,
            limit: None,
            offset: None,
            with_ties: false,
            ..query.clone()
        };
        self.named(&inner)?;
        self.out.push(')');
        self.within_ties(query)
    }

    /// `LIMIT` and `OFFSET` that read columns around the query, which SQLite's may not: the rows are numbered.
    fn counted(&mut self, query: &Query) -> Result<(), SqlError> {
        let Query { limit, offset, .. } = query;
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(" FROM (SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(", row_number() OVER () AS n FROM (");
        let inner = Query { ctes: Vec::new(), limit: None, offset: None, ..query.clone() };
        self.named(&inner)?;
        self.out.push_str(")) WHERE ");
        if let Some(limit) = limit {
            self.out.push_str("CASE WHEN ");
            self.row_count(limit, "trellis_limit(")?;
            self.out.push_str(" < 0 THEN 1 ELSE n <= ");
            self.row_count(limit, "trellis_limit(")?;
            if let Some(offset) = offset {
                self.out.push_str(" + ");
                self.row_count(offset, "trellis_offset(")?;
            }
            self.out.push_str(" END AND ");
        }
        self.out.push_str("n > ");
        match offset {
            Some(offset) => self.row_count(offset, "trellis_offset(")?,
            None => self.out.push('0'),
        }
        self.out.push_str(" ORDER BY n");
        Ok(())
    }

    /// What admits the rows of a subquery by their rank `r` and number `n`.
    fn within_ties(&mut self, query: &Query) -> Result<(), SqlError> {
        self.out.push_str(") WHERE r <= ");
        let offset = query.offset.as_ref();
        match &query.limit {
            Some(limit) => self.row_count(limit, "trellis_limit(")?,
            None => self.out.push_str("9223372036854775807"),
        }
        if let Some(offset) = offset {
            self.out.push_str(" + ");
            self.row_count(offset, "trellis_offset(")?;
            self.out.push_str(" AND n > ");
            self.row_count(offset, "trellis_offset(")?;
        }
        self.out.push_str(" ORDER BY n");
        Ok(())
    }

    /// Writes the query of a CTE by itself; a recursive one as the CTE that it is.
    ///
    /// # Errors
    /// As [`Lowering::query`].
    pub(crate) fn query_of(&mut self, cte: &Cte) -> Result<(), SqlError> {
        let name = quote_identifier(&cte.sql_name);
        self.out.push_str("SELECT ");
        self.outputs(&cte.query.columns, false);
        self.out.push_str(" FROM (");
        self.ctes(std::slice::from_ref(cte))?;
        self.out.push_str("SELECT ");
        self.outputs(&cte.query.columns, false);
        self.push(format_args!(" FROM {name})"));
        Ok(())
    }

    /// Writes the inner query with its outputs named.
    pub(super) fn named(&mut self, query: &Query) -> Result<(), SqlError> {
        self.named_outputs = true;
        self.query(query)
    }

    pub(crate) fn ctes(&mut self, ctes: &[Cte]) -> Result<(), SqlError> {
        if ctes.is_empty() {
            return Ok(());
        }
        let recursive = ctes.iter().any(|cte| cte.recursive);
        self.out.push_str(if recursive { "WITH RECURSIVE " } else { "WITH " });
        for (index, cte) in ctes.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            let Cte { sql_name, query, recursive: _, materialized } = cte;
            self.out.push_str(&quote_identifier(sql_name));
            self.column_names(query.columns.len());
            let volatile = query.has_volatile_outputs(self.relations);
            self.out.push_str(match materialized {
                _ if volatile => " AS MATERIALIZED (",
                None => " AS (",
                Some(true) => " AS MATERIALIZED (",
                Some(false) => " AS NOT MATERIALIZED (",
            });
            self.query(query)?;
            self.out.push(')');
        }
        self.out.push(' ');
        Ok(())
    }

    /// `(c1, c2, …)`.
    fn column_names(&mut self, count: usize) {
        for number in 1..=count.max(1) {
            self.push(format_args!("{}c{number}", if number == 1 { "(" } else { ", " }));
        }
        self.out.push(')');
    }

    /// `c1, c2, …`, each under its type's collation if `collated`.
    fn outputs(&mut self, columns: &[OutputColumn], collated: bool) {
        for (index, column) in columns.iter().enumerate() {
            self.push(format_args!("{}c{}", if index == 0 { "" } else { ", " }, index + 1));
            if collated {
                self.collate(column.type_oid);
            }
        }
        if columns.is_empty() {
            self.out.push_str("c1");
        }
    }

    fn select(
        &mut self,
        select: &Select,
        outputs: Outputs,
        collated: bool,
    ) -> Result<(), SqlError> {
        self.out.push_str("SELECT ");
        if select.distinct == Distinct::Rows {
            self.out.push_str("DISTINCT ");
        }
        let collated = collated || select.distinct == Distinct::Rows;
        self.items(select, outputs, collated)?;
        self.select_tail(select)
    }

    fn items(&mut self, select: &Select, outputs: Outputs, collated: bool) -> Result<(), SqlError> {
        let one_group = is_one_group(select);
        for (index, item) in select.items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if index == 0 && one_group {
                self.out.push_str("iif(count(*) >= 0, ");
                self.expr(item)?;
                self.out.push_str(", NULL)");
            } else if collated {
                self.equated(item)?;
            } else {
                self.expr(item)?;
            }
            if outputs == Outputs::Named {
                self.push(format_args!(" AS c{}", index + 1));
            }
        }
        if select.items.is_empty() {
            self.out.push_str(if one_group { "count(*)" } else { "NULL" });
            self.out.push_str(if outputs == Outputs::Named { " AS c1" } else { "" });
        }
        Ok(())
    }

    /// `FROM … WHERE … GROUP BY … HAVING …`.
    fn select_tail(&mut self, select: &Select) -> Result<(), SqlError> {
        self.from(&select.from)?;
        if let Some(filter) = &select.filter {
            self.out.push_str(" WHERE ");
            self.expr(filter)?;
        }
        for (index, key) in select.group_by.iter().enumerate() {
            self.out.push_str(if index == 0 { " GROUP BY " } else { ", " });
            self.group_key(key)?;
        }
        if let Some(having) = &select.having {
            self.out.push_str(" HAVING ");
            self.expr(having)?;
        }
        Ok(())
    }

    /// A key of GROUP BY.
    fn group_key(&mut self, expr: &Expr) -> Result<(), SqlError> {
        if self.is_constant(expr) { self.sort_expr(expr) } else { self.equated(expr) }
    }

    /// A key of ORDER BY or GROUP BY: an integer there, also one that SQLite computes beforehand, would be an ordinal to it.
    pub(super) fn sort_expr(&mut self, expr: &Expr) -> Result<(), SqlError> {
        let integer = matches!(
            self.types.base(expr.type_oid),
            Oid::BOOL | Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID
        );
        if matches!(expr.node, Node::Literal(Datum::Integer(_)))
            || integer && self.is_constant(expr)
        {
            self.out.push_str("CAST(");
            self.expr(expr)?;
            self.out.push_str(" AS INTEGER)");
            return Ok(());
        }
        self.collated(expr)
    }

    /// Writes a `FROM` clause; nothing if there are no items.
    pub(crate) fn from(&mut self, items: &[FromItem]) -> Result<(), SqlError> {
        if items.is_empty() {
            return Ok(());
        }
        if items.iter().map(relation_count).sum::<usize>() > RELATIONS_MAX {
            return Err(SqlError::too_complex());
        }
        self.out.push_str(" FROM ");
        self.items_of_from(items)
    }

    /// The items of a `FROM` clause.
    pub(crate) fn items_of_from(&mut self, items: &[FromItem]) -> Result<(), SqlError> {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                // The sets of a select list are made once per row, and their rows come row by row.
                self.out.push_str(if self.is_select_list_set(item) {
                    " CROSS JOIN "
                } else {
                    ", "
                });
            }
            let parenthesized = items.len() > 1 && has_outer_right(item);
            if parenthesized {
                self.out.push('(');
            }
            self.item_of_from(item)?;
            if parenthesized {
                self.out.push(')');
            }
        }
        Ok(())
    }

    fn item_of_from(&mut self, item: &FromItem) -> Result<(), SqlError> {
        let join = match item {
            FromItem::Relation(relation) => return self.relation(*relation),
            FromItem::Join(join) => join,
        };
        let Join { kind, left, right, on } = &**join;
        if self.is_lock_step(right) && (*kind != JoinKind::Inner || on.is_some()) {
            return Err(SqlError::unsupported("a conditional join with several arrays unnested"));
        }
        self.item_of_from(left)?;
        self.out.push_str(match kind {
            JoinKind::Inner => " JOIN ",
            JoinKind::Left => " LEFT JOIN ",
            JoinKind::Right => " RIGHT JOIN ",
            JoinKind::Full => " FULL JOIN ",
        });
        let nested = matches!(right, FromItem::Join(_));
        if nested {
            self.out.push('(');
        }
        self.item_of_from(right)?;
        if nested {
            self.out.push(')');
        }
        if let Some(on) = on {
            self.out.push_str(" ON ");
            self.expr(on)?;
        }
        Ok(())
    }

    /// Whether an item is the set-returning functions of a select list, which no name in the text refers to.
    fn is_select_list_set(&self, item: &FromItem) -> bool {
        let FromItem::Relation(id) = item else { return false };
        let relation = self.relations.get(*id);
        relation.alias.is_empty() && matches!(relation.source, Source::Function(_))
    }

    /// Whether an item is written as a join of its own.
    fn is_lock_step(&self, item: &FromItem) -> bool {
        let FromItem::Relation(id) = item else { return false };
        match &self.relations.get(*id).source {
            Source::Function(function) => function.calls.len() > 1,
            Source::Table(..)
            | Source::Query(_)
            | Source::OnlyRow(_)
            | Source::Cte(_)
            | Source::Given => false,
        }
    }

    fn relation(&mut self, id: RelationId) -> Result<(), SqlError> {
        let relations = self.relations;
        let relation = relations.get(id);
        match &relation.source {
            Source::Table(name, oid) => match self.snapshot.get(oid) {
                Some(query) => self.out.extend(["(", query, ")"]),
                None => self.out.push_str(name),
            },
            Source::Cte(name) => self.out.push_str(&quote_identifier(name)),
            Source::Query(query) if query.lateral => {
                self.json_rows(query, ("json_each((SELECT json_group_array(", ")", "))"))?;
            }
            Source::OnlyRow(query) => {
                let open = "json_each(json_array(json((SELECT trellis_only_row(";
                self.json_rows(query, (open, ")", "))))"))?;
            }
            Source::Query(query) => {
                self.out.push('(');
                if query.has_volatile_outputs(relations) {
                    self.materialized(query, &relation.qualifier)?;
                } else {
                    self.named(query)?;
                }
                self.out.push(')');
            }
            Source::Function(function) if function.calls.len() > 1 => {
                return self.lock_step(function, &relation.qualifier);
            }
            Source::Function(function) => self.function_source(function)?,
            Source::Given => {}
        }
        if !relation.qualifier.is_empty() {
            self.push(format_args!(" AS {}", quote_identifier(&relation.qualifier)));
        }
        Ok(())
    }

    /// A query as a CTE of its own, which SQLite computes once. A subquery it would merge into the query around it, and compute
    /// its outputs wherever they are read.
    fn materialized(&mut self, query: &Query, name: &str) -> Result<(), SqlError> {
        let name = quote_identifier(name);
        self.push(format_args!("WITH {name}"));
        self.column_names(query.columns.len());
        self.out.push_str(" AS MATERIALIZED (");
        self.query(query)?;
        self.out.push_str(") SELECT ");
        self.outputs(&query.columns, false);
        self.push(format_args!(" FROM {name}"));
        Ok(())
    }

    /// Rows of a lateral subquery as JSON arrays, inside of what makes one value of them and takes it apart again.
    fn json_rows(
        &mut self,
        query: &Query,
        (open, close, end): (&str, &str, &str),
    ) -> Result<(), SqlError> {
        self.out.push_str(open);
        self.out.push_str("json_array(");
        for (index, column) in query.columns.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            let (open, close) = self.json_wrapper(column.type_oid);
            self.push(format_args!("{open}c{}{close}", index + 1));
        }
        self.out.push(')');
        self.out.push_str(close);
        self.out.push_str(" FROM (");
        self.named(query)?;
        self.out.push(')');
        self.out.push_str(end);
        Ok(())
    }

    /// Functions in lock-step: as many rows as the longest has, each function joined by its row's number.
    fn lock_step(&mut self, source: &FunctionSource, qualifier: &str) -> Result<(), SqlError> {
        self.out.push_str("pg_srf_generate_series_int4(1, max(");
        for (index, (call, _)) in source.calls.iter().enumerate() {
            self.out.push_str(if index > 0 {
                ", (SELECT count(*) FROM "
            } else {
                "(SELECT count(*) FROM "
            });
            self.function_call(call)?;
            self.out.push(')');
        }
        self.push(format_args!(")) AS {}", quote_identifier(qualifier)));
        for (call, alias) in &source.calls {
            self.out.push_str(" LEFT JOIN ");
            self.function_call(call)?;
            let (alias, qualifier) = (quote_identifier(alias), quote_identifier(qualifier));
            self.push(format_args!(" AS {alias} ON {alias}.rowid = {qualifier}.value"));
        }
        Ok(())
    }

    fn function_source(&mut self, source: &FunctionSource) -> Result<(), SqlError> {
        match source.calls.first() {
            Some((call, _)) => self.function_call(call),
            None => Ok(()),
        }
    }

    fn function_call(&mut self, expr: &Expr) -> Result<(), SqlError> {
        if let Node::Call(call) = &expr.node
            && call.row.returns_set
        {
            let name = implementation_name(call.row);
            if !implemented(&name) {
                return Err(SqlError::unsupported(format!("the function {}", call.row.name)));
            }
            self.out.push_str(&name);
            return self.arguments(&call.arguments, &call.type_arguments);
        }
        let correlated = expr.any(&mut |it| matches!(it.node, Node::Column(..)));
        if correlated {
            self.out.push_str("json_each(json_array(");
            self.json_element(expr)?;
            self.out.push_str("))");
            return Ok(());
        }
        if expr.is_volatile(self.relations) {
            self.out.push_str("(WITH w(value) AS MATERIALIZED (SELECT ");
            self.expr(expr)?;
            self.out.push_str(") SELECT value FROM w)");
            return Ok(());
        }
        self.out.push_str("(SELECT ");
        self.expr(expr)?;
        self.out.push_str(" AS value)");
        Ok(())
    }

    fn order_by(
        &mut self,
        query: &Query,
        mut output: impl FnMut(&mut Self, usize),
    ) -> Result<(), SqlError> {
        for (index, key) in query.order_by.iter().enumerate() {
            self.out.push_str(if index == 0 { " ORDER BY " } else { ", " });
            let nullable = match &key.by {
                SortBy::Output(column) => {
                    output(self, *column);
                    !query.columns[*column].not_null
                }
                SortBy::Expr(expr) => {
                    self.sort_expr(expr)?;
                    self.is_nullable(expr)
                }
            };
            self.direction(key, nullable);
        }
        Ok(())
    }

    /// ` DESC NULLS FIRST` and so on; nothing is said of NULLs where there are none or where SQLite agrees.
    pub(super) fn direction(&mut self, key: &SortKey, nullable: bool) {
        if key.descending {
            self.out.push_str(" DESC");
        }
        let sqlite_nulls_first = !key.descending;
        if nullable && key.nulls_first != sqlite_nulls_first {
            self.out.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
    }

    /// Whether an expression may be NULL as far as is known.
    pub(super) fn is_nullable(&self, expr: &Expr) -> bool {
        match &expr.node {
            Node::Column(relation, index) if *relation != crate::bind::tree::ELEMENT => {
                !self.relations.get(*relation).columns[usize::from(*index)].not_null
            }
            Node::Literal(datum) => *datum == Datum::Null,
            Node::Relabel(inner) => self.is_nullable(inner),
            _ => true,
        }
    }

    fn limits(&mut self, query: &Query) -> Result<(), SqlError> {
        let Query { limit, offset, .. } = query;
        if limit.is_none() && offset.is_none() {
            return Ok(());
        }
        self.out.push_str(" LIMIT ");
        match limit {
            Some(limit) => self.row_count(limit, "trellis_limit(")?,
            None => self.out.push_str("-1"),
        }
        if let Some(offset) = offset {
            self.out.push_str(" OFFSET ");
            self.row_count(offset, "trellis_offset(")?;
        }
        Ok(())
    }

    /// A count, under the function that refuses a negative one and reads NULL as none.
    fn row_count(&mut self, count: &Expr, function: &str) -> Result<(), SqlError> {
        if let Node::Literal(_) = count.node {
            return self.expr(count);
        }
        self.out.push_str(function);
        self.expr(count)?;
        self.out.push(')');
        Ok(())
    }

    fn values(
        &mut self,
        query: &Query,
        rows: &[Vec<Expr>],
        outputs: Outputs,
    ) -> Result<(), SqlError> {
        if rows.iter().flatten().any(|it| it.any(&mut |it| matches!(it.node, Node::Column(..)))) {
            return self.correlated_values(query, rows);
        }
        let plain = outputs == Outputs::Anonymous && query.order_by.is_empty();
        let plain = plain && query.limit.is_none() && query.offset.is_none();
        if !plain {
            self.out.push_str("SELECT ");
            for index in 0..query.columns.len() {
                let comma = if index == 0 { "" } else { ", " };
                self.push(format_args!("{comma}column{0} AS c{0}", index + 1));
            }
            self.out.push_str(" FROM (");
        }
        self.out.push_str("VALUES ");
        for (index, row) in rows.iter().enumerate() {
            self.out.push_str(if index > 0 { ", (" } else { "(" });
            self.list(row)?;
            self.out.push(')');
        }
        if !plain {
            self.out.push(')');
            self.ordered_outputs(query)?;
        }
        Ok(())
    }

    /// `VALUES` that read columns around them, after which SQLite would name its own: a union of selects.
    fn correlated_values(&mut self, query: &Query, rows: &[Vec<Expr>]) -> Result<(), SqlError> {
        if rows.len() > COMPOUND_TERMS_MAX {
            return Err(SqlError::too_complex());
        }
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(" FROM (");
        for (index, row) in rows.iter().enumerate() {
            self.out.push_str(if index > 0 { " UNION ALL SELECT " } else { "SELECT " });
            for (column, value) in row.iter().enumerate() {
                self.out.push_str(if column > 0 { ", " } else { "" });
                self.expr(value)?;
                self.push(format_args!(" AS c{}", column + 1));
            }
        }
        self.out.push(')');
        self.ordered_outputs(query)
    }

    /// `ORDER BY` over named outputs.
    fn ordered_outputs(&mut self, query: &Query) -> Result<(), SqlError> {
        self.order_by(query, |lowering, index| {
            lowering.push(format_args!("c{}", index + 1));
            lowering.collate(query.columns[index].type_oid);
        })
    }

    fn compound(
        &mut self,
        query: &Query,
        operation: &SetOperation,
        outputs: Outputs,
    ) -> Result<(), SqlError> {
        let wrapped = !query.order_by.is_empty() || query.limit.is_some() || query.offset.is_some();
        if !wrapped {
            return self.set_operation(operation, outputs);
        }
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(" FROM (");
        self.set_operation(operation, Outputs::Named)?;
        self.out.push(')');
        self.ordered_outputs(query)
    }

    /// A set operation, and those to its left that need no parentheses: SQLite's operators are all of one precedence and
    /// associate to the left.
    fn set_operation(
        &mut self,
        operation: &SetOperation,
        outputs: Outputs,
    ) -> Result<(), SqlError> {
        if operation.is_numbered() {
            return self.numbered_operation(operation);
        }
        let mut chain = vec![operation];
        let mut first = &operation.left;
        while let Body::SetOperation(inner) = &first.body
            && is_plain(first)
            && !inner.is_numbered()
        {
            chain.push(inner);
            first = &inner.left;
        }
        if chain.len() >= COMPOUND_TERMS_MAX {
            return Err(SqlError::too_complex());
        }
        let collated = chain.last().is_some_and(|innermost| !innermost.all);
        self.arm(first, outputs, collated)?;
        for SetOperation { kind, all, left: _, right } in chain.into_iter().rev() {
            self.out.push_str(match (kind, all) {
                (SetKind::Union, true) => " UNION ALL ",
                (SetKind::Union, false) => " UNION ",
                (SetKind::Intersect, _) => " INTERSECT ",
                (SetKind::Except, _) => " EXCEPT ",
            });
            self.arm(right, Outputs::Anonymous, !*all)?;
        }
        Ok(())
    }

    /// One operand of a set operation.
    fn arm(&mut self, query: &Query, outputs: Outputs, collated: bool) -> Result<(), SqlError> {
        let plain = is_plain(query);
        match &query.body {
            Body::Select(select) if plain && !matches!(select.distinct, Distinct::On(_)) => {
                self.select(select, outputs, collated)
            }
            Body::Values(_) if plain && outputs == Outputs::Anonymous && !collated => {
                self.query(query)
            }
            _ => {
                self.out.push_str("SELECT ");
                self.outputs(&query.columns, collated);
                self.out.push_str(" FROM (");
                self.named(query)?;
                self.out.push(')');
                Ok(())
            }
        }
    }

    /// `INTERSECT ALL` and `EXCEPT ALL`: equal rows are numbered, and the numbers compared along.
    fn numbered_operation(&mut self, operation: &SetOperation) -> Result<(), SqlError> {
        let SetOperation { kind, all: _, left, right } = operation;
        self.out.push_str("SELECT ");
        self.outputs(&left.columns, false);
        self.out.push_str(" FROM (");
        self.numbered(left)?;
        self.out.push_str(match kind {
            SetKind::Intersect => " INTERSECT ",
            SetKind::Except | SetKind::Union => " EXCEPT ",
        });
        self.numbered(right)?;
        self.out.push(')');
        Ok(())
    }

    fn numbered(&mut self, query: &Query) -> Result<(), SqlError> {
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, true);
        self.out.push_str(", row_number() OVER (PARTITION BY ");
        self.outputs(&query.columns, true);
        self.out.push_str(") FROM (");
        self.named(query)?;
        self.out.push(')');
        Ok(())
    }

    /// `DISTINCT ON`: the first row of each key in the order of the query.
    fn distinct_on(
        &mut self,
        query: &Query,
        select: &Select,
        keys: &[Expr],
    ) -> Result<(), SqlError> {
        self.out.push_str("SELECT ");
        self.outputs(&query.columns, false);
        self.out.push_str(" FROM (SELECT ");
        self.items(select, Outputs::Named, false)?;
        for (index, key) in query.order_by.iter().enumerate() {
            if let SortBy::Expr(expr) = &key.by {
                self.out.push_str(", ");
                self.expr(expr)?;
                self.push(format_args!(" AS s{index}"));
            }
        }
        self.out.push_str(", row_number() OVER (PARTITION BY ");
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.equated(key)?;
        }
        let mut begun = false;
        for key in &query.order_by {
            let expr = match &key.by {
                SortBy::Output(column) => &select.items[*column],
                SortBy::Expr(expr) => expr,
            };
            // Within a partition its keys are all the same.
            if keys.contains(expr) {
                continue;
            }
            self.out.push_str(if begun { ", " } else { " ORDER BY " });
            begun = true;
            self.sort_expr(expr)?;
            let nullable = self.is_nullable(expr);
            self.direction(key, nullable);
        }
        self.out.push_str(") AS n");
        self.select_tail(select)?;
        self.out.push_str(") WHERE n = 1");
        for (index, key) in query.order_by.iter().enumerate() {
            self.out.push_str(if index == 0 { " ORDER BY " } else { ", " });
            let type_oid = match &key.by {
                SortBy::Output(column) => {
                    self.push(format_args!("c{}", column + 1));
                    query.columns[*column].type_oid
                }
                SortBy::Expr(expr) => {
                    self.push(format_args!("s{index}"));
                    expr.type_oid
                }
            };
            self.collate(type_oid);
            self.direction(key, true);
        }
        Ok(())
    }
}

/// Whether a select makes one group of all rows although no output is an aggregate, which is what SQLite groups for.
fn is_one_group(select: &Select) -> bool {
    let aggregated = |expr: &Expr| {
        expr.any(&mut |it| matches!(&it.node, Node::Aggregate(call) if call.over.is_none()))
    };
    select.grouped && select.group_by.is_empty() && !select.items.iter().any(aggregated)
}

/// Relations of a join tree. Its left side is as deep as the join is long.
fn relation_count(item: &FromItem) -> usize {
    let mut count = 1;
    let mut item = item;
    while let FromItem::Join(join) = item {
        count += relation_count(&join.right);
        item = &join.left;
    }
    count
}

/// Whether a query is nothing but its body.
fn is_plain(query: &Query) -> bool {
    query.ctes.is_empty()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
}

/// Whether a join tree has a RIGHT or FULL join, which must not reach over a comma.
fn has_outer_right(item: &FromItem) -> bool {
    match item {
        FromItem::Relation(_) => false,
        FromItem::Join(join) => {
            matches!(join.kind, JoinKind::Right | JoinKind::Full)
                || has_outer_right(&join.left)
                || has_outer_right(&join.right)
        }
    }
}
