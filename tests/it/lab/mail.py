"""A real mail server: one port with STARTTLS and a password, one with TLS from the first byte, one with neither. What comes is
written to a file, one JSON line for each letter or login."""
import json, signal, ssl, sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

folder, *ports = sys.argv[1:]
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")


def note(**what):
    with open(folder + "/mail.log", "a") as log:
        print(json.dumps(what), file=log)


class Handler:
    def __init__(self, name):
        self.name = name

    async def handle_DATA(self, server, session, envelope):
        text = envelope.content.decode()
        note(at=self.name, sender=envelope.mail_from, to=envelope.rcpt_tos, text=text, tls=session.ssl is not None)
        return "250 OK"


def known(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"bot", b"s3cr3t-of-mail")
    note(login=data.login.decode(), good=good)
    return AuthResult(success=good)


asked = dict(authenticator=known, auth_required=True)
for name, port, more in zip(["starttls", "tls", "open"], ports, [
    dict(tls_context=tls, require_starttls=True, **asked),
    dict(ssl_context=tls, auth_require_tls=False, **asked),
    {},
]):
    Controller(Handler(name), hostname="127.0.0.1", port=int(port), **more).start()
print("up", flush=True)
signal.pause()
