/* SPDX-License-Identifier: Apache-2.0 */
/* several.c - plans one model for several sizes and CPUs: tests which weights they share and at which offsets, and
 * compares every packed weight of every program with the evaluator. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/compiler.h"

#define SIZED(h, w) (&(vj_shape){"image", 4, {VJ_BATCH_DIM, 3, (h), (w)}}), 1

typedef struct job {
    const vj_shape_set *sets;
    int32_t set_count;
    const char *cpus[2];
    int32_t cpu_count;
    void (*look)(vj_unit *const *units, const uint8_t *packed);
} job;

typedef vj_status (*unit_work)(vj_unit *u, const job *j);

typedef struct order {
    const job *j;
    unit_work work;
} order;

static vj_status open_and_work(vj_unit *u, void *self) {
    const order *o = self;
    const vj_status status = vj_unit_open(u);
    return status == VJ_OK ? o->work(u, o->j) : status;
}

static vj_status with(const char *model, const job *j, unit_work work, char error[4096]) {
    const vj_options options = {.size = sizeof options};
    const vj_compile_request request = {.path = model, .options = &options, .pass_limit = -1};
    error[0] = 0;
    return vj_with_unit(&request, open_and_work, &(order){j, work}, error, 4096);
}

static vj_status plan(vj_unit *u, const job *j, vj_unit *const **units) {
    const vj_target *targets[2];
    for (int32_t i = 0; i < j->cpu_count; i++)
        targets[i] = vj_target_by_name(j->cpus[i]);
    u->keyed = true;
    return vj_plan_several(u, j->sets, j->set_count, targets, j->cpu_count, units);
}

static vj_status plan_alone(vj_unit *u, const job *j) {
    vj_unit *const *units;
    return plan(u, j, &units);
}

/* The packed weights of units [0, count), as in a file. */
static vj_status plan_and_pack(vj_unit *u, const job *j) {
    vj_unit *const *units;
    vj_status status = plan(u, j, &units);
    if (status == VJ_OK) status = vj_share_weights(u);
    if (status != VJ_OK) return status;
    const int fd = memfd_create("weights", MFD_CLOEXEC);
    assert_true(fd >= 0);
    status = vj_pack_weights(u, fd, 3);
    const size_t bytes = (size_t)(VJ_WEIGHTS_HEADER + u->program->weights_bytes);
    const uint8_t *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    close(fd);
    const vj_weights_header *header = (const void *)at;
    assert_true(header->bytes == u->program->weights_bytes);
    for (int32_t i = 0; i < u->group_count; i++) {
        assert_int_equal(units[i]->program->weights_bytes, header->bytes);
        assert_memory_equal(units[i]->weights_digest, header->digest, sizeof header->digest);
    }
    j->look(units, at + VJ_WEIGHTS_HEADER);
    munmap((void *)(uintptr_t)at, bytes);
    return status;
}

static void pack(const char *model, const job *j) {
    char error[4096];
    if (with(model, j, plan_and_pack, error) != VJ_OK) fail_msg("%s: %s", model, error);
}

/* The evaluator's value of a weight expression. */
static vj_tensor *truth_of(vj_arena *arena, const vj_func *f, vj_value v) {
    vj_error error = {0};
    const vj_node *node = vj_producer(f, v);
    if (vj_is_const(f, v)) {
        vj_tensor *t = vj_tensor_new(arena, vj_type_at(f, v), &error);
        assert_true(t && (t->f ? vj_const_read_f64(f, v, 0, t->count, t->f, &error)
                               : vj_const_read_i64(f, v, 0, t->count, t->i, &error)));
        return t;
    }
    vj_tensor **args = VJ_NEW_ARRAY(arena, vj_tensor *, node->arg_count + 1);
    vj_tensor **results = VJ_NEW_ARRAY(arena, vj_tensor *, node->result_count + 1);
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0) args[i] = truth_of(arena, f, node->args[i]);
    if (!vj_eval_node(arena, f, node, args, results, &error)) fail_msg("%s", error.text);
    return results[v - node->first_result];
}

static int64_t offset_of(int64_t i, int32_t rank, const int64_t *extent, const int64_t *stride) {
    int64_t at = 0;
    for (int32_t d = rank - 1; d >= 0; d--) {
        at += i % extent[d] * stride[d];
        i /= extent[d];
    }
    return at;
}

/* Element (k, n) of the packed bytes. */
static double packed_at(const vj_buffer *b, const vj_weight *w, const uint8_t *at, int64_t k, int64_t n) {
    const int64_t size = vj_element_bytes(b->dtype);
    int64_t exact = 0;
    if (w->kind == VJ_PACK_PANELS) n = vj_panel_at(b->dtype, w->k, k, n);
    const double x = vj_element_of(b->dtype, at + n * size, &exact);
    return vj_dtype_is_float(b->dtype) ? x : (double)exact;
}

/* A computed weight is rounded once for each of its steps. */
static void check_weight(const vj_unit *u, const vj_buffer *b, const uint8_t *packed) {
    const vj_weight *w = &u->program->weights[b->index];
    vj_arena *arena = vj_arena_new();
    const vj_tensor *t = truth_of(arena, u->f, w->source);
    for (int64_t k = 0; k < w->k; k++)
        for (int64_t n = 0; n < w->n; n++) {
            const int64_t at = w->source_offset + offset_of(k, w->k_rank, w->k_extent, w->k_stride) +
                               offset_of(n, w->n_rank, w->n_extent, w->n_stride);
            const double want = t->f ? t->f[at] : (double)t->i[at];
            const double got = packed_at(b, w, packed + b->offset, k, n);
            if (fabs(got - want) > 2.5e-7 * fabs(want))
                fail_msg("%s: (%lld, %lld) is %.9g, not %.9g", b->name, (long long)k, (long long)n, got, want);
        }
    vj_arena_free(arena);
}

static void check_all(vj_unit *const *units, const uint8_t *packed) {
    for (int32_t i = 0; i < units[0]->group_count; i++)
        for (int32_t b = 0; b < units[i]->program->buffer_count; b++)
            if (units[i]->program->buffers[b].kind == VJ_BUFFER_WEIGHT)
                check_weight(units[i], &units[i]->program->buffers[b], packed);
}

/* The bytes that this program adds to the file. */
static int64_t own_bytes(const vj_unit *u) {
    int64_t bytes = 0;
    for (int32_t b = 0; b < u->program->buffer_count; b++)
        if (u->program->buffers[b].kind == VJ_BUFFER_WEIGHT && u->packs[b])
            bytes += u->program->buffers[b].elements * vj_element_bytes(u->program->buffers[b].dtype);
    return bytes;
}

/* The bytes of all weights but the position embedding, which has a row for each patch and one for the class token. */
static void look_at_sizes(vj_unit *const *units, const uint8_t *packed) {
    assert_int_equal(units[0]->group_count, 2);
    assert_true(units[0]->f->batch_is_open && units[1]->f->batch_is_open);
    assert_true(own_bytes(units[0]) > 100000);
    assert_int_equal(own_bytes(units[1]), (1 + 10 * 8) * 32 * 4);
    check_all(units, packed);
}

static void test_sizes(void **state) {
    (void)state;
    const vj_shape_set sets[] = {{SIZED(24, 24)}, {SIZED(40, 32)}};
    const job j = {sets, 2, {"x86-64-v3"}, 1, look_at_sizes};
    pack(VJ_RESOLUTIONS "/ts17.onnx", &j);
    pack(VJ_RESOLUTIONS "/dy20.onnx", &j);
}

static uint64_t digest_alone[2];
static void keep_digest(vj_unit *const *units, const uint8_t *packed) {
    (void)packed;
    memcpy(digest_alone, units[0]->weights_digest, sizeof digest_alone);
}

static void look_at_cpus(vj_unit *const *units, const uint8_t *packed) {
    assert_int_equal(units[0]->group_count, 2);
    assert_string_equal(units[0]->target->name, "x86-64-v3");
    assert_string_equal(units[1]->target->name, "x86-64");
    assert_int_equal(own_bytes(units[1]), 0);
    assert_memory_equal(units[0]->weights_digest, digest_alone, sizeof digest_alone);
    assert_memory_not_equal(units[0]->graph_key, units[1]->graph_key, sizeof units[0]->graph_key);
    check_all(units, packed);
}

/* CPUs of one architecture share all weights, so that the file is that of a single CPU. */
static void test_cpus(void **state) {
    (void)state;
    const vj_shape_set sets[] = {{SIZED(24, 24)}};
    pack(VJ_RESOLUTIONS "/ts17.onnx", &(job){sets, 1, {"x86-64"}, 1, keep_digest});
    pack(VJ_RESOLUTIONS "/ts17.onnx", &(job){sets, 1, {"x86-64-v3", "x86-64"}, 2, look_at_cpus});
}

static void look_at_both(vj_unit *const *units, const uint8_t *packed) {
    assert_int_equal(units[0]->group_count, 4);
    assert_ptr_equal(units[1]->target, units[3]->target);
    assert_true(vj_type_equal(vj_type_at(units[0]->f, units[0]->f->inputs[0]),
                              vj_type_at(units[1]->f, units[1]->f->inputs[0])));
    assert_int_equal(own_bytes(units[1]), 0);
    assert_int_equal(own_bytes(units[2]), (1 + 10 * 8) * 32 * 4);
    assert_int_equal(own_bytes(units[3]), 0);
    check_all(units, packed);
}

static void test_sizes_and_cpus(void **state) {
    (void)state;
    const vj_shape_set sets[] = {{SIZED(24, 24)}, {SIZED(40, 32)}};
    pack(VJ_RESOLUTIONS "/dy20.onnx", &(job){sets, 2, {"x86-64", "x86-64-v3"}, 2, look_at_both});
}

static void refused(const char *model, const vj_shape_set *sets, int32_t count, vj_status status, const char *why) {
    char error[4096];
    assert_int_equal(with(model, &(job){sets, count, {"x86-64-v3"}, 1, NULL}, plan_alone, error), status);
    if (!strstr(error, why)) fail_msg("'%s' does not say '%s'", error, why);
}

static void test_refused(void **state) {
    (void)state;
    const char *model = VJ_RESOLUTIONS "/ts17.onnx";
    const vj_shape_set same[] = {{SIZED(24, 24)}, {SIZED(40, 32)}, {&(vj_shape){"image", 4, {2, 3, 24, 24}}, 1}};
    refused(model, same, 3, VJ_USAGE, "shapes 0 and 2 are the same");
    const vj_shape_set odd[] = {{SIZED(24, 24)}, {&(vj_shape){"image", 3, {3, 24, 24}}, 1}};
    refused(model, odd, 2, VJ_USAGE, "for image=3x24x24: ");
    const vj_shape_set open[] = {{SIZED(24, VJ_BATCH_DIM)}};
    refused(model, open, 1, VJ_USAGE, "only the batch stays open");
    const vj_shape_set fixed[] = {{SIZED(32, 32)}};
    refused(VJ_STATIC, fixed, 1, VJ_USAGE, "is not open");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_cpus),
                                       cmocka_unit_test(test_sizes_and_cpus), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
