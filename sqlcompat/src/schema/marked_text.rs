//! Texts of expressions with marks where they name objects.
//!
//! A default, a condition or an index expression names columns of its table, which stand beside it ([`super::definition`]), and
//! maybe types, and relations and labels in constants: `nextval('s'::regclass)`, `'sad'::mood`. What these are is settled when
//! the expression is written. So the schema keeps a mark in place of each, which says what it is, and whoever links the schema
//! puts the present name there. The names of views' texts have places beside the text instead, since readers of a view's
//! definition of earlier versions know those ([`super::stored_text`]).
//!
//! ```text
//!   nextval('s'::regclass)     is kept as     nextval(␁r4711␁::regclass)
//!   'sad'::mood                is kept as     ␁l42:3:sad␁::␁t42␁
//! ```

use super::catalog::Catalog;
use super::stored_text::{NameRole, NameUse, by_id};
use crate::oid::Oid;

/// Begins and ends a mark.
const MARK: char = '\u{1}';

/// What a mark says.
pub(super) struct Marked<'t> {
    /// What stands there.
    pub(super) role: NameRole,
    /// Id of the object; for labels, of their type, or that of the array's elements.
    pub(super) of: i64,
    /// The value with labels in it, as it is stored.
    pub(super) label: Option<&'t str>,
}

/// A text with marks in place of what it names.
pub(super) fn marked(text: &str, names: &[NameUse<Oid>], catalog: &Catalog) -> String {
    let mut marked = String::with_capacity(text.len());
    let mut done = 0;
    for name in names.iter().filter_map(|name| by_id(catalog, name)) {
        let (Some(between), Some(mark)) = (text.get(done..name.start), mark_of(&name)) else {
            continue;
        };
        marked.push_str(between);
        marked.push_str(&mark);
        done = name.end;
    }
    marked.push_str(text.get(done..).unwrap_or_default());
    marked
}

fn mark_of(name: &NameUse<i64>) -> Option<String> {
    let of = name.of;
    Some(match name.role {
        NameRole::Type => format!("{MARK}t{of}{MARK}"),
        NameRole::TypeConstant => format!("{MARK}c{of}{MARK}"),
        NameRole::RelationConstant => format!("{MARK}r{of}{MARK}"),
        NameRole::Label | NameRole::LabelArray => {
            let label = name.label.as_deref()?;
            let letter = if name.role == NameRole::Label { 'l' } else { 'a' };
            format!("{MARK}{letter}{of}:{}:{label}{MARK}", label.len())
        }
        NameRole::Relation | NameRole::AliasedRelation => return None,
    })
}

/// A text with names in place of its marks; what has no name any more keeps its mark, which no expression can be read with.
pub(super) fn presented(text: &str, name: impl Fn(&Marked<'_>) -> Option<String>) -> String {
    let mut presented = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, mark, after)) = next_mark(rest) {
        presented.push_str(before);
        match name(&mark) {
            Some(name) => presented.push_str(&name),
            None => {
                let length = rest.len() - before.len() - after.len();
                let own = rest.get(before.len()..before.len() + length);
                presented.push_str(own.unwrap_or_default());
            }
        }
        rest = after;
    }
    presented.push_str(rest);
    presented
}

/// The objects that the marks of a text are of.
pub(super) fn objects(text: &str) -> Vec<i64> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, mark, after)) = next_mark(rest) {
        found.push(mark.of);
        rest = after;
    }
    found
}

/// The first mark of a text, with what is before and behind it.
fn next_mark(text: &str) -> Option<(&str, Marked<'_>, &str)> {
    let (before, inside) = text.split_once(MARK)?;
    let role = match inside.chars().next()? {
        't' => NameRole::Type,
        'c' => NameRole::TypeConstant,
        'r' => NameRole::RelationConstant,
        'l' => NameRole::Label,
        'a' => NameRole::LabelArray,
        _ => return None,
    };
    let inside = inside.get(1..)?;
    let digits = inside.find(|c: char| !(c.is_ascii_digit() || c == '-'))?;
    let of = inside.get(..digits)?.parse().ok()?;
    let inside = inside.get(digits..)?;
    let (label, behind) = match role {
        NameRole::Label | NameRole::LabelArray => {
            let (length, inside) = inside.strip_prefix(':')?.split_once(':')?;
            let length: usize = length.parse().ok()?;
            (Some(inside.get(..length)?), inside.get(length..)?)
        }
        _ => (None, inside),
    };
    Some((before, Marked { role, of, label }, behind.strip_prefix(MARK)?))
}

#[cfg(test)]
mod tests {
    use super::{objects, presented};

    #[test]
    fn marks_give_way_to_names() {
        let text = "nextval(\u{1}r-7\u{1}::regclass) + \u{1}l4:4:a'\u{1}b\u{1}::\u{1}t4\u{1}";
        let named = presented(text, |mark| {
            Some(format!("<{} {}>", mark.of, mark.label.unwrap_or_default()))
        });
        assert_eq!(named, "nextval(<-7 >::regclass) + <4 a'\u{1}b>::<4 >");
        assert_eq!(objects(text), [-7, 4, 4]);
    }

    #[test]
    fn what_is_no_mark_stays() {
        for text in [
            "",
            "a",
            "\u{1}",
            "'\u{1}r\u{1}'",
            "\u{1}l4:9:a\u{1}",
            "\u{1}t99999999999999999999\u{1}",
        ] {
            assert_eq!(presented(text, |_| None), text);
            assert_eq!(presented(text, |_| Some("x".to_owned())), text);
        }
        assert_eq!(presented("\u{1}t4\u{1}", |_| None), "\u{1}t4\u{1}");
    }
}
