"""Addresses without their secrets: what may be written to files, logs and command lines.

A secret is the password of `scheme://user:password@host`, a user name that is a token, and the
value of a parameter such as `?password=` or `&token=`. It is replaced by `***`.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable

#: Stands for a secret.
MASK = "***"
#: A user name of at least so many characters, without a password, is a token.
TOKEN_LENGTH = 20
#: Parameters with these words in their names are secrets; `sslkey` and `passfile` name files.
_SECRET_NAME = re.compile(
    r"passw|passphrase|^pass$|^pwd$|token|secret|credential|signature|^sig$|bearer|jwt"
    r"|(api|access|account|auth|private|shared)[_-]?key$",
    re.IGNORECASE,
)
#: A connection string as the value of a parameter, as in `odbc_connect=...;PWD=...`.
_SECRET_INSIDE = re.compile(r"(passw\w*|pwd|token|secret)\s*=", re.IGNORECASE)
_PARAMETER = re.compile(r"[?&;#]([^=?&;#]+)=([^&;#]+)")
#: The scheme is as short as schemes are, else a long word would be searched from each letter on.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[^\s\"'`<>]+")


def hidden(uri: str) -> str:
    """The address with `***` for each of its secrets."""
    for begin, end in reversed(_places(uri)):
        uri = uri[:begin] + MASK + uri[end:]
    return uri


def secrets_of(uri: str) -> list[str]:
    """The secrets of an address, as it has them and without percent-encoding."""
    found = [uri[begin:end] for begin, end in _places(uri)]
    given = [secret for secret in found if secret != MASK]
    return list(dict.fromkeys([*given, *map(urllib.parse.unquote, given)]))


def lacks_secret(uri: str) -> bool:
    """Whether a secret of the address was replaced by `***`."""
    return any(uri[begin:end] == MASK for begin, end in _places(uri))


def same_store(one: str, other: str) -> bool:
    """Whether two addresses are equal but for their secrets."""
    return _bare(one) == _bare(other)


def scrubbed(text: str, uris: Iterable[str] = ()) -> str:
    """`text` without the secrets of the addresses in it. uris: those that it may hold in pieces,
    or written in a way that is not recognized as an address."""
    for uri in uris:
        text = text.replace(uri, hidden(uri))
        for secret in sorted(secrets_of(uri), key=len, reverse=True):
            # Words this short are parts of other words.
            text = text.replace(secret, MASK) if len(secret) > 3 else text
    return _ADDRESS.sub(lambda found: hidden(found[0]), text)


def scrubbed_value(value: object) -> object:
    """A plain value, such as a setting that is refused, without the secrets of its texts."""
    if isinstance(value, str):
        return scrubbed(hidden(value))
    if isinstance(value, dict):
        return {scrubbed_value(key): scrubbed_value(each) for key, each in value.items()}
    return [scrubbed_value(each) for each in value] if isinstance(value, list) else value


def addresses_in(text: str) -> list[str]:
    """The addresses in a text, such as an argument of a command."""
    return [found[0].rstrip(",}])") for found in _ADDRESS.finditer(text)]


def _bare(uri: str) -> str:
    """Without secrets, and without what shows that there were any."""
    masked = hidden(uri).replace(f":{MASK}@", "@").replace(f"{MASK}@", "")
    address, mark, query = masked.partition("?")
    kept = [pair for pair in query.split("&") if not pair.endswith(f"={MASK}")]
    return address.rstrip("/") + (mark + "&".join(kept) if any(kept) else "")


def _places(uri: str) -> list[tuple[int, int]]:
    """Where secrets begin and end."""
    login, host = _login(uri)
    places = [login] if login else []
    tail = _first(uri, "?#", host)
    for found in _PARAMETER.finditer(uri, tail):
        name, value = (urllib.parse.unquote(text).strip() for text in found.groups())
        if value == MASK or _SECRET_NAME.search(name) or _SECRET_INSIDE.search(value):
            places.append(found.span(2))
    return places


def _login(uri: str) -> tuple[tuple[int, int] | None, int]:
    """The place of the password or token before the host; and where the host begins.

    SQLAlchemy takes all up to `@` as the password, whatever it holds, and so does this.
    """
    begin = uri.find("://") + 3
    at = uri.find("@", begin)
    if begin < 3 or at < 0 or uri[begin] == "[":  # the latter is a host, by number
        return None, max(begin, 0)
    host = uri.rfind("@", at, _first(uri, "/?#", at)) + 1
    colon, slash = uri.find(":", begin, host), _first(uri, "/?#", begin)
    web = uri.lower().startswith(("http:", "https:"))
    if colon < 0 or colon > slash or (web and _is_port(uri[colon + 1 : slash], slash < at)):
        if slash < at:
            return None, begin  # the sign is a part of the path
        token = web and (host - 1 - begin >= TOKEN_LENGTH or uri[begin : host - 1] == MASK)
        return ((begin, host - 1) if token else None), host
    return ((colon + 1, host - 1) if colon + 1 < host - 1 else None), host


def _is_port(text: str, before_path: bool) -> bool:
    return before_path and text.isdigit()


def _first(text: str, signs: str, begin: int) -> int:
    """Where the first of these signs is from there on; the end where there is none."""
    return min((i for i in (text.find(sign, begin) for sign in signs) if i >= 0), default=len(text))
