//! The fields of anonymous records: what a `ROW(…)` or a whole row had, seen through the subqueries and CTEs it came from.
//!
//! `SELECT (r).f1 FROM (SELECT ROW(1, 2) AS r) s` knows the type of `f1` by looking where `r` comes from. Source: PostgreSQL's
//! `expandRecordVariable`.

use super::binder::Binder;
use super::tree::{At, Body, Expr, Node, Query, RelationId, Source};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// Subqueries are followed this far.
const DEPTH_MAX: usize = 32;

/// A field: name, type, type modifier.
pub(crate) type Field = (String, Oid, i32);

impl Binder<'_> {
    /// The fields of a record, if it can be told where it comes from.
    pub(crate) fn record_fields(&self, record: &Expr) -> Option<Vec<Field>> {
        self.fields_of(record, DEPTH_MAX)
    }

    fn fields_of(&self, record: &Expr, depth: usize) -> Option<Vec<Field>> {
        let depth = depth.checked_sub(1)?;
        match &record.node {
            Node::Row(fields) => {
                let named =
                    |(number, it): (usize, &Expr)| (format!("f{number}"), it.type_oid, it.typmod);
                Some((1..).zip(fields).map(named).collect())
            }
            Node::WholeRow(relation) => {
                let columns = self.relations.get(*relation).columns.iter();
                let columns = columns.filter(|column| !column.system);
                Some(columns.map(|it| (it.name.clone(), it.type_oid, it.typmod)).collect())
            }
            Node::Column(relation, index) => {
                self.source_fields(*relation, usize::from(*index), depth)
            }
            Node::Subquery(query) => self.output_fields(query, 0, depth),
            Node::Coalesce(terms) => self.fields_of(terms.first()?, depth),
            _ => None,
        }
    }

    fn source_fields(
        &self,
        relation: RelationId,
        index: usize,
        depth: usize,
    ) -> Option<Vec<Field>> {
        match &self.relations.get(relation).source {
            Source::Query(query) | Source::OnlyRow(query) => {
                self.output_fields(query, index, depth)
            }
            Source::Cte(name) => {
                let entry = self.ctes.iter().rev().find(|it| it.sql_name == *name)?;
                entry.records.get(index)?.clone()
            }
            // A set of rows of the user's in a select list is the elements of an array.
            Source::Function(source) => match &source.calls.get(index)?.0.node {
                Node::Call(call) => match &call.arguments.first()?.node {
                    Node::ArrayQuery(query) if call.row.name == "unnest" => {
                        self.output_fields(query, 0, depth)
                    }
                    _ => None,
                },
                _ => None,
            },
            Source::Table(..) | Source::Given => None,
        }
    }

    /// The fields of those output columns of a query that are records.
    pub(crate) fn records_of(&self, query: &Query) -> Vec<Option<Vec<Field>>> {
        if query.columns.iter().all(|column| column.type_oid != Oid::RECORD) {
            return Vec::new();
        }
        (0..query.columns.len()).map(|at| self.output_fields(query, at, DEPTH_MAX)).collect()
    }

    /// The fields of an output column of a query.
    fn output_fields(&self, query: &Query, index: usize, depth: usize) -> Option<Vec<Field>> {
        match &query.body {
            Body::Select(select) => self.fields_of(select.items.get(index)?, depth),
            Body::Values(_) => None,
            Body::SetOperation(operation) => {
                self.output_fields(&operation.left, index, depth.checked_sub(1)?)
            }
        }
    }

    /// `(record).field`.
    ///
    /// # Errors
    /// 42703 for a field that is not known.
    pub(crate) fn record_field(&self, record: Expr, name: &str) -> Result<Expr, SqlError> {
        let at = record.at;
        let Some(fields) = self.record_fields(&record) else {
            let message = "record type has not been registered";
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let fields = (0u16..).zip(fields);
        let mut found = fields.filter(|(_, (field, ..))| field == name);
        let Some((index, (_, type_oid, typmod))) = found.next() else {
            return Err(Self::unknown_field(name, at));
        };
        Ok(Expr { node: Node::Field(Box::new(record), index), type_oid, typmod, at })
    }

    /// 42703: a record has no such field.
    pub(crate) fn unknown_field(name: &str, at: At) -> SqlError {
        let message = format!("could not identify column \"{name}\" in record data type");
        SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(at.position())
    }
}
