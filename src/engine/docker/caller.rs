//! How compose is called for a release: a script that lies in it, so that any release can be brought up again.

use super::Rendered;
use crate::model::quote;

/// What compose itself goes by: which engine it speaks to, as whom, and what its process is made of. A service's values of these are for its
/// containers.
pub(super) const OWN: [&str; 9] = [
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
];

/// The script that calls compose for a release. Compose itself is found without a process, as it is called often.
pub(super) fn script(rendered: &Rendered, own: bool) -> String {
    let mut text = String::from(CALLER);
    text.push_str(&format!("main={}\n", quote(rendered.main.as_deref().unwrap_or_default())));
    text.push_str("files=''\n[ \"$1\" != plain ] || files=plain\n");
    text.push_str("case $files in plain) shift; set -- ");
    let words = |files: &[String]| -> String { files.iter().map(|file| format!("-f {} ", quote(file))).collect() };
    let plain = if own { &rendered.files[..rendered.files.len() - 1] } else { &rendered.files[..] };
    let name =
        format!("{} --project-directory {}", quote(&rendered.name), quote(rendered.folder.as_deref().unwrap_or(".")));
    text.push_str(&format!("-p {name} {}\"$@\" ;;\n", words(plain)));
    text.push_str(&format!("*) set -- -p {name} {}\"$@\" ;;\nesac\n", words(&rendered.files)));
    if !own {
        text.push_str("if [ -n \"$plugin\" ]; then exec docker compose \"$@\"; fi\nexec docker-compose \"$@\"\n");
        return text;
    }
    text.push_str("if [ -n \"$plugin\" ]; then set -- docker compose \"$@\"; else set -- docker-compose \"$@\"; fi\n");
    // Last of all, as the environment may hold any name; what compose goes by is put before its words meanwhile.
    text.push_str("set -- /usr/bin/env \"PATH=$PATH\" \"HOME=${HOME-/}\"");
    for name in OWN {
        text.push_str(&format!(" ${{{name}+\"{name}=${name}\"}}"));
    }
    text.push_str(&format!(" \"$@\"\n. ./.portoser/env.sh\nunset {}\nexec \"$@\"\n", OWN.join(" ")));
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
