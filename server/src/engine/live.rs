//! Rows of catalog relations that only the running server knows.

use std::sync::{Mutex, PoisonError};

use trellis_replication::protocol::{MemberState, MemberStatus, OriginStatus};
use trellis_sqlcompat::Datum;
use trellis_sqlcompat::builtin::SettingRow;
use trellis_sqlcompat::catalog::live_columns;
use trellis_sqlcompat::types::network::{Network, NetworkKind};

use super::conflicts;
use super::database::Database;
use crate::registry::{Activity, TlsFacts};
use crate::session::Settings;

/// The rows of live relation `name`, as of now; `None` for those that the session supplies. Relations of things that the
/// server does not have are empty.
pub(super) fn rows(
    name: &str,
    database: &Database,
    settings: &Mutex<Settings>,
) -> Option<Vec<Vec<Datum>>> {
    let columns = live_columns(name);
    Some(match name {
        "pg_prepared_statements" | "pg_cursors" => return None,
        "pg_settings" => {
            let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
            let all = settings.all();
            all.into_iter()
                .map(|(row, value)| arrange(&columns, |c| setting(c, row, &value)))
                .collect()
        }
        "pg_stat_activity" => {
            let sessions = database.registry.activity();
            sessions
                .iter()
                .map(|(pid, activity)| arrange(&columns, |c| session(c, *pid, activity)))
                .collect()
        }
        "pg_stat_ssl" => {
            let sessions = database.registry.activity();
            sessions
                .iter()
                .map(|(pid, activity)| {
                    arrange(&columns, |c| encryption(c, *pid, activity.tls.as_ref()))
                })
                .collect()
        }
        "trellis.conflicts" => {
            let conflicts = conflicts::list(database).unwrap_or_else(|error| {
                tracing::error!(%error, "conflicts could not be listed");
                Vec::new()
            });
            conflicts.iter().map(|it| arrange(&columns, |c| it.value(c))).collect()
        }
        "trellis.members" => {
            let members = database.network().map_or_else(Vec::new, |network| network.members());
            members.iter().map(|it| arrange(&columns, |c| member(c, it))).collect()
        }
        "trellis.origins" => {
            let status = database.network().map(|network| network.status());
            let origins = status.iter().flat_map(|status| &status.origins);
            origins.map(|it| arrange(&columns, |c| origin(c, it))).collect()
        }
        _ => Vec::new(),
    })
}

fn count(number: u64) -> Datum {
    Datum::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn member(column: &str, member: &MemberStatus) -> Datum {
    match column {
        "site" => Datum::Blob(member.site.0.to_vec()),
        "address" => text(member.address.to_string()),
        "state" => text(match member.state {
            MemberState::Local => "local",
            MemberState::Alive => "alive",
            MemberState::Suspect => "suspect",
            MemberState::Down => "down",
        }),
        "connected" => Datum::Integer(i64::from(member.connected)),
        "round_trip_us" => member.rtt_us.map_or(Datum::Null, count),
        "behind" => count(member.behind.values().sum()),
        "queued_bytes" => count(member.queued_bytes),
        "lagging" => Datum::Integer(i64::from(member.lagging)),
        _ => Datum::Null,
    }
}

fn origin(column: &str, origin: &OriginStatus) -> Datum {
    match column {
        "site" => Datum::Blob(origin.origin.0.to_vec()),
        "applied" => count(origin.applied.0),
        "known" => count(origin.known.0),
        "waiting" => count(origin.waiting),
        "waiting_bytes" => count(origin.waiting_bytes),
        "blocked" => optional(origin.blocked.as_deref()),
        "attempts" => count(u64::from(origin.attempts)),
        _ => Datum::Null,
    }
}

fn arrange(columns: &[&str], value: impl Fn(&str) -> Datum) -> Vec<Datum> {
    columns.iter().map(|column| value(column)).collect()
}

fn text(value: impl Into<String>) -> Datum {
    Datum::Text(value.into())
}

fn optional(value: Option<&str>) -> Datum {
    value.map_or(Datum::Null, text)
}

fn setting(column: &str, row: &SettingRow, value: &str) -> Datum {
    match column {
        "name" => text(row.name),
        "setting" => text(value),
        "unit" => optional(row.unit),
        "category" => text(row.category),
        "short_desc" => text(""),
        "context" => text(row.context),
        "vartype" => text(row.kind),
        "source" => text(if row.reset_value == Some(value) { "default" } else { "session" }),
        "min_val" => optional(row.min),
        "max_val" => optional(row.max),
        "enumvals" if !row.enum_values.is_empty() => {
            text(serde_json::json!(row.enum_values).to_string())
        }
        "boot_val" => optional(row.boot_value),
        "reset_val" => optional(row.reset_value),
        "pending_restart" => Datum::Integer(0),
        _ => Datum::Null,
    }
}

fn session(column: &str, pid: u32, activity: &Activity) -> Datum {
    match column {
        "datid" => Datum::Integer(5),
        "datname" => text(&activity.database),
        "pid" => Datum::Integer(i64::from(pid)),
        "usesysid" => Datum::Integer(10),
        "usename" => text(&activity.user),
        "application_name" => text(&activity.application_name),
        "client_addr" => {
            let address = activity.client_address.map(|address| address.ip().to_string());
            let parsed = address.and_then(|it| Network::parse(&it, NetworkKind::Inet).ok());
            parsed.map_or(Datum::Null, |network| Datum::Blob(network.to_storage()))
        }
        "client_port" => activity
            .client_address
            .map_or(Datum::Integer(-1), |address| Datum::Integer(i64::from(address.port()))),
        "backend_start" => Datum::Integer(activity.started_us),
        "state_change" => Datum::Integer(activity.state_changed_us),
        "state" => text(if activity.state.is_empty() { "active" } else { activity.state }),
        "backend_type" => text("client backend"),
        "query" => text(""),
        _ => Datum::Null,
    }
}

fn encryption(column: &str, pid: u32, tls: Option<&TlsFacts>) -> Datum {
    let client = tls.and_then(|tls| tls.client.as_ref());
    match column {
        "pid" => Datum::Integer(i64::from(pid)),
        "ssl" => Datum::Integer(i64::from(tls.is_some())),
        "version" => optional(tls.map(|tls| tls.version)),
        "cipher" => optional(tls.map(|tls| tls.cipher.as_str())),
        "bits" => tls.map_or(Datum::Null, |tls| Datum::Integer(i64::from(tls.bits))),
        "client_dn" => optional(client.map(|client| client.subject.as_str())),
        "client_serial" => optional(client.map(|client| client.serial.as_str())),
        "issuer_dn" => optional(client.map(|client| client.issuer.as_str())),
        _ => Datum::Null,
    }
}
