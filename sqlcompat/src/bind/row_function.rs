//! Functions in `FROM` whose rows have the columns of a row type, or those that a column definition list gives:
//! `jsonb_to_recordset(x) AS t(a int, b text)`.
//!
//! Such a call yields one value, the whole row; each column takes its field of it. Definitions are passed to the function
//! as a last argument, `[["a", 23, -1], …]`: name, type and type modifier.

use sqlparser::ast::TableAlias;

use super::binder::Binder;
use super::from::plain_column;
use super::record_shape::Field;
use super::table_function::function_relation;
use super::tree::{At, ColumnSql, Expr, Node, RelationColumn, RelationId};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

impl Binder<'_> {
    /// The columns of the row that a call in `FROM` yields; none if it yields a single value.
    ///
    /// # Errors
    /// 42601 for a record without a column definition list.
    pub(crate) fn row_fields(
        &self,
        call: &mut Expr,
        alias: Option<&TableAlias>,
        at: At,
    ) -> Result<Option<Vec<Field>>, SqlError> {
        if call.type_oid != Oid::RECORD {
            let columns = self.row_type_columns(call.type_oid).unwrap_or_default();
            return Ok((!columns.is_empty()).then_some(columns));
        }
        let Node::Call(function) = &mut call.node else { return Ok(None) };
        let fields = self.defined_columns(alias, at)?;
        let definitions: Vec<serde_json::Value> = fields
            .iter()
            .map(|(name, type_oid, typmod)| serde_json::json!([name, type_oid.0, typmod]))
            .collect();
        let definitions = serde_json::Value::Array(definitions).to_string();
        function.arguments.push(Expr::new(Node::Literal(Datum::Text(definitions)), Oid::TEXT));
        Ok(Some(fields))
    }

    /// The columns that a column definition list has.
    ///
    /// # Errors
    /// 42601 without one.
    pub(super) fn defined_columns(
        &self,
        alias: Option<&TableAlias>,
        at: At,
    ) -> Result<Vec<Field>, SqlError> {
        let mut fields = Vec::new();
        for column in alias.iter().flat_map(|alias| &alias.columns) {
            let Some(data_type) = &column.data_type else {
                fields.clear();
                break;
            };
            let (type_oid, typmod) = self.data_type(data_type)?;
            fields.push((Self::name(&column.name), type_oid, typmod));
        }
        if fields.is_empty() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "a column definition list is required for functions returning \"record\"",
            )
            .at(at.position()));
        }
        Ok(fields)
    }

    /// The columns of a row type.
    pub(super) fn row_type_columns(&self, type_oid: Oid) -> Option<Vec<Field>> {
        let fields = self.types.fields(self.types.base(type_oid))?.into_iter();
        Some(fields.map(|(name, oid, typmod)| (name.to_owned(), oid, typmod)).collect())
    }

    /// Adds the call as a relation with those columns.
    ///
    /// # Errors
    /// As [`Self::add_relation`].
    pub(crate) fn row_function(
        &mut self,
        (local, call): (String, Expr),
        fields: Vec<Field>,
        ordinality: bool,
        alias: Option<&TableAlias>,
        at: At,
    ) -> Result<RelationId, SqlError> {
        let row_type = self.types.base(call.type_oid);
        let mut definitions = alias.iter().flat_map(|alias| &alias.columns);
        if let Some(first) = definitions.find(|it| it.data_type.is_some()).filter(|_| ordinality) {
            let message = "WITH ORDINALITY cannot be used with a column definition list";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .with_hint("Put the column definition list inside ROWS FROM().")
                .at(self.span_start(first.name.span).position()));
        }
        let columns: Vec<RelationColumn> = fields
            .into_iter()
            .map(|(name, type_oid, typmod)| RelationColumn {
                typmod,
                ..plain_column(name, ColumnSql::Name("value".to_owned()), type_oid)
            })
            .collect();
        let width = columns.len();
        let relation = function_relation((local, call), columns, ordinality);
        let mut names = alias.cloned();
        for column in names.iter_mut().flat_map(|alias| &mut alias.columns) {
            column.data_type = None;
        }
        let id = self.add_relation(relation, names.as_ref(), at)?;
        let relation = self.relations.get_mut(id);
        let qualifier = relation.qualifier.clone();
        for (number, column) in relation.columns.iter_mut().take(width).enumerate() {
            column.sql = if row_type == Oid::RECORD {
                ColumnSql::Constant(format!(
                    "pg_row_field(\"{qualifier}\".value, {row_type}, {})",
                    number + 1
                ))
            } else {
                ColumnSql::RowField(number, row_type)
            };
        }
        Ok(id)
    }
}
