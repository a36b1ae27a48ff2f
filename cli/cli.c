/* cli/cli.c - what the subcommands of `witness` have in common: exit codes, numbers among the arguments. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

bool wd_cli_number(const char *text, long min, long max, long *ret)
{
    char *end;

    errno = 0;
    *ret = strtol(text, &end, 10);
    return errno == 0 && *text && !*end && *ret >= min && *ret <= max;
}

int wd_cli_exit(int code)
{
    switch (-code) {
    case 0:
        return EX_OK;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENXIO:
    case ENODEV:
    case ELOOP:
    case ENAMETOOLONG:
        return EX_NOINPUT;
    case EINVAL:
    case ENOTSUP:
    case ERANGE:
    case EILSEQ:
    case EBADMSG:
    case ENODATA:
    case EOVERFLOW:
        return EX_DATAERR;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPIPE:
        return EX_UNAVAILABLE;
    case EACCES:
    case EPERM:
        return EX_NOPERM;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return EX_OSERR;
    case ENOSPC:
    case EIO:
    case EFBIG:
    case EDQUOT:
        return EX_IOERR;
    case EBUSY:
    case ESTALE:
        return EX_TEMPFAIL;
    case EEXIST:
        return EX_CANTCREAT;
    default:
        return EX_SOFTWARE;
    }
}

int wd_cli_fail(const struct wd_err *err)
{
    fprintf(stderr, "witness: %s\n", err->text);
    return wd_cli_exit(err->code);
}
