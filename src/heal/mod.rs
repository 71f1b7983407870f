//! Observe, analyze, solve, learn: what is the matter with hosts and services, and from which root it grows.
//! What could not be seen is never taken for bad, and nothing is ever done about it.

mod diagnose;
mod observe;
mod sight;

pub use diagnose::{Diagnosis, diagnose};
pub use observe::{look_names, observe};
pub use sight::{Observation, Sight};
