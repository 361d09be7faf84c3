//! Errors as a PostgreSQL client sees them.

use std::fmt;

/// A five-character SQLSTATE (PostgreSQL manual, appendix A).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! states {
    ($($name:ident = $code:literal),* $(,)?) => {
        impl SqlState {
            $(#[doc = concat!("SQLSTATE ", stringify!($name), ".")]
            pub const $name: Self = Self(*$code);)*
        }
    };
}

states! {
    WARNING = b"01000",
    PROTOCOL_VIOLATION = b"08P01",
    FEATURE_NOT_SUPPORTED = b"0A000",
    CARDINALITY_VIOLATION = b"21000",
    DATA_EXCEPTION = b"22000",
    STRING_DATA_RIGHT_TRUNCATION = b"22001",
    NUMERIC_VALUE_OUT_OF_RANGE = b"22003",
    NULL_VALUE_NOT_ALLOWED = b"22004",
    INVALID_DATETIME_FORMAT = b"22007",
    DATETIME_FIELD_OVERFLOW = b"22008",
    INTERVAL_FIELD_OVERFLOW = b"22015",
    INVALID_TIME_ZONE_DISPLACEMENT_VALUE = b"22009",
    SUBSTRING_ERROR = b"22011",
    DIVISION_BY_ZERO = b"22012",
    SEQUENCE_LIMIT_EXCEEDED = b"2200H",
    INVALID_ARGUMENT_FOR_LOG = b"2201E",
    INVALID_ARGUMENT_FOR_POWER = b"2201F",
    INVALID_REGULAR_EXPRESSION = b"2201B",
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = b"2201W",
    INVALID_ROW_COUNT_IN_OFFSET_CLAUSE = b"2201X",
    CHARACTER_NOT_IN_REPERTOIRE = b"22021",
    INVALID_PARAMETER_VALUE = b"22023",
    INVALID_ESCAPE_SEQUENCE = b"22025",
    ARRAY_SUBSCRIPT_ERROR = b"2202E",
    STRING_DATA_LENGTH_MISMATCH = b"22026",
    INVALID_JSON_TEXT = b"22032",
    INVALID_TEXT_REPRESENTATION = b"22P02",
    INVALID_BINARY_REPRESENTATION = b"22P03",
    BAD_COPY_FILE_FORMAT = b"22P04",
    INTEGRITY_CONSTRAINT_VIOLATION = b"23000",
    NOT_NULL_VIOLATION = b"23502",
    FOREIGN_KEY_VIOLATION = b"23503",
    UNIQUE_VIOLATION = b"23505",
    CHECK_VIOLATION = b"23514",
    INVALID_CURSOR_STATE = b"24000",
    INVALID_TRANSACTION_STATE = b"25000",
    ACTIVE_SQL_TRANSACTION = b"25001",
    READ_ONLY_SQL_TRANSACTION = b"25006",
    NO_ACTIVE_SQL_TRANSACTION = b"25P01",
    IN_FAILED_SQL_TRANSACTION = b"25P02",
    INVALID_SQL_STATEMENT_NAME = b"26000",
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000",
    INVALID_PASSWORD = b"28P01",
    INVALID_GRANT_OPERATION = b"0LP01",
    DEPENDENT_OBJECTS_STILL_EXIST = b"2BP01",
    INVALID_CURSOR_NAME = b"34000",
    INVALID_SAVEPOINT_SPECIFICATION = b"3B001",
    INVALID_CATALOG_NAME = b"3D000",
    INVALID_SCHEMA_NAME = b"3F000",
    INVALID_SCHEMA_DEFINITION = b"42P15",
    SERIALIZATION_FAILURE = b"40001",
    DEADLOCK_DETECTED = b"40P01",
    IO_ERROR = b"58030",
    SYNTAX_ERROR = b"42601",
    INSUFFICIENT_PRIVILEGE = b"42501",
    CANNOT_COERCE = b"42846",
    GROUPING_ERROR = b"42803",
    INVALID_ARGUMENT_FOR_NTILE = b"22014",
    INVALID_ARGUMENT_FOR_NTH_VALUE = b"22016",
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = b"22013",
    WINDOWING_ERROR = b"42P20",
    INVALID_RECURSION = b"42P19",
    INVALID_FOREIGN_KEY = b"42830",
    INVALID_NAME = b"42602",
    NAME_TOO_LONG = b"42622",
    RESERVED_NAME = b"42939",
    DATATYPE_MISMATCH = b"42804",
    INDETERMINATE_DATATYPE = b"42P18",
    COLLATION_MISMATCH = b"42P21",
    WRONG_OBJECT_TYPE = b"42809",
    GENERATED_ALWAYS = b"428C9",
    UNDEFINED_COLUMN = b"42703",
    UNDEFINED_FUNCTION = b"42883",
    UNDEFINED_TABLE = b"42P01",
    UNDEFINED_PARAMETER = b"42P02",
    UNDEFINED_OBJECT = b"42704",
    DUPLICATE_COLUMN = b"42701",
    DUPLICATE_CURSOR = b"42P03",
    DUPLICATE_DATABASE = b"42P04",
    DUPLICATE_PREPARED_STATEMENT = b"42P05",
    DUPLICATE_SCHEMA = b"42P06",
    DUPLICATE_TABLE = b"42P07",
    DUPLICATE_ALIAS = b"42712",
    DUPLICATE_OBJECT = b"42710",
    AMBIGUOUS_COLUMN = b"42702",
    AMBIGUOUS_FUNCTION = b"42725",
    AMBIGUOUS_PARAMETER = b"42P08",
    INVALID_COLUMN_REFERENCE = b"42P10",
    INVALID_COLUMN_DEFINITION = b"42611",
    INVALID_TABLE_DEFINITION = b"42P16",
    INVALID_OBJECT_DEFINITION = b"42P17",
    INVALID_FUNCTION_DEFINITION = b"42P13",
    DUPLICATE_FUNCTION = b"42723",
    WITH_CHECK_OPTION_VIOLATION = b"44000",
    INSUFFICIENT_RESOURCES = b"53000",
    DISK_FULL = b"53100",
    OUT_OF_MEMORY = b"53200",
    TOO_MANY_CONNECTIONS = b"53300",
    PROGRAM_LIMIT_EXCEEDED = b"54000",
    STATEMENT_TOO_COMPLEX = b"54001",
    TOO_MANY_COLUMNS = b"54011",
    TOO_MANY_ARGUMENTS = b"54023",
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000",
    OBJECT_IN_USE = b"55006",
    CANT_CHANGE_RUNTIME_PARAM = b"55P02",
    LOCK_NOT_AVAILABLE = b"55P03",
    QUERY_CANCELED = b"57014",
    ADMIN_SHUTDOWN = b"57P01",
    CANNOT_CONNECT_NOW = b"57P03",
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03",
    IDLE_SESSION_TIMEOUT = b"57P05",
    INTERNAL_ERROR = b"XX000",
}

/// An error with the fields that PostgreSQL reports. The statement that raised it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// SQLSTATE.
    pub state: SqlState,
    /// Primary message, in PostgreSQL's words where it has some.
    pub message: String,
    /// Detail, if any.
    pub detail: Option<String>,
    /// Hint, if any.
    pub hint: Option<String>,
    /// Where in the statement's text, in characters from 1.
    pub position: Option<u32>,
    /// What was being done, such as the line of a `COPY` (error field `W`).
    pub context: Option<String>,
    /// Schema, table, column, type and constraint names that drivers branch on.
    pub object: Box<ErrorObject>,
}

/// The names of what an error is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorObject {
    /// Schema name.
    pub schema: Option<String>,
    /// Table name.
    pub table: Option<String>,
    /// Column name.
    pub column: Option<String>,
    /// Data type name.
    pub data_type: Option<String>,
    /// Constraint name.
    pub constraint: Option<String>,
}

impl SqlError {
    /// An error with state and message only.
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self {
            state,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            object: Box::default(),
        }
    }

    /// 54001, as PostgreSQL words it.
    #[must_use]
    pub fn too_complex() -> Self {
        Self::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
    }

    /// A 0A000 for what Trellis does not support.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// Adds a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what was being done.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Adds a position, in characters from 1, unless one is already there.
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> Self {
        self.position = self.position.or(position);
        self
    }
}
