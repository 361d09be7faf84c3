//! Options of views and defaults of their columns.
//!
//! Source: PostgreSQL 15 manual, `sql-createview` and `sql-alterview`.

use super::edit::{Edit, undefined_column};
use super::storage_option::{self, Owner};
use crate::bind::updatability;
use crate::error::{SqlError, SqlState};
use crate::parse::utility::{ObjectName, SourceText, StorageOption};
use crate::schema::catalog::{CheckOption, View};
use crate::schema::definition::ViewDefinition;
use crate::schema::lookup::Relation;

/// The name of the option that `WITH CHECK OPTION` sets.
const CHECK_OPTION: &str = "check_option";

impl Edit<'_> {
    /// The options of a view as they are kept, `name=value`; `check` is `WITH … CHECK OPTION`.
    ///
    /// # Errors
    /// 22023 for unknown, repeated and malformed ones; 0A000 for a check option on a query that is not updatable.
    pub(super) fn view_options(
        &self,
        options: &[StorageOption],
        check: Option<CheckOption>,
        query: &str,
    ) -> Result<Vec<String>, SqlError> {
        let word = check.map(|check| match check {
            CheckOption::Local => "local",
            CheckOption::Cascaded => "cascaded",
        });
        let clause = word.map(|word| StorageOption {
            namespace: None,
            name: CHECK_OPTION.to_owned(),
            value: Some(word.to_owned()),
        });
        let all: Vec<StorageOption> = options.iter().cloned().chain(clause).collect();
        let kept = storage_option::set(&[], &all, Owner::View)?;
        self.require_checkable(&all, query, None)?;
        Ok(kept)
    }

    /// A check option needs a view that is updatable.
    fn require_checkable(
        &self,
        options: &[StorageOption],
        query: &str,
        of: Option<&View>,
    ) -> Result<(), SqlError> {
        if !options.iter().any(|it| it.name == CHECK_OPTION) {
            return Ok(());
        }
        let reason = match updatability(query, of, &self.context())? {
            Err(reason) => reason,
            Ok(found) if found.columns.iter().any(Result::is_ok) => return Ok(()),
            Ok(_) => "Views that have no updatable columns are not automatically updatable.",
        };
        let message = "WITH CHECK OPTION is supported only on automatically updatable views";
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(reason))
    }

    /// `ALTER VIEW … SET (…)`, or `RESET (…)`.
    ///
    /// # Errors
    /// As [`Self::view_options`].
    pub(super) fn alter_view_options(
        &mut self,
        name: &ObjectName,
        options: &[StorageOption],
        set: bool,
    ) -> Result<(), SqlError> {
        let view = self.altered_view(name)?;
        let options = if set {
            let kept = storage_option::set(&view.options, options, Owner::View)?;
            self.require_checkable(options, &view.query, Some(&view))?;
            kept
        } else {
            storage_option::reset(&view.options, options)?
        };
        self.redefine(view.id, |definition: &mut ViewDefinition| definition.options = options);
        self.relink();
        Ok(())
    }

    fn altered_view(&self, name: &ObjectName) -> Result<View, SqlError> {
        match self.relation(name)? {
            Some(Relation::View(view)) => Ok(view.clone()),
            _ => Err(super::edit::undefined_relation(name)),
        }
    }

    /// `ALTER VIEW … ALTER COLUMN … SET DEFAULT`; without a text, `DROP DEFAULT`.
    ///
    /// # Errors
    /// 42703, and what checking the default reports.
    pub(super) fn set_view_default(
        &mut self,
        name: &ObjectName,
        column: &str,
        text: Option<&SourceText>,
    ) -> Result<(), SqlError> {
        let view = self.altered_view(name)?;
        let Some(at) = view.columns.iter().position(|(it, ..)| it == column) else {
            return Err(undefined_column(&view.name, column));
        };
        let (_, type_oid, typmod) = view.columns[at];
        let text =
            text.map(|it| self.checked_default(it.text.as_str(), column, (type_oid, typmod)));
        let text = text.transpose()?;
        let text = text.map(|text| self.settled_default(&text, (type_oid, typmod)));
        self.redefine(view.id, |definition: &mut ViewDefinition| {
            if let Some(column) = definition.columns.get_mut(at) {
                column.default = text;
            }
        });
        self.relink();
        Ok(())
    }
}
