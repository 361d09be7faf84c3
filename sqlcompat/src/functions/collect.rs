//! Aggregates that keep their rows: strings, arrays, JSON, and the ordered-set aggregates.
//!
//! The ordered-set aggregates get, per row, the direct argument and the sorted value; rows come sorted.

use std::collections::VecDeque;

use super::array::{stacked, store};
use super::call::{float, float_of, text};
use super::json::build::{json_text, key_text};
use super::ordering;
use super::{Accumulator, AggregateFunction, Call};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::{Array, DIMENSIONS_MAX, StorageClass, storage_class};
use crate::types::interval::Interval;
use crate::types::json::{Json, write_string};
use crate::types::{TypeContext, codec};

type Answer = Result<Datum, SqlError>;

/// `string_agg` of text or bytea: each value with the delimiter that goes before it.
#[derive(Default)]
struct Strings {
    parts: VecDeque<(Vec<u8>, Vec<u8>)>,
    binary: bool,
}

fn bytes(value: DatumRef<'_>) -> Vec<u8> {
    match value {
        DatumRef::Text(text) => text.as_bytes().to_vec(),
        DatumRef::Blob(blob) => blob.to_vec(),
        DatumRef::Null | DatumRef::Integer(_) | DatumRef::Real(_) => Vec::new(),
    }
}

impl Accumulator for Strings {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.parts.push_back((bytes(call.datum(1)), bytes(call.datum(0))));
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.parts.pop_front();
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        if self.parts.is_empty() {
            return Ok(Datum::Null);
        }
        let mut joined = Vec::new();
        for (index, (delimiter, value)) in self.parts.iter().enumerate() {
            if index > 0 {
                joined.extend_from_slice(delimiter);
            }
            joined.extend_from_slice(value);
        }
        Ok(if self.binary {
            Datum::Blob(joined)
        } else {
            Datum::Text(String::from_utf8_lossy(&joined).into_owned())
        })
    }
}

/// `array_agg` of elements.
#[derive(Default)]
struct Elements(VecDeque<Datum>);

impl Accumulator for Elements {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.0.push_back(call.datum(0).to_datum());
        Ok(())
    }

    fn retract(&mut self, _: &Call) -> Result<(), SqlError> {
        self.0.pop_front();
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        if self.0.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(store(&Array::from_elements(self.0.iter().cloned().collect())))
    }
}

/// `array_agg` of arrays: one dimension more.
#[derive(Default)]
struct Arrays(VecDeque<Array>);

impl Accumulator for Arrays {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if call.is_null(0) {
            return Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "cannot accumulate null arrays",
            ));
        }
        let type_oid = call.oid(1)?;
        let class = call.session.with_types(|cx| {
            codec::element_type(type_oid, cx)
                .map_or(StorageClass::Text, |element| storage_class(element, cx))
        });
        let array = Array::from_storage(call.text(0)?, class)?;
        let bad = |message: &str| Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
        if array.is_empty() {
            return bad("cannot accumulate empty arrays");
        }
        if array.dimensions.len() >= DIMENSIONS_MAX {
            return bad("number of array dimensions exceeds the maximum allowed (6)");
        }
        let differs =
            |first: &Array| first.dimensions != array.dimensions || first.lowers != array.lowers;
        if self.0.front().is_some_and(differs) {
            return bad("cannot accumulate arrays of different dimensionality");
        }
        self.0.push_back(array);
        Ok(())
    }

    fn retract(&mut self, _: &Call) -> Result<(), SqlError> {
        self.0.pop_front();
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        if self.0.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(store(&stacked(self.0.iter().cloned().collect())?))
    }
}

/// `json_agg`, `jsonb_agg`, `json_object_agg`, `jsonb_object_agg`: the JSON text of each row.
#[derive(Default)]
struct JsonRows {
    parts: VecDeque<String>,
    object: bool,
    canonical: bool,
}

impl Accumulator for JsonRows {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.parts.push_back(if self.object {
            if call.is_null(0) {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "field name must not be null",
                ));
            }
            let mut part = String::new();
            write_string(&key_text(call, call.oid(2)?, call.datum(0))?, &mut part);
            part.push_str(" : ");
            part.push_str(&json_text(call, call.oid(3)?, call.datum(1))?);
            part
        } else {
            json_text(call, call.oid(1)?, call.datum(0))?
        });
        Ok(())
    }

    fn retract(&mut self, _: &Call) -> Result<(), SqlError> {
        self.parts.pop_front();
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        if self.parts.is_empty() {
            return Ok(Datum::Null);
        }
        let joined: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        // PostgreSQL starts a new line before rows that are themselves composed.
        let newline = joined.iter().any(|part| part.starts_with('{')) && !self.object;
        let built = if self.object {
            format!("{{ {} }}", joined.join(", "))
        } else {
            format!("[{}]", joined.join(if newline { ", \n " } else { ", " }))
        };
        Ok(text(if self.canonical { Json::parse(&built)?.canonical()?.to_string() } else { built }))
    }
}

/// The ordered-set aggregates.
#[derive(Clone, Copy, Default, PartialEq)]
enum OrderedSet {
    #[default]
    Mode,
    Discrete,
    Continuous,
    ContinuousInterval,
    DiscreteMany,
    ContinuousMany,
    ContinuousIntervalMany,
}

/// Values with their type, and the direct argument.
#[derive(Default)]
struct Sorted {
    values: VecDeque<Datum>,
    fraction: DirectArgument,
    type_oid: Oid,
    kind: OrderedSet,
}

/// A direct argument, NULL until the first row.
struct DirectArgument(Datum);

impl Default for DirectArgument {
    fn default() -> Self {
        Self(Datum::Null)
    }
}

impl Sorted {
    /// Where the sorted value is among the arguments.
    fn value_index(&self) -> usize {
        usize::from(self.kind != OrderedSet::Mode)
    }

    /// The type of the sorted values, where the kind implies it.
    fn implied_type(&self) -> Option<Oid> {
        match self.kind {
            OrderedSet::Continuous | OrderedSet::ContinuousMany => Some(Oid::FLOAT8),
            OrderedSet::ContinuousInterval | OrderedSet::ContinuousIntervalMany => {
                Some(Oid::INTERVAL)
            }
            OrderedSet::Mode | OrderedSet::Discrete | OrderedSet::DiscreteMany => None,
        }
    }

    fn checked_fraction(value: f64) -> Result<f64, SqlError> {
        if (0.0..=1.0).contains(&value) {
            return Ok(value);
        }
        Err(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("percentile value {value} is not between 0 and 1"),
        ))
    }

    fn fractions(&self) -> Result<Vec<Option<f64>>, SqlError> {
        match &self.fraction.0 {
            Datum::Text(stored) if stored.starts_with('[') => {
                Array::from_storage(stored, StorageClass::Real)?
                    .elements
                    .iter()
                    .map(|item| float_of(item.as_ref()).map(Self::checked_fraction).transpose())
                    .collect()
            }
            single => Ok(vec![float_of(single.as_ref()).map(Self::checked_fraction).transpose()?]),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "row numbers"
    )]
    fn pick(&self, sorted: &[Datum], fraction: f64) -> Answer {
        let rows = sorted.len() as f64;
        let at = |index: usize| sorted.get(index).cloned().unwrap_or(Datum::Null);
        if matches!(self.kind, OrderedSet::Discrete | OrderedSet::DiscreteMany) {
            return Ok(at(((fraction * rows).ceil() as usize).max(1) - 1));
        }
        let position = fraction * (rows - 1.0);
        let (low, high) = (at(position.floor() as usize), at(position.ceil() as usize));
        let part = position - position.floor();
        let is_interval = self.implied_type() == Some(Oid::INTERVAL);
        if let (Datum::Text(low), Datum::Text(high), true) = (&low, &high, is_interval) {
            let (low, high) = (Interval::from_storage(low)?, Interval::from_storage(high)?);
            let distance = high.plus(low.negate()?)?.multiply(part)?;
            return Ok(text(low.plus(distance)?.to_storage()));
        }
        let (low, high) = (float_of(low.as_ref()), float_of(high.as_ref()));
        Ok(match (low, high) {
            (Some(low), Some(high)) => float(low + (high - low) * part),
            _ => Datum::Null,
        })
    }

    /// The most frequent value; the first of them in order.
    fn mode(&self, sorted: &[Datum], cx: &TypeContext) -> Datum {
        let mut best: (usize, Option<&Datum>) = (0, None);
        let equal = |left: &Datum, right: &Datum| {
            ordering::compare(self.type_oid, left.as_ref(), right.as_ref(), cx).is_eq()
        };
        for group in sorted.chunk_by(equal) {
            if group.len() > best.0 {
                best = (group.len(), group.first());
            }
        }
        best.1.cloned().unwrap_or(Datum::Null)
    }
}

impl Accumulator for Sorted {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        // The fraction comes first unless this is `mode`, then the value, then its type where that is open.
        if self.kind != OrderedSet::Mode {
            self.fraction = DirectArgument(call.datum(0).to_datum());
        }
        self.type_oid = match self.implied_type() {
            Some(implied) => implied,
            None => call.oid(call.len().saturating_sub(1))?,
        };
        let value = call.datum(self.value_index());
        if value != DatumRef::Null {
            self.values.push_back(value.to_datum());
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(self.value_index()) {
            self.values.pop_front();
        }
        Ok(())
    }

    fn finish(&self, call: &Call) -> Answer {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        let sorted: Vec<Datum> = self.values.iter().cloned().collect();
        if self.kind == OrderedSet::Mode {
            return Ok(call.session.with_types(|cx| self.mode(&sorted, cx)));
        }
        let fractions = self.fractions()?;
        let picked = fractions
            .iter()
            .map(|fraction| fraction.map_or(Ok(Datum::Null), |it| self.pick(&sorted, it)))
            .collect::<Result<Vec<_>, _>>()?;
        match (&self.fraction.0, self.kind) {
            (
                Datum::Text(stored),
                OrderedSet::DiscreteMany
                | OrderedSet::ContinuousMany
                | OrderedSet::ContinuousIntervalMany,
            ) => {
                let dimensions = Array::from_storage(stored, StorageClass::Real)?.dimensions;
                Ok(store(&Array::of(dimensions, picked)))
            }
            _ => Ok(picked.into_iter().next().unwrap_or(Datum::Null)),
        }
    }
}

macro_rules! sorted {
    ($name:literal, $kind:ident) => {
        AggregateFunction {
            name: $name,
            start: || Box::new(Sorted { kind: OrderedSet::$kind, ..Sorted::default() }),
        }
    };
}

macro_rules! json {
    ($name:literal, $object:literal, $canonical:literal) => {
        AggregateFunction {
            name: $name,
            start: || {
                Box::new(JsonRows {
                    object: $object,
                    canonical: $canonical,
                    parts: VecDeque::new(),
                })
            },
        }
    };
}

/// This file's aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        name: "pg_agg_string_agg_text_text",
        start: || Box::new(Strings::default()),
    },
    AggregateFunction {
        name: "pg_agg_string_agg_bytea_bytea",
        start: || Box::new(Strings { binary: true, parts: VecDeque::new() }),
    },
    AggregateFunction {
        name: "pg_agg_array_agg_anynonarray",
        start: || Box::new(Elements::default()),
    },
    AggregateFunction { name: "pg_agg_array_agg_anyarray", start: || Box::new(Arrays::default()) },
    json!("pg_agg_json_agg_anyelement", false, false),
    json!("pg_agg_jsonb_agg_anyelement", false, true),
    json!("pg_agg_json_object_agg_any_any", true, false),
    json!("pg_agg_jsonb_object_agg_any_any", true, true),
    sorted!("pg_agg_mode_anyelement", Mode),
    sorted!("pg_agg_percentile_disc_float8_anyelement", Discrete),
    sorted!("pg_agg_percentile_disc__float8_anyelement", DiscreteMany),
    sorted!("pg_agg_percentile_cont_float8_float8", Continuous),
    sorted!("pg_agg_percentile_cont__float8_float8", ContinuousMany),
    sorted!("pg_agg_percentile_cont_float8_interval", ContinuousInterval),
    sorted!("pg_agg_percentile_cont__float8_interval", ContinuousIntervalMany),
];
