# SPDX-License-Identifier: MIT
"""The same random requests to our daemons and to FastDFS's: same answers.

Runs where the FastDFS daemons are installed. What differs on purpose (the
table of upstream misbehaviour in the protocol description) is left out.
"""

import os
import random
import struct
import time

import pytest

import wire
from harness import STOCK, Cluster, stock_program
from wire import (append_body, file_ref, group, i64, message,
                  meta_body, modify_body, raw_name, slave_body,
                  truncate_body, upload_body)

STEPS = int(os.environ.get("REFERENCE_STEPS", "1500"))
SEED = int(os.environ.get("REFERENCE_SEED", time.time_ns() % (1 << 32)))


@pytest.fixture(scope="module")
def reference():
    programs = tuple(stock_program(name) for name in
                     ("fdfs_trackerd", "fdfs_storaged"))
    if not all(programs):
        pytest.skip("the FastDFS daemons are not installed")
    with Cluster("reference", programs=programs) as made:
        yield made


class Twin:
    """A file that both clusters hold, each under its own name."""

    def __init__(self, names, kind, size):
        self.names = names
        self.kind = kind
        self.size = size
        self.gone = False


class Pair:
    """Two connections that get the same requests."""

    def __init__(self, left, right, side):
        self.clusters = (left, right)
        self.side = side
        self.conns = [None, None]

    def open(self):
        for i, cluster in enumerate(self.clusters):
            if self.conns[i] is None:
                self.conns[i] = getattr(cluster, self.side).connect(20)
        return self.conns

    def close(self):
        for conn in self.conns:
            if conn is not None:
                conn.close()
        self.conns = [None, None]

    def ask(self, what, cmd, bodies, status=0):
        """Both replies, after comparing what must be equal."""
        replies = []
        for conn, body in zip(self.open(), bodies):
            conn.send(message(cmd, body, status))
            try:
                replies.append(conn.reply())
            except wire.Closed:
                replies.append(None)
        one, two = replies
        shown = f"{what}: command {cmd} body {bodies[0][:80]!r}"
        assert (one is None) == (two is None), f"{shown}: {one} and {two}"
        if one is None:
            self.close()
            return None, None
        assert one.status == two.status, f"{shown}: {one} and {two}"
        if cmd != wire.GET_LEADER:  # an address of no fixed length
            assert len(one.body) == len(two.body), f"{shown}: {one}, {two}"
        if one.status:
            if self.side == "storage" and one.status == wire.EINVAL:
                assert all(conn.is_closed() for conn in self.conns), shown
                self.close()
            else:
                assert all(conn.is_usable() for conn in self.conns), shown
        return replies


class Walk:
    """One random walk over the storage commands."""

    def __init__(self, pair, rng):
        self.pair = pair
        self.rng = rng
        self.files = []

    def some(self):
        return self.rng.choice(self.files) if self.files else None

    def number(self, near):
        return self.rng.choice([0, 1, near - 1, near, near + 1, -1, 7,
                                near // 2, 1 << 40, -(1 << 63)])

    def bent(self, names, old=False, kind=None):
        """The names, now and then with the same damage done to both.

        Names of the old form (without M00/) only where upstream does not
        decode them: it takes the wrong characters for the record.
        """
        kind = kind or self.rng.choice(["as it is"] * 8 + [
            "cut", "longer", "case", "slash", "path", "unknown"] +
            ["old"] * old)
        out = []
        at = self.rng.randrange(1, 44)
        for name in names:
            if kind == "cut":
                name = name[:at]
            elif kind == "longer":
                name += "x" * at
            elif kind == "case":
                name = name[:4] + "0a/" + name[7:]
            elif kind == "slash":
                name = name[:12] + "/" + name[13:]
            elif kind == "path":
                name = "M01" + name[3:]
            elif kind == "old":
                name = name[4:]
            elif kind == "unknown":
                name = name[:25] + "zzzz" + name[29:]
            out.append(name)
        return out

    def group(self):
        return self.rng.choice([group()] * 12 + [
            group("group2"), group("group"), b"group1 ".ljust(16),
            b"group1\0junk".ljust(16, b"x"), bytes(16)])

    def step(self):
        what = self.rng.choice([
            "upload", "appender", "slave", "download", "info", "append",
            "modify", "truncate", "set_meta", "get_meta", "delete",
            "regenerate", "garbage"])
        if what in ("upload", "appender", "garbage"):
            return getattr(self, what)()
        twin = self.some()
        if twin is None:
            return self.upload()
        return getattr(self, what)(twin)

    def made(self, replies, kind, size):
        if replies[0] is not None and replies[0].status == 0:
            names = [reply.body[16:].decode() for reply in replies]
            assert replies[0].body[:16] == replies[1].body[:16]
            assert len(names[0]) == len(names[1])
            assert names[0][37:].strip("0123456789") == \
                names[1][37:].strip("0123456789")
            one, two = map(wire.decode_name, names)
            assert (one.crc, one.size, one.appender) == \
                (two.crc, two.size, two.appender)
            self.files.append(Twin(names, kind, size))

    def upload(self, cmd=wire.UPLOAD, kind="normal"):
        data = self.rng.randbytes(self.rng.choice([0, 1, 100, 5000]))
        ext = self.rng.choice([b"txt", b"", b"tar.gz", b"a/b", b"x y",
                               b"\0abc", b"a\0b", b"JPG", b"a\xe4"])
        path = self.rng.choice([0, 0xFF, 0xFF, 1, 0x80, 0xFE])
        size = self.rng.choice([None] * 6 + [len(data) + 1, -1, 0])
        body = upload_body(data, ext, path, size)
        self.made(self.pair.ask(kind, cmd, (body, body)), kind, len(data))

    def appender(self):
        self.upload(wire.UPLOAD_APPENDER, "appender")

    def slave(self, twin):
        data = self.rng.randbytes(self.rng.choice([0, 1, 300]))
        prefix = self.rng.choice([b"_abc123", b"-m", b"", b"a/b", b"150x150",
                                  b"p" * 16, b"_%d" % self.rng.getrandbits(40)
                                  ])
        ext = self.rng.choice([b"jpg", b"", b"a b", b"abcdef"])
        kind = self.rng.choice(["as it is"] * 5 + ["case", "slash", "path"])
        bodies = [slave_body(n, prefix, data, ext)
                  for n in self.bent(twin.names, kind=kind)]
        self.made(self.pair.ask("slave", wire.UPLOAD_SLAVE, bodies), "slave",
                  len(data))

    def download(self, twin):
        offset, count = self.number(twin.size), self.number(twin.size)
        where = self.group()
        one, two = self.pair.ask("download", wire.DOWNLOAD, [
            i64(offset) + i64(count) + where + raw_name(n)
            for n in self.bent(twin.names, True)])
        assert one is None or one.body == two.body

    def info(self, twin):
        where = self.group()
        names = self.bent(twin.names)
        one, two = self.pair.ask(
            "info", wire.QUERY_INFO, [where + raw_name(n) for n in names],
            self.rng.choice([0, 1, 2, 3]))
        if one is not None and one.status == 0:
            assert one.body[:8] == two.body[:8], names
            assert one.body[16:24] == two.body[16:24], (twin.kind, names)
            times = [struct.unpack(">q", r.body[8:16])[0] for r in (one, two)]
            assert abs(times[0] - times[1]) <= 2

    def append(self, twin):
        data = self.rng.randbytes(self.rng.choice([1, 100, 3000]))
        size = self.rng.choice([None] * 6 + [len(data) + 1, -1])
        one, _ = self.pair.ask("append", wire.APPEND, [
            append_body(n, data, size) for n in self.bent(twin.names)])
        if one is not None and one.status == 0:
            twin.size += len(data)

    def modify(self, twin):
        data = self.rng.randbytes(self.rng.choice([1, 50, 2000]))
        offset = self.number(twin.size)
        one, _ = self.pair.ask("modify", wire.MODIFY, [
            modify_body(n, offset, data) for n in self.bent(twin.names)])
        if one is not None and one.status == 0:
            twin.size = max(twin.size, offset + len(data))

    def truncate(self, twin):
        size = self.rng.choice([0, 1, twin.size + 3, twin.size - 1, -1, 999])
        if size == twin.size:
            return  # upstream's reply carries the request
        one, _ = self.pair.ask("truncate", wire.TRUNCATE, [
            truncate_body(n, size) for n in self.bent(twin.names)])
        if one is not None and one.status == 0:
            twin.size = size

    def set_meta(self, twin):
        names = [b"a", b"b", b"C", b"zz", b"", b"\xff"]
        text = b"\x01".join(
            self.rng.choice(names) + b"\x02" + b"v" * self.rng.randrange(5)
            for _ in range(self.rng.randrange(5)))
        flag = self.rng.choice([b"O", b"M", b"M", b"X"])
        where = self.group()
        self.pair.ask("set_meta", wire.SET_META, [
            meta_body(n, text, flag, where) for n in self.bent(twin.names)])

    def get_meta(self, twin):
        where = self.group()
        one, two = self.pair.ask(
            "get_meta", wire.GET_META,
            [where + raw_name(n) for n in self.bent(twin.names, True)])
        assert one is None or one.body == two.body

    def delete(self, twin):
        where = self.group()
        one, _ = self.pair.ask(
            "delete", wire.DELETE,
            [where + raw_name(n) for n in self.bent(twin.names, True)])
        if one is not None and one.status == 0:
            twin.gone = True
            if self.rng.random() < 0.7:
                self.files.remove(twin)

    def regenerate(self, twin):
        if twin.kind == "appender" and self.rng.random() < 0.5:
            return
        one, two = self.pair.ask(
            "regenerate", wire.REGENERATE,
            [raw_name(n) for n in self.bent(twin.names)])
        if one is not None and one.status == 0:
            self.files.remove(twin)  # here its metadata goes along

    def garbage(self):
        cmd = self.rng.choice([
            wire.UPLOAD, wire.DELETE, wire.SET_META, wire.DOWNLOAD,
            wire.GET_META, wire.UPLOAD_SLAVE, wire.QUERY_INFO, wire.APPEND,
            wire.MODIFY, wire.TRUNCATE, wire.REGENERATE, 99, 101, 111, 200])
        body = bytes(self.rng.randrange(0, 120))
        self.pair.ask("garbage", cmd, (body, body))


@pytest.mark.slow
@pytest.mark.limit(300)
def test_storage_answers_like_the_reference(cluster, reference):
    if STOCK:
        pytest.skip("nothing to compare")
    rng = random.Random(SEED)
    pair = Pair(cluster, reference, "storage")
    walk = Walk(pair, rng)
    for number in range(STEPS):
        try:
            walk.step()
        except AssertionError as err:
            raise AssertionError(f"seed {SEED}, step {number}: {err}"
                                 ) from None
    pair.close()


@pytest.mark.slow
@pytest.mark.limit(120)
def test_tracker_answers_like_the_reference(cluster, reference):
    if STOCK:
        pytest.skip("nothing to compare")
    rng = random.Random(SEED)
    pair = Pair(cluster, reference, "tracker")
    known = [59, 60, 64, 69, 70, 71, 72, 73, 74, 75, 77, 83, 84, 85, 87,
             89] + list(range(90, 99)) + list(range(101, 110)) + \
        [111, 0, 120, 200]
    for number in range(STEPS):
        cmd = rng.choice(known)
        body = rng.choice([
            b"", group(), group("nogroup"), bytes(1), bytes(3), bytes(4),
            bytes(5), bytes(21), group() + b"1.2.3.4", group() + bytes(9),
            group() + b"1.2.3.4:5", group("g2") + b"1.2.3.4:5",
            group() + b"1.2.3.4:", group() + b"1.2.3.4:0x",
            rng.choice([b"\1", b"\2", b"\3"]) + rng.choice(
                [b"\0\0", b"\0\2", b"\1\1", b"\1\0"]),
            rng.randrange(8).to_bytes(1, "big") + bytes(
                rng.choice([0, 1, 1, 2]) for _ in range(3)),
            bytes(rng.randrange(22, 400)), group()[:15], file_ref(
                "M00/00/00/" + "A" * rng.randrange(1, 130))])
        if cmd == 108 and body == group():
            continue  # nothing but a delay
        try:
            one, two = pair.ask("tracker", cmd, (body, body))
        except AssertionError as err:
            raise AssertionError(f"seed {SEED}, step {number}: {err}"
                                 ) from None
        if one is not None and cmd == 75:
            assert one.body == two.body
    pair.close()
