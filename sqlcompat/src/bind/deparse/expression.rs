//! The walk: names, literals, operators and predicates.

use sqlparser::ast::{self, BinaryOperator, CastKind, Expr, UnaryOperator, Value, ValueWithSpan};

use super::piece::{Form, Piece, append, join};
use super::{DEPTH_MAX, Deparser, fold};
use crate::bind::resolve::{resolve_array_operator, resolve_operator};
use crate::bind::select::unparenthesized;
use crate::builtin::{CastContext, quote_identifier};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

impl Deparser<'_> {
    /// Writes an expression.
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        if self.depth >= DEPTH_MAX {
            let message = "stack depth limit exceeded";
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message));
        }
        self.depth += 1;
        let result = self.expr_at_depth(expr);
        self.depth -= 1;
        result
    }

    fn expr_at_depth(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        match expr {
            Expr::Identifier(name) => self.name(name),
            Expr::CompoundIdentifier(path) => self.qualified_column(path),
            Expr::Nested(inner) => self.expr(inner),
            Expr::Value(value) => self.value(value),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => {
                let (target, typmod) = self.names.data_type(data_type)?;
                let piece = self.expr(expr)?;
                self.cast(piece, target, typmod, CastContext::Explicit)
            }
            Expr::TypedString(ast::TypedString { data_type, value, uses_odbc_syntax: false }) => {
                let (target, typmod) = self.names.data_type(data_type)?;
                let piece = self.value(value)?;
                self.cast(piece, target, typmod, CastContext::Explicit)
            }
            Expr::Interval(interval) => self.interval(interval),
            Expr::Subquery(query) => self.scalar_query(query),
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated),
            Expr::InSubquery { expr, subquery, negated: not } => {
                let piece = self.compared_query(expr, "=", "IN", subquery)?;
                Ok(if *not { negated(&piece) } else { piece })
            }
            Expr::Collate { expr, collation } => {
                let piece = self.expr(expr)?;
                let piece = self.settled(piece)?;
                let name = collation.0.last().and_then(|part| part.as_ident());
                let name = name.map(|name| quote_identifier(&fold(name))).unwrap_or_default();
                // The parser takes no COLLATE right after a cast, which PostgreSQL does.
                let operand = match piece.form {
                    Form::Constant(_) => format!("({})", piece.text),
                    _ => piece.text.clone(),
                };
                let text = join(["(", &operand, " COLLATE ", &name, ")"], "");
                Ok(Piece { typmod: piece.typmod, ..Piece::made(text, piece.type_oid, &[&piece]) })
            }
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(left, compare_op, right, "ANY")
            }
            Expr::AllOp { left, compare_op, right } => {
                self.quantified(left, compare_op, right, "ALL")
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let operator = if *negated { "!~~" } else { "~~" };
                self.like(operator, expr, pattern, escape_char.as_deref())
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let operator = if *negated { "!~~*" } else { "~~*" };
                self.like(operator, expr, pattern, escape_char.as_deref())
            }
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                let operator = if *negated { "!~" } else { "~" };
                self.similar(operator, expr, pattern, escape_char.as_deref())
            }
            other => match self.test(other) {
                Some(result) => result,
                None => self.construct(other),
            },
        }
    }

    fn qualified_column(&self, path: &[ast::Ident]) -> Result<Piece, SqlError> {
        let [.., qualifier, name] = path else {
            return Err(SqlError::unsupported("this name"));
        };
        if !self.levels.is_empty() {
            return self.query_column_of(qualifier, name);
        }
        let table = fold(qualifier);
        if self.is_table(&table) {
            return self.column(name);
        }
        let message = format!("missing FROM-clause entry for table \"{table}\"");
        Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
    }

    fn value(&self, value: &ValueWithSpan) -> Result<Piece, SqlError> {
        match &value.value {
            Value::Number(text, _) => self.number(text),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => Ok(Piece::unknown(Some(text.clone()))),
            Value::DollarQuotedString(quoted) => Ok(Piece::unknown(Some(quoted.value.clone()))),
            Value::Boolean(value) => Ok(self.constant(if *value { "t" } else { "f" }, Oid::BOOL)),
            Value::Null => Ok(Piece::unknown(None)),
            Value::SingleQuotedByteStringLiteral(bits) => Ok(self.constant(bits, Oid::BIT)),
            Value::Placeholder(text) => Err(SqlError::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter {text}"),
            )),
            _ => Err(SqlError::unsupported("this form of literal")),
        }
    }

    /// int4, int8 or numeric, whichever holds the number first.
    fn number(&self, text: &str) -> Result<Piece, SqlError> {
        let type_oid = match text.parse::<i64>() {
            Ok(value) if i32::try_from(value).is_ok() => Oid::INT4,
            Ok(_) => Oid::INT8,
            Err(_) => Oid::NUMERIC,
        };
        let typed = self.implicit(Piece::unknown(Some(text.to_owned())), type_oid)?;
        Ok(typed)
    }

    fn unary(&mut self, op: UnaryOperator, operand: &Expr) -> Result<Piece, SqlError> {
        if let (
            UnaryOperator::Minus,
            Expr::Value(ValueWithSpan { value: Value::Number(text, _), .. }),
        ) = (op, operand)
        {
            return self.number(&format!("-{text}"));
        }
        let piece = self.expr(operand)?;
        if op == UnaryOperator::Not {
            let piece = self.implicit(piece, Oid::BOOL)?;
            return Ok(negated(&piece));
        }
        let name = op.to_string();
        let found = resolve_operator(self.types, &name, None, piece.type_oid)?;
        let piece = self.implicit(piece, found.right)?;
        let text = join(["(", &name, " ", &piece.text, ")"], "");
        Ok(Piece::made(text, found.result, &[&piece]))
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<Piece, SqlError> {
        let name = match op {
            BinaryOperator::And => return self.chain(left, op, right, " AND "),
            BinaryOperator::Or => return self.chain(left, op, right, " OR "),
            BinaryOperator::Overlaps => return self.overlaps(left, right),
            BinaryOperator::NotEq => "<>".to_owned(),
            BinaryOperator::PGCustomBinaryOperator(path) => {
                path.last().cloned().unwrap_or_default()
            }
            other => other.to_string(),
        };
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        match (&left.form, &right.form) {
            (Form::Row(ones), Form::Row(others)) => {
                self.compare_rows(&name, ones.clone(), others.clone())
            }
            _ => {
                let (left, right) = (self.operand(left), self.operand(right));
                self.operator(&name, left, right)
            }
        }
    }

    /// `AND` or `OR`; a chain of them written without parentheses on the right is one.
    fn chain(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        separator: &str,
    ) -> Result<Piece, SqlError> {
        let mut operands = vec![right];
        let mut next = left;
        loop {
            let bare = unparenthesized(next);
            match bare {
                Expr::BinaryOp { left, op: inner, right } if inner == op => {
                    operands.push(right);
                    next = left;
                }
                _ => break,
            }
        }
        operands.push(next);
        let mut pieces = Vec::with_capacity(operands.len());
        for operand in operands.into_iter().rev() {
            let piece = self.expr(operand)?;
            pieces.push(self.implicit(piece, Oid::BOOL)?);
        }
        Ok(joined(&pieces, separator))
    }

    /// `(left op right)`.
    pub(super) fn operator(
        &self,
        name: &str,
        left: Piece,
        right: Piece,
    ) -> Result<Piece, SqlError> {
        let found = resolve_operator(self.types, name, Some(left.type_oid), right.type_oid)?;
        let left = self.implicit(left, found.left.unwrap_or(found.row.left))?;
        let right = self.implicit(right, found.right)?;
        let text = join(["(", &left.text, " ", name, " ", &right.text, ")"], "");
        Ok(Piece::made(text, found.result, &[&left, &right]))
    }

    fn compare_rows(
        &self,
        name: &str,
        ones: Vec<Piece>,
        others: Vec<Piece>,
    ) -> Result<Piece, SqlError> {
        if ones.len() != others.len() {
            let message = "unequal number of entries in row expressions";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let pairs = ones.into_iter().zip(others);
        if matches!(name, "=" | "<>") {
            let tests = pairs.map(|(one, other)| self.operator(name, one, other));
            let tests = tests.collect::<Result<Vec<_>, _>>()?;
            return Ok(joined(&tests, if name == "=" { " AND " } else { " OR " }));
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (one, other) in pairs {
            let found = resolve_operator(self.types, name, Some(one.type_oid), other.type_oid)?;
            left.push(self.implicit(one, found.left.unwrap_or(found.row.left))?);
            right.push(self.implicit(other, found.right)?);
        }
        let row = |pieces: &[Piece]| join(pieces.iter().map(|piece| piece.text.as_str()), ", ");
        let text = format!("(ROW({}) {name} ROW({}))", row(&left), row(&right));
        let all: Vec<&Piece> = left.iter().chain(&right).collect();
        Ok(Piece::made(text, Oid::BOOL, &all))
    }

    fn between(
        &mut self,
        operand: &Expr,
        negated: bool,
        low: &Expr,
        high: &Expr,
    ) -> Result<Piece, SqlError> {
        let operand = self.expr(operand)?;
        let (low, high) = (self.expr(low)?, self.expr(high)?);
        let [above, below, separator] =
            if negated { ["<", ">", " OR "] } else { [">=", "<=", " AND "] };
        let above = self.operator(above, operand.clone(), low)?;
        let below = self.operator(below, operand, high)?;
        Ok(joined(&[above, below], separator))
    }

    fn quantified(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        quantifier: &str,
    ) -> Result<Piece, SqlError> {
        let name = if *op == BinaryOperator::NotEq { "<>".to_owned() } else { op.to_string() };
        if let Expr::Subquery(query) = right {
            let words = match (name.as_str(), quantifier) {
                ("=", "ANY") => "IN".to_owned(),
                _ => format!("{name} {quantifier}"),
            };
            return self.compared_query(left, &name, &words, query);
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        self.array_operator(&name, left, right, quantifier)
    }

    /// `(left op ANY (right))`.
    pub(super) fn array_operator(
        &self,
        name: &str,
        left: Piece,
        right: Piece,
        quantifier: &str,
    ) -> Result<Piece, SqlError> {
        let found = resolve_array_operator(self.types, name, left.type_oid, right.type_oid)?;
        let wanted = found.operator.left.unwrap_or(found.operator.row.left);
        let left = self.implicit(left, wanted)?;
        let right = self.implicit(right, found.array)?;
        let parts = ["(", &left.text, " ", name, " ", quantifier, " (", &right.text, "))"];
        Ok(Piece::made(join(parts, ""), Oid::BOOL, &[&left, &right]))
    }

    fn like(
        &mut self,
        operator: &str,
        operand: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<Piece, SqlError> {
        let operand = self.expr(operand)?;
        let mut pattern = self.expr(pattern)?;
        if let Some(escape) = escape {
            let escape = self.expr(escape)?;
            pattern = self.plain_call("like_escape", vec![pattern, escape])?;
        }
        self.operator(operator, operand, pattern)
    }

    fn similar(
        &mut self,
        operator: &str,
        operand: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<Piece, SqlError> {
        let operand = self.expr(operand)?;
        let mut arguments = vec![self.expr(pattern)?];
        if let Some(escape) = escape {
            arguments.push(self.expr(escape)?);
        }
        let pattern = self.plain_call("similar_to_escape", arguments)?;
        self.operator(operator, operand, pattern)
    }

    /// `IS …`; `None` for any other expression.
    fn test(&mut self, expr: &Expr) -> Option<Result<Piece, SqlError>> {
        let (operand, test) = match expr {
            Expr::IsNull(operand) => (operand, "NULL"),
            Expr::IsNotNull(operand) => (operand, "NOT NULL"),
            Expr::IsTrue(operand) => (operand, "TRUE"),
            Expr::IsNotTrue(operand) => (operand, "NOT TRUE"),
            Expr::IsFalse(operand) => (operand, "FALSE"),
            Expr::IsNotFalse(operand) => (operand, "NOT FALSE"),
            Expr::IsUnknown(operand) => (operand, "UNKNOWN"),
            Expr::IsNotUnknown(operand) => (operand, "NOT UNKNOWN"),
            Expr::IsDistinctFrom(left, right) => return Some(self.distinct(left, right)),
            Expr::IsNotDistinctFrom(left, right) => {
                return Some(self.distinct(left, right).map(|piece| negated(&piece)));
            }
            _ => return None,
        };
        let piece = self.expr(operand).and_then(|piece| match test {
            "NULL" | "NOT NULL" => Ok(piece),
            _ => self.implicit(piece, Oid::BOOL),
        });
        Some(piece.map(|piece| {
            let text = join(["(", &piece.text, " IS ", test, ")"], "");
            Piece::made(text, Oid::BOOL, &[&piece])
        }))
    }

    fn distinct(&mut self, left: &Expr, right: &Expr) -> Result<Piece, SqlError> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let found = resolve_operator(self.types, "=", Some(left.type_oid), right.type_oid)?;
        let left = self.implicit(left, found.left.unwrap_or(found.row.left))?;
        let right = self.implicit(right, found.right)?;
        let text = join(["(", &left.text, " IS DISTINCT FROM ", &right.text, ")"], "");
        Ok(Piece::made(text, Oid::BOOL, &[&left, &right]))
    }

    /// `INTERVAL '1' DAY`.
    fn interval(&mut self, interval: &ast::Interval) -> Result<Piece, SqlError> {
        let ast::Interval {
            value,
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        } = interval
        else {
            return Err(SqlError::unsupported("INTERVAL with fields"));
        };
        let piece = self.expr(value)?;
        self.cast(piece, Oid::INTERVAL, -1, CastContext::Explicit)
    }

    /// An untyped literal becomes text.
    pub(super) fn settled(&self, piece: Piece) -> Result<Piece, SqlError> {
        if piece.type_oid == Oid::UNKNOWN { self.implicit(piece, Oid::TEXT) } else { Ok(piece) }
    }
}

/// `(NOT x)`.
pub(super) fn negated(piece: &Piece) -> Piece {
    let mut text = "(NOT ".to_owned();
    append(&mut text, &piece.text);
    text.push(')');
    Piece::made(text, Oid::BOOL, &[piece])
}

/// Conditions in parentheses with AND or OR between them.
pub(super) fn joined(pieces: &[Piece], separator: &str) -> Piece {
    let text = join(pieces.iter().map(|piece| piece.text.as_str()), separator);
    let all: Vec<&Piece> = pieces.iter().collect();
    Piece::made(join(["(", &text, ")"], ""), Oid::BOOL, &all)
}
