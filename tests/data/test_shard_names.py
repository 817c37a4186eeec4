"""Names of shards: what they expand to, and that no text in a preset runs a command or fills the memory."""

import pytest

from ivcore.data.shards.names import expand, open_shard
from ivcore.errors import UserError

COMMANDS = [
    "pipe:touch {mark}",
    " pipe:touch {mark}",
    "PIPE:touch {mark}",
    "pi\tpe:touch {mark}",
    "{{p,q}}ipe:touch {mark}",
    "{{{file},pipe:touch {mark}}}",
    "{file}::pipe:touch {mark}",
    "{file}::pipe:cat {file} && touch {mark}",
]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "a.tar").write_bytes(bytes(1024))
    return {"file": str(tmp_path / "a.tar"), "mark": tmp_path / "ran"}


@pytest.mark.parametrize("pattern", COMMANDS)
def test_a_command_is_refused_before_anything_is_opened(place, pattern):
    with pytest.raises(UserError, match=r"pipe: runs a command .* set IVCORE_ALLOW_PIPE=1 in your environment"):
        expand(pattern.format(**place))
    assert not place["mark"].exists()


def test_a_command_comes_through_no_back_door(place, monkeypatch):
    monkeypatch.setenv("WDS_SHARDS", f"pipe:touch {place['mark']}")
    for urls in ("${SHARDS}", [place["file"], "${SHARDS}"]):
        with pytest.raises(UserError, match="runs a command"):
            expand(urls)
    with pytest.raises(UserError, match="runs a command"):
        open_shard(f"pipe:touch {place['mark']}")
    for harmless in ("| touch {mark}", "-", "$(touch {mark}).tar", "`touch {mark}`"):
        with pytest.raises(UserError, match="no such file"):
            expand(harmless.format(**place))
        assert expand([place["file"], harmless.format(**place)])[1].startswith("/")  # a file's name, and no more
    assert not place["mark"].exists()


def test_a_command_that_the_user_allows(place, monkeypatch):
    monkeypatch.setenv("IVCORE_ALLOW_PIPE", "1")
    assert expand("pipe:cat {0..2}.tar") == ["pipe:cat 0.tar", "pipe:cat 1.tar", "pipe:cat 2.tar"]
    stream = open_shard(f"pipe:cat {place['file']}")
    assert len(stream.read()) == 1024
    stream.close()


@pytest.mark.parametrize("name", ["s3://bucket/a.tar", "ftp://host/a.tar", "javascript:x", "data:,x", "c:/x.tar"])
def test_other_addresses_are_refused_by_name(name):
    with pytest.raises(UserError, match=f"{name.split(':')[0]}: is no address that can be read; known are http"):
        expand(name)


def test_addresses_are_arguments_of_programs(place):
    for kind in ("http", "https", "gs", "hf", "ais", "sftp"):
        assert expand(f"{kind}://host/{{0..1}}.tar") == [f"{kind}://host/0.tar", f"{kind}://host/1.tar"]
    assert expand(f"file://{place['file']}") == expand(f"file:{place['file']}") == [place["file"]]


def test_a_local_name_may_hold_a_colon(tmp_path):
    (tmp_path / "at:home.tar").write_bytes(b"x")
    assert expand(tmp_path / "at:home.tar") == [str(tmp_path / "at:home.tar")]


@pytest.mark.parametrize(
    "pattern, number",
    [
        ("{000000000..999999999}.tar", "1,000,000,000"),
        ("a/{0..9999}/{0..9999}.tar", "100,000,000"),
        ("{a,{b,{0..99999999}}}.tar", "100,000,002"),
        ("{{0..9999}{0..9999},x}", "100,000,001"),
        ("{9..0}" * 30, "1,0"),
        ("{,}" * 64, "18,"),
        ("{a..z}" * 9, "2,"),
        ("x.tar::{999999999999..0}", "1,000,000,000,001"),
        ("https://host/{0..99999999}.tar", "100,000,000"),
        ("{" + "0" * 4000 + "..999999}", "1,000,000"),
    ],
)
def test_absurd_braces_are_refused_before_they_are_expanded(pattern, number):
    with pytest.raises(UserError, match=f"the braces name {number}"):
        expand(pattern)


@pytest.mark.parametrize("pattern", ["{" * 3000 + "}" * 3000, "{0..1", "{0.." + "9" * 5000 + "}"])
def test_braces_that_make_no_sense(pattern):
    with pytest.raises(UserError, match=r"shards "):
        expand(pattern)


def test_numbers_of_real_sets_are_fine():
    assert len(expand("http://h/{00000..41455}.tar")) == 41456
    assert len(expand("http://h/{a/{000..999},b/{000..999},c/{0..998..2}}.tar")) == 2500
    assert expand("http://h/{x}.tar") == ["http://h/{x}.tar"] and expand(r"http://h/\{0..9999999\}") == [
        "http://h/{0..9999999}"
    ]
