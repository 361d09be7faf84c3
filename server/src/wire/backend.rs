//! Encoding what the server sends.

use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use trellis_sqlcompat::SqlError;
use trellis_sqlcompat::plan::ResultColumn;

use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, NotificationResponse,
    ReadyForQuery, TransactionStatus,
};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};

/// How bad a reported condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// Something is off, but the statement ran.
    Warning,
    /// For information.
    Notice,
    /// What was asked for; always sent.
    Info,
    /// For the server's log.
    Log,
    /// For whoever looks for a fault.
    Debug,
}

impl Severity {
    /// Whether a session sends messages of this severity under a setting of `client_min_messages`.
    #[must_use]
    pub fn is_sent(self, client_min_messages: &str) -> bool {
        match self {
            Self::Error | Self::Fatal | Self::Info => true,
            Self::Warning => client_min_messages != "error",
            Self::Notice => !["error", "warning"].contains(&client_min_messages),
            Self::Log => client_min_messages == "log" || client_min_messages.starts_with("debug"),
            Self::Debug => client_min_messages.starts_with("debug"),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Log => "LOG",
            Self::Debug => "DEBUG",
        }
    }
}

/// Bytes for one client, in the order of its protocol.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: BytesMut,
}

impl Outbox {
    /// The bytes not yet taken.
    pub fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn put(&mut self, message: &PgWireBackendMessage) {
        // Encoding into memory fails only for messages above the protocol's own length limit, which no caller builds.
        if let Err(error) = message.encode(&mut self.bytes) {
            tracing::error!(%error, "a message could not be encoded");
        }
    }

    /// `AuthenticationOk`.
    pub fn authentication_ok(&mut self) {
        self.put(&PgWireBackendMessage::Authentication(Authentication::Ok));
    }

    /// `AuthenticationSASL`: the mechanisms that are offered.
    pub fn authentication_sasl(&mut self, mechanisms: &[&str]) {
        let mechanisms = mechanisms.iter().map(|it| (*it).to_owned()).collect();
        self.put(&PgWireBackendMessage::Authentication(Authentication::SASL(mechanisms)));
    }

    /// `AuthenticationSASLContinue`.
    pub fn authentication_sasl_continue(&mut self, data: String) {
        let data = Bytes::from(data);
        self.put(&PgWireBackendMessage::Authentication(Authentication::SASLContinue(data)));
    }

    /// `AuthenticationSASLFinal`.
    pub fn authentication_sasl_final(&mut self, data: String) {
        let data = Bytes::from(data);
        self.put(&PgWireBackendMessage::Authentication(Authentication::SASLFinal(data)));
    }

    /// `ParameterStatus`.
    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.put(&PgWireBackendMessage::ParameterStatus(ParameterStatus::new(
            name.to_owned(),
            value.to_owned(),
        )));
    }

    /// `BackendKeyData`: 4 bytes of key in protocol 3.0, up to 256 since 3.2.
    pub fn backend_key_data(&mut self, pid: u32, secret: &[u8]) {
        self.put(&PgWireBackendMessage::BackendKeyData(BackendKeyData::new(
            pid.cast_signed(),
            SecretKey::Bytes(Bytes::copy_from_slice(secret)),
        )));
    }

    /// `NegotiateProtocolVersion`: the newest minor version served and the options not known.
    pub fn negotiate_protocol_version(&mut self, minor: u16, unknown_options: &[String]) {
        self.bytes.put_u8(b'v');
        let options: usize = unknown_options.iter().map(|option| option.len() + 1).sum();
        put_length(&mut self.bytes, 4 + 4 + 4 + options);
        self.bytes.put_u32(0x0003_0000 | u32::from(minor));
        self.bytes.put_u32(u32::try_from(unknown_options.len()).unwrap_or(u32::MAX));
        for option in unknown_options {
            self.bytes.put_slice(option.as_bytes());
            self.bytes.put_u8(0);
        }
    }

    /// `ReadyForQuery` with the transaction status.
    pub fn ready_for_query(&mut self, status: TransactionStatus) {
        self.put(&PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status)));
    }

    /// `CommandComplete`.
    pub fn command_complete(&mut self, tag: &str) {
        self.put(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.to_owned())));
    }

    /// `EmptyQueryResponse`.
    pub fn empty_query_response(&mut self) {
        self.put(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
    }

    /// `ParseComplete`.
    pub fn parse_complete(&mut self) {
        self.put(&PgWireBackendMessage::ParseComplete(ParseComplete::new()));
    }

    /// `BindComplete`.
    pub fn bind_complete(&mut self) {
        self.put(&PgWireBackendMessage::BindComplete(BindComplete::new()));
    }

    /// `CloseComplete`.
    pub fn close_complete(&mut self) {
        self.put(&PgWireBackendMessage::CloseComplete(CloseComplete::new()));
    }

    /// `PortalSuspended`.
    pub fn portal_suspended(&mut self) {
        self.put(&PgWireBackendMessage::PortalSuspended(PortalSuspended::new()));
    }

    /// `NoData`.
    pub fn no_data(&mut self) {
        self.put(&PgWireBackendMessage::NoData(NoData::new()));
    }

    /// `ParameterDescription`.
    pub fn parameter_description(&mut self, types: Vec<u32>) {
        self.put(&PgWireBackendMessage::ParameterDescription(ParameterDescription::new(types)));
    }

    /// `RowDescription`; `format` gives the format code of the column with that index.
    pub fn row_description(&mut self, columns: &[ResultColumn], format: impl Fn(usize) -> i16) {
        let field = |(index, column): (usize, &ResultColumn)| {
            FieldDescription::new(
                column.name.clone(),
                column.table_oid.0.cast_signed(),
                column.attnum,
                column.type_oid.0,
                column.type_len,
                column.typmod,
                format(index),
            )
        };
        let fields = columns.iter().enumerate().map(field).collect();
        self.put(&PgWireBackendMessage::RowDescription(RowDescription::new(fields)));
    }

    /// `CopyInResponse`: all columns in one format.
    pub fn copy_in_response(&mut self, binary: bool, columns: usize) {
        let (format, columns, formats) = copy_formats(binary, columns);
        let message = CopyInResponse::new(format, columns, formats);
        self.put(&PgWireBackendMessage::CopyInResponse(message));
    }

    /// `CopyOutResponse`: all columns in one format.
    pub fn copy_out_response(&mut self, binary: bool, columns: usize) {
        let (format, columns, formats) = copy_formats(binary, columns);
        let message = CopyOutResponse::new(format, columns, formats);
        self.put(&PgWireBackendMessage::CopyOutResponse(message));
    }

    /// `CopyData`.
    pub fn copy_data(&mut self, data: &[u8]) {
        self.bytes.put_u8(b'd');
        put_length(&mut self.bytes, data.len() + 4);
        self.bytes.put_slice(data);
    }

    /// `CopyDone`.
    pub fn copy_done(&mut self) {
        self.put(&PgWireBackendMessage::CopyDone(CopyDone::new()));
    }

    /// `NotificationResponse`.
    pub fn notification(&mut self, pid: u32, channel: &str, payload: &str) {
        let message =
            NotificationResponse::new(pid.cast_signed(), channel.to_owned(), payload.to_owned());
        self.put(&PgWireBackendMessage::NotificationResponse(message));
    }

    /// `ErrorResponse` or `NoticeResponse`, by severity.
    pub fn report(&mut self, severity: Severity, error: &SqlError) {
        let fields = report_fields(severity, error);
        self.put(&match severity {
            Severity::Error | Severity::Fatal => {
                PgWireBackendMessage::ErrorResponse(ErrorResponse::new(fields))
            }
            Severity::Warning
            | Severity::Notice
            | Severity::Info
            | Severity::Log
            | Severity::Debug => PgWireBackendMessage::NoticeResponse(NoticeResponse::new(fields)),
        });
    }

    /// Starts a `DataRow` of `columns` columns; fill it with [`RowWriter`] and call [`RowWriter::finish`].
    pub fn begin_row(&mut self, columns: usize) -> RowWriter<'_> {
        let start = self.bytes.len();
        self.bytes.put_u8(b'D');
        self.bytes.put_u32(0);
        self.bytes.put_u16(u16::try_from(columns).unwrap_or(u16::MAX));
        RowWriter { bytes: &mut self.bytes, start }
    }

    /// Takes back everything written since the outbox was `length` bytes long.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }
}

/// Writes the columns of one `DataRow` in place.
#[derive(Debug)]
pub struct RowWriter<'a> {
    bytes: &'a mut BytesMut,
    start: usize,
}

impl RowWriter<'_> {
    /// Adds a NULL.
    pub fn null(&mut self) {
        self.bytes.put_i32(-1);
    }

    /// Adds a value.
    pub fn value(&mut self, value: &[u8]) {
        put_length(self.bytes, value.len());
        self.bytes.put_slice(value);
    }

    /// Sets the row's length.
    pub fn finish(self) {
        let length = u32::try_from(self.bytes.len() - self.start - 1).unwrap_or(u32::MAX);
        if let Some(word) = self.bytes.get_mut(self.start + 1..self.start + 5) {
            word.copy_from_slice(&length.to_be_bytes());
        }
    }
}

fn put_length(bytes: &mut BytesMut, length: usize) {
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn copy_formats(binary: bool, columns: usize) -> (i8, i16, Vec<i16>) {
    let count = i16::try_from(columns).unwrap_or(i16::MAX);
    (i8::from(binary), count, vec![i16::from(binary); columns])
}

fn report_fields(severity: Severity, error: &SqlError) -> Vec<(u8, String)> {
    let name = severity.as_str().to_owned();
    let mut fields = vec![
        (b'S', name.clone()),
        (b'V', name),
        (b'C', error.state.as_str().to_owned()),
        (b'M', error.message.clone()),
    ];
    let object = &error.object;
    let optional = [
        (b'D', error.detail.clone()),
        (b'H', error.hint.clone()),
        (b'P', error.position.map(|position| position.to_string())),
        (b'W', error.context.clone()),
        (b's', object.schema.clone()),
        (b't', object.table.clone()),
        (b'c', object.column.clone()),
        (b'd', object.data_type.clone()),
        (b'n', object.constraint.clone()),
    ];
    fields.extend(optional.into_iter().filter_map(|(code, value)| Some((code, value?))));
    fields
}
