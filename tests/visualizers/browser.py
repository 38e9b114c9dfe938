"""A browser that is driven: Chromium by its DevTools protocol, through two pipes, without any network."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress

CHROMIUM = shutil.which("chromium")
# Names lead nowhere: nothing could be fetched even if a page asked for it.
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync "
    "--disable-extensions --hide-scrollbars --remote-debugging-pipe"
).split() + ["--host-resolver-rules=MAP * ~NOTFOUND"]
SECONDS = 30.0


class Browser:
    """Chromium without a window. Messages are JSON, each with a zero byte behind it."""

    def __init__(self, profile):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # It reads from 3 and writes to 4: a shell puts our pipes there.
        shell = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read), os.close(to_write)
        self._rest, self._number, self.events = b"", 0, []

    def close(self):
        """End it."""
        self.call("Browser.close")
        self._process.wait(SECONDS)
        os.close(self._to), os.close(self._from)

    def call(self, method, session=None, **parameters):
        """Call a method, and wait for what it returns; events that come before are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        data = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while (answer := self._message()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _message(self):
        end = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("The browser does not answer.")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("The browser has ended.")
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    @contextmanager
    def page(self, folder, width=1280, dark=False, height=900):
        """A page that is open and drawn.

        Parameters
        ----------
        folder : pathlib.Path
            What a visualizer wrote.
        width, height : int
            Of the window, pixels.
        dark : bool
            Whether it asks for dark pages.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = OpenPage(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=f"file://{folder / 'index.html'}")
        page.wait("document.readyState === 'complete' && document.querySelector('h1') !== null")
        # Until each chart is drawn: one that cannot be is for the test to find.
        drawn = "Array.from(document.querySelectorAll('.chart')).every((chart) => chart.querySelector('.marks'))"
        with suppress(TimeoutError):
            page.wait(drawn)
        yield page
        self.call("Target.closeTarget", targetId=target)


class OpenPage:
    """A page in the browser."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session

    def call(self, method, **parameters):
        """Call a method of the protocol on this page."""
        return self._browser.call(method, self._session, **parameters)

    def run(self, script):
        """The value of an expression in the page, also of one that is promised."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(json.dumps(done["exceptionDetails"])[:2000])
        return done["result"].get("value")

    def wait(self, condition):
        """Until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"This has not come true: {condition}")
            time.sleep(0.02)

    def press(self, key):
        """Press a key, such as Tab, Enter or ArrowRight."""
        codes = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40}
        known = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"Enter": "\r"}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **known, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def messages(self):
        """Errors and warnings that the page has written or thrown since it was opened, and what it failed to load."""
        found = []
        for event in self._own():
            method, what = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(what["exceptionDetails"])[:500])
            elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(what["args"])[:500])
            elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
                found.append(what["entry"]["text"])
            elif method == "Network.loadingFailed":
                found.append(what["errorText"])
        return found

    def addresses(self):
        """All that the page has asked for."""
        return [
            event["params"]["request"]["url"] for event in self._own() if event["method"] == "Network.requestWillBeSent"
        ]

    def _own(self):
        self.run("0")
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    def picture(self, path, whole=True):
        """Write a picture of the page, to be looked at."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
