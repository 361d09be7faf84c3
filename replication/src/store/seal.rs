//! Finds out at start whether another program has written to the file while no node ran on it.
//!
//! A row that another program writes has no clock and is in no log: it would never reach other nodes, and a later merge would
//! be decided as if it were not there. SQLite has no commit hook across processes, and a fingerprint kept up to date by every
//! commit would cost each of them a page. What is used instead is what SQLite itself cannot but leave behind, in two states
//! that `trellis_seal` tells apart:
//!
//! | state | how the file is left | what a foreign write changes |
//! |---|---|---|
//! | at rest: the node ended by itself | no write-ahead log, header in rollback-journal mode | the header's change counter, which every commit in that mode raises; the seal holds the one that its own commit made |
//! | in use: the node was killed | the write-ahead log is still there | the log's last commit: each of ours writes the last leaf of `trellis_log`, or the page of the seal, a foreign one neither |
//!
//! Only the last commit needs to be looked at, since no node starts on top of a foreign one. Commits of ours that append
//! nothing to the log write the seal instead ([`touch`]). SQLite deletes the write-ahead log when the last program that has
//! the file open closes it, also one that has only read; so the log has a second name ([`kept_log`]), under which it stays,
//! with whatever that program has appended. It is known by its inode, which the seal names.
//!
//! What is left is doubt: the log is gone under both names, because the file system knows no second names or because the
//! files were copied; or the node died in the moment of opening or closing. Then the whole file is checked (`check/mod.rs`):
//! no alarm without a finding, at the cost of reading everything once.
//!
//! So a start costs one page after an orderly end, and reading the write-ahead log after a crash, which SQLite does anyway
//! to recover. A commit costs nothing.
//!
//! # Invariants
//! 1. Every commit in the write-ahead log writes the last leaf of `trellis_log` or the page of `trellis_seal`.
//! 2. While the seal says "at rest", the header has the change counter that the seal names.
//!
//! # Left out
//! Writes by another program while the node runs. Who goes so far as to write `trellis_log` or the seal is not found. A
//! database brought back by SQLite's backup interface from a file at rest counts as written: `trellis check --accept`.
//!
//! # Sources
//! SQLite documentation, `fileformat2.html` §1.3 (header), §1.5 (b-tree pages), §4 (write-ahead log and its checksums).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::error::Result;
use super::store::wal_path;

/// The seal's table.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_seal (
        id INTEGER PRIMARY KEY CHECK (id = 1), change_counter INTEGER, log_inode INTEGER,
        unlogged INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO trellis_seal VALUES (1, NULL, NULL, 0);
";

/// What has to be run in a transaction whose changes SQLite does not count as changed rows, such as those of `ANALYZE`: it
/// makes the commit known as this server's.
pub const UNLOGGED_WRITE: &str = "UPDATE trellis_seal SET unlogged = unlogged + 1";

/// Whether another program has written to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing in it yet.
    Empty,
    /// None has.
    Untouched,
    /// It cannot be told from the outside.
    InDoubt(&'static str),
    /// One has.
    Changed(String),
}

/// The write-ahead log as it was found, before SQLite was asked anything; none if there is none.
#[derive(Debug)]
pub(super) struct FoundLog(Option<File>);

/// The second name of the write-ahead log.
fn kept_log(file: &Path) -> PathBuf {
    let mut kept = file.to_owned().into_os_string();
    kept.push("-wal-kept");
    PathBuf::from(kept)
}

impl FoundLog {
    /// Looks at the write-ahead log of a database that is not open.
    ///
    /// # Errors
    /// If there is one and it cannot be opened.
    pub(super) fn look(file: &Path) -> io::Result<Self> {
        let found = match File::open(wal_path(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(kept_log(file)),
            found => found,
        };
        match found {
            Ok(log) => Ok(Self(Some(log))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }

    fn inode(&self) -> io::Result<Option<i64>> {
        let metadata = self.0.as_ref().map(File::metadata).transpose()?;
        Ok(metadata.map(|metadata| metadata.ino().cast_signed()))
    }

    /// The pages that its last commit wrote.
    fn last_commit(&self) -> io::Result<HashSet<u32>> {
        match &self.0 {
            Some(log) => last_commit(BufReader::with_capacity(1 << 16, log)),
            None => Ok(HashSet::new()),
        }
    }
}

/// The pages that the last whole commit in a write-ahead log wrote; none if there is no commit.
fn last_commit(mut log: impl Read) -> io::Result<HashSet<u32>> {
    let mut header = [0; 32];
    if !read_whole(&mut log, &mut header)? {
        return Ok(HashSet::new());
    }
    let mut sum = Checksum { big_endian: word(&header, 0) & 1 == 1, ..Checksum::default() };
    sum.add(&header[..24]);
    let page_bytes = usize::try_from(word(&header, 8)).unwrap_or(0);
    let is_log = word(&header, 0) & !1 == 0x377f_0682 && page_bytes.is_power_of_two();
    if !is_log || !sum.is(&header, 24) || !(512..=65_536).contains(&page_bytes) {
        return Ok(HashSet::new());
    }
    let (mut last, mut pages) = (HashSet::new(), HashSet::new());
    let mut frame = vec![0; 24 + page_bytes];
    while read_whole(&mut log, &mut frame)? && frame[8..16] == header[16..24] {
        sum.add(&frame[..8]);
        sum.add(&frame[24..]);
        if !sum.is(&frame, 16) {
            break;
        }
        pages.insert(word(&frame, 0));
        // The size of the database after the commit; 0 in frames that are not a commit's last.
        if word(&frame, 4) != 0 {
            last = std::mem::take(&mut pages);
        }
    }
    Ok(last)
}

fn read_whole(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The big-endian number at `at`; 0 beyond the end.
fn word(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_be_bytes(bytes.unwrap_or_default())
}

/// The checksum that runs through a write-ahead log.
#[derive(Default)]
struct Checksum {
    big_endian: bool,
    halves: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.halves;
        for pair in bytes.chunks_exact(8) {
            let (left, right) = (word(pair, 0), word(pair, 4));
            let (left, right) = if self.big_endian {
                (left, right)
            } else {
                (left.swap_bytes(), right.swap_bytes())
            };
            first = first.wrapping_add(left).wrapping_add(second);
            second = second.wrapping_add(right).wrapping_add(first);
        }
        self.halves = (first, second);
    }

    /// Whether it is the one that is stored at `at`.
    fn is(&self, bytes: &[u8], at: usize) -> bool {
        self.halves == (word(bytes, at), word(bytes, at + 4))
    }
}

/// Whether another program has written to the file since the last commit of ours.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn examine(sqlite: &Connection, file: &Path, log: &FoundLog) -> Result<Verdict> {
    let io = |source| super::StoreError::Io { path: file.to_owned(), source };
    let Some(log_root) = root_of(sqlite, "trellis_log")? else {
        let is_empty = !sqlite.prepare("SELECT 1 FROM sqlite_schema")?.exists([])?;
        let verdict = Verdict::InDoubt("it has none of this server's tables");
        return Ok(if is_empty { Verdict::Empty } else { verdict });
    };
    let seal = sqlite.query_row("SELECT change_counter, log_inode FROM trellis_seal", [], |row| {
        Ok((row.get::<_, Option<u32>>(0)?, row.get::<_, Option<i64>>(1)?))
    });
    let (Some(seal_root), Ok(Some((counter, inode)))) =
        (root_of(sqlite, "trellis_seal")?, seal.optional())
    else {
        return Ok(Verdict::InDoubt("it has no seal"));
    };
    let header = page(sqlite, 1)?;
    if let Some(counter) = counter {
        let found = word(&header, CHANGE_COUNTER);
        let changed = || format!("its change counter is {found} where this server left {counter}");
        return Ok(if found == counter { Verdict::Untouched } else { Verdict::Changed(changed()) });
    }
    let found_inode = log.inode().map_err(io)?;
    if header.get(READ_VERSION) != Some(&WAL_VERSION) || found_inode.is_none() {
        return Ok(Verdict::InDoubt("its write-ahead log is gone"));
    }
    if inode != found_inode {
        return Ok(Verdict::InDoubt("its write-ahead log is another file"));
    }
    let last_commit = log.last_commit().map_err(io)?;
    if [seal_root, last_leaf(sqlite, log_root)?].iter().any(|page| last_commit.contains(page)) {
        return Ok(Verdict::Untouched);
    }
    if last_commit.is_empty() {
        return Ok(Verdict::InDoubt("its write-ahead log has no commit"));
    }
    Ok(Verdict::Changed("the last transaction in its write-ahead log is not this server's".into()))
}

/// Place of the change counter in the header.
const CHANGE_COUNTER: usize = 24;

/// Place in the header of the version needed for reading.
const READ_VERSION: usize = 19;

/// The version of a file that has a write-ahead log.
const WAL_VERSION: u8 = 2;

fn root_of(sqlite: &Connection, table: &str) -> Result<Option<u32>> {
    let mut select =
        sqlite.prepare("SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
    Ok(select.query_row([table], |row| row.get(0)).optional()?)
}

fn page(sqlite: &Connection, number: u32) -> Result<Vec<u8>> {
    let mut select = sqlite.prepare_cached("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")?;
    Ok(select.query_row([number], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// The page of a table that holds its last row.
fn last_leaf(sqlite: &Connection, root: u32) -> Result<u32> {
    const INTERIOR: u8 = 5;
    /// A b-tree of 2^31 pages is not as deep.
    const DEPTH_MAX: u32 = 32;
    let mut number = root;
    for _ in 0..DEPTH_MAX {
        let page = page(sqlite, number)?;
        if page.first() != Some(&INTERIOR) {
            break;
        }
        number = word(&page, 8);
    }
    Ok(number)
}

/// Breaks the seal of a file at rest: from here on it is in use. In rollback-journal mode or in a write-ahead log.
///
/// # Errors
/// If SQLite refuses.
pub(super) fn open(sqlite: &Connection) -> Result<()> {
    sqlite.execute("UPDATE trellis_seal SET change_counter = NULL, log_inode = NULL", [])?;
    Ok(())
}

/// Gives the write-ahead log its second name, and names it in the seal.
///
/// # Errors
/// If SQLite refuses. That the file system does is no error: a crash then leaves doubt.
pub(super) fn keep_log(sqlite: &Connection, file: &Path) -> Result<()> {
    touch(sqlite)?;
    let (log, kept) = (wal_path(file), kept_log(file));
    // What is left of an earlier log, if anything, is of no use any more.
    let _nothing_there = std::fs::remove_file(&kept);
    let inode = std::fs::hard_link(&log, &kept).and_then(|()| std::fs::metadata(&log));
    match inode {
        Ok(log) => {
            let inode = log.ino().cast_signed();
            sqlite.execute("UPDATE trellis_seal SET log_inode = ?1", [inode])?;
        }
        Err(error) => tracing::debug!(%error, "the write-ahead log has no second name"),
    }
    Ok(())
}

/// Makes a commit that appends nothing to the log known as this server's.
///
/// # Errors
/// If SQLite refuses.
pub(super) fn touch(sqlite: &Connection) -> rusqlite::Result<()> {
    sqlite.prepare_cached(UNLOGGED_WRITE)?.execute([])?;
    Ok(())
}

/// Seals the file; nobody else may have it open. If that fails it is left in use.
///
/// # Errors
/// If SQLite refuses.
pub(super) fn close(file: &Path) -> Result<()> {
    let sqlite = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    sqlite.execute_batch("PRAGMA synchronous = FULL")?;
    let mode: String = sqlite.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    if mode != "delete" {
        return Err(super::StoreError::TransactionState("the file is still in use"));
    }
    // A write-ahead log that came back after a power loss would undo the seal.
    if let Some(directory) = file.parent() {
        let io = |source| super::StoreError::Io { path: directory.to_owned(), source };
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
    }
    sqlite.execute_batch("BEGIN IMMEDIATE")?;
    // In this mode a commit raises the counter by one.
    let counter = word(&page(&sqlite, 1)?, CHANGE_COUNTER).wrapping_add(1);
    sqlite.execute("UPDATE trellis_seal SET change_counter = ?1, log_inode = NULL", [counter])?;
    sqlite.execute_batch("COMMIT")?;
    let _nothing_there = std::fs::remove_file(kept_log(file));
    Ok(())
}
