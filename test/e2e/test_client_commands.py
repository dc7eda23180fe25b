# SPDX-License-Identifier: MIT
"""Tracker commands and framing: lengths, statuses, what closes."""

import os
import struct

import pytest

import wire
from harness import wait_until
from wire import (EACCES, EBUSY, EINVAL, ENOENT, EOPNOTSUPP, LETTERS, NEVER,
                  download_body, file_ref, group, i64, message, pad,
                  upload_body)


# --- the tracker -----------------------------------------------------------

def at(ip, port):
    return f"{ip}:{port}".encode()


TRACKER_REFUSALS = [
    ("active_test_with_a_body", wire.ACTIVE_TEST, b"x", EINVAL),
    ("store_one_with_a_body", wire.STORE_ONE, b"a" * 16, EINVAL),
    ("store_all_with_a_body", wire.STORE_ALL, b"a" * 16, EINVAL),
    ("store_group_15_bytes", wire.STORE_GROUP_ONE, group()[:15], EINVAL),
    ("store_group_17_bytes", wire.STORE_GROUP_ONE, group() + b"\0", EINVAL),
    ("store_group_empty", wire.STORE_GROUP_ONE, b"", EINVAL),
    ("store_group_unknown", wire.STORE_GROUP_ONE, group("nogroup"), ENOENT),
    ("store_group_spaces", wire.STORE_GROUP_ONE,
     b"group1".ljust(16), ENOENT),
    ("store_group_all_unknown", wire.STORE_GROUP_ALL, group("zz"), ENOENT),
    ("store_group_all_15_bytes", wire.STORE_GROUP_ALL, b"a" * 15, EINVAL),
    ("fetch_37_bytes", wire.FETCH_ONE, group() + b"M" * 21, EINVAL),
    ("fetch_144_bytes", wire.FETCH_ONE, group() + b"M" * 128, EINVAL),
    ("fetch_unknown_group", wire.FETCH_ONE,
     file_ref(NEVER, "group9"), ENOENT),
    ("update_37_bytes", wire.UPDATE, group() + b"M" * 21, EINVAL),
    ("update_144_bytes", wire.UPDATE, group() + b"M" * 128, EINVAL),
    ("update_unknown_group", wire.UPDATE, file_ref(NEVER, "g9"), ENOENT),
    ("fetch_all_37_bytes", wire.FETCH_ALL, group() + b"M" * 21, EINVAL),
    ("fetch_all_144_bytes", wire.FETCH_ALL, group() + b"M" * 128, EINVAL),
    ("fetch_all_unknown_group", wire.FETCH_ALL,
     file_ref(NEVER, "g9"), ENOENT),
    ("list_group_unknown", wire.LIST_ONE_GROUP, group("x"), ENOENT),
    ("list_group_empty", wire.LIST_ONE_GROUP, b"", EINVAL),
    ("list_groups_with_a_body", wire.LIST_GROUPS, b"z", EINVAL),
    ("list_storages_15_bytes", wire.LIST_STORAGES, group()[:15], EINVAL),
    ("list_storages_32_bytes", wire.LIST_STORAGES,
     group() + pad("127.0.0.9", 16), EINVAL),
    ("list_storages_unknown_id", wire.LIST_STORAGES,
     group() + b"1.2.3.4", ENOENT),
    ("list_storages_unknown_group", wire.LIST_STORAGES,
     group("nope"), ENOENT),
    ("delete_storage_unknown", wire.DELETE_STORAGE,
     group() + b"10.9.9.9", ENOENT),
    ("delete_storage_no_id", wire.DELETE_STORAGE, group(), EINVAL),
    ("delete_storage_id_of_16", wire.DELETE_STORAGE,
     group() + b"1" * 16, EINVAL),
    ("delete_storage_unknown_group", wire.DELETE_STORAGE,
     group("gg") + b"10.9.9.9", ENOENT),
    ("set_trunk_when_off", wire.SET_TRUNK_SERVER, group(), EOPNOTSUPP),
    ("set_trunk_15_bytes", wire.SET_TRUNK_SERVER, b"a" * 15, EINVAL),
    ("set_trunk_unknown_group", wire.SET_TRUNK_SERVER,
     group("gg"), ENOENT),
    ("delete_group_with_storages", wire.DELETE_GROUP, group(), EBUSY),
    ("delete_group_unknown", wire.DELETE_GROUP, group("gg"), ENOENT),
    ("delete_group_1_byte", wire.DELETE_GROUP, b"a", EINVAL),
    ("leader_with_a_body", wire.GET_LEADER, b"a", EINVAL),
    ("tracker_stat_1_byte", wire.TRACKER_STAT, b"\0", EINVAL),
    ("storage_stat_3_bytes", wire.STORAGE_STAT, b"\0\0\0", EINVAL),
    ("volume_stat_empty", wire.VOLUME_STAT, b"", EINVAL),
    ("tracker_status_with_a_body", wire.TRACKER_STATUS, b"a", EINVAL),
    ("parameters_with_a_body", wire.PARAMETER_REQ, b"a", EINVAL),
    ("ids_when_off", wire.FETCH_STORAGE_IDS, b"\0\0\0\0\0", EOPNOTSUPP),
    ("ids_4_bytes", wire.FETCH_STORAGE_IDS, b"\0\0\0\0", EINVAL),
    ("ids_6_bytes", wire.FETCH_STORAGE_IDS, b"\0" * 6, EINVAL),
    ("storage_status_unknown", wire.GET_STORAGE_STATUS,
     group() + at("10.77.1.99", 23000), ENOENT),
    ("storage_status_no_port", wire.GET_STORAGE_STATUS,
     group() + b"10.77.1.11", EINVAL),
    ("group_name_ids_off", wire.GET_GROUP_NAME, b"\0\0\x5a\x3c", EOPNOTSUPP),
    ("group_name_ids_off_empty", wire.GET_GROUP_NAME, b"", EOPNOTSUPP),
    ("group_name_ids_off_short", wire.GET_GROUP_NAME, bytes(3), EOPNOTSUPP),
    ("group_name_ids_off_long", wire.GET_GROUP_NAME, bytes(200), EOPNOTSUPP),
    ("storage_status_group_first", wire.GET_STORAGE_STATUS,
     group("nogroup") + b"no port", ENOENT),
    ("storage_status_no_address", wire.GET_STORAGE_STATUS,
     group() + b"x:5", ENOENT),
    ("storage_status_port_0", wire.GET_STORAGE_STATUS,
     group() + b"1.2.3.4:0", ENOENT),
    ("storage_status_empty_port", wire.GET_STORAGE_STATUS,
     group() + b"1.2.3.4:", EINVAL),
    ("storage_status_empty_host", wire.GET_STORAGE_STATUS,
     group() + b":5", EINVAL),
    ("server_id_empty_host", wire.GET_SERVER_ID, group() + b":5", EINVAL),
    ("list_storages_nul_id", wire.LIST_STORAGES, group() + b"\0", ENOENT),
    ("list_storages_nul_ids", wire.LIST_STORAGES, group() + bytes(15),
     ENOENT),
    ("my_ip_20_bytes", wire.GET_MY_IP, b"a" * 20, EINVAL),
    ("beat_before_join", 83, b"", EACCES),
    ("disk_usage_before_join", 84, b"\0" * 16, EACCES),
    ("unknown_command_120", 120, b"", EINVAL),
    ("unknown_command_0", 0, b"", EINVAL),
    ("unknown_command_200", 200, b"abc", EINVAL),
    ("storage_command_upload", wire.UPLOAD, upload_body(b"x"), EINVAL),
]


@pytest.mark.parametrize(
    "cmd,body,errno", [row[1:] for row in TRACKER_REFUSALS],
    ids=[row[0] for row in TRACKER_REFUSALS])
def test_tracker_refuses_and_stays_open(tracker, cmd, body, errno):
    tracker.fails(cmd, body, errno)
    assert tracker.is_usable()


@pytest.mark.ours
@pytest.mark.parametrize("cmd", [79, 88])
def test_tracker_wants_a_join_first(tracker, cmd):
    answer = tracker.call(cmd, b"")
    assert answer.status in (EACCES, EINVAL)
    assert tracker.is_usable()


def test_tracker_store_queries_name_the_storage(cluster, tracker):
    ip, port = cluster.storage.address
    assert tracker.store() == ("group1", ip, port, 0)
    assert tracker.store("group1") == ("group1", ip, port, 0)
    assert tracker.done(wire.STORE_GROUP_ONE,
                        b"group1\0garbage!!") == tracker.done(wire.STORE_ONE)


def test_tracker_store_all_lists_every_storage(cluster, tracker):
    ip, port = cluster.storage.address
    want = group() + pad(ip, 15) + i64(port) + b"\0"
    assert tracker.done(wire.STORE_ALL) == want
    assert tracker.done(wire.STORE_GROUP_ALL, group()) == want


@pytest.mark.parametrize("cmd", [wire.FETCH_ONE, wire.UPDATE,
                                 wire.FETCH_ALL])
@pytest.mark.parametrize("length", [22, 44, 127])
def test_tracker_fetch_never_asks_whether_the_file_exists(
        cluster, tracker, cmd, length):
    name = NEVER.ljust(length, "x")[:length]
    assert tracker.locate(cmd, name) == cluster.storage.address


def test_tracker_group_record(cluster, tracker):
    one = tracker.done(wire.LIST_ONE_GROUP, group())
    assert len(one) == wire.GROUP_RECORD
    assert len(tracker.done(wire.LIST_GROUPS)) == wire.GROUP_RECORD
    assert wire.text(one[:17]) == "group1"
    numbers = dict(zip(
        "total free reserved trunk_free count port readable writable "
        "current paths subdirs trunk_file".split(),
        struct.unpack(">12q", one[17:])))
    assert numbers["total"] >= numbers["free"] > 0
    assert numbers["reserved"] == 1
    assert numbers["count"] == 1
    assert numbers["port"] == cluster.storage.address[1]
    assert numbers["readable"] == numbers["writable"] == 1
    assert numbers["paths"] == 1
    assert numbers["subdirs"] == 4
    assert numbers["trunk_file"] == -1


def test_tracker_storage_record(cluster, tracker):
    ip, port = cluster.storage.address
    rec, = tracker.storages()
    assert (rec.status, rec.rw, rec.id, rec.ip) == (wire.ACTIVE, 6, ip, ip)
    assert rec.port == port
    assert rec.path_count == 1
    assert rec.version
    for name in (ip.encode(), pad(ip, 15)):
        body = tracker.done(wire.LIST_STORAGES, group() + name)
        assert len(body) == wire.STORAGE_RECORD


def test_tracker_storage_counters_follow_the_work(cluster, tracker, storage):
    before = tracker.storages()[0].counters
    name = storage.upload(LETTERS)
    assert storage.download(name) == LETTERS
    storage.set_meta(name, b"a\x021")
    storage.get_meta(name)
    storage.delete(name)

    def told():
        now = tracker.storages()[0].counters
        return all(now[f"success_{what}"] >= before[f"success_{what}"] + 1
                   for what in "upload download set_meta get_meta "
                               "delete".split()) and \
            now["success_upload_bytes"] >= \
            before["success_upload_bytes"] + len(LETTERS)
    wait_until(told, 15, "the counters reach the tracker")


def test_tracker_will_not_delete_an_active_storage(cluster, tracker):
    tracker.fails(wire.DELETE_STORAGE,
                  group() + cluster.storage.address[0].encode(), EBUSY)
    assert tracker.is_usable()


def test_tracker_says_who_leads(cluster, tracker):
    assert tracker.done(wire.GET_LEADER) == at(*cluster.tracker.address)


def test_tracker_cluster_statistics(cluster, tracker):
    for query in (b"\0\0\0", b"\2\0\1", b"\1\1\0"):
        body = tracker.done(wire.TRACKER_STAT, query)
        assert len(body) == 91 and body[0] == 1
        assert wire.text(body[1:53]) == "%s:%d" % cluster.tracker.address
        assert body[53:55] == b"\1\1"
    assert tracker.done(wire.TRACKER_STAT, b"\2\0\0") == b"\0"


def test_storage_cluster_statistics(cluster, tracker):
    for query in (b"\0\0\0\0", b"\2=\7\0", b"\1\0\0\1"):
        body = tracker.done(wire.STORAGE_STAT, query)
        assert len(body) == 6 + 106 and body[:6] == b"\0\0\0\0\0\1"
        assert wire.text(body[6:22]) == cluster.storage.address[0]
        assert wire.text(body[22:74]) == "%s:%d" % cluster.storage.address
        assert body[75] == wire.ACTIVE
    for query in (b"\2!\7\0", b"\2?\7\0"):
        assert tracker.done(wire.STORAGE_STAT, query) == bytes(6)


def test_volume_statistics(tracker):
    body = tracker.done(wire.VOLUME_STAT, bytes(4))
    assert len(body) == 5 + 59 and body[:5] == b"\0\0\0\0\1"
    assert wire.text(body[5:22]) == "group1"
    assert body[-2:] == b"\1\0"
    assert tracker.done(wire.VOLUME_STAT, b"\1\0\0\0") == bytes(5)
    for wanted in (b"\1\2\0\0", b"\1\xff\0\0", b"\4\0\0\2"):
        assert tracker.done(wire.VOLUME_STAT, wanted) == bytes(5)
    for trunk in (b"\2\0\0\0", b"\2\0\1\0", b"\2\0\7\0"):
        assert tracker.done(wire.VOLUME_STAT, trunk) == body  # trunk is off
    assert tracker.done(wire.VOLUME_STAT, b"\1\1\0\0") == body[:5] + \
        tracker.done(wire.VOLUME_STAT, b"\4\0\0\1")[5:]


def test_tracker_status(tracker):
    body = tracker.done(wire.TRACKER_STATUS)
    assert len(body) == 17 and body[0] == 1
    assert struct.unpack(">q", body[1:9])[0] >= 0


def test_tracker_tells_the_cluster_parameters(tracker):
    lines = tracker.done(wire.PARAMETER_REQ).decode().splitlines()
    pairs = dict(line.split("=", 1) for line in lines)
    assert [line.split("=")[0] for line in lines] == (
        "use_storage_id id_type_in_filename trust_storage_server_id "
        "response_ip_addr_size storage_ip_changed_auto_adjust "
        "storage_sync_file_max_delay store_path reserved_storage_space "
        "use_trunk_file slot_min_size slot_max_size "
        "trunk_alloc_alignment_size trunk_file_size "
        "trunk_create_file_advance trunk_create_file_time_base "
        "trunk_create_file_interval trunk_create_file_space_threshold "
        "trunk_init_check_occupying trunk_init_reload_from_binlog "
        "trunk_free_space_merge delete_unused_trunk_files "
        "trunk_compress_binlog_min_interval trunk_compress_binlog_interval "
        "trunk_compress_binlog_time_base trunk_binlog_max_backups "
        "store_slave_file_use_link").split()
    assert pairs["use_storage_id"] == "0"
    assert pairs["id_type_in_filename"] == "ip"
    assert pairs["response_ip_addr_size"] == "16"
    assert pairs["reserved_storage_space"] == "1MB"
    assert pairs["trunk_create_file_time_base"] == "02:00"


def test_tracker_storage_ids_are_off(tracker):
    assert tracker.done(wire.FETCH_STORAGE_IDS, b"\0\0\0\0\1") == bytes(8)


def test_tracker_small_queries(cluster, tracker):
    ip, port = cluster.storage.address
    where = group() + at(ip, port)
    assert tracker.done(wire.GET_SERVER_ID, where) == ip.encode()
    for wrong in (b"1", b"0", b"99999", b"5x"):
        other = group() + ip.encode() + b":" + wrong
        assert tracker.done(wire.GET_SERVER_ID, other) == ip.encode()
        assert tracker.done(wire.GET_STORAGE_STATUS, other) == \
            tracker.done(wire.GET_STORAGE_STATUS, where)
    body = tracker.done(wire.GET_STORAGE_STATUS, where)
    assert len(body) == 67 and body[0] == wire.ACTIVE
    assert struct.unpack(">i", body[1:5])[0] == port
    assert wire.text(body[5:21]) == wire.text(body[21:]) == ip
    mine = tracker.done(wire.GET_MY_IP,
                        pad("group1", 17) + struct.pack(">I", port))
    assert mine == tracker.local[0].encode()


# --- framing, both daemons -------------------------------------------------

@pytest.fixture(params=["tracker", "storage"])
def either(request, cluster):
    with getattr(cluster, request.param).connect() as conn:
        conn.side = request.param
        yield conn


def test_active_test_ignores_the_status_byte(either):
    for status in (0, 2, 7, 255):
        assert either.call(wire.ACTIVE_TEST, status=status) == (0, b"")


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_quit_closes_without_a_reply(either, body):
    either.send(message(wire.QUIT, body))
    assert either.is_closed()


@pytest.mark.parametrize("length", [
    -1, pytest.param(-(1 << 63), marks=pytest.mark.ours)])
def test_negative_length_closes(either, length):
    either.send(wire.header(wire.ACTIVE_TEST, length))
    assert either.is_closed()


def test_tracker_largest_message(tracker):
    body = bytes(262134)
    tracker.fails(wire.LIST_GROUPS, body, EINVAL)
    assert tracker.is_usable()
    tracker.send(wire.header(wire.LIST_GROUPS, 262135))
    assert tracker.is_closed()


@pytest.mark.ours
@pytest.mark.parametrize("length", [1 << 32, (1 << 32) + 1, (1 << 63) - 1])
def test_tracker_length_over_32_bits_closes(tracker, length):
    tracker.send(wire.header(wire.LIST_GROUPS, length))
    assert tracker.is_closed()


def test_header_one_byte_at_a_time(either):
    whole = message(wire.ACTIVE_TEST)
    either.send_split(*[whole[i:i + 1] for i in range(len(whole))])
    assert either.reply() == (0, b"")


@pytest.mark.ours
def test_requests_in_one_segment_are_answered_in_order(cluster, storage,
                                                       tracker):
    tracker.send(message(wire.ACTIVE_TEST) + message(wire.STORE_ONE) +
                 message(wire.GET_LEADER, b"x") + message(wire.GET_LEADER))
    assert [len(tracker.reply().body) for _ in range(2)] == [0, 40]
    assert tracker.reply().status == EINVAL
    assert tracker.reply().body == at(*cluster.tracker.address)

    name = storage.upload(LETTERS)
    storage.send(message(wire.ACTIVE_TEST) +
                 message(wire.UPLOAD, upload_body(b"second")) +
                 message(wire.DOWNLOAD, download_body(name)) +
                 message(wire.DELETE, file_ref(name)) +
                 message(wire.DOWNLOAD, download_body(name)) +
                 message(wire.ACTIVE_TEST))
    assert storage.reply() == (0, b"")
    second = storage.reply().body[16:].decode()
    assert storage.reply().body == LETTERS
    assert storage.reply() == (0, b"")
    assert storage.reply().status == ENOENT
    assert storage.reply() == (0, b"")
    assert storage.download(second) == b"second"


@pytest.mark.ours
def test_many_pipelined_uploads(storage):
    count = 300
    storage.send(b"".join(message(wire.UPLOAD, upload_body(b"%d" % i))
                          for i in range(count)))
    names = [storage.reply().body[16:].decode() for _ in range(count)]
    assert len(set(names)) == count
    for i in (0, 150, 299):
        assert storage.download(names[i]) == b"%d" % i


def test_small_replies_come_in_one_segment(cluster, storage, tracker):
    name = storage.upload(LETTERS)
    requests = [
        (tracker, message(wire.STORE_ONE), 50),
        (tracker, message(wire.LIST_STORAGES, group()), 497),
        (storage, message(wire.QUERY_INFO, file_ref(name)), 50),
        (storage, message(wire.UPLOAD, upload_body(b"x")), 70),
        (storage, message(wire.DOWNLOAD, download_body(name)), 30)]
    for _ in range(20):
        for conn, request, length in requests:
            conn.send(request)
            assert len(conn.sock.recv(4096)) == length


def test_download_header_travels_with_the_first_data(storage):
    name = storage.upload(os.urandom(200_000))
    for _ in range(10):
        storage.send(message(wire.DOWNLOAD, download_body(name)))
        first = storage.sock.recv(1 << 20)
        assert len(first) > 10
        storage.read(200_010 - len(first))
