"""Custom Dockerfiles that come with a profile's text: checked, written with their files, removed with the profile."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from hub.contract import ProfileText
from hub.errors import BadRequest, Conflict
from hub.profile_context import MAX_BYTES, MAX_FILES, context_of, remove_context, write_context
from tests.hub.running import running_hub

DOCKERFILE = "FROM openclaw-agent-base\nCOPY conf/site.conf /etc/\nUSER agent\n"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def request(files: Mapping[str, bytes] = {}, dockerfile: str = DOCKERFILE, text: str = "{}") -> ProfileText:
    context = {path: encoded(content) for path, content in files.items()}
    return ProfileText(text=text, dockerfile=dockerfile, context=context)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- checking ---


def test_the_files_come_as_they_were() -> None:
    assert context_of(request({"conf/site": bytes(range(256)), "empty": b""})) == {
        "conf/site": bytes(range(256)),
        "empty": b"",
    }
    assert context_of(ProfileText(text="{}")) is None
    assert context_of(request()) == {}


BAD_PATHS = (
    "",
    "/etc/x",
    "../x",
    "a/../x",
    "a//b",
    "a/",
    "./a",
    "a\nb",
    "a\0b",
    "x" * 600,
    "Dockerfile",
    ".dockerignore",
)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_stays_below_the_folder(path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        context_of(ProfileText(text="{}", dockerfile=DOCKERFILE, context={path: ""}))
    assert (refused.value.code, (refused.value.field or "").startswith("context")) == ("bad_profile", True)


@pytest.mark.parametrize(
    ("bad", "field", "why"),
    [
        (ProfileText(text="{}", context={"a": ""}), "context", "no Dockerfile"),
        (ProfileText(text="{}", dockerfile=DOCKERFILE, context={"a": "%%%"}), "context.a", "not base64"),
        (request({"a": b"1", "a/b": b"2"}), "context.a", "a file and a folder"),
        (request({"a": b"x" * (MAX_BYTES + 1)}), "context", "bytes together"),
        (request({f"f{number}": b"" for number in range(MAX_FILES + 1)}), "context", "too many"),
        (request(dockerfile="FROM debian\n"), "dockerfile", "does not extend"),
        (request(dockerfile="FROM openclaw-agent-base\nENTRYPOINT x\n"), "dockerfile", "ENTRYPOINT"),
        (request(dockerfile=""), "dockerfile", "does not extend"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(bad: ProfileText, field: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why) as refused:
        context_of(bad)
    assert refused.value.field == field


# --- on disk ---


def test_what_an_earlier_save_wrote_goes_and_what_lies_there_by_hand_stays(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "mine").write_text("by hand")
    write_context(tmp_path, "web", {"a": b"1", "deep/down/b": b"2"})
    write_context(tmp_path, "web", {"deep/c": b"3"})
    assert files_below(tmp_path / "web") == {"mine": b"by hand", "deep/c": b"3"}
    assert not (tmp_path / "web/deep/down").exists()
    remove_context(tmp_path, "web")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["web", "web/mine"]


def test_without_files_nothing_is_left(tmp_path: Path) -> None:
    write_context(tmp_path, "web", {"a/b": b"1"})
    write_context(tmp_path, "web", {})
    remove_context(tmp_path, "web")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", ["web", "web/conf", "web/conf/x"])
def test_nothing_is_written_through_a_link(tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    profiles = tmp_path / "profiles"
    (profiles / link).parent.mkdir(parents=True)
    (profiles / link).symlink_to(outside)
    with pytest.raises(Conflict, match="is a link"):
        write_context(profiles, "web", {"conf/x": b"1"})
    assert list(outside.iterdir()) == []


def test_a_list_that_cannot_be_read_removes_nothing(tmp_path: Path) -> None:
    write_context(tmp_path, "web", {"a": b"1"})
    (tmp_path / ".web.context").write_text("{")
    remove_context(tmp_path, "web")
    assert files_below(tmp_path) == {"web/a": b"1"}


# --- through the hub ---


async def test_a_profile_is_saved_with_its_dockerfile_and_deleted_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "s/profiles"
    async with running_hub(tmp_path / "s") as running:
        control = running.control
        saved = await control.save_profile("web", request({"conf/site": b"site"}))
        assert (saved.valid, saved.dockerfile) == (True, str(folder / "web.Dockerfile"))
        assert (await control.profile("web")).dockerfile_text == DOCKERFILE
        # A text alone leaves the rest as it is.
        await control.save_profile("web", ProfileText(text='{"description": "second"}'))
        assert (await control.profile("web")).dockerfile_text == DOCKERFILE
        assert (folder / "web/conf/site").read_bytes() == b"site"
        with pytest.raises(BadRequest, match="ENTRYPOINT"):
            await control.save_profile("web", request(dockerfile="FROM openclaw-agent-base\nENTRYPOINT x\n"))
        check = await control.validate_profile(
            replace(request(dockerfile="FROM debian\n", text="{nonsense"), name="web")
        )
        assert [one.field for one in check.problems] == ["", "dockerfile"], "everything at once"
        assert (await control.profile("web")).description == "second"
        await control.delete_profile("web")
        assert list(folder.iterdir()) == []
