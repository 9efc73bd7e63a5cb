/* expect.c - compares outputs with known answers. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double value_at(const vj_array *a, size_t i) {
    switch (a->dtype) {
    case VJ_F32:
        return (double)((const float *)a->data)[i];
    case VJ_F64:
        return ((const double *)a->data)[i];
    case VJ_I32:
        return ((const int32_t *)a->data)[i];
    case VJ_I64:
        return (double)((const int64_t *)a->data)[i];
    default:
        return ((const uint8_t *)a->data)[i];
    }
}

static bool comparable(vj_dtype t) {
    return t == VJ_F32 || t == VJ_F64 || t == VJ_I32 || t == VJ_I64 || t == VJ_BOOL || t == VJ_U8;
}

vj_status vj_compare(const char *name, const vj_array *got, const vj_array *want, double rtol, double atol) {
    if (got->dtype != want->dtype || got->rank != want->rank ||
        memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims) != 0)
        return vj_say(VJ_DIFFERS, NULL, NULL, "output '%s' has another type or shape than expected", name);
    if (!comparable(got->dtype))
        return memcmp(got->data, want->data, got->bytes) == 0
                   ? VJ_OK
                   : vj_say(VJ_DIFFERS, NULL, NULL, "output '%s' differs", name);
    const size_t count = got->bytes / vj_dtype_bytes(got->dtype), none = (size_t)-1;
    double scale = 0, worst = 0, dot = 0, norm_got = 0, norm_want = 0;
    size_t bad = none, top_got = 0, top_want = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(value_at(want, i))) scale = fmax(scale, fabs(value_at(want, i)));
    const double limit = got->dtype == VJ_F32 || got->dtype == VJ_F64 ? atol + rtol * scale : 0;
    for (size_t i = 0; i < count; i++) {
        const double x = value_at(got, i), y = value_at(want, i);
        const bool same = x == y || (isnan(x) && isnan(y));
        const double error = same ? 0 : fabs(x - y);
        if (!(error <= limit) && bad == none) bad = i;
        if (error > worst) worst = error;
        if (x > value_at(got, top_got)) top_got = i;
        if (y > value_at(want, top_want)) top_want = i;
        dot += x * y;
        norm_got += x * x;
        norm_want += y * y;
    }
    const double norm = sqrt(norm_got) * sqrt(norm_want);
    printf("%s: max abs %.3g, max rel %.3g, cosine %.9f, top-1 %s", name, worst, scale > 0 ? worst / scale : worst,
           norm > 0 ? dot / norm : 1.0, top_got == top_want ? "equal" : "differs");
    if (bad != none) printf(", first bad index %zu", bad);
    printf("\n");
    return bad == none ? VJ_OK : VJ_DIFFERS;
}

vj_status vj_expect(const vj_io *io, const vj_cli_options *o) {
    vj_status worst = VJ_OK;
    for (int32_t k = 0; k < o->expect_count; k++) {
        const vj_model *m = io->model;
        int32_t i = 0;
        while (i < m->output_count && strcmp(m->outputs[i].name, o->expects[k].name) != 0)
            i++;
        if (i == m->output_count)
            return vj_say(VJ_USAGE, o->model, NULL, "the model has no output '%s'", o->expects[k].name);
        vj_array want;
        vj_status status = vj_npy_read(o->expects[k].value, &want);
        if (status) return status;
        status = vj_compare(m->outputs[i].name, &io->outputs[i], &want, o->rtol, o->atol);
        free(want.data);
        if (status) worst = status;
    }
    return worst;
}

static vj_status read_pb(const vj_compiler_api *api, const char *path, vj_array *a) {
    char error[4096] = "", *name = NULL;
    int32_t dtype = 0;
    *a = (vj_array){0};
    vj_status status =
        api->read_tensor(path, &name, &dtype, &a->rank, a->dims, &a->data, &a->bytes, error, sizeof error);
    free(name);
    a->dtype = (vj_dtype)dtype;
    return status ? vj_say(status, path, NULL, "%s", error) : VJ_OK;
}

static vj_status run_set(const vj_compiler_api *api, vj_model *model, const vj_cli_options *o, const char *folder) {
    vj_cli_options none = {.model = o->model, .batch = o->batch};
    vj_io io;
    vj_array *given = calloc((size_t)model->input_count + 1, sizeof *given);
    vj_status status = given ? vj_io_open(model, &none, &io) : VJ_SYSTEM;
    char path[4300];
    for (int32_t i = 0; i < model->input_count && !status; i++) {
        snprintf(path, sizeof path, "%.4000s/input_%d.pb", folder, i);
        if (!(status = read_pb(api, path, &given[i])) &&
            (status = vj_bind_input(io.session, model->inputs[i].name, given[i].data, given[i].bytes, given[i].dtype,
                                    given[i].dims, given[i].rank)))
            vj_say(status, path, NULL, "%s", vj_error_message());
    }
    for (int32_t i = 0; i < model->output_count && !status; i++) {
        vj_array *a = &io.outputs[i];
        free(a->data);
        a->bytes = vj_output_bound(io.session, i);
        a->rank = vj_output_shape(io.session, i, a->dims);
        a->data = aligned_alloc(64, (a->bytes + 64) / 64 * 64);
        if ((status = vj_bind_output(io.session, i, a->data, a->bytes)))
            vj_say(status, path, NULL, "%s", vj_error_message());
    }
    if (!status && (status = vj_run(io.session))) vj_say(status, folder, NULL, "%s", vj_error_message());
    for (int32_t i = 0; i < model->output_count && (!status || status == VJ_DIFFERS); i++) {
        vj_array want;
        snprintf(path, sizeof path, "%.4000s/output_%d.pb", folder, i);
        vj_status this_one = read_pb(api, path, &want);
        if (!this_one) this_one = vj_compare(model->outputs[i].name, &io.outputs[i], &want, o->rtol, o->atol);
        free(want.data);
        if (this_one) status = this_one;
    }
    for (int32_t i = 0; given && i < model->input_count; i++)
        free(given[i].data);
    if (given) vj_io_close(&io);
    free(given);
    return status;
}

vj_status vj_run_tests(vj_model *model, const vj_cli_options *o) {
    const vj_compiler_api *api;
    vj_status worst = vj_compiler_open(&api);
    if (worst) return vj_say(worst, NULL, NULL, "%s", vj_error_message());
    for (int32_t k = 0; k < o->test_count; k++) {
        vj_status status = run_set(api, model, o, o->tests[k]);
        printf("%s: %s\n", o->tests[k], status ? "FAILED" : "passed");
        if (status) worst = status;
    }
    return worst;
}
