# SPDX-License-Identifier: MIT
"""A storage that the test plays itself, as a peer that misbehaves.

It joins its group at the tracker like any other, keeps what it is sent, and
asks the test's `rule` about each request first: None carries it out, a number
refuses with that status (22 ends the connection, as the protocol has it),
CLOSE ends the connection without an answer. Everything that came is in
`seen`, in order.
"""

import socket
import struct
import threading
import time
from typing import NamedTuple

import wire
from wire import i64, pad, text

HELLO, CREATE, REMOVE, UPDATE, APPEND, MODIFY, TRUNCATE, RENAME = \
    9, 16, 17, 18, 25, 35, 37, 40
JOIN, BEAT, DISK, DEST_REQ, NOTIFY = 81, 83, 84, 87, 88
CLOSE = "close"


class Request(NamedTuple):
    conn: int
    cmd: int
    name: str
    status: object  # what it was answered
    alone: bool     # nothing more had arrived
    at: float


def name_of(cmd, body):
    """The name a sync request is about."""
    if cmd == REMOVE:
        return body[20:].decode()
    if cmd in (wire.ACTIVE_TEST, HELLO):
        return ""
    n = struct.unpack(">q", body[:8])[0]
    at = 44 if cmd in (APPEND, MODIFY, TRUNCATE) else 36
    return body[at:at + n].decode()


class FakeStorage:
    """`with FakeStorage(made) as peer:` is a member until the end."""

    def __init__(self, made, number=190, rule=None):
        self.tracker = made.tracker
        self.base = made.dir / "fake"
        self.ip = f"{made.net}.{number}"
        self.address = (self.ip, made.port)
        self.rule = rule or (lambda cmd, name: None)
        self.seen = []
        self.files = {}
        self.conns = 0
        self.wrong = None
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.listener = None

    def __enter__(self):
        self.listener = socket.create_server(self.address)
        self.listener.settimeout(0.1)
        for work in (self._accept, self._report):
            threading.Thread(target=self._guard, args=(work,),
                             daemon=True).start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.listener.close()
        if kind is None and self.wrong is not None:
            raise self.wrong

    def _guard(self, work, *args):
        try:
            work(*args)
        except Exception as err:  # noqa: BLE001
            if not self.ended.is_set():
                self.wrong = err

    # --- towards the tracker ---

    def _report(self):
        with wire.Wire(self.tracker.address, source=self.ip) as conn:
            self._join(conn)
            while not self.ended.wait(0.3):
                conn.done(BEAT)
            conn.send(wire.message(wire.QUIT))

    def _join(self, conn):
        host, port = self.tracker.address
        conn.done(JOIN, (
            pad("group1", 17) + i64(self.address[1]) + i64(1) + i64(4) +
            i64(10) + i64(int(time.time())) * 2 + pad("6.16.1", 8) +
            bytes([1, 0]) + pad("", 16) + pad(host, 46) + i64(1) +
            b"%s:%d\n" % (host.encode(), port)))
        conn.done(NOTIFY, conn.done(DEST_REQ))
        conn.done(BEAT, bytes(348))
        conn.done(DISK, i64(1000) + i64(900))

    def status(self):
        with self.tracker.connect() as conn:
            return next((rec.status for rec in conn.storages()
                         if rec.ip == self.ip), None)

    # --- towards its peers ---

    def _accept(self):
        while not self.ended.is_set():
            try:
                conn, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.conns += 1
            threading.Thread(target=self._guard,
                             args=(self._serve, conn, self.conns),
                             daemon=True).start()

    def _serve(self, conn, number):
        held = b""
        with conn:
            conn.settimeout(0.2)
            while not self.ended.is_set():
                try:
                    part = conn.recv(1 << 20)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not part:
                    return
                held += part
                while len(held) >= 10:
                    n, cmd, flags = struct.unpack(">qBB", held[:10])
                    if len(held) < 10 + n:
                        break
                    body, held = held[10:10 + n], held[10 + n:]
                    if not self._one(conn, number, cmd, flags, body, held):
                        return

    def _one(self, conn, number, cmd, flags, body, held):
        if cmd == wire.QUIT:
            return False
        name = name_of(cmd, body) if cmd != wire.QUERY_INFO else \
            body[16:].decode()
        status = self.rule(cmd, name)
        answer = b""
        if status is None:
            with self.lock:
                status, answer = self._carry_out(cmd, flags, name, body)
        if cmd != wire.ACTIVE_TEST:
            self.seen.append(Request(number, cmd, name, status, not held,
                                     time.monotonic()))
        if status == CLOSE:
            return False
        try:
            conn.sendall(wire.message(wire.RESP, answer, status))
        except OSError:
            return False
        return status != wire.EINVAL

    def _carry_out(self, cmd, flags, name, body):
        files = self.files
        if cmd in (CREATE, UPDATE):
            if cmd == CREATE and name in files:
                return wire.EEXIST, b""
            files[name] = body[36 + len(name):]
        elif cmd == REMOVE:
            return (0 if files.pop(name, None) is not None
                    else wire.ENOENT), b""
        elif cmd == wire.QUERY_INFO:
            data = files.get(name)
            if data is None:
                return wire.ENOENT, b""
            return 0, i64(len(data)) + i64(0) + i64(wire.crc32(data)) + \
                pad(self.ip, 16)
        elif cmd in (APPEND, MODIFY):
            at, n = struct.unpack(">qq", body[8:24])
            data = files.get(name)
            if data is None or len(data) != at:
                return wire.ENOENT, b""
            files[name] = data + body[-n:]
        elif cmd == RENAME:
            old = body[36 + len(name):].decode()
            if name in files:
                return wire.EEXIST, b""
            if old not in files:
                return wire.ENOENT, b""
            files[name] = files.pop(old)
        elif cmd not in (HELLO, wire.ACTIVE_TEST):
            return wire.EOPNOTSUPP, b""
        return 0, b""

    # --- for tests ---

    def mark(self):
        return len(self.seen)

    def since(self, mark, *commands):
        return [one for one in self.seen[mark:] if one.cmd in commands]
