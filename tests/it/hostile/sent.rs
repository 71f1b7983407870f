//! What a host is sent, read as it will be read there: the archive by tar, and the steps by a shell that only tells them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use libtest_mimic::Failed;
use portoser::host::run::{self, Compression, HostRun, Stage, Tree};
use portoser::model::{OnLostContact, RunId};
use portoser::plan::Change;

/// The payload of one run on one host.
pub(super) struct Sent {
    /// The members of the archive, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What a shell makes of each stage: the words of each call of the runner's.
    pub stages: Vec<Vec<Vec<String>>>,
}

/// In the place of the runner's own functions: says with what words each is called.
const TELLS: &str = r#"
say() { printf '%s\0' "$#" "$@"; }
bounded() { say bounded "$@"; }
wait_unit() { say wait "$@"; }
wait_process() { say wait "$@"; }
wait_project() { say wait "$@"; }
for each in folder put unpack link remove hold_unit unit reload_units hold_process process prune \
  check_project hold_project project image part load take_images check_volumes network prune_images; do
  eval "do_$each() { say $each \"\$@\"; }"
done
act=do
. ./steps
"#;

impl Sent {
    /// Sends the changes of a host, as a deploy does, to nobody.
    pub(super) fn of(changes: &[Change], folder: &Path) -> Result<Self, Failed> {
        let stages = changes.iter().map(stage).collect();
        let run = HostRun {
            id: RunId::new(Timestamp::UNIX_EPOCH, 1),
            base: "/opt/portoser".into(),
            who: "me@desk".into(),
            wait_lock: Duration::from_secs(1),
            ticket: None,
            within: None,
            contact: None,
            logins: Vec::new(),
            asked: None,
            treatment: None,
            stages,
        };
        let trees: Vec<Tree> = changes.iter().flat_map(Change::trees).collect();
        let opening = run::open(&run, &trees, Compression::None)?;
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(opening.payload);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let (path, mut bytes) = (entry.path()?.to_string_lossy().into_owned(), Vec::new());
            entry.read_to_end(&mut bytes)?;
            files.insert(path, bytes);
            // The last one; no end of the archive is sent.
            if files.contains_key("whole") {
                break;
            }
        }
        std::fs::write(folder.join("steps"), &files["steps"])?;
        let mut script = TELLS.to_owned();
        for (number, change) in (1..).zip(changes) {
            script += "say stage\n";
            (1..=change.steps.len()).for_each(|step| _ = writeln!(script, "step_{number}_{step}"));
        }
        let mut stages: Vec<Vec<Vec<String>>> = Vec::new();
        for words in tell(&script, folder)? {
            match (words[0].as_str(), stages.last_mut()) {
                ("stage", _) => stages.push(Vec::new()),
                (_, Some(stage)) => stage.push(words),
                (_, None) => return Err("a step before the first stage".into()),
            }
        }
        Ok(Self { files, stages })
    }

    /// The file that a stage puts at a path on the host.
    pub(super) fn put(&self, stage: usize, path: &str) -> Option<&[u8]> {
        let call = self.stages[stage].iter().find(|words| words[0] == "put" && words[3] == path)?;
        self.files.get(&format!("payload/{}", call[1])).map(Vec::as_slice)
    }
}

fn stage(change: &Change) -> Stage {
    Stage {
        service: change.service.clone(),
        expect: None,
        release: Some(change.record.release.clone()),
        steps: change.steps.clone(),
        after: change.after.clone(),
        verdict_within: Duration::from_secs(1),
        soak: Duration::ZERO,
        word_within: Duration::from_secs(20),
        go_within: Duration::from_secs(1),
        on_lost_contact: OnLostContact::Undo,
    }
}

/// Runs a script in this folder, and reads what it says: each time a number, and so many words, all with a NUL behind them.
pub(super) fn tell(script: &str, folder: &Path) -> Result<Vec<Vec<String>>, Failed> {
    std::fs::write(folder.join("script"), script)?;
    let output = reader("sh").arg("script").current_dir(folder).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said:.2000}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let (mut words, mut all) = (text.split_terminator('\0'), Vec::new());
    while let Some(count) = words.next() {
        all.push(words.by_ref().take(count.parse()?).map(str::to_owned).collect());
    }
    Ok(all)
}

#[expect(clippy::disallowed_methods, reason = "what is sent is read by those who read it on a host")]
pub(super) fn reader(program: &str) -> Command {
    Command::new(program)
}

/// Whether this machine can judge a property list.
pub(super) fn reads_property_lists() -> bool {
    let probe = reader("python3").args(["-c", "import plistlib"]).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

/// Property lists, read by Python's reader of them; each as JSON.
pub(super) fn property_lists(lists: &[&[u8]]) -> Result<Vec<serde_json::Value>, Failed> {
    const READ: &str = "import json, plistlib, sys\n\
        lists = sys.stdin.buffer.read().split(b'\\0')[:-1]\n\
        print(json.dumps([plistlib.loads(one) for one in lists]))";
    let mut python = reader("python3").args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = python.stdin.take().ok_or("an input")?;
    // It reads all of its input before it says anything.
    lists.iter().try_for_each(|list| input.write_all(&[list, b"\0".as_slice()].concat()))?;
    drop(input);
    let output = python.wait_with_output()?;
    assert!(output.status.success(), "{}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
