/* SPDX-License-Identifier: Apache-2.0 */
/* lower.h - private to lowering: nodes of the tensor level become kernels.
 *
 * From the lowest file up; each calls those in front of it alone, but for vj_lowering.compute:
 *
 * movement.c    movement ops on views
 * fail.c        an error that names the node
 * facts.c       what is asked of every value, found once, and noted when the value stands somewhere
 * batch.c       one image: does every node keep the images of a batch apart?
 * channels.c    which pictures stand channels last
 * concat.c      elementwise ops on a concat go to its parts
 * spread.c      nodes that no kernel computes as they are become several
 * factors.c     factors of products in types that no kernel multiplies are cast
 * patches.c     patches in bf16 become rows of a matrix
 * build.c       a kernel in the making: the points, accesses to them, axes
 * copy.c        copies, and the end of a build
 * value.c       where values stand: views, places to write to, weights
 * expr.c        scalar expressions of values; the chain of nodes that a kernel takes in behind its own
 * frame.c       padding
 * call.c        what a routine computes; data.c: ops whose sizes the data decides
 * gather.c      gathers that are no views: slices, or kernels that read through an index
 * gemm.c        linear, matmul, linear_blocks; conv.c: conv, pool
 * attention.c   attention
 * nest.c        everything else that is a loop nest
 * lower.c       the pass: nodes in order, outputs at the end
 *
 * A kernel's points are numbered flat, row-major over its "point dims": first the dims of its result, then those that
 * it sums over. Whatever a kernel reads or writes is an address made of subaxes of that number (view.h); where the
 * subaxes of all accesses end, axes begin.
 */
#ifndef VITJIT_PASSES_LOWER_LOWER_H
#define VITJIT_PASSES_LOWER_LOWER_H

#include "passes/rewrite/rewrite.h"
#include "ir/routines/routines.h"
#include "view.h"

typedef struct vj_lowering {
    vj_arena *arena;
    vj_func *f;
    vj_program *p;
    vj_error *error;
    vj_report *report;
    int32_t *uses;      /* of each value, outputs included */
    int32_t *use_first; /* into use_node: the nodes that use a value, one entry a use */
    int32_t *use_node;
    int32_t *use_operand;
    vj_value *moved_from; /* of values: what reshape, transpose, slice and broadcast make them from */
    bool *available;      /* of values: facts.c */
    vj_value *ready;
    int32_t *waiting;
    int32_t *output; /* the first output that a value is; -1: none */
    bool *filled;    /* outputs */
    bool *done;      /* values that stand in a buffer: */
    bool *placed;    /* ... or will, there: */
    vj_view **view;
    bool *inlined;         /* elementwise, or gathers: computed where it is used */
    int32_t *entries;      /* of an expression that reads the value */
    bool *entered;         /* value.c: what the value waits for has been lowered */
    int64_t **piece_start; /* of a concat: where each operand's part begins; NULL: not asked yet */
    bool *channels_last;   /* channels.c */
    bool *taken;           /* nodes that a kernel has taken in */
    int32_t *input;        /* buffers of the function's inputs and outputs */
    int32_t *out;
    struct vj_build *spare;    /* builds that are finished */
    struct vj_axis_list *axes; /* of the build that is being finished */
    int32_t *weight_table;     /* value.c: buffers of weights by their content, -1: an empty place */
    int32_t weight_room;       /* a power of two */
    /* Set by lower.c. value.c calls it for an elementwise node, or a gather that is inlined, whose value must stand in a buffer before its turn, as what
     * computes such nodes reads values itself. */
    bool (*compute)(struct vj_lowering *l, const vj_node *node);
} vj_lowering;

/* A value that is computed where it is used takes at most so many entries of an expression, and a kernel takes in nodes
 * behind its own while it has no more. The largest kernel of 145 exports of Vision Transformers has 21; LLVM's time
 * grows faster than the entries of one function. */
#define VJ_MOST_ENTRIES 64

/* The dims of a value in one image; returns the rank. */
int32_t vj_image_dims(const vj_func *f, vj_value v, int64_t dims[VJ_MAX_RANK]);
int64_t vj_image_elements(const vj_func *f, vj_value v);
static inline vj_dtype vj_dtype_at(const vj_func *f, vj_value v) { return vj_type_at(f, v)->dtype; }

/* fail.c: an error that names the node */
bool vj_lower_fail(const vj_lowering *l, const vj_node *node, const char *what);

/* facts.c */
void vj_find_facts(vj_lowering *l);
bool vj_is_static_weight(const vj_lowering *l, vj_value v);
/* The one node that uses v, and uses it once; -1: none or several. */
int32_t vj_only_user(const vj_lowering *l, vj_value v);
/* Can v be read when the nodes lowered so far have run? */
bool vj_is_available(const vj_lowering *l, vj_value v);
void vj_set_available(vj_lowering *l, vj_value v);
void vj_wait_for_operands(vj_lowering *l, int32_t node);           /* its result can be read when its operands can */
void vj_set_done(vj_lowering *l, vj_value v, const vj_view *view); /* v stands there */

/* concat.c: the one rewrite at the tensor level that only lowering wants */
void vj_spread_over_concats(vj_pass_context *c);

/* gather.c: gathers by constant indices of a few runs become slices, joined */
bool vj_spread_gathers(vj_pass_context *c) VJ_MUST_USE;

/* spread.c */
void vj_spread_nodes(vj_pass_context *c);

/* factors.c */
void vj_cast_factors(vj_pass_context *c);
/* Is it a product of u8 and i8 that a kernel of such products computes? */
bool vj_packs_integers(const vj_func *f, const vj_node *node);

/* patches.c */
void vj_spread_patches(vj_pass_context *c);

/* batch.c */
bool vj_images_stay_apart(const vj_func *f, vj_error *error) VJ_MUST_USE;

/* channels.c */
void vj_choose_channels_last(vj_lowering *l);
void vj_channels_last(int32_t rank, int64_t *order); /* [B, spatial..., C] of the dims of [B, C, spatial...] */

/* movement.c */

/* Does the node only say where elements stand? (A gather does when its indices are evenly spaced constants.) */
bool vj_is_view_op(const vj_func *f, const vj_node *node);

/* The view of the node's result from that of its first operand; false: it is no view, or none of subaxes. */
bool vj_move_view(const vj_func *f, const vj_node *node, vj_view *view) VJ_MUST_USE;
/* The view of the first operand from that of the result, of reshape and transpose. */
bool vj_unmove_view(const vj_func *f, const vj_node *node, vj_view *view) VJ_MUST_USE;
/* The elements that piece `i` takes of `axis`, at least one: node is a slice of one axis, or a gather of one element. */
bool vj_piece_of(const vj_func *f, const vj_node *node, int32_t *axis, int64_t *start, int64_t *size) VJ_MUST_USE;

/* build.c */

#define VJ_POINT_DIMS 20
#define VJ_MAX_CUTS   64
typedef struct vj_build {
    vj_lowering *l;
    struct vj_build *next; /* spare */
    vj_kernel *k;          /* appended to the program when it is finished */
    int32_t dims;
    int64_t extent[VJ_POINT_DIMS], stride[VJ_POINT_DIMS]; /* point dims, and their place values */
    vj_axis_group group[VJ_POINT_DIMS];
    int64_t total;
    bool alone;      /* takes nothing in behind its own node */
    uint32_t single; /* groups that must end up as one axis */
    int32_t cut_count;
    int64_t cut[VJ_MAX_CUTS]; /* place values where axes begin, ascending; each divides the next */
    vj_subaxes subaxes[VJ_MAX_ACCESSES];
    int32_t segments;   /* 0, or the extent of the first column axis, which stays apart */
    int32_t copy_count; /* results that could not be written where they belong */
    struct {
        vj_value value;
        vj_view from, to;
    } copies[VJ_MAX_OUTS];
} vj_build;

vj_build *vj_build_new(vj_lowering *l, vj_kernel_kind kind, const char *name, const vj_origin *origin);
void vj_point_dim(vj_build *b, int64_t extent, vj_axis_group group); /* the next more minor one */
bool vj_points_ready(vj_build *b) VJ_MUST_USE;                       /* all are named */
/* The map of a value whose dims are these point dims; -1: a dim of 1, or one that nothing depends on. */
vj_view vj_point_map(const vj_build *b, int32_t rank, const int64_t *dims, const int32_t *point_dims);
/* May axes begin where these subaxes do? Then they will. */
bool vj_add_cuts(vj_build *b, const vj_subaxes *subaxes) VJ_MUST_USE;
bool vj_add_map_cuts(vj_build *b, const vj_view *map) VJ_MUST_USE; /* and where the subaxes of this map do? */
/* An access of these subaxes; -1: it does not fit. */
int32_t vj_build_access(vj_build *b, int32_t buffer, int64_t offset, const vj_subaxes *subaxes);
/* Reads a view, whose dims follow from the points by `map`; -1: it does not fit. */
int32_t vj_build_view(vj_build *b, const vj_view *view, const vj_view *map);
/* The same with a term of an index added to the address. */
int32_t vj_build_indexed(vj_build *b, const vj_view *view, const vj_view *map, const vj_term *term);
/* The subaxes of one dim, at the minor end. */
void vj_push_dim(vj_subaxes *subaxes, const vj_view *view, int32_t dim);
bool vj_build_append(vj_build *b) VJ_MUST_USE; /* the kernel with its axes, to the program */

/* copy.c */

bool vj_lower_copy(vj_lowering *l, const vj_view *from, const vj_view *to, vj_dtype dtype, const char *name,
                   const vj_origin *origin) VJ_MUST_USE;
/* Appends the kernel, and copies behind it; b is spent. */
bool vj_build_finish(vj_build *b) VJ_MUST_USE;

/* value.c */

bool vj_view_of(vj_lowering *l, vj_value v, vj_view *view) VJ_MUST_USE;
/* The same, dense in a buffer of its own or a weight. */
bool vj_dense_view_of(vj_lowering *l, vj_value v, vj_view *view) VJ_MUST_USE;
/* The same of v reshaped to `dims`, which stand in the order `perm`. */
bool vj_ordered_view_of(vj_lowering *l, vj_value v, int32_t rank, const int64_t *dims, const int64_t *perm,
                        vj_view *view) VJ_MUST_USE;
/* Where v is to be written: in an output, its part of a concat, or a buffer with the layout that its reader wants. */
vj_view vj_location(vj_lowering *l, vj_value v);
vj_view vj_dense_location(vj_lowering *l, vj_value v); /* row-major: in an output, or a buffer of its own */
vj_view vj_own_location(vj_lowering *l, vj_value v);   /* a buffer of its own, whoever reads it */
/* Of a weight, in a dense buffer where its dims stand in this order; false: it is none. */
bool vj_weight_view_in_order(vj_lowering *l, vj_value v, const int64_t *order, vj_view *view) VJ_MUST_USE;
bool vj_has_weight_view(vj_lowering *l, vj_value v, vj_value *source, vj_view *view) VJ_MUST_USE;
/* An access of v, whose dims follow from the points by `map`; copies it when it must. -1: an error. */
int32_t vj_build_operand(vj_build *b, vj_value v, const vj_view *map);
/* A buffer of packed panels of this type; k and n list the subaxes of the source. */
int32_t vj_packed_weight(vj_lowering *l, vj_value source, vj_dtype dtype, int64_t offset, const vj_subaxes *k,
                         const vj_subaxes *n);
/* The same of blocks of 4 or 8 bits, of so many elements, or 0: of as many as share a scale; -1: the source is not in such. */
int32_t vj_packed_blocks(vj_lowering *l, const vj_node *product, vj_value source, int64_t offset, int64_t block,
                         const vj_subaxes *k, const vj_subaxes *n);
/* The type in which B is packed beside an A that has its access already. */
vj_dtype vj_packed_dtype(const vj_build *b, vj_value source);
/* The entry that loads through the access, cast to the type. */
int32_t vj_load_as(vj_build *b, vj_dtype dtype, int32_t access);

/* expr.c */

/* A value in the making: what it is at a point, and how its dims follow from the points. */
typedef struct vj_chain {
    vj_value value;
    vj_view map;
    int32_t expr;
} vj_chain;
/* The entries that an elementwise node adds to an expression which has operand `known` already (VJ_NONE: none). */
int32_t vj_entries_of(const vj_lowering *l, const vj_node *node, vj_value known);
int32_t vj_emit_value(vj_build *b, vj_value v, const vj_view *map); /* -1: an error */
int32_t vj_emit_node(vj_build *b, const vj_node *node, const vj_view *map, const vj_chain *known);
int32_t vj_emit_gathered(vj_build *b, const vj_node *node, const vj_view *map); /* -1: it cannot be addressed so */
/* A result of the kernel, for one value of its segments, or -1: for all. */
bool vj_add_result(vj_build *b, const vj_chain *chain, int32_t segment) VJ_MUST_USE;
/* Takes in the nodes behind the value as far as they fit, and adds the kernel's results. */
bool vj_finish_chain(vj_build *b, vj_chain chain) VJ_MUST_USE;
bool vj_is_splat_value(const vj_lowering *l, vj_value v, double *number);

/* The kernels of a node; false: an error. */
bool vj_lower_linear(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_matmul(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_linear_blocks(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_conv(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_attention(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_layernorm(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_byte_rows(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_softmax(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_reduce(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_pool(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_elementwise(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
/* The same without the nodes behind it: one of them waits for the value. */
bool vj_lower_elementwise_alone(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_concat(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_pad(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_nonzero(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_unique(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_nms(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_pack(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_unpack(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_gather(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
bool vj_lower_gather_alone(vj_lowering *l, const vj_node *node) VJ_MUST_USE;
/* x in a frame of `value`: low[d] before and high[d] behind along each dim. */
bool vj_lower_frame(vj_lowering *l, const vj_view *x, vj_dtype dtype, const int64_t *low, const vj_view *to,
                    double value, const vj_origin *origin) VJ_MUST_USE;

/* call.c */

/* A node as a call: what the routine reads, its parameters, how many rows (or other parts) it can be cut into, and its
 * work in cycles. It writes the node's results, as many as the routine has. */
typedef struct vj_call {
    vj_routine routine;
    vj_value read[VJ_MAX_CALL_BUFFERS];
    int64_t param[VJ_MAX_PARAMS];
    double number[VJ_MAX_NUMBERS];
    int64_t rows;
    double cycles;
    const int64_t *perm; /* the order of the dims in which read[0] stands; NULL: its own */
} vj_call;
bool vj_lower_call(vj_lowering *l, const vj_node *node, const vj_call *call) VJ_MUST_USE;
/* The same for a node whose operands are what its routine reads (ir/routines/routines.h). */
bool vj_lower_site(vj_lowering *l, const vj_node *node, void (*site_of)(vj_site *site)) VJ_MUST_USE;

/* layout.c */

/* Elements between the rows of an arena buffer, for rows of so many. */
int64_t vj_padded_row(int64_t row, vj_dtype dtype);

#endif
