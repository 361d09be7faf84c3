//! `MERGE`: rows of a source, each of which changes, removes or adds a row of the target.
//!
//! ```text
//!   MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.n = 0 THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)
//!
//!   0  SELECT t.rowid, CASE WHEN t.rowid IS NOT NULL THEN … ELSE … END, s.id, s.n FROM s LEFT JOIN t ON …
//!   1  a target row that would be changed twice: 21000
//!   2  SELECT c3, c4 FROM trellis_kept(0) WHERE c2 = 2         the values of the second clause
//!   3  DELETE FROM t WHERE rowid IN (SELECT c1 FROM trellis_kept(0) WHERE c2 = 1)
//!   4  INSERT INTO t SELECT c1, c2 FROM trellis_kept(2)
//! ```
//!
//! All that the clauses compute is computed before anything changes. Source: PostgreSQL 15 manual, `sql-merge`.

use sqlparser::ast::{self, MergeAction, MergeClauseKind, MergeInsertKind, MergeUpdateKind};

use super::binder::Binder;
use super::insert::Rows;
use super::steps::{KEPT, KeptColumns, Rest, Steps, kept_rows, remapped};
use super::target::{Target, written_table};
use super::tree::{Cte, Expr, FromItem, RelationId, Relations};
use crate::error::{SqlError, SqlState};
use crate::lower::{Lowering, quote_identifier};
use crate::parse::rewrite::DEFAULT_VALUES;
use crate::schema::Column;

/// A bound `MERGE`.
pub(crate) struct Merge<'a> {
    /// What it writes.
    target: Target<'a>,
    /// `USING`.
    source: Vec<FromItem>,
    /// `ON`.
    on: Expr,
    /// `WHEN …`, in order.
    clauses: Vec<Clause<'a>>,
}

/// A `WHEN` clause.
struct Clause<'a> {
    matched: Matched,
    condition: Option<Expr>,
    action: Action<'a>,
}

/// Which rows of the source a clause is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matched {
    /// Those that are joined with a row of the target.
    Yes,
    /// The others.
    No,
}

/// What a clause does.
enum Action<'a> {
    Nothing,
    Delete,
    Update(Vec<(&'a Column, Expr)>),
    Insert(Box<Rows<'a>>),
}

impl Action<'_> {
    /// What it computes.
    fn values(&self) -> Vec<&Expr> {
        match self {
            Self::Nothing | Self::Delete => Vec::new(),
            Self::Update(assigned) => assigned.iter().map(|(_, value)| value).collect(),
            Self::Insert(rows) => rows.only_row().iter().collect(),
        }
    }
}

impl<'a> Binder<'a> {
    /// Binds a `MERGE`.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
    pub(crate) fn merge(&mut self, merge: &ast::Merge) -> Result<Merge<'a>, SqlError> {
        let ast::Merge {
            merge_token: _,
            optimizer_hints,
            into,
            table,
            source,
            on,
            clauses,
            output,
        } = merge;
        if let Some(ast::OutputClause::Returning { returning_token, .. }) = output {
            let message = format!("syntax error at or near \"{}\"", returning_token.0);
            let at = self.span_start(returning_token.0.span);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()));
        }
        if !optimizer_hints.is_empty() || !*into || output.is_some() {
            return Err(SqlError::unsupported("this form of MERGE"));
        }
        refuse_unreachable(clauses)?;
        let (name, alias) = written_table(table)?;
        let target = self.target(name, alias, "merging into")?;
        let item = ast::TableWithJoins { relation: source.clone(), joins: Vec::new() };
        let source = self.bind_from(std::slice::from_ref(&item));
        let source = source.map_err(|error| self.named_twice(target, error))?;
        let on = self.condition(Some(on), "JOIN conditions", "JOIN/ON")?;
        let on = on.unwrap_or_else(|| Expr::boolean(true));
        let clauses = clauses.iter().map(|clause| self.merge_clause(target, clause));
        let clauses = clauses.collect::<Result<Vec<_>, SqlError>>()?;
        Ok(Merge { target, source, on, clauses })
    }

    /// PostgreSQL's words for a source of the target's name.
    fn named_twice(&self, target: Target<'a>, error: SqlError) -> SqlError {
        let alias = &self.relations.get(target.relation).alias;
        if error.message != format!("table name \"{alias}\" specified more than once") {
            return error;
        }
        let message = format!("name \"{alias}\" specified more than once");
        SqlError::new(SqlState::DUPLICATE_ALIAS, message)
            .with_detail("The name is used both as MERGE target table and data source.")
    }

    fn merge_clause(
        &mut self,
        target: Target<'a>,
        clause: &ast::MergeClause,
    ) -> Result<Clause<'a>, SqlError> {
        let ast::MergeClause { when_token: _, clause_kind, predicate, action } = clause;
        let matched = match clause_kind {
            MergeClauseKind::Matched => Matched::Yes,
            MergeClauseKind::NotMatched => Matched::No,
            MergeClauseKind::NotMatchedByTarget | MergeClauseKind::NotMatchedBySource => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "syntax error at or near \"BY\"",
                ));
            }
        };
        if matched == Matched::Yes {
            return self.merge_action(target, matched, predicate.as_ref(), action);
        }
        // The target has no row here: its names are out of reach.
        let Some(both) = self.scopes.pop() else {
            return Err(SqlError::unsupported("MERGE here"));
        };
        let mut source = both.clone();
        source.relations.retain(|it| it.id != target.relation);
        source.columns.retain(|it| it.relation() != Some(target.relation));
        self.scopes.push(super::scope::Scope { hidden: true, ..both.clone() });
        self.scopes.push(source);
        let bound = self.merge_action(target, matched, predicate.as_ref(), action);
        self.scopes.truncate(self.scopes.len() - 2);
        self.scopes.push(both);
        bound
    }

    fn merge_action(
        &mut self,
        target: Target<'a>,
        matched: Matched,
        predicate: Option<&ast::Expr>,
        action: &MergeAction,
    ) -> Result<Clause<'a>, SqlError> {
        let condition = self.condition(predicate, "MERGE WHEN conditions", "WHEN")?;
        let action = match action {
            MergeAction::DoNothing { .. } => Action::Nothing,
            MergeAction::Delete { .. } => Action::Delete,
            MergeAction::Update(update) => {
                let ast::MergeUpdateExpr {
                    update_token: _,
                    kind,
                    update_predicate,
                    delete_predicate,
                } = update;
                let (MergeUpdateKind::Set(assignments), None, None) =
                    (kind, update_predicate, delete_predicate)
                else {
                    return Err(SqlError::unsupported("this form of UPDATE in MERGE"));
                };
                Action::Update(self.assignments(target, assignments, None)?)
            }
            MergeAction::Insert(insert) => {
                Action::Insert(Box::new(self.merge_insert(target, insert)?))
            }
        };
        let fits = match action {
            Action::Nothing => true,
            Action::Delete | Action::Update(_) => matched == Matched::Yes,
            Action::Insert(_) => matched == Matched::No,
        };
        if !fits {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "this action does not go with its WHEN",
            ));
        }
        Ok(Clause { matched, condition, action })
    }

    fn merge_insert(
        &mut self,
        target: Target<'a>,
        insert: &ast::MergeInsertExpr,
    ) -> Result<Rows<'a>, SqlError> {
        let ast::MergeInsertExpr {
            insert_token: _,
            columns,
            kind_token: _,
            kind,
            insert_predicate,
        } = insert;
        let (MergeInsertKind::Values(values), None) = (kind, insert_predicate) else {
            return Err(SqlError::unsupported("this form of INSERT in MERGE"));
        };
        if values.rows.len() != 1 {
            let message = "syntax error at or near \",\"";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let marked = |name: &ast::ObjectName| match &name.0[..] {
            [ast::ObjectNamePart::Identifier(ident)] => ident.value == DEFAULT_VALUES,
            _ => false,
        };
        if columns.first().is_some_and(marked) {
            return self.insert_defaults(target);
        }
        self.insert_one(target, columns, values)
    }
}

/// 42601 for a clause after one of its kind without a condition.
fn refuse_unreachable(clauses: &[ast::MergeClause]) -> Result<(), SqlError> {
    for (index, clause) in clauses.iter().enumerate() {
        let all =
            |it: &ast::MergeClause| it.clause_kind == clause.clause_kind && it.predicate.is_none();
        if clauses[..index].iter().any(all) {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "unreachable WHEN clause specified after unconditional WHEN clause",
            ));
        }
    }
    Ok(())
}

impl<'a> Steps<'a> {
    /// Adds the steps of a `MERGE`.
    ///
    /// # Errors
    /// What lowering reports; 0A000 if a later part of the statement reads or changes the target.
    pub(crate) fn merge(
        &mut self,
        merge: &Merge<'a>,
        ctes: &[Cte],
        rest: &Rest,
    ) -> Result<(), SqlError> {
        let target = merge.target;
        self.writes(target.table);
        if rest.sees(target.table.oid) {
            return Err(SqlError::unsupported(
                "MERGE with a data-modifying WITH query that reads or changes the same table",
            ));
        }
        let mut from = Vec::new();
        merge.source.iter().for_each(|item| item.relations(&mut from));
        let mut read = Vec::new();
        for value in merge.clauses.iter().flat_map(|clause| clause.action.values()) {
            self.read_of(value, &from, &mut read);
        }
        let mut columns = KeptColumns::default();
        columns.take(2);
        let first = columns.take(read.len());
        let width = first + read.len() - 1;
        let joined = self.joined_rows(merge, ctes, &read)?;
        let rows = kept_rows(joined, width);
        self.step(|lowering| {
            lowering.push(format_args!(
                "SELECT trellis_merge_again() FROM {rows} WHERE c1 IS NOT NULL AND c2 > 0 \
                 GROUP BY c1 HAVING count(*) > 1"
            ));
            Ok(())
        })?;
        let places: Vec<_> = read.into_iter().zip(first..).collect();
        let relations = remapped(&self.relations(), &places);
        let mut computed = Vec::with_capacity(merge.clauses.len());
        for (number, clause) in (1..).zip(&merge.clauses) {
            computed.push(self.computed(target, &relations, clause, ctes, &rows, number)?);
        }
        let rank = |action: &Action<'_>| match action {
            Action::Nothing => 0,
            Action::Delete => 1,
            Action::Update(_) => 2,
            Action::Insert(_) => 3,
        };
        let mut order: Vec<usize> = (0..merge.clauses.len()).collect();
        order.sort_by_key(|index| rank(&merge.clauses[*index].action));
        for index in order {
            let action = &merge.clauses[index].action;
            self.act(target, action, index + 1, &rows, computed[index])?;
        }
        Ok(())
    }

    /// The rows of the source with the number of the clause that each falls under; 0 for none or one that does nothing.
    fn joined_rows(
        &mut self,
        merge: &Merge<'a>,
        ctes: &[Cte],
        read: &[(RelationId, u16)],
    ) -> Result<usize, SqlError> {
        let Merge { target, source, on, clauses } = merge;
        let name = quote_identifier(&target.table.physical_name);
        let spared = self.spared(target.table);
        let adds = clauses.iter().any(|clause| clause.matched == Matched::No);
        let step = self.step(|lowering| {
            lowering.ctes(ctes)?;
            lowering.push(format_args!(
                "SELECT {name}.rowid, CASE WHEN {name}.rowid IS NOT NULL THEN "
            ));
            lowering.chosen(clauses, Matched::Yes)?;
            lowering.out.push_str(" ELSE ");
            lowering.chosen(clauses, Matched::No)?;
            lowering.out.push_str(" END");
            for (relation, index) in read {
                lowering.out.push_str(", ");
                lowering.column(*relation, *index);
            }
            lowering.from(source)?;
            lowering.out.push_str(if adds { " LEFT JOIN " } else { " JOIN " });
            lowering.target(*target);
            lowering.push(format_args!(" AS {name} ON "));
            if let Some(spared) = &spared {
                lowering.push(format_args!("{name}.rowid NOT IN ({spared}) AND "));
            }
            lowering.expr(on)
        })?;
        self.keep(step);
        Ok(step)
    }

    /// The values that a clause computes, kept: the row number first for an UPDATE.
    fn computed(
        &mut self,
        target: Target<'a>,
        relations: &Relations,
        clause: &Clause<'a>,
        ctes: &[Cte],
        rows: &str,
        number: usize,
    ) -> Result<usize, SqlError> {
        let name = quote_identifier(&target.table.physical_name);
        let step = match &clause.action {
            Action::Nothing | Action::Delete => return Ok(0),
            Action::Update(assigned) => self.step_over(relations, |lowering| {
                lowering.ctes(ctes)?;
                lowering.push(format_args!("SELECT {KEPT}.c1"));
                for (column, value) in assigned {
                    lowering.out.push_str(", ");
                    lowering.stored_value(target.table, column, value)?;
                }
                lowering.push(format_args!(" FROM {rows} AS {KEPT} JOIN "));
                lowering.target(target);
                lowering.push(format_args!(
                    " AS {name} ON {name}.rowid = {KEPT}.c1 WHERE {KEPT}.c2 = {number}"
                ));
                Ok(())
            })?,
            Action::Insert(insert) => self.step_over(relations, |lowering| {
                lowering.ctes(ctes)?;
                lowering.out.push_str("SELECT ");
                lowering.row_to_insert(target.table, insert)?;
                lowering.push(format_args!(" FROM {rows} AS {KEPT} WHERE {KEPT}.c2 = {number}"));
                Ok(())
            })?,
        };
        self.keep(step);
        Ok(step)
    }

    /// What a clause changes, from what was computed for it.
    fn act(
        &mut self,
        target: Target<'a>,
        action: &Action<'a>,
        number: usize,
        rows: &str,
        computed: usize,
    ) -> Result<(), SqlError> {
        let step = match action {
            Action::Nothing => return Ok(()),
            Action::Delete => self.step(|lowering| {
                lowering.out.push_str("DELETE FROM ");
                lowering.target(target);
                lowering.push(format_args!(
                    " WHERE rowid IN (SELECT c1 FROM {rows} WHERE c2 = {number})"
                ));
                Ok(())
            })?,
            Action::Update(assigned) => self.step(|lowering| {
                let rows = kept_rows(computed, assigned.len() + 1);
                lowering.update_from_kept(target, assigned, 2, &format!("{rows} AS {KEPT}"));
                Ok(())
            })?,
            Action::Insert(insert) => self.step(|lowering| {
                lowering.insert_kept(target, insert, computed);
                Ok(())
            })?,
        };
        self.count(step);
        Ok(())
    }
}

impl Lowering<'_> {
    /// The number of the first clause of a kind whose condition holds.
    fn chosen(&mut self, clauses: &[Clause<'_>], matched: Matched) -> Result<(), SqlError> {
        self.out.push_str("CASE");
        let before = self.out.len();
        for (number, clause) in (1..).zip(clauses).filter(|(_, it)| it.matched == matched) {
            let number = if matches!(clause.action, Action::Nothing) { 0 } else { number };
            self.out.push_str(" WHEN ");
            match &clause.condition {
                Some(condition) => self.expr(condition)?,
                None => self.out.push('1'),
            }
            self.push(format_args!(" THEN {number}"));
        }
        if self.out.len() == before {
            self.out.push_str(" WHEN 1 THEN 0");
        }
        self.out.push_str(" ELSE 0 END");
        Ok(())
    }
}
