//! SQL functions under cr-sqlite's names, as far as they make sense over a server.
//!
//! | function | answer |
//! |---|---|
//! | `crsql_site_id()` | this file's site, 16 bytes |
//! | `crsql_db_version()` | the last committed version of this site |
//! | `crsql_next_db_version()`, `crsql_peek_next_db_version()` | the version after it |
//! | `crsql_pack_columns(…)` | packed key |
//! | `crsql_value_text(value)` | the value as text: blobs in hexadecimal after `\x`, not in cr-sqlite |

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use super::clocks::borrowed;
use super::core::Core;
use crate::crdt::{KEY_COLUMNS_MAX, PackedKey};
use crate::types::ValueRef;

/// Registers the functions on a connection.
pub(super) fn register(sqlite: &Connection, core: &Arc<Core>) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8;
    let site = core.site;
    sqlite.create_scalar_function("crsql_site_id", 0, flags, move |_| Ok(site.0))?;
    let versions =
        [("crsql_db_version", 0), ("crsql_next_db_version", 1), ("crsql_peek_next_db_version", 1)];
    for (name, ahead) in versions {
        let core = Arc::clone(core);
        sqlite.create_scalar_function(name, 0, flags, move |_| {
            let committed = core.committed();
            let head = committed.log.heads.get(&core.site).copied().unwrap_or_default();
            Ok((head.0 + ahead).cast_signed())
        })?;
    }
    let flags = flags | FunctionFlags::SQLITE_DETERMINISTIC;
    sqlite.create_scalar_function("crsql_value_text", 1, flags, value_text)?;
    sqlite.create_scalar_function("crsql_pack_columns", -1, flags, pack_columns)
}

fn value_text(context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    let value = borrowed(context.get_raw(0));
    let value = value.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Integer(integer) => Some(integer.to_string()),
        ValueRef::Real(real) => Some(real.to_string()),
        ValueRef::Text(text) => Some(text.to_owned()),
        ValueRef::Blob(blob) => {
            Some(blob.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}")))
        }
    })
}

/// Reads pairs of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

fn pack_columns(context: &Context<'_>) -> rusqlite::Result<Vec<u8>> {
    if context.len() > KEY_COLUMNS_MAX {
        return Err(rusqlite::Error::UserFunctionError("too many key columns".into()));
    }
    let mut key = PackedKey::default();
    for index in 0..context.len() {
        let value = borrowed(context.get_raw(index));
        key.push(value.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?);
    }
    Ok(key.into_bytes())
}
