# SPDX-License-Identifier: MIT
"""Storage commands: uploads, downloads, names, file information."""

import os
import re
import struct

import pytest

import wire
from harness import STOCK, wait_until
from wire import (EINVAL, EISDIR, ENOENT, LETTERS, NEVER, NEVER_APPENDER,
                  append_body, crc32, download_body, file_ref, group, i64,
                  message, meta_body, modify_body, slave_body,
                  truncate_body, upload_body)


# --- uploads ---------------------------------------------------------------

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
@pytest.mark.parametrize("name", [NEVER, NEVER_APPENDER])
def test_refused_append_is_drained(cluster, name, size):
    with cluster.storage.connect() as conn:
        conn.fails(wire.APPEND, append_body(name, bytes(size)), ENOENT)
        assert conn.is_usable()


# --- downloads -------------------------------------------------------------

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


def test_download_of_a_directory(cluster, storage):
    path = cluster.storage.path_of(NEVER)
    path.mkdir()
    try:
        storage.fails(wire.DOWNLOAD, download_body(NEVER), EISDIR)
        assert storage.is_usable()
    finally:
        path.rmdir()


@pytest.mark.parametrize("name", ["M00/00/00/.", "M00/00/00/.."])
def test_download_of_a_directory_by_dots(storage, name):
    storage.fails(wire.DOWNLOAD, download_body(name), EISDIR)
    assert storage.is_usable()


@pytest.mark.parametrize("name", [NEVER, NEVER_APPENDER])
def test_delete_of_a_directory_is_refused_and_closed(cluster, name):
    path = cluster.storage.path_of(name)
    path.mkdir()
    try:
        with cluster.storage.connect() as conn:
            conn.fails(wire.DELETE, file_ref(name), EINVAL)
            assert conn.is_closed()
        with cluster.storage.connect() as conn:
            conn.fails(wire.APPEND, append_body(name, b"x"), EINVAL)
            assert conn.is_closed()
        assert path.is_dir()
    finally:
        path.rmdir()


def test_download_without_the_path_prefix(storage):
    name = storage.upload(LETTERS)
    assert storage.download(name[4:]) == LETTERS


# --- names -----------------------------------------------------------------

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
    ("too_short", "00/00/abcd"),
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


# --- file info -------------------------------------------------------------

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
    for name in (NEVER, "M00/00/00/short", NEVER.ljust(127, "x")):
        for flags in (0, 2):
            assert storage.call(wire.QUERY_INFO, file_ref(name),
                                flags).status == ENOENT
    assert storage.is_usable()


@pytest.mark.parametrize("name", [NEVER, NEVER_APPENDER, NEVER[4:]])
@pytest.mark.parametrize("length", [124, 127, 128, 131])
def test_info_looks_names_up_that_are_longer_than_any_file(
        storage, name, length):
    storage.fails(wire.QUERY_INFO, file_ref(name.ljust(length, "x")), ENOENT)
    assert storage.is_usable()


def test_long_names_without_the_path_prefix_are_looked_up(storage):
    for cmd, body in name_commands(NEVER[4:].ljust(127, "x")):
        storage.fails(cmd, body, ENOENT)
    assert storage.is_usable()
