//! `SELECT`: its list, its clauses, and the keys of GROUP BY and ORDER BY.
//!
//! Sources: `get_basic_select_query`, `get_target_list`, `get_rule_sortgroupclause` of PostgreSQL 15's `ruleutils.c`.

use sqlparser::ast::{
    self, Distinct, Expr, GroupByExpr, OrderByExpr, SelectItem, SelectItemQualifiedWildcardKind,
};

use super::piece::{Form, Piece};
use super::query::{Place, STEP, line};
use super::scope::{Level, Output};
use super::{Deparser, fold};
use crate::bind::output_name::output_name;
use crate::bind::select::unparenthesized;
use crate::builtin::quote_identifier;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::schema::last_part;

/// Columns that an item of a list is indented by within its query.
const ITEM: usize = 4;

/// An item of a select list.
struct Target {
    /// Name of the column.
    name: String,
    /// What it is.
    piece: Piece,
    /// The name that the column that it is is shown by, with its quotes, if it is one.
    column: Option<String>,
    /// A literal without type.
    unknown: bool,
}

impl Deparser<'_> {
    /// Writes a SELECT with its ORDER BY.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        place: Place<'_>,
        order_by: &[OrderByExpr],
        out: &mut String,
    ) -> Result<Vec<Output>, SqlError> {
        if !select.named_window.is_empty() || select.qualify.is_some() {
            return Err(SqlError::unsupported("named windows in the text of a view"));
        }
        let outer = std::mem::replace(&mut self.indent, place.indent + STEP);
        self.levels.push(Level::default());
        let mut from = String::new();
        self.write_from(&select.from, place.indent, &mut from)?;
        let targets = self.targets(&select.projection, place)?;
        out.push_str(" SELECT");
        self.distinct_clause(select.distinct.as_ref(), &targets, out)?;
        self.target_list(&targets, place, out);
        if !from.is_empty() {
            out.truncate(out.trim_end_matches(' ').len());
            out.push_str(&from);
        }
        if let Some(condition) = &select.selection {
            line(out, place.indent, "  WHERE ");
            self.condition_text(condition, out)?;
        }
        self.group_by(&select.group_by, &targets, place.indent, out)?;
        if let Some(condition) = &select.having {
            line(out, place.indent, " HAVING ");
            self.condition_text(condition, out)?;
        }
        self.order_by(order_by, &targets, place.indent, out)?;
        self.levels.pop();
        self.indent = outer;
        let output = |Target { name, piece, unknown, .. }: Target| Output {
            unknown,
            ..Output::new(&name, piece.type_oid, piece.typmod)
        };
        Ok(targets.into_iter().map(output).collect())
    }

    fn condition_text(&mut self, condition: &Expr, out: &mut String) -> Result<(), SqlError> {
        let piece = self.expr(condition)?;
        let piece = self.implicit(piece, Oid::BOOL)?;
        super::piece::append(out, &self.shown(&piece.text));
        Ok(())
    }

    fn targets(
        &mut self,
        projection: &[SelectItem],
        place: Place<'_>,
    ) -> Result<Vec<Target>, SqlError> {
        let mut targets = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    targets.push(self.target(expr, output_name(expr))?);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    targets.push(self.target(expr, fold(alias))?);
                }
                SelectItem::Wildcard(_) => targets.extend(self.star(None)?),
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => {
                    let alias = name.0.last().and_then(|part| part.as_ident()).map(fold);
                    targets.extend(self.star(alias.as_deref())?);
                }
                _ => return Err(SqlError::unsupported("this item in the text of a view")),
            }
        }
        for (target, name) in targets.iter_mut().zip(place.names.unwrap_or_default()) {
            target.name.clone_from(name);
        }
        Ok(targets)
    }

    fn target(&mut self, expr: &Expr, name: String) -> Result<Target, SqlError> {
        let piece = self.expr(expr)?;
        let column = matches!(piece.form, Form::Column).then(|| last_part(&piece.text).to_owned());
        let unknown = piece.type_oid == Oid::UNKNOWN;
        Ok(Target { name, piece: self.settled(piece)?, column, unknown })
    }

    /// The columns of `*`, or of `relation.*`.
    fn star(&self, relation: Option<&str>) -> Result<Vec<Target>, SqlError> {
        let target = |name: &String, piece: Piece| Target {
            name: name.clone(),
            column: Some(last_part(&piece.text).to_owned()),
            piece,
            unknown: false,
        };
        let Some(level) = self.levels.last() else { return Ok(Vec::new()) };
        let Some(relation) = relation else {
            return Ok(level.columns.iter().map(|(name, it)| target(name, it.clone())).collect());
        };
        let entry = level.entries.iter().find(|entry| entry.written == relation);
        let entry = entry.ok_or_else(|| SqlError::unsupported("this star"))?;
        Ok(entry.listed().map(|it| target(&it.name, entry.piece(it))).collect())
    }

    fn distinct_clause(
        &mut self,
        distinct: Option<&Distinct>,
        targets: &[Target],
        out: &mut String,
    ) -> Result<(), SqlError> {
        match distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => out.push_str(" DISTINCT"),
            Some(Distinct::On(keys)) => {
                let keys = keys.iter().map(|key| self.key(key, targets, Prefer::Output));
                let keys = keys.collect::<Result<Vec<_>, SqlError>>()?;
                out.push_str(&format!(" DISTINCT ON ({})", keys.join(", ")));
            }
        }
        Ok(())
    }

    fn target_list(&self, targets: &[Target], place: Place<'_>, out: &mut String) {
        out.push(' ');
        for (index, target) in targets.iter().enumerate() {
            let mut text = self.shown(&target.piece.text);
            if matches!(target.piece.form, Form::WholeRow) {
                text.push_str(&format!("::{}", self.types.format(target.piece.type_oid)));
            }
            let known = match &target.column {
                Some(column) => Some(column.as_str()),
                None if place.visible => None,
                None => Some("\"?column?\""),
            };
            let name = quote_identifier(&target.name);
            if known != Some(&name) {
                text.push_str(&format!(" AS {name}"));
            }
            out.push_str(if index > 0 { ", " } else { "" });
            if text.starts_with('\n') {
                out.truncate(out.trim_end_matches(' ').len());
            } else if index > 0 {
                line(out, place.indent + ITEM, "");
            }
            out.push_str(&text);
        }
    }

    fn group_by(
        &mut self,
        group_by: &GroupByExpr,
        targets: &[Target],
        indent: usize,
        out: &mut String,
    ) -> Result<(), SqlError> {
        let GroupByExpr::Expressions(keys, modifiers) = group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported("this GROUP BY in the text of a view"));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let keys = keys.iter().map(|key| self.key(key, targets, Prefer::Column));
        let keys = keys.collect::<Result<Vec<_>, SqlError>>()?;
        line(out, indent, "  GROUP BY ");
        out.push_str(&keys.join(", "));
        Ok(())
    }

    fn order_by(
        &mut self,
        keys: &[OrderByExpr],
        targets: &[Target],
        indent: usize,
        out: &mut String,
    ) -> Result<(), SqlError> {
        let mut texts = Vec::with_capacity(keys.len());
        for key in keys {
            texts.push(self.key(&key.expr, targets, Prefer::Output)? + direction(key)?);
        }
        if !texts.is_empty() {
            line(out, indent, "  ORDER BY ");
            out.push_str(&texts.join(", "));
        }
        Ok(())
    }

    /// The keys of an ORDER BY over the columns of a set operation, which are numbers.
    pub(super) fn ordered_outputs(
        &self,
        keys: &[OrderByExpr],
        outputs: &[Output],
        indent: usize,
        out: &mut String,
    ) -> Result<(), SqlError> {
        let mut texts = Vec::with_capacity(keys.len());
        for key in keys {
            let number = match unparenthesized(&key.expr) {
                Expr::Identifier(name) => {
                    let name = fold(name);
                    outputs.iter().position(|it| it.name == name).map(|index| index + 1)
                }
                other => ordinal(other),
            };
            let number = number.ok_or_else(|| SqlError::unsupported("this ORDER BY"))?;
            texts.push(format!("{number}{}", direction(key)?));
        }
        if !texts.is_empty() {
            line(out, indent, "  ORDER BY ");
            out.push_str(&texts.join(", "));
        }
        Ok(())
    }

    /// A key of GROUP BY, ORDER BY or DISTINCT ON: an item of the list by name or number, or an expression.
    fn key(&mut self, key: &Expr, targets: &[Target], prefer: Prefer) -> Result<String, SqlError> {
        let key = unparenthesized(key);
        if let Some(target) = ordinal(key).and_then(|number| targets.get(number - 1)) {
            return Ok(self.key_text(&target.piece));
        }
        if let Expr::Identifier(name) = key {
            let named = fold(name);
            let column = self.levels.last().is_some_and(|level| {
                prefer == Prefer::Column && level.columns.iter().any(|(it, _)| *it == named)
            });
            let target = targets.iter().find(|target| target.name == named);
            if let (Some(target), false) = (target, column) {
                return Ok(self.key_text(&target.piece));
            }
        }
        let piece = self.expr(key)?;
        let piece = self.settled(piece)?;
        Ok(self.key_text(&piece))
    }

    /// An expression as a key: calls stand in parentheses, and in the pretty form everything that is more than a column.
    pub(super) fn key_text(&self, piece: &Piece) -> String {
        let text = self.shown(&piece.text);
        let grouped = match piece.form {
            Form::Column | Form::WholeRow | Form::Constant(_) => false,
            Form::Call => true,
            _ => self.pretty,
        };
        if grouped { format!("({text})") } else { text }
    }
}

/// What a name in a key means where it could be both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefer {
    /// A column of FROM.
    Column,
    /// A column of the list.
    Output,
}

/// ` DESC`, ` NULLS FIRST`.
pub(super) fn direction(key: &OrderByExpr) -> Result<&'static str, SqlError> {
    let descending = match &key.options.sort {
        None | Some(ast::OrderBySort::Asc) => false,
        Some(ast::OrderBySort::Desc) => true,
        Some(ast::OrderBySort::Using(_)) => {
            return Err(SqlError::unsupported("ORDER BY … USING in the text of a view"));
        }
    };
    Ok(match (descending, key.options.nulls_first) {
        (false, None | Some(false)) => "",
        (false, Some(true)) => " NULLS FIRST",
        (true, None | Some(true)) => " DESC",
        (true, Some(false)) => " DESC NULLS LAST",
    })
}

/// The number that stands for an item of the list.
fn ordinal(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(text, _), .. }) => {
            text.parse().ok().filter(|number| *number > 0)
        }
        _ => None,
    }
}
