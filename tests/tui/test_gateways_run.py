"""Gateways that the hub runs, on the screen: what is seen of them, and every act with its questions."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input, Select, Static

from clawtui.tui import gateways as words
from clawtui.tui.gateways_instance import instance_fields, limits_text, tier_text
from clawtui.tui.gateways_possible import ACTS, why_not
from clawtui.tui.widgets.credentials import CredentialsDialog
from clawtui.tui.widgets.dialogs import ConfirmDialog, Picker, TypeNameDialog
from clawtui.tui.widgets.instance_forms import BackupDialog, DestroyDialog
from clawtui.tui.widgets.provision_form import ProvisionDialog, TierDialog
from hub.contract import (
    BackupGateway,
    DestroyGateway,
    GatewayAct,
    ImportGateway,
    InstancePhase,
    JobList,
    ProvisionGateway,
    RestoreGateway,
    RolloutRequest,
    UpgradeGateway,
    UpgradeGateways,
)
from hub.core.model import TaskError
from hub.errors import BadRequest, Conflict, NotAvailable
from tests.tui import instance_script as script
from tests.tui import sync_script
from tests.tui.office_script import NOW
from tests.tui.scripted import ScriptedHub, an_agent, sees, shown, text_of, typed, until

SIZES = ((80, 24), (120, 40), (200, 60))
ACME, BORG, CATO, DUNE = script.instances()
MAIN = sync_script.gateways()[0]
ANTHROPIC = "sk-ant-abcdefghijklmnopqrstuvwx"


def with_instances() -> ScriptedHub:
    hub = ScriptedHub(an_agent("a-1"))
    hub.now = NOW
    hub.answers |= {**sync_script.gateway_answers(), **script.answers(), "jobs": JobList(jobs=[script.UPGRADE_JOB])}
    return hub


async def at_gateways(app: Any, pilot: Pilot[Any], name: str = "acme") -> None:
    await app.do_words(f"gateways {name}")
    await until(pilot, sees(app, f"▸ {name}"))


async def fill(pilot: Pilot[Any], **values: str) -> None:
    for name, value in values.items():
        pilot.app.screen.query_one(f"#{name.replace('_', '-')}", Input).value = value
    await pilot.pause()


# --- words


def test_every_phase_but_running_has_a_sign() -> None:
    assert set(words.PHASES) == set(InstancePhase) - {InstancePhase.RUNNING}
    assert words.state_of(ACME)[0] == "ready"
    assert words.state_of(BORG)[0] == words.GIVEN_UP
    assert words.state_of(CATO)[0] == "upgrading"


def test_a_share_is_all_only_where_it_is_all() -> None:
    assert [words.share_text(rate) for rate in (1.0, 0.99999, 0.9, 0.0)] == ["100%", "99.9%", "90.0%", "0.0%"]


def test_the_line_of_response_times_ends_with_the_newest() -> None:
    checks = script.checks(BORG)
    assert words.history_text(checks[::-1]).endswith("·····")
    assert words.history_text(checks, 3) == "···"


def test_what_needs_a_look_comes_first_by_state() -> None:
    ordered = words.sorted_by((ACME, BORG, CATO, DUNE, MAIN), {}, "state", descending=False)
    assert [one.name for one in ordered] == ["borg", "acme", "main", "cato", "dune"]
    for column in words.COLUMNS:
        assert column.key in words.SORTS
        assert len(words.sorted_by((ACME, MAIN), {}, column.key, descending=True)) == 2


@pytest.mark.parametrize(("act", "gateway", "why"), [
    ("start", ACME, "runs already"), ("stop", DUNE, "is stopped already"), ("restart", DUNE, "is stopped: start it"),
    ("upgrade", CATO, "is upgrading just now"), ("rollback", BORG, "has nothing to go back to"),
    ("backup", MAIN, "is not run by the hub"), ("forget", ACME, "it can be destroyed"), ("start", DUNE, ""),
    ("start", BORG, ""), ("log", CATO, ""), ("destroy", CATO, ""), ("forget", MAIN, ""),
])  # fmt: skip
def test_what_cannot_be_done_says_why(act: str, gateway: Any, why: str) -> None:
    said = why_not(act, gateway)
    assert why in said if why else not said
    assert act in ACTS


def test_an_instance_is_told_in_full() -> None:
    known = words.Known(health=script.health(ACME))
    fields = instance_fields(ACME, known, script.BACKUPS, NOW, {"gateway.log": "o", "gateway.rollback": "b"})
    told = "\n".join(f"{one.label} {one.text} {one.more}" for one in fields)
    for part in (
        "2 CPUs, 2.0G memory in force", "Deployed 41s", "o shows its log", "b goes back to it",
        "the workspace's size is watched", "100% of 2880 checks", "average 24ms · p50 18ms · p95 96ms",
        "84M, ghcr.io/openclaw/openclaw:2026.9.6, stopped", "Open to https://acme.example.com",
    ):  # fmt: skip
        assert part in told, part


def test_one_that_was_given_up_says_so_with_its_exit() -> None:
    told = [f"{one.label} {one.text}" for one in instance_fields(BORG, words.Known(), None, NOW, {})]
    assert any("exit 78" in line for line in told)
    assert any(line.startswith("Given up") for line in told)
    assert any("Restarts 7" in line for line in told)


def test_limits_and_tiers_are_told_without_holes() -> None:
    assert limits_text({"cpus": 1.0, "memoryBytes": 1 << 30, "pids": 512.0}) == "1 CPU, 1.0G memory, 512 pids"
    assert "sessions no limit" in tier_text(script.TIERS[1])
    assert tier_text(script.TIERS[3]) == "cannot be used: 'lots' is no size"


# --- the place


@pytest.mark.parametrize("size", SIZES)
async def test_instances_stand_with_tier_phase_and_pass_rate(size: tuple[int, int]) -> None:
    async with shown(with_instances(), size) as (app, pilot):
        await at_gateways(app, pilot)
        await until(pilot, sees(app, "enterprise", "▶ upgrading 60%", "■ stopped", "! given-up", "100%", "87.1%"))
        if size[0] >= 120:
            await until(pilot, sees(app, "LAST CHECKS", "The hub runs it"))


async def test_the_detail_has_health_and_backups_and_a_running_job() -> None:
    async with shown(with_instances(), (200, 60)) as (app, pilot):
        await at_gateways(app, pilot)
        await until(pilot, sees(app, "The hub runs it", "2 CPUs", "Health", "Backups", "f restores one", "Before"))
        await at_gateways(app, pilot, "cato")
        await until(pilot, sees(app, "waiting for /readyz", "none yet"))
        await at_gateways(app, pilot, "main")
        await until(pilot, lambda: "The hub runs it" not in text_of(app))


async def test_rows_are_sorted_and_filtered() -> None:
    async with shown(with_instances(), (200, 60)) as (app, pilot):
        await at_gateways(app, pilot)
        await app.do_words("sort state")
        await until(pilot, sees(app, "by state"))
        rows = [row.key for row in app.main.pane.table.rows]  # pyright: ignore[reportAttributeAccessIssue]
        assert rows[0] == "borg"
        await app.do_words("filter tier:free host:local")
        await until(pilot, sees(app, "Gateways 2 of 7"))
        await app.do_words("sort nothing")
        await until(pilot, sees(app, "there is no column 'nothing'"))


async def test_the_log_of_one_is_shown_and_the_way_back_leads_here() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("o")
        await until(pilot, sees(app, "listening on 0.0.0.0:18789", "[gateway] ready"))
        assert str(app.going.front()) == "gateway-log/acme"
        assert hub.called("gateway_logs")[0][0] == "acme"
        await pilot.press("escape")
        await until(pilot, sees(app, "Gateways 7"))


async def test_a_hub_without_history_still_shows_its_gateways() -> None:
    hub = with_instances()
    hub.answers["gateway_health"] = NotAvailable("this version has no history")
    hub.answers["gateway_backups"] = NotAvailable("this version makes no backups")
    async with shown(hub, (200, 60)) as (app, pilot):
        await at_gateways(app, pilot)
        await until(pilot, sees(app, "The hub runs it", "√ ready"))


# --- the menu and modes


async def test_what_cannot_be_done_stands_greyed_with_its_reason() -> None:
    async with shown(with_instances(), (120, 50)) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await until(pilot, sees(app, "not now: acme runs already", "Restart"))
        await pilot.press("escape")
        await pilot.press("t")
        await until(pilot, sees(app, "acme runs already"))
        await at_gateways(app, pilot, "main")
        await pilot.press("U")
        await until(pilot, sees(app, "main is not run by the hub"))


async def test_a_read_only_screen_does_nothing_of_it() -> None:
    hub = with_instances()
    async with shown(hub, read_only=True) as (app, pilot):
        await at_gateways(app, pilot)
        for key in ("n", "t", "T", "R", "U", "M", "b", "B", "f", "I", "X"):
            app.say("")
            await pilot.press(key)
            await until(pilot, sees(app, "read-only: "))
        await pilot.press("o")
        await until(pilot, sees(app, "[gateway] ready"))
    assert not {"provision_gateway", "act_on_gateway", "tiers", "plan_destroy_gateway"} & {one for one, _ in hub.calls}


async def test_one_that_the_hub_runs_is_not_only_forgotten() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("D")
        await until(pilot, sees(app, "acme is run by the hub", "X destroys it"))
        assert not hub.called("remove_gateway")


# --- start, stop, restart


async def test_a_stopped_one_is_started_at_once() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot, "dune")
        await pilot.press("t")
        await until(pilot, sees(app, "√ start dune — clawtui gateway start dune"))
        assert hub.called("act_on_gateway") == [("dune", GatewayAct.START)]


@pytest.mark.parametrize(("key", "act"), [("T", GatewayAct.STOP), ("R", GatewayAct.RESTART)])
async def test_what_stops_turns_is_asked_first(key: str, act: GatewayAct) -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await until(pilot, sees(app, f"{act.value.capitalize()} acme?", "Turns that run are finished first"))
        await pilot.press("enter")
        assert not hub.called("act_on_gateway")
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: hub.called("act_on_gateway") == [("acme", act)])


async def test_of_marked_ones_those_that_can_are_meant_and_the_others_named() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await app.do_words("restart-gateway acme dune main")
        await until(pilot, sees(app, "Restart acme?", "Left out: dune is stopped: start it; main is not run"))


async def test_an_act_that_fails_says_why_and_what_helps() -> None:
    hub = with_instances()
    error = TaskError(code="not_ready", message="exit 78: invalid config")
    hub.answers["act_on_gateway"] = replace(script.JOB, state="failed", error=error)
    async with shown(hub, (160, 40)) as (app, pilot):
        await at_gateways(app, pilot, "dune")
        await pilot.press("t")
        await until(pilot, sees(app, "start dune failed: exit 78: invalid config", "o shows its log"))


# --- making one


async def to_the_form(app: Any, pilot: Pilot[Any], name: str = "nova") -> None:
    await app.do_words(f"provision {name}")
    await until(pilot, lambda: isinstance(app.screen, TierDialog))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, ProvisionDialog))


@pytest.mark.parametrize("size", SIZES)
async def test_the_tiers_stand_with_their_figures(size: tuple[int, int]) -> None:
    async with shown(with_instances(), size) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, TierDialog))
        await until(pilot, sees(app, "free", "512M", "enterprise", "4.0G", "cannot be used: 'lots' is no size"))
        await until(pilot, sees(app, "two cores and 2 GiB", "channels telegram"))
        await pilot.press("k")
        await until(pilot, sees(app, "one core and 1 GiB"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, TierDialog))


@pytest.mark.parametrize("size", SIZES)
async def test_one_is_made_and_its_token_is_shown_once(size: tuple[int, int]) -> None:
    hub = with_instances()
    async with shown(hub, size) as (app, pilot):
        await at_gateways(app, pilot)
        await to_the_form(app, pilot, "")
        await typed(pilot, "nova")
        await fill(pilot, w_subdomain="nova.example.com", w_anthropic=ANTHROPIC, w_port="19200")
        assert ANTHROPIC not in text_of(app)
        app.screen.query_one("#w-host", Select).value = "attic"
        app.screen.query_one("#w-source", Select).value = "registry"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, CredentialsDialog))
        assert hub.called("provision_gateway") == [(ProvisionGateway(
            name="nova", tier="pro", subdomain="nova.example.com", keys={"ANTHROPIC_API_KEY": ANTHROPIC}, port=19_200,
            host="attic", source="registry",
        ),)]  # fmt: skip
        await until(pilot, sees(app, script.TOKEN, "https://nova.example.com", "shown this once"))
        await pilot.press("escape", "enter")
        assert isinstance(app.screen, CredentialsDialog)
        await pilot.press(*"saved", "enter")
        await until(pilot, lambda: not isinstance(app.screen, CredentialsDialog))
        await until(pilot, lambda: script.TOKEN not in text_of(app))
        await until(pilot, sees(app, "nova", "provisioning"))
    assert script.TOKEN not in app.last_problem


async def test_the_steps_of_making_it_stand_below_the_token() -> None:
    hub = with_instances()
    running = replace(script.UPGRADE_JOB, id="j-90", about="nova", kind="gateway.provision")
    made = script.answers()["provision_gateway"]
    hub.answers["provision_gateway"] = lambda request: replace(made(request), job=running)
    hub.answers["jobs"] = JobList(jobs=[running])
    ended = replace(running, state="succeeded", finished_at=script.JOB.finished_at, progress=1.0)
    hub.answers["job"] = running
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await to_the_form(app, pilot)
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, script.TOKEN, "▶ running", "60%", "copying its volumes"))
        hub.answers |= {"jobs": JobList(jobs=[ended]), "job": ended}
        hub.tell("job", "j-90")
        await until(pilot, sees(app, "√ succeeded"))
        await pilot.press("ctrl+y")
        await until(pilot, sees(app, "Copied."))


@pytest.mark.parametrize(("values", "field", "said"), [
    ({"w_name": ""}, "name", "the gateway needs a name"),
    ({"w_name": "acme"}, "name", "there is a gateway acme already"),
    ({"w_port": "70000"}, "port", "70000 is no port"),
    ({"w_key_name": "GEMINI_API_KEY"}, "key-value", "a key is a variable and its value"),
    ({"w_key_value": "secret"}, "key-name", "a key is a variable and its value"),
])  # fmt: skip
async def test_what_is_missing_stands_beside_its_field(values: dict[str, str], field: str, said: str) -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await to_the_form(app, pilot)
        await fill(pilot, **values)
        await pilot.press("ctrl+s")
        wrong = app.screen.query_one(f"#w-{field}-wrong", Static)
        await until(pilot, lambda: wrong.display and said in str(wrong.render()))
        assert not hub.called("provision_gateway")


async def test_every_refusal_of_the_hub_stands_beside_its_field_at_once() -> None:
    hub = with_instances()
    refused = BadRequest("is no key of Anthropic", field="keys.ANTHROPIC_API_KEY", hint="begins with sk-ant-")
    refused.problems = (
        ("keys.ANTHROPIC_API_KEY", "is no key of Anthropic", "begins with sk-ant-"),
        ("subdomain", "leads to the gateway acme already", ""), ("keys.GROQ_API_KEY", "is no key of Groq", ""),
        ("memory", "is too small for a gateway", "force it"),
    )  # fmt: skip
    hub.answers["provision_gateway"] = refused
    async with shown(hub, (120, 50)) as (app, pilot):
        await at_gateways(app, pilot)
        await to_the_form(app, pilot)
        await fill(pilot, w_anthropic="x", w_subdomain="acme.example.com", w_key_name="GROQ_API_KEY", w_key_value="y")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "is no key of Anthropic (begins with sk-ant-)", "leads to the gateway acme",
                                "is no key of Groq", "is too small for a gateway"))  # fmt: skip
        assert app.focused is app.screen.query_one("#w-anthropic")
        assert app.screen.query_one("#w-subdomain", Input).value == "acme.example.com"


# --- other versions


async def test_an_upgrade_goes_to_a_version_or_an_image() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("U")
        await until(pilot, sees(app, "Upgrade acme", "Now: 2026.9.6", "back by itself"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "to what?"))
        await fill(pilot, u_version="2026.10.1", u_image="x:1")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "an image or a version, not both"))
        await fill(pilot, u_image="")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ acme is upgraded to 2026.10.1; b goes back"))
        assert hub.called("upgrade_gateway") == [("acme", UpgradeGateway(version="2026.10.1"))]


async def test_an_upgrade_that_came_back_says_why() -> None:
    hub = with_instances()
    error = TaskError(code="not_ready", message="it did not become ready; the old one is back")
    hub.answers["upgrade_gateway"] = replace(script.JOB, state="failed", error=error)
    async with shown(hub, (160, 40)) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("U")
        await until(pilot, sees(app, "Upgrade acme"))
        await fill(pilot, u_image="broken:1")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "upgrade acme failed: it did not become ready; the old one is back"))


async def test_many_are_upgraded_as_a_rollout_with_a_canary() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await app.do_words("upgrade-all pro")
        await until(pilot, sees(app, "Upgrade many gateways", "Canary"))
        await fill(pilot, u_version="2026.10.1", u_concurrency="x")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "'x' is not a whole number"))
        await fill(pilot, u_concurrency="3")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ all of pro: upgraded to 2026.10.1"))
        assert hub.called("upgrade_gateways") == [(UpgradeGateways(
            tier="pro", to=UpgradeGateway(version="2026.10.1"),
            rollout=RolloutRequest(canary=1, concurrency=3, stop_on_failures=1),
        ),)]  # fmt: skip
        await app.do_words("upgrade acme borg cato")
        await until(pilot, sees(app, "acme borg", "Left out: cato is upgrading just now"))


async def test_going_back_wants_the_name() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("b")
        await until(pilot, sees(app, "Take acme back?", "openclaw:2026.8.2", "Type acme"))
        await pilot.press(*"acme", "enter")
        await until(pilot, sees(app, "√ acme is what it was before"))
        assert hub.called("roll_back_gateway") == [("acme",)]


# --- backups


async def test_a_backup_stops_or_freezes_it() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, BackupDialog))
        app.screen.query_one("#b-how", Select).value = BackupDialog.PAUSE
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ backup acme — clawtui gateway backup acme --pause"))
        assert hub.called("backup_gateway") == [("acme", BackupGateway(pause=True))]


async def test_restoring_in_place_wants_the_name_and_shows_the_new_token() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("f")
        await until(pilot, sees(app, "Restore which backup?", "84M"))
        await pilot.press("enter")
        await until(pilot, sees(app, "Restore acme from b-2"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, TypeNameDialog))
        await until(pilot, sees(app, "is replaced by the backup", "Type acme"))
        assert not hub.called("restore_gateway")
        await pilot.press(*"acme", "enter")
        await until(pilot, sees(app, "acme is being restored", script.TOKEN))
        assert hub.called("restore_gateway") == [(RestoreGateway(backup="b-2"),)]
        await pilot.press(*"saved", "enter")
        await until(pilot, lambda: script.TOKEN not in text_of(app))


async def test_restoring_as_another_one_takes_nothing_away_and_asks_no_name() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("f")
        await until(pilot, sees(app, "Restore which backup?"))
        await pilot.press("down", "enter")
        await until(pilot, sees(app, "Restore acme from b-1"))
        await fill(pilot, r_name="acme-2")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "acme-2 is being restored"))
        assert hub.called("restore_gateway") == [(RestoreGateway(backup="b-1", name="acme-2"),)]


async def test_a_backup_is_deleted_by_its_typed_id_and_none_is_said() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await app.do_words("delete-backup acme")
        await until(pilot, sees(app, "Delete which backup?"))
        await pilot.press("enter")
        await until(pilot, sees(app, "Delete the backup?", "Type b-2"))
        await pilot.press(*"b-2", "enter")
        await until(pilot, lambda: hub.called("delete_gateway_backup") == [("b-2",)])
        await app.do_words("restore-gateway dune")
        await until(pilot, sees(app, "there is no backup of dune", "B makes one"))


# --- import and destroy


async def test_a_container_is_imported() -> None:
    hub = with_instances()
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await app.do_words("import-gateway old")
        await until(pilot, sees(app, "Import a gateway that exists"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "a container or a state folder"))
        await fill(pilot, i_container="openclaw-1", i_token="/srv/token")
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "√ old is run by the hub from now on"))
        assert hub.called("import_gateway") == [
            (ImportGateway(name="old", container="openclaw-1", token_file="/srv/token", tier="pro"),)
        ]


@pytest.mark.parametrize("size", SIZES)
async def test_destroying_shows_the_plan_and_wants_the_name(size: tuple[int, int]) -> None:
    hub = with_instances()
    async with shown(hub, size) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, DestroyDialog))
        await until(pilot, sees(app, "Destroy acme?", "volume openclaw-cell-acme-state", "its 2 backups too", "Type"))
        await pilot.press("escape")
        assert not hub.called("destroy_gateway")
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, DestroyDialog))
        app.screen.query_one(Checkbox).value = True
        await pilot.press(*"acme", "enter")
        await until(pilot, sees(app, "√ acme is destroyed — clawtui gateway destroy acme"))
        assert hub.called("destroy_gateway") == [("acme", DestroyGateway(data=True, backups=True))]


async def test_what_the_hub_cannot_do_yet_is_said() -> None:
    hub = with_instances()
    hub.answers["plan_destroy_gateway"] = Conflict("a job works on acme", hint="wait for it")
    async with shown(hub) as (app, pilot):
        await at_gateways(app, pilot)
        await pilot.press("X")
        await until(pilot, sees(app, "a job works on acme — wait for it"))
