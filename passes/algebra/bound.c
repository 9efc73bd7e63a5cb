/* bound.c - sizes that the data decides become their bounds, so that all passes behind work with numbers.
 *
 * The function is made anew. Values have room for the most there can be; what lies behind the true size is anything,
 * infinities and NaN included, and is masked wherever it could reach what lies inside (bound_nodes.c). The sizes stay
 * as i64 scalars. An output with such dims is dense: its true elements are its first ones; one more output, an
 * i64[rank], holds its true dims (vj_func.output_dims). */
#include "bound.h"

#include <string.h>

vj_value vj_bounds_fail(vj_bounding *b, const char *why) {
    const vj_node *node = b->node;
    const char *name = vj_op_table(node->op)->name;
    if (node->origin)
        vj_fail(b->c->error, VJ_UNSUPPORTED, "node '%s' (%s, opset %d): %s", vj_node_label(b->f, node),
                node->origin->op ? node->origin->op : name, node->origin->opset, why);
    else
        vj_fail(b->c->error, VJ_UNSUPPORTED, "node '%s' (%s): %s", vj_node_label(b->f, node), name, why);
    return VJ_NONE;
}

vj_value vj_bounds_emit(vj_bounding *b, vj_op op, const vj_value *args, int32_t count, const vj_attr *attrs,
                        int32_t attr_count) {
    vj_error why = {0};
    if (!vj_bounds_going(b)) return VJ_NONE;
    vj_value v = vj_add_node(b->g, op, args, count, attrs, attr_count, b->node ? b->node->origin : NULL, &why);
    return v >= 0 ? v : vj_bounds_fail(b, why.text);
}

vj_value vj_bounds_emit2(vj_bounding *b, vj_op op, vj_value x, vj_value y) {
    return vj_bounds_emit(b, op, (vj_value[]){x, y}, 2, NULL, 0);
}

vj_value vj_bounds_integer(vj_bounding *b, int64_t number) { return vj_add_const_i64(b->g, VJ_I64, 0, NULL, &number); }

vj_value vj_bounds_number(vj_bounding *b, vj_dtype dtype, double x) {
    const int64_t i = vj_dtype_is_float(dtype) ? 0 : (int64_t)x;
    return vj_dtype_is_float(dtype) ? vj_add_const_f64(b->g, dtype, 0, NULL, &x)
                                    : vj_add_const_i64(b->g, dtype, 0, NULL, &i);
}

vj_value vj_bounds_reshape(vj_bounding *b, vj_value x, int32_t rank, const int64_t *dims) {
    vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, rank);
    return vj_bounds_emit(b, VJ_OP_reshape, &x, 1, &attr, 1);
}

vj_value vj_bounds_cast(vj_bounding *b, vj_value x, vj_dtype to) {
    vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return vj_bounds_emit(b, VJ_OP_cast, &x, 1, &attr, 1);
}

vj_value vj_bounds_iota(vj_bounding *b, int64_t count, int32_t axis, int32_t rank) {
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? count : 1;
    const vj_type type = vj_type_of(VJ_I64, rank, dims);
    return vj_add_const(b->g, NULL, &type, &(vj_const){.kind = VJ_CONST_IOTA});
}

int64_t vj_bounds_of(const vj_bounding *b, vj_dim dim) {
    int64_t bound = 0;
    return vj_dim_bound(b->f, dim, &bound) ? bound : 0; /* inference has seen it fit */
}

vj_value vj_bounds_size(vj_bounding *b, vj_dim dim) {
    if (!vj_bounds_going(b)) return VJ_NONE;
    if (!vj_is_data_dim(dim)) return vj_bounds_integer(b, dim.c);
    const vj_value size = b->to[b->f->symbols[dim.sym - VJ_SYM_FIRST_DATA].value];
    return dim.c == 1 ? size : vj_bounds_emit2(b, VJ_OP_mul, size, vj_bounds_integer(b, dim.c));
}

vj_value vj_bounds_dims(vj_bounding *b, const vj_type *type) {
    vj_value parts[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++)
        parts[i] = vj_bounds_reshape(b, vj_bounds_size(b, type->dims[i]), 1, (int64_t[]){1});
    vj_attr attr = vj_int(VJ_ATTR_AXIS, 0);
    return vj_bounds_emit(b, VJ_OP_concat, parts, type->rank, &attr, 1);
}

vj_value vj_bounds_mask(vj_bounding *b, vj_value x, const vj_type *type, uint32_t axes, vj_value fill) {
    for (int32_t i = 0; i < type->rank; i++) {
        if (!(axes >> i & 1) || !vj_is_data_dim(type->dims[i])) continue;
        vj_value inside = vj_bounds_emit2(b, VJ_OP_lt, vj_bounds_iota(b, vj_bounds_of(b, type->dims[i]), i, type->rank),
                                          vj_bounds_size(b, type->dims[i]));
        x = vj_bounds_emit(b, VJ_OP_select, (vj_value[]){inside, x, fill}, 3, NULL, 0);
    }
    return x;
}

bool vj_bounds_is_dense(const vj_type *type) {
    bool is_first = true;
    for (int32_t i = 0; i < type->rank; i++) {
        if (vj_is_data_dim(type->dims[i]) && !is_first) return false;
        if (!vj_dim_equal(type->dims[i], vj_dim_const(1))) is_first = false;
    }
    return true;
}

static int64_t elements(const vj_bounding *b, const vj_type *type) {
    int64_t count = 0;
    return vj_type_elements(b->f, type, &count) ? count : 0;
}

vj_value vj_bounds_pack(vj_bounding *b, vj_value x, const vj_type *type) {
    if (vj_bounds_is_dense(type)) return vj_bounds_reshape(b, x, 1, (int64_t[]){elements(b, type)});
    return vj_bounds_emit2(b, VJ_OP_pack, x, vj_bounds_dims(b, type));
}

vj_value vj_bounds_unpack(vj_bounding *b, vj_value list, const vj_type *type) {
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++)
        dims[i] = vj_bounds_of(b, type->dims[i]);
    if (vj_bounds_is_dense(type)) return vj_bounds_reshape(b, list, type->rank, dims);
    vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, type->rank);
    return vj_bounds_emit(b, VJ_OP_unpack, (vj_value[]){list, vj_bounds_dims(b, type)}, 2, &attr, 1);
}

/* The walk */

static bool move_node(vj_bounding *b) {
    const vj_node *node = b->node;
    const vj_value first = node->first_result;
    vj_value v;
    if (node->op == VJ_OP_param) {
        v = vj_add_param(b->g, b->f->values[first].name, vj_type_at(b->f, first));
        if (vj_type_has_data_dims(vj_type_at(b->f, first))) vj_bounds_fail(b, "an input's size has no bound");
    } else if (node->op == VJ_OP_const) {
        v = vj_add_const(b->g, NULL, vj_type_at(b->f, first), vj_attr_find(node, VJ_ATTR_CONSTANT)->as.constant);
    } else {
        v = vj_bounds_node(b);
    }
    for (int32_t r = 0; r < node->result_count && vj_bounds_going(b); r++) {
        b->to[first + r] = v + r;
        if (!b->g->values[v + r].name) b->g->values[v + r].name = b->f->values[first + r].name;
    }
    return vj_bounds_going(b);
}

static bool is_output_name(const vj_func *f, const char *name) {
    for (int32_t i = 0; i < f->output_count; i++)
        if (strcmp(f->output_names[i], name) == 0) return true;
    return false;
}

/* The outputs stand as they did; behind them the dims of those that have dims of the data's. */
static void move_outputs(vj_bounding *b) {
    const vj_func *f = b->f;
    int32_t last = f->output_count;
    vj_value *dims = VJ_NEW_ARRAY(b->c->arena, vj_value, f->output_count);
    int32_t *at = VJ_NEW_ARRAY(b->g->arena, int32_t, 2 * f->output_count);
    for (int32_t i = 0; i < f->output_count && vj_bounds_going(b); i++) {
        const vj_type *type = vj_type_at(f, f->outputs[i]);
        vj_value y = b->to[f->outputs[i]];
        b->node = vj_producer(f, f->outputs[i]);
        dims[i] = vj_type_has_data_dims(type) ? vj_bounds_dims(b, type) : VJ_NONE;
        if (dims[i] >= 0 && !vj_bounds_is_dense(type)) {
            int64_t bounds[VJ_MAX_RANK];
            for (int32_t d = 0; d < type->rank; d++)
                bounds[d] = vj_bounds_of(b, type->dims[d]);
            y = vj_bounds_reshape(b, vj_bounds_pack(b, y, type), type->rank, bounds);
        }
        if (vj_bounds_going(b)) vj_add_output(b->g, f->output_names[i], y);
    }
    for (int32_t i = 0; i < 2 * f->output_count; i++)
        at[i] = -1;
    for (int32_t i = 0; i < f->output_count && vj_bounds_going(b); i++) {
        if (dims[i] < 0) continue;
        const char *name = vj_sprintf(b->g->arena, "%s.dims", f->output_names[i]);
        while (is_output_name(b->g, name))
            name = vj_sprintf(b->g->arena, "%s_", name);
        vj_add_output(b->g, name, dims[i]);
        at[i] = last++;
    }
    b->g->output_dims = at;
}

static bool has_data_dims(const vj_func *f) {
    for (vj_value v = 0; v < f->value_count; v++)
        if (!f->nodes[f->values[v].node].dead && vj_type_has_data_dims(vj_type_at(f, v))) return true;
    return false;
}

vj_status vj_pass_bound(vj_pass_context *c) {
    vj_func *f = c->f;
    if (f->symbol_count == 0) return VJ_OK;
    vj_compact(f);
    if (has_data_dims(f) && f->batch_is_open) {
        vj_fail(c->error, VJ_UNSUPPORTED, "sizes that the data decides need a fixed batch");
        vj_hint(c->error, "fix the batch: --batch 1");
        return c->error->status;
    }
    if (!vj_may_rewrite(c, "bounds", NULL)) return VJ_OK;
    vj_bounding b = {.c = c, .f = f, .g = vj_func_new(f->arena, f->name)};
    b.to = VJ_NEW_ARRAY(c->arena, vj_value, f->value_count);
    for (int32_t n = 0; n < f->node_count; n++) {
        b.node = &f->nodes[n];
        if (!move_node(&b)) return c->error->status;
    }
    move_outputs(&b);
    if (!vj_bounds_going(&b)) return c->error->status;
    b.g->required = f->required;
    *f = *b.g;
    vj_compact(f);
    return VJ_OK;
}
