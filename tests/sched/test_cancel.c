/* Cancel tokens: trees, deadlines, callbacks, and all of it from several threads. */
#include "nndeploy/sched.h"
#include "port/port.h"
#include "support/test.h"

#include <signal.h>
#include <stdatomic.h>

static void count_call(void *user)
{
    atomic_fetch_add((_Atomic int *)user, 1);
}

static void test_null_is_never_cancelled(void **state)
{
    (void)state;
    assert_status(nnd_cancel_check(NULL), NND_OK);
    nnd_cancel_request(NULL);
    nnd_cancel_unref(NULL);
    nnd_cancel_set_deadline(NULL, 0);
    assert_null(nnd_cancel_ref(NULL));
    assert_true(nnd_cancel_deadline(NULL) == NND_NO_DEADLINE);
    assert_int_equal(nnd_cancel_on(NULL, count_call, NULL), 0);
    nnd_cancel_forget(NULL, 1);
    assert_status(nnd_cancel_create(NULL, NULL), NND_E_INVALID_ARGUMENT);
}

static void test_parents_cancel_children_only(void **state)
{
    (void)state;
    nnd_cancel *root, *left, *right, *leaf;
    assert_ok(nnd_cancel_create(NULL, &root));
    assert_ok(nnd_cancel_create(root, &left));
    assert_ok(nnd_cancel_create(root, &right));
    assert_ok(nnd_cancel_create(left, &leaf));
    nnd_cancel_request(left);
    assert_status(nnd_cancel_check(root), NND_OK);
    assert_status(nnd_cancel_check(right), NND_OK);
    assert_status(nnd_cancel_check(left), NND_E_CANCELLED);
    assert_status(nnd_cancel_check(leaf), NND_E_CANCELLED);
    /* A child keeps its ancestors alive. */
    nnd_cancel_unref(left);
    nnd_cancel_request(root);
    nnd_cancel_unref(root);
    assert_status(nnd_cancel_check(leaf), NND_E_CANCELLED);
    assert_status(nnd_cancel_check(right), NND_E_CANCELLED);
    nnd_cancel_unref(right);
    nnd_cancel_unref(leaf);
}

static void test_deadlines(void **state)
{
    (void)state;
    nnd_cancel *parent, *child;
    assert_ok(nnd_cancel_create(NULL, &parent));
    assert_ok(nnd_cancel_create(parent, &child));
    int64_t far = nnd_clock_now() + INT64_C(3600000000000);
    nnd_cancel_set_deadline(child, far + 5);
    nnd_cancel_set_deadline(parent, far);
    assert_true(nnd_cancel_deadline(child) == far);
    assert_status(nnd_cancel_check(child), NND_OK);
    nnd_cancel_set_deadline(parent, nnd_clock_now());
    assert_status(nnd_cancel_check(child), NND_E_TIMEOUT);
    assert_status(nnd_cancel_check(parent), NND_E_TIMEOUT);
    nnd_cancel_request(child);
    assert_status(nnd_cancel_check(child), NND_E_CANCELLED);
    nnd_cancel_set_deadline(parent, NND_NO_DEADLINE);
    assert_status(nnd_cancel_check(parent), NND_OK);
    nnd_cancel_unref(child);
    nnd_cancel_unref(parent);
}

static void test_callbacks_run_once(void **state)
{
    (void)state;
    _Atomic int calls = 0, forgotten = 0;
    nnd_cancel *root, *child;
    assert_ok(nnd_cancel_create(NULL, &root));
    assert_ok(nnd_cancel_create(root, &child));
    uint64_t on_root = nnd_cancel_on(root, count_call, &calls);
    uint64_t on_child = nnd_cancel_on(child, count_call, &calls);
    uint64_t other = nnd_cancel_on(child, count_call, &forgotten);
    assert_true(on_root != 0 && on_child != 0 && other != 0 && on_root != on_child);
    nnd_cancel_forget(child, other);
    nnd_cancel_forget(child, other);
    nnd_cancel_request(root);
    nnd_cancel_request(root);
    nnd_cancel_request(child);
    assert_int_equal(calls, 2);
    assert_int_equal(forgotten, 0);
    assert_true(nnd_cancel_on(child, count_call, &calls) != 0); /* at once */
    assert_int_equal(calls, 3);
    nnd_cancel_forget(root, on_root);
    nnd_cancel_unref(child);
    nnd_cancel_unref(root);
}

typedef struct self_forget {
    nnd_cancel *token;
    uint64_t own;
    uint64_t other;
    int calls;
} self_forget;

/* Forgets itself and a callback behind it, and gives up the token, all from inside. */
static void forget_from_inside(void *user)
{
    self_forget *s = user;
    s->calls++;
    nnd_cancel_forget(s->token, s->own);
    nnd_cancel_forget(s->token, s->other);
    nnd_cancel_unref(s->token);
}

static void test_callback_may_forget_and_unref(void **state)
{
    (void)state;
    _Atomic int calls = 0;
    self_forget s = {0};
    assert_ok(nnd_cancel_create(NULL, &s.token));
    s.other = nnd_cancel_on(s.token, count_call, &calls);
    s.own = nnd_cancel_on(s.token, forget_from_inside, &s); /* newest first */
    nnd_cancel_request(s.token);
    assert_int_equal(s.calls, 1);
    assert_int_equal(calls, 0);
}

static void test_destroy_drops_callbacks(void **state)
{
    (void)state;
    _Atomic int calls = 0;
    nnd_cancel *root, *child;
    assert_ok(nnd_cancel_create(NULL, &root));
    assert_ok(nnd_cancel_create(root, &child));
    assert_true(nnd_cancel_on(child, count_call, &calls) != 0);
    nnd_cancel_unref(child);
    nnd_cancel_request(root);
    assert_int_equal(calls, 0);
    nnd_cancel_unref(root);
}

/* ---- several threads ----------------------------------------------------------------------- */

typedef struct slow_call {
    nnd_cancel *token;
    _Atomic uint32_t begun;
    _Atomic uint32_t go_on;
    _Atomic uint32_t ended;
} slow_call;

static void slow_callback(void *user)
{
    slow_call *s = user;
    atomic_store(&s->begun, 1);
    while (!atomic_load(&s->go_on))
        nnd_port_yield();
    atomic_store(&s->ended, 1);
}

static void request_main(void *arg)
{
    nnd_cancel_request(((slow_call *)arg)->token);
}

static void release_main(void *arg)
{
    slow_call *s = arg;
    nnd_port_sleep(2000000);
    atomic_store(&s->go_on, 1);
}

static void test_forget_waits_for_a_running_callback(void **state)
{
    (void)state;
    slow_call s = {0};
    assert_ok(nnd_cancel_create(NULL, &s.token));
    uint64_t id = nnd_cancel_on(s.token, slow_callback, &s);
    nnd_port_thread *requester, *releaser;
    assert_int_equal(nnd_port_thread_create("request", request_main, &s, &requester), 0);
    while (!atomic_load(&s.begun))
        nnd_port_yield();
    assert_int_equal(nnd_port_thread_create("release", release_main, &s, &releaser), 0);
    nnd_cancel_forget(s.token, id);
    assert_int_equal(s.ended, 1);
    nnd_port_thread_join(requester);
    nnd_port_thread_join(releaser);
    nnd_cancel_unref(s.token);
}

enum { ROUNDS = 300, CHILDREN = 4 };

typedef struct storm {
    nnd_cancel *root;
    _Atomic int turn;
    _Atomic int called;
    _Atomic int forgot;
} storm;

/* Registers and forgets on children of a token that another thread cancels meanwhile. Without a
   forget every callback runs; with one it runs or not, but never afterwards. */
static void storm_main(void *arg)
{
    storm *s = arg;
    for (int i = 0; i < CHILDREN; i++) {
        nnd_cancel *child;
        if (nnd_cancel_create(s->root, &child) != NND_OK) continue;
        _Atomic int mine = 0;
        uint64_t id = nnd_cancel_on(child, count_call, &mine);
        atomic_fetch_add(&s->turn, 1);
        nnd_cancel_forget(child, id);
        int at_forget = mine;
        nnd_port_yield();
        if (at_forget != mine || mine > 1) atomic_fetch_add(&s->forgot, 1);
        atomic_fetch_add(&s->called, mine);
        nnd_cancel_unref(child);
    }
}

static void test_storm(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        storm s = {0};
        assert_ok(nnd_cancel_create(NULL, &s.root));
        nnd_port_thread *threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(nnd_port_thread_create("storm", storm_main, &s, &threads[i]), 0);
        while (atomic_load(&s.turn) < round % 6)
            nnd_port_yield();
        nnd_cancel_request(s.root);
        for (int i = 0; i < 2; i++)
            nnd_port_thread_join(threads[i]);
        assert_int_equal(s.forgot, 0);
        assert_true(s.called <= 2 * CHILDREN);
        assert_status(nnd_cancel_check(s.root), NND_E_CANCELLED);
        nnd_cancel_unref(s.root);
    }
}

static nnd_cancel *signalled;

static void on_signal(int number)
{
    (void)number;
    nnd_cancel_request(signalled);
}

static void test_request_from_a_signal_handler(void **state)
{
    (void)state;
    nnd_cancel *child;
    assert_ok(nnd_cancel_create(NULL, &signalled));
    assert_ok(nnd_cancel_create(signalled, &child));
    void (*before)(int) = signal(SIGINT, on_signal);
    raise(SIGINT);
    signal(SIGINT, before);
    assert_status(nnd_cancel_check(child), NND_E_CANCELLED);
    nnd_cancel_unref(child);
    nnd_cancel_unref(signalled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_is_never_cancelled),
        cmocka_unit_test(test_parents_cancel_children_only),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_callbacks_run_once),
        cmocka_unit_test(test_callback_may_forget_and_unref),
        cmocka_unit_test(test_destroy_drops_callbacks),
        cmocka_unit_test(test_forget_waits_for_a_running_callback),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_request_from_a_signal_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
