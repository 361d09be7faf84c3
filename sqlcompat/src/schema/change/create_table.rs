//! `CREATE TABLE`: columns first, then constraints in the order in which PostgreSQL names them (CHECKs, keys, foreign keys).

use super::column::NewColumn;
use super::edit::Edit;
use super::storage_option::{self, Owner};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{
    ColumnClause, ConstraintClause, ConstraintKind, CreateTable, Deferral, IdentityClause,
    KeyClause, LikeClause, SequenceOptions, SourceText, TableElement, TypeName,
};
use crate::schema::catalog::{Column, ColumnGeneration, Table, TableKind};
use crate::schema::definition::TableDefinition;
use crate::schema::row::{ObjectId, ObjectKind};
use crate::schema::storage::storage_form;

/// Most columns of a table, as in PostgreSQL.
pub(super) const COLUMNS_MAX: usize = 1600;

/// A table while it is being made or changed.
#[derive(Clone)]
pub(super) struct Target {
    /// Its id.
    pub(super) id: ObjectId,
    /// Its schema.
    pub(super) namespace: (ObjectId, Oid),
    /// Its name.
    pub(super) name: String,
    /// Whether it is temporary.
    pub(super) kind: TableKind,
}

impl Target {
    /// The target that an existing table is.
    pub(super) fn of(edit: &Edit<'_>, table: &Table) -> Self {
        let parent = edit.catalog.rows.get(&table.id).map_or(ObjectId(0), |row| row.parent);
        let namespace = (parent, table.namespace);
        Self { id: table.id, namespace, name: table.name.clone(), kind: table.kind }
    }
}

/// Elements with `LIKE` clauses replaced by what they copy.
#[derive(Default)]
struct Expanded {
    columns: Vec<NewColumn>,
    constraints: Vec<(Option<String>, ConstraintClause)>,
    /// Table and index to copy.
    indexes: Vec<(ObjectId, ObjectId)>,
    /// Table whose comments are copied.
    comments: Vec<ObjectId>,
}

impl Edit<'_> {
    /// `CREATE TABLE`.
    pub(super) fn create_table(&mut self, ast: &CreateTable) -> Result<(), SqlError> {
        let namespace = self.target_namespace(&ast.name, ast.temporary)?;
        let name = &ast.name.name;
        if !self.claim_relation_name(namespace.1, name, ast.if_not_exists)? {
            return Ok(());
        }
        let mut expanded = Expanded::default();
        for element in &ast.elements {
            self.expand(name, element, &mut expanded)?;
        }
        let identity = self.table_identity(name, &expanded);
        let options = storage_option::set(&[], &ast.options, Owner::NewTable)?;
        let target = self.create_table_row(namespace, (name, &identity), ast.on_commit, options)?;
        check_columns(&expanded.columns)?;
        self.create_columns(&target, &expanded.columns)?;
        self.relink();
        self.check_generated(&target, &expanded.columns)?;
        self.create_constraints(&target, expanded.constraints)?;
        for (source, index) in expanded.indexes {
            self.copy_index(&target, source, index)?;
        }
        for source in expanded.comments {
            self.copy_comments(&target, source)?;
        }
        Ok(())
    }

    /// What tells a table from others: its name, and its key with the stored form of each column. Two nodes that create
    /// one table at once have made the same one only if its rows can be told apart in the same way.
    fn table_identity(&self, name: &str, expanded: &Expanded) -> String {
        let key = expanded.constraints.iter().find_map(|(column, clause)| match &clause.kind {
            ConstraintKind::PrimaryKey(key) if key.columns.is_empty() => {
                column.clone().map(|column| vec![column])
            }
            ConstraintKind::PrimaryKey(key) => Some(key.columns.clone()),
            _ => None,
        });
        let mut identity = name.to_owned();
        for name in key.unwrap_or_default() {
            let column = expanded.columns.iter().find(|column| column.name == name);
            let form = column.map(|it| storage_form(&self.catalog, it.data_type.0).declaration());
            identity.push('\0');
            identity.push_str(&name);
            identity.push('\0');
            identity.push_str(&form.unwrap_or_default());
        }
        identity
    }

    /// Makes the row of a table; its physical key is settled with its constraints. The name comes with the table's
    /// identity.
    pub(super) fn create_table_row(
        &mut self,
        namespace: (ObjectId, Oid),
        (name, identity): (&str, &str),
        on_commit: Option<crate::schema::OnCommit>,
        options: Vec<String>,
    ) -> Result<Target, SqlError> {
        let kind = if namespace.1 == crate::schema::link::TEMPORARY_NAMESPACE {
            TableKind::Temporary
        } else {
            TableKind::Replicated
        };
        if on_commit.is_some() && kind == TableKind::Replicated {
            let message = "ON COMMIT can only be used on temporary tables";
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let definition = TableDefinition { on_commit, options, ..TableDefinition::default() };
        let names = (name, identity);
        let id = self.create_identified(ObjectKind::Table, namespace.0, names, &definition);
        self.relink();
        Ok(Target { id, namespace, name: name.to_owned(), kind })
    }

    fn expand(
        &self,
        table: &str,
        element: &TableElement,
        expanded: &mut Expanded,
    ) -> Result<(), SqlError> {
        match element {
            TableElement::Column(clause) => {
                let column = self.new_column(table, clause)?;
                for constraint in &clause.constraints {
                    expanded.constraints.push((Some(clause.name.clone()), constraint.clone()));
                }
                expanded.columns.push(column);
            }
            TableElement::Constraint(constraint) => {
                expanded.constraints.push((None, constraint.clone()));
            }
            TableElement::Like(like) => self.expand_like(like, expanded)?,
        }
        Ok(())
    }

    /// Copies another table's columns, and what else the clause includes.
    fn expand_like(&self, like: &LikeClause, expanded: &mut Expanded) -> Result<(), SqlError> {
        let source = self.table(&like.source)?;
        for column in &source.columns {
            expanded.columns.push(copy_column(column, like));
        }
        if like.constraints {
            for check in &source.checks {
                let kind = ConstraintKind::Check(check.expression.clone().into());
                let mut clause = constraint(Some(check.name.clone()), kind);
                clause.no_inherit = check.no_inherit;
                expanded.constraints.push((None, clause));
            }
        }
        if like.indexes {
            let name_of = |attnum: &i16| source.column(*attnum).map(|column| column.name.clone());
            for unique in &source.uniques {
                let key = KeyClause {
                    columns: unique.columns.iter().filter_map(name_of).collect(),
                    include: unique.include.iter().filter_map(name_of).collect(),
                    nulls_not_distinct: unique.nulls_not_distinct,
                };
                let kind = if unique.primary {
                    ConstraintKind::PrimaryKey(key)
                } else {
                    ConstraintKind::Unique(key)
                };
                expanded.constraints.push((None, constraint(None, kind)));
            }
            expanded.indexes.extend(source.indexes.iter().map(|index| (source.id, index.id)));
        }
        if like.comments {
            expanded.comments.push(source.id);
        }
        Ok(())
    }

    fn copy_comments(&mut self, target: &Target, source: ObjectId) -> Result<(), SqlError> {
        let source = self.table_by_id(source)?.clone();
        let columns: Vec<_> = self
            .table_by_id(target.id)?
            .columns
            .iter()
            .map(|it| (it.name.clone(), it.id))
            .collect();
        for (name, id) in columns {
            let Some(column) = source.column_by_name(&name) else { continue };
            let text = self.catalog.comments.get(&(source.oid, column.attnum)).cloned();
            if text.is_some() {
                self.set_comment(id, text);
            }
        }
        Ok(())
    }
}

/// A constraint without special timing.
fn constraint(name: Option<String>, kind: ConstraintKind) -> ConstraintClause {
    ConstraintClause {
        name,
        kind,
        deferral: Deferral::default(),
        not_valid: false,
        no_inherit: false,
        position: None,
    }
}

/// A column as `LIKE` copies it.
fn copy_column(column: &Column, like: &LikeClause) -> NewColumn {
    let identity = |always| {
        let options = SequenceOptions::default();
        like.identity.then_some(IdentityClause { always, options })
    };
    let (generated, identity) = match &column.generation {
        ColumnGeneration::Plain => (None, None),
        ColumnGeneration::IdentityAlways(_) => (None, identity(true)),
        ColumnGeneration::IdentityByDefault(_) => (None, identity(false)),
        ColumnGeneration::Stored(text) => {
            (like.generated.then(|| SourceText::from(text.clone())), None)
        }
    };
    let default = column.default.as_ref().filter(|_| like.defaults);
    NewColumn {
        name: column.name.clone(),
        data_type: (column.type_oid, column.typmod),
        serial: false,
        collation: column.collation.clone(),
        not_null: column.not_null,
        default: default.map(|default| default.expression.clone().into()),
        generated,
        identity,
    }
}

/// Refuses repeated names and too many columns.
fn check_columns(columns: &[NewColumn]) -> Result<(), SqlError> {
    if columns.len() > COLUMNS_MAX {
        let message = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let mut seen = std::collections::BTreeSet::new();
    match columns.iter().find(|column| !seen.insert(&column.name)) {
        None => Ok(()),
        Some(column) => {
            let message = format!("column \"{}\" specified more than once", column.name);
            Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message))
        }
    }
}

/// A column of the type that a serial pseudo-type means.
pub(super) fn serial_type(type_name: &TypeName) -> Option<Oid> {
    if type_name.schema.is_some() || type_name.quoted {
        return None;
    }
    match type_name.name.as_str() {
        "smallserial" | "serial2" => Some(Oid::INT2),
        "serial" | "serial4" => Some(Oid::INT4),
        "bigserial" | "serial8" => Some(Oid::INT8),
        _ => None,
    }
}

impl NewColumn {
    /// The clause's column, its type resolved.
    pub(super) fn from_clause(clause: &ColumnClause, data_type: (Oid, i32), serial: bool) -> Self {
        Self {
            name: clause.name.clone(),
            data_type,
            serial,
            collation: clause.collation.clone(),
            not_null: clause.not_null == Some(true) || serial || clause.identity.is_some(),
            default: clause.default.clone(),
            generated: clause.generated.clone(),
            identity: clause.identity.clone(),
        }
    }
}
