//! Enums, domains and composite types.

use super::edit::Edit;
use super::expression;
use crate::bind::ScalarScope;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{AlterDomain, AlterType, CreateDomain, ObjectName, TypeName};
use crate::schema::catalog::UserType;
use crate::schema::definition::TypeDefinition;
use crate::schema::row::{ObjectId, ObjectKind};
use crate::schema::table_sql::location;

/// Longest label of an enum in bytes.
const LABEL_BYTES_MAX: usize = 63;

impl Edit<'_> {
    /// Refuses a type name that is taken.
    pub(super) fn claim_type_name(&self, namespace: Oid, name: &str) -> Result<(), SqlError> {
        let mut types = self.catalog.types.values();
        let taken = types.any(|it| it.namespace() == namespace && it.name() == name);
        if taken || self.relation_exists(namespace, name) {
            let message = format!("type \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
        }
        Ok(())
    }

    /// `CREATE TYPE … AS ENUM`.
    pub(super) fn create_enum(
        &mut self,
        name: &ObjectName,
        labels: &[String],
    ) -> Result<(), SqlError> {
        let namespace = self.target_namespace(name, false)?;
        self.claim_type_name(namespace.1, &name.name)?;
        for (index, label) in labels.iter().enumerate() {
            check_label(label)?;
            if labels.iter().take(index).any(|it| it == label) {
                return Err(label_exists(label));
            }
        }
        let definition = TypeDefinition { labels: labels.to_vec(), ..TypeDefinition::default() };
        self.create(ObjectKind::Type, namespace.0, &name.name, &definition);
        Ok(())
    }

    /// `CREATE TYPE … AS (…)`.
    pub(super) fn create_composite(
        &mut self,
        name: &ObjectName,
        fields: &[(String, TypeName)],
    ) -> Result<(), SqlError> {
        let namespace = self.target_namespace(name, false)?;
        let mut user_types = self.catalog.types.values();
        let is_type = user_types.any(|it| it.namespace() == namespace.1 && it.name() == name.name);
        if !is_type && self.relation_exists(namespace.1, &name.name) {
            let message = format!("relation \"{}\" already exists", name.name);
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        self.claim_type_name(namespace.1, &name.name)?;
        let mut references = Vec::with_capacity(fields.len());
        for (index, (field, type_name)) in fields.iter().enumerate() {
            if fields.iter().take(index).any(|(it, _)| it == field) {
                let message = format!("column \"{field}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            let data_type =
                type_name.resolve(&self.catalog, &self.statement.search_path).map_err(|error| {
                    // PostgreSQL tells no place here.
                    SqlError { position: None, ..error }
                })?;
            if crate::schema::storage::is_pseudo_type(data_type.0) {
                let message = format!("column \"{field}\" has pseudo-type {}", type_name.name);
                return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
            }
            references
                .push((field.clone(), super::column::type_reference(&self.catalog, data_type)));
        }
        let definition = TypeDefinition { fields: Some(references), ..TypeDefinition::default() };
        self.create(ObjectKind::Type, namespace.0, &name.name, &definition);
        Ok(())
    }

    /// `CREATE DOMAIN`; gives the command tag.
    pub(super) fn create_domain(&mut self, ast: &CreateDomain) -> Result<&'static str, SqlError> {
        let namespace = self.target_namespace(&ast.name, false)?;
        self.claim_type_name(namespace.1, &ast.name.name)?;
        let data_type = ast.base.resolve(&self.catalog, &self.statement.search_path)?;
        if crate::schema::storage::is_pseudo_type(data_type.0) {
            let name = &ast.base.name;
            let message = format!("\"{name}\" is not a valid base type for a domain");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        let default = match &ast.default {
            Some(text) => Some(self.checked_default(text, &ast.name.name, data_type)?),
            None => None,
        };
        let mut definition = TypeDefinition {
            base: Some(super::column::type_reference(&self.catalog, data_type)),
            not_null: ast.not_null,
            default,
            ..TypeDefinition::default()
        };
        for (constraint, text) in &ast.checks {
            let name = &ast.name.name;
            self.add_domain_check(&mut definition, name, data_type, constraint.as_deref(), text)?;
        }
        self.create(ObjectKind::Type, namespace.0, &ast.name.name, &definition);
        Ok("CREATE DOMAIN")
    }

    fn add_domain_check(
        &self,
        definition: &mut TypeDefinition,
        domain: &str,
        (base, typmod): (Oid, i32),
        name: Option<&str>,
        text: &str,
    ) -> Result<(), SqlError> {
        expression::refuse_subquery(text, "check constraint")?;
        let scope = ScalarScope::DomainValue(base, typmod);
        expression::bind(text, scope, Some((Oid::BOOL, -1)), &self.context())?;
        let taken = |name: &str| definition.checks.iter().any(|(it, _)| it == name);
        let name = match name {
            Some(name) if taken(name) => {
                let message =
                    format!("constraint \"{name}\" for domain \"{domain}\" already exists");
                return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message));
            }
            Some(name) => name.to_owned(),
            None => {
                let first = format!("{domain}_check");
                let numbered = (1..).map(|pass: u32| format!("{domain}_check{pass}"));
                let mut candidates = std::iter::once(first.clone()).chain(numbered);
                candidates.find(|name| !taken(name)).unwrap_or(first)
            }
        };
        let text = expression::canonical(text, scope, Some((Oid::BOOL, -1)), &self.context());
        definition.checks.push((name, text));
        Ok(())
    }

    /// The user type that a statement alters.
    pub(super) fn user_type(&self, name: &ObjectName) -> Result<&UserType, SqlError> {
        let path = &self.statement.search_path;
        self.catalog.type_by_name(path, name.schema.as_deref(), &name.name).ok_or_else(|| {
            let message = format!("type \"{}\" does not exist", name.display());
            SqlError::new(SqlState::UNDEFINED_OBJECT, message)
        })
    }

    /// `ALTER TYPE` of an enum.
    pub(super) fn alter_type(
        &mut self,
        name: &ObjectName,
        change: &AlterType,
    ) -> Result<(), SqlError> {
        match change {
            AlterType::Attributes(changes) => return self.alter_attributes(name, changes),
            AlterType::RenameAttribute(old, new) => return self.rename_attribute(name, old, new),
            AlterType::AddValue { .. } | AlterType::RenameValue(..) => {}
        }
        let UserType::Enum(found) = self.user_type(name)? else {
            let message = format!("\"{}\" is not an enum", name.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let id = found.id;
        let mut labels: Vec<String> = found.labels.iter().map(|(_, it)| it.clone()).collect();
        match change {
            AlterType::AddValue { label, if_not_exists, neighbour } => {
                check_label(label)?;
                if labels.contains(label) {
                    if !if_not_exists {
                        return Err(label_exists(label));
                    }
                    let message = format!("enum label \"{label}\" already exists, skipping");
                    self.notice(SqlState::DUPLICATE_OBJECT, message);
                    return Ok(());
                }
                let at = match neighbour {
                    None => labels.len(),
                    Some((neighbour, before)) => {
                        label_position(&labels, neighbour)? + usize::from(!before)
                    }
                };
                labels.insert(at, label.clone());
            }
            AlterType::RenameValue(old, new) => {
                check_label(new)?;
                let at = label_position(&labels, old)?;
                if labels.contains(new) {
                    return Err(label_exists(new));
                }
                self.rename_stored_label(id, old, new);
                if let Some(label) = labels.get_mut(at) {
                    label.clone_from(new);
                }
            }
            AlterType::Attributes(_) | AlterType::RenameAttribute(..) => return Ok(()),
        }
        self.redefine(id, |definition: &mut TypeDefinition| definition.labels = labels);
        Ok(())
    }

    /// Values are stored as labels, so a renamed label is renamed in the rows too. Rows that refer to each other by it match
    /// again once all are renamed.
    fn rename_stored_label(&mut self, id: ObjectId, old: &str, new: &str) {
        use crate::schema::physical::{quote, quote_literal};
        let (old, new) = (quote_literal(old), quote_literal(new));
        let mut updates = Vec::new();
        for table in self.catalog.tables.values() {
            for column in &table.columns {
                let (base, _) = self.catalog.base_type(column.type_oid, -1);
                let Some((found, is_array)) = self.catalog.type_by_oid(base) else { continue };
                if found.id() != id {
                    continue;
                }
                let name = quote(&column.physical_name);
                let update = format!("UPDATE {}", location(table));
                updates.push(if is_array {
                    let replaced = format!("pg_array_replace({name}, {old}, {new}, {base})");
                    format!("{update} SET {name} = {replaced} WHERE {name} IS NOT NULL")
                } else {
                    format!("{update} SET {name} = {new} WHERE {name} = {old} COLLATE BINARY")
                });
            }
        }
        if updates.is_empty() {
            return;
        }
        self.after("PRAGMA defer_foreign_keys = ON".to_owned());
        updates.into_iter().for_each(|sql| self.after(sql));
        self.after("PRAGMA defer_foreign_keys = OFF".to_owned());
    }

    /// `ALTER DOMAIN`.
    pub(super) fn alter_domain(
        &mut self,
        name: &ObjectName,
        change: &AlterDomain,
    ) -> Result<(), SqlError> {
        let UserType::Domain(domain) = self.user_type(name)? else {
            let message = format!("{} is not a domain", name.display());
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let (id, data_type) = (domain.id, (domain.base_type, domain.typmod));
        let mut definition: TypeDefinition = self.definition(id);
        let find = |definition: &TypeDefinition, constraint: &str| {
            let found = definition.checks.iter().position(|(it, _)| it == constraint);
            found.ok_or_else(|| {
                let message = format!(
                    "constraint \"{constraint}\" of domain \"{}\" does not exist",
                    name.name
                );
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })
        };
        match change {
            AlterDomain::Default(text) => {
                definition.default = match text {
                    Some(text) => Some(self.checked_default(text, &name.name, data_type)?),
                    None => None,
                };
            }
            AlterDomain::NotNull(false) => definition.not_null = false,
            AlterDomain::NotNull(true) => {
                self.refuse_stored_null(id)?;
                definition.not_null = true;
            }
            AlterDomain::AddCheck { name: constraint, expression: text, not_valid } => {
                let constraint = constraint.as_deref();
                self.add_domain_check(&mut definition, &name.name, data_type, constraint, text)?;
                if let (Some((_, text)), false) = (definition.checks.last(), not_valid) {
                    self.refuse_stored_values(id, data_type, text)?;
                }
            }
            AlterDomain::Validate(constraint) => {
                let at = find(&definition, constraint)?;
                if let Some((_, text)) = definition.checks.get(at) {
                    self.refuse_stored_values(id, data_type, text)?;
                }
            }
            AlterDomain::DropConstraint(constraint, if_exists) => {
                match find(&definition, constraint) {
                    Ok(at) => drop(definition.checks.remove(at)),
                    Err(error) if *if_exists => {
                        self.plain_notice(format!("{}, skipping", error.message), None);
                    }
                    Err(error) => return Err(error),
                }
            }
            AlterDomain::RenameConstraint(old, new) => {
                let at = find(&definition, old)?;
                if let Some((constraint, _)) = definition.checks.get_mut(at) {
                    constraint.clone_from(new);
                }
            }
        }
        self.redefine(id, |stored: &mut TypeDefinition| *stored = definition);
        Ok(())
    }
}

fn check_label(label: &str) -> Result<(), SqlError> {
    if label.len() <= LABEL_BYTES_MAX {
        return Ok(());
    }
    let message = format!("invalid enum label \"{label}\"");
    Err(SqlError::new(SqlState::INVALID_NAME, message)
        .with_detail("Labels must be 63 bytes or less."))
}

fn label_exists(label: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("enum label \"{label}\" already exists"))
}

fn label_position(labels: &[String], label: &str) -> Result<usize, SqlError> {
    labels.iter().position(|it| it == label).ok_or_else(|| {
        let message = format!("\"{label}\" is not an existing enum label");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    })
}
