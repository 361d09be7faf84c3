//! How a value of one type becomes one of another.
//!
//! A coercion has up to three steps, in this order: the change of type proper ([`CoercionMethod`]), the length coercion
//! that a type modifier asks for (`varchar(3)`, `numeric(10,2)`), and the check of a domain's constraints.

use super::polymorphic::{is_consistent, is_polymorphic};
use super::type_facts::Types;
use crate::builtin::{self, CastContext, CastMethod, FunctionRow};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Everything that turns a value into the target type.
#[derive(Clone, Debug, PartialEq)]
pub struct Coercion {
    /// The change of type, to `base`.
    pub method: CoercionMethod,
    /// Target type, without domains.
    pub base: Oid,
    /// Then the length coercion, on `base`.
    pub length: Option<LengthCoercion>,
    /// Then the constraints of this domain.
    pub domain: Option<Oid>,
}

/// How one type becomes another.
#[derive(Clone, Debug, PartialEq)]
pub enum CoercionMethod {
    /// In PostgreSQL the representation is the same. Storage forms may still differ (see [`crate::datum`]).
    Relabel,
    /// An untyped literal or parameter is read by the target's input function.
    Input,
    /// The source's output function, then the target's input function.
    InOut,
    /// A cast function. It takes the type modifier and an "is explicit" flag as further arguments if it declares them.
    Function(Oid),
    /// Each element of an array in turn.
    Array {
        /// How an element is coerced.
        element: Box<CoercionMethod>,
        /// Type of the elements before.
        source: Oid,
        /// Type of the elements after.
        target: Oid,
    },
    /// An anonymous record or row becomes a row type, or the other way round; columns are coerced one by one.
    Row,
}

/// A cut, a rounding or a length check, as the target's type modifier asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LengthCoercion {
    /// The function: (value, typmod) or (value, typmod, is explicit).
    pub function: Oid,
    /// Type modifier to pass.
    pub typmod: i32,
    /// Applied to each element of an array.
    pub elementwise: bool,
}

impl LengthCoercion {
    /// The row of its function.
    #[must_use]
    pub fn row(&self) -> Option<&'static FunctionRow> {
        builtin::function_by_oid(self.function)
    }
}

/// How `source` becomes `target` in this context; domains count as their base types. `None` if it may not.
///
/// The caller deals with `source` being unknown; this answers for types that are known.
#[must_use]
pub fn coercion_method(
    types: Types<'_>,
    source: Oid,
    target: Oid,
    context: CastContext,
) -> Option<CoercionMethod> {
    let (source, target) = (types.base(source), types.base(target));
    if source == target {
        return Some(CoercionMethod::Relabel);
    }
    if let Some(cast) = builtin::cast(source, target) {
        return (context >= cast.context).then_some(match cast.method {
            CastMethod::Function => CoercionMethod::Function(cast.function),
            CastMethod::InOut => CoercionMethod::InOut,
            CastMethod::Binary => CoercionMethod::Relabel,
        });
    }
    array_method(types, source, target, context)
        .or_else(|| text_method(types, source, target, context))
}

/// Arrays are coerced element by element, whenever their elements can be. The vector types are no targets of this.
fn array_method(
    types: Types<'_>,
    source: Oid,
    target: Oid,
    context: CastContext,
) -> Option<CoercionMethod> {
    if matches!(target, Oid::INT2VECTOR | Oid::OIDVECTOR) {
        return None;
    }
    let (source, target) = (types.element(source)?, types.element(target)?);
    let element = Box::new(coercion_method(types, source, target, context)?);
    Some(CoercionMethod::Array { element, source, target })
}

/// Every type can be assigned to a string, and be cast from one, through its text form.
fn text_method(
    types: Types<'_>,
    source: Oid,
    target: Oid,
    context: CastContext,
) -> Option<CoercionMethod> {
    let to_string = context >= CastContext::Assignment && types.category(target) == b'S';
    let from_string = context == CastContext::Explicit && types.category(source) == b'S';
    (to_string || from_string).then_some(CoercionMethod::InOut)
}

/// Every argument may become its target in this context; polymorphic targets must also agree with each other.
#[must_use]
pub fn can_coerce(
    types: Types<'_>,
    sources: &[Oid],
    targets: &[Oid],
    context: CastContext,
) -> bool {
    let mut polymorphic = false;
    for (&source, &target) in sources.iter().zip(targets) {
        if is_polymorphic(target) {
            polymorphic = true;
        } else if !can_coerce_one(types, source, target, context) {
            return false;
        }
    }
    !polymorphic || is_consistent(types, sources, targets)
}

fn can_coerce_one(types: Types<'_>, source: Oid, target: Oid, context: CastContext) -> bool {
    source == target
        || target == Oid::ANY
        || source == Oid::UNKNOWN
        || coercion_method(types, source, target, context).is_some()
        || row_method(types, source, target).is_some()
}

/// Records and row types.
fn row_method(types: Types<'_>, source: Oid, target: Oid) -> Option<CoercionMethod> {
    let row_array =
        || types.base_element(source).is_some_and(|element| types.is_composite(element));
    let allowed = match (source, target) {
        (Oid::RECORD, target) => types.is_composite(target),
        (source, Oid::RECORD) => types.is_composite(source),
        (_, Oid::RECORD_ARRAY) => row_array(),
        _ => false,
    };
    allowed.then_some(CoercionMethod::Row)
}

/// All steps from `source` to `target` with type modifier `typmod` (-1 for none); `None` if it may not be done.
///
/// `source_typmod` is what is known of the value already: no length coercion is needed where it equals `typmod`.
#[must_use]
pub fn plan_coercion(
    types: Types<'_>,
    (source, source_typmod): (Oid, i32),
    (target, typmod): (Oid, i32),
    context: CastContext,
) -> Option<Coercion> {
    let (base, base_typmod) = types.base_with_typmod(target, typmod);
    let domain = (base != target).then_some(target);
    if source == target {
        let length = changed(source_typmod, typmod, length_coercion(types, base, base_typmod));
        let length = length.filter(|_| domain.is_none());
        return Some(Coercion { method: CoercionMethod::Relabel, base, length, domain: None });
    }
    let method = if source == Oid::UNKNOWN {
        Some(CoercionMethod::Input)
    } else {
        coercion_method(types, source, target, context)
            .or_else(|| row_method(types, source, target))
    }?;
    let length = length_coercion(types, base, base_typmod);
    let known = if types.base(source) == base { source_typmod } else { -1 };
    Some(Coercion { method, base, length: changed(known, base_typmod, length), domain })
}

fn changed(from: i32, to: i32, length: Option<LengthCoercion>) -> Option<LengthCoercion> {
    length.filter(|_| from != to)
}

/// The length coercion of a base type or of an array over one; `None` where the type has none or `typmod` is -1.
#[must_use]
pub fn length_coercion(types: Types<'_>, base: Oid, typmod: i32) -> Option<LengthCoercion> {
    if typmod < 0 {
        return None;
    }
    let element = types.element(base);
    let of = element.unwrap_or(base);
    let cast = builtin::cast(of, of)?;
    Some(LengthCoercion { function: cast.function, typmod, elementwise: element.is_some() })
}

/// The error of an explicit cast that does not exist.
#[must_use]
pub fn cast_error(types: Types<'_>, source: Oid, target: Oid) -> SqlError {
    let (source, target) = (types.format(source), types.format(target));
    SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type {source} to {target}"))
}
