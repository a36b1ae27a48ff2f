/* model/mapping.c - maps files so that one that shrinks is an error, not a signal. */
#include "model/mapping.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SLOTS 4096u

/* A handler has no context, so what it must know belongs to the process. Slots are given out under
 * the lock; the handler takes no lock and reads atomics alone. `begin` is written last and cleared
 * first: a slot with a begin is whole. */
static struct {
    _Atomic uintptr_t begin; /* 0: free */
    _Atomic uintptr_t end;   /* whole pages */
    atomic_bool torn;
} slots[MAX_SLOTS];
static atomic_uint n_slots; /* the highest ever used */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static atomic_bool passed_on;
static uintptr_t page_bytes;

/* Zeros for the page and everything behind it: what the file lost is a tail. mmap is not on POSIX's
 * list for handlers; on Linux it is one system call that touches no state of the C library. */
static bool mend(uintptr_t at)
{
    unsigned n = atomic_load(&n_slots);

    for (unsigned i = 0; i < n; i++) {
        uintptr_t begin = atomic_load(&slots[i].begin), end = atomic_load(&slots[i].end);
        uintptr_t page = at & ~(page_bytes - 1);

        if (!begin || at < begin || at >= end)
            continue;
        atomic_store(&slots[i].torn, true); /* before the zeros can be read */
        return mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                    -1, 0) != MAP_FAILED;
    }
    return false;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    bool from_outside = info->si_code <= 0; /* kill(), not a read */

    (void)context;
    if (from_outside || !mend((uintptr_t)info->si_addr)) {
        /* Not ours: the read is tried again and ends as it would have without us; by default,
         * should the handler before us have called this one. */
        if (atomic_exchange(&passed_on, true))
            signal(number, SIG_DFL);
        else
            sigaction(number, &before, NULL);
        if (from_outside)
            raise(number); /* delivered when we return */
    }
    errno = saved;
}

/* With each mapping: a library may have taken the signal since. */
static int install(void)
{
    struct sigaction a = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART},
                     now;

    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&a.sa_mask);
    if (sigaction(SIGBUS, NULL, &now) < 0)
        return -errno;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus)
        return 0;
    before = now;
    atomic_store(&passed_on, false);
    return sigaction(SIGBUS, &a, NULL) < 0 ? -errno : 0;
}

static int take_slot(const void *data, size_t len, unsigned *ret)
{
    unsigned i = 0, n = atomic_load(&n_slots);
    uintptr_t begin = (uintptr_t)data;

    while (i < n && atomic_load(&slots[i].begin))
        i++;
    if (i == MAX_SLOTS)
        return -EMFILE;
    atomic_store(&slots[i].torn, false);
    atomic_store(&slots[i].end, (begin + len + page_bytes - 1) & ~(page_bytes - 1));
    atomic_store(&slots[i].begin, begin);
    if (i == n)
        atomic_store(&n_slots, n + 1);
    *ret = i;
    return 0;
}

int wd_mapping_init(struct wd_mapping *m, int fd, size_t len)
{
    void *data;
    unsigned slot = 0;
    int r;

    pthread_mutex_lock(&lock);
    r = install();
    data = r < 0 ? MAP_FAILED : mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (r == 0 && data == MAP_FAILED)
        r = -errno;
    if (r == 0) {
        r = take_slot(data, len, &slot);
        if (r < 0)
            munmap(data, len);
    }
    pthread_mutex_unlock(&lock);
    if (r == 0)
        *m = (struct wd_mapping){.data = data, .len = len, .slot = slot};
    return r;
}

void wd_mapping_done(struct wd_mapping *m)
{
    if (!m->data)
        return;
    pthread_mutex_lock(&lock);
    atomic_store(&slots[m->slot].begin, 0);
    munmap((void *)(uintptr_t)m->data, m->len);
    pthread_mutex_unlock(&lock);
    *m = (struct wd_mapping){0};
}

bool wd_mapping_torn(const struct wd_mapping *m)
{
    return m->data && atomic_load(&slots[m->slot].torn);
}
