#!/usr/bin/env python3
"""tools/score.py on cases that can be counted by hand; the assignment against all permutations."""

import importlib.util
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

TOOL = os.path.join(os.environ.get("srcdir", "."), "tools", "score.py")
spec = importlib.util.spec_from_file_location("score", TOOL)
score = importlib.util.module_from_spec(spec)
spec.loader.exec_module(score)


def near(a, b, eps=1e-9):
    assert abs(a - b) < eps, (a, b)


def run(*arguments):
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)


def written(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def event(kind, t0, t1, text="", **more):
    e = dict(
        id=f"{kind}{t0}", kind=kind, t0=t0, t1=t1, text=text, speaker={"id": "spk_1", "name": None}
    )
    return {**e, **more}


def turn(t0, t1, speaker, text):
    return t0, t1, speaker, text


# ---------------------------------------------------------------- words
def case_and_marks_do_not_count():
    assert score.words("S1: It's  ten O\u2019clock, isn't it?\nS2: 'No.'") == [
        "it's",
        "ten",
        "o'clock",
        "isn't",
        "it",
        "no",
    ]


def edits_are_told_apart():
    assert score.edits("a b c d".split(), "a x c d e".split()) == (1, 0, 1)
    assert score.edits("a b c".split(), []) == (0, 3, 0)
    assert score.edits([], "a b".split()) == (0, 0, 2)


def word_errors_are_counted_over_all_turns():
    ref = [turn(0, 1, "A", "one two three."), turn(2, 3, "B", "four five")]
    r = score.wer(ref, [turn(0, 1, "x", "one too three four"), turn(2, 3, "x", "six five seven")])
    near(r["wer"], 3 / 5)  # too; six; seven: "four" may stand in either turn
    assert r["words"] == 5


def a_truth_without_words_is_refused():
    try:
        score.wer([turn(0, 1, "A", "...")], [])
    except score.Bad as e:
        assert "no words" in str(e)
    else:
        raise AssertionError("accepted")


# ---------------------------------------------------------------- speakers of words
def swapped_labels_cost_nothing():
    ref = [turn(0, 1, "A", "a b c"), turn(1, 2, "B", "d e f"), turn(2, 3, "A", "g h")]
    hyp = [turn(0, 1, "2", "a b c"), turn(1, 2, "1", "d e f"), turn(2, 3, "2", "g h")]
    r = score.cpwer(ref, hyp)
    assert r["cpwer"] == 0 and r["pairs"] == {"A": "2", "B": "1"}


def a_turn_given_to_another_speaker_counts_twice():
    ref = [turn(0, 1, "A", "a b c"), turn(1, 2, "B", "d e f"), turn(2, 3, "A", "g h")]
    hyp = [turn(0, 1, "1", "a b c"), turn(1, 2, "2", "d e f"), turn(2, 3, "2", "g h")]
    near(score.cpwer(ref, hyp)["cpwer"], 4 / 8)  # g h left out with A, put in with B


def a_speaker_too_many_is_all_errors():
    ref = [turn(0, 1, "A", "a b c d")]
    r = score.cpwer(ref, [turn(0, 1, "1", "a b"), turn(1, 2, "2", "c d")])
    near(r["cpwer"], 1.0)  # two left out, two put in
    near(score.cpwer(ref + [turn(2, 3, "B", "e")], [turn(0, 1, "1", "a b c d")])["cpwer"], 1 / 5)


def the_assignment_is_the_best_of_all():
    r = random.Random(6)
    for n in range(1, 7):
        for _ in range(30):
            cost = [[r.randint(-9, 20) for _ in range(n)] for _ in range(n)]
            got = score.assign(cost)
            assert sorted(got) == list(range(n))
            best = min(
                sum(cost[i][p[i]] for i in range(n)) for p in itertools.permutations(range(n))
            )
            assert sum(cost[i][j] for i, j in enumerate(got)) == best


# ---------------------------------------------------------------- who spoke when
REF = {"m": [(0.0, 10.0, "A"), (10.0, 20.0, "B")]}


def the_same_times_are_no_error():
    near(score.der(REF, {"m": [(0, 10, "x"), (10, 20, "y")]})["der"], 0)


def missed_false_and_wrong_are_told_apart():
    r = score.der(REF, {"m": [(1, 10, "x"), (10, 14, "x"), (14, 20, "y"), (20, 23, "y")]})
    near(r["missed"], 1)
    near(r["false"], 3)
    near(r["wrong"], 4)
    near(r["der"], 8 / 20)


def the_collar_leaves_out_both_sides_of_true_borders():
    r = score.der(REF, {"m": [(0.2, 10.2, "x"), (10.2, 20.25, "y")]}, collar=0.25)
    near(r["der"], 0)
    near(r["speech"], 20 - 0.25 - 0.5 - 0.25)


def overlapped_speech_counts_once_a_speaker():
    ref = {"m": [(0, 10, "A"), (5, 10, "B")]}
    r = score.der(ref, {"m": [(0, 10, "x")]})
    near(r["speech"], 15)
    near(r["missed"], 5)
    r = score.der(ref, {"m": [(0, 10, "x")]}, no_overlap=True)
    near(r["speech"], 5)
    near(r["der"], 0)


def spans_of_one_speaker_are_joined():
    near(score.der({"m": [(0, 6, "A"), (4, 10, "A")]}, {"m": [(0, 10, "x")]})["speech"], 10)


def each_recording_has_its_own_pairing():
    ref = {"1": [(0, 5, "A"), (5, 10, "B")], "2": [(0, 5, "A"), (5, 10, "B")]}
    hyp = {"1": [(0, 5, "x"), (5, 10, "y")], "2": [(0, 5, "y"), (5, 10, "x")]}
    near(score.der(ref, hyp)["der"], 0)


# ---------------------------------------------------------------- scenes and delays
def a_description_is_judged_by_its_last_picture():
    truth = {
        "scenes": [
            dict(t0=0, t1=10, text="nobody is there. the light is on."),
            dict(t0=10, t1=20, text="there is a dog."),
        ]
    }
    events = [
        event("scene", 0, 1, summary="Nobody is there.  The light is off.", pictures=[0.5]),
        event("scene", 2, 3, summary="nobody is there. the light is on.", pictures=[2.5]),
        event("scene", 9, 11, summary="there is a dog.", pictures=[9, 10.5]),
    ]
    r = score.scenes(truth, events)
    assert (r["scenes"], r["described"], r["right_in_the_end"]) == (2, 2, 2)
    assert (r["descriptions"], r["descriptions_right"], r["sentences_right"], r["sentences"]) == (
        3,
        2,
        3,
        3,
    )
    assert r["picture_after_change"]["max"] == 0.5


def stamped(kind, t0, t1, emitted_s, text, **more):
    return event(
        kind,
        t0,
        t1,
        text,
        utc=f"2026-01-01T00:00:{t0:06.3f}Z",
        emitted_utc=f"2026-01-01T00:00:{emitted_s:06.3f}Z",
        **more,
    )


def delays_are_measured_in_stream_time():
    truth = {"turns": [dict(t0=1, t1=4, text="a b"), dict(t0=6, t1=8, text="c")]}
    word = [dict(t0=1, t1=1.5, text="a"), dict(t0=2, t1=3.5, text="b")]
    events = [
        stamped("partial", 1, 2, 2.5, "a", words=word[:1]),
        stamped("partial", 1, 4, 4.5, "a b", words=word, supersedes="partial1"),
        stamped("final", 1, 4, 5.25, "a b", words=word, supersedes="partial1"),
        stamped("final", 6, 8, 8.75, "c"),
    ]
    r = score.latency(truth, events)
    assert r["first_words"]["n"] == 2 and r["turns_with_words"] == 2
    near(r["first_words"]["p50"], 1.5)
    near(r["first_words"]["max"], 2.75)
    near(r["finals"]["p50"], 0.75)
    near(r["finals"]["max"], 1.25)
    near(r["words"]["p50"], 1.0)
    assert r["words"]["n"] == 2


def a_run_without_wall_clock_has_no_delays():
    try:
        score.latency(
            {"turns": [dict(t0=0, t1=1, text="a")]},
            [event("final", 0, 1, "a", utc=None, emitted_utc=None)],
        )
    except score.Bad as e:
        assert "real time" in str(e)
    else:
        raise AssertionError("accepted")


# ---------------------------------------------------------------- files
def the_last_of_the_finals_that_replace_each_other_counts():
    with tempfile.TemporaryDirectory() as d:
        es = [
            event("partial", 0, 1, "one", id="p"),
            event("final", 0, 1, "one too", id="f", supersedes="p"),
            event("final", 0, 1, "one two", id="g", supersedes="p"),
            event("final", 2, 3, "three", id="h", speaker=None),
        ]
        hyp = written(d, "e.jsonl", "\n".join(map(json.dumps, es)) + "\n\n")
        assert [t[2:] for t in score.read_turns(hyp)] == [
            ("spk_1", "one two"),
            ("(unknown)", "three"),
        ]
        truth = written(
            d,
            "t.json",
            json.dumps(
                {
                    "turns": [
                        dict(t0=0, t1=1, speaker="A", text="One two."),
                        dict(t0=2, t1=3, speaker="B", text="Three?"),
                    ]
                }
            ),
        )
        r = run("cpwer", truth, hyp, "--json")
        assert r.returncode == 0 and json.loads(r.stdout)["cpwer"] == 0, r
        r = run("wer", truth, hyp)
        assert r.stdout.startswith("WER 0.00 % of 3 words"), r


def rttm_and_event_files_can_be_compared():
    with tempfile.TemporaryDirectory() as d:
        rttm = written(
            d,
            "r.rttm",
            "SPKR-INFO m 1\nSPEAKER m 1 0.0 2.0 <NA> <NA> A <NA> <NA>\n"
            "SPEAKER m 1 3.0 1.0 <NA> <NA> B <NA> <NA>\n",
        )
        es = [
            event("turn", 0, 2, speaker={"id": "spk_7"}),
            event("turn", 3, 4, speaker={"id": "spk_9"}),
            event("final", 0, 9, "x"),
        ]
        r = run("der", rttm, written(d, "e.jsonl", "\n".join(map(json.dumps, es))), "--json")
        assert r.returncode == 0 and json.loads(r.stdout)["der"] == 0, r


def bad_input_is_told_in_words():
    with tempfile.TemporaryDirectory() as d:
        good = written(d, "t.json", '{"turns": [{"t0": 0, "t1": 1, "speaker": "A", "text": "a"}]}')
        for name, text, says in (
            ("a.jsonl", '{"kind": "final"', "a.jsonl:1"),
            ("b.jsonl", '{"kind": "final", "t0": 1}', "b.jsonl:1: t0"),
            ("c.jsonl", '{"kind": "final", "t0": 2, "t1": 1}', "no span"),
            ("d.jsonl", "[]", "not an event"),
        ):
            r = run("wer", good, written(d, name, text))
            assert r.returncode == 65 and says in r.stderr and "Traceback" not in r.stderr, r
        for text, says in (
            ("SPEAKER m 1 0.0", "x.rttm:1"),
            ("SPEAKER m 1 nan 1 <NA> <NA> A", "no span"),
        ):
            r = run("der", written(d, "x.rttm", text), good)
            assert r.returncode == 65 and says in r.stderr, r
        r = run("wer", good, os.path.join(d, "absent.jsonl"))
        assert r.returncode == 65 and "No such file" in r.stderr, r


tests = [
    f
    for name, f in list(globals().items())
    if callable(f)
    and getattr(f, "__module__", "") == "__main__"
    and f.__code__.co_argcount == 0
    and name != "run"
]
for test in tests:
    test()
    print("ok", test.__name__)
print(len(tests), "tests")
