"""MLflow's address of a sweep: what may be one, where it is from, and where its secret is from.

A spec and sweep.json keep an address without its secret: `postgresql://me:***@host/db`. Whoever
needs the secret takes it from $MLFLOW_TRACKING_URI, which then holds the whole address, or, for a
server, from MLflow's own $MLFLOW_TRACKING_PASSWORD or $MLFLOW_TRACKING_TOKEN.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Mapping

from backdoor.errors import Mistake, UserError
from sweeps.addresses import MASK, hidden, lacks_secret, same_store, secrets_of
from sweeps.storage.environment import variable

VARIABLE = "MLFLOW_TRACKING_URI"
#: Variables with which MLflow itself logs in at a server.
LOGIN = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_SCHEME = re.compile(r"(sqlite|postgresql|mysql|mssql)(\+\w+)?://|https?://|databricks(://|$)")
_RULE = (
    "must be a tracking store that MLflow has: sqlite:///FILE, http(s)://HOST, "
    "postgresql://..., mysql://..., mssql://... or databricks"
)


def broken_rule(uri: str) -> str | None:
    """The rule that an address breaks; None for one that MLflow takes."""
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return _RULE
    if any(ord(sign) < 32 for sign in uri) or uri != uri.strip():
        return "must be an address of one line, without space around it"
    kind = scheme[1] or scheme[0].partition(":")[0]
    if kind == "sqlite" and re.fullmatch(r"[\w+]+://(/|/:memory:)?(\?.*)?", uri):
        return "must be a file: what a sqlite store in memory holds is lost"
    return _broken_host(uri) if kind in ("http", "https") else None


def _broken_host(uri: str) -> str | None:
    try:
        parts = urllib.parse.urlsplit(uri)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    return None if usable else "must be an address of the form http(s)://HOST:PORT"


def checked_uri(uri: str, place: str, remedy: str) -> str:
    """`uri`, or `UserError` at this place where MLflow takes no such address."""
    if (rule := broken_rule(uri)) is not None:
        raise UserError(Mistake(place, rule, hidden(uri), remedy))
    return uri


def environment_uri(environ: Mapping[str, str] = os.environ) -> str | None:
    """$MLFLOW_TRACKING_URI, by the rules of `tracking.uri`; None where it is blank."""
    uri = variable(VARIABLE, environ)
    remedy = f"Correct {VARIABLE}, or unset it: then the store is in the results folder."
    return None if uri is None else checked_uri(uri, VARIABLE, remedy)


def whole_uri(uri: str, environ: Mapping[str, str] = os.environ) -> str:
    """The address with its secret: that of the environment, where it means the same store.

    Raises:
        UserError: the secret is needed, and the environment does not have it.
    """
    given = variable(VARIABLE, environ)
    if given and secrets_of(given) and same_store(given, uri):
        return given
    if not lacks_secret(uri):
        return uri
    web = uri.startswith(("http://", "https://"))
    if web and any(variable(name, environ) for name in LOGIN):
        return _with_login(uri, environ)
    rule = f"must be the whole address of {uri}, which is stored without its password"
    example = uri.replace(MASK, "PASSWORD")
    remedy = f"Set it in the environment: export {VARIABLE}='{example}'."
    if web:
        remedy = remedy[:-1] + f", or set {LOGIN[0]} or {LOGIN[1]}."
    raise UserError(Mistake(VARIABLE, rule, None if given is None else hidden(given), remedy))


def _with_login(uri: str, environ: Mapping[str, str]) -> str:
    """The address of a server, at which MLflow logs in by its own variables."""
    password, parts = variable(LOGIN[0], environ), urllib.parse.urlsplit(uri)
    login, _, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    if password is None or MASK in user:
        return parts._replace(netloc=host).geturl()
    return parts._replace(netloc=f"{user}:{urllib.parse.quote(password, '')}@{host}").geturl()
