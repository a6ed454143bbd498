"""What becomes of a file, from every combination of what is wanted, what was written last and what is on disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.sync.files import WantedFile, Workspace, digest
from profiles.sync.manifest import Manifest, Mark
from profiles.sync.plan import CHANGES, WAITING, Action, Decision, Step, judge, judge_unwanted, make_plan, marks_after
from profiles.sync.scan import SeenWorkspace

OURS = Mark("a", "a")
KEPT = Mark("a", "h")
"""The source said `a`, and a human's `h` was kept."""
KILLED = Mark("a", "a", "b")
"""A run that was about to write `b` ended early."""
NEW_AND_KILLED = Mark("", "", "b")

K, A, AD = Decision.KEEP, Decision.APPLY, Decision.ADOPT


@pytest.mark.parametrize(
    ("wanted", "seen", "mark", "decision", "action"),
    [
        ("a", None, None, None, Action.CREATE),
        ("a", None, OURS, None, Action.CREATE),
        ("a", "a", None, None, Action.KEEP),
        ("a", "a", OURS, None, Action.KEEP),
        ("b", "a", OURS, None, Action.WRITE),
        ("a", "h", OURS, None, Action.DRIFT),
        ("b", "h", OURS, None, Action.CONFLICT),
        ("a", "h", None, None, Action.CONFLICT),
        ("b", "b", OURS, None, Action.KEEP),
        # Decisions.
        ("a", "h", OURS, K, Action.KEEP),
        ("b", "h", OURS, K, Action.KEEP),
        ("a", "h", None, K, Action.KEEP),
        ("a", "h", OURS, A, Action.WRITE),
        ("b", "h", OURS, A, Action.WRITE),
        ("a", "h", None, A, Action.WRITE),
        ("b", "h", OURS, AD, Action.WRITE),
        # Nothing was adopted if the source still says what it said.
        ("a", "h", OURS, AD, Action.DRIFT),
        # A human's file that was kept stays quiet until one side changes.
        ("a", "h", KEPT, None, Action.KEEP),
        ("b", "h", KEPT, None, Action.CONFLICT),
        ("a", "i", KEPT, None, Action.DRIFT),
        ("b", "i", KEPT, None, Action.CONFLICT),
        ("a", "a", KEPT, None, Action.KEEP),
        ("a", "h", KEPT, A, Action.WRITE),
        ("b", "h", KEPT, AD, Action.WRITE),
        ("b", "h", KEPT, K, Action.KEEP),
        # A run that was killed wrote it, or did not.
        ("b", "a", KILLED, None, Action.WRITE),
        ("b", "b", KILLED, None, Action.KEEP),
        ("c", "b", KILLED, None, Action.WRITE),
        ("c", "a", KILLED, None, Action.WRITE),
        ("c", "h", KILLED, None, Action.CONFLICT),
        ("c", "b", NEW_AND_KILLED, None, Action.WRITE),
        ("c", "h", NEW_AND_KILLED, None, Action.CONFLICT),
        ("b", None, NEW_AND_KILLED, None, Action.CREATE),
    ],
)
def test_a_wanted_file(
    wanted: str, seen: str | None, mark: Mark | None, decision: Decision | None, action: Action
) -> None:
    verdict = judge(wanted, seen, mark, decision)
    assert verdict.action is action
    assert verdict.rescue == (action is Action.WRITE and seen == "h"), "a human's text is never lost"


@pytest.mark.parametrize(
    ("seen", "mark", "decision", "action", "release"),
    [
        ("a", OURS, None, Action.DELETE, False),
        (None, OURS, None, Action.KEEP, True),
        ("h", OURS, None, Action.DRIFT, False),
        ("h", OURS, K, Action.KEEP, True),
        ("h", OURS, A, Action.DELETE, False),
        ("h", KEPT, None, Action.DRIFT, False),
        ("b", KILLED, None, Action.DELETE, False),
        ("b", NEW_AND_KILLED, None, Action.DELETE, False),
        ("h", OURS, AD, Action.DRIFT, False),
    ],
)
def test_a_file_that_is_not_wanted_any_more(
    seen: str | None, mark: Mark, decision: Decision | None, action: Action, release: bool
) -> None:
    verdict = judge_unwanted(seen, mark, decision)
    assert (verdict.action, verdict.release) == (action, release)
    assert verdict.rescue == (action is Action.DELETE and seen == "h")


hashes = st.sampled_from("abch")
marks = st.none() | st.builds(Mark, hashes, hashes, st.sampled_from(["", "b", "c"]))


@given(wanted=st.none() | hashes, seen=st.none() | hashes, mark=marks)
def test_without_a_decision_only_what_we_wrote_is_changed_and_a_second_look_finds_nothing_to_do(
    wanted: str | None, seen: str | None, mark: Mark | None
) -> None:
    if wanted is None and mark is None:
        return
    verdict = judge(wanted, seen, mark) if wanted is not None else judge_unwanted(seen, mark or Mark("", ""))
    step = Step(slug="s", path="p", action=verdict.action, wanted=wanted, seen=seen, release=verdict.release)
    if verdict.action in CHANGES and seen is not None:
        assert mark is not None
        assert seen in (mark.disk, mark.intent), "a human's file was changed without a decision"
    if verdict.action in WAITING or verdict.release:
        return
    after = {Action.CREATE: wanted, Action.WRITE: wanted, Action.DELETE: None}.get(verdict.action, seen)
    left = marks_after([step], {"p": mark} if mark else {}).get("p")
    if wanted is not None:
        assert judge(wanted, after, left).action is Action.KEEP
    else:
        assert (after, left) == (None, None)


def test_a_plan_of_whole_workspaces() -> None:
    wanted = [
        Workspace("ada", (WantedFile("SOUL.md", b"new"), WantedFile("MEMORY.md", b"m", once=True))),
        Workspace("bad", (WantedFile("SOUL.md", b"x"),)),
    ]
    manifest = Manifest(workspaces={
        "ada": {"SOUL.md": Mark(digest(b"old"), digest(b"old")), "skills/x/SKILL.md": Mark("s", "s")},
        "gone": {}, "held": {}, "bad": {},
    })  # fmt: skip
    seen = {
        "ada": SeenWorkspace(exists=True, files={"SOUL.md": digest(b"old"), "MEMORY.md": "", "skills/x/SKILL.md": "s"}),
        "bad": SeenWorkspace(exists=True, problem="a link"),
        "gone": SeenWorkspace(exists=True),
    }
    plan = make_plan(wanted, manifest, seen, {}, {"held"})
    assert [(step.slug, step.path, step.action) for step in plan.steps] == [
        ("ada", "SOUL.md", Action.WRITE), ("ada", "MEMORY.md", Action.KEEP),
        ("ada", "skills/x/SKILL.md", Action.DELETE),
    ]  # fmt: skip
    assert plan.archive == ("gone",)


def test_the_personas_own_files_are_only_created() -> None:
    own = Workspace("ada", (WantedFile("MEMORY.md", b"m", once=True),))
    (step,) = make_plan([own], Manifest(), {}, {("ada", "MEMORY.md"): Decision.APPLY}).steps
    assert (step.action, step.own) == (Action.CREATE, True)
    seen = {"ada": SeenWorkspace(exists=True, files={"MEMORY.md": ""})}
    (step,) = make_plan([own], Manifest(), seen, {("ada", "MEMORY.md"): Decision.APPLY}).steps
    assert step.action is Action.KEEP
    assert marks_after([step], {}) == {}
