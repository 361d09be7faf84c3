//! The replicated data type: what a row's clock is, and who wins when two clocks meet. Pure; knows no SQLite.
//!
//! Each replicated row has a **clock** ([`RowClock`]): its causal length (odd while it lives, even when deleted) and, of
//! each column that was ever written, a version and the stamp of the transaction that wrote it. Merging a change follows
//! cr-sqlite 0.17 with `merge-equal-values = 1`:
//!
//! 1. the longer causal length wins the row: a longer even one deletes it and drops its cells, a longer odd one
//!    resurrects it and sets the versions of the cells it still has to 0;
//! 2. at equal length, each cell is won by the larger `col_version`, then the larger value ([`compare_values`]), then the
//!    larger site id;
//! 3. equal deletes, and equal resurrections, take the stamp of the larger site id.
//!
//! The rules make replicas that saw the same changes equal, in whatever order and however often they saw them; the
//! property tests in `merge.rs` say so.
//!
//! | file | holds |
//! |---|---|
//! | `bytes.rs` | varints and a bounds-checked reader, shared by the codecs |
//! | `pack.rs` | packed primary keys, byte-compatible with cr-sqlite |
//! | `order.rs` | the order of values |
//! | `clock.rs` | the clock of one row, as runs of neighbouring columns |
//! | `block.rs` | the clocks of neighbouring rows in one run-length-coded blob |
//! | `merge.rs` | the decision what an incoming row change does to a clock |

mod block;
pub mod bytes;
mod clock;
mod merge;
mod order;
mod pack;

pub use block::{AlikeRows, Block, rows_per_block};
pub use clock::{COLUMNS_MAX, CellClock, CellRun, RowClock, Stamp};
pub use merge::{IncomingCell, IncomingRow, RowEffect, merge_row};
pub use order::compare_values;
pub use pack::{KEY_COLUMNS_MAX, PackedKey, pack, unpack, unpack_integer};
