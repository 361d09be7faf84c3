//! The names that PostgreSQL gives to constraints, indexes and sequences without one: `users_email_key`, `t_a_check1`.

use super::edit::Edit;
use crate::oid::Oid;
use crate::schema::catalog::Catalog;
use crate::types::scalar::NAME_BYTES_MAX;

/// `first_second_label`, where the longer of the first two is cut until all fits (PostgreSQL `makeObjectName`).
fn object_name(first: &str, second: Option<&str>, label: &str) -> String {
    let separators = if second.is_some() { 2 } else { 1 };
    let room = NAME_BYTES_MAX.saturating_sub(label.len() + separators);
    let mut lengths = (first.len(), second.map_or(0, str::len));
    while lengths.0 + lengths.1 > room {
        if lengths.0 > lengths.1 {
            lengths.0 -= 1;
        } else {
            lengths.1 -= 1;
        }
    }
    let first = cut(first, lengths.0);
    match second {
        Some(second) => format!("{first}_{}_{label}", cut(second, lengths.1)),
        None => format!("{first}_{label}"),
    }
}

/// The first `length` bytes, or fewer where that would split a character.
fn cut(text: &str, mut length: usize) -> &str {
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    text.get(..length).unwrap_or(text)
}

/// The first free name of `name`, `name1`, `name2`, … by label.
fn first_free(
    first: &str,
    second: Option<&str>,
    label: &str,
    taken: impl Fn(&str) -> bool,
) -> String {
    let mut name = object_name(first, second, label);
    let mut pass = 0u32;
    while taken(&name) {
        pass += 1;
        name = object_name(first, second, &format!("{label}{pass}"));
    }
    name
}

impl Edit<'_> {
    /// A free relation name in a schema: for indexes and sequences.
    pub(super) fn choose_relation_name(
        &self,
        namespace: Oid,
        table: &str,
        columns: &[&str],
        label: &str,
    ) -> String {
        let columns = joined(columns);
        first_free(table, columns.as_deref(), label, |name| {
            self.relation_exists(namespace, name)
                || constraint_exists(&self.catalog, namespace, name)
        })
    }

    /// A free name for a CHECK or FOREIGN KEY.
    pub(super) fn choose_constraint_name(
        &self,
        namespace: Oid,
        table: &str,
        columns: &[&str],
        label: &str,
    ) -> String {
        let columns = joined(columns);
        first_free(table, columns.as_deref(), label, |name| {
            constraint_exists(&self.catalog, namespace, name)
        })
    }
}

/// Column names with underscores between, as many as fit.
fn joined(columns: &[&str]) -> Option<String> {
    let mut joined = String::new();
    for column in columns {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(column);
        if joined.len() > NAME_BYTES_MAX {
            break;
        }
    }
    (!joined.is_empty()).then_some(joined)
}

/// Whether a table of this schema has a constraint of this name.
fn constraint_exists(catalog: &Catalog, namespace: Oid, name: &str) -> bool {
    catalog
        .tables
        .values()
        .filter(|table| table.namespace == namespace)
        .any(|table| table.has_constraint(name))
}

impl crate::schema::catalog::Table {
    /// Whether the table has a constraint of this name.
    #[must_use]
    pub fn has_constraint(&self, name: &str) -> bool {
        self.uniques.iter().any(|it| it.name == name)
            || self.checks.iter().any(|it| it.name == name)
            || self.foreign_keys.iter().any(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::object_name;

    #[test]
    fn long_names_are_cut_evenly() {
        assert_eq!(object_name("users", Some("email"), "key"), "users_email_key");
        let long = object_name(&"t".repeat(60), Some(&"c".repeat(60)), "key");
        assert_eq!(long, format!("{}_{}_key", "t".repeat(29), "c".repeat(29)));
    }
}
