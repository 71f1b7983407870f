//! `portoser lessons`: what this machine knows of remedies from having applied them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::playbook::learned_document;
use crate::cli::render::duration;
use crate::cli::runs::{took, when};
use crate::cli::table::table;
use crate::cli::{Exit, Face, Failure};
use crate::heal::playbook::{Learned, Library, word};
use crate::journal::{Remedy, Verdict};

/// Show which remedies helped against which problems, what was learned, and what that saved
///
/// From the journal of this machine: every remedy that was applied, and what the second look said of it. Then what was learned
/// beside the registry: how long it took until all was good the first time, with what was tried in vain, and how long since.
#[derive(Debug, clap::Args)]
pub(super) struct Lessons {}

/// What came of one remedy against one problem.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Lesson {
    helped: usize,
    no_help: usize,
    failed: usize,
    /// Its end was not seen.
    unknown: usize,
    /// How long those took that helped.
    took: Vec<Duration>,
    last: Option<Timestamp>,
}

impl Lessons {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let past = face.journal()?.remedies(Timestamp::MIN)?;
        let (lessons, books) = (lessons(&past), books(face));
        if face.flags.json || face.flags.events {
            let all: Vec<Value> =
                lessons.iter().map(|((problem, remedy), one)| one.document(problem, remedy)).collect();
            let book = |(name, one): &(String, Learned)| {
                let mut document = learned_document(one);
                document["name"] = name.as_str().into();
                document["saved_seconds"] = saved(one).map(|time| time.as_secs_f64()).into();
                document
            };
            face.document(&json!({ "lessons": all, "learned": books.iter().map(book).collect::<Vec<_>>() }));
            return Ok(Exit::DONE);
        }
        if lessons.is_empty() {
            face.talk("no remedy was applied yet");
        }
        let rows: Vec<_> = lessons.iter().map(|((problem, remedy), one)| one.row(problem, remedy)).collect();
        table(face, ["PROBLEM", "REMEDY", "HELPED", "NO HELP", "FAILED", "UNKNOWN", "MEDIAN", "LAST (UTC)"], &rows);
        if !(rows.is_empty() || books.is_empty()) {
            face.data("");
        }
        let rows: Vec<_> = books.iter().map(|(name, one)| row(name, one)).collect();
        table(face, ["LEARNED", "STATE", "BY", "HELPED", "NO HELP", "FIRST", "SINCE", "SAVED"], &rows);
        Ok(Exit::DONE)
    }
}

/// What was learned beside the registry, if there is one; a playbook that cannot be read is told elsewhere.
fn books(face: &Face) -> Vec<(String, Learned)> {
    let Ok(registry) = face.registry_path() else { return Vec::new() };
    let library = Library::load(registry.parent().unwrap_or(Path::new("."))).unwrap_or_else(|(rest, _)| rest);
    library.books.into_values().filter_map(|(book, _)| Some((book.name, book.learned?))).collect()
}

fn row(name: &str, one: &Learned) -> [String; 8] {
    let dash = || "-".to_owned();
    let time = |time: Option<Duration>| time.map_or_else(dash, duration);
    [
        name.to_owned(),
        word(one.state).to_owned(),
        one.by.clone(),
        one.record.worked.to_string(),
        one.record.failed.to_string(),
        time(one.took),
        time(one.record.median),
        time(saved(one)),
    ]
}

/// The time that was saved: that of the first healing, less what it takes since, for each time that it helped again.
fn saved(one: &Learned) -> Option<Duration> {
    Some(one.took?.saturating_sub(one.record.median?) * one.record.worked.saturating_sub(1))
}

pub(super) fn lessons(remedies: &[Remedy]) -> BTreeMap<(String, String), Lesson> {
    let mut all: BTreeMap<(String, String), Lesson> = BTreeMap::new();
    for remedy in remedies {
        let lesson = all.entry((remedy.problem.clone(), remedy.remedy.clone())).or_default();
        match remedy.verdict {
            Some(Verdict::Helped) => lesson.helped += 1,
            Some(Verdict::NoHelp) => lesson.no_help += 1,
            Some(Verdict::Failed) => lesson.failed += 1,
            None => lesson.unknown += 1,
        }
        if let (Some(Verdict::Helped), Some(ended)) = (remedy.verdict, remedy.ended) {
            lesson.took.push(took(remedy.began, ended));
        }
        lesson.last = lesson.last.max(Some(remedy.began));
    }
    all
}

impl Lesson {
    fn median(&self) -> Option<Duration> {
        let mut took = self.took.clone();
        took.sort();
        took.get(took.len() / 2).copied()
    }

    /// In one line.
    pub(super) fn says(&self) -> String {
        let median = self.median().map(|time| format!(", {} in the middle", duration(time))).unwrap_or_default();
        let last = self.last.map(|time| format!(", last {} (UTC)", when(time))).unwrap_or_default();
        format!("helped {}, no help {}, failed {}{median}{last}", self.helped, self.no_help, self.failed)
    }

    fn row(&self, problem: &str, remedy: &str) -> [String; 8] {
        let dash = || "-".to_owned();
        [
            problem.to_owned(),
            remedy.to_owned(),
            self.helped.to_string(),
            self.no_help.to_string(),
            self.failed.to_string(),
            self.unknown.to_string(),
            self.median().map_or_else(dash, duration),
            self.last.map_or_else(dash, when),
        ]
    }

    fn document(&self, problem: &str, remedy: &str) -> Value {
        json!({
            "problem": problem,
            "remedy": remedy,
            "helped": self.helped,
            "no_help": self.no_help,
            "failed": self.failed,
            "unknown": self.unknown,
            "median_seconds": self.median().map(|time| time.as_secs_f64()),
            "last": self.last.map(|time| time.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostName, RunId};

    #[test]
    fn what_helped_is_counted_and_its_middle_time_is_told() {
        let at = |second: i64| Timestamp::from_second(second).expect("in range");
        let one = |began: i64, took: i64, verdict: Option<Verdict>| Remedy {
            run: RunId::new(at(began), 1),
            service: None,
            host: HostName::try_from("web1").expect("a name"),
            problem: "disk-full".into(),
            remedy: "disk-full".into(),
            began: at(began),
            ended: verdict.map(|_| at(began + took)),
            verdict,
        };
        let helped = Some(Verdict::Helped);
        let all = [
            one(0, 9, helped),
            one(50, 1, helped),
            one(20, 3, helped),
            one(30, 99, Some(Verdict::NoHelp)),
            one(40, 0, None),
        ];
        let lessons = lessons(&all);
        let lesson = lessons.values().next().expect("one");
        assert_eq!((lessons.len(), lesson.helped, lesson.no_help, lesson.unknown), (1, 3, 1, 1));
        assert_eq!((lesson.median(), lesson.last), (Some(Duration::from_secs(3)), Some(at(50))));
    }
}
