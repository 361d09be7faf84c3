use super::*;

#[test]
fn every_row_is_found_by_its_keys() {
    for row in types() {
        assert_eq!(type_by_oid(row.oid).map(|found| found.oid), Some(row.oid));
        let by_name = type_in_namespace(row.namespace, row.name);
        assert_eq!(by_name.map(|found| found.oid), Some(row.oid), "{}", row.name);
    }
    for row in functions() {
        assert_eq!(function_by_oid(row.oid).map(|found| found.oid), Some(row.oid));
        assert!(
            functions_by_name(row.name).iter().any(|found| found.oid == row.oid),
            "{}",
            row.name
        );
        assert_eq!(aggregate(row.oid).is_some(), row.kind == FunctionKind::Aggregate);
    }
    for row in operators() {
        assert_eq!(operator_by_oid(row.oid).map(|found| found.oid), Some(row.oid));
        assert!(
            operators_by_name(row.name).iter().any(|found| found.oid == row.oid),
            "{}",
            row.name
        );
        assert!(function_by_oid(row.function).is_some(), "{}", row.name);
    }
    for row in casts() {
        assert!(cast(row.source, row.target).is_some());
    }
    for row in relations() {
        assert_eq!(relation(row.schema, row.name).map(|found| found.oid), Some(row.oid));
    }
    for row in settings() {
        let found = setting(&row.name.to_uppercase()).map(|found| found.name);
        assert_eq!(found, Some(row.name));
    }
    for row in keywords() {
        assert!(keyword(row.word).is_some());
    }
}

#[test]
fn names_follow_the_contract_with_the_function_library() {
    let name = |oid| function_by_oid(Oid(oid)).map(implementation_name);
    assert_eq!(name(1724).as_deref(), Some("pg_numeric_add"));
    assert_eq!(name(1481).as_deref(), Some("pg_log10_1481"));
    assert_eq!(name(2108).as_deref(), Some("pg_agg_sum_int4"));
    assert_eq!(name(3538).as_deref(), Some("pg_agg_string_agg_text_text"));
    assert_eq!(name(1067).as_deref(), Some("pg_srf_generate_series_int4"));
}

#[test]
fn identifiers_are_quoted_only_where_needed() {
    let quoted = ["a_1", "users", "order", "User", "1a", "", "a\"b", "between", "name"];
    let quoted = quoted.map(quote_identifier);
    assert_eq!(
        quoted,
        [
            "a_1",
            "users",
            "\"order\"",
            "\"User\"",
            "\"1a\"",
            "\"\"",
            "\"a\"\"b\"",
            "\"between\"",
            "name"
        ]
    );
}
