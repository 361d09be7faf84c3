//! `CREATE` and `DROP`.

use sqlparser::tokenizer::Token;

use super::ast::{
    CreateDomain, CreateIndex, CreateRange, CreateSequence, CreateTable, CreateTableAs,
    DdlStatement, DropKind, ObjectName, RoutineKind, SequenceOptions, StorageOptions, ViewForm,
};
use super::cursor::Cursor;
use super::storage_options::with_options;
use super::type_name::TypeName;
use super::{UtilityAst, function, role, table, unsupported, view};
use crate::error::{SqlError, SqlState};
use crate::schema::OnCommit;

type Parsed = Result<UtilityAst, SqlError>;

fn ddl(statement: DdlStatement) -> Parsed {
    Ok(UtilityAst::Ddl(Box::new(statement)))
}

/// What `CREATE` may create that Trellis refuses.
const UNSUPPORTED: [&str; 21] = [
    "trigger",
    "constraint trigger",
    "event trigger",
    "rule",
    "aggregate",
    "operator",
    "cast",
    "statistics",
    "publication",
    "subscription",
    "policy",
    "user mapping",
    "database",
    "tablespace",
    "collation",
    "conversion",
    "server",
    "foreign",
    "language",
    "text search",
    "access method",
];

/// `CREATE …`.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let or_replace = cursor.words("or replace");
    let scopes =
        ["global temporary", "global temp", "local temporary", "local temp", "temporary", "temp"];
    let temporary = cursor.one_of(&scopes).is_some();
    let unlogged = !temporary && cursor.word("unlogged");
    let kinds = [
        "table",
        "schema",
        "unique index",
        "index",
        "view",
        "materialized view",
        "sequence",
        "type",
        "domain",
        "extension",
        "recursive view",
        "function",
        "procedure",
    ];
    let misplaced = cursor.syntax_error();
    let kind = cursor.one_of(&kinds);
    if or_replace && !matches!(kind, None | Some(4 | 10..=12)) {
        return Err(cursor.syntax_error());
    }
    if temporary && !matches!(kind, None | Some(0 | 4 | 6 | 10)) {
        return Err(misplaced);
    }
    match kind {
        Some(6) if unlogged => return unsupported("CREATE UNLOGGED SEQUENCE"),
        Some(4 | 10) if unlogged => {
            let message = "views cannot be unlogged because they do not have storage";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        Some(1..) if unlogged => return Err(misplaced),
        _ => {}
    }
    match kind {
        Some(0) if unlogged => unsupported("CREATE UNLOGGED TABLE"),
        Some(0) => create_table(cursor, temporary),
        Some(1) => create_schema(cursor),
        Some(found @ (2 | 3)) => create_index(cursor, found == 2),
        Some(4) => view::create_view(cursor, temporary, or_replace, ViewForm::Plain),
        Some(5) => view::create_view(cursor, false, false, ViewForm::Materialized),
        Some(6) => create_sequence(cursor, temporary),
        Some(7) => create_type(cursor),
        Some(8) => create_domain(cursor),
        Some(9) => create_extension(cursor),
        Some(10) => view::create_view(cursor, temporary, or_replace, ViewForm::Recursive),
        Some(found) => {
            let kind = if found == 11 { RoutineKind::Function } else { RoutineKind::Procedure };
            function::create_function(cursor, kind, or_replace)
        }
        None => match role::create(cursor)? {
            Some(statement) => Ok(statement),
            None => refused(cursor, "CREATE"),
        },
    }
}

/// A statement of `verb` on something that Trellis does not have.
pub(super) fn refused(cursor: &mut Cursor<'_>, verb: &str) -> Parsed {
    match cursor.one_of(&UNSUPPORTED).and_then(|found| UNSUPPORTED.get(found)) {
        Some(what) => unsupported(&format!("{verb} {}", what.to_uppercase())),
        None => Err(cursor.syntax_error()),
    }
}

fn create_table(cursor: &mut Cursor<'_>, temporary: bool) -> Parsed {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.object_name()?;
    if cursor.is_word("of") || cursor.words("partition of") {
        return unsupported("CREATE TABLE OF and PARTITION OF");
    }
    let mark = cursor.mark();
    if let Some(as_query) = create_table_as(cursor, &name, temporary, if_not_exists)? {
        return ddl(DdlStatement::CreateTableAs(as_query));
    }
    cursor.return_to(mark);
    cursor.expect_symbol(&Token::LParen)?;
    let elements = if cursor.is_symbol(&Token::RParen) {
        Vec::new()
    } else {
        cursor.comma_list(table::element)?
    };
    cursor.expect_symbol(&Token::RParen)?;
    if cursor.is_word("inherits") {
        return unsupported("CREATE TABLE with INHERITS");
    }
    if cursor.is_word("partition") {
        return unsupported("CREATE TABLE with PARTITION BY");
    }
    let (on_commit, options) = table_options(cursor)?;
    ddl(DdlStatement::CreateTable(CreateTable {
        name,
        temporary,
        if_not_exists,
        elements,
        on_commit,
        options,
    }))
}

/// `USING method`, `WITH (…)`, `WITHOUT OIDS`, `ON COMMIT …`, `TABLESPACE …`.
fn table_options(cursor: &mut Cursor<'_>) -> Result<(Option<OnCommit>, StorageOptions), SqlError> {
    let mut on_commit = None;
    let mut options = Vec::new();
    if cursor.word("using") {
        table_access_method(cursor)?;
    }
    if !cursor.words("without oids") && cursor.is_word("with") && !cursor.words("with data") {
        if cursor.words("with oids") {
            return Err(cursor.syntax_error());
        }
        options = with_options(cursor)?;
    }
    if cursor.words("on commit") {
        on_commit = match cursor.one_of(&["preserve rows", "delete rows", "drop"]) {
            Some(0) => None,
            Some(1) => Some(OnCommit::DeleteRows),
            Some(_) => Some(OnCommit::Drop),
            None => return Err(cursor.syntax_error()),
        };
    }
    if cursor.word("tablespace") {
        tablespace(cursor)?;
    }
    Ok((on_commit, options))
}

/// The rest of `CREATE TABLE name [(columns)] [options] AS query`, if it is one.
fn create_table_as(
    cursor: &mut Cursor<'_>,
    name: &ObjectName,
    temporary: bool,
    if_not_exists: bool,
) -> Result<Option<CreateTableAs>, SqlError> {
    let columns = if cursor.is_symbol(&Token::LParen) {
        // Names alone are a column list; anything else belongs to CREATE TABLE.
        match cursor.parenthesized(Cursor::name) {
            Ok(columns) => columns,
            Err(_) => return Ok(None),
        }
    } else {
        Vec::new()
    };
    let (on_commit, options) = match table_options(cursor) {
        Ok(found) if cursor.word("as") => found,
        _ => return Ok(None),
    };
    let (query, no_data) = query_with_data(cursor)?;
    let name = name.clone();
    Ok(Some(CreateTableAs {
        name,
        temporary,
        if_not_exists,
        columns,
        on_commit,
        options,
        query,
        no_data,
    }))
}

/// `SELECT … INTO [TEMPORARY] [TABLE] name …`, which is `CREATE TABLE … AS`; `None` for any other query.
///
/// # Errors
/// 42601 where no name follows.
pub(super) fn select_into(cursor: &mut Cursor<'_>) -> Result<Option<UtilityAst>, SqlError> {
    let (mut depth, mut inserts) = (0usize, false);
    loop {
        match cursor.peek() {
            None => return Ok(None),
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            Some(_) if depth > 0 => {}
            Some(_) if cursor.is_word("into") && !inserts => break,
            Some(_) if cursor.is_word("from") => return Ok(None),
            Some(_) => inserts = cursor.is_word("insert") || cursor.is_word("merge"),
        }
        cursor.advance();
    }
    let start = cursor.start();
    cursor.advance();
    let words = ["local temporary", "local temp", "temporary", "temp", "unlogged"];
    let found = cursor.one_of(&words).map(|found| words[found]);
    if found == Some("unlogged") {
        return Err(SqlError::unsupported("SELECT INTO UNLOGGED"));
    }
    let temporary = found.is_some();
    cursor.word("table");
    let name = cursor.object_name()?;
    let end = start + cursor.text_since(start).len();
    // Blanks in the place of the clause leave everything else where it stands.
    let text = cursor.text();
    let (before, after) = (text.get(..start), text.get(end..));
    let clause = text.get(start..end).unwrap_or_default();
    let blanks = " ".repeat(clause.chars().count());
    let query = [before.unwrap_or_default(), &blanks, after.unwrap_or_default()].concat();
    let table = CreateTableAs {
        name,
        temporary,
        if_not_exists: false,
        columns: Vec::new(),
        on_commit: None,
        options: Vec::new(),
        query,
        no_data: false,
    };
    ddl(DdlStatement::CreateTableAs(table)).map(Some)
}

/// A query and `WITH [NO] DATA` after it.
pub(super) fn query_with_data(cursor: &mut Cursor<'_>) -> Result<(String, bool), SqlError> {
    let ends = |cursor: &Cursor<'_>| {
        let second = usize::from(next_is(cursor, 1, "no"));
        cursor.is_word("with")
            && next_is(cursor, 1 + second, "data")
            && cursor.peek_ahead(2 + second).is_none()
    };
    let query = cursor.query_until(ends)?;
    let no_data = match cursor.one_of(&["with no data", "with data"]) {
        Some(found) => found == 0,
        None => false,
    };
    Ok((query, no_data))
}

/// Whether the token `ahead` places on is this word.
pub(super) fn next_is(cursor: &Cursor<'_>, ahead: usize, word: &str) -> bool {
    matches!(cursor.peek_ahead(ahead), Some(Token::Word(it)) if it.value.eq_ignore_ascii_case(word))
}

fn create_schema(cursor: &mut Cursor<'_>) -> Parsed {
    let if_not_exists = cursor.if_not_exists();
    let mut name = if cursor.is_word("authorization") { None } else { Some(cursor.name()?) };
    let mut owner = None;
    if cursor.word("authorization") {
        let role = cursor.identifier()?;
        name.get_or_insert_with(|| role.clone());
        owner = Some(role);
    }
    let position = cursor.position();
    let elements = schema_elements(cursor)?;
    if if_not_exists && !elements.is_empty() {
        let message = "CREATE SCHEMA IF NOT EXISTS cannot include schema elements";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
    }
    let name = name.unwrap_or_default();
    ddl(DdlStatement::CreateSchema { name, owner, if_not_exists, elements })
}

/// The statements inside `CREATE SCHEMA`, in the order in which PostgreSQL makes what they say.
fn schema_elements(cursor: &mut Cursor<'_>) -> Result<Vec<DdlStatement>, SqlError> {
    let mut elements = Vec::new();
    while !cursor.at_end() {
        if cursor.is_word("grant") {
            return Err(SqlError::unsupported("GRANT").at(cursor.position()));
        }
        let mut element = cursor.until(|it| it.is_word("create") || it.is_word("grant"));
        element.expect_words("create")?;
        let statement = match create(&mut element)? {
            UtilityAst::Ddl(statement) => *statement,
            UtilityAst::Unsupported(what) => return Err(SqlError::unsupported(what)),
            _ => return Err(cursor.syntax_error()),
        };
        element.expect_end()?;
        let rank = match &statement {
            DdlStatement::CreateSequence(_) => 0,
            DdlStatement::CreateTable(_) => 1,
            DdlStatement::CreateView(view) if !view.materialized && !view.or_replace => 2,
            DdlStatement::CreateIndex(_) => 3,
            _ => return Err(cursor.syntax_error()),
        };
        cursor.skip_to(&element);
        elements.push((rank, statement));
    }
    elements.sort_by_key(|(rank, _)| *rank);
    Ok(elements.into_iter().map(|(_, statement)| statement).collect())
}

fn create_index(cursor: &mut Cursor<'_>, unique: bool) -> Parsed {
    let concurrently = cursor.word("concurrently");
    let if_not_exists = cursor.if_not_exists();
    let name = if cursor.is_word("on") && !if_not_exists { None } else { Some(cursor.name()?) };
    cursor.expect_words("on")?;
    cursor.word("only");
    let table = cursor.object_name()?;
    let method = if cursor.word("using") { cursor.name()? } else { "btree".to_owned() };
    let keys = cursor.parenthesized(table::index_key)?;
    let include =
        if cursor.word("include") { cursor.parenthesized(Cursor::name)? } else { Vec::new() };
    let nulls_not_distinct = cursor.one_of(&["nulls not distinct", "nulls distinct"]) == Some(0);
    let options = with_options(cursor)?;
    if cursor.word("tablespace") {
        tablespace(cursor)?;
    }
    let predicate = if cursor.word("where") { Some(cursor.rest_source()?) } else { None };
    ddl(DdlStatement::CreateIndex(CreateIndex {
        name,
        if_not_exists,
        unique,
        table,
        method,
        keys,
        include,
        nulls_not_distinct,
        predicate,
        concurrently,
        options,
    }))
}

fn create_sequence(cursor: &mut Cursor<'_>, temporary: bool) -> Parsed {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.object_name()?;
    let mut options = SequenceOptions::default();
    table::sequence_options(cursor, &mut options)?;
    ddl(DdlStatement::CreateSequence(CreateSequence { name, temporary, if_not_exists, options }))
}

fn create_type(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.object_name()?;
    if cursor.words("as range") {
        return create_range(cursor, name);
    }
    if !cursor.words("as enum") {
        return create_composite(cursor, name);
    }
    cursor.expect_symbol(&Token::LParen)?;
    let labels = if cursor.is_symbol(&Token::RParen) {
        Vec::new()
    } else {
        cursor.comma_list(Cursor::string)?
    };
    cursor.expect_symbol(&Token::RParen)?;
    ddl(DdlStatement::CreateEnum { name, labels })
}

/// What follows the name in `CREATE TYPE name AS RANGE (attribute = value, …)`.
fn create_range(cursor: &mut Cursor<'_>, name: ObjectName) -> Parsed {
    let (mut subtype, mut subtype_diff, mut collation, mut multirange) = (None, None, None, None);
    cursor.expect_symbol(&Token::LParen)?;
    cursor.comma_list(|cursor| {
        let attribute = cursor.identifier()?;
        cursor.expect_symbol(&Token::Eq)?;
        let redundant = match attribute.as_str() {
            "subtype" => subtype.replace(TypeName::parse(cursor)?).is_some(),
            "subtype_diff" => subtype_diff.replace(cursor.object_name()?).is_some(),
            "collation" => collation.replace(cursor.object_name()?).is_some(),
            "multirange_type_name" => multirange.replace(cursor.object_name()?).is_some(),
            "subtype_opclass" | "canonical" => {
                return Err(SqlError::unsupported(format!("{attribute} of a range type")));
            }
            other => {
                let message = format!("type attribute \"{other}\" not recognized");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
        };
        if redundant {
            let message = "conflicting or redundant options";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        Ok(())
    })?;
    cursor.expect_symbol(&Token::RParen)?;
    let Some(subtype) = subtype else {
        let message = "type attribute \"subtype\" is required";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    };
    let range = CreateRange { name, subtype, subtype_diff, collation, multirange };
    ddl(DdlStatement::CreateRange(range))
}

/// What follows the name in `CREATE TYPE name AS (field type, …)`.
fn create_composite(cursor: &mut Cursor<'_>, name: ObjectName) -> Parsed {
    if !cursor.word("as") || !cursor.is_symbol(&Token::LParen) {
        return unsupported("CREATE TYPE other than AS ENUM and AS (…)");
    }
    cursor.expect_symbol(&Token::LParen)?;
    let fields = if cursor.is_symbol(&Token::RParen) {
        Vec::new()
    } else {
        cursor.comma_list(|cursor| {
            let field = (cursor.name()?, TypeName::parse(cursor)?);
            if cursor.word("collate") {
                return Err(SqlError::unsupported("COLLATE of a composite type's field"));
            }
            Ok(field)
        })?
    };
    cursor.expect_symbol(&Token::RParen)?;
    ddl(DdlStatement::CreateComposite { name, fields })
}

fn create_domain(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.object_name()?;
    cursor.word("as");
    let base = TypeName::parse(cursor)?;
    let mut domain =
        CreateDomain { name, base, default: None, not_null: false, checks: Vec::new() };
    if cursor.word("collate") {
        let collation = cursor.object_name()?.name;
        if !["C", "POSIX", "default", "ucs_basic", "C.UTF-8", "C.utf8"]
            .contains(&collation.as_str())
        {
            return unsupported(&format!("collation \"{collation}\""));
        }
    }
    while !cursor.at_end() {
        let constraint = if cursor.word("constraint") { Some(cursor.name()?) } else { None };
        match cursor.one_of(&["default", "not null", "null", "check"]) {
            Some(0) => domain.default = Some(table::expression_before_clause(cursor)?.text),
            Some(1) => domain.not_null = true,
            Some(2) => domain.not_null = false,
            Some(_) => domain.checks.push((constraint, cursor.parenthesized_text()?)),
            None => return Err(cursor.syntax_error()),
        }
    }
    ddl(DdlStatement::CreateDomain(domain))
}

fn create_extension(cursor: &mut Cursor<'_>) -> Parsed {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    cursor.word("with");
    loop {
        match cursor.one_of(&["schema", "version", "cascade"]) {
            Some(0) => drop(cursor.name()?),
            Some(1) if matches!(cursor.peek(), Some(Token::Word(_))) => drop(cursor.name()?),
            Some(1) => drop(cursor.string()?),
            Some(_) => {}
            None => break,
        }
    }
    ddl(DdlStatement::CreateExtension { name, if_not_exists })
}

/// The kind of object that the next words name.
pub(super) fn object_kind(cursor: &mut Cursor<'_>) -> Option<DropKind> {
    let kinds = [
        ("schema", DropKind::Schema),
        ("table", DropKind::Table),
        ("view", DropKind::View),
        ("materialized view", DropKind::MaterializedView),
        ("index", DropKind::Index),
        ("sequence", DropKind::Sequence),
        ("type", DropKind::Type),
        ("domain", DropKind::Domain),
        ("extension", DropKind::Extension),
    ];
    kinds.into_iter().find(|(words, _)| cursor.words(words)).map(|(_, kind)| kind)
}

/// `DROP …`.
pub(super) fn drop_statement(cursor: &mut Cursor<'_>) -> Parsed {
    if let Some(kind) = function::routine_kind(cursor) {
        return function::drop_routines(cursor, kind);
    }
    if let Some(statement) = role::drop_role(cursor)? {
        return Ok(statement);
    }
    if let Some(absent) = super::absent::drop_absent(cursor)? {
        return Ok(absent);
    }
    let Some(kind) = object_kind(cursor) else {
        if cursor.word("owned") {
            return unsupported("DROP OWNED");
        }
        return refused(cursor, "DROP");
    };
    let concurrently = kind == DropKind::Index && cursor.word("concurrently");
    let if_exists = cursor.if_exists();
    let names = cursor.comma_list(Cursor::object_name)?;
    let cascade = cursor.cascade();
    if concurrently && names.len() > 1 {
        let message = "DROP INDEX CONCURRENTLY does not support dropping multiple objects";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    if concurrently && cascade {
        let message = "DROP INDEX CONCURRENTLY does not support CASCADE";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    ddl(DdlStatement::Drop { kind, names, if_exists, cascade, concurrently })
}

/// The name of a tablespace: there is one.
///
/// # Errors
/// 42704 for any other, 22023 for that of shared relations.
pub(super) fn tablespace(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    let name = cursor.name()?;
    match name.as_str() {
        "pg_default" => Ok(()),
        "pg_global" => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "only shared relations can be placed in pg_global tablespace",
        )),
        _ => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("tablespace \"{name}\" does not exist"),
        )),
    }
}

/// The access method of a table: there is one.
///
/// # Errors
/// 42704, 55000 for one of indexes.
pub(super) fn table_access_method(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    let name = cursor.name()?;
    match name.as_str() {
        "heap" => Ok(()),
        "btree" | "hash" | "gin" | "gist" | "spgist" | "brin" => Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("access method \"{name}\" is not of type TABLE"),
        )),
        _ => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("access method \"{name}\" does not exist"),
        )),
    }
}
