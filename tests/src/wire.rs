//! A bare client of the PostgreSQL protocol, version 3: it shows every message and hides nothing.
//!
//! Drivers interpret; tests of a server want to see command tags, error fields, transaction status and stray messages,
//! and to send what no driver would send. One [`Connection`] is one TCP stream, used from one thread.
//!
//! # Bounds
//!
//! A read waits at most [`PATIENCE`]; a frame is at most `FRAME_BYTES_MAX` long.
//!
//! # Sources
//!
//! PostgreSQL 15 manual, chapters `protocol-flow` and `protocol-message-formats`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::PATIENCE;

/// How much COPY data goes into one message, bytes.
const COPY_CHUNK_BYTES: usize = 64 << 10;

/// The longest frame that is read; a longer one means that the stream is out of step.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// One column of a row description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The OID of its type.
    pub type_oid: u32,
    /// The type modifier; -1 for none.
    pub type_modifier: i32,
}

/// The fields of an ErrorResponse or NoticeResponse, by their one-letter names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<char, String>);

impl Fields {
    /// The field's value; empty if it was not sent.
    pub fn get(&self, field: char) -> &str {
        self.0.get(&field).map_or("", String::as_str)
    }

    /// The five characters of the SQLSTATE.
    pub fn sqlstate(&self) -> &str {
        self.get('C')
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        self.get('M')
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sqlstate(), self.message())
    }
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// AuthenticationOk, or a request, by its code.
    Authentication(i32),
    /// A setting that the server reports.
    ParameterStatus(String, String),
    /// Process and secret for a cancel request.
    BackendKey(i32, i32),
    /// The types of a statement's parameters.
    ParameterTypes(Vec<u32>),
    /// The columns of rows to come.
    Columns(Vec<Column>),
    /// One row; `None` is NULL.
    Row(Vec<Option<Vec<u8>>>),
    /// The end of a statement, with its command tag.
    Complete(String),
    /// An error.
    Error(Fields),
    /// A notice.
    Notice(Fields),
    /// A notification: channel and payload.
    Notification(String, String),
    /// The server waits for COPY data.
    CopyIn,
    /// The server is going to send COPY data.
    CopyOut,
    /// A piece of COPY data.
    CopyData(Vec<u8>),
    /// The server waits for the next query, in this transaction status.
    Ready(char),
    /// A message without content that matters, by its tag: ParseComplete, NoData and their like.
    Bare(char),
}

/// A connection after, or before, its start-up.
#[derive(Debug)]
pub struct Connection {
    /// Buffered reading; writes go to the stream behind it.
    reader: BufReader<TcpStream>,
    /// Settings that the server reported.
    settings: BTreeMap<String, String>,
    /// Process and secret, once told.
    backend_key: (i32, i32),
    /// Notifications that came between answers.
    notifications: Vec<(String, String)>,
}

impl Connection {
    /// Connects without sending anything.
    ///
    /// # Errors
    ///
    /// When the server does not accept the connection.
    pub fn dial(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: BufReader::new(stream),
            settings: BTreeMap::new(),
            backend_key: (0, 0),
            notifications: Vec::new(),
        })
    }

    /// Connects as user and to database `postgres`, and waits for the first ReadyForQuery.
    ///
    /// # Errors
    ///
    /// When the connection or the start-up fails.
    pub fn open(address: SocketAddr) -> Result<Self> {
        Self::open_as(address, &[("user", "postgres"), ("database", "postgres")])
    }

    /// Connects with the given start-up parameters, and waits for the first ReadyForQuery.
    ///
    /// # Errors
    ///
    /// When the connection or the start-up fails.
    pub fn open_as(address: SocketAddr, parameters: &[(&str, &str)]) -> Result<Self> {
        let mut connection = Self::dial(address)?;
        connection.send_raw(&startup_packet(parameters))?;
        for message in connection.until_ready()? {
            match message {
                Message::Error(fields) => bail!("the server refused the start-up: {fields}"),
                Message::BackendKey(process, secret) => connection.backend_key = (process, secret),
                _ => {}
            }
        }
        Ok(connection)
    }

    /// Sends a frame: a tag, the length, and `body`.
    ///
    /// # Errors
    ///
    /// When the stream is broken.
    pub fn send(&mut self, tag: u8, body: &[u8]) -> Result<()> {
        let mut frame = vec![tag];
        frame.extend(u32::try_from(body.len() + 4)?.to_be_bytes());
        frame.extend(body);
        self.send_raw(&frame)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// When the stream is broken.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.reader.get_mut().write_all(bytes).context("cannot send")
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    ///
    /// When the stream is broken.
    pub fn finish_sending(&mut self) -> Result<()> {
        self.reader.get_mut().shutdown(Shutdown::Write).context("cannot shut down")
    }

    /// Reads up to the end of the stream, and returns the bytes.
    ///
    /// # Errors
    ///
    /// When the server neither sends nor closes in time. A reset counts as the end.
    pub fn read_to_close(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(bytes),
            Err(error) => Err(error).context("the server did not close the connection"),
        }
    }

    /// Reads the next message.
    ///
    /// # Errors
    ///
    /// When the stream ends, stays silent, or carries something that is no message.
    pub fn receive(&mut self) -> Result<Message> {
        let (tag, body) = self.receive_frame()?;
        let message =
            decode(tag, &body).with_context(|| format!("message {tag:?} is malformed"))?;
        if let Message::ParameterStatus(name, value) = &message {
            self.settings.insert(name.clone(), value.clone());
        }
        Ok(message)
    }

    /// Reads a request of an authentication: its code and what follows it.
    ///
    /// # Errors
    ///
    /// As for [`Connection::receive`], and when it is another message.
    pub fn receive_authentication(&mut self) -> Result<(i32, Vec<u8>)> {
        match self.receive_frame()? {
            ('R', body) => {
                let (code, data) = body.split_first_chunk::<4>().context("there is no code")?;
                Ok((i32::from_be_bytes(*code), data.to_vec()))
            }
            (tag, body) => bail!("message {tag:?}: {}", String::from_utf8_lossy(&body)),
        }
    }

    /// Reads the next message as it is: its tag and its body.
    fn receive_frame(&mut self) -> Result<(char, Vec<u8>)> {
        let mut header = [0; 5];
        self.reader.read_exact(&mut header).context("no message came")?;
        let [tag, length @ ..] = header;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=FRAME_BYTES_MAX).contains(&length) {
            bail!("message {:?} claims to be {length} bytes long", char::from(tag));
        }
        let mut body = vec![0; length - 4];
        self.reader.read_exact(&mut body).context("a message is cut short")?;
        Ok((char::from(tag), body))
    }

    /// Reads messages up to and including ReadyForQuery.
    ///
    /// # Errors
    ///
    /// As for [`Connection::receive`].
    pub fn until_ready(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let message = self.receive()?;
            if let Message::Notification(channel, payload) = &message {
                self.notifications.push((channel.clone(), payload.clone()));
            }
            let last = matches!(message, Message::Ready(_));
            messages.push(message);
            if last {
                return Ok(messages);
            }
        }
    }

    /// Sends a Query and reads the answer. A server that asks for COPY data is given an empty set.
    ///
    /// # Errors
    ///
    /// When the connection fails; an ErrorResponse is part of the answer.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Message>> {
        self.query_with_data(sql, b"")
    }

    /// Sends a Query and reads the answer; `data` is what the server gets if it asks for COPY data.
    ///
    /// # Errors
    ///
    /// When the connection fails; an ErrorResponse is part of the answer.
    pub fn query_with_data(&mut self, sql: &str, data: &[u8]) -> Result<Vec<Message>> {
        self.send(b'Q', &c_string(sql))?;
        let mut messages = Vec::new();
        loop {
            let message = self.receive()?;
            match &message {
                Message::CopyIn => {
                    for chunk in data.chunks(COPY_CHUNK_BYTES) {
                        self.send(b'd', chunk)?;
                    }
                    self.send(b'c', b"")?;
                }
                Message::Notification(channel, payload) => {
                    self.notifications.push((channel.clone(), payload.clone()));
                }
                Message::Ready(_) => {
                    messages.push(message);
                    return Ok(messages);
                }
                _ => {}
            }
            messages.push(message);
        }
    }

    /// Runs `sql` and returns all rows as text.
    ///
    /// # Errors
    ///
    /// When the connection fails or the server answers with an error.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        for message in self.query(sql)? {
            match message {
                Message::Row(values) => rows.push(values.into_iter().map(as_text).collect()),
                Message::Error(fields) => bail!("{fields} (in: {sql})"),
                _ => {}
            }
        }
        Ok(rows)
    }

    /// Runs `sql` for its effect.
    ///
    /// # Errors
    ///
    /// When the connection fails or the server answers with an error.
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        self.rows(sql).map(|_| ())
    }

    /// Runs `sql` through Parse, Describe, Bind, Execute and Sync, with parameters as text and results in
    /// the format `result_format` (0 text, 1 binary).
    ///
    /// # Errors
    ///
    /// When the connection fails; an ErrorResponse is part of the answer.
    pub fn extended(
        &mut self,
        sql: &str,
        parameters: &[Option<&str>],
        result_format: i16,
    ) -> Result<Vec<Message>> {
        let mut parse = c_string("");
        parse.extend(c_string(sql));
        parse.extend(0_i16.to_be_bytes());
        self.send(b'P', &parse)?;
        self.send(b'D', b"S\0")?;
        let mut bind = vec![0, 0];
        bind.extend(0_i16.to_be_bytes());
        bind.extend(i16::try_from(parameters.len())?.to_be_bytes());
        for parameter in parameters {
            match parameter {
                None => bind.extend((-1_i32).to_be_bytes()),
                Some(text) => {
                    bind.extend(i32::try_from(text.len())?.to_be_bytes());
                    bind.extend(text.as_bytes());
                }
            }
        }
        bind.extend(1_i16.to_be_bytes());
        bind.extend(result_format.to_be_bytes());
        self.send(b'B', &bind)?;
        self.send(b'E', &[0, 0, 0, 0, 0])?;
        self.send(b'S', b"")?;
        self.until_ready()
    }

    /// Asks for the parameter types and columns of `sql` without running it.
    ///
    /// # Errors
    ///
    /// When the connection fails; an ErrorResponse is part of the answer.
    pub fn describe(&mut self, sql: &str) -> Result<Vec<Message>> {
        let mut parse = c_string("");
        parse.extend(c_string(sql));
        parse.extend(0_i16.to_be_bytes());
        self.send(b'P', &parse)?;
        self.send(b'D', b"S\0")?;
        self.send(b'S', b"")?;
        self.until_ready()
    }

    /// Waits for the next notification: channel and payload.
    ///
    /// # Errors
    ///
    /// When none comes in time.
    pub fn notification(&mut self) -> Result<(String, String)> {
        if !self.notifications.is_empty() {
            return Ok(self.notifications.remove(0));
        }
        loop {
            match self.receive().context("no notification came")? {
                Message::Notification(channel, payload) => return Ok((channel, payload)),
                Message::Error(fields) => bail!("instead of a notification came {fields}"),
                _ => {}
            }
        }
    }

    /// How long a read may wait, where a test expects silence.
    ///
    /// # Errors
    ///
    /// When the socket refuses.
    pub fn set_read_timeout(&mut self, limit: Duration) -> Result<()> {
        self.reader.get_ref().set_read_timeout(Some(limit)).context("cannot set a time limit")
    }

    /// A setting as the server reported it; empty if it did not.
    pub fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    /// All settings that the server reported.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// The bytes of a cancel request for this connection.
    pub fn cancel_packet(&self) -> Vec<u8> {
        let (process, secret) = self.backend_key;
        let mut packet = 16_i32.to_be_bytes().to_vec();
        packet.extend(80_877_102_i32.to_be_bytes());
        packet.extend(process.to_be_bytes());
        packet.extend(secret.to_be_bytes());
        packet
    }
}

/// The start-up packet of protocol 3.0 with these parameters.
pub fn startup_packet(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_i32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(c_string(name));
        body.extend(c_string(value));
    }
    body.push(0);
    let mut packet = Vec::new();
    // A start-up packet of a test is far below 2 GiB; a length that does not fit would be seen as malformed.
    packet.extend(u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    packet.extend(body);
    packet
}

/// A string with the NUL byte that ends it on the wire.
pub fn c_string(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// A value as text; bytes that are not UTF-8 are replaced visibly.
fn as_text(value: Option<Vec<u8>>) -> Option<String> {
    value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Decodes the body of a message.
fn decode(tag: char, body: &[u8]) -> Result<Message> {
    let mut body = Body(body);
    Ok(match tag {
        'R' => Message::Authentication(body.int32()?),
        'S' => Message::ParameterStatus(body.string()?, body.string()?),
        'K' => Message::BackendKey(body.int32()?, body.int32()?),
        't' => {
            let count = body.int16()?;
            Message::ParameterTypes((0..count).map(|_| body.oid()).collect::<Result<_>>()?)
        }
        'T' => {
            let count = body.int16()?;
            Message::Columns((0..count).map(|_| body.column()).collect::<Result<_>>()?)
        }
        'D' => {
            let count = body.int16()?;
            Message::Row((0..count).map(|_| body.value()).collect::<Result<_>>()?)
        }
        'C' => Message::Complete(body.string()?),
        'E' => Message::Error(body.fields()?),
        'N' => Message::Notice(body.fields()?),
        'A' => {
            body.int32()?;
            Message::Notification(body.string()?, body.string()?)
        }
        'G' => Message::CopyIn,
        'H' => Message::CopyOut,
        'd' => Message::CopyData(body.0.to_vec()),
        'Z' => Message::Ready(char::from(*body.0.first().context("it is empty")?)),
        other => Message::Bare(other),
    })
}

/// The rest of a message's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    /// Takes the next `count` bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("it is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes a 16-bit integer.
    fn int16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    /// Takes a 32-bit integer.
    fn int32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// Takes an OID.
    fn oid(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// Takes a string up to its NUL byte.
    fn string(&mut self) -> Result<String> {
        let length = self.0.iter().position(|byte| *byte == 0).context("a string has no end")?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    /// Takes a column of a row description.
    fn column(&mut self) -> Result<Column> {
        let name = self.string()?;
        self.take(6)?;
        let type_oid = self.oid()?;
        self.take(2)?;
        let type_modifier = self.int32()?;
        self.take(2)?;
        Ok(Column { name, type_oid, type_modifier })
    }

    /// Takes a value with its length; -1 is NULL.
    fn value(&mut self) -> Result<Option<Vec<u8>>> {
        match usize::try_from(self.int32()?) {
            Ok(length) => Ok(Some(self.take(length)?.to_vec())),
            Err(_negative) => Ok(None),
        }
    }

    /// Takes the fields of an error or notice.
    fn fields(&mut self) -> Result<Fields> {
        let mut fields = Fields::default();
        loop {
            match self.take(1)? {
                [0] => return Ok(fields),
                [name, ..] => {
                    fields.0.insert(char::from(*name), self.string()?);
                }
                [] => bail!("a field has no name"),
            }
        }
    }
}
