//! Which columns an expression names.
//!
//! The schema keeps expressions as PostgreSQL deparses them, in which a column of the only table in sight stands as a
//! plain identifier. So one pass over the tokens finds the columns: an identifier that is a column's name and is neither
//! called as a function nor the name of a type after `::`. String constants are skipped.

/// Attribute numbers of the columns that `expression` names, ascending and without duplicates. `column` gives the attribute
/// number of a name.
pub(super) fn columns_named(expression: &str, column: impl Fn(&str) -> Option<i16>) -> Vec<i16> {
    let mut found = Vec::new();
    let mut rest = expression;
    let mut after_cast = false;
    while let Some(first) = rest.chars().next() {
        let (token, tail) = next_token(rest, first);
        let is_call = tail.trim_start().starts_with('(');
        let name = match first {
            '"' => Some(unquote(token)),
            _ if is_identifier_start(first) => Some(token.to_owned()),
            _ => None,
        };
        if let Some(attnum) = name.filter(|_| !is_call && !after_cast).and_then(|it| column(&it)) {
            found.push(attnum);
        }
        after_cast = token == "::" || (after_cast && first.is_whitespace());
        rest = tail;
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Splits the first token off `text`, which starts with `first`.
fn next_token(text: &str, first: char) -> (&str, &str) {
    let length = match first {
        '\'' => closing(text, '\''),
        '"' => closing(text, '"'),
        _ if is_identifier_start(first) => text
            .find(|it: char| !is_identifier_start(it) && !it.is_ascii_digit() && it != '$')
            .unwrap_or(text.len()),
        ':' if text.starts_with("::") => 2,
        other => other.len_utf8(),
    };
    text.split_at(length)
}

/// Length of the quoted token at the start of `text`; a doubled quote does not end it.
fn closing(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((position, character)) = characters.next() {
        if character != quote {
            continue;
        }
        if characters.peek().is_some_and(|(_, next)| *next == quote) {
            characters.next();
            continue;
        }
        return position + 1;
    }
    text.len()
}

fn is_identifier_start(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn unquote(token: &str) -> String {
    token.trim_matches('"').replace("\"\"", "\"")
}

/// The name that PostgreSQL gives an index column over `expression`: the function called outermost, or `expr`.
pub(super) fn expression_column_name(expression: &str) -> String {
    let name: String = expression
        .chars()
        .take_while(|it| is_identifier_start(*it) || it.is_ascii_digit())
        .collect();
    let is_call = expression.get(name.len()..).is_some_and(|rest| rest.starts_with('('));
    if is_call && !name.is_empty() { name } else { "expr".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(expression: &str) -> Vec<i16> {
        columns_named(expression, |name| match name {
            "a" => Some(1),
            "b c" => Some(2),
            "lower" => Some(3),
            "text" => Some(4),
            _ => None,
        })
    }

    #[test]
    fn columns_are_told_from_functions_types_and_strings() {
        assert_eq!(named("((a)::text = 'b c'::text)"), [1]);
        assert_eq!(named("(lower(\"b c\") <> 'it''s a')"), [2]);
        assert_eq!(named("(lower > (0)::numeric)"), [3]);
        assert_eq!(named("'unclosed a"), Vec::<i16>::new());
    }

    #[test]
    fn expression_columns_are_named_by_their_function() {
        assert_eq!(expression_column_name("lower(name)"), "lower");
        assert_eq!(expression_column_name("((a + 1))"), "expr");
    }
}
