# SPDX-License-Identifier: MIT
"""The FastDFS wire as the tests speak it.

Written from the protocol description alone, on purpose without a line of the
product: a mistake in the product's tables must not be repeated here.
"""

import base64
import socket
import struct
import time
import zlib
from typing import NamedTuple

RESP = 100
ACTIVE_TEST = 111
QUIT = 82

# storage
UPLOAD = 11
DELETE = 12
SET_META = 13
DOWNLOAD = 14
GET_META = 15
CREATE_LINK = 20
UPLOAD_SLAVE = 21
QUERY_INFO = 22
UPLOAD_APPENDER = 23
APPEND = 24
MODIFY = 34
TRUNCATE = 36
REGENERATE = 38

# tracker
GET_MY_IP = 60
TRACKER_STATUS = 64
FETCH_STORAGE_IDS = 69
GET_SERVER_ID = 70
GET_STORAGE_STATUS = 71
PARAMETER_REQ = 75
LIST_ONE_GROUP = 90
LIST_GROUPS = 91
LIST_STORAGES = 92
DELETE_STORAGE = 93
SET_TRUNK_SERVER = 94
GET_LEADER = 95
TRACKER_STAT = 96
STORAGE_STAT = 97
VOLUME_STAT = 98
STORE_ONE = 101
FETCH_ONE = 102
UPDATE = 103
STORE_GROUP_ONE = 104
FETCH_ALL = 105
STORE_ALL = 106
STORE_GROUP_ALL = 107
DELETE_GROUP = 108
GET_GROUP_NAME = 109

ENOENT, EIO, EACCES, EBUSY, EEXIST, EISDIR, EINVAL = 2, 5, 13, 16, 17, 21, 22
ENOSPC, EOPNOTSUPP = 28, 95

ACTIVE = 7  # a storage that serves

# Names that no storage ever gave, and a content.
NEVER = "M00/00/00/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA389.txt"
NEVER_APPENDER = "M00/00/00/fwoKZWsCjniEerbLAAAAAGgTEBY389.txt"
LETTERS = b"0123456789ABCDEFGHIJ"

GROUP_RECORD = 113
STORAGE_RECORD = 487
COUNTERS = (
    "total_upload success_upload total_append success_append total_modify "
    "success_modify total_truncate success_truncate total_set_meta "
    "success_set_meta total_delete success_delete total_download "
    "success_download total_get_meta success_get_meta total_create_link "
    "success_create_link total_delete_link success_delete_link "
    "total_upload_bytes success_upload_bytes total_append_bytes "
    "success_append_bytes total_modify_bytes success_modify_bytes "
    "total_download_bytes success_download_bytes total_sync_in_bytes "
    "success_sync_in_bytes total_sync_out_bytes success_sync_out_bytes "
    "total_file_open success_file_open total_file_read success_file_read "
    "total_file_write success_file_write last_source_update "
    "last_sync_update last_synced last_heart_beat"
).split()


class Closed(Exception):
    """The peer closed the connection before the expected bytes came."""

    def __init__(self, partial=b""):
        super().__init__(f"closed after {len(partial)} bytes")
        self.partial = partial


class Reply(NamedTuple):
    status: int
    body: bytes


def i64(value):
    return struct.pack(">q", value)


def pad(text, width):
    raw = text.encode() if isinstance(text, str) else text
    assert len(raw) <= width, f"{raw!r} does not fit {width} bytes"
    return raw.ljust(width, b"\0")


def text(raw):
    """A NUL padded field as text."""
    return raw.split(b"\0", 1)[0].decode("latin-1")


def raw_name(name):
    return name.encode("latin-1") if isinstance(name, str) else name


def header(cmd, length, status=0):
    return struct.pack(">qBB", length, cmd, status)


def message(cmd, body=b"", status=0):
    return header(cmd, len(body), status) + body


def group(name="group1"):
    return pad(name, 16)


def file_ref(name, group_name="group1"):
    return group(group_name) + raw_name(name)


def upload_body(data, ext="txt", path=0xFF, size=None):
    size = len(data) if size is None else size
    return bytes([path]) + i64(size) + pad(ext, 6) + data


def slave_body(master, prefix, data, ext="jpg"):
    master = raw_name(master)
    return (i64(len(master)) + i64(len(data)) + pad(prefix, 16) +
            pad(ext, 6) + master + data)


def append_body(name, data, size=None):
    name = raw_name(name)
    size = len(data) if size is None else size
    return i64(len(name)) + i64(size) + name + data


def modify_body(name, offset, data, size=None):
    name = raw_name(name)
    size = len(data) if size is None else size
    return i64(len(name)) + i64(offset) + i64(size) + name + data


def truncate_body(name, size):
    name = raw_name(name)
    return i64(len(name)) + i64(size) + name


def download_body(name, offset=0, count=0, group_name="group1"):
    return i64(offset) + i64(count) + group(group_name) + raw_name(name)


def meta_body(name, meta, flag=b"O", group_name="group1"):
    name = raw_name(name)
    return (i64(len(name)) + i64(len(meta)) + flag + group(group_name) +
            name + meta)


def pack_meta(pairs):
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return b"\x01".join(k.encode() + b"\x02" + v.encode() for k, v in items)


def unpack_meta(raw):
    if not raw:
        return {}
    return dict(tuple(part.decode() for part in rec.split(b"\x02", 1))
                for rec in raw.split(b"\x01"))


class FileName(NamedTuple):
    """What a remote file name says (worked out from its 27 characters)."""
    path: int
    directory: str
    source: bytes
    time: int
    size_field: int
    crc: int
    tail: str

    @property
    def appender(self):
        return bool(self.size_field >> 58 & 1) and self.size_field >> 63 == 1

    @property
    def size(self):
        if self.size_field >> 63:
            return self.size_field & 0xFFFFFFFF
        return self.size_field


def decode_name(name):
    assert name[0] == "M" and name[3] == "/" and name[6] == "/", name
    record = name[10:37].translate(str.maketrans("-_", "+/")) + "="
    source, when, size, crc = struct.unpack(
        ">4sIQI", base64.b64decode(record))
    return FileName(int(name[1:3], 16), name[4:9], source, when, size, crc,
                    name[37:])


def crc32(data):
    return zlib.crc32(data) & 0xFFFFFFFF


class StorageRecord(NamedTuple):
    status: int
    rw: int
    id: str
    ip: str
    version: str
    total_mb: int
    free_mb: int
    port: int
    path_count: int
    connections: int
    counters: dict


def parse_storage(rec):
    numbers = struct.unpack(">10q", rec[58:138])
    alloc_current_max = struct.unpack(">3i", rec[138:150])
    counters = dict(zip(COUNTERS, struct.unpack(">42q", rec[150:486])))
    return StorageRecord(rec[0], rec[1], text(rec[2:18]), text(rec[18:34]),
                         text(rec[50:58]), numbers[2], numbers[3],
                         numbers[9], numbers[6], alloc_current_max[1],
                         counters)


class Wire:
    """One connection. Every read has a deadline; nothing blocks for ever."""

    def __init__(self, address, timeout=10.0, source=None):
        self.address = address
        self.sock = socket.create_connection(address, timeout,
                                             source and (source, 0))
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.sock.getsockname()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def fin(self):
        """Says that no more will be sent; replies can still come."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes so that the peer sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_split(self, *pieces):
        """Sends pieces so that the server reads each one by itself."""
        for piece in pieces:
            self.send(piece)
            self.wait_read()

    def wait_read(self, deadline=10.0):
        """Waits until the peer's program has read all that was sent."""
        end = time.monotonic() + deadline
        while not self._peer_queue_empty():
            if time.monotonic() > end:
                raise AssertionError("the server does not read")
            time.sleep(0.0005)

    def _peer_queue_empty(self):
        here = _proc_address(self.local)
        there = _proc_address(self.address)
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                col = line.split()
                if col[0] == "sl":
                    continue
                unsent, unread = col[4].split(":")
                if (col[1], col[2]) == (there, here) and int(unread, 16):
                    return False
                if (col[1], col[2]) == (here, there) and int(unsent, 16):
                    return False
        return True

    def read(self, count):
        got = b""
        while len(got) < count:
            try:
                part = self.sock.recv(min(count - len(got), 1 << 20))
            except ConnectionResetError:
                raise Closed(got) from None
            if not part:
                raise Closed(got)
            got += part
        return got

    def reply_head(self):
        length, cmd, status = struct.unpack(">qBB", self.read(10))
        assert cmd == RESP, f"a reply must carry command 100, not {cmd}"
        if status:
            assert length == 0, f"error {status} with a body of {length}"
        return length, status

    def reply(self):
        length, status = self.reply_head()
        return Reply(status, self.read(length))

    def call(self, cmd, body=b"", status=0):
        self.send(message(cmd, body, status))
        return self.reply()

    def done(self, cmd, body=b"", status=0):
        """A request that must succeed; gives the body of the reply."""
        answer = self.call(cmd, body, status)
        assert answer.status == 0, f"command {cmd} answered {answer.status}"
        return answer.body

    def fails(self, cmd, body, errno):
        """A request that must be refused with this status."""
        answer = self.call(cmd, body)
        assert answer.status == errno, (
            f"command {cmd} answered {answer.status}, expected {errno}")

    def told(self, cmd, body):
        """Status of a refusal that may come while the body is still sent.

        The server may stop to take the body; its reply must be readable.
        """
        try:
            self.send(message(cmd, body))
        except OSError:
            pass
        return self.reply().status

    def is_closed(self, within=5.0):
        """True when the peer closes without sending anything more."""
        self.sock.settimeout(within)
        try:
            extra = self.sock.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False
        assert not extra, f"unexpected bytes {extra[:64]!r}"
        return True

    def is_usable(self):
        """True when an ACTIVE_TEST is answered on this connection."""
        try:
            return self.call(ACTIVE_TEST) == Reply(0, b"")
        except (Closed, OSError):
            return False


class StorageWire(Wire):
    """The storage commands, for tests that care about what comes after."""

    def upload(self, data=b"hello", ext="txt", path=0xFF, cmd=UPLOAD):
        body = self.done(cmd, upload_body(data, ext, path))
        assert len(body) > 16
        return body[16:].decode("ascii")

    def upload_appender(self, data=b"", ext="log", path=0xFF):
        return self.upload(data, ext, path, UPLOAD_APPENDER)

    def upload_slave(self, master, prefix, data, ext="jpg"):
        body = self.done(UPLOAD_SLAVE, slave_body(master, prefix, data, ext))
        return body[16:].decode("ascii")

    def append(self, name, data):
        assert self.done(APPEND, append_body(name, data)) == b""

    def modify(self, name, offset, data):
        assert self.done(MODIFY, modify_body(name, offset, data)) == b""

    def truncate(self, name, size):
        assert self.done(TRUNCATE, truncate_body(name, size)) == b""

    def delete(self, name):
        assert self.done(DELETE, file_ref(name)) == b""

    def download(self, name, offset=0, count=0):
        return self.done(DOWNLOAD, download_body(name, offset, count))

    def set_meta(self, name, meta, flag=b"O"):
        assert self.done(SET_META, meta_body(name, meta, flag)) == b""

    def get_meta(self, name):
        return self.done(GET_META, file_ref(name))

    def info(self, name, flags=0):
        """(size, mtime, crc as signed 64 bit, source address)"""
        body = self.done(QUERY_INFO, file_ref(name), flags)
        assert len(body) == 40
        return struct.unpack(">qqq", body[:24]) + (text(body[24:]),)

    def exists(self, name):
        return self.call(QUERY_INFO, file_ref(name), 3).status == 0


class TrackerWire(Wire):
    """The tracker commands that more than one test needs."""

    def store(self, group_name=None):
        """(group, ip, port, path index) for an upload."""
        if group_name is None:
            body = self.done(STORE_ONE)
        else:
            body = self.done(STORE_GROUP_ONE, group(group_name))
        assert len(body) == 40
        return (text(body[:16]), text(body[16:31]),
                struct.unpack(">q", body[31:39])[0], body[39])

    def locate(self, cmd, name, group_name="group1"):
        body = self.done(cmd, file_ref(name, group_name))
        assert len(body) == 39
        return text(body[16:31]), struct.unpack(">q", body[31:39])[0]

    def storages(self, group_name="group1"):
        answer = self.call(LIST_STORAGES, group(group_name))
        if answer.status == ENOENT:
            return []
        assert answer.status == 0
        assert len(answer.body) % STORAGE_RECORD == 0, len(answer.body)
        return [parse_storage(answer.body[at:at + STORAGE_RECORD])
                for at in range(0, len(answer.body), STORAGE_RECORD)]


def _proc_address(address):
    ip, port = address[:2]
    return "%08X:%04X" % (
        struct.unpack("<I", socket.inet_aton(ip))[0], port)
