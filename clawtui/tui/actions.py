"""Every action of the screen, once: bindings, hints, help, `:` words, palette, menu and docs come from here."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple


class Grade(enum.IntEnum):
    """What an action may break, and so how it is asked for."""

    LOOKS = 0
    """Changes nothing."""
    ACTS = 1
    """Changes something that can be taken back: done at once."""
    STOPS = 2
    """Stops work: asked first, Cancel is the default."""
    LOSES = 3
    """Loses data: the name must be typed."""


class Where(enum.StrEnum):
    """Where an action applies."""

    ANY = "everywhere"
    FLEET = "fleet"
    TASKS = "tasks"
    LOGS = "logs"
    JOURNAL = "journal"
    JOBS = "jobs"
    HUB = "hub"
    OUTPUT = "output"
    ROLLOUT = "rollout"
    SNAPSHOTS = "snapshots"
    DIFFERENCE = "difference"
    PROFILES = "profiles"
    BUILD = "build"
    DISK = "disk"
    SYNC = "sync"
    PERSONA = "persona"
    GATEWAYS = "gateways"
    GATEWAY_LOG = "gateway-log"
    MESSAGES = "messages"
    MIGRATION = "migration"


class Action(NamedTuple):
    """`keys` are defaults; `words`: what `:` calls it; `argument`: what may follow there; `hint`: its place in
    the hint bar (0 = none, small numbers first); `needs`: an agent, a task or a rollout must be under the cursor."""

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    where: tuple[Where, ...] = (Where.ANY,)
    grade: Grade = Grade.LOOKS
    words: tuple[str, ...] = ()
    argument: str = ""
    hint: int = 0
    needs: str = ""


_FLEET = (Where.FLEET,)
_TASKS = (Where.FLEET, Where.TASKS, Where.ROLLOUT)
_LOG = (Where.FLEET, Where.LOGS, Where.OUTPUT, Where.BUILD, Where.GATEWAY_LOG)
_PROFILES = (Where.PROFILES,)
_SAVED = (Where.SNAPSHOTS, Where.FLEET)
_PERSONAS = (Where.SYNC, Where.PERSONA)
_GATEWAYS = (Where.GATEWAYS,)

ACTIONS: Final[tuple[Action, ...]] = (
    # --- places
    Action("show.fleet", ("f1",), "Fleet", "All agents, and one in detail", words=("fleet", "agents")),
    Action("show.tasks", ("f2",), "Tasks", "Recent tasks and rollouts of the whole fleet", words=("tasks", "board")),
    Action("show.logs", ("f3",), "Logs", "Logs of several agents, merged by time", words=("logs",), argument="AGENT…"),
    Action("show.journal", ("f4",), "Journal", "Who did what, and what came of it", words=("journal",)),
    Action("show.hub", ("f5",), "Hub", "The hub itself: load, connections, tokens, settings", words=("hub",)),
    Action("show.jobs", ("f6",), "Jobs", "The hub's own long work: what runs, what failed, and why", words=("jobs",)),
    Action("show.snapshots", ("f7",), "Snapshots", "Saved agents and what came of them: restore, fork, compare",
           words=("snapshots",), argument="AGENT"),
    Action("show.profiles", ("f8",), "Profiles", "What agents are made from, and the images of it",
           words=("profiles",), argument="PROFILE"),
    Action("show.disk", ("f9",), "Disk", "What takes room, what of it nobody needs, and cleaning up", words=("disk",)),
    Action("show.sync", ("f10",), "Sync", "Personas of OpenClaw gateways: whether each is as its source says",
           words=("sync", "personas"), argument="PERSONA"),
    Action("show.gateways", ("f11",), "Gateways", "OpenClaw gateways: how they are, and whom they answer for",
           words=("gateways",), argument="GATEWAY"),
    Action("sync.personas", ("1",), "Personas", "Personas and the sync of their gateways",
           (Where.SYNC, Where.GATEWAYS)),
    Action("sync.gateways", ("2",), "Gateways", "The gateways themselves", (Where.SYNC, Where.GATEWAYS)),
    Action("journal.acts", ("1",), "Acts", "What people did, with the command for it and the way back",
           (Where.JOURNAL,), words=("acts",)),
    Action("journal.audit", ("2",), "Audit", "Everything that was done, tried and refused, as it was written down",
           (Where.JOURNAL,), words=("audit",)),
    Action("hub.overview", ("1",), "Overview", "How the hub is and how busy", (Where.HUB,)),
    Action("hub.connections", ("2",), "Connections", "Agents' connections and queues, what waits most first",
           (Where.HUB,), words=("connections", "queues")),
    Action("hub.tokens", ("3",), "Tokens", "Who may use this hub", (Where.HUB,), words=("tokens",)),
    Action("hub.settings", ("4",), "Settings", "Settings of this program, and where each comes from",
           (Where.HUB,), words=("settings",)),
    Action("tab.next", ("right_square_bracket",), "Next tab", "The next view of this place",
           (Where.JOURNAL, Where.HUB)),
    Action("detail.now", ("1",), "Now", "Detail: state, health and why", _FLEET, words=("now",), needs="agent"),
    Action("detail.logs", ("2",), "Log", "Detail: the agent's log", _FLEET, words=("log",), hint=4, needs="agent"),
    Action("detail.tasks", ("3",), "Tasks of it", "Detail: the agent's last tasks", _FLEET, needs="agent"),
    Action("detail.stats", ("4",), "Stats", "Detail: what the agent uses, over time", _FLEET, words=("stats",),
           needs="agent"),
    Action("detail.snapshots", ("5",), "Its snapshots", "Detail: the agent's snapshots; Enter goes to one", _FLEET,
           needs="agent"),
    Action("detail.profile", ("6",), "Its profile", "Detail: what the agent was made from", _FLEET, needs="agent"),
    Action("detail.window", ("W",), "Window", "How far graphs go back: 2m (live), 15m, 1h, 6h, 24h, 7d, 30d",
           _FLEET, words=("window",), argument="WINDOW", needs="agent"),
    Action("detail.next", ("right_square_bracket",), "Next tab", "Detail: the next tab", _FLEET),
    Action("pane.next", ("tab",), "Next pane", "Move the focus on"),
    Action("pane.previous", ("shift+tab",), "Pane before", "Move the focus back"),
    Action("back", ("escape",), "Back", "Close what is open, clear marks, clear the filter"),
    # --- finding
    Action("filter", ("slash",), "Filter", "text, /regex/, !not, key:value; in a log: a regular expression",
           words=("filter",), argument="TEXT", hint=2),
    Action("sort.next", ("s",), "Sort", "Sort by the next column; `:sort cpu` names one",
           (Where.FLEET, Where.SYNC, Where.GATEWAYS), words=("sort",), argument="COLUMN"),
    Action("sort.reverse", ("S",), "Reverse", "Turn the order round", (Where.FLEET, Where.SYNC, Where.GATEWAYS),
           words=("reverse",)),
    Action("columns", (), "Columns", "Which columns the table shows; none = as many as fit",
           _FLEET, words=("columns",), argument="COLUMN…"),
    Action("columns.choose", ("C",), "Choose columns", "Columns and their order, from a list", _FLEET,
           words=("choose-columns",)),
    Action("attention.open", ("A",), "Needs you", "Everything that needs a person; choosing goes there",
           words=("attention", "needs"), hint=13, needs="attention"),
    Action("attention.snooze", ("z",), "Snooze", "Hear no more of the most urgent need for an hour", grade=Grade.ACTS,
           words=("snooze",), argument="ID", needs="attention"),
    # --- driving
    Action("go", (), "Go to a link", "Go to any place or thing: agents/NAME, tasks/ID, logs/NAME,NAME …",
           words=("go", "open"), argument="LINK"),
    Action("link", ("L",), "Copy the link", "Copy the link of what is in front, and the command that shows the same",
           words=("link",)),
    Action("theme", (), "Theme", "Colours: dark, light, high-contrast, terminal; none shows a list",
           words=("theme",), argument="NAME"),
    Action("command", ("colon",), "Command", "Type an action by name, with history and completion", hint=5),
    Action("palette", ("ctrl+p",), "Palette", "Find any action, place or agent", words=("palette",), hint=6),
    Action("menu", ("x",), "Actions", "What can be done with this",
           (*_TASKS, Where.OUTPUT, Where.JOURNAL, Where.JOBS, Where.HUB, Where.SNAPSHOTS,
            Where.PROFILES, Where.DISK, Where.SYNC, Where.PERSONA, Where.GATEWAYS, Where.MIGRATION),
           words=("menu",), hint=1),
    Action("help", ("question_mark",), "Help", "All keys and words", words=("help",), hint=99),
    Action("copy", ("y",), "Copy", "Copy the line, the id or the error (OSC 52)", words=("copy",)),
    Action("undo", ("u",), "Undo", "Take back the act under the journal's cursor, elsewhere the last one; or by number",
           grade=Grade.ACTS, words=("undo",), argument="SEQ", hint=3, needs="undo"),
    Action("details", ("e",), "Last error", "The last failure in full, to read and to copy", words=("errors",)),
    Action("quit", ("ctrl+q",), "Quit", "Leave the screen; agents go on", words=("quit", "q", "exit"), hint=98),
    # --- agents
    Action("agent.create", ("c",), "Create", "Make an agent", _FLEET, Grade.ACTS, ("create",), hint=7),
    Action("agent.first", ("a",), "First agent", "Make a first agent on this machine", _FLEET, Grade.ACTS, hint=3),
    Action("agent.start", (), "Start", "Start the agent or the marked ones", _FLEET, Grade.ACTS, ("start",), "AGENT…",
           needs="agent"),
    Action("agent.stop", (), "Stop", "Stop the agent; its tasks wait", _FLEET, Grade.STOPS, ("stop",), "AGENT…",
           needs="agent"),
    Action("agent.restart", ("R",), "Restart", "Stop and start the agent", _FLEET, Grade.STOPS, ("restart",), "AGENT…",
           needs="agent"),
    Action("agent.pause", ("p",), "Pause", "Freeze the agent", _FLEET, Grade.ACTS, ("pause",), "AGENT…", needs="agent"),
    Action("agent.resume", ("P",), "Resume", "Let a paused agent go on", _FLEET, Grade.ACTS, ("resume",), "AGENT…",
           needs="agent"),
    Action("agent.release", (), "Release", "Lift quarantine and give a new join token", _FLEET, Grade.ACTS,
           ("release",), "AGENT", needs="agent"),
    Action("agent.destroy", ("D",), "Destroy", "Remove the agent and its data", _FLEET, Grade.LOSES, ("destroy",),
           "AGENT…", needs="agent"),
    Action("agent.shell", ("exclamation_mark",), "Shell", "A terminal on the agent; the hub goes on meanwhile", _FLEET,
           Grade.ACTS, ("shell",), "AGENT", hint=9, needs="agent"),
    # --- tasks
    Action("task.exec", ("b",), "Run", "Run a command on the row or the marked agents", (Where.FLEET, Where.TASKS),
           Grade.ACTS, ("exec", "run"), "COMMAND", hint=3),
    Action("task.form", ("t",), "Task", "A form for every type of task: to the row, the marks, a selector; a rollout",
           (Where.FLEET, Where.TASKS), Grade.ACTS, ("task", "dispatch"), hint=8),
    Action("task.open", ("o",), "Output", "The task's output, while it runs", _TASKS, words=("output",),
           needs="task", hint=4),
    Action("task.cancel", ("K",), "Cancel", "Cancel the task", (*_TASKS, Where.OUTPUT), Grade.STOPS, ("cancel",),
           needs="task"),
    Action("task.retry", ("r",), "Retry", "Submit the ended task again", _TASKS, Grade.ACTS, ("retry",), needs="task"),
    Action("rollout.open", ("m",), "Matrix", "The task's rollout, agent by agent", (Where.TASKS,),
           words=("matrix",), needs="rollout", hint=5),
    Action("rollout.retry", ("F",), "Retry failed", "Submit again what failed", (Where.TASKS, Where.ROLLOUT),
           Grade.ACTS, ("retry-failed",), needs="rollout", hint=6),
    # --- snapshots
    Action("snapshot.create", ("B",), "Snapshot", "Save the agent or the marked ones; shows first what that takes",
           _SAVED, Grade.ACTS, ("snapshot",), "AGENT…", hint=10),
    Action("snapshot.restore", ("R",), "Restore", "Put the agent back to the snapshot", (Where.SNAPSHOTS,), Grade.LOSES,
           ("restore",), "SNAPSHOT", hint=3, needs="snapshot"),
    Action("snapshot.unrestore", ("U",), "Undo restore", "Go back to what the last restore replaced, within 24 hours",
           _SAVED, Grade.LOSES, ("undo-restore",), "AGENT"),
    Action("snapshot.fork", ("f",), "Fork", "Make new agents of the snapshot", (Where.SNAPSHOTS,), Grade.ACTS,
           ("fork",), "SNAPSHOT", hint=4, needs="snapshot"),
    Action("snapshot.diff", ("d",), "Compare", "Which files differ: between the two marked ones, or with a chosen one",
           _SAVED, words=("diff",), argument="SNAPSHOT SNAPSHOT", hint=5, needs="snapshot"),
    Action("snapshot.delete", ("D",), "Delete", "Delete the snapshot or the marked ones", (Where.SNAPSHOTS,),
           Grade.LOSES, ("delete-snapshot",), "SNAPSHOT", hint=8, needs="snapshot"),
    Action("snapshot.schedule", ("E",), "Schedule", "When the agent is saved by itself, and what is kept of that",
           _SAVED, Grade.ACTS, ("schedule",), "AGENT", hint=11),
    # --- profiles
    Action("profile.create", ("c",), "Create from it", "Make an agent from the profile", _PROFILES, Grade.ACTS,
           ("create-from",), "PROFILE", hint=3, needs="profile"),
    Action("profile.build", ("b",), "Build", "Build the image of the profile or the marked ones", _PROFILES,
           Grade.ACTS, ("build",), "PROFILE…", hint=4, needs="profile"),
    Action("profile.rebuild", ("B",), "Build again", "Build although nothing has changed, without earlier layers",
           _PROFILES, Grade.ACTS, ("rebuild",), "PROFILE…", needs="profile"),
    Action("profile.cancel", ("K",), "Cancel build", "End the build that runs", (Where.PROFILES, Where.BUILD),
           Grade.STOPS, ("cancel-build",), "PROFILE", hint=2, needs="build"),
    Action("profile.log", ("o",), "Output", "The output of the newest build, while it runs", _PROFILES,
           words=("build-log",), argument="PROFILE", hint=5, needs="profile"),
    Action("profile.edit", ("E",), "Edit", "Edit the file in $EDITOR; of a built-in one a copy of your own", _PROFILES,
           Grade.ACTS, ("edit",), "PROFILE", hint=7, needs="profile"),
    Action("profile.change", ("i",), "In place", "Change the text here, with what is wrong beside the line", _PROFILES,
           Grade.ACTS, ("change",), "PROFILE", hint=8, needs="profile"),
    Action("profile.copy", ("C",), "Copy it", "Copy the profile as one of your own", _PROFILES, Grade.ACTS,
           ("copy-profile",), "NAME", hint=9, needs="profile"),
    Action("profile.new", ("n",), "New", "Write a new profile of your own", _PROFILES, Grade.ACTS, ("new-profile",),
           "NAME", hint=10),
    Action("profile.delete", ("D",), "Delete", "Delete a profile of your own", _PROFILES, Grade.LOSES,
           ("delete-profile",), "PROFILE", needs="profile"),
    Action("profile.migrate", ("M",), "Migrate", "Make Docker profiles of VM profiles: files of this screen's machine",
           (Where.PROFILES, Where.MIGRATION), words=("migrate",), argument="FILE-OR-FOLDER…", hint=11),
    Action("migration.write", ("w",), "Write", "Write the profile or the marked ones, with all that belongs to it",
           (Where.MIGRATION,), Grade.STOPS, ("write",), "DIR", hint=3, needs="migration"),
    Action("migration.again", ("r",), "Look again", "Read the files again, and compare them again",
           (Where.MIGRATION,), words=("migrate-again",), hint=4, needs="migration"),
    Action("image.push", (), "Push", "Put the profile's image into a registry, e.g. localhost:5000/team", _PROFILES,
           Grade.ACTS, ("push",), "REGISTRY", needs="profile"),
    Action("image.pull", (), "Pull", "Get the profile's image from a registry: then it need not be built", _PROFILES,
           Grade.ACTS, ("pull",), "REGISTRY", needs="profile"),
    # --- disks
    Action("disk.clean", ("c",), "Clean up", "The plan for what nobody needs of the kind or the marked ones; then asks",
           (Where.DISK,), Grade.LOSES, ("clean", "prune"), "KIND…", hint=3, needs="disk"),
    Action("disk.clean_more", ("C",), "With newest", "The same, and the newest images that nobody uses too",
           (Where.DISK,), Grade.LOSES, ("clean-more",), "KIND…", hint=4, needs="disk"),
    Action("disk.look", ("r",), "Look again", "Look at the disks again now", (Where.DISK,), words=("look",), hint=5),
    # --- personas
    Action("sync.open", ("d",), "Difference", "Every file of the persona that is not as its source says, line by line",
           (Where.SYNC,), words=("difference",), argument="PERSONA", hint=3, needs="persona"),
    Action("sync.apply", ("a",), "Apply", "The source's text takes the place of what somebody wrote; that is archived",
           _PERSONAS, Grade.STOPS, ("apply",), "PERSONA FILE", hint=4, needs="waiting"),
    Action("sync.keep", ("K",), "Keep", "Leave what somebody wrote, until either side changes again", _PERSONAS,
           Grade.ACTS, ("keep",), "PERSONA FILE", hint=5, needs="waiting"),
    Action("sync.adopt", ("i",), "Adopt", "Take what somebody wrote into the source", _PERSONAS, Grade.STOPS,
           ("adopt",), "PERSONA FILE", hint=6, needs="waiting"),
    Action("sync.run", ("r",), "Sync now", "Write now what the source says; what somebody changed stays", _PERSONAS,
           Grade.ACTS, ("sync-now",), "GATEWAY", hint=7),
    Action("sync.plan", ("p",), "Dry run", "What a run would do now, file by file; it can be run from there", _PERSONAS,
           words=("sync-plan",), argument="GATEWAY", hint=8),
    Action("sync.accept_empty", (), "Accept none", "The source has no persona any more, and that is meant: archive all",
           _PERSONAS, Grade.LOSES, ("accept-empty",), "GATEWAY"),
    # --- gateways
    Action("gateway.provision", ("n",), "Provision", "Make a gateway: its tier, its name, its keys; the hub runs it",
           _GATEWAYS, Grade.ACTS, ("provision",), "NAME", hint=3),
    Action("gateway.log", ("o",), "Log", "What the gateway prints, followed; of those that the hub runs",
           _GATEWAYS, words=("gateway-log",), argument="NAME", hint=4, needs="gateway-log"),
    Action("gateway.start", ("t",), "Start", "Start the gateway or the marked ones", _GATEWAYS, Grade.ACTS,
           ("start-gateway",), "NAME…", hint=5, needs="gateway-start"),
    Action("gateway.stop", ("T",), "Stop", "Stop the gateway; turns that run are finished first", _GATEWAYS,
           Grade.STOPS, ("stop-gateway",), "NAME…", needs="gateway-stop"),
    Action("gateway.restart", ("R",), "Restart", "Stop the gateway and start it again", _GATEWAYS, Grade.STOPS,
           ("restart-gateway",), "NAME…", hint=6, needs="gateway-restart"),
    Action("gateway.upgrade", ("U",), "Upgrade", "To another image or version; back by itself if that is not ready",
           _GATEWAYS, Grade.STOPS, ("upgrade",), "NAME…", hint=7, needs="gateway-upgrade"),
    Action("gateway.upgrade_all", ("M",), "Upgrade many", "A rollout over gateways of a tier, or of all: canary first",
           _GATEWAYS, Grade.STOPS, ("upgrade-all",), "TIER", hint=12),
    Action("gateway.rollback", ("b",), "Go back", "Back to image and data of before the last upgrade", _GATEWAYS,
           Grade.LOSES, ("rollback",), "NAME", hint=8, needs="gateway-rollback"),
    Action("gateway.backup", ("B",), "Back up", "Save the gateway's data, its config and its secrets", _GATEWAYS,
           Grade.STOPS, ("backup-gateway",), "NAME…", hint=11, needs="gateway-backup"),
    Action("gateway.restore", ("f",), "Restore", "Put a backup back, or make another gateway of it; its token is new",
           _GATEWAYS, Grade.LOSES, ("restore-gateway",), "NAME", needs="gateway"),
    Action("gateway.delete_backup", (), "Delete backup", "Delete one of the gateway's backups", _GATEWAYS, Grade.LOSES,
           ("delete-backup",), "NAME", needs="gateway"),
    Action("gateway.import", ("I",), "Import", "Take over a container, or a gateway that runs from source", _GATEWAYS,
           Grade.ACTS, ("import-gateway",), "NAME"),
    Action("gateway.destroy", ("X",), "Destroy", "Remove the gateway with its data; shows first what goes", _GATEWAYS,
           Grade.LOSES, ("destroy-gateway",), "NAME", needs="gateway-destroy"),
    Action("gateway.add", ("c",), "Add", "Name a gateway that exists already, and what it is kept in step with",
           _GATEWAYS, Grade.ACTS, ("add-gateway",), "NAME", hint=10),
    Action("gateway.sync", ("E",), "Its sync", "What the gateway's personas are kept in step with, and where",
           _GATEWAYS, Grade.ACTS, ("gateway-sync",), "NAME", hint=9, needs="gateway"),
    Action("gateway.look", ("r",), "Look again", "Look at the gateway again now", _GATEWAYS,
           words=("look-at",), argument="NAME", hint=13, needs="gateway"),
    Action("gateway.remove", ("D",), "Remove", "Forget the gateway; it and its files stay as they are",
           _GATEWAYS, Grade.STOPS, ("remove-gateway",), "NAME", hint=14, needs="gateway"),
    # --- messages
    Action("message.open", ("m",), "Message", "Say something to the persona, and hear its answer", (*_PERSONAS,
           Where.GATEWAYS), Grade.ACTS, ("message",), "PERSONA TEXT", hint=9, needs="persona"),
    Action("message.session", ("ctrl+o",), "Session", "Go on with another conversation with the persona, by its name",
           (Where.MESSAGES,), words=("session",), argument="NAME", hint=3, needs="persona"),
    # --- the hub
    Action("job.cancel", ("K",), "Cancel", "Cancel the job; what it did so far is undone", (Where.JOBS,), Grade.STOPS,
           ("cancel-job",), "JOB", needs="job", hint=2),
    Action("token.create", ("c",), "New token", "Make a token; its secret is shown once", (Where.HUB,), Grade.ACTS,
           ("create-token",), hint=5),
    Action("token.revoke", ("D",), "Revoke", "Nobody gets in with this token any more", (Where.HUB,), Grade.STOPS,
           ("revoke",), "TOKEN", needs="token", hint=6),
    # --- logs
    Action("log.follow", ("f",), "Follow", "Go with the end of the log, or stay", _LOG, words=("follow",), hint=11,
           needs="log"),
    Action("log.wrap", ("w",), "Wrap", "Break long lines, or cut them", _LOG, words=("wrap",), hint=12, needs="log"),
    Action("log.times", ("T",), "Times", "Show or hide the time of each line", _LOG, words=("times",), needs="log"),
    Action("log.context", ("plus",), "Context", "Lines around each hit of the filter: 0, 2, 5", _LOG,
           words=("context",), argument="LINES", needs="log"),
    Action("log.search", ("F",), "Find", "Mark what matches a regular expression in what is shown; none ends it", _LOG,
           words=("search", "find"), argument="REGEX", hint=10, needs="log"),
    Action("log.next", ("n",), "Next hit", "Go to the next hit of the search or filter, reading on for it", _LOG,
           needs="log"),
    Action("log.previous", ("N",), "Hit before", "Go to the hit before, reading back for it", _LOG,
           needs="log"),
    Action("log.copy_hits", ("Y",), "Copy hits", "Copy all lines that match the search, or else the filter", _LOG,
           words=("copy-hits",), needs="log"),
    Action("log.since", ("s",), "Since", "How far back: 1m, 5m, 15m, 1h, 6h, 24h, all; none = the next of these",
           (Where.LOGS,), words=("since",), argument="WINDOW", hint=9),
    Action("log.save", ("ctrl+s",), "Save", "Save all of it, as far as the filter and `since` let it pass, to a file",
           (Where.LOGS, Where.OUTPUT, Where.BUILD, Where.GATEWAY_LOG), words=("save",), argument="PATH", hint=13),
    Action("logs.choose", ("c",), "Choose", "Whose logs: names, patterns like web-*, a selector like type=builder",
           (Where.LOGS,), argument="AGENT…", hint=7),
    Action("logs.all", ("a",), "All", "The logs of all agents", (Where.LOGS,), hint=8),
)  # fmt: skip
"""In the order of help and documentation."""

BY_ID: Final = {action.id: action for action in ACTIONS}
BY_WORD: Final = {word: action for action in ACTIONS for word in action.words}
"""What `:` understands; every action also answers to its id."""


def applies(action: Action, place: Where) -> bool:
    return Where.ANY in action.where or place in action.where


def find_word(word: str) -> Action | None:
    return BY_WORD.get(word) or BY_ID.get(word)


def completions(text: str) -> list[str]:
    """Words of `:` that begin like `text`."""
    return sorted(word for word in BY_WORD if word.startswith(text))
