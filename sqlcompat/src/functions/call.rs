//! One call of a function: its arguments, read as what the function declares them to be.

use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::functions::SessionContext;
use crate::oid::Oid;
use crate::types::array::{Array, storage_class};
use crate::types::codec;

/// Arguments and session of one call.
pub struct Call<'a> {
    /// Arguments in storage form, type OIDs of polymorphic ones after them.
    pub arguments: &'a [DatumRef<'a>],
    /// The session that runs the statement.
    pub session: &'a SessionContext,
}

impl<'a> Call<'a> {
    /// Number of arguments, type OIDs included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arguments.len()
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// The argument as it is stored; NULL if there is none.
    #[must_use]
    pub fn datum(&self, index: usize) -> DatumRef<'a> {
        self.arguments.get(index).copied().unwrap_or(DatumRef::Null)
    }

    /// Whether the argument is NULL or missing.
    #[must_use]
    pub fn is_null(&self, index: usize) -> bool {
        self.datum(index) == DatumRef::Null
    }

    fn mismatch(&self, index: usize, wanted: &str) -> SqlError {
        SqlError::new(
            SqlState::INTERNAL_ERROR,
            format!("argument {} is {:?}, not {wanted}", index + 1, self.datum(index)),
        )
    }

    /// An integer argument.
    ///
    /// # Errors
    /// XX000 for another storage class; the same holds for its neighbours.
    pub fn i64(&self, index: usize) -> Result<i64, SqlError> {
        match self.datum(index) {
            DatumRef::Integer(value) => Ok(value),
            _ => Err(self.mismatch(index, "an integer")),
        }
    }

    /// An `int4` argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub fn i32(&self, index: usize) -> Result<i32, SqlError> {
        i32::try_from(self.i64(index)?).ok().ok_or_else(|| self.mismatch(index, "an int4"))
    }

    /// A `bool` argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub fn bool(&self, index: usize) -> Result<bool, SqlError> {
        Ok(self.i64(index)? != 0)
    }

    /// A `float8` (or `float4`) argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub fn f64(&self, index: usize) -> Result<f64, SqlError> {
        float_of(self.datum(index)).ok_or_else(|| self.mismatch(index, "a float8"))
    }

    /// A text argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub fn text(&self, index: usize) -> Result<&'a str, SqlError> {
        match self.datum(index) {
            DatumRef::Text(value) => Ok(value),
            _ => Err(self.mismatch(index, "text")),
        }
    }

    /// A blob argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub fn blob(&self, index: usize) -> Result<&'a [u8], SqlError> {
        match self.datum(index) {
            DatumRef::Blob(value) => Ok(value),
            _ => Err(self.mismatch(index, "a blob")),
        }
    }

    /// A type OID argument.
    ///
    /// # Errors
    /// XX000 if it is none.
    pub fn oid(&self, index: usize) -> Result<Oid, SqlError> {
        u32::try_from(self.i64(index)?).map(Oid).ok().ok_or_else(|| self.mismatch(index, "an oid"))
    }

    /// Runs a `VARIADIC "any"` function whose first `fixed` arguments are declared: an array given for the rest, which a last type
    /// OID of 0 tells, is passed element by element. NULL for a NULL array.
    ///
    /// # Errors
    /// Those of `body`, and XX000 for what is no array.
    pub fn spread(
        &self,
        fixed: usize,
        body: fn(&Call) -> Result<Datum, SqlError>,
    ) -> Result<Datum, SqlError> {
        let rest = self.len().saturating_sub(fixed);
        if rest.is_multiple_of(2) {
            return body(self);
        }
        let at = fixed + rest / 2 - 1;
        if self.is_null(at) {
            return Ok(Datum::Null);
        }
        let array_type = self.oid(self.len() - 2)?;
        let (element, class) = self.session.with_types(|cx| {
            let element = codec::element_type(array_type, cx).unwrap_or(Oid::TEXT);
            (element, storage_class(element, cx))
        });
        let array = Array::from_storage(self.text(at)?, class)?;
        let mut arguments: Vec<DatumRef<'_>> = self.arguments.get(..at).unwrap_or(&[]).to_vec();
        arguments.extend(array.elements.iter().map(Datum::as_ref));
        let leading = self.arguments.get(at + 1..self.len() - 2).unwrap_or(&[]);
        arguments.extend(leading);
        let oid = DatumRef::Integer(i64::from(element.0));
        arguments.extend(array.elements.iter().map(|_| oid));
        body(&Call { arguments: &arguments, session: self.session })
    }

    /// The call without its first `count` arguments.
    #[must_use]
    pub fn skip(&self, count: usize) -> Self {
        Self { arguments: self.arguments.get(count..).unwrap_or(&[]), session: self.session }
    }
}

/// The float in storage form, if it is one: `Real`, or the text that stands for NaN.
#[must_use]
pub(super) fn float_of(value: DatumRef<'_>) -> Option<f64> {
    match value {
        DatumRef::Real(value) => Some(value),
        DatumRef::Text("NaN") => Some(f64::NAN),
        #[expect(clippy::cast_precision_loss, reason = "what SQLite itself does on the way")]
        DatumRef::Integer(value) => Some(value as f64),
        _ => None,
    }
}

/// The storage form of a float.
#[must_use]
pub(super) fn float(value: f64) -> Datum {
    if value.is_nan() { Datum::Text("NaN".to_owned()) } else { Datum::Real(value) }
}

/// The storage form of a bool.
#[must_use]
pub(super) fn boolean(value: bool) -> Datum {
    Datum::Integer(i64::from(value))
}

/// The storage form of an `int4` or anything that fits `int8`.
pub(super) fn integer(value: impl Into<i64>) -> Datum {
    Datum::Integer(value.into())
}

/// The storage form of a length or position.
#[must_use]
pub(super) fn count(value: usize) -> Datum {
    Datum::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The storage form of text.
pub(super) fn text(value: impl Into<String>) -> Datum {
    Datum::Text(value.into())
}
