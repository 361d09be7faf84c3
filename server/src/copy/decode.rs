//! Cutting a stream of copy data into rows of fields, whatever the sizes of its pieces.
//!
//! # Bounds
//! [`ROW_BYTES_MAX`]: a row that has not ended by then is refused with 54000.

use bytes::{Buf, BytesMut};
use trellis_sqlcompat::plan::{CopyFormat, CopyHeader, CopyOptions};
use trellis_sqlcompat::types::scalar::clip_bytes;
use trellis_sqlcompat::{SqlError, SqlState};

use super::{binary, csv, text};

/// Longest row, bytes.
pub(super) const ROW_BYTES_MAX: usize = 256 << 20;

/// One field of a row: `None` is NULL. Text formats give UTF-8 text, the binary format the type's binary form.
pub type Field = Option<Vec<u8>>;

/// What a row cutter found.
pub(super) enum Cut {
    /// A row, and how many bytes it took.
    Row(Vec<Field>, usize),
    /// The end-of-data marker.
    End,
    /// Not a whole row yet.
    Incomplete,
}

/// Decodes copy data.
#[derive(Debug)]
pub struct Decoder {
    options: CopyOptions,
    columns: Vec<String>,
    input: BytesMut,
    /// Lines read, the header included; the line of the row returned last.
    line: u64,
    /// The beginning of that line, as much as an error shows of it.
    shown: Vec<u8>,
    header: CopyHeader,
    ended: bool,
    signature_read: bool,
}

impl Decoder {
    /// A decoder for rows of these columns.
    #[must_use]
    pub fn new(options: CopyOptions, columns: Vec<String>) -> Self {
        let header = options.header;
        Self {
            options,
            columns,
            input: BytesMut::new(),
            line: 0,
            shown: Vec::new(),
            header,
            ended: false,
            signature_read: false,
        }
    }

    /// Number of the line that the last row came from, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The text of that line as an error's context shows it; `None` for binary data.
    #[must_use]
    pub fn shown_line(&self) -> Option<String> {
        (self.options.format != CopyFormat::Binary).then(|| shown(&self.shown))
    }

    /// Adds a piece of data.
    pub fn push(&mut self, data: &[u8]) {
        if !self.ended {
            self.input.extend_from_slice(data);
        }
    }

    /// The next whole row, which may lack fields at its end; `finished` says that no more data will come.
    ///
    /// # Errors
    /// 22P04 for data that is not in the format, 22021 for text that is not UTF-8, 54000 for a row that is too long.
    pub fn next_row(&mut self, finished: bool) -> Result<Option<Vec<Field>>, SqlError> {
        loop {
            if self.ended || !self.read_signature(finished)? {
                return Ok(None);
            }
            if self.input.is_empty() {
                return Ok(None);
            }
            let header = self.header != CopyHeader::No;
            let options = &self.options;
            let width = self.columns.len();
            let cut = match options.format {
                CopyFormat::Text => text::cut(&self.input, options, finished),
                CopyFormat::Csv => match csv::cut(&self.input, options, finished) {
                    Ok(cut) => cut,
                    Err(error) => {
                        self.note_line(self.input.len());
                        return Err(error);
                    }
                },
                CopyFormat::Binary => binary::cut(&self.input, width, finished)?,
            };
            match cut {
                Cut::Incomplete if self.input.len() > ROW_BYTES_MAX => {
                    let message = "row of COPY data is too long";
                    return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
                }
                Cut::Incomplete => return Ok(None),
                Cut::End => {
                    self.ended = true;
                    self.input.clear();
                    return Ok(None);
                }
                Cut::Row(fields, bytes) => {
                    self.note_line(bytes);
                    self.input.advance(bytes);
                    if header {
                        self.take_header(&fields)?;
                        continue;
                    }
                    self.refuse_extra(&fields)?;
                    return Ok(Some(fields));
                }
            }
        }
    }

    /// Counts a line and keeps its beginning.
    fn note_line(&mut self, bytes: usize) {
        self.line += 1;
        self.shown.clear();
        let line = self.input.get(..bytes).unwrap_or_default();
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let kept = text.len().min(SHOWN_BYTES_MAX + 1);
        self.shown.extend_from_slice(text.get(..kept).unwrap_or_default());
    }

    /// Reads the binary format's signature; `false` if it is not complete.
    fn read_signature(&mut self, finished: bool) -> Result<bool, SqlError> {
        if self.options.format != CopyFormat::Binary || self.signature_read {
            return Ok(true);
        }
        match binary::signature(&self.input, finished)? {
            Some(bytes) => {
                self.input.advance(bytes);
                self.signature_read = true;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn take_header(&mut self, fields: &[Field]) -> Result<(), SqlError> {
        let must_match = self.header == CopyHeader::Match;
        self.header = CopyHeader::No;
        if !must_match {
            return Ok(());
        }
        if fields.len() != self.columns.len() {
            return Err(bad_format(format!(
                "wrong number of fields in header line: got {}, expected {}",
                fields.len(),
                self.columns.len()
            )));
        }
        for (at, (field, column)) in fields.iter().zip(&self.columns).enumerate() {
            let got = field.as_deref().unwrap_or_default();
            if got != column.as_bytes() {
                return Err(bad_format(format!(
                    "column name mismatch in header line field {}: got \"{}\", expected \"{column}\"",
                    at + 1,
                    String::from_utf8_lossy(got)
                )));
            }
        }
        Ok(())
    }

    fn refuse_extra(&self, fields: &[Field]) -> Result<(), SqlError> {
        if fields.len() > self.columns.len() {
            return Err(bad_format("extra data after last expected column"));
        }
        Ok(())
    }
}

/// How much of a line or a value an error's context shows, in bytes, as in PostgreSQL's `limit_printout_length`.
const SHOWN_BYTES_MAX: usize = 100;

/// Data as an error's context shows it.
#[must_use]
pub fn shown(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    let cut = clip_bytes(&text, SHOWN_BYTES_MAX);
    let rest = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut}{rest}")
}

/// 22P04 for a row that lacks a column.
#[must_use]
pub fn missing_data(column: &str) -> SqlError {
    bad_format(format!("missing data for column \"{column}\""))
}

/// 22P04.
pub(super) fn bad_format(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// The end of the line that starts `input`: length without and with its terminator.
pub(super) fn line_end(input: &[u8], finished: bool) -> Option<(usize, usize)> {
    let Some(at) = input.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
        return finished.then_some((input.len(), input.len()));
    };
    match (input.get(at), input.get(at + 1)) {
        (Some(b'\r'), Some(b'\n')) => Some((at, at + 2)),
        // A carriage return at the very end may be half of a line end.
        (Some(b'\r'), None) if !finished => None,
        _ => Some((at, at + 1)),
    }
}
