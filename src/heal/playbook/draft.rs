//! A playbook as written.

use crate::heal::Sight;
use crate::heal::playbook::deed::{Deed, Risk};
use crate::registry::number::{Bool, Choice, Count, Named, Time, Version};
use crate::registry::read::{List, Many, Map, draft};
use crate::registry::text::{Line, Name, Pattern, Variable, Word};

draft! {
    /// A known problem: how it is recognized, what it means, and what helps.
    struct Playbook requires ["version", "name", "when", "because", "risk", "examples"] {
        /// The version of this format: 1.
        version: Version,
        /// Its name, which is also its file's.
        name: Name,
        /// What must have been observed, all of it; at least one of it bad.
        when: List<Condition>,
        /// What must not have been observed, none of it.
        unless: List<Condition>,
        /// One sentence, with what was captured and measured in braces.
        because: Line,
        /// The next move for a person.
        hint: Line,
        /// Whether it says only that something is wrong, and not why. A cause explains the symptoms above it.
        symptom: Bool,
        /// Whether it breaks nothing yet. What is latent explains nothing but what it names.
        latent: Bool,
        /// Other problems of the same service or host that this one brings about, by name.
        explains: List<Name>,
        /// What the remedy risks: safe, disruptive or ask.
        risk: Choice<Risk>,
        /// The remedy, step by step; none when only a person can mend it.
        deeds as "do": List<Deed>,
        /// When it counts as mended.
        until: Until,
        /// How often the remedy is tried.
        tries: Count,
        /// Observations and what must be made of them; they are tests.
        examples: List<Example>,
    }
}

draft! {
    /// What must have been observed.
    struct Condition requires ["look"] {
        /// The name of the look, or names of which one will do.
        look: Many<Line>,
        /// How it stands: bad if not given, and any for the look `log`.
        is: Choice<Sight>,
        /// What was measured: a text, a list of texts of which one must be it, or a comparison such as "< 3".
        place as "where": Map<Variable, Many<Word>>,
        /// A regular expression that is found in what the look says; its named groups are captured.
        says: Pattern,
        /// A regular expression that is found in the lines of the look; its named groups are captured.
        lines: Pattern,
    }
}

draft! {
    /// When a problem counts as mended.
    struct Until requires ["good", "within"] {
        /// The looks that must be good.
        good: Many<Line>,
        /// How soon.
        within: Time,
    }
}

draft! {
    /// An example: what was observed, and the sentence that is said of it.
    struct Example requires ["name", "given"] {
        /// What it shows.
        name: Line,
        /// What was observed.
        given: List<Given>,
        /// The sentence; none when the playbook must not match.
        expect: Line,
    }
}

draft! {
    /// An observation of an example. Host and service are always `one` and `app`.
    struct Given requires ["look"] {
        /// The name of the look.
        look: Line,
        /// How it stands: bad if not given.
        is: Choice<Sight>,
        /// Which one, where there are several.
        of: Line,
        /// What it says.
        says: Line,
        /// What was measured.
        values: Map<Variable, Word>,
        /// What a program said.
        lines: List<Word>,
    }
}

impl Named for Sight {
    const WHAT: &'static str = "how a look can stand";
    const NAMES: &'static [(&'static str, Self)] =
        &[("good", Self::Good), ("bad", Self::Bad), ("unseen", Self::Unseen)];
}
