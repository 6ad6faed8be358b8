/* Operations of a step, for profile and plan. */
#ifndef NND_ENGINE_PLAN_WORK_H
#define NND_ENGINE_PLAN_WORK_H

#include "engine/ops/op.h"

/* Operations of one run by the definition of the operator: what its row says (products), else by
   element. An addition, multiplication, division, comparison or elementary function is one, a
   multiply-add two. 0 for operators that only move, choose or convert elements, and for those that
   are not known here. Elements that fill up a block of channels are counted: they are computed. */
double nnd_work_flops(const nnd_op_ctx *c);

#endif
