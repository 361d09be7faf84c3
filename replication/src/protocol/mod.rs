//! The protocol between nodes, without I/O: membership, broadcast by delegation, anti-entropy by heads.

mod identity;
mod limits;
mod status;
mod store;
mod time;
mod tuning;

pub use identity::{Address, ClusterId, Incarnation, InvalidAddress, NodeIdentity};
pub use status::{MemberState, MemberStatus, OriginStatus, Stats};
pub use store::{ApplyResult, ReadLogError};
pub use time::{Span, Time};
pub use tuning::Tuning;
