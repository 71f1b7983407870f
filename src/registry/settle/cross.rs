//! What only shows when hosts and services are seen together: needs that go in circles, jumps that do, ports that two
//! services want, labels that no host has.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use petgraph::graph::{DiGraph, NodeIndex};

use super::{Site, hosts, services};
use crate::registry::checked::{Connection, Init, Os};
use crate::registry::docker::Publish;
use crate::registry::draft;
use crate::registry::fault::{Place, nearest, shown};
use crate::registry::read::Reader;
use crate::registry::tree::Trail;

pub(super) fn check(site: &Site<'_>, to: &mut Reader) {
    let at = Trail::TOP.key("services");
    for named in site.services {
        if let Some(service) = named.field.value() {
            services::check_needs(site, service, &at.key(&named.name), to);
        }
    }
    check_cycles(site, to);
    check_jumps(site, to);
    check_platforms(site, to);
    check_ports(site, to);
    check_projects(site, to);
}

/// A compose project that two services take over on one host would be brought up by each as if it were its own.
fn check_projects(site: &Site<'_>, to: &mut Reader) {
    let mut taken: HashMap<(&str, &str), (&str, Place)> = HashMap::new();
    let services = Trail::TOP.key("services");
    for named in site.services {
        let Some(service) = named.field.value() else { continue };
        let Some(name) = service.project.value().and_then(|project| project.name.given()) else { continue };
        for host in hosts_of(site, service) {
            let Some((other, there)) = taken.insert((host, &name.value.0), (&named.name, name.place)) else { continue };
            let at = services.key(&named.name);
            let what = format!("the compose project `{}` of host `{host}` is taken over twice", shown(&name.value.0));
            let fault = to.fault(name.place, &at.key("project"), what);
            fault.why(format!("`{}` and `{other}` (at {there}) both name it", named.name));
            break;
        }
    }
}

fn check_cycles(site: &Site<'_>, to: &mut Reader) {
    let mut graph: DiGraph<usize, Place> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..site.services.len()).map(|index| graph.add_node(index)).collect();
    for (index, named) in site.services.iter().enumerate() {
        let needs = named.field.value().and_then(|service| service.needs.value());
        for (_, need) in needs.into_iter().flat_map(|list| list.iter()) {
            if let Some(other) = site.service_index.get(need.value.0.as_str()) {
                graph.add_edge(nodes[index], nodes[*other], need.place);
            }
        }
    }
    let name = |node: NodeIndex| site.services[graph[node]].name.as_str();
    for (circle, place) in circles(&graph, name) {
        let words: Vec<&str> = circle.iter().map(|node| name(*node)).collect();
        let services = Trail::TOP.key("services");
        let at = services.key(words[0]);
        let fault = to.fault(place, &at.key("needs"), format!("the needs go in a circle: {}", words.join(" -> ")));
        fault.hint("take one of these needs away");
    }
}

/// How many circles of one group of nodes that reach each other are told, and how many of its edges are followed for them.
const CIRCLES: usize = 20;
const EDGES: usize = 500;

/// The circles, with the place of the first edge of each: through every edge of one a shortest, each once. A circle begins and ends at
/// its node that comes first by name.
fn circles<'a>(graph: &DiGraph<usize, Place>, name: impl Fn(NodeIndex) -> &'a str) -> Vec<(Vec<NodeIndex>, Place)> {
    let mut found = Vec::new();
    for mut group in petgraph::algo::tarjan_scc(graph) {
        group.sort_by_key(|node| name(*node));
        let inside: BTreeSet<NodeIndex> = group.iter().copied().collect();
        let edges = group.iter().flat_map(|from| {
            let mut next: Vec<NodeIndex> = graph.neighbors(*from).filter(|to| inside.contains(to)).collect();
            next.sort_by_key(|to| name(*to));
            next.into_iter().map(|to| (*from, to))
        });
        let mut told = BTreeSet::new();
        for (from, to) in edges.take(EDGES) {
            let Some(circle) = shortest_circle(graph, (from, to), &name) else { continue };
            let place = graph.find_edge(circle[0], circle[1]).map(|edge| graph[edge]);
            if told.len() < CIRCLES && told.insert(circle.clone()) {
                found.extend(place.map(|place| (circle, place)));
            }
        }
    }
    found
}

/// A shortest circle through an edge.
fn shortest_circle<'a>(
    graph: &DiGraph<usize, Place>,
    (from, to): (NodeIndex, NodeIndex),
    name: impl Fn(NodeIndex) -> &'a str,
) -> Option<Vec<NodeIndex>> {
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = VecDeque::from([to]);
    while let Some(node) = queue.pop_front() {
        if node == from {
            let mut way = vec![node];
            while let Some(before) = way.last().filter(|last| **last != to).and_then(|last| came_from.get(last)) {
                way.push(*before);
            }
            way.reverse();
            let first = (0..way.len()).min_by_key(|index| name(way[*index]))?;
            way.rotate_left(first);
            way.push(way[0]);
            return Some(way);
        }
        for next in graph.neighbors(node) {
            if next != to && !came_from.contains_key(&next) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

fn check_jumps(site: &Site<'_>, to: &mut Reader) {
    let mut graph: DiGraph<usize, Place> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..site.hosts.len()).map(|index| graph.add_node(index)).collect();
    let all = Trail::TOP.key("hosts");
    for (index, named) in site.hosts.iter().enumerate() {
        let Some(host) = named.field.value() else { continue };
        let Some(written) = hosts::jump(site, &named.name, host) else { continue };
        let host_at = all.key(&named.name);
        let at = if host.jump.written() { host_at.key("jump") } else { Trail::TOP.key("defaults") };
        for (number, (_, hop)) in written.0.iter().enumerate() {
            let Some(next) = site.host(hop, &at, to) else { continue };
            if next.field.value().is_some_and(is_local) {
                let what = format!("`{}` cannot be a jump host", shown(&hop.value.0));
                to.fault(hop.place, &at, what).why("its connection is local");
            }
            // Only the first hop is reached by its own jump hosts; the others are reached from the hop before.
            if let Some(other) = site.host_index.get(hop.value.0.as_str())
                && (number == 0 || *other == index)
            {
                graph.add_edge(nodes[index], nodes[*other], hop.place);
            }
        }
        if host.jump.written() && is_local(host) {
            let place = host.jump.given().map(|jump| jump.place).unwrap_or_default();
            to.fault(place, &at, "a local host is not reached through others");
        }
    }
    let name = |node: NodeIndex| site.hosts[graph[node]].name.as_str();
    for (circle, place) in circles(&graph, name) {
        let words: Vec<&str> = circle.iter().map(|node| name(*node)).collect();
        let at = all.key(words[0]);
        to.fault(place, &at.key("jump"), format!("the jump hosts go in a circle: {}", words.join(" -> ")));
    }
}

/// What is said of a host's platform must go together.
fn check_platforms(site: &Site<'_>, to: &mut Reader) {
    for named in site.hosts {
        let Some(platform) = named.field.value().and_then(|host| host.platform.value()) else { continue };
        let (Some(os), Some(init)) = (platform.os.value(), platform.init.given()) else { continue };
        let lacks = match (os.0, init.value.0) {
            (Os::Macos, Init::Systemd) => "macOS has no systemd",
            (Os::Linux, Init::Launchd) => "Linux has no launchd",
            _ => continue,
        };
        let hosts = Trail::TOP.key("hosts");
        let (host, platform) = (hosts.key(&named.name), "platform");
        let fault = to.fault(init.place, &host.key(platform).key("init"), lacks);
        fault.hint("leave the key out, and the host is asked");
    }
}

fn is_local(host: &draft::Host) -> bool {
    host.connection.value().is_some_and(|choice| choice.0 == Connection::Local)
}

/// Who takes a port of a host.
#[derive(Clone)]
struct Taker<'a> {
    service: &'a str,
    instance: Option<u32>,
}

impl std::fmt::Display for Taker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.instance {
            Some(number) => write!(f, "instance {number} of `{}`", self.service),
            None => write!(f, "`{}`", self.service),
        }
    }
}

fn check_ports(site: &Site<'_>, to: &mut Reader) {
    let mut taken: HashMap<(&str, u32), (Taker<'_>, Place)> = HashMap::new();
    let services = Trail::TOP.key("services");
    for named in site.services {
        let Some(service) = named.field.value() else { continue };
        let at = services.key(&named.name);
        let ports = ports(service, &named.name, &at, to);
        // A port that several hosts share with one other service is one mistake, told once.
        let mut told = BTreeSet::new();
        for host in hosts_of(site, service) {
            for (port, taker, place) in &ports {
                match taken.get(&(host, *port)) {
                    Some((other, there)) if told.insert(*port) => {
                        let fault = to.fault(*place, &at, format!("port {port} of host `{host}` is taken twice"));
                        fault.why(format!("{taker} and {other} (at {there}) both bind it"));
                    }
                    Some(_) => {}
                    None => drop(taken.insert((host, *port), (taker.clone(), *place))),
                }
            }
        }
    }
}

/// The ports that a service binds on each of its hosts.
fn ports<'a>(service: &draft::Service, name: &'a str, at: &Trail<'_>, to: &mut Reader) -> Vec<(u32, Taker<'a>, Place)> {
    let mut ports = Vec::new();
    let instances: u32 = service.instances.value().map_or(1, |count| count.get());
    if let Some(port) = service.port.given() {
        let first: u32 = port.value.get();
        for number in 0..instances {
            let instance = (instances > 1).then_some(number + 1);
            ports.push((first + number, Taker { service: name, instance }, port.place));
        }
        if first + instances - 1 > 65_535 {
            let fault = to.fault(port.place, &at.key("port"), "the instances need ports beyond 65535");
            fault.why(format!("instance {instances} would get port {}", first + instances - 1));
        }
    }
    for (index, port) in service.ports.value().into_iter().flat_map(|list| list.iter()) {
        // The mapping of the main port is the main port; and a port of UDP is in nobody's way.
        let same = |publish: &Publish| service.port.value().is_some_and(|port| port.get::<u16>() == publish.host);
        if matches!(&port.value, draft::PortText::Mapping(publish) if publish.udp || same(publish)) {
            continue;
        }
        ports.push((u32::from(port.value.host()), Taker { service: name, instance: None }, port.place));
        if instances > 1 && index == 0 {
            let fault = to.fault(port.place, &at.key("ports"), "several instances cannot share these ports");
            fault.why("only `port` is counted up for each instance");
        }
    }
    ports
}

/// The hosts that a service names or selects, as far as they are there.
fn hosts_of<'a>(site: &Site<'a>, service: &'a draft::Service) -> Vec<&'a str> {
    if service.on.written() {
        return matching(site, service).collect();
    }
    let one = service.host.value().into_iter();
    let many = service.hosts.value().into_iter().flat_map(|list| list.values());
    let mut names: Vec<&str> =
        one.chain(many).map(|name| name.0.as_str()).filter(|name| site.host_index.contains_key(name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn matching<'a>(site: &Site<'a>, service: &'a draft::Service) -> impl Iterator<Item = &'a str> {
    let wanted = hosts::labels(&service.on);
    let fits = move |host: &draft::Host| {
        let labels = hosts::labels(&host.labels);
        wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    site.hosts.iter().filter(move |named| named.field.value().is_some_and(&fits)).map(|named| named.name.as_str())
}

/// The hosts that have all the labels of `on`; a fault when there is none.
pub(super) fn selected<'a>(
    site: &'a Site<'_>,
    service: &'a draft::Service,
    at: &Trail<'_>,
    to: &mut Reader,
) -> Vec<&'a str> {
    let chosen: Vec<&str> = matching(site, service).collect();
    if let Some(on) = service.on.given()
        && chosen.is_empty()
    {
        let wanted = hosts::labels(&service.on);
        let words: Vec<String> = wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let all: Vec<String> = site
            .hosts
            .iter()
            .filter_map(|named| named.field.value())
            .flat_map(|host| hosts::labels(&host.labels).into_iter().map(|(key, value)| format!("{key}={value}")))
            .collect();
        let fault = to.fault(on.place, &at.key("on"), format!("no host has the labels {}", shown(&words.join(", "))));
        if let [one] = words.as_slice() {
            fault.hint = nearest(one, all.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        }
    }
    chosen
}
