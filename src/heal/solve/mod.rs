//! Solve: from a root problem to a remedy that is allowed, as a transaction on the host; a second look says whether it helped,
//! and what did not help is undone. What is not allowed, or cannot be done from here, is said and left.

mod aside;
mod attempt;
mod choose;
mod cycle;
mod deed;
mod fix;
mod ladder;
mod lesson;
mod limit;
mod looking;
mod may;
mod others;
mod planned;
mod port;
mod remedy;
mod space;
mod stands;

pub use cycle::{Before, Cure, HealFault, Healing, Refrained, Treated, clear_way, diagnose, heal};
pub use fix::{Fix, FixFault, Fixed, fix};
pub use may::{Held, Wish, may};
pub use planned::WOULD;
