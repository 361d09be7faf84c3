//! `ALTER` of properties of relations as a whole, and of relations that are no tables.

use super::create_table::Target;
use super::edit::{Edit, undefined_relation};
use super::storage_option::{self, Owner};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{AlterColumn, AlterTableAction, DropKind, ObjectName, ReplicaIdentity};
use crate::schema::catalog::{Index, Table};
use crate::schema::definition::{IndexDefinition, TableDefinition};
use crate::schema::lookup::Relation;

impl Edit<'_> {
    /// An action about a table's storage, order or identity.
    pub(super) fn table_property(
        &mut self,
        target: &Target,
        action: &AlterTableAction,
    ) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?.clone();
        let mut definition: TableDefinition = self.definition(target.id);
        match action {
            AlterTableAction::SetOptions(options) => {
                definition.options = storage_option::set(&table.options, options, Owner::Table)?;
            }
            AlterTableAction::ResetOptions(options) => {
                definition.options = storage_option::reset(&table.options, options)?;
            }
            AlterTableAction::ClusterOn(index) => {
                definition.clustered_on = Some(clusterable(self, &table, index)?);
            }
            AlterTableAction::WithoutCluster => definition.clustered_on = None,
            AlterTableAction::ReplicaIdentity(identity) => {
                definition.replica_identity = match identity {
                    ReplicaIdentity::Default => None,
                    ReplicaIdentity::Full => Some("full".to_owned()),
                    ReplicaIdentity::Nothing => Some("nothing".to_owned()),
                    ReplicaIdentity::Index(name) => {
                        Some(identifying(self, &table, name)?.to_string())
                    }
                };
            }
            _ => return Ok(()),
        }
        self.redefine(target.id, |stored: &mut TableDefinition| *stored = definition);
        Ok(())
    }

    /// An action on a view, sequence or index.
    pub(super) fn alter_other(
        &mut self,
        kind: DropKind,
        name: &ObjectName,
        action: &AlterTableAction,
    ) -> Result<(), SqlError> {
        match (action, kind) {
            (AlterTableAction::Object(change), _) => self.alter_object(kind, name, false, change),
            (AlterTableAction::Nothing("SET LOGGED"), DropKind::Sequence)
            | (
                AlterTableAction::Nothing("SET TABLESPACE"),
                DropKind::Index | DropKind::MaterializedView,
            )
            | (AlterTableAction::Nothing("SET ACCESS METHOD"), DropKind::MaterializedView)
            | (AlterTableAction::WithoutCluster, DropKind::MaterializedView) => Ok(()),
            (AlterTableAction::Refused("SET UNLOGGED"), DropKind::Sequence) => {
                Err(SqlError::unsupported(
                    "ALTER SEQUENCE SET UNLOGGED: every sequence is logged, which",
                ))
            }
            (
                AlterTableAction::RenameColumn(old, new),
                DropKind::View | DropKind::MaterializedView,
            ) => self.rename_view_column(name, old, new),
            (AlterTableAction::SetOptions(options), DropKind::Index) => self
                .alter_index_options(name, |kept, method| {
                    storage_option::set(kept, options, Owner::Index(method))
                }),
            (AlterTableAction::ResetOptions(options), DropKind::Index) => {
                self.alter_index_options(name, |kept, _| storage_option::reset(kept, options))
            }
            (AlterTableAction::SetOptions(options), DropKind::View) => {
                self.alter_view_options(name, options, true)
            }
            (AlterTableAction::ResetOptions(options), DropKind::View) => {
                self.alter_view_options(name, options, false)
            }
            (AlterTableAction::SetOptions(options), DropKind::MaterializedView) => {
                storage_option::set(&[], options, Owner::Table).map(|_| ())
            }
            (AlterTableAction::ResetOptions(options), DropKind::MaterializedView) => {
                storage_option::reset(&[], options).map(|_| ())
            }
            (AlterTableAction::ColumnStatistics(number), DropKind::Index) => {
                self.index_statistics(name, *number)
            }
            (AlterTableAction::ColumnStatistics(_), _) => {
                let message = "cannot refer to non-index column by number";
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
            }
            (AlterTableAction::AlterColumn(column, change), DropKind::View)
                if matches!(**change, AlterColumn::Default(_)) =>
            {
                let AlterColumn::Default(text) = &**change else { return Ok(()) };
                self.set_view_default(name, column, text.as_ref())
            }
            (AlterTableAction::RenameColumn(..), DropKind::Sequence) => Err(not_supported_for(
                kind,
                format!("cannot rename columns of relation \"{}\"", name.name),
            )),
            _ => Err(not_supported_for(
                kind,
                format!(
                    "ALTER action {} cannot be performed on relation \"{}\"",
                    action.words(),
                    name.name
                ),
            )),
        }
    }

    /// Changes the storage options of an index. A constraint's are not kept.
    fn alter_index_options(
        &mut self,
        name: &ObjectName,
        change: impl FnOnce(&[String], &str) -> Result<Vec<String>, SqlError>,
    ) -> Result<(), SqlError> {
        let Some(Relation::Index(table, oid)) = self.relation(name)? else {
            return Err(undefined_relation(name));
        };
        let Some(index) = table.index(oid).cloned() else {
            return change(&[], "btree").map(|_| ());
        };
        let options = change(&index.options, &index.method)?;
        self.redefine(index.id, |definition: &mut IndexDefinition| definition.options = options);
        Ok(())
    }

    /// `ALTER COLUMN number SET STATISTICS`: of an expression only.
    fn index_statistics(&self, name: &ObjectName, number: i64) -> Result<(), SqlError> {
        let Some(Relation::Index(table, oid)) = self.relation(name)? else {
            return Err(undefined_relation(name));
        };
        let (keys, included) = columns_of(table, oid);
        let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
        let column = |attnum: i16| table.column(attnum).map_or("", |it| it.name.as_str());
        let index = &name.name;
        let unsupported = |message: String| SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
        match (keys.get(place), included.get(place.saturating_sub(keys.len()))) {
            (Some(0), _) => Ok(()),
            (Some(attnum), _) => {
                let column = column(*attnum);
                Err(unsupported(format!(
                    "cannot alter statistics on non-expression column \"{column}\" of index \"{index}\""
                ))
                .with_hint("Alter statistics on table column instead."))
            }
            (None, Some(attnum)) => {
                let column = column(*attnum);
                Err(unsupported(format!(
                    "cannot alter statistics on included column \"{column}\" of index \"{index}\""
                )))
            }
            (None, None) => {
                let message =
                    format!("column number {number} of relation \"{index}\" does not exist");
                Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
            }
        }
    }
}

/// Attribute numbers of an index's keys, 0 for an expression, and of the columns that it includes.
fn columns_of(table: &Table, oid: Oid) -> (Vec<i16>, Vec<i16>) {
    match (table.index(oid), table.uniques.iter().find(|it| it.index_oid == oid)) {
        (Some(index), _) => {
            (index.keys.iter().map(|key| key.attnum).collect(), index.include.clone())
        }
        (None, Some(unique)) => (unique.columns.clone(), unique.include.clone()),
        (None, None) => (Vec::new(), Vec::new()),
    }
}

/// PostgreSQL's refusal of an action that a kind of relation does not know.
fn not_supported_for(kind: DropKind, message: String) -> SqlError {
    let what = match kind {
        DropKind::Index => "indexes",
        DropKind::Sequence => "sequences",
        DropKind::MaterializedView => "materialized views",
        _ => "views",
    };
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
        .with_detail(format!("This operation is not supported for {what}."))
}

/// An index of a table by name: the id of it or of its constraint, and its definition if it serves none.
fn named_index<'t>(
    edit: &Edit<'_>,
    table: &'t Table,
    name: &str,
    missing: &str,
) -> Result<(i64, Option<&'t Index>), SqlError> {
    if let Some(unique) = table.uniques.iter().find(|it| it.name == name) {
        return Ok((unique.id.0, None));
    }
    if let Some(index) = table.indexes.iter().find(|it| it.name == name) {
        return Ok((index.id.0, Some(index)));
    }
    let elsewhere = edit.catalog.relation_names.get(&(table.namespace, name.to_owned()));
    if let Some(oid) = elsewhere {
        let mut message = format!("\"{name}\" is not an index");
        if edit.catalog.index_tables.contains_key(oid) {
            message.push_str(&format!(" for table \"{}\"", table.name));
        }
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    }
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, missing.to_owned()))
}

/// The id of an index that a table may be clustered by.
fn clusterable(edit: &Edit<'_>, table: &Table, name: &str) -> Result<i64, SqlError> {
    let missing = format!("index \"{name}\" for table \"{}\" does not exist", table.name);
    let (id, index) = named_index(edit, table, name, &missing)?;
    let Some(index) = index else { return Ok(id) };
    let why = if !matches!(index.method.as_str(), "btree" | "gist") {
        format!(
            "cannot cluster on index \"{name}\" because access method does not support clustering"
        )
    } else if index.predicate.is_some() {
        format!("cannot cluster on partial index \"{name}\"")
    } else {
        return Ok(id);
    };
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, why))
}

/// The id of an index that can tell rows apart.
fn identifying(edit: &Edit<'_>, table: &Table, name: &str) -> Result<i64, SqlError> {
    let missing = format!("index \"{name}\" for table \"{}\" does not exist", table.name);
    let (id, index) = named_index(edit, table, name, &missing)?;
    let columns: Vec<i16> = match index {
        Some(index) => index.keys.iter().map(|key| key.attnum).collect(),
        None => {
            let unique = table.uniques.iter().find(|it| it.id.0 == id);
            unique.map(|it| it.columns.clone()).unwrap_or_default()
        }
    };
    let wrong = |message: String| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    if index.is_some_and(|index| !index.unique) {
        return wrong(format!("cannot use non-unique index \"{name}\" as replica identity"));
    }
    let unsupported =
        |message: String| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    if columns.contains(&0) {
        return unsupported(format!("cannot use expression index \"{name}\" as replica identity"));
    }
    if index.is_some_and(|index| index.predicate.is_some()) {
        return unsupported(format!("cannot use partial index \"{name}\" as replica identity"));
    }
    let nullable =
        columns.iter().filter_map(|attnum| table.column(*attnum)).find(|it| !it.not_null);
    if let Some(column) = nullable {
        return wrong(format!(
            "index \"{name}\" cannot be used as replica identity because column \"{}\" is nullable",
            column.name
        ));
    }
    Ok(id)
}
