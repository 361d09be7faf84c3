//! Object identifiers, and the well-known ones of PostgreSQL's built-in types.

use std::fmt;

/// A PostgreSQL object identifier. 0 means "none"; below 16384 are PostgreSQL's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(pub u32);

impl Oid {
    /// The first OID of what users make.
    pub const FIRST_USER: u32 = 16_384;

    /// Whether it is of something that a user made.
    #[must_use]
    pub const fn is_user(self) -> bool {
        self.0 >= Self::FIRST_USER
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! oids {
    ($($name:ident = $oid:literal),* $(,)?) => {
        impl Oid {
            $(#[doc = concat!("The type ", stringify!($name), ".")]
            pub const $name: Self = Self($oid);)*
        }
    };
}

oids! {
    BOOL = 16, BYTEA = 17, CHAR = 18, NAME = 19, INT8 = 20, INT2 = 21, INT2VECTOR = 22, INT4 = 23, REGPROC = 24,
    TEXT = 25, OID = 26, TID = 27, XID = 28, CID = 29, OIDVECTOR = 30, JSON = 114, XML = 142, PG_NODE_TREE = 194,
    POINT = 600, FLOAT4 = 700, FLOAT8 = 701, UNKNOWN = 705, MACADDR8 = 774, MONEY = 790, MACADDR = 829, INET = 869,
    CIDR = 650, BOOL_ARRAY = 1000, BYTEA_ARRAY = 1001, CHAR_ARRAY = 1002, NAME_ARRAY = 1003, INT2_ARRAY = 1005,
    INT4_ARRAY = 1007, TEXT_ARRAY = 1009, BPCHAR_ARRAY = 1014, VARCHAR_ARRAY = 1015, INT8_ARRAY = 1016,
    FLOAT4_ARRAY = 1021, FLOAT8_ARRAY = 1022, OID_ARRAY = 1028, ACLITEM = 1033, ACLITEM_ARRAY = 1034, BPCHAR = 1042,
    VARCHAR = 1043, DATE = 1082, TIME = 1083, TIMESTAMP = 1114, TIMESTAMP_ARRAY = 1115, DATE_ARRAY = 1182,
    TIMESTAMPTZ = 1184, TIMESTAMPTZ_ARRAY = 1185, INTERVAL = 1186, NUMERIC_ARRAY = 1231, TIMETZ = 1266, BIT = 1560,
    VARBIT = 1562, NUMERIC = 1700, REFCURSOR = 1790, REGPROCEDURE = 2202, REGOPER = 2203, REGOPERATOR = 2204,
    REGCLASS = 2205, REGTYPE = 2206, RECORD = 2249, CSTRING = 2275, ANY = 2276, ANYARRAY = 2277, VOID = 2278,
    TRIGGER = 2279, INTERNAL = 2281, ANYELEMENT = 2283, RECORD_ARRAY = 2287, ANYNONARRAY = 2776, UUID = 2950,
    UUID_ARRAY = 2951, ANYENUM = 3500, TSVECTOR = 3614, TSQUERY = 3615, REGCONFIG = 3734, REGDICTIONARY = 3769,
    JSONB = 3802, JSONB_ARRAY = 3807, PG_LSN = 3220, ANYRANGE = 3831, INT4RANGE = 3904, NUMRANGE = 3906, TSRANGE = 3908,
    TSTZRANGE = 3910, DATERANGE = 3912, INT8RANGE = 3926, JSONPATH = 4072, REGNAMESPACE = 4089, REGROLE = 4096,
    REGCOLLATION = 4191, ANYMULTIRANGE = 4537, ANYCOMPATIBLE = 5077, ANYCOMPATIBLEARRAY = 5078,
    ANYCOMPATIBLENONARRAY = 5079, ANYCOMPATIBLERANGE = 5080, XID8 = 5069,
}
