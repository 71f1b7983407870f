//! The graph of needs, as a tree, for Graphviz, or as data.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::{Exit, Face, Failure};
use crate::model::ServiceName;
use crate::plan::Graph as Needs;
use crate::registry::Registry;

/// Show which service needs which
#[derive(Debug, clap::Args)]
pub(super) struct Graph {
    /// Only these services and what they need
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Print it for Graphviz
    #[arg(long, conflicts_with_all = ["json", "events"])]
    dot: bool,
}

impl Graph {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let registry = face.registry()?;
        let graph = Needs::of(&registry);
        let mut chosen = BTreeSet::new();
        for name in &self.services {
            chosen.insert(super::registry::service(&registry, name)?.name.clone());
        }
        let shown = match self.services.is_empty() {
            true => registry.services.keys().cloned().collect(),
            false => graph.with_needs(chosen.iter().cloned()),
        };
        if self.dot {
            dot(face, &registry, &shown);
        } else if face.flags.json || face.flags.events {
            data(face, &registry, &shown);
        } else {
            let roots = |name: &&ServiceName| match chosen.is_empty() {
                true => graph.needed_by(name).is_empty(),
                false => chosen.contains(*name),
            };
            let mut tree = Tree { face, registry: &registry, told: BTreeSet::new() };
            for name in shown.iter().filter(roots) {
                tree.tell(name, "", "");
            }
        }
        Ok(Exit::DONE)
    }
}

/// Prints what a service needs below it. What was told in full before is told by name only, so that the print is no longer
/// than the graph.
struct Tree<'a> {
    face: &'a Face,
    registry: &'a Registry,
    told: BTreeSet<&'a ServiceName>,
}

impl<'a> Tree<'a> {
    fn tell(&mut self, name: &ServiceName, first: &str, rest: &str) {
        let Some((name, service)) = self.registry.services.get_key_value(name) else { return };
        let fresh = self.told.insert(name);
        let more = if fresh || service.needs.is_empty() { "" } else { " (above)" };
        self.face.data(format!("{first}{name}{more}"));
        if !fresh {
            return;
        }
        let needs: Vec<&'a ServiceName> = service.needs.iter().collect::<BTreeSet<_>>().into_iter().collect();
        for (number, need) in needs.iter().enumerate() {
            let last = number + 1 == needs.len();
            let (branch, trunk) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.tell(need, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }
}

/// Names hold letters, digits and `-` only, so quotes are all that they need.
fn dot(face: &Face, registry: &Registry, shown: &BTreeSet<ServiceName>) {
    face.data("digraph needs {\n  rankdir = LR;\n  node [shape = box];");
    for (name, service) in registry.services.iter().filter(|(name, _)| shown.contains(*name)) {
        face.data(format!("  \"{name}\";"));
        for need in &service.needs {
            face.data(format!("  \"{name}\" -> \"{need}\";"));
        }
    }
    face.data("}");
}

fn data(face: &Face, registry: &Registry, shown: &BTreeSet<ServiceName>) {
    let services = registry.services.values().filter(|service| shown.contains(&service.name));
    let edges =
        services.flat_map(|service| service.needs.iter().map(|need| json!({ "from": service.name, "to": need })));
    let edges: Vec<_> = edges.collect();
    face.document(&json!({ "services": shown, "needs": edges }));
}
