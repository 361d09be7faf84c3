//! Arrays in SQLite's SQL: JSON texts, made, read, cut and compared element by element.

use super::expression::FUNCTION_ARGUMENTS_MAX;
use super::expression::Lowering;
use crate::bind::tree::{Expr, Node, Quantified, Quantity, Query, Subscript, SubscriptIndex};
use crate::error::SqlError;
use crate::oid::Oid;
use crate::types::array::StorageClass;
use crate::types::family::Family;

impl Lowering<'_> {
    /// A cast of every element.
    pub(super) fn array_cast(&mut self, inner: &Expr, cast: &Expr) -> Result<(), SqlError> {
        self.out.push_str("pg_array_cast(");
        self.expr(inner)?;
        let (source, target) = (inner.type_oid, cast.type_oid);
        self.push(format_args!(", {source}, {target}, {})", cast.typmod));
        Ok(())
    }

    /// `ARRAY(SELECT …)`, in the order of the query.
    pub(super) fn array_query(&mut self, query: &Query) -> Result<(), SqlError> {
        let type_oid = query.columns[0].type_oid;
        if self.types.sub_element(type_oid).is_some() {
            let aggregate = "(SELECT coalesce(pg_agg_array_agg_anyarray(c1";
            self.push(format_args!("{aggregate}, {type_oid}), '[]') FROM "));
        } else {
            let (open, close) = self.json_wrapper(type_oid);
            self.push(format_args!("(SELECT json_group_array({open}c1{close}) FROM "));
        }
        self.named_outputs = true;
        self.parenthesized(query)?;
        self.out.push(')');
        Ok(())
    }

    /// A comparison with each of several values, under three-valued logic.
    pub(super) fn quantified(&mut self, quantified: &Quantified) -> Result<(), SqlError> {
        let Quantified { call, all, over } = quantified;
        if let (Quantity::Array(array), false, "=") =
            (over, *all, call.operator.map_or("", |operator| operator.name))
            && super::is_native_comparison(call.row.oid)
        {
            return self.any_equal(&call.arguments[0], array);
        }
        let alias = format!("q{}", self.elements.len());
        let element_type = call.arguments.last().map_or(Oid::TEXT, |it| it.type_oid);
        let null_array = match over {
            Quantity::Array(array) => {
                self.out.push_str("CASE WHEN ");
                self.expr(array)?;
                self.out.push_str(" IS NULL THEN NULL ELSE ");
                true
            }
            Quantity::Query(_) => false,
        };
        self.out.push_str(if *all {
            "(SELECT CASE WHEN min(q) = 0 THEN 0 WHEN count(*) > count(q) THEN NULL ELSE 1 END FROM (SELECT "
        } else {
            "(SELECT CASE WHEN max(q) THEN 1 WHEN count(*) > count(q) THEN NULL ELSE 0 END FROM (SELECT "
        });
        let mut element = match over {
            Quantity::Array(_) => format!("\"{alias}\".value"),
            Quantity::Query(_) => format!("\"{alias}\".c1"),
        };
        if matches!(over, Quantity::Array(_)) && is_blob(self.types.base(element_type)) {
            element = format!("unhex({element})");
        }
        self.elements.push(element);
        let result = self.call(call);
        self.elements.pop();
        result?;
        self.out.push_str(" AS q FROM ");
        match over {
            Quantity::Array(array) => {
                self.out.push_str("json_each(");
                self.flat_array(array)?;
                self.out.push(')');
            }
            Quantity::Query(query) => {
                self.named_outputs = true;
                self.parenthesized(query)?;
            }
        }
        self.push(format_args!(" AS \"{alias}\"))"));
        if null_array {
            self.out.push_str(" END");
        }
        Ok(())
    }

    /// `x = ANY (array)`, in the form that uses an index on `x`.
    fn any_equal(&mut self, operand: &Expr, array: &Expr) -> Result<(), SqlError> {
        let hex = is_blob(self.types.base(operand.type_oid));
        self.out.push('(');
        self.equated(operand)?;
        self.out.push_str(if hex {
            " IN (SELECT unhex(value) FROM json_each(coalesce("
        } else {
            " IN (SELECT value FROM json_each(coalesce("
        });
        self.flat_array(array)?;
        self.out.push_str(", '[null]'))))");
        Ok(())
    }

    /// An array with all of its elements in one dimension.
    fn flat_array(&mut self, array: &Expr) -> Result<(), SqlError> {
        if let Node::Array(elements) = &array.node
            && !elements.iter().any(|it| self.is_array(it))
        {
            return self.expr(array);
        }
        self.out.push_str("pg_array_flat(");
        self.expr(array)?;
        self.push(format_args!(", {})", self.types.base(array.type_oid)));
        Ok(())
    }

    /// Whether an expression's values are arrays, other than the vectors.
    fn is_array(&self, expr: &Expr) -> bool {
        self.types.sub_element(expr.type_oid).is_some()
    }

    /// `ARRAY[…]`: blobs as hex; arrays inside are one dimension more.
    pub(super) fn array(&mut self, elements: &[Expr]) -> Result<(), SqlError> {
        if let Some(inner) = elements.first().filter(|first| self.is_array(first)) {
            let element = self.types.sub_element(inner.type_oid);
            self.out.push_str("pg_array_nest(");
            for element in elements {
                self.expr(element)?;
                self.out.push_str(", ");
            }
            self.push(format_args!("{})", element.unwrap_or(Oid::TEXT)));
            return Ok(());
        }
        if elements.len() <= FUNCTION_ARGUMENTS_MAX {
            return self.array_of(elements);
        }
        self.out.push_str("pg_array_pieces(");
        for (index, piece) in elements.chunks(FUNCTION_ARGUMENTS_MAX).enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.array_of(piece)?;
        }
        self.out.push(')');
        Ok(())
    }

    /// An array of no more elements than a function of SQLite's has arguments.
    fn array_of(&mut self, elements: &[Expr]) -> Result<(), SqlError> {
        self.out.push_str("json_array(");
        for (index, element) in elements.iter().enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.json_element(element)?;
        }
        self.out.push(')');
        Ok(())
    }

    /// A value as it goes into a JSON array.
    pub(super) fn json_element(&mut self, element: &Expr) -> Result<(), SqlError> {
        let (open, close) = self.json_wrapper(element.type_oid);
        self.out.push_str(open);
        self.expr(element)?;
        self.out.push_str(close);
        Ok(())
    }

    /// What a value of the type is wrapped in where it goes into a JSON array: blobs are hex there.
    pub(super) fn json_wrapper(&self, type_oid: Oid) -> (&'static str, &'static str) {
        if is_blob(self.types.base(type_oid)) {
            return ("pg_binary_encode(", ", 'hex')");
        }
        if self.types.base_element(type_oid).is_some() {
            // As text, not as JSON inside of JSON.
            return ("(", " || '')");
        }
        ("", "")
    }

    /// `array[i]…`: NULL outside of the array, and for fewer indexes than it has dimensions.
    pub(super) fn subscript(&mut self, subscript: &Subscript) -> Result<(), SqlError> {
        let Subscript { array, indexes, assigned } = subscript;
        if let Some(value) = assigned {
            return self.with_part(array, indexes, value);
        }
        if indexes.iter().any(|it| matches!(it, SubscriptIndex::Slice(..))) {
            return self.slice(array, indexes);
        }
        self.out.push_str("pg_array_subscript(");
        self.expr(array)?;
        self.push(format_args!(", {}", self.types.base(array.type_oid)));
        for index in indexes {
            if let SubscriptIndex::Element(index) = index {
                self.out.push_str(", ");
                self.expr(index)?;
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// `array[l:u]`. Beside a slice, an index `i` of another dimension means `1:i`.
    fn slice(&mut self, array: &Expr, indexes: &[SubscriptIndex]) -> Result<(), SqlError> {
        self.out.push_str("pg_array_slice(");
        self.expr(array)?;
        self.push(format_args!(", {}", self.types.base(array.type_oid)));
        self.bounds(indexes)?;
        self.out.push(')');
        Ok(())
    }

    /// The bounds of a slice as arguments.
    pub(super) fn bounds(&mut self, indexes: &[SubscriptIndex]) -> Result<(), SqlError> {
        for index in indexes {
            let (lower, upper) = match index {
                SubscriptIndex::Element(upper) => (None, Some(upper)),
                SubscriptIndex::Slice(lower, upper) => (lower.as_ref(), upper.as_ref()),
                SubscriptIndex::Field(_) => continue,
            };
            self.out.push_str(", ");
            match (index, lower) {
                (_, Some(lower)) => self.expr(lower)?,
                (SubscriptIndex::Element(_), None) => self.out.push('1'),
                (SubscriptIndex::Slice(..) | SubscriptIndex::Field(_), None) => {
                    self.out.push_str("x''");
                }
            }
            self.out.push_str(", ");
            match upper {
                Some(upper) => self.expr(upper)?,
                None => self.out.push_str("x''"),
            }
        }
        Ok(())
    }

    /// An array or a `jsonb` with a part of it replaced.
    fn with_part(
        &mut self,
        whole: &Expr,
        indexes: &[SubscriptIndex],
        value: &Expr,
    ) -> Result<(), SqlError> {
        let base = self.types.base(whole.type_oid);
        let slice = indexes.iter().any(|it| matches!(it, SubscriptIndex::Slice(..)));
        if let [SubscriptIndex::Field(field)] = indexes {
            self.out.push_str("pg_row_set(");
            self.expr(whole)?;
            self.push(format_args!(", {base}, {field}, "));
            self.expr(value)?;
            self.out.push(')');
            return Ok(());
        }
        self.out.push_str(match (base == Oid::JSONB, slice) {
            (true, _) => "pg_jsonb_assign(",
            (false, true) => "pg_array_set_slice(",
            (false, false) => "pg_array_set(",
        });
        self.expr(whole)?;
        if base != Oid::JSONB {
            self.push(format_args!(", {base}"));
        }
        self.out.push_str(", ");
        self.expr(value)?;
        if slice {
            self.bounds(indexes)?;
        } else {
            for index in indexes {
                if let SubscriptIndex::Element(index) = index {
                    self.out.push_str(", ");
                    self.expr(index)?;
                }
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// A value out of JSON whose storage is a blob is hex there.
    pub(super) fn open_blob(&mut self, type_oid: Oid) {
        if is_blob(self.types.base(type_oid)) {
            self.out.push_str("unhex");
        }
    }
}

/// Whether values of the type are stored as blobs.
pub(super) fn is_blob(base: Oid) -> bool {
    matches!(base, Oid::BYTEA | Oid::UUID)
        || Family::of(base).is_some_and(|it| it.storage_class() == StorageClass::Blob)
}
