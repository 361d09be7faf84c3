//! A connection that its open statements keep alive, so that a portal can own the statement it reads from.
//!
//! rusqlite's statements borrow their connection, which a session cannot express: it owns the connection and, beside it,
//! any number of half-read results. [`SharedConnection`] is a counted handle; a [`Statement`] holds one and SQLite's own
//! statement handle.
//!
//! # Safety
//! * A [`Statement`] owns a clone of the handle and finalizes itself before that clone is dropped, so SQLite's connection
//!   outlives SQLite's statement.
//! * Nothing hands out the [`StoreConnection`] mutably, so it cannot be swapped for another under its statements.
//! * `Rc` keeps connection and statements on one thread.
//! * A column's bytes are valid until the statement is stepped, reset or dropped, each of which needs `&mut` or ownership
//!   while the borrow of the column needs `&`.
//!
//! Source: SQLite documentation, `c3ref/stmt.html`, `c3ref/column_blob.html`.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uchar};
use std::ptr::NonNull;
use std::rc::Rc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ffi};

use crate::store::{
    Pending, Result, ResumeError, SetAside, StoreConnection, TableSpec, WriteLease,
};

/// The encoding of bound text, in the type that SQLite's interface takes it in.
#[expect(clippy::cast_possible_truncation, reason = "the constant is 1")]
const UTF8: c_uchar = ffi::SQLITE_UTF8 as c_uchar;

/// Why SQLite refused something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StatementError {
    /// Extended result code.
    pub code: i32,
    /// SQLite's message.
    pub message: String,
}

/// A counted handle to a connection.
#[derive(Clone)]
pub struct SharedConnection(Rc<RefCell<StoreConnection>>);

impl SharedConnection {
    /// Wraps a connection.
    #[must_use]
    pub fn new(connection: StoreConnection) -> Self {
        Self(Rc::new(RefCell::new(connection)))
    }

    /// Runs `work` with the SQLite connection.
    pub fn with<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(self.0.borrow().sqlite())
    }

    /// Runs `work` with the store's connection, which `work` may use but not replace.
    ///
    /// # Errors
    /// Whatever `work` returns.
    pub fn with_store<T, E>(
        &self,
        work: impl FnOnce(StoreAccess<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        work(StoreAccess(&mut self.0.borrow_mut()))
    }

    /// Prepares the first statement of `sql`.
    ///
    /// # Errors
    /// What SQLite says; also if there is no statement in it, or text after it.
    pub fn prepare(&self, sql: &str) -> Result<Statement, StatementError> {
        let connection = self.0.borrow();
        // SAFETY: the handle is used while `connection` borrows it.
        let db = unsafe { connection.sqlite().handle() };
        let length = c_int::try_from(sql.len()).map_err(|_too_long| StatementError {
            code: ffi::SQLITE_TOOBIG,
            message: "statement too long".to_owned(),
        })?;
        let mut raw = std::ptr::null_mut();
        let mut tail: *const c_char = std::ptr::null();
        let flags = ffi::SQLITE_PREPARE_PERSISTENT;
        // SAFETY: `sql` is valid for `length` bytes, and the out pointers are valid.
        let code = unsafe {
            ffi::sqlite3_prepare_v3(
                db,
                sql.as_ptr().cast(),
                length,
                flags,
                &raw mut raw,
                &raw mut tail,
            )
        };
        if code != ffi::SQLITE_OK {
            return Err(last_error(connection.sqlite(), code));
        }
        let Some(raw) = NonNull::new(raw) else {
            let message = "empty statement".to_owned();
            return Err(StatementError { code: ffi::SQLITE_MISUSE, message });
        };
        // SAFETY: a successful prepare has produced the statement.
        let columns = unsafe { ffi::sqlite3_column_count(raw.as_ptr()) };
        drop(connection);
        Ok(Statement { raw, columns, connection: self.clone() })
    }
}

/// The store's operations on a shared connection.
pub struct StoreAccess<'a>(&'a mut StoreConnection);

impl StoreAccess<'_> {
    /// As [`StoreConnection::begin`].
    ///
    /// # Errors
    /// As there.
    pub fn begin(&mut self, lease: WriteLease) -> Result<()> {
        self.0.begin(lease)
    }

    /// As [`StoreConnection::commit`].
    ///
    /// # Errors
    /// As there.
    pub fn commit(&mut self) -> Result<Option<Pending>> {
        self.0.commit()
    }

    /// As [`StoreConnection::rollback`].
    pub fn rollback(&mut self) {
        self.0.rollback();
    }

    /// As [`StoreConnection::set_aside`].
    ///
    /// # Errors
    /// As there.
    pub fn set_aside(&mut self, savepoints: &[String]) -> Result<Option<SetAside>> {
        self.0.set_aside(savepoints)
    }

    /// As [`StoreConnection::resume`].
    ///
    /// # Errors
    /// As there.
    pub fn resume(
        &mut self,
        lease: WriteLease,
        aside: &SetAside,
        savepoints: &[String],
    ) -> Result<(), ResumeError> {
        self.0.resume(lease, aside, savepoints)
    }

    /// As [`StoreConnection::is_newest`].
    #[must_use]
    pub fn is_newest(&self, aside: &SetAside) -> bool {
        self.0.is_newest(aside)
    }

    /// As [`StoreConnection::in_write`].
    #[must_use]
    pub fn in_write(&self) -> bool {
        self.0.in_write()
    }

    /// As [`StoreConnection::set_tag`].
    pub fn set_tag(&mut self, tag: u32) {
        self.0.set_tag(tag);
    }

    /// As [`StoreConnection::notify`].
    ///
    /// # Errors
    /// As there.
    pub fn notify(&mut self, message: crate::types::Message) -> Result<()> {
        self.0.notify(message)
    }

    /// As [`StoreConnection::register_table`].
    ///
    /// # Errors
    /// As there.
    pub fn register_table(&mut self, spec: &TableSpec) -> Result<()> {
        self.0.register_table(spec)
    }

    /// As [`StoreConnection::retire_columns`].
    ///
    /// # Errors
    /// As there.
    pub fn retire_columns(
        &mut self,
        table: crate::types::TableId,
        columns: &[crate::types::ColumnId],
    ) -> Result<()> {
        self.0.retire_columns(table, columns)
    }

    /// As [`StoreConnection::unregister_table`].
    ///
    /// # Errors
    /// As there.
    pub fn unregister_table(&mut self, table: crate::types::TableId) -> Result<()> {
        self.0.unregister_table(table)
    }
}

/// A prepared statement, stepped by its owner.
pub struct Statement {
    raw: NonNull<ffi::sqlite3_stmt>,
    columns: c_int,
    // Dropped after `Drop::drop` has finalized the statement.
    connection: SharedConnection,
}

impl Statement {
    /// Number of result columns.
    #[must_use]
    pub fn column_count(&self) -> usize {
        usize::try_from(self.columns).unwrap_or(0)
    }

    /// Number of the largest parameter.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        // SAFETY: the statement is not finalized before drop.
        let count = unsafe { ffi::sqlite3_bind_parameter_count(self.raw.as_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Whether it makes no direct changes to the database.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        // SAFETY: the statement is not finalized before drop.
        unsafe { ffi::sqlite3_stmt_readonly(self.raw.as_ptr()) != 0 }
    }

    /// Binds parameter `number`, from 1. The value is copied.
    ///
    /// # Errors
    /// If there is no such parameter, or the statement has been stepped and not reset.
    pub fn bind(&mut self, number: usize, value: ValueRef<'_>) -> Result<(), StatementError> {
        let raw = self.raw.as_ptr();
        let number = c_int::try_from(number).unwrap_or(c_int::MAX);
        // SAFETY: the statement is not finalized before drop; SQLITE_TRANSIENT makes SQLite copy the bytes before it
        // returns, and their lengths are those of the slices.
        let code = unsafe {
            match value {
                ValueRef::Null => ffi::sqlite3_bind_null(raw, number),
                ValueRef::Integer(integer) => ffi::sqlite3_bind_int64(raw, number, integer),
                ValueRef::Real(real) => ffi::sqlite3_bind_double(raw, number, real),
                ValueRef::Text(text) => ffi::sqlite3_bind_text64(
                    raw,
                    number,
                    pointer_of(text).cast(),
                    text.len() as u64,
                    ffi::SQLITE_TRANSIENT(),
                    UTF8,
                ),
                ValueRef::Blob(blob) => ffi::sqlite3_bind_blob64(
                    raw,
                    number,
                    pointer_of(blob).cast(),
                    blob.len() as u64,
                    ffi::SQLITE_TRANSIENT(),
                ),
            }
        };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(self.error(code)) }
    }

    /// Steps to the next row; `false` at the end.
    ///
    /// # Errors
    /// What SQLite says. The statement is then to be reset.
    pub fn step(&mut self) -> Result<bool, StatementError> {
        // SAFETY: the statement is not finalized before drop.
        match unsafe { ffi::sqlite3_step(self.raw.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => Err(self.error(code)),
        }
    }

    /// A column of the row stepped to; NULL out of range. Text is as stored, which need not be UTF-8.
    #[must_use]
    pub fn column(&self, index: usize) -> ValueRef<'_> {
        let raw = self.raw.as_ptr();
        let index = match c_int::try_from(index) {
            Ok(index) if index < self.columns => index,
            _ => return ValueRef::Null,
        };
        // SAFETY: the statement is not finalized before drop, and the index is in range. The pointers stay valid until
        // the next call that changes the row, which needs `&mut self`; asking for the type first and for the pointer
        // in that type converts nothing, so a later call for another column cannot move it.
        unsafe {
            match ffi::sqlite3_column_type(raw, index) {
                ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_column_int64(raw, index)),
                ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_column_double(raw, index)),
                ffi::SQLITE_TEXT => {
                    let text = ffi::sqlite3_column_text(raw, index);
                    ValueRef::Text(bytes(text, ffi::sqlite3_column_bytes(raw, index)))
                }
                ffi::SQLITE_BLOB => {
                    let blob = ffi::sqlite3_column_blob(raw, index);
                    ValueRef::Blob(bytes(blob.cast(), ffi::sqlite3_column_bytes(raw, index)))
                }
                _ => ValueRef::Null,
            }
        }
    }

    /// Makes the statement ready to be bound and stepped anew; its parameters are NULL again.
    pub fn reset(&mut self) {
        // SAFETY: the statement is not finalized before drop. The codes repeat the last step's error.
        unsafe {
            ffi::sqlite3_reset(self.raw.as_ptr());
            ffi::sqlite3_clear_bindings(self.raw.as_ptr());
        }
    }

    fn error(&self, code: c_int) -> StatementError {
        self.connection.with(|connection| last_error(connection, code))
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: this is the only place that finalizes, and the connection is still held.
        unsafe {
            ffi::sqlite3_finalize(self.raw.as_ptr());
        }
    }
}

/// A pointer that is not null even for an empty slice, which SQLite would take for NULL.
fn pointer_of(slice: &[u8]) -> *const u8 {
    slice.as_ptr()
}

/// The bytes behind SQLite's pointer, which is null for empty values.
///
/// # Safety
/// `pointer` is null or valid for `length` bytes as long as `'a`.
unsafe fn bytes<'a>(pointer: *const u8, length: c_int) -> &'a [u8] {
    let length = usize::try_from(length).unwrap_or(0);
    if pointer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(pointer, length) }
}

fn last_error(connection: &Connection, code: c_int) -> StatementError {
    // SAFETY: the handle is used while `connection` borrows it; the message is copied before anything else is called.
    unsafe {
        let db = connection.handle();
        let extended = ffi::sqlite3_extended_errcode(db);
        let message = CStr::from_ptr(ffi::sqlite3_errmsg(db)).to_string_lossy().into_owned();
        StatementError { code: if extended == 0 { code } else { extended }, message }
    }
}
