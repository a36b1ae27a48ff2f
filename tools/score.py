#!/usr/bin/env python3
"""How right is a transcript? Word errors, speakers, scenes and delays against the truth.

  score.py wer     TRUTH HYP    word error rate; case, marks and labels do not count
  score.py cpwer   TRUTH HYP    the same with speakers: each speaker's words on their own, under the
                                best pairing of true and found speakers (exact); the words of a
                                speaker without partner are all errors
  score.py der     REF HYP [--collar S] [--no-overlap]
                                diarisation error rate: time missed, falsely found or given to the
                                wrong speaker, over the true speaking time, under the best pairing.
                                --collar leaves out S seconds on either side of each true border,
                                --no-overlap the time in which several speak
  score.py scenes  TRUTH HYP    descriptions against what was to be seen at their last picture
  score.py latency TRUTH HYP    delays of a run in real time, in seconds: first words (event with
                                the first words of a turn, after the turn's begin), words (first
                                event that shows a word, after the word's end as that event has it),
                                finals (final event, after the turn's end)

TRUTH is a JSON file {"turns": [{"t0", "t1", "speaker", "text"}], "scenes": [{"t0", "t1", "text"}]}.
HYP is witnessd's event file, one JSON object a line (of finals that replace each other the last one
counts), or, for wer and cpwer, another file like TRUTH. REF and HYP of der are RTTM files, or the
files above: of an event file the kind "turn" (or "final" with --kind final). --json prints an
object instead of lines. Nothing but Python's own library is needed.
"""

import argparse
import datetime
import json
import os
import re
import sys

OFTEN_OFF = 2.0  # seconds an event may lie outside a turn and still belong to it


class Bad(Exception):
    """input that cannot be scored, in words"""


# ---------------------------------------------------------------- reading
def read_text(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError as e:
        raise Bad(f"{path}: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise Bad(f"{path}: not UTF-8 at byte {e.start}") from None


def span(x, where):
    try:
        t0, t1 = float(x["t0"]), float(x["t1"])
    except (KeyError, TypeError, ValueError):
        raise Bad(f"{where}: t0 and t1 must be numbers") from None
    if not t0 <= t1 < 1e9:
        raise Bad(f"{where}: {t0} to {t1} is no span of time")
    return t0, t1


def read_truth(path):
    try:
        truth = json.loads(read_text(path))
    except ValueError as e:
        raise Bad(f"{path}: {e}") from None
    if (
        not isinstance(truth, dict)
        or not isinstance(truth.get("turns", []), list)
        or not isinstance(truth.get("scenes", []), list)
    ):
        raise Bad(f"{path}: wanted is an object with the lists turns and scenes")
    for key in ("turns", "scenes"):
        for i, x in enumerate(truth.setdefault(key, [])):
            x["t0"], x["t1"] = span(x, f"{path}: {key}[{i}]")
            if not isinstance(x.get("text"), str):
                raise Bad(f"{path}: {key}[{i}]: text must be a string")
    return truth


def read_events(path):
    out = []
    for n, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            e = json.loads(line)
        except ValueError as x:
            raise Bad(f"{path}:{n}: {x}") from None
        if not isinstance(e, dict) or not isinstance(e.get("kind"), str):
            raise Bad(f"{path}:{n}: not an event")
        if e["kind"] in ("partial", "final", "scene", "turn"):
            e["t0"], e["t1"] = span(e, f"{path}:{n}")
            out.append(e)
    return out


def chain(e):
    """the id that an utterance's events have in common"""
    return e.get("supersedes") or e.get("id") or id(e)


def finals(events):
    """the finals that stand in the end, in the order of their begin"""
    last = {chain(e): e for e in events if e["kind"] == "final"}
    return sorted(last.values(), key=lambda e: e["t0"])


def speaker_of(x):
    s = x.get("speaker")
    if isinstance(s, dict):
        s = s.get("id") or s.get("name")
    return str(s) if s else "(unknown)"


def read_turns(path, kind="final"):
    """-> [(t0, t1, speaker, text)] of a truth or an event file"""
    if path.endswith(".json"):
        xs = read_truth(path)["turns"]
    else:
        events = read_events(path)
        xs = finals(events) if kind == "final" else [e for e in events if e["kind"] == kind]
    return sorted(
        ((x["t0"], x["t1"], speaker_of(x), x.get("text") or "") for x in xs), key=lambda t: t[0]
    )


def read_rttm(path):
    """-> {recording: [(t0, t1, speaker)]}"""
    out = {}
    for n, line in enumerate(read_text(path).splitlines(), 1):
        f = line.split()
        if not f or f[0].startswith(";") or f[0] != "SPEAKER":
            continue
        try:
            t0, length, speaker = float(f[3]), float(f[4]), f[7]
        except (IndexError, ValueError):
            raise Bad(
                f"{path}:{n}: wanted is SPEAKER FILE CHANNEL BEGIN LENGTH <NA> <NA> NAME <NA> <NA>"
            ) from None
        if not (0 <= t0 < 1e9 and 0 <= length < 1e9):
            raise Bad(f"{path}:{n}: {f[3]} for {f[4]} is no span of time")
        out.setdefault(f[1], []).append((t0, t0 + length, speaker))
    return out


# ---------------------------------------------------------------- words
def words(text):
    """lower case, apostrophes inside words kept; labels ("S1:" where a line begins) do not count"""
    text = re.sub(r"^\s*S\d+:", " ", text, flags=re.M).lower().replace("\u2019", "'")
    return [w for w in (w.strip("'") for w in re.findall(r"[\w']+", text.replace("_", " "))) if w]


def edits(ref, hyp):
    """-> replaced, left out, put in: the fewest that turn ref into hyp"""
    row = [(j, 0, 0, j) for j in range(len(hyp) + 1)]  # all, replaced, left out, put in
    for i, a in enumerate(ref, 1):
        before, row = row, [(i, 0, i, 0)]
        for j, b in enumerate(hyp, 1):
            if a == b:
                row.append(before[j - 1])
                continue
            (n, s, d, p), (n2, s2, d2, p2), (n3, s3, d3, p3) = before[j - 1], before[j], row[j - 1]
            row.append(
                min((n + 1, s + 1, d, p), (n2 + 1, s2, d2 + 1, p2), (n3 + 1, s3, d3, p3 + 1))
            )
    return row[-1][1:]


def assign(cost):
    """square matrix -> each row's column, the sum the smallest (Hungarian method, potentials)"""
    n, inf = len(cost), float("inf")
    u, v, row_of, way = [0] * (n + 1), [0] * (n + 1), [0] * (n + 1), [0] * (n + 1)
    for i in range(1, n + 1):
        row_of[0], j0 = i, 0
        least, used = [inf] * (n + 1), [False] * (n + 1)
        while row_of[j0]:
            used[j0], i0, step, j1 = True, row_of[j0], inf, 0
            for j in range(1, n + 1):
                if not used[j]:
                    c = cost[i0 - 1][j - 1] - u[i0] - v[j]
                    if c < least[j]:
                        least[j], way[j] = c, j0
                    if least[j] < step:
                        step, j1 = least[j], j
            for j in range(n + 1):
                if used[j]:
                    u[row_of[j]] += step
                    v[j] -= step
                else:
                    least[j] -= step
            j0 = j1
        while j0:
            row_of[j0], j0 = row_of[way[j0]], way[j0]
    out = [0] * n
    for j in range(1, n + 1):
        out[row_of[j] - 1] = j - 1
    return out


def wer(ref, hyp):
    """turns as read_turns() gives them -> counts and rate"""
    a, b = [w for t in ref for w in words(t[3])], [w for t in hyp for w in words(t[3])]
    if not a:
        raise Bad("the truth has no words")
    replaced, left_out, put_in = edits(a, b)
    return dict(
        wer=(replaced + left_out + put_in) / len(a),
        words=len(a),
        replaced=replaced,
        left_out=left_out,
        put_in=put_in,
    )


def cpwer(ref, hyp):
    def by_speaker(turns):
        out = {}
        for _, _, s, text in turns:
            out.setdefault(s, []).extend(words(text))
        return {s: w for s, w in out.items() if w}

    a, b = by_speaker(ref), by_speaker(hyp)
    total = sum(map(len, a.values()))
    if not total:
        raise Bad("the truth has no words")
    rows, columns = list(a), list(b)
    n = max(len(rows), len(columns))
    rows, columns = rows + [None] * (n - len(rows)), columns + [None] * (n - len(columns))
    cost = [[sum(edits(a.get(r, []), b.get(c, []))) for c in columns] for r in rows]
    pairs = assign(cost)
    errors = sum(cost[i][j] for i, j in enumerate(pairs))
    return dict(
        cpwer=errors / total,
        words=total,
        errors=errors,
        speakers=len(a),
        found=len(b),
        pairs={r: columns[j] for r, j in zip(rows, pairs) if r is not None},
    )


# ---------------------------------------------------------------- who spoke when
def joined(turns):
    """-> {speaker: spans}, those of one speaker that touch made one"""
    out = {}
    for t0, t1, s in sorted(turns):
        spans = out.setdefault(s, [])
        if spans and t0 <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], t1)
        elif t1 > t0:
            spans.append([t0, t1])
    return out


def pieces(ref, hyp, collar, no_overlap):
    """scored time in which nothing changes -> [(length, true speakers, found speakers)]"""
    events = []  # (time, what, speaker, +1 or -1)
    for what, side in ((0, joined(ref)), (1, joined(hyp))):
        for s, spans in side.items():
            for t0, t1 in spans:
                events += [(t0, what, s, 1), (t1, what, s, -1)]
                if not what and collar:
                    for t in (t0, t1):
                        events += [(t - collar, 2, "", 1), (t + collar, 2, "", -1)]
    events.sort(key=lambda e: e[0])
    on, blocked, out, before = ({}, {}), 0, [], None
    for t, what, s, by in events:
        if before is not None and t > before and not blocked:
            a, b = (frozenset(k for k, n in side.items() if n) for side in on)
            if (a or b) and not (no_overlap and len(a) > 1):
                out.append((t - before, a, b))
        before = t
        if what == 2:
            blocked += by
        else:
            on[what][s] = on[what].get(s, 0) + by
    return out


def der(ref, hyp, collar=0.0, no_overlap=False):
    """{recording: [(t0, t1, speaker)]} twice -> seconds and rate; each recording is paired anew"""
    out = dict(der=0.0, speech=0.0, missed=0.0, false=0.0, wrong=0.0)
    for name in sorted(set(ref) | set(hyp)):
        scored = pieces(ref.get(name, []), hyp.get(name, []), collar, no_overlap)
        rows, columns = (sorted({s for p in scored for s in p[k]}) for k in (1, 2))
        n = max(len(rows), len(columns))
        together = [[0.0] * n for _ in range(n)]
        for length, a, b in scored:
            for x in a:
                for y in b:
                    together[rows.index(x)][columns.index(y)] -= length
        pair = (
            {
                rows[i]: columns[j]
                for i, j in enumerate(assign(together))
                if i < len(rows) and j < len(columns)
            }
            if n
            else {}
        )
        for length, a, b in scored:
            right = sum(pair.get(x) in b for x in a)
            out["speech"] += length * len(a)
            out["missed"] += length * max(0, len(a) - len(b))
            out["false"] += length * max(0, len(b) - len(a))
            out["wrong"] += length * (min(len(a), len(b)) - right)
    if not out["speech"]:
        raise Bad("nobody speaks in what is to be scored")
    out["der"] = (out["missed"] + out["false"] + out["wrong"]) / out["speech"]
    return out


def read_spans(path, kind):
    if path.endswith((".json", ".jsonl")):
        return {None: [t[:3] for t in read_turns(path, kind)]}
    return read_rttm(path)


def der_files(ref_path, hyp_path, collar, no_overlap, kind):
    ref, hyp = read_spans(ref_path, kind), read_spans(hyp_path, kind)
    if len(ref) == 1 and len(hyp) == 1:  # one recording each: their names need not agree
        hyp = {next(iter(ref)): next(iter(hyp.values()))}
    return der(ref, hyp, collar, no_overlap)


# ---------------------------------------------------------------- scenes
def sentences(text):
    return [s for s in re.split(r"(?<=[.?!])\s+", " ".join(text.lower().split())) if s]


def scenes(truth, events):
    """of each description: the scene at its last picture; of each scene: its last description"""
    said, exact, right, seen, n_said = {}, 0, 0, 0, 0
    delays = []
    for e in (e for e in events if e["kind"] == "scene" and e.get("summary")):
        at = max(e.get("pictures") or [e["t1"]])
        i = next((i for i, s in enumerate(truth["scenes"]) if s["t0"] <= at < s["t1"]), None)
        if i is None and truth["scenes"] and at >= truth["scenes"][-1]["t1"]:
            i = len(truth["scenes"]) - 1
        n_said += 1
        if i is None:
            continue
        want, have = sentences(truth["scenes"][i]["text"]), sentences(e["summary"])
        exact += want == have
        if i not in said:
            delays.append(at - truth["scenes"][i]["t0"])
        said[i] = want == have
    for i, s in enumerate(truth["scenes"]):
        best = max(
            (
                sum(x in sentences(e["summary"]) for x in sentences(s["text"]))
                for e in events
                if e["kind"] == "scene"
                and e.get("summary")
                and s["t0"] <= max(e.get("pictures") or [e["t1"]]) < s["t1"]
            ),
            default=0,
        )
        right, seen = right + best, seen + len(sentences(s["text"]))
    if not truth["scenes"]:
        raise Bad("the truth has no scenes")
    return dict(
        scenes=len(truth["scenes"]),
        described=len(said),
        right_in_the_end=sum(said.values()),
        descriptions=n_said,
        descriptions_right=exact,
        sentences=seen,
        sentences_right=right,
        picture_after_change=quantiles(delays),
    )


# ---------------------------------------------------------------- delays
def moment(s, what):
    try:
        t = datetime.datetime.fromisoformat(str(s).replace("Z", "+00:00"))
    except ValueError:
        raise Bad(f"{what}: {s!r} is no time") from None
    return (t if t.tzinfo else t.replace(tzinfo=datetime.timezone.utc)).timestamp()


def quantiles(x):
    """-> p50, p95, largest and how many; the value at or above which so many lie"""
    if not x:
        return None
    x = sorted(x)
    return dict(
        p50=x[(len(x) - 1) // 2],
        p95=x[min(len(x) - 1, -(-95 * len(x) // 100) - 1)],
        max=x[-1],
        n=len(x),
    )


def emitted(e):
    """-> emission in seconds of stream time"""
    if not e.get("utc") or not e.get("emitted_utc"):
        raise Bad(
            "events without utc and emitted_utc: delays can be measured on a run in real time only"
        )
    return e["t0"] + moment(e["emitted_utc"], "emitted_utc") - moment(e["utc"], "utc")


def belongs(e, turns):
    """the turn an event has most in common with, or None"""
    best = max(turns, key=lambda t: min(e["t1"], t["t1"]) - max(e["t0"], t["t0"]), default=None)
    return (
        best
        if best is not None and min(e["t1"], best["t1"]) - max(e["t0"], best["t0"]) > -OFTEN_OFF
        else None
    )


def latency(truth, events):
    said = [e for e in events if e["kind"] in ("partial", "final") and words(e.get("text") or "")]
    if not said:
        raise Bad("no event has words")
    first, last, shown = {}, {}, {}
    for e in said:
        turn, at = belongs(e, truth["turns"]), emitted(e)
        if turn is not None:
            k = id(turn)
            first[k] = min(first.get(k, 1e18), at - turn["t0"])
            if e["kind"] == "final":
                last[k] = max(last.get(k, -1e18), at - turn["t1"])
        for i, w in enumerate(e.get("words") or []):
            _, t1 = span(w, "a word")
            shown.setdefault((chain(e), i, w.get("text")), at - t1)
    return dict(
        first_words=quantiles(list(first.values())),
        words=quantiles(list(shown.values())),
        finals=quantiles(list(last.values())),
        turns=len(truth["turns"]),
        turns_with_words=len(first),
    )


# ---------------------------------------------------------------- the command
def percent(x):
    return f"{100 * x:.2f} %"


def delay(name, q):
    return f"{name}: " + (
        "none"
        if q is None
        else f"p50 {q['p50']:.2f} s, p95 {q['p95']:.2f} s, at most {q['max']:.2f} s ({q['n']})"
    )


LINES = dict(
    wer="WER {rate} of {words} words: {replaced} replaced, {left_out} left out, {put_in} put in",
    cpwer="cpWER {rate}: {errors} errors in {words} words, {speakers} speakers, {found} found; "
    "{who}",
    der="DER {rate} of {speech:.2f} s of speech: missed {missed:.2f} s, false {false:.2f} s, "
    "wrong speaker {wrong:.2f} s",
    scenes="scenes: {described} of {scenes} described, {right_in_the_end} exact in the end; "
    "{descriptions_right} of {descriptions} descriptions exact; "
    "{sentences_right} of {sentences} sentences",
    latency="{turns_with_words} of {turns} turns have words",
)
DELAYS = dict(
    picture_after_change="picture after the change",
    first_words="first words after a turn's begin",
    words="words after their end",
    finals="finals after a turn's end",
)


def lines(command, r):
    who = ", ".join(f"{a} = {b or 'nobody'}" for a, b in r.get("pairs", {}).items())
    rate = percent(r[command]) if command in ("wer", "cpwer", "der") else ""
    yield LINES[command].format(rate=rate, who=who, **r)
    for key, name in DELAYS.items():
        if key in r and command in ("scenes", "latency"):
            yield delay(name, r[key])


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("command", choices=["wer", "cpwer", "der", "scenes", "latency"])
    ap.add_argument("truth")
    ap.add_argument("hyp")
    ap.add_argument("--collar", type=float, default=0.0, metavar="S")
    ap.add_argument("--no-overlap", action="store_true")
    ap.add_argument("--kind", choices=["turn", "final"], default="turn")
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    try:
        if a.command == "der":
            r = der_files(a.truth, a.hyp, a.collar, a.no_overlap, a.kind)
        elif a.command in ("wer", "cpwer"):
            r = {"wer": wer, "cpwer": cpwer}[a.command](read_turns(a.truth), read_turns(a.hyp))
        else:
            r = {"scenes": scenes, "latency": latency}[a.command](
                read_truth(a.truth), read_events(a.hyp)
            )
    except Bad as e:
        print(f"score.py: {e}", file=sys.stderr)
        sys.exit(os.EX_DATAERR)
    print(json.dumps(r) if a.json else "\n".join(lines(a.command, r)))


if __name__ == "__main__":
    main()
