//! Running scripts against a server, and comparing or recording the answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use super::answer::{ValueFormat, columns_line, render};
use super::case::{Case, Script};
use crate::wire::{Connection, Message};

/// How long a statement of a script may take; then its connection is given up.
const STATEMENT_LIMIT: Duration = Duration::from_secs(20);

/// The name of the connection that a script starts on.
const FIRST_CONNECTION: &str = "a";

/// What running scripts has shown.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many cases were run.
    pub cases: usize,
    /// How many of them differ from PostgreSQL in a way that the script records.
    pub known_differences: usize,
    /// What differs otherwise, as text for people.
    pub failures: Vec<String>,
}

impl Tally {
    /// Adds what another run has shown.
    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.known_differences += other.known_differences;
        self.failures.extend(other.failures);
    }
}

/// Runs one script against one server, in a database of its own.
#[derive(Debug)]
pub struct Runner {
    /// The server.
    address: SocketAddr,
    /// The database to connect to.
    database: String,
    /// Open connections by name.
    connections: BTreeMap<String, Connection>,
    /// The connection that the script is on.
    current: String,
}

impl Runner {
    /// A runner without connections yet.
    pub fn new(address: SocketAddr, database: &str) -> Self {
        Self {
            address,
            database: database.to_owned(),
            connections: BTreeMap::new(),
            current: FIRST_CONNECTION.to_owned(),
        }
    }

    /// Runs the script against PostgreSQL and compares with, or records, its answers.
    ///
    /// Recording also drops differences of Trellis that are none any more.
    pub fn verify_oracle(mut self, script: &mut Script, record: bool) -> Tally {
        let mut tally = Tally::default();
        let path = script.path.display().to_string();
        for case in &mut script.cases {
            let found = self.answer(case);
            tally.cases += 1;
            if record {
                case.answer = found;
                continue;
            }
            if found != case.answer {
                tally.failures.push(failure("PostgreSQL", &path, case, &case.answer, &found));
            }
        }
        tally
    }

    /// Runs the script against Trellis and compares with the recorded answers, or records differences from them.
    pub fn verify_trellis(mut self, script: &mut Script, record: bool) -> Tally {
        let mut tally = Tally::default();
        let path = script.path.display().to_string();
        for case in &mut script.cases {
            let found = self.answer(case);
            tally.cases += 1;
            if record {
                record_difference(case, found.clone());
            }
            match &case.difference {
                None if found == case.answer => {}
                Some((_, known)) if found == *known && found != case.answer => {
                    tally.known_differences += 1;
                }
                Some(_) if found == case.answer => {
                    let text = format!("{path}:{}: equal by now: drop the difference", case.line);
                    tally.failures.push(text);
                }
                Some((_, known)) => {
                    tally.failures.push(failure("Trellis", &path, case, known, &found));
                }
                None => {
                    tally.failures.push(failure("Trellis", &path, case, &case.answer, &found));
                }
            }
        }
        tally
    }

    /// Runs a case and returns the lines of its answer. A broken connection is part of the answer.
    fn answer(&mut self, case: &Case) -> Vec<String> {
        if let Some(name) = case.directive("connection") {
            name.clone_into(&mut self.current);
        }
        match self.ask(case) {
            Ok(lines) => lines,
            Err(_lost) => {
                self.connections.remove(&self.current);
                vec![String::from("CONNECTION LOST")]
            }
        }
    }

    /// Runs a case on its connection.
    fn ask(&mut self, case: &Case) -> Result<Vec<String>> {
        let format = match case.directive("binary") {
            Some(_) => ValueFormat::Binary,
            None => ValueFormat::Text,
        };
        let sorted = case.directive("sorted").is_some();
        let connection = self.connection()?;
        let parameters = case.directive("params");
        if parameters.is_some() || format == ValueFormat::Binary {
            let parameters = parameters.map(parameter_list).unwrap_or_default();
            let result_format = i16::from(format == ValueFormat::Binary);
            let messages = connection.extended(&case.sql, &parameters, result_format)?;
            return Ok(render(&messages, format, sorted));
        }
        let data = case.data.as_deref().unwrap_or_default();
        let messages = connection.query_with_data(&case.sql, data.as_bytes())?;
        let mut lines = render(&messages, format, sorted);
        lines.extend(described_otherwise(connection, &case.sql, &messages)?);
        Ok(lines)
    }

    /// The current connection, opened when it is used for the first time.
    fn connection(&mut self) -> Result<&mut Connection> {
        if !self.connections.contains_key(&self.current) {
            let parameters = [("user", "postgres"), ("database", self.database.as_str())];
            let mut connection = Connection::open_as(self.address, &parameters)?;
            connection.set_read_timeout(STATEMENT_LIMIT)?;
            self.connections.insert(self.current.clone(), connection);
        }
        self.connections
            .get_mut(&self.current)
            .ok_or_else(|| anyhow::anyhow!("the connection was not kept"))
    }
}

/// What Parse and Describe say about a query that has answered with columns, if it is not the same.
fn described_otherwise(
    connection: &mut Connection,
    sql: &str,
    messages: &[Message],
) -> Result<Option<String>> {
    let columns = |messages: &[Message]| {
        let mut lines = messages.iter().filter_map(|message| match message {
            Message::Columns(columns) => Some(columns_line(columns)),
            _ => None,
        });
        (lines.next(), lines.next().is_some())
    };
    let (Some(executed), false) = columns(messages) else { return Ok(None) };
    if messages.iter().any(|message| matches!(message, Message::Error(_))) {
        return Ok(None);
    }
    let messages = connection.describe(sql)?;
    let described = match columns(&messages).0 {
        Some(line) => line,
        None => render(&messages, ValueFormat::Text, false).join("; "),
    };
    // Several statements in one string cannot be prepared; cursors and settings may describe differently after they ran.
    Ok((described != executed && messages.iter().all(is_no_error))
        .then(|| format!("described as {described}")))
}

/// Whether a message is anything but an error.
fn is_no_error(message: &Message) -> bool {
    !matches!(message, Message::Error(_))
}

/// The values of a `@params` line; `NULL` is NULL.
fn parameter_list(line: &str) -> Vec<Option<&str>> {
    if line.is_empty() {
        return Vec::new();
    }
    line.split(" | ").map(|value| (value != "NULL").then_some(value)).collect()
}

/// Takes down, or drops, the difference of Trellis's answer; a reason that is there already stays.
fn record_difference(case: &mut Case, found: Vec<String>) {
    if found == case.answer {
        case.difference = None;
        return;
    }
    let refused = found.iter().any(|line| line.starts_with("ERROR 0A000"));
    let default_reason = if refused { "refused" } else { "not equal yet" };
    let reason = case.difference.take().map(|(reason, _)| reason);
    let reason = reason
        .filter(|reason| reason != "refused" && reason != "not equal yet")
        .unwrap_or_else(|| default_reason.to_owned());
    case.difference = Some((reason, found));
}

/// Says what a case should have answered, and what it did.
fn failure(server: &str, path: &str, case: &Case, expected: &[String], found: &[String]) -> String {
    let sql = &case.sql;
    let line = case.line;
    let (expected, found) = (expected.join("\n    "), found.join("\n    "));
    format!("{path}:{line}: {server}\n  {sql}\n  expected\n    {expected}\n  found\n    {found}")
}
