//! firewall: whether a firewall closes a service's port to who needs it: by a rule, or because no rule opens what its policy closes.
//! What may be let in for some is not told as closed.

mod chains;
mod iptables;
mod nft;

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene, once};
use chains::{Packet, Why};

pub(super) const LOOK: Look = Look { name: "firewall", about: About::Service, shell: SHELL, calls: once, judge };

/// The rules for what comes in, as `iptables-save` and `nft` write them; without those that close something to some senders only. Of a
/// chain that is left out nothing is told, so that nobody passes through it as if it were empty.
const SHELL: &str = r#"
look_firewall() {
  any=
  if command -v iptables-save >/dev/null; then
    any=yes
    echo '= iptables'
    rules=$(bounded iptables-save -t filter) || rules='= denied'
    printf '%s\n' "$rules" | grep -vE '^#|^(:|-A )(OUTPUT|FORWARD|DOCKER|KUBE-)[^ ]* | -s [0-9].* -j (DROP|REJECT)( |$)' | head -n 3000
  fi
  if command -v nft >/dev/null; then
    any=yes
    echo '= nft'
    rules=$(bounded nft list ruleset) || rules='= denied'
    printf '%s\n' "$rules" | awk '/^\t(set|map) / { skip = 1 } !skip; /^\t}/ { skip = 0 }' | head -n 3000
  fi
  [ -n "$any" ] || echo none
}
"#;

/// So many lines of rules are told at most.
const MOST: usize = 3000;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let Some(port) = placed.service.port.filter(|_| heard.service(placed).is_some()) else { continue };
        let name = &placed.service.name;
        let ill = heard.verdicts.iter().any(|(service, _, verdict)| service == name && !verdict.is_good());
        // What comes to a container from elsewhere goes through, and not in.
        let needed = is_needed_elsewhere(scene, placed) && !placed.service.kind.is_docker();
        // Who is well, and needed by nobody else, is closed to nobody; and where nobody listens, nothing can be in the way.
        let listens = heard.found.listeners.as_ref().is_some_and(|all| all.contains_key(&port));
        if !listens || (!ill && !needed) {
            continue;
        }
        let one = scene.of(&LOOK, placed).of(port.to_string()).with("port", port);
        let rules = match heard.answer(&LOOK, "") {
            // Who has no tool for it has no firewall.
            Ok("none") => continue,
            rules => rules.and_then(seen),
        };
        let ways = [(ill, true), (needed, false)].into_iter().filter(|(asked, _)| *asked);
        let mut ways = ways.map(|(_, own)| Packet { port, own });
        found.push(match rules.map(|rules| ways.find_map(|packet| closed(&rules, packet))) {
            Err(why) => one.unseen(why),
            Ok(None) => one.good(format!("the firewall does not close port {port}, as far as its rules tell")),
            Ok(Some(Why::Rule(rule))) => {
                let says = format!("a rule of the firewall closes port {port}: {rule}");
                one.with("what", "a rule").with("rule", rule).bad(says)
            }
            Ok(Some(Why::Policy(policy))) => {
                let says = format!("the policy of the firewall closes port {port}, and no rule opens it: {policy}");
                one.with("what", "the policy").with("rule", policy).bad(says)
            }
        });
    }
    found
}

/// What each tool told, by its name.
type Told<'h> = Vec<(&'h str, &'h str)>;

/// What was told, or why it says nothing.
fn seen(text: &str) -> Result<Told<'_>, String> {
    let parts: Told<'_> =
        text.trim_start_matches("= ").split("\n= ").filter_map(|part| part.split_once('\n')).collect();
    let told: Told<'_> = parts.iter().filter(|(_, rules)| !rules.is_empty()).copied().collect();
    if text.contains("= denied") && told.is_empty() {
        return Err("only root may see the rules of the firewall".into());
    }
    match told.iter().find(|(_, rules)| rules.lines().count() >= MOST) {
        Some((tool, _)) => Err(format!("{tool} has too many rules to be judged")),
        None => Ok(told),
    }
}

/// What closes the port to such a connection.
fn closed<'h>(told: &Told<'h>, packet: Packet) -> Option<Why<'h>> {
    told.iter().find_map(|(tool, rules)| match *tool {
        "iptables" => iptables::read(rules, packet).closed(),
        _ => nft::read(rules, packet).closed(),
    })
}

/// Whether a service on another host needs it.
fn is_needed_elsewhere(scene: &Scene<'_>, placed: &Placed<'_>) -> bool {
    let elsewhere = |host: &&crate::model::HostName| **host != scene.host.name;
    let mut others = scene.registry.services.values().filter(|other| other.needs.contains(&placed.service.name));
    others.any(|other| other.hosts.iter().any(|host| elsewhere(&host)))
}

#[cfg(test)]
mod tests;
