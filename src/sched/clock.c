/* The two clocks. */
#include "nndeploy/sched.h"
#include "port/port.h"

int64_t nnd_clock_now(void)
{
    return nnd_port_now();
}

int64_t nnd_clock_wall(void)
{
    return nnd_port_wall_now();
}
