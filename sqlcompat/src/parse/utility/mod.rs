//! Statements that are read by productions of our own: DDL and everything that is about the session.
//!
//! sqlparser lacks some of these and reads others loosely; here they follow PostgreSQL's grammar (manual, part VI). A
//! statement is ours if its first word says so; everything else is left to sqlparser. Expressions and queries inside our
//! statements are kept as text, cut out by their tokens, and go through sqlparser and the binder when the statement runs:
//! PostgreSQL, too, analyses utility statements only then.
//!
//! # Map
//! - `cursor`: the tokens of one statement and the small productions (names, literals, expressions).
//! - `ast`: what the DDL productions yield; `type_name`: type names.
//! - `session`, `cursors`, `copy`: statements about the session; `table`, `define`, `alter`, `comment`,
//!   `function`, `view`, `storage_options`, `absent`: DDL.
//! - `role`: roles, membership, ownership.
//! - `maintenance`: `VACUUM` and its kin, with `maintained`: what they are about.
//! - `plan`, `plan_copy`: session statements to plans.

mod absent;
mod alter;
mod ast;
mod block;
mod comment;
mod constraints;
mod copy;
mod cursor;
mod cursors;
mod define;
mod function;
mod maintained;
mod maintenance;
mod plan;
mod plan_copy;
mod role;
mod session;
mod storage_options;
mod table;
mod type_name;
mod view;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub use ast::{
    AbsentObject, AlterColumn, AlterDomain, AlterObject, AlterRoutine, AlterTable,
    AlterTableAction, AlterType, AttributeChange, ColumnClause, ColumnMark, CommentTarget,
    ConstraintClause, ConstraintKind, CreateDomain, CreateFunction, CreateIndex, CreateRange,
    CreateSequence, CreateTable, CreateTableAs, CreateView, DdlStatement, Deferral, DropKind,
    ForeignKeyClause, FunctionOptions, IdentityClause, IndexKeyClause, KeyClause, LikeClause,
    ObjectName, ParameterClause, ParameterMode, ReplicaIdentity, RoutineKind, RoutineReference,
    SequenceOptions, SourceText, StorageOption, StorageOptions, TableElement, ViewForm,
};
pub use copy::{CopyAst, CopySource};
pub use maintenance::{Maintenance, MaintenanceCommand};
pub use plan::plan;
pub use role::{RoleAttribute, RoleOption, RoleStatement, SPECIAL_ROLES, StoredSetting};
pub use type_name::TypeName;

use crate::error::SqlError;
use crate::plan::{ExplainTimes, SessionStatement};
use cursor::Cursor;

/// A statement of our own productions.
#[derive(Clone, Debug)]
pub enum UtilityAst {
    /// A session statement with nothing to look up.
    Session(SessionStatement),
    /// `PREPARE`.
    Prepare {
        /// Statement name.
        name: String,
        /// Declared parameter types.
        parameter_types: Vec<TypeName>,
        /// Text of the statement.
        statement: String,
    },
    /// `DECLARE`.
    Declare {
        /// Cursor name.
        name: String,
        /// Text of the query.
        query: String,
        /// `SCROLL`, `NO SCROLL`, or neither.
        scroll: Option<bool>,
        /// `WITH HOLD`.
        hold: bool,
        /// `BINARY`.
        binary: bool,
    },
    /// `COPY`.
    Copy(Box<CopyAst>),
    /// `EXPLAIN`.
    Explain {
        /// `ANALYZE`.
        analyze: bool,
        /// `VERBOSE`.
        verbose: bool,
        /// `FORMAT JSON`.
        json: bool,
        /// What `ANALYZE` tells of time.
        times: ExplainTimes,
        /// Text of the explained statement.
        statement: String,
    },
    /// `CALL`: the call, and where it stands.
    Call(SourceText),
    /// `SET CONSTRAINTS`.
    SetConstraints {
        /// The constraints; none for all.
        names: Vec<ObjectName>,
        /// `DEFERRED` rather than `IMMEDIATE`.
        deferred: bool,
    },
    /// `LOCK TABLE`.
    Lock {
        /// Tables that must exist.
        tables: Vec<ObjectName>,
        /// Whether the mode conflicts with writers.
        exclusive: bool,
        /// `NOWAIT`.
        nowait: bool,
    },
    /// `VACUUM`, `ANALYZE`, `REINDEX`, `CLUSTER`, `CHECKPOINT`.
    Maintenance(Maintenance),
    /// A change of the schema.
    Ddl(Box<DdlStatement>),
    /// Valid PostgreSQL that Trellis does not support; what it is.
    Unsupported(String),
}

/// Reads one statement if it is one of ours; `None` leaves it to sqlparser.
///
/// `tokens` are the statement's, with blanks and comments, spans relative to `text`.
///
/// # Errors
/// 42601 with a position relative to `text` if the statement is one of ours and malformed.
pub fn parse(text: &str, tokens: &[TokenWithSpan]) -> Result<Option<UtilityAst>, SqlError> {
    let words = tokens.iter().filter(|it| !matches!(it.token, Token::Whitespace(_) | Token::EOF));
    let Some(Token::Word(first)) = words.map(|it| &it.token).next() else { return Ok(None) };
    if first.quote_style.is_some() {
        return Ok(None);
    }
    if ["select", "with", "values"].iter().any(|it| first.value.eq_ignore_ascii_case(it)) {
        let into = |token: &Token| matches!(token, Token::Word(it) if it.keyword == Keyword::INTO);
        let may_fill = tokens.iter().any(|it| into(&it.token));
        return if may_fill {
            define::select_into(&mut Cursor::new(text, tokens))
        } else {
            Ok(None)
        };
    }
    let Some(production) = production(&first.value.to_ascii_lowercase()) else { return Ok(None) };
    let mut cursor = Cursor::new(text, tokens);
    cursor.advance();
    let ast = production(&mut cursor)?;
    if !matches!(ast, UtilityAst::Unsupported(_)) {
        cursor.expect_end()?;
    }
    Ok(Some(ast))
}

/// Reads a statement whose first word has been consumed.
type Production = fn(&mut Cursor<'_>) -> Result<UtilityAst, SqlError>;

/// The production for statements that begin with `word`.
fn production(word: &str) -> Option<Production> {
    Some(match word {
        "begin" => session::begin,
        "start" => session::start_transaction,
        "commit" | "end" => session::commit,
        "rollback" | "abort" => session::rollback,
        "savepoint" => session::savepoint,
        "release" => session::release,
        "set" => session::set,
        "show" => session::show,
        "reset" => session::reset,
        "discard" => session::discard,
        "listen" => session::listen,
        "unlisten" => session::unlisten,
        "notify" => session::notify,
        "prepare" => cursors::prepare,
        "execute" => cursors::execute,
        "deallocate" => cursors::deallocate,
        "declare" => cursors::declare,
        "fetch" => cursors::fetch,
        "move" => cursors::move_cursor,
        "close" => cursors::close,
        "explain" => cursors::explain,
        "copy" => copy::copy,
        "lock" => session::lock,
        "vacuum" => maintenance::vacuum,
        "analyze" | "analyse" => maintenance::analyze,
        "reindex" => maintenance::reindex,
        "cluster" => maintenance::cluster,
        "checkpoint" => maintenance::checkpoint,
        "create" => define::create,
        "drop" => define::drop_statement,
        "alter" => alter::alter,
        "comment" => comment::comment,
        "refresh" => view::refresh,
        "do" => block::block,
        "call" => function::call,
        "grant" => role::grant,
        "revoke" => role::revoke,
        "reassign" => role::reassign,
        "security" => |_| unsupported("SECURITY LABEL"),
        "import" => |_| unsupported("IMPORT FOREIGN SCHEMA"),
        "load" => |_| unsupported("LOAD"),
        _ => return None,
    })
}

/// A statement that is recognised and refused.
#[expect(clippy::unnecessary_wraps, reason = "has the shape of a production")]
fn unsupported(what: &str) -> Result<UtilityAst, SqlError> {
    Ok(UtilityAst::Unsupported(what.to_owned()))
}
