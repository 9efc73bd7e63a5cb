/* SPDX-License-Identifier: Apache-2.0 */
/* header_macros.c - the macros of an emitted header: what the caller's memory has to hold. */
#include "emit.h"

#include <ctype.h>

#include "vitjit_image.h"

const char *vj_macro_prefix(vj_arena *arena, const char *prefix) {
    char *copy = vj_strdup(arena, prefix);
    for (char *at = copy; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    return copy;
}

static bool grows_with_batch(const vj_tensor_info *t) {
    for (int32_t i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) return true;
    return false;
}

/* Memory for tensor i of any shape. */
static vj_tensor_info *greatest_tensors(vj_arena *arena, const vj_header_facts *x, bool outputs, int32_t count) {
    vj_tensor_info *all = VJ_NEW_ARRAY(arena, vj_tensor_info, count + 1);
    for (int32_t i = 0; i < count; i++)
        for (int32_t s = 0; s < x->shape_count; s++) {
            const vj_tensor_info *t = outputs ? &x->shapes[s].outputs[i] : &x->shapes[s].inputs[i];
            const int64_t bytes = vj_max64(all[i].bytes_per_image, t->bytes_per_image);
            if (s == 0 || grows_with_batch(t)) all[i] = *t;
            all[i].bytes_per_image = bytes;
        }
    return all;
}

/* What is enough for any shape; of one shape, itself. */
static vj_model greatest(vj_arena *arena, const vj_header_facts *x) {
    vj_model m = x->shapes[0];
    m.inputs = greatest_tensors(arena, x, false, m.input_count);
    m.outputs = greatest_tensors(arena, x, true, m.output_count);
    for (int32_t s = 1; s < x->shape_count; s++) {
        m.scratch_fixed = vj_max64(m.scratch_fixed, x->shapes[s].scratch_fixed);
        m.scratch_per_image = vj_max64(m.scratch_per_image, x->shapes[s].scratch_per_image);
        m.max_batch = vj_min64(m.max_batch, x->shapes[s].max_batch);
    }
    return m;
}

static void add_limits(vj_text *out, const char *p, const vj_model *m, bool explained) {
    vj_text_add(out, "#define %s_MAX_BATCH %lld\n", p, (long long)m->max_batch);
    if (explained)
        vj_text_add(out,
                    "/* For n images of which so many are worked on at a time: 1 for run, the parts for run_on. */\n");
    vj_text_add(out,
                "#define %s_SCRATCH_BYTES(n, images_in_flight) \\\n"
                "    ((size_t)%lld + ((n) < (images_in_flight) ? (size_t)(n) : (size_t)(images_in_flight)) * "
                "(size_t)%lld)\n",
                p, (long long)m->scratch_fixed, (long long)m->scratch_per_image);
}

static void add_tensor_bytes(vj_text *out, const char *p, const char *label, const vj_tensor_info *tensors,
                             int32_t count, bool counted) {
    if (counted) vj_text_add(out, "#define %s_%s_COUNT %d\n", p, label, (int)count);
    for (int32_t i = 0; i < count; i++)
        vj_text_add(out, "#define %s_%s_%d_BYTES(n) (%s(size_t)%lld)\n", p, label, (int)i,
                    grows_with_batch(&tensors[i]) ? "(size_t)(n) * " : "", (long long)tensors[i].bytes_per_image);
}

static void add_sizes(vj_text *out, const char *p, const vj_model *m, bool of_all) {
    add_limits(out, p, m, of_all);
    add_tensor_bytes(out, p, "INPUT", m->inputs, m->input_count, of_all);
    add_tensor_bytes(out, p, "OUTPUT", m->outputs, m->output_count, of_all);
}

void vj_add_macros(vj_text *out, const vj_header_facts *x) {
    const vj_model all = greatest(out->arena, x);
    const char *p = vj_macro_prefix(out->arena, x->prefix);
    const long long file_bytes = x->weights_file ? (long long)all.weights_bytes + VJ_WEIGHTS_HEADER : 0;
    vj_text_add(out, "/* What %s_init takes: %s. */\n", x->prefix,
                x->weights_file ? "the whole file" : "the weights are in the object");
    vj_text_add(out, "#define %s_WEIGHTS_BYTES ((size_t)%lld)\n", p, file_bytes);
    vj_text_add(out, "/* Of weights and scratch memory. */\n#define %s_ALIGNMENT %lld\n", p,
                (long long)all.weights_alignment);
    if (x->shape_count > 1)
        vj_text_add(out, "/* How many there are, and what is enough for any of them. */\n#define %s_SHAPES %d\n", p,
                    (int)x->shape_count);
    add_sizes(out, p, &all, true);
    for (int32_t s = 0; s < x->shape_count && x->shape_count > 1; s++) {
        vj_text_add(out, "/* Shape %d alone. */\n", (int)s);
        add_sizes(out, vj_sprintf(out->arena, "%s_SHAPE_%d", p, (int)s), &x->shapes[s], false);
    }
}
