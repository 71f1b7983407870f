//! The files of what was learned: `playbooks/learned/NAME.yml` beside the registry. Plain YAML in a fixed order, one portoser at a
//! time, whole or not at all; what a person wrote into one stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::heal::playbook::{Deed, Learned, Record, Risk, Source, State, read, word};
use crate::heal::{Pattern, Problem};
use crate::model::{hex, sha256};
use crate::registry::{EditError, flow, rewrite, write_duration, write_new};

/// So often something must have helped since it became a draft, and twice as often as not in all, to be trusted like any playbook.
const PROMOTED_AFTER: u32 = 3;

/// Something that helped.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    pub problem: &'a Problem,
    /// The fingerprint or the name of the problem.
    pub solves: String,
    pub pattern: Pattern,
    /// The steps, with names in the place of what differs.
    pub deeds: Vec<Deed>,
    pub risk: Risk,
    pub source: Source,
    pub by: String,
    pub at: Timestamp,
    /// Until all was good, with what was tried in vain.
    pub took: Duration,
    /// Of these, the time of what helped.
    pub own: Duration,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub name: String,
    pub file: PathBuf,
    pub state: State,
    /// Whether the file is new.
    pub new: bool,
}

impl Finding<'_> {
    /// The name: words of the failure, and a digest of the problem and its remedy, so that the same is never learned twice.
    #[must_use]
    pub fn name(&self) -> String {
        let said = if self.pattern.said.is_empty() { &self.problem.because } else { &self.pattern.said };
        let mut words = String::new();
        for part in said.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| part.len() > 1) {
            if words.len() + part.len() > 40 {
                break;
            }
            words.push_str(part);
            words.push('-');
        }
        let words = words.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        let words = if words.is_empty() { "learned-" } else { words };
        let steps: Vec<Value> = self.deeds.iter().map(step).collect();
        let all = format!("{}\n{}", self.solves, Value::from(steps));
        format!("{words}{}", &hex(&sha256(all.as_bytes()))[..8])
    }

    fn text(&self, name: &str) -> String {
        let record = Record { worked: 1, failed: 0, before: 0, last: Some(self.at), median: Some(self.own) };
        let mut text = format!("version: 1\nname: {name}\nstate: {}\n", word(State::Draft));
        let mut line = |key: &str, value: Value| text.push_str(&format!("{key}: {}\n", flow(&value)));
        line("because", clean(&self.problem.because).replace('{', "(").replace('}', ")").into());
        line("risk", serde_json::to_value(self.risk).unwrap_or_default());
        text.push_str("do:\n");
        for deed in &self.deeds {
            text.push_str(&format!("  - {}\n", flow(&step(deed))));
        }
        text.push_str(&format!("{}learned:\n", row(&record)));
        let service = self.problem.service.as_ref();
        let place = service.map_or_else(String::new, |service| format!("{service} on ")) + self.problem.host.as_str();
        let mut line = |key: &str, value: Value| text.push_str(&format!("  {key}: {}\n", flow(&value)));
        line("solves", self.solves.clone().into());
        line("by", clean(&self.by).into());
        line("from", serde_json::to_value(self.source).unwrap_or_default());
        line("on", self.at.to_string().into());
        line("at", place.into());
        line("took", write_duration(whole(self.took)).into());
        line("engine", self.pattern.engine.clone().into());
        if !self.pattern.looks.is_empty() {
            line("looks", self.pattern.looks.clone().into());
        }
        if !self.pattern.said.is_empty() {
            line("said", clean(&self.pattern.said).into());
        }
        text
    }
}

/// A step as a file holds it.
fn step(deed: &Deed) -> Value {
    if !deed.is_words() {
        return json!({ deed.verb(): deed.object() });
    }
    let (words, undo) = deed.words();
    let mut step = json!({ "run": words });
    if !undo.is_empty() {
        step["undo"] = json!(undo);
    }
    if let Some(within) = deed.within() {
        step["timeout"] = json!(write_duration(within));
    }
    step
}

/// A text as one line that a file can hold; what programs say may be anything.
fn clean(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = plain.take(500).collect();
    if line.is_empty() { "-".to_owned() } else { line }
}

/// A time that a file can hold; never nothing.
fn whole(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
}

/// The line of a record.
fn row(record: &Record) -> String {
    let mut all = json!({ "worked": record.worked, "failed": record.failed });
    if record.before > 0 {
        all["before"] = record.before.into();
    }
    if let Some(last) = record.last {
        let last = Timestamp::from_second(last.as_second()).unwrap_or(last);
        all["last"] = last.to_string().into();
    }
    if let Some(median) = record.median {
        all["median"] = write_duration(whole(median)).into();
    }
    format!("record: {}\n", flow(&all))
}

/// Writes down what helped, in the folder of the registry. What is known already is counted.
///
/// # Errors
/// When the file cannot be written.
pub fn found(folder: &Path, finding: &Finding<'_>) -> Result<Noted, EditError> {
    let name = finding.name();
    let file = folder.join("playbooks/learned").join(format!("{name}.yml"));
    let text = finding.text(&name);
    read(&text, &file).map_err(EditError::After)?;
    if write_new(&file, &text)? {
        return Ok(Noted { name, file, state: State::Draft, new: true });
    }
    note(&file, true, finding.at, Some((finding.own, 1)))
}

/// Counts what came of something that was learned, and promotes or demotes it by that. `middle` is the middle of the times that this
/// machine knows of, and of how many: it goes into the file if it is that of at least half of all, whoever else counts there.
///
/// # Errors
/// When the file cannot be written.
pub fn note(file: &Path, worked: bool, now: Timestamp, middle: Option<(Duration, usize)>) -> Result<Noted, EditError> {
    change(file, |learned| {
        let record = &mut learned.record;
        record.last = Some(now);
        record.worked = record.worked.saturating_add(u32::from(worked));
        let all = usize::try_from(record.worked).unwrap_or(usize::MAX);
        let most = middle.filter(|(_, of)| record.median.is_none() || of.saturating_mul(2) >= all);
        record.median = most.map(|(middle, _)| middle).or(record.median);
        if worked {
            let since = record.worked.saturating_sub(record.before);
            let sure = since >= PROMOTED_AFTER && record.worked > record.failed.saturating_mul(2);
            if learned.state == State::Draft && sure {
                learned.enter(State::Promoted);
            }
        } else {
            record.failed = record.failed.saturating_add(1);
            match learned.state {
                State::Promoted => learned.enter(State::Draft),
                State::Draft if record.failed > record.worked => learned.enter(State::Retired),
                State::Draft | State::Retired => {}
            }
        }
    })
}

/// Gives something that was learned another state, by a person's word.
///
/// # Errors
/// When the file cannot be written.
pub fn restate(file: &Path, state: State) -> Result<Noted, EditError> {
    change(file, |learned| learned.enter(state))
}

fn change(file: &Path, change: impl FnOnce(&mut Learned)) -> Result<Noted, EditError> {
    let mut state = State::Draft;
    rewrite(file, |text| {
        let mut learned = read(text, file).ok()?.learned?;
        change(&mut learned);
        state = learned.state;
        let text = line(text, "state", &format!("state: {}\n", word(learned.state)));
        let text = line(&text, "record", &row(&learned.record));
        // What was changed by hand in a way that is not understood is left as it is.
        let as_meant = read(&text, file).ok()?.learned?;
        (as_meant.state == learned.state && as_meant.record.worked == learned.record.worked).then_some(text)
    })?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Noted { name, file: file.to_owned(), state, new: false })
}

/// The text with another line for a key at its margin, and for what is below the key; at the end, when there is none.
fn line(text: &str, key: &str, new: &str) -> String {
    let mut said = String::new();
    let (mut within, mut done) = (false, false);
    for old in text.split_inclusive('\n') {
        let begins = old.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        if begins && !done {
            said.push_str(new);
            (within, done) = (true, true);
        } else if !(within && old.starts_with([' ', '\t'])) {
            within = false;
            said.push_str(old);
        }
    }
    if !done {
        if !said.is_empty() && !said.ends_with('\n') {
            said.push('\n');
        }
        said.push_str(new);
    }
    said
}

#[cfg(test)]
mod tests;
