"""From a profile's contents to a Dockerfile: the layers, the hash, and nothing that could break out of its place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.contents import Contents, File, SetupTask
from profiles.errors import ProfileError
from profiles.image import Context, Recipe, content_hash, extend, instructions, render
from profiles.model import parse_profile

BASE = "openclaw-agent-base:0123456789ab"
FULL = Contents(
    packages=("make", "git", "g++"),
    environment={"CI": "true", "GREETING": 'say "hi" for $5 \\'},
    setup_tasks=(SetupTask("npm install -g yarn", "Install yarn"), SetupTask("cd /tmp\nmake 'x'")),
    files=(File("/workspace/run.sh", b"#!/bin/sh\n", 0o755), File("/workspace/etc/a b.json", b"{}")),
)

GOLDEN = """\
FROM openclaw-agent-base:0123456789ab
USER root
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends g++ git make && rm -rf \
/var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
ENV CI="true" \\
    GREETING="say \\"hi\\" for \\$5 \\\\"
RUN ["/bin/bash", "-c", "bash -eo pipefail -c \\"$1\\" && find /workspace ! -user agent -exec chown -h \
agent:agent {} +", "setup", "npm install -g yarn"]
RUN ["/bin/bash", "-c", "bash -eo pipefail -c \\"$1\\" && find /workspace ! -user agent -exec chown -h \
agent:agent {} +", "setup", "cd /tmp\\nmake 'x'"]
COPY --chown=agent:agent files/ /workspace/
USER agent
"""


def test_the_whole_dockerfile() -> None:
    context = render(FULL, BASE)
    assert context.dockerfile == GOLDEN
    assert context.files == {"files/run.sh": b"#!/bin/sh\n", "files/etc/a b.json": b"{}"}
    assert context.modes == {"files/run.sh": 0o755, "files/etc/a b.json": 0o644}
    assert context.titles == (
        "the base image",
        "the user",
        "packages: g++ git make",
        "the environment",
        'setup task 1 "Install yarn"',
        'setup task 2 "cd /tmp"',
        "the files",
        "the user",
    )


def test_an_empty_profile_is_the_base_image() -> None:
    assert render(Contents(), BASE).dockerfile == f"FROM {BASE}\nUSER root\nUSER agent\n"


def test_what_changes_late_stands_late() -> None:
    """So that a changed file leaves packages and setup tasks in the cache."""
    lines = render(FULL, BASE).dockerfile.splitlines()
    changed = Contents(**{name: getattr(FULL, name) for name in ("packages", "environment", "setup_tasks")})
    assert render(changed, BASE).dockerfile.splitlines() == [line for line in lines if not line.startswith("COPY")]


def test_buildkit_lends_the_pip_configuration_to_setup_tasks_only() -> None:
    plain, lent = render(FULL, BASE), render(FULL, BASE, pip_secret=True)
    changed = [
        theirs for ours, theirs in zip(plain.dockerfile.splitlines(), lent.dockerfile.splitlines(), strict=True)
        if ours != theirs
    ]  # fmt: skip
    assert len(changed) == 2
    assert all(line.startswith("RUN --mount=type=secret,id=pip-conf,target=/etc/pip.conf [") for line in changed)


@pytest.mark.parametrize(
    "other",
    [
        render(FULL, "openclaw-agent-base:other"),
        render(Contents(packages=("git",)), BASE),
        Context(dockerfile=GOLDEN, files=render(FULL, BASE).files, arguments={"A": "1"}),
        Context(dockerfile=GOLDEN, files=render(FULL, BASE).files),
    ],
)
def test_the_hash_changes_with_everything(other: Context) -> None:
    assert content_hash(other) != content_hash(render(FULL, BASE))


def test_the_hash_depends_on_nothing_else() -> None:
    shuffled = Contents(
        packages=("git", "g++", "make"),
        environment=dict(reversed(FULL.environment.items())),
        setup_tasks=FULL.setup_tasks,
        files=tuple(reversed(FULL.files)),
    )
    assert content_hash(render(shuffled, BASE)) == content_hash(render(FULL, BASE))
    assert re.fullmatch(r"[0-9a-f]{12}", content_hash(render(FULL, BASE)))


# --- nothing breaks out ------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
NASTY = st.one_of(
    TEXT,
    st.sampled_from(
        [
            "$(id)",
            "`id`",
            '"; id; "',
            "' || id",
            "\\",
            "<<EOF",
            "a\nRUN id",
            "# x",
            "]",
            '"]\nRUN id\n#',
            "${A}",
            "\\\n",
        ]
    ),
)


def unquoted(text: str) -> str:
    """What a Dockerfile makes of a text in double quotes."""
    assert (text[0], text[-1]) == ('"', '"')
    assert re.fullmatch(r'(?:[^"$\\\n]|\\["$\\])*', text[1:-1], re.DOTALL), text
    return re.sub(r'\\(["$\\])', r"\1", text[1:-1])


@given(commands=st.lists(NASTY.filter(str.strip), max_size=4), title=NASTY)
def test_a_setup_task_stays_one_argument(commands: list[str], title: str) -> None:
    raw = {"setup_tasks": [{"command": command} for command in commands]}
    contents = parse_profile({"name": "x", **raw}).contents
    lines = render(contents, BASE).dockerfile.split("\n")
    runs = [line for line in lines if line.startswith("RUN ")]
    assert [json.loads(line.removeprefix("RUN "))[-1] for line in runs] == commands
    assert len(lines) == 4 + len(commands), "one line each"


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), NASTY, max_size=4))
def test_a_variable_keeps_its_value(environment: dict[str, str]) -> None:
    try:
        contents = parse_profile({"name": "x", "environment": environment}).contents
    except ProfileError:
        return
    found = [text for _, text in instructions(render(contents, BASE).dockerfile) if text.startswith("ENV ")]
    if not environment:
        assert found == []
        return
    # The lines of the instruction, as they stand: none of them can be taken for another instruction.
    lines = render(contents, BASE).dockerfile.split("\n")[2:-2]
    parted = [line.removeprefix("ENV ").strip().removesuffix(" \\").partition("=") for line in lines]
    read = {name: text for name, _, text in parted}
    assert {name: unquoted(text) for name, text in read.items()} == environment


@given(st.lists(NASTY, max_size=4))
def test_a_package_is_a_package_or_an_error(packages: list[str]) -> None:
    try:
        contents = parse_profile({"name": "x", "packages": packages}).contents
    except ProfileError:
        return
    assert all(re.fullmatch(r"[a-z0-9][a-zA-Z0-9.+:~=-]+", package, re.ASCII) for package in contents.packages)
    assert not any(package.endswith("-") for package in contents.packages), "apt would remove it"


@given(st.lists(st.tuples(NASTY, NASTY), max_size=4))
def test_files_are_named_nowhere_in_the_dockerfile(files: list[tuple[str, str]]) -> None:
    raw = [{"path": path, "content": content} for path, content in files]
    try:
        contents = parse_profile({"name": "x", "files": raw}).contents
    except ProfileError:
        return
    context = render(contents, BASE)
    assert len(context.dockerfile.splitlines()) == (4 if contents.files else 3)
    assert all(path.startswith("files/") and ".." not in path.split("/") for path in context.files)
    assert sorted(context.files.values()) == sorted(content.encode() for _, content in files)


# --- custom Dockerfiles --------------------------------------------------------------------------------


def test_a_custom_dockerfile_gets_the_exact_base() -> None:
    text = "# mine\nFROM debian AS tools\nRUN true \\\n  && false\nFROM openclaw-agent-base:latest AS last\nUSER root\n"
    context = extend(text, {"a.txt": b"a"}, {"V": "1"}, BASE)
    assert context.dockerfile == text.replace("openclaw-agent-base:latest", BASE)
    last = "FROM openclaw-agent-base:latest AS last"
    assert context.titles == ("FROM debian AS tools", "RUN true && false", last, "USER root")
    assert (context.files, context.arguments) == ({"a.txt": b"a"}, {"V": "1"})


def test_a_base_on_a_later_line_gets_the_exact_one_too() -> None:
    assert extend("FROM \\\n  openclaw-agent-base\n", {}, {}, BASE).dockerfile == f"FROM \\\n  {BASE}\n"


def test_only_what_ends_a_line_for_builders_ends_one() -> None:
    text = "FROM openclaw-agent-base\nRUN echo 'a\u2028ENTRYPOINT b\x0cFROM c'\nUSER agent\n"
    context = extend(text.replace("\n", "\r\n"), {}, {}, BASE)
    assert context.dockerfile == text.replace("openclaw-agent-base", BASE)
    assert len(context.titles) == 3


@given(st.text(alphabet=" \\#\n\rAB"))
def test_no_text_breaks_the_reading_of_a_dockerfile(text: str) -> None:
    assert all(instruction.split() for _, instruction in instructions(text))


def test_a_stage_on_the_base_may_be_the_last_ones_base() -> None:
    text = "FROM openclaw-agent-base AS mine\nRUN true\nFROM mine\n"
    assert extend(text, {}, {}, BASE).dockerfile.startswith(f"FROM {BASE} AS mine\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not extend"),
        ("\\", "does not extend"),
        ("FROM debian\n\\\n\\\n", "does not extend"),
        ("FROM debian\n", "does not extend"),
        ("FROM openclaw-agent-base\nFROM debian\n", "does not extend"),
        ("FROM openclaw-agent-base-of-somebody\n", "does not extend"),
        ("FROM registry.example.com/openclaw-agent-base\n", "does not extend"),
        ('FROM openclaw-agent-base\n\nENTRYPOINT ["sh"]\n', "line 3: ENTRYPOINT"),
    ],
)
def test_a_custom_dockerfile_must_hold_the_runtime(text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message) as caught:
        extend(text, {}, {}, BASE)
    assert (caught.value.field, bool(caught.value.hint)) == ("dockerfile", True)


def test_a_recipe_is_one_or_the_other() -> None:
    assert Recipe(profile="x", contents=FULL).build(BASE) == render(FULL, BASE)
    custom = Recipe(profile="x", contents=FULL, dockerfile="FROM openclaw-agent-base\n")
    assert custom.build(BASE).dockerfile == f"FROM {BASE}\n"
    assert (Recipe(profile="x").installs(), custom.installs()) == ("", "the Dockerfile")
    assert Recipe(profile="x", contents=FULL).installs() == "packages, setup tasks, files"
