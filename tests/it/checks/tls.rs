//! https checks against a real TLS server with certificates made for the occasion.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use portoser::check::Term;

use super::{Ask, ENOUGH, From, SHORT, Tls, Verdict, check, has, http, subject, verdict};

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn() -> Result<(), Failed>| Trial::test(format!("checks::tls::{name}"), body);
    vec![
        trial("a_pinned_authority", a_pinned_authority),
        trial("a_pinned_certificate", a_pinned_certificate),
        trial("another_authority", another_authority),
        trial("another_name", another_name),
        trial("expired", expired),
        trial("no_tls_at_all", no_tls_at_all),
        trial("a_handshake_that_hangs", a_handshake_that_hangs),
        trial("a_pin_that_cannot_be_read", a_pin_that_cannot_be_read),
        trial("this_machine_does_not_trust_it", this_machine_does_not_trust_it),
        trial("a_port_shows_its_certificate_alone", a_port_shows_its_certificate_alone),
    ]
}

type Certified = (CertificateDer<'static>, KeyPair);

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "the authority of a test");
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs")
}

fn issued(by: &CertifiedIssuer<'static, KeyPair>, name: &str, change: fn(&mut CertificateParams)) -> Certified {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    // Python asks for it; see RFC 5280, 4.2.1.1.
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("signs");
    (certificate.der().clone(), key)
}

/// Serves one TLS connection with this certificate and asks it over HTTP, trusting the authorities in `pem`.
fn asked(certified: Certified, pem: Option<&str>, name: &str, from: From, tool: &str) -> Result<Verdict, Failed> {
    served(certified, pem, |port, ca| ask(port, name, ca, from, tool))
}

/// Asks for nothing but the certificate.
fn shaken(port: u16, name: &str, ca: Option<&Path>, within: Duration) -> Verdict {
    let tls = Tls { name: name.into(), ca: ca.map(Path::to_owned) };
    verdict(&check(Ask::Tls { port, tls }, From::Controller, within), &subject(&[]))
}

fn served(
    certified: Certified,
    pem: Option<&str>,
    question: impl FnOnce(u16, Option<&Path>) -> Verdict,
) -> Result<Verdict, Failed> {
    let folder = tempfile::tempdir()?;
    let ca = folder.path().join("ca.pem");
    if let Some(pem) = pem {
        std::fs::write(&ca, pem)?;
    }
    let (certificate, key) = certified;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let config = Arc::new(config);
    Ok(std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut socket, _) = listener.accept().expect("accepts");
            let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
            let mut connection = ServerConnection::new(config).expect("a connection");
            let mut stream = rustls::Stream::new(&mut connection, &mut socket);
            // A check that refuses the certificate leaves here.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        question(port, pem.is_some().then_some(ca.as_path()))
    }))
}

fn ask(port: u16, name: &str, ca: Option<&Path>, from: From, tool: &str) -> Verdict {
    let mut http = http(port);
    http.tls = Some(Tls { name: name.into(), ca: ca.map(Path::to_owned) });
    verdict(&check(Ask::Http(Box::new(http)), from, ENOUGH), &subject(&[tool]))
}

fn refused(verdict: &Verdict, words: &str) {
    assert!(matches!(verdict, Verdict::Bad(bad) if format!("{bad:?}").contains(words)), "{verdict:?}");
}

fn a_pinned_authority() -> Result<(), Failed> {
    let ca = authority();
    let pem = ca.pem();
    let found = asked(issued(&ca, "api.example", |_| {}), Some(&pem), "api.example", From::Controller, "")?;
    assert!(found.is_good(), "{found:?}");
    if has("python3") {
        let found = asked(issued(&ca, "api.example", |_| {}), Some(&pem), "api.example", From::Host, "python3")?;
        assert!(found.is_good(), "{found:?}");
    }
    Ok(())
}

fn a_pinned_certificate() -> Result<(), Failed> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["api.example".to_owned()])?.self_signed(&key)?;
    let pem = certificate.pem();
    let found = asked((certificate.der().clone(), key), Some(&pem), "api.example", From::Controller, "")?;
    assert!(found.is_good(), "{found:?}");
    Ok(())
}

fn another_authority() -> Result<(), Failed> {
    let pem = authority().pem();
    let found = asked(issued(&authority(), "api.example", |_| {}), Some(&pem), "api.example", From::Controller, "")?;
    refused(&found, "the certificate is refused");
    Ok(())
}

fn another_name() -> Result<(), Failed> {
    let ca = authority();
    let pem = ca.pem();
    let found = asked(issued(&ca, "other.example", |_| {}), Some(&pem), "api.example", From::Controller, "")?;
    refused(&found, "it is not for `api.example`");
    Ok(())
}

fn expired() -> Result<(), Failed> {
    let ca = authority();
    let pem = ca.pem();
    let old = issued(&ca, "api.example", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    refused(&asked(old, Some(&pem), "api.example", From::Controller, "")?, "it has expired");
    Ok(())
}

fn no_tls_at_all() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let found = std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut socket, _) = listener.accept().expect("accepts");
            let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        let pem = authority().pem();
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pem).expect("writes");
        ask(port, "api.example", Some(file.path()), From::Controller, "")
    });
    refused(&found, "does not speak TLS");
    Ok(())
}

fn a_handshake_that_hangs() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut http = http(listener.local_addr()?.port());
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), authority().pem())?;
    http.tls = Some(Tls { name: "api.example".into(), ca: Some(file.path().to_owned()) });
    // The kernel accepts; nobody answers.
    refused(
        &verdict(&check(Ask::Http(Box::new(http)), From::Controller, SHORT), &subject(&[])),
        "handshake did not end",
    );
    Ok(())
}

fn a_pin_that_cannot_be_read() -> Result<(), Failed> {
    for pem in ["", "no certificate"] {
        let found = asked(issued(&authority(), "api.example", |_| {}), Some(pem), "api.example", From::Controller, "")?;
        assert!(matches!(&found, Verdict::Unseen(why) if why.contains("ca.pem")), "{found:?}");
    }
    Ok(())
}

fn this_machine_does_not_trust_it() -> Result<(), Failed> {
    let found = asked(issued(&authority(), "api.example", |_| {}), None, "api.example", From::Controller, "")?;
    // A machine without any authorities cannot tell; every other refuses.
    assert!(!found.is_good(), "{found:?}");
    if has("curl") {
        let found = asked(issued(&authority(), "api.example", |_| {}), None, "api.example", From::Host, "curl")?;
        assert!(!found.is_good(), "{found:?}");
    }
    Ok(())
}

/// Of a port that speaks another protocol within TLS: how long its certificate is good, and all that can be wrong with it.
fn a_port_shows_its_certificate_alone() -> Result<(), Failed> {
    let ca = authority();
    let pem = ca.pem();
    let found = |certified, name: &str| served(certified, Some(&pem), |port, ca| shaken(port, name, ca, ENOUGH));
    let good = found(
        issued(&ca, "db.example", |params| {
            (params.not_before, params.not_after) =
                (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2090, 1, 1));
        }),
        "db.example",
    )?;
    let Verdict::Good(good) = good else { return Err(format!("{good:?}").into()) };
    assert_eq!(good.certificate, Some(Term { from: 1_577_836_800, to: 3_786_912_000 }));
    let over = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    refused(&found(issued(&ca, "db.example", over), "db.example")?, "it has expired");
    refused(&found(issued(&ca, "other.example", |_| {}), "db.example")?, "it is not for `db.example`");
    refused(&found(issued(&authority(), "db.example", |_| {}), "db.example")?, "the certificate is refused");
    // Over HTTP the same is seen by the way.
    let by_the_way = asked(issued(&ca, "db.example", |_| {}), Some(&pem), "db.example", From::Controller, "")?;
    assert!(matches!(&by_the_way, Verdict::Good(good) if good.certificate.is_some()), "{by_the_way:?}");
    // Who speaks first and not TLS, and who waits for a greeting of its own.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), &pem)?;
    let port = listener.local_addr()?.port();
    refused(&shaken(port, "db.example", Some(file.path()), SHORT), "handshake did not end");
    let plain = std::thread::scope(|scope| {
        scope.spawn(|| {
            // The first connection is the one that was given up.
            for _ in 0..2 {
                let _ = listener.accept().and_then(|(mut socket, _)| socket.write_all(b"220 mail.example ESMTP\r\n"));
            }
        });
        shaken(port, "db.example", Some(file.path()), ENOUGH)
    });
    assert!(matches!(plain, Verdict::Bad(_)), "{plain:?}");
    Ok(())
}
