"""What is known of a gateway's sync, from runs and looks."""

from __future__ import annotations

from typing import Any

from hub.contract import SyncState
from hub.sync.state import Proof, State, difference_view, report_view, with_problem, with_proof, with_report
from profiles.sync.plan import Action, Step
from profiles.sync.report import FileDifference, PersonaReport, PersonaState, Report

EMPTY = State(gateway="g", source="folder", workspace_root="/w", config_path="/c")
AWAY = Proof(pending="the gateway is down")


def persona(slug: str, state: PersonaState = PersonaState.PENDING, **fields: Any) -> PersonaReport:
    return PersonaReport(**{"slug": slug, "state": state, "name": slug, "hash": f"{slug}-1", **fields})


def ran(state: State, proof: Proof, *personas: PersonaReport, now_ms: int = 1) -> State:
    report = Report(personas=personas, roster=tuple(one.slug for one in personas))
    return with_report(state, report, proof, now_ms)


def states(state: State) -> dict[str, str]:
    return {slug: one.view.state.value for slug, one in state.personas.items()}


def test_pending_ends_when_the_gateway_shows_it_and_times_are_of_the_change() -> None:
    state = ran(EMPTY, AWAY, persona("a"), now_ms=1_000)
    assert (states(state), state.personas["a"].view.reason) == ({"a": "pending"}, "the gateway is down")
    state = with_proof(state, Proof(pending="it starts"), 2_000)
    view = state.personas["a"].view
    assert (view.reason, state.personas["a"].since_ms) == ("it starts", 1_000)
    state = with_proof(state, Proof(), 3_000)
    assert (states(state), state.personas["a"].since_ms) == ({"a": "in-step"}, 3_000)
    assert state.personas["a"].view.reason == ""


def test_who_the_gateway_had_already_stays_in_step_while_another_comes() -> None:
    state = ran(EMPTY, Proof(), persona("a"), persona("b"))
    coming = Proof(pending="without c", shown=frozenset({"a", "b"}))
    state = ran(state, coming, persona("a"), persona("b", hash="b-2"), persona("c"))
    assert states(state) == {"a": "in-step", "b": "pending", "c": "pending"}
    assert states(with_proof(state, AWAY, 9)) == {"a": "pending", "b": "pending", "c": "pending"}


def test_what_waits_for_a_person_is_not_for_the_gateway_to_say() -> None:
    step = Step(slug="a", path="SOUL.md", action=Action.DRIFT)
    drifted = persona("a", PersonaState.DRIFTED, reason="somebody changed it", steps=(step,))
    state = ran(EMPTY, Proof(), drifted, persona("b", PersonaState.FAILED, reason="no room"))
    assert states(state) == {"a": "drifted", "b": "failed"}
    assert state.personas["a"].view.files == ["SOUL.md"]
    assert states(with_proof(state, Proof(), 9)) == states(with_proof(state, AWAY, 9)) == states(state)
    facts = state.facts()
    assert (facts.waiting, facts.failed) == ((("a", "somebody changed it", 1),), (("b", "no room", 1),))
    decided = ran(state, Proof(), persona("a", PersonaState.IN_STEP), now_ms=5)
    assert (states(decided), decided.personas["a"].since_ms) == ({"a": "in-step"}, 5)


def test_a_problem_keeps_its_time_while_there_is_one() -> None:
    state = with_problem(EMPTY, "down", "wait", 1)
    state = with_problem(state, "down still", "wait", 2)
    assert (state.problem, state.problem_ms) == ("down still", 1)
    state = with_problem(state, "", "ignored", 3)
    assert (state.problem, state.hint, state.problem_ms) == ("", "", None)


def test_counts_are_in_the_order_of_states() -> None:
    state = ran(EMPTY, AWAY, persona("a"), persona("b", PersonaState.FAILED), persona("c"))
    assert list(state.target().counts.items()) == [("pending", 2), ("failed", 1)]
    assert SyncState.IN_STEP.value not in state.counts()


def test_a_report_names_what_was_done_and_who_failed() -> None:
    steps = tuple(Step(slug="a", path=action.value, action=action) for action in Action)
    report = Report(personas=(persona("a", steps=steps), persona("b", PersonaState.FAILED, reason="no room")))
    view = report_view("g", report, dry_run=True, restarted=False, problem="")
    assert {step.action for step in view.steps} == {"create", "write", "delete", "drift", "conflict"}
    assert view.problem == "b: no room"
    assert report_view("g", report, dry_run=False, restarted=True, problem="Convex is down").problem == "Convex is down"


def test_what_can_be_adopted() -> None:
    text = FileDifference(path="SOUL.md", action="drift", before="a", after="b")
    assert difference_view(text, "").can_adopt
    assert difference_view(text, "Convex takes none").why_not == "Convex takes none"
    gone = difference_view(FileDifference(path="SOUL.md", action="conflict", after="b"), "")
    assert (gone.can_adopt, gone.why_not) == (False, "there is no file on disk")
    binary = difference_view(FileDifference(path="x", action="drift", binary=True), "")
    assert (binary.can_adopt, binary.why_not) == (False, "it is not text")
