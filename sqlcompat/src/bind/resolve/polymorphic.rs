//! Polymorphic types: `anyelement`, `anyarray`, `anyrange` and kin must all come out as one element type; the
//! `anycompatible` family as one common type (manual page `extend-type-system`).
//!
//! Two passes over the same [`Gathered`] facts: [`is_consistent`] is the quiet test that candidate selection uses,
//! `resolve` names the concrete types of the chosen row, or the error.

use super::coercion::can_coerce;
use super::common_type::common_type_of_known;
use super::type_facts::Types;
use crate::builtin::CastContext;
use crate::error::{SqlError, SqlState};
use crate::oid::Oid;

/// The pseudo-type `anycompatiblemultirange`.
const ANYCOMPATIBLEMULTIRANGE: Oid = Oid(4538);

/// The type stands for a type that the arguments of a call decide.
pub(crate) fn is_polymorphic(oid: Oid) -> bool {
    is_simple(oid) || is_compatible(oid)
}

fn is_simple(oid: Oid) -> bool {
    matches!(
        oid,
        Oid::ANYELEMENT
            | Oid::ANYARRAY
            | Oid::ANYNONARRAY
            | Oid::ANYENUM
            | Oid::ANYRANGE
            | Oid::ANYMULTIRANGE
    )
}

fn is_compatible(oid: Oid) -> bool {
    matches!(
        oid,
        Oid::ANYCOMPATIBLE
            | Oid::ANYCOMPATIBLEARRAY
            | Oid::ANYCOMPATIBLENONARRAY
            | Oid::ANYCOMPATIBLERANGE
            | ANYCOMPATIBLEMULTIRANGE
    )
}

/// What the arguments of a call say about its polymorphic parameters.
#[derive(Default)]
struct Gathered {
    element: Option<Oid>,
    array: Option<Oid>,
    range: Option<Oid>,
    multirange: Option<Oid>,
    non_array: bool,
    enumeration: bool,
    compatible: Vec<Oid>,
    compatible_range: Option<Oid>,
    compatible_non_array: bool,
    any_simple: bool,
    any_compatible: bool,
}

/// Concrete types of a call's polymorphic parameters.
#[derive(Clone, Copy, Debug, Default)]
struct Concrete {
    element: Option<Oid>,
    array: Option<Oid>,
    range: Option<Oid>,
    multirange: Option<Oid>,
    compatible: Option<Oid>,
    compatible_range: Option<Oid>,
}

/// The arguments fit the polymorphic parameters among `declared`; arguments of unknown type fit,
/// except that `anyenum` needs one known type.
pub(super) fn is_consistent(types: Types<'_>, actual: &[Oid], declared: &[Oid]) -> bool {
    let enumeration = declared.contains(&Oid::ANYENUM);
    concrete(types, actual, declared).is_ok_and(|found| !enumeration || found.element.is_some())
}

/// A call's types once its polymorphic parameters are decided.
#[derive(Debug)]
pub(super) struct Decided {
    /// What each argument must become.
    pub(super) arguments: Vec<Oid>,
    /// Concrete types, to translate further declared types with.
    concrete: Concrete,
}

/// Decides the polymorphic parameters among `declared`.
///
/// # Errors
/// 42804 where the arguments contradict each other, or say nothing about a type that is needed.
pub(super) fn decide(
    types: Types<'_>,
    actual: &[Oid],
    declared: &[Oid],
) -> Result<Decided, SqlError> {
    let mut concrete = concrete(types, actual, declared)?;
    if declared.iter().any(|oid| is_simple(*oid)) && concrete.element.is_none() {
        return Err(undetermined(Oid::ANYELEMENT));
    }
    if declared.iter().any(|oid| is_compatible(*oid)) && concrete.compatible.is_none() {
        concrete.compatible = Some(Oid::TEXT);
    }
    let pairs = actual.iter().zip(declared);
    let arguments = pairs.map(|(&actual, &declared)| match declared {
        Oid::ANYARRAY | Oid::ANYRANGE | Oid::ANYMULTIRANGE if actual != Oid::UNKNOWN => {
            Ok(types.base(actual))
        }
        declared if is_simple(declared) && actual != Oid::UNKNOWN => Ok(actual),
        declared => concrete.substitute(types, declared),
    });
    Ok(Decided { arguments: arguments.collect::<Result<_, _>>()?, concrete })
}

impl Decided {
    /// The concrete type for one more declared type, such as the result's.
    ///
    /// # Errors
    /// 42804 where the arguments do not decide it.
    pub(super) fn substitute(&self, types: Types<'_>, declared: Oid) -> Result<Oid, SqlError> {
        self.concrete.substitute(types, declared)
    }
}

impl Concrete {
    fn substitute(&self, types: Types<'_>, declared: Oid) -> Result<Oid, SqlError> {
        let known = |found: Option<Oid>| found.ok_or_else(|| undetermined(declared));
        match declared {
            Oid::ANYELEMENT | Oid::ANYNONARRAY | Oid::ANYENUM => known(self.element),
            Oid::ANYARRAY => match self.array {
                Some(array) => Ok(array),
                None => array_over(types, known(self.element)?),
            },
            Oid::ANYRANGE => known(self.range),
            Oid::ANYMULTIRANGE => known(self.multirange),
            Oid::ANYCOMPATIBLE | Oid::ANYCOMPATIBLENONARRAY => known(self.compatible),
            Oid::ANYCOMPATIBLEARRAY => array_over(types, known(self.compatible)?),
            Oid::ANYCOMPATIBLERANGE => known(self.compatible_range),
            ANYCOMPATIBLEMULTIRANGE => {
                let range = self.compatible_range.and_then(|range| types.range_of(range));
                known(range.map(|range| range.multirange))
            }
            other => Ok(other),
        }
    }
}

/// The array type over an element type.
///
/// # Errors
/// 42704 for a type without one.
pub(super) fn array_over(types: Types<'_>, element: Oid) -> Result<Oid, SqlError> {
    types.array_of(element).ok_or_else(|| {
        let name = types.format(element);
        let message = format!("could not find array type for data type {name}");
        SqlError::new(SqlState::UNDEFINED_OBJECT, message)
    })
}

/// Only for ranges does PostgreSQL name the polymorphic type.
fn undetermined(declared: Oid) -> SqlError {
    let name = match declared {
        Oid::ANYRANGE => "type anyrange",
        Oid::ANYMULTIRANGE => "type anymultirange",
        Oid::ANYCOMPATIBLERANGE => "type anycompatiblerange",
        ANYCOMPATIBLEMULTIRANGE => "type anycompatiblemultirange",
        _ => "type",
    };
    mismatch(format!("could not determine polymorphic {name} because input has type unknown"))
}

fn mismatch(message: String) -> SqlError {
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
}

fn not_alike(types: Types<'_>, family: &str, one: Oid, other: Oid) -> SqlError {
    mismatch(format!("arguments declared \"{family}\" are not all alike")).with_detail(format!(
        "{} versus {}",
        types.format(one),
        types.format(other)
    ))
}

/// Keeps the first type seen in a slot; a different one later is an error.
fn agree(
    types: Types<'_>,
    slot: &mut Option<Oid>,
    actual: Oid,
    family: &str,
) -> Result<(), SqlError> {
    match *slot {
        Some(earlier) if earlier != actual => Err(not_alike(types, family, earlier, actual)),
        _ => {
            *slot = Some(actual);
            Ok(())
        }
    }
}

fn gather(types: Types<'_>, actual: &[Oid], declared: &[Oid]) -> Result<Gathered, SqlError> {
    let mut gathered = Gathered::default();
    for (&actual, &declared) in actual.iter().zip(declared) {
        gathered.any_simple |= is_simple(declared);
        gathered.any_compatible |= is_compatible(declared);
        gathered.non_array |= declared == Oid::ANYNONARRAY;
        gathered.enumeration |= declared == Oid::ANYENUM;
        gathered.compatible_non_array |= declared == Oid::ANYCOMPATIBLENONARRAY;
        if actual != Oid::UNKNOWN {
            gathered.note(types, actual, declared)?;
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn note(&mut self, types: Types<'_>, actual: Oid, declared: Oid) -> Result<(), SqlError> {
        let base = types.base(actual);
        match declared {
            Oid::ANYELEMENT | Oid::ANYNONARRAY | Oid::ANYENUM => {
                agree(types, &mut self.element, actual, "anyelement")
            }
            Oid::ANYARRAY => agree(types, &mut self.array, base, "anyarray"),
            Oid::ANYRANGE => agree(types, &mut self.range, base, "anyrange"),
            Oid::ANYMULTIRANGE => agree(types, &mut self.multirange, base, "anymultirange"),
            Oid::ANYCOMPATIBLE | Oid::ANYCOMPATIBLENONARRAY => {
                self.compatible.push(actual);
                Ok(())
            }
            Oid::ANYCOMPATIBLEARRAY => {
                let element = types.element(base);
                let element =
                    element.ok_or_else(|| wrong_kind(types, declared, "an array", base))?;
                self.compatible.push(element);
                Ok(())
            }
            Oid::ANYCOMPATIBLERANGE => {
                agree(types, &mut self.compatible_range, base, "anycompatiblerange")?;
                let range = types.range_of(base);
                let range =
                    range.ok_or_else(|| wrong_kind(types, declared, "a range type", base))?;
                self.compatible.push(range.subtype);
                Ok(())
            }
            ANYCOMPATIBLEMULTIRANGE => {
                let range = types.range_of_multirange(base);
                let range =
                    range.ok_or_else(|| wrong_kind(types, declared, "a multirange type", base))?;
                agree(types, &mut self.compatible_range, range.range, "anycompatiblerange")?;
                self.compatible.push(range.subtype);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn wrong_kind(types: Types<'_>, declared: Oid, kind: &str, actual: Oid) -> SqlError {
    let declared = types.format(declared);
    let actual = types.format(actual);
    mismatch(format!("argument declared {declared} is not {kind} but type {actual}"))
}

/// Draws the conclusions that one kind of parameter allows about the others.
fn concrete(types: Types<'_>, actual: &[Oid], declared: &[Oid]) -> Result<Concrete, SqlError> {
    let gathered = gather(types, actual, declared)?;
    let mut concrete = Concrete::default();
    if gathered.any_simple {
        concrete = simple_family(types, &gathered)?;
    }
    if gathered.any_compatible && !gathered.compatible.is_empty() {
        concrete.compatible = Some(compatible_family(types, &gathered)?);
        concrete.compatible_range = gathered.compatible_range;
    }
    Ok(concrete)
}

fn simple_family(types: Types<'_>, gathered: &Gathered) -> Result<Concrete, SqlError> {
    let mut element = gathered.element;
    if let Some(array) = gathered.array {
        let of = match array {
            // Columns of type anyarray (pg_stats) promise nothing about their elements.
            Oid::ANYARRAY => Some(Oid::ANYELEMENT),
            array => types.element(array),
        };
        let of = of.ok_or_else(|| wrong_kind(types, Oid::ANYARRAY, "an array", array))?;
        same_element(types, &mut element, of, Oid::ANYARRAY)?;
    }
    let mut range = gathered.range;
    if let Some(multirange) = gathered.multirange {
        let row = types.range_of_multirange(multirange);
        let row = row.ok_or_else(|| {
            wrong_kind(types, Oid::ANYMULTIRANGE, "a multirange type", multirange)
        })?;
        if range.is_some_and(|range| range != row.range) {
            return Err(inconsistent(types, Oid::ANYMULTIRANGE, "anyrange", multirange, range));
        }
        range = Some(row.range);
    }
    if let Some(range) = range {
        let row = types.range_of(range);
        let row = row.ok_or_else(|| wrong_kind(types, Oid::ANYRANGE, "a range type", range))?;
        same_element(types, &mut element, row.subtype, Oid::ANYRANGE)?;
    }
    if let Some(element) = element.filter(|element| *element != Oid::ANYELEMENT) {
        restricted_element(types, gathered, element)?;
    }
    let multirange = range.and_then(|range| types.range_of(range)).map(|row| row.multirange);
    Ok(Concrete { element, array: gathered.array, range, multirange, ..Concrete::default() })
}

fn same_element(
    types: Types<'_>,
    element: &mut Option<Oid>,
    found: Oid,
    declared: Oid,
) -> Result<(), SqlError> {
    if element.is_some_and(|element| element != found) {
        return Err(inconsistent(types, declared, "anyelement", found, *element));
    }
    *element = Some(found);
    Ok(())
}

fn inconsistent(
    types: Types<'_>,
    declared: Oid,
    other: &str,
    found: Oid,
    expected: Option<Oid>,
) -> SqlError {
    let declared = types.format(declared);
    let (found, expected) = (types.format(found), types.format(expected.unwrap_or(Oid::UNKNOWN)));
    mismatch(format!(
        "argument declared {declared} is not consistent with argument declared {other}"
    ))
    .with_detail(format!("{found} versus {expected}"))
}

fn restricted_element(types: Types<'_>, gathered: &Gathered, element: Oid) -> Result<(), SqlError> {
    let name = || types.format(element);
    if gathered.non_array && types.base_element(element).is_some() {
        return Err(mismatch(format!("type matched to anynonarray is an array type: {}", name())));
    }
    if gathered.enumeration && !types.is_enum(element) {
        return Err(mismatch(format!("type matched to anyenum is not an enum type: {}", name())));
    }
    Ok(())
}

fn compatible_family(types: Types<'_>, gathered: &Gathered) -> Result<Oid, SqlError> {
    let found = &gathered.compatible;
    let disagree =
        || mismatch("arguments of anycompatible family cannot be cast to a common type".to_owned());
    let common = common_type_of_known(types, found).ok_or_else(disagree)?;
    let fits = |oid: &Oid| can_coerce(types, &[*oid], &[common], CastContext::Implicit);
    if !found.iter().all(fits) {
        return Err(disagree());
    }
    if gathered.compatible_non_array && types.base_element(common).is_some() {
        let name = types.format(common);
        let message = format!("type matched to anycompatiblenonarray is an array type: {name}");
        return Err(mismatch(message));
    }
    let subtype =
        gathered.compatible_range.and_then(|range| types.range_of(range)).map(|row| row.subtype);
    if subtype.is_some_and(|subtype| subtype != common) {
        return Err(disagree());
    }
    Ok(common)
}
