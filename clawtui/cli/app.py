"""The command line's entry: options of every verb, the table of verbs, and how a call ends.

A verb's module is imported only when the verb is called: `clawtui list` answers at once.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from clawtui import __version__
from clawtui.cli import exits
from clawtui.cli.output import Mode, Output
from clawtui.cli.start import start
from clawtui.cli.words import prepared, verb_position
from clawtui.cli.world import Context, World
from clawtui.errors import UsageError
from clawtui.settings import load_settings
from hub.errors import HubError

VERBS: Final[dict[str, str]] = {
    "create": "clawtui.cli.lifecycle:create",
    "list": "clawtui.cli.agents:list_agents",
    "status": "clawtui.cli.agents:status",
    "exec": "clawtui.cli.execute:execute",
    "task": "clawtui.cli.tasks:task",
    "tasks": "clawtui.cli.tasks:tasks",
    "logs": "clawtui.cli.agents:logs",
    "shell": "clawtui.cli.terminal:shell",
    "start": "clawtui.cli.lifecycle:start",
    "stop": "clawtui.cli.lifecycle:stop",
    "restart": "clawtui.cli.lifecycle:restart",
    "pause": "clawtui.cli.lifecycle:pause",
    "resume": "clawtui.cli.lifecycle:resume",
    "upgrade": "clawtui.cli.lifecycle:upgrade",
    "destroy": "clawtui.cli.lifecycle:destroy",
    "register": "clawtui.cli.lifecycle:register",
    "release": "clawtui.cli.lifecycle:release",
    "adopt": "clawtui.cli.lifecycle:adopt",
    "profile": "clawtui.cli.profile:profile",
    "image": "clawtui.cli.image:image",
    "network": "clawtui.cli.network:network",
    "compose": "clawtui.cli.compose:compose",
    "monitoring": "clawtui.cli.monitoring:monitoring",
    "snapshot": "clawtui.cli.snapshots:snapshot",
    "snapshots": "clawtui.cli.snapshots:snapshots",
    "restore": "clawtui.cli.snapshots:restore",
    "fork": "clawtui.cli.snapshots:fork",
    "disk": "clawtui.cli.disk:disk",
    "prune": "clawtui.cli.disk:prune",
    "repair": "clawtui.cli.disk:repair",
    "sync": "clawtui.cli.sync:sync",
    "gateway": "clawtui.cli.gateway:gateway",
    "host": "clawtui.cli.host:host",
    "message": "clawtui.cli.message:message",
    "jobs": "clawtui.cli.admin:jobs",
    "policy": "clawtui.cli.admin:policy",
    "token": "clawtui.cli.admin:token",
    "audit": "clawtui.cli.admin:audit",
    "connections": "clawtui.cli.attention:connections",
    "attention": "clawtui.cli.attention:attention",
    "journal": "clawtui.cli.attention:journal",
    "backup": "clawtui.cli.hub:backup",
    "doctor": "clawtui.cli.hub:doctor",
    "settings": "clawtui.cli.hub:settings",
    "demo": "clawtui.cli.hub:demo",
    "completion": "clawtui.cli.hub:completion",
    "version": "clawtui.cli.hub:version",
}
"""Every verb of this version and where it is."""

EVERYWHERE: Final = Parameter(group=Group("Options of every verb", sort_key=9))


def _default_shown(value: Any) -> Any:
    """Flags that are off and texts that are empty need no word in the help."""
    return value or None


def make_app(world: World) -> App:
    """The whole command line. `app.meta` parses a call and returns what the verb returns."""
    app = App(
        name=world.program,
        version=__version__,
        help="Run real work on a fleet of agents, and lose none of it.",
        default_parameter=Parameter(negative=(), negative_iterable=(), show_default=_default_shown),
        result_action="return_value",
        help_format="plaintext",
    )
    for verb, where in VERBS.items():
        app.command(where, name=verb)

    @app.command(name="help")
    def show_help(*verb: str) -> int:
        """Show what a verb does and takes."""
        app.help_print(list(verb))
        return exits.DONE

    app.default(start)
    _add_launcher(app, world)
    return app


def _add_launcher(app: App, world: World) -> None:
    @app.meta.default
    def launch(
        *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        hub: Annotated[str | None, EVERYWHERE] = None,
        token_file: Annotated[Path | None, EVERYWHERE] = None,
        ca_file: Annotated[Path | None, EVERYWHERE] = None,
        home: Annotated[Path | None, EVERYWHERE] = None,
        config: Annotated[Path | None, EVERYWHERE] = None,
        json: Annotated[bool, EVERYWHERE] = False,
        plain: Annotated[bool, EVERYWHERE] = False,
    ) -> Any:
        """Parse the verb and call it.

        Args:
            hub: Address of a hub elsewhere, e.g. https://hub.example:9091.
            token_file: File that holds the token for the hub.
            ca_file: Certificates (PEM) to trust for a hub under a private CA.
            home: State folder of the local hub.
            config: Settings file.
            json: Print the HTTP API's JSON.
            plain: Print tab-separated text without colour.
        """
        if json and plain:
            raise UsageError("--json and --plain exclude each other")
        command, bound, injected = app.parse_args(words, exit_on_error=False, print_error=False)
        if "context" in injected:
            named = {"hub": hub, "token_file": token_file, "ca_file": ca_file, "home": home}
            given = {name: str(value) for name, value in named.items() if value is not None}
            settings = load_settings(world.environ, given, config)
            mode = Mode.JSON if json else Mode.PLAIN if plain else Mode.TABLE
            out = Output(mode, world.stdout, world.stderr, colour=world.colour and mode is Mode.TABLE)
            bound.arguments["context"] = Context(world, settings, out)
        return command(*bound.args, **bound.kwargs)


def run(words: Sequence[str], world: World) -> int:
    """Carry out one call and return its exit code; nothing of ours is raised."""
    words = prepared(words)
    verb = verb_position(words)
    executes = verb is not None and words[verb] == "exec"
    try:
        result = make_app(world).meta(words, exit_on_error=False, print_error=False, result_action="return_value")
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
        return result if isinstance(result, int) else exits.DONE
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as exc:  # noqa: BLE001 - the edge to the user
        code = _failed(exits.cause(exc), world)
        return exits.EXEC_FAILED if executes and code != exits.USAGE else code


def _failed(error: BaseException, world: World) -> int:
    """Tell the user and return the exit code."""
    match error:
        case CycloptsError():
            return _usage(error, world)
        case HubError():
            exits.print_error(error, world.stderr)
            return exits.exit_code(error)
        case KeyboardInterrupt() | asyncio.CancelledError():
            world.stderr.write("interrupted\n")
        case BrokenPipeError():
            _close_quietly(world)
        case _:
            exits.report_defect(error, world.stderr)
    return exits.FAILED


def _usage(error: CycloptsError, world: World) -> int:
    message = str(error)
    verb = error.command_chain[0] if error.command_chain else ""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens and not verb:
        word = error.unused_tokens[0]
        nearest = difflib.get_close_matches(word, [*VERBS, "help"], n=1)
        message = f"there is no verb {word!r}" + (f"; did you mean {nearest[0]!r}?" if nearest else "")
    hint = f"{world.program} help{f' {verb}' if verb else ''}"
    exits.print_error(UsageError(message, hint=hint), world.stderr)
    return exits.USAGE


def _close_quietly(world: World) -> None:
    """Nobody reads stdout any more; keep the interpreter from complaining about it at its end."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, world.stdout.fileno())


def main() -> int:
    return run(sys.argv[1:], World())


def docker_agent() -> int:
    return run(sys.argv[1:], World(program="docker-agent", preset_driver="docker"))


def vm_agent() -> int:
    return run(sys.argv[1:], World(program="vm-agent", preset_driver="multipass"))
