//! All sessions of a node: to cancel them, to end them, and to show them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::RngExt;
use subtle::ConstantTimeEq;

/// How others reach a session that is at work or asleep.
pub trait Reach: Send + Sync {
    /// Stops the statement that is being run, if one is.
    fn cancel(&self);
    /// Wakes the session so that it sees it is to end.
    fn wake(&self);
}

/// What `pg_stat_activity` shows of a session.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// User.
    pub user: String,
    /// Database.
    pub database: String,
    /// `application_name`.
    pub application_name: String,
    /// Generation of the settings that the name was taken from.
    pub settings_generation: u64,
    /// Client's address, if it has one.
    pub client_address: Option<std::net::SocketAddr>,
    /// When the session began, microseconds since 2000-01-01.
    pub started_us: i64,
    /// `idle`, `active`, `idle in transaction`, …
    pub state: &'static str,
    /// When the state was entered, microseconds since 2000-01-01.
    pub state_changed_us: i64,
    /// How the connection is encrypted, if it is.
    pub tls: Option<TlsFacts>,
}

/// What a handshake agreed on, as `pg_stat_ssl` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite by OpenSSL's name.
    pub cipher: String,
    /// Bits of its key.
    pub bits: u16,
    /// The client's certificate, which has been verified.
    pub client: Option<ClientCertificate>,
}

/// What is told of a client's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Common name of the subject, which must be the user's name where clients authenticate by certificate.
    pub common_name: Option<String>,
    /// Subject, as OpenSSL's one-line form: `/CN=ann`.
    pub subject: String,
    /// Issuer, in that form.
    pub issuer: String,
    /// Serial number, decimal.
    pub serial: String,
}

struct Entry {
    secret: CancelKey,
    reach: Arc<dyn Reach>,
    terminate: Arc<AtomicBool>,
    activity: Arc<Mutex<Activity>>,
}

#[derive(Default)]
struct Sessions {
    by_pid: BTreeMap<u32, Entry>,
    last_pid: u32,
    /// Connections that have not begun a session.
    opening: usize,
    closing: bool,
}

/// Connections beyond the sessions that may be without a session: some that are about to be refused, and cancel requests.
const OPENING_SPARE: usize = 32;

/// A connection that has not begun a session yet; dropping it says that it has, or is gone.
pub struct Opened(Arc<Registry>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.lock().opening -= 1;
    }
}

/// The sessions of a node.
pub struct Registry {
    sessions: Mutex<Sessions>,
    sessions_max: usize,
}

/// A session's place in the registry; leaving frees it.
pub struct Membership {
    registry: Arc<Registry>,
    /// Process id.
    pub pid: u32,
    /// Secret that `CancelRequest` must show.
    pub secret: CancelKey,
    /// Set when the session is to end.
    pub terminate: Arc<AtomicBool>,
    /// What is shown of the session.
    pub activity: Arc<Mutex<Activity>>,
}

/// The secret of a session, from the system's random numbers: whoever shows it may cancel what the session runs.
#[derive(Clone)]
pub struct CancelKey(Vec<u8>);

impl CancelKey {
    fn random(length: usize) -> Self {
        let mut bytes = vec![0; length];
        rand::rng().fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The bytes that the client is told.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compares in a time that does not depend on where they differ.
    fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(shown).into()
    }
}

/// Why a session was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are as many as may be.
    Full,
    /// The node is stopping.
    Closing,
}

impl Registry {
    /// A registry of at most `sessions_max` sessions.
    #[must_use]
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions: Mutex::default(), sessions_max }
    }

    /// Counts a connection that has been accepted.
    ///
    /// # Errors
    /// [`Refusal::Full`] if there are as many, sessions among them, as may be and some more.
    pub fn open_door(self: &Arc<Self>) -> Result<Opened, Refusal> {
        let mut sessions = self.lock();
        let connections = sessions.by_pid.len() + sessions.opening;
        if connections >= self.sessions_max.saturating_add(OPENING_SPARE) {
            return Err(Refusal::Full);
        }
        sessions.opening += 1;
        Ok(Opened(Arc::clone(self)))
    }

    /// Lets a session in; its cancel key has `key_bytes` bytes.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was registered.
    pub fn join(
        self: &Arc<Self>,
        reach: Arc<dyn Reach>,
        activity: Activity,
        key_bytes: usize,
    ) -> Result<Membership, Refusal> {
        let mut sessions = self.lock();
        if sessions.closing {
            return Err(Refusal::Closing);
        }
        if sessions.by_pid.len() >= self.sessions_max {
            return Err(Refusal::Full);
        }
        let pid = next_pid(&sessions);
        sessions.last_pid = pid;
        let membership = Membership {
            registry: Arc::clone(self),
            pid,
            secret: CancelKey::random(key_bytes),
            terminate: Arc::default(),
            activity: Arc::new(Mutex::new(activity)),
        };
        let entry = Entry {
            secret: membership.secret.clone(),
            reach,
            terminate: Arc::clone(&membership.terminate),
            activity: Arc::clone(&membership.activity),
        };
        sessions.by_pid.insert(pid, entry);
        Ok(membership)
    }

    /// Cancels what a session runs, if the secret is right. Says nothing of whether it was, as PostgreSQL does not.
    pub fn cancel(&self, pid: u32, secret: &[u8]) {
        let reach = {
            let sessions = self.lock();
            let entry = sessions.by_pid.get(&pid);
            entry.filter(|entry| entry.secret.is(secret)).map(|entry| Arc::clone(&entry.reach))
        };
        if let Some(reach) = reach {
            reach.cancel();
        }
    }

    /// `pg_cancel_backend` and `pg_terminate_backend`; whether there is such a session.
    pub fn signal(&self, pid: u32, terminate: bool) -> bool {
        let found = {
            let sessions = self.lock();
            let entry = sessions.by_pid.get(&pid);
            entry.map(|entry| (Arc::clone(&entry.reach), Arc::clone(&entry.terminate)))
        };
        let Some((reach, flag)) = found else { return false };
        if terminate {
            flag.store(true, Ordering::SeqCst);
            reach.wake();
        }
        reach.cancel();
        true
    }

    /// Ends all sessions and lets no more in.
    pub fn close(&self) {
        let pids: Vec<u32> = {
            let mut sessions = self.lock();
            sessions.closing = true;
            sessions.by_pid.keys().copied().collect()
        };
        for pid in pids {
            self.signal(pid, true);
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_pid.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All sessions' process ids and activity, by process id.
    #[must_use]
    pub fn activity(&self) -> Vec<(u32, Activity)> {
        let show = |(pid, entry): (&u32, &Entry)| {
            let activity = entry.activity.lock().unwrap_or_else(PoisonError::into_inner);
            (*pid, activity.clone())
        };
        self.lock().by_pid.iter().map(show).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.registry.lock().by_pid.remove(&self.pid);
    }
}

/// The next free process id after the last one given, from 1.
fn next_pid(sessions: &Sessions) -> u32 {
    let mut pid = sessions.last_pid;
    loop {
        pid = if pid >= i32::MAX.cast_unsigned() { 1 } else { pid + 1 };
        if !sessions.by_pid.contains_key(&pid) {
            return pid;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_count_before_they_have_begun_a_session() {
        let registry = Arc::new(Registry::new(2));
        let open = || registry.open_door().map_err(|refusal| refusal == Refusal::Full);
        let opened: Vec<_> = (0..2 + OPENING_SPARE).map(|_| open().ok()).collect();
        assert!(opened.iter().all(Option::is_some));
        assert_eq!(open().err(), Some(true));
        drop(opened);
        assert!(open().is_ok());
    }
}
