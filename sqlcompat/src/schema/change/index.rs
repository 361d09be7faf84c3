//! `CREATE INDEX`.

use super::column::SYSTEM_COLUMNS;
use super::constraint::KEY_COLUMNS_MAX;
use super::create_table::Target;
use super::edit::{Edit, undefined_relation};
use super::expression::{self, Written};
use super::operator_class;
use super::storage_option::{self, Owner};
use crate::bind::SchemaPlace;
use crate::bind::resolve::{Types, is_sortable};
use crate::builtin::quote_identifier;
use crate::error::{SqlError, SqlState};
use crate::parse::utility::{CreateIndex, IndexKeyClause};
use crate::schema::catalog::Table;
use crate::schema::definition::{IndexDefinition, KeyDefinition};
use crate::schema::lookup::Relation;
use crate::schema::physical::quote;
use crate::schema::row::{ObjectId, ObjectKind};
use crate::schema::statement::RefusedKey;
use crate::schema::table_sql::location;

/// Access methods of PostgreSQL; those that keep an order become SQLite's B-tree, the others are only recorded.
const METHODS: [&str; 6] = ["btree", "hash", "gin", "gist", "brin", "spgist"];

impl Edit<'_> {
    /// `CREATE INDEX`.
    pub(super) fn create_index(&mut self, ast: &CreateIndex) -> Result<(), SqlError> {
        let table = match self.relation(&ast.table)? {
            Some(Relation::Table(table)) => table.clone(),
            Some(Relation::View(view)) if view.materialized_in.is_some() => {
                return Err(SqlError::unsupported("an index on a materialized view"));
            }
            Some(_) => {
                let message = format!("cannot create index on relation \"{}\"", ast.table.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
            None => return Err(undefined_relation(&ast.table)),
        };
        let target = Target::of(self, &table);
        if let Some(name) = &ast.name
            && !self.claim_relation_name(target.namespace.1, name, ast.if_not_exists)?
        {
            return Ok(());
        }
        if !METHODS.contains(&ast.method.as_str()) {
            let message = format!("access method \"{}\" does not exist", ast.method);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        check_method(ast)?;
        if ast.nulls_not_distinct {
            return Err(SqlError::unsupported("NULLS NOT DISTINCT"));
        }
        let keys = ast.keys.iter().map(|key| self.index_key(&table, &ast.method, key));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let include = ast.include.iter().map(|name| key_column(&table, name).map(|it| it.0));
        let include = include.collect::<Result<_, _>>()?;
        let options = storage_option::set(&[], &ast.options, Owner::Index(&ast.method))?;
        let mut predicate = None;
        if let Some(text) = &ast.predicate {
            let written = Written::from(text).at(SchemaPlace::IndexPredicate);
            expression::refuse_subquery(written, "index predicate")?;
            let lowered = expression::bind_condition(&table, written, "WHERE", &self.context())?;
            if !lowered.immutable {
                let message = "functions in index predicate must be marked IMMUTABLE";
                return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
            }
            let expected = Some((crate::oid::Oid::BOOL, -1));
            predicate = Some(expression::canonical_over(&table, text, expected, &self.context()));
        }
        let name = ast.name.clone().unwrap_or_else(|| self.index_name(&target, ast));
        if ast.unique {
            self.check_distinct_keys(&table, ast, &name)?;
        }
        let texts = keys.iter().filter_map(|key| key.expression.as_deref());
        let texts = texts.chain(predicate.as_deref());
        let names = expression::column_names(texts, &table.columns);
        let settled = |text: String| expression::settled_over(&table, &text, None, &self.context());
        let keys = keys
            .into_iter()
            .map(|key| KeyDefinition { expression: key.expression.map(settled), ..key });
        let keys = keys.collect();
        let predicate = predicate.map(settled);
        let definition = IndexDefinition {
            names,
            unique: ast.unique,
            method: ast.method.clone(),
            keys,
            include,
            predicate,
            nulls_not_distinct: ast.nulls_not_distinct,
            options,
            ..IndexDefinition::default()
        };
        self.create(ObjectKind::Index, target.id, &name, &definition);
        Ok(())
    }

    /// Refuses duplicates in existing rows.
    fn check_distinct_keys(
        &mut self,
        table: &Table,
        ast: &CreateIndex,
        name: &str,
    ) -> Result<(), SqlError> {
        let key_sql = |key: &IndexKeyClause| match &key.column {
            Some(column) => {
                let column = table.column_by_name(column);
                Ok(column.map(|it| (quote(&it.physical_name), it.type_oid)).unwrap_or_default())
            }
            None => expression::bind_over(table, &key.expression, None, &self.context())
                .map(|lowered| (format!("({})", lowered.sql), lowered.type_oid)),
        };
        let keys = ast.keys.iter().map(key_sql).collect::<Result<Vec<_>, SqlError>>()?;
        let (keys, types): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let mut filter = "1".to_owned();
        if let Some(text) = &ast.predicate {
            filter = expression::bind_condition(table, text, "WHERE", &self.context())?.sql;
        }
        let names: Vec<_> = (1..=keys.len()).map(|number| format!("k{number}")).collect();
        let named = keys.iter().zip(&names).map(|(key, name)| format!("{key} AS {name}"));
        let present: Vec<_> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let sql = format!(
            "SELECT {0} FROM (SELECT {1} FROM {2} WHERE {filter}) WHERE {3} GROUP BY {0} HAVING count(*) > 1 LIMIT 1",
            names.join(", "),
            named.collect::<Vec<_>>().join(", "),
            location(table),
            present.join(" AND "),
        );
        let message = format!("could not create unique index \"{name}\"");
        let mut error = SqlError::new(SqlState::UNIQUE_VIOLATION, message);
        error.object.table = Some(table.name.clone());
        error.object.constraint = Some(name.to_owned());
        error.object.schema = Some(self.catalog.namespace_name(table.namespace).to_owned());
        let labels = ast.keys.iter().map(|key| match &key.column {
            Some(column) => quote_identifier(column),
            None => {
                let cx = self.context();
                let text = expression::canonical_over(table, &key.expression, None, &cx);
                let bare = !text.starts_with('(') && expression::index_key_name(&text) == "expr";
                if bare { format!("({text})") } else { text }
            }
        });
        let columns = labels.collect::<Vec<_>>().join(", ");
        let key = RefusedKey { columns, types, rest: "is duplicated.".to_owned() };
        self.refuse_key_before(sql, error, key);
        Ok(())
    }

    /// The name of an index without one.
    fn index_name(&self, target: &Target, ast: &CreateIndex) -> String {
        let names: Vec<String> = ast
            .keys
            .iter()
            .map(|key| match &key.column {
                Some(column) => column.clone(),
                None => expression::index_key_name(&key.expression),
            })
            .chain(ast.include.iter().cloned())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.choose_relation_name(target.namespace.1, &target.name, &names, "idx")
    }

    fn index_key(
        &self,
        table: &Table,
        method: &str,
        key: &IndexKeyClause,
    ) -> Result<KeyDefinition, SqlError> {
        let (column, expression, type_oid) = match &key.column {
            Some(name) => {
                let (id, type_oid) = key_column(table, name)?;
                (Some(id), None, type_oid)
            }
            None => {
                let written = Written::from(&key.expression).at(SchemaPlace::IndexKey);
                expression::refuse_subquery(written, "index expression")?;
                let lowered = expression::bind_over(table, written, None, &self.context())?;
                if !lowered.immutable {
                    let message = "functions in index expression must be marked IMMUTABLE";
                    return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
                }
                let cx = self.context();
                let text = expression::canonical_over(table, &key.expression, None, &cx);
                (None, Some(text), lowered.type_oid)
            }
        };
        let types = Types::new(&self.catalog, &self.statement.search_path);
        if method == "btree" && key.operator_class.is_none() && !is_sortable(types, type_oid) {
            let message = format!(
                "data type {} has no default operator class for access method \"btree\"",
                types.format(type_oid)
            );
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).with_hint(
                "You must specify an operator class for the index or define a default operator class for the data type.",
            ));
        }
        if let Some(class) = &key.operator_class {
            operator_class::check(types, class, method, type_oid)?;
        }
        if let Some(collation) = &key.collation {
            self.check_collation(collation, type_oid)?;
        }
        Ok(KeyDefinition {
            column,
            expression,
            descending: key.descending,
            nulls_first: key.nulls_first.unwrap_or(key.descending),
            operator_class: key.operator_class.clone(),
            collation: key.collation.clone(),
        })
    }

    /// Copies an index of another table, for `LIKE … INCLUDING INDEXES`.
    pub(super) fn copy_index(
        &mut self,
        target: &Target,
        source: ObjectId,
        index: ObjectId,
    ) -> Result<(), SqlError> {
        let from = self.table_by_id(source)?.clone();
        let to = self.table_by_id(target.id)?.clone();
        let mut definition: IndexDefinition = self.definition(index);
        let Some(present) = from.indexes.iter().find(|it| it.id == index) else { return Ok(()) };
        for (key, present) in definition.keys.iter_mut().zip(&present.keys) {
            key.expression.clone_from(&present.expression);
        }
        definition.predicate.clone_from(&present.predicate);
        let texts = present.keys.iter().filter_map(|key| key.expression.as_deref());
        let texts = texts.chain(present.predicate.as_deref());
        definition.names = expression::column_names(texts, &to.columns);
        let translate = |id: i64| {
            let name = from.columns.iter().find(|it| it.id.0 == id).map(|it| it.name.as_str());
            name.and_then(|name| to.column_by_name(name)).map(|it| it.id.0)
        };
        let mut names = Vec::new();
        for key in &mut definition.keys {
            key.column = key.column.and_then(translate);
            names.push(match (key.column, &key.expression) {
                (_, Some(text)) => expression::index_key_name(text),
                (id, None) => {
                    let column = to.columns.iter().find(|it| Some(it.id.0) == id);
                    column.map(|it| it.name.clone()).unwrap_or_default()
                }
            });
        }
        definition.include = definition.include.iter().copied().filter_map(translate).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let name = self.choose_relation_name(target.namespace.1, &target.name, &names, "idx");
        self.create(ObjectKind::Index, target.id, &name, &definition);
        self.relink();
        Ok(())
    }
}

/// Refuses what an access method does not know.
fn check_method(ast: &CreateIndex) -> Result<(), SqlError> {
    let method = ast.method.as_str();
    let ordered = method == "btree";
    let refused = |what: &str| {
        let message = format!("access method \"{method}\" does not support {what}");
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
    };
    if ast.unique && !ordered {
        return refused("unique indexes");
    }
    if !ast.include.is_empty() && !matches!(method, "btree" | "gist" | "spgist") {
        return refused("included columns");
    }
    if ast.keys.len() > 1 && matches!(method, "hash" | "spgist") {
        return refused("multicolumn indexes");
    }
    if ast.keys.iter().any(|key| key.descending) && !ordered {
        return refused("ASC/DESC options");
    }
    if ast.keys.iter().any(|key| key.nulls_first.is_some()) && !ordered {
        return refused("NULLS FIRST/LAST options");
    }
    if ast.keys.len() + ast.include.len() > KEY_COLUMNS_MAX {
        let message = format!("cannot use more than {KEY_COLUMNS_MAX} columns in an index");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    Ok(())
}

/// Id and type of a column that an index names.
fn key_column(table: &Table, name: &str) -> Result<(i64, crate::oid::Oid), SqlError> {
    table.column_by_name(name).map(|column| (column.id.0, column.type_oid)).ok_or_else(|| {
        if SYSTEM_COLUMNS.contains(&name) {
            let message = "index creation on system columns is not supported";
            return SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
        }
        let message = format!("column \"{name}\" does not exist");
        SqlError::new(SqlState::UNDEFINED_COLUMN, message)
    })
}
