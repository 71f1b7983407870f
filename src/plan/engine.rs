//! What a way to deploy must answer. Engines decide; they never do.

use crate::host::push::Image;
use crate::host::run::{Tree, TreeEntry};
use crate::host::{Facts, Layout, Record, Seen, SeenService};
use crate::model::{Scope, Step, UnitChange};
use crate::plan::render::Sources;
use crate::registry::{Host, Kind, Service};

/// One service on one host, with all that its release depends on.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub service: &'a Service,
    pub host: &'a Host,
    pub facts: &'a Facts,
    pub sources: &'a Sources,
    /// Whether what the service runs once runs on this host.
    pub first: bool,
}

/// The release that is wanted: what it is, and its files, which `seal` makes a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub record: Record,
    pub files: Vec<TreeEntry>,
    /// What is sent besides, when the steps unpack it.
    pub besides: Option<Tree>,
    /// The images that are sent before, when the steps load them.
    pub images: Vec<Image>,
}

/// Why a service cannot be planned on a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refused {
    pub what: String,
    pub hint: Option<String>,
    /// Whether it is how the host stands, which healing may mend, and not what is asked for.
    pub host: bool,
}

impl Refused {
    /// A refusal with its hint.
    pub fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: Some(hint.into()), host: false }
    }

    /// The same, as one that is over when the host is well.
    pub(crate) fn of_host(self) -> Self {
        Self { host: true, ..self }
    }
}

/// A way to deploy.
pub trait Engine: Sync {
    /// Its name in records.
    fn name(&self) -> &'static str;

    /// Whether it deploys services of this kind.
    fn serves(&self, kind: &Kind) -> bool;

    /// The units whose state the look must ask for.
    fn units(&self, service: &Service) -> Vec<(Scope, String)>;

    /// The release that the registry wants.
    fn wanted(&self, subject: &Subject<'_>) -> Result<Wanted, Refused>;

    /// The steps that bring a release into force, whatever is there now.
    fn activate(&self, record: &Record, layout: &Layout, seen: &SeenService) -> Vec<Step>;

    /// The steps that take away what ran beside the release until it was proven. They are never undone.
    fn alone(&self, _record: &Record, _layout: &Layout) -> Vec<Step> {
        Vec::new()
    }

    /// The steps that end a change for good, once its old releases are gone. They are never undone.
    fn after(&self, _record: &Record, _layout: &Layout) -> Vec<Step> {
        Vec::new()
    }

    /// The steps that change the state of what runs, and nothing else.
    fn change(&self, record: &Record, layout: &Layout, change: UnitChange) -> Vec<Step>;

    /// Whether what the record names can be told to read its settings again, as far as is known here.
    fn reloads(&self, record: &Record) -> bool;

    /// The steps that take the service from the host, its shared data excepted.
    fn remove(&self, record: &Record, layout: &Layout) -> Vec<Step>;

    /// The names under which the look reports what the record's release consists of, in the order of its instances.
    fn names(&self, record: &Record) -> Vec<String>;

    /// Whether all that the record names runs, as far as the look saw it.
    fn runs(&self, record: &Record, seen: &Seen) -> bool;

    /// Why the look could not see what runs, if it could not: then nothing is decided by it.
    fn blind(&self, _seen: &Seen) -> Option<Refused> {
        None
    }
}
