//! The clients of the matrix and the versions that are installed of them.
//!
//! Debian's packages have the version of the distribution; their programs report it.

use std::path::Path;

use anyhow::Result;

use super::install::{self, Debian};
use super::program::{self, Report};
use super::{Target, postgres_tools};
use crate::clients::Python;

/// What the virtual environment of Python holds.
pub const PYPI: [&str; 11] = [
    "airportsdata==20260905",
    "alembic==1.20.1",
    "asyncpg==0.32.0",
    "Django==5.2.19",
    "greenlet==3.5.6",
    "pg8000==1.31.6",
    "pgcli==4.7.1",
    "psycopg[binary,pool]==3.3.9",
    "psycopg2-binary==2.9.13",
    "pyodbc==5.5.0",
    "SQLAlchemy==2.1.9",
];

/// Modules of Node.js.
pub const NPM: [&str; 5] = [
    "pg@8.23.1",
    "pg-copy-streams@7.0.0",
    "pg-cursor@2.22.0",
    "postgres@3.4.9",
    "sequelize@6.37.8",
];

/// Runs a program from its source, with pgjdbc.
const JAVA: [&str; 3] = ["java", "-cp", "/usr/share/java/postgresql.jar"];

/// Where that comes from.
const JAVA_PACKAGES: [Debian; 2] = [
    Debian { package: "openjdk-17-jdk-headless", file: "/usr/bin/javac" },
    Debian { package: "libpostgresql-jdbc-java", file: "/usr/share/java/postgresql.jar" },
];

/// How a client's cases are run.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A program of `tests/clients/python`.
    Python(&'static str, &'static [Debian]),
    /// A program of `tests/clients/node`.
    Node(&'static str),
    /// A program of another directory, with the interpreter that runs it.
    Script(&'static [&'static str], &'static str, &'static [Debian]),
    /// Cases in Rust around programs of PostgreSQL's.
    Tool(fn(&Target) -> Result<Report>),
}

/// One line of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// What it is called on the command line and in the table.
    pub name: &'static str,
    /// How its cases are run.
    kind: Kind,
}

const fn client(name: &'static str, kind: Kind) -> Client {
    Client { name, kind }
}

/// All clients.
pub const CLIENTS: [Client; 13] = [
    client("psql", Kind::Tool(postgres_tools::psql)),
    client("pgbench", Kind::Tool(postgres_tools::pgbench)),
    client("pg_dump", Kind::Tool(postgres_tools::pg_dump)),
    client("psycopg2", Kind::Python("run_psycopg2.py", &[])),
    client("psycopg3", Kind::Python("run_psycopg3.py", &[])),
    client("asyncpg", Kind::Python("run_asyncpg.py", &[])),
    client("pg8000", Kind::Python("run_pg8000.py", &[])),
    client("sqlalchemy", Kind::Python("run_sqlalchemy.py", &[])),
    client("django", Kind::Python("run_django.py", &[])),
    client("node-pg", Kind::Node("run_pg.js")),
    client("postgres.js", Kind::Node("run_postgres_js.js")),
    client("sequelize", Kind::Node("run_sequelize.js")),
    client("jdbc", Kind::Script(&JAVA, "java/JdbcClient.java", &JAVA_PACKAGES)),
];

impl Client {
    /// The client of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        CLIENTS.into_iter().find(|client| client.name == name)
    }

    /// Sets up what the client needs; must have succeeded before [`Self::run`].
    ///
    /// # Errors
    ///
    /// When something cannot be installed: the client is to be skipped for this reason.
    pub fn install(&self) -> Result<()> {
        match self.kind {
            Kind::Python(_, packages) => {
                install::debian(packages)?;
                Python::find().map(|_| ())
            }
            Kind::Node(_) => install::node_modules().map(|_| ()),
            Kind::Script(_, _, packages) => install::debian(packages),
            Kind::Tool(_) => postgres_tools::installed(),
        }
    }

    /// Runs the client's cases on a server.
    ///
    /// # Errors
    ///
    /// When the program cannot be run at all.
    pub fn run(&self, target: &Target) -> Result<Report> {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let mut command = match self.kind {
            Kind::Python(file, _) => {
                let mut command = Python::find()?.command();
                command.arg(programs.join("python").join(file));
                command
            }
            Kind::Node(file) => {
                let mut command = std::process::Command::new("node");
                command.env("NODE_PATH", install::node_modules()?);
                command.arg(programs.join("node").join(file));
                command
            }
            Kind::Script([interpreter, options @ ..], file, _) => {
                let mut command = std::process::Command::new(interpreter);
                command.args(options).arg(programs.join(file));
                command
            }
            Kind::Script([], ..) => anyhow::bail!("{} has no interpreter", self.name),
            Kind::Tool(run) => return run(target),
        };
        program::run(&mut command, target)
    }
}
