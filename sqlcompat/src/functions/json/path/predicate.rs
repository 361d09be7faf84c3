//! Truth values in a path: true, false, and unknown (`None`), which is what an error or things that do not compare give.

use std::cmp::Ordering;

use super::run::{Outcome, Run};
use super::value::Value;
use crate::error::SqlError;
use crate::types::jsonpath::{BinaryOperator, Chain, Step, UnaryOperator};
use crate::types::numeric;

/// True, false or unknown; an error ends the statement.
type Truth = Result<Option<bool>, SqlError>;

impl Run<'_> {
    /// The truth value of a predicate.
    pub(super) fn truth(&mut self, step: &Step, value: &Value) -> Truth {
        match step {
            Step::Binary(BinaryOperator::And, left, right) => {
                let left = self.truth_of(left, value)?;
                if left == Some(false) {
                    return Ok(left);
                }
                let right = self.truth_of(right, value)?;
                Ok(if right == Some(true) { left } else { right })
            }
            Step::Binary(BinaryOperator::Or, left, right) => {
                let left = self.truth_of(left, value)?;
                if left == Some(true) {
                    return Ok(left);
                }
                let right = self.truth_of(right, value)?;
                Ok(if right == Some(false) { left } else { right })
            }
            Step::Binary(BinaryOperator::StartsWith, left, right) => {
                self.any_pair((left, value), Some(right), false, |_, whole, initial| {
                    Ok(match (whole, initial) {
                        (Value::String(whole), Some(Value::String(initial))) => {
                            Some(whole.starts_with(&**initial))
                        }
                        _ => None,
                    })
                })
            }
            Step::Binary(operator, left, right) => {
                self.any_pair((left, value), Some(right), true, |run, left, right| {
                    right.map_or(Ok(None), |right| run.compare(*operator, left, right))
                })
            }
            Step::Unary(UnaryOperator::Not, inner) => {
                Ok(self.truth_of(inner, value)?.map(|it| !it))
            }
            Step::Unary(UnaryOperator::IsUnknown, inner) => {
                Ok(Some(self.truth_of(inner, value)?.is_none()))
            }
            Step::Unary(_, inner) => self.exists(inner, value),
            Step::LikeRegex(inner, pattern, flags) => {
                self.any_pair((inner, value), None, false, |run, item, _| match item {
                    Value::String(text) => {
                        crate::functions::matches_path_pattern(run.call, pattern, *flags, text)
                            .map(Some)
                    }
                    _ => Ok(None),
                })
            }
            _ => Ok(None),
        }
    }

    fn truth_of(&mut self, chain: &Chain, value: &Value) -> Truth {
        match chain.first() {
            Some(step) => self.truth(step, value),
            None => Ok(None),
        }
    }

    fn exists(&mut self, inner: &Chain, value: &Value) -> Truth {
        if self.is_strict() {
            let found = self.silently(|run| run.operand(inner, value, false))?;
            return Ok(found.map(|items| !items.is_empty()));
        }
        let outcome = self.silently(|run| run.chain(inner, value, None))?;
        Ok(match outcome {
            Outcome::Found => Some(true),
            Outcome::NotFound => Some(false),
            Outcome::Failed => None,
        })
    }

    /// Whether some pair of items holds: in lax mode the first that does decides, in strict mode all must be known.
    fn any_pair(
        &mut self,
        (left, value): (&Chain, &Value),
        right: Option<&Chain>,
        unwrap_right: bool,
        holds: impl Fn(&Self, &Value, Option<&Value>) -> Truth,
    ) -> Truth {
        let Some(lefts) = self.silently(|run| run.operand(left, value, true))? else {
            return Ok(None);
        };
        let rights: Vec<Option<Value>> = match right {
            None => vec![None],
            Some(right) => match self.silently(|run| run.operand(right, value, unwrap_right))? {
                None => return Ok(None),
                Some(items) => items.into_iter().map(Some).collect(),
            },
        };
        let (mut found, mut unknown) = (false, false);
        for left in &lefts {
            for right in &rights {
                match holds(self, left, right.as_ref())? {
                    None if self.is_strict() => return Ok(None),
                    None => unknown = true,
                    Some(true) if self.is_lax() => return Ok(Some(true)),
                    Some(true) => found = true,
                    Some(false) => {}
                }
            }
        }
        Ok(if found {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }

    fn compare(&self, operator: BinaryOperator, left: &Value, right: &Value) -> Truth {
        let order = match (left, right) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Number(left), Value::Number(right)) => numeric::compare_text(left, right),
            (Value::String(left), Value::String(right)) => left.cmp(right),
            (Value::Moment(left), Value::Moment(right)) => {
                let order = self
                    .call
                    .session
                    .with_types(|cx| left.compare(*right, self.zone_use, &cx.settings.time_zone))?;
                let Some(order) = order else { return Ok(None) };
                order
            }
            // null differs from anything else, and has no order with it.
            (Value::Null, _) | (_, Value::Null) => {
                return Ok(Some(operator == BinaryOperator::NotEqual));
            }
            _ => return Ok(None),
        };
        Ok(Some(match operator {
            BinaryOperator::Equal => order.is_eq(),
            BinaryOperator::NotEqual => order.is_ne(),
            BinaryOperator::Less => order.is_lt(),
            BinaryOperator::LessOrEqual => order.is_le(),
            BinaryOperator::Greater => order.is_gt(),
            _ => order.is_ge(),
        }))
    }
}
