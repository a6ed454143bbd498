"""The help page and the documentation of keys, from the registry."""

from __future__ import annotations

from textwrap import wrap

from rich.cells import cell_len
from rich.text import Text

from clawtui.tui.actions import ACTIONS, Action, Grade, Where, applies
from clawtui.tui.filters import HELP
from clawtui.tui.keymap import Keymap, shown
from clawtui.tui.theme import STYLES

GRADES = {Grade.LOOKS: "", Grade.ACTS: "acts", Grade.STOPS: "asks first", Grade.LOSES: "asks for the name"}
TABLE_KEYS = (
    ("↑ ↓ j k", "Move"), ("PgUp PgDn Home End g G", "Move far"), ("Enter", "Open"), ("space", "Mark"),
    ("v", "Mark from the last mark to here"), ("^a", "Mark all that is shown"), ("esc", "Clear marks"),
    ("click on a title", "Sort by it"), ("right click", "Actions"),
)  # fmt: skip
"""Keys of tables; their ids for rebinding are table.up, table.mark … as in `docs/screen.md`."""

KEYS_CELLS, WORD_CELLS = 11, 18
LEAST_CELLS = 28
"""An explanation in a narrower column would be one word a line."""
BELOW_CELLS = 6


def _line(action: Action, keymap: Keymap) -> tuple[str, str, str]:
    keys = " ".join(shown(key) for key in keymap.keys[action.id])
    word = f":{action.words[0]}{f' {action.argument}' if action.argument else ''}" if action.words else ""
    return keys, word, action.help


def help_text(keymap: Keymap, place: Where, width: int) -> Text:
    """What applies here first, then the rest, in lines of `width` cells; explanations keep to their column."""
    text = Text()
    here = [action for action in ACTIONS if Where.ANY not in action.where and applies(action, place)]
    general = [action for action in ACTIONS if Where.ANY in action.where]
    rest = [action for action in ACTIONS if action not in here and action not in general]
    for title, actions in ((f"Here: {place.value}", here), ("Everywhere", general), ("Elsewhere", rest)):
        text.append(f"{title}\n", "bold")
        for action in actions:
            keys, word, about = _line(action, keymap)
            asks = f" ({GRADES[action.grade]})" if action.grade >= Grade.STOPS else ""
            _entry(text, keys, word, f"{about}{asks}", width)
        text.append("\n")
    text.append("Tables\n", "bold")
    for keys, about in TABLE_KEYS:
        _entry(text, keys, "", about, width, KEYS_CELLS + 12)
    text.append("\nFilters\n", "bold")
    text.append("\n".join(wrap(HELP, width, initial_indent="  ", subsequent_indent="  ")) + "\n")
    return text


def _entry(text: Text, keys: str, word: str, about: str, width: int, keys_cells: int = KEYS_CELLS) -> None:
    """Keys, word and explanation in columns; the explanation goes below where its column would be too narrow."""
    head = f"  {keys:<{keys_cells}} "
    tail = f"{word:<{WORD_CELLS}} " if word or keys_cells == KEYS_CELLS else ""
    indent = cell_len(head) + cell_len(tail)
    below = width - indent < LEAST_CELLS or len(word) > WORD_CELLS
    if below:
        indent = BELOW_CELLS
    lines = wrap(about, max(width - indent, LEAST_CELLS), break_on_hyphens=False)
    text.append(head, STYLES["accent"])
    text.append(tail if not below else f"{word}\n{' ' * indent}")
    text.append(f"\n{' ' * indent}".join(lines) + "\n")


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
