//! Expressions in SQLite's SQL.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::collation::collation;
use super::literal::{quote_identifier, write_datum};
use crate::bind::resolve::Types;
use crate::bind::tree::{
    Call, ColumnSql, DomainCheck, ELEMENT, Expr, Extreme, Let, Negated, Node, Quantified, Quantity,
    Query, RelationId, Relations, Source, Subscript, SubscriptIndex, SystemColumn,
};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::types::array::StorageClass;
use crate::types::family::Family;

/// Most terms of `GREATEST` and `LEAST` with aggregates, whose text doubles with each; more is refused.
const NESTED_TERMS_MAX: usize = 8;

/// Most arguments of a function of SQLite's (`SQLITE_MAX_FUNCTION_ARG`).
const FUNCTION_ARGUMENTS_MAX: usize = 1_000;

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
    elements: Vec<String>,
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

    /// `IS [NOT] NULL`.
    fn null_test(&mut self, inner: &Expr, negated: Negated) -> Result<(), SqlError> {
        if self.is_row(inner.type_oid) {
            return self.row_is_null(inner, negated);
        }
        self.out.push('(');
        self.expr(inner)?;
        self.out.push_str(if negated == Negated::Yes { " IS NOT NULL)" } else { " IS NULL)" });
        Ok(())
    }

    /// `IS [NOT] DISTINCT FROM`.
    fn distinct_test(&mut self, call: &Call, negated: Negated) -> Result<(), SqlError> {
        if !super::is_native_comparison(call.row.oid) {
            return self.distinct_by_call(call, negated);
        }
        self.comparison(if negated == Negated::Yes { "IS" } else { "IS NOT" }, call)
    }

    /// `IS DISTINCT FROM` of types that a function compares: unequal, or one is NULL and the other not.
    fn distinct_by_call(&mut self, equality: &Call, negated: Negated) -> Result<(), SqlError> {
        if equality.arguments.iter().any(|it| it.is_volatile(self.relations)) {
            return Err(SqlError::unsupported("IS DISTINCT FROM over these types"));
        }
        let negated = negated == Negated::Yes;
        self.out.push_str(if negated { "coalesce(" } else { "coalesce(NOT " });
        self.call(equality)?;
        for (index, argument) in equality.arguments.iter().enumerate() {
            let operator = if negated { " = " } else { " <> " };
            self.out.push_str(if index == 0 { ", (" } else { operator });
            self.out.push('(');
            self.expr(argument)?;
            self.out.push_str(" IS NULL)");
        }
        self.out.push_str("))");
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

    /// A cast of every element.
    fn array_cast(&mut self, inner: &Expr, cast: &Expr) -> Result<(), SqlError> {
        self.out.push_str("pg_array_cast(");
        self.expr(inner)?;
        let (source, target) = (inner.type_oid, cast.type_oid);
        self.push(format_args!(", {source}, {target}, {})", cast.typmod));
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

    /// `NULLIF`, whose equality may not be SQLite's.
    fn null_if(&mut self, equality: &Call) -> Result<(), SqlError> {
        if let ([left, right], true) =
            (&equality.arguments[..], super::is_native_comparison(equality.row.oid))
        {
            self.out.push_str("nullif(");
            self.equated(left)?;
            self.out.push_str(", ");
            self.expr(right)?;
            self.out.push(')');
            return Ok(());
        }
        self.out.push_str("CASE WHEN ");
        self.call(equality)?;
        self.out.push_str(" THEN NULL ELSE ");
        self.expr(&equality.arguments[0])?;
        self.out.push_str(" END");
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

    /// `AND` and `OR`, as a balanced tree: SQLite bounds the depth of expressions.
    fn connective(
        &mut self,
        terms: &[Expr],
        operator: &str,
        neutral: &str,
    ) -> Result<(), SqlError> {
        match terms {
            [] => self.out.push_str(neutral),
            [only] => self.expr(only)?,
            _ if terms.len() <= 8 => {
                self.out.push('(');
                for (index, term) in terms.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(operator);
                    }
                    self.expr(term)?;
                }
                self.out.push(')');
            }
            _ => {
                let (left, right) = terms.split_at(terms.len() / 2);
                self.out.push('(');
                self.connective(left, operator, neutral)?;
                self.out.push_str(operator);
                self.connective(right, operator, neutral)?;
                self.out.push(')');
            }
        }
        Ok(())
    }

    fn truth_test(
        &mut self,
        inner: &Expr,
        truth: Option<bool>,
        negated: Negated,
    ) -> Result<(), SqlError> {
        self.out.push('(');
        self.expr(inner)?;
        self.out.push_str(if negated == Negated::Yes { " IS NOT " } else { " IS " });
        self.out.push_str(match truth {
            Some(true) => "TRUE",
            Some(false) => "FALSE",
            None => "NULL",
        });
        self.out.push(')');
        Ok(())
    }

    fn between(&mut self, parts: &[Expr; 3], negated: Negated) -> Result<(), SqlError> {
        let [operand, low, high] = parts;
        self.out.push('(');
        self.collated(operand)?;
        self.out.push_str(if negated == Negated::Yes { " NOT BETWEEN " } else { " BETWEEN " });
        self.expr(low)?;
        self.out.push_str(" AND ");
        self.expr(high)?;
        self.out.push(')');
        Ok(())
    }

    fn in_list(&mut self, operand: &Expr, list: &[Expr], negated: Negated) -> Result<(), SqlError> {
        self.out.push('(');
        self.equated(operand)?;
        self.out.push_str(if negated == Negated::Yes { " NOT IN (" } else { " IN (" });
        self.list(list)?;
        self.out.push_str("))");
        Ok(())
    }

    fn case(&mut self, whens: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<(), SqlError> {
        self.out.push_str("CASE");
        self.branches(whens, otherwise)
    }

    fn branches(
        &mut self,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<(), SqlError> {
        for (test, result) in whens {
            self.out.push_str(" WHEN ");
            self.expr(test)?;
            self.out.push_str(" THEN ");
            self.expr(result)?;
        }
        if let Some(otherwise) = otherwise {
            self.out.push_str(" ELSE ");
            self.expr(otherwise)?;
        }
        self.out.push_str(" END");
        Ok(())
    }

    fn switch(
        &mut self,
        operand: &Expr,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<(), SqlError> {
        self.out.push_str("CASE ");
        self.equated(operand)?;
        self.branches(whens, otherwise)
    }

    /// SQLite's `coalesce` wants at least two arguments.
    fn coalesce(&mut self, terms: &[Expr]) -> Result<(), SqlError> {
        if let [only] = terms {
            return self.expr(only);
        }
        let (first, rest) = terms.split_at(terms.len().min(FUNCTION_ARGUMENTS_MAX - 1));
        self.out.push_str("coalesce(");
        self.list(first)?;
        if !rest.is_empty() {
            self.out.push_str(", ");
            self.coalesce(rest)?;
        }
        self.out.push(')');
        Ok(())
    }

    /// The largest or smallest that is not NULL.
    fn extreme(&mut self, extreme: Extreme, terms: &[Expr]) -> Result<(), SqlError> {
        let function = match extreme {
            Extreme::Greatest => "max",
            Extreme::Least => "min",
        };
        if terms.iter().any(|term| term.any(&mut |it| matches!(it.node, Node::Aggregate(_)))) {
            return self.nested_extreme(extreme, terms);
        }
        if terms.len() > super::query::COMPOUND_TERMS_MAX {
            return Err(SqlError::too_complex());
        }
        self.push(format_args!("(SELECT {function}(v"));
        if let Some(term) = terms.first() {
            self.collate(term.type_oid);
        }
        // Not VALUES: its rows cannot refer to the query around it.
        self.out.push_str(") FROM (SELECT ");
        for (index, term) in terms.iter().enumerate() {
            if index > 0 {
                self.out.push_str(" UNION ALL SELECT ");
            }
            self.expr(term)?;
            self.out.push_str(" AS v");
        }
        self.out.push_str("))");
        Ok(())
    }

    /// Aggregates cannot move into a subquery; their values are compared in place.
    fn nested_extreme(&mut self, extreme: Extreme, terms: &[Expr]) -> Result<(), SqlError> {
        let (Some((last, rest)), function) = (
            terms.split_last(),
            match extreme {
                Extreme::Greatest => "max",
                Extreme::Least => "min",
            },
        ) else {
            return Ok(());
        };
        if rest.is_empty() {
            return self.expr(last);
        }
        if rest.len() >= NESTED_TERMS_MAX {
            return Err(SqlError::unsupported("GREATEST or LEAST of so many aggregates"));
        }
        // max(a, b) is NULL if either is: each falls back on the other.
        self.push(format_args!("{function}(coalesce("));
        self.nested_extreme(extreme, rest)?;
        self.out.push_str(", ");
        self.expr(last)?;
        self.out.push(')');
        self.collate(last.type_oid);
        self.out.push_str(", coalesce(");
        self.expr(last)?;
        self.out.push_str(", ");
        self.nested_extreme(extreme, rest)?;
        self.out.push_str("))");
        Ok(())
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

    /// `ARRAY(SELECT …)`, in the order of the query.
    fn array_query(&mut self, query: &Query) -> Result<(), SqlError> {
        let type_oid = query.columns[0].type_oid;
        if self.types.sub_element(type_oid).is_some() {
            let aggregate = "(SELECT coalesce(pg_agg_array_agg_anyarray(c1";
            self.push(format_args!("{aggregate}, {type_oid}), '[]') FROM "));
        } else {
            let (open, close) = self.json_wrapper(type_oid);
            self.push(format_args!("(SELECT json_group_array({open}c1{close}) FROM "));
        }
        self.named_outputs = true;
        self.parenthesized(query)?;
        self.out.push(')');
        Ok(())
    }

    /// A comparison with each of several values, under three-valued logic.
    fn quantified(&mut self, quantified: &Quantified) -> Result<(), SqlError> {
        let Quantified { call, all, over } = quantified;
        if let (Quantity::Array(array), false, "=") =
            (over, *all, call.operator.map_or("", |operator| operator.name))
            && super::is_native_comparison(call.row.oid)
        {
            return self.any_equal(&call.arguments[0], array);
        }
        let alias = format!("q{}", self.elements.len());
        let element_type = call.arguments.last().map_or(Oid::TEXT, |it| it.type_oid);
        let null_array = match over {
            Quantity::Array(array) => {
                self.out.push_str("CASE WHEN ");
                self.expr(array)?;
                self.out.push_str(" IS NULL THEN NULL ELSE ");
                true
            }
            Quantity::Query(_) => false,
        };
        self.out.push_str(if *all {
            "(SELECT CASE WHEN min(q) = 0 THEN 0 WHEN count(*) > count(q) THEN NULL ELSE 1 END FROM (SELECT "
        } else {
            "(SELECT CASE WHEN max(q) THEN 1 WHEN count(*) > count(q) THEN NULL ELSE 0 END FROM (SELECT "
        });
        let mut element = match over {
            Quantity::Array(_) => format!("\"{alias}\".value"),
            Quantity::Query(_) => format!("\"{alias}\".c1"),
        };
        if matches!(over, Quantity::Array(_)) && is_blob(self.types.base(element_type)) {
            element = format!("unhex({element})");
        }
        self.elements.push(element);
        let result = self.call(call);
        self.elements.pop();
        result?;
        self.out.push_str(" AS q FROM ");
        match over {
            Quantity::Array(array) => {
                self.out.push_str("json_each(");
                self.flat_array(array)?;
                self.out.push(')');
            }
            Quantity::Query(query) => {
                self.named_outputs = true;
                self.parenthesized(query)?;
            }
        }
        self.push(format_args!(" AS \"{alias}\"))"));
        if null_array {
            self.out.push_str(" END");
        }
        Ok(())
    }

    /// `x = ANY (array)`, in the form that uses an index on `x`.
    fn any_equal(&mut self, operand: &Expr, array: &Expr) -> Result<(), SqlError> {
        let hex = is_blob(self.types.base(operand.type_oid));
        self.out.push('(');
        self.equated(operand)?;
        self.out.push_str(if hex {
            " IN (SELECT unhex(value) FROM json_each(coalesce("
        } else {
            " IN (SELECT value FROM json_each(coalesce("
        });
        self.flat_array(array)?;
        self.out.push_str(", '[null]'))))");
        Ok(())
    }

    /// An array with all of its elements in one dimension.
    fn flat_array(&mut self, array: &Expr) -> Result<(), SqlError> {
        if let Node::Array(elements) = &array.node
            && !elements.iter().any(|it| self.is_array(it))
        {
            return self.expr(array);
        }
        self.out.push_str("pg_array_flat(");
        self.expr(array)?;
        self.push(format_args!(", {})", self.types.base(array.type_oid)));
        Ok(())
    }

    /// Whether an expression's values are arrays, other than the vectors.
    fn is_array(&self, expr: &Expr) -> bool {
        self.types.sub_element(expr.type_oid).is_some()
    }

    /// `ARRAY[…]`: blobs as hex; arrays inside are one dimension more.
    fn array(&mut self, elements: &[Expr]) -> Result<(), SqlError> {
        if let Some(inner) = elements.first().filter(|first| self.is_array(first)) {
            let element = self.types.sub_element(inner.type_oid);
            self.out.push_str("pg_array_nest(");
            for element in elements {
                self.expr(element)?;
                self.out.push_str(", ");
            }
            self.push(format_args!("{})", element.unwrap_or(Oid::TEXT)));
            return Ok(());
        }
        if elements.len() <= FUNCTION_ARGUMENTS_MAX {
            return self.array_of(elements);
        }
        self.out.push_str("pg_array_pieces(");
        for (index, piece) in elements.chunks(FUNCTION_ARGUMENTS_MAX).enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.array_of(piece)?;
        }
        self.out.push(')');
        Ok(())
    }

    /// An array of no more elements than a function of SQLite's has arguments.
    fn array_of(&mut self, elements: &[Expr]) -> Result<(), SqlError> {
        self.out.push_str("json_array(");
        for (index, element) in elements.iter().enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.json_element(element)?;
        }
        self.out.push(')');
        Ok(())
    }

    /// A value as it goes into a JSON array.
    pub(super) fn json_element(&mut self, element: &Expr) -> Result<(), SqlError> {
        let (open, close) = self.json_wrapper(element.type_oid);
        self.out.push_str(open);
        self.expr(element)?;
        self.out.push_str(close);
        Ok(())
    }

    /// What a value of the type is wrapped in where it goes into a JSON array: blobs are hex there.
    pub(super) fn json_wrapper(&self, type_oid: Oid) -> (&'static str, &'static str) {
        if is_blob(self.types.base(type_oid)) {
            return ("pg_binary_encode(", ", 'hex')");
        }
        if self.types.base_element(type_oid).is_some() {
            // As text, not as JSON inside of JSON.
            return ("(", " || '')");
        }
        ("", "")
    }

    /// `array[i]…`: NULL outside of the array, and for fewer indexes than it has dimensions.
    fn subscript(&mut self, subscript: &Subscript) -> Result<(), SqlError> {
        let Subscript { array, indexes, assigned } = subscript;
        if let Some(value) = assigned {
            return self.with_part(array, indexes, value);
        }
        if indexes.iter().any(|it| matches!(it, SubscriptIndex::Slice(..))) {
            return self.slice(array, indexes);
        }
        self.out.push_str("pg_array_subscript(");
        self.expr(array)?;
        self.push(format_args!(", {}", self.types.base(array.type_oid)));
        for index in indexes {
            if let SubscriptIndex::Element(index) = index {
                self.out.push_str(", ");
                self.expr(index)?;
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// `array[l:u]`. Beside a slice, an index `i` of another dimension means `1:i`.
    fn slice(&mut self, array: &Expr, indexes: &[SubscriptIndex]) -> Result<(), SqlError> {
        self.out.push_str("pg_array_slice(");
        self.expr(array)?;
        self.push(format_args!(", {}", self.types.base(array.type_oid)));
        self.bounds(indexes)?;
        self.out.push(')');
        Ok(())
    }

    /// The bounds of a slice as arguments.
    fn bounds(&mut self, indexes: &[SubscriptIndex]) -> Result<(), SqlError> {
        for index in indexes {
            let (lower, upper) = match index {
                SubscriptIndex::Element(upper) => (None, Some(upper)),
                SubscriptIndex::Slice(lower, upper) => (lower.as_ref(), upper.as_ref()),
                SubscriptIndex::Field(_) => continue,
            };
            self.out.push_str(", ");
            match (index, lower) {
                (_, Some(lower)) => self.expr(lower)?,
                (SubscriptIndex::Element(_), None) => self.out.push('1'),
                (SubscriptIndex::Slice(..) | SubscriptIndex::Field(_), None) => {
                    self.out.push_str("x''");
                }
            }
            self.out.push_str(", ");
            match upper {
                Some(upper) => self.expr(upper)?,
                None => self.out.push_str("x''"),
            }
        }
        Ok(())
    }

    /// An array or a `jsonb` with a part of it replaced.
    fn with_part(
        &mut self,
        whole: &Expr,
        indexes: &[SubscriptIndex],
        value: &Expr,
    ) -> Result<(), SqlError> {
        let base = self.types.base(whole.type_oid);
        let slice = indexes.iter().any(|it| matches!(it, SubscriptIndex::Slice(..)));
        if let [SubscriptIndex::Field(field)] = indexes {
            self.out.push_str("pg_row_set(");
            self.expr(whole)?;
            self.push(format_args!(", {base}, {field}, "));
            self.expr(value)?;
            self.out.push(')');
            return Ok(());
        }
        self.out.push_str(match (base == Oid::JSONB, slice) {
            (true, _) => "pg_jsonb_assign(",
            (false, true) => "pg_array_set_slice(",
            (false, false) => "pg_array_set(",
        });
        self.expr(whole)?;
        if base != Oid::JSONB {
            self.push(format_args!(", {base}"));
        }
        self.out.push_str(", ");
        self.expr(value)?;
        if slice {
            self.bounds(indexes)?;
        } else {
            for index in indexes {
                if let SubscriptIndex::Element(index) = index {
                    self.out.push_str(", ");
                    self.expr(index)?;
                }
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// A value out of JSON whose storage is a blob is hex there.
    pub(super) fn open_blob(&mut self, type_oid: Oid) {
        if is_blob(self.types.base(type_oid)) {
            self.out.push_str("unhex");
        }
    }
}

/// Whether values of the type are stored as blobs.
pub(super) fn is_blob(base: Oid) -> bool {
    matches!(base, Oid::BYTEA | Oid::UUID)
        || Family::of(base).is_some_and(|it| it.storage_class() == StorageClass::Blob)
}
