/* cli/pull_list.c - the models that `witness pull` knows by name: their files, sizes and checksums.
 * Paths are those of the publishers' repositories, the first part being the publisher. Sizes without a checksum follow from the
 * numbers of parameters (11,959,730,224; drafter 422,856,964) and the type. */
#include "cli/pull_list.h"

#include <stddef.h>
#include <string.h>

/* A revision that does not change, so its bytes are known. */
#define QAT "google/gemma-4-12B-it-qat-q4_0-gguf/resolve/29d097773436b69ff9feafd636ab4cf873786537/"
#define GGUF "ggml-org/gemma-4-12B-it-GGUF/resolve/main/"
#define DRAFTER "google/gemma-4-12B-it-assistant/resolve/main/"

#define QAT_MEDIA                                                                                                                          \
    {QAT "mmproj-gemma-4-12b-it-qat-q4_0.gguf", 175115616, "cb018338a7538a9814d994bfe54644c71eb7ed54e31eae2f721e45fd3c260da7"}
#define MEDIA {GGUF "mmproj-gemma-4-12B-it-BF16.gguf", 175000000, NULL}

const struct wd_pull_model wd_pull_list[] = {
    {"gemma-4-12b-q4_0",
     "12B, trained for 4 bits, with sound and pictures",
     {{QAT "gemma-4-12b-it-qat-q4_0.gguf", 6975879296, "93567e57a8fe10b23569b9d9ec38cd005deedf71e29477c421a4b83f418a538b"}, QAT_MEDIA}},
    {"gemma-4-12b-q8_0", "12B in 8 bits, with sound and pictures", {{GGUF "gemma-4-12B-it-Q8_0.gguf", 12700000000, NULL}, MEDIA}},
    {"gemma-4-12b-bf16", "12B in 16 bits, with sound and pictures", {{GGUF "gemma-4-12B-it-BF16.gguf", 23800000000, NULL}, MEDIA}},
    {"gemma-4-12b-mmproj", "sound and pictures alone, for a 12B that is there", {QAT_MEDIA}},
    {"gemma-4-12b-drafter",
     "guesses tokens ahead for any of the 12B",
     {{DRAFTER "config.json", 5000, NULL}, {DRAFTER "model.safetensors", 846000000, NULL}}},
    {0},
};

const struct wd_pull_model *wd_pull_find(const char *name)
{
    for (const struct wd_pull_model *m = wd_pull_list; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

uint64_t wd_pull_size(const struct wd_pull_model *m)
{
    uint64_t sum = 0;

    for (const struct wd_pull_file *f = m->files; f->path; f++)
        sum += f->size;
    return sum;
}

bool wd_pull_is_exact(const struct wd_pull_model *m)
{
    for (const struct wd_pull_file *f = m->files; f->path; f++)
        if (!f->sha256)
            return false;
    return true;
}
