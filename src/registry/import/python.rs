//! Programs in Python: where the folder of one is on this machine and names its packages, it becomes a Python service, which has an
//! environment of its own in the place of the one that the other tool ran it in.

use std::path::Path;

use super::entry::Entry;
use crate::registry::settle::lock_in;
use crate::registry::text::{Gate, PythonVersion};

/// Programs that Python packages bring, and nothing else does.
const SERVERS: [&str; 8] =
    ["uvicorn", "gunicorn", "hypercorn", "daphne", "waitress-serve", "flask", "celery", "streamlit"];

/// Makes a Python service of an entry whose source is this folder, if these words run one there. Gives the words for `run`.
pub(super) fn adopt(
    words: Vec<String>,
    folder: &Path,
    source: &str,
    entry: &mut Entry,
) -> Result<Vec<String>, Vec<String>> {
    if lock_in(folder).is_err() {
        return Err(words);
    }
    let Some((words, version)) = program(&words) else { return Err(words) };
    entry.set("type", "python");
    entry.set("source", source);
    if let Some(version) = version {
        entry.set("python", version);
    }
    Ok(words)
}

/// The words within an environment, and the version of Python that they ask for; none where they run no Python.
fn program(words: &[String]) -> Option<(Vec<String>, Option<String>)> {
    let (managed, words) = match words {
        [uv, run, rest @ ..] if uv == "uv" && run == "run" => (true, rest),
        words => (false, words),
    };
    let (first, rest) = words.split_first().filter(|(first, _)| !first.starts_with('-'))?;
    let name = first.rsplit('/').next()?;
    let version = name.strip_prefix("python").filter(|version| PythonVersion::good(version));
    let within = |first: &str| [first.to_owned()].into_iter().chain(rest.iter().cloned()).collect();
    if matches!(name, "python" | "python3") || version.is_some() {
        return Some((within("python"), version.map(str::to_owned)));
    }
    if managed && first.ends_with(".py") {
        return Some((["python".to_owned()].into_iter().chain(words.iter().cloned()).collect(), None));
    }
    let known = managed && !first.contains('/') || first.contains("venv/bin/") || SERVERS.contains(&first.as_str());
    known.then(|| (within(name), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_python_are_known_by_their_words() {
        let read = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            program(&words)
                .map(|(words, version)| words.join(" ") + &version.map(|one| format!(" ({one})")).unwrap_or_default())
        };
        for (text, want) in [
            ("uv run uvicorn app:app --port 1", Some("uvicorn app:app --port 1")),
            ("uv run app.py x", Some("python app.py x")),
            ("uv run --with x app.py", None),
            ("uv run ./serve", None),
            ("/usr/bin/python3 ./worker.py", Some("python ./worker.py")),
            ("python3.12 -m app", Some("python -m app (3.12)")),
            (".venv/bin/gunicorn app", Some("gunicorn app")),
            ("/srv/a/venv/bin/python3.11 a.py", Some("python a.py (3.11)")),
            ("flask run", Some("flask run")),
            ("python2 old.py", None),
            ("node server.js", None),
            ("/opt/flask run", None),
        ] {
            assert_eq!(read(text).as_deref(), want, "{text}");
        }
    }
}
