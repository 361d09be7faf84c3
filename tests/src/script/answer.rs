//! The text form of an answer: the server's messages as the lines of a script.

use crate::wire::{Column, Fields, Message};

/// How the values of rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFormat {
    /// As the text that they are.
    Text,
    /// In hexadecimal.
    Binary,
}

/// Names of the types that scripts meet, by OID.
///
/// Facts from PostgreSQL 15's `pg_type`; a type that is missing here is shown as its OID.
const TYPE_NAMES: [(u32, &str); 72] = [
    (16, "bool"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "int8"),
    (21, "int2"),
    (22, "int2vector"),
    (23, "int4"),
    (24, "regproc"),
    (25, "text"),
    (26, "oid"),
    (27, "tid"),
    (28, "xid"),
    (114, "json"),
    (142, "xml"),
    (194, "pg_node_tree"),
    (199, "json[]"),
    (650, "cidr"),
    (700, "float4"),
    (701, "float8"),
    (705, "unknown"),
    (790, "money"),
    (829, "macaddr"),
    (869, "inet"),
    (1000, "bool[]"),
    (1001, "bytea[]"),
    (1002, "\"char\"[]"),
    (1003, "name[]"),
    (1005, "int2[]"),
    (1007, "int4[]"),
    (1009, "text[]"),
    (1014, "bpchar[]"),
    (1015, "varchar[]"),
    (1016, "int8[]"),
    (1021, "float4[]"),
    (1022, "float8[]"),
    (1028, "oid[]"),
    (1034, "aclitem[]"),
    (1042, "bpchar"),
    (1043, "varchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1115, "timestamp[]"),
    (1182, "date[]"),
    (1184, "timestamptz"),
    (1185, "timestamptz[]"),
    (1186, "interval"),
    (1231, "numeric[]"),
    (1266, "timetz"),
    (1560, "bit"),
    (1562, "varbit"),
    (1700, "numeric"),
    (2202, "regprocedure"),
    (2205, "regclass"),
    (2206, "regtype"),
    (2249, "record"),
    (2278, "void"),
    (2287, "record[]"),
    (2950, "uuid"),
    (2951, "uuid[]"),
    (3220, "pg_lsn"),
    (3614, "tsvector"),
    (3615, "tsquery"),
    (3802, "jsonb"),
    (3807, "jsonb[]"),
    (3904, "int4range"),
    (3906, "numrange"),
    (3908, "tsrange"),
    (3910, "tstzrange"),
    (3912, "daterange"),
    (4072, "jsonpath"),
];

/// The lines of an answer, from its messages.
pub fn render(messages: &[Message], format: ValueFormat, sorted: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for message in messages {
        if let Message::Row(values) = message {
            rows.push(row_line(values, format));
            continue;
        }
        if sorted {
            rows.sort();
        }
        lines.append(&mut rows);
        render_other(message, &mut lines);
    }
    lines
}

/// The lines of a message that is no row.
fn render_other(message: &Message, lines: &mut Vec<String>) {
    match message {
        Message::Columns(columns) => lines.push(columns_line(columns)),
        Message::ParameterTypes(types) if !types.is_empty() => {
            let names: Vec<String> = types.iter().map(|oid| type_name(*oid)).collect();
            lines.push(format!("parameters: {}", names.join(", ")));
        }
        Message::Complete(tag) => lines.push(tag.clone()),
        Message::Error(fields) => fault_lines("ERROR", fields, lines),
        Message::Notice(fields) => fault_lines(fields.get('V'), fields, lines),
        Message::Notification(channel, payload) => {
            lines.push(format!("notification on {channel}: {payload}"));
        }
        Message::CopyData(data) => {
            lines.push(format!("copy data: {}", escape(&String::from_utf8_lossy(data))));
        }
        Message::Ready('T') => lines.push(String::from("in transaction")),
        Message::Ready('E') => lines.push(String::from("in failed transaction")),
        Message::Bare('I') => lines.push(String::from("empty query")),
        Message::Bare('s') => lines.push(String::from("portal suspended")),
        Message::Authentication(_)
        | Message::ParameterStatus(..)
        | Message::BackendKey(..)
        | Message::ParameterTypes(_)
        | Message::Row(_)
        | Message::CopyIn
        | Message::CopyOut
        | Message::Ready(_)
        | Message::Bare(_) => {}
    }
}

/// The columns of a row description, each with its type.
pub(crate) fn columns_line(columns: &[Column]) -> String {
    if columns.is_empty() {
        return String::from("(no columns)");
    }
    let columns: Vec<String> = columns
        .iter()
        .map(|column| {
            let modifier = modifier(column.type_oid, column.type_modifier);
            format!("{}:{}{modifier}", column.name, type_name(column.type_oid))
        })
        .collect();
    columns.join(" | ")
}

/// The name of a type.
fn type_name(oid: u32) -> String {
    match TYPE_NAMES.binary_search_by_key(&oid, |(known, _)| *known) {
        Ok(index) => TYPE_NAMES[index].1.to_owned(),
        // OIDs above 16383 are the user's own types; their numbers mean nothing.
        Err(_) if oid >= 16_384 => String::from("(user type)"),
        Err(_) => format!("oid {oid}"),
    }
}

/// A type modifier as it is written in SQL; empty for none.
fn modifier(oid: u32, modifier: i32) -> String {
    match oid {
        _ if modifier < 0 => String::new(),
        1042 | 1043 => format!("({})", modifier - 4),
        1700 => format!("({},{})", (modifier - 4) >> 16, (modifier - 4) & 0x7ff),
        1083 | 1114 | 1184 | 1266 | 1560 | 1562 => format!("({modifier})"),
        _ => format!("(modifier {modifier})"),
    }
}

/// A row as a line.
fn row_line(values: &[Option<Vec<u8>>], format: ValueFormat) -> String {
    if values.is_empty() {
        return String::from("(no values)");
    }
    let values: Vec<String> = values
        .iter()
        .map(|value| match (value, format) {
            (None, _) => String::from("NULL"),
            (Some(bytes), ValueFormat::Text) => escape(&String::from_utf8_lossy(bytes)),
            (Some(bytes), ValueFormat::Binary) => {
                bytes.iter().fold(String::from("0x"), |hex, byte| format!("{hex}{byte:02x}"))
            }
        })
        .collect();
    values.join(" | ")
}

/// A text on one line, quoted where its ends would not be seen.
fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let escaped = escaped.replace('\t', "\\t");
    if escaped.is_empty() || escaped.starts_with(' ') || escaped.ends_with(' ') {
        return format!("'{escaped}'");
    }
    escaped
}

/// The lines of an error or notice.
fn fault_lines(severity: &str, fields: &Fields, lines: &mut Vec<String>) {
    let position = match fields.get('P') {
        "" => String::new(),
        position => format!(" at {position}"),
    };
    let message = escape(fields.message());
    lines.push(format!("{severity} {}{position}: {message}", fields.sqlstate()));
    for (field, name) in [('D', "DETAIL"), ('H', "HINT")] {
        if !fields.get(field).is_empty() {
            lines.push(format!("{name}: {}", escape(fields.get(field))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_are_in_the_order_of_their_oids() {
        assert!(TYPE_NAMES.is_sorted_by_key(|(oid, _)| *oid));
    }

    #[test]
    fn values_whose_ends_cannot_be_seen_are_quoted() {
        let row = [None, Some(Vec::new()), Some(b"a\n".to_vec()), Some(b"b ".to_vec())];
        assert_eq!(row_line(&row, ValueFormat::Text), "NULL | '' | a\\n | 'b '");
        assert_eq!(row_line(&row[3..], ValueFormat::Binary), "0x6220");
    }
}
