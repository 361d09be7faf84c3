//! `CREATE FUNCTION`, `CREATE PROCEDURE`, and what else is said of routines: `DROP`, `ALTER`, `COMMENT ON`.
//!
//! Source: PostgreSQL 15 manual, `sql-createfunction`; `gram.y`, `func_args_with_defaults`, `createfunc_opt_list`.

use sqlparser::tokenizer::Token;

use super::ast::{
    AlterRoutine, CreateFunction, DdlStatement, FunctionOptions, ParameterClause, ParameterMode,
    RoutineKind, RoutineReference, SourceText,
};
use super::cursor::Cursor;
use super::type_name::TypeName;
use super::{UtilityAst, absent};
use crate::builtin::Volatility;
use crate::error::{SqlError, SqlState};

type Parsed = Result<UtilityAst, SqlError>;

fn ddl(statement: DdlStatement) -> Parsed {
    Ok(UtilityAst::Ddl(Box::new(statement)))
}

/// What follows `CREATE [OR REPLACE] FUNCTION | PROCEDURE`.
pub(super) fn create_function(
    cursor: &mut Cursor<'_>,
    kind: RoutineKind,
    or_replace: bool,
) -> Parsed {
    let name = cursor.object_name()?;
    cursor.expect_symbol(&Token::LParen)?;
    let mut parameters = if cursor.is_symbol(&Token::RParen) {
        Vec::new()
    } else {
        cursor.comma_list(|cursor| parameter(cursor, true))?
    };
    cursor.expect_symbol(&Token::RParen)?;
    let mut returns = None;
    if kind == RoutineKind::Function && cursor.words("returns table") {
        let columns = cursor.parenthesized(|cursor| {
            let name = Some(cursor.identifier()?);
            let (type_name, set) = function_type(cursor)?;
            let mode = ParameterMode::Table;
            Ok(ParameterClause { mode, name, type_name, set, default: None })
        })?;
        parameters.extend(columns);
    } else if kind == RoutineKind::Function && !is_null_option(cursor) && cursor.word("returns") {
        returns = Some(function_type(cursor)?);
    }
    let mut options = FunctionOptions::default();
    while !cursor.at_end() {
        if !option(cursor, kind, &mut options)? {
            return Err(cursor.syntax_error());
        }
    }
    ddl(DdlStatement::CreateFunction(CreateFunction {
        name,
        kind,
        or_replace,
        parameters,
        returns,
        options,
    }))
}

/// Whether `RETURNS` begins `RETURNS NULL ON NULL INPUT`.
fn is_null_option(cursor: &Cursor<'_>) -> bool {
    let next = |ahead, word| super::define::next_is(cursor, ahead, word);
    cursor.is_word("returns") && next(1, "null") && next(2, "on")
}

/// `[mode] [name] [mode] type [DEFAULT expression]`.
fn parameter(cursor: &mut Cursor<'_>, defaults: bool) -> Result<ParameterClause, SqlError> {
    let mut mode = parameter_mode(cursor);
    let mark = cursor.mark();
    let is_end = |cursor: &Cursor<'_>| {
        cursor.at_end()
            || matches!(cursor.peek(), Some(Token::Comma | Token::RParen | Token::Eq))
            || ["default", "order", "as"].iter().any(|word| cursor.is_word(word))
    };
    let mut name = None;
    let alone = function_type(cursor);
    let (type_name, set) = match alone {
        Ok(found) if is_end(cursor) => found,
        Ok(_) | Err(_) => {
            cursor.return_to(mark);
            name = Some(cursor.identifier()?);
            mode = mode.or_else(|| parameter_mode(cursor));
            function_type(cursor)?
        }
    };
    let default = if defaults && (cursor.word("default") || cursor.symbol(&Token::Eq)) {
        let position = cursor.position();
        Some(SourceText { text: cursor.text_until(|_| false)?, position })
    } else {
        None
    };
    let mode = mode.unwrap_or(ParameterMode::In);
    Ok(ParameterClause { mode, name, type_name, set, default })
}

fn parameter_mode(cursor: &mut Cursor<'_>) -> Option<ParameterMode> {
    let words = ["in out", "inout", "in", "out", "variadic"];
    let found = cursor.one_of(&words)?;
    Some(match found {
        0 | 1 => ParameterMode::InOut,
        2 => ParameterMode::In,
        3 => ParameterMode::Out,
        _ => ParameterMode::Variadic,
    })
}

/// `[SETOF] type`.
fn function_type(cursor: &mut Cursor<'_>) -> Result<(TypeName, bool), SqlError> {
    let set = cursor.word("setof");
    let type_name = TypeName::parse(cursor)?;
    if cursor.symbol(&Token::Mod) {
        cursor.expect_words("type")?;
        return Err(SqlError::unsupported("%TYPE of a column"));
    }
    Ok((type_name, set))
}

/// Reads one option of `CREATE FUNCTION` or `ALTER FUNCTION`.
fn option(
    cursor: &mut Cursor<'_>,
    kind: RoutineKind,
    options: &mut FunctionOptions,
) -> Result<bool, SqlError> {
    let position = cursor.position();
    let duplicate = |cursor: &Cursor<'_>, options: &FunctionOptions| {
        let standard = cursor.is_word("return") || cursor.is_word("begin");
        options.body.is_some() && (standard || options.standard && cursor.is_word("as"))
    };
    if duplicate(cursor, options) {
        let message = "duplicate function body specified";
        return Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message));
    }
    let redundant = if cursor.word("language") {
        let name = match cursor.peek() {
            Some(Token::Word(_)) => cursor.identifier()?,
            _ => cursor.string()?,
        };
        options.language.replace(name).is_some()
    } else if cursor.word("as") {
        options.body_position = cursor.content_position();
        let body = cursor.string()?;
        if cursor.symbol(&Token::Comma) {
            cursor.string()?;
            options.link_symbol = true;
        }
        options.body.replace(body).is_some()
    } else if cursor.words("begin atomic") {
        let source = cursor.atomic_source()?;
        options.standard = true;
        options.body_position = source.position;
        options.body.replace(without_return(source.text)).is_some()
    } else if cursor.word("return") {
        let source =
            SourceText { position: cursor.position(), text: cursor.text_until(|_| false)? };
        options.standard = true;
        options.body_position = source.position.map(|at| at.saturating_sub(RETURN_CHARS));
        options.body.replace(format!("SELECT {}", source.text)).is_some()
    } else {
        return attribute(cursor, kind, options);
    };
    if redundant { Err(redundant_option(position)) } else { Ok(true) }
}

/// Characters of the `SELECT ` that stands for `RETURN`.
const RETURN_CHARS: u32 = 7;

/// The only statement of `BEGIN ATOMIC`, with `SELECT` for a `RETURN` that it is.
fn without_return(body: String) -> String {
    let statement = body.trim_matches(|it: char| it == ';' || it.is_whitespace());
    let (word, rest) = statement.split_at_checked("return".len()).unwrap_or_default();
    if word.eq_ignore_ascii_case("return") && rest.starts_with(char::is_whitespace) {
        return format!("SELECT {}", rest.trim_start());
    }
    body
}

/// Reads one attribute of a routine.
fn attribute(
    cursor: &mut Cursor<'_>,
    kind: RoutineKind,
    options: &mut FunctionOptions,
) -> Result<bool, SqlError> {
    let position = cursor.position();
    let words = [
        "immutable",
        "stable",
        "volatile",
        "strict",
        "returns null on null input",
        "called on null input",
        "leakproof",
        "not leakproof",
        "external security definer",
        "security definer",
        "external security invoker",
        "security invoker",
        "cost",
        "rows",
        "parallel",
        "window",
        "support",
        "transform",
        "set",
        "reset",
    ];
    let Some(found) = cursor.one_of(&words) else { return Ok(false) };
    let of_function = !matches!(found, 8..=11 | 18 | 19);
    if kind == RoutineKind::Procedure && of_function {
        let message = "invalid attribute in procedure definition";
        return Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).at(position));
    }
    let redundant = match found {
        0 => options.volatility.replace(Volatility::Immutable).is_some(),
        1 => options.volatility.replace(Volatility::Stable).is_some(),
        2 => options.volatility.replace(Volatility::Volatile).is_some(),
        3 | 4 => options.strict.replace(true).is_some(),
        5 => options.strict.replace(false).is_some(),
        6 => options.leakproof.replace(true).is_some(),
        7 => options.leakproof.replace(false).is_some(),
        8 | 9 => options.security_definer.replace(true).is_some(),
        10 | 11 => options.security_definer.replace(false).is_some(),
        12 => options.cost.replace(cursor.number()?).is_some(),
        13 => options.rows.replace(cursor.number()?).is_some(),
        14 => options.parallel.replace(cursor.identifier()?).is_some(),
        15 => return Err(SqlError::unsupported("WINDOW of a function")),
        16 => return Err(SqlError::unsupported("SUPPORT of a function")),
        17 => return Err(SqlError::unsupported("TRANSFORM of a function")),
        _ => return Err(SqlError::unsupported("a setting of a function (SET)")),
    };
    if redundant { Err(redundant_option(position)) } else { Ok(true) }
}

fn redundant_option(position: Option<u32>) -> SqlError {
    let message = "conflicting or redundant options";
    SqlError::new(SqlState::SYNTAX_ERROR, message).at(position)
}

/// The kind of routine that the next word names.
pub(super) fn routine_kind(cursor: &mut Cursor<'_>) -> Option<RoutineKind> {
    Some(match cursor.one_of(&["function", "procedure", "routine"])? {
        0 => RoutineKind::Function,
        1 => RoutineKind::Procedure,
        _ => RoutineKind::Routine,
    })
}

/// `name [(arguments)]`.
pub(super) fn reference(
    cursor: &mut Cursor<'_>,
    kind: RoutineKind,
) -> Result<RoutineReference, SqlError> {
    let mark = cursor.mark();
    let absent = absent::routine(cursor, kind.noun())?;
    let end = cursor.mark();
    cursor.return_to(mark);
    let name = cursor.object_name()?;
    let arguments = if cursor.symbol(&Token::LParen) {
        let list = if cursor.is_symbol(&Token::RParen) {
            Vec::new()
        } else {
            cursor.comma_list(|cursor| parameter(cursor, false))?
        };
        Some(list.into_iter().map(|it| (it.mode, it.type_name)).collect())
    } else {
        None
    };
    cursor.return_to(end);
    Ok(RoutineReference { kind, name, arguments, absent })
}

/// What follows `DROP FUNCTION | PROCEDURE | ROUTINE`.
pub(super) fn drop_routines(cursor: &mut Cursor<'_>, kind: RoutineKind) -> Parsed {
    let if_exists = cursor.if_exists();
    let routines = cursor.comma_list(|cursor| reference(cursor, kind))?;
    let cascade = cursor.cascade();
    ddl(DdlStatement::DropRoutines { kind, routines, if_exists, cascade })
}

/// What follows `ALTER FUNCTION | PROCEDURE | ROUTINE`.
pub(super) fn alter_routine(cursor: &mut Cursor<'_>, kind: RoutineKind) -> Parsed {
    let routine = reference(cursor, kind)?;
    let change = match super::alter::object_change(cursor)? {
        Some(change) => AlterRoutine::Object(change),
        None if cursor.words("depends on extension") || cursor.words("no depends on extension") => {
            return Err(SqlError::unsupported("a function that depends on an extension"));
        }
        None => {
            let mut options = FunctionOptions::default();
            while attribute(cursor, kind, &mut options)? {}
            cursor.one_of(&["restrict"]);
            AlterRoutine::Options(Box::new(options))
        }
    };
    ddl(DdlStatement::AlterRoutine(routine, change))
}

/// What follows `CALL`.
pub(super) fn call(cursor: &mut Cursor<'_>) -> Parsed {
    let position = cursor.position();
    let start = cursor.mark();
    cursor.object_name()?;
    if !cursor.is_symbol(&Token::LParen) {
        return Err(cursor.syntax_error());
    }
    cursor.return_to(start);
    let text = cursor.rest()?;
    Ok(UtilityAst::Call(SourceText { text, position }))
}
