//! From committed transactions to the mailboxes of those who listen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use trellis_replication::crdt::unpack;
use trellis_replication::store::{AppliedTransaction, RowEvent, RowOp};
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

    /// Tells listeners of a transaction. `catalog` is the schema that it was committed under.
    pub fn publish(&self, transaction: &AppliedTransaction, catalog: &Catalog) {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        if channels.is_empty() {
            return;
        }
        let position = transaction.position.0;
        let mut woken: BTreeMap<u32, Arc<Mailbox>> = BTreeMap::new();
        let mut deliver = |channel: &str, payload: &Arc<str>, pid: u32| {
            for (listener, mailbox) in channels.get(channel).into_iter().flatten() {
                let channel = Arc::from(channel);
                let payload = Arc::clone(payload);
                mailbox.put(Notification { pid, channel, payload }, position);
                woken.entry(*listener).or_insert_with(|| Arc::clone(mailbox));
            }
        };
        let mut shapes: BTreeMap<TableId, Option<KeyShape>> = BTreeMap::new();
        for row in transaction.rows() {
            let shape = shapes
                .entry(row.table)
                .or_insert_with(|| key_shape(catalog, row.table))
                .as_ref()
                .filter(|shape| channels.contains_key(&*shape.channel));
            if let Some(shape) = shape {
                let payload = Arc::from(change_payload(transaction, &row, shape, catalog));
                deliver(&shape.channel, &payload, 0);
            }
        }
        for message in &transaction.messages {
            deliver(&message.channel, &Arc::from(message.payload.as_str()), transaction.tag);
        }
        for mailbox in woken.values() {
            mailbox.wake();
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
    let values = unpack(row.pk).unwrap_or_default();
    let settings = FormatSettings::default();
    let types = TypeContext { settings: &settings, names: catalog, now_us: 0 };
    let key: serde_json::Map<String, serde_json::Value> = shape
        .columns
        .iter()
        .zip(&values)
        .map(|((name, oid), value)| (name.clone(), key_json(*oid, value, &types)))
        .collect();
    serde_json::json!({
        "op": operation,
        "pk": key,
        "position": transaction.position.0,
        "origin": transaction.origin.to_string(),
    })
    .to_string()
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
