//! Expressions: from the syntax tree to the typed tree.
//!
//! One function per family of nodes; [`Binder::expr`] dispatches. Chains of `AND` and `OR`, and the left spine of operator
//! chains, are walked with a loop, so that a long condition is no deep recursion.

use sqlparser::ast::{self, BinaryOperator, DateTimeField, UnaryOperator, ValueWithSpan};

use super::binder::Binder;
use super::data_type::interval_typmod;
use super::literal::number_text;
use super::select::unparenthesized;
use super::tree::{At, Call, Expr, Node};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

impl Binder<'_> {
    /// Binds an expression.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for what is not translated.
    pub(crate) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        self.nested(|binder| binder.expr_at_depth(expr))
    }

    fn expr_at_depth(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        use ast::Expr as Ast;
        match expr {
            Ast::Identifier(ident) => self.resolve_name(ident),
            Ast::CompoundIdentifier(idents) => self.resolve_qualified(idents),
            Ast::Value(value) => self.value(value),
            Ast::Nested(inner) => self.expr(inner),
            Ast::BinaryOp { left, op, right } => self.binary(expr, left, op, right),
            Ast::UnaryOp { op, expr: operand } => self.unary(*op, operand),
            Ast::Cast { kind, expr: operand, data_type, format } => {
                if format.is_some()
                    || !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon)
                {
                    return Err(SqlError::unsupported("this form of CAST"));
                }
                self.placed_cast(kind, operand, data_type)
            }
            Ast::TypedString(ast::TypedString { data_type, value, uses_odbc_syntax: _ }) => {
                self.typed_string(data_type, value)
            }
            Ast::Function(function) => self.function(function),
            Ast::IsNull(_)
            | Ast::IsNotNull(_)
            | Ast::IsTrue(_)
            | Ast::IsNotTrue(_)
            | Ast::IsFalse(_)
            | Ast::IsNotFalse(_)
            | Ast::IsUnknown(_)
            | Ast::IsNotUnknown(_)
            | Ast::IsDistinctFrom(..)
            | Ast::IsNotDistinctFrom(..) => self.is_test(expr),
            Ast::InList { expr: operand, list, negated } => self.in_list(operand, list, *negated),
            Ast::InSubquery { expr: operand, subquery, negated } => {
                self.in_subquery(operand, subquery, *negated)
            }
            Ast::Between { expr: operand, negated, low, high } => {
                self.between(operand, *negated, low, high)
            }
            Ast::Like { .. } | Ast::ILike { .. } | Ast::SimilarTo { .. } => self.like(expr),
            Ast::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(left, compare_op, right, false)
            }
            Ast::AllOp { left, compare_op, right } => {
                self.quantified(left, compare_op, right, true)
            }
            Ast::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Ast::Exists { subquery, negated } => self.exists(subquery, *negated),
            Ast::Subquery(query) => self.scalar_subquery(query),
            Ast::Array(ast::Array { elem, named: _ }) => {
                let at = self.expr_start(expr);
                self.array(elem, at)
            }
            Ast::Tuple(fields) => self.row(fields),
            Ast::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Ast::Collate { expr: operand, collation } => self.collate(operand, collation),
            Ast::Interval(interval) => self.interval(interval),
            _ => self.syntax_form(expr),
        }
    }

    /// Forms with a grammar of their own that are function calls underneath.
    fn syntax_form(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        use ast::Expr as Ast;
        let at = self.expr_start(expr);
        match expr {
            Ast::AtTimeZone { timestamp, time_zone } => {
                let arguments = vec![self.expr(time_zone)?, self.expr(timestamp)?];
                self.call_named("timezone", arguments, at)
            }
            Ast::Extract { field, syntax: _, expr: operand } => {
                let field = Expr::text(date_time_field(field));
                let operand = self.expr(operand)?;
                self.call_named("extract", vec![field, operand], at)
            }
            Ast::Ceil { expr: operand, field } => self.rounding("ceil", operand, field, at),
            Ast::Floor { expr: operand, field } => self.rounding("floor", operand, field, at),
            Ast::Position { expr: needle, r#in } => {
                let arguments = vec![self.expr(r#in)?, self.expr(needle)?];
                self.call_named("position", arguments, at)
            }
            Ast::Substring {
                expr: operand,
                substring_from,
                substring_for,
                special: _,
                shorthand,
            } => {
                let name = if *shorthand { "substr" } else { "substring" };
                self.substring(
                    name,
                    operand,
                    substring_from.as_deref(),
                    substring_for.as_deref(),
                    at,
                )
            }
            Ast::Trim { trim_where, trim_what, expr: operand, trim_characters } => {
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    Some(ast::TrimWhereField::Both) | None => "btrim",
                };
                let what = trim_what.as_deref().into_iter();
                let what = what.chain(trim_characters.iter().flatten());
                let operands = [&**operand].into_iter().chain(what);
                let arguments = operands.map(|it| self.expr(it)).collect::<Result<_, _>>()?;
                self.call_named(name, arguments, at)
            }
            Ast::Overlay { expr: operand, overlay_what, overlay_from, overlay_for } => {
                let operands = [operand, overlay_what, overlay_from].into_iter();
                let operands = operands.chain(overlay_for);
                let arguments = operands.map(|it| self.expr(it)).collect::<Result<_, _>>()?;
                self.call_named("overlay", arguments, at)
            }
            Ast::IsNormalized { expr: operand, form, negated } => {
                let mut arguments = vec![self.expr(operand)?];
                if let Some(form) = form {
                    arguments.push(Expr::text(form.to_string()));
                }
                let call = self.call_named("is_normalized", arguments, at)?;
                Ok(negate(call, *negated))
            }
            Ast::Wildcard(_) | Ast::QualifiedWildcard(..) => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "row expansion via \"*\" is not supported here",
            )
            .at(at.position())),
            other => {
                Err(SqlError::unsupported(format!("the expression {}", brief(other)))
                    .at(at.position()))
            }
        }
    }

    fn rounding(
        &mut self,
        name: &str,
        operand: &ast::Expr,
        field: &ast::CeilFloorKind,
        at: At,
    ) -> Result<Expr, SqlError> {
        match field {
            ast::CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
                let operand = self.expr(operand)?;
                self.call_named(name, vec![operand], at)
            }
            ast::CeilFloorKind::DateTimeField(_) | ast::CeilFloorKind::Scale(_) => {
                Err(SqlError::unsupported("rounding to a field or scale"))
            }
        }
    }

    fn substring(
        &mut self,
        name: &str,
        operand: &ast::Expr,
        from: Option<&ast::Expr>,
        length: Option<&ast::Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let mut arguments = vec![self.expr(operand)?];
        match (from, length) {
            (None, Some(length)) => {
                arguments.push(Expr::int4(1));
                let length = self.expr(length)?;
                arguments.push(self.implicit(length, Oid::INT4)?);
            }
            (from, length) => {
                for it in from.into_iter().chain(length) {
                    arguments.push(self.expr(it)?);
                }
            }
        }
        self.call_named(name, arguments, at)
    }

    fn unary(&mut self, op: UnaryOperator, operand: &ast::Expr) -> Result<Expr, SqlError> {
        let name = match op {
            UnaryOperator::Not => {
                let operand = self.expr(operand)?;
                let operand = self.boolean(operand, "NOT")?;
                return Ok(negate(operand, true));
            }
            UnaryOperator::Minus => {
                if let Some((text, negated)) = number_text(operand) {
                    let at = At(self.expr_start(operand).0.saturating_sub(1));
                    return match negated {
                        true => self.number(text, at),
                        false => self.negative_number(text, at),
                    };
                }
                "-"
            }
            UnaryOperator::Plus => "+",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGAbs => "@",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            UnaryOperator::BangNot => "!",
            UnaryOperator::PGPrefixFactorial => "!!",
            UnaryOperator::DoubleAt => "@@",
            UnaryOperator::Hash => "#",
            UnaryOperator::AtDashAt => "@-@",
            UnaryOperator::QuestionDash => "?-",
            UnaryOperator::QuestionPipe => "?|",
            UnaryOperator::PGPostfixFactorial => {
                return Err(SqlError::unsupported("a postfix operator"));
            }
        };
        let at = At(self.expr_start(operand).0.saturating_sub(1));
        let operand = self.expr(operand)?;
        self.prefix_operator(name, operand, at)
    }

    /// `operand::type` and `CAST(operand AS type)`, with the place of what cannot be cast.
    fn placed_cast(
        &mut self,
        kind: &ast::CastKind,
        operand: &ast::Expr,
        data_type: &ast::DataType,
    ) -> Result<Expr, SqlError> {
        let target = self.data_type(data_type)?;
        if let ast::Expr::Array(array) = unparenthesized(operand) {
            let at = self.expr_start(operand);
            if let Some(cast) = self.cast_array(&array.elem, target, at)? {
                return Ok(cast);
            }
        }
        self.cast(operand, target).map_err(|mut error| {
            if error.state == SqlState::CANNOT_COERCE && error.position.is_some() {
                error.position = self.cast_place(kind, operand).or(error.position);
            }
            error
        })
    }

    fn cast(
        &mut self,
        operand: &ast::Expr,
        (target, typmod): (Oid, i32),
    ) -> Result<Expr, SqlError> {
        let bound = self.expr(operand)?;
        if bound.at.0 == 0 && bound.type_oid != target {
            let at = self.expr_start(operand);
            return self.coerce(bound.at(at), target, typmod, CastContext::Explicit);
        }
        let mut cast = self.coerce(bound, target, typmod, CastContext::Explicit)?;
        cast.typmod = typmod;
        Ok(cast)
    }

    /// `type 'literal'`.
    fn typed_string(
        &mut self,
        data_type: &ast::DataType,
        value: &ValueWithSpan,
    ) -> Result<Expr, SqlError> {
        let (target, typmod) = self.data_type(data_type)?;
        let literal = self.value(value)?;
        self.coerce(literal, target, typmod, CastContext::Explicit)
    }

    fn interval(&mut self, interval: &ast::Interval) -> Result<Expr, SqlError> {
        let ast::Interval {
            value,
            leading_field,
            leading_precision,
            last_field,
            fractional_seconds_precision,
        } = interval;
        let fields = match (leading_field, last_field) {
            (None, None) => None,
            (first, last) => Some(interval_fields(first.as_ref(), last.as_ref())?),
        };
        let precision = fractional_seconds_precision.or(*leading_precision);
        let typmod = interval_typmod(fields.as_ref(), precision);
        let literal = self.expr(value)?;
        if !matches!(literal.node, Node::Unknown(_)) {
            return Err(SqlError::unsupported("INTERVAL of anything but a string literal"));
        }
        self.coerce(literal, Oid::INTERVAL, typmod, CastContext::Explicit)
    }

    fn collate(
        &mut self,
        operand: &ast::Expr,
        collation: &ast::ObjectName,
    ) -> Result<Expr, SqlError> {
        let (_, name) = self.qualified(collation)?;
        let bound = self.expr(operand)?;
        let bound = if bound.is_unknown() { self.implicit(bound, Oid::TEXT)? } else { bound };
        let collatable =
            self.types.info(self.types.base(bound.type_oid)).is_some_and(|it| it.collation.0 != 0);
        if !collatable {
            let found = self.types.format(bound.type_oid);
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("collations are not supported by type {found}"),
            )
            .at(self.start_of(collation).position()));
        }
        match name.as_str() {
            "default" | "C" | "POSIX" | "ucs_basic" | "C.UTF-8" | "C.utf8" => Ok(bound),
            other => Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("collation \"{other}\" for encoding \"UTF8\" does not exist"),
            )
            .at(self.start_of(collation).position())),
        }
    }

    /// A chain of binary operators, its left spine walked with a loop.
    fn binary(
        &mut self,
        whole: &ast::Expr,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
    ) -> Result<Expr, SqlError> {
        if let BinaryOperator::And | BinaryOperator::Or = op {
            return self.connective(whole, op);
        }
        let mut spine = vec![(op, right)];
        let mut first = left;
        while let ast::Expr::BinaryOp { left, op, right } = first
            && !matches!(op, BinaryOperator::And | BinaryOperator::Or)
        {
            spine.push((op, right));
            first = left;
        }
        if spine.len() > super::binder::BIND_DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        let mut bound = self.expr(first)?;
        let mut before = first;
        while let Some((op, right)) = spine.pop() {
            bound = self.binary_step(bound, before, op, right)?;
            before = right;
        }
        Ok(bound)
    }

    fn binary_step(
        &mut self,
        left: Expr,
        left_ast: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_between(left_ast, op, right);
        if let (Node::Row(_), ast::Expr::Subquery(query)) = (&left.node, right) {
            return self.compare_row_with_query(operator_name(op)?, left, query, at);
        }
        let right = self.expr(right)?;
        if let BinaryOperator::Overlaps = op {
            return self.overlaps(left, right, at);
        }
        let name = operator_name(op)?;
        if let (Node::Row(_), Node::Row(_)) = (&left.node, &right.node) {
            return self.compare_rows(name, left, right, at);
        }
        self.binary_operator(name, left, right, at)
    }

    /// `(a, b) OVERLAPS (c, d)`.
    fn overlaps(&mut self, left: Expr, right: Expr, at: At) -> Result<Expr, SqlError> {
        let (Node::Row(mut left), Node::Row(right)) = (left.node, right.node) else {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "wrong number of parameters on left side of OVERLAPS expression",
            )
            .at(at.position()));
        };
        left.extend(right);
        self.call_named("overlaps", left, at)
    }

    /// `AND` and `OR`: a chain of one of them becomes one node.
    fn connective(&mut self, whole: &ast::Expr, op: &BinaryOperator) -> Result<Expr, SqlError> {
        let clause = if *op == BinaryOperator::And { "AND" } else { "OR" };
        let mut terms = Vec::new();
        let mut rest = whole;
        let mut operands = Vec::new();
        while let ast::Expr::BinaryOp { left, op: found, right } = rest
            && found == op
        {
            operands.push(&**right);
            rest = left;
        }
        operands.push(rest);
        for operand in operands.into_iter().rev() {
            let term = self.expr(operand)?;
            terms.push(self.boolean(term, clause)?);
        }
        let node = if *op == BinaryOperator::And { Node::And(terms) } else { Node::Or(terms) };
        Ok(Expr::new(node, Oid::BOOL))
    }

    /// A call through its arguments' coerced form, for nodes that keep a call.
    pub(crate) fn operator_call(
        &mut self,
        name: &str,
        left: Expr,
        right: Expr,
        at: At,
    ) -> Result<Call, SqlError> {
        let call = self.binary_operator(name, left, right, at)?;
        match call.node {
            Node::Call(call) => Ok(*call),
            _ => Err(SqlError::unsupported("this comparison").at(at.position())),
        }
    }
}

/// `NOT` of a condition, if `negated`.
pub(crate) fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::new(Node::Not(Box::new(expr)), Oid::BOOL) } else { expr }
}

/// A node's name for a refusal: its text, cut short.
pub(crate) fn brief(expr: &ast::Expr) -> String {
    let text = expr.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// The name of a field as `extract` takes it.
fn date_time_field(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.to_lowercase(),
        other => other.to_string().to_lowercase(),
    }
}

/// `YEAR TO MONTH` and so on.
fn interval_fields(
    first: Option<&DateTimeField>,
    last: Option<&DateTimeField>,
) -> Result<ast::IntervalFields, SqlError> {
    use DateTimeField as Field;
    use ast::IntervalFields as Fields;
    Ok(match (first, last) {
        (Some(Field::Year | Field::Years), None) => Fields::Year,
        (Some(Field::Month | Field::Months), None) => Fields::Month,
        (Some(Field::Day | Field::Days), None) => Fields::Day,
        (Some(Field::Hour | Field::Hours), None) => Fields::Hour,
        (Some(Field::Minute | Field::Minutes), None) => Fields::Minute,
        (Some(Field::Second | Field::Seconds), None) => Fields::Second,
        (Some(Field::Year), Some(Field::Month)) => Fields::YearToMonth,
        (Some(Field::Day), Some(Field::Hour)) => Fields::DayToHour,
        (Some(Field::Day), Some(Field::Minute)) => Fields::DayToMinute,
        (Some(Field::Day), Some(Field::Second)) => Fields::DayToSecond,
        (Some(Field::Hour), Some(Field::Minute)) => Fields::HourToMinute,
        (Some(Field::Hour), Some(Field::Second)) => Fields::HourToSecond,
        (Some(Field::Minute), Some(Field::Second)) => Fields::MinuteToSecond,
        _ => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid interval fields"));
        }
    })
}

/// The operator's name in `pg_operator`.
pub(crate) fn operator_name(op: &BinaryOperator) -> Result<&str, SqlError> {
    Ok(match op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::StringConcat => "||",
        BinaryOperator::Gt => ">",
        BinaryOperator::Lt => "<",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::BitwiseXor | BinaryOperator::PGExp => "^",
        BinaryOperator::PGBitwiseXor => "#",
        BinaryOperator::PGBitwiseShiftLeft => "<<",
        BinaryOperator::PGBitwiseShiftRight => ">>",
        BinaryOperator::PGOverlap => "&&",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        BinaryOperator::PGLikeMatch => "~~",
        BinaryOperator::PGILikeMatch => "~~*",
        BinaryOperator::PGNotLikeMatch => "!~~",
        BinaryOperator::PGNotILikeMatch => "!~~*",
        BinaryOperator::PGStartsWith => "^@",
        BinaryOperator::Arrow => "->",
        BinaryOperator::LongArrow => "->>",
        BinaryOperator::HashArrow => "#>",
        BinaryOperator::HashLongArrow => "#>>",
        BinaryOperator::AtAt => "@@",
        BinaryOperator::AtArrow => "@>",
        BinaryOperator::ArrowAt => "<@",
        BinaryOperator::HashMinus => "#-",
        BinaryOperator::AtQuestion => "@?",
        BinaryOperator::Question => "?",
        BinaryOperator::QuestionAnd => "?&",
        BinaryOperator::QuestionPipe => "?|",
        BinaryOperator::LtDashGt => "<->",
        BinaryOperator::AndLt => "&<",
        BinaryOperator::AndGt => "&>",
        BinaryOperator::LtLtPipe => "<<|",
        BinaryOperator::PipeGtGt => "|>>",
        BinaryOperator::DoubleHash => "##",
        BinaryOperator::TildeEq => "~=",
        BinaryOperator::Custom(name) => name,
        BinaryOperator::PGCustomBinaryOperator(parts) => {
            parts.last().map_or("", |name| name.as_str())
        }
        other => return Err(SqlError::unsupported(format!("the operator {other}"))),
    })
}
