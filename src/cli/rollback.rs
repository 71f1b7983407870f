//! `portoser rollback`: a deploy of what was proven before, from what lies on the hosts.

use crate::cli::deploy::{Manner, Reach, go};
use crate::cli::{Exit, Face, Failure};
use crate::deploy::{Request, Selection};
use crate::model::{FailureKind, ServiceName};
use crate::plan::Target;

/// The least digits that a word must have to be taken for a release.
const DIGITS: usize = 4;

/// Bring the last proven release back, and prove it again; the registry's sources are not needed
///
/// A service that is named and has no earlier release here is refused, and nothing is touched. With --all, --label or --host alone,
/// what has no way back is named and stays as it is, on all of its hosts; the others go back, and the end is 9.
///
/// --dry-run shows what changes, as `plan` does: both releases lie on the host, which tells their units and files. Of a source's files
/// those are shown that are here, and open to others; the rest is named.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// The services; one service may be followed by the id of a release
    #[arg(value_name = "SERVICE")]
    words: Vec<String>,
    /// The release to go back to, or the first digits of its id [default: the last proven one before the current one]
    #[arg(long, value_name = "ID")]
    to: Option<String>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    manner: Manner,
}

impl Rollback {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let Self { words, to, reach: Reach { all, label, host }, manner } = self;
        let (services, id) = parted(words, |word| face.registry().is_ok_and(|registry| named(&registry, word)))?;
        let to = match (to, id) {
            (Some(to), None) | (None, Some(to)) => Target::Named(to.to_ascii_lowercase()),
            (None, None) => Target::Before,
            (Some(to), Some(id)) => {
                return Err(Failure::say(FailureKind::Usage, format!("two releases are named: {id} and {to}")));
            }
        };
        if to != Target::Before && (services.len() != 1 || all) {
            return Err(Failure::say(FailureKind::Usage, "a release belongs to one service")
                .hint("name the service: portoser rollback SERVICE --to ID"));
        }
        let selection = Selection { services, all, labels: label, hosts: host, with_needs: false };
        let request = Request { selection, overwrite: manner.overwrite, only_look: manner.dry_run, renew: false };
        go(face, "rollback", &request, Some(&to), &manner, None)
    }
}

fn named(registry: &crate::registry::Registry, word: &str) -> bool {
    registry.services.keys().any(|name| name.as_str() == word)
}

/// The services, and the release if the second of two words is one.
fn parted(
    mut words: Vec<String>,
    is_service: impl Fn(&str) -> bool,
) -> Result<(Vec<ServiceName>, Option<String>), Failure> {
    let hex = |word: &String| word.len() >= DIGITS && word.bytes().all(|b| b.is_ascii_hexdigit());
    let id = match words.as_slice() {
        [_, last] if hex(last) && !is_service(last) => words.pop(),
        _ => None,
    };
    let names = words.into_iter().map(|word| {
        ServiceName::try_from(word).map_err(|error| Failure::new(FailureKind::Usage, &error).doing("reading the words"))
    });
    Ok((names.collect::<Result<_, _>>()?, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_word_may_be_a_release() {
        let parts = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            parted(words, |word| word == "cafe").map(|(services, id)| (services.len(), id)).ok()
        };
        assert_eq!(parts(&["api", "0123abcd"]), Some((1, Some("0123abcd".into()))));
        assert_eq!(parts(&["api", "cafe"]), Some((2, None)));
        assert_eq!(parts(&["api", "web"]), Some((2, None)));
        assert_eq!(parts(&["api"]), Some((1, None)));
        assert_eq!(parts(&["api", "web", "0123abcd"]), None);
    }
}
