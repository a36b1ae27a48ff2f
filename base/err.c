/* base/err.c - why something failed: a negative errno and a sentence for a person. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A sentence may quote hostile input; it must stay one line on a terminal. */
static void one_line(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int wd_err_set(struct wd_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return code;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    one_line(err->text);
    return code;
}

int wd_err_prefix(struct wd_err *err, const char *fmt, ...)
{
    char before[sizeof err->text];
    size_t n, rest;
    va_list ap;

    if (!err)
        return 0;
    va_start(ap, fmt);
    vsnprintf(before, sizeof before, fmt, ap);
    va_end(ap);
    one_line(before);
    n = strlen(before);
    if (n + 3 >= sizeof err->text)
        n = sizeof err->text - 3;
    rest = sizeof err->text - n - 2;
    memmove(err->text + n + 2, err->text, strnlen(err->text, rest - 1) + 1);
    err->text[sizeof err->text - 1] = '\0';
    memcpy(err->text, before, n);
    memcpy(err->text + n, ": ", 2);
    return err->code;
}
