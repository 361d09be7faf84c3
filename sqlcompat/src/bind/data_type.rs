//! Type names of the syntax tree: `numeric(10,2)`, `timestamp(3) with time zone`, `mood[]`.

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, IntervalFields, ObjectName,
    TimezoneInfo,
};

use super::binder::Binder;
use crate::builtin;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::NameRole;
use crate::types::bit_string::BITS_MAX;

/// Bytes that a `varlena` header counts into the type modifiers of strings and numerics.
const HEADER: i32 = 4;
/// Longest declared length of a string.
const LENGTH_MAX: u64 = 10_485_760;
/// Highest precision of a numeric.
const NUMERIC_PRECISION_MAX: u64 = 1000;
/// Highest precision of times.
const TIME_PRECISION_MAX: u64 = 6;
/// Interval modifier: precision not given.
const INTERVAL_FULL_PRECISION: i32 = 0xFFFF;
/// Interval modifier: all fields.
const INTERVAL_FULL_RANGE: i32 = 0x7FFF;

impl Binder<'_> {
    /// The type and type modifier that a type name means.
    ///
    /// # Errors
    /// 42704 if there is no such type; 22023 for a modifier out of range; 0A000 for what PostgreSQL has no such type of.
    pub(crate) fn data_type(&self, data_type: &DataType) -> Result<(Oid, i32), SqlError> {
        let plain = |oid: Oid| Ok((oid, -1));
        match data_type {
            DataType::Character(length) | DataType::Char(length) => {
                let typmod = string_typmod("character", length.as_ref())?;
                Ok((Oid::BPCHAR, if typmod < 0 { HEADER + 1 } else { typmod }))
            }
            DataType::CharacterVarying(length)
            | DataType::CharVarying(length)
            | DataType::Varchar(length)
            | DataType::Nvarchar(length) => {
                Ok((Oid::VARCHAR, string_typmod("varchar", length.as_ref())?))
            }
            DataType::Uuid => plain(Oid::UUID),
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
                Ok((Oid::NUMERIC, numeric_typmod(info)?))
            }
            DataType::Float(info) => float(info),
            DataType::Int2(None) | DataType::SmallInt(None) => plain(Oid::INT2),
            DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => {
                plain(Oid::INT4)
            }
            DataType::Int8(None) | DataType::BigInt(None) => plain(Oid::INT8),
            DataType::Float4 | DataType::Real => plain(Oid::FLOAT4),
            DataType::Float8 | DataType::DoublePrecision => plain(Oid::FLOAT8),
            DataType::Bool | DataType::Boolean => plain(Oid::BOOL),
            DataType::Date => plain(Oid::DATE),
            DataType::Time(precision, zone) => {
                Ok((with_zone(zone, Oid::TIME, Oid::TIMETZ), time_typmod(*precision)))
            }
            DataType::Timestamp(precision, zone) => {
                Ok((with_zone(zone, Oid::TIMESTAMP, Oid::TIMESTAMPTZ), time_typmod(*precision)))
            }
            DataType::Interval { fields, precision } => {
                Ok((Oid::INTERVAL, interval_typmod(fields.as_ref(), *precision)))
            }
            DataType::JSON => plain(Oid::JSON),
            DataType::JSONB => plain(Oid::JSONB),
            DataType::Regclass => plain(Oid::REGCLASS),
            DataType::Text => plain(Oid::TEXT),
            DataType::Bytea => plain(Oid::BYTEA),
            DataType::Bit(length) => Ok((Oid::BIT, bit_typmod("bit", length.or(Some(1)))?)),
            DataType::BitVarying(length) | DataType::VarBit(length) => {
                Ok((Oid::VARBIT, bit_typmod("varbit", *length)?))
            }
            DataType::TsVector => plain(Oid::TSVECTOR),
            DataType::TsQuery => plain(Oid::TSQUERY),
            DataType::Trigger => plain(Oid::TRIGGER),
            DataType::Custom(name, modifiers) => self.named_type(name, modifiers),
            DataType::Array(element) => self.array_type(element),
            DataType::GeometricType(kind) => {
                let name = kind.to_string().to_ascii_lowercase();
                builtin::type_by_name(&name)
                    .map(|row| (row.oid, -1))
                    .ok_or_else(|| undefined_type(&name))
            }
            other => self.spelled_type(other),
        }
    }

    fn array_type(&self, element: &ArrayElemTypeDef) -> Result<(Oid, i32), SqlError> {
        let element = match element {
            ArrayElemTypeDef::SquareBracket(element, _)
            | ArrayElemTypeDef::Qualified(element, _) => element,
            ArrayElemTypeDef::None
            | ArrayElemTypeDef::AngleBracket(_)
            | ArrayElemTypeDef::Parenthesis(_) => {
                return Err(SqlError::unsupported("this spelling of an array type"));
            }
        };
        let (oid, typmod) = self.data_type(element)?;
        if self.types.element(oid).is_some() {
            return Ok((oid, typmod));
        }
        let array = self.types.array_of(oid).ok_or_else(|| {
            let name = self.types.format(oid);
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {name}"),
            )
        })?;
        Ok((array, typmod))
    }

    /// A type that sparser has a keyword for and PostgreSQL may have a user type of that name for.
    fn spelled_type(&self, data_type: &DataType) -> Result<(Oid, i32), SqlError> {
        let name = data_type.to_string().to_ascii_lowercase();
        self.types.lookup(None, &name).map(|oid| (oid, -1)).ok_or_else(|| undefined_type(&name))
    }

    fn named_type(&self, name: &ObjectName, modifiers: &[String]) -> Result<(Oid, i32), SqlError> {
        let (schema, local) = self.qualified(name)?;
        let unquoted = name.0.len() == 1 && !name.to_string().starts_with('"');
        let spelled = unquoted.then(|| builtin::sql_type(&local)).flatten();
        let found = spelled.or_else(|| self.types.lookup(schema.as_deref(), &local));
        let oid = found.or_else(|| serial(&local)).ok_or_else(|| {
            let shown = schema.map_or_else(|| local.clone(), |schema| format!("{schema}.{local}"));
            undefined_type(&shown).at(self.start_of(name).position())
        })?;
        let catalog = self.cx.catalog;
        let own =
            catalog.types.get(&oid).is_some_and(|it| it.name() == local && !it.is_multirange());
        if own || catalog.tables.values().any(|table| table.row_type_oid == oid) {
            self.note(name, NameRole::Type, oid);
        }
        Ok((oid, self.named_typmod(oid, modifiers)?))
    }

    /// Modifiers of a type written by its name, such as `pg_catalog.varchar(10)`.
    fn named_typmod(&self, oid: Oid, modifiers: &[String]) -> Result<i32, SqlError> {
        let numbers: Option<Vec<u64>> = modifiers.iter().map(|text| text.parse().ok()).collect();
        let numbers = numbers.ok_or_else(|| invalid_modifier(&self.types.format(oid)))?;
        match (oid, &numbers[..]) {
            (Oid::BPCHAR, []) => Ok(-1),
            (_, []) => Ok(-1),
            (Oid::BPCHAR | Oid::VARCHAR, [length]) => length_typmod("character", *length),
            (Oid::NUMERIC, [precision]) => numeric_typmod(&ExactNumberInfo::Precision(*precision)),
            (Oid::NUMERIC, [precision, scale]) => {
                let scale = i64::try_from(*scale).unwrap_or(i64::MAX);
                numeric_typmod(&ExactNumberInfo::PrecisionAndScale(*precision, scale))
            }
            (Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ, [precision]) => {
                Ok(time_typmod(Some(*precision)))
            }
            (Oid::INTERVAL, [precision]) => Ok(interval_typmod(None, Some(*precision))),
            (Oid::BIT, [length]) => bit_typmod("bit", Some(*length)),
            (Oid::VARBIT, [length]) => bit_typmod("varbit", Some(*length)),
            _ => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("type modifier is not allowed for type \"{}\"", self.types.format(oid)),
            )),
        }
    }
}

/// The `serial` pseudo-types, as the integers that they are.
fn serial(name: &str) -> Option<Oid> {
    match name {
        "smallserial" | "serial2" => Some(Oid::INT2),
        "serial" | "serial4" => Some(Oid::INT4),
        "bigserial" | "serial8" => Some(Oid::INT8),
        _ => None,
    }
}

fn undefined_type(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"))
}

fn invalid_modifier(name: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid type modifier for type {name}"),
    )
}

fn with_zone(zone: &TimezoneInfo, without: Oid, with: Oid) -> Oid {
    match zone {
        TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => without,
        TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => with,
    }
}

fn float(info: &ExactNumberInfo) -> Result<(Oid, i32), SqlError> {
    match info {
        ExactNumberInfo::None => Ok((Oid::FLOAT8, -1)),
        ExactNumberInfo::Precision(1..=24) => Ok((Oid::FLOAT4, -1)),
        ExactNumberInfo::Precision(25..=53) => Ok((Oid::FLOAT8, -1)),
        ExactNumberInfo::Precision(0) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "precision for type float must be at least 1 bit",
        )),
        ExactNumberInfo::Precision(_) | ExactNumberInfo::PrecisionAndScale(..) => {
            Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "precision for type float must be less than 54 bits",
            ))
        }
    }
}

fn string_typmod(name: &str, length: Option<&CharacterLength>) -> Result<i32, SqlError> {
    match length {
        None => Ok(-1),
        Some(CharacterLength::IntegerLength { length, unit: None }) => length_typmod(name, *length),
        Some(CharacterLength::IntegerLength { .. } | CharacterLength::Max) => {
            Err(SqlError::unsupported("this length of a string type"))
        }
    }
}

fn length_typmod(name: &str, length: u64) -> Result<i32, SqlError> {
    if length == 0 {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {name} must be at least 1"),
        ));
    }
    if length > LENGTH_MAX {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("length for type {name} cannot exceed {LENGTH_MAX}"),
        ));
    }
    Ok(i32::try_from(length).unwrap_or(i32::MAX - HEADER) + HEADER)
}

fn bit_typmod(name: &str, length: Option<u64>) -> Result<i32, SqlError> {
    let Some(length) = length else { return Ok(-1) };
    let out_of_bounds = |bound: String| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("length for type {name} {bound}"))
    };
    if length == 0 {
        return Err(out_of_bounds("must be at least 1".to_owned()));
    }
    let bounded = i32::try_from(length).ok().filter(|_| length <= BITS_MAX as u64);
    bounded.ok_or_else(|| out_of_bounds(format!("cannot exceed {BITS_MAX}")))
}

fn numeric_typmod(info: &ExactNumberInfo) -> Result<i32, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(-1),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=NUMERIC_PRECISION_MAX).contains(&precision) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}"),
        ));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC scale {scale} must be between -1000 and 1000"),
        ));
    }
    let precision = i32::try_from(precision).unwrap_or(i32::MAX);
    let scale = i32::try_from(scale).unwrap_or(0) & 0x7FF;
    Ok(((precision << 16) | scale) + HEADER)
}

fn time_typmod(precision: Option<u64>) -> i32 {
    precision.map_or(-1, |it| i32::try_from(it.min(TIME_PRECISION_MAX)).unwrap_or(-1))
}

/// PostgreSQL packs the fields of an interval as a bit set above its precision.
pub(crate) fn interval_typmod(fields: Option<&IntervalFields>, precision: Option<u64>) -> i32 {
    use crate::types::interval::typmod_field::{DAY, HOUR, MINUTE, MONTH, SECOND, YEAR};
    let range = match fields {
        None if precision.is_none() => return -1,
        None => INTERVAL_FULL_RANGE,
        Some(IntervalFields::Year) => YEAR,
        Some(IntervalFields::Month) => MONTH,
        Some(IntervalFields::Day) => DAY,
        Some(IntervalFields::Hour) => HOUR,
        Some(IntervalFields::Minute) => MINUTE,
        Some(IntervalFields::Second) => SECOND,
        Some(IntervalFields::YearToMonth) => YEAR | MONTH,
        Some(IntervalFields::DayToHour) => DAY | HOUR,
        Some(IntervalFields::DayToMinute) => DAY | HOUR | MINUTE,
        Some(IntervalFields::DayToSecond) => DAY | HOUR | MINUTE | SECOND,
        Some(IntervalFields::HourToMinute) => HOUR | MINUTE,
        Some(IntervalFields::HourToSecond) => HOUR | MINUTE | SECOND,
        Some(IntervalFields::MinuteToSecond) => MINUTE | SECOND,
    };
    let precision = precision.map_or(INTERVAL_FULL_PRECISION, |it| {
        i32::try_from(it.min(TIME_PRECISION_MAX)).unwrap_or(INTERVAL_FULL_PRECISION)
    });
    (range << 16) | precision
}
