//! The choice among several operators or functions of one name (manual pages `typeconv-oper`, `typeconv-func`, steps 3
//! and 4; the same rules for both).

use super::coercion::can_coerce;
use super::type_facts::Types;
use crate::builtin::CastContext;
use crate::oid::Oid;

/// A row that the call might mean, with one declared type per argument.
#[derive(Clone, Debug)]
pub(super) struct Candidate<R> {
    /// The row.
    pub(super) row: R,
    /// Declared types; a VARIADIC parameter is repeated for each argument that it takes.
    pub(super) declared: Vec<Oid>,
}

/// What came of the choice.
pub(super) enum Choice<R> {
    /// One candidate fits best.
    One(Candidate<R>),
    /// No candidate fits.
    None,
    /// Several fit equally well.
    Ambiguous,
}

/// Chooses the candidate that fits the argument types best.
pub(super) fn choose<R: Clone>(
    types: Types<'_>,
    actual: &[Oid],
    candidates: Vec<Candidate<R>>,
) -> Choice<R> {
    let fits = |candidate: &Candidate<R>| {
        can_coerce(types, actual, &candidate.declared, CastContext::Implicit)
    };
    let mut candidates: Vec<Candidate<R>> = candidates.into_iter().filter(fits).collect();
    if candidates.is_empty() {
        return Choice::None;
    }
    let bases: Vec<Oid> = actual.iter().map(|oid| types.base(*oid)).collect();
    let exact = |at: usize, declared: Oid| declared == bases[at];
    keep_best(&mut candidates, &bases, exact);
    let preferred = |at: usize, declared: Oid| {
        let same_category = types.category(bases[at]) == types.category(declared);
        declared == bases[at] || (same_category && types.is_preferred(declared))
    };
    keep_best(&mut candidates, &bases, preferred);
    let unknowns: Vec<usize> = (0..bases.len()).filter(|at| bases[*at] == Oid::UNKNOWN).collect();
    if !unknowns.is_empty() {
        by_category(types, &unknowns, &mut candidates);
        by_known_type(types, &bases, &mut candidates);
    }
    match candidates.pop() {
        Some(only) if candidates.is_empty() => Choice::One(only),
        _ => Choice::Ambiguous,
    }
}

/// Keeps the candidates with most arguments, unknown ones aside, for which `good` holds.
fn keep_best<R>(
    candidates: &mut Vec<Candidate<R>>,
    bases: &[Oid],
    good: impl Fn(usize, Oid) -> bool,
) {
    if candidates.len() < 2 {
        return;
    }
    let score = |candidate: &Candidate<R>| {
        let known =
            candidate.declared.iter().enumerate().filter(|(at, _)| bases[*at] != Oid::UNKNOWN);
        known.filter(|(at, declared)| good(*at, **declared)).count()
    };
    let best = candidates.iter().map(score).max().unwrap_or(0);
    candidates.retain(|candidate| score(candidate) == best);
}

/// Keeps the candidates that take, for every unknown argument, the category that most likely was meant: string if any
/// candidate takes one, else the one that all candidates agree on. Within it, preferred types win where there are any.
fn by_category<R>(types: Types<'_>, unknowns: &[usize], candidates: &mut Vec<Candidate<R>>) {
    if candidates.len() < 2 {
        return;
    }
    let mut slots: Vec<(usize, u8, bool)> = Vec::with_capacity(unknowns.len());
    for &at in unknowns {
        let Some((category, preferred)) = slot_category(types, at, candidates) else {
            return;
        };
        slots.push((at, category, preferred));
    }
    let keeps = |candidate: &Candidate<R>| {
        slots.iter().all(|(at, category, preferred)| {
            let declared = candidate.declared[*at];
            types.category(declared) == *category && (!preferred || types.is_preferred(declared))
        })
    };
    if candidates.iter().any(keeps) {
        candidates.retain(keeps);
    }
}

/// The category for one unknown argument and whether a candidate takes a preferred type of it; `None` where candidates
/// disagree and none takes a string.
fn slot_category<R>(
    types: Types<'_>,
    at: usize,
    candidates: &[Candidate<R>],
) -> Option<(u8, bool)> {
    let declared = || candidates.iter().map(|candidate| candidate.declared[at]);
    let first = types.category(declared().next()?);
    let string = declared().any(|oid| types.category(oid) == b'S');
    let category = if string { b'S' } else { first };
    if !string && declared().any(|oid| types.category(oid) != first) {
        return None;
    }
    let preferred =
        declared().any(|oid| types.category(oid) == category && types.is_preferred(oid));
    Some((category, preferred))
}

/// Where all known arguments are of one type, takes the unknown ones to be of it too, if that leaves one candidate.
fn by_known_type<R>(types: Types<'_>, bases: &[Oid], candidates: &mut Vec<Candidate<R>>) {
    if candidates.len() < 2 {
        return;
    }
    let mut known = bases.iter().copied().filter(|oid| *oid != Oid::UNKNOWN);
    let Some(first) = known.next() else {
        return;
    };
    if known.any(|oid| oid != first) {
        return;
    }
    let same = vec![first; bases.len()];
    let fits = |candidate: &Candidate<R>| {
        can_coerce(types, &same, &candidate.declared, CastContext::Implicit)
    };
    if candidates.iter().filter(|candidate| fits(candidate)).count() == 1 {
        candidates.retain(fits);
    }
}
