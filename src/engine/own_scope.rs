//! `scope: user`: the service belongs to the one who logs in, and lives in that user's own supervisor. What cannot hold there is
//! refused before anything is touched.

use crate::host::Init;
use crate::model::Scope;
use crate::plan::{Refused, Subject};
use crate::registry::Become;

/// Refuses a service in a user's scope on a host where it would run as somebody else, or end with the last login.
pub(super) fn possible(subject: &Subject<'_>) -> Result<(), Refused> {
    let (service, facts) = (subject.service, subject.facts);
    if service.scope != Scope::User {
        return Ok(());
    }
    // Where nothing supervises for a user, the scope means nothing.
    let supervised = matches!(facts.init, Init::Systemd | Init::Launchd);
    if supervised && facts.uid == 0 && subject.host.r#become == Become::Sudo {
        return Err(Refused::new(
            "with `scope: user` it belongs to the one who logs in, and portoser works as root there",
            "set `become: none` for the host and a `base` that its user owns; or take `scope: system`, with `user: NAME`",
        ));
    }
    if let Some(user) = service.user.as_ref().filter(|user| **user != facts.user) {
        return Err(Refused::new(
            format!("with `scope: user` it runs as `{}`, who logs in there, and `user` names `{user}`", facts.user),
            "take `user` away, or set `scope: system`",
        ));
    }
    if facts.init == Init::Systemd && facts.linger == Some(false) {
        return Err(Refused::new(
            format!(
                "`{}` does not linger there, so what runs in that user's scope ends with the last login",
                facts.user
            ),
            format!("once, as root on the host: `loginctl enable-linger {}`", facts.user),
        ));
    }
    Ok(())
}
