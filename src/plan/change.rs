//! The plan itself: for each service on each host, what will be done and why.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::host::push::Image;
use crate::host::run::{Tree, TreeEntry};
use crate::host::{Fetch, Record};
use crate::model::{HostName, ReleaseId, ServiceName, Step, UnitChange, quote};
use crate::plan::diff::{left, theirs};
use crate::plan::make::RefusedAt;
use crate::plan::seal::seal;
use crate::plan::texts::TextChange;

/// What will be done for a service on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is in place and healthy.
    Nothing,
    /// The release is in place; only its record (checks, hooks) is written anew. Nothing is restarted.
    Refresh,
    /// The release is in place, but does not run or is not healthy; it is started again.
    Restart,
    /// Files of the release were changed on the host; they are written anew.
    Repair,
    /// Another release is brought into force.
    Deploy,
    /// What is there is started, stopped and so on, and nothing else.
    Turn(Turn),
}

/// What can be asked of a service that is on a host already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    Change(UnitChange),
    /// It is taken from the host, its shared folder excepted.
    Remove,
    /// A remedy is applied to it, which a second look has to confirm.
    Mend,
}

impl Turn {
    /// Whether the service does not run afterwards.
    #[must_use]
    pub fn ends(self) -> bool {
        matches!(self, Self::Remove | Self::Change(UnitChange::Stop))
    }
}

impl Action {
    /// The turn, if that is all that is done.
    #[must_use]
    pub fn turn(self) -> Option<Turn> {
        match self {
            Self::Turn(turn) => Some(turn),
            _ => None,
        }
    }
}

/// One service on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub service: ServiceName,
    pub host: HostName,
    pub action: Action,
    /// Why, one reason a line, most telling first.
    pub reasons: Vec<String>,
    /// How the texts of the release change, as far as the look brought the old ones.
    pub texts: Vec<TextChange>,
    /// What was edited on the host in the release before, where that may be written over.
    pub edited: Vec<String>,
    /// The release that runs now, as `current` tells.
    pub before: Option<ReleaseId>,
    /// Its record: when the change is undone, these checks prove that the old state is back.
    pub before_record: Option<Record>,
    /// The release that is wanted.
    pub record: Record,
    /// Its files without their seal, when they must be sent.
    pub files: Option<Vec<TreeEntry>>,
    /// The files among these that are copied on the host from the release before, and not sent.
    pub copied: BTreeSet<String>,
    /// What is sent besides, for one of the steps to unpack.
    pub besides: Option<Tree>,
    /// The images that steps load; what the host lacks of them is sent before anything is touched.
    pub images: Vec<Image>,
    /// The images that the host fetches, as far as it must, and how much of them; or why that could not be known.
    pub fetches: Vec<(String, Result<Fetch, String>)>,
    pub steps: Vec<Step>,
    /// Whether what the service runs once for all of its hosts runs here: they wait for it.
    pub once: bool,
    /// Done once the change is kept for good.
    pub after: Vec<Step>,
}

impl Change {
    /// What another release than the one before does not take back: the command that ran once with that one.
    #[must_use]
    pub fn across(&self) -> Option<String> {
        let before = self.before_record.as_ref().filter(|before| before.release != self.record.release)?;
        let words: Vec<_> = before.once.as_ref()?.words.iter().map(|word| quote(word)).collect();
        let short = before.release.as_str().get(..8).unwrap_or_default();
        Some(format!("this goes back across `{}`, which ran with {short} and is not undone", words.join(" ")))
    }

    /// The units of the host's own that this service managed and does not any more: they stay as they are.
    #[must_use]
    pub fn left(&self) -> Vec<&str> {
        match (&self.before_record, self.action) {
            (Some(before), Action::Deploy) => left(before, &self.record).collect(),
            (_, Action::Turn(Turn::Remove)) => theirs(&self.record).map(|unit| unit.name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The trees to send, if any must be sent.
    pub fn trees(&self) -> impl Iterator<Item = Tree> {
        let release = self.files.as_ref().map(|files| {
            let mut tree = seal(&self.record, files);
            tree.entries.retain(|entry| !self.copied.contains(&entry.path));
            tree
        });
        release.into_iter().chain(self.besides.clone())
    }
}

/// What a deploy will do. Changes stand in the order of their waves, then of the service, then of the registry's hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The services in waves: a wave begins when the one before is proven.
    pub waves: Vec<Vec<ServiceName>>,
    pub changes: Vec<Change>,
    /// What is left alone where the registry does not put it, by host.
    pub strays: Vec<Strays>,
    /// What stays as it is, as there is no way back for it, and why.
    pub left: Vec<RefusedAt>,
}

/// Services that lie on a host where the registry does not put them, or not any more. No deploy takes them away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Strays {
    pub host: HostName,
    pub services: BTreeSet<ServiceName>,
    /// Whether they were seen there. Otherwise this machine brought them there, and the host cannot be seen now.
    pub seen: bool,
}

impl std::fmt::Display for Strays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.services.iter().map(ServiceName::as_str).collect();
        let (listed, words, host) = (names.join(", "), names.join(" "), &self.host);
        let (is, was, it) = if names.len() == 1 { ("is", "was", "it") } else { ("are", "were", "them") };
        if self.seen {
            write!(f, "{listed} {is} there, where the registry does not put {it}; ")?;
        } else {
            write!(f, "{listed} {was} there, where the registry does not put {it}, and the host cannot be seen now; ")?;
        }
        write!(f, "`portoser remove {words} --host {host}` takes {it} away")
    }
}

impl Plan {
    /// Whether all is in place.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.moving().next().is_none()
    }

    /// What changes something.
    pub fn moving(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action != Action::Nothing)
    }

    /// The changes of each service, in the registry's order of hosts.
    #[must_use]
    pub fn by_service(&self) -> BTreeMap<&ServiceName, Vec<&Change>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for change in &self.changes {
            all.entry(&change.service).or_default().push(change);
        }
        all
    }
}
