//! The session's settings: PostgreSQL's run-time parameters, with transactions and `SET LOCAL`.
//!
//! Which settings exist, their kinds, units and limits comes from PostgreSQL's own `pg_settings`. A value is kept in the
//! form that `pg_settings.setting` shows (numbers in the setting's base unit); [`Settings::show`] is `SHOW`'s form.
//!
//! Three layers, nearest first: values set with `SET LOCAL` (until the transaction ends), values set for the session,
//! and defaults (from the server, then from the startup packet). `ROLLBACK` and `ROLLBACK TO` put back a copy taken
//! before, which is cheap because only what was set is kept.
//!
//! Sources: PostgreSQL manual, `config-setting`, `sql-set`, `sql-show`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use trellis_sqlcompat::builtin::{self, SettingRow};
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::{SqlError, SqlState};

use super::session::isolation_level;
use super::setting_value;
use trellis_sqlcompat::plan::IsolationLevel;
use trellis_sqlcompat::schema::Catalog;

/// Settings whose changes are told to the client (`ParameterStatus`), in PostgreSQL's order and spelling.
pub const REPORTED: [&str; 13] = [
    "in_hot_standby",
    "integer_datetimes",
    "TimeZone",
    "IntervalStyle",
    "is_superuser",
    "application_name",
    "default_transaction_read_only",
    "client_encoding",
    "standard_conforming_strings",
    "session_authorization",
    "DateStyle",
    "server_encoding",
    "server_version",
];

/// The PostgreSQL version that Trellis presents itself as.
pub const SERVER_VERSION: &str = concat!("15.18 (Trellis ", env!("CARGO_PKG_VERSION"), ")");

/// Where a new value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Until the session ends, if the transaction commits.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// What was set, by lower-case name. Cloned at the start of transactions and savepoints that may be undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    session: BTreeMap<String, String>,
    local: BTreeMap<String, String>,
}

/// What every statement asks for, looked up once per change of the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `statement_timeout`, if it is set.
    pub statement_timeout: Option<Duration>,
    /// `lock_timeout`, if it is set.
    pub lock_timeout: Option<Duration>,
    /// `deadlock_timeout`.
    pub deadlock_timeout: Duration,
    /// `idle_session_timeout`, if it is set.
    pub idle_session_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`, if it is set.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// `synchronous_commit` is `off`: commits are acknowledged before they are durable.
    pub asynchronous_commit: bool,
    /// `default_transaction_isolation`; read committed if `None`.
    pub default_isolation: Option<IsolationLevel>,
    /// `default_transaction_read_only`.
    pub default_read_only: bool,
    /// `default_transaction_deferrable`.
    pub default_deferrable: bool,
}

/// The settings of one session.
#[derive(Debug)]
pub struct Settings {
    defaults: BTreeMap<String, String>,
    layers: Layers,
    format: Arc<FormatSettings>,
    reported: [String; REPORTED.len()],
    generation: u64,
    reported_generation: u64,
    limits: Limits,
    catalog: Arc<Catalog>,
}

impl Settings {
    /// Settings of a fresh session of `user`; `application_name` and others follow from the startup packet.
    #[must_use]
    pub fn new(user: &str) -> Self {
        let mut settings = Self {
            defaults: server_defaults(user),
            layers: Layers::default(),
            format: Arc::new(FormatSettings::default()),
            reported: Default::default(),
            generation: 0,
            reported_generation: 0,
            limits: Limits::default(),
            catalog: Arc::default(),
        };
        settings.refresh();
        settings.reported = settings.current_reported();
        settings
    }

    /// Records what the server's own configuration says of a setting.
    pub fn set_server(&mut self, name: &str, value: &str) {
        self.defaults.insert(name.to_owned(), value.to_owned());
        self.refresh();
    }

    /// Takes a setting from the startup packet: a new default, which `RESET` returns to.
    ///
    /// # Errors
    /// As [`Self::set`]; nothing changed.
    pub fn set_default(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        let row = find(name)?;
        let key = key(name);
        if ["role", "session_authorization"].contains(&key.as_str()) {
            return Err(SqlError::unsupported(format!("setting \"{name}\" at the start")));
        }
        if row.is_some_and(|row| ["internal", "postmaster", "sighup"].contains(&row.context)) {
            check_settable(name, row)?;
        }
        let current = self.raw(name).unwrap_or_default();
        let value = setting_value::parse(&key, row, &[value.to_owned()], &current)?;
        self.defaults.insert(key, value);
        self.refresh();
        self.reported = self.current_reported();
        Ok(())
    }

    /// Sets `name`; `None` returns it to its default.
    ///
    /// # Errors
    /// 42704 for an unknown setting, 55P02 for one that cannot be set, 22023 for a bad value; nothing changed.
    pub fn set(
        &mut self,
        name: &str,
        value: Option<&[String]>,
        scope: Scope,
    ) -> Result<(), SqlError> {
        let row = find(name)?;
        check_settable(name, row)?;
        self.check_identity(name, value)?;
        let key = key(name);
        let identity = key == "session_authorization";
        let value = match value {
            Some(values) => {
                let current = self.raw(name).unwrap_or_default();
                Some(setting_value::parse(&key, row, values, &current)?)
            }
            None => None,
        };
        match (scope, value) {
            (Scope::Session, Some(value)) => {
                self.layers.local.remove(&key);
                self.layers.session.insert(key, value);
            }
            (Scope::Session, None) => {
                self.layers.local.remove(&key);
                let custom = row.is_none() && !self.defaults.contains_key(&key);
                match self.layers.session.remove(&key) {
                    // A custom setting that has been set once goes on being there.
                    Some(_) if custom => drop(self.layers.session.insert(key, String::new())),
                    _ => {}
                }
            }
            (Scope::Transaction, value) => {
                let value = value.or_else(|| self.default_of(&key, row)).unwrap_or_default();
                self.layers.local.insert(key, value);
            }
        }
        if identity {
            // The role that was taken went with the session's.
            self.layers.local.remove("role");
            self.layers.session.remove("role");
        }
        self.refresh();
        Ok(())
    }

    /// Lets `SET ROLE` know which roles there are.
    pub fn know_roles(&mut self, catalog: Arc<Catalog>) {
        self.catalog = catalog;
    }

    /// The session user and the current user of a session that `authenticated` began.
    #[must_use]
    pub fn users(&self, authenticated: &str) -> (String, String) {
        let session_user =
            self.raw("session_authorization").unwrap_or_else(|_| authenticated.to_owned());
        let role = self.raw("role").ok().filter(|role| role != "none");
        let user = role.unwrap_or_else(|| session_user.clone());
        (session_user, user)
    }

    /// Whether a role may be taken, and what is said of OIDs in tables.
    ///
    /// # Errors
    /// 22023 for a role that is none, 0A000 for one that is no superuser and for `default_with_oids`.
    fn check_identity(&self, name: &str, value: Option<&[String]>) -> Result<(), SqlError> {
        let Some([value]) = value else { return Ok(()) };
        match key(name).as_str() {
            "role" if value != "none" => {}
            "session_authorization" => {}
            "default_with_oids" if setting_value::parse_bool(value) == Some(true) => {
                let message = "tables declared WITH OIDS are not supported";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            _ => return Ok(()),
        }
        let roles = &self.catalog.roles;
        let own = self.default_of("session_authorization", None).unwrap_or_default();
        match roles.oid(value) {
            Some(oid) => roles.check_session(oid),
            None if *value == own => Ok(()),
            None => {
                let message = format!("role \"{value}\" does not exist");
                Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
            }
        }
    }

    /// Sets `name` from one text, as `set_config` does: lists are split here.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_from_text(&mut self, name: &str, value: &str, scope: Scope) -> Result<(), SqlError> {
        let is_list = matches!(key(name).as_str(), "search_path" | "temp_tablespaces");
        let values = match setting_value::split_identifiers(value) {
            Some(names) if is_list => names,
            _ => vec![value.to_owned()],
        };
        self.set(name, Some(&values), scope)
    }

    /// `RESET ALL`.
    pub fn reset_all(&mut self) {
        self.layers = Layers::default();
        self.refresh();
    }

    /// The value as `pg_settings.setting` has it.
    ///
    /// # Errors
    /// 42704 for an unknown setting.
    pub fn raw(&self, name: &str) -> Result<String, SqlError> {
        let row = find(name);
        let key = key(name);
        let set = self.layers.local.get(&key).or_else(|| self.layers.session.get(&key));
        if let Some(value) = set.or_else(|| self.defaults.get(&key)) {
            return Ok(value.clone());
        }
        // A name with a dot exists only once it has been set.
        match row.map_err(|_invalid| unknown(name))? {
            Some(row) => Ok(row.reset_value.unwrap_or_default().to_owned()),
            None => Err(unknown(name)),
        }
    }

    /// The value as `SHOW` prints it.
    ///
    /// # Errors
    /// 42704 for an unknown setting.
    pub fn show(&self, name: &str) -> Result<String, SqlError> {
        let value = self.raw(name)?;
        // `session_authorization` and `role` have a value and no row in `pg_settings`.
        Ok(builtin::setting(name)
            .map_or_else(|| value.clone(), |row| setting_value::show(row, &value)))
    }

    /// Whether a boolean setting is on; unknown ones are off.
    #[must_use]
    fn is_on(&self, name: &str) -> bool {
        self.raw(name).is_ok_and(|value| value == "on")
    }

    /// A number in its base unit; 0 where it is not one.
    #[must_use]
    fn number(&self, name: &str) -> i64 {
        self.raw(name).ok().and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// `search_path` as names, with `$user` replaced.
    #[must_use]
    pub fn search_path(&self, user: &str) -> Vec<String> {
        let text = self.raw("search_path").unwrap_or_default();
        let names = setting_value::split_identifiers(&text).unwrap_or_default();
        names.into_iter().map(|name| if name == "$user" { user.to_owned() } else { name }).collect()
    }

    /// What types and functions need of the settings.
    #[must_use]
    pub fn format(&self) -> &Arc<FormatSettings> {
        &self.format
    }

    /// Moves with every change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Records what the open transaction is, for `SHOW transaction_isolation` and its kin.
    pub fn set_transaction(&mut self, name: &str, value: &str) {
        if self.defaults.get(name).is_none_or(|known| known != value) {
            self.defaults.insert(name.to_owned(), value.to_owned());
        }
    }

    /// A copy of what is set, for [`Self::restore`].
    #[must_use]
    pub fn layers(&self) -> Layers {
        self.layers.clone()
    }

    /// Puts back what was set when `layers` was taken.
    pub fn restore(&mut self, layers: Layers) {
        if self.layers != layers {
            self.layers = layers;
            self.refresh();
        }
    }

    /// The transaction has ended: what was set for it alone is over.
    pub fn end_transaction(&mut self) {
        if !self.layers.local.is_empty() {
            self.layers.local.clear();
            self.refresh();
        }
    }

    /// What every statement asks for.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn current_limits(&self) -> Limits {
        let timeout = |name: &str| {
            u64::try_from(self.number(name)).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
        };
        Limits {
            statement_timeout: timeout("statement_timeout"),
            lock_timeout: timeout("lock_timeout"),
            deadlock_timeout: timeout("deadlock_timeout").unwrap_or_default(),
            idle_session_timeout: timeout("idle_session_timeout"),
            idle_in_transaction_timeout: timeout("idle_in_transaction_session_timeout"),
            asynchronous_commit: self.raw("synchronous_commit").is_ok_and(|value| value == "off"),
            default_isolation: self
                .raw("default_transaction_isolation")
                .ok()
                .and_then(|name| isolation_level(&name)),
            default_read_only: self.is_on("default_transaction_read_only"),
            default_deferrable: self.is_on("default_transaction_deferrable"),
        }
    }

    /// The reported settings that changed since the last call, with their values.
    pub fn take_changed(&mut self) -> Vec<(&'static str, String)> {
        if self.reported_generation == self.generation {
            return Vec::new();
        }
        self.reported_generation = self.generation;
        let current = self.current_reported();
        let changed = REPORTED
            .iter()
            .zip(current.iter().zip(&self.reported))
            .filter(|(_, (now, before))| now != before)
            .map(|(name, (now, _))| (*name, now.clone()))
            .collect();
        self.reported = current;
        changed
    }

    /// All reported settings, for a new session.
    #[must_use]
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        REPORTED.iter().copied().zip(self.current_reported()).collect()
    }

    /// Every setting's row with its value as `pg_settings` has it, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static SettingRow, String)> {
        let value = |row: &'static SettingRow| (row, self.raw(row.name).unwrap_or_default());
        builtin::settings().iter().map(value).collect()
    }

    fn default_of(&self, key: &str, row: Option<&SettingRow>) -> Option<String> {
        self.defaults
            .get(key)
            .cloned()
            .or_else(|| row.map(|row| row.reset_value.unwrap_or_default().to_owned()))
    }

    fn current_reported(&self) -> [String; REPORTED.len()] {
        REPORTED.map(|name| self.show(name).unwrap_or_default())
    }

    fn refresh(&mut self) {
        let raw = |name: &str| self.raw(name).unwrap_or_default();
        let format = setting_value::format_settings(&raw);
        self.format = Arc::new(format);
        self.limits = self.current_limits();
        self.generation += 1;
    }
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Settings that have no row in `pg_settings`: who the session is, and what a client sets for the future.
const UNLISTED: [&str; 3] = ["role", "session_authorization", "default_with_oids"];

/// The row of a setting; `None` for a custom one (`prefix.name`) and one that is not listed.
///
/// # Errors
/// 42704 if there is none, 42602 for a name that no custom one can have.
fn find(name: &str) -> Result<Option<&'static SettingRow>, SqlError> {
    if let Some(row) = builtin::setting(name) {
        return Ok(Some(row));
    }
    if UNLISTED.contains(&key(name).as_str()) {
        return Ok(None);
    }
    if !name.contains('.') {
        return Err(unknown(name));
    }
    let start = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let inside = |c: char| start(c) || c.is_ascii_digit() || c == '$';
    let simple = |part: &str| part.starts_with(start) && part.chars().all(inside);
    if name.split('.').all(simple) {
        return Ok(None);
    }
    let message = format!("invalid configuration parameter name \"{name}\"");
    Err(SqlError::new(SqlState::INVALID_NAME, message).with_detail(
        "Custom parameter names must be two or more simple identifiers separated by dots.",
    ))
}

fn unknown(name: &str) -> SqlError {
    let message = format!("unrecognized configuration parameter \"{name}\"");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

fn check_settable(name: &str, row: Option<&SettingRow>) -> Result<(), SqlError> {
    let refuse = |why: &str| {
        let message = format!("parameter \"{name}\" {why}");
        Err(SqlError::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message))
    };
    match row.map_or("user", |row| row.context) {
        "internal" => refuse("cannot be changed"),
        "postmaster" => refuse("cannot be changed without restarting the server"),
        "sighup" => refuse("cannot be changed now"),
        "backend" | "superuser-backend" => refuse("cannot be set after connection start"),
        _ => Ok(()),
    }
}

/// Defaults that differ from PostgreSQL's built-in ones.
fn server_defaults(user: &str) -> BTreeMap<String, String> {
    [
        ("server_version", SERVER_VERSION),
        ("server_version_num", "150018"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("lc_ctype", "C.UTF-8"),
        ("lc_messages", "C"),
        ("lc_monetary", "C"),
        ("lc_numeric", "C"),
        ("lc_time", "C"),
        ("timezone", "Etc/UTC"),
        ("log_timezone", "Etc/UTC"),
        ("session_authorization", user),
        ("is_superuser", "on"),
        ("role", "none"),
        ("default_with_oids", "off"),
        ("default_text_search_config", "pg_catalog.english"),
        ("max_connections", "1000"),
        ("application_name", ""),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}
