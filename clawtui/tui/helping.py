"""The help page and the documentation of keys, from the registry."""

from __future__ import annotations

from rich.text import Text

from clawtui.tui.actions import ACTIONS, Action, Grade, Where, applies
from clawtui.tui.filters import HELP
from clawtui.tui.keymap import Keymap, shown

GRADES = {Grade.LOOKS: "", Grade.ACTS: "acts", Grade.STOPS: "asks first", Grade.LOSES: "asks for the name"}
TABLE_KEYS = (
    ("↑ ↓ j k", "Move"), ("PgUp PgDn Home End g G", "Move far"), ("Enter", "Open"), ("space", "Mark"),
    ("v", "Mark from the last mark to here"), ("^a", "Mark all that is shown"), ("esc", "Clear marks"),
    ("click on a title", "Sort by it"), ("right click", "Actions"),
)  # fmt: skip
"""Keys of tables; their ids for rebinding are table.up, table.mark … as in `docs/screen.md`."""


def _line(action: Action, keymap: Keymap) -> tuple[str, str, str]:
    keys = " ".join(shown(key) for key in keymap.keys[action.id])
    word = f":{action.words[0]}{f' {action.argument}' if action.argument else ''}" if action.words else ""
    return keys, word, action.help


def help_text(keymap: Keymap, place: Where) -> Text:
    """What applies here first, then the rest."""
    text = Text()
    here = [action for action in ACTIONS if Where.ANY not in action.where and applies(action, place)]
    general = [action for action in ACTIONS if Where.ANY in action.where]
    rest = [action for action in ACTIONS if action not in here and action not in general]
    for title, actions in ((f"Here: {place.value}", here), ("Everywhere", general), ("Elsewhere", rest)):
        text.append(f"{title}\n", "bold")
        for action in actions:
            keys, word, about = _line(action, keymap)
            asks = f" ({GRADES[action.grade]})" if action.grade >= Grade.STOPS else ""
            text.append(f"  {keys:<12}", "cyan")
            text.append(f" {word:<20} {about}{asks}\n")
        text.append("\n")
    text.append("Tables\n", "bold")
    for keys, about in TABLE_KEYS:
        text.append(f"  {keys:<24}", "cyan")
        text.append(f" {about}\n")
    text.append("\nFilters\n", "bold")
    text.append(f"  {HELP}\n")
    return text


def action_table() -> str:
    """The table of `docs/screen.md`."""
    keymap = Keymap()
    lines = ["| Id | Key | `:` | Where | What it does |", "| --- | --- | --- | --- | --- |"]
    for action in ACTIONS:
        keys, word, about = _line(action, keymap)
        where = ", ".join(place.value for place in action.where)
        grade = f" *({GRADES[action.grade]})*" if action.grade >= Grade.STOPS else ""
        keyed = " ".join(f"`{key}`" for key in keys.split())
        lines.append(f"| `{action.id}` | {keyed} | {f'`{word}`' if word else ''} | {where} | {about}{grade} |")
    return "\n".join(lines)
