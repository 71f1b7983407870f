//! What is done to whoever holds a service's port. A stranger is stopped by the unit whose main process it is, or ended where it
//! has none; what a host stands on, containers, and services of ours are only named.

use crate::heal::solve::deed::{Found, run, systemctl};
use crate::model::{Cmd, Scope, Step};

/// Units that a host is lost without, or that hold what is not their own: by the name before `@` and `.service`.
const STANDS_ON: &[&str] = &[
    "docker",
    "containerd",
    "podman",
    "ssh",
    "sshd",
    "dropbear",
    "cron",
    "crond",
    "dbus",
    "dbus-broker",
    "user",
    "getty",
    "serial-getty",
    "console-getty",
    "networking",
    "NetworkManager",
    "polkit",
    "firewalld",
    "tailscaled",
    "wg-quick",
];

/// The same by the name of the process, which the kernel cuts at 15 bytes, for where there are no units.
const PROGRAMS: &[&str] = &[
    "dockerd",
    "containerd",
    "containerd-shim",
    "aardvark-dns",
    "sshd",
    "dropbear",
    "cron",
    "crond",
    "dbus-daemon",
    "init",
    "systemd",
];

/// The process of the service that was left behind on its port is ended.
pub(super) fn free(found: &Found<'_>) -> Option<Step> {
    let words = [found.pid()?, found.folder()?];
    Some(run(Cmd::new("/bin/sh").args(["-c", &[FREE, END].concat(), "free-port"]).args(words), None))
}

/// A stranger is stopped by its unit, which can start it again; without one it is ended.
///
/// # Errors
/// Why it is left alone.
pub(super) fn take(found: &Found<'_>) -> Result<Step, String> {
    let unknown = || "nobody saw who holds the port".to_owned();
    let (unit, name) = (found.value("holder_unit").unwrap_or_default(), found.value("holder").unwrap_or_default());
    let stem = unit.strip_suffix(".service").unwrap_or(unit).split('@').next().unwrap_or_default();
    if matches!(name, "docker-proxy" | "conmon" | "rootlessport") {
        // Podman knows no filter by port, and `docker ps` does not tell the ports of the host there.
        let ask = "docker inspect -f '{{.Name}} {{.NetworkSettings.Ports}}' $(docker ps -q)";
        return Err(format!("a container holds it; `{ask}` there names it"));
    }
    if stem.starts_with("portoser-") {
        return Err(format!("{unit} is a service of portoser's own; give one of them another port"));
    }
    if STANDS_ON.contains(&stem) || stem.starts_with("systemd-") {
        return Err(format!("{unit} holds it, which is never stopped"));
    }
    if PROGRAMS.contains(&name) {
        return Err(format!("{name} holds it, which is never ended"));
    }
    let pid = found.pid().ok_or_else(unknown)?;
    let sh = |text: &str| Cmd::new("/bin/sh").args(["-c", text, "take-port"]);
    if unit.is_empty() {
        let base = found.base().ok_or_else(unknown)?;
        return Ok(run(sh(&[TAKE, END].concat()).args([pid.as_str(), name, base]), None));
    }
    Ok(run(sh(STOP).args([pid.as_str(), unit]), Some(systemctl(Scope::System, "start", unit))))
}

/// Only a process that still stands in the folder of the service, and belongs to no unit of ours, is one that was left behind:
/// PID FOLDER
const FREE: &str = "at=$(readlink /proc/$1/cwd) || exit 0; case $at in \"$2\"/*) ;; *) echo \"$1 is another process by now\"; exit 1 ;; esac; \
                    case $(cat /proc/$1/cgroup) in */portoser-*.service*) echo \"$1 belongs to a unit of ours\"; exit 1 ;; esac; ";

/// The process must still be called as it was seen, and be nobody's whom another supervisor starts again: PID NAME BASE
const TAKE: &str = "read -r name </proc/$1/comm || exit 0; [ \"$name\" = \"$2\" ] || { echo \"$1 is $name by now\"; exit 1; }; \
                    case $(cat /proc/$1/cgroup) in *docker*|*libpod*|*containerd*|*kubepods*) echo \"$1 belongs to a container\"; exit 1 ;; esac; \
                    case $(readlink /proc/$1/cwd) in \"$3\"/services/*) echo \"$1 belongs to another service of portoser's\"; exit 1 ;; esac; ";

/// It is told to end, and killed when it does not.
const END: &str = "kill -TERM $1; n=0; while [ -d /proc/$1 ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1 2>/dev/null || sleep 1; done; \
                   [ ! -d /proc/$1 ] || kill -KILL $1; exit 0";

/// A unit is stopped for what it holds only if that is its main process, or a process of the same program: what a unit starts may
/// be for somebody else. PID UNIT
const STOP: &str = "program=$(readlink /proc/$1/exe) || exit 0; main=$(systemctl --system show -p MainPID -- \"$2\"); main=${main#MainPID=}; \
                    [ \"${main:-0}\" -gt 1 ] && [ \"$(readlink /proc/$main/exe)\" = \"$program\" ] || \
                    { echo \"$1 is not the main process of $2\"; exit 1; }; exec systemctl --system stop -- \"$2\"";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::heal::learn::Terms;
    use crate::heal::playbook::Library;
    use crate::heal::{Observation, World, analyze};
    use crate::model::{HostName, ServiceName};

    #[test]
    fn what_a_host_stands_on_is_never_stopped_for_a_port() {
        let (host, api) = (HostName::try_from("web1").expect("a name"), ServiceName::try_from("api").expect("a name"));
        let library = Library::load(Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
        let taken = |name: &str, unit: &str| {
            let port = Observation::service("port", &host, &api).of("80").bad("it is held").with("state", "stranger");
            let port = port.with("port", 80).with("pid", 812).with("holder", name).with("holder_unit", unit);
            let base = Observation::host("base", &host).with("path", "/opt/portoser").good("");
            let seen = vec![base, port.with("who", "somebody")];
            let problems = analyze(&World::default(), &seen, &library);
            let problem = problems.first().expect("a problem");
            let terms = Terms::of(None, None, problem, &seen);
            take(&Found { problem, seen: &seen, scope: Scope::System, terms }).map(|step| step.to_string())
        };
        for (name, unit, says) in [
            ("docker-proxy", "docker.service", "docker inspect"),
            ("conmon", "", "docker inspect"),
            ("dockerd", "docker.service", "never stopped"),
            ("sshd", "ssh.service", "never stopped"),
            ("sshd", "", "never ended"),
            ("systemd-resolve", "systemd-resolved.service", "never stopped"),
            ("python3", "user@1000.service", "never stopped"),
            ("python3", "portoser-web.service", "of portoser's own"),
        ] {
            let why = taken(name, unit).expect_err(unit);
            assert!(why.contains(says), "{name} {unit}: {why}");
        }
        assert_eq!(taken("nginx", "nginx.service").as_deref(), Ok("take-port 812 nginx.service"));
        assert_eq!(taken("nc", "").as_deref(), Ok("take-port 812 nc /opt/portoser"));
    }
}
