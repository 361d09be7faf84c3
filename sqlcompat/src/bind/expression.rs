//! Expressions: from the syntax tree to the typed tree.
//!
//! One function per family of nodes; [`Binder::expr`] dispatches. Chains of `AND` and `OR`, and the left spine of operator
//! chains, are walked with a loop, so that a long condition is no deep recursion.

use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CaseWhen, DateTimeField, UnaryOperator, Value, ValueWithSpan,
};

use super::binder::Binder;
use super::data_type::interval_typmod;
use super::tree::{At, Call, Expr, Extreme, Let, Negated, Node, Subscript, SubscriptIndex};
use crate::builtin::CastContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::lower::is_native_comparison;
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
                self.cast(operand, data_type)
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
            Ast::Substring { expr: operand, substring_from, substring_for, special, shorthand } => {
                let name = if *shorthand { "substr" } else { "substring" };
                let _ = special;
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
                let mut arguments = vec![self.expr(operand)?];
                for it in trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten()) {
                    arguments.push(self.expr(it)?);
                }
                self.call_named(name, arguments, at)
            }
            Ast::Overlay { expr: operand, overlay_what, overlay_from, overlay_for } => {
                let mut arguments =
                    vec![self.expr(operand)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                if let Some(length) = overlay_for {
                    arguments.push(self.expr(length)?);
                }
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

    /// A literal.
    fn value(&mut self, value: &ValueWithSpan) -> Result<Expr, SqlError> {
        let at = self.span_start(value.span);
        let unknown = |text: &str| Expr::new(Node::Unknown(text.to_owned()), Oid::UNKNOWN).at(at);
        match &value.value {
            Value::Number(text, _) => self.number(text, at),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => Ok(unknown(text)),
            Value::DollarQuotedString(quoted) => Ok(unknown(&quoted.value)),
            Value::Boolean(value) => Ok(Expr::boolean(*value).at(at)),
            Value::Null => Ok(Expr::null().at(at)),
            Value::Placeholder(text) => {
                let (number, type_oid) = self.parameter(text, at)?;
                Ok(Expr::new(Node::Parameter(number), type_oid).at(at))
            }
            Value::SingleQuotedByteStringLiteral(bits) => {
                self.input_literal(bits.clone(), Oid::BIT, -1, at)
            }
            Value::HexStringLiteral(digits) => {
                self.input_literal(format!("x{digits}"), Oid::BIT, -1, at)
            }
            _ => Err(SqlError::unsupported("this form of literal").at(at.position())),
        }
    }

    /// A number: int4, int8 or numeric, whichever holds it first.
    fn number(&self, text: &str, at: At) -> Result<Expr, SqlError> {
        if text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(value) = text.parse::<i64>()
        {
            let type_oid = if i32::try_from(value).is_ok() { Oid::INT4 } else { Oid::INT8 };
            return Ok(Expr::new(Node::Literal(Datum::Integer(value)), type_oid).at(at));
        }
        self.input_literal(text.to_owned(), Oid::NUMERIC, -1, at)
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

    /// A number with a minus in front is one literal: -9223372036854775808 is an int8.
    fn negative_number(&self, text: &str, at: At) -> Result<Expr, SqlError> {
        let mut literal = self.number(text, at)?;
        match &mut literal.node {
            Node::Literal(Datum::Integer(value)) => {
                *value = -*value;
                if i32::try_from(*value).is_ok() {
                    literal.type_oid = Oid::INT4;
                }
            }
            _ => {
                let minimum = format!("-{text}").parse::<i64>();
                if let Ok(value) = minimum {
                    literal.node = Node::Literal(Datum::Integer(value));
                    literal.type_oid = Oid::INT8;
                    return Ok(literal);
                }
                return self.input_literal(format!("-{text}"), Oid::NUMERIC, -1, at);
            }
        }
        Ok(literal)
    }

    /// `operand::type` and `CAST(operand AS type)`.
    fn cast(&mut self, operand: &ast::Expr, data_type: &ast::DataType) -> Result<Expr, SqlError> {
        let (target, typmod) = self.data_type(data_type)?;
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

    /// `IS NULL`, `IS TRUE`, `IS DISTINCT FROM` and their opposites.
    fn is_test(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        use ast::Expr as Ast;
        let (operand, truth, negated, clause) = match expr {
            Ast::IsNull(operand) => return self.null_test(operand, Negated::No),
            Ast::IsNotNull(operand) => return self.null_test(operand, Negated::Yes),
            Ast::IsDistinctFrom(left, right) => return self.distinct_test(left, right, true),
            Ast::IsNotDistinctFrom(left, right) => return self.distinct_test(left, right, false),
            Ast::IsTrue(operand) => (operand, Some(true), false, "IS TRUE"),
            Ast::IsNotTrue(operand) => (operand, Some(true), true, "IS NOT TRUE"),
            Ast::IsFalse(operand) => (operand, Some(false), false, "IS FALSE"),
            Ast::IsNotFalse(operand) => (operand, Some(false), true, "IS NOT FALSE"),
            Ast::IsUnknown(operand) => (operand, None, false, "IS UNKNOWN"),
            Ast::IsNotUnknown(operand) => (operand, None, true, "IS NOT UNKNOWN"),
            other => return Err(SqlError::unsupported(brief(other))),
        };
        let operand = self.expr(operand)?;
        let operand = self.boolean(operand, clause)?;
        let node = Node::IsTruth(Box::new(operand), truth, Negated::from(negated));
        Ok(Expr::new(node, Oid::BOOL))
    }

    fn null_test(&mut self, operand: &ast::Expr, negated: Negated) -> Result<Expr, SqlError> {
        let operand = self.expr(operand)?;
        let tests = match operand.node {
            Node::Row(fields) => fields,
            node => {
                let operand = Expr { node, ..operand };
                let operand =
                    if operand.is_unknown() { self.implicit(operand, Oid::TEXT)? } else { operand };
                return Ok(Expr::new(Node::IsNull(Box::new(operand), negated), Oid::BOOL));
            }
        };
        let tests = tests.into_iter().map(|field| {
            let field = if field.is_unknown() { self.implicit(field, Oid::TEXT)? } else { field };
            Ok(Expr::new(Node::IsNull(Box::new(field), negated), Oid::BOOL))
        });
        Ok(Expr::new(Node::And(tests.collect::<Result<_, SqlError>>()?), Oid::BOOL))
    }

    fn distinct_test(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        distinct: bool,
    ) -> Result<Expr, SqlError> {
        let at = self.operator_after(left);
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let call = self.operator_call("=", left, right, at)?;
        let node = Node::IsDistinct(Box::new(call), Negated::from(!distinct));
        Ok(Expr::new(node, Oid::BOOL))
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[CaseWhen],
        else_result: Option<&ast::Expr>,
    ) -> Result<Expr, SqlError> {
        let Some(operand) = operand else {
            return self.branches(None, conditions, else_result);
        };
        let bound = self.expr(operand)?;
        let bound = if bound.is_unknown() { self.implicit(bound, Oid::TEXT)? } else { bound };
        self.computed_once(bound, |binder, operand| {
            binder.branches(Some(operand), conditions, else_result)
        })
    }

    /// Gives `body` a value that is computed once: itself if computing it again changes nothing, else a name for it.
    pub(crate) fn computed_once(
        &mut self,
        value: Expr,
        body: impl FnOnce(&mut Self, Expr) -> Result<Expr, SqlError>,
    ) -> Result<Expr, SqlError> {
        let aggregated = value.any(&mut |it| matches!(it.node, Node::Aggregate(_)));
        if aggregated || !value.is_volatile(&self.relations) {
            return body(self, value);
        }
        let relation = self.add_given("c1", value.type_oid, value.typmod);
        let named = self.column(relation, 0, value.at);
        let body = body(self, named)?;
        let (type_oid, typmod, at) = (body.type_oid, body.typmod, body.at);
        Ok(Expr { node: Node::Let(Box::new(Let { relation, value, body })), type_oid, typmod, at })
    }

    /// The branches of a `CASE`: conditions, or values to compare the operand with.
    fn branches(
        &mut self,
        operand: Option<Expr>,
        conditions: &[CaseWhen],
        else_result: Option<&ast::Expr>,
    ) -> Result<Expr, SqlError> {
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        // The ELSE comes first: it is the one whose type PostgreSQL prefers in a tie.
        results.push(match else_result {
            Some(result) => self.expr(result)?,
            None => Expr::null(),
        });
        for CaseWhen { condition, result } in conditions {
            let test = self.expr(condition)?;
            tests.push(match &operand {
                Some(operand) => {
                    let at = self.expr_start(condition);
                    self.binary_operator("=", operand.clone(), test, at)?
                }
                None => self.boolean(test, "CASE/WHEN")?,
            });
            results.push(self.expr(result)?);
        }
        let (mut results, type_oid, typmod) = self.unify(results, "CASE")?;
        let otherwise = Box::new(results.remove(0));
        let node = match operand.and_then(|_| switch_values(&tests)) {
            Some((operand, values)) => {
                let whens = values.into_iter().zip(results).collect();
                Node::Switch(Box::new(operand), whens, Some(otherwise))
            }
            None => Node::Case(tests.into_iter().zip(results).collect(), Some(otherwise)),
        };
        let mut case = Expr::new(node, type_oid);
        case.typmod = typmod;
        Ok(case)
    }

    /// `COALESCE`, `GREATEST`, `LEAST`, `NULLIF`: functions by their look only. `None` for any other name.
    pub(crate) fn special_function(
        &mut self,
        name: &str,
        arguments: &[&ast::Expr],
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let (extreme, construct) = match name {
            "coalesce" => (None, "COALESCE"),
            "greatest" => (Some(Extreme::Greatest), "GREATEST"),
            "least" => (Some(Extreme::Least), "LEAST"),
            "nullif" => {
                let [left, right] = arguments else { return Ok(None) };
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                let typmod = left.typmod;
                let null_if = self.computed_once(left, |binder, left| {
                    let call = binder.operator_call("=", left, right, at)?;
                    let type_oid = call.arguments[0].type_oid;
                    Ok(Expr { node: Node::NullIf(Box::new(call)), type_oid, typmod, at })
                });
                return null_if.map(Some);
            }
            _ => return Ok(None),
        };
        if arguments.is_empty() {
            return Ok(None);
        }
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            bound.push(self.expr(argument)?);
        }
        let (bound, type_oid, typmod) = self.unify(bound, construct)?;
        let node = match extreme {
            None => Node::Coalesce(bound),
            Some(extreme) => {
                super::resolve::require_ordering(self.types, type_oid)
                    .map_err(|error| error.at(at.position()))?;
                Node::Extreme(extreme, bound)
            }
        };
        Ok(Some(Expr { node, type_oid, typmod, at }))
    }

    /// `ARRAY[…]`.
    fn array(&mut self, elements: &[ast::Expr], at: At) -> Result<Expr, SqlError> {
        if elements.is_empty() {
            return Ok(Expr::new(Node::Array(Vec::new()), Oid::UNKNOWN).at(at));
        }
        let mut bound = Vec::with_capacity(elements.len());
        for element in elements {
            bound.push(self.expr(element)?);
        }
        let (bound, element, _) = self.unify(bound, "ARRAY")?;
        if self.types.element(element).is_some() {
            return Ok(Expr::new(Node::Array(bound), element).at(at));
        }
        let array = self.types.array_of(element).ok_or_else(|| {
            let name = self.types.format(element);
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {name}"),
            )
            .at(at.position())
        })?;
        Ok(Expr::new(Node::Array(bound), array).at(at))
    }

    /// `ROW(…)` and `(a, b)`.
    pub(crate) fn row(&mut self, fields: &[ast::Expr]) -> Result<Expr, SqlError> {
        let mut bound = Vec::with_capacity(fields.len());
        for field in fields {
            bound.push(self.expr(field)?);
        }
        Ok(Expr::new(Node::Row(bound), Oid::RECORD))
    }

    /// `a[1]`, `a[1:2]`, `(row).field`.
    fn access(&mut self, root: &ast::Expr, chain: &[AccessExpr]) -> Result<Expr, SqlError> {
        let (mut value, chain) = self.access_root(root, chain)?;
        let mut indexes = Vec::new();
        for access in chain {
            match access {
                AccessExpr::Subscript(subscript) => indexes.push(self.subscript(subscript)?),
                AccessExpr::Dot(field) => {
                    value = self.subscripted(value, std::mem::take(&mut indexes))?;
                    value = self.field(value, field)?;
                }
            }
        }
        self.subscripted(value, indexes)
    }

    /// `t.a[1]` comes as the root `t` with the field `a`: a column of a relation is taken first.
    fn access_root<'e>(
        &mut self,
        root: &ast::Expr,
        chain: &'e [AccessExpr],
    ) -> Result<(Expr, &'e [AccessExpr]), SqlError> {
        if let (
            ast::Expr::Identifier(table),
            [AccessExpr::Dot(ast::Expr::Identifier(column)), rest @ ..],
        ) = (root, chain)
        {
            let name = Self::name(table);
            let at = self.span_start(table.span);
            if self.find_column(&name, at)?.is_none() {
                return Ok((self.resolve_qualified(&[table.clone(), column.clone()])?, rest));
            }
        }
        Ok((self.expr(root)?, chain))
    }

    fn subscript(&mut self, subscript: &ast::Subscript) -> Result<SubscriptIndex, SqlError> {
        let mut bound = |expr: &ast::Expr| {
            let index = self.expr(expr)?;
            self.coerce(index, Oid::INT4, -1, CastContext::Assignment)
        };
        match subscript {
            ast::Subscript::Index { index } => Ok(SubscriptIndex::Element(bound(index)?)),
            ast::Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                let lower = lower_bound.as_ref().map(&mut bound).transpose()?;
                let upper = upper_bound.as_ref().map(&mut bound).transpose()?;
                Ok(SubscriptIndex::Slice(lower, upper))
            }
            ast::Subscript::Slice { stride: Some(_), .. } => {
                Err(SqlError::unsupported("a slice with a stride"))
            }
        }
    }

    fn subscripted(&mut self, array: Expr, indexes: Vec<SubscriptIndex>) -> Result<Expr, SqlError> {
        if indexes.is_empty() {
            return Ok(array);
        }
        let base = self.types.base(array.type_oid);
        if base == Oid::JSONB {
            return self.jsonb_subscripts(array, indexes);
        }
        let single_name = match &indexes[..] {
            [SubscriptIndex::Element(index)] if base == Oid::NAME => Some(index.clone()),
            _ => None,
        };
        if let Some(index) = single_name {
            // A name is an array of "char" that counts from 0.
            let at = array.at;
            let start = self.binary_operator("+", index, Expr::int4(1), at)?;
            let text = self.coerce(array, Oid::TEXT, -1, CastContext::Explicit)?;
            let letter = self.call_named("substr", vec![text, start, Expr::int4(1)], at)?;
            return self.coerce(letter, Oid::CHAR, -1, CastContext::Explicit);
        }
        let Some(element) = self.types.element(base) else {
            let found = self.types.format(array.type_oid);
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("cannot subscript type {found} because it does not support subscripting"),
            )
            .at(array.at.position()));
        };
        let slice = indexes.iter().any(|index| matches!(index, SubscriptIndex::Slice(..)));
        let (type_oid, typmod, at) = (if slice { base } else { element }, array.typmod, array.at);
        let node = Node::Subscript(Box::new(Subscript { array, indexes }));
        Ok(Expr { node, type_oid, typmod, at })
    }

    /// `jsonb['a'][0]` is a chain of `->`.
    fn jsonb_subscripts(
        &mut self,
        value: Expr,
        indexes: Vec<SubscriptIndex>,
    ) -> Result<Expr, SqlError> {
        let mut value = value;
        for index in indexes {
            let SubscriptIndex::Element(index) = index else {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "jsonb subscript does not support slices",
                ));
            };
            value = self.binary_operator("->", value, index, At(0))?;
        }
        Ok(value)
    }

    /// `(row).field`.
    fn field(&mut self, value: Expr, field: &ast::Expr) -> Result<Expr, SqlError> {
        let ast::Expr::Identifier(ident) = field else {
            return Err(SqlError::unsupported("this form of field selection"));
        };
        let name = Self::name(ident);
        if let Node::WholeRow(relation) = value.node {
            let columns = &self.relations.get(relation).columns;
            let index = columns.iter().position(|column| column.name == name);
            if let Some(index) = index.and_then(|index| u16::try_from(index).ok()) {
                return Ok(self.column(relation, index, value.at));
            }
        }
        if let Node::Row(fields) = &value.node {
            let number = name.strip_prefix('f').and_then(|digits| digits.parse::<usize>().ok());
            let field = number.and_then(|number| fields.get(number.checked_sub(1)?));
            return field.cloned().ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("could not identify column \"{name}\" in record data type"),
                )
                .at(value.at.position())
            });
        }
        let info = self.types.info(value.type_oid);
        let table = info.and_then(|info| self.cx.catalog.tables.get(&info.relation));
        let found = table.and_then(|table| {
            let index = table.columns.iter().position(|column| column.name == name)?;
            let column = &table.columns[index];
            Some((u16::try_from(index).ok()?, column.type_oid, column.typmod))
        });
        let Some((index, type_oid, typmod)) = found else {
            let shown = self.types.format(value.type_oid);
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" not found in data type {shown}"),
            )
            .at(self.span_start(ident.span).position()));
        };
        let at = value.at;
        Ok(Expr { node: Node::Field(Box::new(value), index), type_oid, typmod, at })
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
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "stack depth limit exceeded",
            ));
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
        let at = self.operator_after(left_ast);
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

/// The digits of a number that is written with any count of parentheses and signs, and whether it is negative: PostgreSQL's
/// grammar takes signs into the constant.
fn number_text(expr: &ast::Expr) -> Option<(&str, bool)> {
    match expr {
        ast::Expr::Value(ValueWithSpan { value: Value::Number(text, _), span: _ }) => {
            Some((text, false))
        }
        ast::Expr::Nested(inner) => number_text(inner),
        ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
            number_text(inner).map(|(text, negated)| (text, !negated))
        }
        _ => None,
    }
}

/// The one operand of equalities that SQLite itself decides, and the values that it is compared with.
fn switch_values(tests: &[Expr]) -> Option<(Expr, Vec<Expr>)> {
    let mut operand = None;
    let mut values = Vec::with_capacity(tests.len());
    for test in tests {
        let Node::Call(call) = &test.node else { return None };
        let [left, right] = &call.arguments[..] else { return None };
        if !is_native_comparison(call.row.oid) || *operand.get_or_insert(left) != left {
            return None;
        }
        values.push(right.clone());
    }
    Some((operand?.clone(), values))
}

/// `NOT` of a condition, if `negated`.
pub(crate) fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::new(Node::Not(Box::new(expr)), Oid::BOOL) } else { expr }
}

/// A node's name for a refusal: its text, cut short.
fn brief(expr: &ast::Expr) -> String {
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
