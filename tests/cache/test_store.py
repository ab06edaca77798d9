"""The store by itself: whole entries or none, nobody else's, bounded, and never an error."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fusewire import knobs
from fusewire.runtime import store


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with knobs.override(cache_dir=str(tmp_path / "cache"), disk_cache=True):
        store._trusted.clear()
        yield tmp_path / "cache" / "store"
    store._trusted.clear()


def path_of(kind: str, name: str) -> Path:
    return Path(store.folder()) / kind / name


def test_entry_is_read_back(folder: Path) -> None:
    assert store.get("kind", "a") is None
    assert store.put("kind", "a", b"content") and store.get("kind", "a") == b"content"
    assert store.put("kind", "a", b"") and store.get("kind", "a") == b""
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["a"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and stat.S_IMODE(path_of("kind", "a").stat().st_mode) == 0o600


def test_group_lists_the_newest_first() -> None:
    for i, name in enumerate(("x", "y", "z")):
        store.put("kind", f"g/{name}", b"1")
        os.utime(path_of("kind", f"g/{name}"), (1000 + i, 1000 + i))
    assert store.names("kind", "g") == ["g/z", "g/y", "g/x"]
    assert store.names("kind", "nothing") == []


@pytest.mark.parametrize("at", [0, 8, 16, 31, 32, 36, -1])
def test_flipped_bit_is_a_miss_and_goes(at: int) -> None:
    store.put("kind", "a", b"content")
    path = path_of("kind", "a")
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))
    before = store.stats["kind", "damaged"]
    assert store.get("kind", "a") is None and store.stats["kind", "damaged"] == before + 1
    assert not path.exists()


@pytest.mark.parametrize("keep", [0, 5, 31, 32, 38])
def test_truncated_file_is_a_miss(keep: int) -> None:
    store.put("kind", "a", b"content")
    os.truncate(path_of("kind", "a"), keep)
    assert store.get("kind", "a") is None


def test_longer_file_is_a_miss() -> None:
    store.put("kind", "a", b"content")
    with path_of("kind", "a").open("ab") as f:
        f.write(b"x")
    assert store.get("kind", "a") is None


def test_entry_under_another_name_is_a_miss() -> None:
    store.put("kind", "a", b"content")
    path_of("kind", "a").rename(path_of("kind", "b"))
    assert store.get("kind", "b") is None
    store.put("kind", "a", b"content")
    path_of("other", "a").parent.mkdir()
    path_of("kind", "a").rename(path_of("other", "a"))
    assert store.get("other", "a") is None


def test_entry_of_another_format_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("kind", "a", b"content")
    monkeypatch.setattr(store, "MAGIC", b"FWCACHE9")
    assert store.get("kind", "a") is None


def test_what_others_can_write_is_not_read(folder: Path) -> None:
    store.put("kind", "a", b"content")
    path_of("kind", "a").chmod(0o666)
    assert store.get("kind", "a") is None
    store.put("kind", "a", b"content")
    for place in (folder, folder.parent):
        place.chmod(0o777)
        store._trusted.clear()
        assert store.get("kind", "a") is None and not store.put("kind", "b", b"1") and store.names("kind", "g") == []
        place.chmod(0o700)
        store._trusted.clear()
    assert store.get("kind", "a") == b"content"


def test_what_others_own_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("kind", "a", b"content")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    store._trusted.clear()
    assert store.get("kind", "a") is None and not store.put("kind", "b", b"1")


def test_link_is_not_followed(tmp_path: Path) -> None:
    store.put("kind", "a", b"content")
    path_of("kind", "a").rename(tmp_path / "elsewhere")
    path_of("kind", "a").symlink_to(tmp_path / "elsewhere")
    assert store.get("kind", "a") is None
    path_of("kind", "folder").mkdir()
    assert store.get("kind", "folder") is None


def test_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with knobs.override(cache_dir=str(tmp_path / "file" / "inside")):
        assert not store.put("kind", "a", b"1") and store.get("kind", "a") is None
        assert store.names("kind", "g") == [] and store.sweep() == 0 and store.clear() == 0


@pytest.mark.parametrize("call", ["open", "replace", "fdopen"])
def test_full_disk_leaves_nothing_behind(call: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    store.put("kind", "first", b"1")
    real = getattr(os, call)

    def full(*args: Any, **kwargs: Any) -> Any:
        if call == "fdopen":
            made = real(*args, **kwargs)
            made.close()
            raise OSError(errno.ENOSPC, "no space")
        if call == "open" and not args[1] & os.O_CREAT:
            return real(*args, **kwargs)
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        assert not store.put("kind", "a", b"content")
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["first"]
    assert store.get("kind", "a") is None


def test_size_is_bounded_by_what_was_unused_for_longest(folder: Path) -> None:
    for i in range(8):
        store.put("kind", f"e{i}", bytes(200_000))
        os.utime(path_of("kind", f"e{i}"), (1000 + i, 1000 + i))
    with knobs.override(cache_limit=1):
        assert store.sweep() == 4  # down to nine tenths of a megabyte
    assert sorted(p.name for p in folder.rglob("e*")) == ["e4", "e5", "e6", "e7"]


def test_read_renews_the_place_in_the_order_of_use() -> None:
    store.put("kind", "a", b"1")
    os.utime(path_of("kind", "a"), (1000, 1000))
    store.get("kind", "a")
    assert path_of("kind", "a").stat().st_mtime > 1000


def test_sweep_drops_abandoned_files() -> None:
    store.put("kind", "a", b"1")
    old, new = path_of("kind", "b.1-2.tmp"), path_of("kind", "c.1-2.tmp")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    assert store.sweep() == 1 and not old.exists() and new.exists() and store.get("kind", "a") == b"1"


def test_clear() -> None:
    store.put("kind", "a", b"1")
    store.put("other", "g/b", b"1")
    assert store.clear() == 2 and list(store.files()) == []
    assert store.put("kind", "a", b"2") and store.get("kind", "a") == b"2"


def test_switched_off(folder: Path) -> None:
    with knobs.override(disk_cache=False):
        assert not store.put("kind", "a", b"1") and store.get("kind", "a") is None and not folder.exists()


def test_digest_keeps_parts_apart() -> None:
    assert len({store.digest("ab", "c"), store.digest("a", "bc"), store.digest("abc"), store.digest("abc", "")}) == 4


def test_stamp_follows_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PACKAGE", str(tmp_path))
    (tmp_path / "part").mkdir()
    (tmp_path / "tests").mkdir()
    for name in ("a.py", "part/b.py", "tests/c.py", "note.txt"):
        (tmp_path / name).write_text("1")
    first = store._sources()
    (tmp_path / "tests" / "c.py").write_text("changed")
    (tmp_path / "note.txt").write_text("changed")
    assert store._sources() == first
    os.utime(tmp_path / "part" / "b.py", (1000, 1000))
    assert store._sources() != first


def test_writers_of_one_entry_do_not_meet() -> None:
    contents = {bytes([i]) * 50_000 for i in range(4)}
    seen: list[bytes | None] = []

    def work(content: bytes) -> None:
        for _ in range(40):
            store.put("kind", "a", content)
            seen.append(store.get("kind", "a"))

    threads = [threading.Thread(target=work, args=(c,)) for c in contents]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(seen) <= contents and not list(Path(store.folder()).rglob("*.tmp"))
