//! What a release said last, as evidence for a check that is red: fetched with one command, and only then.
//! What cannot be fetched is left out; the check has spoken already.

use std::time::Duration;

use crate::check::Subject;
use crate::check::gate::Red;
use crate::deploy::far::subject;
use crate::deploy::walk::Walk;
use crate::host::cause::{cause, distinct};
use crate::host::{Record, Supervisor};
use crate::model::{Cmd, Event, Scope};
use crate::plan::Change;

/// How long the host may take to say it.
const WITHIN: Duration = Duration::from_secs(10);

/// Units that are down or were started again since they were told to are told with their state, as it names the cause; at most
/// three, as many instances of one release fail alike. Where all run, the log of the first may say why a check is red.
const UNITS: &str = r#"
scope=$1 unit=--unit first=$2 told=0
[ "$scope" = --system ] || unit=--user-unit
shift
journal() { journalctl "$scope" --quiet --no-pager -o cat -n 12 "$@"; }
lines() { # UNIT: since its start. Which life a line is of is not always known to the journal, so the time tells.
  at= said=
  case $state in *NRestarts=0*) at=$(systemctl "$scope" show -p InactiveExitTimestamp --value -- "$1") ;; esac
  [ -z "$at" ] || said=$(journal "$unit=$1" --since "$at")
  if [ -n "$said" ]; then printf '%s\n' "$said"; else journal "$unit=$1"; fi
}
for one; do
  state=$(systemctl "$scope" show -p ActiveState,SubState,Result,ExecMainStatus,NRestarts -- "$one") || continue
  case $state in *NRestarts=0*) case $state in *ActiveState=active*) continue ;; esac ;; esac
  [ $told -lt 3 ] || break
  told=$((told + 1))
  printf '%s\n' "$state"
  lines "$one"
done
[ $told -gt 0 ] || lines "$first""#;

/// The same for supervised processes.
const FOLDERS: &str = r#"
for one; do
  again=0
  [ ! -r "$one/restarts" ] || read -r again <"$one/restarts"
  [ -e "$one/pid" ] && [ "$again" = 0 ] || printf 'it is down or was started again, %s times\n' "$again"
  tail -n 12 "$one/log"
done | tail -n 36"#;

/// The same for the containers of a project.
const CONTAINERS: &str = r#"
all=$(docker ps -aq --filter "label=com.docker.compose.project=${1%%/*}" --filter label=com.docker.compose.oneoff=False)
docker inspect --format '{{.Id}} {{.State.Status}} {{.RestartCount}} {{.State.ExitCode}} {{with index .State "Health"}}{{.Status}}{{else}}-{{end}} {{.State.OOMKilled}} {{.Name}} {{.State.Error}}' $all |
while read -r id state again code health killed name error; do
  case $state.$again.$health in running.0.healthy | running.0.-) docker logs --tail 4 "$id"; continue ;; esac
  printf 'container %s is %s, exit code %s, started again %s times, health %s\n' "${name#/}" "$state" "$code" "$again" "$health"
  [ "$killed" = false ] || printf 'it was killed by the OOM killer\n'
  [ -z "$error" ] || printf '%s\n' "$error"
  [ "$health" = - ] || docker inspect --format '{{with index .State "Health"}}{{range .Log}}{{.Output}}{{end}}{{end}}' "$id" | tail -n 3
  docker logs --tail 12 "$id"
done 2>&1"#;

impl Walk {
    /// Tells that a check of a release is red, with what the release said last.
    pub(super) async fn failed(&self, change: &Change, record: &Record, red: Red) {
        let Red { check, says, mut evidence, unseen } = red;
        let (mut error, mut hint) = (format!("{check}: {says}"), None);
        if !unseen {
            let last = self.last(change, record).await;
            let port = self.ground.registry.services.get(&change.service).and_then(|service| service.port);
            // Of what runs, old lines of a log tell no cause.
            let is_down = last.iter().any(|line| {
                line.starts_with("ActiveState=") || line.starts_with("it is down") || line.starts_with("container ")
            });
            if let Some(cause) = cause(&last, port).filter(|_| is_down) {
                error = format!("{error}; {}", cause.says);
                hint = Some(cause.hint);
            }
            evidence.extend(last);
            evidence = distinct(evidence, port);
        }
        self.tell(change, |host, service| Event::Failed { host, service: Some(service), error, hint, evidence });
    }

    async fn last(&self, change: &Change, record: &Record) -> Vec<String> {
        let (Some(drive), Some(facts)) = (self.drives.get(&change.host), self.facts.get(&change.host)) else {
            return Vec::new();
        };
        let Some(cmd) = words(&subject(record, facts)) else { return Vec::new() };
        let said = drive.far().said(&cmd).await.unwrap_or_default();
        String::from_utf8_lossy(&said).lines().map(|line| line.chars().take(1000).collect()).collect()
    }
}

fn words(subject: &Subject) -> Option<Cmd> {
    let scope = if subject.scope == Scope::User { "--user" } else { "--system" };
    let cmd = match subject.supervisor {
        _ if subject.units.is_empty() => return None,
        Supervisor::Systemd => Cmd::new("/bin/sh").args(["-c", UNITS, "last", scope]),
        Supervisor::Process => Cmd::new("/bin/sh").args(["-c", FOLDERS, "last"]),
        Supervisor::Compose => Cmd::new("/bin/sh").args(["-c", CONTAINERS, "last"]),
        Supervisor::Launchd => return None,
    };
    Some(cmd.args(subject.units.iter().cloned()).within(WITHIN))
}
