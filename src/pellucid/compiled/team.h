/* Several threads for the parts of a job: those of torch where Python has given their function, otherwise new ones.
 *
 * Between two operations of torch its threads wait busily for the next one, for microseconds or milliseconds. A new
 * thread would share a core with one of them, so two threads could take as long as one.
 */

#ifndef PELLUCID_TEAM_H
#define PELLUCID_TEAM_H

#include <pthread.h>

enum { MOST_THREADS = 256 };

typedef void (*OfPart)(void *parts, int number);
typedef struct {
    OfPart work;
    void *parts;
    int count, next;
} Team;

/* GOMP_parallel of OpenMP: call a function in so many threads, this one among them, and wait for all of them. */
typedef void (*Parallel)(void (*function)(void *), void *argument, unsigned threads, unsigned flags);
static Parallel threads_of_torch;

void team_uses(Parallel parallel) { threads_of_torch = parallel; }

static void take_parts(void *argument)
{
    Team *team = argument;
    for (int i; (i = __atomic_fetch_add(&team->next, 1, __ATOMIC_RELAXED)) < team->count;) team->work(team->parts, i);
}

static void *take_parts_of_team(void *argument)
{
    take_parts(argument);
    return NULL;
}

/* Do at most MOST_THREADS parts, each in a thread. Where the system gives fewer threads, these do all of the parts. */
static void do_parts(OfPart work, void *parts, int count)
{
    Team team = {work, parts, count, 0};
    pthread_t threads[MOST_THREADS];
    int started = 0;
    if (count > 1 && threads_of_torch) {
        threads_of_torch(take_parts, &team, (unsigned)count, 0);
        return;
    }
    while (started + 1 < count && !pthread_create(&threads[started], NULL, take_parts_of_team, &team)) started++;
    take_parts(&team);
    while (started) pthread_join(threads[--started], NULL);
}

#endif
