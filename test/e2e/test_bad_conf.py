# SPDX-License-Identifier: MIT
"""Broken configurations and damaged databases: told, refused, mended."""

import os
import re
import shutil
import sqlite3
import subprocess

import pytest

import wire
from harness import wait_until
from wire import ENOENT

pytestmark = pytest.mark.ours


# --- configurations --------------------------------------------------------

TRACKER_FAULTS = [
    ("store_lookup", "5"), ("base_path", None), ("base_path", ""),
    ("reserved_storage_space", "10 %"), ("reserved_storage_space", "0%"),
    ("reserved_storage_space", "100%"), ("reserved_storage_space", ""),
    ("reserved_storage_space", "much"), ("slot_min_size", "0"),
    ("log_file_rotate_on_size", "1.5GB"), ("trunk_file_size", "10 X"),
    ("run_by_user", "no-such-user"), ("run_by_group", "no-such-group"),
    ("bind_addr", "203.0.113.77"), ("bind_addr", "not-an-address"),
    ("port", "70000"), ("trunk_create_file_time_base", "25:00"),
]

STORAGE_FAULTS = [
    ("group_name", ""), ("group_name", "a/b"), ("group_name", "x" * 17),
    ("group_name", "gr\u00fc\u00dfe"), ("tracker_server", None),
    ("tracker_server", "not an address:1"), ("store_path_count", "0"),
    ("store_path_count", "-1"), ("store_path_count", "2"),
    ("store_path0", "/nonexistent/store"), ("subdir_count_per_path", "0"),
    ("subdir_count_per_path", "257"), ("base_path", None),
    ("log_file_rotate_time", "24:30"), ("log_file_rotate_time", ""),
    ("run_by_user", "no-such-user"), ("bind_addr", "not-an-address"),
    ("port", "70000"),
]


def refused(daemon, *args):
    done = daemon.run_to_end(*args)
    assert done.returncode not in (0, -6, -11), (
        f"status {done.returncode}: {done.stderr}")
    assert done.stderr.strip(), "an error must be told"
    return done.stderr


def check_fault(daemon, key, value):
    if value is None:
        daemon.conf.pop(key)
    else:
        daemon.conf[key] = value
    told = refused(daemon)
    last = told.strip().splitlines()[-1]
    shown = {"store_path_count": "store_path"}.get(key, key)
    assert shown in told or (value and value in told), told
    assert len(last) < 400, "one sentence, not a page"
    if key not in ("bind_addr", "port", "store_path0", "run_by_user",
                   "run_by_group"):
        assert refused(daemon, "-t")


@pytest.mark.parametrize("key,value", TRACKER_FAULTS)
def test_tracker_configuration_fault_stops_the_start(fresh, key, value):
    check_fault(fresh(start=False).tracker, key, value)


@pytest.mark.parametrize("key,value", STORAGE_FAULTS)
def test_storage_configuration_fault_stops_the_start(fresh, key, value):
    check_fault(fresh(start=False).storage, key, value)


def test_keys_without_effect_are_accepted_and_listed_as_such(fresh):
    """Values that would end the reference do not matter here."""
    made = fresh(start=False)
    keys = {"accept_threads": "0", "buff_size": "1.5GB",
            "thread_stack_size": "64KB"}
    for daemon in (made.tracker, made.storage):
        daemon.conf.update(keys)
        done = daemon.run_to_end("-t")
        assert done.returncode == 0, done.stderr
        _, tail = done.stdout.split("without effect")
        for key, value in keys.items():
            assert f"{key} = {value}" in tail


def test_store_group_is_wanted_by_store_lookup_1(fresh):
    made = fresh(start=False, tracker={"store_lookup": 1})
    assert "store_group" in refused(made.tracker)


def test_slot_max_size_must_exceed_slot_min_size(fresh):
    made = fresh(start=False, tracker={"slot_min_size": 1024,
                                       "slot_max_size": 512})
    assert "slot_max_size" in refused(made.tracker)


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "0 group1 1.1.1.1\n",
                                  "x group1 1.1.1.1\n",
                                  "16777216 group1 1.1.1.1\n",
                                  "1 group1 1.1.1.1\n1 group1 1.1.1.2\n",
                                  "1 group1 1.1.1.1\n2 group1 1.1.1.1\n",
                                  "1 group1\n", "1 gr/1 1.1.1.1\n",
                                  "1 group1 1.1.1.1 rw=maybe\n"])
def test_bad_storage_ids_stop_the_start(fresh, text):
    made = fresh(start=False, tracker={
        "use_storage_id": "true", "storage_ids_filename": "ids.conf"})
    if text is not None:
        (made.tracker.base / "ids.conf").write_text(text)
    assert "ids.conf" in refused(made.tracker)


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_disabled_configuration_ends_with_125(fresh, side):
    daemon = getattr(fresh(start=False), side)
    daemon.conf["disabled"] = "true"
    done = daemon.run_to_end()
    assert done.returncode == 125
    assert "disabled" in done.stderr


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_missing_include_stops_the_start(fresh, side):
    daemon = getattr(fresh(start=False), side)
    daemon.sections = "#include not-there.conf\n"
    assert "not-there.conf" in refused(daemon)


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_include_is_taken_and_double_hash_is_a_comment(fresh, side):
    daemon = getattr(fresh(start=False), side)
    (daemon.base / "more.conf").write_text("network_timeout = 17\n")
    daemon.conf.pop("network_timeout")
    daemon.sections = "#include more.conf\n##include not-there.conf\n"
    done = daemon.run_to_end("-t")
    assert done.returncode == 0, done.stderr
    assert re.search(r"network_timeout\s*=\s*17\b", done.stdout)


@pytest.mark.parametrize("side", ["tracker", "storage"])
def test_unknown_key_is_a_warning(fresh, side):
    daemon = getattr(fresh(start=False), side)
    daemon.conf["max_connectoins"] = 7
    done = daemon.run_to_end("-t")
    assert done.returncode == 0, done.stderr
    assert "max_connectoins" in done.stderr + done.stdout


def test_odd_values_are_read_as_upstream_reads_them(fresh):
    made = fresh(start=False)
    node = made.storage
    node.conf.update({"heart_beat_interval": "2m",
                      "use_connection_pool": "TRUE",
                      "file_distribute_rotate_count": "-5",
                      "max_connections": "0", "store_path0":
                      str(node.paths[0]) + "/"})
    done = node.run_to_end("-t")
    assert done.returncode == 0, done.stderr
    for key, value in (("heart_beat_interval", 2),
                       ("file_distribute_rotate_count", 100),
                       ("max_connections", 256)):
        assert re.search(rf"\b{key}\s*=\s*{value}\b", done.stdout), key


def test_a_conf_with_crlf_and_a_bom_is_read(fresh):
    made = fresh(start=False)
    made.tracker.write_conf()
    text = made.tracker.conf_path.read_bytes().replace(b"\n", b"\r\n")
    made.tracker.conf_path.write_bytes(b"\xef\xbb\xbf" + text)
    done = subprocess.run(
        [made.tracker.program, "-t", str(made.tracker.conf_path)],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def test_port_in_use_is_told(fresh):
    made = fresh()
    other = fresh(start=False)
    other.storage.conf["tracker_server"] = "%s:%d" % made.tracker.address
    for mine, theirs in ((other.tracker, made.tracker),
                         (other.storage, made.storage)):
        mine.conf["bind_addr"], mine.conf["port"] = theirs.address
        assert str(theirs.address[1]) in refused(mine)


@pytest.mark.slow
def test_a_storage_tells_that_its_address_is_not_of_this_host(fresh):
    made = fresh(start=False)
    made.tracker.start()
    made.storage.conf["bind_addr"] = "203.0.113.77"
    made.storage.launch()
    made.storage.wait_log(
        r"203\.0\.113\.77|Cannot assign requested address", 40)
    assert made.storage.process.wait(40) == 1
    made.storage.process = None


def test_second_daemon_on_the_same_base_path_is_refused(fresh):
    made = fresh()
    for daemon in (made.tracker, made.storage):
        copy = daemon.base / "second.conf"
        text = daemon.conf_path.read_text()
        copy.write_text(re.sub(r"(?m)^port = .*$", "port = 19999", text))
        done = subprocess.run([daemon.program, str(copy)],
                              capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode not in (0, -6, -11)
        assert str(daemon.base) in done.stderr
        assert daemon.answers()
    with made.storage.connect() as conn:
        assert conn.download(conn.upload(b"still here")) == b"still here"


def test_a_foreign_or_reordered_store_path_is_refused(fresh):
    made = fresh(paths=2)
    node = made.storage
    assert node.stop() == 0
    first, second = node.conf["store_path0"], node.conf["store_path1"]
    node.conf["store_path0"], node.conf["store_path1"] = second, first
    told = refused(node)
    assert first in told or second in told
    node.conf["store_path0"], node.conf["store_path1"] = first, second
    node.start()


def test_sub_directories_grow_without_losing_a_file_and_never_shrink(fresh):
    made = fresh(storage={"file_distribute_rotate_count": 1})
    node = made.storage
    with node.connect() as conn:
        names = [conn.upload(b"%d" % i) for i in range(16)]
    assert {name[4:9] for name in names} >= {"00/00", "03/03"}
    for count in (4, 6):
        assert node.stop() == 0
        node.conf["subdir_count_per_path"] = count - 1
        done = node.run_to_end()
        assert done.returncode == 1
        assert f"shrink to {count - 1}" in done.stderr
        node.conf["subdir_count_per_path"] = 6
        node.start()
        with node.connect() as conn:
            for i, name in enumerate(names):
                assert conn.download(name) == b"%d" % i
            names.append(conn.upload(b"%d" % len(names)))
    assert (node.paths[0] / "data" / "05" / "05").is_dir()


# --- databases -------------------------------------------------------------

DATABASES = [("tracker", "tracker.db"), ("storage", "storage.db"),
             ("storage", "catalogue.db")]


def stopped_with_files(fresh):
    made = fresh()
    with made.storage.connect() as conn:
        made.kept = conn.upload(b"kept")
    assert made.storage.stop() == 0
    if made.tracker.alive():
        assert made.tracker.stop() == 0
    return made


@pytest.mark.parametrize("side,name", DATABASES)
def test_a_database_from_a_newer_version_is_refused(fresh, side, name):
    made = stopped_with_files(fresh)
    daemon = getattr(made, side)
    path = daemon.base / "meta" / name
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute("PRAGMA user_version = 9999")
    db.commit()
    db.close()
    told = refused(daemon)
    assert name in told and "9999" in told and str(version) in told
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    made.tracker.start()
    made.storage.start()
    with made.storage.connect() as conn:
        assert conn.download(made.kept) == b"kept"


@pytest.mark.parametrize("side,name", DATABASES)
@pytest.mark.parametrize("how", ["head", "text", "foreign"])
def test_a_damaged_database_is_told_with_the_way_out(fresh, side, name, how):
    made = stopped_with_files(fresh)
    daemon = getattr(made, side)
    path = daemon.base / "meta" / name
    for extra in ("-wal", "-shm"):
        path.with_name(name + extra).unlink(missing_ok=True)
    if how == "head":
        with open(path, "r+b") as file:
            file.write(os.urandom(4096))
    elif how == "text":
        path.write_text("this is not a database, it is a text\n" * 1000)
    else:
        path.unlink()
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE somebody_elses(x)")
        db.commit()
        db.close()
    told = refused(daemon)
    assert name in told
    assert len(told.strip().splitlines()[-1]) < 600
    assert re.search(r"move|remove|rebuild|restore|adopt|delete", told), told


def test_missing_databases_are_made_anew_and_files_stay(fresh):
    made = stopped_with_files(fresh)
    shutil.rmtree(made.storage.base / "meta")
    shutil.rmtree(made.tracker.base / "meta")
    made.tracker.start()
    made.storage.start()
    with made.storage.connect() as conn:
        assert conn.download(made.kept) == b"kept"


def test_no_tracker_is_no_reason_to_end(fresh):
    made = fresh()
    with made.storage.connect() as conn:
        name = conn.upload(b"kept")
        made.tracker.kill()
        assert conn.download(name) == b"kept"
        assert conn.upload(b"more")
    made.tracker.start()
    wait_until(made.storage.active, 15)
    with made.tracker.connect() as conn:
        conn.fails(wire.STORE_GROUP_ONE, wire.group("none"), ENOENT)
