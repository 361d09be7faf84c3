//! Reading and printing the values of settings.
//!
//! Source: PostgreSQL manual, `config-setting` (units, booleans, enums) and the pages of the settings named.

use trellis_sqlcompat::builtin::SettingRow;
use trellis_sqlcompat::schema::password::PasswordEncryption;
use trellis_sqlcompat::settings::{
    ByteaOutput, DateOrder, DateStyle, FormatSettings, IntervalStyle, TimeZoneSetting,
};
use trellis_sqlcompat::{SqlError, SqlState};

/// Reads what was written after `SET name =` into the form that is kept; `DateStyle` keeps the part that is not named.
///
/// # Errors
/// 22023 with PostgreSQL's message for a value that the setting does not take.
pub(super) fn parse(
    key: &str,
    row: Option<&SettingRow>,
    values: &[String],
    current: &str,
) -> Result<String, SqlError> {
    match key {
        "search_path" | "temp_tablespaces" | "session_preload_libraries" => {
            return Ok(join_identifiers(values));
        }
        "datestyle" => return parse_date_style(&values.join(", "), current),
        _ => {}
    }
    let [value] = values else {
        let message = format!("SET {key} takes only one argument");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    };
    match key {
        "timezone" | "log_timezone" => return parse_time_zone(key, value),
        "client_encoding" => return parse_encoding(value),
        "application_name" => return Ok(clean_name(value)),
        _ => {}
    }
    let Some(row) = row else { return Ok(value.clone()) };
    match row.kind {
        "bool" => parse_bool(value)
            .map(on_off)
            .ok_or_else(|| invalid(format!("parameter \"{}\" requires a Boolean value", row.name))),
        "enum" => parse_enum(row, value),
        "integer" => parse_integer(row, value),
        "real" => parse_real(row, value),
        _ => Ok(value.clone()),
    }
}

/// The value as `SHOW` prints it: numbers with the largest unit that divides them.
#[must_use]
pub(super) fn show(row: &SettingRow, value: &str) -> String {
    let Some(unit) = row.unit else { return value.to_owned() };
    let Ok(number) = value.parse::<i64>() else { return show_fraction(unit, value) };
    if number <= 0 {
        return value.to_owned();
    }
    let (scale, base) = split_unit(unit);
    let scaled = number * scale;
    let units: &[(&str, i64)] = match base {
        "B" => &[("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)],
        _ => &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)],
    };
    units
        .iter()
        .find(|(_, size)| scaled % size == 0)
        .map_or_else(|| value.to_owned(), |(name, size)| format!("{}{name}", scaled / size))
}

/// A fraction of a time as a whole number of the largest unit that makes it one, microseconds at the least.
fn show_fraction(unit: &str, value: &str) -> String {
    let (scale, base) = split_unit(unit);
    let Some(number) = value.parse::<f64>().ok().filter(|number| base == "ms" && *number > 0.0)
    else {
        return value.to_owned();
    };
    #[expect(clippy::cast_precision_loss, reason = "a unit's size is small")]
    let microseconds = number * scale as f64 * 1_000.0;
    format!("{microseconds}us")
}

/// Splits a list of identifiers such as `"$user", public`; `None` if it is not one.
#[must_use]
pub(super) fn split_identifiers(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = take_identifier(rest)?;
        names.push(name);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => {}
            None => return None,
        }
    }
    Some(names)
}

/// Extracts what types and functions need; `raw` gives each setting's kept value.
#[must_use]
pub(super) fn format_settings(raw: &dyn Fn(&str) -> String) -> FormatSettings {
    let zone_name = raw("timezone");
    let date_style = raw("datestyle");
    let (style, order) = date_style.split_once(", ").unwrap_or(("ISO", "MDY"));
    let default = FormatSettings::default();
    FormatSettings {
        time_zone: TimeZoneSetting::find(&zone_name).unwrap_or(default.time_zone),
        time_zone_name: zone_name,
        date_style: match style {
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            "German" => DateStyle::German,
            _ => DateStyle::Iso,
        },
        date_order: match order {
            "DMY" => DateOrder::Dmy,
            "YMD" => DateOrder::Ymd,
            _ => DateOrder::Mdy,
        },
        interval_style: match raw("intervalstyle").as_str() {
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        },
        extra_float_digits: raw("extra_float_digits").parse().unwrap_or(1),
        bytea_output: match raw("bytea_output").as_str() {
            "escape" => ByteaOutput::Escape,
            _ => ByteaOutput::Hex,
        },
        standard_conforming_strings: raw("standard_conforming_strings") == "on",
        check_function_bodies: raw("check_function_bodies") == "on",
        password_encryption: if raw("password_encryption") == "md5" {
            PasswordEncryption::Md5
        } else {
            PasswordEncryption::Scram
        },
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn invalid_value(name: &str, value: &str) -> SqlError {
    invalid(format!("invalid value for parameter \"{name}\": \"{value}\""))
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}

/// A boolean as PostgreSQL reads one: `on`, `off`, `true`, `false`, `yes`, `no`, `1`, `0` or an unambiguous beginning.
#[must_use]
pub(super) fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if value == "1" || value == "on" || begins("true", 1) || begins("yes", 1) {
        Some(true)
    } else if value == "0" || begins("off", 2) || begins("false", 1) || begins("no", 1) {
        Some(false)
    } else {
        None
    }
}

/// Levels of messages that are taken, though no hint offers them.
fn hidden_level(row: &SettingRow, value: &str) -> Option<&'static str> {
    let has_levels = row.enum_values.contains(&"debug5");
    match value.to_ascii_lowercase().as_str() {
        "debug" if has_levels => Some("debug2"),
        "info" if has_levels => Some("info"),
        _ => None,
    }
}

fn parse_enum(row: &SettingRow, value: &str) -> Result<String, SqlError> {
    let known =
        |wanted: &str| row.enum_values.iter().find(|known| known.eq_ignore_ascii_case(wanted));
    let by_name = known(value).copied();
    // Enums with "on" and "off" also take the other spellings of a Boolean.
    let by_bool =
        || parse_bool(value).and_then(|value| known(if value { "on" } else { "off" }).copied());
    by_name.or_else(by_bool).or_else(|| hidden_level(row, value)).map(str::to_owned).ok_or_else(
        || {
            invalid_value(row.name, value)
                .with_hint(format!("Available values: {}.", row.enum_values.join(", ")))
        },
    )
}

fn parse_integer(row: &SettingRow, value: &str) -> Result<String, SqlError> {
    let rounded = parse_number(row, value)?.round_ties_even();
    check_range(row, rounded)?;
    Ok(format!("{rounded:.0}"))
}

fn parse_real(row: &SettingRow, value: &str) -> Result<String, SqlError> {
    let number = parse_number(row, value)?;
    check_range(row, number)?;
    Ok(number.to_string())
}

/// A number in the setting's own unit, from one with any unit.
fn parse_number(row: &SettingRow, value: &str) -> Result<f64, SqlError> {
    let text = value.trim();
    let exponent = |at: usize, c: char| {
        matches!(c, 'e' | 'E')
            && text.get(at + 1..).is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
            })
    };
    let inside =
        |at: usize, c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.') || exponent(at, c);
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(digits) = hexadecimal {
        let number = u32::from_str_radix(digits, 16);
        return number.map(f64::from).map_err(|_bad| invalid_value(row.name, value));
    }
    let end = text.char_indices().find(|(at, c)| !inside(*at, *c));
    let (number, unit) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let number: f64 = number.parse().map_err(|_bad| invalid_value(row.name, value))?;
    match (unit.trim(), row.unit) {
        ("", _) => Ok(number),
        (given, Some(base)) => {
            let factor = unit_factor(given, base).ok_or_else(|| unit_error(row, value, base))?;
            // Factors below one are exact as divisors only.
            Ok(if factor < 1.0 { number / (1.0 / factor).round() } else { number * factor })
        }
        (_, None) => Err(invalid_value(row.name, value)),
    }
}

fn check_range(row: &SettingRow, number: f64) -> Result<(), SqlError> {
    let bound =
        |text: Option<&str>, default: f64| text.and_then(|t| t.parse().ok()).unwrap_or(default);
    let (min, max) = (bound(row.min, f64::MIN), bound(row.max, f64::MAX));
    if (min..=max).contains(&number) {
        return Ok(());
    }
    let unit = row.unit.map_or_else(String::new, |unit| format!(" {unit}"));
    let (low, high) = (row.min.unwrap_or(""), row.max.unwrap_or(""));
    Err(invalid(format!(
        "{number}{unit} is outside the valid range for parameter \"{}\" ({low} .. {high})",
        row.name
    )))
}

fn unit_error(row: &SettingRow, value: &str, base: &str) -> SqlError {
    let hint = if split_unit(base).1 == "B" {
        "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."
    } else {
        "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
    };
    invalid_value(row.name, value).with_hint(hint)
}

/// `"8kB"` is 8192 bytes; `"s"` is 1000 milliseconds.
fn split_unit(unit: &str) -> (i64, &'static str) {
    match unit {
        "B" => (1, "B"),
        "kB" => (1 << 10, "B"),
        "8kB" => (8 << 10, "B"),
        "MB" => (1 << 20, "B"),
        "16MB" => (16 << 20, "B"),
        "s" => (1_000, "ms"),
        "min" => (60_000, "ms"),
        _ => (1, "ms"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "unit sizes are small powers")]
fn unit_factor(given: &str, base: &str) -> Option<f64> {
    let (base_size, kind) = split_unit(base);
    let size = match (given, kind) {
        ("B", "B") => 1.0,
        ("kB", "B") => 1024.0,
        ("MB", "B") => 1024.0 * 1024.0,
        ("GB", "B") => 1024.0 * 1024.0 * 1024.0,
        ("TB", "B") => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        ("us", "ms") => 0.001,
        ("ms", "ms") => 1.0,
        ("s", "ms") => 1_000.0,
        ("min", "ms") => 60_000.0,
        ("h", "ms") => 3_600_000.0,
        ("d", "ms") => 86_400_000.0,
        _ => return None,
    };
    Some(size / base_size as f64)
}

fn parse_date_style(value: &str, current: &str) -> Result<String, SqlError> {
    let (mut style, mut order, mut german) = (None, None, false);
    let mut base = current.split_once(", ").unwrap_or(("ISO", "MDY"));
    let conflict = || {
        invalid_value("DateStyle", value).with_detail("Conflicting \"datestyle\" specifications.")
    };
    for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let lower = word.to_ascii_lowercase();
        let (wanted, slot) = match lower.as_str() {
            "iso" => ("ISO", &mut style),
            "sql" => ("SQL", &mut style),
            word if word.starts_with("postgres") => ("Postgres", &mut style),
            "german" => ("German", &mut style),
            "mdy" | "us" => ("MDY", &mut order),
            word if word.starts_with("noneuro") => ("MDY", &mut order),
            "dmy" => ("DMY", &mut order),
            word if word.starts_with("euro") => ("DMY", &mut order),
            "ymd" => ("YMD", &mut order),
            "default" => {
                base = ("ISO", "MDY");
                continue;
            }
            _ => {
                let detail = format!("Unrecognized key word: \"{lower}\".");
                return Err(invalid_value("DateStyle", value).with_detail(detail));
            }
        };
        german |= wanted == "German";
        if slot.is_some_and(|it| it != wanted) {
            return Err(conflict());
        }
        *slot = Some(wanted);
    }
    let style = style.unwrap_or(base.0);
    let order = order.unwrap_or(if german { "DMY" } else { base.1 });
    Ok(format!("{style}, {order}"))
}

fn parse_time_zone(key: &str, value: &str) -> Result<String, SqlError> {
    let name = if key == "timezone" { "TimeZone" } else { key };
    let wanted = value.trim();
    if wanted.eq_ignore_ascii_case("local") || wanted.eq_ignore_ascii_case("default") {
        return Ok("Etc/UTC".to_owned());
    }
    TimeZoneSetting::canonical_name(wanted).ok_or_else(|| invalid_value(name, value))
}

fn parse_encoding(value: &str) -> Result<String, SqlError> {
    let plain: String =
        value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match plain.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        "sqlascii" => Ok("SQL_ASCII".to_owned()),
        _ => Err(SqlError::unsupported(format_args!("client encoding \"{value}\"")))
            .map_err(|error| error.with_hint("Trellis speaks UTF8.")),
    }
}

/// Characters outside printable ASCII become `?`, as PostgreSQL 15 does to application names.
fn clean_name(value: &str) -> String {
    let clean = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    value.chars().map(clean).take(63).collect()
}

fn join_identifiers(values: &[String]) -> String {
    values.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
}

fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn take_identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return Some((name.to_lowercase(), rest));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => return quoted.get(at + 1..).map(|rest| (name, rest)),
            other => name.push(other),
        }
    }
    None
}
