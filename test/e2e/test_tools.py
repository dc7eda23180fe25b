# SPDX-License-Identifier: MIT
"""fdfs and fdfs-meta: what they print and how they end."""

import csv
import io
import json
import os
import re
import subprocess

import pytest

from harness import program, wait_until
from wire import crc32, unpack_meta

pytestmark = pytest.mark.ours

NO_TRACKER = ["-t", "127.9.9.9:9", "--timeout", "2s"]
MISSING = "group1/M00/00/00/fwoKZWsCjlmAAAAAAAAAAAAAAAA389.txt"


class Tool:
    """Runs one program against the cluster of the file."""

    def __init__(self, cluster, name, *before):
        self.cluster = cluster
        self.name = name
        self.before = before

    def __call__(self, *args, status=0, stdin=b""):
        done = self.cluster.tool(self.name, *self.before, *args, stdin=stdin)
        assert done.returncode == status, (
            f"{self.name} {args}: status {done.returncode}\n"
            f"{done.stdout!r}\n{done.stderr.decode(errors='replace')}")
        if status:
            assert done.stderr.strip() or status == 1
        return done.stdout

    def text(self, *args, **kw):
        return self(*args, **kw).decode().rstrip("\n")

    def json(self, *args, **kw):
        return json.loads(self(*args, "--json", **kw))

    def told(self, *args, status):
        done = self.cluster.tool(self.name, *self.before, *args)
        assert done.returncode == status, done.stderr
        return done.stderr.decode()


@pytest.fixture
def fdfs(cluster):
    return Tool(cluster, "fdfs")


@pytest.fixture
def meta(cluster):
    return Tool(cluster, "fdfs-meta", "--db",
                str(cluster.storage.base / "meta"))


def remote(file_id):
    assert file_id.startswith("group1/"), file_id
    return file_id[len("group1/"):]


# --- fdfs ------------------------------------------------------------------

def test_put_get_cat(fdfs, storage, tmp_path):
    source = tmp_path / "IMG 0412.jpg"
    source.write_bytes(os.urandom(300_000))
    file_id = fdfs.text("put", source)
    assert re.fullmatch(r"group1/M00/../../\S{30}\.jpg", file_id)
    assert storage.download(remote(file_id)) == source.read_bytes()
    assert unpack_meta(storage.get_meta(remote(file_id))) == \
        {"filename": "IMG 0412.jpg"}
    fdfs("get", file_id, "-O", tmp_path / "got.jpg")
    assert (tmp_path / "got.jpg").read_bytes() == source.read_bytes()
    assert fdfs("cat", file_id) == source.read_bytes()
    assert fdfs("get", file_id, "-O", "-") == source.read_bytes()
    assert not list(tmp_path.glob(".*")), "no temporary file stays"


def test_put_options(fdfs, storage, tmp_path):
    source = tmp_path / "a.txt"
    source.write_bytes(b"text")
    plain = fdfs.text("put", source, "--no-name", "--meta", "author=lin",
                      "--meta", "width=10", "-g", "group1", "-P", "0")
    assert unpack_meta(storage.get_meta(remote(plain))) == \
        {"author": "lin", "width": "10"}
    assert fdfs.text("put", source, "--ext", "dat").endswith(".dat")
    named = fdfs.text("put", source, "--name", "other.txt")
    assert unpack_meta(storage.get_meta(remote(named)))["filename"] == \
        "other.txt"
    appender = fdfs.text("put", source, "--appender")
    fdfs("append", appender, source)
    assert storage.download(remote(appender)) == b"texttext"
    slave = fdfs.text("put", source, "--slave-of", plain, "--prefix",
                      "_thumb")
    assert slave == plain[:-4] + "_thumb.txt"


def test_put_of_several_files_and_of_stdin(fdfs, storage, tmp_path):
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(name)
    lines = fdfs.text("put", tmp_path / "one.txt",
                      tmp_path / "two.txt").splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("one.txt", "two.txt")):
        file_id, file = line.split("\t")
        assert file.endswith(name)
        assert storage.download(remote(file_id)) == name.encode()
    file_id = fdfs.text("put", "-", "--ext", "bin", stdin=b"from stdin")
    assert storage.download(remote(file_id)) == b"from stdin"


def test_put_of_stdin_with_its_size_is_sent_as_it_comes(
        cluster, fdfs, storage):
    data = os.urandom(1_000_000)
    run = subprocess.Popen(
        [program("fdfs"), "put", "-", "--size", str(len(data)), "--ext",
         "bin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=cluster.client_env())
    run.stdin.write(data[:600_000])
    run.stdin.flush()
    # It is at the storage before the rest was written.
    wait_until(lambda: any(file.stat().st_size >= 300_000 for file in
                           cluster.storage.unfinished()), 10)
    rest, _ = run.communicate(data[600_000:], timeout=20)
    assert run.returncode == 0
    assert storage.download(remote(rest.decode().strip())) == data
    empty = fdfs.text("put", "-", "--size", "0", stdin=b"")
    assert storage.info(remote(empty))[0] == 0
    assert remote(fdfs.text("put", "-", "--size", "1k", stdin=bytes(1024)))


@pytest.mark.parametrize("sent,said", [
    (0, 100), (99, 100), (101, 100), (500_000, 100), (1, 0),
    (300_000, 299_999), (300_000, 400_000)])
def test_put_of_stdin_of_another_size_leaves_nothing(cluster, sent, said):
    before = cluster.storage.visible()
    done = cluster.tool("fdfs", "put", "-", "--size", said,
                        stdin=bytes(sent))
    assert done.returncode == 1
    assert b"--size" in done.stderr
    assert done.stdout == b""
    wait_until(lambda: cluster.storage.visible() == before and
               not cluster.storage.unfinished(), 5, "nothing is left")


def test_put_of_what_cannot_be_read(cluster, tmp_path):
    for what in (tmp_path / "not-there", tmp_path):
        done = cluster.tool("fdfs", "put", what)
        assert done.returncode in (1, 2)
        assert str(what).encode() in done.stderr
        assert done.stdout == b""


def test_get_ranges(fdfs, storage, tmp_path):
    file_id = "group1/" + storage.upload(b"0123456789")
    fdfs("get", file_id, "--range", "2-5", "-O", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b"2345"


def test_get_of_an_empty_file(fdfs, storage, tmp_path):
    file_id = "group1/" + storage.upload(b"")
    fdfs("get", file_id, "-O", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_get_does_not_overwrite_without_force(fdfs, storage, tmp_path):
    file_id = "group1/" + storage.upload(b"new")
    there = tmp_path / "there"
    there.write_text("old")
    assert fdfs.cluster.tool("fdfs", "get", file_id, "-O", there
                             ).returncode != 0
    assert there.read_text() == "old"
    fdfs("get", file_id, "-O", there, "--force")
    assert there.read_text() == "new"


def test_rm_and_missing_files_end_with_1(fdfs, storage, tmp_path):
    name = storage.upload(b"x")
    fdfs("rm", "group1/" + name)
    assert not storage.exists(name)
    fdfs("rm", "group1/" + name, status=1)
    for command in (["get", MISSING, "-O", tmp_path / "x"],
                    ["cat", MISSING], ["stat", MISSING], ["rm", MISSING],
                    ["meta", MISSING]):
        fdfs(*command, status=1)
    assert not (tmp_path / "x").exists()


def test_rm_of_many_from_stdin(fdfs, storage):
    names = [storage.upload(b"x") for _ in range(5)]
    fdfs("rm", "-", "-0", "--yes", stdin=b"".join(
        b"group1/" + n.encode() + b"\0" for n in names))
    assert not any(storage.exists(n) for n in names)


def test_stat(fdfs, storage):
    data = os.urandom(5000)
    name = storage.upload(data, "bin")
    assert f"{crc32(data):08x}" in fdfs.text("stat", "group1/" + name)
    row = fdfs.json("stat", "group1/" + name)["rows"][0]
    assert row["size"] == 5000
    assert row["crc"] == f"{crc32(data):08x}"


def test_modify_truncate_regen(fdfs, storage, tmp_path):
    name = storage.upload_appender(b"0123456789")
    patch = tmp_path / "patch"
    patch.write_bytes(b"ABC")
    fdfs("modify", "group1/" + name, "--offset", "2", patch)
    assert storage.download(name) == b"01ABC56789"
    fdfs("truncate", "group1/" + name, "6")
    assert storage.download(name) == b"01ABC5"
    new = fdfs.text("regen", "group1/" + name)
    assert storage.download(remote(new)) == b"01ABC5"
    assert not storage.exists(name)
    normal = "group1/" + storage.upload(b"x")
    assert fdfs.cluster.tool("fdfs", "append", normal, patch).returncode != 0


def test_metadata(fdfs, storage):
    file_id = "group1/" + storage.upload(b"x")
    fdfs("meta", file_id, "set", "author=lin", "dept=finance")
    assert fdfs.text("meta", file_id) == fdfs.text("meta", file_id, "get")
    assert "author" in fdfs.text("meta", file_id)
    fdfs("meta", file_id, "merge", "dept=sales", "n=1")
    assert unpack_meta(storage.get_meta(remote(file_id))) == \
        {"author": "lin", "dept": "sales", "n": "1"}
    told = json.dumps(fdfs.json("meta", file_id))
    assert "author" in told and "sales" in told
    fdfs("meta", file_id, "clear")
    assert storage.call(15, b"group1".ljust(16, b"\0") +
                        remote(file_id).encode()).status == 2


def test_list_and_ping(cluster, fdfs):
    assert "group1" in fdfs.text("list", "groups")
    text = fdfs.text("list", "storages")
    assert cluster.storage.address[0] in text and "ACTIVE" in text
    row = fdfs.json("list", "storages")["rows"][0]
    assert row["group"] == "group1"
    assert "group1" in fdfs.text("list")
    assert cluster.tracker.address[0] in fdfs.text("ping")
    assert cluster.storage.address[0] in fdfs.text("ping", "all")
    assert fdfs("ping", "%s:%d" % cluster.storage.address)


@pytest.mark.parametrize("name", ["fdfs", "fdfs-meta"])
@pytest.mark.parametrize("args,status", [
    (["--no-such-option"], 2), (["nosuchcommand"], 2), (["-h"], 0),
    (["-V"], 0), (["help"], 0)])
def test_usage(cluster, name, args, status):
    done = cluster.tool(name, *args)
    assert done.returncode == status, done.stderr
    assert (done.stderr if status else done.stdout).strip()


def test_misspelt_words_get_the_nearest(cluster):
    done = cluster.tool("fdfs-meta", "fnid")
    assert done.returncode == 2 and b"find" in done.stderr
    done = cluster.tool("fdfs", "pnig")
    assert done.returncode == 2 and b"ping" in done.stderr


def test_malformed_ids_are_usage_errors(cluster):
    for bad in ("", "x", "group1", "group1/", "group1/../../etc/passwd",
                "group1/M00/00/00/\x01\x02", "/M00/00/00/" + "A" * 34,
                "a" * 17 + "/M00/00/00/" + "A" * 34):
        for command in ("cat", "stat", "rm"):
            done = cluster.tool("fdfs", command, bad)
            assert done.returncode in (1, 2), (command, bad, done.stderr)
            assert b"\x01" not in done.stderr + done.stdout


@pytest.mark.parametrize("args", [["ping"], ["list"], ["cat", MISSING],
                                  ["stat", MISSING]])
def test_nothing_reachable_ends_with_3(cluster, args):
    done = cluster.tool("fdfs", *NO_TRACKER, *args)
    assert done.returncode == 3, done.stderr
    assert b"127.9.9.9" in done.stderr


def test_hostile_metadata_is_escaped(fdfs, storage):
    name = storage.upload(b"x")
    storage.set_meta(name, b"filename\x02\x1b[2Jboo\xe2\x80\xae\n")
    out = fdfs("meta", "group1/" + name)
    assert b"\x1b" not in out and b"\xe2\x80\xae" not in out


def test_a_large_put_and_get(fdfs, tmp_path):
    source = tmp_path / "large.bin"
    source.write_bytes(os.urandom(1 << 20) * 40)
    file_id = fdfs.text("put", source)
    fdfs("get", file_id, "-O", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


# --- fdfs-meta -------------------------------------------------------------

@pytest.fixture(scope="module")
def shelf(cluster):
    """Files with known properties, all in the catalogue."""
    node = cluster.storage
    made = {}
    with node.connect() as conn:
        for key, ext, size, pairs in (
                ("invoice", "pdf", 200_000, b"filename\x02Q3 invoice.pdf"
                 b"\x01author\x02lin\x01width\x021024"),
                ("contract", "pdf", 50, b"filename\x02contract.pdf"
                 b"\x01author\x02li"),
                ("photo", "jpg", 3000, b"filename\x02IMG_1.jpg"
                 b"\x01author\x02wei\x01width\x02800"),
                ("tmp", "tmp", 0, b"")):
            made[key] = conn.upload(os.urandom(size), ext)
            if pairs:
                conn.set_meta(made[key], pairs)
    wait_until(lambda: node.catalogue_rows(
        "select 1 from files where remote = ?", made["tmp"]) and
        node.catalogue_rows("select 1 from meta where remote = ?",
                            made["photo"]), 5)
    return made


@pytest.mark.parametrize("filters,want", [
    (["--ext", "pdf"], {"invoice", "contract"}),
    (["--ext", "jpg,pdf"], {"invoice", "contract", "photo"}),
    (["--ext", "pdf", "--size", "+100k"], {"invoice"}),
    (["--size", "50"], {"contract"}),
    (["--size", "2k..4k", "--ext", "jpg"], {"photo"}),
    (["--name", "*invoice*"], {"invoice"}),
    (["--meta", "author=lin"], {"invoice"}),
    (["--meta", "author=li*"], {"invoice", "contract"}),
    (["--meta", "width>=1000"], {"invoice"}),
    (["--ext", "pdf", "--meta", "!width"], {"contract"}),
    (["--ext", "pdf", "--age", "+90d"], set()),
    (["--ext", "pdf", "--age", "-1h"], {"invoice", "contract"}),
    (["--ext", "nothing"], set())])
def test_find(meta, shelf, filters, want):
    text = meta.text("find", *filters)
    rows = meta.json("find", *filters)["rows"]
    found = {key for key, name in shelf.items() if name in text}
    assert found == want
    assert want <= {key for key, name in shelf.items()
                    if any(row["id"] == "group1/" + name for row in rows)}
    assert len(rows) >= len(want)


def test_find_formats(meta, shelf):
    args = ["find", "--ext", "pdf"]
    shown = meta.json(*args)
    assert shown["schema"].startswith("fdfs-meta.find/")
    assert shown["complete"] is True and shown["missing"] == []
    assert {"id", "size", "created", "ext", "crc"} <= set(shown["rows"][0])
    table = list(csv.DictReader(io.StringIO(meta.text(*args, "--csv"))))
    assert {row["id"] for row in table} == \
        {row["id"] for row in shown["rows"]}
    raw = meta(*args, "-0")
    assert {part.decode() for part in raw.split(b"\0") if part} == \
        {row["id"] for row in shown["rows"]}
    assert int(meta.text(*args, "--count")) == len(shown["rows"])
    assert len(meta.json(*args, "-n", "1")["rows"]) == 1


def test_find_exit_status_when_asked(meta, shelf):
    assert meta("find", "--ext", "nothing") == b""
    meta("find", "--ext", "nothing", "--exit-code", status=1)
    meta("find", "--size", "huge", status=2)


def test_meta_stat(meta, shelf):
    file_id = "group1/" + shelf["invoice"]
    text = meta.text("stat", file_id)
    assert file_id in text and "Q3 invoice.pdf" in text
    assert re.search(r"^size\s+200,000 bytes \(195k\)$", text, re.M), text
    assert re.search(r"^size\s+200000$", meta.text(
        "stat", file_id, "--bytes"), re.M)
    assert "lin" in text
    shown = json.dumps(meta.json("stat", file_id))
    assert "200000" in shown
    meta("stat", MISSING, status=1)
    meta("stat", "no/such/id", status=2)


def test_meta_stat_of_a_deleted_file(cluster, meta, storage):
    name = storage.upload(b"x")
    storage.delete(name)
    wait_until(lambda: cluster.storage.catalogue_rows(
        "select 1 from deleted where remote = ?", name), 3)
    done = cluster.tool("fdfs-meta", "--db", cluster.storage.base / "meta",
                        "stat", "group1/" + name)
    assert b"deleted" in done.stdout + done.stderr


def test_meta_status_and_df(cluster, shelf):
    live = Tool(cluster, "fdfs-meta")
    text = live.text("status")
    assert "storage" in text and "group1" in text or "1 in 1 group" in text
    assert "group1" in live.text("df")
    row = live.json("df")["rows"][0]
    assert row["group"] == "group1"


def test_meta_sql(meta, shelf):
    out = meta.text("sql", "select count(*) as n from files where "
                    "ext = 'pdf'", "--csv")
    assert out.splitlines()[0] == "n" and int(out.splitlines()[1]) >= 2
    rows = meta.json("sql", "select id, size from files where name = "
                     "'Q3 invoice.pdf'")["rows"]
    assert rows[0]["size"] == 200_000
    assert meta.text("sql", "select count(*) from operations", "--csv")


@pytest.mark.parametrize("sql", [
    "delete from file", "drop table file", "insert into file values (1)",
    "attach 'x.db' as x", "pragma journal_mode = delete", "vacuum",
    "create table t(x)", "select load_extension('x')",
    "select writefile('x', 'y')"])
def test_meta_sql_only_reads(cluster, meta, shelf, sql):
    done = cluster.tool("fdfs-meta", "--db", cluster.storage.base / "meta",
                        "sql", sql)
    assert done.returncode != 0, sql
    assert done.stderr.strip()
    assert meta.text("find", "--ext", "pdf", "--count")


def test_meta_works_after_the_daemons_stopped(fresh):
    made = fresh()
    with made.storage.connect() as conn:
        name = conn.upload(b"kept", "pdf")
    wait_until(lambda: made.storage.catalogue_rows(
        "select 1 from files where remote = ?", name), 3)
    assert made.storage.stop() == 0
    assert made.tracker.stop() == 0
    tool = Tool(made, "fdfs-meta", "--db", str(made.storage.base / "meta"))
    assert name in tool.text("find", "--ext", "pdf")


def test_meta_without_a_database_says_which(cluster, tmp_path):
    done = cluster.tool("fdfs-meta", "--db", tmp_path / "none.db", "find")
    assert done.returncode == 3
    assert b"none.db" in done.stderr
    (tmp_path / "junk.db").write_bytes(os.urandom(8192))
    done = cluster.tool("fdfs-meta", "--db", tmp_path / "junk.db", "find")
    assert done.returncode == 3
    assert b"junk.db" in done.stderr
