# SPDX-License-Identifier: MIT
"""What other people's clients really send, as bytes (protocol section 7)."""

import os
import struct

import pytest

import wire
from harness import wait_until
from wire import (ENOENT, append_body, crc32, download_body, file_ref, group,
                  header, i64, message, meta_body, modify_body, pad,
                  slave_body, upload_body)

QUIT = message(wire.QUIT)


# --- py3Fdfs ---------------------------------------------------------------

def test_python_active_test_carries_status_2(tracker, storage):
    for conn in (tracker, storage, tracker, storage):
        assert conn.call(wire.ACTIVE_TEST, status=2) == (0, b"")


def test_python_sends_header_fixed_part_and_1024_byte_pieces(storage):
    data = os.urandom(5000)
    body = upload_body(data, "bin")
    storage.send(header(wire.UPLOAD, len(body)))
    storage.wait_read()
    storage.send(body[:15])
    storage.wait_read()
    for at in range(0, len(data), 1024):
        storage.send(data[at:at + 1024])
    name = storage.reply().body[16:].decode()
    assert storage.download(name) == data


@pytest.mark.parametrize("cmd,announced", [
    (wire.UPLOAD_SLAVE, 96), (wire.SET_META, 80), (wire.GET_META, 60),
    (wire.SET_META, 0x55), (wire.UPLOAD, 5000)])
def test_python_half_request_then_fin_is_just_closed(cluster, cmd, announced):
    before = cluster.storage.visible()
    with cluster.storage.connect() as conn:
        conn.send(header(cmd, announced))
        conn.fin()
        assert conn.is_closed()
    assert cluster.storage.visible() == before
    with cluster.storage.connect() as conn:
        assert conn.is_usable()


def test_python_reads_file_info_with_one_recv(storage):
    name = storage.upload(b"hello from python\n")
    for _ in range(50):
        storage.send(message(wire.QUERY_INFO, file_ref(name)))
        raw = storage.sock.recv(1024)
        assert len(raw) == 50
        size, when, crc, ip = struct.unpack(">QQQ16s", raw[10:])
        assert size == 18 and when == wire.decode_name(name).time
        assert crc & 0xFFFFFFFF == crc32(b"hello from python\n")
        assert len(ip) == 16


def test_python_regenerates_by_name_alone(storage):
    name = storage.upload_appender(b"hello from python\n")
    assert len(name) == 44
    body = storage.done(wire.REGENERATE, name.encode())
    assert body[:16] == group() and len(body) == 60


def test_python_asks_a_store_server_for_a_slave(tracker, storage):
    assert tracker.store("group1")[0] == "group1"
    master = storage.upload(b"master")
    assert storage.upload_slave(master, "_py", b"x")


def test_python_wants_40_and_39_byte_answers(tracker):
    assert len(tracker.done(wire.STORE_ONE)) == 40
    assert len(tracker.done(wire.FETCH_ONE, file_ref("M00/00/00/" +
                                                     "A" * 34))) == 39


# --- Node ------------------------------------------------------------------

def test_node_says_quit_together_with_fin_after_every_reply(cluster):
    for daemon in (cluster.tracker, cluster.storage):
        for _ in range(5):
            with daemon.connect() as conn:
                assert conn.call(wire.ACTIVE_TEST) == (0, b"")
                conn.send(QUIT)
                conn.fin()
                assert conn.is_closed()


def test_node_request_quit_and_fin_in_one_segment(cluster):
    """All requests before the QUIT are answered all the same."""
    with cluster.storage.connect() as conn:
        conn.send(message(wire.UPLOAD, upload_body(b"node")))
        name = conn.reply().body[16:].decode()
        conn.send(QUIT)
        conn.fin()
        assert conn.is_closed()
    with cluster.storage.connect() as conn:
        assert conn.download(name) == b"node"


def test_node_fin_right_after_the_request_still_gets_the_reply(cluster):
    with cluster.tracker.connect() as conn:
        conn.send(message(wire.STORE_ONE))
        conn.fin()
        try:
            assert len(conn.reply().body) == 40
        except wire.Closed:
            pytest.skip("half closed: the reply is not promised")


def test_node_header_and_body_in_separate_writes(cluster, tracker, storage):
    tracker.send_split(header(wire.STORE_GROUP_ONE, 16), group())
    assert len(tracker.reply().body) == 40
    body = upload_body(b"content", "txt", 0)
    storage.send_split(header(wire.UPLOAD, len(body)), body[:15], body[15:])
    name = storage.reply().body[16:].decode()
    meta = meta_body(name, b"a\x021")
    storage.send_split(header(wire.SET_META, len(meta)), meta)
    assert storage.reply() == (0, b"")


def test_node_appends_through_a_store_query(tracker, storage):
    """104 with the file's group, then APPEND and MODIFY there."""
    name = storage.upload_appender(b"0123")
    _, ip, port, _ = tracker.store("group1")
    assert (ip, port) == storage.address
    body = append_body(name, b"45")
    storage.send_split(header(wire.APPEND, len(body)), body[:16 + 44],
                       body[16 + 44:])
    assert storage.reply() == (0, b"")
    body = modify_body(name, 0, b"ab")
    storage.send_split(header(wire.MODIFY, len(body)), body[:24 + 44],
                       body[24 + 44:])
    assert storage.reply() == (0, b"")
    assert storage.download(name) == b"ab2345"


@pytest.mark.ours
@pytest.mark.limit(180)
def test_node_appends_on_a_member_that_is_not_the_source(fresh):
    """Any member of the group takes APPEND and MODIFY for its own copy."""
    made = fresh(storages=2)
    first, second = made.storages
    with first.connect() as conn:
        name = conn.upload_appender(b"0123")
    copy = second.path_of(name)
    copy.write_bytes(first.path_of(name).read_bytes())
    with second.connect() as conn:
        conn.append(name, b"45")
        conn.modify(name, 0, b"ab")
        assert conn.download(name) == b"ab2345"


# --- Go --------------------------------------------------------------------

def test_go_deletes_at_the_fetch_server(tracker, storage):
    name = storage.upload(b"go")
    assert tracker.locate(wire.FETCH_ONE, name) == storage.address
    storage.delete(name)
    storage.fails(wire.DOWNLOAD, download_body(name), ENOENT)


def test_go_reads_header_and_body_once_each(cluster, tracker, storage):
    name = storage.upload(b"g" * 30000)
    for _ in range(20):
        tracker.send(message(wire.STORE_ONE))
        assert len(tracker.sock.recv(10)) == 10
        assert len(tracker.sock.recv(40)) == 40
        storage.send(message(wire.DOWNLOAD, download_body(name)))
        assert len(storage.sock.recv(10)) == 10
        storage.read(30000)


def test_go_takes_the_address_from_fixed_places(cluster, tracker):
    body = tracker.done(wire.STORE_ONE)
    ip, port = cluster.storage.address
    assert body[16:31].rstrip(b"\0").decode() == ip
    assert struct.unpack(">q", body[31:39])[0] == port
    assert body[39] == 0


# --- Java ------------------------------------------------------------------

def test_java_starts_with_storage_ids_in_both_forms(cluster):
    with cluster.tracker.connect() as conn:
        assert conn.done(wire.FETCH_STORAGE_IDS, b"\0\0\0\0\1") == bytes(8)
        conn.send(QUIT)
        assert conn.is_closed()
    with cluster.tracker.connect() as conn:
        conn.fails(wire.FETCH_STORAGE_IDS, b"\0\0\0\0", wire.EINVAL)
        assert conn.done(wire.FETCH_STORAGE_IDS, b"\0\0\0\0\1") == bytes(8)


def test_java_splits_after_the_header(tracker):
    for cmd in (wire.STORE_GROUP_ONE, wire.STORE_GROUP_ALL):
        tracker.send_split(header(cmd, 16), group())
        assert len(tracker.reply().body) == 40


def test_java_sets_metadata_on_a_second_connection(cluster, storage):
    name = storage.upload(b"java")
    with cluster.storage.connect() as second:
        second.set_meta(name, b"k\x02v")
        second.send(QUIT)
        assert second.is_closed()
    assert storage.get_meta(name) == b"k\x02v"
    storage.send(QUIT)
    assert storage.is_closed()


def test_java_wants_empty_replies(storage):
    name = storage.upload_appender(b"01")
    for cmd, body in (
            (wire.APPEND, append_body(name, b"2")),
            (wire.MODIFY, modify_body(name, 0, b"a")),
            (wire.TRUNCATE, wire.truncate_body(name, 1)),
            (wire.SET_META, meta_body(name, b"a\x021")),
            (wire.DELETE, file_ref(name))):
        storage.send(message(cmd, body))
        assert storage.read(10) == header(wire.RESP, 0)


def test_java_asks_the_tracker_before_deleting_a_storage(cluster, tracker):
    ip = cluster.storage.address[0]
    body = tracker.done(wire.LIST_STORAGES, group() + ip.encode())
    assert len(body) == 487 and body[0] == wire.ACTIVE
    tracker.fails(wire.DELETE_STORAGE, group() + ip.encode(), wire.EBUSY)


# --- the C library ---------------------------------------------------------

def test_c_header_and_fixed_part_then_content(storage):
    data = os.urandom(100_000)
    body = upload_body(data, "bin")
    storage.send_split(header(wire.UPLOAD, len(body)) + body[:15], body[15:])
    name = storage.reply().body[16:].decode()
    appender = storage.upload_appender(b"")
    body = append_body(appender, data)
    storage.send_split(header(wire.APPEND, len(body)) + body[:60], body[60:])
    assert storage.reply() == (0, b"")
    assert storage.download(appender) == storage.download(name) == data


def test_c_upload_and_metadata_on_the_same_connection(storage):
    name = storage.upload(b"c")
    storage.set_meta(name, b"ext_name\x02jpg\x01file_size\x02115120")
    assert storage.get_meta(name) == \
        b"ext_name\x02jpg\x01file_size\x02115120"


def test_c_double_extension_and_none(storage):
    assert storage.upload(b"x", "tar.gz").endswith(".tar.gz")
    assert "." not in storage.upload(b"x", "")[10:]


def test_c_monitor_sequence(cluster, tracker):
    groups = tracker.done(wire.LIST_GROUPS)
    assert len(groups) % 113 == 0
    for at in range(0, len(groups), 113):
        name = wire.text(groups[at:at + 17])
        assert len(tracker.done(wire.LIST_STORAGES, group(name))) % 487 == 0


def test_c_pool_tests_an_idle_connection_and_goes_on(fresh):
    """Idle established connections outlive the network timeout."""
    made = fresh(tracker={"network_timeout": 1}, storage={"network_timeout": 1})
    with made.storage.connect() as conn, made.tracker.connect() as query:
        assert conn.is_usable() and query.is_usable()
        # Idle at the start of a connection does end: that is our clock.
        with made.storage.connect() as idle:
            assert idle.is_closed(10)
        with made.storage.connect() as idle:
            assert idle.is_closed(10)
        assert conn.is_usable() and query.is_usable()


# --- tobato and the rest ---------------------------------------------------

def test_tobato_thumbnail_is_a_slave(tracker, storage):
    master = storage.upload(os.urandom(2000), "jpg")
    assert tracker.locate(wire.UPDATE, master) == storage.address
    thumb = storage.upload_slave(master, "_150x150", b"thumb", "jpg")
    assert thumb == master[:-4] + "_150x150.jpg"
    assert tracker.locate(wire.FETCH_ONE, thumb) == storage.address
    assert storage.download(thumb) == b"thumb"


def test_a_reset_instead_of_a_close_is_nothing_special(cluster):
    for daemon in (cluster.tracker, cluster.storage):
        conn = daemon.connect()
        assert conn.is_usable()
        conn.reset()
        wait_until(daemon.answers, 5)


def test_nul_padding_of_every_field_is_optional(storage):
    """A group that fills its field, an extension that fills its field."""
    body = bytes([0]) + i64(1) + b"abcdef" + b"x"
    name = storage.done(wire.UPLOAD, body)[16:].decode()
    assert name.endswith(".abcdef")
    prefix = b"p0123456789abcde"
    slave = i64(44) + i64(1) + prefix + b"abcdef" + name.encode() + b"y"
    assert storage.done(wire.UPLOAD_SLAVE, slave)[16:].decode() == \
        name[:-7] + prefix.decode() + ".abcdef"
    assert pad("x", 2) == b"x\0"
    assert slave_body(name, "p", b"")[32:38] == pad("jpg", 6)
