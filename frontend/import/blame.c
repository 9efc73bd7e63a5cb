/* SPDX-License-Identifier: Apache-2.0 */
/* blame.c - names the constant that fixes a size which the current node cannot take.
 *
 * A model may leave a size open that its weights do not: the positions of a ViT for 196 patches, added to 576. The
 * node's error says what does not fit; whoever gave the size wants to know what it has to fit to.
 */
#include "import.h"

#include <stdio.h>
#include <string.h>

enum { NODES_WALKED = 64 };

/* The largest constant that v follows from through few nodes; VJ_NONE when it follows from anything else too. */
static vj_value largest_constant(const vj_func *f, vj_value v, int32_t *walked) {
    const vj_node *node = vj_producer(f, v);
    vj_value largest = VJ_NONE;
    int64_t most = -1;
    if (node->op == VJ_OP_const) return v;
    if (++*walked > NODES_WALKED) return VJ_NONE;
    for (int32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i] < 0) continue;
        const vj_value found = largest_constant(f, node->args[i], walked);
        int64_t elements;
        if (found < 0 || !vj_type_elements(f, vj_type_at(f, found), &elements)) return VJ_NONE;
        if (elements > most) largest = found;
        most = vj_max64(most, elements);
    }
    return largest;
}

static bool is_initializer(const vj_importer *im, const char *name) {
    for (const vj_scope *s = im->scope; s; s = s->outer)
        for (size_t i = 0; s->graph && i < s->graph->n_initializer; i++)
            if (strcmp(vj_text_of(s->graph->initializer[i]->name), name) == 0) return true;
    return false;
}

/* The constant behind an operand, with its name; a scalar fixes no size. */
static vj_value constant_behind(const vj_importer *im, const char *operand, const char **name) {
    const vj_binding *b = vj_bindings_find(im->names, operand);
    int32_t walked = 0;
    const vj_value v = b && b->value >= 0 ? largest_constant(im->f, b->value, &walked) : VJ_NONE;
    if (v < 0 || vj_type_at(im->f, v)->rank == 0) return VJ_NONE;
    *name = im->f->values[v].name ? im->f->values[v].name : v == b->value ? operand : "";
    return v;
}

void vj_blame_constant(vj_importer *im) {
    const char *name = NULL, *at = NULL;
    vj_value largest = VJ_NONE;
    int64_t most = 0, elements;
    for (size_t i = 0; im->node && i < im->node->n_input; i++) {
        const vj_value v = constant_behind(im, im->node->input[i], &at);
        if (v < 0 || !vj_type_elements(im->f, vj_type_at(im->f, v), &elements) || elements <= most) continue;
        largest = v;
        most = elements;
        name = at;
    }
    if (largest < 0 || !*name) return;
    const size_t used = strlen(im->error->text);
    snprintf(im->error->text + used, sizeof im->error->text - used, "; %s '%.200s', %s, fixes the size",
             is_initializer(im, name) ? "the initializer" : "the constant", name,
             vj_type_text(im->arena, vj_type_at(im->f, largest)));
    if (im->error->hint[0]) return;
    const int64_t *picture = im->options ? im->options->picture : NULL;
    if (im->took_picture && picture)
        vj_hint(im->error, "the files beside the model say %lld x %lld; give the size that it was made for",
                (long long)picture[1], (long long)picture[2]);
    else
        vj_hint(im->error, "give a size that it was made for, or export the model so that it follows the size");
}
