//! Pictures of dates and times, cut into what they ask for: `DD Mon YYYY` is a field, a blank, a field, a blank, a field.
//!
//! Keywords are in capitals or in small letters, names of months and days also capitalised; anything else is not a
//! keyword. `FM` before a field and `TH` behind it change it; text in double quotes stands for itself.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.8 (tables 9.26 to 9.28).

use crate::error::{SqlError, SqlState};

/// Which calendar a field is of; a picture to read by may use one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calendar {
    Any,
    Gregorian,
    IsoWeek,
}

/// What part of a moment a field gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Date,
    Time,
    Zone,
    None,
}

/// A keyword.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    /// In capitals.
    pub(super) name: &'static str,
    /// Whether it reads digits, so that a number before it must end where its width does.
    pub(super) is_digits: bool,
    pub(super) calendar: Calendar,
    pub(super) part: Part,
}

const fn key(name: &'static str, is_digits: bool, calendar: Calendar, part: Part) -> Keyword {
    Keyword { name, is_digits, calendar, part }
}

/// All keywords; a longer one comes before its prefixes.
const KEYWORDS: &[Keyword] = &[
    key("A.D.", false, Calendar::Any, Part::Date),
    key("A.M.", false, Calendar::Any, Part::Time),
    key("AD", false, Calendar::Any, Part::Date),
    key("AM", false, Calendar::Any, Part::Time),
    key("B.C.", false, Calendar::Any, Part::Date),
    key("BC", false, Calendar::Any, Part::Date),
    key("CC", true, Calendar::Any, Part::Date),
    key("DAY", false, Calendar::Any, Part::Date),
    key("DDD", true, Calendar::Gregorian, Part::Date),
    key("DD", true, Calendar::Gregorian, Part::Date),
    key("DY", false, Calendar::Any, Part::Date),
    key("D", true, Calendar::Gregorian, Part::Date),
    key("FF1", true, Calendar::Any, Part::Time),
    key("FF2", true, Calendar::Any, Part::Time),
    key("FF3", true, Calendar::Any, Part::Time),
    key("FF4", true, Calendar::Any, Part::Time),
    key("FF5", true, Calendar::Any, Part::Time),
    key("FF6", true, Calendar::Any, Part::Time),
    key("FX", false, Calendar::Any, Part::None),
    key("HH24", true, Calendar::Any, Part::Time),
    key("HH12", true, Calendar::Any, Part::Time),
    key("HH", true, Calendar::Any, Part::Time),
    key("IDDD", true, Calendar::IsoWeek, Part::Date),
    key("ID", true, Calendar::IsoWeek, Part::Date),
    key("IW", true, Calendar::IsoWeek, Part::Date),
    key("IYYY", true, Calendar::IsoWeek, Part::Date),
    key("IYY", true, Calendar::IsoWeek, Part::Date),
    key("IY", true, Calendar::IsoWeek, Part::Date),
    key("I", true, Calendar::IsoWeek, Part::Date),
    key("J", true, Calendar::Any, Part::Date),
    key("MI", true, Calendar::Any, Part::Time),
    key("MM", true, Calendar::Gregorian, Part::Date),
    key("MONTH", false, Calendar::Gregorian, Part::Date),
    key("MON", false, Calendar::Gregorian, Part::Date),
    key("MS", true, Calendar::Any, Part::Time),
    key("OF", false, Calendar::Any, Part::Zone),
    key("P.M.", false, Calendar::Any, Part::Time),
    key("PM", false, Calendar::Any, Part::Time),
    key("Q", true, Calendar::Any, Part::Date),
    key("RM", false, Calendar::Gregorian, Part::Date),
    key("SSSSS", true, Calendar::Any, Part::Time),
    key("SSSS", true, Calendar::Any, Part::Time),
    key("SS", true, Calendar::Any, Part::Time),
    key("TZH", false, Calendar::Any, Part::Zone),
    key("TZM", true, Calendar::Any, Part::Zone),
    key("TZ", false, Calendar::Any, Part::Zone),
    key("US", true, Calendar::Any, Part::Time),
    key("WW", true, Calendar::Gregorian, Part::Date),
    key("W", true, Calendar::Gregorian, Part::Date),
    key("Y,YYY", true, Calendar::Gregorian, Part::Date),
    key("YYYY", true, Calendar::Gregorian, Part::Date),
    key("YYY", true, Calendar::Gregorian, Part::Date),
    key("YY", true, Calendar::Gregorian, Part::Date),
    key("Y", true, Calendar::Gregorian, Part::Date),
];

/// A keyword in a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) key: &'static Keyword,
    /// As it is written, which tells the case of names and what errors quote.
    pub(super) written: &'a str,
    /// `FM`: no padding.
    pub(super) is_bare: bool,
    /// `TM`: a name in the session's language, which has no padding.
    pub(super) is_local: bool,
    /// `TH` or `th`.
    pub(super) ordinal: Option<&'a str>,
}

/// A part of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'a> {
    Field(Field<'a>),
    /// A blank outside quotes.
    Space(char),
    /// Punctuation outside quotes.
    Separator(char),
    /// Any other character.
    Literal(char),
}

/// How strictly a picture is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// As `to_char`, `to_date` and `to_timestamp` do.
    Loose,
    /// As the SQL standard says, which `.datetime()` of a path follows.
    Standard,
}

/// Whether blanks and punctuation of the text may stand where the picture has this character.
pub(super) fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// Cuts a picture into its parts.
///
/// # Errors
/// 22007 under the standard's rules, for a separator that it does not know.
pub(super) fn nodes(picture: &str, rules: Rules) -> Result<Vec<Node<'_>>, SqlError> {
    let mut found = Vec::new();
    let mut rest = picture;
    while !rest.is_empty() {
        let prefix = rest.get(..2).filter(|it| matches!(*it, "FM" | "fm" | "TM" | "tm"));
        rest = rest.get(prefix.map_or(0, str::len)..).unwrap_or_default();
        if let Some(keyword) = KEYWORDS.iter().find(|it| is_written(it.name, rest)) {
            let (written, after) = rest.split_at(keyword.name.len());
            let suffix = after.get(..2).filter(|it| matches!(*it, "TH" | "th" | "SP"));
            rest = after.get(suffix.map_or(0, str::len)..).unwrap_or_default();
            found.push(Node::Field(Field {
                key: keyword,
                written,
                is_bare: matches!(prefix, Some("FM" | "fm")),
                is_local: matches!(prefix, Some("TM" | "tm")),
                ordinal: suffix.filter(|it| *it != "SP"),
            }));
            continue;
        }
        let Some(first) = rest.chars().next() else { break };
        if first == '"' {
            rest = quoted(rest.get(1..).unwrap_or_default(), &mut found);
            continue;
        }
        if rules == Rules::Standard {
            found.push(standard_separator(first)?);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let escaped = rest.strip_prefix('\\').filter(|it| it.starts_with('"'));
        let (c, from) = if escaped.is_some() { ('"', 1) } else { (first, 0) };
        found.push(if is_separator(c) {
            Node::Separator(c)
        } else if is_blank(c) {
            Node::Space(c)
        } else {
            Node::Literal(c)
        });
        rest = rest.get(from + c.len_utf8()..).unwrap_or_default();
    }
    Ok(found)
}

/// Whether the text starts with the keyword in a case that counts.
fn is_written(name: &str, text: &str) -> bool {
    let Some(start) = text.get(..name.len()) else { return false };
    if start == name {
        return true;
    }
    let small = name.to_ascii_lowercase();
    if start == small {
        return true;
    }
    let capitalised = matches!(name, "DAY" | "DY" | "MONTH" | "MON");
    capitalised && start.get(..1) == name.get(..1) && start.get(1..) == small.get(1..)
}

/// Takes text up to the closing quote, and gives what follows it.
fn quoted<'a>(text: &'a str, found: &mut Vec<Node<'_>>) -> &'a str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return text.get(at + 1..).unwrap_or_default(),
            '\\' => found.push(Node::Literal(chars.next().map_or('\\', |(_, next)| next))),
            c => found.push(Node::Literal(c)),
        }
    }
    ""
}

fn standard_separator(c: char) -> Result<Node<'static>, SqlError> {
    match c {
        ' ' => Ok(Node::Space(c)),
        '-' | '.' | '/' | ',' | '\'' | ':' | ';' => Ok(Node::Separator(c)),
        _ => Err(SqlError::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid datetime format separator: \"{c}\""),
        )),
    }
}

/// What C calls white space.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}
