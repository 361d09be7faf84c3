//! Which SQLite function carries out a `pg_proc` row: the naming contract between the lowering and the function library.
//!
//! | row | SQLite name | example |
//! |---|---|---|
//! | internal function | `pg_<prosrc>` | `pg_numeric_add` |
//! | body in SQL | `pg_<proname>_<oid>` | `pg_log10_1481` |
//! | aggregate | `pg_agg_<proname>[_<typname>…]` of its declared arguments | `pg_agg_sum_int4` |
//! | window function | `pg_<prosrc>` | `pg_window_row_number` |
//! | set-returning function | `pg_srf_<prosrc>`, or `pg_srf_<proname>_<oid>` for a body in SQL | `pg_srf_generate_series_int4` |

use super::{FunctionKind, FunctionLanguage, FunctionRow, type_by_oid};

/// The name of the SQLite function, aggregate or table-valued function that implements the row.
///
/// # Examples
///
/// ```
/// use trellis_sqlcompat::builtin::{functions_by_name, implementation_name};
/// let names: Vec<String> = functions_by_name("lower").iter().map(implementation_name).collect();
/// assert_eq!(names, ["pg_lower", "pg_range_lower", "pg_multirange_lower"]);
/// ```
#[must_use]
pub fn implementation_name(row: &FunctionRow) -> String {
    if row.kind == FunctionKind::Aggregate {
        let mut name = format!("pg_agg_{}", row.name);
        for argument in row.arguments {
            name.push('_');
            name.push_str(type_by_oid(*argument).map_or("unknown", |argument| argument.name));
        }
        return name;
    }
    let prefix = if row.returns_set { "pg_srf_" } else { "pg_" };
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match row.language {
        FunctionLanguage::Internal | FunctionLanguage::C if is_word(row.source) => {
            format!("{prefix}{}", row.source)
        }
        FunctionLanguage::Internal | FunctionLanguage::C | FunctionLanguage::Sql => {
            format!("{prefix}{}_{}", row.name, row.oid)
        }
    }
}
