//! Roles, memberships and owners.

use std::collections::{BTreeMap, BTreeSet};

use super::{Linker, fallback_name};
use crate::catalog::NamedCatalog;
use crate::oid::Oid;
use crate::schema::definition::{self, MembershipDefinition, RoleDefinition};
use crate::schema::role::{BOOTSTRAP_ROLE, BOOTSTRAP_ROLE_NAME, Membership, Role, built_in_id};
use crate::schema::row::{ObjectId, ObjectKind, SchemaRow};

impl Linker<'_> {
    pub(super) fn roles(&mut self) {
        let mut ids: BTreeMap<ObjectId, Oid> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (oid, name) in NamedCatalog::Role.all() {
            ids.insert(built_in_id(name), oid);
            taken.insert(name.to_owned());
        }
        let bootstrap_id = built_in_id(BOOTSTRAP_ROLE_NAME);
        for row in self.live(ObjectKind::Role) {
            let bootstrap = row.id == bootstrap_id;
            let oid = if bootstrap { BOOTSTRAP_ROLE } else { self.deal_main_oid(row.id) };
            let free = bootstrap || taken.insert(row.name.clone());
            let name = if free { row.name.clone() } else { fallback_name(row) };
            ids.insert(row.id, oid);
            self.catalog.roles.by_oid.insert(oid, role(row, oid, name));
        }
        for row in self.live(ObjectKind::Membership) {
            let definition: MembershipDefinition = definition::read(&row.definition);
            let found = ids.get(&row.parent).zip(ids.get(&ObjectId(definition.member)));
            let Some((&role, &member)) = found else { continue };
            let grantor = definition.grantor.and_then(|id| ids.get(&ObjectId(id)));
            self.catalog.roles.memberships.push(Membership {
                id: row.id,
                role,
                member,
                grantor: grantor.copied().unwrap_or(BOOTSTRAP_ROLE),
                admin: definition.admin,
            });
        }
        self.owners(&ids);
    }

    /// Who owns what. An object whose owner is gone, dropped elsewhere meanwhile, is the bootstrap superuser's.
    fn owners(&mut self, roles: &BTreeMap<ObjectId, Oid>) {
        for (id, oid) in &self.oids {
            let Some(row) = self.rows.get(id) else { continue };
            if let Some(owner) = definition::owner(row).and_then(|it| roles.get(&it)) {
                self.catalog.owners.insert(*oid, *owner);
            }
        }
    }
}

fn role(row: &SchemaRow, oid: Oid, name: String) -> Role {
    let definition: RoleDefinition = definition::read(&row.definition);
    Role {
        id: row.id,
        oid,
        name,
        superuser: definition.superuser,
        create_database: definition.create_database,
        create_role: definition.create_role,
        inherit: definition.inherit,
        login: definition.login,
        replication: definition.replication,
        bypass_row_security: definition.bypass_row_security,
        connection_limit: definition.connection_limit,
        password: definition.password,
        valid_until: definition.valid_until,
        settings: definition.settings,
    }
}
