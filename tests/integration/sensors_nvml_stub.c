/* A driver's management library whose card does what a file says, asked at each call:
 *
 *     MODE PID PERCENT CELSIUS
 *
 * MODE: ok; coarse (does not tell who uses the card); lost; unloaded (no driver).
 * PID uses the card by PERCENT; 0 for nobody. Compiled with -DOLD_DRIVER it lacks the newer functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OK = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15
};

typedef struct { char mode[16]; unsigned pid, percent; int celsius; } State;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Rates;
typedef struct { unsigned version; unsigned sensor; int celsius; } Temperature;
typedef struct {
    unsigned pid; unsigned long long at; unsigned sm, memory, encoder, decoder;
} Sample;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } Process;

static int initialized;
static unsigned long long now = 1000;

static int state(State *s) {
    FILE *file = fopen(getenv("ALLIE_NVML_STUB"), "r");
    memset(s, 0, sizeof *s);
    if (!file) return DRIVER_NOT_LOADED;
    int read = fscanf(file, "%15s %u %u %d", s->mode, &s->pid, &s->percent, &s->celsius);
    fclose(file);
    if (read < 1 || !strcmp(s->mode, "unloaded")) return DRIVER_NOT_LOADED;
    return OK;
}

static int card(State *s) {
    if (!initialized) return UNINITIALIZED;
    int code = state(s);
    if (code) return code;
    return strcmp(s->mode, "lost") ? OK : GPU_IS_LOST;
}

int nvmlInitWithFlags(unsigned flags) {
    State s;
    (void)flags;
    int code = state(&s);
    if (!code) initialized++;
    return code;
}

int nvmlShutdown(void) {
    if (!initialized) return UNINITIALIZED;
    initialized--;
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 1;
    return initialized ? OK : UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    State s;
    (void)index;
    *device = (void *)0x1;
    return card(&s);
}

const char *nvmlErrorString(int code) {
    return code == GPU_IS_LOST ? "GPU is lost" : "Another problem";
}

int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) {
    State s;
    (void)device;
    int code = card(&s);
    memory->total = 8000000000ULL;
    memory->used = s.pid ? 6000000000ULL : 500000000ULL;
    memory->free = memory->total - memory->used;
    return code;
}

int nvmlDeviceGetUtilizationRates(void *device, Rates *rates) {
    State s;
    (void)device;
    int code = card(&s);
    rates->gpu = s.percent;
    rates->memory = 0;
    return code;
}

int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) {
    State s;
    (void)device, (void)sensor;
    int code = card(&s);
    *celsius = (unsigned)s.celsius;
    return code;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetTemperatureV(void *device, Temperature *temperature) {
    State s;
    (void)device;
    int code = card(&s);
    temperature->celsius = s.celsius;
    return code;
}
#endif

int nvmlDeviceGetProcessUtilization(void *device, Sample *samples, unsigned *count, unsigned long long since) {
    State s;
    (void)device;
    int code = card(&s);
    if (code) return code;
    if (!strcmp(s.mode, "coarse")) return NOT_SUPPORTED;
    if (!s.pid || since > now) return NOT_FOUND;
    if (!samples || *count < 1) {
        *count = 1;
        return INSUFFICIENT_SIZE;
    }
    *count = 1;
    memset(samples, 0, sizeof *samples);
    samples->pid = s.pid;
    samples->at = ++now;
    samples->sm = s.percent;
    return OK;
}

static int processes(unsigned *count, Process *list) {
    State s;
    int code = card(&s);
    if (code) return code;
    if (!s.pid) {
        *count = 0;
        return OK;
    }
    if (!list || *count < 1) {
        *count = 1;
        return INSUFFICIENT_SIZE;
    }
    *count = 1;
    memset(list, 0, sizeof *list);
    list->pid = s.pid;
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, Process *list) {
    (void)device;
    return processes(count, list);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, Process *list) {
    (void)device, (void)list;
    State s;
    *count = 0;
    return card(&s);
}
