//! Ways to a host that are no plain connection: through another host, and this very machine.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::{pair, trial, usual};
use crate::fixture::mixed::SERVER;
use crate::fixture::sshd::command;

pub fn trials() -> Vec<Trial> {
    vec![trial("a_host_behind_another_is_deployed_to", behind), trial("a_host_deploys_to_itself", itself)]
}

/// The registry names the way first, and then the user's ssh_config alone does.
fn behind(machines: Vec<Machine>) -> Result<(), Failed> {
    let [hop, far] = &pair(&machines)[..] else { return Err("two hosts are needed".into()) };
    let mut bench = Bench::new("behind", &[hop.clone(), far.clone()]);
    // On the hop, the lab's addresses are its own; hosts know each other by those of their containers.
    bench.doors.insert(far.name.clone(), (far.container_address.clone(), 22));
    bench.know();
    let (port, name) = (port(), format!("{}-one", bench.id));
    let write = |version: &str, jump: &str| {
        bench.registry(&bench.service("one", &[&far.name], port, version, ""));
        let text = std::fs::read_to_string(bench.at("registry.yml")).expect("the registry");
        let plain = format!("{}: {{ address: {}, port: 22", far.name, far.container_address);
        assert!(text.contains(&plain), "{text}");
        std::fs::write(bench.at("registry.yml"), text.replace(&plain, &(plain.clone() + jump))).expect("the registry");
    };
    // It is the hop from which the host is entered.
    let from_the_hop = || {
        let ran = bench.run(&["run", "--host", &far.name, "--plain", "--", "sh", "-c", "echo from $SSH_CONNECTION"]);
        assert!(ran.out.contains(&format!("from {} ", hop.container_address)), "{}{}", ran.out, ran.err);
    };
    let deploy = |code: i32| bench.run(&["deploy", "--all", "--events", "--no-auto-heal"]).exits(code);
    let by_registry = format!(", jump: {}", hop.name);
    write("one", &by_registry);
    from_the_hop();
    assert_eq!(deploy(0).ended("committed"), 1);
    assert_eq!(deploy(0).ended("nothing-to-do"), 1);
    write("bad", &by_registry);
    assert_eq!(deploy(5).ended("rolled-back"), 1);
    assert_eq!(bench.answer(far, port), "one");
    // The same host by the user's own configuration.
    let usual = std::fs::read_to_string(bench.at("ssh_config"))?;
    let blocks = format!(
        "Host {}\n  ProxyJump trial-hop\nHost trial-hop\n  HostName {}\n  Port {}\n  User {}\n  IdentityFile {}\n",
        far.container_address,
        hop.address,
        hop.port,
        bench.user,
        hop.key.display()
    );
    std::fs::write(bench.at("ssh_config"), usual + &blocks)?;
    write("one", "");
    from_the_hop();
    assert_eq!(deploy(0).ended("nothing-to-do"), 1);
    write("two", "");
    assert_eq!(deploy(0).ended("committed"), 1);
    assert_eq!((bench.answer(far, port).as_str(), bench.amiss(far).as_str()), ("two", ""));
    bench.run(&["logs", &name]).exits(0);
    bench.run(&["remove", &name, "--yes"]).exits(0);
    assert_eq!(bench.answer(far, port), "");
    Ok(())
}

/// The program is on the host, as root, and the host is its own only one: its systemd runs the service.
fn itself(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let one = machines.iter().find(|one| one.image == "trixie").ok_or("no host of the image `trixie`")?;
    let (bench, port) = (Bench::new("itself", std::slice::from_ref(one)), port());
    let (folder, base, name) = (format!("/root/{}", bench.id), bench.base(), format!("{}-one", bench.id));
    one.inside(&format!("mkdir {folder}"));
    let copied = |from: &str, to: &str| {
        let done = command("docker").args(["cp", from, &format!("{}:{folder}/{to}", one.container)]).status();
        assert!(done.is_ok_and(|status| status.success()), "docker cp {from}");
    };
    copied(env!("CARGO_BIN_EXE_portoser"), "portoser");
    std::fs::write(bench.at("server.py"), SERVER)?;
    copied(&bench.at("server.py").display().to_string(), "server.py");
    let write = |version: &str| {
        let text = format!(
            "version: 1\ndefaults:\n  base: {base}\n  check: {{ start_period: 5s, interval: 100ms, timeout: 2s, retries: 3 }}\n  \
             deploy: {{ soak: 200ms }}\nhosts: {{ here: {{ connection: local }} }}\nservices:\n{}",
            bench.service("one", &["here"], port, version, "")
        );
        std::fs::write(bench.at("local.yml"), text).expect("a registry");
        copied(&bench.at("local.yml").display().to_string(), "registry.yml");
    };
    let run = |code: i32, words: &str| {
        let portoser = format!("{folder}/portoser --registry {folder}/registry.yml --state {folder}/state");
        let said = one.inside(&format!("{portoser} {words} 2>&1; echo code $?"));
        assert!(said.trim_end().ends_with(&format!("code {code}")), "{words}: {said}");
        said
    };
    let ended = |said: &str, outcome: &str| said.contains(&format!(r#""service":"{name}","outcome":"{outcome}""#));
    write("one");
    assert!(ended(&run(0, "deploy --all --events"), "committed"));
    assert!(ended(&run(0, "deploy --all --events"), "nothing-to-do"));
    let unit = one.inside(&format!("systemctl show -p ActiveState,User portoser-{name}.service"));
    assert!(unit.contains("ActiveState=active"), "{unit}");
    write("bad");
    assert!(ended(&run(5, "deploy --all --events --no-auto-heal"), "rolled-back"));
    assert_eq!((bench.answer(one, port).as_str(), bench.amiss(one).as_str()), ("one", ""));
    write("one");
    run(0, "status");
    run(0, "remove --all --yes");
    assert_eq!(bench.answer(one, port), "");
    one.inside(&format!("rm -r {folder}"));
    Ok(())
}
