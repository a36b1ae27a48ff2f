#!/usr/bin/env python3
"""tools/nano/gguf.py and to_gguf.py: what is written comes back; what is broken is told in words."""

import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("numpy is not here: skipped")
    sys.exit(0)

ROOT = os.path.join(os.environ.get("srcdir", "."))
sys.path.insert(0, os.path.join(ROOT, "tools", "nano"))
import gguf  # noqa: E402
import to_gguf  # noqa: E402

NANO = os.path.join(ROOT, "models", "nano.gguf")


def refused(raw, says):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "x.gguf")
        with open(path, "wb") as f:
            f.write(raw)
        try:
            gguf.Reader(path)
        except (gguf.Broken, UnicodeDecodeError) as e:
            assert says in str(e), e
        else:
            raise AssertionError(f"accepted, wanted {says!r}")


def what_is_written_comes_back():
    with tempfile.TemporaryDirectory() as d:
        w, path = gguf.Writer(), os.path.join(d, "x.gguf")
        w.put("a", gguf.U32, 7)
        w.put("b", gguf.STRING, "\u2581x")
        w.put_array("c", gguf.STRING, ["", "\n"])
        w.put_array("d", gguf.BOOL, [True, False])
        w.tensor("t", gguf.F32, np.arange(6).reshape(2, 3))
        w.tensor("u", gguf.BF16, np.array([0x3F80, 0xC000]))
        w.save(path)
        r = gguf.Reader(path)
        assert r.keys == {"a": 7, "b": "\u2581x", "c": ["", "\n"], "d": [True, False]}
        assert (r.tensors["t"][1] == np.arange(6).reshape(2, 3)).all()
        assert gguf.as_f32(*r.tensors["u"]).tolist() == [1.0, -2.0]


def the_shipped_model_has_all_it_needs():
    r = gguf.Reader(NANO)
    k = r.keys
    assert k["general.architecture"] == "gemma4" and k["general.license"] == "apache-2.0"
    assert len(r.tensors) == 97 and r.tensors["token_embd.weight"][1].shape == (784, 256)
    assert k["witnessd.media_ids"] == [10, 7, 12, 9, 11, 8, 13] and k["witnessd.stop_tokens"] == [
        1,
        6,
        770,
    ]
    tokens = k["tokenizer.ggml.tokens"]
    assert len(tokens) == len(k["tokenizer.ggml.token_type"]) == 784
    assert tokens[k["tokenizer.ggml.eot_token_id"]] == "<turn|>"
    known = set(tokens)
    assert all("".join(m.split(" ")) in known for m in k["tokenizer.ggml.merges"])
    for name, (kind, a) in r.tensors.items():
        assert kind == (gguf.BF16 if a.ndim == 2 and a.shape[0] > 1 else gguf.F32), name
        assert np.isfinite(gguf.as_f32(kind, a)).all(), name


def patches_become_planes_and_come_back():
    side, order = 48, to_gguf.planar()
    assert sorted(order) == list(range(3 * side * side))
    # column (channel 2, row 5, column 7) of a plane is the blue of pixel (5, 7)
    assert order[(2 * side + 5) * side + 7] == (5 * side + 7) * 3 + 2
    a = np.arange(2 * 3 * side * side, dtype=np.float32).reshape(2, -1)
    name = to_gguf.SEEN + "patch_dense.weight"
    assert (to_gguf.undone(name, a[..., order]) == a).all()


def a_file_that_is_cut_off_is_refused():
    with open(NANO, "rb") as f:
        raw = f.read()
    for n in (0, 3, 4, 20, 100, 5000, 20000, len(raw) // 2, len(raw) - 70000):
        refused(raw[:n], "ends at byte" if n < len(raw) // 2 else "the file has")
    refused(b"GGUF" + (3).to_bytes(4, "little") + (1 << 60).to_bytes(8, "little") * 2, "cannot be")
    refused(b"GGUF" + (2).to_bytes(4, "little") + bytes(16), "version 2")


def a_changed_bit_is_found():
    folder = os.path.join(ROOT, "..", "shared", "nano", "model")
    if not os.path.isdir(folder):
        print("   the trained folder is not here: skipped")
        return
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "x.gguf")
        with open(NANO, "rb") as f:
            raw = bytearray(f.read())
        assert to_gguf.check(folder, NANO) == []
        raw[len(raw) // 2] ^= 1
        with open(path, "wb") as f:
            f.write(raw)
        wrong = to_gguf.check(folder, path)
        assert len(wrong) == 1 and "1 of" in wrong[0], wrong
        r = subprocess.run(
            [sys.executable, to_gguf.__file__, "--check", folder, path],
            capture_output=True,
            text=True,
        )
        assert r.returncode == 1 and "differ" in r.stderr, r


tests = [what_is_written_comes_back, the_shipped_model_has_all_it_needs]
tests += [
    patches_become_planes_and_come_back,
    a_file_that_is_cut_off_is_refused,
    a_changed_bit_is_found,
]
for test in tests:
    test()
    print("ok", test.__name__)
