//! What the formats must know of the catalog: the shape of user types, and names behind the reg* types.

use crate::builtin;
use crate::catalog::Names;
use crate::oid::Oid;
use crate::schema::{Catalog, UserType};
use crate::types::range::RangeType;

/// What kind of type an OID is, where that changes how values are read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeShape {
    /// An array over an element type.
    Array(Oid),
    /// An enum; [`TypeNames::enum_position`] knows the labels.
    Enum,
    /// A domain over a base type with a type modifier.
    Domain(Oid, i32),
    /// A row type: the types and type modifiers of its columns in order.
    Composite(Vec<(Oid, i32)>),
    /// A range type of the user's own.
    Range(RangeType),
    /// The multirange type over one.
    Multirange(RangeType),
}

/// The catalogs that the reg* types name objects of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectClass {
    /// `regclass`.
    Relation,
    /// `regtype`.
    Type,
    /// `regproc`.
    Function,
    /// `regprocedure`: a function with its argument types.
    FunctionSignature,
    /// `regoper`.
    Operator,
    /// `regoperator`: an operator with its operand types.
    OperatorSignature,
    /// `regnamespace`.
    Namespace,
    /// `regrole`.
    Role,
    /// `regcollation`.
    Collation,
    /// `regconfig`.
    TextSearchConfiguration,
    /// `regdictionary`.
    TextSearchDictionary,
}

/// Look-ups for types and names that are not built in. All are by OID, cheap, and pure; what is not provided finds nothing.
pub trait TypeNames {
    /// The shape of a type that is not a plain built-in one.
    fn shape(&self, type_oid: Oid) -> Option<TypeShape> {
        let _ = type_oid;
        None
    }
    /// The label of the enum that has this name at present, as values store it.
    fn enum_stored(&self, type_oid: Oid, shown: &str) -> Option<String> {
        self.enum_position(type_oid, shown).map(|_| shown.to_owned())
    }
    /// The present name of a label, if it is another than what values store.
    fn enum_shown(&self, type_oid: Oid, stored: &str) -> Option<String> {
        let _ = (type_oid, stored);
        None
    }
    /// Position of a label, as it is stored, in the enum, from 0.
    fn enum_position(&self, type_oid: Oid, label: &str) -> Option<usize> {
        let _ = (type_oid, label);
        None
    }
    /// The label at `position` of the enum, as it is stored.
    fn enum_label(&self, type_oid: Oid, position: usize) -> Option<String> {
        let _ = (type_oid, position);
        None
    }
    /// The type's name as `format_type` shows it.
    fn type_name(&self, type_oid: Oid) -> Option<String> {
        let _ = type_oid;
        None
    }
    /// Names of a composite type's columns.
    fn field_names(&self, type_oid: Oid) -> Option<Vec<String>> {
        let _ = type_oid;
        None
    }
    /// An object's name as the reg* types show it, qualified and quoted where needed.
    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<String> {
        let _ = (class, oid);
        None
    }
    /// The OID of the object so named (possibly qualified, possibly quoted).
    fn object_oid(&self, class: ObjectClass, name: &str) -> Option<Oid> {
        let _ = (class, name);
        None
    }
    /// Whether there is a schema of that name.
    fn has_schema(&self, name: &str) -> bool {
        let _ = name;
        true
    }
    /// Whether the name stands for several objects of which it does not say which; `object_oid` then finds none.
    fn is_ambiguous(&self, class: ObjectClass, name: &str) -> bool {
        let _ = (class, name);
        false
    }
}

/// Knows no user types and no names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl TypeNames for NoNames {}

impl TypeNames for Catalog {
    fn shape(&self, type_oid: Oid) -> Option<TypeShape> {
        match self.types.get(&type_oid) {
            Some(UserType::Enum(_)) => return Some(TypeShape::Enum),
            Some(UserType::Domain(domain)) => {
                return Some(TypeShape::Domain(domain.base_type, domain.typmod));
            }
            Some(UserType::Composite(it)) => {
                let fields = it.fields.iter().map(|(_, oid, typmod)| (*oid, *typmod));
                return Some(TypeShape::Composite(fields.collect()));
            }
            Some(UserType::Range(it)) => {
                let subtype = self.base_type(it.subtype, -1).0;
                let of = RangeType { range: it.range, subtype, multirange: it.multirange };
                let is_multirange = it.is_multirange();
                return Some(if is_multirange {
                    TypeShape::Multirange(of)
                } else {
                    TypeShape::Range(of)
                });
            }
            None if !type_oid.is_user() => return None,
            None => {}
        }
        if let Some(element) = self.types.values().find(|it| it.array_oid() == type_oid) {
            return Some(TypeShape::Array(element.oid()));
        }
        for table in self.tables.values() {
            if table.row_type_oid == type_oid {
                return Some(TypeShape::Composite(
                    table.columns.iter().map(|it| (it.type_oid, it.typmod)).collect(),
                ));
            }
            if table.row_array_oid == type_oid {
                return Some(TypeShape::Array(table.row_type_oid));
            }
        }
        let view = self.views.values().find(|it| it.row_type_oid == type_oid)?;
        let columns = view.columns.iter().map(|(_, oid, typmod)| (*oid, *typmod));
        Some(TypeShape::Composite(columns.collect()))
    }

    fn enum_stored(&self, type_oid: Oid, shown: &str) -> Option<String> {
        let UserType::Enum(it) = self.types.get(&type_oid)? else { return None };
        it.stored(shown).map(str::to_owned)
    }

    fn enum_shown(&self, type_oid: Oid, stored: &str) -> Option<String> {
        let UserType::Enum(it) = self.types.get(&type_oid)? else { return None };
        it.renamed.get(stored).cloned()
    }

    fn enum_position(&self, type_oid: Oid, label: &str) -> Option<usize> {
        let UserType::Enum(it) = self.types.get(&type_oid)? else { return None };
        it.labels.iter().position(|(_, known)| known == label)
    }

    fn enum_label(&self, type_oid: Oid, position: usize) -> Option<String> {
        let UserType::Enum(it) = self.types.get(&type_oid)? else { return None };
        it.labels.get(position).map(|(_, label)| label.clone())
    }

    fn type_name(&self, type_oid: Oid) -> Option<String> {
        if let Some(known) = self.types.get(&type_oid) {
            return Some(self.qualified(known.namespace(), known.name()));
        }
        let mut tables = self.tables.values();
        if let Some(table) = tables.find(|it| it.row_type_oid == type_oid) {
            return Some(self.qualified(table.namespace, &table.name));
        }
        let view = self.views.values().find(|it| it.row_type_oid == type_oid)?;
        Some(self.qualified(view.namespace, &view.name))
    }

    fn field_names(&self, type_oid: Oid) -> Option<Vec<String>> {
        if let Some(UserType::Composite(it)) = self.types.get(&type_oid) {
            return Some(it.fields.iter().map(|(name, _, _)| name.clone()).collect());
        }
        let mut tables = self.tables.values();
        if let Some(table) = tables.find(|it| it.row_type_oid == type_oid) {
            return Some(table.columns.iter().map(|it| it.name.clone()).collect());
        }
        let view = self.views.values().find(|it| it.row_type_oid == type_oid)?;
        Some(view.columns.iter().map(|(name, _, _)| name.clone()).collect())
    }

    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<String> {
        Names::new(self, &default_path()).object_name(class, oid)
    }

    fn object_oid(&self, class: ObjectClass, name: &str) -> Option<Oid> {
        Names::new(self, &default_path()).object_oid(class, name)
    }

    fn is_ambiguous(&self, class: ObjectClass, name: &str) -> bool {
        Names::new(self, &default_path()).is_ambiguous(class, name)
    }
}

/// The search path where no session says otherwise.
fn default_path() -> [String; 1] {
    ["public".to_owned()]
}

impl Catalog {
    /// A name with its schema before it, unless that is `public`.
    fn qualified(&self, namespace: Oid, name: &str) -> String {
        let quoted = builtin::quote_identifier(name);
        let schema = self.namespaces.values().find(|it| it.oid == namespace && it.name != "public");
        match schema {
            Some(schema) => format!("{}.{quoted}", builtin::quote_identifier(&schema.name)),
            None => quoted,
        }
    }
}
