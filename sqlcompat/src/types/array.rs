//! Arrays: PostgreSQL's text and binary forms, and the JSON array that is stored.
//!
//! `'{{1,2},{3,NULL}}'::int4[]` is stored as `[[1,2],[3,null]]`: nested once per dimension, elements in their storage form,
//! blobs as hexadecimal digits, non-finite floats as their names. In memory it is the element list in row-major order and
//! the lengths of the dimensions.
//!
//! # Bounds
//! [`ELEMENTS_MAX`] elements, [`DIMENSIONS_MAX`] dimensions; more is 54000.

use std::cmp::Ordering;

use serde_json::Value;

use super::family::Family;
use super::{TypeContext, TypeShape, codec, failure, object_name, scalar};
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
            Some(TypeShape::Array(_) | TypeShape::Enum | TypeShape::Composite(_)) | None => {
                StorageClass::Text
            }
        },
    }
}

/// An array value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Length of each dimension; empty for the empty array.
    pub dimensions: Vec<usize>,
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

fn malformed(text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed array literal: \"{text}\""),
    )
}

fn too_large() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"),
    )
}

fn too_many_dimensions(count: usize) -> SqlError {
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
        Self { dimensions, elements }
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
        let Ok(Value::Array(items)) = serde_json::from_str(text) else { return Err(bad()) };
        let mut array = Self::default();
        if !items.is_empty() {
            array.flatten(items, 0, class).ok_or_else(bad)?;
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
        if self.dimensions.len() <= 1 {
            let items: Vec<Value> =
                self.elements.iter().map(|it| datum_to_json(it.as_ref())).collect();
            return Value::Array(items).to_string();
        }
        nest(&self.dimensions, &self.elements).to_string()
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
        let mut reader = Reader { text, rest: text.trim_start_matches(scalar::is_space) };
        reader.skip_bounds()?;
        let mut array = Self::default();
        let mut raw = Vec::new();
        reader.read_level(0, &mut array.dimensions, &mut raw)?;
        if !reader.rest.trim_start_matches(scalar::is_space).is_empty() {
            return Err(malformed(text).with_detail("Junk after closing right brace."));
        }
        for item in raw {
            array.elements.push(match item {
                None => Datum::Null,
                Some(item) => codec::decode_text(element, typmod, &item, cx)?,
            });
        }
        if array.elements.is_empty() {
            array.dimensions.clear();
        }
        Ok(array)
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
        let encode = codec::encoder(element, false);
        let delimiter = if element == Oid(603) { b';' } else { b',' };
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
    /// 22P03 for malformed bytes, 42804 for another element type, 0A000 for a lower bound other than 1.
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
        let mut total: usize = 1;
        for _ in 0..dimensions {
            let length = reader.length()?;
            if reader.i32()? != 1 {
                return Err(SqlError::unsupported("an array whose lower bound is not 1"));
            }
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
        Ok(array)
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
        for length in &self.dimensions {
            push_length(*length, out);
            out.extend(1i32.to_be_bytes());
        }
        for item in &self.elements {
            codec::encode_field(encode, element, item.as_ref(), cx, out)?;
        }
        Ok(())
    }

    /// Compares element by element, then by number of elements, then by dimensions, as PostgreSQL does.
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
        lengths.then_with(dimensions).then_with(|| self.dimensions.cmp(&other.dimensions))
    }
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

/// Reader of the text form.
struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn fail(&self, detail: &str) -> SqlError {
        malformed(self.text).with_detail(detail)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(scalar::is_space);
    }

    fn accept(&mut self, token: char) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Skips explicit bounds such as `[1:3]=`, which must begin at 1.
    fn skip_bounds(&mut self) -> Result<(), SqlError> {
        if !self.rest.starts_with('[') {
            return Ok(());
        }
        let (bounds, rest) =
            self.rest.split_once('=').ok_or_else(|| self.fail("Missing assignment operator."))?;
        let lowers = bounds.split('[').skip(1).map(|bound| bound.split(':').next().unwrap_or(""));
        for lower in lowers {
            if lower != "1" {
                return Err(SqlError::unsupported("an array whose lower bound is not 1"));
            }
        }
        self.rest = rest;
        Ok(())
    }

    /// Reads `{…}` at nesting `depth`, checking that all parts of one depth have the same length.
    fn read_level(
        &mut self,
        depth: usize,
        dimensions: &mut Vec<usize>,
        elements: &mut Vec<Option<String>>,
    ) -> Result<(), SqlError> {
        if depth >= DIMENSIONS_MAX {
            return Err(too_many_dimensions(depth + 1));
        }
        self.skip_spaces();
        if !self.accept('{') {
            let detail = if depth == 0 {
                "Array value must start with \"{\" or dimension information."
            } else {
                "Unexpected array element."
            };
            return Err(self.fail(detail));
        }
        let known = dimensions.get(depth).copied();
        if known.is_none() {
            dimensions.push(0);
        }
        let mut length = 0;
        self.skip_spaces();
        if !self.accept('}') {
            loop {
                self.skip_spaces();
                if self.rest.starts_with('{') {
                    if depth + 1 >= dimensions.len() && (length > 0 || known.is_some()) {
                        return Err(self.ragged());
                    }
                    self.read_level(depth + 1, dimensions, elements)?;
                } else {
                    if dimensions.len() > depth + 1 {
                        return Err(self.ragged());
                    }
                    elements.push(self.read_element()?);
                    if elements.len() > ELEMENTS_MAX {
                        return Err(too_large());
                    }
                }
                length += 1;
                self.skip_spaces();
                if self.accept('}') {
                    break;
                }
                if !self.accept(',') {
                    return Err(self.fail("Unexpected end of input."));
                }
            }
        }
        match known {
            Some(known) if known != length => Err(self.ragged()),
            _ => {
                if let Some(slot) = dimensions.get_mut(depth) {
                    *slot = length;
                }
                Ok(())
            }
        }
    }

    fn ragged(&self) -> SqlError {
        self.fail("Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    /// Reads one element; `None` is NULL.
    fn read_element(&mut self) -> Result<Option<String>, SqlError> {
        let mut value = String::new();
        let mut quoted = false;
        let mut kept = 0;
        let mut chars = self.rest.char_indices();
        let mut in_quotes = false;
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    let (_, escaped) =
                        chars.next().ok_or_else(|| self.fail("Unexpected end of input."))?;
                    value.push(escaped);
                    quoted = true;
                    kept = value.len();
                }
                '"' => {
                    in_quotes = !in_quotes;
                    quoted = true;
                    kept = value.len();
                }
                ',' | '}' if !in_quotes => {
                    end = at;
                    break;
                }
                '{' if !in_quotes => return Err(self.fail("Unexpected \"{\" character.")),
                c => {
                    value.push(c);
                    if in_quotes || !scalar::is_space(c) {
                        kept = value.len();
                    }
                }
            }
        }
        if in_quotes || end == self.rest.len() {
            return Err(self.fail("Unexpected end of input."));
        }
        self.rest = self.rest.get(end..).unwrap_or_default();
        value.truncate(kept);
        if !quoted {
            if value.is_empty() {
                let next = self.rest.chars().next().unwrap_or(' ');
                return Err(self.fail(&format!("Unexpected \"{next}\" character.")));
            }
            if value.eq_ignore_ascii_case("null") {
                return Ok(None);
            }
        }
        Ok(Some(value))
    }
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
