//! SQLite's preupdate, commit and WAL hooks and a virtual table with savepoint callbacks.
//!
//! rusqlite offers none of them in the form needed: its preupdate hook requires a different build, and its virtual tables
//! do not see savepoints. Everything here is turned into calls of one safe trait, [`TransactionEvents`].
//!
//! The virtual table is called `crdt_tx`. It stores nothing; `INSERT INTO crdt_tx DEFAULT VALUES` right after `BEGIN`
//! enlists it in the transaction, and from then on SQLite tells it of every savepoint, including those it makes itself
//! around statements that can fail half-way, and calls `xSync` inside COMMIT, before the database is written: the place
//! where clocks and log are added to the very transaction that they describe.
//!
//! # Safety
//! * The pointers given to SQLite are boxed `Arc`s. The module's box is freed by the destructor that SQLite calls when the
//!   connection closes; the hooks' box by [`Installed::drop`], after unhooking. `Installed` must be dropped before its
//!   connection: the struct that owns both declares it first.
//! * SQLite calls back on the thread that uses the connection, while it uses it.
//! * Values obtained in the preupdate hook are borrowed from it and cannot outlive [`RowEvent`].
//! * Panics do not cross into SQLite: each callback catches them and reports an error.
//!
//! # Sources
//! SQLite documentation, `c3ref/preupdate_blobwrite.html`, `vtab.html` §2.15-2.20.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::{Connection, ffi};

use crate::types::ValueRef;

/// What SQLite tells about a connection's transactions. Called on the thread that uses the connection, from inside its
/// calls into SQLite.
pub(in crate::store) trait TransactionEvents: Send + Sync {
    /// A row of a real table is about to be changed.
    fn row(&self, event: &RowEvent<'_>);
    /// Savepoint `index` is opened.
    fn savepoint(&self, index: usize);
    /// Savepoint `index` and those within it are released.
    fn release(&self, index: usize);
    /// Everything since savepoint `index` is undone; the savepoint stays open.
    fn rollback_to(&self, index: usize);
    /// COMMIT is about to write the database; more may be written to the transaction.
    fn sync(&self) -> Result<(), String>;
    /// The transaction was rolled back as a whole.
    fn rolled_back(&self);
    /// Whether a transaction that never passed [`Self::sync`] may be committed.
    fn may_commit(&self) -> bool;
    /// After a commit, the write-ahead log has that many frames.
    fn wal_frames(&self, frames: usize);
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum RowOperation {
    Insert,
    Update,
    Delete,
}

/// A row change, valid during [`TransactionEvents::row`].
pub(in crate::store) struct RowEvent<'a> {
    db: *mut ffi::sqlite3,
    /// What happens.
    pub operation: RowOperation,
    /// Whether the table is in the main database, not temporary or attached.
    pub in_main: bool,
    /// The table's name.
    pub table: &'a [u8],
    /// Its rowid before an update or delete.
    pub old_rowid: i64,
    /// Its rowid after an insert or update.
    pub new_rowid: i64,
}

impl RowEvent<'_> {
    /// The value that storage column `index` has before an update or delete; `None` also when it is not valid text.
    pub(in crate::store) fn value_before(&self, index: c_int) -> Option<ValueRef<'_>> {
        let mut value = std::ptr::null_mut();
        // SAFETY: `db` is the connection that is calling us, inside its preupdate hook.
        let code = unsafe { ffi::sqlite3_preupdate_old(self.db, index, &raw mut value) };
        // SAFETY: the value stays valid until the hook returns, which `self` does not outlive.
        if code == ffi::SQLITE_OK { unsafe { borrow_value(value) } } else { None }
    }

    /// The value that storage column `index` has after an insert or update.
    pub(in crate::store) fn value_after(&self, index: c_int) -> Option<ValueRef<'_>> {
        let mut value = std::ptr::null_mut();
        // SAFETY: as in `value_before`.
        let code = unsafe { ffi::sqlite3_preupdate_new(self.db, index, &raw mut value) };
        // SAFETY: as in `value_before`.
        if code == ffi::SQLITE_OK { unsafe { borrow_value(value) } } else { None }
    }
}

/// Borrows a value of SQLite's.
///
/// # Safety
/// `value` must be valid, and stay so and unchanged for `'a`.
pub(super) unsafe fn borrow_value<'a>(value: *mut ffi::sqlite3_value) -> Option<ValueRef<'a>> {
    if value.is_null() {
        return Some(ValueRef::Null);
    }
    // SAFETY: the caller says that `value` is valid; a pointer that SQLite returns for text or blob has the length it
    // states for it, and is not null unless the length is 0.
    unsafe {
        let bytes = |pointer: *const u8| {
            let length = usize::try_from(ffi::sqlite3_value_bytes(value)).unwrap_or(0);
            if pointer.is_null() { &[][..] } else { std::slice::from_raw_parts(pointer, length) }
        };
        Some(match ffi::sqlite3_value_type(value) {
            ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_value_int64(value)),
            ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_value_double(value)),
            // Text is fetched as the bytes that it is, in the file's encoding, which is UTF-8: fetching it as text would copy
            // it to put a zero behind it.
            ffi::SQLITE_TEXT => {
                let text = bytes(ffi::sqlite3_value_blob(value).cast());
                ValueRef::Text(std::str::from_utf8(text).ok()?)
            }
            ffi::SQLITE_BLOB => ValueRef::Blob(bytes(ffi::sqlite3_value_blob(value).cast())),
            _ => ValueRef::Null,
        })
    }
}

type Events = Arc<dyn TransactionEvents>;

/// Hooks on a connection; dropping it removes them. Drop it before the connection.
pub(in crate::store) struct Installed {
    db: *mut ffi::sqlite3,
    events: *mut Events,
}

// SAFETY: the pointers are used only together with the connection, which is `Send` and used by one thread at a time; what
// `events` points to is `Send + Sync`.
unsafe impl Send for Installed {}

/// Installs the hooks and registers `crdt_tx`. Must precede the first statement prepared on the connection: SQLite
/// compiles `DELETE` without `WHERE` into a truncation that no hook sees if there is none when it is prepared.
pub(in crate::store) fn install(
    connection: &Connection,
    events: &Events,
) -> rusqlite::Result<Installed> {
    let hooks = Box::into_raw(Box::new(Arc::clone(events)));
    let module = Box::into_raw(Box::new(Arc::clone(events)));
    // SAFETY: the handle is that of an open connection; the boxes live as the module documentation says; the name is a C
    // string and the module a static.
    let code = unsafe {
        let db = connection.handle();
        ffi::sqlite3_preupdate_hook(db, Some(on_preupdate), hooks.cast());
        ffi::sqlite3_commit_hook(db, Some(on_commit), hooks.cast());
        ffi::sqlite3_wal_hook(db, Some(on_wal), hooks.cast());
        ffi::sqlite3_create_module_v2(
            db,
            c"crdt_tx".as_ptr(),
            &raw const MODULE,
            module.cast(),
            Some(drop_events),
        )
    };
    // SAFETY: the handle is that of an open connection.
    let installed = Installed { db: unsafe { connection.handle() }, events: hooks };
    if code == ffi::SQLITE_OK {
        Ok(installed)
    } else {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // SAFETY: the connection is still open, see `Installed`; after unhooking nobody else has the box.
        unsafe {
            ffi::sqlite3_preupdate_hook(self.db, None, std::ptr::null_mut());
            ffi::sqlite3_commit_hook(self.db, None, std::ptr::null_mut());
            ffi::sqlite3_wal_hook(self.db, None, std::ptr::null_mut());
            drop(Box::from_raw(self.events));
        }
    }
}

/// A second handle on a connection, with a statement cache of its own, that can be used from inside its callbacks. Does
/// not close the connection; must be dropped before it.
pub(in crate::store) fn second_handle(connection: &Connection) -> rusqlite::Result<Connection> {
    // SAFETY: the handle is that of an open connection, which the caller keeps open longer.
    unsafe { Connection::from_handle(connection.handle()) }
}

/// Whether a foreign key that is checked at COMMIT is violated at the moment.
pub(in crate::store) fn has_deferred_violations(connection: &Connection) -> bool {
    let (mut violations, mut highest) = (0, 0);
    // SAFETY: the handle is that of an open connection, and the out pointers are valid.
    let code = unsafe {
        ffi::sqlite3_db_status(
            connection.handle(),
            ffi::SQLITE_DBSTATUS_DEFERRED_FKS,
            &raw mut violations,
            &raw mut highest,
            0,
        )
    };
    code != ffi::SQLITE_OK || violations != 0
}

unsafe extern "C" fn drop_events(events: *mut c_void) {
    // SAFETY: SQLite calls this once, with the box made in `install`.
    drop(unsafe { Box::from_raw(events.cast::<Events>()) });
}

unsafe extern "C" fn on_preupdate(
    events: *mut c_void,
    db: *mut ffi::sqlite3,
    operation: c_int,
    database: *const c_char,
    table: *const c_char,
    old_rowid: ffi::sqlite3_int64,
    new_rowid: ffi::sqlite3_int64,
) {
    let operation = match operation {
        ffi::SQLITE_INSERT => RowOperation::Insert,
        ffi::SQLITE_UPDATE => RowOperation::Update,
        _ => RowOperation::Delete,
    };
    // SAFETY: both names are C strings that live for this call; `events` is the box made in `install`.
    let (events, in_main, table) = unsafe {
        let in_main = CStr::from_ptr(database) == c"main";
        (&*events.cast::<Events>(), in_main, CStr::from_ptr(table).to_bytes())
    };
    let event = RowEvent { db, operation, in_main, table, old_rowid, new_rowid };
    // An event lost to a panic poisons the capture's lock, and the commit fails.
    let _caught = catch_unwind(AssertUnwindSafe(|| events.row(&event)));
}

unsafe extern "C" fn on_commit(events: *mut c_void) -> c_int {
    // SAFETY: `events` is the box made in `install`.
    let events = unsafe { &*events.cast::<Events>() };
    let allowed = catch_unwind(AssertUnwindSafe(|| events.may_commit())).unwrap_or(false);
    c_int::from(!allowed)
}

unsafe extern "C" fn on_wal(
    events: *mut c_void,
    _db: *mut ffi::sqlite3,
    _database: *const c_char,
    frames: c_int,
) -> c_int {
    // SAFETY: `events` is the box made in `install`.
    let events = unsafe { &*events.cast::<Events>() };
    let frames = usize::try_from(frames).unwrap_or(0);
    let _caught = catch_unwind(AssertUnwindSafe(|| events.wal_frames(frames)));
    ffi::SQLITE_OK
}

/// The virtual table object: SQLite's part first, as it requires.
#[repr(C)]
struct TransactionTable {
    base: ffi::sqlite3_vtab,
    events: Events,
}

/// Calls back with the events of a virtual table; a panic is an error.
///
/// # Safety
/// `table` must be one made by [`connect`].
unsafe fn with_events(
    table: *mut ffi::sqlite3_vtab,
    call: impl FnOnce(&dyn TransactionEvents) -> Result<(), String>,
) -> c_int {
    // SAFETY: the caller says that SQLite's pointer is the start of our object.
    let events = unsafe { &(*table.cast::<TransactionTable>()).events };
    match catch_unwind(AssertUnwindSafe(|| call(events.as_ref()))) {
        Ok(Ok(())) => ffi::SQLITE_OK,
        // The capture keeps the reason for the committer.
        Ok(Err(_)) | Err(_) => ffi::SQLITE_ERROR,
    }
}

fn level(index: c_int) -> usize {
    usize::try_from(index).unwrap_or(0)
}

unsafe extern "C" fn connect(
    db: *mut ffi::sqlite3,
    events: *mut c_void,
    _argc: c_int,
    _argv: *const *const c_char,
    table: *mut *mut ffi::sqlite3_vtab,
    _message: *mut *mut c_char,
) -> c_int {
    // SAFETY: `db` is open; `events` is the module's box made in `install`; `table` is where SQLite wants the object,
    // which it gives back to `disconnect`.
    unsafe {
        let code = ffi::sqlite3_declare_vtab(db, c"CREATE TABLE crdt_tx(unused)".as_ptr());
        if code == ffi::SQLITE_OK {
            let events = Arc::clone(&*events.cast::<Events>());
            let object = TransactionTable { base: ffi::sqlite3_vtab::default(), events };
            *table = Box::into_raw(Box::new(object)).cast();
        }
        code
    }
}

unsafe extern "C" fn disconnect(table: *mut ffi::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite gives back what `connect` made, once.
    drop(unsafe { Box::from_raw(table.cast::<TransactionTable>()) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn best_index(
    _table: *mut ffi::sqlite3_vtab,
    _info: *mut ffi::sqlite3_index_info,
) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn open(
    _table: *mut ffi::sqlite3_vtab,
    cursor: *mut *mut ffi::sqlite3_vtab_cursor,
) -> c_int {
    // SAFETY: `cursor` is where SQLite wants the object, which it gives back to `close`.
    unsafe { *cursor = Box::into_raw(Box::new(ffi::sqlite3_vtab_cursor::default())) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    // SAFETY: SQLite gives back what `open` made, once.
    drop(unsafe { Box::from_raw(cursor) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn filter(
    _cursor: *mut ffi::sqlite3_vtab_cursor,
    _plan: c_int,
    _plan_text: *const c_char,
    _argc: c_int,
    _argv: *mut *mut ffi::sqlite3_value,
) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn next(_cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn eof(_cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
    1
}

unsafe extern "C" fn column(
    _cursor: *mut ffi::sqlite3_vtab_cursor,
    _context: *mut ffi::sqlite3_context,
    _column: c_int,
) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn rowid(
    _cursor: *mut ffi::sqlite3_vtab_cursor,
    _rowid: *mut ffi::sqlite3_int64,
) -> c_int {
    ffi::SQLITE_OK
}

/// An insert stores nothing: that it happens is what enlists the table.
unsafe extern "C" fn update(
    _table: *mut ffi::sqlite3_vtab,
    _argc: c_int,
    _argv: *mut *mut ffi::sqlite3_value,
    _rowid: *mut ffi::sqlite3_int64,
) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn begin(_table: *mut ffi::sqlite3_vtab) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(table: *mut ffi::sqlite3_vtab) -> c_int {
    // SAFETY: SQLite passes an object made by `connect`; so in the next five.
    unsafe { with_events(table, |events| events.sync()) }
}

unsafe extern "C" fn commit(_table: *mut ffi::sqlite3_vtab) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn rollback(table: *mut ffi::sqlite3_vtab) -> c_int {
    // SAFETY: see `sync`.
    unsafe {
        with_events(table, |events| {
            events.rolled_back();
            Ok(())
        })
    }
}

unsafe extern "C" fn savepoint(table: *mut ffi::sqlite3_vtab, index: c_int) -> c_int {
    // SAFETY: see `sync`.
    unsafe {
        with_events(table, |events| {
            events.savepoint(level(index));
            Ok(())
        })
    }
}

unsafe extern "C" fn release(table: *mut ffi::sqlite3_vtab, index: c_int) -> c_int {
    // SAFETY: see `sync`.
    unsafe {
        with_events(table, |events| {
            events.release(level(index));
            Ok(())
        })
    }
}

unsafe extern "C" fn rollback_to(table: *mut ffi::sqlite3_vtab, index: c_int) -> c_int {
    // SAFETY: see `sync`.
    unsafe {
        with_events(table, |events| {
            events.rollback_to(level(index));
            Ok(())
        })
    }
}

/// Eponymous only (`xCreate` is absent): `crdt_tx` exists by its name on every connection and is in no schema.
static MODULE: ffi::sqlite3_module = ffi::sqlite3_module {
    iVersion: 2,
    xCreate: None,
    xConnect: Some(connect),
    xBestIndex: Some(best_index),
    xDisconnect: Some(disconnect),
    xDestroy: None,
    xOpen: Some(open),
    xClose: Some(close),
    xFilter: Some(filter),
    xNext: Some(next),
    xEof: Some(eof),
    xColumn: Some(column),
    xRowid: Some(rowid),
    xUpdate: Some(update),
    xBegin: Some(begin),
    xSync: Some(sync),
    xCommit: Some(commit),
    xRollback: Some(rollback),
    xFindFunction: None,
    xRename: None,
    xSavepoint: Some(savepoint),
    xRelease: Some(release),
    xRollbackTo: Some(rollback_to),
    xShadowName: None,
    xIntegrity: None,
};
