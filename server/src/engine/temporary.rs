//! `ON COMMIT`: what becomes of temporary tables when a transaction commits.
//!
//! Called inside the transaction that is about to commit, so that its rows, and the tables it drops, go with it or not at
//! all. A transaction that wrote nothing has nothing to do: what an earlier one left was dealt with at its own end.
//!
//! Source: PostgreSQL 15 manual, `CREATE TABLE`, ON COMMIT.

use trellis_sqlcompat::SqlError;
use trellis_sqlcompat::bind::{self, BindContext, Parameters};
use trellis_sqlcompat::builtin::quote_identifier;
use trellis_sqlcompat::parse;
use trellis_sqlcompat::plan::PlanKind;
use trellis_sqlcompat::schema::{OnCommit, SchemaStatement, Table, physical};
use trellis_sqlcompat::settings::FormatSettings;

use super::session_engine::SqliteEngine;

impl SqliteEngine {
    /// Empties the tables that are `ON COMMIT DELETE ROWS`, and drops those that are `ON COMMIT DROP`.
    ///
    /// # Errors
    /// What SQLite reports; the transaction is then to be rolled back.
    pub(super) fn act_on_commit(&mut self) -> Result<(), SqlError> {
        let having = |wanted: OnCommit| {
            let tables = self.schema.catalog.tables.values();
            let tables = tables.filter(move |table| table.on_commit == Some(wanted));
            tables.cloned().collect::<Vec<Table>>()
        };
        let (emptied, dropped) = (having(OnCommit::DeleteRows), having(OnCommit::Drop));
        if !emptied.is_empty() {
            // They may refer to each other; the next COMMIT switches this off again.
            self.execute("PRAGMA defer_foreign_keys = 1")?;
        }
        for table in &emptied {
            let name = physical::quote(&table.physical_name);
            self.execute(&format!("DELETE FROM {}.{name}", table.database()))?;
        }
        for table in &dropped {
            if let Some(statement) = self.drop_of(table)? {
                self.apply_schema_change(&statement)?;
            }
        }
        Ok(())
    }

    /// `DROP TABLE … CASCADE` of a temporary table.
    fn drop_of(&self, table: &Table) -> Result<Option<SchemaStatement>, SqlError> {
        let text =
            format!("DROP TABLE IF EXISTS pg_temp.{} CASCADE", quote_identifier(&table.name));
        let context = BindContext {
            catalog: &self.schema.catalog,
            search_path: &["pg_temp".to_owned()],
            user: "",
            database: "",
            settings: &FormatSettings::default(),
            parameters: Parameters::None,
        };
        let Some(parsed) = parse::split(&text)?.pop() else { return Ok(None) };
        Ok(match bind::plan(&parsed, &context)?.kind {
            PlanKind::Schema(statement) => Some(*statement),
            PlanKind::Query(_)
            | PlanKind::Write(_)
            | PlanKind::Session(_)
            | PlanKind::Empty
            | PlanKind::Deferred => None,
        })
    }
}
