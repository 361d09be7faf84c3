//! Operators and functions of dates, times, timestamps and intervals.
//!
//! # Map
//! - [`arithmetic`]: operators, casts, comparison across types, construction, `age`.
//! - [`fields`]: `extract`, `date_part`, `date_trunc`, `date_bin`.
//! - [`picture`]: `to_char` over dates.
//! - [`reading`]: `to_date`, `to_timestamp`; [`cursor`] over their text; [`template`]: the pictures of all.
//! - [`clock`]: `now()` and its kin.

pub(super) mod arithmetic;
pub(super) mod clock;
mod cursor;
pub(super) mod fields;
pub(super) mod picture;
pub(super) mod reading;
mod template;

use crate::error::SqlError;
use crate::functions::Call;
use crate::types::interval::Interval;

impl Call<'_> {
    /// An `interval` argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub(super) fn interval(&self, index: usize) -> Result<Interval, SqlError> {
        Interval::from_storage(self.text(index)?)
    }
}
