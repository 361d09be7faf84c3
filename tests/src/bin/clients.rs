//! Runs the client matrix and prints its table: `clients [--oracle] [NAME…]`.
//!
//! Each client is set up if need be and runs its cases on a fresh node; with `--oracle` on PostgreSQL 15 instead, which
//! must pass them all. Without names all clients run. Ends with 1 if a case failed.
#![expect(clippy::print_stdout, reason = "the program's answer")]

use std::process::ExitCode;

use anyhow::{Context, Result};
use trellis_tests::matrix::target::Servers;
use trellis_tests::matrix::{CLIENTS, Client, Report};

fn main() -> Result<ExitCode> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let on_oracle = names.iter().any(|name| name == "--oracle");
    names.retain(|name| name != "--oracle");
    let clients = if names.is_empty() {
        CLIENTS.to_vec()
    } else {
        let find = |name: &String| Client::named(name).with_context(|| known(name));
        names.iter().map(find).collect::<Result<Vec<_>>>()?
    };
    let servers = if on_oracle { Servers::oracle()? } else { Servers::Trellis };
    println!("{:<12} {:<28} {:>5}  outcome", "client", "version", "cases");
    let mut failures = Vec::new();
    for client in clients {
        if let Err(error) = client.install() {
            println!("{:<12} {:<28} {:>5}  skipped: {error:#}", client.name, "-", "-");
            continue;
        }
        let report = servers.with_target(
            client.name,
            |target| client.run(target),
            |report| report.failed().next().is_none(),
        );
        let report = report.unwrap_or_else(|error| {
            let mut report = Report::default();
            report.add("(the program)", Err(error));
            report
        });
        let failed = report.failed().count();
        let outcome = if failed == 0 { "ok".to_owned() } else { format!("{failed} failed") };
        println!("{:<12} {:<28} {:>5}  {outcome}", client.name, report.version, report.cases.len());
        failures.extend(report.failed().map(|case| (client.name, case.clone())));
    }
    for (client, case) in &failures {
        println!("\n{client}: {}\n    {}", case.name, case.failure.as_deref().unwrap_or_default());
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn known(name: &str) -> String {
    let names: Vec<_> = CLIENTS.iter().map(|client| client.name).collect();
    format!("no client is called {name}; there are {}", names.join(", "))
}
