/* base/log.c - lines for the operator: a level, a text; for a terminal or the journal. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum wd_log_level max_level = WD_LOG_NOTICE;
static int for_journal;

void wd_log_init(enum wd_log_level level, int journal)
{
    max_level = level;
    for_journal = journal;
}

enum wd_log_level wd_log_level(void)
{
    return max_level;
}

void wd_log(enum wd_log_level level, const char *fmt, ...)
{
    char line[1024];
    size_t n = 0, i;
    va_list ap;
    ssize_t put;

    if (level > max_level)
        return;
    if (for_journal)
        n = (size_t)snprintf(line, sizeof line, "<%d>", (int)level);
    else if (level <= WD_LOG_WARNING)
        n = (size_t)snprintf(line, sizeof line, "%s: ", level == WD_LOG_ERROR ? "error" : "warning");
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    va_end(ap);
    for (i = n; line[i]; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[i++] = '\n';
    /* One write a line, so that lines of several threads do not mix. */
    put = write(STDERR_FILENO, line, i);
    (void)put;
}
