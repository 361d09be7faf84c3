//! Drivers that people use, each through its own way of speaking the protocol.

use anyhow::{Context, Result, ensure};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};
use trellis_tests::clients::{self, Psql, Python};
use trellis_tests::cluster::Cluster;
use trellis_tests::node::Node;
use trellis_tests::oracle::{Durability, Oracle};

/// Connects with `tokio-postgres`; the connection's task ends with the client.
async fn connect(node: &Node) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&node.conninfo(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A runtime with one thread, for one test.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}

#[test]
fn tokio_postgres_prepares_binds_and_reads_binary() -> Result<()> {
    let cluster = Cluster::start("tokio", 2)?;
    runtime()?.block_on(async {
        let client = connect(cluster.node(1)).await?;
        client
            .batch_execute(
                "CREATE TABLE things (id int8 PRIMARY KEY, name text NOT NULL, price float8, ok bool, raw bytea)",
            )
            .await?;
        let insert = client.prepare("INSERT INTO things VALUES ($1, $2, $3, $4, $5)").await?;
        let expected = [Type::INT8, Type::TEXT, Type::FLOAT8, Type::BOOL, Type::BYTEA];
        ensure!(insert.params() == expected, "parameters are {:?}", insert.params());
        for id in 1..=20_i64 {
            let raw: Option<&[u8]> = (id % 2 == 0).then_some(&[0, 255]);
            let name = format!("thing {id}");
            let count = client
                .execute(&insert, &[&id, &name, &1.5_f64, &Some(id % 3 == 0), &raw])
                .await?;
            ensure!(count == 1);
        }
        let select = client.prepare("SELECT id, name, ok FROM things WHERE id > $1 ORDER BY id").await?;
        let rows = client.query(&select, &[&18_i64]).await?;
        let found: Vec<(i64, &str, bool)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        ensure!(found == [(19, "thing 19", false), (20, "thing 20", false)], "{found:?}");

        let error = client.execute(&insert, &[&1_i64, &"again", &0.0_f64, &true, &None::<&[u8]>]).await;
        let error = error.err().context("a duplicate key was accepted")?;
        let error = error.as_db_error().context("not a server error")?;
        ensure!(error.code().code() == "23505", "{error:?}");
        ensure!(error.constraint() == Some("things_pkey"), "{error:?}");
        Ok(())
    })?;
    cluster.all_answer("SELECT count(*) FROM things WHERE raw = '\\x00ff'", &["10"])?;
    cluster.finish()
}

#[test]
fn tokio_postgres_transactions_and_cancel() -> Result<()> {
    let cluster = Cluster::start("tokio-tx", 1)?;
    runtime()?.block_on(async {
        let mut client = connect(cluster.node(1)).await?;
        client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, n int)").await?;
        let mut transaction = client.transaction().await?;
        transaction.execute("INSERT INTO t VALUES (1, 1)", &[]).await?;
        let savepoint = transaction.savepoint("s").await?;
        savepoint.execute("INSERT INTO t VALUES (2, 2)", &[]).await?;
        savepoint.rollback().await?;
        transaction.commit().await?;
        ensure!(client.query_one("SELECT count(*) FROM t", &[]).await?.get::<_, i64>(0) == 1);

        let transaction = client.transaction().await?;
        let portal = transaction.bind("SELECT g FROM generate_series(1, 5) g", &[]).await?;
        ensure!(transaction.query_portal(&portal, 2).await?.len() == 2);
        ensure!(transaction.query_portal(&portal, 2).await?.len() == 2);
        ensure!(transaction.query_portal(&portal, 0).await?.len() == 1);
        transaction.rollback().await?;

        let token = client.cancel_token();
        let endless = client.query("SELECT pg_sleep(600)", &[]);
        tokio::pin!(endless);
        // A cancel that comes before the statement is lost, as in PostgreSQL: ask until it ends.
        let outcome = loop {
            tokio::select! {
                outcome = &mut endless => break outcome,
                _ = token.cancel_query(NoTls) => {}
            }
        };
        let error = outcome.err().context("the statement was not cancelled")?;
        ensure!(error.code() == Some(&SqlState::QUERY_CANCELED), "{error}");
        // One more cancel may be under way; it ends at most the next statement.
        let _ = client.query_one("SELECT 1", &[]).await;
        ensure!(client.query_one("SELECT 1", &[]).await?.get::<_, i32>(0) == 1);
        Ok(())
    })?;
    cluster.finish()
}

const PSYCOPG2: &str = r#"
import psycopg2, sys, datetime, decimal
c = psycopg2.connect(sys.argv[1])
cur = c.cursor()
cur.execute("CREATE TABLE py (id int PRIMARY KEY, t text, n numeric(8,2), d date, at timestamptz, j jsonb)")
rows = [(i, 'name %d' % i, decimal.Decimal('1.50') * i, datetime.date(2024, 1, i), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), '{"k": [1, null]}') for i in range(1, 11)]
cur.executemany("INSERT INTO py VALUES (%s, %s, %s, %s, %s, %s)", rows)
c.commit()
cur.execute("SELECT id, t, n, d, at, j FROM py WHERE id = %s", (3,))
row = cur.fetchone()
assert row[:4] == (3, 'name 3', decimal.Decimal('4.50'), datetime.date(2024, 1, 3)), row
assert row[4].astimezone(datetime.timezone.utc) == rows[0][4], row
assert row[5] == {"k": [1, None]}, row
cur.execute("UPDATE py SET t = 'x' WHERE id > 5")
assert cur.rowcount == 5, cur.rowcount
c.rollback()
try:
    cur.execute("INSERT INTO py (id) VALUES (1)")
    raise AssertionError('no error')
except psycopg2.errors.UniqueViolation as e:
    assert e.diag.constraint_name == 'py_pkey', e.diag.constraint_name
c.rollback()
try:
    cur.execute("SELECT nosuch FROM py")
    raise AssertionError('no error')
except psycopg2.errors.UndefinedColumn as e:
    assert e.diag.statement_position == '8', e.diag.statement_position
c.rollback()
with c.cursor('named') as named:
    named.itersize = 3
    named.execute("SELECT id FROM py ORDER BY id")
    assert [r[0] for r in named] == list(range(1, 11))
c.commit()
import io
cur.copy_expert("COPY py (id, t) FROM STDIN", io.StringIO("20\tcopied\n21\t\\N\n"))
c.commit()
out = io.StringIO()
cur.copy_expert("COPY (SELECT id, t FROM py WHERE id >= 20 ORDER BY id) TO STDOUT WITH CSV", out)
assert out.getvalue() == "20,copied\n21,\n", out.getvalue()
print(c.server_version, c.encoding)
"#;

const PSYCOPG3: &str = r#"
import psycopg, sys, uuid
with psycopg.connect(sys.argv[1]) as c:
    for n in range(8):   # prepared by the driver after five executions
        assert c.execute("SELECT %s::int + 1", (n,)).fetchone() == (n + 1,)
    c.execute("CREATE TABLE py3 (id uuid PRIMARY KEY, tags text[], n int8)")
    u = uuid.uuid4()
    c.execute("INSERT INTO py3 VALUES (%s, %s, %s)", (u, ['a', 'b c'], 2**40))
    assert c.execute("SELECT * FROM py3", binary=True).fetchone() == (u, ['a', 'b c'], 2**40)
    assert c.execute("SELECT n FROM py3 WHERE id = ANY(%s)", ([u],)).fetchall() == [(2**40,)]
with psycopg.connect(sys.argv[1]) as c:
    with c.pipeline():
        cur = [c.execute("SELECT %s::text", (str(n),)) for n in range(20)]
        assert [x.fetchone()[0] for x in cur] == [str(n) for n in range(20)]
    with c.cursor() as cur:
        with cur.copy("COPY py3 (id, n) FROM STDIN") as copy:
            for n in range(100):
                copy.write_row((uuid.uuid4(), n))
    assert c.execute("SELECT count(*) FROM py3").fetchone() == (101,)
print('ok')
"#;

#[test]
fn psycopg2_speaks_the_simple_protocol() -> Result<()> {
    let Some(python) = clients::require(Python::find())? else { return Ok(()) };
    let cluster = Cluster::start("psycopg2", 2)?;
    let printed = python.run(PSYCOPG2, &[&cluster.node(1).conninfo()])?;
    ensure!(printed.starts_with("15") && printed.trim_end().ends_with("UTF8"), "{printed}");
    cluster.all_answer("SELECT count(*) FROM py", &["12"])?;
    cluster.finish()
}

#[test]
fn psycopg3_speaks_the_extended_protocol() -> Result<()> {
    let Some(python) = clients::require(Python::find())? else { return Ok(()) };
    let cluster = Cluster::start("psycopg3", 2)?;
    ensure!(python.run(PSYCOPG3, &[&cluster.node(1).conninfo()])? == "ok\n");
    cluster.all_answer("SELECT count(*) FROM py3", &["101"])?;
    cluster.finish()
}

#[test]
fn psql_describes_what_is_there() -> Result<()> {
    let Some(psql) = clients::require(Psql::find())? else { return Ok(()) };
    let cluster = Cluster::start("psql", 1)?;
    let conninfo = cluster.node(1).conninfo();
    psql.run(
        &conninfo,
        "CREATE TABLE menu (id int PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', price numeric(6,2));
         CREATE INDEX menu_name ON menu (name);",
    )?;
    let described = psql.transcript(&conninfo, "\\d menu\n")?;
    for part in [
        "Table \"public.menu\"",
        " name   | character varying(20) |           | not null | 'x'::character varying",
        " price  | numeric(6,2) ",
        "\"menu_pkey\" PRIMARY KEY, btree (id)",
        "\"menu_name\" btree (name)",
    ] {
        ensure!(described.contains(part), "\\d menu lacks {part:?}:\n{described}");
    }
    for command in ["\\dt", "\\di", "\\l", "\\dn", "\\du", "\\d", "\\dt+ menu", "\\d+ menu"] {
        let listed = psql.transcript(&conninfo, &format!("{command}\n"))?;
        ensure!(!listed.contains("ERROR"), "{command}:\n{listed}");
        ensure!(!listed.trim().is_empty(), "{command} says nothing");
    }
    cluster.finish()
}

/// A schema with something for every backslash command below.
const DESCRIBED: &str = "
    CREATE TABLE menu (id int PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', price numeric(6,2),
        made timestamptz DEFAULT now(), CHECK (price > 0), UNIQUE (name, made));
    CREATE INDEX menu_price ON menu (price DESC, lower(name));
    CREATE TABLE orders (id bigint PRIMARY KEY, menu_id int NOT NULL, note text);
    CREATE UNIQUE INDEX orders_note ON orders (note) WHERE note IS NOT NULL;";

/// Backslash commands whose output must be PostgreSQL's to the letter.
const COMMANDS: [&str; 14] = [
    "\\d",
    "\\d menu",
    "\\d orders",
    "\\d menu_price",
    "\\d nosuch",
    "\\dt",
    "\\dt m*",
    "\\di",
    "\\dn",
    "\\du",
    "\\dv",
    "\\ds",
    "\\dT",
    "\\sf nosuch",
];

#[test]
fn psql_shows_what_it_shows_on_postgresql() -> Result<()> {
    let Some(psql) = clients::require(Psql::find())? else { return Ok(()) };
    let Some(oracle) = clients::require(Oracle::start(Durability::Volatile))? else {
        return Ok(());
    };
    let cluster = Cluster::start("backslash", 1)?;
    let (ours, theirs) = (cluster.node(1).conninfo(), oracle.conninfo());
    for conninfo in [&ours, &theirs] {
        psql.run(conninfo, DESCRIBED)?;
    }
    let mut differences = Vec::new();
    for command in COMMANDS {
        let script = format!("{command}\n");
        let expected = psql.transcript(&theirs, &script)?;
        let found = psql.transcript(&ours, &script)?;
        if found != expected {
            differences.push(format!("{command}\nexpected\n{expected}\nfound\n{found}"));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    cluster.finish()
}
