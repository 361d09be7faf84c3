//! `DROP` of kinds of object of which Trellis has none: they do not exist, and PostgreSQL has a way to say so for each.
//!
//! Scripts that make a database anew drop first what may not be there (`DROP FUNCTION IF EXISTS …`). That needs no more than
//! the notice. What PostgreSQL has itself of a kind (functions, languages, …) cannot be dropped there either.
//!
//! Source: PostgreSQL 15 `dropcmds.c`, `objectaddress.c`.

use sqlparser::tokenizer::Token;

use super::UtilityAst;
use super::ast::{AbsentObject, DdlStatement, ObjectName};
use super::cursor::Cursor;
use super::type_name::TypeName;
use crate::error::{SqlError, SqlState};

/// How objects of a kind are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// By a name of their own.
    Plain,
    /// By a name in a schema.
    Qualified,
    /// By a name in a schema and the types of arguments, which may be left out.
    Routine,
    /// By a name of a relation's.
    OnRelation,
    /// By a name in a schema, of an access method.
    OfMethod,
}

/// Words after `DROP`, what messages call the kind, and how its objects are named.
const KINDS: [(&str, &str, Naming); 24] = [
    ("aggregate", "aggregate", Naming::Routine),
    ("trigger", "trigger", Naming::OnRelation),
    ("rule", "rule", Naming::OnRelation),
    ("policy", "policy", Naming::OnRelation),
    ("operator class", "operator class", Naming::OfMethod),
    ("operator family", "operator family", Naming::OfMethod),
    ("collation", "collation", Naming::Qualified),
    ("conversion", "conversion", Naming::Qualified),
    ("statistics", "statistics object", Naming::Qualified),
    ("text search parser", "text search parser", Naming::Qualified),
    ("text search dictionary", "text search dictionary", Naming::Qualified),
    ("text search template", "text search template", Naming::Qualified),
    ("text search configuration", "text search configuration", Naming::Qualified),
    ("foreign table", "foreign table", Naming::Qualified),
    ("foreign data wrapper", "foreign-data wrapper", Naming::Plain),
    ("server", "server", Naming::Plain),
    ("access method", "access method", Naming::Plain),
    ("procedural language", "language", Naming::Plain),
    ("language", "language", Naming::Plain),
    ("event trigger", "event trigger", Naming::Plain),
    ("publication", "publication", Naming::Plain),
    ("subscription", "subscription", Naming::Plain),
    ("tablespace", "tablespace", Naming::Plain),
    ("database", "database", Naming::Plain),
];

/// `DROP kind [IF EXISTS] names` of such a kind; `None` if it is not one.
pub(super) fn drop_absent(cursor: &mut Cursor<'_>) -> Result<Option<UtilityAst>, SqlError> {
    if cursor.word("cast") {
        return cast(cursor).map(Some);
    }
    let Some((words, noun, naming)) = KINDS.into_iter().find(|(words, ..)| cursor.words(words))
    else {
        if cursor.word("operator") {
            return operators(cursor).map(Some);
        }
        return Ok(None);
    };
    let if_exists = cursor.if_exists();
    let objects = match naming {
        Naming::Plain => cursor.comma_list(|cursor| {
            let name = cursor.name()?;
            Ok(AbsentObject { name: plain(&name), ..absent(noun, &format!("{noun} \"{name}\"")) })
        })?,
        Naming::Qualified => cursor.comma_list(|cursor| {
            let name = cursor.object_name()?;
            let shown = format!("{noun} \"{}\"", name.display());
            let mut object = absent(noun, &shown);
            if noun == "collation" {
                object.error = format!(
                    "collation \"{}\" for encoding \"UTF8\" does not exist",
                    name.display()
                );
            }
            Ok(AbsentObject { name, ..object })
        })?,
        Naming::Routine => cursor.comma_list(|cursor| routine(cursor, noun))?,
        Naming::OnRelation => vec![on_relation(cursor, noun)?],
        Naming::OfMethod => {
            let name = cursor.object_name()?;
            cursor.expect_words("using")?;
            let method = cursor.name()?;
            let shown = format!("{noun} \"{}\"", name.display());
            let message = format!("{shown} does not exist for access method \"{method}\"");
            let object =
                AbsentObject { error: message.clone(), notice: message, ..absent(noun, &shown) };
            vec![AbsentObject { name, ..object }]
        }
    };
    if words == "database" && cursor.word("with") {
        cursor.parenthesized_list_text()?;
    }
    cursor.cascade();
    let tag = format!("DROP {}", words.to_uppercase());
    let tag = match tag.as_str() {
        "DROP PROCEDURAL LANGUAGE" => "DROP LANGUAGE".to_owned(),
        _ => tag,
    };
    Ok(Some(dropped(tag, if_exists, objects)))
}

fn dropped(tag: String, if_exists: bool, objects: Vec<AbsentObject>) -> UtilityAst {
    UtilityAst::Ddl(Box::new(DdlStatement::DropAbsent { tag, if_exists, objects }))
}

fn plain(name: &str) -> ObjectName {
    ObjectName { database: None, schema: None, name: name.to_owned(), position: None }
}

/// An object that messages show like this.
fn absent(noun: &'static str, shown: &str) -> AbsentObject {
    let state = match noun {
        "function" | "procedure" | "routine" | "aggregate" => SqlState::UNDEFINED_FUNCTION,
        "database" => SqlState::INVALID_CATALOG_NAME,
        _ => SqlState::UNDEFINED_OBJECT,
    };
    AbsentObject {
        noun,
        name: plain(""),
        types: Vec::new(),
        relation: None,
        state,
        error: format!("{shown} does not exist"),
        notice: format!("{shown} does not exist"),
    }
}

/// `name [(types)]`.
pub(super) fn routine(
    cursor: &mut Cursor<'_>,
    noun: &'static str,
) -> Result<AbsentObject, SqlError> {
    let name = cursor.object_name()?;
    let shown = name.display();
    if !cursor.is_symbol(&Token::LParen) {
        if noun == "aggregate" {
            return Err(cursor.syntax_error());
        }
        let object = absent(noun, &format!("{noun} {shown}()"));
        let error = format!("could not find a {} named \"{shown}\"", called(noun));
        return Ok(AbsentObject { name, error, ..object });
    }
    cursor.expect_symbol(&Token::LParen)?;
    let mut types = Vec::new();
    let mut list = Vec::new();
    let any = cursor.symbol(&Token::Mul);
    if !any && !cursor.is_symbol(&Token::RParen) {
        loop {
            let (type_name, text) = argument(cursor)?;
            types.push(type_name);
            list.push(text);
            if !cursor.symbol(&Token::Comma) && !cursor.words("order by") {
                break;
            }
        }
    }
    cursor.expect_symbol(&Token::RParen)?;
    // The notice has the types as they are written, the error as they are called.
    let object = absent(noun, &format!("{noun} {shown}({})", list.join(",")));
    let arguments = if any { "*" } else { "" };
    let error = format!("{} {shown}({arguments}) does not exist", called(noun));
    Ok(AbsentObject { name, types, error, ..object })
}

/// What errors call a kind of routine.
fn called(noun: &str) -> &str {
    if noun == "routine" { "function" } else { noun }
}

/// `[mode] [name] type`, with the type as PostgreSQL's parser reads it.
fn argument(cursor: &mut Cursor<'_>) -> Result<(TypeName, String), SqlError> {
    cursor.one_of(&["in", "out", "inout", "variadic"]);
    let mark = cursor.mark();
    let is_end = |cursor: &Cursor<'_>| {
        matches!(cursor.peek(), Some(Token::Comma | Token::RParen))
            || cursor.is_word("order")
            || cursor.is_word("as")
    };
    let mut start = cursor.start();
    let mut type_name = TypeName::parse(cursor)?;
    if !is_end(cursor) {
        cursor.return_to(mark);
        cursor.name()?;
        cursor.one_of(&["in", "out", "inout", "variadic"]);
        start = cursor.start();
        type_name = TypeName::parse(cursor)?;
    }
    let text = cursor.text_since(start).to_lowercase();
    let text = match text.as_str() {
        "int" | "integer" => "pg_catalog.int4".to_owned(),
        "bigint" => "pg_catalog.int8".to_owned(),
        "smallint" => "pg_catalog.int2".to_owned(),
        "boolean" => "pg_catalog.bool".to_owned(),
        "real" => "pg_catalog.float4".to_owned(),
        "double precision" => "pg_catalog.float8".to_owned(),
        "numeric" | "varchar" | "timestamp" | "time" | "interval" | "bit" => {
            format!("pg_catalog.{text}")
        }
        _ => text,
    };
    Ok((type_name, text))
}

/// `name ON relation`.
fn on_relation(cursor: &mut Cursor<'_>, noun: &'static str) -> Result<AbsentObject, SqlError> {
    let name = cursor.name()?;
    cursor.expect_words("on")?;
    let relation = cursor.object_name()?;
    let of = if noun == "rule" { "relation" } else { "table" };
    let shown = relation.name.clone();
    Ok(AbsentObject {
        error: format!("{noun} \"{name}\" for {of} \"{shown}\" does not exist"),
        notice: format!("{noun} \"{name}\" for relation \"{shown}\" does not exist"),
        relation: Some(relation),
        name: plain(&name),
        ..absent(noun, "")
    })
}

/// `(type AS type)` after `DROP CAST`.
fn cast(cursor: &mut Cursor<'_>) -> Result<UtilityAst, SqlError> {
    let if_exists = cursor.if_exists();
    cursor.expect_symbol(&Token::LParen)?;
    let (from, from_text) = argument(cursor)?;
    cursor.expect_words("as")?;
    let (to, to_text) = argument(cursor)?;
    cursor.expect_symbol(&Token::RParen)?;
    cursor.cascade();
    let notice = format!("cast from type {from_text} to type {to_text} does not exist");
    let object = absent("cast", "");
    let object = AbsentObject { types: vec![from, to], notice, ..object };
    Ok(dropped("DROP CAST".to_owned(), if_exists, vec![object]))
}

/// `name (type, type)` after `DROP OPERATOR`.
fn operators(cursor: &mut Cursor<'_>) -> Result<UtilityAst, SqlError> {
    let if_exists = cursor.if_exists();
    let objects = cursor.comma_list(|cursor| {
        let start = cursor.start();
        while !cursor.at_end() && !cursor.is_symbol(&Token::LParen) {
            cursor.advance();
        }
        let name = cursor.text_since(start);
        if name.is_empty() || cursor.at_end() {
            return Err(cursor.syntax_error());
        }
        cursor.expect_symbol(&Token::LParen)?;
        let mut types = Vec::new();
        let left = if cursor.word("none") { None } else { Some(TypeName::parse(cursor)?) };
        if cursor.is_symbol(&Token::RParen) {
            let message = "missing argument";
            let hint = "Use NONE to denote the missing argument of a unary operator.";
            let position = cursor.position();
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .with_hint(hint)
                .at(position));
        }
        cursor.expect_symbol(&Token::Comma)?;
        if cursor.word("none") {
            let message = "postfix operators are not supported";
            let state = SqlState::FEATURE_NOT_SUPPORTED;
            cursor.expect_symbol(&Token::RParen)?;
            return Err(SqlError::new(state, message));
        }
        types.extend(left);
        types.push(TypeName::parse(cursor)?);
        cursor.expect_symbol(&Token::RParen)?;
        let object = absent("operator", &format!("operator {name}"));
        let state = SqlState::UNDEFINED_FUNCTION;
        Ok(AbsentObject { name: plain(&name), types, state, ..object })
    })?;
    cursor.cascade();
    Ok(dropped("DROP OPERATOR".to_owned(), if_exists, objects))
}
