//! Rules as the tools write them, and what becomes of a connection to port 5432.

use super::chains::{Packet, Why};
use super::{SHELL, closed, seen};

/// What closes the port to the host itself, and to others.
fn found(tool: &str, rules: &str) -> [Option<String>; 2] {
    let text = format!("= {tool}\n{rules}");
    let told = seen(&text).expect("rules");
    [true, false].map(|own| {
        closed(&told, Packet { port: 5432, own }).map(|why| match why {
            Why::Rule(rule) => rule.to_owned(),
            Why::Policy(policy) => policy,
        })
    })
}

fn closes(tool: &str, rules: &str) -> (bool, bool) {
    let [own, others] = found(tool, rules);
    (own.is_some(), others.is_some())
}

#[test]
fn the_first_rule_that_decides_counts() {
    for (rules, closed) in [
        ("-A INPUT -p tcp -m tcp --dport 5432 -j DROP", (true, true)),
        ("-A INPUT -p tcp -m tcp --dport 5432 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 5432 -j DROP", (false, false)),
        ("-A INPUT ! -i lo -p tcp -m multiport --dports 80,5000:6000 -j REJECT --reject-with x", (false, true)),
        ("-A INPUT -s 192.0.2.7/32 -p tcp --dport 5432 -j DROP", (false, false)),
        ("-A INPUT -p udp --dport 5432 -j DROP", (false, false)),
        ("-A INPUT -p tcp --dport 543 -j DROP", (false, false)),
        ("-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp --dport 5432 -j DROP", (false, true)),
        ("-A INPUT -p tcp -m multiport ! --dports 22,5432 -j DROP", (false, false)),
        ("-A INPUT -p tcp -m comment --comment \"no -j ACCEPT here\" -j LOG\n-A INPUT -j REJECT", (true, true)),
        ("-A OUTPUT -p tcp --dport 5432 -j DROP", (false, false)),
        ("-A INPUT -m set --match-set bad src -j DROP", (false, false)),
        ("-A INPUT -m set --match-set good src -j ACCEPT\n-A INPUT -j DROP", (false, false)),
        ("-A INPUT -j NOWHERE\n-A INPUT -j DROP", (false, false)),
        ("-A INPUT -j NFQUEUE --queue-num 0\n-A INPUT -j DROP", (false, false)),
        ("-A INPUT", (false, false)),
    ] {
        assert_eq!(closes("iptables", &format!(":INPUT ACCEPT [0:0]\n{rules}")), closed, "{rules}");
    }
    let input =
        "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t\t";
    for (rules, closed) in [
        ("tcp dport 5432 drop", (true, true)),
        ("tcp dport { 80, 5432 } counter packets 0 bytes 0 reject with tcp reset", (true, true)),
        ("iifname != \"lo\" tcp dport 5000-6000 drop", (false, true)),
        ("tcp dport vmap { 22 : accept }\n\t\tdrop", (true, true)),
        ("tcp dport vmap { 5432 : jump x }\n\t\tdrop", (false, false)),
        ("iif \"lo\" accept\n\t\ttcp dport 5432 drop", (false, true)),
        ("tcp dport != 5432 drop", (false, false)),
        ("tcp dport @web accept\n\t\tdrop", (false, false)),
        ("ip saddr { 10.0.0.0/8, 192.0.2.1 } accept\n\t\tdrop", (false, false)),
        ("ip saddr 10.0.0.0/8 drop", (false, false)),
        ("udp dport 5432 drop\n\t\tip6 saddr ::/0 drop\n\t\tct state established,related accept", (false, false)),
        ("ct state vmap { established : accept,\n\t\t\t new : accept }\n\t\tdrop", (false, false)),
    ] {
        assert_eq!(closes("nft", &format!("{input}{rules}\n\t}}\n}}")), closed, "{rules}");
    }
    let kept = input.replace("{\n\tchain", "{\n\tflags dormant\n\n\tchain");
    assert_eq!(closes("nft", &format!("{kept}drop\n\t}}\n}}")), (false, false));
    let after = format!("{kept}drop\n\t}}\n}}\n{}", input.replace("filter {", "other {"));
    assert_eq!(closes("nft", &format!("{after}drop\n\t}}\n}}")), (true, true), "the table behind it is in force");
    let elsewhere = input.replace("input {\n", "x {\n").replace("hook input", "hook output");
    assert_eq!(closes("nft", &format!("{elsewhere}drop\n\t}}\n}}")), (false, false));
}

/// As ufw 0.36 writes it for `ufw default deny; ufw allow 22`, shortened.
const UFW: &str = ":INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:ufw-after-input - [0:0]\n:ufw-before-input - [0:0]\n:ufw-not-local - [0:0]\n\
    :ufw-user-input - [0:0]\n:ufw-logging-deny - [0:0]\n:ufw-skip-to-policy-input - [0:0]\n:ufw-reject-input - [0:0]\n\
    -A INPUT -j ufw-before-input\n-A INPUT -j ufw-after-input\n-A INPUT -j ufw-reject-input\n\
    -A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input\n\
    -A ufw-after-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input\n\
    -A ufw-before-input -i lo -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny\n-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n\
    -A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT\n-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT\n\
    -A ufw-before-input -j ufw-not-local\n-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT\n\
    -A ufw-before-input -j ufw-user-input\n-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n\
    -A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN\n-A ufw-not-local -m limit --limit 3/min -j ufw-logging-deny\n\
    -A ufw-not-local -j DROP\n-A ufw-skip-to-policy-input -j DROP\n-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT\n";

/// As nftables of Debian 12 writes the usual set of rules.
const NFT: &str = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\
    \t\tct state vmap { invalid : drop, established : accept, related : accept }\n\t\tiif \"lo\" accept\n\
    \t\tmeta l4proto { icmp, ipv6-icmp } accept\n\t\tip protocol igmp accept\n\t\tjump services\n\t}\n\n\tchain services {\n\
    \t\ttcp dport 22 accept comment \"ssh\"\n\t}\n\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";

/// As firewalld 1.3 writes it, shortened.
const FIREWALLD: &str = "table inet firewalld {\n\tchain filter_INPUT {\n\t\ttype filter hook input priority filter + 10; policy accept;\n\
    \t\tct state { established, related } accept\n\t\tct status dnat accept\n\t\tiifname \"lo\" accept\n\t\tct state invalid drop\n\
    \t\tjump filter_INPUT_ZONES\n\t\treject with icmpx admin-prohibited\n\t}\n\n\tchain filter_INPUT_ZONES {\n\
    \t\tiifname \"eth0\" goto filter_IN_public\n\t\tgoto filter_IN_public\n\t}\n\n\tchain filter_IN_public {\n\
    \t\tjump filter_IN_public_allow\n\t\tmeta l4proto { icmp, ipv6-icmp } accept\n\t\treject with icmpx admin-prohibited\n\t}\n\n\
    \tchain filter_IN_public_allow {\n\t\ttcp dport 22 accept\n\t\tip6 daddr fe80::/64 udp dport 546 accept\n\t}\n}\n";

#[test]
fn a_policy_that_closes_what_no_rule_opens_is_told() {
    assert_eq!(found("iptables", UFW), [None, Some("-P INPUT DROP".to_owned())]);
    assert_eq!(found("nft", NFT), [None, Some("chain input { policy drop; }".to_owned())]);
    assert_eq!(found("nft", FIREWALLD), [None, Some("reject with icmpx admin-prohibited".to_owned())]);
    let opened = [
        ("iptables", UFW.to_owned() + "-A ufw-user-input -p tcp -m tcp --dport 5432 -j ACCEPT\n"),
        ("iptables", UFW.to_owned() + "-A ufw-user-input -s 10.0.0.0/8 -p tcp -m tcp --dport 5432 -j ACCEPT\n"),
        ("nft", NFT.replace("dport 22", "dport { 22, 5432 }")),
        ("nft", NFT.replace("tcp dport 22", "ip saddr @friends")),
        ("nft", FIREWALLD.replace("dport 22", "dport 5432")),
        ("nft", FIREWALLD.replace("iifname \"eth0\" goto filter_IN_public", "iifname \"eth0\" accept")),
    ];
    for (tool, rules) in opened {
        assert_eq!(found(tool, &rules), [None, None], "{rules}");
    }
    assert_eq!(closes("iptables", ":INPUT DROP [0:0]\n"), (true, true));
    assert_eq!(
        closes(
            "nft",
            "table ip6 filter {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n"
        ),
        (false, false)
    );
}

/// The shell text itself, by the shells of this machine.
#[test]
#[expect(clippy::disallowed_methods, reason = "a real shell looks")]
fn what_is_left_out_is_not_passed_through() {
    for (rules, told) in [
        // As kube-router has it: its chain lets the port in, and is left out.
        (
            ":INPUT DROP [0:0]\n:KUBE-ROUTER-INPUT - [0:0]\n-A INPUT -j KUBE-ROUTER-INPUT\n-A KUBE-ROUTER-INPUT -p tcp --dport 5432 -j ACCEPT",
            false,
        ),
        (":INPUT DROP [0:0]\n:KUBE-ROUTER-INPUT - [0:0]\n-A KUBE-ROUTER-INPUT -p tcp --dport 5432 -j ACCEPT", true),
        // A chain of somebody's own that begins with such a word may let in.
        (":INPUT DROP [0:0]\n:DROPLIST - [0:0]\n-A INPUT -s 10.0.0.0/8 -j DROPLIST\n-A DROPLIST -j ACCEPT", false),
        (":INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j DROP", true),
    ] {
        for shell in crate::host::look::SHELLS {
            let script = format!(
                "bounded() {{ \"$@\"; }}\niptables-save() {{ printf '%s\\n' '{rules}'; }}\nnft() {{ :; }}\n{SHELL}\nlook_firewall"
            );
            // A name with `-` is no function for every shell.
            let script = script.replace("iptables-save", "iptables_save");
            let out =
                std::process::Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output().expect("a look");
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let rules = seen(text.trim()).expect("rules");
            assert_eq!(closed(&rules, Packet { port: 5432, own: false }).is_some(), told, "{shell:?} {text}");
        }
    }
}

#[test]
fn what_was_not_told_in_full_is_not_judged() {
    assert!(seen("= iptables\n= denied\n= nft\n= denied").is_err());
    assert!(seen(&format!("= iptables\n{}", ":x - [0:0]\n".repeat(3000))).is_err());
    let told = seen(
        "= iptables\n= denied\n= nft\ntable inet x {\n\tchain i {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}",
    );
    assert!(closed(&told.expect("one is enough"), Packet { port: 1, own: false }).is_some());
    assert_eq!(seen("= nft\n").map(|told| told.len()), Ok(0));
}
