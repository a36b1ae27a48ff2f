#!/bin/sh
# tools/check_arrows.sh - includes point from right to left only: base <- model <- pipeline <- sinks <- daemon <- cli; foreign headers stay in .c files.
set -eu
root=${srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$root"
bad=0

rank() {
    case $1 in
        base) echo 0 ;;
        model) echo 1 ;;
        pipeline) echo 2 ;;
        sinks) echo 3 ;;
        daemon) echo 4 ;;
        cli) echo 5 ;;
        *) echo 9 ;;
    esac
}

for folder in base model pipeline sinks daemon cli; do
    mine=$(rank $folder)
    for file in "$folder"/*.[ch]; do
        # Our own includes are spelled from the root.
        for to in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
            theirs=$(rank "${to%%/*}")
            if [ "$theirs" -gt "$mine" ]; then
                echo "$file includes $to: against the arrows, or not spelled from the root"
                bad=1
            fi
            # A sink knows of the pipeline what an event is, and nothing else.
            if [ "$folder" = sinks ] && [ "${to%%/*}" = pipeline ] && [ "$to" != pipeline/event.h ]; then
                echo "$file includes $to: of pipeline/, a sink needs only event.h"
                bad=1
            fi
        done
        case $file in *.h)
            for to in $(sed -n 's/^#include <\([^>]*\)>.*/\1/p' "$file"); do
                case $to in
                    uv.h | std*.h | errno.h | signal.h | string.h | limits.h | inttypes.h | math.h | time.h | float.h | locale.h | wchar.h | sys/*.h | pthread.h) ;;
                    immintrin.h | arm_neon.h) ;; # the compiler's own, as the std headers are
                    *)
                        echo "$file includes <$to>: of foreign headers only uv.h may stand in a header"
                        bad=1
                        ;;
                esac
            done ;;
        esac
    done
done
exit $bad
