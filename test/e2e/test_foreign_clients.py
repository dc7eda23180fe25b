# SPDX-License-Identifier: MIT
"""Other people's clients do their own work against the daemons."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import wire
from harness import stock_env, stock_program
from wire import ENOENT, file_ref

NODE = Path(__file__).resolve().parent / "node"
CLIENTS = [("fdfs", "promise_client.js"),
           ("fastdfs-client", "promise_client.js"),
           ("fdfs-client", "callback_client.js")]


@pytest.fixture(scope="session")
def node_modules():
    """The pinned npm clients, installed once outside the work tree."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    home = Path(os.environ.get("FDFS_NODE_DIR") or
                Path(tempfile.gettempdir()) / f"fdfs-e2e-node-{os.getuid()}")
    home.mkdir(exist_ok=True)
    lock = (NODE / "package-lock.json").read_text()
    with open(home / "lock", "w", encoding="ascii") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        stamp = home / "installed.json"
        if not stamp.exists() or stamp.read_text() != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(NODE / name, home / name)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=home, capture_output=True, text=True, timeout=300,
                check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            stamp.write_text(lock)
    return home / "node_modules"


@pytest.mark.limit(400)
@pytest.mark.parametrize("module,script", CLIENTS,
                         ids=[row[0] for row in CLIENTS])
def test_npm_client(cluster, node_modules, module, script, tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "picture.jpg").write_bytes(content)
    host, port = cluster.tracker.address
    done = subprocess.run(
        ["node", "--no-deprecation", str(NODE / script),
         str(node_modules / module), host, str(port), str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ids = json.loads(done.stdout)

    def name_of(key):
        first, name = ids[key].split("/", 1)
        assert first == "group1"
        return name
    with cluster.storage.connect() as conn:
        for key, ext in (("byName", ".jpg"), ("byBuffer", ".bin")):
            assert name_of(key).endswith(ext)
            assert conn.download(name_of(key)) == content
        assert conn.download(name_of("inGroup")) == b"in a group"
        conn.fails(wire.DOWNLOAD, wire.download_body(name_of("byStream")),
                   ENOENT)
        if "log" in ids:
            assert conn.download(name_of("log")) == b"FIRST second"
            assert name_of("byDefault").endswith(".dat")


# --- the FastDFS programs, where they are installed ------------------------

class Programs:
    """Runs FastDFS's own C programs against a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.conf = cluster.client_conf()

    def run(self, program, *args, status=0):
        done = subprocess.run(
            [stock_program(program), *map(str, args)], env=stock_env(),
            capture_output=True, text=True, timeout=60, check=False,
            cwd=self.cluster.dir)
        assert done.returncode == status, (
            f"{program}: status {done.returncode}\n"
            f"{done.stdout}{done.stderr}")
        return done.stdout

    def __call__(self, program, *args, status=0):
        return self.run(program, self.conf, *args, status=status)


@pytest.fixture
def programs(cluster):
    if not stock_program("fdfs_upload_file"):
        pytest.skip("the FastDFS programs are not installed")
    return Programs(cluster)


def test_c_upload_info_download_delete(cluster, programs, tmp_path):
    source = tmp_path / "photo.jpg"
    source.write_bytes(os.urandom(400_000))
    file_id = programs("fdfs_upload_file", source).strip()
    assert re.fullmatch(r"group1/M00/[0-9A-F/]{6}.{30}\.jpg", file_id)
    info = programs("fdfs_file_info", file_id)
    assert re.search(r"file size: 400000\b", info), info
    programs("fdfs_download_file", file_id, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == source.read_bytes()
    programs("fdfs_download_file", file_id, tmp_path / "part", 1000, 500)
    assert (tmp_path / "part").read_bytes() == \
        source.read_bytes()[1000:1500]
    programs("fdfs_delete_file", file_id)
    programs("fdfs_delete_file", file_id, status=ENOENT)


def test_c_appender(cluster, programs, tmp_path):
    first, more = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(b"first\n")
    more.write_bytes(b"more\n" * 60_000)
    file_id = programs("fdfs_upload_appender", first).strip()
    programs("fdfs_append_file", file_id, more)
    programs("fdfs_download_file", file_id, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == \
        first.read_bytes() + more.read_bytes()
    new = programs("fdfs_regenerate_filename", file_id)
    new_id = re.search(r"group1/M00/\S+", new.replace(file_id, "")).group()
    with cluster.storage.connect() as conn:
        assert not conn.exists(file_id.split("/", 1)[1])
        assert conn.download(new_id.split("/", 1)[1]) == \
            (tmp_path / "got").read_bytes()


def test_c_test_programs_do_their_tour(cluster, programs, tmp_path):
    source = tmp_path / "tour.txt"
    source.write_bytes(b"0123456789" * 1000)
    out = programs("fdfs_test", "upload", source, "FILE")
    assert "group_name=group1" in out, out
    name = re.search(r"remote_filename=(\S+)", out).group(1)
    meta = programs("fdfs_test", "getmeta", "group1", name)
    assert "width" in meta or "ext_name" in meta, meta
    programs("fdfs_test", "query_servers", "group1", name)
    programs("fdfs_test", "setmeta", "group1", name, "OVERWRITE", "k=v,a=b")
    with cluster.storage.connect() as conn:
        assert conn.get_meta(name) == b"a\x02b\x01k\x02v"
        assert conn.call(wire.QUERY_INFO, file_ref(name)).status == 0
    programs("fdfs_test", "delete", "group1", name)
    programs("fdfs_appender_test", source, "FILE")


def test_c_monitor_shows_the_cluster(cluster, programs):
    out = programs("fdfs_monitor")
    assert "group name = group1" in out.lower()
    assert cluster.storage.address[0] in out
    assert "ACTIVE" in out
    out = programs("fdfs_monitor", "list", "group1")
    assert cluster.storage.address[0] in out


@pytest.mark.parametrize("program", ["fdfs_tracker_stat", "fdfs_storage_stat",
                                     "fdfs_volumn_stat"])
def test_c_statistics_programs(cluster, programs, program):
    if not stock_program(program):
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([stock_program(program), "-c", programs.conf],
                          env=stock_env(), capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        done = subprocess.run([stock_program(program), programs.conf],
                              env=stock_env(), capture_output=True,
                              text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "group1" in done.stdout or cluster.net in done.stdout, done.stdout
