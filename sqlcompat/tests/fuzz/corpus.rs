//! The statements in the tree, by the script they are in: those of clients, over their schema, and those of `tests/slt`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Statements that are about one schema.
pub(crate) struct Script {
    /// Run first, in order.
    pub setup: Vec<String>,
    /// What is mutated.
    pub statements: Vec<String>,
}

/// All scripts, always in the same order.
pub(crate) fn scripts() -> Vec<Script> {
    let mut scripts = vec![clients()];
    let mut paths = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/slt"), &mut paths);
    paths.sort();
    scripts.extend(paths.iter().map(|path| recorded(path)));
    scripts.retain(|script| !script.statements.is_empty());
    scripts
}

fn clients() -> Script {
    let read = |name: &str| {
        fs::read_to_string(format!("testscripts/golden_types/{name}")).expect("a script")
    };
    let setup = read("setup.sql").split("\n;\n").map(str::to_owned).collect();
    let statement = |line: &str| {
        let answer: Value = serde_json::from_str(line).expect("a JSON object a line");
        answer["sql"].as_str().expect("sql").to_owned()
    };
    Script { setup, statements: read("answers.jsonl").lines().map(statement).collect() }
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|it| it == "slt") {
            paths.push(path);
        }
    }
}

/// The questions of a script of `tests/slt`, which are also its setup.
fn recorded(path: &Path) -> Script {
    let text = fs::read_to_string(path).expect("a script");
    let question = |block: &str| {
        let lines = block.lines().take_while(|line| *line != "----" && *line != "@data");
        let sql: Vec<&str> = lines.filter(|it| !it.starts_with(['#', '@'])).collect();
        sql.join("\n")
    };
    let questions = text.split("\n\n").map(question).filter(|sql| !sql.trim().is_empty());
    let statements: Vec<String> = questions.collect();
    Script { setup: statements.clone(), statements }
}
