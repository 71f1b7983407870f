//! One look at a host and its services: a script that asks everything in one exec, and the reader of its answer.
//! Both are pure. An answer that cannot be read is an error, never a bad state.

mod beside;
mod containers;
mod discover;
mod fetch;
mod made;
mod read;
mod records;

use std::collections::{BTreeMap, BTreeSet};

use crate::host::facts::TOOLS;
use crate::host::{STORE, run};
use crate::model::{Login, Pull, ReleaseId, Scope, ServiceName, quote};

pub use beside::{Beside, ENDED, MUTE, late, read_beside};
pub use containers::{INSPECT, container_units, containers};
pub use discover::{Container, Discovered, FoundUnit, Listener, Listeners, Part, discover_script, read_discovered};
pub use fetch::{Fetch, Fetches, room_for};
pub use made::Made;
pub(in crate::host) use made::REMADE;
pub use read::{LookError, job, process, process_name, read, units};
pub use records::{Proof, RecordState, Records, RunRecord, read_records, records_script};

/// What the look is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The base folder, where the registry names one.
    pub base: Option<String>,
    pub services: Vec<ServiceName>,
    /// Whether the records of the older releases are wanted, too, because one of them may come into force again.
    pub past: bool,
    /// The small files of services that are wanted as they are in the release in force.
    pub texts: BTreeMap<ServiceName, Vec<Compared>>,
    /// The same of another release than the one in force.
    pub past_texts: BTreeMap<ServiceName, (ReleaseId, Vec<Compared>)>,
    /// Services that the registry does not put there; their units are those that their records name.
    pub strays: Vec<ServiceName>,
    /// What is asked of whatever lies there besides.
    pub others: Others,
    /// Whether the versions of tools are wanted: each costs a process on the host.
    pub versions: bool,
    /// The versions of Python to look for, major and minor; an empty one is any. Each costs a process on the host.
    pub pythons: BTreeSet<String>,
    /// Compose projects to ask for beside those that records name.
    pub projects: Vec<String>,
    /// Whether docker must answer, because services of the registry need it here.
    pub docker: bool,
    /// Images that a host may have to fetch: the service, the reference, and when it is fetched: with `Pull::Always` its
    /// registry is asked even when the host has it.
    pub images: Vec<(ServiceName, String, Pull)>,
    /// The image registries among theirs that want to know who asks.
    pub logins: Vec<Login>,
    /// The units to ask the init system for.
    pub units: Vec<(Scope, String)>,
}

/// What a look asks of services that are not its subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    #[default]
    Nothing,
    /// The names of all that lie there, which costs the host no process.
    Names,
    /// Those, and of each that is in no list of the question all that is asked of a stray.
    All,
}

/// A file that is wanted as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its path in the release.
    pub path: String,
    /// Not wanted where the record has this mark for it, as it is the same there.
    pub unless: Option<String>,
}

/// The shells that play `sh` on hosts.
#[cfg(test)]
pub(crate) const SHELLS: &[&[&str]] = &[&["sh"], &["dash"], &["bash"], &["busybox", "sh"]];

const LIBRARY: &str = include_str!("look.sh");
const GUARD: &str = include_str!("guard.sh");
const IMAGES: &str = include_str!("images.sh");

/// The script for `sh -s`.
#[must_use]
pub fn script(question: &Question) -> String {
    script_beside(question, "")
}

/// As `script`, with shell text of the caller's before the end. It has the functions of the look (`say KEY TEXT` above all), the
/// variables that they leave, and the function `listeners`; the keys that it says hold a `/`, as no name does. What hangs is ended;
/// from `tick USR2` on that is any program.
#[must_use]
pub fn script_beside(question: &Question, more: &str) -> String {
    let mut script = format!("{LIBRARY}{}", run::peek());
    script.push_str(if more.is_empty() { "" } else { GUARD });
    let asked: Vec<_> = question.units.iter().map(|unit| unit.1.as_str()).collect();
    script.push_str(&format!("asked={}\n", quote(&format!(" {} ", asked.join(" ")))));
    let mut call = |words: &[&str]| call(&mut script, words);
    call(&host_words(question.base.as_deref()));
    if question.versions {
        call(&["versions"]);
    }
    if !question.pythons.is_empty() {
        call(&["pythons"].into_iter().chain(question.pythons.iter().map(String::as_str)).collect::<Vec<_>>());
    }
    for service in &question.services {
        call(&["apart", "stray", service.as_str()]);
        if question.past {
            call(&["past", service.as_str()]);
        }
    }
    texts(question).iter().for_each(|words| call(&words.iter().map(String::as_str).collect::<Vec<_>>()));
    question.strays.iter().for_each(|stray| call(&["apart", "stray", stray.as_str()]));
    let known = question.services.iter().chain(&question.strays).map(ServiceName::as_str);
    match question.others {
        Others::Nothing => {}
        Others::Names => call(&["lying"]),
        Others::All => call(&["besides"].into_iter().chain(known).collect::<Vec<_>>()),
    }
    for (scope, flag) in [(Scope::System, "system"), (Scope::User, "user")] {
        let units: Vec<_> = question.units.iter().filter(|unit| unit.0 == scope).map(|unit| unit.1.as_str()).collect();
        if !units.is_empty() {
            call(&[&["units", flag], units.as_slice()].concat());
        }
    }
    for project in &question.projects {
        script.push_str(&format!("projects=\"$projects \"{}\n", quote(project)));
    }
    script.push_str(&format!("inspect={}\n", quote(INSPECT)));
    script.push_str(if question.docker { "containers needed\n" } else { "containers ''\n" });
    if !question.images.is_empty() {
        script.push_str(run::sign::SIGN);
        script.push_str(STORE);
        script.push_str(IMAGES);
        if !question.logins.is_empty() {
            script.push_str("sign_place\n");
            script.push_str(&run::sign::heard(&question.logins));
        }
        let way = |pull| if pull == Pull::Always { "always" } else { "missing" };
        let all = question.images.iter().flat_map(|(service, image, pull)| [service.as_str(), way(*pull), image]);
        self::call(&mut script, &["images"].into_iter().chain(all).collect::<Vec<_>>());
    }
    script.push_str("[ \"$hung\" = '*' ] || (peek \"$base\") || say runs-hang ''\n");
    if !more.is_empty() {
        script.push_str(discover::DISCOVER);
        script.push_str(more);
        script.push_str("kill \"$dog\"; dog=\n");
    }
    script.push_str("say end ''\n");
    script
}

/// The calls that ask for texts.
fn texts(question: &Question) -> Vec<Vec<String>> {
    let now = question.texts.iter().map(|(service, paths)| (service, "", paths));
    let past = question.past_texts.iter().map(|(service, (release, paths))| (service, release.as_str(), paths));
    let call = |(service, release, paths): (&ServiceName, &str, &Vec<Compared>)| {
        // A name with a line break would end the line that names the part of the answer.
        let paths = paths.iter().filter(|one| !one.path.contains(char::is_control));
        let words = paths.flat_map(|one| [one.unless.clone().unwrap_or_default(), one.path.clone()]);
        ["texts".to_owned(), service.to_string(), release.to_owned()].into_iter().chain(words).collect()
    };
    now.chain(past).map(call).collect()
}

/// Adds the call of a function with these words.
fn call(script: &mut String, words: &[&str]) {
    let line: Vec<_> = words.iter().map(|word| quote(word)).collect();
    script.push_str(&line.join(" "));
    script.push('\n');
}

/// The call that asks for the facts of the host.
fn host_words(base: Option<&str>) -> Vec<&str> {
    [["host", base.unwrap_or_default()].as_slice(), TOOLS].concat()
}
