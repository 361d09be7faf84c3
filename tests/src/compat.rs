//! The page that says which of PostgreSQL's built-ins are covered, made of the lowering's own tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use trellis_sqlcompat::lower::coverage::{self, Coverage};

/// Where the page is kept.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compat.md");

/// The page.
#[must_use]
pub fn page() -> String {
    let parts = [
        ("Functions and aggregates", coverage::functions()),
        ("Operators", coverage::operators()),
        ("Casts", coverage::casts()),
    ];
    let mut page = String::from(
        "# What of PostgreSQL's built-ins Trellis computes\n\n\
         Made by `cargo run -p trellis-tests --bin compat` from the tables that statements are lowered by; not to be\n\
         edited. Counted are the signatures in PostgreSQL 15's `pg_proc`, `pg_operator` and `pg_cast` that SQL can use.\n\
         What is refused is answered with SQLSTATE 0A000.\n\n\
         | | computed | refused | of all |\n|---|---|---|---|\n",
    );
    for (title, table) in &parts {
        let computed: usize = table.values().map(|coverage| coverage.computed).sum();
        let refused: usize = table.values().map(|coverage| coverage.refused.len()).sum();
        let share = computed * 100 / (computed + refused).max(1);
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {title} | {computed} | {refused} | {share} % |");
    }
    for (title, table) in &parts {
        section(&mut page, title, table);
    }
    page
}

fn section(page: &mut String, title: &str, table: &BTreeMap<&str, Coverage>) {
    let of = |wanted: fn(&Coverage) -> bool| {
        table.iter().filter(move |(_, coverage)| wanted(coverage)).collect::<Vec<_>>()
    };
    let names = |rows: Vec<(&&str, &Coverage)>| {
        let names: Vec<_> = rows.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(" ").replace('|', "\\|")
    };
    let whole = of(|coverage| coverage.refused.is_empty());
    let partly = of(|coverage| coverage.computed > 0 && !coverage.refused.is_empty());
    let refused = of(|coverage| coverage.computed == 0);
    let _ = write!(page, "\n## {title}\n\nComputed: {}\n", names(whole));
    if !partly.is_empty() {
        page.push_str("\nComputed but for these signatures:\n\n");
    }
    for (name, coverage) in partly {
        let missing: Vec<_> = coverage.refused.iter().map(|text| format!("`{text}`")).collect();
        let _ = writeln!(page, "- `{name}`: {}", missing.join(", "));
    }
    if !refused.is_empty() {
        let _ = write!(page, "\nRefused: {}\n", names(refused));
    }
}
