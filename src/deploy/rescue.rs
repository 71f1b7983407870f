//! What can be healed while a release waits for its verdict: its gate is red, and what is in its way may be mended within the
//! lock that its run holds. Then the gate is asked once more. Who heals is a higher floor's business; here is only the door.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::check::gate::Red;
use crate::deploy::ground::{Ground, Guest};
use crate::deploy::walk::Walk;
use crate::model::{Event, HostName, ServiceName};
use crate::plan::Change;

/// How long healing may take before the release goes back. The host's own dead man's switch waits for it.
pub(super) const RESCUE: Duration = Duration::from_secs(300);

/// Heals what keeps a service from being proven on a host; says whether something helped.
pub type Rescue = Arc<dyn Fn(Distress) -> Rescuing + Send + Sync>;

/// A rescue that is under way.
pub type Rescuing = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A release that is in force, and not proven.
pub struct Distress {
    pub service: ServiceName,
    pub host: HostName,
    /// The ground on which remedies are guests of the run that waits.
    pub ground: Arc<Ground>,
}

impl Walk {
    /// Asks the gate of what a change brought. Where it is red, what is in its way is healed, and the gate asked once more.
    pub(super) async fn proven(&self, change: &Change, soak: Duration) -> Result<(), Red> {
        let proven = self.prove(change, &change.record, soak).await;
        let (Err(red), Some(rescue)) = (&proven, &self.rescue) else { return proven };
        // What was not seen is no reason to do anything.
        if red.unseen {
            return proven;
        }
        let text = format!("{}: {red}; looking for what is in its way", change.service);
        self.ground.tell(Event::Note { host: Some(change.host.clone()), text });
        let hosts: BTreeSet<HostName> = self.drives.keys().cloned().collect();
        let Some(of) = self.drives.get(&change.host).map(|drive| drive.run().clone()) else { return proven };
        let ground = self.ground.guest(Guest { of, hosts });
        let distress = Distress { service: change.service.clone(), host: change.host.clone(), ground };
        if !tokio::time::timeout(RESCUE, rescue(distress)).await.unwrap_or(false) {
            return proven;
        }
        self.prove(change, &change.record, soak).await
    }
}
