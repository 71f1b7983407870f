//! What changes in the texts of a release: its units, its files, and which names in its environment.
//! Values of the environment are never part of it: one may be private even when nobody said so.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;

use crate::host::look::Compared;
use crate::host::run::{TreeEntry, TreeKind};
use crate::host::{OURS, Record, SeenService, Supervisor};
use crate::model::ServiceName;
use crate::plan::engine::Wanted;
use crate::plan::render::Sources;
use crate::plan::seal::mark;
use crate::registry::{COMPOSE_FILES, COMPOSE_OVERRIDES, Kind, Mask, Project, Registry, Service};

/// The most lines of one difference; the rest is counted.
const LINES: usize = 120;

/// What stands in no file of the user's.
pub(super) const ENVIRONMENT: &str = "environment";

/// How one text changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TextChange {
    /// The path of a unit, or of a file in the release; `environment` for what stands in no file of the user's.
    pub path: String,
    /// A unified difference with two lines around each change; for the environment, a line for each name.
    pub diff: String,
}

/// The most files of one source whose differences are shown, and the largest.
const FILES: usize = 400;
const LARGEST: u64 = 64 << 10;

/// The files of the releases in force that a look must bring, so that what changes in them can be told: what we write, and of
/// a source the small files that are another now. Closed and hidden ones are only named, as secrets like to live there.
#[must_use]
pub fn compared(
    registry: &Registry,
    services: &BTreeSet<ServiceName>,
    sources: &Sources,
) -> BTreeMap<ServiceName, Vec<Compared>> {
    let services = services.iter().filter_map(|name| registry.services.get(name));
    services.map(|service| (service.name.clone(), of_one(service, sources))).collect()
}

fn of_one(service: &Service, sources: &Sources) -> Vec<Compared> {
    let further = (2..=service.instances).map(|instance| format!("{OURS}/env.{instance}"));
    let mut paths: Vec<String> = std::iter::once(env_file()).chain(further).collect();
    paths.extend(service.files.keys().cloned());
    if let Kind::Docker(docker) = &service.kind
        && let Project::Compose { path, .. } = &docker.project
    {
        paths.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        paths.extend(COMPOSE_FILES.iter().chain(&COMPOSE_OVERRIDES).map(|name| (*name).to_owned()));
    }
    let tree: Vec<_> = sources.trees.get(&service.name).into_iter().flatten().collect();
    paths.retain(|path| !tree.iter().any(|entry| entry.path == *path));
    let entries = tree.into_iter().filter(|entry| is_shown(entry, sources)).take(FILES);
    let written = paths.into_iter().map(|path| Compared { path, unless: None });
    let sent = entries.map(|entry| Compared { path: entry.path.clone(), unless: mark(&entry.kind) });
    written.chain(sent).collect()
}

/// The files in which two releases on a host differ, as far as it may be told how: what we write, and of a source what is open to
/// others on this machine, also its compose file. What is not here any more is only named. All environments are asked for in any case, as
/// they say what is masked in all that differs.
#[must_use]
pub fn compared_back(
    (before, after): (&Record, &Record),
    service: Option<&Service>,
    is_open: impl Fn(&Service, &str) -> bool,
) -> Vec<Compared> {
    let environments = before.files.keys().chain(after.files.keys()).filter(|path| is_environment(path)).cloned();
    let environments: BTreeSet<String> = environments.chain([env_file()]).collect();
    let differs = |(path, mark): &(&String, &String)| before.files.get(*path).is_some_and(|old| old != *mark);
    let ours = |service: &Service, path: &String| service.files.contains_key(path);
    let open = |service: &Service, path: &String| !is_hidden(path) && is_open(service, path);
    let may = |path: &String| service.is_some_and(|service| ours(service, path) || open(service, path));
    let differ = after.files.iter().filter(differs).map(|(path, _)| path);
    let differ = differ.filter(|path| !is_environment(path) && may(path));
    let paths = environments.iter().chain(differ.take(FILES));
    paths.map(|path| Compared { path: path.clone(), unless: None }).collect()
}

fn is_hidden(path: &str) -> bool {
    path.starts_with('.') || path.contains("/.")
}

/// Whether the differences of a file of a source are shown.
fn is_shown(entry: &TreeEntry, sources: &Sources) -> bool {
    let hidden = is_hidden(&entry.path);
    matches!(&entry.kind, TreeKind::File { from, size, .. } if *size <= LARGEST && !hidden && sources.open.contains(from))
}

/// What changes in the texts, as far as the look brought the old ones.
pub(super) fn changed(before: &Record, found: &SeenService, wanted: &Wanted, sources: &Sources) -> Vec<TextChange> {
    let made = wanted.files.iter().filter_map(|entry| match &entry.kind {
        TreeKind::Made { content, .. } => Some((&entry.path, String::from_utf8_lossy(&content.bytes))),
        _ => None,
    });
    let made: Vec<_> = made.collect();
    let new = made.iter().map(|(path, text)| (*path, &**text));
    let (Some(old), Some(new)) = (environments(written(&found.texts)), environments(new)) else { return Vec::new() };
    let mut all = Differences::new(before, &wanted.record, [old, new]);
    for entry in &wanted.files {
        let Some(old) = found.texts.get(&entry.path) else { continue };
        let bytes = match &entry.kind {
            TreeKind::Made { content, .. } if !content.secret => Some(&*content.bytes),
            TreeKind::File { from, .. } if is_shown(entry, sources) => sources.texts.get(from).map(Vec::as_slice),
            TreeKind::File { .. } | TreeKind::Made { .. } | TreeKind::Folder | TreeKind::Link { .. } => None,
        };
        if let Some(new) = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            all.add(&entry.path, old, new);
        }
    }
    all.end()
}

/// What changes in the texts on the way back to a release that lies on the host, as far as the look brought both. Without an environment
/// nobody knows what is to be masked, and nothing is told.
#[must_use]
pub fn changed_back(before: &Record, after: &Record, found: &SeenService) -> Vec<TextChange> {
    let nothing = BTreeMap::new();
    let new = found.past_texts.get(&after.release).unwrap_or(&nothing);
    let lacks = |record: &Record, brought: &BTreeMap<String, String>| {
        record.files.keys().any(|path| is_environment(path) && !brought.contains_key(path))
    };
    if lacks(before, &found.texts) || lacks(after, new) {
        return Vec::new();
    }
    let both = (environments(written(&found.texts)), environments(written(new)));
    let (Some(old_variables), Some(new_variables)) = both else { return Vec::new() };
    let mut all = Differences::new(before, after, [old_variables, new_variables]);
    for (path, new) in new.iter().filter(|(path, _)| !is_environment(path)) {
        if let Some(old) = found.texts.get(path) {
            all.add(path, old, new);
        }
    }
    all.end()
}

fn env_file() -> String {
    format!("{OURS}/env.sh")
}

/// Whether a file of a release holds an environment. That of the first instance is written twice, and counts once.
pub(super) fn is_environment(path: &str) -> bool {
    let of = path.strip_prefix(OURS).and_then(|path| path.strip_prefix("/env."));
    of.is_some_and(|of| of == "sh" || of.parse::<u16>().is_ok_and(|instance| instance > 1))
}

pub(super) fn written(texts: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &str)> {
    texts.iter().map(|(path, text)| (path, text.as_str()))
}

/// The variables of a release, by the file that they stand in.
pub(super) type Environments = BTreeMap<String, BTreeMap<String, String>>;

/// None when nobody knows what one of them holds, and so what is to be masked.
pub(super) fn environments<'t>(texts: impl Iterator<Item = (&'t String, &'t str)>) -> Option<Environments> {
    let texts = texts.filter(|(path, _)| is_environment(path));
    texts.map(|(path, text)| Some((path.clone(), assignments(text)?))).collect()
}

/// The differences of the texts of two releases.
struct Differences<'r> {
    before: &'r Record,
    after: &'r Record,
    /// What both environments say is private, also where the registry does not say it any more.
    mask: Mask,
    environment: Option<TextChange>,
    all: Vec<TextChange>,
}

impl<'r> Differences<'r> {
    /// Begins with the units.
    fn new(before: &'r Record, after: &'r Record, mut environments: [Environments; 2]) -> Self {
        // The name of the release stands in paths, and is told elsewhere.
        let values = environments[0].values_mut().flat_map(BTreeMap::values_mut);
        values.for_each(|value| *value = value.replace(before.release.as_str(), after.release.as_str()));
        let variables = environments.iter().flat_map(BTreeMap::values).flatten();
        let mask = Mask::of_variables(variables.map(|(name, value)| (name.as_str(), value.clone())));
        let environment = environment(&environments);
        let mut all = Self { before, after, mask, environment, all: Vec::new() };
        for unit in &after.units {
            let Some(path) = &unit.path else { continue };
            // The property list of a job holds the environment with its values.
            let private = [before.supervisor, after.supervisor].contains(&Supervisor::Launchd);
            if let Some(old) = before.units.iter().find(|old| old.path.as_ref() == Some(path) && !private) {
                all.add(path, &old.text, &unit.text);
            }
        }
        all
    }

    fn add(&mut self, path: &str, old: &str, new: &str) {
        // As in environments.
        let old = old.replace(self.before.release.as_str(), self.after.release.as_str());
        if old != new {
            self.all.push(TextChange { path: path.to_owned(), diff: self.mask.text(&unified(&old, new)) });
        }
    }

    fn end(mut self) -> Vec<TextChange> {
        self.all.extend(self.environment);
        self.all
    }
}

/// Which names of the environment come, go, or get another value, for an instance that both have.
fn environment([old, new]: &[Environments; 2]) -> Option<TextChange> {
    let both = || new.iter().filter_map(|(path, new)| Some((old.get(path)?, new)));
    let mut signs: BTreeMap<(bool, &str), char> = BTreeMap::new();
    for (old, new) in both() {
        for (name, value) in new {
            match old.get(name) {
                None => _ = signs.insert((false, name), '+'),
                Some(before) if before != value => _ = signs.entry((false, name)).or_insert('~'),
                Some(_) => {}
            }
        }
        signs.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| ((true, name.as_str()), '-')));
    }
    let diff: String = signs.iter().map(|((_, name), sign)| format!("{sign}{name}\n")).collect();
    (!diff.is_empty()).then(|| TextChange { path: ENVIRONMENT.into(), diff })
}

/// The assignments of a file that a shell or systemd reads: `export NAME='VALUE'` and `NAME="VALUE"`, where a value may go over several
/// lines. None when it is no such file.
fn assignments(text: &str) -> Option<BTreeMap<String, String>> {
    let words = shlex::split(text)?;
    // What is no assignment: see `engine::process::env_file`.
    let others = ["export", "set", "--", "/usr/bin/env", "$@"];
    let pairs = words.iter().filter(|word| !others.contains(&word.as_str())).map(|word| word.split_once('='));
    pairs.map(|pair| pair.map(|(name, value)| (name.into(), value.into()))).collect()
}

fn unified(old: &str, new: &str) -> String {
    let whole = TextDiff::from_lines(old, new).unified_diff().context_radius(2).to_string();
    let more = whole.lines().count().saturating_sub(LINES);
    if more == 0 {
        return whole;
    }
    let shown: String = whole.split_inclusive('\n').take(LINES).collect();
    format!("{shown}and {more} more lines\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_its_lines_and_an_end() {
        assert_eq!(unified("a\nb\nc\n", "a\nx\nc\n"), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
        let long: String = (0..500).map(|number| format!("{number}\n")).collect();
        assert!(unified("", &long).ends_with("and 381 more lines\n"), "{}", unified("", &long));
    }

    fn record(digit: &str, units: &str, files: &[(&str, &str)]) -> Record {
        let files: Vec<String> = files.iter().map(|(path, mark)| format!("\"{path}\":\"{mark}\"")).collect();
        let text = format!(
            r#"{{"format":1,"service":"web","release":"{}","engine":"native","supervisor":"systemd","scope":"system","units":[{units}],
            "user":null,"checks":[],"hooks":{{"before":[],"after":[]}},"summary":{{}},"files":{{{}}}}}"#,
            digit.repeat(16),
            files.join(",")
        );
        Record::parse(&text).expect("a record")
    }

    fn told(releases: (&Record, &Record), [old, new]: [&[(&str, &str)]; 2]) -> Vec<(String, String)> {
        let texts = |all: &[(&str, &str)]| all.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        let past_texts = BTreeMap::from([(releases.1.release.clone(), texts(new))]);
        let found = SeenService { texts: texts(old), past_texts, ..SeenService::default() };
        changed_back(releases.0, releases.1, &found).into_iter().map(|one| (one.path, one.diff)).collect()
    }

    const ENV: &str = ".portoser/env.sh";

    #[test]
    fn what_an_environment_calls_a_secret_is_masked_in_every_file() {
        let (old, new) =
            ("export DB_PASSWORD='it was so'\nexport A=1\n", "export DB_PASSWORD=another-one\nexport A=2\n");
        let now = [("app.ini", "in 1111111111111111\npin = it was so\n"), (ENV, old)];
        let past = [("app.ini", "in 2222222222222222\npin = another-one\n"), (ENV, new)];
        let diff = "@@ -1,2 +1,2 @@\n in 2222222222222222\n-pin = [masked]\n+pin = [masked]\n";
        assert_eq!(
            told((&record("1", "", &[]), &record("2", "", &[])), [&now, &past]),
            [("app.ini".into(), diff.into()), ("environment".into(), "~A\n~DB_PASSWORD\n".into())]
        );
    }

    #[test]
    fn an_environment_that_stayed_as_it_was_says_what_is_masked() {
        let unit =
            |text: &str| format!(r#"{{"name":"web.service","path":"/etc/web.service","enable":null,"text":"{text}"}}"#);
        let (before, after) = (
            record("1", &unit("pin=it-was-so\\nA=1\\n"), &[("app.ini", "a"), (ENV, "e")]),
            record("2", &unit("pin=it-was-so\\nA=2\\n"), &[("app.ini", "b"), (ENV, "e")]),
        );
        let env = (ENV, "export DB_PASSWORD=it-was-so\n");
        let asked = |service| -> Vec<String> {
            compared_back((&before, &after), service, |_, _| true).into_iter().map(|one| one.path).collect()
        };
        assert_eq!(asked(None), [ENV], "what is in no registry has units yet");
        assert_eq!(asked(Some(&service("{ type: native, host: h, run: [x] }"))), [ENV, "app.ini"]);
        let (now, past) =
            ([("app.ini", "pin = it-was-so\nhello\n"), env], [("app.ini", "pin = it-was-so\nbye\n"), env]);
        let all = told((&before, &after), [&now, &past]);
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all.iter().all(|(_, diff)| diff.contains("[masked]") && !diff.contains("it-was-so")), "{all:?}");
        // Without it nobody knows what is a secret.
        assert_eq!(told((&before, &after), [&now, &past[..1]]), []);
        assert_eq!(told((&before, &after), [&now[..1], &past]), []);
    }

    #[test]
    fn a_compose_file_that_is_closed_here_is_not_told() {
        let compose =
            service("{ type: docker, host: h, compose: ./shop/compose.yml, files: { app.ini: { text: x } } }");
        let files = |mark| ["app.ini", "compose.yml", "docker-compose.yml", ENV].map(|path| (path, mark));
        let (before, after) = (record("1", "", &files("a")), record("2", "", &files("b")));
        let asked = |open: bool| -> Vec<String> {
            let all = compared_back((&before, &after), Some(&compose), |_, path| open && path == "compose.yml");
            all.into_iter().map(|one| one.path).collect()
        };
        assert_eq!(asked(false), [ENV, "app.ini"]);
        assert_eq!(asked(true), [ENV, "app.ini", "compose.yml"]);
    }

    fn service(entry: &str) -> Service {
        let text = format!("version: 1\nhosts: {{ h: {{ address: h }} }}\nservices: {{ web: {entry} }}\n");
        // A compose file must be there.
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("shop")).expect("made");
        let compose = "services: { web: { image: x } }\n";
        std::fs::write(folder.path().join("shop/compose.yml"), compose).expect("written");
        let file = folder.path().join("r.yml");
        let registry = crate::registry::load_text(&text, crate::registry::Format::Yaml, &file, None);
        registry.expect("valid").services.into_values().next().expect("a service")
    }

    #[test]
    fn what_only_another_instance_knows_is_masked_too() {
        let second = ".portoser/env.2";
        let files = [(ENV, "e"), (".portoser/env.1", "e"), (second, "f")];
        let (before, after) = (record("1", "", &files), record("2", "", &files));
        let (env, theirs) = ((ENV, "export A='1'\n"), (second, "A=\"1\"\nPIN_SECRET=\"it \\\"was\\\" so\"\n"));
        let paths: Vec<String> =
            compared_back((&before, &after), None, |_, _| true).into_iter().map(|one| one.path).collect();
        assert_eq!(paths, [second, ENV]);
        let (old, new) = (("app.ini", "pin = it \"was\" so\na\n"), ("app.ini", "pin = it \"was\" so\nb\n"));
        let all = told((&before, &after), [&[old, env, theirs], &[new, env, (second, "A=\"2\"\n")]]);
        let diff = "@@ -1,2 +1,2 @@\n pin = [masked]\n-a\n+b\n";
        assert_eq!(all, [("app.ini".into(), diff.into()), ("environment".into(), "~A\n-PIN_SECRET\n".into())]);
        assert_eq!(told((&before, &after), [&[old, env], &[new, env, theirs]]), []);
        // What no shell reads may hide anything.
        assert_eq!(told((&before, &after), [&[old, env, (second, "A=\"1\n")], &[new, env, theirs]]), []);
    }

    #[test]
    fn of_the_environment_names_are_told_and_no_values() {
        let all = assignments("export A=1\nexport KEY='-----BEGIN\nxyz\n'\nexport B=2\n").expect("assignments");
        assert_eq!(all.keys().collect::<Vec<_>>(), ["A", "B", "KEY"]);
        assert_eq!(all["KEY"], "-----BEGIN\nxyz\n");
        assert_eq!(assignments("export A='1"), None);
        assert_eq!(assignments("some text"), None);
    }
}
