"""A whole sync: what is on disk afterwards, what is left alone, and what the report says of every persona."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from profiles.persona import Persona, Skill
from profiles.sync.errors import SyncError
from profiles.sync.once import Decision, PersonaState, difference, restore_last_good
from tests.profiles.sync.place import TRIAGE, Place, by_slug, contents, persona, states, trouble

ADA, BOB = persona("ada"), persona("bob")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def changed(one: Persona, **fields: Any) -> Persona:
    return msgspec.structs.replace(one, **fields)


def test_the_first_sync_writes_everything(place: Place) -> None:
    report = place.sync([ADA, BOB])
    assert states(report) == {"ada": "pending", "bob": "pending"}
    assert (report.written, report.config_changed, report.config_problem) == (14, True, "")
    assert report.roster == ("ada", "bob")
    assert place.read("ada/SOUL.md") == "I am ada.\n"
    assert sorted(contents(place.root / "ada")) == [
        "AGENTS.md", "IDENTITY.md", "MEMORY.md", "SOUL.md", "TOOLS.md", "deliverables", "memory", "memory/WORKING.md",
        "skills", "skills/triage", "skills/triage/SKILL.md",
    ]  # fmt: skip
    entry = place.roster()["ada"]
    assert (entry["workspace"], entry["name"], entry["skills"]) == ("/workspaces/ada", "Ada", ["triage"])
    told = by_slug(report)["ada"]
    assert (told.name, told.workspace, len(told.hash)) == ("Ada", "/workspaces/ada", 64)


def test_an_unchanged_sync_touches_no_file(place: Place) -> None:
    place.sync([ADA, BOB])
    before = place.facts()
    report = place.sync([ADA, BOB])
    assert place.facts() == before, "inode, time of change and content are equal"
    assert states(report) == {"ada": "in-step", "bob": "in-step"}
    assert (report.written, report.config_changed) == (0, False)


def test_an_edit_in_the_source_changes_that_file_alone(place: Place) -> None:
    place.sync([ADA, BOB])
    before = place.facts()
    report = place.sync([changed(ADA, soul="I am new."), BOB])
    after = place.facts()
    different = {Path(path).relative_to(place.root).as_posix() for path in after if after[path] != before.get(path)}
    assert different - {"."} == {"ada", "ada/SOUL.md", ".clawtui-sync.json"}
    assert states(report) == {"ada": "pending", "bob": "in-step"}
    assert by_slug(report)["ada"].reason == "written: SOUL.md"
    assert not report.config_changed


def test_a_change_of_the_roster_entry_alone_is_pending_too(place: Place) -> None:
    target = msgspec.structs.replace(place.target, models={"gpt-4o": "openai/gpt-4o"})
    place.sync([ADA, BOB], target=target)
    report = place.sync([changed(ADA, model="gpt-4o"), BOB], target=target)
    assert states(report) == {"ada": "pending", "bob": "in-step"}
    assert place.roster()["ada"]["model"] == "openai/gpt-4o"
    assert by_slug(report)["ada"].model == "openai/gpt-4o"
    report = place.sync([changed(ADA, model="unheard-of"), BOB], target=target)
    assert "model" not in place.roster()["ada"]
    assert "unheard-of is not in the model map" in by_slug(report)["ada"].notes[0]


def test_the_personas_own_files_are_never_written_again(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/MEMORY.md").write_text("I remember.")
    place.file("ada/memory/WORKING.md").unlink()
    place.file("ada/deliverables/result.txt").write_text("done")
    report = place.sync([changed(ADA, soul="new")])
    assert place.read("ada/MEMORY.md") == "I remember."
    assert place.read("ada/memory/WORKING.md").startswith("# Working on")
    assert place.read("ada/deliverables/result.txt") == "done"
    assert states(report) == {"ada": "pending"}


def test_a_file_that_somebody_removed_is_written_again(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/TOOLS.md").unlink()
    report = place.sync([ADA])
    assert place.file("ada/TOOLS.md").exists()
    assert [step.reason for step in by_slug(report)["ada"].steps if step.path == "TOOLS.md"] == ["it was removed"]


def test_a_removed_skill_leaves_no_file(place: Place) -> None:
    place.sync([ADA])
    place.sync([changed(ADA, skills=())])
    assert not place.file("ada/skills/triage").exists()
    assert "triage" not in msgspec.json.decode(place.config.read_bytes()).get("skills", {}).get("entries", {})


def test_a_removed_skill_whose_file_was_changed_waits_for_a_decision(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/skills/triage/SKILL.md").write_text("mine")
    bare = changed(ADA, skills=())
    report = place.sync([bare])
    assert states(report) == {"ada": "drifted"}
    assert place.read("ada/skills/triage/SKILL.md") == "mine"
    path = "skills/triage/SKILL.md"
    report = place.sync([bare], decisions={("ada", path): Decision.KEEP})
    assert place.read(f"ada/{path}") == "mine"
    assert states(place.sync([bare])) == {"ada": "in-step"}, "from now on it is the persona's own"


def test_a_removed_skill_with_other_files_keeps_those(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/skills/triage/notes.txt").write_text("mine")
    place.sync([changed(ADA, skills=())])
    assert sorted(contents(place.file("ada/skills"))) == ["triage", "triage/notes.txt"]


# --- files that somebody changed ---------------------------------------------------------------------


def test_a_changed_file_drifts_and_is_shown_with_both_texts(place: Place) -> None:
    place.sync([ADA, BOB])
    place.file("ada/SOUL.md").write_text("I am a human's.\n")
    for _ in range(2):
        report = place.sync([ADA, BOB])
        assert states(report) == {"ada": "drifted", "bob": "in-step"}
        assert by_slug(report)["ada"].reason == "SOUL.md: somebody changed it"
        assert place.read("ada/SOUL.md") == "I am a human's.\n"
    (found,) = difference(place.target, [ADA, BOB], "ada")
    assert (found.path, found.action, found.before, found.after) == (
        "SOUL.md", "drift", "I am a human's.\n", "I am ada.\n",
    )  # fmt: skip
    assert difference(place.target, [ADA, BOB], "bob") == ()


def test_both_changed_is_a_conflict_and_the_other_files_are_written(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/SOUL.md").write_text("I am a human's.\n")
    report = place.sync([changed(ADA, soul="The source changed.", user="Somebody.")])
    assert states(report) == {"ada": "conflict"}
    assert place.read("ada/SOUL.md") == "I am a human's.\n"
    assert place.read("ada/USER.md") == "Somebody.\n"


def test_a_foreign_file_is_a_conflict_unless_it_is_the_same(place: Place) -> None:
    place.file("ada").mkdir(parents=True)
    place.file("ada/SOUL.md").write_text("From before.\n")
    place.file("ada/MEMORY.md").write_text("From before.\n")
    report = place.sync([ADA])
    assert states(report) == {"ada": "conflict"}
    assert "not written by clawtui" in by_slug(report)["ada"].reason
    assert place.read("ada/MEMORY.md") == "From before.\n"
    assert states(place.sync([changed(ADA, soul="From before.")])) == {"ada": "in-step"}


def test_keep_is_quiet_until_either_side_changes(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/SOUL.md").write_text("I am a human's.\n")
    keep = {("ada", "SOUL.md"): Decision.KEEP}
    assert states(place.sync([ADA], decisions=keep)) == {"ada": "in-step"}
    assert states(place.sync([ADA])) == {"ada": "in-step"}
    assert [found.action for found in difference(place.target, [ADA], "ada")] == ["keep"], "it can still be looked at"
    assert place.sync([ADA]).personas[0].notes == ("kept as somebody changed it: SOUL.md",), "and it is told"
    assert states(place.sync([changed(ADA, soul="new")])) == {"ada": "conflict"}
    place.file("ada/SOUL.md").write_text("Another human.\n")
    assert states(place.sync([ADA])) == {"ada": "drifted"}
    assert place.read("ada/SOUL.md") == "Another human.\n"


def test_apply_writes_the_sources_text_and_keeps_the_humans_beside_it(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/skills/triage/SKILL.md").write_text("I am a human's.\n")
    report = place.sync([ADA], decisions={("ada", "skills/triage/SKILL.md"): Decision.APPLY})
    assert states(report) == {"ada": "pending"}
    assert "Read it, then sort it." in place.read("ada/skills/triage/SKILL.md")
    (rescued,) = place.file("ada/.clawtui-archive/skills/triage").iterdir()
    assert rescued.read_text() == "I am a human's.\n"
    assert rescued.name.startswith("SKILL.md.")
    assert states(place.sync([ADA])) == {"ada": "in-step"}


def test_adopted_text_counts_as_written(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/SOUL.md").write_text("I am a human's.")
    report = place.sync([changed(ADA, soul="I am a human's.")], decisions={("ada", "SOUL.md"): Decision.ADOPT})
    assert states(report) == {"ada": "pending"}
    assert place.read("ada/SOUL.md") == "I am a human's.\n"
    assert states(place.sync([changed(ADA, soul="I am a human's.")])) == {"ada": "in-step"}


def test_adopt_overwrites_nothing_while_the_source_has_not_taken_it(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/SOUL.md").write_text("I am a human's.")
    assert states(place.sync([ADA], decisions={("ada", "SOUL.md"): Decision.ADOPT})) == {"ada": "drifted"}
    assert place.read("ada/SOUL.md") == "I am a human's."


def test_a_file_that_is_no_text_is_shown_as_such(place: Place) -> None:
    place.sync([ADA])
    place.file("ada/SOUL.md").write_bytes(b"\xff\xfe\0")
    (found,) = difference(place.target, [ADA], "ada")
    assert (found.binary, found.before, found.after) == (True, None, None)


def test_the_difference_of_a_persona_that_is_not_there(place: Place) -> None:
    place.sync([ADA])
    with pytest.raises(SyncError, match="no persona eve"):
        difference(place.target, [ADA], "eve")


# --- personas that come and go -----------------------------------------------------------------------


def test_a_vanished_persona_leaves_the_configuration_and_its_workspace_is_archived(place: Place) -> None:
    place.sync([ADA, BOB])
    place.file("bob/MEMORY.md").write_text("I remember.")
    report = place.sync([ADA])
    assert report.archived == ("bob",)
    assert sorted(place.roster()) == ["ada"]
    assert not place.file("bob").exists()
    assert place.read(".archive/bob-20260304T050607Z/MEMORY.md") == "I remember."
    assert place.sync([ADA]).archived == ()


def test_one_that_comes_back_starts_from_the_source_and_the_archive_stays(place: Place) -> None:
    place.sync([ADA, BOB])
    place.file("bob/MEMORY.md").write_text("I remember.")
    place.sync([ADA])
    place.sync([ADA, BOB])
    assert place.read("bob/MEMORY.md").startswith("# Memory")
    assert place.sync([ADA]).archived == ("bob",)
    archived = {path.name for path in place.file(".archive").iterdir()}
    assert archived == {"bob-20260304T050607Z", "bob-20260304T050607Z-2"}


def test_one_whose_source_is_wrong_stays_as_it_is(place: Place) -> None:
    place.sync([ADA, BOB])
    before = contents(place.root)
    report = place.sync([ADA], problems=[trouble("bob")])
    assert states(report) == {"ada": "in-step", "bob": "failed"}
    assert by_slug(report)["bob"].reason == "a.json: cannot be read"
    assert sorted(place.roster()) == ["ada", "bob"]
    assert contents(place.root) == before
    assert place.sync([ADA]).archived == ("bob",), "once it is right that it is gone"


def test_while_nobody_knows_whom_a_problem_is_about_nobody_vanishes(place: Place) -> None:
    place.sync([ADA, BOB])
    report = place.sync([changed(ADA, soul="new")], problems=[trouble("")])
    assert states(report) == {"ada": "pending"}
    assert report.archived == ()
    assert sorted(place.roster()) == ["ada", "bob"]
    assert not [note for note in report.notes if "had an agent" in note]


def test_a_disabled_persona_leaves_the_roster_and_keeps_its_workspace(place: Place) -> None:
    place.sync([ADA, BOB])
    place.file("bob/MEMORY.md").write_text("I remember.")
    report = place.sync([ADA, changed(BOB, enabled=False)])
    assert (states(report), report.archived) == ({"ada": "in-step"}, ())
    assert sorted(place.roster()) == ["ada"]
    place.sync([ADA, BOB])
    assert sorted(place.roster()) == ["ada", "bob"]
    assert place.read("bob/MEMORY.md") == "I remember."


def test_of_two_personas_of_one_slug_neither_is_touched(place: Place) -> None:
    place.sync([ADA, BOB])
    before = contents(place.root)
    report = place.sync([ADA, changed(BOB, soul="one"), changed(BOB, name="Other", soul="two")])
    assert states(report) == {"ada": "in-step", "bob": "failed"}
    assert "Bob and Other both say that they are bob" in by_slug(report)["bob"].reason
    assert contents(place.root) == before


def test_when_all_personas_are_gone_nothing_is_archived_that_the_configuration_still_names(place: Place) -> None:
    place.sync([ADA])
    report = place.sync([])
    assert report.config_problem
    assert report.archived == ()
    assert place.file("ada/SOUL.md").exists()
    assert sorted(place.roster()) == ["ada"]


def test_nothing_to_do_writes_no_configuration(place: Place) -> None:
    report = place.sync([])
    assert (report.personas, report.config_changed, place.config.exists()) == ((), False, False)


# --- a dry run ---------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(place: Place) -> None:
    report = place.sync([ADA], dry_run=True)
    assert (states(report), report.written, report.config_changed) == ({"ada": "pending"}, 7, True)
    assert not place.root.exists()
    assert not place.config.exists()
    place.sync([ADA, BOB])
    before = place.facts()
    report = place.sync([changed(ADA, soul="new")], dry_run=True)
    assert (report.written, report.archived, report.config_changed) == (1, ("bob",), True)
    assert place.facts() == before


# --- the configuration -------------------------------------------------------------------------------


def test_an_invalid_configuration_is_left_as_it_is_and_workspaces_are_written(place: Place) -> None:
    place.config.write_text('{\n  "agents": {,}\n}\n')
    report = place.sync([ADA])
    assert "line 2" in report.config_problem
    assert place.config.read_text() == '{\n  "agents": {,}\n}\n'
    assert place.file("ada/SOUL.md").exists()
    assert by_slug(report)["ada"].state is PersonaState.PENDING
    assert "the configuration was not changed" in by_slug(report)["ada"].reason
    place.config.unlink()
    assert place.sync([ADA]).roster == ("ada",)


def test_what_somebody_else_wrote_into_it_stays(place: Place) -> None:
    place.config.write_text(
        '{\n  // mine\n  gateway: { mode: "local" },\n  agents: { entries: { own: { workspace: "/w" } }, '
        'ownership: "explicit" },\n}\n'
    )
    place.sync([ADA, BOB])
    place.sync([ADA])
    text = place.config.read_text()
    assert "// mine" in text
    assert "own:" in text
    assert '"bob"' not in text


def test_a_validator_is_asked_before_the_file_takes_its_place(place: Place) -> None:
    place.sync([ADA])
    before = place.config.read_bytes()
    asked: list[bytes] = []

    def refuse(path: Path) -> tuple[str, ...]:
        asked.append(path.read_bytes())
        assert place.config.read_bytes() == before
        return ("agents.entries.bob: not today",)

    report = place.sync([ADA, BOB], validate=refuse)
    assert "OpenClaw refuses the new text: agents.entries.bob: not today" in report.config_problem
    assert b'"bob"' in asked[0]
    assert place.config.read_bytes() == before
    assert sorted(path.name for path in place.config.parent.iterdir()) == ["agents", "openclaw.json"]
    assert place.sync([ADA, BOB], validate=lambda path: ()).config_problem == ""


def test_the_last_good_configuration_comes_back(place: Place) -> None:
    place.sync([ADA])
    before = place.config.read_bytes()
    assert not restore_last_good(place.target), "there was no other one yet"
    os.chmod(place.config, 0o600)
    place.sync([ADA, BOB])
    assert restore_last_good(place.target)
    assert place.config.read_bytes() == before
    assert place.config.stat().st_mode & 0o777 == 0o600
    assert not restore_last_good(place.target)


def test_only_a_valid_configuration_is_kept_as_the_last_good_one(place: Place) -> None:
    place.sync([ADA])
    place.sync([ADA, BOB])
    kept = place.config.with_name("openclaw.json.clawtui-last-good").read_bytes()
    # The mistake is in what the next sync repairs.
    broken = place.config.read_text().replace('"ownership": "explicit"', '"ownership": "none"')
    place.config.write_text(broken)
    assert place.sync([ADA, BOB]).config_problem == ""
    assert place.config.with_name("openclaw.json.clawtui-last-good").read_bytes() == kept


# --- permissions, locks and many ---------------------------------------------------------------------


def test_permissions_and_owner_are_as_set_and_are_set_anew_when_that_changes(place: Place) -> None:
    target = msgspec.structs.replace(place.target, file_mode=0o640, folder_mode=0o750)
    place.sync([ADA], target=target)
    assert place.file("ada/SOUL.md").stat().st_mode & 0o777 == 0o640
    assert place.file("ada/skills/triage").stat().st_mode & 0o777 == 0o750
    place.file("ada/SOUL.md").chmod(0o600)
    place.sync([ADA], target=target)
    assert place.file("ada/SOUL.md").stat().st_mode & 0o777 == 0o600, "what a human set stays"
    inode = place.file("ada/SOUL.md").stat().st_ino
    place.sync([ADA])
    found = place.file("ada/SOUL.md").stat()
    assert (found.st_mode & 0o777, found.st_ino) == (0o644, inode)
    assert place.file("ada/memory").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_who_is_set(place: Place) -> None:
    place.sync([ADA], target=msgspec.structs.replace(place.target, uid=1234, gid=4321))
    for path in ("ada", "ada/SOUL.md", "ada/MEMORY.md", "ada/skills/triage/SKILL.md", "ada/deliverables"):
        found = place.file(path).stat()
        assert (found.st_uid, found.st_gid) == (1234, 4321), path
    assert place.config.stat().st_uid == 1234


def test_two_syncs_at_once_wait_for_each_other(place: Place) -> None:
    inside, go = threading.Event(), threading.Event()

    def hold(step: str) -> None:
        inside.set()
        assert go.wait(20)

    first = threading.Thread(target=place.sync, args=([ADA],), kwargs={"hook": hold})
    first.start()
    try:
        assert inside.wait(20)
        with pytest.raises(SyncError, match=f"another sync works on .* \\(process {os.getpid()}\\)") as caught:
            place.sync([BOB], wait_seconds=0)
        assert "Two hubs" in caught.value.hint
        second = threading.Thread(target=place.sync, args=([ADA, BOB],))
        second.start()
    finally:
        go.set()
        first.join(20)
    second.join(20)
    assert states(place.sync([ADA, BOB])) == {"ada": "in-step", "bob": "in-step"}


def test_the_system_agent_may_be_one_that_is_not_there(place: Place) -> None:
    target = msgspec.structs.replace(place.target, system_slug="eve")
    report = place.sync([ADA, BOB], target=target)
    assert report.config_problem == ""
    assert sorted(place.roster()) == ["ada", "bob"]
    defaults = msgspec.json.decode(place.config.read_bytes())["agents"]["defaults"]
    assert defaults["systemAgent"] == {"agentId": "ada"}
    place.sync([ADA, BOB, persona("eve")], target=target)
    defaults = msgspec.json.decode(place.config.read_bytes())["agents"]["defaults"]
    assert defaults["systemAgent"] == {"agentId": "eve"}


def test_one_persona_that_fails_stops_no_other(place: Place) -> None:
    place.sync([ADA, BOB])
    place.file("ada/SOUL.md").unlink()
    place.file("ada/SOUL.md").symlink_to("/etc/passwd")
    report = place.sync([ADA, changed(BOB, soul="new"), persona("cleo", skills=(TRIAGE, Skill(slug="plan")))])
    assert states(report) == {"ada": "failed", "bob": "pending", "cleo": "pending"}
    assert place.read("bob/SOUL.md") == "new\n"
    assert sorted(place.roster()) == ["ada", "bob", "cleo"], "the one that fails stays as it is"


def test_a_new_persona_that_cannot_be_written_is_not_named_in_the_configuration(place: Place) -> None:
    place.root.mkdir()
    place.file("bob").write_text("a file")
    report = place.sync([ADA, BOB])
    assert states(report) == {"ada": "pending", "bob": "failed"}
    assert sorted(place.roster()) == ["ada"]


def test_five_hundred_personas(place: Place) -> None:
    """The promised numbers, in time of this thread: others may be busy. The bench measures the rest."""
    many = [persona(f"p{number}") for number in range(500)]
    begun = time.thread_time()
    assert place.sync(many).written == 3500
    written = time.thread_time()
    unchanged = place.sync(many)
    assert (unchanged.written, set(states(unchanged).values())) == (0, {"in-step"})
    assert written - begun < 15
    assert time.thread_time() - written < 2
