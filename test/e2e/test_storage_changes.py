# SPDX-License-Identifier: MIT
"""Storage commands: appender and slave files, deleting, metadata."""

import os

import pytest

import wire
from harness import STOCK
from wire import (EEXIST, EINVAL, ENOENT, LETTERS, NEVER, append_body,
                  crc32, download_body, file_ref, group, i64, message,
                  meta_body, modify_body, slave_body, truncate_body)


# --- appender files --------------------------------------------------------

def test_append_modify_truncate(cluster, storage):
    name = storage.upload_appender(LETTERS)
    said = wire.decode_name(name)
    assert said.appender and said.size == 0 and name[21] == "E"
    assert said.crc == crc32(LETTERS)
    storage.append(name, b"abc")
    storage.modify(name, 0, b"ABC")
    storage.modify(name, 23, b"zz")
    storage.modify(name, 24, b"yyy")
    want = b"ABC3456789ABCDEFGHIJabczyyy"
    assert storage.download(name) == want
    storage.truncate(name, 5)
    assert storage.download(name) == want[:5]
    storage.truncate(name, 8)
    assert storage.download(name) == want[:5] + bytes(3)
    storage.truncate(name, 0)
    assert storage.info(name)[0] == 0
    storage.append(name, b"again")
    assert storage.download(name) == b"again"
    assert cluster.storage.path_of(name).read_bytes() == b"again"


def test_large_append_and_modify(storage):
    data = bytearray(os.urandom(300_000))
    name = storage.upload_appender(bytes(data))
    more = os.urandom(600_000)
    storage.append(name, more)
    data += more
    patch = os.urandom(400_000)
    storage.modify(name, 250_000, patch)
    data[250_000:650_000] = patch
    assert storage.download(name) == bytes(data)


@pytest.mark.ours
def test_changes_of_nothing_have_empty_replies(storage):
    name = storage.upload_appender(LETTERS)
    storage.append(name, b"")
    storage.modify(name, 1, b"")
    storage.modify(name, 20, b"")
    storage.truncate(name, 20)
    assert storage.download(name) == LETTERS


def test_truncate_ignores_bytes_after_the_name(storage):
    name = storage.upload_appender(LETTERS)
    storage.done(wire.TRUNCATE, truncate_body(name, 4) + b"garbage")
    assert storage.download(name) == LETTERS[:4]


def test_bad_changes_are_refused_and_closed(cluster, storage):
    name = storage.upload_appender(LETTERS)
    normal = storage.upload(LETTERS)
    slave = storage.upload_slave(normal, "_thumb", b"x")
    for cmd, body in (
            (wire.MODIFY, modify_body(name, 21, b"x")),
            (wire.MODIFY, modify_body(name, -1, b"x")),
            (wire.TRUNCATE, truncate_body(name, -1)),
            (wire.APPEND, append_body(normal, b"x")),
            (wire.MODIFY, modify_body(normal, 0, b"x")),
            (wire.TRUNCATE, truncate_body(normal, 1)),
            (wire.REGENERATE, normal.encode()),
            (wire.APPEND, append_body(slave, b"x"))):
        with cluster.storage.connect() as conn:
            conn.fails(cmd, body, EINVAL)
            assert conn.is_closed(), f"command {cmd}"
    assert storage.download(name) == storage.download(normal) == LETTERS


def test_changes_of_what_is_missing_keep_the_connection(storage):
    """Whether the name is an appender's counts for files that are there."""
    normal = storage.upload(LETTERS)
    slave = storage.upload_slave(normal, "_thumb", b"x")
    appender = storage.upload_appender(LETTERS)
    for name in (normal, slave, appender):
        storage.delete(name)
        for cmd, body in (
                (wire.APPEND, append_body(name, b"x")),
                (wire.APPEND, append_body(name, b"")),
                (wire.MODIFY, modify_body(name, 0, b"x")),
                (wire.MODIFY, modify_body(name, 99, b"x")),
                (wire.TRUNCATE, truncate_body(name, 1)),
                (wire.REGENERATE, name.encode())):
            storage.fails(cmd, body, ENOENT)
    assert storage.is_usable()


def test_regenerate_makes_a_normal_file(cluster, storage):
    name = storage.upload_appender(b"regenerate me")
    storage.append(name, b" please")
    body = storage.done(wire.REGENERATE, name.encode())
    assert body[:16] == group()
    new = body[16:].decode()
    said = wire.decode_name(new)
    assert new[:10] == name[:10] and new[37:] == name[37:]
    assert not said.appender and said.size == 20
    assert said.crc == crc32(b"regenerate me please")
    assert storage.download(new) == b"regenerate me please"
    storage.fails(wire.DOWNLOAD, download_body(name), ENOENT)
    storage.fails(wire.REGENERATE, name.encode(), ENOENT)
    with cluster.storage.connect() as conn:
        conn.fails(wire.APPEND, append_body(new, b"x"), EINVAL)


# --- slaves ----------------------------------------------------------------

def test_slave_names(storage):
    master = storage.upload(LETTERS, "txt")
    stem = master[:-4]
    for prefix, ext, want in (
            ("_big", "jpg", stem + "_big.jpg"), ("_noext", "", stem + "_noext"),
            ("-m", "txt", stem + "-m.txt"),
            ("p0123456789abcde", "jpg", stem + "p0123456789abcde.jpg"),
            ("1024x1024", "txt", stem + "1024x1024.txt")):
        name = storage.upload_slave(master, prefix, prefix.encode(), ext)
        assert name == want
        assert storage.download(name) == prefix.encode()
    second = storage.upload_slave(stem + "_big.jpg", "_2", b"2", "png")
    assert second == stem + "_big_2.png"
    storage.fails(wire.UPLOAD_SLAVE, slave_body(master, "_big", b"again"),
                  EEXIST)
    assert storage.is_usable()
    assert storage.download(stem + "_big.jpg") == b"_big"


def test_slave_of_appender_and_of_a_name_without_extension(storage):
    appender = storage.upload_appender(LETTERS, "log")
    assert storage.upload_slave(appender, "_app", b"x") == \
        appender[:-4] + "_app.jpg"
    bare = storage.upload(LETTERS, "")
    assert storage.upload_slave(bare, "_app", b"x") == bare + "_app.jpg"
    empty = storage.upload_slave(storage.upload(LETTERS), "_zero", b"")
    assert storage.info(empty)[0] == 0


def test_slave_outlives_its_master(storage):
    master = storage.upload(LETTERS)
    slave = storage.upload_slave(master, "_keep", b"kept")
    storage.delete(master)
    assert storage.download(slave) == b"kept"
    storage.delete(slave)
    storage.fails(wire.DELETE, file_ref(slave), ENOENT)


@pytest.mark.parametrize("prefix,ext", [
    ("-m", ""), ("", "jpg"), ("a/b", "jpg"), ("..", "a/b"), ("a b", "jpg"),
    ("a\x01", "jpg"), (b"\xff", "jpg"), ("_x", "j g")])
def test_slave_prefix_refused_and_closed(storage, prefix, ext):
    master = storage.upload(LETTERS)
    storage.fails(wire.UPLOAD_SLAVE, slave_body(master, prefix, b"x", ext),
                  EINVAL)
    assert storage.is_closed()


def test_slave_of_a_name_shorter_than_usual(storage):
    master = storage.upload(LETTERS, "tar.gz")
    short = storage.upload_slave(master, "-m", b"x", "jp")
    assert len(short) == 42
    assert storage.upload_slave(short, "_big", b"y") == short[:-3] + "_big.jpg"
    storage.fails(wire.UPLOAD_SLAVE, slave_body("M00/00/00/a", "_x", b"x"),
                  ENOENT)
    assert storage.is_usable()


def test_slave_of_what_is_missing_keeps_the_connection(storage):
    for prefix, ext in (("_x", "jpg"), ("-m", ""), ("p" * 16, "abcdef")):
        for master in (NEVER, NEVER.ljust(127, "x")):
            storage.fails(wire.UPLOAD_SLAVE,
                          slave_body(master, prefix, b"x", ext), ENOENT)
    assert storage.is_usable()


@pytest.mark.parametrize("prefix", ["", "a/b", "a b"])
def test_slave_prefix_of_no_prefix_is_refused_without_a_master(
        storage, prefix):
    storage.fails(wire.UPLOAD_SLAVE, slave_body(NEVER, prefix, b"x"), EINVAL)
    assert storage.is_closed()


def test_large_slave(storage):
    data = os.urandom(700_000)
    slave = storage.upload_slave(storage.upload(LETTERS), "_large", data)
    assert storage.download(slave) == data


# --- deleting --------------------------------------------------------------

def test_delete_takes_the_metadata_along(cluster, storage):
    name = storage.upload(LETTERS)
    storage.set_meta(name, b"a\x021")
    path = cluster.storage.path_of(name)
    assert path.with_name(path.name + "-m").read_bytes() == b"a\x021"
    storage.delete(name)
    assert not path.exists()
    assert not path.with_name(path.name + "-m").exists()
    storage.fails(wire.DELETE, file_ref(name), ENOENT)
    storage.fails(wire.GET_META, file_ref(name), ENOENT)
    assert storage.is_usable()


def test_metadata_file_by_its_own_name(storage):
    name = storage.upload(LETTERS)
    storage.set_meta(name, b"b\x022\x01a\x021")
    assert storage.download(name + "-m") == b"a\x021\x01b\x022"
    storage.delete(name + "-m")
    storage.fails(wire.GET_META, file_ref(name), ENOENT)
    assert storage.download(name) == LETTERS


# --- metadata --------------------------------------------------------------

# Step by step on one file: (flag, sent, stored). Where upstream keeps remnants
# of the text it received, the third entry is what a repacking server stores.
META_STEPS = [
    (b"O", b"b\x022\x01a\x021", b"a\x021\x01b\x022"),
    (b"O", b"b\x022\x01a\x021\x01", b"a\x021\x01b\x022"),
    (b"O", b"\x01b\x022", b"b\x022"),
    (b"O", b"\x02v\x01k\x021", b"\x02v\x01k\x021"),
    (b"O", b"k\x02", b"k\x02"),
    (b"O", b"a\x021\x01junk\x01c\x023", b"a\x021\x01c\x023"),
    (b"O", b"a\x02b\x02c", b"a\x02b\x02c"),
    (b"O", b"k\x021\x01k\x022\x01a\x020", b"a\x020\x01k\x021\x01k\x022"),
    (b"M", b"k\x02new", b"a\x020\x01k\x02new\x01k\x022"),
    (b"M", b"z\x021\x01z\x022",
     b"a\x020\x01k\x02new\x01k\x022\x01z\x021\x01z\x022"),
    (b"M", b"", b"a\x020\x01k\x02new\x01k\x022\x01z\x021\x01z\x022"),
    (b"O", b"n" * 70 + b"\x02" + b"v" * 300,
     b"n" * 64 + b"\x02" + b"v" * 256),
    (b"M", b"zz\x021", b"n" * 64 + b"\x02" + b"v" * 256 + b"\x01zz\x021"),
    (b"O", b"b\x021\x01A\x022\x01a\x023\x01B\x024",
     b"A\x022\x01B\x024\x01a\x023\x01b\x021"),
    (b"O", b"k\x02a\0b\x01z\x021", b"k\x02a"),
    (b"O", b"\xff\x021\x01\x7f\x022", b"\x7f\x022\x01\xff\x021"),
    (b"O", b"", None),
    (b"O", b"", None),
    (b"M", b"", None),
    (b"M", b"b\x022\x01a\x021", b"a\x021\x01b\x022"),
    (b"M", b"b\x023", b"a\x021\x01b\x023"),
]


def test_metadata_step_by_step(cluster, storage):
    name = storage.upload(LETTERS)
    path = cluster.storage.path_of(name)
    storage.fails(wire.GET_META, file_ref(name), ENOENT)
    for number, (flag, sent, stored) in enumerate(META_STEPS):
        storage.set_meta(name, sent, flag)
        if stored is None:
            storage.fails(wire.GET_META, file_ref(name), ENOENT)
            continue
        got = storage.get_meta(name)
        if STOCK:
            assert len(got) >= len(stored)
            continue
        assert got == stored, f"step {number}"
        assert path.with_name(path.name + "-m").read_bytes() == stored


@pytest.mark.ours
@pytest.mark.parametrize("flag", [b"O", b"M"])
def test_metadata_of_nothing_but_junk_is_no_metadata(storage, flag):
    name = storage.upload(LETTERS)
    storage.set_meta(name, b"junk", flag)
    answer = storage.call(wire.GET_META, file_ref(name))
    assert answer in ((0, b""), (ENOENT, b""))


@pytest.mark.parametrize("body", [
    meta_body(NEVER, b"a\x021", b"X"), meta_body(NEVER, b"a\x021", b"\0"),
    meta_body(NEVER, b"a\x021", b"O", "g2"),
    meta_body(NEVER, b"a\x021") + b"x", meta_body(NEVER, b"a\x021")[:-1],
    meta_body("", b"a\x021"), meta_body(NEVER.ljust(128, "x"), b"a\x021"),
    i64(-1) + meta_body(NEVER, b"")[8:],
    i64(44) + i64(-1) + meta_body(NEVER, b"")[16:]],
    ids=["flag_x", "flag_nul", "group", "longer", "shorter", "no_name",
         "name_128", "name_negative", "meta_negative"])
def test_bad_metadata_request_is_refused_and_closed(storage, body):
    storage.fails(wire.SET_META, body, EINVAL)
    assert storage.is_closed()


def test_long_metadata(cluster, storage):
    name = storage.upload(LETTERS)
    meta = b"\x01".join(b"key%05d\x02" % i + b"v" * 200 for i in range(1200))
    assert 240_000 < len(meta) < 262_000
    storage.set_meta(name, meta)
    assert storage.get_meta(name) == meta
    with cluster.storage.connect() as conn:
        conn.send(message(wire.SET_META, meta_body(name, meta * 2))[:262144])
        assert conn.reply().status == EINVAL
    assert storage.get_meta(name) == meta


def test_metadata_of_slave_and_appender(storage):
    appender = storage.upload_appender(LETTERS)
    slave = storage.upload_slave(appender, "_slave", b"x")
    storage.set_meta(appender, b"who\x02appender")
    storage.set_meta(slave, b"who\x02slave")
    assert storage.get_meta(appender) == b"who\x02appender"
    assert storage.get_meta(slave) == b"who\x02slave"
