/* One step of attention's running softmax: the scores of a row and a block of keys become weights.
 */
#include <math.h>

#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"
#include "engine/kernels/simd/vec_math.h"

/* Hides the lanes whose key is not in [first, last); `at` is the key of lane 0. */
NND_INLINE vf visible(vf s, size_t at, const nnd_attention_row *r)
{
    static const float lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    if (at >= r->first && at + VLEN <= r->last) return s;
    const vf hidden = v_set1(-INFINITY);
    vf key = v_add(v_set1((float)at), v_load(lanes));
    s = v_select(v_less(key, v_set1((float)r->first)), hidden, s);
    return v_select(v_less(key, v_set1((float)r->last)), s, hidden);
}

NND_INLINE vf term(const float *add, size_t at, size_t keys)
{
    return keys - at >= VLEN ? v_load(add + at) : v_load_n(add + at, keys - at);
}

/* Soft cap, terms, hiding; the largest score that is no NaN. */
static float prepare_scores(const nnd_attention_row *r)
{
    vf most = v_set1(-INFINITY), cap = v_set1(r->softcap);
    vf per = v_set1(r->softcap != 0 ? 1.0f / r->softcap : 0.0f);
    for (size_t at = 0; at < r->keys; at += VLEN) {
        float *place = r->scores + at / VLEN * r->step;
        vf s = v_load(place);
        if (r->softcap != 0) s = v_mul(cap, v_tanh(v_mul(s, per)));
        if (r->first_add) s = v_add(s, term(r->first_add, at, r->keys));
        if (r->instead) {
            vf other = term(r->instead, at, r->keys);
            s = v_select(v_is_nan(other), s, other);
        }
        if (r->last_add) s = v_add(s, term(r->last_add, at, r->keys));
        s = visible(s, at, r);
        v_store(place, s);
        most = v_select(v_less(most, s), s, most);
    }
    return v_largest(most);
}

static float exp_of(float x)
{
    float lanes[VLEN];
    v_store(lanes, v_exp(v_set1(x)));
    return lanes[0];
}

void VEC_NAME(nnd_f32_attention_row)(nnd_attention_row *r)
{
    float most = prepare_scores(r), before = r->most;
    if (most < before) most = before;
    /* Without a score above −∞ the center is 0: weights are e^−∞, and a NaN stays one. */
    vf center = v_set1(most == -INFINITY ? 0.0f : most);
    vf sum[2] = {v_set1(0.0f), v_set1(0.0f)};
    for (size_t at = 0, i = 0; at < r->keys; at += VLEN, i++) {
        float *place = r->scores + i * r->step;
        vf weight = v_exp(v_sub(v_load(place), center));
        v_store(place, weight);
        sum[i % 2] = v_add(sum[i % 2], weight);
    }
    float fade = before == -INFINITY || before == most ? 1.0f : exp_of(before - most);
    r->sum = r->sum * fade + v_sum(v_add(sum[0], sum[1]));
    r->most = most;
    if (fade == 1.0f) return;
    vf by = v_set1(fade);
    for (size_t i = 0; i < r->out_size; i += VLEN)
        v_store(r->out + i, v_mul(v_load(r->out + i), by));
}
