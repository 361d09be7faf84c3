//! The clocks. Only shells read them; cores are told the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Microseconds between 1970-01-01 and 2000-01-01, where PostgreSQL's time begins.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// The monotonic clock.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall clock time in microseconds since 2000-01-01 00:00 UTC.
#[must_use]
pub fn now_us() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX).saturating_sub(POSTGRES_EPOCH_US)
}
