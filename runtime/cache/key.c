/* SPDX-License-Identifier: Apache-2.0 */
/* key.c - the file key: what a compilation depends on, as one number. */
#include "runtime/runtime.h"

#include <string.h>
#include <xxhash.h>

#include "vitjit_dtype.h"

static vj_key key_from(XXH128_hash_t hash) { return (vj_key){{hash.low64, hash.high64}}; }

static void mix_text(XXH3_state_t *state, const char *text) {
    XXH3_128bits_update(state, text ? text : "", strlen(text ? text : "") + 1);
}

static void mix_values(XXH3_state_t *state, const vj_fixed_input *values, int32_t count) {
    XXH3_128bits_update(state, &count, sizeof count);
    for (int32_t i = 0; i < count; i++) {
        const vj_fixed_input *v = &values[i];
        const uint64_t facts[] = {(uint64_t)v->dtype, (uint64_t)v->rank, v->bytes};
        mix_text(state, v->name);
        XXH3_128bits_update(state, facts, sizeof facts);
        XXH3_128bits_update(state, v->dims, sizeof(int64_t) * (size_t)v->rank);
        XXH3_128bits_update(state, v->data, v->bytes);
    }
}

void vj_file_key(const vj_compile_request *request, const vj_key *sample, vj_key *key) {
    const vj_options *o = request->options;
    char build[256];
    vj_compiler_build(build);
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    uint64_t facts[] = {VJ_IMAGE_VERSION,
                        sample->half[0],
                        sample->half[1],
                        o->cpu ? 0 : vj_cpu_fingerprint(),
                        (uint64_t)request->fixed_batch,
                        (uint64_t)request->pass_limit,
                        (uint64_t)o->shape_count,
                        (uint64_t)o->also_output_count,
                        (uint64_t)o->keep_attention,
                        (uint64_t)vj_or_f32(o->precision),
                        (uint64_t)vj_or_f32(o->weight_format),
                        (uint64_t)o->keep_f32_count,
                        (uint64_t)o->calibration_bytes,
                        (uint64_t)request->picture.channels,
                        (uint64_t)request->picture.height,
                        (uint64_t)request->picture.width,
                        (uint64_t)request->marks,
                        (uint64_t)request->probe};
    XXH3_128bits_update(&state, facts, sizeof facts);
    mix_text(&state, build);
    mix_text(&state, o->cpu);
    mix_text(&state, request->stop_after);
    for (int32_t i = 0; i < o->shape_count; i++) {
        mix_text(&state, o->shapes[i].name);
        XXH3_128bits_update(&state, o->shapes[i].dims, sizeof(int64_t) * (size_t)o->shapes[i].rank);
        XXH3_128bits_update(&state, &o->shapes[i].rank, sizeof o->shapes[i].rank);
    }
    for (int32_t i = 0; i < o->also_output_count; i++)
        mix_text(&state, o->also_outputs[i]);
    for (int32_t i = 0; i < o->keep_f32_count; i++)
        mix_text(&state, o->keep_f32[i]);
    mix_text(&state, "/");
    if (o->calibration) XXH3_128bits_update(&state, o->calibration, o->calibration_bytes);
    mix_values(&state, o->fixed, o->fixed_count);
    mix_values(&state, request->offered, request->offered_count);
    for (int32_t i = 0; i < request->disabled_pass_count; i++)
        mix_text(&state, request->disabled_passes[i]);
    *key = key_from(XXH3_128bits_digest(&state));
}

void vj_key_text(const uint64_t half[2], char text[VJ_KEY_TEXT]) {
    snprintf(text, VJ_KEY_TEXT, "%016llx%016llx", (unsigned long long)half[1], (unsigned long long)half[0]);
}
