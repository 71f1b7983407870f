//! command: the words exit with 0 on the host. They run in the release's folder.

use super::shown::{last_line, shown};
use super::{Need, Ran, Verdict};
use crate::model::Cmd;

/// Goes to the folder, then becomes the words. 125 tells the missing folder from a command that fails.
const IN_FOLDER: &str = r#"cd "$1" || exit 125; shift; exec "$@""#;

pub(super) fn words(words: &[String], folder: Option<&str>) -> Result<Need, Verdict> {
    let Some(cmd) = Cmd::from_words(words.to_vec()) else {
        return Err(Verdict::Unseen("the check has no command".into()));
    };
    Ok(Need::Run(match folder {
        Some(folder) => Cmd::new("sh").args(["-c", IN_FOLDER, "sh", folder]).args(words.iter().cloned()),
        None => cmd,
    }))
}

pub(super) fn judge(ran: &Ran) -> Verdict {
    let says = match ran.code {
        Some(0) => return Verdict::good("exits with 0"),
        Some(125) => "it cannot be run in its folder, or exits with 125".into(),
        Some(126) => "it cannot be executed".into(),
        Some(127) => "the command is not found".into(),
        Some(code) => format!("exits with {code}"),
        None => "was ended by a signal".into(),
    };
    Verdict::bad_with(says, vec![last_line(&ran.err), shown(&ran.out)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_decides() {
        for (code, good) in [(Some(0), true), (Some(1), false), (Some(127), false), (None, false)] {
            let ran = Ran { code, out: b"out".to_vec(), err: b"why\n\x1b[31mred\n".to_vec() };
            let verdict = judge(&ran);
            assert_eq!(verdict.is_good(), good, "{code:?}");
            if !good {
                assert_eq!(verdict.evidence(), ["\\u{1b}[31mred", "out"]);
            }
        }
    }

    #[test]
    fn words_stay_words_in_the_folder() {
        let words = vec!["./ready".to_owned(), "$(reboot); '".to_owned()];
        let Ok(Need::Run(cmd)) = super::words(&words, Some("/opt/portoser/services/a b/current")) else {
            panic!("a command is needed")
        };
        assert_eq!(&cmd.words()[5..], words);
        assert_eq!(shlex::split(&cmd.line()).as_deref(), Some(cmd.words()));
    }
}
