//! firewall: whether a rule closes a service's port to who needs it. Rules are judged one by one, as they name the port; a
//! firewall that closes all ports that no rule names is not seen.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Placed, Scene, once};

pub(super) const LOOK: Look = Look { name: "firewall", about: About::Service, shell: SHELL, calls: once, judge };

/// The rules for what comes in that name a port or the loopback interface, in their order, as `iptables-save` or `nft` write them.
const SHELL: &str = r#"
look_firewall() {
  if command -v iptables-save >/dev/null; then
    rules=$(bounded iptables-save -t filter)
  elif command -v nft >/dev/null; then
    # What goes out or through is none of a port's business.
    rules=$(bounded nft list ruleset) &&
      rules=$(printf '%s\n' "$rules" | awk '/chain .*{/ { keep = 1 } /hook (output|forward|prerouting|postrouting)/ { keep = 0 } keep')
  else
    echo none
    return
  fi
  [ $? = 0 ] || rules="$rules
denied"
  printf '%s\n' "$rules" | grep -E '^denied$|dport|-i lo |iif(name)? "?lo"? ' | head -n 1000
}
"#;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        let Some(port) = placed.service.port.filter(|_| heard.service(placed).is_some()) else { continue };
        let name = &placed.service.name;
        let ill = heard.verdicts.iter().any(|(service, _, verdict)| service == name && !verdict.is_good());
        let needed = is_needed_elsewhere(scene, placed);
        // Who is well, and needed by nobody else, is closed to nobody; and where nobody listens, nothing can be in the way.
        let listens = heard.found.listeners.as_ref().is_some_and(|all| all.contains_key(&port));
        if !listens || (!ill && !needed) {
            continue;
        }
        let one = scene.of(&LOOK, placed).of(port.to_string()).with("port", port);
        let rules = match heard.answer(&LOOK, "") {
            // Who has no tool for it has no firewall.
            Ok("none") => continue,
            Ok(rules) if rules.ends_with("denied") => Err("only root may see the rules of the firewall".to_owned()),
            rules => rules,
        };
        let closed = |rule: &Rule<'_>| (ill && rule.is_for_itself()) || (needed && rule.is_for_others());
        match rules {
            Err(why) => found.push(one.unseen(why)),
            Ok(rules) => match Rule::first(rules, port).filter(closed) {
                Some(rule) => {
                    let says = format!("a rule of the firewall closes port {port}: {}", rule.0);
                    found.push(one.with("rule", rule.0).bad(says));
                }
                None => found.push(one.good(format!("no rule of the firewall closes port {port}"))),
            },
        }
    }
    found
}

/// Whether a service on another host needs it.
fn is_needed_elsewhere(scene: &Scene<'_>, placed: &Placed<'_>) -> bool {
    let elsewhere = |host: &&crate::model::HostName| **host != scene.host.name;
    let mut others = scene.registry.services.values().filter(|other| other.needs.contains(&placed.service.name));
    others.any(|other| other.hosts.iter().any(|host| elsewhere(&host)))
}

/// A rule that refuses or drops what is for a port, and whether what comes from the host itself was let in before it.
struct Rule<'a>(&'a str, bool);

impl<'a> Rule<'a> {
    /// The first rule that says what becomes of a port, if it closes it.
    fn first(rules: &'a str, port: u16) -> Option<Self> {
        let names = |rule: &&str| {
            // What is about one address of several, or about the ports of containers, says nothing of the host's port.
            let words: Vec<&str> = rule.split_whitespace().collect();
            let elsewhere = |word: &&str| matches!(*word, "-d" | "daddr" | "udp" | "OUTPUT" | "FORWARD" | "DOCKER");
            let through = words.get(1).is_some_and(|chain| chain.ends_with("-output") || chain.ends_with("-forward"));
            !words.iter().any(elsewhere) && !through && ports(&words, port)
        };
        let verdict = |rule: &str| {
            rule.split_whitespace().find_map(|word| match word {
                "DROP" | "REJECT" | "drop" | "reject" => Some(true),
                "ACCEPT" | "accept" => Some(false),
                _ => None,
            })
        };
        let own = |rule: &str| {
            let lo = ["-i lo ", "iif lo ", "iif \"lo\" ", "iifname lo ", "iifname \"lo\" "];
            let other = rule.contains("! -i lo") || rule.contains("!=");
            !other && !rule.contains("dport") && lo.iter().any(|way| rule.contains(way)) && verdict(rule) == Some(false)
        };
        let mut let_in = false;
        for rule in rules.lines().map(str::trim) {
            let_in |= own(rule);
            if names(&rule)
                && let Some(closes) = verdict(rule)
            {
                return closes.then_some(Self(rule, let_in));
            }
        }
        None
    }

    fn has(&self, words: &[&str]) -> bool {
        self.0.split_whitespace().any(|word| words.contains(&word))
    }

    /// Whether it is about some senders only.
    fn is_about_senders(&self) -> bool {
        self.has(&["-s", "saddr", "--match-set"])
    }

    /// Whether it closes the port to what runs on the host.
    fn is_for_itself(&self) -> bool {
        !self.1 && !self.is_about_senders() && !self.has(&["-i", "iif", "iifname"])
    }

    /// Whether it closes the port to all other hosts.
    fn is_for_others(&self) -> bool {
        let but_loopback = ["! -i lo ", "iif != \"lo\"", "iifname != \"lo\""].iter().any(|way| self.0.contains(way));
        !self.is_about_senders() && (but_loopback || !self.has(&["-i", "iif", "iifname"]))
    }
}

/// Whether the words of a rule name the port: alone, in a list, or in a range.
fn ports(words: &[&str], port: u16) -> bool {
    let Some(at) = words.iter().position(|word| matches!(*word, "--dport" | "--dports" | "dport")) else {
        return false;
    };
    // What is about all ports but some names none.
    if words[..at].last() == Some(&"!") || words.get(at + 1) == Some(&"!=") {
        return false;
    }
    let listed = words[at + 1..]
        .iter()
        .take_while(|word| word.starts_with(|c: char| c.is_ascii_digit() || c == '{' || c == '}'));
    let mut ranges = listed.flat_map(|word| word.split(',')).map(|one| one.trim_matches(['{', '}']));
    ranges.any(|range| {
        let (first, last) = range.split_once([':', '-']).unwrap_or((range, range));
        let (first, last) = (first.parse::<u16>(), last.parse::<u16>());
        matches!((first, last), (Ok(first), Ok(last)) if (first..=last).contains(&port))
    })
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn the_first_rule_that_names_the_port_counts() {
        // The rule, whether it closes port 5432 to the host itself, and to others.
        for (rules, closed) in [
            ("-A INPUT -p tcp -m tcp --dport 5432 -j DROP", Some((true, true))),
            ("-A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 5432 -j DROP", None),
            ("-A INPUT ! -i lo -p tcp -m multiport --dports 80,5000:6000 -j REJECT", Some((false, true))),
            ("-A INPUT -s 192.0.2.7/32 -p tcp --dport 5432 -j DROP", Some((false, false))),
            ("-A INPUT -p udp --dport 5432 -j DROP", None),
            ("-A INPUT -p tcp --dport 543 -j DROP", None),
            ("-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp --dport 5432 -j ACCEPT", None),
            ("tcp dport 5432 drop", Some((true, true))),
            ("tcp dport { 80, 5432 } counter packets 0 bytes 0 reject", Some((true, true))),
            ("iifname != \"lo\" tcp dport 5000-6000 drop", Some((false, true))),
            ("tcp dport vmap { 22 : accept }", None),
            ("--dport", None),
            ("-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 5432 -j DROP", Some((false, true))),
            ("iif \"lo\" accept\ntcp dport 5432 drop", Some((false, true))),
            ("-A INPUT -p tcp -m multiport ! --dports 22,5432 -j DROP", None),
            ("tcp dport != 5432 drop", None),
            ("-A OUTPUT -p tcp --dport 5432 -j DROP", None),
            ("-A ufw-user-forward -p tcp --dport 5432 -j DROP", None),
        ] {
            let rule = Rule::first(rules, 5432);
            assert_eq!(rule.map(|rule| (rule.is_for_itself(), rule.is_for_others())), closed, "{rules}");
        }
    }
}
