//! Operator precedence, as the table of the manual's section 4.1.6 and the grammar behind it have it.
//!
//! | binds, loosest first | associates |
//! |---|---|
//! | `OR`, `AND`, `NOT` | |
//! | `IS`, `ISNULL`, `NOTNULL` | `IS DISTINCT FROM` does not |
//! | `< > = <= >= <>` | not |
//! | `BETWEEN`, `IN`, `LIKE`, `ILIKE`, `SIMILAR` | not |
//! | every other operator, before or between operands | left |
//! | `+ -`, then `* / %`, then `^`, then `AT TIME ZONE`, then `COLLATE` | left |
//! | `+` and `-` before an operand | right |
//! | `[…]`, `::`, `.` | left |
//!
//! So `- 2 ^ 2` is 4, `~ 1 + 1` is `~ (1 + 1)`, and `1 = 1 = true` is no expression. What sqlparser does otherwise is put right
//! here; the rest of the table it has itself.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// How tightly a sign before an operand binds: above `COLLATE`, below subscripts.
const SIGN: u8 = 125;

fn value(precedence: Precedence) -> u8 {
    PostgreSqlDialect {}.prec_value(precedence)
}

/// How tightly the next token binds, where sqlparser has it otherwise.
pub(super) fn next(parser: &Parser<'_>) -> Option<u8> {
    let pattern_operator = matches!(
        parser.peek_token_ref().token,
        Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk
    );
    pattern_operator.then(|| value(Precedence::PgOther))
}

/// Reads an operator that stands before its operand.
pub(super) fn prefix(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let (op, binds) = match &parser.peek_token_ref().token {
        Token::Minus => (UnaryOperator::Minus, SIGN),
        Token::Plus => (UnaryOperator::Plus, SIGN),
        Token::Tilde => (UnaryOperator::BitwiseNot, value(Precedence::PgOther)),
        Token::AtSign => (UnaryOperator::PGAbs, value(Precedence::PgOther)),
        Token::PGSquareRoot => (UnaryOperator::PGSquareRoot, value(Precedence::PgOther)),
        Token::PGCubeRoot => (UnaryOperator::PGCubeRoot, value(Precedence::PgOther)),
        Token::DoubleExclamationMark => {
            (UnaryOperator::PGPrefixFactorial, value(Precedence::PgOther))
        }
        _ => return None,
    };
    parser.advance_token();
    let operand = parser.parse_subexpr(binds);
    Some(operand.map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
}

/// Refuses a second operator of a class that does not associate. What ends in a parenthesis, such as `a IN (b)`, may have one.
pub(super) fn refuse_chain(
    parser: &Parser<'_>,
    left: &Expr,
    precedence: u8,
) -> Option<Result<Expr, ParserError>> {
    let same_class = if precedence == value(Precedence::Eq) {
        is_comparison(left)
    } else if precedence == value(Precedence::Like) || precedence == value(Precedence::Between) {
        matches!(
            left,
            Expr::Between { .. } | Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. }
        )
    } else {
        precedence == value(Precedence::Is)
            && matches!(left, Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..))
    };
    same_class.then(|| parser.expected_ref("the end of the expression", parser.peek_token_ref()))
}

/// Whether an expression without parentheses around it is a comparison.
fn is_comparison(expr: &Expr) -> bool {
    let Expr::BinaryOp { left: _, op, right: _ } = expr else { return false };
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}
