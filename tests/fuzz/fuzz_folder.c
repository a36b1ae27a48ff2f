/* tests/fuzz/fuzz_folder.c - any bytes as the JSON files of a folder of safetensors.
 * Input: config.json, generation_config.json, tokenizer.json and the index, one zero byte between
 * each; without an index the folder has one file of weights. */
#include "model/tensor_file.h"
#include "model/tokenizer.h"
#include "model/weights.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TENSOR(name, from, to)                                                                     \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" from "," to "]}"

static char single[64], sharded[64]; /* folders: one with model.safetensors, one with shards */

static void put(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

static void clean_up(void)
{
    static const char *const names[] = {"config.json",     "generation_config.json",
                                        "tokenizer.json",  "model.safetensors",
                                        "one.safetensors", "model.safetensors.index.json"};
    char path[128];

    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            snprintf(path, sizeof path, "%s/%s", k ? sharded : single, names[i]);
            unlink(path);
        }
        rmdir(k ? sharded : single);
    }
}

static void make_folders(void)
{
    static const char head[] = "{" TENSOR("model.language_model.norm.weight", "0", "4") "," TENSOR(
        "model.embed_vision.embedding_projection.weight", "4",
        "8") "," TENSOR("model.embed_audio.embedding_projection.weight", "8", "12") "}";
    unsigned char file[8 + sizeof head - 1 + 12] = {0};
    uint64_t n = sizeof head - 1;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    snprintf(single, sizeof single, "%s/witnessd-fuzz-XXXXXX", memory);
    snprintf(sharded, sizeof sharded, "%s/witnessd-fuzz-XXXXXX", memory);
    if (!mkdtemp(single) || !mkdtemp(sharded))
        abort();
    atexit(clean_up);
    memcpy(file, &n, 8);
    memcpy(file + 8, head, n);
    put(single, "model.safetensors", file, sizeof file);
    put(sharded, "one.safetensors", file, sizeof file);
}

/* Cuts off what stands in front of the next zero byte. */
static size_t part(const uint8_t **at, size_t *left)
{
    const uint8_t *zero = *left ? memchr(*at, 0, *left) : NULL;
    size_t n = zero ? (size_t)(zero - *at) : *left;

    *at += n + (zero != NULL);
    *left -= n + (zero != NULL);
    return n;
}

static unsigned n_problems;

static void hear(void *ctx, const char *problem)
{
    (void)ctx;
    n_problems++;
    if (!problem[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"config.json", "generation_config.json", "tokenizer.json"};
    static struct wd_weights w;
    struct wd_weights_problems problems = {hear, NULL};
    const uint8_t *at = data, *index = data;
    const char *folder;
    struct wd_tensor_file *f;
    struct wd_tokenizer *t;
    struct wd_err err = {0};
    size_t left = size, n_index;

    if (!single[0])
        make_folders();
    for (int i = 0; i < 3; i++)
        part(&index, &left);
    n_index = left;
    folder = n_index ? sharded : single;
    if (n_index)
        put(folder, "model.safetensors.index.json", index, n_index);
    left = size;
    for (int i = 0; i < 3; i++) {
        const uint8_t *from = at;
        size_t n = part(&at, &left);

        put(folder, names[i], from, n);
    }
    if (wd_tensor_file_open(folder, &f, &err) == 0) {
        if (wd_tokenizer_open(f, &t, &err) == 0) {
            wd_tokenizer_encode(t, (const char *)data, size, true, NULL, 0);
            wd_tokenizer_free(t);
        } else if (err.code >= 0 || !err.text[0]) {
            abort();
        }
        wd_tensor_file_free(f);
    } else if (err.code >= 0 || !err.text[0]) {
        abort();
    }
    err = (struct wd_err){0};
    if (wd_weights_open_all(folder, NULL, &problems, &w, &err) == 0)
        wd_weights_done(&w);
    else if (err.code >= 0 || !err.text[0])
        abort();
    return 0;
}
