//! This machine as a host: the same promises as over SSH.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use portoser::model::Cmd;
use portoser::registry::Connection;
use portoser::transport::{End, Lost, Options, Pool, Reply, Said, Transport};

use crate::fixture::sshd;

use super::{FOR_EVER, Outcome, block_on, first_line, gone, run, sh};

pub fn trials() -> Vec<Trial> {
    fn trial<F: Future<Output = Outcome>>(name: &str, body: impl Fn() -> F + Send + 'static) -> Trial {
        Trial::test(format!("local::{name}"), move || block_on(body()))
    }
    vec![
        trial("a_command_runs", a_command_runs),
        trial("an_early_exit_does_not_hang_the_writer", early_exit),
        trial("a_dropped_command_ends", dropped),
        trial("a_deadline_ends_the_command", deadline),
        trial("a_process_left_behind_does_not_hold_the_end", left_behind),
    ]
}

async fn here() -> Result<Arc<dyn Transport>, Failed> {
    let mut host = sshd::host("here", 22, "/nowhere".as_ref());
    host.connection = Connection::Local;
    Ok(Pool::new(Options::default()).connect(&host, &sshd::registry(&[&host])).await?)
}

async fn a_command_runs() -> Outcome {
    let way = here().await?;
    let reply = run(&way, sh("cat; echo error >&2; exit 3"), b"hello\n").await?;
    assert_eq!(reply, Reply { end: End::Code(3), out: b"hello\n".to_vec(), err: b"error\n".to_vec() });
    let words = ["it's \"a\" $b `c` \\d !e\n", "", "日本語"];
    let reply = run(&way, Cmd::new("printf").arg("%s|").args(words), b"").await?;
    assert_eq!(String::from_utf8(reply.out)?, words.map(|word| format!("{word}|")).concat());
    assert_eq!(run(&way, sh("kill -KILL $$"), b"").await?.end, End::Code(137));
    assert_eq!(run(&way, Cmd::new("no-such-program"), b"").await?.end, End::Code(127));
    way.close().await;
    Ok(())
}

async fn early_exit() -> Outcome {
    let reply = run(&here().await?, sh("exit 3"), &vec![b'x'; 8 << 20]).await?;
    assert_eq!(reply.end, End::Code(3));
    Ok(())
}

async fn dropped() -> Outcome {
    let way = here().await?;
    let mut running = way.start(&sh(&format!("trap '' TERM; {FOR_EVER}")), false).await?;
    let pid = first_line(&mut running).await?;
    drop(running);
    gone(&pid).await
}

async fn deadline() -> Outcome {
    let way = here().await?;
    let mut running = way.start(&sh(FOR_EVER).within(Duration::from_millis(500)), false).await?;
    let pid = first_line(&mut running).await?;
    match running.output.recv().await {
        Some(Said::Lost(Lost::Overdue { .. })) => gone(&pid).await,
        other => Err(format!("{other:?}").into()),
    }
}

async fn left_behind() -> Outcome {
    let way = here().await?;
    let mut running = way.start(&sh("sleep 1000 & echo $!; exit 4"), false).await?;
    let pid = first_line(&mut running).await?;
    let reply = running.finish(Vec::new()).await?;
    assert_eq!(reply.end, End::Code(4));
    let _ = run(&way, Cmd::new("kill").arg(pid), b"").await?;
    Ok(())
}
