//! `FROM`: relations under the names that they are shown by, and joins.
//!
//! Sources: `get_from_clause_item`, `set_rtable_names`, `get_column_alias_list` of PostgreSQL 15's `ruleutils.c`.

use sqlparser::ast::{
    self, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

use super::piece::{Form, Piece, append};
use super::query::{Place, STEP, line, renamed};
use super::scope::{Entry, Level, Output};
use super::{Deparser, fold};
use crate::bind::resolve::select_common_type;
use crate::builtin::{self, quote_identifier};
use crate::error::SqlError;
use crate::oid::Oid;
use crate::parse::rewrite::JOIN_ALIAS;
use crate::schema::{Column, NameRole, NameUse, Relation, SeenColumns, last_part};

/// Columns that a join is indented by within its query.
const JOIN: usize = 4;

/// An item of FROM: its text, and what it brings into scope.
struct Item {
    text: String,
    level: Level,
}

/// The names that joins of a FROM merge columns by.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    /// Those of USING.
    using: Vec<String>,
    /// There is a NATURAL: any may be.
    natural: bool,
}

impl Merged {
    fn of(from: &[TableWithJoins]) -> Self {
        let mut merged = Self::default();
        from.iter().for_each(|item| merged.add(item));
        merged
    }

    fn add(&mut self, item: &TableWithJoins) {
        let factors =
            std::iter::once(&item.relation).chain(item.joins.iter().map(|it| &it.relation));
        for factor in factors {
            if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
                self.add(table_with_joins);
            }
        }
        for join in &item.joins {
            match join_parts(&join.join_operator) {
                Ok((_, JoinConstraint::Using(names))) => {
                    let names = names.iter().filter_map(|it| it.0.last()?.as_ident()).map(fold);
                    self.using.extend(names);
                }
                Ok((_, JoinConstraint::Natural)) => self.natural = true,
                Ok((_, JoinConstraint::On(_) | JoinConstraint::None)) | Err(_) => {}
            }
        }
    }

    fn merges(&self, name: &str) -> bool {
        self.natural || self.using.iter().any(|it| it == name)
    }
}

/// The kind of a join.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

impl Deparser<'_> {
    /// The names by which a FROM's relations are shown, in order.
    pub(super) fn claim_names(&self, from: &[TableWithJoins]) -> Result<Vec<String>, SqlError> {
        let mut claimed = Vec::new();
        for item in from {
            self.claim_item(item, &mut claimed)?;
        }
        Ok(claimed)
    }

    fn claim_item(&self, item: &TableWithJoins, claimed: &mut Vec<String>) -> Result<(), SqlError> {
        let factors =
            std::iter::once(&item.relation).chain(item.joins.iter().map(|it| &it.relation));
        for factor in factors {
            if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
                self.claim_item(table_with_joins, claimed)?;
                continue;
            }
            let name = match self.renamed_relation(factor) {
                Some(name) => name,
                None => written_name(factor)?,
            };
            let shown = self.claim(&name, claimed);
            claimed.push(shown);
        }
        Ok(())
    }

    /// The present name of a relation that the view's text calls by a former one, where it has no alias.
    fn renamed_relation(&self, factor: &TableFactor) -> Option<String> {
        let TableFactor::Table { name, alias: Some(alias), args: None, .. } = factor else {
            return None;
        };
        let (schema, local) = self.names.qualified(name).ok()?;
        let found = self.cx.catalog.relation(self.cx.search_path, schema.as_deref(), &local)?;
        let oid = match found {
            Relation::Table(table) => table.oid,
            Relation::View(view) => view.oid,
            Relation::Sequence(_) | Relation::Index(..) => return None,
        };
        let former = quote_identifier(&fold(&alias.name));
        let stored = &self.view?.stored;
        let unaliased = |it: &NameUse<Oid>| {
            let written = stored.text.get(it.start..it.end).unwrap_or_default();
            it.role == NameRole::Relation
                && it.of == oid
                && last_part(written).to_lowercase() == former.to_lowercase()
        };
        (local != alias.name.value && stored.names.iter().any(unaliased)).then_some(local)
    }

    /// Writes ` FROM …` and brings its names into the innermost level.
    pub(super) fn write_from(
        &mut self,
        from: &[TableWithJoins],
        indent: usize,
        out: &mut String,
    ) -> Result<(), SqlError> {
        let mut next = 0;
        let outer = std::mem::replace(&mut self.merged, Merged::of(from));
        for (number, item) in from.iter().enumerate() {
            let item = self.joined(item, indent, &mut next)?;
            if number == 0 {
                line(out, indent, "   FROM ");
            } else {
                out.push(',');
                line(out, indent + JOIN, "");
            }
            append(out, &item.text);
            self.bring(item.level);
        }
        self.merged = outer;
        Ok(())
    }

    fn bring(&mut self, level: Level) {
        if let Some(innermost) = self.levels.last_mut() {
            innermost.add(level);
        }
    }

    /// Runs `inner` with more names in sight.
    fn with_level<T>(
        &mut self,
        level: &Level,
        inner: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.levels.push(level.clone());
        let result = inner(self);
        self.levels.pop();
        result
    }

    fn joined(
        &mut self,
        item: &TableWithJoins,
        indent: usize,
        next: &mut usize,
    ) -> Result<Item, SqlError> {
        let mut left = self.factor(&item.relation, indent, next)?;
        for join in &item.joins {
            let (kind, constraint) = join_parts(&join.join_operator)?;
            let nested = matches!(join.relation, TableFactor::NestedJoin { .. });
            let scope = left.level.clone();
            let right = self.with_level(&scope, |it| it.factor(&join.relation, indent, next))?;
            left = self.join((left, right), kind, constraint, (indent, nested))?;
        }
        Ok(left)
    }

    fn join(
        &mut self,
        (left, right): (Item, Item),
        kind: Kind,
        constraint: &JoinConstraint,
        (indent, nested): (usize, bool),
    ) -> Result<Item, SqlError> {
        let shared = match constraint {
            JoinConstraint::Using(names) => {
                let marked = names.last().and_then(|it| it.0.last()?.as_ident());
                if marked.is_some_and(|it| it.value.starts_with(JOIN_ALIAS)) {
                    return Err(SqlError::unsupported("an alias of USING in the text of a view"));
                }
                let names = names.iter().filter_map(|it| it.0.last()?.as_ident()).map(fold);
                names.collect()
            }
            JoinConstraint::Natural => natural_columns(&left.level, &right.level),
            JoinConstraint::On(_) | JoinConstraint::None => Vec::new(),
        };
        let condition = match constraint {
            JoinConstraint::On(condition) => {
                let mut both = left.level.clone();
                both.add(right.level.clone());
                let piece = self.with_level(&both, |it| it.expr(condition))?;
                Some(self.implicit(piece, Oid::BOOL)?)
            }
            _ => None,
        };
        let word = match kind {
            Kind::Inner if condition.is_none() && shared.is_empty() => " CROSS JOIN ",
            Kind::Inner => " JOIN ",
            Kind::Left => " LEFT JOIN ",
            Kind::Right => " RIGHT JOIN ",
            Kind::Full => " FULL JOIN ",
        };
        let mut text = if self.pretty { left.text } else { format!("({}", left.text) };
        line(&mut text, indent + JOIN, word);
        let grouped = self.pretty && nested;
        text.push_str(if grouped { "(" } else { "" });
        append(&mut text, &right.text);
        text.push_str(if grouped { ")" } else { "" });
        if !shared.is_empty() {
            let names: Vec<_> = shared.iter().map(|name| quote_identifier(name)).collect();
            text.push_str(&format!(" USING ({})", names.join(", ")));
        } else if let Some(condition) = &condition {
            let condition = self.shown(&condition.text);
            text.push_str(" ON ");
            let parts = if self.pretty { ["", ""] } else { ["(", ")"] };
            append(&mut text, &super::piece::join([parts[0], &condition, parts[1]], ""));
        } else if kind != Kind::Inner {
            text.push_str(" ON TRUE");
        }
        text.push_str(if self.pretty { "" } else { ")" });
        let level = self.merged(left.level, right.level, kind, &shared)?;
        Ok(Item { text, level })
    }

    /// Both sides' names, the columns of USING first and once.
    fn merged(
        &self,
        mut left: Level,
        mut right: Level,
        kind: Kind,
        shared: &[String],
    ) -> Result<Level, SqlError> {
        let mut columns = Vec::new();
        for name in shared {
            let (Some(one), Some(other)) = (take(&mut left, name), take(&mut right, name)) else {
                return Err(SqlError::unsupported("this USING in the text of a view"));
            };
            let found = [one.type_oid, other.type_oid];
            let common = select_common_type(self.types, &found, "JOIN/USING")?;
            let piece = match kind {
                Kind::Inner | Kind::Left if one.type_oid == common => one,
                Kind::Inner | Kind::Right if other.type_oid == common => other,
                Kind::Full => Piece {
                    form: Form::Column,
                    ..Piece::made(quote_identifier(name), common, &[&one, &other])
                },
                Kind::Inner | Kind::Left | Kind::Right => {
                    return Err(SqlError::unsupported("USING over several types here"));
                }
            };
            columns.push((name.clone(), piece));
        }
        left.add(right);
        columns.extend(left.columns);
        Ok(Level { entries: left.entries, columns })
    }

    fn factor(
        &mut self,
        factor: &TableFactor,
        indent: usize,
        next: &mut usize,
    ) -> Result<Item, SqlError> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
            return self.joined(table_with_joins, indent, next);
        }
        let shown = self.claimed.last().and_then(|names| names.get(*next)).cloned();
        let shown = shown.unwrap_or_default();
        *next += 1;
        let written = written_name(factor)?;
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let (text, columns, list, row) = self.relation(name)?;
                let own = last_part(&text) == quote_identifier(&shown);
                let aliased = (!own || list == List::Always).then_some(shown.as_str());
                let (text, columns) = named(text, columns, aliased, (alias.as_ref(), list));
                Ok(item(text, (written, shown), columns, Some(row)))
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                let call = (name, &args.args[..], *with_ordinality);
                let (text, columns) = self.function_item(call, alias.as_ref(), &shown)?;
                Ok(item(text, (written, shown), columns, None))
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                let call = (name, &args[..], *with_ordinality);
                let (text, columns) = self.function_item(call, alias.as_ref(), &shown)?;
                Ok(item(text, (written, shown), columns, None))
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality,
            } => {
                let arguments = array_exprs.iter().cloned().map(ast::FunctionArgExpr::Expr);
                let arguments: Vec<_> = arguments.map(ast::FunctionArg::Unnamed).collect();
                let name = ObjectName::from(vec![ast::Ident::new("unnest")]);
                let call = (&name, &arguments[..], *with_ordinality);
                let (text, columns) = self.function_item(call, alias.as_ref(), &shown)?;
                Ok(item(text, (written, shown), columns, None))
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let mut text = if *lateral { "LATERAL (" } else { "(" }.to_owned();
                let place = Place::inner(indent + STEP, true);
                let columns = self.query(subquery, place, &mut text)?;
                text.push(')');
                let alias = (alias.as_ref(), List::IfWritten);
                let (text, columns) = named(text, columns, Some(&shown), alias);
                Ok(item(text, (written, shown), columns, Some(Oid::RECORD)))
            }
            _ => Err(SqlError::unsupported("this FROM item in the text of a view")),
        }
    }

    /// The shown name of a relation and its columns, when they are to be listed, and the type of its rows.
    fn relation(&self, name: &ObjectName) -> Result<Named, SqlError> {
        let (schema, local) = self.names.qualified(name)?;
        if schema.is_none()
            && let Some((_, columns)) = self.ctes.iter().rev().find(|(it, _)| *it == local)
        {
            return Ok((quote_identifier(&local), columns.clone(), List::IfWritten, Oid::RECORD));
        }
        let catalog = self.cx.catalog;
        let path = self.cx.search_path;
        let (namespace, mut columns, (oid, row)): (_, Vec<(i16, Output)>, _) = match catalog
            .relation(path, schema.as_deref(), &local)
        {
            Some(Relation::Table(table)) => {
                let output =
                    |it: &Column| (it.attnum, Output::new(&it.name, it.type_oid, it.typmod));
                let columns = table.columns.iter().map(output).collect();
                (table.namespace, columns, (table.oid, table.row_type_oid))
            }
            Some(Relation::View(view)) => {
                let outputs = view.columns.iter();
                let outputs = outputs.map(|(name, oid, typmod)| Output::new(name, *oid, *typmod));
                (view.namespace, (1..).zip(outputs).collect(), (view.oid, view.row_type_oid))
            }
            Some(_) => return Err(SqlError::unsupported("this relation in the text of a view")),
            None => return system_relation(schema.as_deref(), &local),
        };
        let visible = match catalog.relation(path, None, &local) {
            Some(Relation::Table(table)) => table.oid == oid,
            Some(Relation::View(view)) => view.oid == oid,
            _ => false,
        };
        let local = quote_identifier(&local);
        let text = if visible {
            local
        } else {
            format!("{}.{local}", quote_identifier(catalog.namespace_name(namespace)))
        };
        let list = self.as_seen(oid, &mut columns);
        Ok((text, columns.into_iter().map(|(_, output)| output).collect(), list, row))
    }

    /// Gives the columns of a relation the names that the view knows them by, and none to those that it does not know.
    ///
    /// They are shown by their present names, but for one that USING needs the old name of, which is in the list of the
    /// relation's columns then.
    fn as_seen(&self, relation: Oid, columns: &mut [(i16, Output)]) -> List {
        let mut list = List::IfChanged;
        let Some(seen) = self.view.and_then(|view| view.seen.get(&relation)) else { return list };
        for (attnum, output) in columns.iter_mut() {
            let Some(name) = seen.names.get(attnum) else {
                output.name.clear();
                continue;
            };
            output.name.clone_from(name);
            if output.shown != *name && self.merged.merges(name) {
                output.shown.clone_from(name);
                list = List::Always;
            }
        }
        if list == List::Always {
            make_unique(columns, seen);
        }
        list
    }

    /// A function of one column in FROM.
    fn function_item(
        &mut self,
        (name, args, ordinality): (&ObjectName, &[ast::FunctionArg], bool),
        alias: Option<&TableAlias>,
        shown: &str,
    ) -> Result<(String, Vec<Output>), SqlError> {
        let piece = self.call_in_from(name, args)?;
        let composite = piece.type_oid == Oid::RECORD || self.types.is_composite(piece.type_oid);
        let typed = alias.is_some_and(|it| it.columns.iter().any(|it| it.data_type.is_some()));
        if composite || typed {
            return Err(SqlError::unsupported("a function of several columns here"));
        }
        let mut columns = vec![Output::new(shown, piece.type_oid, -1)];
        if ordinality {
            columns.push(Output::new("ordinality", Oid::INT8, -1));
        }
        let lateral = if piece.names_column { "LATERAL " } else { "" };
        let with = if ordinality { " WITH ORDINALITY" } else { "" };
        let text = format!("{lateral}{}{with}", self.shown(&piece.text));
        Ok(named(text, columns, Some(shown), (alias, List::Always)))
    }
}

/// A relation: its shown name, its columns, when they are to be listed, the type of its rows.
type Named = (String, Vec<Output>, List, Oid);

/// When the names of a relation's columns are listed after its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// Where they are not the relation's own.
    IfChanged,
    /// Where the text lists them.
    IfWritten,
    /// Always.
    Always,
}

/// Numbers the columns of a list whose names are taken by ones that USING needs.
fn make_unique(columns: &mut [(i16, Output)], seen: &SeenColumns) {
    let kept = |(attnum, output): &(i16, Output)| seen.names.get(attnum) == Some(&output.shown);
    let mut taken: Vec<String> =
        columns.iter().filter(|it| kept(it)).map(|(_, output)| output.shown.clone()).collect();
    for column in columns.iter_mut().filter(|it| !kept(it)) {
        let output = &mut column.1;
        let numbered = (1..).map(|number| format!("{}_{number}", output.shown));
        let mut candidates = std::iter::once(output.shown.clone()).chain(numbered);
        if let Some(free) = candidates.find(|name| !taken.contains(name)) {
            taken.push(free.clone());
            output.shown = free;
        }
    }
}

/// An item under its name, with its columns as they are called from there on.
fn named(
    mut text: String,
    columns: Vec<Output>,
    shown: Option<&str>,
    (alias, list): (Option<&TableAlias>, List),
) -> (String, Vec<Output>) {
    let names: Vec<String> =
        alias.iter().flat_map(|it| &it.columns).map(|it| fold(&it.name)).collect();
    let changed = names.iter().zip(&columns).any(|(name, column)| *name != column.shown);
    let columns = renamed(columns, &names);
    let listed = match list {
        List::IfChanged => changed,
        List::IfWritten => !names.is_empty(),
        List::Always => true,
    };
    if let Some(shown) = shown {
        text.push_str(&format!(" {}", quote_identifier(shown)));
    }
    if listed {
        let names: Vec<_> = columns.iter().map(|it| quote_identifier(&it.shown)).collect();
        text.push_str(&format!("({})", names.join(", ")));
    }
    (text, columns)
}

fn item(text: String, names: (String, String), columns: Vec<Output>, row: Option<Oid>) -> Item {
    let (written, shown) = names;
    Item { text, level: Level::of(Entry { written, shown, columns, row }) }
}

/// A relation of PostgreSQL's own.
fn system_relation(schema: Option<&str>, name: &str) -> Result<Named, SqlError> {
    let found = builtin::relation(schema.unwrap_or("pg_catalog"), name)
        .ok_or_else(|| SqlError::unsupported("this relation in the text of a view"))?;
    let columns = found.columns.iter().map(|it| Output::new(it.name, it.type_oid, it.typmod));
    let text = match found.schema {
        "pg_catalog" => quote_identifier(name),
        other => format!("{}.{}", quote_identifier(other), quote_identifier(name)),
    };
    Ok((text, columns.collect(), List::IfChanged, Oid::RECORD))
}

/// The name that the text gives an item.
fn written_name(factor: &TableFactor) -> Result<String, SqlError> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
            (Some(name), alias)
        }
        TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => (None, alias),
        _ => return Err(SqlError::unsupported("this FROM item in the text of a view")),
    };
    let own = name.and_then(|name| name.0.last()?.as_ident());
    if let (TableFactor::UNNEST { .. }, None) = (factor, alias) {
        return Ok("unnest".to_owned());
    }
    let name = alias.as_ref().map(|alias| &alias.name).or(own);
    name.map(fold).ok_or_else(|| SqlError::unsupported("a FROM item without a name"))
}

fn join_parts(operator: &JoinOperator) -> Result<(Kind, &JoinConstraint), SqlError> {
    Ok(match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (Kind::Inner, constraint)
        }
        JoinOperator::CrossJoin(constraint) => (Kind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (Kind::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Kind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Kind::Full, constraint),
        _ => return Err(SqlError::unsupported("this join in the text of a view")),
    })
}

/// The names that both sides have.
fn natural_columns(left: &Level, right: &Level) -> Vec<String> {
    let names = left.columns.iter().map(|(name, _)| name);
    let shared = names.filter(|name| right.columns.iter().any(|(it, _)| it == *name));
    shared.cloned().collect()
}

/// Takes a column out of the order of `*`.
fn take(level: &mut Level, name: &str) -> Option<Piece> {
    let at = level.columns.iter().position(|(it, _)| it == name)?;
    Some(level.columns.remove(at).1)
}
