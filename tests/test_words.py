"""The field's words: what a textbook, scikit-learn, Optuna or Ray does not say is not said here.

List A has no hit anywhere outside the changelog; list B, the rest of the glossary old → new, is
gone from the names that we define, read from syntax trees. Promised names, stored keys and hashed
strings keep the words that they had; each stands here with its reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("backdoor", "sweeps", "cluster", "dashboards", "tests")
SUFFIXES = {".py", ".pyi", ".html", ".css", ".md", ".yaml", ".yml", ".toml", ".cff", ".txt"}
NAMED = ("Makefile", "Dockerfile", ".gitignore", ".dockerignore", "run")

LIST_A = re.compile(
    r"foret[eo]l[dl]\w*|stints?|lanes?|rivals?|wary|astray|lent|crews?|mend(?:s|ed|ing)?|anew"
    r"|blindly|showcases?|luck(?:y|ily|iest|ier)?|heed(?:s|ed)?",
    re.IGNORECASE,
)
#: Where a word of list A stays: (file, what has to stand around it, why).
PROMISED_WORDS = [
    (r".*", r"""(["'`])foretold\1""", "a column of the ledger and a key of region.json"),
    (r".*", r"\blent\\?\(|\.lent\b|`lent`", "a method of users' triggers"),
    (r".*", r"""digest\("stint\"""", "a hashed string"),
    (r"sweeps/records/region_file\.py", r"\bforetold:", "a key of region.json"),
    (r"sweeps/cli/status\.py", r"\bforetold:", "a key of `sweeps status --json`"),
    (r"tests/sweeps/test_certain\.py", r"\bforetold=", "a column of the ledger"),
    (
        r"backdoor/(engines/(base|__init__)|probes/base)\.py",
        r"\b[Ll]ane\b",
        "offered to users' probes",
    ),
    (r"tests/backdoor/test_promises\.py", r"\b([Ll]ane|lent)\b", "the test of what was offered"),
    (r"tests/golden/golden_reworded\.py", r"mend what|drawn anew|foretold", "texts of the record"),
    (r"tests/golden/golden_kinds\.py", r"\.lane\b", "a probe of a user's"),
    (r"tests/test_words\.py", r".*", "this list"),
]

#: Parts of names, old words of the glossary: none is a part of a name that we define.
LIST_B = {
    "stint", "pace", "foretell", "foretold", "foreteller", "foretelling", "lane", "lanes", "bank",
    "banks", "crew", "lent", "rival", "rivals", "wary", "doubt", "doubts", "astray", "luck", "anew",
    "widely", "rugged", "hyper", "worth", "blindly", "levelled", "inert", "tidy", "mend", "card",
    "cards", "settle", "settled", "bring", "brings", "news", "fold", "folds", "folded", "parcel",
    "frame", "showcase", "influencers", "wanted", "drafts", "draft", "recall", "recalls", "seek",
    "study", "studies", "studied", "bars", "goal", "goals", "modelled", "normalisation", "crews",
}  # fmt: skip
#: Whole names that are old words, although their parts are words like others.
LIST_B_WHOLE = {"Hyper", "Cross", "Side", "Targets", "Seek", "Pace", "Limits", "Others", "hot", "core"}  # fmt: skip
#: Names that stay: (file, name, why).
PROMISED_NAMES = [
    (r"backdoor/.*", r"lent|inert", "methods of users' kinds"),
    (r"backdoor/probes/.*", r"study|Study|Studied|lane|bank", "offered to users' probes"),
    (r"backdoor/engines/base\.py", r"Lane|wanted", "offered to users' probes"),
    (r"backdoor/image_store/store\.py", r"normalisation", "offered to users' probes"),
    (r"backdoor/result\.py|sweeps/analyses/.*", r"studies", "a key of JSON output"),
    (r"sweeps/cli/status\.py", r"foretold|studies", "keys of `sweeps status --json`"),
    (r"sweeps/records/region_file\.py", r"goal|foretold|doubts", "keys of region.json"),
    (r"tests/.*", r"lent|inert|study|lane|bank|Study|Studied", "tests of promised names"),
    (r"sweeps/search/(levelset_sampler|study_region)\.py|sweeps/search/optuna_search\.py", r"\w*[sS]tud\w*", "Optuna's own word"),
]  # fmt: skip


def texts() -> Iterator[tuple[str, str]]:
    """(path, text) of all sources and documents, the changelog apart."""
    roots = [ROOT / name for name in (*CODE, "docker", ".github", ".ci")]
    files = [file for root in roots for file in root.rglob("*")]
    files += [file for file in ROOT.iterdir() if file.name != "CHANGELOG.md"]
    for file in sorted(files):
        recorded = "golden/folders" in file.as_posix()
        if file.is_file() and not recorded and (file.suffix in SUFFIXES or file.name in NAMED):
            yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


def list_a_hits(path: str, text: str) -> list[str]:
    """Lines with words of list A that nothing promises."""
    excused = [rule for file, rule, _ in PROMISED_WORDS if re.fullmatch(file, path)]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        rest = line
        for rule in excused:
            rest = re.sub(rule, " ", rest)
        found += [f"{path}:{number}: {m[0]}" for m in WORD.finditer(rest) if LIST_A.fullmatch(m[0])]
    return found


#: Words as people read them: also those inside names, such as `_by_lane`.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(name, line) of all that a file defines: classes, functions, arguments, what is assigned."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield (node.id if isinstance(node, ast.Name) else node.attr), node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def list_b_hits(path: str, text: str) -> list[str]:
    """Names with words of list B that nothing promises."""
    excused = [name for file, name, _ in PROMISED_NAMES if re.fullmatch(file, path)]
    found = []
    for name, line in defined_names(ast.parse(text)):
        parts = {part.lower() for part in WORD.findall(name)}
        old = parts & LIST_B or ({name} & LIST_B_WHOLE)
        if old and not any(re.fullmatch(rule, name) for rule in excused):
            found.append(f"{path}:{line}: {name}")
    return found


def test_list_a_has_no_hit() -> None:
    hits = [hit for path, text in texts() for hit in list_a_hits(path, text)]
    assert not hits, f"{len(hits)}:\n" + "\n".join(hits[:200])


def test_list_b_is_gone_from_names() -> None:
    code = [pair for pair in texts() if pair[0].endswith(".py")]
    assert len(code) > 400
    hits = [hit for path, text in code for hit in list_b_hits(path, text)]
    assert not hits, f"{len(hits)}:\n" + "\n".join(hits[:200])


@pytest.mark.parametrize(
    "line, hits",
    [
        ("# all lanes are trained anew", 2),
        ("def _update_lane_by_lane():", 2),
        ('raise UserError("was foretold")', 1),
        ('row["foretold"]', 0),
        ("trigger.lent(donors)", 0),
        ("silent, excellent, mental, planes", 0),
    ],
)
def test_words_of_list_a_are_seen(line, hits) -> None:
    assert len(list_a_hits("sweeps/x.py", line)) == hits


@pytest.mark.parametrize(
    "line, hits",
    [
        ("class FeatureBank: ...", 1),
        ("def f(hyper, one_hot): ...", 1),
        ("self.doubt = 1", 1),
        ("file.seek(0)", 0),
        ("hyperparameters = 1", 0),
    ],
)
def test_names_of_list_b_are_seen(line, hits) -> None:
    assert len(list_b_hits("sweeps/x.py", line)) == hits
