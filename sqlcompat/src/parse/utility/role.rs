//! Roles: `CREATE`, `ALTER` and `DROP` of them, membership in them, and what they own.

use sqlparser::tokenizer::Token;

use super::ast::DdlStatement;
use super::cursor::Cursor;
use super::{UtilityAst, session, unsupported};
use crate::error::{SqlError, SqlState};

type Parsed = Result<UtilityAst, SqlError>;

/// The names that stand for roles of the session.
pub const SPECIAL_ROLES: [&str; 3] = ["current_user", "current_role", "session_user"];

/// A statement about roles. Names of roles are as written: `current_user`, `current_role` and `session_user` stand for
/// whoever they are when it runs.
#[derive(Clone, Debug)]
pub enum RoleStatement {
    /// `CREATE ROLE | USER | GROUP`.
    Create {
        /// Name.
        name: String,
        /// Options, in the order written; those that the word `USER` implies first.
        options: Vec<RoleOption>,
    },
    /// `ALTER ROLE … options`.
    Alter {
        /// The role.
        role: String,
        /// Options, in the order written.
        options: Vec<RoleOption>,
    },
    /// `ALTER ROLE … RENAME TO`.
    Rename {
        /// The role.
        role: String,
        /// Its new name.
        name: String,
    },
    /// `ALTER ROLE … SET | RESET`.
    Setting {
        /// The role.
        role: String,
        /// What is set.
        setting: StoredSetting,
    },
    /// `DROP ROLE | USER | GROUP`.
    Drop {
        /// The roles.
        roles: Vec<String>,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `GRANT role TO role`, `ALTER GROUP … ADD USER`.
    Grant {
        /// Roles that members are made of.
        roles: Vec<String>,
        /// The members.
        members: Vec<String>,
        /// `WITH ADMIN OPTION`.
        admin: bool,
        /// The tag.
        tag: &'static str,
    },
    /// `REVOKE role FROM role`, `ALTER GROUP … DROP USER`.
    Revoke {
        /// Roles that members were made of.
        roles: Vec<String>,
        /// The members.
        members: Vec<String>,
        /// `ADMIN OPTION FOR`: they stay members.
        admin_only: bool,
        /// The tag.
        tag: &'static str,
    },
    /// `REASSIGN OWNED BY`.
    Reassign {
        /// Whose objects.
        roles: Vec<String>,
        /// Who gets them.
        to: String,
    },
}

/// What `ALTER ROLE … SET` keeps for the role's sessions.
#[derive(Clone, Debug)]
pub enum StoredSetting {
    /// `SET name TO values`.
    Set(String, Vec<String>),
    /// `RESET name`, `SET name TO DEFAULT`.
    Reset(String),
    /// `RESET ALL`.
    ResetAll,
}

/// An option of a role.
#[derive(Clone, Debug)]
pub enum RoleOption {
    /// `LOGIN`, `NOSUPERUSER`, …
    Attribute(RoleAttribute, bool),
    /// `PASSWORD`; `None` for `NULL`.
    Password(Option<String>),
    /// `CONNECTION LIMIT`.
    ConnectionLimit(i64),
    /// `VALID UNTIL`, as written.
    ValidUntil(String),
    /// `IN ROLE`: roles that it becomes a member of.
    InRole(Vec<String>),
    /// `ROLE`, `USER`: its members.
    Members(Vec<String>),
    /// `ADMIN`: its members, who may make others such.
    Admins(Vec<String>),
    /// `SYSID`, which PostgreSQL ignores with a notice.
    SystemId,
}

/// What a role is or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleAttribute {
    /// May do everything.
    Superuser,
    /// May make databases.
    CreateDatabase,
    /// May make roles.
    CreateRole,
    /// Has the privileges of roles that it is a member of.
    Inherit,
    /// May begin sessions.
    Login,
    /// May replicate.
    Replication,
    /// Row security does not apply.
    BypassRowSecurity,
}

/// Words of options that are attributes.
const ATTRIBUTES: [(&str, RoleAttribute); 7] = [
    ("superuser", RoleAttribute::Superuser),
    ("createdb", RoleAttribute::CreateDatabase),
    ("createrole", RoleAttribute::CreateRole),
    ("inherit", RoleAttribute::Inherit),
    ("login", RoleAttribute::Login),
    ("replication", RoleAttribute::Replication),
    ("bypassrls", RoleAttribute::BypassRowSecurity),
];

fn statement(statement: RoleStatement) -> Parsed {
    Ok(UtilityAst::Ddl(Box::new(DdlStatement::Role(statement))))
}

/// The words that a statement about a role has after its verb.
const KINDS: [&str; 3] = ["role", "user", "group"];

/// `CREATE ROLE | USER | GROUP …`; `None` if it is not one.
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Option<UtilityAst>, SqlError> {
    let mark = cursor.mark();
    let Some(kind) = cursor.one_of(&KINDS) else { return Ok(None) };
    if kind == 1 && cursor.is_word("mapping") {
        cursor.return_to(mark);
        return Ok(None);
    }
    let name = new_name(cursor)?;
    let mut options = Vec::new();
    if kind == 1 {
        options.push(RoleOption::Attribute(RoleAttribute::Login, true));
    }
    cursor.word("with");
    let written = role_options(cursor, true)?;
    if written.iter().any(|it| matches!(it, RoleOption::Attribute(RoleAttribute::Login, _))) {
        options.clear();
    }
    options.extend(written);
    statement(RoleStatement::Create { name, options }).map(Some)
}

/// `ALTER ROLE | USER | GROUP …`; `None` if it is not one.
pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Option<UtilityAst>, SqlError> {
    let mark = cursor.mark();
    let Some(kind) = cursor.one_of(&KINDS) else { return Ok(None) };
    if kind == 1 && cursor.is_word("mapping") {
        cursor.return_to(mark);
        return Ok(None);
    }
    if cursor.word("all") {
        return unsupported("ALTER ROLE ALL").map(Some);
    }
    let role = cursor.identifier()?;
    if cursor.words("rename to") {
        let name = new_name(cursor)?;
        return statement(RoleStatement::Rename { role, name }).map(Some);
    }
    if cursor.words("in database") {
        return unsupported("ALTER ROLE IN DATABASE").map(Some);
    }
    if let Some(setting) = stored_setting(cursor)? {
        return match setting {
            Some(setting) => statement(RoleStatement::Setting { role, setting }).map(Some),
            None => unsupported("ALTER ROLE SET FROM CURRENT").map(Some),
        };
    }
    if kind == 2 {
        let tag = "ALTER ROLE";
        let roles = vec![role];
        return match cursor.one_of(&["add user", "drop user"]) {
            Some(0) => {
                let members = cursor.comma_list(Cursor::identifier)?;
                statement(RoleStatement::Grant { roles, members, admin: false, tag }).map(Some)
            }
            Some(_) => {
                let members = cursor.comma_list(Cursor::identifier)?;
                let revoke = RoleStatement::Revoke { roles, members, admin_only: false, tag };
                statement(revoke).map(Some)
            }
            None => Err(cursor.syntax_error()),
        };
    }
    cursor.word("with");
    let options = role_options(cursor, false)?;
    statement(RoleStatement::Alter { role, options }).map(Some)
}

/// `SET …` and `RESET …` of `ALTER ROLE`; the inner `None` is `FROM CURRENT`.
fn stored_setting(cursor: &mut Cursor<'_>) -> Result<Option<Option<StoredSetting>>, SqlError> {
    if cursor.word("reset") {
        let setting = session::shown_setting(cursor)?;
        return Ok(Some(Some(setting.map_or(StoredSetting::ResetAll, StoredSetting::Reset))));
    }
    if !cursor.word("set") {
        return Ok(None);
    }
    let mark = cursor.mark();
    if cursor.identifier().is_ok() && cursor.words("from current") {
        return Ok(Some(None));
    }
    cursor.return_to(mark);
    let (name, values) = session::setting(cursor)?;
    Ok(Some(Some(match values {
        Some(values) => StoredSetting::Set(name, values),
        None => StoredSetting::Reset(name),
    })))
}

/// `DROP ROLE | USER | GROUP …`; `None` if it is not one.
pub(super) fn drop_role(cursor: &mut Cursor<'_>) -> Result<Option<UtilityAst>, SqlError> {
    let mark = cursor.mark();
    let Some(kind) = cursor.one_of(&KINDS) else { return Ok(None) };
    if kind == 1 && cursor.is_word("mapping") {
        cursor.return_to(mark);
        return Ok(None);
    }
    let if_exists = cursor.if_exists();
    let roles = cursor.comma_list(Cursor::identifier)?;
    statement(RoleStatement::Drop { roles, if_exists }).map(Some)
}

/// `GRANT …`: of roles; other privileges are refused.
pub(super) fn grant(cursor: &mut Cursor<'_>) -> Parsed {
    let Some(roles) = role_list(cursor, "to") else { return unsupported("GRANT of privileges") };
    let members = cursor.comma_list(grantee)?;
    let admin = cursor.words("with admin option");
    granted_by(cursor)?;
    statement(RoleStatement::Grant { roles, members, admin, tag: "GRANT ROLE" })
}

/// `REVOKE …`: of roles; other privileges are refused.
pub(super) fn revoke(cursor: &mut Cursor<'_>) -> Parsed {
    let admin_only = cursor.words("admin option for");
    let Some(roles) = role_list(cursor, "from") else {
        return unsupported("REVOKE of privileges");
    };
    let members = cursor.comma_list(grantee)?;
    granted_by(cursor)?;
    cursor.cascade();
    statement(RoleStatement::Revoke { roles, members, admin_only, tag: "REVOKE ROLE" })
}

/// Names of roles and the word after them; `None` if what stands here are privileges on something.
fn role_list(cursor: &mut Cursor<'_>, end: &str) -> Option<Vec<String>> {
    let roles = cursor.comma_list(Cursor::identifier).ok()?;
    cursor.word(end).then_some(roles)
}

fn grantee(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    cursor.word("group");
    cursor.identifier()
}

/// `GRANTED BY role`, which PostgreSQL accepts.
fn granted_by(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    if cursor.words("granted by") {
        return Err(SqlError::unsupported("GRANTED BY").at(cursor.position()));
    }
    Ok(())
}

/// `REASSIGN OWNED BY roles TO role`.
pub(super) fn reassign(cursor: &mut Cursor<'_>) -> Parsed {
    cursor.expect_words("owned by")?;
    let roles = cursor.comma_list(Cursor::identifier)?;
    cursor.expect_words("to")?;
    let to = cursor.identifier()?;
    statement(RoleStatement::Reassign { roles, to })
}

/// The name of a role that is to be.
fn new_name(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    let position = cursor.position();
    let reserved = |message: String| SqlError::new(SqlState::RESERVED_NAME, message).at(position);
    for word in SPECIAL_ROLES {
        if cursor.is_word(word) {
            let upper = word.to_uppercase();
            return Err(reserved(format!("{upper} cannot be used as a role name here")));
        }
    }
    let name = cursor.identifier()?;
    if matches!(name.as_str(), "public" | "none") {
        return Err(reserved(format!("role name \"{name}\" is reserved")));
    }
    Ok(name)
}

fn role_options(cursor: &mut Cursor<'_>, creating: bool) -> Result<Vec<RoleOption>, SqlError> {
    let mut options = Vec::new();
    let mut seen = Vec::new();
    while !cursor.at_end() {
        let position = cursor.position();
        let (kind, option) = role_option(cursor, creating)?;
        if seen.contains(&kind) {
            let message = "conflicting or redundant options";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        seen.push(kind);
        options.push(option);
    }
    Ok(options)
}

/// One option, and what it may be given once of.
fn role_option(
    cursor: &mut Cursor<'_>,
    creating: bool,
) -> Result<(&'static str, RoleOption), SqlError> {
    let names = |cursor: &mut Cursor<'_>| cursor.comma_list(Cursor::identifier);
    let position = cursor.position();
    if cursor.words("encrypted password") || cursor.word("password") {
        if cursor.word("null") {
            return Ok(("password", RoleOption::Password(None)));
        }
        return Ok(("password", RoleOption::Password(Some(cursor.string()?))));
    }
    if cursor.words("unencrypted password") {
        let message = "UNENCRYPTED PASSWORD is no longer supported";
        let hint = "Remove UNENCRYPTED to store the password in encrypted form instead.";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
            .with_hint(hint)
            .at(position));
    }
    if cursor.words("connection limit") {
        return Ok(("connection limit", RoleOption::ConnectionLimit(cursor.integer()?)));
    }
    if cursor.words("valid until") {
        return Ok(("valid until", RoleOption::ValidUntil(cursor.string()?)));
    }
    if creating && cursor.word("sysid") {
        cursor.integer()?;
        return Ok(("sysid", RoleOption::SystemId));
    }
    if creating && (cursor.words("in role") || cursor.words("in group")) {
        return Ok(("in role", RoleOption::InRole(names(cursor)?)));
    }
    if creating && cursor.word("admin") {
        return Ok(("admin", RoleOption::Admins(names(cursor)?)));
    }
    if cursor.word("user") || creating && cursor.word("role") {
        return Ok(("role", RoleOption::Members(names(cursor)?)));
    }
    let Some(Token::Word(word)) = cursor.peek() else { return Err(cursor.syntax_error()) };
    let written = word.value.to_ascii_lowercase();
    let (positive, on) = match written.strip_prefix("no") {
        Some(rest) => (rest, false),
        None => (written.as_str(), true),
    };
    match ATTRIBUTES.iter().find(|(name, _)| *name == positive) {
        Some((name, attribute)) => {
            cursor.advance();
            Ok((name, RoleOption::Attribute(*attribute, on)))
        }
        None if word.quote_style.is_none() && cursor.identifier().is_ok() => {
            let message = format!("unrecognized role option \"{written}\"");
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position))
        }
        None => Err(cursor.syntax_error()),
    }
}
