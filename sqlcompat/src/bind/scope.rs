//! Scopes: which names an expression may use, and what they are.
//!
//! One [`Scope`] per query level, innermost last in [`Binder::scopes`]. A scope has *relations*, for `t.a` and `t.*`, and
//! *columns*, in the order of `*`, for `a`: joins with `USING` merge columns, so the second is not just the first flattened.

use sqlparser::ast::Ident;

use super::binder::Binder;
use super::record_shape::Field;
use super::tree::{At, ColumnSql, Expr, Node, OutputColumn, RelationId};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The names of one query level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Relations, in the order of `FROM`.
    pub(crate) relations: Vec<ScopeRelation>,
    /// Columns by unqualified name, in the order of `*`.
    pub(crate) columns: Vec<ScopeColumn>,
    /// Names may not be used from inside: a subquery in `FROM` without LATERAL stands here.
    pub(crate) hidden: bool,
    /// Relations that what is being bound may not read: it stands on the other side of a RIGHT or FULL JOIN.
    pub(crate) barred: Vec<RelationId>,
    /// A name was found here from inside a subquery.
    pub(crate) used_from_inside: bool,
    /// What aggregates and window functions may do here.
    pub(crate) calls: CallRules,
    /// Named windows.
    pub(crate) windows: Vec<(String, super::tree::Window)>,
    /// Set-returning functions of the select list, as one relation to be joined.
    pub(crate) set_returning: Option<RelationId>,
}

/// What sort of calls a clause admits, and what was met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallRules {
    /// Name of the clause, where it admits no aggregates.
    pub(crate) no_aggregates: Option<&'static str>,
    /// Name of the clause, where it admits no window functions.
    pub(crate) no_windows: Option<&'static str>,
    /// Name of the clause, where it admits no set-returning functions.
    pub(crate) no_sets: Option<&'static str>,
    /// Inside the arguments of an aggregate.
    pub(crate) in_aggregate: bool,
    /// Inside the arguments of a window function.
    pub(crate) in_window: bool,
    /// An aggregate was met.
    pub(crate) met_aggregate: bool,
    /// A window function was met.
    pub(crate) met_window: bool,
}

/// A relation in scope.
#[derive(Clone, Debug)]
pub(crate) struct ScopeRelation {
    /// Which.
    pub(crate) id: RelationId,
    /// Schema, if it may be qualified by one.
    pub(crate) schema: Option<String>,
}

/// A column in scope, by its unqualified name.
#[derive(Clone, Debug)]
pub(crate) enum ScopeColumn {
    /// A column of a relation.
    Plain(RelationId, u16),
    /// Columns merged by USING, and the relations that they came from.
    Merged {
        /// Name.
        name: String,
        /// Value.
        expr: Expr,
    },
}

impl ScopeColumn {
    /// The relation that it is a column of; `None` for a merged one.
    pub(crate) fn relation(&self) -> Option<RelationId> {
        match self {
            Self::Plain(relation, _) => Some(*relation),
            Self::Merged { .. } => None,
        }
    }
}

/// Parts of a recursive WITH query that may not refer to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Barred {
    /// All of it: it is no UNION. The query's name stands here.
    NoUnion(At),
    /// The first operand of its UNION.
    NonRecursiveTerm,
    /// A WITH of its own.
    Subquery,
}

impl Barred {
    /// What PostgreSQL says of a reference to the query that stands at `at`.
    pub(crate) fn error(self, name: &str, at: At) -> SqlError {
        let refused = |place: &str| {
            format!("recursive reference to query \"{name}\" must not appear within {place}")
        };
        let (message, at) = match self {
            Self::NoUnion(at) => {
                let form = "non-recursive-term UNION [ALL] recursive-term";
                (format!("recursive query \"{name}\" does not have the form {form}"), at)
            }
            Self::NonRecursiveTerm => (refused("its non-recursive term"), at),
            Self::Subquery => (refused("a subquery"), at),
        };
        SqlError::new(SqlState::INVALID_RECURSION, message).at(at.position())
    }
}

/// A CTE in sight.
#[derive(Clone, Debug)]
pub(crate) struct CteEntry {
    /// Name in the text.
    pub(crate) name: String,
    /// Name in SQLite.
    pub(crate) sql_name: String,
    /// Columns.
    pub(crate) columns: Vec<OutputColumn>,
    /// The fields of the columns that are anonymous records, where they are known.
    pub(crate) records: Vec<Option<Vec<Field>>>,
    /// References while its own definition is being bound, and where the last of them stands.
    pub(crate) uses: (usize, At),
    /// Why it may not be referenced, as long as a part is bound that may not.
    pub(crate) barred: Option<Barred>,
    /// How many of the columns, last ones, `*` leaves out: in the recursion itself those of SEARCH and CYCLE.
    pub(crate) hidden: usize,
    /// Yields rows: not so a data-modifying statement without RETURNING.
    pub(crate) has_rows: bool,
}

impl Binder<'_> {
    /// The innermost scope.
    pub(crate) fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// A column of a relation as an expression.
    pub(crate) fn column(&self, relation: RelationId, index: u16, at: At) -> Expr {
        let merged = self.merged_columns.get(&relation);
        if let Some(value) = merged.and_then(|values| values.get(usize::from(index))) {
            return value.clone().at(at);
        }
        let column = &self.relations.get(relation).columns[usize::from(index)];
        self.note_column(column.origin);
        Expr {
            node: Node::Column(relation, index),
            type_oid: column.type_oid,
            typmod: column.typmod,
            at,
        }
    }

    /// Name of a column in scope.
    pub(crate) fn scope_column_name<'b>(&'b self, column: &'b ScopeColumn) -> &'b str {
        match column {
            ScopeColumn::Plain(relation, index) => {
                &self.relations.get(*relation).columns[usize::from(*index)].name
            }
            ScopeColumn::Merged { name, .. } => name,
        }
    }

    /// A column in scope as an expression.
    pub(crate) fn scope_column(&self, column: &ScopeColumn, at: At) -> Expr {
        match column {
            ScopeColumn::Plain(relation, index) => self.column(*relation, *index, at),
            ScopeColumn::Merged { expr, .. } => expr.clone().at(at),
        }
    }

    /// Finds an unqualified column, innermost scope first.
    ///
    /// # Errors
    /// 42702 if a scope has two of that name. `None` if there is none.
    pub(crate) fn find_column(&mut self, name: &str, at: At) -> Result<Option<Expr>, SqlError> {
        for level in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[level];
            if scope.hidden {
                continue;
            }
            let mut found =
                scope.columns.iter().filter(|column| self.scope_column_name(column) == name);
            let first = found.next();
            if first.is_some() && found.next().is_some() {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("column reference \"{name}\" is ambiguous"),
                )
                .at(at.position()));
            }
            let expr = match first {
                Some(column) => Some(self.scope_column(column, at)),
                None => self.system_column(level, name, at)?,
            };
            if let Some(expr) = expr {
                self.require_all_reachable(level, &expr, at)?;
                self.mark_used(level);
                return Ok(Some(expr));
            }
        }
        Ok(None)
    }

    /// A system column such as `ctid`, which `*` leaves out.
    fn system_column(&self, level: usize, name: &str, at: At) -> Result<Option<Expr>, SqlError> {
        let mut found = None;
        for relation in self.scopes[level].relations.iter() {
            let columns = &self.relations.get(relation.id).columns;
            let index = columns.iter().position(|column| column.system && column.name == name);
            let Some(index) = index.and_then(|index| u16::try_from(index).ok()) else { continue };
            if found.is_some() {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("column reference \"{name}\" is ambiguous"),
                )
                .at(at.position()));
            }
            found = Some(self.column(relation.id, index, at));
        }
        Ok(found)
    }

    /// 42P10 for a relation that stands on the other side of a RIGHT or FULL JOIN.
    fn require_reachable(&self, level: usize, id: RelationId, at: At) -> Result<(), SqlError> {
        if !self.scopes[level].barred.contains(&id) {
            return Ok(());
        }
        let name = &self.relations.get(id).alias;
        let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
        let detail = "The combining JOIN type must be INNER or LEFT for a LATERAL reference.";
        Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
            .with_detail(detail)
            .at(at.position()))
    }

    /// The same for all relations whose columns are in an expression.
    fn require_all_reachable(&self, level: usize, expr: &Expr, at: At) -> Result<(), SqlError> {
        // Nearly always there is nothing to look for.
        if self.scopes[level].barred.is_empty() {
            return Ok(());
        }
        let mut refused = Ok(());
        expr.any(&mut |it| {
            if let Node::Column(relation, _) = it.node {
                refused = self.require_reachable(level, relation, at);
            }
            refused.is_err()
        });
        refused
    }

    /// Notes that a scope was used from inside a subquery, for LATERAL.
    fn mark_used(&mut self, level: usize) {
        if level + 1 < self.scopes.len() {
            self.scopes[level].used_from_inside = true;
        }
    }

    /// Finds a relation by the name that qualifies its columns.
    ///
    /// # Errors
    /// 42P09 as 42702 if a scope has two of that name.
    pub(crate) fn find_relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
        at: At,
    ) -> Result<Option<RelationId>, SqlError> {
        for level in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[level];
            if scope.hidden {
                continue;
            }
            let mut found = scope.relations.iter().filter(|it| {
                self.relations.get(it.id).alias == name
                    && schema.is_none_or(|schema| it.schema.as_deref() == Some(schema))
            });
            let first = found.next().map(|it| it.id);
            if first.is_some() && found.next().is_some() {
                return Err(SqlError::new(
                    SqlState(*b"42P09"),
                    format!("table reference \"{name}\" is ambiguous"),
                )
                .at(at.position()));
            }
            if let Some(first) = first {
                self.require_reachable(level, first, at)?;
                self.mark_used(level);
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Resolves an unqualified name: a column, else a relation as a whole row.
    ///
    /// # Errors
    /// 42703 with PostgreSQL's hints, 42702.
    pub(crate) fn resolve_name(&mut self, ident: &Ident) -> Result<Expr, SqlError> {
        let name = Self::name(ident);
        let at = self.span_start(ident.span);
        // Reserved, so never a column; sqlparser reads it as a name.
        if ident.quote_style.is_none() && name == "current_schema" {
            return self.call_named("current_schema", Vec::new(), at);
        }
        if let Some(expr) = self.find_column(&name, at)? {
            return Ok(expr);
        }
        if let Some(relation) = self.find_relation(None, &name, at)? {
            return Ok(self.whole_row(relation, at));
        }
        if let Some(parameter) = self.frame_parameter(&name, at) {
            return Ok(parameter);
        }
        if ident.quote_style.is_none() && is_parameterless(&name) {
            return self.parameterless(&name, at);
        }
        let mut error =
            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
                .at(at.position());
        if let Some(hint) = self.column_hint(&name) {
            error = error.with_hint(hint);
        }
        Err(error)
    }

    /// Resolves `t.a` and `s.t.a`; further parts are fields.
    ///
    /// # Errors
    /// 42P01 if there is no such relation here, 42703 if it has no such column.
    pub(crate) fn resolve_qualified(&mut self, idents: &[Ident]) -> Result<Expr, SqlError> {
        let names: Vec<String> = idents.iter().map(Self::name).collect();
        let at = idents.first().map_or(At(0), |ident| self.span_start(ident.span));
        let (schema, table, column) = match &names[..] {
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.as_str()), table, column),
            [_, schema, table, column] => (Some(schema.as_str()), table, column),
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("improper qualified name (too many dotted names): {}", names.join(".")),
                )
                .at(at.position()));
            }
        };
        let Some(relation) = self.find_relation(schema, table, at)? else {
            if let Some(parameter) = self.qualified_parameter(&names, at)? {
                return Ok(parameter);
            }
            return Err(self.missing_relation(schema, table, at));
        };
        let columns = &self.relations.get(relation).columns;
        let index = columns.iter().position(|it| &it.name == column);
        match index.and_then(|index| u16::try_from(index).ok()) {
            Some(index) => Ok(self.column(relation, index, at)),
            // A function of the row may be written like a column of it.
            None if self.cx.catalog.function_names.contains_key(column) => {
                let row = self.whole_row(relation, at);
                self.call_unqualified(column, vec![row], at)
            }
            None => Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column {table}.{column} does not exist"),
            )
            .at(at.position())),
        }
    }

    /// 42P01 for a qualifier, with a hint if the relation is there but out of reach.
    pub(crate) fn missing_relation(&self, schema: Option<&str>, table: &str, at: At) -> SqlError {
        let known = |hidden_only: bool| {
            self.scopes.iter().any(|scope| {
                (scope.hidden || !hidden_only)
                    && scope.relations.iter().any(|it| self.relations.get(it.id).alias == table)
            })
        };
        let shown = schema.map_or_else(|| table.to_owned(), |schema| format!("{schema}.{table}"));
        if schema.is_none() && known(true) {
            return SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{shown}\""),
            )
            .with_hint(format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this \
                 part of the query."
            ))
            .at(at.position());
        }
        if let Some(alias) = self.alias_of_table(table) {
            return SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{shown}\""),
            )
            .with_hint(format!("Perhaps you meant to reference the table alias \"{alias}\"."))
            .at(at.position());
        }
        SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("missing FROM-clause entry for table \"{shown}\""),
        )
        .at(at.position())
    }

    /// The alias under which a table of this name is in scope.
    fn alias_of_table(&self, table: &str) -> Option<String> {
        let scope = self.scopes.last()?;
        scope.relations.iter().find_map(|it| {
            let relation = self.relations.get(it.id);
            let super::tree::Source::Table(_, oid) = &relation.source else { return None };
            let found = self.cx.catalog.tables.get(oid)?;
            (found.name == table).then(|| relation.alias.clone())
        })
    }

    /// PostgreSQL's hint for a misspelt column: the one column at a small edit distance.
    fn column_hint(&self, name: &str) -> Option<String> {
        let limit = (name.chars().count() / 2).min(3);
        let scope = self.scopes.iter().rev().find(|scope| !scope.relations.is_empty())?;
        let mut best: Option<(usize, String)> = None;
        let mut ties = 0;
        for relation in &scope.relations {
            let relation = self.relations.get(relation.id);
            for column in relation.columns.iter().filter(|column| column.is_listed()) {
                let distance = edit_distance(name, &column.name);
                if distance > limit {
                    continue;
                }
                match &best {
                    Some((found, _)) if *found < distance => {}
                    Some((found, _)) if *found == distance => ties += 1,
                    _ => {
                        best = Some((distance, format!("{}.{}", relation.alias, column.name)));
                        ties = 0;
                    }
                }
            }
        }
        let (_, column) = best.filter(|_| ties == 0)?;
        Some(format!("Perhaps you meant to reference the column \"{column}\"."))
    }

    /// The columns that make up a relation's whole row.
    pub(crate) fn whole_row_fields(&self, relation: RelationId, at: At) -> Vec<Expr> {
        let columns = (0u16..).zip(&self.relations.get(relation).columns);
        let plain = columns.filter(|(_, column)| !column.system);
        plain.map(|(index, _)| self.column(relation, index, at)).collect()
    }

    /// A relation as one value.
    pub(crate) fn whole_row(&self, relation: RelationId, at: At) -> Expr {
        if self.merged_columns.contains_key(&relation) {
            let fields = self.whole_row_fields(relation, at);
            return Expr::new(Node::Row(fields), Oid::RECORD).at(at);
        }
        let found = self.relations.get(relation);
        let plain: Vec<u16> = (0u16..)
            .zip(&found.columns)
            .filter(|(_, column)| !column.system)
            .map(|(index, _)| index)
            .collect();
        if let Some(ColumnSql::RowField(_, row_type)) = found.columns.last().map(|it| &it.sql) {
            return Expr::new(Node::WholeRow(relation), *row_type).at(at);
        }
        let is_function = matches!(found.source, super::tree::Source::Function(_));
        if let ([only], true) = (&plain[..], is_function) {
            return self.column(relation, *only, at);
        }
        let type_oid = match &found.source {
            super::tree::Source::Table(_, oid) => {
                self.note_column(Some((*oid, 0)));
                self.cx.catalog.tables.get(oid).map_or(Oid::RECORD, |table| table.row_type_oid)
            }
            _ => Oid::RECORD,
        };
        Expr::new(Node::WholeRow(relation), type_oid).at(at)
    }
}

/// Reserved words of PostgreSQL's grammar that are calls, where sqlparser sees a name.
fn is_parameterless(name: &str) -> bool {
    matches!(name, "current_schema" | "current_catalog" | "current_role" | "session_user" | "user")
}

/// Levenshtein distance, on characters; long names count as far apart.
fn edit_distance(left: &str, right: &str) -> usize {
    const LENGTH_MAX: usize = 64;
    if left.len() > LENGTH_MAX || right.len() > LENGTH_MAX {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
