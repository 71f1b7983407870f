//! The fuzz targets have a lock file of their own; it must name the very libraries that the program is locked to.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::tidy::Text;

const FUZZ: &str = "tests/fuzz/Cargo.lock";
const REMEDY: &str = "cp Cargo.lock tests/fuzz/ && cargo metadata --quiet --format-version 1 --manifest-path \
                      tests/fuzz/Cargo.toml >/dev/null";
/// What only the fuzz targets are built of.
const OWN: &[&str] = &["arbitrary", "libfuzzer-sys", "portoser-fuzz"];

pub fn fuzz(texts: &[Text]) -> Vec<String> {
    let table = |path: &str| {
        let text = texts.iter().find(|text| text.path == path).map_or("", |text| &text.text);
        text.parse::<Table>().map_err(|error| format!("{path}: {error}"))
    };
    let (program, fuzz, manifest) = match (table("Cargo.lock"), table(FUZZ), table("Cargo.toml")) {
        (Ok(program), Ok(fuzz), Ok(manifest)) => (packages(&program), packages(&fuzz), manifest),
        (program, fuzz, manifest) => return [program, fuzz, manifest].into_iter().filter_map(Result::err).collect(),
    };
    let mut found: Vec<String> = fuzz
        .iter()
        .filter(|(name, versions)| {
            !OWN.contains(&name.as_str()) && !program.get(*name).is_some_and(|of| of.is_superset(versions))
        })
        .map(|(name, versions)| format!("{FUZZ}: `{name}` is {versions:?}, and in Cargo.lock {:?}", program.get(name)))
        .collect();
    let wanted = manifest.get("dependencies").and_then(Value::as_table).into_iter().flatten().map(|(name, how)| {
        // The name in the lock file is that of the package, which may come in under another one.
        how.get("package").and_then(Value::as_str).unwrap_or(name)
    });
    found.extend(wanted.filter(|name| !fuzz.contains_key(*name)).map(|name| format!("{FUZZ}: lacks `{name}`")));
    if fuzz.len() < 100 {
        found.push(format!("{FUZZ}: has only {} packages", fuzz.len()));
    }
    if !found.is_empty() {
        found.push(format!("mend it: {REMEDY}"));
    }
    found
}

/// The packages of a lock file, each with its versions.
fn packages(lock: &Table) -> BTreeMap<String, BTreeSet<String>> {
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.get("package").and_then(Value::as_array).into_iter().flatten() {
        let get = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        packages.entry(get("name")).or_default().insert(get("version"));
    }
    packages
}
