//! What containers write is there for the next release, whatever way the compose file says where; what could not be is refused before
//! anything is touched.

use libtest_mimic::{Failed, Trial};

use super::docker::{chosen, containers, image, side_by_side};
use super::kit::{Bench, Machine, port};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("nothing_is_written_where_it_goes_with_its_release", compose_file)]
}

const COMPOSE: &str = r#"version: "3.7"
services:
  web:
    image: trial/http:1
    command: ["sh", "-c", "exec httpd -f -p 80 -h /www"]
    ports: ["PORT:80"]
    volumes: ["./www:/www:ro", MOUNT]
    stop_grace_period: 1s
  db:
    image: trial/http:1
    command: ["sleep", "100000"]
    volumes: ["./store:/store", { type: bind, source: more, target: /more }]
    stop_grace_period: 1s
"#;

/// A project of two parts, whose first has another mount from case to case.
struct Shop<'a> {
    bench: Bench,
    machine: &'a Machine,
    port: u16,
}

impl<'a> Shop<'a> {
    fn new(machine: &'a Machine) -> Self {
        image(machine);
        let shop = Self { bench: Bench::new("keeps", std::slice::from_ref(machine)), machine, port: port() };
        std::fs::create_dir_all(shop.bench.at("shop/www")).expect("a folder");
        std::fs::create_dir_all(shop.bench.at("shop/more")).expect("a folder");
        std::fs::write(shop.bench.at("shop/more/.gitkeep"), "").expect("a file");
        shop.bench.registry(&format!(
            "  {}-shop:\n    type: docker\n    host: {}\n    compose: shop\n    compose_service: web\n    pull: never\n    \
             port: {}\n    env: {{ KEPT: ./kept }}\n",
            shop.bench.id, machine.name, shop.port
        ));
        shop
    }

    fn write(&self, page: &str, mount: &str, more: &str) {
        let text = COMPOSE.replace("PORT", &self.port.to_string()).replace("MOUNT", mount);
        std::fs::write(self.bench.at("shop/compose.yml"), text + more).expect("a file");
        std::fs::write(self.bench.at("shop/www/index.html"), page).expect("a file");
    }

    fn answers(&self, page: &str) {
        assert_eq!(self.bench.answer(self.machine, self.port), page, "on {}", self.machine.name);
        assert_eq!(self.bench.amiss(self.machine), "", "on {}", self.machine.name);
    }

    fn in_db(&self, words: &str) -> String {
        let list = format!("docker ps -q --filter label=com.docker.compose.service=db --filter name={}", self.bench.id);
        self.machine.inside(&format!("docker exec $({list}) sh -c '{words}'"))
    }
}

fn compose_file(machines: Vec<Machine>) -> Result<(), Failed> {
    let full = super::kit::full();
    side_by_side(&chosen(&machines, "bookworm"), |machine| {
        let shop = Shop::new(machine);
        let bench = &shop.bench;
        shop.write("one", "\"./up:/up\"", "");
        bench.run(&["deploy", "--all"]).exits(0);
        shop.answers("one");
        shop.in_db("echo alive >/store/canary; echo alive >/more/canary");
        let before = containers(machine, bench);
        let releases = format!("{}/services/{}-shop", bench.base(), bench.id);
        let volume = |device: &str| {
            format!(
                "volumes: {{ bound: {{ driver: local, driver_opts: {{ type: none, o: bind, device: \"{device}\" }} }} }}\n"
            )
        };
        let current = format!("{releases}/current/data:/d");
        for (mount, more) in [
            ("\"${D:-./d}:/d\"", String::new()),
            ("\"$KEPT:/d\"", String::new()),
            ("{ type: bind, source: \"${D:-./d}\", target: /d }", String::new()),
            (&format!("\"{current}\""), String::new()),
            ("\"bound:/d\"", volume("${PWD}/vol")),
        ]
        .into_iter()
        .take(if full { 5 } else { 1 })
        {
            shop.write("lost", mount, &more);
            let refused = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
            assert!(refused.err.contains("the next release would begin without"), "{mount}: {}", refused.err);
            assert!(refused.err.contains("it is kept in the shared folder"), "{mount}: {}", refused.err);
            assert_eq!(containers(machine, bench), before, "{mount}: nothing was touched");
        }
        // What is only read, and what lies elsewhere, may have any name. The part that did not change is left alone.
        shop.write("two", &format!("\"${{D:-./www}}:/d:ro\", \"${{E:-{}}}:/e\"", bench.base()), "");
        bench.run(&["deploy", "--all"]).exits(0);
        shop.answers("two");
        let db = |all: &str| all.lines().find(|line| line.contains("db")).map(str::to_owned);
        assert_eq!(db(&containers(machine, bench)), db(&before), "its data has the same path as before");
        assert_eq!(shop.in_db("cat /store/canary /more/canary").trim(), "alive\nalive");
        assert_eq!(machine.inside(&format!("cat {releases}/shared/more/canary")).trim(), "alive");
    })
}
