//! Certificates of a port that speaks TLS and nothing else that is known: told before they end, named when they are not good, renewed.

use libtest_mimic::{Failed, Trial};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::Value;

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("a_certificate_of_a_plain_port_is_told_and_renewed", renewed)]
}

/// Echoes within TLS, with the certificate that lies in the shared folder when somebody connects.
const SERVER: &str = r#"import os, signal, socket, ssl
signal.signal(signal.SIGHUP, lambda *_: None)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(os.environ["PORT"]))); s.listen(64)
while True:
    c, _ = s.accept()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(os.environ["SHARED"] + "/cert.pem")
        c.settimeout(2); c = context.wrap_socket(c, server_side=True); c.sendall(c.recv(64))
    except OSError: pass
    finally: c.close()
"#;

/// An authority; and of it, each with its key, certificates: one that is good, an old one, one for another name, one that ends soon.
fn certificates() -> (String, [(&'static str, String); 4]) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "the authority of a trial");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
    let issued = |name: &str, until: Option<i32>| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        params.not_after = match until {
            Some(year) => date_time_ymd(year, 1, 1),
            None => date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(now + 5 * 24 * 3600 + 3600),
        };
        let key = KeyPair::generate().expect("a key");
        params.signed_by(&key, &ca).expect("signs").pem() + &key.serialize_pem()
    };
    let all = [
        ("new", issued("db.trial", Some(2090))),
        ("old", issued("db.trial", Some(2021))),
        ("other", issued("other.trial", Some(2090))),
        ("soon", issued("db.trial", None)),
    ];
    (ca.pem(), all)
}

fn renewed(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let (machine, port) = (&machines[0], port());
    let bench = Bench::new("cert", std::slice::from_ref(machine));
    let (ca, all) = certificates();
    std::fs::write(bench.at("ca.pem"), ca)?;
    std::fs::write(bench.at("echo.py"), SERVER)?;
    let shared = format!("{}/services/{}-db/shared", bench.base(), bench.id);
    machine.inside(&format!("mkdir -p {shared}"));
    for (name, text) in &all {
        machine.inside(&format!("cat >{shared}/{name}.pem <<'END'\n{text}\nEND"));
    }
    let shows = |name: &str| machine.inside(&format!("cp {shared}/{name}.pem {shared}/cert.pem"));
    shows("new");
    bench.registry(&format!(
        "  {}-db:\n    type: native\n    host: {}\n    source: echo.py\n    run: [/usr/bin/python3, ./echo.py]\n    port: {port}\n    reload: SIGHUP\n    \
         env: {{ PORT: \"${{PORT}}\", SHARED: \"${{SHARED_DIR}}\" }}\n    checks: [{{ tcp: {port}, tls: {{ name: db.trial, ca: ca.pem }} }}]\n    \
         hooks: {{ named: {{ renew-certificate: {{ run: [cp, \"${{SHARED_DIR}}/new.pem\", \"${{SHARED_DIR}}/cert.pem\"] }} }} }}\n    \
         heal: {{ policy: full, apart: 100ms, cooldown: 1s, tries: 9 }}\n",
        bench.id, machine.name
    ));
    bench.run(&["deploy", "--all"]).exits(0);
    let problems = |code: i32| -> Result<Vec<String>, Failed> {
        let found: Value = serde_json::from_str(&bench.run(&["diagnose", "--json"]).exits(code).out)?;
        let roots = found["problems"].as_array().into_iter().flatten().filter(|one| one["root"] == true);
        Ok(roots.map(|one| format!("{}: {}", one["name"], one["because"])).collect())
    };
    assert_eq!(problems(0)?, [""; 0]);
    // What ends soon breaks nothing yet: it is told, and left to a person.
    shows("soon");
    let told = problems(0)?.concat();
    assert!(told.starts_with("\"certificate-ending\"") && told.contains("for 5 more days only"), "{told}");
    bench.run(&["heal"]).exits(0);
    bench.run(&["heal", "--risk", "disruptive"]).exits(0);
    assert_eq!(problems(0)?, [""; 0]);
    for (name, why) in [("other", "not for `db.trial`"), ("old", "expired")] {
        shows(name);
        let told = problems(8)?.concat();
        assert!(told.starts_with("\"certificate-bad\"") && told.contains(why), "{told}");
        let healed: Value = serde_json::from_str(&bench.run(&["heal", "--json"]).exits(0).out)?;
        assert_eq!(healed["treated"][0]["verdict"], "helped", "{healed}");
    }
    assert_eq!(problems(0)?, [""; 0]);
    Ok(())
}
