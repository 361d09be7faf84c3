//! Expressions and queries that live in the schema: defaults, checks, generated columns, index keys, views.

use sqlparser::ast::{Expr, Query};

use super::binder::{Binder, Noted};
use super::context::{BindContext, Parameters};
use super::scope::{CallRules, Scope};
use super::tree::{ColumnSql, Node, Relation, RelationColumn, Source};
use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::lower::Lowering;
use crate::oid::Oid;
use crate::plan::{CatalogReads, ResultColumn};
use crate::schema::{Column, NameUse, Table, View};

/// What names a schema expression may use.
#[derive(Clone, Copy, Debug)]
pub enum ScalarScope<'a> {
    /// None: a DEFAULT.
    Nothing,
    /// The columns of one table, by their names or the table's: CHECK, generated columns, indexes.
    Table {
        /// Name of the table.
        name: &'a str,
        /// Its columns; rendered by their physical names, unqualified.
        columns: &'a [Column],
    },
    /// `VALUE` of this type: a domain's CHECK. Rendered as `?1`.
    DomainValue(Oid, i32),
}

impl<'a> ScalarScope<'a> {
    /// The columns of a table.
    #[must_use]
    pub fn over(table: &'a Table) -> Self {
        Self::Table { name: &table.name, columns: &table.columns }
    }
}

/// Where a schema expression stands: what errors call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaPlace {
    /// `DEFAULT`.
    Default,
    /// `CHECK`.
    Check,
    /// `GENERATED ALWAYS AS`.
    Generated,
    /// A key of an index.
    IndexKey,
    /// `WHERE` of an index.
    IndexPredicate,
    /// `USING` of a change of type.
    Transform,
}

impl SchemaPlace {
    /// Expressions of the place.
    fn plural(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT expressions",
            Self::Check => "check constraints",
            Self::Generated => "column generation expressions",
            Self::IndexKey => "index expressions",
            Self::IndexPredicate => "index predicates",
            Self::Transform => "transform expressions",
        }
    }

    /// An expression of the place.
    #[must_use]
    pub fn singular(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT expression",
            Self::Check => "check constraint",
            Self::Generated => "column generation expression",
            Self::IndexKey => "index expression",
            Self::IndexPredicate => "index predicate",
            Self::Transform => "transform expression",
        }
    }
}

/// A schema expression, bound and lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredScalar {
    /// SQLite text.
    pub sql: String,
    /// Its type.
    pub type_oid: Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// Whether it depends on nothing but its columns, so that SQLite may keep it in an index or a generated column.
    pub immutable: bool,
    /// Whether it is a literal, so that SQLite may keep it as a DEFAULT.
    pub constant: bool,
    /// The names of the user's types, and constants that name something of the user's, in the text, in order.
    pub names: Vec<NameUse<Oid>>,
    /// The user's functions that it calls.
    pub functions: BTreeSet<Oid>,
}

/// A query, bound and lowered.
#[derive(Clone, Debug)]
pub struct LoweredQuery {
    /// SQLite text.
    pub sql: String,
    /// Its output columns.
    pub columns: Vec<ResultColumn>,
    /// What of the catalog it reads.
    pub reads: CatalogReads,
    /// A materialized view that it reads and that has no rows yet.
    pub unpopulated: Option<String>,
    /// Its PostgreSQL text.
    pub text: String,
    /// The names of user relations and types in that text, in order.
    pub names: Vec<NameUse<Oid>>,
    /// The user's functions that it calls.
    pub functions: BTreeSet<Oid>,
    /// The columns that it reads itself: relations and attribute numbers, 0 for a whole row.
    pub used: BTreeSet<(Oid, i16)>,
}

/// Binds an expression of the schema; `expected` is the type it is assigned to, with its modifier.
///
/// # Errors
/// As [`super::plan`]; 42804 if the expression's type does not go into `expected`; 42P02 for a parameter.
pub fn bind_scalar_expression(
    expr: &Expr,
    text: &str,
    scope: ScalarScope<'_>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> Result<LoweredScalar, SqlError> {
    let place = match scope {
        ScalarScope::Nothing => SchemaPlace::Default,
        ScalarScope::Table { .. } | ScalarScope::DomainValue(..) => SchemaPlace::Check,
    };
    bind_expression_in(place, expr, text, scope, expected, cx)
}

/// [`bind_scalar_expression`] of an expression in a place of its own.
///
/// # Errors
/// The same.
pub fn bind_expression_in(
    place: SchemaPlace,
    expr: &Expr,
    text: &str,
    scope: ScalarScope<'_>,
    expected: Option<(Oid, i32)>,
    cx: &BindContext<'_>,
) -> Result<LoweredScalar, SqlError> {
    let cx = BindContext { parameters: Parameters::None, ..*cx };
    let mut binder = Binder::new(&cx, text);
    binder.queryless = matches!(scope, ScalarScope::Table { .. });
    binder.noted = Some(RefCell::default());
    binder.enter_scalar_scope(scope)?;
    let clause = place.plural();
    let rules = CallRules {
        no_aggregates: Some(clause),
        no_windows: Some(clause),
        no_sets: Some(clause),
        ..CallRules::default()
    };
    binder.scope().calls = rules;
    let bound = binder.expr(expr)?;
    let bound = match expected {
        Some((target, typmod)) => binder.assign_scalar(bound, target, typmod)?,
        None if bound.is_unknown() => binder.implicit(bound, Oid::TEXT)?,
        None => bound,
    };
    binder.refuse_parameters()?;
    let names = binder.take_noted().names;
    let constant = is_constant(&bound);
    let (type_oid, typmod) = (bound.type_oid, bound.typmod);
    let mut lowering = Lowering::new(binder.types, &binder.relations);
    lowering.unqualified = true;
    lowering.expr(&bound)?;
    let (sql, immutable) = (lowering.out, !lowering.volatile);
    let functions = binder.called;
    Ok(LoweredScalar { sql, type_oid, typmod, immutable, constant, names, functions })
}

/// Binds a query that defines a view or fills a table; `within` is the view whose text it is, once there is one. It must not
/// have parameters.
///
/// # Errors
/// As [`super::plan`]; 42P02 for a parameter.
pub fn bind_query(
    query: &Query,
    text: &str,
    within: Option<&View>,
    cx: &BindContext<'_>,
) -> Result<LoweredQuery, SqlError> {
    if super::modifying_with::is_modifying(query) {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "views must not contain data-modifying statements in WITH",
        ));
    }
    let cx = BindContext { parameters: Parameters::None, ..*cx };
    let mut binder = Binder::new(&cx, text);
    binder.noted = Some(RefCell::default());
    binder.within = within;
    let bound = binder.subquery(query)?;
    binder.refuse_parameters()?;
    let Noted { names, columns: used } = binder.take_noted();
    let step = binder.lowered(|lowering| lowering.query(&bound))?;
    let columns = binder.result_columns(&bound.columns);
    Ok(LoweredQuery {
        sql: step.sql,
        columns,
        reads: binder.reads,
        unpopulated: binder.unpopulated,
        text: text.to_owned(),
        names,
        functions: binder.called,
        used,
    })
}

impl Binder<'_> {
    /// What was noted, in the order of the text.
    fn take_noted(&mut self) -> Noted {
        let mut noted = self.noted.take().map(RefCell::into_inner).unwrap_or_default();
        noted.names.sort_by_key(|name| name.start);
        noted.names.dedup_by_key(|name| name.start);
        noted
    }

    /// Brings the names of a schema expression into scope.
    fn enter_scalar_scope(&mut self, scope: ScalarScope<'_>) -> Result<(), SqlError> {
        let (alias, columns) = match scope {
            ScalarScope::Nothing => return Ok(()),
            ScalarScope::Table { name, columns } => {
                let columns = columns.iter().map(|column| RelationColumn {
                    name: column.name.clone(),
                    sql: ColumnSql::Name(column.physical_name.clone()),
                    type_oid: column.type_oid,
                    typmod: column.typmod,
                    origin: None,
                    not_null: column.not_null,
                    system: false,
                });
                (name.to_owned(), columns.collect())
            }
            ScalarScope::DomainValue(type_oid, typmod) => {
                let value = RelationColumn {
                    name: "value".to_owned(),
                    sql: ColumnSql::Constant("?1".to_owned()),
                    type_oid,
                    typmod,
                    origin: None,
                    not_null: false,
                    system: false,
                };
                (String::new(), vec![value])
            }
        };
        let relation = Relation {
            alias,
            qualifier: String::new(),
            columns,
            source: Source::Given,
            optional: false,
        };
        let id = self.relations.add(relation);
        self.scopes.push(Scope::default());
        let names = self.names_of(id, None);
        self.add_names(names)
    }

    /// Coerces a schema expression to the type it is kept in.
    fn assign_scalar(
        &mut self,
        bound: super::tree::Expr,
        target: Oid,
        typmod: i32,
    ) -> Result<super::tree::Expr, SqlError> {
        let found = bound.type_oid;
        let at = bound.at;
        self.coerce(bound, target, typmod, CastContext::Assignment).map_err(|error| {
            if found == Oid::UNKNOWN || error.state != SqlState::DATATYPE_MISMATCH {
                return error;
            }
            let (wanted, found) = (self.types.format(target), self.types.format(found));
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("expression is of type {found} where type {wanted} is expected"),
            )
            .at(at.position())
        })
    }

    fn refuse_parameters(&self) -> Result<(), SqlError> {
        if self.parameters.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"))
    }
}

/// Whether an expression is a literal, relabelled perhaps.
fn is_constant(expr: &super::tree::Expr) -> bool {
    match &expr.node {
        Node::Literal(_) => true,
        Node::Relabel(inner) => is_constant(inner),
        _ => false,
    }
}
