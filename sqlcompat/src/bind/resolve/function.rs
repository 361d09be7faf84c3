//! Functions, aggregates and window functions: which row of `pg_proc` a call means (manual page `typeconv-func`).

use super::call_shape;
use super::candidate::{Candidate, Choice, choose};
use super::coercion::{CoercionMethod, coercion_method};
use super::polymorphic::{array_over, decide};
use super::type_facts::Types;
use crate::builtin::{CastContext, FunctionRow, TypeKind, functions_by_name};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Most arguments of one call (54023 above).
pub const FUNCTION_ARGUMENTS_MAX: usize = 100;

/// A call as written.
#[derive(Clone, Copy, Debug, Default)]
pub struct FunctionCall<'a> {
    /// Schema, where the name is qualified.
    pub schema: Option<&'a str>,
    /// Name.
    pub name: &'a str,
    /// Types of the arguments in the order written; the ordering expressions of WITHIN GROUP follow the direct ones.
    pub arguments: &'a [Oid],
    /// Names of the last arguments, where these are written `name => value`.
    pub argument_names: &'a [&'a str],
    /// The last argument is written `VARIADIC array`.
    pub variadic: bool,
    /// The clauses around the arguments.
    pub shape: CallShape,
}

/// The clauses of a call, which only aggregates or window functions may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallShape {
    /// `f(*)`.
    pub star: bool,
    /// `f(DISTINCT …)`.
    pub distinct: bool,
    /// `f(… ORDER BY …)`.
    pub ordered: bool,
    /// Number of ordering expressions of `WITHIN GROUP (ORDER BY …)`.
    pub within_group: Option<usize>,
    /// `FILTER (WHERE …)`.
    pub filter: bool,
    /// `OVER …`.
    pub over: bool,
}

/// What a call means.
#[derive(Clone, Debug)]
pub enum ResolvedCall {
    /// A function, an aggregate or a window function.
    Function(ResolvedFunction),
    /// A cast of the only argument to this type, written as a call: `int4(x)`.
    Cast(Oid),
}

/// A function with its types decided.
#[derive(Clone, Debug)]
pub struct ResolvedFunction {
    /// The row.
    pub row: &'static FunctionRow,
    /// What each argument of the call must become, in the order written.
    pub arguments: Vec<Oid>,
    /// Where the function's parameters come from, in its own order. What VARIADIC takes are the last entries.
    pub sources: Vec<ArgumentSource>,
    /// How a VARIADIC parameter is filled.
    pub variadic: VariadicUse,
    /// Result type.
    pub result: Oid,
    /// Result columns of a function with OUT or TABLE parameters: name and type; empty for all others.
    pub columns: Vec<(&'static str, Oid)>,
}

/// Where a parameter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentSource {
    /// The argument of the call with this index.
    Given(usize),
    /// This default expression, to be coerced to the type.
    Default(&'static str, Oid),
}

/// How a VARIADIC parameter is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariadicUse {
    /// The function has none.
    None,
    /// The sources from index `first` on are collected into an array.
    Packed {
        /// Index into [`ResolvedFunction::sources`].
        first: usize,
        /// Element type.
        element: Oid,
        /// Array type.
        array: Oid,
    },
    /// `VARIADIC "any"`: the sources from this index on are passed one by one.
    Spread(usize),
    /// The call passes the array itself.
    Array,
}

/// A row in the light of one call.
#[derive(Clone, Copy, Debug)]
struct Reading {
    row: &'static FunctionRow,
    /// Number of arguments that VARIADIC takes; 0 where the parameter is filled as written.
    spread: usize,
    /// Number of parameters filled from their defaults.
    defaults: usize,
}

/// The function that a call means, or the cast.
///
/// # Errors
/// 42883 where no function fits, 42725 where several fit equally well, 42809, 42P20 and 0A000 where the clauses do not
/// fit the function, 42804 where polymorphic types contradict each other, 54023 for too many arguments.
pub fn resolve_function(
    types: Types<'_>,
    call: &FunctionCall<'_>,
) -> Result<ResolvedCall, SqlError> {
    if call.arguments.len() > FUNCTION_ARGUMENTS_MAX {
        let message =
            format!("cannot pass more than {FUNCTION_ARGUMENTS_MAX} arguments to a function");
        return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message));
    }
    duplicate_names(call)?;
    let candidates = candidates(types, call);
    let exact = candidates.iter().find(|candidate| candidate.declared == call.arguments);
    let chosen = match exact {
        Some(exact) => exact.clone(),
        None => {
            if let Some(target) = as_cast(types, call) {
                return Ok(ResolvedCall::Cast(target));
            }
            match choose(types, call.arguments, candidates) {
                Choice::One(chosen) => chosen,
                Choice::None => return Err(missing(types, call)),
                Choice::Ambiguous => return Err(ambiguous(types, call)),
            }
        }
    };
    call_shape::check(types, call, chosen.row.row, chosen.row.spread)?;
    decided(types, call, &chosen).map(ResolvedCall::Function)
}

fn duplicate_names(call: &FunctionCall<'_>) -> Result<(), SqlError> {
    for (at, name) in call.argument_names.iter().enumerate() {
        if call.argument_names.iter().take(at).any(|earlier| earlier == name) {
            let message = format!("argument name \"{name}\" used more than once");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
    }
    Ok(())
}

/// The rows that the number and the names of the arguments allow.
fn candidates(types: Types<'_>, call: &FunctionCall<'_>) -> Vec<Candidate<Reading>> {
    let mut found: Vec<Candidate<Reading>> = Vec::new();
    for row in functions_by_name(call.name).iter().filter(|row| in_path(types, call, row)) {
        if let Some(candidate) = read(row, call) {
            add(&mut found, candidate);
        }
    }
    found
}

fn in_path(types: Types<'_>, call: &FunctionCall<'_>, row: &FunctionRow) -> bool {
    match call.schema {
        Some(schema) => types.namespace(schema) == Some(row.namespace),
        None => types.path().any(|namespace| namespace == row.namespace),
    }
}

/// Of two readings with the same types, the one without VARIADIC and with fewer defaults stays.
fn add(found: &mut Vec<Candidate<Reading>>, candidate: Candidate<Reading>) {
    let rank = |candidate: &Candidate<Reading>| (candidate.row.spread, candidate.row.defaults);
    let same = found.iter_mut().find(|earlier| earlier.declared == candidate.declared);
    match same {
        Some(earlier) if rank(&candidate) < rank(earlier) => *earlier = candidate,
        Some(earlier) if rank(&candidate) > rank(earlier) => {}
        _ => found.push(candidate),
    }
}

/// How the row could take the call's arguments; `None` if it cannot.
fn read(row: &'static FunctionRow, call: &FunctionCall<'_>) -> Option<Candidate<Reading>> {
    let given = call.arguments.len();
    let parameters = row.arguments.len();
    let expands = row.variadic != Oid(0) && !call.variadic;
    if expands && call.argument_names.is_empty() && given >= parameters {
        let fixed = parameters - 1;
        let mut declared = row.arguments[..fixed].to_vec();
        declared.resize(given, row.variadic);
        let reading = Reading { row, spread: given - fixed, defaults: 0 };
        return Some(Candidate { row: reading, declared });
    }
    let defaults = parameters.checked_sub(given)?;
    if defaults > row.defaults.len() || (expands && !call.argument_names.is_empty()) {
        return None;
    }
    let sources = sources(row, call)?;
    let reading = Reading { row, spread: 0, defaults };
    let mut declared = vec![Oid(0); given];
    for (parameter, source) in sources.iter().enumerate() {
        if let ArgumentSource::Given(at) = source {
            declared[*at] = row.arguments[parameter];
        }
    }
    Some(Candidate { row: reading, declared })
}

/// Fills the parameters of a row from positional arguments, then named ones, then defaults; `None` if they do not fit.
fn sources(row: &'static FunctionRow, call: &FunctionCall<'_>) -> Option<Vec<ArgumentSource>> {
    let positional = call.arguments.len().checked_sub(call.argument_names.len())?;
    let names = row.input_names();
    let mut slots: Vec<Option<ArgumentSource>> = (0..row.arguments.len())
        .map(|at| (at < positional).then_some(ArgumentSource::Given(at)))
        .collect();
    for (at, name) in call.argument_names.iter().enumerate() {
        let parameter = names.iter().position(|candidate| candidate == name)?;
        let slot = slots.get_mut(parameter)?;
        if slot.is_some() {
            return None;
        }
        *slot = Some(ArgumentSource::Given(positional + at));
    }
    let required = row.arguments.len() - row.defaults.len();
    let filled = slots.into_iter().enumerate().map(|(at, slot)| {
        slot.or_else(|| {
            let text = row.defaults.get(at.checked_sub(required)?)?;
            Some(ArgumentSource::Default(text, row.arguments[at]))
        })
    });
    filled.collect()
}

/// A call with one argument whose name is a type's is a cast to it, where the cast is none of function (the functions of
/// that name were candidates already).
fn as_cast(types: Types<'_>, call: &FunctionCall<'_>) -> Option<Oid> {
    let &[source] = call.arguments else {
        return None;
    };
    if !call.argument_names.is_empty() || call.variadic {
        return None;
    }
    let target = types.lookup(call.schema, call.name)?;
    if types.info(target)?.kind == TypeKind::Composite {
        return None;
    }
    if source == Oid::UNKNOWN {
        return Some(target);
    }
    let row = source == Oid::RECORD || types.is_composite(source);
    match coercion_method(types, source, target, CastContext::Explicit)? {
        CoercionMethod::Relabel => Some(target),
        CoercionMethod::InOut if row && types.category(target) == b'S' => None,
        CoercionMethod::InOut => Some(target),
        CoercionMethod::Input
        | CoercionMethod::Function(_)
        | CoercionMethod::Array { .. }
        | CoercionMethod::Row => None,
    }
}

fn decided(
    types: Types<'_>,
    call: &FunctionCall<'_>,
    chosen: &Candidate<Reading>,
) -> Result<ResolvedFunction, SqlError> {
    let Reading { row, spread, .. } = chosen.row;
    let decided = decide(types, call.arguments, &chosen.declared)?;
    let result = decided.substitute(types, row.result)?;
    let columns = row.out_columns().map(|(name, oid)| Ok((name, decided.substitute(types, oid)?)));
    let columns = columns.collect::<Result<Vec<_>, SqlError>>()?;
    let variadic = match (spread, call.variadic) {
        (0, false) => VariadicUse::None,
        (0, true) => explicit_variadic(types, call, row)?,
        (_, _) => {
            let first = call.arguments.len() - spread;
            packed(types, row, first, decided.arguments[first])?
        }
    };
    let sources = if spread == 0 {
        sources(row, call).unwrap_or_default()
    } else {
        (0..call.arguments.len()).map(ArgumentSource::Given).collect()
    };
    Ok(ResolvedFunction { row, arguments: decided.arguments, sources, variadic, result, columns })
}

fn packed(
    types: Types<'_>,
    row: &FunctionRow,
    first: usize,
    element: Oid,
) -> Result<VariadicUse, SqlError> {
    if row.variadic == Oid::ANY {
        return Ok(VariadicUse::Spread(first));
    }
    Ok(VariadicUse::Packed { first, element, array: array_over(types, element)? })
}

fn explicit_variadic(
    types: Types<'_>,
    call: &FunctionCall<'_>,
    row: &FunctionRow,
) -> Result<VariadicUse, SqlError> {
    let last = call.arguments.last().copied().unwrap_or(Oid::UNKNOWN);
    if row.variadic == Oid::ANY && types.base_element(last).is_none() {
        let message = "VARIADIC argument must be an array";
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    Ok(VariadicUse::Array)
}

/// The call as PostgreSQL writes it in errors: `f(integer, name => text)`.
pub(super) fn signature(types: Types<'_>, call: &FunctionCall<'_>) -> String {
    let positional = call.arguments.len().saturating_sub(call.argument_names.len());
    let arguments = call.arguments.iter().enumerate().map(|(at, oid)| {
        let name = at.checked_sub(positional).and_then(|at| call.argument_names.get(at));
        match name {
            Some(name) => format!("{name} => {}", types.format(*oid)),
            None => types.format(*oid),
        }
    });
    let arguments = arguments.collect::<Vec<String>>().join(", ");
    format!("{}({arguments})", written_name(call))
}

/// The function's name as written.
pub(super) fn written_name(call: &FunctionCall<'_>) -> String {
    match call.schema {
        Some(schema) => format!("{schema}.{}", call.name),
        None => call.name.to_owned(),
    }
}

/// 42883 for a call that no function fits.
pub(super) fn missing(types: Types<'_>, call: &FunctionCall<'_>) -> SqlError {
    let message = format!("function {} does not exist", signature(types, call));
    let hint = if call.shape.ordered {
        "No aggregate function matches the given name and argument types. Perhaps you misplaced ORDER BY; \
         ORDER BY must appear after all regular arguments of the aggregate."
    } else {
        "No function matches the given name and argument types. You might need to add explicit type casts."
    };
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(hint)
}

fn ambiguous(types: Types<'_>, call: &FunctionCall<'_>) -> SqlError {
    let message = format!("function {} is not unique", signature(types, call));
    SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).with_hint(
        "Could not choose a best candidate function. You might need to add explicit type casts.",
    )
}
