/* SPDX-License-Identifier: Apache-2.0 */
/* ir.h - the tensor level: a function in static single assignment form over tensors.
 *
 * A function is one list of nodes in topological order; a node has operands and results, which are values; values are
 * indices, never pointers. A node's operands have smaller indices than its results. Editing is by verbs alone:
 * vj_add_node, vj_replace_uses, vj_set_operand, vj_set_output, vj_set_symbol, vj_set_dtype, vj_kill, vj_compact. They keep
 * what each value knows true: its uses, and whether it is a weight. Nothing is freed: the arena goes as a whole.
 */
#ifndef VITJIT_IR_TENSOR_IR_H
#define VITJIT_IR_TENSOR_IR_H

#include <stdio.h>

#include "ir/base/base.h"

#define VJ_MAX_RANK 8

/* A dim: c, or c times a symbol's value. Constant dims have sym VJ_SYM_NONE; the batch is VJ_SYM_BATCH; further symbols
 * are bounded sizes that the data decides (vj_func.symbols). */
enum { VJ_SYM_NONE = 0, VJ_SYM_BATCH = 1, VJ_SYM_FIRST_DATA = 2, VJ_MAX_SYMBOLS = 256 };
typedef struct vj_dim {
    int64_t c;
    int32_t sym;
} vj_dim;

typedef struct vj_type {
    vj_dtype dtype;
    int32_t rank;
    vj_dim dims[VJ_MAX_RANK];
} vj_type;

/* Where the bytes of constants live: a file, or memory. */
typedef struct vj_source {
    const char *path;  /* for messages */
    int fd;            /* -1: in memory */
    const uint8_t *at; /* when fd is -1 */
    int64_t size;      /* bytes */
} vj_source;

/* A constant: dense, row-major, little-endian elements of the value's type, never held whole unless it is small.
 * Kinds other than bytes come from the textual form (splat(v), iota, seed(n)). */
typedef enum vj_const_kind { VJ_CONST_BYTES, VJ_CONST_SPLAT, VJ_CONST_IOTA, VJ_CONST_SEED } vj_const_kind;
/* Elements of 4 bits, two a byte: the first one in the low half, or in the high half. */
typedef enum vj_nibbles { VJ_NO_NIBBLES, VJ_NIBBLES_LOW_FIRST, VJ_NIBBLES_HIGH_FIRST } vj_nibbles;
typedef struct vj_const {
    vj_const_kind kind;
    vj_nibbles nibbles; /* VJ_CONST_BYTES of i8 or u8: elements are stored in 4 bits; of i8 the highest is a sign */
    const vj_source *source; /* VJ_CONST_BYTES */
    int64_t offset, length;  /* bytes in the source; validated by whoever made the constant */
    double splat;            /* VJ_CONST_SPLAT; integers exact up to 2^53 */
    uint64_t seed;           /* VJ_CONST_SEED */
} vj_const;

typedef enum vj_op {
#define OP(id, name, ...) VJ_OP_##id,
#include "ops.def"
#undef OP
    VJ_OP_COUNT
} vj_op;

/* Attributes. Which an op has, with their kinds, is said in ops.def. */
typedef enum vj_attr_key {
#define ATTR(id, name, kind) VJ_ATTR_##id,
#include "attrs.def"
#undef ATTR
    VJ_ATTR_COUNT
} vj_attr_key;

typedef enum vj_attr_kind { VJ_KIND_INT, VJ_KIND_FLOAT, VJ_KIND_INTS, VJ_KIND_NAME, VJ_KIND_CONST } vj_attr_kind;

typedef struct vj_attr {
    vj_attr_key key;
    int32_t count; /* of ints */
    union {
        int64_t i;
        double f;
        const int64_t *ints;
        const char *name; /* a word of a fixed set, e.g. form=erf */
        const vj_const *constant;
    } as;
} vj_attr;

typedef int32_t vj_value; /* an index; -1: none (an absent optional operand) */
#define VJ_NONE (-1)

/* Where a node came from, for messages and reports. Strings are the arena's. */
typedef struct vj_origin {
    const char *node; /* the ONNX node's name, or its first output's */
    const char *op;   /* the ONNX op */
    int32_t opset;
} vj_origin;

typedef struct vj_node {
    vj_op op;
    bool dead;
    int16_t arg_count;
    int16_t result_count;
    vj_value *args;
    vj_value first_result; /* results are consecutive values */
    int32_t first_use;     /* of operand i: vj_func.uses[first_use + i] */
    vj_attr *attrs;        /* sorted by key */
    int32_t attr_count;
    const vj_origin *origin; /* may be NULL */
} vj_node;

/* A place where a value stands, in the list of that value's uses. */
enum { VJ_USE_OUTPUT = -1, VJ_USE_SIZE = -2 };
typedef struct vj_use {
    int32_t user;           /* the node, the output, the symbol */
    int32_t operand;        /* which of the node's; or VJ_USE_OUTPUT, VJ_USE_SIZE */
    int32_t next, previous; /* in vj_func.uses; -1: none */
} vj_use;

typedef struct vj_value_info {
    vj_type type;
    int32_t node;                           /* the producer */
    const char *name;                       /* the model's, or NULL */
    int32_t first_use, last_use, use_count; /* a list in vj_func.uses; -1: none */
    bool is_weight;                         /* vj_is_weight */
    bool changed; /* it is new, or its uses or its being a weight changed, since this was last set to false */
} vj_value_info;

/* A size that the data decides: at least 0, at most `bound`. `value`, an i64 of rank 0, is the size; its node comes
 * before all others that have the symbol in a type, or makes the first such value itself. VJ_NONE: an input's dims tell. */
typedef struct vj_symbol {
    int64_t bound;
    vj_value value;
    int32_t use; /* in vj_func.uses; -1: none */
} vj_symbol;

typedef struct vj_func {
    vj_arena *arena;
    const char *name;
    vj_node *nodes;
    int32_t node_count, node_capacity;
    vj_value_info *values;
    int32_t value_count, value_capacity;
    vj_value *inputs; /* results of `param` nodes, in the model's order */
    int32_t input_count, input_capacity;
    vj_value *outputs;
    const char **output_names;
    int32_t *output_uses; /* in uses */
    int32_t output_count, output_capacity;
    /* Of each output: the output, an i64[rank], that holds its dims where the data decides them; -1: its type does. NULL:
     * no output has such dims. Set by the pass `bound`. */
    int32_t *output_dims;
    vj_symbol *symbols; /* [VJ_SYM_FIRST_DATA + i] */
    int32_t symbol_count, symbol_capacity;
    vj_use *uses; /* of all values, and those of killed nodes and former operands up to the next vj_compact */
    int32_t use_count, use_capacity;
    const vj_const **required; /* NULL, or of each input the value that the function was specialised for, or NULL */
    bool batch_is_open;        /* some dim has N */
} vj_func;

/* type.c */

static inline vj_dim vj_dim_const(int64_t c) { return (vj_dim){c, VJ_SYM_NONE}; }
static inline bool vj_dim_equal(vj_dim a, vj_dim b) { return a.c == b.c && a.sym == b.sym; }
static inline bool vj_is_data_dim(vj_dim d) { return d.sym >= VJ_SYM_FIRST_DATA; }
/* A dim as the attributes dims, sizes and size hold it: c; -1 - c for c * N; -2^54 * (i + 1) - c for c * s<i>. */
int64_t vj_dim_code(vj_dim dim);
bool vj_dim_of_code(int64_t code, vj_dim *dim); /* false: codes no dim */
/* Its largest value, N = 1; false on overflow. */
bool vj_dim_bound(const vj_func *f, vj_dim dim, int64_t *bound);
bool vj_type_has_data_dims(const vj_type *type);
bool vj_type_equal(const vj_type *a, const vj_type *b);
bool vj_type_is_static(const vj_type *type);
vj_type vj_type_of(vj_dtype dtype, int32_t rank, const int64_t *dims);
/* Elements with N = 1 and symbols at their bound; false on overflow. */
bool vj_type_elements(const vj_func *f, const vj_type *type, int64_t *count);
bool vj_dtype_is_float(vj_dtype dtype);
bool vj_dtype_is_int(vj_dtype dtype); /* not bool */
/* Truncates and saturates; NaN becomes 0. To bool: is it not zero? */
int64_t vj_float_to_int(vj_dtype to, double x);
int64_t vj_wrap(vj_dtype dtype, int64_t x);                 /* kept in the width of its dtype, an integer's */
double vj_lowest(vj_dtype dtype);                           /* of a number's type: what never wins a maximum */
vj_dtype vj_dtype_by_name(const char *name, size_t length); /* VJ_NO_DTYPE: unknown */
char *vj_type_text(vj_arena *arena, const vj_type *type);   /* f32[N,197,768] */
void vj_text_dim(vj_text *text, vj_dim dim);                /* 12, N, 4N, s0, 4s0 */

/* func.c - building and editing */

vj_func *vj_func_new(vj_arena *arena, const char *name);
vj_value vj_add_param(vj_func *f, const char *name, const vj_type *type);
vj_value vj_add_const(vj_func *f, const char *name, const vj_type *type, const vj_const *constant);
/* A small constant from host data, copied: floats given as double, integers and booleans as int64. */
vj_value vj_add_const_f64(vj_func *f, vj_dtype dtype, int32_t rank, const int64_t *dims, const double *data);
vj_value vj_add_const_i64(vj_func *f, vj_dtype dtype, int32_t rank, const int64_t *dims, const int64_t *data);
/* Adds a node, infers its result types and returns its first result; VJ_NONE and an error when operands or attributes
 * do not fit (the text names the op and what is wrong; the caller adds where). Operands and attributes are copied. */
vj_value vj_add_node(vj_func *f, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                     int32_t attr_count, const vj_origin *origin, vj_error *error) VJ_MUST_USE;
void vj_add_output(vj_func *f, const char *name, vj_value value);
/* A new size that the data decides; its value is set when it is made. Its dim; sym VJ_SYM_NONE when there are too many. */
vj_dim vj_add_symbol(vj_func *f, int64_t bound);
/* Every use of `from`, as an output and as a size included, becomes `to`. The caller restores the order by vj_compact,
 * which sorts. Takes as long as `from` has uses. */
void vj_replace_uses(vj_func *f, vj_value from, vj_value to);
void vj_set_operand(vj_func *f, int32_t node, int32_t operand, vj_value value);
void vj_set_output(vj_func *f, int32_t output, vj_value value);
void vj_set_symbol(vj_func *f, int32_t symbol, vj_value value);
void vj_set_dtype(vj_func *f, vj_value v, vj_dtype dtype);
/* Its operands are used no longer. */
void vj_kill(vj_func *f, int32_t node);
/* Drops dead and unused nodes (never params), sorts topologically (stable), renumbers. Old indices are void. */
void vj_compact(vj_func *f);

/* users.c - the index of uses */

/* Uses of v: by nodes that are not killed, as an output and as a size. */
static inline int32_t vj_use_count(const vj_func *f, vj_value v) { return f->values[v].use_count; }
/* Those of each value; an array of value_count in the arena. */
int32_t *vj_use_counts(const vj_func *f, vj_arena *arena);
/* The nodes that have v as an operand, each once, in rising order; an array in the arena. */
int32_t vj_users(const vj_func *f, vj_value v, vj_arena *arena, int32_t **nodes);
bool vj_is_output(const vj_func *f, vj_value v);

/* weight.c: v is a constant, or made of constants by ops whose results can be read in blocks while weights are packed
 * (elementwise ones of f32, casts to f32 and halves, of f32 to i8, reshape, transpose, slice, concat, broadcast, gather). Known of each value from the start. */
static inline bool vj_is_weight(const vj_func *f, vj_value v) { return v >= 0 && f->values[v].is_weight; }

static inline const vj_node *vj_producer(const vj_func *f, vj_value v) { return &f->nodes[f->values[v].node]; }
static inline const vj_type *vj_type_at(const vj_func *f, vj_value v) { return &f->values[v].type; }

/* attr.c */
const vj_attr *vj_attr_find(const vj_node *node, vj_attr_key key); /* NULL: not there */
int64_t vj_attr_int(const vj_node *node, vj_attr_key key, int64_t otherwise);
double vj_attr_float(const vj_node *node, vj_attr_key key, double otherwise);
const char *vj_attr_name(const vj_node *node, vj_attr_key key, const char *otherwise);
bool vj_attr_equal(const vj_attr *a, const vj_attr *b); /* constants are not compared */
static inline vj_attr vj_int(vj_attr_key key, int64_t i) { return (vj_attr){.key = key, .as.i = i}; }
static inline vj_attr vj_float(vj_attr_key key, double f) { return (vj_attr){.key = key, .as.f = f}; }
static inline vj_attr vj_ints(vj_attr_key key, const int64_t *ints, int32_t count) {
    return (vj_attr){.key = key, .count = count, .as.ints = ints};
}
static inline vj_attr vj_name(vj_attr_key key, const char *name) { return (vj_attr){.key = key, .as.name = name}; }

/* op.c - the table made of ops.def and attrs.def */
typedef struct vj_op_info {
    const char *name;
    int32_t min_args, max_args; /* max_args -1: any number */
    int32_t results;
    uint32_t flags;    /* VJ_FLAG_* */
    const char *attrs; /* "axis:int eps:float?" ; ? marks an optional one */
} vj_op_info;
enum {
    VJ_FLAG_ELEMENTWISE = 1, /* one result element from the operands' elements of the same index, with broadcasting */
    VJ_FLAG_MOVEMENT = 2,    /* moves elements, computes nothing */
    VJ_FLAG_COMMUTATIVE = 4,
    VJ_FLAG_DATA_SHAPE = 8, /* the data decides the result's dims */
    VJ_FLAG_CHEAP = 16,     /* elementwise: computing it again costs less than reading it from a buffer */
    VJ_FLAG_WEIGHT = 32     /* weights are read through it in blocks when they are packed */
};
const vj_op_info *vj_op_table(vj_op op);
vj_op vj_op_by_name(const char *name, size_t length); /* VJ_OP_COUNT: unknown */
int32_t vj_op_factors(vj_op op); /* how many of its first operands a product multiplies; 0: it is none */
const char *vj_attr_key_name(vj_attr_key key);
vj_attr_kind vj_attr_key_kind(vj_attr_key key);

/* const.c - reading constants */

/* Reads elements [first, first + count) into host floats; any dtype is converted. False when the file fails. */
bool vj_const_read_f32(const vj_func *f, vj_value v, int64_t first, int64_t count, float *out,
                       vj_error *error) VJ_MUST_USE;
bool vj_const_read_f64(const vj_func *f, vj_value v, int64_t first, int64_t count, double *out,
                       vj_error *error) VJ_MUST_USE;
bool vj_const_read_i64(const vj_func *f, vj_value v, int64_t first, int64_t count, int64_t *out,
                       vj_error *error) VJ_MUST_USE;
/* What gathers take an index for, on an axis of `size` > 0: from the end when negative, and to the nearest place when
 * outside then. */
static inline int64_t vj_index_from_front(int64_t index, int64_t size) {
    if (index < 0) index += size;
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}
/* Reads [offset, offset + length); false and an error when the file fails or has become shorter. */
bool vj_source_read(const vj_source *source, int64_t offset, int64_t length, void *out, vj_error *error) VJ_MUST_USE;
/* Bytes that `count` elements of the type fill in a source. False: more than an int64_t holds. */
static inline bool vj_stored_bytes(vj_dtype dtype, vj_nibbles nibbles, int64_t count, int64_t *bytes) {
    *bytes = count / 2 + count % 2;
    return nibbles != VJ_NO_NIBBLES || vj_mul(count, vj_element_bytes(dtype), bytes);
}
/* The raw bytes of the constant, as stored; of elements of 4 bits, a byte for each. */
bool vj_const_read_bytes(const vj_func *f, vj_value v, int64_t offset, int64_t length, void *out,
                         vj_error *error) VJ_MUST_USE;
/* One stored element; *exact is set for integers and booleans. */
double vj_element_of(vj_dtype dtype, const uint8_t *at, int64_t *exact);
/* The other way: of a float from x, rounded, of an integer or boolean from exact. */
void vj_element_store(vj_dtype dtype, double x, int64_t exact, uint8_t *at);
/* A constant of bytes in the arena, from host data: doubles, or (when floats is NULL) integers. */
void vj_const_from_host(vj_arena *arena, vj_dtype dtype, int64_t count, const double *floats, const int64_t *ints,
                        vj_const *constant);
bool vj_is_const(const vj_func *f, vj_value v);
/* How the elements of a constant are stored; of another value VJ_NO_NIBBLES. */
vj_nibbles vj_const_nibbles(const vj_func *f, vj_value v);
/* Is v a constant, every element of which equals one number? (Reads it when it is small: at most 64 elements.) */
bool vj_is_splat(const vj_func *f, vj_value v, double *number);
/* XXH3-free content fingerprint is not here: hashing belongs to compiler/. */

/* infer.c - the types of a node's results from its operands and attributes */
bool vj_infer(const vj_func *f, const vj_node *node, vj_type *results, vj_error *error) VJ_MUST_USE;
/* numpy broadcasting; dims with N meet only equal ones or 1 */
bool vj_broadcast(const vj_type *a, const vj_type *b, vj_type *out);

/* work.c - steps that the evaluator takes for a node, roughly; sizes that the data decides at their bounds, N as 1 */
double vj_node_work(const vj_func *f, const vj_node *node);

/* verify.c */
bool vj_verify(const vj_func *f, vj_error *error) VJ_MUST_USE;

/* print.c, parse.c - the textual form; parse(print(f)) prints the same text (docs/ir.md has the grammar) */
void vj_print(const vj_func *f, FILE *out);
/* Several functions may stand in one text; *rest is set behind the one that was read. `folder`: of file("...") constants. */
vj_func *vj_parse(vj_arena *arena, const char *text, const char *folder, const char **rest, vj_error *error);

/* eval.c - the reference evaluator: plain loops; floats in double, integers and booleans exact in their own type */
typedef struct vj_tensor {
    vj_type type;  /* static */
    int64_t count; /* elements */
    double *f;     /* floats */
    int64_t *i;    /* integers and booleans */
} vj_tensor;
vj_tensor *vj_tensor_new(vj_arena *arena, const vj_type *type, vj_error *error);
/* Evaluates one node from its operands' tensors (NULL for an absent operand). */
bool vj_eval_node(vj_arena *arena, const vj_func *f, const vj_node *node, vj_tensor *const *args, vj_tensor **results,
                  vj_error *error) VJ_MUST_USE;
/* Evaluates the function for a batch of n; inputs and outputs in the function's order. Sizes that the data decides are
 * the true ones, and the outputs' dims are static. Floats are rounded to the value's
 * own precision only when `round` is set (f32 for every intermediate), else carried in double throughout. */
bool vj_eval(vj_arena *arena, const vj_func *f, int64_t n, vj_tensor *const *inputs, vj_tensor **outputs, bool round,
             vj_error *error) VJ_MUST_USE;

#endif
