//! The hash functions behind hash joins, hash indexes and hash partitions, which applications call to spread keys and to
//! name advisory locks: `hashtext`, `hashint8extended`, `uuid_hash`, ….
//!
//! All rest on one function of bytes, in two widths: 32 bits, and 64 bits from a seed.
//!
//! # Left out
//! Enums: PostgreSQL hashes the OID of the label, which is its own.
//!
//! # Sources
//! Bob Jenkins, lookup3 (burtleburtle.net/bob/c/lookup3.c, public domain); PostgreSQL 15, answers of the functions.

use super::call::float_of;
use super::{Call, ScalarFunction};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::{Array, storage_class};
use crate::types::interval::Interval;
use crate::types::json::Json;
use crate::types::network::{Family, Network};
use crate::types::numeric::{self, Numeric};
use crate::types::range::{Range, RangeType};
use crate::types::wide_number::from_storage;
use crate::types::{TypeContext, codec, failure, record};

/// What the three words start from, beside the length.
const START: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

/// Bytes taken in per round.
const ROUND_BYTES: usize = 12;

/// The state: three words.
struct Words(u32, u32, u32);

impl Words {
    fn new(length: usize, seed: Option<u64>) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "lengths count modulo 2^32")]
        let start = START.wrapping_add(length as u32);
        let mut words = Self(start, start, start);
        if let Some(seed) = seed.filter(|seed| *seed != 0) {
            words.0 = words.0.wrapping_add(high(seed));
            words.1 = words.1.wrapping_add(low(seed));
            words.mix();
        }
        words
    }

    fn mix(&mut self) {
        let Self(a, b, c) = self;
        step(a, b, c, 4);
        step(b, c, a, 6);
        step(c, a, b, 8);
        step(a, b, c, 16);
        step(b, c, a, 19);
        step(c, a, b, 4);
    }

    fn finish(&mut self) {
        let Self(a, b, c) = self;
        for (turn, bits) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
            let (target, source) = match turn % 3 {
                0 => (&mut *c, *b),
                1 => (&mut *a, *c),
                _ => (&mut *b, *a),
            };
            *target = (*target ^ source).wrapping_sub(source.rotate_left(bits));
        }
    }

    fn result(&self) -> u64 {
        u64::from(self.1) << 32 | u64::from(self.2)
    }
}

/// One of the six steps of a mix.
fn step(a: &mut u32, b: &mut u32, c: &mut u32, bits: u32) {
    *a = a.wrapping_sub(*c) ^ c.rotate_left(bits);
    *c = c.wrapping_add(*b);
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    low(value >> 32)
}

/// Hash of bytes; without a seed only its lower half counts.
fn of_bytes(bytes: &[u8], seed: Option<u64>) -> u64 {
    let mut words = Words::new(bytes.len(), seed);
    let word = |chunk: &[u8], at: usize| {
        let byte = |index: usize| u32::from(chunk.get(at + index).copied().unwrap_or(0));
        byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
    };
    let mut chunks = bytes.chunks_exact(ROUND_BYTES);
    for chunk in &mut chunks {
        words.0 = words.0.wrapping_add(word(chunk, 0));
        words.1 = words.1.wrapping_add(word(chunk, 4));
        words.2 = words.2.wrapping_add(word(chunk, 8));
        words.mix();
    }
    let rest = chunks.remainder();
    words.0 = words.0.wrapping_add(word(rest, 0));
    words.1 = words.1.wrapping_add(word(rest, 4));
    // The lowest byte of the last word is the length's.
    words.2 = words.2.wrapping_add(word(rest, 8) << 8);
    words.finish();
    words.result()
}

fn of_u32(value: u32, seed: Option<u64>) -> u64 {
    let mut words = Words::new(4, seed);
    words.0 = words.0.wrapping_add(value);
    words.finish();
    words.result()
}

#[expect(clippy::cast_possible_truncation, reason = "an int4 or smaller is stored widened")]
fn of_i32(value: i64, seed: Option<u64>) -> u64 {
    of_u32((value as i32).cast_unsigned(), seed)
}

/// Hash of an integer, the same for all widths that hold it.
fn of_i64(value: i64, seed: Option<u64>) -> u64 {
    let bits = value.cast_unsigned();
    let upper = if value >= 0 { high(bits) } else { !high(bits) };
    of_u32(low(bits) ^ upper, seed)
}

fn of_f64(value: f64, seed: Option<u64>) -> u64 {
    if value == 0.0 {
        return seed.unwrap_or(0);
    }
    let value = if value.is_nan() { f64::NAN } else { value };
    of_bytes(&value.to_le_bytes(), seed)
}

/// Hash of a number: its base-10000 digits without the zeros at both ends, and its weight.
fn of_numeric(text: &str, seed: Option<u64>) -> Result<u64, SqlError> {
    let value = Numeric::parse(text)?;
    if value.finite().is_none() {
        return Ok(seed.unwrap_or(0));
    }
    let mut sent = Vec::new();
    numeric::encode_binary(&value, &mut sent);
    let field = |at: usize| {
        let bytes = sent.get(2 * at..2 * at + 2).and_then(|it| <[u8; 2]>::try_from(it).ok());
        bytes.map_or(0, i16::from_be_bytes)
    };
    let mut digits: Vec<i16> = (4..sent.len() / 2).map(field).collect();
    let mut weight = i64::from(field(1));
    while digits.last() == Some(&0) {
        digits.pop();
    }
    while digits.first() == Some(&0) {
        digits.remove(0);
        weight -= 1;
    }
    if digits.is_empty() {
        return Ok(seed.unwrap_or(0).wrapping_sub(1));
    }
    let bytes: Vec<u8> = digits.iter().flat_map(|digit| digit.to_le_bytes()).collect();
    Ok(of_bytes(&bytes, seed) ^ weight.cast_unsigned())
}

/// Marks of arrays and objects in the hash of a `jsonb`.
const JSON_ARRAY: u64 = 0x4000_0000;
const JSON_OBJECT: u64 = 0x2000_0000;

struct JsonHash {
    hash: u64,
    seed: Option<u64>,
}

impl JsonHash {
    fn container(&mut self, mark: u64) {
        self.hash ^= if self.seed.is_some() { mark << 32 | mark } else { mark };
    }

    fn scalar(&mut self, value: u64) {
        let rotated = match self.seed {
            Some(_) => (self.hash << 1) & 0xffff_fffe_ffff_fffe | (self.hash >> 31) & 0x1_0000_0001,
            None => u64::from(low(self.hash).rotate_left(1)),
        };
        self.hash = rotated ^ value;
    }

    fn add(&mut self, value: &Json) -> Result<(), SqlError> {
        match value {
            Json::Null => self.scalar(self.seed.unwrap_or(0).wrapping_add(1)),
            Json::Bool(value) => {
                let plain = if *value { 2 } else { 4 };
                let seeded = self.seed.filter(|seed| *seed != 0);
                self.scalar(seeded.map_or(plain, |_| of_i32((*value).into(), seeded)));
            }
            Json::Number(text) => self.scalar(of_numeric(text, self.seed)?),
            Json::String(text) => self.scalar(of_bytes(text.as_bytes(), self.seed)),
            Json::Array(items) => {
                self.container(JSON_ARRAY);
                items.iter().try_for_each(|item| self.add(item))?;
            }
            Json::Object(members) => {
                self.container(JSON_OBJECT);
                for (key, value) in members {
                    self.scalar(of_bytes(key.as_bytes(), self.seed));
                    self.add(value)?;
                }
            }
        }
        Ok(())
    }
}

fn of_json(text: &str, seed: Option<u64>) -> Result<u64, SqlError> {
    let value = Json::parse(text)?;
    let mut state = JsonHash { hash: 0, seed };
    match &value {
        Json::Array(items) if items.is_empty() => return Ok(seed.unwrap_or(0)),
        Json::Object(members) if members.is_empty() => return Ok(seed.unwrap_or(0)),
        Json::Array(_) | Json::Object(_) => {}
        // A scalar lies in an array of its own.
        _ => state.container(JSON_ARRAY),
    }
    state.add(&value)?;
    Ok(state.hash)
}

/// Adds the hash of a part to that of an array or row.
fn combine(hash: u64, part: u64) -> u64 {
    (hash << 5).wrapping_sub(hash).wrapping_add(part)
}

/// Hash of a value of a type.
fn of_value(
    type_oid: Oid,
    value: DatumRef<'_>,
    seed: Option<u64>,
    cx: &TypeContext,
) -> Result<u64, SqlError> {
    let (base, _) = codec::base_type(type_oid, -1, cx);
    let wrong = || failure::wrong_storage(&codec::type_name(base, cx));
    Ok(match (base, value) {
        (_, DatumRef::Null) => 0,
        (Oid::BOOL | Oid::INT2 | Oid::INT4 | Oid::OID | Oid::DATE, DatumRef::Integer(value)) => {
            of_i32(value, seed)
        }
        (Oid::CHAR, DatumRef::Text(value)) => {
            let byte = value.chars().next().map_or(0, |c| u8::try_from(u32::from(c)).unwrap_or(0));
            of_i32(byte.cast_signed().into(), seed)
        }
        (Oid::INT8 | Oid::TIME | Oid::TIMESTAMP | Oid::TIMESTAMPTZ, DatumRef::Integer(value)) => {
            of_i64(value, seed)
        }
        (Oid::FLOAT4 | Oid::FLOAT8, value) => of_f64(float_of(value).ok_or_else(wrong)?, seed),
        (Oid::NUMERIC, DatumRef::Text(value)) => of_numeric(value, seed)?,
        (Oid::TEXT | Oid::VARCHAR | Oid::NAME, DatumRef::Text(value)) => {
            of_bytes(value.as_bytes(), seed)
        }
        (Oid::BPCHAR, DatumRef::Text(value)) => {
            of_bytes(value.trim_end_matches(' ').as_bytes(), seed)
        }
        (Oid::UUID | Oid::BYTEA | Oid::MACADDR | Oid::MACADDR8, DatumRef::Blob(value)) => {
            of_bytes(value, seed)
        }
        (Oid::PG_LSN, DatumRef::Blob(value)) => of_i64(from_storage(value)?.cast_signed(), seed),
        (Oid::INET | Oid::CIDR, DatumRef::Blob(value)) => of_network(value, seed)?,
        (Oid::JSONB, DatumRef::Text(value)) => of_json(value, seed)?,
        (Oid::TIMETZ, DatumRef::Text(value)) => {
            let (time, offset) = codec::timetz_parts(value)?;
            of_i64(time, seed) ^ of_i32((-offset).into(), seed)
        }
        (Oid::INTERVAL, DatumRef::Text(value)) => {
            let span = Interval::from_storage(value)?.span();
            of_i64(i64::try_from(span).unwrap_or(if span < 0 { i64::MIN } else { i64::MAX }), seed)
        }
        (Oid::RECORD, DatumRef::Text(value)) => of_record(value, seed, cx)?,
        (range, DatumRef::Text(value))
            if RangeType::of(range).is_some_and(|it| it.range == range) =>
        {
            let of = RangeType::of(range).ok_or_else(wrong)?;
            of_range(&Range::from_storage(value, of)?, of, seed, cx)?
        }
        (array, DatumRef::Text(value)) => {
            let Some(element) = codec::element_type(array, cx) else {
                return Err(no_hash(array, cx));
            };
            let array = Array::from_storage(value, storage_class(element, cx))?;
            array.elements.iter().try_fold(1, |hash, item| {
                of_value(element, item.as_ref(), seed, cx).map(|part| combine(hash, part))
            })?
        }
        (other, _) => return Err(no_hash(other, cx)),
    })
}

fn no_hash(type_oid: Oid, cx: &TypeContext) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("could not identify a hash function for type {}", codec::type_name(type_oid, cx)),
    )
}

/// An address is hashed as its family, its netmask and its bytes.
fn of_network(stored: &[u8], seed: Option<u64>) -> Result<u64, SqlError> {
    let network = Network::from_storage(stored)?;
    let (family, skipped) = match network.family {
        Family::V4 => (2, 12),
        Family::V6 => (3, 0),
    };
    let address = network.address.to_be_bytes();
    let bytes = [family, network.bits].into_iter().chain(address.into_iter().skip(skipped));
    Ok(of_bytes(&bytes.collect::<Vec<u8>>(), seed))
}

/// A range is hashed as what its bounds are and their values.
fn of_range(
    range: &Range,
    of: RangeType,
    seed: Option<u64>,
    cx: &TypeContext,
) -> Result<u64, SqlError> {
    let Some((lower, upper)) = range.bounds() else { return Ok(rotated(of_u32(1, seed))) };
    let bound = |value: Option<&Datum>| match value {
        Some(value) => of_value(of.subtype, value.as_ref(), seed, cx),
        None => Ok(0),
    };
    let flag = |is: bool, bit: u32| if is { bit } else { 0 };
    let flags = flag(lower.value.is_some() && lower.inclusive, 0x02)
        | flag(upper.value.is_some() && upper.inclusive, 0x04)
        | flag(lower.value.is_none(), 0x08)
        | flag(upper.value.is_none(), 0x10);
    let hash = of_u32(flags, seed) ^ bound(lower.value.as_ref())?;
    Ok(rotated(hash) ^ bound(upper.value.as_ref())?)
}

/// Both halves turned left by a bit.
fn rotated(hash: u64) -> u64 {
    u64::from(high(hash).rotate_left(1)) << 32 | u64::from(low(hash).rotate_left(1))
}

fn of_record(stored: &str, seed: Option<u64>, cx: &TypeContext) -> Result<u64, SqlError> {
    let fields = record::fields(Oid::RECORD, stored, cx)?;
    fields.iter().try_fold(0, |hash, (type_oid, value)| {
        of_value(*type_oid, value.as_ref(), seed, cx).map(|part| combine(hash, part))
    })
}

fn hash32(call: &Call, type_oid: Oid) -> Result<Datum, SqlError> {
    let hash = call.session.with_types(|cx| of_value(type_oid, call.datum(0), None, cx))?;
    Ok(Datum::Integer(low(hash).cast_signed().into()))
}

fn hash64(call: &Call, type_oid: Oid) -> Result<Datum, SqlError> {
    let seed = call.i64(1)?.cast_unsigned();
    let hash = call.session.with_types(|cx| of_value(type_oid, call.datum(0), Some(seed), cx))?;
    Ok(Datum::Integer(hash.cast_signed()))
}

/// A vector of OIDs is hashed as the bytes it consists of.
fn vector(call: &Call, seed: Option<u64>) -> Result<u64, SqlError> {
    let class = call.session.with_types(|cx| storage_class(Oid::INT4, cx));
    let array = Array::from_storage(call.text(0)?, class)?;
    let bytes = array.elements.iter().flat_map(|item| match item {
        Datum::Integer(value) => low(value.cast_unsigned()).to_le_bytes(),
        Datum::Null | Datum::Real(_) | Datum::Text(_) | Datum::Blob(_) => [0; 4],
    });
    Ok(of_bytes(&bytes.collect::<Vec<u8>>(), seed))
}

macro_rules! hashes {
    ($($short:literal, $long:literal: $oid:ident),+ $(,)?) => {
        &[$(
            ScalarFunction::strict($short, |call| hash32(call, Oid::$oid)),
            ScalarFunction::strict($long, |call| hash64(call, Oid::$oid)),
        )+]
    };
}

/// Of one type each.
pub(super) const FUNCTIONS: &[ScalarFunction] = hashes!(
    "pg_hash_numeric", "pg_hash_numeric_extended": NUMERIC,
    "pg_hashbpchar", "pg_hashbpcharextended": BPCHAR,
    "pg_hashchar", "pg_hashcharextended": CHAR,
    "pg_hashfloat4", "pg_hashfloat4extended": FLOAT4,
    "pg_hashfloat8", "pg_hashfloat8extended": FLOAT8,
    "pg_hashint2", "pg_hashint2extended": INT2,
    "pg_hashint4", "pg_hashint4extended": INT4,
    "pg_hashint8", "pg_hashint8extended": INT8,
    "pg_hashname", "pg_hashnameextended": NAME,
    "pg_hashoid", "pg_hashoidextended": OID,
    "pg_hashtext", "pg_hashtextextended": TEXT,
    "pg_interval_hash", "pg_interval_hash_extended": INTERVAL,
    "pg_jsonb_hash", "pg_jsonb_hash_extended": JSONB,
    "pg_time_hash", "pg_time_hash_extended": TIME,
    "pg_timestamp_hash", "pg_timestamp_hash_extended": TIMESTAMP,
    "pg_timetz_hash", "pg_timetz_hash_extended": TIMETZ,
    "pg_uuid_hash", "pg_uuid_hash_extended": UUID,
    "pg_hashinet", "pg_hashinetextended": INET,
    "pg_hashmacaddr", "pg_hashmacaddrextended": MACADDR,
    "pg_hashmacaddr8", "pg_hashmacaddr8extended": MACADDR8,
    "pg_pg_lsn_hash", "pg_pg_lsn_hash_extended": PG_LSN,
);

/// Of any type, which the call names last, and of vectors.
pub(super) const POLYMORPHIC: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_hash_array", |call| hash32(call, call.oid(1)?)),
    ScalarFunction::strict("pg_hash_array_extended", |call| hash64(call, call.oid(2)?)),
    ScalarFunction::strict("pg_hash_range", |call| hash32(call, call.oid(1)?)),
    ScalarFunction::strict("pg_hash_range_extended", |call| hash64(call, call.oid(2)?)),
    ScalarFunction::strict("pg_hash_record", |call| hash32(call, Oid::RECORD)),
    ScalarFunction::strict("pg_hash_record_extended", |call| hash64(call, Oid::RECORD)),
    ScalarFunction::strict("pg_hashoidvector", |call| {
        Ok(Datum::Integer(low(vector(call, None)?).cast_signed().into()))
    }),
    ScalarFunction::strict("pg_hashoidvectorextended", |call| {
        Ok(Datum::Integer(vector(call, Some(call.i64(1)?.cast_unsigned()))?.cast_signed()))
    }),
];
