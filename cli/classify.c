/* classify.c - pictures in, classes out. */
#include "cli.h"

vj_status vj_classify(vj_model *model, const vj_cli_options *o) {
    return vj_say(VJ_USAGE, model->name, "give tensors: --input NAME=x.npy --output DIR",
                  "pictures are not read by this build: %s", o->pictures[0]);
}
