//! The servers that the programs of the matrix are run on: a node of Trellis, or a database of the oracle.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::oracle::{Durability, Oracle};

/// Where a program finds an empty database.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's address.
    pub address: SocketAddr,
    /// The database's name.
    pub database: String,
}

impl Target {
    /// Gives a command the environment variables by which clients find the server.
    pub fn name_to(&self, command: &mut Command) {
        command.env("PGHOST", self.address.ip().to_string());
        command.env("PGPORT", self.address.port().to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", &self.database);
        command.env("PGCLIENTENCODING", "UTF8").env("LC_ALL", "C.UTF-8");
    }
}

/// Makes targets, one for each client.
#[derive(Debug)]
pub enum Servers {
    /// A fresh node each.
    Trellis,
    /// A fresh database each, on one PostgreSQL 15.
    Oracle(Oracle),
}

impl Servers {
    /// PostgreSQL 15.
    ///
    /// # Errors
    ///
    /// When it is missing or does not start.
    pub fn oracle() -> Result<Self> {
        Oracle::start(Durability::Volatile).map(Self::Oracle)
    }

    /// Runs `work` on a target of its own; a node's files are kept if it fails, or if its answer is not `good`.
    ///
    /// # Errors
    ///
    /// What `work` returns, or that the server could not be set up.
    pub fn with_target<T>(
        &self,
        name: &str,
        work: impl FnOnce(&Target) -> Result<T>,
        good: impl FnOnce(&T) -> bool,
    ) -> Result<T> {
        match self {
            Self::Trellis => {
                let cluster = Cluster::start(name, 1)?;
                let address = cluster.node(1).endpoints().postgres;
                let answer = work(&Target { address, database: "postgres".to_owned() })?;
                if good(&answer) {
                    cluster.finish()?;
                }
                Ok(answer)
            }
            Self::Oracle(oracle) => {
                let database = format!("matrix_{name}");
                oracle.connect()?.rows(&format!("CREATE DATABASE {database}"))?;
                work(&Target { address: oracle.address(), database })
            }
        }
    }
}
