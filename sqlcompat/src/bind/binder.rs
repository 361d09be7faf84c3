//! The state of binding one statement.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{BinaryOperator, CastKind, Expr, Ident, ObjectName, ObjectNamePart, Spanned};
use sqlparser::tokenizer::{Location, Span};

use super::context::{BindContext, Parameters};
use super::effects::Effect;
use super::resolve::Types;
use super::scope::{CteEntry, Scope};
use super::sql_function::{Frame, TableQuery};
use super::tree::{self, At, RelationId, Relations};
use super::view_target::WrittenView;
use crate::catalog::Names;
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::plan::{CatalogReads, CurrentRow};
use crate::schema::{NameRole, NameUse, View, literal_end, name_end};
use crate::types::codec::decode_text;
use crate::types::{ObjectClass, TypeContext, TypeNames};

/// Characters between two [`Binder::marks`].
const MARK_CHARS: usize = 256;

/// Deepest nesting of expressions and queries that is bound; deeper is refused with 54001.
pub(crate) const BIND_DEPTH_MAX: usize = 120;

/// Deepest nesting of queries that is bound, of which each takes several times the stack of an expression; deeper is refused
/// with 54001.
pub(crate) const QUERY_DEPTH_MAX: usize = 32;

/// Highest number of a parameter, as in the protocol.
const PARAMETER_MAX: u32 = 65_535;

/// Binds one statement.
pub(crate) struct Binder<'a> {
    /// What it is bound against.
    pub(crate) cx: &'a BindContext<'a>,
    /// Types by OID and name.
    pub(crate) types: Types<'a>,
    /// Characters before each line of the text; empty for text that positions must not refer to.
    line_starts: Vec<u32>,
    /// The text, for the places of operators.
    pub(crate) text: &'a str,
    /// Where every [`MARK_CHARS`]th character of the text stands, in bytes; none where each is one byte.
    marks: Vec<usize>,
    /// Relations so far.
    pub(crate) relations: Relations,
    /// Parameter types so far, `unknown` where undecided.
    pub(crate) parameters: Vec<Oid>,
    /// Scopes, innermost last.
    pub(crate) scopes: Vec<Scope>,
    /// The columns of the relations that aliases of USING stand for.
    pub(crate) merged_columns: BTreeMap<RelationId, Vec<tree::Expr>>,
    /// CTEs in sight, innermost last.
    pub(crate) ctes: Vec<CteEntry>,
    /// System relations read.
    pub(crate) reads: CatalogReads,
    /// Nesting of what is being bound.
    depth: usize,
    /// Nesting of the queries among it.
    query_depth: usize,
    /// Names given out so far.
    names: Cell<u32>,
    /// Views being expanded, to stop a view that came to contain itself.
    pub(crate) view_depth: usize,
    /// The next call is the function of a `FROM` item.
    pub(crate) expect_table_function: bool,
    /// Result columns of the last function of a `FROM` item; empty for one without OUT columns.
    pub(crate) table_function_columns: Vec<(String, Oid)>,
    /// The function of a `FROM` item is one of `ROWS FROM`.
    pub(crate) in_rows_from: bool,
    /// The rows of the last function of a `FROM` item, where it is one of the user's that yields rows.
    pub(crate) table_function_query: Option<TableQuery>,
    /// The user's functions that the text calls, those in bodies of others not among them.
    pub(crate) called: BTreeSet<Oid>,
    /// Functions whose bodies are being bound, innermost last.
    pub(crate) frames: Vec<Frame>,
    /// The next call is that of a procedure.
    pub(crate) expect_procedure: bool,
    /// The calls that are being bound run once each: functions that write may be among them.
    pub(crate) admits_effects: bool,
    /// What the functions that are called do before the statement's query.
    pub(crate) effects: Vec<Effect<'a>>,
    /// No queries may come of what is bound: SQLite admits none in conditions and indexes of tables.
    pub(crate) queryless: bool,
    /// Physical name of the table that the statement writes, which no alias may be.
    pub(crate) target_name: String,
    /// Rows are to be locked (`FOR UPDATE`).
    pub(crate) row_locks: bool,
    /// What has been read so far.
    pub(crate) uses: Uses,
    /// Views that the statement writes.
    pub(crate) written_views: Vec<(RelationId, WrittenView)>,
    /// A materialized view that is read and has no rows yet.
    pub(crate) unpopulated: Option<String>,
    /// What the text turned out to name, if that is asked for.
    pub(crate) noted: Option<RefCell<Noted>>,
    /// The view whose text is being bound.
    pub(crate) within: Option<&'a View>,
    /// The row that `WHERE CURRENT OF` means; its number is the last parameter.
    pub(crate) current_row: Option<CurrentRow>,
}

/// What the text of a view names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// User relations and types, with their places.
    pub(crate) names: Vec<NameUse<Oid>>,
    /// Columns of relations, by attribute number; 0 is the whole row.
    pub(crate) columns: BTreeSet<(Oid, i16)>,
}

/// What a part of a statement reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    /// CTEs, by their names in SQLite.
    pub(crate) ctes: Vec<String>,
    /// Tables of the schema.
    pub(crate) tables: Vec<Oid>,
}

impl<'a> Binder<'a> {
    /// A binder for one statement's text.
    pub(crate) fn new(cx: &'a BindContext<'a>, text: &'a str) -> Self {
        let undeclared = |oid: &Oid| if oid.0 == 0 { Oid::UNKNOWN } else { *oid };
        Self {
            cx,
            types: Types::new(cx.catalog, cx.search_path),
            line_starts: line_starts(text),
            text,
            marks: marks(text),
            relations: Relations::default(),
            parameters: cx.parameters.declared().iter().map(undeclared).collect(),
            scopes: Vec::new(),
            merged_columns: BTreeMap::new(),
            ctes: Vec::new(),
            reads: CatalogReads::default(),
            depth: 0,
            query_depth: 0,
            names: Cell::new(0),
            view_depth: 0,
            expect_table_function: false,
            table_function_columns: Vec::new(),
            in_rows_from: false,
            table_function_query: None,
            called: BTreeSet::new(),
            frames: Vec::new(),
            expect_procedure: false,
            admits_effects: false,
            effects: Vec::new(),
            queryless: false,
            target_name: String::new(),
            row_locks: false,
            uses: Uses::default(),
            written_views: Vec::new(),
            unpopulated: None,
            noted: None,
            within: None,
            current_row: None,
        }
    }

    /// Runs `inner` and tells what it came to read.
    pub(crate) fn with_uses<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<(T, Uses), SqlError> {
        let before = std::mem::take(&mut self.uses);
        let result = inner(self);
        let found = std::mem::replace(&mut self.uses, before);
        self.uses.ctes.extend(found.ctes.iter().cloned());
        self.uses.tables.extend(&found.tables);
        Ok((result?, found))
    }

    /// Runs `inner` one level deeper, or refuses.
    pub(crate) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if self.depth >= BIND_DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// As [`Binder::nested`], for a query.
    pub(crate) fn nested_query<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if self.query_depth >= QUERY_DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        self.query_depth += 1;
        let result = inner(self);
        self.query_depth -= 1;
        result
    }

    /// Runs `inner` over another text (a view's, a default's), whose places mean nothing to the client.
    pub(crate) fn in_other_text<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let line_starts = std::mem::take(&mut self.line_starts);
        let text = std::mem::take(&mut self.text);
        let result = self.nested(inner);
        self.line_starts = line_starts;
        self.text = text;
        result
    }

    /// As [`Self::in_other_text`], out of sight of the queries around: of their relations, and of what the view around sees.
    /// `within` is the view that the text is of.
    pub(crate) fn in_stored_text<T>(
        &mut self,
        within: Option<&'a View>,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let scopes = std::mem::take(&mut self.scopes);
        let ctes = std::mem::take(&mut self.ctes);
        let around = std::mem::replace(&mut self.within, within);
        let result = self.in_other_text(inner);
        (self.scopes, self.ctes, self.within) = (scopes, ctes, around);
        result
    }

    /// Runs `inner` over a part of the statement that is a text by itself; places in it are from its own beginning.
    pub(crate) fn in_text<T>(
        &mut self,
        text: &'a str,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let line_starts = std::mem::replace(&mut self.line_starts, line_starts(text));
        let outer = std::mem::replace(&mut self.text, text);
        let marks = std::mem::replace(&mut self.marks, marks(text));
        let result = self.nested(inner);
        self.line_starts = line_starts;
        self.text = outer;
        self.marks = marks;
        result
    }

    /// A number not given out before in this statement.
    pub(crate) fn fresh(&self) -> u32 {
        self.names.set(self.names.get() + 1);
        self.names.get()
    }

    /// An SQLite alias for a relation.
    pub(crate) fn fresh_qualifier(&self) -> String {
        loop {
            let qualifier = format!("t{}", self.fresh());
            if !qualifier.eq_ignore_ascii_case(&self.target_name) {
                return qualifier;
            }
        }
    }

    /// Where a location is, in characters from 1.
    pub(crate) fn place(&self, location: Location) -> At {
        let line = usize::try_from(location.line).unwrap_or(0);
        let Some(start) = line.checked_sub(1).and_then(|at| self.line_starts.get(at)) else {
            return At(0);
        };
        At(start.saturating_add(u32::try_from(location.column).unwrap_or(0)))
    }

    /// Where a span starts.
    pub(crate) fn span_start(&self, span: Span) -> At {
        self.place(span.start)
    }

    /// Where a node of the syntax tree starts. Costs a walk of the node, so it is for errors and leaves.
    pub(crate) fn start_of(&self, node: &impl Spanned) -> At {
        self.span_start(node.span())
    }

    /// Where an expression starts. Chains of operators are as deep as they are long, so they are walked with a loop.
    pub(crate) fn expr_start(&self, expr: &Expr) -> At {
        let mut first = expr;
        while let Expr::BinaryOp { left, .. } = first {
            first = left;
        }
        self.start_of(first)
    }

    /// Where the operator after an operand stands: the first character after it that is no blank and no parenthesis.
    pub(crate) fn operator_after(&self, operand: &Expr) -> At {
        let mut last = operand;
        while let Expr::BinaryOp { right, .. } = last {
            last = right;
        }
        let end = self.place(last.span().end);
        let Some(rest) = self.text_from(end) else {
            return At(0);
        };
        let skipped = rest.chars().take_while(|c| c.is_whitespace() || *c == ')').count();
        At(end.0.saturating_add(u32::try_from(skipped).unwrap_or(0)))
    }

    /// The text from a place on.
    fn text_from(&self, at: At) -> Option<&'a str> {
        let before = at.0.checked_sub(1)? as usize;
        if self.marks.is_empty() {
            return self.text.get(before..);
        }
        let mark = self.marks.get(before / MARK_CHARS).copied().unwrap_or(self.text.len());
        let rest = self.text.get(mark..)?;
        let skipped = rest.char_indices().nth(before % MARK_CHARS);
        rest.get(skipped.map_or(rest.len(), |(at, _)| at)..)
    }

    /// Where the last occurrence of a word or operator before a place stands.
    pub(crate) fn last_before(&self, at: At, wanted: &str) -> Option<At> {
        let rest = self.text_from(at)?;
        let before = self.text.get(..self.text.len() - rest.len())?;
        let mut parts = before.as_bytes().windows(wanted.len());
        let found = parts.rposition(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))?;
        let between = before.get(found..)?.chars().count();
        u32::try_from(between).ok().and_then(|it| at.0.checked_sub(it)).map(At)
    }

    /// Where an operator stands. The spans of casts and calls end before what they are about, so behind one of these the operator is
    /// looked for from its right operand.
    pub(crate) fn operator_between(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> At {
        let mut last = left;
        while let Expr::BinaryOp { right, .. } = last {
            last = right;
        }
        let ends_early = matches!(last, Expr::Cast { .. } | Expr::Function(_));
        if !ends_early || matches!(right, Expr::UnaryOp { .. }) {
            return self.operator_after(left);
        }
        let found = self.last_before(self.expr_start(right), &op.to_string().to_ascii_lowercase());
        found.unwrap_or_else(|| self.operator_after(left))
    }

    /// Where a cast stands: its `::`, or its CAST.
    pub(crate) fn cast_place(&self, kind: &CastKind, operand: &Expr) -> Option<u32> {
        if *kind != CastKind::DoubleColon {
            return self.last_before(self.expr_start(operand), "cast")?.position();
        }
        let (mut innermost, mut casts) = (operand, 0);
        while let Expr::Cast { kind: CastKind::DoubleColon, expr, .. } = innermost {
            innermost = expr;
            casts += 1;
        }
        let end = self.place(innermost.span().end);
        let rest = self.text_from(end)?;
        let (before, _) = rest.match_indices("::").nth(casts)?;
        let skipped = rest.get(..before)?.chars().count();
        At(end.0.saturating_add(u32::try_from(skipped).ok()?)).position()
    }

    /// Notes the use of `$n` and gives its type so far.
    ///
    /// # Errors
    /// 42P02 for a number that no statement can have, and for any where there are no parameters.
    pub(crate) fn parameter(&mut self, text: &str, at: At) -> Result<(u16, Oid), SqlError> {
        let number = text.strip_prefix('$').and_then(|digits| digits.parse::<u32>().ok());
        let admitted = |n: &u32| match self.cx.parameters {
            Parameters::None => false,
            Parameters::Inferred(_) => (1..=PARAMETER_MAX).contains(n),
        };
        let number = number.filter(admitted).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {text}"))
                .at(at.position())
        })?;
        let index = number as usize;
        if self.parameters.len() < index {
            self.parameters.resize(index, Oid::UNKNOWN);
        }
        Ok((u16::try_from(number).unwrap_or(u16::MAX), self.parameters[index - 1]))
    }

    /// Decides the type of an undecided parameter.
    ///
    /// # Errors
    /// 42P08 if it has been decided otherwise since.
    pub(crate) fn decide_parameter(
        &mut self,
        number: u16,
        type_oid: Oid,
        at: At,
    ) -> Result<(), SqlError> {
        let slot = &mut self.parameters[usize::from(number) - 1];
        if *slot == Oid::UNKNOWN {
            *slot = type_oid;
        }
        if *slot == type_oid {
            return Ok(());
        }
        let (found, wanted) = (self.types.format(*slot), self.types.format(type_oid));
        Err(SqlError::new(
            SqlState::AMBIGUOUS_PARAMETER,
            format!("inconsistent types deduced for parameter ${number}"),
        )
        .with_detail(format!("{found} versus {wanted}"))
        .at(at.position()))
    }

    /// The parameters' types at the end.
    ///
    /// # Errors
    /// 42P18 for a parameter that nothing decided.
    pub(crate) fn parameter_types(&self) -> Result<Vec<Oid>, SqlError> {
        match self.parameters.iter().position(|oid| *oid == Oid::UNKNOWN) {
            None => Ok(self.parameters.clone()),
            Some(at) => Err(SqlError::new(
                SqlState::INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", at + 1),
            )),
        }
    }

    /// Notes what a name of the text turned out to be, where names are asked for.
    pub(crate) fn note(&self, name: &ObjectName, role: NameRole, of: Oid) {
        if self.noted.is_some() {
            self.note_at(self.start_of(name), role, of);
        }
    }

    /// The same of the name that starts at a place.
    pub(crate) fn note_at(&self, at: At, role: NameRole, of: Oid) {
        let Some(noted) = &self.noted else { return };
        let Some(rest) = self.text_from(at) else { return };
        let start = self.text.len() - rest.len();
        let Some(end) = name_end(self.text, start) else { return };
        noted.borrow_mut().names.push(NameUse { start, end, role, of, label: None });
    }

    /// Notes that the string at a place names an object of the user's, being a literal of this type.
    pub(crate) fn note_constant(&self, at: At, type_oid: Oid, value: &str) {
        let Some(noted) = &self.noted else { return };
        let catalog = self.cx.catalog;
        let names = Names::new(catalog, self.cx.search_path);
        let found = match type_oid {
            Oid::REGCLASS => names
                .object_oid(ObjectClass::Relation, value)
                .filter(|oid| catalog.relation_by_oid(*oid).is_some())
                .map(|oid| (NameRole::RelationConstant, oid, None)),
            Oid::REGTYPE => names
                .object_oid(ObjectClass::Type, value)
                .filter(|oid| catalog.types.get(oid).is_some_and(|it| !it.is_multirange()))
                .map(|oid| (NameRole::TypeConstant, oid, None)),
            other if !other.is_user() || !catalog.holds_enum(other) => None,
            other => catalog.type_by_oid(other).and_then(|(found, is_array)| {
                let cx = TypeContext { settings: self.cx.settings, names: catalog, now_us: 0 };
                let Ok(Datum::Text(stored)) = decode_text(other, -1, value, &cx) else {
                    return None;
                };
                let role = if is_array { NameRole::LabelArray } else { NameRole::Label };
                Some((role, found.oid(), Some(stored)))
            }),
        };
        let Some((role, of, label)) = found else { return };
        let Some(rest) = self.text_from(at) else { return };
        let start = self.text.len() - rest.len();
        let Some(end) = literal_end(self.text, start) else { return };
        noted.borrow_mut().names.push(NameUse { start, end, role, of, label });
    }

    /// Notes that the text itself, not that of a view in it, reads a column.
    pub(crate) fn note_column(&self, origin: Option<(Oid, i16)>) {
        let noted = self.noted.as_ref().filter(|_| !self.text.is_empty());
        if let (Some(noted), Some(origin)) = (noted, origin) {
            noted.borrow_mut().columns.insert(origin);
        }
    }

    /// An identifier as PostgreSQL keeps it: folded unless quoted.
    pub(crate) fn name(ident: &Ident) -> String {
        if ident.quote_style.is_some() {
            ident.value.clone()
        } else {
            ident.value.to_ascii_lowercase()
        }
    }

    /// The parts of a possibly qualified name, folded.
    ///
    /// # Errors
    /// 0A000 for a part that is no identifier.
    pub(crate) fn names(name: &ObjectName) -> Result<Vec<String>, SqlError> {
        name.0
            .iter()
            .map(|part| match part {
                ObjectNamePart::Identifier(ident) => Ok(Self::name(ident)),
                ObjectNamePart::Function(_) => Err(SqlError::unsupported("a function as a name")),
            })
            .collect()
    }

    /// Schema and name of a possibly qualified name; a database name in front must be the current one.
    ///
    /// # Errors
    /// 0A000 for a cross-database reference, 42601 for too many parts.
    pub(crate) fn qualified(
        &self,
        name: &ObjectName,
    ) -> Result<(Option<String>, String), SqlError> {
        let mut parts = Self::names(name)?;
        let at = self.start_of(name).position();
        let last = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        match parts.pop() {
            Some(_) if !parts.is_empty() => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("improper relation name (too many dotted names): {name}"),
            )
            .at(at)),
            Some(database) if database != self.cx.database => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cross-database references are not implemented: {name}"),
            )
            .at(at)),
            _ => Ok((schema, last)),
        }
    }
}

/// See [`Binder::marks`].
fn marks(text: &str) -> Vec<usize> {
    if text.is_ascii() {
        return Vec::new();
    }
    text.char_indices().step_by(MARK_CHARS).map(|(at, _)| at).collect()
}

/// Characters before each line.
fn line_starts(text: &str) -> Vec<u32> {
    let mut starts = vec![0];
    let mut count = 0u32;
    for c in text.chars() {
        count = count.saturating_add(1);
        if c == '\n' {
            starts.push(count);
        }
    }
    starts
}
