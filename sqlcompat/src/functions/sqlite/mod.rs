//! Puts the function tables and collations on an SQLite connection.
//!
//! Every function is registered with any number of arguments: the binder has checked them. Immutable and stable functions
//! are deterministic for SQLite (a stable one does not change within a statement); all are innocuous, so that indexes,
//! CHECKs and generated columns may use them.

mod collations;
mod table_valued;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::{
    self, Accumulator, AggregateFunction, Call, ScalarFunction, SessionContext, Volatility,
};

pub use collations::{register_enum, register_enums};

/// Most arguments that are passed without an allocation.
const ARGUMENTS_INLINE: usize = 8;

/// Registers all functions, aggregates, set-returning functions and collations.
///
/// # Errors
/// What SQLite answers, if it is out of memory.
pub fn register(conn: &Connection, context: &SessionContext) -> rusqlite::Result<()> {
    for function in functions::scalar_functions() {
        register_scalar(conn, function, context.clone())?;
    }
    for function in functions::aggregate_functions() {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
        let adapter = AggregateAdapter { function, distinct: false, context: context.clone() };
        conn.create_window_function(function.name, -1, flags, adapter)?;
        if functions::sorts_distinct(function.name) {
            let name = format!("{}{}", function.name, functions::DISTINCT_SUFFIX);
            let adapter = AggregateAdapter { function, distinct: true, context: context.clone() };
            conn.create_window_function(name.as_str(), -1, flags, adapter)?;
        }
    }
    register_once(conn, context.clone())?;
    for function in functions::SET_RETURNING_TABLES.iter().flat_map(|table| table.iter()) {
        table_valued::register(conn, function, context.clone())?;
    }
    collations::register(conn)
}

/// Registers `trellis_once('', value, key, …)`: the value; 21000 if the statement has asked with the same keys before.
fn register_once(conn: &Connection, context: SessionContext) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("trellis_once", -1, flags, move |cx| {
        // SQLite keeps what belongs to a constant argument for as long as the statement runs.
        let seen =
            cx.get_or_create_aux(0, |_| Ok::<_, rusqlite::Error>(Mutex::new(BTreeSet::new())))?;
        with_call(cx, &context, |call| {
            let keys = call.skip(2);
            if !keys.arguments.contains(&DatumRef::Null) {
                note_once(&seen, format!("{:?}", keys.arguments))?;
            }
            Ok(call.datum(1).to_datum())
        })
        .map(Output)
    })
}

/// Adds a key to those of the statement, where it may not be yet.
fn note_once(seen: &Mutex<BTreeSet<String>>, key: String) -> Result<(), SqlError> {
    if seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key) {
        return Ok(());
    }
    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message).with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    ))
}

fn register_scalar(
    conn: &Connection,
    function: &'static ScalarFunction,
    context: SessionContext,
) -> rusqlite::Result<()> {
    let mut flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    if function.volatility != Volatility::Volatile {
        flags |= FunctionFlags::SQLITE_DETERMINISTIC;
    }
    conn.create_scalar_function(function.name, -1, flags, move |cx| {
        with_call(cx, &context, |call| {
            if function.strict && call.arguments.contains(&DatumRef::Null) {
                return Ok(Datum::Null);
            }
            match (function.body)(call) {
                Err(_) if context.is_forgiving() => Ok(Datum::Null),
                result => result,
            }
        })
        .map(Output)
    })
}

/// Borrows SQLite's arguments as a [`Call`] and reports an error through the session.
fn with_call<T>(
    cx: &Context<'_>,
    session: &SessionContext,
    work: impl FnOnce(&Call) -> Result<T, SqlError>,
) -> rusqlite::Result<T> {
    let mut inline = [DatumRef::Null; ARGUMENTS_INLINE];
    let mut spilled = Vec::new();
    let arguments = if cx.len() <= ARGUMENTS_INLINE {
        for (index, slot) in inline.iter_mut().enumerate().take(cx.len()) {
            *slot = borrow(cx.get_raw(index));
        }
        inline.get(..cx.len()).unwrap_or(&[])
    } else {
        spilled.extend((0..cx.len()).map(|index| borrow(cx.get_raw(index))));
        spilled.as_slice()
    };
    work(&Call { arguments, session }).map_err(|error| report(session, error))
}

/// Leaves the error with the session and makes what SQLite carries.
fn report(session: &SessionContext, error: SqlError) -> rusqlite::Error {
    session.fail(error.clone());
    rusqlite::Error::UserFunctionError(Box::new(error))
}

/// Reads an SQLite value; text that is not UTF-8 reads as NULL, which no writer of ours stores.
fn borrow(value: ValueRef<'_>) -> DatumRef<'_> {
    match value {
        ValueRef::Null => DatumRef::Null,
        ValueRef::Integer(value) => DatumRef::Integer(value),
        ValueRef::Real(value) => DatumRef::Real(value),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(DatumRef::Null, DatumRef::Text),
        ValueRef::Blob(bytes) => DatumRef::Blob(bytes),
    }
}

/// A datum on its way to SQLite.
struct Output(Datum);

impl rusqlite::ToSql for Output {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0.as_ref() {
            DatumRef::Null => ToSqlOutput::Owned(Value::Null),
            DatumRef::Integer(value) => ToSqlOutput::Owned(Value::Integer(value)),
            DatumRef::Real(value) => ToSqlOutput::Owned(Value::Real(value)),
            DatumRef::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            DatumRef::Blob(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        })
    }
}

/// Runs an [`AggregateFunction`] as SQLite's aggregate and window function.
struct AggregateAdapter {
    function: &'static AggregateFunction,
    /// Equal arguments in a row count once.
    distinct: bool,
    context: SessionContext,
}

/// `DISTINCT` over sorted input: what equals its predecessor is passed over.
struct Distinct {
    inner: Box<dyn Accumulator>,
    last: Option<Vec<Datum>>,
}

impl Accumulator for Distinct {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        let arguments: Vec<Datum> = call.arguments.iter().map(|it| it.to_datum()).collect();
        if self.last.as_ref() == Some(&arguments) {
            return Ok(());
        }
        self.last = Some(arguments);
        self.inner.step(call)
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        self.inner.retract(call)
    }

    fn finish(&self, call: &Call) -> Result<Datum, SqlError> {
        self.inner.finish(call)
    }
}

type State = AssertUnwindSafe<Box<dyn Accumulator>>;

impl AggregateAdapter {
    fn start(&self) -> Box<dyn Accumulator> {
        let inner = (self.function.start)();
        if self.distinct { Box::new(Distinct { inner, last: None }) } else { inner }
    }

    fn finish(&self, state: &dyn Accumulator) -> rusqlite::Result<Output> {
        let call = Call { arguments: &[], session: &self.context };
        state.finish(&call).map(Output).map_err(|error| report(&self.context, error))
    }
}

impl Aggregate<State, Output> for AggregateAdapter {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<State> {
        Ok(AssertUnwindSafe(self.start()))
    }

    fn step(&self, cx: &mut Context<'_>, state: &mut State) -> rusqlite::Result<()> {
        with_call(cx, &self.context, |call| state.step(call))
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<State>) -> rusqlite::Result<Output> {
        match state {
            Some(state) => self.finish(state.as_ref()),
            None => self.finish(self.start().as_ref()),
        }
    }
}

impl WindowAggregate<State, Output> for AggregateAdapter {
    fn value(&self, state: Option<&mut State>) -> rusqlite::Result<Output> {
        match state {
            Some(state) => self.finish(state.as_ref()),
            None => self.finish(self.start().as_ref()),
        }
    }

    fn inverse(&self, cx: &mut Context<'_>, state: &mut State) -> rusqlite::Result<()> {
        with_call(cx, &self.context, |call| state.retract(call))
    }
}
