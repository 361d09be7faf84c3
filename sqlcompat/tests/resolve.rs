//! Resolution against PostgreSQL's own answers.
//!
//! `testscripts/resolve/answers.tsv` holds one question a line: kind, name, argument types, and what PostgreSQL 15 made of
//! it (`record.sql` beside it asks). An answer is the node of its parse tree (`opexpr`, `funcexpr`, `aggref`, …), the OID of
//! the operator or function, and the result type; or SQLSTATE and message.

use std::fmt::Write as _;
use std::fs;

use trellis_sqlcompat::bind::resolve::{
    CallShape, Coercion, CoercionMethod, FunctionCall, ResolvedCall, Types, cast_error,
    plan_coercion, resolve_function, resolve_operator, select_common_type,
};
use trellis_sqlcompat::builtin::{CastContext, FunctionKind, type_by_name};
use trellis_sqlcompat::schema::{Catalog, DomainType, EnumType, Namespace, ObjectId, UserType};
use trellis_sqlcompat::{Oid, SqlError, SqlState};

const MOOD: Oid = Oid(20000);
const PUBLIC: Oid = Oid(2200);

/// The types that `record.sql` creates.
fn catalog() -> Catalog {
    let id = ObjectId(0);
    let mut catalog = Catalog::default();
    let public = Namespace { id, oid: PUBLIC, name: "public".to_owned() };
    catalog.namespaces.insert("public".to_owned(), public);
    let mood = EnumType {
        id,
        oid: MOOD,
        array_oid: Oid(20001),
        namespace: PUBLIC,
        name: "mood".to_owned(),
        labels: Vec::new(),
        renamed: Default::default(),
    };
    catalog.types.insert(MOOD, UserType::Enum(mood));
    let domains =
        [("posint", Oid::INT4, -1), ("email", Oid::VARCHAR, 54), ("ints", Oid::INT4_ARRAY, -1)];
    for (at, (name, base_type, typmod)) in (1u32..).zip(domains) {
        let oid = Oid(20000 + 10 * at);
        let domain = DomainType {
            id,
            oid,
            array_oid: Oid(oid.0 + 1),
            namespace: PUBLIC,
            name: name.to_owned(),
            base_type,
            typmod,
            not_null: false,
            default: None,
            checks: Vec::new(),
        };
        catalog.types.insert(oid, UserType::Domain(domain));
    }
    catalog
}

/// The answer in the form of `answers.tsv`.
fn answer(
    types: Types<'_>,
    kind: &str,
    name: &str,
    arguments: &[Oid],
    notation: FunctionCall<'_>,
) -> Result<String, SqlError> {
    let named =
        |oid: Oid| types.info(oid).map_or_else(|| oid.to_string(), |info| info.name.into_owned());
    match kind {
        "operator" | "prefix" => {
            let left = (kind == "operator").then(|| arguments[0]);
            let found = resolve_operator(types, name, left, arguments[arguments.len() - 1])?;
            Ok(format!("opexpr {} {}", found.row.oid, named(found.result)))
        }
        "function" | "window" => {
            let shape = CallShape { over: kind == "window", ..CallShape::default() };
            let call = FunctionCall { name, arguments, shape, ..notation };
            match resolve_function(types, &call)? {
                ResolvedCall::Cast(target) => cast(types, arguments[0], target),
                ResolvedCall::Function(found) => {
                    let node = match found.routine.kind() {
                        _ if kind == "window" => "windowfunc",
                        FunctionKind::Aggregate => "aggref",
                        FunctionKind::Plain | FunctionKind::Window | FunctionKind::Procedure => {
                            "funcexpr"
                        }
                    };
                    Ok(format!("{node} {} {}", found.routine.oid(), named(found.result)))
                }
            }
        }
        "cast" => cast(types, oid_of(types, name), arguments[0]),
        "common" => {
            let found = [arguments[0], oid_of(types, name)];
            let common = select_common_type(types, &found, "CASE")?;
            let blocked = found.iter().find(|oid| !coercible(types, **oid, common));
            match blocked {
                None => Ok(format!("caseexpr {}", named(common))),
                Some(oid) => {
                    let (from, to) = (types.format(*oid), types.format(common));
                    let message = format!("CASE/WHEN could not convert type {from} to {to}");
                    Err(SqlError::new(SqlState::CANNOT_COERCE, message))
                }
            }
        }
        "format" => {
            let typmod: i32 = notation.name.parse().expect("a type modifier");
            Ok(types.format_with_typmod(oid_of(types, name), typmod))
        }
        "assign" => {
            let source = oid_of(types, name);
            let target = arguments[0];
            plan_coercion(types, (source, -1), (target, -1), CastContext::Assignment)
                .map(|_| "ok".to_owned())
                .ok_or_else(|| {
                    let (to, from) = (types.format(target), types.format(source));
                    let message =
                        format!("column \"c\" is of type {to} but expression is of type {from}");
                    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                })
        }
        other => panic!("unknown kind {other}"),
    }
}

fn coercible(types: Types<'_>, source: Oid, target: Oid) -> bool {
    plan_coercion(types, (source, -1), (target, -1), CastContext::Implicit).is_some()
}

fn cast(types: Types<'_>, source: Oid, target: Oid) -> Result<String, SqlError> {
    let planned = plan_coercion(types, (source, -1), (target, -1), CastContext::Explicit);
    let Coercion { method, length, .. } =
        planned.ok_or_else(|| cast_error(types, source, target))?;
    if let Some(length) = length {
        return Ok(format!("funcexpr {}", length.function));
    }
    Ok(match method {
        // A NULL constant under a relabelling is a constant of the new type.
        CoercionMethod::Relabel | CoercionMethod::Input | CoercionMethod::Row => "same".to_owned(),
        CoercionMethod::InOut => "coerceviaio".to_owned(),
        CoercionMethod::Function(oid) => format!("funcexpr {oid}"),
        CoercionMethod::Array { .. } => "arraycoerceexpr".to_owned(),
    })
}

fn oid_of(types: Types<'_>, name: &str) -> Oid {
    let found = type_by_name(name).map(|row| row.oid);
    found.or_else(|| types.lookup(None, name)).unwrap_or_else(|| panic!("no type {name}"))
}

/// The type of an argument that may be written `name=>type` or `variadic:type`.
fn type_word(word: &str) -> &str {
    let word = word.split_once("=>").map_or(word, |(_, word)| word);
    word.strip_prefix("variadic:").unwrap_or(word)
}

/// What of a recorded answer is compared: of casts, the node and its function.
fn expected(recorded: &str, given: &str) -> String {
    if matches!(given, "same" | "coerceviaio" | "arraycoerceexpr") || given.starts_with("funcexpr")
    {
        let mut words = recorded.split(' ');
        return match words.next() {
            Some("const" | "relabeltype") => "same".to_owned(),
            Some("funcexpr") if given.split(' ').count() == 2 => {
                format!("funcexpr {}", words.next().unwrap_or(""))
            }
            _ => recorded.to_owned(),
        };
    }
    recorded.to_owned()
}

#[test]
fn postgresql_resolves_the_same() {
    let text =
        fs::read_to_string("testscripts/resolve/answers.tsv").expect("the answers are there");
    let catalog = catalog();
    let search_path = ["public".to_owned()];
    let types = Types::new(&catalog, &search_path);
    let (mut asked, mut differing, mut report) = (0, 0, String::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, name, arguments, recorded] = fields[..] else { panic!("bad line {line:?}") };
        let typmod = arguments.parse::<i32>().ok();
        let words = || arguments.split_whitespace().filter(|_| typmod.is_none());
        let names: Vec<&str> = words().filter_map(|word| Some(word.split_once("=>")?.0)).collect();
        let variadic = words().any(|word| word.starts_with("variadic:"));
        let notation = FunctionCall {
            name: arguments,
            argument_names: &names,
            variadic,
            ..FunctionCall::default()
        };
        let oids: Vec<Oid> = words().map(|word| oid_of(types, type_word(word))).collect();
        let given = answer(types, kind, name, &oids, notation)
            .unwrap_or_else(|error| format!("{} {}", error.state, error.message));
        asked += 1;
        if given != expected(recorded, &given) {
            differing += 1;
            writeln!(
                report,
                "{kind} {name} ({arguments})\n  PostgreSQL: {recorded}\n  ours: {given}"
            )
            .expect("a String takes all");
        }
    }
    assert!(asked > 0, "no questions");
    assert!(differing == 0, "{differing} of {asked} differ:\n{report}");
}
