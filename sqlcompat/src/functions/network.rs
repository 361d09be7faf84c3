//! Functions and operators of `inet`, `cidr`, `macaddr` and `macaddr8`.

use super::call::{boolean, integer, text};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::mac_address::{narrow, widen};
use crate::types::network::{Network, NetworkKind};
use crate::types::{codec, failure};

type Answer = Result<Datum, SqlError>;

fn network(call: &Call, index: usize) -> Result<Network, SqlError> {
    Network::from_storage(call.blob(index)?)
}

fn two(call: &Call) -> Result<(Network, Network), SqlError> {
    Ok((network(call, 0)?, network(call, 1)?))
}

fn stored(network: Network) -> Answer {
    Ok(Datum::Blob(network.to_storage()))
}

/// The address with other bits in it.
fn with_address(network: Network, address: u128) -> Answer {
    stored(Network { address: address & network.family.all(), ..network })
}

/// An address of the same family as it stands by itself.
fn whole(network: Network, address: u128) -> Answer {
    with_address(Network { bits: network.family.width(), ..network }, address)
}

fn mask_length(call: &Call, network: Network) -> Result<u8, SqlError> {
    let bits = call.i64(1)?;
    let width = network.family.width();
    let bits = if bits == -1 { Some(width) } else { u8::try_from(bits).ok() };
    bits.filter(|bits| *bits <= width).ok_or_else(|| {
        failure::invalid_parameter(format!(
            "invalid mask length: {}",
            call.i64(1).unwrap_or_default()
        ))
    })
}

fn same_family(
    (left, right): (Network, Network),
    what: &str,
) -> Result<(Network, Network), SqlError> {
    if left.family == right.family {
        return Ok((left, right));
    }
    Err(failure::invalid_parameter(format!("cannot {what} inet values of different sizes")))
}

fn combine(call: &Call, what: &str, bits: fn(u128, u128) -> u128) -> Answer {
    let (left, right) = same_family(two(call)?, what)?;
    let longer = Network { bits: left.bits.max(right.bits), ..left };
    with_address(longer, bits(left.address, right.address))
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "result is out of range")
}

/// The address that many further on.
fn add(network: Network, distance: i128) -> Answer {
    let address = match u128::try_from(distance) {
        Ok(distance) => network.address.checked_add(distance),
        Err(_) => network.address.checked_sub(distance.unsigned_abs()),
    };
    let address = address.filter(|it| *it <= network.family.all()).ok_or_else(out_of_range)?;
    with_address(network, address)
}

fn distance(call: &Call) -> Answer {
    let (left, right) = same_family(two(call)?, "subtract")?;
    let apart = i128::try_from(left.address.abs_diff(right.address)).ok();
    let apart = apart.map(|it| if left.address < right.address { -it } else { it });
    let apart = apart.and_then(|it| i64::try_from(it).ok()).ok_or_else(out_of_range)?;
    Ok(Datum::Integer(apart))
}

fn merge(call: &Call) -> Answer {
    let (left, right) = two(call)?;
    if left.family != right.family {
        return Err(failure::invalid_parameter("cannot merge addresses from different families"));
    }
    stored(left.to_cidr(left.common_bits(right)))
}

/// Whether the first network is inside the second one; `equal` counts as inside or not.
fn inside((inner, outer): (Network, Network), equal: bool) -> Datum {
    let longer = inner.bits > outer.bits || (equal && inner.bits == outer.bits);
    boolean(longer && inner.overlaps(outer))
}

fn swapped(call: &Call) -> Result<(Network, Network), SqlError> {
    two(call).map(|(left, right)| (right, left))
}

fn pick(call: &Call, larger: bool) -> Answer {
    let (left, right) = (call.blob(0)?, call.blob(1)?);
    Ok(Datum::Blob(if (left > right) == larger { left } else { right }.to_vec()))
}

fn three_way(call: &Call) -> Answer {
    Ok(integer(call.blob(0)?.cmp(call.blob(1)?) as i8))
}

/// A hardware address changed byte by byte.
fn map_mac(call: &Call, change: fn(usize, u8) -> u8) -> Answer {
    let bytes = call.blob(0)?.iter().enumerate();
    Ok(Datum::Blob(bytes.map(|(index, byte)| change(index, *byte)).collect()))
}

fn zip_mac(call: &Call, combine: fn(u8, u8) -> u8) -> Answer {
    let pairs = call.blob(0)?.iter().zip(call.blob(1)?);
    Ok(Datum::Blob(pairs.map(|(left, right)| combine(*left, *right)).collect()))
}

/// Keeps the manufacturer's three bytes.
fn truncate_mac(call: &Call) -> Answer {
    map_mac(call, |index, byte| if index < 3 { byte } else { 0 })
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Those of the network addresses.
pub(super) const NETWORK: &[ScalarFunction] = &[
    f("pg_inet_abbrev", |call| Ok(text(network(call, 0)?.to_text(NetworkKind::Inet)))),
    f("pg_cidr_abbrev", |call| Ok(text(network(call, 0)?.abbreviated()))),
    f("pg_inet_set_masklen", |call| {
        let network = network(call, 0)?;
        stored(Network { bits: mask_length(call, network)?, ..network })
    }),
    f("pg_cidr_set_masklen", |call| {
        let network = network(call, 0)?;
        stored(network.to_cidr(mask_length(call, network)?))
    }),
    f("pg_network_network", |call| {
        let network = network(call, 0)?;
        stored(network.to_cidr(network.bits))
    }),
    f("pg_inet_to_cidr", |call| {
        let network = network(call, 0)?;
        stored(network.to_cidr(network.bits))
    }),
    f("pg_network_netmask", |call| {
        let network = network(call, 0)?;
        whole(network, network.family.mask(network.bits))
    }),
    f("pg_network_hostmask", |call| {
        let network = network(call, 0)?;
        whole(network, !network.family.mask(network.bits))
    }),
    f("pg_network_broadcast", |call| {
        let network = network(call, 0)?;
        with_address(network, network.address | !network.family.mask(network.bits))
    }),
    f("pg_network_masklen", |call| Ok(integer(network(call, 0)?.bits))),
    f("pg_network_family", |call| Ok(integer(network(call, 0)?.family.number()))),
    f("pg_network_host", |call| Ok(text(network(call, 0)?.host()))),
    f("pg_network_show", |call| Ok(text(network(call, 0)?.to_text(NetworkKind::Cidr)))),
    f("pg_network_cmp", three_way),
    f("pg_network_larger", |call| pick(call, true)),
    f("pg_network_smaller", |call| pick(call, false)),
    f("pg_network_sub", |call| Ok(inside(two(call)?, false))),
    f("pg_network_subeq", |call| Ok(inside(two(call)?, true))),
    f("pg_network_sup", |call| Ok(inside(swapped(call)?, false))),
    f("pg_network_supeq", |call| Ok(inside(swapped(call)?, true))),
    f("pg_network_overlap", |call| {
        let (left, right) = two(call)?;
        Ok(boolean(left.overlaps(right)))
    }),
    f("pg_inetnot", |call| {
        let network = network(call, 0)?;
        with_address(network, !network.address)
    }),
    f("pg_inetand", |call| combine(call, "AND", |left, right| left & right)),
    f("pg_inetor", |call| combine(call, "OR", |left, right| left | right)),
    f("pg_inetpl", |call| add(network(call, 0)?, call.i64(1)?.into())),
    f("pg_int8pl_inet_2631", |call| add(network(call, 1)?, call.i64(0)?.into())),
    f("pg_inetmi_int8", |call| add(network(call, 0)?, -i128::from(call.i64(1)?))),
    f("pg_inetmi", distance),
    f("pg_inet_same_family", |call| {
        let (left, right) = two(call)?;
        Ok(boolean(left.family == right.family))
    }),
    f("pg_inet_merge", merge),
];

/// Those of the hardware addresses.
pub(super) const HARDWARE: &[ScalarFunction] = &[
    f("pg_macaddr_cmp", three_way),
    f("pg_macaddr_trunc", truncate_mac),
    f("pg_macaddr_not", |call| map_mac(call, |_, byte| !byte)),
    f("pg_macaddr_and", |call| zip_mac(call, |left, right| left & right)),
    f("pg_macaddr_or", |call| zip_mac(call, |left, right| left | right)),
    f("pg_macaddr8_cmp", three_way),
    f("pg_macaddr8_trunc", truncate_mac),
    f("pg_macaddr8_not", |call| map_mac(call, |_, byte| !byte)),
    f("pg_macaddr8_and", |call| zip_mac(call, |left, right| left & right)),
    f("pg_macaddr8_or", |call| zip_mac(call, |left, right| left | right)),
    f("pg_macaddr8_set7bit", |call| {
        map_mac(call, |index, byte| if index == 0 { byte | 2 } else { byte })
    }),
    f("pg_macaddrtomacaddr8", |call| {
        Ok(Datum::Blob(widen(codec::fixed(call.blob(0)?, "macaddr")?).to_vec()))
    }),
    f("pg_macaddr8tomacaddr", |call| {
        Ok(Datum::Blob(narrow(codec::fixed(call.blob(0)?, "macaddr8")?)?.to_vec()))
    }),
];
