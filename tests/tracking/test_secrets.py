"""Secrets of ``tracking.uri``: none is taken from a config, none that is filled in gets out."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from emlib.errors import ConfigError
from emlib.study.config import load_config, parse_overrides
from emlib.study.plan import show_plan
from emlib.study.prepare import prepare
from emlib.tracking.location import hidden, masked, tracking_uri, written_secret
from emlib.tracking.mirror import mirror_study
from tests.study.small_study import CONFIG
from tests.tracking.tiny import Tiny

SECRET = "Hunter2Swordfish"
TOKEN = "987654321"
WRITTEN = [
    f"https://me:{SECRET}@host:5000",
    f"https://me:$USER-{SECRET}@host",
    f"https://{SECRET}@host",
    f"https://host/api?token={SECRET}",
    f"https://host/#access_token={SECRET}",
    f"postgresql://me@host/db?sslmode=require&password={SECRET}",
    f"mssql+pyodbc:///?odbc_connect=PWD%3D{SECRET}",
    f"sqlite+pysqlcipher://:{SECRET}@/mlflow.db",
    f"me:{SECRET}@host.org",
    f"https://host/api?x-api-key={SECRET}",
    f"https://host/api?private_key={SECRET}",
    f"https://host/api?timeout=3&pw={SECRET}",
    f"https://host/#jwt={SECRET}",
    f"https://host/api?AccountKey={SECRET}",
    f"https://host/api?sv=$VERSION;signature={SECRET}",
    f"https://host/api?subscription-key={SECRET}",
    f"https://host/api?{SECRET}",
    f"https://host/#{SECRET}==",
    f"sqlite:////data/my runs#1.db?key={SECRET}",
]


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PASSWORD", SECRET)
    monkeypatch.setenv("THE_TOKEN", TOKEN)


def nowhere(text: str) -> None:
    assert SECRET not in text
    assert TOKEN not in text


def files(folder: Path) -> str:
    """All that a folder holds, names too."""
    return "\n".join(
        f"{path} {path.read_bytes().decode('latin-1')}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def config(folder: Path, uri: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "tracking": {"uri": uri}}))
    return path


@pytest.mark.parametrize("uri", WRITTEN)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(tmp_path: Path, uri: str):
    with pytest.raises(ConfigError, match=r"tracking\.uri: .*write \$NAME instead") as error:
        load_config(config(tmp_path, uri))
    nowhere(str(error.value))
    with pytest.raises(ConfigError, match=r"write \$NAME instead") as error:
        tracking_uri(tmp_path, uri)
    nowhere(str(error.value))


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:$THE_PASSWORD@host:5000/api?token=${THE_TOKEN}&timeout=1",
        "$THE_URI",
        "https://$THE_TOKEN@host",
        "postgresql+psycopg2://me@host/db?sslmode=require",
        "postgresql://me@/db?host=/var/run/postgresql&options=-csearch_path%3Druns&connect_timeout=5",
        "mysql+pymysql://me@host/db?charset=utf8mb4&ssl_ca=/etc/ca.pem",
        "mssql+pyodbc://me@host/db?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes",
        "sqlite:////data/a@b/mlflow.db?timeout=3",
        "sqlite:////data/my runs#1.db?timeout=3",
        "https://host/?$THE_TOKEN#$THE_TOKEN",
        "https://mlflow.example.org",
        "databricks",
    ],
)
def test_names_of_variables_and_what_is_no_secret_are_taken(tmp_path: Path, uri: str):
    assert written_secret(uri) == ""
    assert load_config(config(tmp_path, uri)).tracking.uri == uri


def test_a_refused_option_is_named_with_those_that_may_be_written_out():
    fault = written_secret(f"https://host/api?sslmode=require&jwt={SECRET}")
    assert "'https://host/api' is given jwt= that is written out" in fault
    assert "only these may be written out: application_name, cache" in fault


@pytest.mark.parametrize("wrong", [[WRITTEN[0]], {WRITTEN[0]: 1}, [WRITTEN[9]]])
def test_errors_about_its_shape_do_not_repeat_it(tmp_path: Path, wrong: Any):
    with pytest.raises(ConfigError, match="tracking") as error:
        load_config(config(tmp_path, wrong))
    nowhere(str(error.value))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "tracking": WRITTEN[0], WRITTEN[3]: 1}))
    with pytest.raises(ConfigError, match=r"tracking: .*mapping") as error:
        load_config(path)
    nowhere(str(error.value))
    with pytest.raises(ConfigError, match="expected key=value") as error:
        parse_overrides([WRITTEN[0]])
    nowhere(str(error.value))


def test_the_plan_and_all_that_snakemake_gets_hold_the_name_alone(
    tmp_path: Path, secrets: None, capsys: pytest.CaptureFixture[str]
):
    path = config(tmp_path, "https://me:$THE_PASSWORD@host/?token=$THE_TOKEN")
    prepared = json.dumps(prepare(path, results=tmp_path))
    assert "$THE_PASSWORD" in prepared
    nowhere(prepared)
    show_plan(path, [])
    nowhere(capsys.readouterr().out)


def test_neither_receipt_nor_database_holds_what_was_filled_in(tiny: Tiny, secrets: None):
    tiny.study["tracking"]["uri"] = f"{tiny.uri}?timeout=$THE_TOKEN"
    receipt = mirror_study(tiny.write())
    assert receipt["uri"] == tiny.uri
    nowhere(files(tiny.root.parent))


class Echo(BaseHTTPRequestHandler):
    """A server that refuses everything and repeats what it was asked."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = f"not for you: {self.path}, {SECRET}".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Echo) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("answers", [True, False])
def test_a_server_s_error_is_shown_without_secrets(
    tiny: Tiny, secrets: None, server: str, answers: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0" if answers else "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    host = server if answers else "127.0.0.1:1"
    tiny.study["tracking"]["uri"] = f"http://me:$THE_PASSWORD@{host}?token=$THE_TOKEN"
    command = [sys.executable, "-m", "emlib", "mirror", str(tiny.write())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"MLflow at http://{host}: " in done.stderr, done.stderr
    assert ("not for you" in done.stderr) == answers
    nowhere(done.stdout + done.stderr + files(tiny.root.parent))


@pytest.mark.parametrize("password", ["p/w", "p#w", "p?w", "p[w"])
def test_a_password_that_breaks_the_uri_is_not_shown_while_saying_so(
    monkeypatch: pytest.MonkeyPatch, password: str
):
    monkeypatch.setenv("THE_PASSWORD", password)
    with pytest.raises(ConfigError, match=r"not a URI; .* must be written as") as error:
        tracking_uri(Path("results/s"), "https://me:$THE_PASSWORD@host:5000")
    assert password not in str(error.value)


def test_a_text_is_shown_without_the_secrets_of_uris_in_it():
    uri = "https://me:p%40ss@host/?token=tok123"
    text = f"bad {uri}: user me, password p@ss, quoted p%40ss, /api?x=1&token=tok123"
    shown = hidden(text, uri)
    assert "tok123" not in shown
    assert "p@ss" not in shown
    assert "p%40ss" not in shown
    assert (
        masked("see https://a:b c@host/x?x-api-key=1&mode=2")
        == "see https://***@host/x?x-api-key=***&mode=2"
    )
