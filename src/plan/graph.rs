//! Who needs whom. Every answer is in a fixed order: what must come first, then by name.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::model::{HostName, ServiceName};
use crate::registry::Registry;

/// The graph of needs: an edge leads from a service to what it needs.
#[derive(Clone, Debug)]
pub struct Graph<'a> {
    graph: DiGraph<&'a ServiceName, ()>,
    nodes: HashMap<&'a ServiceName, NodeIndex>,
    order: Vec<NodeIndex>,
}

/// A service that a change reaches, and how.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reached {
    pub service: ServiceName,
    /// How many needs lie between: 0 for what is changed itself.
    pub distance: usize,
    /// The way from what is changed to this service, both included.
    pub through: Vec<ServiceName>,
}

impl<'a> Graph<'a> {
    /// The graph of a registry. Its needs are known not to go in circles; a registry made by hand whose needs do is
    /// answered in some fixed order, without end being in danger.
    #[must_use]
    pub fn of(registry: &'a Registry) -> Self {
        let mut graph = DiGraph::with_capacity(registry.services.len(), registry.services.len());
        // The names are sorted, so the numbers of the nodes are in the order of the names.
        let nodes: HashMap<_, _> = registry.services.keys().map(|name| (name, graph.add_node(name))).collect();
        for (index, service) in registry.services.values().enumerate() {
            for need in service.needs.iter().filter_map(|need| nodes.get(need)) {
                graph.update_edge(NodeIndex::new(index), *need, ());
            }
        }
        let order = sorted(&graph);
        Self { graph, nodes, order }
    }

    /// All services, what is needed first.
    #[must_use]
    pub fn order(&self) -> Vec<ServiceName> {
        self.order.iter().map(|node| self.graph[*node].clone()).collect()
    }

    /// The chosen services in waves: a wave needs nothing but what is in earlier ones. A need counts too when it leads
    /// through services that are not chosen.
    #[must_use]
    pub fn waves(&self, chosen: &BTreeSet<ServiceName>) -> Vec<Vec<ServiceName>> {
        let mut depth = vec![0; self.graph.node_count()];
        let mut among = vec![false; self.graph.node_count()];
        for node in chosen.iter().filter_map(|name| self.nodes.get(name)) {
            among[node.index()] = true;
        }
        let mut waves: Vec<Vec<NodeIndex>> = Vec::new();
        for node in &self.order {
            let needs = self.graph.neighbors(*node);
            let below = needs.map(|need| depth[need.index()] + usize::from(among[need.index()]));
            let at = below.max().unwrap_or(0);
            depth[node.index()] = at;
            if among[node.index()] {
                waves.resize_with(waves.len().max(at + 1), Vec::new);
                waves[at].push(*node);
            }
        }
        let named = |mut wave: Vec<NodeIndex>| {
            wave.sort_unstable();
            wave.into_iter().map(|node| self.graph[node].clone()).collect()
        };
        // A wave can only be empty in a graph that goes in circles.
        waves.into_iter().filter(|wave| !wave.is_empty()).map(named).collect()
    }

    /// The chosen services and all that they need, directly or not.
    #[must_use]
    pub fn with_needs(&self, chosen: impl IntoIterator<Item = ServiceName>) -> BTreeSet<ServiceName> {
        let starts = chosen.into_iter().collect();
        self.walk(&starts, Direction::Outgoing).into_iter().map(|reached| reached.service).collect()
    }

    /// The services that need a service directly.
    #[must_use]
    pub fn needed_by(&self, service: &ServiceName) -> Vec<ServiceName> {
        let Some(node) = self.nodes.get(service) else { return Vec::new() };
        let users = self.graph.neighbors_directed(*node, Direction::Incoming);
        let users: BTreeSet<ServiceName> = users.map(|user| self.graph[user].clone()).collect();
        users.into_iter().collect()
    }

    /// What a change of these services reaches: they, and all that need them, nearest first, then by name.
    #[must_use]
    pub fn impact(&self, changed: &BTreeSet<ServiceName>) -> Vec<Reached> {
        self.walk(changed, Direction::Incoming)
    }

    fn walk(&self, starts: &BTreeSet<ServiceName>, direction: Direction) -> Vec<Reached> {
        let mut came_from: BTreeMap<NodeIndex, (usize, NodeIndex)> = BTreeMap::new();
        let starts = starts.iter().filter_map(|name| self.nodes.get(name)).copied();
        let mut queue: VecDeque<NodeIndex> = starts.collect();
        came_from.extend(queue.iter().map(|node| (*node, (0, *node))));
        let mut reached = Vec::new();
        while let Some(node) = queue.pop_front() {
            reached.push(node);
            let distance = came_from[&node].0 + 1;
            let next: BTreeSet<NodeIndex> = self.graph.neighbors_directed(node, direction).collect();
            for next in next {
                if let std::collections::btree_map::Entry::Vacant(place) = came_from.entry(next) {
                    place.insert((distance, node));
                    queue.push_back(next);
                }
            }
        }
        let mut reached: Vec<_> = reached.into_iter().map(|node| self.reached(node, &came_from)).collect();
        reached.sort_by(|a, b| (a.distance, &a.service).cmp(&(b.distance, &b.service)));
        reached
    }

    fn reached(&self, node: NodeIndex, came_from: &BTreeMap<NodeIndex, (usize, NodeIndex)>) -> Reached {
        let (distance, _) = came_from[&node];
        let mut through = vec![self.graph[node].clone()];
        let mut at = node;
        for _ in 0..distance {
            at = came_from[&at].1;
            through.push(self.graph[at].clone());
        }
        through.reverse();
        Reached { service: self.graph[node].clone(), distance, through }
    }
}

/// The services of a host.
#[must_use]
pub fn services_on(registry: &Registry, host: &HostName) -> BTreeSet<ServiceName> {
    let on = registry.services.values().filter(|service| service.hosts.contains(host));
    on.map(|service| service.name.clone()).collect()
}

/// The hosts that are reached through a host, and the host itself.
#[must_use]
pub fn hosts_behind(registry: &Registry, host: &HostName) -> BTreeSet<HostName> {
    let behind = registry.hosts.values().filter(|other| other.name == *host || other.jump.contains(host));
    behind.map(|host| host.name.clone()).collect()
}

/// Kahn's algorithm with a heap: of all nodes that may come next, the one that is first by name.
fn sorted(graph: &DiGraph<&ServiceName, ()>) -> Vec<NodeIndex> {
    let mut open: Vec<usize> = graph.node_indices().map(|node| graph.neighbors(node).count()).collect();
    let mut ready: BinaryHeap<_> = graph.node_indices().filter(|node| open[node.index()] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(open.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for user in graph.neighbors_directed(node, Direction::Incoming) {
            open[user.index()] -= 1;
            if open[user.index()] == 0 {
                ready.push(Reverse(user));
            }
        }
    }
    order.extend(graph.node_indices().filter(|node| open[node.index()] > 0));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(needs: &[(&str, &[&str])]) -> Registry {
        let mut text = "version: 1\nhosts: { h: {} }\nservices:\n".to_owned();
        for (name, needs) in needs {
            let needs = if needs.is_empty() { String::new() } else { format!(", needs: [{}]", needs.join(", ")) };
            text.push_str(&format!("  {name}: {{ type: native, host: h, run: [x]{needs} }}\n"));
        }
        let file = std::path::Path::new("/registry.yml");
        crate::registry::load_text(&text, crate::registry::Format::Yaml, file, None).expect("valid")
    }

    fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<ServiceName> {
        names.into_iter().map(|name| ServiceName::try_from(name).expect("a name")).collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_ties_go_by_name() {
        let registry =
            registry(&[("web", &["api"]), ("api", &["db", "cache"]), ("db", &[]), ("cache", &[]), ("a", &["web"])]);
        let graph = Graph::of(&registry);
        assert_eq!(format!("{:?}", graph.order()), "[cache, db, api, web, a]");
        let all = names(["a", "api", "cache", "db", "web"]);
        assert_eq!(format!("{:?}", graph.waves(&all)), "[[cache, db], [api], [web], [a]]");
    }

    #[test]
    fn a_need_counts_through_services_that_are_not_chosen() {
        let registry = registry(&[("web", &["api"]), ("api", &["db"]), ("db", &[]), ("other", &[])]);
        let graph = Graph::of(&registry);
        assert_eq!(format!("{:?}", graph.waves(&names(["web", "db", "other"]))), "[[db, other], [web]]");
        assert_eq!(graph.with_needs(names(["web"])), names(["web", "api", "db"]));
    }

    #[test]
    fn impact_tells_the_way() {
        let registry = registry(&[("web", &["api"]), ("api", &["db"]), ("db", &[]), ("log", &["db"])]);
        let graph = Graph::of(&registry);
        let reached = graph.impact(&names(["db"]));
        let told: Vec<_> = reached.iter().map(|one| format!("{} {:?}", one.distance, one.through)).collect();
        assert_eq!(told, ["0 [db]", "1 [db, api]", "1 [db, log]", "2 [db, api, web]"]);
        assert_eq!(graph.needed_by(&ServiceName::try_from("db").expect("a name")).len(), 2);
    }
}
