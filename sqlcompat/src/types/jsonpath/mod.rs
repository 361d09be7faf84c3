//! `jsonpath`: the tree of an SQL/JSON path expression, its reader and its canonical text.
//!
//! A path is a chain: what it starts from (`$`, a literal, an operator) and the accessors behind it, each applied to
//! what the one before it gave. Operands and filters are chains of their own.
//!
//! ```text
//! strict $.a[1 to last] ? (@ > 2).size()
//!        │ │ │           │        └ Method(Size)
//!        │ │ │           └ Filter([Binary(Greater, [Current], [Number 2])])
//!        │ │ └ Elements([([Number 1], Some([Last]))])
//!        │ └ Key(a)
//!        └ Root
//! ```
//!
//! The stored form is the canonical text, which reads back to the same tree.
//!
//! # Bounds
//! [`DEPTH_MAX`] of parentheses and signs within each other, [`CHAIN_MAX`] accessors in a chain, [`OPERATORS_MAX`]
//! operators between operands; more is 54001.
//!
//! # Sources
//! PostgreSQL 15 manual, 9.16.2 (The SQL/JSON Path Language); ISO/IEC TR 19075-6.

mod lexer;
mod parser;
mod print;

use crate::error::SqlError;

/// Deepest nesting of expressions.
pub const DEPTH_MAX: usize = 128;

/// Longest chain of accessors.
pub const CHAIN_MAX: usize = 256;

/// Most operators between operands in a path: they nest to the left.
pub const OPERATORS_MAX: usize = 512;

/// How structural errors are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Arrays are wrapped and unwrapped as needed; what is missing is nothing.
    Lax,
    /// What does not fit is an error.
    Strict,
}

/// A path expression.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    /// How structural errors are taken.
    pub mode: Mode,
    /// The expression.
    pub chain: Chain,
}

/// A starting point and its accessors; never empty.
pub type Chain = Vec<Step>;

/// One link of a chain.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number, as `numeric` prints it.
    Number(String),
    /// `"text"`.
    String(String),
    /// `$name`.
    Variable(String),
    /// `$`.
    Root,
    /// `@`.
    Current,
    /// `last`, within subscripts.
    Last,
    /// `.name`.
    Key(String),
    /// `.*`.
    AnyKey,
    /// `[*]`.
    AnyElement,
    /// `[1, 2 to 3]`.
    Elements(Vec<(Chain, Option<Chain>)>),
    /// `.**{first to last}`; `None` is the deepest level.
    AnyLevel(Option<u32>, Option<u32>),
    /// `? (predicate)`.
    Filter(Chain),
    /// An operator between two operands.
    Binary(BinaryOperator, Chain, Chain),
    /// An operator before, around or after its operand.
    Unary(UnaryOperator, Chain),
    /// `operand like_regex "pattern" flag "flags"`.
    LikeRegex(Chain, String, RegexFlags),
    /// `.name()`.
    Method(Method),
    /// `.datetime("template")`.
    Datetime(Option<String>),
}

/// Operators between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `||`.
    Or,
    /// `&&`.
    And,
    /// `==`.
    Equal,
    /// `!=`, also written `<>`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `starts with`.
    StartsWith,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
}

impl BinaryOperator {
    /// As it is written.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::StartsWith => "starts with",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }

    /// Whether it computes a number, not a truth value.
    #[must_use]
    pub fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo)
    }
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// `!(predicate)`.
    Not,
    /// `(predicate) is unknown`.
    IsUnknown,
    /// `exists (path)`.
    Exists,
}

/// Methods without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `.abs()`.
    Abs,
    /// `.ceiling()`.
    Ceiling,
    /// `.double()`.
    Double,
    /// `.floor()`.
    Floor,
    /// `.keyvalue()`.
    KeyValue,
    /// `.size()`.
    Size,
    /// `.type()`.
    Type,
}

impl Method {
    /// The name, without dot and parentheses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Abs => "abs",
            Self::Ceiling => "ceiling",
            Self::Double => "double",
            Self::Floor => "floor",
            Self::KeyValue => "keyvalue",
            Self::Size => "size",
            Self::Type => "type",
        }
    }
}

/// What the flags of `like_regex` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one letter of the flags")]
pub struct RegexFlags {
    /// `i`: case does not matter.
    pub ignore_case: bool,
    /// `s`: a dot matches a newline.
    pub dot_all: bool,
    /// `m`: `^` and `$` match at lines.
    pub multi_line: bool,
    /// `x`: blanks and comments in the pattern do not count; only beside `q`, which overrides it.
    pub expanded: bool,
    /// `q`: the pattern is plain text.
    pub quote: bool,
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// 42601 for bad syntax, 22P02 for an empty text, 2201B for a bad pattern, 54001 beyond the bounds.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        parser::parse(text)
    }
}

impl std::fmt::Display for JsonPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print::print(self))
    }
}
