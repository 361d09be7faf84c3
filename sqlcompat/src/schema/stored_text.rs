//! The text of a view's query, and what its names mean for good.
//!
//! PostgreSQL stores a view as a tree over OIDs: what it reads is settled when it is made, whoever reads it later by
//! whatever `search_path`, and whatever its relations and types are called by then. Here the text stays as it was
//! written, and beside it stand the places of the names of relations and types with what each of them is:
//!
//! ```text
//! SELECT * FROM shelf s, book          14..19 shelf (has an alias), 23..27 book
//! SELECT * FROM public.shelf s, public.tome AS book      to be bound, after a renaming of book
//! ```
//!
//! # Invariants
//! 1. `names` is in the order of places; places do not overlap and lie on character boundaries of `text`.

use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, UserType};
use super::lookup::Relation;
use super::physical::quote_literal;
use super::seen::{Seen, SeenColumns};
use crate::builtin::quote_identifier;
use crate::datum::DatumRef;
use crate::oid::Oid;
use crate::settings::FormatSettings;
use crate::types::TypeContext;
use crate::types::codec::to_text;

/// What a name in a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameRole {
    /// A relation that the rest of the text calls by this name.
    Relation,
    /// A relation with an alias.
    AliasedRelation,
    /// A type.
    Type,
    /// A relation, by its name in a string: a constant of type `regclass`.
    RelationConstant,
    /// A type, by its name in a string: a constant of type `regtype`.
    TypeConstant,
    /// A label of an enum, or a row with some in it, in a string.
    Label,
    /// An array of such, in a string.
    LabelArray,
}

/// A name in a text: where it is, with its qualifiers, and what it is the name of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameUse<T> {
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes.
    pub end: usize,
    /// What it stands for.
    pub role: NameRole,
    /// The object; for labels, their type, or that of the array's elements.
    pub of: T,
    /// The value with labels in it, as it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A text with the names in it settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredText {
    /// The text as written.
    pub text: String,
    /// Its names of relations and types.
    pub names: Vec<NameUse<Oid>>,
}

/// How names are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qualify<'a> {
    /// With their schemas.
    Always,
    /// With their schemas unless a search along this path finds them.
    UnlessVisible(&'a [String]),
}

impl StoredText {
    /// The text with its objects' present names; an object that is gone keeps its name as written.
    #[must_use]
    pub fn in_names_of(&self, catalog: &Catalog, qualify: Qualify<'_>) -> String {
        self.with_columns(catalog, qualify, &Seen::new())
    }

    /// As [`Self::in_names_of`], with the names of columns listed for each relation that has other ones by now.
    #[must_use]
    pub fn with_columns(&self, catalog: &Catalog, qualify: Qualify<'_>, seen: &Seen) -> String {
        let mut shown = String::with_capacity(self.text.len());
        let mut done = 0;
        for found in &self.names {
            let (Some(between), Some(written)) =
                (self.text.get(done..found.start), self.text.get(found.start..found.end))
            else {
                continue;
            };
            let Some(name) = present_name(catalog, found, qualify) else { continue };
            shown.push_str(between);
            shown.push_str(&name);
            done = found.end;
            let own = last_part(written);
            let is_item = matches!(found.role, NameRole::Relation | NameRole::AliasedRelation);
            let seen = seen.get(&found.of).filter(|_| is_item);
            let list = seen.and_then(|seen| column_list(catalog, found.of, seen));
            match found.role {
                NameRole::Relation if own != last_part(&name) || list.is_some() => {
                    shown.push_str(" AS ");
                    shown.push_str(own);
                }
                NameRole::AliasedRelation if list.is_some() => {
                    let rest = self.text.get(done..).unwrap_or_default();
                    let (alias, listed) = alias_of(rest);
                    shown.push_str(alias);
                    done += alias.len();
                    if listed {
                        continue;
                    }
                }
                NameRole::Relation
                | NameRole::AliasedRelation
                | NameRole::Type
                | NameRole::RelationConstant
                | NameRole::TypeConstant
                | NameRole::Label
                | NameRole::LabelArray => {}
            }
            shown.push_str(&list.unwrap_or_default());
        }
        shown.push_str(self.text.get(done..).unwrap_or_default());
        shown
    }
}

/// The names of a relation's columns inside of a view, in parentheses; `None` if they are its own.
fn column_list(catalog: &Catalog, relation: Oid, seen: &SeenColumns) -> Option<String> {
    let present: Vec<(i16, &String)> = match catalog.relation_by_oid(relation)? {
        Relation::Table(it) => it.columns.iter().map(|it| (it.attnum, &it.name)).collect(),
        Relation::View(it) => (1..).zip(it.columns.iter().map(|(name, ..)| name)).collect(),
        Relation::Sequence(_) | Relation::Index(..) => return None,
    };
    let names: Vec<&str> = present
        .iter()
        .map(|(attnum, own)| seen.names.get(attnum).unwrap_or(own).as_str())
        .collect();
    if names.iter().zip(&present).all(|(name, (_, own))| name == own) {
        return None;
    }
    let names: Vec<_> = names.into_iter().map(quote_identifier).collect();
    Some(format!("({})", names.join(", ")))
}

/// The alias that a text begins with, and whether a list of columns follows it.
fn alias_of(text: &str) -> (&str, bool) {
    let word = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        let start = from + rest.len() - rest.trim_start().len();
        start + text.get(start..).and_then(identifier_bytes).unwrap_or(0)
    };
    let mut end = word(0);
    if text.get(..end).unwrap_or_default().trim().eq_ignore_ascii_case("as") {
        end = word(end);
    }
    let listed = text.get(end..).unwrap_or_default().trim_start().starts_with('(');
    (text.get(..end).unwrap_or_default(), listed)
}

/// The name of an object, qualified where asked for.
fn present_name(catalog: &Catalog, of: &NameUse<Oid>, qualify: Qualify<'_>) -> Option<String> {
    if let NameRole::Label | NameRole::LabelArray = of.role {
        let is_array = of.role == NameRole::LabelArray;
        return shown_value(catalog, catalog.types.get(&of.of)?, is_array, of.label.as_deref()?);
    }
    if let NameRole::RelationConstant | NameRole::TypeConstant = of.role {
        let role = match of.role {
            NameRole::TypeConstant => NameRole::Type,
            _ => NameRole::Relation,
        };
        let name = NameUse { role, ..of.clone() };
        return present_name(catalog, &name, qualify).map(|name| quote_literal(&name));
    }
    let (namespace, name) = match of.role {
        NameRole::Type => match catalog.types.get(&of.of) {
            Some(found) => (found.namespace(), found.name()),
            // The row type of a table goes by the table's name.
            None => relation_name(catalog, of.of)?,
        },
        _ => relation_name(catalog, of.of)?,
    };
    let visible = match qualify {
        Qualify::Always => false,
        Qualify::UnlessVisible(path) if catalog.types.contains_key(&of.of) => {
            let found = catalog.type_by_name(path, None, name);
            found.is_some_and(|it| it.oid() == of.of)
        }
        Qualify::UnlessVisible(path) => {
            let found = path_relation(catalog, path, name);
            found == Some(of.of)
        }
    };
    let name = quote_identifier(name);
    if visible {
        return Some(name);
    }
    Some(format!("{}.{name}", quote_identifier(catalog.namespace_name(namespace))))
}

/// A stored value of a type, or of the array over it, as a string with present labels.
pub(super) fn shown_value(
    catalog: &Catalog,
    of: &UserType,
    is_array: bool,
    stored: &str,
) -> Option<String> {
    let oid = if is_array { of.array_oid() } else { of.oid() };
    let settings = FormatSettings::default();
    let cx = TypeContext { settings: &settings, names: catalog, now_us: 0 };
    let shown = to_text(oid, DatumRef::Text(stored), &cx).ok()?;
    Some(quote_literal(&shown))
}

/// A name with the id of its object in place of the OID.
pub(super) fn by_id(catalog: &Catalog, name: &NameUse<Oid>) -> Option<NameUse<i64>> {
    let relation = || match catalog.relation_by_oid(name.of)? {
        Relation::Table(table) => Some(table.id),
        Relation::View(view) => Some(view.id),
        Relation::Sequence(sequence) => Some(sequence.id),
        Relation::Index(..) => None,
    };
    let id = match name.role {
        NameRole::Type | NameRole::TypeConstant | NameRole::Label | NameRole::LabelArray => {
            match catalog.types.get(&name.of) {
                Some(found) => found.id(),
                None => catalog.tables.values().find(|it| it.row_type_oid == name.of)?.id,
            }
        }
        NameRole::Relation | NameRole::AliasedRelation | NameRole::RelationConstant => relation()?,
    };
    let NameUse { start, end, role, ref label, .. } = *name;
    Some(NameUse { start, end, role, of: id.0, label: label.clone() })
}

/// The relation that an unqualified name finds.
fn path_relation(catalog: &Catalog, path: &[String], name: &str) -> Option<Oid> {
    let mut namespaces = catalog.path_namespaces(path);
    namespaces.find_map(|it| catalog.relation_names.get(&(it.oid, name.to_owned())).copied())
}

fn relation_name(catalog: &Catalog, oid: Oid) -> Option<(Oid, &str)> {
    match catalog.relation_by_oid(oid)? {
        Relation::Table(it) => Some((it.namespace, &it.name)),
        Relation::View(it) => Some((it.namespace, &it.name)),
        Relation::Sequence(it) => Some((it.namespace, &it.name)),
        Relation::Index(..) => None,
    }
}

/// The last part of a qualified name, with its quotes.
#[must_use]
pub(crate) fn last_part(name: &str) -> &str {
    let mut quoted = false;
    let mut start = 0;
    for (at, c) in name.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => start = at + 1,
            _ => {}
        }
    }
    name.get(start..).unwrap_or(name).trim()
}

/// The end of the qualified name that starts at `start` of a text; `None` if none does.
#[must_use]
pub(crate) fn name_end(text: &str, start: usize) -> Option<usize> {
    let mut end = start + identifier_bytes(text.get(start..)?)?;
    loop {
        let rest = text.get(end..)?;
        let dotted = rest.trim_start();
        let Some(after) = dotted.strip_prefix('.') else { return Some(end) };
        let part = after.trim_start();
        let length = identifier_bytes(part)?;
        end = text.len() - part.len() + length;
    }
}

/// The end of the string that starts at `start` of a text; `None` if none does, or one with escapes.
#[must_use]
pub(crate) fn literal_end(text: &str, start: usize) -> Option<usize> {
    let inner = text.get(start..)?.strip_prefix('\'')?;
    let mut characters = inner.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\'' && characters.next_if(|(_, next)| *next == '\'').is_none() {
            return Some(start + at + 2);
        }
    }
    None
}

/// The length of the identifier that a text starts with.
fn identifier_bytes(text: &str) -> Option<usize> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut characters = inner.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            if c == '"' && characters.next_if(|(_, next)| *next == '"').is_none() {
                return Some(at + 2);
            }
        }
        return None;
    }
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let length = text.find(|c| !inside(c)).unwrap_or(text.len());
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::{alias_of, last_part, name_end};

    #[test]
    fn a_name_ends_behind_its_last_part() {
        let end = |text: &'static str| name_end(text, 0).and_then(|end| text.get(..end));
        assert_eq!(end("a b"), Some("a"));
        assert_eq!(end("a . \"b.\"\"c\" d"), Some("a . \"b.\"\"c\""));
        assert_eq!(end("größe,"), Some("größe"));
        assert_eq!(end("(a"), None);
        assert_eq!(last_part("a.\"b.c\""), "\"b.c\"");
    }

    #[test]
    fn an_alias_ends_behind_its_name() {
        assert_eq!(alias_of(" AS \"x y\" where"), (" AS \"x y\"", false));
        assert_eq!(alias_of(" s (a, b)"), (" s", true));
        assert_eq!(alias_of(""), ("", false));
    }
}
