#!/usr/bin/python3
"""Makes the seeds of the fuzz targets from the recorded dialogues and the
sample configurations. Run in the top directory; the result is committed."""
import glob
import hashlib
import json
import os
import re
import sys

TARGETS = "framer msg fileid kv conf".split()
FILES_MAX = 90
SIZE_MAX = 1024


def messages():
    for path in sorted(glob.glob("test/golden/transcripts/*.jsonl")):
        for line in open(path, encoding="utf-8"):
            entry = json.loads(line)
            if entry.get("hex") and entry.get("cmd") is not None and not (
                    entry.get("truncated") or entry.get("hex_truncated")):
                yield entry, bytes.fromhex(entry["hex"])


def table(path, pattern):
    return re.findall(pattern, open(path, encoding="utf-8").read())


def framer_seeds():
    """One request of each command, by side; then a few of them in a row."""
    seen = {}
    for entry, packet in messages():
        if entry["cmd"] == 100 or len(packet) > 400:
            continue
        side = entry.get("peer", entry.get("to")) == "tracker"
        seen.setdefault((entry["cmd"], side), packet)
    for (_, side), packet in sorted(seen.items()):
        yield bytes([side, 7]) + packet
    for side in (0, 1):
        row = b"".join(p for (_, s), p in sorted(seen.items()) if s == side)
        yield bytes([side, 99]) + row[:SIZE_MAX - 2]


def msg_seeds():
    """A body of each message, behind the number of the message."""
    text = open("proto/messages.def", encoding="utf-8").read()
    names = re.findall(r"\bM\((\w+), \w+\)", text[text.index("MSG_ALL(M)"):])
    rows = table("proto/commands.def",
                 r"CMD\((\d+), \w+, \w+, (\w+), (\w+), \d+\)")
    request = {int(code): req for code, req, _ in rows}
    reply = {int(code): rep for code, _, rep in rows}
    seen = {}
    for entry, packet in messages():
        of = entry.get("req_cmd", entry.get("re"))
        name = request.get(entry["cmd"]) if of is None else reply.get(of)
        body = packet[10:]
        if name in names and body and not entry["status"] and \
                len(body) < SIZE_MAX:
            seen.setdefault((name, len(body) % 64), body)
    count = {}
    for (name, _), body in sorted(seen.items()):
        count[name] = count.get(name, 0) + 1
        if count[name] == 1:
            yield bytes([names.index(name)]) + body


def fileid_seeds():
    ids = {}
    for _, packet in messages():
        for name in re.findall(rb"M[0-9A-F]{2}/[\x21-\x7e]{10,90}", packet):
            ids.setdefault((len(name), name[21:22]), name)
    for name in list(ids.values())[:60]:
        yield name
    yield b"group1/M00/00/00/Ck0BC2sCjlmADTSwAAAADg4Qul0199.txt"
    yield b"http://host:8080/group1/M00/00/00/a.txt?token=1&ts=2"
    yield b"00/00/old-name"
    yield bytes(range(20))


def kv_seeds():
    for entry, packet in messages():
        body = packet[10:]
        if entry["cmd"] == 13 and len(body) > 33:
            n = int.from_bytes(body[:8], "big")
            yield b"\x80" + body[33 + n:][:SIZE_MAX - 1]
        elif entry.get("req_cmd") == 15 and body:
            yield b"\x40" + body[:SIZE_MAX - 1]


def conf_seeds():
    yield b"on = yes\ncount = 12x\nclamped=9999\nback = 77\nstrict = 4\n"
    yield b"bytes = 64M\npath = /a b\nhost = a\nhost = b\nhost=c\n"
    yield b"at = 23:59:59\nreserve = 12.5%\nword = two\nold = 1\n"
    yield b"reserve = 10G\n[http]\nsecret = s\ncount = 1\n[x]\n"
    yield b"#include nothing.conf\n"
    yield b"#@if LOCAL_IP in [127.0.0.1]\non = 1\n#@else\non = 0\n#@endif\n"
    yield b"#@for i from 0 to 9 step 1\nstore_path{$i} = /a{$i}\n#@endfor\n"
    yield b"strict = 10\n"
    yield b"\xef\xbb\xbf# comment\r\n on=no \r\n=\n[\n]\nword=four\n"
    for path in sorted(glob.glob("conf/*.conf")):
        text = open(path, "rb").read()
        for at in range(0, min(len(text), 8 * SIZE_MAX), SIZE_MAX):
            yield text[at:at + SIZE_MAX]


def main():
    for target in TARGETS:
        folder = f"test/fuzz/corpus/{target}"
        os.makedirs(folder, exist_ok=True)
        seeds = {}
        for seed in globals()[f"{target}_seeds"]():
            name = hashlib.sha256(seed).hexdigest()[:12]
            seeds.setdefault(name, seed[:SIZE_MAX])
        for name, seed in list(seeds.items())[:FILES_MAX]:
            with open(f"{folder}/{name}", "wb") as out:
                out.write(seed)
        print(f"{target}: {min(len(seeds), FILES_MAX)} seeds")


if __name__ == "__main__":
    sys.exit(main())
