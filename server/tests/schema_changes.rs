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
const SEEDS: std::ops::Range<u64> = 0..12;

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

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.roll(of.len() as u64)).unwrap_or(0)]
    }
}

const TABLES: [&str; 2] = ["t", "u"];
const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];

fn statement(dice: &mut Dice) -> String {
    let (table, other) = (dice.pick(&TABLES), dice.pick(&TABLES));
    let (column, target) = (dice.pick(&COLUMNS), dice.pick(&COLUMNS));
    let (key, value) = (dice.roll(5), dice.roll(9));
    match dice.roll(34) {
        0..7 => format!("INSERT INTO {table} (id) VALUES ({key})"),
        7..10 => format!("INSERT INTO {table} (id, {column}) VALUES ({key}, {value})"),
        10..16 => format!("UPDATE {table} SET {column} = '{value}' WHERE id <= {key}"),
        16..18 => format!("DELETE FROM {table} WHERE id = {key}"),
        18..20 => {
            let key = dice.pick(&["int", "text", "numeric"]);
            format!("CREATE TABLE {table} (id {key} PRIMARY KEY, a int, b text DEFAULT 'x')")
        }
        20..23 => {
            let kind = dice.pick(&[
                "int",
                "text",
                "bigint DEFAULT 7",
                "numeric DEFAULT 1.50",
                "text DEFAULT 'd'",
            ]);
            format!("ALTER TABLE {table} ADD COLUMN {column} {kind}")
        }
        23 | 24 => format!("ALTER TABLE {table} DROP COLUMN {column}"),
        25 | 26 => format!("ALTER TABLE {table} RENAME COLUMN {column} TO {target}"),
        27 => format!("ALTER TABLE {table} RENAME TO {other}"),
        28 => format!("DROP TABLE {table}"),
        29 | 30 => {
            let kind = dice.pick(&["bigint", "text", "numeric", "varchar(40)"]);
            format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")
        }
        31 => format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
        32 => format!(
            "ALTER TABLE {table} ADD CONSTRAINT q CHECK ({column} IS NULL OR {column} <> '3')"
        ),
        _ => format!("ALTER TABLE {table} ADD CONSTRAINT k UNIQUE ({column})"),
    }
}

/// Plays a history; returns what is wrong in the end, and the statements that had an effect.
fn play(seed: u64) -> (Result<(), String>, String) {
    let mut dice = Dice(seed.wrapping_mul(1_000_003));
    let count = 2 + u8::try_from(seed % 3).unwrap_or(0);
    let made: Result<Vec<_>, _> = (1..=count).map(Node::new).collect();
    let mut nodes = made.expect("nodes are made in empty directories");
    let mut history = String::new();
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
        let sql = statement(&mut dice);
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
    let refused = quiesce(&nodes);
    if !refused.is_empty() {
        return (Err(format!("{refused:?}")), history);
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

/// The tables of a node, their columns and their rows, as SQL shows them.
fn state(node: &mut Node) -> Result<String, String> {
    let mut state = String::new();
    let columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
                   WHERE table_schema = 'public' ORDER BY table_name, column_name";
    let columns = node.sql(columns)?;
    let tables = node.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200 ORDER BY 1",
    )?;
    let _ = writeln!(state, "{columns:?}");
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

#[test]
fn histories_of_schema_changes_converge() {
    let mut failures = Vec::new();
    for seed in SEEDS {
        if let (Err(error), history) = play(seed) {
            failures.push(format!("seed {seed}:\n{history}{error}\n"));
        }
    }
    assert!(failures.is_empty(), "{} of {SEEDS:?} fail\n{}", failures.len(), failures.join("\n"));
}
