/*
 * The serial scheduler: of the actors that may be ready it takes the one nearest to the sink, among
 * equals the one with the oldest packet; sources come last because nothing is farther from a sink.
 * A bit per actor says "look at it": edges set it when something changed.
 */
#include "workflow/exec/exec.h"

void wf_wake(nnd_run *run, const wf_actor *a)
{
    if (a->slot != WF_NONE) run->hints[a->slot / 64] |= UINT64_C(1) << (a->slot % 64);
}

static uint32_t next_hint(const nnd_run *run, uint32_t from)
{
    uint32_t count = run->plan->live_count;
    while (from < count) {
        uint64_t word = run->hints[from / 64] >> (from % 64);
        if (word) {
            while (!(word & 1)) {
                word >>= 1;
                from++;
            }
            return from < count ? from : WF_NONE;
        }
        from = (from / 64 + 1) * 64;
    }
    return WF_NONE;
}

wf_actor *wf_serial_next(nnd_run *run, bool with_sources)
{
    wf_actor *best = NULL, *source = NULL;
    int64_t best_key = 0, source_key = 0;
    for (uint32_t slot = next_hint(run, 0); slot != WF_NONE; slot = next_hint(run, slot + 1)) {
        wf_actor *a = &run->actors[run->plan->by_rank[slot]];
        if (best && a->plan->rank != best->plan->rank) break;
        bool is_source = (a->plan->flags & NND_NODE_SOURCE) != 0;
        if (is_source && !with_sources) continue; /* the hint stays for later */
        int64_t key = 0;
        if (!wf_actor_ready(a, &key)) {
            run->hints[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
        } else if (is_source) {
            if (!source || key < source_key) {
                source = a;
                source_key = key;
            }
        } else if (!best || key < best_key) {
            best = a;
            best_key = key;
        }
    }
    return best ? best : source;
}
