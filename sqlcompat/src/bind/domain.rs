//! Values of domains: a value of the base type under the domain's constraints.
//!
//! A cast to a domain with NOT NULL or CHECK becomes a [`DomainCheck`]: the conditions are bound over a relation of one column
//! that stands for VALUE, so that the value itself is computed once. Constraints of a domain's base domain come first, as
//! in PostgreSQL (manual, `sql-createdomain`).

use super::binder::Binder;
use super::scope::Scope;
use super::tree::{ColumnSql, DomainCheck, Expr, Node, Relation, RelationColumn, Source};
use crate::builtin::CastContext;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::parse;
use crate::schema::{DomainType, UserType};

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
