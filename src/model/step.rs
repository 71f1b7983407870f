//! What engines emit: steps as data. A step can be shown by `plan`, carried by any transport, and undone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Cmd, ReleaseId, quote};

/// The bytes of a file to write. They travel in the payload, never in the words of a step.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The bytes themselves.
    pub bytes: Arc<[u8]>,
    /// Whether they may be shown in a diff or a debug print.
    pub secret: bool,
}

impl Content {
    /// Content that may be shown.
    #[must_use]
    pub fn open(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into().into(), secret: false }
    }

    /// Content that is never shown.
    #[must_use]
    pub fn secret(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into().into(), secret: true }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.secret { "secret bytes" } else { "bytes" };
        write!(f, "[{} {what}]", self.bytes.len())
    }
}

/// Who owns a file on the host, as `chown` takes it: `user`, `user:group` or `:group`.
pub type Owner = String;

/// Which init system instance a unit belongs to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The host's own.
    #[default]
    System,
    /// The login user's (`systemctl --user`, `gui/UID`).
    User,
}

/// What is done to a unit, a job or a supervised process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitChange {
    /// Start it; a running one is left alone.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Tell it to read its configuration again.
    Reload,
}

/// When an image is fetched from its registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// When the host does not have it.
    #[default]
    Missing,
    /// Whenever a release comes into force for the first time.
    Always,
    /// Never: the host must have it.
    Never,
}

/// What is done to a compose project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectChange {
    /// Bring up what differs from the release's files; what is the same is left alone.
    Up,
    /// Start what is down of it: as it is where that will do, else as `Up`.
    Start,
    /// Bring it up beside what runs of it, which is left alone.
    Beside,
    /// Take away what runs of it beside this release.
    Alone,
    /// Bring it up; and where all of it runs already, start it anew.
    Renew,
    /// Make all of it anew, however well it is; volumes stay.
    Recreate,
    Stop,
    Restart,
    /// Send this signal to its containers.
    Signal(String),
    /// Take its containers away; volumes and networks stay.
    Down,
    /// Take over what runs, which is left alone if it is what the release's files say; where nothing is, bring it up.
    Take,
}

/// The runner's own minimal gate: what it can see on the host without the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The unit is active and has not restarted since the step began.
    UnitActive { unit: String, scope: Scope },
    /// The supervised process of this service folder lives.
    ProcessAlive { folder: String },
    /// All containers of the compose project run, and none was started again.
    ProjectRuns {
        project: String,
        /// Only the containers of this release count.
        release: Option<ReleaseId>,
    },
    /// Something listens on this TCP port.
    PortOpen { port: u16 },
}

/// One step of a host transaction. Paths are absolute. What a step changes, it can put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes a folder and its parents, if missing. Undo removes what it made, if empty.
    Folder { path: String, mode: u32, owner: Option<Owner> },
    /// Unpacks the tree with this digest (of the run's payload) as this new folder, which must not be there in part.
    /// A complete one is left alone. What its manifest names and was not sent is copied from the folder `from`, an earlier
    /// release. Undo removes the folder if this run made it.
    Unpack { release: ReleaseId, into: String, owner: Option<Owner>, from: Option<String> },
    /// Writes a file by temporary name and rename. Undo brings the previous file back.
    Put { path: String, content: Content, mode: u32, owner: Option<Owner> },
    /// Makes a symbolic link, replacing an older one in one move. Undo brings the older one back.
    Link { path: String, target: String },
    /// Moves a file, link or folder of ours into the run's own folder. Undo moves it back.
    Remove { path: String },
    /// Runs words on the host. `undo`, if any, is run when a later step fails.
    Run { cmd: Cmd, undo: Option<Cmd> },
    /// The same for words that only make something new beside what runs, and may take long: they are ended before their time
    /// when nobody waits for them any more, because the controller is lost or orders a stop.
    Make { cmd: Cmd, undo: Option<Cmd> },
    /// Remembers what the unit does now; does nothing else. Its undo, which runs after the undo of all steps behind it,
    /// reads the unit files again and brings the unit back to what was remembered.
    HoldUnit { unit: String, scope: Scope },
    /// Makes the init system read its unit files again.
    ReloadUnits { scope: Scope },
    /// Changes the state of a unit. Undo stops it if it did not run before; `HoldUnit` does the rest.
    Unit { unit: String, scope: Scope, change: UnitChange },
    /// Remembers whether the supervised process in this folder runs. Its undo brings it back to that.
    HoldProcess { folder: String },
    /// Changes the state of the supervised process of this service folder (hosts without an init system).
    Process { folder: String, change: UnitChange },
    /// Gives an image a tag of ours, which pins it, and fetches it where needed. An image that has the tag is left alone.
    Image { tag: String, reference: String, pull: Pull },
    /// The same for a part of the compose project in this release's folder, whose image only compose knows, or builds.
    Part { tag: String, folder: String, part: String, pull: Pull },
    /// Gives the images that parts of a compose project run from, as they are, tags of ours: each part's. Nothing is fetched or
    /// built for these.
    TakeImages { project: String, pins: Vec<(String, String)> },
    /// Gives an image that was sent a tag of ours. What the engine lacks of it lies in this folder. An image that has the tag is
    /// left alone.
    Load { tag: String, image: String, reference: String, folder: String },
    /// Makes a network of the host's engine, if missing.
    Network { name: String },
    /// Lets compose read the project in this release's folder, and change nothing.
    CheckProject { folder: String },
    /// Refuses an image that keeps data elsewhere than at these places, where each of its containers would have its own.
    CheckVolumes { image: String, mounted: Vec<String> },
    /// Remembers what runs of a compose project. Its undo brings that back with the release that `current` leads to then, or
    /// takes away what the release in `folder` brought where nothing was.
    /// What others brought up is refused, unless it is to be taken over.
    HoldProject { project: String, current: String, folder: String, adopt: bool },
    /// Changes the state of a compose project by the release in this folder. `HoldProject` undoes it.
    Project { project: String, folder: String, change: ProjectChange },
    /// Waits until the probe holds; fails when `within` has passed.
    Wait { probe: Probe, within: Duration },
    /// Tells of the files in a release that its manifest does not name. Changes nothing.
    Unnamed { folder: String },
    /// Removes releases from this folder: all but `keep` and those younger than `older_than`. Files that no manifest names are
    /// moved beside that folder, to `left`. Never undone, so it comes after the verdict.
    Prune { folder: String, keep: Vec<ReleaseId>, older_than: Duration },
    /// Removes our tags of images that no release in this folder names any more, and the folders of images that were sent. Never
    /// undone.
    PruneImages { repository: String, folder: String, pushed: Vec<String> },
}

impl fmt::Display for Step {
    /// One line that a person can judge: what is done to what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |owner: &Option<Owner>| owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
        match self {
            Self::Folder { path, mode, owner } => write!(f, "make folder {} {mode:04o}{}", quote(path), of(owner)),
            Self::Unpack { release, into, .. } => write!(f, "unpack {release} into {}", quote(into)),
            Self::Put { path, mode, owner, .. } => write!(f, "write {} {mode:04o}{}", quote(path), of(owner)),
            Self::Link { path, target } => write!(f, "link {} -> {}", quote(path), quote(target)),
            Self::Remove { path } => write!(f, "remove {}", quote(path)),
            Self::Run { cmd, .. } | Self::Make { cmd, .. } => match cmd.words() {
                // A script of ours bears its name where a shell has `$0`; the name and what it is about say more than its text.
                [sh, flag, _, rest @ ..] if sh == "/bin/sh" && flag == "-c" => {
                    let words: Vec<_> = rest.iter().map(|word| quote(word)).collect();
                    f.write_str(&words.join(" "))
                }
                _ => write!(f, "run {}", cmd.line()),
            },
            Self::HoldUnit { unit, .. } => write!(f, "remember the state of {}", quote(unit)),
            Self::ReloadUnits { .. } => f.write_str("read the units again"),
            Self::Unit { unit, change, .. } => write!(f, "{change} {}", quote(unit)),
            Self::HoldProcess { folder } => write!(f, "remember the state of the process in {}", quote(folder)),
            Self::Process { folder, change } => write!(f, "{change} the process in {}", quote(folder)),
            Self::Wait { probe, within } => write!(f, "wait until {probe}, at most {} s", within.as_secs()),
            Self::Image { reference, .. } => write!(f, "have the image {}", quote(reference)),
            Self::Part { part, .. } => write!(f, "have the image of {}", quote(part)),
            Self::TakeImages { project, .. } => write!(f, "keep the images that {} runs from", quote(project)),
            Self::Load { reference, .. } => write!(f, "load the image {}", quote(reference)),
            Self::Network { name } => write!(f, "have the network {}", quote(name)),
            Self::CheckProject { folder } => write!(f, "check the compose files in {}", quote(folder)),
            Self::CheckVolumes { image, .. } => write!(f, "check where {} keeps data", quote(image)),
            Self::HoldProject { project, .. } => write!(f, "remember the state of the project {}", quote(project)),
            Self::Project { project, change, .. } => write!(f, "{change} the project {}", quote(project)),
            Self::PruneImages { repository, .. } => write!(f, "remove old tags of {}", quote(repository)),
            Self::Unnamed { folder } => write!(f, "tell what was written into {}", quote(folder)),
            Self::Prune { folder, keep, .. } => {
                write!(f, "remove old releases in {}, keep {}", quote(folder), keep.len())
            }
        }
    }
}

impl fmt::Display for UnitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        })
    }
}

impl fmt::Display for ProjectChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("bring up"),
            Self::Start => f.write_str("start"),
            Self::Beside => f.write_str("bring up, beside what runs of it,"),
            Self::Alone => f.write_str("take away what is old of"),
            Self::Renew => f.write_str("bring up or restart"),
            Self::Recreate => f.write_str("make anew"),
            Self::Stop => f.write_str("stop"),
            Self::Restart => f.write_str("restart"),
            Self::Signal(signal) => write!(f, "send {signal} to"),
            Self::Down => f.write_str("take away"),
            Self::Take => f.write_str("take over"),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnitActive { unit, .. } => write!(f, "{} is active", quote(unit)),
            Self::ProcessAlive { folder } => write!(f, "the process in {} lives", quote(folder)),
            Self::ProjectRuns { project, .. } => write!(f, "the project {} runs", quote(project)),
            Self::PortOpen { port } => write!(f, "port {port} is open"),
        }
    }
}

/// What happens to an unproven change when the controller is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLostContact {
    #[default]
    Undo,
    Keep,
}
