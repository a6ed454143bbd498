"""A decision that breaks is told to the owner, whatever part it was in; a refusal is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from hub.core.dispatch import Dispatcher
from hub.core.fleet import Fleet, FleetLimits
from hub.core.guard import Decider
from hub.core.identity import Identity
from hub.core.lifecycle import Lifecycle
from hub.core.mail import Mail
from hub.core.model import AgentId, Now, Policy, TaskId, TokenId
from hub.errors import DecisionFailed, HubError, NotFound

NOW = Now(1_000_000, 0.0)


class Owner:
    """Remembers what broke."""

    def __init__(self) -> None:
        self.heard: list[Exception] = []
        self.fleet = Fleet(FleetLimits(), self._broke)

    def _broke(self, exc: Exception) -> HubError:
        self.heard.append(exc)
        return DecisionFailed("broken")


def break_dispatch(fleet: Fleet) -> None:
    del fleet.dispatcher.book
    fleet.dispatcher.tick(NOW)


def break_identity(fleet: Fleet) -> None:
    del fleet.identity._by_id
    fleet.identity.revoke(TokenId("t"), NOW)


def break_mail(fleet: Fleet) -> None:
    del fleet.mail._allowed
    fleet.mail.allow(Policy(sender=AgentId("a"), receiver=AgentId("b")))


def break_lifecycle(fleet: Fleet) -> None:
    del fleet.lifecycle._crashes
    fleet.lifecycle.forget(AgentId("a"))


def break_fleet(fleet: Fleet) -> None:
    del fleet.agents
    fleet.remove_agent(AgentId("a"), NOW)


@pytest.mark.parametrize("deed", [break_dispatch, break_identity, break_mail, break_lifecycle, break_fleet])
def test_the_owner_hears_of_what_breaks_in_any_part(deed: Callable[[Fleet], None]) -> None:
    owner = Owner()
    with pytest.raises(DecisionFailed) as told:
        deed(owner.fleet)
    assert owner.heard == [told.value.__cause__]
    assert isinstance(owner.heard[0], AttributeError)


def test_a_decision_inside_a_decision_is_told_once() -> None:
    owner = Owner()
    del owner.fleet.identity._by_id
    with pytest.raises(DecisionFailed):
        owner.fleet.revoke_token(TokenId("t"), NOW)
    assert len(owner.heard) == 1


def test_a_refusal_is_nothing_broken() -> None:
    owner = Owner()
    with pytest.raises(NotFound):
        owner.fleet.dispatcher.cancel(TaskId("t"), NOW)
    assert owner.heard == []


def test_without_an_owner_what_broke_is_seen_as_it_is() -> None:
    fleet = Fleet(FleetLimits())
    del fleet.agents
    with pytest.raises(AttributeError):
        fleet.remove_agent(AgentId("a"), NOW)


@pytest.mark.parametrize("part", [Fleet, Dispatcher, Identity, Mail, Lifecycle])
def test_everything_that_changes_something_is_guarded(part: type[Decider]) -> None:
    """Public methods that return effects; static ones know nothing that could be broken."""
    changing = {
        name
        for name, method in vars(part).items()
        if inspect.isfunction(method) and not name.startswith("_") and "Effect" in _returned(method)
    }
    assert changing <= part.decisions
    assert all(hasattr(getattr(part, name), "__wrapped__") for name in part.decisions)
    assert part.decisions


def _returned(method: Callable[..., object]) -> str:
    return str(inspect.get_annotations(method).get("return"))
