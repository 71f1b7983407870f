//! The fingerprint of a failure whose cause nobody knows: engine, failing looks, and what was said with all that differs from
//! host to host and day to day masked. Two of the same are the same failure.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::heal::analyze::{Problem, World};
use crate::heal::playbook::is_request;
use crate::heal::{Observation, Sight};
use crate::model::{hex, sha256};

/// What differs, and the word that stands for it; the first that fits at a place speaks.
const MASKS: &str = concat!(
    r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?)",
    r"|(?P<id>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)",
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://\S+)",
    r"|(?P<address>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){3,7}\]?(?::\d+)?)",
    r"|(?P<path>(?:^|[\s'\x22=(\[])/[^\s'\x22:,;)\]]+)",
    r"|(?P<hex>\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{7,}\b)",
    r"|(?P<number>\d+)",
);

static MASK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(MASKS).ok());

/// A line that tells of an error.
static TELLING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)error|fatal|panic|exception|fail|cannot|can't|could not|unable|refused|denied|invalid|missing|not found|no such|timed? ?out|timeout").ok()
});

/// What any service says while nothing is wrong with it, or as it is told to stop.
static ORDINARY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:listening|serving|ready|running|start(?:ed|ing|up)|connected|waiting|loaded|stopp(?:ed|ing)|shut(?:ting)? ?down|exit(?:ed|ing)|bye|ok)\b").ok()
});

/// The looks that tell whether it runs. Which of them are bad at a moment depends on the moment: what is started again and
/// again runs now and then.
const RUNS: &[&str] = &["unit", "process", "container", "port", "restarts", "start_limit"];

/// How lines begin that systemd says of any unit.
const SYSTEMD: &[&str] = &["Starting ", "Started ", "Stopping ", "Stopped ", "Failed to start "];

/// Whether a line of a log is the service's own, and not what systemd says of any unit.
#[must_use]
pub fn is_own(line: &str) -> bool {
    !line.contains(".service: ") && !SYSTEMD.iter().any(|begin| line.starts_with(begin))
}

/// Whether a line is more than a word, and not what any service says.
fn is_particular(line: &str) -> bool {
    let words = line.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
    words > 1 && !ORDINARY.as_ref().is_some_and(|ordinary| ordinary.is_match(line))
}

/// What is the same of a failure on every host and day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub engine: String,
    /// The looks that are bad; `down` for all those that tell whether it runs.
    pub looks: Vec<String>,
    /// The words of the failure with what differs masked; empty when it says nothing.
    pub said: String,
}

impl Pattern {
    /// What a problem looks like.
    #[must_use]
    pub fn of(world: &World, seen: &[Observation], problem: &Problem) -> Self {
        let here = || seen.iter().filter(|one| one.host == problem.host && one.service == problem.service);
        let bad = || here().filter(|one| one.sight == Sight::Bad);
        let mut looks: BTreeSet<&str> = bad().map(|one| one.look.as_str()).collect();
        let all = looks.len();
        looks.retain(|look| !RUNS.contains(look));
        if looks.len() < all {
            looks.insert("down");
            // What does not run answers no check.
            looks.remove("check");
        }
        let engine = problem.service.as_ref().and_then(|service| world.engines.get(service));
        // The last words of what ended are among all that it said.
        let whole = |one: &&Observation| one.look == "log" && one.values.get("part").is_none_or(|part| part != "end");
        let lines = || here().filter(whole).flat_map(|one| &one.lines);
        // What systemd says of a unit is the same for all failures.
        let own = || lines().filter(|line| is_own(line) && !is_request(line));
        let telling = |line: &&String| TELLING.as_ref().is_some_and(|telling| telling.is_match(line));
        let names = names(world, here(), problem);
        let said = own().rfind(telling).or(own().rfind(|line| is_particular(line)));
        let said = said.map(|line| template(line, names.iter().copied())).unwrap_or_else(|| {
            // Silence is the same for all services, so it is known with the service's name.
            let answer = bad().find(|one| one.look == "check").map_or("", |one| one.says.as_str());
            let answer = template(answer, std::iter::empty());
            problem.service.as_ref().map_or_else(String::new, |service| format!("{service}: {answer}"))
        });
        Self {
            engine: engine.map_or("host", String::as_str).to_owned(),
            looks: looks.into_iter().map(str::to_owned).collect(),
            said,
        }
    }

    /// Sixteen hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let all = format!("{}\n{}\n{}", self.engine, self.looks.join(" "), self.said);
        hex(&sha256(all.as_bytes()))[..16].to_owned()
    }
}

/// Whatever a message may call a service or a host: also what is needed and where that runs, and the names that the environment
/// points at. The longest first, as a short one may be a part of it.
fn names<'a>(world: &'a World, here: impl Iterator<Item = &'a Observation>, problem: &'a Problem) -> Vec<&'a str> {
    let mut names: BTreeSet<&str> = world.hosts.keys().map(|service| service.as_str()).collect();
    names.extend(world.hosts.values().flatten().map(|host| host.as_str()));
    names.extend(world.addresses.iter().map(String::as_str));
    names.extend(here.filter(|one| one.look == "names").map(|one| one.of.as_str()));
    names.insert(problem.host.as_str());
    names.extend(problem.service.as_ref().map(|service| service.as_str()));
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names
}

/// A line with a word masked where it stands alone: `app` is no part of `application`.
fn without(line: &str, name: &str) -> String {
    let (mut masked, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        // What was taken off before is no part of the word's surroundings, except its last sign.
        let left = before.chars().next_back().or(masked.chars().next_back());
        masked.push_str(before);
        masked.push_str(if joins(left) || joins(after.chars().next()) { name } else { "<name>" });
        rest = after;
    }
    masked + rest
}

/// A line with what differs masked.
fn template<'a>(line: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut line = line.to_owned();
    for name in names {
        line = without(&line, name);
    }
    let word = |found: &Captures<'_>| {
        let kind = ["time", "id", "url", "address", "path", "hex", "number"]
            .into_iter()
            .find(|kind| found.name(kind).is_some());
        let kind = kind.unwrap_or("text");
        // The sign before a path belongs to the sentence.
        let before =
            found[0].chars().next().filter(|c| kind == "path" && *c != '/').map(String::from).unwrap_or_default();
        format!("{before}<{kind}>")
    };
    match MASK.as_ref() {
        Some(mask) => mask.replace_all(&line, word).into_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::heal::analyze;
    use crate::heal::playbook::Library;
    use crate::model::{HostName, ServiceName};

    #[test]
    fn what_differs_is_masked() {
        let said = |line: &str| template(line, ["web", "pi1"].into_iter());
        assert_eq!(
            said("2026-11-21T12:00:01.123Z web[812]: cannot open /srv/web/a.db: 13"),
            "<time> <name>[<number>]: cannot open <path>: <number>"
        );
        assert_eq!(said("dial tcp 10.0.0.7:5432: connection refused"), "dial tcp <address>: connection refused");
        assert_eq!(
            said("request 0f8fad5b-d9cb-469f-a165-70867728950e to http://pi1/x failed"),
            "request <id> to <url> failed"
        );
        assert_eq!(said("commit 2c26b46b68 at 0x7ffe12"), "commit <hex> at <hex>");
    }

    #[test]
    fn what_is_needed_and_where_it_runs_makes_no_difference() {
        let name = |text: &str| ServiceName::try_from(text).expect("a name");
        let host = |text: &str| HostName::try_from(text).expect("a name");
        let print = |service: &str, at: &str, need: &str, line: &str| {
            let hosts = [(name(service), vec![host(at)]), (name(need), vec![host("db-host")])];
            let addresses = BTreeSet::from(["pg.internal.example.net".to_owned()]);
            let world = World { hosts: hosts.into(), addresses, ..World::default() };
            let (service, at) = (name(service), host(at));
            let seen = [
                Observation::service("check", &at, &service).bad("status 503"),
                Observation::service("names", &at, &service).of("queue.lan").good("it is resolved"),
                Observation::service("log", &at, &service).saying(vec![line.to_owned()]).good("a line"),
            ];
            let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
            let problems = analyze(&world, &seen, &library);
            Pattern::of(&world, &seen, &problems[0]).said
        };
        let said = "error: the clerk of <name> at <name> lost <name> on <name>";
        assert_eq!(
            print("web", "one", "db", "error: the clerk of db at pg.internal.example.net lost queue.lan on one"),
            said
        );
        assert_eq!(print("shop", "two", "store-db", "error: the clerk of store-db at db-host lost shop on two"), said);
        // Another failure stays another one.
        assert_ne!(print("web", "one", "db", "error: the porter of db at one lost web on one"), said);
    }

    #[test]
    fn words_that_tell_of_no_failure_make_no_two_services_the_same() {
        let host = HostName::try_from("one").expect("a name");
        let said = |service: &str, lines: &[&str]| {
            let service = ServiceName::try_from(service).expect("a name");
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            let seen = [
                Observation::service("check", &host, &service).bad("status 503, not 200"),
                Observation::service("log", &host, &service).saying(lines).good("lines"),
            ];
            let library = Library::load(std::path::Path::new("/nowhere")).unwrap_or_else(|_| panic!("they are valid"));
            Pattern::of(&World::default(), &seen, &analyze(&World::default(), &seen, &library)[0]).said
        };
        // What a client asked for, our own check among them, is nobody's failure, whatever words are in it.
        let asked = ["", "INFO: 127.0.0.1:4242 - \"GET /fatal-error HTTP/1.1\" 503 Service Unavailable"];
        for ordinary in ["Application startup complete.", "listening on 8080", "shutting down", "x"] {
            assert_eq!(said("orders", &[ordinary, asked[1]]), "orders: status <number>, not <number>", "{ordinary}");
        }
        assert_eq!(said("orders", &["the cellar is flooded", asked[1]]), "the cellar is flooded");
        assert_eq!(said("billing", &asked[1..]), "billing: status <number>, not <number>");
        assert_eq!(
            said("billing", &["health portoser/9 failed", "error: the queue is stuck", asked[1]]),
            "error: the queue is stuck"
        );
    }

    #[test]
    fn a_name_is_masked_where_it_is_a_word() {
        let said = |line: &str, name| template(line, std::iter::once(name));
        assert_eq!(said("broken pipe of pi", "pi"), "broken pipe of <name>");
        assert_eq!(
            said("application app failed: app.service, app-1, myapp", "app"),
            "application <name> failed: <name>.service, <name>-<number>, myapp"
        );
        assert_eq!(said("aaa aa", "aa"), "aaa <name>");
        // The same failure of two services, whatever they are called.
        assert_eq!(said("the application in app broke", "app"), said("the application in shop broke", "shop"));
    }

    proptest! {
        #[test]
        fn numbers_and_times_make_no_difference(a in 0..99_999_u32, b in 0..99_999_u32, h in 0..24_u8) {
            let line = |n: u32| format!("2026-11-{:02} {h:02}:00:00 worker {n}: lost 10.1.2.{} after {n} ms", n % 28 + 1, n % 250);
            prop_assert_eq!(template(&line(a), std::iter::empty()), template(&line(b), std::iter::empty()));
        }

        #[test]
        fn any_text_has_a_template(text in "\\PC{0,200}") {
            let _ = template(&text, ["a"].into_iter());
        }
    }
}
