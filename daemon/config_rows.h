/* daemon/config_rows.h - the rows of the configuration's sections, between config.c, which holds
 * them, and config_read.c. */
#pragma once
#include "base/opt.h"

extern const struct wd_opt wd_config_model_rows[], wd_config_stream_rows[], wd_config_window_rows[],
    wd_config_activity_rows[], wd_config_scenes_rows[], wd_config_sink_rows[];
