# SPDX-License-Identifier: MIT
"""Disks that fail: the storage runs with a library that lets calls fail."""

import itertools
import random

import pytest

import wire
from faults import EIO, ENOSPC, LIBRARY, Faults
from harness import Cluster, sqlite3_closing, wait_until

SMALL = b"one piece of content"
BIG = random.Random(7).randbytes(300_000)
META = wire.pack_meta({"colour": "red", "size": "9"})

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not LIBRARY.exists(),
                       reason="no fail.so: make fault-lib")]


def faulty(name, **wanted):
    made = Cluster(name, **wanted)
    made.faults = Faults(made.storage)
    return made


@pytest.fixture(scope="module")
def cluster():
    with faulty("faults") as made:
        yield made


@pytest.fixture
def faults(cluster):
    yield cluster.faults
    cluster.faults.off()


@pytest.fixture
def private(request):
    with faulty("faults-private") as made:
        yield made


def verified(made):
    """fdfs-meta finds that the databases agree with the disk."""
    out = made.tool("fdfs-meta", "verify", made.storage.conf_path)
    assert out.returncode == 0, (out.stdout + out.stderr).decode()


def restarted(made, kill=False):
    made.faults.off()
    if kill:
        made.storage.kill()
    else:
        assert made.storage.stop() == 0
    started_again(made)


def started_again(made):
    made.faults.off()
    made.storage.start(active=False)
    verified(made)


def test_a_jump_of_the_clock_is_told(cluster, faults):
    def jumps():
        return [row["text"] for row in cluster.storage.catalogue_rows(
            "select text from events where code = 'FD-CLOCK-01'")]
    faults.clock(3600)
    wait_until(lambda: len(jumps()) == 1, 10, "the clock is ahead")
    faults.off()
    wait_until(lambda: len(jumps()) == 2, 10, "the clock is right again")
    assert jumps() == ["the clock jumped ahead by 3600 s",
                       "the clock jumped back by 3600 s"]


# --- new files -------------------------------------------------------------

UPLOADS = {
    "small": (wire.UPLOAD, SMALL, ["openat", "write"]),
    "small appender": (wire.UPLOAD_APPENDER, SMALL, ["openat", "write"]),
    "large": (wire.UPLOAD, BIG, ["openat", "write", "rename"]),
}


@pytest.mark.parametrize("errno", [EIO, ENOSPC])
@pytest.mark.parametrize("kind", UPLOADS)
def test_an_upload_that_fails_leaves_nothing(cluster, faults, kind, errno):
    command, content, calls = UPLOADS[kind]
    node = cluster.storage
    with node.connect() as conn:
        kept = conn.upload(SMALL)
        before = node.visible()
        for call in calls:
            for short in (0, 1):
                with faults.on(call, errno, short=short):
                    assert conn.told(
                        command, wire.upload_body(content)) == errno
                    assert faults.hits()
                assert conn.is_usable()
                assert node.visible() == before
                assert not node.unfinished()
        assert conn.download(kept) == SMALL
        assert conn.download(conn.upload(content)) == content


@pytest.mark.parametrize("errno", [EIO, ENOSPC])
def test_a_later_piece_that_fails(cluster, faults, errno):
    node = cluster.storage
    with node.connect() as conn:
        before = node.visible()
        whole = wire.message(wire.UPLOAD, wire.upload_body(BIG))
        with faults.on("write", errno, nth=2):
            conn.send_split(whole[:1000], whole[1000:2000], whole[2000:])
            assert conn.reply().status == errno
            assert faults.hits()
        assert conn.is_usable()
        assert node.visible() == before and not node.unfinished()


@pytest.mark.parametrize("content", [SMALL, BIG], ids=["small", "large"])
def test_a_slave_that_fails_leaves_nothing(cluster, faults, content):
    node = cluster.storage
    with node.connect() as conn:
        master = conn.upload(SMALL)
        before = node.visible()
        for call in ("openat", "write", "rename"):
            with faults.on(call, EIO):
                assert conn.told(wire.UPLOAD_SLAVE, wire.slave_body(
                    master, "_s", content)) == EIO
            assert conn.is_usable()
            assert node.visible() == before and not node.unfinished()
        name = conn.upload_slave(master, "_s", content)
        assert conn.download(name) == content


# --- changes that are refused before they are recorded ----------------------

def last_row(node):
    with sqlite3_closing(node.oplog()) as log:
        return log.execute("select max(seq) from operations").fetchone()[0]


@pytest.mark.parametrize("errno", [EIO, ENOSPC])
def test_a_change_that_cannot_begin_is_not_recorded(cluster, faults, errno):
    node = cluster.storage
    with node.connect() as conn:
        name = conn.upload_appender(SMALL)
        conn.set_meta(name, META)
        before = last_row(node)
        for call, command, body in (
                ("openat", wire.APPEND, wire.append_body(name, SMALL)),
                ("openat", wire.APPEND, wire.append_body(name, BIG)),
                ("write", wire.APPEND, wire.append_body(name, BIG)),
                ("openat", wire.MODIFY, wire.modify_body(name, 3, SMALL)),
                ("write", wire.MODIFY, wire.modify_body(name, 3, BIG)),
                ("openat", wire.TRUNCATE, wire.truncate_body(name, 3)),
                ("ftruncate", wire.TRUNCATE, wire.truncate_body(name, 99)),
                ("openat", wire.REGENERATE, name.encode()),
                ("read", wire.REGENERATE, name.encode()),
                ("openat", wire.SET_META, wire.meta_body(name, b"a\2b", b"M")),
                ("read", wire.SET_META, wire.meta_body(name, b"a\2b", b"M"))):
            if (call, errno) == ("openat", ENOSPC) and len(body) < len(BIG):
                continue  # a full disk lets files be opened
            with faults.on(call, errno):
                assert conn.told(command, body) == errno, (call, command)
            assert conn.is_usable()
        assert last_row(node) == before
        assert not node.unfinished()
        assert conn.download(name) == SMALL
        assert conn.get_meta(name) == META


# --- changes that are recorded, and the disk refuses them ------------------

CHANGES = {
    "append": ("pwrite", wire.APPEND,
               lambda name: wire.append_body(name, SMALL), BIG + SMALL),
    "large append": ("copy", wire.APPEND,
                     lambda name: wire.append_body(name, BIG), BIG + BIG),
    "modify": ("pwrite", wire.MODIFY,
               lambda name: wire.modify_body(name, 0, SMALL),
               SMALL + BIG[len(SMALL):]),
    "large modify": ("copy", wire.MODIFY,
                     lambda name: wire.modify_body(name, 10, BIG),
                     BIG[:10] + BIG),
    "truncate": ("ftruncate", wire.TRUNCATE,
                 lambda name: wire.truncate_body(name, 1000), BIG[:1000]),
}


@pytest.mark.limit(60)
def test_a_restart_applies_what_was_recorded(private):
    node, faults = private.storage, private.faults
    want = {}
    with node.connect() as conn:
        for errno, what in itertools.product((EIO, ENOSPC), CHANGES):
            call, command, body, after = CHANGES[what]
            name = conn.upload_appender(BIG)
            # a modify may show its beginning, an append must not
            short = 0 if "modify" in what else 1
            with faults.on(call, errno, short=short):
                assert conn.told(command, body(name)) == errno, what
                assert faults.hits()
            assert conn.is_usable()
            assert conn.download(name) == BIG, what
            want[name] = after
        told = conn.upload(SMALL)
        with faults.on("pwrite", ENOSPC, name="-m"):
            conn.fails(wire.SET_META, wire.meta_body(told, META), ENOSPC)
        conn.fails(wire.GET_META, wire.file_ref(told), wire.ENOENT)
        gone, meta_gone = conn.upload(SMALL), conn.upload(SMALL)
        conn.set_meta(meta_gone, META)
        for name, part in ((gone, ""), (meta_gone, "-m")):
            with faults.on("unlink", EIO, name=part):
                conn.fails(wire.DELETE, wire.file_ref(name), EIO)
    wait_until(lambda: node.catalogue_rows(
        "select 1 from event where code = 'FD-APPLY-01'"), 10,
        "an event says what was not applied")
    restarted(private)
    with node.connect() as conn:
        for name, content in want.items():
            assert conn.download(name) == content
        assert conn.get_meta(told) == META
        assert not conn.exists(gone) and not conn.exists(meta_gone)
    assert not [n for n in node.visible() if n.startswith(meta_gone)]
    assert not node.unfinished()


def test_after_a_failed_change_the_next_one_comes_after_it(private):
    node, faults = private.storage, private.faults
    with node.connect() as conn:
        name = conn.upload_appender(SMALL)
        with faults.on("pwrite", EIO, short=1):
            conn.fails(wire.APPEND, wire.append_body(name, b"late"), EIO)
        conn.append(name, b" and more")
        conn.append(name, b" of it")
    restarted(private)
    with node.connect() as conn:
        assert conn.download(name) == SMALL + b"late and more of it"


@pytest.mark.parametrize("with_meta", [False, True])
def test_a_name_that_cannot_be_changed_stays(private, with_meta):
    node, faults = private.storage, private.faults
    with node.connect() as conn:
        name = conn.upload_appender(SMALL)
        if with_meta:
            conn.set_meta(name, META)
        for nth in (1, 2) if with_meta else (1,):
            with faults.on("rename", EIO, nth=nth, every=0):
                conn.fails(wire.REGENERATE, name.encode(), EIO)
                assert faults.hits()
            assert conn.download(name) == SMALL
            conn.append(name, b"")
    restarted(private)
    with node.connect() as conn:
        assert conn.download(name) == SMALL
        if with_meta:
            assert conn.get_meta(name) == META
        body = conn.done(wire.REGENERATE, name.encode())
        assert conn.download(body[16:].decode()) == SMALL
    restarted(private, kill=True)


# --- the log's disk --------------------------------------------------------

@pytest.mark.parametrize("errno", [EIO, ENOSPC])
def test_nothing_is_acknowledged_without_the_log(private, errno):
    node, faults = private.storage, private.faults
    meta = node.base / "meta"
    with node.connect() as conn:
        appender = conn.upload_appender(SMALL)
        normal = conn.upload(SMALL)
        conn.set_meta(normal, META)
        before = node.visible()
        requests = (
            (wire.UPLOAD, wire.upload_body(SMALL)),
            (wire.UPLOAD, wire.upload_body(BIG)),
            (wire.APPEND, wire.append_body(appender, SMALL)),
            (wire.APPEND, wire.append_body(appender, BIG)),
            (wire.MODIFY, wire.modify_body(appender, 0, SMALL)),
            (wire.TRUNCATE, wire.truncate_body(appender, 1)),
            (wire.REGENERATE, appender.encode()),
            (wire.SET_META, wire.meta_body(normal, b"x\2y")),
            (wire.DELETE, wire.file_ref(normal)))
        with faults.on("pwrite,write", errno, where=meta,
                       name="storage.db-wal"):
            for command, body in requests:
                status = conn.told(command, body)
                assert status == errno, (command, status)
                assert conn.is_usable()
            assert faults.hits()
        node.wait_log("commit_failed")
        assert node.visible() == before and not node.unfinished()
        assert conn.download(appender) == SMALL
        assert conn.get_meta(normal) == META
        conn.append(appender, SMALL)
        again = conn.upload(BIG)
        conn.delete(normal)
    restarted(private)
    with node.connect() as conn:
        assert conn.download(appender) == SMALL * 2
        assert conn.download(again) == BIG
        assert not conn.exists(normal)


def test_the_catalogue_goes_on_when_its_disk_is_well(private):
    node, faults = private.storage, private.faults
    with node.connect() as conn:
        with faults.on("pwrite,write", EIO, where=node.base / "meta",
                       name="catalogue.db-wal"):
            name = conn.upload_appender(SMALL)
            conn.append(name, SMALL)
            wait_until(faults.hits)
        verified(private)
        assert conn.download(name) == SMALL * 2
    restarted(private)


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_a_commit_that_cannot_be_synced_has_not_happened(private, kill):
    node, faults = private.storage, private.faults
    node.stop()
    node.sections = "[meta]\ndurability = full\n"
    node.start()
    with node.connect() as conn:
        kept = conn.upload(SMALL)
        with faults.on("fsync", EIO, where=node.base / "meta",
                       name="storage.db-wal", every=0):
            conn.fails(wire.UPLOAD, wire.upload_body(SMALL), EIO)
            assert faults.hits()
        assert node.visible() == {kept}
    restarted(private, kill)
    with node.connect() as conn:
        assert node.visible() == {kept}
        assert conn.download(kept) == SMALL


# --- reading ---------------------------------------------------------------

def test_a_download_that_cannot_be_read(cluster, faults):
    node = cluster.storage
    with node.connect() as conn:
        small, large = conn.upload(SMALL), conn.upload(BIG * 4)
        for call in ("openat", "read"):
            with faults.on(call, EIO):
                conn.fails(wire.DOWNLOAD, wire.download_body(small), EIO)
            assert conn.is_usable()
        with faults.on("sendfile", EIO), node.connect() as other:
            other.send(wire.message(wire.DOWNLOAD, wire.download_body(large)))
            with pytest.raises(wire.Closed):
                other.reply()
            node.wait_log("download_failed")
        assert conn.download(large) == BIG * 4
        assert conn.download(small) == SMALL


# --- every call once -------------------------------------------------------

class Story:
    """upload, append, metadata, delete; knows what was acknowledged."""

    def __init__(self):
        self.may = {}   # name: contents it may have, None for gone
        self.meta = {}  # name: texts it may have

    def change(self, conn, command, body, states, key, after):
        status = conn.told(command, body)
        states[key] = [after] if status == 0 else states[key] + [after]

    def create(self, conn, command, content):
        answer = conn.call(command, wire.upload_body(content))
        if answer.status:
            return None
        name = answer.body[16:].decode()
        self.may[name], self.meta[name] = [content], [None]
        return name

    def run(self, conn):
        self.create(conn, wire.UPLOAD, BIG)
        name = self.create(conn, wire.UPLOAD_APPENDER, SMALL)
        small = self.create(conn, wire.UPLOAD, SMALL)
        if name:
            for more in (SMALL, BIG):
                now = self.may[name][0]
                if len(self.may[name]) > 1:
                    break
                self.change(conn, wire.APPEND, wire.append_body(name, more),
                            self.may, name, now + more)
            self.change(conn, wire.SET_META, wire.meta_body(name, META),
                        self.meta, name, META)
        if small:
            self.change(conn, wire.SET_META, wire.meta_body(small, META),
                        self.meta, small, META)
            self.change(conn, wire.DELETE, wire.file_ref(small),
                        self.may, small, None)

    def told(self, conn):
        for name, contents in self.may.items():
            answer = conn.call(wire.DOWNLOAD, wire.download_body(name))
            now = None if answer.status == wire.ENOENT else answer.body
            assert now in contents, f"{name}: {answer.status}"
            if now is not None:
                answer = conn.call(wire.GET_META, wire.file_ref(name))
                now = None if answer.status else answer.body
                assert now in self.meta[name], name


def every_call(made, durability, chapter):
    """chapter(nth) for 1, 2, ... until twice nothing has failed."""
    made.storage.stop()
    made.storage.sections = f"[meta]\ndurability = {durability}\n"
    made.storage.start()
    passed = 0
    told = []
    for nth in itertools.count(1):
        story = Story()
        try:
            chapter(nth, story)
            with made.storage.connect() as conn:
                for old in [*told[-2:], story]:
                    old.told(conn)
        except Exception as err:
            raise AssertionError(
                f"call {nth}: {made.faults.hits()[:9]}: {err!r}") from err
        told.append(story)
        passed = 0 if made.faults.hits() else passed + 1
        if passed == 2:
            print(f"\n{durability}: {nth} calls")
            return


@pytest.mark.slow
@pytest.mark.limit(600)
@pytest.mark.parametrize("durability", ["process", "full"])
@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_the_nth_call_fails(private, durability, kill):
    node, faults = private.storage, private.faults

    def chapter(nth, story):
        with node.connect() as conn:
            with faults.on("all", (EIO, ENOSPC)[nth % 2], nth, every=0,
                           where=node.base):
                story.run(conn)
            assert conn.is_usable()
            story.told(conn)
        restarted(private, kill)
    every_call(private, durability, chapter)


@pytest.mark.slow
@pytest.mark.limit(600)
@pytest.mark.parametrize("durability", ["process", "full"])
def test_the_disk_dies_at_the_nth_call(private, durability):
    node, faults = private.storage, private.faults

    def chapter(nth, story):
        with node.connect() as conn:
            faults.on("all", (EIO, ENOSPC)[nth % 2], nth, where=node.base,
                      short=nth % 2)
            story.run(conn)
            assert conn.is_usable()
        node.kill()
        started_again(private)
    every_call(private, durability, chapter)
