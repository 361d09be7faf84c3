//! Windows: `OVER`, the `WINDOW` clause, and frames.
//!
//! SQLite computes the frames, with the limits that this has: the offset of a frame must be a literal or a parameter, and
//! `RANGE` with an offset needs a key whose storage form is the number itself. All else is refused with 0A000.

use sqlparser::ast::{self, WindowFrameBound, WindowFrameUnits, WindowType};

use super::binder::Binder;
use super::tree::{Expr, Frame, FrameBound, Node, SortBy, SortKey, Window};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse;

impl Binder<'_> {
    /// `OVER …`.
    pub(crate) fn window(&mut self, over: &WindowType) -> Result<Window, SqlError> {
        match over {
            WindowType::NamedWindow(name) => self.named_window(name),
            WindowType::WindowSpec(spec) => self.window_spec(spec),
        }
    }

    fn named_window(&mut self, ident: &ast::Ident) -> Result<Window, SqlError> {
        let name = Self::name(ident);
        let at = self.span_start(ident.span);
        let found = self.scope().windows.iter().find(|(it, _)| *it == name);
        found.map(|(_, window)| window.clone()).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist"))
                .at(at.position())
        })
    }

    /// A window's definition.
    pub(crate) fn window_spec(&mut self, spec: &ast::WindowSpec) -> Result<Window, SqlError> {
        let ast::WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
        let mut window = match window_name {
            Some(name) => {
                let named = self.named_window(name)?;
                require_extensible(&named, name, spec)
                    .map_err(|error| error.at(self.span_start(name.span).before().position()))?;
                named
            }
            None => Window::default(),
        };
        let outer = self.scope().calls.no_windows.replace("window definitions");
        let mut excluded = None;
        for expr in partition_by {
            if let ast::Expr::Identifier(mark) = expr
                && let Some(what) = mark.value.strip_prefix(parse::rewrite::EXCLUDE)
            {
                excluded = exclusion(what);
                continue;
            }
            let expr = self.expr(expr)?;
            let expr = if expr.is_unknown() { self.implicit(expr, Oid::TEXT)? } else { expr };
            window.partition_by.push(expr);
        }
        if !order_by.is_empty() {
            window.order_by = self.sort_keys(order_by)?;
        }
        if let Some(frame) = window_frame {
            window.frame =
                Some(Frame { exclude: excluded, ..self.frame(frame, &window.order_by)? });
        }
        self.scope().calls.no_windows = outer;
        Ok(window)
    }

    fn frame(&mut self, frame: &ast::WindowFrame, keys: &[SortKey]) -> Result<Frame, SqlError> {
        let ast::WindowFrame { units, start_bound, end_bound } = frame;
        require_frame_order(start_bound, end_bound.as_ref())?;
        if *units == WindowFrameUnits::Groups && keys.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause"));
        }
        let units_name = match units {
            WindowFrameUnits::Rows => "ROWS",
            WindowFrameUnits::Range => "RANGE",
            WindowFrameUnits::Groups => "GROUPS",
        };
        let start = self.frame_bound(start_bound, *units, keys, "starting")?;
        let end = match end_bound {
            Some(bound) => Some(self.frame_bound(bound, *units, keys, "ending")?),
            None => None,
        };
        Ok(Frame { units: units_name, start, end, exclude: None })
    }

    fn frame_bound(
        &mut self,
        bound: &WindowFrameBound,
        units: WindowFrameUnits,
        keys: &[SortKey],
        which: &str,
    ) -> Result<FrameBound, SqlError> {
        let mut bind = |offset: &Option<Box<ast::Expr>>| {
            let Some(offset) = offset else { return Ok(None) };
            let offset = self.expr(offset)?;
            let offset = match units {
                WindowFrameUnits::Range => self.range_offset(offset, keys)?,
                WindowFrameUnits::Rows | WindowFrameUnits::Groups => {
                    self.implicit(offset, Oid::INT8)?
                }
            };
            require_offset(&offset, units, which)?;
            Ok(Some(offset))
        };
        Ok(match bound {
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Preceding(offset) => FrameBound::Preceding(bind(offset)?),
            WindowFrameBound::Following(offset) => FrameBound::Following(bind(offset)?),
        })
    }

    /// The offset of a `RANGE` frame, of a type that SQLite can add to the key.
    fn range_offset(&mut self, offset: Expr, keys: &[SortKey]) -> Result<Expr, SqlError> {
        let [SortKey { by: SortBy::Expr(key), .. }] = keys else {
            return Err(windowing(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        };
        match self.types.base(key.type_oid) {
            Oid::INT2 | Oid::INT4 | Oid::INT8 => {
                let integer =
                    matches!(offset.type_oid, Oid::UNKNOWN | Oid::INT2 | Oid::INT4 | Oid::INT8);
                if integer {
                    return self.implicit(offset, Oid::INT8);
                }
            }
            Oid::FLOAT4 | Oid::FLOAT8 => {
                return match offset.node {
                    Node::Literal(Datum::Text(text)) => {
                        self.input_literal(text, Oid::FLOAT8, -1, offset.at)
                    }
                    node => self.implicit(Expr { node, ..offset }, Oid::FLOAT8),
                };
            }
            _ => {}
        }
        let (key, found) = (self.types.format(key.type_oid), self.types.format(offset.type_oid));
        Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!(
                "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {key} and \
                 offset type {found}"
            ),
        )
        .at(offset.at.position()))
    }
}

/// What a window frame excludes, as the parser has marked it.
fn exclusion(what: &str) -> Option<&'static str> {
    ["CURRENT ROW", "GROUP", "TIES", "NO OTHERS"].into_iter().find(|it| *it == what)
}

/// Whether a key of `PARTITION BY` is a mark of the parser's.
fn is_exclusion(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(mark) if mark.value.starts_with(parse::rewrite::EXCLUDE))
}

fn windowing(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::WINDOWING_ERROR, message)
}

/// Requires that a definition that starts from a named window says nothing that the window says already.
fn require_extensible(
    named: &Window,
    name: &ast::Ident,
    spec: &ast::WindowSpec,
) -> Result<(), SqlError> {
    let name = Binder::name(name);
    if spec.partition_by.iter().any(|it| !is_exclusion(it)) {
        return Err(windowing(format!("cannot override PARTITION BY clause of window \"{name}\"")));
    }
    if !spec.order_by.is_empty() && !named.order_by.is_empty() {
        return Err(windowing(format!("cannot override ORDER BY clause of window \"{name}\"")));
    }
    if named.frame.is_none() {
        return Ok(());
    }
    let error = windowing(format!("cannot copy window \"{name}\" because it has a frame clause"));
    let bare = spec.order_by.is_empty() && spec.window_frame.is_none();
    Err(if bare { error.with_hint("Omit the parentheses in this OVER clause.") } else { error })
}

/// Requires the start of a frame to be no later than its end, as far as their kinds tell.
fn require_frame_order(
    start: &WindowFrameBound,
    end: Option<&WindowFrameBound>,
) -> Result<(), SqlError> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let end = end.unwrap_or(&CurrentRow);
    Err(windowing(match (start, end) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Preceding(None)) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Preceding(_)) => "frame starting from current row cannot have preceding rows",
        (Following(_), Preceding(_) | CurrentRow) => {
            "frame starting from following row cannot have preceding rows"
        }
        (Preceding(_) | CurrentRow | Following(_), _) => return Ok(()),
    }))
}

/// Requires an offset to be one that SQLite takes: constant, not NULL and not negative.
fn require_offset(offset: &Expr, units: WindowFrameUnits, which: &str) -> Result<(), SqlError> {
    let negative = match &offset.node {
        Node::Parameter(_) => false,
        Node::Literal(Datum::Null) => {
            let message = format!("frame {which} offset must not be null");
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        Node::Literal(Datum::Integer(value)) => *value < 0,
        Node::Literal(Datum::Real(value)) => *value < 0.0,
        _ => {
            return Err(SqlError::unsupported(
                "a frame offset that is neither a literal nor a parameter",
            ));
        }
    };
    if !negative {
        return Ok(());
    }
    let message = match units {
        WindowFrameUnits::Range => {
            "invalid preceding or following size in window function".to_owned()
        }
        WindowFrameUnits::Rows | WindowFrameUnits::Groups => {
            format!("frame {which} offset must not be negative")
        }
    };
    Err(SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message))
}
