//! The account that a service runs as: what its files let it read, its shared folder when it changes, and that nothing that its user
//! may write to is ever run by root.

use libtest_mimic::{Failed, Trial};

use super::kit::{Bench, Machine, port};
use super::{trial, usual, without_init};
use crate::fixture::mixed::SERVER;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_service_has_its_own_account_under_systemd", |machines| all(&usual(&machines)[0])),
        trial("a_service_has_its_own_account_without_an_init_system", |machines| match without_init(&machines) {
            Some((one, _alone)) => all(&one),
            None => {
                eprintln!("skipped: lab::account: no host without an init system in this lab");
                Ok(())
            }
        }),
    ]
}

/// What its user lays where its environment leads: each tells who ran it.
const PLANTED: &str = "mkdir -p BIN && cd BIN && for name in id su setpriv env getent sh cat find; do \
    printf '#!/bin/sh\\n/usr/bin/id -u >>/tmp/ran-ID\\nexec /usr/bin/%s \"$@\"\\n' $name >$name; done; chmod 755 *; \
    : >/tmp/ran-ID; chmod 666 /tmp/ran-ID; chown -R plain BIN";

/// What the process was given of what an account has; another variable may have lines that look like these.
const ENVIRON: &str = r#"python3 -c '
import sys
with open("/proc/" + sys.argv[1] + "/environ") as told: all = told.read().split("\0")
print(*sorted(one for one in all if one.split("=")[0] in ("HOME", "USER", "LC_ALL")), sep="\n")
' "$(pgrep -f '/usr/bin/python3 [.]/server.py three')""#;

fn all(one: &Machine) -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt as _;
    let (bench, port) = (Bench::new("account", std::slice::from_ref(one)), port());
    let (id, name) = (bench.id.clone(), format!("{}-one", bench.id));
    std::fs::create_dir(bench.at("app"))?;
    std::fs::write(bench.at("app/server.py"), SERVER)?;
    for (file, mode) in [("own.key", 0o600), ("group.key", 0o640), ("open", 0o644)] {
        std::fs::write(bench.at(&format!("app/{file}")), "x\n")?;
        std::fs::set_permissions(bench.at(&format!("app/{file}")), std::fs::Permissions::from_mode(mode))?;
    }
    let write = |version: &str, more: &str| {
        bench.registry(&format!(
            "  {name}:\n    type: native\n    host: {}\n    source: app\n    port: {port}\n    \
             run: [/bin/sh, -c, 'cat own.key group.key etc/key >/dev/null && exec /usr/bin/python3 ./server.py {version}']\n    \
             env: {{ PORT: \"${{PORT}}\", PATH: \"${{SHARED_DIR}}/bin:/usr/bin:/bin\", user: \"\", file: x, UID: \"77\" }}\n    \
             files: {{ etc/key: {{ text: k, mode: \"0640\" }} }}\n    checks: [{{ http: /health }}]\n    \
             hooks: {{ before: [{{ run: [/bin/sh, -c, 'test \"$(printenv UID)\" = 77'] }}] }}\n{more}",
            one.name
        ));
    };
    let service = format!("{}/services/{name}", bench.base());
    let owns = |path: &str| one.inside(&format!("stat -L -c '%a %U %G' {service}/{path}"));
    let who = || one.inside("ps -eo user,args | grep '[.]/server.py' | grep -v grep | awk '{ print $1 }' | sort -u");
    let key = |owner: &str| {
        for file in ["own.key", "group.key", "etc/key"] {
            let mode = if owner == "root" && file == "own.key" { "600" } else { "640" };
            assert_eq!(owns(&format!("current/{file}")), format!("{mode} root {owner}\n"), "{file}");
        }
        assert_eq!(owns("current/open"), "644 root root\n");
    };
    write("one", "");
    bench.run(&["deploy", "--all"]).exits(0);
    key("root");
    assert_eq!(owns("shared"), "755 root root\n");
    let user = "    user: plain\n";
    write("two", user);
    let plan = bench.run(&["plan"]).exits(0).out;
    assert!(plan.contains("its shared folder goes along"), "{plan}");
    bench.run(&["deploy", "--all"]).exits(0);
    key("plain");
    assert_eq!(owns("shared"), "755 plain root\n");
    assert!(who().contains("plain"), "{}", who());
    // What healing looks at agrees with what a deploy writes.
    let seen = bench.run(&["diagnose", &name]);
    assert!(!seen.out.contains(".key") && !seen.out.contains("belongs to user"), "{}", seen.out);
    let again = bench.run(&["deploy", "--all"]).exits(0);
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    // What fails goes back, the shared folder too.
    write("bad", "");
    bench.run(&["deploy", "--all", "--no-auto-heal"]).exits(5);
    assert_eq!(bench.answer(one, port), "two");
    assert_eq!(owns("shared"), "755 plain root\n");
    write("two", user);
    one.inside(&PLANTED.replace("BIN", &format!("{service}/shared/bin")).replace("ID", &id));
    let said = bench.run(&["exec", &name, "--", "printenv", "HOME", "UID", "user", "file"]).exits(0);
    assert_eq!(
        said.out.lines().map(|line| line.rsplit(' ').next().unwrap_or_default()).collect::<Vec<_>>(),
        ["/home/plain", "77", "", "x"]
    );
    let said = bench.run(&["exec", &name, "--", "id", "-un"]).exits(0);
    assert!(said.out.contains("plain"), "{}", said.out);
    bench.run(&["restart", &name]).exits(0);
    write("three", user);
    bench.run(&["deploy", "--all"]).exits(0);
    assert_eq!(bench.answer(one, port), "three");
    let environ = one.inside(ENVIRON);
    assert_eq!(environ, "HOME=/home/plain\nUSER=plain\n");
    let ran = one.inside(&format!("sort -u /tmp/ran-{id}; rm /tmp/ran-{id}"));
    assert_eq!(ran, "1002\n", "root ran what the service's user laid there");
    Ok(())
}
