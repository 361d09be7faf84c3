//! Utility statements to plans.
//!
//! `COPY`, `DECLARE` and `EXPLAIN` are plans around the plan of another statement, whose parameters are those of a `DECLARE`
//! or an `EXPLAIN` too: `COPY t (a, b) FROM STDIN` is planned as
//! `INSERT INTO t (a, b) VALUES ($1, $2)`, `COPY t TO STDOUT` as a query of its columns.

use super::ast::ObjectName;
use super::copy::{CopyAst, CopySource};
use super::{TypeName, UtilityAst};
use crate::bind::{self, BindContext, Parameters};
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::parse;
use crate::plan::{
    CatalogReads, CopyDirection, CopyFormat, CopyHeader, CopyOptions, CopyStatement,
    DeclareStatement, ExplainStatement, Plan, PlanKind, SessionStatement, WritePlan, WriteVerb,
};
use crate::schema::{self, Relation};

/// Plans a utility statement.
///
/// # Errors
/// What PostgreSQL reports for names that do not exist and options that contradict each other; 0A000 for what Trellis does
/// not support.
pub fn plan(ast: &UtilityAst, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let mut parameters = Vec::new();
    let kind = match ast {
        UtilityAst::Session(statement) => PlanKind::Session(statement.clone()),
        UtilityAst::Prepare { name, parameter_types, statement } => {
            PlanKind::Session(prepare(name, parameter_types, statement, cx)?)
        }
        UtilityAst::Declare { name, query, scroll, hold, binary } => {
            let plan = plan_text(query, cx)?;
            if let PlanKind::Write(WritePlan { verb: WriteVerb::Select, .. }) = plan.kind {
                let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            parameters.clone_from(&plan.parameters);
            let name = name.clone();
            let (scroll, hold, binary) = (*scroll, *hold, *binary);
            let declare = DeclareStatement { name, plan, scroll, hold, binary };
            PlanKind::Session(SessionStatement::DeclareCursor(Box::new(declare)))
        }
        UtilityAst::Copy(ast) => {
            PlanKind::Session(SessionStatement::Copy(Box::new(copy(ast, cx)?)))
        }
        UtilityAst::SetConstraints { names, deferred } => {
            PlanKind::Session(super::constraints::plan(names, *deferred, cx)?)
        }
        UtilityAst::Explain { analyze, verbose, json, times, statement } => {
            let plan = plan_text(statement, cx)?;
            parameters.clone_from(&plan.parameters);
            let (analyze, verbose, json, times) = (*analyze, *verbose, *json, *times);
            let explain = ExplainStatement { plan, analyze, verbose, json, times };
            PlanKind::Session(SessionStatement::Explain(Box::new(explain)))
        }
        UtilityAst::Lock { tables, exclusive, nowait } => {
            tables.iter().try_for_each(|name| relation(name, cx).map(|_| ()))?;
            let (exclusive, nowait) = (*exclusive, *nowait);
            PlanKind::Session(SessionStatement::LockTable { exclusive, nowait })
        }
        UtilityAst::Maintenance(ast) => PlanKind::Session(super::maintained::plan(ast, cx)?),
        UtilityAst::Ddl(ddl) => PlanKind::Schema(Box::new(schema::bind_ddl(
            ddl,
            &BindContext { parameters: Parameters::None, ..*cx },
        )?)),
        UtilityAst::Unsupported(what) => return Err(SqlError::unsupported(what)),
    };
    let reads = CatalogReads::default();
    Ok(Plan { parameters, columns: None, kind, reads, constants: None, source: None })
}

fn prepare(
    name: &str,
    parameter_types: &[TypeName],
    statement: &str,
    cx: &BindContext<'_>,
) -> Result<SessionStatement, SqlError> {
    let resolve = |it: &TypeName| it.resolve(cx.catalog, cx.search_path).map(|(oid, _)| oid);
    let parameter_types = parameter_types.iter().map(resolve).collect::<Result<_, _>>()?;
    let (name, statement) = (name.to_owned(), statement.to_owned());
    Ok(SessionStatement::Prepare { name, parameter_types, statement })
}

/// Plans the one statement that `text` holds.
fn plan_text(text: &str, cx: &BindContext<'_>) -> Result<Plan, SqlError> {
    let statements = parse::split(text)?;
    let [statement] = statements.as_slice() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input"));
    };
    bind::plan(statement, cx)
}

/// Finds a table or view that a statement names.
fn relation<'a>(name: &ObjectName, cx: &BindContext<'a>) -> Result<Relation<'a>, SqlError> {
    let found = cx.catalog.relation(cx.search_path, name.schema.as_deref(), &name.name);
    found.ok_or_else(|| {
        let message = format!("relation \"{}\" does not exist", name.display());
        SqlError::new(SqlState::UNDEFINED_TABLE, message)
    })
}

fn copy(ast: &CopyAst, cx: &BindContext<'_>) -> Result<CopyStatement, SqlError> {
    if ast.filter.is_some() {
        return Err(SqlError::unsupported("COPY FROM with WHERE"));
    }
    let (relation, columns, text) = match &ast.source {
        CopySource::Query(query) => (String::new(), Vec::new(), query.clone()),
        CopySource::Table(name, columns) => copy_table(ast.direction, name, columns, cx)?,
    };
    let parameters = match ast.direction {
        CopyDirection::FromStdin => Parameters::Inferred(&[]),
        CopyDirection::ToStdout => Parameters::None,
    };
    let plan = plan_text(&text, &BindContext { parameters, ..*cx })?;
    let columns = if columns.is_empty() {
        plan.columns.iter().flatten().map(|column| column.name.clone()).collect()
    } else {
        columns
    };
    let options = options(ast, &columns)?;
    Ok(CopyStatement { plan, columns, relation, direction: ast.direction, options })
}

/// Name, columns and equivalent statement of a table that is copied.
fn copy_table(
    direction: CopyDirection,
    name: &ObjectName,
    columns: &[String],
    cx: &BindContext<'_>,
) -> Result<(String, Vec<String>, String), SqlError> {
    let table = match relation(name, cx) {
        Ok(Relation::Table(table)) => table,
        // A catalog relation can be read; the query says if it is not there.
        Err(_) if direction == CopyDirection::ToStdout => {
            let list = name_list(columns, "*");
            let query = format!("SELECT {list} FROM {}", name.to_sql());
            return Ok((name.name.clone(), columns.to_vec(), query));
        }
        Err(error) => return Err(error),
        Ok(_) => return Err(not_copied(name, direction)),
    };
    let written = |name: &String| match table.column_by_name(name) {
        None => {
            let message =
                format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
        Some(column) if !column.generation.is_written() => {
            let message = format!("column \"{name}\" is a generated column");
            let detail = "Generated columns cannot be used in COPY.";
            let state = SqlState::INVALID_COLUMN_REFERENCE;
            Err(SqlError::new(state, message).with_detail(detail))
        }
        Some(_) => Ok(name.clone()),
    };
    let columns = if columns.is_empty() {
        let copied = table.columns.iter().filter(|column| column.generation.is_written());
        copied.map(|column| column.name.clone()).collect()
    } else {
        columns.iter().map(written).collect::<Result<Vec<_>, _>>()?
    };
    let list = name_list(&columns, "");
    let text = match direction {
        CopyDirection::ToStdout => format!("SELECT {list} FROM {}", name.to_sql()),
        CopyDirection::FromStdin => {
            let values: Vec<_> = (1..=columns.len()).map(|n| format!("${n}")).collect();
            let values = values.join(", ");
            format!(
                "INSERT INTO {} ({list}) OVERRIDING SYSTEM VALUE VALUES ({values})",
                name.to_sql()
            )
        }
    };
    Ok((table.name.clone(), columns, text))
}

/// A list of column names, or `none` if there are no names.
fn name_list(columns: &[String], none: &str) -> String {
    if columns.is_empty() {
        return none.to_owned();
    }
    columns.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
}

/// PostgreSQL's refusal to copy what is not a table.
fn not_copied(name: &ObjectName, direction: CopyDirection) -> SqlError {
    let name = &name.name;
    let error = |message| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
    match direction {
        CopyDirection::ToStdout => error(format!("cannot copy from view \"{name}\""))
            .with_hint("Try the COPY (SELECT ...) TO variant."),
        CopyDirection::FromStdin => error(format!("cannot copy to view \"{name}\"")),
    }
}

/// Fills in defaults and refuses what does not go together, as PostgreSQL's `ProcessCopyOptions` does.
fn options(ast: &CopyAst, columns: &[String]) -> Result<CopyOptions, SqlError> {
    let format = ast.format.unwrap_or(CopyFormat::Text);
    let csv = format == CopyFormat::Csv;
    refuse_combinations(ast, format)?;
    let delimiter =
        one_byte(ast.delimiter.as_deref(), if csv { b',' } else { b'\t' }, "delimiter")?;
    let quote = one_byte(ast.quote.as_deref(), b'"', "quote")?;
    let escape = one_byte(ast.escape.as_deref(), quote, "escape")?;
    let null = ast.null.clone().unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned());
    if null.contains(['\r', '\n']) {
        let message = "COPY null representation cannot use newline or carriage return";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let forbidden = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";
    if matches!(delimiter, b'\r' | b'\n') || (!csv && forbidden.contains(&delimiter)) {
        let message = format!("COPY delimiter cannot be \"{}\"", char::from(delimiter));
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if csv && delimiter == quote {
        let message = "COPY delimiter and quote must be different";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if format != CopyFormat::Binary && null.as_bytes().contains(&delimiter) {
        let message = "COPY delimiter must not appear in the NULL specification";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let force_quote = ast.force_quote.clone().flatten();
    Ok(CopyOptions {
        format,
        delimiter,
        null,
        header: ast.header.unwrap_or(CopyHeader::No),
        quote,
        escape,
        force_quote: indexes(force_quote.as_deref(), columns)?,
        force_quote_all: ast.force_quote == Some(None),
        force_not_null: indexes(ast.force_not_null.as_deref(), columns)?,
        force_null: indexes(ast.force_null.as_deref(), columns)?,
    })
}

/// Options that do not go with a format or direction, and what PostgreSQL says to them.
fn refuse_combinations(ast: &CopyAst, format: CopyFormat) -> Result<(), SqlError> {
    let binary = format == CopyFormat::Binary;
    let not_csv = format != CopyFormat::Csv;
    let out = ast.direction == CopyDirection::ToStdout;
    let syntax = SqlState::SYNTAX_ERROR;
    let unsupported = SqlState::FEATURE_NOT_SUPPORTED;
    let header = ast.header.is_some_and(|header| header != CopyHeader::No);
    let checks = [
        (binary && ast.delimiter.is_some(), syntax, "cannot specify DELIMITER in BINARY mode"),
        (binary && ast.null.is_some(), syntax, "cannot specify NULL in BINARY mode"),
        (binary && header, unsupported, "cannot specify HEADER in BINARY mode"),
        (not_csv && ast.quote.is_some(), unsupported, "COPY quote available only in CSV mode"),
        (not_csv && ast.escape.is_some(), unsupported, "COPY escape available only in CSV mode"),
        (
            not_csv && ast.force_quote.is_some(),
            unsupported,
            "COPY force quote available only in CSV mode",
        ),
        (
            !out && ast.force_quote.is_some(),
            unsupported,
            "COPY force quote only available using COPY TO",
        ),
        (
            not_csv && ast.force_not_null.is_some(),
            unsupported,
            "COPY force not null available only in CSV mode",
        ),
        (
            out && ast.force_not_null.is_some(),
            unsupported,
            "COPY force not null only available using COPY FROM",
        ),
        (
            not_csv && ast.force_null.is_some(),
            unsupported,
            "COPY force null available only in CSV mode",
        ),
        (
            out && ast.force_null.is_some(),
            unsupported,
            "COPY force null only available using COPY FROM",
        ),
        (
            out && ast.header == Some(CopyHeader::Match),
            unsupported,
            "cannot use \"match\" with HEADER in COPY TO",
        ),
    ];
    if let Some((_, state, message)) = checks.into_iter().find(|(refused, ..)| *refused) {
        return Err(SqlError::new(state, message));
    }
    match ast.encoding.as_deref().map(|name| name.to_ascii_uppercase().replace(['-', '_'], "")) {
        None => Ok(()),
        Some(name) if matches!(name.as_str(), "UTF8" | "UNICODE") => Ok(()),
        Some(_) => Err(SqlError::unsupported("COPY with an ENCODING other than UTF8")),
    }
}

/// A one-byte option, or its default.
fn one_byte(value: Option<&str>, default: u8, option: &str) -> Result<u8, SqlError> {
    match value.map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => {
            let message = format!("COPY {option} must be a single one-byte character");
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
        }
    }
}

/// Positions of named columns among those copied.
fn indexes(names: Option<&[String]>, columns: &[String]) -> Result<Vec<usize>, SqlError> {
    let index = |name: &String| {
        columns.iter().position(|column| column == name).ok_or_else(|| {
            let message = format!("column \"{name}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })
    };
    names.unwrap_or_default().iter().map(index).collect()
}
