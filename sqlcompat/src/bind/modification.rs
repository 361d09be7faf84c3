//! Data-modifying statements once they are bound, and the plan of one that stands alone.
//!
//! Most become one statement of SQLite's. One that SQLite would compute from rows that it has changed already, or whose
//! RETURNING reads what SQLite's cannot, becomes several ([`super::steps`]).

use sqlparser::ast::Statement;

use super::binder::Binder;
use super::check_option::Checks;
use super::conflict::Conflict;
use super::context::BindContext;
use super::insert::Rows;
use super::steps::{Rest, Steps};
use super::target::{Returning, Target};
use super::tree::{Cte, Expr, FromItem};
use crate::error::SqlError;
use crate::plan::{Plan, WriteVerb};
use crate::schema::Column;

/// A bound data-modifying statement.
pub(crate) struct Modification<'a> {
    /// What it writes.
    pub(crate) target: Target<'a>,
    /// What it does.
    pub(crate) change: Change<'a>,
    /// CTEs of its own.
    pub(crate) ctes: Vec<Cte>,
    /// `RETURNING`.
    pub(crate) returning: Option<Returning>,
    /// What a view's check option asks of new rows.
    pub(crate) checks: Checks,
}

/// What a data-modifying statement does to its target.
pub(crate) enum Change<'a> {
    /// Adds rows.
    Insert(Box<Rows<'a>>, Option<Box<Conflict<'a>>>),
    /// Changes rows.
    Update {
        /// `SET`.
        assigned: Vec<(&'a Column, Expr)>,
        /// `FROM`.
        from: Vec<FromItem>,
        /// `WHERE`.
        filter: Option<Expr>,
        /// SQLite would compute `SET` from rows that it has changed: a query in it reads the target, or gives several columns.
        computed_first: bool,
    },
    /// Removes rows.
    Delete {
        /// `USING`.
        using: Vec<FromItem>,
        /// `WHERE`.
        filter: Option<Expr>,
    },
}

impl Change<'_> {
    /// The word of the command tag.
    pub(crate) fn verb(&self) -> WriteVerb {
        match self {
            Self::Insert(..) => WriteVerb::Insert,
            Self::Update { .. } => WriteVerb::Update,
            Self::Delete { .. } => WriteVerb::Delete,
        }
    }
}

/// Plans a data-modifying statement without WITH.
///
/// # Errors
/// What PostgreSQL's parse analysis reports; 0A000 for what is not translated.
pub(crate) fn plan(
    statement: &Statement,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
    let mut binder = Binder::new(cx, text);
    let modification = binder.modification(statement)?;
    plan_bound(binder, &modification)
}

/// Plans a data-modifying statement that has been bound.
///
/// # Errors
/// What lowering reports.
pub(crate) fn plan_bound<'a>(
    binder: Binder<'a>,
    modification: &Modification<'a>,
) -> Result<Plan, SqlError> {
    let verb = modification.change.verb();
    let returned = modification.returning.as_ref();
    let columns = returned.map(|returning| binder.result_columns(&returning.columns));
    let mut steps = Steps::new(binder);
    let result = steps.modify(modification, &[], &Rest::default())?;
    steps.show(result);
    steps.finish(verb, columns)
}

impl<'a> Binder<'a> {
    /// Binds an INSERT, UPDATE or DELETE.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for other statements.
    pub(crate) fn modification(
        &mut self,
        statement: &Statement,
    ) -> Result<Modification<'a>, SqlError> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            other => {
                let word: String = other.to_string().chars().take_while(|c| *c != ' ').collect();
                Err(SqlError::unsupported(format!("{word} here")))
            }
        }
    }
}
