# SPDX-License-Identifier: MIT
"""fdfs-top on a real terminal (tmux) and as a batch program."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import threading

import pytest

from console import Console
from harness import program, wait_until

pytestmark = pytest.mark.ours


@pytest.fixture(autouse=True)
def need_tmux(request):
    if "console" in request.fixturenames and not shutil.which("tmux"):
        pytest.skip("tmux is not installed")


@pytest.fixture
def files(cluster):
    """Some files, already in the catalogue."""
    node = cluster.storage
    with node.connect() as conn:
        names = [conn.upload(b"%d" % i * 100, ext)
                 for i, ext in enumerate(("pdf", "jpg", "txt", "pdf"))]
        conn.set_meta(names[0], b"filename\x02Q3 invoice.pdf\x01author\x02lin")
    wait_until(lambda: len(node.catalogue_rows(
        "select 1 from files where remote in (?,?,?,?)", *names)) == 4, 5)
    wait_until(lambda: node.catalogue_rows(
        "select 1 from files where name = 'Q3 invoice.pdf'"), 5)
    return names


def top(cluster, *args):
    return " ".join([program("fdfs-top"), "-t",
                     "%s:%d" % cluster.tracker.address, "--db",
                     str(cluster.storage.base / "meta"), *args])


@pytest.fixture
def console(cluster, files, tmp_path):
    with Console(top(cluster), tmp_path, env=cluster.client_env()) as made:
        made.wait("OVERVIEW")
        yield made


def check_frame(console, cols, rows):
    lines = console.lines()
    assert len(lines) <= rows
    assert all(len(line) <= cols for line in lines)
    return lines


def test_overview_shows_the_cluster(cluster, console):
    screen = console.wait(r"group1\s")
    lines = check_frame(console, 80, 24)
    assert re.search(r"1 OVERVIEW\s.*3 Storages\s.*6 Files", screen)
    assert "Capacity" in screen and "Traffic" in screen
    console.wait(r"1 of 1 up|1 ACTIVE")
    assert re.search(r"\d\d:\d\d:\d\d", lines[0])
    assert re.search(r"\b[Qq]uit\b", lines[-1])


def test_overview_follows_the_load(cluster, console):
    with cluster.storage.connect() as conn:
        for _ in range(200):
            conn.upload(b"x" * 1000)
    console.wait(r"upload\s.*\d", 20)


def test_storages_view(cluster, console):
    console.keys("3")
    console.wait("3 STORAGES")
    ip = re.escape(cluster.storage.address[0])
    screen = console.wait(rf"{ip}\s+group1\s+ACTIVE")
    assert re.search(r"^ ID\s+GROUP\s+STATE", screen, re.M)
    console.keys("Enter")
    console.wait(r"download")
    console.keys("Escape")
    console.wait(r"3 STORAGES")


def test_files_view_finds_a_file(console, files):
    console.keys("6")
    console.wait("6 FILES")
    console.wait("group1/M00/")
    console.keys("/")
    console.type("ext=pdf meta.author=lin")
    console.keys("Enter")

    def found():
        text = console.screen()
        return files[0] in text and files[1] not in text
    wait_until(found, 10, "only the invoice is listed")
    screen = console.wait("Q3 invoice.pdf")
    assert "author=lin" in screen


def test_files_view_looks_an_id_up(console, files):
    console.keys("6")
    console.wait("group1/M00/")
    console.keys("/")
    console.type("group1/" + files[1])
    console.keys("Enter")

    def alone():
        text = console.screen()
        return files[1] in text and files[0] not in text
    wait_until(alone, 10, "only that file is listed")


def test_views_by_number_and_back(console):
    for key, title in (("3", "3 STORAGES"), ("6", "6 FILES"),
                       ("1", "1 OVERVIEW")):
        console.keys(key)
        console.wait(title)


def test_help_and_back(console):
    console.keys("?")
    console.wait("MOVE|move")
    console.keys("Escape")
    console.wait("OVERVIEW")


def test_resize(console):
    for cols, rows in ((140, 40), (60, 20), (40, 10), (20, 5), (1, 1),
                       (200, 60), (80, 24)):
        console.resize(cols, rows)
        if cols >= 40 and rows >= 10:
            wait_until(lambda: console.screen().strip(), 5)
    console.wait("OVERVIEW")
    check_frame(console, 80, 24)


@pytest.mark.parametrize("key", ["q", "C-c", "F10"])
def test_quit_restores_the_terminal(cluster, tmp_path, key):
    with Console(top(cluster), tmp_path, env=cluster.client_env()) as made:
        made.wait("OVERVIEW")
        made.keys(key)
        assert made.wait_end() in (0, 130)
        wait_until(lambda: "OVERVIEW" not in made.screen(), 5)


def test_unknown_keys_do_nothing(console):
    for key in ("X", "%", "F12", "M-x"):
        console.keys(key)
    console.keys("3")
    console.wait("3 STORAGES")


def test_a_lost_tracker_is_told_and_found_again(fresh, tmp_path):
    made = fresh()
    with Console(top(made), tmp_path, env=made.client_env()) as con:
        con.wait(r"1 of 1 up|1 ACTIVE", 20)
        made.tracker.kill()
        con.wait(r"(?i)no tracker|not answer|refused|trk 0/1", 30)
        con.keys("3")
        con.wait("3 STORAGES")
        made.tracker.start()
        con.wait(r"ACTIVE", 30)
        con.keys("q")
        assert con.wait_end() == 0


def test_no_tracker_at_all(tmp_path):
    command = f"{program('fdfs-top')} -t 127.9.9.9:9"
    with Console(command, tmp_path) as con:
        con.wait(r"(?i)no tracker|not answer|refused", 20)
        con.keys("q")
        con.wait_end()


@pytest.mark.parametrize("term", ["xterm-256color", "vt100", "linux"])
def test_other_terminals(cluster, tmp_path, term):
    env = dict(cluster.client_env(), TERM=term)
    command = f"TERM={term} {top(cluster)}"
    with Console(command, tmp_path, env=env) as con:
        con.wait("OVERVIEW")
        con.keys("q")
        assert con.wait_end() == 0


def batch(cluster, *args):
    return subprocess.run(
        [program("fdfs-top"), "-t", "%s:%d" % cluster.tracker.address,
         "--db", str(cluster.storage.base / "meta"), *args],
        capture_output=True, text=True, timeout=60, check=False,
        env=cluster.client_env(), stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("view,want", [
    ([], "group1"), (["overview"], "group1"), (["storages"], "ACTIVE"),
    (["files"], "group1/M00/")])
def test_batch_prints_one_picture(cluster, files, view, want):
    done = batch(cluster, "-b", "-n", "1", *view)
    assert done.returncode == 0, done.stderr
    assert re.match(r"== \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", done.stdout)
    assert want in done.stdout
    assert "\x1b" not in done.stdout


def test_batch_repeats(cluster, files):
    done = batch(cluster, "-b", "-n", "3", "-d", "0.5")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^== ", done.stdout, re.M)) == 3


def test_a_pipe_makes_it_a_batch(cluster, files):
    done = batch(cluster, "-n", "1")
    assert done.returncode == 0 and "\x1b" not in done.stdout


def test_batch_without_any_source_ends_with_3():
    done = subprocess.run(
        [program("fdfs-top"), "-b", "-n", "1", "-t", "127.9.9.9:9"],
        capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 3
    assert "127.9.9.9" in done.stderr + done.stdout


def test_usage_errors_end_with_2(cluster):
    for args in (["--no-such-option"], ["-n", "x", "-b"], ["-d", "0", "-b"],
                 ["nosuchview", "-b", "-n", "1"]):
        done = batch(cluster, *args)
        assert done.returncode == 2, args
        assert done.stderr.strip()
    for args in (["-h"], ["-V"]):
        done = batch(cluster, *args)
        assert done.returncode == 0 and done.stdout.strip()


def test_once_json_when_offered(cluster, files):
    done = batch(cluster, "--once", "--json")
    if done.returncode == 2:
        pytest.skip("this fdfs-top has no --json yet")
    shot = json.loads(done.stdout)
    assert shot["schema"].startswith("fdfs-top.snapshot/")
    assert shot["groups"][0]["name"] == "group1"
    assert shot["storages"][0]["state"] == "ACTIVE"


def read_all(fd):
    """Until the other side of a terminal is closed."""
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass


@pytest.mark.parametrize("how", ["hangup", "SIGTERM"])
def test_a_console_ends_though_signals_were_blocked(cluster, how):
    """Its starter blocked them; the terminal vanishes, or it is told to end."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        top(cluster).split(), stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm"}, start_new_session=True,
        preexec_fn=lambda: signal.pthread_sigmask(
            signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGTERM]))
    os.close(slave)
    try:
        os.read(master, 1)  # it has drawn something
        if how == "hangup":
            os.close(master)
            assert child.wait(10) == 128 + signal.SIGHUP
        else:
            child.terminate()
            drain = threading.Thread(target=read_all, args=(master,))
            drain.start()
            assert child.wait(10) == 128 + signal.SIGTERM
            drain.join()
            os.close(master)
    finally:
        child.kill()
        child.wait()
