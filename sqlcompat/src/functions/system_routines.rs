//! What functions are, in words: `pg_get_functiondef`, `pg_get_function_arguments` and its kin.
//!
//! Source: PostgreSQL 15 `ruleutils.c`.

use super::system_visibility::{text_or_null, with_names};
use super::{Call, ScalarFunction};
use crate::bind::resolve::Routine;
use crate::builtin::{self, AggregateKind, Volatility, quote_identifier};
use crate::catalog::Names;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::schema::Function;

/// `COST` that is not shown.
const DEFAULT_COST: f64 = 100.0;

/// `ROWS` that is not shown.
const DEFAULT_ROWS: f64 = 1000.0;

/// The functions of this file.
pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_pg_get_function_arguments", |call| {
        of_function(call, |names, routine| argument_list(names, routine, true))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_function_identity_arguments", |call| {
        of_function(call, |names, routine| argument_list(names, routine, false))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_function_result", |call| of_function(call, result_text))
        .stable(),
    ScalarFunction::strict("pg_pg_get_function_arg_default", |call| {
        let position = call.i32(1)?;
        of_function(call, |_, routine| argument_default(routine, position))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_function_sqlbody", |call| {
        of_function(call, |_, routine| standard_body(routine))
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_functiondef", function_definition).stable(),
];

/// Something about a function; NULL if there is none.
fn of_function(
    call: &Call,
    describe: impl FnOnce(Names<'_>, Routine<'_>) -> Option<String>,
) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    Ok(text_or_null(with_names(call, |names| {
        names.routine(oid).and_then(|routine| describe(names, routine))
    })))
}

/// One argument: its mode unless it is IN, its name, its type, its default.
struct Argument {
    mode: u8,
    text: String,
}

/// The arguments of a function as a declaration has them, columns of `TABLE` not among them.
fn arguments(names: Names<'_>, routine: Routine<'_>, shows_defaults: bool) -> Vec<Argument> {
    let defaults = routine.defaults();
    let inputs = routine.arguments().len();
    let mut input = 0;
    let mut list = Vec::new();
    for (mode, name, type_oid) in routine.parameters() {
        let mut text = match mode {
            b'o' => "OUT ".to_owned(),
            b'b' => "INOUT ".to_owned(),
            b'v' => "VARIADIC ".to_owned(),
            _ if routine.kind() == builtin::FunctionKind::Procedure => "IN ".to_owned(),
            _ => String::new(),
        };
        if !name.is_empty() {
            text.push_str(&quote_identifier(name));
            text.push(' ');
        }
        text.push_str(&names.types().format(type_oid));
        if !matches!(mode, b'o' | b't') {
            let from_end = inputs.saturating_sub(input);
            let default = defaults.len().checked_sub(from_end).and_then(|at| defaults.get(at));
            if let Some(default) = default.filter(|_| shows_defaults) {
                text.push_str(" DEFAULT ");
                text.push_str(default);
            }
            input += 1;
        }
        list.push(Argument { mode, text });
    }
    list.retain(|it| it.mode != b't');
    list
}

fn argument_list(names: Names<'_>, routine: Routine<'_>, defaults: bool) -> Option<String> {
    let list = arguments(names, routine, defaults);
    let texts: Vec<&str> = list.iter().map(|it| it.text.as_str()).collect();
    let aggregate = builtin::aggregate(routine.oid()).filter(|it| it.kind != AggregateKind::Normal);
    let Some(aggregate) = aggregate else { return Some(texts.join(", ")) };
    let (direct, mut ordered) = texts.split_at_checked(usize::from(aggregate.direct_arguments))?;
    // A variadic direct argument takes the ordered ones too, and is shown in both places.
    if ordered.is_empty() && list.last().is_some_and(|it| it.mode == b'v') {
        ordered = texts.get(texts.len() - 1..).unwrap_or_default();
    }
    let text = format!("{} ORDER BY {}", direct.join(", "), ordered.join(", "));
    Some(text.trim_start().to_owned())
}

/// What a function returns; nothing of a procedure.
fn result_text(names: Names<'_>, routine: Routine<'_>) -> Option<String> {
    if routine.kind() == builtin::FunctionKind::Procedure {
        return None;
    }
    if routine.parameters().iter().any(|(mode, ..)| *mode == b't') {
        let columns = routine.out_columns().into_iter();
        let columns: Vec<_> = columns
            .map(|(name, oid)| format!("{} {}", quote_identifier(name), names.types().format(oid)))
            .collect();
        return Some(format!("TABLE({})", columns.join(", ")));
    }
    let result = names.types().format(routine.result());
    Some(if routine.returns_set() { format!("SETOF {result}") } else { result })
}

fn argument_default(routine: Routine<'_>, position: i32) -> Option<String> {
    let position = usize::try_from(position).ok()?.checked_sub(1)?;
    let defaults = routine.defaults();
    // Of the inputs the last ones have defaults; the position is one among all.
    let parameters = routine.parameters();
    let is_input = |mode: u8| !matches!(mode, b'o' | b't');
    if !is_input(parameters.get(position)?.0) {
        return None;
    }
    let before = parameters.iter().take(position).filter(|(mode, ..)| is_input(*mode)).count();
    let first = routine.arguments().len().checked_sub(defaults.len())?;
    defaults.get(before.checked_sub(first)?).map(|it| (*it).to_owned())
}

/// An SQL-standard body, as it was written.
fn standard_body(routine: Routine<'_>) -> Option<String> {
    let Routine::User(function) = routine else { return None };
    function.standard.then(|| body_text(function))
}

fn body_text(function: &Function) -> String {
    match function.body.strip_prefix("SELECT ").filter(|it| !it.contains(';')) {
        Some(expression) => format!("RETURN {expression}"),
        None => format!("BEGIN ATOMIC\n {}\nEND", function.body.trim()),
    }
}

fn function_definition(call: &Call) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    let text = with_names(call, |names| {
        let Some(routine) = names.routine(oid) else { return Ok(None) };
        if matches!(routine.kind(), builtin::FunctionKind::Aggregate) {
            let message = format!("\"{}\" is an aggregate function", routine.name());
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        Ok(definition(names, routine))
    });
    text.map(text_or_null)
}

/// `CREATE OR REPLACE FUNCTION …`; of PostgreSQL's own functions what is known of them.
fn definition(names: Names<'_>, routine: Routine<'_>) -> Option<String> {
    let procedure = routine.kind() == builtin::FunctionKind::Procedure;
    let kind = if procedure { "PROCEDURE" } else { "FUNCTION" };
    let schema = names.namespace_name(routine.namespace())?;
    let mut text = format!(
        "CREATE OR REPLACE {kind} {}.{}({})\n",
        quote_identifier(schema),
        quote_identifier(routine.name()),
        argument_list(names, routine, true)?
    );
    if let Some(result) = result_text(names, routine) {
        text.push_str(&format!(" RETURNS {result}\n"));
    }
    match routine {
        Routine::User(function) => {
            text.push_str(" LANGUAGE sql\n");
            attributes(function, &mut text);
            text.push_str(&if function.standard {
                format!("{}\n", body_text(function))
            } else {
                quoted_body(&function.body, procedure)
            });
        }
        Routine::Builtin(row) => {
            text.push_str(" LANGUAGE internal\n");
            let mut words = match row.volatility {
                Volatility::Immutable => vec!["IMMUTABLE"],
                Volatility::Stable => vec!["STABLE"],
                Volatility::Volatile => Vec::new(),
            };
            words.push("PARALLEL SAFE");
            if row.strict {
                words.push("STRICT");
            }
            text.push_str(&format!(
                " {}\nAS $function${}$function$\n",
                words.join(" "),
                row.source
            ));
        }
    }
    Some(text)
}

/// The line of a function's attributes that are not the default ones.
fn attributes(function: &Function, text: &mut String) {
    let mut words = Vec::new();
    match function.volatility {
        Volatility::Immutable => words.push("IMMUTABLE".to_owned()),
        Volatility::Stable => words.push("STABLE".to_owned()),
        Volatility::Volatile => {}
    }
    match function.parallel {
        's' => words.push("PARALLEL SAFE".to_owned()),
        'r' => words.push("PARALLEL RESTRICTED".to_owned()),
        _ => {}
    }
    if function.strict {
        words.push("STRICT".to_owned());
    }
    if function.security_definer {
        words.push("SECURITY DEFINER".to_owned());
    }
    if function.leakproof {
        words.push("LEAKPROOF".to_owned());
    }
    if (function.cost - DEFAULT_COST).abs() > f64::EPSILON {
        words.push(format!("COST {}", function.cost));
    }
    let shows_rows = function.rows > 0.0 && (function.rows - DEFAULT_ROWS).abs() > f64::EPSILON;
    if shows_rows {
        words.push(format!("ROWS {}", function.rows));
    }
    if !words.is_empty() {
        text.push_str(&format!(" {}\n", words.join(" ")));
    }
}

/// `AS $function$…$function$`, with a longer tag where the body has that one.
fn quoted_body(body: &str, procedure: bool) -> String {
    let mut tag = if procedure { "$procedure" } else { "$function" }.to_owned();
    while body.contains(&tag) {
        tag.push('x');
    }
    format!("AS {tag}${body}{tag}$\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_has_the_tag_is_quoted_by_a_longer_one() {
        assert_eq!(quoted_body("SELECT 1", false), "AS $function$SELECT 1$function$\n");
        assert_eq!(
            quoted_body("SELECT '$function$'", false),
            "AS $functionx$SELECT '$function$'$functionx$\n"
        );
    }
}
