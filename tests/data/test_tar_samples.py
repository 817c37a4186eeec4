"""Samples of hostile and of oddly named archives: no caption goes to another's video, nothing is lost untold, nothing takes what a header claims."""

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.data.shards import members as tar_members
from ivcore.data.shards import tar as tar_samples
from ivcore.data.shards.tar import Skipped, read_shard


def archive(path, members, **header):
    """A tar file of names or (name, bytes); what a member holds is its own name, so that it is known again."""
    with tarfile.open(path, "w") as tar:
        for name in members:
            name, data = (name, name.encode()) if isinstance(name, str) else name
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return str(path)


def outcome(path, members=None):
    """(key -> suffixes of the samples, (key, reason) of what is skipped)"""
    items = list(read_shard(archive(path, members) if members else str(path)))
    samples = [item for item in items if isinstance(item, dict)]
    for sample in samples:  # every member is where its name says
        own = {name: data for name, data in sample.items() if not name.startswith("__")}
        assert not members or all(data == f"{sample['__key__']}.{name}".encode() for name, data in own.items())
    found = [(s["__key__"], {name for name in s if not name.startswith("__")}) for s in samples]
    return found, [(item.key, item.reason) for item in items if isinstance(item, Skipped)]


PAIR = {"mp4", "txt"}


class TestDotsInNames:
    @pytest.mark.parametrize(
        "members, samples, skipped",
        [
            (["cat.a.mp4", "cat.b.mp4", "cat.b.txt", "dog.mp4", "dog.txt"], [("cat.b", PAIR), ("cat.a", {"mp4"}), ("dog", PAIR)], []),
            (["v.1.0.mp4", "v.1.0.txt", "v.1.1.mp4", "v.1.1.txt"], [("v.1.0", PAIR), ("v.1.1", PAIR)], []),
            (["v.0.mp4", "v.1.mp4", "v.0.txt", "v.1.txt"], [("v.0", PAIR), ("v.1", PAIR)], []),
            (["d.x/0.mp4", "d.x/0.txt", "d.y/0.mp4", "d.y/0.txt"], [("d.x/0", PAIR), ("d.y/0", PAIR)], []),
            (["cat.a.mp4", "cat.txt"], [], [("cat.a", "ambiguous"), ("cat", "stray")]),
            (["cat.mp4", "cat.en.txt"], [], [("cat", "ambiguous"), ("cat.en", "stray")]),
            (["cat.a.mp4", "cat.b.mp4", "cat.txt"], [], [("cat.a", "ambiguous"), ("cat.b", "ambiguous"), ("cat", "stray")]),
            (["cat.mp4", "cat.webm", "cat.txt"], [], [("cat", "ambiguous")]),
            (["cat.jpg", "cat.png", "cat.txt"], [], [("cat", "ambiguous")]),
            (["cat.mp4", "cat.jpg", "cat.txt"], [("cat", {"mp4", "jpg", "txt"})], []),
            (["cat.mp4", "cat.txt", "cat.info.json", "cat.thumb.jpg"], [("cat", PAIR)], [("cat.info", "stray"), ("cat.thumb", "stray")]),
            (["cat.0.mp4", "cat.0.txt", "cat.json"], [("cat.0", PAIR)], [("cat", "stray")]),
            (["cat.0.jpg", "cat.0.txt", "cat.1.jpg", "dog.txt"], [("cat.0", {"jpg", "txt"}), ("cat.1", {"jpg"}), ("dog", {"txt"})], []),
            (["a.MP4", "a.TXT"], [("a", PAIR)], []),
        ],
    )  # fmt: skip
    def test_what_belongs_together(self, tmp_path, members, samples, skipped):
        members = [
            (name, (name.rpartition(".")[0] + "." + name.rpartition(".")[2].lower()).encode()) for name in members
        ]
        found, left = outcome(tmp_path / "0.tar", members)
        assert found == samples and left == skipped

    def test_why(self, tmp_path):
        (video, caption) = read_shard(archive(tmp_path / "0.tar", ["cat.a.mp4", "cat.b.txt"]))
        assert video.cause == "cat.a.mp4 is not named as cat.b.txt up to the last dot"
        assert caption.reason == "stray"

    def test_members_of_no_sample_are_told(self, tmp_path):
        path = tmp_path / "0.tar"
        archive(path, ["README", "._0.mp4", ".hidden", "__index__", "0.mp4", "0.txt", "no."])
        with tarfile.open(path, "a") as tar:
            entry = tarfile.TarInfo("1.mp4")
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(entry)
            folder = tarfile.TarInfo("folder")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
        found, left = outcome(path)
        assert found == [("0", PAIR)]
        assert [key for key, _ in left] == ["README", "._0.mp4", ".hidden", "__index__", "no.", "1.mp4"]
        assert {reason for _, reason in left} == {"stray"}

    names = st.lists(
        st.builds("{}{}.{}".format, st.sampled_from(["a", "b", "d/a"]), st.sampled_from(["", ".x", ".y", ".x.y"]),
                  st.sampled_from(["mp4", "webm", "txt", "json", "jpg", "png", "cls"])),
        max_size=12,
    )  # fmt: skip

    @settings(max_examples=200, database=None)
    @given(names)
    def test_every_member_arrives_or_is_told_and_none_goes_elsewhere(self, tmp_path_factory, names):
        path = tmp_path_factory.mktemp("tar") / "0.tar"
        archive(path, names)
        items = list(read_shard(str(path)))
        told = " ".join(f"{item.key} {item.cause}" for item in items if isinstance(item, Skipped))
        inside = []
        for sample in (item for item in items if isinstance(item, dict)):
            parts = {name: data.decode() for name, data in sample.items() if not name.startswith("__")}
            assert all(data == f"{sample['__key__']}.{name}" for name, data in parts.items())
            inside += parts.values()
        for name in names:
            assert name in inside or name.rpartition(".")[0] in told
        assert len(inside) <= len(names)


def header(path, at, size):
    """The member whose header begins at byte `at` claims `size` bytes."""
    data = bytearray(path.read_bytes())
    data[at + 124 : at + 136] = b"\x80" + size.to_bytes(11, "big")
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    path.write_bytes(data)


class Zeros:
    def read(self, size):
        return bytes(size)


class TestHostile:
    @pytest.mark.parametrize("claim", [2**33, 2**40, 2**62, 2**80])
    def test_a_member_that_claims_more_than_there_is(self, tmp_path, claim):
        path = tmp_path / "0.tar"
        archive(path, ["0.mp4", "0.txt", "1.mp4", "1.txt"])
        header(path, 2048, claim)
        found, left = outcome(path)
        assert found == [("0", PAIR)] and left == [("1", "too_large"), (None, "shard")]

    @pytest.mark.parametrize("keyword", ["size", "GNU.sparse.realsize"])
    def test_pax_headers_of_thirty_digits(self, tmp_path, keyword):
        path = tmp_path / "0.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            entry = tarfile.TarInfo("0.mp4")
            entry.size, entry.pax_headers = 5, {keyword: "9" * 30}
            tar.addfile(entry, io.BytesIO(b"video"))
        archive(tmp_path / "1.tar", ["1.mp4", "1.txt"])
        path.write_bytes(path.read_bytes()[:2048] + (tmp_path / "1.tar").read_bytes())
        _, left = outcome(path)
        assert left and all(reason in ("too_large", "shard") for _, reason in left)

    @pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K", b"S", b"V", b"5", b"9"])
    def test_headers_of_other_kinds_that_claim_without_end(self, tmp_path, kind):
        path = tmp_path / "0.tar"
        archive(path, ["0.mp4", "0.txt", "1.mp4", "1.txt"])
        data = bytearray(path.read_bytes())
        data[2048 + 156 : 2048 + 157] = kind
        path.write_bytes(data)
        header(path, 2048, 2**62)
        found, _ = outcome(path)
        assert found[0] == ("0", PAIR)

    @pytest.mark.parametrize("packed", [gzip.open, bz2.open, lzma.open])
    def test_zeros_by_the_gigabyte(self, tmp_path, packed, monkeypatch):
        """With limits a thousand times smaller: they are the same code, and a test may not take a minute."""
        monkeypatch.setattr(tar_samples, "LARGEST", 2**19)
        monkeypatch.setattr(tar_members, "FAR_PACKED", 2**20)
        path = tmp_path / "0.tar.x"
        with packed(path, "wb") as file, tarfile.open(fileobj=file, mode="w|") as tar:
            for name, size in (
                ("0.mp4", 9),
                ("0.txt", 9),
                ("1.mp4", 2**19 + 1),
                ("1.txt", 9),
                ("2.mp4", 9),
                ("2.txt", 9),
                ("3.mp4", 2**21),
                ("4.txt", 9),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = size
                tar.addfile(entry, Zeros())  # fmt: skip
        found, left = outcome(path)
        assert found == [("0", PAIR), ("2", PAIR)]
        assert left == [("1", "too_large"), ("3", "too_large"), (None, "shard")]

    def test_headers_without_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tar_members, "BETWEEN", 2**20)
        path = tmp_path / "0.tar.gz"
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        with gzip.open(path, "wb") as file:
            file.write(folder.tobuf() * 9000)
        assert outcome(path) == ([], [(None, "shard")])

    def test_members_that_wait_for_their_captions_are_few(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tar_samples, "MOST", 4)
        names = [f"v.{n}.mp4" for n in range(10)] + [f"v.{n}.txt" for n in range(10)]
        found, left = outcome(tmp_path / "0.tar", names)
        told = {key for key, _ in found} | {key for key, _ in left}
        assert told == {f"v.{n}" for n in range(10)} and PAIR not in (parts for _, parts in found)

    def test_a_long_text_is_no_caption(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tar_samples, "LARGEST_TEXT", 100)
        path = archive(tmp_path / "0.tar", [("0.mp4", b"x"), ("0.txt", b"y" * 101), "1.mp4", "1.txt"])
        found, left = outcome(path)
        assert found == [("1", PAIR)] and left == [("0", "too_large")]

    def test_two_archives_in_one_file(self, tmp_path):
        """The second one was lost in silence."""
        parts = [archive(tmp_path / f"{n}.tar", [f"{n}.mp4", f"{n}.txt"]) for n in "01"]
        path = tmp_path / "both.tar"
        path.write_bytes(b"".join(Path(part).read_bytes() for part in parts))
        items = list(read_shard(str(path)))
        assert items[0]["__key__"] == "0" and items[1].cause.endswith("several archives put together")

    @settings(max_examples=150, database=None)
    @given(
        st.lists(st.tuples(st.integers(0, 4095), st.binary(min_size=1, max_size=12)), max_size=4), st.integers(0, 10240)
    )
    def test_damage_anywhere_ends_and_is_told(self, tmp_path_factory, damage, cut):
        path = tmp_path_factory.mktemp("tar") / "0.tar"
        data = bytearray(Path(archive(path, ["0.mp4", "0.txt", "1.mp4", "1.txt"])).read_bytes())
        for place, change in damage:
            data[place : place + len(change)] = change
        path.write_bytes(data[:cut])
        items = list(read_shard(str(path)))
        whole = [item for item in items if isinstance(item, dict)]
        assert len(whole) == 2 or len(items) > len(whole)  # whatever is missing is told


def test_the_buffer_holds_bytes_not_only_samples():
    import random

    from ivcore.data.shards.buffer import shuffled

    samples = [{"mp4": bytes(100), "__key__": n} for n in range(50)]
    seen = []
    taken = shuffled((seen.append(1) or sample for sample in samples), 20, random.Random(0), largest=500)
    next(taken)
    assert len(seen) == 6
    order = [sample["__key__"] for sample in shuffled(iter(samples), 20, random.Random(0))]
    assert sorted(order) == list(range(50)) != order
