//! Functions and procedures.

use super::super::type_name::TypeName;
use super::{AbsentObject, AlterObject, ObjectName, SourceText};
use crate::builtin::Volatility;

/// What a statement calls a routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutineKind {
    /// `FUNCTION`.
    Function,
    /// `PROCEDURE`.
    Procedure,
    /// `ROUTINE`: either.
    Routine,
}

impl RoutineKind {
    /// The word in messages.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Routine => "routine",
        }
    }
}

/// A routine as a statement names it.
#[derive(Clone, Debug)]
pub struct RoutineReference {
    /// What the statement calls it.
    pub kind: RoutineKind,
    /// Name.
    pub name: ObjectName,
    /// Modes and types of its arguments, where they are given.
    pub arguments: Option<Vec<(ParameterMode, TypeName)>>,
    /// What is said if it is not there.
    pub absent: AbsentObject,
}

/// Mode of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterMode {
    /// `IN`.
    In,
    /// `OUT`.
    Out,
    /// `INOUT`.
    InOut,
    /// `VARIADIC`.
    Variadic,
    /// A column of `RETURNS TABLE`.
    Table,
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct ParameterClause {
    /// Mode.
    pub mode: ParameterMode,
    /// Name.
    pub name: Option<String>,
    /// Type.
    pub type_name: TypeName,
    /// `SETOF`, which no parameter may be.
    pub set: bool,
    /// `DEFAULT`.
    pub default: Option<SourceText>,
}

/// `CREATE FUNCTION`, `CREATE PROCEDURE`.
#[derive(Clone, Debug)]
pub struct CreateFunction {
    /// Name.
    pub name: ObjectName,
    /// Function or procedure.
    pub kind: RoutineKind,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// Parameters, columns of `RETURNS TABLE` among them.
    pub parameters: Vec<ParameterClause>,
    /// `RETURNS`, and whether it is a set.
    pub returns: Option<(TypeName, bool)>,
    /// Everything else.
    pub options: FunctionOptions,
}

/// The options of a function, those not given absent.
#[derive(Clone, Debug, Default)]
pub struct FunctionOptions {
    /// `LANGUAGE`.
    pub language: Option<String>,
    /// Its body: a string, or the statements of an SQL-standard body.
    pub body: Option<String>,
    /// Where the body begins in the statement, in characters from 1, if it stands there as it is.
    pub body_position: Option<u32>,
    /// The body is SQL-standard: `RETURN` or `BEGIN ATOMIC`.
    pub standard: bool,
    /// `AS` has a second string, as for functions in C.
    pub link_symbol: bool,
    /// `IMMUTABLE`, `STABLE`, `VOLATILE`.
    pub volatility: Option<Volatility>,
    /// `STRICT`.
    pub strict: Option<bool>,
    /// `LEAKPROOF`.
    pub leakproof: Option<bool>,
    /// `SECURITY DEFINER`.
    pub security_definer: Option<bool>,
    /// `COST`.
    pub cost: Option<f64>,
    /// `ROWS`.
    pub rows: Option<f64>,
    /// `PARALLEL`.
    pub parallel: Option<String>,
}

/// What `ALTER FUNCTION` changes.
#[derive(Clone, Debug)]
pub enum AlterRoutine {
    /// Its name, schema or owner.
    Object(AlterObject),
    /// Its attributes.
    Options(Box<FunctionOptions>),
}
