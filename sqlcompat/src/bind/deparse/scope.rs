//! The names of a query that is written out: relations with their columns, under the names that they are shown by.

use sqlparser::ast::Ident;

use super::piece::{Form, Piece};
use super::{Deparser, fold};
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// A column that a query yields.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Name in the text; empty for one that the view does not know.
    pub(super) name: String,
    /// Name that it is shown by.
    pub(super) shown: String,
    /// Type.
    pub(super) type_oid: Oid,
    /// Type modifier.
    pub(super) typmod: i32,
    /// A literal without type, which another arm of a set operation may type.
    pub(super) unknown: bool,
}

impl Output {
    /// A column that is shown by the name that it has.
    pub(super) fn new(name: &str, type_oid: Oid, typmod: i32) -> Self {
        Self { name: name.to_owned(), shown: name.to_owned(), type_oid, typmod, unknown: false }
    }
}

/// A relation of FROM.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The name that the text gives it.
    pub(super) written: String,
    /// The name that it is shown by.
    pub(super) shown: String,
    /// Its columns.
    pub(super) columns: Vec<Output>,
    /// The type of its rows, where one can be named as a value.
    pub(super) row: Option<Oid>,
}

/// The relations of one query, and its columns in the order of `*`.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// Relations.
    pub(super) entries: Vec<Entry>,
    /// Columns; those that USING merges come once.
    pub(super) columns: Vec<(String, Piece)>,
}

impl Level {
    /// Adds what another level has.
    pub(super) fn add(&mut self, other: Level) {
        self.entries.extend(other.entries);
        self.columns.extend(other.columns);
    }

    /// A level of one relation.
    pub(super) fn of(entry: Entry) -> Self {
        let columns = entry.listed().map(|it| (it.name.clone(), entry.piece(it)));
        Self { columns: columns.collect(), entries: vec![entry] }
    }
}

impl Entry {
    /// The columns that `*` stands for.
    pub(super) fn listed(&self) -> impl Iterator<Item = &Output> {
        self.columns.iter().filter(|column| !column.name.is_empty())
    }

    /// A column of it as text.
    pub(super) fn piece(&self, column: &Output) -> Piece {
        let text = format!("{}.{}", quote_identifier(&self.shown), quote_identifier(&column.shown));
        Piece {
            text,
            type_oid: column.type_oid,
            typmod: column.typmod,
            form: Form::Column,
            names_column: true,
        }
    }
}

impl Deparser<'_> {
    /// A column by its name alone, innermost query first.
    pub(super) fn query_column(&self, name: &Ident) -> Result<Piece, SqlError> {
        let folded = fold(name);
        for level in self.levels.iter().rev() {
            if let Some((_, piece)) = level.columns.iter().find(|(it, _)| *it == folded) {
                return Ok(piece.clone());
            }
        }
        if let Some(row) = self.whole_row(&folded) {
            return Ok(row);
        }
        let message = format!("column \"{folded}\" does not exist");
        Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
    }

    /// A relation's row as a value.
    fn whole_row(&self, relation: &str) -> Option<Piece> {
        let mut entries = self.levels.iter().rev().flat_map(|level| &level.entries);
        let entry = entries.find(|entry| entry.written == relation)?;
        let text = format!("{}.*", quote_identifier(&entry.shown));
        Some(Piece {
            form: Form::WholeRow,
            names_column: true,
            ..Piece::made(text, entry.row?, &[])
        })
    }

    /// A column of a named relation.
    pub(super) fn query_column_of(
        &self,
        qualifier: &Ident,
        name: &Ident,
    ) -> Result<Piece, SqlError> {
        let (relation, column) = (fold(qualifier), fold(name));
        let mut entries = self.levels.iter().rev().flat_map(|level| &level.entries);
        let entry = entries.find(|entry| entry.written == relation);
        let found = entry.and_then(|entry| {
            entry.columns.iter().find(|it| it.name == column).map(|it| entry.piece(it))
        });
        found.ok_or_else(|| {
            let message = format!("column {relation}.{column} does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })
    }

    /// A name by which a relation may be shown: its own, or with a number where a query around it, or a relation before it,
    /// has that name.
    pub(super) fn claim(&self, name: &str, before: &[String]) -> String {
        let taken = |name: &str| {
            before.iter().chain(self.claimed.iter().flatten()).any(|taken| taken == name)
        };
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        candidates.find(|candidate| !taken(candidate)).unwrap_or_else(|| name.to_owned())
    }
}
