//! Which collation gives SQLite a type's order, and where it has to be said.
//!
//! A column of a table is declared with its type's collation, which SQLite then uses by itself; said again it would keep SQLite
//! from recognizing the column in comparisons of rows and in `OR`.

use super::expression::Lowering;
use crate::bind::resolve::Types;
use crate::bind::tree::{ColumnSql, ELEMENT, Expr, Node, Relation, Source};
use crate::builtin::TypeKind;
use crate::oid::Oid;
use crate::types::family::Family;

/// The collation of a type whose storage form does not order by itself; empty for all others.
#[must_use]
pub(super) fn collation(types: Types<'_>, type_oid: Oid) -> String {
    let base = types.base(type_oid);
    let fixed = match base {
        Oid::INT4 | Oid::TEXT | Oid::INT8 | Oid::BOOL | Oid::TIMESTAMPTZ | Oid::UUID => "",
        Oid::NUMERIC => "pg_numeric",
        Oid::BPCHAR => "pg_bpchar",
        Oid::TIMETZ => "pg_timetz",
        Oid::INTERVAL => "pg_interval",
        Oid::JSONB => "pg_jsonb",
        Oid::RECORD => "pg_record",
        _ => return derived(types, base),
    };
    fixed.to_owned()
}

impl Lowering<'_> {
    /// Whether an expression is a column of a table that is declared with this collation, that of the expression's type.
    pub(super) fn collates_itself(&self, expr: &Expr, wanted: &str) -> bool {
        let (relation, index) = match &expr.node {
            Node::Column(relation, index) if *relation != ELEMENT => (*relation, *index),
            _ => return false,
        };
        let relation = self.relations.get(relation);
        let column = &relation.columns[usize::from(index)];
        let named = matches!(column.sql, ColumnSql::Name(_));
        named
            && column.type_oid == expr.type_oid
            && self.has_declared_columns(relation)
            && self.types.declared_collation(expr.type_oid).as_deref() == Some(wanted)
    }

    /// Whether the columns of a relation are those of one of the user's tables.
    fn has_declared_columns(&self, relation: &Relation) -> bool {
        match &relation.source {
            Source::Table(_, oid) => {
                !self.snapshot.contains_key(oid) && self.types.is_user_table(*oid)
            }
            // The target of a write, or the table that an expression of the schema is about; SQLite's `excluded` is no table.
            Source::Given if relation.qualifier.is_empty() => self.unqualified,
            Source::Given => {
                let of_table = relation.columns.first().is_some_and(|it| it.origin.is_some());
                of_table && relation.qualifier != "excluded"
            }
            Source::Query(_) | Source::OnlyRow(_) | Source::Cte(_) | Source::Function(_) => false,
        }
    }
}

fn derived(types: Types<'_>, base: Oid) -> String {
    if types.holds_enum(base) && !types.is_enum(base) {
        return format!("pg_type_{base}");
    }
    if let Some(element) = types.element(base) {
        return match types.base(element) {
            Oid::NUMERIC => "pg_array_numeric",
            Oid::INTERVAL => "pg_array_interval",
            Oid::JSONB => "pg_array_jsonb",
            Oid::BPCHAR => "pg_array_bpchar",
            other => match Family::of(other).and_then(Family::collation) {
                Some("pg_range") => "pg_array_range",
                Some("pg_multirange") => "pg_array_multirange",
                Some(_) => "pg_array",
                None if types.range_of(other).is_some() => "pg_array_range",
                None if types.range_of_multirange(other).is_some() => "pg_array_multirange",
                None if types.is_composite(other) || other == Oid::RECORD => "pg_array_record",
                None => "pg_array",
            },
        }
        .to_owned();
    }
    if let Some(family) = Family::of(base) {
        return family.collation().unwrap_or_default().to_owned();
    }
    match types.info(base).map(|info| info.kind) {
        Some(TypeKind::Enum) => format!("pg_enum_{base}"),
        Some(TypeKind::Composite) => "pg_record".to_owned(),
        Some(TypeKind::Range) => "pg_range".to_owned(),
        Some(TypeKind::Multirange) => "pg_multirange".to_owned(),
        Some(TypeKind::Base | TypeKind::Domain | TypeKind::Pseudo) | None => String::new(),
    }
}
