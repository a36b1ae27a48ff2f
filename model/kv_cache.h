/* model/kv_cache.h - keys and values of one decoder, in pages that a fork shares. Engine thread only.
 *
 * A page holds WD_KV_PAGE consecutive positions of all layers of one kind (sliding or full). A decoder has one table of pages for each
 * kind, so forgetting what left the window, rewinding and forking only move references; a page is copied when
 * somebody writes into one that others see too. Layout inside a page, by layer: K [n_kv_heads][WD_KV_PAGE][head_dim], then V likewise. */
#pragma once
#include "base/err.h"
#include "model/shape.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_KV_PAGE 32 /* positions */

struct wd_kv_pool; /* the pages of one engine: grows when a decoder is made, never while it runs */

int wd_kv_pool_new(const struct wd_shape *s, struct wd_kv_pool **ret, struct wd_err *err);
struct wd_kv_pool *wd_kv_pool_free(struct wd_kv_pool *p);
size_t wd_kv_pool_bytes(const struct wd_kv_pool *p); /* of the pages in use */
/* Bytes that one position takes on the sliding and the full layers. */
void wd_kv_position_bytes(const struct wd_shape *s, size_t *ret_sliding, size_t *ret_full);

struct wd_kv_cache;

/* Reserves what `capacity` positions can ever need: sliding layers keep the window, `longest_branch` and the `max_rows` of one pass. */
int wd_kv_cache_new(struct wd_kv_pool *p, uint32_t capacity, uint32_t longest_branch, uint32_t max_rows,
                    struct wd_kv_cache **ret, struct wd_err *err);
struct wd_kv_cache *wd_kv_cache_free(struct wd_kv_cache *c);
int wd_kv_cache_fork(const struct wd_kv_cache *c, struct wd_kv_cache **ret, struct wd_err *err);

uint32_t wd_kv_cache_length(const struct wd_kv_cache *c);
uint32_t wd_kv_cache_capacity(const struct wd_kv_cache *c);
uint32_t wd_kv_cache_first(const struct wd_kv_cache *c); /* the sliding layers still have what stands from this position on */
/* Makes room for n more positions that this cache alone may write. Cannot fail within capacity. */
void wd_kv_cache_grow(struct wd_kv_cache *c, uint32_t n);
/* The pass is over: pages that no later query can see go back. */
void wd_kv_cache_settle(struct wd_kv_cache *c);
/* -ERANGE when keys that `length` needs are gone. */
int wd_kv_cache_rewind(struct wd_kv_cache *c, uint32_t length);

/* K or V of positions [pos, ...) up to the end of pos's page, of one layer and kv head; *ret_n positions, head_dim apart. */
float *wd_kv_cache_k(const struct wd_kv_cache *c, uint32_t layer, uint32_t head, uint32_t pos, uint32_t *ret_n);
float *wd_kv_cache_v(const struct wd_kv_cache *c, uint32_t layer, uint32_t head, uint32_t pos, uint32_t *ret_n);
