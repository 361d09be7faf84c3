//! What functions know of the session that runs them, and what they may ask of the server.
//!
//! One [`SessionContext`] belongs to one session and is cloned into the functions on its connection. The session brings it
//! up to date between statements ([`SessionContext::update`]); within a statement it does not move, which is why `now()`
//! may count as deterministic. What only the server can do goes through [`SessionHost`].
//!
//! # Bounds
//! [`PATTERNS_MAX`] compiled patterns are kept; when full, the cache starts over.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bind::{BindContext, Parameters};
use crate::catalog::Names;
use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::KeptRows;
use crate::schema::Catalog;
use crate::settings::FormatSettings;
use crate::types::TypeContext;

/// Compiled patterns kept per session.
const PATTERNS_MAX: usize = 256;

/// The session's state as functions see it.
#[derive(Clone)]
pub struct SessionState {
    /// Settings that change how values are read and written.
    pub settings: FormatSettings,
    /// The user's schema.
    pub catalog: Arc<Catalog>,
    /// `search_path`, resolved.
    pub search_path: Vec<String>,
    /// Start of the transaction, microseconds since 2000-01-01 UTC: `now()`.
    pub transaction_us: i64,
    /// Start of the statement, the same: `statement_timestamp()`.
    pub statement_us: i64,
    /// `current_user`.
    pub user: String,
    /// `session_user`.
    pub session_user: String,
    /// `current_database()`.
    pub database: String,
    /// `pg_backend_pid()`.
    pub backend_pid: i32,
}

impl SessionState {
    /// What texts that have no parameters are bound against in this session.
    #[must_use]
    pub(super) fn bind_context(&self) -> BindContext<'_> {
        BindContext {
            catalog: &self.catalog,
            search_path: &self.search_path,
            user: &self.user,
            database: &self.database,
            settings: &self.settings,
            parameters: Parameters::None,
        }
    }
}

impl Default for SessionState {
    fn default() -> Self {
        Self {
            settings: FormatSettings::default(),
            catalog: Arc::default(),
            search_path: vec!["public".to_owned()],
            transaction_us: 0,
            statement_us: 0,
            user: "postgres".to_owned(),
            session_user: "postgres".to_owned(),
            database: "postgres".to_owned(),
            backend_pid: 0,
        }
    }
}

/// What only the server can do. Each method answers 0A000 unless the server provides it.
pub trait SessionHost: Send + Sync {
    /// Microseconds since 2000-01-01 UTC: `clock_timestamp()`.
    fn clock_us(&self) -> i64 {
        0
    }
    /// `current_setting(name, missing_ok)`; `None` where missing is allowed.
    ///
    /// # Errors
    /// 42704 for an unknown setting.
    fn current_setting(&self, name: &str, missing_ok: bool) -> Result<Option<String>, SqlError> {
        let _ = (name, missing_ok);
        Err(SqlError::unsupported("current_setting"))
    }
    /// `set_config(name, value, is_local)`; answers the new value.
    ///
    /// # Errors
    /// 42704 for an unknown setting, 22023 for a bad value.
    fn set_config(&self, name: &str, value: &str, local: bool) -> Result<String, SqlError> {
        let _ = (name, value, local);
        Err(SqlError::unsupported("set_config"))
    }
    /// `nextval(oid)`.
    ///
    /// # Errors
    /// 2200H at the end of a sequence that does not cycle.
    fn nextval(&self, sequence: u32) -> Result<i64, SqlError> {
        let _ = sequence;
        Err(SqlError::unsupported("nextval"))
    }
    /// `currval(oid)`.
    ///
    /// # Errors
    /// 55000 if `nextval` has not been called in this session.
    fn currval(&self, sequence: u32) -> Result<i64, SqlError> {
        let _ = sequence;
        Err(SqlError::unsupported("currval"))
    }
    /// `setval(oid, value, is_called)`.
    ///
    /// # Errors
    /// 22003 out of the sequence's bounds.
    fn setval(&self, sequence: u32, value: i64, is_called: bool) -> Result<i64, SqlError> {
        let _ = (sequence, value, is_called);
        Err(SqlError::unsupported("setval"))
    }
    /// `lastval()`.
    ///
    /// # Errors
    /// 55000 if `nextval` has not been called in this session.
    fn lastval(&self) -> Result<i64, SqlError> {
        Err(SqlError::unsupported("lastval"))
    }
    /// `pg_notify(channel, payload)`.
    ///
    /// # Errors
    /// 22023 for a channel or payload that is empty or too long.
    fn notify(&self, channel: &str, payload: &str) -> Result<(), SqlError> {
        let _ = (channel, payload);
        Err(SqlError::unsupported("pg_notify"))
    }
    /// `pg_sleep(seconds)`; ends early with 57014 when the statement is cancelled.
    ///
    /// # Errors
    /// 57014 when cancelled.
    fn sleep(&self, seconds: f64) -> Result<(), SqlError> {
        let _ = seconds;
        Err(SqlError::unsupported("pg_sleep"))
    }
    /// Any other function that needs the server, by its SQLite name; `arguments` in storage form.
    ///
    /// # Errors
    /// 0A000 if the server has no such function.
    fn call(&self, function: &str, arguments: &[Datum]) -> Result<Datum, SqlError> {
        let _ = arguments;
        Err(SqlError::unsupported(function.strip_prefix("pg_").unwrap_or(function)))
    }
}

/// A host that can do nothing.
struct NoHost;

impl SessionHost for NoHost {}

struct Inner {
    state: Mutex<Arc<SessionState>>,
    host: Mutex<Arc<dyn SessionHost>>,
    error: Mutex<Option<SqlError>>,
    patterns: Mutex<BTreeMap<String, Arc<dyn Any + Send + Sync>>>,
    random: Mutex<SharedGenerator>,
    kept: KeptRows,
    /// See [`SessionContext::forgiving`].
    forgiving: bool,
}

/// A session's random numbers, which follow it to wherever its statements are run.
type SharedGenerator = Arc<Mutex<crate::functions::math_random::Generator>>;

/// Handle to a session's state; clones share it.
#[derive(Clone)]
pub struct SessionContext(Arc<Inner>);

impl Default for SessionContext {
    fn default() -> Self {
        Self::new(SessionState::default(), Box::new(NoHost))
    }
}

/// A lock whose holder panicked still guards whole values here: each is replaced at once.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionContext {
    /// A context with that state and host.
    #[must_use]
    pub fn new(state: SessionState, host: Box<dyn SessionHost>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(Arc::new(state)),
            host: Mutex::new(Arc::from(host)),
            error: Mutex::new(None),
            patterns: Mutex::default(),
            random: Mutex::default(),
            kept: KeptRows::default(),
            forgiving: false,
        }))
    }

    /// A context in which a function that would fail is NULL: for evaluating what a schema computes from rows that no
    /// client can be told about, since they come of merging what several have written.
    #[must_use]
    pub fn forgiving() -> Self {
        let mut context = Self::default();
        if let Some(inner) = Arc::get_mut(&mut context.0) {
            inner.forgiving = true;
        }
        context
    }

    /// Whether this is a [`Self::forgiving`] one.
    #[must_use]
    pub fn is_forgiving(&self) -> bool {
        self.0.forgiving
    }

    /// The state as of now.
    #[must_use]
    pub fn state(&self) -> Arc<SessionState> {
        Arc::clone(&lock(&self.0.state))
    }

    /// Changes the state; to be called between statements.
    pub fn update(&self, change: impl FnOnce(&mut SessionState)) {
        change(Arc::make_mut(&mut lock(&self.0.state)));
    }

    /// Makes this the context of what `other`'s session does elsewhere: the same state and random numbers, and what `wrap`
    /// makes of its host.
    pub fn adopt(
        &self,
        other: &Self,
        wrap: impl FnOnce(Arc<dyn SessionHost>) -> Arc<dyn SessionHost>,
    ) {
        *lock(&self.0.state) = other.state();
        let host = Arc::clone(&lock(&other.0.host));
        *lock(&self.0.host) = wrap(host);
        *lock(&self.0.random) = Arc::clone(&lock(&other.0.random));
        self.0.kept.clear();
    }

    /// Asks the host.
    pub fn with_host<T>(&self, ask: impl FnOnce(&dyn SessionHost) -> T) -> T {
        let host = Arc::clone(&lock(&self.0.host));
        ask(host.as_ref())
    }

    /// Runs `work` with the type context of this session.
    pub fn with_types<T>(&self, work: impl FnOnce(&TypeContext) -> T) -> T {
        let state = self.state();
        let names = Names::new(&state.catalog, &state.search_path).with_user(&state.session_user);
        work(&TypeContext {
            settings: &state.settings,
            names: &names,
            now_us: state.transaction_us,
        })
    }

    /// Keeps the error that a function raised, for [`SessionContext::take_error`]. The first one stays.
    pub fn fail(&self, error: SqlError) {
        lock(&self.0.error).get_or_insert(error);
    }

    /// The error that a function raised since the last call, if any.
    #[must_use]
    pub fn take_error(&self) -> Option<SqlError> {
        lock(&self.0.error).take()
    }

    /// The rows that the running statement keeps for its later steps.
    #[must_use]
    pub fn keep(&self) -> KeptRows {
        self.0.kept.clone()
    }

    /// The session's random numbers.
    pub(crate) fn with_random<T>(
        &self,
        work: impl FnOnce(&mut crate::functions::math_random::Generator) -> T,
    ) -> T {
        let random = Arc::clone(&lock(&self.0.random));
        work(&mut lock(&random))
    }

    /// A compiled pattern from the cache, or made by `compile` and kept there.
    pub(crate) fn pattern<T: Any + Send + Sync>(
        &self,
        key: &str,
        compile: impl FnOnce() -> Result<T, SqlError>,
    ) -> Result<Arc<T>, SqlError> {
        let found = lock(&self.0.patterns).get(key).cloned();
        if let Some(Ok(pattern)) = found.map(Arc::downcast::<T>) {
            return Ok(pattern);
        }
        let made = Arc::new(compile()?);
        let mut patterns = lock(&self.0.patterns);
        if patterns.len() >= PATTERNS_MAX {
            patterns.clear();
        }
        patterns.insert(key.to_owned(), Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
        Ok(made)
    }
}
