/* SPDX-License-Identifier: Apache-2.0 */
/* aot.c - tests objects and images of small programs: they agree with the evaluator, and give the same bits whoever
 * runs them and however they are divided. Also tests what init and run refuse, and the linker on damaged objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/backend.h"
#include "needs.h"
#include "programs.h"
#include "vitjit_image.h"

#define IMAGE  (ROWS * COLS)
#define DIGEST {0x1234567890abcdef, 0xfedcba0987654321}

typedef struct job {
    vj_arena *arena;
    vj_program *p;
    const vj_target *target;
    uint8_t *file;    /* header and packed weights, page-aligned */
    uint8_t *weights; /* the data */
    float in[MAX_BATCH * IMAGE];
    double out[MAX_BATCH * IMAGE], mean[MAX_BATCH * ROWS];
} job;

static void *aligned(size_t bytes) {
    void *at = NULL;
    assert_int_equal(posix_memalign(&at, 4096, bytes), 0);
    return at;
}

static job *job_new(const vj_target *target) {
    job *j = calloc(1, sizeof *j);
    j->arena = vj_arena_new();
    j->target = target;
    j->p = small_program(j->arena, target);
    const size_t bytes = (size_t)j->p->weights_bytes;
    j->file = aligned(VJ_WEIGHTS_HEADER + bytes);
    memset(j->file, 0, VJ_WEIGHTS_HEADER);
    const vj_weights_header header = {VJ_WEIGHTS_MAGIC, DIGEST, j->p->weights_bytes, {0, 0}};
    memcpy(j->file, &header, sizeof header);
    j->weights = j->file + VJ_WEIGHTS_HEADER;
    small_weights(j->p, j->weights);
    small_input(MAX_BATCH, j->in);
    small_answers(j->p, j->weights, MAX_BATCH, j->in, j->out, j->mean);
    return j;
}

static void job_free(job *j) {
    vj_arena_free(j->arena);
    free(j->file);
    free(j);
}

static vj_bytes generate(const job *j, const vj_object_abi *abi) {
    const vj_codegen_options options = {.target = j->target, .kind = VJ_EMIT_OBJECT};
    vj_bytes object;
    vj_codegen_stats stats;
    vj_error error = {0};
    if (abi)
        vj_generate_object(abi, VJ_EMIT_OBJECT, &object, &stats, &error);
    else
        vj_generate(j->p, &options, &object, &stats, &error);
    if (error.status != VJ_OK) fail_msg("%s", error.text);
    /* Shapes share the code of a CPU where it is the same; different CPUs share none. */
    assert_int_equal(stats.kernels, 3 * (abi ? abi->cpu_count * abi->shape_count : 1));
    assert_int_equal(stats.distinct_kernels, 3 * (abi ? abi->cpu_count : 1));
    return object;
}

/* Does the same by pieces, on several threads. */
static vj_bytes generate_code(const job *j, int32_t threads, uint64_t *entry) {
    const vj_codegen_options options = {.target = j->target, .kind = VJ_EMIT_OBJECT, .threads = threads};
    vj_bytes code;
    vj_codegen_stats stats;
    vj_error error = {0};
    if (vj_generate_code(j->p, &options, &code, entry, &stats, &error) != VJ_OK)
        fail_msg("%s: %s", j->target->name, error.text);
    assert_int_equal(stats.kernels, 3);
    assert_int_equal(stats.distinct_kernels, 3);
    return code;
}

/* Runs n images in `parts` parts, the last one first, as no part may need another. */
static void run_phases(const job *j, vj_phase_fn phase, int64_t n, int32_t parts, float *out, float *mean) {
    const void *inputs[1] = {j->in};
    void *outputs[2] = {out, mean};
    void *scratch = aligned((size_t)((n < parts ? n : parts) * j->p->per_image_bytes));
    const vj_args args = {inputs, outputs, j->weights, scratch, n, 0};
    memset(out, 0xff, (size_t)n * IMAGE * sizeof *out);
    memset(mean, 0xff, (size_t)n * ROWS * sizeof *mean);
    for (int32_t i = 0; i <= j->p->phase_count; i++)
        for (int32_t part = parts; part-- > 0;)
            phase(&args, i, part, parts);
    free(scratch);
}

static void compare(const job *j, int64_t n, const float *out, const float *mean) {
    for (int64_t i = 0; i < n * IMAGE; i++)
        if (!(fabs((double)out[i] - j->out[i]) <= 1e-5 * (1 + fabs(j->out[i]))))
            fail_msg("element %lld: %g, truly %g", (long long)i, (double)out[i], j->out[i]);
    for (int64_t i = 0; i < n * ROWS; i++)
        if (!(fabs((double)mean[i] - j->mean[i]) <= 1e-6)) fail_msg("mean %lld", (long long)i);
}

/* Maps an image's code into executable memory. */
static void *map_code(const vj_bytes *code) {
    void *at = mmap(NULL, code->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    memcpy(at, code->at, code->size);
    assert_int_equal(mprotect(at, code->size, PROT_READ | PROT_EXEC), 0);
    return at;
}

static void test_images(void **state) {
    (void)state;
    static const int64_t batches[] = {1, 2, 3, 7};
    for (int32_t t = 0; t < vj_target_count(); t++) {
        if (!vj_target_runs_here(vj_target_at(t))) continue;
        job *j = job_new(vj_target_at(t));
        vj_bytes object = generate(j, NULL), code;
        uint64_t entry, other_entry;
        vj_error error = {0};
        if (vj_link_code(&object, "vj_phase", &code, &entry, &error) != VJ_OK) fail_msg("%s", error.text);
        vj_bytes pieces = generate_code(j, 3, &other_entry);
        uint8_t *at = map_code(&code), *other_at = map_code(&pieces);
        void *function = NULL;
        vj_orc *orc = vj_orc_load(&object, "vj_phase", &function, &error);
        if (!orc) fail_msg("%s", error.text);
        const vj_phase_fn ways[] = {(vj_phase_fn)(uintptr_t)(at + entry), (vj_phase_fn)(uintptr_t)function,
                                    (vj_phase_fn)(uintptr_t)(other_at + other_entry)};
        static float first[MAX_BATCH * IMAGE], first_mean[MAX_BATCH * ROWS];
        static float out[MAX_BATCH * IMAGE], mean[MAX_BATCH * ROWS];
        run_phases(j, ways[0], 7, 1, first, first_mean);
        compare(j, 7, first, first_mean);
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
            for (int32_t parts = 1; parts <= 3; parts++)
                for (int32_t way = 0; way < 3; way++) {
                    const int64_t n = batches[b];
                    run_phases(j, ways[way], n, parts, out, mean);
                    assert_memory_equal(out, first, (size_t)n * IMAGE * sizeof *out);
                    assert_memory_equal(mean, first_mean, (size_t)n * ROWS * sizeof *mean);
                }
        vj_orc_free(orc);
        munmap(at, code.size);
        munmap(other_at, pieces.size);
        vj_bytes_free(&code);
        vj_bytes_free(&pieces);
        vj_bytes_free(&object);
        job_free(j);
    }
}

/* Code for every target, including those that do not run here, must have no undefined symbols. */
static void test_every_target(void **state) {
    (void)state;
    for (int32_t t = 0; t < vj_target_count(); t++) {
        job *j = job_new(vj_target_at(t));
        vj_bytes object = generate(j, NULL), code;
        uint64_t entry;
        vj_error error = {0};
        char name[200];
        if (object_needs(object.at, object.size, name, sizeof name)) fail_msg("%s: %s", vj_target_at(t)->name, name);
        if (vj_links_for(vj_target_at(t))) {
            if (vj_link_code(&object, "vj_phase", &code, &entry, &error) != VJ_OK)
                fail_msg("%s: %s", vj_target_at(t)->name, error.text);
            vj_bytes pieces = generate_code(j, 0, &entry);
            vj_bytes_free(&pieces);
            vj_bytes_free(&code);
        } else {
            const bool elf = vj_target_at(t)->machine->format == VJ_FORMAT_ELF;
            assert_int_equal(vj_link_code(&object, "vj_phase", &code, &entry, &error),
                             elf ? VJ_UNSUPPORTED : VJ_SYSTEM);
        }
        vj_bytes_free(&object);
        job_free(j);
    }
}

/* Links objects that are cut short at every byte or have changed bytes. The linker may accept a change that does not
 * matter, but must not crash. */
static void damaged_objects(const vj_target *target, int32_t changes) {
    job *j = job_new(target);
    vj_bytes object = generate(j, NULL), code;
    uint64_t entry, seed = 1;
    for (size_t size = 0; size < object.size; size += size < 512 ? 1 : 61) {
        vj_error error = {0};
        vj_bytes part = {aligned(size ? size : 1), size};
        memcpy(part.at, object.at, size);
        assert_int_not_equal(vj_link_code(&part, "vj_phase", &code, &entry, &error), VJ_OK);
        assert_null(code.at);
        free(part.at);
    }
    int32_t refused = 0;
    for (int32_t i = 0; i < changes; i++) {
        vj_bytes copy = {aligned(object.size), object.size};
        memcpy(copy.at, object.at, object.size);
        for (int32_t change = 0; change < 1 + i % 3; change++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            /* Headers and tables are at both ends. */
            const size_t window = i % 2 ? object.size : object.size < 4096 ? object.size : 4096;
            copy.at[object.size - 1 - (size_t)(seed >> 33) % window] = (uint8_t)(seed >> 24);
        }
        if (i % 5 == 0) copy.at[(size_t)(seed >> 40) % 64] ^= (uint8_t)(1u << (i / 5 % 8));
        vj_error error = {0};
        if (vj_link_code(&copy, "vj_phase", &code, &entry, &error) == VJ_OK) {
            assert_true(entry < code.size);
            vj_bytes_free(&code);
        } else {
            assert_true(error.text[0] != 0);
            refused++;
        }
        free(copy.at);
    }
    assert_true(refused > changes / 20);
    vj_error error = {0};
    assert_int_not_equal(vj_link_code(&object, "no_such", &code, &entry, &error), VJ_OK);
    /* When two objects define the same symbol, the first definition counts. */
    const vj_bytes twice[] = {object, object};
    error = (vj_error){0};
    assert_int_equal(vj_link_objects(twice, 2, "vj_phase", &code, &entry, &error), VJ_OK);
    vj_bytes_free(&code);
    vj_bytes_free(&object);
    job_free(j);
}

static void test_damaged_objects(void **state) {
    (void)state;
    damaged_objects(vj_target_host(), 20000);
    damaged_objects(vj_target_by_name("riscv64"), 5000);
}

/* Objects */

static vj_model descriptor(const job *j, const vj_tensor_info *in, const vj_tensor_info *outs) {
    return (vj_model){.name = "small \"one\"",
                      .compiler = "test",
                      .cpu = j->target->name,
                      .hash = {1, UINT64_MAX},
                      .input_count = 1,
                      .output_count = 2,
                      .inputs = in,
                      .outputs = outs,
                      .weights_bytes = j->p->weights_bytes,
                      .weights_alignment = 64,
                      .scratch_per_image = j->p->per_image_bytes,
                      .max_batch = MAX_BATCH,
                      .phase_count = j->p->phase_count,
                      .weights_digest = DIGEST};
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void shell(const char *format, const char *a, const char *b) {
    char command[1024];
    snprintf(command, sizeof command, format, a, b);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

/* Tests one object: builds a C program that links it, with the plain compiler, and compares the file that it writes. */
static void try_object(const job *j, const vj_object_abi *abi, const char *folder) {
    const bool inside = abi->weights != NULL;
    char path[256];
    vj_bytes object = generate(j, abi);
    snprintf(path, sizeof path, "%s/small.o", folder);
    write_file(path, object.at, object.size);
    snprintf(path, sizeof path, "%s/small.weights", folder);
    write_file(path, j->file, inside ? 0 : VJ_WEIGHTS_HEADER + (size_t)j->p->weights_bytes);
    snprintf(path, sizeof path, "%s/in", folder);
    write_file(path, j->in, sizeof j->in);
    shell("test -z \"$(nm -u %s/small.o)\"%s", folder, "");
    shell("test -z \"$(nm -g --defined-only %s/small.o | grep -v ' small_')\"%s", folder, "");
    shell("test -z \"$(nm --defined-only %s/small.o | grep -i ' [bdc] ' | grep -v ' d vj_abi_')\"%s", folder, "");
    shell(VJ_CC " -Wall -Werror -I " VJ_INCLUDE_DIR " -o %s/main " VJ_TEST_DIR "/main.c %s/small.o -lm", folder,
          folder);
    shell("%s/main %s", folder, folder);
    snprintf(path, sizeof path, "%s/out", folder);
    static float out[7 * (IMAGE + ROWS)];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(out, sizeof(float), 7 * (IMAGE + ROWS), f), 7 * (IMAGE + ROWS));
    fclose(f);
    compare(j, 7, out, out + 7 * IMAGE);
    vj_bytes_free(&object);
}

static const vj_tensor_info in_info = {"image", VJ_F32, 3, {-1, ROWS, COLS}, IMAGE * 4, 0};
static const vj_tensor_info out_infos[2] = {{"y", VJ_F32, 3, {-1, ROWS, COLS}, IMAGE * 4, 0},
                                            {"mean", VJ_F32, 2, {-1, ROWS}, ROWS * 4, 0}};

static void test_objects(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-aot-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (int32_t t = 0; t < vj_target_count(); t++)
        for (int32_t inside = 0; inside < 2; inside++) {
            if (!vj_target_runs_here(vj_target_at(t))) continue;
            job *j = job_new(vj_target_at(t));
            const vj_model model = descriptor(j, &in_info, out_infos);
            const vj_variant variant = {j->p, j->target};
            const vj_object_abi abi = {.prefix = "small",
                                       .cpu_count = 1,
                                       .shape_count = 1,
                                       .variants = &variant,
                                       .shapes = &model,
                                       .weights = inside ? j->weights : NULL};
            try_object(j, &abi, folder);
            job_free(j);
        }
    shell("rm -r %s%s", folder, "");
}

/* An object for two shapes and every CPU of this architecture, including those that cannot run here. */
static void test_variants(void **state) {
    (void)state;
    enum { SHAPES = 2, MOST = 16 };
    char folder[] = "/tmp/vitjit-aot-XXXXXX";
    vj_variant variants[SHAPES * MOST];
    job *jobs[MOST];
    int32_t cpus = 0;
    assert_non_null(mkdtemp(folder));
    for (int32_t t = 0; t < vj_target_count() && cpus < MOST; t++)
        if (vj_target_at(t)->machine == vj_target_host()->machine) jobs[cpus++] = job_new(vj_target_at(t));
    vj_model shapes[SHAPES];
    shapes[0] = shapes[1] = descriptor(jobs[0], &in_info, out_infos);
    shapes[1].max_batch = MAX_BATCH - 1;
    for (int32_t i = 0; i < SHAPES * cpus; i++)
        variants[i] = (vj_variant){jobs[i % cpus]->p, jobs[i % cpus]->target};
    for (int32_t i = 0; i < cpus; i++) {
        assert_memory_equal(jobs[i]->weights, jobs[0]->weights, (size_t)jobs[0]->p->weights_bytes);
        for (int32_t s = 0; s < SHAPES; s++)
            shapes[s].scratch_per_image = vj_max64(shapes[s].scratch_per_image, jobs[i]->p->per_image_bytes);
    }
    const vj_object_abi abi = {
        .prefix = "small", .cpu_count = cpus, .shape_count = SHAPES, .variants = variants, .shapes = shapes};
    try_object(jobs[0], &abi, folder);
    for (int32_t i = 0; i < cpus; i++)
        job_free(jobs[i]);
    shell("rm -r %s%s", folder, "");
}

/* The descriptors must hold for each program, and an object is for one architecture. */
static void test_bad_variants(void **state) {
    (void)state;
    job *j = job_new(vj_target_by_name("x86-64-v2")), *other = job_new(vj_target_by_name("aarch64"));
    vj_model shapes[2];
    shapes[0] = shapes[1] = descriptor(j, &in_info, out_infos);
    vj_variant variants[2] = {{j->p, j->target}, {other->p, other->target}};
    vj_object_abi abi = {.prefix = "small", .cpu_count = 2, .shape_count = 1, .variants = variants, .shapes = shapes};
    vj_bytes object;
    vj_codegen_stats stats;
    vj_error error = {0};
    assert_int_equal(vj_generate_object(&abi, VJ_EMIT_OBJECT, &object, &stats, &error), VJ_USAGE);
    error = (vj_error){0};
    abi.cpu_count = 1;
    abi.shape_count = 2;
    assert_int_equal(vj_generate_object(&abi, VJ_EMIT_OBJECT, &object, &stats, &error), VJ_USAGE);
    variants[1] = variants[0];
    shapes[1].scratch_per_image--;
    error = (vj_error){0};
    assert_int_equal(vj_generate_object(&abi, VJ_EMIT_OBJECT, &object, &stats, &error), VJ_SYSTEM);
    assert_null(object.at);
    job_free(j);
    job_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images),       cmocka_unit_test(test_every_target),
                                       cmocka_unit_test(test_objects),      cmocka_unit_test(test_variants),
                                       cmocka_unit_test(test_bad_variants), cmocka_unit_test(test_damaged_objects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
