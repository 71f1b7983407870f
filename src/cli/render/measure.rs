//! Times, sizes and ids, as short as people want them.

use std::time::Duration;

use crate::model::ReleaseId;

/// The first half of a release's id: enough to tell it from others, and every verb takes it.
pub(crate) fn short(release: &ReleaseId) -> &str {
    release.as_str().get(..8).unwrap_or_default()
}

/// A time for people: `0.4 s`, `12 s`, `3 min 04 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round();
    if whole < 60.0 {
        return format!("{whole:.0} s");
    }
    let whole = time.as_secs();
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let said = [40, 9_949, 9_960, 59_400, 60_000, 184_000, 3_720_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(said, ["0.0 s", "9.9 s", "10 s", "59 s", "1 min 00 s", "3 min 04 s", "1 h 02 min"]);
    }
}
