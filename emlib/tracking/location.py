"""Where a study is mirrored to: MLflow's tracking URI, and what of it may be written down."""

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

from emlib.errors import ConfigError

_VARIABLES = re.compile(r"(?:\$\w+|\$\{\w+\})+")
_PARAMETER = re.compile(r"[?#&;]([^\s?#&;=]+)=([^\s?#&;]*)")
# Options of SQLite, PostgreSQL, MySQL and ODBC addresses that say how to connect, and hold no
# secret. All others are taken for one: there is no end of names for a key.
HARMLESS = (
    *("cache", "check_same_thread", "isolation_level", "mode", "timeout", "uri"),
    *("application_name", "channel_binding", "client_encoding", "connect_timeout", "gssencmode"),
    *("host", "options", "port", "sslcert", "sslkey", "sslmode", "sslrootcert"),
    *("target_session_attrs", "charset", "collation", "read_timeout", "ssl", "ssl_ca", "ssl_cert"),
    *("ssl_check_hostname", "ssl_key", "ssl_verify_cert", "unix_socket", "write_timeout"),
    *("driver", "encrypt", "trusted_connection", "trustservercertificate"),
)


def tracking_uri(study_dir: Path, configured: str | None) -> str:
    """The URI to mirror to.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``.
    configured : str or None
        ``tracking.uri``; environment variables written ``$NAME`` or ``${NAME}`` are filled in, so
        that a password stands in no file. None means `mlflow.db` beside the study.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If a secret is written out, a variable is not set, or the URI is none or names MLflow's
        closed file store.
    """
    if configured is None:
        return f"sqlite:///{study_dir.parent / 'mlflow.db'}"
    if fault := written_secret(configured):
        raise ConfigError(f"tracking.uri: {fault}")
    unset = [name for name in re.findall(r"\$\{?(\w+)\}?", configured) if name not in os.environ]
    if unset:
        raise ConfigError(
            f"tracking.uri: {without_secrets(configured)!r} names the environment variable "
            f"{unset[0]}, which is not set"
        )
    uri = os.path.expandvars(configured)
    try:
        split = urlsplit(uri)
        _ = split.port
    except ValueError:
        raise ConfigError(
            f"tracking.uri: {without_secrets(uri)!r} is not a URI; in a user's name or a password, "
            "/ ? # [ ] @ must be written as %2F %3F %23 %5B %5D %40"
        ) from None
    if split.scheme == "file" or ("://" not in uri and re.search(r"[/.]", uri)):
        raise ConfigError(
            f"tracking.uri: {without_secrets(uri)!r} names a folder, and MLflow has closed its "
            "file store; allowed: sqlite:///path/to/mlflow.db, another database, or a server's "
            "http(s) address"
        )
    return uri


def written_secret(configured: str) -> str:
    """What is wrong with a configured URI that holds a secret itself; "" if it holds none."""
    allowed = f"; of options, only these may be written out: {', '.join(sorted(HARMLESS))}"
    for found, more in ((_login(configured), ""), (_options(configured), allowed)):
        for what, secret in found:
            if not _VARIABLES.fullmatch(secret):
                return (
                    f"{without_secrets(configured)!r} is given {what} that is written out; write "
                    "$NAME instead, the name of an environment variable that holds it (on a "
                    f"command line in single quotes){more}"
                )
    return ""


def without_secrets(uri: str) -> str:
    """The URI without user, password, query and fragment, fit to be written to a file."""
    scheme, separator, rest = uri.partition("://") if "://" in uri else ("", "", uri)
    if scheme.startswith("sqlite") and rest.startswith("/"):  # no host, so no user
        return scheme + separator + rest.partition("?")[0]
    return scheme + separator + re.split(r"[?#]", rest.rpartition("@")[2])[0]


def hidden(text: str, uri: str) -> str:
    """A text without the URI's secrets, however it quotes them."""
    text = text.replace(uri, without_secrets(uri))
    for _, secret in chain(_login(uri), _options(uri)):
        for written in (secret, unquote(secret)):
            text = text.replace(written, "***")
    return masked(text)


def masked(text: str) -> str:
    """A text in which any URI may stand, without users, passwords and tokens."""
    text = re.sub(r"(?<=://)(?!/).*@", "***@", text)  # rather too much than too little
    return _PARAMETER.sub(
        lambda found: found[0] if _harmless(found[1]) else found[0].partition("=")[0] + "=***", text
    )


def _login(uri: str) -> Iterator[tuple[str, str]]:
    """What of a user is secret, named; a server takes a user without password for a token."""
    scheme, separator, rest = uri.partition("://")
    rest = rest if separator else uri
    if not rest.startswith("/"):
        user, colon, password = rest.rpartition("@")[0].partition(":")
        if password:
            yield "a password", password
        elif user and not colon and scheme in ("http", "https"):
            yield "a user without password, a token,", user


def _options(uri: str) -> Iterator[tuple[str, str]]:
    """What of query and fragment may be secret, named."""
    start = r"\?" if uri.startswith("sqlite") else "[?#]"  # the name of its file may have a #
    for part in re.split("[?#&;]", "".join(re.split(start, uri, maxsplit=1)[1:])):
        name, _, value = part.partition("=")
        if part and not _harmless(name):
            # a token in base64 may end with =
            yield (f"{name}=", value) if value.strip("=") else ("a query or fragment", part)


def _harmless(option: str) -> bool:
    return option.lower() in HARMLESS
