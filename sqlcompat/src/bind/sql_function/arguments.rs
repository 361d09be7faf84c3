//! The arguments of a call: which take the place of their parameters, and which become values of their own.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::super::binder::Binder;
use super::super::query::plain_query;
use super::super::tree::{
    At, Body, Cte, Expr, Negated, Node, OutputColumn, Query, RelationId, Select,
};
use crate::datum::Datum;
use crate::oid::Oid;
use crate::schema::Function;

/// The arguments of a call, and those of them that have become values of their own.
pub(super) struct Arguments {
    /// What each parameter stands for.
    pub(super) values: Vec<Expr>,
    /// Those that a [`Node::Let`] around the expression gives.
    pub(super) given: Vec<(RelationId, Expr)>,
    /// Those that a CTE of the query gives.
    pub(super) cte: Option<Cte>,
}

impl Binder<'_> {
    /// Decides how each argument is read (invariant 1).
    pub(super) fn arguments(
        &mut self,
        function: &Function,
        arguments: Vec<Expr>,
        bare: bool,
    ) -> Arguments {
        let mut kept = Arguments { values: arguments, given: Vec::new(), cte: None };
        if self.queryless || kept.values.iter().all(is_known) {
            return kept;
        }
        let uses = uses_of(function);
        let mut apart = Vec::new();
        for (index, value) in kept.values.iter().enumerate() {
            let uses = uses.get(index).copied().unwrap_or(usize::MAX);
            let uses = uses.saturating_add(usize::from(function.strict));
            if self.is_apart(value, uses, bare) {
                apart.push(index);
            }
        }
        if apart.is_empty() {
            return kept;
        }
        if bare {
            for index in apart {
                let value = kept.values[index].clone();
                let id = self.add_given("c1", value.type_oid, value.typmod);
                kept.values[index] = self.column(id, 0, value.at);
                kept.given.push((id, value));
            }
            return kept;
        }
        let named = |index: &usize| self.output_column(&kept.values[*index], String::new());
        let columns: Vec<OutputColumn> = apart.iter().map(named).collect();
        let items = apart.iter().map(|index| kept.values[*index].clone()).collect();
        let query =
            plain_query(Body::Select(Box::new(Select::of(items, Vec::new()))), columns.clone());
        let sql_name = format!("p{}", self.fresh());
        for (column, index) in (0u16..).zip(apart) {
            kept.values[index] = self.read_of_cte(&sql_name, &columns, column);
        }
        kept.cte = Some(Cte { sql_name, query, recursive: false, materialized: Some(true) });
        kept
    }

    /// Whether an argument is computed apart from the body.
    fn is_apart(&self, value: &Expr, uses: usize, bare: bool) -> bool {
        let is_free = matches!(value.node, Node::Column(..) | Node::WholeRow(_)) && bare;
        if is_known(value) || is_free {
            return false;
        }
        if value.any(&mut |it| matches!(it.node, Node::Aggregate(_))) {
            return false;
        }
        let plain = matches!(value.node, Node::Column(..));
        match (value.is_volatile(&self.relations), bare) {
            (true, _) => uses != 1 || !bare,
            (false, true) => uses > 1,
            (false, false) => !plain,
        }
    }

    /// A column of the only row of a CTE, as a value.
    fn read_of_cte(&mut self, sql_name: &str, columns: &[OutputColumn], index: u16) -> Expr {
        let id = self.relation_of_cte(sql_name, columns);
        let item = self.column(id, index, At(0));
        let (type_oid, typmod) = (item.type_oid, item.typmod);
        let column = self.output_column(&item, String::new());
        let select = Box::new(Select::over(id, vec![item]));
        let query = plain_query(Body::Select(select), vec![column]);
        let query = Query { limit: Some(Expr::int4(1)), ..query };
        Expr { node: Node::Subquery(Box::new(query)), type_oid, typmod, at: At(0) }
    }
}

/// How often the body reads each parameter, at most: a name counts wherever it stands.
fn uses_of(function: &Function) -> Vec<usize> {
    let tokens =
        Tokenizer::new(&PostgreSqlDialect {}, &function.body).tokenize().unwrap_or_default();
    let parameters = (1..).zip(function.inputs());
    let uses = parameters.map(|(number, parameter): (usize, _)| {
        let placeholder = format!("${number}");
        let reads = |token: &&Token| match token {
            Token::Placeholder(text) => *text == placeholder,
            Token::Word(word) => word.value.eq_ignore_ascii_case(&parameter.name),
            _ => false,
        };
        tokens.iter().filter(reads).count()
    });
    uses.collect()
}

/// Whether a value is there without being computed: a literal or a parameter of the statement.
pub(super) fn is_known(value: &Expr) -> bool {
    match &value.node {
        Node::Literal(_) | Node::Parameter(_) => true,
        Node::Relabel(inner) => is_known(inner),
        _ => false,
    }
}

/// Whether a call is NULL for an argument that is a NULL literal.
pub(super) fn is_null_call(function: &Function, arguments: &[Expr]) -> bool {
    let is_null = |it: &Expr| matches!(it.node, Node::Literal(Datum::Null));
    function.strict && arguments.iter().any(is_null)
}

pub(super) fn is_null(value: Expr, negated: Negated) -> Expr {
    Expr::new(Node::IsNull(Box::new(value), negated), Oid::BOOL)
}

/// The value of a strict function: NULL for NULL arguments.
pub(super) fn guarded(function: &Function, value: Expr, arguments: &[Expr]) -> Expr {
    if !function.strict {
        return value;
    }
    let literal = |it: &&Expr| !matches!(it.node, Node::Literal(_));
    let open = arguments.iter().filter(literal).filter(|it| !is_strict_in(&value, it));
    let mut tests: Vec<Expr> = open.map(|it| is_null(it.clone(), Negated::No)).collect();
    let test = match tests.len() {
        0 => return value,
        1 => tests.remove(0),
        _ => Expr::new(Node::Or(tests), Oid::BOOL),
    };
    let (type_oid, typmod) = (value.type_oid, value.typmod);
    let null = Expr { typmod, ..Expr::null_of(type_oid) };
    let node = Node::Case(vec![(test, null)], Some(Box::new(value)));
    Expr { node, type_oid, typmod, at: At(0) }
}

/// Whether a value is NULL wherever an argument is, by the functions on the way to it.
fn is_strict_in(value: &Expr, argument: &Expr) -> bool {
    if value == argument {
        return true;
    }
    match &value.node {
        Node::Call(call) if call.row.strict => {
            call.arguments.iter().any(|it| is_strict_in(it, argument))
        }
        Node::Relabel(it) | Node::Input(it) | Node::Output(it) | Node::ArrayCast(it) => {
            is_strict_in(it, argument)
        }
        _ => false,
    }
}

/// NULL, when these have been computed.
pub(super) fn void_after(items: Vec<Expr>) -> Expr {
    let null = || Expr::null_of(Oid::VOID);
    let tests = items.into_iter().map(|item| (is_null(item, Negated::No), null()));
    let cases: Vec<(Expr, Expr)> = tests.collect();
    if cases.is_empty() {
        return null();
    }
    Expr::new(Node::Case(cases, None), Oid::VOID)
}

pub(super) fn all_of(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(Expr::new(Node::And(conditions), Oid::BOOL)),
    }
}
