//! `scope: user` on a host with login sessions: it lives on when nobody is logged in, or is refused before anything is touched.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::log::talkative;
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_service_in_a_users_scope_lives_on_or_is_refused", life),
        trial("a_service_in_another_scope_ends_in_the_one_before", moved),
    ]
}

fn life(machines: Vec<Machine>) -> Result<(), Failed> {
    let Some(one) = machines.iter().find(|one| one.image.ends_with("-session")) else {
        eprintln!("skipped: lab::own_scope: no host with login sessions in this lab");
        return Ok(());
    };
    let bench = Bench::new("own", std::slice::from_ref(one));
    let port = port();
    std::fs::write(bench.at("server.py"), talkative())?;
    one.inside(&format!("loginctl disable-linger deploy; mkdir -p {0}; chown deploy {0}", bench.base()));
    let write = |become_: &str, version: &str, more: &str| {
        let service = bench.service("one", &[&one.name], port, version, &format!("    scope: user\n{more}"));
        let service = service.replace("{ http: /health }", "{ http: /health }, { unit: true }, { log: ready }");
        bench.registry_with(&format!("become: {become_}"), &service);
    };
    let name = format!("{}-one", bench.id);
    let refused = |says: &str| {
        let ran = bench.run(&["deploy", "--all"]).exits(9);
        assert!(ran.err.contains(says), "{says}: {}", ran.err);
        assert_eq!(bench.answer(one, port), "", "nothing was touched");
    };
    write("sudo", "one", "");
    refused("set `become: none`");
    write("none", "one", "    user: nobody\n");
    refused("`user` names `nobody`");
    write("none", "one", "");
    refused("loginctl enable-linger deploy");
    // The journal of this host lies in memory, and is not split by users.
    one.inside("loginctl enable-linger deploy; usermod -aG systemd-journal deploy");
    bench.run(&["deploy", "--all"]).exits(0);
    // Nobody is logged in any more.
    assert_eq!(bench.answer(one, port), "one");
    let owner = one.inside("ps -eo user,args | grep '[s]erver.py one'");
    assert!(owner.starts_with("deploy "), "{owner}");
    let again = bench.run(&["deploy", "--all"]).exits(0);
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    write("none", "bad", "");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert_eq!(bench.answer(one, port), "one");
    write("none", "two", "");
    bench.run(&["deploy", "--all"]).exits(0);
    bench.run(&["restart", &name]).exits(0);
    assert_eq!(bench.answer(one, port), "two");
    let logs = bench.run(&["logs", &name]).exits(0);
    assert!(logs.out.contains("ready two"), "{}", logs.out);
    bench.run(&["status"]).exits(0);
    bench.run(&["stop", &name]).exits(0);
    assert_eq!(bench.answer(one, port), "");
    bench.run(&["remove", &name, "--yes"]).exits(0);
    assert_eq!(one.inside("ls ~deploy/.config/systemd/user | grep portoser"), "");
    one.inside("loginctl disable-linger deploy; gpasswd -d deploy systemd-journal");
    Ok(())
}

/// For root, whose base is the same in both scopes. What failed in the new one is back in the old one.
fn moved(machines: Vec<Machine>) -> Result<(), Failed> {
    let Some(one) = machines.iter().find(|one| one.image.ends_with("-session")) else {
        eprintln!("skipped: lab::own_scope: no host with login sessions in this lab");
        return Ok(());
    };
    let mut bench = Bench::new("scope", std::slice::from_ref(one));
    bench.user = "root".into();
    let port = port();
    one.inside("loginctl enable-linger root");
    let write = |scope: &str, version: &str| {
        let service = bench.service("one", &[&one.name], port, version, &format!("    scope: {scope}\n"));
        bench.registry_with("become: none", &service);
    };
    let runs = || {
        one.inside(&format!(
            "export XDG_RUNTIME_DIR=/run/user/0; for scope in system user; do \
             systemctl --$scope is-active portoser-{0}-one; done; ls -d /etc/systemd/system/portoser-{0}-one.service \
             ~/.config/systemd/user/portoser-{0}-one.service 2>/dev/null",
            bench.id
        ))
    };
    let system = format!("active\ninactive\n/etc/systemd/system/portoser-{}-one.service\n", bench.id);
    let user = format!("inactive\nactive\n/root/.config/systemd/user/portoser-{}-one.service\n", bench.id);
    for (scope, version, code, answer, found) in [
        ("system", "one", 0, "one", &system),
        ("user", "bad", 5, "one", &system),
        ("user", "two", 0, "two", &user),
        ("system", "three", 0, "three", &system),
    ] {
        write(scope, version);
        bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(code);
        assert_eq!((bench.answer(one, port).as_str(), &runs()), (answer, found), "{scope} {version}");
    }
    let name = format!("{}-one", bench.id);
    bench.run(&["rollback", &name]).exits(0);
    assert_eq!((bench.answer(one, port).as_str(), &runs()), ("two", &user));
    bench.run(&["remove", &name, "--yes"]).exits(0);
    assert_eq!(runs(), "inactive\ninactive\n");
    one.inside("loginctl disable-linger root");
    Ok(())
}
