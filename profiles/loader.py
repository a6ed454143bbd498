"""Where profiles are found: those that come with the program, the user's folder, the project's folder.

The stronger source wins as a whole: project over user over built-in. A file with a mistake does not
make a weaker one of the same name effective; it is shown, and using it is an error.
"""

from __future__ import annotations

import enum
import importlib.resources
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import msgspec

from profiles.errors import Problem, ProfileError
from profiles.image import BASE, Recipe, extend
from profiles.model import Profile, parse_name, parse_profile
from profiles.reading import FORMATS, MAX_TEXT_BYTES, read_text

DOCKERFILE_SUFFIX: Final = ".Dockerfile"
COMPOSE_SUFFIX: Final = ".compose.yml"
"""Of side services beside a profile, as a migration writes them: no profile."""
MAX_CONTEXT_BYTES: Final = 64 << 20
MAX_CONTEXT_FILES: Final = 10_000


class Origin(enum.StrEnum):
    """Weakest first."""

    BUILT_IN = "built-in"
    USER = "user"
    PROJECT = "project"


class Source(msgspec.Struct, frozen=True):
    """A folder with profiles; it need not exist."""

    origin: Origin
    folder: Path


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One profile of one source. `profile` is None when something is wrong, which `problems` says.

    `path` and `dockerfile_path` say where its two files are, as far as they exist; `text` is what the
    first one holds. `shadows`: weaker sources that have the name too. `notes`: what is no mistake, but
    may surprise.
    """

    name: str
    origin: Origin
    path: str = ""
    text: str = ""
    format: str = "json"
    dockerfile_path: str = ""
    dockerfile: str = ""
    context: dict[str, bytes] = {}
    profile: Profile | None = None
    problems: tuple[Problem, ...] = ()
    shadows: tuple[Origin, ...] = ()
    notes: tuple[str, ...] = ()

    def recipe(self) -> Recipe:
        """Return what its image is made from. Raises ProfileError."""
        profile = self.valid()
        dockerfile = self.dockerfile if self.dockerfile_path else None
        return Recipe(profile=self.name, contents=profile.contents, dockerfile=dockerfile, files=self.context)

    def valid(self) -> Profile:
        """Return the profile; raises ProfileError with everything that is wrong with it."""
        if self.profile is None or self.problems:
            raise ProfileError.of(self.problems)
        return self.profile


def find_profiles(sources: Sequence[Source], name: str | None = None) -> dict[str, list[Found]]:
    """Return every profile (or those of one name) by name, the effective one first.

    Built-in profiles are always there, below all sources. Reads files; raises nothing.
    """
    found: dict[str, list[Found]] = {}
    for one in _built_in(name):
        found.setdefault(one.name, []).insert(0, one)
    for source in sources:
        for one in _of_folder(source, name):
            found.setdefault(one.name, []).insert(0, one)
    return {each: _layered(found[each]) for each in sorted(found)}


def check_text(text: str, format: str, name: str = "") -> Profile:
    """Return the profile in a text. Raises ProfileError."""
    return parse_profile(read_text(text, format), name)


def _layered(found: list[Found]) -> list[Found]:
    """Strongest first. A Dockerfile alone belongs to the data of the weaker source below it."""
    first, rest = found[0], found[1:]
    if not first.path and rest:
        data = rest[0]
        first = msgspec.structs.replace(
            data,
            origin=first.origin,
            dockerfile_path=first.dockerfile_path,
            dockerfile=first.dockerfile,
            context=first.context,
            problems=(*data.problems, *first.problems),
            notes=(f"the data is that of {data.origin.value}: {data.path}",),
        )
    first = msgspec.structs.replace(
        first, shadows=tuple(one.origin for one in rest), notes=(*first.notes, *_surprises(first))
    )
    return [first, *rest]


def _surprises(found: Found) -> Iterator[str]:
    if not found.dockerfile_path or found.profile is None:
        return
    contents = found.profile.contents
    unused = [name for name in ("packages", "setup_tasks", "files") if getattr(contents, name)]
    if unused:
        yield f"not used, because {found.dockerfile_path} says what the image is: {', '.join(unused)}"


# --- reading files -----------------------------------------------------------------------------------


def _built_in(wanted: str | None) -> Iterator[Found]:
    for entry in sorted(importlib.resources.files("profiles").joinpath("builtin").iterdir(), key=lambda it: it.name):
        stem, ending = os.path.splitext(entry.name)
        if ending in FORMATS and wanted in (None, stem):
            yield _read(stem, Origin.BUILT_IN, entry, FORMATS[ending])


def _of_folder(source: Source, wanted: str | None) -> Iterator[Found]:
    try:
        yield from read_folder(source, wanted)
    except OSError:
        # It need not exist; one that cannot be read is the same to whoever asks for a profile.
        return


def read_folder(source: Source, wanted: str | None = None) -> Iterator[Found]:
    """Return every profile of one folder, or the one of a name. Raises OSError where the folder cannot be listed."""
    names = sorted(os.listdir(source.folder))
    data: dict[str, list[Path]] = {}
    for name in names:
        path = source.folder / name
        hidden = name.startswith(".") or name.endswith(COMPOSE_SUFFIX)
        if path.suffix in FORMATS and not hidden and path.is_file():
            data.setdefault(path.stem, []).append(path)
    dockerfiles = [name.removesuffix(DOCKERFILE_SUFFIX) for name in names if name.endswith(DOCKERFILE_SUFFIX)]
    for stem in sorted(each for each in {*data, *dockerfiles} if wanted in (None, each)):
        found = _of_stem(stem, source.origin, data.get(stem, []))
        yield _with_dockerfile(found, source.folder) if stem in dockerfiles else found


def _of_stem(stem: str, origin: Origin, paths: Sequence[Path]) -> Found:
    if not paths:
        try:
            return Found(name=stem, origin=origin, profile=Profile(name=parse_name("name", stem)))
        except ProfileError as exc:
            return Found(name=stem, origin=origin, problems=exc.problems)
    found = _read(stem, origin, paths[0], FORMATS[paths[0].suffix])
    if len(paths) == 1:
        return found
    problem = Problem("", f"{' and '.join(path.name for path in paths)} both say what it is", "Remove one of them.")
    return msgspec.structs.replace(found, profile=None, problems=(problem, *found.problems))


def _read(stem: str, origin: Origin, file: Traversable, format: str) -> Found:
    text, profile, problems = "", None, ()
    try:
        text = _text_of(file)
        profile = check_text(text, format, parse_name("name", stem))
    except ProfileError as exc:
        problems = exc.problems
    return Found(name=stem, origin=origin, path=str(file), text=text, format=format, profile=profile, problems=problems)


def _with_dockerfile(found: Found, folder: Path) -> Found:
    path = folder / f"{found.name}{DOCKERFILE_SUFFIX}"
    try:
        text = _text_of(path)
        context = context_of(folder / found.name)
        extend(text, context, {}, BASE)
    except ProfileError as exc:
        problems = (*found.problems, *exc.problems)
        return msgspec.structs.replace(found, dockerfile_path=str(path), problems=problems)
    return msgspec.structs.replace(found, dockerfile_path=str(path), dockerfile=text, context=context)


def _text_of(file: Traversable) -> str:
    try:
        content = _content_of(file, MAX_TEXT_BYTES) if isinstance(file, Path) else file.read_bytes()
        if len(content) > MAX_TEXT_BYTES:
            raise ProfileError("", f"{file.name} is longer than {MAX_TEXT_BYTES} bytes")
        return content.decode("utf-8-sig")
    except OSError as exc:
        raise ProfileError("", f"{file} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ProfileError("", f"{file.name} is not UTF-8 text") from exc


def _content_of(path: Path, most: int) -> bytes:
    """Return at most `most` bytes and one more, which says that there are more. Raises OSError, ProfileError.

    Opened without waiting: a pipe of the name would hold whoever reads it until somebody writes.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise ProfileError("", f"{path} is not a regular file", "Put a file there, or remove it.")
        with open(opened, "rb", closefd=False) as file:
            return file.read(most + 1)
    finally:
        os.close(opened)


def context_of(folder: Path) -> dict[str, bytes]:
    """Return what a custom Dockerfile can COPY: the folder beside it that has the profile's name. Links are left out.

    Raises ProfileError.
    """
    files: dict[str, bytes] = {}
    size = 0
    for path in _files_below(folder):
        try:
            content = _content_of(path, MAX_CONTEXT_BYTES - size)
            size += len(content)
            if size > MAX_CONTEXT_BYTES or len(files) >= MAX_CONTEXT_FILES:
                hint = f"At most {MAX_CONTEXT_FILES} files and {MAX_CONTEXT_BYTES >> 20} MiB."
                raise ProfileError("dockerfile", f"the folder {folder} beside it holds too much", hint)
            files[path.relative_to(folder).as_posix()] = content
        except OSError as exc:
            raise ProfileError("dockerfile", f"{path} cannot be read: {exc.strerror}") from exc
    if files.keys() & {"Dockerfile", ".dockerignore"}:
        raise ProfileError("dockerfile", f"{folder} must not have a Dockerfile or a .dockerignore of its own")
    return files


def _files_below(folder: Path) -> Iterable[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path
