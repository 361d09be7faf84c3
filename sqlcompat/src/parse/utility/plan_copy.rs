//! `COPY` to a plan: `COPY t (a, b) FROM STDIN` is `INSERT INTO t (a, b) VALUES ($1, $2)`, `COPY t TO STDOUT` a query of its
//! columns. Options are checked as PostgreSQL's `ProcessCopyOptions` does.

use super::ast::ObjectName;
use super::copy::{CopyAst, CopySource};
use super::plan::{plan_text, relation};
use crate::bind::{BindContext, Parameters};
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::plan::{
    CopyDirection, CopyFormat, CopyHeader, CopyOptions, CopyStatement, PlanKind, WritePlan,
    WriteVerb,
};
use crate::schema::{Relation, Table};

/// Plans a `COPY`.
///
/// # Errors
/// What PostgreSQL reports of the table, the options and the query.
pub(super) fn copy(ast: &CopyAst, cx: &BindContext<'_>) -> Result<CopyStatement, SqlError> {
    let (name, columns, text) = match &ast.source {
        CopySource::Query(query) => (String::new(), Vec::new(), query.clone()),
        CopySource::Table(name, columns) => copy_table(ast.direction, name, columns, cx)?,
    };
    let parameters = match ast.direction {
        CopyDirection::FromStdin => Parameters::Inferred(&[]),
        CopyDirection::ToStdout => Parameters::None,
    };
    let cx = &BindContext { parameters, ..*cx };
    let plan = match &ast.filter {
        Some((filter, place)) => crate::bind::plan_filtered_insert(&text, filter, *place, cx)?,
        None => plan_text(&text, cx)?,
    };
    if let PlanKind::Write(WritePlan { verb: WriteVerb::Merge, .. }) = plan.kind {
        let message = "MERGE not supported in COPY";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let columns = if columns.is_empty() {
        plan.columns.iter().flatten().map(|column| column.name.clone()).collect()
    } else {
        columns
    };
    let all = match &ast.source {
        CopySource::Table(name, _) => match relation(name, cx) {
            Ok(Relation::Table(table)) => Some(table),
            _ => None,
        },
        CopySource::Query(_) => None,
    };
    let options = options(ast, &columns, all)?;
    Ok(CopyStatement { plan, columns, relation: name, direction: ast.direction, options })
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
        Ok(other) => return Err(not_copied(name, other, direction)),
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
fn not_copied(name: &ObjectName, relation: Relation<'_>, direction: CopyDirection) -> SqlError {
    let kind = match relation {
        Relation::View(view) if view.materialized_in.is_some() => "materialized view",
        Relation::View(_) => "view",
        Relation::Sequence(_) => "sequence",
        Relation::Table(_) | Relation::Index(..) => "non-table relation",
    };
    let name = &name.name;
    let error = |message| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
    match (direction, kind) {
        (CopyDirection::ToStdout, "view" | "materialized view") => {
            error(format!("cannot copy from {kind} \"{name}\""))
                .with_hint("Try the COPY (SELECT ...) TO variant.")
        }
        (CopyDirection::ToStdout, _) => error(format!("cannot copy from {kind} \"{name}\"")),
        (CopyDirection::FromStdin, "view") => error(format!("cannot copy to view \"{name}\""))
            .with_hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger."),
        (CopyDirection::FromStdin, _) => error(format!("cannot copy to {kind} \"{name}\"")),
    }
}

/// Fills in defaults and refuses what does not go together, as PostgreSQL's `ProcessCopyOptions` does.
fn options(
    ast: &CopyAst,
    columns: &[String],
    table: Option<&Table>,
) -> Result<CopyOptions, SqlError> {
    let format = ast.format.unwrap_or(CopyFormat::Text);
    let csv = format == CopyFormat::Csv;
    refuse_combinations(ast, format)?;
    let delimiter =
        one_byte(ast.delimiter.as_deref(), if csv { b',' } else { b'\t' }, "delimiter")?;
    let quote = one_byte(ast.quote.as_deref(), b'"', "quote")?;
    let escape = one_byte(ast.escape.as_deref(), quote, "escape")?;
    let null = ast.null.clone().unwrap_or_else(|| if csv { "" } else { "\\N" }.to_owned());
    if matches!(delimiter, b'\r' | b'\n') {
        let message = "COPY delimiter cannot be newline or carriage return";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if null.contains(['\r', '\n']) {
        let message = "COPY null representation cannot use newline or carriage return";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let forbidden = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";
    if !csv && forbidden.contains(&delimiter) {
        let message = format!("COPY delimiter cannot be \"{}\"", char::from(delimiter));
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if csv && delimiter == quote {
        let message = "COPY delimiter and quote must be different";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if format != CopyFormat::Binary && null.as_bytes().contains(&delimiter) {
        let message = "COPY delimiter must not appear in the NULL specification";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    if csv && null.as_bytes().contains(&quote) {
        let message = "CSV quote character must not appear in the NULL specification";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let indexes = |names: Option<&[String]>, option| indexes(names, columns, table, option);
    let force_quote = ast.force_quote.clone().flatten();
    Ok(CopyOptions {
        format,
        delimiter,
        null,
        header: ast.header.unwrap_or(CopyHeader::No),
        quote,
        escape,
        force_quote: indexes(force_quote.as_deref(), "FORCE_QUOTE")?,
        force_quote_all: ast.force_quote == Some(None),
        force_not_null: indexes(ast.force_not_null.as_deref(), "FORCE_NOT_NULL")?,
        force_null: indexes(ast.force_null.as_deref(), "FORCE_NULL")?,
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

/// Positions of the columns that an option names among those copied.
fn indexes(
    names: Option<&[String]>,
    columns: &[String],
    table: Option<&Table>,
    option: &str,
) -> Result<Vec<usize>, SqlError> {
    let index = |name: &String| {
        columns.iter().position(|column| column == name).ok_or_else(|| match table {
            Some(table) if table.column_by_name(name).is_some() => SqlError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("{option} column \"{name}\" not referenced by COPY"),
            ),
            Some(table) => SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" of relation \"{}\" does not exist", table.name),
            ),
            None => SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" does not exist"),
            ),
        })
    };
    names.unwrap_or_default().iter().map(index).collect()
}
