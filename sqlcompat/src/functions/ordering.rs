//! The order of values of each type: comparison functions, and the collations that give SQLite the same order.

use std::cmp::Ordering;

use crate::datum::{Datum, DatumRef};
use crate::oid::Oid;
use crate::schema::builtin_collation;
use crate::types::array::{self, Array, storage_class};
use crate::types::family::Family;
use crate::types::json::Json;
use crate::types::{TypeContext, TypeShape, codec, interval, multirange, numeric, range, record};

/// Compares two texts.
pub type Collation = fn(&str, &str) -> Ordering;

/// All collations that do not depend on the schema.
pub const COLLATIONS: &[(&str, Collation)] = &[
    ("pg_numeric", numeric::compare_text),
    ("pg_bpchar", compare_bpchar),
    ("pg_timetz", compare_timetz),
    ("pg_interval", interval::compare_text),
    ("pg_jsonb", compare_jsonb),
    ("pg_array", compare_json_arrays),
    ("pg_array_numeric", |left, right| compare_items(left, right, numeric::compare_text)),
    ("pg_array_interval", |left, right| compare_items(left, right, interval::compare_text)),
    ("pg_array_jsonb", |left, right| compare_items(left, right, compare_jsonb)),
    ("pg_array_bpchar", |left, right| compare_items(left, right, compare_bpchar)),
    ("pg_array_range", |left, right| compare_items(left, right, range::compare_stored)),
    ("pg_array_multirange", |left, right| compare_items(left, right, multirange::compare_stored)),
    ("pg_range", range::compare_stored),
    ("pg_multirange", multirange::compare_stored),
    ("pg_array_record", |left, right| compare_items(left, right, compare_records)),
    ("pg_record", compare_records),
];

/// `bpchar`: trailing blanks do not count.
#[must_use]
pub fn compare_bpchar(left: &str, right: &str) -> Ordering {
    left.trim_end_matches(' ').cmp(right.trim_end_matches(' '))
}

/// `timetz`: by the time in UTC, then by the offset.
#[must_use]
pub fn compare_timetz(left: &str, right: &str) -> Ordering {
    match (codec::timetz_parts(left), codec::timetz_parts(right)) {
        (Ok((left_time, left_offset)), Ok((right_time, right_offset))) => {
            let utc = |time: i64, offset: i32| time - i64::from(offset) * 1_000_000;
            let times = utc(left_time, left_offset).cmp(&utc(right_time, right_offset));
            times.then_with(|| right_offset.cmp(&left_offset))
        }
        _ => left.cmp(right),
    }
}

/// `jsonb`, both canonical.
#[must_use]
pub fn compare_jsonb(left: &str, right: &str) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    match (Json::parse(left), Json::parse(right)) {
        (Ok(left), Ok(right)) => left.compare(&right),
        _ => left.cmp(right),
    }
}

/// Arrays whose elements order as their storage forms do.
fn compare_json_arrays(left: &str, right: &str) -> Ordering {
    compare_items(left, right, str::cmp)
}

fn compare_items(left: &str, right: &str, texts: Collation) -> Ordering {
    let parse = |text: &str| {
        let (lowers, items) = array::split_lowers(text)?;
        Some((lowers, Json::parse(items).ok()?))
    };
    let (Some((left_lowers, left_items)), Some((right_lowers, right_items))) =
        (parse(left), parse(right))
    else {
        return left.cmp(right);
    };
    let (mut left_flat, mut right_flat) = (Vec::new(), Vec::new());
    let left_depth = flatten(&left_items, &mut left_flat);
    let right_depth = flatten(&right_items, &mut right_flat);
    for (left, right) in left_flat.iter().zip(&right_flat) {
        let order = compare_leaves(left, right, texts);
        if order != Ordering::Equal {
            return order;
        }
    }
    let sizes = left_flat.len().cmp(&right_flat.len());
    let shapes = || lengths(&left_items).cmp(&lengths(&right_items));
    let from = |lowers: &[i32]| (0..left_depth).map(|at| *lowers.get(at).unwrap_or(&1)).collect();
    let (left_lowers, right_lowers): (Vec<i32>, Vec<i32>) =
        (from(&left_lowers), from(&right_lowers));
    sizes
        .then_with(|| left_depth.cmp(&right_depth))
        .then_with(shapes)
        .then_with(|| left_lowers.cmp(&right_lowers))
}

/// Lengths of the dimensions.
fn lengths(items: &Json) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut level = Some(items);
    while let Some(Json::Array(items)) = level {
        lengths.push(items.len());
        level = items.first();
    }
    lengths
}

/// Collects the leaves; answers the number of dimensions.
fn flatten<'a>(value: &'a Json, leaves: &mut Vec<&'a Json>) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(|item| flatten(item, leaves)).max().unwrap_or(0),
        // A field of an anonymous record, with its type as the key.
        Json::Object(members) => {
            members.iter().map(|(_, value)| flatten(value, leaves)).max().unwrap_or(0)
        }
        leaf => {
            leaves.push(leaf);
            0
        }
    }
}

/// NULL last; numbers by value; `NaN` and the infinities of floats, which are strings, where they belong.
fn compare_leaves(left: &Json, right: &Json, texts: Collation) -> Ordering {
    match (left, right) {
        (Json::Null, Json::Null) => Ordering::Equal,
        (Json::Null, _) => Ordering::Greater,
        (_, Json::Null) => Ordering::Less,
        (Json::String(left), Json::String(right)) => texts(left, right),
        (Json::Number(left) | Json::String(left), Json::Number(right) | Json::String(right)) => {
            numeric::compare_text(left, right)
        }
        _ => left.compare(right),
    }
}

/// Rows: field by field, those that carry their type by its collation.
fn compare_records(left: &str, right: &str) -> Ordering {
    let (Ok(Json::Array(left_fields)), Ok(Json::Array(right_fields))) =
        (Json::parse(left), Json::parse(right))
    else {
        return left.cmp(right);
    };
    let mut orders = left_fields.iter().zip(&right_fields).map(|(l, r)| compare_fields(l, r));
    let differing = orders.find(|order| order.is_ne());
    differing.unwrap_or_else(|| left_fields.len().cmp(&right_fields.len()))
}

/// A field under the mark of its type.
fn marked(field: &Json) -> Option<(&str, &Json)> {
    match field {
        Json::Object(members) => members.first().map(|(key, value)| (key.as_str(), value)),
        _ => None,
    }
}

fn compare_fields(left: &Json, right: &Json) -> Ordering {
    let (Some((key, left)), Some((_, right))) = (marked(left), marked(right)) else {
        return compare_leaves(left, right, str::cmp);
    };
    // The key is the type's OID, perhaps with the field's name after it.
    let oid = key.split(' ').next().and_then(|digits| digits.parse().ok());
    let name = oid.and_then(|oid| builtin_collation(Oid(oid)));
    let collation = COLLATIONS.iter().find(|(known, _)| Some(*known) == name);
    compare_leaves(left, right, collation.map_or(str::cmp, |(_, compare)| *compare))
}

/// Compares two floats as PostgreSQL does: NaN is equal to itself and above all else.
#[must_use]
pub fn compare_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// Compares two non-NULL values of one type.
#[must_use]
pub fn compare(
    type_oid: Oid,
    left: DatumRef<'_>,
    right: DatumRef<'_>,
    cx: &TypeContext,
) -> Ordering {
    match (left, right) {
        (DatumRef::Null, DatumRef::Null) => Ordering::Equal,
        (DatumRef::Null, _) => Ordering::Greater,
        (_, DatumRef::Null) => Ordering::Less,
        (DatumRef::Integer(left), DatumRef::Integer(right)) => left.cmp(&right),
        (DatumRef::Blob(left), DatumRef::Blob(right)) => left.cmp(right),
        (DatumRef::Text(left), DatumRef::Text(right)) => compare_texts(type_oid, left, right, cx),
        _ => {
            let float = |value| super::call::float_of(value).unwrap_or(f64::NAN);
            compare_floats(float(left), float(right))
        }
    }
}

fn compare_texts(type_oid: Oid, left: &str, right: &str, cx: &TypeContext) -> Ordering {
    let (base, _) = codec::base_type(type_oid, -1, cx);
    match base {
        Oid::NUMERIC => return numeric::compare_text(left, right),
        Oid::INTERVAL => return interval::compare_text(left, right),
        Oid::JSONB => return compare_jsonb(left, right),
        Oid::BPCHAR => return compare_bpchar(left, right),
        Oid::TIMETZ => return compare_timetz(left, right),
        Oid::TEXT
        | Oid::VARCHAR
        | Oid::NAME
        | Oid::CHAR
        | Oid::FLOAT4
        | Oid::FLOAT8
        | Oid::JSON => {
            return left.cmp(right);
        }
        _ => {}
    }
    match Family::named(base, cx) {
        Some(Family::Range(_)) => return range::compare_stored(left, right),
        Some(Family::Multirange(_)) => return multirange::compare_stored(left, right),
        Some(_) => return left.cmp(right),
        None => {}
    }
    if let Some(element) = codec::element_type(base, cx) {
        return compare_arrays(element, left, right, cx);
    }
    let shape = cx.names.shape(base);
    if matches!(shape, Some(TypeShape::Composite(_))) || base == Oid::RECORD {
        return compare_rows(base, left, right, cx);
    }
    if shape == Some(TypeShape::Enum) {
        return cx.names.enum_position(base, left).cmp(&cx.names.enum_position(base, right));
    }
    left.cmp(right)
}

/// Compares two stored arrays over that element type.
#[must_use]
pub fn compare_arrays(element: Oid, left: &str, right: &str, cx: &TypeContext) -> Ordering {
    let class = storage_class(element, cx);
    match (Array::from_storage(left, class), Array::from_storage(right, class)) {
        (Ok(left), Ok(right)) => left.compare(&right, |left: &Datum, right: &Datum| {
            compare(element, left.as_ref(), right.as_ref(), cx)
        }),
        _ => left.cmp(right),
    }
}

fn compare_rows(type_oid: Oid, left: &str, right: &str, cx: &TypeContext) -> Ordering {
    let (Ok(left), Ok(right)) =
        (record::fields(type_oid, left, cx), record::fields(type_oid, right, cx))
    else {
        return left.cmp(right);
    };
    for ((oid, left), (_, right)) in left.iter().zip(&right) {
        let order = compare(*oid, left.as_ref(), right.as_ref(), cx);
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len())
}
