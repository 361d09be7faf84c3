//! What a statement has changed so far, and how its later parts see it: as it was.

use super::from::table_sql;
use super::modification::{Change, Modification};
use super::steps::{Rest, Steps, kept_rows};
use crate::error::SqlError;
use crate::lower::quote_identifier;
use crate::schema::{ForeignKey, ForeignKeyAction, Table};

/// What is known of a table that has been changed.
#[derive(Default)]
pub(crate) struct Before {
    /// Queries of old images of rows.
    pub(crate) images: Vec<String>,
    /// Queries of the row numbers of rows that have come or changed.
    pub(crate) changed: Vec<String>,
    /// The query of the whole table, where it was kept whole.
    pub(crate) whole: Option<String>,
}

impl Before {
    /// The table as it was.
    pub(crate) fn query(&self, table: &Table) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut text = format!("SELECT {} FROM {}", column_list(table), table_sql(table));
        if !self.changed.is_empty() {
            text.push_str(" WHERE rowid NOT IN (");
            text.push_str(&self.changed.join(" UNION ALL "));
            text.push(')');
        }
        for image in &self.images {
            text.push_str(" UNION ALL ");
            text.push_str(image);
        }
        text
    }
}

impl<'a> Steps<'a> {
    /// The row numbers that a later part leaves alone, as a query.
    pub(crate) fn spared(&self, table: &Table) -> Option<String> {
        let before = self.before.get(&table.oid)?;
        (!before.changed.is_empty()).then(|| before.changed.join(" UNION ALL "))
    }

    /// Keeps tables whole that foreign keys' actions may change and that are read later; the target too, where rows that an
    /// ON CONFLICT finds are changed.
    ///
    /// # Errors
    /// What lowering reports.
    pub(crate) fn keep_what_follows(
        &mut self,
        part: &Modification<'a>,
        rest: &Rest,
    ) -> Result<(), SqlError> {
        let target = part.target.table;
        let mut whole: Vec<&Table> = match &part.change {
            Change::Insert(_, conflict) => {
                let updates = conflict.as_ref().is_some_and(|it| it.update.is_some());
                if updates && rest.sees(target.oid) { vec![target] } else { Vec::new() }
            }
            Change::Update { .. } => self.acted_on(target, |it| it.on_update),
            Change::Delete { .. } => self.acted_on(target, |it| it.on_delete),
        };
        whole.retain(|table| rest.sees(table.oid));
        for table in whole {
            self.keep_whole(table)?;
        }
        Ok(())
    }

    /// The tables whose rows foreign keys change along with a table's, itself among them where one refers to it.
    fn acted_on(
        &self,
        table: &Table,
        action: impl Fn(&ForeignKey) -> ForeignKeyAction,
    ) -> Vec<&'a Table> {
        let catalog = self.binder.cx.catalog;
        let mut found: Vec<&'a Table> = Vec::new();
        let mut pending = vec![table.oid];
        while let Some(oid) = pending.pop() {
            for other in catalog.tables.values() {
                let acts = other.foreign_keys.iter().any(|key| {
                    let passive = matches!(
                        action(key),
                        ForeignKeyAction::NoAction | ForeignKeyAction::Restrict
                    );
                    key.references == oid && !passive
                });
                if acts && !found.iter().any(|it| it.oid == other.oid) {
                    found.push(other);
                    pending.push(other.oid);
                }
            }
        }
        found
    }

    /// Whether deleting a row of the table may change or delete other rows of it, as in a tree.
    pub(crate) fn deletes_more(&self, table: &Table) -> bool {
        self.acted_on(table, |it| it.on_delete).iter().any(|it| it.oid == table.oid)
    }

    fn keep_whole(&mut self, table: &Table) -> Result<(), SqlError> {
        if self.before.get(&table.oid).is_some_and(|before| before.whole.is_some()) {
            return Ok(());
        }
        let query = self.before.get(&table.oid).map_or_else(
            || format!("SELECT {} FROM {}", column_list(table), table_sql(table)),
            |before| before.query(table),
        );
        let step = self.step(|lowering| {
            lowering.out.push_str(&query);
            Ok(())
        })?;
        self.keep(step);
        let whole = image(table, step, 1, table.columns.len());
        self.before.entry(table.oid).or_default().whole = Some(whole);
        Ok(())
    }
}

/// A table's columns, quoted.
fn column_list(table: &Table) -> String {
    let names = table.columns.iter().map(|column| quote_identifier(&column.physical_name));
    names.collect::<Vec<_>>().join(", ")
}

/// The query of a table's rows among kept ones, whose columns begin at `first`.
pub(crate) fn image(table: &Table, step: usize, first: usize, width: usize) -> String {
    let named = (first..).zip(&table.columns).map(|(number, column)| {
        format!("c{number} AS {}", quote_identifier(&column.physical_name))
    });
    let list = named.collect::<Vec<_>>().join(", ");
    format!("SELECT {list} FROM {}", kept_rows(step, width))
}
