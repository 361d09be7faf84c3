//! Text with a type, and how it is cast.

use super::Deparser;
use crate::bind::resolve::{CoercionMethod, cast_error, plan_coercion};
use crate::builtin::CastContext;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::types::codec::to_text;
use crate::types::{TypeContext, decode_text};

/// A part of an expression as text that needs no further parentheses.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The text.
    pub(super) text: String,
    /// Its type.
    pub(super) type_oid: Oid,
    /// Its type modifier, -1 for none.
    pub(super) typmod: i32,
    /// What it is, where that matters for how it is cast.
    pub(super) form: Form,
    /// Names a column somewhere.
    pub(super) names_column: bool,
}

/// What a piece is.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// A column.
    Column,
    /// A relation's row, which a select list tells the type of.
    WholeRow,
    /// A literal without type, with its value; `None` is NULL.
    Unknown(Option<String>),
    /// A constant of a known type, with its text without `::type`.
    Constant(String),
    /// `ARRAY[…]`, with its elements before any was coerced.
    Array(Vec<Piece>),
    /// `ROW(…)`, with its fields.
    Row(Vec<Piece>),
    /// A call of a function.
    Call,
    /// A query as a value.
    Query,
    /// Anything else.
    Other,
}

impl Piece {
    /// An expression of a type, made of others.
    pub(super) fn made(text: String, type_oid: Oid, of: &[&Piece]) -> Self {
        let names_column = of.iter().any(|piece| piece.names_column);
        Self { text, type_oid, typmod: -1, form: Form::Other, names_column }
    }

    /// An untyped literal.
    pub(super) fn unknown(value: Option<String>) -> Self {
        let text = value.as_deref().map_or_else(|| "NULL::unknown".to_owned(), quote_literal);
        let form = Form::Unknown(value);
        Self { text, type_oid: Oid::UNKNOWN, typmod: -1, form, names_column: false }
    }
}

/// Appends text; before one that starts a line of its own, blanks go.
pub(super) fn append(out: &mut String, text: &str) {
    if text.starts_with('\n') {
        out.truncate(out.trim_end_matches(' ').len());
    }
    out.push_str(text);
}

/// Strings joined by a separator, as [`append`] does.
pub(super) fn join<'t>(texts: impl IntoIterator<Item = &'t str>, separator: &str) -> String {
    let mut out = String::new();
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        append(&mut out, text);
    }
    out
}

/// A string literal, quotes doubled.
pub(super) fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Deparser<'_> {
    /// Makes a piece one of `target`, as an operator or function asks for.
    pub(super) fn implicit(&self, piece: Piece, target: Oid) -> Result<Piece, SqlError> {
        self.cast(piece, target, -1, CastContext::Implicit)
    }

    /// Makes a piece one of `target` with a type modifier.
    pub(super) fn cast(
        &self,
        piece: Piece,
        target: Oid,
        typmod: i32,
        context: CastContext,
    ) -> Result<Piece, SqlError> {
        if matches!(target, Oid::ANY | Oid::UNKNOWN) {
            return Ok(piece);
        }
        match &piece.form {
            Form::Unknown(value) => return self.typed_literal(value.as_deref(), target, typmod),
            Form::Array(elements) if context == CastContext::Explicit => {
                if let Some(element) = self.types.base_element(target) {
                    return self.cast_elements(elements.clone(), element, target, typmod);
                }
            }
            Form::Constant(bare) if piece.type_oid == target && typmod >= 0 => {
                let name = self.types.format_with_typmod(target, typmod);
                return Ok(Piece {
                    text: format!("{bare}::{name}"),
                    typmod,
                    form: Form::Other,
                    ..piece
                });
            }
            Form::Column
            | Form::WholeRow
            | Form::Constant(_)
            | Form::Array(_)
            | Form::Row(_)
            | Form::Call
            | Form::Query
            | Form::Other => {}
        }
        if piece.type_oid == target && (typmod < 0 || typmod == piece.typmod) {
            return Ok(piece);
        }
        let from = (piece.type_oid, piece.typmod);
        let Some(coercion) = plan_coercion(self.types, from, (target, typmod), context) else {
            return Err(cast_error(self.types, piece.type_oid, target));
        };
        let called = matches!(coercion.method, CoercionMethod::Function(_));
        let mut text = "(".to_owned();
        append(&mut text, &piece.text);
        text.push_str(")::");
        text.push_str(&self.types.format_with_typmod(target, typmod));
        let form = if called { Form::Call } else { Form::Other };
        Ok(Piece { text, type_oid: target, typmod, form, ..piece })
    }

    /// `ARRAY[…]::type[]`: each element is cast.
    fn cast_elements(
        &self,
        elements: Vec<Piece>,
        element: Oid,
        target: Oid,
        typmod: i32,
    ) -> Result<Piece, SqlError> {
        let names_column = elements.iter().any(|piece| piece.names_column);
        let cast = |piece: Piece| {
            let goal = if matches!(piece.form, Form::Array(_)) { target } else { element };
            self.cast(piece, goal, typmod, CastContext::Explicit)
        };
        let cast = elements.into_iter().map(cast).collect::<Result<Vec<_>, _>>()?;
        let mut text =
            format!("ARRAY[{}]", join(cast.iter().map(|piece| piece.text.as_str()), ", "));
        if cast.is_empty() {
            text.push_str("::");
            text.push_str(&self.types.format(target));
        }
        Ok(Piece { text, type_oid: target, typmod, form: Form::Other, names_column })
    }

    /// An untyped literal as a constant of a type, in the type's own output form.
    fn typed_literal(
        &self,
        value: Option<&str>,
        target: Oid,
        typmod: i32,
    ) -> Result<Piece, SqlError> {
        let base = self.types.base(target);
        let constant = match value {
            Some(value) => self.constant(&self.canonical(base, value)?, base),
            None => {
                let text = format!("NULL::{}", self.types.format(base));
                let form = Form::Constant("NULL".to_owned());
                Piece { text, type_oid: base, typmod: -1, form, names_column: false }
            }
        };
        if base == target && typmod < 0 {
            return Ok(constant);
        }
        self.cast(constant, target, typmod, CastContext::Explicit)
    }

    /// The output form of a literal. What depends on the clock stays as it was written; so do names of objects.
    fn canonical(&self, base: Oid, value: &str) -> Result<String, SqlError> {
        let clock = ["now", "today", "tomorrow", "yesterday"];
        let lower = value.to_ascii_lowercase();
        let is_name = builtin_name_type(base);
        if is_name
            || (self.types.category(base) == b'D' && clock.iter().any(|it| lower.contains(it)))
        {
            return Ok(value.to_owned());
        }
        let cx = TypeContext { settings: self.cx.settings, names: self.cx.catalog, now_us: 0 };
        let datum = decode_text(base, -1, value, &cx)?;
        to_text(base, datum.as_ref(), &cx)
    }

    /// A constant of a known type. The forms of int4, numeric and bool need no `::type` where they read back as such.
    pub(super) fn constant(&self, value: &str, type_oid: Oid) -> Piece {
        let digits = value.starts_with(|first: char| first.is_ascii_digit());
        let bare = match type_oid {
            Oid::INT4 => digits,
            Oid::NUMERIC => digits && value.contains(['.', 'e', 'E']),
            Oid::BOOL => true,
            _ => false,
        };
        let unlabelled = match type_oid {
            Oid::BOOL => if value.starts_with('t') { "true" } else { "false" }.to_owned(),
            _ if bare => value.to_owned(),
            _ => quote_literal(value),
        };
        let text = if bare {
            unlabelled.clone()
        } else {
            format!("{unlabelled}::{}", self.types.format_with_typmod(type_oid, -1))
        };
        let form = Form::Constant(unlabelled);
        Piece { text, type_oid, typmod: -1, form, names_column: false }
    }
}

/// Types whose values are names of objects.
fn builtin_name_type(oid: Oid) -> bool {
    matches!(
        oid,
        Oid::REGCLASS
            | Oid::REGTYPE
            | Oid::REGPROC
            | Oid::REGPROCEDURE
            | Oid::REGOPER
            | Oid::REGOPERATOR
            | Oid::REGNAMESPACE
            | Oid::REGROLE
            | Oid::REGCOLLATION
            | Oid::REGCONFIG
            | Oid::REGDICTIONARY
    )
}
