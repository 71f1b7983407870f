//! What containers write is there for the next release, whatever way the compose file says where; what could not be is refused before
//! anything is touched.

use libtest_mimic::{Failed, Trial};

use super::docker::{chosen, containers, image, side_by_side};
use super::kit::{Bench, Machine, port};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("nothing_is_written_where_it_goes_with_its_release", compose_file),
        trial("data_outlives_the_containers_of_an_image", of_image),
    ]
}

const COMPOSE: &str = r#"version: "3.7"
services:
  web:
    image: trial/http:1
    command: ["sh", "-c", "exec httpd -f -p 80 -h /www"]
    ports: ["PORT:80"]
    volumes: ["./www:/www:ro", MOUNT]
    stop_signal: SIGKILL
  db:
    image: trial/http:${TAG:-1}
    command: ["sleep", "100000"]
    environment: { TOKEN: "$TOKEN" }
    volumes: ["./store:/store", { type: bind, source: more, target: /more }]
    stop_signal: SIGKILL
"#;

/// A value that stands in the project as compose reads it.
const TOKEN: &str = "not-for-the-records";

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
        shop
    }

    fn registry(&self, more: &str) {
        self.bench.registry(&format!(
            "  {}-shop:\n    type: docker\n    host: {}\n    compose: shop\n    compose_service: web\n    pull: never\n    \
             port: {}\n    env: {{ KEPT: ./kept, TOKEN: {TOKEN} }}\n{more}",
            self.bench.id, self.machine.name, self.port
        ));
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
        shop.registry("    hooks: { before: [{ run: [sh, -c, \"echo made >www/made\"] }] }\n");
        bench.run(&["deploy", "--all"]).exits(0);
        // What is mounted is the release itself, with what its hooks made.
        let name = format!("{}-shop", bench.id);
        assert_eq!(bench.run(&["exec", &name, "--", "cat", "/www/made"]).exits(0).out, "made\n");
        machine.inside(&format!("rm {}/services/{name}/current/www/made", bench.base()));
        shop.registry("");
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
        // A project of another name would run beside this one.
        shop.write("named", "\"./up:/up\"", "");
        let text = std::fs::read_to_string(bench.at("shop/compose.yml")).expect("the file");
        std::fs::write(bench.at("shop/compose.yml"), format!("name: portoser-{}-other\n{text}", bench.id))
            .expect("a file");
        let refused = bench.run(&["deploy", "--all"]).exits(9);
        assert!(
            refused.err.contains(&format!("as the compose project `portoser-{}-shop`", bench.id)),
            "{}",
            refused.err
        );
        // What is only read, and what lies elsewhere, may have any name. The part that did not change is left alone.
        shop.write("two", &format!("\"${{D:-./www}}:/d:ro\", \"${{E:-{}}}:/e\"", bench.base()), "");
        bench.run(&["deploy", "--all"]).exits(0);
        shop.answers("two");
        let db = |all: &str| all.lines().find(|line| line.contains("db")).map(str::to_owned);
        assert_eq!(db(&containers(machine, bench)), db(&before), "its data has the same path as before");
        assert_eq!(shop.in_db("cat /store/canary /more/canary").trim(), "alive\nalive");
        assert_eq!(machine.inside(&format!("cat {releases}/shared/more/canary")).trim(), "alive");
        assert_eq!(machine.inside(&format!("grep -rl {TOKEN} {}/runs", bench.base())), "", "no record holds a value");
        let gone = bench.run(&["remove", &format!("{}-shop", bench.id), "--yes"]).exits(0);
        for left in [format!("the path {} stays", bench.base()), format!("`rm -r {releases}/shared`")] {
            assert!(gone.err.contains(&left), "{left}: {}", gone.err);
        }
    })
}

/// An image that keeps data in `/keep`, where each of its containers has a volume without a name.
const KEEPS: &str = "docker image inspect trial/keeps:1 >/dev/null 2>&1 || { d=$(mktemp -d) && printf 'FROM trial/http:1\nVOLUME /keep\n' \
    >$d/Dockerfile && DOCKER_BUILDKIT=0 docker build -q -t trial/keeps:1 $d; rm -r $d; }";

fn of_image(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        image(machine);
        machine.inside(KEEPS);
        let bench = Bench::new("kept", std::slice::from_ref(machine));
        let ([port, _, _], name) = ([port(), port(), port()], format!("{}-app", bench.id));
        let write = |version: &str, more: &str| {
            bench.registry(&format!(
                "  {name}:\n    type: docker\n    host: {}\n    image: trial/keeps:1\n    pull: never\n    \
                 command: [sleep, \"10000\"]\n    env: {{ VERSION: {version} }}\n    networks: [{}-net]\n    \
                 files: {{ sent/a: {{ text: a }} }}\n    stop: {{ timeout: 1s }}\n    checks: [{{ unit: true }}]\n{more}",
                machine.name, bench.id
            ));
        };
        let inside = |words: &str| bench.run(&["exec", &name, "--", "sh", "-c", words]).exits(0).out;
        // Without a port it would be proven beside its old container, whose data it would not have.
        write("one", "");
        let refused = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
        assert!(
            refused.err.contains("the image keeps data in `/keep`, and the service mounts nothing there"),
            "{}",
            refused.err
        );
        assert_eq!(containers(machine, &bench), "");
        write("one", "    volumes: [\"./sent:/sent\"]\n");
        let refused = bench.run(&["deploy", "--all"]).exits(9);
        assert!(refused.err.contains("its files are sent with each release"), "{}", refused.err);
        // One that stops first hands its volumes on, with a name and without one, each instance to the next one of its name.
        let held = format!("    port: {port}\n    volumes: [\"./data:/data\", \"./sent:/sent:ro\"]\n");
        let several = |count: u8| format!("{held}    ports: [\"{port}:80\"]\n    instances: {count}\n");
        for (version, count) in [("one", 2), ("two", 3)] {
            write(version, &several(count));
            bench.run(&["deploy", "--all"]).exits(0);
            inside(&format!("touch /keep/{version} /data/{version}"));
        }
        let before = containers(machine, &bench);
        // The only one would have another name, and of three the last would have no successor, also on the way back.
        let refused = |words: &[&str]| {
            let refused = bench.run(&[words, &["--no-auto-heal"]].concat()).exits(5);
            for said in ["the image keeps data in `/keep`", "the older version with as many"] {
                assert!(refused.err.contains(said), "{words:?}: {}", refused.err);
            }
            assert_eq!(containers(machine, &bench), before, "{words:?}");
        };
        for fewer in [held.clone(), several(2)] {
            write("three", &fewer);
            refused(&["deploy", "--all"]);
        }
        refused(&["rollback", &name]);
        write("one", &several(3));
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(
            inside("ls /keep /data").split_whitespace().collect::<Vec<_>>(),
            ["/data:", "one", "two", "/keep:", "one", "two"]
        );
        assert_eq!(bench.amiss(machine), "");
        let gone = bench.run(&["remove", &name, "--yes"]).exits(0);
        let nameless = gone.err.lines().filter(|line| line.contains("docker volume rm"));
        let volumes: Vec<&str> =
            nameless.filter_map(|line| line.split("the volume ").nth(1)?.split(' ').next()).collect();
        assert!(
            volumes.len() == 3 && gone.err.contains(&format!("the network {}-net stays", bench.id)),
            "{}",
            gone.err
        );
        let all = volumes.join(" ");
        let left = machine.inside(&format!(
            "cd /var/lib/docker/volumes; for v in {all}; do ls $v/_data; done; docker volume rm {all}"
        ));
        assert_eq!(left.lines().filter(|line| matches!(*line, "one" | "two")).count(), 2, "{left}");
    })
}
