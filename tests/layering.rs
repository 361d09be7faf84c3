//! The dependency directions between crates and modules, read from manifests and `use` paths.
//!
//! ```text
//! server ──► sqlcompat, replication          (which do not know each other)
//! replication:  types ◄── crdt ◄── store     types ◄── protocol ◄── net     (store and protocol never meet)
//! ```

use std::fs;
use std::path::{Path, PathBuf};

/// A directory of sources, and paths that must not appear in it.
struct Rule {
    /// The directory, from the workspace's root.
    sources: &'static str,
    /// Prefixes of paths that it must not name.
    forbidden: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { sources: "sqlcompat/src", forbidden: &["trellis_replication", "trellis_server"] },
    Rule { sources: "replication/src", forbidden: &["trellis_sqlcompat", "trellis_server"] },
    Rule {
        sources: "replication/src/types",
        forbidden: &["crate::crdt", "crate::store", "crate::protocol", "crate::net", "crate::wire"],
    },
    Rule {
        sources: "replication/src/crdt",
        forbidden: &["crate::store", "crate::protocol", "crate::net", "rusqlite", "tokio", "quinn"],
    },
    Rule {
        sources: "replication/src/store",
        forbidden: &["crate::protocol", "crate::net", "tokio", "quinn", "foca"],
    },
    Rule {
        sources: "replication/src/protocol",
        forbidden: &["crate::store", "crate::net", "rusqlite", "tokio", "quinn", "std::net::Udp"],
    },
];

/// Rust files under `directory`.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map_while(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether `code` names the path `prefix`: as a whole word, followed by `::` or the end of a `use`.
fn names(code: &str, prefix: &str) -> bool {
    code.match_indices(prefix).any(|(start, _)| {
        let before = code.get(..start).and_then(|text| text.chars().next_back());
        let after = code.get(start + prefix.len()..).and_then(|text| text.chars().next());
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let starts = !before.is_some_and(|c| part_of_word(c) || c == ':');
        let open = prefix.ends_with("Udp");
        starts && (open || !after.is_some_and(part_of_word))
    })
}

/// Lines of `source` that are code, with their numbers: neither comments nor the tests at the end of a file.
fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source
        .lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

#[test]
fn modules_depend_in_one_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut violations = Vec::new();
    for rule in RULES {
        let files = rust_files(&root.join(rule.sources));
        assert!(!files.is_empty(), "{} has no sources: is the rule out of date?", rule.sources);
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for (number, line) in code_lines(&source) {
                for forbidden in rule.forbidden.iter().filter(|path| names(line, path)) {
                    violations.push(format!("{}:{number}: {forbidden}", file.display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "forbidden dependencies:\n{}", violations.join("\n"));
}

#[test]
fn manifests_depend_in_one_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let forbidden = [
        ("sqlcompat", &["trellis-replication", "trellis-server"][..]),
        ("replication", &["trellis-sqlcompat", "trellis-server"]),
        ("server", &["trellis-tests"]),
    ];
    for (package, others) in forbidden {
        let manifest = fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("dependencies]").skip(1).collect::<String>();
        for other in others {
            assert!(!dependencies.contains(other), "{package} depends on {other}");
        }
    }
}
