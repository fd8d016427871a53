# SPDX-License-Identifier: GPL-2.0-only
"""A browser without a screen, driven through a pipe by Chromium's own protocol.

    with Browser() as browser:
        page = browser.page()
        page.open(path)
        page.run("document.title")
"""
from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

PROGRAM = "chromium-headless-shell"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars",
           "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage"]


class Browser:
    """A running Chromium; a context manager."""

    def __init__(self) -> None:
        self.profile = tempfile.TemporaryDirectory(prefix="vtx-browser-",
                                                   ignore_cleanup_errors=True)
        to_read, self.write_to = os.pipe()
        self.read_from, to_write = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        command = " ".join([f"exec {PROGRAM}", *OPTIONS, f"--user-data-dir={self.profile.name}",
                            f"about:blank 3<&{to_read} 4>&{to_write}"])
        self.process = subprocess.Popen(["bash", "-c", command], pass_fds=(to_read, to_write),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.number = 0
        self.rest = b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        os.close(self.write_to)
        os.close(self.read_from)
        self.profile.cleanup()

    def page(self, width: int = 1280, height: int = 900) -> "Page":
        """A new page of some size."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Page(self, target, session["sessionId"], width, height)

    def call(self, method: str, parameters: dict[str, Any] | None = None,
             session: str = "", limit: float = 300.0) -> dict[str, Any]:
        """Sends a command and waits for its answer; events that come meanwhile are kept."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method,
                                   "params": parameters or {}}
        if session:
            message["sessionId"] = session
        os.write(self.write_to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + limit
        while True:
            answer = self.receive(end)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.events.append(answer)

    def receive(self, end: float) -> dict[str, Any]:
        """The next message, before `end` by the monotonic clock."""
        while b"\0" not in self.rest:
            assert time.monotonic() < end, "the browser does not answer"
            if select.select([self.read_from], [], [], 0.5)[0]:
                data = os.read(self.read_from, 1 << 20)
                assert data, "the browser has ended"
                self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)


class Page:
    """One page. `errors` and `requests` collect what its console and network had to say."""

    def __init__(self, browser: Browser, target: str, session: str, width: int,
                 height: int) -> None:
        self.browser = browser
        self.target = target
        self.session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride",
                  {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def close(self) -> None:
        """Frees what the page holds; the browser goes on."""
        self.browser.call("Target.closeTarget", {"targetId": self.target})

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """A command for this page."""
        return self.browser.call(method, parameters, self.session)

    def theme(self, name: str) -> None:
        """"light" or "dark", as if the reader had chosen it in the system."""
        self.call("Emulation.setEmulatedMedia",
                  {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def open(self, path: Path) -> None:
        """Loads a file and waits until it is there."""
        self.forget_load()
        self.call("Page.navigate", {"url": path.as_uri()})
        self.wait_for_load()

    def forget_load(self) -> None:
        """Forgets earlier loads, before something that causes a new one."""
        self.browser.events = [e for e in self.browser.events
                               if e.get("method") != "Page.loadEventFired"]

    def wait_for_load(self, limit: float = 60.0) -> None:
        """Waits for the load that was caused."""
        end = time.monotonic() + limit
        while not any(e.get("method") == "Page.loadEventFired" for e in self.browser.events):
            self.browser.events.append(self.browser.receive(end))

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; waits for a promise."""
        answer = self.call("Runtime.evaluate", {"expression": script, "awaitPromise": True,
                                                "returnByValue": True})
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_until(self, script: str, limit: float = 30.0) -> Any:
        """Waits until an expression is true."""
        end = time.monotonic() + limit
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)
        return value

    def type(self, text: str) -> None:
        """Types text into whatever has the focus."""
        self.call("Input.insertText", {"text": text})

    def press(self, key: str, code: int) -> None:
        """Presses and releases a key that is not a letter."""
        for kind in ("keyDown", "keyUp"):
            event: dict[str, Any] = {"type": kind, "key": key, "code": key,
                                     "windowsVirtualKeyCode": code}
            if key == "Enter" and kind == "keyDown":
                event["text"] = "\r"
            self.call("Input.dispatchKeyEvent", event)

    def complaints(self) -> list[str]:
        """Errors in the console, and exceptions that nobody caught."""
        found = []
        for event in self.browser.events:
            parameters = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"].get("text")))
            elif event.get("method") == "Log.entryAdded" and \
                    parameters["entry"]["level"] == "error":
                found.append(parameters["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled" and \
                    parameters["type"] == "error":
                found.append(str(parameters["args"]))
        return found

    def requests(self) -> list[str]:
        """The addresses of all that was asked for."""
        return [e["params"]["request"]["url"] for e in self.browser.events
                if e.get("method") == "Network.requestWillBeSent"]
