//! Regular expressions: PostgreSQL's advanced ones (ARE), run by `fancy-regex`.
//!
//! The two dialects agree on most of the syntax. What differs is rewritten: `\m \M \y \Y` and `[[:<:]]` word boundaries,
//! `\A \Z`, class shorthands, embedded options `(?i)`, the `***=` and `***:` prefixes, and the newline modes.
//!
//! # Bounds
//! [`PATTERN_BYTES_MAX`] of pattern; [`REPETITIONS_MAX`] in `{m,n}`; fancy-regex's own limit on backtracking, which is 2201B here.
//!
//! # Left out
//! PostgreSQL prefers the longest alternative in some mixtures of greedy and non-greedy quantifiers; the leftmost is taken
//! here. Collating elements `[[.a.]]` and equivalence classes `[[=a=]]` are refused.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.7.3.

use std::sync::Arc;

use fancy_regex::{Captures, Regex, RegexBuilder};

use super::call::{boolean, count, text};
use super::text::BoundedText;
use super::{Call, Rows, ScalarFunction, SetReturningFunction};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::types::array::Array;
use crate::types::failure;
use crate::types::jsonpath::RegexFlags;

type Answer = Result<Datum, SqlError>;

/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 1 << 16;

/// Highest bound of a repetition (`DUPMAX`).
const REPETITIONS_MAX: u16 = 255;

/// The character classes that have a name.
const CLASS_NAMES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Options from a flags argument.
#[derive(Clone, Copy, Default)]
struct Options {
    ignore_case: bool,
    /// Newline-sensitive: `.` and classes do not match newlines.
    stop_at_newline: bool,
    /// `^` and `$` match at lines.
    anchor_at_lines: bool,
    expanded: bool,
    literal: bool,
    global: bool,
}

impl Options {
    fn parse(flags: &str, global_allowed: bool) -> Result<Self, SqlError> {
        let mut options = Self::default();
        for flag in flags.chars() {
            match flag {
                'i' => options.ignore_case = true,
                'c' => options.ignore_case = false,
                'n' | 'm' => (options.stop_at_newline, options.anchor_at_lines) = (true, true),
                's' => (options.stop_at_newline, options.anchor_at_lines) = (false, false),
                'p' => (options.stop_at_newline, options.anchor_at_lines) = (true, false),
                'w' => (options.stop_at_newline, options.anchor_at_lines) = (false, true),
                'x' => options.expanded = true,
                't' => options.expanded = false,
                'q' => options.literal = true,
                'e' | 'b' => {}
                'g' if global_allowed => options.global = true,
                other => {
                    return Err(failure::invalid_parameter(format!(
                        "invalid regular expression option: \"{other}\""
                    )));
                }
            }
        }
        Ok(options)
    }
}

fn invalid(detail: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {detail}"),
    )
}

fn quote(literal: &str) -> String {
    fancy_regex::escape(literal).into_owned()
}

/// Rewrites an ARE into fancy-regex's syntax.
fn translate(pattern: &str, options: &mut Options) -> Result<String, SqlError> {
    if options.literal {
        return Ok(quote(pattern));
    }
    let mut rest = pattern;
    if let Some(literal) = rest.strip_prefix("***=") {
        return Ok(quote(literal));
    }
    rest = rest.strip_prefix("***:").unwrap_or(rest);
    if let Some((flags, after)) = rest.strip_prefix("(?").and_then(|it| it.split_once(')')) {
        let is_options = !flags.is_empty() && flags.chars().all(|c| "bceimnpqstwx".contains(c));
        if is_options {
            let embedded = Options::parse(flags, false)?;
            options.ignore_case |= embedded.ignore_case;
            options.stop_at_newline |= embedded.stop_at_newline;
            options.anchor_at_lines |= embedded.anchor_at_lines;
            options.expanded |= embedded.expanded;
            rest = after;
        }
    }
    let mut built = String::with_capacity(rest.len() + 8);
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let escaped = chars.next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                push_escape(escaped, &mut built);
            }
            '[' => push_class(&mut chars, options.stop_at_newline, &mut built)?,
            '$' if !options.anchor_at_lines => built.push_str("\\z"),
            '{' if !chars.peek().is_some_and(char::is_ascii_digit) => built.push_str("\\{"),
            '{' => push_bound(&mut chars, &mut built)?,
            c => built.push(c),
        }
    }
    Ok(built)
}

/// Copies `{m}`, `{m,}` or `{m,n}`, of which the opening brace has been read.
fn push_bound(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    built: &mut String,
) -> Result<(), SqlError> {
    let mut bound = String::new();
    loop {
        match chars.next() {
            Some('}') => break,
            Some(c) => bound.push(c),
            None => return Err(invalid("braces {} not balanced")),
        }
    }
    let count = |digits: &str| digits.parse::<u16>().ok().filter(|it| *it <= REPETITIONS_MAX);
    let (least, most) = bound.split_once(',').unwrap_or((&bound, &bound));
    let in_order = match (count(least), count(most)) {
        (Some(least), Some(most)) => least <= most,
        (Some(_), None) => most.is_empty(),
        (None, _) => false,
    };
    if !in_order {
        return Err(invalid("invalid repetition count(s)"));
    }
    built.push('{');
    built.push_str(&bound);
    built.push('}');
    Ok(())
}

fn push_escape(escaped: char, built: &mut String) {
    match escaped {
        'm' => built.push_str("\\b(?=\\w)"),
        'M' => built.push_str("\\b(?<=\\w)"),
        'y' => built.push_str("\\b"),
        'Y' => built.push_str("\\B"),
        'A' => built.push_str("\\A"),
        'Z' => built.push_str("\\z"),
        'a' => built.push_str("\\x07"),
        'e' => built.push_str("\\x1b"),
        'b' => built.push_str("\\x08"),
        'B' => built.push_str("\\\\"),
        c if c.is_ascii_alphanumeric() => {
            built.push('\\');
            built.push(c);
        }
        c => built.push_str(&quote(&String::from(c))),
    }
}

/// Copies a bracket expression, escaping what only the target dialect treats specially.
fn push_class(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    stop_at_newline: bool,
    built: &mut String,
) -> Result<(), SqlError> {
    let unmatched = || invalid("brackets [] not balanced");
    let remaining: String = chars.clone().collect();
    for (mark, boundary) in [("[:<:]]", "\\b(?=\\w)"), ("[:>:]]", "\\b(?<=\\w)")] {
        if remaining.starts_with(mark) {
            built.push_str(boundary);
            chars.nth(mark.len() - 1);
            return Ok(());
        }
    }
    built.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        built.push('^');
        if stop_at_newline {
            built.push_str("\\n");
        }
    }
    let mut first = true;
    let (mut last, mut range_from): (Option<char>, Option<char>) = (None, None);
    loop {
        let c = chars.next().ok_or_else(unmatched)?;
        let range = range_from.take();
        if range.is_some_and(|from| c != '\\' && from > c) {
            return Err(invalid("invalid character range"));
        }
        if c == '-' && chars.peek() != Some(&']') {
            range_from = last;
        }
        last = (!matches!(c, '\\' | '[' | ']')).then_some(c);
        match c {
            ']' if !first => break,
            '[' if chars.peek() == Some(&':') => {
                let mut name = String::from("[");
                for c in chars.by_ref() {
                    name.push(c);
                    if name.ends_with(":]") && name.len() > 3 {
                        break;
                    }
                }
                let known = name.get(2..name.len().saturating_sub(2)).unwrap_or_default();
                if !CLASS_NAMES.contains(&known) {
                    return Err(invalid("invalid character class"));
                }
                built.push_str(&name);
            }
            '[' if matches!(chars.peek(), Some('.' | '=')) => {
                return Err(SqlError::unsupported("a collating element in a regular expression"));
            }
            '\\' => {
                let escaped = chars.next().ok_or_else(unmatched)?;
                built.push('\\');
                built.push(escaped);
            }
            '-' if range.is_some() => built.push_str("\\-"),
            // Doubled, these are set operations to the target dialect.
            '[' | ']' | '&' | '~' => {
                built.push('\\');
                built.push(c);
            }
            c => built.push(c),
        }
        first = false;
    }
    built.push(']');
    Ok(())
}

/// The compiled pattern, from the session's cache.
fn compile(call: &Call, pattern: &str, options: Options) -> Result<Arc<Regex>, SqlError> {
    let flags = [
        options.ignore_case,
        options.stop_at_newline,
        options.anchor_at_lines,
        options.expanded,
        options.literal,
    ]
    .map(|flag| if flag { '1' } else { '0' });
    let key = format!("re:{}:{pattern}", flags.iter().collect::<String>());
    call.session.pattern(&key, || build(pattern, options))
}

fn build(pattern: &str, mut options: Options) -> Result<Regex, SqlError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(invalid("regular expression is too complex"));
    }
    let translated = translate(pattern, &mut options)?;
    RegexBuilder::new(&translated)
        .case_insensitive(options.ignore_case)
        .multi_line(options.anchor_at_lines)
        .dot_matches_new_line(!options.stop_at_newline)
        .verbose_mode(options.expanded)
        .build()
        .map_err(|error| describe(pattern, &error))
}

/// What the flags of a path's `like_regex` mean.
fn path_options(flags: RegexFlags) -> Options {
    let plain = Options { ignore_case: flags.ignore_case, ..Options::default() };
    if flags.quote {
        return Options { literal: true, ..plain };
    }
    Options { stop_at_newline: !flags.dot_all, anchor_at_lines: flags.multi_line, ..plain }
}

/// Checks the pattern of a path's `like_regex`.
///
/// # Errors
/// 2201B for a bad one.
pub(crate) fn check_path_pattern(pattern: &str, flags: RegexFlags) -> Result<(), SqlError> {
    build(pattern, path_options(flags)).map(drop)
}

/// Whether the pattern of a path's `like_regex` matches.
///
/// # Errors
/// 2201B for a bad pattern, or one that is too complex for the text.
pub(super) fn matches_path_pattern(
    call: &Call,
    pattern: &str,
    flags: RegexFlags,
    value: &str,
) -> Result<bool, SqlError> {
    compile(call, pattern, path_options(flags))?.is_match(value).map_err(run_error)
}

/// PostgreSQL's words for the commonest mistakes.
fn describe(pattern: &str, error: &fancy_regex::Error) -> SqlError {
    let unbalanced =
        |open: char, close: char| pattern.matches(open).count() != pattern.matches(close).count();
    if unbalanced('(', ')') {
        return invalid("parentheses () not balanced");
    }
    if unbalanced('[', ']') {
        return invalid("brackets [] not balanced");
    }
    if pattern.starts_with(['*', '+', '?']) || error.to_string().contains("Target of repeat") {
        return invalid("quantifier operand invalid");
    }
    invalid(&error.to_string())
}

fn run_error(_: fancy_regex::Error) -> SqlError {
    SqlError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        "regular expression failed: too complex for this text",
    )
}

fn is_match(call: &Call, ignore_case: bool, wanted: bool) -> Answer {
    let options = Options { ignore_case, ..Options::default() };
    let regex = compile(call, call.text(1)?, options)?;
    Ok(boolean(regex.is_match(call.text(0)?).map_err(run_error)? == wanted))
}

/// Flags at `index`, if the call has that argument.
fn flags(call: &Call, index: usize, global_allowed: bool) -> Result<Options, SqlError> {
    if index < call.len() {
        Options::parse(call.text(index)?, global_allowed)
    } else {
        Ok(Options::default())
    }
}

/// Byte offset of a 1-based character position.
fn offset(value: &str, start: i64) -> Result<usize, SqlError> {
    if start < 1 {
        return Err(failure::invalid_parameter(format!(
            "invalid value for parameter \"start\": {start}"
        )));
    }
    let index = usize::try_from(start - 1).unwrap_or(usize::MAX);
    Ok(value.char_indices().map(|(at, _)| at).nth(index).unwrap_or(value.len()))
}

/// The matches from a byte offset on, found as they are asked for.
struct Matches<'r, 't> {
    regex: &'r Regex,
    value: &'t str,
    /// Where the next search begins, in bytes.
    at: usize,
}

impl<'r, 't> Matches<'r, 't> {
    fn of(regex: &'r Regex, value: &'t str, from: usize) -> Self {
        Self { regex, value, at: from }
    }

    fn search(&mut self) -> Result<Option<Captures<'t, str>>, SqlError> {
        if self.at > self.value.len() {
            return Ok(None);
        }
        let found = self.regex.captures_from_pos(self.value, self.at).map_err(run_error)?;
        let Some(whole) = found.as_ref().and_then(|captures| captures.get(0)) else {
            return Ok(None);
        };
        self.at = if whole.end() > whole.start() {
            whole.end()
        } else {
            let next = self.value.get(whole.end()..).and_then(|it| it.chars().next());
            whole.end() + next.map_or(1, char::len_utf8)
        };
        Ok(found)
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Result<Captures<'t, str>, SqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.search().transpose()
    }
}

/// The groups of a match as a text array; the whole match if there are no groups.
fn groups(captures: &Captures<'_, str>) -> Datum {
    let skip = usize::from(captures.len() > 1);
    let items = (skip..captures.len())
        .map(|index| captures.get(index).map_or(Datum::Null, |it| text(it.as_str())));
    text(Array::from_elements(items.collect()).to_storage())
}

fn regexp_match(call: &Call) -> Answer {
    let options = flags(call, 2, true)?;
    if options.global {
        return Err(failure::invalid_parameter(
            "regexp_match() does not support the \"global\" option",
        )
        .with_hint("Use the regexp_matches function instead."));
    }
    let regex = compile(call, call.text(1)?, options)?;
    let found = regex.captures(call.text(0)?).map_err(run_error)?;
    Ok(found.as_ref().map_or(Datum::Null, groups))
}

fn regexp_matches(call: &Call) -> Result<Rows, SqlError> {
    let options = flags(call, 2, true)?;
    let regex = compile(call, call.text(1)?, options)?;
    let kept = if options.global { usize::MAX } else { 1 };
    let found = Matches::of(&regex, call.text(0)?, 0).take(kept);
    let rows: Vec<_> = found.map(|it| it.map(|captures| vec![groups(&captures)])).collect();
    Ok(Box::new(rows.into_iter()))
}

/// Appends a replacement, in which `\1` to `\9` are groups and `\&` the match.
fn expand(
    replacement: &str,
    captures: &Captures<'_, str>,
    built: &mut BoundedText,
) -> Result<(), SqlError> {
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            built.push(c)?;
            continue;
        }
        let group = match chars.next() {
            Some('&') => Some(0),
            Some(digit @ '1'..='9') => digit.to_digit(10),
            Some('\\') | None => {
                built.push('\\')?;
                None
            }
            Some(other) => {
                built.push('\\')?;
                built.push(other)?;
                None
            }
        };
        let found = group.and_then(|index| captures.get(usize::try_from(index).unwrap_or(0)));
        built.push_str(found.map_or("", |it| it.as_str()))?;
    }
    Ok(())
}

/// Whether a match is to be replaced.
enum Chosen {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Neither it nor any after it.
    NoMore,
}

/// The choice of the match of this number alone; 0 is all of them.
fn only(wanted: usize) -> impl Fn(usize) -> Chosen {
    move |number| match wanted {
        0 => Chosen::Yes,
        _ if number == wanted => Chosen::Yes,
        _ if number < wanted => Chosen::No,
        _ => Chosen::NoMore,
    }
}

/// Replaces the matches that `chosen` picks, by their number from 1.
fn replace_in(
    regex: &Regex,
    value: &str,
    replacement: &str,
    from: usize,
    chosen: impl Fn(usize) -> Chosen,
) -> Answer {
    let mut built = BoundedText::default();
    let mut copied = 0;
    for (number, captures) in (1..).zip(Matches::of(regex, value, from)) {
        let captures = captures?;
        match (chosen(number), captures.get(0)) {
            (Chosen::Yes, Some(whole)) => {
                built.push_str(value.get(copied..whole.start()).unwrap_or_default())?;
                expand(replacement, &captures, &mut built)?;
                copied = whole.end();
            }
            (Chosen::No, _) | (_, None) => {}
            (Chosen::NoMore, _) => break,
        }
    }
    built.push_str(value.get(copied..).unwrap_or_default())?;
    Ok(text(built.into_string()))
}

fn replace(call: &Call) -> Answer {
    let options = flags(call, 3, true)?;
    let regex = compile(call, call.text(1)?, options)?;
    replace_in(&regex, call.text(0)?, call.text(2)?, 0, only(usize::from(!options.global)))
}

fn replace_extended(call: &Call) -> Answer {
    let value = call.text(0)?;
    let from = offset(value, call.i64(3)?)?;
    let number = if call.len() > 4 { call.i64(4)? } else { 1 };
    if number < 0 {
        return Err(failure::invalid_parameter(format!(
            "invalid value for parameter \"n\": {number}"
        )));
    }
    let options = flags(call, 5, true)?;
    let wanted = if call.len() <= 4 && options.global {
        0
    } else {
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let regex = compile(call, call.text(1)?, options)?;
    replace_in(&regex, value, call.text(2)?, from, only(wanted))
}

/// 22023 for the flag `g` where all matches are found, or one.
fn not_global(function: &str) -> SqlError {
    failure::invalid_parameter(format!("{function}() does not support the \"global\" option"))
}

/// The flags in an argument of a function that does not take `g`.
fn flags_but_global(call: &Call, index: usize, function: &str) -> Result<Options, SqlError> {
    let options = flags(call, index, true)?;
    if options.global { Err(not_global(function)) } else { Ok(options) }
}

/// The pieces between matches; empty matches split between characters.
fn split(call: &Call, function: &str) -> Result<Vec<Datum>, SqlError> {
    let options = flags(call, 2, true)?;
    if options.global {
        return Err(not_global(function));
    }
    let value = call.text(0)?;
    let regex = compile(call, call.text(1)?, options)?;
    let mut pieces = Vec::new();
    let mut copied = 0;
    for captures in Matches::of(&regex, value, 0) {
        let captures = captures?;
        let Some(whole) = captures.get(0) else { continue };
        let empty = whole.start() == whole.end();
        if empty && (whole.start() == copied || whole.start() >= value.len()) {
            continue;
        }
        pieces.push(text(value.get(copied..whole.start()).unwrap_or_default()));
        copied = whole.end();
    }
    pieces.push(text(value.get(copied..).unwrap_or_default()));
    Ok(pieces)
}

fn split_to_table(call: &Call) -> Result<Rows, SqlError> {
    Ok(Box::new(split(call, "regexp_split_to_table")?.into_iter().map(|piece| Ok(vec![piece]))))
}

/// `substring(text from pattern)`: the first group, or the match.
fn substring(call: &Call) -> Answer {
    let regex = compile(call, call.text(1)?, Options::default())?;
    let found = regex.captures(call.text(0)?).map_err(run_error)?;
    let group = found.as_ref().and_then(|it| if it.len() > 1 { it.get(1) } else { it.get(0) });
    Ok(group.map_or(Datum::Null, |it| text(it.as_str())))
}

/// A regular expression whose quantifiers take as little as they can.
fn lazy(expression: &str) -> String {
    let mut built = String::with_capacity(expression.len() + 8);
    let (mut escaped, mut in_class, mut before) = (false, false, '(');
    for c in expression.chars() {
        built.push(c);
        let plain = !escaped && !in_class;
        // The `?` of `(?:` is no quantifier.
        if plain && (matches!(c, '*' | '+' | '}') || c == '?' && before != '(') {
            built.push('?');
        }
        in_class = plain && c == '[' || in_class && (escaped || c != ']');
        escaped = !escaped && c == '\\';
        before = c;
    }
    built
}

/// `substring(text similar pattern escape e)`: what lies between the two `e"` marks.
fn substring_similar(call: &Call) -> Answer {
    let (value, pattern, escape) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let separator = format!("{escape}\"");
    let parts: Vec<&str> = pattern.split(separator.as_str()).collect();
    let inner = |part: &str| {
        let regex = super::pattern::similar_to_regex(part, escape.chars().next());
        regex.trim_start_matches('^').trim_end_matches('$').to_owned()
    };
    let (expression, group) = match parts.as_slice() {
        [only] => (format!("^({})$", inner(only)), 1),
        [before, middle] => (format!("^{}({})$", lazy(&inner(before)), inner(middle)), 1),
        [before, middle, after] => {
            let (before, after) = (lazy(&inner(before)), inner(after));
            (format!("^{before}({}){after}$", inner(middle)), 1)
        }
        _ => {
            return Err(SqlError::new(
                SqlState(*b"2200C"),
                "SQL regular expression may not contain more than two escape-double-quote separators",
            ));
        }
    };
    let regex = compile(call, &expression, Options::default())?;
    let found = regex.captures(value).map_err(run_error)?;
    Ok(found.and_then(|it| it.get(group).map(|it| text(it.as_str()))).unwrap_or(Datum::Null))
}

fn regexp_count(call: &Call) -> Answer {
    let value = call.text(0)?;
    let from = if call.len() > 2 { offset(value, call.i64(2)?)? } else { 0 };
    let regex = compile(call, call.text(1)?, flags_but_global(call, 3, "regexp_count")?)?;
    Ok(count(Matches::of(&regex, value, from).try_fold(0, |found, it| it.map(|_| found + 1))?))
}

/// An optional integer argument that must not be below `least`.
fn at_least(
    call: &Call,
    index: usize,
    name: &str,
    least: i64,
    default: i64,
) -> Result<usize, SqlError> {
    let value = if index < call.len() { call.i64(index)? } else { default };
    usize::try_from(value).ok().filter(|_| value >= least).ok_or_else(|| {
        failure::invalid_parameter(format!("invalid value for parameter \"{name}\": {value}"))
    })
}

fn regexp_instr(call: &Call) -> Answer {
    let value = call.text(0)?;
    let from = if call.len() > 2 { offset(value, call.i64(2)?)? } else { 0 };
    let number = at_least(call, 3, "n", 1, 1)?;
    let end = at_least(call, 4, "endoption", 0, 0)?;
    if end > 1 {
        return Err(failure::invalid_parameter(format!(
            "invalid value for parameter \"endoption\": {end}"
        )));
    }
    let group = at_least(call, 6, "subexpr", 0, 0)?;
    let regex = compile(call, call.text(1)?, flags_but_global(call, 5, "regexp_instr")?)?;
    let found = Matches::of(&regex, value, from).nth(number - 1).transpose()?;
    let hit = found.as_ref().and_then(|it| it.get(group));
    let position = hit.map_or(0, |hit| {
        let at = if end == 1 { hit.end() } else { hit.start() };
        value.get(..at).unwrap_or_default().chars().count() + 1
    });
    Ok(count(position))
}

fn regexp_substr(call: &Call) -> Answer {
    let value = call.text(0)?;
    let from = if call.len() > 2 { offset(value, call.i64(2)?)? } else { 0 };
    let number = at_least(call, 3, "n", 1, 1)?;
    let group = at_least(call, 5, "subexpr", 0, 0)?;
    let regex = compile(call, call.text(1)?, flags_but_global(call, 4, "regexp_substr")?)?;
    let found = Matches::of(&regex, value, from).nth(number - 1).transpose()?;
    let hit = found.as_ref().and_then(|it| it.get(group));
    Ok(hit.map_or(Datum::Null, |it| text(it.as_str())))
}

fn regexp_like(call: &Call) -> Answer {
    let regex = compile(call, call.text(1)?, flags_but_global(call, 2, "regexp_like")?)?;
    Ok(boolean(regex.is_match(call.text(0)?).map_err(run_error)?))
}

fn split_to_array(call: &Call) -> Answer {
    Ok(text(Array::from_elements(split(call, "regexp_split_to_array")?).to_storage()))
}

const fn f(name: &'static str, body: fn(&Call) -> Answer) -> ScalarFunction {
    ScalarFunction::strict(name, body)
}

/// This file's functions.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    f("pg_textregexeq", |call| is_match(call, false, true)),
    f("pg_textregexne", |call| is_match(call, false, false)),
    f("pg_texticregexeq", |call| is_match(call, true, true)),
    f("pg_texticregexne", |call| is_match(call, true, false)),
    f("pg_nameregexeq", |call| is_match(call, false, true)),
    f("pg_nameregexne", |call| is_match(call, false, false)),
    f("pg_nameicregexeq", |call| is_match(call, true, true)),
    f("pg_nameicregexne", |call| is_match(call, true, false)),
    f("pg_textregexreplace_noopt", replace),
    f("pg_textregexreplace", replace),
    f("pg_textregexreplace_extended", replace_extended),
    f("pg_textregexreplace_extended_no_flags", replace_extended),
    f("pg_textregexreplace_extended_no_n", replace_extended),
    f("pg_textregexsubstr", substring),
    f("pg_substring_2074", substring_similar),
    f("pg_regexp_match", regexp_match),
    f("pg_regexp_match_no_flags", regexp_match),
    f("pg_regexp_split_to_array", split_to_array),
    f("pg_regexp_split_to_array_no_flags", split_to_array),
    f("pg_regexp_like", regexp_like),
    f("pg_regexp_like_no_flags", regexp_like),
    f("pg_regexp_count", regexp_count),
    f("pg_regexp_count_no_start", regexp_count),
    f("pg_regexp_count_no_flags", regexp_count),
    f("pg_regexp_instr", regexp_instr),
    f("pg_regexp_instr_no_start", regexp_instr),
    f("pg_regexp_instr_no_n", regexp_instr),
    f("pg_regexp_instr_no_endoption", regexp_instr),
    f("pg_regexp_instr_no_flags", regexp_instr),
    f("pg_regexp_instr_no_subexpr", regexp_instr),
    f("pg_regexp_substr", regexp_substr),
    f("pg_regexp_substr_no_start", regexp_substr),
    f("pg_regexp_substr_no_n", regexp_substr),
    f("pg_regexp_substr_no_flags", regexp_substr),
    f("pg_regexp_substr_no_subexpr", regexp_substr),
];

/// This file's set-returning functions.
pub(super) const SET_RETURNING: &[SetReturningFunction] = &[
    SetReturningFunction {
        name: "pg_srf_regexp_matches",
        columns: 1,
        strict: true,
        body: regexp_matches,
    },
    SetReturningFunction {
        name: "pg_srf_regexp_matches_no_flags",
        columns: 1,
        strict: true,
        body: regexp_matches,
    },
    SetReturningFunction {
        name: "pg_srf_regexp_split_to_table",
        columns: 1,
        strict: true,
        body: split_to_table,
    },
    SetReturningFunction {
        name: "pg_srf_regexp_split_to_table_no_flags",
        columns: 1,
        strict: true,
        body: split_to_table,
    },
];
