//! What a session keeps from one statement to the next: prepared SQLite statements, and plans.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use trellis_replication::store::{SharedConnection, Statement, StatementError};
use trellis_sqlcompat::Oid;
use trellis_sqlcompat::parse::ParsedStatement;
use trellis_sqlcompat::plan::Plan;
use trellis_sqlcompat::settings::FormatSettings;

/// Prepared SQLite statements kept per session.
pub const STATEMENTS_MAX: usize = 128;
/// Plans kept per session.
pub const PLANS_MAX: usize = 512;
/// Parsed strings kept per session.
pub const PARSED_MAX: usize = 256;
/// Longest text that is kept, bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

struct Kept {
    statement: Statement,
    used: u64,
}

#[derive(Default)]
struct Statements {
    free: HashMap<Arc<str>, Kept>,
    /// Statements taken and not put back.
    taken: usize,
    clock: u64,
}

/// Prepared statements by text. One that is in use is not in the cache; using the same text again prepares a second.
#[derive(Clone, Default)]
pub(super) struct StatementCache(Rc<RefCell<Statements>>);

impl StatementCache {
    /// A statement for `sql`, not bound and not stepped.
    pub(super) fn take(
        &self,
        connection: &SharedConnection,
        sql: &str,
    ) -> Result<(Arc<str>, Statement), StatementError> {
        let kept = self.0.borrow_mut().free.remove_entry(sql);
        let taken = match kept {
            Some((text, kept)) => (text, kept.statement),
            None => (Arc::from(sql), connection.prepare(sql)?),
        };
        self.0.borrow_mut().taken += 1;
        Ok(taken)
    }

    /// Whether a statement is taken: a result may be half read.
    pub(super) fn in_use(&self) -> bool {
        self.0.borrow().taken > 0
    }

    /// Takes a statement back.
    pub(super) fn put_back(&self, sql: Arc<str>, mut statement: Statement) {
        statement.reset();
        let mut cache = self.0.borrow_mut();
        cache.taken = cache.taken.saturating_sub(1);
        cache.clock += 1;
        let used = cache.clock;
        if cache.free.len() >= STATEMENTS_MAX {
            let oldest = cache.free.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(sql, _)| Arc::clone(sql)) {
                cache.free.remove(&oldest);
            }
        }
        cache.free.insert(sql, Kept { statement, used });
    }

    /// Finalizes all statements that are not in use.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().free.clear();
    }
}

/// What a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PlanKey {
    pub(super) text: String,
    /// Declared types; `None` where the statement may have no parameters.
    pub(super) parameter_types: Option<Vec<Oid>>,
    pub(super) epoch: u64,
    pub(super) search_path: Vec<String>,
    /// Address of the format settings.
    pub(super) format: usize,
}

/// Plans and parsed strings. Either part starts over when it is full.
#[derive(Default)]
pub(super) struct PlanCache {
    /// With each the settings whose address its key has, so that no others can come to stand there.
    plans: HashMap<PlanKey, (Arc<Plan>, Arc<FormatSettings>)>,
    parsed: HashMap<String, Arc<[Arc<ParsedStatement>]>>,
}

impl PlanCache {
    pub(super) fn plan(&self, key: &PlanKey) -> Option<Arc<Plan>> {
        self.plans.get(key).map(|(plan, _)| Arc::clone(plan))
    }

    pub(super) fn keep_plan(
        &mut self,
        key: PlanKey,
        plan: &Arc<Plan>,
        format: &Arc<FormatSettings>,
    ) {
        if key.text.len() > TEXT_BYTES_MAX {
            return;
        }
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        self.plans.insert(key, (Arc::clone(plan), Arc::clone(format)));
    }

    pub(super) fn parsed(&self, sql: &str) -> Option<Arc<[Arc<ParsedStatement>]>> {
        self.parsed.get(sql).cloned()
    }

    pub(super) fn keep_parsed(&mut self, sql: &str, parsed: &Arc<[Arc<ParsedStatement>]>) {
        if sql.len() > TEXT_BYTES_MAX {
            return;
        }
        if self.parsed.len() >= PARSED_MAX {
            self.parsed.clear();
        }
        self.parsed.insert(sql.to_owned(), Arc::clone(parsed));
    }

    pub(super) fn clear(&mut self) {
        self.plans.clear();
    }
}
