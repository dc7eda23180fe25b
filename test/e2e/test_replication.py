# SPDX-License-Identifier: MIT
"""Groups of several storages of ours: what one takes, all have."""

import statistics
import threading
import time

import pytest

import agree
import mixload
import wire
from agree import wait_agree
from harness import wait_until
from mixload import Load
from nodes import needs_namespaces

pytestmark = pytest.mark.ours


def appears(node, name, deadline=10.0):
    wait_until(lambda: node.path_of(name).exists(), deadline,
               f"{name} is on {node.base.name}")


@pytest.mark.parametrize("members", [2, 3])
def test_everything_of_a_mixed_load_arrives_on_all(several, members):
    made = several(storages=["ours"] * members, paths=2)
    with Load(made.storages, seed=members) as load:
        time.sleep(3)
    assert not load.model.lost, load.model
    for what in mixload.EVERYTHING:
        assert load.model.done.get(what), f"no {what} among the load"
    wait_agree(made.storages, load.model)
    agree.verify_ours(made, made.storages)


def test_one_file_is_on_the_peer_in_no_time(several):
    """Not a measure (that is in test/bench), but no polling interval."""
    made = several(storages=["ours", "ours"])
    one, other = made.storages
    lags = []
    with one.connect() as conn:
        appears(other, conn.upload(b"first"))
        for i in range(30):
            name = conn.upload(b"%d" % i)
            since = time.monotonic()
            while not other.path_of(name).exists():
                assert time.monotonic() - since < 10
            lags.append(time.monotonic() - since)
    assert statistics.median(lags) < 0.3, lags


def test_what_a_peer_was_sent_is_recorded_as_its_source_did_it(several):
    made = several(storages=["ours", "ours"])
    one, other = made.storages
    with one.connect() as conn:
        name = conn.upload_appender(b"abc")
        conn.append(name, b"def")
        conn.set_meta(name, wire.pack_meta({"a": "b"}))
        gone = conn.upload(b"gone")
        conn.delete(gone)
    wait_agree(made.storages)

    def rows(node):
        with node.connect() as conn:
            assert conn.is_usable()
        with agree.sqlite3_closing(node.oplog()) as log:
            return log.execute("select op, replica, source_time from "
                               "operation where name = ? order by seq",
                               (name,)).fetchall()
    here, there = rows(one), rows(other)
    assert [tuple(r)[:2] for r in here] == [("C", 0), ("A", 0), ("U", 0)]
    assert {r["replica"] for r in there} == {1}
    # The last states that matter came with the times of the source.
    assert here[0]["source_time"] == there[0]["source_time"]
    assert not other.path_of(gone).exists()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_peer_that_was_away_catches_up(several, how):
    made = several(storages=["ours", "ours", "ours"])
    model = mixload.run(made.storages, 200, seed=1)
    away = made.storages[2]
    getattr(away, how)()
    mixload.run(made.storages[:2], 500, seed=2, model=model)
    away.start(active=False)
    mixload.run(made.storages, 200, seed=3, model=model)
    made.wait_active()
    wait_agree(made.storages, model)
    agree.verify_ours(made, made.storages)


def test_a_source_that_is_killed_goes_on_where_it_was(several):
    made = several(storages=["ours", "ours"])
    model = mixload.Model()
    for turn in range(3):
        with Load(made.storages, seed=turn, model=model):
            time.sleep(0.7)
            made.storages[turn % 2].kill()
        made.storages[turn % 2].start(active=False)
    made.wait_active()
    wait_agree(made.storages, model)
    agree.verify_ours(made, made.storages)


def test_a_restart_of_all_loses_nothing(several):
    made = several(trackers=["ours", "ours"], storages=["ours", "ours"])
    with Load(made.storages, seed=5) as load:
        time.sleep(1)
        for node in made.daemons:
            node.kill()
    for node in made.daemons:
        node.launch()
    made.wait_active()
    mixload.run(made.storages, 200, seed=6, model=load.model)
    wait_agree(made.storages, load.model)


def test_a_new_member_gets_everything_while_both_serve(several):
    made = several(storages=["ours"], paths=2)
    model = mixload.run(made.storages, 1500, seed=7)
    fresh = made.add_storage("ours")
    with Load(made.storages[:1], seed=8, model=model, pause=0.005):
        fresh.start(60)
        # ACTIVE: everything up to the agreed moment is there.
    wait_agree(made.storages, model)
    agree.verify_ours(made, made.storages)
    with fresh.connect() as conn:
        for file in list(model.files.values())[:50]:
            if file.content:
                assert conn.download(file.name) == file.content


def test_members_of_other_groups_get_nothing(several):
    made = several(storages=["ours"] * 3, groups=["a", "b", "a"])
    one, alien, other = made.storages
    model = mixload.run([one, other], 200, seed=9)
    wait_agree([one, other], model)
    assert not alien.visible()


# --- 2.5: a download is never sent where the file is not yet --------------

class Reader(threading.Thread):
    """Uploads, asks a tracker at once where to read it, and reads it."""

    def __init__(self, made, trackers, until):
        super().__init__(daemon=True)
        self.made = made
        self.trackers = trackers
        self.until = until
        self.reads = {}
        self.wrong = None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.once()
        except Exception as err:  # noqa: BLE001
            self.wrong = err

    def once(self):
        for tracker in self.trackers:
            with tracker.connect() as ask:
                _, ip, port, path = ask.store()
                with wire.StorageWire((ip, port)) as conn:
                    kept = [conn.upload(b"x" * (i * 100 + 1), path=path)
                            for i in range(10)]
                for i, name in enumerate(kept):
                    for _ in range(2):
                        where = ask.locate(wire.FETCH_ONE, name)
                        with wire.StorageWire(where) as conn:
                            answer = conn.call(wire.DOWNLOAD,
                                               wire.download_body(name))
                            assert answer.status == 0, (
                                f"{name}: {answer.status} of {where}")
                            assert len(answer.body) == i * 100 + 1
                        self.reads[where] = self.reads.get(where, 0) + 1


def read_back(made, seconds, meanwhile=lambda: None, readers=3):
    until = time.monotonic() + seconds
    found = [Reader(made, made.trackers, until) for _ in range(readers)]
    for reader in found:
        reader.start()
    while time.monotonic() < until:
        meanwhile()
        time.sleep(0.1)
    for reader in found:
        reader.join(30)
        assert not reader.is_alive()
        if reader.wrong is not None:
            raise reader.wrong
    assert sum(sum(r.reads.values()) for r in found) > 50
    return found


def test_a_file_is_read_right_after_its_upload_where_the_tracker_says(several):
    made = several(storages=["ours"] * 3)
    with Load(made.storages, workers=2, seed=10, pause=0.002) as load:
        read_back(made, 5)
    wait_agree(made.storages, deadline=30)
    assert not load.model.lost


def test_a_file_is_read_at_once_although_a_peer_stands_still(several):
    made = several(storages=["ours"] * 3)
    slow = made.storages[2]

    def pulse():
        slow.pause()
        time.sleep(0.4)
        slow.go_on()
    read_back(made, 6, pulse)
    wait_agree(made.storages)


@needs_namespaces()
def test_a_file_is_read_at_once_although_a_peer_is_far_away(several):
    made = several(storages=["ours"] * 3, namespaces=True,
                 trackers=["ours", "ours"])
    for node in made.storages[:2]:
        made.network.delay(made.storages[2], node, 150)
    with Load(made.storages, workers=2, seed=11, pause=0.005):
        read_back(made, 6)
    for node in made.storages[:2]:
        made.network.heal(made.storages[2], node)
    wait_agree(made.storages, deadline=60)


@needs_namespaces()
def test_a_cut_between_two_members_heals(several):
    made = several(storages=["ours"] * 3, namespaces=True)
    one, two, three = made.storages
    model = mixload.run(made.storages, 200, seed=12)
    wait_agree(made.storages, model)
    made.network.cut(one, two)
    mixload.run(made.storages, 300, seed=13, model=model)
    # The third is not held up by the pair that does not speak.
    wait_until(lambda: not agree.compare_model(three, agree.on_disk(three),
                                               model), 20,
               "the third member has everything")
    assert agree.on_disk(one) != agree.on_disk(two)
    made.network.heal(one, two)
    wait_agree(made.storages, model, 90)
