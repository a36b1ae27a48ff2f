/* tests/model/sampler_test.c - which token is chosen, how often, and what is said of it. */
#include "model/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 8

static const float logits[N] = {0.5f, 2.0f, -1.0f, 1.5f, 0.0f, 2.5f, -3.0f, 1.0f};

static double p_of(uint32_t id, double temperature, const int32_t *without, uint32_t n_without)
{
    double sum = 0;

    for (uint32_t i = 0; i < N; i++) {
        int out = 0;

        for (uint32_t k = 0; k < n_without; k++)
            out |= without[k] == (int32_t)i;
        sum += out ? 0 : exp((double)logits[i] / temperature);
    }
    return exp((double)logits[id] / temperature) / sum;
}

static void greedy_takes_the_best_and_says_how_clear_it_was(void **state)
{
    struct wd_choice c = wd_sampler_greedy(logits, N, NULL, 0);

    (void)state;
    assert_int_equal(c.id, 5);
    assert_true(fabsf(c.margin - 0.5f) < 1e-6f);
    assert_true(fabs((double)c.p - p_of(5, 1, NULL, 0)) < 1e-6);
}

static void a_suppressed_favourite_counts_neither_as_choice_nor_in_the_probabilities(void **state)
{
    const int32_t without[] = {5, 1};
    struct wd_choice c = wd_sampler_greedy(logits, N, without, 2);

    (void)state;
    assert_int_equal(c.id, 3);
    assert_true(fabsf(c.margin - 0.5f) < 1e-6f); /* to token 7 */
    assert_true(fabs((double)c.p - p_of(3, 1, without, 2)) < 1e-6);
    assert_true(wd_sampler_probability(logits, N, without, 2, 5) == 0);
}

static void a_suppressed_token_far_above_all_others_hides_nothing(void **state)
{
    const float far[3] = {30, -30, -29};
    const int32_t without[] = {0, 0, -4, 77}; /* twice, and ids that are none */
    struct wd_choice c = wd_sampler_greedy(far, 3, without, 4);

    (void)state;
    assert_int_equal(c.id, 2);
    assert_true(fabs((double)c.p - 1 / (1 + exp(-1))) < 1e-5);
}

static void of_equals_the_lowest_id_wins(void **state)
{
    const float same[5] = {1, 3, 3, 3, 2};
    struct wd_choice c = wd_sampler_greedy(same, 5, NULL, 0);

    (void)state;
    assert_int_equal(c.id, 1);
    assert_true(c.margin == 0);
}

static void when_all_is_suppressed_nothing_is_chosen(void **state)
{
    const int32_t all[N] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct wd_sampler s = {.temperature = 1, .top_k = 4, .top_p = 1, .state = 1};
    struct wd_choice c = wd_sampler_greedy(logits, N, all, N);

    (void)state;
    assert_int_equal(c.id, -1);
    assert_true(c.p == 0);
    assert_int_equal(wd_sampler_next(&s, logits, N, all, N), -1);
}

static void numbers_that_are_none_are_never_chosen_and_spoil_no_probability(void **state)
{
    float bad[N];
    struct wd_sampler s = {.temperature = 0.7f, .top_k = N, .top_p = 1, .state = 3};
    struct wd_choice c;

    (void)state;
    memcpy(bad, logits, sizeof bad);
    bad[5] = bad[0] = NAN;
    c = wd_sampler_greedy(bad, N, NULL, 0);
    assert_int_equal(c.id, 1);
    assert_true(fabs((double)c.p - p_of(1, 1, (const int32_t[]){5, 0}, 2)) < 1e-6);
    for (int i = 0; i < 2000; i++) {
        int32_t id = wd_sampler_next(&s, bad, N, NULL, 0);

        assert_in_range(id, 1, N - 1);
        assert_int_not_equal(id, 5);
    }
    for (int i = 0; i < N; i++)
        bad[i] = NAN;
    assert_int_equal(wd_sampler_greedy(bad, N, NULL, 0).id, -1);
    assert_int_equal(wd_sampler_next(&s, bad, N, NULL, 0), -1);
}

static void an_id_that_is_none_has_no_probability(void **state)
{
    (void)state;
    assert_true(wd_sampler_probability(logits, N, NULL, 0, -1) == 0);
    assert_true(wd_sampler_probability(logits, N, NULL, 0, N) == 0);
}

static void probabilities_add_up_to_one(void **state)
{
    double sum = 0;

    (void)state;
    for (int32_t i = 0; i < N; i++)
        sum += (double)wd_sampler_probability(logits, N, (const int32_t[]){2}, 1, i);
    assert_true(fabs(sum - 1) < 1e-6);
}

/* Pearson's statistic of 20000 draws against p [N] (0: must never come). */
static double chi_square(struct wd_sampler *s, const int32_t *without, uint32_t n_without, const double *p)
{
    unsigned count[N] = {0};
    const unsigned draws = 20000;
    double x = 0;

    for (unsigned i = 0; i < draws; i++) {
        int32_t id = wd_sampler_next(s, logits, N, without, n_without);

        assert_in_range(id, 0, N - 1);
        count[id]++;
    }
    for (int i = 0; i < N; i++) {
        double want = p[i] * draws;

        if (p[i] == 0)
            assert_int_equal(count[i], 0);
        else
            x += (count[i] - want) * (count[i] - want) / want;
    }
    return x;
}

/* The seeds are fixed, so this passes or fails for ever; the bound is what chance exceeds once in a thousand (7 degrees of freedom). */
#define CHI 24.3

static void tokens_come_as_often_as_the_temperature_says(void **state)
{
    const float temperatures[] = {0.5f, 1.0f, 2.0f};

    (void)state;
    for (int t = 0; t < 3; t++) {
        struct wd_sampler s = {.temperature = temperatures[t], .top_k = N, .top_p = 1, .state = 42 + (uint64_t)t};
        double p[N];

        for (uint32_t i = 0; i < N; i++)
            p[i] = p_of(i, (double)temperatures[t], NULL, 0);
        assert_true(chi_square(&s, NULL, 0, p) < CHI);
    }
}

static void top_k_leaves_the_k_best_that_are_allowed(void **state)
{
    struct wd_sampler s = {.temperature = 1, .top_k = 3, .top_p = 1, .state = 7};
    double p[N] = {0}, sum = exp(2.0) + exp(1.5) + exp(1.0);

    (void)state; /* 5, the best, is suppressed: 1, 3 and 7 are left */
    p[1] = exp(2.0) / sum;
    p[3] = exp(1.5) / sum;
    p[7] = exp(1.0) / sum;
    assert_true(chi_square(&s, (const int32_t[]){5}, 1, p) < CHI);
}

static void top_p_leaves_the_fewest_that_fill_it(void **state)
{
    struct wd_sampler s = {.temperature = 1, .top_k = N, .top_p = 0.6f, .state = 9};
    double p[N] = {0}, sum = exp(2.5) + exp(2.0);

    (void)state; /* 0.397 and 0.241 fill 0.6 */
    assert_true(p_of(5, 1, NULL, 0) < 0.6 && p_of(5, 1, NULL, 0) + p_of(1, 1, NULL, 0) > 0.6);
    p[5] = exp(2.5) / sum;
    p[1] = exp(2.0) / sum;
    assert_true(chi_square(&s, NULL, 0, p) < CHI);
}

/* Drafts drawn from q, verified: what comes out is p's, and as often as can be the draft. */
static void verified_drafts_come_as_often_as_p_says_whatever_q_is(void **state)
{
    struct wd_sampler s = {.temperature = 1, .top_k = N, .top_p = 1, .state = 11};
    struct wd_sampler_dist p, q[4] = {{.n = 0}};
    const unsigned draws = 20000;

    (void)state;
    wd_sampler_distribution(&s, logits, N, NULL, 0, &p);
    q[0] = p;
    for (uint32_t i = 0; i < N; i++) { /* the likeliest last */
        q[1].ids[i] = p.ids[i];
        q[1].p[i] = p.p[N - 1 - i];
    }
    q[1].n = N;
    q[2] = (struct wd_sampler_dist){.n = 2, .ids = {p.ids[2], N + 5}, .p = {0.5, 0.5}}; /* one of them p never says */
    q[3] = (struct wd_sampler_dist){.n = 1, .ids = {p.ids[1]}, .p = {1}};
    for (int k = 0; k < 5; k++) {
        const struct wd_sampler_dist *from = k < 4 ? &q[k] : &q[3];
        unsigned count[N] = {0}, kept = 0;
        double x = 0, most = 0;

        for (unsigned i = 0; i < draws; i++) {
            int32_t draft = wd_sampler_draw(&s, from), id = wd_sampler_verify(&s, &p, k < 4 ? from : NULL, draft);

            assert_in_range(id, 0, N - 1);
            count[id]++;
            kept += id == draft;
        }
        for (uint32_t i = 0; i < N; i++) {
            x += pow(count[p.ids[i]] - p.p[i] * draws, 2) / (p.p[i] * draws);
            for (uint32_t m = 0; m < from->n; m++)
                if (from->ids[m] == p.ids[i])
                    most += p.p[i] < from->p[m] ? p.p[i] : from->p[m];
        }
        assert_true(x < CHI);
        assert_true(fabs(kept - most * draws) < 4 * sqrt(draws * 0.25) + 1);
        assert_true(k != 0 || kept == draws);
    }
}

static void a_distribution_is_what_is_drawn_from(void **state)
{
    struct wd_sampler s = {.temperature = 0.8f, .top_k = 5, .top_p = 0.9f, .state = 5}, cold = {.temperature = 0, .top_k = 5, .top_p = 1};
    struct wd_sampler_dist d;
    double sum = 0;

    (void)state;
    wd_sampler_distribution(&s, logits, N, NULL, 0, &d);
    assert_in_range(d.n, 2, 5);
    for (uint32_t i = 0; i < d.n; i++) {
        sum += d.p[i];
        assert_true(i == 0 || d.p[i] <= d.p[i - 1]);
    }
    assert_true(fabs(sum - 1) < 1e-12);
    wd_sampler_distribution(&cold, logits, N, NULL, 0, &d);
    assert_int_equal(d.n, 1);
    assert_int_equal(d.ids[0], 5);
    d.n = 0;
    assert_int_equal(wd_sampler_draw(&s, &d), -1);
}

static void the_best_alone_is_greedy(void **state)
{
    struct wd_sampler k = {.temperature = 5, .top_k = 1, .top_p = 1, .state = 1},
                      p = {.temperature = 5, .top_k = N, .top_p = 1e-6f, .state = 1},
                      cold = {.temperature = 0, .top_k = N, .top_p = 1, .state = 1};

    (void)state;
    for (int i = 0; i < 500; i++) {
        assert_int_equal(wd_sampler_next(&k, logits, N, NULL, 0), 5);
        assert_int_equal(wd_sampler_next(&p, logits, N, NULL, 0), 5);
        assert_int_equal(wd_sampler_next(&cold, logits, N, NULL, 0), 5);
    }
    assert_int_equal(cold.state, 1);
}

static void a_seed_says_everything(void **state)
{
    struct wd_sampler a = {.temperature = 1, .top_k = N, .top_p = 1, .state = 1234}, b = a, c = a;
    unsigned differ = 0;

    (void)state;
    c.state = 1235;
    for (int i = 0; i < 200; i++) {
        int32_t id = wd_sampler_next(&a, logits, N, NULL, 0);

        assert_int_equal(wd_sampler_next(&b, logits, N, NULL, 0), id);
        differ += wd_sampler_next(&c, logits, N, NULL, 0) != id;
    }
    assert_true(differ > 50);
}

static void a_top_k_beyond_the_room_is_the_most_there_is_room_for(void **state)
{
    float *many = malloc(1000 * sizeof *many);
    struct wd_sampler s = {.temperature = 1000, .top_k = 0, .top_p = 1, .state = 5};
    int32_t least = 999;

    (void)state;
    assert_non_null(many);
    for (int i = 0; i < 1000; i++)
        many[i] = (float)i * 0.001f;
    for (int i = 0; i < 5000; i++) {
        int32_t id = wd_sampler_next(&s, many, 1000, NULL, 0);

        least = id < least ? id : least;
    }
    assert_in_range(least, 1000 - WD_SAMPLER_MAX_TOP_K, 1000 - WD_SAMPLER_MAX_TOP_K + 8);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_best_and_says_how_clear_it_was),
        cmocka_unit_test(a_suppressed_favourite_counts_neither_as_choice_nor_in_the_probabilities),
        cmocka_unit_test(a_suppressed_token_far_above_all_others_hides_nothing),
        cmocka_unit_test(of_equals_the_lowest_id_wins),
        cmocka_unit_test(when_all_is_suppressed_nothing_is_chosen),
        cmocka_unit_test(numbers_that_are_none_are_never_chosen_and_spoil_no_probability),
        cmocka_unit_test(an_id_that_is_none_has_no_probability),
        cmocka_unit_test(probabilities_add_up_to_one),
        cmocka_unit_test(tokens_come_as_often_as_the_temperature_says),
        cmocka_unit_test(top_k_leaves_the_k_best_that_are_allowed),
        cmocka_unit_test(top_p_leaves_the_fewest_that_fill_it),
        cmocka_unit_test(verified_drafts_come_as_often_as_p_says_whatever_q_is),
        cmocka_unit_test(a_distribution_is_what_is_drawn_from),
        cmocka_unit_test(the_best_alone_is_greedy),
        cmocka_unit_test(a_seed_says_everything),
        cmocka_unit_test(a_top_k_beyond_the_room_is_the_most_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
