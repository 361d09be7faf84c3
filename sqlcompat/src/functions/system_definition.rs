//! Definitions as SQL: `pg_get_indexdef`, `pg_get_constraintdef`, `pg_get_viewdef`, `pg_get_expr`, sequences of columns,
//! and comments.
//!
//! The schema keeps expressions as PostgreSQL deparses them, so what is put together here is the frame around them. What
//! PostgreSQL says of its own indexes and constraints is recorded with their rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use super::system_pretty::without_parentheses;
use super::system_visibility::{relation_argument, text_or_null, with_names};
use super::{Call, ScalarFunction};
use crate::bind::deparse::deparse_view;
use crate::builtin::quote_identifier;
use crate::catalog::{Names, class_of, recorded_column, recorded_descriptions};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::Qualify;
use crate::schema::{
    Catalog, CheckConstraint, ForeignKey, ForeignKeyAction, Index, IndexKey, MatchType, Relation,
    Table, UniqueConstraint, UserType,
};

/// The functions of this file.
pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_pg_get_indexdef", |call| index_definition(call, 0, false)).stable(),
    ScalarFunction::strict("pg_pg_get_indexdef_ext", |call| {
        index_definition(call, call.i32(1)?, call.bool(2)?)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_constraintdef", |call| constraint_definition(call, false))
        .stable(),
    ScalarFunction::strict("pg_pg_get_constraintdef_ext", |call| {
        constraint_definition(call, call.bool(1)?)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_viewdef", |call| view_definition(call, false)).stable(),
    ScalarFunction::strict("pg_pg_get_viewdef_ext", |call| view_definition(call, call.bool(1)?))
        .stable(),
    ScalarFunction::strict("pg_pg_get_viewdef_wrap", |call| view_definition(call, true)).stable(),
    ScalarFunction::strict("pg_pg_get_viewdef_name", |call| view_definition(call, false)).stable(),
    ScalarFunction::strict("pg_pg_get_viewdef_name_ext", |call| {
        view_definition(call, call.bool(1)?)
    })
    .stable(),
    ScalarFunction::strict("pg_pg_get_expr", |call| expression(call, false)).stable(),
    ScalarFunction::strict("pg_pg_get_expr_ext", |call| expression(call, call.bool(2)?)).stable(),
    ScalarFunction::strict("pg_pg_get_serial_sequence", serial_sequence).stable(),
    ScalarFunction::strict("pg_pg_get_ruledef", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_ruledef_ext", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_triggerdef", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_triggerdef_ext", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_partkeydef", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_partition_constraintdef", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_statisticsobjdef", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_pg_get_statisticsobjdef_columns", |_| Ok(Datum::Null)).stable(),
    ScalarFunction::strict("pg_obj_description_1215", |call| comment(call, Some(1), 0)).stable(),
    ScalarFunction::strict("pg_obj_description_1348", |call| comment(call, None, 0)).stable(),
    ScalarFunction::strict("pg_col_description_1216", |call| comment(call, None, call.i32(1)?))
        .stable(),
    ScalarFunction::strict("pg_shobj_description_1993", |_| Ok(Datum::Null)).stable(),
];

fn index_definition(call: &Call, column: i32, pretty: bool) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    let state = call.session.state();
    if let Some(Relation::Index(table, oid)) = state.catalog.relation_by_oid(oid) {
        let names = Names::new(&state.catalog, &state.search_path);
        return Ok(text_or_null(index_text(names, table, oid, column, pretty)));
    }
    if column != 0 {
        return Ok(Datum::Null);
    }
    static RECORDED: OnceLock<BTreeMap<Oid, &'static str>> = OnceLock::new();
    let recorded = RECORDED.get_or_init(|| recorded_column("pg_index", "indexdef"));
    Ok(recorded.get(&oid).map_or(Datum::Null, |it| Datum::Text((*it).to_owned())))
}

/// The whole definition, or with a `column` from 1 that key alone.
fn index_text(
    names: Names<'_>,
    table: &Table,
    oid: Oid,
    column: i32,
    pretty: bool,
) -> Option<String> {
    if let Some(index) = table.index(oid) {
        return plain_index_text(names, table, index, column, pretty);
    }
    let constraint = table.uniques.iter().find(|it| it.index_oid == oid)?;
    let keys: Vec<_> = constraint.columns.iter().map(|it| column_name(table, *it)).collect();
    if column != 0 {
        return Some(nth(&keys, column));
    }
    let mut text = index_head(names, table, &constraint.name, true, "btree", pretty);
    let _ = write!(text, "({})", keys.join(", "));
    if !constraint.include.is_empty() {
        let included: Vec<_> =
            constraint.include.iter().map(|it| column_name(table, *it)).collect();
        let _ = write!(text, " INCLUDE ({})", included.join(", "));
    }
    if constraint.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    Some(text)
}

fn nth(keys: &[String], column: i32) -> String {
    let position = usize::try_from(column - 1).unwrap_or(usize::MAX);
    keys.get(position).cloned().unwrap_or_default()
}

fn index_head(
    names: Names<'_>,
    table: &Table,
    name: &str,
    unique: bool,
    method: &str,
    pretty: bool,
) -> String {
    let visible = pretty && names.relation_is_visible(table.oid) == Some(true);
    format!(
        "CREATE {}INDEX {} ON {} USING {} ",
        if unique { "UNIQUE " } else { "" },
        quote_identifier(name),
        names.shown(table.namespace, &table.name, visible),
        quote_identifier(method)
    )
}

fn plain_index_text(
    names: Names<'_>,
    table: &Table,
    index: &Index,
    column: i32,
    pretty: bool,
) -> Option<String> {
    let included: Vec<_> = index.include.iter().map(|it| column_name(table, *it)).collect();
    if column != 0 {
        let mut keys: Vec<_> = index.keys.iter().map(|it| key_text(table, it, pretty)).collect();
        keys.extend(included);
        return Some(nth(&keys, column));
    }
    let keys: Vec<_> =
        index.keys.iter().map(|it| key_text(table, it, pretty) + &key_options(table, it)).collect();
    let mut text = index_head(names, table, &index.name, index.unique, &index.method, pretty);
    let _ = write!(text, "({})", keys.join(", "));
    if !included.is_empty() {
        let _ = write!(text, " INCLUDE ({})", included.join(", "));
    }
    if index.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if !index.options.is_empty() {
        let options = index.options.iter().map(|option| match option.split_once('=') {
            Some((name, value)) => format!("{name}='{value}'"),
            None => option.clone(),
        });
        let _ = write!(text, " WITH ({})", options.collect::<Vec<_>>().join(", "));
    }
    if let Some(predicate) = &index.predicate {
        let _ = write!(text, " WHERE {}", shown_expression(predicate, pretty));
    }
    Some(text)
}

fn column_name(table: &Table, attnum: i16) -> String {
    table.column(attnum).map_or_else(String::new, |it| quote_identifier(&it.name))
}

/// A key without its options; an expression stands in parentheses unless it is one function call.
fn key_text(table: &Table, key: &IndexKey, pretty: bool) -> String {
    let Some(expression) = &key.expression else { return column_name(table, key.attnum) };
    let expression = shown_expression(expression, pretty);
    if is_function_call(&expression) { expression } else { format!("({expression})") }
}

/// An expression as it is kept, or without the parentheses that reading it does not need.
fn shown_expression(expression: &str, pretty: bool) -> String {
    if pretty { without_parentheses(expression) } else { expression.to_owned() }
}

/// Whether the text is a function's name and its parenthesised arguments, and nothing after them.
fn is_function_call(text: &str) -> bool {
    let name_ends = text.find(|it: char| !(it.is_alphanumeric() || matches!(it, '_' | '.' | '"')));
    let Some(open) = name_ends.filter(|it| *it > 0) else { return false };
    let rest = text.get(open..).unwrap_or_default();
    rest.starts_with('(') && super::system_pretty::group_length(rest) == Some(rest.len())
}

fn key_options(table: &Table, key: &IndexKey) -> String {
    let mut options = String::new();
    let of_column = table.column(key.attnum).and_then(|it| it.collation.as_ref());
    if let Some(collation) = key.collation.as_ref().filter(|it| Some(*it) != of_column) {
        let _ = write!(options, " COLLATE {}", quote_identifier(collation));
    }
    if let Some(class) = &key.operator_class {
        let _ = write!(options, " {}", quote_identifier(class));
    }
    options.push_str(match (key.descending, key.nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    });
    options
}

fn constraint_definition(call: &Call, pretty: bool) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    let state = call.session.state();
    let names = Names::new(&state.catalog, &state.search_path);
    if let Some(text) = constraint_text(&state.catalog, names, oid, pretty) {
        return Ok(Datum::Text(text));
    }
    static RECORDED: OnceLock<BTreeMap<Oid, &'static str>> = OnceLock::new();
    let recorded = RECORDED.get_or_init(|| recorded_column("pg_constraint", "condef"));
    Ok(recorded.get(&oid).map_or(Datum::Null, |it| Datum::Text((*it).to_owned())))
}

fn constraint_text(catalog: &Catalog, names: Names<'_>, oid: Oid, pretty: bool) -> Option<String> {
    for table in catalog.tables.values() {
        if let Some(it) = table.uniques.iter().find(|it| it.oid == oid) {
            return Some(unique_text(table, it));
        }
        if let Some(it) = table.checks.iter().find(|it| it.oid == oid) {
            return Some(check_text(it, pretty));
        }
        if let Some(it) = table.foreign_keys.iter().find(|it| it.oid == oid) {
            return Some(foreign_key_text(catalog, names, table, it));
        }
    }
    catalog.types.values().find_map(|it| match it {
        UserType::Domain(domain) => {
            domain.checks.iter().find(|it| it.oid == oid).map(|it| check_text(it, pretty))
        }
        UserType::Enum(_) | UserType::Composite(_) | UserType::Range(_) => None,
    })
}

fn check_text(it: &CheckConstraint, pretty: bool) -> String {
    let mut text = format!("CHECK ({})", shown_expression(&it.expression, pretty));
    if it.no_inherit {
        text.push_str(" NO INHERIT");
    }
    if !it.validated {
        text.push_str(" NOT VALID");
    }
    text
}

fn unique_text(table: &Table, it: &UniqueConstraint) -> String {
    let columns: Vec<_> = it.columns.iter().map(|it| column_name(table, *it)).collect();
    let kind = match (it.primary, it.nulls_not_distinct) {
        (true, _) => "PRIMARY KEY",
        (false, true) => "UNIQUE NULLS NOT DISTINCT",
        (false, false) => "UNIQUE",
    };
    let mut text = format!("{kind} ({})", columns.join(", "));
    if !it.include.is_empty() {
        let included: Vec<_> = it.include.iter().map(|it| column_name(table, *it)).collect();
        text.push_str(&format!(" INCLUDE ({})", included.join(", ")));
    }
    text.push_str(deferral(it.deferrable));
    text
}

fn deferral((deferrable, deferred): (bool, bool)) -> &'static str {
    match (deferrable, deferred) {
        (false, _) => "",
        (true, false) => " DEFERRABLE",
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
    }
}

fn foreign_key_text(catalog: &Catalog, names: Names<'_>, table: &Table, it: &ForeignKey) -> String {
    let own: Vec<_> = it.columns.iter().map(|it| column_name(table, *it)).collect();
    let referenced = catalog.tables.get(&it.references);
    let column =
        |attnum: &i16| referenced.map_or_else(String::new, |table| column_name(table, *attnum));
    let theirs: Vec<_> = it.referenced_columns.iter().map(column).collect();
    let mut text = format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        own.join(", "),
        names.relation_text(it.references).unwrap_or_default(),
        theirs.join(", ")
    );
    if it.match_type == MatchType::Full {
        text.push_str(" MATCH FULL");
    }
    text.push_str(&action_text(" ON UPDATE ", it.on_update));
    text.push_str(&action_text(" ON DELETE ", it.on_delete));
    text.push_str(deferral(it.deferrable));
    if !it.validated {
        text.push_str(" NOT VALID");
    }
    text
}

fn action_text(clause: &str, action: ForeignKeyAction) -> String {
    let action = match action {
        ForeignKeyAction::NoAction => return String::new(),
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
    };
    format!("{clause}{action}")
}

/// The query of a view, as PostgreSQL shows it: after a space, and with a semicolon.
fn view_definition(call: &Call, pretty: bool) -> Result<Datum, SqlError> {
    let Some(oid) = relation_argument(call, 0)? else { return Ok(Datum::Null) };
    let state = call.session.state();
    let Some(view) = state.catalog.views.get(&oid) else { return Ok(Datum::Null) };
    let path = Qualify::UnlessVisible(&state.search_path);
    let text = view.stored.in_names_of(&state.catalog, path);
    // What cannot be written out is shown as it was written.
    let shown = deparse_view(&text, view, pretty, &state.bind_context()).unwrap_or_else(|_| {
        let text = view.stored.with_columns(&state.catalog, path, &view.seen);
        format!(" {}", text.trim().trim_end_matches(';'))
    });
    Ok(Datum::Text(format!("{shown};")))
}

fn expression(call: &Call, pretty: bool) -> Result<Datum, SqlError> {
    Ok(Datum::Text(shown_expression(call.text(0)?, pretty)))
}

fn serial_sequence(call: &Call) -> Result<Datum, SqlError> {
    let Some(oid) = relation_argument(call, 0)? else { return Ok(Datum::Null) };
    let column = call.text(1)?;
    let state = call.session.state();
    let names = Names::new(&state.catalog, &state.search_path);
    let table = state.catalog.tables.get(&oid);
    let Some(attnum) = table.and_then(|it| it.column_by_name(column)).map(|it| it.attnum) else {
        let relation = names.relation(oid).map_or("", |(_, name)| name);
        return Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{relation}\" does not exist"),
        ));
    };
    let owned = state.catalog.sequences.values().find(|it| it.owned_by == Some((oid, attnum)));
    Ok(text_or_null(owned.map(|it| names.shown(it.namespace, &it.name, false))))
}

/// The comment on an object or on one of its columns; `class_at` is the argument that names its catalog.
fn comment(call: &Call, class_at: Option<usize>, part: i32) -> Result<Datum, SqlError> {
    let oid = call.oid(0)?;
    let class = match class_at.map(|it| call.datum(it)) {
        Some(DatumRef::Text(name)) => {
            Some(with_names(call, |names| names.relation_oid(Some("pg_catalog"), name)))
        }
        Some(_) | None => None,
    };
    if class == Some(None) {
        return Ok(Datum::Null);
    }
    let class = class.flatten();
    let state = call.session.state();
    let user = i16::try_from(part).ok().and_then(|part| state.catalog.comments.get(&(oid, part)));
    if let Some(text) = user {
        let is_asked = class.is_none_or(|it| class_of(&state.catalog, oid) == Some(it.0));
        return Ok(text_or_null(is_asked.then(|| text.clone())));
    }
    let recorded = recorded_descriptions().get(&oid).map_or(&[][..], Vec::as_slice);
    let found =
        recorded.iter().find(|it| it.part == part && class.is_none_or(|class| it.class == class));
    Ok(text_or_null(found.map(|it| it.text.clone())))
}
