//! Texts of expressions in the names that their columns have at present.
//!
//! A text is kept as it was written, with the ids of the columns that it names beside it. One node may rename a column while
//! another writes a text that names it: here both come together.

use std::collections::BTreeMap;

use super::{Linker, PUBLIC_NAMESPACE, TEMPORARY_NAMESPACE};
use crate::builtin::quote_identifier;
use crate::oid::Oid;
use crate::schema::catalog::{Column, ColumnGeneration, UserType};
use crate::schema::change::expression;
use crate::schema::definition::{self, ColumnDefinition, ColumnNames};
use crate::schema::marked_text;
use crate::schema::physical::quote_literal;
use crate::schema::row::ObjectId;
use crate::schema::seen::{Seen, SeenColumns, SeenRelation};
use crate::schema::stored_text::{NameRole, NameUse, StoredText, shown_value};

impl Linker<'_> {
    /// Gives generated columns their texts in present names; one that names a column that is gone is gone too (rule 2).
    pub(super) fn generated_columns(&mut self) {
        for (table, definition, id) in self.generated() {
            let present = definition.generated.as_deref();
            let present =
                present.and_then(|text| self.present_text(table, text, &definition.names));
            let Some(linked) = self.catalog.tables.get_mut(&table) else { continue };
            match (present, linked.columns.iter_mut().find(|column| column.id == id)) {
                (Some(text), Some(column)) => column.generation = ColumnGeneration::Stored(text),
                (Some(_), None) => {}
                (None, _) => {
                    linked.columns.retain(|column| column.id != id);
                    self.columns.remove(&id);
                }
            }
        }
    }

    /// All generated columns.
    fn generated(&self) -> Vec<(Oid, ColumnDefinition, ObjectId)> {
        let tables = self.catalog.tables.values();
        let columns = tables.flat_map(|it| it.columns.iter().map(move |column| (it.oid, column)));
        let generated = columns.filter(|(_, column)| !column.generation.is_written());
        let definition = |id| self.rows.get(&id).map(|row| definition::read(&row.definition));
        generated
            .filter_map(|(table, column)| Some((table, definition(column.id)?, column.id)))
            .collect()
    }

    /// A view's text with the OIDs of what it names.
    pub(super) fn stored_text(&self, text: String, names: Vec<NameUse<i64>>) -> StoredText {
        let linked = |NameUse { start, end, role, of, label }: NameUse<i64>| {
            let oid = *self.oids.get(&ObjectId(of))?;
            Some(NameUse { start, end, role, of: oid, label })
        };
        StoredText { text, names: names.into_iter().filter_map(linked).collect() }
    }

    /// What a view sees, by OIDs and attribute numbers. Columns that are gone are left out.
    pub(super) fn seen(&self, seen: Vec<SeenRelation>) -> Seen {
        let linked = |SeenRelation { of, columns, used }: SeenRelation| {
            let oid = *self.oids.get(&ObjectId(of))?;
            let is_table = self.catalog.tables.contains_key(&oid);
            let attnum = |id: i64| match is_table {
                true => self.columns.get(&ObjectId(id)).map(|(_, attnum)| *attnum),
                false => i16::try_from(id).ok(),
            };
            let names = columns.into_iter().filter_map(|(id, name)| Some((attnum(id)?, name)));
            let used = used.into_iter().filter_map(attnum).collect();
            Some((oid, SeenColumns { names: names.collect(), used }))
        };
        seen.into_iter().filter_map(linked).collect()
    }

    /// A text of an expression in the present names of the types, and of what its constants name.
    ///
    /// Relations are qualified where they are not in `public`, as in the default of a serial column.
    pub(super) fn named(&self, text: &str) -> String {
        marked_text::presented(text, |mark| {
            let id = ObjectId(mark.of);
            let user_type = || self.catalog.types.get(self.types.get(&id)?);
            let type_name = || match user_type() {
                Some(it) => Some(self.qualified(it.namespace(), it.name())),
                None => {
                    self.names.get(&id).map(|(namespace, name)| self.qualified(*namespace, name))
                }
            };
            match mark.role {
                NameRole::Type => type_name(),
                NameRole::TypeConstant => type_name().map(|name| quote_literal(&name)),
                NameRole::Label | NameRole::LabelArray => {
                    let is_array = mark.role == NameRole::LabelArray;
                    shown_value(&self.catalog, user_type()?, is_array, mark.label?)
                }
                NameRole::Relation | NameRole::AliasedRelation | NameRole::RelationConstant => {
                    let (namespace, name) = self.names.get(&id)?;
                    Some(quote_literal(&self.qualified(*namespace, name)))
                }
            }
        })
    }

    fn qualified(&self, namespace: Oid, name: &str) -> String {
        let name = quote_identifier(name);
        match namespace {
            PUBLIC_NAMESPACE | TEMPORARY_NAMESPACE => name,
            other => format!("{}.{name}", quote_identifier(self.catalog.namespace_name(other))),
        }
    }

    /// Gives domains the texts of their defaults and conditions in present names.
    pub(super) fn domain_texts(&mut self) {
        let mut texts = Vec::new();
        for user_type in self.catalog.types.values() {
            let UserType::Domain(domain) = user_type else { continue };
            let default = domain.default.as_deref().map(|text| self.named(text));
            let checks = domain.checks.iter().map(|check| self.named(&check.expression));
            texts.push((domain.oid, default, checks.collect::<Vec<_>>()));
        }
        for (oid, default, checks) in texts {
            let Some(UserType::Domain(domain)) = self.catalog.types.get_mut(&oid) else { continue };
            domain.default = default;
            for (check, text) in domain.checks.iter_mut().zip(checks) {
                check.expression = text;
            }
        }
    }

    /// A text over a table in the names that its columns have; `None` if one that it names is gone.
    pub(super) fn present_text(
        &self,
        table: Oid,
        text: &str,
        names: &ColumnNames,
    ) -> Option<String> {
        let columns = &self.catalog.tables.get(&table)?.columns;
        present_text(columns, &self.named(text), names)
    }
}

/// A text in the names that these columns have; `None` if one that it names is not among them.
pub(in crate::schema) fn present_text(
    columns: &[Column],
    text: &str,
    names: &ColumnNames,
) -> Option<String> {
    let mut renamed = BTreeMap::new();
    for (written, id) in names {
        let column = columns.iter().find(|column| column.id.0 == *id)?;
        if column.name != *written {
            renamed.insert(written.as_str(), column.name.as_str());
        }
    }
    if renamed.is_empty() {
        return Some(text.to_owned());
    }
    Some(expression::rename_columns(text, &renamed))
}
