//! What goes wrong between two good sides: limits, early ends, dead links, processes left behind.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use portoser::model::Cmd;
use portoser::transport::{End, Lost, Pool, Reply, Said};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::delay_proxy::DelayProxy;
use crate::fixture::sshd::{self, Sshd};

use super::{FOR_EVER, Outcome, connect, first_line, gone, known_at, run, sh, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_command_runs", a_command_runs),
        trial("every_word_arrives_through_every_login_shell", every_word_arrives),
        trial("the_round_trips_stay_in_the_budget", round_trips),
        trial("an_early_exit_does_not_hang_the_writer", early_exit),
        trial("an_undrained_command_does_not_freeze_the_others", undrained),
        trial("max_sessions_is_waited_out", max_sessions),
        trial("max_startups_is_retried", max_startups),
        trial("a_dropped_command_ends_on_the_host", dropped),
        trial("a_deadline_ends_the_command_on_the_host", deadline),
        trial("rekeying_in_a_transfer", rekeying),
        trial("a_killed_server_is_a_lost_link", killed),
        trial("a_silent_link_is_noticed", silent),
        trial("streams_reach_ports_of_the_host", streams),
        trial("two_hops", two_hops),
    ]
}

async fn a_command_runs() -> Outcome {
    let sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    let reply = run(&way, sh("cat; echo error >&2; exit 3"), b"hello\n").await?;
    assert_eq!(reply, Reply { end: End::Code(3), out: b"hello\n".to_vec(), err: b"error\n".to_vec() });
    way.close().await;
    Ok(())
}

/// Words that are text to us and code to a shell.
pub(super) fn hostile_words() -> Vec<String> {
    let mut words: Vec<String> = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "\\\\",
        "!",
        "!!",
        "!$",
        "$",
        "$1",
        "$HOME",
        "${IFS}",
        "$(id)",
        "`id`",
        "\n",
        "a\nb\n",
        "\t",
        "\r",
        "*",
        "?",
        "[a]",
        "~",
        "~root",
        "#",
        "a#b",
        "&",
        "|",
        ";",
        "<",
        ">",
        "(",
        ")",
        "{a,b}",
        "%1",
        "^a^b",
        "-n",
        "--",
        "-",
        "=",
        "a=b",
        "é",
        "日本語",
        "🦀",
        "\u{7f}",
        "\x01",
        "it's \"a\" $b `c` \\d !e\n",
        "'\\''",
        "\\'",
        "\\n",
        "%s",
        "end\\",
        "'''",
        "$'a'",
        "@",
        "a b  c",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push("x".repeat(40_000));
    words.push("'\"$`\\!\n".repeat(1_000));
    words
}

async fn every_word_arrives() -> Outcome {
    let shells = ["sh", "bash", "dash", "tcsh", "csh", "fish", "busybox sh", "zsh", "ksh"];
    let mut tried = Vec::new();
    for shell in shells {
        let program = shell.split(' ').next().unwrap_or(shell);
        let found = sshd::command("sh").arg("-c").arg(format!("command -v {program}")).output()?;
        if !found.status.success() {
            eprintln!("skipped: ssh::every_word_arrives_through_every_login_shell: {program} is not installed");
            continue;
        }
        // What sshd does for a user with this login shell.
        let forced = format!("ForceCommand BASH_ENV={{folder}}/rc exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"");
        let sshd = Sshd::prepare(&forced);
        std::fs::write(sshd.folder().join("rc"), "echo noise from an rc file\necho more noise >&2\n")?;
        let sshd = sshd.up();
        let way = connect(&sshd).await?;
        let mut cmd = Cmd::new("printf").arg("%s\\0");
        cmd = cmd.args(hostile_words());
        let reply = run(&way, cmd, b"").await?;
        let want: Vec<u8> = hostile_words().iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        assert!(reply.out == want, "{shell}: {}", String::from_utf8_lossy(&reply.out));
        assert_eq!(String::from_utf8_lossy(&reply.err), "", "{shell}");
        assert_eq!(reply.end, End::Code(0), "{shell}");
        tried.push(shell);
    }
    assert!(tried.contains(&"sh"));
    Ok(())
}

async fn round_trips() -> Outcome {
    let sshd = Sshd::start("");
    let target = format!("127.0.0.1:{}", sshd.port()).parse()?;
    // What is sent without waiting for an answer must not be overtaken by it, or it would count as caused by it.
    let proxy = DelayProxy::start(target, Duration::from_millis(50)).await;
    known_at(&sshd, proxy.port());
    let host = sshd.host("web", proxy.port());
    let registry = sshd::registry(&[&host]);
    let once = async |input: &[u8]| -> Result<usize, Failed> {
        proxy.crossings();
        let way = Pool::new(sshd.options("")).connect(&host, &registry).await?;
        let reply = run(&way, sh("cat; echo end"), input).await?;
        assert_eq!(reply.out, [input, b"end\n"].concat());
        Ok(proxy.crossings())
    };
    // A process that got no time may be overtaken all the same; one try within the budget shows that no trip more is needed.
    let best = async |input: &[u8], budget: usize| -> Outcome {
        let mut crossings = once(input).await?;
        for _ in 0..4 {
            if crossings <= budget {
                break;
            }
            crossings = crossings.min(once(input).await?);
        }
        eprintln!("ssh: connect, auth and exec with {} bytes of input: {crossings} crossings", input.len());
        assert!(crossings <= budget, "{crossings} crossings, more than {budget}");
        Ok(())
    };
    // Identification, key exchange, service, key, signature, channel, command: seven round trips. russh asks whether a key is
    // welcome before it signs, which costs one of them.
    best(b"", 14).await?;
    // OpenSSH gives a channel no window before its command has begun, so that input costs one more.
    best(b"input", 16).await
}

async fn early_exit() -> Outcome {
    let sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    let reply = run(&way, sh("exit 3"), &vec![b'x'; 8 << 20]).await?;
    assert_eq!(reply.end, End::Code(3));
    assert_eq!(run(&way, sh("echo on"), b"").await?.out, b"on\n");
    Ok(())
}

async fn undrained() -> Outcome {
    let sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    // Nobody reads this one while the others run.
    let slow = way.start(&sh("head -c 40000000 /dev/zero"), false).await?;
    for _ in 0..5 {
        assert_eq!(run(&way, sh("echo on"), b"").await?.out, b"on\n");
    }
    assert_eq!(slow.finish(Vec::new()).await?.out.len(), 40_000_000);
    Ok(())
}

async fn max_sessions() -> Outcome {
    let sshd = Sshd::start("MaxSessions 2");
    let way = connect(&sshd).await?;
    let mut all = tokio::task::JoinSet::new();
    for number in 0..40 {
        let way = way.clone();
        all.spawn(async move { way.start(&sh(&format!("echo {number}")), false).await?.finish(Vec::new()).await });
    }
    while let Some(reply) = all.join_next().await {
        assert_eq!(reply??.end, End::Code(0));
    }
    assert_eq!(sshd.logged("Accepted publickey"), 1, "one connection for all");
    Ok(())
}

async fn max_startups() -> Outcome {
    let sshd = Sshd::start("MaxStartups 1");
    let mut all = tokio::task::JoinSet::new();
    let options = sshd.options("");
    for _ in 0..6 {
        // A pool each: separate processes, as far as the server can tell.
        let (options, host) = (options.clone(), sshd.host("web", sshd.port()));
        all.spawn(async move {
            let way = Pool::new(options).connect(&host, &sshd::registry(&[&host])).await?;
            way.start(&sh("true"), false).await?.finish(Vec::new()).await
        });
    }
    while let Some(reply) = all.join_next().await {
        assert_eq!(reply??.end, End::Code(0));
    }
    Ok(())
}

async fn dropped() -> Outcome {
    let sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    let mut running = way.start(&sh(FOR_EVER), false).await?;
    let pid = first_line(&mut running).await?;
    drop(running);
    gone(&pid).await?;
    // What ignores TERM is killed.
    let mut running = way.start(&sh(&format!("trap '' TERM; {FOR_EVER}")), false).await?;
    let pid = first_line(&mut running).await?;
    drop(running);
    gone(&pid).await
}

async fn deadline() -> Outcome {
    let sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    let mut running = way.start(&sh(FOR_EVER).within(Duration::from_secs(3)), false).await?;
    let pid = first_line(&mut running).await?;
    match running.output.recv().await {
        Some(Said::Lost(Lost::Overdue { .. })) => {}
        other => return Err(format!("{other:?}").into()),
    }
    gone(&pid).await
}

async fn rekeying() -> Outcome {
    let sshd = Sshd::start("RekeyLimit 1M 1s");
    let way = connect(&sshd).await?;
    let bytes: Vec<u8> = (0..24_u32 << 20).map(|n| (n % 251) as u8).collect();
    let reply = run(&way, Cmd::new("cat"), &bytes).await?;
    assert!(reply.out == bytes, "{} of {} bytes", reply.out.len(), bytes.len());
    Ok(())
}

async fn killed() -> Outcome {
    let mut sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    let mut running = way.start(&sh("echo begun; sleep 5"), false).await?;
    first_line(&mut running).await?;
    sshd.kill();
    let start = Instant::now();
    match running.output.recv().await {
        Some(Said::Lost(Lost::Link { .. })) => {}
        other => return Err(format!("{other:?}").into()),
    }
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(way.start(&sh("true"), false).await, Err(Lost::Link { .. })));
    Ok(())
}

async fn silent() -> Outcome {
    let sshd = Sshd::start("");
    let target = format!("127.0.0.1:{}", sshd.port()).parse()?;
    let proxy = DelayProxy::start(target, Duration::ZERO).await;
    known_at(&sshd, proxy.port());
    let host = sshd.host("web", proxy.port());
    let options = sshd.options("");
    let way = Pool::new(options).connect(&host, &sshd::registry(&[&host])).await?;
    let mut running = way.start(&sh("echo begun; cat >/dev/null; sleep 100"), false).await?;
    first_line(&mut running).await?;
    proxy.silent(true);
    // Fills every buffer on the way, so that the keepalive has to wait behind it.
    let input = running.input.clone();
    let feed = async { while input.send(vec![0; 1 << 20]).await.is_ok() {} };
    let start = Instant::now();
    let heard = tokio::select! {
        heard = running.output.recv() => heard,
        () = feed => running.output.recv().await,
    };
    let took = start.elapsed();
    assert!(matches!(heard, Some(Said::Lost(Lost::Silent { .. }))), "{heard:?}");
    assert!(took <= Duration::from_secs(16), "{took:?}");
    Ok(())
}

async fn streams() -> Outcome {
    let sshd = Sshd::start("");
    let way = connect(&sshd).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let server = async {
        let (mut stream, _) = listener.accept().await?;
        let mut question = [0; 4];
        stream.read_exact(&mut question).await?;
        stream.write_all(&vec![b'y'; 5 << 20]).await?;
        stream.shutdown().await?;
        std::io::Result::Ok(question)
    };
    let client = async {
        let mut stream = way.dial("127.0.0.1", port, Duration::from_secs(5)).await?;
        stream.write_all(b"ping").await?;
        // The connection goes on while nobody reads the stream.
        assert_eq!(run(&way, sh("echo on"), b"").await?.out, b"on\n");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Result::<usize, Failed>::Ok(answer.len())
    };
    let (question, answer) = tokio::join!(server, client);
    assert_eq!(&question?, b"ping");
    assert_eq!(answer?, 5 << 20);
    let free = sshd::free_port();
    let refused = way.dial("127.0.0.1", free, Duration::from_secs(5)).await;
    assert!(matches!(refused, Err(Lost::Refused { .. })));
    Ok(())
}

async fn two_hops() -> Outcome {
    let (first, second, last) = (Sshd::start(""), Sshd::start(""), Sshd::start(""));
    let (one, mut two, mut web) =
        (first.host("one", first.port()), second.host("two", second.port()), last.host("web", last.port()));
    two.jump = vec![one.name.clone()];
    web.jump = vec![one.name.clone(), two.name.clone()];
    let known: String = [&first, &second, &last]
        .map(|sshd| sshd.known_line("host.pub", &format!("[127.0.0.1]:{}", sshd.port())))
        .concat();
    std::fs::write(first.known_hosts(), known)?;
    let registry = sshd::registry(&[&one, &two, &web]);
    let pool = Pool::new(first.options(""));
    let (a, b) = tokio::join!(pool.connect(&web, &registry), pool.connect(&two, &registry));
    assert_eq!(run(&a?, sh("echo far"), b"").await?.out, b"far\n");
    assert_eq!(run(&b?, sh("echo near"), b"").await?.out, b"near\n");
    for sshd in [&first, &second, &last] {
        assert_eq!(sshd.logged("Accepted publickey"), 1, "each hop is shared");
    }
    // A hop that cannot connect is named with what it was to reach, and one that is down with the reason.
    let mut closed = last.host("closed", sshd::free_port());
    closed.jump = vec![one.name.clone()];
    let lost = pool.connect(&closed, &sshd::registry(&[&one, &closed])).await.err().ok_or("it is closed")?;
    let says = format!("127.0.0.1:{} cannot be reached: `one` was refused there", closed.port.unwrap_or_default());
    assert!(lost.to_string().starts_with(&format!("cannot reach it through `one`: {says}")), "{lost}");
    drop(first);
    let lost = Pool::new(second.options("")).connect(&web, &registry).await.err();
    assert!(matches!(&lost, Some(Lost::Jump { jump, .. }) if jump == "one"), "{lost:?}");
    assert!(lost.is_some_and(|lost| lost.to_string().ends_with("refused the connection")), "the reason is told");
    Ok(())
}
