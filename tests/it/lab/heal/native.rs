//! The stack of the native faults: web needs app, app needs db; all three on one host.

use std::fs;

use crate::lab::kit::{Bench, Machine, port};

use super::stack::Stack;

/// How everything is healed: at once, and as often as a fault needs.
pub const HEAL: &str = "    heal: { policy: full, looks: 2, apart: 100ms, cooldown: 1s, tries: 50, breaker: 500 }\n";

pub fn native(machine: &Machine) -> Stack {
    let bench = Bench::new("heal", std::slice::from_ref(machine));
    let (id, base) = (bench.id.clone(), bench.base());
    let ports = [port(), port(), port()];
    let folder = bench.at("source");
    fs::create_dir_all(folder.join("bin")).expect("a folder");
    let interpreter = format!("/usr/local/bin/python-{id}");
    fs::write(folder.join("bin/serve"), format!("#!{interpreter}\n{SERVE}")).expect("the program");
    fs::set_permissions(folder.join("bin/serve"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let service = |number: usize, name: &str, needs: &str| {
        let port = ports[number];
        let need = if needs.is_empty() { String::new() } else { format!("    needs: [{id}-{needs}]\n") };
        let at = if needs.is_empty() { 0 } else { ports[number + 1] };
        format!(
            "  {id}-{name}:\n    type: native\n    host: {}\n    source: source\n    run: [./bin/serve]\n    port: {port}\n{need}    \
             user: u-{id}\n    env: {{ PORT: \"${{PORT}}\", NEED: \"http://db-{id}.trial:{at}/\", TOKEN: secret, SHARED: \"${{SHARED_DIR}}\" }}\n    \
             limits: {{ files: 64 }}\n    restart: {{ policy: always, delay: 200ms, max: 3, within: 60s }}\n    checks: [{{ http: /health, start_period: 3s }}]\n{HEAL}",
            machine.name
        )
    };
    // One that runs a program of the host's, and one that the host had before us.
    let beside = format!(
        "  {id}-side:\n    type: native\n    host: {host}\n    run: [/usr/local/bin/run-{id}, sleep, infinity]\n    checks: [{{ unit: true }}]\n{HEAL}  \
         {id}-own:\n    type: native\n    host: {host}\n    unit: own-{id}.service\n    checks: [{{ unit: true }}]\n{HEAL}",
        host = machine.name
    );
    bench.registry(&(service(0, "web", "app") + &service(1, "app", "db") + &service(2, "db", "") + &beside));
    let prelude = format!(
        "id={id} base={base} app={id}-app user=u-{id} interpreter={interpreter} kept=/var/tmp/kept-{id}\n\
         shareds=\"$base/services/{id}-*/shared\" unit_web=portoser-{id}-web.service unit_app=portoser-{id}-app.service unit_db=portoser-{id}-db.service\n\
         unit_side=portoser-{id}-side.service unit_own=own-{id}.service program=/usr/local/bin/run-{id}\n\
         port_web={} port_app={} port_db={}\nrelease=$base/services/$app/current shared=$base/services/$app/shared\n\
         listens() {{ n=0; until ss -Htln \"sport = :$1\" | grep -q . || [ $n -gt 100 ]; do sleep 0.1; n=$((n + 1)); done; }}\n",
        ports[0], ports[1], ports[2]
    );
    let (machine, last, store) = (machine.clone(), Default::default(), None);
    let stack = Stack { bench, machine, prelude, restart: RESTART, clean: CLEAN, answers: ANSWERS, last, store };
    stack.inside(&format!(
        "useradd -M -s /usr/sbin/nologin $user; ln -sf /usr/bin/python3 $interpreter\n\
         printf '#!/bin/sh\\nexec \"$@\"\\n' >$program; chmod 755 $program\n\
         printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/$unit_own\n\
         systemctl daemon-reload; systemctl enable -q --now $unit_own\necho 127.0.0.1 db-{id}.trial >>/etc/hosts\n\
         mkdir -p $base $kept; mount -t tmpfs -o size=8m,nr_inodes=900,mode=755 none $base"
    ));
    if super::heals() {
        // What is there has a release before it that was proven.
        fs::write(folder.join("app.json"), "{}\n").expect("settings");
        stack.bench.run(&["deploy", "--all"]).exits(0);
    }
    fs::write(folder.join("app.json"), "{\"bold\": true}\n").expect("settings");
    stack.bench.run(&["deploy", "--all"]).exits(0);
    stack.inside(
        "cp -a $release/bin/serve $release/app.json $release/.portoser/env.1 /etc/systemd/system/$unit_app $kept/",
    );
    stack
}

const RESTART: &str = "systemctl reset-failed $unit_web $unit_app $unit_db $unit_side; systemctl restart $unit_db $unit_app $unit_web $unit_side; systemctl start $unit_own";

const ANSWERS: &str = "curl -sf -m 1 -o /dev/null http://127.0.0.1:$port_web/health";

const CLEAN: &str = "systemctl stop stranger-$id $unit_web $unit_app $unit_db $unit_side; systemctl disable -q --now $unit_own\n\
     rm -rf $kept $interpreter $program /etc/systemd/system/$unit_own /run/systemd/system/$unit_app.d\n\
     userdel $user; grep -v db-$id.trial /etc/hosts >/var/tmp/hosts-$id; cat /var/tmp/hosts-$id >/etc/hosts; rm /var/tmp/hosts-$id\n\
     umount $base";

/// A service that needs another one, writes to its shared folder, reads its settings, and does what the files `do` (at the
/// start) and `live` (at each question) say. The release before does not, so that it is well when the one in force is not.
const SERVE: &str = r#"import json, os, socket, sys, time
os.environ["TOKEN"]
shared = os.environ["SHARED"]
bold = "bold" in json.load(open("app.json"))
if bold and os.path.exists(shared + "/do"): exec(open(shared + "/do").read())
open(shared + "/state", "a").close()
with open(shared + "/state.new", "w") as state: state.write("started\n" * 1000)
os.remove(shared + "/state.new")
def listen(port):
    one = socket.socket(); one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port)); one.listen(64)
    return one
listener = listen(int(os.environ["PORT"]))
if "ALSO" in os.environ: also = listen(int(os.environ["ALSO"]))
name, need = os.environ["NEED"].split("/")[2].split(":")
sick = False
def well():
    if int(need) == 0: return True
    try:
        with socket.create_connection(("127.0.0.1", int(need)), 1) as c:
            c.settimeout(1); c.sendall(b"GET /health HTTP/1.0\r\n\r\n"); return b" 200 " in c.recv(64)
    except OSError as error:
        print("cannot reach what is needed:", error, flush=True); return False
while True:
    try: c, _ = listener.accept()
    except OSError: continue
    try:
        c.settimeout(2); asked = c.recv(4096)
        if bold and os.path.exists(shared + "/live"): exec(open(shared + "/live").read())
        status = b"200 OK" if not asked.startswith(b"GET /health") or (not sick and well()) else b"503 Bad"
        c.sendall(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    except OSError: pass
    finally: c.close()
"#;
