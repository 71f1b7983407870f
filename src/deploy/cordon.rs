//! Takes hosts out of service and in again. The host itself keeps the word, so that everybody who deploys there finds it.

use crate::deploy::far::Unseen;
use crate::deploy::ground::Ground;
use crate::host::Layout;
use crate::host::look::Question;
use crate::model::{Cmd, HostName};

/// The line that the host is to keep is the third word; none takes it away.
const KEEP: &str = "umask 022; at=$1; shift; if [ $# = 0 ]; then rm -f -- \"$at\"; else mkdir -p -- \"${at%/*}\" && \
                    printf '%s\\n' \"$1\" >\"$at.new\" && mv -f -- \"$at.new\" \"$at\"; fi";

/// Has the host keep this line, or forget the one that it has. What it keeps afterwards comes back, as it was read again.
///
/// # Errors
/// When the host cannot be seen.
pub async fn cordon(ground: &Ground, host: &HostName, line: Option<&str>) -> Result<Option<String>, Unseen> {
    let (far, visit) = ground.visit(host).await?;
    let base = ground.registry.hosts.get(host).and_then(|host| host.base.clone());
    let question = Question { base, ..Question::default() };
    visit
        .work(async {
            let before = far.look(&question).await?;
            let at = Layout::new(&before.facts.base).cordon();
            let cmd = Cmd::new("/bin/sh").args(["-c", KEEP, "cordon", &at]).args(line.map(str::to_owned));
            far.said(&cmd).await?;
            Ok(far.look(&question).await?.cordon)
        })
        .await
}
