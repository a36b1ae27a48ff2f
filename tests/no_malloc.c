/* tests/no_malloc.c - stands in front of the C library's allocator, which also serves the
 * libraries. */
#include "tests/no_malloc.h"
#include <stdatomic.h>

static atomic_int counting;
static atomic_ulong calls;

#ifdef WD_SANITIZER
int wd_no_malloc_active(void)
{
    return 0;
}
#else
#include <errno.h>
#include <stdlib.h>

/* glibc's own entrances, which stay when malloc is replaced. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);
extern void __libc_free(void *p);
void *memalign(size_t alignment, size_t n);

static void count(void)
{
    if (atomic_load_explicit(&counting, memory_order_relaxed))
        atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

void *malloc(size_t n)
{
    count();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    count();
    return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n)
{
    count();
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    count();
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
    void *p;

    count();
    p = __libc_memalign(alignment, n);
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

void free(void *p)
{
    count();
    __libc_free(p);
}

int wd_no_malloc_active(void)
{
    return 1;
}
#endif

void wd_no_malloc_begin(void)
{
    atomic_store(&calls, 0);
    atomic_store(&counting, 1);
}

unsigned long wd_no_malloc_end(void)
{
    atomic_store(&counting, 0);
    return atomic_load(&calls);
}
