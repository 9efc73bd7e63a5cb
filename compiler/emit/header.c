/* SPDX-License-Identifier: Apache-2.0 */
/* header.c - the header of an emitted object. It stands alone: vitjit_model.h's text is inside, under its own
 * guard, so that several of these headers, and vitjit.h, go together. */
#include "emit.h"

#include <string.h>

extern const char vj_model_header[]; /* include/vitjit_model.h, by cmake/embed_text.cmake */

/* Text of a model inside a comment: printable, and without what would end the comment or begin another. */
static const char *for_comment(vj_arena *arena, const char *text) {
    char *copy = vj_strdup(arena, text ? text : "");
    for (char *at = copy; *at; at++)
        if (*at < 0x20 || *at > 0x7e || *at == '*' || *at == '\\') *at = '_';
    return copy;
}

/* " = {2, 3}": a value that an input must have. */
static void add_value(vj_text *out, const vj_tensor_info *t, const uint8_t *bytes) {
    enum { SHOWN = 64 };
    const vj_dtype dtype = (vj_dtype)t->dtype;
    const int64_t size = vj_element_bytes(dtype), count = t->bytes_per_image / size;
    vj_text_add(out, "; must be {");
    for (int64_t i = 0; i < count && i < SHOWN; i++) {
        int64_t exact = 0;
        const double x = vj_element_of(dtype, bytes + i * size, &exact);
        if (vj_dtype_is_float(dtype))
            vj_text_add(out, "%s%.9g", i ? ", " : "", x);
        else
            vj_text_add(out, "%s%lld", i ? ", " : "", (long long)exact);
    }
    vj_text_add(out, "%s}", count > SHOWN ? ", ..." : "");
}

static void add_tensor_lines(vj_text *out, const char *label, const vj_tensor_info *tensors, int32_t count,
                             const uint8_t *const *required) {
    for (int32_t i = 0; i < count; i++) {
        const vj_tensor_info *t = &tensors[i];
        vj_text_add(out, " * %-6s %d  %s  %s[", label, (int)i, for_comment(out->arena, t->name),
                    vj_element_name((vj_dtype)t->dtype));
        for (int32_t d = 0; d < t->rank; d++) {
            const long long dim = t->dims[d] < 0 ? -t->dims[d] : t->dims[d];
            vj_text_add(out, "%s", d ? ", " : "");
            if (t->dims[d] >= 0)
                vj_text_add(out, "%lld", dim);
            else if (dim == 1)
                vj_text_add(out, "n");
            else
                vj_text_add(out, "%lld n", dim);
        }
        vj_text_add(out, "], dense, the last dim fastest");
        if (t->dims_output)
            vj_text_add(out, "; this is the most, output %lld gets its dims", (long long)t->dims_output - 1);
        if (required && required[i]) add_value(out, t, required[i]);
        vj_text_add(out, "\n");
    }
}

static void add_shape(vj_text *out, const vj_header_facts *x, int32_t number) {
    const vj_model *m = &x->shapes[number];
    if (x->shape_count > 1) vj_text_add(out, " * shape  %d%s\n", (int)number, number ? ": init_as" : ": init");
    add_tensor_lines(out, "input", m->inputs, m->input_count, x->required[number]);
    add_tensor_lines(out, "output", m->outputs, m->output_count, NULL);
}

static void add_opening(vj_text *out, const vj_header_facts *x) {
    const vj_model *m = x->shapes;
    vj_arena *arena = out->arena;
    const char *object = for_comment(arena, x->object), *p = x->prefix;
    vj_text_add(out, "/* %s - the interface of %s, written by vitjit %s. Link:\n *     %s\n *\n",
                for_comment(arena, x->header), object, m->compiler, for_comment(arena, x->link));
    vj_text_add(out, " * model     %s (%s)\n * hash      %016llx%016llx\n * CPU       %s\n * precision %s\n",
                for_comment(arena, x->source), for_comment(arena, x->producer), (unsigned long long)m->hash[1],
                (unsigned long long)m->hash[0], for_comment(arena, m->cpu), for_comment(arena, x->precision));
    for (int32_t i = 0; i < x->shape_count; i++)
        add_shape(out, x, i);
    vj_text_add(out, " *\n * All memory is the caller's: the context, the inputs and outputs (aligned to their "
                     "elements), the scratch "
                     "memory\n * (aligned to the alignment below)");
    if (x->weights_file)
        vj_text_add(out,
                    ", and the weights: all bytes of %s, aligned likewise, best mapped\n"
                    " * read-only; they must stay while a context is used.\n",
                    for_comment(arena, x->weights_file));
    else
        vj_text_add(out, ". The weights are in the object: %s_init takes NULL and 0.\n", p);
    vj_text_add(
        out,
        " * %s_init returns a VJ_RUN_ status; so do the runs, which write nothing but outputs and scratch. One\n"
        " * context serves any number of threads at once, each with scratch memory of its own. */\n",
        p);
}

static void add_functions(vj_text *out, const char *p) {
    vj_text_add(
        out,
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "typedef vj_context %s_context;\n\n"
        "/* What the model is. Needs no init. */\n"
        "const vj_model *%s_model(void);\n"
        "/* Checks the CPU and the weights, and fills the context. */\n"
        "int %s_init(%s_context *context, const void *weights, size_t bytes);\n"
        "/* The same for shape number `shape` of the model's, on a CPU that has the features (VJ_CPU_*), whatever it\n"
        " * says of itself; VJ_CPU_ASK asks it. */\n"
        "int %s_init_as(%s_context *context, const void *weights, size_t bytes, int32_t shape, uint64_t features);\n",
        p, p, p, p, p, p);
    vj_text_add(
        out,
        "/* Runs n images on the caller's thread. */\n"
        "int %s_run(const %s_context *context, int64_t n, const void *const *inputs, void *const *outputs,\n"
        "    void *scratch);\n"
        "/* The same on the caller's threads; the scratch memory is for min(n, threads->parts) images in flight. */\n"
        "int %s_run_on(const %s_context *context, int64_t n, const void *const *inputs, void *const *outputs,\n"
        "    void *scratch, const vj_threads *threads);\n",
        p, p, p, p);
    vj_text_add(
        out,
        "/* For a scheduler of one's own: phase 0 runs whole images, phases 1 to phase_count those that are left\n"
        " * (n %% parts); all parts of a phase must be over before the next begins. args->variant is the context's. "
        "Checks nothing. */\n"
        "void %s_phase(const vj_args *args, int32_t phase, int32_t part, int32_t parts);\n\n"
        "#ifdef __cplusplus\n}\n#endif\n\n",
        p);
}

/* The object was made for exactly these structs and sizes. */
static void add_assertions(vj_text *out, const vj_header_facts *x) {
    const char *p = vj_macro_prefix(out->arena, x->prefix);
    vj_text_add(
        out, "\n#ifdef __cplusplus\n#define %s_ASSERT static_assert\n#else\n#define %s_ASSERT _Static_assert\n#endif\n",
        p, p);
    vj_text_add(out, "%s_ASSERT(VJ_MODEL_ABI == %d, \"the object has another ABI\");\n", p, VJ_MODEL_ABI);
    const vj_abi_layout layout = vj_abi_layout_of(x->target);
    const int pointer = (int)x->target->machine->pointer_bytes;
    vj_text_add(out, "%s_ASSERT(sizeof(void *) == %d && sizeof(size_t) == %d, \"the object is for %d bits\");\n", p,
                pointer, pointer, pointer * 8);
    vj_text_add(out,
                "%s_ASSERT(sizeof(vj_model) == %d && sizeof(vj_tensor_info) == %d && sizeof(vj_cpu_variant) == %d,\n"
                "    \"the descriptor's layout\");\n",
                p, (int)layout.model, (int)layout.tensor_info, (int)layout.cpu_variant);
    vj_text_add(out,
                "%s_ASSERT(sizeof(vj_context) == %d && sizeof(vj_args) == %d && sizeof(vj_threads) == %d,\n"
                "    \"the layout of arguments\");\n",
                p, (int)layout.context, (int)layout.args, (int)layout.threads);
    vj_text_add(out, "%s_ASSERT((%s_ALIGNMENT & (%s_ALIGNMENT - 1)) == 0, \"a power of two\");\n", p, p, p);
    for (int32_t i = 0; i < x->shape_count; i++) {
        const char *shape = x->shape_count > 1 ? vj_sprintf(out->arena, "SHAPE_%d_", (int)i) : "";
        vj_text_add(out, "%s_ASSERT(%s_%sSCRATCH_BYTES(1, 1) == %lld, \"scratch memory of one image\");\n", p, p, shape,
                    (long long)(x->shapes[i].scratch_fixed + x->shapes[i].scratch_per_image));
    }
    vj_text_add(out, "#undef %s_ASSERT\n", p);
}

char *vj_header_text(vj_arena *arena, const vj_header_facts *facts) {
    vj_text text = {.arena = arena};
    const char *guard = vj_macro_prefix(arena, facts->prefix);
    add_opening(&text, facts);
    vj_text_add(&text, "#ifndef VITJIT_OBJECT_%s_H\n#define VITJIT_OBJECT_%s_H\n\n", guard, guard);
    vj_text_add(&text, "%s\n", vj_model_header);
    add_functions(&text, facts->prefix);
    vj_add_macros(&text, facts);
    vj_text_add(&text, "%s", facts->part);
    add_assertions(&text, facts);
    vj_add_cpp(&text, facts->prefix, facts->shape_count > 1);
    vj_text_add(&text, "\n#endif\n");
    return text.at;
}
