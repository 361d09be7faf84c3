use std::fmt::Write as _;
use std::fs;

use sqlparser::ast::Expr;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::*;
use crate::bind::{Parameters, bind_scalar_expression};
use crate::schema::{
    Catalog, Column, ColumnGeneration, DomainType, EnumType, Namespace, ObjectId, UserType,
};
use crate::settings::FormatSettings;

const MOOD: Oid = Oid(20000);
const POSINT: Oid = Oid(20010);
const PUBLIC: Oid = Oid(2200);

fn catalog() -> Catalog {
    let id = ObjectId(0);
    let mut catalog = Catalog::default();
    let public = Namespace { id, oid: PUBLIC, name: "public".to_owned() };
    catalog.namespaces.insert("public".to_owned(), public);
    let labels = ["sad", "ok", "happy"];
    let mood = EnumType {
        id,
        oid: MOOD,
        array_oid: Oid(20001),
        namespace: PUBLIC,
        name: "mood".to_owned(),
        labels: labels.iter().map(|label| (Oid(0), (*label).to_owned())).collect(),
        renamed: Default::default(),
    };
    catalog.types.insert(MOOD, UserType::Enum(mood));
    let posint = DomainType {
        id,
        oid: POSINT,
        array_oid: Oid(20011),
        namespace: PUBLIC,
        name: "posint".to_owned(),
        base_type: Oid::INT4,
        typmod: -1,
        not_null: false,
        default: None,
        checks: Vec::new(),
    };
    catalog.types.insert(POSINT, UserType::Domain(posint));
    catalog
}

/// The table that the answers were recorded over.
const COLUMNS: [(&str, Oid, i32); 23] = [
    ("a", Oid::INT4, -1),
    ("b", Oid::INT8, -1),
    ("c", Oid::TEXT, -1),
    ("v", Oid::VARCHAR, 14),
    ("n", Oid::NUMERIC, 655_366),
    ("bo", Oid::BOOL, -1),
    ("ts", Oid::TIMESTAMPTZ, -1),
    ("tz", Oid::TIMESTAMP, -1),
    ("d", Oid::DATE, -1),
    ("tags", Oid::TEXT_ARRAY, -1),
    ("j", Oid::JSONB, -1),
    ("m", MOOD, -1),
    ("u", Oid::UUID, -1),
    ("p", POSINT, -1),
    ("f", Oid::FLOAT8, -1),
    ("r", Oid::FLOAT4, -1),
    ("ch", Oid::BPCHAR, 7),
    ("s", Oid::INT2, -1),
    ("iv", Oid::INTERVAL, -1),
    ("nm", Oid::NAME, -1),
    ("by", Oid::BYTEA, -1),
    ("Mixed", Oid::INT4, -1),
    ("order", Oid::TEXT, -1),
];

fn parse(text: &str) -> Result<Expr, String> {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text);
    parser.and_then(|mut parser| parser.parse_expr()).map_err(|error| error.to_string())
}

fn columns() -> Vec<Column> {
    let made = COLUMNS.iter().map(|&(name, type_oid, typmod)| Column {
        id: ObjectId(0),
        attnum: 1,
        name: name.to_owned(),
        physical_name: name.to_owned(),
        type_oid,
        typmod,
        collation: None,
        not_null: false,
        default: None,
        generation: ColumnGeneration::Plain,
        missing: None,
        using: None,
    });
    made.collect()
}

fn answer(
    text: &str,
    columns: &[Column],
    expected: Option<Oid>,
    cx: &BindContext<'_>,
) -> Result<String, String> {
    let scope = ScalarScope::Table { name: "x", columns };
    deparse_expression(&parse(text)?, scope, expected, cx)
        .map_err(|error| format!("{} {}", error.state, error.message))
}

/// The type that the binder gives an expression.
fn bound(text: &str, columns: &[Column], cx: &BindContext<'_>) -> Result<Oid, String> {
    let scope = ScalarScope::Table { name: "x", columns };
    bind_scalar_expression(&parse(text)?, text, scope, None, cx)
        .map(|bound| bound.type_oid)
        .map_err(|error| format!("{} {}", error.state, error.message))
}

/// Recorded texts equal ours, and ours mean the same when they are read again.
#[test]
fn expressions_read_as_postgresql_shows_them() {
    let catalog = catalog();
    let search_path = ["public".to_owned()];
    let settings = FormatSettings::default();
    let cx = BindContext {
        catalog: &catalog,
        search_path: &search_path,
        user: "u",
        database: "d",
        settings: &settings,
        parameters: Parameters::None,
    };
    let recorded = fs::read_to_string("testscripts/deparse/answers.tsv").expect("recorded answers");
    let columns = columns();
    let mut report = String::new();
    for line in recorded.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, written, shown] = fields[..] else { panic!("bad line {line:?}") };
        let expected = match kind {
            "expression" => None,
            name => {
                let expr = parse(&format!("NULL::{name}")).expect("a type name");
                let Expr::Cast { data_type, .. } = expr else { panic!("no cast") };
                Some(Binder::new(&cx, "").data_type(&data_type).expect("a type").0)
            }
        };
        let given = answer(written, &columns, expected, &cx).unwrap_or_else(|error| error);
        let given = if kind == "expression" { format!("({given} IS NOT NULL)") } else { given };
        // A cast of ARRAY[…] moves into its elements when it is read again, as it does in PostgreSQL.
        let once = answer(&given, &columns, expected, &cx).unwrap_or_else(|error| error);
        let again = answer(&once, &columns, expected, &cx).unwrap_or_else(|error| error);
        if given.replace('\n', "\\n") != shown {
            writeln!(report, "{written}\n  PostgreSQL: {shown}\n  ours: {given}").expect("text");
        } else if again != once || (once != given && !given.contains("ARRAY")) {
            writeln!(report, "{written}\n  ours: {given}\n  read back: {again}").expect("text");
        }
        let (before, after) = (bound(written, &columns, &cx), bound(&given, &columns, &cx));
        let meant = kind == "expression" && before.is_ok();
        if meant && after != Ok(Oid::BOOL) {
            writeln!(report, "{written}\n  bound: {before:?}\n  {given}: {after:?}").expect("text");
        }
    }
    assert!(report.is_empty(), "{report}");
}
