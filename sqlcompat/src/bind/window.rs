//! Windows: `OVER`, the `WINDOW` clause, and frames.
//!
//! SQLite computes the frames whose offsets are literals, in rows, in groups, or in the units of an integer key. The others the
//! function library does (`functions::framed`).

use sqlparser::ast::{self, WindowFrameBound, WindowFrameUnits, WindowType};

use super::binder::Binder;
use super::resolve::can_coerce;
use super::tree::{Aggregate, Expr, Frame, FrameBound, Node, RelationId, SortBy, SortKey, Window};
use crate::builtin::{CastContext, functions_by_name};
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
                Some(Frame { exclude: excluded, ..self.frame(frame, &mut window.order_by)? });
        }
        self.scope().calls.no_windows = outer;
        Ok(window)
    }

    fn frame(&mut self, frame: &ast::WindowFrame, keys: &mut [SortKey]) -> Result<Frame, SqlError> {
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
        let start = self.frame_bound(start_bound, *units, keys)?;
        let end = match end_bound {
            Some(bound) => Some(self.frame_bound(bound, *units, keys)?),
            None => None,
        };
        let offsets = [Some(&start), end.as_ref()].into_iter().flatten().filter_map(offset);
        let kept = offsets.into_iter().any(|offset| !is_native(offset, *units, keys));
        if kept && *units == WindowFrameUnits::Range {
            self.key_as_timestamp(keys)?;
        }
        Ok(Frame { units: units_name, start, end, exclude: None, kept })
    }

    fn frame_bound(
        &mut self,
        bound: &WindowFrameBound,
        units: WindowFrameUnits,
        keys: &[SortKey],
    ) -> Result<FrameBound, SqlError> {
        let mut bind = |offset: &Option<Box<ast::Expr>>| {
            let Some(offset) = offset else { return Ok(None) };
            let at = self.expr_start(offset);
            let bound = self.expr(offset)?.at(at);
            let offset = match units {
                WindowFrameUnits::Range => self.range_offset(bound, keys)?,
                WindowFrameUnits::Rows => self.count_offset(bound, "ROWS")?,
                WindowFrameUnits::Groups => self.count_offset(bound, "GROUPS")?,
            };
            Ok(Some(offset))
        };
        Ok(match bound {
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Preceding(offset) => FrameBound::Preceding(bind(offset)?),
            WindowFrameBound::Following(offset) => FrameBound::Following(bind(offset)?),
        })
    }

    /// The offset of a frame in rows or groups.
    fn count_offset(&mut self, offset: Expr, units: &str) -> Result<Expr, SqlError> {
        let (at, found) = (offset.at, offset.type_oid);
        self.require_no_columns(&offset, units)?;
        self.coerce(offset, Oid::INT8, -1, CastContext::Assignment).map_err(|error| {
            if error.state != SqlState::DATATYPE_MISMATCH {
                return error;
            }
            let found = self.types.format(found);
            let message = format!("argument of {units} must be type bigint, not type {found}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(at.position())
        })
    }

    /// 42P10 for an offset that reads a column of this level.
    fn require_no_columns(&mut self, offset: &Expr, units: &str) -> Result<(), SqlError> {
        let scope = self.scope();
        let mut place = None;
        let own: Vec<RelationId> = scope.relations.iter().map(|it| it.id).collect();
        offset.any(&mut |it| {
            if let Node::Column(id, _) = it.node
                && own.contains(&id)
            {
                place = Some(it.at);
            }
            place.is_some()
        });
        let Some(at) = place else { return Ok(()) };
        let message = format!("argument of {units} must not contain variables");
        Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(at.position()))
    }

    /// The offset of a `RANGE` frame, as the `in_range` function that the key's order has takes it.
    fn range_offset(&mut self, offset: Expr, keys: &[SortKey]) -> Result<Expr, SqlError> {
        let [SortKey { by: SortBy::Expr(key), .. }] = keys else {
            return Err(windowing(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        };
        self.require_no_columns(&offset, "RANGE")?;
        let (key_type, found, at) = (self.types.base(key.type_oid), offset.type_oid, offset.at);
        let declared = in_range_offsets(key_type);
        let fits = |declared| can_coerce(self.types, &[found], &[declared], CastContext::Implicit);
        let fitting: Vec<Oid> = declared.iter().copied().filter(|it| fits(*it)).collect();

        let preferred = if found == Oid::UNKNOWN { key_type } else { found };
        let refused = |what: &str, hint: Option<&'static str>| {
            // varchar sorts as text, whose the order is.
            let key = if key_type == Oid::VARCHAR { Oid::TEXT } else { key.type_oid };
            let key = self.types.format(key);
            let found = self.types.format(found);
            let types = if hint.is_some() { format!("{key} and offset type {found}") } else { key };
            let message =
                format!("RANGE with offset PRECEDING/FOLLOWING {what} for column type {types}");
            let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at.position());
            hint.map_or(error.clone(), |hint| error.with_hint(hint))
        };
        if declared.is_empty() {
            return Err(refused("is not supported", None));
        }
        let target = match &fitting[..] {
            [] => {
                let hint = "Cast the offset value to an appropriate type.";
                return Err(refused("is not supported", Some(hint)));
            }
            [only] => *only,
            several if several.contains(&preferred) => preferred,
            _ => {
                let hint = "Cast the offset value to the exact intended type.";
                return Err(refused("has multiple interpretations", Some(hint)));
            }
        };
        self.implicit(offset, target)
    }

    /// A date is added to as the timestamp of its midnight.
    fn key_as_timestamp(&mut self, keys: &mut [SortKey]) -> Result<(), SqlError> {
        for key in keys {
            if let SortBy::Expr(expr) = &mut key.by
                && self.types.base(expr.type_oid) == Oid::DATE
            {
                let date = std::mem::replace(expr, Expr::null());
                *expr = self.implicit(date, Oid::TIMESTAMP)?;
            }
        }
        Ok(())
    }
}

/// The types of offset that the orders of a type have `in_range` functions for (`pg_amproc`, `btree`, function 3).
fn in_range_offsets(key: Oid) -> &'static [Oid] {
    match key {
        Oid::INT2 | Oid::INT4 => &[Oid::INT2, Oid::INT4, Oid::INT8],
        Oid::INT8 => &[Oid::INT8],
        Oid::FLOAT4 | Oid::FLOAT8 => &[Oid::FLOAT8],
        Oid::NUMERIC => &[Oid::NUMERIC],
        Oid::DATE | Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ | Oid::INTERVAL => {
            &[Oid::INTERVAL]
        }
        _ => &[],
    }
}

/// The offset of a bound.
fn offset(bound: &FrameBound) -> Option<&Expr> {
    match bound {
        FrameBound::CurrentRow => None,
        FrameBound::Preceding(offset) | FrameBound::Following(offset) => offset.as_ref(),
    }
}

/// Whether SQLite counts this offset: one that is no more than a number, added to keys that are numbers.
fn is_native(offset: &Expr, units: WindowFrameUnits, keys: &[SortKey]) -> bool {
    let integer_key = |key: &SortKey| match &key.by {
        SortBy::Expr(key) => matches!(key.type_oid, Oid::INT2 | Oid::INT4),
        SortBy::Output(_) => false,
    };
    let counted = match offset.node {
        Node::Literal(Datum::Integer(value)) => (0..=i64::from(i32::MAX)).contains(&value),
        _ => false,
    };
    counted && (units != WindowFrameUnits::Range || keys.iter().all(integer_key))
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

/// `row_number() OVER (…)`.
pub(crate) fn row_number(over: Window) -> Option<Expr> {
    let call = Aggregate {
        row: functions_by_name("row_number").first()?,
        arguments: Vec::new(),
        type_arguments: Vec::new(),
        distinct: false,
        order_by: Vec::new(),
        filter: None,
        over: Some(over),
    };
    Some(Expr::new(Node::Aggregate(Box::new(call)), Oid::INT8))
}
