//! Parameters and result of a function that is being made.
//!
//! Source: PostgreSQL 15 `functioncmds.c` (`interpret_function_parameter_list`, `compute_return_type`), `pg_proc.c`.

use super::column::type_reference;
use super::edit::Edit;
use super::expression;
use crate::bind::ScalarScope;
use crate::bind::resolve::{Types, is_polymorphic};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{
    CreateFunction, ParameterClause, ParameterMode, RoutineKind, TypeName,
};
use crate::schema::catalog::Catalog;
use crate::schema::definition::{ParameterDefinition, TypeReference};
use crate::schema::storage::is_pseudo_type;

/// What a function is declared to take and return.
pub(super) struct Declared {
    /// All parameters.
    pub(super) parameters: Vec<ParameterDefinition>,
    /// Types of the inputs.
    pub(super) inputs: Vec<Oid>,
    /// Names and types of result columns.
    pub(super) outputs: Vec<(String, Oid)>,
    /// Result type.
    pub(super) result: TypeReference,
    /// Its OID.
    pub(super) result_oid: Oid,
    /// Returns a set.
    pub(super) returns_set: bool,
}

impl Declared {
    /// What tells the function from its namesakes, the same on all nodes.
    pub(super) fn identity(&self, name: &str) -> String {
        let inputs = self.parameters.iter().filter(|it| !matches!(&*it.mode, "o" | "t"));
        let types: Vec<String> = inputs
            .map(|it| {
                let TypeReference { oid, user, multirange, array, typmod: _ } = &it.data_type;
                format!("{oid}/{}/{multirange}/{array}", user.unwrap_or_default())
            })
            .collect();
        format!("{name}({})", types.join(","))
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message)
}

impl Edit<'_> {
    /// Resolves the parameters and the result of a function.
    ///
    /// # Errors
    /// 42P13 and its kin, as PostgreSQL words them.
    pub(super) fn declare(&self, ast: &CreateFunction) -> Result<Declared, SqlError> {
        let mut declared = Declared {
            parameters: Vec::with_capacity(ast.parameters.len()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            result: TypeReference::default(),
            result_oid: Oid(0),
            returns_set: false,
        };
        let mut has_default = false;
        let mut has_variadic = false;
        let is_out = |it: &ParameterClause| it.mode == ParameterMode::Out;
        if ast.kind == RoutineKind::Procedure && ast.parameters.iter().any(is_out) {
            return Err(SqlError::unsupported("an OUT parameter of a procedure"));
        }
        for (index, clause) in ast.parameters.iter().enumerate() {
            let type_oid = self.parameter_type(clause, ast.kind)?;
            let is_input = !matches!(clause.mode, ParameterMode::Out | ParameterMode::Table);
            if has_variadic && is_input {
                return Err(invalid("VARIADIC parameter must be the last input parameter"));
            }
            if let Some(name) = &clause.name
                && is_named_twice(&ast.parameters[..index], clause, name)
            {
                let message = format!("parameter name \"{name}\" used more than once");
                return Err(invalid(message));
            }
            if clause.mode == ParameterMode::Variadic {
                has_variadic = true;
                let types = Types::new(&self.catalog, &self.statement.search_path);
                let array = matches!(type_oid, Oid::ANYARRAY | Oid::ANYCOMPATIBLEARRAY)
                    || types.element(type_oid).is_some();
                if type_oid == Oid::ANY {
                    return Err(invalid("SQL functions cannot have arguments of type \"any\""));
                }
                if !array {
                    return Err(invalid("VARIADIC parameter must be an array"));
                }
            }
            let default = match &clause.default {
                Some(_) if !is_input => {
                    return Err(invalid("only input parameters can have default values"));
                }
                Some(text) => Some(self.parameter_default(text, type_oid)?),
                None if has_default && is_input => {
                    let message = "input parameters after one with a default value must also have \
                                   defaults";
                    return Err(invalid(message));
                }
                None => None,
            };
            has_default |= default.is_some();
            let name = clause.name.clone().unwrap_or_default();
            if is_input {
                declared.inputs.push(type_oid);
            }
            if !matches!(clause.mode, ParameterMode::In | ParameterMode::Variadic) {
                declared.outputs.push((name.clone(), type_oid));
            }
            let data_type = function_type_reference(&self.catalog, type_oid);
            let mode = mode_letter(clause.mode).to_owned();
            declared.parameters.push(ParameterDefinition { name, mode, data_type, default });
        }
        self.declare_result(ast, &mut declared)?;
        Ok(declared)
    }

    fn parameter_type(&self, clause: &ParameterClause, kind: RoutineKind) -> Result<Oid, SqlError> {
        let type_oid = self.function_type(&clause.type_name)?;
        if clause.set {
            let what = if kind == RoutineKind::Procedure { "procedures" } else { "functions" };
            return Err(invalid(format!("{what} cannot accept set arguments")));
        }
        let is_output = matches!(clause.mode, ParameterMode::Out | ParameterMode::Table);
        if is_pseudo_type(type_oid) && !is_polymorphic(type_oid) && type_oid != Oid::ANY {
            let name = self.type_text(type_oid);
            if is_output && type_oid == Oid::RECORD {
                return Ok(type_oid);
            }
            let message = if type_oid == Oid::VOID || !is_output {
                format!("SQL functions cannot have arguments of type {name}")
            } else {
                format!("SQL functions cannot return type {name}")
            };
            return Err(invalid(message));
        }
        Ok(type_oid)
    }

    fn type_text(&self, type_oid: Oid) -> String {
        Types::new(&self.catalog, &self.statement.search_path).format(type_oid)
    }

    fn function_type(&self, type_name: &TypeName) -> Result<Oid, SqlError> {
        let resolved = type_name.resolve(&self.catalog, &self.statement.search_path);
        // PostgreSQL tells no place here.
        resolved.map(|(oid, _)| oid).map_err(|error| SqlError { position: None, ..error })
    }

    /// The text of a default.
    fn parameter_default(&self, text: &str, type_oid: Oid) -> Result<String, SqlError> {
        expression::refuse_subquery(text, "DEFAULT expression")?;
        let expected = (!is_polymorphic(type_oid)).then_some((type_oid, -1));
        let scope = ScalarScope::Nothing;
        expression::bind(text, scope, expected, &self.context()).map_err(|error| {
            if error.message.starts_with("cannot use column reference in DEFAULT") {
                let message = "cannot use table references in parameter default value";
                return SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
            }
            SqlError { position: None, ..error }
        })?;
        Ok(expression::canonical(text, scope, expected, &self.context()))
    }

    fn declare_result(
        &self,
        ast: &CreateFunction,
        declared: &mut Declared,
    ) -> Result<(), SqlError> {
        let of_outputs = match &declared.outputs[..] {
            [] => None,
            [(_, only)] if ast.kind != RoutineKind::Procedure => Some(*only),
            _ => Some(Oid::RECORD),
        };
        let table = ast.parameters.iter().any(|it| it.mode == ParameterMode::Table);
        let result = match (&ast.returns, of_outputs) {
            (None, None) if ast.kind == RoutineKind::Procedure => Oid::VOID,
            (None, None) => {
                return Err(invalid("function result type must be specified"));
            }
            (None, Some(result)) => result,
            (Some((type_name, set)), of_outputs) => {
                declared.returns_set = *set;
                let result = self.function_type(type_name)?;
                if let Some(wanted) = of_outputs.filter(|wanted| *wanted != result) {
                    let wanted = self.type_text(wanted);
                    let message =
                        format!("function result type must be {wanted} because of OUT parameters");
                    return Err(invalid(message));
                }
                result
            }
        };
        declared.returns_set |= table;
        let returned = declared.outputs.iter().map(|(_, oid)| *oid).chain([result]);
        for type_oid in returned {
            self.check_result_type(type_oid, &declared.inputs)?;
        }
        declared.result = function_type_reference(&self.catalog, result);
        declared.result_oid = result;
        Ok(())
    }

    /// Refuses result types that no function in SQL can have, and polymorphic ones that no argument decides.
    fn check_result_type(&self, type_oid: Oid, inputs: &[Oid]) -> Result<(), SqlError> {
        if is_polymorphic(type_oid) {
            return check_polymorphic(&self.type_text(type_oid), type_oid, inputs);
        }
        if !is_pseudo_type(type_oid) || matches!(type_oid, Oid::VOID | Oid::RECORD) {
            return Ok(());
        }
        let name = self.type_text(type_oid);
        Err(invalid(format!("SQL functions cannot return type {name}")))
    }
}

/// Whether another parameter has the name: inputs and outputs are told apart.
fn is_named_twice(before: &[ParameterClause], clause: &ParameterClause, name: &str) -> bool {
    let sides = |mode: ParameterMode| match mode {
        ParameterMode::In | ParameterMode::Variadic => (true, false),
        ParameterMode::Out | ParameterMode::Table => (false, true),
        ParameterMode::InOut => (true, true),
    };
    let own = sides(clause.mode);
    before.iter().any(|it| {
        let other = sides(it.mode);
        it.name.as_deref() == Some(name) && (own.0 && other.0 || own.1 && other.1)
    })
}

/// The polymorphic types that decide one: those of its family.
fn check_polymorphic(name: &str, type_oid: Oid, inputs: &[Oid]) -> Result<(), SqlError> {
    let simple = [
        Oid::ANYELEMENT,
        Oid::ANYARRAY,
        Oid::ANYNONARRAY,
        Oid::ANYENUM,
        Oid::ANYRANGE,
        Oid::ANYMULTIRANGE,
    ];
    let is_simple = simple.contains(&type_oid);
    let family = |it: &Oid| is_polymorphic(*it) && simple.contains(it) == is_simple;
    let ranges = [Oid::ANYRANGE, Oid::ANYMULTIRANGE];
    let compatible_ranges = [Oid::ANYCOMPATIBLERANGE, Oid(4538)];
    let of_range = |it: &Oid| ranges.contains(it) || compatible_ranges.contains(it);
    let needs_range = of_range(&type_oid);
    if inputs.iter().any(|it| family(it) && (!needs_range || of_range(it))) {
        return Ok(());
    }
    let needed = match (is_simple, needs_range) {
        (true, true) => "anyrange or anymultirange",
        (true, false) => "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange",
        (false, true) => "anycompatiblerange or anycompatiblemultirange",
        (false, false) => {
            "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or \
             anycompatiblemultirange"
        }
    };
    let detail = format!("A result of type {name} requires at least one input of type {needed}.");
    Err(invalid("cannot determine result data type").with_detail(detail))
}

/// How a type of a function is written into its definition: rows of relations by the relation.
fn function_type_reference(catalog: &Catalog, type_oid: Oid) -> TypeReference {
    let user =
        |id: i64, array: bool| TypeReference { user: Some(id), array, ..TypeReference::default() };
    for table in catalog.tables.values() {
        if type_oid == table.row_type_oid || type_oid == table.row_array_oid {
            return user(table.id.0, type_oid == table.row_array_oid);
        }
    }
    if let Some(view) = catalog.views.values().find(|it| it.row_type_oid == type_oid) {
        return user(view.id.0, false);
    }
    type_reference(catalog, (type_oid, -1))
}

fn mode_letter(mode: ParameterMode) -> &'static str {
    match mode {
        ParameterMode::In => "i",
        ParameterMode::Out => "o",
        ParameterMode::InOut => "b",
        ParameterMode::Variadic => "v",
        ParameterMode::Table => "t",
    }
}
