//! The registry: files under `tests/cases/registry` with the faults that they must give, and the schema held to the reader.
//! `UPDATE=1` rewrites the expectations.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use portoser::registry;

use crate::cases;

/// The trials of this module: one for each case.
pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for path in ["yml", "toml", "json"].iter().flat_map(|kind| cases::files("registry", kind)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        trials.push(Trial::test(format!("registry::case::{name}"), move || case(&path)));
    }
    trials
}

/// Reads a case, and compares the faults with the file beside it. `# env: NAME` in its first line chooses an environment.
fn case(path: &Path) -> Result<(), Failed> {
    let text = std::fs::read(path)?;
    let first = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned();
    let env = first.strip_prefix("# env: ").map(str::trim);
    let told = match registry::load(path, env) {
        Ok(_) => "no faults".to_owned(),
        Err(faults) => faults.to_string(),
    };
    let folder = format!("{}/", cases::root().join("tests/cases/registry").display());
    cases::expect(&path.with_extension("faults"), &(told.replace(&folder, "") + "\n"))
}
