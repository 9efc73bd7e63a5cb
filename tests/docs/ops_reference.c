/* SPDX-License-Identifier: Apache-2.0 */
/* ops_reference.c - writes docs/ops.md, the reference of ops, from frontend/import/import_table.def,
 * frontend/import/op_notes.def and ir/tensor/ops.def.
 * usage: ops_reference > docs/ops.md, or ops_reference --check docs/ops.md */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    const char *op;
    int since, least, most; /* operands */
    const char *attributes;
} row;

static const row rows[] = {
#define ROW(op, since, builder, min, max, attributes, ir_op) {op, since, min, max, attributes},
#include "frontend/import/import_table.def"
#undef ROW
};

static const struct {
    const char *op, *types, *limits;
} notes[] = {
#define NOTE(op, types, limits) {op, types, limits},
#include "frontend/import/op_notes.def"
#undef NOTE
};

enum {
    VJ_FLAG_ELEMENTWISE = 1,
    VJ_FLAG_MOVEMENT = 2,
    VJ_FLAG_COMMUTATIVE = 4,
    VJ_FLAG_DATA_SHAPE = 8,
    VJ_FLAG_CHEAP = 16,
    VJ_FLAG_WEIGHT = 32
};

static const struct {
    const char *op;
    int least, most, results, flags;
    const char *attributes;
} ir_ops[] = {
#define OP(id, name, min, max, results, flags, attributes) {name, min, max, results, flags, attributes},
#include "ir/tensor/ops.def"
#undef OP
};

enum {
    ROWS = sizeof rows / sizeof *rows,
    NOTES = sizeof notes / sizeof *notes,
    IR_OPS = sizeof ir_ops / sizeof *ir_ops,
    TEXT = 1 << 20
};

typedef struct text {
    char *at;
    size_t size;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...) {
    __builtin_va_list args;
    __builtin_va_start(args, format);
    const int n = vsnprintf(t->at + t->size, TEXT - t->size, format, args);
    __builtin_va_end(args);
    if (n < 0 || (size_t)n >= TEXT - t->size) exit(1);
    t->size += (size_t)n;
}

/* Sorts the default domain first, then by domain, name and rising version. */
static int by_name(const void *left, const void *right) {
    const row *a = left, *b = right;
    const bool other_a = strstr(a->op, "::") != NULL, other_b = strstr(b->op, "::") != NULL;
    if (other_a != other_b) return other_a ? 1 : -1;
    const int order = strcmp(a->op, b->op);
    return order ? order : a->since - b->since;
}

static void add_count(text *t, int least, int most) {
    if (most < 0)
        add(t, "%d or more", least);
    else if (least == most)
        add(t, "%d", least);
    else
        add(t, "%d to %d", least, most);
}

/* Rows [first, end) belong to one op. */
static void add_op(text *t, const row *all, int first, int end) {
    const row *newest = &all[end - 1];
    const char *types = "", *limits = "";
    for (int i = 0; i < NOTES; i++)
        if (strcmp(notes[i].op, newest->op) == 0) {
            types = notes[i].types;
            limits = notes[i].limits;
        }
    add(t, "| `%s` | ", newest->op);
    for (int i = first; i < end; i++)
        add(t, "%s%d", i > first ? ", " : "", all[i].since);
    add(t, " | ");
    add_count(t, newest->least, newest->most);
    add(t, " | %s | %s | %s |\n", newest->attributes, *types ? types : "all", limits);
}

static void add_onnx(text *t) {
    row *all = malloc(sizeof rows);
    if (!all) exit(1);
    memcpy(all, rows, sizeof rows);
    qsort(all, ROWS, sizeof *all, by_name);
    int count = 0;
    for (int i = 0; i < ROWS; i++)
        count += i == 0 || strcmp(all[i].op, all[i - 1].op) != 0;
    add(t,
        "## ONNX: %d ops\n\n"
        "| op | from opset | operands | attributes | types | limits |\n| --- | --- | --- | --- | --- | --- |\n",
        count);
    for (int first = 0, end; first < ROWS; first = end) {
        for (end = first + 1; end < ROWS && strcmp(all[end].op, all[first].op) == 0;)
            end++;
        add_op(t, all, first, end);
    }
    free(all);
}

static void add_ir(text *t) {
    add(t,
        "\n## The tensor level: %d ops\n\n| op | operands | results | attributes | kind |\n"
        "| --- | --- | --- | --- | --- |\n",
        IR_OPS);
    for (int i = 0; i < IR_OPS; i++) {
        add(t, "| `%s` | ", ir_ops[i].op);
        add_count(t, ir_ops[i].least, ir_ops[i].most);
        const char *kind = ir_ops[i].flags & VJ_FLAG_ELEMENTWISE ? "elementwise"
                           : ir_ops[i].flags & VJ_FLAG_MOVEMENT  ? "movement"
                                                                 : "";
        add(t, " | %d | %s | %s%s |\n", ir_ops[i].results, ir_ops[i].attributes, kind,
            ir_ops[i].flags & VJ_FLAG_COMMUTATIVE ? ", commutative" : "");
    }
}

static int check(const text *t, const char *path) {
    char *have = malloc(TEXT);
    FILE *file = fopen(path, "rb");
    const size_t size = have && file ? fread(have, 1, TEXT, file) : 0;
    if (file) fclose(file);
    const bool same = size == t->size && memcmp(have, t->at, size) == 0;
    free(have);
    if (!same) fprintf(stderr, "%s is stale: build/release/ops_reference > docs/ops.md writes it\n", path);
    return !same;
}

int main(int argc, char **argv) {
    text t = {.at = malloc(TEXT)};
    if (!t.at) return 1;
    add(&t, "# Reference of ops\n\n"
            "Written by `build/release/ops_reference` from `frontend/import/import_table.def`, "
            "`frontend/import/op_notes.def` and "
            "`ir/tensor/ops.def`; the suite\n"
            "says when it is stale. \"From opset\" has a number for each change that matters; a model's op is taken as "
            "of the\n"
            "largest that is not above its opset. Operands and attributes are those of the newest. In types, \"half\" "
            "is float16 and bfloat16,\n"
            "which are computed in float32; \"all\" is every type that ONNX allows, but for strings, complex numbers, "
            "and floats and\n"
            "integers of 8 bits and fewer other than int8, uint8 and bool. Limits of the whole: "
            "[frontend.md](frontend.md).\n\n");
    add_onnx(&t);
    add_ir(&t);
    if (argc == 3 && strcmp(argv[1], "--check") == 0) return check(&t, argv[2]);
    fwrite(t.at, 1, t.size, stdout);
    free(t.at);
    return 0;
}
