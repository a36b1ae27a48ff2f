/* man/options.c - prints every key of the configuration: what witnessd.yaml(5) is made from. */
#include "daemon/config.h"

int main(void)
{
    wd_config_document(stdout);
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
