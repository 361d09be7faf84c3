//! Functions, aggregates and window functions: which row of `pg_proc` a call means (manual page `typeconv-func`).

use super::call_shape;
use super::candidate::{Candidate, Choice, choose};
use super::coercion::{CoercionMethod, coercion_method};
use super::polymorphic::{array_over, decide};
use super::routine::Routine;
use super::type_facts::Types;
use crate::builtin::{CastContext, TypeKind, functions_by_name};
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
    /// `CALL`.
    pub procedure: bool,
}

/// What a call means.
#[derive(Clone, Debug)]
pub enum ResolvedCall<'a> {
    /// A function, an aggregate or a window function.
    Function(ResolvedFunction<'a>),
    /// A cast of the only argument to this type, written as a call: `int4(x)`.
    Cast(Oid),
}

/// A function with its types decided.
#[derive(Clone, Debug)]
pub struct ResolvedFunction<'a> {
    /// The function.
    pub routine: Routine<'a>,
    /// What each argument of the call must become, in the order written.
    pub arguments: Vec<Oid>,
    /// Where the function's parameters come from, in its own order. What VARIADIC takes are the last entries.
    pub sources: Vec<ArgumentSource<'a>>,
    /// How a VARIADIC parameter is filled.
    pub variadic: VariadicUse,
    /// Result type.
    pub result: Oid,
    /// Result columns of a function with OUT or TABLE parameters: name and type; empty for all others.
    pub columns: Vec<(&'a str, Oid)>,
}

/// Where a parameter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentSource<'a> {
    /// The argument of the call with this index.
    Given(usize),
    /// This default expression, to be coerced to the type.
    Default(&'a str, Oid),
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
struct Reading<'a> {
    routine: Routine<'a>,
    /// Where its schema stands in the search path.
    place: usize,
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
pub fn resolve_function<'a>(
    types: Types<'a>,
    call: &FunctionCall<'_>,
) -> Result<ResolvedCall<'a>, SqlError> {
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
            if !call.shape.procedure
                && let Some(target) = as_cast(types, call)
            {
                return Ok(ResolvedCall::Cast(target));
            }
            match choose(types, call.arguments, candidates) {
                Choice::One(chosen) => chosen,
                Choice::None => return Err(missing(types, call)),
                Choice::Ambiguous => return Err(ambiguous(types, call)),
            }
        }
    };
    call_shape::check(types, call, chosen.row.routine, chosen.row.spread)?;
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

/// The functions that the number and the names of the arguments allow.
fn candidates<'a>(types: Types<'a>, call: &FunctionCall<'_>) -> Vec<Candidate<Reading<'a>>> {
    let mut found: Vec<Candidate<Reading<'a>>> = Vec::new();
    let builtin = functions_by_name(call.name).iter().map(Routine::Builtin);
    let user = types.functions_named(call.name).map(Routine::User);
    for routine in builtin.chain(user) {
        let place = place_in_path(types, call, routine);
        if let Some(candidate) = place.and_then(|place| read(routine, place, call)) {
            add(&mut found, candidate);
        }
    }
    found
}

/// Where a function's schema stands in the search path, or 0 where the call names it; `None` if it is out of sight.
fn place_in_path(types: Types<'_>, call: &FunctionCall<'_>, routine: Routine<'_>) -> Option<usize> {
    match call.schema {
        Some(schema) => (types.namespace(schema) == Some(routine.namespace())).then_some(0),
        None => types.path().position(|namespace| namespace == routine.namespace()),
    }
}

/// Of two readings with the same types the one earlier in the search path stays, and in one schema the one without VARIADIC
/// and defaults.
fn add<'a>(found: &mut Vec<Candidate<Reading<'a>>>, candidate: Candidate<Reading<'a>>) {
    let rank = |candidate: &Candidate<Reading<'_>>| {
        let Reading { place, spread, defaults, .. } = candidate.row;
        (place, spread > 0, defaults > 0)
    };
    let same = found.iter_mut().find(|earlier| earlier.declared == candidate.declared);
    match same {
        Some(earlier) if rank(&candidate) < rank(earlier) => *earlier = candidate,
        Some(earlier) if rank(&candidate) > rank(earlier) => {}
        _ => found.push(candidate),
    }
}

/// How the row could take the call's arguments; `None` if it cannot.
fn read<'a>(
    routine: Routine<'a>,
    place: usize,
    call: &FunctionCall<'_>,
) -> Option<Candidate<Reading<'a>>> {
    let given = call.arguments.len();
    let arguments = routine.arguments();
    let parameters = arguments.len();
    let expands = routine.variadic() != Oid(0) && !call.variadic;
    if expands && call.argument_names.is_empty() && given >= parameters {
        let fixed = parameters - 1;
        let mut declared = arguments[..fixed].to_vec();
        declared.resize(given, routine.variadic());
        let reading = Reading { routine, place, spread: given - fixed, defaults: 0 };
        return Some(Candidate { row: reading, declared });
    }
    let defaults = parameters.checked_sub(given)?;
    let present = routine.defaults().len();
    if defaults > present || (expands && !call.argument_names.is_empty()) {
        return None;
    }
    let sources = sources(routine, call)?;
    let reading = Reading { routine, place, spread: 0, defaults };
    let mut declared = vec![Oid(0); given];
    for (parameter, source) in sources.iter().enumerate() {
        if let ArgumentSource::Given(at) = source {
            declared[*at] = arguments[parameter];
        }
    }
    Some(Candidate { row: reading, declared })
}

/// Fills the parameters of a row from positional arguments, then named ones, then defaults; `None` if they do not fit.
fn sources<'a>(routine: Routine<'a>, call: &FunctionCall<'_>) -> Option<Vec<ArgumentSource<'a>>> {
    let positional = call.arguments.len().checked_sub(call.argument_names.len())?;
    let names = routine.input_names();
    let (arguments, defaults) = (routine.arguments(), routine.defaults());
    let mut slots: Vec<Option<ArgumentSource<'a>>> = (0..arguments.len())
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
    let required = arguments.len().saturating_sub(defaults.len());
    let filled = slots.into_iter().enumerate().map(|(at, slot)| {
        slot.or_else(|| {
            let text = defaults.get(at.checked_sub(required)?)?;
            Some(ArgumentSource::Default(text, arguments[at]))
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

fn decided<'a>(
    types: Types<'a>,
    call: &FunctionCall<'_>,
    chosen: &Candidate<Reading<'a>>,
) -> Result<ResolvedFunction<'a>, SqlError> {
    let Reading { routine, spread, .. } = chosen.row;
    let decided = decide(types, call.arguments, &chosen.declared)?;
    let result = decided.substitute(types, routine.result())?;
    let columns = routine.out_columns().into_iter();
    let columns = columns.map(|(name, oid)| Ok((name, decided.substitute(types, oid)?)));
    let columns = columns.collect::<Result<Vec<_>, SqlError>>()?;
    let variadic = match (spread, call.variadic) {
        (0, false) => VariadicUse::None,
        (0, true) => explicit_variadic(types, call, routine)?,
        (_, _) => {
            let first = call.arguments.len() - spread;
            packed(types, routine, first, decided.arguments[first])?
        }
    };
    let mut sources: Vec<ArgumentSource<'_>> = if spread == 0 {
        sources(routine, call).unwrap_or_default()
    } else {
        (0..call.arguments.len()).map(ArgumentSource::Given).collect()
    };
    for source in &mut sources {
        // A default of a polymorphic parameter is of the type that the others decide.
        if let ArgumentSource::Default(_, declared) = source
            && let Ok(actual) = decided.substitute(types, *declared)
        {
            *declared = actual;
        }
    }
    let arguments = decided.arguments;
    Ok(ResolvedFunction { routine, arguments, sources, variadic, result, columns })
}

fn packed(
    types: Types<'_>,
    routine: Routine<'_>,
    first: usize,
    element: Oid,
) -> Result<VariadicUse, SqlError> {
    if routine.variadic() == Oid::ANY {
        return Ok(VariadicUse::Spread(first));
    }
    Ok(VariadicUse::Packed { first, element, array: array_over(types, element)? })
}

fn explicit_variadic(
    types: Types<'_>,
    call: &FunctionCall<'_>,
    routine: Routine<'_>,
) -> Result<VariadicUse, SqlError> {
    let last = call.arguments.last().copied().unwrap_or(Oid::UNKNOWN);
    if routine.variadic() == Oid::ANY && types.base_element(last).is_none() {
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
    if call.shape.procedure {
        let message = format!("procedure {} does not exist", signature(types, call));
        let hint = "No procedure matches the given name and argument types. You might need to add \
                    explicit type casts.";
        return SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(hint);
    }
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
