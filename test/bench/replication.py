# SPDX-License-Identifier: MIT
"""The replication cases: how far a peer is behind, and what it costs.

Both sides take turns here too; what is told is the median of the rounds.
"""

import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass

from cluster import BenchError
from group import Group

MIB = 1 << 20


class Bench:
    """One run of one case on one side."""

    def __init__(self, options, side, directory, quick):
        self.options = options
        self.side = side
        self.directory = directory
        self.quick = quick

    def group(self, name, members=2):
        made = Group(self.side, self.directory, name)
        try:
            return made.start(members)
        except BaseException:
            made.stop()
            raise

    def lag(self, group, size, count, rate=0, connections=16, wake=None,
            timeout=60):
        """Uploads to the first member, watches the second."""
        program = os.path.join(os.path.dirname(self.options.load), "lag")
        command = [program, "-s", f"{group.host(1)}:23000", "-w",
                   group.data(2), "-b", str(size), "-n", str(count), "-r",
                   str(rate), "-c", str(connections), "-t", str(timeout)]
        if wake:
            command += ["-k", str(wake)]
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False)
        group.check()
        if done.returncode:
            raise BenchError(f"{self.side.name}: {shlex.join(command)}: "
                             f"{done.stderr.strip()} {done.stdout.strip()}")
        return json.loads(done.stdout)

    def load(self, group, count=0, seconds=0, connections=16):
        """Uploads of 4 KiB to the first member."""
        command = [self.options.load, "--storage",
                   f"{group.host(1)}:23000", "--json", "--op", "upload",
                   "--size", "4k", "-c", str(connections), "--timeout", "120"]
        command += ["--count", str(count)] if count else []
        command += ["--seconds", str(seconds)] if seconds else []
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False)
        group.check()
        if done.returncode:
            raise BenchError(f"{self.side.name}: {shlex.join(command)}: "
                             f"{done.stderr.strip()}")
        return json.loads(done.stdout)

    # --- the cases: each gives {figure: value} ---

    def warm(self, group):
        self.lag(group, 4096, 200, 500, 4)

    def complete(self):
        count = 5000 if self.quick else 20000
        group = self.group("complete")
        try:
            self.warm(group)
            found = self.lag(group, 4096, count, connections=64)
        finally:
            group.stop()
        return {"upload s": found["upload_s"],
                "complete after s": found["complete_s"],
                "lag p99 ms": found["p99_ms"]}

    def steady(self, rate):
        seconds = 3 if self.quick else 10
        group = self.group(f"steady{rate}")
        try:
            self.warm(group)
            found = self.lag(group, 4096, rate * seconds, rate, 16)
        finally:
            group.stop()
        return {"lag p50 ms": found["p50_ms"], "lag p99 ms": found["p99_ms"],
                "lag max ms": found["max_ms"],
                "uploads/s": found["acked"] / found["upload_s"]}

    def steady_200(self):
        return self.steady(200)

    def steady_2000(self):
        return self.steady(2000)

    def large(self):
        count = 6 if self.quick else 16
        group = self.group("large")
        try:
            self.warm(group)
            group.signal_member(2, signal.SIGSTOP)
            found = self.lag(group, 64 * MIB, count, connections=4,
                             wake=group.pid(2), timeout=120)
        finally:
            group.stop()
        return {"MB/s": (count - 1) * 64 * MIB / 1e6 / found["span_s"]}

    def measured(self, group, members):
        """Rate and CPU of uploads as fast as the first member takes them."""
        seconds = 2 if self.quick else 5
        group.idle()
        before = [group.cpu(m) for m in members]
        found = self.load(group, seconds=seconds, connections=64)
        during = [group.cpu(m) - b for m, b in zip(members, before)]
        done = found["rate"] * found.get("seconds", seconds)
        while len(members) > 1 and group.count(2) < group.count(1):
            time.sleep(0.2)
        group.idle()
        used = [(group.cpu(m) - b) * 1e6 / done
                for m, b in zip(members, before)]
        return found, used, during[-1] * 1e6 / done

    def cost(self):
        """Alone, with a peer in sync, with a peer that is down."""
        group = self.group("cost", 1)
        try:
            self.load(group, count=2000)
            alone, (cpu,), _ = self.measured(group, [1])
            client = alone["client_cpu_us_per_op"]
            group.add()
            self.warm(group)
            synced, (with_peer, peer), meanwhile = \
                self.measured(group, [1, 2])
            group.end_member(2)
            group.members = 1
            time.sleep(2)
            down, (with_none,), _ = self.measured(group, [1])
        finally:
            group.stop()
        # On shared cores a peer's own work takes its part of the rate.
        fair = alone["rate"] * (client + cpu) / (client + cpu + meanwhile)
        return {"alone/s": alone["rate"], "in sync/s": synced["rate"],
                "peer down/s": down["rate"],
                "source CPU us alone": cpu,
                "source CPU us in sync": with_peer,
                "source CPU us down": with_none, "peer CPU us": peer,
                "lost beyond peer's work %":
                    100 * (1 - synced["rate"] / fair),
                "lost, peer down %":
                    100 * (1 - down["rate"] / alone["rate"])}

    def join(self):
        count = self.options.join_files or (20000 if self.quick else 200000)
        group = self.group("join", 1)
        try:
            self.load(group, count=count, connections=64)
            group.idle()
            took = group.add()
            have = group.count(2)
            if have < count:
                # ACTIVE is not all: stock says so before the last file.
                since = time.monotonic()
                while have < count and time.monotonic() - since < 300:
                    time.sleep(0.2)
                    have = group.count(2)
                complete = took + time.monotonic() - since
            else:
                complete = took
        finally:
            group.stop()
        if have < count:
            raise BenchError(f"{self.side.name}: the new member has {have} "
                             f"of {count} files")
        return {"ACTIVE after s": took, "complete after s": complete,
                "files/s": count / complete}


@dataclass(frozen=True)
class Case:
    name: str
    run: str
    aims: tuple = ()  # (figure, at most)


CASES = (
    Case("peers: 4 KiB as fast as possible until on the peer", "complete",
         (("complete after s", 0.2),)),
    Case("peers: 4 KiB, 200 uploads/s", "steady_200",
         (("lag p99 ms", 20),)),
    Case("peers: 4 KiB, 2,000 uploads/s", "steady_2000",
         (("lag p99 ms", 20),)),
    Case("peers: 64 MiB files", "large"),
    Case("peers: cost to the source's clients (4 KiB, 64)", "cost",
         (("lost beyond peer's work %", 5),)),
    Case("peers: a new member joins", "join"),
)


def run_case(case, sides, options, plan, directory):
    runs = {side.name: [] for side in sides}
    rounds = 1 if case.run == "join" else plan.rounds
    for turn in range(rounds):
        order = sides if turn % 2 == 0 else sides[::-1]
        for side in order:
            where = os.path.join(directory, f"peers-{case.run}-{turn}")
            bench = Bench(options, side, where, plan.quick)
            runs[side.name].append(getattr(bench, case.run)())
    return {name: {figure: statistics.median(run[figure] for run in found)
                   for figure in found[0]} for name, found in runs.items()}


def show(value):
    return "-" if value is None else f"{value:,.3g}" if abs(value) < 100 \
        else f"{value:,.0f}"


def print_case(case, medians):
    aims = dict(case.aims)
    print(f"\n{case.name}")
    for figure in next(iter(medians.values())):
        ours = medians.get("ours", {}).get(figure)
        stock = medians.get("stock", {}).get(figure)
        words = [f"  {figure:28}", f"ours {show(ours):>9}",
                 f"stock {show(stock):>9}"]
        if figure in aims and ours is not None:
            good = ours <= aims[figure]
            words.append(f"aim <= {aims[figure]:g} "
                         f"{'ok' if good else 'MISS'}")
        print("  ".join(words), flush=True)


def run_replication(options, plan, sides, directory):
    wanted = re.compile(options.case or "", re.IGNORECASE)
    results = []
    for case in CASES:
        if not wanted.search(case.name):
            continue
        medians = run_case(case, sides, options, plan, directory)
        print_case(case, medians)
        results.append({"case": case.name, **medians})
    return results
