//! Values as the bytes that the protocol sends: `int4send`, `numeric_send` and their kin.

use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::SqlError;
use crate::oid::Oid;
use crate::types::encode_binary;

fn send(call: &Call, type_oid: Oid) -> Result<Datum, SqlError> {
    let mut bytes = Vec::new();
    call.session.with_types(|cx| encode_binary(type_oid, call.datum(0), cx, &mut bytes))?;
    Ok(Datum::Blob(bytes))
}

/// A value of the type that the call names behind it.
fn send_any(call: &Call) -> Result<Datum, SqlError> {
    send(call, call.oid(1)?)
}

macro_rules! sends {
    ($($name:literal: $oid:ident),+ $(,)?) => {
        &[$(ScalarFunction::strict($name, |call| send(call, Oid::$oid)).stable()),+]
    };
}

/// Of one type each.
pub(super) const FUNCTIONS: &[ScalarFunction] = sends!(
    "pg_bit_send": BIT,
    "pg_boolsend": BOOL,
    "pg_bpcharsend": BPCHAR,
    "pg_byteasend": BYTEA,
    "pg_cash_send": MONEY,
    "pg_charsend": CHAR,
    "pg_cidr_send": CIDR,
    "pg_cidsend": CID,
    "pg_date_send": DATE,
    "pg_float4send": FLOAT4,
    "pg_float8send": FLOAT8,
    "pg_inet_send": INET,
    "pg_int2send": INT2,
    "pg_int2vectorsend": INT2VECTOR,
    "pg_int4send": INT4,
    "pg_int8send": INT8,
    "pg_interval_send": INTERVAL,
    "pg_json_send": JSON,
    "pg_jsonb_send": JSONB,
    "pg_jsonpath_send": JSONPATH,
    "pg_macaddr8_send": MACADDR8,
    "pg_macaddr_send": MACADDR,
    "pg_namesend": NAME,
    "pg_numeric_send": NUMERIC,
    "pg_oidsend": OID,
    "pg_oidvectorsend": OIDVECTOR,
    "pg_pg_lsn_send": PG_LSN,
    "pg_pg_node_tree_send": PG_NODE_TREE,
    "pg_regclasssend": REGCLASS,
    "pg_regcollationsend": REGCOLLATION,
    "pg_regnamespacesend": REGNAMESPACE,
    "pg_regoperatorsend": REGOPERATOR,
    "pg_regopersend": REGOPER,
    "pg_regproceduresend": REGPROCEDURE,
    "pg_regprocsend": REGPROC,
    "pg_regrolesend": REGROLE,
    "pg_regtypesend": REGTYPE,
    "pg_textsend": TEXT,
    "pg_tidsend": TID,
    "pg_time_send": TIME,
    "pg_timestamp_send": TIMESTAMP,
    "pg_timestamptz_send": TIMESTAMPTZ,
    "pg_timetz_send": TIMETZ,
    "pg_unknownsend": UNKNOWN,
    "pg_uuid_send": UUID,
    "pg_varbit_send": VARBIT,
    "pg_varcharsend": VARCHAR,
    "pg_void_send": VOID,
    "pg_xid8send": XID8,
    "pg_xidsend": XID,
);

/// Of any type.
pub(super) const POLYMORPHIC: &[ScalarFunction] = &[
    ScalarFunction::strict("pg_array_send", send_any).stable(),
    ScalarFunction::strict("pg_anyarray_send", send_any).stable(),
    ScalarFunction::strict("pg_anycompatiblearray_send", send_any).stable(),
    ScalarFunction::strict("pg_enum_send", send_any).stable(),
    ScalarFunction::strict("pg_multirange_send", send_any).stable(),
    ScalarFunction::strict("pg_range_send", send_any).stable(),
    ScalarFunction::strict("pg_record_send", send_any).stable(),
];
