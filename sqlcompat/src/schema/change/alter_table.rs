//! `ALTER TABLE`: its actions, one after the other.

use super::column::NewColumn;
use super::constraint::{find_column, undefined_constraint};
use super::create_table::{COLUMNS_MAX, Target};
use super::edit::{Edit, undefined_relation};
use super::expression;
use crate::bind::ScalarScope;
use crate::error::{SqlError, SqlState};
use crate::parse::utility::{
    AlterTableAction, ColumnClause, ConstraintClause, ConstraintKind, Deferral, DropKind,
    ObjectName,
};
use crate::schema::catalog::Table;
use crate::schema::definition::{
    ColumnDefinition, ConstraintDefinition, StoredValue, TableDefinition,
};
use crate::schema::lookup::Relation;
use crate::schema::physical::quote;
use crate::schema::row::ObjectId;
use crate::schema::usable::UnusableKind;

impl Edit<'_> {
    /// `ALTER TABLE name actions`.
    pub(super) fn alter_table(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        actions: &[AlterTableAction],
    ) -> Result<(), SqlError> {
        match self.relation(name)? {
            Some(Relation::Table(table)) => {
                let target = Target::of(self, &table.clone());
                for action in actions {
                    let target = Target::of(self, &self.table_by_id(target.id)?.clone());
                    self.alter_table_action(&target, action)?;
                    self.relink();
                }
                Ok(())
            }
            Some(other) => {
                let kind = match other {
                    Relation::View(view) if view.materialized_in.is_some() => {
                        DropKind::MaterializedView
                    }
                    Relation::View(_) => DropKind::View,
                    Relation::Sequence(_) => DropKind::Sequence,
                    Relation::Table(_) | Relation::Index(..) => DropKind::Index,
                };
                self.alter_other(kind, name, actions)
            }
            None if if_exists => {
                let message = format!("relation \"{}\" does not exist, skipping", name.display());
                self.plain_notice(message, None);
                Ok(())
            }
            None => Err(undefined_relation(name)),
        }
    }

    /// `ALTER TABLE` on a view, sequence or index, for the actions that these know.
    fn alter_other(
        &mut self,
        kind: DropKind,
        name: &ObjectName,
        actions: &[AlterTableAction],
    ) -> Result<(), SqlError> {
        for action in actions {
            match action {
                AlterTableAction::Object(change) => {
                    self.alter_object(kind, name, false, change)?;
                }
                AlterTableAction::Ignored => {}
                AlterTableAction::RenameColumn(old, new) if kind == DropKind::View => {
                    self.rename_view_column(name, old, new)?;
                }
                _ => {
                    let message =
                        format!("ALTER action cannot be performed on relation \"{}\"", name.name);
                    let detail = format!(
                        "This operation is not supported for {}.",
                        match kind {
                            DropKind::Index => "indexes",
                            DropKind::Sequence => "sequences",
                            DropKind::MaterializedView => "materialized views",
                            _ => "views",
                        }
                    );
                    return Err(
                        SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail)
                    );
                }
            }
        }
        Ok(())
    }

    fn alter_table_action(
        &mut self,
        target: &Target,
        action: &AlterTableAction,
    ) -> Result<(), SqlError> {
        match action {
            AlterTableAction::AddColumn { if_not_exists, column } => {
                self.add_column(target, column, *if_not_exists)
            }
            AlterTableAction::DropColumn { name, if_exists, cascade } => {
                self.drop_column(target, name, *if_exists, *cascade)
            }
            AlterTableAction::AlterColumn(name, change) => self.alter_column(target, name, change),
            AlterTableAction::AddConstraint(clause) => self.add_constraint(target, clause),
            AlterTableAction::DropConstraint { name, if_exists, cascade } => {
                self.drop_constraint(target, name, *if_exists, *cascade)
            }
            AlterTableAction::ValidateConstraint(name) => {
                self.constraint_id(target, name).map(|_| ())
            }
            AlterTableAction::AlterConstraint(name, deferral) => {
                self.alter_constraint(target, name, *deferral)
            }
            AlterTableAction::RenameColumn(old, new) => self.rename_column(target, old, new),
            AlterTableAction::RenameConstraint(old, new) => {
                self.rename_constraint(target, old, new)
            }
            AlterTableAction::Object(change) => {
                self.change_object(DropKind::Table, target.id, change)
            }
            AlterTableAction::Ignored => Ok(()),
        }
    }

    /// `ADD COLUMN`.
    fn add_column(
        &mut self,
        target: &Target,
        clause: &ColumnClause,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?;
        if table.column_by_name(&clause.name).is_some() {
            let message = format!(
                "column \"{}\" of relation \"{}\" already exists",
                clause.name, target.name
            );
            if if_not_exists {
                self.notice(SqlState::DUPLICATE_COLUMN, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        if table.columns.len() >= COLUMNS_MAX {
            let message = format!("tables can have at most {COLUMNS_MAX} columns");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        let location = location(table);
        let column = self.new_column(clause)?;
        let id = self.create_column(target, &column)?;
        self.relink();
        self.check_generated(target)?;
        self.fill_column(target, id, &column, &location)?;
        for constraint in &clause.constraints {
            let named = Some(clause.name.as_str());
            let constraint_id = self.create_constraint(target, named, constraint)?;
            self.check_constraint_data(target, constraint_id, constraint, false)?;
        }
        Ok(())
    }

    /// Settles what existing rows hold in an added column.
    ///
    /// A default that is the same for all rows is evaluated once and kept in the schema, so that nothing is written; one
    /// that differs from row to row (`nextval`, `gen_random_uuid`) is an UPDATE, which replicates as data.
    fn fill_column(
        &mut self,
        target: &Target,
        id: ObjectId,
        column: &NewColumn,
        location: &str,
    ) -> Result<(), SqlError> {
        let linked = self.column_of(target, &column.name)?;
        let text = linked.default.as_ref().map(|default| default.expression.clone());
        let generated = column.generated.is_some();
        let from_sequence = column.serial || column.identity.is_some();
        let text = match (text, from_sequence) {
            (Some(text), _) => Some(text),
            (None, true) => self.sequence_default(&linked),
            (None, false) => None,
        };
        let Some(text) = text.filter(|_| !generated) else {
            if column.not_null && !generated {
                let error = contains_null(&target.name, &column.name);
                self.refuse_before(format!("SELECT 1 FROM {location} LIMIT 1"), error);
            }
            return Ok(());
        };
        let expected = Some(column.data_type);
        let lowered = expression::bind(&text, ScalarScope::Nothing, expected, &self.context())?;
        if from_sequence || expression::is_volatile(&text) {
            let name = quote(&linked.physical_name);
            self.after(format!("UPDATE {location} SET {name} = {}", lowered.sql));
            return Ok(());
        }
        let value = self.host.evaluate(&lowered.sql)?;
        if value == crate::datum::Datum::Null {
            if column.not_null {
                let error = contains_null(&target.name, &column.name);
                self.refuse_before(format!("SELECT 1 FROM {location} LIMIT 1"), error);
            }
            return Ok(());
        }
        let missing = Some(StoredValue::from(&value));
        self.redefine(id, |definition: &mut ColumnDefinition| definition.missing = missing);
        self.relink();
        Ok(())
    }

    /// The call that draws an identity column's values.
    fn sequence_default(&self, column: &crate::schema::catalog::Column) -> Option<String> {
        use crate::schema::catalog::ColumnGeneration;
        let oid = match column.generation {
            ColumnGeneration::IdentityAlways(oid) | ColumnGeneration::IdentityByDefault(oid) => oid,
            ColumnGeneration::Plain | ColumnGeneration::Stored(_) => return None,
        };
        let sequence = self.catalog.sequences.get(&oid)?;
        let schema = self.catalog.namespace_name(sequence.namespace);
        Some(crate::schema::link::nextval(Some(schema), &sequence.name))
    }

    fn drop_column(
        &mut self,
        target: &Target,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?;
        let left_out = [UnusableKind::GeneratedColumn];
        if let Some(id) = self.catalog.unusable_named(&left_out, Some(target.id), name) {
            return self.drop_all(&[id], cascade);
        }
        let column = match find_column(table, name) {
            Ok(column) => column,
            Err(error) if if_exists => {
                self.plain_notice(format!("{}, skipping", error.message), None);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let id = column.id;
        if table.key.contains(&column.attnum) {
            return Err(SqlError::unsupported(format!(
                "dropping column \"{name}\" of the primary key that table \"{}\" was created with",
                target.name
            )));
        }
        let uses = |view: &&crate::schema::catalog::View| {
            view.depends_on.contains(&target.id)
                && !expression::columns_used(&view.query, &table.columns)
                    .iter()
                    .all(|it| it.attnum != column.attnum)
        };
        let views: Vec<_> = self.catalog.views.values().filter(uses).map(|it| it.id).collect();
        if let (Some(view), false) = (views.first(), cascade) {
            let what = self.describe(id);
            let message = format!("cannot drop {what} because other objects depend on it");
            let detail = format!("{} depends on {what}", self.describe(*view));
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .with_detail(detail)
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for view in views {
            let what = self.describe(view);
            self.plain_notice(format!("drop cascades to {what}"), None);
            self.drop_all(&[view], true)?;
        }
        self.drop_all(&[id], cascade)
    }

    /// `ADD CONSTRAINT`, with a check of the rows that are there.
    fn add_constraint(
        &mut self,
        target: &Target,
        clause: &ConstraintClause,
    ) -> Result<(), SqlError> {
        let id = self.create_constraint(target, None, clause)?;
        self.check_constraint_data(target, id, clause, true)
    }

    /// Adds the checks of existing rows that a new constraint needs; `on_old` if its columns were there before.
    fn check_constraint_data(
        &mut self,
        target: &Target,
        id: ObjectId,
        clause: &ConstraintClause,
        on_old: bool,
    ) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?.clone();
        match &clause.kind {
            ConstraintKind::Check(_) if clause.not_valid => Ok(()),
            ConstraintKind::ForeignKey(_) if clause.not_valid => Ok(()),
            ConstraintKind::Check(text) => {
                let lowered = expression::bind_condition(&table, text, "CHECK", &self.context())?;
                let sql = format!(
                    "SELECT 1 FROM {} WHERE NOT ({}) LIMIT 1",
                    location(&table),
                    lowered.sql
                );
                self.refuse_after(sql, check_violated(&table, id));
                Ok(())
            }
            ConstraintKind::PrimaryKey(_)
            | ConstraintKind::Unique { .. }
            | ConstraintKind::UsingIndex(..) => {
                if on_old {
                    self.check_unique_data(&table, id);
                }
                Ok(())
            }
            ConstraintKind::ForeignKey(_) => self.check_foreign_data(&table, id),
        }
    }

    /// Refuses duplicates, and NULLs in a primary key, in existing rows.
    fn check_unique_data(&mut self, table: &Table, id: ObjectId) {
        let Some(unique) = table.uniques.iter().find(|unique| unique.id == id) else { return };
        let columns: Vec<_> = unique.columns.iter().filter_map(|it| table.column(*it)).collect();
        let names: Vec<_> = columns.iter().map(|column| quote(&column.physical_name)).collect();
        let location = location(table);
        if unique.primary {
            for (column, name) in columns.iter().zip(&names) {
                let sql = format!("SELECT 1 FROM {location} WHERE {name} IS NULL LIMIT 1");
                self.refuse_before(sql, contains_null(&table.name, &column.name));
            }
        }
        let present: Vec<_> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let filter = if unique.nulls_not_distinct { "1".to_owned() } else { present.join(" AND ") };
        let list = names.join(", ");
        let sql = format!(
            "SELECT 1 FROM {location} WHERE {filter} GROUP BY {list} HAVING count(*) > 1 LIMIT 1"
        );
        let message = format!("could not create unique index \"{}\"", unique.name);
        let mut error = SqlError::new(SqlState::UNIQUE_VIOLATION, message);
        error.object.table = Some(table.name.clone());
        error.object.constraint = Some(unique.name.clone());
        self.refuse_before(sql, error);
    }

    /// Refuses rows without the row that they reference.
    fn check_foreign_data(&mut self, table: &Table, id: ObjectId) -> Result<(), SqlError> {
        let Some(foreign) = table.foreign_keys.iter().find(|it| it.id == id) else { return Ok(()) };
        let Some(referenced) = self.catalog.table(foreign.references) else { return Ok(()) };
        let from: Vec<_> = foreign.columns.iter().filter_map(|it| table.column(*it)).collect();
        let to = foreign.referenced_columns.iter().filter_map(|it| referenced.column(*it));
        let mut present = Vec::new();
        let mut equal = Vec::new();
        for (from, to) in from.iter().zip(to) {
            let name = quote(&from.physical_name);
            present.push(format!("f.{name} IS NOT NULL"));
            equal.push(format!("p.{} = f.{name}", quote(&to.physical_name)));
        }
        let sql = format!(
            "SELECT 1 FROM {} f WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {}) LIMIT 1",
            location(table),
            present.join(" AND "),
            location(referenced),
            equal.join(" AND ")
        );
        let message = format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            table.name, foreign.name
        );
        let mut error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message);
        error.object.table = Some(table.name.clone());
        error.object.constraint = Some(foreign.name.clone());
        self.refuse_after(sql, error);
        Ok(())
    }

    /// The id of a constraint of a table.
    fn constraint_id(&self, target: &Target, name: &str) -> Result<ObjectId, SqlError> {
        let table = self.table_by_id(target.id)?;
        let uniques = table.uniques.iter().map(|it| (it.id, &it.name));
        let checks = table.checks.iter().map(|it| (it.id, &it.name));
        let foreign = table.foreign_keys.iter().map(|it| (it.id, &it.name));
        let mut all = uniques.chain(checks).chain(foreign);
        let found = all.find(|(_, it)| *it == name).map(|(id, _)| id);
        let found = found.or_else(|| self.unusable_constraint(target, name));
        found.ok_or_else(|| undefined_constraint(&target.name, name))
    }

    /// The id of a constraint of a table that is left out.
    fn unusable_constraint(&self, target: &Target, name: &str) -> Option<ObjectId> {
        let kinds = [UnusableKind::Check, UnusableKind::ForeignKey];
        self.catalog.unusable_named(&kinds, Some(target.id), name)
    }

    fn drop_constraint(
        &mut self,
        target: &Target,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let id = match self.constraint_id(target, name) {
            Ok(id) => id,
            Err(error) if if_exists => {
                self.plain_notice(format!("{}, skipping", error.message), None);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let definition: TableDefinition = self.definition(target.id);
        if definition.key == Some(id.0) {
            return Err(SqlError::unsupported(format!(
                "dropping the primary key that table \"{}\" was created with",
                target.name
            )));
        }
        self.drop_all(&[id], cascade)
    }

    fn alter_constraint(
        &mut self,
        target: &Target,
        name: &str,
        deferral: Deferral,
    ) -> Result<(), SqlError> {
        let id = self.constraint_id(target, name)?;
        let table = self.table_by_id(target.id)?;
        if !table.foreign_keys.iter().any(|foreign| foreign.id == id) {
            let message = format!(
                "constraint \"{name}\" of relation \"{}\" is not a foreign key constraint",
                target.name
            );
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        self.redefine(id, |definition: &mut ConstraintDefinition| {
            definition.deferrable = deferral.deferrable;
            definition.deferred = deferral.deferred;
        });
        Ok(())
    }

    fn rename_constraint(&mut self, target: &Target, old: &str, new: &str) -> Result<(), SqlError> {
        let id = self.constraint_id(target, old)?;
        let table = self.table_by_id(target.id)?;
        if table.has_constraint(new) {
            let message =
                format!("constraint \"{new}\" for relation \"{}\" already exists", target.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        if table.uniques.iter().any(|unique| unique.id == id) {
            self.claim_relation_name(target.namespace.1, new, false)?;
        }
        self.rename(id, None, new);
        Ok(())
    }

    /// `RENAME COLUMN`. The texts of the table's own expressions follow: they are known to mean this column.
    fn rename_column(&mut self, target: &Target, old: &str, new: &str) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?.clone();
        let Some(column) = table.column_by_name(old) else {
            let message = format!("column \"{old}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        if table.column_by_name(new).is_some() {
            let message =
                format!("column \"{new}\" of relation \"{}\" already exists", target.name);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        self.refuse_if_viewed(target.id, old)?;
        self.rename(column.id, None, new);
        Ok(())
    }
}

/// A table as SQLite's statements name it.
pub(super) fn location(table: &Table) -> String {
    format!("{}.{}", table.database(), quote(&table.physical_name))
}

/// 23502 for existing rows.
pub(super) fn contains_null(table: &str, column: &str) -> SqlError {
    let message = format!("column \"{column}\" of relation \"{table}\" contains null values");
    let mut error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message);
    error.object.table = Some(table.to_owned());
    error.object.column = Some(column.to_owned());
    error
}

/// 23514 for existing rows.
fn check_violated(table: &Table, id: ObjectId) -> SqlError {
    let name = table.checks.iter().find(|check| check.id == id).map(|check| check.name.clone());
    let name = name.unwrap_or_default();
    let message = format!(
        "check constraint \"{name}\" of relation \"{}\" is violated by some row",
        table.name
    );
    let mut error = SqlError::new(SqlState::CHECK_VIOLATION, message);
    error.object.table = Some(table.name.clone());
    error.object.constraint = Some(name);
    error
}
