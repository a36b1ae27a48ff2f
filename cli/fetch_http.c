/* cli/fetch_http.c - HTTP for fetch.c: what a server says of a file, and pieces of it on several connections. */
#include "cli/fetch_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_REDIRECTS 10
#define MAX_WAIT_S 60

/* What the headers of one answer say. */
struct answer {
    bool has_range, has_length, range_any;
    uint64_t from, to, total, length;
    char etag[WD_FETCH_TAG], modified[WD_FETCH_TAG];
    char sha256[WD_CHECKSUM_TEXT]; /* kept across redirects: the last host may not know */
};

struct slot {
    struct wd_http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct answer answer;
    bool active, checked, probing;
    const struct wd_http_about *about;
    uint64_t from, to, got;
    enum wd_http_outcome refusal; /* valid when refused */
    bool refused;
    struct wd_err why;
    char curl_text[CURL_ERROR_SIZE];
};

struct wd_http {
    const char *url;
    CURLM *multi;
    const volatile sig_atomic_t *stop;
    wd_http_take take;
    void *arg;
    int taken; /* the first negative result of take */
    unsigned n, stall_s;
    struct slot slots[WD_HTTP_MAX_SLOTS];
};

/* ---- headers ---- */

static bool header(const char *line, size_t len, const char *name, const char **ret_value, size_t *ret_len)
{
    size_t n = strlen(name);

    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    line += n + 1;
    len -= n + 1;
    while (len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len && (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' '))
        len--;
    *ret_value = line;
    *ret_len = len;
    return true;
}

static bool number(const char **text, const char *end, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = *text;

    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (v > (UINT64_MAX >> 1) / 10)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (p == *text)
        return false;
    *text = p;
    *ret = v;
    return true;
}

/* "bytes 0-99/1234" */
static bool content_range(const char *v, size_t len, struct answer *a)
{
    const char *end = v + len;

    if (len < 6 || strncasecmp(v, "bytes ", 6) != 0)
        return false;
    v += 6;
    return number(&v, end, &a->from) && v < end && *v++ == '-' && number(&v, end, &a->to) && v < end && *v++ == '/' &&
           number(&v, end, &a->total) && v == end && a->from <= a->to && a->to < a->total;
}

/* Kept only when it can stand in a line of the state file and in a request. */
static void keep(char to[WD_FETCH_TAG], const char *v, size_t len)
{
    if (len == 0 || len >= WD_FETCH_TAG)
        return;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)v[i] < 0x20 || (unsigned char)v[i] > 0x7e)
            return;
    memcpy(to, v, len);
    to[len] = '\0';
}

/* A hash may be an ETag, in quotes. */
static void hash_of_tag(const char *v, size_t len, char sha[WD_CHECKSUM_TEXT])
{
    if (len == 66 && v[0] == '"' && v[65] == '"')
        wd_checksum_parse(v + 1, 64, sha);
    else
        wd_checksum_parse(v, len, sha);
}

/* "sha-256=:BASE64:" of Repr-Digest, "sha-256=BASE64" of Digest */
static void hash_of_digest(const char *v, size_t len, char sha[WD_CHECKSUM_TEXT])
{
    for (size_t i = 0; i + 8 <= len; i++) {
        size_t at = i + 8;

        if (strncasecmp(v + i, "sha-256=", 8) != 0)
            continue;
        if (at < len && v[at] == ':')
            at++;
        if (at + 44 <= len)
            wd_checksum_parse_base64(v + at, 44, sha);
        return;
    }
}

static size_t on_header(char *line, size_t one, size_t len, void *arg)
{
    struct slot *s = arg;
    struct answer *a = &s->answer;
    const char *v, *end;
    size_t n;

    (void)one;
    if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        char sha[WD_CHECKSUM_TEXT];

        memcpy(sha, a->sha256, sizeof sha);
        *a = (struct answer){0};
        memcpy(a->sha256, sha, sizeof sha);
    } else if (header(line, len, "Content-Range", &v, &n)) {
        a->range_any = true;
        a->has_range = content_range(v, n, a);
    } else if (header(line, len, "Content-Length", &v, &n)) {
        end = v + n;
        a->has_length = number(&v, end, &a->length) && v == end;
    } else if (header(line, len, "ETag", &v, &n)) {
        keep(a->etag, v, n);
        hash_of_tag(v, n, a->sha256);
    } else if (header(line, len, "X-Linked-ETag", &v, &n)) {
        hash_of_tag(v, n, a->sha256);
    } else if (header(line, len, "Last-Modified", &v, &n)) {
        keep(a->modified, v, n);
    } else if (header(line, len, "Repr-Digest", &v, &n) || header(line, len, "Digest", &v, &n)) {
        hash_of_digest(v, n, a->sha256);
    }
    return len;
}

/* ---- bodies ---- */

static size_t refuse(struct slot *s, enum wd_http_outcome outcome)
{
    s->refused = true;
    s->refusal = outcome;
    return 0;
}

static const char *tag_of(const struct answer *a)
{
    return a->etag[0] == '"' ? a->etag : a->modified; /* W/"..." is weak: it says nothing of bytes */
}

static enum wd_http_outcome status_means(struct slot *s, long status)
{
    int code = status == 404 || status == 410   ? -ENOENT
               : status == 401 || status == 403 ? -EACCES
               : status >= 500 || status == 429 ? -ECONNREFUSED
               : status == 408                  ? -ETIMEDOUT
                                                : -EBADMSG;

    wd_err_set(&s->why, code, "the server answered %ld%s", status,
               code == -ENOENT   ? ": there is no such file"
               : code == -EACCES ? ": it wants a permission that witness does not have"
                                 : "");
    return status == 408 || status == 429 || status >= 500 ? WD_HTTP_AGAIN : WD_HTTP_FAILED;
}

/* Is what begins to come what was asked for? */
static bool check(struct slot *s)
{
    const struct answer *a = &s->answer;
    long status = 0;

    s->checked = true;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (s->probing)
        return status == 200 || status == 206;
    if (status == 416) {
        wd_err_set(&s->why, -EBADMSG, "the server has no bytes %" PRIu64 " to %" PRIu64 " of a file that it said is longer", s->from, s->to);
        return refuse(s, WD_HTTP_CHANGED);
    }
    if (status != 200 && status != 206)
        return refuse(s, status_means(s, status));
    if (s->about->tag[0] && tag_of(a)[0] && strcmp(tag_of(a), s->about->tag) != 0) {
        wd_err_set(&s->why, -ESTALE, "the file changed on the server");
        return refuse(s, WD_HTTP_CHANGED);
    }
    if (s->to == WD_HTTP_TO_END) {
        if (status == 200)
            return true;
        wd_err_set(&s->why, -EBADMSG, "the server sent a part of the file, and the whole was asked for");
        return refuse(s, WD_HTTP_FAILED);
    }
    if (status == 200) {
        /* Either the file is another one now, or this server knows ranges at times only. */
        wd_err_set(&s->why, -ESTALE, "the server sent the whole file, and a part was asked for");
        return refuse(s, WD_HTTP_NO_RANGES);
    }
    if (!a->has_range || a->from != s->from || a->to > s->to || (s->about->size_known && a->total != s->about->size)) {
        wd_err_set(&s->why, -EBADMSG, "the server was asked for bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64 " and sent %" PRIu64 " to %" PRIu64 " of %" PRIu64,
                   s->from, s->to, s->about->size, a->from, a->to, a->total);
        return refuse(s, a->has_range && a->total != s->about->size ? WD_HTTP_CHANGED : WD_HTTP_FAILED);
    }
    return true;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct slot *s = arg;
    int r;

    (void)one;
    if (!s->checked && !check(s))
        return 0;
    if (s->probing)
        return 0; /* the headers were wanted */
    if (s->to != WD_HTTP_TO_END && n > s->to - s->from + 1 - s->got) {
        wd_err_set(&s->why, -EBADMSG, "the server sent more than it was asked for");
        return refuse(s, WD_HTTP_FAILED);
    }
    r = s->http->take(s->http->arg, (unsigned)(s - s->http->slots), bytes, n);
    if (r < 0) {
        s->http->taken = r;
        return refuse(s, WD_HTTP_FAILED);
    }
    s->got += n;
    return n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct wd_http *h = arg;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return h->stop && *h->stop;
}

/* ---- connections ---- */

int wd_http_new(const char *url, unsigned n_slots, unsigned stall_s, const volatile sig_atomic_t *stop, wd_http_take take, void *arg,
                struct wd_http **ret, struct wd_err *err)
{
    struct wd_http *h = calloc(1, sizeof *h);
    bool secure = strncasecmp(url, "https://", 8) == 0;

    if (!h || n_slots < 1 || n_slots > WD_HTTP_MAX_SLOTS || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return wd_err_set(err, -ENOMEM, "%s: out of memory", url);
    }
    h->url = url;
    h->stop = stop;
    h->take = take;
    h->arg = arg;
    h->n = n_slots;
    h->stall_s = stall_s;
    h->multi = curl_multi_init();
    for (unsigned i = 0; h->multi && i < n_slots; i++) {
        struct slot *s = &h->slots[i];
        CURL *e = s->easy = curl_easy_init();

        s->http = h;
        if (!e)
            break;
        curl_easy_setopt(e, CURLOPT_URL, url);
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
        /* Never from a protected connection to an open one. */
        curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
        curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)stall_s);
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
        curl_easy_setopt(e, CURLOPT_USERAGENT, "witness/" PACKAGE_VERSION);
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->curl_text);
        curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(e, CURLOPT_HEADERDATA, s);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
        curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(e, CURLOPT_XFERINFODATA, h);
        curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(e, CURLOPT_PRIVATE, s);
    }
    if (!h->multi || !h->slots[n_slots - 1].easy) {
        wd_http_free(h);
        return wd_err_set(err, -ENOMEM, "%s: out of memory", url);
    }
    *ret = h;
    return 0;
}

static void end_slot(struct slot *s)
{
    if (s->active)
        curl_multi_remove_handle(s->http->multi, s->easy);
    s->active = false;
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(s->headers);
    s->headers = NULL;
}

void wd_http_drop(struct wd_http *h)
{
    for (unsigned i = 0; i < h->n; i++)
        if (h->slots[i].easy)
            end_slot(&h->slots[i]);
}

struct wd_http *wd_http_free(struct wd_http *h)
{
    if (!h)
        return NULL;
    wd_http_drop(h);
    for (unsigned i = 0; i < h->n; i++)
        curl_easy_cleanup(h->slots[i].easy);
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
    free(h);
    return NULL;
}

static void set_up(struct slot *s, bool probing, const struct wd_http_about *about, uint64_t from, uint64_t to)
{
    s->answer = (struct answer){0};
    s->checked = s->refused = false;
    s->probing = probing;
    s->about = about;
    s->from = from;
    s->to = to;
    s->got = 0;
    s->why = (struct wd_err){0};
    s->curl_text[0] = '\0';
}

static enum wd_http_outcome failed(const struct wd_http *h, const struct slot *s, CURLcode result, struct wd_err *err)
{
    const char *text = s->curl_text[0] ? s->curl_text : curl_easy_strerror(result);
    int code = -ECONNRESET;

    if (h->stop && *h->stop) {
        wd_err_set(err, -ECANCELED, "stopped");
        return WD_HTTP_FAILED;
    }
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        wd_err_set(err, -ETIMEDOUT, "nothing came for %u s", h->stall_s);
        return WD_HTTP_AGAIN;
    case CURLE_PARTIAL_FILE:
        wd_err_set(err, -ECONNRESET, "the server sent less than it announced");
        return WD_HTTP_AGAIN;
    case CURLE_COULDNT_CONNECT:
        code = -ECONNREFUSED;
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        code = -EHOSTUNREACH;
        break;
    case CURLE_OUT_OF_MEMORY:
        wd_err_set(err, -ENOMEM, "out of memory");
        return WD_HTTP_FAILED;
    case CURLE_TOO_MANY_REDIRECTS:
        wd_err_set(err, -ELOOP, "it was sent on more than %d times", MAX_REDIRECTS);
        return WD_HTTP_FAILED;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_WEIRD_SERVER_REPLY:
        wd_err_set(err, -EINVAL, "%s", text);
        return WD_HTTP_FAILED;
    default:
        break;
    }
    wd_err_set(err, code, "%s", text);
    return WD_HTTP_AGAIN;
}

enum wd_http_outcome wd_http_probe(struct wd_http *h, struct wd_http_about *ret, struct wd_err *err)
{
    struct slot *s = &h->slots[0];
    const struct answer *a = &s->answer;
    CURLcode result;
    long status = 0;

    set_up(s, true, NULL, 0, 0);
    curl_easy_setopt(s->easy, CURLOPT_RANGE, "0-0");
    result = curl_easy_perform(s->easy);
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    /* The body was refused after its first byte: that is no failure. An empty body is none either. */
    if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && s->checked))
        return failed(h, s, result, err);
    if (status == 416 && a->range_any) {
        wd_err_set(err, -EBADMSG, "the file is empty on the server");
        return WD_HTTP_FAILED;
    }
    if (status != 200 && status != 206) {
        enum wd_http_outcome o = status_means(s, status);

        *err = s->why;
        return o;
    }
    if (status == 206 && (!a->has_range || a->from != 0)) {
        wd_err_set(err, -EBADMSG, "the server's answer to a request for a part makes no sense");
        return WD_HTTP_FAILED;
    }
    *ret = (struct wd_http_about){.ranges = status == 206, .size_known = status == 206 || a->has_length,
                                  .size = status == 206 ? a->total : a->length};
    memcpy(ret->tag, tag_of(a), sizeof ret->tag);
    memcpy(ret->sha256, a->sha256, sizeof ret->sha256);
    if (ret->size_known && ret->size == 0) {
        wd_err_set(err, -EBADMSG, "the file is empty on the server");
        return WD_HTTP_FAILED;
    }
    return WD_HTTP_OK;
}

int wd_http_begin(struct wd_http *h, unsigned slot, const struct wd_http_about *about, uint64_t from, uint64_t to, struct wd_err *err)
{
    struct slot *s = &h->slots[slot];
    char range[64], line[WD_FETCH_TAG + 16];

    set_up(s, false, about, from, to);
    if (to == WD_HTTP_TO_END) {
        curl_easy_setopt(s->easy, CURLOPT_RANGE, NULL);
    } else {
        snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, from, to);
        curl_easy_setopt(s->easy, CURLOPT_RANGE, range);
        if (about->tag[0]) {
            snprintf(line, sizeof line, "If-Range: %s", about->tag);
            s->headers = curl_slist_append(NULL, line);
            curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
        }
    }
    if (curl_multi_add_handle(h->multi, s->easy) != CURLM_OK)
        return wd_err_set(err, -ENOMEM, "out of memory");
    s->active = true;
    return 0;
}

static enum wd_http_outcome outcome_of(struct wd_http *h, struct slot *s, CURLcode result, struct wd_err *err)
{
    if (!s->refused && !s->checked && (result == CURLE_OK || result == CURLE_PARTIAL_FILE))
        check(s); /* an answer without a body */
    if (s->refused) {
        if (h->taken >= 0) /* otherwise the taker has said why */
            *err = s->why;
        return s->refusal;
    }
    if (result != CURLE_OK)
        return failed(h, s, result, err);
    if (s->to != WD_HTTP_TO_END && s->got < s->to - s->from + 1) {
        wd_err_set(err, -ECONNRESET, "the server sent less than it was asked for");
        return WD_HTTP_AGAIN;
    }
    return WD_HTTP_OK;
}

bool wd_http_wait(struct wd_http *h, int timeout_ms, unsigned *ret_slot, enum wd_http_outcome *ret_outcome, unsigned *ret_wait_s,
                  struct wd_err *err)
{
    int running, left;
    CURLMsg *m;

    curl_multi_perform(h->multi, &running);
    m = curl_multi_info_read(h->multi, &left);
    if (!m && timeout_ms > 0) {
        curl_multi_poll(h->multi, NULL, 0, timeout_ms, NULL);
        curl_multi_perform(h->multi, &running);
        m = curl_multi_info_read(h->multi, &left);
    }
    if (!m || m->msg != CURLMSG_DONE)
        return false;
    for (unsigned i = 0; i < h->n; i++) {
        struct slot *s = &h->slots[i];
        curl_off_t wait = 0;

        if (s->easy != m->easy_handle)
            continue;
        *ret_slot = i;
        *ret_outcome = outcome_of(h, s, m->data.result, err);
        curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &wait);
        *ret_wait_s = wait < 0 ? 0 : wait > MAX_WAIT_S ? MAX_WAIT_S : (unsigned)wait;
        end_slot(s);
        return true;
    }
    return false;
}
