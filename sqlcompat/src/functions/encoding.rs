//! Character encodings: `convert`, `convert_from`, `convert_to`, `to_ascii`, lengths in an encoding.
//!
//! UTF-8 is the server's encoding. Beside it the encodings of one byte per character are known, by table; those of several
//! bytes are refused (0A000), as a client that has them can convert by itself.
//!
//! # Sources
//! PostgreSQL 15 manual, 24.3 (Character Set Support).

use super::call::{count, text};
use super::encoding_tables::UPPER_HALVES;
use super::system_information::encoding_named;
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::failure;

type Answer = Result<Datum, SqlError>;

/// Where a byte stands for no character.
const NONE: char = '\u{fffd}';

/// What `to_ascii` makes of the upper bytes, from the given byte on, in the encodings that it knows.
const ASCII_LOOKS: [(&str, u8, &str); 4] = [
    (
        "LATIN1",
        160,
        "  cL Y  \"Ca  -R     'u .,      ?AAAAAAACEEEEIIII NOOOOOxOUUUUYTBaaaaaaaceeeeiiii \
         nooooo/ouuuuyty",
    ),
    (
        "LATIN2",
        160,
        " A L LS \"SSTZ-ZZ a,l'ls ,sstz\"zzRAAAALCCCEEEEIIDDNNOOOOxRUUUUYTBraaaalccceeeeiiddnn\
         oooo/ruuuuyt.",
    ),
    (
        "LATIN9",
        160,
        "  cL YS sCa  -R     Zu .z   EeY?AAAAAAACEEEEIIII NOOOOOxOUUUUYTBaaaaaaaceeeeiiii \
         nooooo/ouuuuyty",
    ),
    (
        "WIN1250",
        128,
        "  ' \"    %S<STZZ `'\"\".--  s>stzz   L A  \"CS  -RZ  ,l'u .,as L\"lzRAAAALCCCEEEEIIDDNN\
         OOOOxRUUUUYTBraaaalccceeeeiiddnnoooo/ruuuuyt ",
    ),
];

/// An encoding of those that are converted.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    SqlAscii,
    /// One byte per character, with the upper half of the table.
    OneByte(&'static str),
}

/// An encoding by any of its names; `side` is what an error calls it.
fn find(name: &str, side: &str) -> Result<(Encoding, &'static str), SqlError> {
    let unknown = || failure::invalid_parameter(format!("invalid {side} name \"{name}\""));
    let canonical = encoding_named(name).ok_or_else(unknown)?;
    let encoding = match canonical {
        "UTF8" => Encoding::Utf8,
        "SQL_ASCII" => Encoding::SqlAscii,
        _ => match UPPER_HALVES.iter().find(|(known, _)| *known == canonical) {
            Some((_, upper)) => Encoding::OneByte(upper),
            None => return Err(SqlError::unsupported(format!("encoding \"{canonical}\""))),
        },
    };
    Ok((encoding, canonical))
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(8).map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// How many bytes the UTF-8 character of this first byte takes.
fn utf8_width(first: u8) -> usize {
    match first {
        0xf0..=0xf7 => 4,
        0xe0..=0xef => 3,
        0xc0..=0xdf => 2,
        _ => 1,
    }
}

/// Text in UTF-8.
fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    let bad_at = match std::str::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            None => return Ok(text),
            Some(at) => at,
        },
        Err(error) => {
            error.valid_up_to().min(bytes.iter().position(|it| *it == 0).unwrap_or(usize::MAX))
        }
    };
    let tail = bytes.get(bad_at..).unwrap_or(&[]);
    let width = tail.first().map_or(1, |first| utf8_width(*first));
    Err(invalid_bytes("UTF8", tail.get(..width.min(tail.len())).unwrap_or(tail)))
}

fn invalid_bytes(encoding: &str, bytes: &[u8]) -> SqlError {
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"{encoding}\": {}", shown(bytes)),
    )
}

fn untranslatable(bytes: &[u8], from: &str, to: &str) -> SqlError {
    SqlError::new(
        SqlState(*b"22P05"),
        format!(
            "character with byte sequence {} in encoding \"{from}\" has no equivalent in encoding \
             \"{to}\"",
            shown(bytes)
        ),
    )
}

/// Text of an encoding as UTF-8.
fn to_utf8(bytes: &[u8], (encoding, name): (Encoding, &str)) -> Result<String, SqlError> {
    let upper: Vec<char> = match encoding {
        Encoding::Utf8 => return utf8(bytes).map(str::to_owned),
        Encoding::SqlAscii => Vec::new(),
        Encoding::OneByte(upper) => upper.chars().collect(),
    };
    let character = |byte: u8| match byte {
        0 => Err(invalid_bytes(name, &[byte])),
        1..=127 => Ok(char::from(byte)),
        _ if upper.is_empty() => Err(invalid_bytes("UTF8", &[byte])),
        _ => match upper.get(usize::from(byte - 128)) {
            Some(&c) if c != NONE => Ok(c),
            _ => Err(untranslatable(&[byte], name, "UTF8")),
        },
    };
    bytes.iter().map(|byte| character(*byte)).collect()
}

/// UTF-8 text in an encoding.
fn from_utf8(value: &str, (encoding, name): (Encoding, &str)) -> Result<Vec<u8>, SqlError> {
    let Encoding::OneByte(upper) = encoding else { return Ok(value.as_bytes().to_vec()) };
    let byte = |c: char| {
        if c.is_ascii() {
            return u8::try_from(c).ok();
        }
        let at = upper.chars().position(|known| known == c && c != NONE)?;
        u8::try_from(at + 128).ok()
    };
    let mut buffer = [0; 4];
    value
        .chars()
        .map(|c| {
            byte(c)
                .ok_or_else(|| untranslatable(c.encode_utf8(&mut buffer).as_bytes(), "UTF8", name))
        })
        .collect()
}

fn convert(call: &Call) -> Answer {
    let bytes = call.blob(0)?;
    let source = find(call.text(1)?, "source encoding")?;
    let target = find(call.text(2)?, "destination encoding")?;
    match (source.0, target.0) {
        (Encoding::SqlAscii, _) | (_, Encoding::SqlAscii) => {
            return Ok(Datum::Blob(bytes.to_vec()));
        }
        (Encoding::OneByte(_), Encoding::OneByte(_)) if source.1 != target.1 => {
            let message = format!(
                "default conversion function for encoding \"{}\" to \"{}\" does not exist",
                source.1, target.1
            );
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message));
        }
        _ => {}
    }
    let value = to_utf8(bytes, source)?;
    from_utf8(&value, target).map(Datum::Blob)
}

fn convert_from(call: &Call) -> Answer {
    let source = find(call.text(1)?, "source encoding")?;
    to_utf8(call.blob(0)?, source).map(Datum::Text)
}

fn convert_to(call: &Call) -> Answer {
    let target = find(call.text(1)?, "destination encoding")?;
    from_utf8(call.text(0)?, target).map(Datum::Blob)
}

/// Characters of bytes in an encoding.
fn length_in_encoding(call: &Call) -> Answer {
    let bytes = call.blob(0)?;
    let name = call.text(1)?;
    let unknown = || failure::invalid_parameter(format!("invalid encoding name \"{name}\""));
    encoding_named(name).ok_or_else(unknown)?;
    Ok(match find(name, "encoding")? {
        (Encoding::Utf8, _) => count(utf8(bytes)?.chars().count()),
        (Encoding::SqlAscii | Encoding::OneByte(_), _) => count(bytes.len()),
    })
}

/// Letters without their marks, for the bytes of the text taken as of the encoding.
fn ascii_looks(value: &str, name: &str) -> Answer {
    let known = ASCII_LOOKS.iter().find(|(encoding, ..)| *encoding == name);
    let Some((_, first, looks)) = known else {
        let message = format!("encoding conversion from {name} to ASCII not supported");
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    };
    let looks = looks.as_bytes();
    let plain = value.bytes().map(|byte| match byte {
        0..=127 => char::from(byte),
        _ => {
            let at = byte.checked_sub(*first).map(usize::from);
            at.and_then(|at| looks.get(at)).map_or(' ', |look| char::from(*look))
        }
    });
    Ok(text(plain.collect::<String>()))
}

fn to_ascii_named(call: &Call) -> Answer {
    let name = call.text(1)?;
    let unknown = || {
        let message = format!("{name} is not a valid encoding name");
        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
    };
    ascii_looks(call.text(0)?, encoding_named(name).ok_or_else(unknown)?)
}

fn to_ascii_numbered(call: &Call) -> Answer {
    let number = call.i64(1)?;
    let name = usize::try_from(number).ok().and_then(super::system_information::encoding_at);
    let unknown = || {
        let message = format!("{number} is not a valid encoding code");
        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
    };
    ascii_looks(call.text(0)?, name.ok_or_else(unknown)?)
}

/// Most bytes of a character; NULL for a number that is no encoding.
fn max_length(call: &Call) -> Answer {
    let number = usize::try_from(call.i64(0)?).ok();
    let Some(name) = number.and_then(super::system_information::encoding_at) else {
        return Ok(Datum::Null);
    };
    Ok(count(match name {
        "UTF8" | "GB18030" | "MULE_INTERNAL" | "EUC_TW" => 4,
        "EUC_JP" | "EUC_CN" | "EUC_KR" | "EUC_JIS_2004" | "JOHAB" => 3,
        "SJIS" | "BIG5" | "GBK" | "UHC" | "SHIFT_JIS_2004" => 2,
        _ => 1,
    }))
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_pg_convert", convert),
    ScalarFunction::strict("pg_pg_convert_from", convert_from),
    ScalarFunction::strict("pg_pg_convert_to", convert_to),
    ScalarFunction::strict("pg_length_in_encoding", length_in_encoding),
    ScalarFunction::strict("pg_to_ascii_default", |call| ascii_looks(call.text(0)?, "UTF8")),
    ScalarFunction::strict("pg_to_ascii_enc", to_ascii_numbered),
    ScalarFunction::strict("pg_to_ascii_encname", to_ascii_named),
    ScalarFunction::strict("pg_pg_encoding_max_length_sql", max_length),
];
