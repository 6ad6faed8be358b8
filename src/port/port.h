/*
 * port.h: the only door to the operating system. Everything above calls these functions and
 * includes no system header of its own.
 *
 * Sections: 1 results · 2 memory · 3 time · 4 threads · 5 processor · 6 files · 7 mapped files and
 *           shared memory · 8 descriptors, sockets, polling · 9 loadable modules · 10 processes ·
 *           11 environment · 12 file watch · 13 interrupts
 *
 * Conventions. A fallible function returns an int: 0 or a negative nnd_port_error; base turns it
 * into a status (base/port_status.h). Results come last, by pointer, and are untouched on failure
 * unless said otherwise. Text is UTF-8 on every system (wide characters stay inside the Windows
 * files), paths may use '/' everywhere. A deadline is an absolute time of nnd_port_now(), a time
 * in the past means "do not wait", NND_PORT_FOREVER "no limit". Memory that is handed out is
 * released with nnd_port_free. Functions are thread-safe, objects are used by one thread at a
 * time, unless said otherwise.
 */
#ifndef NND_PORT_PORT_H
#define NND_PORT_PORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if !defined(_WIN32)
#include <pthread.h>
#endif

/* ---- 1 results ---------------------------------------------------------------------------- */

typedef enum nnd_port_error {
    NND_PORT_OK = 0,
    NND_PORT_E_INVALID = -1,
    NND_PORT_E_MEMORY = -2,
    NND_PORT_E_NOT_FOUND = -3,
    NND_PORT_E_EXISTS = -4,
    NND_PORT_E_ACCESS = -5,
    NND_PORT_E_IO = -6,
    NND_PORT_E_UNSUPPORTED = -7, /* this system cannot do it */
    NND_PORT_E_LIMIT = -8,       /* larger than the caller allows, or no descriptors left */
    NND_PORT_E_TIMEOUT = -9,     /* the deadline passed */
    NND_PORT_E_CLOSED = -10,     /* the other side is gone */
    NND_PORT_E_AGAIN = -11,      /* nothing there yet (non-blocking descriptor) */
    NND_PORT_E_NOT_DIR = -12,
    NND_PORT_E_IS_DIR = -13,
    NND_PORT_E_NOT_EMPTY = -14,
    NND_PORT_E_REFUSED = -15, /* nobody listens there */
    NND_PORT_E_NO_SPACE = -16,
    NND_PORT_E_NOT_FILE = -17 /* a device, a pipe or a socket */
} nnd_port_error;

/* Short text, "no such file or folder". Static storage. */
const char *nnd_port_error_text(int error);

/* ---- 2 memory ----------------------------------------------------------------------------- */

/* The process-wide allocator lives here, below base, so that port's own allocations obey it too.
   base's nnd_set_allocator installs it; NULL functions are not allowed, NULL itself restores
   malloc. Not thread-safe: call it before anything else. */
typedef struct nnd_port_allocator {
    void *(*alloc)(void *user, size_t size);
    void *(*resize)(void *user, void *block, size_t size);
    void (*release)(void *user, void *block);
    void *user;
} nnd_port_allocator;
void nnd_port_set_allocator(const nnd_port_allocator *allocator);
void *nnd_port_alloc(size_t size);
void *nnd_port_realloc(void *block, size_t size);
void nnd_port_free(void *block);

/* ---- 3 time ------------------------------------------------------------------------------- */

#define NND_PORT_FOREVER INT64_MAX

int64_t nnd_port_now(void);      /* monotonic, ns since an arbitrary start */
int64_t nnd_port_wall_now(void); /* ns since 1970-01-01 UTC */
void nnd_port_sleep(int64_t ns);

/* ---- 4 threads ---------------------------------------------------------------------------- */

#define nnd_port_thread_local _Thread_local

typedef struct nnd_port_thread nnd_port_thread;
/* Starts entry(arg) in a new thread. name: for debuggers, cut to 15 bytes, may be NULL. Signals
   are blocked in the new thread, so that they reach threads the host program owns. */
int nnd_port_thread_create(const char *name, void (*entry)(void *arg), void *arg,
                           nnd_port_thread **out);
/* Waits for the end of the thread and frees it. NULL is allowed. */
void nnd_port_thread_join(nnd_port_thread *thread);
uint64_t nnd_port_thread_id(void); /* of the calling thread; unique while it lives, never 0 */
void nnd_port_thread_set_name(const char *name); /* of the calling thread */
void nnd_port_yield(void);

/* A value per thread with a destructor that runs when a thread ends (not at process exit). */
typedef struct nnd_port_tls {
    uintptr_t key;
} nnd_port_tls;
int nnd_port_tls_create(void (*destructor)(void *value), nnd_port_tls *out);
int nnd_port_tls_set(nnd_port_tls tls, void *value); /* NULL: the destructor will not run */
void *nnd_port_tls_get(nnd_port_tls tls);

#if defined(_WIN32)
typedef struct nnd_port_mutex {
    void *lock;
} nnd_port_mutex;
typedef struct nnd_port_cond {
    void *variable;
} nnd_port_cond;
typedef struct nnd_port_once {
    void *state;
} nnd_port_once;
#define NND_PORT_MUTEX_INIT                                                                        \
    {                                                                                              \
        NULL                                                                                       \
    }
#define NND_PORT_ONCE_INIT                                                                         \
    {                                                                                              \
        NULL                                                                                       \
    }
#else
typedef struct nnd_port_mutex {
    pthread_mutex_t lock;
} nnd_port_mutex;
typedef struct nnd_port_cond {
    pthread_cond_t variable;
} nnd_port_cond;
typedef struct nnd_port_once {
    pthread_once_t state;
} nnd_port_once;
#define NND_PORT_MUTEX_INIT                                                                        \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER                                                                  \
    }
#define NND_PORT_ONCE_INIT                                                                         \
    {                                                                                              \
        PTHREAD_ONCE_INIT                                                                          \
    }
#endif

/* Not recursive. Static storage may use NND_PORT_MUTEX_INIT instead of init. */
int nnd_port_mutex_init(nnd_port_mutex *mutex);
void nnd_port_mutex_fini(nnd_port_mutex *mutex);
void nnd_port_mutex_lock(nnd_port_mutex *mutex);
bool nnd_port_mutex_try_lock(nnd_port_mutex *mutex);
void nnd_port_mutex_unlock(nnd_port_mutex *mutex);

int nnd_port_cond_init(nnd_port_cond *cond);
void nnd_port_cond_fini(nnd_port_cond *cond);
/* false when the deadline passed. May wake without reason: check the condition in a loop. */
bool nnd_port_cond_wait(nnd_port_cond *cond, nnd_port_mutex *mutex, int64_t deadline);
void nnd_port_cond_signal(nnd_port_cond *cond);
void nnd_port_cond_broadcast(nnd_port_cond *cond);

/* Runs fn exactly once per `once`; every caller returns after it has finished. */
void nnd_port_once_run(nnd_port_once *once, void (*fn)(void));

/* Sleeps while *word == expected, until a wake or the deadline. false when the deadline passed;
   true otherwise, also without reason. Threads of one process only. */
bool nnd_port_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline);
void nnd_port_futex_wake(_Atomic uint32_t *word, uint32_t count); /* UINT32_MAX wakes all */
/* A hint for the processor inside a short spin loop. */
static inline void nnd_port_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

/* ---- 5 processor -------------------------------------------------------------------------- */

/* Processors this process may use: the affinity mask, lowered by a cgroup quota (v1 or v2),
   rounded up. At least 1. Read anew with every call. */
uint32_t nnd_port_cpu_count(void);

typedef struct nnd_port_cpu {
    /* x86: present in the processor and enabled by the operating system */
    bool sse41, avx, avx2, fma, f16c;
    bool avx512f, avx512bw, avx512dq, avx512vl, avx512vnni, avx512bf16;
    /* arm */
    bool neon, neon_dotprod, neon_fp16, neon_i8mm, neon_bf16, sve;
} nnd_port_cpu;
void nnd_port_cpu_query(nnd_port_cpu *out);
/* What the processor calls itself, "AMD EPYC 9554 64-Core Processor" or "arm 0x41 0xd0c"; without
   blanks around it, "" when it does not say. Returns name. */
const char *nnd_port_cpu_name(char *name, size_t size);

/* Largest resident memory of this process so far, in bytes; 0 when unknown. */
uint64_t nnd_port_peak_memory(void);
size_t nnd_port_page_size(void);
/* Bytes of the large pages that nnd_port_use_large_pages asks for, 0 where there are none. */
size_t nnd_port_large_page_size(void);
/* Advice: memory that has not been written to yet should get large pages where it covers whole
   ones, since a processor remembers the places of a few thousand pages only. */
void nnd_port_use_large_pages(void *data, size_t size);
/* Gives memory that was freed, and that the allocator keeps, back to the system. */
void nnd_port_trim_memory(void);

/* ---- 6 files ------------------------------------------------------------------------------ */

typedef struct nnd_port_file_info {
    bool is_dir;
    bool is_file;    /* a regular file */
    uint64_t size;   /* bytes; 0 for folders */
    int64_t mtime;   /* ns since 1970 */
    int64_t changed; /* ns since 1970: as mtime, but no program can set it back */
    uint64_t id;     /* changes when the path names another file (inode); 0 when unknown */
} nnd_port_file_info;
int nnd_port_file_stat(const char *path, nnd_port_file_info *out); /* follows links */
bool nnd_port_file_exists(const char *path);
bool nnd_port_dir_exists(const char *path);
/* fopen with a UTF-8 path, "e" (close on exec) added where it is known. */
int nnd_port_file_open(const char *path, const char *mode, FILE **out);
/* Reads a whole file or pipe ("-" is not special). NND_PORT_E_LIMIT beyond `limit` bytes. The
   data is followed by a NUL that does not count; nnd_port_free it. */
int nnd_port_file_read(const char *path, size_t limit, char **data, size_t *size);
/* The same for an open stream, for example stdin. */
int nnd_port_stream_read(FILE *stream, size_t limit, char **data, size_t *size);
/* Replaces the file in one step: a temporary file beside it, flushed to the disk, renamed. On
   failure the old file is untouched and nothing is left behind. Keeps the mode bits of a file
   that is replaced, and a link to it. Devices and pipes are written to. */
int nnd_port_file_write_atomic(const char *path, const void *data, size_t size);
/* The same with the pieces of a file that nobody has in one. durable false: not flushed to the disk
   first, for what can be made anew; after a crash of the machine the file may hold anything. */
typedef struct nnd_port_piece {
    const void *data;
    size_t size;
} nnd_port_piece;
int nnd_port_file_write_pieces(const char *path, const nnd_port_piece *pieces, size_t count,
                               bool durable);
int nnd_port_file_touch(const char *path);                  /* mtime becomes now */
int nnd_port_file_rename(const char *from, const char *to); /* replaces `to` */
int nnd_port_file_remove(const char *path);                 /* a file, a link or an empty folder */
int nnd_port_dir_create(const char *path);                  /* with parents; exists: fine */
int nnd_port_dir_remove_tree(const char *path);             /* does not follow links */
/* Writes what the stream holds to the disk; the stream stays open. */
int nnd_port_file_sync(FILE *stream);
/* A lock that one holder at a time has, among all processes and within one. The file is made when
   it is not there and stays. NND_PORT_E_AGAIN while another one holds it. Ends with the process. */
typedef struct nnd_port_file_lock nnd_port_file_lock;
int nnd_port_file_lock_try(const char *path, nnd_port_file_lock **out);
void nnd_port_file_unlock(nnd_port_file_lock *lock); /* takes NULL */
/* Names without "." and "..", sorted by bytes. */
typedef struct nnd_port_dir_list {
    char **names;
    size_t count;
} nnd_port_dir_list;
int nnd_port_dir_read(const char *path, nnd_port_dir_list *out);
void nnd_port_dir_list_free(nnd_port_dir_list *list);
/* Between the entries of a list of paths, as in PATH. */
#if defined(_WIN32)
#define NND_PORT_LIST_SEPARATOR ";"
#else
#define NND_PORT_LIST_SEPARATOR ":"
#endif
/* Absolute path without links, "." and ".."; the file has to exist. On Windows with '/'. */
int nnd_port_path_real(const char *path, char **out);
int nnd_port_path_temp_dir(char **out); /* TMPDIR, else the system's folder */
int nnd_port_path_current_dir(char **out);
int nnd_port_path_executable(char **out);
int nnd_port_dir_create_temp(const char *prefix, char **out); /* a new empty folder in it */
bool nnd_port_path_is_absolute(const char *path);

void nnd_port_stdio_binary(void); /* stdin and stdout carry bytes as they are */
bool nnd_port_stream_is_terminal(FILE *stream);

/* ---- 7 mapped files and shared memory ----------------------------------------------------- */

/* A read-only view of a whole file; data is NULL when the file is empty. */
typedef struct nnd_port_map {
    const void *data;
    size_t size;
    void *handle;
} nnd_port_map;
int nnd_port_map_open(const char *path, nnd_port_map *out);
void nnd_port_map_close(nnd_port_map *map); /* zeroes it; a zeroed map is allowed */
/* What the bytes are, if they are the whole of a file that nnd_port_map_open has mapped: the file
   as it was when it was opened. NND_PORT_E_NOT_FOUND for any other memory. */
int nnd_port_map_info(const void *data, size_t size, nnd_port_file_info *out);
/* The bytes will hardly be read again: where they are a read-only mapping of a file, its pages
   leave this process's memory (and come back from the file when somebody does read them). Any other
   memory is left alone. Linux; nothing happens elsewhere. */
void nnd_port_map_forget(const void *data, size_t size);

/* An open descriptor or socket. */
typedef intptr_t nnd_port_fd;
#define NND_PORT_NO_FD ((nnd_port_fd)-1)
void nnd_port_fd_close(nnd_port_fd fd); /* NND_PORT_NO_FD is allowed */
int nnd_port_fd_dup(nnd_port_fd fd, nnd_port_fd *out);

/* Anonymous memory that another process can map through its descriptor; zeroed, its size fixed.
   NND_PORT_E_UNSUPPORTED on Windows. */
int nnd_port_shm_create(size_t size, nnd_port_fd *out);
/* Size of what a descriptor names. fixed: the size can no longer shrink, so reading the mapping
   cannot fault; ask for it before trusting a descriptor from another process. May be NULL. */
int nnd_port_shm_size(nnd_port_fd fd, size_t *size, bool *fixed);
int nnd_port_shm_map(nnd_port_fd fd, size_t size, bool writable, void **out);
void nnd_port_shm_unmap(void *data, size_t size); /* NULL is allowed */

/* ---- 8 descriptors, sockets, polling ------------------------------------------------------ */

/* Every descriptor made here is closed on exec. Writing to a closed socket gives
   NND_PORT_E_CLOSED, never a signal. */
int nnd_port_socket_pair(nnd_port_fd out[2]);
/* TCP; host is a name or address, NULL for the loopback. port 0: the system chooses. */
int nnd_port_tcp_listen(const char *host, uint16_t port, nnd_port_fd *out);
int nnd_port_tcp_port(nnd_port_fd listener, uint16_t *port);
int nnd_port_tcp_accept(nnd_port_fd listener, int64_t deadline, nnd_port_fd *out);
int nnd_port_tcp_connect(const char *host, uint16_t port, int64_t deadline, nnd_port_fd *out);
int nnd_port_socket_set_nonblocking(nnd_port_fd fd, bool on);
int nnd_port_socket_shutdown(nnd_port_fd fd); /* both directions; wakes a blocked reader */
/* Whether the socket can carry descriptors. */
bool nnd_port_socket_passes_fds(nnd_port_fd fd);

#define NND_PORT_MAX_FDS 16
/* Sends up to `size` bytes (at least one must be sent when descriptors go along); the descriptors
   travel with the first byte and stay open here. NND_PORT_E_AGAIN on a full non-blocking one. */
int nnd_port_socket_send(nnd_port_fd fd, const void *data, size_t size, const nnd_port_fd *fds,
                         size_t fd_count, size_t *sent);
/* Receives 1..size bytes and the descriptors that came along: *fd_count is the room in fds on
   entry and their number on return (surplus ones are closed). fds and fd_count may be NULL.
   NND_PORT_E_CLOSED at the end of the stream. */
int nnd_port_socket_recv(nnd_port_fd fd, void *data, size_t size, nnd_port_fd *fds,
                         size_t *fd_count, size_t *received);

enum { NND_PORT_POLL_IN = 1, NND_PORT_POLL_OUT = 2, NND_PORT_POLL_HANGUP = 4 };
typedef struct nnd_port_poll {
    nnd_port_fd fd;  /* NND_PORT_NO_FD entries are skipped */
    uint32_t events; /* wanted: IN, OUT */
    uint32_t ready;  /* filled: IN, OUT, HANGUP (also errors) */
} nnd_port_poll;
/* Waits until one is ready; *ready_count may be NULL. NND_PORT_E_TIMEOUT when the deadline
   passed with none. */
int nnd_port_poll_wait(nnd_port_poll *items, size_t count, int64_t deadline, size_t *ready_count);

/* Wakes a poll from another thread: poll wake.fd for IN, signal from anywhere, then drain. */
typedef struct nnd_port_wake {
    nnd_port_fd fd;
    nnd_port_fd writer;
} nnd_port_wake;
int nnd_port_wake_init(nnd_port_wake *wake);
void nnd_port_wake_fini(nnd_port_wake *wake);
void nnd_port_wake_signal(nnd_port_wake *wake); /* any thread, also in a signal handler */
void nnd_port_wake_drain(nnd_port_wake *wake);

/* ---- 9 loadable modules ------------------------------------------------------------------- */

typedef struct nnd_port_module nnd_port_module;
/* On failure `reason` (size bytes, may be NULL) holds the loader's own words. Symbols stay local
   to the module. */
int nnd_port_module_open(const char *path, nnd_port_module **out, char *reason, size_t size);
/* NULL when absent. */
void *nnd_port_module_symbol(nnd_port_module *module, const char *name);
void nnd_port_module_close(nnd_port_module *module);

/* ---- 10 processes ------------------------------------------------------------------------- */

typedef struct nnd_port_process nnd_port_process;
typedef struct nnd_port_spawn {
    const char *const *argv; /* NULL-terminated; argv[0] is the program, found through PATH */
    const nnd_port_fd *fds;  /* descriptors the child gets as 3, 4, … (posix) */
    size_t fd_count;
    const char *const *env; /* NULL-terminated "NAME=value" added to the environment, or NULL */
} nnd_port_spawn;
int nnd_port_process_spawn(const nnd_port_spawn *spawn, nnd_port_process **out);
/* Exit code, or 128 + signal. NND_PORT_E_TIMEOUT while it still runs at the deadline. */
int nnd_port_process_wait(nnd_port_process *process, int64_t deadline, int *exit_code);
/* hard: SIGKILL, else SIGTERM (Windows: always terminates). A process that has ended is fine. */
int nnd_port_process_kill(nnd_port_process *process, bool hard);
/* Kills it hard and reaps it when it still runs, then frees. NULL is allowed. */
void nnd_port_process_destroy(nnd_port_process *process);
uint64_t nnd_port_process_id(void); /* of this process */

/* ---- 11 environment ----------------------------------------------------------------------- */

/* A copy of the variable; NND_PORT_E_NOT_FOUND when unset. */
int nnd_port_env_dup(const char *name, char **out);
/* Copies it into the buffer; false when unset, empty or too long for it (the buffer is then ""). */
bool nnd_port_env_copy(const char *name, char *buffer, size_t size);
int nnd_port_env_set(const char *name, const char *value); /* NULL unsets; not thread-safe */
/* size bytes from the system's random source. */
int nnd_port_random(void *data, size_t size);

/* ---- 12 file watch ------------------------------------------------------------------------ */

/* Reports changed files. What counts is the path: replacing, deleting and creating are seen,
   however an editor saves. inotify where there is one, elsewhere a look every 250 ms. */
typedef struct nnd_port_watch nnd_port_watch;
int nnd_port_watch_create(nnd_port_watch **out);
void nnd_port_watch_destroy(nnd_port_watch *watch);
/* The path need not exist yet, its folder has to. *id counts from 0. */
int nnd_port_watch_add(nnd_port_watch *watch, const char *path, size_t *id);
/* Waits for the next change; *id says which path. NND_PORT_E_TIMEOUT at the deadline. */
int nnd_port_watch_wait(nnd_port_watch *watch, int64_t deadline, size_t *id);

/* ---- 13 interrupts ------------------------------------------------------------------------ */

/* For programs, not for libraries: handler runs on Ctrl-C and on a request to terminate, as a
   signal handler: it may set an atomic flag, call nnd_port_wake_signal or end the process at
   once. NULL restores the system's behaviour. */
int nnd_port_on_interrupt(void (*handler)(void));
/* Writing to a closed pipe becomes an error of the write instead of the end of the process. */
void nnd_port_ignore_broken_pipe(void);

#endif
