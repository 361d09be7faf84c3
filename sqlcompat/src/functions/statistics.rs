//! Counters that PostgreSQL keeps and Trellis does not: they stand at 0, or were never set.
//!
//! `trellis.*` relations and the metrics show what Trellis counts itself.

use super::call::{float, integer};
use super::{Call, ScalarFunction};
use crate::datum::Datum;
use crate::error::SqlError;

macro_rules! constants {
    ($body:expr; $($name:literal),+ $(,)?) => {
        &[$(ScalarFunction::strict($name, $body).stable()),+]
    };
}

/// Counts.
pub(super) const COUNTERS: &[ScalarFunction] = constants!(
    |_: &Call| -> Result<Datum, SqlError> { Ok(integer(0)) };
    "pg_pg_stat_get_analyze_count",
    "pg_pg_stat_get_autoanalyze_count",
    "pg_pg_stat_get_autovacuum_count",
    "pg_pg_stat_get_bgwriter_buf_written_checkpoints",
    "pg_pg_stat_get_bgwriter_buf_written_clean",
    "pg_pg_stat_get_bgwriter_maxwritten_clean",
    "pg_pg_stat_get_bgwriter_requested_checkpoints",
    "pg_pg_stat_get_bgwriter_timed_checkpoints",
    "pg_pg_stat_get_blocks_fetched",
    "pg_pg_stat_get_blocks_hit",
    "pg_pg_stat_get_buf_alloc",
    "pg_pg_stat_get_buf_fsync_backend",
    "pg_pg_stat_get_buf_written_backend",
    "pg_pg_stat_get_db_blocks_fetched",
    "pg_pg_stat_get_db_blocks_hit",
    "pg_pg_stat_get_db_conflict_all",
    "pg_pg_stat_get_db_conflict_bufferpin",
    "pg_pg_stat_get_db_conflict_lock",
    "pg_pg_stat_get_db_conflict_snapshot",
    "pg_pg_stat_get_db_conflict_startup_deadlock",
    "pg_pg_stat_get_db_conflict_tablespace",
    "pg_pg_stat_get_db_deadlocks",
    "pg_pg_stat_get_db_sessions",
    "pg_pg_stat_get_db_sessions_abandoned",
    "pg_pg_stat_get_db_sessions_fatal",
    "pg_pg_stat_get_db_sessions_killed",
    "pg_pg_stat_get_db_temp_bytes",
    "pg_pg_stat_get_db_temp_files",
    "pg_pg_stat_get_db_tuples_deleted",
    "pg_pg_stat_get_db_tuples_fetched",
    "pg_pg_stat_get_db_tuples_inserted",
    "pg_pg_stat_get_db_tuples_returned",
    "pg_pg_stat_get_db_tuples_updated",
    "pg_pg_stat_get_db_xact_commit",
    "pg_pg_stat_get_db_xact_rollback",
    "pg_pg_stat_get_dead_tuples",
    "pg_pg_stat_get_ins_since_vacuum",
    "pg_pg_stat_get_mod_since_analyze",
    "pg_pg_stat_get_tuples_deleted",
    "pg_pg_stat_get_tuples_fetched",
    "pg_pg_stat_get_tuples_hot_updated",
    "pg_pg_stat_get_tuples_inserted",
    "pg_pg_stat_get_tuples_returned",
    "pg_pg_stat_get_tuples_updated",
    "pg_pg_stat_get_vacuum_count",
    "pg_pg_stat_get_xact_blocks_fetched",
    "pg_pg_stat_get_xact_blocks_hit",
    "pg_pg_stat_get_xact_numscans",
    "pg_pg_stat_get_xact_tuples_deleted",
    "pg_pg_stat_get_xact_tuples_fetched",
    "pg_pg_stat_get_xact_tuples_hot_updated",
    "pg_pg_stat_get_xact_tuples_inserted",
    "pg_pg_stat_get_xact_tuples_returned",
    "pg_pg_stat_get_xact_tuples_updated",
);

/// Times spent, in milliseconds.
pub(super) const DURATIONS: &[ScalarFunction] = constants!(
    |_: &Call| -> Result<Datum, SqlError> { Ok(float(0.0)) };
    "pg_pg_stat_get_checkpoint_sync_time",
    "pg_pg_stat_get_checkpoint_write_time",
    "pg_pg_stat_get_db_active_time",
    "pg_pg_stat_get_db_blk_read_time",
    "pg_pg_stat_get_db_blk_write_time",
    "pg_pg_stat_get_db_idle_in_transaction_time",
    "pg_pg_stat_get_db_session_time",
);

/// What has never happened, and what is not tracked.
pub(super) const NEVER: &[ScalarFunction] = constants!(
    |_: &Call| -> Result<Datum, SqlError> { Ok(Datum::Null) };
    "pg_pg_stat_get_bgwriter_stat_reset_time",
    "pg_pg_stat_get_db_checksum_failures",
    "pg_pg_stat_get_db_checksum_last_failure",
    "pg_pg_stat_get_db_stat_reset_time",
    "pg_pg_stat_get_function_calls",
    "pg_pg_stat_get_function_self_time",
    "pg_pg_stat_get_function_total_time",
    "pg_pg_stat_get_last_analyze_time",
    "pg_pg_stat_get_last_autoanalyze_time",
    "pg_pg_stat_get_last_autovacuum_time",
    "pg_pg_stat_get_last_vacuum_time",
    "pg_pg_stat_get_xact_function_calls",
    "pg_pg_stat_get_xact_function_self_time",
    "pg_pg_stat_get_xact_function_total_time",
);
