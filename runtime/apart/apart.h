/* SPDX-License-Identifier: Apache-2.0 */
/* apart.h - a call of the compiler in a process of its own. */
#ifndef VITJIT_RUNTIME_APART_APART_H
#define VITJIT_RUNTIME_APART_APART_H

#include "answer.h"

/* call->request and emit are the host's, with its functions, which are called on this thread. A failure, the compiler's or
 * another, sets the thread's error; answer->text may be there all the same. The store is of VJ_ERRAND_COMPILE, else NULL. */
vj_status vj_apart_call(vj_call *call, const vj_weights_store *store, vj_answer *answer);

#endif
