#!lua flags=allow-oom
-- reject: put what came in and cannot be acted on into the dead-letter stream, once.
-- KEYS   1 lifecycle  2 timers  3 waiting  4 dlq  5 marker
-- ARGV   origin stream, entry id, reason, error, fields as JSON, marker's time to live s
-- RETURN the id in the dead-letter stream | 2 rejected before
if redis.call('EXISTS', KEYS[5]) == 1 then return DUPLICATE end
local dead_id = redis.call('XADD', DLQ, '*', 'job', '', 'task', '', 'flow', '', 'stage', '', 'stream', ARGV[1],
  'entry', ARGV[2], 'attempt', '1', 'deliveries', '1', 'worker', '', 'reason', ARGV[3], 'error', ARGV[4],
  'traceback', '', 'traceparent', '', 'data', '', 'fields', ARGV[5])
redis.call('SET', KEYS[5], dead_id, 'EX', ARGV[6])
redis.call('XADD', LIFECYCLE, '*', 'type', 'dead_lettered', 'job', '', 'flow', '', 'tenant', '', 'revision', '',
  'reason', ARGV[3], 'dlq', dead_id)
return dead_id
