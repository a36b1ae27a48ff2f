"""Sentences for nano, as nano should write them: lower case, letters, apostrophe, comma, final
'.' or '?', numbers in words."""

import glob
import os
import random
import re

ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
LONGEST, SHORTEST = 13, 3  # words of a free sentence
PHRASE_SHARE = 0.03  # of the sentences, the rest comes from templates


def read_lists(path):
    """words.txt -> {section: entries}"""
    out, section = {}, None
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.strip()
            if line.startswith("["):
                section = out.setdefault(line[1:-1], [])
            elif line and not line.startswith("#"):
                section += [x.strip() for x in line.split("|") if x.strip()]
    return out


LISTS = read_lists(os.path.join(os.path.dirname(os.path.abspath(__file__)), "words.txt"))
TEMPLATES, PHRASES = LISTS.pop("templates"), LISTS.pop("phrases")


# ---------------------------------------------------------------- numbers, times
def number(n):
    """0 to 999,999 in words"""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + (" " + ONES[n % 10] if n % 10 else "")
    big, rest, word, link = (
        (n // 100, n % 100, " hundred", " and ")
        if n < 1000
        else (n // 1000, n % 1000, " thousand", " ")
    )
    return number(big) + word + (link + number(rest) if rest else "")


def digits(r, least, most):
    return " ".join(r.choice(ONES[:10]) for _ in range(r.randint(least, most)))


def past(r):
    day, month = r.choice(LISTS["day"]), r.choice(LISTS["month"])
    return r.choice(
        [
            "yesterday",
            "last " + day,
            "this morning",
            "last week",
            "an hour ago",
            "two days ago",
            "in " + month,
        ]
    )


def future(r):
    day, month = r.choice(LISTS["day"]), r.choice(LISTS["month"])
    minutes = number(r.randint(2, 30))
    return r.choice(
        [
            "tomorrow",
            "next " + day,
            "this afternoon",
            "next week",
            "tonight",
            f"in {minutes} minutes",
            "in " + month,
        ]
    )


def clock(r):
    hour = number(r.randint(1, 12))
    return r.choice(
        [
            hour + " o'clock",
            hour + " thirty",
            "half past " + hour,
            "quarter to " + hour,
            hour + " fifteen",
            hour + " forty five",
        ]
    )


MADE = dict(
    past=past,
    future=future,
    time=clock,
    digits=lambda r: digits(r, 4, 7),
    code=lambda r: digits(r, 2, 4),
    digit=lambda r: r.choice(ONES[:13]),
    n=lambda r: number(r.randint(2, 99)),
    hundreds=lambda r: number(r.randint(100, 999)),
    thousands=lambda r: number(1000 * r.randint(1, 99) + r.choice([0, 500, r.randint(100, 999)])),
)


# ---------------------------------------------------------------- sentences
def sentence(r, template=None):
    """one sentence; r: random.Random"""
    if template is None and r.random() < PHRASE_SHARE:
        return r.choice(PHRASES)
    filled = re.sub(
        r"\{(\w+)\}",
        lambda m: MADE[m[1]](r) if m[1] in MADE else r.choice(LISTS[m[1]]),
        template or r.choice(TEMPLATES),
    )
    return re.sub(r"\ba (?=[aeio])", "an ", filled)


def sentences(n, seed):
    """n different ones, sorted"""
    r, out = random.Random(seed), set()
    while len(out) < n:
        out.add(sentence(r))
    return sorted(out)


def spoken(text):
    """free text as nano should write it, or None when it holds what is not spelled out"""
    s = (
        text.strip()
        .lower()
        .replace("`", "'")
        .replace("''", "'")
        .replace("--", ",")
        .replace("-", " ")
    )
    s = s.translate(str.maketrans(";:!", ",,."))
    mark = "?" if s.endswith("?") else "."
    s = s.rstrip(" .?,'")
    if not s or re.search(r"[^a-z', ]", s):
        return None
    s = re.sub(r"(?<![a-z])'|'(?![a-z])", "", s)  # quotation marks go, apostrophes stay
    return re.sub(r"\s+,", ",", re.sub(r"\s+", " ", re.sub(r",(?=\S)", ", ", s))) + mark


def examples(folder):
    """the example sentences of WordNet's data.* files, sorted"""
    out = set()
    for path in glob.glob(folder + "/data.*"):
        with open(path, encoding="utf-8", errors="replace") as f:
            for text in re.findall(r'"([^"]*)"', f.read()):
                s = spoken(text)
                if s and SHORTEST <= len(s.split()) <= LONGEST:
                    out.add(s)
    return sorted(out)
