"""A log's entry that raises is set aside; the watcher goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from watched import Kit

from detector import registry
from detector.normalize import containment
from detector.normalize.source import Source

LINE = '{{"timestamp":"2024-02-06T08:0{}:00Z","account":"{}","rows":1}}\n'


def exploding(source: Source) -> Source:
    """As it is, but an account ``boom`` raises what no source may raise."""

    def checked(read):
        def reading(path, settings, tail):
            for batch in read(path, settings, tail):
                if "boom" in batch.events["account"].cast(str).to_list():
                    raise ZeroDivisionError
                yield batch

        return reading

    growing = source.follow_reader and replace(
        source.follow_reader, read=checked(source.follow_reader.read)
    )
    return replace(source, read=checked(source.read), follow_reader=growing)


@pytest.mark.parametrize("whole", [False, True])
def test_the_watcher_sets_the_entry_aside_and_goes_on(kit: Kit, whole: bool, monkeypatch):
    found = registry.sources()
    source = exploding(found["ndjson"])
    if whole:
        fits = replace(source.follow_reader, can_follow=lambda _: False)
        source = replace(source, follow_reader=fits)
        monkeypatch.setattr(Source, "can_follow", lambda own, _: own.follow_reader is not fits)
    monkeypatch.setattr(registry, "sources", lambda: {**found, "ndjson": source})
    (kit.logs / "a.ndjson").write_text(
        LINE.format(1, "ann") + LINE.format(2, "boom") + LINE.format(3, "bob"), encoding="utf-8"
    )
    with kit.watching() as watcher:
        watcher.finish()
        (log,) = watcher.tracker.logs.values()
    if whole:
        assert log.stage == "left out"
        assert "ZeroDivisionError" in log.reason
    else:
        assert (log.stage, log.events, log.rejects) == ("ended", 2, 1)
        parts = watcher.ledger.parts()
        (reject,) = watcher.ledger.rejects([part.id for part in parts]).collect().rows()
        assert reject[1:] == (2, containment.failure_reason(ZeroDivisionError()))
