/* tests/no_malloc.h - counts allocations between two marks, by any thread of the test. */
#pragma once

/* 0 where a sanitizer has replaced malloc: then nothing is counted, and the test should skip. */
int wd_no_malloc_active(void);

void wd_no_malloc_begin(void);
/* Calls of malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign and free since then. */
unsigned long wd_no_malloc_end(void);
