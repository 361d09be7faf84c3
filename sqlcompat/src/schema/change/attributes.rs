//! `ALTER TYPE … ATTRIBUTE`: the fields of a composite type.
//!
//! A stored row is the list of its fields in order. A field that is added comes last, and rows from before read as NULL there.
//!
//! # Left out
//! Dropping a field of a type that a column uses: the rows would have to be written anew.

use std::collections::BTreeSet;

use super::column::type_reference;
use super::edit::Edit;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{AttributeChange, ObjectName, TypeName};
use crate::schema::catalog::{Catalog, CompositeType, UserType};
use crate::schema::definition::{TypeDefinition, TypeReference};
use crate::schema::row::ObjectId;
use crate::schema::storage::is_pseudo_type;

impl Edit<'_> {
    fn composite(&self, name: &ObjectName) -> Result<CompositeType, SqlError> {
        let path = &self.statement.search_path;
        match self.catalog.type_by_name(path, name.schema.as_deref(), &name.name) {
            Some(UserType::Composite(found)) => Ok(found.clone()),
            Some(UserType::Enum(_) | UserType::Domain(_) | UserType::Range(_)) | None => {
                if self.relation(name)?.is_some() {
                    let message = format!("\"{}\" is not a composite type", name.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
                }
                let message = format!("relation \"{}\" does not exist", name.display());
                Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
            }
        }
    }

    /// The reference to the type of a field.
    fn field_type(
        &self,
        field: &str,
        written: &TypeName,
        of: (Oid, &str),
    ) -> Result<TypeReference, SqlError> {
        let data_type = written
            .resolve(&self.catalog, &self.statement.search_path)
            .map_err(|error| SqlError { position: None, ..error })?;
        if is_pseudo_type(data_type.0) {
            let message = format!("column \"{field}\" has pseudo-type {}", written.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        refuse_member_of_itself(&self.catalog, data_type.0, of)?;
        Ok(type_reference(&self.catalog, data_type))
    }

    /// `ADD`, `DROP` and `ALTER ATTRIBUTE`.
    pub(super) fn alter_attributes(
        &mut self,
        name: &ObjectName,
        changes: &[AttributeChange],
    ) -> Result<(), SqlError> {
        let found = self.composite(name)?;
        let user = self.column_using(found.oid);
        let definition: TypeDefinition = self.definition(found.id);
        let mut fields = definition.fields.unwrap_or_default();
        let position = |fields: &[(String, TypeReference)], field: &str| {
            fields.iter().position(|(it, _)| it == field).ok_or_else(|| {
                let message =
                    format!("column \"{field}\" of relation \"{}\" does not exist", found.name);
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })
        };
        for change in changes {
            match change {
                AttributeChange::Add(field, written) => {
                    if fields.iter().any(|(it, _)| it == field) {
                        return Err(duplicate(field, &found.name));
                    }
                    fields.push((
                        field.clone(),
                        self.field_type(field, written, (found.oid, &found.name))?,
                    ));
                }
                AttributeChange::Drop(field, if_exists) => match position(&fields, field) {
                    Err(error) if *if_exists => {
                        self.plain_notice(format!("{}, skipping", error.message), None);
                    }
                    Err(error) => return Err(error),
                    Ok(_) if user.is_some() => {
                        let what = "dropping an attribute of a composite type that a column uses";
                        return Err(SqlError::unsupported(what));
                    }
                    Ok(at) => drop(fields.remove(at)),
                },
                AttributeChange::Type(field, written) => {
                    let at = position(&fields, field)?;
                    let reference = self.field_type(field, written, (found.oid, &found.name))?;
                    if let Some(column) = &user {
                        return Err(in_use(&found.name, column));
                    }
                    fields[at].1 = reference;
                }
            }
        }
        self.redefine(found.id, |definition: &mut TypeDefinition| definition.fields = Some(fields));
        Ok(())
    }

    /// `RENAME ATTRIBUTE`.
    pub(super) fn rename_attribute(
        &mut self,
        name: &ObjectName,
        old: &str,
        new: &str,
    ) -> Result<(), SqlError> {
        let found = self.composite(name)?;
        let definition: TypeDefinition = self.definition(found.id);
        let mut fields = definition.fields.unwrap_or_default();
        let Some(at) = fields.iter().position(|(it, _)| it == old) else {
            let message = format!("column \"{old}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        if fields.iter().any(|(it, _)| it == new) {
            return Err(duplicate(new, &found.name));
        }
        new.clone_into(&mut fields[at].0);
        self.redefine(found.id, |definition: &mut TypeDefinition| definition.fields = Some(fields));
        Ok(())
    }

    /// A column, as `table.column`, that stores values of the type: by itself or inside of others.
    pub(super) fn column_using(&self, type_oid: Oid) -> Option<String> {
        let holds = |oid: Oid| contains(&self.catalog, oid, type_oid);
        let table = self.catalog.tables.values().find_map(|table| {
            let column = table.columns.iter().find(|column| holds(column.type_oid))?;
            Some(format!("{}.{}", table.name, column.name))
        });
        let mut views = self.catalog.views.values().filter(|it| it.materialized_in.is_some());
        table.or_else(|| {
            views.find_map(|view| {
                let (name, ..) = view.columns.iter().find(|(_, oid, _)| holds(*oid))?;
                Some(format!("{}.{name}", view.name))
            })
        })
    }
}

/// Whether values of the type `oid` have values of the type `wanted` in them.
pub(super) fn contains(catalog: &Catalog, oid: Oid, wanted: Oid) -> bool {
    let (mut seen, mut left) = (BTreeSet::new(), vec![oid]);
    while let Some(oid) = left.pop() {
        if oid == wanted {
            return true;
        }
        if !seen.insert(oid) {
            continue;
        }
        match catalog.type_by_oid(oid) {
            Some((found, true)) => left.push(found.oid()),
            Some((UserType::Enum(_), false)) => {}
            Some((UserType::Domain(domain), false)) => left.push(domain.base_type),
            Some((UserType::Range(range), false)) => left.push(range.subtype),
            Some((UserType::Composite(it), false)) => {
                left.extend(it.fields.iter().map(|(_, field, _)| *field));
            }
            None => {
                let mut tables = catalog.tables.values();
                let table = tables.find(|it| it.row_type_oid == oid || it.row_array_oid == oid);
                left.extend(table.filter(|it| it.row_array_oid == oid).map(|it| it.row_type_oid));
                let columns = table.iter().flat_map(|table| &table.columns);
                left.extend(columns.map(|column| column.type_oid));
            }
        }
    }
    false
}

/// Refuses a field or column whose type holds the type that it is to be in.
///
/// # Errors
/// 42P16.
pub(super) fn refuse_member_of_itself(
    catalog: &Catalog,
    field: Oid,
    of: (Oid, &str),
) -> Result<(), SqlError> {
    if !contains(catalog, field, of.0) {
        return Ok(());
    }
    let message = format!("composite type {} cannot be made a member of itself", of.1);
    Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message))
}

fn duplicate(field: &str, of: &str) -> SqlError {
    let message = format!("column \"{field}\" of relation \"{of}\" already exists");
    SqlError::new(SqlState::DUPLICATE_COLUMN, message)
}

/// 0A000: values of the type are stored.
pub(super) fn in_use(name: &str, column: &str) -> SqlError {
    let message = format!("cannot alter type \"{name}\" because column \"{column}\" uses it");
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// A user type's OID by its identity.
pub(super) fn type_oid(catalog: &Catalog, id: ObjectId) -> Option<Oid> {
    catalog.types.values().find(|it| it.id() == id).map(UserType::oid)
}
