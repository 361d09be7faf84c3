//! Steps of a path, one applied to what the one before it gave.
//!
//! # Bounds
//! [`DEPTH_MAX`] steps and levels within each other; more is 54001.

use super::value::Value;
use crate::error::{SqlError, SqlState};
use crate::functions::Call;
use crate::types::json::Json;
use crate::types::jsonpath::{BinaryOperator, Chain, JsonPath, Method, Mode, Step, UnaryOperator};
use crate::types::numeric::{Decimal, Numeric};

/// Deepest nesting of steps.
const DEPTH_MAX: usize = 1000;

/// What an object's `id` adds for each value that a path has looked into.
const BASE_ID_FACTOR: i64 = 10_000_000_000;

/// The level of elements and member values, as [`Run::descend`] counts.
const ELEMENTS: (u32, Option<u32>, Option<u32>) = (1, Some(1), Some(1));

/// What came of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is an item.
    Found,
    /// There is none.
    NotFound,
    /// The path failed, and nobody wants to know why.
    Failed,
}

/// What a step answers; an error ends the statement.
pub(super) type Answer = Result<Outcome, SqlError>;

/// Where items go; without it, the first one ends the search.
pub(super) type Sink<'s> = Option<&'s mut Vec<Value>>;

/// Whether a failure of the path ends the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    Raised,
    Silent,
}

/// Whether dates may be compared by the session's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZoneUse {
    Allowed,
    Refused,
}

/// One evaluation of a path.
pub(super) struct Run<'a> {
    pub(super) call: &'a Call<'a>,
    mode: Mode,
    /// Structural errors are nothing: always in lax mode, and below `**`.
    forgiving: bool,
    pub(super) failures: Failures,
    pub(super) zone_use: ZoneUse,
    root: Value,
    variables: Option<Value>,
    /// `@`.
    current: Value,
    /// Number of the value that offsets are within: 0 the root, 1 the variables, then what `.keyvalue()` made.
    base_id: i64,
    next_base_id: i64,
    /// Size of the array whose subscript is computed.
    array_size: Option<usize>,
    depth: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        call: &'a Call<'a>,
        path: &JsonPath,
        root: Json,
        variables: Option<Json>,
        failures: Failures,
        zone_use: ZoneUse,
    ) -> Self {
        let root = Value::new(root);
        Self {
            call,
            mode: path.mode,
            forgiving: path.mode == Mode::Lax,
            failures,
            zone_use,
            current: root.clone(),
            root,
            next_base_id: if variables.is_some() { 2 } else { 1 },
            variables: variables.map(Value::new),
            base_id: 0,
            array_size: None,
            depth: 0,
        }
    }

    /// Runs the path on the root.
    pub(super) fn start(&mut self, path: &JsonPath, sink: Sink<'_>) -> Answer {
        let root = self.root.clone();
        if !self.is_strict() || sink.is_some() {
            return self.chain(&path.chain, &root, sink);
        }
        // A strict path has no item as long as an error may come behind it.
        let mut found = Vec::new();
        let outcome = self.chain(&path.chain, &root, Some(&mut found))?;
        Ok(if outcome == Outcome::Failed { outcome } else { outcome_of(!found.is_empty()) })
    }

    pub(super) fn is_strict(&self) -> bool {
        self.mode == Mode::Strict
    }

    pub(super) fn is_lax(&self) -> bool {
        self.mode == Mode::Lax
    }

    /// Whether structural errors are nothing here.
    pub(super) fn is_forgiving(&self) -> bool {
        self.forgiving
    }

    /// A failure of the path.
    pub(super) fn fail(&self, error: impl FnOnce() -> SqlError) -> Answer {
        match self.failures {
            Failures::Raised => Err(error()),
            Failures::Silent => Ok(Outcome::Failed),
        }
    }

    /// A failure, unless structural errors are nothing.
    fn misfit(&self, state: &[u8; 5], message: &str) -> Answer {
        if self.forgiving {
            return Ok(Outcome::NotFound);
        }
        self.fail(|| SqlError::new(SqlState(*state), message))
    }

    /// Runs with failures that are silent.
    pub(super) fn silently<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let failures = std::mem::replace(&mut self.failures, Failures::Silent);
        let result = work(self);
        self.failures = failures;
        result
    }

    /// Applies a chain to a value, an array standing for its elements where the mode says so.
    pub(super) fn chain(&mut self, steps: &[Step], value: &Value, sink: Sink<'_>) -> Answer {
        self.chain_on(steps, value, sink, self.is_lax())
    }

    fn chain_on(&mut self, steps: &[Step], value: &Value, sink: Sink<'_>, unwrap: bool) -> Answer {
        let Some((step, rest)) = steps.split_first() else {
            return Ok(keep(value, sink));
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        let answer = match value {
            Value::Array(_) if unwrap && takes_elements(step) => {
                self.descend(steps, value, sink, ELEMENTS, false)
            }
            _ => self.step(step, rest, value, sink),
        };
        self.depth -= 1;
        answer
    }

    fn step(&mut self, step: &Step, rest: &[Step], value: &Value, sink: Sink<'_>) -> Answer {
        match step {
            Step::Null => self.chain(rest, &Value::Null, sink),
            Step::Bool(it) => self.chain(rest, &Value::Bool(*it), sink),
            Step::Number(text) => self.chain(rest, &Value::Number(text.as_str().into()), sink),
            Step::String(text) => self.chain(rest, &Value::String(text.as_str().into()), sink),
            Step::Variable(name) => self.variable(name, rest, sink),
            Step::Root => {
                let (root, base_id) = (self.root.clone(), std::mem::take(&mut self.base_id));
                let answer = self.chain(rest, &root, sink);
                self.base_id = base_id;
                answer
            }
            Step::Current => {
                let current = self.current.clone();
                self.chain(rest, &current, sink)
            }
            Step::Last => {
                let last = self.array_size.map_or(0, |size| i64::try_from(size).unwrap_or(0));
                self.chain(rest, &Value::Number((last - 1).to_string().into()), sink)
            }
            Step::Key(name) => self.key(name, rest, value, sink),
            Step::AnyKey => match value {
                Value::Object(_) => self.descend(rest, value, sink, ELEMENTS, self.is_lax()),
                _ => self.misfit(
                    b"2203C",
                    "jsonpath wildcard member accessor can only be applied to an object",
                ),
            },
            Step::AnyElement => match value {
                Value::Array(_) => self.descend(rest, value, sink, ELEMENTS, self.is_lax()),
                _ if self.is_lax() => self.chain(rest, value, sink),
                _ => self.misfit(
                    b"22039",
                    "jsonpath wildcard array accessor can only be applied to an array",
                ),
            },
            Step::Elements(subscripts) => self.subscripts(subscripts, rest, value, sink),
            Step::AnyLevel(first, last) => self.levels((*first, *last), rest, value, sink),
            Step::Filter(predicate) => self.filter(predicate, rest, value, sink),
            Step::Binary(operator, left, right) if operator.is_arithmetic() => {
                self.arithmetic(*operator, (left, right), rest, value, sink)
            }
            Step::Unary(operator @ (UnaryOperator::Plus | UnaryOperator::Minus), operand) => {
                self.sign(*operator, operand, rest, value, sink)
            }
            Step::Binary(..) | Step::Unary(..) | Step::LikeRegex(..) => {
                let truth = self.truth(step, value)?;
                self.chain(rest, &truth.map_or(Value::Null, Value::Bool), sink)
            }
            Step::Method(method) => self.method(*method, rest, value, sink),
            Step::Datetime(template) => self.datetime(template.as_deref(), rest, value, sink),
        }
    }

    fn variable(&mut self, name: &str, rest: &[Step], sink: Sink<'_>) -> Answer {
        let found = match &self.variables {
            Some(Value::Object(object)) => object
                .members
                .iter()
                .find(|(key, _)| &**key == name)
                .map(|(_, value)| value.clone()),
            _ => None,
        };
        let Some(value) = found else {
            let message = format!("could not find jsonpath variable \"{name}\"");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        };
        let base_id = std::mem::replace(&mut self.base_id, 1);
        let answer = self.chain(rest, &value, sink);
        self.base_id = base_id;
        answer
    }

    fn key(&mut self, name: &str, rest: &[Step], value: &Value, sink: Sink<'_>) -> Answer {
        let Value::Object(object) = value else {
            return self
                .misfit(b"2203A", "jsonpath member accessor can only be applied to an object");
        };
        match object.members.iter().find(|(key, _)| &**key == name) {
            Some((_, found)) => self.chain(rest, found, sink),
            None => self.misfit(b"2203A", &format!("JSON object does not contain key \"{name}\"")),
        }
    }

    fn filter(
        &mut self,
        predicate: &Chain,
        rest: &[Step],
        value: &Value,
        sink: Sink<'_>,
    ) -> Answer {
        let outer = std::mem::replace(&mut self.current, value.clone());
        let truth = match predicate.first() {
            Some(step) => self.truth(step, value),
            None => Ok(None),
        };
        self.current = outer;
        if truth? == Some(true) { self.chain(rest, value, sink) } else { Ok(Outcome::NotFound) }
    }

    fn subscripts(
        &mut self,
        subscripts: &[(Chain, Option<Chain>)],
        rest: &[Step],
        value: &Value,
        sink: Sink<'_>,
    ) -> Answer {
        let one = [value.clone()];
        let items: &[Value] = match value {
            Value::Array(array) => &array.items,
            _ if self.is_lax() => &one,
            _ => {
                return self
                    .misfit(b"22039", "jsonpath array accessor can only be applied to an array");
            }
        };
        let outer = self.array_size.replace(items.len());
        let answer = self.ranges(subscripts, rest, (items, value), sink);
        self.array_size = outer;
        answer
    }

    fn ranges(
        &mut self,
        subscripts: &[(Chain, Option<Chain>)],
        rest: &[Step],
        (items, value): (&[Value], &Value),
        mut sink: Sink<'_>,
    ) -> Answer {
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let mut outcome = Outcome::NotFound;
        for (from, to) in subscripts {
            let Some(from) = self.index(from, value)? else { return Ok(Outcome::Failed) };
            let to = match to {
                Some(to) => self.index(to, value)?,
                None => Some(from),
            };
            let Some(to) = to else { return Ok(Outcome::Failed) };
            if !self.forgiving && (from < 0 || from > to || to >= size) {
                return self.misfit(b"22033", "jsonpath array subscript is out of bounds");
            }
            outcome = Outcome::NotFound;
            let start = usize::try_from(from.max(0)).unwrap_or(0);
            let end = usize::try_from(to.min(size - 1) + 1).unwrap_or(0);
            for item in items.get(start..end.max(start)).unwrap_or(&[]) {
                outcome = self.chain(rest, item, sink.as_deref_mut())?;
                if ends(outcome, sink.is_some()) {
                    return Ok(outcome);
                }
            }
        }
        Ok(outcome)
    }

    /// The number that a subscript is; `None` for a failure.
    fn index(&mut self, steps: &Chain, value: &Value) -> Result<Option<i64>, SqlError> {
        let mut found = Vec::new();
        if self.chain(steps, value, Some(&mut found))? == Outcome::Failed {
            return Ok(None);
        }
        let failed = |answer: Answer| answer.map(|_| None);
        let [Value::Number(text)] = &found[..] else {
            return failed(self.fail(|| {
                let message = "jsonpath array subscript is not a single numeric value";
                SqlError::new(SqlState(*b"22033"), message)
            }));
        };
        let number = Numeric::parse(text)?;
        let index = number.finite().map(|it| it.truncate(0)).as_ref().and_then(Decimal::to_i64);
        match index.filter(|it| i32::try_from(*it).is_ok()) {
            Some(index) => Ok(Some(index)),
            None => failed(self.fail(|| {
                let message = "jsonpath array subscript is out of integer range";
                SqlError::new(SqlState(*b"22033"), message)
            })),
        }
    }

    fn levels(
        &mut self,
        (first, last): (Option<u32>, Option<u32>),
        rest: &[Step],
        value: &Value,
        mut sink: Sink<'_>,
    ) -> Answer {
        let mut outcome = Outcome::NotFound;
        if first == Some(0) {
            let forgiving = std::mem::replace(&mut self.forgiving, true);
            let answer = self.chain(rest, value, sink.as_deref_mut());
            self.forgiving = forgiving;
            outcome = answer?;
            if outcome == Outcome::Found && sink.is_none() {
                return Ok(outcome);
            }
        }
        if !value.is_container() {
            return Ok(outcome);
        }
        let forgiving = std::mem::replace(&mut self.forgiving, true);
        let answer = self.descend(rest, value, sink, (1, first, last), self.is_lax());
        self.forgiving = forgiving;
        answer
    }

    /// Goes on with what lies in the container at the levels `first` to `last`, of which `None` is the deepest.
    fn descend(
        &mut self,
        steps: &[Step],
        value: &Value,
        mut sink: Sink<'_>,
        (level, first, last): (u32, Option<u32>, Option<u32>),
        unwrap: bool,
    ) -> Answer {
        let mut outcome = Outcome::NotFound;
        if last.is_some_and(|last| level > last) {
            return Ok(outcome);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SqlError::too_complex());
        }
        for child in value.children() {
            let is_wanted = match first {
                Some(first) => level >= first,
                None => last.is_none() && !child.is_container(),
            };
            if is_wanted {
                outcome = self.chain_on(steps, child, sink.as_deref_mut(), unwrap)?;
                if ends(outcome, sink.is_some()) {
                    break;
                }
            }
            if child.is_container() && last.is_none_or(|last| level < last) {
                let bounds = (level + 1, first, last);
                outcome = self.descend(steps, child, sink.as_deref_mut(), bounds, unwrap)?;
                if ends(outcome, sink.is_some()) {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(outcome)
    }

    /// The items of an operand, arrays among them taken apart where the mode says so; `None` for a failure.
    pub(super) fn operand(
        &mut self,
        steps: &Chain,
        value: &Value,
        unwrap: bool,
    ) -> Result<Option<Vec<Value>>, SqlError> {
        let mut found = Vec::new();
        if self.chain(steps, value, Some(&mut found))? == Outcome::Failed {
            return Ok(None);
        }
        if !unwrap || self.is_strict() {
            return Ok(Some(found));
        }
        let mut items = Vec::with_capacity(found.len());
        for item in found {
            match item {
                Value::Array(array) => items.extend(array.items.iter().cloned()),
                other => items.push(other),
            }
        }
        Ok(Some(items))
    }

    fn arithmetic(
        &mut self,
        operator: BinaryOperator,
        (left, right): (&Chain, &Chain),
        rest: &[Step],
        value: &Value,
        sink: Sink<'_>,
    ) -> Answer {
        let Some(left) = self.operand(left, value, true)? else { return Ok(Outcome::Failed) };
        let Some(right) = self.operand(right, value, true)? else { return Ok(Outcome::Failed) };
        let not_single = |side: &str| {
            let message = format!(
                "{side} operand of jsonpath operator {} is not a single numeric value",
                operator.spelling()
            );
            SqlError::new(SqlState(*b"22038"), message)
        };
        let [Value::Number(left)] = &left[..] else { return self.fail(|| not_single("left")) };
        let [Value::Number(right)] = &right[..] else { return self.fail(|| not_single("right")) };
        let (left, right) = (Numeric::parse(left)?, Numeric::parse(right)?);
        let result = match operator {
            BinaryOperator::Add => left.add(&right),
            BinaryOperator::Subtract => left.subtract(&right),
            BinaryOperator::Multiply => left.multiply(&right),
            BinaryOperator::Divide => left.divide(&right),
            _ => left.remainder(&right),
        };
        match result {
            Ok(result) => self.chain(rest, &Value::Number(result.to_string().into()), sink),
            Err(error) => self.fail(|| error),
        }
    }

    fn sign(
        &mut self,
        operator: UnaryOperator,
        operand: &Chain,
        rest: &[Step],
        value: &Value,
        mut sink: Sink<'_>,
    ) -> Answer {
        let Some(items) = self.operand(operand, value, true)? else { return Ok(Outcome::Failed) };
        let is_minus = operator == UnaryOperator::Minus;
        let mut outcome = Outcome::NotFound;
        for item in items {
            let Value::Number(text) = item else {
                if sink.is_none() && rest.is_empty() {
                    continue;
                }
                let sign = if is_minus { '-' } else { '+' };
                return self.fail(|| {
                    let message =
                        format!("operand of unary jsonpath operator {sign} is not a numeric value");
                    SqlError::new(SqlState(*b"2203B"), message)
                });
            };
            let number = if is_minus {
                Value::Number(Numeric::parse(&text)?.negate().to_string().into())
            } else {
                Value::Number(text)
            };
            match self.chain(rest, &number, sink.as_deref_mut())? {
                Outcome::Failed => return Ok(Outcome::Failed),
                Outcome::Found if sink.is_none() => return Ok(Outcome::Found),
                Outcome::Found => outcome = Outcome::Found,
                Outcome::NotFound => {}
            }
        }
        Ok(outcome)
    }

    /// What an offset within the value at hand adds to, for an object's `id`.
    pub(super) fn base(&self) -> i64 {
        self.base_id * BASE_ID_FACTOR
    }

    /// Goes on with a value made anew.
    pub(super) fn chain_on_new(&mut self, rest: &[Step], value: &Value, sink: Sink<'_>) -> Answer {
        let base_id = std::mem::replace(&mut self.base_id, self.next_base_id);
        self.next_base_id += 1;
        let answer = self.chain(rest, value, sink);
        self.base_id = base_id;
        answer
    }
}

/// Whether a step on an array may stand for the step on each element.
fn takes_elements(step: &Step) -> bool {
    match step {
        Step::Method(method) => !matches!(method, Method::Size | Method::Type),
        _ => matches!(step, Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Datetime(_)),
    }
}

/// Whether a loop over items ends: at a failure, and at the first item where nobody collects them.
pub(super) fn ends(outcome: Outcome, collecting: bool) -> bool {
    outcome == Outcome::Failed || outcome == Outcome::Found && !collecting
}

/// The outcome of a search.
pub(super) fn outcome_of(found: bool) -> Outcome {
    if found { Outcome::Found } else { Outcome::NotFound }
}

fn keep(value: &Value, sink: Sink<'_>) -> Outcome {
    if let Some(sink) = sink {
        sink.push(value.clone());
    }
    Outcome::Found
}
