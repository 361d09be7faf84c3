//! `FROM`: tables, views, system relations, CTEs, subqueries, functions, and joins of them.
//!
//! While the items are bound, the query's own scope holds the names to the left, which only LATERAL items and functions may
//! see; a plain subquery is bound with that scope hidden. An `ON` condition sees the two sides of its join and nothing else
//! of its level.

use sqlparser::ast::{
    self, FunctionArg, Ident, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

use super::binder::Binder;
use super::changes::{self, CHANGES};
use super::join::all_of;
use super::scope::{ScopeColumn, ScopeRelation};
use super::tree::{
    At, ColumnSql, FromItem, OutputColumn, Query, Relation, RelationColumn, RelationId, Source,
    SystemColumn,
};
use crate::builtin;
use crate::catalog::live_name;
use crate::error::{SqlError, SqlState};
use crate::lower::quote_identifier;
use crate::oid::Oid;
use crate::schema;
use crate::schema::NameRole;

/// The names that an item brings into scope.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) relations: Vec<ScopeRelation>,
    pub(crate) columns: Vec<ScopeColumn>,
}

impl Names {
    pub(crate) fn and(mut self, other: Self) -> Self {
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

    pub(crate) fn require_new_name(
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
            .filter(|(_, column)| column.is_listed())
            .map(|(index, _)| ScopeColumn::Plain(id, index))
            .collect();
        let relation = ScopeRelation { id, schema };
        Names { relations: vec![relation], columns }
    }

    pub(crate) fn factor(&mut self, factor: &TableFactor) -> Result<(FromItem, Names), SqlError> {
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
                if let Some(sample) = sample {
                    return Err(self.refused_sample(sample));
                }
                let plain = with_hints.is_empty()
                    && version.is_none()
                    && partitions.is_empty()
                    && json_path.is_none()
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

    /// Why a TABLESAMPLE is refused: its method is unknown, or all of it is.
    fn refused_sample(&self, sample: &ast::TableSampleKind) -> SqlError {
        let (ast::TableSampleKind::BeforeTableAlias(sample)
        | ast::TableSampleKind::AfterTableAlias(sample)) = sample;
        match &sample.name {
            Some(ast::TableSampleMethod::Bernoulli | ast::TableSampleMethod::System) | None => {
                SqlError::unsupported("TABLESAMPLE")
            }
            Some(other) => {
                let name = other.to_string().to_ascii_lowercase();
                let message = format!("tablesample method {name} does not exist");
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
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
        let (relation, schema) = match relation {
            Some(relation) => (relation, None),
            None => {
                let mut found = self.named_relation(schema.as_deref(), &local, at)?;
                self.as_seen(&mut found);
                self.note_relation(name, (schema.as_deref(), &local), alias.is_some());
                let own = self.schema_of(&found.source);
                (found, schema.or(own))
            }
        };
        let id = self.add_relation(relation, alias, at)?;
        Ok((id, schema.filter(|_| alias.is_none())))
    }

    /// Gives the columns of a relation the names that the view around knows them by.
    ///
    /// One that it does not know keeps its place in whole rows, and has no name.
    pub(crate) fn as_seen(&self, relation: &mut Relation) {
        let Some(view) = self.within else { return };
        for column in &mut relation.columns {
            let Some((of, attnum)) = column.origin.filter(|_| !column.system) else { continue };
            let Some(seen) = view.seen.get(&of) else { continue };
            column.name = seen.names.get(&attnum).cloned().unwrap_or_default();
        }
    }

    /// Notes which relation of the user's a name in `FROM` is.
    fn note_relation(&self, name: &ObjectName, parts: (Option<&str>, &str), aliased: bool) {
        if self.noted.is_none() {
            return;
        }
        let found = self.cx.catalog.relation(self.cx.search_path, parts.0, parts.1);
        let oid = match found {
            Some(schema::Relation::Table(table)) => table.oid,
            Some(schema::Relation::View(view)) => view.oid,
            Some(schema::Relation::Sequence(sequence)) => sequence.oid,
            Some(schema::Relation::Index(..)) | None => return,
        };
        let role = if aliased { NameRole::AliasedRelation } else { NameRole::Relation };
        self.note(name, role, oid);
    }

    /// The schema of a table that the text names without one.
    fn schema_of(&self, source: &Source) -> Option<String> {
        let Source::Table(_, oid) = source else { return None };
        match self.cx.catalog.tables.get(oid) {
            Some(table) => Some(self.cx.catalog.namespace_name(table.namespace).to_owned()),
            None => Some("pg_catalog".to_owned()),
        }
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
            let visible = relation.columns.iter().filter(|column| column.is_listed()).count();
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
            let listed = relation.columns.iter_mut().filter(|column| column.is_listed());
            for (column, definition) in listed.zip(columns) {
                if definition.data_type.is_some() {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        "a column definition list is only allowed for functions returning \
                         \"record\"",
                    )
                    .at(self.span_start(definition.name.span).position()));
                }
                column.name = Self::name(&definition.name);
            }
        }
        Ok(self.relations.add(relation))
    }

    /// A subquery that no name in the text refers to.
    pub(crate) fn add_subquery(&mut self, query: Query) -> RelationId {
        self.relations.add(Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns: output_columns(&query.columns),
            source: Source::Query(Box::new(query)),
            optional: false,
        })
    }

    /// The only row of a query as a relation that no name in the text refers to.
    pub(crate) fn add_only_row(&mut self, query: Query) -> RelationId {
        let mut columns = output_columns(&query.columns);
        for (index, column) in columns.iter_mut().enumerate() {
            column.sql = ColumnSql::JsonElement(index);
            column.not_null = false;
        }
        self.relations.add(Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns,
            source: Source::OnlyRow(Box::new(query)),
            optional: false,
        })
    }

    /// A relation of one column whose row the statement itself provides.
    pub(crate) fn add_given(&mut self, name: &str, type_oid: Oid, typmod: i32) -> RelationId {
        let column = plain_column(name.to_owned(), ColumnSql::Name(name.to_owned()), type_oid);
        self.relations.add(Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns: vec![RelationColumn { typmod, ..column }],
            source: Source::Given,
            optional: false,
        })
    }

    /// A CTE as a relation, if there is one of that name.
    ///
    /// # Errors
    /// 0A000 for a data-modifying one without RETURNING.
    fn cte_relation(&mut self, name: &str, at: At) -> Result<Option<Relation>, SqlError> {
        let Some(entry) = self.ctes.iter_mut().rev().find(|it| it.name == name) else {
            return Ok(None);
        };
        if !entry.has_rows {
            let message = format!("WITH query \"{name}\" does not have a RETURNING clause");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at.position()));
        }
        if let Some(barred) = entry.barred {
            return Err(barred.error(name, at));
        }
        entry.uses = (entry.uses.0 + 1, at);
        let mut columns = output_columns(&entry.columns);
        let shown = columns.len() - entry.hidden;
        columns.iter_mut().skip(shown).for_each(|column| column.system = true);
        self.uses.ctes.push(entry.sql_name.clone());
        Ok(Some(Relation {
            alias: name.to_owned(),
            qualifier: String::new(),
            columns,
            source: Source::Cte(entry.sql_name.clone()),
            optional: false,
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
            Some(schema::Relation::Table(table)) => {
                self.uses.tables.push(table.oid);
                Ok(table_relation(table))
            }
            Some(schema::Relation::View(view)) => self.view(view),
            Some(schema::Relation::Sequence(sequence)) => self.sequence(sequence),
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
            optional: false,
        }
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
        let columns = subquery_columns(&bound.columns, used);
        let relation = Relation {
            alias: String::new(),
            qualifier: String::new(),
            columns,
            source: Source::Query(Box::new(bound)),
            optional: false,
        };
        self.add_relation(relation, alias, at)
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
    columns.extend(system_columns(table));
    Relation {
        alias: table.name.clone(),
        qualifier: String::new(),
        columns,
        source: Source::Table(table_sql(table), table.oid),
        optional: false,
    }
}

/// A table's name in SQLite, qualified and quoted.
pub(crate) fn table_sql(table: &schema::Table) -> String {
    format!("\"{}\".{}", table.database(), quote_identifier(&table.physical_name))
}

/// The system columns of a table besides `tableoid`.
fn system_columns(table: &schema::Table) -> impl Iterator<Item = RelationColumn> {
    let exact = table.hidden_key.is_none();
    let columns = [
        ("ctid", SystemColumn::TupleId { exact }, Oid::TID),
        ("xmax", SystemColumn::Deleter, Oid::XID),
        ("xmin", SystemColumn::Unknown("xmin"), Oid::XID),
        ("cmin", SystemColumn::Unknown("cmin"), Oid::CID),
        ("cmax", SystemColumn::Unknown("cmax"), Oid::CID),
    ];
    columns.into_iter().map(|(name, column, type_oid)| RelationColumn {
        not_null: true,
        system: true,
        ..plain_column(name.to_owned(), ColumnSql::System(column), type_oid)
    })
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

pub(crate) fn plain_column(name: String, sql: ColumnSql, type_oid: Oid) -> RelationColumn {
    RelationColumn { name, sql, type_oid, typmod: -1, origin: None, not_null: false, system: false }
}

/// The columns of a subquery in `FROM`; `packed` where they come as one JSON array per row.
pub(crate) fn subquery_columns(columns: &[OutputColumn], packed: bool) -> Vec<RelationColumn> {
    let mut columns = output_columns(columns);
    if packed {
        for (index, column) in columns.iter_mut().enumerate() {
            column.sql = ColumnSql::JsonElement(index);
        }
    }
    columns
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
