/* graph.h - the differential fuzzer's parts.
 *
 * settings.c  arguments
 * apart.c     work in a process of its own
 * random.c    numbers from a seed
 * make.c      random functions: what is shared; a row of table an op, found through ops.def
 * make_ops.c  operands and attributes that fit, for the ops where chance alone would seldom find them
 * make_patterns.c   what exporters write: attention, LayerNorm, GELU, ... each in many spellings
 * clone.c     copies of functions: with a fixed batch, without a node, with smaller dims
 * truth.c     the function in double precision, and how far rounding may lead from there
 * machine.c   a compiled function, run on buffers between guard pages
 * check.c     all that must hold for one function
 * shrink.c    a smaller function that fails alike
 */
#ifndef VITJIT_TESTS_FUZZ_GRAPH_H
#define VITJIT_TESTS_FUZZ_GRAPH_H

#include "ir/kernel/kernel.h"
#include "target/target.h"

/* settings.c */
typedef struct settings {
    double seconds;
    uint64_t seed;
    int64_t count;
    bool verbose;
} settings;
#define SETTINGS ((settings){.seconds = 60, .seed = 1, .count = INT64_MAX})
/* How many arguments from argv[i] on it has read; 0: it is none of these. */
int read_setting(settings *s, int argc, char **argv, int i);
/* Ends with status 2 when it cannot be read. A zero stands behind the bytes. */
uint8_t *read_file(const char *path, size_t *size);

/* apart.c: `work` fills `result` in a child. False: `why` says how it ended. */
bool run_apart(void (*work)(void *self), void *self, void *result, size_t bytes, char *why, size_t room);

/* random.c: splitmix64 (Steele, Lea, Flood 2014) */
typedef struct rng {
    uint64_t state;
} rng;
uint64_t rng_bits(rng *r);
int32_t pick(rng *r, int32_t below); /* 0 .. below - 1 */
bool chance(rng *r, int32_t percent);
double real(rng *r, double low, double high);

/* clone.c */
typedef struct clone_plan {
    int64_t batch;          /* > 0: takes the place of N */
    vj_value skipped;       /* its uses become `instead`, which is made before it; VJ_NONE: none */
    vj_value instead;       /* VJ_NONE: a new input of the same type */
    int64_t dim, dim_after; /* every dim `dim` becomes `dim_after`; 0: none */
    const bool *dropped;    /* outputs; NULL: none */
    bool drop_inputs;       /* those that nobody uses */
    vj_value only;          /* this value becomes the only output; VJ_NONE: the function's outputs stay */
} clone_plan;
#define CLONE_PLAIN ((clone_plan){.skipped = VJ_NONE, .instead = VJ_NONE, .only = VJ_NONE})
/* NULL when the changed nodes do not fit each other. Unused nodes go, unused inputs stay. */
vj_func *clone(vj_arena *arena, const vj_func *f, const clone_plan *plan);
/* Compacts, and forgets an N that no value has any more. */
void settle(vj_func *f);

/* make.c */
typedef struct maker {
    vj_arena *arena;
    vj_func *f; /* what is made */
    vj_func
        *twin; /* the same nodes in the same order with a batch of TWIN_BATCH: they are evaluated at once, so that */
    vj_tensor **at; /* numbers that say nothing (infinite, not numbers) seldom come */
    int32_t at_capacity;
    rng *random;
    vj_value *usable; /* operands of later nodes */
    int32_t usable_count, usable_capacity;
    int64_t most_elements; /* of a value, an image */
    bool open;             /* N may stand in types */
} maker;
enum { TWIN_BATCH = 2 };

vj_func *make_function(vj_arena *arena, uint64_t seed, bool *has_batch);
/* What the rows of make_ops.c and the patterns use. Each takes VJ_NONE for an operand that could not be made. */
vj_value make_node(maker *m, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                   int32_t attr_count);
vj_value make_unary(maker *m, vj_op op, vj_value x);
vj_value make_binary(maker *m, vj_op op, vj_value a, vj_value b);
vj_value make_constant(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims);
vj_value make_number(maker *m, vj_dtype dtype, double number); /* of rank 0, or 1 */
vj_value make_list(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims, const int64_t *elements);
vj_value any_value(maker *m);                          /* one that may be used */
vj_value any_of(maker *m, bool (*is)(vj_dtype dtype)); /* of such a type; VJ_NONE: there is none */
vj_value any_float(maker *m, int32_t least_rank);      /* f32 mostly; made when there is none */
vj_value reshaped(maker *m, vj_value x, int32_t rank, const vj_dim *dims);
vj_value transposed(maker *m, vj_value x, const int64_t *perm);
vj_value sliced(maker *m, vj_value x, int32_t axis, int64_t start, int64_t size, int64_t step);
vj_value reduced(maker *m, vj_value x, int64_t axis, const char *kind, int64_t keep);
static inline const vj_type *type_in(const maker *m, vj_value v) { return vj_type_at(m->f, v); }
void permutation(rng *r, int64_t *perm, int32_t count);

/* make_ops.c: a row for op, or NULL: then operands and attributes are guessed from ops.def */
typedef vj_value (*make_row)(maker *m, vj_op op);
make_row row_of(vj_op op);
/* make_patterns.c: one of them, in one of its spellings */
vj_value make_pattern(maker *m);

/* truth.c */
typedef struct truth {
    int32_t count; /* outputs */
    vj_tensor **exact;
    double **apart; /* per element: how far rounding led in the samples; infinite: anything may come */
    int32_t samples;
} truth;
/* `f` has no open dims. */
truth *truth_of(vj_arena *arena, const vj_func *f, vj_tensor *const *inputs, uint64_t seed, int32_t samples,
                vj_error *error);
/* Says what is wrong with `got`, or returns NULL. */
const char *differs(vj_arena *arena, const truth *t, vj_tensor *const *got);
/* How many elements of all cannot be judged. */
void count_judged(const truth *t, int64_t *judged, int64_t *all);

/* machine.c */
typedef struct machine machine;
machine *machine_new(vj_arena *arena, const vj_program *p, const vj_target *target, int32_t threads, bool by_orc,
                     vj_error *error);
/* One run of n images in `parts` parts, one after another, the last first when `backwards`. Returns what is wrong with
 * the memory around the outputs, or NULL. */
const char *machine_run(machine *x, int64_t n, vj_tensor *const *inputs, vj_tensor **outputs, int32_t parts,
                        bool backwards);
void machine_free(machine *x);
const void *machine_code(const machine *x, size_t *bytes);
int machine_can(const vj_target *target);

/* check.c */
typedef struct outcome {
    enum { FINE, UNSUPPORTED, VACUOUS, WRONG } what;
    char text[1500]; /* WRONG: what; UNSUPPORTED: why */
    int64_t judged, elements;
    int32_t kernels;
} outcome;
/* The seed decides about inputs, batch, target, threads and what else is tried. */
void check_function(const vj_func *f, uint64_t seed, outcome *out);
/* The same in a process of its own: crashes and endless loops are outcomes. */
void check_apart(const vj_func *f, uint64_t seed, outcome *out);

/* shrink.c: in the arena; `seconds` at most */
const vj_func *shrink(vj_arena *arena, const vj_func *f, uint64_t seed, double seconds, outcome *out);
double seconds_now(void);

#endif
