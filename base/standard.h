/* base/standard.h - the standard descriptors 0, 1 and 2 are there. */
#pragma once

/* Opens /dev/null for each that the caller of this program has closed (`>&-`): otherwise the next file, or the loop's own descriptor, would
 * get its number, and what is meant for standard output would be written into it. First thing in main(). 0 or a negative errno. */
int wd_standard_open(void);
