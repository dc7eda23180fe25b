# SPDX-License-Identifier: MIT
"""Starting, stopping, reloading: what an operator does with the daemons."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import wire
from harness import wait_until
from wire import ENOENT, file_ref, group, header, message, upload_body

pytestmark = pytest.mark.ours


@pytest.fixture(params=["tracker", "storage"])
def daemon(request, cluster):
    return getattr(cluster, request.param)


def test_sigterm_ends_with_status_0_while_clients_are_connected(fresh):
    made = fresh()
    held = [made.storage.connect() for _ in range(5)]
    held += [made.tracker.connect() for _ in range(5)]
    assert all(conn.is_usable() for conn in held)
    half = made.storage.connect()
    half.send(message(wire.UPLOAD, upload_body(bytes(1000)))[:500])
    half.wait_read()
    assert made.storage.stop(deadline=5) == 0
    assert made.tracker.stop(deadline=5) == 0
    for conn in held:
        assert conn.is_closed()


def test_sigint_ends_too(fresh):
    made = fresh()
    made.storage.signal(signal.SIGINT)
    assert made.storage.process.wait(5) == 0


def test_everything_is_there_after_a_restart(fresh):
    made = fresh(paths=2)
    with made.storage.connect() as conn:
        name = conn.upload(b"kept")
        appender = conn.upload_appender(b"01")
        conn.append(appender, b"23")
        conn.set_meta(name, b"a\x021")
        gone = conn.upload(b"gone")
        conn.delete(gone)
    made.storage.restart()
    with made.storage.connect() as conn:
        assert conn.download(name) == b"kept"
        assert conn.download(appender) == b"0123"
        assert conn.get_meta(name) == b"a\x021"
        conn.fails(wire.DOWNLOAD, wire.download_body(gone), ENOENT)


def test_directories_go_on_being_filled_after_a_restart(fresh):
    made = fresh(storage={"file_distribute_rotate_count": 2})

    def directory():
        with made.storage.connect() as conn:
            return conn.upload(b"x")[4:9]
    assert [directory() for _ in range(3)] == ["00/00", "00/00", "00/01"]
    made.storage.restart()
    assert [directory() for _ in range(2)] == ["00/01", "00/02"]


def test_a_restarted_tracker_knows_its_cluster_at_once(fresh):
    made = fresh(storages=2)
    made.storages[1].stop()
    made.tracker.kill()
    made.tracker.start()
    with made.tracker.connect() as conn:
        seen = {rec.ip for rec in conn.storages()}
    assert seen == {node.address[0] for node in made.storages}


def test_a_storage_finds_a_restarted_tracker(fresh):
    made = fresh()
    made.tracker.restart()
    wait_until(made.storage.active, 15, "the storage is ACTIVE again")
    with made.tracker.connect() as conn:
        assert conn.store()[1] == made.storage.address[0]


def test_a_storage_starts_before_its_tracker(fresh):
    made = fresh(start=False)
    made.storage.launch()
    made.tracker.start()
    wait_until(made.storage.active, 20, "the storage is ACTIVE")


def test_a_stopped_storage_is_not_offered(fresh):
    made = fresh(storages=2, groups=["alpha", "beta"])
    made.storages[0].stop()
    with made.tracker.connect() as conn:
        wait_until(lambda: made.tracker.sees(
            made.storages[0]).status != wire.ACTIVE, 10)
        for _ in range(4):
            assert conn.store()[1] == made.storages[1].address[0]


def test_counters_survive_a_restart(fresh):
    made = fresh()
    with made.storage.connect() as conn:
        for _ in range(7):
            conn.upload(b"x")
    made.storage.restart()

    def told():
        return made.tracker.sees(
            made.storage).counters["success_upload"] == 7
    wait_until(told, 15, "seven uploads are known")


def run(daemon, *args):
    return subprocess.run([daemon.program, *args], text=True,
                          capture_output=True, timeout=20, check=False,
                          stdin=subprocess.DEVNULL)


def test_check_prints_the_effective_configuration(daemon):
    done = run(daemon, "-t", str(daemon.conf_path))
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^\s*port\s*=\s*{daemon.address[1]}\b", done.stdout,
                     re.M), done.stdout
    assert re.search(r"^\s*base_path\s*=\s*" + re.escape(str(daemon.base)),
                     done.stdout, re.M)
    assert "network_timeout" in done.stdout


@pytest.mark.parametrize("args,status", [
    (["-h"], 0), (["--help"], 0), ([], None), (["--no-such-option"], None),
    (["/nonexistent/x.conf"], None)])
def test_command_line(daemon, args, status):
    done = run(daemon, *args)
    if status == 0:
        assert done.returncode == 0
        assert "-t" in done.stdout
    else:
        assert done.returncode not in (0, -6, -11)
        assert done.stderr.strip()
        if args[:1] == ["/nonexistent/x.conf"]:
            assert args[0] in done.stderr


@pytest.mark.parametrize("kind", ["tracker", "storage"])
def test_start_status_restart_stop(fresh, kind):
    made = fresh(start=False)
    made.tracker.start()
    daemon = made.storage
    if kind == "tracker":
        made.tracker.stop()
        daemon = made.tracker
    daemon.write_conf()

    def say(word):
        return run(daemon, str(daemon.conf_path), word)

    def children():
        found = []
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                line = (proc / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(daemon.conf_path).encode() in line and \
                    daemon.program.encode() in line:
                found.append(int(proc.name))
        return found
    try:
        assert say("status").returncode != 0
        done = say("start")
        assert done.returncode == 0, done.stderr
        wait_until(daemon.answers, 10, "the daemon answers")
        assert say("status").returncode == 0
        assert say("start").returncode != 0, "a second start must be refused"
        before = children()
        assert say("restart").returncode == 0
        wait_until(daemon.answers, 10, "the daemon answers again")
        assert children() and children() != before
        assert say("stop").returncode == 0
        wait_until(lambda: not children(), 10, "the daemon is gone")
        assert say("status").returncode != 0
    finally:
        for pid in children():
            os.kill(pid, signal.SIGKILL)


def test_stop_and_status_need_no_store_path(fresh):
    made = fresh()
    node = made.storage
    conf = str(node.conf_path)
    path = node.paths[0]
    away = path.with_name("away")
    path.rename(away)
    try:
        for verb in ("start", "restart"):
            done = run(node, conf, verb)
            assert done.returncode == 1
            assert str(path) in done.stderr
        assert node.alive(), "a restart that cannot succeed stops nothing"
        assert run(node, "-t", conf).returncode == 1
        assert run(node, conf, "status").returncode == 0
        assert run(node, conf, "stop").returncode == 0
        assert node.process.wait(10) == 0
        assert run(node, conf, "status").returncode == 3
    finally:
        away.rename(path)


def test_start_tells_an_error_before_it_detaches(fresh):
    made = fresh(start=False)
    made.storage.conf["store_path0"] = "/nonexistent/store"
    made.storage.write_conf()
    done = run(made.storage, str(made.storage.conf_path), "start")
    assert done.returncode != 0
    assert "/nonexistent/store" in done.stderr


def test_hup_reloads_what_can_be_reloaded(fresh):
    made = fresh()
    node = made.storage
    node.conf["log_level"] = "debug"
    node.write_conf()
    node.signal(signal.SIGHUP)
    node.wait_log("(?i)reload")
    assert node.answers()
    node.conf["network_timeout"] = "none of this"
    node.conf["store_path_count"] = 0
    node.write_conf()
    node.signal(signal.SIGHUP)
    wait_until(lambda: node.log_has("store_path_count"), 10)
    assert node.answers(), "a bad file must not end a running daemon"


def test_allow_hosts_admits_only_those_named(fresh):
    made = fresh(start=False)
    made.storage.conf["allow_hosts"] = f"{made.net}.2,{made.net}.[50-52]"
    made.tracker.start()
    made.storage.launch()
    wait_until(made.storage.active, 15, "the storage is ACTIVE")
    for source in (f"{made.net}.2", f"{made.net}.51"):
        with wire.StorageWire(made.storage.address, 5, source) as conn:
            assert conn.is_usable()
    for source in (f"{made.net}.53", "127.0.0.1"):
        with wire.StorageWire(made.storage.address, 5, source) as conn:
            assert conn.is_closed()


def test_the_disk_layout_is_that_of_fastdfs(fresh):
    made = fresh(paths=2)
    for path in made.storage.paths:
        data = path / "data"
        assert data.stat().st_mode & 0o777 == 0o755
        for first in range(4):
            for second in range(4):
                assert (data / f"{first:02X}" / f"{second:02X}").is_dir()
    with made.storage.connect() as conn:
        for index in (0, 1):
            name = conn.upload(b"x", path=index)
            assert name.startswith(f"M{index:02X}/")
            assert made.storage.path_of(name).read_bytes() == b"x"


def test_uploads_fill_a_directory_and_go_on_to_the_next(fresh):
    made = fresh(storage={"file_distribute_rotate_count": 3})
    with made.storage.connect() as conn:
        dirs = [conn.upload(b"x")[4:9] for _ in range(12)]
    assert dirs == [d for d in ("00/00", "00/01", "00/02", "00/03")
                    for _ in range(3)]


def test_two_paths_take_uploads_in_turn(fresh):
    made = fresh(paths=2)
    with made.tracker.connect() as query, made.storage.connect() as conn:
        told = [query.store()[3] for _ in range(4)]
        own = [int(conn.upload(b"x")[1:3], 16) for _ in range(4)]
    assert sorted(told) == sorted(own) == [0, 0, 1, 1]


def test_files_of_a_stock_data_directory_are_served(fresh):
    """A file that was there before, under a name made elsewhere."""
    made = fresh()
    name = "M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136.txt"
    content = b"hello from python\n"
    made.storage.path_of(name).write_bytes(content)
    with made.storage.connect() as conn:
        assert conn.download(name) == content
        assert conn.info(name)[0] == 18
        assert conn.info(name)[3] == "10.77.1.11"
        conn.set_meta(name, b"a\x021")
        assert conn.get_meta(name) == b"a\x021"
        conn.delete(name)
        assert not conn.exists(name)


def test_a_busy_disk_worker_does_not_stop_other_requests(fresh):
    made = fresh()
    with made.storage.connect() as slow, made.storage.connect() as quick:
        name = quick.upload(b"quick")
        slow.send(header(wire.UPLOAD, 15 + 50_000_000))
        slow.send(upload_body(b"", size=50_000_000) + bytes(30_000_000))
        for _ in range(50):
            assert quick.download(name) == b"quick"
        slow.send(bytes(20_000_000))
        assert slow.reply().status == 0


def test_groups_are_kept_apart(fresh):
    made = fresh(storages=2, groups=["alpha", "beta"])
    with made.tracker.connect() as query:
        seen = {query.store()[0] for _ in range(4)}
        assert seen == {"alpha", "beta"}
        for node in made.storages:
            name, ip, _, _ = query.store(node.group)
            assert (name, ip) == (node.group, node.address[0])
            with node.connect() as conn:
                body = conn.done(wire.UPLOAD, upload_body(b"x"))
                assert body[:16] == group(node.group)
                ref = file_ref(body[16:].decode(), node.group)
                assert conn.call(wire.QUERY_INFO, ref).status == 0
        listed = query.done(wire.LIST_GROUPS)
        assert [wire.text(listed[at:at + 17]) for at in (0, 113)] == \
            ["alpha", "beta"]
