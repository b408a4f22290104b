"""The documents as tests take them: blocks of code, inline code, headings and links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("backdoor", "cluster", "dashboards", "docker", "sweeps", "tests", ".github")
#: Marks between the commands of a line.
_BETWEEN = re.compile(r"[();|&]+")


@dataclass(frozen=True)
class Block:
    """A fenced block. words: its first line, a language and marks such as `slow`; line: where it
    begins, from 1."""

    document: str
    line: int
    words: tuple[str, ...]
    text: str

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """Lines of a shell block, with those that a backslash continues joined."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


@dataclass(frozen=True)
class Document:
    """A Markdown file. path: relative to the repository."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        found = re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", self.text, re.M)
        return [
            Block(self.path, self.text[: m.start()].count("\n") + 1, tuple(m[1].split()), m[2])
            for m in found
        ]

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return re.sub(r"^```.*\n(?:.*\n)*?```$", "", self.text, flags=re.M)

    @cached_property
    def inline(self) -> list[str]:
        """Inline code, each on one line."""
        return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", self.prose)]

    @cached_property
    def links(self) -> list[str]:
        """Targets of links and pictures."""
        prose = re.sub(r"`[^`]+`", "", self.prose)
        return re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'src="([^"]+)"', prose)

    @cached_property
    def anchors(self) -> set[str]:
        """The names that GitHub gives to headings."""
        titles = re.findall(r"^#+ +(.+?) *$", self.prose, re.M)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def documents() -> list[Document]:
    """All of the repository."""
    files = [*ROOT.glob("*.md"), *(f for d in FOLDERS for f in (ROOT / d).rglob("*.md"))]
    return [Document(file.relative_to(ROOT).as_posix()) for file in sorted(files)]


def commands(line: str) -> list[list[str]]:
    """The commands of a shell line, as words: without comments, redirections, and variables that are
    set before a command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    words = iter(lexer)
    for word in words:
        if _BETWEEN.fullmatch(word):
            found.append([])
        elif re.fullmatch(r"[<>]+", word):
            next(words)
        elif found[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):
            found[-1].append(word)
    return [command for command in found if command]
