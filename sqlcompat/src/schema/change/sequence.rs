//! `CREATE SEQUENCE`, `ALTER SEQUENCE`, and the sequences of serial and identity columns.

use super::edit::{Edit, undefined_relation};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{CreateSequence, ObjectName, SequenceOptions};
use crate::schema::definition::SequenceDefinition;
use crate::schema::lookup::Relation;
use crate::schema::row::{ObjectId, ObjectKind};
use crate::schema::statement::SchemaStep;

/// A sequence with these options.
pub(super) fn define(
    type_oid: Oid,
    options: &SequenceOptions,
) -> Result<SequenceDefinition, SqlError> {
    let mut definition = SequenceDefinition { data_type: type_oid.0, ..Default::default() };
    definition.increment = options.increment.unwrap_or(1);
    (definition.min_value, definition.max_value) = default_bounds(type_oid, definition.increment);
    change(&mut definition, options, true)?;
    Ok(definition)
}

/// Smallest and largest value of an integer type.
fn type_bounds(type_oid: Oid) -> (i64, i64) {
    match type_oid {
        Oid::INT2 => (i16::MIN.into(), i16::MAX.into()),
        Oid::INT4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// MINVALUE and MAXVALUE where none are given.
fn default_bounds(type_oid: Oid, increment: i64) -> (i64, i64) {
    let (least, most) = type_bounds(type_oid);
    if increment < 0 { (least, -1) } else { (1, most) }
}

/// Applies options and checks the result, in PostgreSQL's order.
fn change(
    definition: &mut SequenceDefinition,
    options: &SequenceOptions,
    is_new: bool,
) -> Result<(), SqlError> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let type_oid = Oid(definition.data_type);
    if let Some(increment) = options.increment {
        definition.increment = increment;
    }
    if definition.increment == 0 {
        return Err(invalid("INCREMENT must not be zero".to_owned()));
    }
    definition.cycle = options.cycle.unwrap_or(definition.cycle);
    let (least, most) = type_bounds(type_oid);
    let (default_min, default_max) = default_bounds(type_oid, definition.increment);
    if let Some(max) = options.max_value {
        definition.max_value = max.unwrap_or(default_max);
    }
    if let Some(min) = options.min_value {
        definition.min_value = min.unwrap_or(default_min);
    }
    let type_name = crate::builtin::sql_type_name(type_oid).unwrap_or("bigint");
    let (min, max) = (definition.min_value, definition.max_value);
    if !(least..=most).contains(&max) {
        let message =
            format!("MAXVALUE ({max}) is out of range for sequence data type {type_name}");
        return Err(invalid(message));
    }
    if !(least..=most).contains(&min) {
        let message =
            format!("MINVALUE ({min}) is out of range for sequence data type {type_name}");
        return Err(invalid(message));
    }
    if min >= max {
        return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    let first = if definition.increment > 0 { min } else { max };
    if let Some(start) = options.start {
        definition.start = start;
    } else if is_new {
        definition.start = first;
    }
    let start = definition.start;
    if start < min {
        return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
    }
    if start > max {
        return Err(invalid(format!(
            "START value ({start}) cannot be greater than MAXVALUE ({max})"
        )));
    }
    if let Some(cache) = options.cache {
        if cache < 1 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        definition.cache = cache;
    }
    Ok(())
}

impl Edit<'_> {
    /// `CREATE SEQUENCE`.
    pub(super) fn create_sequence(&mut self, ast: &CreateSequence) -> Result<(), SqlError> {
        let namespace = self.target_namespace(&ast.name, ast.temporary)?;
        if !self.claim_relation_name(namespace.1, &ast.name.name, ast.if_not_exists)? {
            return Ok(());
        }
        let type_oid = self.sequence_type(&ast.options)?.unwrap_or(Oid::INT8);
        let mut definition = define(type_oid, &ast.options)?;
        definition.owned_by = self.owner(&ast.options)?.flatten().map(|id| id.0);
        self.create(ObjectKind::Sequence, namespace.0, &ast.name.name, &definition);
        Ok(())
    }

    fn sequence_type(&self, options: &SequenceOptions) -> Result<Option<Oid>, SqlError> {
        let Some(type_name) = &options.data_type else { return Ok(None) };
        let (oid, _) = type_name.resolve(&self.catalog, &self.statement.search_path)?;
        if matches!(oid, Oid::INT2 | Oid::INT4 | Oid::INT8) {
            return Ok(Some(oid));
        }
        let message = "sequence type must be smallint, integer, or bigint";
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
    }

    /// The column of `OWNED BY`: `None` if not given, `Some(None)` for `NONE`.
    fn owner(&self, options: &SequenceOptions) -> Result<Option<Option<ObjectId>>, SqlError> {
        match &options.owned_by {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some((table, column))) => {
                let table = self.table(table)?;
                Ok(Some(Some(super::constraint::find_column(table, column)?.id)))
            }
        }
    }

    /// `ALTER SEQUENCE` with options.
    pub(super) fn alter_sequence(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        options: &SequenceOptions,
    ) -> Result<(), SqlError> {
        let id = match self.relation(name)? {
            Some(Relation::Sequence(sequence)) => sequence.id,
            Some(_) => {
                let message = format!("\"{}\" is not a sequence", name.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            None if if_exists => {
                let message = format!("relation \"{}\" does not exist, skipping", name.display());
                self.plain_notice(message, None);
                return Ok(());
            }
            None => return Err(undefined_relation(name)),
        };
        self.refuse_identity_owner(id, options)?;
        let owner = self.owner(options)?;
        let type_oid = self.sequence_type(options)?;
        self.change_sequence(id, type_oid, options)?;
        if let Some(owner) = owner {
            self.redefine(id, |definition: &mut SequenceDefinition| {
                definition.owned_by = owner.map(|id| id.0);
            });
        }
        Ok(())
    }

    /// Refuses to give the sequence of an identity column to another.
    fn refuse_identity_owner(
        &self,
        id: ObjectId,
        options: &SequenceOptions,
    ) -> Result<(), SqlError> {
        let sequence = self.catalog.sequences.values().find(|it| it.id == id && it.internal);
        let (Some(sequence), Some(_)) = (sequence, &options.owned_by) else { return Ok(()) };
        let table = sequence.owned_by.and_then(|(table, _)| self.catalog.table(table));
        let table = table.map_or("", |table| table.name.as_str());
        let message = "cannot change ownership of identity sequence";
        let detail = format!("Sequence \"{}\" is linked to table \"{table}\".", sequence.name);
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(detail))
    }

    /// Changes options of an existing sequence.
    pub(super) fn change_sequence(
        &mut self,
        id: ObjectId,
        type_oid: Option<Oid>,
        options: &SequenceOptions,
    ) -> Result<(), SqlError> {
        let mut definition: SequenceDefinition = self.definition(id);
        if let Some(type_oid) = type_oid {
            // Bounds that were the old type's own follow the type.
            let old = default_bounds(Oid(definition.data_type), definition.increment);
            let new = default_bounds(type_oid, definition.increment);
            if definition.min_value == old.0 {
                definition.min_value = new.0;
            }
            if definition.max_value == old.1 {
                definition.max_value = new.1;
            }
            definition.data_type = type_oid.0;
        }
        change(&mut definition, options, false)?;
        if let Some(restart) = options.restart {
            let value = restart.unwrap_or(definition.start);
            self.check_restart(value, &definition)?;
            let sequence = self.catalog.sequences.values().find(|it| it.id == id);
            if let Some(sequence) = sequence.map(|it| it.oid) {
                self.change.after.push(SchemaStep::RestartSequence { sequence, value });
            }
        }
        self.redefine(id, |stored: &mut SequenceDefinition| *stored = definition);
        Ok(())
    }

    fn check_restart(&self, value: i64, definition: &SequenceDefinition) -> Result<(), SqlError> {
        let (min, max) = (definition.min_value, definition.max_value);
        let message = if value < min {
            format!("RESTART value ({value}) cannot be less than MINVALUE ({min})")
        } else if value > max {
            format!("RESTART value ({value}) cannot be greater than MAXVALUE ({max})")
        } else {
            return Ok(());
        };
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
    }
}
