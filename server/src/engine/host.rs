//! What SQL functions ask of the server: settings, sequences, notifications, signals, sleep.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use trellis_replication::types::Message;
use trellis_sqlcompat::functions::SessionHost;
use trellis_sqlcompat::schema::Sequence;
use trellis_sqlcompat::{Datum, Oid, SqlError, SqlState};

use super::advisory::{LockKey, LockMode, LockScope};
use super::cancel::CancelSwitch;
use super::database::Database;
use super::sequence::Sequences;
use super::temporary_sequence::{TemporarySequences, is_temporary};
use crate::clock;
use crate::session::Settings;
use crate::session::settings::Scope;
use crate::session::{check_channel, check_payload};

/// Notifications that functions made and the transaction has not taken yet.
#[derive(Clone, Default)]
pub(super) struct SharedNotices(Arc<Mutex<Vec<Message>>>);

impl SharedNotices {
    /// Takes them all.
    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, message: Message) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

/// Sequence values kept of one statement, to be given again in its second run.
pub(super) const DRAWS_MAX: usize = 10_000;

/// Longest time between two looks of a session that waits and keeps others from writing.
const WAIT_CHECK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Draws {
    /// Values were drawn that are to be saved when the transaction commits.
    unsaved: bool,
    given: VecDeque<(u32, i64)>,
    /// What an attempt that came to nothing was given: the statement is given the same again, as far as it goes.
    before: VecDeque<(u32, i64)>,
    /// The statement that starts next is such a one.
    redo: bool,
    overflowed: bool,
    replaying: bool,
    /// What a second run is given of each sequence, and how much of it has been. A watched INSERT of one row computes that
    /// row twice, so it begins again at the end.
    replayed: BTreeMap<u32, (Vec<i64>, usize)>,
}

/// What `nextval` gave in a statement: a second run of the same statement gets the same values.
#[derive(Clone, Default)]
pub(super) struct SharedDraws(Arc<Mutex<Draws>>, Arc<Mutex<Values>>);

impl SharedDraws {
    /// Forgets everything: a statement starts.
    pub(super) fn clear(&self) {
        let mut draws = self.lock();
        let given = std::mem::take(&mut draws.given);
        draws.before = if std::mem::take(&mut draws.redo) { given } else { VecDeque::new() };
        (draws.overflowed, draws.replaying) = (false, false);
    }

    /// The statement has come to nothing, for no fault of its own, and starts once more.
    pub(super) fn redo(&self) {
        self.lock().redo = true;
    }

    /// What was given is of no more use: the statement has ended.
    pub(super) fn forget(&self) {
        let mut draws = self.lock();
        draws.given.clear();
        draws.before.clear();
        (draws.overflowed, draws.replaying, draws.redo) = (false, false, false);
    }

    /// Whether the transaction has moved a sequence, which is then told only once.
    pub(super) fn take_unsaved(&self) -> bool {
        std::mem::take(&mut self.lock().unsaved)
    }

    fn note_unsaved(&self) {
        self.lock().unsaved = true;
    }

    /// Gives the same values again from here on; false if too many were given to keep them.
    pub(super) fn replay(&self) -> bool {
        let mut draws = self.lock();
        draws.replaying = !draws.overflowed;
        draws.replayed.clear();
        for (sequence, value) in std::mem::take(&mut draws.given) {
            draws.replayed.entry(sequence).or_default().0.push(value);
        }
        draws.replaying
    }

    /// The value to give again, in a second run or to a statement that starts once more.
    fn again(&self, sequence: u32) -> Option<Result<i64, SqlError>> {
        let mut draws = self.lock();
        if !draws.replaying {
            let (of, value) = draws.before.pop_front()?;
            if of != sequence {
                draws.before.clear();
                return None;
            }
            draws.given.push_back((of, value));
            return Some(Ok(value));
        }
        let next = draws.replayed.get_mut(&sequence).and_then(|(values, given)| {
            let value = values.get(*given % values.len().max(1)).copied();
            *given += 1;
            value
        });
        let other_way =
            || SqlError::new(SqlState::INTERNAL_ERROR, "the second run went another way");
        Some(next.ok_or_else(other_way))
    }

    fn keep(&self, sequence: u32, value: i64) {
        let mut draws = self.lock();
        if draws.given.len() < DRAWS_MAX {
            draws.given.push_back((sequence, value));
        } else {
            draws.overflowed = true;
        }
    }

    /// Forgets what `currval` and `lastval` answer.
    pub(super) fn discard(&self) {
        *self.values() = Values::default();
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Draws> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Values {
    by_sequence: BTreeMap<u32, i64>,
    /// The sequence that `nextval` was last called for.
    last: Option<u32>,
}

/// What a function waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// A lock that others have.
    Lock,
    /// A lock of someone who waits for a lock of this session, directly or not.
    Cycle,
    /// The end of a sleep.
    Sleep,
}

/// The server as one session's functions see it.
pub(super) struct Host {
    database: Weak<Database>,
    pid: u32,
    settings: Arc<Mutex<Settings>>,
    cancel: Arc<CancelSwitch>,
    notices: SharedNotices,
    draws: SharedDraws,
    temporary: TemporarySequences,
}

impl Host {
    pub(super) fn new(
        database: &Arc<Database>,
        pid: u32,
        settings: &Arc<Mutex<Settings>>,
        cancel: &Arc<CancelSwitch>,
        notices: &SharedNotices,
        draws: &SharedDraws,
        temporary: &TemporarySequences,
    ) -> Self {
        Self {
            database: Arc::downgrade(database),
            pid,
            settings: Arc::clone(settings),
            cancel: Arc::clone(cancel),
            notices: notices.clone(),
            draws: draws.clone(),
            temporary: temporary.clone(),
        }
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.draws.values()
    }

    fn database(&self) -> Result<Arc<Database>, SqlError> {
        self.database
            .upgrade()
            .ok_or_else(|| SqlError::new(SqlState::ADMIN_SHUTDOWN, "the server is stopping"))
    }

    /// Does `work` with the sequence, the counters that it is one of, and the database.
    fn with_sequence<T>(
        &self,
        oid: u32,
        work: impl FnOnce(&Database, &Sequences, &Sequence) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let database = self.database()?;
        let committed = || database.schema().catalog.sequences.get(&Oid(oid)).cloned();
        let sequence = self.temporary.find(Oid(oid)).or_else(committed);
        let sequence = sequence.or_else(|| database.uncommitted_sequence(oid));
        let Some(sequence) = sequence else {
            let message = format!("could not open relation with OID {oid}");
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
        };
        work(&database, self.temporary.counters(&sequence, &database.sequences), &sequence)
    }
}

impl SessionHost for Host {
    fn clock_us(&self) -> i64 {
        clock::now_us()
    }

    fn current_setting(&self, name: &str, missing_ok: bool) -> Result<Option<String>, SqlError> {
        match self.settings().show(name) {
            Ok(value) => Ok(Some(value)),
            Err(_) if missing_ok => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_config(&self, name: &str, value: &str, local: bool) -> Result<String, SqlError> {
        let scope = if local { Scope::Transaction } else { Scope::Session };
        let catalog = self.database()?.schema();
        let mut settings = self.settings();
        settings.know_roles(Arc::clone(&catalog.catalog));
        settings.set_from_text(name, value, scope)?;
        settings.show(name)
    }

    fn nextval(&self, sequence: u32) -> Result<i64, SqlError> {
        if let Some(again) = self.draws.again(sequence) {
            return again;
        }
        let value = self.with_sequence(sequence, |database, counters, definition| {
            self.about_to_move(definition, "nextval()")?;
            let site = database.store().site_id();
            database.with_reader(|sqlite| counters.next(definition, site, sqlite))
        })?;
        self.draws.keep(sequence, value);
        let mut values = self.values();
        values.by_sequence.insert(sequence, value);
        values.last = Some(sequence);
        Ok(value)
    }

    fn currval(&self, sequence: u32) -> Result<i64, SqlError> {
        if let Some(value) = self.values().by_sequence.get(&sequence) {
            return Ok(*value);
        }
        self.with_sequence(sequence, |_, _, definition| {
            let message = format!(
                "currval of sequence \"{}\" is not yet defined in this session",
                definition.name
            );
            Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
        })
    }

    fn setval(&self, sequence: u32, value: i64, is_called: bool) -> Result<i64, SqlError> {
        let value = self.with_sequence(sequence, |database, counters, definition| {
            self.about_to_move(definition, "setval()")?;
            database.with_reader(|sqlite| counters.set(definition, value, is_called, sqlite))
        })?;
        if is_called {
            self.values().by_sequence.insert(sequence, value);
        }
        Ok(value)
    }

    fn lastval(&self) -> Result<i64, SqlError> {
        let last = self.values().last;
        // A sequence that was dropped since has no last value.
        let exists = |oid: &u32| self.with_sequence(*oid, |_, _, _| Ok(())).is_ok();
        let value =
            last.filter(exists).and_then(|oid| self.values().by_sequence.get(&oid).copied());
        value.ok_or_else(|| {
            let message = "lastval is not yet defined in this session";
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn notify(&self, channel: &str, payload: &str) -> Result<(), SqlError> {
        check_channel(channel)?;
        check_payload(payload)?;
        let (channel, payload) = (channel.to_owned(), payload.to_owned());
        self.notices.add(Message { channel, payload });
        Ok(())
    }

    fn sleep(&self, seconds: f64) -> Result<(), SqlError> {
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, 31_536_000.0) } else { 0.0 };
        let (started, time) = (clock::now(), Duration::from_secs_f64(seconds));
        loop {
            let left = time.saturating_sub(clock::now().saturating_duration_since(started));
            if left.is_zero() {
                return Ok(());
            }
            let patience = self.wait_on(started, Wait::Sleep)?;
            self.cancel.sleep(left.min(patience));
        }
    }

    fn call(&self, function: &str, arguments: &[Datum]) -> Result<Datum, SqlError> {
        match (function, arguments) {
            ("pg_pg_cancel_backend", [Datum::Integer(pid)]) => self.signal(*pid, false),
            ("pg_pg_terminate_backend", [Datum::Integer(pid), ..]) => self.signal(*pid, true),
            ("pg_pg_advisory_unlock_all", []) => {
                self.database()?.advisory.release(self.pid, LockScope::Session);
                Ok(Datum::Null)
            }
            ("pg_pg_sequence_last_value", [Datum::Integer(sequence)]) => {
                self.last_value(u32::try_from(*sequence).unwrap_or(0))
            }
            ("pg_pg_database_size_oid" | "pg_pg_database_size_name", [_]) => self.database_size(),
            _ if function.contains("_advisory_") => self.advisory(function, arguments),
            _ => Err(SqlError::unsupported(format_args!(
                "function {}",
                function.strip_prefix("pg_").unwrap_or(function)
            ))),
        }
    }
}

impl Host {
    /// `pg_advisory_lock` and its kin: the name says how, one or two integers say what.
    fn advisory(&self, function: &str, arguments: &[Datum]) -> Result<Datum, SqlError> {
        let key = match arguments {
            [Datum::Integer(key)] => LockKey::One(*key),
            [Datum::Integer(class), Datum::Integer(key)] => LockKey::Two(*class, *key),
            _ => return Ok(Datum::Null),
        };
        let has = |part: &str| function.contains(part);
        let mode = if has("_shared") { LockMode::Shared } else { LockMode::Exclusive };
        let scope = if has("_xact_") { LockScope::Transaction } else { LockScope::Session };
        let locks = &self.database()?.advisory;
        if has("_unlock") {
            return Ok(Datum::Integer(i64::from(locks.unlock(self.pid, key, mode))));
        }
        if has("_try_") {
            return Ok(Datum::Integer(i64::from(locks.try_lock(self.pid, key, mode, scope))));
        }
        let started = clock::now();
        locks.wait_lock(self.pid, key, mode, scope, |in_cycle| {
            self.wait_on(started, if in_cycle { Wait::Cycle } else { Wait::Lock })
        })?;
        // The functions return void, which is not NULL.
        Ok(Datum::Text(String::new()))
    }

    /// Whether the statement may go on waiting, and when to ask again.
    ///
    /// A session that has the write lease while it waits for something else may be what the other waits for; which of them
    /// has to wait for which cannot be known, so it gives up as soon as anyone waits for the lease.
    fn wait_on(&self, started: Instant, wait: Wait) -> Result<Duration, SqlError> {
        if self.cancel.is_over() {
            return Err(self.cancel.reason());
        }
        let limits = self.settings().limits();
        let waited = clock::now().saturating_duration_since(started);
        let lock_timeout = limits.lock_timeout.filter(|_| wait != Wait::Sleep);
        if lock_timeout.is_some_and(|timeout| waited >= timeout) {
            let message = "canceling statement due to lock timeout";
            return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message));
        }
        let keeps_writers =
            || self.database().is_ok_and(|database| database.lease().is_kept_by_this_thread());
        let check = limits.deadlock_timeout.saturating_sub(waited);
        if check.is_zero() && (wait == Wait::Cycle || keeps_writers()) {
            return Err(SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                .with_detail("The session waits, and keeps others from writing or locking."));
        }
        let check = if check.is_zero() { WAIT_CHECK } else { check };
        Ok(lock_timeout.map_or(check, |timeout| check.min(timeout.saturating_sub(waited))))
    }

    /// A sequence is about to move: 25006 in a read-only transaction, unless it is temporary.
    fn about_to_move(&self, sequence: &Sequence, function: &str) -> Result<(), SqlError> {
        if is_temporary(sequence) {
            return Ok(());
        }
        self.refuse_read_only(function)?;
        self.draws.note_unsaved();
        Ok(())
    }

    /// 25006 in a read-only transaction.
    fn refuse_read_only(&self, function: &str) -> Result<(), SqlError> {
        if self.settings().show("transaction_read_only").is_ok_and(|value| value == "on") {
            let message = format!("cannot execute {function} in a read-only transaction");
            return Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        Ok(())
    }

    fn last_value(&self, sequence: u32) -> Result<Datum, SqlError> {
        let last = self.with_sequence(sequence, |database, counters, definition| {
            let site = database.store().site_id();
            database.with_reader(|sqlite| counters.last(definition, site, sqlite))
        })?;
        Ok(last.map_or(Datum::Null, Datum::Integer))
    }

    fn database_size(&self) -> Result<Datum, SqlError> {
        let size = self.database()?.with_reader(|sqlite| {
            sqlite.query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
        });
        size.map(Datum::Integer).map_err(|error| super::schema::internal(&error))
    }

    fn signal(&self, pid: i64, terminate: bool) -> Result<Datum, SqlError> {
        let pid = u32::try_from(pid).unwrap_or(0);
        let found = self.database()?.registry.signal(pid, terminate);
        Ok(Datum::Integer(i64::from(found)))
    }
}
