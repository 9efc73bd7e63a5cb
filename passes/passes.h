/* SPDX-License-Identifier: Apache-2.0 */
/* passes.h - what happens to a function between the frontend and the backend. pipeline.c has the whole order on a page.
 *
 * tensor level   fold, canonicalise, recognise (layernorm, gelu, softmax, attention, qkv), weights algebra
 * kernel level   lower: movement ops become access maps, elementwise ops become epilogues or nests
 * planned level  schedule, partition into phases, plan memory
 *
 * Every pass is idempotent, counts what it did, and is verified after (always in debug builds and tests).
 */
#ifndef VITJIT_PASSES_PASSES_H
#define VITJIT_PASSES_PASSES_H

#include "ir/kernel/kernel.h"
#include "target/schedule.h"

/* What recognition found: counts, and for what was not fused the first reason why. */
typedef struct vj_report_row {
    const char *what; /* attention, qkv, layernorm, rmsnorm, gelu, patch_embedding, residual, softmax, bf16,
                       * half_weights, int8_weights, int4_weights, block_weights, quantised */
    int32_t fused, seen;
    const char **reasons; /* one for each that was not: "node 'x': why" */
    int32_t reason_count, reason_capacity;
} vj_report_row;
#define VJ_REPORT_ROWS 16
typedef struct vj_report {
    vj_arena *arena;
    vj_report_row rows[VJ_REPORT_ROWS];
    int32_t row_count;
} vj_report;
vj_report_row *vj_report_row_of(vj_report *report, const char *what); /* made when it is new */
void vj_report_seen(vj_report *report, const char *what);
void vj_report_fused(vj_report *report, const char *what);
void vj_report_reason(vj_report *report, const char *what, const char *format, ...) VJ_PRINTF(3, 4);

/* In what a product is computed, as it was chosen by trying it on data (docs/numbers.md). */
typedef struct vj_layer_choice {
    const char *node;    /* vj_node_label; of several such products the entries stand in their order */
    vj_dtype precision;  /* VJ_F32, VJ_BF16 or VJ_I8 */
    int64_t depth;       /* of the smoothing; 0: there is none */
    const int8_t *shift; /* [depth]: of VJ_I8, activations times 2^-shift by weights times 2^shift */
    float
        largest; /* of VJ_I8: the weight's largest size of a number, by which another model's is known; 0: not known */
} vj_layer_choice;
typedef struct vj_calibration {
    vj_layer_choice *layers;
    int32_t layer_count;
    int64_t inputs;                 /* that it was tried on */
    double least_cosine, agreement; /* of the results, with those of f32; agreement below 0: there are no classes */
} vj_calibration;

struct vj_pass;
typedef struct vj_pipeline_options {
    const vj_target *target;
    const char *print_after; /* a pass name, "all", or NULL */
    const char *stop_after;
    const char *const *disabled;
    int32_t disabled_count;
    int32_t pass_limit;          /* rewrites in all; -1: no limit */
    FILE *dump;                  /* where print_after goes; NULL: stderr */
    bool print_rewrites;         /* a line a rewrite, where print_after goes: pass, rule, node */
    int32_t keep_attention;      /* vj_keep_attention */
    vj_dtype precision;          /* what products are computed in: VJ_F32, VJ_BF16 or VJ_I8; VJ_NO_DTYPE (0) is f32 */
    vj_dtype weight_format;      /* how weights of products are stored: VJ_F32 (or 0), VJ_F16, VJ_BF16, VJ_I8, VJ_I4 */
    const char *const *keep_f32; /* fnmatch patterns of node labels whose products stay in f32 */
    int32_t keep_f32_count;
    bool *keep_f32_matched;            /* which of them matched a product */
    const vj_calibration *calibration; /* of precision VJ_I8, or NULL */
    bool *layer_matched;               /* which of its layers are a product's */
    bool probe;  /* what products lose in smaller types, and largest numbers, become outputs (precision_probe.c) */
    bool verify; /* after every pass, in release builds too */
    int32_t (*cancel)(void *self);
    void *cancel_self;
    void (*tell)(void *self, const struct vj_pass *pass, int64_t rewrites, double ms); /* NULL, or called behind each */
    void *tell_self;
} vj_pipeline_options;

/* What a pass works on. */
typedef struct vj_rule_set vj_rule_set;
typedef struct vj_pass_context {
    vj_arena *arena;
    vj_func *f;
    vj_program *p; /* from `lower` on */
    const vj_pipeline_options *options;
    vj_report *report;
    vj_error *error;
    int64_t rewrites;       /* what the running pass did */
    int32_t rewrites_left;  /* of pass_limit; -1: no limit */
    const char *pass;       /* the running one's name */
    vj_rule_set *rule_sets; /* rules.c: tables of rules, each parsed when it is first applied */
} vj_pass_context;
/* A pass asks before each rewrite and notes it; false: the limit is reached. What is rewritten, by the rule's name, and
 * the node that gave way (NULL: the whole function) are for --print-rewrites. */
bool vj_may_rewrite(vj_pass_context *c, const char *rule, const vj_node *node);

typedef enum vj_level { VJ_LEVEL_TENSOR, VJ_LEVEL_KERNEL, VJ_LEVEL_PLANNED } vj_level;
typedef struct vj_pass {
    const char *name;
    const char *about; /* one line for --help and docs */
    vj_level before, after;
    vj_status (*run)(vj_pass_context *c);
} vj_pass;
int32_t vj_pass_count(void);
const vj_pass *vj_pass_at(int32_t i);
const vj_pass *vj_pass_by_name(const char *name);

/* pipeline.c: runs all passes in order. On success p is the planned program (NULL when stopped before lowering). */
vj_status vj_run_passes(vj_arena *arena, vj_func *f, const vj_pipeline_options *options, vj_report *report,
                        vj_program **p, vj_error *error);
/* One pass alone, for tests. */
vj_status vj_run_pass(const vj_pass *pass, vj_pass_context *c);

/* weight_read.c - weight expressions (vj_is_weight). Constant-only sub-graphs whose result is large are not folded:
 * their elements are computed in blocks when the weights are packed. */
typedef struct vj_weight_reader vj_weight_reader;
vj_weight_reader *vj_weight_reader_new(vj_arena *arena, const vj_func *f);
/* Elements [first, first + count) of v in row-major order, as float. */
bool vj_weight_read(vj_weight_reader *r, vj_value v, int64_t first, int64_t count, float *out,
                    vj_error *error) VJ_MUST_USE;

/* rewrite/blocks.c - the source of a weight in blocks: (numbers - zeros) * scales, or numbers * scales where each number is one of a table,
 * all of its dims, f32 or rounded to bf16 */
typedef struct vj_block_parts {
    vj_value numbers, zeros, scales; /* f32 */
    vj_value
        table; /* a constant of up to 16 f32 of which numbers are gathered; there are no zeros then. VJ_NONE: none */
    int32_t bits, least; /* of a number, and the least that there is */
} vj_block_parts;
bool vj_find_blocks(const vj_func *f, vj_value source, vj_block_parts *parts);

#endif
