//! From those who are told, as written, to those who can be told.

use std::time::Duration;

use super::Site;
use crate::registry::draft;
use crate::registry::login::SecretRef;
use crate::registry::notify::{NewsKind, Notify, NotifyTo, Url};
use crate::registry::number::Named;
use crate::registry::read::{At, Field, List, Reader};
use crate::registry::tree::Trail;

pub(super) fn notify(site: &Site<'_>, field: &Field<List<draft::Notify>>, to: &mut Reader) -> Vec<Notify> {
    let at = Trail::TOP.key("notify");
    let all = field.value().into_iter().flat_map(List::iter);
    all.filter_map(|(number, one)| settle(site, one, &at.index(number), to)).collect()
}

fn settle(site: &Site<'_>, one: &At<draft::Notify>, at: &Trail<'_>, to: &mut Reader) -> Option<Notify> {
    let draft = &one.value;
    let target = match (&draft.command, &draft.webhook) {
        (Field::Absent, Field::Absent) | (Field::Given(_), Field::Given(_)) => {
            to.fault(one.place, at, "it must be told by `command` or by `webhook`").hint("give exactly one of them");
            return None;
        }
        (command, Field::Absent) => {
            let words: Vec<String> = command.value()?.values().map(|word| word.0.clone()).collect();
            NotifyTo::Command(words)
        }
        (_, webhook) => {
            let given = webhook.given()?;
            let Some(url) = Url::parse(&given.value.0) else {
                to.fault(given.place, &at.key("webhook"), "this is not a URL to post to")
                    .why("it must begin with https:// or http://, then a host, perhaps a port and a path; no user, no fragment");
                return None;
            };
            NotifyTo::Webhook { url, key: draft.key_file.value().map(|path| SecretRef::File(site.path(&path.0))) }
        }
    };
    if let (NotifyTo::Command(_), Some(given)) = (&target, draft.key_file.given()) {
        to.fault(given.place, &at.key("key_file"), "only a webhook is signed").hint("take the key away");
    }
    let all = || NewsKind::NAMES.iter().map(|(_, kind)| *kind).collect();
    Some(Notify {
        to: target,
        news: draft.news.value().map_or_else(all, |news| news.0.values().map(|kind| kind.0).collect()),
        cooldown: draft.cooldown.value().map_or(Duration::from_secs(3600), |time| time.0),
        timeout: draft.timeout.value().map_or(Duration::from_secs(10), |time| time.0),
    })
}
