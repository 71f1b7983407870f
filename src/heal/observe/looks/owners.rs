//! owners: whether the files and folders of the release, and its units, belong to who deploys there: the login user, or root where the
//! registry says so. Who owns the base folder may own what lies in it, too.

use crate::heal::Observation;
use crate::heal::observe::looks::modes::{Entry, IN_PART, entries};
use crate::heal::observe::scene::{About, Heard, Look, Scene, none};
use crate::host::Layout;

pub(super) const LOOK: Look = Look { name: "owners", about: About::Service, shell: "", calls: none, judge };

fn judge(scene: &Scene<'_>, heard: &Heard) -> Vec<Observation> {
    let facts = &heard.seen().facts;
    let base = Layout::new(&facts.base);
    let mut found = Vec::new();
    for placed in &scene.services {
        let Some(record) = heard.service(placed).and_then(|there| there.readable()) else { continue };
        let one = scene.of(&LOOK, placed);
        let told = match entries(heard, placed, record) {
            Err(why) => {
                found.push(one.unseen(why));
                continue;
            }
            Ok(told) => told,
        };
        let host = told.all.iter().find(|entry| entry.path == base.base()).and_then(|entry| entry.owner);
        let foreign = |entry: &&Entry| entry.own && entry.owner.is_some() && entry.owner != host;
        let strange: Vec<&Entry> = told.all.iter().filter(foreign).collect();
        let Some(first) = strange.first() else {
            found.push(match told.whole {
                true => one.good("its files and folders belong to who deployed them"),
                false => one.unseen(IN_PART),
            });
            continue;
        };
        let has = |entry: &Entry| entry.owner.unwrap_or_default();
        let line = |entry: &&Entry| format!("{} {} {}", has(entry), facts.uid, entry.path);
        let says = format!(
            "{} belongs to user {}, and should to user {} ({}){}",
            first.path,
            has(first),
            facts.uid,
            facts.user,
            told.more(strange.len())
        );
        let one =
            one.with("path", &first.path).with("has", has(first)).with("should", facts.uid).with("user", &facts.user);
        found.push(one.saying(told.to_mend(strange.iter().map(line).collect())).bad(says));
    }
    found
}
