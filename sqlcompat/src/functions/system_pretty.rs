//! Expressions without the parentheses that their reader does not need.
//!
//! PostgreSQL keeps an expression fully parenthesised (`((a)::text = 'x'::text)`) and shows it in `\d` and in `pretty`
//! definitions with fewer: none around the whole, around one operand of a cast, or around a condition under AND, OR or NOT
//! that binds tighter. Arithmetic under other operators keeps its own, other than products under sums.
//!
//! Works on the text: a tree of parenthesised groups, of which each is kept or opened by what stands in and around it.
//!
//! # Bounds
//! Groups nested deeper than [`DEPTH_MAX`] are left as they are.

/// Deepest nesting that is looked into.
const DEPTH_MAX: usize = 64;

/// How strongly the loosest operator in a text binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    /// OR.
    Or,
    /// AND.
    And,
    /// NOT.
    Not,
    /// Comparisons, IS, IN, LIKE, and operators of any other name.
    Other,
    /// `+` and `-`.
    Sum,
    /// `*`, `/` and `%`.
    Product,
    /// A cast.
    Cast,
    /// A name, a constant, a function call.
    Whole,
}

/// Length of the parenthesised group at the start of `text`, its parentheses included.
pub(super) fn group_length(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        let first = rest.chars().next()?;
        let (token, tail) = rest.split_at(token_length(rest, first));
        rest = tail;
        match token {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(text.len() - rest.len());
        }
    }
}

fn token_length(text: &str, first: char) -> usize {
    let quoted = |quote: char| {
        let mut characters = text.char_indices().skip(1).peekable();
        while let Some((at, it)) = characters.next() {
            if it == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
                return at + quote.len_utf8();
            }
        }
        text.len()
    };
    match first {
        '\'' | '"' => quoted(first),
        _ if is_word(first) => text.find(|it| !is_word(it)).unwrap_or(text.len()),
        _ if is_operator(first) => text.find(|it| !is_operator(it)).unwrap_or(text.len()),
        other => other.len_utf8(),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '.' | '$')
}

fn is_operator(character: char) -> bool {
    "+-*/<>=~!@#%^&|`?:".contains(character)
}

/// The expression with as few parentheses as PostgreSQL's pretty form has.
pub(crate) fn without_parentheses(expression: &str) -> String {
    open_groups(strip(expression), 0)
}

/// The text inside a group that is all of `text`, again and again.
fn strip(text: &str) -> &str {
    let mut text = text.trim();
    while text.starts_with('(') && group_length(text) == Some(text.len()) {
        text = text.get(1..text.len() - 1).unwrap_or(text).trim();
    }
    text
}

/// Opens the groups in `text` that are not needed there.
fn open_groups(text: &str, depth: usize) -> String {
    if depth > DEPTH_MAX {
        return text.to_owned();
    }
    let around = binding(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let (mut called, mut in_case, mut quantified) = (false, false, false);
    while let Some(first) = rest.chars().next() {
        if first != '(' {
            let (token, tail) = rest.split_at(token_length(rest, first));
            out.push_str(token);
            called = is_callable(token);
            if !first.is_whitespace() {
                in_case = matches!(token, "CASE" | "WHEN" | "THEN" | "ELSE");
                quantified = matches!(token, "ANY" | "ALL");
            }
            rest = tail;
            continue;
        }
        let length = group_length(rest).unwrap_or(rest.len());
        let (group, tail) = rest.split_at(length);
        let inner = group.get(1..group.len().saturating_sub(1)).unwrap_or_default();
        let needed = called
            || quantified
            || !(in_case && !tail.starts_with("::") || is_redundant(inner, tail, around));
        let inner = open_groups(if called { inner } else { strip(inner) }, depth + 1);
        if needed {
            out.push('(');
            out.push_str(&inner);
            out.push(')');
        } else {
            out.push_str(&inner);
        }
        rest = tail;
        called = false;
        quantified = false;
    }
    out
}

/// Whether a parenthesis after this token holds arguments, a list or a type modifier.
fn is_callable(token: &str) -> bool {
    let word = token.chars().all(is_word) || token.starts_with('"');
    word && !matches!(
        token,
        "AND" | "OR" | "NOT" | "THEN" | "ELSE" | "WHEN" | "CASE" | "IS" | "LIKE" | "ILIKE"
    )
}

/// Whether `inner` may stand without its parentheses before `tail`, in a text whose loosest operator is `around`.
fn is_redundant(inner: &str, tail: &str, around: Binding) -> bool {
    let within = binding(strip(inner));
    if tail.starts_with("::") {
        return within == Binding::Whole && !inner.trim_start().starts_with('-');
    }
    if tail.starts_with(['.', '[']) {
        return false;
    }
    match within {
        Binding::Whole | Binding::Cast => !inner.contains(','),
        Binding::Product => around <= Binding::Not || around == Binding::Sum,
        Binding::Sum | Binding::Other => around <= Binding::Not && !is_quantified(strip(inner)),
        Binding::Not => around < Binding::Not,
        Binding::And => around <= Binding::And,
        Binding::Or => around == Binding::Or,
    }
}

/// Whether a comparison is one with ANY or ALL.
fn is_quantified(text: &str) -> bool {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | '[' => group_length(rest).unwrap_or(rest.len()),
            _ => token_length(rest, first),
        };
        let (token, tail) = rest.split_at(length);
        if matches!(token, "ANY" | "ALL") {
            return true;
        }
        rest = tail;
    }
    false
}

/// The loosest operator outside all groups.
fn binding(text: &str) -> Binding {
    let mut loosest = Binding::Whole;
    let mut rest = text;
    let mut case_depth = 0_usize;
    let mut operand_before = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | '[' => group_length(rest).unwrap_or(rest.len()),
            _ => token_length(rest, first),
        };
        let (token, tail) = rest.split_at(length);
        rest = tail;
        case_depth += usize::from(token == "CASE");
        let found = match token {
            "END" => {
                case_depth = case_depth.saturating_sub(1);
                Binding::Whole
            }
            "OR" => Binding::Or,
            "AND" => Binding::And,
            "NOT" => Binding::Not,
            "IS" | "IN" | "LIKE" | "ILIKE" | "SIMILAR" | "BETWEEN" => Binding::Other,
            "::" => Binding::Cast,
            "+" | "-" if operand_before => Binding::Sum,
            "*" | "/" | "%" => Binding::Product,
            _ if is_operator(first) => Binding::Other,
            _ => Binding::Whole,
        };
        if case_depth == 0 {
            loosest = loosest.min(found);
        }
        if !first.is_whitespace() {
            operand_before = !is_operator(first);
        }
    }
    loosest
}

#[cfg(test)]
mod tests {
    use super::without_parentheses;

    /// As PostgreSQL 15 shows them with and without `pretty`.
    #[test]
    fn pretty_forms_are_postgresqls() {
        for (full, pretty) in [
            ("(balance >= (0)::numeric)", "balance >= 0::numeric"),
            ("(VALUE ~~ '%@%'::text)", "VALUE ~~ '%@%'::text"),
            ("(active AND (name IS NOT NULL))", "active AND name IS NOT NULL"),
            ("((a > 1) OR ((b < 2) AND (c = 3)))", "a > 1 OR b < 2 AND c = 3"),
            ("(((a > 1) OR (b < 2)) AND (c = 1))", "(a > 1 OR b < 2) AND c = 1"),
            ("(balance + (1)::numeric)", "balance + 1::numeric"),
            (
                "((n)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))",
                "n::text = ANY (ARRAY['x'::character varying, 'y'::character varying]::text[])",
            ),
            ("(lower((n)::text) = 'a'::text)", "lower(n::text) = 'a'::text"),
            ("((a + 1) > 2)", "(a + 1) > 2"),
            ("(((a * 2) + 1) = 3)", "(a * 2 + 1) = 3"),
            ("(NOT (a = 1))", "NOT a = 1"),
            ("(((a = 1) AND (b = 2)) AND (c = 3))", "a = 1 AND b = 2 AND c = 3"),
            ("(((a = 1) OR (b = 2)) OR (c = 3))", "a = 1 OR b = 2 OR c = 3"),
            ("((a = 1) AND (b = ANY (c)))", "a = 1 AND (b = ANY (c))"),
            ("((- a) < 1)", "(- a) < 1"),
            ("(((a + b) * 2) > 1)", "((a + b) * 2) > 1"),
            ("((a - (b - c)) > 0)", "(a - (b - c)) > 0"),
            ("(a = '-1'::integer)", "a = '-1'::integer"),
            (
                "((COALESCE(a, 1) > 0) AND (length((n)::text) > 2))",
                "COALESCE(a, 1) > 0 AND length(n::text) > 2",
            ),
            ("(((n)::text ~~ 'a%'::text) OR (n IS NULL))", "n::text ~~ 'a%'::text OR n IS NULL"),
            ("(CASE WHEN (a > 1) THEN b ELSE c END > 0)", "CASE WHEN a > 1 THEN b ELSE c END > 0"),
            ("'it''s (not) one'::text", "'it''s (not) one'::text"),
        ] {
            assert_eq!(without_parentheses(full), pretty, "{full}");
        }
    }

    #[test]
    fn unbalanced_text_is_left_in_peace() {
        for text in ["((a", "a))", "'(", "(\"", "", "(a[1)"] {
            without_parentheses(text);
        }
    }
}
