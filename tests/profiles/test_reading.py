"""The text of a profile's file: JSON and YAML, with the place of a mistake."""

from __future__ import annotations

import pytest

from profiles.errors import ProfileError
from profiles.reading import read_text


def test_both_formats_say_the_same() -> None:
    json = '{"name": "x", "packages": ["git"], "sudo": true, "concurrency": 3}'
    yaml = "# what builds\nname: x\npackages:\n  - git\nsudo: true\nconcurrency: 3\n"
    assert read_text(json, "json") == read_text(yaml, "yaml") == read_text(json, "yaml")


@pytest.mark.parametrize(
    ("text", "format", "message"),
    [
        ("{", "json", "line 1, column 2"),
        ('{"a": 1,\n "a": 2}', "json", "stands twice"),
        ('{"a": NaN}', "json", "NaN"),
        (f'{{"a": {"9" * 5000}}}', "json", "is not JSON"),
        ("[" * 100_000, "json", "is not JSON"),
        ("[" * 100 + "]" * 100, "json", "too deeply"),
        ("a: [", "yaml", "line 1"),
        ("a: 1\nb: 2\na: 3\n", "yaml", "line 3, column 1"),
        ("a: &x [1]\nb: *x\n", "yaml", "aliases"),
        ("a: !!python/object/apply:os.system [id]\n", "yaml", "could not determine a constructor"),
        ("- \0", "yaml", "is not YAML"),
        ("? {a: 1}\n: 2\n", "yaml", "line 1"),
        ("x" * (2 << 20), "yaml", "longer"),
    ],
)
def test_a_mistake_says_where(text: str, format: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_text(text, format)
    assert message in str(caught.value)
