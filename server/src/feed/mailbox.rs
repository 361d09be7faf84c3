//! Notifications that wait for one session.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Notifications that may wait.
pub(super) const MESSAGES_MAX: usize = 65_536;
/// Bytes of payload that may wait.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// One `NotificationResponse` to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Process id of the notifying session; 0 for changes and for other nodes.
    pub pid: u32,
    /// Channel.
    pub channel: Arc<str>,
    /// Payload.
    pub payload: Arc<str>,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Notification>,
    bytes: usize,
    /// Position up to which messages were dropped, if any were.
    lost_to: Option<u64>,
}

/// A session's queue of notifications. The hub puts in, the session takes out.
pub struct Mailbox {
    queue: Mutex<Queue>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Mailbox {
    /// An empty mailbox; `wake` is called after something was put in.
    #[must_use]
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { queue: Mutex::default(), wake }
    }

    /// Adds a notification of the transaction at `position`, or notes that it was lost. Returns whether it was added.
    pub(super) fn put(&self, notification: Notification, position: u64) -> bool {
        let mut queue = self.lock();
        let bytes = notification.payload.len();
        let full = queue.messages.len() >= MESSAGES_MAX || queue.bytes + bytes > BYTES_MAX;
        if full || queue.lost_to.is_some() {
            // Once behind, everything is dropped until the session catches up: a gap must have an end.
            queue.lost_to = Some(position);
            return false;
        }
        queue.bytes += bytes;
        queue.messages.push_back(notification);
        true
    }

    /// Notes that notifications of the transaction at `position` were lost.
    pub(super) fn lose(&self, position: u64) {
        self.lock().lost_to = Some(position);
    }

    /// Tells the session that something was put in.
    pub(super) fn wake(&self) {
        (self.wake)();
    }

    /// Takes all that waits; the position up to which more was lost, if it was.
    pub fn take(&self) -> (VecDeque<Notification>, Option<u64>) {
        let mut queue = self.lock();
        queue.bytes = 0;
        (std::mem::take(&mut queue.messages), queue.lost_to.take())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_says_up_to_where_it_lost() {
        let mailbox = Mailbox::new(Box::new(|| ()));
        let message = Notification {
            pid: 0,
            channel: Arc::from("c"),
            payload: Arc::from("x".repeat(1 << 20)),
        };
        for position in 1..=10 {
            mailbox.put(message.clone(), position);
        }
        let (kept, lost_to) = mailbox.take();
        assert_eq!((kept.len(), lost_to), (8, Some(10)));
        mailbox.put(message, 11);
        let (kept, lost_to) = mailbox.take();
        assert_eq!((kept.len(), lost_to), (1, None));
    }
}
