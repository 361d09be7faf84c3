//! Turns the recorded catalog rows of PostgreSQL 15 (`data/pg15/*.tsv`) into the constant tables of `src/builtin`.
//!
//! Each table becomes one file in `OUT_DIR`: a flat `static` array, sorted for binary search by the key that
//! `src/builtin` searches it by. A row that does not fit is a defect of the data and stops the build.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=data/pg15");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    write_table(&out, "types", types());
    write_table(&out, "functions", functions());
    write_table(&out, "operators", operators());
    write_table(&out, "casts", casts());
    write_table(&out, "aggregates", aggregates());
    write_table(&out, "ranges", ranges());
    write_table(&out, "ordering", ordering());
    write_table(&out, "relations", relations());
    write_table(&out, "settings", settings());
    write_table(&out, "keywords", keywords());
}

fn write_table(out: &Path, name: &str, text: String) {
    fs::write(out.join(format!("{name}.rs")), text).expect("OUT_DIR is writable");
}

/// One file of COPY text: rows as maps from column name to value, `None` for NULL.
struct Table {
    columns: HashMap<String, usize>,
    rows: Vec<Vec<Option<String>>>,
}

/// One row of a [`Table`].
struct Row<'a> {
    table: &'a Table,
    values: &'a [Option<String>],
}

impl Table {
    fn read(name: &str) -> Self {
        Self::read_from("pg15", name)
    }

    /// PostgreSQL's rows and, after them, our own.
    fn read_with_own(name: &str) -> Self {
        let mut table = Self::read(name);
        table.rows.extend(Self::read_from("trellis", name).rows);
        table
    }

    fn read_from(directory: &str, name: &str) -> Self {
        let file = format!("data/{directory}/{name}.tsv");
        let text = fs::read_to_string(file).expect("the data file is there");
        let mut lines = text.lines();
        let header = lines.next().expect("a header line");
        let columns =
            header.split('\t').enumerate().map(|(at, name)| (name.to_owned(), at)).collect();
        let rows = lines.map(|line| line.split('\t').map(unescape).collect()).collect();
        Self { columns, rows }
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { table: self, values })
    }
}

impl Row<'_> {
    fn optional(&self, column: &str) -> Option<&str> {
        let at = *self.table.columns.get(column).unwrap_or_else(|| panic!("no column {column}"));
        self.values[at].as_deref()
    }

    fn text(&self, column: &str) -> &str {
        self.optional(column).unwrap_or("")
    }

    fn number(&self, column: &str) -> i64 {
        self.text(column).parse().unwrap_or_else(|_| panic!("{column} is {:?}", self.text(column)))
    }

    fn flag(&self, column: &str) -> bool {
        self.text(column) == "t"
    }

    fn byte(&self, column: &str) -> char {
        self.text(column).chars().next().expect("one character")
    }

    /// Elements of an array in output form, or of an oidvector.
    fn list(&self, column: &str) -> Vec<String> {
        let text = self.text(column);
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        let separator = if text.starts_with('{') { ',' } else { ' ' };
        let elements = inner.split(separator).filter(|element| !element.is_empty());
        elements.map(|element| element.trim_matches('"').to_owned()).collect()
    }
}

/// Undoes the escapes of COPY text format.
fn unescape(field: &str) -> Option<String> {
    if field == "\\N" {
        return None;
    }
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next().expect("a character after the backslash") {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            plain => text.push(plain),
        }
    }
    Some(text)
}

fn oids(list: &[String]) -> String {
    list.iter().map(|oid| format!("Oid({oid}),")).collect()
}

fn strings(list: &[String]) -> String {
    list.iter().map(|text| format!("{text:?},")).collect()
}

/// A regproc column: "-" stands for none.
fn procedure(text: &str) -> &str {
    if text == "-" { "" } else { text }
}

/// Wraps the literals of `rows`, already in order, into `static NAME: [TYPE; n]`.
fn array(name: &str, row_type: &str, rows: &[String]) -> String {
    format!("static {name}: [{row_type}; {}] = [\n{}\n];\n", rows.len(), rows.join(",\n"))
}

fn types() -> String {
    let table = Table::read("pg_type");
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| row.number("oid"));
    let literals: Vec<String> = rows.iter().map(type_literal).collect();
    let mut by_name: Vec<usize> = (0..rows.len()).collect();
    by_name
        .sort_by_key(|&at| (rows[at].text("typname").to_owned(), rows[at].number("typnamespace")));
    let names: Vec<String> = by_name.iter().map(usize::to_string).collect();
    array("TYPES", "TypeRow", &literals) + &array("BY_NAME", "u16", &names)
}

fn type_literal(row: &Row) -> String {
    let kind = match row.byte("typtype") {
        'b' => "Base",
        'c' => "Composite",
        'd' => "Domain",
        'm' => "Multirange",
        'p' => "Pseudo",
        'r' => "Range",
        other => panic!("typtype {other}"),
    };
    format!(
        "TypeRow {{ oid: Oid({}), name: {:?}, namespace: Oid({}), relation: Oid({}), len: {}, by_value: {}, \
         kind: TypeKind::{kind}, category: b'{}', preferred: {}, delimiter: b'{}', true_array: {}, element: Oid({}), \
         array: Oid({}), base: Oid({}), base_typmod: {}, collation: Oid({}), input: {:?}, output: {:?}, \
         receive: {:?}, send: {:?}, typmod_input: {:?} }}",
        row.number("oid"),
        row.text("typname"),
        row.number("typnamespace"),
        row.number("typrelid"),
        row.number("typlen"),
        row.flag("typbyval"),
        row.byte("typcategory"),
        row.flag("typispreferred"),
        row.byte("typdelim"),
        row.text("typsubscript") == "array_subscript_handler",
        row.number("typelem"),
        row.number("typarray"),
        row.number("typbasetype"),
        row.number("typtypmod"),
        row.number("typcollation"),
        procedure(row.text("typinput")),
        procedure(row.text("typoutput")),
        procedure(row.text("typreceive")),
        procedure(row.text("typsend")),
        procedure(row.text("typmodin")),
    )
}

fn functions() -> String {
    let mut defaults: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for row in Table::read("function_defaults").rows() {
        defaults.entry(row.number("oid")).or_default().push(row.text("default").to_owned());
    }
    let table = Table::read_with_own("pg_proc");
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| (row.text("proname").to_owned(), row.number("oid")));
    let literals: Vec<String> = rows
        .iter()
        .map(|row| {
            function_literal(row, defaults.get(&row.number("oid")).map_or(&[], Vec::as_slice))
        })
        .collect();
    let mut by_oid: Vec<usize> = (0..rows.len()).collect();
    by_oid.sort_by_key(|&at| rows[at].number("oid"));
    let oids: Vec<String> = by_oid.iter().map(usize::to_string).collect();
    array("FUNCTIONS", "FunctionRow", &literals) + &array("BY_OID", "u16", &oids)
}

fn function_literal(row: &Row, defaults: &[String]) -> String {
    assert_eq!(row.number("pronargdefaults"), defaults.len() as i64, "{}", row.text("proname"));
    let kind = match row.byte("prokind") {
        'f' => "Plain",
        'a' => "Aggregate",
        'w' => "Window",
        'p' => "Procedure",
        other => panic!("prokind {other}"),
    };
    let volatility = match row.byte("provolatile") {
        'i' => "Immutable",
        's' => "Stable",
        'v' => "Volatile",
        other => panic!("provolatile {other}"),
    };
    let language = match row.number("prolang") {
        12 => "Internal",
        13 => "C",
        14 => "Sql",
        other => panic!("prolang {other}"),
    };
    format!(
        "FunctionRow {{ oid: Oid({}), name: {:?}, namespace: Oid({}), kind: FunctionKind::{kind}, \
         language: FunctionLanguage::{language}, result: Oid({}), returns_set: {}, strict: {}, \
         volatility: Volatility::{volatility}, arguments: &[{}], variadic: Oid({}), defaults: &[{}], \
         all_arguments: &[{}], modes: b\"{}\", names: &[{}], source: {:?} }}",
        row.number("oid"),
        row.text("proname"),
        row.number("pronamespace"),
        row.number("prorettype"),
        row.flag("proretset"),
        row.flag("proisstrict"),
        oids(&row.list("proargtypes")),
        row.number("provariadic"),
        strings(defaults),
        oids(&row.list("proallargtypes")),
        row.list("proargmodes").concat(),
        strings(&row.list("proargnames")),
        row.text("prosrc"),
    )
}

fn operators() -> String {
    let procedures = Table::read("pg_proc");
    let mut by_signature: HashMap<(String, String), i64> = HashMap::new();
    for row in procedures.rows() {
        let key = (row.text("proname").to_owned(), row.text("proargtypes").to_owned());
        by_signature.insert(key, row.number("oid"));
    }
    let table = Table::read("pg_operator");
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| (row.text("oprname").to_owned(), row.number("oid")));
    let literals: Vec<String> =
        rows.iter().map(|row| operator_literal(row, &by_signature)).collect();
    let mut by_oid: Vec<usize> = (0..rows.len()).collect();
    by_oid.sort_by_key(|&at| rows[at].number("oid"));
    let oids: Vec<String> = by_oid.iter().map(usize::to_string).collect();
    array("OPERATORS", "OperatorRow", &literals) + &array("BY_OID", "u16", &oids)
}

fn operator_literal(row: &Row, functions: &HashMap<(String, String), i64>) -> String {
    let (left, right) = (row.number("oprleft"), row.number("oprright"));
    let arguments = if left == 0 { right.to_string() } else { format!("{left} {right}") };
    let name = row.text("oprcode").trim_start_matches("pg_catalog.").to_owned();
    let function = functions.get(&(name, arguments));
    let function = function.unwrap_or_else(|| panic!("no function for {}", row.text("oprcode")));
    format!(
        "OperatorRow {{ oid: Oid({}), name: {:?}, left: Oid({left}), right: Oid({right}), result: Oid({}), \
         function: Oid({function}), commutator: Oid({}), negator: Oid({}) }}",
        row.number("oid"),
        row.text("oprname"),
        row.number("oprresult"),
        row.number("oprcom"),
        row.number("oprnegate"),
    )
}

fn casts() -> String {
    let table = Table::read("pg_cast");
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| (row.number("castsource"), row.number("casttarget")));
    let literals: Vec<String> = rows
        .iter()
        .map(|row| {
            let context = match row.byte("castcontext") {
                'i' => "Implicit",
                'a' => "Assignment",
                'e' => "Explicit",
                other => panic!("castcontext {other}"),
            };
            let method = match row.byte("castmethod") {
                'f' => "Function",
                'b' => "Binary",
                'i' => "InOut",
                other => panic!("castmethod {other}"),
            };
            format!(
                "CastRow {{ source: Oid({}), target: Oid({}), function: Oid({}), context: CastContext::{context}, \
                 method: CastMethod::{method} }}",
                row.number("castsource"),
                row.number("casttarget"),
                row.number("castfunc"),
            )
        })
        .collect();
    array("CASTS", "CastRow", &literals)
}

/// `pg_aggregate` names its functions without their arguments; kind and direct arguments do not differ between overloads.
fn aggregates() -> String {
    let mut by_name: HashMap<String, (char, i64)> = HashMap::new();
    for row in Table::read("pg_aggregate").rows() {
        let name = row.text("aggfnoid").trim_start_matches("pg_catalog.").to_owned();
        let value = (row.byte("aggkind"), row.number("aggnumdirectargs"));
        let earlier = by_name.insert(name, value);
        assert!(earlier.is_none_or(|earlier| earlier == value), "overloads differ in kind");
    }
    let table = Table::read_with_own("pg_proc");
    let mut rows: Vec<Row> = table.rows().filter(|row| row.text("prokind") == "a").collect();
    rows.sort_by_key(|row| row.number("oid"));
    let literals: Vec<String> = rows
        .iter()
        .map(|row| {
            let (kind, direct) = by_name[row.text("proname")];
            let kind = match kind {
                'n' => "Normal",
                'o' => "OrderedSet",
                'h' => "Hypothetical",
                other => panic!("aggkind {other}"),
            };
            format!(
                "AggregateRow {{ function: Oid({}), kind: AggregateKind::{kind}, direct_arguments: {direct} }}",
                row.number("oid"),
            )
        })
        .collect();
    array("AGGREGATES", "AggregateRow", &literals)
}

fn ranges() -> String {
    let table = Table::read("pg_range");
    let literals: Vec<String> = table
        .rows()
        .map(|row| {
            format!(
                "RangeRow {{ range: Oid({}), subtype: Oid({}), multirange: Oid({}) }}",
                row.number("rngtypid"),
                row.number("rngsubtype"),
                row.number("rngmultitypid"),
            )
        })
        .collect();
    array("RANGES", "RangeRow", &literals)
}

/// Types with a default btree or hash operator class: these can be sorted, or at least compared for equality.
fn ordering() -> String {
    let table = Table::read("pg_opclass");
    let input_types = |method: i64| {
        let chosen =
            table.rows().filter(|row| row.number("opcmethod") == method && row.flag("opcdefault"));
        let mut types: Vec<i64> = chosen.map(|row| row.number("opcintype")).collect();
        types.sort_unstable();
        types.iter().map(|oid| format!("Oid({oid})")).collect::<Vec<String>>()
    };
    array("BTREE", "Oid", &input_types(403)) + &array("HASH", "Oid", &input_types(405))
}

fn relations() -> String {
    let table = Table::read_with_own("columns");
    let mut relations: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
    for row in table.rows() {
        let key = (row.text("relation").to_owned(), row.text("schema").to_owned());
        relations.entry(key).or_default().push(row);
    }
    let literals: Vec<String> = relations
        .iter_mut()
        .map(|((name, schema), rows)| {
            rows.sort_by_key(|row| row.number("attnum"));
            let view = rows[0].text("relkind") == "v";
            let mut columns = String::new();
            for row in rows.iter() {
                let written = write!(
                    columns,
                    "ColumnRow {{ attnum: {}, name: {:?}, type_oid: Oid({}), typmod: {}, not_null: {} }},",
                    row.number("attnum"),
                    row.text("attname"),
                    row.number("typoid"),
                    row.number("atttypmod"),
                    row.flag("attnotnull"),
                );
                written.expect("a String takes all");
            }
            format!(
                "RelationRow {{ oid: Oid({}), schema: {schema:?}, name: {name:?}, view: {view}, columns: &[{columns}] }}",
                rows[0].number("reloid"),
            )
        })
        .collect();
    array("RELATIONS", "RelationRow", &literals)
}

fn settings() -> String {
    let table = Table::read("pg_settings");
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| row.text("name").to_lowercase());
    let literals: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "SettingRow {{ name: {:?}, setting: {:?}, unit: {:?}, category: {:?}, context: {:?}, kind: {:?}, \
                 min: {:?}, max: {:?}, enum_values: &[{}], boot_value: {:?}, reset_value: {:?} }}",
                row.text("name"),
                row.optional("setting"),
                row.optional("unit"),
                row.text("category"),
                row.text("context"),
                row.text("vartype"),
                row.optional("min_val"),
                row.optional("max_val"),
                strings(&row.list("enumvals")),
                row.optional("boot_val"),
                row.optional("reset_val"),
            )
        })
        .collect();
    array("SETTINGS", "SettingRow", &literals)
}

fn keywords() -> String {
    let table = Table::read("pg_get_keywords");
    let mut rows: Vec<Row> = table.rows().collect();
    rows.sort_by_key(|row| row.text("word").to_owned());
    let literals: Vec<String> = rows
        .iter()
        .map(|row| {
            let category = match row.byte("catcode") {
                'U' => "Unreserved",
                'C' => "ColumnName",
                'T' => "TypeOrFunctionName",
                'R' => "Reserved",
                other => panic!("catcode {other}"),
            };
            format!(
                "Keyword {{ word: {:?}, category: KeywordCategory::{category}, bare_label: {} }}",
                row.text("word"),
                row.flag("barelabel"),
            )
        })
        .collect();
    array("KEYWORDS", "Keyword", &literals)
}
