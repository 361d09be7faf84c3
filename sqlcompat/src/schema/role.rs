//! Roles of one moment: what they are, what they are called, who is a member of which.
//!
//! The bootstrap superuser ([`BOOTSTRAP_ROLE`]) and PostgreSQL's predefined roles are always there and have ids without
//! rows; a row of the bootstrap superuser says what was altered of it.

use std::collections::{BTreeMap, BTreeSet};

use super::row::{ObjectId, ObjectKind};
use crate::catalog::NamedCatalog;
use crate::error::SqlError;
use crate::oid::Oid;

/// OID of the bootstrap superuser.
pub const BOOTSTRAP_ROLE: Oid = Oid(10);

/// Name of the bootstrap superuser.
pub const BOOTSTRAP_ROLE_NAME: &str = "postgres";

/// Id of a role that is there without a row.
pub(super) fn built_in_id(name: &str) -> ObjectId {
    ObjectId::derive(ObjectKind::Role, ObjectId(0), name, 0)
}

/// A role that somebody made, or the bootstrap superuser where something was altered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Identity.
    pub id: ObjectId,
    /// OID.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// CREATEDB.
    pub create_database: bool,
    /// CREATEROLE.
    pub create_role: bool,
    /// INHERIT.
    pub inherit: bool,
    /// LOGIN.
    pub login: bool,
    /// REPLICATION.
    pub replication: bool,
    /// BYPASSRLS.
    pub bypass_row_security: bool,
    /// CONNECTION LIMIT; -1 for none.
    pub connection_limit: i32,
    /// What is kept of the password.
    pub password: Option<String>,
    /// VALID UNTIL, microseconds since 2000-01-01 UTC.
    pub valid_until: Option<i64>,
    /// Settings of its sessions, by name.
    pub settings: BTreeMap<String, String>,
}

/// Membership in a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Identity.
    pub id: ObjectId,
    /// The role.
    pub role: Oid,
    /// Its member.
    pub member: Oid,
    /// Who granted it.
    pub grantor: Oid,
    /// WITH ADMIN OPTION.
    pub admin: bool,
}

/// All roles.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// Roles that have rows, by OID.
    pub by_oid: BTreeMap<Oid, Role>,
    /// Memberships, in the order of their ids.
    pub memberships: Vec<Membership>,
}

impl Roles {
    /// OID of the role of that name.
    #[must_use]
    pub fn oid(&self, name: &str) -> Option<Oid> {
        let made = self.by_oid.values().find(|role| role.name == name).map(|role| role.oid);
        made.or_else(|| NamedCatalog::Role.oid(name))
    }

    /// Name of a role.
    #[must_use]
    pub fn name(&self, oid: Oid) -> Option<&str> {
        let made = self.by_oid.get(&oid).map(|role| role.name.as_str());
        made.or_else(|| NamedCatalog::Role.name(oid))
    }

    /// The role that a session's user is: on a node that asks for no credentials, names that are no role's stand for the
    /// bootstrap superuser.
    #[must_use]
    pub fn acting(&self, user: &str) -> Oid {
        self.oid(user).unwrap_or(BOOTSTRAP_ROLE)
    }

    /// The name that the bootstrap superuser goes by in a session of `user`.
    #[must_use]
    pub fn bootstrap_name<'a>(&self, user: &'a str) -> &'a str {
        if self.oid(user).is_none() { user } else { BOOTSTRAP_ROLE_NAME }
    }

    /// Whether a role may do everything.
    #[must_use]
    pub fn is_superuser(&self, oid: Oid) -> bool {
        oid == BOOTSTRAP_ROLE || self.by_oid.get(&oid).is_some_and(|role| role.superuser)
    }

    /// Whether there can be sessions of a role: of superusers alone, because privileges are not enforced.
    ///
    /// # Errors
    /// 0A000.
    pub fn check_session(&self, oid: Oid) -> Result<(), SqlError> {
        if self.is_superuser(oid) {
            return Ok(());
        }
        let name = self.name(oid).unwrap_or_default();
        Err(SqlError::unsupported(format!("acting as role \"{name}\", which is not a superuser,"))
            .with_detail(
                "Privileges are not enforced yet, so that only superusers can have sessions.",
            ))
    }

    /// Whether `member` is a member of `role`, directly or through others, or is it. Superusers are members of all.
    #[must_use]
    pub fn is_member(&self, member: Oid, role: Oid) -> bool {
        self.is_superuser(member) || self.reaches(member, role, |_| true)
    }

    /// Whether `member` has the privileges of `role` without asking for them.
    #[must_use]
    pub fn has_privileges_of(&self, member: Oid, role: Oid) -> bool {
        let inherits = |oid: Oid| self.by_oid.get(&oid).is_none_or(|role| role.inherit);
        self.is_superuser(member) || self.reaches(member, role, inherits)
    }

    /// Whether `member` may make others members of `role`.
    #[must_use]
    pub fn is_admin(&self, member: Oid, role: Oid) -> bool {
        let grants = |it: &&Membership| it.role == role && it.admin;
        self.is_superuser(member)
            || self.memberships.iter().filter(grants).any(|it| self.is_member(member, it.member))
    }

    /// Whether memberships lead from `member` to `role`, over roles that `through` lets pass.
    pub(super) fn reaches(&self, member: Oid, role: Oid, through: impl Fn(Oid) -> bool) -> bool {
        let mut seen = BTreeSet::from([member]);
        let mut ahead = vec![member];
        while let Some(oid) = ahead.pop() {
            if oid == role {
                return true;
            }
            if !through(oid) {
                continue;
            }
            let next = self.memberships.iter().filter(|it| it.member == oid).map(|it| it.role);
            ahead.extend(next.filter(|it| seen.insert(*it)));
        }
        false
    }

    /// The id of a role.
    pub(super) fn id(&self, oid: Oid) -> Option<ObjectId> {
        let made = self.by_oid.get(&oid).map(|role| role.id);
        made.or_else(|| NamedCatalog::Role.name(oid).map(built_in_id))
    }
}
