//! What the formats must know of the catalog: the shape of user types, and names behind the reg* types.

use crate::builtin;
use crate::oid::Oid;
use crate::schema::{Catalog, UserType};

/// What kind of type an OID is, where that changes how values are read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeShape {
    /// An array over an element type.
    Array(Oid),
    /// An enum; [`TypeNames::enum_position`] knows the labels.
    Enum,
    /// A domain over a base type with a type modifier.
    Domain(Oid, i32),
    /// A row type: the types of its columns in order.
    Composite(Vec<Oid>),
}

/// The catalogs that the reg* types name objects of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectClass {
    /// `regclass`.
    Relation,
    /// `regtype`.
    Type,
    /// `regproc` and `regprocedure`.
    Function,
    /// `regoper` and `regoperator`.
    Operator,
    /// `regnamespace`.
    Namespace,
    /// `regrole`.
    Role,
    /// `regcollation`, `regconfig`, `regdictionary`.
    Other,
}

/// Look-ups for types and names that are not built in. All are by OID, cheap, and pure.
pub trait TypeNames {
    /// The shape of a type that is not a plain built-in one.
    fn shape(&self, type_oid: Oid) -> Option<TypeShape>;
    /// Position of `label` in the enum, from 0.
    fn enum_position(&self, type_oid: Oid, label: &str) -> Option<usize>;
    /// The label at `position` of the enum.
    fn enum_label(&self, type_oid: Oid, position: usize) -> Option<String>;
    /// The type's name as `format_type` shows it.
    fn type_name(&self, type_oid: Oid) -> Option<String>;
    /// Names of a composite type's columns.
    fn field_names(&self, type_oid: Oid) -> Option<Vec<String>>;
    /// An object's name as the reg* types show it, qualified and quoted where needed.
    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<String>;
    /// The OID of the object so named (possibly qualified, possibly quoted).
    fn object_oid(&self, class: ObjectClass, name: &str) -> Option<Oid>;
}

/// Knows no user types and no names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl TypeNames for NoNames {
    fn shape(&self, _: Oid) -> Option<TypeShape> {
        None
    }
    fn enum_position(&self, _: Oid, _: &str) -> Option<usize> {
        None
    }
    fn enum_label(&self, _: Oid, _: usize) -> Option<String> {
        None
    }
    fn type_name(&self, _: Oid) -> Option<String> {
        None
    }
    fn field_names(&self, _: Oid) -> Option<Vec<String>> {
        None
    }
    fn object_name(&self, _: ObjectClass, _: Oid) -> Option<String> {
        None
    }
    fn object_oid(&self, _: ObjectClass, _: &str) -> Option<Oid> {
        None
    }
}

impl TypeNames for Catalog {
    fn shape(&self, type_oid: Oid) -> Option<TypeShape> {
        match self.types.get(&type_oid) {
            Some(UserType::Enum(_)) => return Some(TypeShape::Enum),
            Some(UserType::Domain(domain)) => {
                return Some(TypeShape::Domain(domain.base_type, domain.typmod));
            }
            None if type_oid.0 < FIRST_USER_OID => return None,
            None => {}
        }
        if let Some(element) = self.types.values().find(|it| it.array_oid() == type_oid) {
            return Some(TypeShape::Array(element.oid()));
        }
        for table in self.tables.values() {
            if table.row_type_oid == type_oid {
                return Some(TypeShape::Composite(
                    table.columns.iter().map(|it| it.type_oid).collect(),
                ));
            }
            if table.row_array_oid == type_oid {
                return Some(TypeShape::Array(table.row_type_oid));
            }
        }
        let view = self.views.values().find(|it| it.row_type_oid == type_oid)?;
        Some(TypeShape::Composite(view.columns.iter().map(|(_, oid, _)| *oid).collect()))
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
        let mut tables = self.tables.values();
        if let Some(table) = tables.find(|it| it.row_type_oid == type_oid) {
            return Some(table.columns.iter().map(|it| it.name.clone()).collect());
        }
        let view = self.views.values().find(|it| it.row_type_oid == type_oid)?;
        Some(view.columns.iter().map(|(name, _, _)| name.clone()).collect())
    }

    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<String> {
        match class {
            ObjectClass::Relation => self.relation_name(oid),
            ObjectClass::Namespace => match oid.0 {
                11 => Some("pg_catalog".to_owned()),
                2200 => Some("public".to_owned()),
                _ => {
                    let found = self.namespaces.values().find(|it| it.oid == oid)?;
                    Some(builtin::quote_identifier(&found.name))
                }
            },
            ObjectClass::Function => {
                let row = builtin::function_by_oid(oid)?;
                let unique = builtin::functions_by_name(row.name).len() == 1;
                let name = builtin::quote_identifier(row.name);
                Some(if unique { name } else { format!("pg_catalog.{name}") })
            }
            ObjectClass::Operator => builtin::operator_by_oid(oid).map(|row| row.name.to_owned()),
            ObjectClass::Role => (oid.0 == 10).then(|| "postgres".to_owned()),
            ObjectClass::Type => self.type_name(oid),
            ObjectClass::Other => None,
        }
    }

    fn object_oid(&self, class: ObjectClass, name: &str) -> Option<Oid> {
        let parts = identifier_parts(name)?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name.as_str()),
            [schema, name] | [_, schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return None,
        };
        match class {
            ObjectClass::Relation => self.relation_oid(schema, name),
            ObjectClass::Namespace => match name {
                "pg_catalog" => Some(Oid(11)),
                _ => self.namespaces.get(name).map(|it| it.oid),
            },
            ObjectClass::Type => self.type_oid(schema, name),
            ObjectClass::Function => {
                let name = name.split('(').next().unwrap_or(name);
                match builtin::functions_by_name(name) {
                    [only] => Some(only.oid),
                    _ => None,
                }
            }
            ObjectClass::Operator => match builtin::operators_by_name(name) {
                [only] => Some(only.oid),
                _ => None,
            },
            ObjectClass::Role => (name == "postgres").then_some(Oid(10)),
            ObjectClass::Other => None,
        }
    }
}

/// OIDs from here on are the user's.
const FIRST_USER_OID: u32 = 16_384;

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

    fn relation_name(&self, oid: Oid) -> Option<String> {
        if let Some(row) = builtin::relation_by_oid(oid) {
            let name = builtin::quote_identifier(row.name);
            return Some(if row.schema == "information_schema" {
                format!("information_schema.{name}")
            } else {
                name
            });
        }
        let ((namespace, name), _) =
            self.relation_names.iter().find(|(_, known)| **known == oid)?;
        Some(self.qualified(*namespace, name))
    }

    fn relation_oid(&self, schema: Option<&str>, name: &str) -> Option<Oid> {
        match schema {
            Some(schema @ ("pg_catalog" | "information_schema")) => {
                builtin::relation(schema, name).map(|it| it.oid)
            }
            Some(schema) => {
                let namespace = self.namespaces.get(schema)?;
                self.relation_names.get(&(namespace.oid, name.to_owned())).copied()
            }
            None => builtin::relation("pg_catalog", name).map(|it| it.oid).or_else(|| {
                let public = self.namespaces.get("public").map_or(Oid(2200), |it| it.oid);
                self.relation_names.get(&(public, name.to_owned())).copied().or_else(|| {
                    let mut known = self.relation_names.iter();
                    known.find(|((_, relation), _)| relation == name).map(|(_, oid)| *oid)
                })
            }),
        }
    }

    fn type_oid(&self, schema: Option<&str>, name: &str) -> Option<Oid> {
        let by_name = |name: &str| {
            builtin::sql_type(name)
                .or_else(|| builtin::type_by_name(name).map(|row| row.oid))
                .filter(|_| schema.is_none_or(|it| it == "pg_catalog"))
                .or_else(|| {
                    self.types.values().find(|it| it.name() == name).map(UserType::oid).or_else(
                        || {
                            self.tables
                                .values()
                                .find(|it| it.name == name)
                                .map(|it| it.row_type_oid)
                        },
                    )
                })
        };
        match name.strip_suffix("[]") {
            None => by_name(name),
            Some(element) => {
                let element = by_name(element.trim_end())?;
                builtin::type_by_oid(element)
                    .map(|row| row.array)
                    .or_else(|| self.types.get(&element).map(UserType::array_oid))
            }
        }
    }
}

/// Splits a possibly qualified name at its dots; unquoted parts are folded to lower case.
fn identifier_parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut current = String::new();
    let mut chars = name.trim().chars().peekable();
    let mut in_quotes = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                chars.next();
                current.push('"');
            }
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(std::mem::take(&mut current)),
            c if in_quotes => current.push(c),
            c => current.extend(c.to_lowercase()),
        }
    }
    parts.push(current);
    (!in_quotes && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}
