//! The same script on a Trellis node and on PostgreSQL 15, statement by statement.
//!
//! Two answers are equal when columns with their types, rows, command tags, SQLSTATEs, messages and the transaction
//! status are; they are alike when, besides, only the order of rows differs. Positions, details, hints and notices are
//! shown but do not count.
//!
//! # Left out
//!
//! A statement that fails on one side only makes later ones differ; they are counted as what they are.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use crate::psql_script::Statement;
use crate::script::{ValueFormat, render};
use crate::wire::Connection;

/// How long a statement may take; then its connection is given up and opened anew.
const STATEMENT_LIMIT: Duration = Duration::from_secs(20);

/// How two answers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All that counts is equal.
    Equal,
    /// Equal but for the order of rows.
    Alike,
    /// Anything else.
    Different,
}

/// One side: a server, and the session that a script runs in.
#[derive(Debug)]
pub struct Side {
    /// The server.
    address: SocketAddr,
    /// The database to connect to.
    database: String,
    /// The session; `None` before the first statement and after a loss.
    connection: Option<Connection>,
}

impl Side {
    /// A side without a session yet.
    pub fn new(address: SocketAddr, database: &str) -> Self {
        Self { address, database: database.to_owned(), connection: None }
    }

    /// Runs a statement and returns its answer as lines. A broken connection is an answer too.
    pub fn answer(&mut self, statement: &Statement) -> Vec<String> {
        self.ask(statement).unwrap_or_else(|_lost| {
            self.connection = None;
            vec![String::from("CONNECTION LOST")]
        })
    }

    /// Runs a statement on the session.
    fn ask(&mut self, statement: &Statement) -> Result<Vec<String>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let parameters = [("user", "postgres"), ("database", self.database.as_str())];
                let mut connection = Connection::open_as(self.address, &parameters)?;
                connection.set_read_timeout(STATEMENT_LIMIT)?;
                none.insert(connection)
            }
        };
        let messages = connection.query_with_data(&statement.sql, statement.data.as_bytes())?;
        Ok(render(&messages, ValueFormat::Text, false))
    }
}

/// Compares the answers of both sides.
pub fn compare(expected: &[String], found: &[String]) -> Verdict {
    let mut expected = counted(expected);
    let mut found = counted(found);
    if expected == found {
        return Verdict::Equal;
    }
    expected.sort();
    found.sort();
    if expected == found { Verdict::Alike } else { Verdict::Different }
}

/// The lines of an answer that count, without positions.
fn counted(lines: &[String]) -> Vec<String> {
    const UNCOUNTED: [&str; 7] =
        ["DETAIL: ", "HINT: ", "NOTICE ", "WARNING ", "INFO ", "LOG ", "DEBUG "];
    let counts = |line: &&String| !UNCOUNTED.iter().any(|start| line.starts_with(start));
    lines.iter().filter(counts).map(|line| without_position(line)).collect()
}

/// An error's line without the position.
fn without_position(line: &str) -> String {
    let mut parts = line.splitn(5, ' ');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("ERROR"), Some(code), Some("at"), Some(_position), Some(message)) => {
            format!("ERROR {code}: {message}")
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_details_do_not_count_and_order_is_told_apart() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let first = lines("a:int4\n1\n2\nSELECT 2");
        assert_eq!(compare(&first, &lines("a:int4\n2\n1\nSELECT 2")), Verdict::Alike);
        assert_eq!(compare(&first, &lines("a:int8\n1\n2\nSELECT 2")), Verdict::Different);
        let error = lines("ERROR 42703 at 8: column \"a\" does not exist\nHINT: b");
        let other = lines("ERROR 42703: column \"a\" does not exist");
        assert_eq!(compare(&error, &other), Verdict::Equal);
    }
}
