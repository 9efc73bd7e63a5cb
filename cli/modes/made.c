/* SPDX-License-Identifier: Apache-2.0 */
/* made.c - inputs beside the picture's that follow from where the pictures lie, or from what is asked of the model:
 *
 * pixel_mask          [N,h,w]  1 where the picture lies in the input
 * orig_target_sizes   [N,2]    the picture's width and height, in which a detector that places its own boxes (RT-DETR, D-FINE, DEIM)
 *                              gives them; the input's where that is not the picture as a whole
 * task_inputs         [N,L]    OneFormer's task, as the numbers that CLIP's tokens have, and zeros behind them */
#include "modes.h"

#include <string.h>

static void put(vj_array *a, int64_t i, int64_t value) {
    switch (a->dtype) {
    case VJ_F32:
        ((float *)a->data)[i] = (float)value;
        break;
    case VJ_I32:
        ((int32_t *)a->data)[i] = (int32_t)value;
        break;
    case VJ_I64:
        ((int64_t *)a->data)[i] = value;
        break;
    default: /* a byte */
        ((uint8_t *)a->data)[i] = (uint8_t)value;
    }
}

static bool is_inside(int64_t at, int64_t size, int32_t input, double scale, double shift, int32_t picture) {
    const double x = ((double)at + 0.5) * input / (double)size;
    return x > shift && x < shift + picture * scale;
}

/* Of whatever size: 1 where the middle of the place lies in the picture. Behind the pictures all are 1, so that no row of attention
 * is empty. */
static void fill_mask(vj_array *mask, const vj_loader *l, vj_task task) {
    const int64_t height = mask->dims[1], width = mask->dims[2];
    (void)task;
    for (int64_t n = 0; n < l->filled; n++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) {
                const vj_placement *p = &l->placements[n];
                if (is_inside(y, height, p->input_height, p->scale_y, p->shift_y, p->height) &&
                    is_inside(x, width, p->input_width, p->scale_x, p->shift_x, p->width))
                    put(mask, (n * height + y) * width + x, 1);
            }
    for (int64_t i = l->filled * height * width; i < vj_array_elements(mask); i++)
        put(mask, i, 1);
}

static void fill_sizes(vj_array *sizes, const vj_loader *l, vj_task task) {
    (void)task;
    for (int64_t n = 0; n < sizes->dims[0]; n++) {
        const bool whole = n < l->filled && vj_is_whole(&l->placements[n]);
        put(sizes, 2 * n, whole ? l->placements[n].width : l->shape.width);
        put(sizes, 2 * n + 1, whole ? l->placements[n].height : l->shape.height);
    }
}

static void fill_task(vj_array *tokens, const vj_loader *l, vj_task task) {
    int32_t count;
    const int32_t *words = vj_task_tokens(task, &count);
    (void)l;
    for (int64_t n = 0; n < tokens->dims[0]; n++)
        for (int32_t i = 0; i < count; i++)
            put(tokens, n * tokens->dims[1] + i, words[i]);
}

/* A row an input that is made; `last` is its last dim, or the least that it may be. */
static const struct made {
    const char *name, *form;
    int32_t rank;
    int64_t last, most;
    bool bytes; /* may be */
    void (*fill)(vj_array *to, const vj_loader *l, vj_task task);
} table[] = {
    {"pixel_mask", "a mask [N,H,W]", 3, 1, INT32_MAX, true, fill_mask},
    {"orig_target_sizes", "two numbers a picture, [N,2]", 2, 2, 2, false, fill_sizes},
    {"task_inputs", "a row of tokens, [N,L] with L of 7 or more", 2, VJ_TASK_TOKENS, 1 << 16, false, fill_task},
};

static const struct made *find(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

bool vj_is_made(const char *name) { return find(name) != NULL; }

static bool has_form(const struct made *m, const vj_tensor_info *t) {
    if (t->rank != m->rank || t->dims[t->rank - 1] < m->last || t->dims[t->rank - 1] > m->most) return false;
    for (int32_t d = 1; d < t->rank; d++)
        if (t->dims[d] < 1) return false;
    return t->dtype == VJ_F32 || t->dtype == VJ_I32 || t->dtype == VJ_I64 ||
           (m->bytes && vj_dtype_bytes((vj_dtype)t->dtype) == 1);
}

vj_status vj_make_input(const vj_command *command, const vj_tensor_info *t, const vj_loader *l, int64_t rows,
                        vj_task task, vj_array *to) {
    const struct made *m = find(t->name);
    if (!m || !has_form(m, t))
        return vj_print_error(VJ_UNSUPPORTED, command->model, "its input '%s' is not %s", t->name,
                              m ? m->form : "made");
    *to = (vj_array){.name = strdup(t->name), .dtype = (vj_dtype)t->dtype, .rank = t->rank};
    memcpy(to->dims, t->dims, sizeof to->dims);
    to->dims[0] = rows;
    if (!to->name || !vj_array_alloc(to))
        return vj_print_error(VJ_SYSTEM, command->model, "no memory for '%s'", t->name);
    m->fill(to, l, task);
    return VJ_OK;
}
