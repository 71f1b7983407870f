//! Images that hosts fetch themselves, from a real registry: when they are fetched, what a release keeps of them, and what is told
//! before.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::docker::{chosen, image, side_by_side};
use super::kit::{Bench, Machine, PATIENCE, port, wait};
use super::store::{PASSWORD, Store};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("images_are_fetched_when_the_registry_says_so_and_kept", policies),
        trial("a_release_gets_its_own_image_again", again),
        trial("a_private_registry_lets_us_in_and_nothing_is_left", private),
        trial("what_is_fetched_is_known_before_and_must_fit", sizes),
    ]
}

/// A service of an image of that registry, as YAML.
pub(super) fn service(bench: &Bench, machine: &Machine, port: u16, reference: &str, more: &str) -> String {
    format!(
        "  {}-app:\n    type: docker\n    host: {}\n    image: {reference}\n    command: [sh, -c, \"exec httpd -f -p 80 -h /www\"]\n    \
         port: {port}\n    ports: [\"{port}:80\"]\n    checks: [{{ http: /, start_period: 5s }}, {{ unit: true }}]\n    \
         stop: {{ signal: SIGKILL }}\n{more}",
        bench.id, machine.name
    )
}

fn policies(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "bookworm"), |machine| {
        image(machine);
        let bench = Bench::new("pull", std::slice::from_ref(machine));
        let (store, port, name) = (Store::new(machine, &bench, false), port(), format!("{}-app", bench.id));
        let reference = format!("{}/app:1", store.name());
        let write =
            |pull: &str| bench.registry(&service(&bench, machine, port, &reference, &format!("    pull: {pull}\n")));
        let deploy = |outcome: &str| {
            let ran = bench.run(&["deploy", "--all", "--events"]).exits(0);
            assert_eq!(ran.ended(outcome), 1, "{}\n{}", ran.out, ran.err);
            ran
        };
        let answers = |page: &str| assert_eq!(bench.answer(machine, port), page, "on {}", machine.name);
        store.push("app:1", "one", 1000);
        write("never");
        let never = bench.run(&["deploy", "--all"]).exits(5);
        assert!(never.err.contains("is not on the host"), "{}", never.err);
        write("missing");
        let first = deploy("committed");
        assert!(first.out.contains("fetched") && first.out.contains("@sha256:"), "the digest is told: {}", first.out);
        answers("one");
        // What the tag means later is no matter of a release that is there.
        store.push("app:1", "two", 1000);
        deploy("nothing-to-do");
        answers("one");
        // With `always`, a newer image is a change, and the same one is none.
        write("always");
        deploy("committed");
        answers("two");
        deploy("nothing-to-do");
        store.push("app:1", "three", 1000);
        deploy("committed");
        answers("three");
        let pins = machine.inside(&format!("cat {}/services/{name}/current/.portoser/images", bench.base()));
        assert!(pins.contains(&format!("{}/app@sha256:", store.name())), "the release names the digest: {pins}");
        // Without the registry nothing is decided, nothing is touched, and the way back is open.
        store.stop();
        let blind = bench.run(&["deploy", "--all"]).exits(9);
        assert!(blind.err.contains("cannot be asked"), "{}", blind.err);
        answers("three");
        bench.run(&["rollback", &name]).exits(0);
        answers("two");
        assert_eq!(bench.amiss(machine), "");
        // The names under which releases were fetched go with them, but not from under a container that is not ours.
        let names = || {
            let all = machine.inside("docker images --all --digests --format '{{.Repository}}:{{.Tag}}@{{.Digest}}'");
            all.lines().filter(|line| line.starts_with(store.name().as_str())).count()
        };
        assert_eq!(names(), 2, "of the release in force and the one before it");
        let own = machine.inside(&format!(
            "docker create $(grep -o '{}.*' {}/services/{name}/current/.portoser/images) true",
            store.name(),
            bench.base()
        ));
        bench.run(&["remove", &name, "--yes"]).exits(0);
        assert_eq!(names(), 1, "a container of the user's is made of it: {own}");
        machine.inside(&format!("docker rm {own}"));
        if !super::kit::full() {
            return;
        }
        store.start();
        machine.inside(&format!("docker pull {reference}"));
        write("missing");
        deploy("committed");
        bench.run(&["remove", &name, "--yes"]).exits(0);
        assert_eq!(names(), 1, "what the user fetched stays, and what we did is gone");
        assert_eq!(machine.inside(&format!("ls {} | grep fetched", bench.base())), "");
    })
}

/// As `docker image prune -a` does, but to this service alone: its containers, its tag, and the names under which its image is there.
fn prune(bench: &Bench, machine: &Machine, names: &str) {
    let said = machine.inside(&format!(
        "docker rm -f $(docker ps -aq --filter name=portoser-{id}); \
         docker rmi -f $(docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' | grep '^portoser/{id}-app/') {names} 2>/dev/null; \
         docker images -q --filter reference='portoser/{id}-app/*' | wc -l",
        id = bench.id
    ));
    assert_eq!(said.lines().last().map(str::trim), Some("0"), "the tag is gone: {said}");
}

/// What the tag of a release pinned is fetched again by its digest when the tag is gone, and nothing else is called that release.
fn again(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "bookworm"), |machine| {
        image(machine);
        let bench = Bench::new("again", std::slice::from_ref(machine));
        let (store, port) = (Store::new(machine, &bench, false), port());
        let reference = format!("{}/app:1", store.name());
        let write = |reference: &str, pull: &str| {
            bench.registry(&service(&bench, machine, port, reference, &format!("    pull: {pull}\n")));
        };
        let answers = |page: &str| assert_eq!(bench.answer(machine, port), page, "on {}", machine.name);
        let deploy = |code: i32| bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(code);
        store.push("app:1", "one", 1000);
        write(&reference, "missing");
        deploy(0);
        answers("one");
        store.push("app:1", "two", 1000);
        let pins = machine.inside(&format!("cat {}/pins", bench.base()));
        let digest = pins.split_whitespace().last().unwrap_or_default().to_owned();
        assert!(digest.contains("/app@sha256:"), "{pins}");
        prune(&bench, machine, &format!("{reference} {digest}"));
        deploy(0);
        answers("one");
        // An image that no registry has is known by its id, and is not mistaken for what its name means by now.
        let (own, kept) = (format!("trial/{}:1", bench.id), format!("trial/{}:kept", bench.id));
        let make = |page: &str| {
            machine.inside(&format!(
                "d=$(mktemp -d) && printf {page} >$d/index.html && c=$(docker create trial/http:1 true) && \
                 docker cp $d/index.html $c:/www/index.html && docker commit $c {own} && docker rm $c && rm -r $d"
            ))
        };
        make("first");
        machine.inside(&format!("docker tag {own} {kept}"));
        write(&own, "never");
        deploy(0);
        make("second");
        prune(&bench, machine, "");
        deploy(0);
        answers("first");
        prune(&bench, machine, &kept);
        // Nothing ran, so that nothing is back.
        let gone = deploy(6);
        assert!(gone.err.contains("the image of this release is gone from the host"), "{}", gone.err);
        machine.inside(&format!("docker rmi {own}"));
        bench.run(&["remove", &format!("{}-app", bench.id), "--yes"]).exits(0);
        assert_eq!(machine.inside(&format!("ls {} | grep pins", bench.base())), "", "nothing is needed any more");
    })
}

fn sizes(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        image(machine);
        let bench = Bench::new("size", std::slice::from_ref(machine));
        let (store, port) = (Store::new(machine, &bench, false), port());
        let write =
            |tag: &str| bench.registry(&service(&bench, machine, port, &format!("{}/app:{tag}", store.name()), ""));
        let fetch = || -> Value {
            let plan = bench.run(&["plan", "--all", "--json"]).exits(0);
            let plan: Value = serde_json::from_str(&plan.out).expect("a plan");
            plan["changes"][0]["fetches"][0].clone()
        };
        store.push("app:1", "one", 3_000_000);
        write("1");
        // What is below the changed layer the engine has, and root may know that.
        let told = fetch();
        let bytes = told["bytes"].as_u64().unwrap_or_default();
        assert!((3_000_000..3_100_000).contains(&bytes) && told["at_most"] == false, "{told}");
        let plan = bench.run(&["plan", "--all"]).exits(0);
        assert!(plan.out.contains("fetches: 2.9 MiB of "), "{}", plan.out);
        bench.run(&["deploy", "--all"]).exits(0);
        assert_eq!(fetch(), Value::Null, "it is there");
        // Nobody needs a registry for what is there.
        store.push("app:2", "two", 1000);
        store.claim("app", "2", "huge", 1 << 50);
        write("huge");
        for words in [["plan", "--all"], ["deploy", "--all"]] {
            let refused = bench.run(&words).exits(9);
            assert!(
                refused.err.contains("no room to fetch") && refused.err.contains("are free in /"),
                "{}",
                refused.err
            );
        }
        assert_eq!(bench.answer(machine, port), "one");
        store.stop();
        let told = fetch();
        assert!(
            told["bytes"].is_null() && told["unknown"].as_str().is_some_and(|why| why.contains("refused")),
            "{told}"
        );
        write("1");
        assert_eq!(bench.run(&["deploy", "--all", "--events"]).exits(0).ended("nothing-to-do"), 1);
    })
}

/// What a run, a look and a killed runner leave of a password on a host: the files that hold it, as it is or as docker writes it.
pub(super) fn left(machine: &Machine, bench: &Bench) -> String {
    let packed = machine.inside(&format!("printf 'lab:{PASSWORD}' | base64"));
    let places = format!("{} /dev/shm /run/.portoser-* /tmp /root/.docker /home/deploy", bench.base());
    machine.inside(&format!("grep -rlsIe '{PASSWORD}' -e '{}' {places}", packed.trim()))
}

fn private(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "bookworm"), |machine| {
        image(machine);
        let bench = Bench::new("priv", std::slice::from_ref(machine));
        let (store, port) = (Store::new(machine, &bench, true), port());
        let write = |tag: &str, password: &str| {
            bench.registry(&service(
                &bench,
                machine,
                port,
                &format!("{}/app:{tag}", store.name()),
                "    pull: always\n",
            ));
            let text = std::fs::read_to_string(bench.at("registry.yml")).expect("the registry");
            let login =
                format!("registries: {{ \"{}\": {{ user: lab, password: {password} }} }}\nservices:", store.name());
            std::fs::write(bench.at("registry.yml"), text.replace("services:", &login)).expect("a registry");
        };
        store.push("app:1", "one", 1000);
        store.push("app:2", "two", 1000);
        write("1", "{ file: password }");
        let missing = bench.run(&["deploy", "--all"]).exits(10);
        assert!(missing.err.contains("password") && !missing.err.contains(PASSWORD), "{}", missing.err);
        std::fs::write(bench.at("password"), "wrong").expect("a file");
        let wrong = bench.run(&["deploy", "--all"]).exits(9);
        assert!(wrong.err.contains("does not let lab in"), "{}", wrong.err);
        std::fs::write(bench.at("password"), PASSWORD).expect("a file");
        let ran = bench.run(&["deploy", "--all", "--events", "-v"]).exits(0);
        assert_eq!(bench.answer(machine, port), "one", "{}", ran.err);
        assert_eq!(left(machine, &bench), "", "after a deploy");
        let shown =
            [ran.out, ran.err, bench.run(&["history", "--json"]).out, bench.run(&["plan", "--all", "--steps"]).out]
                .concat();
        assert!(!shown.contains(PASSWORD), "{shown}");
        // The runner dies where it fetches; nobody but the watcher beside it is there to clean up.
        write("2", "{ env: LAB_PASSWORD }");
        let runs = format!("{}/runs", bench.base());
        let killer = format!(
            "for i in $(seq 3000); do r=$(ls -d {runs}/*/signs/docker 2>/dev/null | head -n 1); \
             if [ -n \"$r\" ]; then read -r p x <${{r%/signs/docker}}/runner && kill -9 $p; echo killed; exit; fi; sleep 0.01; done"
        );
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| machine.inside(&killer));
            let mut deploy = bench.command_in("state", &["deploy", "--all", "--no-auto-heal"]);
            let ended = deploy.env("LAB_PASSWORD", PASSWORD).output().expect("portoser starts");
            assert!(killer.join().expect("a killer").contains("killed"), "{}", String::from_utf8_lossy(&ended.stderr));
        });
        wait("nothing is left of the password", PATIENCE, || left(machine, &bench).is_empty());
        let again = bench
            .command_in("state", &["deploy", "--all"])
            .env("LAB_PASSWORD", PASSWORD)
            .output()
            .expect("portoser starts");
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(bench.answer(machine, port), "two");
        assert_eq!((left(machine, &bench), bench.amiss(machine)), (String::new(), String::new()));
    })
}
