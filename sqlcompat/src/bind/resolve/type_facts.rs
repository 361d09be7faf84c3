//! What is known of a type: built-in rows and the user's types under one roof.

use std::borrow::Cow;

use super::routine::Routine;
use crate::builtin::{self, PG_CATALOG, TypeKind};
use crate::oid::Oid;
use crate::schema::{Catalog, Function, UserType, storage_form};
use crate::types::range::RangeType;

/// Domains over domains are followed this far; deeper nesting cannot be created.
const DOMAIN_DEPTH_MAX: usize = 64;

/// The types of one moment, seen through one `search_path`. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    catalog: &'a Catalog,
    search_path: &'a [String],
}

/// What is known of one type.
#[derive(Clone, Debug)]
pub struct TypeInfo<'a> {
    /// OID.
    pub oid: Oid,
    /// `typname`, for example `int4`, `_int4`, `mood`.
    pub name: Cow<'a, str>,
    /// OID of its schema.
    pub namespace: Oid,
    /// What sort of type it is.
    pub kind: TypeKind,
    /// `typcategory`.
    pub category: u8,
    /// Preferred within its category.
    pub preferred: bool,
    /// `typlen`.
    pub len: i16,
    /// Subscripted as an array, with elements of type `element`.
    pub true_array: bool,
    /// Element type, or 0.
    pub element: Oid,
    /// Array type over it, or 0.
    pub array: Oid,
    /// Base type of a domain, or 0.
    pub base: Oid,
    /// Type modifier that a domain puts on its base type, or -1.
    pub base_typmod: i32,
    /// Collation, or 0.
    pub collation: Oid,
    /// Relation that a row type belongs to, or 0.
    pub relation: Oid,
}

impl<'a> Types<'a> {
    /// The types of `catalog`, with unqualified names found through `search_path`.
    #[must_use]
    pub fn new(catalog: &'a Catalog, search_path: &'a [String]) -> Self {
        Self { catalog, search_path }
    }

    /// What is known of the type with this OID; `None` if there is no such type.
    #[must_use]
    pub fn info(self, oid: Oid) -> Option<TypeInfo<'a>> {
        if let Some(row) = builtin::type_by_oid(oid) {
            return Some(TypeInfo {
                oid,
                name: Cow::Borrowed(row.name),
                namespace: row.namespace,
                kind: row.kind,
                category: row.category,
                preferred: row.preferred,
                len: row.len,
                true_array: row.true_array,
                element: row.element,
                array: row.array,
                base: row.base,
                base_typmod: row.base_typmod,
                collation: row.collation,
                relation: row.relation,
            });
        }
        if let Some(user) = self.catalog.types.get(&oid) {
            return Some(self.user_type(user));
        }
        self.array_of_user_type(oid).or_else(|| self.row_type(oid))
    }

    fn user_type(self, user: &'a UserType) -> TypeInfo<'a> {
        let plain = TypeInfo {
            oid: user.oid(),
            name: Cow::Borrowed(user.name()),
            namespace: user.namespace(),
            kind: TypeKind::Enum,
            category: b'E',
            preferred: false,
            len: 4,
            true_array: false,
            element: Oid(0),
            array: user.array_oid(),
            base: Oid(0),
            base_typmod: -1,
            collation: Oid(0),
            relation: Oid(0),
        };
        match user {
            UserType::Enum(_) => plain,
            UserType::Composite(it) => {
                row_info(it.oid, &it.name, it.namespace, it.relation_oid, it.array_oid)
            }
            UserType::Range(it) => TypeInfo {
                kind: if it.is_multirange() { TypeKind::Multirange } else { TypeKind::Range },
                category: b'R',
                len: -1,
                ..plain
            },
            UserType::Domain(domain) => {
                let base = self.info(domain.base_type);
                TypeInfo {
                    kind: TypeKind::Domain,
                    category: base.as_ref().map_or(b'U', |base| base.category),
                    len: base.as_ref().map_or(-1, |base| base.len),
                    base: domain.base_type,
                    base_typmod: domain.typmod,
                    collation: base.map_or(Oid(0), |base| base.collation),
                    ..plain
                }
            }
        }
    }

    fn array_of_user_type(self, oid: Oid) -> Option<TypeInfo<'a>> {
        let user = self.catalog.types.values().find(|user| user.array_oid() == oid)?;
        Some(array_info(oid, user.name(), user.namespace(), user.oid()))
    }

    fn row_type(self, oid: Oid) -> Option<TypeInfo<'a>> {
        let tables = self.catalog.tables.values();
        for table in tables {
            if table.row_type_oid == oid {
                let array = table.row_array_oid;
                return Some(row_info(oid, &table.name, table.namespace, table.oid, array));
            }
            if table.row_array_oid == oid {
                return Some(array_info(oid, &table.name, table.namespace, table.row_type_oid));
            }
        }
        let view = self.catalog.views.values().find(|view| view.row_type_oid == oid)?;
        Some(row_info(oid, &view.name, view.namespace, view.oid, Oid(0)))
    }

    /// The type under a domain, however deep; any other type is itself.
    #[must_use]
    pub fn base(self, oid: Oid) -> Oid {
        self.base_with_typmod(oid, -1).0
    }

    /// The type under a domain and the type modifier that applies to it.
    #[must_use]
    pub fn base_with_typmod(self, oid: Oid, typmod: i32) -> (Oid, i32) {
        let (mut oid, mut typmod) = (oid, typmod);
        for _ in 0..DOMAIN_DEPTH_MAX {
            match self.info(oid) {
                Some(info) if info.kind == TypeKind::Domain => {
                    oid = info.base;
                    typmod = info.base_typmod;
                }
                _ => break,
            }
        }
        (oid, typmod)
    }

    /// Element type of an array type; `None` for everything else, domains over arrays included.
    #[must_use]
    pub fn element(self, oid: Oid) -> Option<Oid> {
        self.info(oid).filter(|info| info.true_array).map(|info| info.element)
    }

    /// Element type of what is one dimension more where it is the element of an array: arrays, but not the vectors nor domains.
    #[must_use]
    pub fn sub_element(self, oid: Oid) -> Option<Oid> {
        self.element(oid).filter(|_| oid != Oid::INT2VECTOR && oid != Oid::OIDVECTOR)
    }

    /// Element type of an array type or of a domain over one.
    #[must_use]
    pub fn base_element(self, oid: Oid) -> Option<Oid> {
        self.element(self.base(oid))
    }

    /// What is known of a range type, built in or the user's.
    #[must_use]
    pub fn range_of(self, oid: Oid) -> Option<RangeType> {
        if let Some(row) = builtin::range(oid) {
            return RangeType::of(row.range);
        }
        self.user_range(oid).filter(|of| of.range == oid)
    }

    /// What is known of the range type under a multirange type.
    #[must_use]
    pub fn range_of_multirange(self, oid: Oid) -> Option<RangeType> {
        if let Some(row) = builtin::range_of_multirange(oid) {
            return RangeType::of(row.range);
        }
        self.user_range(oid).filter(|of| of.multirange == oid)
    }

    fn user_range(self, oid: Oid) -> Option<RangeType> {
        let UserType::Range(it) = self.catalog.types.get(&oid)? else { return None };
        Some(RangeType { range: it.range, subtype: it.subtype, multirange: it.multirange })
    }

    /// The array type over a type.
    #[must_use]
    pub fn array_of(self, oid: Oid) -> Option<Oid> {
        self.info(oid).map(|info| info.array).filter(|array| *array != Oid(0))
    }

    /// `typcategory`; `b'X'` (unknown) for an OID that is no type.
    #[must_use]
    pub fn category(self, oid: Oid) -> u8 {
        self.info(oid).map_or(b'X', |info| info.category)
    }

    /// The type is the preferred one, or one of these, of its category.
    #[must_use]
    pub fn is_preferred(self, oid: Oid) -> bool {
        self.info(oid).is_some_and(|info| info.preferred)
    }

    /// The type is an enum.
    #[must_use]
    pub fn is_enum(self, oid: Oid) -> bool {
        self.info(oid).is_some_and(|info| info.kind == TypeKind::Enum)
    }

    /// Whether labels of an enum are called otherwise than its values store them.
    #[must_use]
    pub fn has_renamed_labels(self, oid: Oid) -> bool {
        matches!(self.catalog.types.get(&oid), Some(UserType::Enum(it)) if !it.renamed.is_empty())
    }

    /// Values of the type are labels of the user's enums, or have some in them: arrays and composite types of the user's own.
    #[must_use]
    pub fn holds_enum(self, oid: Oid) -> bool {
        oid.is_user() && self.catalog.holds_enum(oid)
    }

    /// The type is a row type, or a domain over one.
    #[must_use]
    pub fn is_composite(self, oid: Oid) -> bool {
        self.info(self.base(oid)).is_some_and(|info| info.kind == TypeKind::Composite)
    }

    /// Names, types and type modifiers of the fields of a row type.
    #[must_use]
    pub fn fields(self, oid: Oid) -> Option<Vec<(&'a str, Oid, i32)>> {
        if let Some(UserType::Composite(it)) = self.catalog.types.get(&oid) {
            let fields = it.fields.iter();
            return Some(
                fields.map(|(name, oid, typmod)| (name.as_str(), *oid, *typmod)).collect(),
            );
        }
        let relation = self.info(oid)?.relation;
        if let Some(table) = self.catalog.tables.get(&relation) {
            let columns = table.columns.iter();
            return Some(columns.map(|it| (it.name.as_str(), it.type_oid, it.typmod)).collect());
        }
        let view = self.catalog.views.get(&relation)?;
        let columns = view.columns.iter();
        Some(columns.map(|(name, oid, typmod)| (name.as_str(), *oid, *typmod)).collect())
    }

    /// Whether a relation is one of the user's tables, whose rows have a type of their own.
    #[must_use]
    pub fn is_user_table(self, relation: Oid) -> bool {
        self.catalog.tables.contains_key(&relation)
    }

    /// Whether a table of the user's has an index over something that is no plain column.
    #[must_use]
    pub fn has_expression_index(self, table: Oid) -> bool {
        let table = self.catalog.tables.get(&table);
        table.is_some_and(|it| {
            it.indexes.iter().flat_map(|index| &index.keys).any(|key| key.attnum == 0)
        })
    }

    /// The SQLite collation that columns of a type are declared with.
    #[must_use]
    pub fn declared_collation(self, oid: Oid) -> Option<String> {
        storage_form(self.catalog, oid).collation
    }

    /// The user's functions of a name, in any schema.
    pub(super) fn functions_named(
        self,
        name: &str,
    ) -> impl Iterator<Item = &'a Function> + use<'a> {
        let oids = self.catalog.function_names.get(name).into_iter().flatten();
        oids.filter_map(|oid| self.catalog.functions.get(oid))
    }

    /// Whether a function is the first that the `search_path` finds under its name and argument types.
    #[must_use]
    pub fn finds_function(self, routine: Routine<'_>) -> bool {
        let same = |arguments: &[Oid]| arguments == routine.arguments();
        let builtin = builtin::functions_by_name(routine.name()).iter();
        let builtin = builtin.filter(|row| same(row.arguments)).map(|row| (row.namespace, row.oid));
        let user = self.functions_named(routine.name()).filter(|it| same(&it.arguments));
        let all: Vec<(Oid, Oid)> = builtin.chain(user.map(|it| (it.namespace, it.oid))).collect();
        let mut path = self.path();
        let first = path.find_map(|schema| all.iter().find(|(namespace, _)| *namespace == schema));
        first.is_some_and(|(_, oid)| *oid == routine.oid())
    }

    /// The type with this `typname`, in the given schema or along the `search_path`.
    #[must_use]
    pub fn lookup(self, schema: Option<&str>, name: &str) -> Option<Oid> {
        match schema {
            Some(schema) => self.lookup_in(self.namespace(schema)?, name),
            None => self.type_path().find_map(|namespace| self.lookup_in(namespace, name)),
        }
    }

    /// An unqualified use of the type's name means this type.
    #[must_use]
    pub fn is_visible(self, info: &TypeInfo<'_>) -> bool {
        let first = self.type_path().find_map(|namespace| self.lookup_in(namespace, &info.name));
        first == Some(info.oid)
    }

    /// OID of the schema with this name.
    #[must_use]
    pub fn namespace(self, name: &str) -> Option<Oid> {
        match name {
            "pg_catalog" => Some(PG_CATALOG),
            "information_schema" => Some(builtin::INFORMATION_SCHEMA),
            _ => self.catalog.namespace(name).map(|namespace| namespace.oid),
        }
    }

    /// Name of the schema with this OID.
    #[must_use]
    pub fn namespace_name(self, oid: Oid) -> Option<&'a str> {
        if oid == PG_CATALOG {
            return Some("pg_catalog");
        }
        if oid == builtin::INFORMATION_SCHEMA {
            return Some("information_schema");
        }
        let found = self.catalog.namespaces.values().find(|namespace| namespace.oid == oid);
        found.map(|namespace| namespace.name.as_str())
    }

    /// The schemas that unqualified names of types are looked for in: temporary ones first.
    fn type_path(self) -> impl Iterator<Item = Oid> {
        let explicit = self.search_path.iter().any(|name| name.starts_with("pg_temp"));
        let temporary = self.namespace("pg_temp").filter(|_| !explicit);
        temporary.into_iter().chain(self.path())
    }

    /// The schemas that unqualified names are looked for in: `pg_catalog` first, unless the `search_path` names it.
    pub(super) fn path(self) -> impl Iterator<Item = Oid> {
        let implicit = !self.search_path.iter().any(|name| name == "pg_catalog");
        let listed = self.search_path.iter().filter_map(move |name| self.namespace(name));
        implicit.then_some(PG_CATALOG).into_iter().chain(listed)
    }

    fn lookup_in(self, namespace: Oid, name: &str) -> Option<Oid> {
        if namespace == PG_CATALOG || namespace == builtin::INFORMATION_SCHEMA {
            return builtin::type_in_namespace(namespace, name).map(|row| row.oid);
        }
        let user = self.catalog.types.values();
        let user = user.filter(|user| user.namespace() == namespace);
        let array_name = name.strip_prefix('_');
        for user in user {
            if user.name() == name {
                return Some(user.oid());
            }
            if Some(user.name()) == array_name {
                return Some(user.array_oid());
            }
        }
        self.row_type_in(namespace, name).or_else(|| self.row_array_in(namespace, array_name?))
    }

    fn row_type_in(self, namespace: Oid, name: &str) -> Option<Oid> {
        let relation = self.catalog.relation_names.get(&(namespace, name.to_owned()))?;
        let table = self.catalog.tables.get(relation).map(|table| table.row_type_oid);
        table.or_else(|| self.catalog.views.get(relation).map(|view| view.row_type_oid))
    }

    fn row_array_in(self, namespace: Oid, name: &str) -> Option<Oid> {
        let relation = self.catalog.relation_names.get(&(namespace, name.to_owned()))?;
        self.catalog.tables.get(relation).map(|table| table.row_array_oid)
    }
}

fn array_info(oid: Oid, element_name: &str, namespace: Oid, element: Oid) -> TypeInfo<'static> {
    TypeInfo {
        oid,
        name: Cow::Owned(format!("_{element_name}")),
        namespace,
        kind: TypeKind::Base,
        category: b'A',
        preferred: false,
        len: -1,
        true_array: true,
        element,
        array: Oid(0),
        base: Oid(0),
        base_typmod: -1,
        collation: Oid(0),
        relation: Oid(0),
    }
}

fn row_info(oid: Oid, name: &str, namespace: Oid, relation: Oid, array: Oid) -> TypeInfo<'_> {
    TypeInfo {
        oid,
        name: Cow::Borrowed(name),
        namespace,
        kind: TypeKind::Composite,
        category: b'C',
        preferred: false,
        len: -1,
        true_array: false,
        element: Oid(0),
        array,
        base: Oid(0),
        base_typmod: -1,
        collation: Oid(0),
        relation,
    }
}
