//! The far end: what a host is, how our files lie on its disk, and the run script with its wire format.
//! Nothing here talks to a host; it makes text for one and reads what one said.

pub mod cause;
mod facts;
mod layout;
pub mod look;
pub mod prepare;
pub mod push;
mod record;
pub mod run;
mod store;

pub use facts::{Facts, Init, Seen, SeenContainer, SeenService, SeenUnit, TOOLS};
pub use layout::{Layout, OURS};
pub use look::{Fetch, Fetches, room_for};
pub use record::{FORMAT, Hooks, Once, Record, Supervisor, UnitFile, Venv};
pub(crate) use store::STORE;
