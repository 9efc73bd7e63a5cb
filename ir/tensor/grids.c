/* SPDX-License-Identifier: Apache-2.0 */
/* grids.c - reads the grids of an attention. */
#include "grids.h"

int32_t vj_read_grids(const vj_func *f, const vj_node *attention, vj_grid grids[VJ_MOST_GRIDS], vj_error *error) {
    const vj_value v = attention->arg_count > VJ_GRIDS_OPERAND ? attention->args[VJ_GRIDS_OPERAND] : VJ_NONE;
    double number[VJ_MOST_GRIDS * VJ_GRID_NUMBERS];
    if (v < 0) return 0;
    const int32_t count = (int32_t)vj_type_at(f, v)->dims[0].c;
    if (!vj_is_const(f, v) || !vj_const_read_f64(f, v, 0, count * VJ_GRID_NUMBERS, number, error)) return -1;
    for (int32_t i = 0; i < count; i++)
        grids[i] = vj_grid_of(number + i * VJ_GRID_NUMBERS);
    return count;
}
