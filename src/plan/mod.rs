//! Registry, facts and request become a plan; a pure function. What `plan` shows is what `deploy` does.
//! No I/O, no clock, no randomness: whatever a plan depends on is handed in.

mod back;
mod change;
mod closed;
mod diff;
mod engine;
mod graph;
mod guarantee;
mod make;
mod mend;
mod offer;
mod once;
mod parsed;
mod projects;
mod render;
mod rest;
mod seal;
mod show;
mod texts;
mod turn;

pub use back::{BackInputs, Target, back};
pub use change::{Action, Change, Plan, Strays, Turn};
pub use closed::{closed, shut};
pub use diff::{differences, without_its_name};
pub use engine::{Engine, Refused, Subject, Wanted};
pub use graph::{Graph, Reached, hosts_behind, services_on};
pub use guarantee::{Guarantee, guarantee};
pub use make::{Health, Inputs, RefusedAt, plan};
pub use mend::{Mend, anew, hook_step};
pub use offer::{Left, Offer, Offered, offer};
pub use parsed::Parsed;
pub use render::{
    Commit, SourceTree, Sources, Variables, environment, fill, for_all, instances, long_stop, names_its_folder, tree,
    variables,
};
pub use rest::keep_rest;
pub use seal::{mark, ours, seal};
pub use show::{Manner, show};
pub use texts::{TextChange, changed_back, compared, compared_back};
pub use turn::{Asked, Turned, turn};
