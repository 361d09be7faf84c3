//! The typed tree: what a query means once every name, type and coercion is settled.
//!
//! Columns are named by a [`RelationId`] and an index, never by text, so a tree can be moved or compared without a scope.
//! Relations live in one arena per statement ([`Relations`]); each is given an SQLite alias of its own (`t1`, `t2`, …), so
//! that nesting cannot capture a name.
//!
//! Equality of trees is what GROUP BY and DISTINCT ask for: it ignores where in the text an expression stood.

use crate::builtin::{FunctionRow, OperatorRow};
use crate::datum::Datum;
use crate::oid::Oid;

/// A place in the statement's text, in characters from 1; 0 is nowhere. All places are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub u32);

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl At {
    /// The place of the character before.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The place as an error reports it.
    #[must_use]
    pub fn position(self) -> Option<u32> {
        (self.0 > 0).then_some(self.0)
    }
}

/// Index of a relation in [`Relations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelationId(pub u32);

/// A typed expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub node: Node,
    /// Type of its value; `unknown` for literals and parameters that nothing has decided yet.
    pub type_oid: Oid,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// Where it stands in the text.
    pub at: At,
}

/// Kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A literal in storage form. NULL of type `unknown` is an untyped NULL.
    Literal(Datum),
    /// A string literal that has no type yet.
    Unknown(String),
    /// `$n`, from 1.
    Parameter(u16),
    /// A column of a relation, by index.
    Column(RelationId, u16),
    /// A function or operator.
    Call(Box<Call>),
    /// A change of type that is none of storage.
    Relabel(Box<Expr>),
    /// Text to the expression's type by the type's input function.
    Input(Box<Expr>),
    /// Any type to text by the type's output function.
    Output(Box<Expr>),
    /// A value of a domain with constraints.
    Domain(Box<DomainCheck>),
    /// `GROUPING(…)`: which of the grouping expressions are not grouped by, as bits.
    Grouping(Vec<Expr>),
    /// An array converted element by element.
    ArrayCast(Box<Expr>),
    /// `AND` of two or more.
    And(Vec<Expr>),
    /// `OR` of two or more.
    Or(Vec<Expr>),
    /// `NOT`.
    Not(Box<Expr>),
    /// `IS [NOT] NULL`.
    IsNull(Box<Expr>, Negated),
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`; `None` is unknown.
    IsTruth(Box<Expr>, Option<bool>, Negated),
    /// `IS [NOT] DISTINCT FROM`, with the `=` of the operands.
    IsDistinct(Box<Call>, Negated),
    /// `BETWEEN` over one type whose order is native.
    Between(Box<[Expr; 3]>, Negated),
    /// `IN` over one type whose equality is native.
    InList(Box<Expr>, Vec<Expr>, Negated),
    /// `CASE`: conditions with results, and `ELSE`.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `CASE operand`: values that SQLite itself compares the operand with, results, and `ELSE`.
    Switch(Box<Expr>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `COALESCE`.
    Coalesce(Vec<Expr>),
    /// `NULLIF`, with the `=` of its operands.
    NullIf(Box<Call>),
    /// `GREATEST` and `LEAST`.
    Extreme(Extreme, Vec<Expr>),
    /// `(SELECT …)` as a value.
    Subquery(Box<Query>),
    /// `EXISTS`.
    Exists(Box<Query>),
    /// `IN (SELECT …)` over types whose equality is native.
    InQuery(Vec<Expr>, Box<Query>, Negated),
    /// `ARRAY(SELECT …)`.
    ArrayQuery(Box<Query>),
    /// `operand op ANY | ALL (…)`.
    Quantified(Box<Quantified>),
    /// `ARRAY[…]`; elements that are arrays make a dimension.
    Array(Vec<Expr>),
    /// `ROW(…)`.
    Row(Vec<Expr>),
    /// A row of a named type, by its fields.
    Composite(Vec<Expr>),
    /// Comparison of rows, column by column.
    RowCompare(RowCompare),
    /// `array[…]`, or a slice.
    Subscript(Box<Subscript>),
    /// A field of a composite value, from 0.
    Field(Box<Expr>, u16),
    /// All columns of a relation as a composite value.
    WholeRow(RelationId),
    /// An aggregate, or a window function.
    Aggregate(Box<Aggregate>),
    /// A value computed once for all of its uses.
    Let(Box<Let>),
}

/// Whether a predicate is under NOT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negated {
    /// As it stands.
    No,
    /// Under NOT.
    Yes,
}

impl From<bool> for Negated {
    fn from(negated: bool) -> Self {
        if negated { Self::Yes } else { Self::No }
    }
}

/// `GREATEST` or `LEAST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// `GREATEST`.
    Greatest,
    /// `LEAST`.
    Least,
}

/// A call of a built-in function, by name or through an operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function.
    pub row: &'static FunctionRow,
    /// The operator it was called through, if any.
    pub operator: Option<&'static OperatorRow>,
    /// Arguments, coerced, defaults filled in, a VARIADIC tail packed or left flat as the function wants it.
    pub arguments: Vec<Expr>,
    /// The actual types of the arguments declared with a pseudo-type, for the function library.
    pub type_arguments: Vec<Oid>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.row.oid == other.row.oid && self.arguments == other.arguments
    }
}

/// A value that becomes one of a domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DomainCheck {
    /// The value, of the base type; or an array of such values.
    pub value: Expr,
    /// The array type, where the conditions are on each element of an array.
    pub each_of: Option<Oid>,
    /// Alias under which the conditions read it in SQLite.
    pub qualifier: String,
    /// Name of the domain.
    pub domain: String,
    /// NOT NULL.
    pub not_null: bool,
    /// CHECK constraints: name and condition.
    pub checks: Vec<(String, Expr)>,
}

/// `operand op ANY | ALL (array or query)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantified {
    /// The operator with the operand as first argument and [`ELEMENT`] as second.
    pub call: Call,
    /// `ALL` rather than `ANY`.
    pub all: bool,
    /// What it ranges over.
    pub over: Quantity,
}

/// What `ANY` and `ALL` range over.
#[derive(Clone, Debug, PartialEq)]
pub enum Quantity {
    /// An array.
    Array(Expr),
    /// A query of one column.
    Query(Box<Query>),
}

/// Stands for the current element inside [`Quantified::call`].
pub const ELEMENT: RelationId = RelationId(u32::MAX);

/// A value that the body reads as the only column of a relation, so that it is computed once however often it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// The relation, whose source is [`Source::Given`].
    pub relation: RelationId,
    /// The value.
    pub value: Expr,
    /// What reads it.
    pub body: Expr,
}

/// Comparison of rows: the calls compare column by column.
#[derive(Clone, Debug, PartialEq)]
pub struct RowCompare {
    /// `=`, `<>`, `<`, `<=`, `>` or `>=`.
    pub operator: &'static str,
    /// The operator on each pair of columns (`=` for `=` and `<>`; the operator itself otherwise).
    pub pairs: Vec<Call>,
}

/// `array[…]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscript {
    /// The array.
    pub array: Expr,
    /// One index per dimension, or lower and upper bounds for a slice.
    pub indexes: Vec<SubscriptIndex>,
    /// The value that takes the place of that part; then the whole is the array with it, or the `jsonb`.
    pub assigned: Option<Expr>,
}

/// One pair of brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum SubscriptIndex {
    /// `[i]`.
    Element(Expr),
    /// `[i:j]`.
    Slice(Option<Expr>, Option<Expr>),
    /// `.field`, by its position from 0: the part of a row that is assigned to.
    Field(u16),
}

/// An aggregate or window function.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The function.
    pub row: &'static FunctionRow,
    /// Arguments, coerced; direct ones of an ordered-set aggregate first.
    pub arguments: Vec<Expr>,
    /// As [`Call::type_arguments`].
    pub type_arguments: Vec<Oid>,
    /// `DISTINCT`.
    pub distinct: bool,
    /// `ORDER BY` inside the call.
    pub order_by: Vec<SortKey>,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Expr>,
    /// `OVER`.
    pub over: Option<Window>,
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Self) -> bool {
        self.row.oid == other.row.oid
            && self.arguments == other.arguments
            && self.distinct == other.distinct
            && self.order_by == other.order_by
            && self.filter == other.filter
            && self.over == other.over
    }
}

/// A window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// `PARTITION BY`.
    pub partition_by: Vec<Expr>,
    /// `ORDER BY`.
    pub order_by: Vec<SortKey>,
    /// The frame as SQLite text with its offsets' expressions.
    pub frame: Option<Frame>,
}

/// A window frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// `ROWS`, `RANGE` or `GROUPS`.
    pub units: &'static str,
    /// Start.
    pub start: FrameBound,
    /// End.
    pub end: Option<FrameBound>,
    /// What `EXCLUDE` excludes: `CURRENT ROW`, `GROUP`, `TIES` or `NO OTHERS`.
    pub exclude: Option<&'static str>,
    /// SQLite has no such frame; the function library computes it.
    pub kept: bool,
}

/// A bound of a window frame.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameBound {
    /// `CURRENT ROW`.
    CurrentRow,
    /// `n PRECEDING`, or `UNBOUNDED PRECEDING`.
    Preceding(Option<Expr>),
    /// `n FOLLOWING`, or `UNBOUNDED FOLLOWING`.
    Following(Option<Expr>),
}

/// One key of an `ORDER BY`.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What is ordered by.
    pub by: SortBy,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`.
    pub nulls_first: bool,
}

/// What a key orders by.
#[derive(Clone, Debug, PartialEq)]
pub enum SortBy {
    /// An output column, from 0.
    Output(usize),
    /// An expression over the query's relations.
    Expr(Expr),
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `WITH`, in order.
    pub ctes: Vec<Cte>,
    /// What yields the rows.
    pub body: Body,
    /// Output columns; as many as each part of the body yields.
    pub columns: Vec<OutputColumn>,
    /// `ORDER BY`.
    pub order_by: Vec<SortKey>,
    /// `LIMIT`.
    pub limit: Option<Expr>,
    /// `OFFSET`.
    pub offset: Option<Expr>,
    /// `FETCH … WITH TIES`.
    pub with_ties: bool,
    /// Refers to relations beside it: a lateral subquery.
    pub lateral: bool,
}

impl Query {
    /// Whether it is known to yield one row at most.
    #[must_use]
    pub fn yields_one_row(&self) -> bool {
        if let Some(Expr { node: Node::Literal(Datum::Integer(0 | 1)), .. }) = self.limit {
            return !self.with_ties;
        }
        match &self.body {
            Body::Select(select) => {
                select.from.is_empty() || (select.grouped && select.group_by.is_empty())
            }
            Body::Values(rows) => rows.len() <= 1,
            Body::SetOperation(_) => false,
        }
    }
}

/// An output column of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub type_oid: Oid,
    /// Type modifier.
    pub typmod: i32,
    /// Table OID and attribute number of a plain column.
    pub origin: Option<(Oid, i16)>,
    /// Known never to be NULL.
    pub not_null: bool,
}

/// What yields a query's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `SELECT`.
    Select(Box<Select>),
    /// `VALUES`.
    Values(Vec<Vec<Expr>>),
    /// `UNION`, `INTERSECT`, `EXCEPT`.
    SetOperation(Box<SetOperation>),
}

/// `UNION`, `INTERSECT` or `EXCEPT` of two queries.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOperation {
    /// Which.
    pub kind: SetKind,
    /// `ALL`.
    pub all: bool,
    /// Left operand.
    pub left: Query,
    /// Right operand.
    pub right: Query,
}

impl SetOperation {
    /// Whether equal rows count: `INTERSECT ALL` and `EXCEPT ALL`, which SQLite lacks.
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        self.all && self.kind != SetKind::Union
    }
}

/// Kinds of set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// `UNION`.
    Union,
    /// `INTERSECT`.
    Intersect,
    /// `EXCEPT`.
    Except,
}

/// `SELECT` without what surrounds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// `DISTINCT`.
    pub distinct: Distinct,
    /// Output expressions.
    pub items: Vec<Expr>,
    /// `FROM`.
    pub from: Vec<FromItem>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// Has aggregates, `GROUP BY` or `HAVING`.
    pub grouped: bool,
    /// `GROUP BY`.
    pub group_by: Vec<Expr>,
    /// `HAVING`.
    pub having: Option<Expr>,
}

impl Select {
    /// A `SELECT` of nothing but its outputs and its `FROM`.
    pub(crate) fn of(items: Vec<Expr>, from: Vec<FromItem>) -> Self {
        Self {
            distinct: Distinct::No,
            items,
            from,
            filter: None,
            grouped: false,
            group_by: Vec::new(),
            having: None,
        }
    }

    /// The relations of its `FROM`.
    pub(crate) fn relations(&self) -> Vec<RelationId> {
        let mut found = Vec::new();
        self.from.iter().for_each(|item| item.relations(&mut found));
        found
    }

    /// A `SELECT` of nothing but outputs that read one relation.
    pub(crate) fn over(relation: RelationId, items: Vec<Expr>) -> Self {
        Self::of(items, vec![FromItem::Relation(relation)])
    }
}

/// `DISTINCT` of a `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub enum Distinct {
    /// None.
    No,
    /// Rows.
    Rows,
    /// `DISTINCT ON`.
    On(Vec<Expr>),
}

/// A `FROM` item.
#[derive(Clone, Debug, PartialEq)]
pub enum FromItem {
    /// A relation.
    Relation(RelationId),
    /// A join.
    Join(Box<Join>),
}

/// A join.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Kind.
    pub kind: JoinKind,
    /// Left operand.
    pub left: FromItem,
    /// Right operand.
    pub right: FromItem,
    /// Condition; `None` for a cross join.
    pub on: Option<Expr>,
}

/// Kinds of join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Inner and cross.
    Inner,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Full.
    Full,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Cte {
    /// Name in SQLite.
    pub sql_name: String,
    /// The query.
    pub query: Query,
    /// Refers to itself.
    pub recursive: bool,
    /// `MATERIALIZED` or `NOT MATERIALIZED`.
    pub materialized: Option<bool>,
}

/// All relations of a statement.
#[derive(Clone, Debug, Default)]
pub struct Relations(pub Vec<Relation>);

impl Relations {
    /// Adds a relation.
    pub fn add(&mut self, relation: Relation) -> RelationId {
        self.0.push(relation);
        RelationId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX - 1))
    }

    /// A relation of this statement.
    ///
    /// # Panics
    /// If the id is of another statement.
    #[must_use]
    pub fn get(&self, id: RelationId) -> &Relation {
        &self.0[id.0 as usize]
    }

    /// A relation of this statement, to be changed.
    ///
    /// # Panics
    /// If the id is of another statement.
    pub fn get_mut(&mut self, id: RelationId) -> &mut Relation {
        &mut self.0[id.0 as usize]
    }
}

/// Something that has rows.
#[derive(Clone, Debug)]
pub struct Relation {
    /// Name that qualifies its columns in the text.
    pub alias: String,
    /// What qualifies its columns in SQLite, quoted; empty for none.
    pub qualifier: String,
    /// Its columns.
    pub columns: Vec<RelationColumn>,
    /// Where its rows come from.
    pub source: Source,
    /// On the optional side of an outer join: its columns are NULL where it has no row.
    pub optional: bool,
}

/// A column of a relation.
#[derive(Clone, Debug)]
pub struct RelationColumn {
    /// Name in the text; empty for one that the view around does not know.
    pub name: String,
    /// What it is in SQLite: a quoted name, or an expression over the qualifier for system columns.
    pub sql: ColumnSql,
    /// Type.
    pub type_oid: Oid,
    /// Type modifier.
    pub typmod: i32,
    /// Table OID and attribute number of a plain column.
    pub origin: Option<(Oid, i16)>,
    /// Known never to be NULL.
    pub not_null: bool,
    /// A system column: found by name, left out of `*`.
    pub system: bool,
}

impl RelationColumn {
    /// Whether it is among those that `*` stands for.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.system && !self.name.is_empty()
    }
}

/// How a column is written in SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnSql {
    /// A physical name, not quoted, to be qualified.
    Name(String),
    /// A text that needs no qualifier.
    Constant(String),
    /// An element of the JSON array in this column of an expanded lateral subquery.
    JsonElement(usize),
    /// A field of the rows of a type that a function yields.
    RowField(usize, Oid),
    /// A system column of a table that is made from the row's number.
    System(SystemColumn),
}

/// The system columns of a user's table besides `tableoid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemColumn {
    /// `ctid`: 48 bits of the row's number. `exact` where the number is a key of the user's, which need not fit.
    TupleId {
        /// A number that does not fit is refused, not cut.
        exact: bool,
    },
    /// `xmax`: 0 in all rows that can be seen, but for what ON CONFLICT DO UPDATE returns, whose rows were locked first.
    Deleter,
    /// `xmin`, `cmin`, `cmax`: SQLite does not keep who wrote a row.
    Unknown(&'static str),
}

/// Where a relation's rows come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An SQLite table, by its quoted and qualified name; and the table's OID.
    Table(String, Oid),
    /// A subquery.
    Query(Box<Query>),
    /// The only row of a query, or NULLs: one row in any case. The query may refer to relations beside it.
    OnlyRow(Box<Query>),
    /// A CTE, by its name in SQLite.
    Cte(String),
    /// A function in `FROM`.
    Function(Box<FunctionSource>),
    /// Rows that the statement itself provides: the target, `excluded`.
    Given,
}

/// Functions in `FROM`, in lock-step if there are several.
#[derive(Clone, Debug)]
pub struct FunctionSource {
    /// The calls; any other expression is one row of one column. Each has the SQLite alias that its columns are read by,
    /// where there are several.
    pub calls: Vec<(Expr, String)>,
    /// `WITH ORDINALITY`: the last column is the row's number.
    pub ordinality: bool,
}

impl Expr {
    /// An expression without type modifier and place.
    #[must_use]
    pub fn new(node: Node, type_oid: Oid) -> Self {
        Self { node, type_oid, typmod: -1, at: At(0) }
    }

    /// The same at a place in the text.
    #[must_use]
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Whether it is a literal or parameter whose type is open.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.type_oid == Oid::UNKNOWN
    }

    /// The untyped NULL.
    #[must_use]
    pub fn null() -> Self {
        Self::null_of(Oid::UNKNOWN)
    }

    /// NULL of a type.
    #[must_use]
    pub fn null_of(type_oid: Oid) -> Self {
        Self::new(Node::Literal(Datum::Null), type_oid)
    }

    /// An `int4` literal.
    #[must_use]
    pub fn int4(value: i32) -> Self {
        Self::new(Node::Literal(Datum::Integer(i64::from(value))), Oid::INT4)
    }

    /// A `bool` literal.
    #[must_use]
    pub fn boolean(value: bool) -> Self {
        Self::new(Node::Literal(Datum::Integer(i64::from(value))), Oid::BOOL)
    }

    /// A `text` literal.
    #[must_use]
    pub fn text(value: impl Into<String>) -> Self {
        Self::new(Node::Literal(Datum::Text(value.into())), Oid::TEXT)
    }
}
