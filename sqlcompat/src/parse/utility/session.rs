//! Transactions, settings, notifications, locks and maintenance.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::{UtilityAst, unsupported};
use crate::error::SqlError;
use crate::plan::{DiscardTarget, IsolationLevel, SessionStatement, TransactionModes};

type Parsed = Result<UtilityAst, SqlError>;

/// Wraps a statement that needs no binding.
fn session(statement: SessionStatement) -> Parsed {
    Ok(UtilityAst::Session(statement))
}

/// `BEGIN [WORK | TRANSACTION] [modes]`.
pub(super) fn begin(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.one_of(&["work", "transaction"]);
    session(SessionStatement::Begin { modes: transaction_modes(cursor)?, tag: "BEGIN" })
}

/// `START TRANSACTION [modes]`.
pub(super) fn start_transaction(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.expect_words("transaction")?;
    let modes = transaction_modes(cursor)?;
    session(SessionStatement::Begin { modes, tag: "START TRANSACTION" })
}

/// Modes, with or without commas between them.
fn transaction_modes(cursor: &mut Cursor<'_>) -> Result<TransactionModes, SqlError> {
    let mut modes = TransactionModes::default();
    let mut first = true;
    while !cursor.at_end() {
        if !first {
            cursor.symbol(&Token::Comma);
        }
        first = false;
        if cursor.words("isolation level") {
            modes.isolation = Some(isolation_level(cursor)?);
        } else if cursor.words("read only") {
            modes.read_only = Some(true);
        } else if cursor.words("read write") {
            modes.read_only = Some(false);
        } else if cursor.word("deferrable") {
            modes.deferrable = Some(true);
        } else if cursor.words("not deferrable") {
            modes.deferrable = Some(false);
        } else {
            return Err(cursor.syntax_error());
        }
    }
    Ok(modes)
}

fn isolation_level(cursor: &mut Cursor<'_>) -> Result<IsolationLevel, SqlError> {
    let levels = ["read uncommitted", "read committed", "repeatable read", "serializable"];
    match cursor.one_of(&levels) {
        Some(0) => Ok(IsolationLevel::ReadUncommitted),
        Some(1) => Ok(IsolationLevel::ReadCommitted),
        Some(2) => Ok(IsolationLevel::RepeatableRead),
        Some(_) => Ok(IsolationLevel::Serializable),
        None => Err(cursor.syntax_error()),
    }
}

/// `AND [NO] CHAIN`.
fn chain(cursor: &mut Cursor<'_>) -> Result<bool, SqlError> {
    if !cursor.word("and") {
        return Ok(false);
    }
    let no = cursor.word("no");
    cursor.expect_words("chain")?;
    Ok(!no)
}

/// `COMMIT`, `END`.
pub(super) fn commit(cursor: &mut Cursor<'_>) -> Parsed {
    if cursor.word("prepared") {
        return unsupported("COMMIT PREPARED");
    }
    cursor.one_of(&["work", "transaction"]);
    session(SessionStatement::Commit { chain: chain(cursor)? })
}

/// `ROLLBACK`, `ABORT`, `ROLLBACK TO SAVEPOINT`.
pub(super) fn rollback(cursor: &mut Cursor<'_>) -> Parsed {
    if cursor.word("prepared") {
        return unsupported("ROLLBACK PREPARED");
    }
    cursor.one_of(&["work", "transaction"]);
    if cursor.word("to") {
        cursor.word("savepoint");
        return session(SessionStatement::RollbackTo(cursor.name()?));
    }
    session(SessionStatement::Rollback { chain: chain(cursor)? })
}

/// `SAVEPOINT name`.
pub(super) fn savepoint(cursor: &mut Cursor<'_>) -> Parsed {
    session(SessionStatement::Savepoint(cursor.name()?))
}

/// `RELEASE [SAVEPOINT] name`.
pub(super) fn release(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.word("savepoint");
    session(SessionStatement::Release(cursor.name()?))
}

/// `SET` in all its forms.
pub(super) fn set(cursor: &mut Cursor<'_>) -> Parsed {
    if cursor.word("constraints") {
        return set_constraints(cursor);
    }
    if cursor.words("session characteristics as transaction") {
        let modes = transaction_modes(cursor)?;
        return session(SessionStatement::SetSessionCharacteristics(modes));
    }
    let local = match cursor.one_of(&["local", "session"]) {
        Some(scope) => scope == 0,
        None => false,
    };
    if cursor.word("transaction") {
        if cursor.word("snapshot") {
            return unsupported("SET TRANSACTION SNAPSHOT");
        }
        return session(SessionStatement::SetTransaction(transaction_modes(cursor)?));
    }
    let (name, value) = setting(cursor)?;
    session(SessionStatement::Set { name, value, local })
}

/// Name and value of a setting, after `SET [SESSION | LOCAL]`; also the special spellings of some.
pub(super) fn setting(cursor: &mut Cursor<'_>) -> Result<(String, Option<Vec<String>>), SqlError> {
    if cursor.words("time zone") {
        let value = time_zone(cursor)?;
        return Ok(("timezone".to_owned(), value.map(|it| vec![it])));
    }
    let special = [
        ("names", "client_encoding"),
        ("schema", "search_path"),
        ("authorization", "session_authorization"),
        ("role", "role"),
    ];
    for (word, name) in special {
        let mark = cursor.mark();
        if !cursor.word(word) {
            continue;
        }
        if cursor.is_symbol(&Token::Eq) || cursor.is_word("to") {
            cursor.return_to(mark);
            break;
        }
        let value = if cursor.at_end() || cursor.word("default") {
            None
        } else {
            Some(vec![setting_value(cursor)?])
        };
        return Ok((name.to_owned(), value));
    }
    let name = setting_name(cursor)?;
    if !cursor.symbol(&Token::Eq) {
        cursor.expect_words("to")?;
    }
    if cursor.word("default") {
        return Ok((name, None));
    }
    Ok((name, Some(cursor.comma_list(setting_value)?)))
}

/// A possibly dotted setting name, in lower case.
fn setting_name(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    let mut name = cursor.identifier()?;
    while cursor.symbol(&Token::Period) {
        name = format!("{name}.{}", cursor.identifier()?);
    }
    Ok(name.to_lowercase())
}

/// One value of a setting, as text.
fn setting_value(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    match cursor.peek() {
        Some(Token::Word(_)) => cursor.identifier(),
        Some(Token::Minus | Token::Plus | Token::Number(..)) => number(cursor),
        _ => cursor.string(),
    }
}

/// A number with its sign, as text.
fn number(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    let sign = if cursor.symbol(&Token::Minus) { "-" } else { "" };
    cursor.symbol(&Token::Plus);
    let Some(Token::Number(digits, _)) = cursor.peek() else { return Err(cursor.syntax_error()) };
    cursor.advance();
    Ok(format!("{sign}{digits}"))
}

/// The value of `SET TIME ZONE`; an interval is kept as PostgreSQL keeps it, `INTERVAL '…'`.
fn time_zone(cursor: &mut Cursor<'_>) -> Result<Option<String>, SqlError> {
    if cursor.one_of(&["local", "default"]).is_some() {
        return Ok(None);
    }
    if !cursor.word("interval") {
        return setting_value(cursor).map(Some);
    }
    let interval = cursor.string()?;
    if cursor.word("hour") && cursor.word("to") {
        cursor.expect_words("minute")?;
    }
    Ok(Some(format!("INTERVAL '{interval}'")))
}

fn set_constraints(cursor: &mut Cursor<'_>) -> Parsed {
    let names =
        if cursor.word("all") { Vec::new() } else { cursor.comma_list(Cursor::object_name)? };
    match cursor.one_of(&["deferred", "immediate"]) {
        Some(mode) => Ok(UtilityAst::SetConstraints { names, deferred: mode == 0 }),
        None => Err(cursor.syntax_error()),
    }
}

/// The setting that `SHOW` or `RESET` names; `None` for `ALL`.
pub(super) fn shown_setting(cursor: &mut Cursor<'_>) -> Result<Option<String>, SqlError> {
    let special = ["all", "time zone", "transaction isolation level", "session authorization"];
    match cursor.one_of(&special) {
        Some(0) => Ok(None),
        Some(1) => Ok(Some("timezone".to_owned())),
        Some(2) => Ok(Some("transaction_isolation".to_owned())),
        Some(_) => Ok(Some("session_authorization".to_owned())),
        None => setting_name(cursor).map(Some),
    }
}

/// `SHOW name | ALL`.
pub(super) fn show(cursor: &mut Cursor<'_>) -> Parsed {
    session(SessionStatement::Show(shown_setting(cursor)?))
}

/// `RESET name | ALL`.
pub(super) fn reset(cursor: &mut Cursor<'_>) -> Parsed {
    session(SessionStatement::Reset(shown_setting(cursor)?))
}

/// `DISCARD`.
pub(super) fn discard(cursor: &mut Cursor<'_>) -> Parsed {
    let target = match cursor.one_of(&["all", "plans", "sequences", "temporary", "temp"]) {
        Some(0) => DiscardTarget::All,
        Some(1) => DiscardTarget::Plans,
        Some(2) => DiscardTarget::Sequences,
        Some(_) => DiscardTarget::Temporary,
        None => return Err(cursor.syntax_error()),
    };
    session(SessionStatement::Discard(target))
}

/// `LISTEN channel`.
pub(super) fn listen(cursor: &mut Cursor<'_>) -> Parsed {
    session(SessionStatement::Listen(cursor.name()?))
}

/// `UNLISTEN channel | *`.
pub(super) fn unlisten(cursor: &mut Cursor<'_>) -> Parsed {
    let channel = if cursor.symbol(&Token::Mul) { None } else { Some(cursor.name()?) };
    session(SessionStatement::Unlisten(channel))
}

/// `NOTIFY channel [, payload]`.
pub(super) fn notify(cursor: &mut Cursor<'_>) -> Parsed {
    let channel = cursor.name()?;
    let payload = if cursor.symbol(&Token::Comma) { cursor.string()? } else { String::new() };
    session(SessionStatement::Notify { channel, payload })
}

/// `LOCK [TABLE] names [IN mode MODE] [NOWAIT]`.
pub(super) fn lock(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.word("table");
    let tables = cursor.comma_list(|cursor| {
        cursor.word("only");
        let name = cursor.object_name()?;
        cursor.symbol(&Token::Mul);
        Ok(name)
    })?;
    let exclusive = if cursor.word("in") {
        let modes = [
            "access share",
            "row share",
            "row exclusive",
            "share update exclusive",
            "share row exclusive",
            "share",
            "exclusive",
            "access exclusive",
        ];
        let Some(mode) = cursor.one_of(&modes) else { return Err(cursor.syntax_error()) };
        cursor.expect_words("mode")?;
        mode >= 4
    } else {
        true
    };
    let nowait = cursor.word("nowait");
    Ok(UtilityAst::Lock { tables, exclusive, nowait })
}
