"""Token files: what is read of them, and that nothing shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.errors import BadRequest
from hub.gateways.secret import Secret, exposed, read_secret


def test_the_one_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  s3cret-token\n")

    secret = read_secret(str(file))

    assert str(secret) == "s3cret-token"
    assert "s3cret" not in repr(secret)
    assert "s3cret" not in repr({"token": secret})
    assert repr(Secret("")) == "Secret()"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"s3cret\nand more", "one line"),
        (b"s3cret s3cret", "one line"),
        ("s3cret-ü".encode(), "not plain text"),
        (b"s3cret" * 1000, "one line"),
        (b"s3cret\x00", "one line"),
    ],
)
def test_what_holds_no_token_is_said_without_what_it_holds(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)

    with pytest.raises(BadRequest) as caught:
        read_secret(str(file))
    assert caught.value.code == "token_file"
    assert says in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing"):
        with pytest.raises(BadRequest) as caught:
            read_secret(str(path))
        assert caught.value.code == "token_file"
    with pytest.raises(BadRequest):
        read_secret("/a\0b")


def test_who_else_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("x")
    file.chmod(0o600)
    assert exposed(str(file)) == ""
    file.chmod(0o640)
    assert "0640" in exposed(str(file))
    assert exposed(str(tmp_path / "missing")) == ""
