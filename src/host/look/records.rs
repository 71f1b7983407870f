//! What a host itself remembers: the runs whose records lie on it, and the releases that were proven on it. All of it is
//! text from outside: what cannot be read is left out, and a name that is no name never gets further than this.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::host::Record;
use crate::host::look::read::{LookError, base_of, framed};
use crate::host::look::{LIBRARY, call, host_words};
use crate::host::run::{self, End, Entry, decode, entry, run_id};
use crate::model::{ReleaseId, RunId, ServiceName};

const RECORDS: &str = include_str!("records.sh");

/// What a host remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// The base folder on the host.
    pub base: String,
    /// The runs, in the order of their names, which is that of time. A run may have several attempts; the last comes last.
    pub runs: Vec<RunRecord>,
    pub proven: BTreeMap<ServiceName, Vec<Proof>>,
    /// What the releases that lie on it are, where that was asked for.
    pub releases: Vec<Record>,
}

/// The record of a run on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    pub id: RunId,
    /// Whether the run was begun again on this host; then there is nothing to follow here.
    pub replaced: bool,
    pub state: RecordState,
    /// What was asked of the controller that began it, in its own words; none where the host does not know. From outside: any text.
    pub asked: Option<String>,
    /// What happened, without the steps and the evidence.
    pub entries: Vec<Entry>,
}

/// How a run stands on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    Lives,
    /// Its runner is gone without an end; the next run settles it.
    Stopped,
    Ended(End),
}

/// A release that was proven on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub release: ReleaseId,
    pub run: RunId,
    /// By the host's clock.
    pub at: Timestamp,
    /// `user@machine`. From outside: any text.
    pub who: String,
}

impl Records {
    /// The record of this run that can be followed.
    #[must_use]
    pub fn run(&self, id: &RunId) -> Option<&RunRecord> {
        self.runs.iter().find(|run| run.id == *id && !run.replaced)
    }
}

/// The script for `sh -s` that asks a host for its records, and for what its releases are. `base` as in `Question`.
#[must_use]
pub fn records_script(base: Option<&str>, releases: bool) -> String {
    let mut script = format!("{LIBRARY}{}{RECORDS}", run::peek());
    call(&mut script, &host_words(base));
    script.push_str("records \"$base\"\n");
    if releases {
        script.push_str("releases \"$base\"\n");
    }
    script.push_str("say end ''\n");
    script
}

/// Reads the answer.
///
/// # Errors
/// When the answer is not ours, or is cut: the host was then not seen.
pub fn read_records(answer: &[u8]) -> Result<Records, LookError> {
    let parts = framed(answer)?;
    let mut records = Records { base: base_of(&parts)?, ..Records::default() };
    let (mut journals, mut asked) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in &parts {
        match key.as_str() {
            "runs" => records.runs = value.lines().filter_map(record).collect(),
            "journals" => journals = self::journals(value),
            "asked" => asked = self::asked(value),
            key if key.starts_with("release ") => {
                // A record that tells of another service than the folder it lies in is not believed.
                let told = Record::parse(value).ok().filter(|record| key == format!("release {}", record.service));
                records.releases.extend(told);
            }
            key => {
                let service = key.strip_prefix("proven ").and_then(|name| ServiceName::try_from(name).ok());
                if let Some(service) = service {
                    records.proven.insert(service, value.lines().filter_map(proof).collect());
                }
            }
        }
    }
    // `.N` sorts behind the bare name, but is older.
    records.runs.sort_by(|one, other| (&one.id, !one.replaced).cmp(&(&other.id, !other.replaced)));
    for run in &mut records.runs {
        let key = (run.id.clone(), run.replaced);
        run.entries = journals.remove(&key).unwrap_or_default();
        run.asked = asked.remove(&key);
    }
    Ok(records)
}

fn record(line: &str) -> Option<RunRecord> {
    let (name, state) = line.split_once(' ')?;
    let state = match state {
        "lives" => RecordState::Lives,
        "stopped" => RecordState::Stopped,
        word => RecordState::Ended(End::parse(word)?),
    };
    Some(RunRecord { id: run_id(name)?, replaced: name.contains('.'), state, asked: None, entries: Vec::new() })
}

/// A line of the host's book of what was proven: release, run, seconds since 1970, who.
fn proof(line: &str) -> Option<Proof> {
    let mut words = line.splitn(4, ' ');
    let release = ReleaseId::try_from(words.next()?).ok()?;
    let run = RunId::try_from(words.next()?).ok()?;
    let at = Timestamp::from_second(words.next()?.parse().ok()?).ok()?;
    Some(Proof { release, run, at, who: decode(words.next().unwrap_or_default()) })
}

/// What was asked of each run, as `grep -H` gives it: a line each.
fn asked(text: &str) -> BTreeMap<(RunId, bool), String> {
    let read = |line: &str| {
        let (name, asked) = line.split_once("/asked:")?;
        Some(((run_id(name)?, name.contains('.')), asked.to_owned()))
    };
    text.lines().filter_map(read).collect()
}

/// The lines of all journals, as `grep -H` gives them. Several attempts of one run are read as one: only the last of them can
/// have begun a stage.
fn journals(text: &str) -> BTreeMap<(RunId, bool), Vec<Entry>> {
    let mut journals: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
    for line in text.lines() {
        let read = || {
            let (name, line) = line.split_once("/journal:")?;
            Some(((run_id(name)?, name.contains('.')), entry(line)?))
        };
        if let Some((run, entry)) = read() {
            journals.entry(run).or_default().push(entry);
        }
    }
    journals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::look::discover::tests::answer;
    use crate::host::run::Happened;
    use proptest::prelude::*;

    const RUN: &str = "20260131-235959-0123abcd";

    #[test]
    fn a_host_tells_its_runs_and_proofs() {
        let runs = format!("{RUN} committed\n{RUN}.1 stale\n");
        let journals = format!(
            "{RUN}/journal:5 1800000000.25 stage 1 api 7 - 0123456789abcdef\n{RUN}/journal:9 1800000003.00 kept 1 proven\n\
             {RUN}.1/journal:4 1800000000.00 end stale\n"
        );
        let proven = format!("0123456789abcdef {RUN} 1800000003 ann@desk%0A\n");
        let asked = format!("{RUN}/asked:{{}}\n{RUN}.1/asked:{{}} \n../x/asked:{{}}\n");
        let parts = [("proven api", proven.as_str()), ("runs", &runs), ("asked", &asked), ("journals", &journals)];
        let records = read_records(&answer(&parts)).expect("readable");
        assert_eq!(records.base, "/opt/portoser");
        let run = records.run(&RunId::try_from(RUN).expect("a run")).expect("the last attempt");
        assert_eq!(run.state, RecordState::Ended(End::Committed));
        let Happened::Stage { stage: 1, about: Some(about) } = &run.entries[0].event else { panic!("{run:?}") };
        assert_eq!((about.service.as_str(), about.steps, &about.before), ("api", 7, &None));
        assert_eq!((run.entries.len(), run.asked.as_deref()), (2, Some("{}")));
        assert!(records.runs[0].replaced && records.runs[0].state == RecordState::Ended(End::Stale));
        assert_eq!(records.proven.values().next().expect("a book")[0].who, "ann@desk\n");
    }

    #[test]
    fn what_is_not_a_name_goes_no_further() {
        let runs = "../../etc lives\n$(reboot) lives\n20260131-235959-0123abcd burning\n\u{1b}[2J lives\n";
        let journals =
            "../x/journal:1 1.00 run 1 me\n20260131-235959-0123abcd/journal:1 99999999999999999.00 run 1 x\n";
        let parts = [("proven ../x", "a b c"), ("proven api", "x y z\n"), ("runs", runs), ("journals", journals)];
        let records = read_records(&answer(&parts)).expect("readable");
        assert_eq!(records.runs, []);
        assert_eq!(records.proven.into_values().flatten().count(), 0);
        let strange = entry("1 1.00 stage 18446744073709551615 ../x 1 - -").map(|entry| entry.event);
        assert_eq!(strange, Some(Happened::Stage { stage: usize::MAX, about: None }));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(key in "(runs|journals|proven api)", noise in "\\PC{0,200}(\n\\PC{0,40}){0,3}") {
            let _ = read_records(&answer(&[(&key, &noise)]));
            let _ = read_records(noise.as_bytes());
        }
    }
}
