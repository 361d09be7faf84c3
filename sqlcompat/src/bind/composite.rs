//! Values made of values: arrays, rows, subscripts and fields.

use sqlparser::ast::{self, AccessExpr};

use super::binder::Binder;
use super::select::unparenthesized;
use super::tree::{At, Expr, Node, Subscript, SubscriptIndex};
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::array::{DIMENSIONS_MAX, too_many_dimensions};

impl Binder<'_> {
    /// `ARRAY[…]`.
    pub(crate) fn array(&mut self, elements: &[ast::Expr], at: At) -> Result<Expr, SqlError> {
        if elements.is_empty() {
            return Ok(Expr::new(Node::Array(Vec::new()), Oid::UNKNOWN).at(at));
        }
        let mut bound = Vec::with_capacity(elements.len());
        for element in elements {
            bound.push(self.expr(element)?);
        }
        let (bound, element, typmod) = self.unify(bound, "ARRAY")?;
        if self.types.sub_element(element).is_some() {
            return Ok(Expr::new(Node::Array(bound), element).at(at));
        }
        let array = self.types.array_of(element).ok_or_else(|| {
            let name = self.types.format(element);
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {name}"),
            )
            .at(at.position())
        })?;
        Ok(Expr { node: Node::Array(bound), type_oid: array, typmod, at })
    }

    /// `ARRAY[…]::type[]`: the type is known before the elements are, also those of the arrays inside; `None` for another
    /// type.
    pub(super) fn cast_array(
        &mut self,
        elements: &[ast::Expr],
        target: (Oid, i32),
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let (array, typmod) = self.types.base_with_typmod(target.0, target.1);
        let Some(element) = self.types.element(array) else { return Ok(None) };
        let cast = self.array_of_type(elements, element, (array, typmod))?.at(at);
        if array == target.0 { Ok(Some(cast)) } else { self.check_domain(cast, target.0).map(Some) }
    }

    fn array_of_type(
        &mut self,
        elements: &[ast::Expr],
        element: Oid,
        array: (Oid, i32),
    ) -> Result<Expr, SqlError> {
        let mut bound = Vec::with_capacity(elements.len());
        for it in elements {
            bound.push(match unparenthesized(it) {
                ast::Expr::Array(inner) => {
                    let at = self.expr_start(it);
                    self.array_of_type(&inner.elem, element, array)?.at(at)
                }
                _ => self.expr(it)?,
            });
        }
        let nested = bound.iter().any(|it| self.types.sub_element(it.type_oid).is_some());
        let goal = if nested { array.0 } else { element };
        let cast = |it| self.coerce(it, goal, array.1, CastContext::Explicit);
        let cast = bound.into_iter().map(cast).collect::<Result<_, _>>()?;
        let mut whole = Expr::new(Node::Array(cast), array.0);
        whole.typmod = array.1;
        Ok(whole)
    }

    /// `ROW(…)` and `(a, b)`.
    pub(crate) fn row(&mut self, fields: &[ast::Expr]) -> Result<Expr, SqlError> {
        let mut bound = Vec::with_capacity(fields.len());
        for field in fields {
            bound.push(self.expr(field)?);
        }
        Ok(Expr::new(Node::Row(bound), Oid::RECORD))
    }

    /// `a[1]`, `a[1:2]`, `(row).field`.
    pub(crate) fn access(
        &mut self,
        root: &ast::Expr,
        chain: &[AccessExpr],
    ) -> Result<Expr, SqlError> {
        let (mut value, chain) = self.access_root(root, chain)?;
        let mut indexes = Vec::new();
        for access in chain {
            match access {
                AccessExpr::Subscript(subscript) => {
                    let container = self.types.base(value.type_oid);
                    let is_open = matches!(container, Oid::JSONB | Oid::NAME);
                    if !is_open && self.types.element(container).is_none() {
                        return Err(self.cannot_subscript(&value));
                    }
                    indexes.push(self.subscript(subscript, container)?);
                }
                AccessExpr::Dot(field) => {
                    value = self.subscripted(value, std::mem::take(&mut indexes))?;
                    value = self.field(value, field)?;
                }
            }
        }
        self.subscripted(value, indexes)
    }

    /// `t.a[1]` comes as the root `t` with the field `a`: a column of a relation is taken first.
    fn access_root<'e>(
        &mut self,
        root: &ast::Expr,
        chain: &'e [AccessExpr],
    ) -> Result<(Expr, &'e [AccessExpr]), SqlError> {
        if let (
            ast::Expr::Identifier(table),
            [AccessExpr::Dot(ast::Expr::Identifier(column)), rest @ ..],
        ) = (root, chain)
        {
            let name = Self::name(table);
            let at = self.span_start(table.span);
            if self.find_column(&name, at)?.is_none() {
                return Ok((self.resolve_qualified(&[table.clone(), column.clone()])?, rest));
            }
        }
        Ok((self.expr(root)?, chain))
    }

    /// One pair of brackets after a value of the type `container`.
    ///
    /// # Errors
    /// What binding the expressions reports, and 42804 for what is no subscript.
    pub(crate) fn subscript(
        &mut self,
        subscript: &ast::Subscript,
        container: Oid,
    ) -> Result<SubscriptIndex, SqlError> {
        let mut bound = |expr: &ast::Expr| {
            let index = self.expr(expr)?;
            if container == Oid::JSONB {
                return self.jsonb_subscript(index);
            }
            self.coerce(index, Oid::INT4, -1, CastContext::Assignment)
        };
        match subscript {
            ast::Subscript::Index { index } => Ok(SubscriptIndex::Element(bound(index)?)),
            ast::Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                let lower = lower_bound.as_ref().map(&mut bound).transpose()?;
                let upper = upper_bound.as_ref().map(&mut bound).transpose()?;
                Ok(SubscriptIndex::Slice(lower, upper))
            }
            ast::Subscript::Slice { stride: Some(_), .. } => {
                Err(SqlError::unsupported("a slice with a stride"))
            }
        }
    }

    pub(super) fn cannot_subscript(&self, value: &Expr) -> SqlError {
        let found = self.types.format(value.type_oid);
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("cannot subscript type {found} because it does not support subscripting"),
        )
        .at(value.at.position())
    }

    /// A value's part; the value itself without subscripts.
    ///
    /// # Errors
    /// 42804 for a type without parts, 54000 for more subscripts than an array has dimensions.
    pub(crate) fn subscripted(
        &mut self,
        array: Expr,
        indexes: Vec<SubscriptIndex>,
    ) -> Result<Expr, SqlError> {
        if indexes.is_empty() {
            return Ok(array);
        }
        if indexes.len() > DIMENSIONS_MAX && self.types.base_element(array.type_oid).is_some() {
            return Err(too_many_dimensions(indexes.len()));
        }
        let base = self.types.base(array.type_oid);
        if base == Oid::JSONB {
            return self.jsonb_subscripts(array, indexes);
        }
        let single_name = match &indexes[..] {
            [SubscriptIndex::Element(index)] if base == Oid::NAME => Some(index.clone()),
            _ => None,
        };
        if let Some(index) = single_name {
            // A name is an array of "char" that counts from 0.
            let at = array.at;
            let start = self.binary_operator("+", index, Expr::int4(1), at)?;
            let text = self.coerce(array, Oid::TEXT, -1, CastContext::Explicit)?;
            let letter = self.call_named("substr", vec![text, start, Expr::int4(1)], at)?;
            return self.coerce(letter, Oid::CHAR, -1, CastContext::Explicit);
        }
        let Some(element) = self.types.element(base) else {
            return Err(self.cannot_subscript(&array));
        };
        let slice = indexes.iter().any(|index| matches!(index, SubscriptIndex::Slice(..)));
        let container = match base {
            Oid::INT2VECTOR | Oid::OIDVECTOR => self.types.array_of(element).unwrap_or(base),
            _ => base,
        };
        let (type_oid, typmod, at) =
            (if slice { container } else { element }, array.typmod, array.at);
        let node = Node::Subscript(Box::new(Subscript { array, indexes, assigned: None }));
        Ok(Expr { node, type_oid, typmod, at })
    }

    /// A subscript of a `jsonb`: an integer or text.
    fn jsonb_subscript(&mut self, index: Expr) -> Result<Expr, SqlError> {
        let at = index.at;
        if index.is_unknown() {
            return self.implicit(index, Oid::TEXT);
        }
        if self.types.base(index.type_oid) == Oid::INT4 {
            return Ok(index);
        }
        let found = self.types.format(index.type_oid);
        self.coerce(index, Oid::TEXT, -1, CastContext::Implicit).map_err(|_no_cast| {
            let message = format!("subscript type {found} is not supported");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("jsonb subscript must be coercible to either integer or text.")
                .at(at.position())
        })
    }

    /// `jsonb['a'][0]` is a chain of `->`.
    fn jsonb_subscripts(
        &mut self,
        value: Expr,
        indexes: Vec<SubscriptIndex>,
    ) -> Result<Expr, SqlError> {
        let mut arguments = vec![value];
        for index in indexes {
            let SubscriptIndex::Element(index) = index else {
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "jsonb subscript does not support slices",
                ));
            };
            arguments.push(self.coerce(index, Oid::TEXT, -1, CastContext::Explicit)?);
        }
        self.call_named("jsonb_extract_path", arguments, At(0))
    }

    /// `(row).field`.
    pub(super) fn field(&mut self, value: Expr, field: &ast::Expr) -> Result<Expr, SqlError> {
        let ast::Expr::Identifier(ident) = field else {
            return Err(SqlError::unsupported("this form of field selection"));
        };
        let name = Self::name(ident);
        if let Node::WholeRow(relation) = value.node {
            let columns = &self.relations.get(relation).columns;
            let index = columns.iter().position(|column| column.name == name);
            if let Some(index) = index.and_then(|index| u16::try_from(index).ok()) {
                return Ok(self.column(relation, index, value.at));
            }
        }
        if let Node::Row(fields) = &value.node {
            let number = name.strip_prefix('f').and_then(|digits| digits.parse::<usize>().ok());
            let field = number.and_then(|number| fields.get(number.checked_sub(1)?));
            return field.cloned().ok_or_else(|| Self::unknown_field(&name, value.at));
        }
        if value.type_oid == Oid::RECORD {
            return self.record_field(value, &name);
        }
        let Some(fields) = self.types.fields(self.types.base(value.type_oid)) else {
            let shown = self.types.format(value.type_oid);
            let message = format!(
                "column notation .{name} applied to type {shown}, which is not a composite type"
            );
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(value.at.position()));
        };
        let found = (0u16..).zip(fields).find(|(_, (field, ..))| *field == name);
        let found = found.map(|(index, (_, type_oid, typmod))| (index, type_oid, typmod));
        let Some((index, type_oid, typmod)) = found else {
            let shown = self.types.format(value.type_oid);
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" not found in data type {shown}"),
            )
            .at(value.at.position()));
        };
        let at = value.at;
        Ok(Expr { node: Node::Field(Box::new(value), index), type_oid, typmod, at })
    }
}
