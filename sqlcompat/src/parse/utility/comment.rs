//! `COMMENT ON … IS …`.

use super::ast::{CommentTarget, DdlStatement};
use super::cursor::Cursor;
use super::{UtilityAst, define, function, table, unsupported};
use crate::error::SqlError;

/// `COMMENT ON …`.
pub(super) fn comment(cursor: &mut Cursor<'_>) -> Result<UtilityAst, SqlError> {
    cursor.expect_words("on")?;
    let target = if let Some(kind) = function::routine_kind(cursor) {
        CommentTarget::Routine(Box::new(function::reference(cursor, kind)?))
    } else if let Some(kind) = define::object_kind(cursor) {
        CommentTarget::Object(kind, cursor.object_name()?)
    } else {
        match cursor.one_of(&["column", "constraint", "database"]) {
            Some(0) => {
                let (table, column) = table::column_reference(cursor)?;
                CommentTarget::Column(table, column)
            }
            Some(1) => {
                let name = cursor.name()?;
                cursor.expect_words("on")?;
                if cursor.word("domain") {
                    return unsupported("COMMENT ON CONSTRAINT ON DOMAIN");
                }
                CommentTarget::Constraint(name, cursor.object_name()?)
            }
            Some(_) => CommentTarget::Database(cursor.name()?),
            None => return define::refused(cursor, "COMMENT ON"),
        }
    };
    cursor.expect_words("is")?;
    let text = if cursor.word("null") { None } else { Some(cursor.string()?) };
    Ok(UtilityAst::Ddl(Box::new(DdlStatement::Comment { target, text })))
}
