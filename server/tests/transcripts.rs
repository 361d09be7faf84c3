//! Session transcripts: what a client sends and what it gets, as golden scripts under `testscripts/session`.
//!
//! Each script runs against a database of its own; a command's prefix names the client (`c1:`), each with its own session.
//! `UPDATE_GOLDENFILES=1` rewrites the answers; read the difference before committing it.
//!
//! | command | message |
//! |---|---|
//! | `query SQL` | `Query` |
//! | `parse NAME SQL [OID…]` | `Parse` |
//! | `bind PORTAL STATEMENT [VALUE…] [result=CODE] [parameter=CODE]` | `Bind`; `NULL` is NULL, `x:…` is bytes in hex |
//! | `describe statement\|portal NAME`, `close …` | `Describe`, `Close` |
//! | `execute PORTAL [MAX]` | `Execute` |
//! | `sync`, `flush`, `copydone`, `copyfail REASON`, `copydata TEXT`, `function_call` | the message |
//! | `wake` | lets an idle session deliver its notifications |
//! | `idle` | sets the session's transaction aside, as when others want to write while it is idle |

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use goldenscript::{Command, Context};
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::{DecodeContext, PgWireBackendMessage};
use trellis_server::engine::{CancelSwitch, Database, SqliteEngine};
use trellis_server::feed::Mailbox;
use trellis_server::registry::Registry;
use trellis_server::session::{Disconnected, Identity, Sent, Session, Settings, Wire};
use trellis_server::wire::FrontendMessage;
use trellis_server::wire::frontend::Target;

/// 2026-01-02 03:04:05 UTC, in microseconds since 2000-01-01.
const NOW_US: i64 = 820_551_845_000_000;

#[derive(Default)]
struct Captured(BytesMut);

impl Wire for Captured {
    fn send(&mut self, bytes: &mut BytesMut, _: Duration) -> Result<Sent, Disconnected> {
        self.0.extend_from_slice(&bytes.split());
        Ok(Sent::All)
    }
}

struct Transcript {
    _directory: tempfile::TempDir,
    database: Arc<Database>,
    sessions: BTreeMap<String, Session<SqliteEngine>>,
}

impl Transcript {
    fn new() -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let database = Database::open(directory.path(), Arc::new(Registry::new(100)))?;
        Ok(Self { _directory: directory, database, sessions: BTreeMap::new() })
    }

    fn session(&mut self, name: &str) -> Result<&mut Session<SqliteEngine>, Box<dyn Error>> {
        if !self.sessions.contains_key(name) {
            let pid = u32::try_from(self.sessions.len() + 1)?;
            let identity = Identity {
                user: "postgres".to_owned(),
                database: "postgres".to_owned(),
                pid,
                named: true,
            };
            let settings = Arc::new(Mutex::new(Settings::new("postgres")));
            let mailbox = Arc::new(Mailbox::new(Box::new(|| ())));
            let cancel = Arc::new(CancelSwitch::new(&self.database));
            let engine = SqliteEngine::open(
                &self.database,
                &identity,
                Arc::clone(&settings),
                mailbox,
                cancel,
            )?;
            let session = Session::new(engine, identity, settings);
            self.sessions.insert(name.to_owned(), session);
        }
        Ok(self.sessions.get_mut(name).ok_or("no such session")?)
    }
}

impl goldenscript::Runner for Transcript {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        let name = context.prefix.clone().unwrap_or_else(|| "c1".to_owned());
        let session = self.session(&name)?;
        let mut captured = Captured::default();
        if command.name == "wake" {
            session.deliver_notifications();
        } else if command.name == "idle" {
            session.engine().set_aside();
        } else {
            let message = message(command)?;
            if session.handle(NOW_US, message, &mut captured).is_err() {
                return Err("disconnected".into());
            }
        }
        captured.0.extend_from_slice(&session.outbox().bytes().split());
        let mut output = String::new();
        let mut context = DecodeContext::default();
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
        while let Some(answer) = PgWireBackendMessage::decode(&mut captured.0, &context)? {
            writeln!(output, "{}", show(&answer))?;
        }
        Ok(output)
    }
}

fn message(command: &Command) -> Result<FrontendMessage, Box<dyn Error>> {
    let mut args = command.consume_args();
    let result_formats = codes(args.take_key("result"))?;
    let parameter_formats = codes(args.take_key("parameter"))?;
    let positional: Vec<String> = args.rest_positional();
    let text = |at: usize| positional.get(at).cloned().unwrap_or_default();
    let target = || match text(0).as_str() {
        "statement" => Ok(Target::Statement(text(1))),
        "portal" => Ok(Target::Portal(text(1))),
        other => Err(format!("describe what? {other}")),
    };
    Ok(match command.name.as_str() {
        "query" => FrontendMessage::Query(text(0)),
        "parse" => FrontendMessage::Parse {
            name: text(0),
            query: text(1),
            parameter_types: positional
                .iter()
                .skip(2)
                .map(|oid| oid.parse())
                .collect::<Result<_, _>>()?,
        },
        "bind" => FrontendMessage::Bind {
            portal: text(0),
            statement: text(1),
            parameter_formats,
            parameters: positional
                .iter()
                .skip(2)
                .map(|value| parameter(value))
                .collect::<Result<_, _>>()?,
            result_formats,
        },
        "describe" => FrontendMessage::Describe(target()?),
        "close" => FrontendMessage::Close(target()?),
        "execute" => {
            FrontendMessage::Execute { portal: text(0), max_rows: text(1).parse().unwrap_or(0) }
        }
        "sync" => FrontendMessage::Sync,
        "flush" => FrontendMessage::Flush,
        "copydata" => FrontendMessage::CopyData(Bytes::from(text(0))),
        "copydone" => FrontendMessage::CopyDone,
        "copyfail" => FrontendMessage::CopyFail(text(0)),
        "function_call" => FrontendMessage::FunctionCall,
        other => return Err(format!("unknown command {other}").into()),
    })
}

/// Positional arguments, which the argument consumer only gives one by one.
trait RestPositional {
    fn rest_positional(&mut self) -> Vec<String>;
}

impl RestPositional for goldenscript::ArgumentConsumer<'_> {
    fn rest_positional(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next_pos().map(str::to_owned)).collect()
    }
}

fn codes(text: Option<&str>) -> Result<Vec<i16>, Box<dyn Error>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    Ok(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
}

fn parameter(value: &str) -> Result<Option<Bytes>, Box<dyn Error>> {
    if value == "NULL" {
        return Ok(None);
    }
    let Some(hex) = value.strip_prefix("x:") else {
        return Ok(Some(Bytes::copy_from_slice(value.as_bytes())));
    };
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    Ok(Some(digits.chunks(2).map(byte).collect::<Result<Vec<_>, _>>()?.into()))
}

/// One message in one line.
fn show(message: &PgWireBackendMessage) -> String {
    match message {
        PgWireBackendMessage::DataRow(row) => format!("DataRow {}", show_row(&row.data)),
        PgWireBackendMessage::RowDescription(it) => {
            let field = |field: &pgwire::messages::data::FieldDescription| {
                let typmod = match field.type_modifier {
                    -1 => String::new(),
                    typmod => format!("/{typmod}"),
                };
                let binary = if field.format_code == 1 { " binary" } else { "" };
                format!("{} {}{typmod}{binary}", field.name, field.type_id)
            };
            let fields: Vec<String> = it.fields.iter().map(field).collect();
            format!("RowDescription {}", fields.join(", "))
        }
        PgWireBackendMessage::ParameterDescription(it) => {
            format!("ParameterDescription {:?}", it.types)
        }
        PgWireBackendMessage::CommandComplete(it) => format!("CommandComplete {}", it.tag),
        PgWireBackendMessage::ReadyForQuery(it) => {
            let status = match it.status {
                TransactionStatus::Idle => 'I',
                TransactionStatus::Transaction => 'T',
                TransactionStatus::Error => 'E',
            };
            format!("ReadyForQuery {status}")
        }
        PgWireBackendMessage::ErrorResponse(it) => {
            format!("ErrorResponse {}", show_fields(&it.fields))
        }
        PgWireBackendMessage::NoticeResponse(it) => {
            format!("NoticeResponse {}", show_fields(&it.fields))
        }
        PgWireBackendMessage::NotificationResponse(it) => {
            format!("NotificationResponse {} {}", it.channel, hide_origin(&it.payload))
        }
        PgWireBackendMessage::ParameterStatus(it) => {
            format!("ParameterStatus {}={}", it.name, it.value)
        }
        PgWireBackendMessage::CopyData(it) => {
            format!("CopyData {:?}", String::from_utf8_lossy(&it.data))
        }
        PgWireBackendMessage::CopyInResponse(it) => {
            format!("CopyInResponse {} {}", it.format, it.columns)
        }
        PgWireBackendMessage::CopyOutResponse(it) => {
            format!("CopyOutResponse {} {}", it.format, it.columns)
        }
        other => {
            let text = format!("{other:?}");
            text.split('(').next().unwrap_or_default().to_owned()
        }
    }
}

/// The site id differs from run to run.
fn hide_origin(payload: &str) -> String {
    match payload.split_once("\"origin\":\"") {
        Some((before, after)) => {
            let rest = after.split_once('"').map_or("", |(_, rest)| rest);
            format!("{before}\"origin\":\"SITE\"{rest}")
        }
        None => payload.to_owned(),
    }
}

fn show_row(data: &[u8]) -> String {
    let mut rest = data;
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            values.push("NULL".to_owned());
            rest = after;
            continue;
        };
        let (value, after) = after.split_at(length);
        let printable =
            std::str::from_utf8(value).is_ok_and(|text| !text.contains(char::is_control));
        values.push(if printable {
            format!("{:?}", String::from_utf8_lossy(value))
        } else {
            value.iter().fold("x:".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
        });
        rest = after;
    }
    values.join(" ")
}

fn show_fields(fields: &[(u8, String)]) -> String {
    let field = |code: u8| fields.iter().find(|(known, _)| *known == code).map(|(_, value)| value);
    let mut shown =
        format!("{} {}", field(b'C').map_or("", |it| it), field(b'M').map_or("", |it| it));
    for (code, name) in
        [(b'P', "position"), (b'D', "detail"), (b'W', "context"), (b'n', "constraint")]
    {
        if let Some(value) = field(code) {
            shown += &format!(" ({name}: {value})");
        }
    }
    shown
}

#[test]
fn transcripts() -> Result<(), Box<dyn Error>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/testscripts/session");
    let mut paths: Vec<_> = std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {directory}");
    for path in paths {
        goldenscript::run(&mut Transcript::new()?, &path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
