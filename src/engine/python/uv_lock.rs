//! `uv.lock` (versions 1.x) as requirements with hashes, for hosts where pip installs them. The lock holds for every platform;
//! each requirement gets the markers under which the project comes to need it, and pip judges them on the host.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toml::{Table, Value};

use crate::engine::python::lock::normal;

/// Ways to come to need a package; each is a set of markers that must all hold. None at all is always.
type Ways = BTreeSet<BTreeSet<String>>;

/// So many ways to one package are followed; a lock that has more has conflicts that pip could not judge.
const MOST: usize = 64;

/// The requirements of the project with these extras and groups, sorted, one a line; or why pip cannot have them.
pub(super) fn requirements(text: &str, extras: &[String], groups: &[String]) -> Result<String, String> {
    let table = read(text)?;
    let lock = Lock { packages: list(table.get("package")) };
    let root = lock.root().ok_or("it has no package for the project itself")?;
    let mut needs = Needs { lock: &lock, ways: BTreeMap::new(), rest: VecDeque::new() };
    needs.follow(lock.packages[root].get("dependencies"), &always())?;
    for (key, names) in [("optional-dependencies", extras), ("dev-dependencies", groups)] {
        for name in names {
            // One without packages stands in the metadata alone.
            needs.follow(part(lock.packages[root], key, name), &always())?;
        }
    }
    needs.all()?;
    needs.lines(root)
}

/// The first of these extras and groups that the project does not have: `extra` or `group`, and its name.
pub(super) fn lacks<'a>(text: &str, extras: &'a [String], groups: &'a [String]) -> Option<(&'static str, &'a str)> {
    let table = read(text).ok()?;
    let lock = Lock { packages: list(table.get("package")) };
    let root = lock.packages[lock.root()?];
    let metadata = root.get("metadata").and_then(Value::as_table);
    let provided = metadata.and_then(|metadata| metadata.get("provides-extras")).and_then(Value::as_array);
    let provided: BTreeSet<String> = provided.into_iter().flatten().filter_map(Value::as_str).map(normal).collect();
    let extra =
        |name: &&String| part(root, "optional-dependencies", name).is_none() && !provided.contains(&normal(name));
    let dev = |name: &str| metadata.is_some_and(|metadata| part(metadata, "requires-dev", name).is_some());
    let group = |name: &&String| part(root, "dev-dependencies", name).is_none() && !dev(name);
    let extra = extras.iter().find(extra).map(|name| ("extra", name.as_str()));
    extra.or_else(|| groups.iter().find(group).map(|name| ("group", name.as_str())))
}

fn read(text: &str) -> Result<Table, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| format!("it is not TOML: {}", error.message()))?;
    let known = table.get("version").and_then(Value::as_integer) == Some(1);
    known.then_some(table).ok_or_else(|| "its version is not 1".into())
}

fn always() -> Ways {
    Ways::from([BTreeSet::new()])
}

struct Lock<'a> {
    packages: Vec<&'a Table>,
}

impl Lock<'_> {
    /// The package that is the project itself.
    fn root(&self) -> Option<usize> {
        self.packages.iter().position(|package| own(package).is_some_and(|path| path == "."))
    }
}

/// A package, or what one of its extras adds.
type Need = (usize, Option<String>);

struct Needs<'a> {
    lock: &'a Lock<'a>,
    ways: BTreeMap<Need, Ways>,
    rest: VecDeque<Need>,
}

impl Needs<'_> {
    /// Takes in what is named here, when it is come to in these ways.
    fn follow(&mut self, named: Option<&Value>, ways: &Ways) -> Result<(), String> {
        for one in list(named) {
            let index = self.lock.find(one)?;
            let marker = text(one, "marker");
            let mut longer = Ways::new();
            for way in ways {
                let mut way = way.clone();
                way.extend(marker.map(str::to_owned));
                longer.insert(way);
            }
            let extras = one.get("extra").and_then(Value::as_array).into_iter().flatten();
            let extras = extras.filter_map(|extra| Some(Some(extra.as_str()?.to_owned())));
            for extra in std::iter::once(None).chain(extras) {
                self.reach((index, extra), &longer)?;
            }
        }
        Ok(())
    }

    fn reach(&mut self, need: Need, ways: &Ways) -> Result<(), String> {
        let known = self.ways.entry(need.clone()).or_default();
        let mut more = false;
        for way in ways {
            // A way that asks for more than another one adds nothing.
            if known.iter().any(|other| other.is_subset(way)) {
                continue;
            }
            known.retain(|other| !way.is_subset(other));
            known.insert(way.clone());
            more = true;
        }
        if known.len() > MOST {
            return Err("too many markers lead to one package".into());
        }
        if more {
            self.rest.push_back(need);
        }
        Ok(())
    }

    /// Follows all to their ends. It ends, as the ways to each package only get wider.
    fn all(&mut self) -> Result<(), String> {
        while let Some((index, extra)) = self.rest.pop_front() {
            let ways = self.ways.get(&(index, extra.clone())).cloned().unwrap_or_default();
            let package = self.lock.packages[index];
            let named = match &extra {
                None => package.get("dependencies"),
                Some(extra) => part(package, "optional-dependencies", extra),
            };
            self.follow(named, &ways)?;
        }
        Ok(())
    }

    fn lines(&self, root: usize) -> Result<String, String> {
        let plain = self.ways.iter().filter(|((index, extra), _)| extra.is_none() && *index != root);
        let mut lines = Vec::new();
        for ((index, _), ways) in plain {
            let package = self.lock.packages[*index];
            if let Some(wanted) = wanted(package)? {
                let hashes = hashes(package);
                lines.push((wanted + &marker(ways), hashes));
            }
        }
        lines.sort();
        // pip wants a hash for each or for none.
        let hashed = lines.iter().all(|(_, hashes)| !hashes.is_empty());
        let line = |(wanted, hashes): &(String, BTreeSet<String>)| {
            let hashes = hashes.iter().filter(|_| hashed).map(|hash| format!(" --hash={hash}"));
            format!("{wanted}{}\n", hashes.collect::<String>())
        };
        Ok(lines.iter().map(line).collect())
    }
}

impl Lock<'_> {
    /// The package that a dependency names; where several versions are locked, it says which.
    fn find(&self, named: &Table) -> Result<usize, String> {
        let name = text(named, "name").unwrap_or_default();
        let version = text(named, "version");
        let fits = |package: &&Table| {
            text(package, "name") == Some(name) && (version.is_none() || text(package, "version") == version)
        };
        let found = self.packages.iter().position(fits);
        found.ok_or_else(|| format!("it names `{name}` and does not hold it"))
    }
}

/// The path of a project that is part of the source.
fn own(package: &Table) -> Option<&str> {
    let source = package.get("source")?.as_table()?;
    text(source, "virtual").or_else(|| text(source, "editable"))
}

/// What pip is told of a package; nothing of a project that lies in the source.
fn wanted(package: &Table) -> Result<Option<String>, String> {
    let (name, version) = (text(package, "name").unwrap_or_default(), text(package, "version"));
    let source = package.get("source").and_then(Value::as_table);
    if own(package).is_some() {
        return Ok(None);
    }
    if let Some(url) = source.and_then(|source| text(source, "url")) {
        return Ok(Some(format!("{name} @ {url}")));
    }
    match (source.is_some_and(|source| source.contains_key("registry")), version) {
        (true, Some(version)) => Ok(Some(format!("{name}=={version}"))),
        _ => Err(format!("`{name}` comes neither from an index nor from a URL")),
    }
}

fn hashes(package: &Table) -> BTreeSet<String> {
    let mut files = list(package.get("wheels"));
    files.extend(package.get("sdist").and_then(Value::as_table));
    files.into_iter().filter_map(|file| Some(text(file, "hash")?.to_owned())).collect()
}

fn marker(ways: &Ways) -> String {
    if ways.iter().any(BTreeSet::is_empty) {
        return String::new();
    }
    let all = |way: &BTreeSet<String>| way.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and ");
    let any: Vec<String> = ways.iter().map(all).collect();
    format!(" ; {}", any.join(" or "))
}

fn part<'a>(package: &'a Table, key: &str, name: &str) -> Option<&'a Value> {
    let parts = package.get(key)?.as_table()?;
    parts.iter().find(|(key, _)| normal(key) == normal(name)).map(|(_, value)| value)
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}

fn list(value: Option<&Value>) -> Vec<&Table> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "b", marker = "os_name == 'nt'" }, { name = "c", extra = ["more"] }]
wheels = [{ hash = "sha256:0a" }, { hash = "sha256:00" }]
[[package]]
name = "b"
version = "2.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "a" }, { name = "d", marker = "python_version < '3.12'" }]
sdist = { hash = "sha256:0b" }
[[package]]
name = "c"
version = "3.0"
source = { url = "https://example.net/c.whl" }
wheels = [{ hash = "sha256:0c" }]
[package.optional-dependencies]
more = [{ name = "d", version = "4.0", marker = "sys_platform == 'darwin'" }]
[[package]]
name = "d"
version = "4.0"
source = { registry = "https://pypi.org/simple" }
sdist = { hash = "sha256:0d" }
[[package]]
name = "d"
version = "5.0"
source = { registry = "https://pypi.org/simple" }
sdist = { hash = "sha256:0e" }
[[package]]
name = "g"
version = "1"
source = { git = "https://example.net/g.git" }
[[package]]
name = "it"
source = { virtual = "." }
dependencies = [{ name = "a" }]
[package.optional-dependencies]
Win-Dows = [{ name = "b" }]
[package.dev-dependencies]
dev = [{ name = "g" }]
[package.metadata]
provides-extras = ["win-dows", "None"]
[package.metadata.requires-dev]
dev = [{ name = "g" }]
empty = []
"#;

    #[test]
    fn each_package_comes_with_the_markers_that_lead_to_it() {
        let told = requirements(LOCK, &[], &[]).expect("requirements");
        assert_eq!(
            told,
            "a==1.0 --hash=sha256:00 --hash=sha256:0a\n\
             b==2.0 ; (os_name == 'nt') --hash=sha256:0b\n\
             c @ https://example.net/c.whl --hash=sha256:0c\n\
             d==4.0 ; (os_name == 'nt') and (python_version < '3.12') or (sys_platform == 'darwin') --hash=sha256:0d\n"
        );
        let told = requirements(LOCK, &["win_dows".into()], &[]).expect("requirements");
        assert!(told.contains("\nb==2.0 --hash"), "{told}");
        assert!(requirements(LOCK, &[], &["dev".into()]).is_err_and(|why| why.contains("`g`")));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            requirements(LOCK, &names(&["none"]), &names(&["Empty"])),
            requirements(LOCK, &[], &[]),
            "those without packages are no fault"
        );
        for (extras, groups, lacking) in [
            (&["win_dows", "none"][..], &["dev", "empty"][..], None),
            (&["win_dows", "dev"], &["dev"], Some(("extra", "dev"))),
            (&[], &["dev", "no"], Some(("group", "no"))),
        ] {
            assert_eq!(lacks(LOCK, &names(extras), &names(groups)), lacking);
        }
        assert!(requirements("version = 2", &[], &[]).is_err());
    }
}
