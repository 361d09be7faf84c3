//! Schema changes and rows on several nodes at once: random histories of SQL, delivered in random interleavings, end in equal
//! schemas and equal rows.
//!
//! Each history is made from a seed; a failure names it, with the statements that had an effect. Statements may be refused,
//! as they are to a client whose node has not heard of a table or column yet, but nothing may fail inside the server, and
//! every transaction is applied in the end.

mod nodes;

use std::fmt::Write;

use nodes::{Node, quiesce, site};
use trellis_replication::store::ApplyOutcome;

/// Histories that are tried.
const SEEDS: std::ops::Range<u64> = 0..8;

/// Histories that have failed: one node adds a generated column, and another one of the same name with values.
const ONCE_FAILED: [u64; 2] = [1101, 1159];

/// Histories with functions, too.
const FUNCTION_SEEDS: std::ops::Range<u64> = 5000..5008;

/// Statements and deliveries of a history.
const STEPS: u64 = 60;

/// A sequence of numbers from a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap_or(0)]
    }
}

/// What most histories begin with.
const PRELUDE: &str = "
    CREATE TABLE t (id int PRIMARY KEY, a int, b text DEFAULT '8', c bigint);
    CREATE TABLE u (id int PRIMARY KEY, a int UNIQUE, b text);
    INSERT INTO t (id, a, c) VALUES (1, 1, 1), (2, 2, 2), (3, 5, 6);
    INSERT INTO u VALUES (1, 1, '1'), (2, 5, '4')";

const TABLES: [&str; 4] = ["t", "u", "t", "v"];
const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];

/// The parts that statements are made of.
struct Parts {
    table: &'static str,
    other: &'static str,
    column: &'static str,
    target: &'static str,
    key: u64,
    value: u64,
}

fn statement(dice: &mut Dice, calls: bool) -> String {
    let parts = Parts {
        table: dice.pick(&TABLES),
        other: dice.pick(&TABLES),
        column: dice.pick(&COLUMNS),
        target: dice.pick(&COLUMNS),
        key: dice.roll(6),
        value: dice.roll(9),
    };
    if calls && dice.roll(3) == 0 {
        return functions(dice, &parts);
    }
    match dice.roll(10) {
        0..4 => rows(dice, &parts),
        4..6 => tables(dice, &parts),
        6..8 => columns(dice, &parts),
        _ => constraints(dice, &parts),
    }
}

/// Changes of rows. Values are such that every change of type can keep them.
fn rows(dice: &mut Dice, parts: &Parts) -> String {
    let Parts { table, column, target, key, value, .. } = parts;
    match dice.roll(10) {
        0..4 => format!("INSERT INTO {table} (id) VALUES ({key})"),
        4 => format!("INSERT INTO {table} ({column}) VALUES ({value})"),
        5 => format!("INSERT INTO {table} (id, {column}, {target}) VALUES ({key}, '{value}', '3')"),
        6..8 => format!("UPDATE {table} SET {column} = '{value}' WHERE id <= {key}"),
        8 => format!("UPDATE {table} SET {column} = NULL WHERE id = {key}"),
        _ => format!("DELETE FROM {table} WHERE id = {key}"),
    }
}

fn tables(dice: &mut Dice, parts: &Parts) -> String {
    let Parts { table, other, column, .. } = parts;
    match dice.roll(12) {
        0..4 => {
            let key = dice.pick(&["int", "text", "numeric"]);
            format!("CREATE TABLE {table} (id {key} PRIMARY KEY, a int, b text DEFAULT '8')")
        }
        4 => format!("CREATE TABLE {table} (id int PRIMARY KEY, a int UNIQUE, c text)"),
        5 => format!("CREATE TABLE {table} (id int, a int, b text CHECK (b <> '7'))"),
        6 | 7 => format!("ALTER TABLE {table} RENAME TO {other}"),
        8 => format!("DROP TABLE {table}"),
        9 => format!("DROP TABLE {table} CASCADE"),
        10 => format!("CREATE VIEW w AS SELECT id, {column} FROM {table}"),
        _ => "DROP VIEW w".to_owned(),
    }
}

fn columns(dice: &mut Dice, parts: &Parts) -> String {
    let Parts { table, column, target, value, .. } = parts;
    match dice.roll(16) {
        0..4 => {
            let kind = dice.pick(&[
                "int",
                "text",
                "bigint DEFAULT 7",
                "bigint DEFAULT 5",
                "numeric DEFAULT 6",
                "text DEFAULT '4'",
                "int NOT NULL DEFAULT 2",
                "mood",
            ]);
            format!("ALTER TABLE {table} ADD COLUMN {column} {kind}")
        }
        4 => format!(
            "ALTER TABLE {table} ADD COLUMN {column} text GENERATED ALWAYS AS (upper({target}::text)) STORED"
        ),
        5 => format!(
            "ALTER TABLE {table} ADD COLUMN {column} int GENERATED ALWAYS AS ({target} + 1) STORED"
        ),
        6 => format!("ALTER TABLE {table} DROP COLUMN {column}"),
        7 => format!("ALTER TABLE {table} DROP COLUMN {column} CASCADE"),
        8..11 => format!("ALTER TABLE {table} RENAME COLUMN {column} TO {target}"),
        11 | 12 => {
            let kind = dice.pick(&["bigint", "text", "numeric", "varchar(40)"]);
            format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
        }
        13 => {
            let change =
                dice.pick(&["SET NOT NULL", "DROP NOT NULL", "DROP DEFAULT", "SET DEFAULT 1"]);
            format!("ALTER TABLE {table} ALTER COLUMN {column} {change}")
        }
        14 => dice
            .pick(&[
                "CREATE TYPE mood AS ENUM ('3', '4')",
                "ALTER TYPE mood ADD VALUE '5'",
                "ALTER TYPE mood RENAME TO humour",
                "DROP TYPE mood CASCADE",
            ])
            .to_owned(),
        _ => format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT '{value}'"),
    }
}

fn constraints(dice: &mut Dice, parts: &Parts) -> String {
    let Parts { table, other, column, target, .. } = parts;
    match dice.roll(16) {
        0 => format!(
            "ALTER TABLE {table} ADD CONSTRAINT q CHECK ({column} IS NULL OR {column} <> '3')"
        ),
        1 => {
            format!("ALTER TABLE {table} ADD CONSTRAINT r CHECK ({column}::text <> {target}::text)")
        }
        2 => format!("ALTER TABLE {table} ADD CONSTRAINT s CHECK ({column} + 1 > 0)"),
        3 | 4 => format!("ALTER TABLE {table} ADD CONSTRAINT k UNIQUE ({column})"),
        5 => format!("ALTER TABLE {table} ADD UNIQUE ({column}, {target})"),
        6 => format!("ALTER TABLE {table} ADD PRIMARY KEY ({column})"),
        7 => format!(
            "ALTER TABLE {table} ADD CONSTRAINT f FOREIGN KEY ({column}) REFERENCES {other} ({target}) ON DELETE CASCADE"
        ),
        8 => format!("ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES {other}"),
        9 => format!("CREATE INDEX i ON {table} ({column}, {target})"),
        10 => format!(
            "CREATE UNIQUE INDEX j ON {table} (lower({column}::text)) WHERE {target} IS NOT NULL"
        ),
        11 => format!("CREATE UNIQUE INDEX j ON {table} ({column} DESC)"),
        12 => format!("CREATE INDEX i ON {table} (({column} + 1))"),
        13 => format!("DROP INDEX {}", dice.pick(&["i", "j"])),
        14 => format!("ALTER TABLE {table} RENAME CONSTRAINT q TO s"),
        _ => {
            let name = dice.pick(&["q", "r", "s", "k", "f"]);
            format!("ALTER TABLE {table} DROP CONSTRAINT {name}")
        }
    }
}

/// Changes of a function, and of what calls it.
fn functions(dice: &mut Dice, parts: &Parts) -> String {
    let Parts { table, column, target, value, .. } = parts;
    match dice.roll(14) {
        0..5 => format!(
            "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + {value}'"
        ),
        5 => "DROP FUNCTION g(int)".to_owned(),
        6 => "DROP FUNCTION g(int) CASCADE".to_owned(),
        7 => "ALTER FUNCTION g(int) RENAME TO h".to_owned(),
        8 | 9 => format!(
            "ALTER TABLE {table} ADD COLUMN {column} int GENERATED ALWAYS AS (g({target})) STORED"
        ),
        10 => format!("ALTER TABLE {table} ADD CONSTRAINT s CHECK (g({column}) > 0)"),
        11 | 12 => format!("CREATE INDEX i ON {table} (g({column}))"),
        _ => format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT g({value})"),
    }
}

/// Plays a history; returns what is wrong in the end, and the statements that had an effect.
fn play(seed: u64) -> (Result<(), String>, String) {
    let mut dice = Dice(seed.wrapping_mul(1_000_003));
    let count = 2 + u8::try_from(seed % 3).unwrap_or(0);
    let made: Result<Vec<_>, _> = (1..=count).map(Node::new).collect();
    let mut nodes = made.expect("nodes are made in empty directories");
    let mut history = String::new();
    // Most histories go on from tables that all have.
    if !seed.is_multiple_of(4) {
        if let Err(error) = nodes[0].sql(PRELUDE) {
            return (Err(error), history);
        }
        quiesce(&nodes);
    }
    for _ in 0..STEPS {
        let at = usize::try_from(dice.roll(u64::from(count))).unwrap_or(0);
        if dice.roll(5) < 2 {
            let (to, origin) = (dice.roll(u64::from(count)), dice.roll(u64::from(count)));
            let (to, origin) =
                (usize::try_from(to).unwrap_or(0), u8::try_from(origin + 1).unwrap_or(1));
            match nodes[at].offer_next(&nodes[to], site(origin)) {
                Some(ApplyOutcome::Applied) => {
                    let _ = writeln!(history, "{origin}: from {} to {}", at + 1, to + 1);
                }
                None | Some(ApplyOutcome::NeedsSchema { .. } | ApplyOutcome::Gap { .. }) => {}
                Some(other) => return (Err(format!("{other:?}")), history),
            }
            continue;
        }
        let sql = statement(&mut dice, FUNCTION_SEEDS.contains(&seed));
        match nodes[at].sql(&sql) {
            Ok(_) => {
                let _ = writeln!(history, "{}: {sql}", at + 1);
            }
            Err(error) if error.starts_with("XX") => {
                return (Err(format!("{}: {sql}: {error}", at + 1)), history);
            }
            Err(_) => {}
        }
    }
    // Showing hidden rows again after local changes is a transaction of each node, and may be news to the others.
    for _ in 0..3 {
        let refused = quiesce(&nodes);
        if !refused.is_empty() {
            return (Err(format!("{refused:?}")), history);
        }
        for node in &nodes {
            if let Err(error) = node.database.store().resolve_conflicts() {
                return (Err(error.to_string()), history);
            }
        }
    }
    (compare(&mut nodes), history)
}

fn compare(nodes: &mut [Node]) -> Result<(), String> {
    let states: Vec<String> = nodes.iter_mut().map(state).collect::<Result<_, String>>()?;
    for (number, state) in (1..).zip(&states) {
        if *state != states[0] {
            return Err(format!("node 1:\n{}\nnode {number}:\n{state}", states[0]));
        }
    }
    let digests = nodes.iter().map(|node| node.database.store().digest());
    let digests = digests.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if digests.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("digests differ: {digests:?}"));
    }
    for node in nodes {
        let findings = node.database.store().check().map_err(|error| error.to_string())?;
        if !findings.is_empty() {
            return Err(format!("{findings:?}"));
        }
    }
    Ok(())
}

/// What else there is: constraints, indexes, views, and what is wrong.
const OBJECTS: &str = "
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL FROM pg_constraint WHERE connamespace = 2200
    UNION ALL SELECT tablename, indexname, indexdef, NULL FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'view', viewname, definition, NULL FROM pg_views WHERE schemaname = 'public'
    UNION ALL SELECT 'function', proname, pg_get_functiondef(oid), NULL FROM pg_proc WHERE pronamespace = 2200
    UNION ALL SELECT table_name, kind, constraint_name, concat(key, other_key, since, row) FROM trellis.conflicts
    ORDER BY 1, 2, 3, 4";

/// The tables of a node, their columns and their rows, as SQL shows them.
fn state(node: &mut Node) -> Result<String, String> {
    let mut state = String::new();
    let columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
                   WHERE table_schema = 'public' ORDER BY table_name, column_name";
    let columns = node.sql(columns)?;
    let tables = node.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200 ORDER BY 1",
    )?;
    for row in columns.iter().chain(&node.sql(OBJECTS)?) {
        let _ = writeln!(state, "{row:?}");
    }
    for table in tables.into_iter().flatten().flatten() {
        let of_table = columns.iter().filter(|row| row[0].as_deref() == Some(&table));
        let names: Vec<_> =
            of_table.map(|row| format!("\"{}\"", row[1].clone().unwrap_or_default())).collect();
        let rows = node.sql(&format!("SELECT {} FROM \"{table}\"", names.join(", ")))?;
        let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
        rows.sort();
        let _ = writeln!(state, "{table} {names:?}\n{}", rows.join("\n"));
    }
    Ok(state)
}

/// Histories to try: [`SEEDS`], or those that `TRELLIS_SEEDS=100..300` says.
fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("TRELLIS_SEEDS").ok();
    let given = given.as_deref().and_then(|given| given.split_once(".."));
    let given = given.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    given.unwrap_or(SEEDS)
}

#[test]
fn histories_of_schema_changes_converge() {
    let mut failures = Vec::new();
    for seed in seeds().chain(ONCE_FAILED).chain(FUNCTION_SEEDS) {
        if let (Err(error), history) = play(seed) {
            failures.push(format!("seed {seed}:\n{history}{error}\n"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {:?} fail\n{}",
        failures.len(),
        seeds(),
        failures.join("\n")
    );
}

/// One node makes a column, an index and a condition of a function that another one replaces.
#[test]
fn what_calls_a_function_follows_it_on_all_nodes() {
    let mut nodes: Vec<Node> =
        (1..=2).map(|id| Node::new(id).expect("made in an empty directory")).collect();
    let function = |value: i32| {
        format!(
            "CREATE OR REPLACE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + {value}'"
        )
    };
    nodes[0].sql(PRELUDE).expect("tables are made");
    nodes[0].sql(&function(1)).expect("the function is made");
    quiesce(&nodes);
    let callers = "ALTER TABLE t ADD COLUMN d int GENERATED ALWAYS AS (g(a)) STORED;
                   CREATE INDEX i ON t (g(a));
                   ALTER TABLE t ADD CHECK (g(a) > 0)";
    nodes[0].sql(callers).expect("it is called");
    nodes[1].sql(&function(10)).expect("the function is replaced");
    quiesce(&nodes);
    let answered = compare(&mut nodes);
    assert_eq!(answered, Ok(()));
    let rows = nodes[0].sql("SELECT d FROM t ORDER BY id").expect("rows are read");
    assert_eq!(format!("{rows:?}"), r#"[[Some("11")], [Some("12")], [Some("15")]]"#);
}
