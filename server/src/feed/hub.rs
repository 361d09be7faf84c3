//! From committed transactions to the mailboxes of those who listen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use trellis_replication::crdt::unpack;
use trellis_replication::store::{AppliedTransaction, RowEvent, RowOp, Store, Visited};
use trellis_replication::types::{TableId, Value};
use trellis_sqlcompat::schema::Catalog;
use trellis_sqlcompat::settings::FormatSettings;
use trellis_sqlcompat::types::{TypeContext, encode_text};
use trellis_sqlcompat::{DatumRef, Oid};

use super::mailbox::{Mailbox, Notification};

/// Names and types of a table's key columns, in key order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShape {
    /// Channel of the table.
    pub channel: Arc<str>,
    /// Key columns.
    pub columns: Vec<(String, Oid)>,
}

/// All listeners of a node.
#[derive(Default)]
pub struct Hub {
    channels: RwLock<BTreeMap<String, BTreeMap<u32, Arc<Mailbox>>>>,
}

impl Hub {
    /// Makes session `pid` a listener of exactly these channels.
    pub fn listen(&self, pid: u32, mailbox: &Arc<Mailbox>, channels: &[String]) {
        let mut all = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<&String> = channels.iter().collect();
        all.retain(|channel, listeners| {
            if !wanted.contains(channel) {
                listeners.remove(&pid);
            }
            !listeners.is_empty()
        });
        for channel in channels {
            all.entry(channel.clone()).or_default().insert(pid, Arc::clone(mailbox));
        }
    }

    /// Tells all who listen to tables that they may have missed changes up to a position.
    pub fn lose_all(&self, position: u64, catalog: &Catalog) {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let mut delivery = Delivery { channels: &channels, position, woken: BTreeMap::new() };
        delivery.lose_rows(catalog);
        delivery.woken.values().for_each(|mailbox| mailbox.wake());
    }

    /// Tells listeners of a transaction. `catalog` is the schema that it was committed under.
    pub fn publish(&self, store: &Store, transaction: &AppliedTransaction, catalog: &Catalog) {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        if channels.is_empty() {
            return;
        }
        let position = transaction.position.0;
        let mut delivery = Delivery { channels: &channels, position, woken: BTreeMap::new() };
        delivery.rows(store, transaction, catalog);
        for message in &transaction.messages {
            let payload = Arc::from(message.payload.as_str());
            delivery.put(&message.channel, &payload, transaction.tag);
        }
        delivery.woken.values().for_each(|mailbox| mailbox.wake());
    }
}

/// Chunks of a transaction whose rows are told: 64 MiB of changes. The store waits while they are read.
const CHUNKS_MAX: u32 = 64;

/// One transaction on its way to the mailboxes.
struct Delivery<'a> {
    channels: &'a BTreeMap<String, BTreeMap<u32, Arc<Mailbox>>>,
    position: u64,
    /// Who got something.
    woken: BTreeMap<u32, Arc<Mailbox>>,
}

impl Delivery<'_> {
    /// Puts a notification into the mailboxes of a channel. Returns whether any took it.
    fn put(&mut self, channel: &str, payload: &Arc<str>, pid: u32) -> bool {
        let mut taken = false;
        for (listener, mailbox) in self.channels.get(channel).into_iter().flatten() {
            let (channel, payload) = (Arc::from(channel), Arc::clone(payload));
            taken |= mailbox.put(Notification { pid, channel, payload }, self.position);
            self.woken.entry(*listener).or_insert_with(|| Arc::clone(mailbox));
        }
        taken
    }

    /// Tells of the rows that the transaction changed.
    fn rows(&mut self, store: &Store, transaction: &AppliedTransaction, catalog: &Catalog) {
        let mut shapes: BTreeMap<TableId, Option<KeyShape>> = BTreeMap::new();
        let visited = store.visit_rows(transaction, CHUNKS_MAX, |row| {
            let shape = shapes.entry(row.table).or_insert_with(|| {
                let shape = key_shape(catalog, row.table);
                shape.filter(|shape| self.channels.contains_key(&*shape.channel))
            });
            let Some(listened) = shape else { return };
            let payload = Arc::from(change_payload(transaction, &row, listened, catalog));
            let channel = Arc::clone(&listened.channel);
            if !self.put(&channel, &payload, 0) {
                // All mailboxes are full: what follows need not be worded.
                *shape = None;
            }
        });
        match visited {
            Ok(Visited::All) => {}
            Ok(Visited::Some) => self.lose_rows(catalog),
            Err(error) => {
                tracing::error!(%error, "changes could not be read for those who listen");
                self.lose_rows(catalog);
            }
        }
    }

    /// Tells those who listen to tables that they may have missed something.
    fn lose_rows(&mut self, catalog: &Catalog) {
        let ids = catalog.tables.values().map(|table| TableId(table.id.0.cast_unsigned()));
        for shape in ids.filter_map(|id| key_shape(catalog, id)) {
            for (listener, mailbox) in self.channels.get(&*shape.channel).into_iter().flatten() {
                mailbox.lose(self.position);
                self.woken.entry(*listener).or_insert_with(|| Arc::clone(mailbox));
            }
        }
    }
}

/// How the keys of a table are shown; `None` for tables that users do not see.
fn key_shape(catalog: &Catalog, table: TableId) -> Option<KeyShape> {
    let table = catalog.tables.values().find(|known| known.id.0.cast_unsigned() == table.0)?;
    let namespace = catalog.namespaces.values().find(|known| known.oid == table.namespace)?;
    let channel = if namespace.name == "public" {
        table.name.clone()
    } else {
        format!("{}.{}", namespace.name, table.name)
    };
    let column = |attnum: &i16| {
        let column = table.columns.iter().find(|column| column.attnum == *attnum)?;
        Some((column.name.clone(), column.type_oid))
    };
    let columns = match table.uniques.iter().find(|unique| unique.primary) {
        Some(key) => key.columns.iter().filter_map(column).collect(),
        None => table.hidden_key.iter().map(|name| (name.clone(), Oid::INT8)).collect(),
    };
    Some(KeyShape { channel: Arc::from(channel), columns })
}

fn change_payload(
    transaction: &AppliedTransaction,
    row: &RowEvent<'_>,
    shape: &KeyShape,
    catalog: &Catalog,
) -> String {
    let operation = match row.op {
        RowOp::Insert => "insert",
        RowOp::Update => "update",
        RowOp::Delete => "delete",
    };
    let key = key_object(&shape.columns, &unpack(row.pk).unwrap_or_default(), catalog);
    serde_json::json!({
        "op": operation,
        "pk": key,
        "position": transaction.position.0,
        "origin": transaction.origin.to_string(),
    })
    .to_string()
}

/// Columns and their values as a JSON object.
pub(crate) fn key_object(
    columns: &[(String, Oid)],
    values: &[Value],
    catalog: &Catalog,
) -> serde_json::Map<String, serde_json::Value> {
    let settings = FormatSettings::default();
    let types = TypeContext { settings: &settings, names: catalog, now_us: 0 };
    let pairs = columns.iter().zip(values);
    pairs.map(|((name, oid), value)| (name.clone(), key_json(*oid, value, &types))).collect()
}

/// A key value as JSON: numbers and booleans as such, everything else as PostgreSQL's text.
fn key_json(oid: Oid, value: &Value, types: &TypeContext<'_>) -> serde_json::Value {
    let datum = match value {
        Value::Null => return serde_json::Value::Null,
        Value::Integer(integer) if oid == Oid::BOOL => return (*integer != 0).into(),
        Value::Integer(integer) if matches!(oid, Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID) => {
            return (*integer).into();
        }
        Value::Integer(integer) => DatumRef::Integer(*integer),
        Value::Real(real) => DatumRef::Real(*real),
        Value::Text(text) => DatumRef::Text(text),
        Value::Blob(blob) => DatumRef::Blob(blob),
    };
    let mut text = Vec::new();
    match encode_text(oid, datum, types, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned().into(),
        Err(error) => {
            tracing::warn!(%error, "a key could not be shown");
            serde_json::Value::Null
        }
    }
}
