//! `pg_type`, `pg_enum`: enums, domains, row types and the array types over them.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{Dependencies, PG_CLASS, PG_TYPE, numbers};
use crate::builtin;
use crate::oid::Oid;
use crate::schema::{
    Catalog, CheckConstraint, CompositeType, DomainType, EnumType, RangeUserType, UserType,
};
use crate::types::scalar::NAME_BYTES_MAX;

const ENUM: &str = "INSERT OR IGNORE INTO pg_type(oid, typname, typnamespace, typarray,
        typowner, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim, typrelid,
        typsubscript, typelem, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze,
        typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation)
    VALUES (?1, ?2, ?3, ?4, 10, 4, 1, 'e', 'E', 0, 1, ',', 0, 0, 0, 3506, 3507, 3532, 3533, 0, 0, 0, 'i', 'p', 0,
        0, -1, 0, 0)";

const DOMAIN: &str = "INSERT OR IGNORE INTO pg_type(oid, typname, typnamespace, typarray, typnotnull, typbasetype,
        typtypmod, typdefault, typdefaultbin,
        typowner, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim, typrelid,
        typsubscript, typelem, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze,
        typalign, typstorage, typndims, typcollation)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8,
        10, typlen, typbyval, 'd', typcategory, 0, 1, typdelim, 0, 0, 0, 2597, typoutput, 2598, typsend, 0, 0,
        typanalyze, typalign, typstorage, typsubscript = 6179, typcollation
    FROM pg_type WHERE oid = ?6";

const ROW: &str = "INSERT OR IGNORE INTO pg_type(oid, typname, typnamespace, typarray, typrelid,
        typowner, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim,
        typsubscript, typelem, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze,
        typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation)
    VALUES (?1, ?2, ?3, ?4, ?5, 10, -1, 0, 'c', 'C', 0, 1, ',', 0, 0, 2290, 2291, 2402, 2403, 0, 0, 0, 'd', 'x', 0,
        0, -1, 0, 0)";

const RANGE: &str = "INSERT OR IGNORE INTO pg_type(oid, typname, typnamespace, typarray, typtype,
        typinput, typoutput, typreceive, typsend, typanalyze,
        typowner, typlen, typbyval, typcategory, typispreferred, typisdefined, typdelim, typrelid,
        typsubscript, typelem, typmodin, typmodout,
        typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 10, -1, 0, 'R', 0, 1, ',', 0, 0, 0, 0, 0,
        CASE typalign WHEN 'd' THEN 'd' ELSE 'i' END, 'x', 0, 0, -1, 0, 0
    FROM pg_type WHERE oid = ?11";

const RANGE_ROW: &str = "INSERT OR IGNORE INTO pg_range(rngtypid, rngsubtype, rngmultitypid, rngcollation,
        rngsubopc, rngcanonical, rngsubdiff)
    SELECT ?1, ?2, ?3,
        coalesce((SELECT oid FROM pg_collation WHERE collname = ?5), typcollation),
        coalesce((SELECT oid FROM pg_opclass WHERE opcmethod = 403 AND opcintype = ?2 AND opcdefault), 0), 0, ?4
    FROM pg_type WHERE oid = ?2";

/// Input, output, receive, send and analyze functions of range types, and of multirange types.
const RANGE_FUNCTIONS: [[u32; 5]; 2] =
    [[3834, 3835, 3836, 3837, 3916], [4231, 4232, 4233, 4234, 4242]];

const ARRAY: &str = "INSERT OR IGNORE INTO pg_type(oid, typname, typnamespace, typelem, typarray,
        typowner, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim, typrelid,
        typsubscript, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze,
        typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation)
    SELECT ?1, ?2, ?3, ?4, 0, 10, -1, 0, 'b', 'A', 0, 1, typdelim, 0, 6179, 750, 751, 2400, 2401, typmodin,
        typmodout, 3816, CASE typalign WHEN 'd' THEN 'd' ELSE 'i' END, 'x', 0, 0, -1, 0, typcollation
    FROM pg_type WHERE oid = ?4";

/// A type that an array type is to be made for.
struct Element<'a> {
    oid: Oid,
    array_oid: Oid,
    namespace: Oid,
    name: &'a str,
}

/// Inserts the types of `catalog`.
pub(super) fn insert(connection: &Connection, catalog: &Catalog) -> rusqlite::Result<()> {
    let mut elements = Vec::new();
    for it in catalog.types.values() {
        if let UserType::Enum(it) = it {
            insert_enum(connection, it)?;
        }
        if let UserType::Composite(it) = it {
            insert_composite(connection, it)?;
        }
    }
    insert_rows(connection, catalog, &mut elements)?;
    for domain in domains_in_order(catalog) {
        insert_domain(connection, domain)?;
    }
    for it in catalog.types.values() {
        if let UserType::Range(it) = it {
            insert_range(connection, it)?;
        }
    }
    for it in catalog.types.values() {
        elements.push(Element {
            oid: it.oid(),
            array_oid: it.array_oid(),
            namespace: it.namespace(),
            name: it.name(),
        });
    }
    insert_arrays(connection, &elements)
}

/// Domains, each after the domain that it is over.
fn domains_in_order(catalog: &Catalog) -> Vec<&DomainType> {
    let mut waiting: Vec<&DomainType> = Vec::new();
    for it in catalog.types.values() {
        if let UserType::Domain(it) = it {
            waiting.push(it);
        }
    }
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let open: BTreeSet<Oid> = waiting.iter().map(|it| it.oid).collect();
        let (later, ready): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|it| open.contains(&it.base_type));
        if ready.is_empty() {
            break;
        }
        ordered.extend(ready);
        waiting = later;
    }
    ordered
}

fn insert_enum(connection: &Connection, it: &EnumType) -> rusqlite::Result<()> {
    connection.prepare_cached(ENUM)?.execute(params![
        it.oid.0,
        it.name,
        it.namespace.0,
        it.array_oid.0
    ])?;
    let mut labels = connection.prepare_cached(
        "INSERT OR IGNORE INTO pg_enum(oid, enumtypid, enumsortorder, enumlabel) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for ((oid, label), position) in it.labels.iter().zip(1_i64..) {
        labels.execute(params![oid.0, it.oid.0, position, it.shown(label)])?;
    }
    Dependencies::new(connection)?.in_namespace(PG_TYPE, it.oid, it.namespace)
}

fn insert_composite(connection: &Connection, it: &CompositeType) -> rusqlite::Result<()> {
    connection.prepare_cached(ROW)?.execute(params![
        it.oid.0,
        it.name,
        it.namespace.0,
        it.array_oid.0,
        it.relation_oid.0
    ])?;
    let mut depend = Dependencies::new(connection)?;
    depend.in_namespace(PG_TYPE, it.oid, it.namespace)?;
    depend.add((PG_CLASS, it.relation_oid, 0), (PG_TYPE, it.oid, 0), "i")
}

fn insert_range(connection: &Connection, it: &RangeUserType) -> rusqlite::Result<()> {
    let [input, output, receive, send, analyze] = RANGE_FUNCTIONS[usize::from(it.is_multirange())];
    connection.prepare_cached(RANGE)?.execute(params![
        it.oid.0,
        it.name,
        it.namespace.0,
        it.array_oid.0,
        if it.is_multirange() { "m" } else { "r" },
        input,
        output,
        receive,
        send,
        analyze,
        it.subtype.0
    ])?;
    let mut depend = Dependencies::new(connection)?;
    if it.is_multirange() {
        return depend.add((PG_TYPE, it.oid, 0), (PG_TYPE, it.range, 0), "i");
    }
    depend.in_namespace(PG_TYPE, it.oid, it.namespace)?;
    let rows = it.subtype_diff.as_deref().map(builtin::functions_by_name).unwrap_or_default();
    let difference = rows.iter().find(|row| row.arguments == [it.subtype, it.subtype]);
    connection.prepare_cached(RANGE_ROW)?.execute(params![
        it.oid.0,
        it.subtype.0,
        it.multirange.0,
        difference.map_or(0, |row| row.oid.0),
        it.collation
    ])?;
    Ok(())
}

fn insert_domain(connection: &Connection, it: &DomainType) -> rusqlite::Result<()> {
    connection.prepare_cached(DOMAIN)?.execute(params![
        it.oid.0,
        it.name,
        it.namespace.0,
        it.array_oid.0,
        it.not_null,
        it.base_type.0,
        it.typmod,
        it.default
    ])?;
    Dependencies::new(connection)?.in_namespace(PG_TYPE, it.oid, it.namespace)?;
    it.checks.iter().try_for_each(|check| insert_domain_check(connection, it, check))
}

fn insert_domain_check(
    connection: &Connection,
    domain: &DomainType,
    check: &CheckConstraint,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO pg_constraint(oid, conname, connamespace, contypid, conbin, contype, condeferrable,
                 condeferred, convalidated, conrelid, conindid, conparentid, confrelid, confupdtype, confdeltype,
                 confmatchtype, conislocal, coninhcount, connoinherit)
             VALUES (?1, ?2, ?3, ?4, ?5, 'c', 0, 0, 1, 0, 0, 0, 0, ' ', ' ', ' ', 1, 0, 0)",
        )?
        .execute(params![
            check.oid.0,
            check.name,
            domain.namespace.0,
            domain.oid.0,
            check.expression
        ])?;
    Dependencies::new(connection)?.add(
        (super::PG_CONSTRAINT, check.oid, 0),
        (PG_TYPE, domain.oid, 0),
        "a",
    )
}

fn insert_rows<'a>(
    connection: &Connection,
    catalog: &'a Catalog,
    elements: &mut Vec<Element<'a>>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(ROW)?;
    let mut depend = Dependencies::new(connection)?;
    for it in catalog.tables.values() {
        let (oid, array) = (it.row_type_oid, it.row_array_oid);
        insert.execute(params![oid.0, it.name, it.namespace.0, array.0, it.oid.0])?;
        depend.add((PG_TYPE, oid, 0), (PG_CLASS, it.oid, 0), "i")?;
        elements.push(Element { oid, array_oid: array, namespace: it.namespace, name: &it.name });
    }
    for it in catalog.views.values() {
        insert.execute(params![it.row_type_oid.0, it.name, it.namespace.0, 0, it.oid.0])?;
        depend.add((PG_TYPE, it.row_type_oid, 0), (PG_CLASS, it.oid, 0), "i")?;
    }
    Ok(())
}

fn insert_arrays(connection: &Connection, elements: &[Element<'_>]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(ARRAY)?;
    let mut depend = Dependencies::new(connection)?;
    let mut taken: BTreeSet<(Oid, String)> =
        elements.iter().map(|it| (it.namespace, it.name.to_owned())).collect();
    for it in elements.iter().filter(|it| it.array_oid.0 != 0) {
        let name = array_name(it.name, |name| taken.contains(&(it.namespace, name.to_owned())));
        insert.execute(params![it.array_oid.0, name, it.namespace.0, it.oid.0])?;
        depend.add((PG_TYPE, it.array_oid, 0), (PG_TYPE, it.oid, 0), "i")?;
        taken.insert((it.namespace, name));
    }
    Ok(())
}

/// Name of the array type over the type called `name`: an underscore before it, or as many as it takes.
fn array_name(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut candidate = name.to_owned();
    loop {
        candidate.insert(0, '_');
        while candidate.len() > NAME_BYTES_MAX {
            candidate.pop();
        }
        if !is_taken(&candidate) || candidate.chars().all(|it| it == '_') {
            return candidate;
        }
    }
}

/// Storage form of an OID list; here for the files beside this one.
pub(super) fn oid_list(oids: &[Oid]) -> String {
    numbers(oids.iter().map(|it| it.0))
}
