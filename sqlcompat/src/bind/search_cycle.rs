//! `SEARCH` and `CYCLE` of a recursive WITH query: columns that both parts of the recursion yield besides their own.
//!
//! | clause | column | first part | second part |
//! |---|---|---|---|
//! | `SEARCH DEPTH FIRST BY a SET s` | `s` | `ARRAY[ROW(a)]` | `t.s || ROW(a)` |
//! | `SEARCH BREADTH FIRST BY a SET s` | `s` | `ROW(0, a)` | `ROW(depth + 1, a)` |
//! | | depth, which no name reaches | `0` | `depth + 1` |
//! | `CYCLE a SET m TO v DEFAULT d USING p` | `m` | `d` | `v` if `ROW(a) = ANY (t.p)`, else `d` |
//! | | `p` | `ARRAY[ROW(a)]` | `t.p || ROW(a)` |
//!
//! where `t` is the recursion as the second part reads it, and only of rows for which `t.m <> v`.
//!
//! The parser leaves each clause as one more query of the WITH, under a mark.

use sqlparser::ast;

use super::binder::Binder;
use super::resolve::select_common_type;
use super::scope::CteEntry;
use super::tree::{At, Body, Expr, Node, OutputColumn, Query, RelationId, Select, Source};
use crate::datum::Datum;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;
use crate::parse::rewrite::{CYCLE, SEARCH_BREADTH, SEARCH_DEPTH};

/// `record[]`.
const RECORD_ARRAY: Oid = Oid(2287);

/// A query of a WITH, and the clauses after it.
pub(crate) struct Decorated<'e> {
    /// The query.
    pub(crate) cte: &'e ast::Cte,
    /// `SEARCH`.
    search: Option<&'e ast::Cte>,
    /// `CYCLE`.
    cycle: Option<&'e ast::Cte>,
}

impl Decorated<'_> {
    /// Whether there is a clause.
    pub(crate) fn is_plain(&self) -> bool {
        self.search.is_none() && self.cycle.is_none()
    }
}

fn is_clause(cte: &ast::Cte, marks: &[&str]) -> bool {
    marks.contains(&cte.alias.name.value.as_str())
}

/// The queries of a WITH, each with its clauses.
pub(crate) fn decorated(ctes: &[ast::Cte]) -> Vec<Decorated<'_>> {
    let mut found: Vec<Decorated<'_>> = Vec::with_capacity(ctes.len());
    for cte in ctes {
        match found.last_mut() {
            Some(last) if is_clause(cte, &[SEARCH_DEPTH, SEARCH_BREADTH]) => {
                last.search = Some(cte);
            }
            Some(last) if is_clause(cte, &[CYCLE]) => last.cycle = Some(cte),
            _ => found.push(Decorated { cte, search: None, cycle: None }),
        }
    }
    found
}

/// The columns that the clauses of one recursion add.
pub(crate) struct Added {
    search: Option<Search>,
    cycle: Option<Cycle>,
}

struct Search {
    breadth: bool,
    /// Indexes of the columns that are searched by.
    by: Vec<usize>,
}

struct Cycle {
    /// Indexes of the columns that tell rows apart.
    by: Vec<usize>,
    value: Expr,
    default: Expr,
}

impl Added {
    /// Number of columns that the recursion has besides those that others see.
    pub(crate) fn hidden(&self) -> usize {
        usize::from(self.search.as_ref().is_some_and(|search| search.breadth))
    }
}

impl Binder<'_> {
    /// Checks the clauses, and adds to the columns of a recursion those that they name.
    ///
    /// # Errors
    /// 42601, 42701 and 42804 in PostgreSQL's words.
    pub(crate) fn added_columns(
        &mut self,
        decorated: &Decorated<'_>,
        columns: &mut Vec<OutputColumn>,
    ) -> Result<Added, SqlError> {
        let own = columns.clone();
        let mut added = Added { search: None, cycle: None };
        let mut sequence = None;
        if let Some(clause) = decorated.search {
            let (names, at) = self.clause_names(clause);
            let Some((set, by)) = names.split_last() else { return Ok(added) };
            let by = listed("search", by, &own, at)?;
            require_new("search sequence", set, &own, at)?;
            let breadth = is_clause(clause, &[SEARCH_BREADTH]);
            let type_oid = if breadth { Oid::RECORD } else { RECORD_ARRAY };
            columns.push(column(set, type_oid));
            sequence = Some((set.clone(), at));
            added.search = Some(Search { breadth, by });
        }
        if let Some(clause) = decorated.cycle {
            let (names, at) = self.clause_names(clause);
            let [by @ .., mark, path] = &names[..] else { return Ok(added) };
            let by = listed("cycle", by, &own, at)?;
            let (value, default) = self.mark_values(clause)?;
            require_new("cycle mark", mark, &own, at)?;
            require_new("cycle path", path, &own, at)?;
            require_different(("cycle mark", mark), ("cycle path", path), at)?;
            if let Some((set, at)) = &sequence {
                require_different(("search sequence", set), ("cycle mark", mark), *at)?;
                require_different(("search sequence", set), ("cycle path", path), *at)?;
            }
            columns.push(column(mark, value.type_oid));
            columns.push(column(path, RECORD_ARRAY));
            added.cycle = Some(Cycle { by, value, default });
        }
        if added.hidden() > 0 {
            columns.push(column("", Oid::INT8));
        }
        Ok(added)
    }

    /// The names that a clause lists, and where it stands.
    fn clause_names(&self, clause: &ast::Cte) -> (Vec<String>, At) {
        let names = clause.alias.columns.iter().map(|it| Self::name(&it.name)).collect();
        (names, self.span_start(clause.alias.name.span))
    }

    /// The values of a cycle mark, of one type.
    fn mark_values(&mut self, clause: &ast::Cte) -> Result<(Expr, Expr), SqlError> {
        let query = self.subquery(&clause.query)?;
        let Body::Select(select) = query.body else {
            return Err(SqlError::unsupported("this cycle mark"));
        };
        let Select { items, .. } = *select;
        let [value, default] = &items[..] else {
            return Err(SqlError::unsupported("this cycle mark"));
        };
        let types = [value.type_oid, default.type_oid];
        let common = select_common_type(self.types, &types, "CYCLE")
            .map_err(|error| error.at(default.at.position()))?;
        Ok((self.implicit(value.clone(), common)?, self.implicit(default.clone(), common)?))
    }

    /// Adds the columns to the first part of a recursion.
    ///
    /// # Errors
    /// 0A000 where it is a set operation.
    pub(crate) fn add_to_first(
        &mut self,
        added: &Added,
        first: &mut Query,
    ) -> Result<(), SqlError> {
        let more = |items: &[Expr]| {
            let mut more = Vec::new();
            if let Some(search) = &added.search {
                let row = row_of(&search.by, items);
                more.push(if search.breadth { with_depth(int8(0), row) } else { array_of(row) });
            }
            if let Some(cycle) = &added.cycle {
                more.extend([cycle.default.clone(), array_of(row_of(&cycle.by, items))]);
            }
            more.extend((added.hidden() > 0).then(|| int8(0)));
            more
        };
        match &mut first.body {
            Body::Select(select) => {
                let more = more(&select.items);
                select.items.extend(more);
            }
            Body::Values(rows) => {
                for row in rows {
                    let more = more(row);
                    row.extend(more);
                }
            }
            Body::SetOperation(_) => {
                let message =
                    "with a SEARCH or CYCLE clause, the left side of the UNION must be a SELECT";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        }
        Ok(())
    }

    /// Adds the columns to the second part, which reads `entry`.
    ///
    /// # Errors
    /// 42601 where it is a set operation, 0A000 where it does not read the recursion itself.
    pub(crate) fn add_to_second(
        &mut self,
        added: &Added,
        entry: &CteEntry,
        second: &mut Query,
    ) -> Result<(), SqlError> {
        let Body::Select(select) = &mut second.body else {
            let message =
                "with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        };
        let recursion = self.recursion_in(select, &entry.sql_name).ok_or_else(|| {
            let message = format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{}\" must \
                 be at the top level of its right-hand SELECT",
                entry.name
            );
            SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
        })?;
        let last = entry.columns.len();
        let mut index = last - added.count();
        let mut next = || {
            index += 1;
            self.column(recursion, u16::try_from(index - 1).unwrap_or(u16::MAX), At(0))
        };
        let sequence = added.search.as_ref().map(|_| next());
        let marks = added.cycle.as_ref().map(|_| (next(), next()));
        let depth = (added.hidden() > 0).then(next);
        let depth = match depth {
            Some(depth) => Some(self.binary_operator("+", depth, int8(1), At(0))?),
            None => None,
        };
        let mut more = Vec::new();
        if let (Some(search), Some(sequence)) = (&added.search, sequence) {
            let row = row_of(&search.by, &select.items);
            more.push(match &depth {
                Some(depth) => with_depth(depth.clone(), row),
                None => self.appended(sequence, row)?,
            });
        }
        if let (Some(cycle), Some((mark, path))) = (&added.cycle, marks) {
            let row = row_of(&cycle.by, &select.items);
            let known = self.any_of_array(row.clone(), "=", path.clone(), false, At(0))?;
            let node = Node::Case(
                vec![(known, cycle.value.clone())],
                Some(Box::new(cycle.default.clone())),
            );
            more.push(Expr::new(node, cycle.value.type_oid));
            more.push(self.appended(path, row)?);
            let open = self.binary_operator("<>", mark, cycle.value.clone(), At(0))?;
            let filter = select.filter.take().into_iter().chain([open]).collect();
            select.filter = Some(Expr::new(Node::And(filter), Oid::BOOL));
        }
        more.extend(depth);
        for item in &more {
            let shown = self.output_column(item, String::new());
            second.columns.push(shown);
        }
        select.items.extend(more);
        Ok(())
    }

    /// `rows || ROW(…)`.
    fn appended(&mut self, rows: Expr, row: Expr) -> Result<Expr, SqlError> {
        self.call_named("array_cat", vec![rows, array_of(row)], At(0))
    }

    /// The relation of a select's own FROM that is this query of a WITH.
    pub(super) fn recursion_in(&self, select: &Select, sql_name: &str) -> Option<RelationId> {
        select.relations().into_iter().find(
            |id| matches!(&self.relations.get(*id).source, Source::Cte(name) if name == sql_name),
        )
    }
}

impl Added {
    /// Number of columns added.
    pub(crate) fn count(&self) -> usize {
        usize::from(self.search.is_some()) + 2 * usize::from(self.cycle.is_some()) + self.hidden()
    }
}

fn column(name: &str, type_oid: Oid) -> OutputColumn {
    OutputColumn { name: name.to_owned(), type_oid, typmod: -1, origin: None, not_null: false }
}

fn int8(value: i64) -> Expr {
    Expr::new(Node::Literal(Datum::Integer(value)), Oid::INT8)
}

fn row_of(by: &[usize], items: &[Expr]) -> Expr {
    let fields = by.iter().filter_map(|index| items.get(*index).cloned()).collect();
    Expr::new(Node::Row(fields), Oid::RECORD)
}

fn with_depth(depth: Expr, row: Expr) -> Expr {
    let Node::Row(mut fields) = row.node else { return row };
    fields.insert(0, depth);
    Expr::new(Node::Row(fields), Oid::RECORD)
}

fn array_of(row: Expr) -> Expr {
    Expr::new(Node::Array(vec![row]), RECORD_ARRAY)
}

/// The indexes of the columns that a clause lists.
fn listed(
    clause: &str,
    names: &[String],
    columns: &[OutputColumn],
    at: At,
) -> Result<Vec<usize>, SqlError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let Some(index) = columns.iter().position(|column| column.name == *name) else {
            let message = format!("{clause} column \"{name}\" not in WITH query column list");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()));
        };
        if found.contains(&index) {
            let message = format!("{clause} column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(at.position()));
        }
        found.push(index);
    }
    Ok(found)
}

fn require_new(what: &str, name: &str, columns: &[OutputColumn], at: At) -> Result<(), SqlError> {
    if !columns.iter().any(|column| column.name == name) {
        return Ok(());
    }
    let message = format!("{what} column name \"{name}\" already used in WITH query column list");
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()))
}

fn require_different(
    (one, name): (&str, &str),
    (other, other_name): (&str, &str),
    at: At,
) -> Result<(), SqlError> {
    if name != other_name {
        return Ok(());
    }
    let message = format!("{one} column name and {other} column name are the same");
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at.position()))
}
