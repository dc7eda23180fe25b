# SPDX-License-Identifier: MIT
"""Our daemons and FastDFS's own in one cluster, in every combination.

The tests run where FastDFS's daemons are installed (FDFS_STOCK_BIN), those
with a FastDFS tracker beside another one in namespaces. FastDFS's senders do
not bring every change of an appender over when several wait (mixload.Load,
`careful`), so a backlog at one of them is made of operations that they do.
"""

import shutil
import subprocess
import time
from datetime import datetime

import pytest

import agree
import harness
import mixload
import wire
from agree import wait_agree
from harness import wait_until
from mixload import GROWING, Load
from nodes import needs_namespaces, needs_stock

pytestmark = [pytest.mark.ours, pytest.mark.slow, needs_stock(),
              pytest.mark.limit(240)]

SETTLE = 60  # seconds; FastDFS's senders wait 5 s after each error


def calm_load(nodes, operations=mixload.EVERYTHING, keep=250, **options):
    return Load(nodes, operations=operations, keep=keep, pause=0.003,
                careful=operations is mixload.EVERYTHING, **options)


def everything_both_ways(made, seconds=6, seed=1):
    nodes = made.storages
    with calm_load(nodes, seed=seed) as load:
        time.sleep(seconds)
    assert not load.model.lost, load.model
    for what in mixload.EVERYTHING:
        assert load.model.done.get(what), f"no {what} among the load"
    wait_agree(nodes, load.model, SETTLE)
    agree.verify_ours(made, nodes)
    return load.model


# --- what people see -------------------------------------------------------

def stock_tool(made, name, *args):
    done = subprocess.run(
        [harness.stock_program(name), made.client_conf(), *map(str, args)],
        capture_output=True, text=True, timeout=30, check=False,
        env=harness.stock_env())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def any_client_works(made):
    """FastDFS's own programs and ours, through the tracker."""
    content = b"by any client " * 400
    source = made.dir / "content.txt"
    source.write_bytes(content)
    ids = [stock_tool(made, "fdfs_upload_file", source).split()[-1]
           for _ in range(4)]
    out = made.tool("fdfs", "put", source)
    assert out.returncode == 0, out.stderr
    ids.append(out.stdout.decode().split()[-1])
    for node in made.storages:
        for file_id in ids:
            name = file_id.split("/", 1)[1]
            wait_until(lambda n=node, f=name: n.path_of(f).exists(), SETTLE,
                       f"{name} is on {node.base.name}")
            assert node.path_of(name).read_bytes() == content
    for file_id in ids:
        back = made.dir / "back"
        stock_tool(made, "fdfs_download_file", file_id, back)
        assert back.read_bytes() == content
        out = made.tool("fdfs", "cat", file_id)
        assert out.stdout == content, out.stderr
        back.unlink()
    stock_tool(made, "fdfs_delete_file", ids[0])
    for node in made.storages:
        wait_until(lambda n=node: not n.path_of(
            ids[0].split("/", 1)[1]).exists(), SETTLE, "deleted everywhere")


def monitor_is_right(made):
    """fdfs_monitor shows what was done, and how far each one is."""
    before = {ip: int(rows["success_upload_count"])
              for ip, rows in made.monitor().items()}
    assert set(before) == {n.address[0] for n in made.storages}
    for i, node in enumerate(made.storages):
        with node.connect() as conn:
            for _ in range(5 + i):
                conn.upload(b"counted")

    def told():
        shown = made.monitor()
        return all(
            rows["status"] == "ACTIVE" and int(rows["success_upload_count"])
            == before[node.address[0]] + 5 + i
            for i, node in enumerate(made.storages)
            for rows in [shown[node.address[0]]])
    wait_until(told, 20, "fdfs_monitor shows the uploads")
    since = datetime.now().replace(microsecond=0)

    def synced():
        # FastDFS counts only what came over its first connection.
        for node in made.storages:
            with node.connect() as conn:
                conn.upload(b"one more")
        time.sleep(0.3)
        return all(datetime.fromisoformat(
            rows["last_synced_timestamp"][:19]) >= since
            for rows in made.monitor().values())
    wait_until(synced, 30, "fdfs_monitor shows how far the members are")


COMBINATIONS = {
    "a FastDFS tracker with two of ours": ("stock", ["ours", "ours"]),
    "our tracker with two of FastDFS": ("ours", ["stock", "stock"]),
    "our tracker with one of each": ("ours", ["ours", "stock"]),
    "a FastDFS tracker with one of each": ("stock", ["stock", "ours"]),
}


@pytest.mark.parametrize("which", COMBINATIONS)
def test_everything_arrives_both_ways(several, which):
    tracker, storages = COMBINATIONS[which]
    made = several(trackers=[tracker], storages=storages)
    everything_both_ways(made)


@pytest.mark.parametrize("which", COMBINATIONS)
def test_any_client_and_fdfs_monitor(several, which):
    tracker, storages = COMBINATIONS[which]
    made = several(trackers=[tracker], storages=storages)
    any_client_works(made)
    monitor_is_right(made)
    wait_agree(made.storages, deadline=SETTLE)


# --- members come, go and lose a disk --------------------------------------

PAIRS = [("ours", "stock"), ("stock", "ours")]


@pytest.mark.parametrize("tracker", ["ours", "stock"])
@pytest.mark.parametrize("old,new", PAIRS + [("ours", "ours")])
def test_a_new_member_is_filled(several, old, new, tracker):
    made = several(trackers=[tracker], storages=[old], paths=2)
    with calm_load(made.storages, seed=2) as load:
        time.sleep(4)
    fresh = made.add_storage(new)
    with calm_load(made.storages[:1], seed=3, model=load.model,
                   operations=GROWING):
        fresh.start(SETTLE)
        time.sleep(1)
    wait_agree(made.storages, load.model, SETTLE)
    # and what it takes itself goes back
    with calm_load([fresh], seed=4, model=load.model, operations=GROWING):
        time.sleep(1)
    wait_agree(made.storages, load.model, SETTLE)
    agree.verify_ours(made, made.storages)


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("away", [0, 1])
def test_a_member_comes_back(several, away, how):
    made = several(storages=["ours", "stock"])
    model = everything_both_ways(made, 4)
    stays = made.storages[1 - away]
    getattr(made.storages[away], how)()
    with calm_load([stays], seed=5, model=model, operations=GROWING):
        time.sleep(3)
    made.storages[away].start(SETTLE)
    wait_agree(made.storages, model, SETTLE)
    agree.verify_ours(made, made.storages)


@pytest.mark.parametrize("kinds", [("ours", "stock"), ("stock", "ours"),
                                   ("ours", "ours")])
def test_a_lost_store_path_is_fetched_back(several, kinds):
    """The second kind loses the disk."""
    made = several(storages=list(kinds), paths=2)
    with calm_load(made.storages, seed=6, keep=400) as load:
        time.sleep(5)
    wait_agree(made.storages, load.model, SETTLE)
    victim = made.storages[1]
    assert any(n.startswith("M01") for n in victim.visible())
    assert victim.stop() in (0, -15)
    shutil.rmtree(victim.paths[1] / "data")
    victim.launch()
    wait_until(lambda: victim.answers() or
               victim.log_has("errno: 14, error info: Bad address"), 90,
               "the storage has fetched its files and answers")
    if not victim.answers():
        # So it does among FastDFS's daemons alone, too.
        pytest.skip("FastDFS 6.16.1 cannot ask a tracker for its own status "
                    "when it recovers a disk (Bad address)")
    wait_until(victim.active, 60, "ACTIVE again")
    wait_agree(made.storages, load.model, SETTLE)
    agree.verify_ours(made, made.storages)
    with calm_load(made.storages, seed=7, model=load.model,
                   operations=GROWING):
        time.sleep(2)
    wait_agree(made.storages, load.model, SETTLE)


# --- several trackers ------------------------------------------------------

def both(several, trackers=("stock", "ours"), storages=("ours", "stock")):
    return several(trackers=list(trackers), storages=list(storages),
                 namespaces=True)


@needs_namespaces()
@pytest.mark.parametrize("trackers", [("stock", "ours"), ("ours", "stock"),
                                      ("ours", "ours"),
                                      ("ours", "stock", "ours")])
def test_trackers_agree_who_leads(several, trackers):
    made = both(several, trackers)
    everything_both_ways(made, 5)
    with made.trackers[0].connect() as one, \
            made.trackers[1].connect() as two:
        here = {(r.id, r.ip, r.port, r.status) for r in one.storages()}
        there = {(r.id, r.ip, r.port, r.status) for r in two.storages()}
        assert here == there and len(here) == 2


@needs_namespaces()
@pytest.mark.parametrize("trackers", [("stock", "ours"), ("ours", "stock"),
                                      ("ours", "ours")])
def test_the_leader_fails_and_returns(several, trackers):
    made = both(several, trackers)
    with calm_load(made.storages, seed=8, operations=GROWING) as load:
        for how in ("kill", "stop"):
            old = made.leader()
            other = next(t for t in made.trackers if t is not old)
            getattr(old, how)()
            # FastDFS's follower that has not pinged yet sleeps up to 11 s
            # twice and then four times before it gives its leader up
            wait_until(lambda o=other: made.leader() is o, 100,
                       f"{other.base.name} leads")
            with other.connect() as conn:
                assert conn.store()[0] == "group1"
            old.start(30)
            wait_until(lambda: made.leader() is not None, 40,
                       "both name one leader")
            made.wait_active(40)
    assert not load.model.lost, load.model
    wait_agree(made.storages, load.model, SETTLE)


@needs_namespaces()
@pytest.mark.parametrize("trackers", [("stock", "ours"), ("ours", "stock")])
def test_each_daemon_in_turn_is_restarted_under_load(several, trackers):
    made = both(several, trackers)
    with calm_load(made.storages, seed=9, operations=GROWING) as load:
        for node in made.daemons:
            time.sleep(0.5)
            node.stop(20)
            time.sleep(0.5)
            if node in made.trackers:
                node.start(30)
            else:
                node.start(30, active=False)
            made.wait_active(60)
            wait_until(lambda: made.leader() is not None, 40, "a leader")
    wait_agree(made.storages, load.model, SETTLE)
    agree.verify_ours(made, made.storages)


@needs_namespaces()
@pytest.mark.parametrize("kind", ["stock", "ours"])
def test_a_tracker_is_added_to_a_running_cluster(several, kind):
    """It takes the system files of the others."""
    first = "ours" if kind == "stock" else "stock"
    made = several(trackers=[first], storages=["ours", "stock"],
                 namespaces=True)
    everything_both_ways(made, 4)
    fresh = made.add_tracker(kind)
    fresh.start(30)
    for node in made.storages:
        node.trackers.append(fresh)
        node.conf["tracker_server"].append("%s:%d" % fresh.address)
        node.stop(20)
        node.start(30)
    made.wait_active()
    wait_until(lambda: made.leader() is not None, 40, "a leader")
    with fresh.connect() as conn:
        assert {r.status for r in conn.storages()} == {wire.ACTIVE}
    with calm_load(made.storages, seed=10, operations=GROWING) as load:
        time.sleep(2)
    assert not load.model.lost, load.model
    wait_agree(made.storages, deadline=SETTLE)
