//! Making columns: their types, defaults, sequences and generation expressions.

use super::create_table::{Target, serial_type};
use super::edit::Edit;
use super::expression::{self, Written};
use crate::bind::{ScalarScope, SchemaPlace};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{
    ColumnClause, ColumnMark, IdentityClause, SequenceOptions, SourceText,
};
use crate::schema::catalog::{Catalog, Column, ColumnGeneration, UserType};
use crate::schema::definition::{ColumnDefinition, TypeReference};
use crate::schema::lookup::Relation;
use crate::schema::row::{ObjectId, ObjectKind};

/// Names that every table has for columns of its own.
pub(super) const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// A column to be made.
#[derive(Clone, Debug)]
pub(super) struct NewColumn {
    /// Name.
    pub(super) name: String,
    /// Type and modifier.
    pub(super) data_type: (Oid, i32),
    /// A serial pseudo-type: a sequence of its own.
    pub(super) serial: bool,
    /// Collation as written.
    pub(super) collation: Option<String>,
    /// NOT NULL.
    pub(super) not_null: bool,
    /// DEFAULT.
    pub(super) default: Option<SourceText>,
    /// Generation expression.
    pub(super) generated: Option<SourceText>,
    /// Identity.
    pub(super) identity: Option<IdentityClause>,
}

impl Edit<'_> {
    /// Resolves a column clause and refuses clauses that do not go together.
    pub(super) fn new_column(
        &self,
        table: &str,
        clause: &ColumnClause,
    ) -> Result<NewColumn, SqlError> {
        let name = &clause.name;
        if SYSTEM_COLUMNS.contains(&name.as_str()) {
            let message = format!("column name \"{name}\" conflicts with a system column name");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let serial = serial_type(&clause.type_name);
        let data_type = match serial {
            Some(oid) if clause.type_name.array => {
                let message = "array of serial is not implemented";
                let _ = oid;
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .at(clause.type_name.position));
            }
            Some(oid) => (oid, -1),
            None => clause.type_name.resolve(&self.catalog, &self.statement.search_path)?,
        };
        self.check_storable(name, data_type.0)?;
        let column = NewColumn::from_clause(clause, data_type, serial.is_some());
        check_marks(table, clause, column.serial)?;
        if column.identity.is_some() {
            check_identity_type(data_type.0)?;
        }
        if let Some(collation) = &column.collation {
            self.check_collation(collation, data_type.0)?;
        }
        Ok(column)
    }

    /// Refuses types that no column may have.
    pub(super) fn check_storable(&self, column: &str, oid: Oid) -> Result<(), SqlError> {
        let (base, _) = self.catalog.base_type(oid, -1);
        if !crate::schema::storage::is_pseudo_type(base) {
            return Ok(());
        }
        let name = crate::builtin::type_by_oid(base).map_or("???", |row| row.name);
        let message = format!("column \"{column}\" has pseudo-type {name}");
        Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message))
    }

    /// Collations: the ones that are byte order, which is what Trellis compares by.
    pub(super) fn check_collation(&self, name: &str, oid: Oid) -> Result<(), SqlError> {
        if !crate::schema::storage::is_collatable(self.catalog.base_type(oid, -1).0) {
            let type_name = crate::builtin::sql_type_name(oid)
                .or_else(|| crate::builtin::type_by_oid(oid).map(|row| row.name));
            let message =
                format!("collations are not supported by type {}", type_name.unwrap_or("???"));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        match name {
            "C" | "POSIX" | "default" | "ucs_basic" | "C.UTF-8" | "C.utf8" => Ok(()),
            other => Err(SqlError::unsupported(format!("collation \"{other}\""))),
        }
    }

    /// Makes a column, with its sequence if it has one. The catalog is not relinked.
    pub(super) fn create_column(
        &mut self,
        target: &Target,
        column: &NewColumn,
    ) -> Result<ObjectId, SqlError> {
        self.create_column_at(target, column, self.next_ordinal(target.id))
    }

    /// Adds columns to a table, one after the other.
    ///
    /// # Errors
    /// As [`Self::create_column`].
    pub(super) fn create_columns(
        &mut self,
        target: &Target,
        columns: &[NewColumn],
    ) -> Result<(), SqlError> {
        let first = self.next_ordinal(target.id);
        for (ordinal, column) in (first..).zip(columns) {
            self.create_column_at(target, column, ordinal)?;
        }
        Ok(())
    }

    fn create_column_at(
        &mut self,
        target: &Target,
        column: &NewColumn,
        ordinal: i16,
    ) -> Result<ObjectId, SqlError> {
        let mut definition = ColumnDefinition {
            ordinal,
            data_type: type_reference(&self.catalog, column.data_type),
            not_null: column.not_null,
            generated: column.generated.as_ref().map(|it| it.text.clone()),
            identity_always: column.identity.as_ref().map(|identity| identity.always),
            collation: column.collation.clone(),
            ..ColumnDefinition::default()
        };
        if let Some(text) = &column.default {
            let text = self.checked_default(text, &column.name, column.data_type)?;
            self.set_drawn(&mut definition, Some(text), column.data_type);
        }
        // A generated column has no values of its own: it is never the same as one with values that another node makes.
        let identity = match column.generated {
            Some(_) => format!("{}\0generated", column.name),
            None => column.name.clone(),
        };
        let names = (column.name.as_str(), identity.as_str());
        let id = self.create_identified(ObjectKind::Column, target.id, names, &definition);
        if column.serial || column.identity.is_some() {
            let options = column.identity.as_ref().map(|it| it.options.clone());
            let internal = column.identity.is_some();
            let options = options.unwrap_or_default();
            let owner = (id, column.name.as_str());
            let sequence =
                self.create_owned_sequence(target, owner, column.data_type.0, &options, internal)?;
            self.redefine(id, |definition: &mut ColumnDefinition| {
                definition.sequence = Some(sequence.0);
            });
        }
        Ok(id)
    }

    /// The text of a DEFAULT, as the schema keeps it.
    pub(super) fn checked_default<'t>(
        &self,
        text: impl Into<Written<'t>>,
        column: &str,
        data_type: (Oid, i32),
    ) -> Result<String, SqlError> {
        let text = text.into();
        expression::refuse_subquery(text, "DEFAULT expression")?;
        let (scope, expected, context) = (ScalarScope::Nothing, Some(data_type), self.context());
        expression::bind(text, scope, expected, &context)
            .map_err(|error| default_error(error, column))?;
        Ok(expression::canonical(text.text(), scope, expected, &context))
    }

    /// Sets the default of a column. One that draws from a sequence and does nothing else is kept as that sequence, which may
    /// get another name.
    pub(super) fn set_drawn(
        &self,
        definition: &mut ColumnDefinition,
        text: Option<String>,
        data_type: (Oid, i32),
    ) {
        let drawn = text.as_deref().and_then(expression::drawn_sequence);
        let sequence = drawn.and_then(|name| {
            let (schema, name) = match name.split_once('.') {
                Some((schema, name)) => (Some(schema), name),
                None => (None, name.as_str()),
            };
            let folded =
                |part: &str| match part.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
                    Some(quoted) => quoted.replace("\"\"", "\""),
                    None => part.to_lowercase(),
                };
            let schema = schema.map(folded);
            let path = &self.statement.search_path;
            match self.catalog.relation(path, schema.as_deref(), &folded(name))? {
                Relation::Sequence(sequence) => Some(sequence.id),
                Relation::Table(_) | Relation::View(_) | Relation::Index(..) => None,
            }
        });
        definition.sequence = sequence.map(|id| id.0);
        let text = text.filter(|_| sequence.is_none());
        definition.default = text.map(|text| self.settled_default(&text, data_type));
    }

    /// A default as the schema keeps it.
    pub(super) fn settled_default(&self, text: &str, data_type: (Oid, i32)) -> String {
        expression::settled(text, ScalarScope::Nothing, Some(data_type), &self.context())
    }

    /// One more than the largest ordinal of the table's columns, dropped ones too.
    fn next_ordinal(&self, table: ObjectId) -> i16 {
        let columns = self.catalog.rows.values();
        let columns = columns.filter(|row| row.kind == ObjectKind::Column && row.parent == table);
        let ordinals = columns.map(|row| self.definition::<ColumnDefinition>(row.id).ordinal);
        ordinals.max().unwrap_or(0).saturating_add(1)
    }

    /// Makes the sequence of a serial or identity column.
    pub(super) fn create_owned_sequence(
        &mut self,
        target: &Target,
        (column, column_name): (ObjectId, &str),
        type_oid: Oid,
        options: &SequenceOptions,
        internal: bool,
    ) -> Result<ObjectId, SqlError> {
        let name = match &options.name {
            Some(name) => name.name.clone(),
            None => {
                self.choose_relation_name(target.namespace.1, &target.name, &[column_name], "seq")
            }
        };
        let mut definition = super::sequence::define(type_oid, options)?;
        definition.owned_by = Some(column.0);
        definition.internal = internal;
        let id = self.create(ObjectKind::Sequence, target.namespace.0, &name, &definition);
        self.relink();
        Ok(id)
    }

    /// Binds the generation expressions of a table, now that all its columns are there; `written` are those of the statement.
    pub(super) fn check_generated(
        &mut self,
        target: &Target,
        written: &[NewColumn],
    ) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?.clone();
        for column in &table.columns {
            let ColumnGeneration::Stored(text) = &column.generation else { continue };
            let source = written.iter().find(|it| it.name == column.name);
            let source = source.and_then(|it| it.generated.as_ref());
            let source = source.map_or_else(|| Written::from(text), Written::from);
            let source = source.at(SchemaPlace::Generated);
            let used = expression::columns_used(text, &table.columns);
            if used.iter().any(|it| !it.generation.is_written()) {
                let message = format!(
                    "cannot use generated column \"{}\" in column generation expression",
                    used.iter().find(|it| !it.generation.is_written()).map_or("", |it| &it.name)
                );
                return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message)
                    .with_detail("A generated column cannot reference another generated column."));
            }
            expression::refuse_subquery(source, "column generation expression")?;
            let expected = Some((column.type_oid, column.typmod));
            let lowered = expression::bind_over(&table, source, expected, &self.context())
                .map_err(|error| default_error(error, &column.name))?;
            if !lowered.immutable {
                let message = "generation expression is not immutable";
                return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
            }
            let text = expression::canonical_over(&table, text, expected, &self.context());
            let names = expression::column_names([text.as_str()], &table.columns);
            let text = expression::settled_over(&table, &text, expected, &self.context());
            self.redefine(column.id, |definition: &mut ColumnDefinition| {
                definition.generated = Some(text);
                definition.names = names;
            });
        }
        Ok(())
    }

    /// The lowered form of a column's generation expression and its columns; used by checks of added columns.
    pub(super) fn column_of(&self, target: &Target, name: &str) -> Result<Column, SqlError> {
        let table = self.table_by_id(target.id)?;
        table
            .column_by_name(name)
            .cloned()
            .ok_or_else(|| super::edit::undefined_column(&table.name, name))
    }
}

/// Refuses clauses of a column that stand twice or do not go together, at the later one, as PostgreSQL's
/// `transformColumnDefinition` does. A serial type brings its default after all of them.
fn check_marks(table: &str, clause: &ColumnClause, serial: bool) -> Result<(), SqlError> {
    let mut seen: Vec<ColumnMark> = Vec::new();
    let implied = serial.then_some([(ColumnMark::Default, None), (ColumnMark::NotNull, None)]);
    for (mark, position) in clause.marks.iter().copied().chain(implied.into_iter().flatten()) {
        let has = |mark: ColumnMark| seen.contains(&mark);
        let conflicting_null = match mark {
            ColumnMark::Null => has(ColumnMark::NotNull) || has(ColumnMark::Identity),
            ColumnMark::NotNull | ColumnMark::Identity => has(ColumnMark::Null),
            ColumnMark::Default | ColumnMark::Generated => false,
        };
        let (default, identity, generated) =
            (ColumnMark::Default, ColumnMark::Identity, ColumnMark::Generated);
        let both = |one: ColumnMark, other: ColumnMark| {
            (mark == one && has(other)) || (mark == other && has(one))
        };
        let what = if mark == default && has(default) {
            "multiple default values specified"
        } else if mark == identity && has(identity) {
            "multiple identity specifications"
        } else if mark == generated && has(generated) {
            "multiple generation clauses specified"
        } else if conflicting_null {
            "conflicting NULL/NOT NULL declarations"
        } else if both(default, identity) {
            "both default and identity specified"
        } else if both(default, generated) {
            "both default and generation expression specified"
        } else if both(identity, generated) {
            "both identity and generation expression specified"
        } else {
            seen.push(mark);
            continue;
        };
        let message = format!("{what} for column \"{}\" of table \"{table}\"", clause.name);
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
    }
    Ok(())
}

/// PostgreSQL's wording of a default or generation expression of the wrong type.
fn default_error(error: SqlError, column: &str) -> SqlError {
    let Some((found, wanted)) = expression::mismatched_types(&error) else { return error };
    let message = format!(
        "column \"{column}\" is of type {wanted} but default expression is of type {found}"
    );
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
        .with_hint("You will need to rewrite or cast the expression.")
}

/// Identity columns are whole numbers.
pub(super) fn check_identity_type(oid: Oid) -> Result<(), SqlError> {
    if matches!(oid, Oid::INT2 | Oid::INT4 | Oid::INT8) {
        return Ok(());
    }
    let message = "identity column type must be smallint, integer, or bigint";
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

/// How a type is written into a definition.
pub(super) fn type_reference(catalog: &Catalog, (oid, typmod): (Oid, i32)) -> TypeReference {
    let typmod = (typmod >= 0).then_some(typmod);
    match catalog.type_by_oid(oid) {
        Some((user_type, array)) => {
            let multirange = matches!(user_type, UserType::Range(it) if it.is_multirange());
            TypeReference { oid: 0, user: Some(user_type.id().0), multirange, array, typmod }
        }
        None => TypeReference { oid: oid.0, typmod, ..TypeReference::default() },
    }
}
