//! The columns that a view sees of each relation it reads: those of the time when it was made, by the names of then.
//!
//! PostgreSQL stores a view as a tree over attribute numbers. Here it is a text, so the text is bound to the columns that it
//! was written for. A column keeps its old name inside of the view when it is renamed, and one that is added later is not
//! there, whatever the text could come to mean with it: an unqualified name, `*`, NATURAL, USING.
//!
//! ```text
//!   CREATE VIEW v AS SELECT a FROM t JOIN u USING (k)      t: a, k   u: k
//!   ALTER TABLE t RENAME a TO b; ALTER TABLE u ADD a int   the view still reads t: a (now b), k   u: k
//! ```
//!
//! Kept beside the text are, for each relation, ids and names of its columns, and which of them the query reads: that is what
//! the view depends on. The alternative, a text in which each name is qualified and given a place, would need aliases of its
//! own where names of levels clash, and could not say NATURAL, USING and `*` as they were written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::oid::Oid;

/// What a view sees of one relation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenColumns {
    /// The names inside of the view, by attribute number; other columns are not there.
    pub names: BTreeMap<i16, String>,
    /// Attribute numbers of the columns that the query reads.
    pub used: BTreeSet<i16>,
}

/// What a view sees, by relation.
pub type Seen = BTreeMap<Oid, SeenColumns>;

/// [`SeenColumns`] as the schema keeps them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SeenRelation {
    /// Id of the relation.
    pub(super) of: i64,
    /// Columns: the id (for a view, which only ever gets more columns at its end, the number from 1) and the name.
    pub(super) columns: Vec<(i64, String)>,
    /// The ids of those that the query reads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) used: Vec<i64>,
}
