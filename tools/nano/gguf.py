"""Reads and writes GGUF files, version 3, as far as a BF16/F16/F32 model needs it. Only numpy is
wanted."""

import os
import struct

import numpy as np

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
F32, F16, BF16 = 0, 1, 30  # tensor types
STORED = {F32: np.dtype("<f4"), F16: np.dtype("<f2"), BF16: np.dtype("<u2")}
U32, I32, FLOAT, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    U32: "<I",
    I32: "<i",
    FLOAT: "<f",
    BOOL: "<?",
    U64: "<Q",
    11: "<q",
    12: "<d",
}
MOST_ITEMS, MOST_DIMENSIONS = 1 << 24, 4  # more than that is a broken file


class Broken(Exception):
    """what is wrong with a file, in words"""


def text_bytes(s):
    b = s.encode("utf-8")
    return struct.pack("<Q", len(b)) + b


def value_bytes(kind, value):
    return text_bytes(value) if kind == STRING else struct.pack(SCALARS[kind], value)


class Writer:
    """Collects keys and tensors in the order of the calls; save() writes them"""

    def __init__(self):
        self.keys, self.tensors = [], []

    def put(self, key, kind, value):
        self.keys.append(text_bytes(key) + struct.pack("<I", kind) + value_bytes(kind, value))

    def put_array(self, key, kind, values):
        body = b"".join(value_bytes(kind, v) for v in values)
        self.keys.append(text_bytes(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body)

    def tensor(self, name, kind, a):
        """a: numbers of the stored type, outermost dimension first; BF16 as the upper 16 bits"""
        self.tensors.append((name, kind, np.ascontiguousarray(a, STORED[kind])))

    def save(self, path):
        """a stopped run leaves no half file under the final name"""
        head = [MAGIC, struct.pack("<IQQ", VERSION, len(self.tensors), len(self.keys)), *self.keys]
        at = 0
        for name, kind, a in self.tensors:
            head.append(
                text_bytes(name)
                + struct.pack("<I", a.ndim)
                + struct.pack(f"<{a.ndim}Q", *a.shape[::-1])
            )
            head.append(struct.pack("<IQ", kind, at))
            at += a.nbytes + -a.nbytes % ALIGNMENT
        head = b"".join(head)
        with open(path + ".part", "wb") as f:
            f.write(head + b"\0" * (-len(head) % ALIGNMENT))
            for _, _, a in self.tensors:
                f.write(a.tobytes() + b"\0" * (-a.nbytes % ALIGNMENT))
        os.replace(path + ".part", path)


class Reader:
    """A whole file in memory: keys {name: value}, tensors {name: (type, numbers as stored)}"""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.raw = f.read()
        self.path, self.at = path, 0
        if self.take(4) != MAGIC:
            raise Broken(f"{path}: does not begin with GGUF")
        version, n_tensors, n_keys = self.number("<I"), self.number("<Q"), self.number("<Q")
        if version != VERSION:
            raise Broken(f"{path}: version {version}, {VERSION} is known")
        if n_tensors > MOST_ITEMS or n_keys > MOST_ITEMS:
            raise Broken(f"{path}: {n_tensors} tensors and {n_keys} keys cannot be")
        self.keys = {}
        for _ in range(n_keys):
            key = self.text()
            if key in self.keys:
                raise Broken(f"{path}: key {key} stands there twice")
            self.keys[key] = self.value(self.number("<I"))
        infos = [self.info() for _ in range(n_tensors)]
        step = self.keys.get("general.alignment", ALIGNMENT)
        self.data = self.at + -self.at % step
        self.tensors = {}
        for name, shape, kind, at in infos:
            self.tensors[name] = kind, self.numbers(name, shape, kind, at, step)

    def take(self, n):
        if n > len(self.raw) - self.at:
            raise Broken(
                f"{self.path}: ends at byte {len(self.raw)}, {n} more are wanted from {self.at}"
            )
        self.at += n
        return self.raw[self.at - n : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("<Q")).decode("utf-8")

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            inner, n = self.number("<I"), self.number("<Q")
            if inner == ARRAY or n > MOST_ITEMS:
                raise Broken(
                    f"{self.path}: an array of {n} items of type {inner} at byte {self.at}"
                )
            return [self.value(inner) for _ in range(n)]
        if kind not in SCALARS:
            raise Broken(f"{self.path}: unknown type {kind} of a key at byte {self.at}")
        return self.number(SCALARS[kind])

    def info(self):
        name, n = self.text(), self.number("<I")
        if not 1 <= n <= MOST_DIMENSIONS:
            raise Broken(f"{self.path}: {name} has {n} dimensions")
        shape = struct.unpack(f"<{n}Q", self.take(8 * n))[::-1]
        return name, shape, self.number("<I"), self.number("<Q")

    def numbers(self, name, shape, kind, at, step):
        if kind not in STORED:
            raise Broken(f"{self.path}: {name} is of type {kind}, not F32, F16 or BF16")
        if name in self.tensors or at % step:
            raise Broken(f"{self.path}: {name} stands there twice, or not on a multiple of {step}")
        count = 1
        for n in shape:
            count *= n
        size = count * STORED[kind].itemsize
        if self.data + at + size > len(self.raw):
            raise Broken(
                f"{self.path}: {name} needs {size} bytes from {self.data + at}, "
                f"the file has {len(self.raw)}"
            )
        return np.frombuffer(self.raw, STORED[kind], count, self.data + at).reshape(shape)


def as_f32(kind, a):
    """the values of what is stored"""
    return (a.astype(np.uint32) << 16).view(np.float32) if kind == BF16 else a.astype(np.float32)
