#!lua flags=allow-oom
-- retry: a batch of failed entries waits in the timers for its next attempt.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5.. streams, job records
-- ARGV   consumer, record ttl s, entry count; per entry: stream key, job key, entry id, delivery, job, task, stage,
--        attempt, started_at ms, delay ms, reason, held (1: by a pause, before it began)
-- RETURN a code per entry: 0 waits | 1 its job is over, dropped | -2 | -3 | -4 | -5 as complete
return put_back_all('retried', 1)
