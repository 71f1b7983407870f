//! From the first letters of an id to the run or the releases that are meant.

use crate::journal::{Journal, JournalError, Release, Run};

/// What an id stands for.
pub(super) enum Found {
    Run(Box<Run>),
    Release(Box<Release>),
}

/// Finds the one run or release whose id begins so. A whole id of a run is 24 characters, of a release 16.
pub(super) fn find(journal: &Journal, prefix: &str) -> Result<Found, JournalError> {
    let (runs, releases) = if prefix.is_empty() {
        Default::default()
    } else {
        (journal.runs_like(prefix)?, journal.releases_like(prefix)?)
    };
    let runs = runs.into_iter().map(|run| (run.id.to_string(), Found::Run(Box::new(run))));
    let releases = releases.into_iter().map(|release| {
        (format!("{} of {}", release.record.release, release.record.service), Found::Release(Box::new(release)))
    });
    let mut found: Vec<_> = runs.chain(releases).collect();
    match (found.pop(), found.is_empty()) {
        (Some((_, found)), true) => Ok(found),
        (None, _) => Err(JournalError::Unknown { prefix: prefix.to_owned() }),
        (Some(last), false) => {
            found.push(last);
            let found = found.into_iter().map(|(name, _)| name).collect();
            Err(JournalError::Ambiguous { prefix: prefix.to_owned(), found })
        }
    }
}
