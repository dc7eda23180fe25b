# SPDX-License-Identifier: MIT
"""Large files and many slow clients in bounded memory."""

import os
import resource
import shutil
import threading
import time
import zlib

import pytest

import wire
from harness import wait_until
from wire import header, i64, pad

pytestmark = [pytest.mark.slow, pytest.mark.ours]

MIB = 1 << 20
GIB = 1 << 30
BIG = os.environ.get("FDFS_BIG") == "1"
UPLOAD_SIZE = int(os.environ.get("FDFS_UPLOAD_SIZE",
                                 10 * GIB if BIG else GIB))
SLOW_CLIENTS = int(os.environ.get("FDFS_SLOW_CLIENTS", "1000"))
MEMORY_KIB = 256 * 1024


def room_for(path, size):
    if shutil.disk_usage(path).free < size + 2 * GIB:
        pytest.skip(f"needs {size >> 20} MiB of disk")


def block(index):
    """A MiB that is cheap to make and different for each place."""
    return i64(index) * (MIB // 8)


def send_stream(conn, size, cmd=wire.UPLOAD, ext="big"):
    """Uploads `size` made-up bytes; gives (name, crc32)."""
    conn.send(header(cmd, 15 + size) + b"\xff" + i64(size) + pad(ext, 6))
    crc = 0
    for index in range(0, size, MIB):
        part = block(index)[:size - index]
        crc = zlib.crc32(part, crc)
        conn.send(part)
    return conn.reply().body[16:].decode(), crc


def read_stream(conn, name, offset=0):
    """Downloads and compares with what send_stream made."""
    conn.send(wire.message(wire.DOWNLOAD, wire.download_body(name, offset)))
    length, status = conn.reply_head()
    assert status == 0
    at = offset
    while at < offset + length:
        base = at - at % MIB
        want = min(MIB - at % MIB, offset + length - at)
        assert conn.read(want) == block(base)[at - base:][:want], at
        at += want
    return length


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        pytest.skip(f"needs {wanted} descriptors, the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@pytest.mark.limit(1800)
def test_a_large_upload_and_a_thousand_slow_clients(fresh, tmp_path):
    raise_descriptor_limit(SLOW_CLIENTS + 200)
    made = fresh(start=False, storage={
        "max_connections": SLOW_CLIENTS + 100, "network_timeout": 600})
    room_for(made.dir, UPLOAD_SIZE)
    made.tracker.start()
    node = made.storage
    node.start()
    slow = []
    request = header(wire.UPLOAD, 15 + 10 * MIB) + b"\xff" + \
        i64(10 * MIB) + pad("slow", 6)
    for number in range(SLOW_CLIENTS):
        conn = node.connect(30)
        conn.send(request + bytes(number % 70_000))
        slow.append(conn)
    stop = threading.Event()

    def drip():
        while not stop.wait(0.05):
            for conn in slow[::10]:
                conn.send(b"x")
    feeder = threading.Thread(target=drip, daemon=True)
    feeder.start()
    try:
        with node.connect(120) as conn:
            start = time.monotonic()
            name, crc = send_stream(conn, UPLOAD_SIZE)
            took = time.monotonic() - start
            assert wire.decode_name(name).crc == crc
            assert wire.decode_name(name).size == UPLOAD_SIZE or \
                UPLOAD_SIZE >= 1 << 32
            assert read_stream(conn, name) == UPLOAD_SIZE
            assert conn.info(name)[0] == UPLOAD_SIZE
            peak = node.status_kib("VmHWM")
            print(f"\n{UPLOAD_SIZE >> 20} MiB in {took:.1f} s beside "
                  f"{SLOW_CLIENTS} slow clients, peak {peak >> 10} MiB")
            assert peak < MEMORY_KIB
            conn.delete(name)
    finally:
        stop.set()
        feeder.join(10)
        for conn in slow:
            conn.close()
    wait_until(lambda: not node.unfinished(), 30, "nothing is left")
    assert node.visible() == set()


@pytest.mark.limit(600)
def test_a_thousand_idle_clients_and_one_that_works(fresh):
    raise_descriptor_limit(SLOW_CLIENTS + 200)
    made = fresh(storage={"max_connections": SLOW_CLIENTS + 100})
    node = made.storage
    held = []
    for _ in range(SLOW_CLIENTS):
        conn = node.connect(30)
        assert conn.is_usable()
        held.append(conn)
    with node.connect() as conn:
        for _ in range(200):
            assert conn.download(conn.upload(b"x")) == b"x"
    assert node.status_kib("VmHWM") < MEMORY_KIB
    assert all(conn.is_usable() for conn in held)
    for conn in held:
        conn.close()


@pytest.mark.limit(600)
def test_a_thousand_slow_downloads(fresh):
    """Readers that take a byte now and then hold no memory."""
    raise_descriptor_limit(SLOW_CLIENTS + 200)
    made = fresh(storage={"max_connections": SLOW_CLIENTS + 100,
                          "network_timeout": 300})
    node = made.storage
    held = []
    with node.connect(60) as conn:
        name, _ = send_stream(conn, 64 * MIB)
        for _ in range(SLOW_CLIENTS):
            reader = node.connect(30)
            reader.send(wire.message(wire.DOWNLOAD,
                                     wire.download_body(name)))
            held.append(reader)
        for reader in held:
            assert reader.reply_head() == (64 * MIB, 0)
        assert read_stream(conn, name) == 64 * MIB
    assert node.status_kib("VmHWM") < MEMORY_KIB
    for reader in held:
        reader.close()
    with node.connect() as conn:
        conn.delete(name)


@pytest.mark.skipif(not BIG, reason="only with FDFS_BIG=1")
@pytest.mark.limit(1800)
def test_a_file_over_4_gib(fresh):
    size = 4 * GIB + 5
    made = fresh(start=False, storage={"network_timeout": 120})
    room_for(made.dir, 2 * size)
    made.tracker.start()
    made.storage.start()
    with made.storage.connect(120) as conn:
        name, crc = send_stream(conn, size)
        said = wire.decode_name(name)
        assert said.size_field == size and said.size_field >> 63 == 0
        assert said.crc == crc and not said.appender
        assert conn.info(name)[0] == size
        assert read_stream(conn, name, 4 * GIB - 10) == 15
        assert conn.download(name, size - 1) == block(4 * GIB)[4:5]
        conn.delete(name)
        appender, _ = send_stream(conn, size, wire.UPLOAD_APPENDER)
        conn.append(appender, b"end")
        conn.sock.settimeout(300)
        new = conn.done(wire.REGENERATE, appender.encode())[16:].decode()
        assert wire.decode_name(new).size == size + 3
        assert conn.download(new, size) == b"end"
