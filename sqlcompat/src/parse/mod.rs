//! Text to syntax trees: one string of SQL becomes its statements, each with its own text and place.
//!
//! A string is tokenized once, cut at its top-level semicolons, and every piece goes first to the [`utility`] productions (the
//! statements that sqlparser lacks or reads differently) and then, after [`rewrite`](mod@rewrite) has spelled a few of
//! PostgreSQL's forms in a way that sqlparser knows, to sqlparser with PostgreSQL's dialect.
//!
//! # Invariants
//! 1. A statement's spans are relative to its own text: line 1, column 1 is its first character.
//! 2. Errors carry the position in the whole string, in characters from 1.
//!
//! # Bounds
//! - [`TEXT_BYTES_MAX`]: a longer string is refused with 54000.
//! - [`NAME_BYTES_MAX`]: a longer name is cut, with a notice.
//! - [`DEPTH_MAX`]: deeper nesting of parentheses and the like is refused with 54001, before any recursion has begun.

mod dialect;
mod precedence;
pub mod rewrite;
pub mod split;
pub mod utility;

use sqlparser::ast::Statement;

pub use crate::types::scalar::NAME_BYTES_MAX;
pub use split::{DEPTH_MAX, TEXT_BYTES_MAX, expression, split};
pub use utility::UtilityAst;

/// One statement of a string, parsed.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    /// Its syntax tree.
    pub ast: StatementAst,
    /// Its text, without the semicolon and without surrounding blanks.
    pub text: String,
    /// Where its text starts in the whole string, in bytes.
    pub offset_bytes: usize,
    /// Where its text starts in the whole string, in characters; error positions are relative to the statement plus this.
    pub offset_chars: u32,
    /// Names in it that were longer than a name may be, as they were, and as they are: each is a notice (42622).
    pub shortened: Vec<(String, String)>,
}

impl ParsedStatement {
    /// Whether PostgreSQL looks at more than its grammar only when it is run, not when it is prepared: all statements but
    /// queries, those that change rows, and those that hold one of these (`transformStmt` in `parser/analyze.c`).
    #[must_use]
    pub fn is_analysed_when_run(&self) -> bool {
        match &self.ast {
            StatementAst::Sql(statement) => !matches!(
                **statement,
                Statement::Query(_)
                    | Statement::Insert(_)
                    | Statement::Update(_)
                    | Statement::Delete(_)
                    | Statement::Merge(_)
            ),
            StatementAst::Utility(utility) => match &**utility {
                UtilityAst::Declare { .. } | UtilityAst::Explain { .. } => false,
                UtilityAst::Ddl(ddl) => !ddl.is_filled(),
                _ => true,
            },
        }
    }
}

/// A syntax tree, by who binds it.
#[derive(Clone, Debug)]
pub enum StatementAst {
    /// A query, a data-modifying statement or DDL that sqlparser reads.
    Sql(Box<Statement>),
    /// A statement of our own productions.
    Utility(Box<UtilityAst>),
}
