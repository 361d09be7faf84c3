//! Rows of `pg_settings`, as a fresh PostgreSQL 15 shows them.

use std::cmp::Ordering;

/// A row of `pg_settings`.
#[derive(Debug)]
pub struct SettingRow {
    /// Name, in the case that `SHOW` heads its column with.
    pub name: &'static str,
    /// Value.
    pub setting: Option<&'static str>,
    /// Implicit unit.
    pub unit: Option<&'static str>,
    /// Group.
    pub category: &'static str,
    /// What it takes to set it: `internal`, `postmaster`, `sighup`, `backend`, `superuser`, `user`, …
    pub context: &'static str,
    /// `bool`, `enum`, `integer`, `real` or `string`.
    pub kind: &'static str,
    /// Smallest allowed value.
    pub min: Option<&'static str>,
    /// Largest allowed value.
    pub max: Option<&'static str>,
    /// Allowed values of an enum.
    pub enum_values: &'static [&'static str],
    /// Value at server start if not set otherwise.
    pub boot_value: Option<&'static str>,
    /// Value that `RESET` restores.
    pub reset_value: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/settings.rs"));

/// All settings, by lower-case name.
#[must_use]
pub fn settings() -> &'static [SettingRow] {
    &SETTINGS
}

/// The setting with this name, whatever the case of its letters.
#[must_use]
pub fn setting(name: &str) -> Option<&'static SettingRow> {
    let found = SETTINGS.binary_search_by(|row| compare_ignoring_case(row.name, name));
    found.ok().map(|at| &SETTINGS[at])
}

fn compare_ignoring_case(one: &str, other: &str) -> Ordering {
    let lower =
        |text: &'_ str| text.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>();
    lower(one).cmp(&lower(other))
}
