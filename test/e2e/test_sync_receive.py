# SPDX-License-Identifier: MIT
"""A storage takes what other members of its group have done.

The peer is played here: its requests as bytes, each sent twice, since a peer
repeats what it has no answer to. After both the file, its time, the rows of
the log and of the catalogue are the same as after the first.
"""

import base64
import itertools
import json
import os
import struct
import threading
from pathlib import Path

import pytest

import wire
from faults import EIO, ENOSPC, LIBRARY, Faults
from harness import TOP, sqlite3_closing, wait_until
from wire import EEXIST, EINVAL, ENOENT, crc32, i64, message, pad, raw_name

pytestmark = pytest.mark.ours

(HELLO, CREATE, REMOVE, UPDATE, LINK, APPEND, MODIFY, TRUNCATE,
 RENAME) = 9, 16, 17, 18, 19, 25, 35, 37, 40

EBUSY = 16
T = 1_700_000_000  # when it happened at the peer
PEER = bytes([10, 88, 0, 21])
SERIAL = itertools.count(1)


def peer_name(data=b"", appender=False, tail=None, when=T, source=PEER):
    """A name as the peer would have given it."""
    n = next(SERIAL)
    if appender:
        size = 1 << 63 | 1 << 58 | n << 32
    else:
        size = 1 << 63 | n << 32 | len(data)
    # little numbers of the random part only, or they would be flags
    size &= ~(0x3FFFFF << 32) | (n & 0x3FFFFF) << 32
    record = source + struct.pack(">IQI", when, size,
                                  0 if appender else crc32(data))
    text = base64.b64encode(record).decode().rstrip("=")
    text = text.replace("+", "-").replace("/", "_")
    return f"M00/{n % 4:02X}/{n // 4 % 4:02X}/{text}" + \
        (tail or f"{n % 1000:03d}." + ("log" if appender else "txt"))


def i32(value):
    return struct.pack(">I", value)


def create(name, data, when=T, group="group1", size=None):
    name = raw_name(name)
    size = len(data) if size is None else size
    return (i64(len(name)) + i64(size) + i32(when) + pad(group, 16) + name +
            data)


def write(name, offset, data, when=T, group="group1", size=None):
    name = raw_name(name)
    size = len(data) if size is None else size
    return (i64(len(name)) + i64(offset) + i64(size) + i32(when) +
            pad(group, 16) + name + data)


def truncate(name, old, new, when=T, group="group1"):
    name = raw_name(name)
    return (i64(len(name)) + i64(old) + i64(new) + i32(when) +
            pad(group, 16) + name)


def remove(name, when=T, group="group1"):
    return i32(when) + pad(group, 16) + raw_name(name)


def names(new, old, when=T, group="group1"):
    new, old = raw_name(new), raw_name(old)
    return (i64(len(new)) + i64(len(old)) + i32(when) + pad(group, 16) +
            new + old)


@pytest.fixture
def peer(cluster):
    with cluster.storage.connect() as conn:
        assert conn.call(HELLO, pad("10.88.0.21", 16)) == (0, b"")
        yield conn


def ask(conn, cmd, body, status=0):
    """The status; no command of a peer is answered with a body."""
    answer = conn.call(cmd, body, status)
    assert answer.body == b""
    return answer.status


def on_disk(node, name):
    try:
        return node.path_of(name).read_bytes()
    except FileNotFoundError:
        return None


def mtime(node, name):
    return int(node.path_of(name).stat().st_mtime)


def log_rows(node, name):
    """(letter, replica, time, size, offset, bytes) of each row of a name."""
    with sqlite3_closing(node.oplog()) as db:
        return [tuple(row) for row in db.execute(
            "select op, replica, source_time, size, offset, bytes "
            "from operation where name = ? order by seq", (name,))]


def catalogue(node, name):
    """The row of a file when the catalogue has all of the log."""
    with sqlite3_closing(node.oplog()) as db:
        last = db.execute(
            "select coalesce(max(seq), 0) from operation").fetchone()[0]
    wait_until(lambda: node.catalogue_rows("select seq from cursor")[0][0]
               >= last, 10, "the catalogue has followed")
    found = node.catalogue_rows("select * from files where remote = ?", name)
    return found[0] if found else None


def attributes(node, name):
    catalogue(node, name)
    return {row[0]: row[1] for row in node.catalogue_rows(
        "select key, value from meta where remote = ?", name)}


def roll_ups(node):
    catalogue(node, "")
    return [tuple(r) for r in node.catalogue_rows(
        "select total(files), total(bytes) from usage_day")] + \
        [tuple(r) for r in node.catalogue_rows(
            "select total(uploads), total(upload_bytes), total(changes), "
            "total(others), total(deletes) from usage_client")]


# --- the table of answers -------------------------------------------------

LARGE = bytes(range(256)) * 4096  # 1 MiB: arrives in many pieces


def stock(conn, data=b"0123456789", when=T, appender=True):
    """A file that has come from the peer."""
    name = peer_name(data, appender)
    assert ask(conn, CREATE, create(name, data, when)) == 0
    return name


@pytest.mark.parametrize("size", [0, 1, 22, 4096, 65536, 65537, 300_000,
                                  len(LARGE)])
def test_a_new_file_is_stored_once(cluster, peer, size):
    node = cluster.storage
    data = LARGE[:size]
    name = peer_name(data)
    before = roll_ups(node)
    assert ask(peer, CREATE, create(name, data)) == 0
    assert on_disk(node, name) == data
    assert mtime(node, name) == T
    expect = [("C", 1, T, size, 0, size)]
    assert log_rows(node, name) == expect
    row = catalogue(node, name)
    assert (row["size"], row["crc"]) == (size, f"{crc32(data):08x}")
    assert (row["source"], row["client"]) == ("10.88.0.21", "")
    assert row["created_ms"] == row["modified_ms"] == T * 1000
    once = roll_ups(node)
    assert once[0] == (before[0][0] + 1, before[0][1] + size)
    assert once[1] == before[1]
    assert ask(peer, CREATE, create(name, data, T + 5)) == EEXIST
    assert log_rows(node, name) == expect
    assert mtime(node, name) == T
    assert roll_ups(node) == once
    assert node.unfinished() == []


def test_a_file_of_another_size_is_replaced(cluster, peer):
    node = cluster.storage
    name = stock(peer)
    peer.set_meta(name, b"a\x02b")
    for data, when in ((b"longer than before", T + 1), (b"short", T + 2),
                       (LARGE, T + 3), (b"", T + 4)):
        assert ask(peer, CREATE, create(name, data, when)) == 0
        assert on_disk(node, name) == data
        assert mtime(node, name) == when
        row = catalogue(node, name)
        assert row["size"] == len(data)
        assert row["created_ms"] == T * 1000
        assert row["modified_ms"] == when * 1000
        assert ask(peer, CREATE, create(name, data, when)) == EEXIST
    assert attributes(node, name) == {"a": "b"}
    assert node.unfinished() == []


def test_what_is_no_file_is_replaced(cluster, peer):
    node = cluster.storage
    name = peer_name(b"file")
    node.path_of(name).symlink_to("/nowhere")
    assert ask(peer, CREATE, create(name, b"file")) == 0
    assert not node.path_of(name).is_symlink()
    assert on_disk(node, name) == b"file"


def test_a_file_that_is_there_is_only_told(cluster, peer):
    node = cluster.storage
    here, missing = stock(peer), peer_name()
    for name in (here, missing, here, missing):
        body = create(name, b"", size=99)
        assert ask(peer, CREATE, body, status=17) == EEXIST
    assert len(log_rows(node, here)) == 1
    assert on_disk(node, missing) is None
    assert log_rows(node, missing) == []
    # there is no content with that status
    assert ask(peer, CREATE, create(here, b"x"), status=17) == EINVAL
    assert peer.is_closed()


@pytest.mark.parametrize("size", [0, 10, 5000, 70_000, len(LARGE)])
def test_an_update_makes_or_replaces(cluster, peer, size):
    node = cluster.storage
    name = peer_name(appender=True)
    for data in (LARGE[:size], LARGE[:size][::-1]):
        for when in (T, T + 7):
            assert ask(peer, UPDATE, create(name, data, when)) == 0
            assert on_disk(node, name) == data
            assert mtime(node, name) == when
    assert [r[:4] for r in log_rows(node, name)] == [
        ("C", 1, T, size), ("C", 1, T + 7, size)] * 2
    before = roll_ups(node)
    assert catalogue(node, name)["size"] == size
    assert ask(peer, UPDATE, create(name, LARGE[:size], T + 9)) == 0
    assert roll_ups(node) == before
    assert node.unfinished() == []


@pytest.mark.parametrize("size", [5, 4096, 4097, len(LARGE)])
def test_append_fits_or_is_there_or_cannot_be(cluster, peer, size):
    node = cluster.storage
    name = stock(peer)
    more = LARGE[:size]
    assert ask(peer, APPEND, write(name, 10, more, T + 1)) == 0
    assert on_disk(node, name) == b"0123456789" + more
    assert mtime(node, name) == T + 1
    rows = log_rows(node, name)
    assert rows[1:] == [("A", 1, T + 1, 10 + size, 10, size)]
    assert ask(peer, APPEND, write(name, 10, more, T + 2)) == EEXIST
    assert ask(peer, APPEND, write(name, 3, b"34", T + 2)) == EEXIST
    # half of it is there, or something before is missing
    for offset in (9 + size, 11 + size):
        body = write(name, offset, b"ab", T + 2)
        assert ask(peer, APPEND, body) == ENOENT
    assert ask(peer, APPEND, write(peer_name(), 0, more)) == ENOENT
    assert log_rows(node, name) == rows
    assert mtime(node, name) == T + 1
    assert catalogue(node, name)["size"] == 10 + size
    assert node.unfinished() == []


def test_append_of_nothing_changes_nothing(cluster, peer):
    name = stock(peer)
    assert ask(peer, APPEND, write(name, 10, b"")) == 0
    assert ask(peer, APPEND, write(name, 4, b"")) == EEXIST
    assert ask(peer, APPEND, write(name, 11, b"")) == ENOENT
    assert len(log_rows(cluster.storage, name)) == 1


@pytest.mark.parametrize("size", [4, 4097, len(LARGE)])
def test_modify_overwrites_and_extends(cluster, peer, size):
    node = cluster.storage
    name = stock(peer)
    data = LARGE[:size]
    for when in (T + 1, T + 2):
        assert ask(peer, MODIFY, write(name, 8, data, when)) == 0
        assert on_disk(node, name) == b"01234567" + data
        assert mtime(node, name) == when
    assert log_rows(node, name)[1:] == [
        ("M", 1, T + 1, 8 + size, 8, size), ("M", 1, T + 2, 8 + size, 8, size)]
    assert ask(peer, MODIFY, write(name, 9 + size, data)) == ENOENT
    assert ask(peer, MODIFY, write(peer_name(), 0, data)) == ENOENT
    assert catalogue(node, name)["size"] == 8 + size


def test_truncate_needs_the_old_size(cluster, peer):
    node = cluster.storage
    name = stock(peer)
    assert ask(peer, TRUNCATE, truncate(name, 10, 3, T + 1)) == 0
    assert on_disk(node, name) == b"012"
    assert mtime(node, name) == T + 1
    assert ask(peer, TRUNCATE, truncate(name, 10, 3, T + 2)) == EEXIST
    assert ask(peer, TRUNCATE, truncate(name, 3, 6, T + 2)) == 0
    assert on_disk(node, name) == b"012\0\0\0"
    assert log_rows(node, name)[1:] == [
        ("T", 1, T + 1, 3, 10, 0), ("T", 1, T + 2, 6, 3, 0)]
    # FastDFS says ENOENT, at which its sender stops for ever
    missing = peer_name()
    for _ in range(2):
        assert ask(peer, TRUNCATE, truncate(missing, 10, 3)) == EEXIST


def test_changes_of_what_is_no_file_are_passed_over(cluster, peer):
    node = cluster.storage
    link, folder = peer_name(), peer_name()
    target = node.base / "target"
    target.write_bytes(b"0123456789")
    node.path_of(link).symlink_to(target)
    node.path_of(folder).mkdir()
    for name in (link, folder):
        assert ask(peer, APPEND, write(name, 10, b"x")) == EEXIST
        assert ask(peer, MODIFY, write(name, 0, b"x")) == EEXIST
        assert ask(peer, TRUNCATE, truncate(name, 10, 0)) == EEXIST
    assert target.read_bytes() == b"0123456789"
    node.path_of(folder).rmdir()


def test_delete_takes_the_metadata_along(cluster, peer):
    node = cluster.storage
    name = stock(peer)
    peer.set_meta(name, b"a\x02b")
    assert ask(peer, REMOVE, remove(name, T + 1)) == 0
    assert on_disk(node, name) is None
    assert on_disk(node, name + "-m") is None
    assert catalogue(node, name) is None
    assert log_rows(node, name)[-1][:3] == ("D", 1, T + 1)
    rows = log_rows(node, name)
    for gone in (name, name + "-m"):
        assert ask(peer, REMOVE, remove(gone, T + 1)) == ENOENT
    assert log_rows(node, name) == rows


def test_own_delete_says_whether_there_was_metadata(cluster, peer):
    plain, with_meta = peer.upload(b"plain"), peer.upload(b"with")
    peer.set_meta(with_meta, b"a\x02b")
    peer.delete(plain)
    peer.delete(with_meta)
    with sqlite3_closing(cluster.storage.oplog()) as db:
        extra = dict(db.execute("select name, extra from operation "
                                "where op = 'D'").fetchall())
    assert extra[plain] in (None, b"")
    assert extra[with_meta] == b"m"


def test_rename_moves_file_and_metadata(cluster, peer):
    node = cluster.storage
    old = stock(peer)
    peer.set_meta(old, b"a\x02b")
    new = "M00" + old[3:10] + peer_name(b"0123456789")[10:]
    assert ask(peer, RENAME, names(new, old, T + 1)) == 0
    assert on_disk(node, old) is None
    assert on_disk(node, old + "-m") is None
    assert on_disk(node, new) == b"0123456789"
    assert attributes(node, new) == {"a": "b"}
    assert catalogue(node, old) is None
    assert log_rows(node, new) == [("R", 1, T + 1, 10, 0, 0)]
    assert ask(peer, RENAME, names(new, old, T + 1)) == EEXIST
    assert ask(peer, RENAME, names(peer_name(), old, T + 1)) == ENOENT
    assert len(log_rows(node, new)) == 1


def test_link_points_into_the_store(cluster, peer):
    node = cluster.storage
    target = stock(peer)
    link = peer_name()
    for _ in range(2):
        assert ask(peer, LINK, names(link, target, T + 1)) == 0
        assert Path(os.readlink(node.path_of(link))) == node.path_of(target)
    assert [r[:3] for r in log_rows(node, link)] == [("L", 1, T + 1)]
    assert peer.download(link) == b"0123456789"
    missing = peer_name()
    assert ask(peer, LINK, names(missing, peer_name())) == 0
    assert on_disk(node, missing) is None
    # the peer deletes both by name
    assert ask(peer, REMOVE, remove(link, T + 2)) == 0
    assert on_disk(node, target) == b"0123456789"


# --- metadata --------------------------------------------------------------

def test_metadata_is_stored_as_it_comes(cluster, peer):
    node = cluster.storage
    name = stock(peer)
    text = b"zoo\x021\x01ant\x022"  # not in order
    assert ask(peer, CREATE, create(name + "-m", text, T + 1)) == 0
    assert ask(peer, CREATE, create(name + "-m", text, T + 1)) == EEXIST
    assert on_disk(node, name + "-m") == text
    assert mtime(node, name + "-m") == T + 1
    assert peer.get_meta(name) == text
    assert attributes(node, name) == {"zoo": "1", "ant": "2"}
    for _ in range(2):
        assert ask(peer, UPDATE, create(name + "-m", b"b\x02c", T + 2)) == 0
        assert on_disk(node, name + "-m") == b"b\x02c"
        assert attributes(node, name) == {"b": "c"}
    assert [r[:3] for r in log_rows(node, name)] == [
        ("C", 1, T), ("U", 1, T + 1), ("U", 1, T + 2), ("U", 1, T + 2)]
    assert ask(peer, REMOVE, remove(name + "-m", T + 3)) == 0
    assert ask(peer, REMOVE, remove(name + "-m", T + 3)) == ENOENT
    assert on_disk(node, name + "-m") is None
    assert attributes(node, name) == {}
    assert on_disk(node, name) == b"0123456789"


def test_metadata_of_any_size_up_to_the_limit(cluster, peer):
    node = cluster.storage
    name = stock(peer)
    for size in (70_000, 262_144):
        text = b"k\x02" + b"v" * (size - 2)
        assert ask(peer, UPDATE, create(name + "-m", text)) == 0
        assert on_disk(node, name + "-m") == text
    assert ask(peer, UPDATE, create(name + "-m", text + b"v")) == 27
    assert on_disk(node, name + "-m") == text
    assert peer.is_usable()


@pytest.mark.parametrize("size", [9, 300_000])
def test_metadata_may_come_before_its_file(cluster, peer, size):
    node = cluster.storage
    data = LARGE[:size]
    name = peer_name(data)
    assert ask(peer, CREATE, create(name + "-m", b"a\x02b")) == 0
    assert catalogue(node, name) is None
    assert ask(peer, CREATE, create(name, data)) == 0
    assert peer.get_meta(name) == b"a\x02b"
    assert attributes(node, name) == {"a": "b"}


def test_metadata_of_a_new_name_may_come_before_the_rename(cluster, peer):
    node = cluster.storage
    old = stock(peer)
    peer.set_meta(old, b"old\x02x")
    new = "M00" + old[3:10] + peer_name(b"0123456789")[10:]
    assert ask(peer, UPDATE, create(new + "-m", b"new\x02y")) == 0
    assert ask(peer, RENAME, names(new, old)) == 0
    assert attributes(node, new) == {"new": "y"}
    assert on_disk(node, new + "-m") == b"new\x02y"
    assert on_disk(node, old + "-m") is None


# --- what is refused ---------------------------------------------------------

GOOD = peer_name(b"good")
BAD_NAMES = [
    "", "M", "00/00/" + GOOD[10:], "m00" + GOOD[3:], "M0g" + GOOD[3:],
    "M0a" + GOOD[3:], "M01" + GOOD[3:], "M00/0a/00/" + GOOD[10:],
    "M00/00/0/" + GOOD[10:], "M00/00/00/", "M00/00/00/..",
    "M00/00/00/../" + GOOD[10:], "M00/00/00/x/" + GOOD[10:],
    "M00/00/../" + GOOD[10:], "/M00/00/00/" + GOOD[10:],
    "M00/00/00/" + "x" * 118, "M00/00/00/a\nb",
]
HEAD = [
    (CREATE, lambda n, g: create(n, b"x", group=g)),
    (UPDATE, lambda n, g: create(n, b"x", group=g)),
    (REMOVE, lambda n, g: remove(n, group=g)),
    (LINK, lambda n, g: names(n, GOOD, group=g)),
    (LINK, lambda n, g: names(GOOD, n, group=g)),
    (APPEND, lambda n, g: write(n, 0, b"x", group=g)),
    (MODIFY, lambda n, g: write(n, 0, b"x", group=g)),
    (TRUNCATE, lambda n, g: truncate(n, 0, 1, group=g)),
    (RENAME, lambda n, g: names(n, GOOD, group=g)),
    (RENAME, lambda n, g: names(GOOD, n, group=g)),
]


@pytest.mark.parametrize("which", range(len(HEAD)))
def test_wrong_names_and_groups_close(cluster, which):
    cmd, body = HEAD[which]
    before = cluster.storage.visible()
    for name, group in [(n, "group1") for n in BAD_NAMES] + [
            (GOOD, "group2"), (GOOD, ""), (GOOD, "group11")]:
        with cluster.storage.connect() as conn:
            assert conn.told(cmd, body(name, group)) == EINVAL, name
            assert conn.is_closed()
    assert cluster.storage.visible() == before


@pytest.mark.parametrize("cmd,body", [
    (HELLO, b"x" * 15), (HELLO, b"x" * 17), (HELLO, bytes(16)), (HELLO, b""),
    (CREATE, create(GOOD, b"xy", size=1)), (CREATE, create(GOOD, b"", size=1)),
    (UPDATE, create(GOOD, b"", size=-1 & (1 << 63) - 1)),
    (CREATE, create(GOOD, b"x")[:30]), (CREATE, i64(-1) + bytes(60)),
    (APPEND, write(GOOD, 0, b"xy", size=1)), (APPEND, write(GOOD, -1, b"x")),
    (MODIFY, write(GOOD, -1, b"x")), (MODIFY, write(GOOD, 0, b"", size=9)),
    (TRUNCATE, truncate(GOOD, -1, 1)), (TRUNCATE, truncate(GOOD, 1, -1)),
    (TRUNCATE, truncate(GOOD, 1, 1) + b"x"), (REMOVE, b"1234"),
    (RENAME, names(GOOD, GOOD) + b"x"), (RENAME, names(GOOD, GOOD)[:-1]),
    (LINK, names(GOOD, GOOD)[:20]),
])
def test_wrong_lengths_close(cluster, cmd, body):
    with cluster.storage.connect() as conn:
        assert conn.told(cmd, body) == EINVAL
        assert conn.is_closed()


def test_group_is_text_up_to_its_nul(cluster, peer):
    name = peer_name(b"data")
    body = create(name, b"data").replace(pad("group1", 16),
                                         b"group1\0\xbf\xbf\xbf\xbf\0grou")
    assert ask(peer, CREATE, body) == 0


# --- together and one after the other ----------------------------------------

def test_many_requests_sent_ahead_are_answered_in_order(cluster, peer):
    node = cluster.storage
    data = os.urandom(4096)
    batch = [peer_name(data) for _ in range(300)]
    wanted, requests = [], []
    for at, name in enumerate(batch):
        requests.append(message(CREATE, create(name, data, T + at)))
        wanted.append(0)
        if at % 3 == 0:  # again, at once
            requests.append(message(CREATE, create(name, data, T + at)))
            wanted.append(EEXIST)
        if at % 10 == 0:
            requests.append(message(REMOVE, remove(name, T + at)))
            wanted.append(0)
    sender = threading.Thread(target=peer.send, args=(b"".join(requests),))
    sender.start()
    assert [peer.reply().status for _ in wanted] == wanted
    sender.join()
    for at, name in enumerate(batch):
        assert on_disk(node, name) == (data if at % 10 else None)


def test_peers_in_parallel_leave_whole_files(cluster):
    """The same file over several connections, as FastDFS does it."""
    node = cluster.storage
    sizes = (100, 30_000, 200_000)
    shared = [peer_name(appender=True) for _ in range(4)]
    wrong = []

    def run(seed):
        try:
            with node.connect(30) as conn:
                for turn in range(40):
                    name = shared[(turn + seed) % len(shared)]
                    data = bytes([seed]) * sizes[turn % 3]
                    for cmd, body, fine in (
                            (UPDATE, create(name, data), {0}),
                            (APPEND, write(name, sizes[0], b"x" * 50),
                             {0, EEXIST, ENOENT}),
                            (TRUNCATE, truncate(name, sizes[1], 7),
                             {0, EEXIST}),
                            (REMOVE, remove(name), {0, ENOENT}),
                            (CREATE, create(name, data), {0, EEXIST})):
                        status = conn.call(cmd, body).status
                        if status not in fine:
                            wrong.append((cmd, status))
        except Exception as err:  # noqa: BLE001
            wrong.append(err)
    threads = [threading.Thread(target=run, args=(n,)) for n in (65, 66, 67)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong
    for name in shared:
        row = catalogue(node, name)
        content = on_disk(node, name)
        assert (row is None) == (content is None)
        if row:
            assert row["size"] == len(content)
            assert set(content[:7]) <= {65, 66, 67}
            assert len(set(content[:7])) == 1
    assert node.unfinished() == []


def test_renames_towards_each_other_do_not_wait_for_ever(cluster):
    node = cluster.storage
    a = peer_name()
    b = a[:10] + peer_name()[10:]
    wrong = []

    def run(new, old):
        with node.connect(20) as conn:
            for _ in range(300):
                if conn.call(RENAME, names(new, old)).status not in (
                        0, EEXIST, ENOENT):
                    wrong.append((new, old))
    with node.connect() as conn:
        assert ask(conn, CREATE, create(a, b"x")) == 0
    threads = [threading.Thread(target=run, args=pair)
               for pair in ((a, b), (b, a), (a, b))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong
    assert (on_disk(node, a) is None) != (on_disk(node, b) is None)


def test_counters_tell_what_came_from_peers(fresh):
    made = fresh()
    name = peer_name(appender=True)
    with made.storage.connect() as peer:
        ask(peer, CREATE, create(name, b"x" * 1000))
        ask(peer, APPEND, write(name, 1000, b"y" * 500))
        ask(peer, APPEND, write(name, 1000, b"y" * 500))   # there already
        ask(peer, APPEND, write(name, 9000, b"y" * 70))    # cannot be
        ask(peer, CREATE, create(peer_name(), b"z" * 6000))

    def counters():
        found = made.tracker.sees(made.storage).counters
        return found if found["total_sync_in_bytes"] >= 8070 else None
    after = wait_until(counters, 10, "a beat")
    assert after["total_sync_in_bytes"] == 8070
    assert after["success_sync_in_bytes"] == 8000
    assert after["success_file_write"] == 3
    assert after["last_sync_update"] > 0
    assert not [key for key, value in after.items() if value and
                ("append" in key or "upload" in key or "source" in key)]


# --- kill -9 -----------------------------------------------------------------

def story():
    """A dialogue of every command: (cmd, body, first answer, repeated)."""
    app, norm = peer_name(appender=True), peer_name(LARGE)
    fin = app[:10] + peer_name(b"01234")[10:]
    link = app[:10] + peer_name()[10:]
    m = app + "-m"
    return app, norm, fin, link, [
        (CREATE, create(app, b"0123456789"), 0, EEXIST),
        (CREATE, create(norm, LARGE), 0, EEXIST),
        (CREATE, create(m, b"a\x02b"), 0, EEXIST),
        (APPEND, write(app, 10, b"abc", T + 1), 0, EEXIST),
        (APPEND, write(app, 13, LARGE, T + 2), 0, EEXIST),
        (MODIFY, write(app, 2, b"xx", T + 3), 0, 0),
        (TRUNCATE, truncate(app, 13 + len(LARGE), 5, T + 4), 0, EEXIST),
        (UPDATE, create(m, b"c\x02d", T + 5), 0, 0),
        (UPDATE, create(app, b"whole again", T + 6), 0, 0),
        (UPDATE, create(app, b"01234", T + 7), 0, 0),
        (LINK, names(link, norm, T + 8), 0, 0),
        (RENAME, names(fin, app, T + 9), 0, EEXIST),
        (REMOVE, remove(norm, T + 10), 0, ENOENT),
    ]


def end_state(node, names_):
    app, norm, fin, link = names_
    row = catalogue(node, fin)
    return (on_disk(node, app), on_disk(node, norm), on_disk(node, fin),
            on_disk(node, fin + "-m"), node.path_of(link).is_symlink(),
            row["size"], row["created_ms"], attributes(node, fin),
            catalogue(node, app), catalogue(node, norm), roll_ups(node)[0])


@pytest.mark.limit(180)
def test_what_was_answered_survives_a_kill(fresh):
    made = fresh()
    node = made.storage
    *names_, steps = story()
    for cmd, body, first, again in steps:
        with node.connect() as conn:
            assert ask(conn, cmd, body) == first, cmd
        node.kill()
        node.start()
        with node.connect() as conn:
            assert ask(conn, cmd, body) == again, cmd
    state = end_state(node, names_)
    assert state[:5] == (None, None, b"01234", b"c\x02d", True)
    assert state[5:10] == (5, T * 1000, {"c": "d"}, None, None)
    assert node.unfinished() == []
    # the same without kills
    other = fresh()
    with other.storage.connect() as conn:
        for cmd, body, first, again in steps:
            assert ask(conn, cmd, body) == first
            assert ask(conn, cmd, body) == again
    assert end_state(other.storage, names_) == state


DURABILITY = pytest.mark.parametrize("durability", ["process", "full"])


def begin(fresh, durability):
    """Under "full" each step waits for the disk."""
    made = fresh(start=False)
    made.storage.sections = f"[meta]\ndurability = {durability}\n"
    made.start()
    return made.storage


def send_ahead(conn, requests):
    """All at once; the statuses of those that were answered."""
    def run():
        try:
            conn.send(b"".join(message(cmd, body) for cmd, body in requests))
        except OSError:
            pass  # it was killed
    sender = threading.Thread(target=run)
    sender.start()
    found = []
    try:
        while len(found) < len(requests):
            found.append(conn.reply().status)
            yield found[-1]
    except (OSError, wire.Closed):
        pass
    finally:
        sender.join()


@DURABILITY
def test_what_is_sent_ahead_leads_to_the_same(fresh, durability):
    """Operations on many files in turn, none waits for an answer."""
    node = begin(fresh, durability)
    stories = [story() for _ in range(20)]
    steps = [step for turn in zip(*(s[-1] for s in stories)) for step in turn]
    with node.connect() as conn:
        assert list(send_ahead(conn, [step[:2] for step in steps])) == \
            [first for _, _, first, _ in steps]
        assert list(send_ahead(conn, [step[:2] for step in steps[-40:]])) == \
            [again for *_, again in steps[-40:]]
    for *names_, _ in stories:
        state = end_state(node, names_)
        assert state[:5] == (None, None, b"01234", b"c\x02d", True)
        assert state[5:10] == (5, T * 1000, {"c": "d"}, None, None)
    assert node.unfinished() == []


@pytest.mark.limit(180)
@DURABILITY
def test_what_was_answered_ahead_survives_a_kill(fresh, durability):
    node = begin(fresh, durability)
    data = os.urandom(4096)
    for until in (1, 300, 900):
        batch = [peer_name(data) for _ in range(1000)]
        requests = [(CREATE, create(name, data)) for name in batch]
        with node.connect() as conn:
            answers = send_ahead(conn, requests)
            answered = [next(answers) for _ in range(until)]
            node.kill()
            answered += list(answers)
        assert set(answered) == {0}
        node.start()
        for name in batch[:len(answered)]:
            assert on_disk(node, name) == data
        with node.connect() as conn:
            again = list(send_ahead(conn, requests))
        assert set(again) <= {0, EEXIST} and len(again) == len(batch)
        assert set(again[:len(answered)]) == {EEXIST}
        with sqlite3_closing(node.oplog()) as db:
            rows = db.execute("select name from operation where op = 'C'")
            known = [row[0] for row in rows]
        assert sorted(set(known) & set(batch)) == sorted(batch)
        assert len(known) == len(set(known))
    assert node.unfinished() == []


@DURABILITY
def test_a_link_sent_ahead_finds_its_target(fresh, durability):
    node = begin(fresh, durability)
    targets = [peer_name(b"t" * 100) for _ in range(50)]
    links = [t[:10] + peer_name()[10:] for t in targets]
    requests = []
    for target, link in zip(targets, links):
        requests.append((CREATE, create(target, b"t" * 100)))
        requests.append((LINK, names(link, target)))
    with node.connect() as conn:
        assert set(send_ahead(conn, requests)) == {0}
    for link in links:
        assert node.path_of(link).is_symlink()
        assert on_disk(node, link) == b"t" * 100


@pytest.mark.limit(180)
def test_what_had_no_answer_can_be_sent_again(fresh):
    """Killed at any moment: sending everything again leads to the same."""
    made = fresh()
    node = made.storage
    for round_ in range(int(os.environ.get("KILL_ROUNDS", "3")) * 2):
        *names_, steps = story()
        done = threading.Event()

        def run(todo=steps, said=done):
            try:
                with node.connect() as conn:
                    for cmd, body, *_ in todo:
                        conn.call(cmd, body)
                        if cmd == (UPDATE, CREATE, RENAME, APPEND,
                                   TRUNCATE, MODIFY)[round_ % 6]:
                            said.set()
                said.set()
            except (OSError, wire.Closed):
                said.set()
        sender = threading.Thread(target=run)
        sender.start()
        assert done.wait(20)
        node.kill()
        sender.join()
        node.start()
        # From where it has no answer the peer sends on; to send all of it
        # is the worst case. What was renamed and deleted comes again.
        with node.connect() as conn:
            for cmd, body, *_ in steps:
                status = conn.call(cmd, body).status
                assert status in (0, EEXIST, ENOENT), (cmd, status)
        app, norm, fin, link = names_
        assert on_disk(node, norm) is None
        assert on_disk(node, fin) == b"01234"
        assert catalogue(node, fin)["size"] == 5
        assert attributes(node, fin) == {"c": "d"}
        assert node.unfinished() == []


def test_a_file_of_a_peer_without_a_row_is_not_sent_on(fresh):
    """Killed between the file and its row: the row says whose it is."""
    made = fresh()
    node = made.storage
    own = tuple(int(x) for x in node.address[0].split("."))
    with node.connect() as conn:
        conn.upload(b"the run has begun")
    node.kill()
    files = {peer_name(b"of a peer"): (b"of a peer", 1),
             peer_name(b"of mine", source=bytes(own)): (b"of mine", 0)}
    for name, (data, _) in files.items():
        node.path_of(name).write_bytes(data)
    half = peer_name(b"was cut off")
    node.path_of(half).write_bytes(b"was c")
    node.start()
    for name, (data, replica) in files.items():
        assert [r[:2] for r in log_rows(node, name)] == [("C", replica)]
        assert catalogue(node, name)["size"] == len(data)
    assert on_disk(node, half) is None
    with node.connect() as conn:
        assert ask(conn, CREATE, create(half, b"was cut off")) == 0
        name = next(iter(files))
        assert ask(conn, CREATE, create(name, b"of a peer")) == EEXIST


# --- a disk that fails ----------------------------------------------------------

class Sender:
    """Sends each operation until it is done, as a peer does."""

    def __init__(self, node):
        self.node = node
        self.conn = node.connect()

    def try_once(self, cmd, body):
        try:
            self.conn.send(message(cmd, body))
        except OSError:
            pass  # answered before it had all, and closed
        try:
            return self.conn.reply().status
        except (OSError, wire.Closed):
            self.conn.close()
            self.conn = self.node.connect()
            return None

    def send(self, cmd, body, fine):
        tried = []
        while not tried or tried[-1] not in fine:
            assert len(tried) < 5, (cmd, tried)
            tried.append(self.try_once(cmd, body))


def check_end(node, names_):
    app, norm, fin, link = names_
    assert on_disk(node, app) is None and on_disk(node, norm) is None
    assert on_disk(node, fin) == b"01234"
    assert on_disk(node, fin + "-m") == b"c\x02d"
    assert node.path_of(link).is_symlink()
    assert catalogue(node, fin)["size"] == 5
    assert attributes(node, fin) == {"c": "d"}
    assert catalogue(node, app) is None and catalogue(node, norm) is None


@pytest.mark.slow
@pytest.mark.limit(300)
@pytest.mark.skipif(not LIBRARY.exists(), reason="no fail.so: make fault-lib")
@pytest.mark.parametrize("durability", ["process", "full"])
def test_a_peer_gets_through_when_a_call_fails(fresh, durability):
    made = fresh(start=False)
    node = made.storage
    faults = Faults(node)
    node.sections = f"[meta]\ndurability = {durability}\n"
    made.start()
    done, quiet = [], 0
    for nth in itertools.count(1):
        *names_, steps = story()
        sender = Sender(node)
        with faults.on("all", (EIO, ENOSPC)[nth % 2], nth, every=0,
                       where=node.base):
            for cmd, body, first, again in steps:
                sender.send(cmd, body, {first, again})
        quiet = 0 if faults.hits() else quiet + 1
        try:
            check_end(node, names_)
        except Exception as err:
            raise AssertionError(f"{nth}: {faults.hits()[:9]}") from err
        sender.conn.close()
        done.append(names_)
        if quiet == 2:
            break
    assert len(done) > 50
    node.kill()
    node.start()
    for names_ in done:
        check_end(node, names_)


@pytest.mark.limit(180)
@pytest.mark.skipif(not LIBRARY.exists(), reason="no fail.so: make fault-lib")
@DURABILITY
def test_what_fails_in_the_middle_is_answered_in_its_place(fresh, durability):
    """A file that cannot be made, and a commit of many that fails."""
    made = fresh(start=False)
    node = made.storage
    node.sections = f"[meta]\ndurability = {durability}\n"
    faults = Faults(node)
    made.start()
    data = os.urandom(4096)
    failed = []
    for nth in (5, 12, 47, 101, 200, 301, 420):
        batch = [peer_name(data) for _ in range(100)]
        todo = dict.fromkeys(batch)
        with faults.on("all", EIO, nth, every=0, where=node.base):
            for _ in range(5):
                requests = [(CREATE, create(name, data)) for name in todo]
                with node.connect() as conn:
                    answers = list(send_ahead(conn, requests))
                assert set(answers) <= {0, EEXIST, EIO}
                assert len(answers) == len(todo)
                failed += [a for a in answers if a == EIO]
                for name, answer in zip(list(todo), answers):
                    if answer != EIO:
                        assert on_disk(node, name) == data
                        del todo[name]
                if not todo:
                    break
        assert not todo
        for name in batch:
            assert catalogue(node, name)["size"] == 4096
    assert failed


# --- what FastDFS answered -----------------------------------------------------

SYNC = {HELLO, CREATE, REMOVE, UPDATE, LINK, APPEND, MODIFY, TRUNCATE,
        RENAME, wire.QUERY_INFO, wire.ACTIVE_TEST}


def dialogue(name):
    """(connection, request, recorded reply), in order of the replies."""
    waiting = {}
    path = TOP / "test/golden/transcripts" / f"{name}.jsonl"
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        conn = entry.get("conn", 0)
        packet = bytes.fromhex(entry.get("hex") or "")
        if "storage" not in (entry["from"], entry["to"]) or \
                "tracker" in (entry["from"], entry["to"]) or not packet:
            continue
        if entry["cmd"] != wire.RESP:
            waiting[conn] = entry["cmd"], packet, entry["note"]
        elif conn in waiting and waiting[conn][0] in SYNC:
            yield conn, *waiting.pop(conn), packet


def expected(cmd, note, reply, answered):
    """(status, body) that we owe, where it differs by intention from what
    was recorded."""
    status, body = reply[9], reply[10:]
    if cmd == RENAME:
        return status, b""            # upstream: the request
    if cmd == TRUNCATE and "nofile" in note:
        return EEXIST, b""            # upstream: ENOENT
    if cmd == REMOVE and b"-m" in answered[-2:]:
        return ENOENT, b""            # went with its file
    if cmd == wire.QUERY_INFO:
        return status, body[:16]      # size and time; the address is ours
    return status, body


@pytest.mark.parametrize("name", [
    "cluster-03-live-sync", "cluster-04-parallel-sync-same-file",
    "cluster-05-create-link", "cluster-18-probes"])
def test_recorded_dialogues_have_the_same_answers(fresh, name):
    node = fresh().storage
    conns = {}
    count = 0
    for at, cmd, request, note, reply in dialogue(name):
        if at not in conns:
            conns[at] = node.connect()
        conns[at].send(request)
        got = conns[at].reply()
        body = got.body[:16] if cmd == wire.QUERY_INFO else got.body
        assert (got.status, body) == expected(cmd, note, reply, request), note
        if got.status == EINVAL:
            conns.pop(at).close()
        count += 1
    assert count >= {"cluster-05-create-link": 3}.get(name, 9)
    for conn in conns.values():
        conn.close()


def test_what_an_older_connection_brings_is_too_late(fresh):
    """A peer that was killed has connected again, and the network still
    holds what it had sent before."""
    node = fresh().storage
    name = peer_name(b"late")
    with node.connect() as before, node.connect() as now:
        for conn in before, now:
            assert conn.is_usable()  # so begins a connection of ours
            assert ask(conn, HELLO, pad("10.88.0.21", 16)) == 0
        assert ask(before, CREATE, create(peer_name(b"1"), b"1")) == 0
        assert ask(now, REMOVE, remove(name)) == ENOENT
        assert ask(before, CREATE, create(name, b"late")) == EBUSY
        assert before.is_closed()
        assert on_disk(node, name) is None
        assert ask(now, CREATE, create(peer_name(b"2"), b"2")) == 0


def test_fastdfs_sends_over_two_connections_at_a_time(fresh):
    """They do not begin with ACTIVE_TEST, and only one says whose it is."""
    node = fresh().storage
    with node.connect() as first, node.connect() as second:
        assert ask(first, HELLO, pad("10.88.0.21", 16)) == 0
        for i, conn in enumerate((second, first, second, first)):
            assert ask(conn, CREATE, create(peer_name(b"%d" % i), b"x")) == 0


def test_an_older_connection_of_another_peer_is_served(fresh):
    node = fresh().storage
    with node.connect() as one, node.connect() as other:
        assert ask(one, HELLO, pad("10.88.0.21", 16)) == 0
        assert ask(other, HELLO, pad("10.88.0.22", 16)) == 0
        for conn in other, one, other:
            name = peer_name(b"1")
            assert ask(conn, CREATE, create(name, b"1")) == 0
            assert on_disk(node, name) == b"1"
