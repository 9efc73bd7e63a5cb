/* SPDX-License-Identifier: Apache-2.0 */
/* data.c - evaluates ops that find a size, and pack and unpack, with the definitions in ir/routines. A routine writes
 * to buffers for the most elements that there can be; those that it found become the result. */
#include "eval.h"
#include "ir/routines/routines.h"

#include <string.h>

static bool too_many(vj_eval_context *c) {
    vj_fail(c->error, VJ_BAD_INPUT, "%s: more is found than there is room for", vj_op_table(c->node->op)->name);
    return false;
}

static int64_t elements_of(const vj_tensor *t) { return t ? t->count : 0; }

/* Allocates the routine's buffer number `array` with `count` integers. */
static int64_t *room(vj_eval_context *c, vj_routine_run *run, int32_t array, int64_t count) {
    run->array[array] = (vj_host_array){VJ_I64, NULL, VJ_NEW_ARRAY(c->arena, int64_t, count + 1)};
    return run->array[array].i;
}

static void lend(vj_routine_run *run, int32_t array, const vj_tensor *t) {
    run->array[array] = (vj_host_array){t->type.dtype, t->f, t->i};
}

/* Makes a number an operand: an i64 of rank 0. */
static void lend_number(vj_eval_context *c, vj_routine_run *run, int32_t array, int64_t number) {
    room(c, run, array, 1)[0] = number;
}

/* Copies the first `found` elements of each row of `from`, whose rows are `most` long. The result has rows of `found`
 * elements, or of its own static size, which must be enough. */
static bool take(vj_eval_context *c, int32_t result, const int64_t *from, int64_t rows, int64_t most, int64_t found) {
    vj_tensor *t = vj_eval_make(c, result, found);
    if (!t) return false;
    const int64_t width = rows ? t->count / rows : 0;
    if (width < found) return too_many(c);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < found; i++)
            t->i[r * width + i] = from[r * most + i];
    return true;
}

static void put_dims(int64_t *param, const vj_tensor *x) {
    for (int32_t d = 0; d < VJ_MAX_RANK; d++)
        param[d] = d < x->type.rank ? vj_tensor_dim(x, d) : 1;
}

bool vj_eval_nonzero(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int64_t rank = x->type.rank, most = vj_max64(1, x->count);
    int64_t param[2 + VJ_MAX_RANK] = {rank, most};
    vj_routine_run run = {.param = param, .arena = c->arena};
    put_dims(param + 2, x);
    lend(&run, 0, x);
    const int64_t *places = room(c, &run, 1, rank * most);
    lend(&run, 2, c->results[1]);
    vj_routine_evaluate(VJ_ROUTINE_nonzero, &run);
    return take(c, 0, places, rank, most, c->results[1]->i[0]);
}

bool vj_eval_unique(vj_eval_context *c) {
    const vj_tensor *x = c->args[0], *count = vj_arg(c, 1);
    const int64_t rows = vj_tensor_dim(x, 0), most = vj_max64(1, rows);
    const int64_t param[] = {rows, vj_tensor_dim(x, 1), most, vj_attr_int(c->node, VJ_ATTR_SORTED, 0)};
    vj_routine_run run = {.param = param, .arena = c->arena};
    lend(&run, 0, x);
    lend_number(c, &run, 1, count ? count->i[0] : rows);
    const int64_t *place = room(c, &run, 2, most);
    lend(&run, 3, c->results[1]);
    const int64_t *many = room(c, &run, 4, most);
    lend(&run, 5, c->results[3]);
    vj_routine_evaluate(VJ_ROUTINE_unique, &run);
    return take(c, 0, place, 1, most, c->results[3]->i[0]) && take(c, 2, many, 1, most, c->results[3]->i[0]);
}

bool vj_eval_nms(vj_eval_context *c) {
    const vj_tensor *scores = c->args[1], *least = vj_arg(c, 4), *count = vj_arg(c, 5);
    const int64_t most = vj_max64(1, elements_of(scores));
    const int64_t param[] = {vj_tensor_dim(scores, 0),
                             vj_tensor_dim(scores, 1),
                             vj_tensor_dim(scores, 2),
                             most,
                             vj_attr_int(c->node, VJ_ATTR_CENTER, 0),
                             least != NULL};
    vj_routine_run run = {.param = param, .arena = c->arena};
    for (int32_t i = 0; i < 4; i++)
        lend(&run, i, c->args[i]);
    lend(&run, 4, least ? least : c->args[3]);
    lend_number(c, &run, 5, count ? count->i[0] : vj_tensor_dim(scores, 2));
    const int64_t *chosen = room(c, &run, 6, 3 * most);
    lend(&run, 7, c->results[1]);
    vj_routine_evaluate(VJ_ROUTINE_nms, &run);
    const int64_t found = c->results[1]->i[0];
    vj_tensor *y = vj_eval_make(c, 0, found);
    if (!y) return false;
    if (vj_tensor_dim(y, 0) < found) return too_many(c);
    if (found) memcpy(y->i, chosen, (size_t)found * 3 * sizeof *chosen);
    return true;
}

bool vj_eval_pack(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    int64_t param[1 + VJ_MAX_RANK] = {x->type.rank};
    vj_routine_run run = {.param = param, .arena = c->arena};
    put_dims(param + 1, x);
    lend(&run, 0, x);
    lend(&run, 1, c->args[1]);
    lend(&run, 2, c->results[0]);
    vj_routine_evaluate(VJ_ROUTINE_pack, &run);
    return true;
}

bool vj_eval_unpack(vj_eval_context *c) {
    const vj_tensor *y = c->results[0];
    int64_t param[2 + VJ_MAX_RANK] = {c->args[0]->count, y->type.rank};
    vj_routine_run run = {.param = param, .arena = c->arena};
    put_dims(param + 2, y);
    lend(&run, 0, c->args[0]);
    lend(&run, 1, c->args[1]);
    lend(&run, 2, y);
    vj_routine_evaluate(VJ_ROUTINE_unpack, &run);
    return true;
}
