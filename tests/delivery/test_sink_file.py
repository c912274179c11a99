"""The file that an agent tails: whole lines, rotated, mended after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.parse
from datetime import date

import pytest
from delivery_made_up import item, route

from detector.core.errors import SettingsError
from detector.delivery.sink import Delivery, Unreachable
from detector.delivery.sinks import file as file_sink


def send(there, items):
    with there.sink.open(there.config, there.format) as sending:
        return sending(items)


def test_each_alert_is_a_line(tmp_path):
    there = route(f"file://{tmp_path}/new/alerts.ndjson")
    items = [item(1), item(2)]
    assert send(there, items) == [Delivery(), Delivery()]
    assert send(there, [item(3)]) == [Delivery()]
    lines = (tmp_path / "new" / "alerts.ndjson").read_bytes().splitlines()
    assert lines == [each.payload for each in [*items, item(3)]]


def test_a_path_may_hold_anything_that_a_url_can_say(tmp_path):
    there = route(f"file://{tmp_path}/a%20b%23%C3%A9.ndjson")
    send(there, [item(1)])
    assert os.listdir(os.fsencode(tmp_path)) == ["a b#é.ndjson".encode()]  # noqa: PTH208 - bytes


@pytest.mark.parametrize("name", ["é.ndjson", "%C3%A9.ndjson", "%FF.ndjson"])
@pytest.mark.parametrize("utf8", ["0", "1"])
def test_a_url_names_the_same_file_in_every_locale(tmp_path, name, utf8):
    """Bytes that are no text too; and one that cannot be written is told in text all the same."""
    code = textwrap.dedent(
        """
        import sys
        from detector.delivery.sink import Unreachable
        from detector.delivery.config import parse_table
        from detector.delivery.sinks.file import SINK
        for folder in sys.argv[1:3]:
            there = parse_table({"url": f"file://{folder}/" + sys.argv[3]}, "here")
            SINK.check(there, None)
            with SINK.open(there, None) as send:
                try:
                    send([])
                except Unreachable as error:
                    sys.stdout.buffer.write(error.later.message.encode("utf-8"))
        """
    )
    (tmp_path / "plain").write_bytes(b"")
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "new", tmp_path / "plain", name],
        env={**os.environ, **locale}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = urllib.parse.unquote_to_bytes(name)
    assert os.listdir(os.fsencode(tmp_path / "new")) == [wanted]  # noqa: PTH208 - bytes
    shown = wanted.decode("utf-8", "backslashreplace")
    assert f"{tmp_path}/plain/{shown} cannot be written".encode() in done.stdout


def test_a_url_with_a_nul_is_a_mistake_of_the_settings_and_not_of_each_delivery():
    with pytest.raises(SettingsError, match="NUL"):
        route("file:///tmp/a%00b.ndjson")


def test_a_torn_last_line_is_moved_aside_before_anything_is_added(tmp_path):
    path = tmp_path / "alerts.ndjson"
    path.write_bytes(b'{"id": 1}\n{"id": ' + b"x" * 200_000)
    send(route(f"file://{path}"), [item(2)])
    assert path.read_bytes() == b'{"id": 1}\n' + item(2).payload + b"\n"
    torn = (tmp_path / "alerts.ndjson.torn").read_bytes()
    assert torn == b'{"id": ' + b"x" * 200_000 + b"\n"


def test_a_file_that_is_one_torn_line_is_mended_too(tmp_path):
    path = tmp_path / "alerts.ndjson"
    path.write_bytes(b"half")
    send(route(f"file://{path}"), [item(2)])
    assert path.read_bytes() == item(2).payload + b"\n"


def test_it_rotates_by_size_and_loses_nothing(tmp_path):
    there = route(f"file://{tmp_path}/alerts.ndjson", rotate_bytes=5_000)
    items = [item(n) for n in range(40)]
    for each in items:
        send(there, [each])
    parts = list(tmp_path.iterdir())
    assert len(parts) > 3
    assert all(part.stat().st_size <= 5_000 for part in parts)
    lines = [line for part in parts for line in part.read_bytes().splitlines()]
    assert sorted(lines) == sorted(each.payload for each in items)


def test_it_rotates_when_the_day_is_over(tmp_path):
    path = tmp_path / "alerts.ndjson"
    target = route(f"file://{path}").config
    file_sink.append(path, b"one\n", target, lambda: date(2024, 2, 5))
    at = 1_707_130_000  # 5 Feb 2024
    os.utime(path, (at, at))
    file_sink.append(path, b"two\n", target, lambda: date(2024, 2, 5))
    os.utime(path, (at, at))
    file_sink.append(path, b"three\n", target, lambda: date(2024, 2, 6))
    assert path.read_bytes() == b"three\n"
    assert (tmp_path / "alerts.2024-02-05.ndjson").read_bytes() == b"one\ntwo\n"


def test_rotation_replaces_no_file_that_is_there(tmp_path):
    path = tmp_path / "alerts.ndjson"
    target = route(f"file://{path}", rotate_bytes=10).config
    for text in (b"111111\n", b"222222\n", b"333333\n"):
        file_sink.append(path, text, target, lambda: date(2024, 2, 5))
        at = 1_707_130_000
        os.utime(path, (at, at))
    assert (tmp_path / "alerts.2024-02-05.ndjson").read_bytes() == b"111111\n"
    assert (tmp_path / "alerts.2024-02-05.2.ndjson").read_bytes() == b"222222\n"


def test_without_rotation_all_stays_in_one_file(tmp_path):
    path = tmp_path / "alerts.ndjson"
    there = route(f"file://{path}", rotate_bytes=0, rotate_daily=False)
    send(there, [item(1)])
    os.utime(path, (0, 0))
    send(there, [item(2)])
    assert [each.name for each in tmp_path.iterdir()] == ["alerts.ndjson"]


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    there = route(f"file://{tmp_path}/alerts.ndjson")
    send(there, [item(1)])
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
    with pytest.raises(Unreachable, match="No space left on device"):
        send(there, [item(2)])
    assert (tmp_path / "alerts.ndjson").read_bytes() == item(1).payload + b"\n"


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "plain").write_text("", encoding="utf-8")
    with pytest.raises(Unreachable, match="cannot be written: File exists"):
        send(route(f"file://{tmp_path}/plain/alerts.ndjson"), [item(1)])


def test_no_line_that_ends_is_half_a_line_nor_do_writers_mix(tmp_path):
    """Two writers, rotating, and one that tails by name."""
    there = route(f"file://{tmp_path}/alerts.ndjson", rotate_bytes=50_000)
    expected = [n + m for first in (0, 100) for n in range(first, first + 60) for m in (0, 1000)]
    whole = {item(n).payload for n in expected}
    torn = []
    stop = threading.Event()

    def tail():
        while not stop.is_set():
            try:
                data = (tmp_path / "alerts.ndjson").read_bytes()
            except FileNotFoundError:
                continue
            torn.extend(set(data[: data.rfind(b"\n") + 1].splitlines()) - whole)

    def write(first):
        for n in range(first, first + 60):
            send(there, [item(n), item(n + 1000)])

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100)]
    reader = threading.Thread(target=tail)
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert torn == []
    lines = [line for path in tmp_path.iterdir() for line in path.read_bytes().splitlines()]
    assert sorted(lines) == sorted(item(n).payload for n in expected)


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_whole_lines(tmp_path):
    code = textwrap.dedent(
        """
        import sys
        import os, time
        from pathlib import Path
        from datetime import date
        from detector.delivery.config import SinkConfig
        from detector.delivery.sinks.file import append
        path = Path(sys.argv[1])
        at_once = os.write
        def slowly(file, data):  # as a disk does that takes a while
            half = len(data) // 2 + 50
            done = at_once(file, data[:half])
            time.sleep(0.002)
            return done + at_once(file, data[half:])
        os.write = slowly
        target = SinkConfig(f"file://{path}", rotate_bytes=200_000)
        print("on", flush=True)
        while True:
            append(path, (b"x" * 99 + b"\\n") * 200, target, date.today)
        """
    )
    path = tmp_path / "alerts.ndjson"
    hit = 0
    for round_ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        writer.stdout.close()
        time.sleep(0.03 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        hit += not path.read_bytes().endswith(b"\n") if path.exists() else 0
        send(route(f"file://{path}"), [item(1)])
    for part in tmp_path.glob("alerts*.ndjson"):
        assert {len(line) for line in part.read_bytes().splitlines()} <= {99, len(item(1).payload)}
    assert hit > 0, "no kill hit a write, so nothing was proven"
    assert (tmp_path / "alerts.ndjson.torn").stat().st_size > 0
