//! Health and figures over HTTP.
//!
//! - `GET /health`: 200 while the node serves, 503 when it cannot acknowledge commits any more.
//! - `GET /metrics`: figures in Prometheus' text format.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::engine::Database;
use crate::registry::Registry;

/// A running HTTP server.
pub struct HttpServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shown {
    database: Arc<Database>,
    registry: Arc<Registry>,
}

/// Starts to serve on `address`.
///
/// # Errors
/// If it cannot be listened on.
pub async fn start(
    address: SocketAddr,
    database: Arc<Database>,
    registry: Arc<Registry>,
) -> anyhow::Result<HttpServer> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on {address} for HTTP"))?;
    let address = listener.local_addr().context("the HTTP socket has no address")?;
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(Shown { database, registry });
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async {
            // A dropped sender stops the server as well.
            stopped.await.unwrap_or_default();
        });
        if let Err(error) = served.await {
            tracing::error!(%error, "the HTTP server failed");
        }
    });
    Ok(HttpServer { address, stop, task })
}

impl HttpServer {
    /// The address that is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving.
    pub async fn stop(self) {
        if self.stop.send(()).is_err() {
            tracing::debug!("the HTTP server had already stopped");
        }
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the HTTP server panicked");
        }
    }
}

async fn health(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.database.store().failure() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics(State(shown): State<Shown>) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        let written = writeln!(
            text,
            "# HELP trellis_{name} {help}\n# TYPE trellis_{name} gauge\ntrellis_{name} {value}"
        );
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    gauge("sessions", "Open sessions.", count(shown.registry.len()));
    gauge("log_position", "Transactions in the log, own and remote.", shown.database.position());
    gauge("origins", "Sites of which transactions are known.", count(shown.database.origins()));
    text
}
