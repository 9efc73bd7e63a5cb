/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - the kernel level and the planned level: what is left when movement ops have become access maps.
 *
 * A program is compiled for ONE image; the driver loops over the N images of a batch, so N appears in no kernel. (A
 * batch that the exporter baked into the graph is an ordinary axis: the "image" is then the whole batch.)
 *
 * A kernel is one loop nest. Its iteration space is a list of axes with constant extents. Each operand has an access:
 * an affine map from the axes to an element of a buffer, with optional terms for padding (guard), rolls (mod) and
 * gathers (index). All arithmetic is written as scalar expressions (xops.def), so bias, GELU, residual and scale fuse by one mechanism.
 *
 *     gemm       acc = sum over depth axes of A * B; results from expressions over acc
 *     attention  softmax over keys of a score, times V, a block of query rows at a time
 *     nest       stages of reductions over a row, then results: elementwise, softmax, layernorm, pooling, copies
 *     call       a routine over whole dense buffers (routines.h): what no loop nest can say, such as sorting
 *
 * docs/kernel-ir.md has the textual form. Sizes: bytes where the name says so, else elements.
 */
#ifndef VITJIT_IR_KERNEL_KERNEL_H
#define VITJIT_IR_KERNEL_KERNEL_H

#include "blocks.h"
#include "ir/routines/routines.h"
#include "ir/tensor/scalar.h"
#include "kernel_kinds.h"

#define VJ_MAX_AXES     12
#define VJ_MAX_TERMS    3
#define VJ_MAX_ACCESSES 24
#define VJ_MAX_OUTS     8
#define VJ_MAX_STAGES   6

typedef enum vj_buffer_kind {
    VJ_BUFFER_ARENA,  /* scratch, per image, placed by the memory planner */
    VJ_BUFFER_INPUT,  /* the caller's; image n starts at n * elements */
    VJ_BUFFER_OUTPUT, /* the caller's; never written beyond `elements` */
    VJ_BUFFER_WEIGHT  /* constant, in the packed weights, shared by all images */
} vj_buffer_kind;

/* How the bytes of a weight buffer are made when the weights are packed: in the order of the source, or in panels
 * (panels.h), k over the depth axes, n over the column axes, both row-major. Floats become the buffer's type by one rounding. Or in
 * panels of blocks (blocks.h), a buffer of u8, whose source is mul(sub(numbers, zero points), scales), or mul(what a table has at numbers,
 * scales), all of its dims. */
typedef enum vj_pack_kind { VJ_PACK_DENSE, VJ_PACK_PANELS, VJ_PACK_BLOCKS } vj_pack_kind;

typedef struct vj_weight {
    vj_pack_kind kind;
    vj_value source; /* a constant, or an expression of constants (see passes.h: weight expressions), of program->f */
    int64_t k, n;    /* of panels: K and N; VJ_PACK_DENSE: 1 and the elements */
    int32_t bits;    /* VJ_PACK_BLOCKS: of a number; */
    int32_t least;   /* the number that is stored as 0; */
    int64_t block;   /* elements of k that share a scale; */
    bool table;      /* and are numbers places in a table? */
    /* Where element (k, n) stands in the dense source: subaxes of k and n (major first) with their strides. */
    int32_t k_rank, n_rank;
    int64_t k_extent[VJ_MAX_AXES], k_stride[VJ_MAX_AXES];
    int64_t n_extent[VJ_MAX_AXES], n_stride[VJ_MAX_AXES];
    int64_t source_offset;
} vj_weight;

typedef struct vj_buffer {
    vj_buffer_kind kind;
    vj_dtype dtype;
    int64_t elements; /* per image; of weights: packed, padding included */
    int32_t index;    /* input or output number; weight: index into program->weights */
    int64_t offset;   /* bytes, planned: in the per-image arena, or in the packed weights */
    const char *name; /* for dumps: the tensor-level value's, may be NULL */
} vj_buffer;

/* stride * clip(sum coef[a] * i[a] + constant): GUARD reads `otherwise` when the index is outside [0, extent), MOD
 * takes the index modulo the extent (the index is never below -extent). INDEX is stride * clip(value of an expression
 * entry), taken to the nearest end of [0, extent); only accesses that expressions load have it. */
typedef enum vj_term_kind { VJ_TERM_GUARD, VJ_TERM_MOD, VJ_TERM_INDEX } vj_term_kind;
typedef struct vj_term {
    vj_term_kind kind;
    int64_t stride;
    int64_t extent;
    int64_t constant;
    int64_t coef[VJ_MAX_AXES];
    int32_t index; /* INDEX: an i64 entry, of loads through earlier accesses, axes and constants alone */
} vj_term;

typedef struct vj_access {
    int32_t buffer;
    int64_t offset;              /* elements, from the image's base */
    int64_t stride[VJ_MAX_AXES]; /* elements a step of each axis; 0: the axis does not move it */
    int32_t term_count;
    vj_term terms[VJ_MAX_TERMS];
    double otherwise; /* the value outside a guard */
} vj_access;

typedef enum vj_xop {
#define XOP(id, ...) VJ_X_##id,
#include "xops.def"
#undef XOP
    VJ_X_COUNT
} vj_xop;

typedef struct vj_expr {
    vj_xop op;
    vj_dtype dtype;
    int32_t arg[3]; /* earlier entries */
    int32_t index;  /* LOAD: access; STAGE: stage; AXIS: axis */
    double imm;     /* CONST */
} vj_expr;

typedef enum vj_reduce_kind { VJ_REDUCE_SUM, VJ_REDUCE_MAX, VJ_REDUCE_MIN, VJ_REDUCE_PROD } vj_reduce_kind;

/* A result: the expression's value is stored through the access (which has no terms). */
typedef struct vj_out {
    int32_t access;
    int32_t expr;
    int32_t segment; /* the value of vj_segment_axis for which this result is stored; -1: always */
} vj_out;

typedef struct vj_stage {
    vj_reduce_kind reduce; /* over all axes of the kind's groups of stages */
    int32_t expr;
} vj_stage;

typedef struct vj_schedule vj_schedule; /* target/schedule.h */

typedef struct vj_kernel {
    vj_kernel_kind kind;
    const char *name; /* a short word for dumps and symbols: qkv, ln1, ... */
    int32_t rank;
    int64_t extent[VJ_MAX_AXES];

    /* How many axes of each group; the groups of a kind follow one another in the order of kernel_kinds.def. Ask vj_group
     * where one begins. Batch axes of a gemm are of a product of two activations: A, an unpacked B and results may move
     * along them. */
    int32_t axes[VJ_GROUP_COUNT];

    int32_t access_count;
    vj_access access[VJ_MAX_ACCESSES];
    vj_expr *expr;
    int32_t expr_count, expr_capacity;
    int32_t stage_count; /* nest */
    vj_stage stage[VJ_MAX_STAGES];
    int32_t out_count;
    vj_out out[VJ_MAX_OUTS];

    /* The accesses of the kind's operands, -1 where there is none; kernel_kinds.def says what they must be like.
     * gemm: a, b. B is packed when its buffer is a weight of VJ_PACK_PANELS (its strides are then ignored), else it is read
     *       with a unit stride over the last column axis. s: of a packed in blocks, where a is in bytes, else -1.
     * attention: q [batch, i, d], k [batch, j, d], v [batch, j, e]. k is read with a unit stride over j ("transposed keys":
     *       lowering asks the producer to write it so) or over d. */
    union {
        int32_t operand[VJ_MAX_OPERANDS];
        struct {
            int32_t a, b, s;
        };
        struct {
            int32_t q, k, v;
        };
    };
    /* attention: maps ACC (the dot product q.k) to the score: scale, bias, mask; the softmax over the keys is natural (base
     * e). A row whose scores are all -inf gives NaN, as softmax does. Results map ACC (the weighted sum). */
    int32_t score_expr;
    /* attention: maps ACC (a weight, of those that add up to 1) to what is multiplied with v, by numbers that are the same at every
     * point; -1: the weight itself. */
    int32_t weight_expr;

    /* call: no axes and no expressions. Its accesses are of whole dense buffers: those that the routine reads, writes,
     * and uses as scratch. The results are all but the first of these, without expressions (-1). */
    vj_routine routine;
    int64_t param[VJ_MAX_PARAMS];
    double number[VJ_MAX_NUMBERS];

    double flops;            /* 2 * multiply-adds of products; 1 an expression entry otherwise */
    const vj_origin *origin; /* for messages and profiles; may be NULL */

    /* planned */
    const vj_schedule *schedule;
    int64_t units;    /* independent pieces of work; any split over threads gives the same bits */
    double unit_cost; /* of the order of cycles */
} vj_kernel;

/* Kernels of one phase run without a barrier between them: none reads what another of the phase writes. */
typedef struct vj_phase {
    int32_t first, count;
} vj_phase;

typedef struct vj_program {
    vj_arena *arena;
    const vj_func *f; /* the tensor-level function: inputs, outputs and weight expressions */
    const char *name;
    vj_buffer *buffers;
    int32_t buffer_count, buffer_capacity;
    vj_weight *weights;
    int32_t weight_count, weight_capacity;
    vj_kernel **kernels;
    int32_t kernel_count, kernel_capacity;
    /* planned */
    vj_phase *phases;
    int32_t phase_count;
    int64_t per_image_bytes;   /* of the arena */
    int64_t lower_bound_bytes; /* the largest sum of buffers that live at once */
    int64_t weights_bytes;     /* packed, with alignment gaps */
} vj_program;

/* Every buffer offset is a multiple of this, in bytes. */
#define VJ_ALIGN 64

/* kernel.c */
vj_program *vj_program_new(vj_arena *arena, const vj_func *f);
int32_t vj_add_buffer(vj_program *p, vj_buffer_kind kind, vj_dtype dtype, int64_t elements, const char *name);
vj_kernel *vj_kernel_new(vj_arena *arena, vj_kernel_kind kind, const char *name); /* no program has it yet */
vj_kernel *vj_add_kernel(vj_program *p, vj_kernel_kind kind, const char *name);
int32_t vj_add_access(vj_kernel *k, const vj_access *access); /* -1: no room */
/* Entries a, b, c beyond the op's arguments are ignored; STAGE and AXIS have their index in `a`. */
int32_t vj_x(vj_arena *arena, vj_kernel *k, vj_xop op, vj_dtype dtype, int32_t a, int32_t b, int32_t c);
int32_t vj_x_const(vj_arena *arena, vj_kernel *k, vj_dtype dtype, double imm);
int32_t vj_x_load(vj_arena *arena, vj_kernel *k, vj_dtype dtype, int32_t access);
const char *vj_xop_name(vj_xop op);
int32_t vj_xop_args(vj_xop op);
vj_cost vj_xop_cost(vj_xop op);
/* May an entry of `op` be of this dtype, with arguments of type `of`? Leaves and those that are special: always. */
bool vj_xop_takes(vj_xop op, vj_dtype of);
bool vj_xop_gives_bool(vj_xop op); /* whatever its arguments are: a comparison */
/* The earlier entries that an entry's value needs: its arguments, or the indices of the access that it loads. */
#define VJ_MAX_NEEDS 3
int32_t vj_expr_needs(const vj_kernel *k, int32_t entry, int32_t needs[VJ_MAX_NEEDS]);
/* needed[i] (count root + 1, zeroed): does the value of `root` need entry i? */
void vj_mark_needed(const vj_kernel *k, int32_t root, bool *needed);
/* Does the axis move the term? (Also by what its index loads.) */
bool vj_term_moves(const vj_kernel *k, const vj_term *term, int32_t axis);
/* Does any of these axes (a mask) with more than one point move the access? (Not by what its indices load.) */
bool vj_moved_by(const vj_kernel *k, const vj_access *access, uint32_t axes);
int64_t vj_extent_product(const vj_kernel *k, int32_t first, int32_t count);

/* kernel_kinds.c: the axes and operands of a kernel, by the table of its kind */

typedef struct vj_axes {
    int32_t first, count; /* axes [first, first + count) */
} vj_axes;
vj_axes vj_group(const vj_kernel *k, vj_axis_group group);
int64_t vj_group_extent(const vj_kernel *k, vj_axis_group group); /* the points of the group */
/* The axes of these groups as a mask, and their points. */
uint32_t vj_axes_in(const vj_kernel *k, uint32_t groups);
int64_t vj_extent_in(const vj_kernel *k, uint32_t groups);
/* The next axis. Groups come in the order of the table. */
void vj_add_axis(vj_kernel *k, vj_axis_group group, int64_t extent);
/* All axes: how many there are of each group that the kind has, and their extents. */
void vj_set_axes(vj_kernel *k, const int32_t *counts, const int64_t *extent);
int32_t vj_segment_axis(const vj_kernel *k);               /* whose values segments are; -1: the kind has none */
int32_t vj_operand_of(const vj_kernel *k, int32_t access); /* which of the kind's operands it is; -1: none */
bool vj_is_result(const vj_kernel *k, int32_t access);
bool vj_has_segments(const vj_kernel *k);
/* Where number `i` of a group of subaxes, major first, stands. */
static inline int64_t vj_subaxes_at(int64_t i, int32_t rank, const int64_t *extent, const int64_t *stride) {
    int64_t at = 0;
    for (int32_t d = rank - 1; d >= 0; d--) {
        at += i % extent[d] * stride[d];
        i /= extent[d];
    }
    return at;
}
static inline vj_blocks vj_blocks_of(const vj_weight *w) {
    return (vj_blocks){.bits = w->bits, .block = w->block, .depth = w->k, .table = w->table};
}
bool vj_is_packed(const vj_program *p, int32_t buffer);                     /* does it hold panels? */
bool vj_has_blocks(const vj_program *p, int32_t buffer, vj_blocks *blocks); /* of blocks? */
/* The type that an operand of a product is multiplied in: its buffer's, but of blocks the first operand's, or beside bytes i8. */
vj_dtype vj_operand_dtype(const vj_program *p, const vj_kernel *k, int32_t access);
/* Is the access, as the operand of this row, of a type that the row allows beside the first operand's? */
bool vj_operand_takes(const vj_program *p, const vj_kernel *k, const vj_operand_row *row, int32_t access);
/* The type of ACC in the kernel's expressions. */
vj_dtype vj_acc_dtype(const vj_program *p, const vj_kernel *k);
/* The elements of a buffer of this type that holds the weight; false: more than an int64_t holds. */
bool vj_packed_elements(const vj_weight *w, vj_dtype dtype, int64_t *elements);

/* kernel_verify.c: do kernels keep to the table of their kind, and accesses inside their buffers for every point? */
bool vj_verify_program(const vj_program *p, vj_error *error) VJ_MUST_USE;

/* kernel_print.c, kernel_parse.c: the textual form of one kernel and of a program */
void vj_print_program(const vj_program *p, FILE *out);
/* The same at the end of a text, with a comment line for each schedule; target/schedule.c's vj_schedule_text is what to pass, or NULL. */
typedef char *(*vj_schedule_printer)(vj_arena *arena, const vj_kernel *k);
void vj_add_program(vj_text *text, const vj_program *p, vj_schedule_printer schedule);
vj_program *vj_parse_program(vj_arena *arena, const char *text, vj_error *error);

/* evaluate.c: runs the kernels in double precision on host memory; the oracle of kernel tests. buffers[i] points to
 * the elements of buffer i as doubles (integers exact to 2^53). */
/* Element (k, n) of blocks, whose bytes stand in doubles, as it is multiplied in a product of the type `to`. */
double vj_blocks_value(const vj_blocks *blocks, const double *bytes, vj_dtype to, int64_t k, int64_t n);
bool vj_eval_kernel(const vj_program *p, const vj_kernel *k, double *const *buffers, vj_error *error) VJ_MUST_USE;
/* Does the kernel round floats to whole numbers? */
bool vj_rounds(const vj_kernel *k);
/* The same, but a float x that is rounded to a whole number is taken for x + lean * (|x| + VJ_LEAN_OF): what would become of those beside
 * a tie. */
#define VJ_LEAN_OF 128 /* half of a byte's steps, as what is rounded to bytes is not known from itself to be small */
bool vj_eval_kernel_leaning(const vj_program *p, const vj_kernel *k, double *const *buffers, double lean,
                            vj_error *error) VJ_MUST_USE;

#endif
