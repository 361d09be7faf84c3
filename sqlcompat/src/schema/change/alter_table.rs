//! `ALTER TABLE`: its actions, one after the other.

use super::attributes::refuse_member_of_itself;
use super::column::NewColumn;
use super::constraint::{find_column, undefined_constraint};
use super::create_table::{COLUMNS_MAX, Target};
use super::edit::{Edit, undefined_relation};
use super::expression;
use crate::bind::ScalarScope;
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::parse::utility::{
    AlterTable, AlterTableAction, ColumnClause, ConstraintClause, ConstraintKind, Deferral,
    DropKind,
};
use crate::schema::catalog::{Column, Table, UserType};
use crate::schema::definition::{
    ColumnDefinition, ConstraintDefinition, StoredValue, TableDefinition,
};
use crate::schema::lookup::Relation;
use crate::schema::physical::quote;
use crate::schema::row::ObjectId;
use crate::schema::statement::{RefusedKey, SchemaStep};
use crate::schema::table_sql::location;
use crate::schema::usable::UnusableKind;

impl Edit<'_> {
    /// `ALTER TABLE name actions`, and of other relations.
    pub(super) fn alter_table(&mut self, ast: &AlterTable) -> Result<(), SqlError> {
        let AlterTable { kind, name, if_exists, actions } = ast;
        let found = match self.relation(name)? {
            Some(Relation::Table(table)) => (DropKind::Table, Some(table.id)),
            Some(Relation::View(view)) if view.materialized_in.is_some() => {
                (DropKind::MaterializedView, None)
            }
            Some(Relation::View(_)) => (DropKind::View, None),
            Some(Relation::Sequence(_)) => (DropKind::Sequence, None),
            Some(Relation::Index(..)) => (DropKind::Index, None),
            None if *if_exists => {
                let message = format!("relation \"{}\" does not exist, skipping", name.display());
                self.plain_notice(message, None);
                return Ok(());
            }
            None => return Err(undefined_relation(name)),
        };
        if *kind != DropKind::Table && *kind != found.0 {
            let article = if *kind == DropKind::Index { "an" } else { "a" };
            let what = kind.tag().to_lowercase();
            let message = format!("\"{}\" is not {article} {what}", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if let (DropKind::Table, Some(id)) = found {
            for action in actions {
                let target = Target::of(self, &self.table_by_id(id)?.clone());
                self.alter_table_action(&target, action)?;
                self.relink();
            }
            return Ok(());
        }
        actions.iter().try_for_each(|action| self.alter_other(found.0, name, action))
    }

    fn alter_table_action(
        &mut self,
        target: &Target,
        action: &AlterTableAction,
    ) -> Result<(), SqlError> {
        match action {
            AlterTableAction::AddColumn { if_not_exists, column } => {
                let column = without_places(column);
                self.add_column(target, &column, *if_not_exists)
            }
            AlterTableAction::DropColumn { name, if_exists, cascade } => {
                self.drop_column(target, name, *if_exists, *cascade)
            }
            AlterTableAction::AlterColumn(name, change) => self.alter_column(target, name, change),
            AlterTableAction::ColumnStatistics(_) => {
                let message = "cannot refer to non-index column by number";
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
            }
            AlterTableAction::AddConstraint(clause) => {
                let mut clause = (**clause).clone();
                forget_place(&mut clause);
                self.add_constraint(target, &clause)
            }
            AlterTableAction::DropConstraint { name, if_exists, cascade } => {
                self.drop_constraint(target, name, *if_exists, *cascade)
            }
            AlterTableAction::ValidateConstraint(name) => self.validate_constraint(target, name),
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
            AlterTableAction::SetOptions(_)
            | AlterTableAction::ResetOptions(_)
            | AlterTableAction::ClusterOn(_)
            | AlterTableAction::WithoutCluster
            | AlterTableAction::ReplicaIdentity(_) => self.table_property(target, action),
            AlterTableAction::Switch(is_trigger, name) => {
                let (what, of) =
                    if *is_trigger { ("trigger", "for table") } else { ("rule", "for relation") };
                let message = format!("{what} \"{name}\" {of} \"{}\" does not exist", target.name);
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
            }
            AlterTableAction::Nothing(_) => Ok(()),
            AlterTableAction::Refused("SET UNLOGGED") => Err(SqlError::unsupported(
                "ALTER TABLE SET UNLOGGED: every table is logged and replicated, which",
            )),
            AlterTableAction::Refused("NOT OF") => {
                let message = format!("\"{}\" is not a typed table", target.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            AlterTableAction::Refused(words) => {
                Err(SqlError::unsupported(format!("ALTER TABLE {words}")))
            }
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
        let (location, row_type) = (location(table), table.row_type_oid);
        let mut column = self.new_column(&target.name, clause)?;
        refuse_member_of_itself(&self.catalog, column.data_type.0, (row_type, &target.name))?;
        let id = self.create_column(target, &column)?;
        self.relink();
        self.check_generated(target, std::slice::from_ref(&column))?;
        let keyed = |it: &ConstraintClause| matches!(it.kind, ConstraintKind::PrimaryKey(_));
        if clause.constraints.iter().any(keyed) {
            column.not_null = true;
        }
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
        let domain = match self.catalog.types.get(&linked.type_oid) {
            Some(UserType::Domain(domain)) => Some(domain),
            Some(UserType::Enum(_) | UserType::Composite(_) | UserType::Range(_)) | None => None,
        };
        let text = linked.default.as_ref().map(|default| default.expression.clone());
        let text = text.or_else(|| domain?.default.clone());
        let admits_all = domain.is_none_or(|it| !it.not_null && it.checks.is_empty());
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
            } else if !generated && !admits_all {
                // What the domain says of NULL matters only if there is a row to hold it.
                let scope = ScalarScope::Nothing;
                let null =
                    expression::bind("NULL", scope, Some(column.data_type), &self.context())?;
                let sql = format!("SELECT {} FROM {location} LIMIT 1", null.sql);
                self.change.before.push(SchemaStep::Run(sql));
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
    fn sequence_default(&self, column: &Column) -> Option<String> {
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
        if let Some(column) = self.column_using(table.row_type_oid) {
            // A stored row is the list of its fields.
            return Err(SqlError::unsupported(format!(
                "dropping a column of table \"{}\", whose rows column \"{column}\" stores,",
                target.name
            )));
        }
        if table.key.contains(&column.attnum) {
            return Err(SqlError::unsupported(format!(
                "dropping column \"{name}\" of the primary key that table \"{}\" was created with",
                target.name
            )));
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
            ConstraintKind::Check(_) => self.check_condition_data(&table, id),
            ConstraintKind::PrimaryKey(_)
            | ConstraintKind::Unique(_)
            | ConstraintKind::UsingIndex(..) => {
                if on_old {
                    self.check_unique_data(&table, id);
                }
                Ok(())
            }
            ConstraintKind::ForeignKey(_) => {
                self.check_foreign_data(&table, id);
                Ok(())
            }
        }
    }

    /// Refuses rows that do not meet a CHECK.
    fn check_condition_data(&mut self, table: &Table, id: ObjectId) -> Result<(), SqlError> {
        let Some(check) = table.checks.iter().find(|check| check.id == id) else { return Ok(()) };
        let lowered =
            expression::bind_condition(table, &check.expression, "CHECK", &self.context())?;
        let sql = format!("SELECT 1 FROM {} WHERE NOT ({}) LIMIT 1", location(table), lowered.sql);
        self.refuse_after(sql, check_violated(table, id));
        Ok(())
    }

    /// `VALIDATE CONSTRAINT`: rows from before the constraint are checked.
    fn validate_constraint(&mut self, target: &Target, name: &str) -> Result<(), SqlError> {
        let id = self.constraint_id(target, name)?;
        let table = self.table_by_id(target.id)?.clone();
        let check = table.checks.iter().find(|it| it.id == id).map(|it| it.validated);
        let foreign = table.foreign_keys.iter().find(|it| it.id == id).map(|it| it.validated);
        match (check, foreign) {
            (Some(false), _) => self.check_condition_data(&table, id)?,
            (_, Some(false)) => self.check_foreign_data(&table, id),
            (Some(true), _) | (_, Some(true)) => return Ok(()),
            (None, None) => {
                let message = format!(
                    "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
                    target.name
                );
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
        }
        self.redefine(id, |definition: &mut ConstraintDefinition| definition.not_valid = false);
        Ok(())
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
            "SELECT {list} FROM {location} WHERE {filter} GROUP BY {list} HAVING count(*) > 1 LIMIT 1"
        );
        let message = format!("could not create unique index \"{}\"", unique.name);
        let mut error = SqlError::new(SqlState::UNIQUE_VIOLATION, message);
        error.object.table = Some(table.name.clone());
        error.object.constraint = Some(unique.name.clone());
        error.object.schema = Some(self.catalog.namespace_name(table.namespace).to_owned());
        self.refuse_key_before(sql, error, refused_key(&columns, "is duplicated."));
    }

    /// Refuses rows without the row that they reference.
    fn check_foreign_data(&mut self, table: &Table, id: ObjectId) {
        let Some(foreign) = table.foreign_keys.iter().find(|it| it.id == id) else { return };
        let Some(referenced) = self.catalog.table(foreign.references) else { return };
        let from: Vec<_> = foreign.columns.iter().filter_map(|it| table.column(*it)).collect();
        let to = foreign.referenced_columns.iter().filter_map(|it| referenced.column(*it));
        let mut present = Vec::new();
        let mut equal = Vec::new();
        for (from, to) in from.iter().zip(to) {
            let name = quote(&from.physical_name);
            present.push(format!("f.{name} IS NOT NULL"));
            equal.push(format!("p.{} = f.{name}", quote(&to.physical_name)));
        }
        let values: Vec<_> =
            from.iter().map(|column| format!("f.{}", quote(&column.physical_name))).collect();
        let sql = format!(
            "SELECT {} FROM {} f WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {}) LIMIT 1",
            values.join(", "),
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
        error.object.schema = Some(self.catalog.namespace_name(table.namespace).to_owned());
        let rest = format!("is not present in table \"{}\".", referenced.name);
        self.refuse_key_after(sql, error, refused_key(&from, &rest));
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
        self.rename(column.id, None, new);
        Ok(())
    }
}

/// A column of an `ALTER TABLE`: PostgreSQL binds its expressions when it has the text no more.
fn without_places(column: &ColumnClause) -> ColumnClause {
    let mut column = column.clone();
    let texts = column.default.iter_mut().chain(&mut column.generated);
    texts.for_each(|text| text.position = None);
    column.constraints.iter_mut().for_each(forget_place);
    column
}

/// The same for a constraint's condition.
fn forget_place(clause: &mut ConstraintClause) {
    if let ConstraintKind::Check(text) = &mut clause.kind {
        text.position = None;
    }
}

/// Columns whose values a detail tells.
pub(super) fn refused_key(columns: &[&Column], rest: &str) -> RefusedKey {
    let names: Vec<_> = columns.iter().map(|it| quote_identifier(&it.name)).collect();
    let types = columns.iter().map(|column| column.type_oid).collect();
    RefusedKey { columns: names.join(", "), types, rest: rest.to_owned() }
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
