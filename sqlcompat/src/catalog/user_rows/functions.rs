//! `pg_proc`: functions and procedures in SQL.

use rusqlite::{Connection, params};

use super::{Dependencies, PG_TYPE, numbers};
use crate::builtin::Volatility;
use crate::oid::Oid;
use crate::schema::{Catalog, Function};

/// OID of `pg_proc`.
const PG_PROC: u32 = 1255;

/// OID of the language `sql`.
const SQL: u32 = 14;

const FUNCTION: &str = "INSERT OR IGNORE INTO pg_proc(oid, proname, pronamespace, proowner, prolang, procost, prorows,
        provariadic, prosupport, prokind, prosecdef, proleakproof, proisstrict, proretset, provolatile, proparallel,
        pronargs, pronargdefaults, prorettype, proargtypes, proallargtypes, proargmodes, proargnames, proargdefaults,
        prosrc, prosqlbody)
    VALUES (?1, ?2, ?3, 10, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
        ?23, ?24)";

/// Inserts the functions of `catalog`.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    for function in catalog.functions.values() {
        insert_function(connection, function)?;
        let mut depend = Dependencies::new(connection)?;
        depend.in_namespace(PG_PROC, function.oid, function.namespace)?;
        let types = function.parameters.iter().map(|it| it.type_oid).chain([function.result]);
        let mut user: Vec<Oid> = types.filter(|it| it.is_user()).collect();
        user.sort_unstable();
        user.dedup();
        for type_oid in user {
            depend.add((PG_PROC, function.oid, 0), (PG_TYPE, type_oid, 0), "n")?;
        }
    }
    Ok(())
}

fn insert_function(connection: &Connection, function: &Function) -> rusqlite::Result<()> {
    let parameters = &function.parameters;
    // As PostgreSQL has them: no array where all are plain inputs, or none has a name.
    let plain = parameters.iter().all(|it| it.mode == b'i');
    let types = (!plain).then(|| numbers(parameters.iter().map(|it| it.type_oid.0)));
    let list = |texts: Vec<&str>| serde_json::Value::from(texts).to_string();
    let letter = |mode: &u8| char::from(*mode).to_string();
    let modes: Vec<String> = parameters.iter().map(|it| letter(&it.mode)).collect();
    let modes = (!plain).then(|| list(modes.iter().map(String::as_str).collect()));
    let named = parameters.iter().any(|it| !it.name.is_empty());
    let names = named.then(|| list(parameters.iter().map(|it| it.name.as_str()).collect()));
    let defaults = function.defaults();
    let source = if function.standard { "" } else { function.body.as_str() };
    connection.prepare_cached(FUNCTION)?.execute(params![
        function.oid.0,
        function.name,
        function.namespace.0,
        SQL,
        function.cost,
        function.rows,
        function.variadic.0,
        if function.procedure { "p" } else { "f" },
        function.security_definer,
        function.leakproof,
        function.strict,
        function.returns_set,
        match function.volatility {
            Volatility::Immutable => "i",
            Volatility::Stable => "s",
            Volatility::Volatile => "v",
        },
        function.parallel.to_string(),
        i64::try_from(function.arguments.len()).unwrap_or_default(),
        i64::try_from(defaults.len()).unwrap_or_default(),
        function.result.0,
        numbers(function.arguments.iter().map(|it| it.0)),
        types,
        modes,
        names,
        (!defaults.is_empty()).then(|| defaults.join(", ")),
        source,
        function.standard.then_some(function.body.as_str()),
    ])?;
    Ok(())
}
