//! The canonical text of a path.

use super::{BinaryOperator, Chain, JsonPath, Mode, RegexFlags, Step, UnaryOperator};
use crate::types::json::write_string;

/// Whether an operator puts itself in parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brackets {
    /// Where what surrounds it binds tighter.
    Written,
    /// Where nothing does.
    Omitted,
}

/// The text of a path.
pub(super) fn print(path: &JsonPath) -> String {
    let mut out = String::new();
    if path.mode == Mode::Strict {
        out.push_str("strict ");
    }
    chain(&path.chain, Brackets::Written, &mut out);
    out
}

/// How tightly a step binds: operands that bind as loosely as their operator are put in parentheses.
fn priority(step: &Step) -> u8 {
    match step {
        Step::Binary(operator, ..) => match operator {
            BinaryOperator::Or => 0,
            BinaryOperator::And => 1,
            BinaryOperator::Add | BinaryOperator::Subtract => 3,
            BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => 4,
            _ => 2,
        },
        Step::Unary(UnaryOperator::Plus | UnaryOperator::Minus, _) => 5,
        _ => 6,
    }
}

fn chain(steps: &Chain, brackets: Brackets, out: &mut String) {
    let mut brackets = brackets;
    for (at, item) in steps.iter().enumerate() {
        let followed = at + 1 < steps.len();
        step(item, at > 0, followed, brackets, out);
        brackets = Brackets::Written;
    }
}

fn operand(inner: &Chain, outer: &Step, out: &mut String) {
    let loose = inner.first().is_some_and(|it| priority(it) <= priority(outer));
    chain(inner, if loose { Brackets::Written } else { Brackets::Omitted }, out);
}

fn bare(inner: &Chain, out: &mut String) {
    chain(inner, Brackets::Omitted, out);
}

fn step(item: &Step, is_accessor: bool, followed: bool, brackets: Brackets, out: &mut String) {
    let (open, close) = if brackets == Brackets::Written { ("(", ")") } else { ("", "") };
    let dot = if is_accessor { "." } else { "" };
    match item {
        Step::Null => out.push_str("null"),
        Step::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Step::Number(text) if followed => out.push_str(&format!("({text})")),
        Step::Number(text) => out.push_str(text),
        Step::String(text) => write_string(text, out),
        Step::Variable(name) => {
            out.push('$');
            write_string(name, out);
        }
        Step::Root => out.push('$'),
        Step::Current => out.push('@'),
        Step::Last => out.push_str("last"),
        Step::Key(name) => {
            out.push_str(dot);
            write_string(name, out);
        }
        Step::AnyKey => {
            out.push_str(dot);
            out.push('*');
        }
        Step::AnyElement => out.push_str("[*]"),
        Step::Elements(subscripts) => elements(subscripts, out),
        Step::AnyLevel(first, last) => {
            out.push_str(dot);
            levels(*first, *last, out);
        }
        Step::Filter(predicate) => {
            out.push_str("?(");
            bare(predicate, out);
            out.push(')');
        }
        Step::Binary(operator, left, right) => {
            out.push_str(open);
            operand(left, item, out);
            out.push_str(&format!(" {} ", operator.spelling()));
            operand(right, item, out);
            out.push_str(close);
        }
        Step::Unary(operator, inner) => unary(*operator, inner, item, (open, close), out),
        Step::LikeRegex(inner, pattern, flags) => {
            out.push_str(open);
            operand(inner, item, out);
            out.push_str(" like_regex ");
            write_string(pattern, out);
            regex_flags(*flags, out);
            out.push_str(close);
        }
        Step::Method(method) => out.push_str(&format!(".{}()", method.name())),
        Step::Datetime(template) => {
            out.push_str(".datetime(");
            if let Some(template) = template {
                write_string(template, out);
            }
            out.push(')');
        }
    }
}

fn unary(
    operator: UnaryOperator,
    inner: &Chain,
    item: &Step,
    (open, close): (&str, &str),
    out: &mut String,
) {
    match operator {
        UnaryOperator::Plus | UnaryOperator::Minus => {
            out.push_str(open);
            out.push(if operator == UnaryOperator::Plus { '+' } else { '-' });
            operand(inner, item, out);
            out.push_str(close);
        }
        UnaryOperator::Not => {
            out.push_str("!(");
            bare(inner, out);
            out.push(')');
        }
        UnaryOperator::IsUnknown => {
            out.push('(');
            bare(inner, out);
            out.push_str(") is unknown");
        }
        UnaryOperator::Exists => {
            out.push_str("exists (");
            bare(inner, out);
            out.push(')');
        }
    }
}

fn elements(subscripts: &[(Chain, Option<Chain>)], out: &mut String) {
    out.push('[');
    for (at, (from, to)) in subscripts.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        bare(from, out);
        if let Some(to) = to {
            out.push_str(" to ");
            bare(to, out);
        }
    }
    out.push(']');
}

fn levels(first: Option<u32>, last: Option<u32>, out: &mut String) {
    let level = |level: Option<u32>| level.map_or("last".to_owned(), |it| it.to_string());
    out.push_str("**");
    if (first, last) == (Some(0), None) {
        return;
    }
    out.push_str(&if first == last {
        format!("{{{}}}", level(first))
    } else {
        format!("{{{} to {}}}", level(first), level(last))
    });
}

fn regex_flags(flags: RegexFlags, out: &mut String) {
    let letters: String = [
        (flags.ignore_case, 'i'),
        (flags.dot_all, 's'),
        (flags.multi_line, 'm'),
        (flags.expanded, 'x'),
        (flags.quote, 'q'),
    ]
    .into_iter()
    .filter_map(|(set, letter)| set.then_some(letter))
    .collect();
    if !letters.is_empty() {
        out.push_str(&format!(" flag \"{letters}\""));
    }
}
