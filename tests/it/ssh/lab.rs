//! The transport on the lab's hosts: other systems, other login shells, a real sudo.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Completion, Failed, Trial};
use portoser::model::{Cmd, Secret};
use portoser::registry::{Become, Host, Registry};
use portoser::transport::{End, Lost, Options, Pool, Reply};

use crate::fixture::sshd;

use super::traps::hostile_words;
use super::{Outcome, block_on, sh};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("ssh_carries_every_word_to_every_user", every_word),
        trial("ssh_tells_the_ways_of_sudo_apart", sudo),
        trial("ssh_reaches_all_hosts_at_once", all_at_once),
    ]
}

fn trial<F: Future<Output = Outcome> + 'static>(name: &str, body: fn(Lab) -> F) -> Trial {
    Trial::ignorable_test(format!("lab::{name}"), move || {
        let Some(file) = std::env::var_os("PORTOSER_LAB") else {
            return Ok(Completion::ignored_with("no lab: PORTOSER_LAB names no inventory"));
        };
        let text = std::fs::read_to_string(file)?;
        block_on(body(Lab(serde_json::from_str(&text)?)))?;
        Ok(Completion::Completed)
    })
}

/// The lab's inventory.
struct Lab(serde_json::Value);

impl Lab {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// Every host that runs an sshd of its own, for this user.
    fn hosts(&self, user: &str, become_root: bool) -> Vec<Host> {
        let all = self.0["hosts"].as_array().into_iter().flatten();
        let has = |host: &&serde_json::Value| {
            host["users"].as_array().is_some_and(|users| users.iter().any(|known| known["name"] == user))
        };
        all.filter(has)
            .map(|host| {
                let port = host["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(22);
                let mut made = sshd::host(
                    host["name"].as_str().unwrap_or("host"),
                    port,
                    host["key"].as_str().unwrap_or_default().as_ref(),
                );
                made.address = host["address"].as_str().unwrap_or_default().into();
                made.user = Some(user.into());
                made.r#become = if become_root { Become::Sudo } else { Become::None };
                made
            })
            .collect()
    }

    fn options(&self, folder: &tempfile::TempDir, password: Option<&str>) -> Options {
        let config = folder.path().join("ssh_config");
        let text = format!("UserKnownHostsFile {}\nGlobalKnownHostsFile none\n", self.text("known_hosts"));
        std::fs::write(&config, text).expect("ssh_config");
        Options {
            home: PathBuf::from(folder.path()),
            config: Some(config),
            become_password: password.map(|password| Secret::new(password.as_bytes().to_vec())),
            ..Options::default()
        }
    }
}

async fn once(options: Options, host: &Host, cmd: Cmd, root: bool) -> Result<Reply, Lost> {
    let way = Pool::new(options).connect(host, &sshd::registry(&[host])).await?;
    way.start(&cmd, root).await?.finish(Vec::new()).await
}

async fn every_word(lab: Lab) -> Outcome {
    let folder = tempfile::tempdir()?;
    let want: Vec<u8> = hostile_words().iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    let mut tried = 0;
    for user in ["root", "deploy", "plain", "fishy", "noisy"] {
        for host in lab.hosts(user, true) {
            let cmd = Cmd::new("printf").arg("%s\\0").args(hostile_words());
            for root in [false, true].iter().take(if user == "plain" { 1 } else { 2 }) {
                let reply = once(lab.options(&folder, None), &host, cmd.clone(), *root).await?;
                assert!(reply.out == want, "{user} on {}: {}", host.name, String::from_utf8_lossy(&reply.out));
                assert_eq!((reply.err, reply.end), (Vec::new(), End::Code(0)), "{user} on {}", host.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 0, "the lab has hosts");
    Ok(())
}

async fn sudo(lab: Lab) -> Outcome {
    let folder = tempfile::tempdir()?;
    let password = lab.text("sudo_password").to_owned();
    let id = || Cmd::new("id").arg("-u");
    for host in lab.hosts("asks", true) {
        let lost = once(lab.options(&folder, None), &host, id(), true).await;
        assert!(matches!(&lost, Err(Lost::SudoPassword { .. })), "{}: {lost:?}", host.name);
        let reply = once(lab.options(&folder, Some(&password)), &host, id(), true).await?;
        assert_eq!(reply.out, b"0\n", "{}", host.name);
        let lost = once(lab.options(&folder, Some("wrong")), &host, id(), true).await;
        assert!(matches!(&lost, Err(Lost::SudoRefused { .. })), "{}: {lost:?}", host.name);
    }
    for host in lab.hosts("plain", true) {
        let lost = once(lab.options(&folder, Some(&password)), &host, id(), true).await;
        assert!(matches!(&lost, Err(Lost::SudoRefused { .. })), "{}: {lost:?}", host.name);
        assert_ne!(once(lab.options(&folder, None), &host, id(), false).await?.out, b"0\n");
    }
    Ok(())
}

async fn all_at_once(lab: Lab) -> Outcome {
    let folder = tempfile::tempdir()?;
    let hosts = lab.hosts("deploy", false);
    let registry: Arc<Registry> = Arc::new(sshd::registry(&hosts.iter().collect::<Vec<_>>()));
    let pool = Arc::new(Pool::new(lab.options(&folder, None)));
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for host in hosts {
        let (pool, registry) = (pool.clone(), registry.clone());
        all.spawn(async move {
            let way = pool.connect(&host, &registry).await?;
            way.start(&sh("true"), false).await?.finish(Vec::new()).await
        });
    }
    let mut count = 0;
    while let Some(reply) = all.join_next().await {
        assert_eq!(reply??.end, End::Code(0));
        count += 1;
    }
    eprintln!("lab: connect, auth and exec on {count} hosts at once: {:?}", start.elapsed());
    Result::<(), Failed>::Ok(())
}
