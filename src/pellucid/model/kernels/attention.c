/* Multi-head attention over short sentences for training: forward and backward in one pass each, on a processor.
 *
 *     S = Q K^T / sqrt(d_k)    P = softmax(S)    C = dropout(P) V            Vaswani et al. 2017, equation 1
 *     dV = dropout(P)^T dC     dP = dropout(dC V^T)                          backward
 *     dS = P (dP - sum(P dP))  dQ = dS K / sqrt(d_k)    dK = dS^T Q / sqrt(d_k)
 *
 * A sentence of ten words has matrices of 10 x 10. Calls of a library, each of which reads and writes memory for all
 * sentences, spend most of their time around the products; here all matrices of a sentence and a head stay in the
 * first-level cache. Queries, keys and values are read where the linear maps have put them, [batch, time, heads, d_head],
 * and contexts and gradients are written in the same order. Numbers are float32 inside, whatever is read and written.
 *
 * Sentences are divided among threads; what one becomes does not depend on the others. Python checks all sizes first.
 */

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
enum { LANES = 16, ROWS_AT_ONCE = 6 }; /* 6 rows x 4 vectors = 24 sums, with 32 registers */
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#elif defined(__AVX2__)
enum { LANES = 8, ROWS_AT_ONCE = 2 }; /* 2 rows x 4 vectors = 8 sums, with 16 registers */
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2)
#else
enum { LANES = 4, ROWS_AT_ONCE = 2 };
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2)
#endif
enum { VECTORS = 4, MOST_THREADS = 1024 };

typedef float Floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int16_t Shorts __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16") /* so that arrays of sums live in registers */

INLINE int whole_vectors(int count) { return (count + LANES - 1) / LANES * LANES; }
INLINE Floats all(float value) { return (Floats){0} + value; }
INLINE Floats chosen(Integers where, Floats a, Floats b) { return (Floats)((where & (Integers)a) | (~where & (Integers)b)); }

INLINE float sum_of(Floats values)
{
    float sums[LANES];
    *(Floats *)sums = values;
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
    return sums[0];
}

/* e^x for x <= 0, within 2 units in the last place; e^-87 below -87. NaN stays NaN: a step must see that it is broken. */
INLINE Floats exponential(Floats x)
{
    x = chosen(x < -87.0f, all(-87.0f), x);
    Floats k = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* x / ln 2, rounded to an integer by its magnitude */
    Floats r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = (p * r + 8.3334519073e-3f) * r + 4.1665795894e-2f;
    p = (p * r + 1.6666665459e-1f) * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    Integers power = __builtin_convertvector(chosen(k == k, k, all(0)), Integers);
    return p * (Floats)((power + 127) << 23);
}

typedef struct {
    const void *queries, *keys, *values; /* [batch, time, heads, d_head], [batch, memory, heads, d_head] twice */
    void *context; /* like the queries */
    float *weights; /* [batch, heads, time, memory in whole vectors], before dropout; zero where attention is not allowed */
    const uint8_t *may_attend; /* not 0 where a position may attend, or NULL */
    int64_t mask_batch, mask_time, mask_memory; /* its strides; 0 where it has one row for all */
    const int16_t *drawn; /* [batch, heads, time, memory]: a weight below `least_kept` is dropped; or NULL */
    const void *d_context; /* gradients, like context, queries, keys and values */
    void *d_queries, *d_keys, *d_values;
    int32_t batch, heads, time, memory, d_head, is_bfloat16, threads, least_kept;
    float keep_scale; /* of the weights that are kept */
} Job;

/* ------------------------------------------------------------------------------------------- numbers in memory --- */

/* `count` numbers as floats; zeros fill the last vector up. */
INLINE void read_row(const void *from, size_t place, int count, int is_bfloat16, float *to)
{
    int k = 0;
    if (is_bfloat16) {
        const uint16_t *halves = (const uint16_t *)from + place;
        for (; k + LANES <= count; k += LANES)
            *(Floats *)(to + k) = (Floats)(__builtin_convertvector(*(const Halves *)(halves + k), Bits) << 16);
        for (; k < count; k++) {
            uint32_t bits = (uint32_t)halves[k] << 16;
            float value;
            memcpy(&value, &bits, 4);
            to[k] = value;
        }
    } else {
        const float *floats = (const float *)from + place;
        for (; k + LANES <= count; k += LANES) *(Floats *)(to + k) = *(const Floats *)(floats + k);
        for (; k < count; k++) to[k] = floats[k];
    }
    for (int end = whole_vectors(count); k < end; k++) to[k] = 0;
}

/* Round floats to the nearest bfloat16, to the even one of two; NaN stays NaN. */
INLINE Halves rounded(Floats values)
{
    Bits bits = (Bits)values;
    bits += 0x7fff + ((bits >> 16) & 1);
    bits = (Bits)chosen(values == values, (Floats)bits, (Floats)((Bits){0} + 0x7fc00000u));
    return __builtin_convertvector(bits >> 16, Halves);
}

INLINE void write_row(const float *from, int count, int is_bfloat16, void *to, size_t place)
{
    if (!is_bfloat16) {
        memcpy((float *)to + place, from, (size_t)count * sizeof(float));
        return;
    }
    uint16_t *halves = (uint16_t *)to + place;
    int k = 0;
    for (; k + LANES <= count; k += LANES) *(Halves *)(halves + k) = rounded(*(const Floats *)(from + k));
    if (k < count) {
        Halves last = rounded(*(const Floats *)(from + k)); /* rows of scratch are whole vectors */
        memcpy(halves + k, &last, (size_t)(count - k) * 2);
    }
}

/* All heads of a sentence as floats, [rows, heads, d_head in whole vectors]: memory is read in its own order. */
static void read_sentence(const Job *job, const void *from, int rows, int sentence, float *to)
{
    size_t place = (size_t)sentence * rows * job->heads * job->d_head;
    int width = whole_vectors(job->d_head);
    for (int part = 0; part < rows * job->heads; part++, place += job->d_head, to += width)
        read_row(from, place, job->d_head, job->is_bfloat16, to);
}

static void write_sentence(const Job *job, const float *from, int rows, int sentence, void *to)
{
    size_t place = (size_t)sentence * rows * job->heads * job->d_head;
    int width = whole_vectors(job->d_head);
    for (int part = 0; part < rows * job->heads; part++, place += job->d_head, from += width)
        write_row(from, job->d_head, job->is_bfloat16, to, place);
}

/* One head [rows, stride] to [d_head, rows in whole vectors]; zeros fill the vectors up. */
static void transpose(const float *from, int stride, int rows, int d_head, float *to)
{
    int columns = whole_vectors(rows);
    for (int k = 0; k < d_head; k++, to += columns) {
        for (int t = 0; t < rows; t++) to[t] = from[(size_t)t * stride + k];
        for (int t = rows; t < columns; t++) to[t] = 0;
    }
}

/* ---------------------------------------------------------------------------------------------------- products --- */

typedef struct { /* the number at (row, k) is at row * row_stride + k * stride */
    const float *first;
    int row_stride, stride;
} Left;

/* out [R, V vectors] = a [R, inner] b [inner, V vectors]; R and V are constants wherever this is inlined. */
INLINE void block(Left a, const float *b, int b_stride, int inner, int R, int V, float scale, float *out, int out_stride)
{
    Floats sums[ROWS_AT_ONCE][VECTORS] = {{{0}}};
    for (int k = 0; k < inner; k++, b += b_stride)
        UNROLLED for (int v = 0; v < V; v++) {
            Floats values = *(const Floats *)(b + v * LANES);
            UNROLLED for (int r = 0; r < R; r++) sums[r][v] += a.first[r * a.row_stride + k * a.stride] * values;
        }
    UNROLLED for (int r = 0; r < R; r++)
        UNROLLED for (int v = 0; v < V; v++) *(Floats *)(out + r * out_stride + v * LANES) = sums[r][v] * scale;
}

/* out [rows, width] = scale a [rows, inner] b [inner, width]; width is whole vectors. */
static void product(Left a, const float *b, int b_stride, int rows, int inner, int width, float scale, float *out,
                    int out_stride)
{
#define CASE_OF(R, V) block(a, b + c, b_stride, inner, R, V, scale, out + c, out_stride)
#define CASE(R) case R: if (V == 4) CASE_OF(R, 4); else if (V == 2) CASE_OF(R, 2); else CASE_OF(R, 1); break;
    for (int row = 0; row < rows; row += ROWS_AT_ONCE) {
        for (int c = 0, V; c < width; c += V * LANES) {
            int vectors = (width - c) / LANES;
            V = vectors >= 4 ? 4 : vectors >= 2 ? 2 : 1;
            switch (rows - row < ROWS_AT_ONCE ? rows - row : ROWS_AT_ONCE) { FOR_ALL_ROWS(CASE) }
        }
        a.first += ROWS_AT_ONCE * a.row_stride;
        out += (size_t)ROWS_AT_ONCE * out_stride;
    }
#undef CASE
#undef CASE_OF
}

/* --------------------------------------------------------------------------------------------------- sentences --- */

typedef struct { /* of one thread */
    float *queries, *keys, *values, *d_context; /* [time or memory, heads, d_head in whole vectors] */
    float *context, *d_keys, *d_values; /* the same; what is written at the end */
    float *transposed; /* [d_head, memory in whole vectors] */
    float *kept, *d_weights; /* [time, memory in whole vectors] */
    int32_t *allowed; /* [time, memory in whole vectors]: all bits where attention is allowed, or none */
} Scratch;

/* Write down for each position of a sentence where it may attend. */
static void read_mask(const Job *job, int sentence, int32_t *allowed)
{
    int columns = whole_vectors(job->memory);
    for (int t = 0; t < job->time; t++, allowed += columns) {
        const uint8_t *mask = job->may_attend;
        if (t && (!mask || !job->mask_time)) {
            memcpy(allowed, allowed - columns, (size_t)columns * 4);
            continue;
        }
        if (mask) mask += sentence * job->mask_batch + t * job->mask_time;
        for (int m = 0; m < columns; m++)
            allowed[m] = m < job->memory && (!mask || mask[m * job->mask_memory]) ? -1 : 0;
    }
}

/* Turn scores into weights, in place. A position that may attend to nothing has the weights 0. */
static void softmax(float *scores, const int32_t *allowed, int columns)
{
    Floats most = all(-FLT_MAX), sums = all(0);
    for (int m = 0; m < columns; m += LANES) {
        Floats shown = chosen(*(const Integers *)(allowed + m), *(const Floats *)(scores + m), all(-FLT_MAX));
        most = chosen(most > shown, most, shown);
    }
    float lanes[LANES], largest;
    *(Floats *)lanes = most;
    largest = lanes[0];
    for (int lane = 1; lane < LANES; lane++) largest = largest > lanes[lane] ? largest : lanes[lane];
    for (int m = 0; m < columns; m += LANES) {
        Floats weight = exponential(*(const Floats *)(scores + m) - largest);
        weight = (Floats)(*(const Integers *)(allowed + m) & (Integers)weight);
        *(Floats *)(scores + m) = weight;
        sums += weight;
    }
    float sum = sum_of(sums), inverse = sum == 0 ? 0 : 1.0f / sum;
    for (int m = 0; m < columns; m += LANES) *(Floats *)(scores + m) *= inverse;
}

/* out [time, memory in whole vectors] = values where a weight is kept, times the scale, otherwise 0; can be in place. */
static void drop(const Job *job, size_t sentence_and_head, const float *values, float *out)
{
    int columns = whole_vectors(job->memory), whole = job->memory / LANES * LANES;
    const int16_t *drawn = job->drawn + sentence_and_head * job->time * job->memory;
    for (int t = 0; t < job->time; t++, drawn += job->memory, values += columns, out += columns)
        for (int m = 0; m < columns; m += LANES) {
            Shorts lanes = {0};
            if (m < whole) lanes = *(const Shorts *)(drawn + m);
            else memcpy(&lanes, drawn + m, (size_t)(job->memory - m) * 2); /* the values of the rest are 0 */
            Integers is_kept = __builtin_convertvector(lanes, Integers) >= job->least_kept;
            *(Floats *)(out + m) = (Floats)(is_kept & (Integers)(*(const Floats *)(values + m) * job->keep_scale));
        }
}

static void forward_sentence(const Job *job, Scratch *scratch, int sentence)
{
    int time = job->time, memory = job->memory, columns = whole_vectors(memory), width = whole_vectors(job->d_head);
    int stride = job->heads * width;
    float scale = 1.0f / sqrtf((float)job->d_head);
    read_mask(job, sentence, scratch->allowed);
    read_sentence(job, job->queries, time, sentence, scratch->queries);
    read_sentence(job, job->keys, memory, sentence, scratch->keys);
    read_sentence(job, job->values, memory, sentence, scratch->values);
    for (int head = 0; head < job->heads; head++) {
        size_t place = (size_t)sentence * job->heads + head;
        int first = head * width;
        float *weights = job->weights + place * time * columns, *kept = weights;
        transpose(scratch->keys + first, stride, memory, job->d_head, scratch->transposed);
        product((Left){scratch->queries + first, stride, 1}, scratch->transposed, columns, time, job->d_head, columns, scale,
                weights, columns);
        for (int t = 0; t < time; t++)
            softmax(weights + (size_t)t * columns, scratch->allowed + (size_t)t * columns, columns);
        if (job->drawn) drop(job, place, weights, kept = scratch->kept);
        product((Left){kept, columns, 1}, scratch->values + first, stride, time, memory, width, 1, scratch->context + first,
                stride);
    }
    write_sentence(job, scratch->context, time, sentence, job->context);
}

/* The gradient of scores, in place of that of their weights: weights * (d_weights - sum(weights * d_weights)). */
static void softmax_backward(const float *weights, float *d_weights, int columns)
{
    Floats sums = all(0);
    for (int m = 0; m < columns; m += LANES) sums += *(const Floats *)(weights + m) * *(const Floats *)(d_weights + m);
    float sum = sum_of(sums);
    for (int m = 0; m < columns; m += LANES)
        *(Floats *)(d_weights + m) = *(const Floats *)(weights + m) * (*(const Floats *)(d_weights + m) - sum);
}

static void backward_sentence(const Job *job, Scratch *scratch, int sentence)
{
    int time = job->time, memory = job->memory, columns = whole_vectors(memory), width = whole_vectors(job->d_head);
    int stride = job->heads * width;
    float scale = 1.0f / sqrtf((float)job->d_head), *d_weights = scratch->d_weights;
    read_sentence(job, job->queries, time, sentence, scratch->queries);
    read_sentence(job, job->keys, memory, sentence, scratch->keys);
    read_sentence(job, job->values, memory, sentence, scratch->values);
    read_sentence(job, job->d_context, time, sentence, scratch->d_context);
    for (int head = 0; head < job->heads; head++) {
        size_t place = (size_t)sentence * job->heads + head;
        int first = head * width;
        const float *weights = job->weights + place * time * columns, *kept = weights;
        transpose(scratch->values + first, stride, memory, job->d_head, scratch->transposed);
        product((Left){scratch->d_context + first, stride, 1}, scratch->transposed, columns, time, job->d_head, columns, 1,
                d_weights, columns);
        if (job->drawn) {
            drop(job, place, weights, scratch->kept);
            drop(job, place, d_weights, d_weights);
            kept = scratch->kept;
        }
        product((Left){kept, 1, columns}, scratch->d_context + first, stride, memory, time, width, 1,
                scratch->d_values + first, stride);
        for (int t = 0; t < time; t++)
            softmax_backward(weights + (size_t)t * columns, d_weights + (size_t)t * columns, columns);
        /* The context of this sentence is not needed again, so its place takes the gradient of the queries. */
        product((Left){d_weights, columns, 1}, scratch->keys + first, stride, time, memory, width, scale,
                scratch->context + first, stride);
        product((Left){d_weights, 1, columns}, scratch->queries + first, stride, memory, time, width, scale,
                scratch->d_keys + first, stride);
    }
    write_sentence(job, scratch->context, time, sentence, job->d_queries);
    write_sentence(job, scratch->d_keys, memory, sentence, job->d_keys);
    write_sentence(job, scratch->d_values, memory, sentence, job->d_values);
}

/* ----------------------------------------------------------------------------------------------------- threads --- */

typedef void (*OfSentence)(const Job *job, Scratch *scratch, int sentence);
typedef struct {
    const Job *job;
    OfSentence work;
    int first, end, is_out_of_memory;
} Part;

static void *do_part(void *argument)
{
    Part *part = argument;
    const Job *job = part->job;
    size_t columns = (size_t)whole_vectors(job->memory), weights = (size_t)job->time * columns;
    size_t row = (size_t)job->heads * (size_t)whole_vectors(job->d_head);
    size_t targets = (size_t)job->time * row, sources = (size_t)job->memory * row;
    size_t sizes[] = {targets, sources, sources, targets, targets, sources, sources, job->d_head * columns, weights,
                      weights, weights};
    enum { ARRAYS = sizeof sizes / sizeof *sizes };
    size_t whole = 0;
    for (int i = 0; i < ARRAYS; i++) whole += sizes[i];
    float *memory_of_part = malloc(whole * sizeof(float)), *next = memory_of_part;
    if (!memory_of_part) {
        part->is_out_of_memory = 1;
        return NULL;
    }
    float *arrays[ARRAYS];
    for (int i = 0; i < ARRAYS; next += sizes[i], i++) arrays[i] = next;
    Scratch scratch = {arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5],
                       arrays[6], arrays[7], arrays[8], arrays[9], (int32_t *)arrays[10]};
    for (int sentence = part->first; sentence < part->end; sentence++) part->work(job, &scratch, sentence);
    free(memory_of_part);
    return NULL;
}

/* Return 0, or 1 if memory was too small. Where the system gives no more threads, this one does their parts. */
static int32_t run(const Job *job, OfSentence work)
{
    Part parts[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    int has_thread[MOST_THREADS];
    int count = job->threads < job->batch ? job->threads : job->batch, is_out_of_memory = 0;
    count = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
    for (int i = 0; i < count; i++) {
        parts[i] = (Part){job, work, (int)((int64_t)job->batch * i / count), (int)((int64_t)job->batch * (i + 1) / count), 0};
        has_thread[i] = i + 1 < count && !pthread_create(&threads[i], NULL, do_part, &parts[i]);
    }
    for (int i = count - 1; i >= 0; i--)
        if (has_thread[i]) pthread_join(threads[i], NULL);
        else do_part(&parts[i]);
    for (int i = 0; i < count; i++) is_out_of_memory |= parts[i].is_out_of_memory;
    return is_out_of_memory;
}

int32_t attention_job_size(void) { return (int32_t)sizeof(Job); }
int32_t attention_lanes(void) { return LANES; }
int32_t attention_forward(const Job *job) { return run(job, forward_sentence); }
int32_t attention_backward(const Job *job) { return run(job, backward_sentence); }
