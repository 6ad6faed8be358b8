/* Which names and addresses a catalogue may hold. What is let through here becomes a path on the
   user's disk or an address that is called, so the rules say what is allowed, not what is not. */
#include "catalog/catalog_internal.h"

#include "base/str.h"

#include <string.h>

enum { LONGEST_NAME = 64, LONGEST_FILE_NAME = 200, LONGEST_URL = 2000 };

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Length of the name at the beginning of text, 0 when there is none. A point at the end is not
   part of a name: Windows drops it. */
static size_t name_length(const char *text, const char *also)
{
    size_t n = 0;
    if (!is_alnum(text[0])) return 0;
    while (text[n] && (is_alnum(text[n]) || strchr(also, text[n])))
        n++;
    return text[n - 1] == '.' ? 0 : n;
}

bool cat_is_name(const char *text)
{
    size_t n = name_length(text, "._-");
    return n && n <= LONGEST_NAME && !text[n];
}

bool cat_is_file_name(const char *text)
{
    if (strlen(text) > LONGEST_FILE_NAME || nnd_str_ends_with(text, ".part") ||
        nnd_str_ends_with(text, ".part-origin"))
        return false;
    for (const char *p = text;; p++) {
        size_t n = name_length(p, "._-+");
        if (!n) return false;
        p += n;
        if (*p != '/') return !*p;
    }
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}", *text)) return false;
    return true;
}

bool cat_is_web_url(const char *text)
{
    size_t scheme = nnd_str_starts_with(text, "https://")  ? 8
                    : nnd_str_starts_with(text, "http://") ? 7
                                                           : 0;
    return scheme && (is_alnum(text[scheme]) || text[scheme] == '[') &&
           strlen(text) <= LONGEST_URL && is_printable(text);
}

/* The parts of github:OWNER/REPOSITORY@COMMIT/PATH. */
typedef struct github {
    const char *owner, *repository, *commit, *path;
    size_t owner_size, repository_size, commit_size;
} github;

static bool split_github(const char *text, github *out)
{
    if (!nnd_str_starts_with(text, "github:")) return false;
    out->owner = text + strlen("github:");
    out->owner_size = name_length(out->owner, "-");
    out->repository = out->owner + out->owner_size + 1;
    if (!out->owner_size || out->repository[-1] != '/') return false;
    out->repository_size = name_length(out->repository, "._-");
    out->commit = out->repository + out->repository_size + 1;
    if (!out->repository_size || out->commit[-1] != '@') return false;
    out->commit_size = strspn(out->commit, "0123456789abcdef");
    out->path = out->commit + out->commit_size + 1;
    return out->commit_size == 40 && out->path[-1] == '/' && is_alnum(out->path[0]);
}

bool cat_is_github(const char *text)
{
    github g;
    return strlen(text) <= LONGEST_URL && is_printable(text) && !strpbrk(text, "%?#") &&
           !strstr(text, "/..") && split_github(text, &g);
}

char *cat_url_expand(const char *url)
{
    github g;
    if (!split_github(url, &g)) return nnd_strdup(url);
    return nnd_strf("https://raw.githubusercontent.com/%.*s/%.*s/%.*s/%s", (int)g.owner_size,
                    g.owner, (int)g.repository_size, g.repository, (int)g.commit_size, g.commit,
                    g.path);
}
