//! Which function, operator, cast or type an expression means: PostgreSQL's rules (manual, chapter 10 "Type Conversion")
//! over the built-in rows and the user's types.
//!
//! ```text
//!   names and argument types ──> candidates ──> one row + the type that each argument must become + the result type
//!                                (candidate)     (operator, function: errors 42883, 42725, 42809)
//!                                 polymorphic: anyelement and kin        coercion: how one type becomes another
//!                                 common_type: UNION, CASE, VALUES, …    ordering: which types sort and hash
//! ```
//!
//! Everything here is a pure function of types: no expression trees, no values. The type of an untyped literal and of a
//! parameter that nobody gave a type is [`Oid::UNKNOWN`](crate::Oid::UNKNOWN). Where a rule decides it, the answer names
//! the type that the argument must become, and the caller records that as the parameter's type.
//!
//! Worked example: `$1 + 1.5` asks [`resolve_operator`] for `+` over (unknown, numeric). An unknown operand is first taken
//! to have the other's type, `numeric + numeric` exists, so the answer is that row with operands (numeric, numeric) and
//! result numeric; the caller notes `$1` as numeric.
//!
//! # Bounds
//! Arguments of one call: 100 ([`FUNCTION_ARGUMENTS_MAX`]), 54023 above. The number of candidates is that of the built-in
//! rows of one name (at most some tens), so resolution takes microseconds.
//!
//! # Sources
//! PostgreSQL 15 manual, `typeconv`, `extend-type-system`; error texts as the server words them.

mod call_shape;
mod candidate;
mod coercion;
mod common_type;
mod function;
mod operator;
mod ordering;
mod polymorphic;
mod routine;
mod type_facts;
mod type_name;

pub use coercion::{
    Coercion, CoercionMethod, LengthCoercion, can_coerce, cast_error, coercion_method,
    length_coercion, plan_coercion,
};
pub use common_type::{select_common_type, select_common_typmod};
pub use function::{
    ArgumentSource, CallShape, FUNCTION_ARGUMENTS_MAX, FunctionCall, ResolvedCall,
    ResolvedFunction, VariadicUse, resolve_function,
};
pub use operator::{
    ResolvedArrayOperator, ResolvedOperator, resolve_array_operator, resolve_operator,
};
pub use ordering::{is_hashable, is_sortable, require_equality, require_ordering};
pub(crate) use polymorphic::is_polymorphic;
pub use routine::Routine;
pub use type_facts::{TypeInfo, Types};
