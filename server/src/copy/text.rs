//! The text format: one line a row, backslash escapes.

use trellis_sqlcompat::plan::CopyOptions;

use super::decode::{Cut, Field};

/// Cuts the first row off `input`.
pub(super) fn cut(input: &[u8], options: &CopyOptions, finished: bool) -> Cut {
    let Some((length, taken)) = line_length(input, finished) else { return Cut::Incomplete };
    let line = input.get(..length).unwrap_or_default();
    if line == b"\\." {
        return Cut::End;
    }
    let fields = split(line, options.delimiter)
        .map(|raw| if raw == options.null.as_bytes() { None } else { Some(unescape(raw)) })
        .collect::<Vec<Field>>();
    Cut::Row(fields, taken)
}

/// Where the row ends: at a line end that no backslash precedes.
fn line_length(input: &[u8], finished: bool) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        let rest = input.get(at..)?;
        let Some(step) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'\\')) else {
            return finished.then_some((input.len(), input.len()));
        };
        at += step;
        match (input.get(at), input.get(at + 1)) {
            (Some(b'\\'), Some(_)) => at += 2,
            (Some(b'\\'), None) => return finished.then_some((input.len(), input.len())),
            (Some(b'\r'), Some(b'\n')) => return Some((at, at + 2)),
            (Some(b'\r'), None) if !finished => return None,
            _ => return Some((at, at + 1)),
        }
    }
}

fn split(line: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest.take()?;
        let mut at = 0;
        while let Some(byte) = line.get(at) {
            if *byte == delimiter {
                rest = line.get(at + 1..);
                return line.get(..at);
            }
            at += if *byte == b'\\' { 2 } else { 1 };
        }
        Some(line)
    })
}

fn unescape(raw: &[u8]) -> Vec<u8> {
    if !raw.contains(&b'\\') {
        return raw.to_vec();
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escaped, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        match escaped {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let (value, digits) = number(*escaped, rest, 8, 3);
                out.push(value);
                rest = rest.get(digits..).unwrap_or_default();
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let (value, digits) = number(b'0', rest, 16, 3);
                out.push(value);
                rest = rest.get(digits..).unwrap_or_default();
            }
            other => out.push(*other),
        }
    }
    out
}

/// Reads up to `length - 1` more digits after `first`; the value wraps to a byte, as in PostgreSQL.
fn number(first: u8, rest: &[u8], radix: u32, length: usize) -> (u8, usize) {
    let digit = |byte: u8| char::from(byte).to_digit(radix);
    let mut value = digit(first).unwrap_or(0);
    let mut digits = 0;
    for byte in rest.iter().take(length - 1) {
        let Some(next) = digit(*byte) else { break };
        value = value * radix + next;
        digits += 1;
    }
    let [.., low] = value.to_be_bytes();
    (low, digits)
}

/// Writes one field.
pub(super) fn write(value: Option<&[u8]>, options: &CopyOptions, out: &mut Vec<u8>) {
    let Some(value) = value else {
        out.extend_from_slice(options.null.as_bytes());
        return;
    };
    for byte in value {
        let escape = match *byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            b'\\' => b'\\',
            other if other == options.delimiter => other,
            other => {
                out.push(other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escape]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CopyOptions {
        super::super::encode::tests::options(trellis_sqlcompat::plan::CopyFormat::Text)
    }

    #[test]
    fn escapes_round_trip_and_nulls_are_recognised_before_unescaping() {
        let Cut::Row(fields, taken) =
            cut(b"a\\tb\t\\N\t\\\\N\t\\101\\x42\nrest", &options(), false)
        else {
            panic!("a row")
        };
        let text = |value: &[u8]| Some(value.to_vec());
        assert_eq!(fields, [text(b"a\tb"), None, text(b"\\N"), text(b"AB")]);
        assert_eq!(taken, 21);
        let mut out = Vec::new();
        write(Some(b"a\tb\\\n"), &options(), &mut out);
        assert_eq!(out, b"a\\tb\\\\\\n");
    }

    #[test]
    fn a_row_waits_for_its_line_end() {
        assert!(matches!(cut(b"a\tb", &options(), false), Cut::Incomplete));
        assert!(matches!(cut(b"a\tb\r", &options(), false), Cut::Incomplete));
        assert!(matches!(cut(b"a\\\nb", &options(), false), Cut::Incomplete));
        assert!(matches!(cut(b"a\tb", &options(), true), Cut::Row(_, 3)));
        assert!(matches!(cut(b"\\.\n", &options(), false), Cut::End));
    }
}
