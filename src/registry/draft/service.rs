//! Services as written.

use super::check::Check;
use super::docker::{Adopted, Healthcheck, PortText, PushText, RunsAsText};
use super::heal::Heal;
use super::source::SourceText;
use crate::model::{OnLostContact, Scope};
use crate::registry::checked::RestartPolicy;
use crate::registry::docker::Pull;
use crate::registry::harden::HardenText;
use crate::registry::number::{
    Bool, Choice, Count, CountOrNone, Cpu, Mode, Named, Port, Share, Size, StopTime, Time, Whole,
};
use crate::registry::read::{List, Map, draft};
use crate::registry::text::{
    ImageName, IndexUrl, Label, LabelKey, Line, MountText, Name, NetworkName, PackageName, PartName, Prose,
    PythonVersion, ReleasePath, UnitName, Variable, Word,
};

/// The types of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum ServiceType {
    Native,
    Docker,
    Python,
}

draft! {
    /// A service.
    struct Service requires ["type"] {
        /// How it is deployed. `native`: a command or an uploaded program that the host's init system runs. `python`: the same,
        /// with a virtual environment made from the source's lock. `docker`: containers of an image, or of a compose file.
        kind as "type": Choice<ServiceType>,
        /// The host it runs on.
        host: Name,
        /// The hosts it runs on.
        hosts: List<Name>,
        /// It runs on all hosts that have these labels.
        on: Map<LabelKey, Label>,
        /// How many of it run on each host; instance n gets the port `port + n - 1`.
        instances: Whole<1, 1000>,
        /// What must be proven before it.
        needs: List<Name>,
        /// A folder or file that is sent along, relative to this file; or a folder of a git repository.
        source: SourceText,
        /// The command, as words; the first may be relative to the release. `${PORT}` and the like are replaced.
        run: List<Word>,
        /// A unit that exists on the host; only its state is managed.
        unit: UnitName,
        /// The image of a docker service.
        image: ImageName,
        /// A compose file, or the folder that holds it, relative to this file; sent unchanged.
        compose: Line,
        /// The part of the compose file that `env` and `exec` are for.
        compose_service: PartName,
        /// The compose project as it was on the host before, and is taken over: its name, and the folder that its file lies in.
        project: Box<Adopted>,
        /// Words in place of the image's own command. `${PORT}` and the like are replaced.
        command: List<Word>,
        /// Mounts of the container: SOURCE:/PATH, with `:ro` where it only reads.
        volumes: List<MountText>,
        /// Networks of the host that the container shares with others; made where they are missing.
        networks: List<NetworkName>,
        /// What asks the container for its health, within it.
        healthcheck: Box<Healthcheck>,
        /// When the image is fetched: missing, always or never.
        pull: Choice<Pull>,
        /// Sends the image from this machine over SSH, and of it only the layers that the host lacks. Beside `compose` the images
        /// of all its parts, or that of `compose_service` alone.
        push: PushText,
        /// Environment variables; `${PORT}` and the like are replaced.
        env: Map<Variable, Word>,
        /// The version of Python that it needs on the host, such as "3.12".
        python: PythonVersion,
        /// The extras of the Python project that are installed.
        extras: List<PackageName>,
        /// The dependency groups of the Python project that are installed; none if not given.
        groups: List<PackageName>,
        /// Environment variables for installing the packages; the service does not get them.
        build_env: Map<Variable, Word>,
        /// The package index, in place of pypi.org.
        index: IndexUrl,
        /// A folder of wheels that is sent along, for hosts without internet; nothing else is installed then.
        wheels: Line,
        /// A command, such as a migration, that a deploy runs on the first host that takes part, before it switches any.
        once: Box<Hook>,
        /// Files that are written into the release, by their path in it.
        files: Map<ReleasePath, File>,
        /// The main port.
        port: Port,
        /// Further ports that it binds; for an image also mappings such as "8080:80".
        ports: List<PortText>,
        /// What proves that it is healthy. If not given: its unit is active, and its port is open.
        checks: List<Check>,
        /// How a deploy goes over its hosts.
        deploy: Box<Deploy>,
        /// When it is started again.
        restart: Box<Restart>,
        /// What it may use.
        limits: Box<Limits>,
        /// Whom it runs as: a user of the host; in a container one of the image, USER or USER:GROUP, each a name or a number.
        user: RunsAsText,
        /// Whether its unit belongs to the system or to the login user.
        scope: Choice<Scope>,
        /// How much it may log.
        log: Box<Log>,
        /// How it is stopped.
        stop: Box<Stop>,
        /// The signal that makes it read its settings again, such as SIGHUP; what `portoser reload` sends.
        reload: Choice<Signal>,
        /// Commands at fixed points of a deploy, run on the host in the release.
        hooks: Box<Hooks>,
        /// Whether its unit is cut off from what a service seldom needs; or what it is cut off from.
        harden: HardenText,
        /// Labels, for choosing services.
        labels: Map<LabelKey, Label>,
        /// Changes to it need its typed name or `--approve NAME`.
        protected: Bool,
        /// How it is healed.
        heal: Box<Heal>,
    }
}

draft! {
    /// A file that is written into the release: one of template, copy and text.
    struct File {
        /// A minijinja template, relative to this file. A variable that is not defined is a fault.
        template: Line,
        /// A file that is sent as it is, relative to this file.
        copy: Line,
        /// The text itself.
        text: Prose,
        /// Permission bits, such as "0640".
        mode: Mode,
    }
}

draft! {
    /// How a deploy goes over the hosts of a service.
    struct Deploy {
        /// How many hosts go first, alone.
        canary: CountOrNone,
        /// How many hosts go at once after that: a number, or a share such as 25%.
        batch: Share,
        /// How many hosts may fail before the rest is not touched.
        max_fail: CountOrNone,
        /// How long the checks must stay good before the change is kept.
        soak: Time,
        /// What happens to a change when the controller is lost before it is proven: undo or keep.
        on_lost_contact: Choice<OnLostContact>,
        /// The controller counts as lost when the host had no sign of life from it for so long.
        lost_after: Time,
        /// How many old releases stay on a host.
        keep_releases: CountOrNone,
        /// Releases younger than this stay too.
        keep_for: Time,
    }
}

draft! {
    /// When a service that ended is started again.
    struct Restart {
        /// always, on-failure or never.
        policy: Choice<RestartPolicy>,
        /// At most so many starts ...
        max: Count,
        /// ... in this time; then it stays down.
        within: Time,
        /// Between the end and the next start.
        delay: Time,
    }
}

draft! {
    /// What a service may use at most.
    struct Limits {
        /// Memory, such as 512MiB.
        memory: Size,
        /// Processors, such as 1.5.
        cpu: Cpu,
        /// Open files.
        files: Count,
        /// Processes and threads.
        tasks: Count,
    }
}

draft! {
    /// How much a service may log.
    struct Log {
        /// At most so many lines ...
        lines: Count,
        /// ... in this time.
        per: Time,
        /// On hosts without a journal: the size at which the log file is turned over.
        max_size: Size,
    }
}

draft! {
    /// How a service is stopped.
    struct Stop {
        /// The signal, such as SIGTERM.
        signal: Choice<Signal>,
        /// How long it has before it is killed, an hour at most.
        timeout: StopTime,
    }
}

draft! {
    /// Commands at fixed points of a deploy.
    struct Hooks {
        /// Before the switch; a failure fails the deploy.
        before: List<Hook>,
        /// After the switch, before the checks; a failure undoes the deploy.
        after: List<Hook>,
        /// What playbooks may run by its name.
        named: Map<Name, Hook>,
    }
}

draft! {
    /// One command.
    struct Hook requires ["run"] {
        /// The command, as words.
        run: List<Word>,
        /// How long it may take.
        timeout: Time,
    }
}

/// A signal, by its full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Signal(pub(in crate::registry) &'static str);

impl Named for Signal {
    const WHAT: &'static str = "a signal";
    const NAMES: &'static [(&'static str, Self)] = &[
        ("SIGTERM", Self("SIGTERM")),
        ("SIGINT", Self("SIGINT")),
        ("SIGQUIT", Self("SIGQUIT")),
        ("SIGHUP", Self("SIGHUP")),
        ("SIGKILL", Self("SIGKILL")),
        ("SIGABRT", Self("SIGABRT")),
        ("SIGUSR1", Self("SIGUSR1")),
        ("SIGUSR2", Self("SIGUSR2")),
        ("SIGWINCH", Self("SIGWINCH")),
    ];
}

impl Named for ServiceType {
    const WHAT: &'static str = "a type of service";
    const NAMES: &'static [(&'static str, Self)] =
        &[("native", Self::Native), ("docker", Self::Docker), ("python", Self::Python)];
}

impl Named for OnLostContact {
    const WHAT: &'static str = "a way to go on without contact";
    const NAMES: &'static [(&'static str, Self)] = &[("undo", Self::Undo), ("keep", Self::Keep)];
}

impl Named for RestartPolicy {
    const WHAT: &'static str = "a restart policy";
    const NAMES: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("on-failure", Self::OnFailure), ("never", Self::Never)];
}
