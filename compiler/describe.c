/* describe.c - the model as the ABI describes it (vitjit_model.h), from a planned unit. */
#include "internal.h"

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
                        .max_batch = f->batch_is_open ? MAX_BATCH : 1,
                        .phase_count = p->phase_count,
                        .cpu_feature_bits = (int32_t)u->target->cpu_feature_bits};
    return model;
}

double vj_flops_per_image(const vj_program *p) {
    double flops = 0;
    for (int32_t i = 0; i < p->kernel_count; i++)
        flops += p->kernels[i]->flops;
    return flops;
}
