//! The words that every room speaks: names, commands, steps, events, time.
//! No I/O, no async; the clock is passed in.

mod check;
mod clock;
mod cmd;
mod digest;
mod event;
mod failure;
mod name;
mod path;
mod secret;
mod size;
mod step;

pub use check::{Ask, Body, Check, From, Http, Tls, spread};
pub use clock::{Clock, FixedClock, SystemClock};
pub use cmd::{Cmd, quote};
pub use digest::{Hash, Sha256, hex, sha256};
pub use event::{Event, Outcome};
pub use failure::FailureKind;
pub(crate) use name::random;
pub use name::{BadName, HostName, ReleaseId, RunId, ServiceName};
pub(crate) use path::within;
pub use secret::{Login, Secret};
pub use size::size;
pub use step::{Content, OnLostContact, Owner, Probe, ProjectChange, Pull, Scope, Step, UnitChange};
