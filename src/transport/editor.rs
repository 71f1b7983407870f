//! The user's editor gets the terminal; what it leaves in the file is for the caller to judge.

use std::path::Path;
use std::process::Stdio;

/// Opens a file in `$VISUAL`, `$EDITOR` or vi, and waits for its end. Words in the variable are split as a shell would.
///
/// # Errors
/// When there is no such editor, or it says that it failed.
pub fn edit_file(file: &Path) -> std::io::Result<()> {
    let named = |name| std::env::var(name).ok().and_then(|text| shlex::split(&text)).filter(|words| !words.is_empty());
    let words = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| vec!["vi".to_owned()]);
    #[expect(clippy::disallowed_methods, reason = "this room starts processes")]
    let mut editor = std::process::Command::new(&words[0]);
    editor.args(&words[1..]).arg(file);
    let status = editor.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit()).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("`{}` ended with {status}", words[0]))) }
}
