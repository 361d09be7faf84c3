//! PostgreSQL's binary copy format: a signature, rows of length-prefixed fields, a trailer.

use trellis_sqlcompat::SqlError;

use super::decode::{Cut, Field, bad_format};

/// What the stream starts with.
pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Bytes of the signature with flags and header extension; `None` if it is not complete.
///
/// # Errors
/// 22P04 if it is not the signature, or has flags that are not known.
pub(super) fn signature(input: &[u8], finished: bool) -> Result<Option<usize>, SqlError> {
    let Some((head, rest)) = input.split_first_chunk::<11>() else {
        let wrong = input.iter().zip(SIGNATURE).any(|(got, wanted)| got != wanted);
        return if wrong || finished {
            Err(bad_format("COPY file signature not recognized"))
        } else {
            Ok(None)
        };
    };
    if head != SIGNATURE {
        return Err(bad_format("COPY file signature not recognized"));
    }
    let (Some((flags, rest)), true) = (rest.split_first_chunk::<4>(), rest.len() >= 8) else {
        return if finished {
            Err(bad_format("invalid COPY file header (missing length)"))
        } else {
            Ok(None)
        };
    };
    let flags = u32::from_be_bytes(*flags);
    if flags & (1 << 16) != 0 {
        return Err(bad_format("invalid COPY file header (WITH OIDS)"));
    }
    if flags >> 17 != 0 {
        return Err(bad_format("unrecognized critical flags in COPY file header"));
    }
    let extension = rest.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let total = 19 + usize::try_from(extension).unwrap_or(usize::MAX - 19);
    if total > 19 + (1 << 20) {
        return Err(bad_format("invalid COPY file header (wrong length)"));
    }
    Ok((input.len() >= total).then_some(total))
}

/// Cuts the first row off `input`.
///
/// # Errors
/// 22P04 for a field count other than `width`, or a negative length.
pub(super) fn cut(input: &[u8], width: usize, finished: bool) -> Result<Cut, SqlError> {
    let incomplete = || {
        if finished { Err(bad_format("unexpected EOF in COPY data")) } else { Ok(Cut::Incomplete) }
    };
    let Some((count, mut rest)) = input.split_first_chunk::<2>() else { return incomplete() };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Ok(Cut::End);
    }
    if usize::try_from(count) != Ok(width) {
        let message = format!("row field count is {count}, expected {width}");
        return Err(bad_format(message));
    }
    let mut fields: Vec<Field> = Vec::with_capacity(width);
    for _ in 0..width {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return incomplete() };
        rest = after;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            fields.push(None);
            continue;
        }
        let length =
            usize::try_from(length).map_err(|_negative| bad_format("invalid field size"))?;
        let Some((value, after)) = rest.split_at_checked(length) else { return incomplete() };
        fields.push(Some(value.to_vec()));
        rest = after;
    }
    Ok(Cut::Row(fields, input.len() - rest.len()))
}
