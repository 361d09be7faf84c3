//! Who is let in: passwords, certificates, and roles that all nodes know.

use std::fs;

use anyhow::{Result, bail, ensure};
use trellis_tests::certificates::Authority;
use trellis_tests::clients::{Psql, Python, require};
use trellis_tests::node::{Node, NodeOptions};
use trellis_tests::wait;
use trellis_tests::wire::{Connection, Message, c_string, startup_packet};
use trellis_tests::work_dir::WorkDir;

/// A node that asks for credentials; `postgres` has the password `pencil`.
struct Fixture {
    node: Node,
    authority: Authority,
    directory: WorkDir,
}

fn arguments(authority: &Authority, method: &str) -> Vec<String> {
    let file = |name: &str| authority.text(name);
    let pairs = [
        ("--auth", method.to_owned()),
        ("--superuser-password-file", file("password")),
        ("--tls-cert", file("server.pem")),
        ("--tls-key", file("server.key")),
        ("--tls-client-ca", file("ca.pem")),
    ];
    pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

fn start(name: &str, method: &str) -> Result<Fixture> {
    let directory = WorkDir::create(name)?;
    let authority = Authority::create(directory.path())?;
    authority.certify("server", &["localhost"])?;
    authority.certify("postgres", &[])?;
    fs::write(authority.path("password"), "pencil\n")?;
    let arguments = arguments(&authority, method);
    let options = NodeOptions { arguments, ..NodeOptions::default() };
    let node = Node::start(directory.path(), "node1", options)?;
    Ok(Fixture { node, authority, directory })
}

impl Fixture {
    fn conninfo(&self, node: &Node, user: &str, more: &str) -> String {
        let port = node.endpoints().postgres.port();
        let root = self.authority.text("ca.pem");
        format!(
            "host=localhost hostaddr=127.0.0.1 port={port} user={user} dbname=postgres sslrootcert={root} {more}"
        )
    }

    /// Begins a session by hand, up to the first request.
    fn begin(&self, user: &str) -> Result<Connection> {
        let mut connection = Connection::dial(self.node.endpoints().postgres)?;
        connection.send_raw(&startup_packet(&[("user", user), ("database", "postgres")]))?;
        let request = connection.receive()?;
        ensure!(request == Message::Authentication(10), "{request:?}");
        Ok(connection)
    }

    fn finish(mut self) -> Result<()> {
        self.node.assert_no_panic()?;
        let log = fs::read_to_string(self.node.log())?;
        ensure!(
            !log.contains("pencil") && !log.contains("SCRAM-SHA-256$"),
            "the log tells secrets"
        );
        self.directory.remove();
        Ok(())
    }
}

/// Fails unless psql is refused with `reason`.
fn assert_refused(psql: &Psql, conninfo: &str, reason: &str) -> Result<()> {
    match psql.run(conninfo, "SELECT 1") {
        Ok(_) => bail!("{conninfo} was let in"),
        Err(error) => {
            let said = error.to_string();
            ensure!(said.contains(reason), "{conninfo}: {said}");
            Ok(())
        }
    }
}

#[test]
fn passwords_let_in_whom_they_belong_to() -> Result<()> {
    let Some(psql) = require(Psql::find())? else { return Ok(()) };
    let fixture = start("scram", "scram")?;
    let info = |user: &str, more: &str| fixture.conninfo(&fixture.node, user, more);
    let own = info("postgres", "password=pencil sslmode=disable");
    psql.run(
        &own,
        "CREATE ROLE ann SUPERUSER LOGIN PASSWORD 'ann''s';
         ALTER ROLE ann SET work_mem = '7MB';
         CREATE ROLE bob LOGIN PASSWORD 'x';
         CREATE ROLE group_only SUPERUSER PASSWORD 'x';
         CREATE ROLE late SUPERUSER LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01';
         CREATE ROLE bare SUPERUSER LOGIN;
         CREATE ROLE old SUPERUSER LOGIN PASSWORD 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';",
    )?;
    let bound = info("ann", "password=ann's sslmode=verify-full channel_binding=require");
    let found =
        psql.run(&bound.replace("ann's", "'ann\\'s'"), "SELECT current_user; SHOW work_mem")?;
    ensure!(found == "ann\n7MB\n", "{found}");
    for user in ["postgres", "nobody", "late", "bare", "old"] {
        let reason = format!("FATAL:  password authentication failed for user \"{user}\"");
        assert_refused(&psql, &info(user, "password=x"), &reason)?;
    }
    assert_refused(&psql, &info("group_only", "password=x"), "is not permitted to log in")?;
    assert_refused(&psql, &info("bob", "password=x"), "only superusers can have sessions")?;
    // A session ends to be of use when its role ceases to be a superuser.
    let demoted = "ALTER ROLE ann NOSUPERUSER; SELECT 1";
    let refused = psql.run(&bound.replace("ann's", "'ann\\'s'"), demoted);
    ensure!(refused.is_err(), "{refused:?}");
    fixture.finish()
}

#[test]
fn python_drivers_authenticate() -> Result<()> {
    let Some(python) = require(Python::find())? else { return Ok(()) };
    let fixture = start("scram_python", "scram")?;
    let port = fixture.node.endpoints().postgres.port().to_string();
    let script = r#"
import asyncio, ssl, sys, asyncpg, psycopg, psycopg2
port, root = int(sys.argv[1]), sys.argv[2]
common = f"host=localhost hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres"
for module in psycopg, psycopg2:
    for mode in "disable", f"verify-full sslrootcert={root}":
        with module.connect(f"{common} password=pencil sslmode={mode}") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert cursor.fetchone() == (mode != "disable",)
    try:
        module.connect(f"{common} password=wrong")
        raise SystemExit("a wrong password was taken")
    except module.OperationalError as error:
        assert "password authentication failed" in str(error), error
async def check():
    context = ssl.create_default_context(cafile=root)
    for secure in False, context:
        connection = await asyncpg.connect(
            host="localhost", port=port, user="postgres", database="postgres", password="pencil", ssl=secure)
        assert await connection.fetchval("SELECT current_user") == "postgres"
        await connection.close()
    try:
        await asyncpg.connect(
            host="localhost", port=port, user="postgres", database="postgres", password="wrong", ssl=context)
        raise SystemExit("a wrong password was taken")
    except asyncpg.InvalidPasswordError:
        pass
asyncio.run(check())
print("done")
"#;
    let said = python.run(script, &[&port, &fixture.authority.text("ca.pem")])?;
    ensure!(said == "done\n", "{said}");
    fixture.finish()
}

#[test]
fn certificates_let_in_whom_they_name() -> Result<()> {
    let Some(psql) = require(Psql::find())? else { return Ok(()) };
    let fixture = start("cert", "cert")?;
    let certificate = format!(
        "sslmode=verify-full sslcert={} sslkey={}",
        fixture.authority.text("postgres.pem"),
        fixture.authority.text("postgres.key")
    );
    let info = |user: &str, more: &str| fixture.conninfo(&fixture.node, user, more);
    let found = psql.run(&info("postgres", &certificate), "SELECT current_user")?;
    ensure!(found == "postgres\n", "{found}");
    let reason = "certificate authentication failed for user \"ann\"";
    assert_refused(&psql, &info("ann", &certificate), reason)?;
    let reason = "connection requires a valid client certificate";
    assert_refused(&psql, &info("postgres", "sslmode=require"), reason)?;
    assert_refused(&psql, &info("postgres", "sslmode=disable"), reason)?;
    fixture.finish()
}

#[test]
fn malformed_exchanges_end_that_connection_alone() -> Result<()> {
    let fixture = start("scram_bad", "scram")?;
    let initial = |mechanism: &str, data: &[u8]| -> Result<Vec<u8>> {
        let length = i32::try_from(data.len())?.to_be_bytes();
        Ok([c_string(mechanism), length.to_vec(), data.to_vec()].concat())
    };
    let frames: [(u8, Vec<u8>); 8] = [
        (b'p', Vec::new()),
        (b'p', b"SCRAM-SHA-256".to_vec()),
        (b'p', initial("SCRAM-SHA-256", b"")?),
        (b'p', initial("SCRAM-SHA-256", b"n,,n=,r=\xff")?),
        // Channel binding is not offered without TLS, whatever the message claims.
        (b'p', initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc")?),
        (b'p', initial("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abc")?),
        (b'p', initial("PLAIN", b"pencil")?),
        (b'Q', c_string("SELECT 1")),
    ];
    for (tag, body) in frames {
        let mut connection = fixture.begin("postgres")?;
        connection.send(tag, &body)?;
        let Message::Error(refusal) = connection.receive()? else { bail!("{body:?} was taken") };
        ensure!(refusal.sqlstate() == "08P01", "{body:?}: {refusal}");
    }
    // A query that announces 256 MB is not waited for.
    let mut connection = fixture.begin("postgres")?;
    connection.send_raw(&[b'Q', 0x0f, 0xff, 0xff, 0xff])?;
    let Message::Error(refusal) = connection.receive()? else { bail!("it was waited for") };
    ensure!(refusal.sqlstate() == "08P01", "{refusal}");
    // A proof that is none; the salt of a role that does not exist stays the same.
    let mut salts = Vec::new();
    for _ in 0..2 {
        let mut connection = fixture.begin("nobody")?;
        connection.send(b'p', &initial("SCRAM-SHA-256", b"n,,n=,r=abc")?)?;
        let (kind, data) = connection.receive_authentication()?;
        ensure!(kind == 11, "{kind}");
        let text = String::from_utf8(data)?;
        let Some((nonce, rest)) = text.split_once(',') else { bail!("{text}") };
        salts.push(rest.to_owned());
        let proof = format!("c=biws,{nonce},p=dmRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGQ=");
        connection.send(b'p', proof.as_bytes())?;
        let Message::Error(refusal) = connection.receive()? else { bail!("it was let in") };
        ensure!(refusal.sqlstate() == "28P01", "{refusal}");
    }
    ensure!(salts[0] == salts[1] && salts[0].ends_with(",i=4096"), "{salts:?}");
    fixture.finish()
}

#[test]
fn roles_are_known_to_all_nodes() -> Result<()> {
    let Some(psql) = require(Psql::find())? else { return Ok(()) };
    let fixture = start("scram_nodes", "scram")?;
    let options = NodeOptions {
        join: vec![fixture.node.endpoints().gossip],
        arguments: arguments(&fixture.authority, "scram"),
        ..NodeOptions::default()
    };
    let second = Node::start(fixture.directory.path(), "node2", options)?;
    let first_info = fixture.conninfo(&fixture.node, "postgres", "password=pencil");
    psql.run(&first_info, "CREATE ROLE ann SUPERUSER LOGIN PASSWORD 'one'")?;
    let on_second = |password: &str| {
        let info = fixture.conninfo(&second, "ann", &format!("password={password}"));
        psql.run(&info, "SELECT current_user").is_ok_and(|it| it == "ann\n")
    };
    wait::until("the role on the second node", || Ok(on_second("one").then_some(())))?;
    let second_info = fixture.conninfo(&second, "postgres", "password=pencil");
    psql.run(&second_info, "ALTER ROLE ann PASSWORD 'two'")?;
    ensure!(on_second("two") && !on_second("one"));
    let oids = "SELECT oid FROM pg_roles WHERE rolname = 'ann'";
    ensure!(psql.run(&first_info, oids)? == psql.run(&second_info, oids)?);
    second.assert_no_panic()?;
    drop(second);
    fixture.finish()
}
