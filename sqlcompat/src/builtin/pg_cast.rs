//! Rows of `pg_cast`.

use crate::oid::Oid;

/// Where a cast may be used; each admits what the ones before it admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When a value is assigned to a column.
    Assignment,
    /// Only as `CAST` or `::`.
    Explicit,
}

/// How a cast is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastMethod {
    /// By a function.
    Function,
    /// Not at all: both types have the same representation in PostgreSQL.
    Binary,
    /// Through the text form.
    InOut,
}

/// A row of `pg_cast`.
#[derive(Debug)]
pub struct CastRow {
    /// Type that is cast. Equal to `target` for a length coercion.
    pub source: Oid,
    /// Type that it is cast to.
    pub target: Oid,
    /// The function, or 0.
    pub function: Oid,
    /// Where it may be used.
    pub context: CastContext,
    /// How it is done.
    pub method: CastMethod,
}

include!(concat!(env!("OUT_DIR"), "/casts.rs"));

/// All casts, by source and target.
#[must_use]
pub fn casts() -> &'static [CastRow] {
    &CASTS
}

/// The cast from `source` to `target`, if `pg_cast` has one.
#[must_use]
pub fn cast(source: Oid, target: Oid) -> Option<&'static CastRow> {
    let found = CASTS.binary_search_by_key(&(source, target), |row| (row.source, row.target));
    found.ok().map(|at| &CASTS[at])
}
