//! From a fresh socket to a session: encryption requests, the startup packet, its parameters.
//!
//! Source: PostgreSQL manual, `protocol-flow` §55.2.1 and §55.2.10, `protocol-message-formats` (`StartupMessage`).

use std::time::{Duration, Instant};

use bytes::Bytes;
use trellis_sqlcompat::{SqlError, SqlState};

use super::channel::Channel;
use super::tls::Tls;
use crate::session::Disconnected;
use crate::wire::StartupMessage;
use crate::wire::backend::{Outbox, Severity};
use crate::wire::frontend;

/// How long a client may take to start its session, as PostgreSQL's `authentication_timeout`.
pub const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(60);

/// The newest minor version of protocol 3 that is served.
const MINOR_VERSION: u16 = 2;

/// What a connection turned out to want.
#[derive(Debug)]
pub enum Opening {
    /// A session with these settings.
    Session(StartupParameters),
    /// To cancel another session's statement.
    Cancel {
        /// Process id.
        pid: u32,
        /// Secret key.
        secret: Bytes,
    },
}

/// What a startup packet asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartupParameters {
    /// User.
    pub user: String,
    /// Database; the user's name if none was given.
    pub database: String,
    /// Settings, those of `options` first.
    pub settings: Vec<(String, String)>,
    /// Minor protocol version that is spoken.
    pub minor: u16,
    /// Set if the client asked for a newer minor version or options that are not known.
    pub negotiate: Option<Vec<String>>,
}

/// Reads up to and with the startup packet, before `deadline`; goes over to `tls` if there is any and the client asks.
///
/// # Errors
/// [`Disconnected`] if the client went away, took too long, or was refused; it has been told why where it can read it.
pub fn open(
    channel: &mut Channel,
    tls: Option<&Tls>,
    deadline: Instant,
) -> Result<Opening, Disconnected> {
    open_directly(channel, tls, deadline)?;
    // Each kind of encryption may be asked for once; TLS ends the asking.
    let mut may_ask = (!channel.is_secure(), !channel.is_secure());
    loop {
        let message = match frontend::next_startup(&mut channel.input) {
            Ok(Some(message)) => message,
            Ok(None) => {
                channel.receive_before(deadline)?;
                continue;
            }
            Err(error) => {
                let error = SqlError::new(SqlState::PROTOCOL_VIOLATION, error.to_string());
                return Err(refuse(channel, &error));
            }
        };
        match message {
            StartupMessage::SslRequest if may_ask.0 => {
                refuse_early_bytes(channel, "SSL")?;
                may_ask.0 = false;
                match tls {
                    None => channel.send_what_fits(b"N"),
                    Some(tls) => {
                        channel.send_what_fits(b"S");
                        channel.secure(tls, deadline)?;
                        may_ask.1 = false;
                    }
                }
            }
            StartupMessage::GssEncRequest if may_ask.1 => {
                refuse_early_bytes(channel, "GSSAPI encryption")?;
                may_ask.1 = false;
                channel.send_what_fits(b"N");
            }
            StartupMessage::SslRequest | StartupMessage::GssEncRequest => {
                let minor = if message == StartupMessage::SslRequest { 5679 } else { 5680 };
                let error = frontend::DecodeError::UnsupportedProtocol(1234, minor);
                let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, error.to_string());
                return Err(refuse(channel, &error));
            }
            StartupMessage::Cancel { pid, secret } => return Ok(Opening::Cancel { pid, secret }),
            StartupMessage::Startup { minor, parameters } => {
                return match read_parameters(minor, parameters) {
                    Ok(parameters) => Ok(Opening::Session(parameters)),
                    Err(error) => Err(refuse(channel, &error)),
                };
            }
        }
    }
}

/// Goes over to TLS if the client begins with it: a handshake's first byte is no startup packet's.
fn open_directly(
    channel: &mut Channel,
    tls: Option<&Tls>,
    deadline: Instant,
) -> Result<(), Disconnected> {
    while channel.input.is_empty() {
        channel.receive_before(deadline)?;
    }
    if channel.input.first() != Some(&TLS_HANDSHAKE) {
        return Ok(());
    }
    let Some(tls) = tls else {
        tracing::debug!("a client began with TLS, which is not set up");
        return Err(Disconnected);
    };
    channel.secure(tls, deadline)?;
    if channel.named_protocol() {
        return Ok(());
    }
    let message =
        "received direct SSL connection request without ALPN protocol negotiation extension";
    Err(refuse(channel, &SqlError::new(SqlState::PROTOCOL_VIOLATION, message)))
}

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// Bytes sent ahead of the answer would be read as if they had come encrypted (CVE-2021-23214).
fn refuse_early_bytes(channel: &mut Channel, encryption: &str) -> Result<(), Disconnected> {
    if channel.input.is_empty() {
        return Ok(());
    }
    let message = format!("received unencrypted data after {encryption} request");
    let detail = "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.";
    let error = SqlError::new(SqlState::PROTOCOL_VIOLATION, message).with_detail(detail);
    Err(refuse(channel, &error))
}

/// Tells a client why it is not let in.
pub fn refuse(channel: &mut Channel, error: &SqlError) -> Disconnected {
    let mut out = Outbox::default();
    out.report(Severity::Fatal, error);
    channel.send_what_fits(out.bytes());
    Disconnected
}

fn read_parameters(
    minor: u16,
    parameters: Vec<(String, String)>,
) -> Result<StartupParameters, SqlError> {
    let mut read = StartupParameters::default();
    let mut unknown = Vec::new();
    let mut settings = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => read.user = value,
            "database" => read.database = value,
            "options" => read.settings = parse_options(&value)?,
            "replication" => {
                if !matches!(value.as_str(), "false" | "off" | "no" | "0") {
                    return Err(SqlError::unsupported("the streaming replication protocol"));
                }
            }
            option if option.starts_with("_pq_.") => unknown.push(name),
            _ => settings.push((name, value)),
        }
    }
    if read.user.is_empty() {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    }
    if read.database.is_empty() {
        read.database.clone_from(&read.user);
    }
    read.settings.append(&mut settings);
    read.minor = minor.min(MINOR_VERSION);
    if minor > MINOR_VERSION || !unknown.is_empty() {
        read.negotiate = Some(unknown);
    }
    Ok(read)
}

/// Tells the client which minor version it gets, where that is not the one it asked for.
pub fn negotiate(out: &mut Outbox, parameters: &StartupParameters) {
    if let Some(unknown) = &parameters.negotiate {
        out.negotiate_protocol_version(MINOR_VERSION, unknown);
    }
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`; a backslash makes a space part of a value.
fn parse_options(options: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next()
        } else {
            word.strip_prefix("-c").or_else(|| word.strip_prefix("--")).map(str::to_owned)
        };
        let pair = assignment.as_deref().and_then(|assignment| assignment.split_once('='));
        let Some((name, value)) = pair else {
            let message = format!("invalid command-line argument for server process: {word}");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_settings_and_come_before_the_others() {
        let sent = pairs(&[
            ("user", "ann"),
            ("application_name", "x"),
            ("options", "-c statement_timeout=5 --search-path=a\\ b -cwork_mem=1MB"),
        ]);
        let read = read_parameters(0, sent).unwrap();
        assert_eq!((read.user.as_str(), read.database.as_str()), ("ann", "ann"));
        let wanted = [
            ("statement_timeout", "5"),
            ("search_path", "a b"),
            ("work_mem", "1MB"),
            ("application_name", "x"),
        ];
        assert_eq!(read.settings, pairs(&wanted));
        assert_eq!(read.negotiate, None);
    }

    #[test]
    fn newer_versions_and_unknown_options_are_negotiated_down() {
        let sent = pairs(&[("user", "ann"), ("_pq_.x", "1")]);
        let read = read_parameters(9, sent).unwrap();
        assert_eq!(read.negotiate, Some(vec!["_pq_.x".to_owned()]));
        assert!(read_parameters(0, pairs(&[("database", "d")])).is_err());
        assert!(parse_options("-x").is_err());
    }
}
