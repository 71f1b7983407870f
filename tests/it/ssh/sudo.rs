//! Root through sudo: real users and a real sudo, on an /etc that only the server under test sees.

use std::fs;
use std::path::Path;

use libtest_mimic::{Completion, Failed, Trial};
use portoser::model::{Cmd, Secret};
use portoser::registry::Become;
use portoser::transport::{End, Lost, Options, Pool, Reply};

use crate::fixture::sshd::{self, Sshd};

use super::{Outcome, sh};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("sudo_runs_as_root_and_leaves_the_input_alone", without_password),
        trial("sudo_takes_a_password_from_the_input_only", with_password),
        trial("sudo_that_needs_a_password_is_told_apart", needs_password),
        trial("sudo_that_is_refused_is_told_apart", refused),
        trial("a_login_shell_that_runs_nothing_is_told_apart", no_shell),
        trial("a_dropped_root_command_ends_on_the_host", dropped),
    ]
}

/// Each user's line in sudoers, if any, and shell.
const USERS: &[(&str, &str, &str)] = &[
    ("probe-free", "ALL=(ALL) NOPASSWD: ALL", "/bin/sh"),
    ("probe-asks", "ALL=(ALL) ALL", "/bin/sh"),
    ("probe-none", "", "/bin/bash"),
    ("probe-lost", "", "/usr/sbin/nologin"),
];

const PASSWORD: &str = "it's a $ecret!";

/// Why this cannot run here, if so.
fn missing() -> Option<String> {
    let works = |script: &str| {
        let output = sshd::command("sh").arg("-c").arg(script).output();
        output.is_ok_and(|output| output.status.success())
    };
    if let Some(reason) = sshd::missing() {
        return Some(reason);
    }
    if !works("test \"$(id -u)\" = 0 && unshare --mount true") {
        return Some("elsewhere: needs root, to make users that only the server sees".into());
    }
    if !works("command -v sudo && command -v openssl") { Some("sudo or openssl is not installed".into()) } else { None }
}

fn trial<F>(name: &str, body: fn(Sshd) -> F) -> Trial
where
    F: Future<Output = Outcome> + Send + 'static,
{
    Trial::ignorable_test(format!("ssh::{name}"), move || {
        if let Some(reason) = missing() {
            return Ok(Completion::ignored_with(reason));
        }
        super::block_on(async move { body(server()).await })?;
        Ok(Completion::Completed)
    })
}

/// A server with the users above. Its /etc is a copy that is mounted in a namespace of its own.
fn server() -> Sshd {
    let sshd = Sshd::prepare("PermitTTY no");
    let etc = sshd.folder().join("etc");
    let mut script = format!(
        "set -e\nmkdir {0}\ncp -a /etc/. {0}/\nmount --bind {0} /etc\nmount -t tmpfs none /run/sudo 2>/dev/null || :\n",
        etc.display()
    );
    let hash = sshd::command("openssl").args(["passwd", "-6", PASSWORD]).output().expect("openssl").stdout;
    let hash = String::from_utf8(hash).expect("a hash");
    for (number, (name, rule, shell)) in USERS.iter().enumerate() {
        let id = 61_000 + number;
        script += &format!("echo '{name}:x:{id}:{id}::/tmp:{shell}' >> /etc/passwd\n");
        script += &format!("echo '{name}:{}:19000:0:99999:7:::' >> /etc/shadow\n", hash.trim());
        script += &format!("echo '{name}:x:{id}:' >> /etc/group\n");
        if !rule.is_empty() {
            script += &format!("echo '{name} {rule}' >> /etc/sudoers\n");
        }
    }
    script += "exec \"$@\"\n";
    let file = sshd.folder().join("users.sh");
    fs::write(&file, script).expect("users.sh");
    open(sshd.folder());
    sshd.under(&["unshare", "--mount", "sh", file.to_str().expect("a path")]).up()
}

/// Other users may look up authorized_keys.
fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a folder for all");
}

async fn as_user(sshd: &Sshd, user: &str, password: Option<&str>, cmd: Cmd, input: &[u8]) -> Result<Reply, Lost> {
    let mut host = sshd.host("web", sshd.port());
    (host.user, host.r#become) = (Some(user.into()), Become::Sudo);
    let become_password = password.map(|password| Secret::new(password.as_bytes().to_vec()));
    let options = Options { become_password, ..sshd.options("") };
    let way = Pool::new(options).connect(&host, &sshd::registry(&[&host])).await?;
    way.start(&cmd, true).await?.finish(input.to_vec()).await
}

async fn without_password(sshd: Sshd) -> Outcome {
    let cmd = sh("id -u; cat; echo err >&2; exit 7");
    let reply = as_user(&sshd, "probe-free", None, cmd.clone(), b"input").await?;
    assert_eq!(reply, Reply { end: End::Code(7), out: b"0\ninput".to_vec(), err: b"err\n".to_vec() });
    // A password that sudo does not want must not end up in the input.
    let reply = as_user(&sshd, "probe-free", Some("unneeded"), cmd, b"input").await?;
    assert_eq!(reply.out, b"0\ninput");
    Ok(())
}

async fn with_password(sshd: Sshd) -> Outcome {
    let script = "id -u; cat; ps -eo args | grep -c '[i]t.s a .ecret' >&2";
    let reply = as_user(&sshd, "probe-asks", Some(PASSWORD), sh(script), b"input").await?;
    assert_eq!(String::from_utf8_lossy(&reply.out), "0\ninput");
    assert_eq!(String::from_utf8_lossy(&reply.err), "0\n", "the password is in no process's arguments");
    let wrong = as_user(&sshd, "probe-asks", Some("wrong"), sh("true"), b"").await;
    assert!(matches!(&wrong, Err(Lost::SudoRefused { says, .. }) if says.contains("not accepted")), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("wrong\""));
    Ok(())
}

async fn needs_password(sshd: Sshd) -> Outcome {
    let lost = as_user(&sshd, "probe-asks", None, sh("true"), b"").await;
    assert!(matches!(&lost, Err(Lost::SudoPassword { user }) if user == "probe-asks"), "{lost:?}");
    Ok(())
}

async fn refused(sshd: Sshd) -> Outcome {
    let lost = as_user(&sshd, "probe-none", Some(PASSWORD), sh("true"), b"").await;
    assert!(matches!(&lost, Err(Lost::SudoRefused { .. })), "{lost:?}");
    // The command's own failure is none of sudo's.
    let reply = as_user(&sshd, "probe-free", None, sh("echo sudo: a password is required >&2; exit 1"), b"").await?;
    assert_eq!(reply.end, End::Code(1));
    Ok(())
}

async fn no_shell(sshd: Sshd) -> Outcome {
    let lost = as_user(&sshd, "probe-lost", None, sh("true"), b"").await;
    assert!(matches!(&lost, Err(Lost::NoShell { .. })), "{lost:?}");
    Ok(())
}

async fn dropped(sshd: Sshd) -> Outcome {
    let mut host = sshd.host("web", sshd.port());
    (host.user, host.r#become) = (Some("probe-free".into()), Become::Sudo);
    let way = Pool::new(sshd.options("")).connect(&host, &sshd::registry(&[&host])).await?;
    let mut running = way.start(&sh(super::FOR_EVER), true).await?;
    let pid = super::first_line(&mut running).await?;
    drop(running);
    super::gone(&pid).await?;
    Result::<(), Failed>::Ok(())
}
