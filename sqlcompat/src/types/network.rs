//! Network addresses: `inet` and `cidr`.
//!
//! Both are an address of a family with the length of a netmask; a `cidr` has no bits set to the right of it. The storage
//! form is a blob whose byte order is PostgreSQL's order, so that indexes need no collation:
//!
//! ```text
//!   192.168.1.5/24   04  c0 a8 01 00  18  c0 a8 01 05
//!                    |   network      |   address
//!                    family           netmask length
//! ```
//!
//! # Sources
//! PostgreSQL 15 manual, sections 8.9 (Network Address Types) and 9.12; the accepted spellings are those of its
//! `inet_net_pton`, short forms and hexadecimal networks included.

use std::fmt::Write as _;

use super::failure;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// `AF_INET` on the wire.
const WIRE_V4: u8 = 2;
/// PostgreSQL's own number of the other family on the wire.
const WIRE_V6: u8 = 3;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 32 bits.
    V4,
    /// 128 bits.
    V6,
}

/// `inet` or `cidr`, where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// An address with a netmask.
    Inet,
    /// A network.
    Cidr,
}

/// An address with the length of its netmask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its family.
    pub family: Family,
    /// The address, in the low bits.
    pub address: u128,
    /// Length of the netmask, at most [`Family::width`].
    pub bits: u8,
}

impl Family {
    /// Bits of an address.
    #[must_use]
    pub fn width(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Bytes of an address.
    fn size(self) -> usize {
        usize::from(self.width() / 8)
    }

    /// All bits of an address.
    #[must_use]
    pub fn all(self) -> u128 {
        u128::MAX >> (128 - u32::from(self.width()))
    }

    /// The netmask of that length.
    #[must_use]
    pub fn mask(self, bits: u8) -> u128 {
        let host = u32::from(self.width() - bits.min(self.width()));
        self.all().checked_shl(host).unwrap_or(0) & self.all()
    }

    /// What `family()` answers.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

impl NetworkKind {
    /// The kind of a type, if it is one of the two.
    #[must_use]
    pub fn of(type_oid: Oid) -> Option<Self> {
        match type_oid {
            Oid::INET => Some(Self::Inet),
            Oid::CIDR => Some(Self::Cidr),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Cidr => "cidr",
        }
    }
}

impl Network {
    /// Reads the text form.
    ///
    /// # Errors
    /// 22P02.
    pub fn parse(text: &str, kind: NetworkKind) -> Result<Self, SqlError> {
        let parsed = match (text.contains(':'), kind) {
            (true, _) => parse_v6(text.as_bytes()),
            (false, NetworkKind::Inet) => parse_inet_v4(text.as_bytes()),
            (false, NetworkKind::Cidr) => parse_cidr_v4(text.as_bytes()),
        };
        let network = parsed.ok_or_else(|| failure::invalid_text(kind.name(), text))?;
        if kind == NetworkKind::Cidr && network.network() != network.address {
            return Err(SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid cidr value: \"{text}\""),
            )
            .with_detail("Value has bits set to right of mask."));
        }
        Ok(network)
    }

    /// Reads the storage form.
    ///
    /// # Errors
    /// XX000 if it is not one.
    pub fn from_storage(stored: &[u8]) -> Result<Self, SqlError> {
        let wrong = || failure::wrong_storage("inet");
        let (family, rest) = match stored.split_first() {
            Some((4, rest)) => (Family::V4, rest),
            Some((6, rest)) => (Family::V6, rest),
            _ => return Err(wrong()),
        };
        let (bits, address) =
            rest.get(family.size()..).and_then(<[u8]>::split_first).ok_or_else(wrong)?;
        if address.len() != family.size() || *bits > family.width() {
            return Err(wrong());
        }
        Ok(Self { family, address: number(address), bits: *bits })
    }

    /// The storage form.
    #[must_use]
    pub fn to_storage(self) -> Vec<u8> {
        let mut stored = Vec::with_capacity(2 + 2 * self.family.size());
        stored.push(self.family.number());
        self.push_bytes(self.network(), &mut stored);
        stored.push(self.bits);
        self.push_bytes(self.address, &mut stored);
        stored
    }

    fn push_bytes(self, address: u128, out: &mut Vec<u8>) {
        let bytes = address.to_be_bytes();
        out.extend_from_slice(bytes.get(16 - self.family.size()..).unwrap_or_default());
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// 22P03.
    pub fn decode_binary(bytes: &[u8], kind: NetworkKind) -> Result<Self, SqlError> {
        let bad = |message: &str| {
            SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                message.replace("%s", kind.name()),
            )
        };
        let [family, bits, _is_cidr, length, address @ ..] = bytes else {
            return Err(failure::invalid_binary(kind.name()));
        };
        let family = match *family {
            WIRE_V4 => Family::V4,
            WIRE_V6 => Family::V6,
            _ => return Err(bad("invalid address family in external \"%s\" value")),
        };
        if *bits > family.width() {
            return Err(bad("invalid bits in external \"%s\" value"));
        }
        if usize::from(*length) != family.size() {
            return Err(bad("invalid length in external \"%s\" value"));
        }
        if address.len() != family.size() {
            return Err(failure::invalid_binary(kind.name()));
        }
        let network = Self { family, address: number(address), bits: *bits };
        if kind == NetworkKind::Cidr && network.network() != network.address {
            return Err(bad("invalid external \"%s\" value")
                .with_detail("Value has bits set to right of mask."));
        }
        Ok(network)
    }

    /// Appends the binary form.
    pub fn encode_binary(self, kind: NetworkKind, out: &mut Vec<u8>) {
        let family = match self.family {
            Family::V4 => WIRE_V4,
            Family::V6 => WIRE_V6,
        };
        out.extend([family, self.bits, u8::from(kind == NetworkKind::Cidr)]);
        out.push(self.family.width() / 8);
        self.push_bytes(self.address, out);
    }

    /// The text form: a `cidr` always shows its netmask, an `inet` one that does not cover the whole address.
    #[must_use]
    pub fn to_text(self, kind: NetworkKind) -> String {
        let mut text = self.host();
        if kind == NetworkKind::Cidr || self.bits != self.family.width() {
            let _ = write!(text, "/{}", self.bits);
        }
        text
    }

    /// The address alone.
    #[must_use]
    pub fn host(self) -> String {
        match self.family {
            Family::V4 => dotted(self.address),
            Family::V6 => colons(self.words()),
        }
    }

    /// The address without the bits of the host.
    #[must_use]
    pub fn network(self) -> u128 {
        self.address & self.family.mask(self.bits)
    }

    /// The network with another netmask.
    #[must_use]
    pub fn to_cidr(self, bits: u8) -> Self {
        Self { address: self.address & self.family.mask(bits), bits, ..self }
    }

    /// Whether the networks of the two, cut to the shorter netmask, are one.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.family == other.family && self.common_bits(other) >= self.bits.min(other.bits)
    }

    /// How many leading bits the addresses share, up to the shorter netmask.
    #[must_use]
    pub fn common_bits(self, other: Self) -> u8 {
        let difference = (self.address ^ other.address) << (128 - u32::from(self.family.width()));
        let same = u8::try_from(difference.leading_zeros()).unwrap_or(u8::MAX);
        same.min(self.bits).min(other.bits)
    }

    fn words(self) -> [u16; 8] {
        let mut words = [0; 8];
        for (index, word) in words.iter_mut().enumerate() {
            *word = u16::try_from((self.address >> (112 - 16 * index)) & 0xffff).unwrap_or(0);
        }
        words
    }

    /// The shortest text of a `cidr`: `10.1/16`.
    #[must_use]
    pub fn abbreviated(self) -> String {
        let mut text = match self.family {
            Family::V4 => self.short_v4(),
            Family::V6 if self.bits == 0 => "::".to_owned(),
            Family::V6 => self.short_v6(),
        };
        let _ = write!(text, "/{}", self.bits);
        text
    }

    fn short_v4(self) -> String {
        if self.bits == 0 {
            return "0".to_owned();
        }
        let octets = self.network().to_be_bytes();
        let shown = usize::from(self.bits).div_ceil(8);
        let octets: Vec<String> = octets.iter().skip(12).take(shown).map(u8::to_string).collect();
        octets.join(".")
    }

    /// Only the words that the netmask touches, the longest run of zeros left out.
    fn short_v6(self) -> String {
        let words = self.to_cidr(self.bits).words();
        let shown = usize::from(self.bits).div_ceil(16).max(2);
        let (start, length) = zero_run(words.get(..shown).unwrap_or(&words));
        let [.., sixth, _, last] = words;
        let [high, low] = last.to_be_bytes();
        let mapped = length == 5 && sixth == 0xffff;
        let dotted = length != shown
            && start == 0
            && (length == 6 || mapped || (length == 7 && high != 0 && low != 1));
        let mut text = String::new();
        for (index, word) in words.iter().enumerate().take(shown) {
            let [high, low] = word.to_be_bytes();
            if (start..start + length).contains(&index) {
                if index == start {
                    text.push(':');
                }
                if index == shown - 1 {
                    text.push(':');
                }
            } else if dotted && index > 5 {
                let _ = write!(text, "{}{high}", if index == 6 { ':' } else { '.' });
                if index != 7 || self.bits > 120 {
                    let _ = write!(text, ".{low}");
                }
            } else {
                let colon = if text.is_empty() { "" } else { ":" };
                let _ = write!(text, "{colon}{word:x}");
            }
        }
        text
    }
}

/// The longest run of zero words as PostgreSQL's abbreviation finds it: a run that is not longer than one before it is
/// counted on into the next.
fn zero_run(words: &[u16]) -> (usize, usize) {
    let (mut best, mut run) = ((0, 0), (0, 0));
    for (index, word) in words.iter().enumerate() {
        if *word == 0 {
            if run.1 == 0 {
                run.0 = index;
            }
            run.1 += 1;
        } else if run.1 > best.1 {
            best = run;
            run.1 = 0;
        }
    }
    if run.1 > best.1 { run } else { best }
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn dotted(address: u128) -> String {
    let [.., a, b, c, d] = address.to_be_bytes();
    format!("{a}.{b}.{c}.{d}")
}

/// An IPv6 address with the first longest run of zeros left out, and the end dotted where it is an IPv4 address.
fn colons(words: [u16; 8]) -> String {
    let (mut best, mut run) = ((0, 0), (0, 0));
    for (index, word) in words.iter().enumerate() {
        run = match (*word, run.1) {
            (0, 0) => (index, 1),
            (0, length) => (run.0, length + 1),
            _ => (0, 0),
        };
        if run.1 > best.1 {
            best = run;
        }
    }
    let (start, length) = if best.1 >= 2 { best } else { (8, 0) };
    let [.., sixth, seventh, last] = words;
    let is_dotted = start == 0
        && (length == 6 || (length == 7 && last != 1) || (length == 5 && sixth == 0xffff));
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if (start..start + length).contains(&index) {
            if index == start {
                text.push(':');
            }
            continue;
        }
        if index > 0 {
            text.push(':');
        }
        if is_dotted && index == 6 {
            text.push_str(&dotted(u128::from(seventh) << 16 | u128::from(last)));
            return text;
        }
        let _ = write!(text, "{word:x}");
    }
    if length > 0 && start + length == 8 {
        text.push(':');
    }
    text
}

/// A netmask after its slash, and nothing after it.
fn decimal_bits(text: &[u8], max: u8) -> Option<u8> {
    if text.is_empty() {
        return None;
    }
    let bits = text.iter().try_fold(0u32, |sum, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })?;
    u8::try_from(bits).ok().filter(|bits| *bits <= max)
}

/// Takes decimal digits off the front: the number, at most 255, if there are any.
fn octet<'a>(text: &mut &'a [u8]) -> Option<u8> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest): (&'a [u8], &'a [u8]) = text.split_at_checked(digits)?;
    *text = rest;
    let value = number.iter().try_fold(0u32, |sum, byte| {
        let sum = sum * 10 + u32::from(byte - b'0');
        (sum <= 255).then_some(sum)
    })?;
    if digits == 0 { None } else { u8::try_from(value).ok() }
}

/// What follows the octets: nothing, or a slash and the netmask.
fn rest_bits(rest: &[u8]) -> Option<Option<u8>> {
    match rest.split_first() {
        None => Some(None),
        Some((b'/', bits)) => decimal_bits(bits, 32).map(Some),
        Some(_) => None,
    }
}

fn v4(octets: &[u8], bits: u8) -> Network {
    let address =
        octets.iter().chain(&[0; 4]).take(4).fold(0, |sum, octet| sum << 8 | u128::from(*octet));
    Network { family: Family::V4, address, bits }
}

/// `inet`: four octets, or fewer with a netmask that they cover.
fn parse_inet_v4(text: &[u8]) -> Option<Network> {
    let (mut rest, mut octets) = (text, Vec::new());
    while rest.first().is_some_and(u8::is_ascii_digit) {
        if octets.len() == 4 {
            return None;
        }
        octets.push(octet(&mut rest)?);
        match rest.split_first() {
            Some((b'.', after)) => rest = after,
            None | Some((b'/', _)) => break,
            Some(_) => return None,
        }
    }
    if octets.is_empty() {
        return None;
    }
    let bits = match rest_bits(rest)? {
        Some(bits) => bits,
        None if octets.len() == 4 => 32,
        None => return None,
    };
    (usize::from(bits / 8) <= octets.len()).then(|| v4(&octets, bits))
}

/// `cidr`: any number of octets, or hexadecimal digits; without a netmask, that of the address's class.
fn parse_cidr_v4(text: &[u8]) -> Option<Network> {
    let (octets, rest) = match text {
        [b'0', b'x' | b'X', digits @ ..] if digits.first().is_some_and(u8::is_ascii_hexdigit) => {
            hex_octets(digits)
        }
        _ => decimal_octets(text)?,
    };
    if octets.is_empty() || octets.len() > 4 {
        return None;
    }
    let given = u8::try_from(octets.len() * 8).ok()?;
    let bits = rest_bits(rest)?.or_else(|| {
        let first = *octets.first()?;
        let class = match first {
            240.. => 32,
            224..=239 => 8,
            192..=223 => 24,
            128..=191 => 16,
            0..=127 => 8,
        };
        let bits = class.max(given);
        Some(if bits == 8 && first == 224 { 4 } else { bits })
    })?;
    Some(v4(&octets, bits))
}

fn hex_octets(digits: &[u8]) -> (Vec<u8>, &[u8]) {
    let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = digits.split_at(length);
    let value = |byte: &u8| char::from(*byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let octets = digits.chunks(2).filter_map(|pair| {
        let high = pair.first().and_then(value)?;
        Some(high << 4 | pair.get(1).and_then(value).unwrap_or(0))
    });
    (octets.collect(), rest)
}

fn decimal_octets(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut rest, mut octets) = (text, Vec::new());
    loop {
        octets.push(octet(&mut rest)?);
        match rest.split_first() {
            Some((b'.', after)) => rest = after,
            None | Some((b'/', _)) => return Some((octets, rest)),
            Some(_) => return None,
        }
    }
}

/// An IPv6 address being read.
#[derive(Default)]
struct V6Reader {
    bytes: Vec<u8>,
    /// Where `::` stands.
    gap: Option<usize>,
    bits: Option<u8>,
}

fn parse_v6(text: &[u8]) -> Option<Network> {
    let mut rest = match text {
        [b':', b':', ..] => text.get(1..)?,
        [b':', ..] => return None,
        _ => text,
    };
    let mut reader = V6Reader::default();
    let (mut token, mut word, mut digits) = (rest, 0u16, 0);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            byte if byte.is_ascii_hexdigit() => {
                digits += 1;
                if digits > 4 {
                    return None;
                }
                let digit = char::from(*byte).to_digit(16).and_then(|it| u16::try_from(it).ok());
                word = word << 4 | digit?;
            }
            b':' if digits == 0 => {
                token = rest;
                if reader.gap.replace(reader.bytes.len()).is_some() {
                    return None;
                }
            }
            b':' => {
                token = rest;
                if rest.is_empty() {
                    return None;
                }
                reader.bytes.extend(word.to_be_bytes());
                (word, digits) = (0, 0);
            }
            b'.' if reader.bytes.len() <= 12 => {
                reader.dotted(token)?;
                digits = 0;
                break;
            }
            b'/' => {
                reader.bits = Some(strict_bits(rest)?);
                break;
            }
            _ => return None,
        }
    }
    if digits > 0 {
        reader.bytes.extend(word.to_be_bytes());
    }
    reader.finish()
}

impl V6Reader {
    /// An IPv4 address at the end; octets that are not there are zero.
    fn dotted(&mut self, token: &[u8]) -> Option<()> {
        let (address, bits) = match token.iter().position(|byte| *byte == b'/') {
            Some(at) => (token.get(..at)?, Some(strict_bits(token.get(at + 1..)?)?)),
            None => (token, None),
        };
        let octets: Vec<u8> = address
            .split(|byte| *byte == b'.')
            .map(|digits| strict_number(digits, 255, bits.is_some()))
            .collect::<Option<_>>()?;
        if octets.len() > 4 {
            return None;
        }
        self.bytes.extend(octets.iter().chain(&[0; 4]).take(4));
        self.bits = bits;
        Some(())
    }

    fn finish(mut self) -> Option<Network> {
        if self.bytes.len() > 16 {
            return None;
        }
        if let Some(gap) = self.gap {
            let missing = 16 - self.bytes.len();
            if missing == 0 {
                return None;
            }
            self.bytes.splice(gap..gap, std::iter::repeat_n(0, missing));
        }
        let bits = self.bits.unwrap_or(128);
        (self.bytes.len() == 16).then(|| Network {
            family: Family::V6,
            address: number(&self.bytes),
            bits,
        })
    }
}

/// A netmask without leading zeros.
fn strict_bits(text: &[u8]) -> Option<u8> {
    strict_number(text, 128, false)
}

/// A number without leading zeros; no digits at all count as 0 where `lenient`.
fn strict_number(text: &[u8], max: u32, lenient: bool) -> Option<u8> {
    if text.is_empty() {
        return lenient.then_some(0);
    }
    if text.len() > 1 && text.first() == Some(&b'0') {
        return None;
    }
    let value = text.iter().try_fold(0u32, |sum, byte| {
        let sum = sum * 10 + char::from(*byte).to_digit(10)?;
        (sum <= max).then_some(sum)
    })?;
    u8::try_from(value).ok()
}
