"""Logs in an S3 bucket: moto's server stands in for AWS, on loopback."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

from detector import registry
from detector.core.errors import InputError
from detector.core.settings import Settings
from detector.normalize.format_detection import detect
from detector.normalize.reader_state import ReaderState
from detector.readers import object_store
from detector.readers.discovery import expand
from simulation.loopback import free_port

HEAD = "timestamp,account,rows\n"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/moto-api/", timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                assert server.poll() is None, "moto's server ended"
                time.sleep(0.1)
        yield url
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """Puts objects into a bucket; told to detector as to any tool of AWS."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    object_store._connect.cache_clear()
    httpx.post(f"{endpoint}/moto-api/reset", timeout=30, trust_env=False)
    client = httpx.Client(base_url=endpoint, timeout=30, trust_env=False)
    signed = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20240206/us-east-1/s3/aws4_request"
    }

    def put(**objects: bytes) -> None:
        for name, data in objects.items():
            done = client.put(f"/logs/{name}", content=data, headers=signed)
            assert done.status_code == 200, done.text

    assert client.put("/logs", headers=signed).status_code == 200
    yield put
    client.close()
    object_store._connect.cache_clear()


def csv(*accounts: str) -> bytes:
    return (HEAD + "".join(f"2024-02-06T10:00:00Z,{name},3\n" for name in accounts)).encode()


def urls(*arguments: str) -> list[str]:
    return [log.name for log in expand(list(arguments))]


def events(*arguments: str) -> pl.DataFrame:
    files, unused = detect(expand(list(arguments)), registry.sources(), Settings())
    assert unused == []
    batches = [
        batch for log, source in files for batch in source.read(log, Settings(), ReaderState())
    ]
    return pl.concat(
        [b.events.with_columns(pl.col(pl.Categorical).cast(pl.String)) for b in batches]
    )


def test_an_object_a_folder_and_a_glob_are_read_like_files(bucket):
    bucket(**{"a/log.2.csv": csv("bob"), "a/log.10.csv": csv("eve"), "a/b/c.csv": csv("kim")})
    bucket(**{"a/readme.md": b"no log", "a/.hidden": b"no log"})
    assert urls("s3://logs/a/log.2.csv") == ["s3://logs/a/log.2.csv"]
    both = ["s3://logs/a/log.2.csv", "s3://logs/a/log.10.csv"]
    assert urls("s3://logs/a/*.csv") == both
    assert urls("s3://logs/a/log.?.csv") == both[:1]
    assert set(urls("s3://logs/a")) == {*both, "s3://logs/a/b/c.csv"}
    assert urls("s3://logs/a/") == urls("s3://logs/a")
    assert set(urls("s3://logs/**/*.csv")) == set(urls("s3://logs"))
    assert sorted(events("s3://logs/a")["account"]) == ["bob", "eve", "kim"]


def test_an_object_with_odd_letters_in_its_name_is_read(bucket):
    odd = "a b/x[1]+%20\u00e9.csv"
    bucket(**{odd.replace(" ", "%20").replace("%20\u00e9", "%2520\u00e9"): csv("bob")})
    assert events(f"s3://logs/{odd}")["account"].to_list() == ["bob"]
    assert events("s3://logs/a b")["account"].to_list() == ["bob"]


def test_compressed_objects_and_parquet_are_read(bucket):
    table = io.BytesIO()
    pl.read_csv(csv("kim")).write_parquet(table)
    bucket(**{"z.csv.gz": gzip.compress(csv("bob", "eve")), "z.parquet": table.getvalue()})
    assert sorted(events("s3://logs/z.csv.gz", "s3://logs/z.parquet")["account"]) == [
        "bob",
        "eve",
        "kim",
    ]


def test_a_cloudtrail_file_in_its_bucket_is_read(bucket):
    trail = (DATA / "cloudtrail_s3" / "trail.json").read_bytes()
    bucket(**{"AWSLogs/1/CloudTrail/x.json.gz": gzip.compress(trail)})
    found = events("s3://logs/AWSLogs")
    assert len(found) == 5
    assert found["bytes"].drop_nulls().max() == 41_000_000


def test_an_object_larger_than_one_request_is_read_whole(bucket):
    bucket(big=csv(*[f"agent{i}" for i in range(400_000)]))
    assert expand(["s3://logs/big"])[0].size() > object_store._READ_AHEAD_BYTES
    assert events("s3://logs/big")["account"].n_unique() == 400_000


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("s3://logs/none", "no such file, folder or glob"),
        ("s3://logs/*.none", "no such file, folder or glob"),
        ("s3://", "names no place; write it as s3://bucket/path"),
        ("ftp://host/x", "is in no store that can be read; known: s3://, gs://, az://"),
    ],
)
def test_what_names_nothing_is_told_in_one_line(bucket, argument, says):
    bucket(there=b"x")
    with pytest.raises(InputError, match=says) as error:
        expand([argument])
    assert argument in str(error.value)
    assert "\n" not in str(error.value)


def test_an_object_that_is_gone_when_it_is_read_is_told(bucket):
    bucket(there=csv("bob"))
    source = registry.sources()["csv"]
    with pytest.raises(InputError, match="no such file"):
        list(source.read(object_store.StoredObject("s3://logs/gone", 1), Settings(), ReaderState()))


def test_the_command_scores_nothing_but_checks_a_bucket(bucket, endpoint):
    bucket(**{"day.csv": csv("bob", "eve")})
    done = subprocess.run(
        [Path(sys.executable).with_name("detector"), "check", "s3://logs"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"AWS_ENDPOINT_URL_S3": endpoint},
    )
    assert done.returncode == 0, done.stderr
    assert "s3://logs/day.csv" in done.stdout + done.stderr


def test_azure_without_an_account_says_which_variable_to_set(monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(InputError, match="set AZURE_STORAGE_ACCOUNT_NAME"):
        expand(["az://logs/day.csv"])
