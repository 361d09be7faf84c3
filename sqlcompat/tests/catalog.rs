//! The catalog image: built, attached, replaced inside a transaction, and taken back with it.
#![cfg(feature = "sqlite")]

use rusqlite::Connection;
use trellis_sqlcompat::catalog::{Attachment, CatalogImage, ImageOptions, fill_live, live_columns};
use trellis_sqlcompat::functions::{self, SessionContext};
use trellis_sqlcompat::schema::{Catalog, Namespace, ObjectId};
use trellis_sqlcompat::{Datum, Oid};

fn image(catalog: &Catalog) -> std::sync::Arc<CatalogImage> {
    CatalogImage::build(catalog, &ImageOptions::default()).expect("image")
}

fn with_schema(name: &str, oid: u32) -> Catalog {
    let namespace = Namespace { id: ObjectId(1), oid: Oid(oid), name: name.to_owned() };
    let mut catalog = Catalog::default();
    catalog.namespaces.insert(name.to_owned(), namespace);
    catalog
}

fn user_schemas(connection: &Connection) -> Vec<String> {
    connection
        .prepare("SELECT nspname FROM pg_catalog.pg_namespace WHERE oid >= 16384 ORDER BY 1")
        .and_then(|mut it| it.query_map([], |row| row.get(0))?.collect())
        .expect("pg_namespace")
}

#[test]
fn builtin_rows_are_in_storage_form() {
    let connection = Connection::open_in_memory().expect("connection");
    Attachment::default().attach(&connection, &image(&Catalog::default())).expect("attach");
    let row: (i64, i64, String, i64) = connection
        .query_row(
            "SELECT typbyval, typinput, typcategory, tableoid FROM pg_catalog.pg_type WHERE typname = 'int4'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .expect("int4");
    assert_eq!(row, (1, 42, "N".to_owned(), 1247));
    let arguments: String = connection
        .query_row(
            "SELECT proargtypes FROM pg_catalog.pg_proc WHERE proname = 'int4pl'",
            [],
            |row| row.get(0),
        )
        .expect("int4pl");
    assert_eq!(arguments, "[23,23]");
    let unresolved: i64 = connection
        .query_row(
            "SELECT count(*) FROM pg_catalog.pg_operator WHERE oprcode NOT IN (SELECT oid FROM pg_catalog.pg_proc)",
            [],
            |row| row.get(0),
        )
        .expect("operators");
    assert_eq!(unresolved, 0);
}

#[test]
fn an_image_is_replaced_between_and_inside_transactions() {
    let connection = Connection::open_in_memory().expect("connection");
    let (before, after) = (image(&with_schema("old", 20000)), image(&with_schema("new", 20001)));
    let mut attachment = Attachment::default();
    attachment.attach(&connection, &before).expect("attach");
    assert_eq!(user_schemas(&connection), ["old"]);
    attachment.attach(&connection, &after).expect("replace");
    assert_eq!(user_schemas(&connection), ["new"]);

    connection.execute_batch("BEGIN").expect("begin");
    attachment.attach(&connection, &before).expect("copy");
    assert_eq!(user_schemas(&connection), ["old"]);
    connection.execute_batch("SAVEPOINT a").expect("savepoint");
    attachment.attach(&connection, &after).expect("rewrite");
    assert_eq!(user_schemas(&connection), ["new"]);
    connection.execute_batch("ROLLBACK TO a").expect("rollback to");
    attachment.attach(&connection, &before).expect("recognise");
    assert_eq!(user_schemas(&connection), ["old"]);
    connection.execute_batch("ROLLBACK").expect("rollback");

    attachment.attach(&connection, &after).expect("attach");
    assert_eq!(user_schemas(&connection), ["new"]);
    attachment.detach(&connection).expect("detach");
    attachment.detach(&connection).expect("detach of nothing");
}

#[test]
fn live_relations_hold_what_the_server_gives() {
    let connection = Connection::open_in_memory().expect("connection");
    let columns = live_columns("pg_cursors");
    assert_eq!(columns.first(), Some(&"name"));
    let mut row = vec![Datum::Null; columns.len()];
    row[0] = Datum::Text("c1".to_owned());
    fill_live(&connection, "pg_cursors", [row.clone(), row.clone()]).expect("fill");
    fill_live(&connection, "pg_cursors", [row]).expect("fill again");
    let names: String = connection
        .query_row("SELECT group_concat(name) FROM temp.pg_live_pg_cursors", [], |row| row.get(0))
        .expect("rows");
    assert_eq!(names, "c1");
    assert!(fill_live(&connection, "pg_class", []).is_err());
}

#[test]
fn every_relation_can_be_read() {
    let connection = Connection::open_in_memory().expect("connection");
    Attachment::default().attach(&connection, &image(&Catalog::default())).expect("attach");
    functions::register(&connection, &SessionContext::default()).expect("functions");
    let names = "SELECT name FROM pg_catalog.sqlite_schema
                 WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'";
    let relations: Vec<String> = connection
        .prepare(names)
        .and_then(|mut it| it.query_map([], |row| row.get(0))?.collect())
        .expect("names");
    assert!(relations.len() > 190, "{}", relations.len());
    for relation in relations {
        let sql = format!("SELECT * FROM pg_catalog.\"{relation}\"");
        let mut statement = connection.prepare(&sql).expect(&relation);
        let mut rows = statement.query([]).expect(&relation);
        while rows.next().expect(&relation).is_some() {}
    }
}
