//! Takes hosts out of service and in again. The host itself keeps the word, so that everybody who deploys there finds it; this
//! machine remembers it, as a host that is switched off cannot say that it is out of service.

use std::collections::{BTreeMap, BTreeSet};

use crate::deploy::far::Unseen;
use crate::deploy::ground::Ground;
use crate::deploy::survey::Survey;
use crate::host::Layout;
use crate::host::look::Question;
use crate::journal::{Cordoned, JournalError};
use crate::model::{Cmd, Event, HostName, ServiceName};

/// The line that the host is to keep is the third word; none takes it away.
const KEEP: &str = "umask 022; at=$1; shift; if [ $# = 0 ]; then rm -f -- \"$at\"; else mkdir -p -- \"${at%/*}\" && \
                    printf '%s\\n' \"$1\" >\"$at.new\" && mv -f -- \"$at.new\" \"$at\"; fi";

/// Which hosts a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Those that are in service.
    Open,
    /// Those that are not, too.
    All,
}

/// Why a host could not be told.
#[derive(Debug)]
pub struct Untold {
    pub why: Unseen,
    /// Whether this machine goes by the word all the same.
    pub noted: bool,
}

/// Has the host keep this line, or forget the one that it has. What it keeps afterwards comes back, as it was read again. When it
/// cannot be seen, this machine alone goes by the word from now on.
///
/// # Errors
/// When the host cannot be seen.
pub async fn cordon(ground: &Ground, host: &HostName, line: Option<&str>) -> Result<Option<String>, Untold> {
    match keep(ground, host, line).await {
        Ok(kept) => {
            let word = kept.clone().map(|why| Cordoned { why, kept: true });
            noted(ground, ground.keep_cordon(host, word.as_ref()));
            Ok(kept)
        }
        Err(why) => {
            let known = ground.cordons().remove(host);
            let noted = match (line, known) {
                // It stands there, and nobody was there to take it away.
                (None, Some(Cordoned { kept: true, .. })) => false,
                (Some(_), Some(Cordoned { kept: true, .. })) => true,
                (line, _) => {
                    let word = line.map(|line| Cordoned { why: line.to_owned(), kept: false });
                    noted(ground, ground.keep_cordon(host, word.as_ref()))
                }
            };
            Err(Untold { why, noted })
        }
    }
}

async fn keep(ground: &Ground, host: &HostName, line: Option<&str>) -> Result<Option<String>, Unseen> {
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

/// Brings what this machine remembers up to what was seen, and sets aside the hosts that are out of service where those are to be
/// left alone: also one that cannot be seen, if it was out of service when it last could.
pub(super) fn set_aside(ground: &Ground, survey: &mut Survey, whom: Whom) {
    let known = ground.cordons();
    let looked: BTreeSet<HostName> = survey.seen.keys().chain(survey.unseen.keys()).cloned().collect();
    for host in looked {
        let why = match (survey.seen.get(&host).map(|seen| seen.cordon.clone()), known.get(&host)) {
            (Some(Some(why)), known) => {
                let word = Cordoned { why, kept: true };
                if known != Some(&word) {
                    noted(ground, ground.keep_cordon(&host, Some(&word)));
                }
                word.why
            }
            // Somebody took it in again.
            (Some(None), Some(Cordoned { kept: true, .. })) => {
                noted(ground, ground.keep_cordon(&host, None));
                continue;
            }
            (Some(None), Some(word)) => format!("{} (said on this machine only, as it could not be told)", word.why),
            (None, Some(word)) => format!("{} (it cannot be seen now)", word.why),
            (_, None) => continue,
        };
        if whom == Whom::Open {
            survey.seen.remove(&host);
            survey.unseen.remove(&host);
            survey.cordoned.insert(host, why);
        }
    }
}

/// What services need that is on cordoned hosts only, in words.
pub(super) fn missed(
    ground: &Ground,
    cordoned: &BTreeMap<HostName, String>,
    services: &BTreeSet<ServiceName>,
) -> Vec<String> {
    if cordoned.is_empty() {
        return Vec::new();
    }
    let known = ground.cordons();
    let out = |host: &HostName| cordoned.contains_key(host) || known.contains_key(host);
    let all = &ground.registry.services;
    let mut said = Vec::new();
    for service in services.iter().filter_map(|name| all.get(name)).filter(|one| !one.hosts.iter().all(out)) {
        for need in service.needs.iter().filter_map(|need| all.get(need)).filter(|need| need.hosts.iter().all(out)) {
            let hosts: Vec<&str> = need.hosts.iter().map(HostName::as_str).collect();
            let (name, need, hosts) = (&service.name, &need.name, hosts.join(", "));
            said.push(format!(
                "{name} needs {need}, which is on cordoned hosts only ({hosts}) and stays as it is there"
            ));
        }
    }
    said
}

/// Whether it was written down; if not, it is told.
fn noted(ground: &Ground, written: Result<(), JournalError>) -> bool {
    if let Err(error) = &written {
        let text = format!("this machine does not remember which hosts are cordoned: {error}");
        ground.tell(Event::Note { host: None, text });
    }
    written.is_ok()
}

impl Ground {
    /// The hosts that this machine remembers to be out of service.
    pub(crate) fn cordons(&self) -> BTreeMap<HostName, Cordoned> {
        self.journal.cordons((&self.registry_file(), self.registry.environment.as_deref())).unwrap_or_else(|error| {
            noted(self, Err(error));
            BTreeMap::new()
        })
    }

    /// The registry's file, whatever links lead to it.
    fn registry_file(&self) -> String {
        let file = &self.registry.file;
        file.canonicalize().as_deref().unwrap_or(file).display().to_string()
    }

    fn keep_cordon(&self, host: &HostName, word: Option<&Cordoned>) -> Result<(), JournalError> {
        self.journal.keep_cordon((&self.registry_file(), self.registry.environment.as_deref()), host, word)
    }
}
