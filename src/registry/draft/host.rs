//! Hosts and defaults as written.

use super::check::Timing;
use super::heal::Heal;
use super::service::{Deploy, Limits, Log, Restart, Stop};
use crate::model::Scope;
use crate::registry::checked::{Become, Connection, Init, Os};
use crate::registry::harden::HardenText;
use crate::registry::number::{Choice, Named, Port};
use crate::registry::read::{Many, Map, draft};
use crate::registry::text::{Address, HostFolder, Label, LabelKey, Line, Name, User, Variable, Word};

draft! {
    /// What holds for every host and service that does not say otherwise.
    struct Defaults {
        /// The login user of hosts.
        user: User,
        /// How commands on hosts gain rights: none or sudo.
        gain as "become": Choice<Become>,
        /// The SSH port of hosts.
        port: Port,
        /// Private key files on this machine, relative to this file or beginning with `~/`.
        identity: Many<Line>,
        /// The folder on hosts under which everything of ours lies.
        base: HostFolder,
        /// The host, or hosts in order, through which hosts are reached.
        jump: Many<Name>,
        /// Environment variables for every service.
        env: Map<Variable, Word>,
        /// The timing of checks.
        check: Timing,
        /// How deploys go over hosts.
        deploy: Box<Deploy>,
        /// When services are started again.
        restart: Box<Restart>,
        /// What services may use.
        limits: Box<Limits>,
        /// How much services may log.
        log: Box<Log>,
        /// How services are stopped.
        stop: Box<Stop>,
        /// Whether units are cut off from what a service seldom needs; or what they are cut off from.
        harden: HardenText,
        /// Whether units belong to the system or to the login user.
        scope: Choice<Scope>,
        /// How services are healed.
        heal: Box<Heal>,
    }
}

draft! {
    /// A machine.
    struct Host {
        /// A host name, an IP address, or an alias of the SSH configuration; the host's own name if not given.
        address: Address,
        /// The login user.
        user: User,
        /// The SSH port.
        port: Port,
        /// Private key files on this machine, relative to this file or beginning with `~/`.
        identity: Many<Line>,
        /// Labels, by which services choose hosts.
        labels: Map<LabelKey, Label>,
        /// The folder under which everything of ours lies; absolute.
        base: HostFolder,
        /// The host, or hosts in order, through which this one is reached.
        jump: Many<Name>,
        /// How it is reached: over ssh, or as the local machine.
        connection: Choice<Connection>,
        /// How commands gain rights: none or sudo.
        gain as "become": Choice<Become>,
        /// What is known about the machine, where asking it is not wanted.
        platform: Platform,
        /// Environment variables for every service on this host.
        env: Map<Variable, Word>,
        /// The most that may be done to heal services on it.
        heal: Box<Heal>,
    }
}

draft! {
    /// What is known about a machine beforehand.
    struct Platform {
        /// Its operating system.
        os: Choice<Os>,
        /// What starts its services.
        init: Choice<Init>,
    }
}

impl Named for Become {
    const WHAT: &'static str = "a way to gain rights";
    const NAMES: &'static [(&'static str, Self)] = &[("none", Self::None), ("sudo", Self::Sudo)];
}

impl Named for Connection {
    const WHAT: &'static str = "a connection";
    const NAMES: &'static [(&'static str, Self)] = &[("ssh", Self::Ssh), ("local", Self::Local)];
}

impl Named for Scope {
    const WHAT: &'static str = "a scope";
    const NAMES: &'static [(&'static str, Self)] = &[("system", Self::System), ("user", Self::User)];
}

impl Named for Os {
    const WHAT: &'static str = "an operating system";
    const NAMES: &'static [(&'static str, Self)] = &[("linux", Self::Linux), ("macos", Self::Macos)];
}

impl Named for Init {
    const WHAT: &'static str = "an init system";
    const NAMES: &'static [(&'static str, Self)] =
        &[("systemd", Self::Systemd), ("launchd", Self::Launchd), ("none", Self::None)];
}
