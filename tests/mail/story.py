"""One site, its mail server and two people. Arguments: the program, and a directory with cert.pem and key.pem."""

import email
import email.policy
import email.utils
import html.parser
import json
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PROGRAM, SITE = sys.argv[1], sys.argv[2]
ANNA, HELP, ZOE = "anna@customer.example", "help@integrator.example", "zoe@customer.example"
SYNOPSIS = "Lüfter <b>1</b> & \"2\" failed"
COMMENT = "Bitte <script>alert(1)</script>\n.\nFrom the second line"
RIGHT, WRONG = "correct horse battery", "wrong horse"
taken = []
# aiosmtpd tells of its own old names.
logging.getLogger("mail.log").setLevel(logging.ERROR)


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
        if tag == "a":
            self.text += f" {dict(attributes)['href']} "

    def handle_data(self, data):
        self.text += data


def look_at(mail, language, case="[CMpartner-1] ", about=SYNOPSIS, submitted="auto-generated"):
    """A mail as it has to be, whatever it tells."""
    assert not mail.defects, mail.defects
    assert mail["Auto-Submitted"] == submitted and mail["X-Auto-Response-Suppress"] == "All"
    assert mail["Precedence"] == "bulk" and mail["List-Id"] is None
    assert str(mail["From"]) == "Support <support@partner.example>"
    assert abs(mail["Date"].datetime.timestamp() - time.time()) < 600
    assert re.fullmatch(r"<[^<>@\s]+@partner\.example>", mail["Message-ID"]), mail["Message-ID"]
    assert mail["Subject"].startswith(case) and mail["Subject"].endswith(about), mail["Subject"]
    assert mail.get_content_type() == "multipart/alternative"
    plain, page = mail.iter_parts()
    assert (plain.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    hello = {"fr": "Bonjour", "en": "Hello"}[language]
    text, seen = plain.get_content(), Page()
    seen.feed(page.get_content())
    assert hello in text and hello in seen.text and seen.language == language, text
    assert case == "" or about in text and about in seen.text, seen.text
    assert not seen.tags & {"script", "b"}, seen.tags
    return text, seen.text


def in_one_thread(mails):
    ids = [mail["Message-ID"] for mail in mails]
    assert len(set(ids)) == len(ids), ids
    for before, mail in zip(mails, mails[1:]):
        assert mail["In-Reply-To"] == before["Message-ID"], mail["Subject"]
        assert mail["References"].split()[0] == ids[0] and mail["References"].split()[-1] == before["Message-ID"]


port, door = free_port(), free_port()
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(f"{SITE}/cert.pem", f"{SITE}/key.pem")
server = Controller(
    Keeper(), hostname="localhost", port=port, tls_context=context, require_starttls=True, auth_required=True,
    authenticator=check,
)
server.start()
secret("password", RIGHT)
secret("mail.password", WRONG)
CONFIG = f"""
[site]
alias = "partner"
data_dir = "{SITE}"
socket = "{SITE}/s"
reread_secrets = "1s"
[listen]
address = "127.0.0.1:{door}"
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
"""
# What takes days takes seconds.
PAGES = f"""
[mail.reminders]
input = ["1s", "1s", "1s"]
input_notice = "1s"
input_close = "2s"
closing = ["1s"]
closing_notice = "1s"
closing_close = "2s"
[pages]
address = "http://127.0.0.1:{door}"
[[mail_inbox]]
dir = "{SITE}/mail"
poll_interval = "100ms"
settle = "0s"
"""
log = open(f"{SITE}/log", "w")


def start(config):
    with open(f"{SITE}/config.toml", "w") as file:
        file.write(config)
    started = subprocess.Popen([PROGRAM, "run", "--config", f"{SITE}/config.toml"], stderr=log)
    eventually("the daemon", lambda: subprocess.run(
        [PROGRAM, "status", "--config", f"{SITE}/config.toml"], capture_output=True).returncode == 0)
    return started


def deliver(name, text):
    with open(f"{SITE}/mail/{name}.tmp", "w") as file:
        file.write(text)
    os.rename(f"{SITE}/mail/{name}.tmp", f"{SITE}/mail/{name}")


daemon = start(CONFIG)
try:
    run("open", "--synopsis", SYNOPSIS)
    run("party", "add", "1", ANNA, "--name", "Änna, \"Chief\" <x>", "--language", "fr")
    run("party", "add", "1", HELP, "--role", "integrator")
    status = lambda: [line for line in json.loads(run("status", "--json"))["warnings"] if "mail server" in line and "535" in line]
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
        assert mails[0]["In-Reply-To"] is None and mails[0]["References"] is None
        assert len(mails) == 4
        in_one_thread(mails)
    assert not [1 for _, content in taken if b"nobody may read" in content]
    print("ok  comments, the solution and the end are told in one thread, escaped, and nothing internal")

    daemon.terminate()
    daemon.wait()
    os.mkdir(f"{SITE}/mail")
    daemon = start(CONFIG + PAGES)
    deliver("1", f"From: {ZOE}\r\nMessage-ID: <first@customer.example>\r\nSubject: Hello\r\n\r\nNo dial tone.\r\n")
    form = gets(ZOE, 1)[0]
    text, page = look_at(form, "en", case="", about="problem", submitted="auto-replied")
    assert form["In-Reply-To"] == form["References"] == "<first@customer.example>", form["References"]
    link = re.search(r"http://127\.0\.0\.1:\d+/p/\S+", text).group()
    assert link in page, page
    about = "Ton <b>fehlt</b> & \"3\""
    fields = {"title": about, "description": "Since ten.", "device": "pbx-7", "priority": "2", "contact": "", "also": ""}
    with urllib.request.urlopen(link, urllib.parse.urlencode(fields).encode()) as answer:
        assert answer.status == 200 and "incident number 2" in answer.read().decode()
    gets(ZOE, 2)
    run("case", "request-input", "2", "--comment", "Which line?")
    told = ["Incident 2 received", "Case opened", "Your answer is needed", *[f"Reminder {n} of 3: your answer is needed" for n in (1, 2, 3)],
            "The case will be closed in 2 seconds", "Closed, since no answer came"]
    mails = gets(ZOE, len(told) + 1)[1:]
    for mail, subject in zip(mails, told):
        text, _ = look_at(mail, "en", "[CMpartner-2] " + subject, about)
        asks = "answer" in subject and "Closed" not in subject or "2 seconds" in subject
        assert (re.search(r"http://127\.0\.0\.1:\d+/p/\S+", text) is not None) == asks, text
    assert "Which line?" in look_at(mails[2], "en", "[CMpartner-2] ", about)[0]
    in_one_thread(mails)
    print("ok  a mail is answered with a form, in its thread; request, reminders, notice and end are told in one thread")

    about = "Disk is loud"
    run("open", "--synopsis", about)
    run("party", "add", "3", ZOE)
    gets(ZOE, len(told) + 2)
    run("resolve", "3", "--solution", "Screwed it down")
    told = ["Case opened", "Resolved: may the case be closed?", "Reminder: may the case be closed?",
            "The case will be closed in 2 seconds", "Completed"]
    mails = eventually("the end", lambda: [mail for mail in of(ZOE) if "CMpartner-3" in mail["Subject"]][:5][4:] and
                       [mail for mail in of(ZOE) if "CMpartner-3" in mail["Subject"]])
    assert len(mails) == len(told), [mail["Subject"] for mail in mails]
    for mail, subject in zip(mails, told):
        look_at(mail, "en", "[CMpartner-3] " + subject, about)
    in_one_thread(mails)
    print("ok  whether a case may be closed, the reminder, the notice and the end are told in one thread")
except BaseException:
    print(open(f"{SITE}/log").read(), file=sys.stderr)
    raise
finally:
    daemon.terminate()
    daemon.wait()
    server.stop()
