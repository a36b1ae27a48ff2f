/* base/log.h - lines for the operator: a level, a text; for a terminal or the journal. Any thread. */
#pragma once

enum wd_log_level { WD_LOG_ERROR = 3, WD_LOG_WARNING = 4, WD_LOG_NOTICE = 5, WD_LOG_INFO = 6, WD_LOG_DEBUG = 7 };

/* Lines above `level` are dropped (default WD_LOG_NOTICE). With `journal`, each line starts with "<level>", the prefix that
 * systemd reads from a service's stderr (sd-daemon(3)). Call before threads start. */
void wd_log_init(enum wd_log_level level, int journal);
enum wd_log_level wd_log_level(void);

/* One line to stderr. Control characters in it become '?'. Never blocks on anything but stderr itself. */
void wd_log(enum wd_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define wd_error(...) wd_log(WD_LOG_ERROR, __VA_ARGS__)
#define wd_warning(...) wd_log(WD_LOG_WARNING, __VA_ARGS__)
#define wd_notice(...) wd_log(WD_LOG_NOTICE, __VA_ARGS__)
#define wd_info(...) wd_log(WD_LOG_INFO, __VA_ARGS__)
#define wd_debug(...) wd_log(WD_LOG_DEBUG, __VA_ARGS__)
