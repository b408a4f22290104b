"""From the name of a kind to its class: folders are scanned, so one new file adds one kind.

A family is a sub-package such as `backdoor.triggers`. Its base class is in `base.py` there, and
each kind in a file beside it. `module:Class` names a class of any other package. A kind
`LIBRARY/NAME` represents all networks of a library, such as `torchvision/alexnet`.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from backdoor.errors import Mistake, UserError
from backdoor.settings import outside, users_errors
from backdoor.settings.outside import TOGETHER
from backdoor.settings.schema import Fields, build_fields, suggest

if TYPE_CHECKING:
    from types import ModuleType

    from backdoor.architectures import Architecture
    from backdoor.datasets import Dataset
    from backdoor.probes import Probe
    from backdoor.regularizers import Regularizer
    from backdoor.triggers import Trigger


#: Turns a value, with its place, into the plain value that is used; it raises `UserError`.
Reading = Callable[[str, Any], Any]


class Kind(Fields):
    """Base class of everything that a spec names by `kind`. Subclasses are frozen dataclasses."""

    kind: ClassVar[str]
    #: Settings that a spec may write in other forms, such as a colour, and what reads them.
    readings: ClassVar[Mapping[str, Reading]] = {}

    @classmethod
    def kind_name(cls) -> str:
        """The name that a spec uses: `kind` for built-in kinds, `module:Class` for others."""
        inside = cls.__module__.startswith("backdoor.")
        return cls.kind if inside else f"{cls.__module__}:{cls.__qualname__}"

    @classmethod
    def named(cls, name: str) -> type[Kind]:
        """For a kind `LIBRARY/NAME`: the class of one name of the library, always the same class.

        Raises:
            ValueError: for an unknown name; its arguments are the broken rule and the remedy.
        """
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        return {"kind": self.kind_name(), **super().identity()}


#: The last part of a kind that represents every name of a library.
ANY = "/NAME"

K = TypeVar("K", bound=Kind, covariant=True)


@dataclass(frozen=True)
class Family(Generic[K]):
    """The kinds of one sub-package, whose base class is `base` there.

    word: its name in messages. combiner: a module whose function `together` combines several kinds
    into one; "" for families whose kinds cannot act together.
    """

    word: str
    package: str
    base_name: str
    combiner: str = ""

    @property
    def base(self) -> type[K]:
        return cast(type[K], getattr(importlib.import_module(self.package), self.base_name))

    def kinds(self) -> dict[str, type[K]]:
        """Name → class, in alphabetical order."""
        return dict(sorted(_scan(self.package, self.base).items()))

    def find(self, name: object, place: str = "kind") -> type[K]:
        """The class of `name`.

        Raises:
            UserError: at `place`, with the most similar name, if there is none.
        """
        if isinstance(name, str) and ":" in name:
            return self._find_outside(name, place)
        known: dict[str, type[K]] = _seen(self)
        key = name.partition("/")[0] + ANY if isinstance(name, str) and "/" in name else name
        if not isinstance(key, str) or key not in known:
            _seen.cache_clear()  # a file may have been added
            known = _seen(self)
        if not isinstance(key, str) or key not in known:
            rule = f"must be a known {self.word}"
            raise UserError(Mistake(place, rule, name, suggest(str(name), known)))
        if key.endswith(ANY):
            return cast(type[K], _of_library(known[key], str(name), place))
        return known[key]

    def _find_outside(self, name: str, place: str) -> type[K]:
        module, _, attribute = name.partition(":")
        outside.before_import(name, place)
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:  # a module of users can raise anything
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                Mistake(place, "must be importable as module:Class", name, _remedy(module, why))
            ) from None
        derived = isinstance(found, type) and issubclass(found, self.base)
        if not derived or found is self.base:
            rule = f"must be a subclass of {self.package}.{self.base_name}"
            raise UserError(Mistake(place, rule, name, f"Derive it from {self.base_name}."))
        users_errors.PACKAGES.add(module.partition(".")[0])
        return cast(type[K], found)

    def parts(self, value: object) -> list[Any] | None:
        """The spec forms of the kinds that act together in `value`; None if it is a single kind.

        Kinds act together as a list, or as a mapping whose kind is `a+b`, with the settings of a
        under the key `a`.
        """
        if not self.combiner or isinstance(value, list):
            return value if self.combiner and isinstance(value, list) else None
        given: object = {"kind": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping):
            return None
        kind = given.get("kind")
        if not isinstance(kind, str) or TOGETHER not in kind:
            return None
        names = kind.split(TOGETHER)
        rule = "must be a mapping of settings of one of those that act together"
        wrong = [
            Mistake(key, rule, settings, suggest(key, names))
            for key, settings in given.items()
            if key != "kind" and not (key in names and isinstance(settings, Mapping))
        ]
        if wrong:
            raise UserError(wrong)
        return [{**given.get(name, {}), "kind": name} for name in names]

    def _together(self, parts: list[Any], former: bool) -> K:
        built: list[K] = []
        mistakes: list[Mistake] = []
        for part in parts:
            try:
                built.append(self._build_one(part, former))
            except UserError as error:
                name = part.get("kind") if isinstance(part, Mapping) else None
                mistakes += (error.inside(name) if isinstance(name, str) else error).mistakes
        if not parts:
            rule = f"must not be an empty list of kinds of {self.word}"
            mistakes.append(Mistake("", rule, parts, "Name at least one."))
        if mistakes:
            raise UserError(mistakes)
        return cast(K, importlib.import_module(self.combiner).together(built))

    def build(self, value: str | Mapping[str, Any] | list[Any], former: bool = False) -> K:
        """A kind from its spec form: a name, a mapping with `kind` and its settings, or several
        that act together, see `parts`.

        former: settings that are not given act as before they existed (`Trigger.former`), as in an
        identity; otherwise they have their defaults.
        """
        parts = self.parts(value)
        return self._build_one(value, former) if parts is None else self._together(parts, former)

    def _build_one(self, value: object, former: bool) -> K:
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping) or "kind" not in value:
            rule = f"must be the name of one {self.word}, or a mapping with `kind`"
            raise UserError(Mistake("", rule, value, suggest("", self.kinds())))
        cls = self.find(value["kind"])
        given = {k: v for k, v in value.items() if k != "kind"}
        return cast(K, build_fields(cls, {**former_settings(cls), **given} if former else given))


def former_settings(cls: type[Kind]) -> Mapping[str, Any]:
    """Settings that the kind did not have in earlier releases → the value that acts as before."""
    found: Mapping[str, Any] = getattr(cls, "former", {})
    return found


def _remedy(module: str, why: str) -> str:
    """What to do about a module that cannot be imported."""
    here = outside.in_current_folder(module)
    if here is not None and outside.file_of(module) is None:
        return (
            f"{here} lies in the current folder, from which nothing is imported: begin the command "
            f"with PYTHONPATH=. if that is meant ({why})."
        )
    return f"Install the package or put it on PYTHONPATH, on every node ({why})."


def _of_library(library: type[Kind], name: str, place: str) -> type[Kind]:
    try:
        return library.named(name.partition("/")[2])
    except ValueError as error:
        rule, remedy = error.args
        raise UserError(Mistake(place, rule, name, remedy)) from None


@functools.cache
def _modules(package: str, names: tuple[str, ...]) -> list[ModuleType]:
    return [importlib.import_module(f"{package}.{name}") for name in names]


@functools.cache
def _seen(family: Family[K]) -> dict[str, type[K]]:
    """Its kinds, cached: every trial of a sweep is built from them."""
    return family.kinds()


def _scan(package: str, base: type[K]) -> dict[str, type[K]]:
    """Kinds that the files of `package` define themselves; two of the same name are an error."""
    path = importlib.import_module(package).__path__
    names = tuple(sorted(module.name for module in pkgutil.iter_modules(path)))
    found: dict[str, type[K]] = {}
    for module in _modules(package, names):
        for value in vars(module).values():
            if not (isinstance(value, type) and issubclass(value, base)):
                continue
            if value.__module__ != module.__name__ or "kind" not in vars(value):
                continue
            if value.kind in found:
                raise UserError(
                    Mistake(
                        module.__name__,
                        "kinds must have distinct names",
                        value.kind,
                        f"Rename it: {found[value.kind].__module__} has that name.",
                    )
                )
            found[value.kind] = value
    return found


TRIGGERS: Family[Trigger] = Family("trigger", "backdoor.triggers", "Trigger")
REGULARIZERS: Family[Regularizer] = Family(
    "regularizer", "backdoor.regularizers", "Regularizer", "backdoor.regularizers.several"
)
ARCHITECTURES: Family[Architecture] = Family(
    "architecture", "backdoor.architectures", "Architecture"
)
DATASETS: Family[Dataset] = Family("dataset", "backdoor.datasets", "Dataset")
PROBES: Family[Probe] = Family("probe", "backdoor.probes", "Probe")

FAMILIES: dict[str, Family[Any]] = {
    "triggers": TRIGGERS,
    "regularizers": REGULARIZERS,
    "architectures": ARCHITECTURES,
    "datasets": DATASETS,
    "probes": PROBES,
}
