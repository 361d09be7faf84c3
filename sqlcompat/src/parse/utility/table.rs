//! Columns, constraints and index keys: the parts that `CREATE TABLE`, `ALTER TABLE` and `CREATE INDEX` share.

use sqlparser::tokenizer::Token;

use super::ast::{
    ColumnClause, ColumnMark, ConstraintClause, ConstraintKind, Deferral, ForeignKeyClause,
    IdentityClause, IndexKeyClause, KeyClause, LikeClause, ObjectName, SequenceOptions, SourceText,
    TableElement,
};
use super::cursor::Cursor;
use super::type_name::TypeName;
use crate::error::{SqlError, SqlState};
use crate::schema::{ForeignKeyAction, MatchType};

/// Words that end a column's DEFAULT expression: another clause begins with them, or they need parentheses around them.
const CLAUSE_WORDS: [&str; 22] = [
    "not",
    "null",
    "constraint",
    "check",
    "unique",
    "primary",
    "references",
    "generated",
    "collate",
    "default",
    "deferrable",
    "initially",
    "in",
    "like",
    "ilike",
    "similar",
    "between",
    "and",
    "or",
    "isnull",
    "notnull",
    "at",
];

/// One element of `CREATE TABLE (…)`.
pub(super) fn element(cursor: &mut Cursor<'_>) -> Result<TableElement, SqlError> {
    if cursor.word("like") {
        return like(cursor).map(TableElement::Like);
    }
    if let Some(constraint) = table_constraint(cursor)? {
        return Ok(TableElement::Constraint(constraint));
    }
    column(cursor).map(|column| TableElement::Column(Box::new(column)))
}

fn like(cursor: &mut Cursor<'_>) -> Result<LikeClause, SqlError> {
    let source = cursor.object_name()?;
    let options = [
        "all",
        "defaults",
        "constraints",
        "indexes",
        "identity",
        "generated",
        "comments",
        "storage",
        "statistics",
        "compression",
    ];
    let mut included = [false; 7];
    while let Some(mode) = cursor.one_of(&["including", "excluding"]) {
        match cursor.one_of(&options) {
            Some(0) => included = [mode == 0; 7],
            Some(option) => {
                if let Some(flag) = included.get_mut(option) {
                    *flag = mode == 0;
                }
            }
            None => return Err(cursor.syntax_error()),
        }
    }
    let [_, defaults, constraints, indexes, identity, generated, comments] = included;
    Ok(LikeClause { source, defaults, constraints, indexes, identity, generated, comments })
}

/// A column with its clauses.
pub(super) fn column(cursor: &mut Cursor<'_>) -> Result<ColumnClause, SqlError> {
    let name = cursor.name()?;
    let type_name = TypeName::parse(cursor)?;
    let mut column = ColumnClause {
        name,
        type_name,
        collation: None,
        not_null: None,
        default: None,
        generated: None,
        identity: None,
        constraints: Vec::new(),
        marks: Vec::new(),
    };
    while column_clause(cursor, &mut column)? {}
    Ok(column)
}

/// Reads one clause of a column; false if there is none.
fn column_clause(cursor: &mut Cursor<'_>, column: &mut ColumnClause) -> Result<bool, SqlError> {
    let mark = cursor.mark();
    let position = cursor.position();
    let name = if cursor.word("constraint") { Some(cursor.name()?) } else { None };
    if let Some(marked) = marked_clause(cursor, column)? {
        column.marks.push((marked, position));
        return Ok(true);
    }
    let kind = match cursor.one_of(&["collate", "check", "unique", "primary key", "references"]) {
        Some(0) => {
            column.collation = Some(cursor.object_name()?.name);
            return Ok(true);
        }
        Some(1) => ConstraintKind::Check(cursor.parenthesized_source()?),
        Some(2) => {
            let nulls_not_distinct = nulls_not_distinct(cursor);
            storage_clauses(cursor)?;
            ConstraintKind::Unique(KeyClause { nulls_not_distinct, ..KeyClause::default() })
        }
        Some(3) => {
            storage_clauses(cursor)?;
            ConstraintKind::PrimaryKey(KeyClause::default())
        }
        Some(_) => ConstraintKind::ForeignKey(Box::new(references(cursor, Vec::new())?)),
        None => {
            cursor.return_to(mark);
            return Ok(false);
        }
    };
    let mut attributes = Attributes::default();
    if let ConstraintKind::Check(_) = kind {
        attributes.no_inherit = cursor.words("no inherit");
        refuse_misplaced(cursor)?;
    } else {
        attributes.deferral = constraint_attributes(cursor, false)?.deferral;
    }
    let Attributes { deferral, not_valid, no_inherit } = attributes;
    let clause = ConstraintClause { name, kind, deferral, not_valid, no_inherit, position };
    column.constraints.push(clause);
    Ok(true)
}

/// Refuses words about the time of a constraint's check where it has no such time.
fn refuse_misplaced(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    let words = ["deferrable", "not deferrable", "initially deferred", "initially immediate"];
    let position = cursor.position();
    let Some(what) = cursor.one_of(&words).and_then(|found| words.get(found)) else {
        return Ok(());
    };
    let message = format!("misplaced {} clause", what.to_uppercase());
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position))
}

/// Reads a clause that excludes others or may stand only once, if it is one.
fn marked_clause(
    cursor: &mut Cursor<'_>,
    column: &mut ColumnClause,
) -> Result<Option<ColumnMark>, SqlError> {
    let clauses = ["not null", "null", "default", "generated always as identity"];
    Ok(Some(match cursor.one_of(&clauses) {
        Some(0) => {
            column.not_null = Some(true);
            ColumnMark::NotNull
        }
        Some(1) => {
            column.not_null.get_or_insert(false);
            ColumnMark::Null
        }
        Some(2) => {
            column.default = Some(expression_before_clause(cursor)?);
            ColumnMark::Default
        }
        Some(_) => {
            column.identity = Some(identity_options(cursor, true)?);
            ColumnMark::Identity
        }
        None if cursor.words("generated by default as identity") => {
            column.identity = Some(identity_options(cursor, false)?);
            ColumnMark::Identity
        }
        None if cursor.word("generated") => {
            generated(cursor, column)?;
            ColumnMark::Generated
        }
        None if cursor.is_word("not") => {
            let mark = cursor.mark();
            cursor.advance();
            if cursor.is_word("deferrable") {
                cursor.return_to(mark);
                return Ok(None);
            }
            return Err(cursor.syntax_error());
        }
        None => return Ok(None),
    }))
}

/// `ALWAYS AS (expression) STORED` after `GENERATED`.
fn generated(cursor: &mut Cursor<'_>, column: &mut ColumnClause) -> Result<(), SqlError> {
    let position = cursor.position();
    let by_default = cursor.words("by default as");
    if !by_default {
        cursor.expect_words("always as")?;
    }
    let text = cursor.parenthesized_source()?;
    cursor.expect_words("stored")?;
    if by_default {
        let message = "for a generated column, GENERATED ALWAYS must be specified";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
    }
    column.generated = Some(text);
    Ok(())
}

/// An expression that ends where the next clause of the column begins.
pub(super) fn expression_before_clause(cursor: &mut Cursor<'_>) -> Result<SourceText, SqlError> {
    let position = cursor.position();
    let ends = |cursor: &Cursor<'_>| CLAUSE_WORDS.iter().any(|word| cursor.is_word(word));
    let text = cursor.text_until(ends)?;
    Ok(SourceText { text, position })
}

/// `[(sequence options)]` after `AS IDENTITY`.
pub(super) fn identity_options(
    cursor: &mut Cursor<'_>,
    always: bool,
) -> Result<IdentityClause, SqlError> {
    let mut options = SequenceOptions::default();
    if cursor.symbol(&Token::LParen) {
        sequence_options(cursor, &mut options)?;
        cursor.expect_symbol(&Token::RParen)?;
    }
    Ok(IdentityClause { always, options })
}

/// A constraint that stands by itself, if there is one.
pub(super) fn table_constraint(
    cursor: &mut Cursor<'_>,
) -> Result<Option<ConstraintClause>, SqlError> {
    let position = cursor.position();
    let name = if cursor.word("constraint") { Some(cursor.name()?) } else { None };
    let kinds = ["check", "unique", "primary key", "foreign key", "exclude"];
    let mark = cursor.mark();
    let kind = match cursor.one_of(&kinds) {
        Some(0) if cursor.is_symbol(&Token::LParen) => {
            ConstraintKind::Check(cursor.parenthesized_source()?)
        }
        Some(found @ (1 | 2)) => key_constraint(cursor, found == 2)?,
        Some(3) => {
            let columns = cursor.parenthesized(Cursor::name)?;
            cursor.expect_words("references")?;
            ConstraintKind::ForeignKey(Box::new(references(cursor, columns)?))
        }
        Some(4) => return Err(SqlError::unsupported("EXCLUDE").at(cursor.position())),
        Some(_) | None if name.is_some() => return Err(cursor.syntax_error()),
        Some(_) | None => {
            cursor.return_to(mark);
            return Ok(None);
        }
    };
    let Attributes { deferral, not_valid, no_inherit } = constraint_attributes(cursor, true)?;
    Ok(Some(ConstraintClause { name, kind, deferral, not_valid, no_inherit, position }))
}

fn key_constraint(cursor: &mut Cursor<'_>, primary: bool) -> Result<ConstraintKind, SqlError> {
    if cursor.words("using index") {
        return Ok(ConstraintKind::UsingIndex(primary, cursor.name()?));
    }
    let nulls_not_distinct = !primary && nulls_not_distinct(cursor);
    let columns = cursor.parenthesized(Cursor::name)?;
    let include =
        if cursor.word("include") { cursor.parenthesized(Cursor::name)? } else { Vec::new() };
    storage_clauses(cursor)?;
    let key = KeyClause { columns, include, nulls_not_distinct };
    Ok(if primary { ConstraintKind::PrimaryKey(key) } else { ConstraintKind::Unique(key) })
}

fn nulls_not_distinct(cursor: &mut Cursor<'_>) -> bool {
    cursor.one_of(&["nulls not distinct", "nulls distinct"]) == Some(0)
}

/// `WITH (…)`, `USING INDEX TABLESPACE …`: where PostgreSQL stores things, which has no counterpart here.
fn storage_clauses(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    if cursor.word("with") {
        cursor.parenthesized_list_text()?;
    }
    if cursor.words("using index tablespace") {
        super::define::tablespace(cursor)?;
    }
    Ok(())
}

/// What follows `REFERENCES`.
fn references(cursor: &mut Cursor<'_>, columns: Vec<String>) -> Result<ForeignKeyClause, SqlError> {
    let references = cursor.object_name()?;
    let referenced_columns = cursor.optional_names()?;
    let mut clause = ForeignKeyClause {
        columns,
        references,
        referenced_columns,
        match_type: MatchType::Simple,
        on_delete: ForeignKeyAction::NoAction,
        on_update: ForeignKeyAction::NoAction,
        delete_columns: Vec::new(),
    };
    loop {
        match cursor.one_of(&[
            "match simple",
            "match full",
            "match partial",
            "on delete",
            "on update",
        ]) {
            Some(0) => {}
            Some(1) => clause.match_type = MatchType::Full,
            Some(2) => {
                let message = "MATCH PARTIAL not yet implemented";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            Some(3) => {
                clause.on_delete = action(cursor)?;
                if is_set(clause.on_delete) {
                    clause.delete_columns = cursor.optional_names()?;
                }
            }
            Some(_) => {
                let position = cursor.position();
                clause.on_update = action(cursor)?;
                if is_set(clause.on_update) && !cursor.optional_names()?.is_empty() {
                    let what =
                        "a column list with SET NULL is only supported for ON DELETE actions";
                    let message = match clause.on_update {
                        ForeignKeyAction::SetDefault => what.replace("NULL", "DEFAULT"),
                        _ => what.to_owned(),
                    };
                    let state = SqlState::FEATURE_NOT_SUPPORTED;
                    return Err(SqlError::new(state, message).at(position));
                }
            }
            None => return Ok(clause),
        }
    }
}

/// Whether an action may have a list of columns.
fn is_set(action: ForeignKeyAction) -> bool {
    matches!(action, ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault)
}

fn action(cursor: &mut Cursor<'_>) -> Result<ForeignKeyAction, SqlError> {
    match cursor.one_of(&["no action", "restrict", "cascade", "set null", "set default"]) {
        Some(0) => Ok(ForeignKeyAction::NoAction),
        Some(1) => Ok(ForeignKeyAction::Restrict),
        Some(2) => Ok(ForeignKeyAction::Cascade),
        Some(3) => Ok(ForeignKeyAction::SetNull),
        Some(_) => Ok(ForeignKeyAction::SetDefault),
        None => Err(cursor.syntax_error()),
    }
}

/// What may follow a constraint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    /// When it is checked.
    pub(super) deferral: Deferral,
    /// `NOT VALID`.
    pub(super) not_valid: bool,
    /// `NO INHERIT`.
    pub(super) no_inherit: bool,
}

/// `DEFERRABLE`, `INITIALLY …`, `NOT VALID`, `NO INHERIT`, in any order.
/// Those of a column's constraint (not `of_table`) are about time alone.
pub(super) fn constraint_attributes(
    cursor: &mut Cursor<'_>,
    of_table: bool,
) -> Result<Attributes, SqlError> {
    let mut found = Attributes::default();
    let (mut deferrable, mut deferred) = (None, None);
    let attributes = [
        "deferrable",
        "not deferrable",
        "initially deferred",
        "initially immediate",
        "not valid",
        "no inherit",
    ];
    loop {
        let position = cursor.position();
        let conflict = |message| Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        let known = if of_table { &attributes[..] } else { &attributes[..4] };
        match cursor.one_of(known) {
            Some(new @ (0 | 1)) if deferrable.is_some_and(|old| old != (new == 0)) => {
                return conflict("conflicting constraint properties");
            }
            Some(1) if deferred == Some(true) => {
                return conflict("constraint declared INITIALLY DEFERRED must be DEFERRABLE");
            }
            Some(2) if deferrable == Some(false) => {
                return conflict("constraint declared INITIALLY DEFERRED must be DEFERRABLE");
            }
            Some(new @ (2 | 3)) if deferred.is_some_and(|old| old != (new == 2)) => {
                return conflict("conflicting constraint properties");
            }
            Some(new @ (0 | 1)) => deferrable = Some(new == 0),
            Some(new @ (2 | 3)) => deferred = Some(new == 2),
            Some(4) => found.not_valid = true,
            Some(_) => found.no_inherit = true,
            None => break,
        }
    }
    let deferred = deferred == Some(true);
    found.deferral = Deferral { deferrable: deferrable == Some(true) || deferred, deferred };
    Ok(found)
}

/// One key of an index.
pub(super) fn index_key(cursor: &mut Cursor<'_>) -> Result<IndexKeyClause, SqlError> {
    let single = matches!(cursor.peek(), Some(Token::Word(_)))
        && !matches!(cursor.peek_ahead(1), Some(Token::LParen | Token::Period));
    let position = cursor.position();
    let (column, expression) = if single {
        (Some(cursor.name()?), SourceText::default())
    } else if cursor.is_symbol(&Token::LParen) {
        (None, cursor.parenthesized_source()?)
    } else {
        // A function call: a name and its parentheses.
        let start = cursor.start();
        cursor.object_name()?;
        cursor.parenthesized_list_text()?;
        (None, SourceText { text: cursor.text_since(start), position })
    };
    let collation = if cursor.word("collate") { Some(cursor.object_name()?.name) } else { None };
    let ordering = ["asc", "desc", "nulls"].iter().any(|word| cursor.is_word(word));
    let operator_class = if !ordering && matches!(cursor.peek(), Some(Token::Word(_))) {
        Some(cursor.object_name()?.name)
    } else {
        None
    };
    let descending = cursor.one_of(&["asc", "desc"]) == Some(1);
    let nulls_first = cursor.one_of(&["nulls last", "nulls first"]).map(|found| found == 1);
    Ok(IndexKeyClause { column, expression, collation, operator_class, descending, nulls_first })
}

/// Options of a sequence, as many as there are.
pub(super) fn sequence_options(
    cursor: &mut Cursor<'_>,
    options: &mut SequenceOptions,
) -> Result<(), SqlError> {
    while sequence_option(cursor, options)? {}
    Ok(())
}

/// Reads one option; false if there is none.
pub(super) fn sequence_option(
    cursor: &mut Cursor<'_>,
    options: &mut SequenceOptions,
) -> Result<bool, SqlError> {
    let words = [
        "as",
        "start",
        "increment",
        "no minvalue",
        "no maxvalue",
        "minvalue",
        "maxvalue",
        "cache",
        "no cycle",
        "cycle",
        "owned by",
        "restart",
        "sequence name",
    ];
    match cursor.one_of(&words) {
        Some(0) => options.data_type = Some(TypeName::parse(cursor)?),
        Some(1) => {
            cursor.word("with");
            options.start = Some(cursor.integer()?);
        }
        Some(2) => {
            cursor.word("by");
            options.increment = Some(cursor.integer()?);
        }
        Some(3) => options.min_value = Some(None),
        Some(4) => options.max_value = Some(None),
        Some(5) => options.min_value = Some(Some(cursor.integer()?)),
        Some(6) => options.max_value = Some(Some(cursor.integer()?)),
        Some(7) => options.cache = Some(cursor.integer()?),
        Some(8) => options.cycle = Some(false),
        Some(9) => options.cycle = Some(true),
        Some(10) => options.owned_by = Some(owner(cursor)?),
        Some(11) => options.restart = Some(restart(cursor)?),
        Some(_) => options.name = Some(cursor.object_name()?),
        None => return Ok(false),
    }
    Ok(true)
}

/// The value after `RESTART [WITH]`, if any.
fn restart(cursor: &mut Cursor<'_>) -> Result<Option<i64>, SqlError> {
    let with = cursor.word("with");
    let number = matches!(cursor.peek(), Some(Token::Number(..) | Token::Minus | Token::Plus));
    if with || number { cursor.integer().map(Some) } else { Ok(None) }
}

/// `NONE` or `[schema.]table.column`.
fn owner(cursor: &mut Cursor<'_>) -> Result<Option<(ObjectName, String)>, SqlError> {
    if cursor.word("none") {
        return Ok(None);
    }
    let mark = cursor.mark();
    let name = cursor.object_name()?;
    if name.schema.is_none() {
        let message = "invalid OWNED BY option";
        let hint = "Specify OWNED BY table.column or OWNED BY NONE.";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).with_hint(hint));
    }
    cursor.return_to(mark);
    column_reference(cursor).map(Some)
}

/// `[schema.]table.column`.
pub(super) fn column_reference(cursor: &mut Cursor<'_>) -> Result<(ObjectName, String), SqlError> {
    let start = cursor.mark();
    let full = cursor.object_name()?;
    let Some(table) = full.schema else {
        cursor.return_to(start);
        return Err(cursor.syntax_error());
    };
    let table =
        ObjectName { database: None, schema: full.database, name: table, position: full.position };
    Ok((table, full.name))
}
