//! Proving who we are: every kind of key, the agent, certificates, passphrases; and what is said when nothing is let in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::Trial;
use portoser::model::Secret;
use portoser::transport::ssh::Question;
use portoser::transport::{Lost, Options, Pool};

use crate::fixture::sshd::{self, Sshd, certify, keygen};

use super::{Outcome, log_in, run, sh, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("every_kind_of_key_is_let_in", every_kind),
        trial("an_rsa_key_is_never_signed_for_with_sha1", rsa_sha2),
        trial("a_passphrase_is_asked_once_in_a_run", passphrase),
        trial("an_encrypted_key_without_a_prompter_is_named", no_prompter),
        trial("the_agent_signs", agent),
        trial("the_agent_is_asked_only_for_named_keys", agent_only_named),
        trial("a_certificate_is_let_in", certificate),
        trial("an_agent_certificate_is_let_in", agent_certificate),
        trial("what_was_tried_and_what_is_offered_is_said", refused),
        trial("a_server_that_hangs_up_after_tries_is_understood", too_many_tries),
        trial("a_key_and_then_a_question", key_and_question),
        trial("ssh_config_leads_to_a_host", by_config),
        trial("proxy_jump_of_ssh_config", proxy_jump),
        trial("a_match_block_is_left_to_ssh", by_match),
    ]
}

/// Lets in `name` instead of the usual key.
fn only(sshd: &Sshd, file: &Path) {
    let public = file.with_extension("pub");
    fs::copy(public, sshd.folder().join("authorized_keys")).expect("authorized_keys");
}

async fn with_key(sshd: &Sshd, file: &Path, options: Options) -> Result<(), Lost> {
    let host = sshd::host("web", sshd.port(), file);
    let way = Pool::new(options).connect(&host, &sshd::registry(&[&host])).await?;
    way.start(&sh("true"), false).await?.finish(Vec::new()).await.map(drop)
}

async fn every_kind() -> Outcome {
    let sshd = Sshd::start("");
    let kinds: &[(&str, &[&str])] = &[
        ("ed", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("pkcs8", &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"]),
    ];
    for (name, kind) in kinds {
        let file = keygen(sshd.folder(), name, kind, "");
        only(&sshd, &file);
        with_key(&sshd, &file, sshd.options("")).await.map_err(|lost| format!("{name}: {lost}"))?;
    }
    Ok(())
}

async fn rsa_sha2() -> Outcome {
    let sshd = Sshd::start("PubkeyAcceptedAlgorithms rsa-sha2-512");
    let file = keygen(sshd.folder(), "rsa", &["-t", "rsa", "-b", "2048"], "");
    only(&sshd, &file);
    with_key(&sshd, &file, sshd.options("")).await?;
    let old = Sshd::start("PubkeyAcceptedAlgorithms ssh-rsa");
    let file = keygen(old.folder(), "rsa", &["-t", "rsa", "-b", "2048"], "");
    only(&old, &file);
    let lost = with_key(&old, &file, old.options("")).await;
    assert!(matches!(lost, Err(Lost::Authentication { .. })), "{lost:?}");
    Ok(())
}

/// Options whose prompter gives `answers` in turn, and how often it was asked.
fn prompted(options: Options, answers: &[&'static str]) -> (Options, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, answers) = (asked.clone(), answers.to_vec());
    let prompter = move |question: &Question| {
        assert!(!matches!(question, Question::Server { echo: true, .. }));
        let number = count.fetch_add(1, Ordering::SeqCst);
        answers.get(number).map(|answer| Secret::new(answer.as_bytes().to_vec()))
    };
    (Options { prompter: Some(Arc::new(prompter)), ..options }, asked)
}

async fn passphrase() -> Outcome {
    let (first, second) = (Sshd::start(""), Sshd::start(""));
    let file = keygen(first.folder(), "locked", &["-t", "ed25519"], "open sesame");
    only(&first, &file);
    only(&second, &file);
    let at = |sshd: &Sshd| sshd.known_line("host.pub", &format!("[127.0.0.1]:{}", sshd.port()));
    fs::write(first.known_hosts(), at(&first) + &at(&second))?;
    let (options, asked) = prompted(first.options(""), &["wrong", "open sesame"]);
    let (one, two) = (sshd::host("one", first.port(), &file), sshd::host("two", second.port(), &file));
    let registry = sshd::registry(&[&one, &two]);
    let pool = Pool::new(options);
    let (a, b) = tokio::join!(pool.connect(&one, &registry), pool.connect(&two, &registry));
    run(&a?, sh("true"), b"").await?;
    run(&b?, sh("true"), b"").await?;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "one wrong answer and one right one for two hosts");
    Ok(())
}

async fn no_prompter() -> Outcome {
    let sshd = Sshd::start("");
    let file = keygen(sshd.folder(), "locked", &["-t", "ed25519"], "open sesame");
    only(&sshd, &file);
    match with_key(&sshd, &file, sshd.options("")).await {
        Err(Lost::Authentication { tried, .. }) => assert!(tried[0].contains("no passphrase"), "{tried:?}"),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

/// An ssh-agent of our own.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let mut agent = sshd::command("ssh-agent");
        let child = agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("ssh-agent");
        while !socket.exists() {
            std::thread::yield_now();
        }
        Self { child, socket }
    }

    fn add(&self, file: &Path) {
        let mut add = sshd::command("ssh-add");
        add.arg("-q").arg(file).env("SSH_AUTH_SOCK", &self.socket);
        // The socket is there a moment before anybody listens at it; ssh-add(1) ends with 2 where it finds no agent.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let mut status = add.status().expect("ssh-add");
        while status.code() == Some(2) && std::time::Instant::now() < until {
            status = add.status().expect("ssh-add");
        }
        assert!(status.success(), "{status}");
    }

    fn options(&self, sshd: &Sshd, config: &str) -> Options {
        Options { agent: Some(self.socket.clone()), ..sshd.options(config) }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn agent() -> Outcome {
    let sshd = Sshd::start("");
    let agent = Agent::start(sshd.folder());
    for (name, kind) in [("ed", "ed25519"), ("rsa", "rsa"), ("ec", "ecdsa")] {
        let file = keygen(sshd.folder(), name, &["-t", kind], "");
        only(&sshd, &file);
        agent.add(&file);
        fs::remove_file(&file)?;
        // Only the agent has the private half; the registry names the file it once was in.
        with_key(&sshd, &file, agent.options(&sshd, "")).await.map_err(|lost| format!("{name}: {lost}"))?;
    }
    Ok(())
}

async fn agent_only_named() -> Outcome {
    let sshd = Sshd::start("");
    let agent = Agent::start(sshd.folder());
    agent.add(&sshd.key());
    let other = keygen(sshd.folder(), "other", &["-t", "ed25519"], "");
    let lost = with_key(&sshd, &other, agent.options(&sshd, "")).await;
    assert!(matches!(&lost, Err(Lost::Authentication { tried, .. }) if tried.len() == 1), "{lost:?}");
    // Where nothing is named, all of its keys may be tried.
    let mut host = sshd.host("web", sshd.port());
    host.identity.clear();
    Pool::new(agent.options(&sshd, "")).connect(&host, &sshd::registry(&[&host])).await?;
    Ok(())
}

fn with_authority() -> (Sshd, PathBuf) {
    let sshd = Sshd::prepare("TrustedUserCAKeys {folder}/authority.pub");
    let authority = keygen(sshd.folder(), "authority", &["-t", "ed25519"], "");
    fs::write(sshd.folder().join("authorized_keys"), "").expect("authorized_keys");
    (sshd.up(), authority)
}

async fn certificate() -> Outcome {
    let (sshd, authority) = with_authority();
    for (name, kind) in [("ed", "ed25519"), ("rsa", "rsa")] {
        let file = keygen(sshd.folder(), name, &["-t", kind], "");
        assert!(with_key(&sshd, &file, sshd.options("")).await.is_err());
        certify(&authority, &file.with_extension("pub"), &["-I", name, "-n", &sshd::user(), "-V", "+1h"]);
        with_key(&sshd, &file, sshd.options("")).await.map_err(|lost| format!("{name}: {lost}"))?;
    }
    let encrypted = keygen(sshd.folder(), "locked", &["-t", "ed25519"], "open");
    certify(&authority, &encrypted.with_extension("pub"), &["-I", "locked", "-n", &sshd::user(), "-V", "+1h"]);
    with_key(&sshd, &encrypted, prompted(sshd.options(""), &["open"]).0).await?;
    Ok(())
}

async fn agent_certificate() -> Outcome {
    let (sshd, authority) = with_authority();
    let agent = Agent::start(sshd.folder());
    let file = keygen(sshd.folder(), "ed", &["-t", "ed25519"], "");
    certify(&authority, &file.with_extension("pub"), &["-I", "ed", "-n", &sshd::user(), "-V", "+1h"]);
    agent.add(&file);
    fs::remove_file(&file)?;
    fs::remove_file(sshd.folder().join("ed-cert.pub"))?;
    with_key(&sshd, &file, agent.options(&sshd, "")).await?;
    Ok(())
}

async fn refused() -> Outcome {
    let sshd = Sshd::start("KbdInteractiveAuthentication yes\nPasswordAuthentication yes");
    let other = keygen(sshd.folder(), "other", &["-t", "ed25519"], "");
    match with_key(&sshd, &other, sshd.options("")).await {
        Err(lost @ Lost::Authentication { .. }) => {
            let text = lost.to_string();
            assert!(text.contains("other") && text.contains("publickey") && text.contains("password"), "{text}");
            assert!(!lost.retryable());
        }
        lost => return Err(format!("{lost:?}").into()),
    }
    // One connection is the fixture's own, which waits for the server.
    assert_eq!(sshd.logged("Connection from"), 2, "authentication is never tried again by itself");
    Ok(())
}

async fn too_many_tries() -> Outcome {
    let sshd = Sshd::start("MaxAuthTries 2");
    let mut host = sshd.host("web", sshd.port());
    host.identity = (0..4).map(|n| keygen(sshd.folder(), &format!("k{n}"), &["-t", "ed25519"], "")).collect();
    let lost = Pool::new(sshd.options("")).connect(&host, &sshd::registry(&[&host])).await.err();
    assert!(matches!(&lost, Some(Lost::Authentication { tried, .. }) if tried.len() <= 4), "{lost:?}");
    Ok(())
}

async fn key_and_question() -> Outcome {
    let sshd = Sshd::start("AuthenticationMethods publickey,password\nPasswordAuthentication yes");
    let (options, asked) = prompted(sshd.options(""), &["not the password"]);
    let lost = log_in(&sshd, options).await;
    match lost {
        Err(Lost::Authentication { tried, .. }) => assert_eq!(tried.last().map(String::as_str), Some("password")),
        other => return Err(format!("{other:?}").into()),
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "asked, and once more when it was wrong");
    Ok(())
}

async fn by_config() -> Outcome {
    let sshd = Sshd::start("");
    fs::create_dir(sshd.folder().join(".ssh"))?;
    let (here, port) = (sshd.folder().display(), sshd.port());
    let more = format!("Host *.alias\n\tHostName=127.0.0.1\n\tPort {port}\n  IdentityFile \"{here}/%n-key\"\n");
    fs::write(sshd.folder().join("more.conf"), more)?;
    fs::copy(sshd.key(), sshd.folder().join("web.alias-key"))?;
    let mut host = sshd.host("web", 1);
    (host.address, host.port, host.identity) = ("web.alias".into(), None, Vec::new());
    let config = format!("Include {here}/mo*.conf\nHost !web.alias *\nPort 1\nHost *\nUser nobody-else\n");
    host.user = Some(sshd::user());
    Pool::new(sshd.options(&config)).connect(&host, &sshd::registry(&[&host])).await?;
    Ok(())
}

async fn proxy_jump() -> Outcome {
    let (hop, last) = (Sshd::start(""), Sshd::start(""));
    let at = |sshd: &Sshd| sshd.known_line("host.pub", &format!("[127.0.0.1]:{}", sshd.port()));
    fs::write(last.known_hosts(), at(&hop) + &at(&last))?;
    let config = format!(
        "Host bastion\nHostName 127.0.0.1\nPort {}\nIdentityFile {}\nHost 127.0.0.1\nProxyJump bastion\n",
        hop.port(),
        hop.key().display()
    );
    let host = last.host("web", last.port());
    let pool = Pool::new(last.options(&config));
    let way = pool.connect(&host, &sshd::registry(&[&host])).await.map_err(|lost| format!("{lost:?}"))?;
    assert_eq!(run(&way, sh("echo there"), b"").await?.out, b"there\n");
    assert_eq!(hop.logged("Accepted publickey"), 1);
    Ok(())
}

async fn by_match() -> Outcome {
    let sshd = Sshd::start("");
    let mut host = sshd.host("web", 1);
    (host.address, host.port) = ("somewhere".into(), None);
    let config = format!("Match host some*\nHostName 127.0.0.1\nPort {}\nMatch all\n", sshd.port());
    Pool::new(sshd.options(&config)).connect(&host, &sshd::registry(&[&host])).await?;
    Ok(())
}
