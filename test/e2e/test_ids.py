# SPDX-License-Identifier: MIT
"""Storage ids: two trackers and two storages of ours that find, name and
fill each other by id, whatever their ports and addresses are."""

import json
import signal
import socket
import struct

import pytest

import wire
from harness import NETWORK, STOCK, wait_until
from wire import group, pad

pytestmark = pytest.mark.skipif(STOCK, reason="trackers and storages of ours")

IDS = {"use_storage_id": "true", "id_type_in_filename": "id",
       "storage_ids_filename": "storage_ids.conf"}


def write_ids(made, lines=None):
    lines = lines or [f"{100001 + i} {s.group} {s.address[0]}:{s.address[1]}"
                      for i, s in enumerate(made.storages)]
    for tracker in made.trackers:
        (tracker.base / "storage_ids.conf").write_text("\n".join(lines))


@pytest.fixture
def by_id(several):
    """begin(tracker settings, storage i -> settings) with two of each."""
    def begin(each=None, trackers=2, lines=None, **tracker):
        made = several(start=False, trackers=["ours"] * trackers, storages=(),
                     tracker={**IDS, **tracker})
        for i in range(2):
            node = made.add_storage("ours", **(each(i) if each else {}))
            node.address = (node.address[0], int(node.conf["port"]))
        write_ids(made, lines and lines(made))
        return made.start()
    return begin


def listed(tracker):
    with tracker.connect() as conn:
        return {rec.id: (rec.ip, rec.port, rec.status)
                for rec in conn.storages()}


def check_files(made, source_of):
    """A file of each storage comes from each tracker and each storage."""
    for i, node in enumerate(made.storages):
        with node.connect() as conn:
            name = conn.upload(b"of %d" % i)
        assert wire.decode_name(name).source == source_of(i), name
        for tracker in made.trackers:
            with tracker.connect() as query:
                # A follower hears late that a fill has ended (59).
                wait_until(lambda q=query: q.locate(wire.UPDATE, name) ==
                           node.address, 20, "it is found by its id")
                assert query.locate(wire.FETCH_ONE, name) == node.address
        for other in made.storages:
            with other.connect() as conn:
                wait_until(lambda: conn.exists(name), 20,
                           f"{name} at {other.base.name}")
                assert conn.download(name) == b"of %d" % i


def by_number(i):
    return struct.pack("<I", 100001 + i)


def test_trusted_ids_and_ports_that_differ(by_id):
    made = by_id(lambda i: {"server_id": 100001 + i, "port": 23501 + i})
    for tracker in made.trackers:
        assert listed(tracker) == {
            str(100001 + i): (*node.address, wire.ACTIVE)
            for i, node in enumerate(made.storages)}
    check_files(made, by_number)
    with made.tracker.connect() as conn:
        records = conn.done(wire.LIST_GROUPS)
        assert len(records) == wire.GROUP_RECORD
    # Both restart and are still who they were.
    for node in made.storages:
        node.stop()
        node.start(active=False)
    made.wait_active()
    check_files(made, by_number)


def test_ids_that_are_looked_up(by_id):
    made = by_id(trust_storage_server_id="false")
    assert set(listed(made.trackers[1])) == {"100001", "100002"}
    check_files(made, by_number)


def test_an_id_of_ones_own_is_not_believed_when_not_trusted(by_id):
    # Each claims the other's id.
    made = by_id(lambda i: {"server_id": 100002 - i},
                 trust_storage_server_id="false")
    for i, node in enumerate(made.storages):
        assert listed(made.tracker)[str(100001 + i)][0] == node.address[0]
    check_files(made, by_number)


def test_addresses_in_the_names_of_files(by_id):
    made = by_id(id_type_in_filename="ip")
    check_files(made, lambda i: socket.inet_aton(made.storages[i].address[0]))


def test_tools_know_storages_by_id(by_id):
    made = by_id(trackers=1)
    path = made.dir / "here.txt"
    path.write_bytes(b"content")
    done = made.tool("fdfs", "put", path)
    assert done.returncode == 0, done.stderr
    name = done.stdout.decode().split()[0]
    there = made.dir / "there.txt"
    done = made.tool("fdfs", "get", name, "-O", there)
    assert done.returncode == 0, done.stderr
    assert there.read_bytes() == b"content"
    done = made.tool("fdfs-meta", "status", "--json")
    assert done.returncode in (0, 1), done.stderr
    text = done.stdout.decode()
    assert json.loads(text)
    assert "100001" in text and "100002" in text


def test_the_second_address_goes_to_its_own_kind(by_id):
    """An outer address stands second; a peer is told the one of its kind."""
    made = by_id(lines=lambda made: [
        f"{100001 + i} group1 10.254.253.{i + 1},{s.address[0]}:"
        f"{s.address[1]}" for i, s in enumerate(made.storages)])
    # We come from 127.x, which is outer.
    for i, node in enumerate(made.storages):
        assert listed(made.tracker)[str(100001 + i)][0] == node.address[0]
    check_files(made, by_number)
    with wire.Wire(made.tracker.address,
                   source=made.storages[0].address[0]) as conn:
        told = conn.done(wire.GET_MY_IP, pad("group1", 17) + struct.pack(
            ">i", made.storages[0].address[1])).decode()
    assert told == f"10.254.253.1,{made.storages[0].address[0]}"


def test_an_address_that_is_not_in_the_list(by_id):
    made = by_id(trackers=1)
    stranger = made.add_storage("ours")
    done = stranger.run_to_end()
    assert done.returncode == 1
    assert "has no line for group group1 and address %s:%d" % \
        stranger.address in done.stderr
    write_ids(made)
    made.tracker.signal(signal.SIGHUP)
    made.tracker.wait_log("reloaded")
    stranger.start(active=False)
    made.wait_active()
    assert len(listed(made.tracker)) == 3


# --- IPv6 -------------------------------------------------------------------

def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def leader_of(tracker):
    with tracker.connect() as conn:
        return conn.call(wire.GET_LEADER).body


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this host")
def test_ipv6(several):
    """All on ::1: ports alone tell them apart."""
    made = several(start=False, trackers=["ours"] * 2, storages=["ours"] * 2,
                 tracker=IDS)
    for i, node in enumerate(made.daemons):
        node.address = ("::1", NETWORK.port("127.0.0.1"))
        node.conf.update(bind_addr="::1", port=node.address[1])
    for node in made.storages:
        node.conf["tracker_server"] = [
            "[%s]:%d" % t.address for t in made.trackers]
    write_ids(made, [f"{100001 + i} group1 [::1]:{s.address[1]}"
                     for i, s in enumerate(made.storages)])
    for node in made.trackers:
        node.start()
    for node in made.storages:
        node.start(active=False)

    def states(tracker):
        """Lists are 46 bytes wide for addresses here."""
        with tracker.connect() as conn:
            body = conn.call(wire.LIST_STORAGES, group()).body
        size = wire.STORAGE_RECORD + 30
        assert len(body) % size == 0
        return {wire.text(body[at + 2:at + 18]):
                (wire.text(body[at + 18:at + 64]), body[at])
                for at in range(0, len(body), size)}
    for tracker in made.trackers:
        wait_until(lambda t=tracker: states(t) == {
            "100001": ("::1", wire.ACTIVE), "100002": ("::1", wire.ACTIVE)},
            30, "both are ACTIVE")
    wait_until(lambda: len({leader_of(t) for t in made.trackers}) == 1, 30,
               "the trackers agree who leads")
    assert leader_of(made.tracker) in {
        b"[::1]:%d" % t.address[1] for t in made.trackers}
    for i, node in enumerate(made.storages):
        with node.connect() as conn:
            name = conn.upload(b"six")
        assert wire.decode_name(name).source == by_number(i)
        with made.tracker.connect() as query:
            body = query.done(wire.UPDATE, wire.file_ref(name))
            assert wire.text(body[16:16 + 45]) == "::1"
            assert struct.unpack(">q", body[61:69])[0] == node.address[1]
        with made.storages[1 - i].connect() as conn:
            wait_until(lambda: conn.exists(name), 20, "it is replicated")
