//! Names of output columns, as PostgreSQL gives them to expressions without an alias.
//!
//! A column lends its name, a function its own, a cast its operand's or else its type's; everything else is `?column?`.

use sqlparser::ast::{self, DataType, Expr, ObjectNamePart};

use super::binder::Binder;

/// What PostgreSQL calls an expression that has no better name.
const ANONYMOUS: &str = "?column?";

/// The name of an output column without an alias.
#[must_use]
pub(crate) fn output_name(expr: &Expr) -> String {
    candidate(expr).map_or_else(|| ANONYMOUS.to_owned(), |(name, _)| name)
}

/// How much a name says: a type's or `case` gives way to the name of what is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

fn strong(name: impl Into<String>) -> Option<(String, Strength)> {
    Some((name.into(), Strength::Strong))
}

fn candidate(expr: &Expr) -> Option<(String, Strength)> {
    match expr {
        Expr::Identifier(ident) => strong(Binder::name(ident)),
        Expr::CompoundIdentifier(idents) => strong(Binder::name(idents.last()?)),
        Expr::Nested(inner) => candidate(inner),
        Expr::Collate { expr, .. } => candidate(expr),
        Expr::Function(function) => match function.name.0.last()? {
            ObjectNamePart::Identifier(ident) => strong(function_name(&Binder::name(ident))),
            ObjectNamePart::Function(_) => None,
        },
        Expr::Cast { expr, data_type, .. } => or_weak(candidate(expr), type_name(data_type)),
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), Strength::Weak)),
        Expr::Interval(_) => Some(("interval".to_owned(), Strength::Weak)),
        Expr::Case { else_result, .. } => {
            let inner = else_result.as_deref().and_then(candidate);
            or_weak(inner, "case".to_owned())
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                ast::AccessExpr::Dot(Expr::Identifier(ident)) => Some(Binder::name(ident)),
                ast::AccessExpr::Dot(_) | ast::AccessExpr::Subscript(_) => None,
            });
            match field {
                Some(field) => strong(field),
                None => candidate(root),
            }
        }
        Expr::Exists { negated: false, .. } => strong("exists"),
        Expr::Subquery(query) => strong(query_name(query)?),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { shorthand, .. } => {
            strong(if *shorthand { "substr" } else { "substring" })
        }
        Expr::Overlay { .. } => strong("overlay"),
        Expr::BinaryOp { op: ast::BinaryOperator::Overlaps, .. } => strong("overlaps"),
        Expr::IsNormalized { negated: false, .. } => strong("is_normalized"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            Some(ast::TrimWhereField::Both) | None => "btrim",
        }),
        _ => None,
    }
}

/// The name inside, unless it is weak or missing.
fn or_weak(inner: Option<(String, Strength)>, otherwise: String) -> Option<(String, Strength)> {
    match inner {
        Some((name, Strength::Strong)) => strong(name),
        Some((_, Strength::Weak)) | None => Some((otherwise, Strength::Weak)),
    }
}

/// Names that the grammar turns into calls of others.
fn function_name(name: &str) -> &str {
    match name {
        "user" => "user",
        other => other,
    }
}

/// A scalar subquery is named after its output column.
fn query_name(query: &ast::Query) -> Option<String> {
    let mut body = &*query.body;
    loop {
        match body {
            ast::SetExpr::Select(select) => {
                return match select.projection.first()? {
                    ast::SelectItem::UnnamedExpr(expr) => Some(output_name(expr)),
                    ast::SelectItem::ExprWithAlias { alias, .. } => Some(Binder::name(alias)),
                    _ => None,
                };
            }
            ast::SetExpr::SetOperation { left, .. } => body = left,
            ast::SetExpr::Query(inner) => body = &inner.body,
            ast::SetExpr::Values(_) => return Some("column1".to_owned()),
            _ => return None,
        }
    }
}

/// The internal name of a type as written: `int4` for `integer`.
fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Character(_) | DataType::Char(_) => "bpchar",
        DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Varchar(_)
        | DataType::Nvarchar(_) => "varchar",
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric",
        DataType::Int2(_) | DataType::SmallInt(_) => "int2",
        DataType::Int(_) | DataType::Int4(_) | DataType::Integer(_) => "int4",
        DataType::Int8(_) | DataType::BigInt(_) => "int8",
        DataType::Float4 | DataType::Real => "float4",
        DataType::Float(ast::ExactNumberInfo::Precision(1..=24)) => "float4",
        DataType::Float(_) | DataType::Float8 | DataType::DoublePrecision => "float8",
        DataType::Bool | DataType::Boolean => "bool",
        DataType::Time(_, zone) if zoned(zone) => "timetz",
        DataType::Time(..) => "time",
        DataType::Timestamp(_, zone) if zoned(zone) => "timestamptz",
        DataType::Timestamp(..) => "timestamp",
        DataType::Interval { .. } => "interval",
        DataType::Bit(_) => "bit",
        DataType::BitVarying(_) | DataType::VarBit(_) => "varbit",
        DataType::Array(
            ast::ArrayElemTypeDef::SquareBracket(element, _)
            | ast::ArrayElemTypeDef::Qualified(element, _),
        ) => return type_name(element),
        DataType::Custom(name, _) => {
            return match name.0.last() {
                Some(ObjectNamePart::Identifier(ident)) => Binder::name(ident),
                _ => ANONYMOUS.to_owned(),
            };
        }
        other => return other.to_string().to_ascii_lowercase(),
    };
    name.to_owned()
}

fn zoned(zone: &ast::TimezoneInfo) -> bool {
    matches!(zone, ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz)
}
