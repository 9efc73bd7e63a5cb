/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - the model as the ABI describes it (vitjit_model.h), from a planned unit. */
#include "compiler.h"

/* An input's or output's dims and bytes; a dim c * N is written -c, one that the data decides by its bound. */
static vj_tensor_info info_of(const vj_func *f, const char *name, vj_value v) {
    const vj_type *type = vj_type_at(f, v);
    vj_tensor_info info = {.name = name, .dtype = (int32_t)type->dtype, .rank = type->rank};
    info.bytes_per_image = vj_element_bytes(type->dtype);
    for (int32_t i = 0; i < type->rank; i++) {
        const vj_dim *dim = &type->dims[i];
        const int64_t size = dim->sym >= VJ_SYM_FIRST_DATA ? f->symbols[dim->sym - VJ_SYM_FIRST_DATA].bound : dim->c;
        info.dims[i] = dim->sym == VJ_SYM_BATCH ? -size : size;
        info.bytes_per_image *= size;
    }
    return info;
}

const uint8_t *vj_required_value(const vj_unit *u, int32_t input, int64_t *bytes) {
    const vj_const *value = u->f->required ? u->f->required[input] : NULL;
    *bytes = value ? value->length : 0;
    return value ? value->source->at + value->offset : NULL;
}

/* Far beyond any use, and small enough that n * bytes of any buffer fits 63 bits. */
#define MAX_BATCH (INT64_C(1) << 20)

/* Bytes that a program of 32-bit addresses may have in one piece: offsets are signed. */
#define NARROW_LIMIT INT64_C(0x7fffffff)

vj_status vj_fits_machine(vj_unit *u) {
    const vj_program *p = u->program;
    const vj_model *m = vj_describe(u, "");
    const int64_t own = p->weights_bytes + p->per_image_bytes;
    int64_t largest = own;
    for (int32_t i = 0; i < m->input_count; i++)
        largest = vj_max64(largest, m->inputs[i].bytes_per_image);
    for (int32_t i = 0; i < m->output_count; i++)
        largest = vj_max64(largest, m->outputs[i].bytes_per_image);
    if (u->target->machine->pointer_bytes == 8 || largest <= NARROW_LIMIT) return VJ_OK;
    return vj_fail(&u->error, VJ_UNSUPPORTED, "it takes %lld MB of memory, and %s has 2147 MB of addresses",
                   (long long)(largest / 1000000), u->target->name);
}

/* n times any buffer must be a size that the machine can say. */
static int64_t max_batch(const vj_unit *u, const vj_tensor_info *inputs, const vj_tensor_info *outputs) {
    int64_t each = vj_max64(1, u->program->per_image_bytes);
    if (!u->f->batch_is_open) return 1;
    if (u->target->machine->pointer_bytes == 8) return MAX_BATCH;
    for (int32_t i = 0; i < u->f->input_count; i++)
        each = vj_max64(each, inputs[i].bytes_per_image);
    for (int32_t i = 0; i < u->f->output_count; i++)
        each = vj_max64(each, outputs[i].bytes_per_image);
    return vj_max64(1, vj_min64(MAX_BATCH, NARROW_LIMIT / each));
}

const vj_model *vj_describe(vj_unit *u, const char *name) {
    const vj_func *f = u->f;
    const vj_program *p = u->program;
    vj_model *model = VJ_NEW(u->arena, vj_model);
    vj_tensor_info *inputs = VJ_NEW_ARRAY(u->arena, vj_tensor_info, f->input_count + 1);
    vj_tensor_info *outputs = VJ_NEW_ARRAY(u->arena, vj_tensor_info, f->output_count + 1);
    for (int32_t i = 0; i < f->input_count; i++)
        inputs[i] = info_of(f, f->values[f->inputs[i]].name, f->inputs[i]);
    for (int32_t i = 0; i < f->output_count; i++) {
        outputs[i] = info_of(f, f->output_names[i], f->outputs[i]);
        outputs[i].dims_output = f->output_dims ? f->output_dims[i] + 1 : 0;
    }
    *model = (vj_model){.abi = VJ_MODEL_ABI,
                        .header_size = sizeof *model,
                        .name = name,
                        .compiler = VITJIT_VERSION,
                        .cpu = u->target->name,
                        .hash = {u->graph_key[0], u->graph_key[1]},
                        .input_count = f->input_count,
                        .output_count = f->output_count,
                        .inputs = inputs,
                        .outputs = outputs,
                        .weights_bytes = p->weights_bytes,
                        .weights_digest = {u->weights_digest[0], u->weights_digest[1]},
                        .weights_alignment = VJ_ALIGN,
                        .scratch_per_image = p->per_image_bytes,
                        .max_batch = max_batch(u, inputs, outputs),
                        .phase_count = p->phase_count};
    return model;
}

/* "x86-64-v2, x86-64-v3" */
static const char *cpus_in_words(vj_unit *const *units, int32_t targets) {
    vj_text text = {.arena = units[0]->arena};
    for (int32_t i = 0; i < targets; i++)
        vj_text_add(&text, "%s%s", i ? ", " : "", units[i]->target->name);
    return text.at;
}

const vj_model *vj_describe_shapes(vj_unit *const *units, int32_t shapes, int32_t targets, const char *name) {
    vj_model *models = VJ_NEW_ARRAY(units[0]->arena, vj_model, shapes);
    for (int32_t i = 0; i < shapes; i++) {
        vj_model *m = &models[i];
        *m = *vj_describe(units[i * targets], name);
        m->cpu = cpus_in_words(units, targets);
        for (int32_t t = 1; t < targets; t++) {
            const vj_model *other = vj_describe(units[i * targets + t], name);
            m->scratch_fixed = vj_max64(m->scratch_fixed, other->scratch_fixed);
            m->scratch_per_image = vj_max64(m->scratch_per_image, other->scratch_per_image);
            m->max_batch = vj_min64(m->max_batch, other->max_batch);
            if (other->phase_count > m->phase_count) m->phase_count = other->phase_count;
        }
    }
    return models;
}

double vj_flops_per_image(const vj_program *p) {
    double flops = 0;
    for (int32_t i = 0; i < p->kernel_count; i++)
        flops += p->kernels[i]->flops;
    return flops;
}
