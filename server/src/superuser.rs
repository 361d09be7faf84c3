//! The first superuser's password, before anybody can come in to set it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use rand::RngExt;
use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::plan::{IsolationLevel, PlanKind};
use trellis_sqlcompat::schema::password::{PasswordEncryption, kept_password};
use trellis_sqlcompat::schema::{BOOTSTRAP_ROLE, BOOTSTRAP_ROLE_NAME};

use crate::clock;
use crate::engine::{CancelSwitch, Database, SqliteEngine};
use crate::feed::Mailbox;
use crate::session::{Engine, Environment, Identity, Settings, TransactionMode};

/// What is kept of the password in a file, whose last line end does not count.
///
/// # Errors
/// When it cannot be read or is empty.
pub fn read_password(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--superuser-password-file {}", path.display()))?;
    keep(text.trim_end_matches(['\r', '\n']))
}

/// What is kept of a password.
///
/// # Errors
/// When it is empty.
pub fn keep(password: &str) -> anyhow::Result<String> {
    let salt = rand::rng().random();
    kept_password(password, BOOTSTRAP_ROLE_NAME, PasswordEncryption::Scram, salt)
        .context("the superuser's password is empty")
}

/// Whether any role could come in with a password.
#[must_use]
pub fn somebody_has_password(database: &Database) -> bool {
    let catalog = database.catalog();
    catalog.roles.by_oid.values().any(|role| role.login && role.password.is_some())
}

/// Gives the bootstrap superuser a password, unless it has one. `kept` is what is kept of it.
///
/// # Errors
/// What the database says.
pub fn give_password(database: &Arc<Database>, kept: &str) -> anyhow::Result<()> {
    let present = database.catalog().roles.by_oid.get(&BOOTSTRAP_ROLE).cloned();
    if present.is_some_and(|role| role.password.is_some()) {
        return Ok(());
    }
    let settings = Arc::new(Mutex::new(Settings::new(BOOTSTRAP_ROLE_NAME)));
    let identity = Identity {
        user: BOOTSTRAP_ROLE_NAME.to_owned(),
        named: true,
        database: BOOTSTRAP_ROLE_NAME.to_owned(),
        pid: 0,
    };
    let environment = Environment {
        search_path: Vec::new(),
        user: identity.user.clone(),
        session_user: identity.user.clone(),
        database: identity.database.clone(),
        format: Arc::default(),
        pid: identity.pid,
    };
    let mailbox = Arc::new(Mailbox::new(Box::new(|| ())));
    let cancel = Arc::new(CancelSwitch::new(database));
    let mut engine = SqliteEngine::open(database, &identity, settings, mailbox, cancel)?;
    let mode = TransactionMode {
        isolation: IsolationLevel::ReadCommitted,
        read_only: false,
        deferrable: false,
    };
    let now_us = clock::now_us();
    engine.begin(mode, &environment, now_us);
    engine.begin_statement(&environment, now_us);
    // What is kept has no quote in it.
    let statements =
        engine.parse(&format!("ALTER ROLE {BOOTSTRAP_ROLE_NAME} PASSWORD '{kept}'"))?;
    let Some(statement) = statements.first() else { bail!("there is no statement") };
    engine.take_writer()?;
    let plan = engine.plan(statement, Parameters::None, &environment)?;
    let PlanKind::Schema(change) = &plan.kind else { bail!("the statement changes no role") };
    engine.change_schema(change, &[])?;
    engine.commit(true)?;
    Ok(())
}
