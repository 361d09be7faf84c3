//! Function calls: plain functions, aggregates, window functions, and the names that are functions by their look only.

use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, WindowType,
};

use super::binder::Binder;
use super::operator::type_arguments;
use super::resolve::{
    ArgumentSource, CallShape, FunctionCall, ResolvedCall, ResolvedFunction, Routine, VariadicUse,
    resolve_function,
};
use super::scope::CallRules;
use super::tree::{Aggregate, At, Call, Expr, Node, SortBy, SortKey};
use crate::builtin::{AggregateKind, CastContext, FunctionKind, aggregate};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse;
use crate::schema::Function;

/// A call as written, its arguments bound.
struct Written<'e> {
    schema: Option<String>,
    name: String,
    arguments: Vec<Expr>,
    names: Vec<String>,
    variadic: bool,
    star: bool,
    distinct: bool,
    order_by: Vec<SortKey>,
    within_group: Option<usize>,
    filter: Option<Expr>,
    over: Option<&'e WindowType>,
    in_from: bool,
    procedure: bool,
    at: At,
}

impl<'e> Written<'e> {
    fn plain(name: &str, arguments: Vec<Expr>, at: At) -> Self {
        Self {
            schema: Some("pg_catalog".to_owned()),
            name: name.to_owned(),
            arguments,
            names: Vec::new(),
            variadic: false,
            star: false,
            distinct: false,
            order_by: Vec::new(),
            within_group: None,
            filter: None,
            over: None,
            in_from: false,
            procedure: false,
            at,
        }
    }
}

impl<'a> Binder<'a> {
    /// A call of a function of `pg_catalog` with bound arguments.
    ///
    /// # Errors
    /// 42883 and its kin.
    pub(crate) fn call_named(
        &mut self,
        name: &str,
        arguments: Vec<Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        self.resolve_call(Written::plain(name, arguments, at))
    }

    /// As [`Self::call_named`], of a function that the search path finds.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn call_unqualified(
        &mut self,
        name: &str,
        arguments: Vec<Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let written = Written::plain(name, arguments, at);
        self.resolve_call(Written { schema: None, ..written })
    }

    /// As [`Self::call_named`], of a call in `FROM`.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn call_in_from(
        &mut self,
        name: &str,
        arguments: Vec<Expr>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let written = Written::plain(name, arguments, at);
        self.resolve_call(Written { in_from: true, ..written })
    }

    /// A call as the text has it.
    pub(crate) fn function(&mut self, function: &ast::Function) -> Result<Expr, SqlError> {
        let ast::Function {
            name,
            uses_odbc_syntax: _,
            parameters,
            args,
            within_group,
            filter,
            null_treatment,
            over,
        } = function;
        let at = self.start_of(name);
        let in_from = std::mem::take(&mut self.expect_table_function);
        let procedure = std::mem::take(&mut self.expect_procedure);
        if !matches!(parameters, FunctionArguments::None) || null_treatment.is_some() {
            return Err(SqlError::unsupported("this form of function call").at(at.position()));
        }
        let (schema, local) = self.qualified(name)?;
        let list = match args {
            FunctionArguments::None => return self.parameterless(&local, at),
            FunctionArguments::Subquery(query) if local == "array" => {
                return self.array_query(query);
            }
            FunctionArguments::Subquery(query) => {
                let argument = self.scalar_subquery(query)?;
                return self.call_named(&local, vec![argument], at);
            }
            FunctionArguments::List(list) => list,
        };
        if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = &list.args[..]
            && local == parse::rewrite::VALUE
        {
            return self.expr(value);
        }
        if schema.is_none()
            && let Some(special) = self.by_look(&local, list, at)?
        {
            return Ok(special);
        }
        let shape = Shape {
            within_group,
            filter: filter.as_deref(),
            over: over.as_ref(),
            in_from,
            procedure,
        };
        self.written_call(schema, local, list, &shape, at)
    }

    /// Names whose call has a grammar or a typing of its own.
    fn by_look(
        &mut self,
        name: &str,
        list: &ast::FunctionArgumentList,
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        if !matches!(name, "coalesce" | "greatest" | "least" | "nullif" | "row" | "grouping") {
            return self.sql_value(name, list, at);
        }
        if name == "row" {
            return self.row_constructor(&list.args, at);
        }
        let mut arguments = Vec::with_capacity(list.args.len());
        for argument in &list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                return Ok(None);
            };
            arguments.push(argument);
        }
        if name == "grouping" {
            return self.grouping_call(&arguments, at).map(Some);
        }
        self.special_function(name, &arguments, at)
    }

    /// `ROW(a, t.*)`: values, and all columns of a relation.
    fn row_constructor(
        &mut self,
        arguments: &[FunctionArg],
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let mut fields = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => {
                    fields.push(self.expr(argument)?);
                }
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
                    let place = self.start_of(name);
                    let (schema, table) = self.qualified(name)?;
                    let relation = self.find_relation(schema.as_deref(), &table, place)?;
                    let relation = relation
                        .ok_or_else(|| self.missing_relation(schema.as_deref(), &table, place))?;
                    fields.extend(self.whole_row_fields(relation, place));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Expr::new(Node::Row(fields), Oid::RECORD).at(at)))
    }

    /// `GROUPING(…)`, of which the grouping itself decides the value.
    fn grouping_call(&mut self, arguments: &[&ast::Expr], at: At) -> Result<Expr, SqlError> {
        if arguments.len() > GROUPING_MAX {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message).at(at.position()));
        }
        if let Some(clause) = self.scope().calls.no_aggregates {
            let message = format!("grouping operations are not allowed in {clause}");
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at.position()));
        }
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let place = self.expr_start(argument);
            bound.push(self.expr(argument)?.at(place));
        }
        let level = self.level_of(&bound).unwrap_or(self.scopes.len().saturating_sub(1));
        if let Some(scope) = self.scopes.get_mut(level) {
            scope.calls.met_aggregate = true;
        }
        Ok(Expr::new(Node::Grouping(bound), Oid::INT4).at(at))
    }

    /// `CURRENT_TIMESTAMP(3)` and its kin.
    fn sql_value(
        &mut self,
        name: &str,
        list: &ast::FunctionArgumentList,
        at: At,
    ) -> Result<Option<Expr>, SqlError> {
        let Some((target, _)) = clock_value(name) else { return Ok(None) };
        let typmod = match &list.args[..] {
            [] => -1,
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Value(value)))] => {
                value.value.to_string().parse::<i32>().unwrap_or(-1)
            }
            _ => return Ok(None),
        };
        self.clock(target, typmod, at).map(Some)
    }

    /// `CURRENT_USER`, `CURRENT_TIMESTAMP`: calls without parentheses.
    pub(crate) fn parameterless(&mut self, name: &str, at: At) -> Result<Expr, SqlError> {
        if let Some((target, typmod)) = clock_value(name) {
            return self.clock(target, typmod, at);
        }
        let function = match name {
            "current_user" | "user" | "current_role" => "current_user",
            "session_user" => "session_user",
            "current_catalog" => "current_database",
            "current_schema" => "current_schema",
            other => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{other}\" does not exist"),
                )
                .at(at.position()));
            }
        };
        self.call_named(function, Vec::new(), at)
    }

    /// The transaction's start, as one of the date and time types.
    fn clock(&mut self, target: Oid, typmod: i32, at: At) -> Result<Expr, SqlError> {
        let now = self.call_named("now", Vec::new(), at)?;
        self.coerce(now, target, typmod, CastContext::Explicit)
    }

    /// `ARRAY(SELECT …)`.
    fn array_query(&mut self, query: &ast::Query) -> Result<Expr, SqlError> {
        let at = self.start_of(query);
        let bound = self.subquery(query)?;
        if bound.columns.len() != 1 {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "subquery must return only one column",
            )
            .at(at.position()));
        }
        let element = bound.columns[0].type_oid;
        let array = match self.types.sub_element(element) {
            Some(_) => element,
            None => self.types.array_of(element).ok_or_else(|| {
                let name = self.types.format(element);
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find array type for data type {name}"),
                )
            })?,
        };
        Ok(Expr::new(Node::ArrayQuery(Box::new(bound)), array).at(at))
    }

    fn written_call(
        &mut self,
        schema: Option<String>,
        name: String,
        list: &ast::FunctionArgumentList,
        shape: &Shape<'_>,
        at: At,
    ) -> Result<Expr, SqlError> {
        let ast::FunctionArgumentList { duplicate_treatment, args, clauses } = list;
        let outer = self.enter_call(&name, shape.over.is_some());
        let mut written = Written {
            schema,
            name,
            arguments: Vec::with_capacity(args.len()),
            names: Vec::new(),
            variadic: false,
            star: false,
            distinct: matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct)),
            order_by: Vec::new(),
            within_group: None,
            filter: None,
            over: shape.over,
            in_from: shape.in_from,
            procedure: shape.procedure,
            at,
        };
        let result = self
            .without_effects(|binder| binder.write_arguments(&mut written, args, clauses, shape));
        self.leave_call(outer);
        result?;
        self.resolve_call(written)
    }

    /// Inside an aggregate's arguments no other may be called, unless it is called as a window function. Whether the name is
    /// an aggregate's is known by its rows. Gives what held outside.
    fn enter_call(&mut self, name: &str, window: bool) -> (bool, bool) {
        let rows = crate::builtin::functions_by_name(name);
        let aggregate = !window && rows.iter().any(|row| row.kind == FunctionKind::Aggregate);
        let calls = &mut self.scope().calls;
        let outer = (calls.in_aggregate, calls.in_window);
        calls.in_aggregate |= aggregate;
        calls.in_window |= window;
        outer
    }

    fn leave_call(&mut self, outer: (bool, bool)) {
        let calls = &mut self.scope().calls;
        (calls.in_aggregate, calls.in_window) = outer;
    }

    fn write_arguments(
        &mut self,
        written: &mut Written<'_>,
        args: &[FunctionArg],
        clauses: &[FunctionArgumentClause],
        shape: &Shape<'_>,
    ) -> Result<(), SqlError> {
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => written.star = true,
                FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(options))
                    if *options == ast::WildcardAdditionalOptions::default() =>
                {
                    written.star = true;
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    written.arguments.push(self.expr(expr)?);
                }
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
                    let (schema, table) = self.qualified(name)?;
                    let at = self.start_of(name);
                    let relation = self.find_relation(schema.as_deref(), &table, at)?;
                    let relation = relation
                        .ok_or_else(|| self.missing_relation(schema.as_deref(), &table, at))?;
                    written.arguments.push(self.whole_row(relation, at));
                }
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), operator: _ }
                | FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(expr),
                    operator: _,
                } => {
                    written.arguments.push(self.expr(expr)?);
                    if name.value == parse::rewrite::VARIADIC {
                        written.variadic = true;
                    } else {
                        written.names.push(Self::name(name));
                    }
                }
                other => {
                    return Err(SqlError::unsupported(format!("the argument {other}"))
                        .at(written.at.position()));
                }
            }
        }
        for clause in clauses {
            let FunctionArgumentClause::OrderBy(keys) = clause else {
                return Err(SqlError::unsupported(format!("{clause} in a function call"))
                    .at(written.at.position()));
            };
            written.order_by = self.sort_keys(keys)?;
        }
        if !shape.within_group.is_empty() {
            written.within_group = Some(shape.within_group.len());
            written.order_by = self.sort_keys(shape.within_group)?;
            for key in &written.order_by {
                if let SortBy::Expr(expr) = &key.by {
                    written.arguments.push(expr.clone());
                }
            }
        }
        if let Some(filter) = shape.filter {
            let rules = CallRules {
                no_aggregates: Some("FILTER"),
                no_windows: Some("FILTER"),
                in_aggregate: false,
                ..self.scope().calls
            };
            let outer = std::mem::replace(&mut self.scope().calls, rules);
            let filter = self.expr(filter);
            self.scope().calls = outer;
            written.filter = Some(self.boolean(filter?, "FILTER")?);
        }
        Ok(())
    }

    /// The keys of an `ORDER BY` inside a call or a window.
    pub(crate) fn sort_keys(
        &mut self,
        keys: &[ast::OrderByExpr],
    ) -> Result<Vec<SortKey>, SqlError> {
        let mut bound = Vec::with_capacity(keys.len());
        for key in keys {
            let ast::OrderByExpr { expr, options, with_fill } = key;
            if with_fill.is_some() {
                return Err(SqlError::unsupported("WITH FILL"));
            }
            let at = self.expr_start(expr);
            let expr = self.expr(expr)?;
            let expr = if expr.is_unknown() { self.implicit(expr, Oid::TEXT)? } else { expr };
            let expr = if expr.at.0 == 0 { expr.at(at) } else { expr };
            super::resolve::require_ordering(self.types, expr.type_oid)
                .map_err(|error| error.at(at.position()))?;
            let (descending, nulls_first) = Self::sort_direction(options)?;
            bound.push(SortKey { by: SortBy::Expr(expr), descending, nulls_first });
        }
        Ok(bound)
    }

    /// Whether a key is descending, and whether NULLs come first.
    pub(crate) fn sort_direction(options: &ast::OrderByOptions) -> Result<(bool, bool), SqlError> {
        let ast::OrderByOptions { sort, nulls_first } = options;
        let descending = match sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(ast::OrderBySort::Using(operator)) => match operator.to_string().as_str() {
                "<" | "~<~" => false,
                ">" | "~>~" => true,
                other => {
                    let message = format!("operator {other} is not a valid ordering operator");
                    let hint = "Ordering operators must be \"<\" or \">\" members of btree operator \
                                families.";
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_hint(hint));
                }
            },
        };
        Ok((descending, nulls_first.unwrap_or(descending)))
    }

    /// Finds the function and makes the call.
    fn resolve_call(&mut self, written: Written<'_>) -> Result<Expr, SqlError> {
        let at = written.at;
        if written.names.is_empty() && !written.star && written.over.is_none() {
            let name = (written.schema.as_deref(), written.name.as_str());
            if let Some(range) =
                self.range_constructor(name, (&written.arguments, written.variadic), at)?
            {
                return Ok(range);
            }
        }
        let types: Vec<Oid> = written.arguments.iter().map(|it| it.type_oid).collect();
        let names: Vec<&str> = written.names.iter().map(String::as_str).collect();
        let call = FunctionCall {
            schema: written.schema.as_deref().filter(|schema| *schema != "pg_catalog"),
            name: &written.name,
            arguments: &types,
            argument_names: &names,
            variadic: written.variadic,
            shape: CallShape {
                star: written.star,
                distinct: written.distinct,
                ordered: !written.order_by.is_empty() && written.within_group.is_none(),
                within_group: written.within_group,
                filter: written.filter.is_some(),
                over: written.over.is_some(),
                procedure: written.procedure,
            },
        };
        let resolved = match resolve_function(self.types, &call) {
            Ok(resolved) => resolved,
            Err(error) => match self.field_by_call(&written) {
                Some(field) => return field,
                None => return Err(error.at(at.position())),
            },
        };
        match resolved {
            ResolvedCall::Cast(target) => {
                let argument = written.arguments.into_iter().next().unwrap_or_else(Expr::null);
                self.coerce(argument, target, -1, CastContext::Explicit)
            }
            ResolvedCall::Function(function) => self.make_call(written, &function),
        }
    }

    fn make_call(
        &mut self,
        mut written: Written<'_>,
        function: &ResolvedFunction<'a>,
    ) -> Result<Expr, SqlError> {
        let at = written.at;
        let row = match function.routine {
            Routine::Builtin(row) => row,
            Routine::User(user) => return self.make_user_call(written, function, user),
        };
        let is_hypothetical =
            aggregate(row.oid).is_some_and(|it| it.kind == AggregateKind::Hypothetical);
        if is_hypothetical && written.over.is_none() {
            let keys = std::mem::take(&mut written.order_by);
            let arguments = std::mem::take(&mut written.arguments);
            return self.hypothetical_set(row, (arguments, keys), written.filter, at);
        }
        if written.distinct {
            require_arguments_as_keys(&written)?;
        }
        let mut given = Vec::with_capacity(written.arguments.len());
        let declared = |index: usize| row.arguments.get(index).or(row.arguments.last());
        for (index, argument) in written.arguments.into_iter().enumerate() {
            let any = written.names.is_empty() && declared(index) == Some(&Oid::ANY);
            let target = function.arguments.get(index).copied().unwrap_or(Oid::ANY);
            let target = if any { Oid::ANY } else { target };
            given.push(self.argument(argument, target)?);
        }
        let arguments = self.fill_parameters(given, function)?;
        let mut type_arguments = type_arguments(row, &arguments);
        if function.variadic == VariadicUse::Array && row.variadic == Oid::ANY {
            type_arguments.push(SPREAD_ARRAY);
        }
        if row.kind == FunctionKind::Plain {
            let call = Call { row, operator: None, arguments, type_arguments };
            let expr = Expr::new(Node::Call(Box::new(call)), function.result).at(at);
            if written.in_from {
                let columns = function.columns.iter();
                self.table_function_columns =
                    columns.map(|(name, oid)| ((*name).to_owned(), *oid)).collect();
                return Ok(expr);
            }
            return if row.returns_set { self.set_returning(expr, function) } else { Ok(expr) };
        }
        self.refuse_sets(&arguments, written.over.is_some())?;
        let over = match written.over {
            Some(over) => Some(self.window(over)?),
            None => None,
        };
        let parts = || arguments.iter().chain(&written.filter);
        let level = if over.is_some() { None } else { self.level_of(parts()) };
        self.refuse_nested(parts(), level)?;
        self.note_aggregate(over.is_some(), level, at)?;
        let aggregate = Aggregate {
            row,
            arguments,
            type_arguments,
            distinct: written.distinct,
            // An ordered-set aggregate sorts by its argument as coerced, to which the keys' own expressions are close enough.
            order_by: written.order_by,
            filter: written.filter,
            over,
        };
        Ok(Expr::new(Node::Aggregate(Box::new(aggregate)), function.result).at(at))
    }

    /// A field of a row that is written like a function of it.
    fn field_by_call(&mut self, written: &Written<'_>) -> Option<Result<Expr, SqlError>> {
        let ([row], None) = (&written.arguments[..], &written.schema) else { return None };
        let plain = written.names.is_empty() && !written.variadic && written.over.is_none();
        if !plain || written.in_from {
            return None;
        }
        let fields = self.row_type_columns(row.type_oid).or_else(|| match row.type_oid {
            Oid::RECORD => self.record_fields(row),
            _ => None,
        })?;
        if !fields.iter().any(|(name, ..)| *name == written.name) {
            return None;
        }
        let field = ast::Expr::Identifier(ast::Ident::with_quote('"', written.name.as_str()));
        Some(self.field(row.clone(), &field))
    }

    fn make_user_call(
        &mut self,
        written: Written<'_>,
        function: &ResolvedFunction<'a>,
        user: &'a Function,
    ) -> Result<Expr, SqlError> {
        let is_query = |it: &&Expr| it.any(&mut |it| it.query().is_some());
        if written.procedure
            && let Some(query) = written.arguments.iter().find(is_query)
        {
            let message = "cannot use subquery in CALL argument";
            let position = query.at.before().position();
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        let mut given = Vec::with_capacity(written.arguments.len());
        for (index, argument) in written.arguments.into_iter().enumerate() {
            let target = function.arguments.get(index).copied().unwrap_or(Oid::ANY);
            given.push(self.argument(argument, target)?);
        }
        let arguments = self.fill_parameters(given, function)?;
        self.user_call(user, function, arguments, written.in_from, written.at)
    }

    /// 0A000 for a set-returning function in the arguments of an aggregate or a window function.
    fn refuse_sets(&mut self, arguments: &[Expr], window: bool) -> Result<(), SqlError> {
        let Some(sets) = self.scope().set_returning else { return Ok(()) };
        let mut place = None;
        let mut is_set = |it: &Expr| {
            let found = matches!(it.node, Node::Column(relation, _) if relation == sets);
            place = found.then_some(it.at).or(place);
            found
        };
        if !arguments.iter().any(|argument| argument.any(&mut is_set)) {
            return Ok(());
        }
        let kind = if window { "window" } else { "aggregate" };
        let message = format!("{kind} function calls cannot contain set-returning function calls");
        let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
            .with_hint(hint)
            .at(place.and_then(At::position)))
    }

    /// An argument, coerced. Pseudo-types take it as it is; what stays unknown is text.
    fn argument(&mut self, argument: Expr, target: Oid) -> Result<Expr, SqlError> {
        let pseudo = crate::builtin::type_by_oid(target).is_some_and(|row| row.category == b'P');
        match (pseudo, argument.is_unknown()) {
            (true, false) => Ok(argument),
            // A parameter that only "any" takes stays undecided: 42P18 unless another use decides it.
            (pseudo, true)
                if matches!(argument.node, Node::Parameter(_))
                    && (pseudo || target == Oid::UNKNOWN) =>
            {
                Ok(argument)
            }
            // A literal is read as a value of the type, and there is no reading a record.
            (true, true) if target == Oid::RECORD => self.implicit(argument, target),
            (true, true) => self.implicit(argument, Oid::TEXT),
            (false, true) if target == Oid::UNKNOWN => self.implicit(argument, Oid::TEXT),
            (false, _) => self.implicit(argument, target),
        }
    }

    /// The function's parameters in its own order, VARIADIC packed and defaults bound.
    fn fill_parameters(
        &mut self,
        given: Vec<Expr>,
        function: &ResolvedFunction<'_>,
    ) -> Result<Vec<Expr>, SqlError> {
        let mut given: Vec<Option<Expr>> = given.into_iter().map(Some).collect();
        let mut filled = Vec::with_capacity(function.sources.len());
        for source in &function.sources {
            filled.push(match source {
                ArgumentSource::Given(index) => {
                    given.get_mut(*index).and_then(Option::take).unwrap_or_else(Expr::null)
                }
                ArgumentSource::Default(text, type_oid) => {
                    self.default_argument(text, *type_oid)?
                }
            });
        }
        if let VariadicUse::Packed { first, array, .. } = function.variadic {
            let packed = filled.split_off(first.min(filled.len()));
            filled.push(Expr::new(Node::Array(packed), array));
        }
        Ok(filled)
    }

    fn default_argument(&mut self, text: &str, type_oid: Oid) -> Result<Expr, SqlError> {
        let ast = parse::expression(text)?;
        self.in_other_text(|binder| {
            let bound = binder.expr(&ast)?;
            if super::resolve::is_polymorphic(type_oid) {
                return Ok(bound);
            }
            binder.coerce(bound, type_oid, -1, CastContext::Assignment)
        })
    }

    /// 42803 for an aggregate in the arguments of another of the same level; calls of other levels may be inside.
    fn refuse_nested<'e>(
        &self,
        parts: impl Iterator<Item = &'e Expr>,
        level: Option<usize>,
    ) -> Result<(), SqlError> {
        let Some(level) = level else { return Ok(()) };
        let mut nested = None;
        for part in parts {
            part.visit_all(&self.relations, &mut |it| {
                if let Node::Aggregate(call) = &it.node
                    && call.over.is_none()
                    && self.level_of(call.arguments.iter().chain(&call.filter)) == Some(level)
                {
                    nested = nested.or(Some(it.at));
                }
            });
        }
        let Some(at) = nested else { return Ok(()) };
        let message = "aggregate function calls cannot be nested";
        Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at.position()))
    }

    /// Notes an aggregate or window function, where its clause admits one.
    pub(crate) fn note_aggregate(
        &mut self,
        window: bool,
        level: Option<usize>,
        at: At,
    ) -> Result<(), SqlError> {
        let calls = match level {
            Some(level) => &mut self.scopes[level].calls,
            None => &mut self.scope().calls,
        };
        if window {
            if let Some(clause) = calls.no_windows {
                return Err(SqlError::new(
                    SqlState::WINDOWING_ERROR,
                    format!("window functions are not allowed in {clause}"),
                )
                .at(at.position()));
            }
            let (state, message) = match (calls.in_aggregate, calls.in_window) {
                (true, _) => (
                    SqlState::GROUPING_ERROR,
                    "aggregate function calls cannot contain window function calls",
                ),
                (false, true) => {
                    (SqlState::WINDOWING_ERROR, "window function calls cannot be nested")
                }
                (false, false) => {
                    calls.met_window = true;
                    return Ok(());
                }
            };
            return Err(SqlError::new(state, message).at(at.position()));
        }
        if calls.in_aggregate {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                "aggregate function calls cannot be nested",
            )
            .at(at.position()));
        }
        if let Some(clause) = calls.no_aggregates {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                format!("aggregate functions are not allowed in {clause}"),
            )
            .at(at.position()));
        }
        calls.met_aggregate = true;
        Ok(())
    }
}

/// 42P10 for a key of an aggregate with DISTINCT that is none of its arguments.
fn require_arguments_as_keys(call: &Written<'_>) -> Result<(), SqlError> {
    let is_argument = |expr: &Expr| call.arguments.contains(expr);
    let stray = call.order_by.iter().find_map(|key| match &key.by {
        SortBy::Expr(expr) if !is_argument(expr) => Some(expr.at),
        SortBy::Expr(_) | SortBy::Output(_) => None,
    });
    let Some(at) = stray else { return Ok(()) };
    let message =
        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
    Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(at.position()))
}

/// Most arguments of GROUPING, whose value is an int4 of as many bits; more is refused with 54023.
const GROUPING_MAX: usize = 31;

/// Ends the type arguments of a call whose last argument is an array given for `VARIADIC "any"`.
const SPREAD_ARRAY: Oid = Oid(0);

/// The clauses after a call's parentheses.
struct Shape<'e> {
    within_group: &'e [ast::OrderByExpr],
    filter: Option<&'e ast::Expr>,
    over: Option<&'e WindowType>,
    in_from: bool,
    procedure: bool,
}

/// The type of a name that reads the clock.
fn clock_value(name: &str) -> Option<(Oid, i32)> {
    Some(match name {
        "current_timestamp" => (Oid::TIMESTAMPTZ, -1),
        "localtimestamp" => (Oid::TIMESTAMP, -1),
        "current_date" => (Oid::DATE, -1),
        "current_time" => (Oid::TIMETZ, -1),
        "localtime" => (Oid::TIME, -1),
        _ => return None,
    })
}
