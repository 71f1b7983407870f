//! In what two releases differ.

use serde_json::json;

use crate::cli::history::find::{Found, find};
use crate::cli::{Exit, Face, Failure, safe};
use crate::journal::{Difference, Journal, JournalError, Release, differences};
use crate::model::FailureKind;

/// Show in what two releases differ
#[derive(Debug, clap::Args)]
pub(super) struct Compare {
    /// The one release, or the first letters of its id
    #[arg(value_name = "A")]
    before: String,
    /// The other
    #[arg(value_name = "B")]
    after: String,
}

impl Compare {
    pub(super) fn run(self, face: &Face) -> Result<Exit, Failure> {
        let journal = face.journal()?;
        let (before, after) = (release(&journal, &self.before)?, release(&journal, &self.after)?);
        let found = differences(&before.record, &after.record);
        if face.flags.json || face.flags.events {
            face.document(&json!({
                "before": before.record.release,
                "after": after.record.release,
                "services": [before.record.service, after.record.service],
                "differences": found,
            }));
            return Ok(Exit::DONE);
        }
        if before.record.service != after.record.service {
            face.warn(format!("these are two services: {} and {}", before.record.service, after.record.service));
        }
        if found.is_empty() {
            face.talk("they do not differ");
        }
        for difference in &found {
            lines(difference).iter().for_each(|line| face.data(line));
        }
        Ok(Exit::DONE)
    }
}

fn release(journal: &Journal, prefix: &str) -> Result<Release, Failure> {
    match find(journal, prefix) {
        Ok(Found::Release(release)) => Ok(*release),
        Ok(Found::Run(run)) => Err(Failure::say(FailureKind::Usage, format!("{} is a run, not a release", run.id))
            .hint(format!("`portoser history show {}` names its releases", run.id))),
        Err(error @ JournalError::Unknown { .. }) => {
            Err(Failure::new(FailureKind::Usage, &error).hint("`portoser history` shows the releases of each service"))
        }
        Err(error) => Err(error.into()),
    }
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
