//! What merging brings about, as golden scripts under `testscripts/merging`: SQL on several databases, and transactions that
//! go from one to another.
//!
//! `UPDATE_GOLDENFILES=1` rewrites the answers; read the difference before committing it.
//!
//! | command | does |
//! |---|---|
//! | `nodes N` | makes nodes 1 to N |
//! | `1: sql TEXT` | runs SQL on node 1 |
//! | `all: sql TEXT` | runs SQL on all nodes; an answer that all give is shown once |
//! | `meet [A B]` | everything goes everywhere, or between two nodes both ways |
//! | `copy A B TABLE` | inserts what A's `crsql_changes` has of a table into B's |
//! | `resolve` | all nodes show hidden rows whose conflicts have ended |
//! | `1: heard` | what node 1's session was told since, by channels that it listens to |
//! | `equal` | says whether all nodes hold the same rows |
//! | `check` | what is wrong with the files of the nodes |

mod nodes;

use std::error::Error;
use std::fmt::Write;

use goldenscript::{Command, Context};
use nodes::{Answer, Node, give, quiesce};

#[derive(Default)]
struct Script {
    nodes: Vec<Node>,
}

impl Script {
    fn node(&mut self, number: &str) -> Result<&mut Node, Box<dyn Error>> {
        let index = number.parse::<usize>()?.checked_sub(1);
        Ok(index.and_then(|index| self.nodes.get_mut(index)).ok_or("no such node")?)
    }

    fn sql(&mut self, prefix: &str, sql: &str) -> Result<String, Box<dyn Error>> {
        if prefix != "all" {
            return Ok(show(&self.node(prefix)?.sql(sql)));
        }
        let answers: Vec<_> = self.nodes.iter_mut().map(|node| show(&node.sql(sql))).collect();
        let first = answers.first().cloned().unwrap_or_default();
        if answers.iter().all(|answer| *answer == first) {
            return Ok(first);
        }
        let mut all = String::new();
        for (number, answer) in (1..).zip(answers) {
            writeln!(all, "node {number} differs:\n{answer}")?;
        }
        Ok(all)
    }
}

fn show(answer: &Answer) -> String {
    match answer {
        Err(error) => format!("{error}\n"),
        Ok(rows) => {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
            let line = |row: &Vec<Option<String>>| row.iter().map(value).collect::<Vec<_>>();
            rows.iter().map(|row| line(row).join(" | ") + "\n").collect()
        }
    }
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let args: Vec<String> = std::iter::from_fn(|| args.next_pos().map(str::to_owned)).collect();
        let text = |at: usize| args.get(at).map_or("", String::as_str);
        match command.name.as_str() {
            "nodes" => {
                let made: Result<Vec<_>, _> = (1..=text(0).parse::<u8>()?).map(Node::new).collect();
                self.nodes = made?;
            }
            "sql" => return self.sql(context.prefix.as_deref().unwrap_or("1"), text(0)),
            "meet" if args.is_empty() => {
                let refused = quiesce(&self.nodes);
                return Ok(refused.iter().map(|it| format!("{it:?}\n")).collect());
            }
            "meet" => {
                let (left, right) = (text(0).parse::<usize>()? - 1, text(1).parse::<usize>()? - 1);
                for (from, to) in [(left, right), (right, left)] {
                    let (from, to) = (&self.nodes[from], &self.nodes[to]);
                    for origin in from.database.store().heads().into_keys() {
                        give(from, to, origin);
                    }
                }
            }
            "copy" => {
                let read = format!("SELECT * FROM crsql_changes WHERE \"table\" = '{}'", text(2));
                for row in self.node(text(0))?.sql(&read)? {
                    let quote = |value: &Option<String>| match value {
                        Some(value) => format!("'{}'", value.replace('\'', "''")),
                        None => "NULL".to_owned(),
                    };
                    let values: Vec<_> = row.iter().map(quote).collect();
                    let insert =
                        format!("INSERT INTO crsql_changes VALUES ({})", values.join(", "));
                    self.node(text(1))?.sql(&insert)?;
                }
            }
            "heard" => {
                let node = self.node(context.prefix.as_deref().unwrap_or("1"))?;
                node.sql("SELECT")?;
                return Ok(std::mem::take(&mut node.heard).join("\n") + "\n");
            }
            "resolve" => {
                for node in &self.nodes {
                    node.database.store().resolve_conflicts()?;
                }
            }
            "check" => {
                let mut all = String::new();
                for (number, node) in (1..).zip(&self.nodes) {
                    for finding in node.database.store().check()? {
                        writeln!(all, "node {number}: {finding}")?;
                    }
                }
                return Ok(all);
            }
            "equal" => {
                let digests = self.nodes.iter().map(|node| node.database.store().digest());
                let digests = digests.collect::<Result<Vec<_>, _>>()?;
                let equal = digests.windows(2).all(|pair| pair[0] == pair[1]);
                return Ok(format!("{equal}\n"));
            }
            other => return Err(format!("what is {other}?").into()),
        }
        Ok(String::new())
    }
}

#[test]
fn scripts() {
    let directory =
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testscripts/merging"));
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let path = path.to_str().unwrap();
        goldenscript::run(&mut Script::default(), path)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}
