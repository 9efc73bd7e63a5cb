/* SPDX-License-Identifier: Apache-2.0 */
/* mutate.c - changes ONNX models. The message is unpacked, gets one to three meaningful changes (attributes, dims,
 * types, names, operands, the order of nodes, numbers in initializers), and is packed. Now and then bytes are changed
 * too. */
#include "mutate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mutate_blocks.h"
#include "onnx.pb-c.h"

typedef struct mutation {
    rng *r;
    vj_arena *arena;
    Onnx__ModelProto *m;
    Onnx__GraphProto *g;
    vj_text what;
} mutation;

static void note(mutation *m, const char *format, ...) {
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vj_text_add(&m->what, "%s; ", text);
}

static int64_t strange_int(rng *r) {
    static const int64_t ints[] = {0,
                                   -1,
                                   1,
                                   2,
                                   -2,
                                   3,
                                   -3,
                                   4,
                                   7,
                                   8,
                                   9,
                                   16,
                                   255,
                                   256,
                                   1000,
                                   65536,
                                   -65536,
                                   INT32_MAX,
                                   INT32_MIN,
                                   INT64_MAX,
                                   INT64_MIN,
                                   INT64_C(1) << 31,
                                   INT64_C(1) << 32,
                                   INT64_C(1) << 40,
                                   INT64_C(1) << 61,
                                   INT64_C(1) << 62,
                                   -(INT64_C(1) << 62)};
    return chance(r, 50) ? pick(r, 9) - 2 : ints[pick(r, (int32_t)(sizeof ints / sizeof *ints))];
}

static float strange_float(rng *r) {
    static const float floats[] = {0, -0.0f, 1, -1, NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 1e-30f, 0.5f, 1e9f, 3};
    return floats[pick(r, (int32_t)(sizeof floats / sizeof *floats))];
}

static char *copied(mutation *m, const char *text) { return vj_strdup(m->arena, text ? text : ""); }

/* The name of a random value of the graph. */
static char *some_name(mutation *m) {
    const Onnx__GraphProto *g = m->g;
    const int32_t kind = pick(m->r, 10);
    if (kind == 0) return copied(m, "");
    if (kind == 1) return copied(m, "nobody");
    if (kind < 4 && g->n_input) return copied(m, g->input[pick(m->r, (int32_t)g->n_input)]->name);
    if (kind < 6 && g->n_initializer) return copied(m, g->initializer[pick(m->r, (int32_t)g->n_initializer)]->name);
    if (g->n_node == 0) return copied(m, "x");
    const Onnx__NodeProto *node = g->node[pick(m->r, (int32_t)g->n_node)];
    if (node->n_output && chance(m->r, 60)) return copied(m, node->output[pick(m->r, (int32_t)node->n_output)]);
    return node->n_input ? copied(m, node->input[pick(m->r, (int32_t)node->n_input)]) : copied(m, "y");
}

static Onnx__NodeProto *some_node(mutation *m) {
    return m->g->n_node ? m->g->node[pick(m->r, (int32_t)m->g->n_node)] : NULL;
}

/* A copy of an array of pointers or numbers with one element more (at the end, to be filled), or one less. */
static void *longer(mutation *m, const void *array, size_t *count, size_t element) {
    void *out = vj_alloc(m->arena, (*count + 1) * element);
    if (*count) memcpy(out, array, *count * element);
    ++*count;
    return out;
}

static void remove_at(void *array, size_t *count, size_t element, int32_t at) {
    uint8_t *bytes = array;
    memmove(bytes + (size_t)at * element, bytes + ((size_t)at + 1) * element, (*count - (size_t)at - 1) * element);
    --*count;
}

/* Attributes */

static void change_ints(mutation *m, Onnx__AttributeProto *a) {
    const int32_t kind = pick(m->r, 4);
    if (kind == 0 || a->n_ints == 0) {
        a->ints = longer(m, a->ints, &a->n_ints, sizeof *a->ints);
        a->ints[a->n_ints - 1] = strange_int(m->r);
    } else if (kind == 1) {
        remove_at(a->ints, &a->n_ints, sizeof *a->ints, pick(m->r, (int32_t)a->n_ints));
    } else if (kind == 2 && a->n_ints > 1) {
        a->ints[pick(m->r, (int32_t)a->n_ints)] = a->ints[pick(m->r, (int32_t)a->n_ints)];
    } else {
        a->ints[pick(m->r, (int32_t)a->n_ints)] = strange_int(m->r);
    }
}

static void change_text(mutation *m, Onnx__AttributeProto *a) {
    static const char *const words[] = {
        "",         "SAME_UPPER", "SAME_LOWER", "VALID",       "reflect",       "edge",
        "wrap",     "cubic",      "linear",     "nearest",     "ij,jk->ik",     "...ii->i",
        "ij,->",    "->",         "a,b,c->",    "ab->ba",      "align_corners", "tf_crop_and_resize",
        "add",      "max",        "tanh",       "none",        "CRD",           "not_larger",
        "nonsense", "ii->i",      "i...->...",  "...,...->..."};
    const char *word = words[pick(m->r, (int32_t)(sizeof words / sizeof *words))];
    a->s.data = (uint8_t *)copied(m, word);
    a->s.len = strlen(word);
    a->has_s = true;
}

static void change_tensor(mutation *m, Onnx__TensorProto *t);

static void change_attribute(mutation *m, Onnx__NodeProto *node) {
    if (node->n_attribute == 0) return;
    const int32_t at = pick(m->r, (int32_t)node->n_attribute);
    Onnx__AttributeProto *a = node->attribute[at];
    note(m, "attribute %s of %s", a->name, node->op_type);
    const int32_t kind = pick(m->r, 12);
    if (kind == 0) {
        remove_at(node->attribute, &node->n_attribute, sizeof *node->attribute, at);
    } else if (kind == 1) {
        a->type = pick(m->r, 12);
        a->has_type = true;
    } else if (kind == 2) {
        node->attribute = longer(m, node->attribute, &node->n_attribute, sizeof *node->attribute);
        node->attribute[node->n_attribute - 1] = a;
    } else if (a->t) {
        change_tensor(m, a->t);
    } else if (a->n_ints || a->type == 7) {
        change_ints(m, a);
    } else if (a->has_s) {
        change_text(m, a);
    } else if (a->has_f) {
        a->f = strange_float(m->r);
    } else {
        a->i = strange_int(m->r);
        a->has_i = true;
    }
}

/* Adds an attribute that the node does not have yet. */
static void add_attribute(mutation *m, Onnx__NodeProto *node) {
    static const char *const ints[] = {"axis",
                                       "keepdims",
                                       "group",
                                       "num_groups",
                                       "num_heads",
                                       "q_num_heads",
                                       "kv_num_heads",
                                       "blocksize",
                                       "num_outputs",
                                       "batch_dims",
                                       "allowzero",
                                       "to",
                                       "ceil_mode",
                                       "is_causal",
                                       "largest",
                                       "upper",
                                       "fmod",
                                       "select_last_index",
                                       "k",
                                       "noop_with_empty_axes",
                                       "count_include_pad",
                                       "antialias",
                                       "exclude_outside",
                                       "block_size",
                                       "bits"};
    static const char *const lists[] = {"axes",  "strides",      "dilations",      "pads",   "kernel_shape", "perm",
                                        "split", "output_shape", "output_padding", "starts", "ends"};
    Onnx__AttributeProto *a = VJ_NEW(m->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    const bool list = chance(m->r, 40);
    a->name = copied(m, list ? lists[pick(m->r, 11)] : ints[pick(m->r, (int32_t)(sizeof ints / sizeof *ints))]);
    a->has_type = true;
    a->type = list ? 7 : 2;
    for (int32_t n = pick(m->r, 5); list && n >= 0; n--)
        change_ints(m, a);
    a->has_i = !list;
    a->i = strange_int(m->r);
    note(m, "new attribute %s of %s", a->name, node->op_type);
    node->attribute = longer(m, node->attribute, &node->n_attribute, sizeof *node->attribute);
    node->attribute[node->n_attribute - 1] = a;
}

/* Nodes */

static void change_operand(mutation *m, Onnx__NodeProto *node) {
    const int32_t kind = pick(m->r, 5);
    note(m, "operand of %s", node->op_type);
    if (kind == 0 || node->n_input == 0) {
        node->input = longer(m, node->input, &node->n_input, sizeof *node->input);
        node->input[node->n_input - 1] = some_name(m);
    } else if (kind == 1) {
        remove_at(node->input, &node->n_input, sizeof *node->input, pick(m->r, (int32_t)node->n_input));
    } else if (kind == 2 && node->n_input > 1) {
        char **a = &node->input[pick(m->r, (int32_t)node->n_input)],
             **b = &node->input[pick(m->r, (int32_t)node->n_input)];
        char *swap = *a;
        *a = *b;
        *b = swap;
    } else {
        node->input[pick(m->r, (int32_t)node->n_input)] = some_name(m);
    }
}

static void change_result(mutation *m, Onnx__NodeProto *node) {
    note(m, "result of %s", node->op_type);
    if (node->n_output && chance(m->r, 30)) {
        remove_at(node->output, &node->n_output, sizeof *node->output, pick(m->r, (int32_t)node->n_output));
    } else if (node->n_output && chance(m->r, 50)) {
        node->output[pick(m->r, (int32_t)node->n_output)] = some_name(m);
    } else {
        node->output = longer(m, node->output, &node->n_output, sizeof *node->output);
        node->output[node->n_output - 1] = some_name(m);
    }
}

static void change_op(mutation *m, Onnx__NodeProto *node) {
    static const char *const ops[] = {"Add",
                                      "Relu",
                                      "Reshape",
                                      "Transpose",
                                      "Gather",
                                      "GatherND",
                                      "GatherElements",
                                      "ScatterND",
                                      "ScatterElements",
                                      "Slice",
                                      "Split",
                                      "Concat",
                                      "Pad",
                                      "Tile",
                                      "Expand",
                                      "Squeeze",
                                      "Unsqueeze",
                                      "Flatten",
                                      "ReduceSum",
                                      "ReduceMax",
                                      "Softmax",
                                      "LogSoftmax",
                                      "LayerNormalization",
                                      "BatchNormalization",
                                      "InstanceNormalization",
                                      "GroupNormalization",
                                      "Conv",
                                      "MaxPool",
                                      "AveragePool",
                                      "GlobalAveragePool",
                                      "MatMul",
                                      "Gemm",
                                      "Einsum",
                                      "TopK",
                                      "ArgMax",
                                      "CumSum",
                                      "Resize",
                                      "DepthToSpace",
                                      "SpaceToDepth",
                                      "Trilu",
                                      "Range",
                                      "ConstantOfShape",
                                      "Shape",
                                      "Size",
                                      "Cast",
                                      "Where",
                                      "Clip",
                                      "Pow",
                                      "Mod",
                                      "Div",
                                      "Equal",
                                      "Attention",
                                      "RMSNormalization",
                                      "OneHot",
                                      "NonZero",
                                      "NonMaxSuppression",
                                      "ConvTranspose",
                                      "Max",
                                      "Not",
                                      "And",
                                      "Gelu",
                                      "Identity",
                                      "RoiAlign",
                                      "Erf",
                                      "DequantizeLinear",
                                      "QuantizeLinear"};
    const char *op = ops[pick(m->r, (int32_t)(sizeof ops / sizeof *ops))];
    note(m, "%s becomes %s", node->op_type, op);
    node->op_type = copied(m, op);
    if (chance(m->r, 50)) node->n_attribute = 0;
}

static void change_order(mutation *m) {
    Onnx__GraphProto *g = m->g;
    if (g->n_node == 0) return;
    const int32_t a = pick(m->r, (int32_t)g->n_node), b = pick(m->r, (int32_t)g->n_node);
    note(m, "order of nodes");
    if (chance(m->r, 40)) {
        remove_at(g->node, &g->n_node, sizeof *g->node, a);
    } else if (chance(m->r, 30)) {
        g->node = longer(m, g->node, &g->n_node, sizeof *g->node);
        g->node[g->n_node - 1] = g->node[a];
    } else {
        Onnx__NodeProto *swap = g->node[a];
        g->node[a] = g->node[b];
        g->node[b] = swap;
    }
}

/* Tensors and types */

static void change_dims(mutation *m, int64_t **dims, size_t *count) {
    const int32_t kind = pick(m->r, 4);
    if (kind == 0 || *count == 0) {
        *dims = longer(m, *dims, count, sizeof **dims);
        (*dims)[*count - 1] = chance(m->r, 50) ? 1 : strange_int(m->r);
    } else if (kind == 1) {
        remove_at(*dims, count, sizeof **dims, pick(m->r, (int32_t)*count));
    } else {
        (*dims)[pick(m->r, (int32_t)*count)] = strange_int(m->r);
    }
}

static void change_elements(mutation *m, Onnx__TensorProto *t) {
    const int64_t number = strange_int(m->r);
    const float f = strange_float(m->r);
    if (t->n_int64_data) t->int64_data[pick(m->r, (int32_t)t->n_int64_data)] = number;
    if (t->n_int32_data) t->int32_data[pick(m->r, (int32_t)t->n_int32_data)] = (int32_t)number;
    if (t->n_float_data) t->float_data[pick(m->r, (int32_t)t->n_float_data)] = f;
    if (t->data_type == 7 && t->raw_data.len >= 8)
        memcpy(t->raw_data.data + 8 * (size_t)pick(m->r, (int32_t)(t->raw_data.len / 8)), &number, 8);
    else if (t->raw_data.len >= 4 && t->data_type == 1)
        memcpy(t->raw_data.data + 4 * (size_t)pick(m->r, (int32_t)(t->raw_data.len / 4)), &f, 4);
    else if (t->raw_data.len)
        t->raw_data.data[pick(m->r, (int32_t)t->raw_data.len)] = (uint8_t)number;
}

static void change_external_data(mutation *m, Onnx__TensorProto *t) {
    static const char *const keys[] = {"location", "offset", "length", "checksum"};
    static const char *const values[] = {"../secret", "/etc/passwd",          "w.bin", "",
                                         "-1",        "99999999999999999999", "0",     "8"};
    for (int32_t i = 0; i < 3; i++) {
        Onnx__StringStringEntryProto *e = VJ_NEW(m->arena, Onnx__StringStringEntryProto);
        onnx__string_string_entry_proto__init(e);
        e->key = copied(m, keys[chance(m->r, 80) ? i : pick(m->r, 4)]);
        e->value = copied(m, values[pick(m->r, 8)]);
        t->external_data = longer(m, t->external_data, &t->n_external_data, sizeof *t->external_data);
        t->external_data[t->n_external_data - 1] = e;
    }
    t->has_data_location = true;
    t->data_location = 1;
}

static void change_tensor(mutation *m, Onnx__TensorProto *t) {
    note(m, "tensor %s", t->name ? t->name : "");
    const int32_t kind = pick(m->r, 12);
    if (kind < 3) {
        change_dims(m, &t->dims, &t->n_dims);
    } else if (kind == 3) {
        t->data_type = pick(m->r, 24);
        t->has_data_type = true;
    } else if (kind == 4 && t->raw_data.len) {
        t->raw_data.len -= (size_t)pick(m->r, (int32_t)(t->raw_data.len < 9 ? t->raw_data.len : 9));
    } else if (kind == 5) {
        change_external_data(m, t);
    } else {
        change_elements(m, t);
    }
}

static void change_type(mutation *m, Onnx__ValueInfoProto *info) {
    Onnx__TensorTypeProto *t = info->type ? info->type->tensor_type : NULL;
    note(m, "type of %s", info->name);
    if (!t || chance(m->r, 5)) {
        info->type = NULL;
    } else if (chance(m->r, 25)) {
        t->elem_type = pick(m->r, 24);
        t->has_elem_type = true;
    } else if (!t->shape || chance(m->r, 5)) {
        t->shape = NULL;
    } else if (t->shape->n_dim && chance(m->r, 70)) {
        Onnx__Dimension *d = t->shape->dim[pick(m->r, (int32_t)t->shape->n_dim)];
        d->dim_value = strange_int(m->r);
        d->has_dim_value = true;
        d->dim_param = chance(m->r, 20) ? copied(m, "n") : NULL;
    } else if (t->shape->n_dim && chance(m->r, 50)) {
        remove_at(t->shape->dim, &t->shape->n_dim, sizeof *t->shape->dim, pick(m->r, (int32_t)t->shape->n_dim));
    } else {
        Onnx__Dimension *d = VJ_NEW(m->arena, Onnx__Dimension);
        onnx__dimension__init(d);
        d->has_dim_value = true;
        d->dim_value = strange_int(m->r);
        t->shape->dim = longer(m, t->shape->dim, &t->shape->n_dim, sizeof *t->shape->dim);
        t->shape->dim[t->shape->n_dim - 1] = d;
    }
}

static void change_once(mutation *m) {
    Onnx__NodeProto *node = some_node(m);
    Onnx__GraphProto *g = m->g;
    if (node && chance(m->r, 40) && change_blocks(m->r, m->arena, g, node)) {
        note(m, "blocks of %s", node->op_type);
        return;
    }
    switch (pick(m->r, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (node) change_attribute(m, node);
        break;
    case 4:
    case 5:
        if (node) add_attribute(m, node);
        break;
    case 6:
    case 7:
        if (node) change_operand(m, node);
        break;
    case 8:
        if (node) change_result(m, node);
        break;
    case 9:
    case 10:
        if (node) change_op(m, node);
        break;
    case 11:
        change_order(m);
        break;
    case 12:
        if (m->m->n_opset_import)
            m->m->opset_import[0]->version = chance(m->r, 90) ? 6 + pick(m->r, 22) : strange_int(m->r);
        note(m, "opset");
        break;
    case 13:
    case 14:
        if (g->n_input) change_type(m, g->input[pick(m->r, (int32_t)g->n_input)]);
        break;
    case 15:
        if (g->n_output) change_type(m, g->output[pick(m->r, (int32_t)g->n_output)]);
        break;
    default:
        if (g->n_initializer) change_tensor(m, g->initializer[pick(m->r, (int32_t)g->n_initializer)]);
        break;
    }
}

static void change_bytes(rng *r, uint8_t *bytes, size_t *size, vj_text *what) {
    if (*size < 8) return;
    if (chance(r, 20)) *size -= (size_t)pick(r, (int32_t)(*size / 2));
    for (int32_t n = pick(r, 4); n >= 0; n--)
        bytes[pick(r, (int32_t)*size)] =
            chance(r, 50) ? (uint8_t)rng_bits(r) : (uint8_t[]){0, 1, 127, 128, 255}[pick(r, 5)];
    vj_text_add(what, "bytes; ");
}

static void *arena_alloc(void *arena, size_t size) { return vj_alloc(arena, size); }
static void arena_free(void *arena, void *at) { (void)arena, (void)at; }

uint8_t *mutate(rng *r, const uint8_t *model, size_t size, size_t *mutated, char *what, size_t room) {
    vj_arena *arena = vj_arena_new();
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    mutation m = {.r = r, .arena = arena, .what = {.arena = arena}};
    vj_text_add(&m.what, "%s", "");
    m.m = onnx__model_proto__unpack(&allocator, size, model);
    m.g = m.m ? m.m->graph : NULL;
    uint8_t *out = NULL;
    if (m.g) {
        const bool bytes_too = chance(r, 10);
        for (int32_t n = bytes_too ? pick(r, 2) : 1 + pick(r, 3); n > 0; n--)
            change_once(&m);
        *mutated = onnx__model_proto__get_packed_size(m.m);
        out = malloc(*mutated + 1);
        if (out) onnx__model_proto__pack(m.m, out);
        if (out && bytes_too) change_bytes(r, out, mutated, &m.what);
        snprintf(what, room, "%s", m.what.at);
    }
    vj_arena_free(arena);
    return out;
}
