//! A compose file whose images come from a registry that wants a password, one of them as what another is built from.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::docker::{chosen, containers, image, side_by_side};
use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::pull::left;
use super::store::{PASSWORD, Store};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("images_of_a_compose_file_are_fetched_and_built", parts)]
}

const COMPOSE: &str = r#"services:
  web:
    image: STORE/app:1
    command: ["sh", "-c", "exec httpd -f -p 80 -h /www"]
    ports: ["PORT:80"]
    stop_signal: SIGKILL
  made:
    build: .
    command: ["sh", "-c", "exec httpd -f -p 80 -h /www"]
    stop_signal: SIGKILL
"#;

/// A service of that file.
struct Shop {
    bench: Bench,
    store: Store,
    port: u16,
}

impl Shop {
    fn new(machine: &Machine) -> Self {
        let bench = Bench::new("parts", std::slice::from_ref(machine));
        let store = Store::new(machine, &bench, true);
        let shop = Self { bench, store, port: port() };
        let from = format!("FROM {}/base:1\nRUN touch /built\n", shop.store.name());
        std::fs::create_dir(shop.bench.at("shop")).expect("a folder");
        std::fs::write(shop.bench.at("shop/Dockerfile"), from).expect("a Dockerfile");
        std::fs::write(shop.bench.at("password"), PASSWORD).expect("a file");
        shop.compose("app:1");
        shop
    }

    fn compose(&self, image: &str) {
        let text = COMPOSE.replace("PORT", &self.port.to_string()).replace("app:1", image);
        std::fs::write(self.bench.at("shop/compose.yml"), text.replace("STORE", &self.store.name())).expect("a file");
        let (id, host, port) = (&self.bench.id, &self.bench.machines[0].name, self.port);
        self.bench.registry(&format!(
            "  {id}-shop:\n    type: docker\n    host: {host}\n    compose: shop\n    compose_service: web\n    pull: always\n    \
             port: {port}\n    checks: [{{ http: /, start_period: 5s }}, {{ unit: true }}]\n"
        ));
        let text = std::fs::read_to_string(self.bench.at("registry.yml")).expect("the registry");
        let login = format!(
            "registries: {{ \"{}\": {{ user: lab, password: {{ file: password }} }} }}\nservices:",
            self.store.name()
        );
        std::fs::write(self.bench.at("registry.yml"), text.replace("services:", &login)).expect("a registry");
    }

    fn fetches(&self) -> Value {
        let plan = self.bench.run(&["plan", "--all", "--json"]).exits(0);
        let plan: Value = serde_json::from_str(&plan.out).expect("a plan");
        plan["changes"][0]["fetches"].clone()
    }

    fn answers(&self, page: &str) {
        let machine = &self.bench.machines[0];
        assert_eq!(self.bench.answer(machine, self.port), page, "on {}", machine.name);
        assert_eq!((left(machine, &self.bench), self.bench.amiss(machine)), (String::new(), String::new()));
    }
}

fn parts(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        let shop = fetched_and_built(machine);
        if super::kit::full() {
            refused_and_killed(machine, &shop);
        }
    })
}

/// One part is fetched and another is built, each with a login; then a newer image is a change of the first alone.
fn fetched_and_built(machine: &Machine) -> Shop {
    image(machine);
    let shop = Shop::new(machine);
    let (bench, store) = (&shop.bench, &shop.store);
    store.push("app:1", "one", 1000);
    store.push("base:1", "base", 1000);
    let told = shop.fetches();
    assert!(told[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 1000), "{told}");
    assert!(told[1]["image"] == "the image of made" && told[1]["bytes"].is_null(), "{told}");
    bench.run(&["deploy", "--all"]).exits(0);
    shop.answers("one");
    let made = || containers(machine, bench).lines().find(|line| line.contains("made")).map(str::to_owned);
    let before = made();
    assert!(before.is_some(), "{}", containers(machine, bench));
    // A newer image under the same name is a change of that part.
    store.push("app:1", "two", 1000);
    bench.run(&["deploy", "--all"]).exits(0);
    shop.answers("two");
    shop
}

/// The same on an engine of another kind.
pub(super) fn one(machine: &Machine) {
    drop(fetched_and_built(machine));
}

/// What has no room is refused; and the controller dies while the host is signed in.
fn refused_and_killed(machine: &Machine, shop: &Shop) {
    let (bench, store) = (&shop.bench, &shop.store);
    store.push("app:2", "three", 30_000_000);
    store.claim("app", "2", "huge", 1 << 50);
    shop.compose("app:huge");
    let refused = bench.run(&["deploy", "--all"]).exits(9);
    assert!(refused.err.contains("no room to fetch") && refused.err.contains("app:huge"), "{}", refused.err);
    // The controller dies while the host is signed in.
    shop.compose("app:2");
    let mut deploy = bench.command_in("state", &["deploy", "--all"]).spawn().expect("portoser starts");
    let signed = format!("ls -d {}/runs/*/signs/docker 2>/dev/null", bench.base());
    wait("the host is signed in", PATIENCE, || !machine.inside(&signed).is_empty());
    deploy.kill().and_then(|()| deploy.wait()).expect("an end");
    wait("nothing is left of the password", PATIENCE, || left(machine, bench).is_empty());
    std::fs::write(bench.at("password"), "wrong").expect("a file");
    let wrong = bench.run(&["deploy", "--all"]).exits(9);
    assert!(wrong.err.contains("does not let lab in"), "{}", wrong.err);
    std::fs::write(bench.at("password"), PASSWORD).expect("a file");
    bench.run(&["deploy", "--all"]).exits(0);
    shop.answers("three");
    shop.compose("app:1");
    bench.run(&["deploy", "--all"]).exits(0);
    shop.answers("two");
}
