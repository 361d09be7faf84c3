//! Recorded values in storage form.
//!
//! | column type | in the file | storage form |
//! |---|---|---|
//! | boolean | `t`, `f` | 1, 0 |
//! | integers, oid, xid | digits | integer |
//! | regproc | name or OID, `-` for none | integer |
//! | oidvector, int2vector | `1 2` | `[1,2]` |
//! | arrays | `{a,"b c",NULL}` | `["a","b c",null]` |
//! | anything else | text | text |

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::names::json_array;
use super::tsv::Table;
use crate::datum::Datum;

/// Columns of all relations of `pg_catalog` and `information_schema`.
pub(crate) const COLUMNS: &str = include_str!("../../data/pg15/columns.tsv");
/// Columns of the relations of the schema `trellis`.
pub(crate) const OWN_COLUMNS: &str = include_str!("../../data/trellis/columns.tsv");
/// Default expressions of function arguments.
const FUNCTION_DEFAULTS: &str = include_str!("../../data/pg15/function_defaults.tsv");

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
            names.entry(row.raw(name)).or_default().push((oid, row.raw(arguments)));
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
    fn arrays_and_vectors_become_json() {
        let read = |text| Form::TextArray.read(Some(text), |_| 0);
        let expected = r#"["a","b,c",null,"NULL",""]"#;
        assert_eq!(read(r#"{a,"b,c",NULL,"NULL",""}"#), Datum::Text(expected.into()));
        assert_eq!(read("{}"), Datum::Text("[]".into()));
        assert_eq!(Form::Vector.read(Some("1 2"), |_| 0), Datum::Text("[1,2]".into()));
        assert_eq!(Form::Vector.read(Some(""), |_| 0), Datum::Text("[]".into()));
    }
}
