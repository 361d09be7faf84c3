//! `INSERT`: values and defaults for every column, and ON CONFLICT.

use sqlparser::ast::{self, ConflictTarget, OnConflictAction, OnInsert, SetExpr, TableObject};

use super::binder::Binder;
use super::context::BindContext;
use super::query::plain_query;
use super::target::{Target, binder, is_default};
use super::tree::{At, Body, Distinct, Expr, FromItem, Query, RelationId, Select};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::lower::{Lowering, quote_identifier};
use crate::oid::Oid;
use crate::parse;
use crate::parse::rewrite::{CONFLICT, OVERRIDING_SYSTEM, OVERRIDING_USER};
use crate::plan::{Plan, WriteVerb};
use crate::schema::{Column, ColumnGeneration, Table};

/// What is inserted, per column that SQLite is given.
struct Rows<'a> {
    columns: Vec<&'a Column>,
    source: Values,
}

/// Where inserted values come from.
enum Values {
    /// Rows of expressions.
    Rows(Vec<Vec<Expr>>),
    /// A query that yields the columns in order.
    Query(Box<Query>),
}

/// A bound ON CONFLICT.
struct Conflict<'a> {
    /// Columns of the unique constraint or index; empty for any.
    columns: Vec<&'a Column>,
    /// Keys and condition of an index that is partial or over expressions, in place of columns.
    index: Option<ConflictIndex>,
    /// `DO UPDATE SET`; `None` for `DO NOTHING`.
    update: Option<ConflictUpdate<'a>>,
}

/// Keys of a unique index, and its condition.
type ConflictIndex = (Vec<Expr>, Option<Expr>);

/// `SET` and `WHERE` of `DO UPDATE`.
type ConflictUpdate<'a> = (Vec<(&'a Column, Expr)>, Option<Expr>);

/// What OVERRIDING says of identity columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overriding {
    No,
    System,
    User,
}

/// Plans an `INSERT`.
///
/// # Errors
/// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
pub(crate) fn plan(
    insert: &ast::Insert,
    text: &str,
    cx: &BindContext<'_>,
) -> Result<Plan, SqlError> {
    let parts = InsertParts::of(insert)?;
    let mut binder = binder(cx, text);
    let (ctes, source) = binder.insert_source(parts.source)?;
    let target = binder.target(parts.table, parts.alias, "inserting into")?;
    let (columns, overriding) = binder.insert_columns(target.table, parts.columns)?;
    let scope = binder.scopes.pop();
    let rows = binder.insert_rows(target.table, columns, source, overriding)?;
    binder.scopes.extend(scope);
    let conflict = binder.on_conflict(target, parts.on)?;
    let returning = binder.returning(parts.returning, target)?;
    binder.write_plan(target, WriteVerb::Insert, returning.as_ref(), |lowering| {
        lowering.ctes(&ctes)?;
        let once = conflict.as_ref().map_or_else(Vec::new, |conflict| once_keys(conflict, &rows));
        lowering.insert(target, &rows, conflict.is_some(), &once)?;
        lowering.conflict(target.table, conflict.as_ref())
    })
}

/// The source of an `INSERT`, apart from its WITH.
enum InsertSource<'e> {
    Defaults,
    Values(&'e ast::Values),
    Query(Box<Query>),
}

impl<'a> Binder<'a> {
    /// `VALUES` by itself stays as text, for DEFAULT; any other query is bound before the target comes into scope.
    fn insert_source<'e>(
        &mut self,
        source: Option<&'e ast::Query>,
    ) -> Result<(Vec<super::tree::Cte>, InsertSource<'e>), SqlError> {
        let Some(query) = source else { return Ok((Vec::new(), InsertSource::Defaults)) };
        let plain = query.order_by.is_none()
            && query.limit_clause.is_none()
            && query.fetch.is_none()
            && query.with.is_none()
            && query.locks.is_empty();
        if let (SetExpr::Values(values), true) = (&*query.body, plain) {
            return Ok((Vec::new(), InsertSource::Values(values)));
        }
        let mut bound = self.query(query)?;
        let ctes = std::mem::take(&mut bound.ctes);
        Ok((ctes, InsertSource::Query(Box::new(bound))))
    }

    /// The columns named, or all; and what OVERRIDING says, which the rewriting of tokens passes as a last column.
    fn insert_columns(
        &self,
        table: &'a Table,
        names: &[ast::ObjectName],
    ) -> Result<(Option<Vec<&'a Column>>, Overriding), SqlError> {
        let mut overriding = Overriding::No;
        let mut columns: Vec<&Column> = Vec::with_capacity(names.len());
        for name in names {
            let at = self.start_of(name);
            let parts = Self::names(name)?;
            let local = match &parts[..] {
                [name] if name == OVERRIDING_SYSTEM => {
                    overriding = Overriding::System;
                    continue;
                }
                [name] if name == OVERRIDING_USER => {
                    overriding = Overriding::User;
                    continue;
                }
                [name] => name,
                _ => return Err(SqlError::unsupported("a field of a column in INSERT")),
            };
            let column = self.target_column(table, local, at)?;
            if columns.iter().any(|it| it.attnum == column.attnum) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{local}\" specified more than once"),
                )
                .at(at.position()));
            }
            columns.push(column);
        }
        Ok(((!columns.is_empty()).then_some(columns), overriding))
    }

    fn insert_rows(
        &mut self,
        table: &'a Table,
        named: Option<Vec<&'a Column>>,
        source: InsertSource<'_>,
        overriding: Overriding,
    ) -> Result<Rows<'a>, SqlError> {
        let explicit = named.is_some();
        let named = named.unwrap_or_else(|| table.columns.iter().collect());
        let mut rows = match source {
            InsertSource::Defaults => {
                Rows { columns: Vec::new(), source: Values::Rows(vec![Vec::new()]) }
            }
            InsertSource::Values(values) => {
                self.value_rows(&named, explicit, values, overriding)?
            }
            InsertSource::Query(query) => self.query_rows(&named, explicit, *query, overriding)?,
        };
        self.add_defaults(table, &mut rows)?;
        Ok(rows)
    }

    fn value_rows(
        &mut self,
        named: &[&'a Column],
        explicit: bool,
        values: &ast::Values,
        overriding: Overriding,
    ) -> Result<Rows<'a>, SqlError> {
        let width = values.rows.first().map_or(0, |row| row.content.len());
        for row in &values.rows {
            if row.content.len() != width {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "VALUES lists must all be the same length",
                )
                .at(row.content.first().and_then(|it| self.expr_start(it).position())));
            }
        }
        let place = |binder: &Self, index: usize| {
            let expr = values.rows.first().and_then(|row| row.content.get(index));
            expr.map_or(At(0), |expr| binder.expr_start(expr))
        };
        let at = place(self, named.len().min(width.saturating_sub(1)));
        require_width(named.len(), width, explicit, at)?;
        let columns: Vec<&Column> = named.iter().copied().take(width).collect();
        let mut rows = Vec::with_capacity(values.rows.len());
        self.scopes.push(super::scope::Scope::default());
        let calls = &mut self.scope().calls;
        calls.no_aggregates = Some("VALUES");
        calls.no_windows = Some("VALUES");
        calls.no_sets = Some("VALUES");
        for row in &values.rows {
            let mut bound = Vec::with_capacity(width);
            for (column, expr) in columns.iter().zip(&row.content) {
                bound.push(self.inserted_value(column, expr, overriding)?);
            }
            rows.push(bound);
        }
        self.scopes.pop();
        let mut rows = Rows { columns, source: Values::Rows(rows) };
        drop_unwritten(&mut rows);
        Ok(rows)
    }

    fn inserted_value(
        &mut self,
        column: &'a Column,
        expr: &ast::Expr,
        overriding: Overriding,
    ) -> Result<Expr, SqlError> {
        if is_default(expr) {
            return self.column_default(column);
        }
        let identity = matches!(
            column.generation,
            ColumnGeneration::IdentityAlways(_) | ColumnGeneration::IdentityByDefault(_)
        );
        if identity && overriding == Overriding::User {
            return self.column_default(column);
        }
        require_writable(column, overriding)?;
        let bound = self.expr(expr)?;
        let at = if bound.at.0 == 0 { self.expr_start(expr) } else { bound.at };
        self.assign(bound.at(at), column, at)
    }

    /// A query's rows, each output assigned to its column.
    fn query_rows(
        &mut self,
        named: &[&'a Column],
        explicit: bool,
        mut query: Query,
        overriding: Overriding,
    ) -> Result<Rows<'a>, SqlError> {
        let width = query.columns.len();
        require_width(named.len(), width, explicit, At(0))?;
        let columns: Vec<&Column> = named.iter().copied().take(width).collect();
        for (index, column) in columns.iter().enumerate() {
            require_writable(column, overriding)?;
            if query.columns[index].type_oid == Oid::UNKNOWN {
                let (target, typmod) = (column.type_oid, column.typmod);
                self.coerce_output(&mut query, index, target, typmod, CastContext::Assignment)?;
            }
        }
        let id = self.add_subquery(query);
        let mut items = Vec::with_capacity(width);
        for (index, column) in (0u16..).zip(&columns) {
            let value = self.column(id, index, At(0));
            items.push(self.assign(value, column, At(0))?);
        }
        let select = select_over(id, items);
        let query = plain_query(Body::Select(Box::new(select)), Vec::new());
        Ok(Rows { columns, source: Values::Query(Box::new(query)) })
    }

    /// Adds the columns that were not named and have a default, and the hidden key; protects an integer key from NULL.
    fn add_defaults(&mut self, table: &'a Table, rows: &mut Rows<'a>) -> Result<(), SqlError> {
        for column in &table.columns {
            let given = rows.columns.iter().any(|it| it.attnum == column.attnum);
            let key = table.integer_key().is_some_and(|key| key.attnum == column.attnum);
            let wanted = self.has_default(column) || key;
            if given || !wanted || !column.generation.is_written() {
                continue;
            }
            rows.columns.push(column);
            let default = self.column_default(column)?;
            match &mut rows.source {
                Values::Rows(rows) => rows.iter_mut().for_each(|row| row.push(default.clone())),
                Values::Query(query) => {
                    if let Body::Select(select) = &mut query.body {
                        select.items.push(default);
                    }
                }
            }
        }
        Ok(())
    }

    /// `ON CONFLICT`.
    fn on_conflict(
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
            Some(ConflictTarget::Columns(idents)) => self.conflict_columns(target.table, idents)?,
            Some(ConflictTarget::OnConstraint(name)) => {
                let (_, name) = self.qualified(name)?;
                constraint_columns(target.table, &name)?
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
                let assigned = self.assignments(target, assignments)?;
                let filter = self.clause(selection.as_ref(), "WHERE")?;
                let scope = self.scope();
                scope.relations.truncate(before.0);
                scope.columns.truncate(before.1);
                Some((assigned, filter))
            }
        };
        Ok(Some(Conflict { columns, index, update }))
    }

    /// The unique index that a conflict target of expressions, or with a condition, means.
    fn conflict_index(
        &mut self,
        target: Target<'a>,
        (keys, predicate): (&str, &str),
    ) -> Result<ConflictIndex, SqlError> {
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
        let id = self.relations.add(excluded);
        let names = self.names_of(id, None);
        self.add_names(names)
    }

    fn conflict_columns(
        &self,
        table: &'a Table,
        idents: &[ast::Ident],
    ) -> Result<Vec<&'a Column>, SqlError> {
        let mut columns = Vec::with_capacity(idents.len());
        for ident in idents {
            let name = Self::name(ident);
            let at = self.span_start(ident.span);
            let column = table.column_by_name(&name).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" does not exist"),
                )
                .at(at.position())
            })?;
            columns.push(column);
        }
        let mut wanted: Vec<i16> = columns.iter().map(|column| column.attnum).collect();
        wanted.sort_unstable();
        wanted.dedup();
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
            return Ok(columns);
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
    fn insert(
        &mut self,
        target: Target<'_>,
        rows: &Rows<'_>,
        conflict: bool,
        once: &[usize],
    ) -> Result<(), SqlError> {
        self.out.push_str("INSERT INTO ");
        self.target(target);
        let hidden = target.table.hidden_key.as_deref();
        if rows.columns.is_empty() && hidden.is_none() {
            self.out.push_str(" DEFAULT VALUES");
            return Ok(());
        }
        let names = hidden.into_iter().chain(rows.columns.iter().map(|it| &*it.physical_name));
        for (index, name) in names.enumerate() {
            self.out.push_str(if index == 0 { " (" } else { ", " });
            self.out.push_str(&quote_identifier(name));
        }
        self.out.push_str(") ");
        let Some(first) = once.first() else {
            return self.inserted_rows(target, rows, conflict, hidden.is_some());
        };
        // A function over all proposed rows sees a key that comes twice.
        self.out.push_str(if hidden.is_some() {
            "SELECT trellis_unique_id(), "
        } else {
            "SELECT "
        });
        for index in 0..rows.columns.len() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            if index != *first {
                self.push(format_args!("column{}", index + 1));
                continue;
            }
            self.push(format_args!("trellis_once('', column{}", index + 1));
            for key in once {
                self.push(format_args!(", column{}", key + 1));
            }
            self.out.push(')');
        }
        self.out.push_str(" FROM (");
        self.inserted_rows(target, rows, false, false)?;
        self.out.push_str(") WHERE 1");
        Ok(())
    }

    /// The proposed rows; with `conflict`, so that ON CONFLICT may follow.
    fn inserted_rows(
        &mut self,
        target: Target<'_>,
        rows: &Rows<'_>,
        conflict: bool,
        hidden: bool,
    ) -> Result<(), SqlError> {
        match &rows.source {
            Values::Rows(values) => {
                for (index, row) in values.iter().enumerate() {
                    self.out.push_str(if index == 0 { "VALUES (" } else { ", (" });
                    self.inserted_row(target.table, &rows.columns, row, hidden)?;
                    self.out.push(')');
                }
            }
            Values::Query(query) => {
                let Body::Select(select) = &query.body else { return Ok(()) };
                self.out.push_str("SELECT ");
                self.names_inserted = !conflict;
                self.inserted_row(target.table, &rows.columns, &select.items, hidden)?;
                self.names_inserted = false;
                self.from(&select.from)?;
                if conflict {
                    // Without a WHERE, SQLite reads ON CONFLICT as the ON of a join.
                    self.out.push_str(" WHERE 1");
                }
            }
        }
        Ok(())
    }

    /// One row's values: the hidden key first, and no NULL into an integer key, for which SQLite would choose a number.
    fn inserted_row(
        &mut self,
        table: &Table,
        columns: &[&Column],
        values: &[Expr],
        hidden: bool,
    ) -> Result<(), SqlError> {
        if hidden {
            self.out.push_str("trellis_unique_id()");
        }
        for (index, (column, value)) in columns.iter().zip(values).enumerate() {
            if index > 0 || hidden {
                self.out.push_str(", ");
            }
            self.stored_value(table, column, value)?;
            // The names that SQLite gives the columns of VALUES.
            if !hidden && self.names_inserted {
                self.push(format_args!(" AS column{}", index + 1));
            }
        }
        Ok(())
    }

    fn conflict(&mut self, table: &Table, conflict: Option<&Conflict<'_>>) -> Result<(), SqlError> {
        let Some(Conflict { columns, index, update }) = conflict else { return Ok(()) };
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
        self.assignments(table, assignments)?;
        self.filter(filter.as_ref())
    }
}

/// The clauses of an `INSERT` that PostgreSQL has.
struct InsertParts<'e> {
    table: &'e ast::ObjectName,
    alias: Option<&'e ast::Ident>,
    columns: &'e [ast::ObjectName],
    source: Option<&'e ast::Query>,
    on: Option<&'e OnInsert>,
    returning: Option<&'e [ast::SelectItem]>,
}

impl<'e> InsertParts<'e> {
    /// Takes an `INSERT` apart.
    ///
    /// # Errors
    /// 0A000 for clauses of other dialects.
    fn of(insert: &'e ast::Insert) -> Result<Self, SqlError> {
        let ast::Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        let foreign = !optimizer_hints.is_empty()
            || or.is_some()
            || *ignore
            || !*into
            || *overwrite
            || !assignments.is_empty()
            || partitioned.is_some()
            || !after_columns.is_empty()
            || *has_table_keyword
            || output.is_some()
            || *replace_into
            || priority.is_some()
            || insert_alias.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || multi_table_insert_type.is_some()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
            || multi_table_else_clause.is_some();
        let (TableObject::TableName(table), false) = (table, foreign) else {
            return Err(SqlError::unsupported("this form of INSERT"));
        };
        Ok(Self {
            table,
            alias: table_alias.as_ref().map(|it| &it.alias),
            columns,
            source: source.as_deref(),
            on: on.as_ref(),
            returning: returning.as_deref(),
        })
    }
}

/// The columns, by index among the inserted ones, whose values no two proposed rows may share: the conflict target of a DO
/// UPDATE without condition, where there may be several rows.
fn once_keys(conflict: &Conflict<'_>, rows: &Rows<'_>) -> Vec<usize> {
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

/// A select of expressions over one relation.
pub(crate) fn select_over(relation: RelationId, items: Vec<Expr>) -> Select {
    Select {
        distinct: Distinct::No,
        items,
        from: vec![FromItem::Relation(relation)],
        filter: None,
        grouped: false,
        group_by: Vec::new(),
        having: None,
    }
}

/// Takes out generated columns, which can only have been given as DEFAULT.
fn drop_unwritten(rows: &mut Rows<'_>) {
    let written: Vec<bool> = rows.columns.iter().map(|it| it.generation.is_written()).collect();
    if written.iter().all(|it| *it) {
        return;
    }
    let mut keep = written.iter().copied();
    rows.columns.retain(|_| keep.next().unwrap_or(true));
    if let Values::Rows(values) = &mut rows.source {
        for row in values {
            let mut keep = written.iter().copied();
            row.retain(|_| keep.next().unwrap_or(true));
        }
    }
}

fn require_width(targets: usize, width: usize, explicit: bool, at: At) -> Result<(), SqlError> {
    let message = if width > targets {
        "INSERT has more expressions than target columns"
    } else if explicit && width < targets {
        "INSERT has more target columns than expressions"
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()))
}

/// Refuses a value for a column that always generates its own.
fn require_writable(column: &Column, overriding: Overriding) -> Result<(), SqlError> {
    let (detail, hint) = match column.generation {
        ColumnGeneration::IdentityAlways(_) if overriding == Overriding::No => (
            format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            ),
            Some("Use OVERRIDING SYSTEM VALUE to override."),
        ),
        ColumnGeneration::Stored(_) => {
            (format!("Column \"{}\" is a generated column.", column.name), None)
        }
        ColumnGeneration::Plain
        | ColumnGeneration::IdentityAlways(_)
        | ColumnGeneration::IdentityByDefault(_) => return Ok(()),
    };
    let error = SqlError::new(
        SqlState::GENERATED_ALWAYS,
        format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
    )
    .with_detail(detail);
    Err(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

fn constraint_columns<'a>(table: &'a Table, name: &str) -> Result<Vec<&'a Column>, SqlError> {
    let unique = table.uniques.iter().find(|unique| unique.name == name).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("constraint \"{name}\" for table \"{}\" does not exist", table.name),
        )
    })?;
    Ok(unique.columns.iter().filter_map(|attnum| table.column(*attnum)).collect())
}
