"""A real terminal for tests: a tmux server of its own, one window, keys in and screen out."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PATIENCE_SECONDS = 40.0


class Terminal:
    """One tmux window of `cols` by `rows` that runs a shell. Use as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str], cols: int = 100, rows: int = 30) -> None:
        self._socket = folder / "tmux.sock"
        self._environment = dict(environment)
        self._size = ("-x", str(cols), "-y", str(rows))

    def __enter__(self) -> Terminal:
        # -f /dev/null: nobody's own configuration. A plain prompt, so that the screen says the same everywhere.
        self._tmux("-f", "/dev/null", "new-session", "-d", *self._size, "env", "PS1=ready> ", "sh")
        self.wait_for("ready>")
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def type(self, text: str) -> None:
        """Type a line and press Enter."""
        self._tmux("send-keys", "-l", text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, C-c, C-d."""
        self._tmux("send-keys", *keys)

    def resize(self, cols: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def screen(self) -> str:
        """Return the window's text with what has scrolled away."""
        return self._tmux("capture-pane", "-p", "-S", "-2000", "-J")

    def wait_for(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a line of the screen begins with the text; return the screen."""
        return self._wait(lambda lines: any(line.startswith(text) for line in lines), repr(text), seconds)

    def wait_for_prompt(self) -> str:
        """Wait until the last line is a shell's prompt, whoever's; return the screen."""
        return self._wait(lambda lines: bool(lines) and lines[-1].endswith(("$", "#")), "a prompt", PATIENCE_SECONDS)

    def _wait(self, condition: Callable[[list[str]], bool], what: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if condition(screen.rstrip().splitlines()):
                return screen
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{screen}")
            time.sleep(0.05)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout
