/* SPDX-License-Identifier: Apache-2.0 */
/* import.h - what the builders of ONNX ops share. Private to frontend/.
 *
 * A builder reads the operands and attributes of the current node, emits IR nodes and binds the results. Errors are
 * sticky: after the first one every function below returns VJ_NONE, false or a default at once, so a builder need not
 * check each step; it must check before it looks at a value's type.
 */
#ifndef VITJIT_FRONTEND_IMPORT_IMPORT_H
#define VITJIT_FRONTEND_IMPORT_IMPORT_H

#include "frontend/onnx/model.h"

/* A known element. Integers and booleans are a * N + b, where N is the open batch or a size that the data decides;
 * floats are f. */
typedef struct vj_affine {
    int64_t a, b;
    double f;
    int32_t data; /* 0: N is the batch; else N is unknown number data - 1 */
} vj_affine;
/* A small tensor whose elements are known, row-major. */
typedef struct vj_known {
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MAX_RANK];
    int64_t count;
    vj_affine *at;
} vj_known;

/* What an ONNX name stands for: an IR value, or known elements that have no IR value yet, or both. */
typedef struct vj_binding {
    const char *name;
    vj_value value;
    const vj_known *known;
    bool asked;     /* whether `known` has been computed from the IR value; it may have come out NULL */
    bool is_absent; /* whether it is an input of a function that the call leaves out */
} vj_binding;

/* The operation that an element results from. VJ_AFFINE_FOUND: a node of the graph computes it from data. */
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

/* A number that the data decides (sizes.c): an i64[] of the graph, its range, and the operation x op y that makes
 * it. */
typedef struct vj_unknown {
    vj_value value;
    int64_t least, most;
    int32_t symbol; /* the symbol that dims use for it; VJ_SYM_NONE: none yet */
    vj_affine_op op;
    vj_affine x, y;
} vj_unknown;

typedef struct vj_bindings vj_bindings; /* bindings.c */
/* The names of `outer` are visible too, as a branch of If sees those around it. `outer` may be NULL. */
vj_bindings *vj_bindings_new(vj_arena *arena, size_t expected, const vj_bindings *outer);
vj_binding *vj_bindings_find(const vj_bindings *names, const char *name);
/* A place for the names that the scope's nodes use; NULL: they have not been asked for. */
vj_bindings **vj_bindings_used(vj_bindings *names);
vj_arena *vj_bindings_arena(const vj_bindings *names);
/* Returns NULL when the name is bound already. The name is borrowed. */
vj_binding *vj_bindings_add(vj_bindings *names, const char *name);

typedef struct vj_importer vj_importer;

/* A row of import_table.def: how to build an ONNX op from an opset on. */
typedef struct vj_import_row {
    const char *op;
    int32_t since;
    bool (*build)(vj_importer *im);
    int32_t min_operands, max_operands; /* -1: any number */
    const char *attributes;             /* the names of attributes that it may have */
    int32_t ir_op;                      /* tells a builder of several ops which one to build */
} vj_import_row;

/* The size of a dim that the model names, from the first input that gives it on. */
typedef struct vj_dim_name {
    const char *name;
    vj_dim dim;
    bool has_several; /* whether it names batches that differ, and `dim` is but the first of them */
} vj_dim_name;

/* A list of nodes that are imported in order: the model's graph, a function's body, or a branch of If. */
typedef struct vj_scope {
    const vj_onnx *onnx;
    const struct vj_scope *outer; /* the scope that calls or contains it; NULL: this is the model's graph */
    bool is_branch;               /* whether it sees the names of `outer` */
    const char *path;             /* prefix of its nodes' names in messages: "", or "call/" */
    Onnx__NodeProto *const *nodes;
    size_t node_count;
    const Onnx__GraphProto *graph;       /* gives the results; NULL: `function` does */
    const Onnx__FunctionProto *function; /* gives attributes and opsets; NULL: the opsets are the model's */
    const Onnx__NodeProto *call;         /* the node that calls `function` */
    int32_t depth;                       /* how many calls enclose it */
    vj_bindings *names;
    /* What the node that opened it does with its results, which may open the next; NULL: they are the node's own. */
    bool (*finish)(struct vj_importer *im, const struct vj_scope *inner);
    void *state;
} vj_scope;

typedef struct vj_fold_memo vj_fold_memo;

struct vj_importer {
    vj_arena *arena;
    vj_onnx *onnx;
    const vj_import_options *options;
    vj_func *f;
    vj_error *error;
    const vj_scope *scope;
    vj_bindings *names;     /* the scope's */
    const vj_scope *opened; /* the scope that the current node opens (vj_open_scope), else NULL */
    int32_t inlined;        /* how many nodes calls of functions have added */
    bool is_repeat;         /* whether this import is a repeat, whose warnings were given the first time */
    vj_dim_name *dims;
    int32_t dim_count, dim_capacity;
    bool took_picture;   /* whether an input has the picture's size, which the files beside the model say */
    bool batches_differ; /* whether the shapes given differ in the inputs' open first dims */
    vj_unknown *unknowns;
    int32_t unknown_count, unknown_capacity;
    uint8_t *fold_state; /* of fold.c, for each value */
    vj_tensor **folded;
    int32_t fold_capacity;
    vj_fold_memo *fold_memo; /* fold.c */
    bool *taken;             /* for each offered value: whether it has become a constant */
    bool again;              /* whether more offered values were taken, so that the import must start again */
    /* the current node */
    const Onnx__NodeProto *node;
    const vj_import_row *row;
    const vj_origin *origin;
};

/* stop.c */
/* Notes an error of the current node. Returns false. */
bool vj_stop(vj_importer *im, vj_status status, const char *format, ...) VJ_PRINTF(3, 4);
static inline bool vj_going(const vj_importer *im) { return im->error->status == VJ_OK; }
const char *vj_onnx_op_name(vj_arena *arena, const Onnx__NodeProto *node); /* "Add", "com.x::Add" */
const char *vj_onnx_node_name(const Onnx__NodeProto *node);                /* or its first output's name */

/* support.c */
/* The row of the node's op, or NULL; the op may then still be a function of the model. */
const vj_import_row *vj_find_row(const vj_scope *scope, const Onnx__NodeProto *node);
/* Returns whether vitjit knows the op, or the op is a function made of known ops. `functions` has a byte for each
 * function of the model, which must be 0 before the first call and remembers what was found. */
bool vj_is_supported(const vj_scope *scope, const Onnx__NodeProto *node, uint8_t *functions);
bool vj_check_support(vj_importer *im, const vj_scope *scope);
/* Checks the opset of the default domain. `who` is the prefix of the message, "" for the model. Opset 0 means that the
 * domain is not named, so that no node may be of it. */
bool vj_check_opset(vj_importer *im, int64_t opset, const char *who);

/* scope.c */
bool vj_same_domain(const char *a, const char *b);
vj_scope vj_scope_of_model(const vj_onnx *onnx);                /* its `names` is NULL */
int64_t vj_opset_of(const vj_scope *scope, const char *domain); /* 0 when no opset of the default domain is given */
size_t vj_scope_outputs(const vj_scope *scope);
const char *vj_scope_output(const vj_scope *scope, size_t i);
bool vj_scope_uses(const vj_scope *scope, const char *name);
const Onnx__NodeProto *vj_scope_definer(const vj_scope *scope, const char *name);
enum { VJ_FUNCTIONS = 4096 };                                               /* the most functions of a model */
int32_t vj_find_function(const vj_onnx *onnx, const Onnx__NodeProto *node); /* its index in the model's list, or -1 */
vj_scope vj_scope_of_function(const vj_onnx *onnx, int32_t function);       /* without a call */
/* Notes that the current node opens a scope, which is copied. Once the node's builder has returned, import.c imports the
 * scope's nodes, and the scope's results become those of the node, or go to `finish`. */
bool vj_open_scope(vj_importer *im, const vj_scope *inner);

/* control.c: an attribute that is a graph of so many inputs; its scope, to be opened when its inputs are bound; both at once, with at most one
 * input; and its result number i when it is done. */
const Onnx__GraphProto *vj_graph_attribute(vj_importer *im, const char *name, size_t inputs);
bool vj_graph_scope(vj_importer *im, const Onnx__GraphProto *g, const char *path,
                    bool (*finish)(vj_importer *im, const vj_scope *inner), void *state, vj_scope *scope);
vj_binding *vj_graph_input(vj_importer *im, const vj_scope *scope, size_t i);
bool vj_open_graph(vj_importer *im, const Onnx__GraphProto *g, vj_value input,
                   bool (*finish)(vj_importer *im, const vj_scope *inner), void *state);
vj_binding *vj_graph_result(vj_importer *im, const vj_scope *inner, size_t i);

/* blame.c: adds to the error of the current node which constant fixes the size that it cannot take, where one does. */
void vj_blame_constant(vj_importer *im);

/* functions.c */
bool vj_check_functions(vj_importer *im);
/* The node with its references to attributes of the enclosing function replaced by the attributes. */
const Onnx__NodeProto *vj_resolve_references(vj_importer *im, const Onnx__NodeProto *node);
bool vj_count_inlined(vj_importer *im, size_t nodes); /* false with an error: they are too many by now */
bool vj_open_call(vj_importer *im, int32_t function); /* opens the scope of the function that the node calls */

/* constraints.c: element types that ONNX forbids for the current node */
bool vj_check_types(vj_importer *im);
/* int4 and uint4 are constants of int8 and uint8 whose elements are stored in 4 bits, or such constants moved. */
bool vj_is_of_nibbles(const vj_func *f, vj_value v);

/* open_dims.c */
/* The shape of a picture's input that leaves dims open, by the caller's sizes; the batch is 1. False: it is none, or they do not
 * say. */
bool vj_picture_shape(const vj_importer *im, const Onnx__TensorTypeProto *t, vj_shape *shape);
/* A shape that an input might have, as --shape takes it. */
const char *vj_example_shape(vj_arena *arena, const Onnx__TensorTypeProto *t);

/* inputs.c */
bool vj_bind_inputs(vj_importer *im);
bool vj_bind_initializers(vj_importer *im, const vj_scope *scope);
bool vj_check_output_type(vj_importer *im, const Onnx__ValueInfoProto *info, vj_value value);

/* fixed.c - inputs that are specialised by value */

/* The value that the input must have, or NULL when any will do. */
const vj_fixed_input *vj_fixed_value(const vj_importer *im, const char *name);
bool vj_check_fixed_names(vj_importer *im);
bool vj_bind_fixed_input(vj_importer *im, const vj_fixed_input *value, const Onnx__TensorTypeProto *type);
/* Fails because the operand must be known and is not; `what` names it ("axes"). Where the operand follows from small
 * inputs, their offered values are taken so that the import can start again, or else the error asks for them. Returns
 * false. */
bool vj_stop_unknown(vj_importer *im, int32_t operand, const char *what);
/* Whether the operand follows from small inputs that all have an offered value: these are taken, and the import stops to start again. */
bool vj_takes_offers(vj_importer *im, int32_t operand);
/* Returns whether the import must start again because offered values were taken. */
bool vj_import_again(vj_importer *im, int32_t *restarts);

/* operands.c - the current node's operands, attributes and results */

bool vj_has_operand(const vj_importer *im, int32_t i);
vj_value vj_operand_value(vj_importer *im, int32_t i);
vj_binding *vj_operand_binding(vj_importer *im, int32_t i); /* an absent operand is an error */
/* The IR value of a binding, made from its known elements where it has none. Elements with the batch are an error. */
vj_value vj_materialise(vj_importer *im, vj_binding *binding);
bool vj_bind(vj_importer *im, int32_t result, vj_value value);
bool vj_bind_known(vj_importer *im, int32_t result, const vj_known *known);
/* For a builder that goes on from another's result: reads the value bound so far (VJ_NONE when the result has no name)
 * and replaces it. */
vj_value vj_bound(vj_importer *im, int32_t result);
bool vj_rebind(vj_importer *im, int32_t result, vj_value value);
bool vj_bind_same(vj_importer *im, int32_t result, const vj_binding *as);
bool vj_result_is_used(const vj_importer *im, int32_t result); /* by a node or as an output */

const Onnx__AttributeProto *vj_find_attribute(vj_importer *im, const char *name);
int64_t vj_int_attribute(vj_importer *im, const char *name, int64_t otherwise);
double vj_float_attribute(vj_importer *im, const char *name, double otherwise);
/* The attribute "epsilon", which must be finite and not negative. */
double vj_epsilon(vj_importer *im, double otherwise);
const char *vj_text_attribute(vj_importer *im, const char *name, const char *otherwise);
/* Returns NULL and sets count to 0 when the attribute is absent. */
const int64_t *vj_ints_attribute(vj_importer *im, const char *name, int32_t *count);
/* An axis of [-rank, rank) counted from the front, or -1 and an error. */
int32_t vj_axis_of(vj_importer *im, int64_t axis, int32_t rank);

/* known.c - operands whose elements are known */

vj_known *vj_known_new(vj_importer *im, vj_dtype dtype, int32_t rank, const int64_t *dims);
enum { VJ_KNOWN_LIMIT = 1024, VJ_KNOWN_FLOATS = 16 }; /* the most elements of a vj_known: of integers, of floats */
/* The operand's elements when they are few and known, else NULL without an error. */
const vj_known *vj_known_operand(vj_importer *im, int32_t i);
const vj_known *vj_known_of(vj_importer *im, vj_binding *binding);
/* The operand as a list (rank 0 or 1) of known integers, else NULL and an error that names `what`. */
const vj_known *vj_known_list(vj_importer *im, int32_t i, const char *what);
/* The same for a list of constants, which depend on no N. */
const int64_t *vj_constant_list(vj_importer *im, int32_t i, const char *what, int32_t *count);
/* Reads axes from operand i where there is one, else from the attribute, sorted and distinct. Count becomes -1 when
 * there is neither. */
bool vj_axes_of(vj_importer *im, int32_t operand, int32_t rank, int32_t *axes, int32_t *count);

/* fold.c: the elements of a value that follows from constants alone, or NULL when it does not or has too many. */
const vj_tensor *vj_fold(vj_importer *im, vj_value v);
/* A slot for the value that a builder makes with `how` of operands that follow from constants: one slot for operands
 * with the same elements, VJ_NONE at first. NULL: an operand does not follow from constants. */
vj_value *vj_made_of(vj_importer *im, vj_op op, const char *how, const vj_value *operands, int32_t count);
/* A constant with the elements of t, of which vj_fold gives t itself where it is large. */
vj_value vj_emit_tensor(vj_importer *im, vj_tensor *t);

/* emit.c - IR nodes with the current node's origin */

vj_value vj_emit(vj_importer *im, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                 int32_t attr_count);
vj_value vj_emit1(vj_importer *im, vj_op op, vj_value a);
vj_value vj_emit2(vj_importer *im, vj_op op, vj_value a, vj_value b);
vj_value vj_emit3(vj_importer *im, vj_op op, vj_value a, vj_value b, vj_value c);
vj_value vj_emit_number(vj_importer *im, vj_dtype dtype, double number); /* a constant of rank 0 */
vj_value vj_emit_cast(vj_importer *im, vj_value x, vj_dtype to);
/* The functions below return x itself when there is nothing to do. */
vj_value vj_emit_reshape(vj_importer *im, vj_value x, const vj_dim *dims, int32_t rank);
vj_value vj_emit_transpose(vj_importer *im, vj_value x, const int32_t *perm);
vj_value vj_emit_broadcast(vj_importer *im, vj_value x, const vj_dim *dims, int32_t rank);
vj_value vj_emit_slice(vj_importer *im, vj_value x, int32_t axis, int64_t start, vj_dim size, int64_t step);
vj_value vj_emit_reduce(vj_importer *im, const char *kind, vj_value x, const int32_t *axes, int32_t count, bool keep);
/* 0, 1, ... count - 1 as a constant of `rank` dims, all of which are 1 but `axis`. */
vj_value vj_emit_iota(vj_importer *im, vj_dtype dtype, int64_t count, int32_t axis, int32_t rank);
/* Returns false with an error when the dim is the open batch, along which the current node would work. */
bool vj_closed_axis(vj_importer *im, vj_dim dim);
/* index.c: the place of the greatest or least element along the axis, which is not empty, as i32 with a dim of 1 there; of equal ones the first or the
 * last. As in ONNX Runtime a NaN is passed over, unless it is the first element: then it is `otherwise`. */
vj_value vj_emit_arg(vj_importer *im, vj_value x, int32_t axis, bool least, bool last, int64_t otherwise);
/* axes.c: log(softmax(x)) */
vj_value vj_emit_log_softmax(vj_importer *im, vj_value x, int32_t axis);
/* x [C] as [C, 1, 1, ...]: `rank` dims, C at `axis` */
vj_value vj_emit_column(vj_importer *im, vj_value x, int32_t axis, int32_t rank);
/* elementwise.c: an activation by ONNX's name of it, as recurrent ops have it; NULL: there is none of that name. */
typedef struct vj_activation {
    const char *name;
    vj_value (*emit)(vj_importer *im, vj_value x, double alpha, double beta);
    int32_t parameters; /* 0; 1: alpha; 2: and beta */
    double alpha, beta; /* when they are not given; NaN: they must be */
} vj_activation;
const vj_activation *vj_find_activation(const char *name);
/* movement.c: ONNX's Gather. The axis must be one of data's. */
vj_value vj_emit_gather(vj_importer *im, vj_value data, vj_value indices, int32_t axis);
/* The listed rows of x (indices of its first axis), in the order of the list. All must be in range. */
vj_value vj_emit_rows(vj_importer *im, vj_value x, const int64_t *rows, int64_t count);
/* The product of dims. Returns false with an error when it overflows or has N more than once. */
bool vj_dim_product(vj_importer *im, const vj_dim *dims, int32_t count, vj_dim *product);

/* shapes.c: computes the current node when all its operands are known. Returns false when its builder must do it. */
bool vj_solve(vj_importer *im);

/* affine.c: z = x op y. Returns false when it has no affine form for every N. */
bool vj_affine_exact(const vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z);
/* The range of x; *most is INT64_MAX when it has no upper end. */
bool vj_affine_range(const vj_importer *im, vj_affine x, int64_t *least, int64_t *most);

/* sizes.c - sizes that the data decides */

/* Makes a dim for a size that a node will find, at most `most`. vj_set_size gives it the size's value (i64[]) once the
 * node exists. */
bool vj_new_size(vj_importer *im, int64_t most, vj_dim *dim);
void vj_set_size(vj_importer *im, vj_dim dim, vj_value value);
/* Makes x op y an unknown of its own, computed by nodes. Returns false when its range is not known. */
bool vj_size_from(vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z);
/* z = x op y: its affine form, else an unknown of its own. Returns false when it is neither. */
bool vj_affine_combine(vj_importer *im, vj_affine_op op, vj_affine x, vj_affine y, vj_affine *z);
vj_affine vj_affine_of_dim(const vj_importer *im, vj_dim dim);
bool vj_affine_is_dim(const vj_importer *im, vj_affine affine, vj_dim dim);
/* The i64[] of an element that is a number or follows from a size that the data decides. */
vj_value vj_affine_value(vj_importer *im, vj_affine affine);
/* a * N + b as a dim. With the batch, a or b must be 0; with a size that the data decides, a new symbol may be made. */
bool vj_dim_of_affine(vj_importer *im, vj_affine affine, const char *what, vj_dim *dim);

/* emit_sizes.c - IR nodes whose results may have sizes that the data decides */

/* Returns the part itself when there is only one. */
vj_value vj_emit_concat(vj_importer *im, const vj_value *parts, int32_t count, int32_t axis);
vj_value vj_emit_indices(vj_importer *im, vj_affine count); /* 0, 1, ... as i64[count] */
/* The elements as a tensor of the same type and dims. */
vj_value vj_known_value(vj_importer *im, const vj_known *k);

/* The builders. */
#define ROW(op, since, builder, min, max, attributes, ir_op) bool vj_build_##builder(vj_importer *im);
#include "import_table.def"
#undef ROW

#endif
