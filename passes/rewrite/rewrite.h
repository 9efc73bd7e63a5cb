/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.h - what the passes of all rooms share: their entries, the rule engine, small builders.
 *
 * rules.c, rules_parse.c  rewriting by rules that are text: pattern, condition, replacement
 * build.c                 building nodes without fuss
 * factors.c               which weights products pack, and which the model stores in a half
 * blocks.c, block_size.c  weights of 4 and 8 bits, as the model has them; block_weight.c, block_fit.c: as they are made of floats
 * cse.c                   common sub-expressions
 *
 * The order of all passes is passes/pipeline.c.
 */
#ifndef VITJIT_PASSES_REWRITE_REWRITE_H
#define VITJIT_PASSES_REWRITE_REWRITE_H

#include "passes/passes.h"

vj_status vj_pass_bound(vj_pass_context *c);
vj_status vj_pass_widen(vj_pass_context *c);
vj_status vj_pass_fold(vj_pass_context *c);
vj_status vj_pass_empty(vj_pass_context *c);
vj_status vj_pass_canonicalise(vj_pass_context *c);
vj_status vj_pass_quantised(vj_pass_context *c);
vj_status vj_pass_byte_table(vj_pass_context *c);
vj_status vj_pass_fake_quantise(vj_pass_context *c);
vj_status vj_pass_layernorm(vj_pass_context *c);
vj_status vj_pass_gelu(vj_pass_context *c);
vj_status vj_pass_softmax(vj_pass_context *c);
vj_status vj_pass_attention(vj_pass_context *c);
vj_status vj_pass_attention_weights(vj_pass_context *c);
vj_status vj_pass_qkv(vj_pass_context *c);
vj_status vj_pass_weights(vj_pass_context *c);
vj_status vj_pass_narrow(vj_pass_context *c);
vj_status vj_pass_tidy(vj_pass_context *c);
vj_status vj_pass_byte_blocks(vj_pass_context *c);
vj_status vj_pass_precision(vj_pass_context *c);
vj_status vj_pass_weight_blocks(vj_pass_context *c);
vj_status vj_pass_weight_format(vj_pass_context *c);
vj_status vj_pass_report(vj_pass_context *c);
vj_status vj_pass_lower(vj_pass_context *c);
vj_status vj_pass_turn(vj_pass_context *c);
vj_status vj_pass_layout(vj_pass_context *c);
vj_status vj_pass_partition(vj_pass_context *c);
vj_status vj_pass_plan(vj_pass_context *c);

/* build.c */

/* A node whose operands are known to fit; an error there is a broken invariant of the pass. */
vj_value vj_make(vj_func *f, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                 int32_t attr_count, const vj_origin *origin);
vj_value vj_make_binary(vj_func *f, vj_op op, vj_value a, vj_value b, const vj_origin *origin);
vj_value vj_make_cast(vj_func *f, vj_value x, vj_dtype to, const vj_origin *origin);
vj_value vj_make_transpose(vj_func *f, vj_value x, const int64_t *perm, const vj_origin *origin);
vj_value vj_make_reshape(vj_func *f, vj_value x, int32_t rank, const vj_dim *dims, const vj_origin *origin);
/* Elements [start, start + size) of one axis. */
vj_value vj_make_slice(vj_func *f, vj_value x, int32_t axis, int64_t start, int64_t size, const vj_origin *origin);
/* The same number of elements, `step` apart. */
vj_value vj_make_strided_slice(vj_func *f, vj_value x, int32_t axis, int64_t start, int64_t size, int64_t step,
                               const vj_origin *origin);
/* The name that messages give a node. */
const char *vj_node_label(const vj_func *f, const vj_node *node);
/* Is v a constant whose elements are all one number? Reads constants of any size that are not too large. */
bool vj_is_uniform(const vj_func *f, vj_value v, double *number);
/* Do the windows of a convolution tile the picture? */
bool vj_is_patch_embedding(const vj_func *f, const vj_node *conv);

static inline vj_op vj_op_of(const vj_func *f, vj_value v) { return v < 0 ? VJ_OP_COUNT : vj_producer(f, v)->op; }
static inline vj_value vj_operand(const vj_func *f, vj_value v, int32_t i) {
    const vj_node *node = vj_producer(f, v);
    return i < node->arg_count ? node->args[i] : VJ_NONE;
}
/* The same dims, of whatever elements. */
bool vj_same_dims(const vj_type *a, const vj_type *b);
static inline vj_dim vj_last_dim(const vj_type *type) { return type->dims[type->rank - 1]; }

/* The factor of a product that is packed, a weight in one matrix; -1: none is. */
int32_t vj_packed_factor(const vj_func *f, const vj_node *product);
#define VJ_MANY_CHANNELS 16 /* fewer leave lanes empty */
/* Does a convolution of one group walk its depth by groups of so many neighbours in memory: channels that stand last, or patches? */
bool vj_has_groups(const vj_func *f, const vj_node *conv, int32_t group);
/* Is it a product of u8 and i8? */
bool vj_is_integer_product(const vj_func *f, const vj_node *node);
/* The half in which the model stores a weight that is f32 here: it is nothing but moved and widened. VJ_NO_DTYPE: in none. */
vj_dtype vj_stored_half(const vj_func *f, vj_value weight);
static inline bool vj_is_half(vj_dtype dtype) { return dtype == VJ_F16 || dtype == VJ_BF16; }
static inline bool vj_is_byte(vj_dtype dtype) { return dtype == VJ_U8 || dtype == VJ_I8; }
/* How many terms a sum of a product has; 0: that is not known. */
int64_t vj_product_depth(const vj_func *f, const vj_node *product);

/* blocks.c - weights that the model stores in 4 or 8 bits, with scales and zero points: mul(sub(numbers, zeros), scales), or with scales and
 * a table: mul(gather(table, numbers), scales) */

/* A constant of up to 16 f32, which numbers may be places in. */
bool vj_is_block_table(const vj_func *f, vj_value v);
/* Is the weight, of f32 or rounded to bf16, nothing but such numbers, moved and joined? */
bool vj_is_in_blocks(const vj_func *f, vj_value weight);
/* Its parts are held whole when it is packed: a larger one is packed as its floats. */
#define VJ_BLOCKS_ELEMENTS ((int64_t)1 << 28)
/* Such a weight in three parts of the same dims below what moves it: itself where it is so. */
vj_value vj_make_blocks(vj_func *f, vj_arena *arena, vj_value weight);
/* block_size.c: a weight in panels, of such a source, is to be packed in blocks, of w->block elements or, with 0, as many as share a scale.
 * Why it cannot be; NULL: it can. */
const char *vj_pack_in_blocks(const vj_func *f, vj_arena *arena, vj_weight *w);
/* block_weight.c: a weight of floats, one matrix, in blocks of 4 or 8 bits (block_fit.h), of the same type. VJ_NONE: an error, or it
 * cannot be, and why. */
vj_value vj_quantise_weight(vj_func *f, vj_value w, bool on_the_left, int32_t bits, const vj_origin *origin,
                            const char **why, vj_error *error);
/* Why products of bytes cannot have this weight, which vj_make_blocks made; NULL: they can. */
const char *vj_why_no_bytes(const vj_func *f, vj_value weight);

/* block_steps.c: x [.., K] as round_blocks rounds it: u8 [.., groups, block], and the sizes of steps [.., groups] */
typedef struct vj_block_steps {
    vj_value q, size;
} vj_block_steps;
bool vj_fits_steps(const vj_func *f, vj_value x);
vj_block_steps vj_make_block_steps(vj_func *f, vj_value x, int64_t block, const vj_origin *origin);
/* The result of a round_blocks, by these. */
vj_value vj_make_rounded_blocks(vj_func *f, const vj_node *round);

/* cse.c: true when something was merged */
bool vj_merge_equal_nodes(vj_pass_context *c);

/* attention_moves.c */
vj_value vj_swap_last(vj_func *f, vj_value v);

/* attention.c: is this softmax, which is part of no attention, on the way to a product with values? Why then is it none?
 * May add unused nodes. */
bool vj_why_no_attention(vj_func *f, vj_value softmax, const char **reason);

/* qkv.c: where an operand of an attention comes from, in front of the movement ops */
vj_value vj_source_of_head(const vj_func *f, vj_value v);

/* rules.c */

enum { VJ_RULE_CAPTURES = 12 };
typedef struct vj_match {
    vj_func *f;
    vj_value root;
    int32_t count;
    const char *names[VJ_RULE_CAPTURES]; /* of captures, as the pattern spells them */
    vj_value values[VJ_RULE_CAPTURES];
    vj_attr attrs[4]; /* for the replacement: {perm=$} takes the attribute of this key; set by the condition */
    int32_t attr_count;
    double number; /* for the replacement's `#` */
} vj_match;
/* What the pattern calls `name`; VJ_NONE when it has none. */
vj_value vj_captured(const vj_match *m, const char *name);
void vj_set_attr(vj_match *m, vj_attr attr);
bool vj_has_one_use(const vj_func *f, vj_value v);

/* `pattern => replacement`; docs/passes.md has the grammar. The condition may refuse, and sets what `$` and `#` stand
 * for. A replacement of another type than the root's is never taken. */
typedef struct vj_rule {
    const char *name; /* for --print-rewrites */
    const char *pattern;
    const char *replacement;
    bool (*condition)(vj_match *m); /* NULL: none */
} vj_rule;
/* Applies the rules everywhere until nothing changes; `also` (may be NULL), a rule that is a function, is asked at each
 * node when no other fires: it returns the value to take the place of the node's result, or VJ_NONE. */
typedef vj_value (*vj_rewriter)(vj_pass_context *c, int32_t node);
void vj_apply_rules(vj_pass_context *c, const vj_rule *rules, int32_t count, vj_rewriter also, const char *also_name);

#endif
