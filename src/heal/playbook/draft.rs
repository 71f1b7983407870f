//! A playbook as written.

use crate::heal::Sight;
use crate::heal::playbook::deed::{Deed, Risk};
use crate::heal::playbook::learned::{Source, State};
use crate::registry::number::{Bool, Choice, Count, CountOrNone, Named, Time, Version};
use crate::registry::read::{List, Many, Map, draft};
use crate::registry::text::{Line, Name, Pattern, Variable, Word};

draft! {
    /// A known problem: how it is recognized, what it means, and what helps.
    struct Playbook requires ["version", "name", "because", "risk"] {
        /// The version of this format: 1.
        version: Version,
        /// Its name, which is also its file's.
        name: Name,
        /// Whether what was learned is a draft, promoted or retired.
        state: Choice<State>,
        /// What must have been observed, all of it; at least one of it bad. Only what was learned can be without.
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
        /// Whether it breaks nothing as long as all checks of the service itself are good. It is latent then.
        doubtful: Bool,
        /// Whether, for a symptom, the general remedies may be tried, too: yes, if not given. No where none of them can help.
        ladder: Bool,
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
        /// Observations and what must be made of them; they are tests. Only what was learned can be without.
        examples: List<Example>,
        /// How it was learned. Its steps are then a remedy for the problem that it names.
        learned: Learned,
        /// How often what was learned helped since.
        record: Record,
    }
}

draft! {
    /// How something was learned.
    struct Learned requires ["solves", "by", "from"] {
        /// The fingerprint of the problem, or its playbook's name.
        solves: Word,
        /// Who found it.
        by: Line,
        /// How it was found: fix (a person's words) or ladder (a general remedy).
        from: Choice<Source>,
        /// When.
        on: Line,
        /// Where: the service and the host.
        at: Line,
        /// How long it took until all was good, with what was tried in vain.
        took: Time,
        /// The engine of the service, the looks that were bad, and the words of the failure with what differs masked.
        engine: Line,
        looks: List<Line>,
        said: Line,
    }
}

draft! {
    /// How often something helped.
    struct Record {
        /// So often a second look said that it helped ...
        worked: CountOrNone,
        /// ... and so often that it did not.
        failed: CountOrNone,
        /// So often it had helped when its state was changed last; 0, if not given.
        before: CountOrNone,
        /// When it was applied last.
        last: Line,
        /// The middle of the times until it was good again.
        median: Time,
    }
}

draft! {
    /// Words of a person, as a step of what was learned. `{service}` and the like stand for what differs from place to place.
    struct Words requires ["run"] {
        /// The words that are run on the host.
        run: List<Word>,
        /// The words that take it back.
        undo: List<Word>,
        /// How long either may run; 1m, if not given.
        timeout: Time,
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
