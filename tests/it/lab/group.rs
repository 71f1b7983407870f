//! Containers by a login user without sudo, whom the group `docker` lets in: what was imported from compose files is deployed, a part
//! runs as the numeric user that its file names, and all of them are heard.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc;

use libtest_mimic::{Failed, Trial};

use super::docker::{chosen, image, side_by_side};
use super::kit::{Bench, Machine, PATIENCE, port};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("imported_containers_run_for_a_user_of_the_group_docker", imported)]
}

const COMPOSE: &str = r#"services:
  ID-front:
    image: trial/http:1
    user: "1234"
    command: ["sh", "-c", "while true; do echo front at work; sleep 1; done & exec httpd -f -p 8080 -h /www"]
    ports: ["PORT:8080"]
    stop_signal: SIGKILL
  ID-back:
    image: trial/http:1
    command: ["sh", "-c", "while true; do echo back at work; sleep 1; done"]
    depends_on: [ID-front]
    stop_signal: SIGKILL
"#;

fn imported(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        image(machine);
        let mut bench = Bench::new("group", std::slice::from_ref(machine));
        bench.user = "plain".into();
        machine.inside(&format!("usermod -aG docker plain; mkdir -p {0}; chown plain {0}", bench.base()));
        let (id, whole) = (bench.id.clone(), format!("{}-both", bench.id));
        bench.registry_with("become: none", "");
        let written = std::fs::read_to_string(bench.at("registry.yml")).expect("the registry");
        std::fs::write(bench.at("registry.yml"), written.trim_end().trim_end_matches("services:")).expect("a registry");
        // Each part as a service of its own, and the file as it is.
        for (folder, words) in [("parts", &["--strict"][..]), (&whole, &["--whole"])] {
            std::fs::create_dir(bench.at(folder)).expect("a folder");
            let mut text = COMPOSE.replace("ID", &id).replace("PORT", &port().to_string());
            if folder == "parts" {
                // A service of an image names its user.
                text = text.replace("    user: \"1234\"\n", "");
            }
            let file = bench.at(folder).join("compose.yml");
            std::fs::write(&file, text).expect("a compose file");
            let file = file.display().to_string();
            bench.run(&[&["import", "compose", &file], words].concat()).exits(0);
        }
        let deploy = bench.run(&["deploy", "--all", "--events"]).exits(0);
        assert_eq!(deploy.ended("committed"), 3, "{}", deploy.out);
        let list = format!("docker ps -q --filter label=portoser.service={whole}");
        let users = machine.inside(&format!("for c in $({list}); do docker exec $c id -u; done | sort"));
        assert_eq!(users, "0\n1234\n");
        let count = |text: &str| ["front at work", "back at work"].map(|one| text.matches(one).count());
        let told = count(&bench.run(&["logs", &whole]).exits(0).out);
        assert!(told.iter().all(|count| *count > 0), "{told:?}");
        // What comes after the lines that are there already, of each part.
        let mut follow = bench.command_in("state", &["logs", &whole, "--follow"]).spawn().expect("portoser starts");
        let lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let (sender, heard) = mpsc::channel();
        let reader = std::thread::spawn(move || lines.map(|line| sender.send(line)).all(|sent| sent.is_ok()));
        let mut said = String::new();
        while count(&said).iter().zip(told).any(|(now, before)| *now < before + 2) {
            said += &heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("all parts are followed: {said}"));
        }
        drop(heard);
        let _ = follow.kill();
        follow.wait().expect("an end");
        let _ = reader.join();
        assert_eq!(bench.amiss(machine), "");
        bench.run(&["remove", "--all", "--yes"]).exits(0);
        assert_eq!(machine.inside(&format!("docker ps -aq --filter name={id}")), "");
        machine.inside("gpasswd -d plain docker");
    })
}
