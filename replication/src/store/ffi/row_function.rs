//! A SQL function that is called for what it does with the values of a row; its answer says whether that is enough.
//!
//! rusqlite's functions convert each argument and box each call; this one borrows the values where they are.
//!
//! # Safety
//! * SQLite owns one box with the function and destroys it when the connection is closed or the function replaced.
//! * Arguments are borrowed from SQLite for the time of the call, which [`Arguments`] cannot outlive.
//! * Panics do not cross into SQLite: they are caught and reported as an error.
//!
//! Source: SQLite documentation, `c3ref/create_function.html`.

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::{Connection, ffi};

use super::hooks::borrow_value;
use crate::types::ValueRef;

/// What is called with the values of rows.
pub(in crate::store) trait RowFunction: Send + Sync {
    /// One row's values. Whether it is enough for now is the function's value; an error ends the statement.
    fn row(&self, values: Arguments<'_>) -> Result<bool, &'static CStr>;
}

/// The arguments of a call.
#[derive(Clone, Copy)]
pub(in crate::store) struct Arguments<'a>(&'a [*mut ffi::sqlite3_value]);

impl<'a> Arguments<'a> {
    /// The values; `None` for text that is not valid.
    pub(in crate::store) fn values(self) -> impl Iterator<Item = Option<ValueRef<'a>>> {
        // SAFETY: SQLite keeps the arguments valid and unchanged during the call.
        self.0.iter().map(|value| unsafe { borrow_value(*value) })
    }
}

type Boxed = Arc<dyn RowFunction>;

/// Registers `function` under `name`, with any number of arguments. The schema cannot use it.
pub(in crate::store) fn register_row_function(
    connection: &Connection,
    name: &CStr,
    function: Boxed,
) -> rusqlite::Result<()> {
    let data = Box::into_raw(Box::new(function));
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DIRECTONLY;
    // SAFETY: the handle is that of an open connection, the name a C string; SQLite calls `destroy` with the box even if
    // it refuses.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(
            connection.handle(),
            name.as_ptr(),
            -1,
            flags,
            data.cast(),
            Some(call),
            None,
            None,
            Some(destroy),
        )
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }
}

unsafe extern "C" fn destroy(data: *mut c_void) {
    // SAFETY: SQLite calls this once, with the box made in `register_row_function`.
    drop(unsafe { Box::from_raw(data.cast::<Boxed>()) });
}

unsafe extern "C" fn call(
    context: *mut ffi::sqlite3_context,
    count: c_int,
    values: *mut *mut ffi::sqlite3_value,
) {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: `values` points to that many arguments, or to anything if there are none; the data is the box made in
    // `register_row_function`.
    let (function, values) = unsafe {
        let values = if count == 0 { &[][..] } else { std::slice::from_raw_parts(values, count) };
        (&*ffi::sqlite3_user_data(context).cast::<Boxed>(), values)
    };
    let done = catch_unwind(AssertUnwindSafe(|| function.row(Arguments(values))));
    // SAFETY: `context` is that of this call; the message is a C string, which SQLite copies.
    unsafe {
        match done.unwrap_or(Err(c"a row function panicked")) {
            Ok(enough) => ffi::sqlite3_result_int(context, c_int::from(enough)),
            Err(message) => ffi::sqlite3_result_error(context, message.as_ptr(), -1),
        }
    }
}
