/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - sequences of calls of the C API on a small model, right and wrong ones. The memory that is given is always there, and exactly as
 * large as is said, so that what the sanitizer sees is the library's. */
#include "target.h"

#include "made_model.h"

enum { SESSIONS = 3, BLOCKS = 64, MOST = 4096 };

typedef struct play {
    supply s;
    vj_model *model;
    vj_session *sessions[SESSIONS];
    uint8_t *given[SESSIONS]; /* y of each */
    void *blocks[BLOCKS];
    int32_t block_count;
    vj_family *family;
} play;

/* Memory that stays to the end of the sequence. */
static uint8_t *block(play *p, size_t bytes) {
    if (p->block_count == BLOCKS) return NULL;
    uint8_t *at = calloc(1, bytes ? bytes : 1);
    if (!at) exit(2);
    p->blocks[p->block_count++] = at;
    return at;
}

static int64_t number(play *p) {
    static const int64_t strange[] = {
        0, -1, 1, 2, 3, 4, 5, 8, 9, 10, 100, INT32_MAX, INT64_MAX, INT64_MIN, INT64_MAX / 4, INT64_MAX / 8 + 1};
    const uint8_t pick = next_byte(&p->s);
    return pick == 255 ? (int64_t)next_u64(&p->s) : strange[pick % (sizeof strange / sizeof *strange)];
}

static int32_t small(play *p) { return (int32_t)(next_byte(&p->s) % 12) - 2; }

static const char *name(play *p) {
    static const char *const names[] = {"x", "k", "y", "z", "", "nobody", NULL, "x"};
    return names[next_byte(&p->s) % 8];
}

static void bind_right(play *p, int32_t i) {
    const int64_t n = 1 + next_byte(&p->s) % MADE_BATCH;
    const int64_t x[] = {n, 4}, k[] = {2};
    static const int32_t wanted[] = {1, 2};
    uint8_t *inputs = block(p, (size_t)n * MADE_X), *fixed = block(p, MADE_K), *y = block(p, (size_t)n * MADE_Y);
    uint8_t *z = block(p, MADE_Z);
    if (!z) return;
    memcpy(fixed, wanted, sizeof wanted);
    vj_session *session = p->sessions[i];
    const vj_status expected = session ? VJ_OK : VJ_USAGE;
    MUST(vj_bind_input(session, "x", inputs, (size_t)n * MADE_X, VJ_F32, x, 2) == expected);
    MUST(vj_bind_input(session, "k", fixed, MADE_K, VJ_I32, k, 1) == expected);
    MUST(vj_bind_output(session, 0, y, (size_t)n * MADE_Y) == expected);
    MUST(vj_bind_output(session, 1, z, MADE_Z) == expected);
    p->given[i] = y;
}

static void bind_input_wrong(play *p, int32_t i) {
    int64_t dims[12] = {0};
    const char *of = name(p);
    const size_t bytes = (size_t)number(p), there = bytes < MOST ? bytes : MOST;
    const vj_dtype dtype = (vj_dtype)small(p);
    const int32_t rank = small(p);
    for (int32_t d = 0; d < rank; d++)
        dims[d] = number(p);
    uint8_t *at = next_byte(&p->s) % 8 ? block(p, there) : NULL;
    const vj_status status =
        vj_bind_input(p->sessions[i], of, at, bytes, dtype, next_byte(&p->s) % 8 ? dims : NULL, rank);
    MUST(status != VJ_OK || there == bytes);
}

static void bind_output_wrong(play *p, int32_t i) {
    const int32_t output = small(p);
    const size_t bytes = (size_t)number(p), there = bytes < MOST ? bytes : MOST;
    uint8_t *at = next_byte(&p->s) % 8 ? block(p, there) : NULL;
    const size_t bound = vj_output_bound(p->sessions[i], output);
    const vj_status status = vj_bind_output(p->sessions[i], output, at, bytes);
    MUST(status != VJ_OK || (bytes >= bound && bound <= MOST));
    if (status == VJ_OK && output == 0) p->given[i] = at;
}

static void run(play *p, int32_t i) {
    int64_t dims[VJ_MODEL_MAX_RANK];
    made_size = number(p);
    if (p->given[i]) p->given[i][0] = 0;
    if (vj_run(p->sessions[i]) != VJ_OK) return;
    MUST(p->given[i] && p->given[i][0] == 1);
    MUST(vj_output_shape(p->sessions[i], 1, dims) == 1 && dims[0] >= 0 && dims[0] <= 5);
}

static void ask(play *p) {
    int64_t dims[VJ_MODEL_MAX_RANK], weights, arena;
    const int32_t i = small(p);
    const int64_t n = number(p);
    const vj_model *m = next_byte(&p->s) % 8 ? p->model : NULL;
    vj_model_stats stats = {.size = (size_t)number(p)};
    MUST(vj_input_name(m, i) && vj_output_name(m, i) && vj_model_metadata(m) && vj_error_message());
    (void)vj_input_find(m, name(p));
    (void)vj_dtype_name(vj_input_dtype(m, i));
    (void)vj_dtype_bytes(vj_output_dtype(m, i));
    (void)vj_input_shape(m, i, n, dims);
    (void)vj_output_shape_of(m, i, n, dims);
    (void)vj_input_fixed_value(m, i);
    (void)vj_plan_bytes(m, n, &weights, &arena);
    (void)vj_model_get_stats(m, &stats);
    (void)vj_object_check(m, n, small(p), NULL, 0);
    (void)vj_dtype_name((vj_dtype)i);
    (void)vj_dtype_bytes((vj_dtype)n);
}

static void open_family(play *p) {
    vj_range ranges[3];
    const int32_t count = next_byte(&p->s) % 4;
    for (int32_t i = 0; i < count; i++)
        ranges[i] =
            (vj_range){.input = name(p), .dim = small(p), .least = number(p), .most = number(p), .step = number(p)};
    vj_family_free(p->family);
    MUST((vj_family_open("/nowhere/model.onnx", NULL, ranges, count, &p->family) == VJ_OK) == (p->family != NULL));
}

static void use_family(play *p) {
    vj_shape shapes[3];
    vj_model *model;
    const int32_t count = next_byte(&p->s) % 4;
    for (int32_t i = 0; i < count; i++) {
        shapes[i] = (vj_shape){.name = name(p), .rank = small(p)};
        for (int32_t d = 0; d < VJ_MODEL_MAX_RANK; d++)
            shapes[i].dims[d] = number(p);
    }
    (void)vj_family_round_up(p->family, shapes, count);
    MUST(vj_family_model(p->family, shapes, count, &model) != VJ_OK && !model);
}

/* Options that make no sense, of a compilation that finds no compiler. */
static void compile_wrong(play *p) {
    static const uint8_t bytes[] = "no model";
    vj_options o;
    vj_model *model;
    vj_shape shape = {.name = name(p), .rank = small(p)};
    const char *also = name(p), *keep = name(p);
    const vj_fixed_input fixed = {name(p), (vj_dtype)small(p), small(p), {number(p), number(p)}, bytes, sizeof bytes};
    vj_options_init(&o);
    o.cache = "";
    if (next_byte(&p->s) % 4 == 0) o.size = (size_t)number(p);
    o.threads = small(p);
    o.shapes = &shape;
    o.shape_count = next_byte(&p->s) % 3 - 1;
    o.also_outputs = &also;
    o.also_output_count = next_byte(&p->s) % 3 - 1;
    o.fixed = &fixed;
    o.fixed_count = next_byte(&p->s) % 3 - 1;
    o.keep_f32 = &keep;
    o.keep_f32_count = next_byte(&p->s) % 3 - 1;
    o.keep_attention = small(p);
    o.precision = (vj_dtype)small(p);
    o.weight_format = (vj_dtype)small(p);
    o.log_level = small(p);
    MUST(vj_compile_memory(bytes, sizeof bytes, &o, &model) != VJ_OK && !model);
    MUST(vj_load("/nowhere/model.so", &o, &model) != VJ_OK && !model);
}

/* One after another, the last first. */
static void run_backwards(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    (void)self;
    for (int32_t part = parts - 1; part >= 0; part--)
        task(arg, part);
}

static void begin(play *p) {
    const uint8_t how = next_byte(&p->s);
    const vj_threads threads = {.parts = 1 + how / 8 % 8, .run = run_backwards};
    vj_options options;
    vj_options_init(&options);
    options.threads = how % 8 == 7 ? 2 : 1; /* threads take long to make */
    if (how % 8 < 3) options.scheduler = &threads;
    vj_compiled compiled = {.weights_fd = -1, .orc_phase = made_phase};
    compiled.image = made_image(&compiled.image_bytes);
    MUST(vj_model_new(&compiled, &options, &p->model) == VJ_OK);
}

static void step(play *p) {
    const uint8_t what = next_byte(&p->s);
    const int32_t i = what / 16 % SESSIONS;
    switch (what % 16) {
    case 0:
    case 1:
        vj_session_free(p->sessions[i]);
        MUST(vj_session_create(p->model, &p->sessions[i]) == VJ_OK);
        p->given[i] = NULL;
        break;
    case 2:
        vj_session_free(p->sessions[i]);
        p->sessions[i] = NULL;
        p->given[i] = NULL;
        break;
    case 3:
    case 4:
        bind_right(p, i);
        break;
    case 5:
    case 6:
        bind_input_wrong(p, i);
        break;
    case 7:
        bind_output_wrong(p, i);
        break;
    case 8:
    case 9:
    case 10:
        run(p, i);
        break;
    case 11:
        ask(p);
        break;
    case 12:
        open_family(p);
        break;
    case 13:
        use_family(p);
        break;
    case 14:
        compile_wrong(p);
        break;
    default:
        (void)vj_session_record(p->sessions[i], number(p));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    play p = {.s = {data, size}};
    begin(&p);
    while (p.s.left > 0)
        step(&p);
    for (int32_t i = 0; i < SESSIONS; i++)
        vj_session_free(p.sessions[i]);
    vj_family_free(p.family);
    vj_model_free(p.model);
    for (int32_t i = 0; i < p.block_count; i++)
        free(p.blocks[i]);
    return 0;
}
