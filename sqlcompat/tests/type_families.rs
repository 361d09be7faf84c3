//! Properties of the types that have a file of their own: each format reads what it wrote, storage keeps PostgreSQL's order,
//! and the algebra of ranges is that of the sets they stand for.

use std::collections::BTreeSet;

use proptest::prelude::*;
use trellis_sqlcompat::functions::ordering;
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::types::array::Array;
use trellis_sqlcompat::types::multirange::Multirange;
use trellis_sqlcompat::types::network::{Family, Network, NetworkKind};
use trellis_sqlcompat::types::range::{Bound, Range, RangeType};
use trellis_sqlcompat::types::range_math::Gaps;
use trellis_sqlcompat::types::record;
use trellis_sqlcompat::types::{
    NoNames, TypeContext, TypeNames, TypeShape, decode_binary, decode_text, encode_binary,
    encode_text,
};
use trellis_sqlcompat::{Datum, DatumRef, Oid};

/// Values of the integer ranges under test are below this.
const VALUES: i64 = 12;

fn with_context<T>(work: impl FnOnce(&TypeContext) -> T) -> T {
    let settings = FormatSettings::default();
    work(&TypeContext { settings: &settings, names: &NoNames, now_us: 0 })
}

/// Both formats give back the stored value, and the text its text.
fn round_trips(type_oid: Oid, stored: &Datum) {
    with_context(|cx| {
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        encode_text(type_oid, stored.as_ref(), cx, &mut text).expect("stored values have a text");
        encode_binary(type_oid, stored.as_ref(), cx, &mut binary).expect("and a binary form");
        let text = String::from_utf8(text).expect("text is UTF-8");
        assert_eq!(decode_text(type_oid, -1, &text, cx).as_ref(), Ok(stored), "{text}");
        assert_eq!(decode_binary(type_oid, -1, &binary, cx).as_ref(), Ok(stored), "{text}");
    });
}

/// An array over the type does so, too.
fn array_round_trips(array_oid: Oid, text: &str) {
    let stored = with_context(|cx| decode_text(array_oid, -1, text, cx)).expect("an array");
    round_trips(array_oid, &stored);
}

fn network() -> impl Strategy<Value = Network> {
    // Runs of zeros are what the text of an address turns on.
    let word = prop_oneof![Just(0u16), Just(0xffff), any::<u16>()];
    (any::<bool>(), proptest::array::uniform8(word), 0u8..=128).prop_map(|(v4, words, bits)| {
        let family = if v4 { Family::V4 } else { Family::V6 };
        let address = words.iter().fold(0u128, |sum, word| sum << 16 | u128::from(*word));
        Network { family, address: address & family.all(), bits: bits.min(family.width()) }
    })
}

fn int4() -> RangeType {
    RangeType::of(Oid::INT4RANGE).expect("int4range is a range type")
}

fn bound(value: Option<i64>) -> Option<Datum> {
    value.map(Datum::Integer)
}

fn range_of(of: RangeType) -> impl Strategy<Value = Range> {
    let end = || proptest::option::weighted(0.9, 0..VALUES);
    (end(), end(), any::<bool>(), any::<bool>()).prop_map(move |(a, b, lower, upper)| {
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) if a > b => (Some(b), Some(a)),
            ends => ends,
        };
        let value = |it: Option<i64>| {
            bound(it).map(|datum| match datum {
                Datum::Integer(it) if of.subtype == Oid::NUMERIC => Datum::Text(it.to_string()),
                other => other,
            })
        };
        Range::new(Bound::lower(value(a), lower), Bound::upper(value(b), upper), of)
            .expect("the bounds are in order")
    })
}

/// The integers of a range, -1 and `VALUES` standing for what is beyond its ends.
fn members(range: &Range) -> BTreeSet<i64> {
    let Some((lower, upper)) = range.bounds() else { return BTreeSet::new() };
    let admits = |it: &i64| {
        let value = DatumRef::Integer(*it);
        lower.admits(value) && upper.admits(value)
    };
    (-1..=VALUES).filter(admits).collect()
}

fn members_of_all(set: &Multirange) -> BTreeSet<i64> {
    set.ranges.iter().flat_map(members).collect()
}

/// Knows one composite type, with fields whose order their storage form does not give, and a type in which it is nested.
struct Composites;

const ROW: Oid = Oid(20_000);
const NESTED: Oid = Oid(20_001);
const ROWS: Oid = Oid(20_002);

impl TypeNames for Composites {
    fn shape(&self, type_oid: Oid) -> Option<TypeShape> {
        let fields = |oids: &[Oid]| TypeShape::Composite(oids.iter().map(|it| (*it, -1)).collect());
        match type_oid {
            ROW => Some(fields(&[Oid::TEXT, Oid::NUMERIC, Oid::FLOAT8, Oid::BYTEA])),
            NESTED => Some(fields(&[Oid::INT4, ROW, ROWS, Oid::NUMRANGE, Oid::NUMERIC_ARRAY])),
            ROWS => Some(TypeShape::Array(ROW)),
            _ => None,
        }
    }
}

fn with_composites<T>(work: impl FnOnce(&TypeContext) -> T) -> T {
    let settings = FormatSettings::default();
    work(&TypeContext { settings: &settings, names: &Composites, now_us: 0 })
}

fn row_fields() -> impl Strategy<Value = Vec<(Oid, Datum)>> {
    let text = prop_oneof![Just(Datum::Null), "[a-zäß(),\\\\\" \\n]{0,6}".prop_map(Datum::Text)];
    let number = prop_oneof![
        Just(Datum::Null),
        "-?[1-9]{1,3}(\\.[0-9]{1,3})?".prop_map(Datum::Text),
        Just(Datum::Text("NaN".to_owned())),
    ];
    let float = prop_oneof![
        Just(Datum::Text("NaN".to_owned())),
        Just(Datum::Real(f64::INFINITY)),
        any::<i16>().prop_map(|it| Datum::Real(f64::from(it) / 4.0)),
    ];
    let bytes = proptest::collection::vec(any::<u8>(), 0..4).prop_map(Datum::Blob);
    (text, number, float, bytes).prop_map(|(text, number, float, bytes)| {
        vec![(Oid::TEXT, text), (Oid::NUMERIC, number), (Oid::FLOAT8, float), (Oid::BYTEA, bytes)]
    })
}

/// Both formats of a type give back the stored value.
fn row_round_trips(type_oid: Oid, stored: &Datum) {
    with_composites(|cx| {
        let (mut text, mut binary) = (Vec::new(), Vec::new());
        encode_text(type_oid, stored.as_ref(), cx, &mut text).expect("stored rows have a text");
        encode_binary(type_oid, stored.as_ref(), cx, &mut binary).expect("and a binary form");
        let text = String::from_utf8(text).expect("text is UTF-8");
        assert_eq!(decode_text(type_oid, -1, &text, cx).as_ref(), Ok(stored), "{text}");
        assert_eq!(decode_binary(type_oid, -1, &binary, cx).as_ref(), Ok(stored), "{text}");
    });
}

proptest! {
    #[test]
    fn composites_round_trip(
        row in row_fields(),
        rows in proptest::collection::vec(row_fields(), 0..3),
        range in range_of(RangeType::of(Oid::NUMRANGE).expect("a range type")),
    ) {
        with_composites(|cx| {
            let stored = Datum::Text(record::to_storage(&row, cx));
            row_round_trips(ROW, &stored);
            let elements = rows.iter().map(|row| Datum::Text(record::to_storage(row, cx))).collect();
            let rows = Array::from_elements(elements).to_storage();
            row_round_trips(ROWS, &Datum::Text(rows.clone()));
            let nested = [
                (Oid::INT4, Datum::Integer(1)),
                (ROW, stored),
                (ROWS, Datum::Text(rows)),
                (Oid::NUMRANGE, Datum::Text(range.to_storage())),
                (Oid::NUMERIC_ARRAY, Datum::Text("[\"1.50\",null]".to_owned())),
            ];
            row_round_trips(NESTED, &Datum::Text(record::to_storage(&nested, cx)));
        });
    }

    #[test]
    fn composites_are_stored_in_order(left in row_fields(), right in row_fields()) {
        with_composites(|cx| {
            let stored = [&left, &right].map(|row| record::to_storage(row, cx));
            let [left, right] = &stored;
            let (_, by_collation) = ordering::COLLATIONS
                .iter()
                .find(|(name, _)| *name == "pg_record")
                .expect("rows have a collation");
            let known = ordering::compare(ROW, DatumRef::Text(left), DatumRef::Text(right), cx);
            assert_eq!(by_collation(left, right), known, "{left} {right}");
        });
    }

    #[test]
    fn networks_round_trip(network in network()) {
        round_trips(Oid::INET, &Datum::Blob(network.to_storage()));
        let cidr = network.to_cidr(network.bits);
        round_trips(Oid::CIDR, &Datum::Blob(cidr.to_storage()));
        array_round_trips(Oid(1041), &format!("{{{},NULL}}", network.to_text(NetworkKind::Inet)));
    }

    #[test]
    fn networks_are_stored_in_order(left in network(), right in network()) {
        // PostgreSQL: family, then the common part of the networks, then the netmask, then the address.
        let key = |it: Network| (it.family.number(), it.network(), it.bits, it.address);
        prop_assert_eq!(left.to_storage().cmp(&right.to_storage()), key(left).cmp(&key(right)));
    }

    #[test]
    fn bit_strings_round_trip(bits in "[01]{0,70}") {
        round_trips(Oid::VARBIT, &Datum::Text(bits.clone()));
        array_round_trips(Oid(1563), &format!("{{\"{bits}\",NULL}}"));
    }

    #[test]
    fn hardware_addresses_round_trip(bytes in any::<[u8; 8]>()) {
        round_trips(Oid::MACADDR8, &Datum::Blob(bytes.to_vec()));
        round_trips(Oid::MACADDR, &Datum::Blob(bytes.iter().copied().take(6).collect()));
    }

    #[test]
    fn identifiers_and_amounts_round_trip(value in any::<u64>()) {
        let bytes = value.to_be_bytes().to_vec();
        round_trips(Oid::XID8, &Datum::Blob(bytes.clone()));
        round_trips(Oid::PG_LSN, &Datum::Blob(bytes.clone()));
        round_trips(Oid::TID, &Datum::Blob(bytes.iter().copied().take(6).collect()));
        round_trips(Oid::MONEY, &Datum::Integer(value.cast_signed()));
    }

    #[test]
    fn ranges_round_trip(int in range_of(int4()), others in proptest::collection::vec(
        range_of(RangeType::of(Oid::NUMRANGE).expect("a range type")), 0..5)) {
        round_trips(Oid::INT4RANGE, &Datum::Text(int.to_storage()));
        let of = RangeType::of(Oid::NUMRANGE).expect("a range type");
        for range in &others {
            round_trips(Oid::NUMRANGE, &Datum::Text(range.to_storage()));
        }
        let set = Multirange::new(others, of).expect("few ranges");
        round_trips(of.multirange, &Datum::Text(set.to_storage()));
    }

    #[test]
    fn ranges_are_stored_in_order(left in range_of(int4()), right in range_of(int4())) {
        let stored = |range: &Range| range.to_storage();
        let (left_stored, right_stored) = (stored(&left), stored(&right));
        let order = left.compare(&right);
        with_context(|cx| {
            let texts = (DatumRef::Text(&left_stored), DatumRef::Text(&right_stored));
            assert_eq!(ordering::compare(Oid::INT4RANGE, texts.0, texts.1, cx), order);
        });
        prop_assert_eq!(right.compare(&left), order.reverse());
    }

    #[test]
    fn ranges_are_sets(left in range_of(int4()), right in range_of(int4())) {
        let of = int4();
        let (a, b) = (members(&left), members(&right));
        prop_assert_eq!(left.contains(&right), b.is_subset(&a));
        prop_assert_eq!(left.overlaps(&right), !a.is_disjoint(&b));
        let common = left.intersection(&right, of).expect("no bound overflows");
        prop_assert_eq!(members(&common), &a & &b);
        if let Ok(union) = left.union(&right, Gaps::Refused, of) {
            prop_assert_eq!(members(&union), &a | &b);
        }
        if let Ok(difference) = left.difference(&right, of) {
            prop_assert_eq!(members(&difference), &a - &b);
        }
    }

    #[test]
    fn multiranges_are_sets(
        left in proptest::collection::vec(range_of(int4()), 0..5),
        right in proptest::collection::vec(range_of(int4()), 0..5),
    ) {
        let of = int4();
        let left = Multirange::new(left, of).expect("few ranges");
        let right = Multirange::new(right, of).expect("few ranges");
        let (a, b) = (members_of_all(&left), members_of_all(&right));
        let both = left.ranges.iter().chain(&right.ranges).cloned().collect();
        let union = Multirange::new(both, of).expect("few ranges");
        prop_assert_eq!(members_of_all(&union), &a | &b);
        let common = left.intersection(&right, of).expect("no bound overflows");
        prop_assert_eq!(members_of_all(&common), &a & &b);
        let difference = left.difference(&right, of).expect("no bound overflows");
        prop_assert_eq!(members_of_all(&difference), &a - &b);
        // Sorted, apart, not empty.
        for pair in difference.ranges.windows(2) {
            prop_assert!(pair[0].is_before(&pair[1]) && !pair[0].is_adjacent(&pair[1], of));
        }
    }

    #[test]
    fn any_bytes_and_text_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in ".{0,30}") {
        let types = [
            Oid::INET, Oid::CIDR, Oid::MACADDR, Oid::MACADDR8, Oid::BIT, Oid::VARBIT, Oid::MONEY, Oid::XID8,
            Oid::PG_LSN, Oid::TID, Oid::INT4RANGE, Oid::NUMRANGE, Oid::TSTZRANGE, Oid::DATERANGE,
            int4().multirange,
        ];
        with_context(|cx| {
            for type_oid in types {
                let read = [decode_binary(type_oid, -1, &bytes, cx), decode_text(type_oid, -1, &text, cx)];
                for stored in read.into_iter().flatten() {
                    round_trips(type_oid, &stored);
                }
            }
        });
    }

    #[test]
    fn spelled_ranges_are_read_or_refused(text in "[\\[(]?(-?[0-9]{1,11}|infinity|NaN)?[,;]?\"?[0-9]{0,3}\"?[\\])]?") {
        with_context(|cx| {
            for type_oid in [Oid::INT4RANGE, Oid::INT8RANGE, Oid::NUMRANGE] {
                if let Ok(stored) = decode_text(type_oid, -1, &text, cx) {
                    round_trips(type_oid, &stored);
                }
            }
            let _ = decode_text(int4().multirange, -1, &format!("{{{text},{text}}}"), cx);
        });
    }

    #[test]
    fn spelled_addresses_are_read_or_refused(text in "[0-9a-f:.]{0,20}(/[0-9]{0,3})?") {
        with_context(|cx| {
            for type_oid in [Oid::INET, Oid::CIDR] {
                if let Ok(stored) = decode_text(type_oid, -1, &text, cx) {
                    round_trips(type_oid, &stored);
                }
            }
        });
    }
}
