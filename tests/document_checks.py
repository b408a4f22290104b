"""What is wrong with a command, or with inline code, of a document: looked up in the parser of `sweeps`,
the Makefile, pyproject.toml, the source and the files of the repository."""

from __future__ import annotations

import argparse
import functools
import re
import tomllib

from documents import ROOT

from sweeps.cli.main import build_parser
from sweeps.spec import bundled_specs
from sweeps.spec.sections import Document as SpecDocument

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SECTIONS = tuple(SpecDocument.model_fields)
#: Commands of other programs that blocks may hold.
OTHERS = {"pip", "ray", "docker", "mlflow", "git", "python", "umask", "printf", "set", ".", ".ci/run"}  # fmt: skip


# --- commands ------------------------------------------------------------------------------------


def wrong_command(words: list[str]) -> str | None:
    """What is wrong with a command, None where nothing is."""
    name, rest = words[0], words[1:]
    if name == "sweeps":
        return wrong_sweeps(rest)
    if name == "make":
        return wrong_make(rest)
    if name.startswith(".venv/bin/"):
        return wrong_paths(rest)
    if name == "pip":
        return wrong_paths(rest) or wrong_extras(" ".join(rest))
    return wrong_paths(rest) if name in OTHERS else f"is not a command that we know: {name}"


@functools.cache
def parser() -> argparse.ArgumentParser:
    """The parser of `sweeps`, made once."""
    return build_parser()


def wrong_sweeps(words: list[str]) -> str | None:
    try:
        given = parser().parse_args(words)
    except SystemExit:
        return f"sweeps does not accept {words}"
    spec = getattr(given, "spec", None)
    if spec is not None and not spec.endswith(".yaml") and spec not in bundled_specs():
        return f"{spec} is neither a file nor a bundled spec"
    keys = [change.partition("=")[0].partition(".")[0] for change in getattr(given, "set", [])]
    unknown = [key for key in keys if key not in SECTIONS]
    return f"--set of no section: {unknown}" if unknown else None


def wrong_make(words: list[str]) -> str | None:
    targets = [word for word in words if "=" not in word]
    known = [t for t in targets if re.search(rf"^{re.escape(t)}:", made(), re.M)]
    return None if targets and known == targets else f"make has not all of {targets}"


def made() -> str:
    """The Makefile with its variables of files written out."""
    return MAKEFILE.replace("$(BIN)", ".venv/bin")


def wrong_paths(words: list[str]) -> str | None:
    """Words that are paths of the repository must exist."""
    # What the demo and the builds leave here is none of the repository's.
    tops = {file.name for file in ROOT.iterdir()} - {".venv", "build", "results"}
    paths = [w for w in words if "/" in w and w.split("/")[0] in tops and ".env" not in w]
    missing = [path for path in paths if not (ROOT / path).exists()]
    return f"no such file: {missing}" if missing else None


def wrong_extras(line: str) -> str | None:
    named = re.findall(r"(?:backdoor-sweeps|\.)\[([a-z,]+)\]", line)
    extras = {extra for group in named for extra in group.split(",")}
    unknown = extras - set(PROJECT["optional-dependencies"])
    return f"no such extras: {unknown}" if unknown else None


# --- inline code ---------------------------------------------------------------------------------


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every command of `sweeps` by its words, groups included."""
    found: dict[str, argparse.ArgumentParser] = {}

    def visit(name: str, known: argparse.ArgumentParser) -> None:
        found[name] = known
        for action in known._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, inner in action.choices.items():
                    visit(f"{name} {word}", inner)

    visit("sweeps", parser())
    return found


PARSERS = parsers()
OPTIONS = {o for p in PARSERS.values() for a in p._actions for o in a.option_strings}


def wrong_sentence(code: str) -> str | None:
    """What is wrong with inline code, None where nothing is."""
    words = code.split()
    if words[0] == "sweeps" and len(words) > 1:
        named = [w for w in words if not w.startswith("-")]
        command = next((c for n in (3, 2) if (c := " ".join(named[:n])) in PARSERS), None)
        known = PARSERS.get(command or "")
        if known is None:
            return "no such command"
        options = {o for a in known._actions for o in a.option_strings}
        return f"no such option of {command}" if flags(code) - options else None
    if words[0] == "make" and len(words) > 1:
        return wrong_make(words[1:])
    if re.fullmatch(r"(backdoor|sweeps|cluster|dashboards)(\.\w+)+", code):
        return None if in_source(code) else "no such module or name"
    return wrong_paths(words) or wrong_extras(code)


def flags(code: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code))


def in_source(dotted: str) -> bool:
    """Whether a dotted name is a module, or is defined in one."""
    path, rest = ROOT, dotted.split(".")
    while rest and (path / rest[0]).is_dir():
        path, rest = path / rest[0], rest[1:]
    if rest and (path / f"{rest[0]}.py").is_file():
        path, rest = path / f"{rest[0]}.py", rest[1:]
    # What a package offers by loading it lazily is listed in a stub.
    files = [path] if path.is_file() else list(path.glob("__init__.py*"))
    texts = "\n".join(file.read_text() for file in files)
    return not rest or re.search(rf"\b{rest[0]}\b", texts) is not None
