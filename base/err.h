/* base/err.h - why something failed: a negative errno and a sentence for a person. */
#pragma once

/* Holds no resources; initialise with {0}. Where `err` is NULL the sentence is dropped. */
struct wd_err {
    int code;       /* negative errno, 0 = nothing failed */
    char text[512]; /* one line, no newline: what, where, what was expected */
};

/* Writes the sentence (cut to fit) and returns `code`, so that `return wd_err_set(...)` reads well. */
int wd_err_set(struct wd_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts `fmt: ` in front of the sentence already there, to say in which file, key or stream it happened; returns its code. */
int wd_err_prefix(struct wd_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
