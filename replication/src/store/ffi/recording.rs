//! A recording of everything that is done to a database's files, for tests of crashes.
//!
//! [`Recording::start`] makes a VFS the default that passes every call on to the operating system's and notes writes,
//! truncations, syncs and deletions of databases, journals and write-ahead logs, in their order. What the store does to
//! files past SQLite is noted by itself: the flusher's sync of the write-ahead log ([`sync_started`], [`synced`]). From the
//! notes a test makes the files as a crash at any moment may have left them.
//!
//! Not noted: the shared-memory index, which does not survive a crash; the zeros that the write-ahead log is laid out with,
//! which stand for nothing; temporary files.
//!
//! # Safety
//! * The VFS and the method tables live as long as the process.
//! * A file object of this VFS is a [`RecordedFile`] followed by one of the system's; SQLite allocates both as one, as large
//!   as `szOsFile` says. The system's methods get the address of its own part only.
//! * The system's VFS does not keep the pointer to itself that it is called with; methods other than `xOpen` and `xDelete`
//!   are its own, in the table that is copied from it.
//! * Panics do not cross into SQLite: what is called here does not panic but for lack of memory, which aborts.
//!
//! # Sources
//! SQLite documentation, `vfs.html`, `c3ref/io_methods.html`, `c3ref/vfs.html`.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

/// Something that was done to a file, or a mark.
#[derive(Clone, Debug)]
pub enum FileEvent {
    /// Bytes were written.
    Write {
        /// The file.
        path: Arc<Path>,
        /// Where.
        offset: u64,
        /// Which.
        bytes: Box<[u8]>,
    },
    /// The file was cut, or extended with zeros.
    Truncate {
        /// The file.
        path: Arc<Path>,
        /// Its size since, bytes.
        size: u64,
    },
    /// What was done to the file before is on the disk.
    Synced {
        /// The file.
        path: Arc<Path>,
        /// Number of events, of any file, when the sync began.
        until: usize,
    },
    /// The file was deleted.
    Deleted {
        /// The file.
        path: Arc<Path>,
    },
    /// The test wants to know when this was.
    Mark(u64),
}

static EVENTS: Mutex<Option<Vec<FileEvent>>> = Mutex::new(None);

/// The VFS of the operating system, once the one that records is the default.
struct Installed {
    system: *mut ffi::sqlite3_vfs,
}

// SAFETY: the structure is only read, and lives as long as the process.
unsafe impl Send for Installed {}
// SAFETY: as above.
unsafe impl Sync for Installed {}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// A recording of all files of databases that this process opens; there is one at a time.
#[derive(Debug)]
pub struct Recording(());

impl Recording {
    /// Starts it. Databases that are open already are not recorded.
    ///
    /// # Panics
    /// If one is in progress.
    #[must_use]
    pub fn start() -> Self {
        INSTALLED.get_or_init(install);
        let before = lock().replace(Vec::new());
        assert!(before.is_none(), "one recording at a time");
        Self(())
    }

    /// Notes that something of the test's own has happened.
    pub fn mark(number: u64) {
        note(|| FileEvent::Mark(number));
    }

    /// Ends it.
    #[must_use]
    pub fn finish(self) -> Vec<FileEvent> {
        lock().take().unwrap_or_default()
    }
}

fn lock() -> MutexGuard<'static, Option<Vec<FileEvent>>> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(event: impl FnOnce() -> FileEvent) {
    if let Some(events) = &mut *lock() {
        events.push(event());
    }
}

/// Number of events so far, before a sync.
pub(in crate::store) fn sync_started() -> usize {
    lock().as_ref().map_or(0, Vec::len)
}

/// Notes that a sync which began at `until` has succeeded.
pub(in crate::store) fn synced(path: &Path, until: usize) {
    note(|| FileEvent::Synced { path: Arc::from(path), until });
}

fn install() -> Installed {
    // SAFETY: asks for the default VFS, copies its table, and registers the copy, which is never freed.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let own = c_int::try_from(size_of::<RecordedFile>()).unwrap_or(0);
        let recording = ffi::sqlite3_vfs {
            szOsFile: own + (*system).szOsFile,
            pNext: std::ptr::null_mut(),
            zName: c"recording".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..*system
        };
        let recording = Box::into_raw(Box::new(recording));
        ffi::sqlite3_vfs_register(recording, 1);
        Installed { system }
    }
}

/// The system's VFS.
fn system() -> *mut ffi::sqlite3_vfs {
    INSTALLED.get_or_init(install).system
}

/// A file object: SQLite's part first, as it requires; the system's own object follows.
#[repr(C)]
struct RecordedFile {
    base: ffi::sqlite3_file,
    /// An `Arc<Path>` in a box, or null for files that are not recorded.
    path: *mut Arc<Path>,
}

/// The system's part of a file object.
///
/// # Safety
/// `file` must be one of this VFS's.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: the system's object follows ours, see `install`.
    unsafe { file.cast::<RecordedFile>().add(1).cast() }
}

/// The path of a recorded file.
///
/// # Safety
/// `file` must be an open one of this VFS's.
unsafe fn path_of(file: *mut ffi::sqlite3_file) -> Option<Arc<Path>> {
    // SAFETY: the pointer is null or the box made in `open`.
    unsafe { (*file.cast::<RecordedFile>()).path.as_ref() }.map(Arc::clone)
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    const RECORDED: c_int =
        ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let system = system();
    // SAFETY: SQLite gives memory for both parts; the system's method fills in its part; the name is a C string.
    unsafe {
        (*file).pMethods = std::ptr::null();
        let recorded = file.cast::<RecordedFile>();
        (*recorded).path = std::ptr::null_mut();
        let Some(open) = (*system).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = open(system, name, inner(file), flags, flags_out);
        if (*inner(file)).pMethods.is_null() {
            return code;
        }
        (*file).pMethods = &raw const METHODS;
        if flags & RECORDED != 0 && !name.is_null() {
            (*recorded).path = Box::into_raw(Box::new(path_from(name)));
        }
        code
    }
}

/// # Safety
/// `name` must be a C string.
unsafe fn path_from(name: *const c_char) -> Arc<Path> {
    // SAFETY: the caller says so.
    let name = unsafe { CStr::from_ptr(name) };
    Arc::from(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    let system = system();
    // SAFETY: passes SQLite's arguments on; the name is a C string.
    unsafe {
        let Some(delete) = (*system).xDelete else { return ffi::SQLITE_IOERR };
        let code = delete(system, name, sync_directory);
        if code == ffi::SQLITE_OK {
            note(|| FileEvent::Deleted { path: path_from(name) });
        }
        code
    }
}

/// Calls a method of the system's object, or answers that there is none.
macro_rules! pass_on {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = inner($file);
        match (*(*file).pMethods).$method {
            Some(method) => method(file $(, $argument)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: here and below, SQLite passes an open file of this VFS and arguments as the method requires. The box is
    // freed once, as a file is closed once.
    unsafe {
        let recorded = file.cast::<RecordedFile>();
        if !(*recorded).path.is_null() {
            drop(Box::from_raw((*recorded).path));
            (*recorded).path = std::ptr::null_mut();
        }
        pass_on!(file, xClose)
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xRead, buffer, count, offset) }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see `close`; the buffer has `count` bytes.
    unsafe {
        if let Some(path) = path_of(file) {
            let length = usize::try_from(count).unwrap_or(0);
            let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), length).into();
            note(|| FileEvent::Write { path, offset: offset.cast_unsigned(), bytes });
        }
        pass_on!(file, xWrite, buffer, count, offset)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: see `close`.
    unsafe {
        if let Some(path) = path_of(file) {
            note(|| FileEvent::Truncate { path, size: size.cast_unsigned() });
        }
        pass_on!(file, xTruncate, size)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: see `close`.
    unsafe {
        let until = sync_started();
        let code = pass_on!(file, xSync, flags);
        if let (ffi::SQLITE_OK, Some(path)) = (code, path_of(file)) {
            synced(&path, until);
        }
        code
    }
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xFileSize, size) }
}

unsafe extern "C" fn lock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xLock, level) }
}

unsafe extern "C" fn unlock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(
    file: *mut ffi::sqlite3_file,
    reserved: *mut c_int,
) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xCheckReservedLock, reserved) }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    address: *mut *mut c_void,
) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xShmMap, region, size, extend, address) }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: see `close`.
    unsafe {
        let file = inner(file);
        if let Some(barrier) = (*(*file).pMethods).xShmBarrier {
            barrier(file);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: see `close`.
    unsafe { pass_on!(file, xShmUnmap, delete) }
}

/// Version 2: without memory-mapped pages, so that every change of a file passes through [`write()`].
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
