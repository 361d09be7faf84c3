//! `ALTER …`.

use sqlparser::tokenizer::Token;

use super::ast::{
    AlterColumn, AlterDomain, AlterObject, AlterTable, AlterTableAction, AlterType,
    AttributeChange, DdlStatement, DropKind, ObjectName, ReplicaIdentity, SequenceOptions,
    SourceText,
};
use super::cursor::Cursor;
use super::storage_options::storage_options;
use super::type_name::TypeName;
use super::{UtilityAst, define, function, role, table, unsupported};
use crate::error::{SqlError, SqlState};

type Parsed = Result<UtilityAst, SqlError>;

fn ddl(statement: DdlStatement) -> Parsed {
    Ok(UtilityAst::Ddl(Box::new(statement)))
}

/// `ALTER …`.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Parsed {
    if let Some(kind) = function::routine_kind(cursor) {
        return function::alter_routine(cursor, kind);
    }
    let Some(kind) = define::object_kind(cursor) else {
        let words = ["system", "default privileges", "large object"];
        return match cursor.one_of(&words).and_then(|found| words.get(found)) {
            Some(what) => unsupported(&format!("ALTER {}", what.to_uppercase())),
            None => match role::alter(cursor)? {
                Some(statement) => Ok(statement),
                None => define::refused(cursor, "ALTER"),
            },
        };
    };
    let if_exists = cursor.if_exists();
    if kind == DropKind::Table {
        cursor.word("only");
    }
    let name = cursor.object_name()?;
    if kind == DropKind::Table {
        cursor.symbol(&Token::Mul);
    }
    match kind {
        DropKind::Extension => return unsupported("ALTER EXTENSION"),
        DropKind::Table => return alter_table(cursor, kind, name, if_exists),
        _ => {}
    }
    if let Some(change) = object_change(cursor)? {
        return ddl(DdlStatement::AlterObject { kind, name, if_exists, change });
    }
    match kind {
        DropKind::Sequence if cursor.is_word("set") => alter_table(cursor, kind, name, if_exists),
        DropKind::Sequence => {
            let mut options = SequenceOptions::default();
            table::sequence_options(cursor, &mut options)?;
            ddl(DdlStatement::AlterSequence { name, if_exists, options })
        }
        DropKind::Type => alter_type(cursor, name),
        DropKind::Domain => alter_domain(cursor, name),
        DropKind::View | DropKind::MaterializedView | DropKind::Index => {
            alter_table(cursor, kind, name, if_exists)
        }
        DropKind::Schema | DropKind::Table | DropKind::Extension => Err(cursor.syntax_error()),
    }
}

/// `RENAME TO`, `SET SCHEMA`, `OWNER TO`.
pub(super) fn object_change(cursor: &mut Cursor<'_>) -> Result<Option<AlterObject>, SqlError> {
    match cursor.one_of(&["rename to", "set schema", "owner to"]) {
        Some(0) => Ok(Some(AlterObject::Rename(cursor.name()?))),
        Some(1) => Ok(Some(AlterObject::SetSchema(cursor.name()?))),
        Some(_) => Ok(Some(AlterObject::Owner(cursor.identifier()?))),
        None => Ok(None),
    }
}

fn alter_table(
    cursor: &mut Cursor<'_>,
    kind: DropKind,
    name: ObjectName,
    if_exists: bool,
) -> Parsed {
    let mut actions = vec![action(cursor)?];
    // Names are changed one at a time.
    let is_name_change = matches!(
        actions.first(),
        Some(
            AlterTableAction::Object(AlterObject::Rename(_) | AlterObject::SetSchema(_))
                | AlterTableAction::RenameColumn(..)
                | AlterTableAction::RenameConstraint(..)
        )
    );
    while !is_name_change && cursor.symbol(&Token::Comma) {
        if cursor.is_word("rename") {
            return Err(cursor.syntax_error());
        }
        actions.push(action(cursor)?);
    }
    ddl(DdlStatement::AlterTable(AlterTable { kind, name, if_exists, actions }))
}

fn action(cursor: &mut Cursor<'_>) -> Result<AlterTableAction, SqlError> {
    if let Some(change) = object_change(cursor)? {
        return Ok(AlterTableAction::Object(change));
    }
    let words = [
        "add",
        "drop constraint",
        "drop",
        "alter constraint",
        "alter",
        "rename constraint",
        "rename",
        "validate constraint",
    ];
    match cursor.one_of(&words) {
        Some(0) => add(cursor),
        Some(1) => {
            let if_exists = cursor.if_exists();
            let name = cursor.name()?;
            let cascade = cursor.cascade();
            Ok(AlterTableAction::DropConstraint { name, if_exists, cascade })
        }
        Some(2) => {
            cursor.word("column");
            let if_exists = cursor.if_exists();
            let name = cursor.name()?;
            let cascade = cursor.cascade();
            Ok(AlterTableAction::DropColumn { name, if_exists, cascade })
        }
        Some(3) => {
            let name = cursor.name()?;
            let attributes = table::constraint_attributes(cursor, true)?;
            let refused = |what: &str| {
                let message = format!("FOREIGN KEY constraints cannot be marked {what}");
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
            };
            match (attributes.not_valid, attributes.no_inherit) {
                (true, _) => refused("NOT VALID"),
                (_, true) => refused("NO INHERIT"),
                _ => Ok(AlterTableAction::AlterConstraint(name, attributes.deferral)),
            }
        }
        Some(4) => {
            cursor.word("column");
            if let Some(Token::Number(..)) = cursor.peek() {
                return column_statistics(cursor);
            }
            let name = cursor.name()?;
            Ok(AlterTableAction::AlterColumn(name, Box::new(alter_column(cursor)?)))
        }
        Some(5) => renamed(cursor, AlterTableAction::RenameConstraint),
        Some(6) => {
            cursor.word("column");
            renamed(cursor, AlterTableAction::RenameColumn)
        }
        Some(_) => Ok(AlterTableAction::ValidateConstraint(cursor.name()?)),
        None => property(cursor),
    }
}

/// `old TO new`.
fn renamed<T>(
    cursor: &mut Cursor<'_>,
    action: impl FnOnce(String, String) -> T,
) -> Result<T, SqlError> {
    let old = cursor.name()?;
    cursor.expect_words("to")?;
    Ok(action(old, cursor.name()?))
}

/// `ADD [COLUMN] …`, `ADD constraint`.
fn add(cursor: &mut Cursor<'_>) -> Result<AlterTableAction, SqlError> {
    if !cursor.is_word("column")
        && let Some(constraint) = table::table_constraint(cursor)?
    {
        return Ok(AlterTableAction::AddConstraint(Box::new(constraint)));
    }
    cursor.word("column");
    let if_not_exists = cursor.if_not_exists();
    let column = Box::new(table::column(cursor)?);
    Ok(AlterTableAction::AddColumn { if_not_exists, column })
}

/// `number SET STATISTICS target`.
fn column_statistics(cursor: &mut Cursor<'_>) -> Result<AlterTableAction, SqlError> {
    let position = cursor.position();
    let number = cursor.integer()?;
    cursor.expect_words("set statistics")?;
    cursor.integer()?;
    if !(1..=i64::from(i16::MAX)).contains(&number) {
        let message = "column number must be in range from 1 to 32767";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
    }
    Ok(AlterTableAction::ColumnStatistics(number))
}

/// Properties of a table as a whole.
fn property(cursor: &mut Cursor<'_>) -> Result<AlterTableAction, SqlError> {
    if let Some(action) = switch(cursor)? {
        return Ok(action);
    }
    let refused = [
        ("set unlogged", "SET UNLOGGED"),
        ("attach partition", "ATTACH PARTITION"),
        ("detach partition", "DETACH PARTITION"),
        ("no inherit", "NO INHERIT"),
        ("inherit", "INHERIT"),
        ("not of", "NOT OF"),
        ("of", "OF"),
    ];
    for (words, label) in refused {
        if cursor.words(words) {
            if !cursor.at_end() {
                cursor.rest()?;
            }
            return Ok(AlterTableAction::Refused(label));
        }
    }
    let found = cursor.one_of(&[
        "cluster on",
        "set without cluster",
        "set without oids",
        "set tablespace",
        "set logged",
        "set access method",
        "set",
        "reset",
        "replica identity",
    ]);
    Ok(match found {
        Some(0) => AlterTableAction::ClusterOn(cursor.name()?),
        Some(1) => AlterTableAction::WithoutCluster,
        Some(2) => AlterTableAction::Nothing("SET WITHOUT OIDS"),
        Some(3) => {
            define::tablespace(cursor)?;
            AlterTableAction::Nothing("SET TABLESPACE")
        }
        Some(4) => AlterTableAction::Nothing("SET LOGGED"),
        Some(5) => {
            define::table_access_method(cursor)?;
            AlterTableAction::Nothing("SET ACCESS METHOD")
        }
        Some(6) => AlterTableAction::SetOptions(storage_options(cursor)?),
        Some(7) => AlterTableAction::ResetOptions(storage_options(cursor)?),
        Some(_) => AlterTableAction::ReplicaIdentity(replica_identity(cursor)?),
        None => return Err(cursor.syntax_error()),
    })
}

fn replica_identity(cursor: &mut Cursor<'_>) -> Result<ReplicaIdentity, SqlError> {
    match cursor.one_of(&["using index", "default", "full", "nothing"]) {
        Some(0) => Ok(ReplicaIdentity::Index(cursor.name()?)),
        Some(1) => Ok(ReplicaIdentity::Default),
        Some(2) => Ok(ReplicaIdentity::Full),
        Some(_) => Ok(ReplicaIdentity::Nothing),
        None => Err(cursor.syntax_error()),
    }
}

/// `ENABLE`, `DISABLE`, `FORCE`: of triggers, rules and row security, none of which there are.
fn switch(cursor: &mut Cursor<'_>) -> Result<Option<AlterTableAction>, SqlError> {
    let security = [
        ("enable row level security", "ENABLE ROW SECURITY", true),
        ("disable row level security", "DISABLE ROW SECURITY", false),
        ("force row level security", "FORCE ROW SECURITY", true),
        ("no force row level security", "NO FORCE ROW SECURITY", false),
    ];
    for (words, label, refused) in security {
        if cursor.words(words) {
            let action =
                if refused { AlterTableAction::Refused } else { AlterTableAction::Nothing };
            return Ok(Some(action(label)));
        }
    }
    let triggers = ["enable trigger", "enable replica trigger", "enable always trigger"];
    let rules = ["enable rule", "enable replica rule", "enable always rule", "disable rule"];
    let found = cursor.one_of(&triggers);
    if found.is_some() || cursor.words("disable trigger") {
        let plain = found != Some(1) && found != Some(2);
        return Ok(Some(match cursor.one_of(&["all", "user"]) {
            // All triggers are those of foreign keys.
            Some(0) if plain && found.is_none() => AlterTableAction::Refused("DISABLE TRIGGER ALL"),
            Some(0) if plain => AlterTableAction::Nothing("ENABLE TRIGGER ALL"),
            Some(1) if plain && found.is_none() => {
                AlterTableAction::Nothing("DISABLE TRIGGER USER")
            }
            Some(1) if plain => AlterTableAction::Nothing("ENABLE TRIGGER USER"),
            Some(_) => return Err(cursor.syntax_error()),
            None => AlterTableAction::Switch(true, cursor.name()?),
        }));
    }
    if cursor.one_of(&rules).is_some() {
        return Ok(Some(AlterTableAction::Switch(false, cursor.name()?)));
    }
    Ok(None)
}

fn alter_column(cursor: &mut Cursor<'_>) -> Result<AlterColumn, SqlError> {
    let words = [
        "set default",
        "drop default",
        "set not null",
        "drop not null",
        "set data type",
        "type",
        "add generated always as identity",
        "add generated by default as identity",
        "drop identity",
        "drop expression",
        "set statistics",
        "set storage",
        "set compression",
    ];
    match cursor.one_of(&words) {
        Some(0) => located(cursor).map(|text| AlterColumn::Default(Some(text))),
        Some(1) => Ok(AlterColumn::Default(None)),
        Some(2) => Ok(AlterColumn::NotNull(true)),
        Some(3) => Ok(AlterColumn::NotNull(false)),
        Some(4 | 5) => column_type(cursor),
        Some(found @ (6 | 7)) => {
            let identity = table::identity_options(cursor, found == 6)?;
            Ok(AlterColumn::AddIdentity(Box::new(identity)))
        }
        Some(8) => Ok(AlterColumn::DropIdentity(cursor.if_exists())),
        Some(9) => Ok(AlterColumn::DropExpression(cursor.if_exists())),
        Some(10) => cursor.integer().map(AlterColumn::Statistics),
        Some(11) => cursor.identifier().map(AlterColumn::Storage),
        Some(_) => cursor.identifier().map(AlterColumn::Compression),
        None => identity_changes(cursor),
    }
}

/// An expression up to the end of an action.
fn located(cursor: &mut Cursor<'_>) -> Result<SourceText, SqlError> {
    let position = cursor.position();
    Ok(SourceText { text: cursor.text_until(|_| false)?, position })
}

fn column_type(cursor: &mut Cursor<'_>) -> Result<AlterColumn, SqlError> {
    let type_name = TypeName::parse(cursor)?;
    let collation = if cursor.word("collate") { Some(cursor.object_name()?.name) } else { None };
    let using = if cursor.word("using") { Some(located(cursor)?) } else { None };
    Ok(AlterColumn::Type { type_name, collation, using })
}

/// `SET GENERATED …`, `SET sequence option`, `RESTART`, any number of them; or `SET (…)`.
fn identity_changes(cursor: &mut Cursor<'_>) -> Result<AlterColumn, SqlError> {
    let mut always = None;
    let mut options = SequenceOptions::default();
    let mut any = false;
    loop {
        if cursor.words("set generated always") {
            always = Some(true);
        } else if cursor.words("set generated by default") {
            always = Some(false);
        } else if cursor.is_word("restart") {
            table::sequence_option(cursor, &mut options)?;
        } else if cursor.word("set") {
            if !any && cursor.is_symbol(&Token::LParen) {
                cursor.parenthesized_list_text()?;
                return Ok(AlterColumn::Options);
            }
            if !table::sequence_option(cursor, &mut options)? {
                return Err(cursor.syntax_error());
            }
        } else {
            break;
        }
        any = true;
    }
    if !any {
        if cursor.word("reset") {
            cursor.parenthesized_list_text()?;
            return Ok(AlterColumn::Options);
        }
        return Err(cursor.syntax_error());
    }
    Ok(AlterColumn::SetIdentity(always, Box::new(options)))
}

fn alter_type(cursor: &mut Cursor<'_>, name: ObjectName) -> Parsed {
    if cursor.words("add value") {
        let if_not_exists = cursor.if_not_exists();
        let label = cursor.string()?;
        let neighbour = match cursor.one_of(&["before", "after"]) {
            Some(place) => Some((cursor.string()?, place == 0)),
            None => None,
        };
        let change = AlterType::AddValue { label, if_not_exists, neighbour };
        return ddl(DdlStatement::AlterType(name, change));
    }
    if cursor.words("rename value") {
        let old = cursor.string()?;
        cursor.expect_words("to")?;
        let change = AlterType::RenameValue(old, cursor.string()?);
        return ddl(DdlStatement::AlterType(name, change));
    }
    if cursor.words("rename attribute") {
        let change = renamed(cursor, AlterType::RenameAttribute)?;
        cursor.cascade();
        return ddl(DdlStatement::AlterType(name, change));
    }
    if cursor.is_word("set") {
        return unsupported("ALTER TYPE SET");
    }
    let changes = cursor.comma_list(attribute)?;
    ddl(DdlStatement::AlterType(name, AlterType::Attributes(changes)))
}

/// `ADD`, `DROP` or `ALTER ATTRIBUTE`.
fn attribute(cursor: &mut Cursor<'_>) -> Result<AttributeChange, SqlError> {
    let change = match cursor.one_of(&["add attribute", "drop attribute", "alter attribute"]) {
        Some(0) => AttributeChange::Add(cursor.name()?, TypeName::parse(cursor)?),
        Some(1) => {
            let if_exists = cursor.if_exists();
            AttributeChange::Drop(cursor.name()?, if_exists)
        }
        Some(_) => {
            let name = cursor.name()?;
            if cursor.one_of(&["set data type", "type"]).is_none() {
                return Err(cursor.syntax_error());
            }
            AttributeChange::Type(name, TypeName::parse(cursor)?)
        }
        None => return Err(cursor.syntax_error()),
    };
    if cursor.word("collate") {
        return Err(SqlError::unsupported("COLLATE of a composite type's field"));
    }
    cursor.cascade();
    Ok(change)
}

fn alter_domain(cursor: &mut Cursor<'_>, name: ObjectName) -> Parsed {
    let words = [
        "set default",
        "drop default",
        "set not null",
        "drop not null",
        "add",
        "drop constraint",
        "rename constraint",
        "validate constraint",
    ];
    let change = match cursor.one_of(&words) {
        Some(0) => AlterDomain::Default(Some(cursor.rest()?)),
        Some(1) => AlterDomain::Default(None),
        Some(2) => AlterDomain::NotNull(true),
        Some(3) => AlterDomain::NotNull(false),
        Some(4) => {
            let constraint = if cursor.word("constraint") { Some(cursor.name()?) } else { None };
            cursor.expect_words("check")?;
            let expression = cursor.parenthesized_text()?;
            let not_valid = cursor.words("not valid");
            AlterDomain::AddCheck { name: constraint, expression, not_valid }
        }
        Some(5) => {
            let if_exists = cursor.if_exists();
            let constraint = cursor.name()?;
            cursor.cascade();
            AlterDomain::DropConstraint(constraint, if_exists)
        }
        Some(6) => renamed(cursor, AlterDomain::RenameConstraint)?,
        Some(_) => AlterDomain::Validate(cursor.name()?),
        None => return Err(cursor.syntax_error()),
    };
    ddl(DdlStatement::AlterDomain(name, change))
}
