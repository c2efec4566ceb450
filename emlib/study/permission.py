"""Permission for Python files that a config names: a study from elsewhere runs nothing unasked.

As in direnv: ``emlib allow FILE`` keeps a record of the file's place and content in the user's own
configuration folder, outside every project, so that no project can bring its own permission.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from pathlib import Path

from emlib.errors import EmlibError

VARIABLE = "EMLIB_ALLOW_PLUGINS"
"""Environment variable that allows every file if it is ``1``."""


class NotAllowed(EmlibError):
    """A plugin that nobody has allowed, or that has changed since."""


def allow(file: Path) -> Path:
    """Keep a record that the file, as it is now, may be run; returns its full path.

    Raises
    ------
    EmlibError
        If the file cannot be read, or the record not be written.
    """
    path, code = read_plugin(file)
    record = _record(path, code)
    try:
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record.write_text(f"{path}\n", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise EmlibError(
            f"{record.parent}: cannot be written to ({error.strerror}); {VARIABLE}=1 in the "
            "environment allows plugins without a record"
        ) from None
    return path


def require_allowed(file: str | Path, path: Path, code: bytes) -> None:
    """Refuse a plugin's content that was not allowed.

    Parameters
    ----------
    file : str or Path
        As the config names it.
    path, code
        Of ``read_plugin``.

    Raises
    ------
    NotAllowed
        Its text says what to type.
    """
    if os.environ.get(VARIABLE) == "1" or _record(path, code).is_file():
        return
    raise NotAllowed(
        f"{file}: is code, and is not allowed to run yet, or has changed since it was. Read it, "
        f"then type: emlib allow {shlex.quote(str(file))}"
    )


def read_plugin(file: str | Path) -> tuple[Path, bytes]:
    """The full path of a file, links resolved, and its content.

    Raises
    ------
    EmlibError
        If it cannot be read.
    """
    try:
        path = Path(file).resolve()
        if not path.is_file() and path.exists():
            raise EmlibError(f"{file}: cannot be read (not a file)")
        return path, path.read_bytes()
    except FileNotFoundError:
        raise EmlibError(f"{file}: no such file (relative to {Path.cwd()})") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or no path at all
        raise EmlibError(f"{file}: cannot be read ({error})") from None


def _record(path: Path, code: bytes) -> Path:
    import click  # here: fits need nothing of it

    content = os.fsencode(path) + b"\0" + hashlib.sha256(code).digest()
    return Path(click.get_app_dir("emlib")) / "allowed" / hashlib.sha256(content).hexdigest()
