//! Learn: what helped against a problem that nobody knew is written down as a playbook beside the registry, and what comes of it
//! later is counted there. A draft is never trusted more than the registry allows.

mod file;
mod terms;

pub use file::{Finding, Noted, found, note, restate};
pub use terms::Terms;
