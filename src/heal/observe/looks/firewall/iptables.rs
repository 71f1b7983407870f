//! iptables: the chains of the table `filter`, as `iptables-save` writes them.

use super::chains::{Base, Chains, Fit, Packet, Rule, To, Why, holds, words};

/// Reads them for a connection that comes in.
pub(super) fn read(text: &str, packet: Packet) -> Chains<'_> {
    let mut chains = Chains::default();
    for line in text.lines().map(str::trim) {
        if let Some((chain, policy)) = line.strip_prefix(':').and_then(|rest| rest.split_once(' ')) {
            chains.all.entry(chain.to_owned()).or_default();
            if chain == "INPUT" {
                let drops = policy.starts_with("DROP");
                let closes = drops.then(|| Why::Policy("-P INPUT DROP".to_owned()));
                chains.bases.push(Base { chain: chain.to_owned(), closes });
            }
        } else if let Some(rest) = line.strip_prefix("-A ") {
            let all = words(rest);
            let Some((chain, all)) = all.split_first() else { continue };
            let (fit, to) = rule(all, packet);
            chains.all.entry((*chain).to_owned()).or_default().push(Rule { text: line, fit, to });
        }
    }
    chains
}

/// What is said of itself, and decides nothing.
const SILENT: &[&str] = &["LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "SET", "AUDIT"];

fn rule(all: &[&str], packet: Packet) -> (Fit, To) {
    let (mut fit, mut to, mut not, mut at) = (Fit::Yes, To::On, false, 0);
    while let Some(word) = all.get(at) {
        let value = all.get(at + 1).copied().unwrap_or_default();
        let (part, taken) = match *word {
            "!" => {
                (not, at) = (true, at + 1);
                continue;
            }
            "-j" | "-g" => {
                to = target(value, *word == "-g");
                // What follows are the options of the target.
                break;
            }
            "-m" if matches!(value, "tcp" | "comment" | "multiport" | "state" | "conntrack" | "addrtype") => {
                (Fit::Yes, 2)
            }
            "--comment" => (Fit::Yes, 2),
            "-p" => (matches!(value, "tcp" | "6" | "all").into(), 2),
            "-i" if value == "lo" => (packet.own.into(), 2),
            "-i" => (if packet.own { Fit::No } else { Fit::Maybe }, 2),
            "--dport" | "--dports" => (holds(value, packet.port), 2),
            "--state" | "--ctstate" => (value.split(',').any(|state| state == "NEW").into(), 2),
            "--dst-type" => ((value == "LOCAL").into(), 2),
            "--syn" => (Fit::Yes, 1),
            _ => (Fit::Maybe, 1),
        };
        fit = fit.max(if not { part.not() } else { part });
        (not, at) = (false, at + taken);
    }
    (fit, to)
}

/// What is no chain is in words that are not known, which the walk finds out.
fn target(name: &str, goes: bool) -> To {
    match name {
        "ACCEPT" => To::Accept,
        "DROP" | "REJECT" => To::Close,
        "RETURN" => To::Return,
        name if SILENT.contains(&name) => To::On,
        name if goes => To::Goto(name.to_owned()),
        name => To::Jump(name.to_owned()),
    }
}
