//! News by mail, to a real server with STARTTLS and a password: one letter for what is new, and neither letter nor password where the
//! server does not prove who it is, or does not close the way.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::fixture::sshd::command;

use super::kit::{Bench, Machine, Ran, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("news_are_written_to_people", written)]
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the server; the ports are those with STARTTLS, with TLS, and with neither.
fn serve(bench: &Bench) -> Result<(Server, [u16; 3]), Failed> {
    let fetched = command(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/mail.sh")).output()?;
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let wheels = std::fs::read_dir(String::from_utf8(fetched.stdout)?.trim())?.flatten();
    let wheels: Vec<String> = wheels.map(|entry| entry.path().display().to_string()).collect();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    std::fs::write(bench.at("cert.pem"), certificate.pem())?;
    std::fs::write(bench.at("key.pem"), key.serialize_pem())?;
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let ports = free.map(|one| one.local_addr().expect("an address").port());
    let mut server = command("python3");
    server.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/lab/mail.py")).arg(bench.at(""));
    server.args(ports.map(|port| port.to_string())).env("PYTHONPATH", wheels.join(":"));
    let mut server = server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let out = server.stdout.take().expect("a pipe");
    let server = Server(server);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    assert_eq!(line.trim(), "up", "the mail server starts");
    Ok((server, ports))
}

/// What came to the server so far.
fn came(bench: &Bench) -> Vec<Value> {
    let log = std::fs::read_to_string(bench.at("mail.log")).unwrap_or_default();
    log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn written(machines: Vec<Machine>) -> Result<(), Failed> {
    let machine = &usual(&machines)[0];
    let (bench, port) = (Bench::new("mail", std::slice::from_ref(machine)), port());
    let (_server, [starttls, tls, open]) = serve(&bench)?;
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let heal = "    heal: { policy: suggest, looks: 1 }\n";
    let silence = silent.local_addr()?.port();
    let write = |security: &str, port_of_mail: u16| {
        let patience = if port_of_mail == silence { "500ms" } else { "10s" };
        let notify = format!(
            "notify:\n  - mail:\n      server: localhost\n      port: {port_of_mail}\n      security: {security}\n      \
             from: portoser@example.net\n      to: [ops@example.net, night@example.net]\n      user: bot\n      \
             password: {{ file: password }}\n    cooldown: 1ms\n    timeout: {patience}\n"
        );
        bench.registry(&(bench.service("one", &[&machine.name], port, "one", heal) + &notify));
    };
    std::fs::write(bench.at("password"), "s3cr3t-of-mail\n")?;
    let sweep = |code: i32, trusted: bool| -> Ran {
        let mut sweep = bench.command_in("state", &["sweep"]);
        if trusted {
            sweep.env("SSL_CERT_FILE", bench.at("cert.pem"));
        }
        let (began, output) = (Instant::now(), sweep.output().expect("a sweep"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!format!("{out}{err}").contains("s3cr3t"), "{out}{err}");
        Ran { code: output.status.code(), out, err, events: Vec::new(), took: began.elapsed() }.exits(code)
    };
    let turn = |verb: &str| machine.inside(&format!("systemctl {verb} portoser-{}-one.service", bench.id));
    write("starttls", starttls);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!((sweep(0, true).err, came(&bench).len()), (String::new(), 0), "no news, no letter");
    turn("stop");
    sweep(8, true);
    let all = came(&bench);
    assert_eq!(all.len(), 2, "one login and one letter: {all:?}");
    assert_eq!((&all[0]["good"], &all[1]["at"], &all[1]["tls"]), (&true.into(), &"starttls".into(), &true.into()));
    assert_eq!(all[1]["to"].to_string(), r#"["ops@example.net","night@example.net"]"#);
    let text = all[1]["text"].as_str().unwrap_or_default();
    for wanted in ["Subject: portoser: ", "Auto-Submitted: auto-generated", "went bad", "was stopped", &bench.id] {
        assert!(text.contains(wanted), "no `{wanted}` in {text}");
    }
    sweep(8, true);
    assert_eq!(came(&bench).len(), 2, "the same is not told again");

    // TLS from the first byte.
    write("tls", tls);
    turn("start");
    sweep(0, true);
    assert_eq!(came(&bench).last().map(|one| one["at"].clone()), Some("tls".into()), "{:?}", came(&bench));
    let before = came(&bench).len();
    // Its certificate is not known; it has no TLS; it says nothing; the password is not here: nothing is handed over.
    write("starttls", starttls);
    turn("stop");
    let ran = sweep(8, false);
    assert!(ran.err.contains("not told: localhost:"), "{}", ran.err);
    for (port_of_mail, verb, code) in [(open, "start", 0), (silence, "stop", 8)] {
        write("starttls", port_of_mail);
        turn(verb);
        let ran = sweep(code, true);
        assert!(ran.err.contains("not told: localhost:") && ran.took < Duration::from_secs(30), "{}", ran.err);
    }
    std::fs::remove_file(bench.at("password"))?;
    write("starttls", starttls);
    turn("start");
    assert!(sweep(0, true).err.contains("its password: cannot read"), "the password is missed");
    assert_eq!(came(&bench).len(), before, "{:?}", came(&bench));
    Ok(())
}
