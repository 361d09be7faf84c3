//! Roles, membership, and who owns what.
//!
//! Only superusers have sessions, so nothing here asks whether the session's role may do what it asks for.
//!
//! Sources: PostgreSQL 15 manual `sql-createrole`, `sql-alterrole`, `sql-droprole`, `sql-grant`, `sql-reassign-owned`.

use rand::RngExt;

use super::edit::Edit;
use crate::catalog::Names;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{
    RoleAttribute, RoleOption, RoleStatement, SPECIAL_ROLES, StoredSetting,
};
use crate::schema::definition::{self, MembershipDefinition, Ownership, RoleDefinition};
use crate::schema::link::public_id;
use crate::schema::password::kept_password;
use crate::schema::role::{BOOTSTRAP_ROLE, BOOTSTRAP_ROLE_NAME, built_in_id};
use crate::schema::row::{ObjectId, ObjectKind, SchemaRow};
use crate::types::TypeContext;
use crate::types::datetime::parse::timestamptz;

/// What memberships are given with a role that is made.
#[derive(Default)]
struct Memberships {
    /// Roles that it becomes a member of.
    of: Vec<String>,
    /// Its members, and whether they may make others such.
    members: Vec<(String, bool)>,
}

impl Edit<'_> {
    /// Runs a statement about roles; gives its tag.
    pub(super) fn role_statement(
        &mut self,
        statement: &RoleStatement,
    ) -> Result<&'static str, SqlError> {
        match statement {
            RoleStatement::Create { name, options } => {
                self.create_role(name, options)?;
                Ok("CREATE ROLE")
            }
            RoleStatement::Alter { role, options } => {
                self.alter_role(role, options)?;
                Ok("ALTER ROLE")
            }
            RoleStatement::Rename { role, name } => {
                self.rename_role(role, name)?;
                Ok("ALTER ROLE")
            }
            RoleStatement::Setting { role, setting } => {
                let oid = self.role_oid(role)?;
                let id = self.role_row(oid)?;
                self.redefine(id, |definition: &mut RoleDefinition| {
                    store_setting(definition, setting);
                });
                Ok("ALTER ROLE")
            }
            RoleStatement::Drop { roles, if_exists } => {
                for role in roles {
                    self.drop_role(role, *if_exists)?;
                }
                Ok("DROP ROLE")
            }
            RoleStatement::Grant { roles, members, admin, tag } => {
                for role in roles {
                    for member in members {
                        self.grant_membership(role, member, *admin)?;
                    }
                }
                Ok(tag)
            }
            RoleStatement::Revoke { roles, members, admin_only, tag } => {
                for role in roles {
                    for member in members {
                        self.revoke_membership(role, member, *admin_only)?;
                    }
                }
                Ok(tag)
            }
            RoleStatement::Reassign { roles, to } => {
                self.reassign_owned(roles, to)?;
                Ok("REASSIGN OWNED")
            }
        }
    }

    /// The role that the session acts as.
    fn acting(&self) -> Oid {
        self.catalog.roles.acting(&self.statement.user)
    }

    /// OID of a role by the name that a statement has.
    ///
    /// # Errors
    /// 42704 if there is none.
    pub(super) fn role_oid(&self, name: &str) -> Result<Oid, SqlError> {
        if SPECIAL_ROLES.contains(&name) {
            return Ok(self.acting());
        }
        let names = Names::new(&self.catalog, &self.statement.search_path);
        names.with_user(&self.statement.user).role_oid(name).ok_or_else(|| no_role(name))
    }

    fn role_name(&self, oid: Oid) -> String {
        let names = Names::new(&self.catalog, &self.statement.search_path);
        let name = names.with_user(&self.statement.user).role_name(oid);
        name.map_or_else(|| oid.to_string(), str::to_owned)
    }

    /// Id of the row of a role; the bootstrap superuser gets one when something of it is altered.
    fn role_row(&mut self, oid: Oid) -> Result<ObjectId, SqlError> {
        if let Some(role) = self.catalog.roles.by_oid.get(&oid) {
            return Ok(role.id);
        }
        if oid != BOOTSTRAP_ROLE {
            let name = self.role_name(oid);
            return Err(SqlError::unsupported(format!("altering the predefined role \"{name}\"")));
        }
        let definition = RoleDefinition {
            superuser: true,
            create_database: true,
            create_role: true,
            login: true,
            replication: true,
            bypass_row_security: true,
            ..RoleDefinition::default()
        };
        let id = built_in_id(BOOTSTRAP_ROLE_NAME);
        self.put(SchemaRow {
            id,
            kind: ObjectKind::Role,
            parent: ObjectId(0),
            name: BOOTSTRAP_ROLE_NAME.to_owned(),
            definition: definition::write(&definition),
            dropped: false,
        });
        self.relink();
        Ok(id)
    }

    fn create_role(&mut self, name: &str, options: &[RoleOption]) -> Result<(), SqlError> {
        refuse_reserved(name)?;
        self.refuse_taken(name)?;
        let mut definition = RoleDefinition::default();
        let mut memberships = Memberships::default();
        self.apply_options(name, options, &mut definition, &mut memberships)?;
        self.create(ObjectKind::Role, ObjectId(0), name, &definition);
        self.relink();
        for role in &memberships.of {
            self.grant_membership(role, name, false)?;
        }
        for (member, admin) in &memberships.members {
            self.grant_membership(name, member, *admin)?;
        }
        Ok(())
    }

    fn refuse_taken(&self, name: &str) -> Result<(), SqlError> {
        if self.catalog.roles.oid(name).is_none() && name != self.statement.user {
            return Ok(());
        }
        let message = format!("role \"{name}\" already exists");
        Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message))
    }

    fn apply_options(
        &mut self,
        name: &str,
        options: &[RoleOption],
        definition: &mut RoleDefinition,
        memberships: &mut Memberships,
    ) -> Result<(), SqlError> {
        for option in options {
            match option {
                RoleOption::Attribute(attribute, on) => *attribute_of(definition, *attribute) = *on,
                RoleOption::Password(None) => definition.password = None,
                RoleOption::Password(Some(password)) => {
                    definition.password = self.keep_password(name, password);
                }
                RoleOption::ConnectionLimit(limit) => {
                    let valid = i32::try_from(*limit).ok().filter(|limit| *limit >= -1);
                    definition.connection_limit = valid.ok_or_else(|| {
                        let message = format!("invalid connection limit: {limit}");
                        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                    })?;
                }
                RoleOption::ValidUntil(text) => definition.valid_until = Some(self.moment(text)?),
                RoleOption::InRole(roles) => memberships.of.clone_from(roles),
                RoleOption::Members(roles) => {
                    memberships.members.extend(roles.iter().map(|role| (role.clone(), false)));
                }
                RoleOption::Admins(roles) => {
                    memberships.members.extend(roles.iter().map(|role| (role.clone(), true)));
                }
                RoleOption::SystemId => {
                    self.plain_notice("SYSID can no longer be specified".to_owned(), None);
                }
            }
        }
        Ok(())
    }

    fn keep_password(&mut self, role: &str, password: &str) -> Option<String> {
        let encryption = self.statement.settings.password_encryption;
        let kept = kept_password(password, role, encryption, rand::rng().random());
        if kept.is_none() {
            let message = "empty string is not a valid password, clearing password";
            self.plain_notice(message.to_owned(), None);
        }
        kept
    }

    fn moment(&self, text: &str) -> Result<i64, SqlError> {
        let names = Names::new(&self.catalog, &self.statement.search_path);
        let settings = &self.statement.settings;
        timestamptz(text, 6, &TypeContext { settings, names: &names, now_us: 0 })
    }

    fn alter_role(&mut self, role: &str, options: &[RoleOption]) -> Result<(), SqlError> {
        let oid = self.role_oid(role)?;
        let id = self.role_row(oid)?;
        let name = self.role_name(oid);
        let mut definition: RoleDefinition = self.definition(id);
        let mut memberships = Memberships::default();
        let stays = oid == BOOTSTRAP_ROLE;
        self.apply_options(&name, options, &mut definition, &mut memberships)?;
        if stays && !definition.superuser {
            return Err(SqlError::unsupported("taking SUPERUSER from the bootstrap superuser"));
        }
        self.redefine(id, |kept: &mut RoleDefinition| *kept = definition);
        for (member, admin) in &memberships.members {
            self.grant_membership(role, member, *admin)?;
        }
        Ok(())
    }

    fn rename_role(&mut self, role: &str, name: &str) -> Result<(), SqlError> {
        let oid = self.role_oid(role)?;
        if oid == self.acting() {
            let message = "session user cannot be renamed";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        if oid == BOOTSTRAP_ROLE {
            return Err(SqlError::unsupported("renaming the bootstrap superuser"));
        }
        refuse_reserved(role)?;
        refuse_reserved(name)?;
        self.refuse_taken(name)?;
        let id = self.role_row(oid)?;
        self.rename(id, None, name);
        let mut cleared = false;
        // An MD5 hash has the name in it.
        self.redefine(id, |definition: &mut RoleDefinition| {
            cleared = definition.password.as_deref().is_some_and(crate::schema::password::is_md5);
            if cleared {
                definition.password = None;
            }
        });
        if cleared {
            self.plain_notice("MD5 password cleared because of role rename".to_owned(), None);
        }
        Ok(())
    }

    fn drop_role(&mut self, role: &str, if_exists: bool) -> Result<(), SqlError> {
        if SPECIAL_ROLES.contains(&role) {
            let message = "cannot use special role specifier in DROP ROLE";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        let oid = match self.role_oid(role) {
            Ok(oid) => oid,
            Err(_) if if_exists => {
                self.plain_notice(format!("role \"{role}\" does not exist, skipping"), None);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if oid == self.acting() {
            let message = "current user cannot be dropped";
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
        }
        let required = |detail: Option<String>| {
            let message = match &detail {
                Some(_) => {
                    format!("role \"{role}\" cannot be dropped because some objects depend on it")
                }
                None => {
                    format!("cannot drop role {role} because it is required by the database system")
                }
            };
            let error = SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message);
            match detail {
                Some(detail) => error.with_detail(detail),
                None => error,
            }
        };
        if !self.catalog.roles.by_oid.contains_key(&oid) || oid == BOOTSTRAP_ROLE {
            return Err(required(None));
        }
        let owned = self.owned_objects(oid);
        if !owned.is_empty() {
            return Err(required(Some(owned.join("\n"))));
        }
        let memberships = self.catalog.roles.memberships.iter();
        let gone = memberships.filter(|it| it.role == oid || it.member == oid).map(|it| it.id);
        for id in gone.collect::<Vec<_>>() {
            self.drop_row(id);
        }
        let id = self.role_row(oid)?;
        self.drop_row(id);
        self.relink();
        Ok(())
    }

    /// What a role owns, as DROP ROLE tells it.
    fn owned_objects(&self, role: Oid) -> Vec<String> {
        let catalog = &self.catalog;
        let names = Names::new(catalog, &self.statement.search_path);
        let owned = catalog.owners.iter().filter(|(_, owner)| **owner == role);
        let describe = |oid: Oid| {
            if let Some(schema) = catalog.namespaces.values().find(|it| it.oid == oid) {
                return Some(format!("schema {}", schema.name));
            }
            let noun = if catalog.tables.contains_key(&oid) {
                "table"
            } else if let Some(view) = catalog.views.get(&oid) {
                if view.materialized_in.is_some() { "materialized view" } else { "view" }
            } else if catalog.sequences.contains_key(&oid) {
                "sequence"
            } else if catalog.functions.contains_key(&oid) {
                return names.function_signature(oid).map(|name| format!("function {name}"));
            } else {
                return catalog
                    .types
                    .get(&oid)
                    .map(|_| format!("type {}", names.types().format(oid)));
            };
            names.relation_text(oid).map(|name| format!("{noun} {name}"))
        };
        owned.filter_map(|(oid, _)| describe(*oid)).map(|it| format!("owner of {it}")).collect()
    }

    fn grant_membership(&mut self, role: &str, member: &str, admin: bool) -> Result<(), SqlError> {
        let (role_oid, member_oid) = (self.role_oid(role)?, self.role_oid(member)?);
        if self.catalog.roles.reaches(role_oid, member_oid, |_| true) {
            let (role, member) = (self.role_name(role_oid), self.role_name(member_oid));
            let message = format!("role \"{role}\" is a member of role \"{member}\"");
            return Err(SqlError::new(SqlState::INVALID_GRANT_OPERATION, message));
        }
        let mut known = self.catalog.roles.memberships.iter();
        let known = known.find(|it| it.role == role_oid && it.member == member_oid).cloned();
        if let Some(known) = known {
            if known.admin || !admin {
                let message = format!(
                    "role \"{}\" is already a member of role \"{}\"",
                    self.role_name(member_oid),
                    self.role_name(role_oid)
                );
                self.plain_notice(message, None);
                return Ok(());
            }
            self.redefine(known.id, |it: &mut MembershipDefinition| it.admin = true);
            self.relink();
            return Ok(());
        }
        let roles = &self.catalog.roles;
        let ids = roles.id(role_oid).zip(roles.id(member_oid));
        let Some((role_id, member_id)) = ids else { return Err(no_role(role)) };
        let grantor = self.owner_to_be();
        let definition =
            MembershipDefinition { member: member_id.0, admin, grantor, ..Default::default() };
        self.create(ObjectKind::Membership, role_id, &member_id.0.to_string(), &definition);
        self.relink();
        Ok(())
    }

    fn revoke_membership(
        &mut self,
        role: &str,
        member: &str,
        admin_only: bool,
    ) -> Result<(), SqlError> {
        let (role_oid, member_oid) = (self.role_oid(role)?, self.role_oid(member)?);
        let mut known = self.catalog.roles.memberships.iter();
        let known = known.find(|it| it.role == role_oid && it.member == member_oid);
        let Some(id) = known.map(|it| it.id) else {
            let (role, member) = (self.role_name(role_oid), self.role_name(member_oid));
            let message = format!("role \"{member}\" is not a member of role \"{role}\"");
            self.warning(message);
            return Ok(());
        };
        if admin_only {
            self.redefine(id, |it: &mut MembershipDefinition| it.admin = false);
        } else {
            self.drop_row(id);
        }
        self.relink();
        Ok(())
    }

    fn reassign_owned(&mut self, roles: &[String], to: &str) -> Result<(), SqlError> {
        let from: Vec<Oid> =
            roles.iter().map(|role| self.role_oid(role)).collect::<Result<_, _>>()?;
        let to = self.role_oid(to)?;
        if let Some(role) = from.iter().find(|it| **it == BOOTSTRAP_ROLE) {
            let role = self.role_name(*role);
            let message = format!(
                "cannot reassign ownership of objects owned by role {role} because they are required by the database system"
            );
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        let ids: Vec<ObjectId> = from.iter().filter_map(|it| self.catalog.roles.id(*it)).collect();
        let owned: Vec<ObjectId> = self
            .catalog
            .rows
            .values()
            .filter(|row| {
                !row.dropped && definition::owner(row).is_some_and(|it| ids.contains(&it))
            })
            .map(|row| row.id)
            .collect();
        for id in owned {
            self.set_owner(id, to);
        }
        Ok(())
    }

    /// The owner of what the session makes, as definitions have it: none for the bootstrap superuser.
    pub(super) fn owner_to_be(&self) -> Option<i64> {
        let acting = self.acting();
        (acting != BOOTSTRAP_ROLE).then(|| self.catalog.roles.id(acting).map(|id| id.0)).flatten()
    }

    /// Gives an object to a role. The catalog is not relinked.
    pub(super) fn set_owner(&mut self, id: ObjectId, role: Oid) {
        let owner = (role != BOOTSTRAP_ROLE).then(|| self.catalog.roles.id(role)).flatten();
        if id == public_id() && !self.catalog.rows.contains_key(&id) {
            // The schema public has no row until something happens to it.
            let (name, definition) = ("public".to_owned(), "{}".to_owned());
            let (kind, parent) = (ObjectKind::Namespace, ObjectId(0));
            self.put(SchemaRow { id, kind, parent, name, definition, dropped: false });
        }
        self.redefine(id, |it: &mut Ownership| it.owner = owner.map(|id| id.0));
    }
}

fn no_role(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

fn refuse_reserved(name: &str) -> Result<(), SqlError> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    let message = format!("role name \"{name}\" is reserved");
    let detail = "Role names starting with \"pg_\" are reserved.";
    Err(SqlError::new(SqlState::RESERVED_NAME, message).with_detail(detail))
}

fn attribute_of(definition: &mut RoleDefinition, attribute: RoleAttribute) -> &mut bool {
    match attribute {
        RoleAttribute::Superuser => &mut definition.superuser,
        RoleAttribute::CreateDatabase => &mut definition.create_database,
        RoleAttribute::CreateRole => &mut definition.create_role,
        RoleAttribute::Inherit => &mut definition.inherit,
        RoleAttribute::Login => &mut definition.login,
        RoleAttribute::Replication => &mut definition.replication,
        RoleAttribute::BypassRowSecurity => &mut definition.bypass_row_security,
    }
}

fn store_setting(definition: &mut RoleDefinition, setting: &StoredSetting) {
    match setting {
        StoredSetting::Set(name, values) => {
            definition.settings.insert(name.clone(), values.join(", "));
        }
        StoredSetting::Reset(name) => drop(definition.settings.remove(name)),
        StoredSetting::ResetAll => definition.settings.clear(),
    }
}
