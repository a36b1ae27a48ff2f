/* cli/model_render.c - `witness model render`: a conversation as the model gets it, ids and text.
 */
#include "base/paths.h"
#include "cli/cli.h"
#include "model/chat_json.h"
#include "model/tensor_file.h"
#include "model/tokenizer.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define MAX_TOKENS 262144 /* the longest context of the family */

static int usage(FILE *to)
{
    fprintf(to,
            "usage: witness model render MODEL CHAT.json\n\n"
            "Prints the token ids of a conversation, and them as text. CHAT.json is an object with "
            "\"messages\" and, if wanted,\n\"tools\", \"enable_thinking\", \"preserve_thinking\", "
            "\"add_generation_prompt\" (true if absent), \"continue_final_message\".\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

static bool flag(const json_t *from, const char *name, bool otherwise)
{
    const json_t *o = json_object_get(from, name);

    return o ? json_is_true(o) : otherwise;
}

static int print(const struct wd_chat_prompt *p, const struct wd_tokenizer *t, struct wd_err *err)
{
    static const char *const placeholder[] = {[WD_CHAT_AUDIO] = "<|audio|>",
                                              [WD_CHAT_IMAGE] = "<|image|>",
                                              [WD_CHAT_VIDEO] = "<|video|>"};
    int32_t *ids = malloc((p->n_ids + p->n_spans) * sizeof *ids);
    char *text = NULL, *quoted = NULL;
    json_t *string = NULL;
    size_t n = 0, len;
    int r = 0;

    for (size_t k = 0; ids && k < p->n_spans; k++) {
        const struct wd_chat_span *s = &p->spans[k];

        if (s->kind != WD_CHAT_TEXT) {
            ids[n++] = wd_tokenizer_find(t, placeholder[s->kind]);
            continue;
        }
        memcpy(ids + n, s->ids, s->n_ids * sizeof *ids);
        n += s->n_ids;
    }
    len = ids ? wd_tokenizer_decode(t, ids, n, true, NULL, 0) : 0;
    text = malloc(len + 1);
    if (ids && text) {
        wd_tokenizer_decode(t, ids, n, true, text, len + 1);
        string = json_stringn(text, len);
        quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    }
    if (quoted) {
        printf("{\"ids\": [");
        for (size_t i = 0; i < n; i++)
            printf(i ? ", %" PRId32 : "%" PRId32, ids[i]);
        printf("],\n \"text\": %s}\n", quoted);
    } else {
        r = wd_err_set(err, text ? -EILSEQ : -ENOMEM,
                       text ? "the pieces of these ids are not UTF-8" : "out of memory");
    }
    free(quoted);
    json_decref(string);
    free(text);
    free(ids);
    return r;
}

static int render(const json_t *from, const struct wd_tokenizer *t, struct wd_err *err)
{
    const json_t *tools = json_object_get(from, "tools");
    char *messages = json_dumps(json_object_get(from, "messages"), JSON_ENCODE_ANY),
         *tools_text = tools ? json_dumps(tools, JSON_ENCODE_ANY) : NULL;
    struct wd_chat c = {.thinking = flag(from, "enable_thinking", false),
                        .preserve_thinking = flag(from, "preserve_thinking", false),
                        .reply = flag(from, "add_generation_prompt", true),
                        .continue_last = flag(from, "continue_final_message", false)};
    struct wd_chat_prompt *p = NULL;
    void *memory = NULL;
    int r;

    if (!json_object_get(from, "messages"))
        r = wd_err_set(err, -EINVAL, "expected an object with \"messages\"");
    else if (!messages || (tools && !tools_text))
        r = wd_err_set(err, -ENOMEM, "out of memory");
    else
        r = wd_chat_from_json((struct wd_chat_str){messages, strlen(messages)},
                              (struct wd_chat_str){tools_text, tools_text ? strlen(tools_text) : 0},
                              &c, &memory, err);
    if (r == 0)
        r = wd_chat_render(&c, t, MAX_TOKENS, &p, err);
    if (r == 0)
        r = print(p, t, err);
    wd_chat_prompt_free(p);
    free(memory);
    free(messages);
    free(tools_text);
    return r;
}

int wd_cli_model_render(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct wd_tensor_file *f = NULL;
    struct wd_tokenizer *t = NULL;
    struct wd_err err = {0};
    json_error_t e;
    json_t *from = NULL;
    char path[PATH_MAX];
    int c, r;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        return usage(c == 'h' ? stdout : stderr);
    if (optind + 2 != argc)
        return usage(stderr);
    r = wd_paths_model(argv[optind], path, sizeof path, &err);
    if (r == 0)
        r = wd_tensor_file_open(path, &f, &err);
    if (r == 0)
        r = wd_tokenizer_open(f, &t, &err);
    wd_tensor_file_free(f); /* the tokenizer copied what it needs */
    if (r == 0) {
        const char *chat = argv[optind + 1];
        FILE *file = fopen(chat, "rb");

        if (!file) {
            r = wd_err_set(&err, -errno, "%s: %s", chat, strerror(errno));
        } else {
            from = json_loadf(file, 0, &e);
            fclose(file);
            r = from ? render(from, t, &err)
                     : wd_err_set(&err, -EINVAL, "line %d: %s", e.line, e.text);
            if (r < 0)
                wd_err_prefix(&err, "%s", chat);
        }
    }
    json_decref(from);
    wd_tokenizer_free(t);
    return r < 0 ? wd_cli_fail(&err) : EX_OK;
}
