//! The run script on hosts with systemd, over OpenSSH.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use portoser::host::run::{self, Compression, End, Happened, HostRun, Order, Stage};
use portoser::model::{Content, Probe, Scope, Step, UnitChange};

use super::desk::{Session, command, run_id, stage};

pub fn trials() -> Vec<Trial> {
    let inventory = std::env::var("PORTOSER_LAB").ok().and_then(|path| std::fs::read_to_string(path).ok());
    let lab: Option<serde_json::Value> = inventory.and_then(|text| serde_json::from_str(&text).ok());
    let hosts: Vec<String> = lab
        .iter()
        .flat_map(|lab| lab["hosts"].as_array().cloned().unwrap_or_default())
        .filter(|host| host["init"] == "systemd")
        .filter_map(|host| host["name"].as_str().map(str::to_owned))
        .collect();
    let config = lab.as_ref().and_then(|lab| lab["ssh_config"].as_str()).unwrap_or_default().to_owned();
    if hosts.is_empty() {
        eprintln!("skipped: runner::lab: PORTOSER_LAB names no inventory with a systemd host");
        return vec![Trial::test("runner::lab::units", || Ok(())).with_ignored_flag(true)];
    }
    // One host of each suite.
    let chosen = ["bookworm", "trixie"].iter().filter_map(|suite| hosts.iter().find(|name| name.starts_with(suite)));
    chosen
        .map(|host| {
            let (name, far) = (format!("runner::lab::units_on_{host}"), Far::new(&config, host));
            Trial::test(name, move || {
                let outcome = units(&far);
                far.clear();
                outcome.map_err(Failed::from)
            })
        })
        .collect()
}

struct Far {
    config: String,
    host: String,
    /// Tells this run's things from those of others on the same host.
    name: String,
}

impl Far {
    fn new(config: &str, host: &str) -> Self {
        Self { config: config.into(), host: format!("root@{host}"), name: format!("runner-{}", std::process::id()) }
    }

    fn ssh(&self, line: &str) -> std::process::Command {
        let mut ssh = command(Path::new("ssh"));
        ssh.args(["-F", &self.config, "-o", "BatchMode=yes", &self.host, line]);
        ssh
    }

    fn say(&self, line: &str) -> String {
        let output = self.ssh(line).output().expect("ssh");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn base(&self) -> String {
        format!("/opt/{}", self.name)
    }

    fn unit(&self) -> String {
        format!("{}.service", self.name)
    }

    fn open(&self, number: u32, stages: Vec<Stage>) -> Session {
        let run = HostRun {
            id: run_id(number),
            base: self.base(),
            who: "me@lab".into(),
            wait_lock: Duration::from_secs(20),
            ticket: None,
            within: None,
            contact: None,
            logins: Vec::new(),
            asked: None,
            treatment: None,
            stages,
        };
        let mut opening = run::open(&run, &[], Compression::Gzip).expect("a payload");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut opening.payload, &mut bytes).expect("bytes");
        Session::begin(&mut self.ssh(&opening.cmd.line()), &bytes)
    }

    fn steps(&self, program: &str) -> Vec<Step> {
        let (unit, scope) = (self.unit(), Scope::System);
        let path = format!("/etc/systemd/system/{unit}");
        let text = format!("[Service]\nExecStart={program}\n[Install]\nWantedBy=multi-user.target\n");
        vec![
            Step::HoldUnit { unit: unit.clone(), scope },
            Step::Put { path: path.clone(), content: Content::open(text), mode: 0o644, owner: None },
            Step::Link { path: format!("/etc/systemd/system/multi-user.target.wants/{unit}"), target: path },
            Step::ReloadUnits { scope },
            Step::Unit { unit: unit.clone(), scope, change: UnitChange::Restart },
            Step::Wait { probe: Probe::UnitActive { unit, scope }, within: Duration::from_secs(5) },
        ]
    }

    fn state(&self) -> String {
        let unit = self.unit();
        self.say(&format!(
            "systemctl show -p ActiveState -p MainPID -p LoadState {unit}; cat /etc/systemd/system/{unit} 2>&1; \
             ls -d /etc/systemd/system/multi-user.target.wants/{unit} 2>/dev/null; systemctl is-enabled {unit} 2>&1"
        ))
    }

    fn clear(&self) {
        let unit = self.unit();
        self.say(&format!(
            "systemctl stop {unit}; rm -rf {} /etc/systemd/system/{unit} /etc/systemd/system/multi-user.target.wants/{unit}; \
             systemctl daemon-reload; systemctl reset-failed {unit}",
            self.base()
        ));
    }
}

fn units(far: &Far) -> Result<(), String> {
    let nothing = far.state();
    // A unit that cannot start leaves nothing behind.
    far.open(1, vec![stage(None, None, far.steps("/bin/false"))]).ends(End::RolledBack)?;
    same(&nothing, &far.state())?;
    // Nor does one that was started and taken back.
    let mut session = far.open(2, vec![stage(None, None, far.steps("/bin/sleep 1001"))]);
    session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
    session.send(Order::Undo(1));
    session.ends(End::RolledBack)?;
    same(&nothing, &far.state())?;
    let mut session = far.open(3, vec![stage(None, None, far.steps("/bin/sleep 1002"))]);
    session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
    session.send(Order::Keep(1));
    session.send(Order::Finish);
    session.ends(End::Committed)?;
    let first = far.state();
    if !first.contains("ActiveState=active") || !first.contains("\nenabled") {
        return Err(first);
    }
    // A failure before the unit is touched leaves its process alone.
    let mut steps = far.steps("/bin/sleep 1003");
    steps.insert(4, Step::Run { cmd: portoser::model::Cmd::new("false"), undo: None });
    far.open(4, vec![stage(None, None, steps)]).ends(End::RolledBack)?;
    same(&first, &far.state())?;
    // A version that does not stay up goes, and the one before runs again.
    let mut session = far.open(5, vec![stage(None, None, far.steps("/bin/sh -c 'exit 3'"))]);
    session.ends(End::RolledBack)?;
    if !session.events().iter().any(|event| matches!(event, Happened::Evidence(text) if text.contains("status=3"))) {
        return Err(format!("no evidence of the exit code: {:#?}", session.events()));
    }
    same(&without_pid(&first), &without_pid(&far.state()))?;
    // The runner is killed behind the switch; the next run settles it.
    let mut session = far.open(6, vec![stage(None, None, far.steps("/bin/sleep 1006"))]);
    session.until("switched", |event| *event == Happened::Switched { stage: 1 })?;
    far.say(&format!("read -r pid rest <{}/runs/{}/runner; kill -9 $pid", far.base(), run_id(6)));
    session.until_report("orphaned", |report| *report == run::Report::Orphaned)?;
    let mut session = far.open(7, Vec::new());
    session.until("settled", |event| *event == Happened::Settled { run: run_id(6), end: End::RolledBack })?;
    session.ends(End::Nothing)?;
    same(&without_pid(&first), &without_pid(&far.state()))?;
    // The runner is the init system's own child, not the session's.
    let ours: Vec<String> = (1..=7).map(|number| format!("portoser-run-{}.service", run_id(number))).collect();
    let left = far.say(&format!("systemctl list-units --all --no-legend {} | wc -l", ours.join(" ")));
    if left == "0" { Ok(()) } else { Err(format!("{left} units of runs are left")) }
}

fn without_pid(state: &str) -> String {
    state.lines().filter(|line| !line.starts_with("MainPID")).collect::<Vec<_>>().join("\n")
}

fn same(before: &str, after: &str) -> Result<(), String> {
    if before == after { Ok(()) } else { Err(format!("before:\n{before}\nafter:\n{after}")) }
}
