#include "engine/ops/brought.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/isa.h"
#include "engine/ops/call.h"
#include "port/port.h"

enum { MAX_KERNELS = 1024, MAX_ROWS = 1024, MAX_ABLE = 8, SHAPE_TEXT = 256 };
/* Stands where a domain does: no pass knows operators of it. */
#define DOMAIN              "kernel of a plug-in"
#define HAS(kernel, member) NND_TABLE_HAS(kernel, nnd_kernel, member)

/* An operator for which there are kernels. */
typedef struct kernel_row {
    nnd_op row; /* first: rows are all that the engine knows */
    const nnd_op *own;
} kernel_row;

/* Entries never change or go: readers need only the counts. */
static nnd_port_mutex list_lock = NND_PORT_MUTEX_INIT;
static const nnd_kernel *kernels[MAX_KERNELS];
static kernel_row rows[MAX_ROWS];
static atomic_size_t kernel_count, row_count;

/* What a node could be computed by: kernels that can, in the order of being asked, and the engine.
 */
typedef struct able_kernels {
    nnd_op_choice choice;
    const char *names[MAX_ABLE];
    char shape[SHAPE_TEXT];
} able_kernels;

/* Of a node: its kernel, and the node as the operator itself sees it. */
typedef struct kernel_state {
    const nnd_kernel *kernel; /* NULL = none, the operator computes */
    void *state;
    nnd_graph_node own;
    able_kernels able;
} kernel_state;

/* Of a step of a plan: the kernel may be unable to do these shapes. */
typedef struct kernel_step {
    const nnd_kernel *kernel;
    const nnd_op *own;
    void *own_step;
} kernel_step;

bool nnd_brought_any(void)
{
    return atomic_load_explicit(&kernel_count, memory_order_acquire) > 0;
}

static const kernel_row *row_of(const nnd_op *own)
{
    size_t count = atomic_load_explicit(&row_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (rows[i].own == own) return &rows[i];
    return NULL;
}

const nnd_op *nnd_brought_own(const nnd_op *op)
{
    return op && op->flags & NND_OP_BROUGHT ? ((const kernel_row *)op)->own : op;
}

/* ---- which kernel ---------------------------------------------------------------------------- */

static bool is_for(const nnd_kernel *k, const nnd_op *own, int64_t opset)
{
    return strcmp(k->op, own->name) == 0 && strcmp(k->domain, own->domain) == 0 &&
           opset >= k->since && (k->until == 0 || opset <= k->until);
}

bool nnd_brought_for(const nnd_op *own, int64_t opset)
{
    size_t count = atomic_load_explicit(&kernel_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (is_for(kernels[i], own, opset)) return true;
    return false;
}

bool nnd_brought_named(const char *op, const char *name)
{
    size_t count = atomic_load_explicit(&kernel_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (strcmp(kernels[i]->name, name) == 0 &&
            (strcmp(op, "*") == 0 || strcmp(op, kernels[i]->op) == 0))
            return true;
    return false;
}

static bool may_run_here(const nnd_kernel *k)
{
    nnd_isa isa;
    if (!k->isa) return true;
    if (nnd_isa_from_name(k->isa, &isa) == NND_OK) return nnd_isa_has(isa);
    nnd_error_clear();
    return false;
}

/* supports changes nothing; a message that it leaves is of no use to anybody. */
static bool can(const nnd_kernel *k, const nnd_op *own, const nnd_operator_call *call)
{
    const nnd_tensor *x = call->input_count ? call->inputs[0] : NULL;
    nnd_op_origin *from = call->host;
    if (!is_for(k, own, from->node->opset) || !may_run_here(k)) return false;
    if (k->dtypes && (!x || !(k->dtypes >> x->dtype & 1u))) return false;
    bool yes = k->supports(call);
    nnd_error_clear();
    return yes;
}

/* Higher priority first, and then the order of registration. */
static bool comes_before(size_t a, size_t b)
{
    int32_t x = kernels[a]->priority, y = kernels[b]->priority;
    return x != y ? x > y : a < b;
}

/* The next kernel behind kernels[after] that can; SIZE_MAX = from the beginning, and none. */
static size_t next_that_can(const nnd_op *own, const nnd_operator_call *call, size_t after)
{
    size_t best = SIZE_MAX, count = atomic_load_explicit(&kernel_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        if (after != SIZE_MAX && !comes_before(after, i)) continue;
        if (best != SIZE_MAX && !comes_before(i, best)) continue;
        if (can(kernels[i], own, call)) best = i;
    }
    return best;
}

/* ---- offers before there is a plan ----------------------------------------------------------- */

/* A node at its nominal shapes, as a call. */
typedef struct offer {
    nnd_graph_node node; /* as the operator itself sees it */
    nnd_op_ctx ctx;
    nnd_op_origin from;
    nnd_operator_call call;
    nnd_tensor *tensors; /* inputs, then outputs */
    const nnd_tensor **in;
    bool known; /* all shapes are */
} offer;

static void offer_fini(offer *o)
{
    nnd_free(o->tensors);
    nnd_free(o->in);
}

static bool nominal_tensor(const nnd_graph_value *v, nnd_tensor *t)
{
    if (v->nominal_rank < 0 || v->nominal_dtype == NND_DTYPE_INVALID) return false;
    if (nnd_tensor_init(t, v->nominal_dtype, v->nominal_rank, v->nominal, NULL) == NND_OK)
        return true;
    nnd_error_clear();
    return false;
}

static nnd_status fill_inputs(offer *o, nnd_graph *g)
{
    for (size_t k = 0; k < o->node.formal_count; k++) {
        uint32_t id = o->node.inputs[k];
        if (id == NND_NO_ID) continue;
        NND_TRY(nnd_graph_constant(g, id, &o->in[k]));
        if (o->in[k]) continue;
        o->known = o->known && nominal_tensor(&g->values[id], &o->tensors[k]);
        o->in[k] = &o->tensors[k];
    }
    return NND_OK;
}

static nnd_status offer_init(offer *o, nnd_graph *g, const nnd_graph_node *n, const nnd_op *own)
{
    *o = (offer){.node = *n, .known = true};
    o->node.op = own;
    o->node.domain = own->domain;
    o->node.state = NULL;
    o->tensors = nnd_calloc(n->formal_count + n->output_count + 1, sizeof(*o->tensors));
    o->in = nnd_calloc(n->formal_count + 1, sizeof(*o->in));
    if (!o->tensors || !o->in)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for node '%s'", n->name);
    NND_TRY(fill_inputs(o, g));
    nnd_tensor *out = o->tensors + n->formal_count;
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID)
            o->known = o->known && nominal_tensor(&g->values[n->outputs[k]], &out[k]);
    o->ctx = (nnd_op_ctx){.node = &o->node,
                          .op = own,
                          .in_count = n->formal_count,
                          .in = o->in,
                          .out_count = n->output_count,
                          .out = out};
    o->from = (nnd_op_origin){&o->node, &o->ctx};
    o->call = nnd_op_call(&o->from);
    o->call.outputs = out;
    return NND_OK;
}

/* "Gemm f32[4,37] f32[5,37] -> f32[4,5]": the same shapes of other operators are another key. */
static void describe_shapes(const offer *o, char *text)
{
    size_t in = o->ctx.in_count, all = in + o->ctx.out_count;
    int used = snprintf(text, SHAPE_TEXT, "%s", o->ctx.op->name);
    for (size_t k = 0; k < all && used >= 0 && used < SHAPE_TEXT; k++) {
        char one[160] = "-";
        const nnd_tensor *t = k < in ? o->in[k] : &o->ctx.out[k - in];
        if (t && t->dtype != NND_DTYPE_INVALID) (void)nnd_tensor_describe(t, one, sizeof(one));
        used +=
            snprintf(text + used, SHAPE_TEXT - (size_t)used, "%s%s", k == in ? " -> " : " ", one);
    }
}

static void list_able(const nnd_op *own, offer *o, able_kernels *a)
{
    a->choice = (nnd_op_choice){.shape = a->shape, .kernels = a->names};
    describe_shapes(o, a->shape);
    for (size_t i = next_that_can(own, &o->call, SIZE_MAX);
         i != SIZE_MAX && a->choice.count + 1 < MAX_ABLE; i = next_that_can(own, &o->call, i))
        a->names[a->choice.count++] = kernels[i]->name;
    if (a->choice.count) a->names[a->choice.count++] = nnd_choice_engine;
}

/* Some kernel can, and nobody has measured that the engine is faster at this shape. */
static bool is_wanted(const nnd_graph *g, const nnd_op *own, offer *o)
{
    able_kernels a = {.shape = ""};
    list_able(own, o, &a);
    const char *measured = a.choice.count ? nnd_choices_measured(g, own->name, &a.choice) : NULL;
    return a.choice.count && (!measured || strcmp(measured, nnd_choice_engine) != 0);
}

static nnd_status bind_node(nnd_graph *g, nnd_graph_node *n)
{
    const kernel_row *row = n->op && !n->dead ? row_of(n->op) : NULL;
    offer o;
    if (!row || n->epilogue || n->input_count != n->formal_count) return NND_OK;
    nnd_status status = offer_init(&o, g, n, n->op);
    if (status == NND_OK && o.known && is_wanted(g, n->op, &o)) {
        n->op = &row->row;
        n->domain = row->row.domain;
    }
    offer_fini(&o);
    return status;
}

nnd_status nnd_brought_bind(nnd_graph *g)
{
    for (nnd_graph *child = g->children; child; child = child->sibling)
        NND_TRY(nnd_brought_bind(child));
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(bind_node(g, &g->nodes[i]));
    return NND_OK;
}

/* ---- preparing ------------------------------------------------------------------------------- */

/* The first that can and whose prepare agrees, or the one that is asked for. */
static nnd_status choose(nnd_graph *g, const nnd_op *own, offer *o, kernel_state *s)
{
    nnd_op_choice *choice = &s->able.choice;
    list_able(own, o, &s->able);
    const char *wanted = choice->count ? nnd_choices_find(g, own->name, choice) : NULL;
    choice->is_measured = wanted != NULL;
    choice->kernel = nnd_choice_engine;
    if (wanted && strcmp(wanted, nnd_choice_engine) == 0) return NND_OK;
    for (size_t i = next_that_can(own, &o->call, SIZE_MAX); i != SIZE_MAX;
         i = next_that_can(own, &o->call, i)) {
        if (wanted && strcmp(wanted, kernels[i]->name) != 0) continue;
        nnd_status status =
            HAS(kernels[i], prepare) ? kernels[i]->prepare(&o->call, &s->state) : NND_OK;
        if (status == NND_OK) {
            s->kernel = kernels[i];
            choice->kernel = kernels[i]->name;
            return NND_OK;
        }
        if (status != NND_E_UNSUPPORTED)
            return nnd_error_wrap(status, "kernel '%s' cannot be prepared", kernels[i]->name);
        nnd_error_clear();
    }
    return NND_OK;
}

/* Constants that a kernel reads must not be given back once the operator has packed them. */
static void hold_inputs(nnd_graph *g, const nnd_graph_node *n, bool on)
{
    for (size_t k = 0; k < n->formal_count; k++)
        if (n->inputs[k] != NND_NO_ID) g->values[n->inputs[k]].uses += on ? 1u : -1u;
}

/* The operator prepares itself as well, unless the kernel was asked about the only shapes that are
   possible. */
static nnd_status brought_prepare(nnd_graph *g, nnd_graph_node *n)
{
    const nnd_op *own = nnd_brought_own(n->op);
    kernel_state *s = nnd_calloc(1, sizeof(*s));
    offer o;
    if (!s) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for node '%s'", n->name);
    n->state = s;
    nnd_status status = offer_init(&o, g, n, own);
    s->own = o.node;
    if (status == NND_OK && o.known) status = choose(g, own, &o, s);
    offer_fini(&o);
    NND_TRY(status);
    if (s->able.choice.count) n->choice = &s->able.choice;
    if (!own->prepare || (s->kernel && g->nominal_exact)) return NND_OK;
    if (s->kernel) hold_inputs(g, n, true);
    status = own->prepare(g, &s->own);
    if (s->kernel) hold_inputs(g, n, false);
    if (!n->choice) n->choice = s->own.choice;
    return status;
}

static void brought_release(void *state)
{
    kernel_state *s = state;
    if (!s) return;
    if (s->kernel && HAS(s->kernel, release)) s->kernel->release(s->state);
    if (s->own.op->release && s->own.state) s->own.op->release(s->own.state);
    nnd_free(s);
}

/* ---- the row's functions --------------------------------------------------------------------- */

/* The context as the operator itself sees it; before prepare there is no state. */
static nnd_op_ctx own_view(const nnd_op_ctx *c, nnd_graph_node *node)
{
    const kernel_state *s = c->node->state;
    nnd_op_ctx v = *c;
    *node = s ? s->own : *c->node;
    v.op = nnd_brought_own(c->op);
    node->op = v.op;
    node->domain = v.op->domain;
    v.node = node;
    return v;
}

static nnd_status brought_infer(nnd_op_ctx *c)
{
    nnd_graph_node node;
    nnd_op_ctx v = own_view(c, &node);
    return v.op->infer(&v);
}

static double brought_flops(const nnd_op_ctx *c)
{
    nnd_graph_node node;
    nnd_op_ctx v = own_view(c, &node);
    return v.op->flops ? v.op->flops(&v) : 0;
}

static nnd_operator_call make_call(nnd_op_origin *from, const kernel_state *s)
{
    nnd_operator_call call = nnd_op_call(from);
    call.outputs = from->ctx->out;
    call.state = s->state;
    return call;
}

/* Whether the kernel does these shapes; if so, what it needs. */
static nnd_status plan_kernel(nnd_op_ctx *c, kernel_step *step)
{
    nnd_graph_node node;
    const kernel_state *s = c->node->state;
    if (!s || !s->kernel) return NND_OK;
    nnd_op_ctx v = own_view(c, &node);
    nnd_op_origin from = {&node, &v};
    nnd_operator_call call = make_call(&from, s);
    if (!can(s->kernel, v.op, &call)) return NND_OK;
    nnd_status status = HAS(s->kernel, plan) ? s->kernel->plan(&call, &c->workspace_bytes) : NND_OK;
    if (status == NND_E_UNSUPPORTED) {
        nnd_error_clear();
        c->workspace_bytes = 0;
        return NND_OK;
    }
    if (status != NND_OK) return nnd_error_wrap(status, "kernel '%s' has no plan", s->kernel->name);
    step->kernel = s->kernel;
    c->kernel = s->kernel->name;
    return NND_OK;
}

static nnd_status plan_own(nnd_op_ctx *c, kernel_step *step)
{
    nnd_graph_node node;
    nnd_op_ctx v = own_view(c, &node);
    if (v.op->plan) NND_TRY(v.op->plan(&v));
    step->own_step = v.step;
    c->workspace_bytes = v.workspace_bytes;
    c->lane_bytes = v.lane_bytes;
    c->kernel = v.kernel;
    return NND_OK;
}

static void brought_unplan(void *made)
{
    kernel_step *step = made;
    if (step->own_step && step->own->unplan) step->own->unplan(step->own_step);
    nnd_free(step);
}

static nnd_status brought_plan(nnd_op_ctx *c)
{
    kernel_step *step = nnd_calloc(1, sizeof(*step));
    if (!step) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the plan");
    step->own = nnd_brought_own(c->op);
    nnd_status status = plan_kernel(c, step);
    if (status == NND_OK && !step->kernel) status = plan_own(c, step);
    if (status == NND_OK)
        c->step = step;
    else
        brought_unplan(step);
    return status;
}

/* Without a plan (folding ahead of time) the operator itself runs. */
static nnd_status brought_run(nnd_op_ctx *c)
{
    nnd_graph_node node;
    const kernel_step *step = c->step;
    nnd_op_ctx v = own_view(c, &node);
    v.step = step ? step->own_step : NULL;
    if (!step || !step->kernel) return v.op->run(&v);
    nnd_op_origin from = {&node, &v};
    nnd_operator_call call = make_call(&from, c->node->state);
    call.workspace = c->workspace;
    call.cancel = c->cancel;
    nnd_status status = step->kernel->run(&call);
    if (status == NND_OK || status == NND_E_CANCELLED || status == NND_E_TIMEOUT) return status;
    return nnd_error_wrap(status, "kernel '%s' failed in node '%s'", step->kernel->name,
                          c->node->name);
}

/* ---- registration ---------------------------------------------------------------------------- */

/* Operators without anything to compute, or whose results have no shape before they run. */
enum {
    NOT_OFFERED = NND_OP_VIEW | NND_OP_SHAPE_ONLY | NND_OP_DYNAMIC | NND_OP_BOXES |
                  NND_OP_HANDS_ON | NND_OP_RANDOM
};

static bool is_sound(const nnd_kernel *k)
{
    return k && k->struct_size >= offsetof(nnd_kernel, prepare) && k->domain && k->op && k->op[0] &&
           k->name && k->name[0] && k->supports && k->run && k->since >= 1 &&
           (k->until == 0 || k->until >= k->since);
}

static bool versions_meet(const nnd_kernel *k, const nnd_op *op)
{
    return strcmp(k->op, op->name) == 0 && strcmp(k->domain, op->domain) == 0 &&
           (op->until == 0 || k->since <= op->until) && (k->until == 0 || op->since <= k->until);
}

static void fill(kernel_row *entry, const nnd_op *own)
{
    entry->own = own;
    entry->row = *own;
    entry->row.domain = DOMAIN;
    /* Whether a kernel copes with the same memory for input and output nobody has asked. */
    entry->row.flags &= ~(uint32_t)(NND_OP_EPILOGUE | NND_OP_INPLACE);
    entry->row.flags |= NND_OP_BROUGHT;
    entry->row.infer = brought_infer;
    entry->row.run = brought_run;
    entry->row.prepare = brought_prepare;
    entry->row.release = brought_release;
    entry->row.plan = brought_plan;
    entry->row.unplan = brought_unplan;
    entry->row.flops = brought_flops;
}

/* A row for every version of the operator. With the lock held. */
static nnd_status add_rows(const nnd_kernel *k)
{
    bool exists = false, offered = false;
    for (size_t i = 0; i < nnd_op_count(); i++) {
        const nnd_op *op = nnd_op_at(i);
        if (!versions_meet(k, op)) continue;
        exists = true;
        if (op->flags & NOT_OFFERED) continue;
        offered = true;
        size_t count = atomic_load_explicit(&row_count, memory_order_relaxed);
        if (row_of(op)) continue;
        if (count == MAX_ROWS)
            return nnd_error_set(NND_E_LIMIT, "kernel '%s': too many operators have kernels",
                                 k->name);
        fill(&rows[count], op);
        atomic_store_explicit(&row_count, count + 1, memory_order_release);
    }
    if (offered) return NND_OK;
    if (exists)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "kernel '%s': operator '%s' leaves nothing to compute to a kernel",
                             k->name, k->op);
    return nnd_error_set(NND_E_NOT_FOUND,
                         "kernel '%s': there is no operator '%s%s%s' in these "
                         "versions",
                         k->name, k->domain, k->domain[0] ? "." : "", k->op);
}

/* With the lock held. */
static nnd_status append(const nnd_kernel *k)
{
    size_t count = atomic_load_explicit(&kernel_count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        if (kernels[i] == k) return NND_OK;
        if (strcmp(kernels[i]->name, k->name) == 0)
            return nnd_error_set(NND_E_EXISTS, "there is a kernel '%s' already", k->name);
    }
    if (count == MAX_KERNELS)
        return nnd_error_set(NND_E_LIMIT, "no more than %d kernels can be registered", MAX_KERNELS);
    NND_TRY(add_rows(k));
    kernels[count] = k;
    atomic_store_explicit(&kernel_count, count + 1, memory_order_release);
    return NND_OK;
}

nnd_status nnd_kernel_register(const nnd_kernel *k)
{
    if (!is_sound(k))
        return nnd_error_set(
            NND_E_INVALID_ARGUMENT, "kernel '%s': its table is incomplete or of another version",
            k && k->struct_size >= offsetof(nnd_kernel, since) && k->name ? k->name : "?");
    nnd_port_mutex_lock(&list_lock);
    nnd_status status = append(k);
    nnd_port_mutex_unlock(&list_lock);
    return status;
}
