//! Drivers that people use, each through its own way of speaking the protocol.

use anyhow::{Context, Result, ensure};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};
use trellis_tests::clients::{self, Psql};
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
