//! The temporary sequences of a session: no other session sees them, and their counters are kept in memory only.
//!
//! A session is the home of each of them, so that they count in the whole range of their type. Drawing from one writes
//! nothing and is allowed in a read-only transaction, as in PostgreSQL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trellis_sqlcompat::Oid;
use trellis_sqlcompat::schema::{Catalog, Sequence, TEMPORARY_NAMESPACE};

use super::sequence::Sequences;

/// What a session and its functions share of its temporary sequences.
#[derive(Clone, Default)]
pub(super) struct TemporarySequences(Arc<Shared>);

#[derive(Default)]
struct Shared {
    definitions: Mutex<BTreeMap<Oid, Sequence>>,
    counters: Sequences,
}

impl TemporarySequences {
    /// Follows the schema that the session sees.
    pub(super) fn follow(&self, catalog: &Catalog) {
        let temporary = catalog.sequences.iter().filter(|(_, it)| is_temporary(it));
        let temporary: BTreeMap<_, _> = temporary.map(|(oid, it)| (*oid, it.clone())).collect();
        *self.definitions() = temporary;
    }

    /// The definition of one, by its OID.
    pub(super) fn find(&self, oid: Oid) -> Option<Sequence> {
        self.definitions().get(&oid).cloned()
    }

    /// Where `sequence` is counted: here if it is temporary, or else among those of the node.
    pub(super) fn counters<'a>(
        &'a self,
        sequence: &Sequence,
        node: &'a Sequences,
    ) -> &'a Sequences {
        if !is_temporary(sequence) {
            return node;
        }
        self.0.counters.found(sequence.id.0);
        &self.0.counters
    }

    fn definitions(&self) -> MutexGuard<'_, BTreeMap<Oid, Sequence>> {
        self.0.definitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a sequence is one of the session's own.
pub(super) fn is_temporary(sequence: &Sequence) -> bool {
    sequence.namespace == TEMPORARY_NAMESPACE
}
