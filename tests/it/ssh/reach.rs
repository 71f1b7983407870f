//! Hosts that are down in every way there is: each is told apart, costs its deadline once, and delays nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use portoser::transport::ssh::Prompter;
use portoser::transport::{End, Lost, Options, Pool};
use russh::server::{Auth, Config, Handler, PublicKeyOffer, run_stream};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use crate::fixture::delay_proxy::DelayProxy;
use crate::fixture::sshd::{self, Sshd, keygen};

use super::{Outcome, connect, known_at, run, sh, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_refused_connection_is_not_tried_again", refused),
        trial("a_name_that_does_not_resolve_is_told", unresolved),
        trial("a_silent_server_costs_its_deadline_and_delays_nobody", black_hole),
        trial("a_server_that_is_no_ssh_server_is_told", no_ssh),
        trial("an_agent_that_never_answers_is_named", mute_agent),
        trial("a_server_that_never_answers_a_login_costs_its_deadline", mute),
        trial("a_cut_in_every_phase_is_a_lost_link", cut_anywhere),
        trial("a_reset_before_the_banner_is_tried_again", reset_first),
        trial("a_pool_dials_once_and_again_after_a_loss", dials_once),
        trial("a_slow_network_carries_everything", throttled),
        trial("a_hop_stays_while_others_go_through_it", hop_stays),
    ]
}

async fn refused() -> Outcome {
    let sshd = Sshd::start("");
    let host = sshd.host("web", sshd::free_port());
    let start = Instant::now();
    let lost = Pool::new(sshd.options("")).connect(&host, &sshd::registry(&[&host])).await.err();
    assert!(matches!(&lost, Some(Lost::Refused { .. })), "{lost:?}");
    assert!(start.elapsed() < Duration::from_secs(2));
    Ok(())
}

async fn unresolved() -> Outcome {
    let sshd = Sshd::start("");
    let mut host = sshd.host("web", 22);
    host.address = "no-such-host.invalid".into();
    let lost = Pool::new(sshd.options("")).connect(&host, &sshd::registry(&[&host])).await.err();
    assert!(matches!(&lost, Some(Lost::Resolve { .. } | Lost::TimedOut { .. })), "{lost:?}");
    Ok(())
}

async fn black_hole() -> Outcome {
    let sshd = Sshd::start("");
    // Accepts and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let down = sshd.host("down", silent.local_addr()?.port());
    let up = sshd.host("up", sshd.port());
    let registry = Arc::new(sshd::registry(&[&down, &up]));
    let pool = Arc::new(Pool::new(sshd.options("")));
    let start = Instant::now();
    let mut all = JoinSet::new();
    for host in std::iter::repeat_n(&down, 20).chain([&up]) {
        let (pool, registry, host) = (pool.clone(), registry.clone(), host.clone());
        all.spawn(
            async move { (host.name.to_string(), pool.connect(&host, &registry).await.map(drop), start.elapsed()) },
        );
    }
    while let Some(ended) = all.join_next().await {
        let (name, result, took) = ended?;
        if name == "up" {
            result?;
            assert!(took < Duration::from_secs(5), "{took:?}");
        } else {
            assert!(matches!(&result, Err(Lost::TimedOut { .. })), "{result:?}");
            assert!(took < Duration::from_secs(13), "its deadline once, not once for each that asks: {took:?}");
        }
    }
    Ok(())
}

/// A server that shows its key and agrees on all keys, and never answers who may come in.
#[derive(Clone)]
struct Mute;

impl Handler for Mute {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        std::future::pending().await
    }

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        std::future::pending().await
    }
}

/// With a key, with one for which the server is asked about hashes first, and with nothing but what a person would type. All
/// at once, as each costs the deadline.
async fn mute() -> Outcome {
    let sshd = Sshd::prepare("");
    let key = russh::keys::load_secret_key(sshd.folder().join("host"), None)?;
    let config = Arc::new(Config { keys: vec![key], ..Config::default() });
    let listener = TcpListener::bind(("127.0.0.1", sshd.port())).await?;
    let mut servers = JoinSet::new();
    servers.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let config = config.clone();
            sessions.spawn(async move {
                if let Ok(session) = run_stream(config, stream, Mute).await {
                    let _ = session.await;
                }
            });
        }
    });
    let rsa = keygen(sshd.folder(), "rsa", &["-t", "rsa", "-b", "2048"], "");
    let asked: Prompter = Arc::new(|_| None);
    let (mut logins, usual) = (JoinSet::new(), sshd.options(""));
    for (keys, prompter) in [(vec![sshd.key()], None), (vec![rsa], None), (Vec::new(), Some(asked))] {
        let options = Options { prompter, ..usual.clone() };
        let mut host = sshd.host("web", sshd.port());
        host.identity = keys;
        logins.spawn(async move { Pool::new(options).connect(&host, &sshd::registry(&[&host])).await.map(drop) });
    }
    for ended in logins.join_all().await {
        match ended {
            Err(lost @ Lost::TimedOut { .. }) => {
                assert!(lost.to_string().starts_with("authentication"), "{lost}");
                assert!(lost.retryable() && !lost.hint().is_empty(), "{lost}");
            }
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(())
}

/// As one that is forwarded over a link that is gone. Where the host's own link goes, too, nobody refused us.
async fn mute_agent() -> Outcome {
    let sshd = Sshd::start("");
    let proxy = DelayProxy::start(format!("127.0.0.1:{}", sshd.port()).parse()?, Duration::ZERO).await;
    known_at(&sshd, proxy.port());
    let [agent, asked] = ["agent", "asked"].map(|name| sshd.folder().join(name));
    let (_mute, tells) = (UnixListener::bind(&agent)?, UnixListener::bind(&asked)?);
    let stranger = keygen(sshd.folder(), "stranger", &["-t", "ed25519"], "");
    let login = async |agent, port| {
        let options = Options { agent: Some(agent), ..sshd.options("") };
        let mut host = sshd.host("web", port);
        host.identity = vec![stranger.clone()];
        Pool::new(options).connect(&host, &sshd::registry(&[&host])).await.err()
    };
    let cut = async {
        let held = tells.accept().await;
        proxy.closed(true);
        proxy.cut();
        std::future::pending::<()>().await;
        drop(held);
    };
    let gone = async {
        tokio::select! { lost = login(asked, proxy.port()) => lost, () = cut => None }
    };
    let (lost, gone) = tokio::join!(login(agent, sshd.port()), gone);
    assert!(gone.is_some() && !matches!(gone, Some(Lost::Authentication { .. })), "{gone:?}");
    let lost = lost.ok_or("it was let in")?;
    let says = lost.to_string();
    assert!(says.contains("tried key ") && says.ends_with("; the ssh-agent did not answer within 15 s"), "{lost}");
    assert!(lost.hint().contains("SSH_AUTH_SOCK"), "{}", lost.hint());
    Ok(())
}

async fn no_ssh() -> Outcome {
    let sshd = Sshd::start("");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = sshd.host("web", listener.local_addr()?.port());
    let server = async {
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            stream.shutdown().await?;
        }
    };
    let registry = sshd::registry(&[&host]);
    let pool = Pool::new(sshd.options(""));
    let result: std::io::Result<()> = tokio::select! {
        ended = server => ended,
        lost = pool.connect(&host, &registry) => {
            assert!(matches!(lost.err(), Some(Lost::Busy { .. } | Lost::Link { .. })));
            Ok(())
        }
    };
    Ok(result?)
}

async fn cut_anywhere() -> Outcome {
    let sshd = Sshd::start("");
    let proxy = DelayProxy::start(format!("127.0.0.1:{}", sshd.port()).parse()?, Duration::from_millis(20)).await;
    known_at(&sshd, proxy.port());
    let host = sshd.host("web", proxy.port());
    let registry = sshd::registry(&[&host]);
    let options = sshd.options("");
    let mut outcomes = (0, 0);
    for millis in (0..400).step_by(25) {
        let work = async {
            let way = Pool::new(options.clone()).connect(&host, &registry).await?;
            way.start(&sh("cat"), false).await?.finish(vec![b'x'; 100_000]).await
        };
        let cut = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            proxy.cut();
        };
        let start = Instant::now();
        match tokio::join!(work, cut).0 {
            // A cut before the banner is tried again by itself.
            Ok(reply) => {
                assert_eq!(reply.end, End::Code(0), "an end is only told when the command ended");
                assert_eq!(reply.out.len(), 100_000);
                outcomes.0 += 1;
            }
            Err(Lost::Link { .. } | Lost::Busy { .. }) => outcomes.1 += 1,
            Err(other) => return Err(format!("after {millis} ms: {other:?}").into()),
        }
        assert!(start.elapsed() < Duration::from_secs(10), "after {millis} ms");
    }
    assert!(outcomes.1 > 0, "{outcomes:?}");
    Ok(())
}

async fn reset_first() -> Outcome {
    let sshd = Sshd::start("");
    let proxy = DelayProxy::start(format!("127.0.0.1:{}", sshd.port()).parse()?, Duration::ZERO).await;
    known_at(&sshd, proxy.port());
    proxy.closed(true);
    let host = sshd.host("web", proxy.port());
    let registry = sshd::registry(&[&host]);
    let pool = Pool::new(sshd.options(""));
    let opens = async {
        while proxy.connections() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.closed(false);
    };
    let (way, ()) = tokio::join!(pool.connect(&host, &registry), opens);
    run(&way?, sh("true"), b"").await?;
    assert!(proxy.bytes() > 0);
    Ok(())
}

async fn dials_once() -> Outcome {
    let sshd = Sshd::start("");
    let proxy = DelayProxy::start(format!("127.0.0.1:{}", sshd.port()).parse()?, Duration::ZERO).await;
    known_at(&sshd, proxy.port());
    let host = sshd.host("web", proxy.port());
    let registry = Arc::new(sshd::registry(&[&host]));
    let pool = Arc::new(Pool::new(sshd.options("")));
    let mut all = JoinSet::new();
    for _ in 0..10 {
        let (pool, registry, host) = (pool.clone(), registry.clone(), host.clone());
        all.spawn(async move { pool.connect(&host, &registry).await });
    }
    let mut ways = Vec::new();
    while let Some(way) = all.join_next().await {
        ways.push(way??);
    }
    assert_eq!(proxy.connections(), 1);
    proxy.cut();
    let lost = ways[0].start(&sh("true"), false).await;
    let lost = match lost {
        Ok(running) => running.finish(Vec::new()).await.err(),
        Err(lost) => Some(lost),
    };
    assert!(matches!(&lost, Some(lost) if lost.retryable()), "{lost:?}");
    let again = pool.connect(&host, &registry).await?;
    run(&again, sh("true"), b"").await?;
    assert_eq!(proxy.connections(), 2);
    drop((ways, again));
    let until = Instant::now() + Duration::from_secs(5);
    while proxy.open() > 0 {
        assert!(Instant::now() < until, "a connection outlives the last way to it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn throttled() -> Outcome {
    let sshd = Sshd::start("");
    let proxy = DelayProxy::start(format!("127.0.0.1:{}", sshd.port()).parse()?, Duration::from_millis(5)).await;
    known_at(&sshd, proxy.port());
    let host = sshd.host("web", proxy.port());
    let way = Pool::new(sshd.options("")).connect(&host, &sshd::registry(&[&host])).await?;
    proxy.throttle(2_000_000);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    assert!(run(&way, sh("cat"), &bytes).await?.out == bytes);
    Ok(())
}

async fn hop_stays() -> Outcome {
    let (hop, last) = (Sshd::start(""), Sshd::start(""));
    let at = |sshd: &Sshd| sshd.known_line("host.pub", &format!("[127.0.0.1]:{}", sshd.port()));
    std::fs::write(last.known_hosts(), at(&hop) + &at(&last))?;
    let (bastion, mut web) = (hop.host("bastion", hop.port()), last.host("web", last.port()));
    web.jump = vec![bastion.name.clone()];
    let registry = sshd::registry(&[&bastion, &web]);
    let pool = Pool::new(last.options(""));
    let first = pool.connect(&bastion, &registry).await?;
    let second = pool.connect(&web, &registry).await?;
    first.close().await;
    assert_eq!(run(&second, sh("echo on"), b"").await?.out, b"on\n");
    // In good order, and more than once.
    let alone = connect(&hop).await?;
    alone.close().await;
    alone.close().await;
    assert!(alone.start(&sh("true"), false).await.is_err());
    Ok(())
}
