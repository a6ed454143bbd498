"""JSON5 comes out as it went in, and mistakes have a place."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.sync.errors import ConfigError
from profiles.sync.openclaw_json5 import MAX_DEPTH, parse, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a:1,// x\n b:2,}\n", {"a": 1, "b": 2}),
        ("{ 'a' : +.5, \"b\": 0x1F, c: [1,2,/*z*/],\r\n}\r\n", {"a": 0.5, "b": 31, "c": [1, 2]}),
        ("\ufeff{a:1}", {"a": 1}),
        ("{a:'x\\\ny\\\r\nz'}", {"a": "xyz"}),
        ("// head\n{}\n// tail", {}),
        ("{a:\u00a01\u2028}", {"a": 1}),
        ("{'a':-Infinity,b:5.,c:-0X1f,d:1e3}", {"a": -math.inf, "b": 5.0, "c": -31, "d": 1000.0}),
        (
            "{\\u0061b: 1, $x: 2, _y: 3, \u00e9: 4, if: 5, true: 6}",
            {"ab": 1, "$x": 2, "_y": 3, "\u00e9": 4, "if": 5, "true": 6},
        ),
        ("{a:1 /*c*/ , /*d*/ b:2}", {"a": 1, "b": 2}),
        ('["\\u2028 \u2028 \\x41 \\v \\0 \\q \\\'"]', ["\u2028 \u2028 A \v \0 q '"]),
        ("{a:'\\ud83d\\ude00'}", {"a": "\U0001f600"}),
        ("{a:1,a:2}", {"a": 2}),
        ("[true,false,null,[],{ /* k */ }]", [True, False, None, [], {}]),
        ("9" * 5000, math.inf),
        ("\t'x'\n", "x"),
    ],
)
def test_what_json5_allows_is_read_and_kept(text: str, value: object) -> None:
    document = parse(text)
    assert plain(document.root) == value
    assert document.render() == text


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("", 1, 1, "a value is expected, found the end"),
        ("// only\n", 2, 1, "a value is expected"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, "a comma or } is expected, found '\"'"),
        ("{\r\n a: 1,\r\n b: }", 3, 5, "a value is expected, found '}'"),
        ("[1,,2]", 1, 4, "a value is expected, found ','"),
        ("{a:1", 1, 5, "found the end of the file"),
        ("{a:01}", 1, 4, "a value is expected"),
        ("{1a:2}", 1, 2, "a key or } is expected"),
        ("{a 1}", 1, 4, "a colon is expected"),
        ("{a:1}}", 1, 6, "goes on after its value"),
        ("{a:'b\n'}", 1, 4, "not closed on its line"),
        ("{a:'\\x4'}", 1, 5, "an escape is wrong"),
        ("{a:'\\1'}", 1, 5, "an escape is wrong"),
        ("{\n/* never closed }", 2, 1, "a comment is not closed"),
        ("{a:tru}", 1, 4, "a value is expected"),
        ("<html>", 1, 1, "a value is expected"),
    ],
)
def test_a_mistake_has_line_and_column(text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert said in caught.value.message
    assert "nothing is written" in caught.value.hint


def test_nesting_has_a_limit() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(deepest).render() == deepest
    with pytest.raises(ConfigError, match="levels"):
        parse("[" * 100_000)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES, st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_everything_json_is_read_as_json_reads_it(value: object, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    document = parse(text)
    assert plain(document.root) == value
    assert document.render() == text


@given(st.text(alphabet="{}[]:,'\"\\/*ab1 .+-\n\r\u2028eEx0", max_size=40))
def test_any_text_is_kept_or_refused(text: str) -> None:
    try:
        document = parse(text)
    except ConfigError as error:
        place = (error.line, error.column)
        document = None
    else:
        place = (1, 1)
    assert document is None or document.render() == text
    assert min(place) >= 1
