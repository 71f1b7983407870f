//! The verdicts of the analysis: observations in a file, and what is made of them in the file beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use portoser::heal::playbook::Library;
use portoser::heal::{Observation, World, analyze};
use portoser::model::{HostName, ServiceName};
use serde::Deserialize;

use crate::cases::{expect, files, name};

/// A case: what is known and what was observed.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    needs: BTreeMap<ServiceName, Vec<ServiceName>>,
    #[serde(default)]
    hosts: BTreeMap<ServiceName, Vec<HostName>>,
    observations: Vec<Observation>,
}

pub fn trials() -> Vec<Trial> {
    let one = |file: std::path::PathBuf| Trial::test(format!("heal::{}", name(&file)), move || case(&file));
    files("heal", "yml").into_iter().map(one).collect()
}

fn case(file: &Path) -> Result<(), Failed> {
    let case: Case = serde_yaml::from_str(&std::fs::read_to_string(file)?)?;
    let library = Library::load(Path::new("/nowhere")).map_err(|(_, faults)| faults[0].to_string())?;
    let engines = case.hosts.keys().map(|service| (service.clone(), "native".to_owned())).collect();
    let world = World { needs: case.needs, hosts: case.hosts, engines, ..World::default() };
    let problems = analyze(&world, &case.observations, &library);
    let mut text = String::new();
    for (number, problem) in problems.iter().enumerate() {
        let service = problem.service.as_ref().map(|service| format!("{service} on ")).unwrap_or_default();
        let follows: Vec<String> = problem.follows.iter().map(ToString::to_string).collect();
        let root = if problem.is_root() { "root".to_owned() } else { format!("follows from {}", follows.join(", ")) };
        let latent = if problem.latent { ", latent" } else { "" };
        writeln!(
            text,
            "{number} {} ({service}{}): {root}{latent}, {}% sure",
            problem.name, problem.host, problem.sure
        )?;
        writeln!(text, "  {}", problem.because)?;
        if let Some(print) = &problem.fingerprint {
            writeln!(text, "  fingerprint {print}")?;
        }
    }
    if text.is_empty() {
        text.push_str("nothing is wrong\n");
    }
    expect(&file.with_extension("verdict"), &text)
}
