//! `json` and `jsonb`: building, reading, comparing, changing, and rows from them.
//!
//! # Map
//! - [`assign`]: `j['a'] = …`.
//! - [`build`]: `to_json`, `row_to_json`, the builders and the aggregates' elements.
//! - [`read`]: operators `-> ->> #> #>> @> ?`, lengths, types, casts.
//! - [`edit`]: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`, `strip_nulls`.
//! - [`path`]: SQL/JSON paths.
//! - [`record`]: rows of a type from objects.
//! - [`rows`]: the set-returning functions.

pub(super) mod assign;
pub(super) mod build;
pub(super) mod edit;
pub(super) mod path;
pub(super) mod read;
pub(super) mod record;
pub(super) mod rows;

use crate::datum::Datum;
use crate::error::SqlError;
use crate::functions::Call;
use crate::functions::call::text;
use crate::types::json::Json;

impl Call<'_> {
    /// A `json` or `jsonb` argument.
    ///
    /// # Errors
    /// 22P02 if it is none.
    pub(super) fn json(&self, index: usize) -> Result<Json, SqlError> {
        Json::parse(self.text(index)?)
    }
}

/// The storage form of a `jsonb`.
fn store(value: &Json) -> Datum {
    text(value.to_string())
}
