"""Looks at every page, in a browser by the WebDriver protocol. Makes the links by itself, from the key of the site."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import sqlite3
import sys
import time
import urllib.error
import urllib.request

SITE, ADDRESS, DRIVER, AXE = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
PICTURES = os.environ.get("PICTURES")
WIDTHS = {"phone": (390, 1200), "desk": (1280, 1200)}
FORM, ANSWER, CONFIRM, NOT_SOLVED = 1, 2, 3, 4


def number(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def link(purpose, subject, expires=None):
    """The signed link of a purpose and (0, mail) or (1, incident, party)."""
    kind, *numbers = subject
    expires = int(time.time()) + 3600 if expires is None else expires
    content = bytes([purpose, kind]) + b"".join(map(number, [*numbers, expires, 1]))
    key = bytes.fromhex((SITE / "pages.key").read_text().strip())
    tag = hmac.new(key, b"casebridge pass 1" + content, hashlib.sha256).digest()[:16]
    return f"{ADDRESS}/p/" + base64.b32encode(content + tag).decode().lower().rstrip("=")


def fill_store():
    """A mail that came in, and a case for each thing that can be done with one."""
    mail = "From: Anna <anna@north.example>\nMessage-ID: <1@x>\nSubject: No dial tone <b>\n\nSince ten o'clock.\n"
    (SITE / "mail" / "1").write_text(mail)
    store = sqlite3.connect(SITE / "incidents.db", timeout=20)
    hostile = "Chassis alarm <script>alert(1)</script> " + "w" * 120
    for case in range(1, 7):
        store.execute(
            "INSERT INTO incident (id, host_event_id, synopsis) VALUES (?, ?, ?)", (case, f"e{case}", hostile)
        )
        store.execute(
            "INSERT INTO party (id, incident, role, name, address, language, greeted) "
            "VALUES (?, ?, 'customer', 'Anna', 'anna@north.example', 'en', 1)",
            (case, case),
        )
    text = "Please send the output of:\n\n    show chassis alarms\n\nand tell us since when. " + "x" * 300
    store.execute("INSERT INTO comment (incident, author, text) VALUES (1, 'Night shift', ?)", (text,))
    store.execute("UPDATE incident SET state = 'input_requested' WHERE id IN (1, 4)")
    store.execute("UPDATE incident SET phase = 'review', solution = 'The fan tray was exchanged.' WHERE id IN (2, 3, 5, 6)")
    store.commit()
    for _ in range(300):
        if store.execute("SELECT count(*) FROM intake").fetchone()[0]:
            break
        time.sleep(0.1)
    else:
        sys.exit("the mail did not come in")
    store.close()


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(DRIVER + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as fault:
        sys.exit(f"{method} {path}: {fault.read().decode()[:1000]}")


class Browser:
    def __init__(self):
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}
        self.path = "/session/" + call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def post(self, path, **body):
        return call("POST", self.path + path, body)

    def run(self, script):
        return self.post("/execute/sync", script=script, args=[])

    def command(self, name, **parameters):
        return self.post("/goog/cdp/execute", cmd=name, params=parameters)

    def size(self, width, height, scheme):
        narrow = width < 600
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=narrow
        )
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.post("/url", url=url)

    def press(self):
        """The button of the page, with what the fields need where they are empty."""
        self.run(
            "for (const field of document.querySelectorAll('textarea, input[type=text]'))"
            " if (field.required && !field.value) field.value = 'It rings.';"
        )
        self.run("document.querySelector('button').click();")
        time.sleep(0.5)

    def press_empty(self):
        self.run("for (const field of document.querySelectorAll('textarea, input[type=text]')) field.value = '';")
        self.run("for (const field of document.querySelectorAll('input[type=radio]')) field.checked = false;")
        self.run("document.querySelector('button').click();")
        time.sleep(0.5)

    def picture(self, name):
        if PICTURES:
            shot = call("GET", self.path + "/screenshot")
            pathlib.Path(PICTURES).mkdir(parents=True, exist_ok=True)
            (pathlib.Path(PICTURES) / f"{name}.png").write_bytes(base64.b64decode(shot))

    def faults(self):
        """What axe finds, and what it does not look for."""
        self.run(AXE.read_text() + "\nwindow.axe = axe;")
        found = self.command("Runtime.evaluate", awaitPromise=True, returnByValue=True, expression=
            "axe.run(document).then(r => r.violations.map(v => v.id + ': ' + v.help + ' at ' + v.nodes.map(n => n.target).join(', ')))")
        faults = list(found["result"]["value"])
        if self.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth;"):
            faults.append("the page is wider than its window")
        loaded = self.run("return performance.getEntriesByType('resource').map(one => one.name);")
        faults += [f"{one} is loaded from elsewhere" for one in loaded if not one.startswith(ADDRESS)]
        if not self.run("return document.styleSheets.length > 0 && document.styleSheets[0].cssRules.length > 10;"):
            faults.append("the style is not there")
        if self.run("return document.querySelectorAll('script').length;"):
            faults.append("there is a script")
        return faults


def main():
    fill_store()
    browser = Browser()
    cases = {case: (1, case, case) for case in range(1, 7)}
    looks = {
        "form": (link(FORM, (0, 1)), None),
        "form-wrong": (link(FORM, (0, 1)), "press_empty"),
        "answer": (link(ANSWER, cases[1]), None),
        "answer-wrong": (link(ANSWER, cases[1]), "press_empty"),
        "confirm": (link(CONFIRM, cases[2]), None),
        "not-solved": (link(NOT_SOLVED, cases[3]), None),
        "unknown": (f"{ADDRESS}/p/nothing", None),
        "expired": (link(ANSWER, cases[1], 1), None),
        "closing-too-early": (link(CONFIRM, cases[1]), None),
        # These do what they are for at the first look, and tell it from then on.
        "answered": (link(ANSWER, cases[4]), "press"),
        "confirmed": (link(CONFIRM, cases[5]), "press"),
        "said-not-solved": (link(NOT_SOLVED, cases[6]), "press"),
        "sent": (link(FORM, (0, 1)), "press"),
    }
    wrong = 0
    for name, (url, act) in looks.items():
        for odd, language in enumerate(["en", "fr"]):
            for at, (width, (columns, lines)) in enumerate(WIDTHS.items()):
                # Each width and each language is seen in both.
                scheme = ["light", "dark"][(odd + at) % 2]
                browser.size(columns, lines, scheme)
                browser.open(f"{url}?lang={language}")
                if act and browser.run("return document.querySelector('button') !== null;"):
                    getattr(browser, act)()
                look = f"{name}-{language}-{width}-{scheme}"
                browser.picture(look)
                faults = browser.faults()
                if browser.run("return document.documentElement.lang;") != language:
                    faults.append("it is in another language")
                for fault in faults:
                    wrong += 1
                    print(f"{look}: {fault}", file=sys.stderr)
        print(f"ok  {name}" if not wrong else f"    {name}")
    call("DELETE", browser.path)
    sys.exit(1 if wrong else 0)


main()
