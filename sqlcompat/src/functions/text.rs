//! String functions: everything counts characters, not bytes; case mapping is one character to one, as with PostgreSQL's
//! `C.UTF-8`.
//!
//! # Bounds
//! A result above [`TEXT_BYTES_MAX`] is 54000 before it is built.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::call::{boolean, count, integer, text};
use super::ordering::compare_bpchar;
use super::{Call, ScalarFunction};
use crate::builtin;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::{codec, failure, scalar};

type Answer = Result<Datum, SqlError>;

/// Longest text that a function builds, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 28;

/// 54000 for results that are too long.
pub(super) fn too_long() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// A text while it is built, never longer than [`TEXT_BYTES_MAX`].
#[derive(Default)]
pub(super) struct BoundedText(String);

impl BoundedText {
    /// Appends a text.
    ///
    /// # Errors
    /// 54000 if that makes it too long.
    pub(super) fn push_str(&mut self, part: &str) -> Result<(), SqlError> {
        if self.0.len().saturating_add(part.len()) > TEXT_BYTES_MAX {
            return Err(too_long());
        }
        self.0.push_str(part);
        Ok(())
    }

    /// Appends a character, as [`Self::push_str`].
    pub(super) fn push(&mut self, c: char) -> Result<(), SqlError> {
        self.push_str(c.encode_utf8(&mut [0; 4]))
    }

    /// What has been built.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

fn map_chars(value: &str, map: impl Fn(char) -> char) -> String {
    value.chars().map(map).collect()
}

/// The single character that `mapped` yields, or `c` itself.
fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

/// Upper case, one to one.
pub(super) fn upper_char(c: char) -> char {
    single(c, c.to_uppercase())
}

/// Lower case, one to one.
pub(super) fn lower_char(c: char) -> char {
    single(c, c.to_lowercase())
}

fn initcap(value: &str) -> String {
    let mut in_word = false;
    value
        .chars()
        .map(|c| {
            let mapped = if in_word { lower_char(c) } else { upper_char(c) };
            in_word = c.is_alphanumeric();
            mapped
        })
        .collect()
}

/// Characters from `start` (1-based, may lie before the text) for `length`.
pub(super) fn substring(value: &str, start: i64, length: Option<i64>) -> Result<&str, SqlError> {
    let end = match length {
        Some(length) if length < 0 => {
            return Err(SqlError::new(
                SqlState::SUBSTRING_ERROR,
                "negative substring length not allowed",
            ));
        }
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let first = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let last = usize::try_from(end.max(1) - 1).unwrap_or(usize::MAX);
    Ok(char_slice(value, first, last))
}

/// Characters `first..last`.
fn char_slice(value: &str, first: usize, last: usize) -> &str {
    if first >= last {
        return "";
    }
    if value.is_ascii() {
        return value.get(first.min(value.len())..last.min(value.len())).unwrap_or_default();
    }
    let mut starts = value.char_indices().map(|(at, _)| at).chain(std::iter::once(value.len()));
    let Some(from) = starts.nth(first) else { return "" };
    let to = starts.nth(last - first - 1).unwrap_or(value.len());
    value.get(from..to).unwrap_or_default()
}

fn text_substr(call: &Call) -> Answer {
    let length = if call.len() > 2 { Some(call.i64(2)?) } else { None };
    Ok(text(substring(call.text(0)?, call.i64(1)?, length)?))
}

/// 1-based character position of `needle`, 0 if it is not there.
fn position(haystack: &str, needle: &str) -> usize {
    haystack.find(needle).map_or(0, |at| haystack.get(..at).unwrap_or_default().chars().count() + 1)
}

fn overlay(call: &Call) -> Answer {
    let (value, new, start) = (call.text(0)?, call.text(1)?, call.i64(2)?);
    let replaced = if call.len() > 3 { call.i64(3)? } else { count_of(new) };
    if start <= 0 {
        return Err(SqlError::new(
            SqlState::SUBSTRING_ERROR,
            "negative substring length not allowed",
        ));
    }
    let before = substring(value, 1, Some(start - 1))?;
    let after = substring(value, start.saturating_add(replaced), None)?;
    Ok(text(format!("{before}{new}{after}")))
}

/// `overlay` of bytes.
fn overlay_bytes(call: &Call) -> Answer {
    let (value, new, start) = (call.blob(0)?, call.blob(1)?, call.i64(2)?);
    let replaced =
        if call.len() > 3 { call.i64(3)? } else { i64::try_from(new.len()).unwrap_or(0) };
    if start <= 0 {
        return Err(SqlError::new(
            SqlState::SUBSTRING_ERROR,
            "negative substring length not allowed",
        ));
    }
    let clamp = |at: i64| usize::try_from(at).unwrap_or(0).min(value.len());
    let before = value.get(..clamp(start - 1)).unwrap_or(&[]);
    let after = value.get(clamp((start - 1).saturating_add(replaced))..).unwrap_or(&[]);
    Ok(Datum::Blob([before, new, after].concat()))
}

fn count_of(value: &str) -> i64 {
    i64::try_from(value.chars().count()).unwrap_or(i64::MAX)
}

/// Pads or cuts to a number of characters.
fn pad(call: &Call, at_left: bool) -> Answer {
    let (value, length) = (call.text(0)?, call.i64(1)?);
    let fill = if call.len() > 2 { call.text(2)? } else { " " };
    let wanted = usize::try_from(length).unwrap_or(0);
    if wanted > TEXT_BYTES_MAX / 4 {
        return Err(too_long());
    }
    let have = value.chars().count();
    if have >= wanted || fill.is_empty() {
        return Ok(text(char_slice(value, 0, wanted)));
    }
    let padding: String = fill.chars().cycle().take(wanted - have).collect();
    Ok(text(if at_left { padding + value } else { format!("{value}{padding}") }))
}

fn trim(call: &Call, left: bool, right: bool) -> Answer {
    let value = call.text(0)?;
    let set = if call.len() > 1 { call.text(1)? } else { " " };
    let in_set = |c: char| set.contains(c);
    let value = if left { value.trim_start_matches(in_set) } else { value };
    let value = if right { value.trim_end_matches(in_set) } else { value };
    Ok(text(value))
}

fn character(call: &Call) -> Answer {
    let code = call.i64(0)?;
    let too_large = |message: &str| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    if code < 0 {
        return Err(failure::invalid_parameter("character number must be positive"));
    }
    if code == 0 {
        return Err(too_large("null character not permitted"));
    }
    let found = u32::try_from(code).ok().and_then(char::from_u32);
    found
        .map(|c| text(String::from(c)))
        .ok_or_else(|| too_large(&format!("requested character too large for encoding: {code}")))
}

fn repeat(call: &Call) -> Answer {
    let value = call.text(0)?;
    let times = usize::try_from(call.i64(1)?).unwrap_or(0);
    if value.len().checked_mul(times).is_none_or(|length| length > TEXT_BYTES_MAX) {
        return Err(too_long());
    }
    Ok(text(value.repeat(times)))
}

fn replace(call: &Call) -> Answer {
    let (value, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if from.is_empty() {
        return Ok(text(value));
    }
    let growth = value.matches(from).count().saturating_mul(to.len());
    if growth.saturating_add(value.len()) > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text(value.replace(from, to)))
}

fn translate(call: &Call) -> Answer {
    let (value, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let mut map = BTreeMap::new();
    let mut targets = to.chars();
    for c in from.chars() {
        let target = targets.next();
        map.entry(c).or_insert(target);
    }
    let mapped = value.chars().filter_map(|c| map.get(&c).copied().unwrap_or(Some(c)));
    Ok(text(mapped.collect::<String>()))
}

fn split_part(call: &Call) -> Answer {
    let (value, separator, number) = (call.text(0)?, call.text(1)?, call.i64(2)?);
    if number == 0 {
        return Err(failure::invalid_parameter("field position must not be zero"));
    }
    if separator.is_empty() {
        return Ok(text(if number == 1 || number == -1 { value } else { "" }));
    }
    let index = usize::try_from(number.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let part = if number > 0 {
        value.split(separator).nth(index)
    } else {
        value.rsplit(separator).nth(index)
    };
    Ok(text(part.unwrap_or_default()))
}

/// `left` and `right` with PostgreSQL's negative counts.
fn edge(call: &Call, at_left: bool) -> Answer {
    let (value, wanted) = (call.text(0)?, call.i64(1)?);
    let total = count_of(value);
    let kept = if wanted < 0 { (total + wanted).max(0) } else { wanted.min(total) };
    let (kept, total) = (usize::try_from(kept).unwrap_or(0), usize::try_from(total).unwrap_or(0));
    Ok(text(if at_left {
        char_slice(value, 0, kept)
    } else {
        char_slice(value, total - kept, total)
    }))
}

/// A literal in single quotes, `E''` if it holds a backslash.
#[must_use]
pub(super) fn quote_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// The argument's text by its type.
fn out(call: &Call, index: usize, type_index: usize) -> Result<String, SqlError> {
    let type_oid = call.oid(type_index)?;
    call.session.with_types(|cx| codec::to_text(type_oid, call.datum(index), cx))
}

fn concat(call: &Call) -> Answer {
    let width = call.len() / 2;
    let mut joined = BoundedText::default();
    for index in (0..width).filter(|index| !call.is_null(*index)) {
        joined.push_str(&out(call, index, width + index)?)?;
    }
    Ok(text(joined.into_string()))
}

fn concat_ws(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let separator = call.text(0)?;
    let width = (call.len() - 1) / 2;
    let mut joined = BoundedText::default();
    let given = (1..=width).filter(|index| !call.is_null(*index));
    for (before, index) in given.enumerate() {
        joined.push_str(if before > 0 { separator } else { "" })?;
        joined.push_str(&out(call, index, width + index)?)?;
    }
    Ok(text(joined.into_string()))
}

fn quote_any(call: &Call, null: Datum) -> Answer {
    if call.is_null(0) {
        return Ok(null);
    }
    let value = if call.len() > 1 { out(call, 0, 1)? } else { call.text(0)?.to_owned() };
    Ok(text(quote_literal(&value)))
}

/// `format(template, …)`: `%s`, `%I`, `%L`, `%%` with position, `-` flag and width.
fn format(call: &Call) -> Answer {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let template = call.text(0)?;
    let width = (call.len() - 1) / 2;
    let mut built = BoundedText::default();
    let mut next = 1;
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        built.push_str(rest.get(..at).unwrap_or_default())?;
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            built.push('%')?;
            rest = after;
            continue;
        }
        let specifier = Specifier::read(&mut rest)?;
        let wanted_width = specifier.width(call, &mut next, width)?;
        let index = specifier.position.unwrap_or(next);
        next = index + 1;
        if index > width {
            return Err(failure::invalid_parameter("too few arguments for format()"));
        }
        let shown = specifier.show(call, index, width)?;
        pad_into(&shown, wanted_width, specifier.left, &mut built)?;
    }
    built.push_str(rest)?;
    Ok(text(built.into_string()))
}

fn pad_into(shown: &str, width: i64, left: bool, out: &mut BoundedText) -> Result<(), SqlError> {
    let wanted = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    if wanted > TEXT_BYTES_MAX {
        return Err(too_long());
    }
    let padding = " ".repeat(wanted.saturating_sub(shown.chars().count()));
    let left = left || width < 0;
    out.push_str(if left { "" } else { &padding })?;
    out.push_str(shown)?;
    out.push_str(if left { &padding } else { "" })
}

/// One `%…` of a format template.
struct Specifier {
    position: Option<usize>,
    left: bool,
    fixed_width: i64,
    width_argument: Option<Option<usize>>,
    kind: char,
}

impl Specifier {
    fn read(rest: &mut &str) -> Result<Self, SqlError> {
        let unterminated = || {
            failure::invalid_parameter("unterminated format() type specifier")
                .with_hint("For a single \"%\" use \"%%\".")
        };
        let mut specifier =
            Self { position: None, left: false, fixed_width: 0, width_argument: None, kind: 's' };
        let number = take_number(rest);
        if let (Some(position), Some(after)) = (number, rest.strip_prefix('$')) {
            specifier.position = Some(argument_position(position)?);
            *rest = after;
        } else if let Some(width) = number {
            specifier.fixed_width = width;
        }
        while let Some(after) = rest.strip_prefix('-') {
            specifier.left = true;
            *rest = after;
        }
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let position = take_number(rest);
            specifier.width_argument = Some(match position {
                Some(position) => {
                    *rest = rest.strip_prefix('$').ok_or_else(|| {
                        failure::invalid_parameter("width argument position must be ended by \"$\"")
                    })?;
                    Some(argument_position(position)?)
                }
                None => None,
            });
        } else if let Some(width) = take_number(rest) {
            specifier.fixed_width = width;
        }
        specifier.kind = rest.chars().next().ok_or_else(unterminated)?;
        *rest = rest.get(specifier.kind.len_utf8()..).unwrap_or_default();
        if !matches!(specifier.kind, 's' | 'I' | 'L') {
            return Err(failure::invalid_parameter(format!(
                "unrecognized format() type specifier \"{}\"",
                specifier.kind
            ))
            .with_hint("For a single \"%\" use \"%%\"."));
        }
        Ok(specifier)
    }

    fn width(&self, call: &Call, next: &mut usize, width: usize) -> Result<i64, SqlError> {
        let Some(argument) = self.width_argument else { return Ok(self.fixed_width) };
        let index = argument.unwrap_or(*next);
        *next = index + 1;
        if index > width {
            return Err(failure::invalid_parameter("too few arguments for format()"));
        }
        if call.is_null(index) { Ok(0) } else { call.i64(index) }
    }

    fn show(&self, call: &Call, index: usize, width: usize) -> Result<String, SqlError> {
        if call.is_null(index) {
            return match self.kind {
                'I' => Err(SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                )),
                'L' => Ok("NULL".to_owned()),
                _ => Ok(String::new()),
            };
        }
        let value = out(call, index, width + index)?;
        Ok(match self.kind {
            'I' => builtin::quote_identifier(&value),
            'L' => quote_literal(&value),
            _ => value,
        })
    }
}

fn argument_position(position: i64) -> Result<usize, SqlError> {
    usize::try_from(position).ok().filter(|it| *it > 0).ok_or_else(|| {
        failure::invalid_parameter("format specifies argument 0, but arguments are numbered from 1")
    })
}

fn take_number(rest: &mut &str) -> Option<i64> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = rest.get(..end)?.parse().ok()?;
    *rest = rest.get(end..)?;
    Some(number)
}

fn compare(call: &Call, holds: fn(Ordering) -> bool) -> Answer {
    Ok(boolean(holds(call.text(0)?.cmp(call.text(1)?))))
}

fn compare_padded(call: &Call, holds: fn(Ordering) -> bool) -> Answer {
    Ok(boolean(holds(compare_bpchar(call.text(0)?, call.text(1)?))))
}

fn pick(call: &Call, wanted: Ordering) -> Answer {
    let (left, right) = (call.text(0)?, call.text(1)?);
    Ok(text(if left.cmp(right) == wanted { left } else { right }))
}

/// `varchar(value, typmod, explicit)`: an explicit cast cuts silently.
fn to_varchar(call: &Call) -> Answer {
    let (value, typmod) = (call.text(0)?, call.i32(1)?);
    match scalar::length_of_typmod(typmod) {
        Some(limit) if limit > TEXT_BYTES_MAX => Err(too_long()),
        Some(limit) if call.i64(2)? != 0 => Ok(text(char_slice(value, 0, limit))),
        _ => scalar::parse_varchar(value, typmod),
    }
}

/// `bpchar(value, typmod, explicit)`.
fn to_bpchar(call: &Call) -> Answer {
    let (value, typmod) = (call.text(0)?, call.i32(1)?);
    match scalar::length_of_typmod(typmod) {
        Some(limit) if limit > TEXT_BYTES_MAX => Err(too_long()),
        Some(limit) if call.i64(2)? != 0 => {
            scalar::parse_bpchar(char_slice(value, 0, limit), typmod)
        }
        _ => scalar::parse_bpchar(value, typmod),
    }
}

fn without_blanks(call: &Call) -> Answer {
    Ok(text(call.text(0)?.trim_end_matches(' ')))
}

fn to_name(call: &Call) -> Answer {
    Ok(text(scalar::clip_bytes(call.text(0)?, scalar::NAME_BYTES_MAX)))
}

fn identity(call: &Call) -> Answer {
    Ok(call.datum(0).to_datum())
}

/// `anynonarray || text` and `text || anynonarray`.
fn concat_any(call: &Call) -> Answer {
    Ok(text(format!("{}{}", out(call, 0, 2)?, call.text(1)?)))
}

fn concat_any_right(call: &Call) -> Answer {
    Ok(text(format!("{}{}", call.text(0)?, out(call, 1, 2)?)))
}

fn unistr(call: &Call) -> Answer {
    let value = call.text(0)?;
    let bad = || {
        SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let bad_pair = || SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair");
    let mut built = String::new();
    let mut rest = value;
    // The first half of a surrogate pair, behind which the second must follow at once.
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        if high.is_some() && (at > 0 || rest.starts_with("\\\\")) {
            return Err(bad_pair());
        }
        built.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('\\') {
            built.push('\\');
            rest = after;
            continue;
        }
        let (skip, digits) = match rest.chars().next() {
            Some('+') => (1, 6),
            Some('u') => (1, 4),
            Some('U') => (1, 8),
            _ => (0, 4),
        };
        let code = rest.get(skip..skip + digits).and_then(|it| u32::from_str_radix(it, 16).ok());
        match (high.take(), code.ok_or_else(bad)?) {
            (None, code @ 0xd800..=0xdbff) => high = Some(code),
            (Some(high), low @ 0xdc00..=0xdfff) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                built.push(char::from_u32(code).ok_or_else(bad)?);
            }
            (Some(_), _) | (None, 0xdc00..=0xdfff) => return Err(bad_pair()),
            (None, code) => {
                let invalid = || {
                    SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        format!("invalid Unicode code point: {code:04X}"),
                    )
                };
                built.push(char::from_u32(code).filter(|c| *c != '\0').ok_or_else(invalid)?);
            }
        }
        rest = rest.get(skip + digits..).unwrap_or_default();
    }
    if high.is_some() {
        return Err(bad_pair());
    }
    built.push_str(rest);
    Ok(text(built))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// Six comparisons under one order.
macro_rules! comparisons {
    ($compare:ident, $eq:literal, $ne:literal, $lt:literal, $le:literal, $gt:literal, $ge:literal) => {
        &[
            f($eq, |call| $compare(call, Ordering::is_eq)),
            f($ne, |call| $compare(call, Ordering::is_ne)),
            f($lt, |call| $compare(call, Ordering::is_lt)),
            f($le, |call| $compare(call, Ordering::is_le)),
            f($gt, |call| $compare(call, Ordering::is_gt)),
            f($ge, |call| $compare(call, Ordering::is_ge)),
        ]
    };
}

/// Comparisons, per type.
pub(super) const COMPARISONS: &[&[ScalarFunction]] = &[
    comparisons!(
        compare,
        "pg_texteq",
        "pg_textne",
        "pg_text_lt",
        "pg_text_le",
        "pg_text_gt",
        "pg_text_ge"
    ),
    comparisons!(
        compare,
        "pg_nameeq",
        "pg_namene",
        "pg_namelt",
        "pg_namele",
        "pg_namegt",
        "pg_namege"
    ),
    comparisons!(
        compare,
        "pg_nameeqtext",
        "pg_namenetext",
        "pg_namelttext",
        "pg_nameletext",
        "pg_namegttext",
        "pg_namegetext"
    ),
    comparisons!(
        compare,
        "pg_texteqname",
        "pg_textnename",
        "pg_textltname",
        "pg_textlename",
        "pg_textgtname",
        "pg_textgename"
    ),
    comparisons!(
        compare,
        "pg_chareq",
        "pg_charne",
        "pg_charlt",
        "pg_charle",
        "pg_chargt",
        "pg_charge"
    ),
    comparisons!(
        compare_padded,
        "pg_bpchareq",
        "pg_bpcharne",
        "pg_bpcharlt",
        "pg_bpcharle",
        "pg_bpchargt",
        "pg_bpcharge"
    ),
];

/// Everything else.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_textcat", |call| Ok(text(format!("{}{}", call.text(0)?, call.text(1)?)))),
    f("pg_anytextcat_2004", concat_any),
    f("pg_textanycat_2003", concat_any_right),
    f("pg_textlen", |call| Ok(count(call.text(0)?.chars().count()))),
    f("pg_bpcharlen", |call| Ok(count(call.text(0)?.trim_end_matches(' ').chars().count()))),
    f("pg_textoctetlen", |call| Ok(count(call.text(0)?.len()))),
    f("pg_bpcharoctetlen", |call| Ok(count(call.text(0)?.len()))),
    f("pg_bit_length_1811", |call| Ok(count(call.text(0)?.len() * 8))),
    f("pg_lower", |call| Ok(text(map_chars(call.text(0)?, lower_char)))),
    f("pg_upper", |call| Ok(text(map_chars(call.text(0)?, upper_char)))),
    f("pg_initcap", |call| Ok(text(initcap(call.text(0)?)))),
    f("pg_text_substr", text_substr),
    f("pg_text_substr_no_len", text_substr),
    f("pg_textpos", |call| Ok(count(position(call.text(0)?, call.text(1)?)))),
    f("pg_textoverlay", overlay),
    f("pg_textoverlay_no_len", overlay),
    f("pg_byteaoverlay", overlay_bytes),
    f("pg_byteaoverlay_no_len", overlay_bytes),
    f("pg_lpad", |call| pad(call, true)),
    f("pg_lpad_879", |call| pad(call, true)),
    f("pg_rpad", |call| pad(call, false)),
    f("pg_rpad_880", |call| pad(call, false)),
    f("pg_ltrim", |call| trim(call, true, false)),
    f("pg_ltrim1", |call| trim(call, true, false)),
    f("pg_rtrim", |call| trim(call, false, true)),
    f("pg_rtrim1", |call| trim(call, false, true)),
    f("pg_btrim", |call| trim(call, true, true)),
    f("pg_btrim1", |call| trim(call, true, true)),
    f("pg_ascii", |call| Ok(integer(call.text(0)?.chars().next().map_or(0, u32::from)))),
    f("pg_chr", character),
    f("pg_repeat", repeat),
    f("pg_replace_text", replace),
    f("pg_translate", translate),
    f("pg_split_part", split_part),
    f("pg_text_reverse", |call| Ok(text(call.text(0)?.chars().rev().collect::<String>()))),
    f("pg_text_left", |call| edge(call, true)),
    f("pg_text_right", |call| edge(call, false)),
    f("pg_text_starts_with", |call| Ok(boolean(call.text(0)?.starts_with(call.text(1)?)))),
    f("pg_quote_ident", |call| Ok(text(builtin::quote_identifier(call.text(0)?)))),
    f("pg_quote_literal", |call| quote_any(call, Datum::Null)),
    f("pg_quote_literal_1285", |call| quote_any(call, Datum::Null)).stable(),
    ScalarFunction::lax("pg_quote_nullable", |call| quote_any(call, text("NULL"))),
    ScalarFunction::lax("pg_quote_nullable_1290", |call| quote_any(call, text("NULL"))).stable(),
    ScalarFunction::lax("pg_text_concat", |call| call.spread(0, concat)).stable(),
    ScalarFunction::lax("pg_text_concat_ws", |call| call.spread(1, concat_ws)).stable(),
    ScalarFunction::lax("pg_text_format", |call| call.spread(1, format)).stable(),
    ScalarFunction::lax("pg_text_format_nv", format).stable(),
    f("pg_unistr", unistr),
    f("pg_bttextcmp", |call| Ok(integer(call.text(0)?.cmp(call.text(1)?) as i8))),
    f("pg_btnamecmp", |call| Ok(integer(call.text(0)?.cmp(call.text(1)?) as i8))),
    f("pg_bpcharcmp", |call| Ok(integer(compare_bpchar(call.text(0)?, call.text(1)?) as i8))),
    f("pg_text_larger", |call| pick(call, Ordering::Greater)),
    f("pg_text_smaller", |call| pick(call, Ordering::Less)),
    f("pg_bpchar_larger", |call| pick(call, Ordering::Greater)),
    f("pg_bpchar_smaller", |call| pick(call, Ordering::Less)),
    f("pg_text_pattern_lt", |call| compare(call, Ordering::is_lt)),
    f("pg_text_pattern_le", |call| compare(call, Ordering::is_le)),
    f("pg_text_pattern_gt", |call| compare(call, Ordering::is_gt)),
    f("pg_text_pattern_ge", |call| compare(call, Ordering::is_ge)),
    f("pg_bpchar_pattern_lt", |call| compare_padded(call, Ordering::is_lt)),
    f("pg_bpchar_pattern_le", |call| compare_padded(call, Ordering::is_le)),
    f("pg_bpchar_pattern_gt", |call| compare_padded(call, Ordering::is_gt)),
    f("pg_bpchar_pattern_ge", |call| compare_padded(call, Ordering::is_ge)),
    f("pg_varchar", to_varchar),
    f("pg_bpchar", to_bpchar),
    f("pg_text_name", to_name),
    f("pg_bpchar_name", |call| {
        Ok(text(scalar::clip_bytes(call.text(0)?.trim_end_matches(' '), scalar::NAME_BYTES_MAX)))
    }),
    f("pg_name_text", identity),
    f("pg_name_bpchar", identity),
    f("pg_char_text", |call| Ok(text(scalar::char_text(call.text(0)?)))),
    f("pg_char_bpchar", identity),
    f("pg_text_char", |call| Ok(scalar::parse_char(call.text(0)?))),
    f("pg_i4tochar", |call| {
        let code = u8::try_from(call.i64(0)? & 0xff).unwrap_or(0);
        Ok(text(if code == 0 { String::new() } else { String::from(char::from(code)) }))
    }),
    f("pg_chartoi4", |call| {
        let code = call.text(0)?.chars().next().map_or(0, u32::from);
        Ok(integer(if code > 127 { i64::from(code) - 256 } else { i64::from(code) }))
    }),
    f("pg_booltext", |call| Ok(text(if call.bool(0)? { "true" } else { "false" }))),
    f("pg_bpchar_text", without_blanks),
];
