//! clock: how far the host's clock is from ours; certificates, logs and leases suffer from it.

use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "clock", about: About::Host, shell: "", calls: none, judge };

/// What the way to the host and back may take, and what harms nobody, in seconds.
const MOST: i64 = 30;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let Some(theirs) = heard.seen().facts.clock else {
        return vec![scene.of_host(&LOOK).unseen("the host's `date` says no time")];
    };
    vec![told(scene.of_host(&LOOK), theirs, (heard.began, heard.now))]
}

/// It was read at some time between the question and the answer: only what lies outside of these is surely off.
fn told(one: Observation, theirs: i64, (began, now): (i64, i64)) -> Observation {
    let ahead = theirs - theirs.clamp(began, now.max(began));
    if ahead.abs() <= MOST && theirs - began > MOST {
        return one.unseen(format!("the host took {} s to answer, and so its clock cannot be compared", now - began));
    }
    let says = format!("its clock is {ahead:+} s off this machine's");
    one.with("ahead_seconds", ahead).judged(ahead.abs() <= MOST, says)
}

#[cfg(test)]
mod tests {
    use super::super::tests::says;
    use super::told;
    use crate::heal::Observation;
    use crate::model::HostName;

    #[test]
    fn a_slow_answer_is_no_clock_that_is_off() {
        let host = HostName::try_from("one").expect("a name");
        let at = |theirs, asked| says(&[told(Observation::host("clock", &host), theirs, asked)]).concat();
        assert_eq!(at(1000, (1000, 1001)), "good its clock is +0 s off this machine's");
        assert_eq!(at(1000, (1000, 1090)), "good its clock is +0 s off this machine's");
        assert_eq!(at(980, (1000, 1001)), "good its clock is -20 s off this machine's");
        assert_eq!(at(960, (1000, 1090)), "bad its clock is -40 s off this machine's");
        assert_eq!(at(1040, (1000, 1001)), "bad its clock is +39 s off this machine's");
        let why = "unseen the host took 90 s to answer, and so its clock cannot be compared";
        assert_eq!(at(1040, (1000, 1090)), why);
    }
}
