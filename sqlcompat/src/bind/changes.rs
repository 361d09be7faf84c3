//! `trellis.crsql_changes`: cr-sqlite's table of changes as SQL sees it. It is found without its schema too.
//!
//! The store's virtual table has values of all types in one column. Here `val` is text: numbers in decimal, blobs in the
//! hexadecimal form of `bytea`, anything else as it is stored; the type of the column that it is for says which it was.

use std::sync::OnceLock;

use crate::builtin;
use crate::oid::Oid;
use crate::schema::{Column, ColumnGeneration, ObjectId, Table, TableKind};

/// Its name.
pub(crate) const CHANGES: &str = "crsql_changes";

/// What stands for it in FROM.
pub(crate) const SELECT: &str = "(SELECT \"table\", pk, cid, crsql_value_text(val) AS val, col_version, \
     db_version, site_id, cl, seq FROM crsql_changes)";

/// It as the target of an INSERT.
pub(crate) fn target() -> &'static Table {
    static TARGET: OnceLock<Table> = OnceLock::new();
    TARGET.get_or_init(|| {
        let row = builtin::relation("trellis", CHANGES);
        let (oid, columns) = row.map_or((Oid(0), &[][..]), |row| (row.oid, row.columns));
        let column = |it: &builtin::ColumnRow| Column {
            id: ObjectId(i64::from(it.attnum)),
            attnum: it.attnum,
            name: it.name.to_owned(),
            physical_name: if it.name == "val" { "val_text" } else { it.name }.to_owned(),
            type_oid: it.type_oid,
            typmod: it.typmod,
            collation: None,
            not_null: it.not_null,
            default: None,
            generation: ColumnGeneration::Plain,
            missing: None,
            using: None,
        };
        Table {
            id: ObjectId(0),
            oid,
            row_type_oid: Oid(0),
            row_array_oid: Oid(0),
            namespace: Oid(0),
            name: CHANGES.to_owned(),
            physical_name: CHANGES.to_owned(),
            kind: TableKind::Replicated,
            columns: columns.iter().map(column).collect(),
            uniques: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            hidden_key: None,
            key: Vec::new(),
            options: Vec::new(),
            clustered_on: None,
            replica_identity: ("d", None),
            on_commit: None,
        }
    })
}
