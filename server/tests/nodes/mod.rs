//! Several databases in one process, with no network between them: transactions go from one to another when the test says.

use std::error::Error;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use pgwire::messages::data::DataRow;
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::{DecodeContext, PgWireBackendMessage};
use trellis_replication::store::{ApplyOutcome, LogSlice, Store, StoreOptions};
use trellis_replication::types::{DbVersion, SiteId};
use trellis_server::engine::{CancelSwitch, Database, SqliteEngine};
use trellis_server::feed::Mailbox;
use trellis_server::registry::Registry;
use trellis_server::session::{Disconnected, Identity, Sent, Session, Settings, Wire};
use trellis_server::wire::FrontendMessage;

/// 2026-01-02 03:04:05 UTC, in microseconds since 2000-01-01.
const NOW_US: i64 = 820_551_845_000_000;

/// A database with one session.
pub(crate) struct Node {
    _directory: tempfile::TempDir,
    pub(crate) database: Arc<Database>,
    /// Payloads of notifications that have come with the answers so far.
    pub(crate) heard: Vec<String>,
    session: Session<SqliteEngine>,
}

/// What a statement came to: rows as text, or the error's SQLSTATE and message.
pub(crate) type Answer = Result<Vec<Vec<Option<String>>>, String>;

#[derive(Default)]
struct Captured(BytesMut);

impl Wire for Captured {
    fn send(&mut self, bytes: &mut BytesMut, _: std::time::Duration) -> Result<Sent, Disconnected> {
        self.0.extend_from_slice(&bytes.split());
        Ok(Sent::All)
    }
}

/// The identity of node `number`.
pub(crate) fn site(number: u8) -> SiteId {
    SiteId([number; 16])
}

impl Node {
    /// A new database with the identity of node `number`.
    pub(crate) fn new(number: u8) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let options = StoreOptions { site_id: Some(site(number)), ..StoreOptions::default() };
        drop(Store::open(directory.path(), options)?);
        let database = Database::open(directory.path(), Arc::new(Registry::new(10)))?;
        let identity = Identity {
            user: "postgres".to_owned(),
            database: "postgres".to_owned(),
            pid: 1,
            named: true,
        };
        let settings = Arc::new(Mutex::new(Settings::new("postgres")));
        let mailbox = Arc::new(Mailbox::new(Box::new(|| ())));
        let cancel = Arc::new(CancelSwitch::new(&database));
        let engine =
            SqliteEngine::open(&database, &identity, Arc::clone(&settings), mailbox, cancel)?;
        let session = Session::new(engine, identity, settings);
        Ok(Self { _directory: directory, database, heard: Vec::new(), session })
    }

    /// Runs SQL; of several statements the rows of all.
    pub(crate) fn sql(&mut self, sql: &str) -> Answer {
        let mut captured = Captured::default();
        let handled =
            self.session.handle(NOW_US, FrontendMessage::Query(sql.into()), &mut captured);
        if handled.is_err() {
            return Err("disconnected".into());
        }
        captured.0.extend_from_slice(&self.session.outbox().bytes().split());
        let mut context = DecodeContext::default();
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
        let mut rows = Vec::new();
        while let Ok(Some(answer)) = PgWireBackendMessage::decode(&mut captured.0, &context) {
            match answer {
                PgWireBackendMessage::DataRow(row) => rows.push(texts(&row)),
                PgWireBackendMessage::ErrorResponse(error) => return Err(describe(&error)),
                PgWireBackendMessage::NotificationResponse(heard) => self.heard.push(heard.payload),
                _ => {}
            }
        }
        Ok(rows)
    }

    /// The version up to which this node has an origin's transactions.
    pub(crate) fn head(&self, origin: SiteId) -> DbVersion {
        self.database.store().heads().get(&origin).copied().unwrap_or_default()
    }

    /// Offers the next transaction of an origin to another node; `None` if that has all.
    pub(crate) fn offer_next(&self, to: &Self, origin: SiteId) -> Option<ApplyOutcome> {
        let after = to.head(origin);
        if after >= self.head(origin) {
            return None;
        }
        match self.database.store().read_log(origin, after, 1) {
            Ok(LogSlice::Changesets(log)) => {
                let next = log.get(..1)?;
                to.database.store().apply(next).pop()
            }
            other => panic!("the log cannot be read: {other:?}"),
        }
    }
}

fn texts(row: &DataRow) -> Vec<Option<String>> {
    let mut data = row.data.clone();
    let mut texts = Vec::new();
    for _ in 0..row.field_count {
        let length = i32::from_be_bytes(data.split_to(4)[..].try_into().unwrap_or_default());
        texts.push(
            usize::try_from(length)
                .ok()
                .map(|length| String::from_utf8_lossy(&data.split_to(length)).into_owned()),
        );
    }
    texts
}

fn describe(error: &ErrorResponse) -> String {
    let field = |code: u8| {
        let found = error.fields.iter().find(|(field, _)| *field == code);
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    };
    format!("{} {}", field(b'C'), field(b'M'))
}

/// Gives every node all that any has; returns the last refusal of each transaction that stays out.
pub(crate) fn quiesce(nodes: &[Node]) -> Vec<ApplyOutcome> {
    loop {
        let (mut moved, mut refused) = (false, Vec::new());
        let pairs = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (from, to)));
        for (from, to) in pairs {
            for origin in from.database.store().heads().into_keys() {
                let (some, refusal) = give(from, to, origin);
                moved |= some;
                refused.extend(refusal);
            }
        }
        if !moved {
            return refused;
        }
    }
}

/// Gives a node what another has of an origin; returns whether anything was new, and what was refused.
pub(crate) fn give(from: &Node, to: &Node, origin: SiteId) -> (bool, Option<ApplyOutcome>) {
    let mut moved = false;
    loop {
        match from.offer_next(to, origin) {
            None => return (moved, None),
            Some(ApplyOutcome::Applied) => moved = true,
            Some(refusal) => return (moved, Some(refusal)),
        }
    }
}
