//! `array_fill`: an array of one value, from the lengths of its dimensions and where they begin to count.

use super::array::{array_error, store};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::array::{Array, DIMENSIONS_MAX, StorageClass, too_large, too_many_dimensions};

fn null(message: &str) -> SqlError {
    SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message)
}

/// The integers of an argument, none of which may be NULL.
fn integers(call: &Call, index: usize) -> Result<Vec<i32>, SqlError> {
    let array = Array::from_storage(call.text(index)?, StorageClass::Integer)?;
    if array.dimensions.len() > 1 {
        return Err(array_error("wrong number of array subscripts")
            .with_detail("Dimension array must be one dimensional."));
    }
    let integer = |element: &Datum| match element {
        Datum::Integer(value) => i32::try_from(*value).ok(),
        Datum::Null | Datum::Real(_) | Datum::Text(_) | Datum::Blob(_) => None,
    };
    let integers = array.elements.iter().map(integer).collect::<Option<_>>();
    integers.ok_or_else(|| null("dimension values cannot be null"))
}

/// `array_fill(value, lengths [, lower bounds])`.
fn fill(call: &Call, with_lowers: bool) -> Result<Datum, SqlError> {
    let is_null = call.is_null(1) || (with_lowers && call.is_null(2));
    if is_null {
        return Err(null("dimension array or low bound array cannot be null"));
    }
    let lengths = integers(call, 1)?;
    if lengths.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(lengths.len()));
    }
    let lowers = if with_lowers { integers(call, 2)? } else { vec![1; lengths.len()] };
    if lengths.len() != lowers.len() {
        return Err(array_error("wrong number of array subscripts")
            .with_detail("Low bound array has different size than dimensions array."));
    }
    let lengths = lengths.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let Ok(lengths) = lengths else { return Err(too_large()) };
    let total = super::array_assign::volume(&lengths)?;
    if lengths.is_empty() {
        return Ok(store(&Array::default()));
    }
    let elements = vec![call.datum(0).to_datum(); total];
    Ok(store(&Array::of(lengths, elements).with_lowers(&lowers)?))
}

/// The functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_array_fill", |call| fill(call, false)),
    ScalarFunction::lax("pg_array_fill_with_lower_bounds", |call| fill(call, true)),
];
