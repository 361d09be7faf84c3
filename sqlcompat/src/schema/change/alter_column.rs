//! `ALTER TABLE … ALTER COLUMN`.

use super::alter_table::contains_null;
use super::column::{check_identity_type, type_reference};
use super::constraint::find_column;
use super::create_table::Target;
use super::edit::Edit;
use super::expression::{self, Written};
use crate::bind::resolve::Types;
use crate::bind::{ScalarScope, SchemaPlace};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{AlterColumn, IdentityClause, SequenceOptions, SourceText, TypeName};
use crate::schema::catalog::{Column, ColumnGeneration};
use crate::schema::definition::{ColumnDefinition, StoredValue};
use crate::schema::physical::quote;
use crate::schema::row::ObjectId;
use crate::schema::storage::storage_form;
use crate::schema::table_sql::location;

impl Edit<'_> {
    /// `ALTER COLUMN name change`.
    pub(super) fn alter_column(
        &mut self,
        target: &Target,
        name: &str,
        change: &AlterColumn,
    ) -> Result<(), SqlError> {
        let column = find_column(self.table_by_id(target.id)?, name)?.clone();
        match change {
            AlterColumn::Default(text) => self.set_default(target, &column, text.as_ref()),
            AlterColumn::NotNull(not_null) => self.set_not_null(target, &column, *not_null),
            AlterColumn::Type { type_name, collation, using } => {
                let collation = collation.as_deref();
                self.set_type(target, &column, type_name, collation, using.as_ref())
            }
            AlterColumn::AddIdentity(identity) => self.add_identity(target, &column, identity),
            AlterColumn::SetIdentity(always, options) => {
                self.set_identity(target, &column, *always, options)
            }
            AlterColumn::DropIdentity(if_exists) => self.drop_identity(target, &column, *if_exists),
            AlterColumn::DropExpression(_) => {
                Err(SqlError::unsupported("ALTER COLUMN DROP EXPRESSION"))
            }
            AlterColumn::Storage(storage) => self.check_storage(&column, storage),
            AlterColumn::Compression(method) => self.check_compression(&column, method),
            AlterColumn::Statistics(number) if *number < -1 => {
                let message = format!("statistics target {number} is too low");
                Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
            }
            AlterColumn::Statistics(_) | AlterColumn::Options => Ok(()),
        }
    }

    /// `SET STORAGE`: checked, as there is no other storage than SQLite's.
    fn check_storage(&self, column: &Column, storage: &str) -> Result<(), SqlError> {
        let storage = storage.to_ascii_lowercase();
        if !["plain", "external", "extended", "main"].contains(&storage.as_str()) {
            let message = format!("invalid storage type \"{storage}\"");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if storage == "plain" || self.is_toastable(column) {
            return Ok(());
        }
        let types = Types::new(&self.catalog, &self.statement.search_path);
        let name = types.format(column.type_oid);
        let message = format!("column data type {name} can only have storage PLAIN");
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
    }

    fn check_compression(&self, column: &Column, method: &str) -> Result<(), SqlError> {
        if !self.is_toastable(column) {
            let types = Types::new(&self.catalog, &self.statement.search_path);
            let name = types.format(column.type_oid);
            let message = format!("column data type {name} does not support compression");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        if ["pglz", "lz4", "default"].contains(&method) {
            return Ok(());
        }
        let message = format!("invalid compression method \"{method}\"");
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
    }

    /// Whether PostgreSQL may store the column's values out of line.
    fn is_toastable(&self, column: &Column) -> bool {
        let (base, _) = self.catalog.base_type(column.type_oid, -1);
        crate::builtin::type_by_oid(base).is_none_or(|row| row.len < 0)
    }

    fn set_default(
        &mut self,
        target: &Target,
        column: &Column,
        text: Option<&SourceText>,
    ) -> Result<(), SqlError> {
        let what = match column.generation {
            ColumnGeneration::Plain => None,
            ColumnGeneration::Stored(_) => Some("a generated column"),
            ColumnGeneration::IdentityAlways(_) | ColumnGeneration::IdentityByDefault(_) => {
                Some("an identity column")
            }
        };
        if let Some(what) = what {
            let message =
                format!("column \"{}\" of relation \"{}\" is {what}", column.name, target.name);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let data_type = (column.type_oid, column.typmod);
        // PostgreSQL binds it when it has the text no more.
        let text = text.map(|text| self.checked_default(&text.text, &column.name, data_type));
        let text = text.transpose()?;
        let mut definition: ColumnDefinition = self.definition(column.id);
        self.set_drawn(&mut definition, text, data_type);
        self.redefine(column.id, |stored: &mut ColumnDefinition| *stored = definition);
        Ok(())
    }

    fn set_not_null(
        &mut self,
        target: &Target,
        column: &Column,
        not_null: bool,
    ) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?;
        let in_primary = table
            .uniques
            .iter()
            .any(|unique| unique.primary && unique.columns.contains(&column.attnum));
        if !not_null && in_primary {
            let message = format!("column \"{}\" is in a primary key", column.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let identity = match column.generation {
            ColumnGeneration::IdentityAlways(_) | ColumnGeneration::IdentityByDefault(_) => true,
            ColumnGeneration::Plain | ColumnGeneration::Stored(_) => false,
        };
        if !not_null && identity {
            let message = format!(
                "column \"{}\" of relation \"{}\" is an identity column",
                column.name, target.name
            );
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        if not_null && !column.not_null {
            let name = quote(&column.physical_name);
            let sql = format!("SELECT 1 FROM {} WHERE {name} IS NULL LIMIT 1", location(table));
            self.refuse_after(sql, contains_null(&target.name, &column.name));
        }
        self.redefine(column.id, |definition: &mut ColumnDefinition| {
            definition.not_null = not_null;
        });
        Ok(())
    }

    /// `ALTER COLUMN … TYPE`.
    ///
    /// Where the values stay as they are stored (`varchar(10)` to `text`, `int4` to `int8`), only the schema changes.
    fn set_type(
        &mut self,
        target: &Target,
        column: &Column,
        type_name: &TypeName,
        collation: Option<&str>,
        using: Option<&SourceText>,
    ) -> Result<(), SqlError> {
        let data_type = type_name.resolve(&self.catalog, &self.statement.search_path)?;
        self.check_storable(&column.name, data_type.0)?;
        if let Some(collation) = collation {
            self.check_collation(collation, data_type.0)?;
        }
        let table = self.table_by_id(target.id)?.clone();
        let text = crate::builtin::quote_identifier(&column.name);
        let lowered = match using {
            Some(using) => {
                let written = Written::from(using).at(SchemaPlace::Transform);
                expression::refuse_subquery(written, "transform expression")?;
                expression::bind_over(&table, written, Some(data_type), &self.context())
                    .map_err(|error| no_transform(error, column))?
            }
            None => expression::bind_over(&table, &text, Some(data_type), &self.context())
                .map_err(|error| self.no_automatic_cast(error, column, data_type))?,
        };
        self.check_default_fits(column, data_type)?;
        self.follow_identity(column, data_type.0)?;
        self.refuse_if_typed_elsewhere(target, column)?;
        if let Some(user) = self.column_using(table.row_type_oid) {
            let message = format!(
                "cannot alter table \"{}\" because column \"{user}\" uses its row type",
                target.name
            );
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let old_form = storage_form(&self.catalog, column.type_oid);
        let new_form = storage_form(&self.catalog, data_type.0);
        let same = old_form == new_form;
        let converts = using.is_some() || !same || !keeps_values(column, data_type);
        let is_key = table.key.contains(&column.attnum);
        if is_key && (!same || using.is_some()) {
            return Err(SqlError::unsupported(format!(
                "changing how column \"{}\" of the primary key of \"{}\" is stored",
                column.name, target.name
            )));
        }
        if converts && same && using.is_none() {
            // The form is the same but the values may change (a shorter varchar, a coarser numeric): data like any other.
            let name = quote(&column.physical_name);
            let sql = format!("UPDATE {} SET {name} = {}", location(&table), lowered.sql);
            self.after(sql);
        }
        let rewrites = converts && !(same && using.is_none());
        let missing = match (&column.missing, rewrites) {
            (Some(literal), true) if using.is_none() => {
                let sql =
                    lowered.sql.replace(&quote(&column.physical_name), &format!("({literal})"));
                let value = self.host.evaluate(&sql)?;
                Some(Some(StoredValue::from(&value)))
            }
            (_, true) => Some(None),
            (_, false) => None,
        };
        let reference = type_reference(&self.catalog, data_type);
        self.redefine(column.id, |definition: &mut ColumnDefinition| {
            definition.data_type = reference;
            definition.collation = collation.map(str::to_owned);
            // Without USING the column itself is meant, whatever it is called where this is read.
            let using = using.map(|using| using.text.as_str());
            definition.using = rewrites.then(|| using.map_or_else(String::new, str::to_owned));
            definition.names = expression::column_names(using, &table.columns);
            if let Some(missing) = missing {
                definition.missing = missing;
            }
        });
        Ok(())
    }

    /// Refuses a new type that the column's default does not go into.
    fn check_default_fits(&self, column: &Column, data_type: (Oid, i32)) -> Result<(), SqlError> {
        let Some(default) = &column.default else { return Ok(()) };
        let text = &default.expression;
        let bound = expression::bind(text, ScalarScope::Nothing, Some(data_type), &self.context());
        if bound.is_ok() {
            return Ok(());
        }
        let types = Types::new(&self.catalog, &self.statement.search_path);
        let message = format!(
            "default for column \"{}\" cannot be cast automatically to type {}",
            column.name,
            types.format_with_typmod(data_type.0, data_type.1)
        );
        Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
    }

    /// The sequence of an identity column takes on the column's new type.
    fn follow_identity(&mut self, column: &Column, type_oid: Oid) -> Result<(), SqlError> {
        let oid = match column.generation {
            ColumnGeneration::IdentityAlways(oid) | ColumnGeneration::IdentityByDefault(oid) => oid,
            ColumnGeneration::Plain | ColumnGeneration::Stored(_) => return Ok(()),
        };
        check_identity_type(type_oid)?;
        let id = self.catalog.sequences.get(&oid).map(|sequence| sequence.id);
        match id {
            Some(id) => self.change_sequence(id, Some(type_oid), &SequenceOptions::default()),
            None => Ok(()),
        }
    }

    /// PostgreSQL's refusal of a change of type without a cast.
    fn no_automatic_cast(
        &self,
        error: SqlError,
        column: &Column,
        data_type: (Oid, i32),
    ) -> SqlError {
        if !matches!(error.state, SqlState::DATATYPE_MISMATCH | SqlState::CANNOT_COERCE) {
            return error;
        }
        let types = Types::new(&self.catalog, &self.statement.search_path);
        let new = types.format_with_typmod(data_type.0, data_type.1);
        let name = crate::builtin::quote_identifier(&column.name);
        let message =
            format!("column \"{}\" cannot be cast automatically to type {new}", column.name);
        SqlError::new(SqlState::DATATYPE_MISMATCH, message)
            .with_hint(format!("You might need to specify \"USING {name}::{new}\"."))
    }

    /// Refuses to change the type of what a view or generated column reads.
    fn refuse_if_typed_elsewhere(&self, target: &Target, column: &Column) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?;
        let reads = |text: &str| {
            expression::columns_used(text, &table.columns).iter().any(|it| it.id == column.id)
        };
        let view = self
            .catalog
            .views
            .values()
            .find(|view| view.reads(target.id, table.oid, column.attnum));
        if let Some(view) = view {
            let message = "cannot alter type of a column used by a view or rule";
            let detail = format!(
                "rule _RETURN on {} depends on column \"{}\"",
                self.describe(view.id),
                column.name
            );
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(detail));
        }
        for other in &table.columns {
            let ColumnGeneration::Stored(text) = &other.generation else { continue };
            if reads(text) {
                let message = "cannot alter type of a column used by a generated column";
                let detail = format!(
                    "Column \"{}\" is used by generated column \"{}\".",
                    column.name, other.name
                );
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).with_detail(detail));
            }
        }
        Ok(())
    }

    fn add_identity(
        &mut self,
        target: &Target,
        column: &Column,
        identity: &IdentityClause,
    ) -> Result<(), SqlError> {
        let refuse = |state, problem: &str| {
            let message =
                format!("column \"{}\" of relation \"{}\" {problem}", column.name, target.name);
            Err(SqlError::new(state, message))
        };
        if !column.not_null {
            let message = format!(
                "column \"{}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                column.name, target.name
            );
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        if column.generation != ColumnGeneration::Plain {
            return refuse(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "is already an identity column",
            );
        }
        if column.default.is_some() {
            return refuse(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "already has a default value",
            );
        }
        check_identity_type(column.type_oid)?;
        let owner = (column.id, column.name.as_str());
        let sequence =
            self.create_owned_sequence(target, owner, column.type_oid, &identity.options, true)?;
        let always = identity.always;
        self.redefine(column.id, |definition: &mut ColumnDefinition| {
            definition.identity_always = Some(always);
            definition.sequence = Some(sequence.0);
        });
        Ok(())
    }

    /// The id of an identity column's sequence.
    fn identity_sequence(&self, target: &Target, column: &Column) -> Result<ObjectId, SqlError> {
        let oid = match column.generation {
            ColumnGeneration::IdentityAlways(oid) | ColumnGeneration::IdentityByDefault(oid) => oid,
            ColumnGeneration::Plain | ColumnGeneration::Stored(_) => Oid(0),
        };
        self.catalog.sequences.get(&oid).map(|sequence| sequence.id).ok_or_else(|| {
            let message = format!(
                "column \"{}\" of relation \"{}\" is not an identity column",
                column.name, target.name
            );
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn set_identity(
        &mut self,
        target: &Target,
        column: &Column,
        always: Option<bool>,
        options: &SequenceOptions,
    ) -> Result<(), SqlError> {
        let sequence = self.identity_sequence(target, column)?;
        self.change_sequence(sequence, None, options)?;
        if always.is_some() {
            self.redefine(column.id, |definition: &mut ColumnDefinition| {
                definition.identity_always = always;
            });
        }
        Ok(())
    }

    fn drop_identity(
        &mut self,
        target: &Target,
        column: &Column,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        let sequence = match self.identity_sequence(target, column) {
            Ok(sequence) => sequence,
            Err(error) if if_exists => {
                self.plain_notice(format!("{}, skipping", error.message), None);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.redefine(column.id, |definition: &mut ColumnDefinition| {
            definition.identity_always = None;
            definition.sequence = None;
        });
        self.drop_row(sequence);
        Ok(())
    }
}

/// Whether every value of the column's type is, as stored, a value of the new type.
fn keeps_values(column: &Column, (oid, typmod): (Oid, i32)) -> bool {
    let old = (column.type_oid, column.typmod);
    let text = |oid| matches!(oid, Oid::TEXT | Oid::VARCHAR);
    match (old, (oid, typmod)) {
        (old, new) if old == new => true,
        ((from, _), (to, -1)) if text(from) && text(to) => true,
        ((from, length), (to, longer)) if text(from) && text(to) => length >= 0 && length <= longer,
        ((Oid::INT2, _), (Oid::INT4 | Oid::INT8, _)) | ((Oid::INT4, _), (Oid::INT8, _)) => true,
        ((from, _), (to, -1)) => from == to,
        ((Oid::NUMERIC, from), (Oid::NUMERIC, to)) if from >= 0 => {
            let (from, to) = (from - 4, to - 4);
            from & 0x7ff == to & 0x7ff && from >> 16 <= to >> 16
        }
        _ => false,
    }
}

/// PostgreSQL's wording of a USING expression of the wrong type.
fn no_transform(error: SqlError, column: &Column) -> SqlError {
    let Some((_, wanted)) = expression::mismatched_types(&error) else { return error };
    let message = format!(
        "result of USING clause for column \"{}\" cannot be cast automatically to type {wanted}",
        column.name
    );
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
        .with_hint("You might need to add an explicit cast.")
}
