//! Logins of image registries on their way to a host: in the payload of a run, or in the script of a look. They are never words.

use zeroize::Zeroizing;

use crate::model::Login;

/// Shell text that signs in where a login is known (`signed`).
pub(in crate::host) const SIGN: &str = include_str!("sh/sign.sh");

/// A login as the host reads it: three lines, each behind a `=`.
pub(super) fn file(login: &Login) -> Zeroizing<Vec<u8>> {
    let lines = [login.server.as_bytes(), login.user.as_bytes(), login.password.reveal_for_sending()];
    let mut file = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len() + 2).sum()));
    for line in lines {
        file.push(b'=');
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    file
}

/// Shell text that puts the logins into `$signs/logins`. Each line begins with a `=`, so that none of them ends the text.
pub(in crate::host) fn heard(logins: &[Login]) -> String {
    let mut text = String::new();
    for (index, login) in logins.iter().enumerate() {
        let lines = String::from_utf8_lossy(&file(login)).into_owned();
        text.push_str(&format!("cat >\"$signs/logins/{}\" <<'end'\n{lines}end\n", index + 1));
    }
    text
}
