//! Decoding what a client sends.
//!
//! A frame is a type byte, a length that counts itself, and a body. `next_frame` delimits one; the decoders then read an
//! already complete body and must use it up exactly.
//!
//! # Bounds
//! - [`STARTUP_BYTES_MAX`]: a startup packet, as in PostgreSQL (`MAX_STARTUP_PACKET_LENGTH`).
//! - [`SMALL_FRAME_BYTES_MAX`]: messages that carry no query, parameter or copy data.
//! - [`FRAME_BYTES_MAX`]: all others. Exceeding one is [`DecodeError::TooLarge`] before anything is allocated.

use bytes::{Buf, Bytes, BytesMut};

/// Longest startup packet, bytes.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// Longest message without query text, parameters or copy data, bytes.
pub const SMALL_FRAME_BYTES_MAX: usize = 30_000;
/// Longest message of any other kind, bytes.
pub const FRAME_BYTES_MAX: usize = 256 << 20;

const CANCEL_REQUEST_CODE: u32 = 80_877_102;
const SSL_REQUEST_CODE: u32 = 80_877_103;
const GSSENC_REQUEST_CODE: u32 = 80_877_104;

/// Why bytes from a client are not a message. The connection cannot go on after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The length word is below its own size or above the limit for the message.
    #[error("invalid message length")]
    TooLarge,
    /// The type byte is not one of the protocol's.
    #[error("invalid frontend message type {0}")]
    UnknownType(u8),
    /// The body ends early, or goes on after its last field.
    #[error("invalid message format")]
    Malformed,
    /// Text is not UTF-8.
    #[error("invalid byte sequence for encoding \"UTF8\": 0x{0:02x}")]
    InvalidUtf8(u8),
    /// A startup packet of another protocol version.
    #[error("unsupported frontend protocol {0}.{1}: server supports 3.0 to 3.2")]
    UnsupportedProtocol(u16, u16),
}

/// What a connection opens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartupMessage {
    /// Asks for TLS.
    SslRequest,
    /// Asks for GSSAPI encryption.
    GssEncRequest,
    /// Asks to cancel what another connection runs.
    Cancel {
        /// Process id from `BackendKeyData`.
        pid: u32,
        /// Secret key from `BackendKeyData`, 4 to 256 bytes.
        secret: Bytes,
    },
    /// Opens a session.
    Startup {
        /// Minor protocol version: 0, or what the client would like.
        minor: u16,
        /// Parameters in the order sent.
        parameters: Vec<(String, String)>,
    },
}

/// A message of an open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrontendMessage {
    /// Simple query.
    Query(String),
    /// Prepares a statement.
    Parse {
        /// Statement name, empty for the unnamed one.
        name: String,
        /// SQL text.
        query: String,
        /// Parameter types, 0 for unspecified.
        parameter_types: Vec<u32>,
    },
    /// Makes a portal of a prepared statement.
    Bind {
        /// Portal name, empty for the unnamed one.
        portal: String,
        /// Statement name.
        statement: String,
        /// Format codes of the parameters: none, one for all, or one each.
        parameter_formats: Vec<i16>,
        /// Parameter values; `None` is NULL.
        parameters: Vec<Option<Bytes>>,
        /// Format codes of the result columns: none, one for all, or one each.
        result_formats: Vec<i16>,
    },
    /// Describes a statement or portal.
    Describe(Target),
    /// Runs a portal.
    Execute {
        /// Portal name.
        portal: String,
        /// Most rows to return; 0 for all.
        max_rows: u32,
    },
    /// Closes a statement or portal.
    Close(Target),
    /// Asks for pending output.
    Flush,
    /// Ends a pipeline.
    Sync,
    /// A piece of copy data.
    CopyData(Bytes),
    /// End of copy data.
    CopyDone,
    /// The client gives the copy up.
    CopyFail(String),
    /// Fast-path function call, which is not supported.
    FunctionCall,
    /// A password or SASL response; meaning depends on the authentication under way.
    Password(Bytes),
    /// Goodbye.
    Terminate,
}

/// What `Describe` and `Close` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement.
    Statement(String),
    /// A portal.
    Portal(String),
}

/// Takes one message off the front of `input`; `None` if it is not complete yet.
///
/// # Errors
/// Any [`DecodeError`]; `input` is then of no further use.
pub fn next_message(input: &mut BytesMut) -> Result<Option<FrontendMessage>, DecodeError> {
    let Some((kind, body)) = next_frame(input)? else { return Ok(None) };
    let mut body = Body(body);
    let message = decode_body(kind, &mut body)?;
    body.finish()?;
    Ok(Some(message))
}

/// Takes one message of an authentication off the front of `input`; `None` if it is not complete yet. Any other kind is
/// refused before any of it is waited for.
///
/// # Errors
/// Any [`DecodeError`]; `input` is then of no further use.
pub fn next_password(input: &mut BytesMut) -> Result<Option<Bytes>, DecodeError> {
    match input.first() {
        Some(b'p') | None => Ok(next_frame(input)?.map(|(_, body)| body)),
        Some(other) => Err(DecodeError::UnknownType(*other)),
    }
}

/// The body of a `SASLInitialResponse`: the mechanism and what the client says first; `None` if it is malformed.
#[must_use]
pub fn sasl_initial_response(body: Bytes) -> Option<(String, Bytes)> {
    let mut body = Body(body);
    let mechanism = body.text().ok()?;
    let data = body.parameter().ok()??;
    body.finish().ok()?;
    Some((mechanism, data))
}

/// Whether the next message in `input` is a `Sync`, all of it being there.
#[must_use]
pub fn sync_is_next(input: &[u8]) -> bool {
    input.starts_with(&[b'S', 0, 0, 0, 4])
}

/// Takes one startup packet off the front of `input`; `None` if it is not complete yet.
///
/// # Errors
/// Any [`DecodeError`]; `input` is then of no further use.
pub fn next_startup(input: &mut BytesMut) -> Result<Option<StartupMessage>, DecodeError> {
    let Some(length) = input.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)) else {
        return Ok(None);
    };
    let length = length as usize;
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(DecodeError::TooLarge);
    }
    if input.len() < length {
        return Ok(None);
    }
    let mut frame = input.split_to(length);
    frame.advance(4);
    let mut body = Body(frame.freeze());
    let message = match body.u32()? {
        SSL_REQUEST_CODE => StartupMessage::SslRequest,
        GSSENC_REQUEST_CODE => StartupMessage::GssEncRequest,
        CANCEL_REQUEST_CODE => {
            let pid = body.u32()?;
            let secret = body.rest();
            if !(4..=256).contains(&secret.len()) {
                return Err(DecodeError::Malformed);
            }
            StartupMessage::Cancel { pid, secret }
        }
        version => startup(version, &mut body)?,
    };
    body.finish()?;
    Ok(Some(message))
}

fn startup(version: u32, body: &mut Body) -> Result<StartupMessage, DecodeError> {
    let [high_major, low_major, high_minor, low_minor] = version.to_be_bytes();
    let major = u16::from_be_bytes([high_major, low_major]);
    let minor = u16::from_be_bytes([high_minor, low_minor]);
    if major != 3 {
        return Err(DecodeError::UnsupportedProtocol(major, minor));
    }
    let mut parameters = Vec::new();
    loop {
        let name = body.text()?;
        if name.is_empty() {
            return Ok(StartupMessage::Startup { minor, parameters });
        }
        parameters.push((name, body.text()?));
    }
}

/// Delimits one frame: its type byte and its body without the length word.
fn next_frame(input: &mut BytesMut) -> Result<Option<(u8, Bytes)>, DecodeError> {
    let Some(header) = input.first_chunk::<5>() else { return Ok(None) };
    let [kind, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    if length < 4 || length > frame_limit(kind)? {
        return Err(DecodeError::TooLarge);
    }
    if input.len() < length + 1 {
        input.reserve(length + 1 - input.len());
        return Ok(None);
    }
    let mut frame = input.split_to(length + 1);
    frame.advance(5);
    Ok(Some((kind, frame.freeze())))
}

fn frame_limit(kind: u8) -> Result<usize, DecodeError> {
    match kind {
        b'Q' | b'P' | b'B' | b'd' => Ok(FRAME_BYTES_MAX),
        b'F' | b'f' | b'p' | b'D' | b'E' | b'C' | b'H' | b'S' | b'c' | b'X' => {
            Ok(SMALL_FRAME_BYTES_MAX)
        }
        other => Err(DecodeError::UnknownType(other)),
    }
}

fn decode_body(kind: u8, body: &mut Body) -> Result<FrontendMessage, DecodeError> {
    Ok(match kind {
        b'Q' => FrontendMessage::Query(body.text()?),
        b'P' => FrontendMessage::Parse {
            name: body.text()?,
            query: body.text()?,
            parameter_types: body.list(Body::u32)?,
        },
        b'B' => FrontendMessage::Bind {
            portal: body.text()?,
            statement: body.text()?,
            parameter_formats: body.list(Body::i16)?,
            parameters: body.list(Body::parameter)?,
            result_formats: body.list(Body::i16)?,
        },
        b'D' => FrontendMessage::Describe(body.target()?),
        b'C' => FrontendMessage::Close(body.target()?),
        b'E' => FrontendMessage::Execute {
            portal: body.text()?,
            // A negative limit means "all", as in PostgreSQL.
            max_rows: u32::try_from(body.i32()?).unwrap_or(0),
        },
        b'H' => FrontendMessage::Flush,
        b'S' => FrontendMessage::Sync,
        b'd' => FrontendMessage::CopyData(body.rest()),
        b'c' => FrontendMessage::CopyDone,
        b'f' => FrontendMessage::CopyFail(body.text()?),
        b'p' => FrontendMessage::Password(body.rest()),
        b'X' => FrontendMessage::Terminate,
        b'F' => {
            body.rest();
            FrontendMessage::FunctionCall
        }
        other => return Err(DecodeError::UnknownType(other)),
    })
}

/// A complete message body, read from the front.
struct Body(Bytes);

impl Body {
    fn need(&self, bytes: usize) -> Result<(), DecodeError> {
        if self.0.len() < bytes { Err(DecodeError::Malformed) } else { Ok(()) }
    }

    fn i16(&mut self) -> Result<i16, DecodeError> {
        self.need(2)?;
        Ok(self.0.get_i16())
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.need(4)?;
        Ok(self.0.get_i32())
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.need(4)?;
        Ok(self.0.get_u32())
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(DecodeError::Malformed)?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|error| {
            DecodeError::InvalidUtf8(bytes.get(error.valid_up_to()).copied().unwrap_or(0))
        })
    }

    /// A 16-bit unsigned count and that many items.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.need(2)?;
        let count = usize::from(self.0.get_u16());
        // Every item takes two bytes at least, so the count cannot make us allocate more than was sent.
        self.need(count * 2)?;
        (0..count).map(|_| item(self)).collect()
    }

    fn parameter(&mut self) -> Result<Option<Bytes>, DecodeError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_negative| DecodeError::Malformed)?;
                self.need(length)?;
                Ok(Some(self.0.split_to(length)))
            }
        }
    }

    fn target(&mut self) -> Result<Target, DecodeError> {
        self.need(1)?;
        match self.0.get_u8() {
            b'S' => Ok(Target::Statement(self.text()?)),
            b'P' => Ok(Target::Portal(self.text()?)),
            _ => Err(DecodeError::Malformed),
        }
    }

    fn rest(&mut self) -> Bytes {
        self.0.split_to(self.0.len())
    }

    fn finish(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, body: &[u8]) -> BytesMut {
        let mut frame = BytesMut::from(&[kind][..]);
        frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn every_truncation_of_a_body_is_malformed() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\0";
        let whole = next_message(&mut frame(b'B', body)).unwrap().unwrap();
        assert!(
            matches!(whole, FrontendMessage::Bind { ref parameters, .. } if parameters.len() == 2)
        );
        for end in 0..body.len() {
            let result = next_message(&mut frame(b'B', &body[..end]));
            assert_eq!(result, Err(DecodeError::Malformed), "cut at {end}");
        }
        let mut long = body.to_vec();
        long.push(0);
        assert_eq!(next_message(&mut frame(b'B', &long)), Err(DecodeError::Malformed));
    }

    #[test]
    fn bad_lengths_types_and_text_are_errors() {
        let mut short = BytesMut::from(&b"Q\0\0\0\x03"[..]);
        assert_eq!(next_message(&mut short), Err(DecodeError::TooLarge));
        let mut long = BytesMut::from(&b"S\x7f\0\0\0"[..]);
        assert_eq!(next_message(&mut long), Err(DecodeError::TooLarge));
        assert_eq!(next_message(&mut frame(b'z', b"")), Err(DecodeError::UnknownType(b'z')));
        let text = next_message(&mut frame(b'Q', b"select '\xff'\0"));
        assert_eq!(text, Err(DecodeError::InvalidUtf8(0xff)));
        let mut startup = BytesMut::from(&b"\0\0\0\x04"[..]);
        assert_eq!(next_startup(&mut startup), Err(DecodeError::TooLarge));
    }
}
