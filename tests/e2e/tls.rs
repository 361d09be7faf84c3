//! Encrypted connections, and what is refused on the way to one.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, bail, ensure};
use trellis_tests::certificates::Authority;
use trellis_tests::clients::{Psql, require};
use trellis_tests::node::{Node, NodeOptions};
use trellis_tests::wait::PATIENCE;
use trellis_tests::wire::{Connection, Message, startup_packet};
use trellis_tests::work_dir::WorkDir;

/// An `SSLRequest`.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// A `GSSENCRequest`.
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

/// A node that offers TLS.
struct Fixture {
    node: Node,
    authority: Authority,
    directory: WorkDir,
}

fn start(name: &str, more: &[&str]) -> Result<Fixture> {
    let directory = WorkDir::create(name)?;
    let authority = Authority::create(directory.path())?;
    authority.certify("server", &["localhost"])?;
    authority.certify("ann", &[])?;
    let files =
        [("--tls-cert", "server.pem"), ("--tls-key", "server.key"), ("--tls-client-ca", "ca.pem")];
    let mut arguments: Vec<String> =
        files.iter().flat_map(|(flag, file)| [(*flag).to_owned(), authority.text(file)]).collect();
    arguments.extend(more.iter().map(|it| (*it).to_owned()));
    let options = NodeOptions { arguments, ..NodeOptions::default() };
    let node = Node::start(directory.path(), "node1", options)?;
    Ok(Fixture { node, authority, directory })
}

impl Fixture {
    /// A connection string by which the server's name is verified.
    fn conninfo(&self, user: &str, more: &str) -> String {
        let port = self.node.endpoints().postgres.port();
        let root = self.authority.text("ca.pem");
        format!(
            "host=localhost hostaddr=127.0.0.1 port={port} user={user} dbname=postgres sslrootcert={root} sslmode=verify-full {more}"
        )
    }

    fn dial(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.node.endpoints().postgres)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn finish(mut self) -> Result<()> {
        self.node.assert_no_panic()?;
        self.directory.remove();
        Ok(())
    }
}

/// Reads one byte.
fn byte(stream: &mut TcpStream) -> Result<u8> {
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

/// What the server says before it hangs up.
fn last_words(stream: &mut impl Read) -> Result<String> {
    let mut said = Vec::new();
    stream.read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn psql_connects_encrypted_and_sees_how() -> Result<()> {
    let Some(psql) = require(Psql::find())? else { return Ok(()) };
    let fixture = start("tls", &[])?;
    let own = "SELECT ssl, version, cipher, bits, client_dn, issuer_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let found = psql.run(&fixture.conninfo("postgres", ""), &format!("SHOW ssl; {own}"))?;
    ensure!(found == "on\nt|TLSv1.3|TLS_AES_256_GCM_SHA384|256||\n", "{found}");
    let old = "ssl_max_protocol_version=TLSv1.2";
    let found = psql.run(&fixture.conninfo("postgres", old), own)?;
    ensure!(found == "t|TLSv1.2|ECDHE-ECDSA-AES256-GCM-SHA384|256||\n", "{found}");
    let certificate = format!(
        "sslcert={} sslkey={}",
        fixture.authority.text("ann.pem"),
        fixture.authority.text("ann.key")
    );
    let found = psql.run(&fixture.conninfo("postgres", &certificate), own)?;
    ensure!(found.ends_with("|/CN=ann|/CN=authority\n"), "{found}");
    let rows = "SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g";
    let found = psql.run(&fixture.conninfo("postgres", ""), rows)?;
    ensure!(found.lines().count() == 20_000, "{} rows", found.lines().count());
    fixture.finish()
}

#[test]
fn a_certificate_of_a_stranger_is_refused() -> Result<()> {
    let Some(psql) = require(Psql::find())? else { return Ok(()) };
    let fixture = start("tls_stranger", &[])?;
    let elsewhere = WorkDir::create("tls_elsewhere")?;
    let stranger = Authority::create(elsewhere.path())?;
    stranger.certify("ann", &[])?;
    let certificate =
        format!("sslcert={} sslkey={}", stranger.text("ann.pem"), stranger.text("ann.key"));
    let refused = psql.run(&fixture.conninfo("postgres", &certificate), "SELECT 1");
    ensure!(refused.is_err(), "{refused:?}");
    fixture.finish()
}

#[test]
fn plaintext_is_refused_where_it_must_be() -> Result<()> {
    let Some(psql) = require(Psql::find())? else { return Ok(()) };
    let fixture = start("tls_required", &["--plaintext", "refuse"])?;
    ensure!(psql.run(&fixture.conninfo("postgres", ""), "SELECT 1")? == "1\n");
    let mut plain = Connection::dial(fixture.node.endpoints().postgres)?;
    plain.send_raw(&startup_packet(&[("user", "ann"), ("database", "d")]))?;
    let Message::Error(refusal) = plain.receive()? else { bail!("it was let in") };
    let expected = "28000 no pg_hba.conf entry for host \"127.0.0.1\", user \"ann\", database \"d\", no encryption";
    ensure!(refusal.to_string() == expected, "{refusal}");
    fixture.finish()
}

#[test]
fn encryption_may_be_asked_for_in_either_order_and_once() -> Result<()> {
    let fixture = start("tls_order", &[])?;
    let mut stream = fixture.dial()?;
    stream.write_all(&GSSENC_REQUEST)?;
    ensure!(byte(&mut stream)? == b'N');
    stream.write_all(&SSL_REQUEST)?;
    ensure!(byte(&mut stream)? == b'S');
    let mut stream = fixture.dial()?;
    stream.write_all(&GSSENC_REQUEST)?;
    ensure!(byte(&mut stream)? == b'N');
    stream.write_all(&GSSENC_REQUEST)?;
    let said = last_words(&mut stream)?;
    ensure!(said.contains("unsupported frontend protocol 1234.5680"), "{said}");
    fixture.finish()
}

#[test]
fn plain_bytes_behind_the_request_are_fatal() -> Result<()> {
    let fixture = start("tls_early", &[])?;
    let mut stream = fixture.dial()?;
    let startup = startup_packet(&[("user", "postgres")]);
    stream.write_all(&[&SSL_REQUEST[..], &startup].concat())?;
    let said = last_words(&mut stream)?;
    ensure!(said.starts_with('E'), "{said}");
    ensure!(said.contains("received unencrypted data after SSL request"), "{said}");
    fixture.finish()
}

#[test]
fn garbage_in_the_handshake_ends_that_connection_alone() -> Result<()> {
    let fixture = start("tls_garbage", &[])?;
    for garbage in [&[0x16, 3, 1, 0xff, 0xff][..], &[0x16; 100_000], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = fixture.dial()?;
        stream.write_all(&SSL_REQUEST)?;
        ensure!(byte(&mut stream)? == b'S');
        // The server may hang up before all of it is sent.
        drop(stream.write_all(garbage));
        drop(stream.shutdown(std::net::Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
        let mut direct = fixture.dial()?;
        drop(direct.write_all(garbage));
        drop(direct.shutdown(std::net::Shutdown::Write));
        drop(direct.read_to_end(&mut Vec::new()));
    }
    // One that stalls in the handshake holds up nobody.
    let mut stalled = fixture.dial()?;
    stalled.write_all(&SSL_REQUEST)?;
    ensure!(byte(&mut stalled)? == b'S');
    fixture.node.query("SELECT 1")?;
    fixture.finish()
}
