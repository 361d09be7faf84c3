//! Malformed input costs its sender an error or the connection; everybody else is served on.

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use trellis_tests::cluster::Cluster;
use trellis_tests::wire::{Connection, Message, c_string, startup_packet};

/// Fails unless the node answers a fresh client.
fn assert_serves(cluster: &Cluster, after: &str) -> Result<()> {
    for node in cluster.nodes() {
        let rows = node.query("SELECT 40 + 2").with_context(|| format!("after {after}"))?;
        ensure!(rows == [[Some(String::from("42"))]], "after {after}: {rows:?}");
    }
    cluster.assert_no_panic().with_context(|| format!("after {after}"))
}

/// Bytes from a linear congruential generator: garbage that is the same on every run.
fn garbage(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// The SQLSTATE of the first error among `messages`.
fn first_error(messages: &[Message]) -> Option<&str> {
    messages.iter().find_map(|message| match message {
        Message::Error(fields) => Some(fields.sqlstate()),
        _ => None,
    })
}

#[test]
fn malformed_startups_end_their_connection() -> Result<()> {
    let cluster = Cluster::start("bad-startup", 1)?;
    let address = cluster.node(1).endpoints().postgres;
    let whole = startup_packet(&[("user", "postgres"), ("database", "postgres")]);
    let mut packets: Vec<(&str, Vec<u8>)> = vec![
        ("nothing at all", Vec::new()),
        ("half a length", vec![0, 0]),
        ("a length below its own size", vec![0, 0, 0, 3]),
        ("a length of 2 GiB", vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("a negative length", vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("protocol version 9", vec![0, 0, 0, 9, 0, 9, 0, 0, 0]),
        ("protocol version 2", vec![0, 0, 0, 9, 0, 2, 0, 0, 0]),
        ("no user", startup_packet(&[])),
        ("a name without a value", vec![0, 0, 0, 13, 0, 3, 0, 0, b'u', b's', b'e', b'r', 0]),
        ("no terminator", vec![0, 0, 0, 12, 0, 3, 0, 0, b'u', b's', b'e', b'r']),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a TLS hello without SSLRequest", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("a short cancel request", vec![0, 0, 0, 8, 4, 210, 22, 46]),
        ("a cancel request for nobody", {
            vec![0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]
        }),
    ];
    for cut in 1..whole.len() {
        packets.push(("a truncated start-up", whole[..cut].to_vec()));
    }
    for seed in 1..=20 {
        packets.push(("garbage", garbage(seed, 300)));
    }
    for (what, packet) in packets {
        let mut connection = Connection::dial(address)?;
        // The server may close before everything is sent: that is an answer, too.
        let _ = connection.send_raw(&packet);
        let _ = connection.finish_sending();
        connection.read_to_close().with_context(|| what.to_owned())?;
    }
    assert_serves(&cluster, "malformed start-ups")?;
    cluster.finish()
}

#[test]
fn malformed_messages_are_errors_or_the_end() -> Result<()> {
    let cluster = Cluster::start("bad-message", 1)?;
    let huge = {
        let mut frame = vec![b'Q'];
        frame.extend(i32::MAX.to_be_bytes());
        frame
    };
    let mut frames: Vec<(&str, Vec<u8>)> = vec![
        ("an unknown tag", vec![b'!', 0, 0, 0, 4]),
        ("a length below four", vec![b'Q', 0, 0, 0, 3]),
        ("a length of 2 GiB", huge),
        ("a query without its NUL", vec![b'Q', 0, 0, 0, 5, b'x']),
        ("a query that is not UTF-8", vec![b'Q', 0, 0, 0, 7, 0xff, 0xfe, 0]),
        ("an empty Parse", vec![b'P', 0, 0, 0, 4]),
        ("a Parse that promises types", vec![b'P', 0, 0, 0, 8, 0, 0, 0x7f, 0xff]),
        ("a Bind cut short", vec![b'B', 0, 0, 0, 6, 0, 0]),
        ("a Bind with 65535 parameters", vec![b'B', 0, 0, 0, 10, 0, 0, 0, 0, 0xff, 0xff]),
        ("a Describe of nothing", vec![b'D', 0, 0, 0, 4]),
        ("a Describe of a wrong kind", vec![b'D', 0, 0, 0, 6, b'?', 0]),
        ("an Execute cut short", vec![b'E', 0, 0, 0, 5, 0]),
        ("a Close cut short", vec![b'C', 0, 0, 0, 4]),
        ("a password nobody asked for", vec![b'p', 0, 0, 0, 5, 0]),
        ("COPY data outside COPY", vec![b'd', 0, 0, 0, 5, 0]),
        ("a function call", vec![b'F', 0, 0, 0, 8, 0, 0, 0, 0]),
    ];
    for seed in 100..=120 {
        frames.push(("garbage", garbage(seed, 200)));
    }
    for (what, frame) in frames {
        let mut connection = cluster.node(1).connect()?;
        let _ = connection.send_raw(&frame);
        let _ = connection.send(b'S', b"");
        let _ = connection.finish_sending();
        connection.read_to_close().with_context(|| what.to_owned())?;
    }
    assert_serves(&cluster, "malformed messages")?;
    cluster.finish()
}

#[test]
fn wrong_counts_and_names_are_protocol_errors() -> Result<()> {
    let cluster = Cluster::start("bad-bind", 1)?;
    let mut connection = cluster.node(1).connect()?;
    let few = connection.extended("SELECT $1::int, $2::int", &[Some("1")], 0)?;
    ensure!(first_error(&few) == Some("08P01"), "too few parameters: {few:?}");
    let many = connection.extended("SELECT 1", &[Some("1")], 0)?;
    ensure!(first_error(&many) == Some("08P01"), "too many parameters: {many:?}");
    let bad = connection.extended("SELECT $1::int", &[Some("x")], 0)?;
    ensure!(first_error(&bad) == Some("22P02"), "a malformed parameter: {bad:?}");

    connection.send(b'D', b"Snosuch\0")?;
    connection.send(b'S', b"")?;
    ensure!(first_error(&connection.until_ready()?) == Some("26000"), "Describe of no statement");
    connection.send(b'E', b"nosuch\0\0\0\0\0")?;
    connection.send(b'S', b"")?;
    ensure!(first_error(&connection.until_ready()?) == Some("34000"), "Execute of no portal");

    // After an error everything up to Sync is skipped; there is one ReadyForQuery per Sync.
    connection.send(b'P', &[c_string(""), c_string("nonsense"), vec![0, 0]].concat())?;
    connection.send(b'P', &[c_string(""), c_string("also nonsense"), vec![0, 0]].concat())?;
    connection.send(b'S', b"")?;
    connection.send(b'S', b"")?;
    let skipped = connection.until_ready()?;
    ensure!(skipped.len() == 2, "an error and ReadyForQuery, not {skipped:?}");
    ensure!(connection.until_ready()? == [Message::Ready('I')]);
    ensure!(connection.rows("SELECT 1")? == [[Some(String::from("1"))]]);
    assert_serves(&cluster, "wrong counts")?;
    cluster.finish()
}

#[test]
fn a_copy_that_fails_leaves_the_session_usable() -> Result<()> {
    let cluster = Cluster::start("bad-copy", 1)?;
    let mut connection = cluster.node(1).connect()?;
    connection.execute("CREATE TABLE c (id int PRIMARY KEY)")?;
    connection.send(b'Q', &c_string("COPY c FROM STDIN"))?;
    ensure!(connection.receive()? == Message::CopyIn);
    connection.send(b'd', b"1\n")?;
    connection.send(b'f', &c_string("changed my mind"))?;
    let failed = connection.until_ready()?;
    ensure!(first_error(&failed) == Some("57014"), "{failed:?}");
    let malformed = connection.query_with_data("COPY c FROM STDIN", b"2\nnot a number\n")?;
    ensure!(first_error(&malformed) == Some("22P02"), "{malformed:?}");
    ensure!(connection.rows("SELECT count(*) FROM c")? == [[Some(String::from("0"))]]);
    // A client that goes away in the middle of COPY takes only its own rows with it.
    connection.send(b'Q', &c_string("COPY c FROM STDIN"))?;
    ensure!(connection.receive()? == Message::CopyIn);
    connection.send(b'd', b"3\n")?;
    drop(connection);
    assert_serves(&cluster, "a COPY that was left")?;
    cluster.all_answer("SELECT count(*) FROM c", &["0"])?;
    cluster.finish()
}

#[test]
fn deep_and_long_statements_are_refused_or_run() -> Result<()> {
    let cluster = Cluster::start("deep", 1)?;
    let deep = |open: &str, close: &str, depth: usize| {
        format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth))
    };
    let statements = [
        deep("(", ")", 50_000),
        deep("NOT ", "", 50_000),
        deep("- ", "", 50_000),
        deep("abs(", ")", 20_000),
        deep("(SELECT ", ")", 5_000),
        deep("CASE WHEN true THEN ", " END", 5_000),
        deep("ARRAY[", "]", 5_000),
        format!("SELECT 1{}", " + 1".repeat(50_000)),
        format!("SELECT 1 WHERE true{}", " AND true".repeat(50_000)),
        format!("SELECT '{}'", "x".repeat(2_000_000)),
        format!("SELECT {}", vec!["1"; 3_000].join(",")),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(2_000)),
        format!("SELECT 1 IN ({})", vec!["1"; 50_000].join(",")),
    ];
    let mut connection = cluster.node(1).connect()?;
    for statement in statements {
        let start: String = statement.chars().take(40).collect();
        connection.query(&statement).with_context(|| start.clone())?;
        ensure!(connection.rows("SELECT 1")?.len() == 1, "after {start}");
    }
    assert_serves(&cluster, "deep statements")?;
    cluster.finish()
}

#[test]
fn garbage_at_the_gossip_port_is_dropped() -> Result<()> {
    let cluster = Cluster::start("bad-gossip", 2)?;
    cluster.node(1).query("CREATE TABLE g (id int PRIMARY KEY)")?;
    cluster.all_answer("SELECT count(*) FROM g", &["0"])?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let target = cluster.node(1).endpoints().gossip;
    // QUIC long headers with lengths that lie, a version nobody speaks, and plain noise.
    let mut datagrams: Vec<Vec<u8>> = vec![Vec::new(), vec![0], vec![0xff; 1200]];
    for seed in 1..=500 {
        let mut datagram = garbage(seed, usize::try_from(seed)? * 3 % 1500);
        if let [first, ..] = datagram.as_mut_slice() {
            *first |= if seed % 2 == 0 { 0xc0 } else { 0x40 };
        }
        if seed % 4 == 0 && datagram.len() > 5 {
            datagram[1..5].copy_from_slice(&[0, 0, 0, 1]);
        }
        datagrams.push(datagram);
    }
    for datagram in datagrams {
        socket.send_to(&datagram, target)?;
    }
    // A TCP stream to a UDP port is refused by the system, not by the node.
    let _ = TcpStream::connect_timeout(&target, Duration::from_secs(1));
    assert_serves(&cluster, "garbage datagrams")?;
    cluster.node(1).query("INSERT INTO g VALUES (1)")?;
    cluster.all_answer("SELECT count(*) FROM g", &["1"])?;
    cluster.finish()
}

#[test]
fn an_idle_transaction_stops_nobody() -> Result<()> {
    let cluster = Cluster::start("idle", 2)?;
    cluster.node(1).query("CREATE TABLE t (id int PRIMARY KEY, n int)")?;
    cluster.all_answer("SELECT count(*) FROM t", &["0"])?;
    let mut idle = cluster.node(1).connect()?;
    idle.execute("BEGIN")?;
    idle.execute("SELECT count(*) FROM t")?;
    cluster.node(1).query("INSERT INTO t VALUES (1, 1)")?;
    cluster.node(2).query("INSERT INTO t VALUES (2, 2)")?;
    cluster.all_answer("SELECT count(*) FROM t", &["2"])?;
    idle.execute("INSERT INTO t VALUES (3, 3)")?;
    cluster.node(1).query("UPDATE t SET n = 10 WHERE id = 1")?;
    cluster.node(2).query("UPDATE t SET n = 20 WHERE id = 2")?;
    cluster.all_answer("SELECT sum(n) FROM t", &["30"])?;
    idle.execute("COMMIT")?;
    cluster.all_answer("SELECT sum(n) FROM t", &["33"])?;
    cluster.finish()
}
