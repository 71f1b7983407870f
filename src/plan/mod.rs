//! Registry, facts and request become a plan; a pure function. What `plan` shows is what `deploy` does.
//! No I/O, no clock, no randomness: whatever a plan depends on is handed in.

mod back;
mod change;
mod diff;
mod engine;
mod graph;
mod make;
mod render;
mod show;
mod turn;

pub use back::{BackInputs, Target, back};
pub use change::{Action, Change, Plan, Turn};
pub use diff::differences;
pub use engine::{Engine, Refused, Subject, Wanted};
pub use graph::{Graph, Reached, hosts_behind, services_on};
pub use make::{Health, Inputs, RefusedAt, plan};
pub use render::{SourceTree, Sources, environment, fill, hex, instances, manifest, mark, tree, variables};
pub use show::show;
pub use turn::{Asked, Turned, turn};
