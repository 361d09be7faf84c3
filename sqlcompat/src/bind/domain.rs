//! Values of domains: a value of the base type under the domain's constraints.
//!
//! A cast to a domain with NOT NULL or CHECK becomes a [`DomainCheck`]: the conditions are bound over a relation of one column
//! that stands for VALUE, so that the value itself is computed once. Constraints of a domain's base domain come first, as
//! in PostgreSQL (manual, `sql-createdomain`).

use std::collections::BTreeSet;

use super::binder::Binder;
use super::scope::Scope;
use super::tree::{ColumnSql, DomainCheck, Expr, Node, Relation, RelationColumn, Source};
use super::type_names::BinderNames;
use crate::builtin::CastContext;
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::parse;
use crate::schema::{DomainType, UserType};
use crate::types::{TypeContext, record};

impl<'a> Binder<'a> {
    /// Gives a value of a domain's base type the domain's type, under its constraints.
    ///
    /// # Errors
    /// What binding the domain's conditions reports.
    pub(crate) fn check_domain(&mut self, expr: Expr, domain: Oid) -> Result<Expr, SqlError> {
        let (at, typmod) = (expr.at, expr.typmod);
        let mut value = expr;
        for found in self.domain_chain(domain).into_iter().rev() {
            if found.not_null || !found.checks.is_empty() {
                value = self.constrained(value, found, domain, None)?;
            }
        }
        Ok(Expr { node: value.node, type_oid: domain, typmod, at })
    }

    /// A literal that has been read: under the constraints of its domain, and of those of its elements and fields.
    ///
    /// # Errors
    /// As [`Self::check_domain`].
    pub(crate) fn check_literal(&mut self, literal: Expr) -> Result<Expr, SqlError> {
        let (target, at) = (literal.type_oid, literal.at);
        if !target.is_user() {
            return Ok(literal);
        }
        if self.types.sub_element(target).is_some() {
            return self.check_elements(literal);
        }
        let base = self.types.base(target);
        let declared = self.types.fields(base).unwrap_or_default();
        let constrained = declared.iter().any(|(_, oid, _)| self.is_constrained(*oid));
        let stored = match &literal.node {
            Node::Literal(Datum::Text(stored)) if constrained => stored,
            _ => return self.check_domain(literal, target),
        };
        let names = BinderNames { types: self.types, catalog: self.cx.catalog };
        let cx = TypeContext { settings: self.cx.settings, names: &names, now_us: 0 };
        let types: Vec<(Oid, i32)> =
            declared.iter().map(|(_, oid, typmod)| (*oid, *typmod)).collect();
        let values = record::from_storage(stored, &types, &cx)?;
        let mut fields = Vec::with_capacity(values.len());
        for ((type_oid, value), (_, typmod)) in values.into_iter().zip(types) {
            let field = Expr { node: Node::Literal(value), type_oid, typmod, at };
            fields.push(self.check_literal(field)?);
        }
        let row = Expr::new(Node::Composite(fields), base).at(at);
        if base == target { Ok(row) } else { self.check_domain(row, target) }
    }

    /// Whether a type is a domain with constraints or has such in it.
    fn is_constrained(&self, oid: Oid) -> bool {
        // Merged types may hold each other: each is looked into once.
        let (mut seen, mut left) = (BTreeSet::new(), vec![oid]);
        while let Some(oid) = left.pop() {
            if !oid.is_user() || !seen.insert(oid) {
                continue;
            }
            let mut chain = self.domain_chain(oid).into_iter();
            if chain.any(|it| it.not_null || !it.checks.is_empty()) {
                return true;
            }
            let base = self.types.base(oid);
            left.extend(self.types.element(base));
            let fields = self.types.fields(base).unwrap_or_default();
            left.extend(fields.iter().map(|(_, field, _)| *field));
        }
        false
    }

    /// An array whose elements have been made values of a domain's base type, under the domain's constraints; any other
    /// value as it is.
    ///
    /// # Errors
    /// As [`Self::check_domain`].
    pub(crate) fn check_elements(&mut self, expr: Expr) -> Result<Expr, SqlError> {
        let array = expr.type_oid;
        let Some(domain) = self.types.sub_element(array) else { return Ok(expr) };
        let (at, typmod) = (expr.at, expr.typmod);
        let mut value = expr;
        for found in self.domain_chain(domain).into_iter().rev() {
            if found.not_null || !found.checks.is_empty() {
                value = self.constrained(value, found, domain, Some(array))?;
            }
        }
        Ok(Expr { node: value.node, type_oid: array, typmod, at })
    }

    /// The domain and the domains under it.
    fn domain_chain(&self, domain: Oid) -> Vec<&'a DomainType> {
        let mut chain: Vec<&'a DomainType> = Vec::new();
        let mut oid = domain;
        while let Some(UserType::Domain(found)) = self.cx.catalog.types.get(&oid) {
            // Merged rows might refer in a circle.
            if chain.iter().any(|it| it.oid == found.oid) {
                break;
            }
            chain.push(found);
            oid = found.base_type;
        }
        chain
    }

    /// The value, or each element of the array, under the constraints of one domain, which is `named` or under it; errors
    /// name that.
    fn constrained(
        &mut self,
        value: Expr,
        domain: &DomainType,
        named: Oid,
        each_of: Option<Oid>,
    ) -> Result<Expr, SqlError> {
        let (type_oid, typmod) = self.types.base_with_typmod(domain.oid, -1);
        let qualifier = self.fresh_qualifier();
        let column = RelationColumn {
            name: "value".to_owned(),
            sql: ColumnSql::Constant(format!("\"{qualifier}\".v")),
            type_oid,
            typmod,
            origin: None,
            not_null: false,
            system: false,
        };
        let id = self.relations.add(Relation {
            alias: String::new(),
            qualifier: qualifier.clone(),
            columns: vec![column],
            source: Source::Given,
            optional: false,
        });
        let names = self.names_of(id, None);
        let scopes = std::mem::replace(&mut self.scopes, vec![Scope::default()]);
        let added = self.add_names(names);
        let checks = added.and_then(|()| {
            domain.checks.iter().map(|it| self.domain_condition(&it.name, &it.expression)).collect()
        });
        self.scopes = scopes;
        let checks: Vec<(String, Expr)> = checks?;
        let check = DomainCheck {
            value,
            each_of,
            qualifier,
            domain: self.types.format(named),
            not_null: domain.not_null,
            checks,
        };
        Ok(Expr::new(Node::Domain(Box::new(check)), domain.oid))
    }

    fn domain_condition(&mut self, name: &str, text: &str) -> Result<(String, Expr), SqlError> {
        let ast = parse::expression(text)?;
        let bound = self.in_other_text(|binder| {
            let bound = binder.expr(&ast)?;
            binder.coerce(bound, Oid::BOOL, -1, CastContext::Assignment)
        })?;
        Ok((name.to_owned(), bound))
    }
}
