//! Python services: what names their packages, and the keys that only they have.

use std::path::Path;

use super::files::{self, Want};
use super::services::hook;
use super::variables::Known;
use super::{Site, docker, hosts};
use crate::registry::checked::Python;
use crate::registry::draft::{self, SourceText};
use crate::registry::fault::{Place, shown};
use crate::registry::packages::{Lock, NoLock, lock_of};
use crate::registry::read::{At, Field, List, Reader};
use crate::registry::text::PackageName;
use crate::registry::tree::Trail;

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
        to.fault(place, at, "it has no source")
            .hint("give it `source`: the folder of the project, a wheel, or { git: URL }");
    }
    known.variables(&service.build_env, &at.key("build_env"), to);
    let wheels = service.wheels.given().map(|line| files::on_disk(site, line, Want::Folder, &at.key("wheels"), to));
    let env = hosts::env(&service.build_env);
    if let Some(index) = service.index.given()
        && let Some(name) = INDEXES.iter().find(|name| env.contains_key(**name))
    {
        let fault = to.fault(index.place, &at.key("index"), format!("`{name}` of `build_env` goes before it"));
        fault.hint("name the index in one of the two");
    }
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
    let later = matches!(service.source.value()?, SourceText::Git(_));
    if lock.is_none() && !later {
        return None;
    }
    Some(Python {
        words,
        lock,
        version: service.python.value().map(|version| version.0.clone()),
        extras: names(&service.extras),
        groups: names(&service.groups),
        build_env: env,
        index: service.index.value().map(|index| index.0.clone()),
        wheels,
        once,
    })
}

/// By these variables uv and pip know their index.
const INDEXES: [&str; 2] = ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"];

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

/// What names the packages of the source on this machine's disk.
fn lock(site: &Site<'_>, source: &At<SourceText>, at: &Trail<'_>, to: &mut Reader) -> Option<Lock> {
    let SourceText::Here(line) = &source.value else { return None };
    let path = site.path(&line.0);
    if path.is_file() {
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Some(Lock::Wheel);
        }
        let fault = to.fault(source.place, at, format!("`{}` is not a wheel", shown(&line.0)));
        fault.hint("a Python service's source is the folder of a project, or a file that ends in .whl");
        return None;
    }
    match lock_in(&path) {
        Ok(lock) => return Some(lock),
        // That the folder is not there at all was told already.
        Err(_) if !path.is_dir() => {}
        Err((what, hint)) => to.fault(source.place, at, what).hint = hint.map(str::to_owned),
    }
    None
}

/// What names the packages of the project in this folder.
pub(in crate::registry) fn lock_in(folder: &Path) -> Result<Lock, NoLock> {
    lock_of(|name| folder.join(name).is_file())
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
