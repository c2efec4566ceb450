"""Where a study is mirrored to: MLflow's tracking URI, and what of it may be written down."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from emlib.errors import ConfigError


def tracking_uri(study_dir: Path, configured: str | None) -> str:
    """The URI to mirror to.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``.
    configured : str or None
        ``tracking.uri``; environment variables written ``$NAME`` or ``${NAME}`` are filled in, so
        that a password need not stand in a file. None means `mlflow.db` beside the study.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If a variable is not set, or the URI names MLflow's closed file store.
    """
    if configured is None:
        return f"sqlite:///{study_dir.parent / 'mlflow.db'}"
    unset = [name for name in re.findall(r"\$\{?(\w+)\}?", configured) if name not in os.environ]
    if unset:
        raise ConfigError(
            f"tracking.uri: {without_secrets(configured)!r} names the environment variable "
            f"{unset[0]}, which is not set"
        )
    uri = os.path.expandvars(configured)
    if urlsplit(uri).scheme == "file" or ("://" not in uri and re.search(r"[/.]", uri)):
        raise ConfigError(
            f"tracking.uri: {without_secrets(uri)!r} names a folder, and MLflow has closed its "
            "file store; allowed: sqlite:///path/to/mlflow.db, another database, or a server's "
            "http(s) address"
        )
    return uri


def without_secrets(uri: str) -> str:
    """The URI without user, password, query and fragment, fit to be written to a file."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return re.split(r"[?#]", uri)[0]
    if scheme.startswith("sqlite"):
        return scheme + separator + rest.partition("?")[0]
    return scheme + separator + re.split(r"[?#]", rest.rpartition("@")[2])[0]
