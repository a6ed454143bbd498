"""Puts the registry's table into docs/screen.md: `python -m tests.tui.write_docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clawtui.tui.helping import action_table

PAGE: Final = Path(__file__).parents[2] / "docs" / "screen.md"
BEGIN, END = "<!-- actions -->", "<!-- end of actions -->"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{action_table()}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
