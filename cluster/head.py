"""Where a cluster's Jobs API is, the token that it asks for, and versions that have to agree.

All of it is plain HTTP with short time limits, before Ray is imported: a wrong address or token is
reported at once. The token goes into one header, to the address that the user named and only if it
asks for one; it is never printed, logged or put into an argument of a process.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import os
import platform
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backdoor.errors import BackdoorSweepsError, Mistake, UserError

#: Where `ray start --head` serves its Jobs API by default.
DEFAULT_ADDRESS = "http://127.0.0.1:8265"
#: Seconds that a head may take to answer.
ANSWER_SECONDS = 5.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
GET_TOKEN = (
    "Put the head's token into ~/.ray/auth_token (chmod 600), or name its file in "
    "RAY_AUTH_TOKEN_PATH."
)


class ClusterError(BackdoorSweepsError):
    """The cluster, or a job on it, did not do what was asked."""


@dataclass(frozen=True)
class Token:
    """Ray's shared secret. place: where it was found; file: None for the environment variable."""

    value: str = field(repr=False)
    place: str
    file: Path | None


@dataclass(frozen=True)
class Head:
    """A head that answered. token: None where the cluster asks for none."""

    url: str
    ray: str
    python: str | None
    token: Token | None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return _bearer(self.token)

    @property
    def on_loopback(self) -> bool:
        return urllib.parse.urlsplit(self.url).hostname in LOOPBACK


def find_token(environ: Mapping[str, str] = os.environ) -> Token | None:
    """The token as Ray looks for it: $RAY_AUTH_TOKEN, $RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token."""
    if value := environ.get("RAY_AUTH_TOKEN", "").strip():
        return _one_line(Token(value, "RAY_AUTH_TOKEN", None))
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path("~/.ray/auth_token").expanduser()
    place = "RAY_AUTH_TOKEN_PATH" if named else str(file)
    try:
        value = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        if not named:
            return None
        rule, remedy = "must name an existing file", "Correct it, or unset it."
        raise UserError(Mistake(place, rule, named, remedy)) from None
    except (OSError, UnicodeDecodeError) as error:
        rule, remedy = "must hold Ray's token as text", "Fix the file or its access rights."
        raise UserError(Mistake(place, rule, type(error).__name__, remedy)) from None
    return _one_line(Token(value, place, file)) if value else None


def _one_line(token: Token) -> Token:
    if token.value.isascii() and token.value.isprintable():
        return token
    rule, remedy = "must hold Ray's token as one line of ASCII", "Copy the head's token again."
    raise UserError(Mistake(token.place, rule, "something else", remedy))


def reach(address: str, environ: Mapping[str, str] = os.environ) -> Head:
    """The head at `address`, after it has answered.

    Raises:
        UserError: it does not answer, is no Ray head, or refuses the token.
    """
    url = normal(address)
    mode = _get(url, "/api/authentication_mode")
    token = None
    if mode is not None and mode.get("authentication_mode") == "token":
        token = find_token(environ)
        if token is None:
            rule = f"must be given: the cluster at {url} asks for one"
            raise UserError(Mistake("token", rule, None, GET_TOKEN))
    version = _get(url, "/api/version", token)
    if version is None or "ray_version" not in version:
        raise UserError(_no_head(url, "it answers, but not as Ray's Jobs API does"))
    about = _get(url, "/api/v0/cluster_metadata", token) or {}
    python = (about.get("data") or {}).get("pythonVersion")
    return Head(url, str(version["ray_version"]), python, token)


def refuse_other_versions(head: Head) -> None:
    """Client and cluster must run the same Ray, and Python up to its second number."""
    mistakes = []
    ours = importlib.metadata.version("ray")
    if head.ray != ours:
        remedy = (
            f"Install the cluster's here (pip install 'ray[default]=={head.ray}'), or ours there."
        )
        rule = f"must be the cluster's version of Ray ({head.ray}, at {head.url})"
        mistakes.append(Mistake("ray", rule, ours, remedy))
    here = platform.python_version()
    if head.python and _minor(head.python) != _minor(here):
        rule = f"must be as the cluster's version of Python ({head.python}, at {head.url})"
        remedy = (
            f"Use an environment with Python {_minor(head.python)} here, or {_minor(here)} there."
        )
        mistakes.append(Mistake("python", rule, here, remedy))
    if mistakes:
        raise UserError(mistakes)


def normal(address: str) -> str:
    """`address` as http://HOST:PORT, without a trailing slash."""
    url = address if "://" in address else f"http://{address}"
    parts = urllib.parse.urlsplit(url)
    try:
        valid = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
        )
    except ValueError:  # a port that is no number
        valid = False
    if not valid or parts.username is not None:
        rule = "must be the address of Ray's Jobs API (its dashboard)"
        remedy = f"For example {DEFAULT_ADDRESS}; not the port that workers join."
        raise UserError(Mistake("--address", rule, address, remedy))
    return url.rstrip("/")


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _bearer(token: Token | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.value}"}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it could lead the token elsewhere."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _get(url: str, path: str, token: Token | None = None) -> dict[str, Any] | None:
    """The JSON object at `path`; None where there is none."""
    request = urllib.request.Request(url + path, headers=_bearer(token))
    try:
        with urllib.request.build_opener(_NoRedirects).open(
            request, timeout=ANSWER_SECONDS
        ) as answer:
            content = json.loads(answer.read(1 << 20))
    except urllib.error.HTTPError as error:
        error.close()  # it is an answer too, with its connection
        if error.code in (401, 403):
            raise UserError(_refused(url, token)) from None
        if error.code == 404:
            return None
        raise UserError(_no_head(url, f"it answers {error.code}")) from None
    except (OSError, http.client.HTTPException) as error:
        raise UserError(_no_head(url, str(getattr(error, "reason", error)))) from None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _refused(url: str, token: Token | None) -> Mistake:
    if token is None:
        return Mistake("token", f"must be given: {url} asks for one", None, GET_TOKEN)
    rule = f"must hold the token of the cluster at {url}"
    return Mistake(token.place, rule, "a token that it refuses", GET_TOKEN)


def _no_head(url: str, reason: str) -> Mistake:
    remedy = (
        f"Start one (`ray start --head`), or correct the address ({reason}). A head without "
        "ray[default] serves no Jobs API."
    )
    return Mistake("--address", "must be the address of a running Ray head", url, remedy)
