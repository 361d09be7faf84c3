//! `.size()`, `.keyvalue()` and the other methods.

use std::sync::Arc;

use super::moment;
use super::run::{Answer, Outcome, Run, Sink, ends};
use super::value::{Members, Value};
use crate::error::{SqlError, SqlState};
use crate::types::float;
use crate::types::json::Json;
use crate::types::jsonpath::{Method, Step};
use crate::types::numeric::{Decimal, Numeric};

/// 22036: the item is not a number that the method takes.
const NOT_A_NUMBER: SqlState = SqlState(*b"22036");

/// Significant digits of a `float8` as `numeric`.
const FLOAT_DIGITS: i32 = 15;

impl Run<'_> {
    /// Applies a method.
    pub(super) fn method(
        &mut self,
        method: Method,
        rest: &[Step],
        value: &Value,
        sink: Sink<'_>,
    ) -> Answer {
        match method {
            Method::Abs => self.rounded(method, rest, value, sink, |it| {
                if it.compare(&Decimal::zero()).is_lt() { it.negate() } else { it.clone() }
            }),
            Method::Ceiling => self.rounded(method, rest, value, sink, Decimal::ceil),
            Method::Floor => self.rounded(method, rest, value, sink, Decimal::floor),
            Method::Double => self.double(rest, value, sink),
            Method::KeyValue => self.key_value(rest, value, sink),
            Method::Size => self.size(rest, value, sink),
            Method::Type => self.chain(rest, &Value::String(value.type_name().into()), sink),
        }
    }

    fn rounded(
        &mut self,
        method: Method,
        rest: &[Step],
        value: &Value,
        sink: Sink<'_>,
        compute: fn(&Decimal) -> Decimal,
    ) -> Answer {
        let Value::Number(text) = value else {
            return self.fail(|| {
                let message = format!(
                    "jsonpath item method .{}() can only be applied to a numeric value",
                    method.name()
                );
                SqlError::new(NOT_A_NUMBER, message)
            });
        };
        let result = match Numeric::parse(text)?.finite() {
            Some(number) => Numeric::Finite(compute(number)).to_string(),
            None => text.to_string(),
        };
        self.chain(rest, &Value::Number(result.into()), sink)
    }

    fn double(&mut self, rest: &[Step], value: &Value, sink: Sink<'_>) -> Answer {
        let parsed = |text: &str| float::parse_f64(text).ok().filter(|it| it.is_finite());
        let failure = match value {
            Value::Number(text) if parsed(text).is_some() => {
                return self.chain(rest, value, sink);
            }
            Value::Number(_) => {
                "numeric argument of jsonpath item method .double() is out of range for type \
                 double precision"
            }
            Value::String(text) => match parsed(text) {
                Some(number) => {
                    let number = Numeric::from_f64(number, FLOAT_DIGITS).to_string();
                    return self.chain(rest, &Value::Number(number.into()), sink);
                }
                None => {
                    "string argument of jsonpath item method .double() is not a valid \
                     representation of a double precision number"
                }
            },
            _ => "jsonpath item method .double() can only be applied to a string or numeric value",
        };
        self.fail(|| SqlError::new(NOT_A_NUMBER, failure))
    }

    fn size(&mut self, rest: &[Step], value: &Value, sink: Sink<'_>) -> Answer {
        let size = match value {
            Value::Array(array) => array.items.len(),
            _ if self.is_lax() => 1,
            _ if self.is_forgiving() => return Ok(Outcome::NotFound),
            _ => {
                return self.fail(|| {
                    SqlError::new(
                        SqlState(*b"22039"),
                        "jsonpath item method .size() can only be applied to an array",
                    )
                });
            }
        };
        self.chain(rest, &Value::Number(size.to_string().into()), sink)
    }

    /// Each member as an object of its own.
    fn key_value(&mut self, rest: &[Step], value: &Value, mut sink: Sink<'_>) -> Answer {
        let Value::Object(object) = value else {
            return self.fail(|| {
                SqlError::new(
                    SqlState(*b"2203C"),
                    "jsonpath item method .keyvalue() can only be applied to an object",
                )
            });
        };
        let Members { offset, members } = &**object;
        let id = Json::Number((offset + self.base()).to_string());
        let mut outcome = Outcome::NotFound;
        for (key, value) in members {
            if rest.is_empty() && sink.is_none() {
                return Ok(Outcome::Found);
            }
            let member = Value::new(Json::Object(vec![
                ("id".to_owned(), id.clone()),
                ("key".to_owned(), Json::String(key.to_string())),
                ("value".to_owned(), value.to_json()),
            ]));
            outcome = self.chain_on_new(rest, &member, sink.as_deref_mut())?;
            if ends(outcome, sink.is_some()) {
                break;
            }
        }
        Ok(outcome)
    }

    /// `.datetime()`.
    pub(super) fn datetime(
        &mut self,
        template: Option<&str>,
        rest: &[Step],
        value: &Value,
        sink: Sink<'_>,
    ) -> Answer {
        let Value::String(text) = value else {
            return self.fail(|| {
                SqlError::new(
                    SqlState(*b"22031"),
                    "jsonpath item method .datetime() can only be applied to a string",
                )
            });
        };
        let text = Arc::clone(text);
        match moment::read(&text, template) {
            Ok(moment) => self.chain(rest, &Value::Moment(moment), sink),
            Err(error) => self.fail(|| error),
        }
    }
}
