//! `VACUUM`, `ANALYZE`, `REINDEX`, `CLUSTER`, `CHECKPOINT`.
//!
//! SQLite reuses freed pages by itself and keeps rows in key order, so little of this has anything to do; but options,
//! names and the places where it may stand are checked as PostgreSQL checks them.
//!
//! Source: PostgreSQL 15 manual, `sql-vacuum`, `sql-analyze`, `sql-reindex`, `sql-cluster`; `vacuum.c` `ExecVacuum`.

use sqlparser::tokenizer::Token;

use super::UtilityAst;
use super::ast::{AlterTable, AlterTableAction, DdlStatement, DropKind, ObjectName};
use super::cursor::Cursor;
use crate::error::{SqlError, SqlState};

type Parsed = Result<UtilityAst, SqlError>;

/// A command that looks after what is there.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// Which.
    pub command: MaintenanceCommand,
    /// Relations with the columns that are named of them.
    pub targets: Vec<(ObjectName, Vec<String>)>,
    /// What may not stand in a transaction block, if this may not.
    pub alone: Option<&'static str>,
}

/// What a [`Maintenance`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaintenanceCommand {
    /// `VACUUM`, analyzing or not.
    Vacuum,
    /// `ANALYZE`.
    Analyze,
    /// `REINDEX INDEX`.
    ReindexIndex,
    /// `REINDEX TABLE`.
    ReindexTable,
    /// `REINDEX SCHEMA`.
    ReindexSchema(String),
    /// `REINDEX DATABASE | SYSTEM`.
    ReindexDatabase(String),
    /// `CLUSTER`, by the index that is known already.
    Cluster,
    /// `CHECKPOINT`.
    Checkpoint,
}

/// An option in parentheses: `name [value]`.
struct Choice {
    name: String,
    value: Option<String>,
    position: Option<u32>,
}

impl Choice {
    /// The option as a Boolean.
    fn flag(&self) -> Result<bool, SqlError> {
        match self.value.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("true" | "on" | "1") => Ok(true),
            Some("false" | "off" | "0") => Ok(false),
            Some(_) => {
                let message = format!("{} requires a Boolean value", self.name);
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
            }
        }
    }

    fn unrecognized(&self, command: &str) -> SqlError {
        let message = format!("unrecognized {command} option \"{}\"", self.name);
        SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.position)
    }
}

/// `(name [value], …)`, if there is a list.
fn choices(cursor: &mut Cursor<'_>) -> Result<Vec<Choice>, SqlError> {
    if !cursor.is_symbol(&Token::LParen) {
        return Ok(Vec::new());
    }
    cursor.parenthesized(|cursor| {
        let position = cursor.position();
        let name = cursor.identifier()?;
        let value = match cursor.peek() {
            Some(Token::Comma | Token::RParen) | None => None,
            Some(Token::Word(_)) => Some(cursor.identifier()?),
            Some(Token::Number(..) | Token::Minus | Token::Plus) => {
                Some(cursor.integer()?.to_string())
            }
            Some(_) => Some(cursor.string()?),
        };
        Ok(Choice { name, value, position })
    })
}

/// Relations with optional columns, if there are any.
fn targets(cursor: &mut Cursor<'_>) -> Result<Vec<(ObjectName, Vec<String>)>, SqlError> {
    if cursor.at_end() {
        return Ok(Vec::new());
    }
    cursor.comma_list(|cursor| Ok((cursor.object_name()?, cursor.optional_names()?)))
}

fn unsupported(message: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// What `VACUUM` was told.
#[derive(Default)]
struct VacuumOptions {
    full: bool,
    analyze: bool,
    disable_page_skipping: bool,
    skip_toast: bool,
    workers: Option<i64>,
}

impl VacuumOptions {
    fn take(&mut self, choice: &Choice) -> Result<(), SqlError> {
        match choice.name.as_str() {
            "full" => self.full = choice.flag()?,
            "analyze" | "analyse" => self.analyze = choice.flag()?,
            "disable_page_skipping" => self.disable_page_skipping = choice.flag()?,
            "process_toast" => self.skip_toast = !choice.flag()?,
            "verbose" | "skip_locked" | "freeze" | "truncate" => drop(choice.flag()?),
            "index_cleanup" if choice.value.as_deref() == Some("auto") => {}
            "index_cleanup" => drop(choice.flag()?),
            "parallel" => self.workers = Some(workers(choice)?),
            _ => return Err(choice.unrecognized("VACUUM")),
        }
        Ok(())
    }

    /// Refuses what does not go together.
    fn check(&self, columns: bool) -> Result<(), SqlError> {
        if columns && !self.analyze {
            return Err(unsupported(
                "ANALYZE option must be specified when a column list is provided",
            ));
        }
        if !self.full {
            return Ok(());
        }
        if self.workers.is_some_and(|workers| workers > 0) {
            return Err(unsupported("VACUUM FULL cannot be performed in parallel"));
        }
        if self.disable_page_skipping {
            return Err(unsupported(
                "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL",
            ));
        }
        if self.skip_toast {
            return Err(unsupported("PROCESS_TOAST required with VACUUM FULL"));
        }
        Ok(())
    }
}

/// The number of `PARALLEL`.
fn workers(choice: &Choice) -> Result<i64, SqlError> {
    let refused =
        |message: &str| Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(choice.position));
    let Some(value) = &choice.value else {
        return refused("parallel option requires a value between 0 and 1024");
    };
    let Ok(workers) = value.parse::<i64>() else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "parallel requires an integer value"));
    };
    if !(0..=1024).contains(&workers) {
        return refused("parallel workers for vacuum must be between 0 and 1024");
    }
    Ok(workers)
}

/// `VACUUM [(options) | [FULL] [FREEZE] [VERBOSE] [ANALYZE]] [tables]`.
pub(super) fn vacuum(cursor: &mut Cursor<'_>) -> Parsed {
    let mut options = VacuumOptions::default();
    if cursor.is_symbol(&Token::LParen) {
        choices(cursor)?.iter().try_for_each(|choice| options.take(choice))?;
    } else {
        options.full = cursor.word("full");
        cursor.word("freeze");
        cursor.word("verbose");
        options.analyze = cursor.one_of(&["analyze", "analyse"]).is_some();
    }
    let targets = targets(cursor)?;
    options.check(targets.iter().any(|(_, columns)| !columns.is_empty()))?;
    let command = MaintenanceCommand::Vacuum;
    Ok(UtilityAst::Maintenance(Maintenance { command, targets, alone: Some("VACUUM") }))
}

/// `ANALYZE [(options) | VERBOSE] [tables]`.
pub(super) fn analyze(cursor: &mut Cursor<'_>) -> Parsed {
    for choice in choices(cursor)? {
        match choice.name.as_str() {
            "verbose" | "skip_locked" => drop(choice.flag()?),
            _ => return Err(choice.unrecognized("ANALYZE")),
        }
    }
    cursor.word("verbose");
    let targets = targets(cursor)?;
    let command = MaintenanceCommand::Analyze;
    Ok(UtilityAst::Maintenance(Maintenance { command, targets, alone: None }))
}

/// `REINDEX [(options)] kind [CONCURRENTLY] name`.
pub(super) fn reindex(cursor: &mut Cursor<'_>) -> Parsed {
    let mut concurrently = false;
    for choice in choices(cursor)? {
        match choice.name.as_str() {
            "verbose" => drop(choice.flag()?),
            "concurrently" => concurrently = choice.flag()?,
            "tablespace" if choice.value.as_deref() == Some("pg_default") => {}
            "tablespace" => {
                let name = choice.value.as_deref().unwrap_or_default();
                let message = format!("tablespace \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
            _ => return Err(choice.unrecognized("REINDEX")),
        }
    }
    let Some(kind) = cursor.one_of(&["index", "table", "schema", "system", "database"]) else {
        return Err(cursor.syntax_error());
    };
    concurrently |= cursor.word("concurrently");
    let (command, targets, alone) = match kind {
        0 | 1 => {
            let command = match kind {
                0 => MaintenanceCommand::ReindexIndex,
                _ => MaintenanceCommand::ReindexTable,
            };
            (command, vec![(cursor.object_name()?, Vec::new())], None)
        }
        2 => {
            (MaintenanceCommand::ReindexSchema(cursor.name()?), Vec::new(), Some("REINDEX SCHEMA"))
        }
        3 if concurrently => {
            return Err(unsupported("cannot reindex system catalogs concurrently"));
        }
        _ => {
            let what = if kind == 3 { "REINDEX SYSTEM" } else { "REINDEX DATABASE" };
            (MaintenanceCommand::ReindexDatabase(cursor.name()?), Vec::new(), Some(what))
        }
    };
    let alone = if concurrently { Some("REINDEX CONCURRENTLY") } else { alone };
    Ok(UtilityAst::Maintenance(Maintenance { command, targets, alone }))
}

/// `CLUSTER [(VERBOSE) | VERBOSE] [table [USING index] | index ON table]`.
pub(super) fn cluster(cursor: &mut Cursor<'_>) -> Parsed {
    for choice in choices(cursor)? {
        match choice.name.as_str() {
            "verbose" => drop(choice.flag()?),
            _ => return Err(choice.unrecognized("CLUSTER")),
        }
    }
    cursor.word("verbose");
    if cursor.at_end() {
        let (command, alone) = (MaintenanceCommand::Cluster, Some("CLUSTER"));
        return Ok(UtilityAst::Maintenance(Maintenance { command, targets: Vec::new(), alone }));
    }
    let name = cursor.object_name()?;
    let (table, index) = match cursor.one_of(&["on", "using"]) {
        Some(0) => (cursor.object_name()?, Some(name.name)),
        Some(_) => (name, Some(cursor.name()?)),
        None => (name, None),
    };
    if let Some(index) = index {
        // The table remembers its index.
        let actions = vec![AlterTableAction::ClusterOn(index)];
        let alter = AlterTable { kind: DropKind::Table, name: table, if_exists: false, actions };
        return Ok(UtilityAst::Ddl(Box::new(DdlStatement::Cluster(alter))));
    }
    let (command, targets) = (MaintenanceCommand::Cluster, vec![(table, Vec::new())]);
    Ok(UtilityAst::Maintenance(Maintenance { command, targets, alone: None }))
}

/// `CHECKPOINT`: the server's own, so there is no statement to run.
pub(super) fn checkpoint(_: &mut Cursor<'_>) -> Parsed {
    let command = MaintenanceCommand::Checkpoint;
    Ok(UtilityAst::Maintenance(Maintenance { command, targets: Vec::new(), alone: None }))
}
