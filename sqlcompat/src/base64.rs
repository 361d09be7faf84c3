//! Base64 without line feeds (RFC 4648), for what is kept and sent in it.

use crate::error::SqlError;
use crate::functions::compare::{from_base64, to_base64};

/// Writes bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = to_base64(bytes);
    text.retain(|c| c != '\n');
    text
}

/// Reads them.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, SqlError> {
    from_base64(text)
}
