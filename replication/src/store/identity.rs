//! Whether this file may go on under its site.
//!
//! A site's transactions are told apart by their number alone, so no number may ever be used twice. It would be by a file
//! that was restored from an older copy and goes on from there, while others know what the original did after the copy was
//! made. Whoever starts asks its peers first. But one that reaches nobody, or only peers that know no more than it does,
//! goes on all the same, and what it then wrote has to be found out later, when it meets those who know better:
//!
//! ```text
//!   original    … 9 10 ── 11 12 13      peers know these
//!                    └ copy ── 11' 12'   written by the restored file, which finds out now
//! ```
//!
//! Each start is **unconfirmed** until a peer has told what it knows of this site and it contradicts nothing here. What is
//! found out:
//! - a peer knows another transaction of a number that is here: their contents differ ([`ContentHash`]);
//! - a peer knows of more than there is here, though this file has written since a start that nobody confirmed, or in this
//!   run: those numbers are taken, whatever became of them.
//!
//! If nothing was written, a peer that knows more is no harm: the file fetches what it lacks.
//!
//! A file that has lost its identity is not written to any more. It is put aside ([`retire`]), the node begins anew as
//! another site with the state of a peer, which has what the original did, and does again what only the file knows
//! (`resend.rs`). The same is done when a node was away for so long that it was expelled, or that its own transactions cannot
//! be merged any more (`adopt.rs`).
//!
//! # Left out
//! Peers that have taken opposite sides of such a fork before its author met any of them who knew better: they hold different
//! transactions of one number, and nobody finds out.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::error::{Result, StoreError};
use super::seal::UNLOGGED_WRITE;
use super::store::{DATABASE_FILE, lock_directory};
use crate::types::{ContentHash, DbVersion, SiteId};

/// The table of one row: since which version nobody has confirmed, and why the identity is lost.
pub(super) const SYSTEM_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS trellis_identity (
        id INTEGER PRIMARY KEY CHECK (id = 1), unconfirmed INTEGER, lost TEXT) STRICT;
    INSERT OR IGNORE INTO trellis_identity VALUES (1, NULL, NULL);
";

/// Why a file must not go on under its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostIdentity {
    /// Other nodes know other transactions of this site under the same numbers: the file is a copy.
    Forked,
    /// It was away for so long that others have forgotten deletions that it does not know of.
    Stale,
    /// The members have agreed to go on without this site.
    Expelled,
}

impl LostIdentity {
    /// The word that is kept in the file.
    fn word(self) -> &'static str {
        match self {
            Self::Forked => "forked",
            Self::Stale => "stale",
            Self::Expelled => "expelled",
        }
    }

    fn parse(word: &str) -> Self {
        [Self::Forked, Self::Stale]
            .into_iter()
            .find(|it| it.word() == word)
            .unwrap_or(Self::Expelled)
    }
}

impl std::fmt::Display for LostIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Forked => {
                "other nodes know other transactions of this node: its database is a copy"
            }
            Self::Stale => "this node was away for longer than deletions are remembered",
            Self::Expelled => "this node was away for longer than its lease, and was expelled",
        })
    }
}

/// What is known of this file's identity.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identity {
    /// The own head at the first start that nobody has confirmed; none if the last one is confirmed.
    unconfirmed: Option<DbVersion>,
    /// The own head when this run began, or what has come of it from elsewhere since.
    start: DbVersion,
    pub lost: Option<LostIdentity>,
}

/// What a peer's knowledge of this site means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It has nothing that contradicts what is here.
    Confirmed,
    /// It knows transactions that this file lacks.
    Lacking,
    /// It knows others than this file.
    Forked,
}

impl Identity {
    /// Reads it at the start of a run, and notes the start.
    pub(super) fn begin(sqlite: &Connection, head: DbVersion) -> Result<Self> {
        let (unconfirmed, lost) =
            sqlite.query_row("SELECT unconfirmed, lost FROM trellis_identity", [], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<String>>(1)?))
            })?;
        let lost = lost.map(|word| LostIdentity::parse(&word));
        if unconfirmed.is_none() && lost.is_none() {
            let head = head.0.cast_signed();
            sqlite.execute_batch(&format!(
                "BEGIN IMMEDIATE; UPDATE trellis_identity SET unconfirmed = {head}; {UNLOGGED_WRITE}; COMMIT"
            ))?;
        }
        let unconfirmed = unconfirmed.map_or(head, |version| DbVersion(version.cast_unsigned()));
        Ok(Self { unconfirmed: Some(unconfirmed), start: head, lost })
    }

    /// What it means that a peer knows this site's transactions up to `known`, while there are those up to `head` here.
    pub(super) fn judge(
        &self,
        head: DbVersion,
        known: DbVersion,
        (here, there): (ContentHash, ContentHash),
    ) -> Finding {
        if known > head {
            let since = self.unconfirmed.unwrap_or(self.start);
            return if head > since { Finding::Forked } else { Finding::Lacking };
        }
        if here.contradicts(there) { Finding::Forked } else { Finding::Confirmed }
    }

    /// A peer has confirmed what is here. Returns whether that is news.
    pub(super) fn confirm(&mut self) -> bool {
        self.unconfirmed.take().is_some()
    }

    /// Transactions of this site have come from elsewhere, up to `version`. Inside a write.
    pub(super) fn fetched(&mut self, sqlite: &Connection, version: DbVersion) -> Result<()> {
        self.start = version;
        if let Some(unconfirmed) = &mut self.unconfirmed {
            *unconfirmed = version;
            sqlite
                .prepare_cached("UPDATE trellis_identity SET unconfirmed = ?1")?
                .execute([version.0.cast_signed()])?;
        }
        Ok(())
    }
}

/// Writes down that the present start is confirmed. Inside a write.
pub(super) fn save_confirmed(sqlite: &Connection) -> Result<()> {
    sqlite.execute("UPDATE trellis_identity SET unconfirmed = NULL", [])?;
    Ok(())
}

/// Writes down that the identity is lost. Inside a write.
pub(super) fn save_lost(sqlite: &Connection, lost: LostIdentity) -> Result<()> {
    sqlite.execute("UPDATE trellis_identity SET lost = ?1", [lost.word()])?;
    Ok(())
}

/// First word of the name of a directory with files that were put aside.
const RETIRED: &str = "retired-";

/// File in such a directory that says what became of the transactions in it.
const RESENT: &str = "resent";

/// Puts the database of a node that is not running aside, into a directory within its own, and returns that: the next start
/// begins with an empty one. Nothing is deleted.
///
/// # Errors
/// If the directory is in use, or the files cannot be moved.
pub fn retire(directory: &Path) -> Result<PathBuf> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    };
    let _lock = lock_directory(directory)?;
    let free = (1..).map(|number: u32| directory.join(format!("{RETIRED}{number}")));
    let Some(retired) = free.into_iter().find(|path| !path.exists()) else {
        return Err(StoreError::TransactionState("no name is left for another retired database"));
    };
    std::fs::create_dir(&retired).map_err(io(&retired))?;
    // `Store::open` has found it lost and left it at rest: it has all commits by itself. It goes last: as long as it is
    // here, nothing has happened.
    for suffix in ["-wal", "-wal-kept", ""] {
        let name = format!("{DATABASE_FILE}{suffix}");
        let from = directory.join(&name);
        if from.exists() {
            std::fs::rename(&from, retired.join(&name)).map_err(io(&from))?;
        }
    }
    for path in [retired.as_path(), directory] {
        File::open(path).and_then(|handle| handle.sync_all()).map_err(io(path))?;
    }
    Ok(retired)
}

/// Directories with databases that were put aside, and whose transactions have not been looked at.
///
/// # Errors
/// If the directory cannot be read.
pub fn retired(directory: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| StoreError::Io { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let named =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(RETIRED));
        if named && path.join(DATABASE_FILE).is_file() && !path.join(RESENT).exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Notes what became of the transactions of a database that was put aside.
pub(super) fn note_resent(retired: &Path, summary: &str) -> Result<()> {
    let path = retired.join(RESENT);
    std::fs::write(&path, format!("{summary}\n")).map_err(|source| StoreError::Io { path, source })
}

/// A database that was put aside, as far as it is of interest.
pub(super) struct Retired {
    pub sqlite: Connection,
    /// Its site.
    pub site: SiteId,
    /// From which of its own versions on nobody had confirmed them.
    pub unconfirmed: Option<DbVersion>,
}

impl Retired {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let sqlite = Connection::open(directory.join(DATABASE_FILE))?;
        let site =
            sqlite.query_row("SELECT site FROM trellis_sites WHERE ordinal = 0", [], |row| {
                row.get(0)
            })?;
        let unconfirmed: Option<Option<i64>> = sqlite
            .query_row("SELECT unconfirmed FROM trellis_identity", [], |row| row.get(0))
            .optional()?;
        let unconfirmed = unconfirmed.flatten().map(|it| DbVersion(it.cast_unsigned()));
        Ok(Self { sqlite, site: SiteId(site), unconfirmed })
    }
}
