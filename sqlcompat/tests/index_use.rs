//! Where PostgreSQL would use an index, the lowered SQL lets SQLite use one: `EXPLAIN QUERY PLAN` of each form of condition and
//! order, over a column of each type that has an order.

mod session;

use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::{DatumRef, bind, parse};

use session::{Session, datum, steps};

/// Types that have an order, with a literal of each.
const TYPES: &[(&str, &str)] = &[
    ("bool", "true"),
    ("int2", "1"),
    ("int4", "1"),
    ("int8", "1"),
    ("oid", "1"),
    ("float4", "1.5"),
    ("float8", "1.5"),
    ("numeric", "1.5"),
    ("numeric(10,2)", "1.5"),
    ("money", "'1.5'"),
    ("text", "'a'"),
    ("varchar", "'a'"),
    ("varchar(20)", "'a'"),
    ("char(5)", "'a'"),
    ("name", "'a'"),
    ("bytea", "'\\x00'"),
    ("date", "'2024-01-01'"),
    ("time", "'12:00'"),
    ("timetz", "'12:00+00'"),
    ("timestamp", "'2024-01-01'"),
    ("timestamptz", "'2024-01-01'"),
    ("interval", "'1 day'"),
    ("uuid", "'00000000-0000-0000-0000-000000000000'"),
    ("jsonb", "'1'"),
    ("bit(4)", "'1010'"),
    ("varbit", "'1010'"),
    ("inet", "'10.0.0.1'"),
    ("cidr", "'10.0.0.0/8'"),
    ("macaddr", "'08:00:2b:01:02:03'"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'"),
    ("pg_lsn", "'0/1'"),
    ("int4range", "'[1,2)'"),
    ("tstzrange", "'[2024-01-01,2024-01-02)'"),
    ("int4multirange", "'{[1,2)}'"),
    ("int4[]", "'{1}'"),
    ("text[]", "'{a}'"),
    ("numeric[]", "'{1}'"),
    ("mood", "'ok'"),
    ("small", "1"),
];

/// A part of statements of a type that PostgreSQL refuses, or that no index serves here: enums are stored by their labels, whose
/// order changes with ALTER TYPE.
const NOT_SERVED: &[(&str, &[&str])] = &[
    ("mood", &[" > ", " <= ", " < ", "BETWEEN", "ORDER BY", "min(", "max("]),
    ("small", &["ANY ("]),
    ("int4[]", &["ANY ("]),
    ("text[]", &["ANY ("]),
    ("numeric[]", &["ANY ("]),
];

/// Types that `min` and `max` take.
const WITHOUT_EXTREMES: &[&str] = &[
    "bool",
    "name",
    "bytea",
    "uuid",
    "jsonb",
    "bit(4)",
    "varbit",
    "cidr",
    "macaddr",
    "macaddr8",
    "int4range",
    "tstzrange",
    "int4multirange",
];

/// What a plan must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// No table is read from its beginning to its end.
    Search,
    /// Nothing is sorted.
    Order,
}

/// Scans of what is no table.
const CONSTANT: &[&str] = &["VIRTUAL TABLE", "CONSTANT ROW", "VALUES CLAUSE"];

/// SQLite's plan of a statement, or why there is none.
fn plan_lines(session: &Session, sql: &str) -> Vec<String> {
    let planned = parse::split(sql).and_then(|it| bind::plan(&it[0], &session.context()));
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => return vec![format!("SCAN {} {}", error.state, error.message)],
    };
    let mut lines = Vec::new();
    for step in steps(&plan.kind) {
        let mut statement =
            match session.sqlite.prepare(&format!("EXPLAIN QUERY PLAN {}", step.sql)) {
                Ok(statement) => statement,
                Err(error) => return vec![format!("SCAN {error}")],
            };
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().expect("a plan") {
            if let DatumRef::Text(line) = datum(row.get_ref_unwrap(3)) {
                lines.push(line.to_owned());
            }
        }
    }
    lines
}

fn is_as_wanted(lines: &[String], wanted: Wanted) -> bool {
    let scans =
        |line: &String| line.starts_with("SCAN") && !CONSTANT.iter().any(|it| line.contains(it));
    let sorts = |line: &String| line.contains("USE TEMP B-TREE") || line.contains("AUTOMATIC");
    match wanted {
        Wanted::Search => !lines.iter().any(|it| scans(it) || sorts(it)),
        Wanted::Order => !lines.iter().any(sorts),
    }
}

fn define(session: &mut Session, sql: &str) {
    for statement in parse::split(sql).expect(sql) {
        let plan = bind::plan(&statement, &session.context());
        let plan = plan.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let PlanKind::Schema(schema) = plan.kind else { panic!("not DDL: {sql}") };
        session.define(&schema).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn check(session: &Session, cases: &[(String, Wanted)]) -> String {
    let wrong = cases.iter().filter_map(|(sql, wanted)| {
        let lines = plan_lines(session, sql);
        (!is_as_wanted(&lines, *wanted)).then(|| format!("{sql}\n    {}\n", lines.join("\n    ")))
    });
    wrong.collect()
}

/// Statements over a table `x` of a nullable column `k` and one `n` that is not, both with an index.
fn forms(type_name: &str, literal: &str) -> Vec<(String, Wanted)> {
    use Wanted::{Order, Search};
    let mut forms = Vec::new();
    let mut add = |sql: &str, wanted| {
        for value in ["$1", literal] {
            forms.push((sql.replace("%v", value).replace("%t", type_name), wanted));
        }
    };
    for column in ["k", "n"] {
        for condition in [
            "= %v",
            "IN (%v, %v)",
            "> %v",
            "<= %v",
            "BETWEEN %v AND %v",
            "= ANY (ARRAY[%v, %v]::%t[])",
            "IS NULL",
            "= (SELECT k FROM x WHERE o = 1 LIMIT 1)",
            "IN (SELECT n FROM x WHERE o = 1)",
            "IS NOT DISTINCT FROM %v",
        ] {
            if condition == "IS NULL" && column == "n" {
                continue;
            }
            add(&format!("SELECT o FROM x WHERE {column} {condition}"), Search);
        }
        add(&format!("SELECT o FROM x WHERE %v = {column}"), Search);
        add(&format!("SELECT o FROM x WHERE %v < {column} AND {column} < %v"), Search);
        add(&format!("SELECT o FROM x WHERE {column} = %v OR {column} = %v"), Search);
        add(&format!("UPDATE x SET o = 1 WHERE {column} = %v"), Search);
        add(&format!("DELETE FROM x WHERE {column} = %v RETURNING *"), Search);
        for order in ["", " DESC", " NULLS FIRST", " NULLS LAST", " DESC NULLS LAST"] {
            add(&format!("SELECT * FROM x ORDER BY {column}{order} LIMIT 10"), Order);
            add(&format!("SELECT {column} AS z FROM x ORDER BY 1{order} LIMIT 10"), Order);
            add(
                &format!("SELECT {column} FROM x WHERE {column} > %v ORDER BY {column}{order}"),
                Search,
            );
        }
        add(&format!("SELECT DISTINCT {column} FROM x"), Order);
        add(&format!("SELECT {column}, count(*) FROM x GROUP BY {column}"), Order);
        add(
            &format!("SELECT a.o FROM x a JOIN x b ON a.{column} = b.{column} WHERE a.o = 1"),
            Search,
        );
        add(&format!("SELECT a.o FROM x a LEFT JOIN x b USING ({column}) WHERE a.o = 1"), Search);
        add(
            &format!(
                "SELECT a.o FROM x a WHERE a.o = 1 AND EXISTS (SELECT FROM x b WHERE b.{column} = a.{column})"
            ),
            Search,
        );
        add(&format!("SELECT o FROM x WHERE ({column}, o) > (%v, 1)"), Search);
        add(&format!("SELECT o FROM x WHERE ({column}, o) = (%v, 1)"), Search);
        add(&format!("SELECT o FROM x WHERE ({column}, o) IN ((%v, 1), (%v, 2))"), Search);
        if !WITHOUT_EXTREMES.contains(&type_name) {
            add(&format!("SELECT min({column}) FROM x"), Search);
            add(&format!("SELECT max({column}) FROM x"), Search);
        }
    }
    add("SELECT * FROM x ORDER BY o, n LIMIT 10", Order);
    add("SELECT * FROM x ORDER BY o DESC, n DESC LIMIT 10", Order);
    add("SELECT * FROM x WHERE o = 1 ORDER BY n LIMIT 10", Search);
    add("SELECT * FROM x WHERE o = 1 ORDER BY n DESC LIMIT 10", Search);
    add("SELECT * FROM x WHERE o = 1 AND n > %v ORDER BY n LIMIT 10", Search);
    let not_served = NOT_SERVED.iter().find(|(name, _)| *name == type_name);
    let parts = not_served.map_or(&[][..], |(_, parts)| parts);
    forms.retain(|(sql, _)| !parts.iter().any(|part| sql.contains(part)));
    forms
}

#[test]
fn every_type_is_searched_and_ordered_by_index() {
    let mut report = String::new();
    for (type_name, literal) in TYPES {
        let mut session = Session::new();
        define(&mut session, "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')");
        define(&mut session, "CREATE DOMAIN small AS int CHECK (VALUE < 100)");
        define(
            &mut session,
            &format!("CREATE TABLE x (o int NOT NULL, k {type_name}, n {type_name} NOT NULL)"),
        );
        for index in ["k, o", "n, o", "o, n"] {
            define(&mut session, &format!("CREATE INDEX ON x ({index})"));
        }
        let wrong = check(&session, &forms(type_name, literal));
        if !wrong.is_empty() {
            report.push_str(&format!("{type_name}\n{wrong}"));
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// Tables with indexes of the more particular kinds.
const PARTICULAR: &[&str] = &[
    "CREATE TABLE p (i4 int4 PRIMARY KEY, i8 int8, i2 int2, t text, v varchar(30), c char(8), n numeric, u uuid, d date, \
     ts timestamp, tstz timestamptz, f8 float8, b bool NOT NULL, j jsonb, note text)",
    "CREATE UNIQUE INDEX ON p (i8)",
    "CREATE INDEX ON p (i2)",
    "CREATE INDEX ON p (t)",
    "CREATE INDEX ON p (v)",
    "CREATE INDEX ON p (c)",
    "CREATE INDEX ON p (n)",
    "CREATE INDEX ON p (u)",
    "CREATE INDEX ON p (d)",
    "CREATE INDEX ON p (ts)",
    "CREATE INDEX ON p (tstz)",
    "CREATE INDEX ON p (f8)",
    "CREATE INDEX ON p (lower(t))",
    "CREATE INDEX ON p ((n * 2))",
    "CREATE INDEX ON p ((j ->> 'name'))",
    "CREATE INDEX ON p (note) WHERE b",
    "CREATE UNIQUE INDEX ON p (note) WHERE n > 5",
    "CREATE INDEX ON p (note, t DESC, i4)",
    "CREATE TABLE q (id int8 PRIMARY KEY, p int4 REFERENCES p (i4) ON DELETE CASCADE, n numeric, t varchar, b bool)",
    "CREATE INDEX ON q (p)",
    "CREATE INDEX ON q (n, t)",
    "CREATE TABLE two (a int, b text, c int, PRIMARY KEY (a, b))",
];

/// Statements that search.
const SEARCHES: &[&str] = &[
    "SELECT * FROM p WHERE t LIKE 'ab%'",
    "SELECT * FROM p WHERE t LIKE 'ab%c_'",
    "SELECT * FROM p WHERE v LIKE 'ab%'",
    "SELECT * FROM p WHERE t LIKE $1",
    "SELECT * FROM p WHERE v LIKE $1",
    "SELECT * FROM p WHERE t LIKE 'ab'",
    "SELECT * FROM p WHERE t LIKE $1 || '%'",
    "SELECT * FROM p WHERE t LIKE 'a\\_b%'",
    "SELECT * FROM p WHERE t ~ '^ab+'",
    "SELECT * FROM p WHERE lower(t) LIKE lower($1)",
    "SELECT * FROM p WHERE starts_with(t, 'ab')",
    "SELECT * FROM p WHERE t ^@ 'ab'",
    "SELECT * FROM p WHERE t ~ '^ab'",
    "SELECT * FROM p WHERE i4 = $1::int8",
    "SELECT * FROM p WHERE i8 = $1::int4",
    "SELECT * FROM p WHERE i2 = 5",
    "SELECT * FROM p WHERE i2 = $1::int8",
    "SELECT * FROM p WHERE n = 5",
    "SELECT * FROM p WHERE n = $1::int",
    "SELECT * FROM p WHERE n > 5 AND n < $1",
    "SELECT * FROM p WHERE t = $1::varchar",
    "SELECT * FROM p WHERE v = $1::text",
    "SELECT * FROM p WHERE c = 'x'",
    "SELECT * FROM p WHERE d = '2024-01-01'",
    "SELECT * FROM p WHERE d >= current_date - 7",
    "SELECT * FROM p WHERE tstz > now() - interval '1 day'",
    "SELECT * FROM p WHERE tstz >= '2024-01-01' AND tstz < '2024-02-01'",
    "SELECT * FROM p WHERE f8 = 5",
    "SELECT * FROM p WHERE f8 > 1.5 AND f8 < $1",
    "SELECT * FROM p WHERE i4 = ANY ($1)",
    "SELECT * FROM p WHERE i8 = ANY ('{1,2}'::int8[])",
    "SELECT * FROM p WHERE t = ANY ($1)",
    "SELECT * FROM p WHERE v = ANY ($1)",
    "SELECT * FROM p WHERE v = ANY ($1::text[])",
    "SELECT * FROM p WHERE u = ANY ($1)",
    "SELECT * FROM p WHERE u = ANY ($1::uuid[])",
    "SELECT * FROM p WHERE i4 IN (SELECT unnest($1::int4[]))",
    "SELECT p.* FROM p JOIN unnest($1::int4[]) AS k (x) ON p.i4 = k.x",
    "SELECT p.* FROM p JOIN (VALUES (1), (2)) AS k (x) ON p.i4 = k.x",
    "SELECT p.* FROM (VALUES (1), (2)) AS k (x) JOIN p ON p.i4 = k.x",
    "SELECT * FROM p WHERE i4 IN ($1, $2) AND b",
    "SELECT * FROM p WHERE i4 = 1 OR i8 = 2",
    "SELECT * FROM p WHERE t = 'a' OR v = 'b' OR n = 3",
    "SELECT * FROM p WHERE t IS NULL",
    "SELECT * FROM p WHERE lower(t) = 'a'",
    "SELECT * FROM p WHERE lower(t) = lower($1)",
    "SELECT * FROM p WHERE lower(t) LIKE 'a%'",
    "SELECT * FROM p WHERE n * 2 > 10",
    "SELECT * FROM p WHERE j ->> 'name' = 'x'",
    "SELECT * FROM p WHERE j ->> 'name' = $1",
    "SELECT * FROM p WHERE note = 'x' AND b",
    "SELECT * FROM p WHERE note = $1 AND n > 5",
    "SELECT * FROM p WHERE note = $1 AND t > $2",
    "SELECT * FROM p WHERE (i8, i4) > ($1, $2) ORDER BY i8, i4 LIMIT 5",
    "SELECT * FROM two WHERE (a, b) > ($1, $2) ORDER BY a, b LIMIT 5",
    "SELECT * FROM two WHERE (a, b) = ($1, $2)",
    "SELECT * FROM two WHERE (a, b) IN (($1, $2), ($3, $4))",
    "SELECT * FROM two WHERE a = $1 ORDER BY b DESC LIMIT 1",
    "SELECT min(i8) FROM p",
    "SELECT max(n) FROM p",
    "SELECT max(tstz) FROM p",
    "SELECT max(c) FROM two WHERE a = 1 AND b = 'x'",
    "SELECT max(b) FROM two WHERE a = 1",
    "SELECT q.id FROM p JOIN q ON q.p = p.i4 WHERE p.i4 = 1",
    "SELECT q.id FROM p JOIN q ON q.id = p.i4 WHERE p.i4 = 1",
    "SELECT q.id FROM q JOIN p ON p.i4 = q.id WHERE q.id = 1",
    "SELECT q.id FROM p JOIN q ON q.n = p.n WHERE p.i4 = 1",
    "SELECT q.id FROM q JOIN p ON p.t = q.t WHERE q.id = 1",
    "SELECT q.id FROM q JOIN p ON p.v = q.t WHERE q.id = 1",
    "SELECT q.id FROM q LEFT JOIN p ON p.i8 = q.p WHERE q.id = 1",
    "SELECT q.id FROM q LEFT JOIN LATERAL (SELECT * FROM p WHERE p.i4 = q.p) AS x ON true WHERE q.id = 1",
    "SELECT id, (SELECT t FROM p WHERE i4 = q.p) FROM q WHERE id = 1",
    "SELECT id FROM q WHERE id = 1 AND EXISTS (SELECT FROM p WHERE i4 = q.p)",
    "SELECT id FROM q WHERE id = 1 AND NOT EXISTS (SELECT FROM p WHERE i4 = q.p)",
    "SELECT id FROM q WHERE id = 1 AND p IN (SELECT i4 FROM p WHERE t = 'x')",
    "SELECT * FROM (SELECT * FROM p) AS s WHERE i4 = 1",
    "SELECT * FROM (SELECT * FROM p) AS s WHERE n = 1 AND t = 'x'",
    "WITH s AS (SELECT * FROM p) SELECT * FROM s WHERE n > 1 AND n < 2",
    "SELECT * FROM (SELECT i4, n FROM p UNION ALL SELECT p, n FROM q) AS s WHERE n = 1",
    "SELECT * FROM (SELECT i4, n FROM p UNION ALL SELECT p, n FROM q) AS s WHERE i4 = 1",
    "UPDATE p SET t = 'x' WHERE i4 = 1",
    "UPDATE p SET t = 'x' WHERE n = 1 AND c = 'x' RETURNING *",
    "UPDATE p SET t = q.t FROM q WHERE p.i4 = q.p AND q.id = 1",
    "UPDATE p SET t = 'x' WHERE i4 IN (SELECT p FROM q WHERE id = 1)",
    "UPDATE p SET t = v.t FROM (VALUES (1, 'a'), (2, 'b')) AS v (i, t) WHERE p.i4 = v.i",
    "DELETE FROM p WHERE i8 = 1",
    "DELETE FROM p USING q WHERE p.i4 = q.p AND q.id = 1",
    "DELETE FROM p WHERE i4 = ANY ($1)",
    "INSERT INTO p (i4, b) VALUES (1, true) ON CONFLICT (i4) DO UPDATE SET t = excluded.t",
    "INSERT INTO p (i4, b, note) VALUES (1, true, 'x') ON CONFLICT (note) WHERE n > 5 DO NOTHING",
    "SELECT count(*) FROM p WHERE n BETWEEN 1 AND 2",
    "SELECT * FROM p WHERE i4 > $1 ORDER BY i4 LIMIT $2",
    "SELECT * FROM p WHERE i4 = (SELECT max(p) FROM q)",
    "SELECT * FROM p WHERE coalesce(t, '') = '' AND i4 = 1",
    "SELECT * FROM p WHERE i4 = 1 FOR UPDATE",
    "SELECT * FROM p WHERE b AND i4 BETWEEN SYMMETRIC 5 AND 1",
];

/// Statements that do not sort.
const ORDERS: &[&str] = &[
    "SELECT * FROM p ORDER BY i4 LIMIT 5",
    "SELECT * FROM p ORDER BY i4 DESC LIMIT 5",
    "SELECT * FROM p ORDER BY i8 LIMIT 5",
    "SELECT * FROM p ORDER BY n DESC NULLS LAST LIMIT 5",
    "SELECT * FROM p ORDER BY lower(t) LIMIT 5",
    "SELECT t AS x FROM p ORDER BY x LIMIT 5",
    "SELECT * FROM two ORDER BY a, b LIMIT 5",
    "SELECT * FROM two ORDER BY a DESC, b DESC LIMIT 5",
    "SELECT a, count(*) FROM two GROUP BY a",
    "SELECT DISTINCT a FROM two",
    "SELECT a, b FROM two GROUP BY a, b ORDER BY a, b",
    "SELECT p.i4, q.id FROM p LEFT JOIN q ON q.p = p.i4 ORDER BY p.i4 LIMIT 5",
    "SELECT * FROM (SELECT * FROM p) AS s ORDER BY i8 LIMIT 5",
    "SELECT * FROM (SELECT i4, t FROM p ORDER BY i4) AS s LIMIT 5",
    "SELECT a, row_number() OVER (ORDER BY a, b) FROM two LIMIT 5",
    "SELECT * FROM p ORDER BY i4 OFFSET 10 FETCH FIRST 5 ROWS ONLY",
];

#[test]
fn particular_indexes_are_used() {
    let mut session = Session::new();
    for sql in PARTICULAR {
        define(&mut session, sql);
    }
    let cases = |these: &[&str], wanted| -> Vec<(String, Wanted)> {
        these.iter().map(|sql| ((*sql).to_owned(), wanted)).collect()
    };
    let report = check(&session, &cases(SEARCHES, Wanted::Search))
        + &check(&session, &cases(ORDERS, Wanted::Order));
    assert!(report.is_empty(), "{report}");
}
