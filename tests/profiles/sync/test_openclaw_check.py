"""Our own look at a configuration: what stops a gateway, and what only surprises.

What is expected here is what `openclaw config validate` of both versions said to the same texts.
"""

from __future__ import annotations

import pytest

from profiles.sync.openclaw import check_config, inspect_config, shape_for
from profiles.sync.openclaw_roster import Shape

NEW, OLD = "2026.9.6", "2026.7.35"
LOCAL = "gateway:{mode:'local'}"


def agents(text: str) -> str:
    return f"{{{LOCAL},agents:{{{text}}}}}"


@pytest.mark.parametrize("version", [NEW, None])
@pytest.mark.parametrize(
    "text",
    [
        agents("entries:{a:{}}"),
        agents("entries:{a:{},b:{}},ownership:'explicit'"),
        agents("list:[{id:'a',default:true},{id:'b'}]"),
        agents("list:[{id:'a'},{id:'b'}],ownership:'explicit'"),
        agents("entries:{a:{model:{primary:'x/y'},skills:[],tools:{},identity:{emoji:'x'},default:false}}"),
        agents("defaults:{systemAgent:{agentId:'a'}},entries:{a:{}}"),
        f"{{{LOCAL}}}",
    ],
)
def test_what_gateways_take_has_no_problem(text: str, version: str | None) -> None:
    assert check_config(text, version) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1, column 2: this is no valid JSON5"),
        ("[]", "the file is not an object"),
        (f"{{{LOCAL},foo:1}}", "foo: is not known to gateways"),
        (f"{{{LOCAL},load:{{extraDirs:[]}}}}", "load: is not known to gateways. It is skills.load."),
        (f"{{{LOCAL},chanels:{{}}}}", "chanels: is not known to gateways. Did you mean channels?"),
        ("{gateway:5}", "gateway: is not an object"),
        ("{gateway:{mode:'local',bind:'127.0.0.1'}}", "gateway.bind: '127.0.0.1' is none of auto, custom, lan"),
        ("{gateway:{mode:'local',bind:[]}}", "gateway.bind: [] is none of"),
        ("{gateway:{mode:'local',reload:{mode:'hot'}}}", "gateway.reload.mode: 'hot' is none of hybrid, off"),
        ("{gateway:{mode:'local',reload:{mode:'hybrid',debounceMs:1}}}", "gateway.reload.debounceMs: is not known"),
        (f"{{{LOCAL},agents:[]}}", "agents: is not an object"),
        (agents("entries:{},ownership:'explicit'"), "agents.entries: is empty"),
        (agents("entries:[]"), "agents.entries: is not an object"),
        (agents("list:{}"), "agents.list: is not a list"),
        (agents("entries:{a:{}},list:[]"), "agents: has both entries and list"),
        (agents("entries:{a:{},b:{}}"), 'agents.ownership: "explicit" is missing'),
        (agents("entries:{a:{default:true},b:{}},ownership:'explicit'"), "agents.entries.a.default: cannot be beside"),
        (agents("list:[{id:'a',default:true},{id:'b'}],ownership:'explicit'"), "agents.ownership: cannot be beside"),
        (agents("entries:{a:{}},ownership:'mine'"), 'agents.ownership: is not "explicit"'),
        (agents("list:[{id:'a'},{id:'b'}]"), "0 agents have default: true, exactly one must"),
        (agents("list:[{id:'a',default:true},{id:'b',default:true}]"), "2 agents have default: true"),
        (agents("list:[{id:'a'},{id:'a'}],ownership:'explicit'"), "agents.list[1]: a is there twice"),
        (agents("list:[{}]"), "agents.list[0]: has no id"),
        (agents("list:[5]"), "agents.list[0]: has no id"),
        (agents("entries:{Upper:{}}"), "'Upper' is no agent id"),
        (agents(f"entries:{{{'a' * 65}:{{}}}}"), "is no agent id"),
        (agents("entries:{a:5}"), "agents.entries.a: is not an object"),
        (agents("entries:{a:{role:'x'}}"), "agents.entries.a.role: is not known to gateways. The role belongs"),
        (agents("entries:{a:{id:'a'}}"), "agents.entries.a.id: is not known"),
        (agents("entries:{a:{temperature:1}}"), "agents.entries.a.temperature: is not known to gateways. It goes"),
        (agents("entries:{a:{workspce:'x'}}"), "Did you mean workspace?"),
        (agents("entries:{a:{memorySearch:{}}}"), "agents.entries.a.memorySearch: is not known"),
        (agents("entries:{a:{identity:{color:1}}}"), "agents.entries.a.identity.color: is not known"),
        (agents("entries:{a:{identity:5}}"), "agents.entries.a.identity: is not an object"),
        (agents("entries:{a:{identity:{avatar:'../x.png'}}}"), "identity.avatar: leads out of"),
        (agents("entries:{a:{skills:'x'}}"), "agents.entries.a.skills: is not a list of names"),
        (agents("entries:{a:{name:5}}"), "agents.entries.a.name: is not a text"),
        (agents("entries:{a:{model:5}}"), "agents.entries.a.model: is neither"),
        (agents("defaults:{systemAgent:'a'},entries:{a:{}}"), "agents.defaults.systemAgent: has no agentId"),
    ],
)
def test_what_gateways_refuse_is_named_with_its_place(text: str, said: str) -> None:
    assert any(said in problem for problem in check_config(text, NEW)), check_config(text, NEW)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (agents("entries:{a:{}}"), "agents.entries: gateway 2026.7.35 takes agents.list only"),
        (agents("list:[{id:'a'}],ownership:'explicit'"), "agents.ownership: is not known to gateway 2026.7.35"),
        (agents("list:[{id:'a'}],defaults:{systemAgent:{agentId:'a'}}"), "agents.defaults.systemAgent: is not known"),
        (agents("list:[{id:'a',typingMode:'x'}]"), "agents.list[0].typingMode: is not known"),
    ],
)
def test_what_only_older_gateways_refuse(text: str, said: str) -> None:
    assert any(said in problem for problem in check_config(text, OLD))
    assert check_config(text, NEW) == ()


@pytest.mark.parametrize("version", ["2026.10.0", "2027.1.3"])
def test_a_newer_gateway_may_know_more_keys(version: str) -> None:
    text = "{gateway:{mode:'local'},new:1,agents:{entries:{a:{newer:1,identity:{newest:1}}}}}"
    assert check_config(text, version) == ()
    assert [finding.place for finding in inspect_config(text, version)] == [
        "new", "agents.entries.a.newer", "agents.entries.a.identity.newest",
    ]  # fmt: skip
    assert len(check_config(text, NEW)) == 3
    assert check_config(agents("entries:{a:{role:'x'},B:{}}"), version) != ()


def test_a_version_between_may_have_the_keys_of_both_sides() -> None:
    assert check_config(agents("entries:{a:{memorySearch:{},typingMode:'x'}}"), "2026.8.2") == ()


def test_what_only_older_gateways_take() -> None:
    for text in (
        agents("list:[{id:'a'},{id:'b',memorySearch:{}}]"),
        "{gateway:{mode:'local',reload:{mode:'hot',debounceMs:300}}}",
    ):
        assert check_config(text, OLD) == ()
        assert check_config(text, NEW)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{gateway:{mode:'local',auth:{token:'s'}}}", "gateway.auth.token"),
        ("{gateway:{mode:'local',reload:{mode:'off'}}}", "gateway.reload.mode"),
        ("{agents:{entries:{a:{}}}}", "gateway.mode"),
        ("{gateway:{}}", "gateway.mode"),
        (agents("entries:{a:{}},defaults:{systemAgent:{agentId:'b'}}"), "agents.defaults.systemAgent.agentId"),
        (agents("entries:{a:{workspace:'${root}/a'}}"), "agents.entries.a.workspace"),
        (agents("entries:{a:{skills:['${1X}']}}"), "agents.entries.a.skills[0]"),
    ],
)
def test_what_only_surprises_is_a_warning(text: str, place: str) -> None:
    assert [(finding.place, finding.fatal) for finding in inspect_config(text, NEW)] == [(place, False)]
    assert check_config(text, NEW) == ()


def test_variables_in_capitals_and_escaped_ones_are_as_they_shall_be() -> None:
    assert inspect_config(agents("entries:{a:{name:'$${x}',workspace:'${ROOT_1}/${_A}'}}")) == ()


def test_a_token_is_never_shown() -> None:
    findings = inspect_config("{gateway:{mode:'local',auth:{token:'s3cret-${x}'}}}")
    assert findings
    assert "s3cret" not in " ".join(map(str, findings))


@pytest.mark.parametrize(
    ("version", "shape"),
    [
        ("2026.9.6", Shape.ENTRIES),
        ("2026.8.0", Shape.ENTRIES),
        (" v2026.8.2-1 ", Shape.ENTRIES),
        ("2026.7.35", Shape.LIST),
        ("2025.12.1", Shape.LIST),
        ("2027.1", Shape.ENTRIES),
        ("unknown", Shape.LIST),
        ("2026", Shape.LIST),
        ("", Shape.LIST),
        (None, Shape.LIST),
    ],
)
def test_shapes_by_version(version: str | None, shape: Shape) -> None:
    assert shape_for(version) is shape


def test_the_sample_of_a_real_gateway() -> None:
    text = """{"gateway":{"mode":"local","bind":"loopback","auth":{"mode":"token"},"reload":{"mode":"hybrid"},
      "http":{"endpoints":{"responses":{"enabled":true}}}},
      "agents":{"defaults":{"skipBootstrap":true,"model":"stub/stub-1","workspace":"${OPENCLAW_LAB_DIR}/agents",
      "systemAgent":{"agentId":"squad-lead"},"heartbeat":{"every":"0m"}},"ownership":"explicit",
      "entries":{"squad-lead":{"skills":["triage"],"name":"Squad Lead","identity":{"name":"Squad Lead"}},"qa":{}}}}"""
    assert inspect_config(text, NEW) == ()
