# SPDX-License-Identifier: MIT
"""What a tracker answers in other clusters: several groups and storages,
storage ids, wide addresses, no space, servers that are down or deleted."""

import struct

import pytest

import wire
from harness import STOCK, Cluster, mixed_programs, wait_until
from wire import (EBUSY, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, download_body,
                  file_ref, group, i64, pad, upload_body)

EALREADY = 114


def names_of(raw, width=113):
    return [wire.text(raw[at:at + 17]) for at in range(0, len(raw), width)]


def test_an_empty_cluster(fresh):
    made = fresh(start=False)
    made.tracker.start()
    with made.tracker.connect() as conn:
        conn.fails(wire.STORE_ONE, b"", ENOENT)
        conn.fails(wire.STORE_ALL, b"", ENOENT)
        conn.fails(wire.STORE_GROUP_ONE, group(), ENOENT)
        conn.fails(wire.FETCH_ONE, file_ref("M00/00/00/" + "A" * 34), ENOENT)
        conn.fails(wire.TRACKER_STATUS, b"", ENOENT)
        assert conn.done(wire.LIST_GROUPS) == b""
        assert conn.done(wire.STORAGE_STAT, bytes(4)) == bytes(6)
        assert conn.done(wire.VOLUME_STAT, bytes(4)) == bytes(5)
        assert conn.is_usable()


# --- several groups --------------------------------------------------------

def test_groups_take_turns(fresh):
    made = fresh(storages=2, groups=["beta", "alpha"])
    with made.tracker.connect() as conn:
        told = [conn.store()[0] for _ in range(6)]
        assert told in (["alpha", "beta"] * 3, ["beta", "alpha"] * 3)
        assert names_of(conn.done(wire.LIST_GROUPS)) == ["alpha", "beta"]
        assert conn.store("alpha")[1] == made.storages[1].address[0]
        assert conn.store("beta")[1] == made.storages[0].address[0]
        stat = conn.done(wire.STORAGE_STAT, bytes(4))
        assert len(stat) == 6 + 2 * 106
        assert wire.text(stat[6:22]) == made.storages[1].address[0]


def test_the_named_group_takes_everything(fresh):
    made = fresh(storages=2, groups=["alpha", "beta"],
                 tracker={"store_lookup": 1, "store_group": "beta"})
    with made.tracker.connect() as conn:
        assert {conn.store()[0] for _ in range(5)} == {"beta"}
        assert conn.store("alpha")[0] == "alpha"


def test_a_named_group_that_is_missing(fresh):
    made = fresh(tracker={"store_lookup": 1, "store_group": "nobody"})
    with made.tracker.connect() as conn:
        conn.fails(wire.STORE_ONE, b"", ENOENT)
        assert conn.store("group1")[0] == "group1"


def test_a_group_without_a_live_storage_is_left_out(fresh):
    made = fresh(storages=2, groups=["alpha", "beta"])
    made.storages[0].stop()
    with made.tracker.connect() as conn:
        wait_until(lambda: conn.call(
            wire.STORE_GROUP_ONE, group("alpha")).status == ENOENT, 15)
        assert {conn.store()[0] for _ in range(4)} == {"beta"}
        conn.fails(wire.FETCH_ONE,
                   file_ref("M00/00/00/" + "A" * 34, "alpha"), ENOENT)
        conn.fails(wire.UPDATE,
                   file_ref("M00/00/00/" + "A" * 34, "alpha"), ENOENT)
        assert conn.is_usable()


def test_a_group_name_of_sixteen_letters(fresh):
    name = "abcdefghijklmnop"
    made = fresh(groups=[name])
    with made.tracker.connect() as query, made.storage.connect() as conn:
        assert query.done(wire.STORE_ONE)[:16] == name.encode()
        body = conn.done(wire.UPLOAD, upload_body(b"x"))
        assert body[:16] == name.encode()
        remote = body[16:].decode()
        assert query.locate(wire.FETCH_ONE, remote, name) == \
            made.storage.address
        assert conn.done(wire.DOWNLOAD, download_body(
            remote, group_name=name)) == b"x"
        listed = query.done(wire.LIST_GROUPS)
        assert wire.text(listed[:17]) == name


# --- several storages in a group -------------------------------------------

def replicating():
    """Programs for a group of two storages that are both active."""
    programs = mixed_programs()
    if programs is None:
        pytest.skip("needs storages that replicate: FastDFS's are not here")
    return programs


@pytest.fixture(scope="module")
def pair():
    with Cluster("pair", storages=2, programs=replicating()) as made:
        yield made


def ips(cluster):
    return [node.address[0] for node in cluster.storages]


def test_storages_take_turns(pair):
    with pair.tracker.connect() as conn:
        told = [conn.store()[1] for _ in range(6)]
    assert set(told) == set(ips(pair))
    assert told[0] == told[2] == told[4] != told[1]


def test_store_all_lists_both(pair):
    with pair.tracker.connect() as conn:
        body = conn.done(wire.STORE_ALL)
        port = pair.storage.address[1]
        want = group() + b"".join(pad(ip, 15) + i64(port)
                                  for ip in ips(pair)) + b"\0"
        assert body == want
        assert conn.done(wire.STORE_GROUP_ALL, group()) == want


def test_a_fresh_file_is_fetched_from_its_source(pair):
    for node in pair.storages:
        with node.connect() as conn:
            names = [conn.upload(b"x"), conn.upload_appender(b"x")]
            names.append(conn.upload_slave(names[0], "_slave", b"x"))
        with pair.tracker.connect() as query:
            for name in names:
                for cmd in (wire.FETCH_ONE, wire.UPDATE, wire.FETCH_ALL):
                    for _ in range(3):
                        assert query.locate(cmd, name) == node.address


def test_an_old_file_is_fetched_from_both(pair):
    old = "M00/00/00/Ck0BC1sClVeAANVyAAAAEp9nn5g136.txt"
    with pair.tracker.connect() as query:
        told = {query.locate(wire.FETCH_ONE, old)[0] for _ in range(6)}
        assert told == set(ips(pair))
        body = query.done(wire.FETCH_ALL, file_ref(old))
        assert len(body) == 62
        assert {wire.text(body[16:31]), wire.text(body[39:54])} == told


def test_lists_are_sorted_by_the_text_of_the_id(pair):
    with pair.tracker.connect() as conn:
        listed = [rec.id for rec in conn.storages()]
    assert listed == sorted(ips(pair))


@pytest.mark.slow
@pytest.mark.parametrize("how,want", [(1, 0), (2, 1)])
def test_store_server_settings(fresh, how, want):
    """1: first by id; 2: lowest upload_priority."""
    made = fresh(start=False, storages=2, programs=replicating(),
                 tracker={"store_server": how})
    made.storages[0].conf["upload_priority"] = 20
    made.storages[1].conf["upload_priority"] = 5
    made.start()
    with made.tracker.connect() as conn:
        assert {conn.store()[1] for _ in range(4)} == {ips(made)[want]}


@pytest.mark.slow
def test_a_source_that_is_down_is_replaced(fresh):
    made = fresh(storages=2, programs=replicating())
    with made.storages[0].connect() as conn:
        name = conn.upload(b"x")
    made.storages[0].stop()
    with made.tracker.connect() as query:
        other = made.storages[1].address
        wait_until(lambda: query.locate(wire.UPDATE, name) == other, 15)
        assert query.locate(wire.FETCH_ONE, name) == other
        assert {query.store()[1] for _ in range(3)} == {other[0]}
        rec = {r.ip: r.status for r in query.storages()}
        assert rec[other[0]] == wire.ACTIVE
        assert rec[made.storages[0].address[0]] != wire.ACTIVE


def test_delete_storage_and_group(fresh):
    made = fresh()
    ip = made.storage.address[0].encode()
    with made.tracker.connect() as conn:
        conn.fails(wire.DELETE_STORAGE, group() + ip, EBUSY)
        conn.fails(wire.DELETE_GROUP, group(), EBUSY)
        made.storage.stop()
        wait_until(lambda: conn.storages()[0].status != wire.ACTIVE, 15)
        assert conn.done(wire.DELETE_STORAGE, group() + ip) == b""
        conn.fails(wire.DELETE_STORAGE, group() + ip, EALREADY)
        if not STOCK:  # which needs a restart in between
            assert conn.done(wire.DELETE_GROUP, group()) == b""
            assert conn.done(wire.LIST_GROUPS) == b""
            conn.fails(wire.DELETE_GROUP, group(), ENOENT)


# --- space -----------------------------------------------------------------

def test_no_space_beyond_the_reserve(fresh):
    made = fresh(tracker={"reserved_storage_space": "99.99%"})
    with made.tracker.connect() as query, made.storage.connect() as conn:
        query.fails(wire.STORE_ONE, b"", ENOSPC)
        query.fails(wire.STORE_GROUP_ONE, group(), ENOSPC)
        query.fails(wire.STORE_ALL, b"", ENOSPC)
        conn.fails(wire.UPLOAD, upload_body(b"x", path=0), ENOSPC)
        conn.fails(wire.UPLOAD, upload_body(b"x"), ENOSPC)
        assert conn.is_usable()
        body = query.done(wire.VOLUME_STAT, bytes(4))
        assert body[-2:] == bytes(2)
        assert struct.unpack(">q", body[5 + 41:5 + 49])[0] == 0
        assert query.done(wire.VOLUME_STAT, b"\1\1\0\0") == bytes(5)


def test_the_tracker_sends_uploads_to_each_path_in_turn(fresh):
    made = fresh(paths=3)
    with made.tracker.connect() as query, made.storage.connect() as conn:
        told = [query.store()[3] for _ in range(6)]
        assert sorted(told) == [0, 0, 1, 1, 2, 2]
        for index in told[:3]:
            assert conn.upload(b"x", path=index).startswith(f"M{index:02X}/")
        conn.fails(wire.UPLOAD, upload_body(b"x", path=3), EINVAL)


# --- storage ids -----------------------------------------------------------

def write_ids(made, modes):
    lines = ["# id group address\n"]
    for i, (node, mode) in enumerate(zip(made.storages, modes)):
        lines.append(f"{100001 + i}\t{node.group}   "
                     f"{node.address[0]}:{node.address[1]} {mode}\n")
    lines.append(f"7 group1 {made.net}.99:{made.storage.address[1]} rw=none\n")
    (made.tracker.base / "storage_ids.conf").write_text("".join(lines))


def with_ids(fresh, tracker=None, modes=None):
    """Two storages with ids; their rw modes are set once they are active."""
    made = fresh(start=False, storages=2, programs=replicating(), tracker={
        "use_storage_id": "true", "storage_ids_filename": "storage_ids.conf",
        "id_type_in_filename": "id", **(tracker or {})})
    write_ids(made, ("", ""))
    made.start()
    if modes:
        write_ids(made, modes)
        made.tracker.restart()
        for node in made.storages:
            wait_until(node.active, 20, "the storage is ACTIVE again")
    return made


def test_storage_ids(fresh):
    made = with_ids(fresh)
    node = made.storages[0]
    port = node.address[1]
    with made.tracker.connect() as query, node.connect() as conn:
        listed = query.storages()
        assert [rec.id for rec in listed] == ["100001", "100002"]
        assert [rec.ip for rec in listed] == ips(made)
        body = query.done(wire.LIST_STORAGES, group() + b"100002")
        assert len(body) == 487
        query.fails(wire.LIST_STORAGES, group() + node.address[0].encode(),
                    ENOENT)

        name = conn.upload(b"x")
        assert wire.decode_name(name).source == struct.pack("<I", 100001)
        assert query.locate(wire.UPDATE, name) == node.address
        assert conn.info(name)[3] == node.address[0]

        for empty in (b"\0", b"\1"):
            body = query.done(wire.FETCH_STORAGE_IDS, bytes(4) + empty)
            assert struct.unpack(">ii", body[:8]) == (3, 3)
            assert body[8:].decode() == "".join([
                f"100001 group1 {ips(made)[0]}:{port}\n",
                f"100002 group1 {ips(made)[1]}:{port}\n",
                f"7 group1 {made.net}.99:{port} rw=none\n"])
        body = query.done(wire.FETCH_STORAGE_IDS, struct.pack(">ib", 2, 0))
        assert struct.unpack(">ii", body[:8]) == (3, 1)
        for start in (3, -1, 1 << 30):
            query.fails(wire.FETCH_STORAGE_IDS,
                        struct.pack(">ib", start, 0), EINVAL)

        where = group() + ("%s:%d" % node.address).encode()
        assert query.done(wire.GET_SERVER_ID, where) == b"100001"
        query.fails(wire.GET_SERVER_ID, group() + b"1.2.3.4:5", ENOENT)
        body = query.done(wire.GET_STORAGE_STATUS, where)
        assert body[0] == wire.ACTIVE
        assert wire.text(body[5:21]) == "100001"

        text = node.address[0].encode()
        assert query.done(wire.GET_GROUP_NAME,
                          text + struct.pack(">i", port)) == group()
        query.fails(wire.GET_GROUP_NAME, text + struct.pack(">i", 1), ENOENT)
        query.fails(wire.GET_GROUP_NAME, b"abc", EINVAL)
        query.fails(wire.GET_GROUP_NAME, b"1" * 46 + bytes(4), 36)
        params = query.done(wire.PARAMETER_REQ).decode()
        assert "use_storage_id=1\n" in params
        assert "id_type_in_filename=id\n" in params
        assert query.done(wire.STORAGE_STAT, bytes(4))[0] == 1


@pytest.mark.slow
def test_address_in_the_name_although_ids_are_used(fresh):
    made = with_ids(fresh, tracker={"id_type_in_filename": "ip"})
    with made.storage.connect() as conn:
        name = conn.upload(b"x")
    assert ".".join(map(str, wire.decode_name(name).source)) == ips(made)[0]
    with made.tracker.connect() as query:
        assert query.locate(wire.UPDATE, name) == made.storage.address


@pytest.mark.slow
def test_a_read_only_storage_takes_no_uploads(fresh):
    made = with_ids(fresh, modes=("rw=read", ""))
    first, second = made.storages
    old = "M00/00/00/Ck0BC1sClVeAANVyAAAAEp9nn5g136.txt"
    with made.tracker.connect() as query:
        assert {query.store()[1] for _ in range(4)} == {second.address[0]}
        assert {query.locate(wire.FETCH_ONE, old)[0] for _ in range(6)} == \
            set(ips(made))
        assert [rec.rw for rec in query.storages()] == [4, 6]
        with first.connect() as conn:
            name = conn.upload(b"x")
        assert query.locate(wire.FETCH_ONE, name) == first.address
        assert query.locate(wire.UPDATE, name) == second.address
        body = query.done(wire.LIST_ONE_GROUP, group())
        assert struct.unpack(">2q", body[65:81]) == (2, 1)


@pytest.mark.slow
def test_a_write_only_storage_serves_no_downloads(fresh):
    made = with_ids(fresh, modes=("rw=write", ""))
    old = "M00/00/00/Ck0BC1sClVeAANVyAAAAEp9nn5g136.txt"
    with made.tracker.connect() as query:
        assert {query.store()[1] for _ in range(4)} == set(ips(made))
        assert {query.locate(wire.FETCH_ONE, old)[0] for _ in range(6)} == \
            {made.storages[1].address[0]}


# --- wide addresses --------------------------------------------------------

def test_addresses_of_46_bytes(fresh):
    made = fresh(start=False, tracker={"response_ip_addr_size": "IPv6"})
    made.tracker.start()
    node = made.storage
    node.launch()
    ip, port = node.address
    with made.tracker.connect() as query:
        def listed():
            answer = query.call(wire.LIST_STORAGES, group())
            return answer.status == 0 and len(answer.body) == 517 and \
                answer.body[0] == wire.ACTIVE and answer.body
        body = wait_until(listed, 20, "the storage is ACTIVE")
        assert wire.text(body[18:64]) == ip
        assert struct.unpack(">q", body[160:168])[0] == port
        wait_until(lambda: query.call(wire.STORE_ONE).status == 0, 10)
        body = query.done(wire.STORE_ONE)
        assert body == group() + pad(ip, 45) + i64(port) + b"\0"
        old = "M00/00/00/Ck0BC1sClVeAANVyAAAAEp9nn5g136.txt"
        for cmd in (wire.FETCH_ONE, wire.UPDATE, wire.FETCH_ALL):
            assert query.done(cmd, file_ref(old)) == \
                group() + pad(ip, 45) + i64(port)
        assert len(query.done(wire.STORE_ALL)) == 70
        assert b"response_ip_addr_size=46\n" in \
            query.done(wire.PARAMETER_REQ)
    with node.connect() as conn:
        name = conn.upload(b"x")
        body = conn.done(wire.QUERY_INFO, file_ref(name))
        assert len(body) == 70 and wire.text(body[24:]) == ip


# --- trunk settings (files are never put into trunks here) -----------------

def test_trunk_commands_are_off(tracker):
    tracker.fails(wire.SET_TRUNK_SERVER, group() + b"127.0.0.9", EOPNOTSUPP)
    assert tracker.is_usable()
