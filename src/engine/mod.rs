//! One file per way to deploy. An engine decides which steps bring a release into force; it never does them.

mod docker;
mod launchd;
mod native;
mod outline;
mod own_scope;
mod owner;
mod process;
mod python;
mod release;
mod systemd;

use crate::plan::Engine;

/// Every engine.
pub const ALL: &[&dyn Engine] = &[&native::Native, &python::Python, &docker::Docker];
