//! What runs on a host already.

use std::sync::Arc;

use crate::deploy::far::Unseen;
use crate::deploy::ground::Ground;
use crate::host::look::Discovered;
use crate::model::HostName;

/// Asks a host for what runs there, with one connection and one command.
///
/// # Errors
/// When the host cannot be reached, or its answer cannot be read.
pub async fn discover(ground: &Arc<Ground>, host: &HostName) -> Result<Discovered, Unseen> {
    let base = ground.registry.hosts.get(host).and_then(|host| host.base.clone());
    ground.reach(host).await?.discover(base.as_deref()).await
}
