//! PostgreSQL's keywords, and the quoting of identifiers that depends on them.

/// How reserved a keyword is (PostgreSQL manual, appendix C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordCategory {
    /// Usable as any name.
    Unreserved,
    /// Usable as a column name, not as a function or type name.
    ColumnName,
    /// Usable as a function or type name, not as a column name.
    TypeOrFunctionName,
    /// Reserved.
    Reserved,
}

/// A row of `pg_get_keywords()`.
#[derive(Debug)]
pub struct Keyword {
    /// The word, in lower case.
    pub word: &'static str,
    /// How reserved it is.
    pub category: KeywordCategory,
    /// Usable as an output name without `AS`.
    pub bare_label: bool,
}

include!(concat!(env!("OUT_DIR"), "/keywords.rs"));

/// All keywords, sorted.
#[must_use]
pub fn keywords() -> &'static [Keyword] {
    &KEYWORDS
}

/// The keyword that is this word, given in lower case.
#[must_use]
pub fn keyword(word: &str) -> Option<&'static Keyword> {
    KEYWORDS.binary_search_by(|row| row.word.cmp(word)).ok().map(|at| &KEYWORDS[at])
}

/// The identifier as PostgreSQL's `quote_ident` writes it: in quotes only where it needs them.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    let first = name.bytes().next();
    let plain = first.is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let free = keyword(name).is_none_or(|word| word.category == KeywordCategory::Unreserved);
    if plain && free { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
