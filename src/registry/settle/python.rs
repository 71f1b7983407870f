//! Python services: what names their packages, and the keys that only they have.

use std::path::Path;

use super::files::{self, Want};
use super::services::hook;
use super::variables::Known;
use super::{Site, docker, hosts};
use crate::registry::checked::{Lock, Python};
use crate::registry::draft;
use crate::registry::fault::{Place, shown};
use crate::registry::read::{At, Field, List, Reader};
use crate::registry::text::{Line, PackageName};
use crate::registry::tree::Trail;

/// Locks of other tools, and how each is made one of ours.
const FOREIGN: &[(&str, &str)] = &[
    ("poetry.lock", "convert it with `uvx migrate-to-uv`, or write `poetry export -o requirements.txt`"),
    ("Pipfile.lock", "write `pipenv requirements > requirements.txt`"),
    ("pdm.lock", "convert it with `uvx migrate-to-uv`, or write `pdm export -o requirements.txt`"),
    (
        "environment.yml",
        "write what it takes from PyPI into requirements.txt; conda's own packages cannot be installed",
    ),
    (
        "environment.yaml",
        "write what it takes from PyPI into requirements.txt; conda's own packages cannot be installed",
    ),
];

pub(super) fn kind(
    site: &Site<'_>,
    service: &draft::Service,
    place: Place,
    known: &Known<'_>,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Option<Python> {
    docker::refuse_in_others(service, at, to);
    if let Some(unit) = service.unit.given() {
        to.fault(unit.place, &at.key("unit"), "a Python service has `run`, and portoser makes its unit");
    } else if !service.run.written() {
        to.fault(place, at, "it has nothing to run").hint("give it `run`, such as [python, -m, app]");
    }
    if !service.source.written() {
        to.fault(place, at, "it has no source").hint("give it `source`: the folder of the project, or a wheel");
    }
    known.variables(&service.build_env, &at.key("build_env"), to);
    let wheels = service.wheels.given().map(|line| files::on_disk(site, line, Want::Folder, &at.key("wheels"), to));
    let once = service.once.value().and_then(|written| hook(written, known, &at.key("once"), to));
    let lock = service.source.given().and_then(|source| lock(site, source, &at.key("source"), to));
    match lock {
        Some(Lock::Requirements) => {
            unknown(service.extras.given().map(|at| at.place), "extras", at, to);
            unknown(service.groups.given().map(|at| at.place), "groups", at, to);
        }
        Some(Lock::Wheel) => unknown(service.groups.given().map(|at| at.place), "groups", at, to),
        _ => {}
    }
    let words = known.words(&service.run.given()?.value, &at.key("run"), to);
    Some(Python {
        words,
        lock: lock?,
        version: service.python.value().map(|version| version.0.clone()),
        extras: names(&service.extras),
        groups: names(&service.groups),
        build_env: hosts::env(&service.build_env),
        index: service.index.value().map(|index| index.0.clone()),
        wheels,
        once,
    })
}

/// Names that what is there does not know.
fn unknown(place: Option<Place>, key: &str, at: &Trail<'_>, to: &mut Reader) {
    if let Some(place) = place {
        let fault = to.fault(place, &at.key(key), format!("the source says nothing of {key}"));
        fault.hint("they stand in `uv.lock` and `pyproject.toml`; take the key away");
    }
}

fn names(list: &Field<List<PackageName>>) -> Vec<String> {
    let mut names: Vec<String> =
        list.value().map(|list| list.values().map(|name| name.0.clone()).collect()).unwrap_or_default();
    names.sort();
    names.dedup();
    names
}

/// What names the packages: the first of what lies at the top of the source.
fn lock(site: &Site<'_>, source: &At<Line>, at: &Trail<'_>, to: &mut Reader) -> Option<Lock> {
    let path = site.path(&source.value.0);
    if path.is_file() {
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Some(Lock::Wheel);
        }
        let fault = to.fault(source.place, at, format!("`{}` is not a wheel", shown(&source.value.0)));
        fault.hint("a Python service's source is the folder of a project, or a file that ends in .whl");
        return None;
    }
    if let Some(lock) = lock_in(&path) {
        return Some(lock);
    }
    let has = |name: &str| path.join(name).is_file();
    if has("uv.lock") {
        to.fault(source.place, at, "beside its `uv.lock` there is no `pyproject.toml`");
        return None;
    }
    if let Some((name, hint)) = FOREIGN.iter().find(|(name, _)| has(name)) {
        to.fault(source.place, at, format!("`{name}` is another tool's")).hint(*hint);
        return None;
    }
    // That the folder is not there at all was told already.
    if path.is_dir() {
        let fault = to.fault(source.place, at, "nothing in it names the packages that it needs");
        fault.hint("write a `requirements.txt` (it may be empty), or a `pyproject.toml` and `uv lock`");
    }
    None
}

/// What names the packages of the project in this folder.
pub(in crate::registry) fn lock_in(folder: &Path) -> Option<Lock> {
    let has = |name: &str| folder.join(name).is_file();
    match () {
        () if has("uv.lock") => has("pyproject.toml").then_some(Lock::Uv),
        () if has("requirements.txt") => Some(Lock::Requirements),
        () if FOREIGN.iter().any(|(name, _)| has(name)) => None,
        () => has("pyproject.toml").then_some(Lock::Project),
    }
}

/// What only Python services have, given to another one.
pub(super) fn refuse_in_others(service: &draft::Service, at: &Trail<'_>, to: &mut Reader) {
    let places = [
        ("python", service.python.given().map(|at| at.place)),
        ("extras", service.extras.given().map(|at| at.place)),
        ("groups", service.groups.given().map(|at| at.place)),
        ("build_env", service.build_env.given().map(|at| at.place)),
        ("index", service.index.given().map(|at| at.place)),
        ("wheels", service.wheels.given().map(|at| at.place)),
        ("once", service.once.given().map(|at| at.place)),
    ];
    docker::refuse_keys_of("Python", "python", &places, at, to);
}
