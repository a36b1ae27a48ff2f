/* pipeline/profile.c - a prompt profile: what a family of models is asked and how its answers read,
 * as data from a *.prompt.yaml file. */
#include "pipeline/profile.h"
#include "base/yaml_opt.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_FILES 256     /* profiles in one folder */
#define MAX_TEMPLATE 8192 /* bytes */
#define MAX_CONTROL 32    /* bytes of a control token's string */
#define SUFFIX ".prompt.yaml"

static const char *const answers[] = {[WD_PROFILE_PLAIN] = "plain",
                                      [WD_PROFILE_LABELLED] = "labelled_lines",
                                      [WD_PROFILE_JSON] = "json",
                                      NULL};

static const struct wd_opt top_rows[] = {
    {.name = "match",
     .kind = WD_OPT_KIND_LIST,
     .offset = offsetof(struct wd_profile, match),
     .required = true,
     .help = "patterns on the model's name and its file's name"},
    WD_OPT_STR(struct wd_profile, family, "gemma4_unified", "architecture of the models it is for"),
    WD_OPT_BOOL(struct wd_profile, fallback, "false", "taken for models that no pattern knows"),
    WD_OPT_END,
};
static const char *const top_others[] = {"transcribe", "pictures", "describe", "changes",
                                         "yes_no",     "ask",      NULL};

static const struct wd_opt transcribe_rows[] = {
    WD_OPT_ENUM(struct wd_profile_transcribe, answer, "plain", answers, "how the answer reads"),
    WD_OPT_STR(struct wd_profile_transcribe, label, NULL, "what begins a labelled line, with {n}"),
    WD_OPT_S(struct wd_profile_transcribe, max_audio_ns, "max_audio_s", "30", 1, 30,
             "longest sound in one prompt"),
    WD_OPT_MS(struct wd_profile_transcribe, late_ns, "late_ms", "0", 0, 1000,
              "attention arrives so much after the sound of a word"),
    WD_OPT_INT(struct wd_profile_transcribe, max_tokens, "400", 1, 1024, "longest answer"),
    WD_OPT_END,
};
static const char *const transcribe_others[] = {"before",  "after", "language",
                                                "carried", "heads", NULL};

static const struct wd_opt carried_rows[] = {
    WD_OPT_INT(struct wd_profile_carried, max_chars, "0", 0, 4096, "characters kept; 0: no bound"),
    WD_OPT_INT(struct wd_profile_carried, max_tokens, "60", 0, 512, "tokens kept; 0: no bound"),
    WD_OPT_INT(struct wd_profile_carried, max_lines, "0", 0, 64, "lines kept; 0: no bound"),
    WD_OPT_BOOL(struct wd_profile_carried, labels, "false", "lines keep their speaker's label"),
    WD_OPT_END,
};
static const char *const carried_others[] = {"line", NULL};

static const char *const language_others[] = {"known", "unknown", NULL};

static const struct wd_opt pictures_rows[] = {
    WD_OPT_INT(struct wd_profile_pictures, wrap_minutes, "0", 0, 100000,
               "{mm} begins again at 00 after so many"),
    WD_OPT_END,
};
static const char *const pictures_others[] = {"first", "next", "after", NULL};

static const struct wd_opt question_rows[] = {
    WD_OPT_ENUM(struct wd_profile_question, answer, "plain", answers, "how the answer reads"),
    WD_OPT_INT(struct wd_profile_question, min_pictures, "1", 1, 64,
               "fewest pictures it is asked about"),
    WD_OPT_INT(struct wd_profile_question, max_pictures, "1", 1, 64,
               "most pictures it is asked about"),
    WD_OPT_INT(struct wd_profile_question, max_tokens, "200", 1, 1024, "longest answer"),
    WD_OPT_STR(struct wd_profile_question, yes, NULL, "token that says yes"),
    WD_OPT_STR(struct wd_profile_question, no, NULL, "token that says no"),
    WD_OPT_END,
};
static const char *const question_others[] = {"question", NULL};

static const struct {
    const char *name;
    enum wd_profile_place place;
} places[] = {
    {"text", WD_PROFILE_TEXT_PLACE},
    {"carried", WD_PROFILE_CARRIED},
    {"language", WD_PROFILE_LANGUAGE},
    {"name", WD_PROFILE_NAME},
    {"mm", WD_PROFILE_MM},
    {"ss", WD_PROFILE_SS},
    {"question", WD_PROFILE_QUESTION},
};
#define N_PLACES (sizeof places / sizeof *places)
#define PLACE(p) (1u << (p))

const char *wd_profile_task_name(enum wd_profile_task t)
{
    static const char *const names[] = {[WD_PROFILE_DESCRIBE] = "describe",
                                        [WD_PROFILE_CHANGES] = "changes",
                                        [WD_PROFILE_YES_NO] = "yes_no",
                                        [WD_PROFILE_ASK] = "ask"};

    return (unsigned)t < WD_PROFILE_N_TASKS ? names[t] : "?";
}

/* ---- templates ---- */

/* Length of the control string that begins here: <bos>, <eos>, <|name>, <name|>, <|name|>; 0: it is
 * a plain '<'. */
static size_t control_length(const char *s)
{
    size_t n = 1;

    if (*s != '<')
        return 0;
    while (n < MAX_CONTROL &&
           (s[n] == '|' || s[n] == '_' || s[n] == '"' || (s[n] >= 'a' && s[n] <= 'z')))
        n++;
    if (s[n] != '>' || n < 3)
        return 0;
    n++;
    if (s[1] == '|' || s[n - 2] == '|' || !strncmp(s, "<bos>", n) || !strncmp(s, "<eos>", n))
        return n;
    return 0;
}

static int add_part(const struct wd_yaml *at, struct wd_profile_template *t,
                    enum wd_profile_part_kind kind, const char *text, size_t len,
                    struct wd_err *err)
{
    char *copy;

    if (t->n == WD_PROFILE_MAX_PARTS)
        return wd_yaml_err(at, err, "%s: more than %d pieces of text, control tokens and {names}",
                           wd_yaml_key(at), WD_PROFILE_MAX_PARTS);
    copy = strndup(text, len);
    if (!copy)
        return wd_err_set(err, -ENOMEM, "out of memory");
    t->parts[t->n++] = (struct wd_profile_part){.kind = kind, .text = copy};
    return 0;
}

/* Length of "{name}" when the name is one that may stand there; <= 0: an error. */
static int read_place(const struct wd_yaml *at, const char *s, unsigned allowed,
                      struct wd_profile_template *t, struct wd_err *err)
{
    char all[128] = "";

    for (size_t i = 0; i < N_PLACES; i++) {
        size_t n = strlen(places[i].name), used = strlen(all);

        if (!(allowed & PLACE(places[i].place)))
            continue;
        if (!strncmp(s + 1, places[i].name, n) && s[n + 1] == '}') {
            int r = add_part(at, t, WD_PROFILE_PLACE, "", 0, err);

            if (r < 0)
                return r;
            t->parts[t->n - 1].place = places[i].place;
            return (int)n + 2;
        }
        snprintf(all + used, sizeof all - used, "%s{%s}", used ? ", " : "", places[i].name);
    }
    return wd_yaml_err(at, err,
                       "%s: '%.20s' is nothing that is put in here; expected %s, or {{ for a brace",
                       wd_yaml_key(at), s, *all ? all : "no {names}");
}

static int read_template(const struct wd_yaml *at, unsigned allowed, struct wd_profile_template *t,
                         struct wd_err *err)
{
    char run[MAX_TEMPLATE + 1]; /* literal text not yet a part */
    size_t n_run = 0, n_control;
    const char *s = wd_yaml_text(at);
    int r = 0;

    if (!s || wd_yaml_is_null(at))
        return wd_yaml_err(at, err, "%s: expected text, got %s", wd_yaml_key(at), wd_yaml_is(at));
    if (strlen(s) > MAX_TEMPLATE)
        return wd_yaml_err(at, err, "%s: expected at most %d bytes", wd_yaml_key(at), MAX_TEMPLATE);
    while (*s && r >= 0) {
        n_control = control_length(s);
        if ((s[0] == '{' || s[0] == '}') && s[1] == s[0]) {
            run[n_run++] = *s;
            s += 2;
            continue;
        }
        if (!n_control && *s != '{') {
            run[n_run++] = *s++;
            continue;
        }
        if (n_run)
            r = add_part(at, t, WD_PROFILE_TEXT, run, n_run, err);
        n_run = 0;
        if (r < 0)
            break;
        if (n_control) {
            r = add_part(at, t, WD_PROFILE_CONTROL, s, n_control, err);
            s += n_control;
        } else {
            r = read_place(at, s, allowed, t, err);
            s += r > 0 ? r : 0;
        }
    }
    if (r >= 0 && n_run)
        r = add_part(at, t, WD_PROFILE_TEXT, run, n_run, err);
    return r < 0 ? r : 0;
}

static void template_done(struct wd_profile_template *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->parts[i].text);
    t->n = 0;
}

/* A template that must be there. */
static int need_template(const struct wd_yaml *map, const char *what, const char *key,
                         unsigned allowed, struct wd_profile_template *t, struct wd_err *err)
{
    const struct wd_yaml *n = wd_yaml_get(map, key);

    if (!n)
        return wd_yaml_err(map, err, "%s needs '%s'", what, key);
    return read_template(n, allowed, t, err);
}

/* ---- sections ---- */

static int read_heads(const struct wd_yaml *list, struct wd_profile_transcribe *t,
                      struct wd_err *err)
{
    const struct wd_opt number = {.name = "heads", .kind = WD_OPT_KIND_INT, .min = 0, .max = 255};

    if (wd_yaml_is_null(list))
        return 0;
    if (wd_yaml_kind(list) != WD_YAML_SEQUENCE)
        return wd_yaml_err(list, err, "heads: expected a list of [layer, head], got %s",
                           wd_yaml_is(list));
    for (const struct wd_yaml *n = wd_yaml_first(list); n; n = wd_yaml_next(n)) {
        const struct wd_yaml *pair[2];

        if (t->n_heads == WD_PROFILE_MAX_HEADS)
            return wd_yaml_err(n, err, "heads: expected at most %d", WD_PROFILE_MAX_HEADS);
        if (wd_yaml_kind(n) != WD_YAML_SEQUENCE || wd_yaml_count(n) != 2)
            return wd_yaml_err(n, err, "heads: expected [layer, head], got %s", wd_yaml_is(n));
        pair[0] = wd_yaml_first(n);
        pair[1] = wd_yaml_next(pair[0]);
        for (int i = 0; i < 2; i++) {
            int64_t v = 0;
            int r = wd_yaml_opt_set(pair[i], &number, &v, err);

            if (r < 0)
                return r;
            t->heads[t->n_heads][i] = (uint16_t)v;
        }
        t->n_heads++;
    }
    return 0;
}

static int read_carried(const struct wd_yaml *map, struct wd_profile_carried *c, struct wd_err *err)
{
    int r = wd_yaml_opt_fill(map, "carried", carried_rows, carried_others, c, err);

    return r < 0
               ? r
               : need_template(map, "carried", "line", PLACE(WD_PROFILE_TEXT_PLACE), &c->line, err);
}

static int read_language(const struct wd_yaml *map, struct wd_profile_transcribe *t,
                         struct wd_err *err)
{
    int r = wd_yaml_opt_fill(map, "language", NULL, language_others, NULL, err);

    if (r == 0)
        r = need_template(map, "language", "known", PLACE(WD_PROFILE_NAME), &t->language_known,
                          err);
    if (r == 0)
        r = need_template(map, "language", "unknown", 0, &t->language_unknown, err);
    return r;
}

static int check_label(const struct wd_yaml *map, const struct wd_profile_transcribe *t,
                       struct wd_err *err)
{
    const struct wd_yaml *at = wd_yaml_get(map, "label");
    const char *n = t->label ? strstr(t->label, "{n}") : NULL;

    if (t->answer != WD_PROFILE_LABELLED && !t->label)
        return 0;
    if (!n || strstr(n + 1, "{n}") || strlen(t->label) > 16)
        return wd_yaml_err(at ? at : map, err,
                           "label: expected a short text with {n} once, as in \"S{n}: \"");
    return 0;
}

static int read_transcribe(const struct wd_yaml *map, struct wd_profile_transcribe *t,
                           struct wd_err *err)
{
    const struct wd_yaml *heads = wd_yaml_get(map, "heads"), *carried = wd_yaml_get(map, "carried"),
                         *language = wd_yaml_get(map, "language");
    int r = wd_yaml_opt_fill(map, "transcribe", transcribe_rows, transcribe_others, t, err);

    if (r == 0)
        r = need_template(map, "transcribe", "before",
                          PLACE(WD_PROFILE_CARRIED) | PLACE(WD_PROFILE_LANGUAGE), &t->before, err);
    if (r == 0)
        r = need_template(map, "transcribe", "after", 0, &t->after, err);
    if (r == 0 && language)
        r = read_language(language, t, err);
    if (r == 0 && carried)
        r = read_carried(carried, &t->carried, err);
    if (r == 0)
        r = check_label(map, t, err);
    if (r == 0 && heads)
        r = read_heads(heads, t, err);
    return r;
}

static int read_pictures(const struct wd_yaml *map, struct wd_profile_pictures *p,
                         struct wd_err *err)
{
    const unsigned time = PLACE(WD_PROFILE_MM) | PLACE(WD_PROFILE_SS);
    int r = wd_yaml_opt_fill(map, "pictures", pictures_rows, pictures_others, p, err);

    if (r == 0)
        r = need_template(map, "pictures", "first", time, &p->first, err);
    if (r == 0)
        r = need_template(map, "pictures", "next", time, &p->next, err);
    if (r == 0)
        r = need_template(map, "pictures", "after", 0, &p->after, err);
    return r;
}

static int read_task(const struct wd_yaml *map, enum wd_profile_task task, struct wd_profile *p,
                     struct wd_err *err)
{
    bool asks = task == WD_PROFILE_YES_NO || task == WD_PROFILE_ASK;
    struct wd_profile_question *q = &p->tasks[task];
    const char *name = wd_profile_task_name(task);
    int r = wd_yaml_opt_fill(map, name, question_rows, question_others, q, err);

    if (r == 0)
        r = need_template(map, name, "question", asks ? PLACE(WD_PROFILE_QUESTION) : 0,
                          &q->question, err);
    if (r < 0)
        return r;
    if (!q->question.n)
        return wd_yaml_err(wd_yaml_get(map, "question"), err, "question: expected text, got none");
    if (!p->pictures.first.n)
        return wd_yaml_key_err(
            map, err, "%s is asked about pictures, and there is no section 'pictures'", name);
    if (q->min_pictures > q->max_pictures)
        return wd_yaml_err(map, err,
                           "%s: expected min_pictures of at most max_pictures (%lld), got %lld",
                           name, (long long)q->max_pictures, (long long)q->min_pictures);
    if (task == WD_PROFILE_YES_NO && (!q->yes || !q->no))
        return wd_yaml_err(map, err, "%s needs 'yes' and 'no': the tokens that are compared", name);
    if (q->answer == WD_PROFILE_LABELLED)
        return wd_yaml_err(map, err, "%s.answer: expected plain or json", name);
    return 0;
}

static int fill(const struct wd_yaml *root, struct wd_profile *p, struct wd_err *err)
{
    const struct wd_yaml *n;
    int r = wd_yaml_opt_fill(root, "the profile", top_rows, top_others, p, err);

    if (r < 0)
        return r;
    n = wd_yaml_get(root, "transcribe");
    if (!n)
        return wd_yaml_err(root, err, "the profile needs 'transcribe'");
    r = read_transcribe(n, &p->transcribe, err);
    n = wd_yaml_get(root, "pictures");
    if (r == 0 && n)
        r = read_pictures(n, &p->pictures, err);
    for (int t = 0; t < WD_PROFILE_N_TASKS && r == 0; t++) {
        n = wd_yaml_get(root, wd_profile_task_name((enum wd_profile_task)t));
        if (n)
            r = read_task(n, (enum wd_profile_task)t, p, err);
    }
    return r;
}

static int defaults(struct wd_profile *p, struct wd_err *err)
{
    int r = wd_opt_defaults(top_rows, p, err);

    if (r == 0)
        r = wd_opt_defaults(transcribe_rows, &p->transcribe, err);
    if (r == 0)
        r = wd_opt_defaults(carried_rows, &p->transcribe.carried, err);
    if (r == 0)
        r = wd_opt_defaults(pictures_rows, &p->pictures, err);
    for (int t = 0; t < WD_PROFILE_N_TASKS && r == 0; t++)
        r = wd_opt_defaults(question_rows, &p->tasks[t], err);
    return r;
}

static int from_tree(struct wd_yaml *root, struct wd_profile **ret, struct wd_err *err)
{
    struct wd_profile *p = calloc(1, sizeof *p);
    int r = -ENOMEM;

    if (p)
        p->path = strdup(wd_yaml_file(root));
    if (!p || !p->path)
        wd_err_set(err, -ENOMEM, "%s: out of memory", wd_yaml_file(root));
    else
        r = defaults(p, err);
    if (r == 0)
        r = fill(root, p, err);
    wd_yaml_free(root);
    if (r < 0) {
        wd_profile_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

int wd_profile_read(const char *path, struct wd_profile **ret, struct wd_err *err)
{
    struct wd_yaml *root;
    int r = wd_yaml_read(path, &root, err);

    return r < 0 ? r : from_tree(root, ret, err);
}

int wd_profile_parse(const char *name, const char *text, size_t len, struct wd_profile **ret,
                     struct wd_err *err)
{
    struct wd_yaml *root;
    int r = wd_yaml_parse(name, text, len, &root, err);

    return r < 0 ? r : from_tree(root, ret, err);
}

struct wd_profile *wd_profile_free(struct wd_profile *p)
{
    if (!p)
        return NULL;
    template_done(&p->transcribe.before);
    template_done(&p->transcribe.after);
    template_done(&p->transcribe.language_known);
    template_done(&p->transcribe.language_unknown);
    template_done(&p->transcribe.carried.line);
    template_done(&p->pictures.first);
    template_done(&p->pictures.next);
    template_done(&p->pictures.after);
    for (int t = 0; t < WD_PROFILE_N_TASKS; t++) {
        template_done(&p->tasks[t].question);
        wd_opt_done(question_rows, &p->tasks[t]);
    }
    wd_opt_done(transcribe_rows, &p->transcribe);
    wd_opt_done(top_rows, p);
    free(p->path);
    free(p);
    return NULL;
}

/* ---- which profile a model has ---- */

static bool any_pattern(const struct wd_profile *p, const char *name)
{
    for (size_t i = 0; i < p->match.n; i++)
        if (!fnmatch(p->match.items[i], name, FNM_CASEFOLD))
            return true;
    return false;
}

bool wd_profile_matches(const struct wd_profile *p, const char *model_name, const char *file_name)
{
    char name[NAME_MAX + 1];
    const char *slash;
    char *dot;
    size_t n;

    if (model_name && *model_name && any_pattern(p, model_name))
        return true;
    if (!file_name)
        return false;
    n = strlen(file_name);
    while (n > 1 && file_name[n - 1] == '/') /* a folder may be written with its slash */
        n--;
    slash = memrchr(file_name, '/', n);
    if (slash) {
        n -= (size_t)(slash + 1 - file_name);
        file_name = slash + 1;
    }
    if (n == 0 || n > NAME_MAX)
        return false;
    memcpy(name, file_name, n);
    name[n] = '\0';
    if (any_pattern(p, name))
        return true;
    dot = strrchr(name, '.');
    if (dot)
        *dot = '\0';
    return dot && any_pattern(p, name);
}

static int is_profile(const struct dirent *d)
{
    size_t n = strlen(d->d_name), m = sizeof SUFFIX - 1;

    return n > m && d->d_name[0] != '.' && !strcmp(d->d_name + n - m, SUFFIX);
}

/* Looks through one folder: 1 and *ret where one matches; otherwise keeps the first fallback seen
 * in *fallback. */
static int look_in(const char *folder, const char *model_name, const char *file_name,
                   struct wd_profile **ret, struct wd_profile **fallback, struct wd_err *err)
{
    struct dirent **files = NULL;
    int n = scandir(folder, &files, is_profile, alphasort), r = 0;

    if (n < 0)
        return 0; /* no such folder: there are others */
    if (n > MAX_FILES)
        r = wd_err_set(err, -E2BIG, "%s: expected at most %d *%s files, got %d", folder, MAX_FILES,
                       SUFFIX, n);
    for (int i = 0; i < n && r == 0; i++) {
        struct wd_profile *p = NULL;
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s/%s", folder, files[i]->d_name);

        if (len < 0 || (size_t)len >= sizeof path)
            continue;
        r = wd_profile_read(path, &p, err);
        if (r < 0)
            break;
        if (wd_profile_matches(p, model_name, file_name)) {
            *ret = p;
            r = 1;
        } else if (p->fallback && !*fallback) {
            *fallback = p;
        } else {
            wd_profile_free(p);
        }
    }
    for (int i = 0; i < n; i++)
        free(files[i]);
    free(files);
    return r;
}

int wd_profile_find(const char *model_name, const char *file_name, const char *override,
                    struct wd_profile **ret, struct wd_err *err)
{
    const char *env = getenv("WITNESSD_DATADIR");
    struct wd_profile *fallback = NULL;
    char folders[2][PATH_MAX] = {"", PKGDATADIR "/models"};
    int r = 0;

    if (override)
        return wd_profile_read(override, ret, err);
    if (env && *env && strlen(env) < PATH_MAX - 16)
        snprintf(folders[0], sizeof folders[0], "%s/models", env);
    for (int i = 0; i < 2 && r == 0; i++)
        if (*folders[i])
            r = look_in(folders[i], model_name, file_name, ret, &fallback, err);
    if (r == 0 && fallback) {
        *ret = fallback;
        return 0;
    }
    wd_profile_free(fallback);
    if (r == 0)
        return wd_err_set(err, -ENOENT, "no *%s for the model '%.60s' in %s%s%s", SUFFIX,
                          model_name ? model_name : "", folders[0], *folders[0] ? " or " : "",
                          folders[1]);
    return r < 0 ? r : 0;
}
