//! Passwords as they are kept: SCRAM verifiers and MD5 hashes, in the forms of PostgreSQL's `pg_authid.rolpassword`.
//!
//! ```text
//! SCRAM-SHA-256$4096:<salt>$<stored key>:<server key>      base64
//! md5<md5(password || role name)>                          32 hexadecimal digits
//! ```
//!
//! A password that is given in one of these forms is kept as it is. From a verifier nobody can tell the password, nor log in
//! with it; a client proves to know the password by what it computes from it.
//!
//! Sources: RFC 5802 §3, RFC 7677, PostgreSQL 15 `src/common/scram-common.c`, `src/backend/libpq/crypt.c`.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::base64;
use crate::types::scalar;

/// Rounds of hashing that a new verifier takes, as PostgreSQL's.
pub const SCRAM_ITERATIONS: u32 = 4096;
/// Bytes of salt in a new verifier, as PostgreSQL's.
const SALT_BYTES: usize = 16;
/// The most rounds that a given verifier may ask for: the client does them, and so does who checks for an empty password.
const ITERATIONS_MAX: u32 = 10_000_000;
/// How a verifier begins.
const SCRAM_PREFIX: &str = "SCRAM-SHA-256$";

/// `password_encryption`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordEncryption {
    /// `scram-sha-256`.
    #[default]
    Scram,
    /// `md5`.
    Md5,
}

/// What a server keeps of a password to let a client prove that it knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Rounds.
    pub iterations: u32,
    /// Salt.
    pub salt: Vec<u8>,
    /// Hash of the client's key, by which its proof is checked.
    pub stored_key: Vec<u8>,
    /// The server's key, by which the server proves itself.
    pub server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramVerifier").finish_non_exhaustive()
    }
}

impl ScramVerifier {
    /// The verifier of a password, with a salt.
    #[must_use]
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Self {
        // As PostgreSQL does: a password that is not to be prepared is taken as it is.
        let prepared = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
        let salted = salted_password(prepared.as_bytes(), salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(client_key).to_vec(),
            server_key: hmac(&salted, b"Server Key").to_vec(),
        }
    }

    /// A verifier that no password fits, for a role that has none: always the same for one name, so that asking twice does
    /// not tell. `secret` is what nobody outside knows.
    #[must_use]
    pub fn mock(role: &str, secret: &[u8]) -> Self {
        let derive = |what: &str| hmac(secret, format!("{what} {role}").as_bytes());
        let salt = derive("salt").into_iter().take(SALT_BYTES).collect();
        Self {
            iterations: SCRAM_ITERATIONS,
            salt,
            stored_key: derive("stored key").to_vec(),
            server_key: derive("server key").to_vec(),
        }
    }

    /// Reads a verifier in PostgreSQL's form; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix(SCRAM_PREFIX)?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let iterations = iterations.parse().ok().filter(|it| (1..=ITERATIONS_MAX).contains(it))?;
        let key = |text: &str| base64::decode(text).ok().filter(|key| key.len() == 32);
        Some(Self {
            iterations,
            salt: base64::decode(salt).ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// The verifier in PostgreSQL's form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { iterations, salt, stored_key, server_key } = self;
        let [salt, stored_key, server_key] =
            [salt, stored_key, server_key].map(|bytes| base64::encode(bytes));
        format!("{SCRAM_PREFIX}{iterations}:{salt}${stored_key}:{server_key}")
    }
}

/// What is kept of `password` for the role `role`; `None` if the password is empty, which nobody can log in with.
#[must_use]
pub fn kept_password(
    password: &str,
    role: &str,
    encryption: PasswordEncryption,
    random: [u8; SALT_BYTES],
) -> Option<String> {
    if password.is_empty() || is_md5(password) && password == md5_hash("", role) {
        return None;
    }
    if let Some(verifier) = ScramVerifier::parse(password) {
        let empty = ScramVerifier::of("", &verifier.salt, verifier.iterations);
        return (empty.stored_key != verifier.stored_key).then(|| password.to_owned());
    }
    if is_md5(password) {
        return Some(password.to_owned());
    }
    Some(match encryption {
        PasswordEncryption::Scram => {
            ScramVerifier::of(password, &random, SCRAM_ITERATIONS).to_text()
        }
        PasswordEncryption::Md5 => md5_hash(password, role),
    })
}

/// Whether a text is an MD5 hash as it is kept.
#[must_use]
pub fn is_md5(text: &str) -> bool {
    let hash = text.strip_prefix("md5");
    hash.is_some_and(|it| it.len() == 32 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn md5_hash(password: &str, role: &str) -> String {
    let hash = Md5::digest(format!("{password}{role}"));
    format!("md5{}", scalar::to_hex(&hash))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// `Hi` of RFC 5802: PBKDF2 with HMAC-SHA-256, one block.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()].concat());
    let mut result = last;
    for _ in 1..iterations {
        last = hmac(password, &last);
        result.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 made of "pencil".
    const PENCIL: &str = "SCRAM-SHA-256$4096:SMyB7OBsZXf+lsupcXvAwg==$4lK0ctYAAoO6xL2gh/t4DCvR1F38xPK9Witoc2ajL9w=:uUoN0ea9AIWQ/5BlUrz3NUuNMoYnJY+3ii3NTy5Or8w=";

    #[test]
    fn verifiers_are_those_of_postgresql() {
        let verifier = ScramVerifier::parse(PENCIL).expect("a verifier");
        assert_eq!(verifier.to_text(), PENCIL);
        assert_eq!(ScramVerifier::of("pencil", &verifier.salt, 4096), verifier);
        assert_ne!(ScramVerifier::of("bar", &verifier.salt, 4096), verifier);
    }

    #[test]
    fn hashed_passwords_are_kept_and_empty_ones_are_not() {
        let keep = |text: &str| kept_password(text, "ann", PasswordEncryption::Md5, [7; 16]);
        assert_eq!(keep(PENCIL).as_deref(), Some(PENCIL));
        assert_eq!(keep("x"), Some(md5_hash("x", "ann")));
        assert_eq!(keep(&md5_hash("x", "bob")), Some(md5_hash("x", "bob")));
        assert_eq!(keep(""), None);
        assert_eq!(keep(&md5_hash("", "ann")), None);
        assert_eq!(keep(&ScramVerifier::of("", &[1; 16], 4096).to_text()), None);
        let almost = PENCIL.replace("$4096:", "$x:");
        let hashed = kept_password(&almost, "ann", PasswordEncryption::Scram, [7; 16]);
        assert_ne!(hashed.as_deref(), Some(almost.as_str()));
    }
}
