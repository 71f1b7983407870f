//! Native services: a command or an uploaded program that the host's init system runs, or a unit that is there already.

use std::collections::BTreeMap;

use crate::engine::release::{self, Runs, Shape};
use crate::host::{Layout, Record, Seen, SeenService};
use crate::model::{Scope, Step, UnitChange};
use crate::plan::{Engine, Refused, Subject, Wanted};
use crate::registry::{Kind, Native as Wish, Service};

/// The engine.
pub(super) struct Native;

impl Engine for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn serves(&self, kind: &Kind) -> bool {
        matches!(kind, Kind::Native(_))
    }

    fn units(&self, service: &Service) -> Vec<(Scope, String)> {
        match &service.kind {
            Kind::Native(Wish::Unit { name }) => vec![(service.scope, name.clone())],
            _ => release::unit_names(service),
        }
    }

    fn wanted(&self, subject: &Subject<'_>) -> Result<Wanted, Refused> {
        let runs = match &subject.service.kind {
            Kind::Native(Wish::Run { words }) => Runs::Words(words),
            Kind::Native(Wish::Unit { name }) => Runs::Unit(name),
            _ => return Err(Refused::new("it is no native service", "see `portoser schema`")),
        };
        let (env, files) = (BTreeMap::new(), Vec::new());
        release::wanted(subject, &Shape { engine: self.name(), runs, env, files, venv: None, once: None })
    }

    fn activate(&self, record: &Record, layout: &Layout, seen: &SeenService) -> Vec<Step> {
        release::activate(record, layout, seen, Vec::new())
    }

    fn change(&self, record: &Record, layout: &Layout, change: UnitChange) -> Vec<Step> {
        release::change(record, layout, change)
    }

    fn reloads(&self, record: &Record) -> bool {
        release::reloads(record)
    }

    fn remove(&self, record: &Record, layout: &Layout) -> Vec<Step> {
        release::remove(record, layout)
    }

    fn names(&self, record: &Record) -> Vec<String> {
        release::names(record)
    }

    fn runs(&self, record: &Record, seen: &Seen) -> bool {
        release::runs(record, seen)
    }
}
