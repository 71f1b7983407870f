//! nft: the chains of the tables for IPv4, as `nft list ruleset` writes them.

use super::chains::{Base, Chains, Fit, Packet, Rule, To, Why, holds, words};

/// Reads them for a connection that comes in. Chains of several tables may have the same name.
pub(super) fn read(text: &str, packet: Packet) -> Chains<'_> {
    let mut chains = Chains::default();
    let (mut table, mut chain, mut skipped) = (None, None::<String>, 0_usize);
    for line in text.lines().map(str::trim) {
        let (opens, closes) = (line.matches('{').count(), line.matches('}').count());
        if skipped > 0 {
            skipped = (skipped + opens).saturating_sub(closes);
            continue;
        }
        match (line.strip_suffix('{').map(str::trim), &chain) {
            (Some(head), None) => match head.split_whitespace().collect::<Vec<_>>()[..] {
                ["table", "ip" | "inet", name] => table = Some(name),
                ["chain", name] if table.is_some() => {
                    let name = named(table, name);
                    chains.all.entry(name.clone()).or_default();
                    chain = Some(name);
                }
                // Tables of other protocols, sets and the like.
                _ => skipped = 1,
            },
            (_, Some(name)) if line == "}" => {
                let _ = name;
                chain = None;
            }
            (_, None) if line == "}" => table = None,
            // Such a table is kept, and not in force.
            (_, None) if line.starts_with("flags ") && line.contains("dormant") => (table, skipped) = (None, 1),
            (_, Some(name)) if line.starts_with("type ") => {
                if line.contains("hook input") {
                    let short = name.rsplit(' ').next().unwrap_or_default();
                    let closes =
                        line.contains("policy drop").then(|| Why::Policy(format!("chain {short} {{ policy drop; }}")));
                    chains.bases.push(Base { chain: name.clone(), closes });
                }
            }
            (_, Some(name)) => {
                let (fit, to) = if opens == closes { rule(line, table, packet) } else { (Fit::Maybe, To::Other) };
                // A rule of several lines may let in; the rest of it is left out.
                skipped = opens.saturating_sub(closes);
                chains.all.entry(name.clone()).or_default().push(Rule { text: line, fit, to });
            }
            (_, None) => {}
        }
    }
    chains
}

fn named(table: Option<&str>, chain: &str) -> String {
    format!("{} {chain}", table.unwrap_or_default())
}

fn rule(line: &str, table: Option<&str>, packet: Packet) -> (Fit, To) {
    let all = words(line);
    if let Some(at) = all.iter().position(|word| *word == "vmap") {
        return vmap(&all[..at], &all[at + 1..], packet);
    }
    let (mut fit, mut rest) = (Fit::Yes, &all[..]);
    while let Some(word) = rest.first() {
        let next = |at: usize| rest.get(at).copied().unwrap_or_default();
        let (part, taken) = match (*word, next(1)) {
            ("accept", _) => return (fit, To::Accept),
            ("drop" | "reject", _) => return (fit, To::Close),
            ("return", _) => return (fit, To::Return),
            ("jump", chain) => return (fit, To::Jump(named(table, chain))),
            ("goto", chain) => return (fit, To::Goto(named(table, chain))),
            ("counter", "packets") => (Fit::Yes, 5),
            ("counter", _) => (Fit::Yes, 1),
            ("comment", _) => (Fit::Yes, 2),
            ("log", "prefix") => (Fit::Yes, 3),
            ("log", _) => (Fit::Yes, 1),
            ("level" | "flags", _) => (Fit::Yes, 2),
            ("udp" | "icmp" | "icmpv6" | "ip6" | "sctp" | "dccp" | "igmp", _) => (Fit::No, 1),
            ("ct", "state") => {
                value(&rest[2..], 2, |states| states.split(',').any(|state| state.trim() == "new").into())
            }
            // What was sent elsewhere does not come in here.
            ("ct", "status") => value(&rest[2..], 2, |status| if status == "dnat" { Fit::No } else { Fit::Maybe }),
            ("tcp", "dport") => value(&rest[2..], 2, |ports| holds(ports, packet.port)),
            ("ip", "protocol") | ("meta", "l4proto") => {
                value(&rest[2..], 2, |names| names.split(',').any(|name| matches!(name.trim(), "tcp" | "6")).into())
            }
            ("meta", "nfproto") => value(&rest[2..], 2, |name| (name == "ipv4").into()),
            ("iif" | "iifname", _) => value(&rest[1..], 1, |name| match (name, packet.own) {
                ("lo", own) => own.into(),
                (_, true) => Fit::No,
                (_, false) => Fit::Maybe,
            }),
            _ => (Fit::Maybe, 1),
        };
        fit = fit.max(part);
        rest = rest.get(taken..).unwrap_or_default();
    }
    (fit, To::On)
}

/// A table of verdicts: who is not in it passes by.
fn vmap(subject: &[&str], keys: &[&str], packet: Packet) -> (Fit, To) {
    let keys = keys.join(" ");
    let keys: Vec<&str> =
        keys.split([',', '{', '}']).map(|one| one.split(':').next().unwrap_or_default().trim()).collect();
    let there = match subject {
        ["ct", "state"] => keys.contains(&"new").into(),
        ["tcp", "dport"] => holds(&keys.join(","), packet.port),
        _ => Fit::Maybe,
    };
    (there.max(Fit::Maybe), To::Other)
}

/// What the value behind a question says, and how many words they take: `X`, `{ X, Y }`, `!= X`.
fn value(rest: &[&str], before: usize, judge: impl Fn(&str) -> Fit) -> (Fit, usize) {
    let not = rest.first() == Some(&"!=");
    let own = if not { &rest[1..] } else { rest };
    let count = match own.first() {
        Some(&"{") => own.iter().position(|word| *word == "}").map_or(own.len(), |at| at + 1),
        _ => own.len().min(1),
    };
    let text: Vec<&str> = own[..count].iter().copied().filter(|word| !matches!(*word, "{" | "}")).collect();
    let fit = judge(&text.join(" "));
    (if not { fit.not() } else { fit }, before + usize::from(not) + count)
}
