//! Who a client is, and whether it may begin a session.
//!
//! | `--auth` | a client proves who it is by |
//! |---|---|
//! | `trust` | nothing; on loopback addresses only |
//! | `scram` | its password: SCRAM-SHA-256, with TLS also SCRAM-SHA-256-PLUS, which binds the proof to the connection |
//! | `cert` | a certificate of a known authority, whose common name is the role's name |
//!
//! A role that does not exist, has no password, or one that is no longer valid, fails in the same way as a wrong password,
//! after the same exchange over a verifier that nobody has the password of.
//!
//! # Bounds
//! - The exchange shares the time limit of the start-up ([`startup::AUTHENTICATION_TIMEOUT`]).
//! - Before it is over, messages of one kind and of [`frontend::SMALL_FRAME_BYTES_MAX`] are taken.
//!
//! Sources: PostgreSQL manual `sasl-authentication`, `auth-password`, `auth-cert`; RFC 5802.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use trellis_sqlcompat::schema::password::ScramVerifier;
use trellis_sqlcompat::schema::{BOOTSTRAP_ROLE, Catalog, Role};
use trellis_sqlcompat::{SqlError, SqlState};

use super::accept::Doors;
use super::channel::Channel;
use super::startup::{self, StartupParameters};
use crate::clock;
use crate::session::{Disconnected, Wire};
use crate::wire::backend::Outbox;
use crate::wire::frontend;

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Authentication {
    /// They need not.
    Trust,
    /// By password.
    Scram,
    /// By certificate.
    Cert,
}

/// SCRAM's two mechanisms.
const SCRAM: &str = "SCRAM-SHA-256";
/// See [`SCRAM`].
const SCRAM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// How long a client may take to read a request of ours.
const SEND_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A client that has been let in: what its role sets for its sessions.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Whether its user is a role.
    pub(super) named: bool,
    /// Settings, by name.
    pub(super) settings: Vec<(String, String)>,
}

/// Finds out who a client is and whether it may begin a session.
///
/// # Errors
/// [`Disconnected`] after the client has been told why, or when it went away.
pub(super) fn admit(
    channel: &mut Channel,
    doors: &Doors,
    parameters: &StartupParameters,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<Admitted, Disconnected> {
    let catalog = doors.database.catalog();
    let user = parameters.user.as_str();
    match doors.authentication {
        Authentication::Trust => {}
        Authentication::Scram => {
            let proven = prove_password(channel, doors, &catalog, user, deadline)?;
            if let Err(reason) = proven {
                tracing::info!(%peer, user, reason, "password authentication failed");
                let message = format!("password authentication failed for user \"{user}\"");
                let error = SqlError::new(SqlState::INVALID_PASSWORD, message);
                return Err(startup::refuse(channel, &error));
            }
        }
        Authentication::Cert => {
            if let Err(error) = check_certificate(channel, user) {
                tracing::info!(%peer, user, "certificate authentication failed");
                return Err(startup::refuse(channel, &error));
            }
        }
    }
    let role = check_role(doors, &catalog, user);
    match role {
        Ok(role) => {
            let set = role.map(|role| role.settings.clone()).unwrap_or_default();
            let named = catalog.roles.oid(user).is_some();
            Ok(Admitted { named, settings: set.into_iter().collect() })
        }
        Err(error) => Err(startup::refuse(channel, &error)),
    }
}

/// Whether a role may begin sessions; `None` stands for the bootstrap superuser of whom nothing was altered.
fn check_role<'a>(
    doors: &Doors,
    catalog: &'a Catalog,
    user: &str,
) -> Result<Option<&'a Role>, SqlError> {
    let refuse = |message: String| {
        Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message))
    };
    let roles = &catalog.roles;
    // Without credentials any name will do, until a superuser has been set up.
    let nameless = doors.authentication == Authentication::Trust
        && !roles.by_oid.contains_key(&BOOTSTRAP_ROLE);
    let Some(oid) = roles.oid(user) else {
        if nameless {
            return Ok(None);
        }
        return refuse(format!("role \"{user}\" does not exist"));
    };
    let role = roles.by_oid.get(&oid);
    let may_log_in = role.map_or(oid == BOOTSTRAP_ROLE, |role| role.login);
    if !may_log_in {
        return refuse(format!("role \"{user}\" is not permitted to log in"));
    }
    roles.check_session(oid)?;
    Ok(role)
}

/// The exchange of SCRAM; the inner error is why it failed, for the log alone.
fn prove_password(
    channel: &mut Channel,
    doors: &Doors,
    catalog: &Catalog,
    user: &str,
    deadline: Instant,
) -> Result<Result<(), &'static str>, Disconnected> {
    let (verifier, reason) = match usable_verifier(catalog, user) {
        Ok(verifier) => (verifier, None),
        Err(reason) => (doors.mock_verifier(user), Some(reason)),
    };
    let mut scram = ScramServerAuth::new();
    let binds = channel.is_secure()
        && doors.tls.as_ref().is_some_and(|tls| {
            scram.configure_certificate(tls.certificate_pem().as_bytes()).is_ok()
        });
    let mut out = Outbox::default();
    out.authentication_sasl(if binds { &[SCRAM_PLUS, SCRAM] } else { &[SCRAM] });
    send(channel, &mut out)?;

    let first = receive(channel, deadline)?;
    let Some((mechanism, data)) = frontend::sasl_initial_response(first) else {
        return Err(violation(channel, "malformed SCRAM message"));
    };
    let bound = mechanism == SCRAM_PLUS;
    if !bound && mechanism != SCRAM || bound && !binds {
        return Err(violation(channel, "client selected an invalid SASL authentication mechanism"));
    }
    // Which mechanism was chosen must show in the message: "p=" asks for binding.
    if bound != data.starts_with(b"p=") {
        return Err(violation(channel, "malformed SCRAM message"));
    }
    let secret = ScramSecret::Verifier {
        salt: verifier.salt,
        iterations: usize::try_from(verifier.iterations).unwrap_or(usize::MAX),
        stored_key: verifier.stored_key,
        server_key: verifier.server_key,
    };
    let Ok((server_first, waiting)) = scram.on_client_first_message_with_secret(&data, secret)
    else {
        return Err(violation(channel, "malformed SCRAM message"));
    };
    out.authentication_sasl_continue(server_first);
    send(channel, &mut out)?;

    let last = receive(channel, deadline)?;
    let proven = waiting.on_client_final_message(&last);
    if let Some(reason) = reason {
        return Ok(Err(reason));
    }
    match proven {
        Ok(server_final) => {
            out.authentication_sasl_final(server_final);
            send(channel, &mut out)?;
            Ok(Ok(()))
        }
        Err(_) => Ok(Err("the proof is wrong")),
    }
}

/// What a role's password is verified by, or why it cannot be.
fn usable_verifier(catalog: &Catalog, user: &str) -> Result<ScramVerifier, &'static str> {
    let oid = catalog.roles.oid(user).ok_or("the role does not exist")?;
    let role = catalog.roles.by_oid.get(&oid).ok_or("the role has no password")?;
    let password = role.password.as_deref().ok_or("the role has no password")?;
    if role.valid_until.is_some_and(|until| until < clock::now_us()) {
        return Err("the role's password has expired");
    }
    ScramVerifier::parse(password).ok_or("the role's password is kept as MD5")
}

fn check_certificate(channel: &Channel, user: &str) -> Result<(), SqlError> {
    let refuse = |message: String| {
        Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message))
    };
    let Some(certificate) = channel.tls_facts().and_then(|facts| facts.client) else {
        return refuse("connection requires a valid client certificate".to_owned());
    };
    if certificate.common_name.as_deref() == Some(user) {
        return Ok(());
    }
    refuse(format!("certificate authentication failed for user \"{user}\""))
}

fn send(channel: &mut Channel, out: &mut Outbox) -> Result<(), Disconnected> {
    match channel.send(out.bytes(), SEND_PATIENCE)? {
        crate::session::Sent::All => Ok(()),
        crate::session::Sent::Stalled => Err(Disconnected),
    }
}

/// Waits for a message of the exchange.
fn receive(channel: &mut Channel, deadline: Instant) -> Result<Bytes, Disconnected> {
    loop {
        match frontend::next_password(&mut channel.input) {
            Ok(Some(body)) => return Ok(body),
            Ok(None) => {}
            Err(error) => return Err(violation(channel, &error.to_string())),
        }
        channel.receive_before(deadline)?;
    }
}

fn violation(channel: &mut Channel, message: &str) -> Disconnected {
    startup::refuse(channel, &SqlError::new(SqlState::PROTOCOL_VIOLATION, message))
}
