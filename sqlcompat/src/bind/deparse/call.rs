//! Function calls, and the functions that have a grammar of their own.

use sqlparser::ast::{
    self, CeilFloorKind, DateTimeField, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    TrimWhereField,
};

use super::expression::negated;
use super::piece::{Form, Piece, join};
use super::{Deparser, fold};
use crate::bind::resolve::{FunctionCall, ResolvedCall, ResolvedFunction, resolve_function};
use crate::builtin::{CastContext, FunctionKind, quote_identifier};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Arguments of a call: what they are, the names of the last ones, and whether the last is VARIADIC.
#[derive(Default)]
struct Arguments {
    pieces: Vec<Piece>,
    names: Vec<String>,
}

impl<'a> Deparser<'a> {
    /// A call of a function with a grammar of its own, or an ordinary call.
    pub(super) fn syntax_call(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        match expr {
            Expr::Function(function) => self.function(function),
            Expr::AtTimeZone { timestamp, time_zone } => {
                let arguments = vec![self.expr(time_zone)?, self.expr(timestamp)?];
                let (_, pieces, result) = self.called("timezone", arguments)?;
                let parts = ["(", &pieces[1].text, " AT TIME ZONE ", &pieces[0].text, ")"];
                Ok(made(join(parts, ""), result, &pieces))
            }
            Expr::Extract { field, syntax: _, expr } => self.extract(field, expr),
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let argument = self.expr(expr)?;
                self.plain_call("ceil", vec![argument])
            }
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => {
                let argument = self.expr(expr)?;
                self.plain_call("floor", vec![argument])
            }
            Expr::Position { expr, r#in } => {
                let arguments = vec![self.expr(r#in)?, self.expr(expr)?];
                let (_, pieces, result) = self.called("position", arguments)?;
                let (what, within) = (&pieces[1].text, &pieces[0].text);
                let parts = ["((", &self.shown(what), ") IN (", &self.shown(within), "))"];
                let text = format!("POSITION{}", self.hidden(join(parts, "")));
                Ok(made(text, result, &pieces))
            }
            Expr::Substring { expr, substring_from, substring_for, special, shorthand } => {
                let from = substring_from.as_deref();
                self.substring(expr, from, substring_for.as_deref(), (*special, *shorthand))
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                self.trim(*trim_where, trim_what.as_deref(), expr)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments =
                    vec![self.expr(expr)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                if let Some(length) = overlay_for {
                    arguments.push(self.expr(length)?);
                }
                let (_, pieces, result) = self.called("overlay", arguments)?;
                Ok(made(
                    interleaved("OVERLAY(", &pieces, [" PLACING ", " FROM ", " FOR "]),
                    result,
                    &pieces,
                ))
            }
            Expr::IsNormalized { expr, form, negated: not } => {
                let piece = self.expr(expr)?;
                let (_, pieces, result) = self.called("is_normalized", vec![piece])?;
                let form = form.map(|form| format!("{form} ")).unwrap_or_default();
                let text = join(["(", &pieces[0].text, " IS ", &form, "NORMALIZED)"], "");
                let test = made(text, result, &pieces);
                Ok(if *not { negated(&test) } else { test })
            }
            other => Err(SqlError::unsupported(format!("the expression {other}"))),
        }
    }

    fn extract(&mut self, field: &DateTimeField, operand: &Expr) -> Result<Piece, SqlError> {
        let field = match field {
            DateTimeField::Custom(name) => name.value.to_lowercase(),
            other => other.to_string().to_lowercase(),
        };
        let field = field.trim_matches('\'').to_owned();
        let operand = self.expr(operand)?;
        let named = self.implicit(Piece::unknown(Some(field.clone())), Oid::TEXT)?;
        let (_, pieces, result) = self.called("extract", vec![named, operand])?;
        let text = join(["EXTRACT(", &field, " FROM ", &pieces[1].text, ")"], "");
        Ok(made(text, result, &pieces))
    }

    /// The grammar's form is shown for character positions; with a pattern it is an ordinary call.
    fn substring(
        &mut self,
        operand: &Expr,
        from: Option<&Expr>,
        length: Option<&Expr>,
        (commas, shorthand): (bool, bool),
    ) -> Result<Piece, SqlError> {
        let mut arguments = vec![self.expr(operand)?];
        match (from, length) {
            (None, Some(length)) => {
                arguments.push(self.constant("1", Oid::INT4));
                let length = self.expr(length)?;
                arguments.push(self.cast(length, Oid::INT4, -1, CastContext::Implicit)?);
            }
            (from, length) => {
                for argument in from.into_iter().chain(length) {
                    arguments.push(self.expr(argument)?);
                }
            }
        }
        if shorthand || commas {
            return self.plain_call(if shorthand { "substr" } else { "substring" }, arguments);
        }
        let (row, pieces, result) = self.called("substring", arguments)?;
        let positions = row.routine.arguments().get(1) == Some(&Oid::INT4);
        let text = if positions {
            interleaved("SUBSTRING(", &pieces, [" FROM ", " FOR ", ""])
        } else {
            self.call_text(&row, &pieces, &[])
        };
        Ok(made(text, result, &pieces))
    }

    fn trim(
        &mut self,
        side: Option<TrimWhereField>,
        what: Option<&Expr>,
        operand: &Expr,
    ) -> Result<Piece, SqlError> {
        let (name, side) = match side {
            Some(TrimWhereField::Leading) => ("ltrim", "LEADING"),
            Some(TrimWhereField::Trailing) => ("rtrim", "TRAILING"),
            Some(TrimWhereField::Both) | None => ("btrim", "BOTH"),
        };
        let mut arguments = vec![self.expr(operand)?];
        if let Some(what) = what {
            arguments.push(self.expr(what)?);
        }
        let (row, pieces, result) = self.called(name, arguments)?;
        let text = match pieces.get(1) {
            Some(what) => {
                join(["TRIM(", side, " ", &what.text, " FROM ", &pieces[0].text, ")"], "")
            }
            // The parser does not read TRIM(BOTH FROM x), which PostgreSQL shows; the text of a view is not read again.
            None if self.levels.is_empty() => self.call_text(&row, &pieces, &[]),
            None => join(["TRIM(", side, " FROM ", &pieces[0].text, ")"], ""),
        };
        Ok(made(text, result, &pieces))
    }

    /// `(a, b) OVERLAPS (c, d)`.
    pub(super) fn overlaps(&mut self, left: &Expr, right: &Expr) -> Result<Piece, SqlError> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let (Form::Row(left), Form::Row(right)) = (left.form, right.form) else {
            return Err(SqlError::unsupported("OVERLAPS of anything but rows"));
        };
        let (_, pieces, result) =
            self.called("overlaps", left.into_iter().chain(right).collect())?;
        let text: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
        let text = match text[..] {
            [a, b, c, d] => format!("(({a}, {b}) OVERLAPS ({c}, {d}))"),
            _ => return Err(SqlError::unsupported("OVERLAPS of rows of any other size")),
        };
        Ok(made(text, result, &pieces))
    }

    /// An ordinary call of a function of `pg_catalog`.
    pub(super) fn plain_call(
        &mut self,
        name: &str,
        arguments: Vec<Piece>,
    ) -> Result<Piece, SqlError> {
        let (row, pieces, result) = self.called(name, arguments)?;
        Ok(made(self.call_text(&row, &pieces, &[]), result, &pieces))
    }

    /// `name(a, b, c => d)`; the name with its schema where it would not be found without.
    fn call_text(&self, row: &ResolvedFunction<'_>, pieces: &[Piece], names: &[String]) -> String {
        let routine = row.routine;
        let positional = pieces.len().saturating_sub(names.len());
        let arguments: Vec<String> = pieces
            .iter()
            .enumerate()
            .map(|(at, piece)| match at.checked_sub(positional).and_then(|at| names.get(at)) {
                Some(name) => format!("{} => {}", quote_identifier(name), piece.text),
                None => piece.text.clone(),
            })
            .collect();
        let arguments = join(arguments.iter().map(String::as_str), ", ");
        let name = quote_identifier(routine.name());
        if self.types.finds_function(routine) {
            return format!("{name}({arguments})");
        }
        let schema = self.types.namespace_name(routine.namespace()).unwrap_or_default();
        format!("{}.{name}({arguments})", quote_identifier(schema))
    }

    /// Resolves a call and coerces its arguments.
    fn called(
        &self,
        name: &str,
        arguments: Vec<Piece>,
    ) -> Result<(ResolvedFunction<'a>, Vec<Piece>, Oid), SqlError> {
        let found: Vec<Oid> = arguments.iter().map(|piece| piece.type_oid).collect();
        let call = FunctionCall { name, arguments: &found, ..FunctionCall::default() };
        match resolve_function(self.types, &call)? {
            ResolvedCall::Function(row) => {
                let pieces = self.coerced(arguments, &row)?;
                let result = row.result;
                Ok((row, pieces, result))
            }
            ResolvedCall::Cast(_) => Err(SqlError::unsupported(format!("the call of {name}"))),
        }
    }

    fn coerced(
        &self,
        arguments: Vec<Piece>,
        row: &ResolvedFunction<'_>,
    ) -> Result<Vec<Piece>, SqlError> {
        let pairs = arguments.into_iter().zip(&row.arguments);
        pairs.map(|(piece, target)| self.implicit(piece, *target)).collect()
    }

    fn function(&mut self, function: &ast::Function) -> Result<Piece, SqlError> {
        if self.is_aggregate(function) {
            return self.aggregate(function);
        }
        let ast::Function {
            name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args,
            within_group,
            filter: None,
            null_treatment: None,
            over: None,
        } = function
        else {
            return Err(SqlError::unsupported("this form of function call"));
        };
        let mut path = name.0.iter().rev().filter_map(|part| part.as_ident()).map(fold);
        let local = path.next().unwrap_or_default();
        let schema = path.next();
        let list = match args {
            FunctionArguments::None => return self.keyword_value(&local),
            FunctionArguments::Subquery(query) if local == "array" => {
                return self.array_query(query);
            }
            FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a subquery here")),
            FunctionArguments::List(list) => list,
        };
        if !within_group.is_empty()
            || list.duplicate_treatment.is_some()
            || !list.clauses.is_empty()
        {
            return Err(SqlError::unsupported("an aggregate here"));
        }
        let Arguments { pieces, names } = self.arguments(&list.args)?;
        match (schema.as_deref(), local.as_str()) {
            (None, "coalesce" | "greatest" | "least") => {
                return self.common_call(&local.to_uppercase(), pieces);
            }
            (None, "nullif") => return self.null_if(pieces),
            (None, "row") => return self.row_of(&pieces),
            (None, "current_timestamp" | "current_time" | "localtime" | "localtimestamp") => {
                return self.clock(&local, &pieces);
            }
            _ => {}
        }
        self.written_call(schema.as_deref(), &local, pieces, &names)
    }

    /// A call in FROM.
    pub(super) fn call_in_from(
        &mut self,
        name: &ast::ObjectName,
        args: &[FunctionArg],
    ) -> Result<Piece, SqlError> {
        let mut path = name.0.iter().rev().filter_map(|part| part.as_ident()).map(fold);
        let local = path.next().unwrap_or_default();
        let schema = path.next();
        let Arguments { pieces, names } = self.arguments(args)?;
        self.written_call(schema.as_deref(), &local, pieces, &names)
    }

    fn row_of(&self, pieces: &[Piece]) -> Result<Piece, SqlError> {
        let settled = pieces.iter().cloned().map(|piece| self.settled(piece));
        let settled = settled.collect::<Result<Vec<Piece>, SqlError>>()?;
        let text = join(settled.iter().map(|piece| piece.text.as_str()), ", ");
        let made = made(format!("ROW({text})"), Oid::RECORD, &settled);
        Ok(Piece { form: Form::Row(pieces.to_vec()), ..made })
    }

    fn written_call(
        &self,
        schema: Option<&str>,
        local: &str,
        pieces: Vec<Piece>,
        names: &[String],
    ) -> Result<Piece, SqlError> {
        let found: Vec<Oid> = pieces.iter().map(|piece| piece.type_oid).collect();
        let argument_names: Vec<&str> = names.iter().map(String::as_str).collect();
        let call = FunctionCall {
            schema,
            name: local,
            arguments: &found,
            argument_names: &argument_names,
            ..FunctionCall::default()
        };
        match resolve_function(self.types, &call)? {
            ResolvedCall::Cast(target) => {
                let piece = pieces.into_iter().next().unwrap_or_else(|| Piece::unknown(None));
                self.cast(piece, target, -1, CastContext::Explicit)
            }
            ResolvedCall::Function(row) if row.routine.kind() == FunctionKind::Plain => {
                let pieces = self.coerced(pieces, &row)?;
                Ok(made(self.call_text(&row, &pieces, names), row.result, &pieces))
            }
            ResolvedCall::Function(_) => Err(SqlError::unsupported("an aggregate here")),
        }
    }

    fn arguments(&mut self, args: &[FunctionArg]) -> Result<Arguments, SqlError> {
        let mut arguments = Arguments::default();
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    arguments.pieces.push(self.expr(expr)?);
                }
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), operator: _ }
                | FunctionArg::ExprNamed {
                    name: Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(expr),
                    operator: _,
                } => {
                    arguments.pieces.push(self.expr(expr)?);
                    arguments.names.push(fold(name));
                }
                other => return Err(SqlError::unsupported(format!("the argument {other}"))),
            }
        }
        Ok(arguments)
    }

    /// A column, or a value that is written like one.
    pub(super) fn name(&self, name: &ast::Ident) -> Result<Piece, SqlError> {
        let keyword = name.quote_style.is_none().then(|| self.keyword_value(&fold(name)));
        self.column(name).or_else(|error| keyword.and_then(Result::ok).ok_or(error))
    }

    /// `CURRENT_USER`, `CURRENT_DATE`: values that are written without parentheses.
    fn keyword_value(&self, name: &str) -> Result<Piece, SqlError> {
        let type_oid = match name {
            "current_user" | "session_user" | "user" | "current_role" | "current_catalog"
            | "current_schema" => Oid::NAME,
            "current_date" => Oid::DATE,
            _ => return self.clock(name, &[]),
        };
        Ok(Piece::made(name.to_uppercase(), type_oid, &[]))
    }

    fn clock(&self, name: &str, precision: &[Piece]) -> Result<Piece, SqlError> {
        let type_oid = match name {
            "current_timestamp" => Oid::TIMESTAMPTZ,
            "current_time" => Oid::TIMETZ,
            "localtime" => Oid::TIME,
            "localtimestamp" => Oid::TIMESTAMP,
            other => {
                let message = format!("column \"{other}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
            }
        };
        let precision = precision.first().map(|piece| format!("({})", piece.text));
        let text = name.to_uppercase() + &precision.unwrap_or_default();
        Ok(Piece::made(text, type_oid, &[]))
    }
}

fn made(text: String, type_oid: Oid, of: &[Piece]) -> Piece {
    let of: Vec<&Piece> = of.iter().collect();
    Piece { form: Form::Call, ..Piece::made(text, type_oid, &of) }
}

/// `OPEN a word b word c)`.
fn interleaved(open: &str, pieces: &[Piece], words: [&str; 3]) -> String {
    let mut parts = vec![open];
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            parts.push(words.get(at - 1).copied().unwrap_or(""));
        }
        parts.push(&piece.text);
    }
    parts.push(")");
    join(parts, "")
}
