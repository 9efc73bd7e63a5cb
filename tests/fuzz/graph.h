/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h - the parts of the differential fuzzer.
 *
 * settings.c        reads arguments
 * apart.c           runs work in a process of its own
 * random.c          numbers from a seed
 * make.c            makes random functions: the shared part, and nodes of ops that have no row in make_ops.c
 * make_ops.c        chooses fitting operands and attributes for ops where chance would seldom find them
 * make_patterns.c   makes what exporters write: attention, LayerNorm, GELU, ..., each in many spellings
 * make_quantised.c  makes products of dequantised bytes
 * make_blocks.c     makes products with weights that have a scale a block
 * clone.c           copies functions: with a fixed batch, without a node, with smaller dims
 * truth.c           evaluates a function in double precision, and how far rounding may lead from there
 * machine.c         runs a compiled function on buffers between guard pages
 * check.c           checks all that must hold for one function
 * shrink.c          finds a smaller function that fails in the same way
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
/* Reads a setting from argv[i] on. Returns how many arguments it took, or 0 when argv[i] is no setting. */
int read_setting(settings *s, int argc, char **argv, int i);
/* Reads a file and adds a zero behind its bytes. Ends the program with status 2 when it cannot. */
uint8_t *read_file(const char *path, size_t *size);

/* apart.c: runs `work`, which fills `result`, in a child process. Returns false when it failed; `why` says how it
 * ended. */
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
    int64_t batch;          /* if > 0, replaces N */
    vj_value skipped;       /* a value whose uses become those of `instead`, an earlier value; VJ_NONE: none */
    vj_value instead;       /* VJ_NONE: a new input of the same type */
    int64_t dim, dim_after; /* every dim `dim` becomes `dim_after`; 0: none does */
    const bool *dropped;    /* for each output, whether it is dropped; NULL: none is */
    bool drop_inputs;       /* whether unused inputs are dropped */
    vj_value only;          /* the value that becomes the only output; VJ_NONE: the function's outputs stay */
} clone_plan;
#define CLONE_PLAIN ((clone_plan){.skipped = VJ_NONE, .instead = VJ_NONE, .only = VJ_NONE})
/* Copies a function with the changes of `plan`. Returns NULL when the changed nodes do not fit together. Unused nodes
 * go, unused inputs stay unless drop_inputs says otherwise. */
vj_func *clone(vj_arena *arena, const vj_func *f, const clone_plan *plan);
/* Compacts the function, and closes its batch when no value has N any more. */
void settle(vj_func *f);

/* make.c */
typedef struct maker {
    vj_arena *arena;
    vj_func *f;
    /* The twin has the same nodes in the same order with a batch of TWIN_BATCH. Each is evaluated at once, into `at`,
     * so that a node whose result says nothing (infinite, NaN) can be taken back. */
    vj_func *twin;
    vj_tensor **at;
    int32_t at_capacity;
    rng *random;
    vj_value *usable; /* the values that later nodes may use */
    int32_t usable_count, usable_capacity;
    int64_t most_elements; /* the most elements of a value, for an image */
    bool open;             /* whether types may have N */
} maker;
enum { TWIN_BATCH = 2 };

vj_func *make_function(vj_arena *arena, uint64_t seed, bool *has_batch);
/* For make_ops.c and make_patterns.c. Each function accepts VJ_NONE for an operand that could not be made. */
vj_value make_node(maker *m, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                   int32_t attr_count);
vj_value make_unary(maker *m, vj_op op, vj_value x);
vj_value make_binary(maker *m, vj_op op, vj_value a, vj_value b);
vj_value make_constant(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims);
vj_value make_number(maker *m, vj_dtype dtype, double number); /* of rank 0, or 1 */
vj_value make_list(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims, const int64_t *elements);
vj_value make_floats(maker *m, int64_t count, const double *elements); /* f32 */
vj_value make_seeded(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims);
/* u8 or i8 of all bits, or of 4 of them in nibbles */
vj_value make_bytes(maker *m, vj_dtype dtype, vj_nibbles nibbles, int32_t rank, const int64_t *dims);
vj_value any_value(maker *m);                          /* a usable value */
vj_value any_of(maker *m, bool (*is)(vj_dtype dtype)); /* one of such a type, or VJ_NONE */
vj_value any_float(maker *m, int32_t least_rank);      /* mostly f32; it is made when there is none */
vj_value reshaped(maker *m, vj_value x, int32_t rank, const vj_dim *dims);
vj_value transposed(maker *m, vj_value x, const int64_t *perm);
vj_value sliced(maker *m, vj_value x, int32_t axis, int64_t start, int64_t size, int64_t step);
vj_value reduced(maker *m, vj_value x, int64_t axis, const char *kind, int64_t keep);
static inline const vj_type *type_in(const maker *m, vj_value v) { return vj_type_at(m->f, v); }
void permutation(rng *r, int64_t *perm, int32_t count);

/* make_ops.c: the function that makes a node of op, or NULL: then operands and attributes are guessed from ops.def */
typedef vj_value (*make_row)(maker *m, vj_op op);
make_row row_of(vj_op op);
/* make_patterns.c: a random pattern in one of its spellings */
vj_value make_pattern(maker *m);
vj_value make_quantised(maker *m); /* make_quantised.c: one of them, a product of dequantised bytes */
vj_value make_blocks(maker *m);    /* make_blocks.c: one with a weight that has a scale a block */

/* truth.c */
typedef struct truth {
    int32_t count; /* of outputs */
    vj_tensor **exact;
    double **apart; /* for each element how far rounding led in the samples; infinite when it cannot be judged */
    int32_t samples;
} truth;
/* The number of a type that is nearest; `flush`: 0 for those too small to be normal ones. */
double rounded(vj_dtype dtype, double x, bool flush);
/* `f` must have no open dims. */
truth *truth_of(vj_arena *arena, const vj_func *f, vj_tensor *const *inputs, uint64_t seed, int32_t samples,
                vj_error *error);
/* Says what is wrong with `got`, or returns NULL. */
const char *differs(vj_arena *arena, const truth *t, vj_tensor *const *got);
/* Counts the elements that can be judged, and all elements. */
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
    char text[1500]; /* what is wrong, or why it is unsupported */
    int64_t judged, elements;
    int32_t kernels;
} outcome;
/* Checks a function. The seed decides inputs, batch, target, threads and what else is tried. */
void check_function(const vj_func *f, uint64_t seed, outcome *out);
/* The same in a process of its own, so that crashes and endless loops are outcomes. */
void check_apart(const vj_func *f, uint64_t seed, outcome *out);

/* shrink.c: returns a smaller function, in the arena, that fails in the same way. Takes at most `seconds`. */
const vj_func *shrink(vj_arena *arena, const vj_func *f, uint64_t seed, double seconds, outcome *out);

#endif
