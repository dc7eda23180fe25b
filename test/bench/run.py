#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the scenario table against our daemons and, when they are installed,
against the stock daemons of the protocol, in turn, and prints the ratios.

The two sides take turns run by run; a figure is the median of its runs, a
ratio the median of the ratios of neighbouring runs. CPU time is that of the
daemons from the first request until they are idle again, divided by the
operations, so work put off until later counts too.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from cases import CASES
from cluster import BenchError, Cluster, TRACKER_PORT, our_side, stock_side
from replication import run_replication

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "baseline.json")
SPACE_NEEDED = 8 << 30
CHANGE = 0.10
FIGURES = ("rate", "bytes_per_s", "p50_us", "p99_us", "cpu_us_per_op",
           "cpu_settled_us_per_op", "switches_per_op", "rss_peak_kib",
           "client_cpu_us_per_op")


class Plan:
    """How long and how often."""

    def __init__(self, options):
        quick = options.quick
        self.seconds = options.seconds or (1.5 if quick else 4)
        self.rounds = options.rounds or (3 if quick else 5)
        self.quick = quick

    def arguments(self, case):
        count = case.count[0 if self.quick else 1]
        arguments = shlex.split(case.options) + ["-c", str(case.connections)]
        if count:
            arguments += ["--count", str(count)]
        if case.timed:
            arguments += ["--seconds", str(self.seconds)]
        return arguments


def measure(load, cluster, case, plan):
    """One run of one case: the generator's JSON."""
    since = int(time.time()) - 1
    command = [load, "--tracker",
               f"{cluster.tracker_host}:{TRACKER_PORT}", "--json",
               "--settle", "10", "--timeout", "120", "--pid",
               cluster.pids(case.daemons), *plan.arguments(case)]
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    cluster.check()
    if done.returncode != 0:
        raise BenchError(f"{case.name}, {cluster.side.name}: "
                         f"{done.stderr.strip() or done.returncode}\n"
                         f"{done.stdout.strip()}\n"
                         f"command: {shlex.join(command)}")
    cluster.shrink(since)
    return json.loads(done.stdout)


def medians(runs):
    figures = {name: statistics.median(run[name] for run in runs)
               for name in FIGURES}
    figures["rates"] = [run["rate"] for run in runs]
    return figures


def ratio(runs, name):
    """The median of the ratios of neighbouring runs: what else the machine
    does changes from minute to minute and hits both of a pair."""
    pairs = list(zip(runs.get("ours", ()), runs.get("stock", ())))
    ratios = [ours[name] / stock[name] for ours, stock in pairs
              if stock[name]]
    return round(statistics.median(ratios), 3) if ratios else None


def verdict(case, durability, result):
    """True or False when there is an aim and a ratio, else None."""
    if durability == "full" or result["ratio"] is None:
        return None
    checks = []
    if case.rate:
        checks.append(result["ratio"] >= case.rate)
    if case.cpu:
        checks.append(result["cpu_ratio"] <= case.cpu)
    return all(checks) if checks else None


def run_case(load, clusters, case, durability, plan):
    runs = {cluster.side.name: [] for cluster in clusters}
    for turn in range(plan.rounds):
        order = clusters if turn % 2 == 0 else clusters[::-1]
        for cluster in order:
            runs[cluster.side.name].append(
                measure(load, cluster, case, plan))
    sides = {name: medians(found) for name, found in runs.items()}
    result = {
        "case": case.name,
        "durability": durability,
        "ours": sides.get("ours"),
        "stock": sides.get("stock"),
        "ratio": ratio(runs, "rate"),
        "cpu_ratio": ratio(runs, "cpu_settled_us_per_op"),
        "aim": {"rate": case.rate, "cpu": case.cpu},
    }
    result["reached"] = verdict(case, durability, result)
    return result


def cell(figures, name, digits=0):
    if not figures:
        return "-"
    value = figures[name]
    if name == "rate" and value < 100:
        digits = 1
    return f"{value:,.{digits}f}"


def times(value, sign=""):
    return f"{sign}{value:.2f}x" if value else "-"


COLUMNS = (("case", -34), ("ours/s", 9), ("stock/s", 9), ("ratio", 7),
           ("aim", 8), ("CPU us", 9), ("stock", 9), ("ratio", 7),
           ("aim", 8), ("p50/p99", 14), ("stock", 14), ("", 4))


def line(cells):
    parts = []
    for text, (_, width) in zip(cells, COLUMNS):
        pad = text.ljust(-width) if width < 0 else text.rjust(width)
        parts.append(pad)
    print(" ".join(parts).rstrip(), flush=True)


def short_time(micros):
    for limit, unit, scale in ((1e4, "us", 1), (1e6, "ms", 1e3)):
        if micros < limit:
            return f"{micros / scale:.0f}{unit}"
    return f"{micros / 1e6:.1f}s"


def latency(figures):
    if not figures:
        return "-"
    return (f"{short_time(figures['p50_us'])}/"
            f"{short_time(figures['p99_us'])}")


def print_result(result):
    ours, stock = result["ours"], result["stock"]
    aim = result["aim"]
    if result["durability"] == "full":
        aim = {"rate": None, "cpu": None}
    words = {True: "ok", False: "MISS", None: ""}
    line([result["case"], cell(ours, "rate"), cell(stock, "rate"),
          times(result["ratio"]), times(aim["rate"], ">="),
          cell(ours, "cpu_settled_us_per_op", 1),
          cell(stock, "cpu_settled_us_per_op", 1),
          times(result["cpu_ratio"]), times(aim["cpu"], "<="),
          latency(ours), latency(stock), words[result["reached"]]])


def run_suite(options, plan, sides, durability, directory):
    wanted = re.compile(options.case or "", re.IGNORECASE)
    cases = [case for case in CASES
             if (durability == "process" or case.durable)
             and wanted.search(f"{durability}: {case.name}")]
    results = []
    if not cases:
        return results
    clusters = [Cluster(side, durability, directory) for side in sides]
    try:
        for cluster in clusters:
            cluster.start()
        if durability == "full":
            print("\ndurability = full; "
                  "stock with fsync_after_written_bytes = 1")
        else:
            print("\ndurability = process; stock with its default")
        line([title for title, _ in COLUMNS])
        for case in cases:
            result = run_case(options.load, clusters, case, durability,
                              plan)
            print_result(result)
            results.append(result)
    finally:
        for cluster in clusters:
            cluster.stop()
    return results


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as info:
        for row in info:
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    return platform.machine()


def file_system(directory):
    """Type of the file system, and a warning where one is due."""
    found = ("", "?", "")
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for row in mounts:
            device, where, kind = row.split()[:3]
            inside = os.path.join(where, "")
            if os.path.join(directory, "").startswith(inside) and \
                    len(where) >= len(found[0]):
                found = (where, kind, device)
    _, kind, device = found
    if kind == "tmpfs":
        return kind, ("Nothing here survives a power cut and a sync costs "
                      "nothing:\ndurability = full shows only what it adds "
                      "in CPU time.")
    options = f"/proc/fs/ext4/{os.path.basename(device)}/options"
    if kind == "ext4" and os.path.exists(options):
        with open(options, encoding="ascii") as text:
            if "data=" not in text.read():
                return kind + " without a journal", (
                    "New files are slow here for minutes after many were "
                    "removed;\nlet five minutes pass after a run, or use "
                    "--dir on another file system.")
    return kind, None


def compare(results, machine, baseline):
    """Lines about what moved by more than a tenth since the baseline."""
    before = {(r["durability"], r["case"]): r for r in baseline["results"]}
    same = baseline["machine"] == machine
    lines = []
    for result in results:
        old = before.get((result["durability"], result["case"]))
        if not old:
            continue
        if result["ratio"] and old["ratio"]:
            pairs = [("rate ratio", result["ratio"], old["ratio"]),
                     ("CPU ratio", result["cpu_ratio"], old["cpu_ratio"])]
        elif same and result["ours"] and old["ours"]:
            pairs = [(name, result["ours"][name], old["ours"][name])
                     for name in ("rate", "cpu_settled_us_per_op")]
        else:
            continue
        for what, now, then in pairs:
            if then and abs(now / then - 1) > CHANGE:
                lines.append(f"  {result['durability']}: {result['case']}: "
                             f"{what} {then:g} -> {now:g} "
                             f"({100 * (now / then - 1):+.0f} %)")
    return lines


def report_changes(results, machine):
    if not os.path.exists(BASELINE):
        return
    with open(BASELINE, encoding="utf-8") as text:
        lines = compare(results, machine, json.load(text))
    if lines:
        print("\nChanged by more than 10 % against the baseline:")
        print("\n".join(lines))
    else:
        print("\nNothing changed by more than 10 % against the baseline.")


def summary(results):
    judged = [r for r in results if r["reached"] is not None]
    if judged:
        reached = sum(1 for r in judged if r["reached"])
        print(f"\n{reached} of {len(judged)} aims reached.")


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="3 rounds of 1.5 s instead of 5 of 4 s")
    parser.add_argument("--case", metavar="REGEX",
                        help="only cases whose 'DURABILITY: NAME' matches")
    parser.add_argument("--ours-only", action="store_true",
                        help="do not measure the stock daemons")
    parser.add_argument("--stock-only", action="store_true",
                        help="measure only the stock daemons")
    parser.add_argument("--json", metavar="FILE",
                        help="write all figures there")
    parser.add_argument("--save-baseline", action="store_true",
                        help="make this run the baseline")
    parser.add_argument("--dir", default=tempfile.gettempdir(),
                        help="where the daemons keep their files (%(default)s)")
    parser.add_argument("--keep", action="store_true",
                        help="leave the daemons' files there")
    parser.add_argument("--rounds", type=int, help="runs of a side and case")
    parser.add_argument("--seconds", type=float, help="length of a run")
    parser.add_argument("--join-files", type=int, metavar="N",
                        help="files a new member gets (200,000; quick 20,000)")
    parser.add_argument("--load", default="build/bench/load",
                        help="the load generator (%(default)s)")
    parser.add_argument("--bin", default="build/bin",
                        help="where our daemons are (%(default)s)")
    options = parser.parse_args(arguments)
    options.load = os.path.abspath(options.load)
    return options


def choose_sides(options):
    if not os.access(options.load, os.X_OK):
        raise BenchError(f"{options.load} is not there; run make bench-bins")
    sides = []
    if not options.stock_only:
        sides.append(our_side(os.path.abspath(options.bin)))
    stock = None if options.ours_only else stock_side()
    if stock:
        sides.append(stock)
    elif not options.ours_only:
        print("Stock daemons are not installed (FDFS_STOCK_BIN or PATH): "
              "no ratios.")
    if not sides:
        raise BenchError("nothing to measure")
    return sides


def run(options):
    sides = choose_sides(options)
    plan = Plan(options)
    free = shutil.disk_usage(options.dir).free
    if free < SPACE_NEEDED:
        raise BenchError(f"{options.dir} has {free >> 30} GiB free; "
                         f"{SPACE_NEEDED >> 30} GiB are needed, see --dir")
    kind, warning = file_system(os.path.abspath(options.dir))
    machine = {"cpu": cpu_model(), "cores": os.cpu_count(),
               "kernel": platform.release(), "file_system": kind}
    print(f"{machine['cores']} cores ({machine['cpu']}), Linux "
          f"{machine['kernel']}, {kind} at {options.dir}; {plan.rounds} "
          f"rounds of {plan.seconds:g} s")
    if warning:
        print(warning)
    directory = tempfile.mkdtemp(prefix="fdfs-bench-", dir=options.dir)
    results = []
    try:
        for durability in ("full", "process"):
            results += run_suite(options, plan, sides, durability, directory)
        peers = run_replication(options, plan, sides, directory)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    summary(results)
    report_changes(results, machine)
    whole = {"machine": machine, "results": results, "replication": peers}
    for path in filter(None, (options.json,
                              BASELINE if options.save_baseline else None)):
        with open(path, "w", encoding="utf-8") as out:
            json.dump(whole, out, indent=1)
            out.write("\n")


def main():
    try:
        run(parse_options(sys.argv[1:]))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
