//! Set-returning functions as SQLite's table-valued functions.
//!
//! Each is an eponymous virtual table with its result columns followed by [`ARGUMENTS_MAX`] hidden ones; SQLite turns
//! `f(x, y)` into equality constraints on the hidden columns, and those become the call's arguments. The rowid counts the
//! rows from 1, which is what `WITH ORDINALITY` shows.

#![expect(unsafe_code, reason = "rusqlite's virtual table traits are unsafe to implement")]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;

use rusqlite::types::ValueRef;
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor,
    sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};

use super::{Output, borrow, report};
use crate::datum::{Datum, DatumRef};
use crate::functions::{Call, Rows, SessionContext, SetReturningFunction};

/// Hidden columns, that is, arguments including type OIDs.
const ARGUMENTS_MAX: usize = 12;

/// Registers one function.
pub(super) fn register(
    conn: &Connection,
    function: &'static SetReturningFunction,
    context: SessionContext,
) -> Result<()> {
    const MODULE: &Module<'static, FunctionTable> = &Module::eponymous_only_module();
    conn.create_module(function.name, MODULE, Some(Source { function, context }))
}

#[derive(Clone)]
struct Source {
    function: &'static SetReturningFunction,
    context: SessionContext,
}

#[repr(C)]
struct FunctionTable {
    /// Must be first: SQLite sees only this.
    base: sqlite3_vtab,
    source: Source,
}

/// `CREATE TABLE` text with the result columns and the hidden arguments.
fn declaration(columns: usize) -> String {
    let mut text = String::from("CREATE TABLE x(");
    if columns == 1 {
        text.push_str("value");
    } else {
        let names: Vec<String> = (1..=columns).map(|number| format!("c{number}")).collect();
        text.push_str(&names.join(","));
    }
    for number in 1..=ARGUMENTS_MAX {
        text.push_str(&format!(",a{number} HIDDEN"));
    }
    text.push(')');
    text
}

// SAFETY: `FunctionTable` is `repr(C)` with `sqlite3_vtab` as its first field, as the trait demands.
unsafe impl<'vtab> VTab<'vtab> for FunctionTable {
    type Aux = Source;
    type Cursor = FunctionCursor<'vtab>;

    fn connect(
        _: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let source = aux.cloned().ok_or_else(|| Error::ModuleError("no function".to_owned()))?;
        let sql = CString::new(declaration(source.function.columns))?;
        Ok((Cow::Owned(sql), Self { base: sqlite3_vtab::default(), source }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut found = [None; ARGUMENTS_MAX];
        for (index, constraint) in info.constraints().enumerate() {
            let column = usize::try_from(constraint.column()).unwrap_or(0);
            let Some(argument) = column.checked_sub(self.source.function.columns) else { continue };
            if constraint.operator() != IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ {
                continue;
            }
            if !constraint.is_usable() {
                return Ok(false);
            }
            if let Some(slot) = found.get_mut(argument) {
                *slot = Some(index);
            }
        }
        for (number, index) in found.iter().map_while(|it| *it).enumerate() {
            let mut usage = info.constraint_usage(index);
            usage.set_argv_index(c_int::try_from(number + 1).unwrap_or(c_int::MAX));
            usage.set_omit(true);
        }
        info.set_estimated_cost(1000.0);
        info.set_estimated_rows(100);
        Ok(true)
    }

    fn open(&'vtab mut self) -> Result<FunctionCursor<'vtab>> {
        Ok(FunctionCursor {
            base: sqlite3_vtab_cursor::default(),
            source: self.source.clone(),
            rows: Box::new(std::iter::empty()),
            row: None,
            row_number: 0,
            table: PhantomData,
        })
    }
}

#[repr(C)]
struct FunctionCursor<'vtab> {
    /// Must be first: SQLite sees only this.
    base: sqlite3_vtab_cursor,
    source: Source,
    rows: Rows,
    row: Option<Vec<Datum>>,
    row_number: i64,
    table: PhantomData<&'vtab FunctionTable>,
}

impl FunctionCursor<'_> {
    fn advance(&mut self) -> Result<()> {
        self.row = match self.rows.next() {
            None => None,
            Some(Ok(row)) => Some(row),
            Some(Err(error)) => return Err(module_error(&self.source.context, error)),
        };
        self.row_number += 1;
        Ok(())
    }
}

fn module_error(session: &SessionContext, error: crate::SqlError) -> Error {
    let message = error.message.clone();
    let _ = report(session, error);
    Error::ModuleError(message)
}

// SAFETY: `FunctionCursor` is `repr(C)` with `sqlite3_vtab_cursor` as its first field, as the trait demands.
unsafe impl VTabCursor for FunctionCursor<'_> {
    fn filter(&mut self, _: c_int, _: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let values: Vec<ValueRef<'_>> = args.iter().collect();
        let arguments: Vec<DatumRef<'_>> = values.iter().map(|value| borrow(*value)).collect();
        let call = Call { arguments: &arguments, session: &self.source.context };
        self.row_number = 0;
        self.rows = if self.source.function.strict && arguments.contains(&DatumRef::Null) {
            Box::new(std::iter::empty())
        } else {
            (self.source.function.body)(&call)
                .map_err(|error| module_error(&self.source.context, error))?
        };
        self.advance()
    }

    fn next(&mut self) -> Result<()> {
        self.advance()
    }

    fn eof(&self) -> bool {
        self.row.is_none()
    }

    fn column(&self, cx: &mut Context, index: c_int) -> Result<()> {
        let value = usize::try_from(index)
            .ok()
            .and_then(|index| self.row.as_ref()?.get(index).cloned())
            .unwrap_or(Datum::Null);
        cx.set_result(Output(value))
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.row_number)
    }
}
