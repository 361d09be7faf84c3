//! Making constraints: PRIMARY KEY, UNIQUE, CHECK, FOREIGN KEY.

use super::create_table::Target;
use super::edit::{Edit, undefined_column, undefined_relation};
use super::expression;
use crate::bind::resolve::{Types, can_coerce, resolve_operator};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{
    ConstraintClause, ConstraintKind, ForeignKeyClause, KeyClause, SourceText,
};
use crate::schema::catalog::{
    Column, ForeignKeyAction, Index, IndexKey, MatchType, Table, TableKind,
};
use crate::schema::definition::{Action, ConstraintDefinition, ConstraintType, TableDefinition};
use crate::schema::lookup::Relation;
use crate::schema::row::{ObjectId, ObjectKind};
use crate::schema::storage::{StorageForm, storage_form};
use crate::schema::usable::has_key;

/// Most columns of a key, as in PostgreSQL.
pub(super) const KEY_COLUMNS_MAX: usize = 32;

impl Edit<'_> {
    /// Makes the constraints of a new table; each comes with the column that it stands on, if any.
    pub(super) fn create_constraints(
        &mut self,
        target: &Target,
        constraints: Vec<(Option<String>, ConstraintClause)>,
    ) -> Result<(), SqlError> {
        let rank = |kind: &ConstraintKind| match kind {
            ConstraintKind::Check(_) => 0,
            ConstraintKind::PrimaryKey(_) => 1,
            ConstraintKind::Unique { .. } | ConstraintKind::UsingIndex(..) => 2,
            ConstraintKind::ForeignKey(_) => 3,
        };
        let mut ordered = constraints;
        ordered.sort_by_key(|(_, constraint)| rank(&constraint.kind));
        for (column, constraint) in ordered {
            let id = self.create_constraint(target, column.as_deref(), &constraint)?;
            if matches!(constraint.kind, ConstraintKind::PrimaryKey(_)) {
                self.choose_physical_key(target, id)?;
            }
        }
        Ok(())
    }

    /// Makes a new table's PRIMARY KEY its physical key, unless SQLite cannot have it as one.
    fn choose_physical_key(&mut self, target: &Target, key: ObjectId) -> Result<(), SqlError> {
        let table = self.table_by_id(target.id)?;
        let unique = table.uniques.iter().find(|unique| unique.id == key);
        let columns = unique.map(|unique| unique.columns.clone()).unwrap_or_default();
        let generated =
            |attnum: &i16| table.column(*attnum).is_none_or(|it| !it.generation.is_written());
        if columns.iter().any(generated) {
            return Ok(());
        }
        self.redefine(target.id, |definition: &mut TableDefinition| definition.key = Some(key.0));
        self.relink();
        Ok(())
    }

    /// Makes one constraint, with its data check where the table may have rows.
    pub(super) fn create_constraint(
        &mut self,
        target: &Target,
        column: Option<&str>,
        clause: &ConstraintClause,
    ) -> Result<ObjectId, SqlError> {
        if let Some(name) = &clause.name
            && self.table_by_id(target.id)?.has_constraint(name)
        {
            let message =
                format!("constraint \"{name}\" for relation \"{}\" already exists", target.name);
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        let id = match &clause.kind {
            ConstraintKind::Check(text) => self.create_check(target, clause, text)?,
            ConstraintKind::PrimaryKey(key) => {
                let key = on_column(key, column);
                self.create_key(target, clause, &key, ConstraintType::Primary)?
            }
            ConstraintKind::Unique(key) => {
                let key = on_column(key, column);
                self.create_key(target, clause, &key, ConstraintType::Unique)?
            }
            ConstraintKind::UsingIndex(primary, index) => {
                self.create_key_from_index(target, clause, *primary, index)?
            }
            ConstraintKind::ForeignKey(foreign) => {
                let columns = match column {
                    Some(column) if foreign.columns.is_empty() => vec![column.to_owned()],
                    _ => foreign.columns.clone(),
                };
                self.create_foreign_key(target, clause, foreign, &columns)?
            }
        };
        self.relink();
        Ok(id)
    }

    fn create_check(
        &mut self,
        target: &Target,
        clause: &ConstraintClause,
        text: &SourceText,
    ) -> Result<ObjectId, SqlError> {
        if clause.deferral.deferrable {
            let message = "CHECK constraints cannot be marked DEFERRABLE";
            let state = SqlState::FEATURE_NOT_SUPPORTED;
            return Err(SqlError::new(state, message).at(clause.position));
        }
        let table = self.table_by_id(target.id)?;
        expression::refuse_subquery(text, "check constraint")?;
        expression::bind_condition(table, text, "CHECK", &self.context())?;
        let used = expression::columns_used(text, &table.columns);
        let text = expression::canonical_over(table, text, Some((Oid::BOOL, -1)), &self.context());
        let name = clause.name.clone().unwrap_or_else(|| {
            let used = match used.as_slice() {
                [column] => vec![column.name.as_str()],
                _ => Vec::new(),
            };
            self.choose_constraint_name(target.namespace.1, &target.name, &used, "check")
        });
        let definition = ConstraintDefinition {
            constraint_type: ConstraintType::Check,
            columns: used.iter().map(|column| column.id.0).collect(),
            names: expression::column_names([text.as_str()], &table.columns),
            expression: Some(expression::settled_over(table, &text, None, &self.context())),
            not_valid: clause.not_valid,
            no_inherit: clause.no_inherit,
            ..ConstraintDefinition::default()
        };
        Ok(self.create(ObjectKind::Constraint, target.id, &name, &definition))
    }

    fn create_key(
        &mut self,
        target: &Target,
        clause: &ConstraintClause,
        key: &KeyClause,
        constraint_type: ConstraintType,
    ) -> Result<ObjectId, SqlError> {
        refuse_attributes(clause, constraint_type)?;
        let nulls_not_distinct = key.nulls_not_distinct;
        if nulls_not_distinct {
            return Err(SqlError::unsupported("NULLS NOT DISTINCT"));
        }
        if clause.deferral.deferrable {
            return Err(SqlError::unsupported("a DEFERRABLE UNIQUE or PRIMARY KEY constraint"));
        }
        let table = self.table_by_id(target.id)?;
        let primary = constraint_type == ConstraintType::Primary;
        if primary && table.uniques.iter().any(|unique| unique.primary) {
            let message =
                format!("multiple primary keys for table \"{}\" are not allowed", target.name);
            let state = SqlState::INVALID_TABLE_DEFINITION;
            return Err(SqlError::new(state, message).at(clause.position));
        }
        let found =
            key_columns(table, &key.columns, primary).map_err(|error| error.at(clause.position))?;
        let include = included_columns(table, &key.include)?;
        let ids = found.iter().map(|column| column.id.0).collect();
        let included = include.iter().map(|column| column.id.0).collect();
        let names: Vec<_> = if primary {
            Vec::new()
        } else {
            found.iter().chain(&include).map(|column| column.name.as_str()).collect()
        };
        let label = if primary { "pkey" } else { "key" };
        let name = match &clause.name {
            Some(name) => name.clone(),
            None => self.choose_relation_name(target.namespace.1, &target.name, &names, label),
        };
        self.claim_relation_name(target.namespace.1, &name, false)?;
        let definition = ConstraintDefinition {
            constraint_type,
            columns: ids,
            include: included,
            deferrable: clause.deferral.deferrable,
            deferred: clause.deferral.deferred,
            nulls_not_distinct,
            ..ConstraintDefinition::default()
        };
        Ok(self.create(ObjectKind::Constraint, target.id, &name, &definition))
    }

    /// `ADD CONSTRAINT … USING INDEX`: the index becomes the constraint's.
    fn create_key_from_index(
        &mut self,
        target: &Target,
        clause: &ConstraintClause,
        primary: bool,
        index_name: &str,
    ) -> Result<ObjectId, SqlError> {
        let table = self.table_by_id(target.id)?;
        let index =
            self.constraint_index(table, index_name).map_err(|it| it.at(clause.position))?;
        let id = index.id;
        let name = |attnum: i16| table.column(attnum).map(|column| column.name.clone());
        let columns = index.keys.iter().filter_map(|key| name(key.attnum)).collect();
        let include = index.include.iter().filter_map(|attnum| name(*attnum)).collect();
        let key = KeyClause { columns, include, nulls_not_distinct: index.nulls_not_distinct };
        if let Some(name) = clause.name.as_ref().filter(|name| *name != index_name) {
            let message = format!(
                "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{index_name}\" to \"{name}\""
            );
            self.plain_notice(message, None);
        }
        self.drop_row(id);
        self.relink();
        let constraint_type =
            if primary { ConstraintType::Primary } else { ConstraintType::Unique };
        let name = clause.name.clone().unwrap_or_else(|| index_name.to_owned());
        let clause = ConstraintClause { name: Some(name), ..clause.clone() };
        self.create_key(target, &clause, &key, constraint_type)
    }

    /// The index of this name, if it can serve a constraint of the table.
    fn constraint_index<'t>(&self, table: &'t Table, name: &str) -> Result<&'t Index, SqlError> {
        let wrong = |message: String| {
            let detail = "Cannot create a primary key or unique constraint using such an index.";
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail))
        };
        let prerequisite = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
        if table.uniques.iter().any(|it| it.name == name) {
            let message = format!("index \"{name}\" is already associated with a constraint");
            return Err(SqlError::new(prerequisite, message));
        }
        let Some(index) = table.indexes.iter().find(|index| index.name == name) else {
            let elsewhere = self.catalog.relation_names.get(&(table.namespace, name.to_owned()));
            if elsewhere.is_some_and(|oid| self.catalog.index_tables.contains_key(oid)) {
                let message =
                    format!("index \"{name}\" does not belong to table \"{}\"", table.name);
                return Err(SqlError::new(prerequisite, message));
            }
            let message = format!("index \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        };
        if !index.unique {
            return wrong(format!("\"{name}\" is not a unique index"));
        }
        if index.keys.iter().any(|key| key.expression.is_some()) {
            return wrong(format!("index \"{name}\" contains expressions"));
        }
        if index.predicate.is_some() {
            return wrong(format!("\"{name}\" is a partial index"));
        }
        let default = |key: &IndexKey| {
            !key.descending
                && !key.nulls_first
                && key.operator_class.is_none()
                && key.collation.is_none()
        };
        if let Some(place) = index.keys.iter().position(|key| !default(key)) {
            let column = place + 1;
            return wrong(format!(
                "index \"{name}\" column number {column} does not have default sorting behavior"
            ));
        }
        Ok(index)
    }

    fn create_foreign_key(
        &mut self,
        target: &Target,
        clause: &ConstraintClause,
        foreign: &ForeignKeyClause,
        columns: &[String],
    ) -> Result<ObjectId, SqlError> {
        let referenced = match self.relation(&foreign.references)? {
            Some(Relation::Table(table)) => table,
            Some(_) => {
                let message =
                    format!("referenced relation \"{}\" is not a table", foreign.references.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            None => return Err(undefined_relation(&foreign.references)),
        };
        check_persistence(target.kind, referenced.kind)?;
        let table = self.table_by_id(target.id)?;
        let referencing = foreign_columns(table, columns)?;
        let key = referenced_key(referenced, &foreign.referenced_columns)?;
        if referencing.len() != key.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message));
        }
        if clause.no_inherit {
            let message = "FOREIGN KEY constraints cannot be marked NO INHERIT";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(clause.position));
        }
        refuse_unenforced(foreign, referencing.len())?;
        let name = match &clause.name {
            Some(name) => name.clone(),
            None => {
                let names: Vec<_> = referencing.iter().map(|it| it.name.as_str()).collect();
                self.choose_constraint_name(target.namespace.1, &target.name, &names, "fkey")
            }
        };
        self.check_comparable(&name, &referencing, &key)?;
        let definition = ConstraintDefinition {
            constraint_type: ConstraintType::Foreign,
            columns: referencing.iter().map(|column| column.id.0).collect(),
            references: Some(referenced.id.0),
            referenced_columns: key.iter().map(|column| column.id.0).collect(),
            on_delete: action(foreign.on_delete),
            on_update: action(foreign.on_update),
            match_full: foreign.match_type == MatchType::Full,
            deferrable: clause.deferral.deferrable,
            deferred: clause.deferral.deferred,
            not_valid: clause.not_valid,
            ..ConstraintDefinition::default()
        };
        Ok(self.create(ObjectKind::Constraint, target.id, &name, &definition))
    }

    /// Refuses a foreign key between types that no `=` compares.
    fn check_comparable(
        &self,
        constraint: &str,
        referencing: &[&Column],
        referenced: &[&Column],
    ) -> Result<(), SqlError> {
        let types = Types::new(&self.catalog, &self.statement.search_path);
        for (from, to) in referencing.iter().zip(referenced) {
            let base = |column: &Column| self.catalog.base_type(column.type_oid, -1).0;
            let comparable = resolve_operator(types, "=", Some(base(to)), base(from)).is_ok()
                && (same_family(base(from), base(to))
                    || can_coerce(types, &[base(from)], &[base(to)], CastContext::Implicit));
            if comparable {
                let form = |column: &Column| storage_form(&self.catalog, column.type_oid);
                if !compared_alike(&form(from), &form(to), base(from), base(to)) {
                    let (from, to) = (types.format(from.type_oid), types.format(to.type_oid));
                    return Err(SqlError::unsupported(format!(
                        "a foreign key from {from} to {to}"
                    )));
                }
                continue;
            }
            let detail = format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                from.name,
                to.name,
                types.format(from.type_oid),
                types.format(to.type_oid)
            );
            let message = format!("foreign key constraint \"{constraint}\" cannot be implemented");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_detail(detail));
        }
        Ok(())
    }
}

/// The key of a constraint; over the column that it stands on, if it names none.
fn on_column(key: &KeyClause, column: Option<&str>) -> KeyClause {
    match column {
        Some(column) if key.columns.is_empty() => {
            KeyClause { columns: vec![column.to_owned()], ..key.clone() }
        }
        _ => key.clone(),
    }
}

/// Refuses what may follow other constraints, but not a key.
fn refuse_attributes(
    clause: &ConstraintClause,
    constraint_type: ConstraintType,
) -> Result<(), SqlError> {
    let kind = match constraint_type {
        ConstraintType::Primary => "PRIMARY KEY",
        ConstraintType::Unique | ConstraintType::Check | ConstraintType::Foreign => "UNIQUE",
    };
    let what = match (clause.not_valid, clause.no_inherit) {
        (true, _) => "NOT VALID",
        (_, true) => "NO INHERIT",
        _ => return Ok(()),
    };
    let message = format!("{kind} constraints cannot be marked {what}");
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
}

/// Whether two types are of one B-tree operator family, so that values of both can be looked up in one index.
fn same_family(one: Oid, other: Oid) -> bool {
    const FAMILIES: [&[Oid]; 4] = [
        &[Oid::INT2, Oid::INT4, Oid::INT8],
        &[Oid::FLOAT4, Oid::FLOAT8],
        &[Oid::DATE, Oid::TIMESTAMP, Oid::TIMESTAMPTZ],
        &[Oid::TEXT, Oid::VARCHAR, Oid::NAME],
    ];
    one == other || FAMILIES.iter().any(|family| family.contains(&one) && family.contains(&other))
}

/// Whether SQLite finds equal values of two types equal, as they are stored.
fn compared_alike(from: &StorageForm, to: &StorageForm, one: Oid, other: Oid) -> bool {
    let whole = |oid: Oid| matches!(oid, Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID);
    let real = |oid: Oid| matches!(oid, Oid::FLOAT4 | Oid::FLOAT8);
    let plain = |oid: Oid| matches!(oid, Oid::TEXT | Oid::VARCHAR | Oid::NAME);
    one == other
        || (whole(one) && (whole(other) || real(other)))
        || (real(one) && real(other))
        || (whole(one) && other == Oid::NUMERIC)
        || (plain(one) && plain(other))
        || (from == to && !matches!(other, Oid::DATE | Oid::TIMESTAMP | Oid::TIMESTAMPTZ))
}

/// What SQLite's foreign keys do otherwise than PostgreSQL's.
fn refuse_unenforced(foreign: &ForeignKeyClause, columns: usize) -> Result<(), SqlError> {
    if foreign.match_type == MatchType::Full && columns > 1 {
        return Err(SqlError::unsupported("MATCH FULL over several columns"));
    }
    let set_default = ForeignKeyAction::SetDefault;
    if foreign.on_delete == set_default || foreign.on_update == set_default {
        return Err(SqlError::unsupported("SET DEFAULT as a referential action"));
    }
    if !foreign.delete_columns.is_empty() {
        return Err(SqlError::unsupported("ON DELETE SET with a column list"));
    }
    Ok(())
}

/// The columns of a key, in order.
fn key_columns<'t>(
    table: &'t Table,
    names: &[String],
    primary: bool,
) -> Result<Vec<&'t Column>, SqlError> {
    if names.len() > KEY_COLUMNS_MAX {
        let message = format!("cannot use more than {KEY_COLUMNS_MAX} columns in an index");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let mut columns: Vec<&Column> = Vec::with_capacity(names.len());
    for name in names {
        let Some(column) = table.column_by_name(name) else {
            let message = format!("column \"{name}\" named in key does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        if columns.iter().any(|it| it.attnum == column.attnum) {
            let what = if primary { "primary key" } else { "unique" };
            let message = format!("column \"{name}\" appears twice in {what} constraint");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// The columns that a key includes.
fn included_columns<'t>(table: &'t Table, names: &[String]) -> Result<Vec<&'t Column>, SqlError> {
    let find = |name: &String| {
        table.column_by_name(name).ok_or_else(|| {
            let message = format!("column \"{name}\" named in key does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })
    };
    names.iter().map(find).collect()
}

/// The referencing columns of a foreign key.
fn foreign_columns<'t>(table: &'t Table, names: &[String]) -> Result<Vec<&'t Column>, SqlError> {
    let find = |name: &String| {
        table.column_by_name(name).ok_or_else(|| {
            let message =
                format!("column \"{name}\" referenced in foreign key constraint does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })
    };
    names.iter().map(find).collect()
}

/// The referenced columns of a foreign key: those named, which must be a key, or the primary key.
fn referenced_key<'t>(table: &'t Table, names: &[String]) -> Result<Vec<&'t Column>, SqlError> {
    if names.is_empty() {
        let Some(primary) = table.uniques.iter().find(|unique| unique.primary) else {
            let message =
                format!("there is no primary key for referenced table \"{}\"", table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        };
        return Ok(primary.columns.iter().filter_map(|attnum| table.column(*attnum)).collect());
    }
    let columns = foreign_columns(table, names)?;
    let attnums: Vec<i16> = columns.iter().map(|column| column.attnum).collect();
    if has_key(table, &attnums) {
        return Ok(columns);
    }
    let message = format!(
        "there is no unique constraint matching given keys for referenced table \"{}\"",
        table.name
    );
    Err(SqlError::new(SqlState::INVALID_FOREIGN_KEY, message))
}

/// Temporary and lasting tables do not reference each other.
fn check_persistence(from: TableKind, to: TableKind) -> Result<(), SqlError> {
    let message = match (from, to) {
        (TableKind::Replicated, TableKind::Temporary) => {
            "constraints on permanent tables may reference only permanent tables"
        }
        (TableKind::Temporary, TableKind::Replicated) => {
            "constraints on temporary tables may reference only temporary tables"
        }
        (TableKind::Replicated, TableKind::Replicated)
        | (TableKind::Temporary, TableKind::Temporary) => return Ok(()),
    };
    Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message))
}

/// How an action is written into a definition.
fn action(action: ForeignKeyAction) -> Option<Action> {
    match action {
        ForeignKeyAction::NoAction => None,
        ForeignKeyAction::Restrict => Some(Action::Restrict),
        ForeignKeyAction::Cascade => Some(Action::Cascade),
        ForeignKeyAction::SetNull => Some(Action::SetNull),
        ForeignKeyAction::SetDefault => Some(Action::SetDefault),
    }
}

/// 42704 for a constraint that is not there.
pub(super) fn undefined_constraint(table: &str, name: &str) -> SqlError {
    let message = format!("constraint \"{name}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

/// The column of a table, or 42703.
pub(super) fn find_column<'t>(table: &'t Table, name: &str) -> Result<&'t Column, SqlError> {
    table.column_by_name(name).ok_or_else(|| undefined_column(&table.name, name))
}
