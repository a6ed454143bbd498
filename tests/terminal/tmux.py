"""A real terminal for tests: a tmux server of its own, one window, keys in and screen out."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PATIENCE_SECONDS = 40.0


class Terminal:
    """One tmux window of `cols` by `rows` that runs a shell. Use as a context manager.

    `folder`: where its socket is; a short path, since a socket's has at most 107 bytes.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], cols: int = 100, rows: int = 30, name: str = "tmux"
    ) -> None:
        self._socket = folder / f"{name}.sock"
        self._environment = dict(environment)
        self._size = ("-x", str(cols), "-y", str(rows))

    def __enter__(self) -> Terminal:
        # -f /dev/null: nobody's own configuration. A plain prompt, so that the screen says the same everywhere.
        self._tmux("-f", "/dev/null", "new-session", "-d", *self._size, "env", "PS1=ready> ", "sh")
        self.wait_for("ready>")
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    # --- keys in

    def type(self, text: str) -> None:
        """Type as on a keyboard, without Enter."""
        self._tmux("send-keys", "-l", text)

    def enter(self, text: str) -> None:
        """Type a line and press Enter."""
        self.type(text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, C-c, F2, Space; a single letter is itself."""
        self._tmux("send-keys", *keys)

    def tab(self, times: int) -> None:
        """Press Tab, each time until the dialog in the middle looks otherwise: a key goes to what had the focus when
        it came, which is still the field before."""
        for _ in range(times):
            before = self._dialog()
            self.press("Tab")
            self._wait(self._dialog, lambda now, before=before: now != before, "the focus moves")

    def _dialog(self) -> str:
        """What stands between the dialog's borders, with its colours."""
        lines = self._tmux("capture-pane", "-p", "-e").splitlines()
        return "\n".join(line[line.index("│") : line.rindex("│")] for line in lines if "│" in line)

    def resize(self, cols: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(cols), "-y", str(rows))

    # --- screen out

    def screen(self) -> str:
        """Return what stands in the window now."""
        return self._tmux("capture-pane", "-p")

    def history(self) -> str:
        """Return the window's text with what has scrolled away; broken lines are whole."""
        return self._tmux("capture-pane", "-p", "-S", "-2000", "-J")

    def sees(self, *texts: str) -> str:
        """Wait until all texts stand in the window; return the window."""
        return self._wait(self.screen, lambda screen: all(text in screen for text in texts), repr(texts))

    def misses(self, *texts: str) -> str:
        """Wait until none of the texts stands in the window; return the window."""
        return self._wait(self.screen, lambda screen: not any(text in screen for text in texts), f"no {texts!r}")

    def wait_for(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a line of the history begins with the text; return the history."""
        return self._wait(
            self.history, lambda past: any(line.startswith(text) for line in past.splitlines()), repr(text), seconds
        )

    def wait_for_prompt(self) -> str:
        """Wait until the last line is a shell's prompt, whoever's; return the history."""
        return self._wait(self.history, lambda past: past.rstrip().endswith(("$", "#")), "a prompt")

    def _wait(
        self, look: Callable[[], str], holds: Callable[[str], bool], what: str, seconds: float = PATIENCE_SECONDS
    ) -> str:
        deadline = time.monotonic() + seconds
        while not holds(seen := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{seen}")
            time.sleep(0.05)
        return seen

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout
