/* What becomes of a job that has no locks, paused or claimed from the store, when another one writes to its
 * devices: what it has done is done no longer, and that is stored before the other's first write. See
 * lasting.h. */
#include <string.h>

#include "copy/job.h"

static bool take_back(struct store_mark_end *end, uint64_t length_bytes)
{
        if (end->told || ledger_sum(&end->ledger, LEDGER_UNTOUCHED) == length_bytes)
                return false;
        ledger_done(&end->ledger);
        ledger_init(&end->ledger, length_bytes);
        end->doubt_bytes = UINT64_MAX;
        return true;
}

/* Whichever part of a device it is: regions by the devices' own numbers are not known after a restart. With
 * another source nothing is the same as it any more. Returns whether anything was taken back. */
static bool overwrites(const struct job *writer, struct lasting *lasting, bool *ret_concerned)
{
        struct store_mark *mark = lasting->mark;
        bool changed = false;

        *ret_concerned = false;
        for (unsigned i = 0; i < writer->spec->n_to; i++) {
                const char *key = device_key(writer->ends[1 + i].device);
                bool source = strcmp(mark->ends[0].identity, key) == 0;

                if (key[0] == '\0')
                        continue;
                for (unsigned d = 0; d < mark->n_to; d++) {
                        struct store_mark_end *end = &mark->ends[1 + d];

                        if (!source && strcmp(end->identity, key) != 0)
                                continue;
                        *ret_concerned = true;
                        changed |= take_back(end, mark->length_bytes);
                }
        }
        if (changed)
                lasting->best_bytes = 0;
        return changed;
}

bool lasting_overwrites(struct job *writer)
{
        bool waits = false, concerned;

        kc_list_for_each (pos, &writer->engine->unlocked) {
                struct lasting *lasting = kc_list_entry(pos, struct lasting, unlocked_node);

                if (lasting->job == writer || !lasting->mark)
                        continue;
                if (overwrites(writer, lasting, &concerned) && lasting->journal)
                        journal_mark(lasting->journal);
                waits |= concerned && lasting->journal && journal_marking(lasting->journal);
        }
        if (waits)
                kc_list_move(&writer->engine->overwriters, &writer->overwriter_node);
        else
                kc_list_del(&writer->overwriter_node);
        return waits;
}

/* Those that wait no longer begin; one that begins may end others. */
void lasting_overwriters_go_on(struct engine *engine)
{
        struct kc_list waiting, *node;

        kc_list_init(&waiting);
        kc_list_splice(&waiting, &engine->overwriters);
        while ((node = kc_list_pop(&waiting))) {
                struct job *job = kc_list_entry(node, struct job, overwriter_node);

                if (!lasting_overwrites(job))
                        job_start(job);
        }
}
