//! Type names as written in DDL, `PREPARE` and casts: `numeric(10,2)[]`, `timestamp(3) with time zone`, `app.mood`.
//!
//! Type modifiers are PostgreSQL's numbers (`varchar(n)` is n + 4, `numeric(p,s)` is p * 65536 + s + 4, and so on), because
//! they travel in `RowDescription`.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::cursor::Cursor;
use crate::builtin;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::schema::{Catalog, Relation};

/// Longest `varchar(n)` and `char(n)`.
const LENGTH_MAX: i64 = 10_485_760;

/// Most digits of `numeric(p)`.
const PRECISION_MAX: i64 = 1000;

/// A type name as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    /// Schema, if given.
    pub schema: Option<String>,
    /// Name: an SQL spelling such as `character varying`, or an identifier.
    pub name: String,
    /// Whether the name was in double quotes, so that SQL spellings do not count.
    pub quoted: bool,
    /// Type modifiers as written.
    pub modifiers: Vec<i64>,
    /// Fields of an interval, as PostgreSQL's bit mask; 0 for all.
    pub interval_fields: i32,
    /// Whether it is an array; the number of dimensions does not matter to PostgreSQL.
    pub array: bool,
    /// Where it stands, in characters from 1.
    pub position: Option<u32>,
}

/// Bits of interval fields (PostgreSQL `datetime.h`): year, month, day, hour, minute, second.
const INTERVAL_FIELDS: [(&str, i32); 13] = [
    ("year to month", 1 << 2 | 1 << 1),
    ("day to hour", 1 << 3 | 1 << 10),
    ("day to minute", 1 << 3 | 1 << 10 | 1 << 11),
    ("day to second", 1 << 3 | 1 << 10 | 1 << 11 | 1 << 12),
    ("hour to minute", 1 << 10 | 1 << 11),
    ("hour to second", 1 << 10 | 1 << 11 | 1 << 12),
    ("minute to second", 1 << 11 | 1 << 12),
    ("year", 1 << 2),
    ("month", 1 << 1),
    ("day", 1 << 3),
    ("hour", 1 << 10),
    ("minute", 1 << 11),
    ("second", 1 << 12),
];

impl TypeName {
    /// Reads a type name.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SqlError> {
        let position = cursor.position();
        let quoted = matches!(cursor.peek(), Some(Token::Word(word)) if word.quote_style.is_some());
        let mut name = Self {
            schema: None,
            name: String::new(),
            quoted,
            modifiers: Vec::new(),
            interval_fields: 0,
            array: false,
            position,
        };
        if quoted || matches!(cursor.peek_ahead(1), Some(Token::Period)) {
            let object = cursor.object_name()?;
            (name.schema, name.name) = (object.schema, object.name);
            name.read_modifiers(cursor)?;
        } else {
            name.parse_spelling(cursor)?;
        }
        name.read_array(cursor)?;
        Ok(name)
    }

    /// Reads a text that is a type name and nothing else.
    ///
    /// # Errors
    /// 42601 if it is not one.
    pub fn from_text(text: &str) -> Result<Self, SqlError> {
        let dialect = PostgreSqlDialect {};
        let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().unwrap_or_default();
        let mut cursor = Cursor::new(text, &tokens);
        let name = Self::parse(&mut cursor)?;
        cursor.expect_end()?;
        Ok(name)
    }

    /// Names of one or more words, with modifiers where the grammar has them.
    fn parse_spelling(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        let long = [
            "double precision",
            "national character varying",
            "national char varying",
            "national character",
            "national char",
            "character varying",
            "char varying",
            "nchar varying",
            "bit varying",
        ];
        let canonical = [
            "double precision",
            "character varying",
            "character varying",
            "character",
            "character",
            "character varying",
            "character varying",
            "character varying",
            "bit varying",
        ];
        if let Some(spelling) = cursor.one_of(&long).and_then(|at| canonical.get(at)) {
            self.name = (*spelling).to_owned();
            return self.read_modifiers(cursor);
        }
        self.name = cursor.name()?;
        match self.name.as_str() {
            "time" | "timestamp" => {
                self.read_modifiers(cursor)?;
                if cursor.words("with time zone") {
                    self.name.push_str(" with time zone");
                } else {
                    cursor.words("without time zone");
                }
                Ok(())
            }
            "interval" => {
                let fields = INTERVAL_FIELDS.iter().find(|(words, _)| cursor.words(words));
                self.interval_fields = fields.map_or(0, |(_, bits)| *bits);
                self.read_modifiers(cursor)
            }
            _ => self.read_modifiers(cursor),
        }
    }

    fn read_modifiers(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        if cursor.is_symbol(&Token::LParen) {
            self.modifiers = cursor.parenthesized(Cursor::integer)?;
        }
        Ok(())
    }

    fn read_array(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        if cursor.word("array") {
            self.array = true;
        }
        while cursor.symbol(&Token::LBracket) {
            self.array = true;
            if !cursor.is_symbol(&Token::RBracket) {
                cursor.integer()?;
            }
            cursor.expect_symbol(&Token::RBracket)?;
        }
        Ok(())
    }

    /// The name as PostgreSQL shows it in messages.
    #[must_use]
    pub fn display(&self) -> String {
        let name = match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        };
        if self.array { format!("{name}[]") } else { name }
    }

    /// Finds the type: OID and type modifier.
    ///
    /// # Errors
    /// 42704 if there is none, 3F000 if its schema does not exist, 22023 or 42601 for bad modifiers.
    pub fn resolve(
        &self,
        catalog: &Catalog,
        search_path: &[String],
    ) -> Result<(Oid, i32), SqlError> {
        let (oid, array_oid) = self.find(catalog, search_path)?;
        let typmod = self.type_modifier(oid)?;
        if !self.array {
            return Ok((oid, typmod));
        }
        if array_oid != Oid(0) {
            return Ok((array_oid, typmod));
        }
        // An array of arrays is the array itself.
        let is_array = builtin::type_by_oid(oid).is_some_and(|row| row.name.starts_with('_'));
        if is_array { Ok((oid, typmod)) } else { Err(self.undefined()) }
    }

    /// OIDs of the type and of the array over it.
    fn find(&self, catalog: &Catalog, search_path: &[String]) -> Result<(Oid, Oid), SqlError> {
        let schema = self.schema.as_deref();
        if matches!(schema, None | Some("pg_catalog")) {
            let spelled =
                if self.quoted || schema.is_some() { None } else { builtin::sql_type(&self.name) };
            let row = match spelled {
                Some(oid) => builtin::type_by_oid(self.float_by_precision(oid)?),
                None => builtin::type_by_name(&self.name),
            };
            if let Some(row) = row {
                return Ok((row.oid, row.array));
            }
        }
        if let Some(found) = catalog.type_by_name(search_path, schema, &self.name) {
            return Ok((found.oid(), found.array_oid()));
        }
        if let Some(element) = self.name.strip_prefix('_')
            && let Some(found) = catalog.type_by_name(search_path, schema, element)
        {
            return Ok((found.array_oid(), Oid(0)));
        }
        let table = |name: &str| match catalog.relation(search_path, schema, name) {
            Some(Relation::Table(it)) => Some((it.row_type_oid, it.row_array_oid)),
            _ => None,
        };
        if let Some(found) = table(&self.name) {
            return Ok(found);
        }
        if let Some((_, array)) = self.name.strip_prefix('_').and_then(table) {
            return Ok((array, Oid(0)));
        }
        match schema {
            Some(schema) if schema != "pg_catalog" && catalog.namespace(schema).is_none() => {
                let message = format!("schema \"{schema}\" does not exist");
                Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message).at(self.position))
            }
            _ => Err(self.undefined()),
        }
    }

    fn undefined(&self) -> SqlError {
        let message = format!("type \"{}\" does not exist", self.display());
        SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(self.position)
    }

    /// `float(p)` is `float4` up to 24 bits.
    fn float_by_precision(&self, oid: Oid) -> Result<Oid, SqlError> {
        if self.name != "float" {
            return Ok(oid);
        }
        match self.modifiers.as_slice() {
            [] | [25..=53] => Ok(Oid::FLOAT8),
            [1..=24] => Ok(Oid::FLOAT4),
            [bits] if *bits < 1 => {
                Err(self.invalid("precision for type float must be at least 1 bit"))
            }
            _ => Err(self.invalid("precision for type float must be less than 54 bits")),
        }
    }

    fn invalid(&self, message: impl Into<String>) -> SqlError {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(self.position)
    }

    /// The type modifier that the written modifiers stand for.
    fn type_modifier(&self, oid: Oid) -> Result<i32, SqlError> {
        let number = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
        match (oid, self.modifiers.as_slice()) {
            (Oid::BPCHAR, []) if self.name != "bpchar" => Ok(5),
            (Oid::BIT, []) if !self.quoted => Ok(1),
            (Oid::INTERVAL, []) if self.interval_fields != 0 => {
                Ok(self.interval_fields << 16 | 0xffff)
            }
            (_, []) => Ok(-1),
            (Oid::FLOAT4 | Oid::FLOAT8, _) if self.name == "float" => Ok(-1),
            (Oid::VARCHAR, [length]) => self.length(*length, "varchar").map(|it| number(it + 4)),
            (Oid::BPCHAR, [length]) => self.length(*length, "char").map(|it| number(it + 4)),
            (Oid::BIT, [length]) => self.length(*length, "bit").map(number),
            (Oid::VARBIT, [length]) => self.length(*length, "varbit").map(number),
            (Oid::NUMERIC, [precision]) => self.numeric(*precision, 0),
            (Oid::NUMERIC, [precision, scale]) => self.numeric(*precision, *scale),
            (Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ, [digits]) => {
                self.time_digits(*digits)
            }
            (Oid::INTERVAL, [digits]) => {
                let fields = if self.interval_fields == 0 { 0x7fff } else { self.interval_fields };
                Ok(fields << 16 | self.time_digits(*digits)?)
            }
            (
                Oid::VARCHAR
                | Oid::BPCHAR
                | Oid::BIT
                | Oid::VARBIT
                | Oid::NUMERIC
                | Oid::TIME
                | Oid::TIMETZ
                | Oid::TIMESTAMP
                | Oid::TIMESTAMPTZ
                | Oid::INTERVAL,
                _,
            ) => Err(self.invalid("invalid type modifier")),
            _ => {
                let message = format!("type modifier is not allowed for type \"{}\"", self.name);
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.position))
            }
        }
    }

    fn length(&self, length: i64, type_name: &str) -> Result<i64, SqlError> {
        if length < 1 {
            return Err(self.invalid(format!("length for type {type_name} must be at least 1")));
        }
        if length > LENGTH_MAX {
            let message = format!("length for type {type_name} cannot exceed {LENGTH_MAX}");
            return Err(self.invalid(message));
        }
        Ok(length)
    }

    fn numeric(&self, precision: i64, scale: i64) -> Result<i32, SqlError> {
        if !(1..=PRECISION_MAX).contains(&precision) {
            let message =
                format!("NUMERIC precision {precision} must be between 1 and {PRECISION_MAX}");
            return Err(self.invalid(message));
        }
        if !(-PRECISION_MAX..=PRECISION_MAX).contains(&scale) {
            let message = format!("NUMERIC scale {scale} must be between -1000 and 1000");
            return Err(self.invalid(message));
        }
        let modifier = (precision << 16 | scale & 0x7ff) + 4;
        i32::try_from(modifier).or(Err(self.invalid("invalid NUMERIC type modifier")))
    }

    fn time_digits(&self, digits: i64) -> Result<i32, SqlError> {
        match i32::try_from(digits) {
            Ok(digits @ 0..=6) => Ok(digits),
            Ok(7..) => Ok(6),
            _ => {
                let name = self.name.to_uppercase();
                Err(self.invalid(format!("{name}({digits}) precision must not be negative")))
            }
        }
    }
}
