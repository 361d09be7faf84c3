//! Coercions: how an expression of one type is made one of another, at bind time where its value is known.
//!
//! An untyped literal is read by the target's input function here and now, so that a malformed one is an error with a
//! position, and the SQLite text holds its storage form. What depends on the session's clock or catalog (`'now'`, the reg*
//! types) is left to run time.

use super::binder::Binder;
use super::operator::type_arguments;
use super::resolve::{
    Coercion, CoercionMethod, LengthCoercion, cast_error, plan_coercion, select_common_type,
    select_common_typmod,
};
use super::tree::{At, Body, Call, Expr, Node, Query, SetOperation};
use super::type_names::BinderNames;
use crate::builtin::{self, CastContext};
use crate::catalog::Names;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::object_name::object_class;
use crate::types::{TypeContext, decode_text};

impl Binder<'_> {
    /// Makes an expression one of type `target` in a context, or fails with 42846 (explicit casts) or 42804.
    ///
    /// # Errors
    /// As said; and whatever the input function says of a literal.
    pub(crate) fn coerce(
        &mut self,
        expr: Expr,
        target: Oid,
        typmod: i32,
        context: CastContext,
    ) -> Result<Expr, SqlError> {
        if expr.is_unknown() {
            return self.coerce_unknown(expr, target, typmod, context);
        }
        if expr.type_oid == target && (typmod < 0 || expr.typmod == typmod) {
            return Ok(expr);
        }
        if typmod < 0
            && let Some(literal) = widened(&expr, target)
        {
            return Ok(literal);
        }
        if expr.type_oid == Oid::RECORD && self.types.is_composite(target) {
            return self.coerce_record(expr, target, context);
        }
        if target == Oid::RECORD && self.types.is_composite(expr.type_oid) {
            return Ok(expr);
        }
        let from = (expr.type_oid, expr.typmod);
        let at = expr.at;
        let Some(coercion) = plan_coercion(self.types, from, (target, typmod), context) else {
            return Err(self.cannot_coerce(from.0, target, context).at(at.position()));
        };
        self.apply(expr, &coercion, target, typmod, context)
    }

    /// A record whose fields are known becomes a row of a named type, field by field.
    fn coerce_record(
        &mut self,
        record: Expr,
        target: Oid,
        context: CastContext,
    ) -> Result<Expr, SqlError> {
        let at = record.at;
        let refused = cast_error(self.types, Oid::RECORD, target).at(at.position());
        let base = self.types.base(target);
        let given = match record.node {
            Node::Row(fields) => fields,
            Node::WholeRow(relation) => {
                let columns = self.relations.get(relation).columns.clone();
                let plain = (0u16..).zip(columns).filter(|(_, column)| !column.system);
                plain.map(|(index, _)| self.column(relation, index, at)).collect()
            }
            _ => return Err(refused),
        };
        let declared = self.types.fields(base).unwrap_or_default();
        if given.len() < declared.len() {
            return Err(refused.with_detail("Input has too few columns."));
        }
        if given.len() > declared.len() {
            return Err(refused.with_detail("Input has too many columns."));
        }
        let mut fields = Vec::with_capacity(given.len());
        for (number, (field, (_, oid, typmod))) in (1..).zip(given.into_iter().zip(declared)) {
            let found = field.type_oid;
            fields.push(self.coerce(field, oid, typmod, context).map_err(|error| {
                if !matches!(error.state, SqlState::CANNOT_COERCE | SqlState::DATATYPE_MISMATCH) {
                    return error;
                }
                let (found, wanted) = (self.types.format(found), self.types.format(oid));
                refused.clone().with_detail(format!(
                    "Cannot cast type {found} to {wanted} in column {number}."
                ))
            })?);
        }
        let row = Expr::new(Node::Composite(fields), base).at(at);
        if base == target { Ok(row) } else { self.check_domain(row, target) }
    }

    /// An implicit coercion.
    ///
    /// # Errors
    /// As [`Self::coerce`].
    pub(crate) fn implicit(&mut self, expr: Expr, target: Oid) -> Result<Expr, SqlError> {
        self.coerce(expr, target, -1, CastContext::Implicit)
    }

    fn cannot_coerce(&self, source: Oid, target: Oid, context: CastContext) -> SqlError {
        if context == CastContext::Explicit {
            return cast_error(self.types, source, target);
        }
        let (source, target) = (self.types.format(source), self.types.format(target));
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("cannot convert type {source} to {target}"),
        )
    }

    /// A literal or parameter of open type becomes one of `target`.
    fn coerce_unknown(
        &mut self,
        expr: Expr,
        target: Oid,
        typmod: i32,
        context: CastContext,
    ) -> Result<Expr, SqlError> {
        if target == Oid::UNKNOWN {
            return Ok(expr);
        }
        let at = expr.at;
        if matches!(expr.node, Node::Array(_)) {
            return Err(SqlError::new(
                SqlState::INDETERMINATE_DATATYPE,
                "cannot determine type of empty array",
            )
            .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
            .at(at.position()));
        }
        match expr.node {
            // The fields of an interval say how its text is to be read.
            Node::Unknown(text)
                if context == CastContext::Explicit
                    && self.types.base_with_typmod(target, typmod).1 >= 0
                    && self.types.base(target) != Oid::INTERVAL =>
            {
                // The length is a cast of its own, which cuts what is too long instead of refusing it.
                let base = self.types.base(target);
                let literal = self.input_literal(text, base, -1, at)?;
                self.coerce(literal, target, typmod, context)
            }
            Node::Unknown(text) => {
                let literal = self.input_literal(text, target, typmod, at)?;
                self.check_literal(literal)
            }
            Node::Parameter(number) => {
                let base = self.types.base(target);
                self.decide_parameter(number, target, at)?;
                let typed = Expr::new(Node::Parameter(number), base).at(at);
                if base == target && typmod < 0 {
                    return Ok(typed);
                }
                self.coerce(typed, target, typmod, context)
            }
            node => {
                let untyped = Expr { node, type_oid: target, typmod, at };
                self.check_domain(untyped, target)
            }
        }
    }

    /// Reads a literal by its type's input function.
    ///
    /// # Errors
    /// 22P02 and its kin, with the literal's position.
    pub(crate) fn input_literal(
        &self,
        text: String,
        target: Oid,
        typmod: i32,
        at: At,
    ) -> Result<Expr, SqlError> {
        let (base, base_typmod) = self.types.base_with_typmod(target, typmod);
        self.note_constant(at, base, &text);
        if self.is_session_dependent(base, &text) {
            self.check_object_name(base, &text, at)?;
            let argument = Expr::text(text).at(at);
            let node = Node::Input(Box::new(argument));
            return Ok(Expr { node, type_oid: target, typmod: base_typmod, at });
        }
        let names = BinderNames { types: self.types, catalog: self.cx.catalog };
        let cx = TypeContext { settings: self.cx.settings, names: &names, now_us: 0 };
        let read = |typmod: i32| decode_text(base, typmod, &text, &cx);
        // The modifier is applied to the value that was read, at no place in the text.
        let datum = match read(base_typmod) {
            Err(error) if base_typmod >= 0 && base != Oid::INTERVAL && read(-1).is_ok() => {
                return Err(error);
            }
            result => result.map_err(|error| error.at(at.position()))?,
        };
        Ok(Expr { node: Node::Literal(datum), type_oid: target, typmod, at })
    }

    /// Refuses a literal of the client's that names no object of its reg* type. Which object it names is found out when the
    /// statement runs.
    fn check_object_name(&self, base: Oid, text: &str, at: At) -> Result<(), SqlError> {
        if at.position().is_none() || self.view_depth > 0 || object_class(base).is_none() {
            return Ok(());
        }
        let names = Names::new(self.cx.catalog, self.cx.search_path).with_user(self.cx.user);
        let cx = TypeContext { settings: self.cx.settings, names: &names, now_us: 0 };
        decode_text(base, -1, text, &cx).map(|_| ()).map_err(|error| error.at(at.position()))
    }

    /// Whether a literal's value depends on the clock or on the catalog.
    fn is_session_dependent(&self, base: Oid, text: &str) -> bool {
        let of = self.types.element(base).unwrap_or(base);
        let range = self.types.range_of(of).or_else(|| self.types.range_of_multirange(of));
        match range.map_or(of, |range| self.types.base(range.subtype)) {
            Oid::REGCLASS
            | Oid::REGTYPE
            | Oid::REGPROC
            | Oid::REGPROCEDURE
            | Oid::REGOPER
            | Oid::REGOPERATOR
            | Oid::REGNAMESPACE
            | Oid::REGROLE
            | Oid::REGCOLLATION
            | Oid::REGCONFIG
            | Oid::REGDICTIONARY => true,
            Oid::DATE | Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => {
                let text = text.to_ascii_lowercase();
                ["now", "today", "tomorrow", "yesterday"].iter().any(|word| text.contains(word))
            }
            _ => false,
        }
    }

    /// Applies the steps of a coercion.
    fn apply(
        &mut self,
        expr: Expr,
        coercion: &Coercion,
        target: Oid,
        typmod: i32,
        context: CastContext,
    ) -> Result<Expr, SqlError> {
        let at = expr.at;
        let explicit = context == CastContext::Explicit;
        let base = coercion.base;
        let known = expr.typmod;
        let same = self.types.base(expr.type_oid) == base;
        let mut expr = self.change_type(expr, &coercion.method, base, typmod, explicit)?.at(at);
        if same {
            expr.typmod = known;
        }
        if let Some(length) = &coercion.length {
            expr = Self::fit_length(expr, length, explicit)?.at(at);
        }
        if let Some(domain) = coercion.domain {
            return self.check_domain(expr, domain);
        }
        if expr.type_oid != target {
            expr = Expr { type_oid: target, typmod: expr.typmod, at, node: expr.node };
        }
        Ok(expr)
    }

    fn change_type(
        &mut self,
        expr: Expr,
        method: &CoercionMethod,
        base: Oid,
        typmod: i32,
        explicit: bool,
    ) -> Result<Expr, SqlError> {
        let boxed = |expr: Expr| Box::new(expr);
        let node = match method {
            CoercionMethod::Relabel if expr.type_oid == base => return Ok(expr),
            CoercionMethod::Relabel => Node::Relabel(boxed(expr)),
            CoercionMethod::Input => Node::Input(boxed(expr)),
            CoercionMethod::InOut if self.types.category(base) == b'S' => Node::Output(boxed(expr)),
            CoercionMethod::InOut => Node::Input(boxed(expr)),
            CoercionMethod::Function(function) => {
                return Self::cast_call(expr, *function, typmod, explicit, base);
            }
            CoercionMethod::Array { .. } => {
                let node = Node::ArrayCast(boxed(expr));
                return self.check_elements(Expr { node, type_oid: base, typmod, at: At(0) });
            }
            CoercionMethod::Row => Node::Relabel(boxed(expr)),
        };
        Ok(Expr::new(node, base))
    }

    /// A call of a cast function, with the arguments that it declares.
    fn cast_call(
        expr: Expr,
        function: Oid,
        typmod: i32,
        explicit: bool,
        result: Oid,
    ) -> Result<Expr, SqlError> {
        let row = builtin::function_by_oid(function).ok_or_else(|| {
            SqlError::new(SqlState::INTERNAL_ERROR, format!("cache lookup failed for {function}"))
        })?;
        let mut arguments = vec![expr];
        if row.arguments.len() > 1 {
            arguments.push(Expr::int4(typmod));
        }
        if row.arguments.len() > 2 {
            arguments.push(Expr::boolean(explicit));
        }
        let type_arguments = type_arguments(row, &arguments);
        let call = Call { row, operator: None, arguments, type_arguments };
        Ok(Expr::new(Node::Call(Box::new(call)), result))
    }

    fn fit_length(expr: Expr, length: &LengthCoercion, explicit: bool) -> Result<Expr, SqlError> {
        let type_oid = expr.type_oid;
        let mut fitted = if length.elementwise {
            Expr::new(Node::ArrayCast(Box::new(expr)), type_oid)
        } else {
            Self::cast_call(expr, length.function, length.typmod, explicit, type_oid)?
        };
        fitted.typmod = length.typmod;
        Ok(fitted)
    }

    /// The common type of several expressions; each is coerced to it.
    ///
    /// # Errors
    /// 42804 where there is none, in the words of `construct`.
    pub(crate) fn unify(
        &mut self,
        exprs: Vec<Expr>,
        construct: &str,
    ) -> Result<(Vec<Expr>, Oid, i32), SqlError> {
        let found: Vec<Oid> = exprs.iter().map(|expr| expr.type_oid).collect();
        let at = exprs.iter().find(|expr| expr.type_oid != found[0]).map(|expr| expr.at);
        let common = select_common_type(self.types, &found, construct)
            .map_err(|error| error.at(at.and_then(At::position)))?;
        let typmods: Vec<(Oid, i32)> = exprs.iter().map(|it| (it.type_oid, it.typmod)).collect();
        let typmod = select_common_typmod(common, &typmods);
        let coerced = exprs
            .into_iter()
            .map(|expr| self.implicit(expr, common))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((coerced, common, typmod))
    }

    /// A condition: bool, or 42804 naming the clause.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn boolean(&mut self, expr: Expr, clause: &str) -> Result<Expr, SqlError> {
        if expr.type_oid == Oid::BOOL {
            return Ok(expr);
        }
        let at = expr.at;
        let found = self.types.format(expr.type_oid);
        self.coerce(expr, Oid::BOOL, -1, CastContext::Assignment)
            .ok()
            .filter(|it| it.type_oid == Oid::BOOL)
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("argument of {clause} must be type boolean, not type {found}"),
                )
                .at(at.position())
            })
    }

    /// Gives output columns that nothing has typed the type `text`.
    ///
    /// # Errors
    /// As [`Self::coerce`].
    pub(crate) fn settle_unknown(&mut self, query: &mut Query) -> Result<(), SqlError> {
        for index in 0..query.columns.len() {
            if query.columns[index].type_oid == Oid::UNKNOWN {
                self.coerce_output(query, index, Oid::TEXT, -1, CastContext::Implicit)?;
            }
        }
        Ok(())
    }

    /// Coerces one output column of a query, in each of its parts.
    ///
    /// # Errors
    /// As [`Self::coerce`].
    pub(crate) fn coerce_output(
        &mut self,
        query: &mut Query,
        index: usize,
        target: Oid,
        typmod: i32,
        context: CastContext,
    ) -> Result<(), SqlError> {
        // A chain of set operations is as deep to the left as it is long: no recursion.
        let mut pending = vec![query];
        while let Some(query) = pending.pop() {
            match &mut query.body {
                Body::Select(select) => {
                    let item = std::mem::replace(&mut select.items[index], Expr::null());
                    select.items[index] = self.coerce(item, target, typmod, context)?;
                }
                Body::Values(rows) => {
                    for row in rows {
                        let item = std::mem::replace(&mut row[index], Expr::null());
                        row[index] = self.coerce(item, target, typmod, context)?;
                    }
                }
                Body::SetOperation(operation) => {
                    let SetOperation { kind: _, all: _, left, right } = &mut **operation;
                    pending.extend([right, left]);
                }
            }
            let column = &mut query.columns[index];
            if column.type_oid != target {
                column.origin = None;
            }
            column.type_oid = target;
            column.typmod = typmod;
        }
        Ok(())
    }
}

/// An integer literal as a literal of a wider number type.
fn widened(expr: &Expr, target: Oid) -> Option<Expr> {
    /// Integers up to here are exact as float8.
    const EXACT_MAX: u64 = 1 << 53;
    let Node::Literal(Datum::Integer(value)) = expr.node else { return None };
    if !matches!(expr.type_oid, Oid::INT2 | Oid::INT4 | Oid::INT8) {
        return None;
    }
    let datum = match (expr.type_oid, target) {
        (Oid::INT2 | Oid::INT4, Oid::INT8) | (Oid::INT2, Oid::INT4) => Datum::Integer(value),
        (_, Oid::NUMERIC) => Datum::Text(value.to_string()),
        (_, Oid::FLOAT8) if value.unsigned_abs() <= EXACT_MAX => {
            Datum::Real(value.to_string().parse().ok()?)
        }
        _ => return None,
    };
    Some(Expr::new(Node::Literal(datum), target).at(expr.at))
}
