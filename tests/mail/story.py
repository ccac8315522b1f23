"""One site, its mail server and two people. Arguments: the program, and a directory with cert.pem and key.pem."""

import email
import email.policy
import email.utils
import html.parser
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PROGRAM, SITE = sys.argv[1], sys.argv[2]
ANNA, HELP = "anna@customer.example", "help@integrator.example"
SYNOPSIS = "Lüfter <b>1</b> & \"2\" failed"
COMMENT = "Bitte <script>alert(1)</script>\n.\nFrom the second line"
RIGHT, WRONG = "correct horse battery", "wrong horse"
taken = []


class Keeper:
    async def handle_DATA(self, server, session, envelope):
        assert session.ssl is not None, "nothing goes out unencrypted"
        taken.append((envelope.rcpt_tos, envelope.content))
        return "250 kept"


def check(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"casebridge", RIGHT.encode())
    return AuthResult(success=right, handled=False)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def secret(name, text):
    path = f"{SITE}/{name}"
    with open(path + ".new", "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text)
    os.rename(path + ".new", path)


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments, "--config", f"{SITE}/config.toml"], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def eventually(what, look):
    for _ in range(600):
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for: {what}")


def of(address):
    return [email.message_from_bytes(content, policy=email.policy.default) for to, content in taken if to == [address]]


def gets(address, count):
    return eventually(f"{count} mails for {address}", lambda: len(of(address)) >= count and of(address))


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text, self.language = set(), "", None

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "html":
            self.language = dict(attributes).get("lang")

    def handle_data(self, data):
        self.text += data


def look_at(mail, language):
    """A mail as it has to be, whatever it tells."""
    assert not mail.defects, mail.defects
    assert mail["Auto-Submitted"] == "auto-generated" and mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Precedence"] == "bulk" and mail["List-Id"] is None
    assert str(mail["From"]) == "Support <support@partner.example>"
    assert abs(mail["Date"].datetime.timestamp() - time.time()) < 600
    assert re.fullmatch(r"<[^<>@\s]+@partner\.example>", mail["Message-ID"]), mail["Message-ID"]
    assert mail["Subject"].startswith("[CMpartner-1] ") and mail["Subject"].endswith(SYNOPSIS), mail["Subject"]
    assert mail.get_content_type() == "multipart/alternative"
    plain, page = mail.iter_parts()
    assert (plain.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    hello = {"fr": "Bonjour", "en": "Hello"}[language]
    text, seen = plain.get_content(), Page()
    seen.feed(page.get_content())
    assert hello in text and hello in seen.text and seen.language == language, text
    assert SYNOPSIS in text and SYNOPSIS in seen.text, seen.text
    assert not seen.tags & {"script", "b"}, seen.tags
    return text, seen.text


port = free_port()
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(f"{SITE}/cert.pem", f"{SITE}/key.pem")
server = Controller(
    Keeper(), hostname="localhost", port=port, tls_context=context, require_starttls=True, auth_required=True,
    authenticator=check,
)
server.start()
secret("password", RIGHT)
secret("mail.password", WRONG)
with open(f"{SITE}/config.toml", "w") as file:
    file.write(f"""
[site]
alias = "partner"
data_dir = "{SITE}"
socket = "{SITE}/s"
reread_secrets = "1s"
[listen]
address = "127.0.0.1:{free_port()}"
[[client]]
alias = "north"
user = "north"
password_file = "password"
[mail]
host = "localhost"
port = {port}
ca_file = "cert.pem"
user = "casebridge"
password_file = "mail.password"
from = "Support <support@partner.example>"
[mail.retry]
first = "100ms"
max = "1s"
""")
log = open(f"{SITE}/log", "w")
daemon = subprocess.Popen([PROGRAM, "run", "--config", f"{SITE}/config.toml"], stderr=log)
try:
    eventually("the daemon", lambda: os.path.exists(f"{SITE}/s"))
    run("open", "--synopsis", SYNOPSIS)
    run("party", "add", "1", ANNA, "--name", "Änna, \"Chief\" <x>", "--language", "fr")
    run("party", "add", "1", HELP, "--role", "integrator")
    status = lambda: [line for line in json.loads(run("status", "--json"))["warnings"] if "mail server" in line]
    eventually("the wrong password in the status", status)
    assert not taken, "nothing goes out without the password"
    secret("mail.password", RIGHT)
    anna, help_ = gets(ANNA, 1)[0], gets(HELP, 1)[0]
    look_at(anna, "fr"), look_at(help_, "en")
    assert anna["To"].addresses[0].display_name == "Änna, \"Chief\" <x>" and anna["To"].addresses[0].addr_spec == ANNA
    assert len(anna["To"].addresses) == 1, anna["To"]
    print("ok  two people are told, over STARTTLS and with the password, each in their language")

    run("comment", "1", COMMENT)
    text, page = look_at(gets(ANNA, 2)[1], "fr")
    quoted = "".join(f"> {line}\n" for line in COMMENT.split("\n"))
    assert quoted in text.replace("\r\n", "\n") and "<script>alert(1)</script>" in page, text
    run("comment", "1", "nobody may read this", "--internal")
    run("resolve", "1", "--solution", "Fan & tray <replaced>")
    text, page = look_at(gets(HELP, 3)[2], "en")
    assert "Fan & tray <replaced>" in text and "Fan & tray <replaced>" in page
    run("close", "1")
    for address in (ANNA, HELP):
        mails = gets(address, 4)
        ids = [mail["Message-ID"] for mail in mails]
        assert len(set(ids)) == len(ids) == 4, ids
        assert mails[0]["In-Reply-To"] is None and mails[0]["References"] is None
        for before, mail in zip(mails, mails[1:]):
            assert mail["In-Reply-To"] == before["Message-ID"]
            assert mail["References"].split()[0] == ids[0] and mail["References"].split()[-1] == before["Message-ID"]
    assert not [1 for _, content in taken if b"nobody may read" in content]
    print("ok  comments, the solution and the end are told in one thread, escaped, and nothing internal")
except BaseException:
    print(open(f"{SITE}/log").read(), file=sys.stderr)
    raise
finally:
    daemon.terminate()
    daemon.wait()
    server.stop()
