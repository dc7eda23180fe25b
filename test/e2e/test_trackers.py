# SPDX-License-Identifier: MIT
"""Two and three real trackers with real storages: one leads, the others
follow; it dies, freezes, returns. Ours among themselves on loopback
addresses, ours beside FastDFS's in network namespaces."""

import json
import re
import threading
import time

import pytest

import wire
from harness import STOCK, wait_until
from nodes import needs_namespaces, needs_stock
from test_tracker_election import tracker_rows
from wire import EOPNOTSUPP

RESELECT, STATUS, TRACKER_STAT = 68, 64, 96
OFFLINE = 5
# Three attempts and a second (4.5); then others wait 1 to 11 s (4.3).
FAILOVER = 8 + 3
AGREED = FAILOVER + 11

pytestmark = pytest.mark.skipif(STOCK, reason="chooses its programs itself")


def name_of(tracker):
    return "%s:%d" % tracker.address


def led_by(made, deadline=AGREED, but=None):
    """Waits until all running trackers name the same running leader."""
    def agreed():
        found = made.leader()
        return found if found and found is not but and found.alive() else None
    return wait_until(agreed, deadline, "the trackers agree who leads")


def followed(made, leader):
    """Waits until every other tracker pings the leader. One of FastDFS's that
    has not yet done so takes much longer to notice that the leader died."""
    with leader.connect() as conn:
        wait_until(lambda: all(row[1] for row in tracker_rows(conn).values()),
                   20, "all follow")


def leads(tracker):
    try:
        with tracker.connect(3) as conn:
            answer = conn.call(STATUS)
            return answer.status == 0 and answer.body[0] == 1
    except (OSError, wire.Closed):
        return False


class Watch:
    """Looks all the time whether trackers say ACTIVE of every storage."""

    def __init__(self, trackers, storages):
        self.bad = []
        self.ended = threading.Event()
        self.thread = threading.Thread(
            target=self._run, args=(trackers, storages), daemon=True)
        self.thread.start()

    def _run(self, trackers, storages):
        while not self.ended.wait(0.1):
            for tracker in trackers:
                for node in storages:
                    rec = tracker.sees(node)
                    if rec is None or rec.status != wire.ACTIVE:
                        self.bad.append((tracker.base.name, rec))

    def end(self):
        self.ended.set()
        self.thread.join(10)
        assert not self.bad, self.bad[:3]


def put_and_get(made, tracker):
    """A client that knows this tracker only."""
    data = str(time.time()).encode()
    with tracker.connect() as asker:
        group, ip, port, _ = asker.store()
        with wire.StorageWire((ip, port)) as conn:
            name = conn.upload(data)
        place = asker.locate(wire.FETCH_ONE, name, group)
        with wire.StorageWire(place) as conn:
            assert conn.download(name) == data
    assert made.storages


# --- ours -------------------------------------------------------------------

@pytest.mark.parametrize("count", [2, 3])
def test_one_of_several_leads_and_clients_may_ask_any(several, count):
    made = several(trackers=["ours"] * count)
    leader = led_by(made)
    assert leader is made.trackers[-1]  # the highest address
    assert [leads(t) for t in made.trackers] == [False] * (count - 1) + [True]
    for tracker in made.trackers:
        put_and_get(made, tracker)
    followed(made, leader)
    with leader.connect() as conn:
        rows = tracker_rows(conn)
    assert set(rows) == {name_of(t) for t in made.trackers}
    assert [row[0] for row in rows.values()].count(1) == 1
    with made.trackers[0].connect() as conn:
        conn.fails(TRACKER_STAT, bytes(3), EOPNOTSUPP)
    made.wait_active(5)


@pytest.mark.parametrize("count", [2, 3])
def test_a_killed_leader_is_replaced_and_returns_as_follower(several, count):
    made = several(trackers=["ours"] * count)
    old = led_by(made)
    rest = [t for t in made.trackers if t is not old]
    watch = Watch(rest, made.storages)
    died = time.monotonic()
    old.kill()
    wait_until(lambda: any(leads(t) for t in rest), AGREED, "a new leader")
    assert time.monotonic() - died < (FAILOVER if count == 2 else AGREED)
    new = led_by(made, but=old)
    for tracker in rest:
        put_and_get(made, tracker)
    old.start()
    assert led_by(made, 15) is new
    assert not leads(old)
    made.wait_active(10)
    put_and_get(made, old)
    watch.end()


def test_a_follower_that_dies_disturbs_nobody(several):
    made = several(trackers=["ours"] * 3)
    leader = led_by(made)
    follower = made.trackers[0]
    watch = Watch([t for t in made.trackers if t is not follower],
                  made.storages)
    follower.kill()
    with leader.connect() as conn:
        wait_until(lambda: tracker_rows(conn)[name_of(follower)][1] == 0, 5,
                   "the leader misses it")
    put_and_get(made, leader)
    follower.start()
    assert led_by(made, 15) is leader
    watch.end()


def test_a_leader_that_is_asked_to_gives_up_and_one_leads_again(several):
    made = several(trackers=["ours"] * 3)
    leader = led_by(made)
    with made.trackers[0].connect() as conn:
        conn.fails(RESELECT, b"", EOPNOTSUPP)
    with leader.connect() as conn:
        conn.done(RESELECT)
    assert led_by(made)
    made.wait_active(5)


@pytest.mark.slow
@pytest.mark.limit(180)
def test_a_frozen_leader_is_replaced_and_two_leaders_do_not_stay(several):
    made = several(trackers=["ours"] * 2)
    old = led_by(made)
    new = next(t for t in made.trackers if t is not old)
    old.pause()
    wait_until(lambda: leads(new), 45, "the other leads")
    put_and_get(made, new)
    old.go_on()

    def one():
        return [leads(t) for t in made.trackers].count(True) == 1 and \
            made.leader()
    wait_until(one, 60, "one leader")
    made.wait_active(10)


@pytest.mark.slow
def test_all_trackers_restart_at_once(several):
    made = several(trackers=["ours"] * 3)
    for tracker in made.trackers:
        tracker.kill()
    for tracker in made.trackers:
        tracker.start()
    assert led_by(made, 30)
    made.wait_active(20)
    put_and_get(made, made.tracker)


def test_the_tools_tell_the_truth_about_three_trackers(several):
    made = several(trackers=["ours"] * 3)

    def told():
        out = made.tool("fdfs-meta", "status", "--json")
        return {row["subject"]: row["state"]
                for row in json.loads(out.stdout)["rows"]
                if row["kind"] == "tracker"}

    def truth(leader):
        return {name_of(t): "leader" if t is leader else "follower"
                for t in made.trackers}
    first = led_by(made)
    assert told() == truth(first)
    screen = made.tool("fdfs-top", "--once").stdout.decode()
    for name, role in truth(first).items():
        assert re.search(re.escape(name) + r"\s+" + role, screen), screen
    first.kill()
    second = led_by(made, but=first)
    wrong = {**truth(second), name_of(first): told()[name_of(first)]}
    assert told() == wrong and wrong[name_of(first)] not in ("leader",
                                                             "follower")


# --- hosts that vanish ------------------------------------------------------

@needs_namespaces()
def test_a_storage_behind_a_cut_cable_is_offline_in_seconds(several):
    made = several(namespaces=True, storage={"heart_beat_interval": 30},
                tracker={"check_active_interval": 120})
    node = made.storages[0]
    time.sleep(1)
    made.network.cut(made.tracker, node)
    began = time.monotonic()
    wait_until(lambda: made.tracker.sees(node).status == OFFLINE, 20,
               "OFFLINE")
    assert time.monotonic() - began < 10
    made.network.heal(made.tracker, node)
    made.wait_active(40)


@needs_namespaces()
@pytest.mark.slow
def test_trackers_that_lose_sight_of_each_other_end_with_one_leader(several):
    made = several(namespaces=True, trackers=["ours"] * 2,
                tracker={"connect_timeout": 2})
    one, two = made.trackers
    assert led_by(made) is two
    made.network.cut(one, two)
    wait_until(lambda: leads(one), 60, "both lead")
    assert leads(two)
    made.network.heal(one, two)
    wait_until(lambda: [leads(one), leads(two)].count(True) == 1
               and made.leader(), 90, "one leader")
    made.wait_active(20)


# --- beside FastDFS's -------------------------------------------------------

def start_failing_over(several, kinds, storages=("ours",)):
    """Kills the leader, brings it back as a follower, and again, so that
    each kind leads and follows each."""
    made = several(namespaces=True, trackers=kinds, storages=storages,
                 tracker={"connect_timeout": 2})
    first = led_by(made, 40)
    assert first is made.trackers[-1]
    for old in (first, None):
        old = old or made.leader()
        followed(made, old)
        old.kill()
        new = led_by(made, AGREED + 10, but=old)
        old.start()
        time.sleep(4)
        assert led_by(made, 30) is new
        assert not leads(old)
        followed(made, new)
        made.wait_active(40)
        for tracker in made.trackers:
            put_and_get(made, tracker)


@needs_stock()
@needs_namespaces()
@pytest.mark.slow
@pytest.mark.limit(300)
@pytest.mark.parametrize("kinds", [("stock", "ours"), ("ours", "stock"),
                                   ("stock", "ours", "stock")],
                         ids="-".join)
def test_ours_and_stock_lead_and_follow_each_other(several, kinds):
    start_failing_over(several, kinds)


@needs_stock()
@needs_namespaces()
@pytest.mark.slow
@pytest.mark.limit(300)
def test_a_stock_storage_sees_ours_and_stock_trackers(several):
    start_failing_over(several, ("stock", "ours"), ("stock",))
