//! Functions that yield rows: in `FROM`, alone or in lock-step, and in a select list.

use sqlparser::ast::{self, FunctionArg, Ident, ObjectName, TableAlias};

use super::binder::Binder;
use super::from::plain_column;
use super::layers::Outer;
use super::resolve::ResolvedFunction;
use super::tree::{
    At, ColumnSql, Expr, FunctionSource, Node, Relation, RelationColumn, RelationId, Source,
};
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse;

/// Where sets are the only thing that a call may be, but not what it is given.
const FUNCTIONS_IN_FROM: &str = "functions in FROM";

impl Binder<'_> {
    /// A function in `FROM`.
    pub(crate) fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let at = self.start_of(name);
        let (_, local) = self.qualified(name)?;
        if local == parse::rewrite::ROWS_FROM {
            return self.rows_from(args, ordinality, alias);
        }
        if local == "unnest" && args.len() > 1 {
            return self.unnest_several(args, ordinality, alias);
        }
        let function = ast::Function {
            name: name.clone(),
            uses_odbc_syntax: false,
            parameters: ast::FunctionArguments::None,
            args: ast::FunctionArguments::List(ast::FunctionArgumentList {
                duplicate_treatment: None,
                args: args.to_vec(),
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        };
        let rules = self.scope().calls;
        self.scope().calls.no_aggregates = Some("functions in FROM");
        self.scope().calls.no_windows = Some("functions in FROM");
        self.scope().calls.no_sets = Some(FUNCTIONS_IN_FROM);
        self.expect_table_function = true;
        let call = self.function(&function);
        self.expect_table_function = false;
        self.scope().calls = rules;
        let columns = std::mem::take(&mut self.table_function_columns);
        let query = self.table_function_query.take();
        let mut call = call?;
        if let Some(query) = query {
            return self.add_table_query(&local, query, ordinality, alias, at);
        }
        if columns.is_empty()
            && let Some(fields) = self.row_fields(&mut call, alias, at)?
        {
            return self.row_function((local, call), fields, ordinality, alias, at);
        }
        let named: Vec<(String, Oid)> = if columns.is_empty() {
            let own = alias.map_or_else(|| local.clone(), |alias| Self::name(&alias.name));
            vec![(own, call.type_oid)]
        } else {
            columns
        };
        let is_set = matches!(&call.node, Node::Call(call) if call.row.returns_set);
        let single = named.len() == 1;
        let columns: Vec<RelationColumn> = named
            .into_iter()
            .enumerate()
            .map(|(index, (name, type_oid))| {
                let sql = if single { "value".to_owned() } else { format!("c{}", index + 1) };
                plain_column(name, ColumnSql::Name(sql), type_oid)
            })
            .collect();
        let mut relation = function_relation((local, call), columns, ordinality);
        if let (false, true, Some(number)) = (is_set, ordinality, relation.columns.last_mut()) {
            number.sql = ColumnSql::Constant("1".to_owned());
        }
        self.add_relation(relation, alias, at)
    }

    /// A set-returning call in the select list: a join with the set.
    ///
    /// # Errors
    /// 0A000 where PostgreSQL or Trellis admits no sets.
    pub(crate) fn set_returning(
        &mut self,
        call: Expr,
        function: &ResolvedFunction<'_>,
    ) -> Result<Expr, SqlError> {
        let at = call.at;
        if let Some(clause) = self.scope().calls.no_sets {
            let message = match clause {
                FUNCTIONS_IN_FROM => {
                    "set-returning functions must appear at top level of FROM".to_owned()
                }
                clause => format!("set-returning functions are not allowed in {clause}"),
            };
            let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(at.position());
            let hint = "You might be able to move the set-returning function into a LATERAL FROM \
                        item.";
            let movable = matches!(clause, "CASE" | "COALESCE");
            return Err(if movable { error.with_hint(hint) } else { error });
        }
        let sets = self.scope().set_returning.map(Outer::Sets);
        if sets.is_some_and(|sets| sets.is_in(&call)) {
            return Err(SqlError::unsupported(
                "a set-returning function in the arguments of another",
            )
            .at(at.position()));
        }
        if function.columns.is_empty() && function.routine.result() == Oid::RECORD {
            return Err(undetermined_row(function, at));
        }
        if function.columns.len() > 1 {
            return self.set_of_rows(call, function);
        }
        if let Some(id) = self.scope().set_returning {
            if self.is_set_of_rows(id) {
                return Err(Self::several_sets(at));
            }
            if let Some(index) = self.same_call(id, &call) {
                return Ok(self.column(id, index, at));
            }
            let index = self.add_lock_step(id, "value", call);
            return Ok(self.column(id, index, at));
        }
        let type_oid = call.type_oid;
        let column =
            plain_column("value".to_owned(), ColumnSql::Name("value".to_owned()), type_oid);
        let source = FunctionSource { calls: vec![(call, String::new())], ordinality: true };
        let relation = Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns: vec![column, row_number()],
            source: Source::Function(Box::new(source)),
            optional: false,
        };
        let id = self.relations.add(relation);
        self.scope().set_returning = Some(id);
        Ok(self.column(id, 0, at))
    }

    /// A set-returning call of several columns in the select list: rows, of which there may be no other set beside them.
    fn set_of_rows(
        &mut self,
        call: Expr,
        function: &ResolvedFunction<'_>,
    ) -> Result<Expr, SqlError> {
        let at = call.at;
        if let Some(id) = self.scope().set_returning {
            // The same call once more: `(f(x)).a, (f(x)).b`.
            let same = match &self.relations.get(id).source {
                Source::Function(source) => matches!(&source.calls[..], [(it, _)] if *it == call),
                _ => false,
            };
            if !same || !self.is_set_of_rows(id) {
                return Err(Self::several_sets(at));
            }
            return Ok(Expr::new(Node::WholeRow(id), Oid::RECORD).at(at));
        }
        let columns = function.columns.iter().enumerate().map(|(index, (name, type_oid))| {
            let sql = ColumnSql::Name(format!("c{}", index + 1));
            plain_column((*name).to_owned(), sql, *type_oid)
        });
        let columns = columns.chain([row_number()]).collect();
        let source = FunctionSource { calls: vec![(call, String::new())], ordinality: true };
        let relation = Relation {
            alias: String::new(),
            qualifier: self.fresh_qualifier(),
            columns,
            source: Source::Function(Box::new(source)),
            optional: false,
        };
        let id = self.relations.add(relation);
        self.scope().set_returning = Some(id);
        Ok(Expr::new(Node::WholeRow(id), Oid::RECORD).at(at))
    }

    /// Whether the sets of a select list are one set of several columns.
    fn is_set_of_rows(&self, id: RelationId) -> bool {
        let relation = self.relations.get(id);
        match &relation.source {
            Source::Function(source) => {
                let shown = relation.columns.iter().filter(|column| !column.system);
                shown.count() > source.calls.len()
            }
            _ => false,
        }
    }

    fn several_sets(at: At) -> SqlError {
        let what = "a set-returning function of several columns beside another in a select list";
        SqlError::unsupported(what).at(at.position())
    }

    /// The column of a call that is in a relation of functions already: equal ones advance together, and yield the same.
    fn same_call(&self, id: RelationId, call: &Expr) -> Option<u16> {
        let Source::Function(source) = &self.relations.get(id).source else { return None };
        let index = source.calls.iter().position(|(it, _)| it == call)?;
        u16::try_from(index).ok().filter(|_| !call.is_volatile(&self.relations))
    }

    /// Adds a call to a relation of functions: it advances with the others, and yields NULL once it has no more rows.
    fn add_lock_step(&mut self, id: RelationId, name: &str, call: Expr) -> u16 {
        let fresh = [self.fresh_qualifier(), self.fresh_qualifier()];
        let [first, second] = fresh;
        let relation = self.relations.get_mut(id);
        let Source::Function(source) = &mut relation.source else { return 0 };
        if let [(_, alias)] = &mut source.calls[..]
            && alias.is_empty()
        {
            for column in &mut relation.columns {
                column.sql = match &column.sql {
                    ColumnSql::Name(name) if name == "rowid" => {
                        ColumnSql::Constant(format!("\"{}\".value", relation.qualifier))
                    }
                    ColumnSql::Name(name) => ColumnSql::Constant(format!("\"{first}\".\"{name}\"")),
                    other => other.clone(),
                };
            }
            *alias = first;
        }
        let sql = ColumnSql::Constant(format!("\"{second}\".value"));
        let column = plain_column(name.to_owned(), sql, call.type_oid);
        source.calls.push((call, second));
        let before_ordinality = relation.columns.len() - usize::from(source.ordinality);
        relation.columns.insert(before_ordinality, column);
        u16::try_from(before_ordinality).unwrap_or(u16::MAX)
    }

    /// `unnest(a, b)`: several arrays in lock-step.
    pub(crate) fn unnest_several(
        &mut self,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let name = ObjectName::from(vec![Ident::new("unnest")]);
        let (first, rest) = args.split_at(1.min(args.len()));
        let id = self.table_function(&name, first, ordinality, None)?;
        "unnest".clone_into(&mut self.relations.get_mut(id).columns[0].name);
        for arg in rest {
            let other = self.table_function(&name, std::slice::from_ref(arg), false, None)?;
            let Source::Function(source) = self.relations.get(other).source.clone() else {
                continue;
            };
            for (call, _) in source.calls {
                self.add_lock_step(id, "unnest", call);
            }
        }
        let relation = self.relations.get(id).clone();
        self.add_aliased(relation, alias)
    }

    /// `ROWS FROM (f(…), g(…))`: several functions in lock-step.
    pub(crate) fn rows_from(
        &mut self,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let mut first = None;
        for arg in args {
            let FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(ast::Expr::Function(function))) =
                arg
            else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let ast::FunctionArguments::List(list) = &function.args else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let ordinality = ordinality && first.is_none();
            self.in_rows_from = args.len() > 1;
            let id = self.table_function(&function.name, &list.args, ordinality, None);
            self.in_rows_from = false;
            let id = id?;
            let Some(joined) = first else {
                first = Some(id);
                continue;
            };
            let other = self.relations.get(id).clone();
            let Source::Function(source) = other.source else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let [(call, _)] = &source.calls[..] else {
                return Err(SqlError::unsupported("this item of ROWS FROM"));
            };
            let [column] = &other.columns[..] else {
                return Err(SqlError::unsupported("a function of several columns in ROWS FROM"));
            };
            self.add_lock_step(joined, &column.name, call.clone());
        }
        let id = first.ok_or_else(|| SqlError::unsupported("ROWS FROM without a function"))?;
        let relation = self.relations.get(id).clone();
        self.add_aliased(relation, alias)
    }

    /// Adds a relation again under an alias, keeping its qualifier.
    fn add_aliased(
        &mut self,
        relation: Relation,
        alias: Option<&TableAlias>,
    ) -> Result<RelationId, SqlError> {
        let qualifier = relation.qualifier.clone();
        let id = self.add_relation(relation, alias, At(0))?;
        self.relations.get_mut(id).qualifier = qualifier;
        Ok(id)
    }
}

/// The number of a row of the sets of a select list, which no name reaches.
fn row_number() -> RelationColumn {
    let sql = ColumnSql::Name("rowid".to_owned());
    RelationColumn { system: true, ..plain_column(String::new(), sql, Oid::INT8) }
}

/// The error of a set of records of which nothing says what columns they have.
fn undetermined_row(function: &ResolvedFunction<'_>, at: At) -> SqlError {
    let message = format!("could not determine row type for result of {}", function.routine.name());
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
        .with_hint(
            "Provide a non-null record argument, or call the function in the FROM clause using a \
             column definition list.",
        )
        .at(at.position())
}

/// A call as a relation of these columns, and of its rows' numbers if they are asked for.
pub(super) fn function_relation(
    (alias, call): (String, Expr),
    mut columns: Vec<RelationColumn>,
    ordinality: bool,
) -> Relation {
    if ordinality {
        let sql = ColumnSql::Name("rowid".to_owned());
        columns.push(plain_column("ordinality".to_owned(), sql, Oid::INT8));
    }
    let calls = vec![(call, String::new())];
    let source = Source::Function(Box::new(FunctionSource { calls, ordinality }));
    Relation { alias, qualifier: String::new(), columns, source, optional: false }
}
