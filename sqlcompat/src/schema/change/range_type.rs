//! `CREATE TYPE … AS RANGE`: a range type, and the multirange type over it.

use super::column::type_reference;
use super::edit::Edit;
use crate::builtin;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{CreateRange, ObjectName};
use crate::schema::definition::{RangeDefinition, TypeDefinition};
use crate::schema::row::ObjectKind;
use crate::schema::storage::{is_collatable, is_pseudo_type};
use crate::types::range::RangeType;
use crate::types::scalar;

impl Edit<'_> {
    /// `CREATE TYPE … AS RANGE`; gives the command tag.
    pub(super) fn create_range(&mut self, ast: &CreateRange) -> Result<&'static str, SqlError> {
        let CreateRange { name, subtype, subtype_diff, collation, multirange } = ast;
        let namespace = self.target_namespace(name, false)?;
        self.claim_type_name(namespace.1, &name.name)?;
        let resolved = subtype.resolve(&self.catalog, &self.statement.search_path);
        let (subtype, typmod) = resolved.map_err(|error| SqlError { position: None, ..error })?;
        self.check_subtype(subtype)?;
        if let Some(collation) = collation {
            if !is_collatable(self.catalog.base_type(subtype, -1).0) {
                let message = "range collation specified but subtype does not support collation";
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            self.check_collation(&collation.name, subtype)?;
        }
        let difference = match subtype_diff {
            Some(function) => Some(self.difference_function(subtype, function)?),
            None => None,
        };
        let multirange = self.multirange_name(namespace.1, &name.name, multirange.as_ref())?;
        let range = RangeDefinition {
            subtype: type_reference(&self.catalog, (subtype, typmod)),
            multirange,
            collation: collation.as_ref().map(|it| it.name.clone()),
            subtype_diff: difference,
        };
        let definition = TypeDefinition { range: Some(range), ..TypeDefinition::default() };
        self.create(ObjectKind::Type, namespace.0, &name.name, &definition);
        Ok("CREATE TYPE")
    }

    fn subtype_name(&self, subtype: Oid) -> String {
        let types = crate::bind::resolve::Types::new(&self.catalog, &self.statement.search_path);
        types.format(subtype)
    }

    fn check_subtype(&self, subtype: Oid) -> Result<(), SqlError> {
        let name = self.subtype_name(subtype);
        if is_pseudo_type(subtype) {
            let message = format!("range subtype cannot be {name}");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        let (base, _) = self.catalog.base_type(subtype, -1);
        if RangeType::orders(base) {
            return Ok(());
        }
        if matches!(base, Oid::JSON | Oid::XID | Oid::CID | Oid::JSONPATH) {
            let message = format!(
                "data type {name} has no default operator class for access method \"btree\""
            );
            let hint = "You must specify an operator class for the range type or define a \
                        default operator class for the subtype.";
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).with_hint(hint));
        }
        Err(SqlError::unsupported(format!("a range over type {name}")))
    }

    fn difference_function(&self, subtype: Oid, name: &ObjectName) -> Result<String, SqlError> {
        let rows = builtin::functions_by_name(&name.name);
        let found = rows.iter().find(|row| row.arguments == [subtype, subtype]);
        match found.map(|row| row.result) {
            Some(Oid::FLOAT8) => Ok(name.name.clone()),
            Some(_) => {
                let message = format!(
                    "range subtype diff function {} must return type double precision",
                    name.display()
                );
                Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message))
            }
            None => {
                let subtype = self.subtype_name(subtype);
                let message =
                    format!("function {}({subtype}, {subtype}) does not exist", name.display());
                Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message))
            }
        }
    }

    /// The name of the multirange type: as given, or the range type's with `multi` before its first `range`.
    fn multirange_name(
        &self,
        namespace: Oid,
        range: &str,
        given: Option<&ObjectName>,
    ) -> Result<String, SqlError> {
        if let Some(given) = given {
            if given.schema.as_deref().is_some_and(|schema| {
                self.catalog.namespace(schema).is_none_or(|found| found.oid != namespace)
            }) {
                return Err(SqlError::unsupported("a multirange type in another schema"));
            }
            self.claim_type_name(namespace, &given.name)?;
            return Ok(given.name.clone());
        }
        let name = match range.split_once("range") {
            Some((before, after)) => format!("{before}multirange{after}"),
            None => format!("{range}_multirange"),
        };
        let name = scalar::clip_bytes(&name, scalar::NAME_BYTES_MAX).to_owned();
        self.claim_type_name(namespace, &name).map_err(|error| {
            let detail = format!("Failed while creating a multirange type for type \"{range}\".");
            error.with_detail(detail).with_hint(
                "You can manually specify a multirange type name using the \
                 \"multirange_type_name\" attribute.",
            )
        })?;
        Ok(name)
    }
}
