//! `pg_authid`, `pg_auth_members`, `pg_db_role_setting`, and the owners of objects.

use rusqlite::{Connection, params};

use crate::catalog::names::json_array;
use crate::schema::{BOOTSTRAP_ROLE, Catalog};

/// Inserts the roles, and writes the owners into the rows that are there.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    insert_roles(connection, catalog)?;
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO pg_auth_members(roleid, member, grantor, admin_option)
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for it in &catalog.roles.memberships {
        insert.execute(params![it.role.0, it.member.0, it.grantor.0, it.admin])?;
    }
    set_owners(connection, catalog)
}

fn insert_roles(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(
        "INSERT OR REPLACE INTO pg_authid(oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
             rolreplication, rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut settings = connection.prepare(
        "INSERT INTO pg_db_role_setting(setdatabase, setrole, setconfig) VALUES (0, ?1, ?2)",
    )?;
    for role in catalog.roles.by_oid.values() {
        // Whatever was altered of it, the bootstrap superuser may do everything.
        let all = role.oid == BOOTSTRAP_ROLE;
        insert.execute(params![
            role.oid.0,
            role.name,
            role.superuser || all,
            role.inherit,
            role.create_role || all,
            role.create_database || all,
            role.login,
            role.replication || all,
            role.bypass_row_security || all,
            role.connection_limit,
            role.password,
            role.valid_until,
        ])?;
        if !role.settings.is_empty() {
            let set: Vec<_> =
                role.settings.iter().map(|(name, value)| Some(format!("{name}={value}"))).collect();
            settings.execute(params![role.oid.0, json_array(&set)])?;
        }
    }
    Ok(())
}

fn set_owners(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let statements = [
        "UPDATE pg_class SET relowner = ?2 WHERE oid = ?1",
        "UPDATE pg_class SET relowner = ?2 WHERE oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ?1)",
        "UPDATE pg_type SET typowner = ?2 WHERE oid = ?1 OR typrelid = ?1 AND typrelid <> 0",
        "UPDATE pg_proc SET proowner = ?2 WHERE oid = ?1",
        "UPDATE pg_namespace SET nspowner = ?2 WHERE oid = ?1",
    ];
    for sql in statements {
        let mut update = connection.prepare(sql)?;
        for (object, owner) in &catalog.owners {
            update.execute(params![object.0, owner.0])?;
        }
    }
    Ok(())
}
