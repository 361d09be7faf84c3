//! PostgreSQL 15's own catalog rows, as recorded in `data/`, in COPY text format.
//!
//! A file is a header line of column names and one line per row, values separated by tabs, `\N` for NULL and backslash
//! escapes as `COPY` writes them. The files are part of the program, so a malformed one is a defect of the build: the
//! parser is lenient (a missing value is NULL) and the tests of this module count the rows.

use std::borrow::Cow;

macro_rules! files {
    ($($name:literal = $path:literal),* $(,)?) => {
        /// Recorded relations: name, with its schema unless that is `pg_catalog`, and file.
        pub(crate) const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../data/", $path)))),*];
    };
}

files! {
    "information_schema.sql_features" = "catalog/information_schema.sql_features.tsv",
    "information_schema.sql_implementation_info" = "catalog/information_schema.sql_implementation_info.tsv",
    "information_schema.sql_parts" = "catalog/information_schema.sql_parts.tsv",
    "information_schema.sql_sizing" = "catalog/information_schema.sql_sizing.tsv",
    "pg_aggregate" = "catalog/pg_aggregate.tsv",
    "pg_am" = "pg15/pg_am.tsv",
    "pg_amop" = "pg15/pg_amop.tsv",
    "pg_amproc" = "catalog/pg_amproc.tsv",
    "pg_attribute" = "pg15/pg_attribute.tsv",
    "pg_auth_members" = "catalog/pg_auth_members.tsv",
    "pg_authid" = "pg15/pg_authid.tsv",
    "pg_cast" = "pg15/pg_cast.tsv",
    "pg_class" = "pg15/pg_class.tsv",
    "pg_collation" = "pg15/pg_collation.tsv",
    "pg_constraint" = "catalog/pg_constraint.tsv",
    "pg_conversion" = "pg15/pg_conversion.tsv",
    "pg_depend" = "catalog/pg_depend.tsv",
    "pg_description" = "catalog/pg_description.tsv",
    "pg_index" = "catalog/pg_index.tsv",
    "pg_init_privs" = "catalog/pg_init_privs.tsv",
    "pg_language" = "pg15/pg_language.tsv",
    "pg_namespace" = "pg15/pg_namespace.tsv",
    "pg_opclass" = "pg15/pg_opclass.tsv",
    "pg_operator" = "pg15/pg_operator.tsv",
    "pg_opfamily" = "pg15/pg_opfamily.tsv",
    "pg_proc" = "pg15/pg_proc.tsv",
    "pg_range" = "pg15/pg_range.tsv",
    "pg_rewrite" = "catalog/pg_rewrite.tsv",
    "pg_tablespace" = "pg15/pg_tablespace.tsv",
    "pg_ts_config" = "pg15/pg_ts_config.tsv",
    "pg_ts_config_map" = "catalog/pg_ts_config_map.tsv",
    "pg_ts_dict" = "pg15/pg_ts_dict.tsv",
    "pg_ts_parser" = "pg15/pg_ts_parser.tsv",
    "pg_ts_template" = "pg15/pg_ts_template.tsv",
    "pg_type" = "pg15/pg_type.tsv",
}

/// One recorded relation.
pub(crate) struct Table {
    /// Column names.
    pub(crate) columns: Vec<&'static str>,
    lines: std::str::Lines<'static>,
}

impl Table {
    /// Reads the header of `text`.
    pub(crate) fn new(text: &'static str) -> Self {
        let mut lines = text.lines();
        let columns = lines.next().unwrap_or_default().split('\t').collect();
        Self { columns, lines }
    }

    /// The recorded rows of `relation`, if there are any.
    pub(crate) fn of(relation: &str) -> Option<Self> {
        FILES.iter().find(|(name, _)| *name == relation).map(|(_, text)| Self::new(text))
    }

    /// Where the column called `name` stands.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| *column == name)
    }
}

impl Iterator for Table {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.lines.next().map(|line| Row(line.split('\t').collect()))
    }
}

/// One recorded row.
pub(crate) struct Row(Vec<&'static str>);

impl Row {
    /// The value at `position`, unescaped; `None` for NULL.
    pub(crate) fn text(&self, position: usize) -> Option<Cow<'static, str>> {
        match self.0.get(position) {
            None | Some(&"\\N") => None,
            Some(value) if value.contains('\\') => Some(Cow::Owned(unescape(value))),
            Some(value) => Some(Cow::Borrowed(value)),
        }
    }

    /// The value at `position` as it is written, empty if there is none; for columns without escapes or NULLs.
    pub(crate) fn raw(&self, position: usize) -> &'static str {
        self.0.get(position).copied().unwrap_or_default()
    }

    /// The number at `position`, 0 if there is none.
    pub(crate) fn number(&self, position: usize) -> i64 {
        self.0.get(position).and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// Undoes `COPY`'s escapes.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there() {
        assert_eq!(Table::of("pg_proc").expect("recorded").count(), 3244);
        assert_eq!(Table::of("pg_class").expect("recorded").count(), 410);
        assert_eq!(unescape(r"a\tb\\n"), "a\tb\\n");
    }
}
