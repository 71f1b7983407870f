//! In what two releases differ.

use serde_json::json;

use crate::cli::history::find::{Finder, Found};
use crate::cli::{Exit, Face, Failure, safe};
use crate::host::{OURS, Record};
use crate::journal::{Difference, JournalError, differences};
use crate::model::{FailureKind, RunId};

/// Show in what two releases differ
///
/// What this machine's journal has nothing of is asked of the hosts of the registry.
#[derive(Debug, clap::Args)]
pub(super) struct Compare {
    /// The one release, or the first letters of its id
    #[arg(value_name = "A")]
    before: String,
    /// The other
    #[arg(value_name = "B")]
    after: String,
    /// Ask the hosts for their own records, whatever this machine remembers
    #[arg(long)]
    from_hosts: bool,
}

impl Compare {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let mut finder = Finder::new(face, self.from_hosts)?;
        let (before, after) = (release(&mut finder, &self.before)?, release(&mut finder, &self.after)?);
        let found = differences(&before, &after);
        if face.flags.json || face.flags.events {
            face.document(&json!({
                "before": before.release,
                "after": after.release,
                "services": [before.service, after.service],
                "differences": found,
            }));
            return Ok(finder.exit());
        }
        if before.service != after.service {
            face.warn(format!("these are two services: {} and {}", before.service, after.service));
        }
        if found.is_empty() {
            face.talk("they do not differ");
        }
        let mut told = Vec::new();
        for difference in &found {
            told.extend(file(difference).map_or_else(|| lines(difference), |line| vec![safe(&line).into_owned()]));
        }
        // Several files of ours hold the environment.
        told.dedup();
        told.iter().for_each(|line| face.data(line));
        if before.service == after.service && told.iter().any(|line| line.starts_with("~ file ")) {
            face.flush();
            let (service, release) = (&before.service, &before.release);
            face.talk(format!(
                "hint: where one of them is in force, `portoser rollback {service} --to {release} --dry-run` (or the other's id) shows \
                 how their texts differ"
            ));
        }
        Ok(finder.exit())
    }
}

fn release(finder: &mut Finder<'_>, prefix: &str) -> Result<Record, Failure> {
    let is_run = |run: &RunId| {
        Failure::say(FailureKind::Usage, format!("{run} is a run, not a release"))
            .hint(format!("`portoser history show {run}` names its releases"))
    };
    match finder.find(prefix)? {
        Ok(Found::Release(release)) => Ok(release.record),
        Ok(Found::Run(run)) => Err(is_run(&run.id)),
        Ok(Found::OnHosts(run)) => Err(is_run(&run)),
        Err(error @ JournalError::Unknown { .. }) => {
            Err(Failure::new(FailureKind::Usage, &error).hint("`portoser history` shows the releases of each service"))
        }
        Err(error) => Err(error.into()),
    }
}

/// A file that came, went or is another one, as a plan tells it: a hash says nothing to a person. None of what is no file with a hash.
fn file(difference: &Difference) -> Option<String> {
    let path = difference.what.strip_prefix("file ")?;
    if path.strip_prefix(OURS).is_some_and(|rest| rest.starts_with("/env.")) {
        return Some("~ environment".into());
    }
    let mark = |mark: &Option<String>| match mark.as_deref().map(|mark| mark.split_once(' ')) {
        Some(Some(("->", _)) | None) => Err(()),
        Some(Some((mode, hash))) => Ok(Some((mode.to_owned(), hash.to_owned()))),
        None => Ok(None),
    };
    Some(match (mark(&difference.before).ok()?, mark(&difference.after).ok()?) {
        (None, _) => format!("+ file {path}"),
        (_, None) => format!("- file {path}"),
        (Some((old, _)), Some((new, _))) if old != new => format!("~ file {path} (mode {old} -> {new})"),
        _ => format!("~ file {path}"),
    })
}

/// A difference in lines: short values on one line each, long texts by the lines in which they differ.
fn lines(difference: &Difference) -> Vec<String> {
    let mut lines = vec![safe(&difference.what).into_owned()];
    let texts = [&difference.before, &difference.after].map(|text| text.as_deref().unwrap_or_default());
    let [before, after] = texts.map(|text| text.lines().collect::<Vec<_>>());
    for (sign, line) in changed(&before, &after) {
        lines.push(format!("  {sign} {}", safe(line)).trim_end().to_owned());
    }
    lines
}

/// The lines that were taken away and added, by the longest common subsequence. Texts of units are short, so the square
/// of their length is no matter; what is longer than that is shown whole.
fn changed<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<(char, &'t str)> {
    const LONG: usize = 1000;
    let whole = |sign, lines: &[&'t str]| lines.iter().map(|line| (sign, *line)).collect::<Vec<_>>();
    if before.len() > LONG || after.len() > LONG {
        return [whole('-', before), whole('+', after)].concat();
    }
    let mut common = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            common[i][j] = if old == new { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || (i < before.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', before[i]));
            i += 1;
        } else {
            lines.push(('+', after[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_without_their_hashes() {
        let told = |what: &str, before: Option<&str>, after: Option<&str>| {
            let [before, after] = [before, after].map(|mark| mark.map(str::to_owned));
            file(&Difference { what: what.into(), before, after })
        };
        assert_eq!(told("file a b", Some("644 00"), Some("644 11")).as_deref(), Some("~ file a b"));
        assert_eq!(told("file a", Some("644 00"), Some("600 00")).as_deref(), Some("~ file a (mode 644 -> 600)"));
        assert_eq!(told("file a", None, Some("644 11")).as_deref(), Some("+ file a"));
        assert_eq!(told("file a", Some("644 11"), None).as_deref(), Some("- file a"));
        assert_eq!(told("file .portoser/env.2", None, Some("600 11")).as_deref(), Some("~ environment"));
        assert_eq!(told("file a", Some("-> b"), Some("-> c")), None);
        assert_eq!(told("port", Some("80"), Some("81")), None);
    }

    #[test]
    fn only_the_lines_that_differ_are_shown() {
        let difference = Difference {
            what: "unit a.service".into(),
            before: Some("[Service]\nExecStart=/a\nUser=api\n".into()),
            after: Some("[Service]\nExecStart=/b\nUser=api\nNice=5\n".into()),
        };
        assert_eq!(lines(&difference), ["unit a.service", "  - ExecStart=/a", "  + ExecStart=/b", "  + Nice=5"]);
        let gone = Difference { what: "env A".into(), before: Some("1\x1b[2J".into()), after: None };
        assert_eq!(lines(&gone), ["env A", "  - 1\\x1b[2J"]);
    }
}
