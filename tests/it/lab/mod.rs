//! Proof on real hosts: the whole program against the lab. Without `PORTOSER_LAB` these trials are skipped, and say so.

mod account;
mod adopt;
mod asked;
mod beside;
mod certificate;
mod container_user;
mod containerd;
mod cordon;
mod counted;
mod discover;
mod docker;
mod fastapi;
mod faults;
mod flags;
mod fleet;
mod follower;
mod garbage;
mod group;
mod harmless;
mod heal;
mod healing;
mod import;
mod injection;
mod inside;
mod installed;
mod kill;
pub mod kit;
mod launchd;
mod learn;
mod log;
mod looks;
mod mail;
mod mixed;
mod others;
mod outlives;
mod own_scope;
mod passed;
mod patience;
mod podman;
mod port;
mod prepare;
mod properties;
mod proxy;
mod pull;
mod pull_parts;
mod push;
mod python;
mod reboot;
mod record;
mod rescue;
mod roads;
mod room;
mod secrets;
mod sent;
mod several;
mod signals;
mod silent;
mod stack;
mod store;
mod table;
mod uv;
mod venv;
mod volume;

use std::sync::{Mutex, MutexGuard, PoisonError};

use libtest_mimic::{Completion, Failed, Trial};

use kit::Machine;

pub fn trials() -> Vec<Trial> {
    [
        account::trials(),
        adopt::trials(),
        asked::trials(),
        beside::trials(),
        certificate::trials(),
        container_user::trials(),
        containerd::trials(),
        cordon::trials(),
        discover::trials(),
        docker::trials(),
        fastapi::trials(),
        faults::trials(),
        flags::trials(),
        fleet::trials(),
        follower::trials(),
        garbage::trials(),
        group::trials(),
        harmless::trials(),
        heal::trials(),
        healing::trials(),
        import::trials(),
        injection::trials(),
        installed::trials(),
        kill::trials(),
        launchd::trials(),
        learn::trials(),
        log::trials(),
        looks::trials(),
        mail::trials(),
        mixed::trials(),
        others::trials(),
        own_scope::trials(),
        passed::trials(),
        patience::trials(),
        podman::trials(),
        port::trials(),
        outlives::trials(),
        prepare::trials(),
        properties::trials(),
        proxy::trials(),
        pull::trials(),
        pull_parts::trials(),
        push::trials(),
        python::trials(),
        reboot::trials(),
        record::trials(),
        rescue::trials(),
        roads::trials(),
        room::trials(),
        secrets::trials(),
        sent::trials(),
        several::trials(),
        signals::trials(),
        silent::trials(),
        stack::trials(),
        venv::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A trial on the lab's systemd hosts.
fn trial(name: &str, body: fn(Vec<Machine>) -> Result<(), Failed>) -> Trial {
    Trial::ignorable_test(format!("lab::{name}"), move || {
        let Some(machines) = kit::machines() else {
            return Ok(Completion::ignored_with("no lab: PORTOSER_LAB names no inventory"));
        };
        body(machines)?;
        Ok(Completion::Completed)
    })
}

/// The hosts with a Docker engine.
fn engines(machines: &[Machine]) -> Vec<Machine> {
    machines.iter().filter(|one| one.image.ends_with("-docker")).cloned().collect()
}

/// The host without an init system, for one trial at a time: one of them brings a stand-in for launchd along.
fn without_init(machines: &[Machine]) -> Option<(Machine, MutexGuard<'static, ()>)> {
    static ONE: Mutex<()> = Mutex::new(());
    let machine = machines.iter().find(|one| one.image == "plain")?.clone();
    Some((machine, ONE.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// The hosts on which units run and python3 serves.
fn usual(machines: &[Machine]) -> Vec<Machine> {
    machines.iter().filter(|one| matches!(one.image.as_str(), "bookworm" | "trixie")).cloned().collect()
}

/// Two of these, each of a suite of its own.
fn pair(machines: &[Machine]) -> Vec<Machine> {
    let mut all = usual(machines);
    all.dedup_by(|one, before| one.image == before.image);
    all
}

/// The hosts for what is tried on each by itself, which says no more on a second one of the same suite.
fn suites(machines: &[Machine]) -> Vec<Machine> {
    if kit::full() { usual(machines) } else { pair(machines) }
}
