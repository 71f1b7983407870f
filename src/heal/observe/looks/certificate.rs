//! certificate: how long the certificates that a service shows to its checks are good yet. One that is not good is told by the check.

use crate::check::{Good, Verdict, title};
use crate::heal::Observation;
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};

pub(super) const LOOK: Look = Look { name: "certificate", about: About::Service, shell: "", calls: none, judge };

const DAY: i64 = 24 * 3600;

/// Who renews in time does so earlier. One that is made for a few days only is renewed with a third of them left, as a rule, and
/// not at once.
const LEAST: i64 = 14 * DAY;

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let mut found = Vec::new();
    for placed in &scene.services {
        for (_, check, verdict) in heard.verdicts.iter().filter(|(name, ..)| *name == placed.service.name) {
            let Verdict::Good(Good { certificate: Some(term), .. }) = verdict else { continue };
            let left = term.to.saturating_sub(heard.now);
            let least = LEAST.min(term.to.saturating_sub(term.from) / 6);
            let (title, days) = (title(check), left / DAY);
            let says = format!("{title}: the certificate is good for {days} more days");
            found.push(scene.of(&LOOK, placed).of(title).with("days", days).judged(left >= least, says));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{says, service_judged};
    use super::*;
    use crate::check::Term;

    #[test]
    fn what_ends_soon_is_told_before() {
        let found = |life: i64, left: i64| {
            let certificate = Some(Term { from: (left - life) * DAY, to: left * DAY });
            let good = Verdict::Good(Good { says: "good".into(), life: None, certificate });
            says(&service_judged(&LOOK, "checks: [{ tcp: 80, tls: { name: api.example } }]", good)).concat()
        };
        assert_eq!(found(90, 14), "good tls :80: the certificate is good for 14 more days");
        assert_eq!(found(90, 13), "bad tls :80: the certificate is good for 13 more days");
        assert_eq!(found(6, 1), "good tls :80: the certificate is good for 1 more days");
        assert_eq!(found(12, 1), "bad tls :80: the certificate is good for 1 more days");
    }
}
