# SPDX-License-Identifier: MIT
"""Every client command: right and wrong lengths, statuses, what closes."""

import os
import re
import struct

import pytest

import wire
from harness import STOCK, wait_until
from wire import (EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, EOPNOTSUPP, EACCES,
                  append_body, crc32, download_body, file_ref, group, i64,
                  message, meta_body, modify_body, pad, slave_body,
                  truncate_body, upload_body)

NEVER = "M00/00/00/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA389.txt"
NEVER_APPENDER = "M00/00/00/fwoKZWsCjniEerbLAAAAAGgTEBY389.txt"
LETTERS = b"0123456789ABCDEFGHIJ"


# --- the tracker ----------------------------------------------------------

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
    body = tracker.done(wire.GET_STORAGE_STATUS, where)
    assert len(body) == 67 and body[0] == wire.ACTIVE
    assert struct.unpack(">i", body[1:5])[0] == port
    assert wire.text(body[5:21]) == wire.text(body[21:]) == ip
    mine = tracker.done(wire.GET_MY_IP,
                        pad("group1", 17) + struct.pack(">I", port))
    assert mine == tracker.local[0].encode()


# --- framing, both daemons --------------------------------------------------

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


# --- uploads ----------------------------------------------------------------

def test_upload_names_say_what_was_stored(cluster, storage):
    name = storage.upload(b"hello fastdfs\n", "txt")
    said = wire.decode_name(name)
    assert len(name) == 44 and said.path == 0
    assert ".".join(map(str, said.source)) == cluster.storage.address[0]
    assert said.size == 14 and not said.appender
    assert said.size_field >> 55 == 0x100
    assert said.crc == 0x0E10BA5D
    assert said.tail.endswith(".txt") and said.tail[:3].isdigit()
    path = cluster.storage.path_of(name)
    assert path.read_bytes() == b"hello fastdfs\n"
    assert int(path.stat().st_mtime) == said.time
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("ext,tail", [
    ("txt", r"\d{3}\.txt"), ("", r"\d{7}"), ("c", r"\d{5}\.c"),
    ("abcdef", r"\.abcdef"), ("tar.gz", r"\.tar\.gz"),
    (".txt", r"\d{2}\.\.txt"), ("A-_.9", r"\d\.A-_\.9"),
    (b"ab\0cd\0", r"\d{4}\.ab")])
def test_upload_extension_becomes_the_tail(storage, ext, tail):
    name = storage.upload(LETTERS, ext)
    assert len(name) == 44
    assert re.fullmatch(tail, name[37:]), name
    assert storage.download(name) == LETTERS


UPLOAD_REFUSALS = [
    ("path_1_of_1", upload_body(LETTERS, path=1)),
    ("path_0xfe", upload_body(LETTERS, path=0xFE)),
    ("path_0x80", upload_body(LETTERS, path=0x80)),
    ("size_below_body", upload_body(LETTERS, size=19)),
    ("size_above_body", upload_body(LETTERS, size=21)),
    ("size_negative", upload_body(LETTERS, size=-1)),
    ("size_smallest", upload_body(LETTERS, size=-(1 << 63))),
    ("size_largest", upload_body(LETTERS, size=(1 << 63) - 1)),
    ("ext_slash", upload_body(LETTERS, "a/b")),
    ("ext_space", upload_body(LETTERS, "a b")),
    ("ext_control", upload_body(LETTERS, "a\x01b")),
    ("ext_high_byte", upload_body(LETTERS, b"a\xff")),
    ("body_of_14", bytes(14)),
    ("body_empty", b""),
]


@pytest.mark.parametrize("cmd", [wire.UPLOAD, wire.UPLOAD_APPENDER])
@pytest.mark.parametrize("body", [row[1] for row in UPLOAD_REFUSALS],
                         ids=[row[0] for row in UPLOAD_REFUSALS])
def test_upload_refused_and_closed(cluster, storage, cmd, body):
    before = cluster.storage.visible()
    storage.fails(cmd, body, EINVAL)
    assert storage.is_closed()
    assert cluster.storage.visible() == before


@pytest.mark.parametrize("size", [
    1, 2, 4095, 4096, 65536, 262144 - 26, 262144 - 25, 262144 - 24,
    262143, 262144, 262145, 307200, 524288, 1_000_003])
def test_content_of_any_size_comes_back(storage, size):
    data = os.urandom(size)
    name = storage.upload(data, "bin")
    assert wire.decode_name(name).size == size
    assert wire.decode_name(name).crc == crc32(data)
    assert storage.download(name) == data


def test_two_uploads_of_the_same_bytes_have_different_names(storage):
    names = {storage.upload(LETTERS) for _ in range(200)}
    assert len(names) == 200


def test_zero_byte_file(cluster, storage):
    for cmd in (wire.UPLOAD, wire.UPLOAD_APPENDER):
        name = storage.upload(b"", "txt", cmd=cmd)
        assert cluster.storage.path_of(name).stat().st_size == 0
        assert storage.info(name)[0] == 0
        with cluster.storage.connect() as other:
            other.fails(wire.DOWNLOAD, download_body(name), EINVAL)
            assert other.is_closed()
        storage.delete(name)


@pytest.mark.limit(60)
def test_upload_split_at_every_byte(cluster):
    request = message(wire.UPLOAD, upload_body(b"abc", "txt"))
    for cut in range(1, len(request)):
        with cluster.storage.connect() as conn:
            conn.send_split(request[:cut], request[cut:])
            name = conn.reply().body[16:].decode()
            assert conn.download(name) == b"abc"


def test_upload_one_byte_at_a_time(storage):
    request = message(wire.UPLOAD, upload_body(b"abc", "txt"))
    storage.send_split(*[request[i:i + 1] for i in range(len(request))])
    assert storage.download(storage.reply().body[16:].decode()) == b"abc"


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_upload_cut_off_at_every_byte_leaves_nothing(cluster, how):
    node = cluster.storage
    before = node.visible()
    request = message(wire.UPLOAD, upload_body(b"abcdefgh", "cut"))
    for cut in range(len(request)):
        conn = node.connect()
        conn.send(request[:cut])
        conn.wait_read()
        if how == "reset":
            conn.reset()
        else:
            conn.fin()
            assert conn.is_closed()
            conn.close()
    wait_until(lambda: node.connections() == 0, 10, "connections end")
    wait_until(lambda: node.visible() == before and not node.unfinished(), 5,
               "the remains of the uploads are gone")


@pytest.mark.parametrize("sent", [1000, 262144, 300_000, 700_000])
def test_large_upload_cut_off_leaves_nothing(cluster, sent):
    node = cluster.storage
    before = node.visible()
    request = message(wire.UPLOAD, upload_body(bytes(1_000_000), "cut"))
    conn = node.connect()
    conn.send(request[:sent])
    conn.wait_read()
    conn.close()
    wait_until(lambda: node.visible() == before and not node.unfinished(), 5,
               "the remains of the upload are gone")


def test_append_cut_off_restores_the_size(cluster, storage):
    name = storage.upload_appender(LETTERS)
    for size, sent in ((100, 50), (400_000, 300_000)):
        conn = cluster.storage.connect()
        request = message(wire.APPEND, append_body(name, b"z" * size))
        conn.send(request[:70 + sent])
        conn.wait_read()
        conn.close()
        wait_until(lambda: storage.info(name)[0] == 20, 5, "size is back")
    assert storage.download(name) == LETTERS
    storage.append(name, b"!")
    assert storage.download(name) == LETTERS + b"!"


@pytest.mark.parametrize("size", [300_000, 1_000_000])
def test_refused_upload_is_told_while_the_body_still_comes(cluster, size):
    with cluster.storage.connect() as conn:
        request = message(wire.UPLOAD, upload_body(bytes(size), path=9))
        if STOCK:
            request = request[:262144]
        conn.send(request)
        assert conn.reply().status == EINVAL
        assert STOCK or conn.is_closed()


@pytest.mark.ours
@pytest.mark.parametrize("size", [300_000, 1_000_000])
def test_refused_append_is_drained(cluster, size):
    with cluster.storage.connect() as conn:
        conn.fails(wire.APPEND, append_body(NEVER_APPENDER, bytes(size)),
                   ENOENT)
        assert conn.is_usable()


# --- downloads ----------------------------------------------------------------

def test_download_ranges(storage):
    name = storage.upload(LETTERS)
    for offset, count, want in (
            (0, 0, LETTERS), (5, 7, LETTERS[5:12]), (15, 100, LETTERS[15:]),
            (19, 0, b"J"), (0, 20, LETTERS), (0, 1, b"0"),
            (3, (1 << 63) - 1, LETTERS[3:])):
        assert storage.download(name, offset, count) == want


def test_download_ranges_of_a_large_file(storage):
    data = os.urandom(1_500_000)
    name = storage.upload(data)
    for offset, count in ((0, 1), (262_144, 262_144), (1_499_990, 100),
                          (1, 1_499_998), (700_000, 0)):
        want = data[offset:offset + count] if count else data[offset:]
        assert storage.download(name, offset, count) == want


DOWNLOAD_REFUSALS = [
    ("offset_is_size", 20, 0, EINVAL), ("offset_over_size", 21, 1, EINVAL),
    ("offset_negative", -1, 0, EINVAL), ("count_negative", 0, -5, EINVAL),
    ("offset_largest", (1 << 63) - 1, 1, EINVAL)]


@pytest.mark.parametrize("offset,count,errno",
                         [row[1:] for row in DOWNLOAD_REFUSALS],
                         ids=[row[0] for row in DOWNLOAD_REFUSALS])
def test_download_range_refused_and_closed(storage, offset, count, errno):
    name = storage.upload(LETTERS)
    storage.fails(wire.DOWNLOAD, download_body(name, offset, count), errno)
    assert storage.is_closed()


def test_download_of_what_is_missing_keeps_the_connection(storage):
    storage.fails(wire.DOWNLOAD, download_body(NEVER), ENOENT)
    assert storage.is_usable()


def test_download_of_a_directory(storage):
    storage.fails(wire.DOWNLOAD, download_body("M00/00/00/."), EISDIR)


def test_download_without_the_path_prefix(storage):
    name = storage.upload(LETTERS)
    assert storage.download(name[4:]) == LETTERS


# --- names ------------------------------------------------------------------

def name_commands(name, group_name="group1"):
    """(command, request) of everything that takes a file name."""
    rows = [
        (wire.DOWNLOAD, download_body(name, group_name=group_name)),
        (wire.DELETE, file_ref(name, group_name)),
        (wire.GET_META, file_ref(name, group_name)),
        (wire.QUERY_INFO, file_ref(name, group_name)),
        (wire.SET_META, meta_body(name, b"a\x021", b"O", group_name))]
    if group_name == "group1":
        rows += [
            (wire.APPEND, append_body(name, b"x")),
            (wire.MODIFY, modify_body(name, 0, b"x")),
            (wire.TRUNCATE, truncate_body(name, 1)),
            (wire.UPLOAD_SLAVE, slave_body(name, "_s", b"x")),
            (wire.REGENERATE, wire.raw_name(name))]
    return rows


MALFORMED = [
    ("path_not_there", "M01" + NEVER[3:]),
    ("path_not_hex", "M0G" + NEVER[3:]),
    ("path_without_slash", "M00x" + NEVER[4:]),
    ("lower_case_directory", "M00/0a/00/" + NEVER[10:]),
    ("lower_case_m", "m00" + NEVER[3:]),
    ("slash_in_the_last_part", NEVER[:20] + "/" + NEVER[21:]),
    ("climbing", "M00/../00/" + NEVER[10:]),
    ("climbing_out", "M00/00/00/../../../../../etc/passwd".ljust(44, "x")),
    ("absolute", "/etc/passwd".ljust(44, "x")),
    ("short_directories", "M00/0/00/" + NEVER[9:]),
    ("no_directories", "M00/" + "A" * 40),
]


@pytest.mark.parametrize("name", [row[1] for row in MALFORMED],
                         ids=[row[0] for row in MALFORMED])
def test_malformed_names_are_refused_and_closed(cluster, name):
    before = cluster.storage.visible()
    for cmd, body in name_commands(name):
        with cluster.storage.connect() as conn:
            conn.fails(cmd, body, EINVAL)
            assert conn.is_closed(), f"command {cmd}"
    assert cluster.storage.visible() == before


HOSTILE = [
    ("nul", NEVER[:20] + "\0" + NEVER[21:]),
    ("dots", "M00/00/00/.."), ("dot", "M00/00/00/."),
    ("control", "M00/00/00/" + "\x01\x02\x1b[2J".ljust(34, "\x7f")),
    ("high_bytes", "M00/00/00/" + "\xff" * 34),
    ("spaces", "M00/00/00/" + " " * 34),
    ("newline", NEVER[:-1] + "\n"),
    ("mark_file", "M00/00/00/../../.fastdfs_vars"),
    ("hidden", "M00/.incoming/0"),
    ("nonsense_record", "M00/00/00/" + "_" * 27 + "999.txt"),
    ("empty_last_part", "M00/00/00/"),
]


@pytest.mark.parametrize("name", [row[1] for row in HOSTILE],
                         ids=[row[0] for row in HOSTILE])
def test_hostile_names_never_succeed(cluster, name):
    node = cluster.storage
    with node.connect() as conn:
        kept = conn.upload(LETTERS)
    before = node.visible()
    for cmd, body in name_commands(name):
        if STOCK and cmd == wire.SET_META:
            continue  # which writes metadata beside a directory
        with node.connect() as conn:
            answer = conn.call(cmd, body)
            assert answer.status in (ENOENT, EISDIR, EINVAL), f"command {cmd}"
    assert node.visible() == before
    with node.connect() as conn:
        assert conn.download(kept) == LETTERS


@pytest.mark.ours
def test_bytes_after_a_nul_do_not_make_another_name(cluster, storage):
    name = storage.upload(LETTERS)
    with cluster.storage.connect() as conn:
        answer = conn.call(wire.DELETE, file_ref(name + "\0-m"))
        assert answer.status in (ENOENT, EINVAL)
    assert storage.download(name) == LETTERS


def test_a_missing_file_is_told_and_the_connection_stays(storage):
    for cmd, body in name_commands(NEVER_APPENDER):
        storage.fails(cmd, body, ENOENT)
    assert storage.is_usable()


@pytest.mark.parametrize("wrong", ["group2", "g", "group11", "GROUP1",
                                   b"group1 ", b"\xff\xfe", b""])
def test_wrong_group_is_refused_and_closed(cluster, storage, wrong):
    name = storage.upload(LETTERS)
    for cmd, body in name_commands(name, wrong)[:5]:
        with cluster.storage.connect() as conn:
            conn.fails(cmd, body, EINVAL)
            assert conn.is_closed()
    assert storage.download(name) == LETTERS


def test_garbage_after_the_group_name_is_ignored(storage):
    name = storage.upload(LETTERS)
    assert storage.done(wire.DOWNLOAD, download_body(
        name, group_name=b"group1\0\xff\xffjunk!!")) == LETTERS


SHORT = [
    ("download_no_name", wire.DOWNLOAD, i64(0) + i64(0) + group()),
    ("download_empty", wire.DOWNLOAD, b""),
    ("download_15", wire.DOWNLOAD, bytes(15)),
    ("delete_no_name", wire.DELETE, group()),
    ("delete_empty", wire.DELETE, b""),
    ("info_no_name", wire.QUERY_INFO, group()),
    ("info_name_132", wire.QUERY_INFO, file_ref(NEVER.ljust(132, "x"))),
    ("get_meta_no_name", wire.GET_META, group()),
    ("set_meta_32", wire.SET_META, bytes(32)),
    ("append_name_43", wire.APPEND, append_body(NEVER_APPENDER[:43], b"abc")),
    ("append_name_128", wire.APPEND,
     append_body(NEVER_APPENDER.ljust(128, "x"), b"abc")),
    ("append_name_negative", wire.APPEND, i64(-1) + i64(1) + b"x" * 45),
    ("append_size_over", wire.APPEND,
     append_body(NEVER_APPENDER, b"abc", size=4)),
    ("append_size_negative", wire.APPEND,
     append_body(NEVER_APPENDER, b"abc", size=-3)),
    ("append_15", wire.APPEND, bytes(15)),
    ("modify_name_43", wire.MODIFY, modify_body(NEVER_APPENDER[:43], 0, b"a")),
    ("modify_size_over", wire.MODIFY,
     modify_body(NEVER_APPENDER, 0, b"abc", size=9)),
    ("modify_23", wire.MODIFY, bytes(23)),
    ("truncate_name_43", wire.TRUNCATE,
     truncate_body(NEVER_APPENDER[:43], 0)),
    ("truncate_15", wire.TRUNCATE, bytes(15)),
    ("slave_37", wire.UPLOAD_SLAVE, bytes(37)),
    ("slave_name_over", wire.UPLOAD_SLAVE,
     i64(200) + slave_body(NEVER, "_s", b"x")[8:]),
    ("slave_name_negative", wire.UPLOAD_SLAVE,
     i64(-44) + slave_body(NEVER, "_s", b"x")[8:]),
    ("regenerate_43", wire.REGENERATE, NEVER_APPENDER[:43].encode()),
    ("regenerate_128", wire.REGENERATE,
     NEVER_APPENDER.ljust(128, "x").encode()),
    ("regenerate_empty", wire.REGENERATE, b""),
    ("active_test_body", wire.ACTIVE_TEST, b"x"),
    ("unknown_99", 99, b""), ("unknown_99_body", 99, b"abcde"),
    ("unknown_0", 0, b""), ("unknown_255", 255, b""),
    ("tracker_command", wire.STORE_ONE, b""),
]


@pytest.mark.parametrize("cmd,body", [row[1:] for row in SHORT],
                         ids=[row[0] for row in SHORT])
def test_malformed_request_is_refused_and_closed(storage, cmd, body):
    storage.fails(cmd, body, EINVAL)
    assert storage.is_closed()


@pytest.mark.ours
def test_create_link_is_refused(storage):
    storage.fails(wire.CREATE_LINK, bytes(100), EINVAL)


# --- file info ----------------------------------------------------------------

def signed(crc):
    return crc - (1 << 32) if crc >> 31 else crc


def test_info_of_a_normal_file(cluster, storage):
    for data in (LETTERS, b"\xf0crc with the top bit 1"):
        name = storage.upload(data)
        said = wire.decode_name(name)
        want = (len(data), said.time, signed(crc32(data)),
                cluster.storage.address[0])
        for flags in (0, 1, 2, 3):
            assert storage.info(name, flags) == want


def test_info_crc_is_sign_extended(storage):
    datas = [b"%d" % i for i in range(64)]
    high = next(d for d in datas if crc32(d) >> 31)
    body = storage.done(wire.QUERY_INFO, file_ref(storage.upload(high)))
    assert body[16:20] == b"\xff" * 4
    assert body[20:24] == struct.pack(">I", crc32(high))


def test_info_of_appender_and_slave_reads_the_content(storage):
    name = storage.upload_appender(LETTERS)
    assert storage.info(name)[2] == signed(crc32(LETTERS))
    storage.append(name, b"more")
    assert storage.info(name)[0] == 24
    assert storage.info(name)[2] == signed(crc32(LETTERS + b"more"))
    assert storage.info(name, 1)[2] == 0
    slave = storage.upload_slave(storage.upload(LETTERS), "_thumbnail",
                                 b"small")
    assert storage.info(slave)[0] == 5
    assert storage.info(slave)[2] == signed(crc32(b"small"))
    assert storage.info(slave, 1)[2] == 0


def test_info_of_what_is_missing(storage):
    for name in (NEVER, "M00/00/00/short", NEVER.ljust(131, "x")):
        for flags in (0, 2):
            assert storage.call(wire.QUERY_INFO, file_ref(name),
                                flags).status == ENOENT
    assert storage.is_usable()


# --- appender files -----------------------------------------------------------

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


# --- slaves -------------------------------------------------------------------

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


def test_large_slave(storage):
    data = os.urandom(700_000)
    slave = storage.upload_slave(storage.upload(LETTERS), "_large", data)
    assert storage.download(slave) == data


# --- deleting -----------------------------------------------------------------

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


# --- metadata -----------------------------------------------------------------

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
