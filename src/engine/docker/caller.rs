//! How compose is called for a release: a script that lies in it, so that any release can be brought up again.

use super::Rendered;
use crate::model::quote;

/// The script that calls compose for a release. Compose itself is found without a process, as it is called often.
pub(super) fn script(rendered: &Rendered, own: bool) -> String {
    let mut text = String::from(CALLER);
    text.push_str(&format!("main={}\n", quote(rendered.main.as_deref().unwrap_or_default())));
    if own {
        // The environment may hold what the shell itself goes by.
        text.push_str("path=$PATH home=${HOME-/}\n. ./.portoser/env.sh\nPATH=$path HOME=$home\n");
    }
    text.push_str("files=''\n[ \"$1\" != plain ] || files=plain\n");
    text.push_str("case $files in plain) shift; set -- ");
    let words = |files: &[String]| -> String { files.iter().map(|file| format!("-f {} ", quote(file))).collect() };
    let plain = if own { &rendered.files[..rendered.files.len() - 1] } else { &rendered.files[..] };
    let name =
        format!("{} --project-directory {}", quote(&rendered.name), quote(rendered.folder.as_deref().unwrap_or(".")));
    text.push_str(&format!("-p {name} {}\"$@\" ;;\n", words(plain)));
    text.push_str(&format!("*) set -- -p {name} {}\"$@\" ;;\nesac\n", words(&rendered.files)));
    text.push_str("if [ -n \"$plugin\" ]; then exec docker compose \"$@\"; fi\nexec docker-compose \"$@\"\n");
    text
}

const CALLER: &str = r#"# Calls compose for this release: sh compose.sh [plain] WORDS...
cd "${0%/*}/.." || exit 125
plugin=
for folder in "${HOME-}/.docker" /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
  [ ! -x "$folder/cli-plugins/docker-compose" ] || plugin=yes
done
if [ -z "$plugin" ] && ! command -v docker-compose >/dev/null; then
  docker compose version >/dev/null 2>&1 || { echo 'neither docker compose nor docker-compose is on the host' >&2; exit 127; }
  plugin=yes
fi
"#;
