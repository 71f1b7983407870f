//! A compose file of the user's some of whose images are sent from this machine, while the host has or fetches the others.

use libtest_mimic::{Failed, Trial};

use crate::fixture::docker_save::{layer, noise, save, save_all};
use crate::fixture::sshd::command;

use super::docker::{chosen, containers, image, side_by_side};
use super::kit::{Bench, Machine, port};
use super::push::root;
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("images_of_a_compose_file_are_sent", parts)]
}

const COMPOSE: &str = r#"services:
  web:
    image: trial/own:1
    build: .
    command: ["sh", "-c", "exec httpd -f -p 80 -h /www"]
    ports: ["PORT:80"]
    stop_signal: SIGKILL
  db:
    image: trial/http:1
    command: ["sleep", "100000"]
    volumes: ["data:/data"]
    stop_signal: SIGKILL
    stop_grace_period: 10m
volumes: { data: {} }
"#;

/// A service whose part `web` is sent from an archive.
struct Shop {
    bench: Bench,
    port: u16,
    root: Vec<u8>,
}

impl Shop {
    fn new(machine: &Machine) -> Self {
        let shop = Self { bench: Bench::new("shop", std::slice::from_ref(machine)), port: port(), root: root(machine) };
        std::fs::create_dir(shop.bench.at("shop")).expect("a folder");
        shop.compose(COMPOSE);
        shop
    }

    fn name(&self) -> String {
        format!("{}-shop", self.bench.id)
    }

    fn compose(&self, text: &str) {
        let text = text.replace("PORT", &self.port.to_string());
        std::fs::write(self.bench.at("shop/compose.yml"), text).expect("a compose file");
    }

    fn write(&self, keys: &str) {
        let (name, host, port) = (self.name(), &self.bench.machines[0].name, self.port);
        self.bench.registry(&format!(
            "  {name}:\n    type: docker\n    host: {host}\n    compose: shop\n{keys}    port: {port}\n    \
             checks: [{{ http: /, start_period: 5s }}, {{ unit: true }}]\n"
        ));
    }

    /// The image on this machine has this page.
    fn page(&self, text: &str) {
        let layers = [self.root.clone(), layer(&[("www/index.html", text.as_bytes())])];
        save(&self.bench.at("image.tar"), "trial/own:1", "amd64", &layers);
    }

    fn answers(&self, text: &str) {
        let machine = &self.bench.machines[0];
        assert_eq!(self.bench.answer(machine, self.port), text, "on {}", machine.name);
        assert_eq!(self.bench.amiss(machine), "");
    }

    /// What was sent and is loaded.
    fn left(&self) -> String {
        self.bench.machines[0].inside(&format!("ls {}/pushed", self.bench.base()))
    }

    /// The container of the part that is not sent.
    fn other(&self) -> Option<String> {
        let all = containers(&self.bench.machines[0], &self.bench);
        all.lines().find(|line| line.contains("shop-db") || line.contains("shop_db")).map(str::to_owned)
    }
}

fn parts(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        image(machine);
        let shop = Shop::new(machine);
        let (bench, name) = (&shop.bench, shop.name());
        let keys = "    compose_service: web\n    push: { from: image.tar }\n    pull: never\n";
        shop.write(keys);
        shop.page("one");
        bench.run(&["deploy", "--all"]).exits(0);
        shop.answers("one");
        // It has the time to stop that its own file gives it.
        let patient =
            format!("grep -o '\"stop\":[0-9]*' {}/services/{name}/current/.portoser/release.json", bench.base());
        assert_eq!(machine.inside(&patient).trim(), "\"stop\":600");
        let db = shop.other();
        assert!(db.is_some(), "{}", containers(machine, bench));
        shop.page("two");
        let plan = bench.run(&["plan", "--all", "--steps"]).exits(0);
        assert!(plan.out.contains("load the image trial/own:1"), "{}", plan.out);
        let deploy = bench.run(&["deploy", "--all"]).exits(0);
        assert!(deploy.err.contains("trial/own:1: sent 1 of 2 layers"), "{}", deploy.err);
        shop.answers("two");
        assert_eq!(shop.left(), "", "nothing is left of what was sent");
        assert_eq!(shop.other(), db, "the part that did not change was left alone");
        // The way back needs nothing of this machine.
        std::fs::write(bench.at("image.tar"), "no archive").expect("a file");
        bench.run(&["rollback", &name]).exits(0);
        shop.answers("one");
        if super::kit::full() {
            shop.page("three");
            shop.write(&format!("{keys}    hooks: {{ after: [{{ run: [\"false\"] }}] }}\n"));
            bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
            shop.answers("one");
            assert_eq!(shop.other(), db);
        }
        // All parts, of which one names no image that is known here.
        shop.compose(&COMPOSE.replace("image: trial/http:1", "image: \"trial/http:${TAG:-1}\""));
        shop.write("    push: direct\n");
        let refused = bench.run(&["plan", "--all"]);
        assert!([Some(3), Some(9)].contains(&refused.code), "{refused:?}");
        shop.answers("one");
        bench.run(&["remove", &name, "--yes"]).exits(0);
        let left = machine.inside(&format!("docker images -q 'portoser/{name}/*'; docker ps -aq --filter name={name}"));
        assert_eq!(left, "");
        shared(&shop);
    })
}

/// A layer that the images of two parts share is sent with the first of them only.
fn shared(shop: &Shop) {
    let (bench, names) = (&shop.bench, [1, 2].map(|number| format!("trial/own{}:{number}", shop.port)));
    let text = COMPOSE.replace("trial/own:1", &names[0]).replace("trial/http:1", &names[1]);
    shop.compose(&text.replace("    build: .\n", ""));
    shop.write("    push: direct\n");
    let all = layer(&[("shared", &noise(u64::from(shop.port), 200_000))]);
    let of = |text: &str| vec![all.clone(), shop.root.clone(), layer(&[("www/index.html", text.as_bytes())])];
    let (one, two) = (of("shared"), of("other"));
    save_all(&bench.at("image.tar"), "amd64", &[(&names[0], &one), (&names[1], &two)]);
    let docker = |words: &[&str]| {
        let output = command("docker").args(words).output().expect("docker");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    docker(&["load", "--quiet", "--input", &bench.at("image.tar").display().to_string()]);
    // The docker of this machine, wherever it is.
    let mut deploy = bench.command_in("state", &["deploy", "--all"]);
    let deploy = deploy.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().expect("portoser starts");
    docker(&["rmi", &names[0], &names[1]]);
    let said = String::from_utf8_lossy(&deploy.stderr);
    let sent: Vec<&str> = said.lines().filter_map(|line| line.split_once(": sent ")?.1.split(',').next()).collect();
    assert_eq!(sent, ["3 of 3 layers", "1 of 3 layers"], "{said}");
    shop.answers("shared");
    bench.run(&["remove", &shop.name(), "--yes"]).exits(0);
}
