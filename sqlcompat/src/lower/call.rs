//! Calls: an operator of SQLite's, a template, a function of the library, or 0A000.

use super::expression::Lowering;
use super::native::{Native, native, native_aggregate};
use crate::bind::tree::{
    Aggregate, Call, ELEMENT, Expr, Frame, FrameBound, Node, RelationId, SortBy, SortKey, Source,
    Window,
};
use crate::builtin::{FunctionRow, implementation_name};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::{DISTINCT_SUFFIX, implemented, like_prefix, sorts_distinct, successor};
use crate::oid::Oid;

/// `text || any` and `any || text`, which are written in SQL in PostgreSQL.
const TEXT_ANY_CONCATENATION: [Oid; 2] = [Oid(2003), Oid(2004)];

impl Lowering<'_> {
    /// Writes a call.
    pub(super) fn call(&mut self, call: &Call) -> Result<(), SqlError> {
        match native(call.row) {
            Some(Native::Comparison(operator)) => self.comparison(operator, call),
            Some(Native::Identity) => self.argument(call, 0),
            Some(Native::Template(template)) => self.template(template, call),
            None if is_text_any_concatenation(call.row) => self.concatenation(call),
            None => {
                self.prefix_range(call)?;
                self.call_library(call)
            }
        }
    }

    fn argument(&mut self, call: &Call, index: usize) -> Result<(), SqlError> {
        match call.arguments.get(index) {
            Some(argument) => self.expr(argument),
            None => Err(missing(call.row)),
        }
    }

    /// `(left operator right)`, under the collation of the type.
    pub(super) fn comparison(&mut self, operator: &str, call: &Call) -> Result<(), SqlError> {
        let [left, right] = &call.arguments[..] else {
            return Err(missing(call.row));
        };
        self.out.push('(');
        if matches!(operator, "=" | "<>" | "IS" | "IS NOT") {
            self.equated(left)?;
        } else {
            self.collated(left)?;
        }
        self.out.push(' ');
        self.out.push_str(operator);
        self.out.push(' ');
        self.expr(right)?;
        self.out.push(')');
        Ok(())
    }

    fn template(&mut self, template: &str, call: &Call) -> Result<(), SqlError> {
        let mut parts = template.split('#');
        self.out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (digit, rest) = part.split_at_checked(1).unwrap_or((part, ""));
            let number: usize = digit.parse().unwrap_or(1);
            self.argument(call, number - 1)?;
            self.out.push_str(rest);
        }
        Ok(())
    }

    /// `a || b` where one is text and the other anything.
    fn concatenation(&mut self, call: &Call) -> Result<(), SqlError> {
        self.out.push('(');
        for (index, argument) in call.arguments.iter().enumerate() {
            if index > 0 {
                self.out.push_str(" || ");
            }
            // The function is a cast to text in SQL, and that of bool is no output function.
            if self.types.base(argument.type_oid) == Oid::BOOL {
                self.out.push_str("pg_booltext(");
                self.expr(argument)?;
                self.out.push(')');
            } else {
                self.output(argument)?;
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// Opens a range that an index can serve before a match with a prefix; [`Self::call_library`] writes the match itself.
    fn prefix_range(&mut self, call: &Call) -> Result<(), SqlError> {
        let [operand, pattern] = &call.arguments[..] else { return Ok(()) };
        let Some(kind) = PatternKind::of(call.row) else { return Ok(()) };
        if !self.may_be_indexed(operand) {
            return Ok(());
        }
        match &pattern.node {
            Node::Literal(Datum::Text(pattern)) => {
                let Some((low, high)) = kind.prefix(pattern).and_then(bounds) else {
                    return Ok(());
                };
                self.open_range(operand, |lowering, end| {
                    lowering.out.push_str(&super::quote_text(if end { &high } else { &low }));
                    Ok(())
                })
            }
            _ if kind != PatternKind::Regex && self.is_constant(pattern) => {
                self.open_range(operand, |lowering, end| {
                    let function = if end { "trellis_prefix_end(" } else { "trellis_prefix(" };
                    lowering.out.push_str(function);
                    lowering.expr(pattern)?;
                    lowering.out.push_str(if kind == PatternKind::Like { ", 1)" } else { ", 0)" });
                    Ok(())
                })
            }
            _ => Ok(()),
        }
    }

    /// `(x >= 'abc' AND x < 'abd' AND …`; closed by the caller of [`Self::call_library`].
    fn open_range(
        &mut self,
        operand: &Expr,
        bound: impl Fn(&mut Self, bool) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        self.out.push('(');
        for (end, operator) in [(false, " >= "), (true, " < ")] {
            self.expr(operand)?;
            self.out.push_str(operator);
            bound(self, end)?;
            self.out.push_str(" AND ");
        }
        self.open_range = true;
        Ok(())
    }

    /// Whether an index may be over the expression: a column, or what a table has an index of.
    fn may_be_indexed(&self, expr: &Expr) -> bool {
        if let Node::Column(..) = innermost(expr) {
            return true;
        }
        let relation = |relation: RelationId| match &self.relations.get(relation).source {
            Source::Table(_, oid) => self.types.has_expression_index(*oid),
            Source::Query(_) | Source::OnlyRow(_) | Source::Cte(_) => false,
            Source::Function(_) | Source::Given => false,
        };
        !expr.is_volatile(self.relations)
            && expr.any(
                &mut |it| matches!(it.node, Node::Column(id, _) if id != ELEMENT && relation(id)),
            )
    }

    /// Whether an expression has one value for the whole statement.
    pub(super) fn is_constant(&self, expr: &Expr) -> bool {
        !expr.is_volatile(self.relations)
            && !expr.any(&mut |it| {
                it.query().is_some() || matches!(it.node, Node::Column(..) | Node::Aggregate(_))
            })
    }

    /// `pg_…(arguments, type OIDs)`.
    fn call_library(&mut self, call: &Call) -> Result<(), SqlError> {
        let close = std::mem::take(&mut self.open_range);
        let name = implementation_name(call.row);
        if !implemented(&name) {
            return Err(unsupported_function(call));
        }
        self.volatile |= call.row.volatility != crate::builtin::Volatility::Immutable;
        self.out.push_str(&name);
        self.arguments(&call.arguments, &call.type_arguments)?;
        if close {
            self.out.push(')');
        }
        Ok(())
    }

    /// `(arguments, type OIDs)`.
    pub(super) fn arguments(
        &mut self,
        arguments: &[Expr],
        type_arguments: &[Oid],
    ) -> Result<(), SqlError> {
        self.out.push('(');
        self.list(arguments)?;
        for (index, oid) in type_arguments.iter().enumerate() {
            if index > 0 || !arguments.is_empty() {
                self.out.push_str(", ");
            }
            self.out.push_str(&oid.to_string());
        }
        self.out.push(')');
        Ok(())
    }

    /// An aggregate or a window function.
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<(), SqlError> {
        if let Some(over) = &aggregate.over
            && self.framed(aggregate, over)?
        {
            return Ok(());
        }
        let native = native_aggregate(aggregate.row);
        let name = match &native {
            Some(native) => native.name.to_owned(),
            None => implementation_name(aggregate.row),
        };
        if native.is_none() && !implemented(&name) {
            return Err(SqlError::unsupported(format!("the aggregate {}", aggregate.row.name)));
        }
        self.out.push_str(&name);
        if aggregate.distinct && is_wide(aggregate) && sorts_distinct(&name) {
            self.out.push_str(DISTINCT_SUFFIX);
            self.distinct_arguments(aggregate)?;
        } else {
            self.out.push('(');
            self.aggregate_arguments(aggregate, native.is_some())?;
            self.out.push(')');
        }
        if let Some(filter) = &aggregate.filter {
            self.out.push_str(" FILTER (WHERE ");
            self.expr(filter)?;
            self.out.push(')');
        }
        if let Some(over) = &aggregate.over {
            self.window(over)?;
        }
        Ok(())
    }

    /// The arguments of a `DISTINCT` aggregate that has several, sorted so that equal ones meet.
    fn distinct_arguments(&mut self, aggregate: &Aggregate) -> Result<(), SqlError> {
        self.arguments(&aggregate.arguments, &aggregate.type_arguments)?;
        self.out.pop();
        self.out.push_str(" ORDER BY ");
        self.sort_keys(&aggregate.order_by)?;
        let sorted = |argument: &&Expr| {
            !aggregate
                .order_by
                .iter()
                .any(|key| matches!(&key.by, SortBy::Expr(it) if it == *argument))
        };
        let constant = |argument: &&Expr| matches!(argument.node, Node::Literal(_));
        let rest = aggregate.arguments.iter().filter(sorted).filter(|it| !constant(it));
        for (index, argument) in rest.enumerate() {
            if index > 0 || !aggregate.order_by.is_empty() {
                self.out.push_str(", ");
            }
            self.sort_expr(argument)?;
            self.out.push_str(" NULLS LAST");
        }
        if self.out.ends_with(" ORDER BY ") {
            self.out.push('1');
        }
        self.out.push(')');
        Ok(())
    }

    fn aggregate_arguments(&mut self, aggregate: &Aggregate, native: bool) -> Result<(), SqlError> {
        if aggregate.arguments.is_empty() {
            self.out.push_str(if aggregate.row.name == "count" { "*" } else { "" });
            return Ok(());
        }
        let types: &[Oid] = if native { &[] } else { &aggregate.type_arguments };
        if aggregate.distinct {
            if aggregate.arguments.len() + types.len() > 1 {
                return Err(SqlError::unsupported(format!(
                    "DISTINCT in the aggregate {}",
                    aggregate.row.name
                )));
            }
            self.out.push_str("DISTINCT ");
        }
        for (index, argument) in aggregate.arguments.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            let compared = aggregate.distinct || matches!(aggregate.row.name, "min" | "max");
            if compared { self.collated(argument)? } else { self.expr(argument)? }
        }
        for oid in types {
            self.out.push_str(&format!(", {oid}"));
        }
        if !aggregate.order_by.is_empty() {
            self.out.push_str(" ORDER BY ");
            self.sort_keys(&aggregate.order_by)?;
        }
        Ok(())
    }

    pub(super) fn window(&mut self, window: &Window) -> Result<(), SqlError> {
        let Window { partition_by, order_by, frame } = window;
        self.out.push_str(" OVER (");
        if !partition_by.is_empty() {
            self.out.push_str("PARTITION BY ");
            for (index, expr) in partition_by.iter().enumerate() {
                if index > 0 {
                    self.out.push_str(", ");
                }
                self.collated(expr)?;
            }
        }
        if !order_by.is_empty() {
            self.out.push_str(" ORDER BY ");
            self.sort_keys(order_by)?;
        }
        if let Some(Frame { units, start, end, exclude, kept: false }) = frame {
            self.out.push(' ');
            self.out.push_str(units);
            match end {
                None => {
                    self.out.push(' ');
                    self.frame_bound(start)?;
                }
                Some(end) => {
                    self.out.push_str(" BETWEEN ");
                    self.frame_bound(start)?;
                    self.out.push_str(" AND ");
                    self.frame_bound(end)?;
                }
            }
            if let Some(exclude) = exclude {
                self.push(format_args!(" EXCLUDE {exclude}"));
            }
        }
        self.out.push(')');
        Ok(())
    }

    fn frame_bound(&mut self, bound: &FrameBound) -> Result<(), SqlError> {
        let (offset, direction) = match bound {
            FrameBound::CurrentRow => {
                self.out.push_str("CURRENT ROW");
                return Ok(());
            }
            FrameBound::Preceding(offset) => (offset, " PRECEDING"),
            FrameBound::Following(offset) => (offset, " FOLLOWING"),
        };
        match offset {
            Some(offset) => self.expr(offset)?,
            None => self.out.push_str("UNBOUNDED"),
        }
        self.out.push_str(direction);
        Ok(())
    }

    /// The keys of an `ORDER BY` inside a call or a window.
    fn sort_keys(&mut self, keys: &[SortKey]) -> Result<(), SqlError> {
        for (index, key) in keys.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if let SortBy::Expr(expr) = &key.by {
                self.sort_expr(expr)?;
                let nullable = self.is_nullable(expr);
                self.direction(key, nullable);
            }
        }
        Ok(())
    }
}

/// Whether an aggregate is passed more than one argument, types included.
fn is_wide(aggregate: &Aggregate) -> bool {
    aggregate.arguments.len() + aggregate.type_arguments.len() > 1
}

/// Whether it is an operator of [`TEXT_ANY_CONCATENATION`].
pub(super) fn is_text_any_concatenation(row: &FunctionRow) -> bool {
    TEXT_ANY_CONCATENATION.contains(&row.oid)
}

/// What is under relabelings.
fn innermost(expr: &Expr) -> &Node {
    match &expr.node {
        Node::Relabel(inner) => innermost(inner),
        node => node,
    }
}

/// Functions whose second argument tells how the first begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PatternKind {
    /// `LIKE`.
    Like,
    /// `starts_with`.
    Prefix,
    /// `~`.
    Regex,
}

impl PatternKind {
    fn of(row: &FunctionRow) -> Option<Self> {
        match row.source {
            "textlike" => Some(Self::Like),
            "text_starts_with" => Some(Self::Prefix),
            "textregexeq" => Some(Self::Regex),
            _ => None,
        }
    }

    /// How everything begins that a pattern matches.
    fn prefix(self, pattern: &str) -> Option<String> {
        match self {
            Self::Like => Some(like_prefix(pattern)),
            Self::Prefix => Some(pattern.to_owned()),
            Self::Regex => regex_prefix(pattern),
        }
    }
}

/// The plain characters that an anchored regular expression without alternatives begins with.
fn regex_prefix(pattern: &str) -> Option<String> {
    let rest = pattern.strip_prefix('^').filter(|it| !it.contains('|'))?;
    let plain =
        |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '/' | ':' | '@');
    let mut prefix: String = rest.chars().take_while(plain).collect();
    // What may be there any number of times is no part of it.
    if rest.get(prefix.len()..).is_some_and(|it| it.starts_with(['*', '?', '{'])) {
        prefix.pop();
    }
    Some(prefix)
}

/// A prefix that is not empty, and the least text above all that begin with it.
fn bounds(prefix: String) -> Option<(String, String)> {
    let end = successor(&prefix)?;
    Some((prefix, end))
}

fn missing(row: &FunctionRow) -> SqlError {
    SqlError::unsupported(format!("the function {} with these arguments", row.name))
}

fn unsupported_function(call: &Call) -> SqlError {
    match call.operator {
        Some(operator) => SqlError::unsupported(format!("the operator {}", operator.name)),
        None => SqlError::unsupported(format!("the function {}", call.row.name)),
    }
}
