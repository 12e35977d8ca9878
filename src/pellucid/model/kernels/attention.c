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
#include <stdlib.h>

#include "../../compiled/team.h"
#include "../../compiled/vectors.h"

#if defined(__AVX512F__)
enum { ROWS_AT_ONCE = 6 }; /* 6 rows x 4 vectors = 24 sums, with 32 registers */
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#else
enum { ROWS_AT_ONCE = 2 }; /* 2 rows x 4 vectors = 8 sums, with 16 registers */
#define FOR_ALL_ROWS(CASE) CASE(1) CASE(2)
#endif
enum { VECTORS = 4 };

typedef struct {
    const void *queries, *keys, *values; /* [batch, time, heads, d_head], [batch, memory, heads, d_head] twice */
    void *context; /* like the queries */
    float *weights; /* before dropout, zero where attention is not allowed: of each sentence in turn, with its own lengths,
                       [heads, time, memory in whole vectors] */
    const uint8_t *may_attend; /* not 0 where a position may attend, or NULL */
    int64_t mask_batch, mask_time, mask_memory; /* its strides; 0 where it has one row for all */
    const int16_t *drawn; /* [batch, heads, time, memory]: a weight below `least_kept` is dropped; or NULL */
    const void *d_context; /* gradients, like context, queries, keys and values */
    void *d_queries, *d_keys, *d_values;
    int32_t batch, heads, time, memory, d_head, is_bfloat16, threads, least_kept;
    float keep_scale; /* of the weights that are kept */
    /* Packed sentences: sentence i has the rows from bound i to bound i + 1, at most `time` and `memory`; or NULL. */
    const int32_t *query_bounds, *key_bounds;
    int64_t query_stride, key_stride, context_stride; /* numbers between rows, also of the gradients */
    uint64_t seed; /* of the numbers of chance, where none are drawn before */
    uint32_t threshold; /* a weight whose number is below it is dropped; 0 drops none */
    int32_t is_causal; /* a position may attend to itself and to earlier ones */
} Job;

typedef struct { /* the rows of a sentence */
    int time, memory;
    size_t query, key; /* the first */
} Span;

static Span span_of(const Job *job, int sentence)
{
    if (!job->query_bounds)
        return (Span){job->time, job->memory, (size_t)sentence * job->time, (size_t)sentence * job->memory};
    const int32_t *queries = job->query_bounds + sentence, *keys = job->key_bounds + sentence;
    return (Span){queries[1] - queries[0], keys[1] - keys[0], (size_t)queries[0], (size_t)keys[0]};
}

static size_t size_of_weights(const Job *job, Span span) { return (size_t)job->heads * span.time * whole_vectors(span.memory); }

/* Heads that follow each other without a gap in scratch as they do in memory. */
static int heads_at_once(const Job *job) { return job->d_head % LANES ? 1 : job->heads; }

/* All heads of rows as floats, [rows, heads, d_head in whole vectors]: memory is read in its own order. */
static void read_rows(const Job *job, const void *from, int rows, size_t first, int64_t stride, float *to)
{
    int heads = heads_at_once(job), count = heads * job->d_head;
    for (int row = 0; row < rows; row++)
        for (int head = 0; head < job->heads; head += heads, to += whole_vectors(count))
            read_row(from, (first + row) * stride + (size_t)head * job->d_head, count, job->is_bfloat16, to);
}

static void write_rows(const Job *job, const float *from, int rows, size_t first, int64_t stride, void *to)
{
    int heads = heads_at_once(job), count = heads * job->d_head;
    for (int row = 0; row < rows; row++)
        for (int head = 0; head < job->heads; head += heads, from += whole_vectors(count))
            write_row(from, count, job->is_bfloat16, to, (first + row) * stride + (size_t)head * job->d_head);
}

/* One head [rows, stride] to [d_head, rows in whole vectors]; zeros fill the vectors up. */
static void transpose(const float *from, int stride, int rows, int d_head, float *to)
{
    int columns = whole_vectors(rows);
    for (int t = 0; t < rows; t += LANES)
        for (int k = 0; k < d_head; k += LANES) {
            Floats square[LANES];
            UNROLLED for (int r = 0; r < LANES; r++)
                square[r] = t + r < rows ? *(const Floats *)(from + (size_t)(t + r) * stride + k) : all(0);
            transpose_square(square);
            UNROLLED for (int r = 0; r < LANES; r++)
                if (k + r < d_head) *(Floats *)(to + (size_t)(k + r) * columns + t) = square[r];
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
static void read_mask(const Job *job, int sentence, Span span, int32_t *allowed)
{
    int columns = whole_vectors(span.memory);
    for (int t = 0; t < span.time; t++, allowed += columns) {
        const uint8_t *mask = job->may_attend;
        if (t && !job->is_causal && (!mask || !job->mask_time)) {
            memcpy(allowed, allowed - columns, (size_t)columns * 4);
            continue;
        }
        int end = job->is_causal && t + 1 < span.memory ? t + 1 : span.memory;
        if (mask) mask += sentence * job->mask_batch + t * job->mask_time;
        for (int m = 0; m < columns; m++) allowed[m] = m < end && (!mask || mask[m * job->mask_memory]) ? -1 : 0;
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
    float largest = largest_of(most);
    for (int m = 0; m < columns; m += LANES) {
        Floats weight = exponential(*(const Floats *)(scores + m) - largest);
        weight = (Floats)(*(const Integers *)(allowed + m) & (Integers)weight);
        *(Floats *)(scores + m) = weight;
        sums += weight;
    }
    float sum = sum_of(sums), inverse = sum == 0 ? 0 : 1.0f / sum;
    for (int m = 0; m < columns; m += LANES) *(Floats *)(scores + m) *= inverse;
}

/* out [time, memory in whole vectors] = weights where they are kept, times the scale, otherwise 0; likewise their
 * gradients, in place, unless they are NULL. */
static void drop(const Job *job, size_t sentence_and_head, Span span, const float *weights, float *out, float *gradients)
{
    int columns = whole_vectors(span.memory), whole = span.memory / LANES * LANES;
    size_t place = sentence_and_head * job->time * job->memory, next = 0;
    for (int t = 0; t < span.time; t++, place += span.memory)
        for (int m = 0; m < columns; m += LANES, next += LANES) {
            Integers is_kept;
            if (!job->drawn) is_kept = not_dropped(job->seed, (uint32_t)(place + m), job->threshold);
            else {
                Shorts lanes = {0};
                if (m < whole) lanes = *(const Shorts *)(job->drawn + place + m);
                else memcpy(&lanes, job->drawn + place + m, (size_t)(span.memory - m) * 2); /* the rest has weights of 0 */
                is_kept = __builtin_convertvector(lanes, Integers) >= job->least_kept;
            }
            *(Floats *)(out + next) = (Floats)(is_kept & (Integers)(*(const Floats *)(weights + next) * job->keep_scale));
            if (!gradients) continue;
            Floats *gradient = (Floats *)(gradients + next);
            *gradient = (Floats)(is_kept & (Integers)(*gradient * job->keep_scale));
        }
}

static void read_projected(const Job *job, Scratch *scratch, Span span)
{
    read_rows(job, job->queries, span.time, span.query, job->query_stride, scratch->queries);
    read_rows(job, job->keys, span.memory, span.key, job->key_stride, scratch->keys);
    read_rows(job, job->values, span.memory, span.key, job->key_stride, scratch->values);
}

static void forward_sentence(const Job *job, Scratch *scratch, int sentence, Span span, float *weights)
{
    int time = span.time, memory = span.memory, columns = whole_vectors(memory), width = whole_vectors(job->d_head);
    int stride = job->heads * width;
    float scale = 1.0f / sqrtf((float)job->d_head);
    read_mask(job, sentence, span, scratch->allowed);
    read_projected(job, scratch, span);
    for (int head = 0; head < job->heads; head++, weights += (size_t)time * columns) {
        size_t place = (size_t)sentence * job->heads + head;
        int first = head * width;
        float *kept = weights;
        transpose(scratch->keys + first, stride, memory, job->d_head, scratch->transposed);
        product((Left){scratch->queries + first, stride, 1}, scratch->transposed, columns, time, job->d_head, columns, scale,
                weights, columns);
        for (int t = 0; t < time; t++)
            softmax(weights + (size_t)t * columns, scratch->allowed + (size_t)t * columns, columns);
        if (job->drawn || job->threshold) {
            drop(job, place, span, weights, scratch->kept, NULL);
            kept = scratch->kept;
        }
        product((Left){kept, columns, 1}, scratch->values + first, stride, time, memory, width, 1, scratch->context + first,
                stride);
    }
    write_rows(job, scratch->context, time, span.query, job->context_stride, job->context);
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

static void backward_sentence(const Job *job, Scratch *scratch, int sentence, Span span, float *weights)
{
    int time = span.time, memory = span.memory, columns = whole_vectors(memory), width = whole_vectors(job->d_head);
    int stride = job->heads * width;
    float scale = 1.0f / sqrtf((float)job->d_head), *d_weights = scratch->d_weights;
    read_projected(job, scratch, span);
    read_rows(job, job->d_context, time, span.query, job->context_stride, scratch->d_context);
    for (int head = 0; head < job->heads; head++, weights += (size_t)time * columns) {
        size_t place = (size_t)sentence * job->heads + head;
        int first = head * width;
        const float *kept = weights;
        transpose(scratch->values + first, stride, memory, job->d_head, scratch->transposed);
        product((Left){scratch->d_context + first, stride, 1}, scratch->transposed, columns, time, job->d_head, columns, 1,
                d_weights, columns);
        if (job->drawn || job->threshold) {
            drop(job, place, span, weights, scratch->kept, d_weights);
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
    write_rows(job, scratch->context, time, span.query, job->query_stride, job->d_queries);
    write_rows(job, scratch->d_keys, memory, span.key, job->key_stride, job->d_keys);
    write_rows(job, scratch->d_values, memory, span.key, job->key_stride, job->d_values);
}

/* ----------------------------------------------------------------------------------------------------- threads --- */

typedef void (*OfSentence)(const Job *job, Scratch *scratch, int sentence, Span span, float *weights);
typedef struct {
    const Job *job;
    OfSentence work;
    int first, end, is_out_of_memory;
} Part;

static void do_part(void *parts, int number)
{
    Part *part = (Part *)parts + number;
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
        return;
    }
    float *arrays[ARRAYS];
    for (int i = 0; i < ARRAYS; next += sizes[i], i++) arrays[i] = next;
    Scratch scratch = {arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5],
                       arrays[6], arrays[7], arrays[8], arrays[9], (int32_t *)arrays[10]};
    float *own = job->weights;
    for (int sentence = 0; sentence < part->end; sentence++) {
        Span span = span_of(job, sentence);
        if (sentence >= part->first) part->work(job, &scratch, sentence, span, own);
        own += size_of_weights(job, span);
    }
    free(memory_of_part);
}

/* Return 0, or 1 if memory was too small. */
static int32_t run(const Job *job, OfSentence work)
{
    Part parts[MOST_THREADS];
    int count = job->threads < job->batch ? job->threads : job->batch, is_out_of_memory = 0;
    count = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
    for (int i = 0; i < count; i++)
        parts[i] = (Part){job, work, (int)((int64_t)job->batch * i / count), (int)((int64_t)job->batch * (i + 1) / count), 0};
    do_parts(do_part, parts, count);
    for (int i = 0; i < count; i++) is_out_of_memory |= parts[i].is_out_of_memory;
    return is_out_of_memory;
}

int32_t attention_job_size(void) { return (int32_t)sizeof(Job); }
int32_t attention_lanes(void) { return LANES; }
int32_t attention_forward(const Job *job) { return run(job, forward_sentence); }
int32_t attention_backward(const Job *job) { return run(job, backward_sentence); }
