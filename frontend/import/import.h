/* import.h - what the builders of ONNX ops share. Private to frontend/.
 *
 * A builder reads the operands and attributes of the current node, emits IR nodes and binds the results. Errors are
 * sticky: after the first one every function below returns VJ_NONE, false or a default at once, so a builder need not
 * check each step; it must check before it looks at a value's type.
 */
#ifndef VITJIT_FRONTEND_IMPORT_IMPORT_H
#define VITJIT_FRONTEND_IMPORT_IMPORT_H

#include "frontend/onnx/model.h"

/* A small value whose elements are known: integers and booleans a * N + b (N the open batch, or a size that the data
 * decides), floats f. */
typedef struct vj_affine {
    int64_t a, b;
    double f;
    int32_t data; /* 0: N is the batch; else 1 more than the unknown that a multiplies */
} vj_affine;
typedef struct vj_known {
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MAX_RANK];
    int64_t count;
    vj_affine *at;
} vj_known;

/* An ONNX value: an IR value, or known elements that have no IR value yet, or both. */
typedef struct vj_binding {
    const char *name;
    vj_value value;
    const vj_known *known;
    bool asked;     /* for known */
    bool is_absent; /* an input of a function that its call leaves out */
} vj_binding;

/* What can be done with elements; VJ_AFFINE_FOUND: a node finds it. */
typedef enum vj_affine_op {
    VJ_AFFINE_FOUND,
    VJ_AFFINE_ADD,
    VJ_AFFINE_SUB,
    VJ_AFFINE_MUL,
    VJ_AFFINE_DIV,
    VJ_AFFINE_MOD,
    VJ_AFFINE_MIN,
    VJ_AFFINE_MAX,
    VJ_AFFINE_EQ,
    VJ_AFFINE_LT,
    VJ_AFFINE_LE,
    VJ_AFFINE_GT,
    VJ_AFFINE_GE,
    VJ_AFFINE_AND,
    VJ_AFFINE_OR
} vj_affine_op;

/* A number that the data decides (sizes.c): an i64[] of the graph, its range, and how it came to be. */
typedef struct vj_unknown {
    vj_value value;
    int64_t least, most;
    int32_t symbol; /* of dims; VJ_SYM_NONE: none yet */
    vj_affine_op op;
    vj_affine x, y;
} vj_unknown;

typedef struct vj_bindings vj_bindings; /* bindings.c */
/* `outer`: names that are visible too, as a branch of If sees those around it; may be NULL. */
vj_bindings *vj_bindings_new(vj_arena *arena, size_t expected, const vj_bindings *outer);
vj_binding *vj_bindings_find(const vj_bindings *names, const char *name);
/* NULL when the name is there already. The name is borrowed. */
vj_binding *vj_bindings_add(vj_bindings *names, const char *name);

typedef struct vj_importer vj_importer;

/* A row of import_table.def: an ONNX op from an opset on. */
typedef struct vj_import_row {
    const char *op;
    int32_t since;
    bool (*build)(vj_importer *im);
    int32_t min_operands, max_operands; /* -1: any number */
    const char *attributes;             /* the names it may have */
    int32_t ir_op;                      /* for builders of several ops */
} vj_import_row;

/* A dim that the model names: its size, once something has bound it. */
typedef struct vj_dim_name {
    const char *name;
    vj_dim dim;
} vj_dim_name;

/* Nodes that are imported one after the other: of the model's graph, of a function's body, of a branch of If. */
typedef struct vj_scope {
    const vj_onnx *onnx;
    const struct vj_scope *outer; /* where it is called or stands; NULL: the model's graph */
    bool is_branch;               /* sees the names around it */
    const char *path;             /* in front of its nodes' names in messages: "", or "call/" */
    Onnx__NodeProto *const *nodes;
    size_t node_count;
    const Onnx__GraphProto *graph;       /* whose outputs are its results; NULL: the function's */
    const Onnx__FunctionProto *function; /* whose attributes are meant, and whose opsets; NULL: the model's opsets */
    const Onnx__NodeProto *call;         /* of that function */
    int32_t depth;                       /* calls within calls */
    vj_bindings *names;
} vj_scope;

struct vj_importer {
    vj_arena *arena;
    vj_onnx *onnx;
    const vj_import_options *options;
    vj_func *f;
    vj_error *error;
    const vj_scope *scope;
    vj_bindings *names; /* the scope's */
    int32_t inlined;    /* nodes that calls of functions made */
    bool is_repeat;     /* warnings were given the first time */
    vj_dim_name *dims;
    int32_t dim_count, dim_capacity;
    vj_unknown *unknowns;
    int32_t unknown_count, unknown_capacity;
    uint8_t *fold_state; /* fold.c, of each value */
    vj_tensor **folded;
    int32_t fold_capacity;
    bool *taken; /* of the values offered: those that are constants now */
    bool again;  /* more of them were taken: the import starts anew */
    /* the current node */
    const Onnx__NodeProto *node;
    const vj_import_row *row;
    const vj_origin *origin;
};

/* support.c */
/* The row of the node's op; NULL: none, and it may still be a function of the model. */
const vj_import_row *vj_find_row(const vj_scope *scope, const Onnx__NodeProto *node);
/* Is the op known, or the function made of known ops? `functions`: a byte for each of the model's, 0 at first, in which
 * is kept what was found. */
bool vj_is_supported(const vj_scope *scope, const Onnx__NodeProto *node, uint8_t *functions);
const char *vj_onnx_op_name(vj_arena *arena, const Onnx__NodeProto *node); /* "Add", "com.x::Add" */
const char *vj_onnx_node_name(const Onnx__NodeProto *node);                /* or its first output's */
bool vj_check_support(vj_importer *im, const vj_scope *scope);

/* import.c */
bool vj_import_nodes(vj_importer *im); /* of im->scope */
bool vj_check_opset(vj_importer *im, int64_t opset, const char *who);

/* scope.c */
bool vj_same_domain(const char *a, const char *b);
vj_scope vj_scope_of_model(const vj_onnx *onnx);                /* without names */
int64_t vj_opset_of(const vj_scope *scope, const char *domain); /* 0: the default domain, and nobody names its opset */
size_t vj_scope_outputs(const vj_scope *scope);
const char *vj_scope_output(const vj_scope *scope, size_t i);
bool vj_scope_uses(const vj_scope *scope, const char *name);
const Onnx__NodeProto *vj_scope_definer(const vj_scope *scope, const char *name);
/* Imports the nodes of a scope that the current node opens, whose results become the node's. */
bool vj_import_inner(vj_importer *im, vj_scope *inner);

/* functions.c */
enum { VJ_FUNCTIONS = 4096 };                                               /* of a model, at most */
int32_t vj_find_function(const vj_onnx *onnx, const Onnx__NodeProto *node); /* its place in the model's list, or -1 */
vj_scope vj_scope_of_function(const vj_onnx *onnx, int32_t function);       /* as if nobody called it */
bool vj_check_functions(vj_importer *im);
/* The node with attributes in place of references to those of the function that it stands in. */
const Onnx__NodeProto *vj_resolve_references(vj_importer *im, const Onnx__NodeProto *node);
bool vj_import_call(vj_importer *im, int32_t function);

/* constraints.c: element types that ONNX forbids for the current node */
bool vj_check_types(vj_importer *im);

/* inputs.c */
bool vj_bind_inputs(vj_importer *im);
bool vj_bind_initializers(vj_importer *im, const vj_scope *scope);
bool vj_check_output_type(vj_importer *im, const Onnx__ValueInfoProto *info, vj_value value);

/* fixed.c - inputs that are specialised by value */

/* The value that the input must have; NULL: any. */
const vj_fixed_input *vj_fixed_value(const vj_importer *im, const char *name);
bool vj_check_fixed_names(vj_importer *im);
bool vj_bind_fixed_input(vj_importer *im, const vj_fixed_input *value, const Onnx__TensorTypeProto *type);
/* Stops because the operand must be known and is not: `what` names it ("axes"). Where it follows from small inputs, the
 * error asks for their value, or those on offer are taken and the import begins again. Always false. */
bool vj_stop_unknown(vj_importer *im, int32_t operand, const char *what);
/* Did an import fail for want of values that it has taken now? */
bool vj_import_again(vj_importer *im, int32_t *restarts);

/* operands.c - the current node's operands, attributes and results */

/* Notes an error of the current node; always false. */
bool vj_stop(vj_importer *im, vj_status status, const char *format, ...) VJ_PRINTF(3, 4);
static inline bool vj_going(const vj_importer *im) { return im->error->status == VJ_OK; }
bool vj_has_operand(const vj_importer *im, int32_t i);
vj_value vj_operand_value(vj_importer *im, int32_t i);
vj_binding *vj_operand_binding(vj_importer *im, int32_t i); /* NULL and an error when there is none */
/* The operand's elements, when they are few and known; NULL otherwise (no error). */
const vj_known *vj_known_operand(vj_importer *im, int32_t i);
const vj_known *vj_known_of(vj_importer *im, vj_binding *binding);
/* The operand as a list of known integers, of rank 0 or 1; NULL and an error that names `what` otherwise. */
const vj_known *vj_known_list(vj_importer *im, int32_t i, const char *what);
/* The same when all are constants. */
const int64_t *vj_constant_list(vj_importer *im, int32_t i, const char *what, int32_t *count);
/* The IR value of a binding; an error when it depends on the batch. */
vj_value vj_materialise(vj_importer *im, vj_binding *binding);
bool vj_bind(vj_importer *im, int32_t result, vj_value value);
bool vj_bind_known(vj_importer *im, int32_t result, const vj_known *known);
/* For a builder that goes on from another's result: the value so far (VJ_NONE: nobody names it), and what replaces it. */
vj_value vj_bound(vj_importer *im, int32_t result);
bool vj_rebind(vj_importer *im, int32_t result, vj_value value);
bool vj_bind_same(vj_importer *im, int32_t result, const vj_binding *as);
bool vj_result_is_used(const vj_importer *im, int32_t result); /* by a node or as an output */

const Onnx__AttributeProto *vj_find_attribute(vj_importer *im, const char *name);
int64_t vj_int_attribute(vj_importer *im, const char *name, int64_t otherwise);
double vj_float_attribute(vj_importer *im, const char *name, double otherwise);
/* The attribute "epsilon": finite and not negative. */
double vj_epsilon(vj_importer *im, double otherwise);
const char *vj_text_attribute(vj_importer *im, const char *name, const char *otherwise);
/* NULL and count 0 when it is absent. */
const int64_t *vj_ints_attribute(vj_importer *im, const char *name, int32_t *count);
/* An axis in [-rank, rank) counted from the front; -1 and an error otherwise. */
int32_t vj_axis_of(vj_importer *im, int64_t axis, int32_t rank);
/* Axes from operand i where there is one, else from the attribute; count -1: neither is there. Sorted, distinct. */
bool vj_axes_of(vj_importer *im, int32_t operand, int32_t rank, int32_t *axes, int32_t *count);

/* fold.c: the elements of a value that follows from constants alone; NULL: it does not, or has too many. */
const vj_tensor *vj_fold(vj_importer *im, vj_value v);

/* emit.c - IR nodes with the current node's origin */

vj_value vj_emit(vj_importer *im, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                 int32_t attr_count);
vj_value vj_emit1(vj_importer *im, vj_op op, vj_value a);
vj_value vj_emit2(vj_importer *im, vj_op op, vj_value a, vj_value b);
vj_value vj_emit3(vj_importer *im, vj_op op, vj_value a, vj_value b, vj_value c);
vj_value vj_emit_number(vj_importer *im, vj_dtype dtype, double number); /* a constant of rank 0 */
vj_value vj_emit_cast(vj_importer *im, vj_value x, vj_dtype to);
/* Those below return x itself when there is nothing to do. */
vj_value vj_emit_reshape(vj_importer *im, vj_value x, const vj_dim *dims, int32_t rank);
vj_value vj_emit_transpose(vj_importer *im, vj_value x, const int32_t *perm);
vj_value vj_emit_broadcast(vj_importer *im, vj_value x, const vj_dim *dims, int32_t rank);
vj_value vj_emit_slice(vj_importer *im, vj_value x, int32_t axis, int64_t start, vj_dim size, int64_t step);
vj_value vj_emit_reduce(vj_importer *im, const char *kind, vj_value x, const int32_t *axes, int32_t count, bool keep);
vj_value vj_emit_concat(vj_importer *im, const vj_value *parts, int32_t count, int32_t axis);
/* 0, 1, ... count - 1 as a constant of `rank` dims, all 1 but `axis`. */
vj_value vj_emit_iota(vj_importer *im, vj_dtype dtype, int64_t count, int32_t axis, int32_t rank);
/* False and an error when the dim is the batch: the current node works along it. */
bool vj_closed_axis(vj_importer *im, vj_dim dim);
/* axes.c: log(softmax(x)) */
vj_value vj_emit_log_softmax(vj_importer *im, vj_value x, int32_t axis);
vj_value vj_emit_indices(vj_importer *im, vj_affine count); /* 0, 1, ... as i64[count] */
/* x [C] as [C, 1, 1, ...]: `rank` dims, C at `axis` */
vj_value vj_emit_column(vj_importer *im, vj_value x, int32_t axis, int32_t rank);
/* movement.c: ONNX's Gather; data has the axis. */
vj_value vj_emit_gather(vj_importer *im, vj_value data, vj_value indices, int32_t axis);
/* The rows of x (its first axis) in the order that the list says; all are in range. */
vj_value vj_emit_rows(vj_importer *im, vj_value x, const int64_t *rows, int64_t count);
/* The product of dims; false and an error when it overflows or has N more than once. */
bool vj_dim_product(vj_importer *im, const vj_dim *dims, int32_t count, vj_dim *product);

/* shapes.c - solves the current node when all its operands are known; false: a builder must do it. */
bool vj_solve(vj_importer *im);
vj_known *vj_known_new(vj_importer *im, vj_dtype dtype, int32_t rank, const int64_t *dims);
enum { VJ_KNOWN_LIMIT = 1024, VJ_KNOWN_FLOATS = 16 }; /* elements */

/* affine.c: x op y; false: it has no such form for every N. */
bool vj_affine_combine(vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z);
/* The range that x can have; INT64_MAX: there is no end. */
bool vj_affine_range(const vj_importer *im, vj_affine x, int64_t *least, int64_t *most);

/* sizes.c - sizes that the data decides */

/* A size that a node finds, at most `most`: the dim for its type; its value (i64[]) is given when the node is there. */
bool vj_new_size(vj_importer *im, int64_t most, vj_dim *dim);
void vj_set_size(vj_importer *im, vj_dim dim, vj_value value);
/* x op y as a size of its own, computed by nodes; false: its range is not known. */
bool vj_size_from(vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z);
vj_affine vj_affine_of_dim(const vj_importer *im, vj_dim dim);
bool vj_affine_is_dim(const vj_importer *im, vj_affine affine, vj_dim dim);
/* An i64[] that is a number or follows from a size that the data decides. */
vj_value vj_affine_value(vj_importer *im, vj_affine affine);
vj_value vj_known_value(vj_importer *im, const vj_known *k);
/* a * N + b as a dim. Of the batch, a or b is 0; of a size that the data decides, it may be a new symbol. */
bool vj_dim_of_affine(vj_importer *im, vj_affine affine, const char *what, vj_dim *dim);

/* The builders. */
#define ROW(op, since, builder, min, max, attributes, ir_op) bool vj_build_##builder(vj_importer *im);
#include "import_table.def"
#undef ROW

#endif
