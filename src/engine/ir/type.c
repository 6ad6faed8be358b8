/* Types as text: "f32", "optional(f32)", "sequence(map(i64,f32))"; shapes stand beside. */
#include <string.h>

#include "engine/ir/ir.h"

bool nnd_ir_type_text(const nnd_engine_type *type, nnd_dtype dtype, nnd_str *out)
{
    if (dtype == NND_DTYPE_INVALID) return false;
    bool sequence = type->kind == NND_KIND_SEQUENCE;
    bool map = (sequence ? type->element : type->kind) == NND_KIND_MAP;
    if (map && type->key == NND_DTYPE_INVALID) return false;
    nnd_str_printf(out, "%s%s%s%s%s%s%s%s%s", type->optional ? "optional(" : "",
                   sequence ? "sequence(" : "", map ? "map(" : "",
                   map ? nnd_dtype_name(type->key) : "", map ? "," : "", nnd_dtype_name(dtype),
                   map ? ")" : "", sequence ? ")" : "", type->optional ? ")" : "");
    return true;
}

/* Steps over `word` when it is there. */
static bool take(const char **text, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*text, word, n) != 0) return false;
    *text += n;
    return true;
}

static nnd_dtype take_dtype(const char **text)
{
    char name[16];
    size_t n = strcspn(*text, ",)");
    if (n >= sizeof(name)) return NND_DTYPE_INVALID;
    memcpy(name, *text, n);
    name[n] = '\0';
    *text += n;
    nnd_dtype dtype = nnd_dtype_from_name(name);
    /* Other names for the same type are not part of the format. */
    return dtype && strcmp(nnd_dtype_name(dtype), name) == 0 ? dtype : NND_DTYPE_INVALID;
}

bool nnd_ir_type_parse(const char *text, nnd_engine_type *type, nnd_dtype *dtype)
{
    *type = (nnd_engine_type){.optional = take(&text, "optional(")};
    bool sequence = take(&text, "sequence("), map = take(&text, "map(");
    if (sequence) type->kind = NND_KIND_SEQUENCE;
    if (map) {
        *(sequence ? &type->element : &type->kind) = NND_KIND_MAP;
        type->key = take_dtype(&text);
        if (!type->key || !take(&text, ",")) return false;
    }
    *dtype = take_dtype(&text);
    return *dtype && (!map || take(&text, ")")) && (!sequence || take(&text, ")")) &&
           (!type->optional || take(&text, ")")) && !*text;
}
