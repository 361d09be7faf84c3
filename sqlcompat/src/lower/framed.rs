//! Window functions over frames that SQLite has not: a call of `trellis_framed`, which `functions::framed` describes.

use std::fmt::Write as _;

use super::expression::Lowering;
use super::literal::quote_text;
use crate::bind::tree::{Aggregate, Expr, Frame, FrameBound, SortBy, SortKey, Window};
use crate::builtin::{FunctionKind, implementation_name};
use crate::error::SqlError;
use crate::functions::has_frames;

impl Lowering<'_> {
    /// Writes a function over such a frame; false if it looks at no frame at all, as `rank` does not.
    ///
    /// # Errors
    /// 0A000 for an aggregate that is not implemented.
    pub(super) fn framed(&mut self, call: &Aggregate, over: &Window) -> Result<bool, SqlError> {
        let Some(frame) = over.frame.as_ref().filter(|frame| frame.kept) else { return Ok(false) };
        let name = match call.row.name {
            name @ ("first_value" | "last_value" | "nth_value") => name.to_owned(),
            _ if call.row.kind == FunctionKind::Window => return Ok(false),
            "count" => "trellis_count".to_owned(),
            _ => implementation_name(call.row),
        };
        if !has_frames(&name) {
            let message = format!("the aggregate {} over this window frame", call.row.name);
            return Err(SqlError::unsupported(message));
        }
        let text = specification(&name, frame, &over.order_by, call.filter.is_some());
        self.push(format_args!("trellis_framed({}", quote_text(&text)));
        for bound in [Some(&frame.start), frame.end.as_ref()] {
            self.out.push_str(", ");
            match bound.and_then(offset) {
                Some(offset) => self.expr(offset)?,
                None => self.out.push_str("NULL"),
            }
        }
        for key in &over.order_by {
            if let SortBy::Expr(expr) = &key.by {
                self.out.push_str(", ");
                self.expr(expr)?;
            }
        }
        for argument in call.filter.iter().chain(&call.arguments) {
            self.out.push_str(", ");
            self.expr(argument)?;
        }
        for oid in &call.type_arguments {
            self.push(format_args!(", {oid}"));
        }
        self.out.push(')');
        let whole = Frame {
            units: "ROWS",
            start: FrameBound::Preceding(None),
            end: Some(FrameBound::Following(None)),
            exclude: None,
            kept: false,
        };
        self.window(&Window { frame: Some(whole), ..over.clone() })?;
        Ok(true)
    }
}

fn offset(bound: &FrameBound) -> Option<&Expr> {
    match bound {
        FrameBound::CurrentRow => None,
        FrameBound::Preceding(offset) | FrameBound::Following(offset) => offset.as_ref(),
    }
}

/// The frame as the function reads it.
fn specification(name: &str, frame: &Frame, keys: &[SortKey], filtered: bool) -> String {
    let bound = |bound: &FrameBound| match bound {
        FrameBound::CurrentRow => "CURRENT ROW",
        FrameBound::Preceding(None) | FrameBound::Following(None) => "UNBOUNDED",
        FrameBound::Preceding(Some(_)) => "PRECEDING",
        FrameBound::Following(Some(_)) => "FOLLOWING",
    };
    let end = frame.end.as_ref().map_or("CURRENT ROW", bound);
    let exclude = frame.exclude.unwrap_or_default();
    let mut text = format!("{name}|{}|{}|{end}|{exclude}|", frame.units, bound(&frame.start));
    for key in keys {
        if let SortBy::Expr(expr) = &key.by {
            let (descending, first) = (u8::from(key.descending), u8::from(key.nulls_first));
            // Writing to a String cannot fail.
            let _ = write!(text, "{}:{descending}:{first},", expr.type_oid);
        }
    }
    text.push_str(if filtered { "|1" } else { "|0" });
    text
}
