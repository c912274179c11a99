"""Logs in object stores: ``s3://``, ``gs://`` and ``az://``, as inputs like any other.

Apache Arrow reads all three (https://arrow.apache.org/docs/python/filesystems.html), and is there
anyway. Who one is comes from the place's usual variables and files; an object is read in pieces,
and nothing of it is kept on disk.
"""

from __future__ import annotations

import fnmatch
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, Final

from detector.core.errors import InputError

#: Schemes with how the rest of a URL begins.
SCHEMES: Final = {"s3": "bucket", "gs": "bucket", "az": "container"}
#: Bytes asked for at once: a request costs some 50 ms, whatever it brings.
_READ_AHEAD_BYTES: Final = 8 << 20
_URL: Final = re.compile(r"(?P<scheme>[a-z0-9]+)://(?P<place>[^/]*)/?(?P<key>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a store: a ``LogInput`` under its URL."""

    name: str
    byte_count: int

    @property
    def local_path(self) -> None:
        """Nothing of it is on this machine."""

    def open(self) -> BinaryIO:
        """Its bytes. Raises FileNotFoundError and OSError."""
        system, key = _file_system(self.name)
        return io.BufferedReader(_RangeReader(system.open_input_file(key)), _READ_AHEAD_BYTES)

    def size(self) -> int:
        """How many bytes it had when it was found."""
        return self.byte_count


class _RangeReader(io.RawIOBase):
    """An object read by ranges, as Python's own files are."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        data = self._file.read(len(into))
        into[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def is_store_url(argument: str) -> bool:
    """Whether an argument is a URL of a store that can be read.

    Raises InputError for one that is not.
    """
    match = _URL.fullmatch(argument)
    if match is None:
        return False
    if match["scheme"] not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise InputError("is in no store that can be read", where=argument, hint=f"known: {known}")
    if not match["place"]:
        wanted = f"{match['scheme']}://{SCHEMES[match['scheme']]}/path"
        raise InputError("names no place", where=argument, hint=f"write it as {wanted}")
    return True


def list_objects(argument: str) -> list[StoredObject]:
    """The objects that a URL names: one, all below it, or those a glob fits. Raises InputError."""
    match = _URL.fullmatch(argument)
    assert match is not None
    try:
        system, key = _file_system(argument)
        info = system.get_file_info(key)
        if info.is_file:  # whatever letters its name has
            return [StoredObject(argument, int(info.size))]
        if any(letter in match["key"] for letter in "*?["):
            fits = re.compile(_glob_pattern(match["key"]))
            before = re.split(r"[*?\[]", match["key"], maxsplit=1)[0].rpartition("/")[0]
            top = f"{match['scheme']}://{match['place']}/{before}"
            head = len(f"{match['scheme']}://{match['place']}/")
            return [log for log in _list_below(top) if fits.fullmatch(log.name[head:])]
        return list(_list_below(argument))
    except (OSError, ValueError) as error:  # Arrow's own errors are both
        first = next(iter(str(error).splitlines()), "")[:300]
        hint = "are its name, the region and your credentials right?"
        raise InputError(f"cannot be read: {first}", where=argument, hint=hint) from error


def _glob_pattern(glob: str) -> str:
    """A glob as a regular expression: ``*`` stops at a slash, ``**/`` does not."""
    parts = [
        r"(?:.*/)?" if part == "**/" else re.sub(r"\.\*", "[^/]*", fnmatch.translate(part)[4:-3])
        for part in re.split(r"(\*\*/)", glob)
        if part
    ]
    return "(?s:" + "".join(parts) + ")"


def _list_below(url: str) -> Iterator[StoredObject]:
    from pyarrow import fs

    system, key = _file_system(url)
    scheme = url.partition("://")[0]
    chosen = fs.FileSelector(key.rstrip("/"), recursive=True, allow_not_found=True)
    for info in system.get_file_info(chosen):
        if info.is_file:
            yield StoredObject(f"{scheme}://{info.path}", int(info.size))


def _file_system(url: str) -> tuple[Any, str]:
    """Arrow's file system for a URL, and the object's name there, which begins with its place."""
    match = _URL.fullmatch(url)
    assert match is not None
    place = match["place"]
    return _connect(match["scheme"], place), f"{place}/{match['key']}".rstrip("/")


@cache
def _connect(scheme: str, place: str) -> Any:
    """Raises InputError where something needed is not set, and OSError."""
    from pyarrow import fs

    try:
        if scheme == "s3":
            return fs.S3FileSystem(**_s3_options(place))
        if scheme == "gs":
            return fs.GcsFileSystem()
        return fs.AzureFileSystem(**_azure_options(f"az://{place}"))
    except (AttributeError, ImportError):
        hint = "install a pyarrow wheel, which has all of them"
        raise InputError(f"this pyarrow reads no {scheme}://", hint=hint) from None


def _s3_options(bucket: str) -> dict[str, str]:
    """The AWS tools' variables that Arrow does not read itself: the endpoint and the region.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        return {
            "endpoint_override": host.rstrip("/"),
            "scheme": scheme or "https",
            "region": region or "us-east-1",
        }
    return {"region": region or fs.resolve_s3_region(bucket)}


def _azure_options(where: str) -> dict[str, str]:
    """Raises InputError where no storage account is named."""
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or os.environ.get(
        "AZURE_STORAGE_ACCOUNT"
    )
    if not account:
        hint = "set AZURE_STORAGE_ACCOUNT_NAME"
        raise InputError("no storage account is named", where=where, hint=hint)
    key = os.environ.get("AZURE_STORAGE_ACCOUNT_KEY") or os.environ.get("AZURE_STORAGE_KEY")
    return {"account_name": account} | ({"account_key": key} if key else {})
