/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - what recognition found, as counts and reasons. */
#include "passes.h"

#include <assert.h>
#include <string.h>

vj_report_row *vj_report_row_of(vj_report *report, const char *what) {
    for (int32_t i = 0; i < report->row_count; i++)
        if (strcmp(report->rows[i].what, what) == 0) return &report->rows[i];
    assert(report->row_count < VJ_REPORT_ROWS);
    vj_report_row *row = &report->rows[report->row_count++];
    row->what = what;
    return row;
}

void vj_report_seen(vj_report *report, const char *what) { vj_report_row_of(report, what)->seen++; }

void vj_report_fused(vj_report *report, const char *what) { vj_report_row_of(report, what)->fused++; }

void vj_report_reason(vj_report *report, const char *what, const char *format, ...) {
    vj_report_row *row = vj_report_row_of(report, what);
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *VJ_PUSH(report->arena, row->reasons, row->reason_count, row->reason_capacity) = vj_strdup(report->arena, text);
}
