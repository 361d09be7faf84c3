//! Rows to copy data.

use trellis_sqlcompat::plan::{CopyFormat, CopyHeader, CopyOptions};

use super::{binary, csv, text};

/// Encodes rows; values come in text or binary form according to the format.
#[derive(Debug)]
pub struct RowEncoder {
    options: CopyOptions,
    columns: usize,
}

impl RowEncoder {
    /// An encoder for rows of that many columns.
    #[must_use]
    pub fn new(options: CopyOptions, columns: usize) -> Self {
        Self { options, columns }
    }

    /// What comes before the first row, if anything.
    #[must_use]
    pub fn prologue(&self, names: &[String]) -> Option<Vec<u8>> {
        match (self.options.format, self.options.header) {
            (CopyFormat::Binary, _) => {
                let mut out = binary::SIGNATURE.to_vec();
                out.extend_from_slice(&[0; 8]);
                Some(out)
            }
            (_, CopyHeader::No) => None,
            _ => {
                // FORCE_QUOTE is about values.
                let unforced = CopyOptions {
                    force_quote: Vec::new(),
                    force_quote_all: false,
                    ..self.options.clone()
                };
                let header = Self::new(unforced, self.columns);
                let mut out = Vec::new();
                header.begin(&mut out);
                for (column, name) in names.iter().enumerate() {
                    header.field(column, Some(name.as_bytes()), &mut out);
                }
                header.end(&mut out);
                Some(out)
            }
        }
    }

    /// What comes after the last row, if anything.
    #[must_use]
    pub fn epilogue(&self) -> Option<[u8; 2]> {
        (self.options.format == CopyFormat::Binary).then_some([0xff, 0xff])
    }

    /// Starts a row.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            out.extend_from_slice(&i16::try_from(self.columns).unwrap_or(i16::MAX).to_be_bytes());
        }
    }

    /// Adds a field.
    pub fn field(&self, column: usize, value: Option<&[u8]>, out: &mut Vec<u8>) {
        let separate = column > 0;
        match self.options.format {
            CopyFormat::Binary => {
                let length =
                    value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX));
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(value.unwrap_or_default());
            }
            CopyFormat::Text => {
                out.extend(separate.then_some(self.options.delimiter));
                text::write(value, &self.options, out);
            }
            CopyFormat::Csv => {
                out.extend(separate.then_some(self.options.delimiter));
                csv::write(value, column, self.columns == 1, &self.options, out);
            }
        }
    }

    /// Ends a row.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.options.format != CopyFormat::Binary {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// PostgreSQL's defaults for a format.
    pub(in crate::copy) fn options(format: CopyFormat) -> CopyOptions {
        let csv = format == CopyFormat::Csv;
        CopyOptions {
            format,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".to_owned() },
            header: CopyHeader::No,
            quote: b'"',
            escape: b'"',
            force_quote: Vec::new(),
            force_quote_all: false,
            force_not_null: Vec::new(),
            force_null: Vec::new(),
        }
    }
}
