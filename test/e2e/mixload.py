# SPDX-License-Identifier: MIT
"""Mixed operations on a group, and a model of what they promise.

Every acknowledged operation is remembered; one whose answer never came, or
that failed in the middle, may have happened or not and leaves two
possibilities. Changes of a file go to the storage that took its upload, as
clients do that ask a tracker; only there have operations an order.
"""

import random
import threading
import time

import wire
from wire import StorageWire

# What FastDFS's senders bring over even after a backlog (see Load.careful).
GROWING = ("upload", "upload", "appender", "slave", "append", "append",
           "meta", "meta_merge", "delete")
EVERYTHING = ("upload", "upload", "upload", "appender", "slave", "append",
              "append", "modify", "truncate", "meta", "meta_merge", "delete",
              "regenerate")
SIZES = (0, 1, 100, 4096, 20_000, 70_000, 300_000)


class File:
    """What must stand under one name on every member of the group."""

    def __init__(self, name, node, kind, content):
        self.name = name
        self.node = node
        self.kind = kind
        self.content = bytes(content)
        self.meta = {}
        self.contents = None  # more than one is possible
        self.metas = None
        self.maybe_gone = False
        self.maybe_torn = False  # an unacknowledged modify is not atomic

    @property
    def uncertain(self):
        return self.contents or self.metas or self.maybe_gone

    def allowed(self):
        return self.contents or [self.content]

    def side_files(self):
        """What its metadata file may hold; None: there is none."""
        return [pack(meta) for meta in self.metas or [self.meta]]


def pack(meta):
    return wire.pack_meta(sorted(meta.items())) if meta else None


class Model:
    """Everything the load was told."""

    def __init__(self):
        self.files = {}
        self.deleted = set()
        self.maybe_created = []  # contents
        self.lock = threading.Lock()
        self.done = {}
        self.lost = {}

    def add(self, file):
        with self.lock:
            self.files[file.name] = file

    def drop(self, file):
        with self.lock:
            self.files.pop(file.name, None)
            self.deleted.add(file.name)

    def count(self, table, what):
        with self.lock:
            table[what] = table.get(what, 0) + 1

    def operations(self):
        return sum(self.done.values())

    def __str__(self):
        return (f"{self.operations()} operations acknowledged, "
                f"{sum(self.lost.values())} without a clear answer, "
                f"{len(self.files)} files, {len(self.deleted)} deleted")


class Refused(Exception):
    def __init__(self, status):
        super().__init__(f"status {status}")
        self.status = status


class Worker(threading.Thread):
    """Works on its own files until told to stop."""

    def __init__(self, load, seed):
        super().__init__(daemon=True)
        self.load = load
        self.rng = random.Random(seed)
        self.files = []
        self.conns = {}
        self.wrong = None
        self.unclear = None  # what to note when no answer comes

    def run(self):
        try:
            while not self.load.ended():
                self.step()
                if self.load.pause:
                    time.sleep(self.load.pause)
        except Exception as err:  # noqa: BLE001
            self.wrong = err
        for conn in self.conns.values():
            conn.close()

    def step(self):
        what = self.rng.choice(self.load.operations)
        if len(self.files) >= self.load.keep:
            what = "delete"
        file = None
        if what not in ("upload", "appender"):
            file = self.pick(what)
            if file is None:
                return
        node = file.node if file else self.rng.choice(self.load.nodes)
        self.unclear = None
        try:
            getattr(self, what)(self.conn(node), node, file)
            self.load.model.count(self.load.model.done, what)
        except (OSError, wire.Closed, Refused):
            self.hang_up(node)
            if self.unclear:
                self.load.model.count(self.load.model.lost, what)
                self.unclear()
            self.files = [f for f in self.files if not f.uncertain]
            time.sleep(0.02)

    def pick(self, what):
        fit = self.files
        if what in ("append", "modify", "truncate"):
            fit = [f for f in fit if f.kind == "appender"]
        elif what == "regenerate":
            fit = [f for f in fit if f.kind == "appender" and not f.meta]
        elif what == "slave":
            fit = [f for f in fit if f.kind == "normal"]
        elif what == "delete":
            # A file must live for a moment for its changes to be seen.
            fit = fit[:max(1, len(fit) // 2)]
        file = self.rng.choice(fit) if fit else None
        if file and self.load.careful and file.kind == "appender" and \
                what != "delete" and not self.load.arrived(file):
            return None
        return file

    def conn(self, node):
        if node not in self.conns:
            self.conns[node] = StorageWire(node.address, self.load.timeout)
        return self.conns[node]

    def hang_up(self, node):
        conn = self.conns.pop(node, None)
        if conn:
            conn.close()

    @staticmethod
    def ask(conn, cmd, body):
        answer = conn.call(cmd, body)
        if answer.status in (wire.ENOENT, wire.EEXIST, wire.EINVAL):
            # Of what the model knows, these are lies.
            raise AssertionError(f"command {cmd} of {body[-80:]!r} answered "
                                 f"{answer.status} by {conn.address[0]}")
        if answer.status:
            raise Refused(answer.status)
        return answer.body

    def data(self):
        size = self.rng.choice(self.load.sizes)
        return self.rng.randbytes(self.rng.randint(size // 2, size))

    # --- new files ---

    def create(self, conn, node, cmd, body, kind, content):
        def unclear():
            with self.load.model.lock:
                self.load.model.maybe_created.append(content)
        self.unclear = unclear
        name = self.ask(conn, cmd, body)[16:].decode()
        file = File(name, node, kind, content)
        self.files.append(file)
        self.load.model.add(file)

    def upload(self, conn, node, _):
        content = self.data()
        self.create(conn, node, wire.UPLOAD,
                    wire.upload_body(content, "bin"), "normal", content)

    def appender(self, conn, node, _):
        content = self.data()
        self.create(conn, node, wire.UPLOAD_APPENDER,
                    wire.upload_body(content, "log"), "appender", content)

    def slave(self, conn, node, master):
        content = self.data()
        prefix = f"_s{self.rng.getrandbits(40):010x}"
        self.create(conn, node, wire.UPLOAD_SLAVE,
                    wire.slave_body(master.name, prefix, content), "slave",
                    content)

    # --- changes of files ---

    def change(self, conn, cmd, body, file, after, torn=False):
        def unclear():
            file.contents = [file.content, after]
            file.maybe_torn = torn
        self.unclear = unclear
        self.ask(conn, cmd, body)
        file.content = after

    def append(self, conn, _, file):
        more = self.data()
        self.change(conn, wire.APPEND, wire.append_body(file.name, more),
                    file, file.content + more)

    def modify(self, conn, _, file):
        patch = self.data()
        at = self.rng.randint(0, len(file.content))
        after = file.content[:at] + patch + file.content[at + len(patch):]
        self.change(conn, wire.MODIFY,
                    wire.modify_body(file.name, at, patch), file, after,
                    torn=True)

    def truncate(self, conn, _, file):
        size = self.rng.randint(0, len(file.content) + 100)
        after = file.content[:size].ljust(size, b"\0")
        self.change(conn, wire.TRUNCATE,
                    wire.truncate_body(file.name, size), file, after)

    def set_meta(self, conn, file, flag, pairs, after):
        def unclear():
            file.metas = [file.meta, after]
        self.unclear = unclear
        self.ask(conn, wire.SET_META, wire.meta_body(
            file.name, wire.pack_meta(sorted(pairs.items())), flag,
            self.load.group))
        file.meta = after

    def meta(self, conn, _, file):
        pairs = {"k": str(self.rng.getrandbits(30)),
                 "n": "v" * self.rng.randint(1, 200)}
        self.set_meta(conn, file, b"O", pairs, pairs)

    def meta_merge(self, conn, _, file):
        pairs = {self.rng.choice("abkn"): str(self.rng.getrandbits(30))}
        self.set_meta(conn, file, b"M", pairs, {**file.meta, **pairs})

    def delete(self, conn, _, file):
        def unclear():
            file.maybe_gone = True
        self.unclear = unclear
        self.ask(conn, wire.DELETE, wire.file_ref(
            file.name, self.load.group))
        self.files.remove(file)
        self.load.model.drop(file)

    def regenerate(self, conn, node, file):
        model = self.load.model

        def unclear():
            file.maybe_gone = True
            with model.lock:
                model.maybe_created.append(file.content)
        self.unclear = unclear
        name = self.ask(conn, wire.REGENERATE,
                        file.name.encode())[16:].decode()
        self.files.remove(file)
        model.drop(file)
        model.add(File(name, node, "regenerated", file.content))


class Load:
    """`with Load(nodes) as load:` works until the end of the block."""

    def __init__(self, nodes, workers=4, seed=0, operations=EVERYTHING,
                 sizes=SIZES, keep=60, pause=0.0, model=None, limit=None,
                 timeout=10.0, careful=False):
        self.nodes = list(nodes)
        self.group = self.nodes[0].group
        self.operations = operations
        self.sizes = sizes
        self.keep = keep
        self.pause = pause
        self.limit = limit  # operations in all
        self.timeout = timeout
        # FastDFS's senders look at the file as it is now, send several
        # records at a time and skip what no longer fits: an appender that
        # is cut or renamed before they sent its last change may differ on
        # the peers for ever. Careful: change only what has arrived.
        self.careful = careful
        self.model = model or Model()
        self.before = self.model.operations()
        self.stopped = threading.Event()
        rng = random.Random(seed)
        self.workers = [Worker(self, rng.random()) for _ in range(workers)]

    def ended(self):
        return self.stopped.is_set() or (
            self.limit and
            self.model.operations() - self.before >= self.limit)

    def arrived(self, file):
        """True when FastDFS's sender has nothing left to do about a file."""
        if not file.node.is_stock:
            return True
        try:
            return all(node.path_of(file.name).read_bytes() == file.content
                       for node in self.nodes)
        except FileNotFoundError:
            return False

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, kind, *_):
        if not self.limit or kind:
            self.stopped.set()
        for worker in self.workers:
            worker.join(60)
            assert not worker.is_alive(), "a worker of the load hangs"
        for worker in self.workers:
            if worker.wrong is not None and kind is None:
                raise worker.wrong


def run(nodes, count, **options):
    """About that many operations; gives the model."""
    with Load(nodes, limit=count, **options) as load:
        pass
    return load.model
