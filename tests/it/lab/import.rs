//! What is imported runs: files of other tools that lie on a host become services that a deploy proves there.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::{trial, usual};

pub fn trials() -> Vec<Trial> {
    vec![trial("what_is_imported_is_deployed", what_is_imported_is_deployed)]
}

/// A folder with a quote, a space and a dollar sign in its name: it goes through a shell, a unit and a command line.
fn folder(bench: &Bench) -> String {
    format!("/srv/{}/it's $HOME %h", bench.id)
}

fn what_is_imported_is_deployed(machines: Vec<Machine>) -> Result<(), Failed> {
    let machines = usual(&machines);
    let bench = Bench::new("import", &machines);
    let (id, folder, ports) = (&bench.id, folder(&bench), [port(), port(), port()]);
    let machine = &machines[0];
    let server = std::fs::read_to_string(bench.at("server.py"))?;
    let process_file = serde_json::json!({ "apps": [
        { "name": format!("{id}_Web"), "script": "server.py", "interpreter": "python3", "args": "'two words' ${HOME}",
          "env": { "PORT": ports[0] }, "max_memory_restart": "64M", "kill_timeout": 3000 },
        { "name": format!("{id}-plain"), "script": "/usr/bin/python3", "args": ["server.py", "plain"],
          "cwd": ".", "env": { "PORT": ports[1].to_string() }, "autorestart": false },
    ] });
    machine.inside(&format!(
        "mkdir -p \"/srv/{id}/it's \\$HOME %h\"; cd \"/srv/{id}/it's \\$HOME %h\"; cat >server.py <<'END'\n{server}END\n\
         cat >ecosystem.json <<'END'\n{process_file}\nEND\nchmod -R a+rX /srv/{id}"
    ));
    bench.registry("");
    let written = std::fs::read_to_string(bench.at("registry.yml"))?;
    std::fs::write(bench.at("registry.yml"), written.trim_end().trim_end_matches("services:"))?;
    let from = format!("{}:{folder}/ecosystem.json", machine.name);
    let told = bench.run(&["import", "ecosystem", &from]).exits(0).err;
    assert!(told.contains("added 2 services"), "{told}");
    // The shell tool knew the host under a name of its own; its files lie beside its registry.
    std::fs::create_dir(bench.at("old"))?;
    let old = format!(
        "hosts:\n  {host}: {{ ip: {address}, ssh_user: deploy, path: /srv/{id} }}\nservices:\n  {id}-old:\n    \
         current_host: {host}\n    deployment_type: local\n    service_file: /service.yml\n    port: {port}\n    \
         dependencies: [{id}-plain]\n    healthcheck_url: http://{address}:{port}/health\n",
        host = machine.name,
        address = machine.address,
        port = ports[2],
    );
    std::fs::write(bench.at("old/registry.yml"), old)?;
    let service = format!(
        "start: /usr/bin/python3 server.py old\nworking_dir: \"it's $HOME %h\"\nenv: {{ PORT: {} }}\nstop: pkill python3\n",
        ports[2]
    );
    std::fs::write(bench.at("old/service.yml"), service)?;
    let old = bench.at("old/registry.yml").display().to_string();
    let told = bench.run(&["import", "portoser", &old]).exits(0).err;
    assert!(told.contains("added 1 service;"), "{told}");
    bench.run(&["deploy", "--all"]).exits(0);
    let answers = ports.map(|port| bench.answer(machine, port));
    assert_eq!(answers, ["two words", "plain", "old"]);
    let words = machine.inside(&format!("tr '\\0' '|' </proc/$(systemctl show -P MainPID portoser-{id}-web)/cmdline"));
    assert_eq!(words, "python3|server.py|two words|${HOME}|");
    // Of the settings beside a compose file nothing but what names its project leaves the host.
    machine.inside(&format!(
        "cd /srv/{id}; printf 'TAG=secret-word\\nexport COMPOSE_PROJECT_NAME=\"Own_1\" # secret-word\\n' >.env; \
         printf 'services: {{ {id}-web2: {{ image: \"a:${{TAG}}\", volumes: [\"data:/d\"] }}, {id}-web3: {{ image: a, volumes: [\"./kept:/k\"] }} }}\\nvolumes: {{ data: }}\\n' >compose.yml"
    ));
    let told =
        bench.run(&["import", "compose", &format!("{}:/srv/{id}/compose.yml", machine.name), "--dry-run"]).exits(0);
    let told = told.out + &told.err;
    assert!(told.contains("the volume `own_1_data` of the host") && !told.contains("secret-word"), "{told}");
    assert!(told.contains(&format!("volumes: [\"/srv/{id}/kept:/k\"]")), "{told}");
    machine.inside(&format!("rm -r /srv/{id}"));
    Ok(())
}
