/*
 * The part of ONNX Runtime's C ABI that this backend uses, declared by ourselves so that nothing of
 * it is needed to build. The library hands out one table of functions that only ever grows at its
 * end; a gap stands for functions between two that are used. tests/infer/check_ort_abi.sh
 * compares every position, signature and constant with the official header where there is one.
 *
 * Enumerations travel as the integer type that C compilers give them.
 */
#ifndef NND_INFER_ONNXRUNTIME_ABI_H
#define NND_INFER_ONNXRUNTIME_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define NND_ORT_CALL __stdcall
typedef wchar_t nnd_ort_path_char;
#else
#define NND_ORT_CALL
typedef char nnd_ort_path_char;
#endif

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtIoBinding OrtIoBinding;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtSequenceTypeInfo OrtSequenceTypeInfo;
typedef struct OrtOptionalTypeInfo OrtOptionalTypeInfo;
typedef struct OrtCUDAProviderOptionsV2 OrtCUDAProviderOptionsV2;
typedef struct OrtTensorRTProviderOptionsV2 OrtTensorRTProviderOptionsV2;
typedef struct OrtAllocator OrtAllocator;

/* The versions of the table: the oldest that we work with, and those that brought a function which
   is used only where it is there. */
enum {
    NND_ORT_API_OLDEST = 14,
    NND_ORT_API_STRING_BUFFER = 15, /* also optional types */
    NND_ORT_API_FILES_IN_MEMORY = 18,
    NND_ORT_API_HAS_SHAPE = 24,
    NND_ORT_API_NEWEST = 24
};

enum {
    NND_ORT_FAIL = 1,
    NND_ORT_INVALID_ARGUMENT = 2,
    NND_ORT_NO_SUCHFILE = 3,
    NND_ORT_NO_MODEL = 4,
    NND_ORT_INVALID_PROTOBUF = 7,
    NND_ORT_NOT_IMPLEMENTED = 9,
    NND_ORT_INVALID_GRAPH = 10,
    NND_ORT_EP_FAIL = 11
};
enum { NND_ORT_LOG_VERBOSE, NND_ORT_LOG_INFO, NND_ORT_LOG_WARNING, NND_ORT_LOG_ERROR };
enum { NND_ORT_OPTIMIZE_NONE = 0, NND_ORT_OPTIMIZE_BASIC = 1, NND_ORT_OPTIMIZE_EXTENDED = 2 };
enum { NND_ORT_OPTIMIZE_ALL = 99 };
enum { NND_ORT_DEVICE_ALLOCATOR = 0, NND_ORT_MEMORY_DEFAULT = 0 };
enum {
    NND_ORT_KIND_TENSOR = 1,
    NND_ORT_KIND_SEQUENCE = 2,
    NND_ORT_KIND_MAP = 3,
    NND_ORT_KIND_OPTIONAL = 6
};
enum {
    NND_ORT_F32 = 1,
    NND_ORT_U8,
    NND_ORT_I8,
    NND_ORT_U16,
    NND_ORT_I16,
    NND_ORT_I32,
    NND_ORT_I64,
    NND_ORT_STRING,
    NND_ORT_BOOL,
    NND_ORT_F16,
    NND_ORT_F64,
    NND_ORT_U32,
    NND_ORT_U64,
    NND_ORT_C64,
    NND_ORT_C128,
    NND_ORT_BF16,
    NND_ORT_F8E4M3FN,
    NND_ORT_F8E4M3FNUZ,
    NND_ORT_F8E5M2,
    NND_ORT_F8E5M2FNUZ,
    NND_ORT_U4,
    NND_ORT_I4,
    NND_ORT_F4E2M1,
    NND_ORT_U2,
    NND_ORT_I2,
    NND_ORT_F8E8M0,
    NND_ORT_ELEMENT_COUNT
};

typedef void(NND_ORT_CALL *nnd_ort_log_fn)(void *user, unsigned severity, const char *category,
                                           const char *id, const char *place, const char *message);

/* The head of OrtAllocator: what a library that asks for version 14 looks at. */
typedef struct nnd_ort_allocator {
    uint32_t version;
    void *(NND_ORT_CALL *Alloc)(OrtAllocator *self, size_t size);
    void(NND_ORT_CALL *Free)(OrtAllocator *self, void *block);
    const OrtMemoryInfo *(NND_ORT_CALL *Info)(const OrtAllocator *self);
} nnd_ort_allocator;

typedef void (*nnd_ort_unused)(void);
typedef struct nnd_ort_api {
    nnd_ort_unused gap_0[1];
    unsigned(NND_ORT_CALL *GetErrorCode)(const OrtStatus *status);
    const char *(NND_ORT_CALL *GetErrorMessage)(const OrtStatus *status);
    nnd_ort_unused gap_3[1];
    OrtStatus *(NND_ORT_CALL *CreateEnvWithCustomLogger)(nnd_ort_log_fn log, void *user,
                                                         unsigned severity, const char *id,
                                                         OrtEnv **out);
    nnd_ort_unused gap_5[1];
    OrtStatus *(NND_ORT_CALL *DisableTelemetryEvents)(const OrtEnv *env);
    OrtStatus *(NND_ORT_CALL *CreateSession)(const OrtEnv *env, const nnd_ort_path_char *path,
                                             const OrtSessionOptions *options, OrtSession **out);
    OrtStatus *(NND_ORT_CALL *CreateSessionFromArray)(const OrtEnv *env, const void *data,
                                                      size_t size, const OrtSessionOptions *options,
                                                      OrtSession **out);
    nnd_ort_unused gap_9[1];
    OrtStatus *(NND_ORT_CALL *CreateSessionOptions)(OrtSessionOptions **out);
    nnd_ort_unused gap_11[8];
    OrtStatus *(NND_ORT_CALL *DisableCpuMemArena)(OrtSessionOptions *options);
    nnd_ort_unused gap_20[3];
    OrtStatus *(NND_ORT_CALL *SetSessionGraphOptimizationLevel)(OrtSessionOptions *options,
                                                                unsigned level);
    OrtStatus *(NND_ORT_CALL *SetIntraOpNumThreads)(OrtSessionOptions *options, int threads);
    OrtStatus *(NND_ORT_CALL *SetInterOpNumThreads)(OrtSessionOptions *options, int threads);
    nnd_ort_unused gap_26[4];
    OrtStatus *(NND_ORT_CALL *SessionGetInputCount)(const OrtSession *session, size_t *out);
    OrtStatus *(NND_ORT_CALL *SessionGetOutputCount)(const OrtSession *session, size_t *out);
    OrtStatus *(NND_ORT_CALL *SessionGetOverridableInitializerCount)(const OrtSession *session,
                                                                     size_t *out);
    OrtStatus *(NND_ORT_CALL *SessionGetInputTypeInfo)(const OrtSession *session, size_t index,
                                                       OrtTypeInfo **out);
    OrtStatus *(NND_ORT_CALL *SessionGetOutputTypeInfo)(const OrtSession *session, size_t index,
                                                        OrtTypeInfo **out);
    OrtStatus *(NND_ORT_CALL *SessionGetOverridableInitializerTypeInfo)(const OrtSession *session,
                                                                        size_t index,
                                                                        OrtTypeInfo **out);
    OrtStatus *(NND_ORT_CALL *SessionGetInputName)(const OrtSession *session, size_t index,
                                                   OrtAllocator *allocator, char **out);
    OrtStatus *(NND_ORT_CALL *SessionGetOutputName)(const OrtSession *session, size_t index,
                                                    OrtAllocator *allocator, char **out);
    OrtStatus *(NND_ORT_CALL *SessionGetOverridableInitializerName)(const OrtSession *session,
                                                                    size_t index,
                                                                    OrtAllocator *allocator,
                                                                    char **out);
    OrtStatus *(NND_ORT_CALL *CreateRunOptions)(OrtRunOptions **out);
    nnd_ort_unused gap_40[6];
    OrtStatus *(NND_ORT_CALL *RunOptionsSetTerminate)(OrtRunOptions *options);
    OrtStatus *(NND_ORT_CALL *RunOptionsUnsetTerminate)(OrtRunOptions *options);
    OrtStatus *(NND_ORT_CALL *CreateTensorAsOrtValue)(OrtAllocator *allocator, const int64_t *dims,
                                                      size_t rank, unsigned type, OrtValue **out);
    OrtStatus *(NND_ORT_CALL *CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *info, void *data,
                                                              size_t size, const int64_t *dims,
                                                              size_t rank, unsigned type,
                                                              OrtValue **out);
    nnd_ort_unused gap_50[1];
    OrtStatus *(NND_ORT_CALL *GetTensorMutableData)(OrtValue *value, void **out);
    nnd_ort_unused gap_52[1];
    OrtStatus *(NND_ORT_CALL *GetStringTensorDataLength)(const OrtValue *value, size_t *out);
    OrtStatus *(NND_ORT_CALL *GetStringTensorContent)(const OrtValue *value, void *text,
                                                      size_t size, size_t *offsets, size_t count);
    OrtStatus *(NND_ORT_CALL *CastTypeInfoToTensorInfo)(const OrtTypeInfo *info,
                                                        const OrtTensorTypeAndShapeInfo **out);
    OrtStatus *(NND_ORT_CALL *GetOnnxTypeFromTypeInfo)(const OrtTypeInfo *info, unsigned *out);
    nnd_ort_unused gap_57[3];
    OrtStatus *(NND_ORT_CALL *GetTensorElementType)(const OrtTensorTypeAndShapeInfo *info,
                                                    unsigned *out);
    OrtStatus *(NND_ORT_CALL *GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *info,
                                                  size_t *out);
    OrtStatus *(NND_ORT_CALL *GetDimensions)(const OrtTensorTypeAndShapeInfo *info, int64_t *dims,
                                             size_t rank);
    OrtStatus *(NND_ORT_CALL *GetSymbolicDimensions)(const OrtTensorTypeAndShapeInfo *info,
                                                     const char **names, size_t rank);
    nnd_ort_unused gap_64[1];
    OrtStatus *(NND_ORT_CALL *GetTensorTypeAndShape)(const OrtValue *value,
                                                     OrtTensorTypeAndShapeInfo **out);
    nnd_ort_unused gap_66[1];
    OrtStatus *(NND_ORT_CALL *GetValueType)(const OrtValue *value, unsigned *out);
    nnd_ort_unused gap_68[1];
    OrtStatus *(NND_ORT_CALL *CreateCpuMemoryInfo)(int allocator_type, int memory_type,
                                                   OrtMemoryInfo **out);
    nnd_ort_unused gap_70[6];
    OrtStatus *(NND_ORT_CALL *AllocatorFree)(OrtAllocator *allocator, void *block);
    nnd_ort_unused gap_77[1];
    OrtStatus *(NND_ORT_CALL *GetAllocatorWithDefaultOptions)(OrtAllocator **out);
    nnd_ort_unused gap_79[1];
    OrtStatus *(NND_ORT_CALL *GetValue)(const OrtValue *value, int index, OrtAllocator *allocator,
                                        OrtValue **out);
    OrtStatus *(NND_ORT_CALL *GetValueCount)(const OrtValue *value, size_t *out);
    OrtStatus *(NND_ORT_CALL *CreateValue)(const OrtValue *const *items, size_t count,
                                           unsigned type, OrtValue **out);
    nnd_ort_unused gap_83[10];
    void(NND_ORT_CALL *ReleaseStatus)(OrtStatus *status);
    void(NND_ORT_CALL *ReleaseMemoryInfo)(OrtMemoryInfo *info);
    void(NND_ORT_CALL *ReleaseSession)(OrtSession *session);
    void(NND_ORT_CALL *ReleaseValue)(OrtValue *value);
    void(NND_ORT_CALL *ReleaseRunOptions)(OrtRunOptions *options);
    void(NND_ORT_CALL *ReleaseTypeInfo)(OrtTypeInfo *info);
    void(NND_ORT_CALL *ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *info);
    void(NND_ORT_CALL *ReleaseSessionOptions)(OrtSessionOptions *options);
    nnd_ort_unused gap_101[3];
    OrtStatus *(NND_ORT_CALL *CastTypeInfoToSequenceTypeInfo)(const OrtTypeInfo *info,
                                                              const OrtSequenceTypeInfo **out);
    nnd_ort_unused gap_105[2];
    OrtStatus *(NND_ORT_CALL *GetSequenceElementType)(const OrtSequenceTypeInfo *info,
                                                      OrtTypeInfo **out);
    nnd_ort_unused gap_108[17];
    OrtStatus *(NND_ORT_CALL *GetAvailableProviders)(char ***names, int *count);
    OrtStatus *(NND_ORT_CALL *ReleaseAvailableProviders)(char **names, int count);
    nnd_ort_unused gap_127[2];
    OrtStatus *(NND_ORT_CALL *FillStringTensorElement)(OrtValue *value, const char *text,
                                                       size_t index);
    OrtStatus *(NND_ORT_CALL *AddSessionConfigEntry)(OrtSessionOptions *options, const char *key,
                                                     const char *value);
    nnd_ort_unused gap_131[2];
    OrtStatus *(NND_ORT_CALL *RunWithBinding)(OrtSession *session, const OrtRunOptions *options,
                                              const OrtIoBinding *binding);
    OrtStatus *(NND_ORT_CALL *CreateIoBinding)(OrtSession *session, OrtIoBinding **out);
    void(NND_ORT_CALL *ReleaseIoBinding)(OrtIoBinding *binding);
    OrtStatus *(NND_ORT_CALL *BindInput)(OrtIoBinding *binding, const char *name,
                                         const OrtValue *value);
    OrtStatus *(NND_ORT_CALL *BindOutput)(OrtIoBinding *binding, const char *name,
                                          const OrtValue *value);
    OrtStatus *(NND_ORT_CALL *BindOutputToDevice)(OrtIoBinding *binding, const char *name,
                                                  const OrtMemoryInfo *info);
    nnd_ort_unused gap_139[1];
    OrtStatus *(NND_ORT_CALL *GetBoundOutputValues)(const OrtIoBinding *binding,
                                                    OrtAllocator *allocator, OrtValue ***values,
                                                    size_t *count);
    void(NND_ORT_CALL *ClearBoundInputs)(OrtIoBinding *binding);
    void(NND_ORT_CALL *ClearBoundOutputs)(OrtIoBinding *binding);
    nnd_ort_unused gap_143[27];
    OrtStatus *(NND_ORT_CALL *SessionOptionsAppendExecutionProvider_TensorRT_V2)(
        OrtSessionOptions *options, const OrtTensorRTProviderOptionsV2 *provider);
    OrtStatus *(NND_ORT_CALL *CreateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 **out);
    OrtStatus *(NND_ORT_CALL *UpdateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *provider,
                                                             const char *const *keys,
                                                             const char *const *values,
                                                             size_t count);
    nnd_ort_unused gap_173[1];
    void(NND_ORT_CALL *ReleaseTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *provider);
    nnd_ort_unused gap_175[1];
    OrtStatus *(NND_ORT_CALL *RegisterAllocator)(OrtEnv *env, OrtAllocator *allocator);
    nnd_ort_unused gap_177[25];
    OrtStatus *(NND_ORT_CALL *SynchronizeBoundInputs)(OrtIoBinding *binding);
    OrtStatus *(NND_ORT_CALL *SynchronizeBoundOutputs)(OrtIoBinding *binding);
    OrtStatus *(NND_ORT_CALL *SessionOptionsAppendExecutionProvider_CUDA_V2)(
        OrtSessionOptions *options, const OrtCUDAProviderOptionsV2 *provider);
    OrtStatus *(NND_ORT_CALL *CreateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 **out);
    OrtStatus *(NND_ORT_CALL *UpdateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *provider,
                                                         const char *const *keys,
                                                         const char *const *values, size_t count);
    nnd_ort_unused gap_207[1];
    void(NND_ORT_CALL *ReleaseCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *provider);
    nnd_ort_unused gap_209[7];
    OrtStatus *(NND_ORT_CALL *SessionOptionsAppendExecutionProvider)(OrtSessionOptions *options,
                                                                     const char *name,
                                                                     const char *const *keys,
                                                                     const char *const *values,
                                                                     size_t count);
    nnd_ort_unused gap_217[33];
    OrtStatus *(NND_ORT_CALL *CastTypeInfoToOptionalTypeInfo)(const OrtTypeInfo *info,
                                                              const OrtOptionalTypeInfo **out);
    OrtStatus *(NND_ORT_CALL *GetOptionalContainedTypeInfo)(const OrtOptionalTypeInfo *info,
                                                            OrtTypeInfo **out);
    OrtStatus *(NND_ORT_CALL *GetResizedStringTensorElementBuffer)(OrtValue *value, size_t index,
                                                                   size_t size, char **out);
    nnd_ort_unused gap_253[26];
    OrtStatus *(NND_ORT_CALL *AddExternalInitializersFromFilesInMemory)(
        OrtSessionOptions *options, const nnd_ort_path_char *const *names, char *const *bytes,
        const size_t *sizes, size_t count);
    nnd_ort_unused gap_280[110];
    bool(NND_ORT_CALL *TensorTypeAndShape_HasShape)(const OrtTensorTypeAndShapeInfo *info);
} nnd_ort_api;

typedef struct nnd_ort_api_base {
    const nnd_ort_api *(NND_ORT_CALL *GetApi)(uint32_t version);
    const char *(NND_ORT_CALL *GetVersionString)(void);
} nnd_ort_api_base;

/* The one exported symbol, and the one by which a library for Android adds NNAPI. */
typedef const nnd_ort_api_base *(NND_ORT_CALL *nnd_ort_get_api_base_fn)(void);
typedef OrtStatus *(NND_ORT_CALL *nnd_ort_append_nnapi_fn)(OrtSessionOptions *options,
                                                           uint32_t flags);

#endif
