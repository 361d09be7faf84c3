//! Message by message: start-up, extended protocol, portals, pipelines, cancel, notifications to the idle.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use trellis_tests::cluster::Cluster;
use trellis_tests::wait::PATIENCE;
use trellis_tests::wire::{Connection, Message, c_string, startup_packet};

/// The settings that PostgreSQL 15 reports at start-up, with values where these do not depend on the machine.
const REPORTED: [(&str, Option<&str>); 13] = [
    ("DateStyle", Some("ISO, MDY")),
    ("IntervalStyle", Some("postgres")),
    ("TimeZone", None),
    ("application_name", Some("tests")),
    ("client_encoding", Some("UTF8")),
    ("default_transaction_read_only", Some("off")),
    ("in_hot_standby", Some("off")),
    ("integer_datetimes", Some("on")),
    ("is_superuser", None),
    ("server_encoding", Some("UTF8")),
    ("server_version", None),
    ("session_authorization", Some("postgres")),
    ("standard_conforming_strings", Some("on")),
];

/// A Parse message for the unnamed or a named statement.
fn parse(name: &str, sql: &str) -> Vec<u8> {
    [c_string(name), c_string(sql), vec![0, 0]].concat()
}

/// A Bind message without parameters, all results as text.
fn bind(portal: &str, statement: &str) -> Vec<u8> {
    [c_string(portal), c_string(statement), vec![0, 0, 0, 0, 0, 0]].concat()
}

/// An Execute message with a limit of rows; 0 is none.
fn execute(portal: &str, rows: i32) -> Vec<u8> {
    [c_string(portal), rows.to_be_bytes().to_vec()].concat()
}

/// The messages in short: tags, rows, codes and status.
fn outline(messages: &[Message]) -> Vec<String> {
    let line = |message: &Message| match message {
        Message::Row(values) => {
            let values = values.iter().map(|value| value.as_deref().unwrap_or(b"NULL"));
            let text: Vec<_> = values.map(String::from_utf8_lossy).collect();
            format!("row {}", text.join(","))
        }
        Message::Columns(columns) => format!("columns {}", columns.len()),
        Message::Complete(tag) => tag.clone(),
        Message::Error(fields) => format!("error {}", fields.sqlstate()),
        Message::Ready(status) => format!("ready {status}"),
        Message::Bare(tag) => tag.to_string(),
        other => format!("{other:?}"),
    };
    messages.iter().map(line).collect()
}

#[test]
fn startup_reports_what_postgresql_reports() -> Result<()> {
    let cluster = Cluster::start("settings", 1)?;
    let address = cluster.node(1).endpoints().postgres;
    let parameters =
        [("user", "postgres"), ("database", "postgres"), ("application_name", "tests")];
    let mut connection = Connection::open_as(address, &parameters)?;
    let names: Vec<&str> = connection.settings().keys().map(String::as_str).collect();
    ensure!(names == REPORTED.map(|(name, _)| name), "reported: {names:?}");
    for (name, value) in REPORTED {
        let reported = connection.setting(name);
        ensure!(value.is_none_or(|value| value == reported), "{name} is {reported:?}");
    }
    ensure!(connection.setting("server_version").starts_with("15"));
    // A changed setting is reported before ReadyForQuery, and so is its way back.
    connection.execute("SET TimeZone = 'Asia/Tokyo'")?;
    ensure!(connection.setting("TimeZone") == "Asia/Tokyo");
    connection.execute("BEGIN; SET application_name = 'other'")?;
    ensure!(connection.setting("application_name") == "other");
    connection.execute("ROLLBACK")?;
    ensure!(connection.setting("application_name") == "tests");
    cluster.finish()
}

#[test]
fn encryption_requests_are_answered_and_the_startup_goes_on() -> Result<()> {
    let cluster = Cluster::start("ssl", 1)?;
    for code in [80_877_103_i32, 80_877_104] {
        let mut stream = TcpStream::connect(cluster.node(1).endpoints().postgres)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = [8_i32.to_be_bytes(), code.to_be_bytes()].concat();
        stream.write_all(&request)?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        ensure!(answer == *b"N", "the answer is {answer:?}");
        stream.write_all(&startup_packet(&[("user", "postgres")]))?;
        stream.read_exact(&mut answer)?;
        ensure!(answer == *b"R", "the start-up is answered by {answer:?}");
    }
    cluster.finish()
}

#[test]
fn portals_suspend_and_go_on() -> Result<()> {
    let cluster = Cluster::start("portal", 1)?;
    let mut connection = cluster.node(1).connect()?;
    connection.execute("BEGIN")?;
    connection.send(b'P', &parse("s", "SELECT g FROM generate_series(1, 5) g"))?;
    connection.send(b'B', &bind("p", "s"))?;
    for _ in 0..3 {
        connection.send(b'E', &execute("p", 2))?;
    }
    connection.send(b'S', b"")?;
    let found = outline(&connection.until_ready()?);
    let expected =
        ["1", "2", "row 1", "row 2", "s", "row 3", "row 4", "s", "row 5", "SELECT 1", "ready T"];
    ensure!(found == expected, "{found:?}");
    // The portal outlives a Sync inside the block, and ends with it.
    connection.send(b'B', &bind("q", "s"))?;
    connection.send(b'E', &execute("q", 1))?;
    connection.send(b'S', b"")?;
    ensure!(outline(&connection.until_ready()?) == ["2", "row 1", "s", "ready T"]);
    connection.send(b'E', &execute("q", 0))?;
    connection.send(b'S', b"")?;
    ensure!(outline(&connection.until_ready()?)[3..] == ["row 5", "SELECT 4", "ready T"]);
    connection.execute("COMMIT")?;
    connection.send(b'E', &execute("q", 0))?;
    connection.send(b'S', b"")?;
    ensure!(outline(&connection.until_ready()?) == ["error 34000", "ready I"]);
    cluster.finish()
}

#[test]
fn a_pipeline_is_one_transaction_up_to_its_sync() -> Result<()> {
    let cluster = Cluster::start("pipeline", 1)?;
    let mut connection = cluster.node(1).connect()?;
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")?;
    for sql in ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"]
    {
        connection.send(b'P', &parse("", sql))?;
        connection.send(b'B', &bind("", ""))?;
        connection.send(b'E', &execute("", 0))?;
    }
    connection.send(b'S', b"")?;
    let found = outline(&connection.until_ready()?);
    ensure!(found == ["1", "2", "INSERT 0 1", "1", "2", "error 23505", "ready I"], "{found:?}");
    ensure!(connection.rows("SELECT * FROM t")?.is_empty(), "the pipeline was half obeyed");
    cluster.finish()
}

#[test]
fn statements_and_portals_have_names_and_ends() -> Result<()> {
    let cluster = Cluster::start("names", 1)?;
    let mut connection = cluster.node(1).connect()?;
    connection.send(b'P', &parse("s", "SELECT 1"))?;
    connection.send(b'P', &parse("s", "SELECT 2"))?;
    connection.send(b'S', b"")?;
    ensure!(outline(&connection.until_ready()?) == ["1", "error 42P05", "ready I"]);
    connection.send(b'C', b"Ss\0")?;
    connection.send(b'C', b"Snever\0")?;
    connection.send(b'P', &parse("s", "SELECT 2"))?;
    connection.send(b'D', b"Ss\0")?;
    connection.send(b'B', &bind("", "s"))?;
    connection.send(b'D', b"P\0")?;
    connection.send(b'E', &execute("", 0))?;
    connection.send(b'H', b"")?;
    connection.send(b'S', b"")?;
    let found = outline(&connection.until_ready()?);
    let expected = [
        "3",
        "3",
        "1",
        "ParameterTypes([])",
        "columns 1",
        "2",
        "columns 1",
        "row 2",
        "SELECT 1",
        "ready I",
    ];
    ensure!(found == expected, "{found:?}");
    // An empty statement, one without rows, and one that may not be prepared with others.
    for (sql, expected) in [
        ("", &["1", "2", "I", "ready I"][..]),
        ("SET application_name = 'x'", &["1", "2", "SET", "ready I"]),
        ("SELECT 1; SELECT 2", &["error 42601", "ready I"]),
    ] {
        connection.send(b'P', &parse("", sql))?;
        connection.send(b'B', &bind("", ""))?;
        connection.send(b'E', &execute("", 0))?;
        connection.send(b'S', b"")?;
        let messages = connection.until_ready()?;
        let mut found = outline(&messages);
        found.retain(|line| !line.starts_with("ParameterStatus"));
        ensure!(found == expected, "{sql:?}: {found:?}");
    }
    cluster.finish()
}

#[test]
fn a_cancel_request_ends_the_statement_only() -> Result<()> {
    let cluster = Cluster::start("cancel", 1)?;
    let address = cluster.node(1).endpoints().postgres;
    let mut connection = cluster.node(1).connect()?;
    let packet = connection.cancel_packet();
    connection.send(b'Q', &c_string("SELECT count(*) FROM generate_series(1, 100000000000) g"))?;
    let (sender, ended) = std::sync::mpsc::channel::<()>();
    let messages = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A cancel that comes before the statement is lost, as in PostgreSQL: ask until it ends.
            while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                if let Ok(mut canceller) = Connection::dial(address) {
                    let _ = canceller.send_raw(&packet);
                    let _ = canceller.read_to_close();
                }
            }
        });
        let messages = connection.until_ready();
        drop(sender);
        messages
    })
    .context("the statement was not cancelled")?;
    let found = outline(&messages);
    let ending = &found[found.len().saturating_sub(2)..];
    ensure!(ending == ["error 57014", "ready I"], "{found:?}");
    // One more cancel may have been under way; it ends at most the next statement.
    let _ = connection.query("SELECT 1")?;
    ensure!(connection.rows("SELECT 1")?.len() == 1);
    cluster.finish()
}

#[test]
fn an_idle_listener_is_told_at_once() -> Result<()> {
    let cluster = Cluster::start("idle-listener", 1)?;
    let mut listener = cluster.node(1).connect()?;
    listener.execute("LISTEN news")?;
    let mut speaker = cluster.node(1).connect()?;
    speaker.execute("NOTIFY news, 'first'")?;
    ensure!(listener.notification()? == ("news".to_owned(), "first".to_owned()));
    // Inside a transaction a listener hears nothing; after it, everything.
    listener.execute("BEGIN")?;
    speaker.execute("NOTIFY news, 'second'")?;
    let inside = listener.query("SELECT 1")?;
    ensure!(!inside.iter().any(|message| matches!(message, Message::Notification(..))));
    listener.execute("COMMIT")?;
    ensure!(listener.notification()? == ("news".to_owned(), "second".to_owned()));
    cluster.finish()
}
