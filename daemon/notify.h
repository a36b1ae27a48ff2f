/* daemon/notify.h - tells systemd what the service is doing: sd_notify(3)'s datagrams, no library. Without systemd nothing happens. */
#pragma once

/* state: "READY=1", "STOPPING=1", "STATUS=...". Never blocks. */
void wd_notify(const char *state);
