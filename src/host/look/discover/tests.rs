//! Answers of hosts that have a past, and what is read in them.

use proptest::prelude::*;

use super::*;

/// What a host answers, of which these parts.
pub(in crate::host::look) fn answer(parts: &[(&str, &str)]) -> Vec<u8> {
    let facts = [
        ("uid", "0"),
        ("user", "root"),
        ("home", "/root"),
        ("base", "/opt/portoser"),
        ("init", "systemd"),
        ("tools", "docker"),
        ("system", "Linux x86_64"),
        ("clock", "1800000000"),
        ("disk", ""),
        ("writable", "yes"),
    ];
    let all = facts.iter().chain(parts).chain(&[("end", "")]);
    let all: String = all.map(|(key, value)| format!("@{key} {}\n{value}\n", value.len())).collect();
    format!("welcome\n\n@portoser-look 1\n\n{all}").into_bytes()
}

#[test]
fn what_runs_is_joined_with_who_listens() {
    let found = read_discovered(&answer(&[
        (
            "discover/units",
            "Id=app.service\nFragmentPath=/etc/systemd/system/app.service\nActiveState=active\nUnitFileState=enabled\n\n\
             Id=pg@15.service\nFragmentPath=/lib/systemd/system/pg@.service\nActiveState=active\nUnitFileState=enabled-runtime\n\n\
             Id=own.service\nFragmentPath=/lib/systemd/system/own.service\nActiveState=inactive\nUnitFileState=disabled\n\n\
             Id=gone.service\nFragmentPath=\nActiveState=inactive\n\nId=run-1.service\nFragmentPath=/run/x\n",
        ),
        ("discover/files", "/etc/systemd/system/idle.service\n/etc/systemd/system/t@.service\n"),
        ("discover/packaged", "pg-common: /lib/systemd/system/pg@.service\n"),
        ("discover/listening", "  0: 0100007F:1538 00000000:0000 0A 0:0 0:0 0 0 0 77 1\n  1: 00000000:0050 0:0 0A 0:0 0:0 0 0 0 88 1\n"),
        ("discover/sockets", "/proc/9/fd:\nl 1 r r 64 d 5 -> socket:[77]\n/proc/12/fd:\nl 1 r r 64 d 5 -> socket:[77]\n"),
        ("discover/processes", "/proc/9/comm:postgres\n/proc/9/cgroup:0::/system.slice/system-pg.slice/pg@15.service\n"),
        (
            "discover/containers",
            r#"["/a-1","i","running",{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"81"},{"HostIp":"::","HostPort":"81"}],"81/tcp":[{"HostPort":"82"}],"53/udp":[{"HostPort":"53"}],"9/tcp":null},"a","x","/srv/a.yml","/srv",""]
["/b","j","exited",{},null,"","","","shop"]
broken
["b"]
"#,
        ),
    ]))
    .expect("an answer");
    let unit = |name: &str| found.units.get(name).map(|unit| (unit.active, unit.enabled, unit.packaged));
    assert_eq!(unit("app.service"), Some((true, true, false)));
    assert_eq!(unit("pg@15.service"), Some((true, true, true)));
    assert_eq!(unit("own.service"), Some((false, false, false)));
    assert_eq!(unit("idle.service"), Some((false, false, false)));
    assert_eq!(found.units.len(), 4);
    let listeners = found.listeners.expect("they are told");
    let listener = &listeners[&5432][0];
    assert!(listener.local() && !listener.apart() && listener.process == Some((9, "postgres".into())));
    assert_eq!(listener.unit.as_deref(), Some("pg@15.service"));
    assert_eq!(listeners[&80], [Listener { at: named("*"), ..Listener::default() }]);
    let containers = found.containers.expect("docker answers");
    assert_eq!(containers.len(), 2);
    let [project, name, files, folder] = ["a", "x", "/srv/a.yml", "/srv"].map(str::to_owned);
    assert_eq!(containers[0].compose, Some(Part { project, name, files, folder }));
    assert_eq!((containers[0].name.as_str(), containers[0].ports.as_slice()), ("a-1", &[81][..]));
    assert_eq!((containers[1].compose.as_ref(), containers[1].service.as_deref()), (None, Some("shop")));
}

#[test]
fn who_listens_on_macos_is_read() {
    // As the manual pages of macOS have them; written by us, and never seen on a Mac.
    let netstat = "tcp4       0      0  127.0.0.1.5432         *.*                    LISTEN     \n\
                   tcp6       0      0  ::1.5432               *.*                    LISTEN     \n\
                   tcp46      0      0  *.8080                 *.*                    LISTEN     \n\
                   tcp4       0      0  *.22                   *.*                    LISTEN     \n";
    let lsof = "p312\ncpostgres\nf7\nn127.0.0.1:5432\nf8\nn[::1]:5432\np501\ncjava\nf6\nn*:8080\n";
    let found = read_discovered(&answer(&[("discover/netstat", netstat), ("discover/lsof", lsof)])).expect("an answer");
    let found = found.listeners.expect("they are told");
    let one = |port: u16| found[&port].iter().map(|one| (one.local(), one.process.clone())).collect::<Vec<_>>();
    assert_eq!(one(5432), [(true, Some((312, "postgres".into())))]);
    assert_eq!(one(8080), [(false, Some((501, "java".into())))]);
    assert_eq!((one(22), found.len()), (vec![(false, None)], 3), "its process was not told");
}

#[test]
fn each_address_has_ports_of_its_own() {
    let listening = "  0: 3500007F:0035 0:0 0A 0:0 0:0 0 0 0 77 1\n  1: 0201A8C0:0035 0:0 0A 0:0 0:0 0 0 0 88 1\n  \
                     2: B80D0120000000000000000001000000:0035 0:0 0A 0:0 0:0 0 0 0 89 1\n  \
                     3: 0000000000000000FFFF00000100007F:0051 0:0 0A 0:0 0:0 0 0 0 90 1\n";
    let sockets = "/proc/9/fd:\nl 1 r r 64 d 5 -> socket:[77]\n/proc/12/fd:\nl 1 r r 64 d 5 -> socket:[88]\nl 1 r r 64 d 6 -> socket:[89]\n";
    let parts = [
        ("discover/listening", listening),
        ("discover/sockets", sockets),
        ("discover/processes", "/proc/9/comm:resolved\n/proc/12/comm:unbound\n"),
    ];
    let found = read_discovered(&answer(&parts)).expect("an answer").listeners.expect("they are told");
    let one = |one: &Listener| {
        let at: Vec<String> = one.at.iter().map(IpAddr::to_string).collect();
        (one.process.as_ref().map_or(0, |process| process.0), at.join(" "), one.local(), one.apart())
    };
    let all: Vec<_> = found[&53].iter().map(one).collect();
    assert_eq!(all, [(9, "127.0.0.53".into(), true, true), (12, "192.168.1.2 2001:db8::1".into(), false, true)]);
    assert_eq!(found[&81].iter().map(one).collect::<Vec<_>>(), [(0, "127.0.0.1".into(), true, false)]);
}

proptest! {
    #[test]
    fn any_answer_is_read(which in 0..9_usize, text in "(?s)[ -~\n\t]{0,200}") {
        let keys = ["units", "files", "packaged", "listening", "sockets", "processes", "containers", "netstat", "lsof"];
        let key = format!("discover/{}", keys[which]);
        prop_assert!(read_discovered(&answer(&[(&key, &text)])).is_ok());
    }
}
