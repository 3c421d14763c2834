"""A page that is open in a browser, and what must hold for each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

DESKTOP, PHONE = 1280, 390
UNITS = {"M": 1e6, "MB": 1e6, "G": 1e9}
NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass
class Page:
    """An open page."""

    driver: Any

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def wait(self, script: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 20).until(lambda _: self.run(script))

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def width(self, pixels: int) -> None:
        size = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels <= PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    @property
    def data(self) -> Any:
        return json.loads(self.run("document.getElementById('data').textContent"))

    def column(self, table: str, number: int) -> list[str]:
        cells = (
            "[...document.querySelectorAll(arguments[0])].map(r => r.cells[arguments[1]].innerText)"
        )
        return self.run(cells, f"#{table} tbody tr", number)

    def assert_quiet(self) -> None:
        """No error in the console, and nothing asked of any network."""
        errors = [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
        assert not errors
        events = (json.loads(e["message"])["message"] for e in self.driver.get_log("performance"))
        urls = {
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }
        assert urls == {self.driver.current_url} | {u for u in urls if u.startswith("data:")}

    def assert_fits(self) -> None:
        """Nothing but boxes of their own scrolls sideways."""
        assert self.run("document.documentElement.scrollWidth") <= self.run("innerWidth")

    def assert_as_json(self) -> int:
        """Each number shown is that of the JSON, to the digits shown; how many there are."""
        cells = (
            "[...document.querySelectorAll('[data-json]')]"
            ".map(e => [e.dataset.json, e.textContent])"
        )
        shown, data = self.run(cells), self.data
        for pointer, text in shown:
            value = _at(data, pointer)
            if text == "–":
                assert value is None, pointer
                continue
            (number,) = NUMBER.findall(text)
            plain = number.replace(",", "").replace("−", "-")
            unit = UNITS.get(text.partition(" ")[2], 1)
            digits = len(plain.partition("e")[0].partition(".")[2])
            assert float(plain) * unit == pytest.approx(value, abs=0.501 * unit * 10**-digits), (
                pointer
            )
        return len(shown)


def _at(data: Any, pointer: str) -> Any:
    for key in pointer.split("/")[1:]:
        key = key.replace("~1", "/").replace("~0", "~")
        data = data[int(key)] if isinstance(data, list) else (data or {}).get(key)
    return data
