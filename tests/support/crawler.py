"""Presses every control that a page shows, and notes what broke. Controls come from the page itself, not from a list.

A control is known by its signature: what kind it is, the key of its widget and its words with digits and banners left out.
So the thousandth row of a queue is the same control as its first, while two buttons of one page never are.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIND, SETTLED = ((HERE / f"crawler_{name}.js").read_text(encoding="utf-8") for name in ("find", "settled"))
PAGES = ("", "triage", "label", "banner", "embedding", "detectors", "calibrate", "data")
LIMIT_MS = 20_000
MOST_PRESSES = 90
"""Of one page in one state: far more than any page has controls."""
SHOWN = "[data-testid=stException], :text('This app has encountered'), :text('Something unexpected')"
SERVER = re.compile(r"Traceback|Uncaught|Exception|\bERROR\b|^\S+ error ", re.MULTILINE)
NOT_OURS = ("GPU stall", "WebGL", "GL Driver", "swiftshader", "Failed to load resource")
"""Words of Chromium about its own drawing; and of a resource it names no address, which `_answered` does."""
PROBED = ("/_stcore/health", "/_stcore/host-config")
"""Streamlit looks for its server at every level of the address, and finds it at the first."""
TYPED = {"number": "7", "text": "nonsense <b>"}


@dataclass(frozen=True)
class Pressed:
    """One control that was pressed, on which page in which state, and what broke by it."""

    page: str
    state: str
    signature: str
    broke: tuple[str, ...]

    def __str__(self) -> str:
        return f"/{self.page}{self.state}  {self.signature}" + "".join(f"\n      {line}" for line in self.broke)


@dataclass
class Crawler:
    """One browser window on one dashboard, whose output is in the file `log`."""

    window: Any
    url: str
    log: Path
    until: float
    pressed: list[Pressed] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    read: int = 0
    found: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By page and address the signatures of all controls that were seen there; of an address not come to, none."""
    everywhere: set[str] = field(default_factory=set)
    """Links of the sidebar, which are the same on every page: each is pressed once, from one page or another."""

    def __post_init__(self) -> None:
        self.window.set_default_timeout(LIMIT_MS)
        self.window.on("console", lambda message: self._hear(message.type == "error", f"console: {message.text}"))
        self.window.on("pageerror", lambda error: self._hear(True, f"browser: {error}"))
        self.window.on("response", self._answered)
        self.window.on("dialog", lambda dialog: dialog.dismiss())

    def _hear(self, is_error: bool, words: str) -> None:
        if is_error and not any(part in words for part in NOT_OURS):
            self.heard.append(words[:300])

    def _answered(self, response: Any) -> None:
        self._hear(response.status >= 400 and not response.url.endswith(PROBED), f"{response.status} for {response.url}")

    def visit(self, page: str, state: str = "") -> None:
        """Opens a page by its link, without pressing anything."""
        self._open(page, state)
        self.note(page, state, "opened by its link")

    def crawl(self, page: str, state: str = "") -> None:
        """Presses everything on a page that was opened by its link, also what shows up only then; stops at `until`.

        One control of each kind comes first, so that little time still reaches every kind.
        """
        self.found.setdefault((page, state), set())
        if time.monotonic() > self.until:
            return
        self.visit(page, state)
        done, kinds, before, is_fresh = set[str](), set[str](), set[str](), True
        for _ in range(MOST_PRESSES):
            if time.monotonic() > self.until:
                return
            found = {control["signature"]: control for control in self._controls()}
            self.found[page, state] |= set(found)
            left = [control for signature, control in found.items() if signature not in done | self.everywhere]
            if not left and is_fresh:
                return
            if left:
                chosen = min(left, key=lambda control: (control["kind"] in kinds, control["signature"] in before, control["rank"]))
                kinds.add(chosen["kind"])
                before, is_fresh = set(found), False
                (self.everywhere if chosen["everywhere"] else done).add(chosen["signature"])
                self._press(chosen)
                self.note(page, state, chosen["signature"])
            if not left or self.pressed[-1].broke or self._is_elsewhere(page):
                self._open(page, state)
                before, is_fresh = set(), True

    def has_pressed(self, page: str, start: str) -> bool:
        """Whether a control of the page was pressed whose signature begins so."""
        return any(one.page == page and " ".join(one.signature.split()).startswith(start) for one in self.pressed)

    def account(self) -> str:
        """How many controls were reached, and what was left for lack of time."""
        pressed = {(one.page, one.state, one.signature) for one in self.pressed}
        every = {(*where, signature) for where, found in self.found.items() for signature in found - self.everywhere}
        left = len(every - pressed)
        unopened = sum(not found for found in self.found.values())
        words = f"{len(every) - left + len(self.everywhere)} controls pressed, {left} of those seen left for lack of time"
        return f"{words}, {unopened} of {len(self.found)} addresses not come to"

    def broken(self) -> list[Pressed]:
        """What broke something."""
        return [one for one in self.pressed if one.broke]

    def _open(self, page: str, state: str) -> None:
        self.window.goto(f"{self.url}/{page}{state}")
        self.window.locator("h3").first.wait_for()
        self._settle()

    def _is_elsewhere(self, page: str) -> bool:
        return str(self.window.url).removeprefix(self.url).strip("/").split("?")[0] != page

    def _settle(self) -> None:
        self.window.wait_for_timeout(60)
        self.window.wait_for_function(SETTLED, timeout=LIMIT_MS)

    def _controls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.window.evaluate(FIND)
        return found

    def _press(self, control: dict[str, Any]) -> None:
        place = self.window.locator(f"[data-crawl='{control['mark']}']").first
        match control["kind"]:
            case "key":
                self.window.evaluate("() => document.activeElement?.blur()")
                self.window.keyboard.press(control["word"])
            case "number" | "text":
                place.fill(TYPED[control["kind"]])
                place.press("Enter")
            case "slider":
                place.press("ArrowRight")
            case "select":
                self._choose(place)
            case _:
                self._click(place)
        self._settle()

    def _click(self, place: Any) -> None:
        from playwright.sync_api import Error

        try:
            place.click(timeout=2000)
        except Error:  # something lies over it, or it was redrawn just now
            with suppress(Error):  # or is gone by now
                place.evaluate("element => element.click()", timeout=1000)

    def _choose(self, place: Any) -> None:
        """Takes the last choice, by its key."""
        self._click(place)
        for key in ("ArrowUp", "Enter", "Escape"):
            self.window.keyboard.press(key)

    def note(self, page: str, state: str, signature: str) -> None:
        """Takes down what was done, and what broke since the last time."""
        broke = [f"shown: {words[:200]}" for words in self.window.locator(SHOWN).all_inner_texts()]
        broke += [*self.heard, *self._logged()]
        self.heard = []
        self.pressed.append(Pressed(page, state, signature, tuple(broke)))

    def _logged(self) -> Iterator[str]:
        """What the server wrote since last time, where it tells of a bug."""
        words = self.log.read_text(errors="replace")
        new, self.read = words[self.read :], len(words)
        if SERVER.search(new):
            yield f"server: {new.strip()[-1500:]}"
