//! Comparison operators of the types that have no arithmetic: bytea, uuid, enums, rows, and `bytea`'s own functions.

use std::cmp::Ordering;

use md5::{Digest, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::call::{boolean, count, integer, text};
use super::ordering;
use super::{Call, ScalarFunction};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::Array;
use crate::types::record::{self, format_type};
use crate::types::{TypeNames, codec, failure, scalar};

type Answer = Result<Datum, SqlError>;

fn blobs(call: &Call) -> Result<Ordering, SqlError> {
    Ok(call.blob(0)?.cmp(call.blob(1)?))
}

/// Orders two values of one polymorphic type, which comes after them.
fn polymorphic(call: &Call) -> Result<Ordering, SqlError> {
    let type_oid = if call.len() > 2 { call.oid(2)? } else { Oid::RECORD };
    Ok(call.session.with_types(|cx| ordering::compare(type_oid, call.datum(0), call.datum(1), cx)))
}

/// Orders two rows, whose fields may be of different types only where no field decides before.
fn rows(call: &Call) -> Result<Ordering, SqlError> {
    let (left, right) = (call.text(0)?, call.text(1)?);
    let types =
        if call.len() > 3 { (call.oid(2)?, call.oid(3)?) } else { (Oid::RECORD, Oid::RECORD) };
    let (left, right) = call.session.with_types(|cx| {
        Ok::<_, SqlError>((record::fields(types.0, left, cx)?, record::fields(types.1, right, cx)?))
    })?;
    field_by_field(call, &left, &right, |type_oid, left, right| {
        call.session.with_types(|cx| ordering::compare(type_oid, left.as_ref(), right.as_ref(), cx))
    })
}

/// The order that the first pair of fields decides which differ.
fn field_by_field(
    call: &Call,
    left: &record::Fields,
    right: &record::Fields,
    order: impl Fn(Oid, &Datum, &Datum) -> Ordering,
) -> Result<Ordering, SqlError> {
    let mismatch = |message: String| SqlError::new(SqlState::DATATYPE_MISMATCH, message);
    let base = |oid: Oid| call.session.with_types(|cx| codec::base_type(oid, -1, cx).0);
    let named = |oid: Oid| call.session.with_types(|cx| format_type(oid, cx));
    for (number, ((left_type, left), (right_type, right))) in (1..).zip(left.iter().zip(right)) {
        if base(*left_type) != base(*right_type) {
            let (left, right) = (named(*left_type), named(*right_type));
            return Err(mismatch(format!(
                "cannot compare dissimilar column types {left} and {right} at record column {number}"
            )));
        }
        let order = order(*left_type, left, right);
        if order.is_ne() {
            return Ok(order);
        }
    }
    if left.len() == right.len() {
        return Ok(Ordering::Equal);
    }
    Err(mismatch("cannot compare record types with different numbers of columns".to_owned()))
}

/// Orders two rows by the bytes that their fields are kept as.
fn images(call: &Call) -> Result<Ordering, SqlError> {
    let (left, right) = (call.text(0)?, call.text(1)?);
    let types =
        if call.len() > 3 { (call.oid(2)?, call.oid(3)?) } else { (Oid::RECORD, Oid::RECORD) };
    let image = |left: &Datum, right: &Datum| match (left, right) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Integer(left), Datum::Integer(right)) => {
            left.cast_unsigned().cmp(&right.cast_unsigned())
        }
        (Datum::Real(left), Datum::Real(right)) => left.to_bits().cmp(&right.to_bits()),
        (Datum::Text(left), Datum::Text(right)) => left.cmp(right),
        (Datum::Blob(left), Datum::Blob(right)) => left.cmp(right),
        _ => Ordering::Less,
    };
    let fields = |type_oid: Oid, stored: &str| {
        call.session.with_types(|cx| record::fields(type_oid, stored, cx))
    };
    field_by_field(call, &fields(types.0, left)?, &fields(types.1, right)?, |_, left, right| {
        image(left, right)
    })
}

/// Labels of the enum from one position to another.
fn labels(call: &Call, type_oid: Oid, from: usize, to: usize) -> Vec<Datum> {
    let catalog = call.session.state().catalog.clone();
    (from..=to).map_while(|position| catalog.enum_label(type_oid, position)).map(text).collect()
}

fn enum_edge(call: &Call, last: bool) -> Answer {
    let all = labels(call, call.oid(1)?, 0, usize::MAX - 1);
    let found = if last { all.last() } else { all.first() };
    Ok(found.cloned().unwrap_or(Datum::Null))
}

fn enum_range(call: &Call) -> Answer {
    let (type_oid, bounds) =
        if call.len() > 2 { (call.oid(2)?, true) } else { (call.oid(1)?, false) };
    let catalog = call.session.state().catalog.clone();
    let position = |index: usize, default: usize| match call.datum(index) {
        DatumRef::Text(label) if bounds => {
            catalog.enum_position(type_oid, label).unwrap_or(default)
        }
        _ => default,
    };
    let (from, to) = (position(0, 0), position(1, usize::MAX - 1));
    let found = if from > to { Vec::new() } else { labels(call, type_oid, from, to) };
    Ok(text(Array::from_elements(found).to_storage()))
}

fn pick(call: &Call, wanted: Ordering) -> Answer {
    Ok(if polymorphic(call)? == wanted { call.datum(0) } else { call.datum(1) }.to_datum())
}

/// Bytes from `start` (1-based) for `length`.
fn byte_substring(call: &Call) -> Answer {
    let (bytes, start) = (call.blob(0)?, call.i64(1)?);
    let end = if call.len() > 2 {
        let length = call.i64(2)?;
        if length < 0 {
            return Err(SqlError::new(
                SqlState::SUBSTRING_ERROR,
                "negative substring length not allowed",
            ));
        }
        start.saturating_add(length)
    } else {
        i64::MAX
    };
    let bound = |at: i64| usize::try_from(at.max(1) - 1).unwrap_or(usize::MAX).min(bytes.len());
    let (from, to) = (bound(start), bound(end));
    Ok(Datum::Blob(bytes.get(from..to).unwrap_or_default().to_vec()))
}

fn byte_position(call: &Call) -> Answer {
    let (haystack, needle) = (call.blob(0)?, call.blob(1)?);
    if needle.is_empty() {
        return Ok(integer(1));
    }
    let found = haystack.windows(needle.len()).position(|window| window == needle);
    Ok(found.map_or(integer(0), |at| count(at + 1)))
}

fn byte_index(index: i64, length: usize) -> Result<usize, SqlError> {
    usize::try_from(index).ok().filter(|at| *at < length).ok_or_else(|| {
        let last = i64::try_from(length).unwrap_or(0) - 1;
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("index {index} out of valid range, 0..{last}"),
        )
    })
}

fn get_byte(call: &Call) -> Answer {
    let bytes = call.blob(0)?;
    let at = byte_index(call.i64(1)?, bytes.len())?;
    Ok(integer(bytes.get(at).copied().unwrap_or(0)))
}

fn set_byte(call: &Call) -> Answer {
    let mut bytes = call.blob(0)?.to_vec();
    let at = byte_index(call.i64(1)?, bytes.len())?;
    if let Some(slot) = bytes.get_mut(at) {
        *slot = u8::try_from(call.i64(2)? & 0xff).unwrap_or(0);
    }
    Ok(Datum::Blob(bytes))
}

fn get_bit(call: &Call) -> Answer {
    let bytes = call.blob(0)?;
    let at = byte_index(call.i64(1)?, bytes.len() * 8)?;
    Ok(integer(bytes.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1)))
}

fn set_bit(call: &Call) -> Answer {
    let mut bytes = call.blob(0)?.to_vec();
    let at = byte_index(call.i64(1)?, bytes.len() * 8)?;
    let bit = call.i64(2)?;
    if !(0..=1).contains(&bit) {
        return Err(failure::invalid_parameter("new bit must be 0 or 1"));
    }
    if let Some(slot) = bytes.get_mut(at / 8) {
        let mask = 1 << (at % 8);
        *slot = if bit == 1 { *slot | mask } else { *slot & !mask };
    }
    Ok(Datum::Blob(bytes))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with a line feed after every 76 characters (RFC 2045), as `encode` writes it.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.push('\n');
        }
        let packed = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        for position in 0..4 {
            let digit = (packed >> (18 - 6 * position)) & 63;
            let used = position <= chunk.len();
            out.push(if used { char::from(BASE64[digit as usize]) } else { '=' });
        }
    }
    out
}

pub(crate) fn from_base64(value: &str) -> Result<Vec<u8>, SqlError> {
    let bad = |c: char| {
        failure::invalid_parameter(format!(
            "invalid symbol \"{c}\" found while decoding base64 sequence"
        ))
    };
    let mut out = Vec::new();
    let (mut packed, mut digits, mut padding) = (0u32, 0, 0);
    for c in value.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        let digit = if c == '=' {
            padding += 1;
            0
        } else {
            let found =
                BASE64.iter().position(|known| char::from(*known) == c).filter(|_| padding == 0);
            u32::try_from(found.ok_or_else(|| bad(c))?).unwrap_or(0)
        };
        packed = packed << 6 | digit;
        digits += 1;
        if digits == 4 {
            let [_, bytes @ ..] = packed.to_be_bytes();
            out.extend(bytes.iter().take(3usize.saturating_sub(padding)));
            (packed, digits) = (0, 0);
        }
    }
    if digits != 0 {
        return Err(failure::invalid_parameter("invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> SqlError {
    failure::invalid_parameter(format!("unrecognized encoding: \"{name}\""))
}

fn encode(call: &Call) -> Answer {
    let (bytes, name) = (call.blob(0)?, call.text(1)?);
    Ok(text(match name.to_ascii_lowercase().as_str() {
        "hex" => scalar::to_hex(bytes),
        "base64" => to_base64(bytes),
        "escape" => {
            // Unlike bytea's own escape format, only zero bytes, high bytes and backslashes are escaped.
            let mut out = String::new();
            for byte in bytes {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    0 | 128.. => out.push_str(&format!("\\{byte:03o}")),
                    byte => out.push(char::from(*byte)),
                }
            }
            out
        }
        _ => return Err(unknown_encoding(name)),
    }))
}

fn decode(call: &Call) -> Answer {
    let (value, name) = (call.text(0)?, call.text(1)?);
    Ok(Datum::Blob(match name.to_ascii_lowercase().as_str() {
        "hex" => scalar::from_hex(value)?,
        "base64" => from_base64(value)?,
        "escape" => scalar::from_escape(value).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "invalid input syntax for type bytea",
            )
        })?,
        _ => return Err(unknown_encoding(name)),
    }))
}

fn trim_bytes(call: &Call, left: bool, right: bool) -> Answer {
    let (mut bytes, set) = (call.blob(0)?, call.blob(1)?);
    while let Some((_, rest)) = bytes.split_first().filter(|(first, _)| left && set.contains(first))
    {
        bytes = rest;
    }
    while let Some((_, rest)) = bytes.split_last().filter(|(last, _)| right && set.contains(last)) {
        bytes = rest;
    }
    Ok(Datum::Blob(bytes.to_vec()))
}

fn digest<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    D::digest(bytes).to_vec()
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

macro_rules! comparisons {
    ($order:ident, $eq:literal, $ne:literal, $lt:literal, $le:literal, $gt:literal, $ge:literal, $cmp:literal) => {
        &[
            f($eq, |call| Ok(boolean($order(call)?.is_eq()))),
            f($ne, |call| Ok(boolean($order(call)?.is_ne()))),
            f($lt, |call| Ok(boolean($order(call)?.is_lt()))),
            f($le, |call| Ok(boolean($order(call)?.is_le()))),
            f($gt, |call| Ok(boolean($order(call)?.is_gt()))),
            f($ge, |call| Ok(boolean($order(call)?.is_ge()))),
            f($cmp, |call| Ok(integer($order(call)? as i8))),
        ]
    };
}

/// Comparisons, per type.
pub(super) const COMPARISONS: &[&[ScalarFunction]] = &[
    comparisons!(
        blobs,
        "pg_byteaeq",
        "pg_byteane",
        "pg_bytealt",
        "pg_byteale",
        "pg_byteagt",
        "pg_byteage",
        "pg_byteacmp"
    ),
    comparisons!(
        blobs,
        "pg_uuid_eq",
        "pg_uuid_ne",
        "pg_uuid_lt",
        "pg_uuid_le",
        "pg_uuid_gt",
        "pg_uuid_ge",
        "pg_uuid_cmp"
    ),
    comparisons!(
        polymorphic,
        "pg_enum_eq",
        "pg_enum_ne",
        "pg_enum_lt",
        "pg_enum_le",
        "pg_enum_gt",
        "pg_enum_ge",
        "pg_enum_cmp"
    ),
    comparisons!(
        rows,
        "pg_record_eq",
        "pg_record_ne",
        "pg_record_lt",
        "pg_record_le",
        "pg_record_gt",
        "pg_record_ge",
        "pg_btrecordcmp"
    ),
    comparisons!(
        images,
        "pg_record_image_eq",
        "pg_record_image_ne",
        "pg_record_image_lt",
        "pg_record_image_le",
        "pg_record_image_gt",
        "pg_record_image_ge",
        "pg_btrecordimagecmp"
    ),
];

/// Everything else.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::lax("pg_enum_first", |call| enum_edge(call, false)).stable(),
    ScalarFunction::lax("pg_enum_last", |call| enum_edge(call, true)).stable(),
    ScalarFunction::lax("pg_enum_range_all", enum_range).stable(),
    ScalarFunction::lax("pg_enum_range_bounds", enum_range).stable(),
    f("pg_enum_larger", |call| pick(call, Ordering::Greater)),
    f("pg_enum_smaller", |call| pick(call, Ordering::Less)),
    f("pg_byteacat", |call| Ok(Datum::Blob([call.blob(0)?, call.blob(1)?].concat()))),
    f("pg_byteaoctetlen", |call| Ok(count(call.blob(0)?.len()))),
    f("pg_bit_length_1810", |call| Ok(count(call.blob(0)?.len() * 8))),
    f("pg_bytea_substr", byte_substring),
    f("pg_bytea_substr_no_len", byte_substring),
    f("pg_byteapos", byte_position),
    f("pg_byteaGetByte", get_byte),
    f("pg_byteaSetByte", set_byte),
    f("pg_byteaGetBit", get_bit),
    f("pg_byteaSetBit", set_bit),
    f("pg_bytea_bit_count", |call| {
        Ok(integer(call.blob(0)?.iter().map(|it| it.count_ones()).sum::<u32>()))
    }),
    f("pg_byteatrim", |call| trim_bytes(call, true, true)),
    f("pg_bytealtrim", |call| trim_bytes(call, true, false)),
    f("pg_byteartrim", |call| trim_bytes(call, false, true)),
    f("pg_binary_encode", encode),
    f("pg_binary_decode", decode),
    f("pg_md5_text", |call| Ok(text(scalar::to_hex(&digest::<Md5>(call.text(0)?.as_bytes()))))),
    f("pg_md5_bytea", |call| Ok(text(scalar::to_hex(&digest::<Md5>(call.blob(0)?))))),
    f("pg_sha224_bytea", |call| Ok(Datum::Blob(digest::<Sha224>(call.blob(0)?)))),
    f("pg_sha256_bytea", |call| Ok(Datum::Blob(digest::<Sha256>(call.blob(0)?)))),
    f("pg_sha384_bytea", |call| Ok(Datum::Blob(digest::<Sha384>(call.blob(0)?)))),
    f("pg_sha512_bytea", |call| Ok(Datum::Blob(digest::<Sha512>(call.blob(0)?)))),
];
