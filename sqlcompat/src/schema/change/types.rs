//! Enums, domains and composite types.

use super::edit::Edit;
use super::expression;
use crate::bind::ScalarScope;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{AlterDomain, AlterType, CreateDomain, ObjectName, TypeName};
use crate::schema::catalog::{EnumType, UserType};
use crate::schema::definition::TypeDefinition;
use crate::schema::row::ObjectKind;
use crate::types::scalar::NAME_BYTES_MAX;

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
            Some(text) => {
                let text = self.checked_default(text, &ast.name.name, data_type)?;
                Some(self.settled_default(&text, data_type))
            }
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
            self.settle_last_check(&mut definition, data_type);
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

    /// Gives the condition that was added last the form that the schema keeps.
    fn settle_last_check(&self, definition: &mut TypeDefinition, (base, typmod): (Oid, i32)) {
        if let Some((_, text)) = definition.checks.last_mut() {
            let scope = ScalarScope::DomainValue(base, typmod);
            *text = expression::settled(text, scope, Some((Oid::BOOL, -1)), &self.context());
        }
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
        let mut found = found.clone();
        let position = |label: &str| {
            found.labels.iter().position(|(_, it)| found.shown(it) == label).ok_or_else(|| {
                let message = format!("\"{label}\" is not an existing enum label");
                SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
            })
        };
        match change {
            AlterType::AddValue { label, if_not_exists, neighbour } => {
                check_label(label)?;
                if found.stored(label).is_some() {
                    if !if_not_exists {
                        return Err(label_exists(label));
                    }
                    let message = format!("enum label \"{label}\" already exists, skipping");
                    self.notice(SqlState::DUPLICATE_OBJECT, message);
                    return Ok(());
                }
                let at = match neighbour {
                    None => found.labels.len(),
                    Some((neighbour, before)) => position(neighbour)? + usize::from(!before),
                };
                found.add(at, label);
            }
            AlterType::RenameValue(old, new) => {
                check_label(new)?;
                let at = position(old)?;
                if found.stored(new).is_some() {
                    return Err(label_exists(new));
                }
                let stored = found.labels[at].1.clone();
                found.renamed.insert(stored, new.clone());
                found.renamed.retain(|stored, shown| stored != shown);
            }
            AlterType::Attributes(_) | AlterType::RenameAttribute(..) => return Ok(()),
        }
        let EnumType { id, labels, renamed, .. } = found;
        self.redefine(id, |definition: &mut TypeDefinition| {
            definition.labels = labels.into_iter().map(|(_, label)| label).collect();
            definition.renamed = renamed;
        });
        Ok(())
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
        let checks = domain.checks.clone();
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
                    Some(text) => {
                        let text = self.checked_default(text, &name.name, data_type)?;
                        Some(self.settled_default(&text, data_type))
                    }
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
                self.settle_last_check(&mut definition, data_type);
            }
            AlterDomain::Validate(constraint) => {
                find(&definition, constraint)?;
                if let Some(check) = checks.iter().find(|it| it.name == *constraint) {
                    self.refuse_stored_values(id, data_type, &check.expression)?;
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
    if label.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    let message = format!("invalid enum label \"{label}\"");
    Err(SqlError::new(SqlState::INVALID_NAME, message)
        .with_detail("Labels must be 63 bytes or less."))
}

fn label_exists(label: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("enum label \"{label}\" already exists"))
}

impl EnumType {
    /// Adds a label. What values store of it is its name, with a number if another label that was renamed is stored so.
    fn add(&mut self, at: usize, label: &str) {
        let taken = |stored: &str| self.labels.iter().any(|(_, it)| it == stored);
        let numbered = (1..).map(|number: u32| format!("{label}\u{1}{number}"));
        let mut candidates = std::iter::once(label.to_owned()).chain(numbered);
        let Some(stored) = candidates.find(|stored| !taken(stored)) else { return };
        if stored != label {
            self.renamed.insert(stored.clone(), label.to_owned());
        }
        self.labels.insert(at, (Oid(0), stored));
    }
}
