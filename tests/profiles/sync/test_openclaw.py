"""The merge of a roster into a gateway's configuration: only our keys change."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.sync.errors import ConfigError
from profiles.sync.openclaw import Merged, Roster, RosterEntry, Shape, check_config, merge_config
from profiles.sync.openclaw_json5 import parse, plain

NEW, OLD = "2026.9.6", "2026.7.35"
HUMAN = """\
// what this gateway is for
{
  gateway: { mode: 'local', port: 18789 }, // the usual port
  "agents": {
    defaults: { model: "anthropic/claude-sonnet-4-5", skipBootstrap: true, },
    ownership: 'explicit',
    /* of other people */
    entries: {
      boss: { workspace: "/w/boss", tools: { deny: ['exec'] } }, // do not touch
      // behaves well
      engineer: {
        name: 'Engineer',
        workspace: '/data/engineer',
        identity: { name: 'Engineer' },
        skills: [],
        heartbeat: { every: '2h' }, // by hand
        params: { temperature: .2 },
      },
      writer: { name: "Writer" },
    },
  },
  channels: { telegram: { enabled: true, }, },
}
"""


def entry(slug: str, **more: Any) -> RosterEntry:
    given = {"name": slug.capitalize(), "workspace": f"/data/{slug}", **more}
    return RosterEntry(slug=slug, **given)


def roster(*slugs: str, **more: Any) -> Roster:
    return Roster(entries=tuple(entry(slug) for slug in slugs), **more)


def merged(text: str | None, wanted: Roster, version: str | None = NEW, **more: Any) -> Merged:
    return merge_config(text, wanted, more.pop("shape", Shape.AUTO), version, **more)


def value(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", plain(parse(text).root))


def owned(*slugs: str) -> frozenset[str]:
    return frozenset(slugs)


# --- a new file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "", " \n\t"])
def test_a_new_file_has_what_a_gateway_needs(text: str | None) -> None:
    done = merged(text, roster("lead", "qa"))
    assert done.changed
    assert value(done.text) == {
        "gateway": {"mode": "local", "http": {"endpoints": {"responses": {"enabled": True}}}},
        "agents": {
            "defaults": {"heartbeat": {"every": "0m"}, "skipBootstrap": True, "systemAgent": {"agentId": "lead"}},
            "ownership": "explicit",
            "entries": {
                slug: {"name": name, "workspace": f"/data/{slug}", "identity": {"name": name}, "skills": []}
                for slug, name in (("lead", "Lead"), ("qa", "Qa"))
            },
        },
    }
    assert done.text.endswith("}\n")
    assert check_config(done.text, NEW) == ()
    assert done.notes == ()


def test_a_new_file_for_an_older_gateway_has_a_list_with_one_default() -> None:
    done = merged(None, roster("lead", "qa", system_slug="qa"), OLD)
    agents = value(done.text)["agents"]
    assert [(agent["id"], agent.get("default")) for agent in agents["list"]] == [("lead", None), ("qa", True)]
    assert "ownership" not in agents
    assert "systemAgent" not in agents["defaults"]
    assert check_config(done.text, OLD) == ()


def test_all_that_a_persona_says_is_in_its_entry() -> None:
    full = RosterEntry(
        slug="a", name='A "quoted"', workspace="/w/a", theme="calm", emoji="\U0001f980", avatar="a.png",
        model="x/y", skills=("one", "two"),
    )  # fmt: skip
    agent = value(merged(None, Roster(entries=(full,))).text)["agents"]["entries"]["a"]
    assert agent == {
        "name": 'A "quoted"',
        "workspace": "/w/a",
        "identity": {"name": 'A "quoted"', "theme": "calm", "emoji": "\U0001f980", "avatar": "a.png"},
        "model": "x/y",
        "skills": ["one", "two"],
    }


def test_without_skills_named_all_are_allowed() -> None:
    agent = value(merged(None, Roster(entries=(entry("a", skills=None),))).text)["agents"]["entries"]["a"]
    assert "skills" not in agent


# --- an existing file --------------------------------------------------------------------------------


def test_what_is_in_step_stays_byte_for_byte() -> None:
    done = merged(HUMAN, roster("engineer"), owned=owned("engineer"))
    assert not done.changed
    assert done.text == HUMAN


def test_one_changed_key_changes_one_place() -> None:
    wanted = Roster(entries=(entry("engineer", skills=("triage",)),))
    done = merged(HUMAN, wanted, owned=owned("engineer"))
    assert done.changed
    new = """        skills: [
          "triage"
        ],
"""
    assert done.text == HUMAN.replace("        skills: [],\n", new)


def test_an_agent_that_vanished_goes_and_comments_stay() -> None:
    done = merged(HUMAN, roster("qa"), owned=owned("engineer"))
    found = value(done.text)
    assert list(found["agents"]["entries"]) == ["boss", "writer", "qa"]
    assert found["agents"]["entries"]["boss"] == {"workspace": "/w/boss", "tools": {"deny": ["exec"]}}
    for comment in (
        "// what this gateway",
        "// the usual port",
        "/* of other people */",
        "// do not",
        "// behaves well",
    ):
        assert comment in done.text
    assert check_config(done.text, NEW) == ()


def test_what_people_add_to_our_entries_stays() -> None:
    done = merged(HUMAN, Roster(entries=(entry("engineer", model="x/y", emoji="E"),)), owned=owned("engineer"))
    agent = value(done.text)["agents"]["entries"]["engineer"]
    assert agent["heartbeat"] == {"every": "2h"}
    assert agent["params"] == {"temperature": 0.2}
    assert agent["model"] == "x/y"
    assert agent["identity"] == {"name": "Engineer", "emoji": "E"}
    assert "temperature: .2" in done.text
    back = merged(done.text, roster("engineer"), owned=owned("engineer"))
    assert "model" not in value(back.text)["agents"]["entries"]["engineer"]
    assert value(back.text) == value(HUMAN)


def test_fallbacks_that_people_add_to_a_model_stay() -> None:
    text = HUMAN.replace("skills: [],", "skills: [], model: { primary: 'a/b', fallbacks: ['c/d'] },")
    done = merged(text, Roster(entries=(entry("engineer", model="x/y"),)), owned=owned("engineer"))
    assert value(done.text)["agents"]["entries"]["engineer"]["model"] == {"primary": "x/y", "fallbacks": ["c/d"]}


def test_an_agent_of_somebody_else_becomes_ours_and_that_is_said() -> None:
    done = merged(HUMAN, roster("writer"))
    assert done.taken == ("writer",)
    assert value(done.text)["agents"]["entries"]["writer"]["workspace"] == "/data/writer"


def test_an_entry_that_somebody_broke_is_written_anew() -> None:
    done = merged('{agents:{entries:{a:null,b:{}},ownership:"explicit"}}', roster("a"), owned=owned("a"))
    assert value(done.text)["agents"]["entries"]["a"]["workspace"] == "/data/a"


def test_nothing_but_agents_is_added_to_an_existing_file() -> None:
    assert set(value(merged("{}", roster("a")).text)) == {"agents"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"agents":{"entries":{"z":{}}}}', '"entries":{"z":{}, "a": { "name": "A", '),
        ("{agents: {entries: {z: {}}}}", "entries: {z: {}, a: { name: "),
        ("{\n\tagents: {\n\t\tentries: {\n\t\t\tz: {},\n\t\t},\n\t},\n}", "\t\t\tz: {},\n\t\t\ta: {\n\t\t\t\tname: "),
        ("{\r\n 'agents': {\r\n  'entries': {'z': {}}}}", "'z': {}, \"a\": {"),
        ("{agents: {entries: {z: {} // last\n}}}", "z: {}, // last\n"),
    ],
)
def test_what_is_new_is_written_as_its_surroundings_are(text: str, expected: str) -> None:
    done = merged(text, roster("a"))
    assert expected in done.text
    assert list(value(done.text)["agents"]["entries"]) == ["z", "a"]
    if "\r\n" in text:
        assert "\n" not in done.text.replace("\r\n", "")


def test_plain_json_stays_plain_json() -> None:
    text = json.dumps({"agents": {"ownership": "explicit", "entries": {"a": {}, "b": {}, "c": {}}}}, indent=2)
    for slugs in ((), ("c",), ("a", "b", "c"), ("z",)):
        done = merged(text, roster("a", *slugs), owned=owned("a", "b", "c"))
        assert json.loads(done.text) == value(done.text)


# --- shapes -----------------------------------------------------------------------------------------


def test_the_older_shape_becomes_the_newer_one_with_everybody_in_it() -> None:
    text = """{
  agents: { list: [
    // first
    { id: 'boss', default: true, tools: {deny: []} },
    { name: "Qa", /* here */ id: "qa", params: { temperature: 1 } }
  ] },
}"""
    done = merged(text, roster("qa"), owned=owned("qa"))
    agents = value(done.text)["agents"]
    assert "list" not in agents
    assert agents["ownership"] == "explicit"
    assert agents["entries"]["boss"] == {"tools": {"deny": []}}
    assert agents["entries"]["qa"]["params"] == {"temperature": 1}
    assert agents["defaults"]["systemAgent"] == {"agentId": "boss"}
    assert "// first" in done.text
    assert "/* here */" in done.text
    assert check_config(done.text, NEW) == ()


def test_the_newer_shape_becomes_the_older_one_and_back() -> None:
    before = merged(HUMAN, roster("engineer", system_slug="engineer"), owned=owned("engineer"))
    old = merged(before.text, roster("engineer"), OLD, owned=owned("engineer"))
    agents = value(old.text)["agents"]
    assert [agent["id"] for agent in agents["list"]] == ["boss", "engineer", "writer"]
    assert [agent["id"] for agent in agents["list"] if agent.get("default")] == ["engineer"]
    assert not {"ownership", "entries"} & set(agents)
    assert check_config(old.text, OLD) == ()
    back = merged(old.text, roster("engineer"), NEW, owned=owned("engineer"))
    assert value(back.text) == value(before.text)
    for comment in re.findall(r"//.*|/\*.*?\*/", HUMAN):
        assert comment in back.text


@pytest.mark.parametrize(
    ("text", "version", "shape", "kind"),
    [
        (None, None, Shape.AUTO, "list"),
        (None, "nightly", Shape.AUTO, "list"),
        (None, "v2026.8.0-beta.1", Shape.AUTO, "entries"),
        (None, "2027.1.0", Shape.AUTO, "entries"),
        (None, "2026.10.1", Shape.AUTO, "entries"),
        (None, OLD, Shape.ENTRIES, "entries"),
        (None, NEW, Shape.LIST, "list"),
        (HUMAN, None, Shape.AUTO, "entries"),
        ("{agents:{list:[{id:'a'}]}}", None, Shape.AUTO, "list"),
        ("{agents:{list:[{id:'a'}],ownership:'explicit'}}", None, Shape.AUTO, "entries"),
    ],
)
def test_the_shape_is_the_versions_or_the_one_that_was_set(
    text: str | None, version: str | None, shape: Shape, kind: str
) -> None:
    agents = value(merged(text, roster("a"), version, shape=shape).text)["agents"]
    assert {"entries", "list"} & set(agents) == {kind}


# --- who acts where nobody is named --------------------------------------------------------------------


def test_an_existing_file_gets_no_system_agent_unasked() -> None:
    done = merged(HUMAN, roster("engineer"), owned=owned("engineer"))
    assert "systemAgent" not in value(done.text)["agents"]["defaults"]


def test_who_is_asked_for_acts_and_what_that_costs_is_said() -> None:
    done = merged(HUMAN, roster("engineer", system_slug="engineer"))
    assert value(done.text)["agents"]["defaults"]["systemAgent"] == {"agentId": "engineer"}
    assert any("every 30 minutes" in note for note in done.notes)
    again = merged(done.text, roster("engineer", system_slug="engineer"), owned=owned("engineer"))
    assert (again.changed, again.notes) == (False, ())


def test_who_is_asked_for_and_missing_is_said() -> None:
    done = merged(None, roster("a", system_slug="gone"))
    assert value(done.text)["agents"]["defaults"]["systemAgent"] == {"agentId": "a"}
    assert any(note.startswith("gone shall act") for note in done.notes)


def test_a_system_agent_that_vanished_is_followed_by_another() -> None:
    before = merged(None, roster("a", "b"))
    after = merged(before.text, roster("b"), owned=owned("a", "b"))
    assert value(after.text)["agents"]["defaults"]["systemAgent"] == {"agentId": "b"}
    assert check_config(after.text, NEW) == ()


def test_a_list_keeps_its_default_and_has_only_one() -> None:
    text = "{agents:{list:[{id:'a',default:true},{id:'b',default:true},{id:'c',default:false}]}}"
    done = merged(text, roster("b"), OLD)
    marks = {agent["id"]: agent.get("default") for agent in value(done.text)["agents"]["list"]}
    assert marks == {"a": True, "b": None, "c": False}


def test_a_mark_beside_the_newer_shape_goes() -> None:
    text = "{agents:{entries:{a:{default:true},b:{}},ownership:'explicit'}}"
    done = merged(text, roster("b"))
    assert "default" not in value(done.text)["agents"]["entries"]["a"]
    assert value(done.text)["agents"]["defaults"]["systemAgent"] == {"agentId": "a"}


@pytest.mark.parametrize("text", ["{agents:{$include:'./a.json5'}}", "{'$include':['./a.json5'],agents:{}}"])
def test_files_that_are_included_stay_and_that_is_said(text: str) -> None:
    done = merged(text, roster("a"))
    assert "./a.json5" in done.text
    assert any("$include" in note for note in done.notes)


# --- skills ------------------------------------------------------------------------------------------


def test_skills_are_switched_on_unless_the_file_says_something() -> None:
    text = "{skills:{entries:{mine:{enabled:false},other:{apiKey:'${KEY}'}}},agents:{entries:{a:{}}}}"
    done = merged(text, roster("a", skills=("mine", "new", "other")))
    assert value(done.text)["skills"]["entries"] == {
        "mine": {"enabled": False}, "other": {"apiKey": "${KEY}"}, "new": {"enabled": True},
    }  # fmt: skip
    assert any("mine is switched off" in note for note in done.notes)
    after = merged(done.text, roster("a"), owned=owned("a"), owned_skills=owned("mine", "new", "other"))
    assert set(value(after.text)["skills"]["entries"]) == {"mine", "other"}


def test_without_skills_the_file_says_nothing_of_them() -> None:
    assert "skills" not in value(merged("{}", roster("a"), owned_skills=owned("x")).text)


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("{agents:\n [1,,]}", "line 2, column 5: this is no valid JSON5", 2),
        ("[]", "the file is not an object", 1),
        ("{\n agents: 5}", "agents is not an object", 2),
        ("{agents:{defaults:[]}}", "defaults is not an object", 1),
        ("{agents:{entries:[]}}", "agents.entries is not an object", 1),
        ("{agents:{\nlist:{}}}", "agents.list is not a list", 2),
        ("{agents:{entries:{},list:[]}}", "both entries and list", 1),
        ("{agents:{list:[{name:'x'}]}}", "has no id", 1),
        ("{agents:{list:[\n{id:'x'},\n{id:'x'}]}}", "agent x is there twice", 3),
        ("{agents:{entries:{x:{},\nx:{}}}}", "agent x is there twice", 2),
        ("{agents:{list:[5]}}", "an agent in agents.list is not an object", 1),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(text: str, said: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        merged(text, roster("a"))
    assert said in caught.value.message
    assert caught.value.line == line
    assert caught.value.hint


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("text", [None, "{}", "{agents:{entries:{a:{}}}}", "{agents:{list:[{id:'a'}]}}"])
def test_a_file_without_any_agent_is_refused(text: str | None, version: str) -> None:
    with pytest.raises(ConfigError, match="without agents"):
        merged(text, roster(), version, owned=owned("a"))


def test_without_personas_the_agents_of_others_stay() -> None:
    done = merged(HUMAN, roster(), owned=owned("engineer"))
    assert list(value(done.text)["agents"]["entries"]) == ["boss", "writer"]


def test_no_text_of_a_persona_is_replaced_by_the_gateways_environment() -> None:
    wanted = RosterEntry(slug="a", name="${OPENCLAW_GATEWAY_TOKEN}", workspace="${ROOT}/a", theme="$${X} ${low}")
    agent = value(merged(None, Roster(entries=(wanted,))).text)["agents"]["entries"]["a"]
    assert agent["name"] == "$${OPENCLAW_GATEWAY_TOKEN}"
    assert agent["identity"]["theme"] == "$$${X} ${low}"
    assert agent["workspace"] == "${ROOT}/a"


@pytest.mark.parametrize("avatar", ["/etc/x.png", "../x.png", "~/x", "a/../../x", "file:///x", "..\\x", "."])
def test_an_avatar_that_no_gateway_takes_is_left_out(avatar: str) -> None:
    done = merged(None, Roster(entries=(entry("a", avatar=avatar),)))
    assert "avatar" not in value(done.text)["agents"]["entries"]["a"]["identity"]
    assert any("avatar" in note for note in done.notes)


@pytest.mark.parametrize("avatar", ["a.png", "./a/../b.png", "https://x/y", "DATA:image/png;base64,AA", "${X}.png"])
def test_an_avatar_that_gateways_take_is_written(avatar: str) -> None:
    done = merged(None, Roster(entries=(entry("a", avatar=avatar),)))
    assert value(done.text)["agents"]["entries"]["a"]["identity"]["avatar"].replace("$$", "$") == avatar
    assert check_config(done.text, NEW) == ()


# --- any document --------------------------------------------------------------------------------------

_SLUGS = st.sampled_from(["a", "b", "c-1", "d_2", "e"])
_KEYS = st.sampled_from(["mode", "enabled", "x-y", "tools", "\u00e9", "heartbeat", "a b", "true"]) | st.text(max_size=4)
_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=6
)
_ENTRY = st.dictionaries(st.sampled_from(["tools", "params", "heartbeat", "groupChat"]), _VALUES, max_size=3)
_ENTRIES = st.dictionaries(_SLUGS, _ENTRY, max_size=5)
_FREE = st.dictionaries(_KEYS.filter(lambda key: key not in ("agents", "skills")), _VALUES, max_size=4)


class Written:
    """Writes values as JSON5, as people do: comments everywhere, both quotes, bare keys, commas at ends."""

    def __init__(self, draw: st.DrawFn, newline: str) -> None:
        self._draw = draw
        self._newline = newline
        self.comments: list[str] = []

    def text(self, item: object, depth: int = 0) -> str:
        if isinstance(item, dict):
            members = [
                f"{self.gap(depth)}{self._key(key)}{self.gap(depth)}:{self.gap(depth)}{self.text(each, depth + 1)}"
                for key, each in cast("Mapping[str, object]", item).items()
            ]
            return "{" + self._listed(members, depth) + "}"
        if isinstance(item, list):
            return "[" + self._listed([self.gap(depth) + self.text(each, depth + 1) for each in item], depth) + "]"
        return self._scalar(item)

    def gap(self, depth: int) -> str:
        indent = "  " * depth
        kind = self._draw(st.sampled_from(["", "", " ", "\n", "block", "line"]))
        if kind == "block":
            return f" {self._comment('/*', '*/')} "
        if kind == "line":
            return f" {self._comment('//', '')}{self._newline}{indent}"
        return kind.replace("\n", self._newline + indent)

    def _listed(self, parts: list[str], depth: int) -> str:
        trailing = "," if parts and self._draw(st.booleans()) else ""
        return f"{self.gap(depth)},".join(parts) + self.gap(depth) + trailing + self.gap(depth)

    def _comment(self, opening: str, closing: str) -> str:
        comment = f"{opening}c{len(self.comments)}.{closing}"
        self.comments.append(comment)
        return comment

    def _key(self, key: str) -> str:
        bare = re.fullmatch(r"[A-Za-z_]+", key) and self._draw(st.booleans())
        return key if bare else self._scalar(key)

    def _scalar(self, item: object) -> str:
        if not isinstance(item, str):
            return json.dumps(item)
        quote = self._draw(st.sampled_from("'\""))
        escaped = item.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n").replace("\r", "\\r")
        return f"{quote}{escaped}{quote}"


class Case:
    def __init__(self, text: str, comments: list[str]) -> None:
        self.text = text
        self.comments = comments

    def __repr__(self) -> str:
        return f"Case({self.text!r})"


@st.composite
def documents(draw: st.DrawFn) -> Case:
    free = draw(_FREE)
    entries = draw(_ENTRIES)
    agents: dict[str, Any] = {"defaults": draw(_FREE.filter(lambda it: "heartbeat" not in it))}
    if draw(st.booleans()):
        agents["entries"] = entries
        agents["ownership"] = "explicit"
    else:
        agents["list"] = [{**it, "id": slug} for slug, it in entries.items()]
    members = {**free, "agents": agents}
    order = draw(st.permutations(list(members)))
    writer = Written(draw, draw(st.sampled_from(["\n", "\r\n"])))
    text = writer.gap(0) + writer.text({key: members[key] for key in order}) + writer.gap(0)
    return Case(text, [comment for comment in writer.comments if comment in text])


def unmanaged(text: str, ours: frozenset[str]) -> tuple[Any, Any, dict[str, Any]]:
    """Return what is not ours: everything outside of agents, the defaults, and of every agent the other keys."""
    root = value(text)
    agents = root.pop("agents")
    listed = agents.get("list", [])
    entries = agents.get("entries") or {it["id"]: it for it in listed}
    managed = {"name", "workspace", "identity", "model", "skills"}
    left = {
        slug: {key: it for key, it in agent.items() if key not in {"id", "default", *(managed if slug in ours else ())}}
        for slug, agent in entries.items()
    }
    defaults = {key: it for key, it in agents["defaults"].items() if key not in ("skipBootstrap", "systemAgent")}
    return root, defaults, left


@given(documents(), st.sets(_SLUGS, min_size=1), st.sets(_SLUGS), st.sampled_from([NEW, OLD, None]))
def test_whatever_is_not_ours_survives_a_merge(
    case: Case, wanted: set[str], before: set[str], version: str | None
) -> None:
    ours = frozenset(wanted | before)
    done = merged(case.text, roster(*sorted(wanted)), version, owned=frozenset(before))
    root, defaults, left = unmanaged(case.text, ours)
    for slug in before - wanted:
        left.pop(slug, None)
    new_root, new_defaults, new_left = unmanaged(done.text, ours)
    assert new_root == root
    assert new_defaults == defaults
    assert {slug: it for slug, it in new_left.items() if slug in left} == left
    assert set(new_left) == set(left) | wanted
    assert [slug for slug in new_left if slug in left] == list(left)
    again = merged(done.text, roster(*sorted(wanted)), version, owned=frozenset(wanted))
    assert again.text == done.text
    assert not again.changed


@given(documents(), st.sets(_SLUGS, min_size=1), st.sampled_from([NEW, OLD]))
def test_comments_survive_a_merge_that_removes_nobody(case: Case, wanted: set[str], version: str) -> None:
    done = merged(case.text, roster(*sorted(wanted)), version)
    assert [comment for comment in case.comments if comment not in done.text] == []
