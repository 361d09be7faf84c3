//! Expressions in SQLite's SQL.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::array::is_blob;
use super::collation::collation;
use super::literal::{quote_identifier, write_datum};
use crate::bind::resolve::Types;
use crate::bind::tree::{
    ColumnSql, DomainCheck, ELEMENT, Expr, Let, Negated, Node, Query, RelationId, Relations,
    Source, SystemColumn,
};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;

/// Most arguments of a function of SQLite's (`SQLITE_MAX_FUNCTION_ARG`).
pub(super) const FUNCTION_ARGUMENTS_MAX: usize = 1_000;

/// Writes one statement's SQL.
pub(crate) struct Lowering<'a> {
    /// Types by OID.
    pub(super) types: Types<'a>,
    /// The statement's relations.
    pub(super) relations: &'a Relations,
    /// The text so far.
    pub(crate) out: String,
    /// A range for LIKE has been opened and must be closed after the call.
    pub(super) open_range: bool,
    /// Something was written whose value is not immutable.
    pub(crate) volatile: bool,
    /// How the element of a quantified comparison is written, innermost last.
    pub(super) elements: Vec<String>,
    /// The next query names its outputs `c1`, `c2`, …: it is read from outside.
    pub(super) named_outputs: bool,
    /// The values of an INSERT from a query are named `column1`, `column2`, … as those of VALUES are.
    pub(crate) names_inserted: bool,
    /// Columns are written without their qualifier: schema expressions.
    pub(crate) unqualified: bool,
    /// Queries that stand for tables which the statement has changed already, by OID.
    pub(crate) snapshot: BTreeMap<Oid, String>,
}

impl<'a> Lowering<'a> {
    /// A writer over a statement's relations.
    pub(crate) fn new(types: Types<'a>, relations: &'a Relations) -> Self {
        Self {
            types,
            relations,
            out: String::with_capacity(256),
            open_range: false,
            volatile: false,
            elements: Vec::new(),
            named_outputs: false,
            names_inserted: false,
            unqualified: false,
            snapshot: BTreeMap::new(),
        }
    }

    /// Writes an expression.
    ///
    /// # Errors
    /// 0A000 for what neither SQLite nor the function library computes.
    pub(crate) fn expr(&mut self, expr: &Expr) -> Result<(), SqlError> {
        match &expr.node {
            Node::Literal(datum) => write_datum(datum, &mut self.out),
            Node::Unknown(text) => self.out.push_str(&super::quote_text(text)),
            Node::Parameter(number) => self.push(format_args!("?{number}")),
            Node::Column(relation, index) => self.column(*relation, *index),
            Node::Call(call) => self.call(call)?,
            Node::Relabel(inner) => self.relabel(inner, expr.type_oid)?,
            Node::Input(inner) => self.input(inner, expr)?,
            Node::Output(inner) => self.output(inner)?,
            Node::Domain(check) => self.domain(check)?,
            Node::Grouping(_) => return Err(SqlError::unsupported("GROUPING here")),
            Node::ArrayCast(inner) => self.array_cast(inner, expr)?,
            Node::And(terms) => self.connective(terms, " AND ", "1")?,
            Node::Or(terms) => self.connective(terms, " OR ", "0")?,
            Node::Not(inner) => {
                self.out.push_str("(NOT ");
                self.expr(inner)?;
                self.out.push(')');
            }
            Node::IsNull(inner, negated) => self.null_test(inner, *negated)?,
            Node::IsTruth(inner, truth, negated) => self.truth_test(inner, *truth, *negated)?,
            Node::IsDistinct(call, negated) => self.distinct_test(call, *negated)?,
            Node::Between(parts, negated) => self.between(parts, *negated)?,
            Node::InList(operand, list, negated) => self.in_list(operand, list, *negated)?,
            Node::Case(whens, otherwise) => self.case(whens, otherwise.as_deref())?,
            Node::Switch(operand, whens, otherwise) => {
                self.switch(operand, whens, otherwise.as_deref())?;
            }
            Node::Let(it) => self.computed_once(it)?,
            Node::Coalesce(terms) => self.coalesce(terms)?,
            Node::NullIf(call) => self.null_if(call)?,
            Node::Extreme(extreme, terms) => self.extreme(*extreme, terms)?,
            Node::Subquery(query) => self.scalar_subquery(query)?,
            Node::Exists(query) => {
                self.out.push_str("EXISTS ");
                self.parenthesized(query)?;
            }
            Node::InQuery(operands, query, negated) => {
                self.in_query(operands, query, *negated)?;
            }
            Node::ArrayQuery(query) => self.array_query(query)?,
            Node::Quantified(quantified) => self.quantified(quantified)?,
            Node::Array(elements) => self.array(elements)?,
            Node::Row(fields) => self.row("pg_row", fields)?,
            Node::Composite(fields) => self.row("pg_composite", fields)?,
            Node::RowCompare(compare) => self.row_compare(compare.operator, &compare.pairs)?,
            Node::Subscript(subscript) => self.subscript(subscript)?,
            Node::Field(inner, index) => self.field(inner, *index)?,
            Node::WholeRow(relation) => self.whole_row(*relation)?,
            Node::Aggregate(aggregate) => self.aggregate(aggregate)?,
        }
        Ok(())
    }

    /// A change of type that is none of storage. The bits of a negative `int4` are an `oid` above all others.
    fn relabel(&mut self, inner: &Expr, target: Oid) -> Result<(), SqlError> {
        let from_integer = self.types.base(inner.type_oid) == Oid::INT4;
        let is_counted = matches!(inner.node, Node::Literal(Datum::Integer(0..)));
        if self.types.base(target) != Oid::OID || !from_integer || is_counted {
            return self.expr(inner);
        }
        self.out.push('(');
        self.expr(inner)?;
        self.out.push_str(" & 4294967295)");
        Ok(())
    }

    /// A value under a domain's constraints, from a subquery so that it is computed once.
    fn domain(&mut self, check: &DomainCheck) -> Result<(), SqlError> {
        self.volatile = true;
        let alias = quote_identifier(&check.qualifier);
        if let Some(array) = check.each_of {
            return self.domain_elements(check, &alias, array);
        }
        self.out.push_str("(SELECT ");
        self.domain_test(check, &alias)?;
        self.out.push_str(" FROM (SELECT ");
        self.expr(&check.value)?;
        self.push(format_args!(" AS v) AS {alias})"));
        Ok(())
    }

    /// The value `alias.v`, or the error of a condition that does not hold for it.
    fn domain_test(&mut self, check: &DomainCheck, alias: &str) -> Result<(), SqlError> {
        let DomainCheck { value: _, each_of: _, qualifier: _, domain, not_null, checks } = check;
        let not_null = u8::from(*not_null);
        self.push(format_args!("trellis_domain({alias}.v, "));
        self.out.push_str(&super::quote_text(domain));
        self.push(format_args!(", {not_null}"));
        for (name, condition) in checks {
            self.out.push_str(", ");
            self.expr(condition)?;
            self.out.push_str(", ");
            self.out.push_str(&super::quote_text(name));
        }
        self.out.push(')');
        Ok(())
    }

    /// An array each element of which is tested.
    fn domain_elements(
        &mut self,
        check: &DomainCheck,
        alias: &str,
        array: Oid,
    ) -> Result<(), SqlError> {
        let whole = quote_identifier(&format!("{}a", check.qualifier));
        self.push(format_args!("(WITH {whole}(v) AS MATERIALIZED (SELECT "));
        self.expr(&check.value)?;
        self.out.push_str(") SELECT CASE WHEN (SELECT count(");
        self.domain_test(check, alias)?;
        let element = self.types.element(array).map_or(Oid::TEXT, |it| self.types.base(it));
        let value = if is_blob(element) { "unhex(value)" } else { "value" };
        self.push(format_args!(
            ") FROM (SELECT {value} AS v FROM json_each(pg_array_flat({whole}.v, {array}))) AS {alias}) \
             >= 0 THEN {whole}.v END FROM {whole})"
        ));
        Ok(())
    }

    /// `(WITH name(c1) AS MATERIALIZED (SELECT value) SELECT body FROM name)`.
    fn computed_once(&mut self, it: &Let) -> Result<(), SqlError> {
        let name = quote_identifier(&self.relations.get(it.relation).qualifier);
        self.push(format_args!("(WITH {name}(c1) AS MATERIALIZED (SELECT "));
        self.expr(&it.value)?;
        self.out.push_str(") SELECT ");
        self.expr(&it.body)?;
        self.push(format_args!(" FROM {name})"));
        Ok(())
    }

    /// Appends formatted text.
    pub(crate) fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        let written = self.out.write_fmt(arguments);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }

    /// Expressions separated by commas.
    pub(crate) fn list(&mut self, exprs: &[Expr]) -> Result<(), SqlError> {
        for (index, expr) in exprs.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.expr(expr)?;
        }
        Ok(())
    }

    /// An expression under the collation of its type.
    pub(super) fn collated(&mut self, expr: &Expr) -> Result<(), SqlError> {
        self.expr(expr)?;
        let name = collation(self.types, expr.type_oid);
        if !name.is_empty() && !self.collates_itself(expr, &name) {
            self.push(format_args!(" COLLATE {name}"));
        }
        Ok(())
    }

    /// An expression that is asked for equality only, under the collation of its type if that makes a difference: equal
    /// labels of an enum are equal texts.
    pub(super) fn equated(&mut self, expr: &Expr) -> Result<(), SqlError> {
        if self.types.is_enum(self.types.base(expr.type_oid)) {
            return self.expr(expr);
        }
        self.collated(expr)
    }

    /// ` COLLATE …`, where the type has one.
    pub(super) fn collate(&mut self, type_oid: Oid) {
        let name = collation(self.types, type_oid);
        if !name.is_empty() {
            self.push(format_args!(" COLLATE {name}"));
        }
    }

    /// A column of a relation.
    pub(crate) fn column(&mut self, relation: RelationId, index: u16) {
        if relation == ELEMENT {
            let element = self.elements.last().cloned().unwrap_or_default();
            self.out.push_str(&element);
            return;
        }
        let relation = self.relations.get(relation);
        let column = &relation.columns[usize::from(index)];
        match &column.sql {
            ColumnSql::Constant(text) => self.out.push_str(text),
            ColumnSql::System(system) => {
                // A table as it was has its rows in two places, by other numbers.
                let kept = match &relation.source {
                    Source::Table(_, oid) => self.snapshot.contains_key(oid),
                    _ => false,
                };
                let (name, qualifier) =
                    (&relation.columns[usize::from(index)].name, &relation.qualifier);
                if kept {
                    self.push(format_args!("trellis_unknown_system_column('{name}', 0)"));
                } else {
                    self.system_column(*system, &quote_identifier(qualifier));
                }
            }
            ColumnSql::Name(name) => {
                if !relation.qualifier.is_empty() && !self.unqualified {
                    self.out.push_str(&quote_identifier(&relation.qualifier));
                    self.out.push('.');
                }
                self.out.push_str(&quote_identifier(name));
            }
            ColumnSql::JsonElement(element) => {
                let qualifier = quote_identifier(&relation.qualifier);
                let type_oid = column.type_oid;
                self.open_blob(type_oid);
                self.push(format_args!("({qualifier}.value ->> {element})"));
            }
            ColumnSql::RowField(field, row_type) => {
                let qualifier = quote_identifier(&relation.qualifier);
                let position = field + 1;
                self.push(format_args!("pg_row_field({qualifier}.value, {row_type}, {position})"));
            }
        }
    }

    /// A system column, made from the number of the row. An optional relation's row that is not there has neither.
    fn system_column(&mut self, column: SystemColumn, qualifier: &str) {
        let call = match column {
            SystemColumn::TupleId { exact: true } => "trellis_tuple_id(",
            SystemColumn::TupleId { exact: false } => "trellis_hidden_tuple_id(",
            SystemColumn::Deleter => "trellis_deleter(",
            SystemColumn::Unknown(name) => {
                self.push(format_args!("trellis_unknown_system_column('{name}', "));
                ""
            }
        };
        self.push(format_args!("{call}{qualifier}.rowid)"));
    }

    /// Text to a type, by its input function.
    fn input(&mut self, inner: &Expr, whole: &Expr) -> Result<(), SqlError> {
        self.volatile = true;
        self.out.push_str("pg_in(");
        if inner.type_oid == Oid::TEXT {
            self.expr(inner)?;
        } else {
            self.output(inner)?;
        }
        let target = self.types.base(whole.type_oid);
        self.push(format_args!(", {target}, {})", whole.typmod));
        Ok(())
    }

    /// Any type to text, by its output function.
    pub(super) fn output(&mut self, inner: &Expr) -> Result<(), SqlError> {
        let base = self.types.base(inner.type_oid);
        match base {
            Oid::TEXT
            | Oid::VARCHAR
            | Oid::NAME
            | Oid::CHAR
            | Oid::BPCHAR
            | Oid::JSON
            | Oid::JSONB
            | Oid::NUMERIC
            | Oid::UNKNOWN
            | Oid::CSTRING => self.expr(inner),
            Oid::INT2 | Oid::INT4 | Oid::INT8 | Oid::OID | Oid::XID => {
                self.out.push_str("CAST(");
                self.expr(inner)?;
                self.out.push_str(" AS TEXT)");
                Ok(())
            }
            _ if self.types.is_enum(base) && !self.types.has_renamed_labels(base) => {
                self.expr(inner)
            }
            _ => {
                self.volatile = true;
                self.out.push_str("pg_out(");
                self.expr(inner)?;
                self.push(format_args!(", {base})"));
                Ok(())
            }
        }
    }

    /// `(SELECT …)` as a value: SQLite takes the first of several rows, which PostgreSQL refuses.
    fn scalar_subquery(&mut self, query: &Query) -> Result<(), SqlError> {
        if query.yields_one_row() {
            return self.parenthesized(query);
        }
        self.out.push_str("(SELECT trellis_only_row(c1) FROM (");
        self.named(query)?;
        self.out.push_str("))");
        Ok(())
    }

    /// `(SELECT …)`.
    pub(super) fn parenthesized(&mut self, query: &Query) -> Result<(), SqlError> {
        self.out.push('(');
        self.query(query)?;
        self.out.push(')');
        Ok(())
    }

    fn in_query(
        &mut self,
        operands: &[Expr],
        query: &Query,
        negated: Negated,
    ) -> Result<(), SqlError> {
        self.out.push('(');
        if operands.len() > 1 {
            self.out.push('(');
        }
        for (index, operand) in operands.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.equated(operand)?;
        }
        if operands.len() > 1 {
            self.out.push(')');
        }
        self.out.push_str(if negated == Negated::Yes { " NOT IN " } else { " IN " });
        self.parenthesized(query)?;
        self.out.push(')');
        Ok(())
    }
}
