//! PostgreSQL 15's own catalog rows, as recorded in `data/`, read from COPY text format into storage form.
//!
//! A file is a header line of column names and one line per row, values separated by tabs, `\N` for NULL and backslash
//! escapes as `COPY` writes them. The files are part of the program, so a malformed one is a defect of the build: the
//! parser is lenient (a missing value is NULL) and the tests of this module count the rows.
//!
//! | column type | in the file | storage form |
//! |---|---|---|
//! | boolean | `t`, `f` | 1, 0 |
//! | integers, oid, xid | digits | integer |
//! | regproc | name or OID, `-` for none | integer |
//! | oidvector, int2vector | `1 2` | `[1,2]` |
//! | arrays | `{a,"b c",NULL}` | `["a","b c",null]` |
//! | anything else | text | text |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::datum::Datum;

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
    "pg_shdescription" = "catalog/pg_shdescription.tsv",
    "pg_tablespace" = "pg15/pg_tablespace.tsv",
    "pg_ts_config" = "pg15/pg_ts_config.tsv",
    "pg_ts_config_map" = "catalog/pg_ts_config_map.tsv",
    "pg_ts_dict" = "pg15/pg_ts_dict.tsv",
    "pg_ts_parser" = "pg15/pg_ts_parser.tsv",
    "pg_ts_template" = "pg15/pg_ts_template.tsv",
    "pg_type" = "pg15/pg_type.tsv",
}

/// Columns of all relations of `pg_catalog` and `information_schema`.
pub(crate) const COLUMNS: &str = include_str!("../../data/pg15/columns.tsv");
/// Default expressions of function arguments.
const FUNCTION_DEFAULTS: &str = include_str!("../../data/pg15/function_defaults.tsv");

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

    /// The number at `position`, 0 if there is none.
    pub(crate) fn number(&self, position: usize) -> i64 {
        self.0.get(position).and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// How the values of a column are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `boolean`.
    Boolean,
    /// Integers and the types that are stored as such.
    Integer,
    /// `real` and `double precision`.
    Real,
    /// `regproc`.
    Procedure,
    /// `oidvector` and `int2vector`.
    Vector,
    /// Arrays of integers.
    IntegerArray,
    /// Other arrays.
    TextArray,
    /// Everything else.
    Text,
}

impl Form {
    /// The form of a type, by the name that `columns.tsv` gives it.
    pub(crate) fn of_type(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "smallint"
            | "integer"
            | "bigint"
            | "oid"
            | "xid"
            | "cid"
            | "regtype"
            | "timestamp with time zone"
            | "information_schema.cardinal_number"
            | "information_schema.time_stamp" => Self::Integer,
            "real" | "double precision" => Self::Real,
            "regproc" => Self::Procedure,
            "oidvector" | "int2vector" => Self::Vector,
            "smallint[]" | "oid[]" | "real[]" | "double precision[]" | "regtype[]" => {
                Self::IntegerArray
            }
            other if other.ends_with("[]") => Self::TextArray,
            _ => Self::Text,
        }
    }

    /// The declared type of a SQLite column of this form.
    pub(crate) fn sqlite_type(self) -> &'static str {
        match self {
            Self::Boolean | Self::Integer | Self::Procedure => "INTEGER",
            Self::Real => "REAL",
            Self::Vector | Self::IntegerArray | Self::TextArray | Self::Text => "TEXT",
        }
    }

    /// The storage form of a recorded value; `procedure` finds the OID of a function by its name.
    pub(crate) fn read(self, text: Option<&str>, procedure: impl Fn(&str) -> i64) -> Datum {
        let Some(text) = text else { return Datum::Null };
        match self {
            Self::Boolean => Datum::Integer(i64::from(text == "t")),
            Self::Integer => text.parse().map_or(Datum::Null, Datum::Integer),
            Self::Real => text.parse().map_or(Datum::Null, Datum::Real),
            Self::Procedure => Datum::Integer(text.parse().unwrap_or_else(|_| procedure(text))),
            Self::Vector => {
                Datum::Text(format!("[{}]", text.split(' ').collect::<Vec<_>>().join(",")))
            }
            Self::IntegerArray => {
                Datum::Text(format!("[{}]", text.trim_matches(['{', '}']).replace("NULL", "null")))
            }
            Self::TextArray => Datum::Text(json_array(&array_elements(text))),
            Self::Text => Datum::Text(text.to_owned()),
        }
    }
}

/// A JSON array of strings.
pub(crate) fn json_array<S: AsRef<str>>(elements: &[Option<S>]) -> String {
    let values = elements.iter().map(|element| match element {
        Some(text) => serde_json::Value::from(text.as_ref()),
        None => serde_json::Value::Null,
    });
    serde_json::Value::Array(values.collect()).to_string()
}

/// The elements of a one-dimensional array in PostgreSQL's text form.
fn array_elements(text: &str) -> Vec<Option<String>> {
    let inner = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or_default();
    let mut elements = Vec::new();
    let mut element = String::new();
    let (mut quoted, mut in_quotes) = (false, false);
    let mut characters = inner.chars();
    let mut finish = |element: &mut String, quoted: &mut bool| {
        let text = std::mem::take(element);
        elements.push((*quoted || text != "NULL").then_some(text));
        *quoted = false;
    };
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                in_quotes = !in_quotes;
                quoted = true;
            }
            '\\' => element.extend(characters.next()),
            ',' if !in_quotes => finish(&mut element, &mut quoted),
            other => element.push(other),
        }
    }
    if !inner.is_empty() {
        finish(&mut element, &mut quoted);
    }
    elements
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

/// Default expressions of each function that has some, in argument order.
pub(crate) fn function_defaults() -> &'static BTreeMap<i64, Vec<String>> {
    static DEFAULTS: OnceLock<BTreeMap<i64, Vec<String>>> = OnceLock::new();
    DEFAULTS.get_or_init(|| {
        let mut defaults: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for row in Table::new(FUNCTION_DEFAULTS) {
            let expression = row.text(2).unwrap_or_default().into_owned();
            defaults.entry(row.number(0)).or_default().push(expression);
        }
        defaults
    })
}

/// OIDs of the built-in functions by name, each with the OIDs of its argument types.
pub(crate) struct Procedures(BTreeMap<&'static str, Vec<(i64, &'static str)>>);

impl Procedures {
    /// Reads `pg_proc`.
    pub(crate) fn read() -> Self {
        let mut names: BTreeMap<&'static str, Vec<(i64, &'static str)>> = BTreeMap::new();
        let Some(table) = Table::of("pg_proc") else { return Self(names) };
        let (Some(name), Some(arguments)) =
            (table.position("proname"), table.position("proargtypes"))
        else {
            return Self(names);
        };
        for row in table {
            let oid = row.number(0);
            names.entry(row.0[name]).or_default().push((oid, row.0[arguments]));
        }
        Self(names)
    }

    /// The function called `name`; of several, the one that takes `arguments` (OIDs separated by spaces).
    pub(crate) fn find(&self, name: &str, arguments: &str) -> i64 {
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        let candidates = self.0.get(name).map_or(&[][..], Vec::as_slice);
        candidates
            .iter()
            .find(|(_, declared)| *declared == arguments)
            .or(candidates.first())
            .map_or(0, |(oid, _)| *oid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_escapes_become_json() {
        let read = |text| Form::TextArray.read(Some(text), |_| 0);
        assert_eq!(
            read(r#"{a,"b,c",NULL,"NULL",""}"#),
            Datum::Text(r#"["a","b,c",null,"NULL",""]"#.into())
        );
        assert_eq!(read("{}"), Datum::Text("[]".into()));
        assert_eq!(unescape(r"a\tb\\n"), "a\tb\\n");
        assert_eq!(Form::Vector.read(Some("1 2"), |_| 0), Datum::Text("[1,2]".into()));
        assert_eq!(Form::Vector.read(Some(""), |_| 0), Datum::Text("[]".into()));
    }

    #[test]
    fn every_file_is_there() {
        assert_eq!(Table::of("pg_proc").expect("recorded").count(), 3244);
        assert_eq!(Table::of("pg_class").expect("recorded").count(), 410);
        assert_eq!(Table::new(COLUMNS).count(), 2005);
    }
}
