# SPDX-License-Identifier: MIT
"""What FastDFS's storages said to its leading tracker when a member joined,
was deleted and came back, changed its address or lost its source: played
again, each connection for itself, and every answer compared."""

import json
import re
import struct

import pytest

import wire
from harness import STOCK, wait_until
from test_tracker_dialogue import (ACTIVE, BEAT, CHANGELOG, DEST_QUERY,
                                   DEST_REQ, DISK, JOIN, OFFLINE, PARAMETERS,
                                   SRC_REQ, SYNC_REPORT, TRANSCRIPTS,
                                   WAIT_SYNC,
                                   Player, Stage, source_body, stats_block)
from wire import group, i64, text

pytestmark = pytest.mark.skipif(STOCK, reason="a recording of it")

NET = "10.88.0."
PORT = 23200
QUIT = 82


class Scene:
    """A recording, moved to a lone tracker of ours."""

    def __init__(self, stage, name, tracker=12, ids="", **conf):
        self.s = stage(**conf)
        self.tracker_number = tracker
        if conf:
            path = self.s.tracker.base / conf["storage_ids_filename"]
            path.write_text(ids.replace(
                "NET.", self._ip(0).rsplit(".", 1)[0] + "."))
            self.s.tracker.start()
        self.rows = self._rows(next(TRANSCRIPTS.glob(f"{name}-*.jsonl")))
        self.conns = {}
        self.members = {}
        self.ahead = {}
        self.compared = 0

    def _rows(self, path):
        here = f"{NET}{self.tracker_number}:22322"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [row for row in rows
                if here in (row.get("to_addr"), row.get("from_addr"))
                and "storage" in (row["from"], row["to"])]

    def _ip(self, number):
        if number == self.tracker_number:
            return self.s.tracker.address[0]
        return self.s.ip(number + 80)

    def moved(self, raw):
        """Addresses; fields keep their width."""
        def swap(found):
            new = self._ip(int(found.group(1))).encode()
            if not found.group(2):
                return new
            return new.ljust(len(found.group(0)), b"\0")
        return re.sub(rb"10\.88\.0\.(\d+)(\0*)", swap, raw)

    # --- before the recording begins ---

    def player(self, number):
        return Player(self.s.tracker, self._ip(number))

    def await_leader(self):
        with self.s.tracker.connect() as conn:
            wait_until(lambda: conn.call(wire.GET_LEADER).status == 0, 10)

    def settled(self, *numbers, name="group1", sources=None):
        """ACTIVE members; sources[n]: who filled member n."""
        made = {}
        for number in numbers:
            made[number] = self.player(number)
            first = number == numbers[0]
            made[number].join(name=name, port=PORT, init=int(first),
                              status=0xFF if first else ACTIVE)
            made[number].done(*((DEST_REQ,) if first else
                                (88, self._source(sources, number))))
            made[number].beat(stats_block())
            made[number].disk((258019, 77000))
        self.await_leader()
        return made

    def _source(self, sources, number):
        if number not in (sources or {}):
            return source_body()
        return source_body(self._ip(sources[number]), 1795330051)

    def tell(self, made):
        """All of them know of each other and of all changes."""
        for _ in range(2):
            for player in made.values():
                player.beat()
        for player in made.values():
            player.done(CHANGELOG)
        self.members = made

    def leave(self, made, number):
        made.pop(number).close()
        wait_until(lambda: self.s.status(number + 80) == OFFLINE, 5)

    def delete(self, number):
        with self.s.tracker.connect() as conn:
            conn.done(wire.DELETE_STORAGE,
                      group() + self._ip(number).encode())

    # --- playing ---

    def _conn(self, row):
        key = row["conn"]
        if key not in self.conns:
            number = int(row["from_addr"].split(":")[0].split(".")[3])
            ad_hoc = row["cmd"] in (60, 75, 76, 77, 78, 86) and \
                len(row["hex"]) > 20
            joins = row["cmd"] in (JOIN, 71, 75, 68)
            if ad_hoc or joins or number not in self.members:
                self.conns[key] = self.player(number)
            else:  # it joined before the recording began
                self.conns[key] = self.members.pop(number)
        return self.conns[key]

    def _request(self, row):
        raw = bytes.fromhex(row["hex"])
        body = self.moved(raw[10:])
        if row["cmd"] == JOIN:  # there is no other tracker here
            body = body[:137] + i64(1) + \
                ("%s:%d\n" % self.s.tracker.address).encode()
        return raw[8], body

    def _briefs(self, cmd, body):
        rows = []
        for at in range(1, len(body), 67):
            port = struct.unpack(">i", body[at + 1:at + 5])[0]
            if port in (22322, self.s.tracker.address[1]):
                port = "tracker"
            rows.append((body[at], port, text(body[at + 5:at + 21]),
                         text(body[at + 21:at + 67])))
        assert (len(body) - 1) % 67 == 0, cmd
        return body[0], rows

    def _meaning(self, cmd, body):
        """What has to be the same: no times, nothing behind a NUL."""
        if cmd in (BEAT, DISK, SYNC_REPORT):
            return self._briefs(cmd, body)
        if cmd == PARAMETERS:
            return body.splitlines()[:4]  # the rest is as configured
        if cmd == CHANGELOG:
            return re.sub(rb"(?m)^\d{10}", b"time", body)
        if cmd == JOIN:
            return body[:1], text(body[1:])
        if cmd in (SRC_REQ, DEST_REQ, DEST_QUERY) and body:
            assert len(body) == 24
            return text(body[:16])
        return body

    def play(self, first=0, last=10 ** 9, expect=None, lists=True):
        """Everything between two moments. expect: {(t_ms, cmd): meaning}
        where ours is better. lists: that of a follower has none."""
        asked = {}
        self.expect, self.lists = expect or {}, lists
        for row in self.rows:
            if not first <= row["t_ms"] <= last or row.get("truncated"):
                continue
            if row["from"] == "storage":
                conn = self._conn(row)
                cmd, body = self._request(row)
                if cmd == QUIT:
                    conn.close()
                    continue
                asked[row["conn"]] = (row, cmd, conn.call(cmd, body))
            elif row["conn"] in asked:
                self._compare(*asked.pop(row["conn"]), row)

    def _compare(self, request, cmd, answer, want):
        where = (request["t_ms"], request["from_addr"], request["note"])
        raw = self.moved(bytes.fromhex(want["hex"])[10:])
        assert answer.status == want["status"], where
        wanted = self.expect.pop((request["t_ms"], cmd), None) or \
            self._meaning(cmd, raw)
        ours = self._meaning(cmd, answer.body)
        if cmd in (BEAT, DISK, SYNC_REPORT):
            if not self.lists:  # ours may have told already
                self.ahead.setdefault(request["conn"], ours)
                ours = wanted
            elif ours == (0, []):
                ours = self.ahead.pop(request["conn"], ours)
        assert ours == wanted, where
        self.compared += 1


@pytest.fixture
def stage(fresh):
    def begin(**conf):
        made = fresh(start=False, storages=0, tracker=conf)
        if not conf:
            made.tracker.start()
        return Stage(made)
    return begin


def test_a_second_storage_joins_and_is_filled(stage):
    scene = Scene(stage, "cluster-02")
    scene.tell(scene.settled(21))
    scene.play()
    assert scene.compared == 24


def test_a_member_is_deleted_and_comes_back(stage):
    scene = Scene(stage, "cluster-07")
    made = scene.settled(21, 22, 23)
    scene.leave(made, 23)
    scene.tell({**made, **scene.settled(24, name="group2")})
    scene.play(last=1000)
    scene.delete(23)
    scene.play(first=1001)
    assert scene.compared == 67


def test_a_member_changes_its_address(stage):
    scene = Scene(stage, "cluster-08")
    made = scene.settled(21, 22, 23, sources={23: 21})
    scene.leave(made, 23)
    scene.tell({**made, **scene.settled(24, name="group2")})
    scene.play()
    assert scene.compared == 28


def test_a_member_returns_after_its_source_was_deleted(stage):
    scene = Scene(stage, "cluster-15")
    made = scene.settled(21, 22, 23, sources={23: 21})
    scene.leave(made, 23)
    scene.leave(made, 21)
    scene.delete(21)
    scene.tell(made)
    scene.play()
    assert scene.compared == 16


def test_a_member_that_names_a_deleted_source_gets_rid_of_it(stage):
    scene = Scene(stage, "cluster-16")
    made = scene.settled(21, 22, 23, sources={23: 21})
    scene.leave(made, 23)
    scene.leave(made, 21)
    scene.delete(21)
    scene.tell(made)
    # FastDFS answers 2 and remembers the deleted source all the same.
    scene.play(expect={(8940, JOIN): (b"\x06", "")})
    assert not scene.expect
    assert scene.compared == 12


def test_a_follower_that_is_behind_is_corrected(stage):
    scene = Scene(stage, "cluster-14", tracker=11)
    made = scene.settled(21)
    two = scene.player(22)
    two.join(port=PORT)
    two.done(88, scene._source({22: 21}, 22))
    assert scene.s.status(102) == WAIT_SYNC
    two.close()
    scene.leave(made, 21)
    scene.play(lists=False)
    assert scene.s.status(102) == ACTIVE
    assert scene.compared == 21


IDS = {"use_storage_id": "true", "id_type_in_filename": "id",
       "storage_ids_filename": "storage_ids.conf"}


def test_three_storages_with_ids_and_ports_of_their_own(stage):
    scene = Scene(stage, "cluster-10", **IDS, ids="""
        100001 group1 NET.101:23200
        100002 group1 NET.102:23200
        100003 group1 NET.103:23201 rw=read
        200001 group2 NET.104:23200
        """)
    scene.play(last=100, lists=False)  # it knew no leader yet
    scene.await_leader()
    scene.play(first=101)
    assert scene.compared == 49


def test_ids_that_are_not_trusted(stage):
    scene = Scene(stage, "cluster-11", tracker=11, **{
        **IDS, "id_type_in_filename": "ip",
        "trust_storage_server_id": "false"}, ids="""
        100001 group1 NET.101:23000
        100002 group1 NET.102:23000
        """)
    scene.play(last=1000, lists=False)
    scene.await_leader()
    scene.play(first=1001)
    assert scene.compared == 12
