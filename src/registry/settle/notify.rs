//! From those who are told, as written, to those who can be told.

use std::time::Duration;

use super::Site;
use super::login::secret;
use crate::registry::draft;
use crate::registry::login::SecretRef;
use crate::registry::notify::{Mail, MailSecurity, NewsKind, Notify, NotifyTo, Url};
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
    let ways = [draft.command.written(), draft.webhook.written(), draft.mail.written()];
    if ways.into_iter().filter(|written| *written).count() != 1 {
        to.fault(one.place, at, "it must be told by `command`, by `webhook` or by `mail`")
            .hint("give exactly one of them");
        return None;
    }
    let target = if draft.mail.written() {
        NotifyTo::Mail(mail(site, draft.mail.given()?, &at.key("mail"), to)?)
    } else if draft.command.written() {
        let words: Vec<String> = draft.command.value()?.values().map(|word| word.0.clone()).collect();
        NotifyTo::Command(words)
    } else {
        let given = draft.webhook.given()?;
        let Some(url) = Url::parse(&given.value.0) else {
            to.fault(given.place, &at.key("webhook"), "this is not a URL to post to").why(
                "it must begin with https:// or http://, then a host, perhaps a port and a path; no user, no fragment",
            );
            return None;
        };
        NotifyTo::Webhook { url, key: draft.key_file.value().map(|path| SecretRef::File(site.path(&path.0))) }
    };
    if let (NotifyTo::Command(_) | NotifyTo::Mail(_), Some(given)) = (&target, draft.key_file.given()) {
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

/// A mail server, and whom it brings the news. A password goes over no open way but to this machine itself.
fn mail(site: &Site<'_>, written: &At<draft::Mail>, at: &Trail<'_>, to: &mut Reader) -> Option<Mail> {
    let draft = &written.value;
    let server = draft.server.given()?;
    let host = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if !server.value.0.chars().all(host) || server.value.0.starts_with('-') {
        to.fault(server.place, &at.key("server"), "this is not the name of a server").hint("give the port as `port`");
        return None;
    }
    let security = draft.security.value().map_or(MailSecurity::StartTls, |choice| choice.0);
    let usual = match security {
        MailSecurity::StartTls => 587,
        MailSecurity::Tls => 465,
        MailSecurity::Open => 25,
    };
    let password = draft.password.given().and_then(|from| secret(site, from, &at.key("password"), to));
    let login = match (draft.user.value(), password) {
        (Some(user), Some(password)) => Some((user.0.clone(), password)),
        (None, None) if !draft.user.written() && !draft.password.written() => None,
        _ => {
            if draft.user.written() != draft.password.written() {
                to.fault(written.place, at, "a user needs a password, and a password a user")
                    .hint("give both, or none");
            }
            return None;
        }
    };
    let here = matches!(&*server.value.0, "localhost" | "127.0.0.1" | "::1");
    if login.is_some() && security == MailSecurity::Open && !here {
        to.fault(written.place, at, "the password would go over an open way").hint("use `security: starttls` or `tls`");
        return None;
    }
    Some(Mail {
        server: server.value.0.clone(),
        port: draft.port.value().and_then(|port| u16::try_from(port.0).ok()).unwrap_or(usual),
        security,
        from: draft.from.value()?.0.clone(),
        to: draft.to.value()?.0.values().map(|one| one.0.clone()).collect(),
        login,
    })
}
