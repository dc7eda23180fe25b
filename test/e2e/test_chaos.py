# SPDX-License-Identifier: MIT
"""Three storages, two trackers, mixed load, and everything goes wrong.

By chance, from a seed that is printed: kill -9 of any daemon, restarts, a
network that is cut or slow between any two, a full disk, a disk that fails,
a clock that jumps by an hour, a restart of all. Afterwards everything that
was acknowledged is on every member and nothing else is.
"""

import os
import random
import re
import time

import pytest

import agree
import netns
from agree import wait_agree
from faults import EIO, ENOSPC, LIBRARY, Faults
from harness import sqlite3_closing, wait_until
from mixload import Load
from nodes import Nodes

SECONDS = float(os.environ.get("CHAOS_SECONDS", "40"))
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
# What goes wrong, the more often the more often it stands here.
FAULTS = os.environ.get(
    "CHAOS_FAULTS", "kill kill kill kill restart restart cut cut cut delay "
    "delay full_disk bad_disk bad_disk clock clock restart_all").split()
DRAIN = 90 + SECONDS / 2  # seconds until everything must agree

pytestmark = [
    pytest.mark.ours, pytest.mark.slow,
    pytest.mark.skipif(not LIBRARY.exists(),
                       reason="no fail.so: make fault-lib")]

CALLS = ("write", "pwrite", "openat", "rename", "unlink", "fsync",
         "ftruncate", "fallocate", "read", "sendfile",
         "write,pwrite,openat,rename")


class Chaos:
    """What goes wrong, one thing after another, some of it together."""

    def __init__(self, made, rng):
        self.made = made
        self.rng = rng
        self.network = made.network
        self.faults = {node: Faults(node) for node in made.storages}
        self.undo = []  # (when, what undoes it, what it concerns)
        self.launches = {node.launch for node in made.daemons}
        self.began = time.monotonic()
        self.count = {}

    def tell(self, text, what=None):
        if what:
            self.count[what] = self.count.get(what, 0) + 1
        print(f"{time.monotonic() - self.began:7.2f} {text}", flush=True)

    def later(self, seconds, concerns, what):
        self.undo.append((time.monotonic() + seconds, what, concerns))

    def busy(self, *what):
        return any(set(what) & set(concerns)
                   for _, _, concerns in self.undo)

    # --- what can go wrong ---

    def kill(self):
        node = self.rng.choice(self.made.daemons)
        if self.busy(node):
            return
        self.tell(f"kill -9 {node.base.name}", "kills")
        node.kill()
        self.later(self.rng.uniform(0, 3), (node,), node.launch)

    def restart(self):
        node = self.rng.choice(self.made.daemons)
        if self.busy(node):
            return
        self.tell(f"restart {node.base.name}", "restarts")
        node.stop(20)
        self.later(self.rng.uniform(0, 1), (node,), node.launch)

    def pair(self):
        return tuple(self.rng.sample(self.made.daemons, 2))

    def cut(self):
        one, two = self.pair()
        if not self.network or self.busy((one, two), (two, one)):
            return
        self.tell(f"cut {one.base.name} - {two.base.name}", "cuts")
        self.network.cut(one, two)
        self.later(self.rng.uniform(0.5, 5), ((one, two),),
                   lambda: self.network.heal(one, two))

    def delay(self):
        one, two = self.pair()
        if not self.network or self.busy((one, two), (two, one)):
            return
        late = self.rng.choice([5, 30, 150])
        self.tell(f"{one.base.name} - {two.base.name} {late} ms late",
                  "delays")
        self.network.delay(one, two, late)
        self.later(self.rng.uniform(1, 6), ((one, two),),
                   lambda: self.network.heal(one, two))

    def disk(self, errno, word, calls):
        node = self.rng.choice(self.made.storages)
        faults = self.faults[node]
        if self.busy(faults):
            return
        call = self.rng.choice(calls)
        every = self.rng.choice([1, 1, 3, 10])
        self.tell(f"{word} on {node.base.name}: {call}, each {every}.", word)
        faults.on(call, errno, nth=1, every=every)
        self.later(self.rng.uniform(0.5, 4), (faults,), faults.off)

    def full_disk(self):
        self.disk(ENOSPC, "no space", ("write,pwrite,fallocate,openat",))

    def bad_disk(self):
        self.disk(EIO, "EIO", CALLS)

    def clock(self):
        node = self.rng.choice(self.made.storages)
        faults = self.faults[node]
        if self.busy(faults):
            return
        jump = self.rng.choice([3600, -3600])
        self.tell(f"clock of {node.base.name} {jump:+} s", "clock jumps")
        faults.clock(jump)
        self.later(self.rng.uniform(1, 6), (faults,), faults.off)

    def restart_all(self):
        if self.undo:
            return
        self.tell("restart of all", "restarts of all")
        nodes = list(self.made.daemons)
        self.rng.shuffle(nodes)
        for node in nodes:
            if self.rng.random() < 0.5:
                node.kill()
            else:
                node.stop(20)
        self.rng.shuffle(nodes)
        for node in nodes:
            node.launch()

    # --- the run ---

    def heal_due(self, everything=False):
        # Disks before programs.
        for item in sorted(self.undo, key=lambda it: it[1] in self.launches):
            if everything or item[0] <= time.monotonic():
                self.undo.remove(item)
                item[1]()

    def begins_on_bad_disk(self, node):
        """A storage that says why it does not start is started again, as
        by who watches over services."""
        said = node.stderr_text().splitlines()[-1:]
        if node.process.poll() != 1 or not said or \
                "start_failed" not in said[0] or \
                not said[0].endswith(": Input/output error"):
            return False
        self.tell(f"{node.base.name} does not start: {said[0][-90:]}",
                  "refusals to start")
        self.later(0.5, (node,), node.launch)
        return True

    def sound(self):
        """Nobody ended by himself."""
        for node in self.made.daemons:
            assert node.alive() or self.busy(node) or \
                self.begins_on_bad_disk(node), (
                    f"{node.base.name} ended with {node.process.poll()}: "
                    f"{node.stderr_text()[-2000:]}")

    def run(self, seconds):
        actions = [getattr(self, name) for name in FAULTS]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.rng.choice(actions)()
            pause = time.monotonic() + self.rng.uniform(0.1, 1.5)
            while time.monotonic() < pause:
                self.heal_due()
                self.sound()
                time.sleep(0.02)
        self.heal_due(everything=True)


# What the events of the storages say of it, if it came often enough.
STORY = {
    "kills": "FD-START-01 .*did not stop cleanly",
    "restarts": "FD-START-01 storage started$",
    "cuts": "FD-(SYNC-02 cannot be reached|TRK-01 tracker lost)",
    "EIO": "FD-(APPLY-01|SYNC-03).*Input/output error",
    "no space": "No space left on device",
    "clock jumps": "FD-CLOCK-01 the clock jumped (ahead|back) by 3[56]",
}


def story(node):
    """Its events, and of failures that no event is made of, its log."""
    with sqlite3_closing(node.catalogue()) as db:
        said = [f"{row['code']} {row['text']}" for row in db.execute(
            "select code, text from events")]
    return said + node.log().splitlines()


def told(made, chaos):
    """An operator can see what has happened."""
    lines = [line for node in made.storages for line in story(node)]
    for what, pattern in STORY.items():
        found = sum(re.search(pattern, line) is not None for line in lines)
        chaos.tell(f"{found} times told: {what}")
        assert found or chaos.count.get(what, 0) < 8, what


def waits_for_disk(node):
    """The first row that a disk has refused and not yet taken."""
    with sqlite3_closing(node.oplog()) as log:
        row = log.execute("select value from mark where key = 'unapplied'"
                          ).fetchone()
    return row and row[0]


def settled(made, model):
    """Everything is where it must be, and everybody says so."""
    made.wait_active(60)
    for node in made.storages:
        wait_until(lambda at=node: not waits_for_disk(at), 60,
                   f"{node.base.name} has done what its disk refused")
    wait_agree(made.storages, model, DRAIN)
    agree.verify_ours(made, made.storages)
    for node in made.storages:
        assert not node.unfinished(), node.unfinished()
    for node in made.storages:
        out = made.tool("fdfs-meta", "verify", "--peers", node.conf_path,
                        deadline=60)
        assert out.returncode == 0, (out.stdout +
                                     out.stderr).decode()[-3000:]


def one_run(seed, namespaces):
    rng = random.Random(seed)
    print(f"\nCHAOS_SEED={seed}", flush=True)
    with Nodes("chaos", trackers=["ours"] * 2, storages=["ours"] * 3, paths=2,
              namespaces=namespaces) as made:
        chaos = Chaos(made, rng)
        for node in made.storages:  # with the library that fails
            node.restart()
        made.wait_active()
        with Load(made.storages, workers=4, seed=rng.random(), pause=0.004,
                  timeout=5.0) as load:
            chaos.run(SECONDS)
            time.sleep(1)
        chaos.tell(f"healed: {load.model}")
        for node in made.daemons:
            assert node.alive(), f"{node.base.name} is not there"
        settled(made, load.model)
        chaos.tell("everything agrees: " + ", ".join(
            f"{n} {what}" for what, n in sorted(chaos.count.items())))
        made.sound()
        told(made, chaos)


@pytest.mark.limit(int(ROUNDS * (SECONDS + DRAIN + 120)))
def test_whatever_happens_all_members_hold_the_same():
    without = netns.missing()
    if without:
        print(f"\nno cuts and no delays: {without}")
    first = int(os.environ.get("CHAOS_SEED", time.time_ns() % 10**9))
    for turn in range(ROUNDS):
        one_run(first + turn, not without)
