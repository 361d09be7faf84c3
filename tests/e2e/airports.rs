//! The airports of the world, loaded with psql's `\copy` on node 1, are the same on nodes 2 and 3.

use anyhow::{Context, Result, ensure};
use trellis_tests::clients::{self, Psql, Python};
use trellis_tests::cluster::Cluster;
use trellis_tests::oracle::{Durability, Oracle};

const TABLE: &str = "CREATE TABLE airports (
    icao text PRIMARY KEY, iata text, name text NOT NULL, city text, subd text, country char(2),
    elevation float8, lat float8, lon float8, tz text, lid text);";

/// Questions whose answers must be equal on all nodes, and on PostgreSQL.
const QUESTIONS: [&str; 6] = [
    "SELECT count(*), count(DISTINCT country), count(DISTINCT tz) FROM airports",
    "SELECT country, count(*) FROM airports GROUP BY country ORDER BY 2 DESC, 1 LIMIT 20",
    "SELECT icao, name, lat, lon FROM airports WHERE iata = 'TXL' OR name ILIKE '%tempelhof%' ORDER BY icao",
    "SELECT name, elevation FROM airports WHERE elevation > 14000 ORDER BY elevation DESC, icao",
    "SELECT max(length(name)), min(lat), max(lat), round(avg(elevation)::numeric, 6) FROM airports",
    "SELECT * FROM airports ORDER BY icao",
];

#[test]
fn slow_airports_copied_on_one_node_are_equal_on_all() -> Result<()> {
    let Some(psql) = clients::require(Psql::find())? else { return Ok(()) };
    let Some(python) = clients::require(Python::find())? else { return Ok(()) };
    let csv = python.airports_csv()?;
    let load =
        format!("{TABLE}\n\\copy airports FROM '{}' WITH (FORMAT csv, HEADER)\n", csv.display());
    let cluster = Cluster::start("airports", 3)?;
    psql.run(&cluster.node(1).conninfo(), &load).context("loading the airports")?;
    let rows = psql.run(&cluster.node(1).conninfo(), "SELECT count(*) FROM airports;")?;
    let rows: usize = rows.trim().parse()?;
    ensure!(rows > 25_000, "only {rows} airports were loaded");

    let oracle = clients::require(Oracle::start(Durability::Volatile))?;
    if let Some(oracle) = &oracle {
        psql.run(&oracle.conninfo(), &load).context("loading the airports into PostgreSQL")?;
    }
    cluster.all_answer("SELECT count(*) FROM airports", &[&rows.to_string()])?;
    for question in QUESTIONS {
        let answer = cluster.agree(question)?;
        if let Some(oracle) = &oracle {
            let right = oracle.connect()?.rows(question)?;
            ensure!(answer == right, "not PostgreSQL's answer to: {question}");
        }
    }
    cluster.finish()
}
