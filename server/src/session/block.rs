//! `DO` blocks of the one form that clients send, and what is told of statements beside their answers.

use trellis_sqlcompat::bind::Parameters;
use trellis_sqlcompat::parse::ParsedStatement;
use trellis_sqlcompat::{SqlError, SqlState};

use super::port::Engine;
use super::portal::Ran;
use super::session::Session;
use super::transaction::Block;
use crate::wire::backend::Severity;

impl<E: Engine> Session<E> {
    /// Runs the statement of a block; what it was told to ignore does not fail it.
    pub(super) fn run_do(
        &mut self,
        statement: &str,
        ignored: &[SqlState],
    ) -> Result<Ran<E::Rows>, SqlError> {
        let parsed = self.engine.parse(statement)?;
        let ran = parsed.iter().try_for_each(|statement| {
            let plan = self.plan_statement(statement, Parameters::None)?;
            self.run_bound(&plan, &[]).map(|_| ())
        });
        match ran {
            Err(error) if !ignored.contains(&error.state) => Err(error),
            Ok(()) | Err(_) => Ok(Ran::Done("DO".to_owned())),
        }
    }

    /// Notices for the names of a statement that were too long.
    pub(super) fn report_shortened(&mut self, statement: &ParsedStatement) {
        for (long, short) in &statement.shortened {
            let message = format!("identifier \"{long}\" will be truncated to \"{short}\"");
            let notice = SqlError::new(SqlState(*b"42622"), message);
            self.out.report(Severity::Notice, &notice);
        }
    }

    /// 25P01 as a warning.
    pub(super) fn warn_outside_block(&mut self, command: &str) {
        if !matches!(self.transaction.block, Block::Idle | Block::Implicit) {
            return;
        }
        let message = format!("{command} can only be used in transaction blocks");
        let warning = SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
        self.out.report(Severity::Warning, &warning);
    }
}
