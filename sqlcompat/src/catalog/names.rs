//! Names and OIDs of catalog objects, built-in ones and the user's: what the `reg*` types show and read, and what an
//! unqualified name means under a search path.
//!
//! A name is shown without its schema if that name alone would find the object again: if no schema earlier on the search
//! path has one of the same name. `pg_catalog` comes first unless the path names it, and temporary objects before that.
//!
//! # Bounds
//! A name has at most [`NAME_PARTS_MAX`] parts (database, schema, object); a longer one finds nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::tsv::Table;
use crate::bind::resolve::{Routine, Types};
use crate::builtin::{self, OperatorRow, quote_identifier};
use crate::oid::Oid;
use crate::schema::{BOOTSTRAP_ROLE, Catalog, Relation, TEMPORARY_NAMESPACE, UserType};
use crate::types::{ObjectClass, TypeNames, TypeShape};

/// Parts of a qualified name.
const NAME_PARTS_MAX: usize = 3;

/// A relation of PostgreSQL's own.
#[derive(Clone, Copy, Debug)]
struct BuiltinRelation {
    name: &'static str,
    namespace: Oid,
}

/// PostgreSQL's own relations, indexes included, both ways.
#[derive(Default)]
struct BuiltinRelations {
    by_oid: BTreeMap<Oid, BuiltinRelation>,
    by_name: BTreeMap<(Oid, &'static str), Oid>,
}

fn builtin_relations() -> &'static BuiltinRelations {
    static RELATIONS: OnceLock<BuiltinRelations> = OnceLock::new();
    RELATIONS.get_or_init(|| {
        let mut found = BuiltinRelations::default();
        for (oid, name, namespace) in builtin_objects("pg_class", "relname", Some("relnamespace")) {
            found.by_oid.insert(oid, BuiltinRelation { name, namespace });
            found.by_name.insert((namespace, name), oid);
        }
        found
    })
}

/// OID, name and namespace of the recorded rows of a catalog.
fn builtin_objects(
    catalog: &str,
    name: &str,
    namespace: Option<&str>,
) -> Vec<(Oid, &'static str, Oid)> {
    let Some(table) = Table::of(catalog) else { return Vec::new() };
    let Some(name) = table.position(name) else { return Vec::new() };
    let namespace = namespace.and_then(|it| table.position(it));
    let oid_at =
        |row: &super::tsv::Row, position| Oid(u32::try_from(row.number(position)).unwrap_or(0));
    table
        .map(|row| {
            let namespace = namespace.map_or(builtin::PG_CATALOG, |it| oid_at(&row, it));
            (oid_at(&row, 0), row.raw(name), namespace)
        })
        .filter(|(oid, ..)| !oid.is_user())
        .collect()
}

/// Catalogs whose objects have a name and nothing else that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedCatalog {
    /// `pg_collation`.
    Collation,
    /// `pg_ts_config`.
    TextSearchConfiguration,
    /// `pg_ts_dict`.
    TextSearchDictionary,
    /// `pg_ts_parser`.
    TextSearchParser,
    /// `pg_ts_template`.
    TextSearchTemplate,
    /// `pg_opclass`.
    OperatorClass,
    /// `pg_opfamily`.
    OperatorFamily,
    /// `pg_conversion`.
    Conversion,
    /// `pg_authid`.
    Role,
    /// `pg_am`.
    AccessMethod,
}

impl NamedCatalog {
    /// Catalog, its name column, and its namespace column.
    fn source(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Collation => ("pg_collation", "collname", Some("collnamespace")),
            Self::TextSearchConfiguration => ("pg_ts_config", "cfgname", Some("cfgnamespace")),
            Self::TextSearchDictionary => ("pg_ts_dict", "dictname", Some("dictnamespace")),
            Self::TextSearchParser => ("pg_ts_parser", "prsname", Some("prsnamespace")),
            Self::TextSearchTemplate => ("pg_ts_template", "tmplname", Some("tmplnamespace")),
            Self::OperatorClass => ("pg_opclass", "opcname", Some("opcnamespace")),
            Self::OperatorFamily => ("pg_opfamily", "opfname", Some("opfnamespace")),
            Self::Conversion => ("pg_conversion", "conname", Some("connamespace")),
            Self::Role => ("pg_authid", "rolname", None),
            Self::AccessMethod => ("pg_am", "amname", None),
        }
    }

    fn names(self) -> &'static BTreeMap<Oid, &'static str> {
        type Names = BTreeMap<NamedCatalog, BTreeMap<Oid, &'static str>>;
        static NAMES: OnceLock<Names> = OnceLock::new();
        static NONE: BTreeMap<Oid, &str> = BTreeMap::new();
        let all = NAMES.get_or_init(|| {
            let catalogs = [
                Self::Collation,
                Self::TextSearchConfiguration,
                Self::TextSearchDictionary,
                Self::TextSearchParser,
                Self::TextSearchTemplate,
                Self::OperatorClass,
                Self::OperatorFamily,
                Self::Conversion,
                Self::Role,
                Self::AccessMethod,
            ];
            let read = |catalog: Self| {
                let (table, name, namespace) = catalog.source();
                builtin_objects(table, name, namespace)
                    .into_iter()
                    .map(|(oid, it, _)| (oid, it))
                    .collect()
            };
            catalogs.into_iter().map(|catalog| (catalog, read(catalog))).collect()
        });
        all.get(&self).unwrap_or(&NONE)
    }

    /// All objects: OID and name.
    pub(crate) fn all(self) -> impl Iterator<Item = (Oid, &'static str)> {
        self.names().iter().map(|(oid, name)| (*oid, *name))
    }

    /// Name of the object, if there is one.
    #[must_use]
    pub fn name(self, oid: Oid) -> Option<&'static str> {
        self.names().get(&oid).copied()
    }

    /// OID of the object called `name`; of several (one collation per encoding) the first.
    #[must_use]
    pub fn oid(self, name: &str) -> Option<Oid> {
        self.names().iter().find(|(_, it)| **it == name).map(|(oid, _)| *oid)
    }
}

/// The names of one moment, seen through one search path. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    catalog: &'a Catalog,
    search_path: &'a [String],
    user: &'a str,
}

impl<'a> Names<'a> {
    /// The names of `catalog` and PostgreSQL's own.
    #[must_use]
    pub fn new(catalog: &'a Catalog, search_path: &'a [String]) -> Self {
        Self { catalog, search_path, user: "postgres" }
    }

    /// Name of a role; the bootstrap superuser may go by the name of the session's user.
    #[must_use]
    pub fn role_name(self, oid: Oid) -> Option<&'a str> {
        match oid {
            BOOTSTRAP_ROLE => Some(self.catalog.roles.bootstrap_name(self.user)),
            oid => self.catalog.roles.name(oid),
        }
    }

    /// OID of a role.
    #[must_use]
    pub fn role_oid(self, name: &str) -> Option<Oid> {
        let known = self.catalog.roles.oid(name);
        known.or_else(|| (name == self.user).then_some(BOOTSTRAP_ROLE))
    }

    /// The same, with `user` as the name of the bootstrap superuser.
    #[must_use]
    pub fn with_user(self, user: &'a str) -> Self {
        Self { user, ..self }
    }

    /// The types among them.
    #[must_use]
    pub fn types(self) -> Types<'a> {
        Types::new(self.catalog, self.search_path)
    }

    /// Schemas that an unqualified name is looked up in, in order; `implicit` adds those that the path need not name.
    #[must_use]
    pub fn path(self, implicit: bool) -> Vec<(Oid, &'a str)> {
        let mut path = Vec::new();
        let names_builtin = self.search_path.iter().any(|it| it == "pg_catalog");
        for name in self.search_path {
            if let Some(oid) = self.namespace_oid(name).filter(|it| *it != TEMPORARY_NAMESPACE) {
                path.push((oid, name.as_str()));
            }
        }
        if implicit && !names_builtin {
            path.insert(0, (builtin::PG_CATALOG, "pg_catalog"));
        }
        let temporary = self.catalog.namespace("pg_temp").is_some();
        if implicit && temporary {
            path.insert(0, (TEMPORARY_NAMESPACE, "pg_temp"));
        }
        path
    }

    /// OID of a schema.
    #[must_use]
    pub fn namespace_oid(self, name: &str) -> Option<Oid> {
        match name {
            "pg_catalog" => Some(builtin::PG_CATALOG),
            "information_schema" => Some(builtin::INFORMATION_SCHEMA),
            "pg_toast" => Some(Oid(99)),
            name => self.catalog.namespace(name).map(|it| it.oid),
        }
    }

    /// Name of a schema.
    #[must_use]
    pub fn namespace_name(self, oid: Oid) -> Option<&'a str> {
        match oid {
            builtin::PG_CATALOG => Some("pg_catalog"),
            builtin::INFORMATION_SCHEMA => Some("information_schema"),
            Oid(99) => Some("pg_toast"),
            oid => Some(self.catalog.namespace_name(oid)).filter(|it| !it.is_empty()),
        }
    }

    /// Schema and name of a relation.
    #[must_use]
    pub fn relation(self, oid: Oid) -> Option<(Oid, &'a str)> {
        if let Some(found) = builtin_relations().by_oid.get(&oid) {
            return Some((found.namespace, found.name));
        }
        Some(match self.catalog.relation_by_oid(oid)? {
            Relation::Table(it) => (it.namespace, it.name.as_str()),
            Relation::View(it) => (it.namespace, it.name.as_str()),
            Relation::Sequence(it) => (it.namespace, it.name.as_str()),
            Relation::Index(table, oid) => {
                let constraint = table.uniques.iter().find(|it| it.index_oid == oid);
                let name = constraint.map(|it| it.name.as_str());
                (table.namespace, name.or(table.index(oid).map(|it| it.name.as_str()))?)
            }
        })
    }

    /// The relation so named in one schema.
    fn relation_in(self, namespace: Oid, name: &str) -> Option<Oid> {
        let user = || self.catalog.relation_names.get(&(namespace, name.to_owned())).copied();
        builtin_relations().by_name.get(&(namespace, name)).copied().or_else(user)
    }

    /// OID of a relation, by search path if no schema is given.
    #[must_use]
    pub fn relation_oid(self, schema: Option<&str>, name: &str) -> Option<Oid> {
        match schema {
            Some(schema) => self.relation_in(self.namespace_oid(schema)?, name),
            None => self.path(true).into_iter().find_map(|(it, _)| self.relation_in(it, name)),
        }
    }

    /// Whether the relation is found by its name alone; `None` if there is none.
    #[must_use]
    pub fn relation_is_visible(self, oid: Oid) -> Option<bool> {
        let (namespace, name) = self.relation(oid)?;
        if namespace == builtin::PG_CATALOG && !self.search_path.iter().any(|it| it == "pg_catalog")
        {
            return Some(true);
        }
        Some(self.relation_oid(None, name) == Some(oid))
    }

    /// The relation's name as `regclass` shows it.
    #[must_use]
    pub fn relation_text(self, oid: Oid) -> Option<String> {
        let (namespace, name) = self.relation(oid)?;
        Some(self.shown(namespace, name, self.relation_is_visible(oid) == Some(true)))
    }

    /// `name`, after its schema unless it is visible; quoted where needed.
    #[must_use]
    pub fn shown(self, namespace: Oid, name: &str, visible: bool) -> String {
        let name = quote_identifier(name);
        match self.namespace_name(namespace).filter(|_| !visible) {
            Some(schema) => format!("{}.{name}", quote_identifier(schema)),
            None => name,
        }
    }

    /// Whether the type is found by its name alone; `None` if there is none.
    #[must_use]
    pub fn type_is_visible(self, oid: Oid) -> Option<bool> {
        let info = self.types().info(oid)?;
        Some(self.path(true).iter().any(|(it, _)| *it == info.namespace))
    }

    /// The function with this OID.
    #[must_use]
    pub fn routine(self, oid: Oid) -> Option<Routine<'a>> {
        let builtin = builtin::function_by_oid(oid).map(Routine::Builtin);
        builtin.or_else(|| self.catalog.functions.get(&oid).map(Routine::User))
    }

    /// All functions of a name, with their schemas.
    fn routines_named(self, name: &str) -> Vec<Routine<'a>> {
        let builtin = builtin::functions_by_name(name).iter().map(Routine::Builtin);
        let user = self.catalog.function_names.get(name).into_iter().flatten();
        let user = user.filter_map(|oid| self.catalog.functions.get(oid)).map(Routine::User);
        builtin.chain(user).collect()
    }

    /// Whether the function is found by its name and argument types alone; `None` if there is none.
    #[must_use]
    pub fn function_is_visible(self, oid: Oid) -> Option<bool> {
        Some(self.types().finds_function(self.routine(oid)?))
    }

    /// The function's name as `regproc` shows it: alone if it names one function only.
    #[must_use]
    pub fn function_text(self, oid: Oid) -> Option<String> {
        let routine = self.routine(oid)?;
        let path = self.path(true);
        let in_path = |it: &Routine<'_>| path.iter().any(|(schema, _)| *schema == it.namespace());
        let namesakes = self.routines_named(routine.name()).into_iter().filter(in_path);
        let unique = namesakes.count() == 1 && in_path(&routine);
        Some(self.shown(routine.namespace(), routine.name(), unique))
    }

    /// The function's name and argument types as `regprocedure` shows them.
    #[must_use]
    pub fn function_signature(self, oid: Oid) -> Option<String> {
        let routine = self.routine(oid)?;
        let visible = self.types().finds_function(routine);
        let name = self.shown(routine.namespace(), routine.name(), visible);
        let arguments = routine.arguments().iter().map(|it| self.types().format(*it));
        let arguments: Vec<_> = arguments.collect();
        Some(format!("{name}({})", arguments.join(",")))
    }

    /// Functions that a `regproc` or `regprocedure` text may mean: those of that name, with those argument types where
    /// they are given.
    fn functions_named(self, text: &str) -> Vec<Oid> {
        self.find_functions(text).unwrap_or_default()
    }

    fn find_functions(self, text: &str) -> Option<Vec<Oid>> {
        let (name, arguments) = name_and_types(text)?;
        let (schema, name) = qualified_name(name)?;
        let schemas: Vec<Oid> = match schema.as_deref() {
            Some(schema) => self.namespace_oid(schema).into_iter().collect(),
            None => self.path(true).into_iter().map(|(schema, _)| schema).collect(),
        };
        let wanted = match arguments {
            Some(arguments) => Some(self.type_list(arguments)?),
            None => None,
        };
        let mut found: Vec<Routine<'_>> = Vec::new();
        for schema in schemas {
            for it in self.routines_named(&name) {
                let fits = it.namespace() == schema
                    && wanted.as_ref().is_none_or(|wanted| it.arguments() == wanted);
                if fits && !found.iter().any(|earlier| earlier.arguments() == it.arguments()) {
                    found.push(it);
                }
            }
        }
        Some(found.into_iter().map(Routine::oid).collect())
    }

    /// The only function that the text means.
    #[must_use]
    pub fn function_oid(self, text: &str) -> Option<Oid> {
        only(&self.functions_named(text))
    }

    /// OIDs of types separated by commas.
    fn type_list(self, text: &str) -> Option<Vec<Oid>> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Vec::new());
        }
        text.split(',')
            .map(|it| if it.trim() == "NONE" { Some(Oid(0)) } else { self.type_oid(it) })
            .collect()
    }

    /// The operator as `regoper` (name alone) or `regoperator` (with operand types) shows it.
    #[must_use]
    pub fn operator_text(self, oid: Oid, with_operands: bool) -> Option<String> {
        let row = builtin::operator_by_oid(oid)?;
        if !with_operands {
            let unique = builtin::operators_by_name(row.name).len() == 1;
            return Some(if unique {
                row.name.to_owned()
            } else {
                format!("pg_catalog.{}", row.name)
            });
        }
        let operand = |oid: Oid| match oid {
            Oid(0) => "NONE".to_owned(),
            oid => self.types().format(oid),
        };
        Some(format!("{}({},{})", row.name, operand(row.left), operand(row.right)))
    }

    fn operators_named(self, text: &str) -> Vec<Oid> {
        self.find_operators(text).unwrap_or_default()
    }

    fn find_operators(self, text: &str) -> Option<Vec<Oid>> {
        let (name, operands) = name_and_types(text)?;
        let name = name.trim();
        let wanted = match operands {
            Some(operands) => Some(self.type_list(operands)?),
            None => None,
        };
        let matches = |row: &&OperatorRow| {
            wanted.as_ref().is_none_or(|wanted| *wanted == [row.left, row.right])
        };
        let rows = builtin::operators_by_name(name.strip_prefix("pg_catalog.").unwrap_or(name));
        Some(rows.iter().filter(matches).map(|it| it.oid).collect())
    }

    /// The only operator that the text means.
    #[must_use]
    pub fn operator_oid(self, text: &str) -> Option<Oid> {
        only(&self.operators_named(text))
    }

    /// OID of the type called `text`: its catalog name or an SQL spelling, with or without a schema, a type modifier and
    /// array brackets.
    #[must_use]
    pub fn type_oid(self, text: &str) -> Option<Oid> {
        let text = text.trim();
        if let Some(element) = text.strip_suffix("[]") {
            return self.types().array_of(self.type_oid(element)?);
        }
        let plain = without_modifier(text);
        let folded = plain.to_ascii_lowercase();
        let spelling: Vec<&str> = folded.split_whitespace().collect();
        if let Some(oid) = builtin::sql_type(&spelling.join(" ")) {
            return Some(oid);
        }
        let (schema, name) = qualified_name(&plain)?;
        match schema {
            Some(schema) => self.type_in(self.namespace_oid(&schema)?, &name),
            None => self.path(true).into_iter().find_map(|(it, _)| self.type_in(it, &name)),
        }
    }

    /// The type so named in one schema; row types are named as their relation, array types have a leading underscore.
    fn type_in(self, namespace: Oid, name: &str) -> Option<Oid> {
        if let Some(row) = builtin::type_in_namespace(namespace, name) {
            return Some(row.oid);
        }
        let user =
            self.catalog.types.values().find(|it| it.namespace() == namespace && it.name() == name);
        if let Some(found) = user {
            return Some(found.oid());
        }
        let relation = self.catalog.relation_names.get(&(namespace, name.to_owned()));
        match relation.and_then(|oid| self.catalog.relation_by_oid(*oid)) {
            Some(Relation::Table(it)) => return Some(it.row_type_oid),
            Some(Relation::View(it)) => return Some(it.row_type_oid),
            Some(Relation::Sequence(_) | Relation::Index(..)) | None => {}
        }
        let element = name.strip_prefix('_').filter(|it| !it.is_empty())?;
        self.type_in(namespace, element).and_then(|it| self.types().array_of(it))
    }
}

/// OID of the catalog that a user's object is a row of, if the object exists.
#[must_use]
pub fn class_of(catalog: &Catalog, object: Oid) -> Option<u32> {
    if catalog.relation_by_oid(object).is_some() {
        return Some(1259);
    }
    if catalog.types.contains_key(&object) {
        return Some(1247);
    }
    if catalog.functions.contains_key(&object) {
        return Some(1255);
    }
    if catalog.namespaces.values().any(|it| it.oid == object) {
        return Some(2615);
    }
    let in_tables = catalog.tables.values().any(|table| {
        table.uniques.iter().any(|it| it.oid == object)
            || table.checks.iter().any(|it| it.oid == object)
            || table.foreign_keys.iter().any(|it| it.oid == object)
    });
    let in_domains = catalog.types.values().any(|it| match it {
        UserType::Domain(domain) => domain.checks.iter().any(|it| it.oid == object),
        UserType::Enum(_) | UserType::Composite(_) | UserType::Range(_) => false,
    });
    (in_tables || in_domains).then_some(2606)
}

/// A column of a catalog's recorded rows, by the OID in their first column.
pub(crate) fn recorded_column(catalog: &str, column: &str) -> BTreeMap<Oid, &'static str> {
    builtin_objects(catalog, column, None).into_iter().map(|(oid, text, _)| (oid, text)).collect()
}

/// A recorded comment.
#[derive(Debug)]
pub(crate) struct Description {
    /// Catalog of the object.
    pub(crate) class: Oid,
    /// Attribute number, or 0.
    pub(crate) part: i32,
    /// The comment.
    pub(crate) text: String,
}

/// Comments on PostgreSQL's own objects, by OID.
pub(crate) fn recorded_descriptions() -> &'static BTreeMap<Oid, Vec<Description>> {
    static DESCRIPTIONS: OnceLock<BTreeMap<Oid, Vec<Description>>> = OnceLock::new();
    DESCRIPTIONS.get_or_init(|| {
        let mut all: BTreeMap<Oid, Vec<Description>> = BTreeMap::new();
        for row in Table::of("pg_description").into_iter().flatten() {
            let oid = |position| Oid(u32::try_from(row.number(position)).unwrap_or(0));
            let part = i32::try_from(row.number(2)).unwrap_or(0);
            let text = row.text(3).unwrap_or_default().into_owned();
            all.entry(oid(0)).or_default().push(Description { class: oid(1), part, text });
        }
        all
    })
}

/// A JSON array of strings, the storage form of `text[]` and `name[]`.
#[must_use]
pub fn json_array<S: AsRef<str>>(elements: &[Option<S>]) -> String {
    let values = elements.iter().map(|element| match element {
        Some(text) => serde_json::Value::from(text.as_ref()),
        None => serde_json::Value::Null,
    });
    serde_json::Value::Array(values.collect()).to_string()
}

/// The name in front of a parenthesised list of types, and that list.
fn name_and_types(text: &str) -> Option<(&str, Option<&str>)> {
    match text.split_once('(') {
        Some((name, rest)) => Some((name, Some(rest.trim_end().strip_suffix(')')?))),
        None => Some((text, None)),
    }
}

/// The first of `found`, if there is no other.
fn only(found: &[Oid]) -> Option<Oid> {
    match found {
        [oid] => Some(*oid),
        _ => None,
    }
}

impl TypeNames for Names<'_> {
    fn shape(&self, type_oid: Oid) -> Option<TypeShape> {
        self.catalog.shape(type_oid)
    }

    fn enum_stored(&self, type_oid: Oid, shown: &str) -> Option<String> {
        self.catalog.enum_stored(type_oid, shown)
    }

    fn enum_shown(&self, type_oid: Oid, stored: &str) -> Option<String> {
        self.catalog.enum_shown(type_oid, stored)
    }

    fn enum_position(&self, type_oid: Oid, label: &str) -> Option<usize> {
        self.catalog.enum_position(type_oid, label)
    }

    fn enum_label(&self, type_oid: Oid, position: usize) -> Option<String> {
        self.catalog.enum_label(type_oid, position)
    }

    fn type_name(&self, type_oid: Oid) -> Option<String> {
        self.types().info(type_oid).map(|_| self.types().format(type_oid))
    }

    fn field_names(&self, type_oid: Oid) -> Option<Vec<String>> {
        self.catalog.field_names(type_oid)
    }

    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<String> {
        let shown = |catalog: NamedCatalog| catalog.name(oid).map(quote_identifier);
        match class {
            ObjectClass::Relation => self.relation_text(oid),
            ObjectClass::Type => self.type_name(oid),
            ObjectClass::Function => self.function_text(oid),
            ObjectClass::FunctionSignature => self.function_signature(oid),
            ObjectClass::Operator => self.operator_text(oid, false),
            ObjectClass::OperatorSignature => self.operator_text(oid, true),
            ObjectClass::Namespace => self.namespace_name(oid).map(quote_identifier),
            ObjectClass::Role => self.role_name(oid).map(quote_identifier),
            ObjectClass::Collation => shown(NamedCatalog::Collation),
            ObjectClass::TextSearchConfiguration => shown(NamedCatalog::TextSearchConfiguration),
            ObjectClass::TextSearchDictionary => shown(NamedCatalog::TextSearchDictionary),
        }
    }

    fn object_oid(&self, class: ObjectClass, name: &str) -> Option<Oid> {
        let named = |catalog: NamedCatalog| {
            let (schema, name) = qualified_name(name)?;
            catalog.oid(&name).filter(|_| schema.is_none_or(|schema| schema == "pg_catalog"))
        };
        let single = || identifiers(name).filter(|it| it.len() == 1).and_then(|mut it| it.pop());
        match class {
            ObjectClass::Relation => {
                let (schema, name) = qualified_name(name)?;
                self.relation_oid(schema.as_deref(), &name)
            }
            ObjectClass::Type => self.type_oid(name),
            ObjectClass::Function | ObjectClass::FunctionSignature => self.function_oid(name),
            ObjectClass::Operator | ObjectClass::OperatorSignature => self.operator_oid(name),
            ObjectClass::Namespace => self.namespace_oid(&single()?),
            ObjectClass::Role => self.role_oid(&single()?),
            ObjectClass::Collation => named(NamedCatalog::Collation),
            ObjectClass::TextSearchConfiguration => named(NamedCatalog::TextSearchConfiguration),
            ObjectClass::TextSearchDictionary => named(NamedCatalog::TextSearchDictionary),
        }
    }

    fn has_schema(&self, name: &str) -> bool {
        self.namespace_oid(name).is_some()
    }

    fn is_ambiguous(&self, class: ObjectClass, name: &str) -> bool {
        match class {
            ObjectClass::Function => self.functions_named(name).len() > 1,
            ObjectClass::Operator => self.operators_named(name).len() > 1,
            ObjectClass::Relation
            | ObjectClass::Type
            | ObjectClass::FunctionSignature
            | ObjectClass::OperatorSignature
            | ObjectClass::Namespace
            | ObjectClass::Role
            | ObjectClass::Collation
            | ObjectClass::TextSearchConfiguration
            | ObjectClass::TextSearchDictionary => false,
        }
    }
}

/// `text` without a parenthesised type modifier: `numeric(10,2)` is `numeric`.
fn without_modifier(text: &str) -> String {
    match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close && !text.starts_with('"') => {
            let before = text.get(..open).unwrap_or_default().trim_end();
            format!("{before}{}", text.get(close + 1..).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

/// Schema and name out of a possibly qualified, possibly quoted name; `None` if it is not one. A database name in front is
/// passed over.
#[must_use]
pub fn qualified_name(text: &str) -> Option<(Option<String>, String)> {
    let mut parts = identifiers(text)?;
    if parts.len() > NAME_PARTS_MAX {
        return None;
    }
    let name = parts.pop()?;
    Some((parts.pop(), name))
}

/// Identifiers separated by dots: unquoted ones in lower case.
#[must_use]
pub fn identifiers(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_identifier(quoted)?,
            None => {
                let end = rest.find(['.', '"']).unwrap_or(rest.len());
                let (part, tail) = rest.split_at(end);
                let part = part.trim();
                if part.contains(char::is_whitespace) {
                    return None;
                }
                (part.to_lowercase(), tail)
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        let tail = tail.trim_start();
        if tail.is_empty() {
            return Some(parts);
        }
        rest = tail.strip_prefix('.')?.trim_start();
    }
}

/// The identifier up to its closing quote, and what follows.
fn quoted_identifier(text: &str) -> Option<(String, &str)> {
    let mut identifier = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        identifier.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                identifier.push('"');
                rest = more;
            }
            None => return Some((identifier, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(identifiers("A . \"b.\"\"C\""), Some(vec!["a".into(), "b.\"C".into()]));
        assert_eq!(identifiers("a..b"), None);
        assert_eq!(identifiers("\"a"), None);
        assert_eq!(identifiers(""), None);
        assert_eq!(qualified_name("db.s.t"), Some((Some("s".into()), "t".into())));
    }

    #[test]
    fn builtin_names_go_both_ways() {
        let catalog = Catalog::default();
        let path = ["public".to_owned()];
        let names = Names::new(&catalog, &path);
        assert_eq!(names.relation_oid(None, "pg_class"), Some(Oid(1259)));
        assert_eq!(names.relation_text(Oid(1259)).as_deref(), Some("pg_class"));
        assert_eq!(names.type_oid("character varying(20)"), Some(Oid::VARCHAR));
        assert_eq!(names.type_oid("pg_catalog.int4[]"), Some(Oid::INT4_ARRAY));
        assert_eq!(names.type_oid("timestamp(3) with time zone"), Some(Oid::TIMESTAMPTZ));
        assert_eq!(names.function_oid("array_in(cstring,oid,integer)"), Some(Oid(750)));
        assert_eq!(names.function_text(Oid(750)).as_deref(), Some("array_in"));
        assert_eq!(names.function_oid("abs"), None);
        assert_eq!(names.operator_oid("=(integer,integer)"), Some(Oid(96)));
        let hidden = names.relation_oid(Some("information_schema"), "tables");
        assert_eq!(
            hidden.and_then(|it| names.relation_text(it)).as_deref(),
            Some("information_schema.tables")
        );
    }
}
