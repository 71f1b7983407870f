//! Whom the process of a container runs as: a user and a group of its image, each by name or by number.

use libtest_mimic::{Failed, Trial};

use super::docker::{chosen, image, service, side_by_side};
use super::kit::{Bench, Machine, port};
use super::trial;

pub fn trials() -> Vec<Trial> {
    vec![trial("a_container_runs_as_the_user_that_is_written", runs_as)]
}

/// The image of other trials, with a user and a group that no host knows.
const IMAGE: &str = "d=$(mktemp -d) && cd \"$d\" && echo 'vera:x:1234:1235::/:/bin/sh' >passwd && echo 'loggers:x:4321:' >group && \
    printf 'FROM trial/http:1\\nCOPY passwd group /etc/\\n' >Dockerfile && docker build -q -t trial/users:1 . && rm -r \"$d\"";

/// As it is written, and what the kernel says of the process: its user and its group.
const USERS: [(&str, &str); 4] =
    [("\"1000:1001\"", "1000 1001"), ("1002", "1002 0"), ("vera", "1234 1235"), ("vera:loggers", "1234 4321")];

fn runs_as(machines: Vec<Machine>) -> Result<(), Failed> {
    side_by_side(&chosen(&machines, "trixie"), |machine| {
        image(machine);
        let made = machine.inside(IMAGE);
        assert!(made.contains("sha256:"), "{}: {made}", machine.name);
        let bench = Bench::new("whose", std::slice::from_ref(machine));
        let (port, name) = (port(), format!("{}-web", bench.id));
        let write = |version: &str, user: &str| {
            let text = service(&bench, "web", &machine.name, port, version, &format!("    user: {user}\n"));
            // What is not root may not hold a low port everywhere.
            bench.registry(&text.replace("trial/http:1", "trial/users:1").replace(":80\"]", ":8080\"]"));
        };
        let runs = || {
            machine.inside(&format!(
                "p=$(docker inspect -f '{{{{.State.Pid}}}}' $(docker ps -q --filter label=portoser.service={name})) && \
                 awk '/^[UG]id:/ {{ all = all $2 \" \" }} END {{ print all }}' /proc/$p/status"
            ))
        };
        for (user, numbers) in USERS {
            write("one", user);
            bench.run(&["deploy", "--all"]).exits(0);
            assert_eq!((runs().trim(), bench.answer(machine, port)), (numbers, "one".into()), "{user}");
            let id = bench.run(&["exec", &name, "--", "id", "-u"]).exits(0);
            assert_eq!(id.out.split_whitespace().last(), numbers.split(' ').next(), "{user}");
        }
        // The host knows no such user, and need not.
        assert_eq!(machine.inside("id vera 2>/dev/null"), "");
        let healed = bench.run(&["heal", &name]).exits(0);
        assert!(!format!("{}{}", healed.out, healed.err).contains("vera"), "{}\n{}", healed.out, healed.err);
        write("two", "nobody-there");
        let told = bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
        assert!(told.err.contains("nobody-there"), "{}", told.err);
        assert_eq!((runs().trim(), bench.answer(machine, port)), (USERS[3].1, "one".into()), "it is back");
        machine.inside("docker rmi -f trial/users:1");
    })
}
