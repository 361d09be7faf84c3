//! The type families whose values are read and written by a file of their own: one choice by OID, for both directions and
//! formats. [`super::codec`] asks here before it takes a type for unknown.

use super::array::StorageClass;
use super::bit_string::{self, BitKind};
use super::multirange::Multirange;
use super::network::{Network, NetworkKind};
use super::range::{Range, RangeType};
use super::wide_number::{self, WideNumber};
use super::{TypeContext, TypeShape, codec, failure, mac_address, money};
use crate::builtin;
use crate::datum::{Datum, DatumRef};
use crate::error::SqlError;
use crate::oid::Oid;

/// A family and what tells its types apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `inet`, `cidr`.
    Network(NetworkKind),
    /// `macaddr`.
    Mac6,
    /// `macaddr8`.
    Mac8,
    /// `bit`, `varbit`.
    Bits(BitKind),
    /// The range types.
    Range(RangeType),
    /// The multirange types.
    Multirange(RangeType),
    /// `money`.
    Money,
    /// `xid8`, `pg_lsn`, `tid`.
    Wide(WideNumber),
}

impl Family {
    /// The family of a type, if it is one of these.
    pub(crate) fn of(type_oid: Oid) -> Option<Self> {
        Some(match type_oid {
            Oid::MACADDR => Self::Mac6,
            Oid::MACADDR8 => Self::Mac8,
            Oid::BIT => Self::Bits(BitKind::Fixed),
            Oid::VARBIT => Self::Bits(BitKind::Varying),
            Oid::MONEY => Self::Money,
            Oid::XID8 => Self::Wide(WideNumber::TransactionId),
            Oid::PG_LSN => Self::Wide(WideNumber::LogPosition),
            Oid::TID => Self::Wide(WideNumber::TupleId),
            other => match (NetworkKind::of(other), RangeType::of(other)) {
                (Some(kind), _) => Self::Network(kind),
                (None, Some(of)) if of.range == other => Self::Range(of),
                (None, Some(of)) => Self::Multirange(of),
                (None, None) => return None,
            },
        })
    }

    /// The family of a type, the user's own ones included.
    pub(crate) fn named(type_oid: Oid, cx: &TypeContext) -> Option<Self> {
        if !type_oid.is_user() {
            return Self::of(type_oid);
        }
        match cx.names.shape(type_oid)? {
            TypeShape::Range(of) => Some(Self::Range(of)),
            TypeShape::Multirange(of) => Some(Self::Multirange(of)),
            TypeShape::Array(_)
            | TypeShape::Enum
            | TypeShape::Domain(..)
            | TypeShape::Composite(_) => None,
        }
    }

    /// The class its values are stored in.
    pub(crate) fn storage_class(self) -> StorageClass {
        match self {
            Self::Network(_) | Self::Mac6 | Self::Mac8 | Self::Wide(_) => StorageClass::Blob,
            Self::Bits(_) | Self::Range(_) | Self::Multirange(_) => StorageClass::Text,
            Self::Money => StorageClass::Integer,
        }
    }

    /// The collation that gives its values their order, if their bytes do not.
    pub(crate) fn collation(self) -> Option<&'static str> {
        match self {
            Self::Range(_) => Some("pg_range"),
            Self::Multirange(_) => Some("pg_multirange"),
            Self::Network(_)
            | Self::Mac6
            | Self::Mac8
            | Self::Bits(_)
            | Self::Money
            | Self::Wide(_) => None,
        }
    }

    /// Reads the text form.
    pub(crate) fn decode_text(
        self,
        text: &str,
        typmod: i32,
        cx: &TypeContext,
    ) -> Result<Datum, SqlError> {
        Ok(match self {
            Self::Network(kind) => Datum::Blob(Network::parse(text, kind)?.to_storage()),
            Self::Mac6 => Datum::Blob(mac_address::parse6(text)?.to_vec()),
            Self::Mac8 => Datum::Blob(mac_address::parse8(text)?.to_vec()),
            Self::Bits(kind) => Datum::Text(bit_string::parse(text, kind, typmod)?),
            Self::Range(of) => Datum::Text(Range::parse(text, of, cx)?.to_storage()),
            Self::Multirange(of) => Datum::Text(Multirange::parse(text, of, cx)?.to_storage()),
            Self::Money => Datum::Integer(money::parse(text)?),
            Self::Wide(kind) => Datum::Blob(kind.parse(text)?),
        })
    }

    /// Reads the binary form.
    pub(crate) fn decode_binary(
        self,
        bytes: &[u8],
        typmod: i32,
        cx: &TypeContext,
    ) -> Result<Datum, SqlError> {
        Ok(match self {
            Self::Network(kind) => Datum::Blob(Network::decode_binary(bytes, kind)?.to_storage()),
            Self::Mac6 => Datum::Blob(codec::fixed::<6>(bytes, "macaddr")?.to_vec()),
            Self::Mac8 => Datum::Blob(mac_address::decode8(bytes)?.to_vec()),
            Self::Bits(kind) => Datum::Text(bit_string::decode_binary(bytes, kind, typmod)?),
            Self::Range(of) => Datum::Text(Range::decode_binary(bytes, of, cx)?.to_storage()),
            Self::Multirange(of) => {
                Datum::Text(Multirange::decode_binary(bytes, of, cx)?.to_storage())
            }
            Self::Money => Datum::Integer(i64::from_be_bytes(codec::fixed(bytes, "money")?)),
            Self::Wide(kind) => Datum::Blob(kind.decode_binary(bytes)?),
        })
    }

    /// Appends the text form of a stored value.
    pub(crate) fn write_text(
        self,
        value: DatumRef<'_>,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        match (self, value) {
            (Self::Network(kind), DatumRef::Blob(stored)) => {
                out.extend(Network::from_storage(stored)?.to_text(kind).into_bytes());
            }
            (Self::Mac6 | Self::Mac8, DatumRef::Blob(bytes)) => mac_address::write(bytes, out),
            (Self::Bits(_), DatumRef::Text(bits)) => out.extend_from_slice(bits.as_bytes()),
            (Self::Range(of), DatumRef::Text(stored)) => {
                return Range::from_storage(stored, of)?.write_text(of, cx, out);
            }
            (Self::Multirange(of), DatumRef::Text(stored)) => {
                return Multirange::from_storage(stored, of)?.write_text(of, cx, out);
            }
            (Self::Money, DatumRef::Integer(cents)) => {
                out.extend(money::to_text(cents).into_bytes());
            }
            (Self::Wide(kind), DatumRef::Blob(stored)) => {
                out.extend(kind.to_text(wide_number::from_storage(stored)?).into_bytes());
            }
            _ => return Err(self.wrong_storage()),
        }
        Ok(())
    }

    /// Appends the binary form of a stored value.
    pub(crate) fn write_binary(
        self,
        value: DatumRef<'_>,
        cx: &TypeContext,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        match (self, value) {
            (Self::Network(kind), DatumRef::Blob(stored)) => {
                Network::from_storage(stored)?.encode_binary(kind, out);
            }
            (Self::Mac6 | Self::Mac8, DatumRef::Blob(bytes)) => out.extend_from_slice(bytes),
            (Self::Bits(_), DatumRef::Text(bits)) => bit_string::encode_binary(bits, out),
            (Self::Range(of), DatumRef::Text(stored)) => {
                return Range::from_storage(stored, of)?.encode_binary(of, cx, out);
            }
            (Self::Multirange(of), DatumRef::Text(stored)) => {
                return Multirange::from_storage(stored, of)?.encode_binary(of, cx, out);
            }
            (Self::Money, DatumRef::Integer(cents)) => out.extend(cents.to_be_bytes()),
            (Self::Wide(_), DatumRef::Blob(stored)) => out.extend_from_slice(stored),
            _ => return Err(self.wrong_storage()),
        }
        Ok(())
    }

    fn wrong_storage(self) -> SqlError {
        let oid = match self {
            Self::Network(NetworkKind::Inet) => Oid::INET,
            Self::Network(NetworkKind::Cidr) => Oid::CIDR,
            Self::Mac6 => Oid::MACADDR,
            Self::Mac8 => Oid::MACADDR8,
            Self::Bits(BitKind::Fixed) => Oid::BIT,
            Self::Bits(BitKind::Varying) => Oid::VARBIT,
            Self::Range(of) => of.range,
            Self::Multirange(of) => of.multirange,
            Self::Money => Oid::MONEY,
            Self::Wide(WideNumber::TransactionId) => Oid::XID8,
            Self::Wide(WideNumber::LogPosition) => Oid::PG_LSN,
            Self::Wide(WideNumber::TupleId) => Oid::TID,
        };
        failure::wrong_storage(builtin::type_by_oid(oid).map_or("???", |row| row.name))
    }
}
