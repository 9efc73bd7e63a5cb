/* SPDX-License-Identifier: Apache-2.0 */
/* comparison_table.c - precisions of a model side by side: a table, and with --stats a JSON object. */
#include "modes.h"

#include <cjson/cJSON.h>

static void print_head(const vj_compared_on *on) {
    char what[128];
    if (on->what[0] == 'p')
        snprintf(what, sizeof what, "%lld picture%s", (long long)on->images, on->images == 1 ? "" : "s");
    else if (on->what[0] == 'g')
        snprintf(what, sizeof what, "the inputs given");
    else
        snprintf(what, sizeof what, "%lld images of seeded noise, as neither pictures nor --input are given",
                 (long long)on->images);
    printf("time of a batch of %lld on %d thread%s, %d rounds in turn; accuracy beside f32 on %s\n",
           (long long)on->batch, (int)on->threads, on->threads == 1 ? "" : "s", (int)on->rounds, what);
    printf("%-10s %10s %10s %7s %11s %10s %11s %10s %7s\n", "precision", "median ms", "min ms", "ratio", "weights MB",
           "arena MB", "cosine", "max diff", "top-1 %");
}

static void print_row(const vj_compared *row) {
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", row->name, row->weight_format ? "+" : "",
             row->weight_format ? row->weight_format : "");
    printf("%-10s %10.3f %10.3f %7.2f %11.2f %10.2f", name, row->timing.median_ms, row->timing.min_ms, row->ratio,
           (double)row->weights_bytes * 1e-6, (double)row->arena_bytes * 1e-6);
    if (row->judged)
        printf(" %11.8f %10.3g", row->cosine, row->max_abs);
    else
        printf(" %11s %10s", "-", "-");
    if (row->top1_rows)
        printf(" %7.1f\n", 100 * (double)row->top1_same / (double)row->top1_rows);
    else
        printf(" %7s\n", "-");
}

static cJSON *row_json(const vj_compared *row) {
    cJSON *json = vj_stats_json(&row->stats, &row->timing);
    cJSON_AddNumberToObject(json, "ratio", row->ratio);
    cJSON_AddNumberToObject(json, "run_arena_bytes", (double)row->arena_bytes);
    if (row->judged) {
        cJSON_AddNumberToObject(json, "cosine", row->cosine);
        cJSON_AddNumberToObject(json, "max_abs", row->max_abs);
    }
    if (row->top1_rows) {
        cJSON_AddNumberToObject(json, "top1_same", (double)row->top1_same);
        cJSON_AddNumberToObject(json, "top1_rows", (double)row->top1_rows);
    }
    return json;
}

vj_status vj_print_compared(const vj_command *command, const vj_compared_on *on, const vj_compared *rows,
                            int32_t count) {
    print_head(on);
    for (int32_t i = 0; i < count; i++)
        print_row(&rows[i]);
    if (!command->stats) return VJ_OK;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "inputs", on->what);
    cJSON_AddNumberToObject(json, "images", (double)on->images);
    cJSON_AddNumberToObject(json, "batch", (double)on->batch);
    cJSON_AddNumberToObject(json, "threads", on->threads);
    cJSON_AddNumberToObject(json, "rounds", on->rounds);
    cJSON_AddNumberToObject(json, "peak_rss_bytes", vj_peak_rss_bytes());
    cJSON *list = cJSON_AddArrayToObject(json, "precisions");
    for (int32_t i = 0; list && i < count; i++)
        cJSON_AddItemToArray(list, row_json(&rows[i]));
    return vj_deliver_json(command, json);
}
