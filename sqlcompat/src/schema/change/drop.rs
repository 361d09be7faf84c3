//! `DROP`, and what depends on what.
//!
//! Every live object depends on others, in one of two ways: *automatically* (a column on its table, an index on its columns,
//! an owned sequence on its column), in which case it goes with them in silence, or *normally* (a foreign key on the
//! referenced table, a view on what it reads, a column on its type), in which case the drop is refused with 2BP01 unless
//! CASCADE says otherwise, and what goes is named in a notice (PostgreSQL manual, "Dependency Tracking").

use std::collections::{BTreeMap, BTreeSet};

use super::edit::Edit;
use super::expression;
use crate::bind::resolve::Types;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{DropKind, ObjectName};
use crate::schema::catalog::{Catalog, ColumnGeneration, Table, UserType, View};
use crate::schema::definition::{ColumnDefinition, ConstraintDefinition, IndexDefinition};
use crate::schema::function::Function;
use crate::schema::link::temporary_id;
use crate::schema::lookup::Relation;
use crate::schema::marked_text::objects;
use crate::schema::row::ObjectId;
use crate::schema::table_sql::SchemaContext;
use crate::schema::usable::UnusableKind;

/// Most dependent objects that a message lists, as in PostgreSQL's client messages.
const LISTED_MAX: usize = 100;

/// One object that depends on something dropped.
struct Dependent {
    id: ObjectId,
    /// What it is, as PostgreSQL describes it: `constraint c on table t`.
    description: String,
    /// What it depends on.
    on: String,
    /// Goes in silence.
    automatic: bool,
    /// Only the column's default goes, not the column.
    default_only: bool,
}

impl Edit<'_> {
    /// `DROP kind names`.
    pub(super) fn drop_objects(
        &mut self,
        kind: DropKind,
        names: &[ObjectName],
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let mut ids = Vec::new();
        for name in names {
            match self.find_object(kind, name) {
                Ok(id) => ids.push(id),
                Err(error) if if_exists && is_missing(&error) => {
                    let message = format!("{}, skipping", error.message);
                    self.plain_notice(message, None);
                }
                Err(error) => return Err(error),
            }
        }
        for id in &ids {
            self.check_droppable(*id)?;
        }
        self.drop_all(&ids, cascade)
    }

    /// Finds an object that a statement names by its kind.
    pub(super) fn find_object(
        &self,
        kind: DropKind,
        name: &ObjectName,
    ) -> Result<ObjectId, SqlError> {
        let undefined = |state, what: &str| {
            let message = format!("{what} \"{}\" does not exist", name.display());
            Err(SqlError::new(state, message))
        };
        match kind {
            DropKind::Schema => match self.catalog.namespace(&name.name) {
                Some(namespace) => Ok(namespace.id),
                None => undefined(SqlState::INVALID_SCHEMA_NAME, "schema"),
            },
            DropKind::Extension => undefined(SqlState::UNDEFINED_OBJECT, "extension"),
            DropKind::Type | DropKind::Domain => self.find_type(kind, name),
            DropKind::Table
            | DropKind::View
            | DropKind::MaterializedView
            | DropKind::Index
            | DropKind::Sequence => self.find_relation(kind, name),
        }
    }

    fn find_type(&self, kind: DropKind, name: &ObjectName) -> Result<ObjectId, SqlError> {
        let path = &self.statement.search_path;
        match self.catalog.type_by_name(path, name.schema.as_deref(), &name.name) {
            Some(UserType::Domain(it)) => Ok(it.id),
            Some(UserType::Range(it)) if kind == DropKind::Type && it.is_multirange() => {
                let range = self.catalog.types.get(&it.range).map_or("", UserType::name);
                let message =
                    format!("cannot drop type {} because type {range} requires it", it.name);
                Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                    .with_hint(format!("You can drop type {range} instead.")))
            }
            Some(found) if kind == DropKind::Type => Ok(found.id()),
            Some(UserType::Enum(_) | UserType::Composite(_) | UserType::Range(_)) => {
                let message = format!("\"{}\" is not a domain", name.display());
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            None => {
                let message = format!("type \"{}\" does not exist", name.display());
                Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
            }
        }
    }

    fn find_relation(&self, kind: DropKind, name: &ObjectName) -> Result<ObjectId, SqlError> {
        if let Some(schema) = &name.schema
            && self.catalog.namespace(schema).is_none()
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message));
        }
        let found = self.relation(name)?;
        let (id, actual) = match found {
            Some(Relation::Table(table)) => (table.id, DropKind::Table),
            Some(Relation::Sequence(sequence)) => (sequence.id, DropKind::Sequence),
            Some(Relation::View(view)) => (view.id, view_kind(view)),
            Some(Relation::Index(table, oid)) => (index_id(table, oid), DropKind::Index),
            None if kind == DropKind::Index
                && let Some(id) =
                    self.catalog.unusable_named(&[UnusableKind::Index], None, &name.name) =>
            {
                return Ok(id);
            }
            None => {
                let what = match kind {
                    DropKind::View => "view",
                    DropKind::MaterializedView => "materialized view",
                    DropKind::Index => "index",
                    DropKind::Sequence => "sequence",
                    _ => "table",
                };
                let message = format!("{what} \"{}\" does not exist", name.display());
                let state = match kind {
                    DropKind::Index => SqlState::UNDEFINED_OBJECT,
                    _ => SqlState::UNDEFINED_TABLE,
                };
                return Err(SqlError::new(state, message));
            }
        };
        if actual == kind {
            return Ok(id);
        }
        let article = |kind: DropKind| match kind {
            DropKind::Index => "an index".to_owned(),
            other => format!("a {}", other.tag().to_lowercase()),
        };
        let message = format!("\"{}\" is not {}", name.name, article(kind));
        let hint = format!("Use DROP {} to remove {}.", actual.tag(), article(actual));
        Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_hint(hint))
    }

    /// Refuses to drop what serves something else: the index of a constraint, the sequence of an identity column.
    fn check_droppable(&self, id: ObjectId) -> Result<(), SqlError> {
        for table in self.catalog.tables.values() {
            if let Some(unique) = table.uniques.iter().find(|unique| unique.id == id) {
                let table_name = self.display_name(table.namespace, &table.name);
                let constraint = format!("constraint {} on table {table_name}", unique.name);
                return Err(required_by(&format!("index {}", unique.name), &constraint));
            }
        }
        let sequence = self.catalog.sequences.values().find(|it| it.id == id && it.internal);
        let Some(sequence) = sequence else { return Ok(()) };
        let Some((table, attnum)) = sequence.owned_by else { return Ok(()) };
        let Some(table) = self.catalog.table(table) else { return Ok(()) };
        let column = table.column(attnum).map_or("", |column| column.name.as_str());
        let column =
            format!("column {column} of table {}", self.display_name(table.namespace, &table.name));
        Err(required_by(&format!("sequence {}", sequence.name), &column))
    }

    /// Drops objects with what depends on them.
    pub(super) fn drop_all(&mut self, ids: &[ObjectId], cascade: bool) -> Result<(), SqlError> {
        let mut dropped: BTreeSet<ObjectId> = ids.iter().copied().collect();
        let mut reported: Vec<Dependent> = Vec::new();
        let mut defaults: Vec<ObjectId> = Vec::new();
        loop {
            let next = self.dependents(&dropped);
            let mut grew = false;
            // What goes in silence goes first, so that it is not reported for another reason.
            let (automatic, mut normal): (Vec<_>, Vec<_>) =
                next.into_iter().partition(|dependent| dependent.automatic);
            normal.sort_by(|a, b| a.description.cmp(&b.description));
            for dependent in automatic {
                grew |= dropped.insert(dependent.id);
            }
            if grew {
                continue;
            }
            for dependent in normal {
                let known = reported
                    .iter()
                    .any(|it| it.id == dependent.id && it.default_only == dependent.default_only);
                if known || dropped.contains(&dependent.id) {
                    continue;
                }
                grew = true;
                if dependent.default_only {
                    defaults.push(dependent.id);
                } else {
                    dropped.insert(dependent.id);
                }
                reported.push(dependent);
            }
            if !grew {
                break;
            }
        }
        self.report(ids, &reported, cascade)?;
        for id in defaults {
            self.redefine(id, |definition: &mut ColumnDefinition| {
                definition.default = None;
                definition.sequence = None;
            });
        }
        for id in dropped {
            self.drop_row(id);
        }
        self.relink();
        Ok(())
    }

    /// 2BP01 without CASCADE, a notice with it.
    fn report(
        &mut self,
        ids: &[ObjectId],
        dependents: &[Dependent],
        cascade: bool,
    ) -> Result<(), SqlError> {
        if dependents.is_empty() {
            return Ok(());
        }
        let lines = |line: &dyn Fn(&Dependent) -> String| {
            let listed: Vec<_> = dependents.iter().take(LISTED_MAX).map(line).collect();
            listed.join("\n")
        };
        if !cascade {
            let what = match ids {
                [id] => self.describe(*id),
                _ => "desired object(s)".to_owned(),
            };
            let message = format!("cannot drop {what} because other objects depend on it");
            let message =
                if ids.len() == 1 { message } else { message.replace("on it", "on them") };
            let detail = lines(&|it| format!("{} depends on {}", it.description, it.on));
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .with_detail(detail)
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        match dependents {
            [one] => self.plain_notice(format!("drop cascades to {}", one.description), None),
            several => {
                let message = format!("drop cascades to {} other objects", several.len());
                let detail = lines(&|it| format!("drop cascades to {}", it.description));
                self.plain_notice(message, Some(detail));
            }
        }
        Ok(())
    }

    /// An object as PostgreSQL describes it.
    pub(super) fn describe(&self, id: ObjectId) -> String {
        let catalog = &self.catalog;
        if let Some(it) = catalog.namespaces.values().find(|it| it.id == id) {
            return format!("schema {}", it.name);
        }
        // A multirange type goes by its range type.
        let named = |it: &&UserType| it.id() == id && !it.is_multirange();
        if let Some(it) = catalog.types.values().find(named) {
            let types = Types::new(catalog, &self.statement.search_path);
            return format!("type {}", types.format(it.oid()));
        }
        if let Some(it) = catalog.sequences.values().find(|it| it.id == id) {
            return format!("sequence {}", self.display_name(it.namespace, &it.name));
        }
        if let Some(it) = catalog.views.values().find(|it| it.id == id) {
            let kind = if it.materialized_in.is_some() { "materialized view" } else { "view" };
            return format!("{kind} {}", self.display_name(it.namespace, &it.name));
        }
        if let Some(it) = catalog.functions.values().find(|it| it.id == id) {
            return self.describe_function(it);
        }
        for table in catalog.tables.values() {
            if let Some(found) = self.describe_in(table, id) {
                return found;
            }
        }
        "object".to_owned()
    }

    fn describe_in(&self, table: &Table, id: ObjectId) -> Option<String> {
        let name = || self.display_name(table.namespace, &table.name);
        if table.id == id {
            return Some(format!("table {}", name()));
        }
        if let Some(column) = table.columns.iter().find(|it| it.id == id) {
            return Some(format!("column {} of table {}", column.name, name()));
        }
        if let Some(index) = table.indexes.iter().find(|it| it.id == id) {
            return Some(format!("index {}", self.display_name(table.namespace, &index.name)));
        }
        let uniques = table.uniques.iter().map(|it| (it.id, &it.name));
        let checks = table.checks.iter().map(|it| (it.id, &it.name));
        let foreign = table.foreign_keys.iter().map(|it| (it.id, &it.name));
        let constraint = uniques.chain(checks).chain(foreign).find(|(it, _)| *it == id);
        constraint.map(|(_, constraint)| format!("constraint {constraint} on table {}", name()))
    }

    /// What depends on the dropped objects and is not among them.
    fn dependents(&self, dropped: &BTreeSet<ObjectId>) -> Vec<Dependent> {
        let mut found = Found { edit: self, dropped, dependents: Vec::new() };
        let catalog = &self.catalog;
        for row in catalog.rows.values().filter(|row| !row.dropped) {
            // Namespaces contain normally, everything else owns what it contains; an owned sequence goes with its column.
            let owned =
                catalog.sequences.values().any(|it| it.id == row.id && it.owned_by.is_some());
            if !owned && row.parent != temporary_id() && dropped.contains(&row.parent) {
                let in_namespace = catalog.namespaces.values().any(|it| it.id == row.parent);
                found.add(row.id, row.parent, !in_namespace);
            }
        }
        for table in catalog.tables.values() {
            found.table(table, catalog);
        }
        found.functions(catalog);
        for sequence in catalog.sequences.values() {
            let owner = sequence.owned_by.and_then(|(table, attnum)| {
                catalog.table(table).and_then(|table| table.column(attnum))
            });
            if let Some(column) = owner {
                found.add(sequence.id, column.id, true);
            }
        }
        for view in catalog.views.values() {
            for on in &view.depends_on {
                found.add(view.id, *on, false);
                let Some(table) = catalog.tables.values().find(|table| table.id == *on) else {
                    continue;
                };
                for column in &table.columns {
                    if view.reads(table.id, table.oid, column.attnum) {
                        found.add(view.id, column.id, false);
                    }
                }
            }
        }
        for user_type in catalog.types.values() {
            if let UserType::Domain(domain) = user_type
                && let Some((base, _)) = catalog.type_by_oid(domain.base_type)
            {
                found.add(domain.id, base.id(), false);
            }
            if let UserType::Range(range) = user_type
                && let Some((of, _)) = catalog.type_by_oid(range.subtype)
            {
                found.add(range.id, of.id(), false);
            }
            if let UserType::Composite(composite) = user_type {
                for (_, field, _) in &composite.fields {
                    if let Some((of, _)) = catalog.type_by_oid(*field) {
                        found.add(composite.id, of.id(), false);
                    }
                }
            }
        }
        found.dependents
    }
}

/// Dependents found so far.
struct Found<'a, 'e> {
    edit: &'a Edit<'e>,
    dropped: &'a BTreeSet<ObjectId>,
    dependents: Vec<Dependent>,
}

impl Found<'_, '_> {
    /// Records that `id` depends on `on`, if `on` is being dropped and `id` is not.
    fn add(&mut self, id: ObjectId, on: ObjectId, automatic: bool) {
        if !self.dropped.contains(&on) || self.dropped.contains(&id) {
            return;
        }
        let (description, on) = (self.edit.describe(id), self.edit.describe(on));
        let default_only = false;
        self.dependents.push(Dependent { id, description, on, automatic, default_only });
    }

    /// Records that the default of a column depends on a sequence.
    fn add_default(&mut self, column: ObjectId, on: ObjectId) {
        if !self.dropped.contains(&on) || self.dropped.contains(&column) {
            return;
        }
        let description = format!("default value for {}", self.edit.describe(column));
        let on = self.edit.describe(on);
        let dependent =
            Dependent { id: column, description, on, automatic: false, default_only: true };
        self.dependents.push(dependent);
    }

    /// Records that an object depends on what a text of it names.
    fn add_named(&mut self, id: ObjectId, text: Option<&str>) {
        for on in objects(text.unwrap_or_default()) {
            self.add(id, ObjectId(on), false);
        }
    }

    fn table(&mut self, table: &Table, catalog: &Catalog) {
        let column_id = |attnum: &i16| table.column(*attnum).map(|column| column.id);
        for column in &table.columns {
            if let Some((user_type, _)) = catalog.type_by_oid(column.type_oid) {
                self.add(column.id, user_type.id(), false);
            }
            let definition: ColumnDefinition = self.edit.definition(column.id);
            if let Some(sequence) = definition.sequence {
                self.add_default(column.id, ObjectId(sequence));
            }
            for on in objects(definition.default.as_deref().unwrap_or_default()) {
                self.add_default(column.id, ObjectId(on));
            }
            self.add_named(column.id, definition.generated.as_deref());
            if let ColumnGeneration::Stored(text) = &column.generation {
                for used in expression::columns_used(text, &table.columns) {
                    self.add(column.id, used.id, false);
                }
            }
        }
        for unique in &table.uniques {
            for on in unique.columns.iter().filter_map(column_id) {
                self.add(unique.id, on, true);
            }
        }
        for check in &table.checks {
            let definition: ConstraintDefinition = self.edit.definition(check.id);
            self.add_named(check.id, definition.expression.as_deref());
            for used in expression::columns_used(&check.expression, &table.columns) {
                self.add(check.id, used.id, true);
            }
        }
        for index in &table.indexes {
            let keys = index.keys.iter().map(|key| &key.attnum).chain(&index.include);
            for on in keys.filter_map(column_id) {
                self.add(index.id, on, true);
            }
            let definition: IndexDefinition = self.edit.definition(index.id);
            let texts = definition.keys.iter().map(|key| key.expression.as_deref());
            texts
                .chain([definition.predicate.as_deref()])
                .for_each(|it| self.add_named(index.id, it));
            let texts = index.keys.iter().filter_map(|key| key.expression.as_ref());
            for text in texts.chain(&index.predicate) {
                for used in expression::columns_used(text, &table.columns) {
                    self.add(index.id, used.id, true);
                }
            }
        }
        self.foreign_keys(table, catalog);
    }

    /// Functions depend on the types of their arguments and results, and what calls them on them.
    fn functions(&mut self, catalog: &Catalog) {
        for function in catalog.functions.values() {
            let types = function.parameters.iter().map(|it| it.type_oid).chain([function.result]);
            for type_oid in types {
                self.add_type(function.id, type_oid, catalog);
            }
        }
        let dropped = |it: &&Function| self.dropped.contains(&it.id);
        let called: BTreeMap<Oid, ObjectId> =
            catalog.functions.values().filter(dropped).map(|it| (it.oid, it.id)).collect();
        if called.is_empty() {
            return;
        }
        for table in catalog.tables.values() {
            self.callers_in(table, &called);
        }
        for view in catalog.views.values() {
            for on in expression::functions_of_view(view, &self.edit.context()) {
                called.get(&on).into_iter().for_each(|on| self.add(view.id, *on, false));
            }
        }
    }

    /// Records that an object depends on a type, if that is the user's: the row type of a table goes with the table.
    fn add_type(&mut self, id: ObjectId, type_oid: Oid, catalog: &Catalog) {
        if let Some((user_type, _)) = catalog.type_by_oid(type_oid) {
            self.add(id, user_type.id(), false);
        }
        let rows = catalog.tables.values().map(|it| (it.id, it.row_type_oid, it.row_array_oid));
        let rows = rows.chain(catalog.views.values().map(|it| (it.id, it.row_type_oid, Oid(0))));
        let mut rows = rows.filter(|(_, row, array)| type_oid == *row || type_oid == *array);
        let Some((relation, row_type, _)) = rows.next() else { return };
        if self.dropped.contains(&relation) && !self.dropped.contains(&id) {
            let types = Types::new(catalog, &self.edit.statement.search_path);
            let on = format!("type {}", types.format(row_type));
            let description = self.edit.describe(id);
            let (automatic, default_only) = (false, false);
            self.dependents.push(Dependent { id, description, on, automatic, default_only });
        }
    }

    /// What of a table calls dropped functions.
    fn callers_in(&mut self, table: &Table, called: &BTreeMap<Oid, ObjectId>) {
        let context = SchemaContext::new(&self.edit.catalog, table);
        let of = |text: &str| -> Vec<ObjectId> {
            let bound = expression::bind_over(table, text, None, &context.bind());
            let functions = bound.map(|it| it.functions).unwrap_or_default();
            functions.iter().filter_map(|oid| called.get(oid).copied()).collect()
        };
        for column in &table.columns {
            let default = column.default.iter().flat_map(|it| of(&it.expression));
            default.for_each(|on| self.add_default(column.id, on));
            if let ColumnGeneration::Stored(text) = &column.generation {
                of(text).into_iter().for_each(|on| self.add(column.id, on, false));
            }
        }
        for check in &table.checks {
            of(&check.expression).into_iter().for_each(|on| self.add(check.id, on, false));
        }
        for index in &table.indexes {
            let texts = index.keys.iter().filter_map(|key| key.expression.as_ref());
            let on = texts.chain(&index.predicate).flat_map(|text| of(text));
            on.for_each(|on| self.add(index.id, on, false));
        }
    }

    fn foreign_keys(&mut self, table: &Table, catalog: &Catalog) {
        for foreign in &table.foreign_keys {
            for column in foreign.columns.iter().filter_map(|attnum| table.column(*attnum)) {
                self.add(foreign.id, column.id, true);
            }
            let Some(referenced) = catalog.table(foreign.references) else { continue };
            let itself = referenced.oid == table.oid;
            self.add(foreign.id, referenced.id, itself);
            let mut columns: Vec<i16> = foreign.referenced_columns.clone();
            columns.sort_unstable();
            for unique in &referenced.uniques {
                let mut key = unique.columns.clone();
                key.sort_unstable();
                if key == columns {
                    self.add(foreign.id, unique.id, false);
                }
            }
            for column in foreign.referenced_columns.iter().filter_map(|it| referenced.column(*it))
            {
                self.add(foreign.id, column.id, false);
            }
        }
    }
}

/// 2BP01 for an object that serves another.
fn required_by(what: &str, by: &str) -> SqlError {
    let message = format!("cannot drop {what} because {by} requires it");
    SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .with_hint(format!("You can drop {by} instead."))
}

/// Whether an error says that something is not there.
fn is_missing(error: &SqlError) -> bool {
    matches!(
        error.state,
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_OBJECT | SqlState::INVALID_SCHEMA_NAME
    )
}

/// Id of an index, of a constraint's too.
fn index_id(table: &Table, oid: Oid) -> ObjectId {
    let unique = table.uniques.iter().find(|unique| unique.index_oid == oid).map(|it| it.id);
    unique.or_else(|| table.index(oid).map(|index| index.id)).unwrap_or_default()
}

/// Whether a view is materialized, as a kind.
fn view_kind(view: &View) -> DropKind {
    if view.materialized_in.is_some() { DropKind::MaterializedView } else { DropKind::View }
}
