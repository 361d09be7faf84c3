//! Functions of JSON in `FROM` whose columns the query itself lists, or a row type gives:
//!
//! ```text
//!   FROM json_to_record(j) AS x (a int, b text)          FROM json_populate_recordset(NULL::t, j)
//! ```
//!
//! Each is the objects of its argument (one, or the elements of an array), and a column is a member of the object, read as
//! the column's type by `pg_json_field`.
//!
//! # Left out
//! `json_populate_record` of a row that is not NULL, whose fields would stand in for missing members; columns of a domain
//! or a composite type.

use sqlparser::ast::{TableAlias, TableAliasColumnDef};

use super::binder::Binder;
use super::from::plain_column;
use super::tree::{
    At, ColumnSql, Expr, FunctionSource, Node, Relation, RelationColumn, RelationId, Source,
};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::lower::{quote_identifier, quote_text};
use crate::oid::Oid;
use crate::schema::UserType;

/// Names of functions that yield records of JSON.
const FUNCTIONS: [&str; 8] = [
    "json_to_record",
    "jsonb_to_record",
    "json_to_recordset",
    "jsonb_to_recordset",
    "json_populate_record",
    "jsonb_populate_record",
    "json_populate_recordset",
    "jsonb_populate_recordset",
];

/// Name, type and type modifier of a column.
type Column = (String, Oid, i32);

impl Binder<'_> {
    /// A function that yields records of JSON, with the columns that its alias lists; `None` for any other call.
    ///
    /// # Errors
    /// 42601 where there is no list of columns.
    pub(super) fn record_function(
        &mut self,
        name: &str,
        call: &Expr,
        ordinality: bool,
        alias: Option<&TableAlias>,
        at: At,
    ) -> Result<Option<RelationId>, SqlError> {
        let Node::Call(inner) = &call.node else { return Ok(None) };
        if !FUNCTIONS.contains(&inner.row.name) {
            return Ok(None);
        }
        let defined = alias.map_or(&[][..], |alias| &alias.columns);
        let populates = inner.row.name.contains("_populate_");
        let columns = if populates {
            self.row_type_columns(&inner.arguments, call.type_oid)?
        } else {
            self.defined_columns(defined, at)?
        };
        let json = inner.arguments.get(usize::from(populates)).cloned().unwrap_or_else(Expr::null);
        let rows = if inner.row.returns_set {
            let elements = if json.type_oid == Oid::JSON {
                "json_array_elements"
            } else {
                "jsonb_array_elements"
            };
            let elements = self.call_in_from(elements, vec![json], at)?;
            self.table_function_columns.clear();
            elements
        } else {
            json
        };
        let mut relation_columns: Vec<RelationColumn> = columns
            .iter()
            .map(|(name, type_oid, typmod)| {
                let sql = ColumnSql::Name("value".to_owned());
                RelationColumn { typmod: *typmod, ..plain_column(name.clone(), sql, *type_oid) }
            })
            .collect();
        if ordinality {
            let sql = ColumnSql::Name("rowid".to_owned());
            relation_columns.push(plain_column("ordinality".to_owned(), sql, Oid::INT8));
        }
        let source = FunctionSource { calls: vec![(rows, String::new())], ordinality };
        let relation = Relation {
            alias: name.to_owned(),
            qualifier: String::new(),
            columns: relation_columns,
            source: Source::Function(Box::new(source)),
            optional: false,
        };
        let untyped = alias.map(|alias| {
            let plain = |it: &TableAliasColumnDef| {
                let data_type = it.data_type.clone().filter(|_| populates);
                TableAliasColumnDef { data_type, ..it.clone() }
            };
            TableAlias { columns: alias.columns.iter().map(plain).collect(), ..alias.clone() }
        });
        let id = self.add_relation(relation, untyped.as_ref(), at)?;
        let relation = self.relations.get_mut(id);
        let row = format!("{}.value", quote_identifier(&relation.qualifier));
        for (column, (name, type_oid, typmod)) in relation.columns.iter_mut().zip(&columns) {
            let name = quote_text(name);
            let text = format!("pg_json_field({row}, {name}, {type_oid}, {typmod})");
            column.sql = ColumnSql::Constant(text);
        }
        Ok(Some(id))
    }

    /// The columns of a column definition list.
    fn defined_columns(
        &self,
        defined: &[TableAliasColumnDef],
        at: At,
    ) -> Result<Vec<Column>, SqlError> {
        if defined.is_empty() || defined.iter().any(|it| it.data_type.is_none()) {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()));
        }
        let column = |it: &TableAliasColumnDef| {
            let (type_oid, typmod) = match &it.data_type {
                Some(data_type) => self.data_type(data_type)?,
                None => (Oid::TEXT, -1),
            };
            self.require_readable(type_oid)?;
            Ok((Self::name(&it.name), type_oid, typmod))
        };
        defined.iter().map(column).collect()
    }

    /// The columns of the row type that the first argument has, which must be NULL.
    fn row_type_columns(&self, arguments: &[Expr], type_oid: Oid) -> Result<Vec<Column>, SqlError> {
        let is_null = |expr: &Expr| matches!(expr.node, Node::Literal(Datum::Null));
        let mut base = arguments.first();
        while let Some(Expr { node: Node::Relabel(inner) | Node::Input(inner), .. }) = base {
            base = Some(&**inner);
        }
        if !base.is_some_and(is_null) {
            return Err(SqlError::unsupported("json_populate_record of a row that is not NULL"));
        }
        let row = arguments.first().map_or(type_oid, |it| it.type_oid);
        let table = self.cx.catalog.tables.values().find(|table| table.row_type_oid == row);
        let table =
            table.ok_or_else(|| SqlError::unsupported("json_populate_record of this type"))?;
        for column in &table.columns {
            self.require_readable(column.type_oid)?;
        }
        let columns = table.columns.iter();
        Ok(columns.map(|it| (it.name.clone(), it.type_oid, it.typmod)).collect())
    }

    /// 0A000 for types that members are not read as.
    fn require_readable(&self, type_oid: Oid) -> Result<(), SqlError> {
        let is_domain = matches!(self.cx.catalog.types.get(&type_oid), Some(UserType::Domain(_)));
        if is_domain || self.types.is_composite(type_oid) {
            let name = self.types.format(type_oid);
            return Err(SqlError::unsupported(format!("a member of JSON as type {name}")));
        }
        Ok(())
    }
}
