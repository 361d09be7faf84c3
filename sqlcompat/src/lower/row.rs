//! Rows as values: `ROW(…)`, fields, whole rows of relations.

use super::expression::Lowering;
use crate::bind::tree::{Call, ColumnSql, Expr, Negated, Node, RelationColumn, RelationId, Source};
use crate::error::SqlError;
use crate::oid::Oid;

impl Lowering<'_> {
    /// `ROW(…)`: an anonymous record or a row of a named type; its fields' types go with it.
    pub(super) fn row(&mut self, function: &str, fields: &[Expr]) -> Result<(), SqlError> {
        let types: Vec<Oid> = fields.iter().map(|field| self.types.base(field.type_oid)).collect();
        self.out.push_str(function);
        self.arguments(fields, &types)
    }

    /// Whether values of a type are rows.
    pub(super) fn is_row(&self, type_oid: Oid) -> bool {
        self.types.base(type_oid) == Oid::RECORD || self.types.is_composite(type_oid)
    }

    /// A row is NULL if all of its fields are, and NOT NULL if none is.
    pub(super) fn row_is_null(&mut self, inner: &Expr, negated: Negated) -> Result<(), SqlError> {
        let negated = u8::from(negated == Negated::Yes);
        self.out.push_str("pg_row_is_null(");
        self.expr(inner)?;
        self.push(format_args!(", {}, {negated})", self.types.base(inner.type_oid)));
        Ok(())
    }

    /// `(row).field`, by its position from 0.
    pub(super) fn field(&mut self, row: &Expr, index: u16) -> Result<(), SqlError> {
        self.out.push_str("pg_row_field(");
        self.expr(row)?;
        let row_type = self.types.base(row.type_oid);
        self.push(format_args!(", {row_type}, {})", index + 1));
        Ok(())
    }

    pub(super) fn row_compare(&mut self, operator: &str, pairs: &[Call]) -> Result<(), SqlError> {
        self.out.push_str("((");
        for (index, pair) in pairs.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if matches!(operator, "=" | "<>") {
                self.equated(&pair.arguments[0])?;
            } else {
                self.collated(&pair.arguments[0])?;
            }
        }
        self.push(format_args!(") {operator} ("));
        for (index, pair) in pairs.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.expr(&pair.arguments[1])?;
        }
        self.out.push_str("))");
        Ok(())
    }

    pub(super) fn whole_row(&mut self, relation: RelationId) -> Result<(), SqlError> {
        let columns = &self.relations.get(relation).columns;
        let plain: Vec<_> = (0u16..).zip(columns).filter(|(_, column)| !column.system).collect();
        let fields: Vec<Expr> = plain
            .iter()
            .map(|(index, column)| Expr::new(Node::Column(relation, *index), column.type_oid))
            .collect();
        if !self.relations.get(relation).optional || fields.is_empty() {
            return self.composite(relation, &plain, &fields);
        }
        // Without a row to join the value is NULL; a row of nothing but NULLs cannot be told from that.
        self.out.push_str("CASE WHEN coalesce(");
        for field in &fields {
            self.expr(field)?;
            self.out.push_str(", ");
        }
        self.out.push_str("NULL) IS NOT NULL THEN ");
        self.composite(relation, &plain, &fields)?;
        self.out.push_str(" END");
        Ok(())
    }

    /// The columns of a relation as one value.
    fn composite(
        &mut self,
        relation: RelationId,
        columns: &[(u16, &RelationColumn)],
        fields: &[Expr],
    ) -> Result<(), SqlError> {
        let types: Vec<Oid> = fields.iter().map(|field| self.types.base(field.type_oid)).collect();
        if self.is_named_row(relation) {
            self.out.push_str("pg_composite");
            return self.arguments(fields, &types);
        }
        // An anonymous record carries the names of its fields, too.
        self.out.push_str("pg_named_row");
        self.arguments(fields, &types)?;
        self.out.pop();
        for (_, column) in columns {
            self.out.push_str(", ");
            self.out.push_str(&super::quote_text(&column.name));
        }
        self.out.push(')');
        Ok(())
    }

    /// Whether a relation's rows have a type of their own.
    fn is_named_row(&self, relation: RelationId) -> bool {
        let relation = self.relations.get(relation);
        if relation.columns.last().is_some_and(|it| matches!(it.sql, ColumnSql::RowField(..))) {
            return true;
        }
        match &relation.source {
            Source::Table(_, oid) => self.types.is_user_table(*oid),
            Source::Given => true,
            Source::Query(_) | Source::OnlyRow(_) | Source::Cte(_) | Source::Function(_) => false,
        }
    }
}
