//! Ranges: an interval of a subtype's values, empty or between two bounds, each of which may be missing.
//!
//! ```text
//!   '[2024-01-01,2024-02-01)'::daterange   stored as   [8766,8797)
//!   '(1.50,)'::numrange                    stored as   (1.50,)
//!   'empty'                                stored as   empty
//! ```
//!
//! The storage form has the bounds in their own storage forms, which for the six built-in subtypes are numbers: integers, or
//! the text of a numeric. Bounds of the user's range types may be texts and blobs, stored as `b` and hexadecimal digits, and
//! floats, stored as `f` and their bits in an order-keeping form. One collation, `pg_range`, therefore orders the ranges of all
//! of them ([`compare_stored`]). In memory a bound's value is what orders by itself: [`RangeType::to_bound`].
//!
//! # Invariants
//! 1. Lower is never above upper, a missing bound is never inclusive, and a range without a value in it is `empty`.
//! 2. The ranges of integers and dates are canonical: lower inclusive, upper exclusive.
//!
//! # Left out
//! Range types over types whose values do not order by their storage forms, such as enums, rows and arrays.
//!
//! # Sources
//! PostgreSQL 15 manual, section 8.17 (Range Types) and 9.20.

use std::cmp::Ordering;

use super::array::{BinaryReader, StorageClass, storage_class};
use super::datetime::{DATE_MAX, DATE_MIN, DAY_END};
use super::family::Family;
use super::{NoNames, TypeContext, TypeShape, codec, failure, numeric, quoted, scalar};
use crate::builtin;
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::builtin_collation;
use crate::settings::FormatSettings;

/// What stands for the range without a value in it.
const EMPTY: &str = "empty";

const FLAG_EMPTY: u8 = 1;
const FLAG_LOWER_INCLUSIVE: u8 = 2;
const FLAG_UPPER_INCLUSIVE: u8 = 4;
const FLAG_LOWER_INFINITE: u8 = 8;
const FLAG_UPPER_INFINITE: u8 = 16;

/// Which end of a range a bound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The lower end.
    Lower,
    /// The upper end.
    Upper,
}

impl Side {
    /// Where a missing bound of this side lies from all values.
    fn infinity(self) -> Ordering {
        match self {
            Self::Lower => Ordering::Less,
            Self::Upper => Ordering::Greater,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

/// An end of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Its value in storage form; `None` if there is no bound.
    pub value: Option<Datum>,
    /// Whether the value itself is in the range.
    pub inclusive: bool,
    /// Which end it is.
    pub side: Side,
}

/// A range.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Without any value.
    Empty,
    /// From the lower bound to the upper.
    Between(Bound, Bound),
}

/// A range type: its own OID and that of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeType {
    /// The range type.
    pub range: Oid,
    /// The type of its bounds.
    pub subtype: Oid,
    /// The multirange type over it.
    pub multirange: Oid,
}

/// What the bounds of a range type are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BoundKind {
    /// Integers, or the text of a numeric.
    Number,
    /// Floats.
    Float,
    /// Text that orders by its bytes.
    Text,
    /// Bytes.
    Blob,
}

/// The kind of the bounds over a subtype; `None` for a type whose storage form does not order by itself.
fn kind_of(subtype: Oid) -> Option<BoundKind> {
    match subtype {
        Oid::INT4 | Oid::INT8 | Oid::DATE | Oid::TIMESTAMP | Oid::TIMESTAMPTZ | Oid::NUMERIC => {
            return Some(BoundKind::Number);
        }
        Oid::FLOAT4 | Oid::FLOAT8 => return Some(BoundKind::Float),
        Oid::TEXT | Oid::VARCHAR | Oid::NAME | Oid::CHAR => return Some(BoundKind::Text),
        _ => {}
    }
    let family = Family::of(subtype);
    if builtin_collation(subtype).is_some() || (family.is_none() && subtype.is_user()) {
        return None;
    }
    let names = NoNames;
    let cx = TypeContext { settings: &FormatSettings::default(), names: &names, now_us: 0 };
    match storage_class(subtype, &cx) {
        StorageClass::Integer => Some(BoundKind::Number),
        StorageClass::Blob => Some(BoundKind::Blob),
        StorageClass::Text if matches!(family, Some(Family::Bits(_))) => Some(BoundKind::Text),
        StorageClass::Text | StorageClass::Real => None,
    }
}

/// The bits of a float in an order that is the floats'; NaN is last.
fn ordered_bits(value: f64) -> u64 {
    let value = if value == 0.0 { 0.0 } else { value };
    let bits = if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() };
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn float_of_bits(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

impl RangeType {
    /// The range type with this OID, or that under the multirange type with it.
    #[must_use]
    pub fn of(type_oid: Oid) -> Option<Self> {
        let row = builtin::range(type_oid).or_else(|| builtin::range_of_multirange(type_oid))?;
        Some(Self { range: row.range, subtype: row.subtype, multirange: row.multirange })
    }

    /// The range type with this OID, or that under the multirange type with it, built in or the user's.
    #[must_use]
    pub fn named(type_oid: Oid, cx: &TypeContext) -> Option<Self> {
        Self::of(type_oid).or_else(|| match cx.names.shape(type_oid) {
            Some(TypeShape::Range(of) | TypeShape::Multirange(of)) => Some(of),
            _ => None,
        })
    }

    /// Whether between two neighbouring values there is none: only built-in types know the next value.
    #[must_use]
    pub fn is_discrete(self) -> bool {
        !self.range.is_user() && matches!(self.subtype, Oid::INT4 | Oid::INT8 | Oid::DATE)
    }

    /// Whether ranges can be made over the subtype.
    #[must_use]
    pub fn orders(subtype: Oid) -> bool {
        kind_of(subtype).is_some()
    }

    /// A value of the subtype as a bound has it.
    #[must_use]
    pub fn to_bound(self, value: Datum) -> Datum {
        match (kind_of(self.subtype), value) {
            (Some(BoundKind::Text), Datum::Text(text)) => Datum::Blob(text.into_bytes()),
            (Some(BoundKind::Float), Datum::Text(_)) => Datum::Real(f64::NAN),
            #[expect(clippy::cast_precision_loss, reason = "SQLite keeps whole floats as integers")]
            (Some(BoundKind::Float), Datum::Integer(value)) => Datum::Real(value as f64),
            (_, value) => value,
        }
    }

    /// The value of the subtype that a bound has.
    #[must_use]
    pub fn from_bound(self, value: Datum) -> Datum {
        match (kind_of(self.subtype), value) {
            (Some(BoundKind::Text), Datum::Blob(bytes)) => {
                Datum::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            (_, Datum::Real(value)) => codec::real(value),
            (_, value) => value,
        }
    }

    /// The value after that of a discrete subtype; infinite dates have none.
    fn next(self, value: &Datum) -> Result<Option<Datum>, SqlError> {
        let Datum::Integer(value) = value else { return Ok(None) };
        let end = match self.subtype {
            Oid::INT4 => i64::from(i32::MAX),
            Oid::DATE if matches!(*value, DATE_MIN | DATE_MAX) => return Ok(None),
            Oid::DATE => DAY_END - 1,
            _ => i64::MAX,
        };
        if *value < end {
            return Ok(Some(Datum::Integer(value + 1)));
        }
        Err(match self.subtype {
            Oid::INT4 => failure::out_of_range("integer"),
            Oid::DATE => failure::datetime_out_of_range("date"),
            _ => failure::out_of_range("bigint"),
        })
    }
}

impl Bound {
    /// A lower bound.
    #[must_use]
    pub fn lower(value: Option<Datum>, inclusive: bool) -> Self {
        Self { value, inclusive, side: Side::Lower }
    }

    /// An upper bound.
    #[must_use]
    pub fn upper(value: Option<Datum>, inclusive: bool) -> Self {
        Self { value, inclusive, side: Side::Upper }
    }

    /// The bound of what lies on its other side.
    #[must_use]
    pub fn flipped(&self) -> Self {
        let side = self.side.other();
        Self { value: self.value.clone(), inclusive: !self.inclusive, side }
    }

    fn cut(&self) -> Cut {
        Cut { limited: self.value.is_some(), inclusive: self.inclusive, side: self.side }
    }

    /// Orders two bounds by where they cut the line of values.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.cut().compare(other.cut(), || self.order_of_values(other))
    }

    /// Orders two bounds by their values alone.
    #[must_use]
    pub fn compare_values(&self, other: &Self) -> Ordering {
        self.cut().compare_values(other.cut(), || self.order_of_values(other))
    }

    fn order_of_values(&self, other: &Self) -> Ordering {
        match (&self.value, &other.value) {
            (Some(left), Some(right)) => compare_values(left.as_ref(), right.as_ref()),
            _ => Ordering::Equal,
        }
    }

    /// Whether a value is on the inner side of the bound.
    #[must_use]
    pub fn admits(&self, value: DatumRef<'_>) -> bool {
        let Some(bound) = &self.value else { return true };
        match compare_values(bound.as_ref(), value) {
            Ordering::Equal => self.inclusive,
            order => order == self.side.infinity(),
        }
    }
}

/// What of a bound decides its order beside its value.
#[derive(Clone, Copy)]
struct Cut {
    /// Whether it has a value.
    limited: bool,
    inclusive: bool,
    side: Side,
}

impl Cut {
    /// Orders two cuts whose values, if both have some, order as `values` says.
    fn compare(self, other: Self, values: impl FnOnce() -> Ordering) -> Ordering {
        self.compare_values(other, values).then_with(|| match (self.inclusive, other.inclusive) {
            _ if !self.limited => Ordering::Equal,
            (true, true) => Ordering::Equal,
            (false, false) if self.side == other.side => Ordering::Equal,
            (false, _) => self.side.infinity().reverse(),
            (true, false) => other.side.infinity(),
        })
    }

    fn compare_values(self, other: Self, values: impl FnOnce() -> Ordering) -> Ordering {
        match (self.limited, other.limited) {
            (false, false) if self.side == other.side => Ordering::Equal,
            (false, _) => self.side.infinity(),
            (_, false) => other.side.infinity().reverse(),
            (true, true) => values(),
        }
    }
}

/// Orders two values of a subtype.
fn compare_values(left: DatumRef<'_>, right: DatumRef<'_>) -> Ordering {
    match (left, right) {
        (DatumRef::Integer(left), DatumRef::Integer(right)) => left.cmp(&right),
        (DatumRef::Text(left), DatumRef::Text(right)) => numeric::compare_text(left, right),
        (DatumRef::Real(left), DatumRef::Real(right)) => {
            ordered_bits(left).cmp(&ordered_bits(right))
        }
        (DatumRef::Blob(left), DatumRef::Blob(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

impl Range {
    /// The range between two bounds, in canonical form.
    ///
    /// # Errors
    /// 22000 if lower is above upper; 22003 or 22008 if the canonical bound is no value of the type.
    pub fn new(lower: Bound, upper: Bound, of: RangeType) -> Result<Self, SqlError> {
        let range = Self::checked(lower, upper)?;
        let (Self::Between(mut lower, mut upper), true) = (range.clone(), of.is_discrete()) else {
            return Ok(range);
        };
        if let (false, Some(value)) = (lower.inclusive, &lower.value)
            && let Some(next) = of.next(value)?
        {
            lower = Bound::lower(Some(next), true);
        }
        if let (true, Some(value)) = (upper.inclusive, &upper.value)
            && let Some(next) = of.next(value)?
        {
            upper = Bound::upper(Some(next), false);
        }
        Self::checked(lower, upper)
    }

    fn checked(mut lower: Bound, mut upper: Bound) -> Result<Self, SqlError> {
        lower.inclusive &= lower.value.is_some();
        upper.inclusive &= upper.value.is_some();
        match lower.compare_values(&upper) {
            Ordering::Greater => Err(SqlError::new(
                SqlState::DATA_EXCEPTION,
                "range lower bound must be less than or equal to range upper bound",
            )),
            Ordering::Equal if !(lower.inclusive && upper.inclusive) => Ok(Self::Empty),
            Ordering::Equal | Ordering::Less => Ok(Self::Between(lower, upper)),
        }
    }

    /// Its bounds; `None` if it is empty.
    #[must_use]
    pub fn bounds(&self) -> Option<(&Bound, &Bound)> {
        match self {
            Self::Empty => None,
            Self::Between(lower, upper) => Some((lower, upper)),
        }
    }

    /// Whether there is no value in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::Empty
    }

    /// PostgreSQL's order: empty first, then by lower, then by upper bound.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.bounds(), other.bounds()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some((lower, upper)), Some((other_lower, other_upper))) => {
                lower.compare(other_lower).then_with(|| upper.compare(other_upper))
            }
        }
    }

    /// Reads the storage form.
    ///
    /// # Errors
    /// XX000 if it is not one.
    pub fn from_storage(stored: &str, of: RangeType) -> Result<Self, SqlError> {
        let wrong = || failure::wrong_storage("range");
        let parts = parts(stored).ok_or_else(wrong)?;
        let Some((lower, upper)) = parts else { return Ok(Self::Empty) };
        let value = |text: &str| match (of.subtype, text.split_at_checked(1)) {
            (_, None) => Some(None),
            (_, Some(("b", hex))) => Some(Some(Datum::Blob(scalar::from_hex(hex).ok()?))),
            (_, Some(("f", hex))) => {
                let bits = u64::from_str_radix(hex, 16).ok()?;
                Some(Some(Datum::Real(float_of_bits(bits))))
            }
            (Oid::NUMERIC, _) => Some(Some(Datum::Text(text.to_owned()))),
            _ => text.parse().ok().map(|it| Some(Datum::Integer(it))),
        };
        let lower_value = value(lower.text).ok_or_else(wrong)?;
        let upper_value = value(upper.text).ok_or_else(wrong)?;
        Ok(Self::Between(
            Bound::lower(lower_value, lower.inclusive),
            Bound::upper(upper_value, upper.inclusive),
        ))
    }

    /// The storage form.
    #[must_use]
    pub fn to_storage(&self) -> String {
        let Self::Between(lower, upper) = self else { return EMPTY.to_owned() };
        let value = |bound: &Bound| match &bound.value {
            Some(Datum::Integer(value)) => value.to_string(),
            Some(Datum::Text(value)) => value.clone(),
            Some(Datum::Real(value)) => format!("f{:016x}", ordered_bits(*value)),
            Some(Datum::Blob(bytes)) => format!("b{}", scalar::to_hex(bytes)),
            Some(Datum::Null) | None => String::new(),
        };
        let (open, close) = brackets(lower, upper);
        let (open, close) = (char::from(open), char::from(close));
        format!("{open}{},{}{close}", value(lower), value(upper))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// 22P02, what the subtype's input function raises, and those of [`Range::new`].
    pub fn parse(text: &str, of: RangeType, cx: &TypeContext) -> Result<Self, SqlError> {
        let mut reader = Reader { text, rest: text.trim_start_matches(scalar::is_space) };
        if let Some((word, rest)) = reader.rest.split_at_checked(EMPTY.len())
            && word.eq_ignore_ascii_case(EMPTY)
        {
            reader.rest = rest;
            reader.expect_end("Junk after \"empty\" key word.")?;
            return Ok(Self::Empty);
        }
        let lower_inclusive = reader.bracket(['[', '('], "Missing left parenthesis or bracket.")?;
        let lower = reader.bound()?;
        if !reader.take(',') {
            return Err(reader.malformed("Missing comma after lower bound."));
        }
        let upper = reader.bound()?;
        let upper_inclusive = reader.bracket([']', ')'], "Too many commas.")?;
        reader.expect_end("Junk after right parenthesis or bracket.")?;
        let read = |text: Option<String>| {
            let read = |text: String| codec::decode_text(of.subtype, -1, &text, cx);
            text.map(|text| read(text).map(|value| of.to_bound(value))).transpose()
        };
        let lower = Bound::lower(read(lower)?, lower_inclusive);
        let upper = Bound::upper(read(upper)?, upper_inclusive);
        Self::new(lower, upper, of)
    }

    /// Appends the text form.
    ///
    /// # Errors
    /// What the subtype's output function raises.
    pub fn write_text(
        &self,
        of: RangeType,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let Self::Between(lower, upper) = self else {
            out.extend_from_slice(EMPTY.as_bytes());
            return Ok(());
        };
        let (open, close) = brackets(lower, upper);
        let mut scratch = Vec::new();
        out.push(open);
        for (bound, end) in [(lower, b','), (upper, close)] {
            if let Some(value) = &bound.value {
                scratch.clear();
                let value = of.from_bound(value.clone());
                codec::encode_text(of.subtype, value.as_ref(), cx, &mut scratch)?;
                quoted::write(&scratch, b"()[],", out);
            }
            out.push(end);
        }
        Ok(())
    }

    /// Reads the binary form: flags, then each bound with its length.
    ///
    /// # Errors
    /// 22P03, what the subtype's receive function raises, and those of [`Range::new`].
    pub fn decode_binary(bytes: &[u8], of: RangeType, cx: &TypeContext) -> Result<Self, SqlError> {
        let (flags, rest) = bytes.split_first().ok_or_else(|| failure::invalid_binary("range"))?;
        let has = |flag: u8| flags & flag != 0;
        let mut reader = BinaryReader { rest };
        let mut value = |missing: u8| {
            if has(FLAG_EMPTY) || has(missing) {
                return Ok(None);
            }
            let length = reader.length()?;
            let value = codec::decode_binary(of.subtype, -1, reader.take(length)?, cx)?;
            Ok(Some(of.to_bound(value)))
        };
        let lower = value(FLAG_LOWER_INFINITE)?;
        let upper = value(FLAG_UPPER_INFINITE)?;
        if !reader.rest.is_empty() {
            return Err(failure::invalid_binary("range"));
        }
        if has(FLAG_EMPTY) {
            return Ok(Self::Empty);
        }
        let lower = Bound::lower(lower, has(FLAG_LOWER_INCLUSIVE));
        let upper = Bound::upper(upper, has(FLAG_UPPER_INCLUSIVE));
        Self::new(lower, upper, of)
    }

    /// Appends the binary form.
    ///
    /// # Errors
    /// What the subtype's encoder raises.
    pub fn encode_binary(
        &self,
        of: RangeType,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let Self::Between(lower, upper) = self else {
            out.push(FLAG_EMPTY);
            return Ok(());
        };
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        out.push(
            flag(lower.inclusive, FLAG_LOWER_INCLUSIVE)
                | flag(upper.inclusive, FLAG_UPPER_INCLUSIVE)
                | flag(lower.value.is_none(), FLAG_LOWER_INFINITE)
                | flag(upper.value.is_none(), FLAG_UPPER_INFINITE),
        );
        let encode = codec::encoder(of.subtype, true);
        for value in [lower, upper].into_iter().filter_map(|bound| bound.value.as_ref()) {
            let value = of.from_bound(value.clone());
            codec::encode_field(encode, of.subtype, value.as_ref(), cx, out)?;
        }
        Ok(())
    }
}

fn brackets(lower: &Bound, upper: &Bound) -> (u8, u8) {
    (if lower.inclusive { b'[' } else { b'(' }, if upper.inclusive { b']' } else { b')' })
}

/// A bound of a stored range.
#[derive(Clone, Copy)]
struct StoredBound<'a> {
    text: &'a str,
    inclusive: bool,
    side: Side,
}

/// The bounds of a stored range, or that it is empty; `None` for what is no range.
fn parts(stored: &str) -> Option<Option<(StoredBound<'_>, StoredBound<'_>)>> {
    if stored == EMPTY {
        return Some(None);
    }
    let inner = stored.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let (lower, upper) = inner.split_once(',')?;
    let lower = StoredBound { text: lower, inclusive: stored.starts_with('['), side: Side::Lower };
    let upper = StoredBound { text: upper, inclusive: stored.ends_with(']'), side: Side::Upper };
    Some(Some((lower, upper)))
}

impl StoredBound<'_> {
    /// As [`Bound::compare`], whatever the subtype.
    fn compare(self, other: Self) -> Ordering {
        let cut = |bound: Self| Cut {
            limited: !bound.text.is_empty(),
            inclusive: bound.inclusive,
            side: bound.side,
        };
        let coded = self.text.starts_with(['b', 'f']) && other.text.starts_with(['b', 'f']);
        cut(self).compare(cut(other), || match (self.text.parse(), other.text.parse()) {
            (Ok(left), Ok(right)) => i64::cmp(&left, &right),
            _ if coded => self.text.cmp(other.text),
            _ => numeric::compare_text(self.text, other.text),
        })
    }
}

/// Orders two stored ranges of one type: the collation `pg_range`.
#[must_use]
pub fn compare_stored(left: &str, right: &str) -> Ordering {
    match (parts(left), parts(right)) {
        (Some(None), Some(None)) => Ordering::Equal,
        (Some(None), Some(Some(_))) => Ordering::Less,
        (Some(Some(_)), Some(None)) => Ordering::Greater,
        (Some(Some((lower, upper))), Some(Some((other_lower, other_upper)))) => {
            lower.compare(other_lower).then_with(|| upper.compare(other_upper))
        }
        _ => left.cmp(right),
    }
}

/// Takes a range literal apart.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn malformed(&self, detail: &str) -> SqlError {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("malformed range literal: \"{}\"", self.text),
        )
        .with_detail(detail)
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The bracket that includes the bound, or the parenthesis that excludes it.
    fn bracket(&mut self, kinds: [char; 2], missing: &str) -> Result<bool, SqlError> {
        let [inclusive, exclusive] = kinds;
        if self.take(inclusive) {
            return Ok(true);
        }
        if self.take(exclusive) { Ok(false) } else { Err(self.malformed(missing)) }
    }

    fn expect_end(&self, detail: &str) -> Result<(), SqlError> {
        if self.rest.chars().all(scalar::is_space) {
            return Ok(());
        }
        Err(self.malformed(detail))
    }

    /// The text of a bound; `None` where nothing stands.
    fn bound(&mut self) -> Result<Option<String>, SqlError> {
        let bound = quoted::read(&mut self.rest, &[',', ')', ']']);
        bound.ok_or_else(|| self.malformed("Unexpected end of input."))
    }
}
