//! The tables of what is implemented.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::{self, Call};

/// How long a function's answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Same arguments, same answer: usable in indexes and constraints.
    Immutable,
    /// Same answer within one statement.
    Stable,
    /// Any answer any time.
    Volatile,
}

/// A scalar function.
#[derive(Clone, Copy)]
pub struct ScalarFunction {
    /// SQLite name, with `pg_`.
    pub name: &'static str,
    /// NULL in, NULL out.
    pub strict: bool,
    /// How long its answer holds.
    pub volatility: Volatility,
    /// What it does.
    pub body: fn(&Call) -> Result<Datum, SqlError>,
}

impl ScalarFunction {
    /// A strict, immutable function: the common kind.
    pub(crate) const fn strict(
        name: &'static str,
        body: fn(&Call) -> Result<Datum, SqlError>,
    ) -> Self {
        Self { name, strict: true, volatility: Volatility::Immutable, body }
    }

    /// An immutable function that sees NULLs.
    pub(crate) const fn lax(
        name: &'static str,
        body: fn(&Call) -> Result<Datum, SqlError>,
    ) -> Self {
        Self { name, strict: false, volatility: Volatility::Immutable, body }
    }

    /// Makes it stable.
    pub(crate) const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    /// Makes it volatile.
    pub(crate) const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }
}

/// The state of one aggregation.
pub trait Accumulator: Send {
    /// Takes in one row.
    ///
    /// # Errors
    /// What the aggregate's transition function would raise.
    fn step(&mut self, call: &Call) -> Result<(), SqlError>;

    /// Takes the oldest row out again, as a moving window frame does. Rows leave in the order in which they came.
    ///
    /// # Errors
    /// As [`Accumulator::step`].
    fn retract(&mut self, call: &Call) -> Result<(), SqlError>;

    /// The result over the rows that are in. May be asked more than once.
    ///
    /// # Errors
    /// What the aggregate's final function would raise.
    fn finish(&self, call: &Call) -> Result<Datum, SqlError>;
}

/// An aggregate function.
#[derive(Clone, Copy)]
pub struct AggregateFunction {
    /// SQLite name, with `pg_agg_`.
    pub name: &'static str,
    /// A state without rows.
    pub start: fn() -> Box<dyn Accumulator>,
}

/// The rows of a set-returning function, made as they are asked for.
pub type Rows = Box<dyn Iterator<Item = Result<Vec<Datum>, SqlError>> + Send>;

/// A set-returning function.
#[derive(Clone, Copy)]
pub struct SetReturningFunction {
    /// SQLite name, with `pg_srf_`.
    pub name: &'static str,
    /// Number of result columns; one is called `value`, several `c1`, `c2`, ….
    pub columns: usize,
    /// No rows for a NULL argument.
    pub strict: bool,
    /// What it does.
    pub body: fn(&Call) -> Result<Rows, SqlError>,
}

/// Every scalar function, in the order of the tables.
pub(crate) fn scalar_functions() -> impl Iterator<Item = &'static ScalarFunction> {
    functions::SCALAR_TABLES.iter().flat_map(|group| group.iter()).flat_map(|table| table.iter())
}

static SCALARS: LazyLock<BTreeMap<&'static str, &'static ScalarFunction>> =
    LazyLock::new(|| scalar_functions().map(|it| (it.name, it)).collect());
/// Every aggregate, in the order of the tables.
pub(crate) fn aggregate_functions() -> impl Iterator<Item = &'static AggregateFunction> {
    functions::AGGREGATE_TABLES.iter().flat_map(|group| group.iter()).flat_map(|table| table.iter())
}

static AGGREGATES: LazyLock<BTreeMap<&'static str, &'static AggregateFunction>> =
    LazyLock::new(|| aggregate_functions().map(|it| (it.name, it)).collect());
static SET_RETURNING: LazyLock<BTreeMap<&'static str, &'static SetReturningFunction>> =
    LazyLock::new(|| {
        functions::SET_RETURNING_TABLES
            .iter()
            .flat_map(|table| table.iter())
            .map(|it| (it.name, it))
            .collect()
    });

/// The scalar function of that SQLite name.
#[must_use]
pub fn find(name: &str) -> Option<&'static ScalarFunction> {
    SCALARS.get(name).copied()
}

/// The aggregate of that SQLite name.
#[must_use]
pub fn find_aggregate(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.get(name).copied()
}

/// The set-returning function of that SQLite name.
#[must_use]
pub fn find_set_returning(name: &str) -> Option<&'static SetReturningFunction> {
    SET_RETURNING.get(name).copied()
}

/// Whether a scalar, aggregate or set-returning function of that SQLite name will be registered.
#[must_use]
pub fn implemented(name: &str) -> bool {
    find(name).is_some() || find_aggregate(name).is_some() || find_set_returning(name).is_some()
}

/// All names that [`implemented`] knows, sorted within their kind.
pub fn implemented_names() -> impl Iterator<Item = &'static str> {
    SCALARS.keys().chain(AGGREGATES.keys()).chain(SET_RETURNING.keys()).copied()
}
