//! Arrays: PostgreSQL's text and binary forms, and the JSON array that is stored.
//!
//! `'{{1,2},{3,NULL}}'::int4[]` is stored as `[[1,2],[3,null]]`: nested once per dimension, elements in their storage form,
//! blobs as hexadecimal digits, non-finite floats as their names. Where a dimension does not count from 1, the lower bounds
//! stand before it: `'[0:1]={7,8}'` is stored as `0=[7,8]`, two dimensions as `0,1=[[7],[8]]`. In memory it is the element list
//! in row-major order, the lengths of the dimensions and their lower bounds.
//!
//! # Bounds
//! [`ELEMENTS_MAX`] elements, [`DIMENSIONS_MAX`] dimensions; more is 54000.

use std::cmp::Ordering;

use serde_json::Value;

use super::family::Family;
use super::{TypeContext, TypeShape, array_text, codec, failure, object_name, scalar};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Most elements of one array.
pub const ELEMENTS_MAX: usize = 10_000_000;
/// Most dimensions, PostgreSQL's `MAXDIM`.
pub const DIMENSIONS_MAX: usize = 6;

/// Storage class of a type's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageClass {
    /// `Datum::Integer`.
    Integer,
    /// `Datum::Real`, or text for NaN.
    Real,
    /// `Datum::Text`.
    Text,
    /// `Datum::Blob`.
    Blob,
}

/// The storage class of a type; domains are looked through.
#[must_use]
pub fn storage_class(type_oid: Oid, cx: &TypeContext) -> StorageClass {
    match type_oid {
        Oid::BOOL | Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID | Oid::XID | Oid::CID => {
            StorageClass::Integer
        }
        Oid::DATE | Oid::TIME | Oid::TIMESTAMP | Oid::TIMESTAMPTZ => StorageClass::Integer,
        Oid::FLOAT4 | Oid::FLOAT8 => StorageClass::Real,
        Oid::BYTEA | Oid::UUID => StorageClass::Blob,
        other if object_name::object_class(other).is_some() => StorageClass::Integer,
        other if Family::of(other).is_some() => {
            Family::of(other).map_or(StorageClass::Text, Family::storage_class)
        }
        other => match cx.names.shape(other) {
            Some(TypeShape::Domain(base, _)) => storage_class(base, cx),
            Some(
                TypeShape::Array(_)
                | TypeShape::Enum
                | TypeShape::Composite(_)
                | TypeShape::Range(_)
                | TypeShape::Multirange(_),
            )
            | None => StorageClass::Text,
        },
    }
}

/// An array value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Length of each dimension; empty for the empty array.
    pub dimensions: Vec<usize>,
    /// Lower bound of each dimension; empty where all count from 1.
    pub lowers: Vec<i32>,
    /// Elements in row-major order.
    pub elements: Vec<Datum>,
}

/// A stored element as JSON.
#[must_use]
pub fn datum_to_json(datum: DatumRef<'_>) -> Value {
    match datum {
        DatumRef::Null => Value::Null,
        DatumRef::Integer(value) => Value::from(value),
        DatumRef::Real(value) if value.is_finite() => Value::from(value),
        DatumRef::Real(value) => Value::from(super::float::format_f64(value)),
        DatumRef::Text(value) => Value::from(value),
        DatumRef::Blob(value) => Value::from(scalar::to_hex(value)),
    }
}

/// The stored element that JSON stands for; `None` if it does not fit the class.
#[must_use]
pub fn json_to_datum(value: Value, class: StorageClass) -> Option<Datum> {
    Some(match (value, class) {
        (Value::Null, _) => Datum::Null,
        (Value::Bool(value), StorageClass::Integer) => Datum::Integer(i64::from(value)),
        (Value::Number(value), StorageClass::Integer) => Datum::Integer(value.as_i64()?),
        (Value::Number(value), StorageClass::Real) => Datum::Real(value.as_f64()?),
        (Value::String(value), StorageClass::Text) => Datum::Text(value),
        (Value::String(value), StorageClass::Blob) => Datum::Blob(scalar::from_hex(&value).ok()?),
        (Value::String(value), StorageClass::Real) => match value.as_str() {
            "NaN" => Datum::Text(value),
            "Infinity" => Datum::Real(f64::INFINITY),
            "-Infinity" => Datum::Real(f64::NEG_INFINITY),
            _ => return None,
        },
        _ => return None,
    })
}

/// 54000: more than [`ELEMENTS_MAX`] elements.
#[must_use]
pub fn too_large() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"),
    )
}

/// 54000: more than [`DIMENSIONS_MAX`] dimensions.
#[must_use]
pub fn too_many_dimensions(count: usize) -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!(
            "number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"
        ),
    )
}

impl Array {
    /// A one-dimensional array; empty without elements.
    #[must_use]
    pub fn from_elements(elements: Vec<Datum>) -> Self {
        let dimensions = if elements.is_empty() { Vec::new() } else { vec![elements.len()] };
        Self::of(dimensions, elements)
    }

    /// An array whose dimensions count from 1; empty without elements.
    #[must_use]
    pub fn of(dimensions: Vec<usize>, elements: Vec<Datum>) -> Self {
        let dimensions = if elements.is_empty() { Vec::new() } else { dimensions };
        Self { dimensions, lowers: Vec::new(), elements }
    }

    /// The array with its dimensions counted from `lowers`.
    ///
    /// # Errors
    /// 54000 if a dimension ends above the largest integer.
    pub fn with_lowers(mut self, lowers: &[i32]) -> Result<Self, SqlError> {
        self.lowers.clear();
        if self.is_empty() {
            return Ok(self);
        }
        for (lower, length) in lowers.iter().zip(&self.dimensions) {
            let length = i32::try_from(*length).ok();
            if length.and_then(|length| lower.checked_add(length)).is_none() {
                let message = format!("array lower bound is too large: {lower}");
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
            }
        }
        if lowers.iter().any(|lower| *lower != 1) {
            self.lowers = lowers.to_vec();
        }
        Ok(self)
    }

    /// Where the dimension (from 0) begins to count.
    #[must_use]
    pub fn lower(&self, dimension: usize) -> i64 {
        self.lowers.get(dimension).copied().map_or(1, i64::from)
    }

    /// The last subscript of the dimension (from 0).
    #[must_use]
    pub fn upper(&self, dimension: usize) -> i64 {
        let length = self.dimensions.get(dimension).copied().unwrap_or(0);
        self.lower(dimension) + i64::try_from(length).unwrap_or(i64::MAX) - 1
    }

    /// The lower bounds of all dimensions.
    #[must_use]
    pub fn all_lowers(&self) -> Vec<i32> {
        if self.lowers.is_empty() { vec![1; self.dimensions.len()] } else { self.lowers.clone() }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// XX000 if it is not one.
    pub fn from_storage(text: &str, class: StorageClass) -> Result<Self, SqlError> {
        let bad = || failure::wrong_storage("array");
        let (lowers, items) = split_lowers(text).ok_or_else(bad)?;
        let Ok(Value::Array(items)) = serde_json::from_str(items) else { return Err(bad()) };
        let mut array = Self { lowers, ..Self::default() };
        if !items.is_empty() {
            array.flatten(items, 0, class).ok_or_else(bad)?;
        }
        if !array.lowers.is_empty() && array.lowers.len() != array.dimensions.len() {
            return Err(bad());
        }
        Ok(array)
    }

    fn flatten(&mut self, items: Vec<Value>, depth: usize, class: StorageClass) -> Option<()> {
        match self.dimensions.get(depth) {
            None if depth < DIMENSIONS_MAX => self.dimensions.push(items.len()),
            Some(length) if *length == items.len() => {}
            _ => return None,
        }
        for item in items {
            match item {
                Value::Array(inner) => self.flatten(inner, depth + 1, class)?,
                leaf => {
                    let is_leaf_level = self.dimensions.len() == depth + 1;
                    self.elements.push(json_to_datum(leaf, class).filter(|_| is_leaf_level)?);
                }
            }
        }
        Some(())
    }

    /// The stored form.
    #[must_use]
    pub fn to_storage(&self) -> String {
        let items = nest(&self.dimensions, &self.elements);
        if self.lowers.is_empty() {
            return items.to_string();
        }
        let lowers: Vec<String> = self.lowers.iter().map(ToString::to_string).collect();
        format!("{}={items}", lowers.join(","))
    }

    /// Reads PostgreSQL's text form.
    ///
    /// # Errors
    /// 22P02 for malformed text, and what the element's input function raises.
    pub fn parse(
        text: &str,
        element: Oid,
        typmod: i32,
        cx: &TypeContext,
    ) -> Result<Self, SqlError> {
        let array_text::Parsed { dimensions, lowers, elements: raw } =
            array_text::read(text, delimiter(element))?;
        let mut elements = Vec::with_capacity(raw.len());
        for item in raw {
            elements.push(match item {
                None => Datum::Null,
                Some(item) => codec::decode_text(element, typmod, &item, cx)?,
            });
        }
        Self::of(dimensions, elements).with_lowers(&lowers)
    }

    /// Appends PostgreSQL's text form.
    ///
    /// # Errors
    /// What the element's output function raises.
    pub fn write_text(
        &self,
        element: Oid,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        if self.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        for (dimension, _) in self.lowers.iter().enumerate() {
            let bounds = format!("[{}:{}]", self.lower(dimension), self.upper(dimension));
            out.extend_from_slice(bounds.as_bytes());
        }
        if !self.lowers.is_empty() {
            out.push(b'=');
        }
        let encode = codec::encoder(element, false);
        let delimiter = delimiter(element);
        let mut scratch = Vec::new();
        for (index, item) in self.elements.iter().enumerate() {
            let opened = self.boundary_depth(index);
            if index > 0 {
                out.extend(std::iter::repeat_n(b'}', opened));
                out.push(delimiter);
            }
            let open_now = if index == 0 { self.dimensions.len() } else { opened };
            out.extend(std::iter::repeat_n(b'{', open_now));
            if *item == Datum::Null {
                out.extend_from_slice(b"NULL");
                continue;
            }
            scratch.clear();
            encode(element, item.as_ref(), cx, &mut scratch)?;
            write_element(&scratch, delimiter, out);
        }
        out.extend(std::iter::repeat_n(b'}', self.dimensions.len()));
        Ok(())
    }

    /// How many inner dimensions begin anew at element `index`.
    fn boundary_depth(&self, index: usize) -> usize {
        let mut stride = 1;
        let mut depth = 0;
        for length in self.dimensions.iter().skip(1).rev() {
            stride *= (*length).max(1);
            if index.is_multiple_of(stride) {
                depth += 1;
            }
        }
        depth
    }

    /// Reads the binary form; the element type it names must be the expected one.
    ///
    /// # Errors
    /// 22P03 for malformed bytes, 42804 for another element type.
    pub fn decode_binary(
        bytes: &[u8],
        element: Oid,
        typmod: i32,
        cx: &TypeContext,
    ) -> Result<Self, SqlError> {
        let mut reader = BinaryReader { rest: bytes };
        let dimensions = reader.length()?;
        let _has_nulls = reader.i32()?;
        let sent = Oid(reader.i32()?.cast_unsigned());
        if dimensions > DIMENSIONS_MAX {
            return Err(too_many_dimensions(dimensions));
        }
        if sent != element {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("binary data has array element type {sent} instead of expected {element}"),
            ));
        }
        let mut array = Self::default();
        let mut lowers = Vec::with_capacity(dimensions);
        let mut total: usize = 1;
        for _ in 0..dimensions {
            let length = reader.length()?;
            lowers.push(reader.i32()?);
            total =
                total.checked_mul(length).filter(|it| *it <= ELEMENTS_MAX).ok_or_else(too_large)?;
            array.dimensions.push(length);
        }
        if dimensions == 0 || total == 0 {
            return Ok(Self::default());
        }
        for _ in 0..total {
            let length = reader.i32()?;
            array.elements.push(match usize::try_from(length) {
                Err(_) => Datum::Null,
                Ok(length) => codec::decode_binary(element, typmod, reader.take(length)?, cx)?,
            });
        }
        if !reader.rest.is_empty() {
            return Err(failure::invalid_binary("array"));
        }
        array.with_lowers(&lowers)
    }

    /// Appends the binary form.
    ///
    /// # Errors
    /// What the element's encoder raises.
    pub fn encode_binary(
        &self,
        element: Oid,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let encode = codec::encoder(element, true);
        let has_nulls = self.elements.contains(&Datum::Null);
        push_length(self.dimensions.len(), out);
        out.extend(i32::from(has_nulls).to_be_bytes());
        out.extend(element.0.to_be_bytes());
        for (length, lower) in self.dimensions.iter().zip(self.all_lowers()) {
            push_length(*length, out);
            out.extend(lower.to_be_bytes());
        }
        for item in &self.elements {
            codec::encode_field(encode, element, item.as_ref(), cx, out)?;
        }
        Ok(())
    }

    /// Compares element by element, then by number of elements, then by dimensions and their lower bounds, as PostgreSQL does.
    #[must_use]
    pub fn compare(&self, other: &Self, elements: impl Fn(&Datum, &Datum) -> Ordering) -> Ordering {
        for (left, right) in self.elements.iter().zip(&other.elements) {
            let order = match (left, right) {
                (Datum::Null, Datum::Null) => Ordering::Equal,
                (Datum::Null, _) => Ordering::Greater,
                (_, Datum::Null) => Ordering::Less,
                _ => elements(left, right),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        let lengths = self.elements.len().cmp(&other.elements.len());
        let dimensions = || self.dimensions.len().cmp(&other.dimensions.len());
        lengths
            .then_with(dimensions)
            .then_with(|| self.dimensions.cmp(&other.dimensions))
            .then_with(|| self.all_lowers().cmp(&other.all_lowers()))
    }
}

/// What stands between the elements of an array over that type.
fn delimiter(element: Oid) -> u8 {
    if element == Oid(603) { b';' } else { b',' }
}

/// The lower bounds and the JSON array of a stored array; `None` for what is none.
pub(crate) fn split_lowers(stored: &str) -> Option<(Vec<i32>, &str)> {
    if stored.starts_with('[') {
        return Some((Vec::new(), stored));
    }
    let (lowers, items) = stored.split_once('=')?;
    let lowers = lowers.split(',').map(|lower| lower.parse().ok());
    Some((lowers.collect::<Option<_>>()?, items))
}

fn push_length(length: usize, out: &mut Vec<u8>) {
    out.extend(i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
}

fn nest(dimensions: &[usize], elements: &[Datum]) -> Value {
    let Some((_, inner)) = dimensions.split_first().filter(|(_, inner)| !inner.is_empty()) else {
        return Value::Array(elements.iter().map(|it| datum_to_json(it.as_ref())).collect());
    };
    let stride = inner.iter().product::<usize>().max(1);
    Value::Array(elements.chunks(stride).map(|chunk| nest(inner, chunk)).collect())
}

/// Writes one element, quoted where its text would be read as something else.
fn write_element(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let special = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'{' | b'}' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
            || *byte == delimiter
    };
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Reader of binary forms: every length is checked before use.
pub(super) struct BinaryReader<'a> {
    /// What is left.
    pub(super) rest: &'a [u8],
}

impl<'a> BinaryReader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], SqlError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(|| {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        })?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn i32(&mut self) -> Result<i32, SqlError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | i32::from(*byte)))
    }

    pub(super) fn length(&mut self) -> Result<usize, SqlError> {
        usize::try_from(self.i32()?).ok().ok_or_else(|| failure::invalid_binary("array"))
    }
}
