/* The one way in which operators report what is wrong: the node's type and name with the text. */
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "engine/ops/op.h"

nnd_status nnd_op_fail(const nnd_op_ctx *c, nnd_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    nnd_str s = {0};
    nnd_str_vprintf(&s, format, args);
    va_end(args);
    size_t n = s.data ? strlen(s.data) : 0;
    n = n < sizeof(text) - 1 ? n : sizeof(text) - 1;
    if (n) memcpy(text, s.data, n);
    text[n] = 0;
    nnd_str_free(&s);
    nnd_error_set(status, "%s: %s", c->node->type, text);
    nnd_error_set_node(c->node->name, NULL);
    return status;
}
