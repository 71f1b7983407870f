//! Observe, analyze, solve, learn: what is the matter with hosts and services, and from which root it grows.
//! What could not be seen is never taken for bad, and nothing is ever done about it.

mod analyze;
mod diagnose;
pub mod learn;
mod left;
mod news;
mod notify;
mod observe;
mod owed;
pub mod playbook;
mod sight;
mod solve;

pub use analyze::{Pattern, Problem, World, analyze, is_own};
pub use diagnose::{Diagnosis, unknown_looks};
pub use left::may_pass;
pub use news::{News, word as news_word};
pub use notify::{gives_up, notify};
pub use observe::{Observed, Patience, look_names, observe};
pub use sight::{Observation, Sight};
pub use solve::{
    Before, Cure, Fix, FixFault, Fixed, HealFault, Healing, Held, Refrained, Treated, WOULD, Wish, clear_way, diagnose,
    fix, heal, may,
};
