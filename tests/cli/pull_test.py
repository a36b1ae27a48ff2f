#!/usr/bin/env python3
# tests/cli/pull_test.py - `witness pull` against a server that cuts, lies, changes its mind, stalls and sends wrong bytes:
# each ends with the right file or with an error in words, and never with a wrong file in its place.
import base64
import hashlib
import http.server
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

WITNESS = sys.argv[1]
BASE = tempfile.mkdtemp(prefix="witness-pull-")


def noise(n, seed):
    return random.Random(seed).randbytes(n)


FILE = noise(1000003, 1)
OTHER = noise(1000003, 2)
SHA = hashlib.sha256(FILE).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are what is tested


class Case:
    """How the server behaves; the handler asks it."""

    def __init__(self, **kw):
        self.data = FILE
        self.ranges = True
        self.etag = '"one"'
        self.headers = {}
        self.cut = lambda n, first: None  # request number, first byte -> bytes after which it is cut
        self.hook = None                  # handler, case -> True: has answered
        self.slow = 0
        self.length = None                # a Content-Length that is not true
        self.requests = []
        self.asked = 0
        self.lock = threading.Lock()
        self.__dict__.update(kw)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        c = self.server.case
        with c.lock:
            c.asked += 1
            n = c.asked
        asked = self.headers.get("Range")
        c.requests.append((asked, self.headers.get("If-Range")))
        if c.hook and c.hook(self, c, n):
            return
        data, first, last, status = c.data, 0, len(c.data) - 1, 200
        if_range = self.headers.get("If-Range")
        if asked and c.ranges and (not if_range or if_range == c.etag):
            a, b = asked.split("=")[1].split("-")
            first, last = int(a), min(int(b), last)
            status = 206
            if first >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", "bytes */%d" % len(data))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        body = data[first:last + 1]
        self.send_response(status)
        if c.etag:
            self.send_header("ETag", c.etag)
        for k, v in c.headers.items():
            self.send_header(k, v)
        if status == 206:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first, last, len(data)))
        length = c.length if c.length is not None and status == 200 else len(body)
        if length != "none":
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        cut = c.cut(n, first)
        if cut is not None:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        if c.slow:
            for i in range(0, len(body), 16384):
                self.wfile.write(body[i:i + 16384])
                self.wfile.flush()
                time.sleep(c.slow)
        else:
            self.wfile.write(body)
        if length == "none":
            self.close_connection = True


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = "http://127.0.0.1:%d" % server.server_address[1]
failed = []


class Run:
    def __init__(self, args, env, **kw):
        self.folder = kw.pop("folder", None) or tempfile.mkdtemp(dir=BASE)
        e = dict(os.environ, XDG_DATA_HOME=self.folder, **env)
        e.pop("WITNESSD_MODELS_URL", None)
        e.update(env)
        self.p = subprocess.Popen([WITNESS, "pull"] + args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=e, text=True, **kw)

    def end(self):
        self.out, self.err = self.p.communicate(timeout=120)
        self.code = self.p.returncode
        return self

    def path(self, name="m.gguf"):
        return os.path.join(self.folder, "witnessd/models", name)


def pull(case, *args, name="m.gguf", folder=None, env={}, **kw):
    server.case = case
    return Run(["%s/%s" % (URL, name), "--chunk", "100000", "--timeout", "2", "--retries", "4"] + list(args), env, folder=folder, **kw)


def expect(what, run, code, says="", data=FILE, name="m.gguf", leaves=()):
    """data: the file in its place afterwards; None: there must be none."""
    why = []
    if run.code != code:
        why.append("exit code %d, expected %d" % (run.code, code))
    if says not in run.out + run.err:
        why.append("'%s' is not said" % says)
    try:
        got = open(run.path(name), "rb").read()
    except OSError:
        got = None
    if got != data:
        why.append("the file is %s" % ("absent" if got is None else "wrong (%d bytes)" % len(got)))
    there = sorted(os.listdir(os.path.dirname(run.path(name)))) if os.path.isdir(os.path.dirname(run.path(name))) else []
    if code == 0 and [x for x in there if x.endswith((".part", ".state", ".new"))]:
        why.append("left behind: %s" % there)
    for x in leaves:
        if x not in there:
            why.append("%s is not there: %s" % (x, there))
    if why:
        failed.append(what)
        print("not ok: %s: %s\n  %s\n  %s" % (what, "; ".join(why), run.out.strip(), run.err.strip().replace("\n", "\n  ")))
    else:
        print("ok: %s" % what)
    return run


# ---- it works

r = expect("a file in parallel parts", pull(Case(), "--sha256", SHA).end(), 0, "SHA-256 is as expected: " + SHA)
if len(server.case.requests) != 12 or any(q[1] != '"one"' for q in server.case.requests[1:]):
    failed.append("parts")
    print("not ok: requests were", server.case.requests)
expect("an ETag that is the checksum", pull(Case(etag='"%s"' % SHA)).end(), 0, "SHA-256 is as the server says: " + SHA)
expect("a Repr-Digest", pull(Case(headers={"Repr-Digest": "sha-256=:%s:" % base64.b64encode(hashlib.sha256(FILE).digest()).decode()})).end(),
       0, "as the server says")
expect("no checksum at all", pull(Case()).end(), 0, "nobody named a checksum")
expect("one connection", pull(Case(), "--parallel", "1", "--sha256", SHA).end(), 0)
expect("sixteen connections, one byte a chunk short of the end", pull(Case(), "--parallel", "16", "--chunk", "1000002", "--sha256", SHA).end(), 0)
expect("one byte", pull(Case(data=b"x")).end(), 0, "1 bytes", data=b"x")
expect("no ranges", pull(Case(ranges=False), "--sha256", SHA).end(), 0)
expect("neither ranges nor a length", pull(Case(ranges=False, length="none"), "--sha256", SHA).end(), 0)
expect("no validator", pull(Case(etag=None), "--sha256", SHA).end(), 0)
expect("a weak validator", pull(Case(etag='W/"x"'), "--sha256", SHA).end(), 0)


def redirect(handler, c, n):
    if not handler.path.startswith("/deep"):
        handler.send_response(302)
        handler.send_header("Location", "/deep" + handler.path)
        handler.send_header("X-Linked-ETag", '"%s"' % SHA)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True


expect("sent on, with the checksum on the way", pull(Case(hook=redirect)).end(), 0, "as the server says: " + SHA)


def circle(handler, c, n):
    handler.send_response(302)
    handler.send_header("Location", "/again")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


def to_file(handler, c, n):
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/passwd")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


expect("sent in a circle", pull(Case(hook=circle)).end(), 66, "it was sent on more than 10 times", data=None)
expect("sent to a local file", pull(Case(hook=to_file)).end(), 65, "http", data=None)

# ---- cuts and stalls

expect("each third connection is cut", pull(Case(cut=lambda n, first: 70000 if n % 3 == 0 else None), "--sha256", SHA).end(), 0)
expect("every connection is cut, each brings a bit", pull(Case(cut=lambda n, first: 66000 if n > 1 else None), "--parallel", "1",
                                                         "--chunk", "2000000", "--sha256", SHA).end(), 0)
expect("nothing ever comes", pull(Case(cut=lambda n, first: 0 if n > 1 else None), "--sha256", SHA).end(), 69, "given up after 4 tries", data=None,
       leaves=["m.gguf.part", "m.gguf.part.state"])
expect("no ranges, always cut in the middle", pull(Case(ranges=False, cut=lambda n, first: 500000 if n > 1 else None)).end(), 69,
       "given up after 4 tries", data=None)
expect("no ranges, cut once", pull(Case(ranges=False, cut=lambda n, first: 500000 if n == 2 else None), "--sha256", SHA).end(), 0)


def stall(handler, c, n):
    if n == 3:
        time.sleep(5)
        handler.close_connection = True
        return True


def stall_always(handler, c, n):
    if n > 1:
        time.sleep(20)
        handler.close_connection = True
        return True


expect("one connection stalls", pull(Case(hook=stall), "--sha256", SHA).end(), 0, "nothing came for 2 s")
expect("all stall", pull(Case(hook=stall_always), "--timeout", "1", "--retries", "2").end(), 69, "given up after 2 tries: nothing came for 1 s", data=None)


def status(code, until=10**9, headers={}):
    def hook(handler, c, n):
        if n <= until:
            handler.send_response(code)
            for k, v in headers.items():
                handler.send_header(k, v)
            handler.send_header("Content-Length", "5")
            handler.end_headers()
            handler.wfile.write(b"sorry")
            return True
    return hook


expect("not found", pull(Case(hook=status(404))).end(), 66, "404: there is no such file", data=None)
expect("forbidden", pull(Case(hook=status(403))).end(), 77, "403", data=None)
expect("busy for a while", pull(Case(hook=status(503, 2, {"Retry-After": "1"})), "--sha256", SHA).end(), 0, "503")
expect("busy for ever", pull(Case(hook=status(500)), "--retries", "2").end(), 69, "500", data=None)
expect("an answer that is none of these", pull(Case(hook=status(204))).end(), 65, "204", data=None)
server.case = Case()
expect("nobody listens", Run(["http://127.0.0.1:1/m.gguf", "--retries", "2"], {}).end(), 69, "given up after 2 tries", data=None)

# ---- a former run

c = Case(cut=lambda n, first: 0 if first >= 600000 else None)
r = expect("broken off", pull(c, "--sha256", SHA, "--retries", "2", "--parallel", "1").end(), 69, data=None, leaves=["m.gguf.part", "m.gguf.part.state"])
c = Case()
r2 = expect("gone on with", pull(c, "--sha256", SHA, folder=r.folder).end(), 0, "from a former run")
asked = sum(int(q[0].split("=")[1].split("-")[1]) - int(q[0].split("=")[1].split("-")[0]) + 1 for q in c.requests[1:])
if asked != 400003:
    failed.append("resume")
    print("not ok: %d bytes were asked for again" % asked)


def broken():
    return pull(Case(cut=lambda n, first: 0 if first >= 600000 else None), "--sha256", SHA, "--retries", "2", "--parallel", "1").end()


r = broken()
expect("another file meanwhile, its ETag says so", pull(Case(data=OTHER, etag='"two"'), folder=r.folder).end(), 0, "begun anew", data=OTHER)
r = broken()
expect("another file meanwhile with the same ETag", pull(Case(data=OTHER), "--sha256", SHA, folder=r.folder).end(), 65, "wrong bytes came", data=None)
expect("and then the right one again", pull(Case(), "--sha256", SHA, folder=r.folder).end(), 0)
r = broken()
expect("a longer file meanwhile", pull(Case(data=FILE + b"x", etag='"two"'), folder=r.folder).end(), 0, "begun anew", data=FILE + b"x")
for what, text in (("empty", b""), ("damaged", b"witness pull 1\nsize 1000003 100000\ntag \"one\"\nchunk 0 999999\nend\n"), ("cut", b"witness pull 1\nsize 1000003 100000\nta"),
                   ("lying about bytes that are not there", b"witness pull 1\nsize 1000003 100000\ntag \"one\"\nchunk 9 100000\nchunk 10 3\nend\n"),
                   ("with a huge number", b"witness pull 1\nsize 1000003 100000\ntag \"one\"\nchunk 99999999999999999999 1\nend\n"),
                   ("binary", bytes(range(256)) * 20)):
    r = broken()
    open(r.path() + ".part.state", "wb").write(text)
    os.truncate(r.path() + ".part", 100000)
    expect("a state that is %s" % what, pull(Case(), "--sha256", SHA, folder=r.folder).end(), 0, "begun anew")
r = broken()
open(r.path() + ".part", "r+b").write(b"no!")
expect("a part that was changed", pull(Case(), "--sha256", SHA, folder=r.folder).end(), 65, "wrong bytes came", data=None)

p = pull(Case(slow=0.05), "--sha256", SHA)
while not os.path.exists(p.path() + ".part") or os.path.getsize(p.path() + ".part") < 100000:
    time.sleep(0.02)
p.p.send_signal(signal.SIGINT)
r = expect("interrupted", p.end(), 130, "stopped", data=None, leaves=["m.gguf.part", "m.gguf.part.state"])
expect("and gone on with", pull(Case(), "--sha256", SHA, folder=r.folder).end(), 0, "from a former run")

# ---- lies


def changes(handler, c, n):
    if n == 5:
        c.data, c.etag = OTHER, '"two"'


expect("the file changes under way", pull(Case(hook=changes)).end(), 0, "changed on the server", data=OTHER)


def changes_always(handler, c, n):
    if n % 3 == 0:
        c.etag = '"%d"' % n


expect("it changes all the time", pull(Case(hook=changes_always)).end(), 75, "begun 3 times", data=None)


def forgets_ranges(handler, c, n):
    c.ranges = n == 1


expect("ranges are ignored after the first", pull(Case(hook=forgets_ranges), "--sha256", SHA).end(), 0, "stopped sending parts")


def range_lie(content_range, body):
    def hook(handler, c, n):
        if n > 1:
            handler.send_response(206)
            handler.send_header("ETag", c.etag)
            handler.send_header("Content-Range", content_range)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return True
    return hook


expect("another part than asked for", pull(Case(hook=range_lie("bytes 7-99/1000003", b"x" * 93))).end(), 65, "was asked for", data=None)
expect("a part of a longer file", pull(Case(hook=range_lie("bytes 0-99999/2000000", b"x" * 100000))).end(), 65, "was asked for", data=None)
expect("a part that makes no sense", pull(Case(hook=range_lie("bytes x-y/z", b"x"))).end(), 65, "was asked for", data=None)
expect("a part from behind to before", pull(Case(hook=range_lie("bytes 9-3/1000003", b"x"))).end(), 65, "was asked for", data=None)


def huge(handler, c, n):
    handler.send_response(206)
    handler.send_header("Content-Range", "bytes 0-0/%d" % c.claim)
    handler.send_header("Content-Length", "1")
    handler.end_headers()
    handler.wfile.write(b"x")
    return True


expect("more bytes than there are in the world", pull(Case(hook=huge, claim=2**62)).end(), 74, "the server says that it has", data=None)
expect("more bytes than are free", pull(Case(hook=huge, claim=2**43)).end(), 74, "bytes are needed, and", data=None)
expect("a number that is none", pull(Case(hook=huge, claim=10**30)).end(), 65, "makes no sense", data=None)


def longer(handler, c, n):
    """More than the range, in an honest frame."""
    if n > 1:
        a, b = handler.headers["Range"].split("=")[1].split("-")
        body = c.data[int(a):int(b) + 1] + b"more"
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes %s-%s/%d" % (a, min(int(b), len(c.data) - 1), len(c.data)))
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True


expect("more than asked for", pull(Case(hook=longer)).end(), 65, "sent more than it was asked for", data=None)


def shorter(handler, c, n):
    if n > 1:
        handler.send_response(206)
        a, b = handler.headers["Range"].split("=")[1].split("-")
        handler.send_header("Content-Range", "bytes %s-%s/%d" % (a, min(int(b), len(c.data) - 1), len(c.data)))
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True


expect("less than asked for", pull(Case(hook=shorter)).end(), 69, "given up after 4 tries", data=None)
expect("no ranges and a length that is too long", pull(Case(ranges=False, length=1000100), "--retries", "2").end(), 69, "given up", data=None)
expect("no ranges and a length that is too short", pull(Case(ranges=False, length=999999), "--sha256", SHA).end(), 65, "wrong bytes came", data=None)
expect("an empty file", pull(Case(ranges=False, data=b"")).end(), 65, "empty on the server", data=None)
expect("an empty file, by its ranges", pull(Case(data=b"")).end(), 65, "empty on the server", data=None)
expect("wrong bytes", pull(Case(data=OTHER), "--sha256", SHA).end(), 65, "wrong bytes came: their SHA-256 is " + hashlib.sha256(OTHER).hexdigest(), data=None)
expect("bytes that are not those of the server's own checksum", pull(Case(data=OTHER, etag='"%s"' % SHA)).end(), 65, "wrong bytes came", data=None)
expect("a checksum that is not the expected one", pull(Case(etag='"%s"' % SHA), "--sha256", "0" * 64).end(), 65, "the server says that its SHA-256", data=None)


def rubbish(handler, c, n):
    handler.wfile.write(b"\x00\xff" * 5000)
    handler.close_connection = True
    return True


expect("no HTTP at all", pull(Case(hook=rubbish), "--retries", "2").end(), 65, "HTTP/0.9", data=None)

# ---- this side

r = pull(Case(), "--sha256", SHA).end()
expect("it is there already", pull(Case(), "--sha256", SHA, folder=r.folder).end(), 0, "was there already")
if server.case.requests:
    failed.append("there")
    print("not ok: the server was asked, and the checksum is known")
expect("there, and nobody says the checksum", pull(Case(), folder=r.folder).end(), 0, "was there already")
expect("there, and another one", pull(Case(data=OTHER + b"1"), folder=r.folder).end(), 73, "--force")
expect("there, and wrong", pull(Case(data=OTHER), "--sha256", hashlib.sha256(OTHER).hexdigest(), folder=r.folder).end(), 73, "--force")
expect("there, and replaced", pull(Case(data=OTHER), "--force", folder=r.folder).end(), 0, data=OTHER)

folder = tempfile.mkdtemp(dir=BASE)
first = pull(Case(slow=0.05), "--sha256", SHA, folder=folder)
while not os.path.exists(first.path() + ".part"):
    time.sleep(0.02)
time.sleep(0.3)
second = Run(["%s/m.gguf" % URL], {}, folder=folder).end()
if second.code != 75 or "another process fetches it" not in second.err:
    failed.append("lock")
    print("not ok: the second of two:", second.code, second.err)
expect("the first of two", first.end(), 0)


def small_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))


r = expect("no room in the middle", pull(Case(), "--parallel", "1", preexec_fn=small_disk).end(), 74, "no room for more", data=None,
           leaves=["m.gguf.part"])
expect("room again", pull(Case(), "--sha256", SHA, folder=r.folder).end(), 0, "from a former run")
r = pull(Case(), "--sha256", SHA)
r.end()
os.makedirs(r.path("d.gguf"))
if pull(Case(), name="d.gguf", folder=r.folder).end().code != 73:
    failed.append("folder")
    print("not ok: a folder in its place")
os.symlink("/dev/full", r.path("s.gguf.part"))
x = pull(Case(), name="s.gguf", folder=r.folder).end()
if x.code == 0:
    failed.append("link")
    print("not ok: a link was followed")
for args, says in (([], "expected one name"), (["a", "b"], "expected one name"), (["nonsense"], "expected an address"),
                   (["--sha256", "12", URL], "64 hex digits"), (["--parallel", "17", URL], "1 to 16"), (["--parallel", "x", URL], "1 to 16"),
                   (["gemma-4-12b-q4_0"], "WITNESSD_MODELS_URL"), (["--list", "x"], "--list stands alone"),
                   (["gemma-4-12b-q4_0", "--from", "ftp://x"], "WITNESSD_MODELS_URL"), (["--what"], "usage:")):
    x = Run(args, {}).end()
    if x.code != 64 or says not in x.err:
        failed.append(str(args))
        print("not ok:", args, x.code, x.err)
for url in ("http://127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/.hidden", "http://127.0.0.1/a/..", "http://127.0.0.1/?q=a"):
    x = Run([url], {}).end()
    if x.code != 65 or "does not end in the name of a file" not in x.err:
        failed.append(url)
        print("not ok:", url, x.code, x.err)

# ---- names


def publisher(handler, c, n):
    c.data = {"config.json": b"{}\n", "model.safetensors": FILE}.get(handler.path.rsplit("/", 1)[1], b"")
    c.etag = '"%s"' % hashlib.sha256(c.data).hexdigest()


server.case = Case(hook=publisher)
r = Run(["gemma-4-12b-drafter", "--from", URL + "//"], {}).end()
expect("a known name", r, 0, "--model gemma-4-12b-drafter", name="gemma-4-12b-drafter/model.safetensors")
server.case = Case(hook=publisher)
r = Run(["gemma-4-12b-drafter"], {"WITNESSD_MODELS_URL": URL}).end()
expect("a known name, by the environment", r, 0, name="gemma-4-12b-drafter/model.safetensors")
server.case = Case()
expect("a known name that has not its size", Run(["gemma-4-12b-q4_0", "--from", URL], {}).end(), 65, "1000003 bytes, expected 6975879296", data=None)
r = Run(["--list"], {}).end()
if r.code or "gemma-4-12b-q4_0" not in r.out or "93567e57a8fe10b2" not in r.out or "http" in r.out:
    failed.append("list")
    print("not ok: --list", r.out)

# What was pulled is a model by its name.
nano = open(os.path.join(sys.argv[2], "models/nano.gguf"), "rb").read()
r = expect("a real model", pull(Case(data=nano), "--chunk", "1000000", name="mine.gguf").end(), 0, data=nano, name="mine.gguf")
os.makedirs(os.path.join(r.folder, "witnessd/models/yours"))
shutil.copy(r.path("mine.gguf"), r.path("yours/some-model.gguf"))
open(r.path("yours/some-mmproj.gguf"), "w")
for name in ("mine", "yours"):
    x = subprocess.run([WITNESS, "model", "show", name, "--json"], env=dict(os.environ, XDG_DATA_HOME=r.folder), capture_output=True, text=True)
    if (x.returncode != 0 or "7304454" not in x.stdout) and "mmproj" not in x.stderr:
        failed.append(name)
        print("not ok: show", name, x.stderr)

server.shutdown()
shutil.rmtree(BASE)
print("%d failed" % len(failed) if failed else "all of them went as they should")
sys.exit(1 if failed else 0)
