//! Joins: their conditions, and the columns that `USING` and `NATURAL` merge.

use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableWithJoins};

use super::binder::Binder;
use super::from::{Names, output_columns};
use super::scope::{ScopeColumn, ScopeRelation};
use super::tree::{At, Expr, FromItem, Join, JoinKind, Node, Relation, Source};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::rewrite::JOIN_ALIAS;

impl Binder<'_> {
    pub(crate) fn joined(&mut self, item: &TableWithJoins) -> Result<(FromItem, Names), SqlError> {
        let TableWithJoins { relation, joins } = item;
        let (mut left, mut names) = self.factor(relation)?;
        for join in joins {
            let ast::Join { relation, global, join_operator } = join;
            if *global {
                return Err(SqlError::unsupported("GLOBAL JOIN"));
            }
            let (kind, constraint) = join_kind(join_operator)?;
            let barred = matches!(kind, JoinKind::Right | JoinKind::Full);
            let (right, right_names) =
                self.with_names(&names, barred, |binder| binder.factor(relation))?;
            for new in &right_names.relations {
                self.require_new_name(&names.relations, new)?;
            }
            self.note_outer(kind, &names, &right_names);
            let (on, merged) = self.join_condition(kind, constraint, names, right_names)?;
            left = FromItem::Join(Box::new(Join { kind, left, right, on }));
            names = merged;
        }
        Ok((left, names))
    }

    /// Columns on the optional side of an outer join may be NULL, whatever their table says.
    fn note_outer(&mut self, kind: JoinKind, left: &Names, right: &Names) {
        let (left_optional, right_optional) = match kind {
            JoinKind::Inner => (false, false),
            JoinKind::Left => (false, true),
            JoinKind::Right => (true, false),
            JoinKind::Full => (true, true),
        };
        let optional = left.relations.iter().filter(|_| left_optional);
        for relation in optional.chain(right.relations.iter().filter(|_| right_optional)) {
            let relation = self.relations.get_mut(relation.id);
            relation.optional = true;
            for column in &mut relation.columns {
                column.not_null = false;
            }
        }
    }

    /// Runs `inner` with more names in the innermost scope, which it may not use if they are barred.
    fn with_names<T>(
        &mut self,
        names: &Names,
        barred: bool,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let scope = self.scope();
        let before = (scope.relations.len(), scope.columns.len());
        scope.relations.extend(names.relations.iter().cloned());
        scope.columns.extend(names.columns.iter().cloned());
        let reachable = scope.barred.len();
        scope.barred.extend(names.relations.iter().filter(|_| barred).map(|it| it.id));
        let result = inner(self);
        let scope = self.scope();
        scope.barred.truncate(reachable);
        scope.relations.truncate(before.0);
        scope.columns.truncate(before.1);
        result
    }

    /// The condition of a join, and the names of both sides.
    fn join_condition(
        &mut self,
        kind: JoinKind,
        constraint: &JoinConstraint,
        left: Names,
        right: Names,
    ) -> Result<(Option<Expr>, Names), SqlError> {
        match constraint {
            JoinConstraint::None => Ok((None, left.and(right))),
            JoinConstraint::On(condition) => {
                let names = left.and(right);
                let scope = self.scope();
                let relations = std::mem::replace(&mut scope.relations, names.relations);
                let columns = std::mem::replace(&mut scope.columns, names.columns);
                let rules = scope.calls;
                scope.calls.no_aggregates = Some("JOIN conditions");
                scope.calls.no_windows = Some("JOIN conditions");
                let bound = self.expr(condition);
                let scope = self.scope();
                scope.calls = rules;
                let names = Names {
                    relations: std::mem::replace(&mut scope.relations, relations),
                    columns: std::mem::replace(&mut scope.columns, columns),
                };
                let on = self.boolean(bound?, "JOIN/ON")?;
                Ok((Some(on), names))
            }
            JoinConstraint::Using(columns) => {
                let mut shared = Vec::with_capacity(columns.len());
                for column in columns {
                    shared.push((self.qualified(column)?.1, self.start_of(column)));
                }
                let last = shared.last();
                let alias =
                    last.and_then(|(name, _)| Some(name.strip_prefix(JOIN_ALIAS)?.to_owned()));
                shared.truncate(shared.len() - usize::from(alias.is_some()));
                let (on, mut names) = self.using(kind, &shared, left, right)?;
                if let Some(alias) = alias {
                    let merged = self.merged_relation(alias, &names.columns[..shared.len()]);
                    self.require_new_name(&names.relations, &merged)?;
                    names.relations.push(merged);
                }
                Ok((on, names))
            }
            JoinConstraint::Natural => {
                let shared: Vec<(String, At)> = left
                    .columns
                    .iter()
                    .map(|column| self.scope_column_name(column))
                    .filter(|name| {
                        right.columns.iter().any(|it| self.scope_column_name(it) == *name)
                    })
                    .map(|name| (name.to_owned(), At(0)))
                    .collect();
                if shared.is_empty() {
                    return Ok((None, left.and(right)));
                }
                self.using(kind, &shared, left, right)
            }
        }
    }

    /// `USING`: an equality per column, and the two columns merged into one that comes first in `*`.
    fn using(
        &mut self,
        kind: JoinKind,
        shared: &[(String, At)],
        mut left: Names,
        mut right: Names,
    ) -> Result<(Option<Expr>, Names), SqlError> {
        let mut tests = Vec::with_capacity(shared.len());
        let mut merged = Vec::with_capacity(shared.len());
        for (name, at) in shared {
            let from_left = self.take_column(&mut left.columns, name, "left", *at)?;
            let from_right = self.take_column(&mut right.columns, name, "right", *at)?;
            tests.push(self.binary_operator("=", from_left.clone(), from_right.clone(), *at)?);
            let expr = match kind {
                JoinKind::Inner | JoinKind::Left if from_left.type_oid == from_right.type_oid => {
                    from_left
                }
                JoinKind::Right if from_left.type_oid == from_right.type_oid => from_right,
                JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => {
                    self.merged(kind, from_left, from_right)?
                }
            };
            merged.push(ScopeColumn::Merged { name: name.clone(), expr });
        }
        merged.append(&mut left.columns);
        merged.append(&mut right.columns);
        let mut relations = left.relations;
        relations.append(&mut right.relations);
        let on = match tests.len() {
            1 => tests.pop(),
            _ => Some(Expr::new(Node::And(tests), Oid::BOOL)),
        };
        Ok((on, Names { relations, columns: merged }))
    }

    /// The relation that the alias of a USING stands for: it has the merged columns.
    fn merged_relation(&mut self, alias: String, columns: &[ScopeColumn]) -> ScopeRelation {
        let values: Vec<Expr> = columns.iter().map(|it| self.scope_column(it, At(0))).collect();
        let outputs = columns.iter().zip(&values).map(|(column, value)| {
            self.output_column(value, self.scope_column_name(column).to_owned())
        });
        let outputs: Vec<_> = outputs.collect();
        let relation = Relation {
            alias,
            qualifier: String::new(),
            columns: output_columns(&outputs),
            source: Source::Given,
            optional: false,
        };
        let id = self.relations.add(relation);
        self.merged_columns.insert(id, values);
        ScopeRelation { id, schema: None }
    }

    /// The value of a merged column.
    fn merged(&mut self, kind: JoinKind, left: Expr, right: Expr) -> Result<Expr, SqlError> {
        let (mut both, type_oid, typmod) = self.unify(vec![left, right], "JOIN/USING")?;
        let mut expr = match kind {
            JoinKind::Inner | JoinKind::Left => both.swap_remove(0),
            JoinKind::Right => both.swap_remove(1),
            JoinKind::Full => Expr::new(Node::Coalesce(both), type_oid),
        };
        expr.typmod = typmod;
        Ok(expr)
    }

    fn take_column(
        &self,
        columns: &mut Vec<ScopeColumn>,
        name: &str,
        side: &str,
        at: At,
    ) -> Result<Expr, SqlError> {
        let mut found = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| self.scope_column_name(column) == name)
            .map(|(index, _)| index);
        let Some(index) = found.next() else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "column \"{name}\" specified in USING clause does not exist in {side} table"
                ),
            )
            .at(at.position()));
        };
        if found.next().is_some() {
            return Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("common column name \"{name}\" appears more than once in {side} table"),
            )
            .at(at.position()));
        }
        let column = columns.remove(index);
        Ok(self.scope_column(&column, at))
    }
}

fn join_kind(operator: &JoinOperator) -> Result<(JoinKind, &JoinConstraint), SqlError> {
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (JoinKind::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (JoinKind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
        _ => return Err(SqlError::unsupported("this kind of join")),
    })
}

/// `SELECT * FROM` a join, which is what the join is under an alias.
pub(crate) fn all_of(join: &TableWithJoins) -> ast::Query {
    let select = ast::Select {
        select_token: ast::helpers::attached_token::AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![ast::SelectItem::Wildcard(ast::WildcardAdditionalOptions::default())],
        exclude: None,
        into: None,
        from: vec![join.clone()],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: ast::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    };
    ast::Query {
        with: None,
        body: Box::new(ast::SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
