//! chains: what becomes of a connection in the chains of a firewall. Only what surely closes a port is told: where a rule may fit
//! and lets in, or is in words that are not known, nothing is said.

use std::collections::BTreeMap;

/// A new TCP connection to a port.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) port: u16,
    /// Whether it comes from the host itself, and not from another one.
    pub(super) own: bool,
}

/// Whether a rule is for a connection; the worst of its parts counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Yes,
    Maybe,
    No,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// What a rule does with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Accept,
    Close,
    Return,
    Jump(String),
    /// As a jump that does not come back.
    Goto(String),
    /// Nothing that decides.
    On,
    /// Words that are not known.
    Other,
}

/// A rule, as it is for one connection.
pub(super) struct Rule<'t> {
    pub(super) text: &'t str,
    pub(super) fit: Fit,
    pub(super) to: To,
}

/// A chain that is come to from outside, and what closes what none of its rules decides.
pub(super) struct Base<'t> {
    pub(super) chain: String,
    pub(super) closes: Option<Why<'t>>,
}

/// What closes a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why<'t> {
    Rule(&'t str),
    Policy(String),
}

#[derive(Default)]
pub(super) struct Chains<'t> {
    pub(super) all: BTreeMap<String, Vec<Rule<'t>>>,
    pub(super) bases: Vec<Base<'t>>,
}

enum End<'t> {
    Closed(Why<'t>),
    /// It is let in, or that is not known.
    Open,
    Through,
}

/// So deep do chains jump at most.
const DEEP: usize = 32;

impl<'t> Chains<'t> {
    /// What closes the port: each of the chains that is come to has to let it in.
    pub(super) fn closed(&self) -> Option<Why<'t>> {
        self.bases.iter().find_map(|base| match self.walk(&base.chain, DEEP) {
            End::Closed(why) => Some(why),
            End::Open => None,
            End::Through => base.closes.clone(),
        })
    }

    fn walk(&self, chain: &str, deep: usize) -> End<'t> {
        let Some(rules) = self.all.get(chain).filter(|_| deep > 0) else { return End::Open };
        for rule in rules.iter().filter(|rule| rule.fit != Fit::No) {
            let (end, comes_back) = match &rule.to {
                To::On => continue,
                To::Accept | To::Other => (End::Open, false),
                To::Close => (End::Closed(Why::Rule(rule.text)), false),
                To::Return => (End::Through, false),
                To::Jump(chain) => (self.walk(chain, deep - 1), true),
                To::Goto(chain) => (self.walk(chain, deep - 1), false),
            };
            match (end, rule.fit) {
                (End::Through, _) if comes_back => {}
                // What may be closed here goes on elsewhere.
                (End::Closed(_), Fit::Maybe) => {}
                (End::Through, Fit::Maybe) => return End::Open,
                (end, _) => return end,
            }
        }
        End::Through
    }
}

/// The words of a line; one in quotes is one word, without them.
pub(super) fn words(line: &str) -> Vec<&str> {
    let (mut rest, mut all) = (line.trim(), Vec::new());
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        let (word, more) = quoted.or_else(|| rest.split_once(char::is_whitespace)).unwrap_or((rest, ""));
        all.push(word);
        rest = more.trim_start();
    }
    all
}

/// Whether a list of ports holds this one: `80,5000:6000` as iptables writes it, or `80,5000-6000` as nft does.
pub(super) fn holds(list: &str, port: u16) -> Fit {
    let (mut fit, number) = (Fit::No, |text: &str| text.parse::<u16>().ok());
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once([':', '-']).unwrap_or((range, range));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if (first..=last).contains(&port) => return Fit::Yes,
            (Some(_), Some(_)) => {}
            // A name, or a set that is kept elsewhere.
            _ => fit = Fit::Maybe,
        }
    }
    fit
}

impl Fit {
    /// The opposite.
    pub(super) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::Maybe => Self::Maybe,
            Self::No => Self::Yes,
        }
    }
}
