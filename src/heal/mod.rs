//! Observe, analyze, solve, learn: what is the matter with hosts and services, and from which root it grows.
//! What could not be seen is never taken for bad, and nothing is ever done about it.

mod analyze;
mod diagnose;
mod observe;
pub mod playbook;
mod sight;
mod solve;

pub use analyze::{Problem, World, analyze, fingerprint};
pub use diagnose::{Diagnosis, diagnose};
pub use observe::{Observed, look_names, observe};
pub use sight::{Observation, Sight};
pub use solve::{Cure, HealFault, Healing, Held, Refrained, Treated, Wish, clear_way, heal, may};
