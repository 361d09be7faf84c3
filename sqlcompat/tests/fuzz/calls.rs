//! Calls of built-in functions and operators on values at the edges of their types.

use trellis_sqlcompat::Oid;
use trellis_sqlcompat::builtin::{self, FunctionKind, FunctionRow};

use super::random::Random;

/// A query that calls a function, an operator or a cast.
pub(crate) fn call(random: &mut Random) -> String {
    match random.below(10) {
        0..=2 => operator(random),
        3 => cast(random),
        _ => function(random),
    }
}

fn operator(random: &mut Random) -> String {
    let rows = builtin::operators();
    let row = &rows[random.below(rows.len())];
    let right = argument(random, row.right);
    if row.left == Oid(0) {
        return format!("SELECT {} {right}", row.name);
    }
    format!("SELECT {} {} {right}", argument(random, row.left), row.name)
}

fn cast(random: &mut Random) -> String {
    let types = builtin::types();
    let (from, to) = (&types[random.below(types.len())], &types[random.below(types.len())]);
    let suffix = ["", "[]", "(1)", "(2,1)", "(1000)", "(0)", "[][]"][random.below(7)];
    format!("SELECT {}::{}{suffix}", argument(random, from.oid), to.name)
}

fn function(random: &mut Random) -> String {
    let rows = builtin::functions();
    let row = &rows[random.below(rows.len())];
    let arguments: Vec<String> = row.arguments.iter().map(|it| argument(random, *it)).collect();
    let call = format!("{}({})", row.name, arguments.join(", "));
    let call = match row.kind {
        FunctionKind::Window => format!("{call} OVER (ORDER BY 1)"),
        FunctionKind::Aggregate => aggregate(random, row, &arguments),
        FunctionKind::Plain | FunctionKind::Procedure => call,
    };
    if row.returns_set && random.once_in(2) {
        return format!("SELECT * FROM {call} LIMIT 20");
    }
    format!("SELECT {call} LIMIT 20")
}

fn aggregate(random: &mut Random, row: &FunctionRow, arguments: &[String]) -> String {
    let list = arguments.join(", ");
    let name = row.name;
    match random.below(5) {
        0 => format!("{name}(DISTINCT {list})"),
        1 => format!("{name}({list}) OVER (ORDER BY 1)"),
        2 if !arguments.is_empty() => format!("{name}({list} ORDER BY {})", arguments[0]),
        3 => match arguments.split_last() {
            Some((last, direct)) => {
                format!("{name}({}) WITHIN GROUP (ORDER BY {last})", direct.join(", "))
            }
            None => format!("{name}(*)"),
        },
        _ if arguments.is_empty() => format!("{name}(*)"),
        _ => format!("{name}({list})"),
    }
}

/// A value of a type, as an expression.
fn argument(random: &mut Random, oid: Oid) -> String {
    if random.once_in(12) {
        return ["NULL", "$1", "'x'", "''", "0"][random.below(5)].to_owned();
    }
    let Some(row) = builtin::type_by_oid(oid) else { return "NULL".to_owned() };
    let name = match row.name {
        "any" | "anyelement" | "anynonarray" | "anycompatible" | "anycompatiblenonarray" => {
            ["int4", "text", "numeric", "jsonb", "date", "bool", "uuid"][random.below(7)]
        }
        "anyarray" | "anycompatiblearray" => {
            ["_int4", "_text", "_numeric", "_bytea"][random.below(4)]
        }
        "anyrange" | "anycompatiblerange" => {
            ["int4range", "numrange", "tstzrange"][random.below(3)]
        }
        "anymultirange" | "anycompatiblemultirange" => "int4multirange",
        "anyenum" => "mood",
        "internal" | "trigger" | "record" | "cstring" => return "ROW(1, 'a', NULL)".to_owned(),
        name => name,
    };
    if let Some(element) = name.strip_prefix('_') {
        return array(random, element);
    }
    let values = values(name);
    format!("'{}'::{name}", values[random.below(values.len())])
}

fn array(random: &mut Random, element: &str) -> String {
    let values = values(element);
    let mut value = || values[random.below(values.len())].replace(['\\', '"'], "");
    let (one, other) = (value(), value());
    match random.below(6) {
        0 => format!("'{{}}'::{element}[]"),
        1 => format!("'{{NULL}}'::{element}[]"),
        2 => format!("'{{{{\"{one}\"}},{{\"{other}\"}}}}'::{element}[]"),
        3 => format!("ARRAY['{one}'::{element}, NULL]"),
        _ => format!("'{{\"{one}\",\"{other}\",NULL}}'::{element}[]"),
    }
}

/// Texts of values of types, ordinary ones and those at their edges.
const VALUES: &[(&[&str], &[&str])] = &[
    (&["bool"], &["t", "f"]),
    (&["int2"], &["0", "1", "-1", "32767", "-32768", "7"]),
    (&["int4"], &["0", "1", "-1", "2147483647", "-2147483648", "3", "100"]),
    (&["int8"], &["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "64"]),
    (&["oid", "xid", "cid", "xid8"], &["0", "1", "4294967295", "16384"]),
    (
        &["numeric"],
        &[
            "0",
            "1",
            "-1.5",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e1000",
            "1e-1000",
            "0.00000000001",
            "99999999999999999999999999999999999999.9",
            "1e131071",
            "2",
            "0.5",
            "-0.1",
        ],
    ),
    (
        &["float4", "float8"],
        &["0", "-0", "1", "-1.5", "NaN", "Infinity", "-Infinity", "1e30", "1e-30", "0.1"],
    ),
    (&["money"], &["0", "1.25", "-92233720368547758.08", "92233720368547758.07"]),
    (
        &["date"],
        &["2000-01-01", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2024-02-29"],
    ),
    (
        &["timestamp", "timestamptz"],
        &[
            "2000-01-01",
            "infinity",
            "-infinity",
            "4713-01-01 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "2024-02-29 12:34:56.789",
        ],
    ),
    (&["time", "timetz"], &["00:00", "24:00:00", "12:34:56.789", "23:59:59.999999"]),
    (
        &["interval"],
        &[
            "0",
            "1 day",
            "-1 mon 2 days -3:04:05.6",
            "178000000 years",
            "-178000000 years",
            "2147483647 days",
            "1 us",
            "2147483647 mons",
        ],
    ),
    (&["uuid"], &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    (
        &["json", "jsonb"],
        &[
            "null",
            "1",
            "\"a\"",
            "[]",
            "{}",
            "[1,[2,{\"a\":null}],\"b\"]",
            "{\"a\":{\"b\":[1,2]},\"c\":1e400}",
            "1e-400",
            "true",
        ],
    ),
    (
        &["jsonpath"],
        &[
            "$",
            "$.a",
            "strict $[*] ? (@ > 1)",
            "$.**",
            "$.a.keyvalue()",
            "-$",
            "lax $[last]",
            "$.a.datetime()",
        ],
    ),
    (&["bytea"], &["", "\\x", "\\x00ff", "abc", "\\x0123456789abcdef"]),
    (&["bit", "varbit"], &["", "0", "1", "10110", "1111111111111111111111111111111111"]),
    (
        &["inet", "cidr"],
        &["0.0.0.0/0", "10.0.0.0/8", "::/0", "192.168.1.1", "ffff:ffff::/32", "255.255.255.255"],
    ),
    (&["macaddr"], &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"]),
    (&["macaddr8"], &["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"]),
    (
        &["int4range", "int8range"],
        &["empty", "[1,5)", "(,)", "[-2147483648,2147483647)", "[3,)", "(,3]"],
    ),
    (&["numrange"], &["empty", "[1.5,2.5]", "(,)", "[NaN,NaN]", "(-Infinity,Infinity)"]),
    (
        &["daterange", "tsrange", "tstzrange"],
        &["empty", "[2000-01-01,2001-01-01)", "(,)", "[-infinity,infinity]"],
    ),
    (
        &["int4multirange", "int8multirange", "nummultirange"],
        &["{}", "{[1,3),[5,9)}", "{(,)}", "{[3,)}"],
    ),
    (
        &["datemultirange", "tsmultirange", "tstzmultirange"],
        &["{}", "{[2000-01-01,2001-01-01)}", "{(,)}"],
    ),
    (&["mood"], &["sad", "ok", "happy"]),
    (&["regclass"], &["pg_class", "everything", "0", "nosuch"]),
    (&["regtype"], &["int4", "text[]", "0", "nosuch"]),
    (
        &["regproc", "regprocedure", "regoper", "regoperator", "regnamespace", "regrole"],
        &["0", "1", "now"],
    ),
    (&["pg_lsn"], &["0/0", "FFFFFFFF/FFFFFFFF", "1/2"]),
    (&["tid"], &["(0,0)", "(1,2)", "(4294967295,65535)"]),
    (&["int2vector", "oidvector"], &["", "1 2 3", "0"]),
    (&["char"], &["a", "", "z"]),
    (&["void"], &[""]),
];

/// Texts for every other type.
const OTHER_VALUES: &[&str] = &[
    "",
    "a",
    "abc",
    "A b C",
    "%",
    "a%b_",
    "\\",
    "é",
    "日本語",
    "{}",
    "0",
    "1",
    "-5",
    "YYYY-MM-DD",
    "FM999.99",
    "(a|b)*c",
    "day",
    "UTC",
    "Europe/Paris",
    "hex",
    "base64",
    "escape",
    "UTF8",
    "public.everything",
    "2000-01-01",
];

fn values(name: &str) -> &'static [&'static str] {
    let found = VALUES.iter().find(|(names, _)| names.contains(&name));
    found.map_or(OTHER_VALUES, |(_, values)| values)
}
