//! What the data-modifying statements share: the target table, assignment of values to its columns, RETURNING.

use sqlparser::ast::{self, Ident, ObjectName, SelectItem};

use super::binder::{Binder, Uses};
use super::changes::{self, CHANGES};
use super::from::{system_relation, table_relation, table_sql, undefined_table};
use super::scope::Scope;
use super::tree::{At, ColumnSql, Expr, Node, OutputColumn, RelationId, Source, SystemColumn};
use super::view_target::WrittenColumn;
use crate::builtin::CastContext;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::lower::{Lowering, quote_identifier, quote_text};
use crate::oid::Oid;
use crate::parse;
use crate::schema::{self, Column, ColumnGeneration, Table};

/// The table that a statement writes.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The table.
    pub(crate) table: &'a Table,
    /// It as a relation of the statement.
    pub(crate) relation: RelationId,
}

/// A bound RETURNING.
pub(crate) struct Returning {
    /// Its expressions.
    pub(crate) items: Vec<Expr>,
    /// What they are called.
    pub(crate) columns: Vec<OutputColumn>,
    /// Columns of other relations than the target that they read.
    pub(crate) foreign: Vec<(RelationId, u16)>,
    /// What queries inside of them read.
    pub(crate) uses: Uses,
}

/// The name and alias of the table that a statement writes.
///
/// # Errors
/// 0A000 for clauses that only a table that is read may have, and for anything but a table.
pub(crate) fn written_table(
    factor: &ast::TableFactor,
) -> Result<(&ObjectName, Option<&Ident>), SqlError> {
    let ast::TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_hints,
    } = factor
    else {
        return Err(SqlError::unsupported("writing to anything but a table"));
    };
    let Some(alias) = alias else { return Ok((name, None)) };
    let ast::TableAlias { explicit: _, name: own, columns, at } = alias;
    let plain = with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty();
    if !plain || !columns.is_empty() || at.is_some() {
        return Err(SqlError::unsupported("this clause of a table that is written"));
    }
    Ok((name, Some(own)))
}

impl<'a> Binder<'a> {
    /// Finds the table that a statement writes, and brings it into a scope of its own.
    ///
    /// # Errors
    /// 42P01, 42809, 42501 for system relations.
    pub(crate) fn target(
        &mut self,
        name: &ObjectName,
        alias: Option<&Ident>,
        verb: &str,
    ) -> Result<Target<'a>, SqlError> {
        let at = self.start_of(name).position();
        let (schema, local) = self.qualified(name)?;
        let catalog = self.cx.catalog;
        let found = catalog.relation(self.cx.search_path, schema.as_deref(), &local);
        let table = match found {
            Some(schema::Relation::Table(table)) => table,
            Some(schema::Relation::View(_)) if verb == "merging into" => {
                let message = format!("cannot execute MERGE on relation \"{local}\"");
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                    .with_detail("This operation is not supported for views."));
            }
            Some(schema::Relation::View(_)) if verb == "truncating" => {
                let message = format!("\"{local}\" is not a table");
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            Some(schema::Relation::View(view)) => {
                return self.view_as_target(view, alias, schema, verb);
            }
            Some(schema::Relation::Sequence(_)) => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot change sequence \"{local}\""),
                )
                .at(at));
            }
            Some(schema::Relation::Index(..)) => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{local}\" is an index"),
                )
                .at(at));
            }
            None => {
                let system = system_relation(schema.as_deref(), &local);
                let changes = system.is_some_and(|it| (it.schema, it.name) == ("trellis", CHANGES));
                if changes && verb == "inserting into" {
                    return self.as_target(changes::target(), alias, schema);
                }
                return Err(match system {
                    Some(_) => SqlError::new(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        format!("permission denied for table {local}"),
                    ),
                    None => undefined_table(schema.as_deref(), &local),
                }
                .at(at));
            }
        };
        self.as_target(table, alias, schema)
    }

    fn as_target(
        &mut self,
        table: &'a Table,
        alias: Option<&Ident>,
        schema: Option<String>,
    ) -> Result<Target<'a>, SqlError> {
        let mut relation = table_relation(table);
        self.as_seen(&mut relation);
        relation.qualifier.clone_from(&table.physical_name);
        relation.source = Source::Given;
        if let Some(alias) = alias {
            relation.alias = Self::name(alias);
        }
        self.target_name.clone_from(&table.physical_name);
        let id = self.relations.add(relation);
        self.scopes.push(Scope::default());
        let names = self.names_of(id, if alias.is_some() { None } else { schema });
        self.add_names(names)?;
        Ok(Target { table, relation: id })
    }

    /// A value on its way into a column: coerced by assignment.
    ///
    /// # Errors
    /// 42804 with PostgreSQL's words for the column.
    pub(crate) fn assign(
        &mut self,
        value: Expr,
        column: &Column,
        at: At,
    ) -> Result<Expr, SqlError> {
        let source = value.type_oid;
        let at = if value.at.0 == 0 { at } else { value.at };
        let known = source != Oid::UNKNOWN;
        let assigned = self.coerce(value, column.type_oid, column.typmod, CastContext::Assignment);
        assigned.map_err(|error| {
            if !known || error.state != SqlState::DATATYPE_MISMATCH {
                return error;
            }
            let (wanted, found) = (self.types.format(column.type_oid), self.types.format(source));
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "column \"{}\" is of type {wanted} but expression is of type {found}",
                    column.name
                ),
            )
            .with_hint("You will need to rewrite or cast the expression.")
            .at(at.position())
        })
    }

    /// The value of a column that a statement leaves to its default.
    ///
    /// # Errors
    /// What binding the stored expression reports.
    pub(crate) fn column_default(&mut self, column: &Column) -> Result<Expr, SqlError> {
        if let Some(default) = &column.default {
            return self.stored_expression(&default.expression, column);
        }
        if let ColumnGeneration::IdentityAlways(sequence)
        | ColumnGeneration::IdentityByDefault(sequence) = column.generation
        {
            let node = Node::Literal(Datum::Integer(i64::from(sequence.0)));
            let sequence = Expr::new(node, Oid::REGCLASS);
            let next = self.call_named("nextval", vec![sequence], At(0))?;
            return self.coerce(next, column.type_oid, -1, CastContext::Assignment);
        }
        if let Some(schema::UserType::Domain(domain)) = self.cx.catalog.types.get(&column.type_oid)
            && let Some(default) = &domain.default
        {
            return self.stored_expression(default, column);
        }
        self.null_for(column)
    }

    /// The value that INSERT gives a column of its target by default: a view's own default, or the table's.
    ///
    /// # Errors
    /// As [`Self::column_default`].
    pub(crate) fn default_for(
        &mut self,
        target: Target<'a>,
        column: &Column,
    ) -> Result<Expr, SqlError> {
        let viewed = self.view_column(target, column).and_then(WrittenColumn::insert_default);
        match viewed.cloned() {
            Some(text) => self.stored_expression(&text, column),
            None => self.column_default(column),
        }
    }

    /// The value that `SET column = DEFAULT` gives: NULL for a column of a view without a default of its own.
    ///
    /// # Errors
    /// As [`Self::column_default`].
    pub(crate) fn default_in_update(
        &mut self,
        target: Target<'a>,
        column: &Column,
    ) -> Result<Expr, SqlError> {
        let Some(viewed) = self.view_column(target, column) else {
            return self.column_default(column);
        };
        match viewed.default.clone() {
            Some(text) => self.stored_expression(&text, column),
            None => self.null_for(column),
        }
    }

    /// NULL as a value of a column.
    fn null_for(&mut self, column: &Column) -> Result<Expr, SqlError> {
        let mut null = Expr::null_of(column.type_oid);
        null.typmod = column.typmod;
        if self.cx.catalog.types.contains_key(&column.type_oid) {
            return self.check_domain(null, column.type_oid);
        }
        Ok(null)
    }

    /// Whether a column left out by a statement gets anything but NULL.
    pub(crate) fn has_default(&self, column: &Column) -> bool {
        let domain = match self.cx.catalog.types.get(&column.type_oid) {
            Some(schema::UserType::Domain(domain)) => domain.default.is_some() || domain.not_null,
            Some(
                schema::UserType::Enum(_)
                | schema::UserType::Composite(_)
                | schema::UserType::Range(_),
            )
            | None => false,
        };
        column.default.is_some() || domain || column.generation != ColumnGeneration::Plain
    }

    fn stored_expression(&mut self, text: &str, column: &Column) -> Result<Expr, SqlError> {
        let ast = parse::expression(text)?;
        let scopes = std::mem::take(&mut self.scopes);
        let bound = self.in_other_text(|binder| {
            let bound = binder.expr(&ast)?;
            binder.coerce(bound, column.type_oid, column.typmod, CastContext::Assignment)
        });
        self.scopes = scopes;
        bound
    }

    /// Binds RETURNING over what is in scope.
    ///
    /// # Errors
    /// What binding an item reports.
    pub(crate) fn returning(
        &mut self,
        items: Option<&[SelectItem]>,
        target: Target<'_>,
    ) -> Result<Option<Returning>, SqlError> {
        let Some(items) = items else { return Ok(None) };
        let calls = &mut self.scope().calls;
        calls.no_aggregates = Some("RETURNING");
        calls.no_windows = Some("RETURNING");
        calls.no_sets = Some("RETURNING");
        let ((mut items, mut columns), uses) =
            self.with_uses(|binder| binder.target_list(items))?;
        for (item, column) in items.iter_mut().zip(&mut columns) {
            if item.is_unknown() {
                let untyped = std::mem::replace(item, Expr::null());
                *item = self.implicit(untyped, Oid::TEXT)?;
                column.type_oid = Oid::TEXT;
            }
        }
        let local = self.scope().relations.iter().map(|it| it.id);
        let others: Vec<RelationId> = local.filter(|id| *id != target.relation).collect();
        let mut foreign = Vec::new();
        items.iter().for_each(|item| self.read_of(item, &others, &mut foreign));
        Ok(Some(Returning { items, columns, foreign, uses }))
    }

    /// Whether a RETURNING reads `xmax` of the target.
    pub(super) fn reads_deleter(&self, returning: &Returning, target: Target<'_>) -> bool {
        let columns = &self.relations.get(target.relation).columns;
        let deleter = ColumnSql::System(SystemColumn::Deleter);
        let place = columns.iter().position(|column| column.sql == deleter);
        let mut found = false;
        for item in &returning.items {
            item.visit_columns(&self.relations, &mut |relation, index| {
                found |= relation == target.relation && index.map(usize::from) == place;
            });
        }
        found && place.is_some()
    }

    /// Adds the columns of some relations that an expression reads, queries inside of it included.
    pub(crate) fn read_of(
        &self,
        expr: &Expr,
        of: &[RelationId],
        found: &mut Vec<(RelationId, u16)>,
    ) {
        expr.visit_columns(&self.relations, &mut |relation, index| {
            if !of.contains(&relation) {
                return;
            }
            let whole = index.is_none();
            let columns = match index {
                Some(index) => index..index + 1,
                None => 0..u16::try_from(self.relations.get(relation).columns.len()).unwrap_or(0),
            };
            for index in columns {
                let column = &self.relations.get(relation).columns[usize::from(index)];
                let made = whole || !matches!(column.sql, ColumnSql::System(_));
                let is_left_out = column.system && made || found.contains(&(relation, index));
                if !is_left_out {
                    found.push((relation, index));
                }
            }
        });
    }
}

impl Lowering<'_> {
    /// ` RETURNING …`.
    ///
    /// # Errors
    /// What lowering an item reports.
    pub(crate) fn returning(&mut self, items: &[Expr]) -> Result<(), SqlError> {
        self.out.push_str(" RETURNING ");
        self.returned(items)
    }

    /// The items of a RETURNING; NULL for none.
    ///
    /// # Errors
    /// What lowering an item reports.
    pub(crate) fn returned(&mut self, items: &[Expr]) -> Result<(), SqlError> {
        if items.is_empty() {
            self.out.push_str("NULL");
        }
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.expr(item)?;
        }
        Ok(())
    }

    /// The target's name as SQLite takes it.
    pub(crate) fn target(&mut self, target: Target<'_>) {
        self.out.push_str(&table_sql(target.table));
    }

    /// `"a" = value, …`.
    ///
    /// # Errors
    /// What lowering a value reports.
    pub(crate) fn assignments(
        &mut self,
        table: &Table,
        assignments: &[(&Column, Expr)],
    ) -> Result<(), SqlError> {
        for (index, (column, value)) in assignments.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.out.push_str(&quote_identifier(&column.physical_name));
            self.out.push_str(" = ");
            self.stored_value(table, column, value)?;
        }
        Ok(())
    }

    /// A value for a column. An integer key is SQLite's rowid, for which SQLite would choose a number instead of NULL.
    ///
    /// # Errors
    /// What lowering the value reports.
    pub(crate) fn stored_value(
        &mut self,
        table: &Table,
        column: &Column,
        value: &Expr,
    ) -> Result<(), SqlError> {
        let key = table.integer_key().map(|key| key.attnum);
        if key != Some(column.attnum) || never_null(value) {
            return self.expr(value);
        }
        self.out.push_str("coalesce(");
        self.expr(value)?;
        let (relation, column) = (quote_text(&table.name), quote_text(&column.name));
        self.push(format_args!(", trellis_null_key({relation}, {column}))"));
        Ok(())
    }

    /// ` WHERE …`.
    ///
    /// # Errors
    /// What lowering the condition reports.
    pub(crate) fn filter(&mut self, filter: Option<&Expr>) -> Result<(), SqlError> {
        if let Some(filter) = filter {
            self.out.push_str(" WHERE ");
            self.expr(filter)?;
        }
        Ok(())
    }
}

/// Whether an expression in a target list is the word DEFAULT.
pub(crate) fn is_default(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::Identifier(ident) => {
            ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default")
        }
        _ => false,
    }
}

/// Whether a value is known not to be NULL.
fn never_null(value: &Expr) -> bool {
    match &value.node {
        Node::Literal(datum) => *datum != Datum::Null,
        Node::Call(call) => {
            call.row.name == "nextval" || (call.row.strict && call.arguments.iter().all(never_null))
        }
        _ => false,
    }
}
