//! SQL scripts with recorded answers: what PostgreSQL 15 says, and where Trellis is known to differ.
//!
//! A script is a text file of cases, separated by blank lines. A case is SQL, `----`, and the answer as PostgreSQL gives it:
//!
//! ```text
//! # Integer division truncates towards zero.
//! SELECT 7 / 2 AS q, -7 / 2;
//! ----
//! q:int4 | ?column?:int4
//! 3 | -3
//! SELECT 1
//! ```
//!
//! Where Trellis answers otherwise, a third part, headed `---- trellis: reason`, records its answer: a known difference is
//! visible in the script and still checked, and a test fails when it vanishes as well as when it changes.
//!
//! | line before the SQL | effect |
//! |---|---|
//! | `@params 1 \| NULL` | runs through the extended protocol with these parameters, as text |
//! | `@binary` | asks for binary results, shown in hexadecimal |
//! | `@sorted` | sorts the rows, for queries that promise no order |
//! | `@connection b` | runs on another connection of that name, and so do all that follow until the next such line |
//! | `@data` after the SQL | the following lines are the data of COPY FROM STDIN |
//!
//! An answer shows columns with types (and what Parse and Describe say, where that differs), rows, command tags,
//! errors with SQLSTATE, position, detail and hint, notices, notifications, COPY data, and the transaction status unless idle.
//!
//! `UPDATE_GOLDENFILES=1` records: PostgreSQL's answers if it is installed, Trellis's differences otherwise and after it.

mod answer;
mod case;
mod run;

pub use answer::{ValueFormat, render};
pub use case::{Case, Script};
pub use run::{Runner, Tally};
