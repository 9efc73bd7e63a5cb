/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - rows of arena buffers, and the list of buffers that are in use.
 *
 * A tile reads as many rows as it is high, and their lines fall into few sets of the first-level cache when the rows'
 * distance has a large power of two. So rows take an odd number of 64-byte lines. */
#include "passes/lower/lower.h"

enum { LINE = 64, SHORT_ROW = 8 * LINE }; /* bytes */

int64_t vj_padded_row(int64_t row, vj_dtype dtype) {
    const int64_t line = LINE / vj_element_bytes(dtype);
    if (row * vj_element_bytes(dtype) < SHORT_ROW) return row;
    return (vj_ceil_div(row, line) | 1) * line;
}

/* Drops buffers that no kernel touches, and their weights; weights stand in the order of their first use, so that a run
 * reads the packed file from front to back. */
vj_status vj_pass_layout(vj_pass_context *c) {
    vj_program *p = c->p;
    int32_t *renamed = VJ_NEW_ARRAY(c->arena, int32_t, p->buffer_count + 1);
    vj_buffer *buffers = VJ_NEW_ARRAY(p->arena, vj_buffer, p->buffer_count + 1);
    vj_weight *weights = VJ_NEW_ARRAY(p->arena, vj_weight, p->weight_count + 1);
    int32_t count = 0, weight_count = 0;
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const bool is_argument = p->buffers[i].kind == VJ_BUFFER_INPUT || p->buffers[i].kind == VJ_BUFFER_OUTPUT;
        renamed[i] = is_argument ? count : -1;
        if (is_argument) buffers[count++] = p->buffers[i];
    }
    for (int32_t n = 0; n < p->kernel_count; n++)
        for (int32_t a = 0; a < p->kernels[n]->access_count; a++) {
            int32_t *buffer = &p->kernels[n]->access[a].buffer;
            if (renamed[*buffer] < 0) {
                renamed[*buffer] = count;
                buffers[count] = p->buffers[*buffer];
                if (buffers[count].kind == VJ_BUFFER_WEIGHT) {
                    weights[weight_count] = p->weights[buffers[count].index];
                    buffers[count].index = weight_count++;
                }
                count++;
            }
            *buffer = renamed[*buffer];
        }
    c->rewrites += p->buffer_count - count;
    p->buffers = buffers;
    p->buffer_count = count;
    p->buffer_capacity = count;
    p->weights = weights;
    p->weight_count = weight_count;
    p->weight_capacity = weight_count;
    return VJ_OK;
}
