//! Parts of columns as targets: `SET a[1] = …`, `SET (a[1], b) = …`, `INSERT INTO t (a[1:2])`.

use sqlparser::ast::{AccessExpr, Expr};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::clause::{closing, word_at};
use super::{PART, is_word, mark};
use crate::error::SqlError;
use crate::parse;
use crate::parse::split::byte_offset;

/// Words that end the list of assignments in which a target may stand.
const OTHER_CLAUSES: [&str; 12] = [
    "SELECT",
    "WHERE",
    "FROM",
    "VALUES",
    "RETURNING",
    "BY",
    "ON",
    "HAVING",
    "USING",
    "WHEN",
    "JOIN",
    "LIMIT",
];

/// Brackets after the name of a column that is assigned to, or of a field of one: the name, with all fields and brackets,
/// becomes a mark that holds all of it.
pub(super) fn assigned(text: &str, rest: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let Some(used) = parts_length(rest) else { return 0 };
    let Some(at) = first_name(out) else { return 0 };
    if !is_target(out, at, rest.get(used..)) {
        return 0;
    }
    let (start, Some(last)) = (out[at].span.start, rest.get(used - 1)) else { return 0 };
    let range = byte_offset(text, start)..byte_offset(text, last.span.end);
    let text = text.get(range).unwrap_or_default();
    out[at].token = mark(&format!("{PART}{}\0{}\0{text}", start.line, start.column));
    out.truncate(at + 1);
    used
}

/// How many tokens of brackets, and of fields between and after them, there are.
fn parts_length(rest: &[TokenWithSpan]) -> Option<usize> {
    let token = |at: usize| rest.get(at).map(|it| &it.token);
    let mut used = 0;
    loop {
        match (token(used), token(used + 1)) {
            (Some(Token::LBracket), _) => used = closing_bracket(rest, used)? + 1,
            (Some(Token::Period), Some(Token::Word(_))) => used += 2,
            _ => return (used > 0).then_some(used),
        }
    }
}

/// Where the names with dots between them begin that a list of tokens ends in.
fn first_name(out: &[TokenWithSpan]) -> Option<usize> {
    let mut at = out.len().checked_sub(1)?;
    if !matches!(out[at].token, Token::Word(_)) {
        return None;
    }
    while at >= 2
        && out[at - 1].token == Token::Period
        && matches!(out[at - 2].token, Token::Word(_))
    {
        at -= 2;
    }
    Some(at)
}

fn closing_bracket(rest: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, it) in rest.iter().enumerate().skip(open) {
        match it.token {
            Token::LBracket => depth += 1,
            Token::RBracket if depth == 1 => return Some(at),
            Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Whether the name at an index is what something is assigned to.
fn is_target(out: &[TokenWithSpan], at: usize, after: Option<&[TokenWithSpan]>) -> bool {
    let Some(before) = at.checked_sub(1) else { return false };
    match opener(out, before) {
        Opener::Set => word_at(out, before, "SET") || out[before].token == Token::Comma,
        Opener::Other => false,
        Opener::Parenthesis(open) => {
            let first = matches!(out[before].token, Token::LParen | Token::Comma);
            first && (lists_columns(out, open) || assigns_several(out, open, after))
        }
    }
}

/// What opens the list in which a token stands.
enum Opener {
    /// `SET`.
    Set,
    /// The parenthesis at an index.
    Parenthesis(usize),
    /// Anything else.
    Other,
}

fn opener(out: &[TokenWithSpan], from: usize) -> Opener {
    let mut depth = 0usize;
    for (at, it) in out.iter().enumerate().take(from + 1).rev() {
        match &it.token {
            Token::RParen | Token::RBracket => depth += 1,
            Token::LParen if depth == 0 => return Opener::Parenthesis(at),
            Token::LBracket if depth == 0 => return Opener::Other,
            Token::LParen | Token::LBracket => depth -= 1,
            Token::Word(word) if depth == 0 && is_word(word, "SET") => return Opener::Set,
            Token::Word(word)
                if depth == 0 && OTHER_CLAUSES.iter().any(|text| is_word(word, text)) =>
            {
                return Opener::Other;
            }
            _ => {}
        }
    }
    Opener::Other
}

/// `INSERT INTO t (`, `INSERT INTO s.t AS x (`, and `INSERT (` of a MERGE.
fn lists_columns(out: &[TokenWithSpan], open: usize) -> bool {
    let mut at = open;
    while let Some(before) = at.checked_sub(1) {
        match &out[before].token {
            Token::Word(word) if is_word(word, "INTO") => {
                return before > 0 && word_at(out, before - 1, "INSERT");
            }
            Token::Word(word) if is_word(word, "INSERT") => return before + 1 == open,
            Token::Word(word) if is_word(word, "VALUES") => return false,
            Token::Word(_) | Token::Period => at = before,
            _ => return false,
        }
    }
    false
}

/// `SET (a[1], b) =`.
fn assigns_several(out: &[TokenWithSpan], open: usize, after: Option<&[TokenWithSpan]>) -> bool {
    let Some(before) = open.checked_sub(1) else { return false };
    let in_set = matches!(opener(out, before), Opener::Set);
    let leads = word_at(out, before, "SET") || out[before].token == Token::Comma;
    // The rest of the list, as if its parenthesis stood before it.
    let closes = after.and_then(|after| {
        let mut list = vec![out[open].clone()];
        list.extend_from_slice(after);
        let close = closing(&list, 0)?;
        list.get(close + 1).map(|it| it.token == Token::Eq)
    });
    in_set && leads && closes == Some(true)
}

/// The column and the subscripts that a marked name stands for.
///
/// # Errors
/// 42601 for brackets that hold no expression.
pub fn marked_part(name: &str) -> Option<Result<(Expr, Vec<AccessExpr>), SqlError>> {
    let mut fields = name.strip_prefix(PART)?.splitn(3, '\0');
    let mut number = || fields.next()?.parse::<usize>().ok();
    let (line, column) = (number()?, number()?);
    let text = fields.next()?;
    // Blanks before it put its places where they are in the statement.
    let (lines, blanks) =
        ("\n".repeat(line.saturating_sub(1)), " ".repeat(column.saturating_sub(1)));
    Some(parse::expression(&format!("{lines}{blanks}{text}")).and_then(|expr| match expr {
        Expr::CompoundFieldAccess { root, access_chain } => Ok((*root, access_chain)),
        _ => Err(SqlError::unsupported("this target of an assignment")),
    }))
}
