//! `CREATE FUNCTION`, `CREATE PROCEDURE`, and `DROP`, `ALTER` of them.
//!
//! Source: PostgreSQL 15 `functioncmds.c`, `pg_proc.c`, `parse_func.c` (`LookupFuncWithArgs`).

use super::edit::Edit;
use super::function_parameters::Declared;
use crate::bind::check_function;
use crate::bind::resolve::{Types, is_polymorphic};
use crate::builtin::{Volatility, quote_identifier};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::utility::{
    AlterObject, AlterRoutine, CreateFunction, FunctionOptions, ParameterMode, RoutineKind,
    RoutineReference,
};
use crate::schema::definition::FunctionDefinition;
use crate::schema::function::Function;
use crate::schema::row::{ObjectId, ObjectKind};

impl Edit<'_> {
    /// `CREATE FUNCTION`; gives the command tag.
    pub(super) fn create_function(
        &mut self,
        ast: &CreateFunction,
    ) -> Result<&'static str, SqlError> {
        let (parent, namespace) = self.target_namespace(&ast.name, false)?;
        let body = self.sql_body(ast)?;
        let declared = self.declare(ast)?;
        if ast.options.standard && declared.inputs.iter().any(|it| is_polymorphic(*it)) {
            let message =
                "SQL function with unquoted function body cannot have polymorphic arguments";
            return Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message));
        }
        let mut definition = FunctionDefinition {
            procedure: ast.kind == RoutineKind::Procedure,
            parameters: declared.parameters.clone(),
            result: declared.result.clone(),
            returns_set: declared.returns_set,
            body,
            standard: ast.options.standard,
            volatility: "v".to_owned(),
            parallel: "u".to_owned(),
            ..FunctionDefinition::default()
        };
        self.set_options(&mut definition, &ast.options)?;
        let name = &ast.name.name;
        let existing = self.function_with(namespace, name, &declared.inputs);
        let id = match existing.cloned() {
            Some(existing) => {
                self.check_replaced(&existing, ast, &declared)?;
                self.redefine(existing.id, |stored: &mut FunctionDefinition| *stored = definition);
                existing.id
            }
            None => {
                let identity = declared.identity(name);
                let names = (name.as_str(), identity.as_str());
                self.create_identified(ObjectKind::Function, parent, names, &definition)
            }
        };
        self.relink();
        self.check_body(id, ast)?;
        Ok(if definition_is_procedure(ast) { "CREATE PROCEDURE" } else { "CREATE FUNCTION" })
    }

    /// The body of a function in SQL.
    ///
    /// # Errors
    /// 42704 for a language that there is not, 0A000 for one that Trellis lacks, 42P13 without a body.
    fn sql_body(&self, ast: &CreateFunction) -> Result<String, SqlError> {
        let options = &ast.options;
        let invalid =
            |message: &str| Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message));
        let language = match &options.language {
            Some(language) => language.as_str(),
            None if options.standard => "sql",
            None if options.body.is_none() => return invalid("no function body specified"),
            None => return invalid("no language specified"),
        };
        match language.to_ascii_lowercase().as_str() {
            "sql" if language == "sql" || language == "SQL" => {}
            "internal" | "c" | "plpgsql" => {
                return Err(SqlError::unsupported(format!("LANGUAGE {language}")));
            }
            _ => {
                let message = format!("language \"{language}\" does not exist");
                let error = SqlError::new(SqlState::UNDEFINED_OBJECT, message);
                let known = ["plperl", "plpython3u", "pltcl"].contains(&language);
                let hint = "Use CREATE EXTENSION to load the language into the database.";
                return Err(if known { error.with_hint(hint) } else { error });
            }
        }
        if options.link_symbol {
            return invalid("only one AS item needed for language \"sql\"");
        }
        match &options.body {
            Some(body) => Ok(body.clone()),
            None => invalid("no function body specified"),
        }
    }

    /// Applies the attributes that a statement gives.
    fn set_options(
        &self,
        definition: &mut FunctionDefinition,
        options: &FunctionOptions,
    ) -> Result<(), SqlError> {
        if let Some(volatility) = options.volatility {
            definition.volatility = match volatility {
                Volatility::Immutable => "i",
                Volatility::Stable => "s",
                Volatility::Volatile => "v",
            }
            .to_owned();
        }
        if let Some(parallel) = &options.parallel {
            definition.parallel = match parallel.as_str() {
                "safe" => "s",
                "unsafe" => "u",
                "restricted" => "r",
                _ => {
                    let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
            }
            .to_owned();
        }
        let positive = |value: f64, what: &str| {
            if value > 0.0 {
                return Ok(Some(value.to_bits()));
            }
            let message = format!("{what} must be positive");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        };
        if let Some(cost) = options.cost {
            definition.cost = positive(cost, "COST")?;
        }
        if let Some(rows) = options.rows {
            definition.rows = positive(rows, "ROWS")?;
            if !definition.returns_set {
                let message = "ROWS is not applicable when function does not return a set";
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        }
        definition.strict = options.strict.unwrap_or(definition.strict);
        definition.leakproof = options.leakproof.unwrap_or(definition.leakproof);
        let definer = options.security_definer;
        definition.security_definer = definer.unwrap_or(definition.security_definer);
        Ok(())
    }

    /// The function of a schema with this name and these types of input arguments.
    fn function_with(&self, namespace: Oid, name: &str, inputs: &[Oid]) -> Option<&Function> {
        let mut functions = self.catalog.functions.values();
        functions.find(|it| it.namespace == namespace && it.name == name && it.arguments == inputs)
    }

    /// Refuses what CREATE OR REPLACE may not change.
    fn check_replaced(
        &self,
        existing: &Function,
        ast: &CreateFunction,
        declared: &Declared,
    ) -> Result<(), SqlError> {
        if !ast.or_replace {
            return Err(already_exists(&existing.name));
        }
        let invalid = |message: String| {
            let what = if existing.procedure { "PROCEDURE" } else { "FUNCTION" };
            let hint = format!("Use DROP {what} {} first.", self.function_signature(existing));
            Err(SqlError::new(SqlState::INVALID_FUNCTION_DEFINITION, message).with_hint(hint))
        };
        if existing.procedure != definition_is_procedure(ast) {
            let kind = if existing.procedure { "procedure" } else { "function" };
            let message = "cannot change routine kind";
            let detail = format!("\"{}\" is a {kind}.", existing.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail));
        }
        if existing.result != declared.result_oid || existing.returns_set != declared.returns_set {
            if existing.procedure {
                return invalid("cannot change whether a procedure has output parameters".into());
            }
            return invalid("cannot change return type of existing function".into());
        }
        let outputs = |columns: Vec<(&str, Oid)>| -> Vec<(String, Oid)> {
            columns.into_iter().map(|(name, oid)| (name.to_owned(), oid)).collect()
        };
        let (before, after) = (outputs(existing.out_columns().collect()), declared.outputs.clone());
        if existing.result == Oid::RECORD && before != after {
            let error = invalid("cannot change return type of existing function".into());
            let detail = "Row type defined by OUT parameters is different.";
            return error.map_err(|error| error.with_detail(detail));
        }
        let named = declared.parameters.iter().filter(|it| !matches!(&*it.mode, "o" | "t"));
        for (old, new) in existing.inputs().zip(named) {
            if !old.name.is_empty() && old.name != new.name {
                let message = format!("cannot change name of input parameter \"{}\"", old.name);
                return invalid(message);
            }
            if old.default.is_some() && new.default.is_none() {
                return invalid("cannot remove parameter defaults from existing function".into());
            }
        }
        Ok(())
    }

    /// Checks the body of a function that has been made.
    fn check_body(&self, id: ObjectId, ast: &CreateFunction) -> Result<(), SqlError> {
        let Some(function) = self.catalog.functions.values().find(|it| it.id == id) else {
            return Ok(());
        };
        let checked = check_function(function, &self.context());
        let lazily = !self.statement.settings.check_function_bodies && !function.standard;
        checked.or_else(|error| {
            if lazily && error.state != SqlState::FEATURE_NOT_SUPPORTED {
                return Ok(());
            }
            Err(match (error.position, ast.options.body_position) {
                (Some(inside), Some(begin)) => {
                    SqlError { position: Some(begin + inside.saturating_sub(1)), ..error }
                }
                _ if error.context.is_some() => error,
                _ => SqlError { position: None, ..error }
                    .with_context(format!("SQL function \"{}\"", function.name)),
            })
        })
    }

    /// `name(types)`, as errors and hints have it.
    pub(super) fn function_signature(&self, function: &Function) -> String {
        let types = Types::new(&self.catalog, &self.statement.search_path);
        let arguments: Vec<_> = function.arguments.iter().map(|it| types.format(*it)).collect();
        format!("{}({})", function.name, arguments.join(","))
    }

    /// A function as PostgreSQL describes it.
    pub(super) fn describe_function(&self, function: &Function) -> String {
        let kind = if function.procedure { "procedure" } else { "function" };
        let types = Types::new(&self.catalog, &self.statement.search_path);
        let signature = self.function_signature(function);
        let signature = signature.strip_prefix(&function.name).unwrap_or_default();
        let name = quote_identifier(&function.name);
        if types.finds_function(crate::bind::resolve::Routine::User(function)) {
            return format!("{kind} {name}{signature}");
        }
        let schema = quote_identifier(self.catalog.namespace_name(function.namespace));
        format!("{kind} {schema}.{name}{signature}")
    }

    /// The user's function that a statement names.
    ///
    /// # Errors
    /// 42883 if there is none, 42725 if there are several, 42809 for one of another kind.
    pub(super) fn routine(&self, reference: &RoutineReference) -> Result<&Function, SqlError> {
        let RoutineReference { kind, name, arguments, absent } = reference;
        let missing = || {
            let message = match arguments {
                None => absent.error.clone(),
                Some(_) => {
                    let names = Types::new(&self.catalog, &self.statement.search_path);
                    let types = self.argument_types(reference)?;
                    let shown: Vec<_> = types.iter().map(|oid| names.format(*oid)).collect();
                    let noun = if *kind == RoutineKind::Routine { "function" } else { kind.noun() };
                    format!("{noun} {}({}) does not exist", name.display(), shown.join(", "))
                }
            };
            Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message))
        };
        let found = self.routines_named(reference)?;
        let of_kind = |it: &&&Function| match kind {
            RoutineKind::Function => !it.procedure,
            RoutineKind::Procedure => it.procedure,
            RoutineKind::Routine => true,
        };
        let fitting: Vec<&Function> = found.iter().filter(of_kind).copied().collect();
        match (&fitting[..], found.first()) {
            ([only], _) => Ok(only),
            ([], None) => missing(),
            ([], Some(other)) => {
                let shown = match arguments {
                    Some(_) => self.function_signature(other),
                    None => name.display(),
                };
                let message = format!("{shown} is not a {}", kind.noun());
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
            _ => {
                let message = format!("{} name \"{}\" is not unique", kind.noun(), name.display());
                let hint = format!(
                    "Specify the argument list to select the {} unambiguously.",
                    kind.noun()
                );
                Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).with_hint(hint))
            }
        }
    }

    /// The functions that a name, and argument types where given, may mean.
    fn routines_named(&self, reference: &RoutineReference) -> Result<Vec<&Function>, SqlError> {
        let wanted = reference.arguments.as_ref().map(|_| self.argument_types(reference));
        let wanted = wanted.transpose()?;
        let schemas: Vec<Oid> = match &reference.name.schema {
            Some(schema) => self.catalog.namespace(schema).map(|it| it.oid).into_iter().collect(),
            None => {
                let path = self.catalog.path_namespaces(&self.statement.search_path);
                path.map(|it| it.oid).collect()
            }
        };
        let mut found: Vec<&Function> = Vec::new();
        for schema in schemas {
            for it in self.catalog.functions.values() {
                let fits = it.namespace == schema
                    && it.name == reference.name.name
                    && wanted.as_ref().is_none_or(|wanted| fits_arguments(it, wanted, reference));
                let hidden = found.iter().any(|earlier| earlier.arguments == it.arguments);
                if fits && !hidden {
                    found.push(it);
                }
            }
        }
        Ok(found)
    }

    /// Types of the arguments that a statement names a function by: of inputs, and of a procedure all.
    fn argument_types(&self, reference: &RoutineReference) -> Result<Vec<Oid>, SqlError> {
        let all = reference.kind != RoutineKind::Function;
        let arguments = reference.arguments.iter().flatten();
        let named = arguments.filter(|(mode, _)| all || *mode != ParameterMode::Out);
        let resolve = |(_, it): &(ParameterMode, crate::parse::utility::TypeName)| {
            let resolved = it.resolve(&self.catalog, &self.statement.search_path);
            resolved.map(|(oid, _)| oid).map_err(|error| SqlError { position: None, ..error })
        };
        named.map(resolve).collect()
    }

    /// `DROP FUNCTION` and its kin.
    pub(super) fn drop_routines(
        &mut self,
        routines: &[RoutineReference],
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let mut ids = Vec::new();
        for reference in routines {
            let found = self.routine(reference).map(|it| it.id);
            match found {
                Ok(id) => ids.push(id),
                Err(error)
                    if error.state == SqlState::UNDEFINED_FUNCTION
                        || error.state == SqlState::UNDEFINED_OBJECT
                        || error.state == SqlState::INVALID_SCHEMA_NAME =>
                {
                    self.drop_absent(std::slice::from_ref(&reference.absent), if_exists)?;
                }
                Err(error) => return Err(error),
            }
        }
        self.drop_all(&ids, cascade)
    }

    /// `ALTER FUNCTION` and its kin.
    pub(super) fn alter_routine(
        &mut self,
        reference: &RoutineReference,
        change: &AlterRoutine,
    ) -> Result<(), SqlError> {
        let function = self.routine(reference)?.clone();
        match change {
            AlterRoutine::Object(AlterObject::Owner(role)) => {
                let role = self.role_oid(role)?;
                self.set_owner(function.id, role);
                Ok(())
            }
            AlterRoutine::Object(AlterObject::Rename(name)) => {
                self.claim_function(function.namespace, name, &function.arguments)?;
                self.rename(function.id, None, name);
                Ok(())
            }
            AlterRoutine::Object(AlterObject::SetSchema(schema)) => {
                let (parent, namespace) = self.namespace(schema, None)?;
                if namespace != function.namespace {
                    self.claim_function(namespace, &function.name, &function.arguments)?;
                    self.rename(function.id, Some(parent), &function.name);
                }
                Ok(())
            }
            AlterRoutine::Options(options) => {
                let mut definition: FunctionDefinition = self.definition(function.id);
                self.set_options(&mut definition, options)?;
                self.redefine(function.id, |stored: &mut FunctionDefinition| *stored = definition);
                Ok(())
            }
        }
    }

    fn claim_function(&self, namespace: Oid, name: &str, inputs: &[Oid]) -> Result<(), SqlError> {
        let Some(existing) = self.function_with(namespace, name, inputs) else { return Ok(()) };
        let kind = if existing.procedure { "procedure" } else { "function" };
        let schema = self.catalog.namespace_name(namespace);
        let signature = self.function_signature(existing);
        let message = format!("{kind} {signature} already exists in schema \"{schema}\"");
        Err(SqlError::new(SqlState::DUPLICATE_FUNCTION, message))
    }
}

/// 42723.
fn already_exists(name: &str) -> SqlError {
    let message = format!("function \"{name}\" already exists with same argument types");
    SqlError::new(SqlState::DUPLICATE_FUNCTION, message)
}

fn definition_is_procedure(ast: &CreateFunction) -> bool {
    ast.kind == RoutineKind::Procedure
}

/// Whether a function is the one with these argument types: of its inputs, or of all its parameters.
fn fits_arguments(function: &Function, wanted: &[Oid], reference: &RoutineReference) -> bool {
    if function.arguments == wanted {
        return true;
    }
    let all: Vec<Oid> =
        function.parameters.iter().filter(|it| it.mode != b't').map(|it| it.type_oid).collect();
    reference.kind != RoutineKind::Function && function.procedure && all == wanted
}
