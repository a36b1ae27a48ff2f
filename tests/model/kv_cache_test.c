/* tests/model/kv_cache_test.c - keys and values stay what was written, whoever forks, rewinds or writes on. */
#include "model/kv_cache.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Three layers: sliding with two heads of 4, full with one of 6, sliding with one of 2. */
static struct wd_shape shape = {
    .n_layers = 3,
    .window = 40,
    .layers = {{.n_kv_heads = 2, .head_dim = 4}, {.full = true, .n_kv_heads = 1, .head_dim = 6}, {.n_kv_heads = 1, .head_dim = 2}},
};
#define SLIDING_BYTES (2 * (2 * 4 + 2) * sizeof(float))
#define FULL_BYTES (2 * 6 * sizeof(float))
#define PAGES(sliding, full) (WD_KV_PAGE * ((sliding)*SLIDING_BYTES + (full)*FULL_BYTES))

static struct wd_kv_pool *pool(void)
{
    struct wd_kv_pool *p;

    assert_int_equal(wd_kv_pool_new(&shape, &p, NULL), 0);
    return p;
}

static struct wd_kv_cache *cache(struct wd_kv_pool *p, uint32_t capacity, uint32_t branch, uint32_t rows)
{
    struct wd_kv_cache *c;

    assert_int_equal(wd_kv_cache_new(p, capacity, branch, rows, &c, NULL), 0);
    return c;
}

static struct wd_kv_cache *fork_of(const struct wd_kv_cache *c)
{
    struct wd_kv_cache *f;

    assert_int_equal(wd_kv_cache_fork(c, &f, NULL), 0);
    return f;
}

/* What stands at a position: different everywhere, and for every writer. */
static float mark(uint32_t layer, uint32_t head, uint32_t pos, uint32_t writer, bool v)
{
    return (float)(pos * 64 + layer * 16 + head * 8 + v * 4) + (float)writer / 256;
}

static void write_rows(struct wd_kv_cache *c, uint32_t n, uint32_t writer)
{
    uint32_t first = wd_kv_cache_length(c), left;

    wd_kv_cache_grow(c, n);
    for (uint32_t l = 0; l < shape.n_layers; l++)
        for (uint32_t h = 0; h < shape.layers[l].n_kv_heads; h++)
            for (uint32_t pos = first; pos < first + n; pos++)
                for (uint32_t i = 0; i < shape.layers[l].head_dim; i++) {
                    wd_kv_cache_k(c, l, h, pos, &left)[i] = mark(l, h, pos, writer, false);
                    wd_kv_cache_v(c, l, h, pos, &left)[i] = mark(l, h, pos, writer, true);
                }
    wd_kv_cache_settle(c);
}

static void check_row(const struct wd_kv_cache *c, uint32_t layer, uint32_t pos, uint32_t writer)
{
    uint32_t left;

    for (uint32_t h = 0; h < shape.layers[layer].n_kv_heads; h++) {
        const float *k = wd_kv_cache_k(c, layer, h, pos, &left), *v;

        assert_int_equal(left, WD_KV_PAGE - pos % WD_KV_PAGE);
        v = wd_kv_cache_v(c, layer, h, pos, &left);
        for (uint32_t i = 0; i < shape.layers[layer].head_dim; i++)
            if (k[i] != mark(layer, h, pos, writer, false) || v[i] != mark(layer, h, pos, writer, true))
                fail_msg("layer %u head %u position %u of writer %u: %g %g", layer, h, pos, writer, (double)k[i], (double)v[i]);
    }
}

/* What the next query can see: all on full layers, the window on the others. */
static void check_all(const struct wd_kv_cache *c, const uint8_t *writer)
{
    uint32_t n = wd_kv_cache_length(c);

    for (uint32_t l = 0; l < shape.n_layers; l++)
        for (uint32_t pos = shape.layers[l].full || n < shape.window ? 0 : n - shape.window; pos < n; pos++)
            check_row(c, l, pos, writer[pos]);
}

static void a_position_takes_keys_and_values_of_every_layer_of_its_kind(void **state)
{
    size_t sliding, full;

    (void)state;
    wd_kv_position_bytes(&shape, &sliding, &full);
    assert_int_equal(sliding, SLIDING_BYTES);
    assert_int_equal(full, FULL_BYTES);
}

static void what_is_written_is_read_across_pages(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *c = cache(p, 100, 100, 100);
    uint8_t writer[100] = {0};

    (void)state;
    assert_int_equal(wd_kv_pool_bytes(p), 0); /* promised is not used */
    write_rows(c, 31, 0);
    write_rows(c, 2, 0);
    write_rows(c, 67, 0);
    assert_int_equal(wd_kv_cache_length(c), 100);
    assert_int_equal(wd_kv_cache_capacity(c), 100);
    check_all(c, writer);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(4, 4));
    wd_kv_cache_free(c);
    assert_int_equal(wd_kv_pool_bytes(p), 0);
    wd_kv_pool_free(p);
}

static void a_fork_costs_nothing_until_somebody_writes(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *a = cache(p, 128, 128, 128), *b;
    uint8_t of_a[128] = {0}, of_b[128] = {0};

    (void)state;
    write_rows(a, 40, 0);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(2, 2));
    b = fork_of(a);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(2, 2));
    /* One row: a copy of the page that is partly filled, and only of it. */
    write_rows(b, 1, 1);
    of_b[40] = 1;
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(3, 3));
    write_rows(a, 3, 2);
    memset(of_a + 40, 2, 3);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(3, 3));
    check_all(a, of_a);
    check_all(b, of_b);
    wd_kv_cache_free(a);
    check_all(b, of_b);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(2, 2));
    wd_kv_cache_free(b);
    assert_int_equal(wd_kv_pool_bytes(p), 0);
    wd_kv_pool_free(p);
}

static void sliding_layers_forget_what_left_the_window_and_full_ones_do_not(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *c = cache(p, 2000, 10, 5);
    uint8_t writer[2000] = {0};

    (void)state;
    for (uint32_t i = 0; i < 400; i++)
        write_rows(c, 5, 0);
    check_all(c, writer);
    /* The window and the branch, begun and ended inside a page. */
    assert_in_range(wd_kv_pool_bytes(p), PAGES(2, 63), PAGES(3, 63));
    wd_kv_cache_free(c);
    wd_kv_pool_free(p);
}

static void a_rewind_within_the_branch_finds_all_it_needs(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *c = cache(p, 1000, 64, 8);
    uint8_t writer[1000] = {0};

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        write_rows(c, 8, 0);
    assert_int_equal(wd_kv_cache_rewind(c, 800 - 64), 0);
    assert_int_equal(wd_kv_cache_length(c), 736);
    check_all(c, writer);
    write_rows(c, 8, 3);
    memset(writer + 736, 3, 8);
    check_all(c, writer);
    wd_kv_cache_free(c);
    wd_kv_pool_free(p);
}

static void a_rewind_to_where_keys_are_gone_is_refused_and_changes_nothing(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *c = cache(p, 1000, 10, 8);
    uint8_t writer[1000] = {0};
    size_t bytes;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        write_rows(c, 8, 0);
    bytes = wd_kv_pool_bytes(p);
    assert_int_equal(wd_kv_cache_rewind(c, 500), -ERANGE);
    assert_int_equal(wd_kv_cache_rewind(c, 0), -ERANGE);
    assert_int_equal(wd_kv_cache_length(c), 800);
    assert_int_equal(wd_kv_pool_bytes(p), bytes);
    check_all(c, writer);
    wd_kv_cache_free(c);
    wd_kv_pool_free(p);
}

static void a_rewind_gives_pages_back(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *c = cache(p, 1000, 1000, 1000);

    (void)state;
    write_rows(c, 640, 0);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(20, 20));
    assert_int_equal(wd_kv_cache_rewind(c, 33), 0);
    assert_int_equal(wd_kv_pool_bytes(p), PAGES(2, 2));
    assert_int_equal(wd_kv_cache_rewind(c, 0), 0);
    assert_int_equal(wd_kv_pool_bytes(p), 0);
    wd_kv_cache_free(c);
    wd_kv_pool_free(p);
}

static void a_context_nobody_has_memory_for_is_refused(void **state)
{
    struct wd_kv_pool *p = pool();
    struct wd_kv_cache *c = NULL, *small;
    struct wd_err err = {0};

    (void)state;
    shape.layers[1].head_dim = 1u << 24; /* 2^24 positions of 128 MiB each: beyond what can be addressed */
    wd_kv_pool_free(p);
    p = pool();
    assert_int_equal(wd_kv_cache_new(p, UINT32_C(1) << 24, 1, 1, &c, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "KV cache"));
    shape.layers[1].head_dim = 6;
    wd_kv_pool_free(p);
    /* And the next one, of a size that can be had, gets its room. */
    p = pool();
    small = cache(p, 64, 1, 1);
    wd_kv_cache_free(small);
    wd_kv_pool_free(p);
}

static void models_of_one_kind_of_layer_need_no_pages_of_the_other(void **state)
{
    struct wd_shape full = {.n_layers = 1, .window = 8, .layers = {{.full = true, .n_kv_heads = 1, .head_dim = 2}}}, sliding = full;
    struct wd_kv_pool *p;
    struct wd_kv_cache *c, *f;
    uint32_t left;

    (void)state;
    sliding.layers[0].full = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wd_kv_pool_new(i ? &full : &sliding, &p, NULL), 0);
        c = cache(p, 100, 4, 4);
        for (uint32_t at = 0; at < 100; at += 4) {
            wd_kv_cache_grow(c, 4);
            wd_kv_cache_k(c, 0, 0, at, &left)[0] = (float)at;
            wd_kv_cache_settle(c);
        }
        f = fork_of(c);
        assert_true(wd_kv_cache_k(f, 0, 0, 96, &left)[0] == 96);
        assert_int_equal(wd_kv_cache_rewind(c, 97), 0);
        wd_kv_cache_free(c);
        assert_true(wd_kv_cache_k(f, 0, 0, 96, &left)[0] == 96);
        wd_kv_cache_free(f);
        assert_int_equal(wd_kv_pool_bytes(p), 0);
        wd_kv_pool_free(p);
    }
}

/* Eight caches of one pool grow, rewind, fork and end at random; each must read what its own line wrote, and nobody ever lacks a page. */
#define LINES 8
#define CAPACITY 300
static void any_order_of_growing_rewinding_and_forking_keeps_lines_apart(void **state)
{
    static uint8_t writer[LINES][CAPACITY];
    struct wd_kv_cache *line[LINES] = {NULL};
    uint32_t longest[LINES] = {0}; /* it ever was: what is promised counts from there */
    struct wd_kv_pool *p = pool();
    uint64_t z = 20;
    uint8_t next_writer = 1;

    (void)state;
    for (int step = 0; step < 4000; step++) {
        uint32_t i, other, length, n;

        z = z * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        i = (uint32_t)(z >> 40) % LINES;
        other = (uint32_t)(z >> 50) % LINES;
        if (!line[i]) {
            line[i] = cache(p, CAPACITY, 50, 20);
            longest[i] = 0;
        }
        length = wd_kv_cache_length(line[i]);
        switch ((z >> 33) % 8) {
        case 0:
            line[i] = wd_kv_cache_free(line[i]);
            break;
        case 1:
        case 2:
            if (other != i) {
                wd_kv_cache_free(line[other]);
                line[other] = fork_of(line[i]);
                memcpy(writer[other], writer[i], CAPACITY);
                longest[other] = longest[i];
            }
            break;
        case 3: /* further than promised is refused or right, never wrong */
            n = (uint32_t)(z >> 36) % (length + 1);
            if (wd_kv_cache_rewind(line[i], n) < 0)
                assert_true(longest[i] - n > 50);
            break;
        default:
            n = (uint32_t)(z >> 36) % 20 + 1;
            n = n < CAPACITY - length ? n : CAPACITY - length;
            if (n) {
                write_rows(line[i], n, next_writer);
                memset(writer[i] + length, next_writer++, n);
                longest[i] = length + n > longest[i] ? length + n : longest[i];
            }
        }
        if (line[i] && step % 4 == 0)
            check_all(line[i], writer[i]);
    }
    for (int i = 0; i < LINES; i++) {
        if (line[i])
            check_all(line[i], writer[i]);
        wd_kv_cache_free(line[i]);
    }
    assert_int_equal(wd_kv_pool_bytes(p), 0);
    wd_kv_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_takes_keys_and_values_of_every_layer_of_its_kind),
        cmocka_unit_test(what_is_written_is_read_across_pages),
        cmocka_unit_test(a_fork_costs_nothing_until_somebody_writes),
        cmocka_unit_test(sliding_layers_forget_what_left_the_window_and_full_ones_do_not),
        cmocka_unit_test(a_rewind_within_the_branch_finds_all_it_needs),
        cmocka_unit_test(a_rewind_to_where_keys_are_gone_is_refused_and_changes_nothing),
        cmocka_unit_test(a_rewind_gives_pages_back),
        cmocka_unit_test(a_context_nobody_has_memory_for_is_refused),
        cmocka_unit_test(models_of_one_kind_of_layer_need_no_pages_of_the_other),
        cmocka_unit_test(any_order_of_growing_rewinding_and_forking_keeps_lines_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
