//! `format_type`: the SQL name of a type, with its type modifier.

use super::type_facts::{TypeInfo, Types};
use crate::builtin::{quote_identifier, sql_type_name};
use crate::oid::Oid;

/// Length of the header that PostgreSQL counts into the type modifiers of strings and of numeric.
const VARLENA_HEADER: i32 = 4;
/// Precision of an interval type modifier that does not restrict it.
const INTERVAL_FULL_PRECISION: i32 = 0xFFFF;

/// Field sets of an interval type modifier, as masks over PostgreSQL's field numbers, with their spelling.
const INTERVAL_FIELDS: [(i32, &str); 14] = [
    (0x7FFF, ""),
    (0x0004, " year"),
    (0x0002, " month"),
    (0x0008, " day"),
    (0x0400, " hour"),
    (0x0800, " minute"),
    (0x1000, " second"),
    (0x0006, " year to month"),
    (0x0408, " day to hour"),
    (0x0C08, " day to minute"),
    (0x1C08, " day to second"),
    (0x0C00, " hour to minute"),
    (0x1C00, " hour to second"),
    (0x1800, " minute to second"),
];

impl Types<'_> {
    /// The type's name in error messages and wherever no type modifier is at hand: `integer`, `text[]`, `public.mood`.
    #[must_use]
    pub fn format(self, oid: Oid) -> String {
        self.format_type(oid, None)
    }

    /// The type's name with a type modifier, -1 for none: `character varying(200)`, `numeric(12,2)[]`.
    #[must_use]
    pub fn format_with_typmod(self, oid: Oid, typmod: i32) -> String {
        self.format_type(oid, Some(typmod))
    }

    fn format_type(self, oid: Oid, typmod: Option<i32>) -> String {
        if oid == Oid(0) {
            return "-".to_owned();
        }
        let Some(info) = self.info(oid) else {
            return "???".to_owned();
        };
        let vector = matches!(oid, Oid::INT2VECTOR | Oid::OIDVECTOR);
        if info.true_array && !vector {
            return format!("{}[]", self.format_type(info.element, typmod));
        }
        // Without a length, bpchar and bit are not the SQL types `character` and `bit`, which mean length 1.
        let lengthless = matches!(oid, Oid::BPCHAR | Oid::BIT) && typmod == Some(-1);
        let modifier = typmod.filter(|typmod| *typmod >= 0).map(|typmod| typmod_text(oid, typmod));
        match sql_type_name(oid).filter(|_| !lengthless) {
            Some(name) => with_modifier(name, modifier.as_deref()),
            None => self.qualified(&info) + modifier.as_deref().unwrap_or(""),
        }
    }

    fn qualified(self, info: &TypeInfo<'_>) -> String {
        let name = quote_identifier(&info.name);
        if self.is_visible(info) {
            return name;
        }
        match self.namespace_name(info.namespace) {
            Some(schema) => format!("{}.{name}", quote_identifier(schema)),
            None => name,
        }
    }
}

/// Puts the modifier after the first word of `time …` and `timestamp …`, and at the end of all others.
fn with_modifier(name: &str, modifier: Option<&str>) -> String {
    let Some(modifier) = modifier else {
        return name.to_owned();
    };
    for first in ["timestamp", "time"] {
        if let Some(zone) = name.strip_prefix(first) {
            return format!("{first}{modifier}{zone}");
        }
    }
    format!("{name}{modifier}")
}

/// A type modifier as the type's `typmodout` writes it, without the time zone words of the date/time types.
fn typmod_text(oid: Oid, typmod: i32) -> String {
    match oid {
        Oid::BPCHAR | Oid::VARCHAR => format!("({})", typmod - VARLENA_HEADER),
        Oid::NUMERIC => {
            let packed = typmod - VARLENA_HEADER;
            // The scale is a signed number of 11 bits.
            let scale = ((packed & 0x7FF) ^ 0x400) - 0x400;
            format!("({},{scale})", (packed >> 16) & 0xFFFF)
        }
        Oid::INTERVAL => {
            let fields = (typmod >> 16) & 0x7FFF;
            let spelling = INTERVAL_FIELDS.iter().find(|(mask, _)| *mask == fields);
            let spelling = spelling.map_or("", |(_, spelling)| spelling);
            match typmod & 0xFFFF {
                INTERVAL_FULL_PRECISION => spelling.to_owned(),
                precision => format!("{spelling}({precision})"),
            }
        }
        _ => format!("({typmod})"),
    }
}
