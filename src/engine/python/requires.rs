//! `requires-python` of a project, held against the interpreter that would run it: pip does not ask where the project itself is not
//! installed, and uv asks when the old release is about to be left.

use std::cmp::Ordering;

use crate::plan::{Refused, Subject};

use super::lock;

/// Refuses an interpreter that the project says it does not run on. What cannot be read as versions is left to the tool that installs.
pub(super) fn holds(subject: &Subject<'_>, version: &str) -> Result<(), Refused> {
    let Some(wanted) = lock::requires(subject) else { return Ok(()) };
    if admits(&wanted, version) != Some(false) {
        return Ok(());
    }
    Err(Refused::new(
        format!("the project wants Python {wanted} (`requires-python`), and would run on {version} here"),
        "name a version that it takes by `python`, such as \"3.13\": the host needs it, or uv, which fetches it",
    ))
}

/// Whether a version meets all clauses (PEP 440); none when that is not known.
fn admits(clauses: &str, version: &str) -> Option<bool> {
    let version = numbers(version)?;
    let mut known = Some(true);
    for clause in clauses.split(',').map(str::trim).filter(|clause| !clause.is_empty()) {
        match clause_admits(clause, &version) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => known = None,
        }
    }
    known
}

fn clause_admits(clause: &str, version: &[u64]) -> Option<bool> {
    let end = clause.find(|c| !matches!(c, '<' | '>' | '=' | '!' | '~'))?;
    let (sign, rest) = clause.split_at(end);
    let (rest, prefix) = match rest.trim().strip_suffix(".*") {
        Some(rest) => (rest, true),
        None => (rest.trim(), false),
    };
    let bound = numbers(rest)?;
    let begins = |bound: &[u64]| version.get(..bound.len()) == Some(bound);
    let order = compare(version, &bound);
    match (sign, prefix) {
        ("==", true) => Some(begins(&bound)),
        ("!=", true) => Some(!begins(&bound)),
        (_, true) => None,
        ("==", _) => Some(order.is_eq()),
        ("!=", _) => Some(order.is_ne()),
        (">=", _) => Some(order.is_ge()),
        (">", _) => Some(order.is_gt()),
        ("<=", _) => Some(order.is_le()),
        ("<", _) => Some(order.is_lt()),
        ("~=", _) if bound.len() > 1 => Some(order.is_ge() && begins(&bound[..bound.len() - 1])),
        _ => None,
    }
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// As if the shorter one ended in zeros.
fn compare(one: &[u64], other: &[u64]) -> Ordering {
    let part = |all: &[u64], at: usize| all.get(at).copied().unwrap_or_default();
    (0..one.len().max(other.len()))
        .map(|at| part(one, at).cmp(&part(other, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_held_against_clauses() {
        for (clauses, version, expected) in [
            (">=3.11", "3.11.2", Some(true)),
            (">=3.13", "3.11.2", Some(false)),
            (">= 3.8, < 4", "3.11.2", Some(true)),
            (">=3.8,<3.11", "3.11.0", Some(false)),
            ("~=3.11", "3.13.5", Some(true)),
            ("~=3.11.4", "3.11.2", Some(false)),
            ("~=3.11.1", "3.12.0", Some(false)),
            ("==3.12.*", "3.12.9", Some(true)),
            ("==3.12.*", "3.13.1", Some(false)),
            ("!=3.11.*", "3.11.2", Some(false)),
            ("==3.11", "3.11.2", Some(false)),
            ("<=3.11", "3.11.2", Some(false)),
            (">3.11.1", "3.11.2", Some(true)),
            ("", "3.11.2", Some(true)),
            ("^3.11", "3.11.2", None),
            (">=3.13rc1", "3.11.2", None),
            (">=3.13rc1,>=3.12", "3.11.2", Some(false)),
            ("===3.11", "3.11.2", None),
            (">=3", "3.11", Some(true)),
        ] {
            assert_eq!(admits(clauses, version), expected, "{clauses} {version}");
        }
    }
}
