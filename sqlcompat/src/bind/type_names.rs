//! What the input functions must know of user types, answered from the schema.

use super::resolve::Types;
use crate::builtin::TypeKind;
use crate::oid::Oid;
use crate::schema::{Catalog, UserType};
use crate::types::{TypeNames, TypeShape};

/// The types of one moment, for reading literals.
pub(crate) struct BinderNames<'a> {
    /// Types by OID.
    pub(crate) types: Types<'a>,
    /// The schema.
    pub(crate) catalog: &'a Catalog,
}

impl BinderNames<'_> {
    fn labels(&self, type_oid: Oid) -> Option<&[(Oid, String)]> {
        match self.catalog.types.get(&type_oid)? {
            UserType::Enum(found) => Some(&found.labels),
            UserType::Domain(_) | UserType::Composite(_) | UserType::Range(_) => None,
        }
    }
}

impl TypeNames for BinderNames<'_> {
    fn shape(&self, type_oid: Oid) -> Option<TypeShape> {
        let info = self.types.info(type_oid)?;
        if info.true_array {
            return Some(TypeShape::Array(info.element));
        }
        match info.kind {
            TypeKind::Enum => Some(TypeShape::Enum),
            TypeKind::Domain => Some(TypeShape::Domain(info.base, info.base_typmod)),
            TypeKind::Composite => {
                let fields = self.types.fields(type_oid)?;
                let types = fields.into_iter().map(|(_, oid, typmod)| (oid, typmod));
                Some(TypeShape::Composite(types.collect()))
            }
            TypeKind::Range | TypeKind::Multirange => self.catalog.shape(type_oid),
            TypeKind::Base | TypeKind::Pseudo => None,
        }
    }

    fn enum_stored(&self, type_oid: Oid, shown: &str) -> Option<String> {
        self.catalog.enum_stored(type_oid, shown)
    }

    fn enum_shown(&self, type_oid: Oid, stored: &str) -> Option<String> {
        self.catalog.enum_shown(type_oid, stored)
    }

    fn enum_position(&self, type_oid: Oid, label: &str) -> Option<usize> {
        self.labels(type_oid)?.iter().position(|(_, found)| found == label)
    }

    fn enum_label(&self, type_oid: Oid, position: usize) -> Option<String> {
        Some(self.labels(type_oid)?.get(position)?.1.clone())
    }

    fn type_name(&self, type_oid: Oid) -> Option<String> {
        self.types.info(type_oid).map(|_| self.types.format(type_oid))
    }

    fn field_names(&self, type_oid: Oid) -> Option<Vec<String>> {
        let fields = self.types.fields(type_oid)?;
        Some(fields.into_iter().map(|(name, _, _)| name.to_owned()).collect())
    }
}
