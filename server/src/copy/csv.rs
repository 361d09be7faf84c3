//! The csv format: quoted fields may hold delimiters and line ends.

use trellis_sqlcompat::SqlError;
use trellis_sqlcompat::plan::CopyOptions;

use super::decode::{Cut, Field, bad_format, line_end};

/// Cuts the first row off `input`.
///
/// # Errors
/// 22P04 for a quote that is never closed.
pub(super) fn cut(input: &[u8], options: &CopyOptions, finished: bool) -> Result<Cut, SqlError> {
    if let Some((length, _)) = line_end(input, finished)
        && input.get(..length) == Some(b"\\.")
    {
        return Ok(Cut::End);
    }
    let mut row = Row { options, fields: Vec::new(), field: Vec::new(), quoted: false };
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        if *byte == options.quote {
            row.quoted = true;
            match row.take_quoted(input.get(at + 1..).unwrap_or_default(), finished)? {
                Some(taken) => at += 1 + taken,
                None => return Ok(Cut::Incomplete),
            }
        } else if *byte == options.delimiter {
            row.end_field();
            at += 1;
        } else if matches!(byte, b'\n' | b'\r') {
            let Some((_, taken)) = line_end(input.get(at..).unwrap_or_default(), finished) else {
                return Ok(Cut::Incomplete);
            };
            row.end_field();
            return Ok(Cut::Row(row.fields, at + taken));
        } else {
            row.field.push(*byte);
            at += 1;
        }
    }
    if !finished {
        return Ok(Cut::Incomplete);
    }
    row.end_field();
    Ok(Cut::Row(row.fields, at))
}

struct Row<'a> {
    options: &'a CopyOptions,
    fields: Vec<Field>,
    field: Vec<u8>,
    quoted: bool,
}

impl Row<'_> {
    /// Takes what follows an opening quote, up to and with the closing one; `None` if that is not there yet.
    fn take_quoted(&mut self, input: &[u8], finished: bool) -> Result<Option<usize>, SqlError> {
        let (quote, escape) = (self.options.quote, self.options.escape);
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            let next = input.get(at + 1);
            let escapes = next.is_some_and(|next| *next == quote || *next == escape);
            if *byte == escape && escapes {
                self.field.extend(next);
                at += 2;
            } else if *byte == quote {
                // At the very end of a piece the next byte decides whether this quote is doubled.
                return Ok((next.is_some() || finished || escape != quote).then_some(at + 1));
            } else {
                self.field.push(*byte);
                at += 1;
            }
        }
        if finished { Err(bad_format("unterminated CSV quoted field")) } else { Ok(None) }
    }

    fn end_field(&mut self) {
        let column = self.fields.len();
        let field = std::mem::take(&mut self.field);
        let quoted = std::mem::take(&mut self.quoted);
        let matches = field == self.options.null.as_bytes();
        let null = if quoted {
            matches && self.options.force_null.contains(&column)
        } else {
            matches && !self.options.force_not_null.contains(&column)
        };
        self.fields.push(if null { None } else { Some(field) });
    }
}

/// Writes one field of column `column`; `alone` if it is the row's only one.
pub(super) fn write(
    value: Option<&[u8]>,
    column: usize,
    alone: bool,
    options: &CopyOptions,
    out: &mut Vec<u8>,
) {
    let Some(value) = value else {
        out.extend_from_slice(options.null.as_bytes());
        return;
    };
    let special = |byte: &u8| {
        *byte == options.delimiter || *byte == options.quote || matches!(byte, b'\n' | b'\r')
    };
    let forced = options.force_quote_all || options.force_quote.contains(&column);
    let ambiguous = value == options.null.as_bytes() || (alone && value == b"\\.");
    if !forced && !ambiguous && !value.iter().any(special) {
        out.extend_from_slice(value);
        return;
    }
    out.push(options.quote);
    for byte in value {
        if *byte == options.quote || *byte == options.escape {
            out.push(options.escape);
        }
        out.push(*byte);
    }
    out.push(options.quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CopyOptions {
        super::super::encode::tests::options(trellis_sqlcompat::plan::CopyFormat::Csv)
    }

    #[test]
    fn quotes_nulls_and_line_ends_inside_quotes() {
        let data = b"1,\"a,\"\"b\"\"\nc\",,\"\"\r\nrest";
        let Cut::Row(fields, taken) = cut(data, &options(), false).unwrap() else {
            panic!("a row")
        };
        let text = |value: &[u8]| Some(value.to_vec());
        assert_eq!(fields, [text(b"1"), text(b"a,\"b\"\nc"), None, text(b"")]);
        assert_eq!(taken, data.len() - 4);
        let mut out = Vec::new();
        write(Some(b"a,\"b"), 0, false, &options(), &mut out);
        write(Some(b""), 1, false, &options(), &mut out);
        assert_eq!(out, b"\"a,\"\"b\"\"\"");
    }

    #[test]
    fn every_cut_of_a_row_into_two_pieces_is_incomplete_then_whole() {
        let data = b"x,\"a\"\"b\r\n\",z\r\n";
        for end in 0..data.len() {
            let first = cut(&data[..end], &options(), false).unwrap();
            assert!(matches!(first, Cut::Incomplete), "cut at {end}");
        }
        assert!(
            matches!(cut(data, &options(), false).unwrap(), Cut::Row(_, taken) if taken == data.len())
        );
        assert!(cut(b"\"open", &options(), true).is_err());
    }
}
