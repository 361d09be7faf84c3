//! `FROM`: tables, views, system relations, CTEs, subqueries, functions, and joins of them.
//!
//! While the items are bound, the query's own scope holds the names to the left, which only LATERAL items and functions may
//! see; a plain subquery is bound with that scope hidden. An `ON` condition sees the two sides of its join and nothing else
//! of its level.

use sqlparser::ast::{
    self, FunctionArg, Ident, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor,
    TableWithJoins,
};

use super::binder::Binder;
use super::changes::{self, CHANGES};
use super::resolve::ResolvedFunction;
use super::scope::{ScopeColumn, ScopeRelation};
use super::tree::{
    At, ColumnSql, Expr, FromItem, FunctionSource, Join, JoinKind, Node, OutputColumn, Relation,
    RelationColumn, RelationId, Source,
};
use crate::builtin;
use crate::catalog::live_name;
use crate::error::{SqlError, SqlState};
use crate::lower::quote_identifier;
use crate::oid::Oid;
use crate::parse;
use crate::schema;

/// Deepest nesting of views in views.
const VIEW_DEPTH_MAX: usize = 32;

/// The names that an item brings into scope.
#[derive(Debug, Default)]
pub(crate) struct Names {
    relations: Vec<ScopeRelation>,
    columns: Vec<ScopeColumn>,
}

impl Names {
    fn and(mut self, other: Self) -> Self {
        self.relations.extend(other.relations);
        self.columns.extend(other.columns);
        self
    }
}

impl Binder<'_> {
    /// Binds a `FROM` list into the innermost scope.
    ///
    /// # Errors
    /// 42P01, 42712 and whatever is wrong inside.
    pub(crate) fn bind_from(
        &mut self,
        items: &[TableWithJoins],
    ) -> Result<Vec<FromItem>, SqlError> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            let (from, names) = self.joined(item)?;
            self.add_names(names)?;
            bound.push(from);
        }
        Ok(bound)
    }

    /// Adds names to the innermost scope, where no relation of that name may be yet.
    pub(crate) fn add_names(&mut self, names: Names) -> Result<(), SqlError> {
        for new in &names.relations {
            let scope = &self.scopes[self.scopes.len() - 1];
            self.require_new_name(&scope.relations, new)?;
        }
        let scope = self.scope();
        scope.relations.extend(names.relations);
        scope.columns.extend(names.columns);
        Ok(())
    }

    fn require_new_name(
        &self,
        present: &[ScopeRelation],
        new: &ScopeRelation,
    ) -> Result<(), SqlError> {
        let alias = &self.relations.get(new.id).alias;
        let same = |it: &&ScopeRelation| {
            self.relations.get(it.id).alias == *alias
                && (it.schema == new.schema || it.schema.is_none() || new.schema.is_none())
        };
        if alias.is_empty() || present.iter().find(same).is_none() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::DUPLICATE_ALIAS,
            format!("table name \"{alias}\" specified more than once"),
        ))
    }

    /// A relation as the only name of an item.
    pub(crate) fn names_of(&self, id: RelationId, schema: Option<String>) -> Names {
        let columns = (0u16..)
            .zip(&self.relations.get(id).columns)
            .filter(|(_, column)| !column.system)
            .map(|(index, _)| ScopeColumn::Plain(id, index))
            .collect();
        let relation = ScopeRelation { id, schema, qualified_only: false };
        Names { relations: vec![relation], columns }
    }

    fn joined(&mut self, item: &TableWithJoins) -> Result<(FromItem, Names), SqlError> {
        let TableWithJoins { relation, joins } = item;
        let (mut left, mut names) = self.factor(relation)?;
        for join in joins {
            let ast::Join { relation, global, join_operator } = join;
            if *global {
                return Err(SqlError::unsupported("GLOBAL JOIN"));
            }
            let (kind, constraint) = join_kind(join_operator)?;
            let (right, right_names) = self.with_names(&names, |binder| binder.factor(relation))?;
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
            for column in &mut self.relations.get_mut(relation.id).columns {
                column.not_null = false;
            }
        }
    }

    /// Runs `inner` with more names in the innermost scope.
    fn with_names<T>(
        &mut self,
        names: &Names,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let scope = self.scope();
        let before = (scope.relations.len(), scope.columns.len());
        scope.relations.extend(names.relations.iter().cloned());
        scope.columns.extend(names.columns.iter().cloned());
        let result = inner(self);
        let scope = self.scope();
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
                self.using(kind, &shared, left, right)
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
                    self.merge(kind, from_left, from_right)?
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

    /// The value of a merged column.
    fn merge(&mut self, kind: JoinKind, left: Expr, right: Expr) -> Result<Expr, SqlError> {
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

    fn factor(&mut self, factor: &TableFactor) -> Result<(FromItem, Names), SqlError> {
        self.nested(|binder| match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                binder.joined(table_with_joins)
            }
            _ => {
                let (id, schema) = binder.single(factor)?;
                Ok((FromItem::Relation(id), binder.names_of(id, schema)))
            }
        })
    }

    /// An item that is one relation, with the schema that may qualify it.
    fn single(&mut self, factor: &TableFactor) -> Result<(RelationId, Option<String>), SqlError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let plain = with_hints.is_empty()
                    && version.is_none()
                    && partitions.is_empty()
                    && json_path.is_none()
                    && sample.is_none()
                    && index_hints.is_empty();
                if !plain {
                    return Err(SqlError::unsupported("this clause of a table in FROM"));
                }
                if let Some(ast::TableFunctionArgs { args, settings: None }) = args {
                    let id = self.table_function(name, args, *with_ordinality, alias.as_ref())?;
                    return Ok((id, None));
                }
                self.table(name, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } => {
                let query = all_of(table_with_joins);
                Ok((self.derived(true, &query, Some(alias))?, None))
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                Ok((self.derived(*lateral, subquery, alias.as_ref())?, None))
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                Ok((self.table_function(name, args, *with_ordinality, alias.as_ref())?, None))
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality,
            } => {
                let arguments = array_exprs.iter().cloned();
                let arguments: Vec<FunctionArg> = arguments
                    .map(|it| FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(it)))
                    .collect();
                let name = ObjectName::from(vec![Ident::new("unnest")]);
                Ok((
                    self.table_function(&name, &arguments, *with_ordinality, alias.as_ref())?,
                    None,
                ))
            }
            other => {
                let text: String = other.to_string().chars().take(60).collect();
                Err(SqlError::unsupported(format!("the FROM item {text}")))
            }
        }
    }

    /// A named relation: a CTE, a table, a view, a system relation.
    fn table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
    ) -> Result<(RelationId, Option<String>), SqlError> {
        let at = self.start_of(name);
        let (schema, local) = self.qualified(name)?;
        let mut relation = None;
        if schema.is_none() {
            relation = self.cte_relation(&local, at)?;
        }
        let relation = match relation {
            Some(relation) => relation,
            None => self.named_relation(schema.as_deref(), &local, at)?,
        };
        let id = self.add_relation(relation, alias, at)?;
        let qualifier = if alias.is_some() { None } else { schema.or(Some(String::new())) };
        Ok((id, qualifier.filter(|it| !it.is_empty())))
    }

    /// Adds a relation under its alias, or under its own name.
    pub(crate) fn add_relation(
        &mut self,
        mut relation: Relation,
        alias: Option<&TableAlias>,
        at: At,
    ) -> Result<RelationId, SqlError> {
        relation.qualifier = self.fresh_qualifier();
        if let Some(alias) = alias {
            let TableAlias { explicit: _, name, columns, at: index } = alias;
            if index.is_some() {
                return Err(SqlError::unsupported("AT in a table alias"));
            }
            relation.alias = Self::name(name);
            let visible = relation.columns.iter().filter(|column| !column.system).count();
            if columns.len() > visible {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!(
                        "table \"{}\" has {visible} columns available but {} columns specified",
                        relation.alias,
                        columns.len()
                    ),
                )
                .at(at.position()));
            }
            for (column, definition) in relation.columns.iter_mut().zip(columns) {
                if definition.data_type.is_some() {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        "a column definition list is only allowed for functions returning \
                         \"record\"",
                    )
                    .at(at.position()));
                }
                column.name = Self::name(&definition.name);
            }
        }
        Ok(self.relations.add(relation))
    }

    /// A relation of one column whose row the statement itself provides.
    pub(crate) fn add_given(&mut self, name: &str, type_oid: Oid, typmod: i32) -> RelationId {
        let column = plain_column(name.to_owned(), ColumnSql::Name(name.to_owned()), type_oid);
        self.relations.add(Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns: vec![RelationColumn { typmod, ..column }],
            source: Source::Given,
        })
    }

    fn cte_relation(&mut self, name: &str, at: At) -> Result<Option<Relation>, SqlError> {
        let Some(entry) = self.ctes.iter_mut().rev().find(|it| it.name == name && !it.hidden)
        else {
            return Ok(None);
        };
        entry.used_by_itself = true;
        let _ = at;
        let columns = output_columns(&entry.columns);
        Ok(Some(Relation {
            alias: name.to_owned(),
            qualifier: String::new(),
            columns,
            source: Source::Cte(entry.sql_name.clone()),
        }))
    }

    /// A table, view or system relation.
    ///
    /// # Errors
    /// 42P01 if there is none.
    pub(crate) fn named_relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
        at: At,
    ) -> Result<Relation, SqlError> {
        let temporary = schema.is_none()
            && self
                .cx
                .catalog
                .relation(&[], None, name)
                .is_some_and(|it| matches!(it, schema::Relation::Table(_)));
        if !temporary && let Some(system) = system_relation(schema, name) {
            return Ok(self.system(system));
        }
        let found = self.cx.catalog.relation(self.cx.search_path, schema, name);
        match found {
            Some(schema::Relation::Table(table)) => Ok(table_relation(table)),
            Some(schema::Relation::View(view)) => self.view(view),
            Some(schema::Relation::Sequence(_)) => {
                Err(SqlError::unsupported("reading a sequence as a table").at(at.position()))
            }
            Some(schema::Relation::Index(..)) => {
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is an index"))
                    .at(at.position()))
            }
            None => Err(undefined_table(schema, name).at(at.position())),
        }
    }

    fn system(&mut self, row: &'static builtin::RelationRow) -> Relation {
        let table = if let Some(live) = live_name(row.schema, row.name) {
            if let Err(slot) = self.reads.live.binary_search(&live) {
                self.reads.live.insert(slot, live);
            }
            format!("\"temp\".\"pg_live_{live}\"")
        } else if (row.schema, row.name) == ("trellis", CHANGES) {
            changes::SELECT.to_owned()
        } else if row.schema == "pg_catalog" {
            format!("\"pg_catalog\".\"{}\"", row.name)
        } else {
            format!("\"pg_catalog\".\"{}.{}\"", row.schema, row.name)
        };
        self.reads.image = true;
        let mut columns: Vec<RelationColumn> = row
            .columns
            .iter()
            .map(|column| RelationColumn {
                name: column.name.to_owned(),
                sql: ColumnSql::Name(column.name.to_owned()),
                type_oid: column.type_oid,
                typmod: column.typmod,
                origin: Some((row.oid, column.attnum)),
                not_null: column.not_null,
                system: false,
            })
            .collect();
        columns.push(table_oid_column(row.oid));
        Relation {
            alias: row.name.to_owned(),
            qualifier: String::new(),
            columns,
            source: Source::Table(table, row.oid),
        }
    }

    /// A view is its query.
    fn view(&mut self, view: &schema::View) -> Result<Relation, SqlError> {
        if let Some(table) = &view.materialized_in {
            let columns = view.columns.iter().map(|(name, type_oid, typmod)| RelationColumn {
                name: name.clone(),
                sql: ColumnSql::Name(name.clone()),
                type_oid: *type_oid,
                typmod: *typmod,
                origin: None,
                not_null: false,
                system: false,
            });
            return Ok(Relation {
                alias: view.name.clone(),
                qualifier: String::new(),
                columns: columns.collect(),
                source: Source::Table(quote_identifier(table), view.oid),
            });
        }
        if self.view_depth >= VIEW_DEPTH_MAX {
            return Err(SqlError::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("infinite recursion detected in rules for relation \"{}\"", view.name),
            ));
        }
        let statement = parse::split(&view.query)?.into_iter().next();
        let Some(parse::StatementAst::Sql(ast)) = statement.map(|it| it.ast) else {
            return Err(invalid_view(&view.name));
        };
        let ast::Statement::Query(query) = *ast else {
            return Err(invalid_view(&view.name));
        };
        let scopes = std::mem::take(&mut self.scopes);
        let ctes = std::mem::take(&mut self.ctes);
        self.view_depth += 1;
        let bound = self.in_other_text(|binder| binder.subquery(&query));
        self.view_depth -= 1;
        self.scopes = scopes;
        self.ctes = ctes;
        let bound = bound?;
        let mut columns = output_columns(&bound.columns);
        for ((attnum, column), (name, ..)) in (1i16..).zip(&mut columns).zip(&view.columns) {
            column.name.clone_from(name);
            column.origin = Some((view.oid, attnum));
        }
        Ok(Relation {
            alias: view.name.clone(),
            qualifier: String::new(),
            columns,
            source: Source::Query(Box::new(bound)),
        })
    }

    /// A subquery.
    fn derived(
        &mut self,
        lateral: bool,
        query: &ast::Query,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let at = self.start_of(query);
        if alias.is_none() {
            let what =
                if matches!(*query.body, ast::SetExpr::Values(_)) { "VALUES" } else { "subquery" };
            let example = if what == "VALUES" { "(VALUES ...)" } else { "(SELECT ...)" };
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("{what} in FROM must have an alias"),
            )
            .with_hint(format!("For example, FROM {example} [AS] foo."))
            .at(at.position()));
        }
        let scope = self.scope();
        let outer = (scope.hidden, scope.used_from_inside);
        scope.hidden = !lateral;
        scope.used_from_inside = false;
        let bound = self.subquery(query);
        let scope = self.scope();
        let used = scope.used_from_inside;
        (scope.hidden, scope.used_from_inside) = outer;
        let mut bound = bound?;
        bound.lateral = used;
        let mut columns = output_columns(&bound.columns);
        if used {
            for (index, column) in columns.iter_mut().enumerate() {
                column.sql = ColumnSql::JsonElement(index);
            }
        }
        let relation = Relation {
            alias: String::new(),
            qualifier: String::new(),
            columns,
            source: Source::Query(Box::new(bound)),
        };
        self.add_relation(relation, alias, at)
    }

    /// A function in `FROM`.
    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let at = self.start_of(name);
        let (_, local) = self.qualified(name)?;
        if local == parse::rewrite::ROWS_FROM {
            return self.rows_from(args, ordinality, alias);
        }
        if local == "unnest" && args.len() > 1 {
            return self.unnest_several(args, ordinality, alias);
        }
        let function = ast::Function {
            name: name.clone(),
            uses_odbc_syntax: false,
            parameters: ast::FunctionArguments::None,
            args: ast::FunctionArguments::List(ast::FunctionArgumentList {
                duplicate_treatment: None,
                args: args.to_vec(),
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        };
        let rules = self.scope().calls;
        self.scope().calls.no_aggregates = Some("functions in FROM");
        self.scope().calls.no_windows = Some("functions in FROM");
        self.expect_table_function = true;
        let call = self.function(&function);
        self.expect_table_function = false;
        self.scope().calls = rules;
        let columns = std::mem::take(&mut self.table_function_columns);
        let call = call?;
        let named: Vec<(String, Oid)> = if columns.is_empty() {
            let own = alias.map_or_else(|| local.clone(), |alias| Self::name(&alias.name));
            vec![(own, call.type_oid)]
        } else {
            columns
        };
        let single = named.len() == 1;
        let mut columns: Vec<RelationColumn> = named
            .into_iter()
            .enumerate()
            .map(|(index, (name, type_oid))| {
                let sql = if single { "value".to_owned() } else { format!("c{}", index + 1) };
                plain_column(name, ColumnSql::Name(sql), type_oid)
            })
            .collect();
        if ordinality {
            let sql = ColumnSql::Name("rowid".to_owned());
            columns.push(plain_column("ordinality".to_owned(), sql, Oid::INT8));
        }
        let calls = vec![(call, String::new())];
        let source = Source::Function(Box::new(FunctionSource { calls, ordinality }));
        let relation = Relation { alias: local, qualifier: String::new(), columns, source };
        self.add_relation(relation, alias, at)
    }

    /// A set-returning call in the select list: a join with the set.
    ///
    /// # Errors
    /// 0A000 where PostgreSQL or Trellis admits no sets.
    pub(crate) fn set_returning(
        &mut self,
        call: Expr,
        function: &ResolvedFunction,
    ) -> Result<Expr, SqlError> {
        let at = call.at;
        if let Some(clause) = self.scope().calls.no_sets {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("set-returning functions are not allowed in {clause}"),
            )
            .at(at.position()));
        }
        if function.columns.len() > 1 {
            return Err(SqlError::unsupported(
                "a set-returning function of several columns in a select list",
            )
            .at(at.position()));
        }
        if let Some(id) = self.scope().set_returning {
            let index = self.add_lock_step(id, "value", call);
            return Ok(self.column(id, index, at));
        }
        let type_oid = call.type_oid;
        let column =
            plain_column("value".to_owned(), ColumnSql::Name("value".to_owned()), type_oid);
        let source = FunctionSource { calls: vec![(call, String::new())], ordinality: false };
        let relation = Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns: vec![column],
            source: Source::Function(Box::new(source)),
        };
        let id = self.relations.add(relation);
        self.scope().set_returning = Some(id);
        Ok(self.column(id, 0, at))
    }

    /// Adds a call to a relation of functions: it advances with the others, and yields NULL once it has no more rows.
    fn add_lock_step(&mut self, id: RelationId, name: &str, call: Expr) -> u16 {
        let fresh = [self.fresh_qualifier(), self.fresh_qualifier()];
        let [first, second] = fresh;
        let relation = self.relations.get_mut(id);
        let Source::Function(source) = &mut relation.source else { return 0 };
        if let [(_, alias)] = &mut source.calls[..]
            && alias.is_empty()
        {
            for column in &mut relation.columns {
                column.sql = match &column.sql {
                    ColumnSql::Name(name) if name == "rowid" => {
                        ColumnSql::Constant(format!("\"{}\".value", relation.qualifier))
                    }
                    ColumnSql::Name(name) => ColumnSql::Constant(format!("\"{first}\".\"{name}\"")),
                    other => other.clone(),
                };
            }
            *alias = first;
        }
        let sql = ColumnSql::Constant(format!("\"{second}\".value"));
        let column = plain_column(name.to_owned(), sql, call.type_oid);
        source.calls.push((call, second));
        let before_ordinality = relation.columns.len() - usize::from(source.ordinality);
        relation.columns.insert(before_ordinality, column);
        u16::try_from(before_ordinality).unwrap_or(u16::MAX)
    }

    /// `unnest(a, b)`: several arrays in lock-step.
    fn unnest_several(
        &mut self,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let name = ObjectName::from(vec![Ident::new("unnest")]);
        let (first, rest) = args.split_at(1.min(args.len()));
        let id = self.table_function(&name, first, ordinality, None)?;
        "unnest".clone_into(&mut self.relations.get_mut(id).columns[0].name);
        for arg in rest {
            let other = self.table_function(&name, std::slice::from_ref(arg), false, None)?;
            let Source::Function(source) = self.relations.get(other).source.clone() else {
                continue;
            };
            for (call, _) in source.calls {
                self.add_lock_step(id, "unnest", call);
            }
        }
        let relation = self.relations.get(id).clone();
        self.add_aliased(relation, alias)
    }

    /// `ROWS FROM (f(…), g(…))`: several functions in lock-step.
    fn rows_from(
        &mut self,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let mut first = None;
        for arg in args {
            let FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Function(function))) =
                arg
            else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let ast::FunctionArguments::List(list) = &function.args else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let ordinality = ordinality && first.is_none();
            let id = self.table_function(&function.name, &list.args, ordinality, None)?;
            let Some(joined) = first else {
                first = Some(id);
                continue;
            };
            let other = self.relations.get(id).clone();
            let Source::Function(source) = other.source else { continue };
            let [(call, _)] = &source.calls[..] else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let [column] = &other.columns[..] else {
                return Err(SqlError::unsupported("a function of several columns in ROWS FROM"));
            };
            self.add_lock_step(joined, &column.name, call.clone());
        }
        let id = first.ok_or_else(|| SqlError::unsupported("ROWS FROM without a function"))?;
        let relation = self.relations.get(id).clone();
        self.add_aliased(relation, alias)
    }

    /// Adds a relation again under an alias, keeping its qualifier.
    fn add_aliased(
        &mut self,
        relation: Relation,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let qualifier = relation.qualifier.clone();
        let id = self.add_relation(relation, alias, At(0))?;
        self.relations.get_mut(id).qualifier = qualifier;
        Ok(id)
    }
}

/// A table of the schema as a relation.
pub(crate) fn table_relation(table: &schema::Table) -> Relation {
    let mut columns: Vec<RelationColumn> = table
        .columns
        .iter()
        .map(|column| RelationColumn {
            name: column.name.clone(),
            sql: ColumnSql::Name(column.physical_name.clone()),
            type_oid: column.type_oid,
            typmod: column.typmod,
            origin: Some((table.oid, column.attnum)),
            not_null: column.not_null,
            system: false,
        })
        .collect();
    columns.push(table_oid_column(table.oid));
    Relation {
        alias: table.name.clone(),
        qualifier: String::new(),
        columns,
        source: Source::Table(table_sql(table), table.oid),
    }
}

/// A table's name in SQLite, qualified and quoted.
pub(crate) fn table_sql(table: &schema::Table) -> String {
    format!("\"{}\".{}", table.database(), quote_identifier(&table.physical_name))
}

fn table_oid_column(oid: Oid) -> RelationColumn {
    RelationColumn {
        name: "tableoid".to_owned(),
        sql: ColumnSql::Constant(oid.to_string()),
        type_oid: Oid::OID,
        typmod: -1,
        origin: None,
        not_null: true,
        system: true,
    }
}

fn plain_column(name: String, sql: ColumnSql, type_oid: Oid) -> RelationColumn {
    RelationColumn { name, sql, type_oid, typmod: -1, origin: None, not_null: false, system: false }
}

/// A query's output columns as a relation's; in SQLite they are `c1`, `c2`, ….
pub(crate) fn output_columns(columns: &[OutputColumn]) -> Vec<RelationColumn> {
    (1..)
        .zip(columns)
        .map(|(number, column)| RelationColumn {
            name: column.name.clone(),
            sql: ColumnSql::Name(format!("c{number}")),
            type_oid: column.type_oid,
            typmod: column.typmod,
            origin: column.origin,
            not_null: column.not_null,
            system: false,
        })
        .collect()
}

pub(crate) fn system_relation(
    schema: Option<&str>,
    name: &str,
) -> Option<&'static builtin::RelationRow> {
    match schema {
        Some(schema) => builtin::relation(schema, name),
        None if name == CHANGES => builtin::relation("trellis", name),
        None => builtin::relation("pg_catalog", name),
    }
}

/// 42P01.
pub(crate) fn undefined_table(schema: Option<&str>, name: &str) -> SqlError {
    let shown = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
}

fn invalid_view(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INTERNAL_ERROR,
        format!("the definition of view \"{name}\" is no query"),
    )
}

/// `SELECT * FROM` a join, which is what the join is under an alias.
fn all_of(join: &TableWithJoins) -> ast::Query {
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
