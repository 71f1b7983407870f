# The work of `peers.rs` for pyinfra: the same files, unit and check as in playbook.yml.
from io import StringIO

from pyinfra import host
from pyinfra.operations import files, server, systemd

service, at, source = host.data.service, host.data.at, host.data.source
folder = f"/opt/{service}"
files.directory(path=folder, mode="755", _sudo=True)
environment = StringIO(f"PORT={at}\nGREETING=hello\n")
written = [
    files.put(src=f"{source}/app/hello.py", dest=f"{folder}/hello.py", mode="644", _sudo=True),
    files.put(src=environment, dest=f"{folder}/environment", mode="600", _sudo=True),
    files.template(
        src="hello.service.j2", dest=f"/etc/systemd/system/{service}.service", mode="644", service=service, _sudo=True
    ),
]
systemd.service(service=service, running=True, enabled=True, daemon_reload=True, _sudo=True)
systemd.service(service=service, restarted=True, _sudo=True, _if=lambda: any(one.did_change() for one in written))
asks = f"for i in $(seq 50); do curl -sf http://127.0.0.1:{at}/ >/dev/null && exit 0; sleep 0.2; done; exit 1"
server.shell(commands=[asks])
