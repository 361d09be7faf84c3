//! Names of SQLite objects for PostgreSQL objects, and how both are quoted.
//!
//! SQLite compares names without regard to ASCII case and has no schemas inside a file, so names are escaped, injectively:
//!
//! | PostgreSQL | SQLite |
//! |---|---|
//! | `users` | `users` |
//! | `"Users"` | `~users` |
//! | `"a~b"`, `"a.b"` | `a~~b`, `a~.b` |
//! | `sales.orders` | `sales.orders` |
//! | `sqlite_x`, `trellis_x`, `crsql_x` | `~_sqlite_x`, … |
//! | column `rowid` (also `oid`, `_rowid_`) | `~_rowid`, so that `rowid` always means SQLite's |

/// Name of the hidden key column of a table without a PRIMARY KEY. User columns cannot have it: the prefix is escaped.
pub const HIDDEN_KEY: &str = "trellis_key";

/// Name of the column of a materialized view's table that tells which refresh a row is of.
pub const GENERATION: &str = "trellis_generation";

/// Prefixes that belong to SQLite and to Trellis.
const RESERVED_PREFIXES: [&str; 3] = ["sqlite_", "trellis_", "crsql_"];

/// The SQLite name of a relation; `schema` is `None` for `public` and for temporary relations.
#[must_use]
pub fn relation_name(schema: Option<&str>, name: &str) -> String {
    match schema {
        None => escape(name),
        Some(schema) => format!("{}.{}", escape(schema), escape(name)),
    }
}

/// The SQLite name of a column.
#[must_use]
pub fn column_name(name: &str) -> String {
    match name {
        "rowid" | "oid" | "_rowid_" => format!("~_{name}"),
        other => escape(other),
    }
}

/// Escapes one name part.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    if RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        escaped.push_str("~_");
    }
    for character in name.chars() {
        match character {
            '~' | '.' => escaped.extend(['~', character]),
            'A'..='Z' => escaped.extend(['~', character.to_ascii_lowercase()]),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Quotes a SQLite identifier, always.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a string as a SQLite literal.
#[must_use]
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{column_name, relation_name};

    #[test]
    fn distinct_names_stay_distinct_without_case() {
        let names =
            ["users", "Users", "USERS", "~users", "a.b", "sqlite_x", "~_sqlite_x", "Ä", "ä"];
        let mut folded: Vec<_> =
            names.iter().map(|name| relation_name(None, name).to_ascii_lowercase()).collect();
        folded.push(relation_name(Some("a"), "b"));
        folded.sort();
        folded.dedup();
        assert_eq!(folded.len(), names.len() + 1);
        assert_eq!(column_name("rowid"), "~_rowid");
    }
}
