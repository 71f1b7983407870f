//! What of a release is the service's user's, where root deploys: the group of the files that others may not read, and the shared
//! folder when the user changes. All else is root's, so that a service cannot change what it runs from.

use crate::host::Record;
use crate::model::{Cmd, Step};

/// Gives the user's group what only a group may read. What a program left in the release is left alone.
pub(super) fn group(record: &Record, folder: &str) -> Option<Step> {
    const SCRIPT: &str = "[ \"$(id -u)\" = 0 ] || exit 0; group=$(id -g -- \"$2\") && \
        find \"$1\" -type f -user 0 -perm -040 ! -perm -004 -exec chgrp -- \"$group\" '{}' +";
    let user = record.user.as_deref()?;
    let mode = |mark: &String| u32::from_str_radix(mark.split_once(' ')?.0, 8).ok();
    let closed = |mode: u32| mode & 0o044 == 0o040;
    record.files.values().filter_map(mode).any(closed).then(|| {
        let cmd = Cmd::new("/bin/sh").args(["-c", SCRIPT, "give-group", folder, user]);
        Step::Run { cmd, undo: None }
    })
}

/// Hands the shared folder over from whom the release before ran as. What lies in it is the user's data, and is not touched; a folder
/// that belongs to somebody else is so because a person wanted it.
pub(super) fn shared(record: &Record, before: Option<&Record>, folder: &str) -> Option<Step> {
    const SCRIPT: &str = "[ \"$(id -u)\" = 0 ] && [ -d \"$1\" ] || exit 0; from=$(id -u -- \"${2:-root}\") || exit 0; \
        [ -z \"$(find \"$1\" -prune -user \"$from\")\" ] || chown -- \"${3:-root}\" \"$1\"";
    let before = before?;
    (before.user != record.user).then(|| {
        let user = |record: &Record| record.user.clone().unwrap_or_default();
        let hand = |from, to| Cmd::new("/bin/sh").args(["-c", SCRIPT, "hand-over", folder]).args([from, to]);
        let (old, new) = (user(before), user(record));
        Step::Run { cmd: hand(old.clone(), new.clone()), undo: Some(hand(new, old)) }
    })
}
