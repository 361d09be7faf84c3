//! Aggregates and window functions, in the text of a query.
//!
//! Sources: `get_agg_expr`, `get_windowfunc_expr`, `get_rule_windowspec` of PostgreSQL 15's `ruleutils.c`.

use sqlparser::ast::{
    self, DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, WindowFrameBound, WindowType,
};

use super::piece::{Form, Piece, join};
use super::select::direction;
use super::{Deparser, fold};
use crate::bind::resolve::{CallShape, FunctionCall, ResolvedCall, resolve_function};
use crate::builtin::{FunctionKind, functions_by_name, quote_identifier};
use crate::error::SqlError;
use crate::oid::Oid;

impl Deparser<'_> {
    /// Whether a call inside a query is one of an aggregate or window function.
    pub(super) fn is_aggregate(&self, function: &Function) -> bool {
        let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold);
        let rows = name.as_deref().map_or(&[][..], functions_by_name);
        let kind = rows
            .iter()
            .any(|row| matches!(row.kind, FunctionKind::Aggregate | FunctionKind::Window));
        !self.levels.is_empty() && (function.over.is_some() || function.filter.is_some() || kind)
    }

    /// A call of an aggregate or window function.
    pub(super) fn aggregate(&mut self, function: &Function) -> Result<Piece, SqlError> {
        let Function {
            name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(list),
            within_group,
            filter,
            null_treatment: None,
            over,
        } = function
        else {
            return Err(SqlError::unsupported("this form of function call"));
        };
        let local = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        let ast::FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        let star = matches!(args[..], [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        let mut pieces = if star { Vec::new() } else { self.plain_arguments(args)? };
        let direct = pieces.len();
        for key in within_group {
            pieces.push(self.expr(&key.expr)?);
        }
        let keys = match &clauses[..] {
            [] => &[][..],
            [FunctionArgumentClause::OrderBy(keys)] => keys,
            _ => return Err(SqlError::unsupported("this clause of a call")),
        };
        let distinct = matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct));
        let found: Vec<Oid> = pieces.iter().map(|piece| piece.type_oid).collect();
        let shape = CallShape {
            star,
            distinct,
            ordered: !keys.is_empty(),
            within_group: (!within_group.is_empty()).then_some(within_group.len()),
            filter: filter.is_some(),
            over: over.is_some(),
            procedure: false,
        };
        let call =
            FunctionCall { name: &local, arguments: &found, shape, ..FunctionCall::default() };
        let ResolvedCall::Function(row) = resolve_function(self.types, &call)? else {
            return Err(SqlError::unsupported("this call"));
        };
        let pairs = pieces.into_iter().zip(&row.arguments);
        let pieces = pairs.map(|(piece, target)| self.implicit(piece, *target));
        let pieces = pieces.collect::<Result<Vec<Piece>, SqlError>>()?;
        let name = quote_identifier(row.routine.name());
        let mut text = self.aggregated(&name, &pieces, direct, (star, distinct), keys)?;
        if !within_group.is_empty() {
            let keys = pieces.iter().skip(direct).zip(within_group);
            let keys = keys.map(|(piece, key)| Ok(self.key_text(piece) + direction(key)?));
            let keys = keys.collect::<Result<Vec<_>, SqlError>>()?;
            let keys = self.hidden(format!("(ORDER BY {})", keys.join(", ")));
            text.push_str(&format!(" WITHIN GROUP {keys}"));
        }
        if let Some(condition) = filter {
            let condition = self.expr(condition)?;
            let condition = self.implicit(condition, Oid::BOOL)?;
            let condition = self.shown(&condition.text);
            let condition = self.hidden(join(["(WHERE ", &condition, ")"], ""));
            text.push_str(&format!(" FILTER {condition}"));
        }
        if let Some(window) = over {
            text.push_str(&self.window(window)?);
        }
        let all: Vec<&Piece> = pieces.iter().collect();
        let made = Piece::made(text, row.result, &all);
        Ok(Piece { form: Form::Call, names_column: true, ..made })
    }

    /// `name(DISTINCT a, b ORDER BY c)`.
    fn aggregated(
        &mut self,
        name: &str,
        pieces: &[Piece],
        direct: usize,
        (star, distinct): (bool, bool),
        keys: &[ast::OrderByExpr],
    ) -> Result<String, SqlError> {
        let mut text = format!("{name}(");
        text.push_str(if star { "*" } else { "" });
        text.push_str(if distinct { "DISTINCT " } else { "" });
        text.push_str(&join(pieces.iter().take(direct).map(|piece| piece.text.as_str()), ", "));
        if !keys.is_empty() {
            let keys = self.sort_keys(keys)?;
            text.push_str(&format!(" ORDER BY {keys}"));
        }
        text.push(')');
        Ok(text)
    }

    fn plain_arguments(&mut self, args: &[FunctionArg]) -> Result<Vec<Piece>, SqlError> {
        let argument = |arg: &FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr),
            other => Err(SqlError::unsupported(format!("the argument {other}"))),
        };
        args.iter().map(argument).collect()
    }

    fn sort_keys(&mut self, keys: &[ast::OrderByExpr]) -> Result<String, SqlError> {
        let mut texts = Vec::with_capacity(keys.len());
        for key in keys {
            let piece = self.expr(&key.expr)?;
            let piece = self.settled(piece)?;
            texts.push(self.key_text(&piece) + direction(key)?);
        }
        Ok(texts.join(", "))
    }

    /// ` OVER (…)`.
    fn window(&mut self, window: &WindowType) -> Result<String, SqlError> {
        let WindowType::WindowSpec(spec) = window else {
            return Err(SqlError::unsupported("named windows in the text of a view"));
        };
        let ast::WindowSpec { window_name: None, partition_by, order_by, window_frame } = spec
        else {
            return Err(SqlError::unsupported("named windows in the text of a view"));
        };
        let mut parts = Vec::new();
        if !partition_by.is_empty() {
            let pieces = self.exprs(partition_by)?;
            let keys: Vec<_> = pieces.iter().map(|piece| self.key_text(piece)).collect();
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !order_by.is_empty() {
            parts.push(format!("ORDER BY {}", self.sort_keys(order_by)?));
        }
        if let Some(frame) = window_frame {
            let start = self.bound(&frame.start_bound)?;
            parts.push(match &frame.end_bound {
                Some(end) => format!("{} BETWEEN {start} AND {}", frame.units, self.bound(end)?),
                None => format!("{} {start}", frame.units),
            });
        }
        let window = self.hidden(format!("({})", parts.join(" ")));
        Ok(format!(" OVER {window}"))
    }

    fn bound(&mut self, bound: &WindowFrameBound) -> Result<String, SqlError> {
        Ok(match bound {
            WindowFrameBound::CurrentRow => "CURRENT ROW".to_owned(),
            WindowFrameBound::Preceding(None) => "UNBOUNDED PRECEDING".to_owned(),
            WindowFrameBound::Following(None) => "UNBOUNDED FOLLOWING".to_owned(),
            WindowFrameBound::Preceding(Some(offset)) => {
                format!("{} PRECEDING", self.expr(offset)?.text)
            }
            WindowFrameBound::Following(Some(offset)) => {
                format!("{} FOLLOWING", self.expr(offset)?.text)
            }
        })
    }
}
