//! Every bound of the protocol in one place: what it limits, its unit, and what happens there.

/// Longest `host:port` (bytes). Longer ones are refused where they are configured or decoded.
pub(super) const ADDRESS_BYTES_MAX: usize = 255;
