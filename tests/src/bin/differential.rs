//! Runs psql scripts on a fresh Trellis node and on PostgreSQL 15: `differential [--setup FILE] [--show] FILE…`.
//!
//! Each script runs in a database of its own, after the set-up. Prints per script how many answers were equal, alike
//! (but for the order of rows) and different, the sum, and the errors of Trellis that PostgreSQL does not give, by
//! frequency; `--show` prints each difference.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use trellis_tests::differential::{Side, Verdict, compare};
use trellis_tests::node::{Node, NodeOptions};
use trellis_tests::oracle::{Durability, Oracle};
use trellis_tests::psql_script::{Statement, statements};
use trellis_tests::work_dir::WorkDir;

/// What was asked for.
#[derive(Default)]
struct Options {
    /// The script that runs first, on both sides, uncounted.
    setup: Option<PathBuf>,
    /// Whether differences are printed.
    show: bool,
    /// The scripts.
    files: Vec<PathBuf>,
}

/// Answers by verdict, and the errors behind the different ones.
#[derive(Default)]
struct Sum {
    /// Equal answers.
    equal: usize,
    /// Answers in another order.
    alike: usize,
    /// Other answers.
    different: usize,
    /// How often each error was Trellis's alone.
    errors: BTreeMap<String, usize>,
}

impl Sum {
    /// The figures as a line.
    fn line(&self, name: &str) -> String {
        let total = self.equal + self.alike + self.different;
        let share = 100.0 * (self.equal + self.alike) as f64 / total.max(1) as f64;
        let Self { equal, alike, different, .. } = self;
        format!(
            "{name}: {total} statements, {equal} equal, {alike} alike, {different} different ({share:.1} %)"
        )
    }

    /// Adds another sum.
    fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.alike += other.alike;
        self.different += other.different;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }
}

/// Reads the command line.
fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--setup") => {
                let file = arguments.next().context("--setup wants a file")?;
                options.setup = Some(file.into());
            }
            Some("--show") => options.show = true,
            Some(flag) if flag.starts_with("--") => bail!("unknown flag {flag}"),
            _ => options.files.push(argument.into()),
        }
    }
    Ok(options)
}

/// The statements of a script file; bytes that are not UTF-8 are replaced.
fn read(file: &PathBuf) -> Result<Vec<Statement>> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    Ok(statements(&String::from_utf8_lossy(&bytes)))
}

/// Runs one script on both sides.
fn run(
    script: &[Statement],
    oracle: &mut Side,
    trellis: &mut Side,
    mut show: impl FnMut(&Statement, &[String], &[String]),
) -> Sum {
    let mut sum = Sum::default();
    for statement in script {
        let (expected, found) = (oracle.answer(statement), trellis.answer(statement));
        match compare(&expected, &found) {
            Verdict::Equal => sum.equal += 1,
            Verdict::Alike => sum.alike += 1,
            Verdict::Different => {
                sum.different += 1;
                let error = found.iter().find(|line| line.starts_with("ERROR"));
                let reason = error.map_or("(no error)", String::as_str).to_owned();
                *sum.errors.entry(reason).or_default() += 1;
                show(statement, &expected, &found);
            }
        }
    }
    sum
}

fn main() -> Result<()> {
    let options = options()?;
    let oracle = Oracle::start(Durability::Volatile)?;
    let setup = options.setup.as_ref().map(read).transpose()?.unwrap_or_default();
    let mut total = Sum::default();
    let mut directory = WorkDir::create("differential")?;
    for (index, file) in options.files.iter().enumerate() {
        let script = read(file)?;
        let database = format!("script{index}");
        oracle.connect()?.execute(&format!("CREATE DATABASE {database}"))?;
        let node = Node::start(directory.path(), &database, NodeOptions::default())?;
        let mut left = Side::new(oracle.address(), &database);
        let mut right = Side::new(node.endpoints().postgres, "postgres");
        run(&setup, &mut left, &mut right, |_, _, _| {});
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let sum = run(&script, &mut left, &mut right, |statement, expected, found| {
            if options.show {
                let Statement { line, sql, .. } = statement;
                let (expected, found) = (expected.join("\n    "), found.join("\n    "));
                println!(
                    "{name}:{line}: {sql}\n  PostgreSQL\n    {expected}\n  Trellis\n    {found}"
                );
            }
        });
        println!("{}", sum.line(&name));
        total.add(sum);
        node.assert_no_panic()?;
    }
    println!("{}", total.line("all"));
    let mut errors: Vec<_> = total.errors.into_iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (error, count) in errors {
        println!("{count:6} {error}");
    }
    directory.remove();
    Ok(())
}
