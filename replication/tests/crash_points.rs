//! A database opened as a crash at any moment may have left it holds exactly the transactions up to some position, and all
//! that were told to anyone.
//!
//! A workload of more than a thousand transactions of all kinds runs under a recording of its files (feature `recording`).
//! From it the files are made again as they may be after a crash at a chosen moment:
//!
//! | crash | what is left of what was not synced |
//! |---|---|
//! | kill | everything |
//! | power, orderly disk | nothing |
//! | power, disorderly disk | any writes of any file, the last of them torn between two sectors |
//!
//! and opened: by then a full check has run on them, since a copy of files leaves doubt about who wrote them last. Rows,
//! heads and the end of the log must be those that the workload had at the position found, and that must not be below
//! the last one a listener was told of: so nothing acknowledged is lost and no version is used again for something else.
//!
//! By default the moment before or after each sync is tried with one kind of crash, and a sample of those between.
//! `TRELLIS_CRASH_POINTS=all` tries every moment with every kind, `TRELLIS_CRASH_SEED` repeats a run.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed run")]
#![expect(clippy::print_stdout, reason = "the seed repeats a failed run")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use trellis_replication::store::{
    AppliedTransaction, ApplyOutcome, DATABASE_FILE, FileEvent, LogLimits, LogRange, LogSlice,
    Pending, Recording, Store, StoreConnection, StoreOptions, TableDigest, TableSpec,
};
use trellis_replication::types::{ColumnId, DbVersion, Heads, Position, SiteId, TableId};

/// Rounds of the workload, of several transactions each.
const ROUNDS: u64 = 220;

/// Moments between syncs that are tried unless all are.
const SAMPLES: usize = 250;

#[test]
fn a_crash_at_any_moment_leaves_a_prefix_that_holds_all_that_was_told() {
    let all = std::env::var("TRELLIS_CRASH_POINTS").is_ok_and(|points| points == "all");
    run(ROUNDS, if all { Coverage::EveryWay } else { Coverage::Syncs });
}

#[test]
fn no_crash_while_opening_or_closing_is_taken_for_a_foreign_write() {
    run(0, Coverage::EveryMoment);
}

/// At which moments to crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coverage {
    /// Before or after each sync, and at some others.
    Syncs,
    /// At each, in one way.
    EveryMoment,
    /// At each, in every way.
    EveryWay,
}

/// Crashes a workload of that many rounds at some or all moments.
fn run(rounds: u64, coverage: Coverage) {
    static ONE_RECORDING: Mutex<()> = Mutex::new(());
    let seed = std::env::var("TRELLIS_CRASH_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("TRELLIS_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (events, expected) = {
        let _one = ONE_RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
        record(rounds, &mut random)
    };
    let moments = moments(&events, coverage, &mut random);
    println!(
        "{} transactions, {} events, {} crashes",
        expected.keys().last().unwrap(),
        events.len(),
        moments.len()
    );
    let mut disk = Disk::default();
    let mut next = 0;
    let found = Mutex::new(BTreeMap::new());
    // As many as are being looked at wait to be.
    let (sender, receiver) = sync_channel::<Left>(VERIFIERS);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        for _ in 0..VERIFIERS {
            scope.spawn(|| {
                loop {
                    let Ok(left) = receiver.lock().unwrap().recv() else { return };
                    let position = left.verify(&expected).unwrap_or_else(|error| {
                        panic!("seed {seed}, {:?} at event {}: {error}", left.crash, left.moment)
                    });
                    *found.lock().unwrap().entry(position).or_insert(0) += 1;
                }
            });
        }
        for (moment, crash) in moments {
            for (index, event) in events.iter().enumerate().take(moment).skip(next) {
                disk.happen(index, event);
            }
            next = moment;
            let directory = disk.left_by(crash, &mut random);
            if sender.send(Left { directory, told: disk.told, crash, moment }).is_err() {
                break;
            }
        }
        drop(sender);
    });
    println!("{} different positions were found", found.lock().unwrap().len());
}

/// Threads that look at what crashes left.
const VERIFIERS: usize = 2;

/// How a process or machine ends.
#[derive(Clone, Copy, Debug)]
enum Crash {
    Kill,
    PowerOrderly,
    PowerDisorderly,
}

const CRASHES: [Crash; 3] = [Crash::Kill, Crash::PowerOrderly, Crash::PowerDisorderly];

/// When to crash, and how; sorted by when.
fn moments(events: &[FileEvent], coverage: Coverage, random: &mut StdRng) -> Vec<(usize, Crash)> {
    let every = 0..=events.len();
    let mut moments: Vec<usize> = match coverage {
        Coverage::EveryWay => {
            return every.flat_map(|moment| CRASHES.map(|crash| (moment, crash))).collect();
        }
        Coverage::EveryMoment => every.clone().collect(),
        Coverage::Syncs => {
            let is_sync = |event: &FileEvent| matches!(event, FileEvent::Synced { .. });
            let syncs = events.iter().enumerate().filter(|(_, event)| is_sync(event));
            let near = syncs.map(|(index, _)| index + usize::from(random.random::<bool>()));
            near.collect()
        }
    };
    if coverage == Coverage::Syncs {
        moments.extend((0..SAMPLES).map(|_| random.random_range(every.clone())));
        moments.sort_unstable();
        moments.dedup();
    }
    moments.into_iter().map(|moment| (moment, CRASHES[random.random_range(0..3)])).collect()
}

/// What the database held at a position.
#[derive(Debug, Default)]
struct Expected {
    /// One for each set of tables that there were while the log ended here.
    digests: Vec<Vec<TableDigest>>,
    heads: Heads,
    /// What identifies the transaction.
    identity: (Option<SiteId>, DbVersion, u64),
}

/// The files as they are on disk and in the system's memory.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, File>,
    /// The last position that a listener was told of.
    told: u64,
}

#[derive(Default)]
struct File {
    /// What is on the disk; none if it is not there.
    durable: Option<Vec<u8>>,
    /// What has been done since, and when.
    pending: Vec<(usize, FileEvent)>,
}

impl Disk {
    fn happen(&mut self, index: usize, event: &FileEvent) {
        match event {
            FileEvent::Mark(position) => self.told = *position,
            FileEvent::Synced { path, until } => {
                if let Some(file) = self.file(path) {
                    file.flush(*until);
                }
                // File systems keep changes of directories in order, and a sync takes along those before it.
                for file in self.files.values_mut() {
                    let deleted = file.pending.iter().rposition(|(index, event)| {
                        index < until && matches!(event, FileEvent::Deleted { .. })
                    });
                    if let Some(deleted) = deleted {
                        let until = file.pending[deleted].0 + 1;
                        file.flush(until);
                    }
                }
            }
            FileEvent::Write { path, .. }
            | FileEvent::Truncate { path, .. }
            | FileEvent::Deleted { path } => {
                if let Some(file) = self.file(path) {
                    file.pending.push((index, event.clone()));
                }
            }
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        let name = path.file_name()?.to_str()?;
        Some(self.files.entry(name.to_owned()).or_default())
    }

    /// A directory with what a crash leaves.
    fn left_by(&self, crash: Crash, random: &mut StdRng) -> TempDir {
        let directory = memory_directory();
        for (name, file) in &self.files {
            let mut image = file.durable.clone();
            match crash {
                Crash::Kill => file.pending.iter().for_each(|(_, event)| change(&mut image, event)),
                Crash::PowerOrderly => {}
                Crash::PowerDisorderly => file.some_of_pending(&mut image, random),
            }
            if let Some(image) = image {
                std::fs::write(directory.path().join(name), image).unwrap();
            }
        }
        directory
    }
}

impl File {
    /// Does some of what is pending to an image, the last of it in part. What follows a deletion happened to another file of
    /// the same name, and is there only if the first one is gone.
    fn some_of_pending(&self, image: &mut Option<Vec<u8>>, random: &mut StdRng) {
        let mut kept = Vec::new();
        for (_, event) in &self.pending {
            let is_kept: bool = random.random();
            match event {
                FileEvent::Deleted { .. } if !is_kept => break,
                _ if is_kept => kept.push(event),
                _ => {}
            }
        }
        let last = kept.pop();
        kept.into_iter().for_each(|event| change(image, event));
        if let Some(last) = last {
            change(image, &torn(last, random));
        }
    }

    /// What was done before `until` is on the disk.
    fn flush(&mut self, until: usize) {
        let rest = self.pending.partition_point(|(index, _)| *index < until);
        for (_, event) in self.pending.drain(..rest) {
            change(&mut self.durable, &event);
        }
    }
}

/// Does to an image of a file what was done to the file.
fn change(image: &mut Option<Vec<u8>>, event: &FileEvent) {
    match event {
        FileEvent::Write { offset, bytes, .. } => {
            let image = image.get_or_insert_default();
            let start = usize::try_from(*offset).unwrap();
            let end = start + bytes.len();
            image.resize(image.len().max(end), 0);
            image[start..end].copy_from_slice(bytes);
        }
        FileEvent::Truncate { size, .. } => {
            image.get_or_insert_default().resize(usize::try_from(*size).unwrap(), 0);
        }
        FileEvent::Deleted { .. } => *image = None,
        FileEvent::Synced { .. } | FileEvent::Mark(_) => {}
    }
}

/// A write of which only the first sectors reached the disk.
fn torn(event: &FileEvent, random: &mut StdRng) -> FileEvent {
    const SECTOR: usize = 512;
    match event {
        FileEvent::Write { path, offset, bytes } => {
            let kept = random.random_range(0..=bytes.len() / SECTOR) * SECTOR;
            let (path, bytes) = (Arc::clone(path), bytes[..kept].into());
            FileEvent::Write { path, offset: *offset, bytes }
        }
        other => other.clone(),
    }
}

/// A directory in memory, if there is one: what a crash left is read once.
fn memory_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// What a crash left.
struct Left {
    directory: TempDir,
    /// The last position that a listener had been told of.
    told: u64,
    crash: Crash,
    moment: usize,
}

impl Left {
    /// Opens it; returns the position found.
    fn verify(&self, expected: &BTreeMap<u64, Expected>) -> Result<u64, String> {
        let (left, told) = (&self.directory, self.told);
        let log = left.path().join(format!("{DATABASE_FILE}-wal"));
        if let Ok(log) = std::fs::File::options().write(true).open(log) {
            // As the node had laid it out; a file with holes is made faster than one of zeros.
            let length = log.metadata().unwrap().len();
            log.set_len(length.max(18 << 20)).unwrap();
        }
        let options = StoreOptions { site_id: Some(SiteId([1; 16])), ..StoreOptions::default() };
        let store = Store::open(left.path(), options).map_err(|error| error.to_string())?;
        if self.moment.is_multiple_of(8) {
            let findings = store.check().map_err(|error| error.to_string())?;
            if !findings.is_empty() {
                return Err(findings.join("; "));
            }
        }
        let position = store.position().0;
        if position < told {
            return Err(format!("told of {told}, found {position}"));
        }
        let at = expected.get(&position).ok_or(format!("no transaction ended at {position}"))?;
        let digests = store.digest().map_err(|error| error.to_string())?;
        if !at.digests.contains(&digests) && !digests.is_empty() {
            return Err(format!("rows differ at {position}: {digests:?}, not {:?}", at.digests));
        }
        if store.heads() != at.heads {
            return Err(format!("heads differ at {position}"));
        }
        let last = store.read_from(Position(position.saturating_sub(1)), 1);
        if let LogRange::Transactions(last) = last.map_err(|error| error.to_string())?
            && let Some(last) = last.first()
            && (Some(last.origin), last.version, last.committed_at_us) != at.identity
        {
            return Err(format!("another transaction is at {position}"));
        }
        Ok(position)
    }
}

/// Runs the workload; returns what was done to its files, and what it held at each position.
fn record(rounds: u64, random: &mut StdRng) -> (Vec<FileEvent>, BTreeMap<u64, Expected>) {
    let elsewhere = memory_directory();
    let other = Store::open(elsewhere.path(), StoreOptions::default()).unwrap();
    create(&other, TABLE, "t");
    let directory = memory_directory();
    let path = directory.path().canonicalize().unwrap();
    let recording = Recording::start();
    let mut workload = Workload::new(&path, other);
    for round in 0..rounds {
        workload.round(round, random);
    }
    workload.reopen();
    let Workload { store, mut expected, told, .. } = workload;
    drop(store);
    let mut heads = Heads::new();
    for applied in told.lock().unwrap().iter() {
        let position = applied.position.0;
        heads.insert(applied.origin, applied.version);
        if let Some(at) = expected.get_mut(&position) {
            at.heads = heads.clone();
            at.identity = (Some(applied.origin), applied.version, applied.committed_at_us);
        }
    }
    let ours = |file: &Path| file.parent() == Some(&path);
    let events = recording.finish().into_iter().filter(|event| match event {
        FileEvent::Write { path, .. }
        | FileEvent::Truncate { path, .. }
        | FileEvent::Deleted { path }
        | FileEvent::Synced { path, .. } => ours(path),
        FileEvent::Mark(_) => true,
    });
    (events.collect(), expected)
}

/// The table that both sites write.
const TABLE: u64 = 7;

fn spec(id: u64, name: &str, columns: &[&str]) -> TableSpec {
    let columns = (1..).map(ColumnId).zip(columns.iter().map(|name| (*name).to_owned())).collect();
    TableSpec { id: TableId(id), name: name.into(), columns, key: vec![ColumnId(1)], system: false }
}

fn create(store: &Store, id: u64, name: &str) {
    let mut connection = store.connect().unwrap();
    connection.begin(store.lease().acquire_uncancelled()).unwrap();
    let create =
        format!("CREATE TABLE {name} (id TEXT PRIMARY KEY NOT NULL, a TEXT, b INTEGER) STRICT");
    connection.sqlite().execute_batch(&create).unwrap();
    connection.register_table(&spec(id, name, &["id", "a", "b"])).unwrap();
    connection.commit().unwrap().unwrap().wait().unwrap();
}

struct Workload {
    store: Arc<Store>,
    /// The other site.
    other: Arc<Store>,
    directory: PathBuf,
    expected: BTreeMap<u64, Expected>,
    /// What of the other's has been applied.
    applied: DbVersion,
    /// What the listener heard.
    told: Arc<Mutex<Vec<Arc<AppliedTransaction>>>>,
}

impl Workload {
    fn new(directory: &Path, other: Arc<Store>) -> Self {
        let options = StoreOptions { site_id: Some(SiteId([1; 16])), ..StoreOptions::default() };
        let store = Store::open(directory, options).unwrap();
        let (directory, expected) = (directory.to_owned(), BTreeMap::new());
        let told = Arc::default();
        let mut workload = Self { store, other, directory, expected, applied: DbVersion(0), told };
        workload.listen();
        workload.note();
        create(&workload.store, TABLE, "t");
        workload.note();
        create(&workload.store, 8, "u");
        workload.note();
        workload.write("CREATE TABLE local (a)");
        workload
    }

    /// Some transactions of all kinds.
    fn round(&mut self, round: u64, random: &mut StdRng) {
        let key: u32 = random.random_range(0..60);
        self.write(&format!(
            "INSERT OR REPLACE INTO t VALUES ('{key}', hex(randomblob(200)), {round})"
        ));
        self.write(&format!("INSERT INTO u SELECT {round} || value, 'x', value FROM generate WHERE value < 9"
        ).replace("generate", "(WITH RECURSIVE g(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM g LIMIT 20) SELECT value FROM g)"));
        // Two that wait for the disk together.
        let first =
            self.begin_write(&format!("UPDATE t SET b = b + 1 WHERE b % 3 = {}", round % 3));
        let second = self.begin_write(&format!("DELETE FROM u WHERE b = {}", round % 9));
        [first, second].into_iter().flatten().for_each(|pending| pending.wait().unwrap());
        self.write("INSERT INTO local VALUES (1)");
        self.write_parts(round);
        if round.is_multiple_of(3) {
            self.exchange(round);
        }
        if round % 10 == 4 {
            self.schema(round);
        }
        if round % 25 == 20 {
            self.store.trim(&self.store.heads(), &LogLimits::NEEDED).unwrap();
            self.note();
            self.store.vacuum().unwrap();
        }
        if round % 40 == 39 {
            self.reopen();
        }
        if round == ROUNDS / 2 {
            // A transaction of several chunks.
            self.write("INSERT INTO u WITH RECURSIVE g(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM g LIMIT 60) SELECT 'large' || v, hex(randomblob(12000)), 1 FROM g");
            self.write("DELETE FROM u WHERE id LIKE 'large%'");
        }
    }

    /// Applies what the other site writes.
    fn exchange(&mut self, round: u64) {
        for change in [
            format!("INSERT OR REPLACE INTO t VALUES ('{}', 'other', {round})", round % 60),
            format!("DELETE FROM t WHERE id = '{}'", (round * 7) % 60),
        ] {
            let mut connection = self.other.connect().unwrap();
            write(&self.other, &mut connection, |connection| {
                connection.sqlite().execute_batch(&change).unwrap();
            });
        }
        let site = self.other.site_id();
        let LogSlice::Changesets(log) =
            self.other.read_log(site, self.applied, usize::MAX).unwrap()
        else {
            panic!("trimmed")
        };
        let outcomes = self.store.apply(&log);
        assert!(outcomes.iter().all(|outcome| *outcome == ApplyOutcome::Applied), "{outcomes:?}");
        self.applied = self.other.heads()[&site];
        self.note();
    }

    /// A table comes, has rows, gets a column, and goes.
    fn schema(&mut self, round: u64) {
        let (id, name) = (100 + round, format!("v{round}"));
        create(&self.store, id, &name);
        self.note();
        self.write(&format!("INSERT INTO {name} VALUES ('1', 'x', 1), ('2', 'y', 2)"));
        let mut connection = self.store.connect().unwrap();
        write(&self.store, &mut connection, |connection| {
            let add = format!(
                "ALTER TABLE {name} ADD COLUMN c INTEGER DEFAULT 5; UPDATE {name} SET c = 6 WHERE b = 1"
            );
            connection.sqlite().execute_batch(&add).unwrap();
            connection.register_table(&spec(id, &name, &["id", "a", "b", "c"])).unwrap();
        });
        self.note();
        write(&self.store, &mut connection, |connection| {
            connection.sqlite().execute_batch(&format!("DROP TABLE {name}")).unwrap();
            connection.unregister_table(TableId(id)).unwrap();
        });
        self.note();
    }

    /// Ends the node and starts it again.
    fn reopen(&mut self) {
        let options = StoreOptions::default();
        let parked = Store::open(memory_directory().path(), options.clone()).unwrap();
        drop(std::mem::replace(&mut self.store, parked));
        self.store = Store::open(&self.directory, options).unwrap();
        self.listen();
        self.note();
    }

    /// Marks in the recording what is told, and keeps it.
    fn listen(&self) {
        let told = Arc::clone(&self.told);
        self.store.set_listener(Box::new(move |applied| {
            for applied in applied {
                Recording::mark(applied.position.0);
                told.lock().unwrap().push(Arc::clone(applied));
            }
        }));
    }

    fn write(&mut self, sql: &str) {
        if let Some(pending) = self.begin_write(sql) {
            pending.wait().unwrap();
        }
    }

    /// Transactions that are committed together.
    fn write_parts(&mut self, round: u64) {
        let mut connection = self.store.connect().unwrap();
        write(&self.store, &mut connection, |connection| {
            for part in 0..3 {
                let sql = format!(
                    "SAVEPOINT part; UPDATE t SET b = {part} WHERE b % 5 = {part};
                     INSERT OR REPLACE INTO u VALUES ('part {part}', 'x', {round})"
                );
                connection.sqlite().execute_batch(&sql).unwrap();
                connection.end_part(part).unwrap();
                connection.sqlite().execute_batch("RELEASE part").unwrap();
            }
        });
        self.note();
    }

    fn begin_write(&mut self, sql: &str) -> Option<Pending> {
        let mut connection = self.store.connect().unwrap();
        connection.begin(self.store.lease().acquire_uncancelled()).unwrap();
        connection.sqlite().execute_batch(sql).unwrap();
        let pending = connection.commit().unwrap();
        drop(connection);
        if let Some(position) = pending.as_ref().and_then(Pending::position) {
            self.note_at(position.0);
        }
        pending
    }

    /// Notes what the database holds when all is durable.
    fn note(&mut self) {
        self.note_at(self.store.position().0);
    }

    fn note_at(&mut self, position: u64) {
        let digests = self.store.digest().unwrap();
        let at = self.expected.entry(position).or_default();
        if !at.digests.contains(&digests) {
            at.digests.push(digests);
        }
    }
}

fn write(
    store: &Store,
    connection: &mut StoreConnection,
    change: impl FnOnce(&mut StoreConnection),
) {
    connection.begin(store.lease().acquire_uncancelled()).unwrap();
    change(connection);
    if let Some(pending) = connection.commit().unwrap() {
        pending.wait().unwrap();
    }
}
