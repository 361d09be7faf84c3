//! Texts to try: random bytes, soups of tokens, mutations of statements, calls.

use trellis_sqlcompat::builtin;

use super::calls::call;
use super::random::Random;

/// Texts that are turned upside down: nested in one another, or put where another token was.
const SNIPPETS: &[&str] = &[
    "NULL",
    "$1",
    "$2::int[]",
    "0",
    "-1",
    "2147483648",
    "9223372036854775807",
    "1e400",
    "0.0",
    "'NaN'::numeric",
    "''",
    "'a'",
    "'{}'",
    "'[]'::jsonb",
    "true",
    "DEFAULT",
    "*",
    "t.*",
    "ARRAY[1,NULL]",
    "ROW(1,'a')",
    "(SELECT 1)",
    "(VALUES (1,2),(3,4))",
    "count(*)",
    "sum(1) OVER ()",
    "now()",
    "generate_series(1,3)",
    "'infinity'::date",
    "INTERVAL '1 day'",
    "E'\\x00'",
    "U&'\\0061'",
    "$$x$$",
    "B'101'",
    "X'ff'",
    "\"\"",
    "\"A b\"",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    "::",
    ":",
    ".",
    "--",
    "/*",
    "é",
    "\u{0}",
    "\u{feff}",
    "1.",
    ".5",
    "0x1F",
    "1_000",
    "?",
    "@>",
    "->>",
    "#>",
    "||",
    "~*",
    "!~~",
    "IS NOT DISTINCT FROM",
    "ANY",
    "ALL",
    "COLLATE \"C\"",
    "AT TIME ZONE 'UTC'",
    "FILTER (WHERE true)",
    "OVER (PARTITION BY 1 ORDER BY 1 ROWS 1 PRECEDING)",
    "WITHIN GROUP (ORDER BY 1)",
    "GROUP BY ROLLUP (1)",
    "ORDER BY 1 DESC NULLS FIRST",
    "LIMIT ALL",
    "FETCH FIRST 1 ROW WITH TIES",
    "FOR UPDATE",
    "LATERAL",
    "TABLESAMPLE SYSTEM (1)",
    "WITH ORDINALITY",
    "ON CONFLICT DO NOTHING",
    "RETURNING *",
    "USING (id)",
    "NATURAL JOIN",
    "CROSS JOIN",
    "UNION",
    "EXCEPT ALL",
    "WITH RECURSIVE x AS (SELECT 1)",
];

/// Constructs that take an expression or a query in.
const AROUND: &[(&str, &str)] = &[
    ("(", ")"),
    ("NOT (", ")"),
    ("- (", ")"),
    ("CASE WHEN ", " THEN 1 ELSE NULL END"),
    ("CASE ", " WHEN 1 THEN 2 END"),
    ("(SELECT ", ")"),
    ("EXISTS (SELECT ", ")"),
    ("ARRAY[", "]"),
    ("ARRAY(SELECT ", ")"),
    ("CAST(", " AS text)"),
    ("(", ")::int4"),
    ("(", ")::jsonb"),
    ("coalesce(", ", NULL)"),
    ("nullif(", ", 1)"),
    ("greatest(", ", 1)"),
    ("row(", ", 1)"),
    ("count(DISTINCT ", ")"),
    ("array_agg(", " ORDER BY 1)"),
    ("first_value(", ") OVER ()"),
    ("unnest(ARRAY[", "])"),
    ("jsonb_build_object('a', ", ")"),
    ("(", ") IS NULL"),
    ("(", ") IN (1, 2)"),
    ("(", ") = ANY ('{1,2}')"),
    ("(", ") BETWEEN 1 AND 2"),
    ("(", ")[1]"),
    ("(", ").f1"),
    ("SELECT * FROM (", ") AS q"),
    ("WITH w AS (", ") SELECT * FROM w"),
    ("WITH w AS MATERIALIZED (", ") TABLE w"),
    ("INSERT INTO everything ", ""),
    ("EXPLAIN ", ""),
    ("CREATE TEMP TABLE z AS ", ""),
    ("CREATE VIEW z AS ", ""),
    ("PREPARE z AS ", ""),
    ("COPY (", ") TO STDOUT"),
    ("DECLARE z CURSOR FOR ", ""),
];

/// A text; mutations are of `statements`.
pub(crate) fn text(random: &mut Random, statements: &[String]) -> String {
    match random.below(20) {
        0 => bytes(random),
        1 | 2 => soup(random, statements),
        3..=8 => call(random),
        _ => mutation(random, statements),
    }
}

/// Random characters, many of them SQL's own.
fn bytes(random: &mut Random) -> String {
    let own: Vec<char> = "()[]{}'\"$:;,.+-*/<>=~!@#%^&|`?\\ \n\tsSeElLcCtT019_".chars().collect();
    let character = |random: &mut Random| match random.below(8) {
        0 => u32::try_from(random.below(0x11_0000))
            .ok()
            .and_then(char::from_u32)
            .unwrap_or('\u{fffd}'),
        _ => own[random.below(own.len())],
    };
    (0..random.below(200)).map(|_| character(random)).collect()
}

/// Tokens in no order.
fn soup(random: &mut Random, statements: &[String]) -> String {
    let first = [
        "SELECT",
        "INSERT INTO",
        "UPDATE",
        "DELETE FROM",
        "CREATE TABLE",
        "ALTER TABLE",
        "WITH",
        "VALUES",
    ];
    let mut text = random.pick(&first).to_owned();
    for _ in 0..random.below(40) {
        text.push(' ');
        text.push_str(&word(random, statements));
    }
    text
}

/// One token.
fn word(random: &mut Random, statements: &[String]) -> String {
    match random.below(6) {
        0 => builtin::keywords()[random.below(builtin::keywords().len())].word.to_owned(),
        1 => {
            let functions = builtin::functions();
            format!("{}(", functions[random.below(functions.len())].name)
        }
        2 => builtin::types()[random.below(builtin::types().len())].name.to_owned(),
        3 => SNIPPETS[random.below(SNIPPETS.len())].to_owned(),
        _ => {
            let tokens = tokens(&statements[random.below(statements.len())]);
            tokens.get(random.below(tokens.len())).cloned().unwrap_or_default()
        }
    }
}

/// A statement that was changed in a few places.
fn mutation(random: &mut Random, statements: &[String]) -> String {
    let mut tokens = tokens(&statements[random.below(statements.len())]);
    for _ in 0..=random.below(3) {
        change(random, &mut tokens, statements);
        // Wrapping a wrapped statement again and again would only ever be refused.
        if tokens.len() > 4_000 {
            break;
        }
    }
    tokens.concat()
}

fn change(random: &mut Random, tokens: &mut Vec<String>, statements: &[String]) {
    if tokens.is_empty() {
        tokens.push(word(random, statements));
        return;
    }
    let (one, other) = (random.below(tokens.len()), random.below(tokens.len()));
    let (from, to) = (one.min(other), one.max(other));
    match random.below(24) {
        0 => tokens.swap(one, other),
        1 => drop(tokens.remove(one)),
        2 => drop(tokens.drain(from..to.min(from + 8))),
        3 => {
            let part = tokens[from..to.min(from + 20)].to_vec();
            drop(tokens.splice(to..to, part));
        }
        4 => tokens[one] = word(random, statements),
        5 => tokens.insert(one, format!(" {} ", word(random, statements))),
        6 => splice(random, tokens, statements),
        7 => wrap(random, tokens, from..to + 1),
        8 => wrap(random, tokens, 0..tokens.len()),
        9..=11 => {
            let call = call(random).trim_start_matches("SELECT ").to_owned();
            replace(random, tokens, is_name, call);
        }
        12..=14 => {
            let other = self::tokens(&statements[random.below(statements.len())]);
            let names: Vec<&String> = other.iter().filter(|it| is_name(it)).collect();
            if !names.is_empty() {
                let name = names[random.below(names.len())].clone();
                replace(random, tokens, is_name, name);
            }
        }
        15..=17 => {
            let literal = SNIPPETS[random.below(SNIPPETS.len())].to_owned();
            replace(random, tokens, is_literal, literal);
        }
        _ => {
            let unit = unit(tokens, one);
            wrap(random, tokens, unit);
        }
    }
}

/// Puts a construct around some tokens.
fn wrap(random: &mut Random, tokens: &mut Vec<String>, range: std::ops::Range<usize>) {
    let (open, close) = AROUND[random.below(AROUND.len())];
    tokens.insert(range.end, close.to_owned());
    tokens.insert(range.start, open.to_owned());
}

/// The next operand from a place on: a literal, a name, a call, what is in parentheses.
fn unit(tokens: &[String], at: usize) -> std::ops::Range<usize> {
    let begins = |it: &String| is_name(it) || is_literal(it) || it == "(";
    let start = tokens.iter().skip(at).position(begins).map_or(at, |skipped| at + skipped);
    let named = tokens.get(start).is_some_and(|it| is_name(it));
    let open = start + usize::from(named && tokens.get(start + 1).is_some_and(|it| it == "("));
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return start..index + 1;
        }
    }
    start..tokens.len()
}

/// Puts a text in the place of one of the tokens of a kind.
fn replace(
    random: &mut Random,
    tokens: &mut [String],
    is_kind: impl Fn(&str) -> bool,
    text: String,
) {
    let count = tokens.iter().filter(|it| is_kind(it)).count();
    let chosen = random.below(count);
    if let Some(token) = tokens.iter_mut().filter(|it| is_kind(it)).nth(chosen) {
        *token = text;
    }
}

fn is_literal(token: &str) -> bool {
    token.starts_with(|c: char| c == '\'' || c.is_ascii_digit())
}

/// Whether a token is a word that is no key word.
fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && builtin::keyword(&token.to_ascii_lowercase()).is_none()
}

/// Puts part of another statement in the place of part of this one.
fn splice(random: &mut Random, tokens: &mut Vec<String>, statements: &[String]) {
    let other = self::tokens(&statements[random.below(statements.len())]);
    let (at, begin) = (random.below(tokens.len()), random.below(other.len()));
    let end = other.len().min(begin + 1 + random.below(30));
    let until = tokens.len().min(at + random.below(10));
    drop(tokens.splice(at..until, other.get(begin..end).unwrap_or_default().to_vec()));
}

/// Words, numbers, strings, blanks and single signs, which together are the text.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut quote = None;
    for character in text.chars() {
        let goes_on = match (quote, tokens.last().and_then(|it| it.chars().last())) {
            (Some(_), _) => true,
            (None, Some(last)) => class(last) == class(character) && class(last) != 0,
            (None, None) => false,
        };
        match quote {
            Some(open) if open == character => quote = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"') => quote = Some(character),
            None => {}
        }
        match tokens.last_mut() {
            Some(token) if goes_on => token.push(character),
            _ => tokens.push(character.to_string()),
        }
    }
    tokens
}

fn class(character: char) -> u8 {
    match character {
        '_' => 1,
        it if it.is_alphanumeric() => 1,
        it if it.is_whitespace() => 2,
        ':' | '<' | '>' | '=' | '|' | '~' | '@' | '#' | '-' | '!' => 3,
        _ => 0,
    }
}
