//! The messages of a transaction: each once, in the order in which they were first sent.
//!
//! As in PostgreSQL, sending the same payload on the same channel again within a transaction sends nothing. A message that
//! a rolled-back savepoint sent is as if it had never been sent, so it may be sent again.
//!
//! # Bounds
//! [`v1::MESSAGES_MAX`] messages and [`v1::MESSAGES_BYTES_MAX`] bytes; further ones are refused.
//!
//! # Sources
//! PostgreSQL manual, `sql-notify`.

use std::collections::HashSet;

use crate::types::Message;
use crate::wire::{EncodeError, v1};

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Messages {
    list: Vec<Message>,
    /// Those of `list`.
    sent: HashSet<Message>,
    /// Bytes of those of `list`.
    bytes: usize,
}

impl Messages {
    /// Adds a message unless it is there.
    pub(super) fn push(&mut self, message: Message) -> Result<(), EncodeError> {
        if self.sent.contains(&message) {
            return Ok(());
        }
        let bytes = self.bytes + message_bytes(&message);
        if self.list.len() >= v1::MESSAGES_MAX || bytes > v1::MESSAGES_BYTES_MAX {
            return Err(EncodeError::Messages);
        }
        self.bytes = bytes;
        self.sent.insert(message.clone());
        self.list.push(message);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Those sent after the first `length`.
    pub(super) fn from(&self, length: usize) -> &[Message] {
        self.list.get(length..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all but the first `length`.
    pub(super) fn truncate(&mut self, length: usize) {
        for message in self.list.drain(length.min(self.list.len())..) {
            self.bytes -= message_bytes(&message);
            self.sent.remove(&message);
        }
    }

    /// The messages, in order; none are left.
    pub(super) fn take(&mut self) -> Vec<Message> {
        self.sent.clear();
        self.bytes = 0;
        std::mem::take(&mut self.list)
    }
}

/// What a message counts for.
pub(super) fn message_bytes(message: &Message) -> usize {
    message.channel.len() + message.payload.len()
}
