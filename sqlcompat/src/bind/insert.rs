//! `INSERT`: values and defaults for every column, and ON CONFLICT.

use sqlparser::ast::{self, OnInsert, SetExpr, TableObject};

use super::binder::Binder;
use super::conflict::{Conflict, once_keys};
use super::modification::{Change, Modification};
use super::query::plain_query;
use super::target::{Target, is_default};
use super::tree::{At, Body, Expr, Query, Select};
use super::update::Place;
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::lower::{Lowering, quote_identifier};
use crate::oid::Oid;
use crate::parse::rewrite::{OVERRIDING_SYSTEM, OVERRIDING_USER};
use crate::schema::{Column, ColumnGeneration, Table};

/// What is inserted, per column that SQLite is given.
pub(crate) struct Rows<'a> {
    /// The columns.
    pub(crate) columns: Vec<&'a Column>,
    /// Their values.
    pub(crate) source: Values,
}

/// Where inserted values come from.
pub(crate) enum Values {
    /// Rows of expressions.
    Rows(Vec<Vec<Expr>>),
    /// A query that yields the columns in order.
    Query(Box<Query>),
}

/// What OVERRIDING says of identity columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overriding {
    No,
    System,
    User,
}

/// The source of an `INSERT`, apart from its WITH.
enum InsertSource<'e> {
    Defaults,
    Values(&'e ast::Values),
    Query(Box<Query>),
}

impl Rows<'_> {
    /// The values, where there is one row of them.
    pub(crate) fn only_row(&self) -> &[Expr] {
        match &self.source {
            Values::Rows(rows) => rows.first().map_or(&[], Vec::as_slice),
            Values::Query(_) => &[],
        }
    }
}

impl<'a> Binder<'a> {
    /// Binds one row of nothing but defaults.
    ///
    /// # Errors
    /// What binding a default reports.
    pub(crate) fn insert_defaults(&mut self, target: Target<'a>) -> Result<Rows<'a>, SqlError> {
        self.insert_rows(target, None, InsertSource::Defaults, Overriding::No)
    }

    /// Binds one row of values with the columns that it is for, over what is in scope.
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub(crate) fn insert_one(
        &mut self,
        target: Target<'a>,
        columns: &[ast::ObjectName],
        values: &ast::Values,
    ) -> Result<Rows<'a>, SqlError> {
        let (columns, overriding) = self.insert_columns(target, columns)?;
        self.insert_rows(target, columns, InsertSource::Values(values), overriding)
    }

    /// Binds an `INSERT`.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis reports; 0A000 for clauses of other dialects.
    pub(crate) fn insert(&mut self, insert: &ast::Insert) -> Result<Modification<'a>, SqlError> {
        let parts = InsertParts::of(insert)?;
        let (ctes, source) = self.insert_source(parts.source)?;
        let target = self.target(parts.table, parts.alias, "inserting into")?;
        let (columns, overriding) = self.insert_columns(target, parts.columns)?;
        let scope = self.scopes.pop();
        let rows = self.insert_rows(target, columns, source, overriding)?;
        self.scopes.extend(scope);
        let mut conflict = self.on_conflict(target, parts.on)?;
        let returning = self.returning(parts.returning, target)?;
        if let (Some(conflict), Some(returning)) = (&mut conflict, &returning) {
            conflict.told = self.reads_deleter(returning, target);
        }
        let change = Change::Insert(Box::new(rows), conflict.map(Box::new));
        let checks = self.checks(target);
        Ok(Modification { target, change, ctes, returning, checks })
    }

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
        target: Target<'a>,
        names: &[ast::ObjectName],
    ) -> Result<(Option<Vec<Place<'a>>>, Overriding), SqlError> {
        let mut overriding = Overriding::No;
        let mut columns: Vec<Place<'a>> = Vec::with_capacity(names.len());
        for name in names {
            let at = self.start_of(name);
            let parts = Self::names(name)?;
            match &parts[..] {
                [name] if name == OVERRIDING_SYSTEM => {
                    overriding = Overriding::System;
                    continue;
                }
                [name] if name == OVERRIDING_USER => {
                    overriding = Overriding::User;
                    continue;
                }
                _ => {}
            }
            let place = self.place_of_names(target, &parts, "insert into", at)?;
            let twice = |it: &Place<'_>| {
                it.column.attnum == place.column.attnum
                    && (it.part.is_empty() || place.part.is_empty())
            };
            if columns.iter().any(twice) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", place.column.name),
                )
                .at(at.position()));
            }
            columns.push(place);
        }
        Ok(((!columns.is_empty()).then_some(columns), overriding))
    }

    fn insert_rows(
        &mut self,
        target: Target<'a>,
        named: Option<Vec<Place<'a>>>,
        source: InsertSource<'_>,
        overriding: Overriding,
    ) -> Result<Rows<'a>, SqlError> {
        let explicit = named.is_some();
        let named = match named {
            Some(named) => named,
            None => self.all_places(target, &source)?,
        };
        let mut rows = match source {
            InsertSource::Defaults => {
                Rows { columns: Vec::new(), source: Values::Rows(vec![Vec::new()]) }
            }
            InsertSource::Values(values) => {
                self.value_rows(target, (&named, explicit), values, overriding)?
            }
            InsertSource::Query(query) => self.query_rows(&named, explicit, *query, overriding)?,
        };
        self.add_defaults(target, &mut rows)?;
        Ok(rows)
    }

    /// All columns of a target, as far as the source has values for them.
    fn all_places(
        &self,
        target: Target<'a>,
        source: &InsertSource<'_>,
    ) -> Result<Vec<Place<'a>>, SqlError> {
        let given = match source {
            InsertSource::Defaults => 0,
            InsertSource::Values(values) => values.rows.first().map_or(0, |row| row.content.len()),
            InsertSource::Query(query) => query.columns.len(),
        };
        let count = if self.written_view_of(target).is_some() { given } else { usize::MAX };
        let names = self.target_names(target).into_iter().take(count);
        names.map(|name| self.place_of(target, &name, "insert into", At(0))).collect()
    }

    fn value_rows(
        &mut self,
        target: Target<'a>,
        (named, explicit): (&[Place<'a>], bool),
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
        let at = match named.get(width) {
            Some(missing) => missing.at,
            None => place(self, named.len().min(width.saturating_sub(1))),
        };
        require_width(named.len(), width, explicit, at)?;
        let named = &named[..width];
        let columns = different_columns(named);
        let mut rows = Vec::with_capacity(values.rows.len());
        self.scopes.push(super::scope::Scope::default());
        let calls = &mut self.scope().calls;
        calls.no_aggregates = Some("VALUES");
        calls.no_windows = Some("VALUES");
        calls.no_sets = Some("VALUES");
        for row in &values.rows {
            let mut bound = Vec::with_capacity(width);
            for (place, expr) in named.iter().zip(&row.content) {
                if place.part.is_empty() {
                    let value = self.inserted_value(target, place.column, expr, overriding)?;
                    bound.push((place.column, value));
                } else {
                    self.assign_expression_part(place, expr, &mut bound)?;
                }
            }
            rows.push(in_order(&columns, bound));
        }
        self.scopes.pop();
        let mut rows = Rows { columns, source: Values::Rows(rows) };
        drop_unwritten(&mut rows);
        Ok(rows)
    }

    /// A value for a part of a column, which is NULL before the first of its parts.
    fn add_part(
        &mut self,
        place: &Place<'a>,
        value: Expr,
        bound: &mut Vec<(&'a Column, Expr)>,
    ) -> Result<(), SqlError> {
        let Place { column, part, at } = place;
        let before = bound.iter().position(|(it, _)| it.attnum == column.attnum);
        let whole = match before {
            Some(index) => super::update::unchecked(bound.remove(index).1),
            None => {
                let mut null = Expr::null_of(column.type_oid);
                null.typmod = column.typmod;
                null
            }
        };
        bound.push((column, self.assign_part(whole, &column.name, part, value, *at)?));
        Ok(())
    }

    fn assign_expression_part(
        &mut self,
        place: &Place<'a>,
        expr: &ast::Expr,
        bound: &mut Vec<(&'a Column, Expr)>,
    ) -> Result<(), SqlError> {
        let at = self.expr_start(expr);
        if is_default(expr) {
            return Err(place.no_default());
        }
        let value = self.expr(expr)?;
        let value = if value.at.0 == 0 { value.at(at) } else { value };
        self.add_part(place, value, bound)
    }

    fn inserted_value(
        &mut self,
        target: Target<'a>,
        column: &'a Column,
        expr: &ast::Expr,
        overriding: Overriding,
    ) -> Result<Expr, SqlError> {
        if is_default(expr) {
            return self.default_for(target, column);
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
        named: &[Place<'a>],
        explicit: bool,
        mut query: Query,
        overriding: Overriding,
    ) -> Result<Rows<'a>, SqlError> {
        let width = query.columns.len();
        let at = named.get(width).map_or(At(0), |missing| missing.at);
        require_width(named.len(), width, explicit, at)?;
        let named = &named[..width];
        for (index, Place { column, part, at: _ }) in named.iter().enumerate() {
            require_writable(column, overriding)?;
            if query.columns[index].type_oid == Oid::UNKNOWN && !part.is_empty() {
                self.coerce_output(&mut query, index, Oid::TEXT, -1, CastContext::Implicit)?;
            } else if query.columns[index].type_oid == Oid::UNKNOWN {
                let (target, typmod) = (column.type_oid, column.typmod);
                self.coerce_output(&mut query, index, target, typmod, CastContext::Assignment)?;
            }
        }
        let id = self.add_subquery(query);
        let columns = different_columns(named);
        let mut items = Vec::with_capacity(width);
        for (index, place) in (0u16..).zip(named) {
            let value = self.column(id, index, At(0));
            if place.part.is_empty() {
                items.push((place.column, self.assign(value, place.column, At(0))?));
            } else {
                self.add_part(place, value, &mut items)?;
            }
        }
        let select = Select::over(id, in_order(&columns, items));
        let query = plain_query(Body::Select(Box::new(select)), Vec::new());
        Ok(Rows { columns, source: Values::Query(Box::new(query)) })
    }

    /// Adds the columns that were not named and have a default, and the hidden key; protects an integer key from NULL.
    fn add_defaults(&mut self, target: Target<'a>, rows: &mut Rows<'a>) -> Result<(), SqlError> {
        let table = target.table;
        if let Some(view) = self.written_view_of(target) {
            let computed =
                view.columns.iter().find(|it| it.default.is_some() && it.behind.is_err());
            if let Some(column) = computed {
                self.target_column(target, &column.name, "insert into", At(0))?;
            }
        }
        for column in &table.columns {
            let given = rows.columns.iter().any(|it| it.attnum == column.attnum);
            let key = table.integer_key().is_some_and(|key| key.attnum == column.attnum);
            let viewed = self.view_column(target, column);
            let viewed = viewed.is_some_and(|it| it.insert_default().is_some());
            let wanted = viewed || self.has_default(column) || key;
            if given || !wanted || !column.generation.is_written() {
                continue;
            }
            rows.columns.push(column);
            let default = self.default_for(target, column)?;
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
}

impl Lowering<'_> {
    /// `INSERT INTO …` with its ON CONFLICT.
    ///
    /// # Errors
    /// What lowering the values reports.
    pub(crate) fn insert(
        &mut self,
        target: Target<'_>,
        rows: &Rows<'_>,
        conflict: Option<&Conflict<'_>>,
    ) -> Result<(), SqlError> {
        let once = conflict.map_or_else(Vec::new, |conflict| once_keys(conflict, rows));
        self.insert_into(target, rows, conflict.is_some(), &once)?;
        self.conflict(target.table, conflict)
    }

    /// The values of the only row, after the hidden key.
    ///
    /// # Errors
    /// What lowering a value reports.
    pub(crate) fn row_to_insert(&mut self, table: &Table, rows: &Rows<'_>) -> Result<(), SqlError> {
        if rows.columns.is_empty() && table.hidden_key.is_none() {
            self.out.push_str("NULL");
            return Ok(());
        }
        let hidden = table.hidden_key.is_some();
        self.inserted_row(table, &rows.columns, rows.only_row(), hidden)
    }

    /// `INSERT INTO … SELECT …` of values that [`Self::row_to_insert`] has left in a step.
    pub(crate) fn insert_kept(&mut self, target: Target<'_>, rows: &Rows<'_>, step: usize) {
        let hidden = target.table.hidden_key.as_deref();
        let names = hidden.into_iter().chain(rows.columns.iter().map(|it| &*it.physical_name));
        let mut names: Vec<String> = names.map(quote_identifier).collect();
        if names.is_empty() {
            let first = target.table.columns.first();
            names.extend(first.map(|column| quote_identifier(&column.physical_name)));
        }
        let list = (1..=names.len()).map(|number| format!("c{number}")).collect::<Vec<_>>();
        self.out.push_str("INSERT INTO ");
        self.target(target);
        let (names, list, rows) =
            (names.join(", "), list.join(", "), super::steps::kept_rows(step, names.len()));
        self.push(format_args!(" ({names}) SELECT {list} FROM {rows}"));
    }

    fn insert_into(
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
                self.filter(select.filter.as_ref())?;
                if conflict && select.filter.is_none() {
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

/// The columns among places, each once.
fn different_columns<'a>(places: &[Place<'a>]) -> Vec<&'a Column> {
    let mut columns: Vec<&Column> = Vec::with_capacity(places.len());
    for place in places {
        if !columns.iter().any(|it| it.attnum == place.column.attnum) {
            columns.push(place.column);
        }
    }
    columns
}

/// Values in the order of their columns.
fn in_order(columns: &[&Column], mut values: Vec<(&Column, Expr)>) -> Vec<Expr> {
    let place = |attnum: i16| columns.iter().position(|it| it.attnum == attnum);
    values.sort_by_key(|(column, _)| place(column.attnum));
    values.into_iter().map(|(_, value)| value).collect()
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
