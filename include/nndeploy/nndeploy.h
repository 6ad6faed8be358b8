/*
 * nndeploy.h: everything at once.
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_NNDEPLOY_H
#define NNDEPLOY_NNDEPLOY_H

#include "nndeploy/base.h"
#include "nndeploy/catalog.h"
#include "nndeploy/data.h"
#include "nndeploy/device.h"
#include "nndeploy/infer.h"
#include "nndeploy/ir.h"
#include "nndeploy/nodes.h"
#include "nndeploy/ops.h"
#include "nndeploy/plugin.h"
#include "nndeploy/sched.h"
#include "nndeploy/wire.h"
#include "nndeploy/workflow.h"

#endif
