//! Storage options: which there are for what, what values they take, and how they are kept.
//!
//! They say how PostgreSQL lays out its pages and looks after them, so nothing here acts on them; they are checked and
//! shown (`pg_class.reloptions`), because tools set them and read them back.
//!
//! Source: PostgreSQL 15 `reloptions.c`; manual, `sql-createtable`, `sql-createindex`, "Storage Parameters".

use crate::error::{SqlError, SqlState};
use crate::parse::utility::StorageOption;

/// What an option takes.
#[derive(Clone, Copy)]
enum Takes {
    Flag,
    Integer(i64, i64),
    Real(f64, f64),
    Word(&'static [&'static str]),
}

/// Largest `int4`.
const INT_MAX: i64 = 2_147_483_647;

/// Options of tables; those that its TOAST table has too are marked.
const TABLE: [(&str, Takes, bool); 22] = [
    ("autovacuum_enabled", Takes::Flag, true),
    ("user_catalog_table", Takes::Flag, false),
    ("vacuum_truncate", Takes::Flag, true),
    ("fillfactor", Takes::Integer(10, 100), false),
    ("toast_tuple_target", Takes::Integer(128, 8160), false),
    ("parallel_workers", Takes::Integer(0, 1024), false),
    ("autovacuum_vacuum_threshold", Takes::Integer(0, INT_MAX), true),
    ("autovacuum_vacuum_insert_threshold", Takes::Integer(-1, INT_MAX), true),
    ("autovacuum_analyze_threshold", Takes::Integer(0, INT_MAX), false),
    ("autovacuum_vacuum_cost_limit", Takes::Integer(1, 10_000), true),
    ("autovacuum_freeze_min_age", Takes::Integer(0, 1_000_000_000), true),
    ("autovacuum_multixact_freeze_min_age", Takes::Integer(0, 1_000_000_000), true),
    ("autovacuum_freeze_max_age", Takes::Integer(100_000, 2_000_000_000), true),
    ("autovacuum_multixact_freeze_max_age", Takes::Integer(10_000, 2_000_000_000), true),
    ("autovacuum_freeze_table_age", Takes::Integer(0, 2_000_000_000), true),
    ("autovacuum_multixact_freeze_table_age", Takes::Integer(0, 2_000_000_000), true),
    ("log_autovacuum_min_duration", Takes::Integer(-1, INT_MAX), true),
    ("autovacuum_vacuum_cost_delay", Takes::Real(0.0, 100.0), true),
    ("autovacuum_vacuum_scale_factor", Takes::Real(0.0, 100.0), true),
    ("autovacuum_vacuum_insert_scale_factor", Takes::Real(0.0, 100.0), true),
    ("autovacuum_analyze_scale_factor", Takes::Real(0.0, 100.0), false),
    ("vacuum_index_cleanup", Takes::Word(&["auto", "on", "off", "true", "false"]), true),
];

/// Options of indexes, by access method.
const INDEX: [(&str, &str, Takes); 10] = [
    ("btree", "fillfactor", Takes::Integer(10, 100)),
    ("btree", "deduplicate_items", Takes::Flag),
    ("hash", "fillfactor", Takes::Integer(10, 100)),
    ("gist", "fillfactor", Takes::Integer(10, 100)),
    ("gist", "buffering", Takes::Word(&["auto", "on", "off"])),
    ("spgist", "fillfactor", Takes::Integer(10, 100)),
    ("gin", "fastupdate", Takes::Flag),
    ("gin", "gin_pending_list_limit", Takes::Integer(64, INT_MAX)),
    ("brin", "pages_per_range", Takes::Integer(1, 131_072)),
    ("brin", "autosummarize", Takes::Flag),
];

/// Options of views.
const VIEW: [(&str, Takes); 3] = [
    ("security_barrier", Takes::Flag),
    ("security_invoker", Takes::Flag),
    ("check_option", Takes::Word(&["local", "cascaded"])),
];

/// What options are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<'a> {
    /// A table that is being made.
    NewTable,
    /// A table or materialized view.
    Table,
    /// An index of this access method.
    Index(&'a str),
    /// A view.
    View,
}

impl Owner<'_> {
    fn takes(self, option: &StorageOption) -> Option<Takes> {
        let name = option.name.as_str();
        let toast = option.namespace.is_some();
        match self {
            Self::NewTable | Self::Table => {
                let found = TABLE.iter().find(|it| it.0 == name && (it.2 || !toast));
                found.map(|it| it.1)
            }
            Self::Index(method) => {
                INDEX.iter().find(|it| it.0 == method && it.1 == name).map(|it| it.2)
            }
            Self::View => VIEW.iter().find(|it| it.0 == name).map(|it| it.1),
        }
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Options with others set, as `SET (…)` or `WITH (…)` does. Those of the TOAST table are checked and not kept.
///
/// # Errors
/// 22023 for an option that there is not, a value that does not fit, or an option that stands twice.
pub(super) fn set(
    kept: &[String],
    options: &[StorageOption],
    owner: Owner<'_>,
) -> Result<Vec<String>, SqlError> {
    for (place, option) in options.iter().enumerate() {
        check(option, owner)?;
        let is_same =
            |it: &StorageOption| it.name == option.name && it.namespace == option.namespace;
        if options.iter().take(place).any(is_same) {
            return Err(invalid(format!("parameter \"{}\" specified more than once", option.name)));
        }
    }
    let mut result = without(kept, options);
    let own = options.iter().filter(|option| option.namespace.is_none());
    result.extend(own.map(|it| format!("{}={}", it.name, it.value.as_deref().unwrap_or("true"))));
    Ok(result)
}

/// Options without others, as `RESET (…)` leaves them.
///
/// # Errors
/// 42601 if one has a value.
pub(super) fn reset(kept: &[String], options: &[StorageOption]) -> Result<Vec<String>, SqlError> {
    if options.iter().any(|option| option.value.is_some()) {
        let message = "RESET must not include values for parameters";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    Ok(without(kept, options))
}

fn without(kept: &[String], options: &[StorageOption]) -> Vec<String> {
    let named = |text: &&String| {
        let name = text.split('=').next().unwrap_or_default();
        !options.iter().any(|option| option.namespace.is_none() && option.name == name)
    };
    kept.iter().filter(named).cloned().collect()
}

fn check(option: &StorageOption, owner: Owner<'_>) -> Result<(), SqlError> {
    let name = &option.name;
    if let Some(namespace) = &option.namespace
        && (namespace != "toast" || !matches!(owner, Owner::NewTable | Owner::Table))
    {
        return Err(invalid(format!("unrecognized parameter namespace \"{namespace}\"")));
    }
    let value = option.value.as_deref().unwrap_or("true");
    if name == "oids" && owner == Owner::NewTable && option.namespace.is_none() {
        return match flag(value) {
            Some(false) => Ok(()),
            _ => {
                let message = "tables declared WITH OIDS are not supported";
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
            }
        };
    }
    let Some(takes) = owner.takes(option) else {
        return Err(invalid(format!("unrecognized parameter \"{name}\"")));
    };
    let malformed =
        |what: &str| invalid(format!("invalid value for {what} option \"{name}\": {value}"));
    let outside = |least: String, most: String| {
        let message = format!("value {value} out of bounds for option \"{name}\"");
        let detail = format!("Valid values are between \"{least}\" and \"{most}\".");
        invalid(message).with_detail(detail)
    };
    match takes {
        Takes::Flag => flag(value).map(|_| ()).ok_or_else(|| malformed("boolean")),
        Takes::Integer(least, most) => {
            let number: f64 = value.parse().map_err(|_unread| malformed("integer"))?;
            let number = number.round();
            if !(i64::from(i32::MIN) as f64..=INT_MAX as f64).contains(&number) {
                return Err(malformed("integer"));
            }
            let inside = (least as f64..=most as f64).contains(&number);
            if inside { Ok(()) } else { Err(outside(least.to_string(), most.to_string())) }
        }
        Takes::Real(least, most) => {
            let number: f64 = value.parse().map_err(|_unread| malformed("floating point"))?;
            let inside = (least..=most).contains(&number);
            let bound = |bound: f64| format!("{bound:.6}");
            if inside { Ok(()) } else { Err(outside(bound(least), bound(most))) }
        }
        Takes::Word(words) => {
            if words.iter().any(|word| value.eq_ignore_ascii_case(word)) {
                return Ok(());
            }
            let shown: Vec<_> = words.iter().take(3).map(|word| format!("\"{word}\"")).collect();
            let detail = match shown.as_slice() {
                [first, second] => format!("Valid values are {first} and {second}."),
                _ => "Valid values are \"on\", \"off\", and \"auto\".".to_owned(),
            };
            let message = format!("invalid value for enum option \"{name}\": {value}");
            Err(invalid(message).with_detail(detail))
        }
    }
}

/// A Boolean value: a word of PostgreSQL's, or a beginning of one that means one thing only.
fn flag(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if begins("true", 1) || begins("yes", 1) || value == "on" || value == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || value == "0" {
        Some(false)
    } else {
        None
    }
}
