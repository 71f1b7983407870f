//! Whether the server is who it should be, as OpenSSH would judge it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::Trial;
use portoser::transport::ssh::known_hosts::Verdict;
use portoser::transport::ssh::{HostKeys, ShownKey};
use portoser::transport::{Lost, Options, Pool};

use crate::fixture::sshd::{self, Sshd, certify, keygen};

use super::{Outcome, log_in, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("an_unknown_host_key_is_refused", unknown),
        trial("a_changed_host_key_is_refused_with_its_line", changed),
        trial("a_changed_host_key_is_refused_even_when_asked", changed_asked),
        trial("an_unknown_host_key_is_asked_about_and_pinned", asked),
        trial("a_host_key_is_looked_at_and_pinned", looked_at),
        trial("known_hosts_lines_are_judged_as_ssh_does", judged),
        trial("a_host_certificate_is_trusted_through_its_authority", host_certificate),
        trial("the_key_type_that_is_known_is_asked_for", known_type),
    ]
}

fn port_name(sshd: &Sshd) -> String {
    format!("[127.0.0.1]:{}", sshd.port())
}

async fn unknown() -> Outcome {
    let sshd = Sshd::start("");
    fs::write(sshd.known_hosts(), "")?;
    match log_in(&sshd, sshd.options("StrictHostKeyChecking no")).await {
        Err(lost @ Lost::HostKey(_)) => {
            assert!(lost.to_string().contains("SHA256:"), "{lost}");
            assert!(lost.hint().contains("portoser host trust web"), "{}", lost.hint());
            assert!(!lost.retryable());
        }
        other => return Err(format!("{other:?}").into()),
    }
    assert_eq!(sshd.logged("Accepted"), 0);
    Ok(())
}

async fn changed() -> Outcome {
    let sshd = Sshd::start("");
    keygen(sshd.folder(), "other", &["-t", "ed25519"], "");
    let text = format!("# a comment\n\n{}", sshd.known_line("other.pub", &port_name(&sshd)));
    fs::write(sshd.known_hosts(), text)?;
    match log_in(&sshd, sshd.options("")).await {
        Err(Lost::HostKey(shown)) => {
            assert_eq!(shown.verdict, Verdict::Changed { file: sshd.known_hosts(), line: 3 });
            assert!(shown.to_string().contains("known_hosts:3"), "{shown}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

/// Options that say yes to every key, and how often they were asked.
fn yes(options: Options) -> (Options, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let ask = move |_: &ShownKey| {
        count.fetch_add(1, Ordering::SeqCst);
        true
    };
    (Options { host_keys: HostKeys::Ask(Arc::new(ask)), ..options }, asked)
}

async fn changed_asked() -> Outcome {
    let sshd = Sshd::start("");
    keygen(sshd.folder(), "other", &["-t", "ed25519"], "");
    fs::write(sshd.known_hosts(), sshd.known_line("other.pub", &port_name(&sshd)))?;
    let (options, asked) = yes(sshd.options(""));
    assert!(matches!(log_in(&sshd, options).await, Err(Lost::HostKey(_))));
    assert_eq!(asked.load(Ordering::SeqCst), 0, "a changed key is not a question");
    Ok(())
}

async fn asked() -> Outcome {
    let sshd = Sshd::start("");
    fs::write(sshd.known_hosts(), "# no line break at the end")?;
    let (options, asked) = yes(sshd.options(""));
    log_in(&sshd, options.clone()).await?;
    log_in(&sshd, options).await?;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "once pinned, never asked again");
    // What we wrote is what OpenSSH reads.
    let found =
        sshd::command("ssh-keygen").arg("-F").arg(port_name(&sshd)).arg("-f").arg(sshd.known_hosts()).output()?;
    assert!(found.status.success());
    Ok(())
}

async fn looked_at() -> Outcome {
    let sshd = Sshd::start("");
    fs::remove_file(sshd.known_hosts())?;
    let host = sshd.host("web", sshd.port());
    let registry = sshd::registry(&[&host]);
    let pool = Pool::new(sshd.options(""));
    let shown = pool.host_key(&host, &registry).await?;
    assert_eq!(shown.verdict, Verdict::Unknown);
    shown.trust()?;
    log_in(&sshd, sshd.options("")).await?;
    fs::write(sshd.known_hosts(), fs::read_to_string(sshd.known_hosts())? + "junk\n")?;
    let noted = Pool::new(sshd.options(""));
    noted.connect(&host, &registry).await?;
    assert!(noted.warnings().await[0].contains("known_hosts:2"), "{:?}", noted.warnings().await);
    assert_eq!(Pool::new(sshd.options("")).host_key(&host, &registry).await?.verdict, Verdict::Trusted);
    Ok(())
}

async fn judged() -> Outcome {
    let sshd = Sshd::start("");
    keygen(sshd.folder(), "other", &["-t", "ed25519"], "");
    let (name, port) = (port_name(&sshd), sshd.port());
    let ours = |host: &str| sshd.known_line("host.pub", host);
    let other = |host: &str| sshd.known_line("other.pub", host);
    let cases = [
        ("wildcard", ours(&format!("[127.0.0.?]:{port}")), true),
        ("list", ours(&format!("web,[127.0.*]:{port}")), true),
        ("without a port", ours("127.0.0.1"), true),
        ("negated", ours(&format!("[127.*]:{port},!{name}")), false),
        ("tabs and blanks", format!(" \t{}", ours(&name).replace(' ', " \t ")), true),
        ("a junk line before", format!("what is this\n{name} ssh-ed25519 AAAA\n{}", ours(&name)), true),
        ("a second key of the type", other(&name) + &ours(&name), true),
        ("of another type name", ours(&name).replace("ssh-ed25519 ", "ssh-rsa "), false),
        ("revoked", format!("{}@revoked * {}", ours(&name), ours("").trim_start()), false),
        ("another port", ours(&format!("[127.0.0.1]:{}", port ^ 1)), false),
        ("an authority is no key", format!("@cert-authority {}", ours(&name)), false),
    ];
    for (what, text, good) in cases {
        fs::write(sshd.known_hosts(), &text)?;
        let ended = log_in(&sshd, sshd.options("")).await;
        assert_eq!(ended.is_ok(), good, "{what}: {ended:?}");
        assert_eq!(by_openssh(&sshd), good, "{what}: OpenSSH judges otherwise");
    }
    // Hashed by OpenSSH itself.
    sshd.know("host.pub");
    let hashed = sshd::command("ssh-keygen").arg("-q").arg("-H").arg("-f").arg(sshd.known_hosts()).output()?;
    assert!(hashed.status.success() && fs::read_to_string(sshd.known_hosts())?.starts_with("|1|"));
    log_in(&sshd, sshd.options("")).await?;
    Ok(())
}

/// What ssh(1) says with the same files.
fn by_openssh(sshd: &Sshd) -> bool {
    let mut ssh = sshd::command("ssh");
    ssh.arg("-F").arg(sshd.folder().join("ssh_config"));
    ssh.args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]);
    ssh.arg("-i").arg(sshd.key()).arg("-p").arg(sshd.port().to_string()).args(["127.0.0.1", "true"]);
    ssh.stdin(std::process::Stdio::null()).output().expect("ssh").status.success()
}

async fn host_certificate() -> Outcome {
    let sshd = Sshd::prepare("HostCertificate {folder}/host-cert.pub");
    let authority = keygen(sshd.folder(), "authority", &["-t", "ed25519"], "");
    keygen(sshd.folder(), "stranger", &["-t", "ed25519"], "");
    let public = sshd.folder().join("host.pub");
    certify(&authority, &public, &["-h", "-I", "host", "-n", "127.0.0.1", "-V", "+1h"]);
    let sshd = sshd.up();
    let line = |key: &str| format!("@cert-authority {}", sshd.known_line(key, &port_name(&sshd)));
    fs::write(sshd.known_hosts(), line("authority.pub"))?;
    log_in(&sshd, sshd.options("")).await?;
    fs::write(sshd.known_hosts(), line("stranger.pub"))?;
    assert!(matches!(log_in(&sshd, sshd.options("")).await, Err(Lost::HostKey(_))));
    let revoked = format!("{}@revoked {}", line("authority.pub"), sshd.known_line("authority.pub", "*"));
    fs::write(sshd.known_hosts(), revoked)?;
    assert!(matches!(log_in(&sshd, sshd.options("")).await, Err(Lost::HostKey(_))));
    // Made for another name.
    certify(&authority, &public, &["-h", "-I", "host", "-n", "elsewhere", "-V", "+1h"]);
    let mut sshd = sshd;
    sshd.kill();
    let sshd = sshd.up();
    fs::write(sshd.known_hosts(), line_for(&sshd))?;
    assert!(matches!(log_in(&sshd, sshd.options("")).await, Err(Lost::HostKey(_))));
    Ok(())
}

fn line_for(sshd: &Sshd) -> String {
    format!("@cert-authority {}", sshd.known_line("authority.pub", &port_name(sshd)))
}

async fn known_type() -> Outcome {
    let sshd = Sshd::prepare("HostKey {folder}/second");
    keygen(sshd.folder(), "second", &["-t", "ecdsa"], "");
    let sshd = sshd.up();
    sshd.know("second.pub");
    log_in(&sshd, sshd.options("")).await?;
    sshd.know("host.pub");
    log_in(&sshd, sshd.options("")).await?;
    Ok(())
}
