//! One host in reach: the look, and what checks want fetched.

use std::sync::Arc;
use std::time::Duration;

use crate::check::{Got, Miss, Need, Ran};
use crate::deploy::asker::Asker;
use crate::host::look::{self, Beside, Discovered, LookError, Question, Records};
use crate::host::{Facts, Init, Layout, Record, Seen, Supervisor};
use crate::model::{Cmd, HostName};
use crate::registry::{self, Os, Platform};
use crate::transport::{End, Lost, Stream, Transport};

/// How long a look may take on the host.
const LOOK: Duration = Duration::from_secs(30);

/// How long it may take more for each image that a registry is asked for.
const IMAGE: Duration = Duration::from_secs(30);

/// How long a connection from the host to one of its own ports may take, beyond the check's own timeout.
const DIAL: Duration = Duration::from_secs(10);

/// A host that a connection stands to, or will.
#[derive(Clone)]
pub struct Far {
    pub name: HostName,
    pub link: Arc<dyn Transport>,
    /// What the registry says of it beforehand.
    platform: Platform,
    /// Answers what is asked again and again.
    asker: Arc<Asker>,
}

/// Why a host could not be seen.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Answer(#[from] LookError),
    #[error("the look ended with {end}: {says}")]
    Script { end: String, says: String },
}

impl Unseen {
    /// The next move.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Lost(lost) => lost.hint(),
            Self::Answer(_) | Self::Script { .. } => "see what `portoser ssh HOST` shows there".into(),
        }
    }
}

impl Far {
    /// The host at the end of this link.
    pub(super) fn new(name: HostName, link: Arc<dyn Transport>, platform: Platform) -> Self {
        Self { name, link, platform, asker: Arc::default() }
    }

    /// Ends the connection in good order.
    pub(super) async fn part(&self) {
        self.asker.end().await;
        self.link.close().await;
    }

    /// Ends what answers questions there; another question starts it again.
    pub async fn hush(&self) {
        self.asker.end().await;
    }

    /// Takes a look.
    pub async fn look(&self, question: &Question) -> Result<Seen, Unseen> {
        self.look_as(question, true).await
    }

    /// Takes a look, as root where the registry says so or as the login user.
    pub async fn look_as(&self, question: &Question, root: bool) -> Result<Seen, Unseen> {
        // Each registry may take its time.
        let within = LOOK + IMAGE * u32::try_from(question.images.len()).unwrap_or(u32::MAX);
        let mut seen = self.ask_within(within, look::script(question), root, look::read).await?;
        hinted(&mut seen.facts, self.platform);
        Ok(seen)
    }

    /// Takes a look that asks for more in the same exec.
    pub async fn look_beside(&self, question: &Question, more: &str) -> Result<Beside, Unseen> {
        let mut beside = self.ask(look::script_beside(question, more), true, look::read_beside).await?;
        hinted(&mut beside.seen.facts, self.platform);
        Ok(beside)
    }

    /// Reads what the host itself remembers of its runs.
    pub async fn records(&self, base: Option<&str>, releases: bool) -> Result<Records, Unseen> {
        self.ask(look::records_script(base, releases), true, look::read_records).await
    }

    /// Asks what runs on the host, whoever set it up.
    pub async fn discover(&self, base: Option<&str>) -> Result<Discovered, Unseen> {
        self.ask(look::discover_script(base), true, look::read_discovered).await
    }

    async fn ask<T>(
        &self,
        script: String,
        root: bool,
        read: impl Fn(&[u8]) -> Result<T, LookError>,
    ) -> Result<T, Unseen> {
        self.ask_within(LOOK, script, root, read).await
    }

    async fn ask_within<T>(
        &self,
        within: Duration,
        script: String,
        root: bool,
        read: impl Fn(&[u8]) -> Result<T, LookError>,
    ) -> Result<T, Unseen> {
        let cmd = Cmd::new("/bin/sh").arg("-s").within(within);
        let reply = self.link.start(&cmd, root).await?.finish(script.into_bytes()).await?;
        match read(&reply.out) {
            Ok(answer) => Ok(answer),
            Err(error) if reply.end == End::Code(0) => Err(error.into()),
            Err(_) => {
                let says = String::from_utf8_lossy(&reply.err).trim().chars().take(300).collect();
                Err(Unseen::Script { end: ended(&reply.end), says })
            }
        }
    }

    /// Brings what a check needs from the host.
    pub async fn fetch(&self, need: Need) -> Result<Got<Box<dyn Stream>>, Miss> {
        match need {
            Need::Connect { address, port } => match self.link.dial(&address, port, DIAL).await {
                Ok(stream) => Ok(Got::Stream(stream)),
                Err(Lost::Refused { .. }) => Err(Miss::Refused),
                Err(lost) => Err(Miss::Unseen(lost.to_string())),
            },
            Need::Run(cmd) => told(self.ran(&cmd, &[]).await),
            Need::Told(cmd, input) => told(self.ran(&cmd, input.reveal_for_sending()).await),
            Need::State(cmd) => told(self.asker.ask(&self.link, &cmd).await),
        }
    }

    /// What a command on the host prints, whatever it exits with.
    pub(super) async fn said(&self, cmd: &Cmd) -> Result<Vec<u8>, Lost> {
        self.ran(cmd, &[]).await.map(|ran| ran.out)
    }

    async fn ran(&self, cmd: &Cmd, input: &[u8]) -> Result<Ran, Lost> {
        let reply = self.link.start(cmd, true).await?.finish(input.to_vec()).await?;
        let code = match reply.end {
            End::Code(code) => Some(code),
            End::Signal(_) => None,
        };
        Ok(Ran { code, out: reply.out, err: reply.err })
    }
}

/// What the registry says of a host goes before what the host says.
fn hinted(facts: &mut Facts, platform: Platform) {
    if let Some(os) = platform.os {
        facts.system = match os {
            Os::Linux => "Linux".into(),
            Os::Macos => "Darwin".into(),
        };
    }
    if let Some(init) = platform.init {
        facts.init = match init {
            registry::Init::Systemd => Init::Systemd,
            registry::Init::Launchd => Init::Launchd,
            registry::Init::None => Init::None,
        };
    }
}

fn told<S>(ran: Result<Ran, Lost>) -> Result<Got<S>, Miss> {
    match ran {
        Ok(ran) => Ok(Got::Ran(ran)),
        Err(Lost::TimedOut { .. } | Lost::Overdue { .. }) => Err(Miss::Overdue),
        Err(lost) => Err(Miss::Unseen(lost.to_string())),
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Code(code) => format!("code {code}"),
        End::Signal(signal) => format!("signal {signal}"),
    }
}

/// What the checks of a release must know, from its record and the facts of its host.
#[must_use]
pub fn subject(record: &Record, facts: &Facts) -> crate::check::Subject {
    let layout = Layout::new(&facts.base);
    let unit = |unit: &crate::host::UnitFile| match record.supervisor {
        Supervisor::Systemd | Supervisor::Launchd | Supervisor::Compose => unit.name.clone(),
        Supervisor::Process => {
            let path = unit.path.as_deref().unwrap_or_default();
            path.rsplit_once('/').map_or(path, |(folder, _)| folder).to_owned()
        }
    };
    crate::check::Subject {
        supervisor: record.supervisor,
        scope: record.scope,
        units: record.units.iter().map(unit).collect(),
        folder: Some(layout.release(&record.service, &record.release)),
        uid: facts.uid,
        tools: facts.tools.clone(),
    }
}
