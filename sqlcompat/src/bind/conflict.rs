//! `ON CONFLICT`: the constraint or index that it means, and what it does instead of the insertion.

use sqlparser::ast::{self, ConflictTarget, OnConflictAction, OnInsert};

use super::binder::Binder;
use super::insert::{Rows, Values};
use super::target::Target;
use super::tree::{At, Expr};
use crate::error::{SqlError, SqlState};
use crate::lower::{Lowering, quote_identifier};
use crate::parse;
use crate::parse::rewrite::CONFLICT;
use crate::schema::{Column, Table};

/// A bound ON CONFLICT.
pub(crate) struct Conflict<'a> {
    /// Columns of the unique constraint or index; empty for any.
    columns: Vec<&'a Column>,
    /// Keys and condition of an index that is partial or over expressions, in place of columns.
    index: Option<ConflictIndex>,
    /// `DO UPDATE SET`; `None` for `DO NOTHING`.
    pub(crate) update: Option<ConflictUpdate<'a>>,
    /// RETURNING tells which rows were changed, by their `xmax`: they are to be noted.
    pub(crate) told: bool,
}

/// Keys of a unique index, and its condition.
type ConflictIndex = (Vec<Expr>, Option<Expr>);

/// `SET` and `WHERE` of `DO UPDATE`.
type ConflictUpdate<'a> = (Vec<(&'a Column, Expr)>, Option<Expr>);

impl<'a> Binder<'a> {
    /// `ON CONFLICT`.
    ///
    /// # Errors
    /// 42P10 if nothing unique matches the target, and what binding its parts reports.
    pub(crate) fn on_conflict(
        &mut self,
        target: Target<'a>,
        on: Option<&OnInsert>,
    ) -> Result<Option<Conflict<'a>>, SqlError> {
        let Some(on) = on else { return Ok(None) };
        let OnInsert::OnConflict(ast::OnConflict { conflict_target, action }) = on else {
            return Err(SqlError::unsupported("ON DUPLICATE KEY"));
        };
        let marked = match conflict_target {
            Some(ConflictTarget::Columns(idents)) => marked_target(idents),
            Some(ConflictTarget::OnConstraint(_)) | None => None,
        };
        let index = match marked {
            Some(marked) => Some(self.conflict_index(target, marked)?),
            None => None,
        };
        let columns = match conflict_target {
            None => Vec::new(),
            Some(_) if index.is_some() => Vec::new(),
            Some(ConflictTarget::Columns(idents)) => self.conflict_columns(target, idents)?,
            Some(ConflictTarget::OnConstraint(name)) => {
                let (_, name) = self.qualified(name)?;
                let viewed = self.written_view_of(target);
                let shown = viewed.map_or(target.table.name.as_str(), |view| view.name());
                constraint_columns(viewed.is_none().then_some(target.table), &name, shown)?
            }
        };
        let update = match action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(_) if columns.is_empty() && index.is_none() => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                )
                .with_hint("For example, ON CONFLICT (column_name)."));
            }
            OnConflictAction::DoUpdate(ast::DoUpdate { assignments, selection }) => {
                let before = {
                    let scope = self.scope();
                    (scope.relations.len(), scope.columns.len())
                };
                self.add_excluded(target)?;
                let assigned = self.assignments(target, assignments, None)?;
                let filter = self.clause(selection.as_ref(), "WHERE")?;
                let scope = self.scope();
                scope.relations.truncate(before.0);
                scope.columns.truncate(before.1);
                Some((assigned, filter))
            }
        };
        Ok(Some(Conflict { columns, index, update, told: false }))
    }

    /// The unique index that a conflict target of expressions, or with a condition, means.
    fn conflict_index(
        &mut self,
        target: Target<'a>,
        (keys, predicate): (&str, &str),
    ) -> Result<ConflictIndex, SqlError> {
        if self.written_view_of(target).is_some() {
            return Err(SqlError::unsupported("ON CONFLICT of an index's expressions on a view"));
        }
        let wanted = match parse::expression(&format!("({keys})"))? {
            ast::Expr::Tuple(keys) => keys,
            ast::Expr::Nested(key) => vec![*key],
            key => vec![key],
        };
        let wanted = wanted.iter().map(|key| self.schema_expression(key));
        let wanted = wanted.collect::<Result<Vec<Expr>, SqlError>>()?;
        let condition = match predicate {
            "" => None,
            text => Some(self.schema_expression(&parse::expression(text)?)?),
        };
        for index in target.table.indexes.iter().filter(|index| index.unique) {
            let mut found = Vec::with_capacity(index.keys.len());
            for key in &index.keys {
                found.push(match &key.expression {
                    Some(text) => self.schema_expression(&parse::expression(text)?)?,
                    None => self.conflict_key(target, key.attnum),
                });
            }
            let partial = match &index.predicate {
                Some(text) => Some(self.schema_expression(&parse::expression(text)?)?),
                None => None,
            };
            let same_keys = found.iter().all(|key| wanted.contains(key))
                && wanted.iter().all(|key| found.contains(key));
            if same_keys && (partial.is_none() || partial == condition) {
                return Ok((found, partial));
            }
        }
        let plain = target.table.uniques.iter().find_map(|unique| {
            let found: Vec<Expr> =
                unique.columns.iter().map(|attnum| self.conflict_key(target, *attnum)).collect();
            let same = found.iter().all(|key| wanted.contains(key))
                && wanted.iter().all(|key| found.contains(key));
            same.then_some(found)
        });
        plain.map(|found| (found, None)).ok_or_else(no_such_conflict)
    }

    /// An expression over the target's columns, from another text than the statement's.
    fn schema_expression(&mut self, expr: &ast::Expr) -> Result<Expr, SqlError> {
        self.in_other_text(|binder| binder.expr(expr))
    }

    /// A column of the target by its attribute number.
    fn conflict_key(&self, target: Target<'a>, attnum: i16) -> Expr {
        let index = target.table.columns.iter().position(|it| it.attnum == attnum).unwrap_or(0);
        self.column(target.relation, u16::try_from(index).unwrap_or(u16::MAX), At(0))
    }

    fn add_excluded(&mut self, target: Target<'a>) -> Result<(), SqlError> {
        let mut excluded = self.relations.get(target.relation).clone();
        "excluded".clone_into(&mut excluded.alias);
        "excluded".clone_into(&mut excluded.qualifier);
        excluded.columns.retain(|column| !column.system);
        if let Some(view) = self.written_view_of(target) {
            excluded.columns = view.columns_over("excluded", self)?;
        }
        let id = self.relations.add(excluded);
        let names = self.names_of(id, None);
        self.add_names(names)
    }

    fn conflict_columns(
        &self,
        target: Target<'a>,
        idents: &[ast::Ident],
    ) -> Result<Vec<&'a Column>, SqlError> {
        let table = target.table;
        let viewed = self.written_view_of(target);
        // PostgreSQL points at the parenthesis.
        let first = idents.first().map_or(At(0), |ident| self.span_start(ident.span));
        let at = self.last_before(first, "(").unwrap_or(first);
        let mut columns = Vec::with_capacity(idents.len());
        for ident in idents {
            let name = Self::name(ident);
            let undefined = || {
                let message = format!("column \"{name}\" does not exist");
                SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(at.position())
            };
            let column = match viewed {
                None => table.column_by_name(&name).ok_or_else(undefined)?,
                Some(view) => {
                    let found = view.columns.iter().find(|it| it.name == name);
                    let behind = found.ok_or_else(undefined)?.behind.ok();
                    let column = behind.and_then(|attnum| table.column(attnum));
                    column.ok_or_else(no_such_conflict)?
                }
            };
            columns.push(column);
        }
        let mut wanted: Vec<i16> = columns.iter().map(|column| column.attnum).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut different: Vec<&'a Column> = Vec::with_capacity(columns.len());
        for column in columns {
            if !different.iter().any(|it| it.attnum == column.attnum) {
                different.push(column);
            }
        }
        let same = |found: &mut dyn Iterator<Item = i16>| {
            let mut found: Vec<i16> = found.collect();
            found.sort_unstable();
            found == wanted
        };
        let constrained =
            table.uniques.iter().any(|unique| same(&mut unique.columns.iter().copied()));
        let indexed = table.indexes.iter().any(|index| {
            index.unique
                && index.predicate.is_none()
                && same(&mut index.keys.iter().map(|key| key.attnum))
        });
        if constrained || indexed {
            return Ok(different);
        }
        Err(no_such_conflict())
    }
}

/// The texts of a conflict target and of its condition, where the rewriting of tokens has marked it.
fn marked_target(idents: &[ast::Ident]) -> Option<(&str, &str)> {
    let [ident] = idents else { return None };
    ident.value.strip_prefix(CONFLICT)?.split_once('\0')
}

fn no_such_conflict() -> SqlError {
    SqlError::new(
        SqlState::INVALID_COLUMN_REFERENCE,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    )
}

impl Lowering<'_> {
    /// ` ON CONFLICT …`.
    ///
    /// # Errors
    /// What lowering a part reports.
    pub(crate) fn conflict(
        &mut self,
        table: &Table,
        conflict: Option<&Conflict<'_>>,
    ) -> Result<(), SqlError> {
        let Some(Conflict { columns, index, update, told }) = conflict else { return Ok(()) };
        self.out.push_str(" ON CONFLICT");
        if let Some((keys, predicate)) = index {
            self.unqualified = true;
            self.out.push_str(" (");
            self.list(keys)?;
            self.out.push(')');
            if let Some(predicate) = predicate {
                self.out.push_str(" WHERE ");
                self.expr(predicate)?;
            }
            self.unqualified = false;
        }
        for (index, column) in columns.iter().enumerate() {
            self.out.push_str(if index == 0 { " (" } else { ", " });
            self.out.push_str(&quote_identifier(&column.physical_name));
        }
        if !columns.is_empty() {
            self.out.push(')');
        }
        let Some((assignments, filter)) = update else {
            self.out.push_str(" DO NOTHING");
            return Ok(());
        };
        self.out.push_str(" DO UPDATE SET ");
        if *told {
            self.told_assignments(table, assignments)?;
        } else {
            self.assignments(table, assignments)?;
        }
        self.filter(filter.as_ref())
    }

    /// Assignments of which the first, or that to the integer key, notes the row by the number that it has afterwards.
    fn told_assignments(
        &mut self,
        table: &Table,
        assignments: &[(&Column, Expr)],
    ) -> Result<(), SqlError> {
        let key = table.integer_key().map(|key| key.attnum);
        let moved = assignments.iter().position(|(column, _)| Some(column.attnum) == key);
        let name = quote_identifier(&table.physical_name);
        for (index, assignment) in assignments.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            let (column, value) = assignment;
            self.push(format_args!("{separator}{} = ", quote_identifier(&column.physical_name)));
            let notes = index == moved.unwrap_or(0);
            self.out.push_str(match (notes, moved) {
                (true, Some(_)) => "trellis_locked_as(",
                (true, None) => "trellis_locked(",
                (false, _) => "",
            });
            self.stored_value(table, column, value)?;
            match (notes, moved) {
                (true, Some(_)) => self.out.push(')'),
                (true, None) => self.push(format_args!(", {name}.rowid)")),
                (false, _) => {}
            }
        }
        Ok(())
    }
}

/// The columns, by index among the inserted ones, whose values no two proposed rows may share: the conflict target of a DO
/// UPDATE without condition, where there may be several rows.
pub(crate) fn once_keys(conflict: &Conflict<'_>, rows: &Rows<'_>) -> Vec<usize> {
    let several = match &rows.source {
        Values::Rows(rows) => rows.len() > 1,
        Values::Query(query) => !query.yields_one_row(),
    };
    if !several || !matches!(conflict.update, Some((_, None))) {
        return Vec::new();
    }
    let place = |wanted: &&Column| rows.columns.iter().position(|it| it.attnum == wanted.attnum);
    conflict.columns.iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default()
}

/// The columns of a constraint; a view has none.
fn constraint_columns<'a>(
    table: Option<&'a Table>,
    name: &str,
    target: &str,
) -> Result<Vec<&'a Column>, SqlError> {
    let found = table.and_then(|table| {
        table.uniques.iter().find(|unique| unique.name == name).map(|unique| (table, unique))
    });
    let (table, unique) = found.ok_or_else(|| {
        let message = format!("constraint \"{name}\" for table \"{target}\" does not exist");
        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
    })?;
    Ok(unique.columns.iter().filter_map(|attnum| table.column(*attnum)).collect())
}
