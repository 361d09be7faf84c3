//! Aggregates over numbers and booleans: sums, averages, variances, extremes, bits.
//!
//! Each is an [`Accumulator`] whose rows can be taken out again in the order they came, so that all work over moving window
//! frames. Sums of integers and numerics are exact; those of floats are re-added when a row leaves, since floating-point
//! subtraction would leave a residue.

use std::cmp::Ordering;
use std::collections::VecDeque;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::num_traits::Signed;

use super::call::{boolean, float, text};
use super::ordering;
use super::{Accumulator, AggregateFunction, Call};
use crate::datum::{Datum, DatumRef};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::types::failure;
use crate::types::interval::Interval;
use crate::types::numeric::{Decimal, Numeric};
use crate::types::numeric_math;

type Answer = Result<Datum, SqlError>;

/// Sum of integers, up to all of `int8`, and their number.
#[derive(Default)]
struct IntegerSum {
    sum: i128,
    rows: i64,
    kind: IntegerResult,
}

/// What an [`IntegerSum`] answers.
#[derive(Clone, Copy, Default)]
enum IntegerResult {
    #[default]
    Bigint,
    Numeric,
    Average,
}

impl IntegerSum {
    fn count(&mut self, call: &Call, sign: i64) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.sum += i128::from(call.i64(0)?) * i128::from(sign);
            self.rows += sign;
        }
        Ok(())
    }
}

impl Accumulator for IntegerSum {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, 1)
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, -1)
    }

    fn finish(&self, _: &Call) -> Answer {
        if self.rows == 0 {
            return Ok(Datum::Null);
        }
        let sum = || Numeric::Finite(Decimal::new(BigInt::from(self.sum), 0));
        Ok(match self.kind {
            IntegerResult::Bigint => Datum::Integer(
                i64::try_from(self.sum).ok().ok_or_else(|| failure::out_of_range("bigint"))?,
            ),
            IntegerResult::Numeric => text(self.sum.to_string()),
            IntegerResult::Average => text(sum().divide(&Numeric::from(self.rows))?.to_string()),
        })
    }
}

/// What a [`NumericSum`] or [`FloatSum`] answers.
#[derive(Clone, Copy, Default, PartialEq)]
enum Statistic {
    #[default]
    Sum,
    Average,
    VarianceSample,
    VariancePopulation,
    DeviationSample,
    DeviationPopulation,
}

/// Sums of numerics and of their squares, with counts of the special values.
#[derive(Default)]
struct NumericSum {
    sum: Option<Decimal>,
    squares: Option<Decimal>,
    rows: i64,
    not_numbers: i64,
    infinities: i64,
    negative_infinities: i64,
    /// Largest scale seen; the sum keeps it.
    scale: u32,
    statistic: Statistic,
}

impl NumericSum {
    fn count(&mut self, call: &Call, sign: i64) -> Result<(), SqlError> {
        let value = match call.datum(0) {
            DatumRef::Null => return Ok(()),
            DatumRef::Integer(value) => Numeric::from(value),
            _ => call.numeric(0)?,
        };
        self.rows += sign;
        let value = match value {
            Numeric::NaN => {
                self.not_numbers += sign;
                return Ok(());
            }
            Numeric::Infinity => {
                self.infinities += sign;
                return Ok(());
            }
            Numeric::NegativeInfinity => {
                self.negative_infinities += sign;
                return Ok(());
            }
            Numeric::Finite(value) => value,
        };
        self.scale = self.scale.max(value.scale);
        let signed = if sign < 0 { value.negate() } else { value.clone() };
        let sum = self.sum.take().unwrap_or_else(Decimal::zero);
        self.sum = Some(sum.add(&signed));
        if !matches!(self.statistic, Statistic::Sum | Statistic::Average) {
            let squares = self.squares.take().unwrap_or_else(Decimal::zero);
            self.squares = Some(squares.add(&value.multiply(&signed)));
        }
        Ok(())
    }

    /// NaN or an infinity, if the special values decide the result.
    fn special(&self) -> Option<Datum> {
        let answer =
            if self.not_numbers > 0 || (self.infinities > 0 && self.negative_infinities > 0) {
                "NaN"
            } else if self.infinities > 0 {
                "Infinity"
            } else if self.negative_infinities > 0 {
                "-Infinity"
            } else {
                return None;
            };
        let sums = matches!(self.statistic, Statistic::Sum | Statistic::Average);
        Some(text(if sums { answer } else { "NaN" }))
    }

    /// Variance or deviation, as PostgreSQL computes it: (N·Σx² − (Σx)²) / (N·(N − 1 or N)).
    fn spread(&self) -> Answer {
        let sample =
            matches!(self.statistic, Statistic::VarianceSample | Statistic::DeviationSample);
        let zero = Decimal::zero();
        let rows = Decimal::from_i64(self.rows);
        let sum = self.sum.as_ref().unwrap_or(&zero);
        let squares = self.squares.as_ref().unwrap_or(&zero);
        let numerator = squares.multiply(&rows).subtract(&sum.multiply(sum));
        if !numerator.coefficient.is_positive() {
            return Ok(text("0"));
        }
        let divisor =
            rows.multiply(&Decimal::from_i64(if sample { self.rows - 1 } else { self.rows }));
        let scale = numerator.quotient_scale(&divisor);
        let variance = numerator.divide(&divisor, scale).ok_or_else(failure::division_by_zero)?;
        if matches!(self.statistic, Statistic::VarianceSample | Statistic::VariancePopulation) {
            return Ok(text(variance.to_string()));
        }
        Ok(text(numeric_math::root_to(&variance, scale).to_string()))
    }
}

impl Accumulator for NumericSum {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, 1)
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, -1)
    }

    fn finish(&self, _: &Call) -> Answer {
        let sample =
            matches!(self.statistic, Statistic::VarianceSample | Statistic::DeviationSample);
        if self.rows == 0 || (sample && self.rows < 2) {
            return Ok(Datum::Null);
        }
        if let Some(special) = self.special() {
            return Ok(special);
        }
        let sum = || self.sum.clone().unwrap_or_else(Decimal::zero);
        Ok(match self.statistic {
            Statistic::Sum => text(Numeric::Finite(sum()).to_string()),
            Statistic::Average => {
                text(Numeric::Finite(sum()).divide(&Numeric::from(self.rows))?.to_string())
            }
            _ => return self.spread(),
        })
    }
}

/// Sums and squared deviations of floats by Youngs and Cramer's update, as PostgreSQL has it.
#[derive(Clone, Copy, Default)]
struct Moments {
    rows: f64,
    sum: f64,
    deviations: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.rows += 1.0;
        self.sum += value;
        if self.rows > 1.0 {
            let distance = value * self.rows - self.sum;
            self.deviations += distance * distance / (self.rows * (self.rows - 1.0));
        } else if !value.is_finite() {
            self.deviations = f64::NAN;
        }
    }
}

/// Floats with one of the statistics. The values are kept: eight bytes a row buy exact window frames.
#[derive(Default)]
struct FloatSum {
    moments: Moments,
    window: VecDeque<f64>,
    single: bool,
    statistic: Statistic,
}

impl Accumulator for FloatSum {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            let value = call.f64(0)?;
            self.window.push_back(value);
            let sum_before = self.moments.sum;
            self.moments.add(value);
            let overflowed =
                self.moments.sum.is_infinite() && value.is_finite() && sum_before.is_finite();
            if overflowed {
                return Err(SqlError::new(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    "value out of range: overflow",
                ));
            }
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.window.pop_front();
            self.moments = Moments::default();
            for value in &self.window {
                self.moments.add(*value);
            }
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        let Moments { rows, sum, deviations } = self.moments;
        let sample =
            matches!(self.statistic, Statistic::VarianceSample | Statistic::DeviationSample);
        if rows == 0.0 || (sample && rows < 2.0) {
            return Ok(Datum::Null);
        }
        #[expect(clippy::cast_possible_truncation, reason = "sum(float4) is a float4")]
        Ok(float(match self.statistic {
            Statistic::Sum if self.single => f64::from(sum as f32),
            Statistic::Sum => sum,
            Statistic::Average => sum / rows,
            Statistic::VarianceSample => deviations / (rows - 1.0),
            Statistic::VariancePopulation => deviations / rows,
            Statistic::DeviationSample => (deviations / (rows - 1.0)).sqrt(),
            Statistic::DeviationPopulation => (deviations / rows).sqrt(),
        }))
    }
}

/// Two-argument statistics of floats.
#[derive(Clone, Copy, PartialEq)]
enum Regression {
    Count,
    Sxx,
    Syy,
    Sxy,
    AverageX,
    AverageY,
    R2,
    Slope,
    Intercept,
    CovariancePopulation,
    CovarianceSample,
    Correlation,
}

/// Pairs (y, x) in the frame.
struct Pairs {
    pairs: VecDeque<(f64, f64)>,
    regression: Regression,
}

impl Accumulator for Pairs {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) && !call.is_null(1) {
            self.pairs.push_back((call.f64(0)?, call.f64(1)?));
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) && !call.is_null(1) {
            self.pairs.pop_front();
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        let (mut n, mut sx, mut sxx, mut sy, mut syy, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (y, x) in &self.pairs {
            n += 1.0;
            sx += x;
            sy += y;
            if n > 1.0 {
                let (dx, dy) = (x * n - sx, y * n - sy);
                let scale = 1.0 / (n * (n - 1.0));
                sxx += dx * dx * scale;
                syy += dy * dy * scale;
                sxy += dx * dy * scale;
            } else {
                // A first value that is not finite leaves no distance from it.
                let not_finite = |value: &f64| !value.is_finite();
                sxx = if not_finite(x) { f64::NAN } else { sxx };
                syy = if not_finite(y) { f64::NAN } else { syy };
                sxy = if not_finite(x) || not_finite(y) { f64::NAN } else { sxy };
            }
        }
        if self.regression == Regression::Count {
            return Ok(Datum::Integer(i64::try_from(self.pairs.len()).unwrap_or(i64::MAX)));
        }
        let least = if self.regression == Regression::CovarianceSample { 2.0 } else { 1.0 };
        if n < least {
            return Ok(Datum::Null);
        }
        let needs_x =
            matches!(self.regression, Regression::Slope | Regression::Intercept | Regression::R2);
        let flat = (needs_x && sxx == 0.0)
            || (self.regression == Regression::Correlation && (sxx == 0.0 || syy == 0.0));
        if flat {
            return Ok(Datum::Null);
        }
        Ok(float(match self.regression {
            Regression::Count => n,
            Regression::Sxx => sxx,
            Regression::Syy => syy,
            Regression::Sxy => sxy,
            Regression::AverageX => sx / n,
            Regression::AverageY => sy / n,
            Regression::R2 if syy == 0.0 => 1.0,
            Regression::R2 => sxy * sxy / (sxx * syy),
            Regression::Slope => sxy / sxx,
            Regression::Intercept => (sy - sx * sxy / sxx) / n,
            Regression::CovariancePopulation => sxy / n,
            Regression::CovarianceSample => sxy / (n - 1.0),
            Regression::Correlation => sxy / (sxx * syy).sqrt(),
        }))
    }
}

/// `sum` and `avg` of intervals.
#[derive(Default)]
struct IntervalSum {
    sum: Interval,
    rows: i64,
    average: bool,
}

impl Accumulator for IntervalSum {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.sum = self.sum.plus(Interval::from_storage(call.text(0)?)?)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.sum = self.sum.plus(Interval::from_storage(call.text(0)?)?.negate()?)?;
            self.rows -= 1;
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        if self.rows == 0 {
            return Ok(Datum::Null);
        }
        #[expect(clippy::cast_precision_loss, reason = "PostgreSQL divides in double precision")]
        let value =
            if self.average { self.sum.multiply(1.0 / self.rows as f64)? } else { self.sum };
        Ok(text(value.to_storage()))
    }
}

/// `bool_and` and `bool_or`: counts of each value.
#[derive(Default)]
struct Booleans {
    rows: i64,
    trues: i64,
    any: bool,
}

impl Booleans {
    fn count(&mut self, call: &Call, sign: i64) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.rows += sign;
            self.trues += i64::from(call.bool(0)?) * sign;
        }
        Ok(())
    }
}

impl Accumulator for Booleans {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, 1)
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        self.count(call, -1)
    }

    fn finish(&self, _: &Call) -> Answer {
        Ok(match self.rows {
            0 => Datum::Null,
            _ if self.any => boolean(self.trues > 0),
            rows => boolean(self.trues == rows),
        })
    }
}

/// `bit_and`, `bit_or`, `bit_xor` of integers.
struct Bits {
    values: VecDeque<i64>,
    combine: fn(i64, i64) -> i64,
}

impl Accumulator for Bits {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.values.push_back(call.i64(0)?);
        }
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            self.values.pop_front();
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        Ok(self.values.iter().copied().reduce(self.combine).map_or(Datum::Null, Datum::Integer))
    }
}

/// `min` and `max`: the values that could still become the extreme, in order, each with its row number.
struct Extreme {
    candidates: VecDeque<(u64, Datum)>,
    stepped: u64,
    retracted: u64,
    wanted: Ordering,
    /// 0: the type comes as the second argument.
    type_oid: Oid,
}

impl Extreme {
    fn of(type_oid: Oid, wanted: Ordering) -> Box<dyn Accumulator> {
        let candidates = VecDeque::new();
        Box::new(Self { candidates, stepped: 0, retracted: 0, wanted, type_oid })
    }
}

impl Accumulator for Extreme {
    fn step(&mut self, call: &Call) -> Result<(), SqlError> {
        if call.is_null(0) {
            return Ok(());
        }
        let type_oid = if self.type_oid == Oid(0) { call.oid(1)? } else { self.type_oid };
        let value = call.datum(0);
        while let Some((_, last)) = self.candidates.back() {
            let order =
                call.session.with_types(|cx| ordering::compare(type_oid, value, last.as_ref(), cx));
            if order != self.wanted {
                break;
            }
            self.candidates.pop_back();
        }
        self.candidates.push_back((self.stepped, value.to_datum()));
        self.stepped += 1;
        Ok(())
    }

    fn retract(&mut self, call: &Call) -> Result<(), SqlError> {
        if !call.is_null(0) {
            if self.candidates.front().is_some_and(|(row, _)| *row == self.retracted) {
                self.candidates.pop_front();
            }
            self.retracted += 1;
        }
        Ok(())
    }

    fn finish(&self, _: &Call) -> Answer {
        Ok(self.candidates.front().map_or(Datum::Null, |(_, value)| value.clone()))
    }
}

macro_rules! integer_sum {
    ($name:literal, $kind:ident) => {
        AggregateFunction {
            name: $name,
            start: || Box::new(IntegerSum { kind: IntegerResult::$kind, ..IntegerSum::default() }),
        }
    };
}

macro_rules! numeric_sum {
    ($name:literal, $statistic:ident) => {
        AggregateFunction {
            name: $name,
            start: || {
                Box::new(NumericSum { statistic: Statistic::$statistic, ..NumericSum::default() })
            },
        }
    };
}

macro_rules! float_sum {
    ($name:literal, $statistic:ident, $single:literal) => {
        AggregateFunction {
            name: $name,
            start: || {
                Box::new(FloatSum {
                    statistic: Statistic::$statistic,
                    single: $single,
                    ..FloatSum::default()
                })
            },
        }
    };
}

/// The statistic for all number types.
macro_rules! spread {
    ($statistic:ident, $int2:literal, $int4:literal, $int8:literal, $numeric:literal, $float4:literal, $float8:literal) => {
        &[
            numeric_sum!($int2, $statistic),
            numeric_sum!($int4, $statistic),
            numeric_sum!($int8, $statistic),
            numeric_sum!($numeric, $statistic),
            float_sum!($float4, $statistic, false),
            float_sum!($float8, $statistic, false),
        ]
    };
}

macro_rules! pairs {
    ($name:literal, $regression:ident) => {
        AggregateFunction {
            name: $name,
            start: || {
                Box::new(Pairs { pairs: VecDeque::new(), regression: Regression::$regression })
            },
        }
    };
}

macro_rules! bits {
    ($name:literal, $combine:expr) => {
        AggregateFunction {
            name: $name,
            start: || Box::new(Bits { values: VecDeque::new(), combine: $combine }),
        }
    };
}

macro_rules! extremes {
    ($min:literal, $max:literal, $oid:expr) => {
        &[
            AggregateFunction { name: $min, start: || Extreme::of($oid, Ordering::Less) },
            AggregateFunction { name: $max, start: || Extreme::of($oid, Ordering::Greater) },
        ]
    };
}

/// Statistics per number type.
pub(super) const SPREADS: &[&[AggregateFunction]] = &[
    spread!(
        VarianceSample,
        "pg_agg_variance_int2",
        "pg_agg_variance_int4",
        "pg_agg_variance_int8",
        "pg_agg_variance_numeric",
        "pg_agg_variance_float4",
        "pg_agg_variance_float8"
    ),
    spread!(
        VarianceSample,
        "pg_agg_var_samp_int2",
        "pg_agg_var_samp_int4",
        "pg_agg_var_samp_int8",
        "pg_agg_var_samp_numeric",
        "pg_agg_var_samp_float4",
        "pg_agg_var_samp_float8"
    ),
    spread!(
        VariancePopulation,
        "pg_agg_var_pop_int2",
        "pg_agg_var_pop_int4",
        "pg_agg_var_pop_int8",
        "pg_agg_var_pop_numeric",
        "pg_agg_var_pop_float4",
        "pg_agg_var_pop_float8"
    ),
    spread!(
        DeviationSample,
        "pg_agg_stddev_int2",
        "pg_agg_stddev_int4",
        "pg_agg_stddev_int8",
        "pg_agg_stddev_numeric",
        "pg_agg_stddev_float4",
        "pg_agg_stddev_float8"
    ),
    spread!(
        DeviationSample,
        "pg_agg_stddev_samp_int2",
        "pg_agg_stddev_samp_int4",
        "pg_agg_stddev_samp_int8",
        "pg_agg_stddev_samp_numeric",
        "pg_agg_stddev_samp_float4",
        "pg_agg_stddev_samp_float8"
    ),
    spread!(
        DeviationPopulation,
        "pg_agg_stddev_pop_int2",
        "pg_agg_stddev_pop_int4",
        "pg_agg_stddev_pop_int8",
        "pg_agg_stddev_pop_numeric",
        "pg_agg_stddev_pop_float4",
        "pg_agg_stddev_pop_float8"
    ),
    extremes!("pg_agg_min_int2", "pg_agg_max_int2", Oid::INT2),
    extremes!("pg_agg_min_int4", "pg_agg_max_int4", Oid::INT4),
    extremes!("pg_agg_min_int8", "pg_agg_max_int8", Oid::INT8),
    extremes!("pg_agg_min_oid", "pg_agg_max_oid", Oid::OID),
    extremes!("pg_agg_min_float4", "pg_agg_max_float4", Oid::FLOAT4),
    extremes!("pg_agg_min_float8", "pg_agg_max_float8", Oid::FLOAT8),
    extremes!("pg_agg_min_numeric", "pg_agg_max_numeric", Oid::NUMERIC),
    extremes!("pg_agg_min_text", "pg_agg_max_text", Oid::TEXT),
    extremes!("pg_agg_min_bpchar", "pg_agg_max_bpchar", Oid::BPCHAR),
    extremes!("pg_agg_min_date", "pg_agg_max_date", Oid::DATE),
    extremes!("pg_agg_min_time", "pg_agg_max_time", Oid::TIME),
    extremes!("pg_agg_min_timetz", "pg_agg_max_timetz", Oid::TIMETZ),
    extremes!("pg_agg_min_timestamp", "pg_agg_max_timestamp", Oid::TIMESTAMP),
    extremes!("pg_agg_min_timestamptz", "pg_agg_max_timestamptz", Oid::TIMESTAMPTZ),
    extremes!("pg_agg_min_interval", "pg_agg_max_interval", Oid::INTERVAL),
    extremes!("pg_agg_min_inet", "pg_agg_max_inet", Oid::INET),
    extremes!("pg_agg_min_anyarray", "pg_agg_max_anyarray", Oid(0)),
    extremes!("pg_agg_min_anyenum", "pg_agg_max_anyenum", Oid(0)),
];

/// The other aggregates.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    integer_sum!("pg_agg_sum_int2", Bigint),
    integer_sum!("pg_agg_sum_int4", Bigint),
    integer_sum!("pg_agg_sum_int8", Numeric),
    integer_sum!("pg_agg_avg_int2", Average),
    integer_sum!("pg_agg_avg_int4", Average),
    integer_sum!("pg_agg_avg_int8", Average),
    numeric_sum!("pg_agg_sum_numeric", Sum),
    numeric_sum!("pg_agg_avg_numeric", Average),
    float_sum!("pg_agg_sum_float4", Sum, true),
    float_sum!("pg_agg_sum_float8", Sum, false),
    float_sum!("pg_agg_avg_float4", Average, false),
    float_sum!("pg_agg_avg_float8", Average, false),
    AggregateFunction { name: "pg_agg_sum_interval", start: || Box::new(IntervalSum::default()) },
    AggregateFunction {
        name: "pg_agg_avg_interval",
        start: || Box::new(IntervalSum { average: true, ..IntervalSum::default() }),
    },
    AggregateFunction { name: "pg_agg_bool_and_bool", start: || Box::new(Booleans::default()) },
    AggregateFunction { name: "pg_agg_every_bool", start: || Box::new(Booleans::default()) },
    AggregateFunction {
        name: "pg_agg_bool_or_bool",
        start: || Box::new(Booleans { any: true, ..Booleans::default() }),
    },
    bits!("pg_agg_bit_and_int2", |a, b| a & b),
    bits!("pg_agg_bit_and_int4", |a, b| a & b),
    bits!("pg_agg_bit_and_int8", |a, b| a & b),
    bits!("pg_agg_bit_or_int2", |a, b| a | b),
    bits!("pg_agg_bit_or_int4", |a, b| a | b),
    bits!("pg_agg_bit_or_int8", |a, b| a | b),
    bits!("pg_agg_bit_xor_int2", |a, b| a ^ b),
    bits!("pg_agg_bit_xor_int4", |a, b| a ^ b),
    bits!("pg_agg_bit_xor_int8", |a, b| a ^ b),
    pairs!("pg_agg_regr_count_float8_float8", Count),
    pairs!("pg_agg_regr_sxx_float8_float8", Sxx),
    pairs!("pg_agg_regr_syy_float8_float8", Syy),
    pairs!("pg_agg_regr_sxy_float8_float8", Sxy),
    pairs!("pg_agg_regr_avgx_float8_float8", AverageX),
    pairs!("pg_agg_regr_avgy_float8_float8", AverageY),
    pairs!("pg_agg_regr_r2_float8_float8", R2),
    pairs!("pg_agg_regr_slope_float8_float8", Slope),
    pairs!("pg_agg_regr_intercept_float8_float8", Intercept),
    pairs!("pg_agg_covar_pop_float8_float8", CovariancePopulation),
    pairs!("pg_agg_covar_samp_float8_float8", CovarianceSample),
    pairs!("pg_agg_corr_float8_float8", Correlation),
];
