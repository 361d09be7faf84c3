//! Values inside the literals of composites and ranges: quoted where they have characters that mean something there.

use super::scalar;

/// Takes a value off the front of a literal, up to one of `ends`: `Some(None)` where nothing stands, `None` if the literal ends
/// before.
pub(super) fn read(rest: &mut &str, ends: &[char]) -> Option<Option<String>> {
    if rest.starts_with(ends) {
        return Some(None);
    }
    let (mut value, mut in_quotes) = (String::new(), false);
    let mut chars = rest.chars();
    while in_quotes || !chars.as_str().starts_with(ends) {
        match chars.next()? {
            '\\' => value.push(chars.next()?),
            '"' if in_quotes && chars.as_str().starts_with('"') => {
                chars.next();
                value.push('"');
            }
            '"' => in_quotes = !in_quotes,
            other => value.push(other),
        }
    }
    *rest = chars.as_str();
    Some(Some(value))
}

/// Appends a value, in quotes if it is empty or has blanks or any of `marks`.
pub(super) fn write(text: &[u8], marks: &[u8], out: &mut Vec<u8>) {
    let is_special = |byte: &u8| {
        matches!(byte, b'"' | b'\\') || marks.contains(byte) || scalar::is_space(char::from(*byte))
    };
    if !text.is_empty() && !text.iter().any(is_special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'"');
}
