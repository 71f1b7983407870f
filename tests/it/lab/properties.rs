//! What the registry says of a unit is what systemd keeps it to: read back from systemd itself and from the process.

use std::collections::BTreeMap;

use libtest_mimic::{Failed, Trial};

use super::docker::side_by_side;
use super::kit::{Bench, Machine, port};
use super::{suites, trial};

pub fn trials() -> Vec<Trial> {
    vec![trial("systemd_keeps_a_unit_to_what_the_registry_says", all)]
}

const WRITTEN: &str = "    limits: { memory: 64MiB, cpu: 0.5, files: 512, tasks: 64 }\n    \
    restart: { policy: on-failure, max: 4, within: 50s, delay: 2s }\n    log: { lines: 123, per: 10s }\n    \
    stop: { signal: SIGINT, timeout: 7s }\n    harden: true\n    user: deploy\n";

/// As `systemctl show` tells it; the same with systemd 252 and 257.
const TOLD: &[(&str, &str)] = &[
    ("MemoryMax", "67108864"),
    ("CPUQuotaPerSecUSec", "500ms"),
    ("LimitNOFILE", "512"),
    ("TasksMax", "64"),
    ("Restart", "on-failure"),
    ("RestartUSec", "2s"),
    ("StartLimitBurst", "4"),
    ("StartLimitIntervalUSec", "50s"),
    ("LogRateLimitBurst", "123"),
    ("LogRateLimitIntervalUSec", "10s"),
    ("KillSignal", "2"),
    ("TimeoutStopUSec", "7s"),
    ("User", "deploy"),
    ("NoNewPrivileges", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectSystem", "full"),
    ("ProtectHome", "read-only"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectControlGroups", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("UnitFileState", "enabled"),
];

const HARDENED: &str = "harden: [no-new-privileges, private-devices, restrict-namespaces, restrict-realtime, \
    memory-deny-write-execute, no-capabilities, system-service]";

const CHOSEN: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("PrivateTmp", "no"),
    ("ProtectSystem", "no"),
    ("PrivateDevices", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("CapabilityBoundingSet", ""),
    ("SystemCallErrorNumber", "1"),
];

fn shown(machine: &Machine, unit: &str, keys: &[&str]) -> BTreeMap<String, String> {
    let told = machine.inside(&format!("systemctl show -p {} {unit}", keys.join(",")));
    told.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

fn all(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&suites(&machines), |machine| {
        let bench = Bench::new("props", std::slice::from_ref(machine));
        let (port, name) = (port(), format!("{}-one", bench.id));
        let unit = format!("portoser-{name}.service");
        bench.registry(&bench.service("one", &[&machine.name], port, "one", WRITTEN));
        bench.run(&["deploy", "--all"]).exits(0);
        let keys: Vec<&str> = TOLD.iter().map(|(key, _)| *key).collect();
        let told = shown(machine, &unit, &keys);
        let wanted: BTreeMap<String, String> = TOLD.iter().map(|(key, is)| ((*key).into(), (*is).into())).collect();
        assert_eq!(told, wanted, "on {}", machine.name);
        // Or by name; what is suites does not come along.
        let chosen = WRITTEN.replace("harden: true", HARDENED);
        bench.registry(&bench.service("one", &[&machine.name], port, "one", &chosen));
        bench.run(&["deploy", "--all"]).exits(0);
        let keys: Vec<&str> = CHOSEN.iter().map(|(key, _)| *key).collect();
        let wanted: BTreeMap<String, String> = CHOSEN.iter().map(|(key, is)| ((*key).into(), (*is).into())).collect();
        assert_eq!(shown(machine, &unit, &keys), wanted, "on {}", machine.name);
        // It is in force in the process, and the signal to stop by ends it.
        let pid = shown(machine, &unit, &["MainPID"])["MainPID"].clone();
        let process =
            machine.inside(&format!("grep -E 'NoNewPrivs|Max open files' /proc/{pid}/status /proc/{pid}/limits"));
        assert!(process.contains("NoNewPrivs:\t1") && process.contains("512"), "{process}");
        bench.run(&["stop", &name]).exits(0);
        let ended = shown(machine, &unit, &["Result", "ExecMainStatus", "ExecMainCode"]);
        assert_ne!(ended["Result"], "timeout", "{ended:?}");
        // The user's own template replaces ours, whose values it may use.
        std::fs::create_dir(bench.at("templates")).expect("a folder");
        std::fs::write(bench.at("templates/systemd.service.j2"), OWN).expect("a template");
        bench.run(&["deploy", "--all"]).exits(0);
        let told = shown(machine, &unit, &["Description", "Nice", "MemoryMax", "User", "TasksMax"]);
        let is = |key: &str| told[key].as_str();
        assert_eq!((is("Description"), is("Nice"), is("User")), (&*format!("ours: {name}"), "7", "deploy"));
        assert_eq!(is("MemoryMax"), "infinity", "this template leaves limits out");
        assert_eq!(bench.answer(machine, port), "one");
        // A mistake in it is told before anything is touched.
        std::fs::write(bench.at("templates/systemd.service.j2"), OWN.replace("{{ user }}", "{{ nobody }}"))
            .expect("it");
        let refused = bench.run(&["deploy", "--all"]).exits(9);
        assert!(refused.err.contains("the template systemd.service.j2, line 7"), "{}", refused.err);
        assert_eq!(bench.answer(machine, port), "one");
    })
}

const OWN: &str = "[Unit]
Description=ours: {{ service }}
[Service]
Type=exec
Nice=7
WorkingDirectory={{ folder }}
User={{ user }}
EnvironmentFile={{ env_file }}
ExecStart={{ command }}
[Install]
WantedBy={{ target }}
";
