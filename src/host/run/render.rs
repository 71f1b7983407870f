//! From steps to the text that the runner reads. Every text from outside goes through `quote`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::host::run::line::{encode, ticket_key};
use crate::host::run::{HostRun, PayloadError, Stage, Treatment};
use crate::model::{Cmd, Content, OnLostContact, Probe, ProjectChange, Pull, Scope, Step, quote};

/// How long the init system or docker may take for one word of ours, beyond what the service itself may take to start or stop.
pub const WORD_WITHIN: Duration = Duration::from_secs(300);

/// How long an image may take to be fetched or built.
const PULL_WITHIN: Duration = Duration::from_secs(1800);

/// The rendered steps, and the files that they write, in the order of their numbers (from 1).
pub(super) struct Rendered<'a> {
    pub(super) steps: String,
    pub(super) files: Vec<(&'a Content, u32)>,
    /// Whether a process of ours is to be supervised.
    pub(super) processes: bool,
    /// What it is a remedy for, as a line.
    pub(super) treatment: Option<String>,
}

pub(super) fn render(run: &HostRun) -> Result<Rendered<'_>, PayloadError> {
    let mut rendered = Rendered { steps: String::new(), files: Vec::new(), processes: false, treatment: None };
    rendered.treatment = run.treatment.as_ref().map(Treatment::line);
    let place = run.ticket.as_deref().and_then(ticket_key).unwrap_or_default();
    let mut head = Words::new("");
    for (name, value) in [
        ("who", encode(&run.who)),
        ("wait_lock", seconds(run.wait_lock)),
        ("place", place),
        ("within", run.within.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("contact", seconds(run.contact.unwrap_or_default())),
        ("unit_within", seconds(WORD_WITHIN)),
        ("pull_within", seconds(PULL_WITHIN)),
        ("stages", run.stages.len().to_string()),
    ] {
        head.line(&format!("{name}={}", quote(&value)));
    }
    rendered.steps.push_str(&head.0);
    for (index, stage) in run.stages.iter().enumerate() {
        rendered.stage(index + 1, stage)?;
    }
    Ok(rendered)
}

/// Whole seconds, never fewer than asked for.
fn seconds(time: Duration) -> String {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    // The shell's arithmetic is signed; a century is as good as for ever.
    whole.min(3_000_000_000).to_string()
}

struct Words(String);

impl Words {
    fn new(word: &str) -> Self {
        Self(word.to_owned())
    }

    fn word(mut self, word: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(&quote(word));
        self
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

impl<'a> Rendered<'a> {
    fn stage(&mut self, number: usize, stage: &'a Stage) -> Result<(), PayloadError> {
        let optional = |id: &Option<crate::model::ReleaseId>| id.as_ref().map(ToString::to_string).unwrap_or_default();
        let lost = match stage.on_lost_contact {
            OnLostContact::Undo => "undo",
            OnLostContact::Keep => "keep",
        };
        let _ = writeln!(
            self.steps,
            "stage_{number}() {{ service={} expect={} release={} verdict={} go={} soak={} unit_within={} lost={lost} steps={} after={}; }}",
            quote(stage.service.as_str()),
            quote(&optional(&stage.expect)),
            quote(&optional(&stage.release)),
            seconds(stage.verdict_within),
            seconds(stage.go_within),
            stage.soak.as_millis() / 10,
            seconds(stage.word_within),
            stage.steps.len(),
            stage.after.len(),
        );
        let mut purge = String::new();
        for (index, step) in stage.steps.iter().enumerate() {
            whole(step)?;
            let call = self.call(step);
            let at = index + 1;
            let what = encode(&step.to_string());
            let _ = writeln!(self.steps, "what_{number}_{at}={}\nstep_{number}_{at}() {{ {call}; }}", quote(&what));
            if let Step::Remove { path } = step {
                let _ = write!(purge, " purge_remove {};", quote(path));
            }
        }
        let _ = writeln!(self.steps, "purge_{number}() {{ :;{purge} }}");
        for (index, step) in stage.after.iter().enumerate() {
            whole(step)?;
            let call = self.call(step);
            let _ = writeln!(self.steps, "after_{number}_{}() {{ {call}; }}", index + 1);
        }
        Ok(())
    }

    /// The call for a step: `$act` is `do` or `undo`.
    fn call(&mut self, step: &'a Step) -> String {
        let verb = |name: &str| Words::new(&format!("\"$act\"_{name}"));
        match step {
            Step::Folder { path, mode, owner } => {
                verb("folder").word(path).word(&format!("{mode:o}")).word(owner.as_deref().unwrap_or_default())
            }
            Step::Unpack { release, into, owner, from } => {
                let call = verb("unpack").word(release.as_str()).word(owner.as_deref().unwrap_or_default()).word(into);
                from.iter().fold(call, |call, from| call.word(from))
            }
            Step::Put { path, content, mode, owner } => {
                self.files.push((content, *mode));
                let number = self.files.len().to_string();
                verb("put").word(&number).word(owner.as_deref().unwrap_or_default()).word(path)
            }
            Step::Link { path, target } => verb("link").word(target).word(path),
            Step::Remove { path } => verb("remove").word(path),
            Step::Run { cmd, undo } => return run("bounded", cmd, undo.as_ref()),
            Step::Make { cmd, undo } => return run("minded", cmd, undo.as_ref()),
            Step::HoldUnit { unit, scope } => verb("hold_unit").word(word(*scope)).word(unit),
            Step::ReloadUnits { scope } => verb("reload_units").word(word(*scope)),
            Step::Unit { unit, scope, change } => verb("unit").word(word(*scope)).word(unit).word(&change.to_string()),
            Step::HoldProcess { folder } => {
                self.processes = true;
                verb("hold_process").word(folder)
            }
            Step::Process { folder, change } => {
                self.processes = true;
                verb("process").word(folder).word(&change.to_string())
            }
            Step::Wait { probe, within } => return wait(probe, *within),
            Step::Image { tag, reference, pull } => verb("image").word(tag).word(policy(*pull)).word(reference),
            Step::Part { tag, folder, part, pull } => {
                verb("part").word(tag).word(policy(*pull)).word(folder).word(part)
            }
            Step::TakeImages { project, pins } => {
                let call = verb("take_images").word(project);
                pins.iter().fold(call, |call, (part, tag)| call.word(part).word(tag))
            }
            Step::Load { tag, image, folder, .. } => verb("load").word(tag).word(image).word(folder),
            Step::Network { name } => verb("network").word(name),
            Step::CheckProject { folder } => verb("check_project").word(folder),
            Step::CheckVolumes { image, mounted } => {
                mounted.iter().fold(verb("check_volumes").word(image), |call, at| call.word(at))
            }
            Step::HoldProject { project, current, folder, adopt } => {
                let call = verb("hold_project").word(project).word(current).word(folder);
                if *adopt { call.word("adopt") } else { call }
            }
            Step::Project { project, folder, change } => of_project(verb("project").word(project).word(folder), change),
            Step::PruneImages { repository, folder, pushed } => {
                let call = verb("prune_images").word(repository).word(folder);
                pushed.iter().fold(call, |call, folder| call.word(folder))
            }
            Step::Unnamed { folder } => verb("unnamed").word(folder),
            Step::Prune { folder, keep, older_than } => {
                let call = verb("prune").word(folder).word(&seconds(*older_than));
                keep.iter().fold(call, |call, id| call.word(id.as_str()))
            }
        }
        .0
    }
}

/// What is done to a project, behind its name and its release.
fn of_project(call: Words, change: &ProjectChange) -> Words {
    match change {
        ProjectChange::Up => call.word("up"),
        ProjectChange::Start => call.word("start"),
        ProjectChange::Beside => call.word("beside"),
        ProjectChange::Alone => call.word("alone"),
        ProjectChange::Renew => call.word("renew"),
        ProjectChange::Recreate => call.word("recreate"),
        ProjectChange::Stop => call.word("stop"),
        ProjectChange::Restart => call.word("restart"),
        ProjectChange::Signal(signal) => call.word("reload").word(signal),
        ProjectChange::Down => call.word("down"),
        ProjectChange::Take => call.word("take"),
    }
}

fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "system",
        Scope::User => "user",
    }
}

fn policy(pull: Pull) -> &'static str {
    match pull {
        Pull::Missing => "missing",
        Pull::Always => "always",
        Pull::Never => "never",
    }
}

fn run(by: &str, cmd: &Cmd, undo: Option<&Cmd>) -> String {
    let call = |by: &str, cmd: &Cmd| format!("{by} {} {}", seconds(cmd.within), cmd.line());
    let undo = undo.map_or_else(|| ":".to_owned(), |undo| call("bounded", undo));
    format!("case $act in do) {} ;; *) {undo} ;; esac", call(by, cmd))
}

fn wait(probe: &Probe, within: Duration) -> String {
    let call = |name: &str| Words::new(name).word(&seconds(within));
    let call = match probe {
        Probe::UnitActive { unit, scope } => call("wait_unit").word(word(*scope)).word(unit),
        Probe::ProcessAlive { folder } => call("wait_process").word(folder),
        Probe::ProjectRuns { project, release } => {
            let call = call("wait_project").word(project);
            release.iter().fold(call, |call, release| call.word(release.as_str()))
        }
        Probe::PortOpen { port } => call("wait_port").word(&port.to_string()),
    };
    format!("[ \"$act\" = undo ] || {}", call.0)
}

/// How long the steps of a stage may take at most, done or undone.
#[must_use]
pub fn longest(stage: &Stage) -> Duration {
    let one = |step: &Step| match step {
        Step::Run { cmd, undo } | Step::Make { cmd, undo } => {
            cmd.within + undo.as_ref().map_or(Duration::ZERO, |undo| undo.within)
        }
        Step::Wait { within, .. } => *within,
        Step::Image { .. } | Step::Part { .. } | Step::Load { .. } => PULL_WITHIN,
        Step::Project { .. } | Step::HoldProject { .. } => stage.word_within * 2,
        Step::Unit { .. } | Step::HoldUnit { .. } => stage.word_within * 2,
        Step::Process { .. } | Step::HoldProcess { .. } => stage.word_within * 2,
        _ => WORD_WITHIN,
    };
    stage.steps.iter().chain(&stage.after).map(one).sum()
}

/// Refuses what no program on the host could be given: a NUL, which ends every word there.
fn whole(step: &Step) -> Result<(), PayloadError> {
    let texts: Vec<&str> = match step {
        Step::Folder { path, owner, .. } | Step::Put { path, owner, .. } => {
            [Some(path.as_str()), owner.as_deref()].into_iter().flatten().collect()
        }
        Step::Unpack { into, owner, from, .. } => {
            [Some(into.as_str()), owner.as_deref(), from.as_deref()].into_iter().flatten().collect()
        }
        Step::Link { path, target } => vec![path, target],
        Step::Remove { path } => vec![path],
        Step::Run { cmd, undo } | Step::Make { cmd, undo } => {
            let undo = undo.iter().flat_map(|undo| undo.words());
            cmd.words().iter().chain(undo).map(String::as_str).collect()
        }
        Step::HoldUnit { unit, .. } | Step::Unit { unit, .. } => vec![unit],
        Step::ReloadUnits { .. } => Vec::new(),
        Step::HoldProcess { folder } | Step::Process { folder, .. } => vec![folder],
        Step::Unnamed { folder } | Step::Prune { folder, .. } => vec![folder],
        Step::Image { tag, reference, .. } => vec![tag, reference],
        Step::Part { tag, folder, part, .. } => vec![tag, folder, part],
        Step::Load { tag, image, reference, folder } => vec![tag, image, reference, folder],
        Step::Network { name } => vec![name],
        Step::CheckProject { folder } => vec![folder],
        Step::CheckVolumes { image, mounted } => std::iter::once(image).chain(mounted).map(String::as_str).collect(),
        Step::HoldProject { project, current, folder, .. } => vec![project, current, folder],
        Step::Project { project, folder, .. } => vec![project, folder],
        Step::TakeImages { project, pins } => {
            let pins = pins.iter().flat_map(|(part, tag)| [part.as_str(), tag]);
            std::iter::once(project.as_str()).chain(pins).collect()
        }
        Step::PruneImages { repository, folder, pushed } => {
            [repository, folder].into_iter().chain(pushed).map(String::as_str).collect()
        }
        Step::Wait { probe, .. } => match probe {
            Probe::UnitActive { unit, .. } => vec![unit],
            Probe::ProcessAlive { folder } => vec![folder],
            Probe::ProjectRuns { project, .. } => vec![project],
            Probe::PortOpen { .. } => Vec::new(),
        },
    };
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(PayloadError::Nul { what: step.to_string().replace('\0', "\\0") });
    }
    Ok(())
}
