"""A notice is shown for a while, then it is forgotten."""

from __future__ import annotations

from hub.core.model import Now
from hub.notices import Notices


def at(seconds: float) -> Now:
    return Now(0, seconds)


def test_the_last_word_on_a_subject_counts_and_goes_away() -> None:
    notices = Notices(shown_seconds=100.0)
    notices.say("clock", "first", at(0))
    notices.say("clock", "second", at(50))
    notices.say("decision", "broke", at(60))
    assert notices.current(at(120)) == ["second", "broke"]
    assert notices.current(at(150)) == ["broke"]
    assert notices.current(at(160)) == []
