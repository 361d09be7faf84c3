//! `pg_description`: comments.

use rusqlite::{Connection, params};

use super::{PG_AUTHID, PG_CLASS, PG_CONSTRAINT, PG_NAMESPACE, PG_TYPE};
use crate::oid::Oid;
use crate::schema::{Catalog, UserType};

/// Inserts all comments.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO pg_description(objoid, classoid, objsubid, description) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for ((object, attnum), text) in &catalog.comments {
        let Some(class) = class_of(catalog, *object) else { continue };
        insert.execute(params![object.0, class, attnum, text])?;
    }
    Ok(())
}

/// OID of the catalog that `object` is a row of, if the object exists.
pub(crate) fn class_of(catalog: &Catalog, object: Oid) -> Option<u32> {
    if object.0 == super::OWNER {
        return Some(PG_AUTHID);
    }
    let is_relation = catalog.tables.contains_key(&object)
        || catalog.views.contains_key(&object)
        || catalog.sequences.contains_key(&object)
        || catalog.relation_names.values().any(|it| *it == object);
    if is_relation {
        return Some(PG_CLASS);
    }
    if catalog.types.contains_key(&object) {
        return Some(PG_TYPE);
    }
    if catalog.namespaces.values().any(|it| it.oid == object) {
        return Some(PG_NAMESPACE);
    }
    let in_tables = catalog.tables.values().any(|table| {
        table.uniques.iter().any(|it| it.oid == object)
            || table.checks.iter().any(|it| it.oid == object)
            || table.foreign_keys.iter().any(|it| it.oid == object)
    });
    let in_domains = catalog.types.values().any(|it| match it {
        UserType::Domain(domain) => domain.checks.iter().any(|it| it.oid == object),
        UserType::Enum(_) => false,
    });
    (in_tables || in_domains).then_some(PG_CONSTRAINT)
}
