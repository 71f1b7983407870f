//! The stack of the faults of containers and virtual environments: a native service needs a Python one, which needs a container.
//! Beside them are a container whose image is fetched from a registry, and one whose image is sent from this machine.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::fixture::docker_save::{layer, save};
use crate::fixture::wheel;
use crate::lab::docker::image;
use crate::lab::kit::{Bench, Machine, port};
use crate::lab::push::root;
use crate::lab::store::Store;

use super::native::HEAL;
use super::stack::Stack;

pub fn mixed(machine: &Machine) -> Stack {
    image(machine);
    let bench = Bench::new("mixed", std::slice::from_ref(machine));
    let (id, base, host) = (bench.id.clone(), bench.base(), machine.name.clone());
    let (boxed, py, web) = (port(), port(), port());
    for folder in ["app", "wheels", "box"] {
        fs::create_dir_all(bench.at(folder)).expect("a folder");
    }
    wheel::write(&bench.at("wheels"), "greet", "1.0");
    fs::write(bench.at("app/serve.py"), SERVE).expect("the service");
    fs::write(bench.at("app/requirements.txt"), "greet==1.0\n").expect("the lock");
    fs::write(
        bench.at("box/compose.yml"),
        format!(
            "services:\n  main:\n    image: trial/http:1\n    command: [sh, -c, \"touch /data/well; [ ! -e /data/hog ] || exec tail /dev/zero; exec httpd -f -p 80 -h /data\"]\n    \
             ports: [\"{boxed}:80\"]\n    volumes: [\"data:/data\"]\n    restart: unless-stopped\n    stop_signal: SIGKILL\n    \
             healthcheck: {{ test: [CMD, cat, /data/well], interval: 1s, retries: 2, start_period: 1s }}\nvolumes: {{ data: {{}} }}\n"
        ),
    )
    .expect("a compose file");
    let check = "[{ http: /health, start_period: 10s, interval: 200ms, retries: 3 }]";
    let secure = check.replace("/health,", "/health, tls: { name: web.trial, ca: ca.pem },");
    let [ca, new, old, ending] = certificates();
    fs::write(bench.at("ca.pem"), &ca).expect("an authority");
    let (store, fetched, sent) = (Store::new(machine, &bench, false), port(), port());
    store.push("page:1", "fetched", 1000);
    let layers = [root(machine), layer(&[("www/index.html", b"sent".as_slice())])];
    save(&bench.at("sent.tar"), "trial/sent:1", "amd64", &layers);
    let page = |name: &str, port: u16, image: &str| {
        format!(
            "  {id}-{name}:\n    type: docker\n    host: {host}\n    {image}\n    command: [sh, -c, \"exec httpd -f -p 80 -h /www\"]\n    \
             port: {port}\n    ports: [\"{port}:80\"]\n    stop: {{ signal: SIGKILL }}\n    \
             checks: [{{ http: /, start_period: 10s }}, {{ unit: true }}]\n{HEAL}"
        )
    };
    let pages = page("fetched", fetched, &format!("image: {}/page:1", store.name()))
        + &page("sent", sent, "image: trial/sent:1\n    push: { from: sent.tar }");
    bench.registry(&format!(
        "{pages}  {id}-box:\n    type: docker\n    host: {host}\n    compose: box/compose.yml\n    pull: never\n    port: {boxed}\n    \
         checks: [{{ http: /well, start_period: 10s }}, {{ unit: true }}]\n{HEAL}  \
         {id}-py:\n    type: python\n    host: {host}\n    source: app\n    wheels: wheels\n    run: [python, ./serve.py]\n    port: {py}\n    \
         needs: [{id}-box]\n    env: {{ PORT: \"${{PORT}}\", NEED: \"{boxed}\", SHARED: \"${{SHARED_DIR}}\" }}\n    \
         restart: {{ policy: always, delay: 200ms, max: 3, within: 60s }}\n    checks: {check}\n{HEAL}  \
         {id}-web:\n    type: native\n    host: {host}\n    source: app\n    run: [/usr/bin/python3, ./serve.py]\n    port: {web}\n    \
         needs: [{id}-py]\n    env: {{ PORT: \"${{PORT}}\", NEED: \"{py}\", SHARED: \"${{SHARED_DIR}}\", PLAIN: \"1\", CERT: \"${{SHARED_DIR}}/cert.pem\" }}\n    \
         reload: SIGHUP\n    hooks: {{ named: {{ renew-certificate: {{ run: [cp, \"${{SHARED_DIR}}/new.pem\", \"${{SHARED_DIR}}/cert.pem\"] }} }} }}\n    \
         restart: {{ policy: always, delay: 200ms, max: 3, within: 60s }}\n    checks: {secure}\n{HEAL}"
    ));
    let prelude = format!(
        "id={id} base={base} box={id}-box py={id}-py web={id}-web kept=/var/tmp/kept-{id}\n\
         shareds=\"/var/lib/docker/volumes/*{id}*data/_data $base/services/{id}-*/shared\" shared=$base/services/{id}-py/shared shared_web=$base/services/{id}-web/shared\n\
         unit_py=portoser-{id}-py.service unit_web=portoser-{id}-web.service port_box={boxed} port_py={py} port_web={web}\n\
         venv=$(echo $base/services/{id}-py/venvs/*) release=$base/services/{id}-py/current\n\
         container() {{ docker ps -aq --filter label=portoser.service={id}-${{1:-box}}; }}\n\
         port_fetched={fetched} port_sent={sent} store={}\n\
         listens() {{ n=0; until ss -Htln \"sport = :$1\" | grep -q . || [ $n -gt 100 ]; do sleep 0.1; n=$((n + 1)); done; }}\n",
        store.id
    );
    let (machine, last, store) = (machine.clone(), Default::default(), Some(store));
    let stack = Stack { bench, machine, prelude, restart: RESTART, clean: CLEAN, answers: ANSWERS, last, store };
    stack.inside(&format!(
        "mkdir -p $kept $shared_web; cat >$shared_web/new.pem <<'END'\n{new}END\ncat >$shared_web/old.pem <<'END'\n{old}END\n\
         cat >$shared_web/ending.pem <<'END'\n{ending}END\n\
         cat >$kept/ca.pem <<'END'\n{ca}END\ncp $shared_web/new.pem $shared_web/cert.pem"
    ));
    stack.bench.run(&["deploy", "--all"]).exits(0);
    stack
}

/// An authority; and of it, each with its key, a certificate that is good, one that has expired, and one that soon will.
fn certificates() -> [String; 4] {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "the authority of a trial");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
    let issued = |(year, month, day): (i32, u8, u8)| {
        let mut params = CertificateParams::new(vec!["web.trial".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        params.signed_by(&key, &ca).expect("signs").pem() + &key.serialize_pem()
    };
    let soon = jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(5));
    let part = |number: i8| number.unsigned_abs();
    let soon = (i32::from(soon.year()), part(soon.month()), part(soon.day()));
    [ca.pem(), issued((2090, 1, 1)), issued((2021, 1, 1)), issued(soon)]
}

const RESTART: &str = "systemctl start docker.socket docker; systemctl reset-failed $unit_py $unit_web; systemctl restart $unit_py $unit_web";

const ANSWERS: &str = "curl -sf -m 1 -o /dev/null --cacert $kept/ca.pem --resolve web.trial:$port_web:127.0.0.1 https://web.trial:$port_web/health && \
     curl -sf -m 1 -o /dev/null http://127.0.0.1:$port_py/health && curl -sf -m 1 -o /dev/null http://127.0.0.1:$port_box/well && \
     curl -sf -m 1 -o /dev/null http://127.0.0.1:$port_fetched/ && curl -sf -m 1 -o /dev/null http://127.0.0.1:$port_sent/";

const CLEAN: &str = "systemctl stop stranger-$id $unit_py $unit_web; docker rm -f $(container) $(container fetched) $(container sent); docker volume ls -q | grep $id | xargs -r docker volume rm; rm -rf $kept";

/// A service that is well while what it needs answers, and uses a package where it has one.
const SERVE: &str = r#"import os, signal, socket, sys, time
if "PLAIN" not in os.environ: import greet
shared = os.environ["SHARED"]
if os.path.exists(shared + "/do"): exec(open(shared + "/do").read())
signal.signal(signal.SIGHUP, lambda *_: None)
listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"]))); listener.listen(64)
def secure(c):
    if "CERT" not in os.environ: return c
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(os.environ["CERT"])
    return context.wrap_socket(c, server_side=True)
def well():
    try:
        with socket.create_connection(("127.0.0.1", int(os.environ["NEED"])), 1) as c: return True
    except OSError as error:
        print("cannot reach what is needed:", error, flush=True); return False
while True:
    c, _ = listener.accept()
    try:
        c.settimeout(2); c = secure(c); asked = c.recv(4096)
        status = b"200 OK" if not asked.startswith(b"GET /health") or well() else b"503 Bad"
        c.sendall(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    except OSError: pass
    finally: c.close()
"#;
