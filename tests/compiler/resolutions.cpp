// The header's class for an object for two shapes: a session has one of them.  usage: resolutions WEIGHTS
#include <vector>

#include "any.h"
#include "vitjit_rt.h"

int main(int argc, char **argv) {
    std::size_t bytes = 0;
    const void *weights = argc == 2 ? vj_weights_open(argv[1], &bytes) : nullptr;
    if (!weights) return 1;
    std::vector<float> image(ANY_INPUT_0_BYTES(2) / sizeof(float), 0.5F), logits(20, 0.F), others(20, 0.F);
    any_session small(2, weights, bytes), large(2, weights, bytes, nullptr, 1), none(2, weights, bytes, nullptr, 2);
    if (none.status() != VJ_RUN_BAD_ARGUMENT || none.run(1, {image.data()}, {logits.data()}) != VJ_RUN_BAD_ARGUMENT) return 2;
    if (small.run(2, {image.data()}, {logits.data()}) != VJ_RUN_OK) return 3;
    if (large.run(2, {image.data()}, {others.data()}) != VJ_RUN_OK) return 4;
    if (large.run(3, {image.data()}, {others.data()}) != VJ_RUN_BAD_ARGUMENT) return 5;
    // Equal images, but other positions.
    return logits[0] == logits[10] && others[0] == others[10] && logits[0] != others[0] ? 0 : 6;
}
