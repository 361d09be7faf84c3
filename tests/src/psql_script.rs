//! Scripts as psql reads them, split into statements.
//!
//! Quotes of all kinds, nested comments, parentheses and the data lines of `COPY … FROM stdin` are heeded. Of psql's own
//! commands only those matter that end a statement (`\g` and its kin); the others, and statements that need a psql
//! variable, are left out, since what they mean is psql's.
//!
//! # Sources
//!
//! PostgreSQL 15 manual, `app-psql` and `sql-syntax-lexical`.
#![expect(clippy::string_slice, reason = "texts are cut after ASCII characters only")]

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The text, without the semicolon.
    pub sql: String,
    /// The lines after `COPY … FROM stdin`; empty for any other statement.
    pub data: String,
}

/// The statements of `script`, in order.
pub fn statements(script: &str) -> Vec<Statement> {
    let mut splitter = Splitter { rest: script, line: 1, found: Vec::new() };
    while splitter.next_statement() {}
    splitter.found
}

/// A script that is being split.
struct Splitter<'a> {
    /// What is not read yet.
    rest: &'a str,
    /// The line that `rest` begins on.
    line: usize,
    /// What was found.
    found: Vec<Statement>,
}

impl Splitter<'_> {
    /// Reads up to the end of the next statement; false at the end of the script.
    fn next_statement(&mut self) -> bool {
        let mut text = String::new();
        let mut depth = 0_usize;
        let mut needs_variable = false;
        let mut first_line = self.line;
        while let Some(next) = self.rest.chars().next() {
            let length = token_length(self.rest);
            let token = self.take(length);
            match next {
                '\\' => {
                    let command = token + self.take_line().trim_end();
                    if command.starts_with("\\g") {
                        self.push(first_line, &text, needs_variable);
                        return true;
                    }
                    continue;
                }
                ';' if depth == 0 => {
                    self.push(first_line, &text, needs_variable);
                    return true;
                }
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ':' if token.len() > 1 && !token.starts_with("::") => needs_variable = true,
                _ => {}
            }
            let comment = token.starts_with("--") || token.starts_with("/*");
            if comment || (text.is_empty() && token.trim().is_empty()) {
                if text.is_empty() {
                    first_line = self.line;
                    continue;
                }
                text.push(' ');
                continue;
            }
            text.push_str(&token);
        }
        self.push(first_line, &text, needs_variable);
        false
    }

    /// Takes the next `length` bytes.
    fn take(&mut self, length: usize) -> String {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken.to_owned()
    }

    /// Takes the rest of the line, with its end.
    fn take_line(&mut self) -> String {
        let length = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        self.take(length)
    }

    /// Keeps a statement, with the data that follows it.
    fn push(&mut self, line: usize, text: &str, needs_variable: bool) {
        let sql = text.trim().to_owned();
        let words: Vec<String> =
            sql.split_whitespace().map(str::to_ascii_lowercase).take(64).collect();
        let copies = words.first().is_some_and(|word| word == "copy");
        let mut data = String::new();
        if copies && words.windows(2).any(|pair| pair[0] == "from" && pair[1] == "stdin") {
            self.take_line();
            while !self.rest.is_empty() {
                let line = self.take_line();
                if line.trim_end() == "\\." {
                    break;
                }
                data.push_str(&line);
            }
        }
        if !sql.is_empty() && !needs_variable {
            self.found.push(Statement { line, sql, data });
        }
    }
}

/// The length of the token that `text` begins with: a quoted thing, a comment, a word, or one character.
fn token_length(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    let until = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    match first {
        '\'' | '"' => quoted_length(text, first, false),
        '-' if text.starts_with("--") => text.find('\n').unwrap_or(text.len()),
        '/' if text.starts_with("/*") => comment_length(text),
        '$' => match dollar_tag(text) {
            Some(tag) => until(tag, tag.len()),
            None => 1,
        },
        ':' => match text.as_bytes().get(1) {
            Some(b':') => 2,
            Some(b'\'' | b'"' | b'{') => 2,
            Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => 2,
            _ => 1,
        },
        _ if first.is_alphabetic() || first == '_' => {
            let end = characters
                .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
                .map_or(text.len(), |(at, _)| at);
            if end == 1 && matches!(first, 'e' | 'E') && text[1..].starts_with('\'') {
                return 1 + quoted_length(&text[1..], '\'', true);
            }
            end
        }
        _ => first.len_utf8(),
    }
}

/// The length of the quoted thing that `text` begins with.
fn quoted_length(text: &str, quote: char, backslashes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && backslashes {
            characters.next();
        } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

/// The length of the comment that `text` begins with; comments nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The tag, with both dollar signs, of a dollar-quoted string that `text` begins with.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'))? + 1;
    let tag = &text[1..end];
    let named = !tag.starts_with(|c: char| c.is_ascii_digit());
    (text[end..].starts_with('$') && named).then(|| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the statements of `script`.
    fn texts(script: &str) -> Vec<String> {
        statements(script).into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn semicolons_in_quotes_comments_and_parentheses_end_nothing() {
        let script =
            "select ';', \";\", $a$;$$;$a$, E'\\';' /* ; /* ; */ ; */ -- ;\n;\n(select 1; );x";
        let found = texts(script);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "select ';', \";\", $a$;$$;$a$, E'\\';'");
        assert_eq!(found[2], "x");
    }

    #[test]
    fn data_follows_its_copy_and_commands_are_left_out() {
        let script = "\\set x 1\n-- why\ncopy t from stdin;\n1\t;\n\\.\nselect 1 \\gset\nselect :x, a::int;\n";
        let found = statements(script);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].line, found[0].data.as_str()), (3, "1\t;\n"));
        assert_eq!((found[1].line, found[1].sql.as_str()), (6, "select 1"));
    }
}
